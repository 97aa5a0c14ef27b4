//! Cases by hand, round trips through etherparse's builder, and properties on any bytes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;
use crate::capture::{Direction, Timestamp};

pub fn frame(link: LinkType, data: &[u8]) -> Frame<'_> {
    Frame {
        time: Timestamp(0),
        link,
        data,
        wire_len: data.len() as u32,
        port: 0,
        direction: Direction::Ingress,
        vlan_offload: None,
        number: 1,
    }
}

pub fn names(packet: &Packet<'_>) -> Vec<&'static str> {
    packet.events.iter().map(Event::name).collect()
}

/// Ethernet, IPv4, TCP 1000 -> 80 with `payload`.
pub fn tcp4(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp(1000, 80, 1, 1000)
        .ack(2)
        .write(&mut out, payload)
        .unwrap();
    out
}

/// A raw IPv6 packet with this next header and body.
pub fn ipv6(next: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x60, 0, 0, 0];
    out.extend((body.len() as u16).to_be_bytes());
    out.extend([next, 64]);
    out.extend(Ipv6Addr::LOCALHOST.octets());
    out.extend(Ipv6Addr::LOCALHOST.octets());
    out.extend(body);
    out
}

/// A raw IPv4 packet with these options, protocol and body.
pub fn ipv4(options: &[u8], protocol: u8, body: &[u8]) -> Vec<u8> {
    let header = 20 + options.len();
    let mut out = vec![0x40 | (header / 4) as u8, 0];
    out.extend(((header + body.len()) as u16).to_be_bytes());
    out.extend([0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    out.extend(options);
    out.extend(body);
    out
}

pub const UDP_BODY: [u8; 11] = [0, 53, 0, 99, 0, 11, 0, 0, b'a', b'b', b'c'];

#[test]
fn padding_is_not_payload() {
    let mut data = tcp4(b"");
    data.resize(60, 0xaa);
    let packet = decode(&frame(LinkType::Ethernet, &data));
    assert!(packet.tcp().is_some());
    assert_eq!(packet.payload, b"");
    assert!(packet.events.is_empty(), "{:?}", packet.events);
}

#[test]
fn vlan_tags_in_order_with_the_offloaded_first() {
    let plain = tcp4(b"x");
    let mut data = plain[..12].to_vec();
    for (kind, tci) in [(0x88a8_u16, 0x2064_u16), (0x8100, 200)] {
        data.extend(kind.to_be_bytes());
        data.extend(tci.to_be_bytes());
    }
    data.extend(&plain[12..]);
    let mut source = frame(LinkType::Ethernet, &data);
    let packet = decode(&source);
    assert_eq!(packet.vlan.ids().collect::<Vec<_>>(), [100, 200]);
    assert_eq!(packet.payload, b"x");
    source.vlan_offload = Some(7);
    assert_eq!(decode(&source).vlan.ids().collect::<Vec<_>>(), [7, 100, 200]);
    // A fourth tag is one too many.
    let mut data = plain[..12].to_vec();
    for _ in 0..4 {
        data.extend([0x81, 0, 0, 1]);
    }
    data.extend(&plain[12..]);
    let packet = decode(&frame(LinkType::Ethernet, &data));
    assert_eq!(names(&packet), ["vlan.too_many_layers"]);
    assert!(packet.ip.is_none());
    let with = |tail: &[u8]| {
        let data = [&plain[..12], tail].concat();
        let packet = decode(&frame(LinkType::Ethernet, &data));
        assert!(packet.ip.is_none());
        names(&packet)
    };
    assert_eq!(with(&[0x81, 0, 0]), ["vlan.header_too_small"]);
    assert_eq!(with(&[0x81, 0, 0, 1, 0x08, 0x06, 0]), [""; 0]);
    assert_eq!(with(&[0x81, 0, 0, 1, 0x12, 0x34, 0]), ["vlan.unknown_type"]);
    assert_eq!(with(&[0x12, 0x34, 0]), [""; 0]);
}

#[test]
fn every_link_type() {
    let v4 = ipv4(&[], 17, &UDP_BODY);
    let v6 = ipv6(17, &UDP_BODY);
    let with = |head: &[u8], ip: &[u8]| [head, ip].concat();
    let mut sll = [0_u8; 16];
    sll[14..].copy_from_slice(&[0x08, 0]);
    let mut sll2 = [0_u8; 20];
    sll2[..2].copy_from_slice(&[0x86, 0xdd]);
    for (link, data) in [
        (LinkType::RawIp, v4.clone()),
        (LinkType::RawIp, v6.clone()),
        (LinkType::Null, with(&[2, 0, 0, 0], &v4)),
        (LinkType::Null, with(&[0, 0, 0, 30], &v6)),
        (LinkType::LinuxSll, with(&sll, &v4)),
        (LinkType::LinuxSll2, with(&sll2, &v6)),
        (LinkType::Ppp, with(&[0xff, 3, 0, 0x21], &v4)),
        (LinkType::Ppp, with(&[0, 0x57], &v6)),
        (LinkType::Ppp, with(&[0x21], &v4)),
        (LinkType::Chdlc, with(&[0x0f, 0, 0x86, 0xdd], &v6)),
    ] {
        let packet = decode(&frame(link, &data));
        assert_eq!(packet.ports(), Some((53, 99)), "{link:?}");
        assert_eq!(packet.payload, b"abc", "{link:?}");
        assert!(packet.events.is_empty(), "{link:?} {:?}", packet.events);
    }
}

#[test]
fn a_length_that_lies_is_no_packet_but_a_cut_one_is() {
    let mut data = tcp4(b"hello world");
    data.truncate(data.len() - 4);
    let packet = decode(&frame(LinkType::Ethernet, &data));
    assert_eq!(names(&packet), ["ipv4.trunc_pkt"]);
    assert!(packet.ip.is_none());
    let mut cut = frame(LinkType::Ethernet, &data);
    cut.wire_len += 4;
    let packet = decode(&cut);
    assert_eq!(names(&packet), ["ipv4.trunc_pkt"]);
    assert_eq!(packet.payload, b"hello w");
}

#[test]
fn length_zero_fills_a_super_frame_only() {
    let mut data = tcp4(&[b'z'; 3000]);
    data[16..18].fill(0);
    assert_eq!(decode(&frame(LinkType::Ethernet, &data)).payload.len(), 3000);
    let mut data = tcp4(b"small");
    data[16..18].fill(0);
    let packet = decode(&frame(LinkType::Ethernet, &data));
    assert_eq!(names(&packet), ["ipv4.iplen_smaller_than_hlen"]);
}

#[test]
fn fragments_have_no_transport() {
    let mut first = ipv4(&[], 17, &UDP_BODY);
    first[6] = 0x20;
    let packet = decode(&frame(LinkType::RawIp, &first));
    assert!(matches!(packet.transport, Transport::None));
    assert!(packet.ip.unwrap().is_fragment());
    assert_eq!(packet.payload, UDP_BODY);

    let mut body = vec![17, 0, 0, 9, 0, 0, 0, 5];
    body.extend([0xab; 16]);
    let data = ipv6(44, &body);
    let packet = decode(&frame(LinkType::RawIp, &data));
    assert!(matches!(packet.transport, Transport::None));
    let Some(Ip::V6(ip)) = packet.ip else { panic!() };
    assert_eq!(ip.fragment, Some(Ipv6Fragment { id: 5, offset: 8, more: true }));
    assert_eq!(ip.protocol, 17);
    assert_eq!(packet.payload, [0xab; 16]);
}

#[test]
fn ipv6_extension_headers() {
    let router_alert = [0, 0, 5, 2, 0, 0, 0, 0];
    let mut chain = Vec::new();
    for (next, header) in [(43_u8, router_alert), (60, [0; 8]), (51, router_alert)] {
        let mut header = header;
        header[0] = next;
        chain.push(header);
    }
    // Hop-by-hop, routing (type 2), destination options, authentication of 8 bytes, UDP.
    chain[1][2] = 2;
    let mut body: Vec<u8> = chain.concat();
    body.extend([17, 0, 0, 0, 0, 0, 0, 0]);
    body.extend(UDP_BODY);
    let data = ipv6(0, &body);
    let packet = decode(&frame(LinkType::RawIp, &data));
    assert_eq!(packet.ports(), Some((53, 99)), "{:?}", packet.events);
    let Some(Ip::V6(ip)) = packet.ip else { panic!() };
    assert_eq!(ip.extensions().len(), 32);
    assert!(packet.events.is_empty(), "{:?}", packet.events);
}

#[test]
fn events_of_ipv6() {
    let udp_behind = |head: &[u8]| [head, &UDP_BODY].concat();
    let cases: &[(u8, Vec<u8>, &[&str])] = &[
        (59, vec![], &[]),
        (59, vec![1], &["ipv6.data_after_none_header"]),
        (0, vec![17], &["ipv6.trunc_exthdr"]),
        (0, vec![17, 1, 0, 0], &["ipv6.trunc_exthdr"]),
        (44, vec![6, 0, 0, 0, 0, 0, 0, 0], &["ipv6.trunc_exthdr", "ipv6.exthdr_useless_fh"]),
        (43, udp_behind(&[17, 0, 0, 0, 0, 0, 0, 0]), &["ipv6.rh_type_0"]),
        (0, udp_behind(&[17, 0, 1, 4, 0, 0, 0, 0]), &["ipv6.hopopts_only_padding"]),
        (60, udp_behind(&[17, 0, 1, 4, 0, 0, 0, 0]), &["ipv6.dstopts_only_padding"]),
        (60, udp_behind(&[17, 0, 0x1e, 4, 0, 0, 0, 0]), &["ipv6.dstopts_unknown_opt"]),
        (60, udp_behind(&[17, 0, 0x1e, 9, 0, 0, 0, 0]), &["ipv6.exthdr_invalid_optlen"]),
        (
            44,
            udp_behind(&[17, 1, 0, 0, 0, 0, 0, 0]),
            &["ipv6.exthdr_useless_fh", "ipv6.fh_non_zero_reserved_field"],
        ),
        (44, vec![17, 0, 0, 1, 0, 0, 0, 0, 1], &["ipv6.frag_invalid_length"]),
        (1, vec![8, 0, 0, 0, 0, 0, 0, 0], &["ipv6.icmpv4"]),
        (200, vec![0; 8], &["ipv6.unknown_next_header"]),
    ];
    for (next, body, expected) in cases {
        let data = ipv6(*next, body);
        let packet = decode(&frame(LinkType::RawIp, &data));
        assert_eq!(names(&packet), *expected, "next header {next}, {body:?}");
        assert!(packet.ip.is_some());
    }
    let short = ipv6(17, &UDP_BODY);
    assert_eq!(names(&decode(&frame(LinkType::RawIp, &short[..39]))), ["ipv6.pkt_too_small"]);
    assert_eq!(names(&decode(&frame(LinkType::RawIp, &short[..45]))), ["ipv6.trunc_pkt"]);
}

#[test]
fn events_of_ipv4_and_its_options() {
    let cases: &[(&[u8], &[&str])] = &[
        (&[1, 1, 1, 0, 0, 0, 0, 0], &[]),
        (&[148, 4, 0, 0], &["ipv4.opt_pad_required"]),
        (&[148, 4, 0, 0, 148, 4, 0, 0], &["ipv4.opt_duplicate"]),
        (&[148, 3, 0, 0, 0, 0, 0, 0], &["ipv4.opt_invalid_len"]),
        (&[7, 7, 4, 0, 0, 0, 0, 0], &[]),
        (&[7, 7, 5, 0, 0, 0, 0, 0], &["ipv4.opt_malformed"]),
        (&[7, 1, 5, 0, 0, 0, 0, 0], &["ipv4.opt_invalid_len"]),
        (&[7, 20, 5, 0, 0, 0, 0, 0], &["ipv4.opt_invalid_len"]),
        (&[68, 8, 5, 0, 0, 0, 0, 0], &[]),
        (&[99, 8, 5, 0, 0, 0, 0, 0], &["ipv4.opt_invalid"]),
        (&[1, 1, 1, 1, 1, 1, 1, 7], &["ipv4.opt_eol_required"]),
        (&[134, 10, 0, 0, 0, 1, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0], &[]),
        (&[134, 10, 0, 0, 0, 1, 9, 4, 0, 0, 0, 0, 0, 0, 0, 0], &["ipv4.opt_malformed"]),
    ];
    for (options, expected) in cases {
        let data = ipv4(options, 17, &UDP_BODY);
        let packet = decode(&frame(LinkType::RawIp, &data));
        assert_eq!(names(&packet), *expected, "{options:?}");
        assert_eq!(packet.payload, b"abc", "{options:?}");
    }
    let good = ipv4(&[], 17, &UDP_BODY);
    let change = |at: usize, to: u8| {
        let mut data = good.clone();
        data[at] = to;
        let packet = decode(&frame(LinkType::RawIp, &data));
        assert!(packet.ip.is_none());
        names(&packet)
    };
    assert_eq!(change(0, 0x44), ["ipv4.hlen_too_small"]);
    assert_eq!(change(3, 19), ["ipv4.iplen_smaller_than_hlen"]);
    assert_eq!(change(3, 200), ["ipv4.trunc_pkt"]);
    assert_eq!(change(0, 0x55), ["ipraw.invalid_ip_version"]);
    let packet = decode(&frame(LinkType::RawIp, &good[..19]));
    assert_eq!(names(&packet), ["ipv4.pkt_too_small"]);
}

#[test]
fn events_of_the_transports() {
    let tcp = |offset: u8, len: usize, options: &[u8]| {
        let mut body = vec![0_u8; 20];
        body[12] = offset << 4;
        body.extend(options);
        body.resize(body.len().max(len), 0);
        body.truncate(len);
        body
    };
    let cases: &[(u8, Vec<u8>, &[&str])] = &[
        (6, tcp(5, 19, &[]), &["tcp.pkt_too_small"]),
        (6, tcp(4, 20, &[]), &["tcp.invalid_optlen"]),
        (6, tcp(6, 22, &[]), &["tcp.hlen_too_small"]),
        (6, tcp(6, 24, &[2, 4, 5, 0xb4]), &[]),
        (6, tcp(6, 24, &[2, 3, 5, 0]), &["tcp.opt_invalid_len"]),
        (6, tcp(6, 24, &[8, 1, 5, 0]), &["tcp.opt_invalid_len"]),
        (6, tcp(7, 28, &[4, 2, 4, 2, 0, 0, 0, 0]), &["tcp.opt_duplicate"]),
        (17, vec![0; 7], &["udp.hlen_too_small"]),
        (17, vec![0, 1, 0, 1, 0, 7, 0, 0], &["udp.len_invalid"]),
        (17, vec![0, 1, 0, 1, 0, 9, 0, 0], &["udp.pkt_too_small"]),
        (1, vec![8, 0, 0], &["icmpv4.pkt_too_small"]),
        (1, vec![8, 1, 0, 0, 0, 0, 0, 0], &["icmpv4.unknown_code"]),
        (1, vec![77, 1, 0, 0, 0, 0, 0, 0], &["icmpv4.unknown_type"]),
        (1, vec![3, 1, 0, 0, 0, 0, 0, 0, 0x45], &["icmpv4.ipv4_trunc_pkt"]),
        (58, vec![8, 1, 0, 0, 0, 0, 0, 0], &["ipv4.icmpv6"]),
    ];
    for (protocol, body, expected) in cases {
        let data = ipv4(&[], *protocol, body);
        let packet = decode(&frame(LinkType::RawIp, &data));
        assert_eq!(names(&packet), *expected, "protocol {protocol}, {body:?}");
        assert_eq!(packet.ip.unwrap().protocol(), *protocol);
    }
    let cases: &[(Vec<u8>, &[&str])] = &[
        (vec![128, 0, 0, 0, 0, 0, 0, 0, 1], &[]),
        (vec![128, 1, 0, 0, 0, 0, 0, 0], &["icmpv6.unknown_code"]),
        (vec![131, 0, 0, 0, 0, 0, 0, 0], &["icmpv6.mld_message_with_invalid_hl"]),
        (vec![7, 0, 0, 0, 0, 0, 0, 0], &["icmpv6.unassigned_type"]),
        (vec![200, 0, 0, 0, 0, 0, 0, 0], &["icmpv6.experimentation_type"]),
        (vec![255, 0, 0, 0, 0, 0, 0, 0], &["icmpv6.unknown_type"]),
        (vec![1, 0, 0, 0, 0, 0, 0, 0], &["icmpv6.ipv6_trunc_pkt"]),
    ];
    for (body, expected) in cases {
        let data = ipv6(58, body);
        assert_eq!(names(&decode(&frame(LinkType::RawIp, &data))), *expected, "{body:?}");
    }
}

#[test]
fn udp_ends_where_its_length_says() {
    let mut body = UDP_BODY.to_vec();
    body.extend(b"behind");
    let data = ipv4(&[], 17, &body);
    assert_eq!(decode(&frame(LinkType::RawIp, &data)).payload, b"abc");
}

#[test]
fn event_names_are_unique() {
    let mut names: Vec<_> = Event::ALL.iter().map(|event| event.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Event::ALL.len());
}

fn inside(part: &[u8], whole: &[u8]) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    part.start >= whole.start && part.end <= whole.end
}

/// What must hold for any frame.
pub fn check(source: &Frame<'_>) {
    let mut any = Tunnels::default();
    for tunnel in [&mut any.vxlan, &mut any.geneve, &mut any.teredo] {
        tunnel.ports = tunnel::UdpPorts::Any;
    }
    for tunnels in [Tunnels::default(), any, Tunnels::none()] {
        let mut packet = decode(source);
        let mut levels = 0;
        loop {
            let inner = tunnels.inner(&mut packet);
            check_packet(&packet, source);
            assert_eq!(packet.depth, levels);
            let Some(inner) = inner else { break };
            assert!(inner.payload.len() < packet.frame.data.len());
            assert_eq!(packet.carrier, inner.ip.is_some());
            packet = inner;
            levels += 1;
            assert!(levels <= MAX_LAYERS);
        }
        assert!(!packet.carrier);
    }
}

fn check_packet(packet: &Packet<'_>, source: &Frame<'_>) {
    assert!(inside(packet.payload, source.data));
    match &packet.ip {
        Some(Ip::V4(ip)) => assert!(inside(ip.header, source.data) && ip.header.len() >= 20),
        Some(Ip::V6(ip)) => {
            assert!(inside(ip.header, source.data) && ip.header.len() == 40);
            assert!(inside(ip.headers, source.data));
        }
        None => assert!(matches!(packet.transport, Transport::None)),
    }
    match &packet.transport {
        Transport::Tcp(tcp) => assert!(inside(tcp.header, source.data) && tcp.header.len() >= 20),
        Transport::Udp(udp) => assert!(inside(udp.header, source.data) && udp.header.len() == 8),
        Transport::Icmpv4(icmp) | Transport::Icmpv6(icmp) => {
            assert!(inside(icmp.header, source.data) && icmp.header.len() >= 4);
        }
        Transport::Sctp(sctp) => assert!(inside(sctp.header, source.data)),
        Transport::Esp(_) | Transport::Other | Transport::None => {}
    }
}

pub fn link_type() -> impl Strategy<Value = LinkType> {
    use LinkType::*;
    prop::sample::select(vec![Ethernet, RawIp, Null, LinuxSll, LinuxSll2, Ppp, Chdlc])
}

proptest! {
    #[test]
    fn any_bytes(link in link_type(), data in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&frame(link, &data));
    }

    /// Well-formed frames with some bytes changed and the end cut off get deeper than noise.
    #[test]
    fn mangled_frames(
        v6 in any::<bool>(),
        changes in prop::collection::vec((0_usize..120, any::<u8>()), 0..6),
        keep in 0_usize..140,
        more_on_the_wire in 0_u32..4,
    ) {
        let mut data = if v6 {
            let mut body = vec![43, 0, 5, 2, 0, 0, 1, 0, 44, 0, 2, 0, 0, 0, 0, 0];
            body.extend([6, 0, 0, 0, 0, 0, 0, 1]);
            body.extend(&tcp4(b"some payload")[34..]);
            let mut out = tcp4(b"")[..12].to_vec();
            out.extend([0x86, 0xdd]);
            out.extend(ipv6(0, &body));
            out
        } else {
            tcp4(b"some payload that is a little longer")
        };
        for (at, to) in changes {
            if let Some(byte) = data.get_mut(at) {
                *byte = to;
            }
        }
        data.truncate(keep);
        let mut source = frame(LinkType::Ethernet, &data);
        source.wire_len += more_on_the_wire;
        check(&source);
    }

    /// What etherparse builds is what comes out.
    #[test]
    fn round_trip(
        source in any::<[u8; 4]>(), destination in any::<[u8; 4]>(),
        source6 in any::<[u8; 16]>(), destination6 in any::<[u8; 16]>(),
        v6 in any::<bool>(), tcp in any::<bool>(), vlan in prop::option::of(0_u16..4096),
        ports in any::<(u16, u16)>(), seq in any::<u32>(), ttl in any::<u8>(),
        payload in prop::collection::vec(any::<u8>(), 0..64), padding in 0_usize..20,
    ) {
        let mut data = Vec::new();
        let link = PacketBuilder::ethernet2([1; 6], [2; 6]);
        macro_rules! transports {
            ($ip:expr) => {
                if tcp {
                    $ip.tcp(ports.0, ports.1, seq, 5).syn().write(&mut data, &payload).unwrap()
                } else {
                    $ip.udp(ports.0, ports.1).write(&mut data, &payload).unwrap()
                }
            };
        }
        let vid = vlan.map(|id| etherparse::VlanId::try_new(id).unwrap());
        match (vid, v6) {
            (Some(id), true) => transports!(link.single_vlan(id).ipv6(source6, destination6, ttl)),
            (Some(id), false) => transports!(link.single_vlan(id).ipv4(source, destination, ttl)),
            (None, true) => transports!(link.ipv6(source6, destination6, ttl)),
            (None, false) => transports!(link.ipv4(source, destination, ttl)),
        }
        data.resize(data.len() + padding, 0xee);
        let frame = frame(LinkType::Ethernet, &data);
        let packet = decode(&frame);
        prop_assert!(packet.events.is_empty(), "{:?}", packet.events);
        let ip = packet.ip.unwrap();
        let (from, to): (IpAddr, IpAddr) = if v6 {
            (Ipv6Addr::from(source6).into(), Ipv6Addr::from(destination6).into())
        } else {
            (Ipv4Addr::from(source).into(), Ipv4Addr::from(destination).into())
        };
        prop_assert_eq!((ip.source(), ip.destination(), ip.ttl()), (from, to, ttl));
        prop_assert_eq!(packet.ports(), Some(ports));
        prop_assert_eq!(packet.vlan.ids().collect::<Vec<_>>(), Vec::from_iter(vlan));
        prop_assert_eq!(packet.payload, &payload[..]);
        if tcp {
            let header = packet.tcp().unwrap();
            prop_assert_eq!((header.seq, header.flags, header.window), (seq, Tcp::SYN, 5));
        }
    }
}
