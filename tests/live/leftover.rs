//! What others leave on an interface: the smallest XDP program under any name, attached through netlink
//! or by a pinned link, with no process that holds it.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::netns::Namespace;

/// A bpffs of its own.
pub struct BpfFs(tempfile::TempDir);

impl BpfFs {
    pub fn new() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let none = None::<&str>;
        mount(Some("bpf"), folder.path(), Some("bpf"), MsFlags::empty(), none)?;
        Ok(Self(folder))
    }
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
    }
}

/// Attaches a program that passes everything through netlink, in generic mode, and lets go of it.
pub fn by_netlink(side: &Namespace, fs: &BpfFs, iface: &str, name: &str) -> io::Result<()> {
    let path = fs.file(name);
    pin(&load(name)?, &path)?;
    let pinned = path.to_str().expect("made by us");
    side.run("ip", &["link", "set", "dev", iface, "xdpgeneric", "pinned", pinned])?;
    std::fs::remove_file(path)
}

/// Attaches it by a link that only a file keeps alive.
pub fn by_pinned_link(side: &Namespace, fs: &BpfFs, iface: &str, name: &str) -> io::Result<()> {
    const BPF_LINK_CREATE: libc::c_long = 28;
    const BPF_XDP: u32 = 37;
    const XDP_FLAGS_SKB_MODE: u32 = 2;
    let program = load(name)?;
    let link = side.within(|| {
        let index = nix::net::if_::if_nametoindex(iface)?;
        let number = program.as_raw_fd().cast_unsigned();
        bpf(BPF_LINK_CREATE, &mut [number, index, BPF_XDP, XDP_FLAGS_SKB_MODE])
    })?;
    pin(&link, &fs.file(name))
}

fn load(name: &str) -> io::Result<OwnedFd> {
    const BPF_PROG_LOAD: libc::c_long = 5;
    const PROG_TYPE_XDP: u32 = 6;
    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log: [u64; 2],
        version: u32,
        flags: u32,
        name: [u8; 16],
    }
    // r0 = XDP_PASS; exit
    let instructions: [u64; 2] = [0x0000_0002_0000_00b7, 0x95];
    let mut attr = Load {
        kind: PROG_TYPE_XDP,
        count: 2,
        instructions: instructions.as_ptr().expose_provenance() as u64,
        license: c"GPL".as_ptr().expose_provenance() as u64,
        log: [0; 2],
        version: 0,
        flags: 0,
        name: [0; 16],
    };
    attr.name[..name.len()].copy_from_slice(name.as_bytes());
    bpf(BPF_PROG_LOAD, &mut attr)
}

fn pin(object: &OwnedFd, path: &Path) -> io::Result<()> {
    const BPF_OBJ_PIN: libc::c_long = 6;
    #[repr(C)]
    struct Pin {
        path: u64,
        fd: u32,
        flags: u32,
    }
    let path = CString::new(path.as_os_str().as_bytes())?;
    let fd = object.as_raw_fd().cast_unsigned();
    let mut attr = Pin { path: path.as_ptr().expose_provenance() as u64, fd, flags: 0 };
    call(BPF_OBJ_PIN, &mut attr).map(drop)
}

fn bpf<T>(command: libc::c_long, attr: &mut T) -> io::Result<OwnedFd> {
    let fd = call(command, attr)?;
    // SAFETY: these commands give a new descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn call<T>(command: libc::c_long, attr: &mut T) -> io::Result<i32> {
    // SAFETY: the attribute is a prefix of `union bpf_attr`, and what it points at is alive.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        i32::try_from(result).map_err(io::Error::other)
    }
}
