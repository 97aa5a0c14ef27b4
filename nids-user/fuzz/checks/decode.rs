//! Fuzz target `decode`: a frame through decoder, tunnels, checksums and flow table.
//!
//! The first byte picks the link type and what the source says of the frame, the rest is the frame.

use nids::capture::{Direction, Frame, LinkType, Timestamp};
use nids::decode::{Ip, MAX_LAYERS, Packet, Transport, Tunnels, checksum, decode};
use nids::flow::{FlowTable, Limits};

const LINKS: [LinkType; 7] = [
    LinkType::Ethernet,
    LinkType::RawIp,
    LinkType::Null,
    LinkType::LinuxSll,
    LinkType::LinuxSll2,
    LinkType::Ppp,
    LinkType::Chdlc,
];

fn inside(part: &[u8], whole: &[u8]) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    part.start >= whole.start && part.end <= whole.end
}

/// Panics where something that must hold for any frame does not.
pub fn check(data: &[u8]) {
    let Some((&head, data)) = data.split_first() else { return };
    let frame = Frame {
        time: Timestamp(1_000_000_000),
        link: LINKS[usize::from(head & 7) % LINKS.len()],
        data,
        wire_len: data.len() as u32 + if head & 0x40 != 0 { 70_000 } else { 0 },
        port: 0,
        direction: Direction::Ingress,
        vlan_offload: (head & 0x80 != 0).then_some(100),
        number: 1,
    };
    let limits = Limits { memcap: 10_000, ..Limits::default() };
    let mut flows = FlowTable::new(&limits, Default::default(), 1, 0);
    let tunnels = Tunnels::default();
    let mut packet = decode(&frame);
    for depth in 0.. {
        assert!(depth < MAX_LAYERS);
        assert_eq!(packet.depth, depth);
        let inner = tunnels.inner(&mut packet);
        check_packet(&mut packet, data, &mut flows);
        let Some(inner) = inner else { break };
        packet = inner;
    }
}

fn check_packet(packet: &mut Packet<'_>, data: &[u8], flows: &mut FlowTable) {
    assert!(inside(packet.payload, data));
    match &packet.ip {
        Some(Ip::V4(ip)) => assert!(inside(ip.header, data) && ip.header.len() >= 20),
        Some(Ip::V6(ip)) => assert!(inside(ip.header, data) && inside(ip.headers, data)),
        None => assert!(matches!(packet.transport, Transport::None)),
    }
    match &packet.transport {
        Transport::Tcp(tcp) => assert!(inside(tcp.header, data) && tcp.header.len() >= 20),
        Transport::Udp(udp) => assert!(inside(udp.header, data) && udp.header.len() == 8),
        Transport::Icmpv4(icmp) | Transport::Icmpv6(icmp) => assert!(inside(icmp.header, data)),
        Transport::Sctp(sctp) => assert!(inside(sctp.header, data)),
        Transport::Esp(_) | Transport::Other | Transport::None => {}
    }
    if packet.ip.is_some_and(|ip| ip.is_fragment()) {
        assert!(matches!(packet.transport, Transport::None));
    }
    checksum::verify(packet);
    packet.embedded();
    packet.arp();

    let first = flows.track(packet).map(|tracked| tracked.view);
    let second = flows.track(packet).map(|tracked| tracked.view);
    assert_eq!(first.is_some(), second.is_some());
    let has_flow = !matches!(packet.transport, Transport::None);
    assert_eq!(first.is_some(), has_flow);
}
