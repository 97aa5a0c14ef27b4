//! What a ruleset makes of one rule: the kernel's filter entries, groups, fast pattern, steps, effects.
//!
//! All of it is read off the compiled ruleset that would inspect packets; nothing is worked out a second
//! time. `text` shows it to people, `serde` to programs.

mod kernel;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeSet, HashMap};

use serde::{Serialize, Serializer};

pub use kernel::Wanted;

use super::Ruleset;
use super::address_index::ByAddress;
use super::app_group::AppGroup;
use super::chain::Cost;
use super::gate::Gate;
use super::group::{GroupId, Home, Scanned, Side, places};
use super::interest::Interest;
use super::mpm::Kind;
use super::places::Places;
use super::prefilter::{Prefilter as Filter, Why, strength};
use super::signature::{FastPattern, Payload, Signature};
use super::steps::Step;
use super::threshold::RuleLimits;
use super::trial::Stop;
use crate::flow::FlowDirection;
use crate::rule::ast::Span;
use crate::rule::id::RuleId;

/// What there is to say of a rule.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The rule.
    #[serde(flatten)]
    pub id: RuleId,
    /// Always `loaded`: what is told of others, the command line tells.
    pub state: &'static str,
    /// `rev`.
    pub rev: u32,
    /// `msg`.
    pub msg: String,
    /// Where it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// One, or two of a `<>` rule.
    pub ways: Vec<Way>,
    /// What a match does, in order.
    pub effects: Vec<String>,
}

/// A rule as it was written.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// File.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Text.
    pub text: String,
}

/// What there is to say of one signature.
#[derive(Clone, Debug, Serialize)]
pub struct Way {
    /// It is the other way of a `<>` rule.
    pub swapped: bool,
    /// What the kernel half forwards for it alone.
    pub kernel: Vec<Wanted>,
    /// How much of a flow it needs: only the `begin`, the `stream` to its depth, or `all`.
    pub of_flow: &'static str,
    /// The packets that it may be tried on.
    pub groups: Vec<InGroup>,
    /// What its contents are looked for in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inspects: Option<&'static str>,
    /// What makes it a candidate.
    pub prefilter: Prefilter,
    /// What must hold, in the order in which it is asked.
    pub steps: Vec<StepText>,
}

/// Packets that a rule may be tried on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InGroup {
    /// Number of the group: equal ones have the same rules. None of transactions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// Protocol.
    pub protocol: &'static str,
    /// `to_server` or `to_client`.
    pub direction: &'static str,
    /// `to` or `from` these ports; empty: any.
    pub side: &'static str,
    /// The ports, as closed ranges.
    pub ports: Vec<(u16, u16)>,
    /// Signatures in the group.
    pub signatures: usize,
}

/// What makes a rule a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Prefilter {
    /// Its fast pattern is there.
    FastPattern {
        /// Where it is sought.
        scanned: Vec<String>,
        /// The content, as it is written.
        content: String,
        /// Its place.
        #[serde(flatten)]
        at: Option<At>,
        /// Bytes that are sought; in lower case with `nocase`.
        #[serde(serialize_with = "as_text")]
        bytes: Box<[u8]>,
        /// In any case.
        nocase: bool,
        /// How rare its bytes are (Suricata's measure).
        strength: u32,
        /// Why this content.
        why: Option<Why>,
        /// Patterns that are sought together with it.
        patterns: usize,
        /// Kinds of the matchers that do, each for some of them.
        matchers: Vec<&'static str>,
    },
    /// An address of the packet is one that it names.
    Addresses {
        /// It is looked up once a flow and direction.
        once: bool,
    },
    /// A test that is made once for all rules of a group that have it.
    Test {
        /// The test, as it is written, or in words.
        test: String,
    },
    /// The packet has an event.
    Events,
    /// Nothing: it is tried on every packet of its groups.
    Always,
    /// Nothing: it is tried on every transaction.
    EachTransaction,
    /// It is in no group: no packet can match.
    Never,
}

/// A place in a file of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct At {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepText {
    /// What is looked at.
    pub of: &'static str,
    /// The step as it is written, or in words.
    pub step: String,
    /// Its place.
    #[serde(flatten)]
    pub at: Option<At>,
    /// Where it is looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What it costs.
    pub cost: Cost,
    /// Steps of one buffer with the same number depend on one another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<usize>,
}

fn as_text<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&bytes.escape_ascii().to_string())
}

/// Explains the rules of one ruleset.
#[derive(Debug)]
pub struct Explainer<'r> {
    ruleset: &'r Ruleset,
    signatures: HashMap<RuleId, Vec<u32>>,
    homes: Vec<Home>,
    /// Indices of the homes of each group.
    homes_of: HashMap<GroupId, Vec<usize>>,
    groups_of: HashMap<u32, Vec<GroupId>>,
    sizes: Vec<usize>,
    /// The groups of transactions.
    app: Vec<(InGroup, &'r AppGroup)>,
    /// Indices into these, by signature.
    app_of: HashMap<u32, Vec<usize>>,
}

impl<'r> Explainer<'r> {
    /// Looks through the groups once.
    pub fn new(ruleset: &'r Ruleset) -> Self {
        let mut signatures: HashMap<RuleId, Vec<u32>> = HashMap::new();
        for (index, signature) in (0..).zip(ruleset.signatures()) {
            let id = RuleId { gid: signature.info.gid, sid: signature.info.sid };
            signatures.entry(id).or_default().push(index);
        }
        let mut groups_of: HashMap<u32, Vec<GroupId>> = HashMap::new();
        let mut sizes = Vec::new();
        for (number, group) in (0..).zip(ruleset.groups().iter()) {
            let mut members: Vec<u32> = group.members().collect();
            members.sort_unstable();
            members.dedup();
            sizes.push(members.len());
            for member in members {
                groups_of.entry(member).or_default().push(number);
            }
        }
        let homes = ruleset.groups().homes();
        let mut homes_of: HashMap<GroupId, Vec<usize>> = HashMap::new();
        for (index, home) in homes.iter().enumerate() {
            homes_of.entry(home.group).or_default().push(index);
        }
        let (mut app, mut app_of) = (Vec::new(), HashMap::<u32, Vec<usize>>::new());
        for (protocol, direction, group) in ruleset.app().iter() {
            let members: BTreeSet<u32> = group.members().collect();
            let whole = InGroup {
                group: None,
                protocol: protocol.name(),
                direction: way(direction),
                side: "",
                ports: Vec::new(),
                signatures: members.len(),
            };
            for member in members {
                app_of.entry(member).or_default().push(app.len());
            }
            app.push((whole, group));
        }
        Self { ruleset, signatures, homes, homes_of, groups_of, sizes, app, app_of }
    }

    /// The groups of transactions that a signature is in.
    fn app_groups(&self, index: u32) -> impl Iterator<Item = &(InGroup, &'r AppGroup)> {
        self.app_of.get(&index).into_iter().flatten().filter_map(|at| self.app.get(*at))
    }

    /// What there is to say of a rule; `None`: the ruleset has no such rule.
    pub fn explain(&self, id: RuleId) -> Option<Explanation> {
        let indices = self.signatures.get(&id)?;
        let signatures: Vec<(u32, &Signature)> = indices
            .iter()
            .filter_map(|index| Some((*index, self.ruleset.signatures().get(*index as usize)?)))
            .collect();
        let (_, first) = signatures.first()?;
        let places = first.places.as_deref();
        Some(Explanation {
            id,
            state: "loaded",
            rev: first.info.rev,
            msg: first.info.message.clone(),
            source: places.map(|places| Source {
                file: places.file.display().to_string(),
                line: places.line,
                text: places.text.to_string(),
            }),
            ways: signatures.iter().map(|(index, signature)| self.way(*index, signature)).collect(),
            effects: effects(first, places),
        })
    }

    fn way(&self, index: u32, signature: &Signature) -> Way {
        let groups = self.groups_of.get(&index).map_or(&[][..], Vec::as_slice);
        let mut homes: Vec<usize> =
            groups.iter().filter_map(|group| self.homes_of.get(group)).flatten().copied().collect();
        homes.sort_unstable();
        let homes = homes.into_iter().filter_map(|index| self.homes.get(index));
        let inspects = signature.payload.as_ref().map(|_| match signature.payload_in {
            Payload::Packet => "packets",
            Payload::Stream => "the stream, and packets that are part of none",
            Payload::Both => "the stream, and each packet",
        });
        Way {
            swapped: signature.places.as_ref().is_some_and(|places| places.swapped),
            kernel: kernel::wanted(&signature.filter()),
            of_flow: match signature.interest() {
                Interest::Begin => "begin",
                Interest::Stream => "stream",
                Interest::Lasting => "all",
            },
            groups: homes
                .map(|home| self.in_group(home))
                .chain(self.app_groups(index).map(|(group, _)| group.clone()))
                .collect(),
            inspects,
            prefilter: self.prefilter(index, signature, groups),
            steps: signature.steps().into_iter().map(|step| step_text(step, signature)).collect(),
        }
    }

    fn in_group(&self, home: &Home) -> InGroup {
        InGroup {
            group: Some(home.group),
            protocol: home.protocol,
            direction: way(home.direction),
            side: match home.side {
                Some(Side::Destination) => "to",
                Some(Side::Source) => "from",
                None => "",
            },
            ports: home.ports.clone(),
            signatures: self.sizes.get(home.group as usize).copied().unwrap_or(0),
        }
    }

    fn prefilter(&self, index: u32, signature: &Signature, groups: &[GroupId]) -> Prefilter {
        if signature.transaction.is_some() {
            return self.app_prefilter(index, signature);
        }
        if ByAddress::takes(signature) {
            return Prefilter::Addresses { once: signature.once };
        }
        let group = groups.first().and_then(|number| self.ruleset.groups().get(*number));
        let Some(group) = group else { return Prefilter::Never };
        if group.of_events.contains(&index) {
            return Prefilter::Events;
        }
        if let Some((gate, _)) = group.gated.iter().find(|(_, members)| members.contains(&index)) {
            return Prefilter::Test { test: test(*gate, signature) };
        }
        let filter =
            group.prefilters.iter().find(|(_, filter)| filter.signatures().contains(&index));
        let (Some((_, filter)), Some(pattern)) = (filter, &signature.fast_pattern) else {
            return Prefilter::Always;
        };
        let places = signature.places.as_deref();
        let chosen = places.and_then(|places| Some((places, places.fast_pattern?)));
        fast_pattern(filter, pattern, self::places(signature).map(scanned).collect(), chosen)
    }

    /// What makes a rule on transactions a candidate there.
    fn app_prefilter(&self, index: u32, signature: &Signature) -> Prefilter {
        let Some((_, group)) = self.app_groups(index).next() else { return Prefilter::Never };
        let filter =
            group.prefilters.iter().find(|(_, filter)| filter.signatures().contains(&index));
        let pattern = signature.transaction.as_ref().and_then(|rule| rule.pattern.as_ref());
        let (Some((_, filter)), Some((_, pattern))) = (filter, pattern) else {
            return Prefilter::EachTransaction;
        };
        let places = signature.places.as_deref();
        let chosen = places.and_then(|places| Some((places, places.inspected.fast_pattern?)));
        let transforms = if pattern.transforms.is_empty() { "" } else { ", transformed" };
        let scanned = vec![format!("{}{transforms}", pattern.buffer.name())];
        fast_pattern(filter, pattern, scanned, chosen)
    }
}

fn way(direction: FlowDirection) -> &'static str {
    match direction {
        FlowDirection::ToServer => "to_server",
        FlowDirection::ToClient => "to_client",
    }
}

/// A gate, in the words of the rule.
fn test(gate: Gate, signature: &Signature) -> String {
    let stop = match gate {
        Gate::Check(_) => Stop::Check(0),
        Gate::First => Stop::NotFirst,
        Gate::Protocol(_) => Stop::Protocol,
        Gate::Flow(_) => Stop::Flow,
        Gate::Payload(_) => return "a payload that is inspected with the packet".to_owned(),
    };
    let steps = signature.steps();
    let step = steps.into_iter().find(|step| step.stop == stop);
    step.map_or_else(String::new, |step| step.words)
}

fn fast_pattern(
    filter: &Filter,
    pattern: &FastPattern,
    scanned: Vec<String>,
    chosen: Option<(&Places, (Span, Why))>,
) -> Prefilter {
    Prefilter::FastPattern {
        scanned,
        content: chosen.map_or_else(String::new, |(places, (span, _))| places.words(span)),
        at: chosen.map(|(places, (span, _))| at(places, span)),
        bytes: filter.sought(pattern).into(),
        nocase: pattern.nocase,
        strength: strength(&pattern.bytes),
        why: chosen.map(|(_, (_, why))| why),
        patterns: filter.patterns(),
        matchers: filter.matchers().iter().map(|matcher| kind(matcher.kind())).collect(),
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Substring => "substring",
        Kind::Packed => "packed",
        Kind::Dfa => "dfa",
        Kind::Nfa => "nfa",
        Kind::Windows => "windows",
        Kind::Strides => "strides",
    }
}

fn scanned(place: Scanned) -> String {
    match place {
        Scanned::Packet => "payload of packets".to_owned(),
        Scanned::Stream => "stream".to_owned(),
        Scanned::Header(buffer) => buffer.name().to_owned(),
        Scanned::Transformed(buffer, _) => format!("{}, transformed", buffer.name()),
    }
}

fn at(places: &Places, span: Span) -> At {
    let place = places.at(span);
    At { line: place.line, column: place.column }
}

fn step_text(step: Step, signature: &Signature) -> StepText {
    let Step { of, words, span, place, cost, run, .. } = step;
    let at = signature.places.as_deref().zip(span).map(|(places, span)| at(places, span));
    StepText { of, step: words, at, place, cost, run }
}

/// What a match does, in the order in which it does it.
fn effects(signature: &Signature, places: Option<&Places>) -> Vec<String> {
    let words = |span: &Span| places.map_or_else(String::new, |places| places.words(*span));
    let mut effects: Vec<String> =
        places.map_or(&[][..], |places| &places.changes).iter().map(words).collect();
    let RuleLimits { silenced, suppressions, limit } = &signature.limits;
    if let Some(limit) = limit {
        effects.push(limit.to_string());
    }
    if !suppressions.is_empty() {
        effects.push(format!("suppressed for {} lists of addresses", suppressions.len()));
    }
    if *silenced {
        effects.push("suppressed: no alert".to_owned());
    }
    if signature.bypass {
        effects.push("bypass: the rest of the flow is not inspected".to_owned());
    }
    effects.extend(places.and_then(|places| places.tag.as_ref()).map(words));
    let info = &signature.info;
    effects.push(match (signature.passes(), signature.silent) {
        (true, _) => "pass: rules behind it are not told".to_owned(),
        (false, true) => format!("{}, but no alert (noalert)", info.action.name()),
        (false, false) => format!("{}, priority {}", info.action.name(), info.priority),
    });
    effects
}
