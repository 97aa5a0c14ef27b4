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
