//! What became of a rule on each packet and piece of stream that reached it: the step at which it failed, or
//! that it matched and what came of that.
//!
//! Each event is one line, told at once; the counts of all events are [`Traced`]. The facts are those of the
//! inspection itself ([`super::trial::Record`]).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::net::SocketAddr;

use crate::detect::Ruleset;
use crate::detect::app_group::AppGroup;
use crate::detect::chain::Verdict;
use crate::detect::gate::Gate;
use crate::detect::group::{GroupId, Scanned, places};
use crate::detect::payload;
use crate::detect::signature::Signature;
use crate::detect::steps::Step;
use crate::detect::subject::Subject;
use crate::detect::threshold::{Reason, RuleKey};
use crate::detect::trial::Stop;
use crate::detect::watch::Observation;
use crate::flow::FlowDirection;
use crate::output::field::{Calendar, protocol_name};
use crate::rule::ast::Action;
use crate::rule::id::RuleId;

/// Where a piece of a stream lies in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PiecePlace {
    /// Position of the first byte that was not inspected before.
    pub from: u64,
    /// How many of these there are.
    pub new: usize,
}

/// What a rule is tried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// The packet at hand.
    Packet,
    /// A piece of its stream.
    Piece(PiecePlace),
    /// A transaction, by its number in the flow.
    Transaction(u64),
}

/// What a trial came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The rule matches.
    Matches,
    /// What it asks of the packet is there; the rest is asked of transactions.
    Goes,
    /// What it asks of the transaction may still come.
    Waits,
    /// It does not match.
    Fails,
    /// The trial was given up, as it would have taken too long.
    GivenUp,
}

impl From<Verdict> for End {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Match => Self::Matches,
            Verdict::NoMatch => Self::Fails,
            Verdict::GivenUp => Self::GivenUp,
        }
    }
}

/// A rule and what it is tried on.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    /// Number of its signature.
    pub index: u32,
    /// The packet.
    pub subject: &'a Subject<'a>,
    /// What of it.
    pub at: Where,
    /// Bytes that contents are looked for in; 0 where there are several buffers.
    pub length: usize,
}

/// What becomes of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is told, with this action.
    Told(Action),
    /// It is a pass rule: nothing behind it is told.
    Passes,
    /// The rule says `noalert`, or `flowbits:noalert`.
    Silent,
    /// A limit holds it back.
    Limited(Reason),
    /// A pass rule matched before.
    KeptBack(RuleKey),
    /// The packet has as many alerts as it may have.
    TooMany,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(Action::Alert) => f.write_str("alert"),
            Self::Told(action) => write!(f, "alert, with the action {}", action.name()),
            Self::Passes => f.write_str("passes the packet, without alert"),
            Self::Silent => f.write_str("no alert: noalert"),
            Self::Limited(reason) => write!(f, "no alert: {}", reason.words()),
            Self::KeptBack(by) => {
                write!(f, "no alert: the pass rule {}:{} matches", by.gid, by.sid)
            }
            Self::TooMany => f.write_str("no alert: the packet has as many as it may have"),
        }
    }
}

/// What came of one rule, all packets together.
#[derive(Clone, Debug)]
pub struct Traced {
    /// The rule.
    pub id: RuleId,
    /// Packets that were inspected at all.
    pub packets: u64,
    /// Those of its protocol, direction and ports.
    pub reached: u64,
    /// Times it was tried, on a packet or a piece of a stream: its fast pattern was there.
    pub tried: u64,
    /// Times it matched.
    pub matched: u64,
    /// Where it ended, in the order of inspection, and how often.
    ends: BTreeMap<(usize, String), u64>,
}

impl Traced {
    fn new(id: RuleId) -> Self {
        Self { id, packets: 0, reached: 0, tried: 0, matched: 0, ends: BTreeMap::new() }
    }

    /// Where it ended and how often, in the order of inspection.
    pub fn ends(&self) -> impl Iterator<Item = (&str, u64)> {
        self.ends.iter().map(|((_, words), count)| (words.as_str(), *count))
    }

    /// Adds what another inspector, or the other way of the rule, has counted.
    pub(super) fn add(&mut self, other: Self) {
        self.packets = self.packets.max(other.packets);
        self.reached += other.reached;
        self.tried += other.tried;
        self.matched += other.matched;
        for (end, count) in other.ends {
            *self.ends.entry(end).or_default() += count;
        }
    }

    fn count(&mut self, order: usize, words: &str) {
        *self.ends.entry((order, words.to_owned())).or_default() += 1;
    }
}

impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, packets, reached, tried, matched, .. } = self;
        writeln!(
            f,
            "{id}: {packets} packets, {reached} of its protocol, direction and ports; tried {tried} times, \
             matched {matched}"
        )?;
        for (words, count) in self.ends() {
            writeln!(f, "{count:>8}  {words}")?;
        }
        Ok(())
    }
}

/// Behind all steps, in the order of what is counted.
const AFTER_STEPS: usize = usize::MAX - 1;
const FATES: usize = usize::MAX;
/// Before all steps.
const BEFORE_STEPS: usize = 0;

/// A signature that is traced.
#[derive(Debug)]
struct Rule {
    index: u32,
    steps: Vec<Step>,
    /// Those it is in.
    groups: Box<[GroupId]>,
    /// The packet at hand is inspected by one of these.
    is_reached: bool,
    /// A piece of its stream was scanned.
    has_pieces: bool,
    counts: Traced,
}

/// The traces of one inspector.
#[derive(Debug)]
pub(super) struct Trace {
    rules: Vec<Rule>,
    calendar: Calendar,
}

impl Trace {
    pub fn new(observation: &Observation, ruleset: &Ruleset) -> Self {
        let rules = (0..).zip(ruleset.signatures()).filter_map(|(index, signature)| {
            let id = RuleId { gid: signature.info.gid, sid: signature.info.sid };
            if !observation.trace.contains(&id) {
                return None;
            }
            let groups = (0..).zip(ruleset.groups().iter());
            let groups = groups
                .filter(|(_, group)| group.members().any(|member| member == index))
                .map(|(number, _)| number);
            Some(Rule {
                index,
                steps: signature.steps(),
                groups: groups.collect(),
                is_reached: false,
                has_pieces: false,
                counts: Traced::new(id),
            })
        });
        Self { rules: rules.collect(), calendar: Calendar::new(Calendar::ISO) }
    }

    pub fn has(&self, index: u32) -> bool {
        self.rules.iter().any(|rule| rule.index == index)
    }

    /// The counts, which begin anew.
    pub fn take(&mut self) -> Vec<Traced> {
        let fresh = |rule: &mut Rule| {
            let id = rule.counts.id;
            std::mem::replace(&mut rule.counts, Traced::new(id))
        };
        self.rules.iter_mut().map(fresh).collect()
    }

    pub fn begin(&mut self, groups: [Option<GroupId>; 3]) {
        for rule in &mut self.rules {
            rule.is_reached = groups.iter().flatten().any(|group| rule.groups.contains(group));
            rule.has_pieces = false;
            rule.counts.packets += 1;
            rule.counts.reached += u64::from(rule.is_reached);
        }
    }

    /// Tells of the rules whose fast pattern is not in a piece of their stream.
    pub fn scanned_piece(
        &mut self,
        observation: &Observation,
        ruleset: &Ruleset,
        subject: &Subject<'_>,
        piece: PiecePlace,
        candidates: &[u32],
    ) {
        let Self { rules, calendar } = self;
        for rule in rules.iter_mut().filter(|rule| rule.is_reached) {
            let Some(signature) = ruleset.signatures().get(rule.index as usize) else { continue };
            if !places(signature).any(|place| place == Scanned::Stream) {
                continue;
            }
            rule.has_pieces = true;
            if candidates.contains(&rule.index) {
                continue;
            }
            rule.counts.count(BEFORE_STEPS, "stream: the fast pattern is not there");
            let words = "the fast pattern is not there";
            observation.tell(&line(calendar, rule, subject, Where::Piece(piece), words));
        }
    }

    /// Tells of the rules that are not tried on a packet, as their prefilter found nothing in it.
    pub fn scanned_packet(
        &mut self,
        observation: &Observation,
        ruleset: &Ruleset,
        subject: &Subject<'_>,
        candidates: &[u32],
    ) {
        let Self { rules, calendar } = self;
        for rule in rules.iter_mut() {
            let is_left_out = rule.is_reached && !candidates.contains(&rule.index);
            if !is_left_out || subject.stream.ending {
                continue;
            }
            let Some(signature) = ruleset.signatures().get(rule.index as usize) else { continue };
            for words in rule.why_not(signature, subject) {
                observation.tell(&line(calendar, rule, subject, Where::Packet, &words));
            }
        }
    }

    /// Tells of the rules whose fast pattern is not in what was scanned of a transaction.
    pub fn scanned_transaction(
        &mut self,
        observation: &Observation,
        subject: &Subject<'_>,
        id: u64,
        group: &AppGroup,
        candidates: &[u32],
        matched: &[u32],
    ) {
        let Self { rules, calendar } = self;
        for rule in rules.iter_mut() {
            if !group.members().any(|member| member == rule.index) || matched.contains(&rule.index)
            {
                continue;
            }
            rule.reach();
            if candidates.contains(&rule.index) {
                continue;
            }
            rule.counts.count(BEFORE_STEPS, "transaction: the fast pattern is not there");
            let words = "the fast pattern is not there";
            observation.tell(&line(calendar, rule, subject, Where::Transaction(id), words));
        }
    }

    /// Tells of a rule that was tried.
    pub fn tried(
        &mut self,
        observation: &Observation,
        ruleset: &Ruleset,
        event: Event<'_>,
        end: End,
        stop: Option<Stop>,
    ) {
        let Event { index, subject, at, length } = event;
        let Self { rules, calendar } = self;
        let Some(signature) = ruleset.signatures().get(index as usize) else { return };
        let Some(rule) = rules.iter_mut().find(|rule| rule.index == index) else { return };
        rule.reach();
        rule.counts.tried += 1;
        rule.has_pieces |= matches!(at, Where::Piece(_));
        let words = match (end, at) {
            // What comes of it is said where the packet is.
            (End::Matches, Where::Piece(_)) => "its contents are there".to_owned(),
            // Its fate is the event.
            (End::Matches, _) => {
                rule.counts.matched += 1;
                return;
            }
            (End::Goes, _) => "what it asks of the packet is there".to_owned(),
            (end, _) => rule.end(signature, end, stop, length),
        };
        observation.tell(&line(calendar, rule, subject, at, &words));
    }

    pub fn fate(
        &mut self,
        observation: &Observation,
        ruleset: &Ruleset,
        event: Event<'_>,
        fate: Fate,
    ) {
        let Event { index, subject, at, .. } = event;
        let Self { rules, calendar } = self;
        let Some(rule) = rules.iter_mut().find(|rule| rule.index == index) else { return };
        let mut words = format!("matches: {fate}");
        rule.counts.count(FATES, &words);
        let signature = ruleset.signatures().get(index as usize);
        let places = signature.and_then(|signature| signature.places.as_deref());
        for (number, span) in places.iter().flat_map(|places| &places.changes).enumerate() {
            let lead = if number == 0 { "; " } else { ", " };
            let _ = write!(words, "{lead}{}", places.map_or_else(String::new, |p| p.words(*span)));
        }
        observation.tell(&line(calendar, rule, subject, at, &words));
    }
}

impl Rule {
    /// The packet at hand is one that it may be tried on.
    fn reach(&mut self) {
        self.counts.reached += u64::from(!self.is_reached);
        self.is_reached = true;
    }

    /// In words, where it has ended; counts it.
    fn end(
        &mut self,
        signature: &Signature,
        end: End,
        stop: Option<Stop>,
        length: usize,
    ) -> String {
        let verb = match end {
            End::Waits => "waits",
            End::GivenUp => "given up",
            _ => "fails",
        };
        let Some((stop, cursor)) = stop.map(Stop::parts) else { return verb.to_owned() };
        let (order, step) = match self.steps.iter().enumerate().find(|(_, step)| step.stop == stop)
        {
            Some((order, step)) => (order + 1, step),
            None => {
                let words = format!("{verb}: {}", signature.without_step(stop));
                self.counts.count(AFTER_STEPS, &words);
                return words;
            }
        };
        let mut words = format!("{verb} at {}", step.words);
        if let (Some(places), Some(span)) = (&signature.places, step.span) {
            let at = places.at(span);
            let file = places.file.file_name().unwrap_or_default().to_string_lossy();
            let _ = write!(words, " ({file}:{}:{})", at.line, at.column);
        }
        self.counts.count(order, &words);
        if let Some(place) = &step.place {
            let _ = write!(words, ": {place}");
        }
        if let Some(cursor) = cursor.filter(|cursor| *cursor > 0 && step.run.is_some()) {
            let _ = write!(words, "; from byte {cursor}");
            if length > 0 {
                let _ = write!(words, " of {length}");
            }
        }
        words
    }

    /// Why it was not tried on a packet: once for each place where its fast pattern is sought; counts it.
    fn why_not(&mut self, signature: &Signature, subject: &Subject<'_>) -> Vec<String> {
        let mut words = Vec::new();
        for place in places(signature) {
            let has_payload = !payload(subject.packet).is_empty();
            let mut room = [0; 16];
            words.push(match place {
                Scanned::Packet | Scanned::Stream if self.has_pieces && !has_payload => continue,
                Scanned::Packet | Scanned::Stream if !has_payload => "no payload".to_owned(),
                Scanned::Stream if subject.stream.in_stream && self.has_pieces => continue,
                Scanned::Stream if subject.stream.in_stream => {
                    "the payload waits in its stream".to_owned()
                }
                Scanned::Packet | Scanned::Stream => {
                    "payload: the fast pattern is not there".to_owned()
                }
                Scanned::Header(header) | Scanned::Transformed(header, _) => {
                    match header.of_packet(subject.packet, &mut room) {
                        Some(_) => format!("{}: the fast pattern is not there", header.name()),
                        None => format!("no {}", header.name()),
                    }
                }
            });
        }
        // Two places with one reason say it once.
        words.dedup();
        for words in &words {
            self.counts.count(BEFORE_STEPS, words);
        }
        if signature.fast_pattern.is_none() {
            words.push(match Gate::of(signature) {
                Some(gate) if !signature.asks_for_events() => {
                    let stop = gate.stop(subject);
                    self.end(signature, End::Fails, Some(stop), 0)
                }
                _ => {
                    let words = "the packet has no event".to_owned();
                    self.counts.count(BEFORE_STEPS, &words);
                    words
                }
            });
        }
        words
    }
}

/// One event.
fn line(
    calendar: &mut Calendar,
    rule: &Rule,
    subject: &Subject<'_>,
    at: Where,
    words: &str,
) -> String {
    let packet = subject.packet;
    let mut bytes = Vec::new();
    calendar.write(&mut bytes, packet.frame.time);
    let mut out = String::from_utf8(bytes).unwrap_or_default();
    match subject.stream.ending {
        true => out += " at the end of the flow",
        false => _ = write!(out, " packet {}", packet.frame.number),
    }
    match &packet.ip {
        Some(ip) => {
            let proto = protocol_name(ip.protocol()).unwrap_or("IP");
            let (from, to) = (ip.source(), ip.destination());
            let _ = match packet.ports() {
                Some((source, destination)) => {
                    let (from, to) =
                        (SocketAddr::new(from, source), SocketAddr::new(to, destination));
                    write!(out, " {proto} {from} -> {to}")
                }
                None => write!(out, " {proto} {from} -> {to}"),
            };
        }
        None => out += " no IP",
    }
    if let Some(flow) = subject.flow {
        let way = match flow.direction {
            FlowDirection::ToServer => "to_server",
            FlowDirection::ToClient => "to_client",
        };
        let _ = write!(out, " flow {} {way}", flow.id);
    }
    let _ = write!(out, ": {}", rule.counts.id);
    let _ = match at {
        Where::Packet => Ok(()),
        Where::Piece(PiecePlace { from, new }) => {
            let to = from.saturating_add(new as u64).saturating_sub(1);
            write!(out, " stream bytes {from}-{to}:")
        }
        Where::Transaction(id) => write!(out, " transaction {id}:"),
    };
    out.push(' ');
    out + words
}
