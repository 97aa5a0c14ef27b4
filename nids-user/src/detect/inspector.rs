//! Inspection of packets and of streams by a ruleset: what one worker owns.
//!
//! A packet is inspected in two steps. First the pieces of its stream, if it brought any: each is scanned
//! for fast patterns, and what of the rules' contents is found there is remembered. Then the packet
//! itself: all rules that still could match are tried in the order in which they are told, so that what
//! one rule sets another one of the same packet can see.

use std::sync::Arc;

use crate::decode::Transport;
use crate::flow::FlowDirection;
use crate::rule::ast::Action;

use super::alert::RuleInfo;
use super::bits::FlowVars;
use super::chain::{Input, Scratch, Verdict};
use super::group::{GroupId, Scanned};
use super::memory::{Kept, Shared};
use super::mpm::Hits;
use super::subject::Subject;
use super::tag::{self, FlowTags};
use super::threshold::{Facts, Outcome as Judgement, RuleKey};
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
    /// Matches not told, as their rule or a list limits them.
    pub suppressed: u64,
    /// Matches not told, as the packet had as many as it may have already.
    pub too_many: u64,
}

impl InspectorCounters {
    /// Adds what another inspector counted.
    pub fn add(&mut self, other: &Self) {
        let Self { packets, candidates, matches, passed, given_up, suppressed, too_many } = other;
        self.packets += packets;
        self.candidates += candidates;
        self.matches += matches;
        self.passed += passed;
        self.given_up += given_up;
        self.suppressed += suppressed;
        self.too_many += too_many;
    }
}

/// A piece of a stream that is to be inspected.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The new bytes, and before them as many as contents may reach back to.
    pub bytes: &'a [u8],
    /// How many those are: they were inspected before.
    pub seen: usize,
    /// The last ones of those in which a rule has found its fast pattern and not all the rest. They are
    /// scanned once more, so that the rule is tried on what came since.
    pub again: usize,
    /// Where the message begins that the new bytes are of: contents with an absolute place count from
    /// there. Negative: it begins before `bytes`.
    pub base: i64,
}

/// Scratch space of one worker. Nothing is allocated once it has grown to its rulesets.
#[derive(Debug)]
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
    shared: Arc<Shared>,
    counters: InspectorCounters,
}

/// What came of a packet beside its alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Nothing more of the flow is to be inspected: a pass rule lets it by, or a rule says `bypass`.
    pub passed: bool,
    /// A rule drops the packet.
    pub dropped: bool,
    /// A rule drops the flow: one that looks at streams, or at addresses only.
    pub flow_dropped: bool,
    /// The packet is to be logged, for the `tag` of a rule.
    pub tagged: bool,
    /// A rule with a `tag` has matched.
    pub tag_began: bool,
}

/// One match to be told.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The rule.
    pub rule: &'a Arc<RuleInfo>,
    /// Its action, or the one that a `rate_filter` puts in its place.
    pub action: Action,
    /// It matched a piece of the stream.
    pub in_stream: bool,
    /// What rules remember of the packet's flow.
    pub vars: Option<&'a FlowVars>,
}

impl Inspector {
    /// Scratch space with room for what `ruleset` needs. It may inspect by other rulesets too. `shared` is
    /// what rules keep of more than one flow.
    pub fn new(ruleset: &Ruleset, shared: Arc<Shared>) -> Self {
        let mut inspector = Self {
            groups: [None; 3],
            folded: Vec::new(),
            folded_header: Vec::new(),
            hits: Hits::default(),
            candidates: Vec::new(),
            streamed: Vec::new(),
            matched: Vec::new(),
            scratch: Scratch::default(),
            most_alerts: MOST_ALERTS,
            shared,
            counters: InspectorCounters::default(),
        };
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
        if subject.packet.ip.is_none() {
            self.groups = [None; 3];
            return false;
        }
        self.groups = ruleset.groups.of(subject.packet, direction);
        ruleset.groups.these(self.groups).any(|group| group.is_of_streams())
    }

    /// Inspects a piece of the packet's stream. [`Inspector::begin`] was before. Returns whether a rule has
    /// found its fast pattern in what was scanned, and waits for the rest.
    pub fn stream(&mut self, ruleset: &Ruleset, subject: &Subject<'_>, piece: &Piece<'_>) -> bool {
        let mut waits = false;
        self.candidates.clear();
        for group in ruleset.groups.these(self.groups) {
            for (scanned, prefilter) in &group.prefilters {
                if *scanned == Scanned::Stream {
                    // A pattern may begin in what was scanned before.
                    let back = prefilter.longest().saturating_sub(1).max(piece.again);
                    let back = back.min(piece.seen);
                    let fresh = piece.bytes.get(piece.seen - back..).unwrap_or_default();
                    let mut input = Input::new(fresh, &mut self.folded);
                    prefilter.scan(&mut input, &mut self.hits, &mut self.candidates);
                }
            }
            self.candidates.extend_from_slice(&group.always_in_stream);
        }
        if self.candidates.is_empty() {
            return false;
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
                Verdict::NoMatch => {
                    let fast = signature.fast_pattern.as_ref();
                    waits |= fast.is_some_and(|fast| chain.is_more_than(&fast.bytes));
                }
                Verdict::GivenUp => self.counters.given_up += 1,
            }
        }
        waits
    }

    /// Tells `found` of each rule that matches the packet or the pieces of its stream, in the order of the
    /// rules. Where a pass rule matches, nothing behind it is told. `kept` is what the packet's flow
    /// remembers.
    pub fn finish(
        &mut self,
        ruleset: &Ruleset,
        subject: &Subject<'_>,
        mut kept: Kept<'_>,
        found: &mut impl FnMut(Found<'_>),
    ) -> Outcome {
        let subject = &match has_flow(subject) {
            true => *subject,
            false => Subject { flow: None, ..*subject },
        };
        self.matched.clear();
        if subject.packet.ip.is_none() {
            for &index in ruleset.broken() {
                let signature = ruleset.signatures.get(index as usize);
                if signature.is_some_and(|signature| signature.fits_broken(subject)) {
                    self.matched.push(index);
                }
            }
        } else {
            self.collect(ruleset, subject);
            self.verify(ruleset, subject, &mut kept);
        }
        if self.matched.is_empty() {
            return Outcome { tagged: self.is_tagged(subject, &mut kept), ..Outcome::default() };
        }
        let mut outcome = self.tell(ruleset, subject, &mut kept, found);
        outcome.tagged = self.is_tagged(subject, &mut kept);
        outcome
    }

    /// Collects what could match, in the order of the rules.
    fn collect(&mut self, ruleset: &Ruleset, subject: &Subject<'_>) {
        let packet = subject.packet;
        let in_stream = subject.stream.in_stream;
        let bytes = payload(packet);
        self.candidates.clear();
        self.candidates.extend_from_slice(&self.streamed);
        let has_events = !packet.events.is_empty() || !subject.stream.events.is_empty();
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
            if has_events {
                self.candidates.extend_from_slice(&group.of_events);
            }
        }
        // Signatures are numbered in the order in which they are told.
        self.candidates.sort_unstable();
        self.candidates.dedup();
        self.counters.candidates += self.candidates.len() as u64;
    }

    /// Tries the candidates; what one leaves behind, the next ones see.
    fn verify(&mut self, ruleset: &Ruleset, subject: &Subject<'_>, kept: &mut Kept<'_>) {
        let packet = subject.packet;
        let bytes = payload(packet);
        let mut input = Input::new(bytes, &mut self.folded);
        for &index in &self.candidates {
            let Some(signature) = ruleset.signatures.get(index as usize) else { continue };
            if !signature.fits(subject)
                || !signature.tests.iter().all(|test| test.holds(&self.shared, subject, kept))
            {
                continue;
            }
            let in_packet = signature.payload_in.is_in_packet(subject.stream.in_stream);
            let streamed = self.streamed.contains(&index);
            let verdict = match &signature.payload {
                Some(chain) if in_packet && !bytes.is_empty() && !streamed => {
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
                Verdict::Match => {
                    for change in &signature.changes {
                        change.apply(&self.shared, subject, kept);
                    }
                    self.matched.push(index);
                }
                Verdict::NoMatch => {}
                Verdict::GivenUp => self.counters.given_up += 1,
            }
        }
    }

    /// Tells of the matches, as far as nothing limits them.
    fn tell(
        &mut self,
        ruleset: &Ruleset,
        subject: &Subject<'_>,
        kept: &mut Kept<'_>,
        found: &mut impl FnMut(Found<'_>),
    ) -> Outcome {
        let packet = subject.packet;
        let time = packet.frame.time;
        let ends = packet.ip.as_ref().map(|ip| (ip.source(), ip.destination()));
        let mut outcome = Outcome::default();
        let mut told = 0;
        for index in &self.matched {
            let Some(signature) = ruleset.signatures.get(*index as usize) else { continue };
            let rule = &signature.info;
            let key = RuleKey { gid: rule.gid, sid: rule.sid, rev: rule.rev };
            let mut action = rule.action;
            let mut silent = signature.silent;
            if !signature.limits.is_empty() {
                let facts = Facts { ends, time };
                let flow = kept.as_mut().map(|(state, budget)| (&mut **state, &mut **budget));
                match self.shared.thresholds.judge(key, &signature.limits, &facts, flow) {
                    Judgement::Alert => {}
                    Judgement::NewAction(other) => action = other,
                    Judgement::Suppressed(reason) => {
                        self.counters.suppressed += 1;
                        if !reason.applies_action() {
                            continue;
                        }
                        silent = true;
                    }
                }
            }
            let whole_flow = signature.once || self.streamed.contains(index);
            outcome.passed |= signature.bypass;
            match action {
                Action::Pass => {
                    self.counters.passed += 1;
                    outcome.passed |= whole_flow;
                    break;
                }
                Action::Drop
                | Action::RejectSource
                | Action::RejectDestination
                | Action::RejectBoth => {
                    outcome.dropped = true;
                    outcome.flow_dropped |= whole_flow;
                }
                Action::Alert | Action::Log => {}
            }
            if let Some(tag) = &signature.tag {
                outcome.tag_began = true;
                match (tag.scope, &mut *kept, ends) {
                    (tag::Scope::Session, Some((state, budget)), _) => {
                        FlowTags::add(state, key, tag, time, budget);
                    }
                    (tag::Scope::Session, None, _) | (_, _, None) => {}
                    (_, _, Some((source, destination))) => {
                        self.shared.host_tags.add(key, tag, source, destination, time);
                    }
                }
            }
            if silent {
                continue;
            }
            if told == self.most_alerts {
                self.counters.too_many += 1;
                continue;
            }
            told += 1;
            self.counters.matches += 1;
            let in_stream = self.streamed.contains(index);
            let vars = kept.as_ref().and_then(|(state, _)| state.vars());
            found(Found { rule, action, in_stream, vars });
        }
        outcome
    }

    /// Whether a tag asks for the packet to be logged. Each tag counts it.
    #[inline]
    fn is_tagged(&self, subject: &Subject<'_>, kept: &mut Kept<'_>) -> bool {
        let (length, time) = (subject.packet.length, subject.packet.frame.time);
        let of_flow = kept
            .as_mut()
            .and_then(|(state, _)| state.tags_mut())
            .is_some_and(|tags| tags.packet(length, time));
        let of_host = subject.packet.ip.as_ref().is_some_and(|ip| {
            self.shared.host_tags.packet(ip.source(), ip.destination(), length, time)
        });
        of_flow | of_host
    }

    /// Inspects a packet that has no stream.
    pub fn inspect(
        &mut self,
        ruleset: &Ruleset,
        subject: &Subject<'_>,
        found: &mut impl FnMut(&Arc<RuleInfo>),
    ) {
        self.begin(ruleset, subject);
        self.finish(ruleset, subject, None, &mut |match_| found(match_.rule));
    }
}

/// Whether the packet is one of which rules know the flow: TCP, UDP, ICMP, ESP and SCTP, as in Suricata, and
/// tunnels, as in Suricata from 7.0.12 on. To `flow`, packets of others are each by themselves.
fn has_flow(subject: &Subject<'_>) -> bool {
    subject.packet.carrier || !matches!(subject.packet.transport, Transport::Other)
}
