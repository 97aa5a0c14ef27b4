//! Overlapping segments: each policy against a small model of it, and what is shown already.

use proptest::prelude::*;

use super::script::{CLIENT, SERVER, Script, c, s};
use crate::flow::FlowDirection::ToServer;
use crate::stream::{Event, Mode, Policy};

const C: u32 = CLIENT + 1;
const S: u32 = SERVER + 1;

/// A host that keeps every byte with the segments it came in. Written from the table of Novak and
/// Sturges, not from the engine's.
#[derive(Default)]
struct Host {
    segments: Vec<(usize, usize)>,
    bytes: Vec<Option<u8>>,
}

impl Host {
    fn takes_new(policy: &str, old: (usize, usize), new: (usize, usize)) -> bool {
        let same_start = old.0 == new.0;
        let starts_before = new.0 < old.0;
        let ends_behind = new.1 > old.1;
        let same_end = new.1 == old.1;
        let covers = new.0 <= old.0 && new.1 >= old.1;
        match policy {
            "last" => true,
            "first" | "vista" => false,
            "bsd" | "windows" | "windows2k3" | "macos" | "irix" | "hpux10" => starts_before,
            "linux" => starts_before || (same_start && ends_behind),
            "old-linux" => starts_before || (same_start && (ends_behind || same_end)),
            "solaris" | "hpux11" => covers || ends_behind,
            other => panic!("{other}"),
        }
    }

    fn receive(&mut self, policy: &str, start: usize, data: &[u8]) {
        let new = (start, start + data.len());
        for (at, byte) in (start..).zip(data) {
            let stays = self
                .segments
                .iter()
                .filter(|old| old.0 <= at && at < old.1)
                .any(|old| !Self::takes_new(policy, *old, new));
            if !stays {
                self.bytes[at] = Some(*byte);
            }
        }
        if !self.segments.contains(&new) {
            self.segments.push(new);
        }
    }
}

const NAMES: [&str; 13] = [
    "first",
    "last",
    "bsd",
    "linux",
    "old-linux",
    "windows",
    "windows2k3",
    "vista",
    "solaris",
    "hpux10",
    "hpux11",
    "macos",
    "irix",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// A hole at the begin keeps everything else from being shown until it is filled, so that the policy
    /// decides about all of it.
    #[test]
    fn policies_do_as_their_hosts(
        policy in proptest::sample::select(&NAMES[..]),
        // One byte right before the next number would be a keep-alive.
        segments in proptest::collection::vec((0_usize..40, 2_usize..15), 1..12),
        acked: bool,
    ) {
        let mode = if acked { Mode::Acked } else { Mode::Immediate };
        let mut script = Script::with(|config| {
            config.mode = mode;
            config.hosts.insert([10, 0, 0, 2].into(), 32, Policy::from_name(policy).unwrap());
        });
        script.handshake();
        let mut host = Host { bytes: vec![None; 60], ..Host::default() };
        let mut differ = false;
        for (number, (start, len)) in segments.iter().enumerate() {
            let data: Vec<u8> = (0..*len).map(|n| (number * 20 + n) as u8).collect();
            differ |= host.bytes[*start..start + len]
                .iter()
                .zip(&data)
                .any(|(old, new)| old.is_some_and(|old| old != *new));
            host.receive(policy, *start, &data);
            // One byte behind the hole.
            let seq = C + 1 + u32::try_from(*start).unwrap();
            prop_assert!(script.send(&c("PA", seq, S).data(&data)).in_stream);
        }
        prop_assert_eq!(script.events.contains(Event::OverlapDifferentData), differ);
        script.send(&c("PA", C, S).data(b"!"));
        let in_order = host.bytes.iter().take_while(|byte| byte.is_some()).count();
        let expected: Vec<u8> =
            std::iter::once(b'!').chain(host.bytes[..in_order].iter().flatten().copied()).collect();
        script.send(&s("A", S, C + 1 + u32::try_from(in_order).unwrap()));
        prop_assert_eq!(&script.to_server.app, &expected);
        // All that is there comes at the end, holes and all.
        script.finish();
        let all: Vec<u8> =
            std::iter::once(b'!').chain(host.bytes.iter().flatten().copied()).collect();
        prop_assert_eq!(&script.to_server.raw, &all);
        let holes = host.bytes[in_order..].iter().rposition(Option::is_some);
        let holes = holes.map_or(0, |last| {
            host.bytes[in_order..in_order + last].iter().filter(|byte| byte.is_none()).count()
        });
        prop_assert_eq!(script.to_server.raw_gaps, holes as u64);
    }
}

#[test]
fn a_second_copy_of_what_was_shown_changes_nothing_but_is_told() {
    for name in NAMES {
        let mut script = Script::with(|config| {
            config.hosts.insert([10, 0, 0, 2].into(), 32, Policy::from_name(name).unwrap());
        });
        script.handshake();
        script.send(&c("PA", C, S).data(b"evil"));
        let raised = script.raises(&c("PA", C, S).data(b"good"));
        assert_eq!(raised, [Event::OverlapDifferentData], "{name}");
        assert_eq!(script.to_server.raw, b"evil");
        // The same bytes again are a plain retransmission, whole or in part.
        assert!(script.raises(&c("PA", C + 1, S).data(b"vi")).is_empty());
        assert!(script.raises(&c("PA", C + 2, S).data(b"il, more")).is_empty());
        assert_eq!(script.to_server.raw, b"evil, more");
    }
}

#[test]
fn until_it_is_acknowledged_the_policy_decides_as_suricata_does() {
    for (name, expected) in [("windows", b"GOOD"), ("old-linux", b"EVIL")] {
        let mut script = Script::with(|config| {
            config.mode = Mode::Acked;
            config.hosts.insert([10, 0, 0, 2].into(), 32, Policy::from_name(name).unwrap());
        });
        script.handshake();
        script.send(&c("PA", C, S).data(b"GOOD"));
        script.send(&c("PA", C, S).data(b"EVIL"));
        script.finish();
        assert_eq!(script.to_server.raw, expected);
    }
}

#[test]
fn inline_the_first_copy_counts() {
    let mut script = Script::established(Mode::Inline);
    script.send(&c("PA", C + 4, S).data(b"more"));
    script.send(&c("PA", C + 4, S).data(b"EVIL"));
    assert!(script.events.contains(Event::OverlapDifferentData));
    script.send(&c("PA", C, S).data(b"GOOD"));
    assert_eq!(script.to_server.app, b"GOODmore");
    assert_eq!(script.to_server.chunks.last().unwrap(), &(0, b"GOODmore".to_vec()));
    assert!(!script.slot.as_ref().unwrap().has_unseen(ToServer));
}

#[test]
fn a_keep_alive_with_another_byte_is_told() {
    let mut script = Script::established(Mode::Immediate);
    script.send(&c("PA", C, S).data(b"ab"));
    assert!(script.raises(&c("A", C + 1, S).data(b"b")).is_empty());
    assert_eq!(script.raises(&c("A", C + 1, S).data(b"X")), [Event::OverlapDifferentData]);
    assert_eq!(script.to_server.raw, b"ab");
}
