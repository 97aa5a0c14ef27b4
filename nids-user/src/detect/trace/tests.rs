//! What is told of a rule that fails at each kind of step, and of what becomes of matches.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::capture::{Direction, Frame, LinkType, Timestamp};
use crate::decode::decode;
use crate::detect::memory::Shared;
use crate::detect::{Environment, Inspector, compile};
use crate::flow::FlowView;
use crate::rule::parser::parse_str;

/// A segment from 192.0.2.1:40000 to 10.0.0.1:80 with ACK and PSH.
fn segment(payload: &[u8]) -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ipv4([192, 0, 2, 1], [10, 0, 0, 1], 64);
    let mut header = etherparse::TcpHeader::new(40_000, 80, 1, 1000);
    (header.ack, header.psh) = (true, true);
    let mut out = Vec::new();
    builder.tcp_header(header).write(&mut out, payload).unwrap();
    out
}

fn flow(packets: u64) -> FlowView {
    FlowView {
        id: 5,
        direction: FlowDirection::ToServer,
        established: false,
        packets_to_server: packets,
        packets_to_client: 0,
        bytes_to_server: 60,
        bytes_to_client: 0,
        start: Timestamp(0),
        last: Timestamp(0),
    }
}

/// What is told of 1:7 when the packet with this payload, the second of its flow, is inspected; without what
/// stands before in each line. And the counts.
fn trace(rules: &str, payload: &[u8], in_stream: bool) -> (Vec<String>, String) {
    let file: Arc<Path> = Path::new("test.rules").into();
    let parsed = parse_str(&file, rules);
    assert!(parsed.refusals.is_empty(), "{:?}", parsed.refusals);
    let environment = Environment { places: true, ..Environment::default() };
    let compiled = compile(&parsed.rules, &environment);
    assert!(compiled.refusals.is_empty(), "{:?}", compiled.refusals);
    let ruleset = Arc::new(compiled.ruleset);
    let data = segment(payload);
    let packet = decode(&Frame {
        time: Timestamp(1_700_000_000_000_000_000),
        link: LinkType::RawIp,
        data: &data,
        wire_len: data.len() as u32,
        port: 0,
        direction: Direction::Ingress,
        vlan_offload: None,
        number: 3,
    });
    let flow = flow(2);
    let mut subject = Subject::new(&packet, Some(&flow));
    subject.stream.in_stream = in_stream;
    let id = RuleId { gid: 1, sid: 7 };
    let observation = Arc::new(Observation::new(vec![id], false));
    let sids = |watch| {
        let mut found = Vec::new();
        let mut inspector = Inspector::new(&ruleset, Shared::new(0)).watched(watch);
        inspector.inspect(&ruleset, &subject, &mut |info| found.push(info.sid));
        found
    };
    let watched = sids(Some(Watch::new(&observation, &ruleset)));
    assert_eq!(watched, sids(None), "a watched inspection finds the same");
    let head = "2023-11-14T22:13:20.000000 packet 3 TCP 192.0.2.1:40000 -> 10.0.0.1:80 flow 5 to_server: 1:7 ";
    let lines = observation.take_lines();
    let lines = lines.lines().map(|line| line.strip_prefix(head).unwrap().to_owned()).collect();
    let counts: Vec<String> = observation.take_traced().iter().map(ToString::to_string).collect();
    (lines, counts.concat())
}

use crate::detect::watch::Watch;

#[test]
fn each_kind_of_step() {
    for (header, options, payload, expected) in [
        ("tcp any any -> any 1000:2000", "ttl:64;", "", "fails at destination port 1000:2000 @"),
        ("tcp any 1000:2000 -> any any", "ttl:64;", "", "fails at source port 1000:2000 @"),
        ("tcp any any -> any any", "flow:established;", "", "fails at flow:established @"),
        ("ipv6 any any -> any any", "ttl:64;", "", "fails at protocol ipv6 @"),
        ("tcp any any -> any any", "ttl:64; flags:S;", "", "fails at flags:S @"),
        ("tcp 10.9.9.9 any -> any any", "ttl:64;", "", "fails at source 10.9.9.9 @"),
        ("tcp any any -> 10.9.9.9 any", "ttl:64;", "", "fails at destination 10.9.9.9 @"),
        ("tcp any any -> any any", "ttl:64; flowbits:isset,a;", "", "fails at flowbits:isset,a @"),
        ("tcp any any -> any any", r#"content:!"a";"#, "", "fails: the packet has no payload"),
        ("tcp any any -> any any", r#"content:!"a";"#, "b", "matches: alert"),
        (
            "tcp any any -> any any",
            r#"content:"ab"; content:"cd"; distance:1; content:"ef"; within:3;"#,
            "xabcdabxcdef",
            "matches: alert",
        ),
        (
            "tcp any any -> any any",
            r#"content:"ab"; content:"cd"; distance:1; content:"ef"; within:3;"#,
            "xabcdabxcd..ef",
            "fails at content:\"ef\" @: in 3 bytes behind the hit before; from byte 10 of 14",
        ),
        (
            "tcp any any -> any any",
            r#"content:"abcd"; content:"ef"; pcre:"/g+h/R";"#,
            "abcdefg",
            "fails at pcre:\"/g+h/R\" @; from byte 6 of 7",
        ),
        (
            "tcp any any -> any any",
            r#"content:"YWJj"; base64_decode:bytes 4; base64_data; content:"b"; content:"zz";"#,
            "YWJj",
            "fails at content:\"zz\" @: anywhere",
        ),
        (
            "tcp any any -> any any",
            r#"content:"zz";"#,
            "abc",
            "payload: the fast pattern is not there",
        ),
        ("tcp any any -> any any", r#"content:"zz";"#, "", "no payload"),
        (
            "tcp any any -> any any",
            r#"tcp.hdr; content:"|00 50|"; content:"zz"; offset:4;"#,
            "",
            "fails at content:\"zz\" @: from byte 4 on",
        ),
        (
            "tcp any any -> any any",
            r#"tcp.hdr; content:"zz";"#,
            "",
            "tcp.hdr: the fast pattern is not there",
        ),
        (
            "ip any any -> any any",
            r#"udp.hdr; content:!"z";"#,
            "",
            "fails: the packet has no udp.hdr",
        ),
        ("tcp any any -> any any", "stream-event:pkt_invalid_ack;", "", "the packet has no event"),
        (
            "tcp any any -> any any",
            r#"ip.src; content:!"zzzz"; dataset:isset,explain-nobody,type ipv4;"#,
            "",
            "fails at dataset:isset,explain-nobody,type ipv4 @",
        ),
    ] {
        let rule = format!("alert {header} ({options} sid:7;)");
        // The place of what is named stands where the @ does.
        let named = expected.strip_prefix("fails at ").and_then(|rest| rest.split_once(" @"));
        let expected = &match named {
            Some((words, _)) => {
                let written = ["source ", "destination ", "port ", "protocol "]
                    .iter()
                    .fold(words, |words, name| words.strip_prefix(name).unwrap_or(words));
                let column = rule.find(written).unwrap() + 1;
                expected.replace('@', &format!("(test.rules:1:{column})"))
            }
            None => expected.to_owned(),
        };
        let (lines, counts) = trace(&rule, payload.as_bytes(), false);
        assert_eq!(lines, [expected.as_str()], "{rule}");
        let end = expected.split(": in ").next().unwrap();
        let end = end.split("; from").next().unwrap().split(": anywhere").next().unwrap();
        let end = end.split(": from byte").next().unwrap();
        assert!(counts.contains(&format!("       1  {end}\n")), "{counts}");
    }
}

/// Rules on addresses look at the first packet of a flow in each direction only; this is the second.
#[test]
fn later_packets_of_rules_on_addresses() {
    let (lines, counts) = trace("alert tcp 192.0.2.1 any -> any any (sid:7;)", b"", false);
    assert_eq!(lines, [""; 0]);
    assert_eq!(
        counts,
        "1:7: 1 packets, 0 of its protocol, direction and ports; tried 0 times, matched 0\n"
    );
}

#[test]
fn payloads_in_streams() {
    let (lines, _) = trace(r#"alert tcp any any -> any any (content:"a"; sid:7;)"#, b"abc", true);
    assert_eq!(lines, ["the payload waits in its stream"]);
    let (lines, _) = trace(r#"alert tcp any any -> any any (content:!"z"; sid:7;)"#, b"abc", true);
    assert_eq!(lines, ["fails: its contents are sought in the stream, and were not found there"]);
}

#[test]
fn what_becomes_of_matches() {
    let pass = "pass tcp any any -> any any (ttl:64; sid:1;)\n";
    let many: String = (100..115)
        .map(|sid| format!("drop tcp any any -> any any (ttl:64; sid:{sid};)\n"))
        .collect();
    for (rules, expected) in [
        ("alert tcp any any -> any any (ttl:64; sid:7;)".to_owned(), "alert"),
        ("drop tcp any any -> any any (ttl:64; sid:7;)".to_owned(), "alert, with the action drop"),
        ("alert tcp any any -> any any (ttl:64; noalert; sid:7;)".to_owned(), "no alert: noalert"),
        (
            "alert tcp any any -> any any (ttl:64; sid:7; \
             detection_filter:track by_src, count 5, seconds 9;)"
                .to_owned(),
            "no alert: its count is not reached",
        ),
        (
            format!("{pass}alert tcp any any -> any any (ttl:64; sid:7;)"),
            "no alert: the pass rule 1:1 matches",
        ),
        (
            "pass tcp any any -> any any (ttl:64; sid:7;)".to_owned(),
            "passes the packet, without alert",
        ),
        (
            format!("{many}alert tcp any any -> any any (ttl:64; sid:7;)"),
            "no alert: the packet has as many as it may have",
        ),
    ] {
        let (lines, counts) = trace(&rules, b"", false);
        assert_eq!(lines, [format!("matches: {expected}")], "{rules}");
        assert!(counts.contains("tried 1 times, matched 1\n"), "{counts}");
    }
}

#[test]
fn counts_add_up() {
    let id = RuleId { gid: 1, sid: 7 };
    let mut one = Traced { packets: 5, reached: 2, tried: 2, matched: 1, ..Traced::new(id) };
    one.count(3, "fails at c");
    let mut other = Traced { packets: 5, reached: 1, tried: 1, matched: 0, ..Traced::new(id) };
    other.count(1, "fails at a");
    other.count(3, "fails at c");
    one.add(other);
    let expected = "\
1:7: 5 packets, 3 of its protocol, direction and ports; tried 3 times, matched 1
       1  fails at a
       2  fails at c
";
    assert_eq!(one.to_string(), expected);
}
