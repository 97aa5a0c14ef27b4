//! Keywords on headers, events and flows, end to end: what bytes the buffers hold, packets without IP
//! headers, the rules on events that are shipped, and the rules of the conformance suite.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nids::decode::{self, Tunnels, decode};
use nids::detect::memory::Shared;
use nids::detect::subject::{StreamFacts, Subject};
use nids::detect::{Compiled, Environment, Inspector, Ruleset, compile};
use nids::flow::{FlowDirection, FlowView};
use nids::rule::load::load;
use nids::rule::parser::parse_str;
use nids::stream::{self, Progress};

use super::world;

fn compiled(text: &str) -> Compiled {
    let file: Arc<Path> = Path::new("header.rules").into();
    let parsed = parse_str(&file, text);
    assert!(parsed.refusals.is_empty(), "{:?}", parsed.refusals);
    compile(&parsed.rules, &Environment::default())
}

fn ruleset(text: &str) -> Ruleset {
    let compiled = compiled(text);
    assert!(compiled.refusals.is_empty(), "{text}: {:?}", compiled.refusals);
    compiled.ruleset
}

fn sids(ruleset: &Ruleset, frame: &[u8]) -> Vec<u32> {
    world::alerts(ruleset, &[frame.to_vec()]).into_iter().map(|(_, sid)| sid).collect()
}

/// An Ethernet frame of this EtherType.
fn frame(ether_type: u16, body: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &ether_type.to_be_bytes(), body].concat()
}

fn ipv4(protocol: u8, options: &[u8], body: &[u8]) -> Vec<u8> {
    let length = (20 + options.len() + body.len()) as u16;
    let mut packet = vec![0x45 + options.len() as u8 / 4, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame(0x0800, &[&packet, options, body].concat())
}

fn ipv6(next: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((body.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    for last in [1, 2] {
        packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    frame(0x86dd, &[&packet, body].concat())
}

const UDP: [u8; 11] = [0, 1, 0, 2, 0, 11, 0, 0, b'a', b'b', b'c'];

/// How long each buffer is, as Suricata 7.0.10 shows it.
#[test]
fn buffers_are_as_long_as_suricatas() {
    let options = [17, 0, 1, 4, 0, 0, 0, 0];
    let icmp = |kind: u8, more: usize| [vec![kind, 0, 0, 0, 0, 7, 0, 1], vec![0x45; more]].concat();
    let cases: [(&str, Vec<u8>, Option<usize>); 16] = [
        ("ipv4.hdr", ipv4(17, &[], &UDP), Some(20)),
        ("ipv4.hdr", ipv4(17, &[1; 8], &UDP), Some(28)),
        ("ipv4.hdr", ipv6(17, &UDP), None),
        ("ipv6.hdr", ipv6(17, &UDP), Some(40)),
        ("ipv6.hdr", ipv6(60, &[&options[..], &UDP].concat()), Some(48)),
        // A fragment.
        ("ipv6.hdr", ipv6(44, &[&[17, 0, 0, 1, 0, 0, 0, 9][..], &UDP[..8]].concat()), Some(40)),
        ("ipv6.hdr", ipv6(200, &UDP), Some(40)),
        ("udp.hdr", ipv4(17, &[], &UDP), Some(8)),
        (
            "tcp.hdr",
            ipv4(
                6,
                &[],
                &[
                    0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0x70, 2, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1,
                    1, 1, 1, 9,
                ],
            ),
            Some(28),
        ),
        ("icmpv4.hdr", ipv4(1, &[], &icmp(8, 16)), Some(8)),
        ("icmpv4.hdr", ipv4(1, &[], &icmp(13, 11)), Some(8)),
        ("icmpv4.hdr", ipv4(1, &[], &icmp(14, 13)), Some(20)),
        ("icmpv6.hdr", ipv6(58, &icmp(128, 16)), Some(8)),
        ("ip.src", ipv4(47, &[], &[0; 4]), Some(4)),
        ("ip.dst", ipv6(17, &UDP), Some(16)),
        ("ip.dst", frame(0x0806, &[0; 28]), None),
    ];
    for (name, bytes, length) in cases {
        // Through the rule, so that the keyword's name is looked at too.
        let ruleset =
            ruleset(&format!("alert ip any any -> any any ({name}; content:\"a\"; sid:1;)"));
        let packet = decode(&world::frame(&bytes, true, 1));
        let buffer = ruleset.signatures()[0].headers[0].buffer;
        let found = buffer.of_packet(&packet, &mut [0; 16]).map(<[u8]>::len);
        assert_eq!(found, length, "{name} {packet:?}");
    }
}

#[test]
fn a_buffer_named_again_goes_on() {
    let tcp =
        [0, 1, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x18, 16, 0, 0, 0, 0, 0, b'G', b'E', b'T'];
    let frame = ipv4(6, &[], &tcp);
    for (options, expected) in [
        (
            "tcp.hdr; content:\"|00 50|\"; offset:2; depth:2; tcp.hdr; content:\"|50 18|\"; distance:8; within:2;",
            true,
        ),
        ("content:\"GET\"; tcp.hdr; content:\"|00 50|\"; offset:2; depth:2;", true),
        ("content:\"PUT\"; tcp.hdr; content:\"|00 50|\"; offset:2; depth:2;", false),
        ("content:\"GET\"; tcp.hdr; content:\"|00 51|\"; offset:2; depth:2;", false),
        ("content:\"GET\"; tcp.hdr; content:!\"|00 50|\"; offset:2; depth:2;", false),
        ("tcp.hdr; content:\"GET\";", false),
        (
            "ipv4.hdr; content:\"|45|\"; startswith; ip.src; content:\"|0a 00 00 01|\"; endswith;",
            true,
        ),
        ("ipv6.hdr; content:!\"GET\";", false),
    ] {
        let ruleset = ruleset(&format!("alert tcp any any -> any any ({options} sid:1;)"));
        assert_eq!(!sids(&ruleset, &frame).is_empty(), expected, "{options}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    for (rule, place) in [
        ("alert tcp any any -> any any (udp.hdr; content:\"a\"; sid:1;)", "udp.hdr"),
        ("alert udp any any -> any any (tcp.hdr; content:\"a\"; sid:1;)", "tcp.hdr"),
        ("alert icmpv6 any any -> any any (icmpv4.hdr; content:\"a\"; sid:1;)", "icmpv4.hdr"),
        ("alert tcp any any -> any any (tcp.hdr; sid:1;)", "tcp.hdr"),
        ("alert tcp any any -> any any (content:\"a\"; tcp.hdr:3; content:\"b\"; sid:1;)", "3"),
        ("alert ip any any -> any any (l3_proto:ipv4; l3_proto:ip6; sid:1;)", "l3_proto"),
        ("alert ip any any -> any any (l3_proto:6; sid:1;)", "6"),
        ("alert tcp any any -> any any (content:\"a\"; replace:\"b\"; sid:1;)", "replace"),
        ("alert tcp any any -> any any (prefilter; content:\"a\"; sid:1;)", "prefilter"),
        ("alert tcp any any -> any any (target:src_ip; target:dest_ip; sid:1;)", "target"),
        ("alert tcp any any -> any any (target:both; sid:1;)", "both"),
        ("alert tcp any any -> any any (bypass:1; sid:1;)", "1"),
        ("alert ip any any -> any any (engine-event:ipv4.trunc_pkt; sid:1;)", "ipv4.trunc_pkt"),
        ("alert ip any any -> any any (decode-event:nothing; sid:1;)", "nothing"),
        (
            "alert tcp any any -> any any (app-layer-state:request_started; sid:1;)",
            "app-layer-state",
        ),
    ] {
        let refusals = compiled(rule).refusals;
        let [refusal] = refusals.as_slice() else { panic!("{rule}: {refusals:?}") };
        assert_eq!(
            &refusal.text[refusal.span.start..refusal.span.end],
            place,
            "{}",
            refusal.reason
        );
    }
}

#[test]
fn noalert_and_alert_the_last_one_counts() {
    let frame = ipv4(17, &[], &UDP);
    for (options, expected) in
        [("noalert;", 0), ("alert;", 1), ("noalert; alert;", 1), ("alert; noalert;", 0)]
    {
        let rule = format!("alert udp any any -> any any (dsize:3; {options} sid:1;)");
        assert_eq!(sids(&ruleset(&rule), &frame).len(), expected, "{options}");
    }
}

/// Rules on decoder events with `ip` or `pkthdr` and nothing else are tried on packets without IP header.
#[test]
fn packets_without_ip_header() {
    let takes = |header: &str, options: &str| {
        let ruleset = ruleset(&format!("alert {header} ({options} sid:1;)"));
        let bytes = frame(0x0800, &[0x45, 0]);
        let packet = decode(&world::frame(&bytes, true, 1));
        assert!(packet.ip.is_none());
        let subject = Subject::new(&packet, None);
        let broken = ruleset.broken().iter().map(|index| &ruleset.signatures()[*index as usize]);
        let found = broken.filter(|signature| signature.fits_broken(&subject)).count();
        let filter = ruleset.filter(&Tunnels::none().carriers());
        assert_eq!(filter.non_ip == 1, !ruleset.broken().is_empty());
        found == 1
    };
    let any = |protocol: &str| format!("{protocol} any any -> any any");
    for (header, options, expected) in [
        (any("pkthdr"), "decode-event:ipv4.pkt_too_small;", true),
        (any("ip"), "decode-event:ipv4.pkt_too_small;", true),
        (any("pkthdr"), "engine-event:decoder.ipv4.pkt_too_small;", true),
        (any("pkthdr"), "decode-event:ipv4.trunc_pkt;", false),
        (any("pkthdr"), "decode-event:ipv4.pkt_too_small; decode-event:ipv4.trunc_pkt;", false),
        (any("tcp"), "decode-event:ipv4.pkt_too_small;", false),
        (any("ipv4"), "decode-event:ipv4.pkt_too_small;", false),
        (any("pkthdr"), "decode-event:ipv4.pkt_too_small; ttl:3;", false),
        (any("pkthdr"), "decode-event:ipv4.pkt_too_small; content:\"a\";", false),
        (any("pkthdr"), "decode-event:ipv4.pkt_too_small; flow:to_server;", false),
        (any("pkthdr"), "dsize:0;", false),
        ("pkthdr 10.0.0.0/8 any -> any any".into(), "decode-event:ipv4.pkt_too_small;", false),
        ("pkthdr any 1 -> any any".into(), "decode-event:ipv4.pkt_too_small;", false),
    ] {
        assert_eq!(takes(&header, options), expected, "{header} {options}");
    }
}

#[test]
fn events_of_packets_that_have_headers() {
    let too_small = ipv4(6, &[], &[0; 10]);
    let padded = ipv4(17, &[1; 4], &UDP);
    for (rule, frame, expected) in [
        ("alert tcp any any -> any any (decode-event:tcp.pkt_too_small; sid:1;)", &too_small, true),
        (
            "alert pkthdr any any -> any any (decode-event:TCP.pkt_too_small; sid:1;)",
            &too_small,
            true,
        ),
        (
            "alert udp any any -> any any (decode-event:tcp.pkt_too_small; sid:1;)",
            &too_small,
            false,
        ),
        (
            "alert udp any any -> any 2 (decode-event:ipv4.opt_pad_required; content:\"abc\"; sid:1;)",
            &padded,
            true,
        ),
        (
            "alert pkthdr any any -> any any (decode-event:ipv4.opt_pad_required; ttl:63; sid:1;)",
            &padded,
            false,
        ),
    ] {
        assert_eq!(!sids(&ruleset(rule), frame).is_empty(), expected, "{rule}");
    }
}

/// A packet of a stream of which this is known.
#[test]
fn streams_and_flows() {
    let tcp = [0, 1, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 16, 0, 0, 0, 0, 0];
    let bytes = ipv4(6, &[], &tcp);
    let packet = decode(&world::frame(&bytes, true, 2_500));
    let flow = FlowView {
        id: 1,
        direction: FlowDirection::ToServer,
        established: true,
        packets_to_server: 4,
        packets_to_client: 2,
        bytes_to_server: 400,
        bytes_to_client: 150,
        start: world::frame(&[], true, 0).time,
        last: world::frame(&[], true, 0).time,
    };
    let progress = |sent| Progress { sent, acked: 0, raw: 0, app: 0 };
    let stream = StreamFacts {
        events: [stream::Event::InvalidAck].into_iter().collect(),
        progress: Some([progress(12), progress(24)]),
        ..StreamFacts::default()
    };
    let subject = Subject { flow: Some(&flow), stream, ..Subject::new(&packet, None) };
    let bare = Subject::new(&packet, None);
    for (options, expected) in [
        ("stream-event:pkt_invalid_ack;", true),
        ("engine-event:stream.pkt_invalid_ack;", true),
        ("stream-event:pkt_broken_ack;", false),
        ("stream_size:client,=,12;", true),
        ("stream_size:server,<,24;", false),
        ("stream_size:both,>,11;", true),
        ("stream_size:either,>,23;", true),
        ("flow.age:2;", true),
        ("flow.age:>2;", false),
        ("flow.pkts:toserver,4;", true),
        ("flow.pkts_toclient:>2;", false),
        ("flow.bytes:either,>200;", true),
        ("flow.bytes:both,>200;", false),
        ("flow.bytes_toclient:149<>151;", true),
    ] {
        let ruleset = ruleset(&format!("alert tcp any any -> any any ({options} sid:1;)"));
        let matches = |subject: &Subject<'_>| {
            let mut found = 0;
            Inspector::new(&ruleset, Shared::new(0))
                .inspect(&ruleset, subject, &mut |_| found += 1);
            found == 1
        };
        assert_eq!(matches(&subject), expected, "{options}");
        assert!(!matches(&bare), "{options} without flow");
    }
}

/// Each event has one rule in rules/events, and each of those rules loads.
#[test]
fn every_event_has_a_rule() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/events");
    let loaded = load(&[folder]).unwrap();
    let compiled = compile(
        &loaded.rules,
        &Environment { classifications: loaded.classifications, ..Environment::default() },
    );
    assert!(compiled.refusals.is_empty(), "{:?}", compiled.refusals);
    let named = |keyword: &str| -> Vec<String> {
        let values = loaded.rules.iter().filter_map(|rule| rule.option(keyword)?.value.as_ref());
        values.map(|value| value.node.0.clone()).collect()
    };
    let decoder: Vec<_> = decode::Event::ALL.iter().map(|event| event.name().to_owned()).collect();
    let stream: Vec<_> = stream::Event::ALL.iter().map(|event| event.name().to_owned()).collect();
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(named("decode-event")), sorted(decoder));
    assert_eq!(sorted(named("stream-event")), sorted(stream));
    assert_eq!(loaded.rules.len(), compiled.ruleset.len());
    let messages: BTreeSet<&str> =
        compiled.ruleset.signatures().iter().map(|s| s.info.message.as_str()).collect();
    assert_eq!(messages.len(), compiled.ruleset.len(), "each says something of its own");
}

/// Rules of the conformance suite whose keywords are all of those here must load.
#[test]
fn rules_of_the_conformance_suite_load() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance/suite/tests");
    if !suite.is_dir() {
        let _ = writeln!(std::io::stderr(), "skipped: there is no suite in ../shared/conformance");
        return;
    }
    let mut files = Vec::new();
    rule_files(&suite, &mut files);
    let (mut rules, mut asked) = (0, BTreeSet::new());
    for file in files {
        let Ok(loaded) = load(std::slice::from_ref(&file)) else { continue };
        for rule in &loaded.rules {
            let known =
                rule.options.iter().all(|option| KEYWORDS.contains(&option.name.node.as_str()));
            let protocol = rule.header.protocol.node.as_str();
            if !known || nids::detect::protocol::Protocol::named(protocol).is_none() {
                continue;
            }
            let environment = Environment {
                classifications: loaded.classifications.clone(),
                ..Environment::default()
            };
            let refusals = compile(std::slice::from_ref(rule), &environment).refusals;
            assert!(refusals.is_empty(), "{}: {refusals:?}", file.display());
            rules += 1;
            asked.extend(rule.options.iter().map(|option| option.name.node.clone()));
        }
    }
    assert!(rules > 100, "only {rules} rules");
    assert!(asked.len() > 20, "{asked:?}");
}

const KEYWORDS: [&str; 41] = [
    "ack",
    "alert",
    "bypass",
    "classtype",
    "decode-event",
    "dsize",
    "flags",
    "flow",
    "flow.age",
    "flow.bytes",
    "flow.pkts",
    "fragbits",
    "fragoffset",
    "icmp_id",
    "icmp_seq",
    "icmpv6.mtu",
    "icode",
    "id",
    "ip_proto",
    "ipopts",
    "itype",
    "l3_proto",
    "metadata",
    "msg",
    "noalert",
    "prefilter",
    "priority",
    "reference",
    "rev",
    "sameip",
    "seq",
    "sid",
    "stream-event",
    "stream_size",
    "target",
    "tcp.mss",
    "tos",
    "ttl",
    "vlan.id",
    "vlan.layers",
    "window",
];

fn rule_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rule_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rules") {
            files.push(path);
        }
    }
    files.sort();
}
