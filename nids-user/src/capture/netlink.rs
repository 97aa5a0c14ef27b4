//! The few words of rtnetlink the sensor needs: list the interfaces, take an XDP program off one.
//!
//! `/sys/class/net` would tell the same, but a process that was put into a network namespace may still
//! see the `/sys` of another one; a socket always speaks to the namespace of its process. What the
//! numbers mean for the sensor is left to `interface` and `xdp`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

use super::interface::{Interface, InterfaceCounters, XdpHook, XdpProgram};

// linux/netlink.h, linux/rtnetlink.h, linux/if_link.h
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
const NLA_F_NESTED: u16 = 0x8000;
const NLA_TYPE_MASK: u16 = 0x3fff;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_STATS64: u16 = 23;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_FD: u16 = 1;
const IFLA_XDP_FLAGS: u16 = 3;
const IFLA_XDP_DRV_PROG_ID: u16 = 5;
const IFLA_XDP_SKB_PROG_ID: u16 = 6;
const IFLA_XDP_HW_PROG_ID: u16 = 7;
const IFLA_XDP_EXPECTED_FD: u16 = 8;
const XDP_FLAGS_REPLACE: u32 = 1 << 4;

const MESSAGE_HEADER: usize = 16;
const LINK_HEADER: usize = 16;

/// All interfaces of this network namespace, by index.
pub(super) fn links() -> io::Result<Vec<Interface>> {
    let socket = open()?;
    request(&socket, RTM_GETLINK, NLM_F_DUMP, &[0; LINK_HEADER])?;
    let mut interfaces = Vec::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        let len = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC)?;
        let mut messages = buffer.get(..len).ok_or_else(|| bad("a message beyond the buffer"))?;
        while !messages.is_empty() {
            let (kind, body, rest) = message(messages)?;
            match kind {
                NLMSG_DONE => {
                    interfaces.sort_by_key(|interface: &Interface| interface.index);
                    return Ok(interfaces);
                }
                NLMSG_ERROR => error(body)?,
                RTM_NEWLINK => interfaces.extend(link(body)),
                _ => {}
            }
            messages = rest;
        }
    }
}

/// Takes `program` off the interface, if it is still the one that is attached.
pub(super) fn remove_xdp(index: u32, hook: XdpHook, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut xdp = Vec::new();
    attribute(&mut xdp, IFLA_XDP_FD, &(-1i32).to_ne_bytes());
    attribute(&mut xdp, IFLA_XDP_FLAGS, &(hook.flag() | XDP_FLAGS_REPLACE).to_ne_bytes());
    attribute(&mut xdp, IFLA_XDP_EXPECTED_FD, &program.as_raw_fd().to_ne_bytes());
    // struct ifinfomsg: family, padding, type, index, flags, change.
    let mut body = vec![0; 4];
    body.extend(index.to_ne_bytes());
    body.extend([0; 8]);
    attribute(&mut body, IFLA_XDP | NLA_F_NESTED, &xdp);

    let socket = open()?;
    request(&socket, RTM_SETLINK, NLM_F_ACK, &body)?;
    let mut buffer = [0; 4096];
    let len = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
    match message(buffer.get(..len).unwrap_or_default())? {
        (NLMSG_ERROR, body, _) => error(body),
        _ => Err(bad("an answer that is none")),
    }
}

fn open() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?)
}

fn request(socket: &OwnedFd, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let len = u32::try_from(MESSAGE_HEADER + body.len()).map_err(io::Error::other)?;
    let mut message = len.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    // Sequence number and port: one request a socket needs neither.
    message.extend([0; 8]);
    message.extend(body);
    send(socket.as_raw_fd(), &message, MsgFlags::empty())?;
    Ok(())
}

/// Appends an attribute, padded to four bytes.
fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let len = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    out.extend(len.to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// The first message: type, body, and what follows it.
fn message(bytes: &[u8]) -> io::Result<(u16, &[u8], &[u8])> {
    let cut = || bad("a cut message");
    let len = word(bytes, 0).ok_or_else(cut)? as usize;
    let kind = half(bytes, 4).ok_or_else(cut)?;
    let body = bytes.get(MESSAGE_HEADER..len).ok_or_else(cut)?;
    Ok((kind, body, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// The attributes of a block, in order; stops at the first that is cut.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(half(bytes, 0)?);
        let kind = half(bytes, 2)? & NLA_TYPE_MASK;
        let value = bytes.get(4..len)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// An acknowledgement is an error of 0.
fn error(body: &[u8]) -> io::Result<()> {
    match word(body, 0).map(u32::cast_signed) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        None => Err(bad("a cut error")),
    }
}

fn link(body: &[u8]) -> Option<Interface> {
    let mut interface = Interface {
        name: String::new(),
        index: word(body, 4)?,
        mtu: 0,
        hardware: half(body, 2)?,
        up: word(body, 8)? & libc::IFF_UP.cast_unsigned() != 0,
        xdp: Vec::new(),
        counters: InterfaceCounters::default(),
    };
    for (kind, value) in attributes(body.get(LINK_HEADER..)?) {
        match kind {
            IFLA_IFNAME => {
                let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
                interface.name = String::from_utf8_lossy(name).into_owned();
            }
            IFLA_MTU => interface.mtu = word(value, 0)?,
            IFLA_STATS64 => interface.counters = counters(value),
            IFLA_XDP => interface.xdp = programs(value),
            _ => {}
        }
    }
    Some(interface)
}

fn programs(xdp: &[u8]) -> Vec<XdpProgram> {
    let hooks = attributes(xdp).filter_map(|(kind, value)| {
        let hook = match kind {
            IFLA_XDP_DRV_PROG_ID => XdpHook::Driver,
            IFLA_XDP_SKB_PROG_ID => XdpHook::Generic,
            IFLA_XDP_HW_PROG_ID => XdpHook::Offload,
            _ => return None,
        };
        Some(XdpProgram { hook, id: word(value, 0)? })
    });
    hooks.collect()
}

/// `struct rtnl_link_stats64`.
fn counters(stats: &[u8]) -> InterfaceCounters {
    let at = |index: usize| {
        let bytes = stats.get(index * 8..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    };
    InterfaceCounters {
        rx_packets: at(0),
        tx_packets: at(1),
        rx_errors: at(4),
        rx_dropped: at(6),
        tx_dropped: at(7),
        rx_missed: at(15),
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("rtnetlink sent {what}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_the_attributes_it_writes() {
        let mut block = Vec::new();
        attribute(&mut block, 3, b"abcde");
        attribute(&mut block, 7 | NLA_F_NESTED, &[1, 2]);
        let found: Vec<_> = attributes(&block).collect();
        assert_eq!(found, [(3, &b"abcde"[..]), (7, &[1, 2][..])]);
    }

    #[test]
    fn cut_or_senseless_bytes_end_the_walk() {
        for block in [&[][..], &[8, 0], &[3, 0, 1, 0], &[0, 0, 0, 0], &[200, 0, 1, 0, 1]] {
            assert_eq!(attributes(block).count(), 0, "{block:?}");
        }
        assert!(message(&[4, 0, 0, 0, 0, 0]).is_err());
        assert!(message(&[0xff; 64]).is_err());
    }

    #[test]
    fn sees_the_loopback_interface() {
        let all = links().unwrap();
        let loopback = all.iter().find(|interface| interface.name == "lo").unwrap();
        assert_eq!(loopback.hardware, libc::ARPHRD_LOOPBACK);
        assert!(loopback.mtu > 0 && loopback.index > 0);
    }
}
