//! GRE headers: version 0 (RFC 2784, RFC 2890, routing as in RFC 1701) and version 1 (PPTP, RFC 2637).

use super::event::{Event, Events};
use super::link::{
    ARP, ERSPAN_II, ERSPAN_III, IPV4, IPV6, MPLS_MULTICAST, MPLS_UNICAST, Next, Shim,
    TRANSPARENT_BRIDGE, VLAN,
};

const PPP: u16 = 0x880b;

const CHECKSUM: u8 = 0x80;
const ROUTING: u8 = 0x40;
const KEY: u8 = 0x20;
const SEQUENCE: u8 = 0x10;
const STRICT_SOURCE_ROUTE: u8 = 0x08;
const RECURSION: u8 = 0x07;
/// In the second byte.
const FLAGS: u8 = 0x78;
const ACKNOWLEDGMENT: u8 = 0x80;
const VERSION: u8 = 0x07;

/// What follows the header. A header that is wrong, or a payload of a kind that is not looked into,
/// gives nothing.
pub fn next<'a>(events: &mut Events, data: &'a [u8]) -> Option<Next<'a>> {
    let Some(([first, second, high, low], rest)) = data.split_first_chunk::<4>() else {
        events.raise(Event::GreTooSmall);
        return None;
    };
    let (first, second, kind) = (*first, *second, u16::from_be_bytes([*high, *low]));
    let body = match second & VERSION {
        0 => version_0(first, second, rest),
        1 => version_1(first, second, kind, rest),
        _ => Err(Event::GreWrongVersion),
    };
    let body = match body {
        Ok(body) => body,
        Err(event) => {
            events.raise(event);
            return None;
        }
    };
    Some(match kind {
        IPV4 => Next::Ipv4(body),
        IPV6 => Next::Ipv6(body),
        // A PPTP packet without payload acknowledges.
        PPP if second & VERSION == 1 && matches!(rest, [0, 0, ..]) => return None,
        PPP => Next::Shim(Shim::Ppp, body),
        ERSPAN_II if first & SEQUENCE == 0 => Next::Shim(Shim::Ethernet, body),
        ERSPAN_II | ERSPAN_III => Next::Shim(Shim::Erspan(kind), body),
        TRANSPARENT_BRIDGE => Next::Shim(Shim::Ethernet, body),
        ARP | MPLS_UNICAST | MPLS_MULTICAST => Next::Shim(Shim::EtherType(kind), body),
        kind if VLAN.contains(&kind) => Next::Shim(Shim::EtherType(kind), body),
        _ => return None,
    })
}

fn version_0(first: u8, second: u8, mut rest: &[u8]) -> Result<&[u8], Event> {
    if first & RECURSION != 0 {
        return Err(Event::GreVersion0Recursion);
    }
    if second & FLAGS != 0 {
        return Err(Event::GreVersion0Flags);
    }
    let mut length = 0;
    for fields in [KEY, SEQUENCE, CHECKSUM | ROUTING] {
        length += if first & fields != 0 { 4 } else { 0 };
    }
    rest = rest.get(length..).ok_or(Event::GreVersion0HeaderTooBig)?;
    if first & ROUTING == 0 {
        return Ok(rest);
    }
    // Source route entries: address family, offset, length; both family and length 0 end them.
    loop {
        let ([high, low, _, length], behind) =
            rest.split_first_chunk::<4>().ok_or(Event::GreVersion0MalformedSourceRoute)?;
        if [*high, *low, *length] == [0; 3] {
            return Ok(behind);
        }
        rest = behind.get(usize::from(*length)..).ok_or(Event::GreVersion0MalformedSourceRoute)?;
    }
}

fn version_1(first: u8, second: u8, kind: u16, rest: &[u8]) -> Result<&[u8], Event> {
    for (bits, event) in [
        (CHECKSUM, Event::GreVersion1Checksum),
        (ROUTING, Event::GreVersion1Route),
        (STRICT_SOURCE_ROUTE, Event::GreVersion1SourceRoute),
        (RECURSION, Event::GreVersion1Recursion),
    ] {
        if first & bits != 0 {
            return Err(event);
        }
    }
    if second & FLAGS != 0 {
        return Err(Event::GreVersion1Flags);
    }
    if kind != PPP {
        return Err(Event::GreVersion1WrongProtocol);
    }
    if first & KEY == 0 {
        return Err(Event::GreVersion1NoKey);
    }
    let mut length = 4;
    length += if first & SEQUENCE != 0 { 4 } else { 0 };
    length += if second & ACKNOWLEDGMENT != 0 { 4 } else { 0 };
    rest.get(length..).ok_or(Event::GreVersion1HeaderTooBig)
}
