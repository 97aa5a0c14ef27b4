//! The filter language: what it means (against tcpdump), what it refuses, and that the kernel never
//! drops what it wants.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use nids::capture::{Direction, Frame, LinkType, Timestamp};
use nids::decode::decode;
use nids::monitor::filter::{Expr, parse};
use nids_abi::{LEVEL_ALL, Reason, TCP_DST, TCP_SRC, UDP_DST, UDP_SRC};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::live::reference::Judgement;

fn filter(text: &str) -> Expr {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn frame(data: &[u8]) -> Frame<'_> {
    Frame {
        time: Timestamp(0),
        link: LinkType::Ethernet,
        data,
        wire_len: data.len() as u32,
        port: 0,
        direction: Direction::Ingress,
        vlan_offload: None,
        number: 0,
    }
}

fn matches(filter: &Expr, data: &[u8]) -> bool {
    filter.matches(&decode(&frame(data)))
}

// ---------------------------------------------------------------------------------------- packets

const PORTS: [u16; 7] = [22, 53, 80, 443, 6000, 6008, 51000];
const V4: [[u8; 4]; 5] =
    [[10, 0, 0, 1], [10, 0, 0, 2], [10, 1, 2, 3], [192, 168, 1, 1], [224, 0, 0, 251]];
const MACS: [[u8; 6]; 4] =
    [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], [0xff; 6], [1, 0, 0x5e, 0, 0, 0xfb]];

fn v6_address(last: u8) -> [u8; 16] {
    let mut address = [0; 16];
    address[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    if last == 9 {
        address[0] = 0xff;
    }
    address[15] = last;
    address
}

fn one_of<T: Clone + std::fmt::Debug + 'static>(list: &[T]) -> BoxedStrategy<T> {
    prop::sample::select(list.to_vec()).boxed()
}

/// Protocol number and the bytes of its header with some payload.
fn transport(v6: bool) -> BoxedStrategy<(u8, Vec<u8>)> {
    let ports = (one_of(&PORTS), one_of(&PORTS));
    let payload = prop::collection::vec(any::<u8>(), 0..40);
    let tcp = (ports.clone(), any::<u8>(), 5u8..8, payload.clone());
    let tcp = tcp.prop_map(|((source, destination), flags, words, payload)| {
        let mut bytes = [source.to_be_bytes(), destination.to_be_bytes()].concat();
        bytes.extend([0; 8]);
        bytes.extend([words << 4, flags, 1, 0, 0, 0, 0, 0]);
        bytes.extend(vec![1; usize::from(words - 5) * 4]);
        bytes.extend(payload);
        (6, bytes)
    });
    let udp = (ports.clone(), payload.clone()).prop_map(|((source, destination), payload)| {
        let length = 8 + payload.len() as u16;
        let mut bytes = [source, destination, length, 0].map(u16::to_be_bytes).concat();
        bytes.extend(payload);
        (17, bytes)
    });
    let sctp = (ports, payload.clone()).prop_map(|((source, destination), payload)| {
        let mut bytes = [source.to_be_bytes(), destination.to_be_bytes()].concat();
        bytes.extend([0; 8]);
        bytes.extend(payload);
        (132, bytes)
    });
    let icmp = (one_of(&[0u8, 3, 8, 128, 129, 135]), 0u8..3, payload.clone());
    let icmp = icmp.prop_map(move |(icmp_type, code, payload)| {
        let mut bytes = vec![icmp_type, code, 0, 0, 0, 0, 0, 0];
        bytes.extend(payload);
        (if v6 { 58 } else { 1 }, bytes)
    });
    let other = (one_of(&[1u8, 2, 47, 50, 58, 89, 103, 112, 253]), payload);
    let other = other.prop_map(|(number, payload)| (number, [payload, vec![0; 8]].concat()));
    prop_oneof![4 => tcp, 3 => udp, 1 => sctp, 2 => icmp, 1 => other].boxed()
}

#[derive(Clone, Debug)]
struct Shape {
    /// Fragments, options, IPv6 extension headers.
    plain: bool,
}

fn ipv4(shape: Shape) -> BoxedStrategy<Vec<u8>> {
    let fragment = one_of(&[0u16, 0, 0, 0, 0x4000, 0x2000, 0x2010, 0x0010]);
    let parts = (one_of(&V4), one_of(&V4), transport(false), fragment, 5u8..8);
    parts
        .prop_map(move |(source, destination, (number, body), fragment, words)| {
            let words = if shape.plain { 5 } else { words };
            let length = u16::from(words) * 4 + body.len() as u16;
            let mut bytes = vec![0x40 | words, 0];
            bytes.extend(length.to_be_bytes());
            bytes.extend([0, 1]);
            bytes.extend(fragment.to_be_bytes());
            bytes.extend([64, number, 0, 0]);
            bytes.extend(source);
            bytes.extend(destination);
            bytes.extend(vec![1; usize::from(words - 5) * 4]);
            bytes.extend(body);
            bytes
        })
        .boxed()
}

fn ipv6(shape: Shape) -> BoxedStrategy<Vec<u8>> {
    let extensions =
        prop::collection::vec((one_of(&[0u8, 43, 44, 51, 60]), 0u8..2, any::<bool>()), 0..8);
    let parts =
        (one_of(&[1u8, 2, 3, 9]), one_of(&[1u8, 2, 3, 9]), transport(true), extensions, 0u8..10);
    parts
        .prop_map(move |(source, destination, (number, body), mut extensions, fragment)| {
            if shape.plain {
                // tcpdump looks behind no extension header, but at those of fragments that are not first.
                extensions = if fragment == 0 { vec![(44, 0, true)] } else { Vec::new() };
            }
            let numbers: Vec<u8> = extensions.iter().map(|e| e.0).chain([number]).collect();
            let mut inner = Vec::new();
            for ((kind, length, odd), next) in extensions.iter().zip(&numbers[1..]) {
                match kind {
                    44 => inner.extend([*next, 0, 0, if *odd { 0x10 } else { 0 }, 0, 0, 0, 1]),
                    51 => {
                        inner.extend([*next, length + 1]);
                        inner.extend(vec![0; usize::from(length + 3) * 4 - 2]);
                    }
                    _ => {
                        inner.extend([*next, *length]);
                        inner.extend(vec![0; usize::from(length + 1) * 8 - 2]);
                    }
                }
            }
            inner.extend(body);
            let mut bytes = vec![0x60, 0, 0, 0];
            bytes.extend((inner.len() as u16).to_be_bytes());
            bytes.extend([numbers[0], 64]);
            bytes.extend(v6_address(source));
            bytes.extend(v6_address(destination));
            bytes.extend(inner);
            bytes
        })
        .boxed()
}

fn arp() -> BoxedStrategy<Vec<u8>> {
    (one_of(&V4), one_of(&V4), 1u8..3)
        .prop_map(|(sender, target, operation)| {
            let mut bytes = vec![0, 1, 8, 0, 6, 4, 0, operation];
            bytes.extend(MACS[0]);
            bytes.extend(sender);
            bytes.extend([0; 6]);
            bytes.extend(target);
            bytes
        })
        .boxed()
}

fn ethernet(shape: Shape) -> BoxedStrategy<Vec<u8>> {
    let network = prop_oneof![
        6 => ipv4(shape.clone()).prop_map(|b| (0x0800u16, b)),
        4 => ipv6(shape.clone()).prop_map(|b| (0x86dd, b)),
        1 => arp().prop_map(|b| (0x0806, b)),
        1 => arp().prop_map(|b| (0x8035, b)),
        1 => Just((0x88cc, vec![2, 7, 4, 2, 0, 0])),
    ];
    let tags = prop::collection::vec((one_of(&[0x8100u16, 0x88a8]), one_of(&[10u16, 20])), 0..4);
    (one_of(&MACS), one_of(&MACS), tags, 0u8..4, network)
        .prop_map(move |(destination, source, tags, tagged, (ether_type, body))| {
            let mut bytes = [destination, source].concat();
            if !shape.plain && tagged == 0 {
                for (kind, id) in tags {
                    bytes.extend([kind.to_be_bytes(), id.to_be_bytes()].concat());
                }
            }
            bytes.extend(ether_type.to_be_bytes());
            bytes.extend(body);
            bytes
        })
        .boxed()
}

/// Frames of all kinds, cut and damaged ones too.
fn hostile() -> BoxedStrategy<Vec<u8>> {
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let cut = prop::option::weighted(0.2, any::<prop::sample::Index>());
    (ethernet(Shape { plain: false }), prop::option::weighted(0.3, damage), cut, 0usize..20)
        .prop_map(|(mut bytes, damage, cut, padding)| {
            for (at, value) in damage.into_iter().flatten() {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            } else {
                bytes.extend(vec![0; padding]);
            }
            bytes
        })
        .boxed()
}

// ---------------------------------------------------------------------------------------- filters

/// Tests that tcpdump and this filter must see alike on plain packets.
fn test() -> BoxedStrategy<String> {
    let words = one_of(&[
        "ip",
        "ip6",
        "arp",
        "rarp",
        "tcp",
        "udp",
        "icmp",
        "icmp6",
        "sctp",
        "igmp",
        "pim",
        "vrrp",
        "esp",
        "ah",
        "broadcast",
        "multicast",
        "ether multicast",
        "ip multicast",
        "ip6 multicast",
        "proto 17",
        "ip proto 6",
        "ip6 proto 17",
        "ip proto \\icmp",
        "ip6 proto 44",
        "proto 47",
        "ether proto 0x88cc",
        "ether proto \\arp",
        "proto \\tcp",
        "(ip and tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn)",
        "ip[8] > 63",
        "ip[2:2] >= 60",
        "(ip and icmp[icmptype] = icmp-echo)",
        "len % 2 = 0",
        "(icmp6 and ip6[40] = 128)",
        "ether[0] & 1 != 0",
        "ip[0] & 0xf << 2 = 20",
        "ip[0] >> 4 = 4 and ip[9] - 5 = 1",
        "(ip[6:2] & 0x1fff) != 0",
        "(ip and udp[4:2] > 20)",
        "(ip and tcp[((tcp[12] & 0xf0) >> 2) - 1] != 7)",
        "(len + 1) * 2 > 150",
        "0x20 < ip[3]",
        "100 / 3 = 33 and len ^ 1 > 70",
    ])
    .prop_map(String::from);
    let side = || one_of(&["", "src ", "dst ", "src or dst ", "src and dst "]);
    let port = (one_of(&["", "tcp ", "udp ", "sctp "]), side(), one_of(&PORTS))
        .prop_map(|(protocol, side, port)| format!("{protocol}{side}port {port}"));
    let range = (one_of(&["", "tcp ", "udp "]), side(), one_of(&PORTS), one_of(&PORTS)).prop_map(
        |(protocol, side, a, b)| format!("{protocol}{side}portrange {}-{}", a.min(b), a.max(b)),
    );
    let address = one_of(&[
        "10.0.0.1",
        "10.0.0.2",
        "192.168.1.1",
        "2001:db8::1",
        "2001:db8::2",
        "224.0.0.251",
    ]);
    let host = (side(), address).prop_map(|(side, host)| format!("{side}host {host}"));
    let within = one_of(&["ip", "arp", "rarp"]);
    let host_of = (within, side(), one_of(&["10.0.0.1", "10.1.2.3"]))
        .prop_map(|(within, side, host)| format!("{within} {side}host {host}"));
    let network = one_of(&[
        "10.0.0.0/8",
        "10",
        "10.0",
        "192.168.1.0/24",
        "192.168.1.0 mask 255.255.255.0",
        "2001:db8::/32",
        "0.0.0.0/0",
        "10.0.0.0/30",
        "2001:db8::2/127",
        "::/0",
    ]);
    let net = (side(), network).prop_map(|(side, net)| format!("{side}net {net}"));
    let hardware = (side(), one_of(&["02:00:00:00:00:01", "2:0:0:0:0:2", "ff:ff:ff:ff:ff:ff"]))
        .prop_map(|(side, address)| format!("ether {side}host {address}"));
    let length = (one_of(&["less", "greater"]), 40u32..110)
        .prop_map(|(word, bytes)| format!("{word} {bytes}"));
    let list = (one_of(&["tcp ", ""]), prop::collection::vec(one_of(&PORTS), 2..4), any::<bool>())
        .prop_map(|(protocol, ports, parentheses)| {
            let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
            if parentheses {
                format!("{protocol}port ({})", ports.join(" or "))
            } else {
                format!("({protocol}port {})", ports.join(" or "))
            }
        });
    prop_oneof![
        4 => words, 3 => port, 1 => range, 2 => host, 1 => host_of, 2 => net, 1 => hardware,
        1 => length, 1 => list,
    ]
    .boxed()
}

/// Tests joined at random; `and` and `or` without parentheses too.
fn expression(test: BoxedStrategy<String>) -> BoxedStrategy<String> {
    test.prop_recursive(4, 12, 3, |inner| {
        let joint = one_of(&[" and ", " or ", " && ", " || ", " and not ", " or ! "]);
        prop_oneof![
            (prop::collection::vec((inner.clone(), joint), 1..3), inner.clone()).prop_map(
                |(parts, last)| {
                    parts.iter().map(|(a, b)| format!("{a}{b}")).collect::<String>() + &last
                }
            ),
            inner.clone().prop_map(|inner| format!("({inner})")),
            inner.clone().prop_map(|inner| format!("not ({inner})")),
            inner.prop_map(|inner| format!("! {inner}")),
        ]
    })
    .boxed()
}

/// The same, with what only this filter has.
fn own_expression() -> BoxedStrategy<String> {
    let own =
        one_of(&["vlan", "vlan 10", "vlan 20", "tcp[13] & 2 != 0", "udp[0:2] = 53", "ip6 proto 0"]);
    expression(prop_oneof![5 => test(), 1 => own.prop_map(String::from)].boxed())
}

// ------------------------------------------------------------------------------------------ tests

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// Soundness: what the filter wants, the kernel's table lets by, on whatever frames.
    #[test]
    fn the_kernel_drops_nothing_the_filter_wants(
        text in own_expression(),
        frames in prop::collection::vec(hostile(), 40),
    ) {
        let filter = filter(&text);
        let table = filter.kernel();
        for frame in frames {
            let reason = Judgement::of(&frame).reason(&table);
            if matches(&filter, &frame) {
                prop_assert!(
                    Reason::FORWARDED.contains(&reason),
                    "{text:?} wants {frame:02x?}, the kernel says {reason:?}"
                );
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        match parse(&text) {
            Ok(filter) => { matches(&filter, &bytes); }
            Err(error) => { prop_assert!(!error.to_string().is_empty()); }
        }
    }

    #[test]
    fn no_shuffled_words_make_it_panic(
        words in prop::collection::vec(one_of(&[
            "and", "or", "not", "(", ")", "tcp", "ip", "port", "host", "80", "1.2.3.4", "src", "dst", "[",
            "]", ":", "&", "=", "len", "tcp[13]", "net", "/8", "\\tcp", "proto", "ether", "vlan", "-",
        ]), 0..12),
        bytes in hostile(),
    ) {
        match parse(&words.join(" ")) {
            Ok(filter) => { matches(&filter, &bytes); filter.kernel(); }
            Err(error) => {
                prop_assert!(error.span.start <= error.span.end && error.span.end <= error.text.len());
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}

fn sample<T: std::fmt::Debug>(strategy: &BoxedStrategy<T>, runner: &mut TestRunner) -> T {
    strategy.new_tree(runner).unwrap().current()
}

/// A pcap whose frames carry their number as time, in seconds.
fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 1] {
        file.extend(word.to_le_bytes());
    }
    for (number, frame) in frames.iter().enumerate() {
        let length = frame.len() as u32;
        for word in [number as u32, 0, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

/// The numbers of the frames that tcpdump lets by.
fn tcpdump(path: &std::path::Path, filter: &str) -> Result<BTreeSet<usize>, String> {
    let output = Command::new("tcpdump")
        .args(["-n", "-r"])
        .arg(path)
        .args(["-w", "-", filter])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let word = |at: usize| {
        let bytes = output.stdout.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().unwrap()) as usize)
    };
    let (mut at, mut numbers) = (24, BTreeSet::new());
    while let (Some(number), Some(length)) = (word(at), word(at + 8)) {
        numbers.insert(number);
        at += 16 + length;
    }
    Ok(numbers)
}

/// tcpdump is the judge of what the language means.
#[test]
fn the_same_packets_as_tcpdump() {
    if Command::new("tcpdump").arg("--version").output().is_err() {
        eprintln!("skipped: there is no tcpdump to compare with");
        return;
    }
    let mut runner = TestRunner::deterministic();
    let packets = ethernet(Shape { plain: true });
    let frames: Vec<_> = (0..600).map(|_| sample(&packets, &mut runner)).collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&pcap(&frames)).unwrap();
    let (alone, joined) = (test(), expression(test()));
    let mut compared = 0;
    for round in 0..500 {
        let text = sample(if round < 150 { &alone } else { &joined }, &mut runner);
        let filter = filter(&text);
        let expected = match tcpdump(file.path(), &text) {
            Ok(expected) => expected,
            // libpcap sees that some filters can never be true, and refuses those.
            Err(error) if error.contains("expression rejects all packets") => BTreeSet::new(),
            Err(error) => panic!("{text:?}: {error}"),
        };
        let found: BTreeSet<usize> =
            (0..frames.len()).filter(|number| matches(&filter, &frames[*number])).collect();
        if let Some(number) = expected.symmetric_difference(&found).next() {
            panic!(
                "{text:?}: packet {number} {:02x?}: tcpdump {}, here {}",
                frames[*number],
                expected.contains(number),
                found.contains(number)
            );
        }
        compared += usize::from(!expected.is_empty() && expected.len() < frames.len());
    }
    assert!(compared > 250, "only {compared} filters told packets apart");
}

/// What the kernel's table holds for common filters: as tight as it can be.
#[test]
fn protocols_and_ports_reach_the_kernel() {
    let level = |text: &str, port: u16, shift: u8| {
        filter(text).kernel().ports[usize::from(port)] >> shift & 3
    };
    for (text, port, shift, expected) in [
        ("tcp and port 80", 80, TCP_SRC, LEVEL_ALL),
        ("tcp and port 80", 80, TCP_DST, LEVEL_ALL),
        ("tcp and port 80", 80, UDP_DST, 0),
        ("tcp and port 80", 81, TCP_DST, 0),
        ("udp dst port 53", 53, UDP_DST, LEVEL_ALL),
        ("udp dst port 53", 53, UDP_SRC, 0),
        ("port 80 or 443", 443, UDP_SRC, LEVEL_ALL),
        ("tcp port 80 and not port 443", 443, TCP_SRC, 0),
        ("tcp port 80 and not port 443", 80, TCP_SRC, LEVEL_ALL),
        ("tcp and not port 22", 22, TCP_DST, 0),
        ("tcp and not port 22", 23, TCP_SRC, LEVEL_ALL),
        ("tcp src port 80 and dst port 51000", 80, TCP_SRC, LEVEL_ALL),
        ("tcp src port 80 and dst port 51000", 51000, TCP_DST, 0),
        ("icmp", 80, TCP_DST, 0),
        ("host 10.0.0.1 and portrange 6000-6008", 6004, TCP_DST, LEVEL_ALL),
        ("host 10.0.0.1 and portrange 6000-6008", 6009, TCP_DST, 0),
        ("not tcp", 80, UDP_SRC, LEVEL_ALL),
        ("not tcp", 80, TCP_SRC, 0),
        ("ip and tcp[13] & 2 != 0", 1, UDP_SRC, 0),
    ] {
        assert_eq!(level(text, port, shift), expected, "{text:?} {port} {shift}");
    }
    let table = filter("tcp and port 80").kernel();
    assert_eq!((table.icmp4[8], table.icmp6[128], table.ip_proto[132], table.non_ip), (0, 0, 0, 0));
    assert_eq!((table.fragments, table.unjudged), (1, 1));
    let table = filter("icmp or arp").kernel();
    assert_eq!((table.icmp4[8], table.icmp6[128], table.ip_proto[47], table.non_ip), (1, 0, 0, 1));
    assert_eq!(*filter("").kernel(), {
        let mut all = nids_abi::FilterTable::FULL;
        // Either end is enough to let every frame by.
        all.ports = [LEVEL_ALL << TCP_SRC | LEVEL_ALL << UDP_SRC; 65536];
        all
    });
}

/// Where this filter means more than tcpdump's, as its documentation says.
#[test]
fn behind_tags_and_extension_headers() {
    let tagged = |body: &[u8]| {
        let mut bytes = [MACS[0], MACS[1]].concat();
        bytes.extend([0x81, 0, 0, 10, 0x81, 0, 0, 20, 0x08, 0]);
        bytes.extend(body);
        bytes
    };
    let mut body = vec![0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    body.extend([0, 22, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]);
    let frame = tagged(&body);
    for (text, expected) in [
        ("tcp port 22", true),
        ("vlan", true),
        ("vlan 10", true),
        ("vlan 20 and host 10.0.0.2", true),
        ("vlan 30", false),
        ("tcp[tcpflags] == tcp-syn", true),
        ("tcp[100] = 0 or tcp", false),
        ("tcp or tcp[100] = 0", true),
        ("10.0.0.1", true),
        ("not 10.0.0.1", false),
        ("src 10.0.0.1 and dst 10.0.0.2", true),
        ("port ssh", true),
        ("portrange ftp-data-ssh", true),
        ("len / 0 = 1", false),
        ("not len / 0 = 1", false),
    ] {
        assert_eq!(matches(&filter(text), &frame), expected, "{text}");
    }
    // A length that lies: no packet for a host, but still one to be found.
    body[3] = 200;
    assert!(matches(&filter("tcp port 22 and host 10.0.0.1"), &tagged(&body)));
    assert!(!matches(&filter("not tcp"), &tagged(&body)));
}

/// Errors name the place, the reason and where possible the way out.
#[test]
fn errors() {
    for (text, expected) in [
        (
            "port htpp",
            "\"htpp\" is neither a port nor a known service\n  port htpp\n       ^^^^ did you mean \"http\"?",
        ),
        (
            "port 80-90",
            "\"80-90\" is neither a port nor a known service\n  port 80-90\n       ^^^^^ did you mean \"portrange 80-90\"?",
        ),
        ("port 65536", "a port is at most 65535\n  port 65536\n       ^^^^^"),
        ("tpc", "\"tpc\" is no word of the filter language\n  tpc\n  ^^^ did you mean \"tcp\"?"),
        (
            "tcp adn udp",
            "two tests need \"and\" or \"or\" between them\n  tcp adn udp\n      ^^^ did you mean \"and\"?",
        ),
        ("(tcp or udp", "a parenthesis is not closed\n  (tcp or udp\n  ^"),
        ("tcp)", "this parenthesis was never opened\n  tcp)\n     ^"),
        ("tcp and", "the filter ends where a test must follow\n  tcp and\n         ^"),
        (
            "host 10.0.0.0/8",
            "this is a network\n  host 10.0.0.0/8\n       ^^^^^^^^^^ did you mean \"net 10.0.0.0/8\"?",
        ),
        (
            "net 10.1.2.3/8",
            "the address has bits beyond its prefix\n  net 10.1.2.3/8\n      ^^^^^^^^^^ did you mean \"net 10.0.0.0/8\"?",
        ),
        (
            "net 10.0.0.0/33",
            "an IPv4 prefix has at most 32 bits\n  net 10.0.0.0/33\n      ^^^^^^^^^^^",
        ),
        (
            "host example.com",
            "this is no IP address, and names are not looked up\n  host example.com\n       ^^^^^^^^^^^",
        ),
        ("443", "a number needs a word before it\n  443\n  ^^^ did you mean \"port 443\"?"),
        ("icmp port 80", "only tcp, udp and sctp have ports\n  icmp port 80\n  ^^^^^^^^^"),
        (
            "tcp host 1.2.3.4",
            "a transport protocol has no addresses; join it with \"and\"\n  tcp host 1.2.3.4\n  ^^^^^^^^",
        ),
        (
            "ip6 host 1.2.3.4",
            "this address is of another protocol\n  ip6 host 1.2.3.4\n           ^^^^^^^",
        ),
        ("tcp[0:3] = 1", "1, 2 or 4 bytes can be read at a time\n  tcp[0:3] = 1\n        ^"),
        ("inbound", "\"inbound\" is not supported\n  inbound\n  ^^^^^^^"),
        ("port é", "'é' has no meaning here\n  port é\n       ^"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert_eq!(error, format!("this is no filter: {expected}"), "{text}");
    }
    let deep = "(".repeat(5000) + "tcp" + &")".repeat(5000);
    assert!(parse(&deep).unwrap_err().reason.contains("too many parentheses"));
    let long = vec!["port 80"; 5000].join(" or ");
    assert!(!matches(&filter(&long), &[0; 60]));
}
