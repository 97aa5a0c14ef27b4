//! The books on segments, fragments and tunnels that nobody thought of: every frame is inspected or skipped
//! for one reason, whatever it carries and whatever came before.

use std::sync::Arc;

use proptest::prelude::*;

use super::packet::{Segment, c, cut, fragment4, payload4, s, wrapped};
use super::{Bench, RULES, RUNS, settings};

/// One packet: whose, flags, where, what it acknowledges, its data, its tunnel, how it is cut.
type Step = (bool, u8, i64, i64, usize, usize, Vec<usize>, bool);

fn step() -> impl Strategy<Value = Step> {
    (
        any::<bool>(),
        prop::sample::select(vec![2_u8, 18, 16, 16, 16, 16, 17, 4, 20, 48, 0, 1, 3]),
        -2_i64..60,
        -2_i64..60,
        0_usize..20,
        0_usize..6,
        prop::collection::vec(0_usize..8, 0..4),
        any::<bool>(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_books_balance_on_any_traffic(steps in prop::collection::vec(step(), 1..60)) {
        for run in RUNS {
            let mut settings = settings(&[
                "stream.memcap=4kb", "stream.reassembly.memcap=16kb", "defrag.memcap=8kb",
            ]);
            settings.flow.memcap = 4096;
            let mut bench = Bench::new(run, &settings, Arc::clone(&RULES));
            let mut frames = 0;
            for (number, step) in steps.iter().enumerate() {
                let (client, flags, at, ack, length, tunnel, places, backwards) = step;
                let data = &b"/etc/passwd/etc/passwd"[..*length];
                let segment: Segment = if *client { c(*at, data) } else { s(*at, data) };
                let mut packet = segment.flags(*flags).ack(*ack).packet([1000, 5000]);
                if let Some(tunnel) = ["ipip", "gre", "vxlan"].get(*tunnel) {
                    packet = wrapped(tunnel, &packet);
                }
                let mut places: Vec<_> = places.iter().map(|place| place * 8).collect();
                places.sort_unstable();
                let mut parts = cut(payload4(&packet), &places);
                if *backwards {
                    parts.reverse();
                }
                let pieces: Vec<_> = match parts.len() {
                    1 => vec![packet],
                    _ => parts.iter().map(|part| fragment4(&packet, number as u16 % 4, part)).collect(),
                };
                for piece in pieces {
                    bench.see(&piece, number as u64 * 500);
                    frames += 1;
                }
                let counters = bench.engine.counters();
                prop_assert_eq!(counters.received, frames);
                prop_assert_eq!(counters.received, counters.inspected + counters.skipped_total());
            }
            let flows = bench.engine.flow_counters();
            prop_assert_eq!(
                flows.created,
                flows.active + flows.reused
                    + flows.timed_out_new + flows.timed_out_established + flows.timed_out_closed
                    + flows.evicted_new + flows.evicted_established + flows.evicted_closed
            );
            let (fragments, streams) = bench.engine.memory();
            prop_assert!(fragments <= 8 << 10 && streams <= 20 << 10, "{} {}", fragments, streams);
            bench.sids();
        }
    }
}
