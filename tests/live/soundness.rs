//! The real kernel program keeps no alert back: the same alerts over generated rules and traffic with
//! the frames it forwards and with all of them.

use std::sync::Arc;

use nids::decode::Tunnels;
use nids::detect::Ruleset;
use nids_abi::Reason;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::bpf::{Globals, Hook, Kernel};
use crate::cases::detect::filter::{Decision, Latest, on_captures};
use crate::cases::detect::world;

const ROUNDS: usize = 1500;

#[test]
fn alerts_are_the_same_behind_the_kernel() {
    let Some(mut kernel) = Kernel::load(Globals::default()) else { return };
    let mut runner = TestRunner::default();
    let (mut frames_seen, mut frames_kept, mut alerts) = (0, 0, 0);
    for round in 0..ROUNDS {
        let strategy = (world::plain_rules(3), world::traffic());
        let (rules, traffic) = strategy.new_tree(&mut runner).unwrap().current();
        let ruleset = world::compiled(&rules);
        // Half of the rounds in tunnels, or behind rare headers.
        let wrap = (round / 2 % usize::from(world::WRAPS)) as u8;
        let frames: Vec<Vec<u8>> =
            traffic.iter().map(|packet| world::wrapped(wrap, packet.bytes(true))).collect();
        kernel.set_table(&ruleset.filter(&Tunnels::default().carriers()));
        let hook = [Hook::Xdp, Hook::Ingress][round % 2];
        let all = world::alerts_behind(&ruleset, &frames, |_| true);
        let behind = world::alerts_behind(&ruleset, &frames, |frame| {
            let outcome = kernel.run(hook, frame).expect("the kernel takes such frames");
            frames_seen += 1;
            frames_kept += usize::from(outcome.reason < Reason::Wanted);
            outcome.reason >= Reason::Wanted
        });
        let text = || rules.iter().map(|rule| rule.text() + "\n").collect::<String>();
        assert_eq!(all, behind, "{hook:?} {traffic:#?}\n{}", text());
        alerts += all.len();
    }
    assert!(alerts > ROUNDS / 3, "only {alerts} alerts");
    assert!(frames_kept * 4 > frames_seen, "{frames_kept} of {frames_seen} frames were kept back");
}

struct Real(Latest, Kernel);

impl Decision for Real {
    fn forwards(&mut self, ruleset: &Arc<Ruleset>, frame: &[u8]) -> bool {
        if let Some(table) = self.0.table(ruleset) {
            self.1.set_table(&table);
        }
        // A frame that the kernel does not take cannot be kept back.
        let outcome = self.1.run(Hook::XdpFrags, frame);
        outcome.is_none_or(|outcome| outcome.reason >= Reason::Wanted)
    }
}

/// The same with a whole public ruleset, and its rules one by one.
#[test]
fn alerts_of_a_public_ruleset_are_the_same_behind_the_kernel() {
    let Some(kernel) = Kernel::load(Globals::default()) else { return };
    on_captures(&mut Real(Latest::default(), kernel));
}
