//! The engine tells what a naive matcher tells, over generated rules and packets.

use nids::decode::decode;
use nids::detect::Inspector;
use nids::detect::memory::Shared;
use nids::detect::subject::Subject;
use nids::flow::{FlowTable, Limits};
use proptest::prelude::*;

use super::world;

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn engine_equals_a_naive_matcher(
        rules in world::rules(12),
        packets in prop::collection::vec(world::packet(), 1..12),
    ) {
        let ruleset = world::compiled(&rules);
        let mut inspector = Inspector::new(&ruleset, Shared::new(0)).most_alerts(255);
        let mut flows = FlowTable::new(&Limits { memcap: 1 << 16, ..Limits::default() }, Default::default(), 7, 0);
        for (number, spec) in (1..).zip(&packets) {
            let bytes = spec.bytes(false);
            let packet = decode(&world::frame(&bytes, false, number));
            let flow = flows.track(&packet).map(|tracked| tracked.view);
            let mut found = Vec::new();
            inspector.inspect(&ruleset, &Subject::new(&packet, flow.as_ref()), &mut |info| found.push(info.sid));
            let expected = world::expected(&rules, &packet, flow.as_ref());
            prop_assert_eq!(
                &found, &expected,
                "{:?}\n{:?}\n{}", spec, flow,
                rules.iter().map(|rule| rule.text() + "\n").collect::<String>()
            );
        }
        prop_assert_eq!(inspector.counters().given_up, 0);
    }
}
