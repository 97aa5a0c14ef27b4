//! Properties of nested packets, the limits, and the typed views on ARP and on quoted packets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use proptest::prelude::*;

use super::tests::{UDP_BODY, check, frame, ipv4, ipv6, link_type, names, tcp4};
use super::*;
use crate::capture::LinkType;
use tunnel::{Carriers, UdpPorts};

/// One more header around `inside`, which begins with an IP header where `ip`. Returns whether the
/// whole does.
fn wrap(kind: u8, (inside, ip): (Vec<u8>, bool)) -> (Vec<u8>, bool) {
    let v6 = inside.first().is_some_and(|first| first >> 4 == 6);
    let ether_type: [u8; 2] = if v6 { [0x86, 0xdd] } else { [8, 0] };
    let frame = |inside: &[u8]| match ip {
        true => [&[1; 12], ether_type.as_slice(), inside].concat(),
        false => inside.to_vec(),
    };
    let udp = |port: u16, body: &[u8]| {
        let length = (body.len() as u16 + 8).to_be_bytes();
        ipv4(&[], 17, &[&[9, 9], port.to_be_bytes().as_slice(), &length, &[0, 0], body].concat())
    };
    let protocol = if v6 { 41 } else { 4 };
    match (kind % 12, ip) {
        (0, true) => (ipv4(&[], protocol, &inside), true),
        (1, true) => (ipv6(protocol, &inside), true),
        (2, true) => ([&[1; 12], [0x88, 0x47, 0, 1, 1, 0xff].as_slice(), &inside].concat(), false),
        (3, true) => {
            let length = (inside.len() as u16 + 2).to_be_bytes();
            let ppp = if v6 { [0, 0x57] } else { [0, 0x21] };
            let head = [0x88, 0x64, 0x11, 0, 0, 1];
            ([&[1; 12], head.as_slice(), &length, &ppp, &inside].concat(), false)
        }
        (4, true) => (ipv4(&[], 47, &[&[0, 0], ether_type.as_slice(), &inside].concat()), true),
        (5, _) => {
            (ipv6(47, &[&[0x20, 0, 0x65, 0x58, 1, 2, 3, 4], &*frame(&inside)].concat()), true)
        }
        (6, _) => {
            let head = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 0, 0x10, 1, 0, 0, 0, 0, 0, 0];
            (ipv4(&[], 47, &[&head, &*frame(&inside)].concat()), true)
        }
        (7, _) => (udp(6081, &[&[0, 0, 0x65, 0x58, 0, 0, 0, 0], &*frame(&inside)].concat()), true),
        (8, true) if v6 => (udp(3544, &inside), true),
        (9, _) => {
            let framed = frame(&inside);
            let tagged = [&framed[..12], &[0x81, 0, 0, 9], &framed[12..]].concat();
            (tagged, false)
        }
        _ => (udp(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0], &*frame(&inside)].concat()), true),
    }
}

fn innermost(kinds: &[u8]) -> (Vec<u8>, LinkType) {
    let start = (ipv4(&[], 17, &UDP_BODY), true);
    let (data, ip) = kinds.iter().fold(start, |inside, kind| wrap(*kind, inside));
    (data, if ip { LinkType::RawIp } else { LinkType::Ethernet })
}

proptest! {
    /// Well-formed nestings lead to the packet inside, or to the event that says they are too deep.
    #[test]
    fn any_nesting(kinds in prop::collection::vec(any::<u8>(), 0..12)) {
        let (data, link) = innermost(&kinds);
        let source = frame(link, &data);
        check(&source);
        let tunnels = Tunnels::default();
        let mut packet = decode(&source);
        while let Some(inner) = tunnels.inner(&mut packet) {
            prop_assert!(packet.events.is_empty(), "{:?}", packet.events);
            prop_assert!(packet.carrier || !inner.events.is_empty());
            packet = inner;
        }
        let too_many: &[&str] = &["too_many_layers"];
        let too_many_tags: &[&str] = &["vlan.too_many_layers"];
        let events = names(&packet);
        if events == too_many || events == too_many_tags {
            // ERSPAN takes most: tunnel, GRE, its own header, Ethernet, IP.
            prop_assert!(kinds.len() > 2);
        } else {
            prop_assert!(events.is_empty(), "{:?}", events);
            prop_assert_eq!(packet.payload, b"abc");
            prop_assert_eq!(packet.ports(), Some((53, 99)));
        }
    }

    /// The same with bytes changed and the end cut off: nothing panics, all lies inside.
    #[test]
    fn mangled_nesting(
        kinds in prop::collection::vec(any::<u8>(), 0..7),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        keep in any::<prop::sample::Index>(), cut in any::<bool>(), more_on_the_wire in 0_u32..3,
    ) {
        let (mut data, link) = innermost(&kinds);
        for (at, to) in changes {
            let at = at.index(data.len());
            data[at] = to;
        }
        if cut {
            data.truncate(keep.index(data.len()));
        }
        let mut source = frame(link, &data);
        source.wire_len += more_on_the_wire;
        check(&source);
    }

    /// Any bytes behind the headers that lead into each kind of header.
    #[test]
    fn any_shim(
        kind in prop::sample::select(vec![
            0x8847_u16, 0x8863, 0x8864, 0x88e7, 0x8903, 0x8926, 0x893f, 0x894f, 0x8100, 0x806,
        ]),
        link in link_type(), data in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let framed = [&[1; 12], kind.to_be_bytes().as_slice(), &data].concat();
        check(&frame(LinkType::Ethernet, &framed));
        check(&frame(link, &data));
        for protocol in [4, 41, 47, 50, 132] {
            check(&frame(LinkType::RawIp, &ipv4(&[], protocol, &data)));
            check(&frame(LinkType::RawIp, &ipv6(protocol, &data)));
        }
    }
}

#[test]
fn carriers_are_what_is_looked_into() {
    let mut tunnels = Tunnels::default();
    let udp_ports = Some(vec![4789, 6081, 3544]);
    assert_eq!(tunnels.carriers(), Carriers { protocols: &[4, 41, 47], udp_ports });
    tunnels.vxlan.enabled = false;
    tunnels.geneve.ports = UdpPorts::These(Box::new([1, 2]));
    assert_eq!(tunnels.carriers().udp_ports, Some(vec![1, 2, 3544]));
    tunnels.teredo.ports = UdpPorts::Any;
    assert_eq!(tunnels.carriers().udp_ports, None);
    assert_eq!(Tunnels::none().carriers().udp_ports, Some(vec![]));
}

#[test]
fn the_packet_an_error_quotes() {
    let quoted = ipv4(&[1, 1, 1, 0], 17, &UDP_BODY);
    let error = [&[3, 1, 0, 0, 0, 0, 0, 0], &*quoted].concat();
    let data = ipv4(&[], 1, &error);
    let packet = decode(&frame(LinkType::RawIp, &data));
    let embedded = packet.embedded().unwrap();
    assert_eq!(embedded.source.to_string(), "10.0.0.1");
    assert_eq!(embedded.destination.to_string(), "10.0.0.2");
    assert_eq!((embedded.protocol, embedded.ports), (17, Some((53, 99))));
    // Quoted without its ports; and no error at all.
    let data = ipv4(&[], 1, &error[..32]);
    assert_eq!(decode(&frame(LinkType::RawIp, &data)).embedded().unwrap().ports, None);
    let data = ipv4(&[], 1, &error[..27]);
    assert_eq!(decode(&frame(LinkType::RawIp, &data)).embedded(), None);
    let echo = ipv4(&[], 1, &[&[8, 0, 0, 0, 0, 0, 0, 0], &*quoted].concat());
    assert_eq!(decode(&frame(LinkType::RawIp, &echo)).embedded(), None);

    let error = [&[1, 4, 0, 0, 0, 0, 0, 0], &*ipv6(17, &UDP_BODY)].concat();
    let data = ipv6(58, &error);
    let embedded = decode(&frame(LinkType::RawIp, &data)).embedded().unwrap();
    assert_eq!(embedded.source.to_string(), "::1");
    assert_eq!((embedded.protocol, embedded.ports), (17, Some((53, 99))));
}

#[test]
fn arp() {
    let mut data = vec![0xff; 12];
    data.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 1, 2, 3, 4, 5, 6, 10, 0, 0, 1]);
    data.extend([0, 0, 0, 0, 0, 0, 10, 0, 0, 2, 0, 0, 0]);
    let message = decode(&frame(LinkType::Ethernet, &data)).arp().unwrap();
    assert_eq!((message.operation, message.sender_mac), (1, [1, 2, 3, 4, 5, 6]));
    assert_eq!(message.sender.to_string(), "10.0.0.1");
    assert_eq!(message.target.to_string(), "10.0.0.2");
    assert_eq!(decode(&frame(LinkType::Ethernet, &data[..40])).arp(), None);
    assert_eq!(decode(&frame(LinkType::Ethernet, &tcp4(b"x"))).arp(), None);
}

#[test]
fn inside_is_shorter_and_deeper() {
    let data = ipv4(&[], 4, &ipv4(&[], 17, &UDP_BODY));
    let source = frame(LinkType::RawIp, &data);
    let mut outer = decode(&source);
    let inner = Tunnels::default().inner(&mut outer).unwrap();
    assert_eq!((outer.length, inner.length), (51, 31));
    assert_eq!((outer.depth, inner.depth, outer.carrier, inner.carrier), (0, 1, true, false));
}
