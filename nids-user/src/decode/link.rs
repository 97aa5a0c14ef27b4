//! Link layers: what stands before the IP header, VLAN tags included.
//!
//! Each function takes one link header off and says what follows it. What lies between link and IP
//! (MPLS, PPPoE, provider backbone, ...) is left to `shim`.

use super::event::Event;
use super::packet::Packet;

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;

/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// EtherType of an Ethernet frame, in GRE and Geneve.
pub const TRANSPARENT_BRIDGE: u16 = 0x6558;
/// EtherType of ERSPAN types I and II, in GRE.
pub const ERSPAN_II: u16 = 0x88be;
/// EtherType of ERSPAN type III, in GRE.
pub const ERSPAN_III: u16 = 0x22eb;
/// EtherType of MPLS.
pub const MPLS_UNICAST: u16 = 0x8847;
/// EtherType of MPLS with an upstream-assigned label.
pub const MPLS_MULTICAST: u16 = 0x8848;
const PPPOE_DISCOVERY: u16 = 0x8863;
const PPPOE_SESSION: u16 = 0x8864;
const BACKBONE: u16 = 0x88e7;
const FABRIC_PATH: u16 = 0x8903;
const VNTAG: u16 = 0x8926;
const ETAG: u16 = 0x893f;
const NSH: u16 = 0x894f;

/// EtherTypes of VLAN tags: 802.1Q, 802.1ad, and the old QinQ number.
pub const VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// EtherTypes without IP that are no surprise behind a tag: ARP, the VLAN tags themselves (one too
/// many), 802.1X, LLDP, PTP.
const KNOWN: [u16; 7] = [ARP, 0x8100, 0x88a8, 0x9100, 0x888e, 0x88cc, 0x88f7];

/// What follows a header.
pub enum Next<'a> {
    /// An IPv4 header should.
    Ipv4(&'a [u8]),
    /// An IPv6 header should.
    Ipv6(&'a [u8]),
    /// Another header before IP.
    Shim(Shim, &'a [u8]),
    /// No IP; the bytes behind the last header.
    Other(&'a [u8]),
}

impl<'a> Next<'a> {
    /// The bytes that follow.
    pub fn data(&self) -> &'a [u8] {
        match self {
            Self::Ipv4(data) | Self::Ipv6(data) | Self::Shim(_, data) | Self::Other(data) => data,
        }
    }
}

/// A header before IP that is not the first of the frame.
#[derive(Clone, Copy, Debug)]
pub enum Shim {
    /// Ethernet, in a tunnel.
    Ethernet,
    /// What this EtherType says, in a tunnel.
    EtherType(u16),
    /// Labels.
    Mpls,
    /// PPP, in a tunnel.
    Ppp,
    /// PPP over Ethernet.
    PppoeSession,
    /// What comes before it.
    PppoeDiscovery,
    /// Provider backbone bridging, 802.1ah.
    Backbone,
    /// Cisco's VN-Tag.
    VnTag,
    /// Bridge port extension, 802.1BR.
    ETag,
    /// Cisco's FabricPath (DCE).
    FabricPath,
    /// Network service header.
    Nsh,
    /// A mirrored frame, in GRE with this EtherType.
    Erspan(u16),
}

/// Ethernet II and 802.3 (a length in place of the EtherType: no IP).
#[inline]
pub fn ethernet<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    let Some((header, rest)) = data.split_first_chunk::<14>() else {
        packet.events.raise(Event::EthernetTooSmall);
        return Next::Other(data);
    };
    let unknown = (!packet.vlan.is_empty()).then_some(Event::VlanUnknownType);
    ether_type(packet, u16::from_be_bytes([header[12], header[13]]), rest, unknown)
}

/// Linux cooked capture, LINKTYPE_LINUX_SLL.
pub fn sll<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    let Some((header, rest)) = data.split_first_chunk::<16>() else {
        packet.events.raise(Event::SllTooSmall);
        return Next::Other(data);
    };
    ether_type(packet, u16::from_be_bytes([header[14], header[15]]), rest, None)
}

/// Linux cooked capture version 2, LINKTYPE_LINUX_SLL2: the protocol comes first.
pub fn sll2<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    let Some((header, rest)) = data.split_first_chunk::<20>() else {
        packet.events.raise(Event::Sll2TooSmall);
        return Next::Other(data);
    };
    ether_type(packet, u16::from_be_bytes([header[0], header[1]]), rest, None)
}

/// BSD loopback: the address family in the byte order of the capturing host, or the network's.
pub fn null<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    let Some((header, rest)) = data.split_first_chunk::<4>() else {
        packet.events.raise(Event::NullTooSmall);
        return Next::Other(data);
    };
    let family = u32::from_le_bytes(*header).min(u32::from_be_bytes(*header));
    match family {
        2 => ether_type(packet, IPV4, rest, None),
        // Linux 10, NetBSD and OpenBSD 24, FreeBSD 28, Darwin 30.
        10 | 24 | 28 | 30 => ether_type(packet, IPV6, rest, None),
        _ => {
            packet.events.raise(Event::NullUnsupportedType);
            Next::Other(rest)
        }
    }
}

/// IP without a link header.
pub fn raw<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    match data.first().map(|byte| byte >> 4) {
        Some(4) => ether_type(packet, IPV4, data, None),
        Some(6) => ether_type(packet, IPV6, data, None),
        _ => {
            packet.events.raise(Event::RawInvalidVersion);
            Next::Other(data)
        }
    }
}

/// Cisco HDLC, LINKTYPE_C_HDLC: address, control, EtherType.
pub fn chdlc<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    let Some((header, rest)) = data.split_first_chunk::<4>() else {
        packet.events.raise(Event::ChdlcTooSmall);
        return Next::Other(data);
    };
    ether_type(packet, u16::from_be_bytes([header[2], header[3]]), rest, None)
}

/// Takes off VLAN tags and notes the EtherType behind them. `unknown` is raised where nobody knows it.
#[inline]
pub fn ether_type<'a>(
    packet: &mut Packet<'a>,
    mut kind: u16,
    mut data: &'a [u8],
    mut unknown: Option<Event>,
) -> Next<'a> {
    while VLAN.contains(&kind) {
        let Some((tag, rest)) = data.split_first_chunk::<4>() else {
            packet.events.raise(Event::VlanTooSmall);
            break;
        };
        if !packet.vlan.push(u16::from_be_bytes([tag[0], tag[1]])) {
            packet.events.raise(Event::VlanTooManyLayers);
            break;
        }
        packet.layers_left = packet.layers_left.saturating_sub(1);
        unknown = Some(Event::VlanUnknownType);
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
            let shim = match kind {
                MPLS_UNICAST | MPLS_MULTICAST => Shim::Mpls,
                PPPOE_DISCOVERY => Shim::PppoeDiscovery,
                PPPOE_SESSION => Shim::PppoeSession,
                BACKBONE => Shim::Backbone,
                FABRIC_PATH => Shim::FabricPath,
                VNTAG => Shim::VnTag,
                ETAG => Shim::ETag,
                NSH => Shim::Nsh,
                _ => {
                    if let Some(event) = unknown.filter(|_| !KNOWN.contains(&kind)) {
                        packet.events.raise(event);
                    }
                    return Next::Other(data);
                }
            };
            Next::Shim(shim, data)
        }
    }
}
