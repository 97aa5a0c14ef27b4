//! Inspection of packets by a ruleset: what one worker owns.

use std::sync::Arc;

use crate::decode::{Packet, Transport};
use crate::flow::{FlowDirection, FlowView};

use super::alert::RuleInfo;
use super::chain::{Input, Scratch, Verdict};
use super::mpm::Hits;
use super::{Ruleset, payload};

/// What happened during inspection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InspectorCounters {
    /// Packets inspected.
    pub packets: u64,
    /// Signatures tried on a packet, after the prefilter.
    pub candidates: u64,
    /// Matches told.
    pub matches: u64,
    /// Packets on which a pass rule kept the matches of others back.
    pub passed: u64,
    /// Signatures given up on a packet, as their contents would have taken too long.
    pub given_up: u64,
}

/// Scratch space of one worker. Nothing is allocated once it has grown to its rulesets.
#[derive(Debug, Default)]
pub struct Inspector {
    folded: Vec<u8>,
    hits: Hits,
    candidates: Vec<u32>,
    matched: Vec<u32>,
    scratch: Scratch,
    counters: InspectorCounters,
}

impl Inspector {
    /// Scratch space with room for what `ruleset` needs. It may inspect by other rulesets too.
    pub fn new(ruleset: &Ruleset) -> Self {
        let mut inspector = Self::default();
        // No packet has more payload than this.
        inspector.folded.reserve(usize::from(u16::MAX));
        inspector.fit(ruleset);
        inspector
    }

    fn fit(&mut self, ruleset: &Ruleset) {
        self.hits.reserve(ruleset.most_patterns);
        self.candidates.reserve(ruleset.len());
        self.matched.reserve(ruleset.len());
    }

    /// What happened so far.
    pub fn counters(&self) -> InspectorCounters {
        self.counters
    }

    /// Tells `found` of each rule that matches the packet, in the order of action (drop, reject,
    /// alert), priority and sid. Where a pass rule matches, nothing is told.
    pub fn inspect(
        &mut self,
        ruleset: &Ruleset,
        packet: &Packet<'_>,
        flow: Option<&FlowView>,
        found: &mut impl FnMut(&Arc<RuleInfo>),
    ) {
        self.counters.packets += 1;
        if packet.ip.is_none() {
            return;
        }
        if self.candidates.capacity() < ruleset.len() {
            self.fit(ruleset);
        }
        let flow = flow.filter(|_| has_flow(packet));
        let direction = flow.map_or(FlowDirection::ToServer, |flow| flow.direction);
        let mut input = Input::new(payload(packet), &mut self.folded);
        self.candidates.clear();
        for group in ruleset.groups.of(packet, direction) {
            if let Some(prefilter) = &group.prefilter
                && !input.is_empty()
            {
                prefilter.scan(&mut input, &mut self.hits, &mut self.candidates);
            }
            self.candidates.extend_from_slice(&group.always);
        }
        if self.candidates.is_empty() {
            return;
        }
        self.counters.candidates += self.candidates.len() as u64;
        self.matched.clear();
        for &index in &self.candidates {
            let Some(signature) = ruleset.signatures.get(index as usize) else { continue };
            match signature.matches(packet, flow, &mut input, &mut self.scratch) {
                Verdict::Match => self.matched.push(index),
                Verdict::NoMatch => {}
                Verdict::GivenUp => self.counters.given_up += 1,
            }
        }
        // Signatures are numbered in the order in which they are told.
        self.matched.sort_unstable();
        for index in &self.matched {
            let Some(signature) = ruleset.signatures.get(*index as usize) else { continue };
            if signature.passes() {
                self.counters.passed += 1;
                return;
            }
            if !signature.silent {
                self.counters.matches += 1;
                found(&signature.info);
            }
        }
    }
}

/// Whether the protocol is one of which rules know flows: TCP, UDP, ICMP, ESP and SCTP, as in Suricata.
/// To `flow`, packets of others are each by themselves.
fn has_flow(packet: &Packet<'_>) -> bool {
    !matches!(packet.transport, Transport::Other)
}
