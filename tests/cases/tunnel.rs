//! Tunnels and what lies between link and IP: what is raised and what is found inside, case by case;
//! and, where Suricata 7 is installed, the same from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use nids::capture::{Direction, Frame, LinkType, Timestamp};
use nids::decode::{Event, Packet, Tunnels, decode};
use nids::detect::memory::Shared;
use nids::detect::subject::Subject;
use nids::detect::{self, Environment, Inspector, Ruleset};
use nids::rule::parser;

const SECRET: &[u8] = b"what the tunnel hides";
const RULE: &str = r#"alert ip any any -> any any (content:"what the tunnel hides"; sid:1;)"#;

fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn ethernet(kind: u16, body: &[u8]) -> Vec<u8> {
    cat(&[&[1; 6], &[2; 6], &kind.to_be_bytes(), body])
}

/// 10.0.NET.1 to 10.0.NET.2.
fn ipv4(net: u8, protocol: u8, body: &[u8]) -> Vec<u8> {
    let length = (20 + body.len() as u16).to_be_bytes();
    let ends = [10, 0, net, 1, 10, 0, net, 2];
    let mut header = cat(&[&[0x45, 0], &length, &[0, 1, 0, 0, 64, protocol, 0, 0], &ends]);
    let sum: u32 = header.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(c[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    cat(&[&header, body])
}

/// 2001:db8:NET::1 to 2001:db8:NET::2.
fn ipv6(net: u8, next: u8, body: &[u8]) -> Vec<u8> {
    let end = |host| [0x20, 0x01, 0x0d, 0xb8, 0, net, 0, 0, 0, 0, 0, 0, 0, 0, 0, host];
    let length = (body.len() as u16).to_be_bytes();
    cat(&[&[0x60, 0, 0, 0], &length, &[next, 64], &end(1), &end(2), body])
}

fn udp(source: u16, destination: u16, body: &[u8]) -> Vec<u8> {
    let length = (8 + body.len() as u16).to_be_bytes();
    cat(&[&source.to_be_bytes(), &destination.to_be_bytes(), &length, &[0, 0], body])
}

fn secret4(net: u8) -> Vec<u8> {
    ipv4(net, 17, &udp(1111, 2222, SECRET))
}

/// With a checksum that is right, as UDP over IPv6 has to have one.
fn secret6(net: u8) -> Vec<u8> {
    let mut packet = ipv6(net, 17, &udp(1111, 2222, SECRET));
    let length = (packet.len() - 40) as u32;
    let mut sum = 17 + length;
    for pair in packet[8..].chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[46..48].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    packet
}

fn gre(first: u8, second: u8, kind: u16, rest: &[u8]) -> Vec<u8> {
    ethernet(0x800, &ipv4(1, 47, &cat(&[&[first, second], &kind.to_be_bytes(), rest])))
}

fn over_udp(port: u16, body: &[u8]) -> Vec<u8> {
    ethernet(0x800, &ipv4(1, 17, &udp(40_000, port, body)))
}

struct Case {
    name: &'static str,
    link: LinkType,
    frame: Vec<u8>,
    events: &'static [&'static str],
    /// Source of the packet in which the secret is found.
    found: Option<&'static str>,
    /// Where Suricata 7 sees it otherwise: events and source.
    suricata: Option<(&'static [&'static str], Option<&'static str>)>,
}

impl Case {
    /// Suricata 7 sees it otherwise.
    fn but(
        mut self,
        events: &'static [&'static str],
        found: impl Into<Option<&'static str>>,
    ) -> Self {
        self.suricata = Some((events, found.into()));
        self
    }
}

fn case(
    name: &'static str,
    frame: Vec<u8>,
    events: &'static [&'static str],
    found: impl Into<Option<&'static str>>,
) -> Case {
    Case { name, link: LinkType::Ethernet, frame, events, found: found.into(), suricata: None }
}

const V4: &str = "10.0.9.1";
const V6: &str = "2001:db8:9::1";

fn link_cases() -> Vec<Case> {
    let (v4, v6) = (secret4(9), secret6(9));
    let mpls = |label: u32, body: &[u8]| cat(&[&(label << 12 | 0x1ff).to_be_bytes(), body]);
    let pppoe = |ppp: &[u8]| cat(&[&[0x11, 0, 0, 1], &(ppp.len() as u16).to_be_bytes(), ppp]);
    let discovery = |code: u8, length: u8| cat(&[&[0x11, code, 0, 0, 0, length], &[0x01, 1, 0, 0]]);
    let itag = cat(&[&[0, 0, 0, 9], &[3; 6], &[4; 6]]);
    let nsh = |length: u8, kind: u8, next: u8, body: &[u8]| {
        let header = usize::from(length) * 4;
        cat(&[&[0, length, kind, next], &vec![0; header - 4], body])
    };
    let mut other_version = nsh(6, 1, 1, &v4);
    other_version[0] = 0x40;
    vec![
        case("mpls, IPv4 guessed", ethernet(0x8847, &mpls(99, &v4)), &[], V4),
        case("mpls, IPv6 guessed", ethernet(0x8848, &mpls(99, &v6)), &[], V6),
        case("mpls, explicit null", ethernet(0x8847, &mpls(0, &v4)), &[], V4),
        case("mpls, IPv6 explicit null", ethernet(0x8847, &mpls(2, &v6)), &[], V6),
        case(
            "mpls, three labels",
            ethernet(0x8847, &cat(&[&[0, 1, 0, 0xff], &[0, 2, 0, 0xff], &mpls(99, &v4)])),
            &[],
            V4,
        ),
        case(
            "mpls, pseudowire",
            ethernet(0x8847, &mpls(99, &cat(&[&[0; 4], &ethernet(0x800, &v4)]))),
            &[],
            V4,
        ),
        case("mpls, cut", ethernet(0x8847, &[0, 0, 0]), &["mpls.header_too_small"], None),
        case("mpls, empty", ethernet(0x8847, &mpls(99, &[0x45])), &["mpls.pkt_too_small"], None),
        case(
            "mpls, router alert",
            ethernet(0x8847, &mpls(1, &v4)),
            &["mpls.bad_label_router_alert"],
            None,
        ),
        case(
            "mpls, implicit null",
            ethernet(0x8847, &mpls(3, &v4)),
            &["mpls.bad_label_implicit_null"],
            None,
        ),
        case("mpls, reserved", ethernet(0x8847, &mpls(7, &v4)), &["mpls.bad_label_reserved"], None),
        case(
            "mpls, unknown payload",
            ethernet(0x8847, &mpls(99, &[0x10; 40])),
            &["mpls.unknown_payload_type"],
            None,
        ),
        case("pppoe", ethernet(0x8864, &pppoe(&cat(&[&[0, 0x21], &v4]))), &[], V4),
        case("pppoe, IPv6", ethernet(0x8864, &pppoe(&cat(&[&[0, 0x57], &v6]))), &[], V6),
        case("pppoe, short protocol", ethernet(0x8864, &pppoe(&cat(&[&[0x21], &v4]))), &[], V4),
        case("pppoe, cut", ethernet(0x8864, &[0x11, 0, 0, 1]), &["pppoe.pkt_too_small"], None),
        case(
            "pppoe, LCP",
            ethernet(0x8864, &pppoe(&[0xc0, 0x21, 9, 1, 0, 8, 0, 0, 0, 0])),
            &["ppp.unsup_proto"],
            None,
        ),
        case(
            "pppoe, unknown protocol",
            ethernet(0x8864, &pppoe(&[0x40, 0x99, 9, 1, 0, 8])),
            &["ppp.wrong_type"],
            None,
        ),
        case(
            "pppoe, no room for IPv4",
            ethernet(0x8864, &pppoe(&[0, 0x21, 0x45, 0, 0, 20])),
            &["ppp.ip4_pkt_too_small"],
            None,
        ),
        case(
            "pppoe, no room for IPv6",
            ethernet(0x8864, &pppoe(&[0, 0x57, 0x60, 0, 0, 0])),
            &["ppp.ip6_pkt_too_small"],
            None,
        ),
        case(
            "pppoe, no room for VJ",
            ethernet(0x8864, &pppoe(&[0, 0x2f, 0x45, 0, 0, 20])),
            &["ppp.vju_pkt_too_small"],
            None,
        ),
        case("pppoe discovery", ethernet(0x8863, &discovery(9, 4)), &[], None),
        case("pppoe, bad code", ethernet(0x8863, &discovery(1, 4)), &["pppoe.wrong_code"], None),
        case(
            "pppoe, bad tags",
            ethernet(0x8863, &discovery(9, 5)),
            &["pppoe.malformed_tags"],
            None,
        ),
        case("802.1ah", ethernet(0x88e7, &cat(&[&itag, &[8, 0], &v4])), &[], V4),
        case(
            "802.1ah, tagged inside",
            ethernet(0x88e7, &cat(&[&itag, &[0x81, 0, 0, 5, 8, 0], &v4])),
            &[],
            V4,
        ),
        case("802.1ah, cut", ethernet(0x88e7, &[0; 17]), &["ieee8021ah.header_too_small"], None),
        case("vntag", ethernet(0x8926, &cat(&[&[0; 4], &[8, 0], &v4])), &[], V4),
        case("vntag, cut", ethernet(0x8926, &[0; 5]), &["vntag.header_too_small"], None),
        case(
            "vntag, unknown",
            ethernet(0x8926, &cat(&[&[0; 4], &[0x7a, 0x7a], &[0; 30]])),
            &["vntag.unknown_type"],
            None,
        ),
        // Suricata 8 has it.
        case("etag", ethernet(0x893f, &cat(&[&[0; 6], &[8, 0], &v4])), &[], V4).but(&[], None),
        case("etag, cut", ethernet(0x893f, &[0; 7]), &["etag.header_too_small"], None)
            .but(&[], None),
        case(
            "etag, unknown",
            ethernet(0x893f, &cat(&[&[0; 6], &[0x7a, 0x7a], &[0; 30]])),
            &["etag.unknown_type"],
            None,
        )
        .but(&[], None),
        case("fabric path", ethernet(0x8903, &cat(&[&[0; 2], &ethernet(0x800, &v4)])), &[], V4),
        case("fabric path, cut", ethernet(0x8903, &[0; 15]), &["dce.pkt_too_small"], None),
        case("nsh, fixed", ethernet(0x894f, &nsh(6, 1, 1, &v4)), &[], V4),
        case("nsh, variable", ethernet(0x894f, &nsh(3, 2, 2, &v6)), &[], V6),
        case("nsh, frame", ethernet(0x894f, &nsh(6, 1, 3, &ethernet(0x800, &v4))), &[], V4),
        case("nsh, labels", ethernet(0x894f, &nsh(6, 1, 5, &mpls(99, &v4))), &[], V4),
        case("nsh, cut", ethernet(0x894f, &[0; 7]), &["nsh.header_too_small"], None),
        case("nsh, version", ethernet(0x894f, &other_version), &["nsh.unsupported_version"], None),
        case("nsh, alone", ethernet(0x894f, &nsh(6, 1, 1, &[])), &["nsh.bad_header_length"], None),
        case("nsh, length", ethernet(0x894f, &nsh(5, 1, 1, &v4)), &["nsh.bad_header_length"], None),
        case("nsh, reserved", ethernet(0x894f, &nsh(6, 0, 1, &v4)), &["nsh.reserved_type"], None),
        case("nsh, kind", ethernet(0x894f, &nsh(6, 3, 1, &v4)), &["nsh.unsupported_type"], None),
        case("nsh, payload", ethernet(0x894f, &nsh(6, 1, 4, &v4)), &["nsh.unknown_payload"], None),
        case(
            "sctp",
            ethernet(0x800, &ipv4(9, 132, &cat(&[&[0, 1, 0, 2], &[0; 8], SECRET]))),
            &[],
            V4,
        ),
        case("sctp, cut", ethernet(0x800, &ipv4(9, 132, &[0; 11])), &["sctp.pkt_too_small"], None),
        case("esp", ethernet(0x800, &ipv4(9, 50, &cat(&[&[0; 8], SECRET]))), &[], V4),
        case("esp, cut", ethernet(0x800, &ipv4(9, 50, &[0; 7])), &["esp.pkt_too_small"], None),
    ]
}

fn ip_cases() -> Vec<Case> {
    let (v4, v6) = (secret4(9), secret6(9));
    let (frame4, frame6) = (ethernet(0x800, &v4), ethernet(0x86dd, &v6));
    let erspan = |version: u8, vlan: u8, body: &[u8]| {
        cat(&[&[0; 4], &[version << 4, vlan, 0, 0, 0, 0, 0, 0], body])
    };
    let mirrored = |frame: &[u8]| gre(0x10, 0, 0x88be, &erspan(1, 7, frame));
    let twice = mirrored(&mirrored(&frame4));
    let erspan3 = |flags: u8, body: &[u8]| {
        let head = [0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, flags];
        cat(&[&[0; 4], &head, if flags & 1 == 1 { &[0; 8] } else { &[] }, body])
    };
    let pptp = |first: u8, second: u8, kind: u16, length: u8, body: &[u8]| {
        gre(first, second, kind, &cat(&[&[0, length, 0, 7], body]))
    };
    let ppp = cat(&[&[0xff, 3, 0, 0x21], &v4]);
    let route = |length: u8, body: &[u8]| cat(&[&[0; 4], &[8, 0, 0, length], body]);
    // Each takes two layers: the tunnel and IP.
    let nested = |levels: u8| {
        ethernet(0x86dd, &(0..levels).fold(v6.clone(), |inside, net| ipv6(100 + net, 41, &inside)))
    };
    let tagged = |frame: &[u8]| cat(&[&frame[..12], &[0x81, 0, 0, 7], &frame[12..]]);
    vec![
        // Suricata 7 does not look into it, Suricata 8 does.
        case("4 in 4", ethernet(0x800, &ipv4(1, 4, &v4)), &[], V4).but(&[], None),
        case("6 in 4", ethernet(0x800, &ipv4(1, 41, &v6)), &[], V6),
        case("4 in 6", ethernet(0x86dd, &ipv6(1, 4, &v4)), &[], V4),
        case("6 in 6", ethernet(0x86dd, &ipv6(1, 41, &v6)), &[], V6),
        case("4 in 6 in 4", ethernet(0x800, &ipv4(1, 41, &ipv6(2, 4, &v4))), &[], V4),
        // Suricata forgets what was wrong with a packet inside that it cannot read.
        case("4 in 4, cut", ethernet(0x800, &ipv4(1, 4, &v4[..19])), &["ipv4.pkt_too_small"], None)
            .but(&[], None),
        case(
            "4 in 6, cut",
            ethernet(0x86dd, &ipv6(1, 4, &v4[..19])),
            &["ipv6.ipv4_in_ipv6_too_small"],
            None,
        ),
        case(
            "4 in 6, version",
            ethernet(0x86dd, &ipv6(1, 4, &v6)),
            &["ipv6.ipv4_in_ipv6_wrong_version"],
            None,
        ),
        case(
            "6 in 6, cut",
            ethernet(0x86dd, &ipv6(1, 41, &v6[..39])),
            &["ipv6.ipv6_in_ipv6_too_small"],
            None,
        ),
        case(
            "6 in 6, version",
            ethernet(0x86dd, &ipv6(1, 41, &v4)),
            &["ipv6.ipv6_in_ipv6_wrong_version"],
            None,
        ),
        case("5 deep", nested(5), &[], V6),
        case("as deep as it goes", nested(6), &[], V6),
        // Here again Suricata forgets, but not where the tunnel is the layer that is too much.
        case("one too deep", nested(7), &["too_many_layers"], None).but(&[], None),
        case("one too deep, tagged", tagged(&nested(7)), &["too_many_layers"], None),
        case("much too deep", nested(40), &["too_many_layers"], None).but(&[], None),
        case("gre", gre(0, 0, 0x800, &v4), &[], V4),
        case("gre, IPv6", gre(0, 0, 0x86dd, &v6), &[], V6),
        case("gre in IPv6", ethernet(0x86dd, &ipv6(1, 47, &cat(&[&[0, 0, 8, 0], &v4]))), &[], V4),
        case("gre, key", gre(0x20, 0, 0x800, &cat(&[&[0; 4], &v4])), &[], V4),
        case("gre, checksum, key, number", gre(0xb0, 0, 0x800, &cat(&[&[0; 12], &v4])), &[], V4),
        case(
            "gre, routing",
            gre(0x40, 0, 0x800, &cat(&[&route(4, &[1, 2, 3, 4]), &[0; 4], &v4])),
            &[],
            V4,
        ),
        case(
            "gre, routing that does not end",
            gre(0x40, 0, 0x800, &route(4, &[1, 2, 3, 4])),
            &["gre.version0_malformed_sre_hdr"],
            None,
        ),
        case("gre, tag", gre(0, 0, 0x8100, &cat(&[&[0, 7, 8, 0], &v4])), &[], V4),
        case("gre, frame", gre(0, 0, 0x6558, &frame4), &[], V4),
        case("gre, frame with IPv6", gre(0x10, 0, 0x6558, &cat(&[&[0; 4], &frame6])), &[], V6),
        case("gre, PPP", gre(0, 0, 0x880b, &ppp), &[], V4),
        case("gre, labels", gre(0, 0, 0x8847, &cat(&[&[0, 6, 0x31, 0xff], &v4])), &[], V4)
            .but(&[], None),
        case("gre, ARP", gre(0, 0, 0x806, &[0; 28]), &[], None),
        case("gre, unknown", gre(0, 0, 0x7a7a, &v4), &[], None),
        case("gre, cut", ethernet(0x800, &ipv4(1, 47, &[0; 3])), &["gre.pkt_too_small"], None),
        case("gre, version", gre(0, 2, 0x800, &v4), &["gre.wrong_version"], None),
        case("gre, recursion", gre(1, 0, 0x800, &v4), &["gre.version0_recur"], None),
        case("gre, flags", gre(0, 0x08, 0x800, &v4), &["gre.version0_flags"], None),
        case("gre, no room", gre(0xf0, 0, 0x800, &[0; 11]), &["gre.version0_hdr_too_big"], None),
        case("pptp", pptp(0x30, 1, 0x880b, 52, &cat(&[&[0; 4], &ppp])), &[], V4),
        case("pptp, acknowledging", pptp(0x30, 0x81, 0x880b, 52, &cat(&[&[0; 8], &ppp])), &[], V4),
        case("pptp, only acknowledging", pptp(0x20, 0x81, 0x880b, 0, &[0; 4]), &[], None),
        case("pptp, checksum", pptp(0xb0, 1, 0x880b, 1, &ppp), &["gre.version1_chksum"], None),
        case("pptp, routing", pptp(0x70, 1, 0x880b, 1, &ppp), &["gre.version1_route"], None),
        case("pptp, source route", pptp(0x38, 1, 0x880b, 1, &ppp), &["gre.version1_ssr"], None),
        case("pptp, recursion", pptp(0x31, 1, 0x880b, 1, &ppp), &["gre.version1_recur"], None),
        case("pptp, flags", pptp(0x30, 9, 0x880b, 1, &ppp), &["gre.version1_flags"], None),
        case("pptp, IP", pptp(0x30, 1, 0x800, 1, &v4), &["gre.version1_wrong_protocol"], None),
        case("pptp, no key", pptp(0x10, 1, 0x880b, 1, &ppp), &["gre.version1_no_key"], None),
        case(
            "pptp, no room",
            pptp(0x30, 0x81, 0x880b, 1, &[0; 7]),
            &["gre.version1_hdr_too_big"],
            None,
        ),
        case("erspan twice", twice.clone(), &[], V4),
        case("erspan thrice", mirrored(&twice), &["too_many_layers"], None).but(&[], None),
        case("erspan I", gre(0, 0, 0x88be, &frame4), &[], V4),
        case("erspan II", gre(0x10, 0, 0x88be, &erspan(1, 7, &frame4)), &[], V4),
        // As above: Suricata forgets.
        case(
            "erspan, version",
            gre(0x10, 0, 0x88be, &erspan(3, 7, &frame4)),
            &["erspan.unsupported_version"],
            None,
        )
        .but(&[], None),
        case("erspan, cut", gre(0x10, 0, 0x88be, &[0; 11]), &["erspan.header_too_small"], None)
            .but(&[], None),
        // Suricata does not look into these.
        case("erspan III", gre(0x10, 0, 0x22eb, &erspan3(0, &frame4)), &[], V4).but(&[], None),
        case("erspan III, subheader", gre(0x10, 0, 0x22eb, &erspan3(1, &frame4)), &[], V4)
            .but(&[], None),
    ]
}

fn udp_cases() -> Vec<Case> {
    let (v4, v6) = (secret4(9), secret6(9));
    let (frame4, frame6) = (ethernet(0x800, &v4), ethernet(0x86dd, &v6));
    let vxlan = |body: &[u8]| cat(&[&[8, 0, 0, 0, 0, 0, 5, 0], body]);
    let geneve = |words: u8, kind: u16, rest: &[u8]| {
        cat(&[&[words, 0], &kind.to_be_bytes(), &[0, 0, 5, 0], rest])
    };
    let tagged = cat(&[&frame4[..12], &[0x81, 0, 0, 7], &frame4[12..]]);
    let from = ethernet(0x800, &ipv4(1, 17, &udp(4789, 40_000, &vxlan(&frame4))));
    const OUTER: &str = "10.0.1.1";
    vec![
        case("vxlan", over_udp(4789, &vxlan(&frame4)), &[], V4),
        case("vxlan, IPv6", over_udp(4789, &vxlan(&frame6)), &[], V6),
        case("vxlan, tagged", over_udp(4789, &vxlan(&tagged)), &[], V4),
        case("vxlan, from its port", from, &[], V4),
        case("vxlan, another port", over_udp(4790, &vxlan(&frame4)), &[], OUTER),
        case("vxlan, no network", over_udp(4789, &cat(&[&[0; 8], &frame4])), &[], OUTER),
        case("vxlan in vxlan", over_udp(4789, &vxlan(&over_udp(4789, &vxlan(&frame4)))), &[], V4),
        case("geneve, frame", over_udp(6081, &geneve(0, 0x6558, &frame4)), &[], V4),
        case("geneve, IPv4", over_udp(6081, &geneve(0, 0x800, &v4)), &[], V4),
        case("geneve, IPv6", over_udp(6081, &geneve(0, 0x86dd, &v6)), &[], V6),
        case(
            "geneve, options",
            over_udp(
                6081,
                &geneve(4, 0x800, &cat(&[&[1, 2, 3, 1, 0, 0, 0, 0, 1, 2, 3, 1], &[0; 4], &v4])),
            ),
            &[],
            V4,
        ),
        case(
            "geneve, options that do not fit",
            over_udp(6081, &geneve(1, 0x800, &cat(&[&[1, 2, 3, 1], &v4]))),
            &[],
            OUTER,
        ),
        case("geneve, version", over_udp(6081, &geneve(0x40, 0x800, &v4)), &[], OUTER),
        case(
            "geneve, unknown",
            over_udp(6081, &geneve(0, 0x7a7a, &v4)),
            &["geneve.unknown_payload_type"],
            OUTER,
        ),
        case("teredo", over_udp(3544, &v6), &[], V6),
        case("teredo, origin", over_udp(3544, &cat(&[&[0; 8], &v6])), &[], V6),
        case("teredo, too long", over_udp(3544, &cat(&[&v6, &[0]])), &[], OUTER),
        case("teredo, another port", over_udp(3545, &v6), &[], OUTER),
        case(
            "teredo, authentication",
            over_udp(3544, &cat(&[&[0, 1, 0, 0], &[0; 9], &v6])),
            &[],
            OUTER,
        ),
    ]
}

fn other_links() -> Vec<Case> {
    let (v4, v6) = (secret4(9), secret6(9));
    let with = |link, mut case: Case| {
        case.link = link;
        case
    };
    let (ppp, chdlc) = (LinkType::Ppp, LinkType::Chdlc);
    vec![
        with(ppp, case("ppp", cat(&[&[0xff, 3, 0, 0x21], &v4]), &[], V4)),
        with(ppp, case("ppp, short", cat(&[&[0x57], &v6]), &[], V6)),
        with(ppp, case("ppp, LCP", vec![0xff, 3, 0xc0, 0x21, 9], &["ppp.unsup_proto"], None)),
        with(ppp, case("ppp, unknown", vec![0xff, 3, 0x40, 0x99, 9], &["ppp.wrong_type"], None)),
        with(chdlc, case("chdlc", cat(&[&[0x0f, 0, 8, 0], &v4]), &[], V4)),
        with(chdlc, case("chdlc, IPv6", cat(&[&[0x8f, 0, 0x86, 0xdd], &v6]), &[], V6)),
        with(chdlc, case("chdlc, cut", vec![0x0f, 0, 8], &["chdlc.pkt_too_small"], None)),
    ]
}

fn all() -> Vec<Case> {
    [link_cases(), ip_cases(), udp_cases(), other_links()].into_iter().flatten().collect()
}

fn ruleset() -> Ruleset {
    let parsed = parser::parse_str(&Arc::from(Path::new("test.rules")), RULE);
    let environment = Environment {
        variables: Default::default(),
        classifications: Default::default(),
        references: Default::default(),
        ..Environment::default()
    };
    detect::compile(&parsed.rules, &environment).ruleset
}

fn packets<'a>(link: LinkType, data: &'a [u8]) -> Vec<Packet<'a>> {
    let frame = Frame {
        time: Timestamp(1_700_000_000_000_000_000),
        link,
        data,
        wire_len: data.len() as u32,
        port: 0,
        direction: Direction::Ingress,
        vlan_offload: None,
        number: 1,
    };
    let tunnels = Tunnels::default();
    let mut packets = Vec::new();
    let mut next = Some(decode(&frame));
    while let Some(mut packet) = next {
        next = tunnels.inner(&mut packet);
        packets.push(packet);
    }
    packets
}

#[test]
fn each_is_raised_and_found() {
    let ruleset = ruleset();
    let mut inspector = Inspector::new(&ruleset, Shared::new(0));
    for case in all() {
        let mut events = Vec::new();
        let mut found = Vec::new();
        for (depth, packet) in packets(case.link, &case.frame).iter().enumerate() {
            assert_eq!(usize::from(packet.depth), depth, "{}", case.name);
            events.extend(packet.events.iter().map(Event::name));
            inspector.inspect(&ruleset, &Subject::new(packet, None), &mut |_| {
                found.push(packet.ip.unwrap().source());
            });
        }
        assert_eq!(events, case.events, "{}", case.name);
        let expected: Vec<IpAddr> = case.found.iter().map(|from| from.parse().unwrap()).collect();
        assert_eq!(found, expected, "{}", case.name);
    }
}

/// What Suricata sees of these cases: events, and sources of alerts, by number from 1.
type Seen = BTreeMap<u64, (BTreeSet<String>, BTreeSet<IpAddr>)>;

fn suricata(folder: &Path, link: LinkType, cases: &[&Case]) -> Seen {
    let mut pcap = cat(&[&0xa1b2_c3d4_u32.to_le_bytes(), &[2, 0, 4, 0], &[0; 8]]);
    pcap.extend(65_535_u32.to_le_bytes());
    let number: u32 = match link {
        LinkType::Ethernet => 1,
        LinkType::Ppp => 9,
        LinkType::Chdlc => 104,
        other => panic!("{other:?}"),
    };
    pcap.extend(number.to_le_bytes());
    // The packet inside has no number in Suricata's alerts, but its frame's time.
    for (number, case) in (1_u32..).zip(cases) {
        let length = (case.frame.len() as u32).to_le_bytes();
        pcap.extend(cat(&[
            &1_700_000_000_u32.to_le_bytes(),
            &number.to_le_bytes(),
            &length,
            &length,
            &case.frame,
        ]));
    }
    let mut rules = format!("{RULE}\n");
    for (sid, event) in (1000..).zip(Event::ALL) {
        let name = event.name();
        // Of Suricata 8, and of our own.
        if name.starts_with("etag.")
            || name.starts_with("sll2")
            || name.ends_with("bad_checksum")
            || name.ends_with("frag_again")
        {
            continue;
        }
        rules += &format!("alert pkthdr any any -> any any (decode-event:{name}; sid:{sid};)\n");
    }
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let (pcap, rules) = (write("cases.pcap", &pcap), write("cases.rules", rules.as_bytes()));
    let eve = folder.join("eve.json");
    let _ = fs::remove_file(&eve);
    let out = Command::new("suricata")
        .args(["-k", "none", "--runmode", "single", "--init-errors-fatal", "-r"])
        .arg(&pcap)
        .arg("-S")
        .arg(&rules)
        .arg("-l")
        .arg(folder)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    // 2023-11-14T22:13:20.000001+0000
    let number = |event: &serde_json::Value| {
        event["timestamp"].as_str().and_then(|time| time.get(20..26)?.parse().ok()).unwrap()
    };
    let mut seen = Seen::new();
    for line in fs::read_to_string(&eve).unwrap().lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let Some(sid) = event["alert"]["signature_id"].as_u64() else { continue };
        let (events, found) = seen.entry(number(&event)).or_default();
        match sid {
            1 => {
                found.insert(event["src_ip"].as_str().unwrap().parse().unwrap());
            }
            sid => {
                events.insert(Event::ALL[sid as usize - 1000].name().to_owned());
            }
        }
    }
    seen
}

#[test]
fn suricata_sees_the_same() {
    let version = Command::new("suricata").arg("-V").output();
    let version = version.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    if !version.as_ref().is_ok_and(|text| text.contains("version 7.")) {
        println!("skipped: there is no Suricata 7 ({version:?})");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let all = all();
    let mut wrong = Vec::new();
    for link in [LinkType::Ethernet, LinkType::Ppp, LinkType::Chdlc] {
        let cases: Vec<_> = all.iter().filter(|case| case.link == link).collect();
        let seen = suricata(folder.path(), link, &cases);
        for (number, case) in (1..).zip(&cases) {
            let (events, found) = case.suricata.unwrap_or((case.events, case.found));
            let expected: (BTreeSet<String>, BTreeSet<IpAddr>) = (
                events.iter().map(|name| (*name).to_owned()).collect(),
                found.iter().map(|from| from.parse().unwrap()).collect(),
            );
            let got = seen.get(&number).cloned().unwrap_or_default();
            if got != expected {
                wrong.push(format!("{}: {got:?}, not {expected:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "Suricata says:\n{}", wrong.join("\n"));
}
