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
        wraps in prop::collection::vec(0..world::WRAPS, 1..4),
    ) {
        let ruleset = world::compiled(&rules);
        let filter = ruleset.filter(&Tunnels::default().carriers());
        let wraps = wraps.iter().cycle();
        let frames: Vec<Vec<u8>> =
            traffic.iter().zip(wraps).map(|(packet, wrap)| world::wrapped(*wrap, packet.bytes(true))).collect();
        let all = world::alerts_behind(&ruleset, &frames, |_| true);
        let filtered =
            world::alerts_behind(&ruleset, &frames, |frame| Judgement::of(frame).reason(&filter) >= Reason::Wanted);
        prop_assert_eq!(
            all, filtered, "{}", rules.iter().map(|rule| rule.text() + "\n").collect::<String>()
        );
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

/// What the generated packets are wrapped in is really looked into, so that the comparison above means
/// something.
#[test]
fn every_wrap_is_looked_into() {
    let rule = r#"alert ip any any -> any any (msg:"x"; content:"needle"; sid:1;)"#;
    let parsed =
        nids::rule::parser::parse_str(&std::sync::Arc::from(std::path::Path::new("x")), rule);
    let compiled = nids::detect::compile(&parsed.rules, &nids::detect::Environment::default());
    for (source, destination) in [("10.0.0.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::2")] {
        let packet = world::PacketSpec {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            ttl: 64,
            layer: world::Layer::Udp { ports: (4000, 80) },
            fields: world::Fields::default(),
            payload: b"needle".to_vec(),
        };
        let filter = compiled.ruleset.filter(&Tunnels::default().carriers());
        for wrap in 0..world::WRAPS {
            let frame = world::wrapped(wrap, packet.bytes(true));
            let judgement = Judgement::of(&frame);
            assert!(judgement.reason(&filter) >= Reason::Wanted, "wrap {wrap}: {judgement:?}");
            let alerts = world::alerts(&compiled.ruleset, &[frame]);
            assert_eq!(alerts, [(1, 1)], "wrap {wrap}, {source}");
        }
    }
}
