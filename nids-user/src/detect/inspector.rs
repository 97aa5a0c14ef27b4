//! Inspection of packets and of streams by a ruleset: what one worker owns.
//!
//! A packet is inspected in two steps. First the pieces of its stream, if it brought any: each is scanned
//! for fast patterns, and what of the rules' contents is found there is remembered. Then the packet
//! itself: all rules that still could match are tried in the order in which they are told, so that what
//! one rule sets another one of the same packet can see.

use std::sync::Arc;

use crate::app::AppFlow;
use crate::decode::Transport;
use crate::flow::FlowDirection;
use crate::rule::ast::Action;
use crate::stream::Chunk;

use super::alert::RuleInfo;
use super::app_inspector::{AppInspector, Match, With};
use super::bits::FlowVars;
use super::chain::{Input, Scratch, Verdict};
use super::gate::Facts;
use super::group::{Group, GroupId, Scanned};
use super::memory::{Kept, Shared};
use super::mpm::Hits;
use super::subject::Subject;
use super::tag::{self, FlowTags};
use super::threshold::{self, Outcome as Judgement, RuleKey};
use super::trace::{Fate, PiecePlace};
use super::trial::Trial;
use super::watch::Watch;
use super::{Ruleset, payload, transform};

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
#[derive(Clone, Copy)]
pub struct Piece<'a> {
    /// The new bytes, and the way to those before them.
    pub chunk: &'a Chunk<'a>,
    /// How far from the begin of the chunk its message begins: contents with an absolute place count from
    /// there.
    pub since: u32,
    /// Most bytes before the chunk that contents may reach back to.
    pub back: usize,
    /// The last bytes seen before in which a rule has found its fast pattern and not all the rest. They
    /// are scanned once more, so that the rule is tried on what came since.
    pub again: usize,
}

/// Bytes of a chunk up to which copying it is cheaper than a second scan.
const SHORT: usize = 256;

/// Puts up to `back` bytes before a chunk and up to `ahead` bytes of it into `joined`. Returns how many there
/// were before it.
fn join(chunk: &Chunk<'_>, back: usize, ahead: usize, joined: &mut Vec<u8>) -> usize {
    joined.clear();
    chunk.copy_before(back, joined);
    let before = joined.len();
    joined.extend_from_slice(chunk.data.get(..ahead).unwrap_or(chunk.data));
    before
}

/// Scratch space of one worker. Nothing is allocated once it has grown to its rulesets.
#[derive(Debug)]
pub struct Inspector {
    groups: [Option<GroupId>; 3],
    folded: Vec<u8>,
    folded_header: Vec<u8>,
    /// A piece of a stream with what lies before it, or with the last of that.
    joined: Vec<u8>,
    hits: Hits,
    candidates: Vec<u32>,
    /// Signatures whose contents were found in the stream.
    streamed: Vec<u32>,
    matched: Vec<Match>,
    app: AppInspector,
    /// The EVE objects of the transaction at hand.
    objects: Vec<u8>,
    scratch: Scratch,
    most_alerts: usize,
    shared: Arc<Shared>,
    counters: InspectorCounters,
    /// Where somebody wants to know what rules do.
    watch: Option<Box<Watch>>,
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

/// The transaction of a match.
#[derive(Clone, Copy, Debug)]
pub struct FoundIn<'a> {
    /// Its number in the flow: EVE's `tx_id`.
    pub id: u64,
    /// Its EVE objects, each as `,"name":{...}`.
    pub objects: &'a [u8],
}

/// One match to be told.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The rule.
    pub rule: &'a Arc<RuleInfo>,
    /// Its action, or the one that a `rate_filter` puts in its place.
    pub action: Action,
    /// It matched a piece of the stream, or a transaction in it.
    pub in_stream: bool,
    /// What rules remember of the packet's flow.
    pub vars: Option<&'a FlowVars>,
    /// The transaction it has matched in.
    pub transaction: Option<FoundIn<'a>>,
}

impl Inspector {
    /// Scratch space with room for what `ruleset` needs. It may inspect by other rulesets too. `shared` is
    /// what rules keep of more than one flow.
    pub fn new(ruleset: &Ruleset, shared: Arc<Shared>) -> Self {
        let mut inspector = Self {
            groups: [None; 3],
            folded: Vec::new(),
            folded_header: Vec::new(),
            joined: Vec::new(),
            hits: Hits::default(),
            candidates: Vec::new(),
            streamed: Vec::new(),
            matched: Vec::new(),
            app: AppInspector::default(),
            objects: Vec::new(),
            scratch: Scratch::default(),
            most_alerts: MOST_ALERTS,
            shared,
            counters: InspectorCounters::default(),
            watch: None,
        };
        // No packet has more payload than this.
        inspector.folded.reserve(usize::from(u16::MAX));
        inspector.fit(ruleset);
        inspector
    }

    fn fit(&mut self, ruleset: &Ruleset) {
        self.hits.reserve(ruleset.most_patterns);
        self.app.fit(ruleset);
        self.candidates.reserve(ruleset.len());
        self.streamed.reserve(ruleset.len());
        self.matched.reserve(ruleset.len());
    }

    /// With another number of alerts that one packet may have; those of least priority are left out and
    /// counted.
    pub fn most_alerts(self, most_alerts: usize) -> Self {
        Self { most_alerts, ..self }
    }

    /// Watches what the rules do. `watch` is of the ruleset that it inspects by, and there is no other.
    pub fn watched(self, watch: Option<Watch>) -> Self {
        Self { watch: watch.map(Box::new), ..self }
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
        self.groups = match subject.packet.ip {
            Some(_) => ruleset.groups.of(subject.packet, direction),
            None => [None; 3],
        };
        if let Some(watch) = &mut self.watch {
            watch.begin(self.groups);
        }
        ruleset.groups.these(self.groups).any(|group| group.is_of_streams())
    }

    /// Inspects a piece of the packet's stream. [`Inspector::begin`] was before. Returns how many of the
    /// last bytes are to be scanned again with the next piece: a rule has found its fast pattern in them,
    /// and waits for the rest.
    ///
    /// The piece is scanned where it lies, and put together with what was before only for rules whose fast
    /// pattern was found.
    pub fn stream(&mut self, ruleset: &Ruleset, subject: &Subject<'_>, piece: &Piece<'_>) -> usize {
        let Piece { chunk, since, back, again } = *piece;
        self.candidates.clear();
        match again {
            0 => self.scan_in_place(ruleset, chunk),
            _ => self.scan_again(ruleset, piece),
        }
        for group in ruleset.groups.these(self.groups) {
            self.candidates.extend_from_slice(&group.always_in_stream);
        }
        let new = chunk.data.len().saturating_sub(chunk.seen);
        let place = PiecePlace { from: chunk.offset + chunk.seen as u64, new };
        if let Some(watch) = &mut self.watch {
            watch.scanned_piece(subject, place, &self.candidates);
        }
        if self.candidates.is_empty() {
            return 0;
        }
        self.candidates.sort_unstable();
        self.candidates.dedup();
        self.counters.candidates += self.candidates.len() as u64;
        let candidates = &mut self.candidates;
        candidates.retain(|index| {
            let signature = ruleset.signatures.get(*index as usize);
            let Some(signature) = signature.filter(|signature| signature.payload.is_some()) else {
                return false;
            };
            match &mut self.watch {
                None => signature.fits(subject, &mut ()) && !self.streamed.contains(index),
                Some(watch) => {
                    !self.streamed.contains(index)
                        && watch.ends_of_piece(*index, subject, place, |record| {
                            signature.fits_watched(subject, record)
                        })
                }
            }
        });
        if candidates.is_empty() {
            return 0;
        }
        let before = join(chunk, back, usize::MAX, &mut self.joined);
        let seen = before + chunk.seen;
        let base = before as i64 - i64::from(since);
        let mut waits = false;
        let mut input = Input::new(&self.joined, &mut self.folded).of_stream(base, seen);
        for index in candidates.drain(..) {
            let Some(signature) = ruleset.signatures.get(index as usize) else { continue };
            let Some(chain) = &signature.payload else { continue };
            let verdict = match &mut self.watch {
                None => chain.matches(&mut input, &mut self.scratch),
                Some(watch) => watch.piece(index, subject, place, self.joined.len(), |record| {
                    chain.watched(&mut input, &mut self.scratch, record)
                }),
            };
            match verdict {
                Verdict::Match => self.streamed.push(index),
                Verdict::NoMatch => {
                    let fast = signature.fast_pattern.as_ref();
                    waits |= fast.is_some_and(|fast| chain.is_more_than(&fast.bytes));
                }
                Verdict::GivenUp => self.counters.given_up += 1,
            }
        }
        match waits {
            // The pattern may have begun before the chunk.
            true => chunk.data.len() - chunk.seen + again.min(seen).max(ruleset.reach),
            false => 0,
        }
    }

    /// Scans a chunk for fast patterns: first its seam with what was seen before, in which a pattern may
    /// begin, then itself.
    fn scan_in_place(&mut self, ruleset: &Ruleset, chunk: &Chunk<'_>) {
        let new = chunk.data.get(chunk.seen..).unwrap_or_default();
        let prefilters = |group: &'_ Group| {
            let of_streams = group.prefilters.iter().filter(|(at, _)| *at == Scanned::Stream);
            of_streams.map(|(_, prefilter)| prefilter.longest()).max().unwrap_or(0)
        };
        let longest = ruleset.groups.these(self.groups).map(prefilters).max().unwrap_or(0);
        let reach = longest.saturating_sub(1);
        // A chunk that is short itself is scanned in one go with the seam.
        let whole = new.len() <= SHORT;
        let ahead = if whole { new.len() } else { reach };
        let before =
            join(chunk, reach.saturating_sub(chunk.seen), chunk.seen + ahead, &mut self.joined);
        let seen = before + chunk.seen;
        for group in ruleset.groups.these(self.groups) {
            for (scanned, prefilter) in &group.prefilters {
                if *scanned != Scanned::Stream {
                    continue;
                }
                let back = prefilter.longest().saturating_sub(1).min(seen);
                if back > 0 || whole {
                    let seam = self.joined.get(seen - back..).unwrap_or_default();
                    let mut input = Input::new(seam, &mut self.folded);
                    prefilter.scan(&mut input, &mut self.hits, &mut self.candidates);
                }
                if !whole {
                    let mut input = Input::new(new, &mut self.folded);
                    prefilter.scan(&mut input, &mut self.hits, &mut self.candidates);
                }
            }
        }
    }

    /// Scans a chunk and the last bytes before it, in which a rule waits for more.
    #[cold]
    fn scan_again(&mut self, ruleset: &Ruleset, piece: &Piece<'_>) {
        let before = join(piece.chunk, piece.back, usize::MAX, &mut self.joined);
        let seen = before + piece.chunk.seen;
        for group in ruleset.groups.these(self.groups) {
            for (scanned, prefilter) in &group.prefilters {
                if *scanned == Scanned::Stream {
                    let back = prefilter.longest().saturating_sub(1).max(piece.again).min(seen);
                    let bytes = self.joined.get(seen - back..).unwrap_or_default();
                    let mut input = Input::new(bytes, &mut self.folded);
                    prefilter.scan(&mut input, &mut self.hits, &mut self.candidates);
                }
            }
        }
    }

    /// Tells `found` of each rule that matches the packet or the pieces of its stream, in the order of the
    /// rules. Where a pass rule matches, nothing behind it is told. `kept` is what the packet's flow
    /// remembers, `app` its application layer.
    pub fn finish(
        &mut self,
        ruleset: &Ruleset,
        subject: &Subject<'_>,
        mut kept: Kept<'_>,
        mut app: Option<&mut AppFlow>,
        found: &mut impl FnMut(Found<'_>),
    ) -> Outcome {
        let alone;
        let subject = match has_flow(subject) {
            true => subject,
            false => {
                kept = None;
                alone = Subject { flow: None, ..*subject };
                &alone
            }
        };
        self.matched.clear();
        if subject.packet.ip.is_none() {
            for &index in ruleset.broken() {
                let Some(signature) = ruleset.signatures.get(index as usize) else { continue };
                let fits = match &mut self.watch {
                    None => signature.fits_broken(subject, &mut ()),
                    Some(watch) => watch.broken(index, subject, |record| match record {
                        None => signature.fits_broken(subject, &mut ()),
                        Some(stop) => signature.fits_broken(subject, stop),
                    }),
                };
                if fits {
                    self.matched.push(Match { signature: index, transaction: None });
                }
            }
        } else {
            if self.groups != [None; 3]
                || !self.streamed.is_empty()
                || !ruleset.by_address.is_empty()
            {
                self.collect(ruleset, subject);
                if !self.candidates.is_empty() {
                    self.verify(ruleset, subject, &mut kept);
                }
            }
            if let Some(app) = app.as_deref_mut() {
                self.transactions(ruleset, subject, app, &mut kept);
            }
        }
        if self.matched.is_empty() {
            return Outcome { tagged: self.is_tagged(subject, &mut kept), ..Outcome::default() };
        }
        let mut outcome = self.tell(ruleset, subject, &mut kept, app, found);
        outcome.tagged = self.is_tagged(subject, &mut kept);
        outcome
    }

    /// Inspects the transactions of the flow.
    fn transactions(
        &mut self,
        ruleset: &Ruleset,
        subject: &Subject<'_>,
        app: &mut AppFlow,
        kept: &mut Kept<'_>,
    ) {
        let before = self.matched.len();
        let mut with = With {
            ruleset,
            streamed: &self.streamed,
            shared: &self.shared,
            kept,
            scratch: &mut self.scratch,
            watch: self.watch.as_deref_mut(),
        };
        let tally = self.app.inspect(subject, app, &mut with, &mut self.matched);
        self.counters.candidates += tally.candidates;
        self.counters.given_up += tally.given_up;
        if self.matched.len() > before {
            self.matched.sort_unstable();
        }
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
        let facts = Facts::new(subject);
        if !subject.stream.ending {
            ruleset.by_address.find(packet, facts.is_first, &mut self.candidates);
        }
        let Scratch { transformed, transform: scratch, .. } = &mut self.scratch;
        for group in ruleset.groups.these(groups) {
            for (scanned, prefilter) in &group.prefilters {
                let mut room = [0; 16];
                let bytes = match scanned {
                    Scanned::Stream if in_stream => continue,
                    Scanned::Packet | Scanned::Stream => Some(bytes),
                    Scanned::Header(header) => header.of_packet(packet, &mut room),
                    Scanned::Transformed(header, list) => {
                        header.of_packet(packet, &mut room).and_then(|bytes| {
                            let done = transform::run(list, bytes, transformed, scratch);
                            done.is_ok().then_some(transformed.as_slice())
                        })
                    }
                };
                if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) {
                    let mut input = Input::new(bytes, &mut self.folded);
                    prefilter.scan(&mut input, &mut self.hits, &mut self.candidates);
                }
            }
            for (gate, members) in &group.gated {
                if gate.lets(&facts) {
                    self.candidates.extend_from_slice(members);
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
        if let Some(watch) = &mut self.watch {
            watch.scanned_packet(subject, &self.candidates);
        }
    }

    /// Tries the candidates; what one leaves behind, the next ones see.
    fn verify(&mut self, ruleset: &Ruleset, subject: &Subject<'_>, kept: &mut Kept<'_>) {
        let mut trial = Trial {
            shared: &self.shared,
            subject,
            kept,
            input: Input::new(payload(subject.packet), &mut self.folded),
            folded_header: &mut self.folded_header,
            scratch: &mut self.scratch,
        };
        for &index in &self.candidates {
            let Some(signature) = ruleset.signatures.get(index as usize) else { continue };
            let streamed = self.streamed.contains(&index);
            let verdict = match &mut self.watch {
                None => trial.packet(signature, streamed, &mut ()),
                Some(watch) => watch
                    .packet(index, subject, |record| trial.watched(signature, streamed, record)),
            };
            match verdict {
                // The rest of it is asked of transactions.
                Verdict::Match if signature.transaction.is_some() => {
                    if signature.payload.is_some() && !streamed {
                        self.streamed.push(index);
                    }
                }
                Verdict::Match => {
                    for change in &signature.changes {
                        change.apply(&self.shared, subject, trial.kept);
                    }
                    self.matched.push(Match { signature: index, transaction: None });
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
        mut app: Option<&mut AppFlow>,
        found: &mut impl FnMut(Found<'_>),
    ) -> Outcome {
        let packet = subject.packet;
        let time = packet.frame.time;
        let ends = packet.ip.as_ref().map(|ip| (ip.source(), ip.destination()));
        let mut outcome = Outcome::default();
        let mut told = 0;
        // What becomes of each match is said only where somebody asks.
        let watch = &mut self.watch;
        let mut fate = |found: Match, fate: Fate| {
            if let Some(watch) = watch {
                watch.fate(found, subject, fate);
            }
        };
        for (at, &found_here) in self.matched.iter().enumerate() {
            let Match { signature: index, transaction } = found_here;
            let Some(signature) = ruleset.signatures.get(index as usize) else { continue };
            let rule = &signature.info;
            let key = RuleKey { gid: rule.gid, sid: rule.sid, rev: rule.rev };
            let mut action = rule.action;
            let mut silent = signature.silent;
            let mut is_last = false;
            if !signature.limits.is_empty() {
                let facts = threshold::Facts { ends, time };
                let flow = kept.as_mut().map(|(state, budget)| (&mut **state, &mut **budget));
                match self.shared.thresholds.judge(key, &signature.limits, &facts, flow) {
                    Judgement::Alert => {}
                    Judgement::NewAction(other) => action = other,
                    Judgement::Suppressed(reason) => {
                        self.counters.suppressed += 1;
                        fate(found_here, Fate::Limited(reason));
                        if !reason.applies_action() {
                            continue;
                        }
                        silent = true;
                    }
                }
            }
            let whole_flow =
                signature.once || signature.app.is_some() || self.streamed.contains(&index);
            outcome.passed |= signature.bypass;
            match action {
                Action::Pass => {
                    self.counters.passed += 1;
                    // What is dropped already cannot be let by any more.
                    outcome.passed |= whole_flow && !outcome.dropped;
                    fate(found_here, Fate::Passes);
                    for later in self.matched.iter().skip(at + 1) {
                        fate(*later, Fate::KeptBack(key));
                    }
                    // With `alert` the rule tells of itself.
                    if silent || rule.action != Action::Pass || told == self.most_alerts {
                        break;
                    }
                    is_last = true;
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
                if signature.silent {
                    fate(found_here, Fate::Silent);
                }
                continue;
            }
            if told == self.most_alerts {
                self.counters.too_many += 1;
                fate(found_here, Fate::TooMany);
                continue;
            }
            fate(found_here, Fate::Told(action));
            told += 1;
            self.counters.matches += 1;
            let transaction = transaction.map(|id| {
                self.objects.clear();
                if let Some(app) = app.as_deref_mut() {
                    app.log(id, &mut self.objects);
                }
                FoundIn { id, objects: &self.objects }
            });
            let in_stream = self.streamed.contains(&index)
                || transaction.is_some() && matches!(packet.transport, Transport::Tcp(_));
            let vars = kept.as_ref().and_then(|(state, _)| state.vars());
            found(Found { rule, action, transaction, in_stream, vars });
            if is_last {
                break;
            }
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
        self.finish(ruleset, subject, None, None, &mut |match_| found(match_.rule));
    }
}

/// Whether the packet is one of which rules know the flow: TCP, UDP, ICMP, ESP and SCTP, as in Suricata, and
/// tunnels, as in Suricata from 7.0.12 on. To `flow`, packets of others are each by themselves.
fn has_flow(subject: &Subject<'_>) -> bool {
    subject.packet.carrier || !matches!(subject.packet.transport, Transport::Other)
}
