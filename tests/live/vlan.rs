//! An IEEE 802.1Q interface made in user space: a tap device whose frames get a tag on their way to a
//! veth. It works where the kernel was built without VLAN devices, and the tag stands in the bytes of
//! the frame, as XDP sees it on a NIC without offload. A tcx classifier on the other side sees the same
//! frames with the tag taken off into the metadata, as the kernel does before it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::netns::{Namespace, assign};

/// The tap device in each namespace.
pub const TAP: &str = "tagged";

/// A running tagger.
pub struct VlanInterface {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl VlanInterface {
    /// Puts a tap device with these addresses on top of `lower`; what it sends carries the tag `id`.
    pub fn new(side: &Namespace, lower: &str, id: u16, addresses: &[IpAddr]) -> io::Result<Self> {
        let (tap, wire) = side.within(|| Ok::<_, io::Error>((open_tap()?, open_wire(lower)?)))?;
        side.run("ip", &["link", "set", TAP, "up"])?;
        for address in addresses {
            assign(side, TAP, *address)?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || shuttle(tap, wire, id, &stopped));
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for VlanInterface {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Carries frames both ways until told to stop. The kernel takes the tag off what a packet socket
/// reads, so the way up needs no work.
fn shuttle(mut tap: File, mut wire: File, id: u16, stop: &AtomicBool) {
    let mut buffer = vec![0; 70_000];
    while !stop.load(Ordering::Relaxed) {
        let mut fds = [
            PollFd::new(tap.as_fd(), PollFlags::POLLIN),
            PollFd::new(wire.as_fd(), PollFlags::POLLIN),
        ];
        if poll(&mut fds, PollTimeout::from(20u8)).is_err() {
            return;
        }
        let ready = fds.map(|fd| fd.any().unwrap_or(false));
        if ready[0]
            && let Ok(n) = tap.read(&mut buffer)
            && n >= 12
        {
            let [high, low] = id.to_be_bytes();
            let mut frame = buffer[..12].to_vec();
            frame.extend([0x81, 0x00, high, low]);
            frame.extend(&buffer[12..n]);
            let _ = wire.write_all(&frame);
        }
        if ready[1]
            && let Ok(n) = wire.read(&mut buffer)
        {
            let _ = tap.write_all(&buffer[..n]);
        }
    }
}

fn open_tap() -> io::Result<File> {
    let tap = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: all zeroes is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(TAP.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the descriptor is open, and TUNSETIFF reads and writes one ifreq.
    let result = unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF as _, &mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(tap) }
}

/// A packet socket on `iface`, as a file.
fn open_wire(iface: &str) -> io::Result<File> {
    let everything = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, i32::from(everything)) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, owned by nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: all zeroes is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = everything;
    address.sll_ifindex = nix::net::if_::if_nametoindex(iface)?.cast_signed();
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is a sockaddr_ll of that length.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(socket.into()) }
}
