//! Sends frames from memory at a given rate: a packet socket, `sendmmsg`, no queueing discipline.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::traffic::Traffic;
use crate::bed::netns::Namespace;

/// Frames a system call.
const BATCH: usize = 32;

/// Sends all frames once on `iface` inside `side`, at `rate` packets per second or as fast as it goes,
/// from the first processor. Gives the rate it reached.
///
/// # Errors
/// When the interface refuses a frame.
pub fn send(
    side: &Namespace,
    iface: &str,
    traffic: &Traffic,
    rate: Option<f64>,
) -> io::Result<f64> {
    side.within(|| {
        let mut first = CpuSet::new();
        first.set(0)?;
        sched_setaffinity(Pid::from_raw(0), &first)?;
        let socket = open(iface)?;
        let start = Instant::now();
        let mut sent = 0;
        while sent < traffic.len() {
            if let Some(rate) = rate {
                let due = Duration::from_secs_f64(sent as f64 / rate);
                while start.elapsed() < due {
                    std::hint::spin_loop();
                }
            }
            sent += batch(&socket, traffic, sent)?;
        }
        Ok(sent as f64 / start.elapsed().as_secs_f64())
    })
}

/// Sends up to [`BATCH`] frames from `first` on; gives how many went.
fn batch(socket: &OwnedFd, traffic: &Traffic, first: usize) -> io::Result<usize> {
    let empty = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
    let mut vectors = [empty; BATCH];
    let mut count = 0;
    for (vector, frame) in vectors.iter_mut().zip((first..).map_while(|i| traffic.frame(i))) {
        // The kernel only reads what a message to send points at.
        *vector = libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
        count += 1;
    }
    // SAFETY: all zeroes is a valid mmsghdr: no name, no vectors, no control data.
    let mut messages: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    for (message, vector) in messages.iter_mut().zip(&mut vectors) {
        message.msg_hdr.msg_iov = vector;
        message.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: the first `count` messages each point at one vector, and that at a frame of `traffic`,
    // all of which live to the end of this function.
    let sent = unsafe {
        libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), count as libc::c_uint, 0)
    };
    if sent >= 0 {
        return Ok(sent.cast_unsigned() as usize);
    }
    let error = io::Error::last_os_error();
    // The device's queue is full for a moment: the frame was not taken, so it is offered again.
    if matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::EAGAIN | libc::EINTR)) {
        return Ok(0);
    }
    Err(error)
}

/// A packet socket for sending only, past the queueing discipline.
fn open(iface: &str) -> io::Result<OwnedFd> {
    // SAFETY: no pointers. Protocol 0: it receives nothing.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, owned by nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: all zeroes is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = nix::net::if_::if_nametoindex(iface)?.cast_signed();
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is a sockaddr_ll of that length.
    let bound = unsafe { libc::bind(fd, (&raw const address).cast(), length) };
    let yes: libc::c_int = 1;
    let size = size_of_val(&yes) as libc::socklen_t;
    // SAFETY: the option takes an int of that size.
    let set = unsafe {
        let option = (&raw const yes).cast();
        libc::setsockopt(fd, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, option, size)
    };
    if bound < 0 || set < 0 { Err(io::Error::last_os_error()) } else { Ok(socket) }
}
