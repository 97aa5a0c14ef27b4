//! Headers between the link layer and IP: MPLS, PPPoE, PPP, provider backbone, VN-Tag, E-Tag,
//! FabricPath, NSH. Like a link layer, each is taken off and says what follows.

use super::event::Event;
use super::link::{Next, Shim, ether_type, ethernet};
use super::packet::Packet;
use super::{ipv6, tunnel};

/// Takes one header off. Not on the common path, which has none.
#[cold]
pub fn take_off<'a>(packet: &mut Packet<'a>, shim: Shim, data: &'a [u8]) -> Next<'a> {
    match shim {
        Shim::Ethernet => ethernet(packet, data),
        Shim::EtherType(kind) => ether_type(packet, kind, data, None),
        Shim::Mpls => mpls(packet, data),
        Shim::Ppp => ppp(packet, data),
        Shim::PppoeSession => pppoe_session(packet, data),
        Shim::PppoeDiscovery => pppoe_discovery(packet, data),
        Shim::Backbone => tag::<18>(packet, data, Event::BackboneTooSmall, None),
        Shim::VnTag => tag::<6>(packet, data, Event::VnTagTooSmall, Some(Event::VnTagUnknownType)),
        Shim::ETag => tag::<8>(packet, data, Event::ETagTooSmall, Some(Event::ETagUnknownType)),
        Shim::FabricPath => match data.split_first_chunk::<2>() {
            Some((_, frame)) if frame.len() >= 14 => ethernet(packet, frame),
            _ => {
                packet.events.raise(Event::FabricPathTooSmall);
                Next::Other(data)
            }
        },
        Shim::Nsh => nsh(packet, data),
        Shim::Erspan(kind) => tunnel::erspan(packet, kind, data),
    }
}

/// A header of `N` bytes that ends with an EtherType: the I-TAG of 802.1ah with the customer's
/// addresses, Cisco's VN-Tag, the E-TAG of 802.1BR.
fn tag<'a, const N: usize>(
    packet: &mut Packet<'a>,
    data: &'a [u8],
    too_small: Event,
    unknown: Option<Event>,
) -> Next<'a> {
    let Some((header, rest)) = data.split_first_chunk::<N>() else {
        packet.events.raise(too_small);
        return Next::Other(data);
    };
    let [.., high, low] = header.as_slice() else { return Next::Other(data) };
    ether_type(packet, u16::from_be_bytes([*high, *low]), rest, unknown)
}

/// MPLS (RFC 3032): labels up to the one with the bottom bit. What follows is told by reserved labels
/// (RFC 3032, 2.1), else guessed from its first four bits, 0 being a pseudowire's control word.
fn mpls<'a>(packet: &mut Packet<'a>, mut data: &'a [u8]) -> Next<'a> {
    const BOTTOM: u32 = 0x100;
    const IPV4_EXPLICIT_NULL: u32 = 0;
    const ROUTER_ALERT: u32 = 1;
    const IPV6_EXPLICIT_NULL: u32 = 2;
    const IMPLICIT_NULL: u32 = 3;
    const CONTROL_WORD: usize = 4;

    let label = loop {
        let Some((entry, rest)) = data.split_first_chunk::<4>() else {
            packet.events.raise(Event::MplsHeaderTooSmall);
            return Next::Other(data);
        };
        data = rest;
        let entry = u32::from_be_bytes(*entry);
        if entry & BOTTOM != 0 {
            break entry >> 12;
        }
    };
    let event = match label {
        IPV4_EXPLICIT_NULL => return Next::Ipv4(data),
        IPV6_EXPLICIT_NULL => return Next::Ipv6(data),
        ROUTER_ALERT => Event::MplsBadLabelRouterAlert,
        IMPLICIT_NULL => Event::MplsBadLabelImplicitNull,
        4..=14 => Event::MplsBadLabelReserved,
        _ => match (data.first().map(|byte| byte >> 4), data.get(CONTROL_WORD..)) {
            (_, None) => Event::MplsTooSmall,
            (Some(4), _) => return Next::Ipv4(data),
            (Some(6), _) => return Next::Ipv6(data),
            (Some(0), Some(frame)) => return Next::Shim(Shim::Ethernet, frame),
            _ => Event::MplsUnknownPayload,
        },
    };
    packet.events.raise(event);
    Next::Other(data)
}

/// PPP (RFC 1661), with or without address and control (RFC 1662), and with a protocol number of one
/// byte where that was negotiated.
pub fn ppp<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    ppp_protocol(packet, data.strip_prefix(&[0xff, 0x03]).unwrap_or(data))
}

fn ppp_protocol<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    const PPP_IPV4: u16 = 0x0021;
    const PPP_VJ_UNCOMPRESSED: u16 = 0x002f;
    const PPP_IPV6: u16 = 0x0057;
    /// Network protocols and control protocols (IANA ppp-numbers) that are no IP.
    const KNOWN: [u16; 28] = [
        0x0023, 0x0025, 0x0027, 0x0029, 0x002b, 0x002d, 0x0031, 0x0033, 0x0035, 0x0201, 0x0231,
        0x0233, 0x0281, 0x0283, 0x8021, 0x8023, 0x8025, 0x8027, 0x8029, 0x802b, 0x8033, 0x8035,
        0x8057, 0x8281, 0xc021, 0xc023, 0xc025, 0xc223,
    ];

    let (protocol, rest) = match data {
        // The last byte of a protocol number is odd, all others are even.
        [low, rest @ ..] if low & 1 == 1 => (u16::from(*low), rest),
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => {
            packet.events.raise(Event::PppTooSmall);
            return Next::Other(data);
        }
    };
    let event = match protocol {
        PPP_VJ_UNCOMPRESSED if rest.len() < 20 => Event::PppVjUncompressedTooSmall,
        PPP_IPV4 if rest.len() < 20 => Event::PppIpv4TooSmall,
        PPP_IPV6 if rest.len() < ipv6::HEADER => Event::PppIpv6TooSmall,
        PPP_IPV4 | PPP_VJ_UNCOMPRESSED => return Next::Ipv4(rest),
        PPP_IPV6 => return Next::Ipv6(rest),
        _ if KNOWN.contains(&protocol) => Event::PppUnsupportedProtocol,
        _ => Event::PppWrongType,
    };
    packet.events.raise(event);
    Next::Other(rest)
}

/// PPPoE, session stage (RFC 2516, 6). What lies behind the length of the header is padding.
fn pppoe_session<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    let Some((header, rest)) = data.split_first_chunk::<6>().filter(|(_, rest)| !rest.is_empty())
    else {
        packet.events.raise(Event::PppoeTooSmall);
        return Next::Other(data);
    };
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    match rest.get(..length).unwrap_or(rest) {
        [] => Next::Other(rest),
        frame => ppp_protocol(packet, frame),
    }
}

/// PPPoE, discovery stage (RFC 2516, 5): no IP, but the tags must fit.
fn pppoe_discovery<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    /// PADO, PADI, PADR, PADS, PADT.
    const CODES: [u8; 5] = [0x07, 0x09, 0x19, 0x65, 0xa7];
    let Some((header, tags)) = data.split_first_chunk::<6>() else {
        packet.events.raise(Event::PppoeTooSmall);
        return Next::Other(data);
    };
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if !CODES.contains(&header[1]) {
        packet.events.raise(Event::PppoeWrongCode);
    } else if length > tags.len() {
        packet.events.raise(Event::PppoeMalformedTags);
    }
    Next::Other(data)
}

/// Network service header (RFC 8300).
fn nsh<'a>(packet: &mut Packet<'a>, data: &'a [u8]) -> Next<'a> {
    let Some((header, _)) = data.split_first_chunk::<8>() else {
        packet.events.raise(Event::NshTooSmall);
        return Next::Other(data);
    };
    let (version, length, kind) = (header[0] >> 6, usize::from(header[1] & 0x3f) * 4, header[2]);
    let body = data.get(length..).unwrap_or_default();
    let event = match (kind & 0x0f, header[3]) {
        _ if version != 0 => Event::NshUnsupportedVersion,
        _ if length < 8 || body.is_empty() => Event::NshBadHeaderLength,
        (0 | 0xf, _) => Event::NshReservedType,
        (1, _) if length != 24 => Event::NshBadHeaderLength,
        (1 | 2, 1) => return Next::Ipv4(body),
        (1 | 2, 2) => return Next::Ipv6(body),
        (1 | 2, 3) => return Next::Shim(Shim::Ethernet, body),
        (1 | 2, 5) => return Next::Shim(Shim::Mpls, body),
        (1 | 2, _) => Event::NshUnknownPayload,
        _ => Event::NshUnsupportedType,
    };
    packet.events.raise(event);
    Next::Other(data)
}
