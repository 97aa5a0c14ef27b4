//! Link layers: what stands before the IP header, VLAN tags included.
//!
//! Each function takes one link header off and says what follows it. Provider backbone, MPLS, PPPoE
//! and the like are not looked into yet: they end as frames without IP.

use super::event::Event;
use super::packet::Packet;

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;

/// EtherTypes of VLAN tags: 802.1Q, 802.1ad, and the old QinQ number.
const VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// Other EtherTypes that are no surprise behind a VLAN tag: ARP, the tags themselves (one too many),
/// MPLS, PPPoE, 802.1X, LLDP, PTP, provider backbone.
const KNOWN: [u16; 12] = [
    0x0806, 0x8100, 0x88a8, 0x9100, 0x8847, 0x8848, 0x8863, 0x8864, 0x888e, 0x88cc, 0x88f7, 0x88e7,
];

/// What follows a link header.
pub enum Next<'a> {
    /// An IPv4 header should.
    Ipv4(&'a [u8]),
    /// An IPv6 header should.
    Ipv6(&'a [u8]),
    /// No IP; the bytes behind the link header.
    Other(&'a [u8]),
}

/// Ethernet II and 802.3 (a length in place of the EtherType: no IP).
#[inline]
pub fn ethernet<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    let Some((header, rest)) = data.split_first_chunk::<14>() else {
        packet.events.raise(Event::EthernetTooSmall);
        return Next::Other(data);
    };
    ether_type(packet, u16::from_be_bytes([header[12], header[13]]), rest)
}

/// Linux cooked capture, LINKTYPE_LINUX_SLL.
pub fn sll<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    let Some((header, rest)) = data.split_first_chunk::<16>() else {
        packet.events.raise(Event::SllTooSmall);
        return Next::Other(data);
    };
    ether_type(packet, u16::from_be_bytes([header[14], header[15]]), rest)
}

/// Linux cooked capture version 2, LINKTYPE_LINUX_SLL2: the protocol comes first.
pub fn sll2<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    let Some((header, rest)) = data.split_first_chunk::<20>() else {
        packet.events.raise(Event::Sll2TooSmall);
        return Next::Other(data);
    };
    ether_type(packet, u16::from_be_bytes([header[0], header[1]]), rest)
}

/// BSD loopback: the address family in the byte order of the capturing host, or the network's.
pub fn null<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    let Some((header, rest)) = data.split_first_chunk::<4>() else {
        packet.events.raise(Event::NullTooSmall);
        return Next::Other(data);
    };
    let family = u32::from_le_bytes(*header).min(u32::from_be_bytes(*header));
    match family {
        2 => ether_type(packet, IPV4, rest),
        // Linux 10, NetBSD and OpenBSD 24, FreeBSD 28, Darwin 30.
        10 | 24 | 28 | 30 => ether_type(packet, IPV6, rest),
        _ => {
            packet.events.raise(Event::NullUnsupportedType);
            Next::Other(rest)
        }
    }
}

/// IP without a link header.
pub fn raw<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    match data.first().map(|byte| byte >> 4) {
        Some(4) => ether_type(packet, IPV4, data),
        Some(6) => ether_type(packet, IPV6, data),
        _ => {
            packet.events.raise(Event::RawInvalidVersion);
            Next::Other(data)
        }
    }
}

/// PPP (RFC 1661), with or without address and control (RFC 1662), and with a protocol number of
/// one byte where that was negotiated.
pub fn ppp<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    const PPP_IPV4: u16 = 0x0021;
    const PPP_VJ_UNCOMPRESSED: u16 = 0x002f;
    const PPP_IPV6: u16 = 0x0057;

    let body = data.strip_prefix(&[0xff, 0x03]).unwrap_or(data);
    let (protocol, rest) = match body {
        // The last byte of a protocol number is odd, all others are even.
        [low, rest @ ..] if low & 1 == 1 => (u16::from(*low), rest),
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => {
            packet.events.raise(Event::PppTooSmall);
            return Next::Other(data);
        }
    };
    match protocol {
        PPP_IPV4 => ether_type(packet, IPV4, rest),
        PPP_VJ_UNCOMPRESSED if rest.len() < 20 => {
            packet.events.raise(Event::PppVjUncompressedTooSmall);
            Next::Other(rest)
        }
        PPP_VJ_UNCOMPRESSED => ether_type(packet, IPV4, rest),
        PPP_IPV6 => ether_type(packet, IPV6, rest),
        _ => {
            packet.events.raise(Event::PppUnsupportedProtocol);
            Next::Other(rest)
        }
    }
}

/// Takes off VLAN tags and notes the EtherType behind them.
#[inline]
fn ether_type<'a>(packet: &mut Packet<'a>, mut kind: u16, mut data: &'a [u8]) -> Next<'a> {
    while VLAN.contains(&kind) {
        let Some((tag, rest)) = data.split_first_chunk::<4>() else {
            packet.events.raise(Event::VlanTooSmall);
            break;
        };
        if !packet.vlan.push(u16::from_be_bytes([tag[0], tag[1]])) {
            packet.events.raise(Event::VlanTooManyLayers);
            break;
        }
        kind = u16::from_be_bytes([tag[2], tag[3]]);
        data = rest;
    }
    match kind {
        IPV4 => {
            packet.ether_type = kind;
            Next::Ipv4(data)
        }
        IPV6 => {
            packet.ether_type = kind;
            Next::Ipv6(data)
        }
        // Below 0x600 it is a length (IEEE 802.3, 3.2.6).
        0..0x600 => Next::Other(data),
        _ => {
            packet.ether_type = kind;
            if !packet.vlan.is_empty() && !KNOWN.contains(&kind) {
                packet.events.raise(Event::VlanUnknownType);
            }
            Next::Other(data)
        }
    }
}
