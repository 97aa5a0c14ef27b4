//! A bounded burst of frames through a packet socket, counted frame by frame as the kernel takes them.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use super::netns::Namespace;

/// Frames handed over in one call.
const BATCH: usize = 64;

/// An Ethernet frame with an IPv4 UDP datagram of `payload` bytes, checksums left out.
pub fn udp(source_port: u16, port: u16, payload: usize) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00];
    let total = u16::try_from(28 + payload).expect("a datagram of one packet");
    frame.extend([0x45, 0]);
    frame.extend(total.to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2]);
    frame.extend(source_port.to_be_bytes());
    frame.extend(port.to_be_bytes());
    frame.extend((total - 20).to_be_bytes());
    frame.extend([0, 0]);
    frame.resize(frame.len() + payload, b'x');
    frame
}

/// Sends the frames of `frames` in turn out of `iface` until `limit` were taken or `time` is over, past
/// the queueing discipline; how many the kernel took.
pub fn send(
    side: &Namespace,
    iface: &str,
    frames: &[Vec<u8>],
    limit: u64,
    time: Duration,
) -> io::Result<u64> {
    let socket = side.within(|| open(iface))?;
    let mut vectors: Vec<libc::iovec> = (0..BATCH)
        .map(|at| {
            let frame = &frames[at % frames.len()];
            libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() }
        })
        .collect();
    let mut messages: Vec<libc::mmsghdr> = vectors
        .iter_mut()
        .map(|vector| {
            // SAFETY: all zeros is a message without address, data and control bytes.
            let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
            message.msg_hdr.msg_iov = vector;
            message.msg_hdr.msg_iovlen = 1;
            message
        })
        .collect();
    let (mut sent, begin) = (0, Instant::now());
    while sent < limit && begin.elapsed() < time {
        let count = BATCH.min(usize::try_from(limit - sent).unwrap_or(BATCH));
        // SAFETY: the messages point at vectors, and these at frames, that are alive and only read.
        let taken =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), count as u32, 0) };
        match u64::try_from(taken) {
            Ok(taken) => sent += taken,
            Err(_) => {
                let error = io::Error::last_os_error();
                // The other end of a veth pair has no room: not sent, not counted.
                if error.raw_os_error() != Some(libc::ENOBUFS) {
                    return Err(error);
                }
                std::thread::yield_now();
            }
        }
    }
    Ok(sent)
}

fn open(iface: &str) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers; a descriptor that is not negative is new and ours.
    let socket = unsafe {
        let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    let index = nix::net::if_::if_nametoindex(iface)?;
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: 0,
        sll_ifindex: i32::try_from(index).map_err(io::Error::other)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let (one, fd) = (1i32, socket.as_raw_fd());
    // SAFETY: both structures are alive and passed with their sizes.
    let results = unsafe {
        [
            libc::bind(fd, (&raw const address).cast(), size_of_val(&address) as u32),
            libc::setsockopt(
                fd,
                libc::SOL_PACKET,
                libc::PACKET_QDISC_BYPASS,
                (&raw const one).cast(),
                size_of_val(&one) as u32,
            ),
        ]
    };
    if results.contains(&-1) {
        return Err(io::Error::last_os_error());
    }
    Ok(socket)
}
