//! One line a packet, in the manner of Scapy's `summary()`: its layers, then who speaks to whom.
//!
//! ```text
//! 02:03:04.123456 Ether / 802.1Q 10 / IP / TCP 1.2.3.4:443 > 5.6.7.8:51000 PA, 1514 bytes
//! 02:03:04.123460 Ether / ARP who has 10.0.0.2 says 10.0.0.1, 60 bytes
//! ```

use std::net::{IpAddr, Ipv4Addr};

use crate::capture::LinkType;
use crate::decode::{Ip, Packet, Tcp, Transport};
use crate::output::field::{self, Calendar, protocol_name, put};

/// Writes packets as lines.
#[derive(Debug)]
pub struct Summary {
    clock: Calendar,
    iso: Calendar,
}

impl Default for Summary {
    fn default() -> Self {
        Self { clock: Calendar::new(Calendar::CLOCK), iso: Calendar::new(Calendar::ISO) }
    }
}

impl Summary {
    /// Appends the line for people. Times are UTC.
    pub fn line(&mut self, out: &mut Vec<u8>, packet: &Packet<'_>, interface: Option<&str>) {
        self.clock.write(out, packet.frame.time);
        out.push(b' ');
        if let Some(interface) = interface {
            field::one_line(out, interface);
            put(out, format_args!(" {} ", packet.frame.direction));
        }
        layers(out, packet);
        put(out, format_args!(", {} bytes", packet.frame.wire_len));
        if packet.frame.data.len() < packet.frame.wire_len as usize {
            put(out, format_args!(" ({} captured)", packet.frame.data.len()));
        }
        for (i, event) in packet.events.iter().enumerate() {
            let lead = if i == 0 { " [" } else { ", " };
            put(out, format_args!("{lead}{}", event.name()));
        }
        out.extend_from_slice(if packet.events.is_empty() { b"\n" } else { b"]\n" });
    }

    /// Appends one JSON object, with EVE's keys where EVE has the fact.
    pub fn json(&mut self, out: &mut Vec<u8>, packet: &Packet<'_>, interface: Option<&str>) {
        out.extend_from_slice(b"{\"timestamp\":\"");
        self.iso.write(out, packet.frame.time);
        out.extend_from_slice(b"+0000\"");
        if let Some(interface) = interface {
            out.extend_from_slice(b",\"in_iface\":");
            field::string(out, interface);
            put(out, format_args!(",\"pkt_direction\":\"{}\"", packet.frame.direction));
        }
        if packet.frame.number != 0 {
            put(out, format_args!(",\"pcap_cnt\":{}", packet.frame.number));
        }
        out.extend_from_slice(b",\"event_type\":\"packet\"");
        for (i, id) in packet.vlan.ids().enumerate() {
            put(out, format_args!("{}{id}", if i == 0 { ",\"vlan\":[" } else { "," }));
        }
        if !packet.vlan.is_empty() {
            out.push(b']');
        }
        put(out, format_args!(",\"ether_type\":{}", packet.ether_type));
        if let Some(ip) = &packet.ip {
            let ports = packet.ports();
            put(out, format_args!(",\"src_ip\":\"{}\"", ip.source()));
            if let Some((source, _)) = ports {
                put(out, format_args!(",\"src_port\":{source}"));
            }
            put(out, format_args!(",\"dest_ip\":\"{}\"", ip.destination()));
            if let Some((_, destination)) = ports {
                put(out, format_args!(",\"dest_port\":{destination}"));
            }
            out.extend_from_slice(b",\"proto\":\"");
            protocol(out, ip.protocol());
            out.push(b'"');
        }
        match &packet.transport {
            Transport::Tcp(tcp) => {
                out.extend_from_slice(b",\"tcp_flags\":\"");
                flags(out, tcp.flags);
                out.push(b'"');
            }
            Transport::Icmpv4(icmp) | Transport::Icmpv6(icmp) => {
                put(
                    out,
                    format_args!(",\"icmp_type\":{},\"icmp_code\":{}", icmp.icmp_type, icmp.code),
                );
            }
            _ => {}
        }
        let (wire, payload) = (packet.frame.wire_len, packet.payload.len());
        put(out, format_args!(",\"length\":{wire},\"payload_length\":{payload}"));
        for (i, event) in packet.events.iter().enumerate() {
            put(
                out,
                format_args!("{}\"{}\"", if i == 0 { ",\"events\":[" } else { "," }, event.name()),
            );
        }
        out.extend_from_slice(if packet.events.is_empty() { b"}\n" } else { b"]}\n" });
    }
}

/// Appends the bytes of a frame, 16 a line.
pub fn hex(out: &mut Vec<u8>, data: &[u8]) {
    for (row, chunk) in data.chunks(16).enumerate() {
        put(out, format_args!("    {:04x} ", row * 16));
        for at in 0..16 {
            match chunk.get(at) {
                Some(byte) => put(out, format_args!(" {byte:02x}")),
                None => out.extend_from_slice(b"   "),
            }
        }
        out.extend_from_slice(b"  ");
        out.extend(chunk.iter().map(|b| if (0x20..0x7f).contains(b) { *b } else { b'.' }));
        out.push(b'\n');
    }
}

fn layers(out: &mut Vec<u8>, packet: &Packet<'_>) {
    let link = match packet.frame.link {
        LinkType::Ethernet => "Ether / ",
        LinkType::RawIp => "",
        LinkType::Null => "Loopback / ",
        LinkType::LinuxSll => "SLL / ",
        LinkType::LinuxSll2 => "SLL2 / ",
        LinkType::Ppp => "PPP / ",
        LinkType::Chdlc => "CHDLC / ",
    };
    out.extend_from_slice(link.as_bytes());
    for id in packet.vlan.ids() {
        put(out, format_args!("802.1Q {id} / "));
    }
    let Some(ip) = &packet.ip else { return without_ip(out, packet) };
    let version = match ip {
        Ip::V4(_) => "IP",
        Ip::V6(_) => "IPv6",
    };
    let ends = |out: &mut Vec<u8>| match packet.ports() {
        Some((source, destination)) => {
            endpoint(out, ip.source(), source);
            out.extend_from_slice(b" > ");
            endpoint(out, ip.destination(), destination);
        }
        None => put(out, format_args!("{} > {}", ip.source(), ip.destination())),
    };
    put(out, format_args!("{version} / "));
    match &packet.transport {
        Transport::Tcp(tcp) => {
            out.extend_from_slice(b"TCP ");
            ends(out);
            out.push(b' ');
            flags(out, tcp.flags);
        }
        Transport::Udp(_) => {
            out.extend_from_slice(b"UDP ");
            ends(out);
        }
        Transport::Icmpv4(icmp) | Transport::Icmpv6(icmp) => {
            let v6 = matches!(packet.transport, Transport::Icmpv6(_));
            out.extend_from_slice(if v6 { b"ICMPv6 " } else { b"ICMP " });
            ends(out);
            match icmp_name(v6, icmp.icmp_type) {
                Some(name) => put(out, format_args!(" {name}")),
                None => put(out, format_args!(" type {}", icmp.icmp_type)),
            }
            if icmp.code != 0 {
                put(out, format_args!(" code {}", icmp.code));
            }
        }
        Transport::Sctp(_) => {
            out.extend_from_slice(b"SCTP ");
            ends(out);
        }
        Transport::Esp(esp) => {
            out.extend_from_slice(b"ESP ");
            ends(out);
            put(out, format_args!(" spi {:#x}", esp.spi));
        }
        Transport::Other | Transport::None => {
            protocol(out, ip.protocol());
            out.push(b' ');
            ends(out);
            if ip.is_fragment() {
                let (id, offset, more) = match ip {
                    Ip::V4(ip) => (u32::from(ip.id), ip.fragment_offset, ip.more_fragments),
                    Ip::V6(ip) => ip.fragment.map_or((0, 0, false), |f| (f.id, f.offset, f.more)),
                };
                let more = if more { "+" } else { "" };
                put(out, format_args!(" fragment {id:#x} @{offset}{more}"));
            }
        }
    }
    if !packet.payload.is_empty() && !matches!(packet.transport, Transport::None) {
        out.extend_from_slice(b" / Raw");
    }
}

fn without_ip(out: &mut Vec<u8>, packet: &Packet<'_>) {
    let name = match packet.ether_type {
        0x0806 => return arp(out, packet.payload),
        0x0800 => "IP (unreadable)",
        0x86dd => "IPv6 (unreadable)",
        0x8035 => "RARP",
        0x88cc => "LLDP",
        0x8847 | 0x8848 => "MPLS",
        0x8863 | 0x8864 => "PPPoE",
        0x888e => "EAPOL",
        0 => "no EtherType",
        other => return put(out, format_args!("EtherType {other:#06x}")),
    };
    out.extend_from_slice(name.as_bytes());
}

/// RFC 826, for IPv4 over Ethernet.
fn arp(out: &mut Vec<u8>, data: &[u8]) {
    let at = |from: usize| {
        data.get(from..from + 4).and_then(|b| <[u8; 4]>::try_from(b).ok()).map(Ipv4Addr::from)
    };
    match (data, at(14), at(24)) {
        ([_, _, 0x08, 0x00, 6, 4, 0, 1, ..], Some(sender), Some(target)) => {
            put(out, format_args!("ARP who has {target} says {sender}"));
        }
        ([_, _, 0x08, 0x00, 6, 4, 0, 2, a, b, c, d, e, f, ..], Some(sender), Some(_)) => put(
            out,
            format_args!("ARP {sender} is at {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"),
        ),
        ([_, _, _, _, _, _, high, low, ..], _, _) => {
            put(out, format_args!("ARP operation {}", u16::from_be_bytes([*high, *low])));
        }
        _ => out.extend_from_slice(b"ARP (unreadable)"),
    }
}

fn endpoint(out: &mut Vec<u8>, address: IpAddr, port: u16) {
    match address {
        IpAddr::V4(address) => put(out, format_args!("{address}:{port}")),
        IpAddr::V6(address) => put(out, format_args!("[{address}]:{port}")),
    }
}

fn protocol(out: &mut Vec<u8>, number: u8) {
    match protocol_name(number) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => put(out, format_args!("{number}")),
    }
}

/// Scapy's letters, lowest bit first: `SA` is SYN and ACK.
fn flags(out: &mut Vec<u8>, flags: u8) {
    const LETTERS: [(u8, u8); 8] = [
        (Tcp::FIN, b'F'),
        (Tcp::SYN, b'S'),
        (Tcp::RST, b'R'),
        (Tcp::PSH, b'P'),
        (Tcp::ACK, b'A'),
        (Tcp::URG, b'U'),
        (Tcp::ECE, b'E'),
        (Tcp::CWR, b'C'),
    ];
    let set = LETTERS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, letter)| *letter);
    let before = out.len();
    out.extend(set);
    if out.len() == before {
        out.extend_from_slice(b"-");
    }
}

fn icmp_name(v6: bool, icmp_type: u8) -> Option<&'static str> {
    Some(match (v6, icmp_type) {
        (false, 0) => "echo-reply",
        (false, 3) => "dest-unreach",
        (false, 4) => "source-quench",
        (false, 5) => "redirect",
        (false, 8) => "echo-request",
        (false, 9) => "router-advertisement",
        (false, 10) => "router-solicitation",
        (false, 11) => "time-exceeded",
        (false, 12) => "parameter-problem",
        (false, 13) => "timestamp-request",
        (false, 14) => "timestamp-reply",
        (true, 1) => "dest-unreach",
        (true, 2) => "packet-too-big",
        (true, 3) => "time-exceeded",
        (true, 4) => "parameter-problem",
        (true, 128) => "echo-request",
        (true, 129) => "echo-reply",
        (true, 130) => "MLD query",
        (true, 131) => "MLD report",
        (true, 132) => "MLD done",
        (true, 133) => "router-solicitation",
        (true, 134) => "router-advertisement",
        (true, 135) => "neighbor-solicitation",
        (true, 136) => "neighbor-advertisement",
        (true, 137) => "redirect",
        (true, 143) => "MLDv2 report",
        _ => return None,
    })
}
