//! Generated rules and packets over a small world, so that matches are frequent, and what rules mean,
//! written as plainly as can be.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use nids::capture::{Direction, Frame, LinkType, Timestamp};
use nids::decode::{Packet, Transport, Tunnels, decode};
use nids::detect::memory::Shared;
use nids::detect::subject::Subject;
use nids::detect::{Environment, Inspector, Ruleset, compile};
use nids::flow::{FlowDirection, FlowTable, FlowView, Limits};
use nids::rule::parser::parse_str;
use nids::stream;
use proptest::prelude::*;

/// A rule, as its text and as what it means.
#[derive(Clone, Debug)]
pub struct Rule {
    pub sid: u32,
    pub action: &'static str,
    pub protocol: &'static str,
    pub source: Address,
    pub source_port: Ports,
    pub both: bool,
    pub destination: Address,
    pub destination_port: Ports,
    pub priority: u8,
    pub options: Vec<Test>,
    pub contents: Vec<Content>,
}

/// An address group: text, members, and whether it is named by what it is not.
#[derive(Clone, Copy, Debug)]
pub struct Address(pub &'static str, pub fn(IpAddr) -> bool, pub bool);

/// A port group.
#[derive(Clone, Copy, Debug)]
pub struct Ports(pub &'static str, pub fn(u16) -> bool);

/// A keyword that is no content.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    pub text: &'static str,
    pub holds: fn(&Packet<'_>, Option<&FlowView>) -> bool,
    /// The rule may still be one of addresses only.
    pub of_addresses: bool,
}

/// A content.
#[derive(Clone, Debug)]
pub struct Content {
    pub bytes: Vec<u8>,
    pub negated: bool,
    pub nocase: bool,
    pub place: Place,
    pub endswith: bool,
    pub fast: bool,
}

/// Where a content is sought.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    Anywhere,
    Absolute(Option<u16>, Option<u16>),
    Start,
    Relative(Option<i32>, Option<u32>),
}

const fn any_address(_: IpAddr) -> bool {
    true
}
const fn any_port(_: u16) -> bool {
    true
}

/// `10.0.0.0/8` stands in the packets for home.
pub const ADDRESSES: [Address; 7] = [
    Address("any", any_address, false),
    Address("any", any_address, false),
    Address("any", any_address, false),
    Address("10.0.0.0/8", |a| matches!(a, IpAddr::V4(a) if a.octets()[0] == 10), false),
    Address(
        "[10.0.0.0/8,!10.0.0.0/9]",
        |a| matches!(a, IpAddr::V4(a) if a.octets()[0] == 10 && a.octets()[1] >= 128),
        true,
    ),
    Address("!10.0.0.0/8", |a| matches!(a, IpAddr::V4(a) if a.octets()[0] != 10), true),
    Address("2001:db8::/33", |a| matches!(a, IpAddr::V6(a) if a.segments()[2] < 0x8000), false),
];

pub const PORTS: [Ports; 8] = [
    Ports("any", any_port),
    Ports("any", any_port),
    Ports("any", any_port),
    Ports("80", |p| p == 80),
    Ports("[80,4000]", |p| p == 80 || p == 4000),
    Ports("!80", |p| p != 80),
    Ports("1024:", |p| p >= 1024),
    Ports("[:5000,!80]", |p| p <= 5000 && p != 80),
];

fn tcp_flags(packet: &Packet<'_>) -> Option<u8> {
    packet.tcp().map(|tcp| tcp.flags)
}
fn icmp(packet: &Packet<'_>) -> Option<(u8, u8)> {
    match &packet.transport {
        Transport::Icmpv4(icmp) | Transport::Icmpv6(icmp) => Some((icmp.icmp_type, icmp.code)),
        _ => None,
    }
}
fn ttl(packet: &Packet<'_>) -> u8 {
    packet.ip.as_ref().map_or(0, |ip| ip.ttl())
}
fn number(packet: &Packet<'_>) -> u8 {
    packet.ip.as_ref().map_or(255, |ip| match ip {
        nids::decode::Ip::V6(v6) if v6.fragment.is_some() => 44,
        ip => ip.protocol(),
    })
}
/// The payload rules see.
pub fn payload<'a>(packet: &Packet<'a>) -> &'a [u8] {
    match packet.transport {
        _ if packet.carrier => &[],
        Transport::Other | Transport::None => &[],
        _ => packet.payload,
    }
}
const fn test(text: &'static str, holds: fn(&Packet<'_>, Option<&FlowView>) -> bool) -> Test {
    Test { text, holds, of_addresses: false }
}

fn v4(packet: &Packet<'_>) -> Option<Vec<u8>> {
    match &packet.ip {
        Some(nids::decode::Ip::V4(ip)) => Some(ip.header.to_vec()),
        _ => None,
    }
}
fn bits(packet: &Packet<'_>) -> Option<u8> {
    v4(packet).map(|header| header[6] >> 5)
}
fn ip_options(packet: &Packet<'_>) -> Option<Vec<u8>> {
    v4(packet).map(|header| header[20..].to_vec())
}
fn tcp_word(packet: &Packet<'_>, at: usize) -> Option<u32> {
    let tcp = packet.tcp()?;
    Some(u32::from_be_bytes(tcp.header[at..at + 4].try_into().unwrap()))
}
fn tcp_options(packet: &Packet<'_>) -> Option<Vec<u8>> {
    packet.tcp().map(|tcp| tcp.header[20..].to_vec())
}
fn has(bytes: &[u8], sought: &[u8]) -> bool {
    bytes.windows(sought.len()).any(|window| window == sought)
}
/// Identifier and sequence number of echo and timestamp.
fn icmp_query(packet: &Packet<'_>) -> Option<(u16, u16)> {
    let icmp = match &packet.transport {
        Transport::Icmpv4(icmp) if [0, 8, 13].contains(&icmp.icmp_type) => icmp,
        Transport::Icmpv6(icmp) if [128, 129].contains(&icmp.icmp_type) => icmp,
        _ => return None,
    };
    let word = |at: usize| u16::from_be_bytes([icmp.header[at], icmp.header[at + 1]]);
    Some((word(4), word(6)))
}

/// IP options of packets: none, a record of the route, padding, timestamps.
pub const IP_OPTIONS: [&[u8]; 4] =
    [&[], &[7, 7, 4, 1, 1, 1, 1, 0], &[1, 1, 1, 1], &[68, 8, 5, 0, 0, 0, 0, 0]];
/// TCP options: none, a segment size, another and a scale, timestamps.
pub const TCP_OPTIONS: [&[u8]; 4] =
    [&[], &[2, 4, 5, 0xb4], &[2, 4, 2, 0x18, 1, 3, 3, 7], &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0]];

/// Keywords for any protocol.
pub const COMMON: [Test; 27] = [
    test("id:7;", |p, _| v4(p).is_some_and(|h| h[4..6] == [0, 7])),
    test("tos:8;", |p, _| v4(p).is_some_and(|h| h[1] == 8)),
    test("tos:!x08;", |p, _| v4(p).is_some_and(|h| h[1] != 8)),
    test("fragbits:D;", |p, _| bits(p) == Some(2)),
    test("fragbits:+D;", |p, _| bits(p).is_some_and(|b| b & 2 != 0 && b != 2)),
    test("fragbits:*MR;", |p, _| bits(p).is_some_and(|b| b & 5 != 0)),
    test("fragbits:!D;", |p, _| bits(p).is_some_and(|b| b & 2 == 0)),
    test("fragoffset:1;", |p, _| v4(p).is_some_and(|h| h[7] == 1)),
    test("fragoffset:<1;", |p, _| v4(p).is_some_and(|h| h[7] == 0)),
    test("fragoffset:>1;", |p, _| number(p) == 44),
    test("ipopts:rr;", |p, _| ip_options(p).is_some_and(|o| o == IP_OPTIONS[1])),
    test("ipopts:eol;", |p, _| ip_options(p).is_some_and(|o| o == IP_OPTIONS[1])),
    test("ipopts:nop;", |p, _| ip_options(p).is_some_and(|o| o == IP_OPTIONS[2])),
    test("decode-event:ipv4.opt_pad_required;", |p, _| {
        ip_options(p).is_some_and(|o| o == IP_OPTIONS[2])
    }),
    test("ip.src; content:\"|0a|\"; startswith;", |p, _| v4(p).is_some_and(|h| h[12] == 10)),
    test("ipv4.hdr; content:\"|01 01 01|\";", |p, _| v4(p).is_some_and(|h| has(&h, &[1, 1, 1]))),
    test("ipv4.hdr; content:!\"|01 01 01|\";", |p, _| v4(p).is_some_and(|h| !has(&h, &[1, 1, 1]))),
    test("ipv6.hdr; content:\"|60|\"; startswith;", |p, _| p.ip.is_some() && v4(p).is_none()),
    test("dsize:0;", |p, _| payload(p).is_empty()),
    test("dsize:>0;", |p, _| !payload(p).is_empty()),
    test("dsize:2<>9;", |p, _| (3..=8).contains(&payload(p).len())),
    test("dsize:!6;", |p, _| !matches!(payload(p).len(), 0 | 6)),
    test("ttl:64;", |p, _| ttl(p) == 64),
    test("ttl:63-65;", |p, _| ttl(p) == 64),
    test("ttl:<64;", |p, _| ttl(p) < 64),
    test("ttl:!64;", |p, _| ttl(p) != 64),
    test("sameip;", |p, _| p.ip.as_ref().is_some_and(|ip| ip.source() == ip.destination())),
];
pub const TCP: [Test; 18] = [
    test("seq:7;", |p, _| tcp_word(p, 4) == Some(7)),
    test("ack:0;", |p, _| tcp_word(p, 8) == Some(0)),
    test("window:512;", |p, _| tcp_word(p, 12).is_some_and(|w| w & 0xffff == 512)),
    test("window:!512;", |p, _| tcp_word(p, 12).is_some_and(|w| w & 0xffff != 512)),
    test("tcp.mss:1460;", |p, _| tcp_options(p).is_some_and(|o| o == TCP_OPTIONS[1])),
    test("tcp.mss:<1460;", |p, _| tcp_options(p).is_some_and(|o| o == TCP_OPTIONS[2])),
    test("tcp.hdr; content:\"|02 04|\"; offset:20; depth:2;", |p, _| {
        tcp_options(p).is_some_and(|o| o.starts_with(&[2, 4]))
    }),
    test("tcp.hdr; content:!\"|02 04|\"; offset:20;", |p, _| {
        tcp_options(p).is_some_and(|o| !has(&o, &[2, 4]))
    }),
    test("flow.age:0;", |_, f| f.is_some()),
    test("flags:S;", |p, _| tcp_flags(p) == Some(0x02)),
    test("flags:S,12;", |p, _| tcp_flags(p).is_some_and(|f| f & 0x3f == 0x02)),
    test("flags:A+;", |p, _| tcp_flags(p).is_some_and(|f| f & 0x10 != 0)),
    test("flags:PA;", |p, _| tcp_flags(p) == Some(0x18)),
    test("flags:*FR;", |p, _| tcp_flags(p).is_some_and(|f| f & 0x05 != 0)),
    test("flags:+FA;", |p, _| tcp_flags(p).is_some_and(|f| f & 0x11 == 0x11)),
    test("flags:R;", |p, _| tcp_flags(p) == Some(0x04)),
    test("flags:!A;", |p, _| tcp_flags(p).is_some_and(|f| f & 0x10 == 0)),
    test("flags:0;", |p, _| tcp_flags(p) == Some(0)),
];
pub const UDP: [Test; 1] = [test("udp.hdr; content:\"|00 08|\"; offset:4; depth:2;", |p, _| {
    matches!(p.transport, Transport::Udp(_)) && p.payload.is_empty()
})];
pub const ICMP: [Test; 8] = [
    test("icmp_id:7;", |p, _| icmp_query(p).is_some_and(|(id, _)| id == 7)),
    test("icmp_seq:8;", |p, _| icmp_query(p).is_some_and(|(_, sequence)| sequence == 8)),
    test("icmpv4.hdr; content:\"|00 07|\"; offset:4; depth:2;", |p, _| match &p.transport {
        Transport::Icmpv4(icmp) => icmp.header[4..6] == [0, 7],
        _ => false,
    }),
    test("itype:8;", |p, _| icmp(p).is_some_and(|(t, _)| t == 8)),
    test("itype:<9;", |p, _| icmp(p).is_some_and(|(t, _)| t < 9)),
    test("itype:7<>14;", |p, _| icmp(p).is_some_and(|(t, _)| (8..14).contains(&t))),
    test("icode:0;", |p, _| icmp(p).is_some_and(|(_, c)| c == 0)),
    test("icode:!1;", |p, _| icmp(p).is_some_and(|(_, c)| c != 1)),
];
pub const IP: [Test; 4] = [
    Test { text: "ip_proto:6;", holds: |p, _| number(p) == 6, of_addresses: true },
    Test { text: "ip_proto:!tcp;", holds: |p, _| number(p) != 6, of_addresses: true },
    Test { text: "ip_proto:>20;", holds: |p, _| number(p) > 20, of_addresses: true },
    Test { text: "ip_proto:<7;", holds: |p, _| number(p) < 7, of_addresses: true },
];
fn way(flow: Option<&FlowView>) -> FlowDirection {
    flow.map_or(FlowDirection::ToServer, |flow| flow.direction)
}
pub const FLOW: [Test; 12] = [
    test("flow.pkts:toserver,>1;", |_, f| f.is_some_and(|f| f.packets_to_server > 1)),
    test("flow.pkts_toclient:<2;", |_, f| f.is_some_and(|f| f.packets_to_client < 2)),
    test("flow.bytes:either,>100;", |_, f| {
        f.is_some_and(|f| f.bytes_to_server > 100 || f.bytes_to_client > 100)
    }),
    test("flow.bytes:both,>40;", |_, f| {
        f.is_some_and(|f| f.bytes_to_server > 40 && f.bytes_to_client > 40)
    }),
    test("flow:to_server;", |_, f| way(f) == FlowDirection::ToServer),
    test("flow:to_client;", |_, f| way(f) == FlowDirection::ToClient),
    test("flow:established;", |_, f| f.is_some_and(|f| f.established)),
    test("flow:not_established;", |_, f| f.is_some_and(|f| !f.established)),
    test("flow:stateless;", |_, f| f.is_some()),
    test("flow:established,to_server;", |_, f| {
        f.is_some_and(|f| f.established && f.direction == FlowDirection::ToServer)
    }),
    test("flow:from_server,established;", |_, f| {
        f.is_some_and(|f| f.established && f.direction == FlowDirection::ToClient)
    }),
    test("flow:no_stream;", |_, _| true),
];

impl Rule {
    /// Its text.
    pub fn text(&self) -> String {
        let mut out = format!(
            "{} {} {} {} {} {} {} (msg:\"rule {}\";",
            self.action,
            self.protocol,
            self.source.0,
            self.source_port.0,
            if self.both { "<>" } else { "->" },
            self.destination.0,
            self.destination_port.0,
            self.sid
        );
        // What is sought in headers stands behind what is sought in the payload.
        let is_buffer = |option: &&Test| option.text.contains("content:");
        for option in self.options.iter().filter(|option| !is_buffer(option)) {
            let _ = write!(out, " {}", option.text);
        }
        for content in &self.contents {
            content.write(&mut out);
        }
        for option in self.options.iter().filter(is_buffer) {
            let _ = write!(out, " {}", option.text);
        }
        let _ = write!(out, " priority:{}; sid:{};)", self.priority, self.sid);
        out
    }

    /// How often it matches the packet: twice where both ways of a `<>` do.
    pub fn matches(&self, packet: &Packet<'_>, flow: Option<&FlowView>) -> usize {
        // Rules know no flows of other protocols.
        let flow = flow.filter(|_| !matches!(packet.transport, Transport::Other));
        let there = self.matches_one_way(packet, flow);
        let mut swapped = self.clone();
        std::mem::swap(&mut swapped.source, &mut swapped.destination);
        std::mem::swap(&mut swapped.source_port, &mut swapped.destination_port);
        let equal =
            self.source.0 == swapped.source.0 && self.source_port.0 == swapped.source_port.0;
        let back = self.both && !equal && swapped.matches_one_way(packet, flow);
        usize::from(there) + usize::from(back)
    }

    fn matches_one_way(&self, packet: &Packet<'_>, flow: Option<&FlowView>) -> bool {
        let Some(ip) = &packet.ip else { return false };
        let protocol = match self.protocol {
            "tcp" | "tcp-pkt" => number(packet) == 6,
            "udp" => number(packet) == 17,
            "icmp" => matches!(number(packet), 1 | 58),
            _ => true,
        };
        let ports = match packet.ports() {
            Some((source, destination)) => {
                (self.source_port.1)(source) && (self.destination_port.1)(destination)
            }
            None => self.source_port.0 == "any" && self.destination_port.0 == "any",
        };
        let addresses = (self.source.1)(ip.source()) && (self.destination.1)(ip.destination());
        let options = self.options.iter().all(|option| (option.holds)(packet, flow));
        let once = self.contents.is_empty()
            && self.action != "pass"
            && !self.source.2
            && !self.destination.2
            && self.options.iter().all(|option| option.of_addresses);
        let first = flow.is_none_or(|flow| match flow.direction {
            FlowDirection::ToServer => flow.packets_to_server == 1,
            FlowDirection::ToClient => flow.packets_to_client == 1,
        });
        let payload = payload(packet);
        let contents =
            self.contents.is_empty() || !payload.is_empty() && hold(&self.contents, 0, payload);
        protocol && ports && addresses && options && (!once || first) && contents
    }
}

/// Whether there is a choice of hits that fits: every one is tried.
fn hold(contents: &[Content], cursor: usize, payload: &[u8]) -> bool {
    let Some((content, rest)) = contents.split_first() else { return true };
    let length = content.bytes.len();
    let (start, end) = match content.place {
        Place::Anywhere => (0, None),
        Place::Absolute(offset, depth) => {
            let offset = i64::from(offset.unwrap_or(0));
            (offset, depth.map(|depth| offset + i64::from(depth)))
        }
        Place::Start => (0, Some(length as i64)),
        Place::Relative(distance, within) => {
            let start = cursor as i64 + i64::from(distance.unwrap_or(0));
            (start, within.map(|within| start + i64::from(within)))
        }
    };
    let fits = |at: usize| {
        let last = at + length;
        at as i64 >= start
            && end.is_none_or(|end| last as i64 <= end)
            && (!content.endswith || last == payload.len())
            && payload.get(at..last).is_some_and(|found| match content.nocase {
                true => found.eq_ignore_ascii_case(&content.bytes),
                false => found == content.bytes,
            })
    };
    let mut hits = (0..payload.len()).filter(|at| fits(*at));
    match content.negated {
        true => hits.next().is_none() && hold(rest, cursor, payload),
        false => hits.any(|at| hold(rest, at + length, payload)),
    }
}

impl Content {
    fn write(&self, out: &mut String) {
        let _ = write!(out, " content:{}\"|", if self.negated { "!" } else { "" });
        for byte in &self.bytes {
            let _ = write!(out, "{byte:02x} ");
        }
        out.push_str("|\";");
        match self.place {
            Place::Anywhere => {}
            Place::Start => out.push_str(" startswith;"),
            Place::Absolute(offset, depth) => {
                offset.map(|value| write!(out, " offset:{value};"));
                depth.map(|value| write!(out, " depth:{value};"));
            }
            Place::Relative(distance, within) => {
                distance.map(|value| write!(out, " distance:{value};"));
                within.map(|value| write!(out, " within:{value};"));
            }
        }
        for (on, text) in [
            (self.nocase, " nocase;"),
            (self.endswith, " endswith;"),
            (self.fast, " fast_pattern;"),
        ] {
            if on {
                out.push_str(text);
            }
        }
    }
}

/// Numbers of [`wrapped`]: the first half wraps, the others leave the frame as it is.
pub const WRAPS: u8 = 40;

/// The frame in a tunnel or behind headers that lie between its link layer and IP, or with extension
/// headers.
pub fn wrapped(wrap: u8, frame: Vec<u8>) -> Vec<u8> {
    let v6 = frame[12] == 0x86;
    let ip = &frame[14..];
    let outer = |protocol: u8, head: &[u8], inside: &[u8]| {
        let length = (20 + head.len() + inside.len()) as u16;
        let mut out = frame[..12].to_vec();
        out.extend([8, 0, 0x45, 0]);
        out.extend(length.to_be_bytes());
        out.extend([0, 1, 0, 0, 64, protocol, 0, 0, 10, 200, 0, 1, 10, 200, 0, 2]);
        out.extend([head, inside].concat());
        out
    };
    let udp = |port: u16, head: &[u8], inside: &[u8]| {
        let length = (8 + head.len() + inside.len()) as u16;
        let ports = [[156, 64], port.to_be_bytes(), length.to_be_bytes(), [0, 0]].concat();
        outer(17, &[&ports, head].concat(), inside)
    };
    let udp_from = |port: u16, head: &[u8], inside: &[u8]| {
        let mut out = udp(port, head, inside);
        out[34..38].rotate_left(2);
        out
    };
    match wrap {
        0 => outer(if v6 { 41 } else { 4 }, &[], ip),
        1 => outer(47, &[0, 0, 0x65, 0x58], &frame),
        2 => udp(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &frame),
        3 => udp(6081, &[0, 0, 0x65, 0x58, 0, 0, 1, 0], &frame),
        4 if v6 => udp(3544, &[], ip),
        5 => [&frame[..12], &[0x88, 0x47, 0, 1, 1, 0xff], ip].concat(),
        // GRE with IP right inside.
        6 => outer(47, &[0, 0, frame[12], frame[13]], ip),
        // To the server's port in one direction is from it in the other.
        7 => udp_from(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &frame),
        // PPPoE session; length, then PPP's protocol.
        8 => {
            let length = (2 + ip.len()) as u16;
            let ppp = if v6 { 0x57 } else { 0x21 };
            let session = [0x88, 0x64, 0x11, 0, 0, 1];
            [&frame[..12], &session, &length.to_be_bytes(), &[0, ppp], ip].concat()
        }
        // Provider backbone: the tag, both addresses of the customer.
        9 => {
            let tag = [0x88, 0xe7, 0, 0, 0, 1];
            [&frame[..12], &tag, &frame[..12], &frame[12..]].concat()
        }
        // NSH of type 2 without metadata, over Ethernet.
        10 => {
            let next = if v6 { 2 } else { 1 };
            let nsh = [0x89, 0x4f, 0x0f, 0xc2, 2, next, 0, 0, 1, 255];
            [&frame[..12], &nsh, ip].concat()
        }
        // Three tags: one more than the kernel half looks behind.
        11 => {
            let tags = [0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x81, 0, 0, 7];
            [&frame[..12], &tags, &frame[12..]].concat()
        }
        // A tunnel in a tunnel.
        12 => wrapped(0, wrapped(2, frame)),
        13 => wrapped(2, wrapped(1, frame)),
        // Extension headers: those both halves follow, those only the agent does, more than the kernel
        // half follows.
        14 if v6 => extended(&frame, &[60]),
        15 if v6 => extended(&frame, &[135]),
        16 if v6 => extended(&frame, &[139]),
        17 if v6 => extended(&frame, &[43, 140, 60]),
        18 if v6 => extended(&frame, &[60; 8]),
        // Labels down to a pseudowire.
        19 => {
            let labels = [0x88, 0x47, 0, 1, 0, 0xff, 0, 2, 1, 0xff, 0, 0, 0, 0];
            [&frame[..12], &labels, &frame].concat()
        }
        _ => frame,
    }
}

/// The frame with an extension header of each of these types before its transport.
fn extended(frame: &[u8], kinds: &[u8]) -> Vec<u8> {
    let mut out = frame[..54].to_vec();
    let length = (frame.len() - 54 + 8 * kinds.len()) as u16;
    out[18..20].copy_from_slice(&length.to_be_bytes());
    let mut next = frame[20];
    let mut headers = Vec::new();
    for kind in kinds.iter().rev() {
        headers.splice(0..0, [next, 0, 1, 4, 0, 0, 0, 0]);
        next = *kind;
    }
    out[20] = next;
    out.extend(headers);
    out.extend(&frame[54..]);
    out
}

/// Compiles rules, all of which must be honoured.
pub fn compiled(rules: &[Rule]) -> Ruleset {
    let text: String = rules.iter().map(|rule| rule.text() + "\n").collect();
    let file: Arc<Path> = Path::new("generated.rules").into();
    let parsed = parse_str(&file, &text);
    assert!(parsed.refusals.is_empty(), "{:?}", parsed.refusals);
    let compiled = compile(&parsed.rules, &Environment::default());
    assert!(compiled.refusals.is_empty(), "{text}: {:?}", compiled.refusals);
    compiled.ruleset
}

/// What the rules should tell of a packet, in order.
pub fn expected(rules: &[Rule], packet: &Packet<'_>, flow: Option<&FlowView>) -> Vec<u32> {
    let mut matched: Vec<&Rule> = Vec::new();
    for rule in rules {
        matched.extend(std::iter::repeat_n(rule, rule.matches(packet, flow)));
    }
    if matched.iter().any(|rule| rule.action == "pass") {
        return Vec::new();
    }
    let action = |rule: &Rule| ["drop", "reject", "alert"].iter().position(|a| *a == rule.action);
    matched.sort_by_key(|rule| (action(rule), rule.priority, rule.sid));
    matched.iter().map(|rule| rule.sid).collect()
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let bytes =
        |longest| prop::collection::vec(prop::sample::select(&b"aAbBc\xff"[..]), 1..=longest);
    // Those of more than four bytes are cut for the prefilter.
    prop_oneof![5 => bytes(3), 1 => bytes(7)]
}

fn content() -> impl Strategy<Value = Content> {
    let place = |length: usize| {
        let length16 = length as u16;
        let depth = length16..length16 + 8;
        let within = length as u32..length as u32 + 6;
        prop_oneof![
            4 => Just(Place::Anywhere),
            2 => (prop::option::of(0..6_u16), prop::option::of(depth))
                .prop_map(|(offset, depth)| match (offset, depth) {
                    (None, None) => Place::Anywhere,
                    _ => Place::Absolute(offset, depth),
                }),
            1 => Just(Place::Start),
            6 => (prop::option::of(-3..4_i32), prop::option::of(within))
                .prop_map(|(distance, within)| match (distance, within) {
                    (None, None) => Place::Relative(Some(0), None),
                    _ => Place::Relative(distance, within),
                }),
        ]
    };
    (bytes(), prop::bool::weighted(0.2), any::<bool>(), prop::bool::weighted(0.1)).prop_flat_map(
        move |(bytes, negated, nocase, endswith)| {
            let length = bytes.len();
            place(length).prop_map(move |place| Content {
                bytes: bytes.clone(),
                negated,
                nocase,
                place,
                endswith,
                fast: false,
            })
        },
    )
}

/// Any rule; the sid is set by [`rules`].
pub fn rule() -> impl Strategy<Value = Rule> {
    let option = prop::option::weighted::<prop::sample::Select<Test>>;
    (
        prop::sample::select(&["alert", "alert", "alert", "alert", "drop", "reject", "pass"][..]),
        prop::sample::select(&["tcp", "tcp", "tcp", "udp", "icmp", "ip", "tcp-pkt"][..]),
        (prop::sample::select(&ADDRESSES[..]), prop::sample::select(&ADDRESSES[..])),
        (prop::sample::select(&PORTS[..]), prop::sample::select(&PORTS[..])),
        prop::bool::weighted(0.1),
        1..4_u8,
        (
            option(0.4, prop::sample::select(&COMMON[..])),
            option(0.2, prop::sample::select(&UDP[..])),
            option(0.4, prop::sample::select(&TCP[..])),
            option(0.3, prop::sample::select(&ICMP[..])),
            option(0.3, prop::sample::select(&IP[..])),
            option(0.3, prop::sample::select(&FLOW[..])),
        ),
        prop::collection::vec(content(), 0..5),
        prop::option::weighted(0.3, any::<prop::sample::Index>()),
    )
        .prop_map(
            |(
                action,
                protocol,
                (source, destination),
                ports,
                both,
                priority,
                tests,
                contents,
                fast,
            )| {
                let (common, udp, tcp, icmp, ip, flow) = tests;
                let mut rule = Rule {
                    sid: 0,
                    action,
                    protocol,
                    source,
                    source_port: ports.0,
                    both,
                    destination,
                    destination_port: ports.1,
                    priority,
                    options: Vec::new(),
                    contents,
                };
                let protocol_test = match protocol {
                    "tcp" | "tcp-pkt" => tcp,
                    "udp" => udp,
                    "icmp" => icmp,
                    "ip" => ip,
                    _ => None,
                };
                rule.options.extend([common, protocol_test, flow].into_iter().flatten());
                // A content longer than `dsize` allows is refused.
                if rule
                    .options
                    .iter()
                    .any(|option| matches!(option.text, "dsize:0;" | "dsize:2<>9;"))
                {
                    rule.contents.clear();
                }
                if protocol == "icmp" {
                    // Without ports such a rule matches nothing (as in Suricata).
                    rule.source_port = PORTS[0];
                    rule.destination_port = PORTS[0];
                }
                if let Some(index) = fast
                    && !rule.contents.is_empty()
                {
                    let at = index.index(rule.contents.len());
                    let content = &mut rule.contents[at];
                    content.fast = !content.negated;
                }
                rule
            },
        )
}

/// Rules with sids of their own.
pub fn rules(most: usize) -> impl Strategy<Value = Vec<Rule>> {
    prop::collection::vec(rule(), 1..=most).prop_map(numbered)
}

/// Rules that ask little of a packet but its ports and flow, so that they match often.
pub fn plain_rules(most: usize) -> impl Strategy<Value = Vec<Rule>> {
    let plain = rule().prop_map(|mut rule| {
        rule.source = ADDRESSES[0];
        rule.destination = ADDRESSES[0];
        rule.contents.truncate(1);
        rule
    });
    prop::collection::vec(plain, 1..=most).prop_map(numbered)
}

fn numbered(mut rules: Vec<Rule>) -> Vec<Rule> {
    for (sid, rule) in (1..).zip(&mut rules) {
        rule.sid = sid;
    }
    rules
}

/// A packet, from which its bytes are made.
#[derive(Clone, Debug)]
pub struct PacketSpec {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub ttl: u8,
    pub layer: Layer,
    pub fields: Fields,
    pub payload: Vec<u8>,
}

/// Fields of its headers that few rules ask for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields {
    pub tos: u8,
    pub id: u16,
    /// Reserved, don't fragment, as they lie.
    pub bits: u8,
    pub ip_options: &'static [u8],
    pub tcp_options: &'static [u8],
    pub window: u16,
    pub icmp: [u8; 4],
}

fn fields() -> impl Strategy<Value = Fields> {
    let rare = prop::bool::weighted(0.3);
    (
        (rare, 6..9_u16, prop::sample::select(&[0_u8, 0x40, 0x40, 0x80, 0xc0][..])),
        prop::sample::select(&IP_OPTIONS[..]),
        prop::sample::select(&TCP_OPTIONS[..]),
        prop::sample::select(&[512_u16, 4096][..]),
        prop::sample::select(&[[0_u8, 1, 0, 1], [0, 7, 0, 8], [0, 8, 0, 7]][..]),
    )
        .prop_map(|((tos, id, bits), ip_options, tcp_options, window, icmp)| Fields {
            tos: if tos { 8 } else { 0 },
            id,
            bits,
            ip_options,
            tcp_options,
            window,
            icmp,
        })
}

/// Its transport layer.
#[derive(Clone, Copy, Debug)]
pub enum Layer {
    Tcp {
        ports: (u16, u16),
        flags: u8,
        seq: u32,
        ack: u32,
    },
    Udp {
        ports: (u16, u16),
    },
    Icmp {
        kind: u8,
        code: u8,
    },
    /// A protocol nothing is known of.
    Other(u8),
    /// A fragment of a datagram of this protocol.
    Fragment(u8),
}

impl PacketSpec {
    /// An Ethernet frame, or the IP packet alone.
    pub fn bytes(&self, ethernet: bool) -> Vec<u8> {
        let v6 = self.source.is_ipv6();
        let mut body = Vec::new();
        let protocol = match self.layer {
            Layer::Tcp { ports, flags, seq, ack } => {
                body.extend(ports.0.to_be_bytes());
                body.extend(ports.1.to_be_bytes());
                body.extend(seq.to_be_bytes());
                body.extend(ack.to_be_bytes());
                let words = 5 + self.fields.tcp_options.len() as u8 / 4;
                body.extend([words << 4, flags]);
                body.extend(self.fields.window.to_be_bytes());
                body.extend([0, 0, 0, 0]);
                body.extend(self.fields.tcp_options);
                6
            }
            Layer::Udp { ports } => {
                body.extend(ports.0.to_be_bytes());
                body.extend(ports.1.to_be_bytes());
                body.extend((8 + self.payload.len() as u16).to_be_bytes());
                body.extend([0, 0]);
                17
            }
            Layer::Icmp { kind, code } => {
                body.extend([kind, code, 0, 0]);
                body.extend(self.fields.icmp);
                if v6 { 58 } else { 1 }
            }
            Layer::Other(number) | Layer::Fragment(number) => number,
        };
        body.extend(&self.payload);
        let fragment = matches!(self.layer, Layer::Fragment(_));
        let mut out = Vec::new();
        if ethernet {
            out.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
            out.extend(if v6 { [0x86, 0xdd] } else { [0x08, 0x00] });
        }
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let options = self.fields.ip_options;
                let mut header = vec![0x45 + options.len() as u8 / 4, self.fields.tos];
                header.extend((20 + options.len() as u16 + body.len() as u16).to_be_bytes());
                header.extend(self.fields.id.to_be_bytes());
                // A fragment: eight bytes in, more follow.
                let more = if fragment { 0x20 } else { 0 };
                header.extend([self.fields.bits | more, u8::from(fragment)]);
                header.extend([self.ttl, protocol, 0, 0]);
                header.extend(source.octets());
                header.extend(destination.octets());
                header.extend(options);
                let sum: u32 = header
                    .chunks(2)
                    .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
                    .sum();
                let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                out.extend(header);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let extension = if fragment { 8 } else { 0 };
                out.extend([0x60, 0, 0, 0]);
                out.extend((extension + body.len() as u16).to_be_bytes());
                out.extend([if fragment { 44 } else { protocol }, self.ttl]);
                out.extend(source.octets());
                out.extend(destination.octets());
                if fragment {
                    out.extend([protocol, 0, 0, 9, 0, 0, 0, 1]);
                }
            }
            _ => unreachable!("both of one version"),
        }
        out.extend(body);
        out
    }
}

/// The frame around these bytes, `number`th of its source, a millisecond after the one before.
pub fn frame(data: &[u8], ethernet: bool, number: u64) -> Frame<'_> {
    Frame {
        time: Timestamp(1_700_000_000_000_000_000 + number * 1_000_000),
        link: if ethernet { LinkType::Ethernet } else { LinkType::RawIp },
        data,
        wire_len: data.len() as u32,
        port: 0,
        direction: Direction::Ingress,
        vlan_offload: None,
        number,
    }
}

pub fn payload_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => Just(Vec::new()),
        3 => prop::collection::vec(prop::sample::select(&b"aAbBc\xff."[..]), 0..16),
    ]
}

fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    let pair = |list: &'static [&'static str]| {
        (prop::sample::select(list), prop::sample::select(list))
            .prop_map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap()))
    };
    prop_oneof![
        3 => pair(&["10.0.0.1", "10.200.0.1", "192.0.2.1"]),
        1 => pair(&["2001:db8::1", "2001:db8:9000::1"]),
    ]
}

pub const FLAGS: [u8; 12] =
    [0x02, 0x12, 0x10, 0x18, 0x18, 0x18, 0x11, 0x04, 0x14, 0x00, 0xc2, 0x29];

fn port() -> impl Strategy<Value = u16> {
    prop::sample::select(&[80_u16, 4000, 1024, 65_535, 53][..])
}

fn layer() -> impl Strategy<Value = Layer> {
    prop_oneof![
        6 => (port(), port(), prop::sample::select(&FLAGS[..]), 0..50_u32, 0..50_u32)
            .prop_map(|(a, b, flags, seq, ack)| Layer::Tcp { ports: (a, b), flags, seq, ack }),
        2 => (port(), port()).prop_map(|ports| Layer::Udp { ports }),
        2 => (prop::sample::select(&[0_u8, 8, 13, 42, 128, 129][..]), 0..2_u8)
            .prop_map(|(kind, code)| Layer::Icmp { kind, code }),
        1 => prop::sample::select(&[2_u8, 89, 253][..]).prop_map(Layer::Other),
        1 => prop::sample::select(&[6_u8, 17, 1][..]).prop_map(Layer::Fragment),
    ]
}

/// Any packet.
pub fn packet() -> impl Strategy<Value = PacketSpec> {
    (addresses(), 62..67_u8, layer(), fields(), payload_bytes()).prop_map(
        |((source, destination), ttl, layer, fields, payload)| PacketSpec {
            source,
            destination,
            ttl,
            layer,
            fields,
            payload,
        },
    )
}

/// Packets of a few connections and exchanges, in order; some are missing, as if the sensor had come
/// late.
pub fn traffic() -> impl Strategy<Value = Vec<PacketSpec>> {
    prop::collection::vec(prop_oneof![3 => connection(), 1 => exchange()], 1..4)
        .prop_map(|parts| parts.into_iter().flatten().collect())
}

/// Ends of a connection: FIN and RST of the client, or in capitals of the server.
const ENDS: &[&[u8]] = &[b"", b"fF", b"Ff", b"f", b"r", b"R"];

/// A TCP connection: handshake, data and ACKs both ways, an end; each packet may be missing.
fn connection() -> impl Strategy<Value = Vec<PacketSpec>> {
    let step = (any::<bool>(), payload_bytes(), prop::bool::weighted(0.05));
    let end = prop::sample::select(ENDS);
    (
        addresses(),
        (port(), port()),
        prop::bool::weighted(0.8),
        prop::collection::vec(step, 0..8),
        end,
        prop::collection::vec(prop::bool::weighted(0.95), 16),
    )
        .prop_map(
            |((client, server), (client_port, server_port), handshake, steps, end, kept)| {
                let mut out = Vec::new();
                let mut sequence = [1000_u32, 5000];
                let mut push = |from_client: bool, flags: u8, payload: &[u8]| {
                    let (me, you) = if from_client { (0, 1) } else { (1, 0) };
                    let ack = if flags & 0x10 == 0 { 0 } else { sequence[you] };
                    let (source, destination, ports) = match from_client {
                        true => (client, server, (client_port, server_port)),
                        false => (server, client, (server_port, client_port)),
                    };
                    let layer = Layer::Tcp { ports, flags, seq: sequence[me], ack };
                    let payload = payload.to_vec();
                    sequence[me] += payload.len() as u32 + u32::from(flags & 0x03 != 0);
                    let fields = Fields { window: 4096, ..Fields::default() };
                    out.push(PacketSpec { source, destination, ttl: 64, layer, fields, payload });
                };
                if handshake {
                    push(true, 0x02, b"");
                    push(false, 0x12, b"");
                    push(true, 0x10, b"");
                }
                for (from_client, payload, urgent) in &steps {
                    let flags = if payload.is_empty() { 0x10 } else { 0x18 };
                    push(*from_client, flags | if *urgent { 0x20 } else { 0 }, payload);
                }
                for letter in end {
                    let flags = if letter.eq_ignore_ascii_case(&b'f') { 0x11 } else { 0x04 };
                    push(letter.is_ascii_lowercase(), flags, b"");
                }
                let mut kept = kept.into_iter();
                out.retain(|_| kept.next().unwrap_or(true));
                out
            },
        )
}

/// Packets without connection, both ways.
fn exchange() -> impl Strategy<Value = Vec<PacketSpec>> {
    let step = (any::<bool>(), payload_bytes());
    (packet(), prop::collection::vec(step, 1..6)).prop_map(|(first, steps)| {
        steps
            .into_iter()
            .map(|(forth, payload)| {
                let mut packet = PacketSpec { payload, ..first.clone() };
                if !forth {
                    std::mem::swap(&mut packet.source, &mut packet.destination);
                    packet.layer = match packet.layer {
                        Layer::Udp { ports: (a, b) } => Layer::Udp { ports: (b, a) },
                        Layer::Tcp { ports: (a, b), flags, seq, ack } => {
                            Layer::Tcp { ports: (b, a), flags, seq, ack }
                        }
                        Layer::Icmp { kind: 8, code } => Layer::Icmp { kind: 0, code },
                        Layer::Icmp { kind: 128, code } => Layer::Icmp { kind: 129, code },
                        other => other,
                    };
                }
                packet
            })
            .collect()
    })
}

/// Alerts, as packet number and sid.
pub fn alerts(ruleset: &Ruleset, frames: &[Vec<u8>]) -> Vec<(u64, u32)> {
    alerts_with(ruleset, frames, stream::Config::default(), |_| true)
}

/// The same of the frames that `forwarded` lets through, as the live sensor judges them.
pub fn alerts_behind(
    ruleset: &Ruleset,
    frames: &[Vec<u8>],
    forwarded: impl FnMut(&[u8]) -> bool,
) -> Vec<(u64, u32)> {
    let streams = stream::Config { acks_unseen: true, ..stream::Config::default() };
    alerts_with(ruleset, frames, streams, forwarded)
}

fn alerts_with(
    ruleset: &Ruleset,
    frames: &[Vec<u8>],
    streams: stream::Config,
    mut forwarded: impl FnMut(&[u8]) -> bool,
) -> Vec<(u64, u32)> {
    let mut inspector = Inspector::new(ruleset, Shared::new(0)).most_alerts(255);
    let mut flows = FlowTable::new(&Limits { memcap: 1 << 16, ..Limits::default() }, streams, 7, 0);
    let mut alerts = Vec::new();
    let tunnels = Tunnels::default();
    for (number, bytes) in (1..).zip(frames) {
        if !forwarded(bytes) {
            continue;
        }
        let frame = frame(bytes, true, number);
        let mut next = Some(decode(&frame));
        while let Some(mut packet) = next {
            next = tunnels.inner(&mut packet);
            let flow = flows.track(&packet).map(|tracked| tracked.view);
            inspector.inspect(ruleset, &Subject::new(&packet, flow.as_ref()), &mut |info| {
                alerts.push((number, info.sid));
            });
        }
    }
    alerts
}
