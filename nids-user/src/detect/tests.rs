//! Rules against packets, end to end through parser, compile step and inspector.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use nids_abi::{
    LEVEL_ALL, LEVEL_CONTROL, LEVEL_NONE, LEVEL_PAYLOAD, TCP_DST, TCP_SRC, UDP_DST, UDP_SRC,
};

use super::memory::Shared;
use super::subject::Subject;
use super::*;
use crate::capture::{Direction, Frame, LinkType, Timestamp};
use crate::decode::{Tunnels, decode};
use crate::flow::{FlowDirection, FlowView};
use crate::rule::diagnostic::ReasonKind;
use crate::rule::parser::parse_str;

fn compiled(text: &str) -> Compiled {
    let file: Arc<Path> = Path::new("test.rules").into();
    let parsed = parse_str(&file, text);
    assert!(parsed.refusals.is_empty(), "{:?}", parsed.refusals);
    compile(&parsed.rules, &Environment::default())
}

fn ruleset(text: &str) -> Ruleset {
    let compiled = compiled(text);
    assert!(compiled.refusals.is_empty(), "{:?}", compiled.refusals);
    compiled.ruleset
}

/// A raw IPv4 TCP segment.
struct Segment<'a> {
    source: [u8; 4],
    destination: [u8; 4],
    ports: (u16, u16),
    flags: u8,
    payload: &'a [u8],
}

impl Default for Segment<'_> {
    fn default() -> Self {
        Self {
            source: [192, 0, 2, 1],
            destination: [10, 0, 0, 1],
            ports: (40_000, 80),
            flags: 0x18,
            payload: b"",
        }
    }
}

impl Segment<'_> {
    fn bytes(&self) -> Vec<u8> {
        let builder = etherparse::PacketBuilder::ipv4(self.source, self.destination, 64);
        let mut header = etherparse::TcpHeader::new(self.ports.0, self.ports.1, 1, 1000);
        header.fin = self.flags & 1 != 0;
        header.syn = self.flags & 2 != 0;
        header.rst = self.flags & 4 != 0;
        header.psh = self.flags & 8 != 0;
        header.ack = self.flags & 16 != 0;
        let builder = builder.tcp_header(header);
        let mut out = Vec::new();
        builder.write(&mut out, self.payload).unwrap();
        out
    }
}

fn frame(data: &[u8]) -> Frame<'_> {
    Frame {
        time: Timestamp(0),
        link: LinkType::RawIp,
        data,
        wire_len: data.len() as u32,
        port: 0,
        direction: Direction::Ingress,
        vlan_offload: None,
        number: 1,
    }
}

fn sids(ruleset: &Ruleset, data: &[u8], flow: Option<&FlowView>) -> Vec<u32> {
    let mut found = Vec::new();
    let packet = decode(&frame(data));
    Inspector::new(ruleset, Shared::new(0)).inspect(
        ruleset,
        &Subject::new(&packet, flow),
        &mut |info| found.push(info.sid),
    );
    found
}

fn on_payload(rules: &str, payload: &[u8]) -> Vec<u32> {
    sids(&ruleset(rules), &Segment { payload, ..Segment::default() }.bytes(), None)
}

const MISSION: &str = r#"
alert tcp any any -> any 80 (content:"/etc/passwd"; msg:"Potential directory traversal attack"; sid:1000001;)
alert tcp any any -> any 22 (content:"USER root"; msg:"Attempted login as root"; sid:1000002;)
"#;

#[test]
fn the_two_rules_of_the_readme() {
    let ruleset = ruleset(MISSION);
    assert_eq!(ruleset.len(), 2);
    let at = |port, payload| {
        sids(&ruleset, &Segment { ports: (1, port), payload, ..Segment::default() }.bytes(), None)
    };
    assert_eq!(at(80, b"GET /../etc/passwd HTTP/1.1"), [1_000_001]);
    assert_eq!(at(22, b"USER root\r\n"), [1_000_002]);
    assert!(at(80, b"USER root").is_empty());
    assert!(at(22, b"/etc/passwd").is_empty());
    assert!(at(8080, b"/etc/passwd USER root").is_empty());
    assert!(at(80, b"/etc/passw").is_empty());
}

#[test]
fn the_filter_of_the_two_rules_leaves_other_ports_alone() {
    let filter = ruleset(MISSION).filter(&Tunnels::none().carriers());
    for port in 0..=u16::MAX {
        let wanted = matches!(port, 22 | 80);
        // The other side's SYN/ACK too: a stream is put together from its handshake on.
        let expected = match wanted {
            true => LEVEL_PAYLOAD << TCP_DST | LEVEL_CONTROL << TCP_SRC,
            false => LEVEL_NONE,
        };
        assert_eq!(filter.ports[usize::from(port)], expected, "port {port}");
    }
    assert!(filter.icmp4.iter().chain(&filter.icmp6).all(|wanted| *wanted == 0));
    // Either may come in a tunnel right over IP, or behind IPv6 headers that only the agent looks behind.
    let protocols = (0..=u8::MAX).zip(filter.ip_proto).filter(|(_, wanted)| *wanted != 0);
    assert_eq!(protocols.map(|(number, _)| number).collect::<Vec<_>>(), [4, 41, 47, 135, 139, 140]);
    assert_eq!((filter.fragments, filter.unjudged, filter.non_ip), (1, 1, 0));
}

#[test]
fn what_may_carry_a_packet_is_wanted_by_any_rule() {
    let mut tunnels = Tunnels::default();
    let filter = ruleset(MISSION).filter(&tunnels.carriers());
    for port in 0..=u16::MAX {
        let wanted = matches!(port, 4789 | 6081 | 3544);
        let expected = if wanted { LEVEL_PAYLOAD } else { LEVEL_NONE };
        let entry = filter.ports[usize::from(port)];
        assert_eq!((entry >> UDP_SRC & 3, entry >> UDP_DST & 3), (expected, expected), "{port}");
    }
    tunnels.teredo.ports = crate::decode::tunnel::UdpPorts::Any;
    let filter = ruleset(MISSION).filter(&tunnels.carriers());
    let both = LEVEL_PAYLOAD << UDP_SRC | LEVEL_PAYLOAD << UDP_DST;
    assert!(filter.ports.iter().all(|entry| entry & 0xf0 == both));
}

#[test]
fn sctp_and_esp_are_asked_for_by_number() {
    let wanted = |rule: &str| {
        let filter = ruleset(rule).filter(&Tunnels::none().carriers());
        [50, 132].map(|number: usize| filter.ip_proto[number] != 0)
    };
    for (rule, expected) in [
        (r#"alert sctp any any -> any 80 (content:"x"; sid:1;)"#, [false, true]),
        (r#"alert ip any any -> any any (content:"x"; sid:1;)"#, [true, true]),
        (r#"alert ip any any -> any 80 (content:"x"; sid:1;)"#, [false, true]),
        (r#"alert tcp any any -> any 80 (content:"x"; sid:1;)"#, [false, false]),
    ] {
        assert_eq!(wanted(rule), expected, "{rule}");
    }
}

#[test]
fn no_rules_want_nothing() {
    assert_eq!(*ruleset("").filter(&Tunnels::default().carriers()), nids_abi::FilterTable::EMPTY);
}

#[test]
fn levels_are_as_tight_as_the_rule() {
    let level = |options: &str, shift: u8| {
        let text = format!("alert tcp any any -> any 80 ({options} sid:1;)");
        ruleset(&text).filter(&Tunnels::none().carriers()).ports[80] >> shift & 3
    };
    for (options, to, from) in [
        (r#"content:"x";"#, LEVEL_PAYLOAD, LEVEL_CONTROL),
        (r#"content:!"x";"#, LEVEL_PAYLOAD, LEVEL_CONTROL),
        ("dsize:>0;", LEVEL_PAYLOAD, LEVEL_NONE),
        ("dsize:0;", LEVEL_ALL, LEVEL_NONE),
        ("flags:S;", LEVEL_CONTROL, LEVEL_NONE),
        ("flags:*FR;", LEVEL_CONTROL, LEVEL_NONE),
        ("flags:A;", LEVEL_ALL, LEVEL_NONE),
        ("flags:S+; flow:to_server;", LEVEL_ALL, LEVEL_ALL),
        ("flags:S,12; flow:to_server;", LEVEL_CONTROL, LEVEL_CONTROL),
        (r#"flow:established,to_server; content:"x";"#, LEVEL_PAYLOAD, LEVEL_CONTROL),
        (r#"flow:to_server; content:"x";"#, LEVEL_ALL, LEVEL_ALL),
        (r#"flow:stateless; content:"x";"#, LEVEL_PAYLOAD, LEVEL_CONTROL),
        (r#"flow:not_established; content:"x";"#, LEVEL_PAYLOAD, LEVEL_CONTROL),
        ("flow:established;", LEVEL_ALL, LEVEL_ALL),
        ("", LEVEL_ALL, LEVEL_CONTROL),
    ] {
        assert_eq!((level(options, TCP_DST), level(options, TCP_SRC)), (to, from), "{options}");
        assert_eq!(level(options, UDP_DST), LEVEL_NONE, "{options}");
    }
}

#[test]
fn back_tracks_to_the_next_hit() {
    let rule = r#"alert tcp any any -> any any (content:"abc"; content:"d"; within:2; sid:1;)"#;
    assert_eq!(on_payload(rule, b"abc...abcxd"), [1]);
    assert!(on_payload(rule, b"abc...abcxxd").is_empty());
    // Three levels: the second hit of the first, the second of the second.
    let rule = r#"alert tcp any any -> any any (content:"a"; content:"b"; within:4; content:"c"; within:1; sid:1;)"#;
    assert_eq!(on_payload(rule, b"abxbxabxbc"), [1]);
    // A negated content between two that depend on one another does not stop it.
    let rule = r#"alert tcp any any -> any any (content:"abc"; content:!"q"; content:"d"; within:2; sid:1;)"#;
    assert_eq!(on_payload(rule, b"abc...abcxd"), [1]);
    assert!(on_payload(rule, b"abc...abcxdq").is_empty());
}

/// Each line tried with Suricata 7.0.10.
#[test]
fn windows_of_contents() {
    for (options, payload, expected) in [
        (r#"content:"abc"; offset:1; depth:3;"#, "xabc", true),
        (r#"content:"abc"; offset:1; depth:3;"#, "xxabc", false),
        (r#"content:"abc"; startswith;"#, "abcx", true),
        (r#"content:"abc"; startswith;"#, "xabc", false),
        (r#"content:"abc"; endswith;"#, "abc.abc", true),
        (r#"content:"abc"; endswith;"#, "abc.", false),
        (r#"content:!"cc"; endswith;"#, "ccabcc", false),
        (r#"content:!"cc"; endswith;"#, "ccabc", true),
        (r#"content:"x"; distance:2;"#, "xx.", false),
        (r#"content:"x"; distance:2;"#, "..x", true),
        (r#"content:"a"; content:"b"; distance:-3; within:3;"#, "xba", true),
        (r#"content:"a"; content:"b"; distance:1; within:2;"#, "axxxb", false),
        (r#"content:"a"; content:"b"; distance:1; within:2;"#, "axbx", true),
        (r#"content:"a"; content:!"b"; within:2;"#, "ab", false),
        (r#"content:"a"; content:!"b"; within:2;"#, "abaxxb", true),
        (r#"content:"a"; content:!"b"; distance:5;"#, "ab", true),
        (r#"content:"AbC"; nocase;"#, "xaBcx", true),
        (r#"content:"AbC";"#, "xaBcx", false),
        (r#"content:"|41 20|b\;";"#, "A b;", true),
        (r#"content:"abcd"; fast_pattern:1,2;"#, "xxabcd", true),
        (r#"content:"abcd"; fast_pattern:1,2;"#, "xxbc", false),
        (r#"content:"ab"; depth:2; content:!"x";"#, "abc", true),
    ] {
        let rule = format!("alert tcp any any -> any any ({options} sid:1;)");
        let found = !on_payload(&rule, payload.as_bytes()).is_empty();
        assert_eq!(found, expected, "{options} on {payload}");
    }
}

#[test]
fn snort3_modifiers_stand_inside() {
    let rule = r#"alert tcp (content:"ABC", nocase, offset 1, depth 4, fast_pattern, fast_pattern_offset 1, fast_pattern_length 2; content:"d",distance 1,within 1; sid:1;)"#;
    assert_eq!(on_payload(rule, b"xxabcxd"), [1]);
    assert!(on_payload(rule, b"xxabcd").is_empty());
}

#[test]
fn told_in_the_order_of_action_priority_and_sid() {
    let rules = r#"
alert tcp any any -> any any (content:"abc"; sid:5;)
alert tcp any any -> any any (content:"abc"; sid:3;)
alert tcp any any -> any any (content:"ab"; priority:1; sid:9;)
drop tcp any any -> any any (content:"ab"; priority:4; sid:20;)
alert tcp any any -> any any (priority:1; sid:8;)
alert tcp any any -> any any (dsize:3; priority:5; sid:1;)
reject tcp any any -> any any (content:"ab"; priority:4; sid:21;)
alert tcp any any -> any any (content:"ab"; noalert; sid:22;)
"#;
    assert_eq!(on_payload(rules, b"abc"), [20, 21, 8, 9, 3, 5, 1]);
    let pass =
        format!("{rules}\npass tcp any any -> any any (content:\"bc\"; priority:9; sid:30;)");
    assert!(on_payload(&pass, b"abc").is_empty());
    assert_eq!(on_payload(&pass, b"abx").len(), 5);
}

#[test]
fn both_ways() {
    let at = |rule: &str, ports| {
        sids(&ruleset(rule), &Segment { ports, payload: b"a", ..Segment::default() }.bytes(), None)
    };
    let rule = "alert tcp any any <> any 80 (flags:PA; sid:1;)";
    assert_eq!(at(rule, (1, 80)), [1]);
    assert_eq!(at(rule, (80, 1)), [1]);
    assert!(at(rule, (1, 2)).is_empty());
    // As in Suricata, it alerts for each way it matches, but once if both ways are the same.
    assert_eq!(at(rule, (80, 80)), [1, 1]);
    assert_eq!(at("alert tcp any 80 <> any 80 (flags:PA; sid:1;)", (80, 80)), [1]);
}

fn view(direction: FlowDirection, established: bool, packets: u64) -> FlowView {
    FlowView {
        id: 1,
        direction,
        established,
        packets_to_server: packets,
        packets_to_client: packets,
        bytes_to_server: 0,
        bytes_to_client: 0,
        start: Timestamp(0),
        last: Timestamp(0),
    }
}

#[test]
fn flow_states() {
    use FlowDirection::{ToClient, ToServer};
    let data = Segment::default().bytes();
    for (option, server, client, new, none) in [
        ("to_server", true, false, true, true),
        ("from_server", false, true, false, false),
        ("established", true, true, false, false),
        ("not_established", false, false, true, false),
        ("stateless", true, true, true, false),
        ("to_server,established", true, false, false, false),
        ("no_stream", true, true, true, true),
        ("to_server,no_stream", true, false, true, false),
        ("no_frag", true, true, true, false),
    ] {
        let ruleset = ruleset(&format!("alert tcp any any -> any any (flow:{option}; sid:1;)"));
        let found = |flow: Option<FlowView>| !sids(&ruleset, &data, flow.as_ref()).is_empty();
        assert_eq!(found(Some(view(ToServer, true, 3))), server, "{option}");
        assert_eq!(found(Some(view(ToClient, true, 3))), client, "{option}");
        assert_eq!(found(Some(view(ToServer, false, 3))), new, "{option}");
        assert_eq!(found(None), none, "{option}");
    }
}

/// Suricata's "IP-only" rules.
#[test]
fn rules_of_addresses_match_once_a_direction() {
    let data = Segment::default().bytes();
    let found = |header: &str, options: &str, packets| {
        let ruleset = ruleset(&format!("alert {header} ({options} sid:1;)"));
        !sids(&ruleset, &data, Some(&view(FlowDirection::ToServer, true, packets))).is_empty()
    };
    for (header, options, again) in [
        ("tcp any any -> any any", "", false),
        ("tcp any any -> any 80", "", false),
        ("tcp any any -> $HOME_NET any", "", false),
        ("ip any any -> any any", "ip_proto:6;", false),
        ("tcp any any -> any any", "flowbits:set,x;", false),
        ("tcp any any -> any any", "xbits:set,x,track ip_src;", false),
        ("tcp any any -> any any", "threshold:type limit,track by_rule,count 9,seconds 9;", false),
        ("tcp any any -> any any", "flowbits:unset,x;", true),
        ("tcp any any -> any any", "flowint:xx,+,1;", true),
        ("tcp !10.9.9.9 any -> any any", "", true),
        ("tcp $EXTERNAL_NET any -> any any", "", true),
        ("tcp any any -> any any", "ttl:64;", true),
        ("tcp any any -> any any", "flow:stateless;", true),
    ] {
        assert!(found(header, options, 1), "{header} {options}");
        assert_eq!(found(header, options, 2), again, "{header} {options}");
    }
}

#[test]
fn what_a_transform_makes_of_a_header_is_not_scanned_for_before() {
    let data = Segment::default().bytes();
    // The destination port is 80.
    for (content, there) in [("02 53", true), ("00 50", false)] {
        let text = format!(
            "alert tcp any any -> any any (tcp.hdr; xor:\"0203\"; content:\"|{content}|\"; \
             offset:2; depth:2; sid:1;)"
        );
        assert_eq!(!sids(&ruleset(&text), &data, None).is_empty(), there, "{content}");
    }
}

#[test]
fn address_groups_by_family() {
    let v4 = |source: [u8; 4]| Segment { source, ..Segment::default() }.bytes();
    let ruleset =
        ruleset("alert ip [10.0.0.0/8,!10.1.0.0/16,2001:db8::/32] any -> any any (ttl:64; sid:1;)");
    assert_eq!(sids(&ruleset, &v4([10, 2, 0, 1]), None), [1]);
    assert!(sids(&ruleset, &v4([10, 1, 0, 1]), None).is_empty());
    let v6 = |source: &str| {
        let IpAddr::V6(source) = source.parse().unwrap() else { unreachable!() };
        let mut out = Vec::new();
        etherparse::PacketBuilder::ipv6(source.octets(), source.octets(), 64)
            .udp(1, 2)
            .write(&mut out, b"x")
            .unwrap();
        out
    };
    assert_eq!(sids(&ruleset, &v6("2001:db8::1"), None), [1]);
    // An IPv4 range never holds an IPv6 address.
    assert!(sids(&ruleset, &v6("::ffff:10.2.0.1"), None).is_empty());
}

#[test]
fn refuses_with_place_and_reason() {
    use ReasonKind::{BadValue, Conflict, Identity, Protocol, UnknownKeyword, UnsupportedKeyword};
    for (rule, place, kind) in [
        (
            r#"alert tcp any any -> any any (content:"a"; lua:x.lua; sid:1;)"#,
            "lua",
            UnsupportedKeyword,
        ),
        (r#"alert tcp any any -> any any (contnet:"a"; sid:1;)"#, "contnet", UnknownKeyword),
        (r#"alert smb any any -> any any (content:"a"; sid:1;)"#, "smb", Protocol),
        (r#"alert foo any any -> any any (content:"a"; sid:1;)"#, "foo", Protocol),
        (r#"alert tcp any any -> any any (content:"a";)"#, "alert tcp", Identity),
        (r#"log tcp any any -> any any (content:"a"; sid:1;)"#, "log", UnsupportedKeyword),
        (r#"alert tcp any any -> any any (content:"|4 1 4|"; sid:1;)"#, "4", BadValue),
        (r#"alert tcp any any -> any any (content:"a|41"; sid:1;)"#, "|", BadValue),
        (r#"alert tcp any any -> any any (content:"a\b"; sid:1;)"#, "\\", BadValue),
        (r#"alert tcp any any -> any any (content:""; sid:1;)"#, "\"\"", BadValue),
        (r#"alert tcp any any -> any any (content:abc; sid:1;)"#, "abc", BadValue),
        (r#"alert tcp any any -> any any (content:"abc"; depth:2; sid:1;)"#, "2", Conflict),
        (r#"alert tcp any any -> any any (content:"abc"; within:2; sid:1;)"#, "2", Conflict),
        (r#"alert tcp any any -> any any (content:"abc"; depth:x; sid:1;)"#, "x", BadValue),
        (
            r#"alert tcp any any -> any any (content:"abc"; offset:65536; sid:1;)"#,
            "65536",
            BadValue,
        ),
        (
            r#"alert tcp any any -> any any (content:"a"; depth:9; within:9; sid:1;)"#,
            "within",
            Conflict,
        ),
        (
            r#"alert tcp any any -> any any (content:"a"; startswith; offset:1; sid:1;)"#,
            "offset",
            Conflict,
        ),
        (
            r#"alert tcp any any -> any any (content:"a"; depth:1; startswith; sid:1;)"#,
            "startswith",
            Conflict,
        ),
        (
            r#"alert tcp any any -> any any (content:"a"; fast_pattern; content:"b"; fast_pattern; sid:1;)"#,
            "fast_pattern",
            Conflict,
        ),
        (
            r#"alert tcp any any -> any any (content:"a"; fast_pattern:0,2; sid:1;)"#,
            "0,2",
            BadValue,
        ),
        (
            r#"alert tcp any any -> any any (content:!"a"; fast_pattern:only; sid:1;)"#,
            "fast_pattern",
            Conflict,
        ),
        (r#"alert tcp any any -> any any (nocase; sid:1;)"#, "nocase", Conflict),
        (r#"alert tcp any any -> any any (content:"a"; nocase:1; sid:1;)"#, "1", BadValue),
        (r#"alert tcp any any -> any any (content:"a",bogus; sid:1;)"#, "bogus", BadValue),
        (r#"alert tcp any any -> any any (dsize:5<>2; sid:1;)"#, "5<>2", BadValue),
        (r#"alert tcp any any -> any any (dsize:2; content:"abc"; sid:1;)"#, "\"abc\"", Conflict),
        (
            r#"alert tcp any any -> any any (flow:to_server,to_client; sid:1;)"#,
            "to_client",
            Conflict,
        ),
        (
            r#"alert tcp any any -> any any (flow:established,stateless; sid:1;)"#,
            "stateless",
            Conflict,
        ),
        (
            r#"alert tcp any any -> any any (flow:only_stream,no_stream; sid:1;)"#,
            "no_stream",
            Conflict,
        ),
        (r#"alert tcp any any -> any any (flow:sideways; sid:1;)"#, "sideways", BadValue),
        (r#"alert tcp any any -> any any (ip_proto:6; sid:1;)"#, "ip_proto", Conflict),
        (r#"alert ip any any -> any any (ip_proto:6; ip_proto:17; sid:1;)"#, "17", Conflict),
        (r#"alert tcp any any -> any any (sid:0;)"#, "0", BadValue),
        (r#"alert tcp any any -> any any (sid:1; rev:0;)"#, "0", BadValue),
        (r#"alert tcp any any -> any any (sid:1; sid:2;)"#, "sid", Conflict),
    ] {
        let refusals = compiled(rule).refusals;
        let [refusal] = &refusals[..] else { panic!("{rule}: {refusals:?}") };
        let found = &refusal.text[refusal.span.start..refusal.span.end];
        assert_eq!((found, refusal.kind), (place, kind), "{rule}: {}", refusal.reason);
    }
}

#[test]
fn the_highest_rev_stays() {
    let compiled = compiled(
        r#"alert tcp any any -> any 1 (flags:S; sid:1; rev:1;)
alert tcp any any -> any 2 (flags:S; sid:1; rev:2;)
alert tcp any any -> any 3 (flags:S; sid:2; rev:2;)
alert tcp any any -> any 4 (flags:S; sid:2; rev:2;)
alert tcp any any -> any 5 (flags:S; sid:2; gid:2; rev:1;)"#,
    );
    assert_eq!(compiled.ruleset.len(), 3);
    let lines = |refusals: &[crate::rule::diagnostic::Refusal]| {
        refusals.iter().map(|r| r.line).collect::<Vec<_>>()
    };
    assert_eq!(lines(&compiled.superseded), [1]);
    assert_eq!(lines(&compiled.refusals), [4]);
    assert!(compiled.refusals.iter().all(|refusal| refusal.kind == ReasonKind::Identity));
}

#[test]
fn a_match_carries_what_outputs_need() {
    let ruleset = ruleset(
        r#"drop tcp any any -> any any (msg:"a \"b\"\; c"; classtype:trojan-activity; sid:7; rev:3; gid:2; reference:url,example.org/x; metadata:created_at 2020_01_01, tag;)"#,
    );
    let info = &ruleset.signatures()[0].info;
    assert_eq!((info.sid, info.rev, info.gid, info.priority), (7, 3, 2, 1));
    assert_eq!(info.message, r#"a "b"; c"#);
    assert_eq!((info.classtype.as_str(), info.category.is_empty()), ("trojan-activity", false));
    let metadata = [("created_at", "2020_01_01"), ("tag", "")];
    assert_eq!(info.metadata, metadata.map(|(k, v)| (k.to_owned(), v.to_owned())));
    assert_eq!(info.references, ["https://example.org/x"]);
}

/// Nested repeats that take exponential time without a bound.
#[test]
fn a_pathological_chain_is_bounded() {
    let nested = |depth: usize, within: usize| {
        let mut rule = r#"alert tcp any any -> any any (content:"a";"#.to_owned();
        for _ in 0..depth {
            rule.push_str(&format!(r#" content:"a"; within:{within};"#));
        }
        rule.push_str(r#" content:"b"; within:1; sid:1;)"#);
        ruleset(&rule)
    };
    let given_up = |ruleset: &Ruleset, payload: &[u8]| {
        let data = Segment { payload, ..Segment::default() }.bytes();
        let packet = decode(&frame(&data));
        let mut inspector = Inspector::new(ruleset, Shared::new(0));
        inspector.inspect(ruleset, &Subject::new(&packet, None), &mut |_| panic!("must not match"));
        inspector.counters().given_up
    };
    // 5^12 ways, but failures are remembered: this one is exact.
    let mut payload = [b'a'; 200];
    payload[198] = b'c';
    payload[199] = b'b';
    assert_eq!(given_up(&nested(12, 5), &payload), 0);
    // This one is beyond the bound: given up, counted, and in time.
    let ruleset = nested(30, 40);
    let payload = vec![b'a'; 60_000];
    let start = std::time::Instant::now();
    for _ in 0..10 {
        assert_eq!(given_up(&ruleset, &payload), 1);
    }
    assert!(start.elapsed().as_millis() < 1000, "{:?}", start.elapsed());
}

#[test]
fn a_flow_matters_as_long_as_a_rule_could_match_what_is_to_come() {
    let matters = |rule: &str, way: FlowDirection, done: bool| {
        let left = if done { Left::Nothing } else { Left::All };
        let ruleset = ruleset(rule);
        let segment = match way {
            FlowDirection::ToServer => Segment::default(),
            FlowDirection::ToClient => Segment {
                source: [10, 0, 0, 1],
                destination: [192, 0, 2, 1],
                ports: (80, 40_000),
                ..Segment::default()
            },
        };
        let data = segment.bytes();
        ruleset.wants_more(&decode(&frame(&data)), way, left)
    };
    let (to_server, to_client) = (FlowDirection::ToServer, FlowDirection::ToClient);
    let content = r#"alert tcp any any -> any 80 (content:"x"; sid:1;)"#;
    assert!(matters(content, to_server, false));
    assert!(!matters(content, to_server, true), "its stream was shown");
    assert!(!matters(content, to_client, false), "the other way");
    for (rule, done, expected) in [
        (r#"alert tcp any any -> any 80 (content:"x"; depth:5; sid:1;)"#, true, true),
        (r#"alert tcp-pkt any any -> any 80 (content:"x"; sid:1;)"#, true, true),
        (r#"alert tcp any any -> any 80 (dsize:>100; sid:1;)"#, true, true),
        (r#"alert tcp any any -> any 80 (flags:S; sid:1;)"#, false, false),
        (r#"alert tcp any any -> any 80 (flags:A; sid:1;)"#, false, true),
        (r#"alert tcp any any -> any 80 (stream_size:both,>,5; sid:1;)"#, true, true),
        (r#"alert tcp any any -> any 80 (flow.pkts_toserver:>5; sid:1;)"#, true, true),
        (r#"alert tcp any any -> any 80 (decode-event:tcp.hlen_too_small; sid:1;)"#, true, true),
        (r#"alert ip any any -> 10.0.0.0/8 any (sid:1;)"#, false, false),
        (r#"alert ip any any -> 10.0.0.1 any (sid:1;)"#, false, false),
        (r#"alert ip any any -> [10.0.0.1,!10.0.0.2] any (sid:1;)"#, true, true),
        (r#"alert ip any any -> [10.0.0.2,!10.0.0.1] any (sid:1;)"#, false, false),
        (r#"alert tcp any any -> 10.9.0.0/16 80 (content:"x"; sid:1;)"#, false, false),
        (r#"alert tcp any any -> any 81 (content:"x"; sid:1;)"#, false, false),
    ] {
        assert_eq!(matters(rule, to_server, done), expected, "{rule}");
    }
    assert!(
        ruleset(r#"alert tcp any any -> any 80 (tag:host,5,packets,src; sid:1;)"#).tags_hosts()
    );
    assert!(
        !ruleset(r#"alert tcp any any -> any 80 (tag:session,5,packets; sid:1;)"#).tags_hosts()
    );
}

/// What is sought first is sought where the rule looks: behind the transforms.
#[test]
fn contents_behind_transforms_are_found() {
    for (options, expected) in [
        (r#"tcp.hdr; content:"|9c 40 00 50|"; startswith;"#, &[1_u32][..]),
        (r#"tcp.hdr; dotprefix; content:".|9c 40 00 50|"; startswith;"#, &[1]),
        (r#"tcp.hdr; xor:"9c40"; content:"|00 00 9c 10|"; startswith;"#, &[1]),
        (r#"tcp.hdr; xor:"9c40"; content:"|9c 40 00 50|";"#, &[]),
        (r#"tcp.hdr; dotprefix; pcre:"/^\.\x9c\x40\x00\x50/";"#, &[1]),
    ] {
        let rule = format!("alert tcp any any -> any any ({options} sid:1;)");
        assert_eq!(on_payload(&rule, b"x"), expected, "{options}");
    }
}

/// Rules without anything to look for, on packets that each of them is for or is not for.
#[test]
fn gates_let_in_what_rules_match() {
    let rules = ruleset(
        r#"
        alert tcp any any -> any any (flags:S; sid:1;)
        alert tcp any any -> any any (dsize:3; sid:2;)
        alert tcp any any -> any any (content:!"x"; sid:3;)
        alert tcp any any -> any any (flow:established; sid:4;)
        alert ip any any -> any any (ip_proto:6; flow:stateless; sid:5;)
        alert ip any any -> any any (sid:6;)
        alert ip 192.0.2.1 any -> any any (sid:7;)
        alert ip any any -> [10.0.0.0/24,!10.0.0.1] any (sid:8;)
        alert ip any any -> [10.0.0.0/24,!10.0.0.2] any (sid:9;)
        alert ip 192.0.2.1 any -> any any (flow:stateless; sid:10;)
        "#,
    );
    let view = |packets_to_server, established| FlowView {
        id: 1,
        direction: FlowDirection::ToServer,
        established,
        packets_to_server,
        packets_to_client: 0,
        bytes_to_server: 0,
        bytes_to_client: 0,
        start: Timestamp(0),
        last: Timestamp(0),
    };
    let told = |flags, payload: &[u8], flow: FlowView| {
        sids(&rules, &Segment { flags, payload, ..Segment::default() }.bytes(), Some(&flow))
    };
    assert_eq!(told(2, b"", view(1, false)), [1, 5, 6, 7, 9, 10]);
    assert_eq!(told(0x18, b"abc", view(2, true)), [2, 3, 4, 5, 9, 10]);
    assert_eq!(told(0x18, b"x", view(2, false)), [5, 9, 10]);
    assert_eq!(rules.by_address().once.len(), 1);
    assert_eq!(rules.by_address().always.len(), 3);
    assert!(rules.groups().iter().all(|group| group.always.is_empty()));
}
