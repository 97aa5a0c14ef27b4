//! ICMP (RFC 792) and ICMPv6 (RFC 4443) messages. The packet an error message quotes is checked for
//! its first bytes only; [`Packet::embedded`] reads it.

use super::event::Event;
use super::packet::{Icmp, Ip, Packet, Transport};

/// Bytes of a timestamp or its reply, which are all header: Suricata finds no payload in them.
const TIMESTAMP: usize = 20;

/// Reads an ICMP message.
pub fn v4<'a>(packet: &mut Packet<'a>, data: &'a [u8]) {
    let Some(icmp) = message(packet, data, Event::Icmpv4TooSmall) else { return };
    packet.transport =
        Transport::Icmpv4(match (icmp.icmp_type, data.split_at_checked(TIMESTAMP)) {
            (13 | 14, Some((header, payload))) => {
                packet.payload = payload;
                Icmp { header, ..icmp }
            }
            _ => icmp,
        });
    if data.len() < 8 {
        return;
    }
    // Highest code of each type (IANA icmp-parameters), and whether it quotes a packet.
    let (last_code, quotes) = match icmp.icmp_type {
        3 => (15, true),
        4 => (0, true),
        5 => (3, true),
        11 => (1, true),
        12 => (2, true),
        0 | 8 | 10 | 13..=18 => (0, false),
        9 => (16, false),
        _ => {
            packet.events.raise(Event::Icmpv4UnknownType);
            return;
        }
    };
    if icmp.code > last_code {
        packet.events.raise(Event::Icmpv4UnknownCode);
    } else if quotes && !packet.payload.is_empty() {
        match packet.payload {
            [first, ..] if first >> 4 != 4 && packet.payload.len() >= 20 => {
                packet.events.raise(Event::Icmpv4EmbeddedVersion);
            }
            quoted if quoted.len() < 20 => packet.events.raise(Event::Icmpv4EmbeddedTruncated),
            _ => {}
        }
    }
}

/// Reads an ICMPv6 message.
pub fn v6<'a>(packet: &mut Packet<'a>, data: &'a [u8]) {
    let Some(icmp) = message(packet, data, Event::Icmpv6TooSmall) else { return };
    packet.transport = Transport::Icmpv6(icmp);
    if data.len() < 8 {
        return;
    }
    let (last_code, quotes) = match icmp.icmp_type {
        1 => (8, true),
        2 => (0, true),
        3 => (1, true),
        4 => (10, true),
        128 | 129 => (0, false),
        // Multicast listener messages never leave the link (RFC 2710, 3; RFC 3810, 5).
        130..=132 | 143 => {
            let on_link = matches!(&packet.ip, Some(Ip::V6(ip)) if ip.hop_limit == 1);
            if !on_link {
                packet.events.raise(Event::Icmpv6MldHopLimit);
            }
            (0, false)
        }
        // Neighbour discovery and what came after it (IANA icmpv6-parameters); 138 has code 255.
        133..=137 | 141..=142 | 144..=155 | 157..=161 => (0, false),
        138..=140 => (255, false),
        100 | 101 | 200 | 201 => {
            packet.events.raise(Event::Icmpv6ExperimentationType);
            return;
        }
        5..=99 | 102..=126 | 156 | 162..=199 | 202..=254 => {
            packet.events.raise(Event::Icmpv6UnassignedType);
            return;
        }
        0 | 127 | 255 => {
            packet.events.raise(Event::Icmpv6UnknownType);
            return;
        }
    };
    if icmp.code > last_code {
        packet.events.raise(Event::Icmpv6UnknownCode);
    } else if quotes {
        match packet.payload {
            quoted if quoted.len() < 40 => packet.events.raise(Event::Icmpv6EmbeddedTruncated),
            [first, ..] if first >> 4 != 6 => packet.events.raise(Event::Icmpv6EmbeddedVersion),
            _ => {}
        }
    }
}

/// Type and code, and the payload behind the header.
fn message<'a>(packet: &mut Packet<'a>, data: &'a [u8], too_small: Event) -> Option<Icmp<'a>> {
    if data.len() < 8 {
        packet.events.raise(too_small);
    }
    let (header, payload) = data.split_at_checked(8).or_else(|| data.split_at_checked(4))?;
    let [icmp_type, code, ..] = header else { return None };
    packet.payload = payload;
    Some(Icmp { header, icmp_type: *icmp_type, code: *code })
}
