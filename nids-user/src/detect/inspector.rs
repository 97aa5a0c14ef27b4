//! Inspection of packets and of streams by a ruleset: what one worker owns.
//!
//! A packet is inspected in two steps. First the pieces of its stream, if it brought any: each is scanned
//! for fast patterns, and what of the rules' contents is found there is remembered. Then the packet
//! itself: all rules that still could match are tried in the order in which they are told, so that what
//! one rule sets another one of the same packet can see.

use std::sync::Arc;

use crate::decode::Transport;
use crate::flow::FlowDirection;

use super::alert::RuleInfo;
use super::chain::{Input, Scratch, Verdict};
use super::group::{GroupId, Scanned};
use super::mpm::Hits;
use super::subject::Subject;
use super::{Ruleset, payload};

/// Alerts that one packet may have by default: Suricata's `packet-alert-max`.
pub const MOST_ALERTS: usize = 15;

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
    /// Matches not told, as the packet had as many as it may have already.
    pub too_many: u64,
}

/// A piece of a stream that is to be inspected.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The new bytes, and before them as many as contents may reach back to.
    pub bytes: &'a [u8],
    /// How many those are: they were inspected before.
    pub seen: usize,
    /// Where the message begins that the new bytes are of: contents with an absolute place count from
    /// there. Negative: it begins before `bytes`.
    pub base: i64,
}

/// Scratch space of one worker. Nothing is allocated once it has grown to its rulesets.
#[derive(Debug, Default)]
pub struct Inspector {
    groups: [Option<GroupId>; 3],
    folded: Vec<u8>,
    folded_header: Vec<u8>,
    hits: Hits,
    candidates: Vec<u32>,
    /// Signatures whose contents were found in the stream.
    streamed: Vec<u32>,
    matched: Vec<u32>,
    scratch: Scratch,
    most_alerts: usize,
    counters: InspectorCounters,
}

impl Inspector {
    /// Scratch space with room for what `ruleset` needs. It may inspect by other rulesets too.
    pub fn new(ruleset: &Ruleset) -> Self {
        let mut inspector = Self { most_alerts: MOST_ALERTS, ..Self::default() };
        // No packet has more payload than this.
        inspector.folded.reserve(usize::from(u16::MAX));
        inspector.fit(ruleset);
        inspector
    }

    fn fit(&mut self, ruleset: &Ruleset) {
        self.hits.reserve(ruleset.most_patterns);
        self.candidates.reserve(ruleset.len());
        self.streamed.reserve(ruleset.len());
        self.matched.reserve(ruleset.len());
    }

    /// With another number of alerts that one packet may have; those of least priority are left out and
    /// counted.
    pub fn most_alerts(self, most_alerts: usize) -> Self {
        Self { most_alerts, ..self }
    }

    /// What happened so far.
    pub fn counters(&self) -> InspectorCounters {
        self.counters
    }

    /// Begins with a packet. Returns whether some rule looks at its stream.
    pub fn begin(&mut self, ruleset: &Ruleset, subject: &Subject<'_>) -> bool {
        if self.candidates.capacity() < ruleset.len() {
            self.fit(ruleset);
        }
        self.counters.packets += 1;
        self.streamed.clear();
        let direction = match has_flow(subject) {
            true => subject.direction(),
            false => FlowDirection::ToServer,
        };
        self.groups = ruleset.groups.of(subject.packet, direction);
        ruleset.groups.these(self.groups).any(|group| group.is_of_streams())
    }

    /// Inspects a piece of the packet's stream. [`Inspector::begin`] was before.
    pub fn stream(&mut self, ruleset: &Ruleset, subject: &Subject<'_>, piece: &Piece<'_>) {
        self.candidates.clear();
        for group in ruleset.groups.these(self.groups) {
            for (scanned, prefilter) in &group.prefilters {
                if *scanned == Scanned::Stream {
                    // A pattern may begin in what was scanned before.
                    let back = piece.seen.min(prefilter.longest().saturating_sub(1));
                    let fresh = piece.bytes.get(piece.seen - back..).unwrap_or_default();
                    let mut input = Input::new(fresh, &mut self.folded);
                    prefilter.scan(&mut input, &mut self.hits, &mut self.candidates);
                }
            }
            self.candidates.extend_from_slice(&group.always_in_stream);
        }
        if self.candidates.is_empty() {
            return;
        }
        self.candidates.sort_unstable();
        self.candidates.dedup();
        self.counters.candidates += self.candidates.len() as u64;
        let mut input = Input::new(piece.bytes, &mut self.folded).of_stream(piece.base, piece.seen);
        for index in self.candidates.drain(..) {
            let Some(signature) = ruleset.signatures.get(index as usize) else { continue };
            let Some(chain) = &signature.payload else { continue };
            if self.streamed.contains(&index) || !signature.fits(subject) {
                continue;
            }
            match chain.matches(&mut input, &mut self.scratch) {
                Verdict::Match => self.streamed.push(index),
                Verdict::NoMatch => {}
                Verdict::GivenUp => self.counters.given_up += 1,
            }
        }
    }

    /// Tells `found` of each rule that matches the packet or the pieces of its stream, in the order of
    /// action (drop, reject, alert), priority and sid, and whether it was the stream. Where a pass rule
    /// matches, nothing is told. Returns whether a pass rule lets the whole flow by.
    pub fn finish(
        &mut self,
        ruleset: &Ruleset,
        subject: &Subject<'_>,
        found: &mut impl FnMut(&Arc<RuleInfo>, bool),
    ) -> bool {
        let packet = subject.packet;
        if packet.ip.is_none() {
            return false;
        }
        let subject = &match has_flow(subject) {
            true => *subject,
            false => Subject { flow: None, ..*subject },
        };
        let in_stream = subject.stream.in_stream;
        let bytes = payload(packet);
        self.candidates.clear();
        self.candidates.extend_from_slice(&self.streamed);
        let groups = if subject.stream.ending { [None; 3] } else { self.groups };
        for group in ruleset.groups.these(groups) {
            for (scanned, prefilter) in &group.prefilters {
                let mut room = [0; 16];
                let bytes = match scanned {
                    Scanned::Stream if in_stream => continue,
                    Scanned::Packet | Scanned::Stream => Some(bytes),
                    Scanned::Header(header) => header.of_packet(packet, &mut room),
                };
                if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) {
                    let mut input = Input::new(bytes, &mut self.folded);
                    prefilter.scan(&mut input, &mut self.hits, &mut self.candidates);
                }
            }
            self.candidates.extend_from_slice(&group.always);
        }
        if self.candidates.is_empty() {
            return false;
        }
        // Signatures are numbered in the order in which they are told.
        self.candidates.sort_unstable();
        self.candidates.dedup();
        self.counters.candidates += self.candidates.len() as u64;
        self.matched.clear();
        let mut input = Input::new(bytes, &mut self.folded);
        for &index in &self.candidates {
            let Some(signature) = ruleset.signatures.get(index as usize) else { continue };
            let in_packet = signature.payload_in.is_in_packet(in_stream) && !bytes.is_empty();
            let streamed = self.streamed.contains(&index);
            if !signature.fits(subject) {
                continue;
            }
            let verdict = match &signature.payload {
                Some(chain) if in_packet && !streamed => {
                    chain.matches(&mut input, &mut self.scratch)
                }
                Some(_) if !streamed => Verdict::NoMatch,
                _ => Verdict::Match,
            };
            let verdict = match verdict {
                Verdict::Match if !signature.headers.is_empty() => {
                    signature.headers_match(packet, &mut self.folded_header, &mut self.scratch)
                }
                verdict => verdict,
            };
            match verdict {
                Verdict::Match => self.matched.push(index),
                Verdict::NoMatch => {}
                Verdict::GivenUp => self.counters.given_up += 1,
            }
        }
        let mut told = 0;
        for index in &self.matched {
            let Some(signature) = ruleset.signatures.get(*index as usize) else { continue };
            if signature.passes() {
                self.counters.passed += 1;
                return signature.once || self.streamed.contains(index);
            }
            if signature.silent {
                continue;
            }
            if told == self.most_alerts {
                self.counters.too_many += 1;
                continue;
            }
            told += 1;
            self.counters.matches += 1;
            found(&signature.info, self.streamed.contains(index));
        }
        false
    }

    /// Inspects a packet that has no stream.
    pub fn inspect(
        &mut self,
        ruleset: &Ruleset,
        subject: &Subject<'_>,
        found: &mut impl FnMut(&Arc<RuleInfo>),
    ) {
        self.begin(ruleset, subject);
        self.finish(ruleset, subject, &mut |info, _| found(info));
    }
}

/// Whether the protocol is one of which rules know flows: TCP, UDP, ICMP, ESP and SCTP, as in Suricata.
/// To `flow`, packets of others are each by themselves.
fn has_flow(subject: &Subject<'_>) -> bool {
    !matches!(subject.packet.transport, Transport::Other)
}
