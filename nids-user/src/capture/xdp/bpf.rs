//! The calls of bpf(2) that aya does not offer in the form needed: links that are plain descriptors, and
//! questions about what others attached.
//!
//! A link made here is an [`OwnedFd`] and nothing else: closing it, also by dying, takes the program off
//! the interface. There is no fallback to a netlink attachment, which would outlive the process.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use aya_obj::generated::{bpf_attach_type, bpf_cmd};

use crate::capture::interface::XdpHook;

/// Before all others on the same hook.
const BPF_F_BEFORE: u32 = 1 << 3;

/// Side of an interface that a tcx program sits on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tcx {
    Ingress,
    Egress,
}

impl Tcx {
    fn attach_type(self) -> u32 {
        match self {
            Self::Ingress => bpf_attach_type::BPF_TCX_INGRESS as u32,
            Self::Egress => bpf_attach_type::BPF_TCX_EGRESS as u32,
        }
    }
}

#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
    relative: u32,
    padding: u32,
    revision: u64,
}

/// Puts an XDP program on an interface.
pub(super) fn attach_xdp(
    program: BorrowedFd<'_>,
    interface: u32,
    hook: XdpHook,
) -> io::Result<OwnedFd> {
    let mut attr = LinkCreate {
        program: number(program),
        interface,
        attach_type: bpf_attach_type::BPF_XDP as u32,
        flags: hook.flag(),
        ..LinkCreate::default()
    };
    open(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Puts a classifier on one side of an interface, before all others there, so that none of them can
/// keep a frame from it.
pub(super) fn attach_tcx(
    program: BorrowedFd<'_>,
    interface: u32,
    side: Tcx,
) -> io::Result<OwnedFd> {
    let mut attr = LinkCreate {
        program: number(program),
        interface,
        attach_type: side.attach_type(),
        flags: BPF_F_BEFORE,
        ..LinkCreate::default()
    };
    open(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Takes the program of a link off its interface at once, whoever else holds the link.
pub(super) fn detach(link: BorrowedFd<'_>) -> io::Result<()> {
    call(bpf_cmd::BPF_LINK_DETACH, &mut [number(link)]).map(drop)
}

/// The link of this id. Needs CAP_SYS_ADMIN.
pub(super) fn link(id: u32) -> io::Result<OwnedFd> {
    open(bpf_cmd::BPF_LINK_GET_FD_BY_ID, &mut [id, 0, 0])
}

/// The program of this id and its name. Needs CAP_SYS_ADMIN.
pub(super) fn program(id: u32) -> io::Result<(OwnedFd, String)> {
    /// Offset of `name` in `struct bpf_prog_info`, and its length.
    const NAME: (usize, usize) = (64, 16);
    let program = open(bpf_cmd::BPF_PROG_GET_FD_BY_ID, &mut [id, 0, 0])?;
    let mut info = [0u8; 256];
    describe(program.as_fd(), &mut info)?;
    let name = info.iter().skip(NAME.0).take(NAME.1).take_while(|byte| **byte != 0);
    let name: Vec<u8> = name.copied().collect();
    Ok((program, String::from_utf8_lossy(&name).into_owned()))
}

/// A link, as far as it concerns an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinkInfo {
    pub(super) id: u32,
    pub(super) program: u32,
    pub(super) interface: u32,
}

/// All XDP links of the machine, whatever their namespace. Needs CAP_SYS_ADMIN.
pub(super) fn xdp_links() -> io::Result<Vec<LinkInfo>> {
    /// `BPF_LINK_TYPE_XDP`
    const XDP: u32 = 6;
    let mut found = Vec::new();
    let mut attr = [0, 0];
    loop {
        match call(bpf_cmd::BPF_LINK_GET_NEXT_ID, &mut attr) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(found),
            Err(error) => return Err(error),
        }
        let [_, id] = attr;
        attr = [id, 0];
        // It may be gone by now.
        let Ok(fd) = link(id) else { continue };
        // struct bpf_link_info: type, id, prog_id, padding, then for XDP and tcx the interface.
        let mut info = [0u32; 32];
        describe(fd.as_fd(), &mut info)?;
        let [kind, id, program, _, interface, ..] = info;
        if kind == XDP {
            found.push(LinkInfo { id, program, interface });
        }
    }
}

/// Programs on one side of an interface of this namespace, in the order they run.
pub(super) fn tcx_links(interface: u32, side: Tcx) -> io::Result<Vec<LinkInfo>> {
    const MOST: usize = 64;
    #[repr(C)]
    struct Query {
        interface: u32,
        attach_type: u32,
        query_flags: u32,
        attach_flags: u32,
        programs: u64,
        count: u32,
        padding: u32,
        program_flags: u64,
        links: u64,
        link_flags: u64,
        revision: u64,
    }
    let (mut programs, mut links) = ([0u32; MOST], [0u32; MOST]);
    let mut attr = Query {
        interface,
        attach_type: side.attach_type(),
        query_flags: 0,
        attach_flags: 0,
        programs: programs.as_mut_ptr().expose_provenance() as u64,
        count: MOST as u32,
        padding: 0,
        program_flags: 0,
        links: links.as_mut_ptr().expose_provenance() as u64,
        link_flags: 0,
        revision: 0,
    };
    match call(bpf_cmd::BPF_PROG_QUERY, &mut attr) {
        Ok(_) => {}
        // Nothing is there, or the kernel is older than tcx (6.6).
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINVAL)) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    }
    let all = programs.into_iter().zip(links).take(attr.count as usize);
    Ok(all.map(|(program, id)| LinkInfo { id, program, interface }).collect())
}

/// `BPF_OBJ_GET_INFO_BY_FD`.
fn describe<T>(fd: BorrowedFd<'_>, info: &mut [T]) -> io::Result<()> {
    #[repr(C)]
    struct Describe {
        fd: u32,
        len: u32,
        info: u64,
    }
    let mut attr = Describe {
        fd: number(fd),
        len: u32::try_from(size_of_val(info)).unwrap_or(u32::MAX),
        info: info.as_mut_ptr().expose_provenance() as u64,
    };
    call(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr).map(drop)
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

fn open<T>(command: bpf_cmd, attr: &mut T) -> io::Result<OwnedFd> {
    let fd = call(command, attr)?;
    // SAFETY: these commands give a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn call<T>(command: bpf_cmd, attr: &mut T) -> io::Result<RawFd> {
    // SAFETY: the attribute is a prefix of `union bpf_attr` for this command and is passed with its
    // size; every buffer it names is alive in the caller and as long as it says.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_mut(attr),
            size_of::<T>(),
        )
    };
    match RawFd::try_from(result) {
        Ok(fd) if fd >= 0 => Ok(fd),
        _ => Err(io::Error::last_os_error()),
    }
}
