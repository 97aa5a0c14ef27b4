//! Suricata's own tables (detect-engine-tag.c), and the bounds.

use std::net::IpAddr;

use super::*;
use crate::capture::Timestamp;
use crate::detect::flow_state::{Budget, FlowState};
use crate::detect::keyword::value::Word;
use crate::detect::threshold::RuleKey;

const SECOND: u64 = 1_000_000_000;
const RULE: RuleKey = RuleKey { gid: 1, sid: 1, rev: 1 };
/// Source and destination of the packets of Suricata's tests; the first one alerts.
const PACKETS: [(u8, u8); 7] = [(5, 1), (5, 1), (5, 9), (5, 9), (1, 9), (1, 11), (5, 11)];

fn read(text: &str) -> Tag {
    tag(Word { text, start: 0 }).unwrap()
}

fn host(last: u8) -> IpAddr {
    IpAddr::from([192, 168, 1, last])
}

#[test]
fn reads_what_suricata_reads() {
    let tag_of = |scope, metric, count| Tag { scope, metric, count };
    for (text, expected) in [
        ("session", tag_of(Scope::Session, Metric::Packets, 256)),
        ("host", tag_of(Scope::Destination, Metric::Packets, 256)),
        ("session, 123, packets", tag_of(Scope::Session, Metric::Packets, 123)),
        ("session,1000,packets", tag_of(Scope::Session, Metric::Packets, 256)),
        ("session,5,packets,src", tag_of(Scope::Session, Metric::Packets, 5)),
        ("host, 200, bytes, src", tag_of(Scope::Source, Metric::Bytes, 200)),
        ("host,100,seconds,dst", tag_of(Scope::Destination, Metric::Seconds, 100)),
        ("host,0,packets,src", tag_of(Scope::Source, Metric::Packets, 0)),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    for (text, place) in [
        ("", ""),
        ("packets", "packets"),
        ("session,packets 5", "packets 5"),
        ("session,exclusive", "exclusive"),
        ("host,src", "src"),
        ("host,x,packets", "x"),
        ("host,5,packet", "packet"),
        ("host,5,packets,both", "both"),
        ("host,5,packets,src,1", "1"),
    ] {
        let fault = super::tag(Word { text, start: 0 }).unwrap_err();
        assert_eq!(&text[fault.span.start..fault.span.end], place, "{text}");
    }
    let help = super::tag(Word { text: "session,packets 5", start: 0 }).unwrap_err().help;
    assert_eq!(help.as_deref(), Some("did you mean `5,packets`?"));
}

/// Which of the packets are logged, `gap` seconds apart.
fn logged_of_hosts(tags: &[&str], gap: u64) -> Vec<usize> {
    let hosts = HostTags::new(1 << 16, 1);
    let mut logged = Vec::new();
    for (number, (source, destination)) in PACKETS.into_iter().enumerate() {
        let (source, destination) = (host(source), host(destination));
        let time = Timestamp((1000 + number as u64 * gap) * SECOND);
        if number == 0 {
            for (sid, text) in (1..).zip(tags) {
                hosts.add(RuleKey { sid, ..RULE }, &read(text), source, destination, time);
            }
        }
        if hosts.packet(source, destination, 47, time) {
            logged.push(number);
        }
    }
    logged
}

#[test]
fn hosts_by_packets_seconds_and_bytes() {
    for (tags, gap, expected) in [
        (&["host,3,packets,src", "host,4,packets,dst"][..], 0, vec![1, 2, 4, 5]),
        (&["host,3,seconds,src", "host,8,seconds,dst"], 2, vec![1, 4]),
        (&["host,150,bytes,src", "host,150,bytes,dst"], 0, vec![1, 2, 4]),
        (&["host,0,packets,src"], 0, vec![]),
        (&["session"], 0, vec![]),
        (&[], 0, vec![]),
    ] {
        assert_eq!(logged_of_hosts(tags, gap), expected, "{tags:?}");
    }
}

#[test]
fn sessions_by_packets_seconds_and_bytes() {
    for (text, gap, expected) in [
        ("session,4,packets", 0, vec![1, 2, 3]),
        ("session,4,seconds", 2, vec![1, 2]),
        ("session,150,bytes", 0, vec![1, 2]),
    ] {
        let (mut state, mut budget) = (FlowState::default(), Budget::new(1 << 16));
        let mut logged = Vec::new();
        for number in 0..7_u64 {
            let time = Timestamp((1000 + number * gap) * SECOND);
            if number == 0 {
                assert!(FlowTags::add(&mut state, RULE, &read(text), time, &mut budget));
            }
            if state.tags_mut().is_some_and(|tags| tags.packet(47, time)) {
                logged.push(number);
            }
        }
        assert_eq!(logged, expected, "{text}");
    }
}

/// A rule that alerts on every packet keeps its tag alive for so many packets, and not for ever.
#[test]
fn a_tag_begins_anew_ten_times_at_most() {
    let (mut state, mut budget) = (FlowState::default(), Budget::new(1 << 16));
    let tag = read("session,2,packets");
    let mut logged = Vec::new();
    for number in 0..30 {
        let time = Timestamp(0);
        FlowTags::add(&mut state, RULE, &tag, time, &mut budget);
        if state.tags_mut().unwrap().packet(47, time) {
            logged.push(number);
        }
        if logged.len() < number {
            break;
        }
    }
    assert_eq!(logged, (1..=10).collect::<Vec<usize>>());
}

#[test]
fn tags_are_bounded_and_silent_hosts_forgotten() {
    let (mut state, mut budget) = (FlowState::default(), Budget::new(1 << 16));
    let time = Timestamp(0);
    for sid in 0..60 {
        let added =
            FlowTags::add(&mut state, RuleKey { sid, ..RULE }, &read("session"), time, &mut budget);
        assert_eq!(added, sid < 50);
    }
    assert_eq!((budget.refused(), budget.used()), (10, state.bytes()));

    let hosts = HostTags::new(1 << 16, 1);
    for sid in 0..10 {
        hosts.add(RuleKey { sid, ..RULE }, &read("host,9999,seconds"), host(1), host(2), time);
    }
    assert_eq!((hosts.counters().refused, hosts.counters().table.entries), (2, 1));
    assert!(!hosts.packet(host(2), host(3), 47, Timestamp(1)));
    assert!(hosts.packet(host(2), host(3), 47, Timestamp(600 * SECOND)));
    assert!(hosts.packet(host(3), host(2), 47, Timestamp(1200 * SECOND)));
    assert!(!hosts.packet(host(2), host(3), 47, Timestamp(1801 * SECOND)));
}
