//! The kernel's filter keeps back nothing that a rule could match: alerts are the same with it and
//! without, over generated rules and traffic. The kernel's decision is the plain reference of it here,
//! and the real program in `live::soundness`.

use nids::decode::Tunnels;
use nids_abi::Reason;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::world;
use crate::live::reference::Judgement;

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn alerts_are_the_same_with_the_filter(
        rules in world::plain_rules(3), traffic in world::traffic(),
        wraps in prop::collection::vec(0_u8..24, 1..4),
    ) {
        let ruleset = world::compiled(&rules);
        let filter = ruleset.filter(&Tunnels::default().carriers());
        let wraps = wraps.iter().cycle();
        let frames: Vec<Vec<u8>> =
            traffic.iter().zip(wraps).map(|(packet, wrap)| wrapped(*wrap, packet.bytes(true))).collect();
        let all = world::alerts(&ruleset, &frames, |_| true);
        let filtered =
            world::alerts(&ruleset, &frames, |frame| Judgement::of(frame).reason(&filter) >= Reason::Wanted);
        prop_assert_eq!(
            all, filtered, "{}", rules.iter().map(|rule| rule.text() + "\n").collect::<String>()
        );
    }
}

/// The frame in a tunnel, in some cases.
fn wrapped(wrap: u8, frame: Vec<u8>) -> Vec<u8> {
    let v6 = frame[12] == 0x86;
    let ip = &frame[14..];
    let outer = |protocol: u8, head: &[u8], inside: &[u8]| {
        let length = (20 + head.len() + inside.len()) as u16;
        let mut out = frame[..12].to_vec();
        out.extend([8, 0, 0x45, 0]);
        out.extend(length.to_be_bytes());
        out.extend([0, 1, 0, 0, 64, protocol, 0, 0, 10, 200, 0, 1, 10, 200, 0, 2]);
        out.extend([head, inside].concat());
        out
    };
    let udp = |port: u16, head: &[u8], inside: &[u8]| {
        let length = (8 + head.len() + inside.len()) as u16;
        let ports = [[156, 64], port.to_be_bytes(), length.to_be_bytes(), [0, 0]].concat();
        outer(17, &[&ports, head].concat(), inside)
    };
    match wrap {
        0 => outer(if v6 { 41 } else { 4 }, &[], ip),
        1 => outer(47, &[0, 0, 0x65, 0x58], &frame),
        2 => udp(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &frame),
        3 => udp(6081, &[0, 0, 0x65, 0x58, 0, 0, 1, 0], &frame),
        4 if v6 => udp(3544, &[], ip),
        5 => [&frame[..12], &[0x88, 0x47, 0, 1, 1, 0xff], ip].concat(),
        _ => frame,
    }
}

/// The filter must not be sound by forwarding everything.
#[test]
fn much_is_kept_back() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut frames, mut forwarded) = (0, 0);
    for _ in 0..300 {
        let strategy = (world::plain_rules(2), world::traffic());
        let (rules, traffic) = strategy.new_tree(&mut runner).unwrap().current();
        let filter = world::compiled(&rules).filter(&Tunnels::default().carriers());
        for packet in traffic {
            frames += 1;
            let reason = Judgement::of(&packet.bytes(true)).reason(&filter);
            forwarded += usize::from(reason >= Reason::Wanted);
        }
    }
    assert!(forwarded * 3 < frames * 2, "{forwarded} of {frames} frames are forwarded");
}
