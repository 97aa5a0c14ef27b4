//! From syntax trees to one [`Ruleset`]: each rule is honoured in full or refused with the place.

use std::collections::HashMap;
use std::sync::Arc;

use crate::app::AppProtocols;
use crate::flow::FlowDirection;
use crate::rule::address::AddressSet;
use crate::rule::ast::{Action, Endpoints, Rule, Span};
use crate::rule::classification::Classifications;
use crate::rule::diagnostic::{ReasonKind, Refusal};
use crate::rule::port::PortSet;
use crate::rule::reference::References;
use crate::rule::variables::Variables;

use super::Ruleset;
use super::alert::RuleInfo;
use super::buffer::Buffer;
use super::chain::Chain;
use super::check::Check;
use super::keyword::content::ContentDraft;
use super::keyword::value::Fault;
use super::keyword::{self, BufferDraft, Draft};
use super::lookup::{Lookup, Stores};
use super::memory::{Change, Test};
use super::order::ActionOrder;
use super::prefilter::fast_pattern;
use super::protocol::{self, Numbers, Protocol};
use super::signature::{HeaderInspection, Payload, Signature};
use super::threshold::FileLimits;
use super::transaction::{Inspection, TransactionRule, View};

/// What rules refer to.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `$HOME_NET` and the like.
    pub variables: Variables,
    /// What `classtype` names.
    pub classifications: Classifications,
    /// What `reference` names.
    pub references: References,
    /// What `dataset`, `iprep` and `geoip` name.
    pub stores: Stores,
    /// What threshold.config says of rules.
    pub limits: Arc<FileLimits>,
    /// `action-order`.
    pub action_order: ActionOrder,
}

/// What came of the rules.
#[derive(Debug)]
pub struct Compiled {
    /// The rules that are honoured.
    pub ruleset: Ruleset,
    /// Those that are not, in the order of the rules.
    pub refusals: Vec<Refusal>,
    /// Rules that gave way to one of the same `gid:sid` with a higher `rev`: nothing is wrong with them.
    pub superseded: Vec<Refusal>,
}

/// Compiles rules. Of those that are honoured and have the same `gid:sid`, the one with the highest
/// `rev` stays; where revs are equal too, the first, and the other is refused (as Suricata does).
pub fn compile(rules: &[Rule], environment: &Environment) -> Compiled {
    let (mut refusals, mut lower) = (Vec::new(), Vec::new());
    let mut compiled: Vec<Option<(usize, Vec<Signature>)>> = Vec::with_capacity(rules.len());
    let mut known: HashMap<(u32, u32), usize> = HashMap::with_capacity(rules.len());
    let mut views = Views::default();
    for (number, rule) in rules.iter().enumerate() {
        let signatures = match signatures(rule, environment, &mut views) {
            Ok(signatures) => signatures,
            Err(fault) => {
                refusals.push((number, refuse(rule, fault)));
                continue;
            }
        };
        let Some(info) = signatures.first().map(|signature| signature.info.clone()) else {
            continue;
        };
        let slot = compiled.len();
        let before = known.get(&(info.gid, info.sid)).copied();
        let Some(before) = before.and_then(|slot| compiled.get_mut(slot)) else {
            known.insert((info.gid, info.sid), slot);
            compiled.push(Some((number, signatures)));
            continue;
        };
        // One of the two must go.
        let other = before.as_ref().and_then(|(number, signatures)| {
            Some((*number, rules.get(*number)?, signatures.first()?.info.rev))
        });
        let Some((other_number, other_rule, other_rev)) = other else { continue };
        if info.rev > other_rev {
            lower.push((other_number, superseded(other_rule, rule, info.rev)));
            *before = Some((number, signatures));
        } else if info.rev < other_rev {
            lower.push((number, superseded(rule, other_rule, other_rev)));
        } else {
            refusals.push((number, twice(rule, other_rule, &info)));
        }
    }
    let mut signatures: Vec<Signature> =
        compiled.into_iter().flatten().flat_map(|(_, signatures)| signatures).collect();
    signatures.sort_by_cached_key(|signature| environment.action_order.place(signature));
    Compiled {
        ruleset: Ruleset::new(signatures, views.list),
        refusals: in_order(refusals),
        superseded: in_order(lower),
    }
}

fn refuse(rule: &Rule, fault: Fault) -> Refusal {
    Refusal { sid: keyword::sid(rule), ..fault.refuse(rule) }
}

fn in_order(mut refusals: Vec<(usize, Refusal)>) -> Vec<Refusal> {
    refusals.sort_by_key(|(number, _)| *number);
    refusals.into_iter().map(|(_, refusal)| refusal).collect()
}

fn superseded(rule: &Rule, by: &Rule, by_rev: u32) -> Refusal {
    let place = format!("{}:{}", by.file.display(), by.line);
    let reason = format!("replaced by rev {by_rev} of the same sid, at {place}");
    refuse(rule, Fault::new(sid_place(rule), ReasonKind::Identity, reason))
}

fn twice(rule: &Rule, first: &Rule, info: &RuleInfo) -> Refusal {
    let RuleInfo { gid, sid, rev, .. } = info;
    let reason = format!("{gid}:{sid} with rev {rev} is there already");
    let help = format!(
        "the first is at {}:{}; give this one another sid, or a higher rev",
        first.file.display(),
        first.line
    );
    let refusal = refuse(rule, Fault::new(sid_place(rule), ReasonKind::Identity, reason));
    Refusal { help: Some(help), ..refusal }
}

fn sid_place(rule: &Rule) -> Span {
    rule.option("sid").map_or(rule.header.action.span, |option| option.name.span)
}

/// The signatures of one rule: one, or two where it is `<>`.
fn signatures(
    rule: &Rule,
    environment: &Environment,
    views: &mut Views,
) -> Result<Vec<Signature>, Fault> {
    let header = &rule.header;
    if header.action.node == Action::Log {
        return Err(Fault::new(
            header.action.span,
            ReasonKind::UnsupportedKeyword,
            "the action `log` is not supported yet: packets are not logged",
        ));
    }
    let name = &header.protocol.node;
    let app = AppProtocols::named(name);
    let carried = app.map(|app| Protocol {
        v4: true,
        v6: true,
        numbers: Numbers::of(app.iter().flat_map(|one| one.carriers().iter().copied())),
    });
    let protocol = carried.or_else(|| Protocol::named(name)).ok_or_else(|| {
        let reason = match protocol::KNOWN.contains(&name.as_str()) {
            true => format!("the protocol `{name}` is not supported yet"),
            false => format!("unknown protocol `{name}`"),
        };
        Fault::new(header.protocol.span, ReasonKind::Protocol, reason)
    })?;
    let mut draft = Draft::new(rule, protocol, &environment.stores);
    draft.app = app;
    draft.payload_only = match name.as_str() {
        "tcp-pkt" => Some(Payload::Packet),
        "tcp-stream" => Some(Payload::Stream),
        _ => None,
    };
    draft.read()?;
    let ends = match &header.endpoints {
        Some(endpoints) => Ends::resolve(rule, endpoints, &environment.variables)?,
        None => Ends::default(),
    };
    let info = Arc::new(info(&draft, environment));
    let mut signatures = vec![signature(&draft, info.clone(), ends.clone(), environment, views)];
    let both_ways = header.endpoints.as_ref().is_some_and(|ends| ends.bidirectional.node);
    let swapped = ends.swapped();
    // With equal ends the second would be the first again.
    if both_ways && !swapped.same_packets(&ends) {
        signatures.push(signature(&draft, info, swapped, environment, views));
    }
    Ok(signatures)
}

fn signature(
    draft: &Draft<'_>,
    info: Arc<RuleInfo>,
    ends: Ends,
    environment: &Environment,
    views: &mut Views,
) -> Signature {
    let mut checks = draft.checks.clone();
    checks.sort_by_key(Check::rank);
    let flow = draft.flow.unwrap_or_default();
    let of =
        |which: fn(Buffer) -> bool| draft.buffers.iter().filter(move |buffer| which(buffer.buffer));
    let mut payload = of(|buffer| buffer == Buffer::Payload);
    let headers = of(Buffer::is_of_headers);
    let inspection = |buffer: &BufferDraft| HeaderInspection {
        buffer: buffer.buffer,
        transforms: buffer.transforms.clone().into(),
        chain: Chain::new(&buffer.steps),
        sets: buffer.sets.clone().into(),
    };
    let limits = environment.limits.of(info.gid, info.sid, draft.limit, |note| {
        log::warn!("{}:{}: {}", note.file.display(), note.line, note.reason);
    });
    Signature {
        protocol: draft.protocol,
        once: is_of_addresses(draft) && !ends.negated,
        app: draft.app,
        transaction: transaction(draft, views),
        info,
        source: ends.source,
        destination: ends.destination,
        source_port: ends.source_port,
        destination_port: ends.destination_port,
        flow,
        payload: payload.next().and_then(|buffer| Chain::new(&buffer.steps)),
        payload_in: payload_in(draft, &checks),
        headers: headers.map(inspection).collect(),
        fast_pattern: fast_pattern(draft.buffers.iter().filter(|b| b.buffer.app().is_none())),
        checks: checks.into(),
        silent: draft.meta.noalert,
        bypass: draft.meta.bypass,
        lookups: draft.lookups.clone().into(),
        tests: draft.tests.clone().into(),
        changes: draft.changes.clone().into(),
        limits,
        tag: draft.tag,
    }
}

/// What a rule asks of transactions.
fn transaction(draft: &Draft<'_>, views: &mut Views) -> Option<TransactionRule> {
    if !draft.asks_of_transactions() {
        return None;
    }
    let app = || draft.buffers.iter().filter_map(|draft| Some((draft.buffer.app()?, draft)));
    let mut inspections: Vec<Inspection> =
        draft.questions.iter().map(|question| Inspection::Question(*question)).collect();
    if draft.buffers.iter().any(|b| b.buffer == Buffer::Payload && !b.steps.is_empty()) {
        inspections.push(Inspection::Payload);
    }
    inspections.extend(app().map(|(buffer, draft)| Inspection::Buffer {
        view: views.number(View { buffer, transforms: draft.transforms.clone().into() }),
        buffer,
        chain: Chain::new(&draft.steps),
        sets: draft.sets.clone().into(),
    }));
    let directions = draft.transaction_directions();
    let [to_server, _] = directions;
    let way = if to_server { FlowDirection::ToServer } else { FlowDirection::ToClient };
    // What is there first is asked first.
    inspections.sort_by_key(|inspection| {
        draft.app.unwrap_or_default().iter().map(|app| inspection.waits_for(app, way)).min()
    });
    // Of the whole rule, so that a fast pattern that the rule names in the payload is no other buffer's.
    let pattern = fast_pattern(draft.buffers.iter().filter(|b| b.buffer.app().is_some()));
    let pattern = pattern.and_then(|pattern| {
        let view = View { buffer: pattern.buffer.app()?, transforms: pattern.transforms.clone() };
        Some((views.number(view), pattern))
    });
    Some(TransactionRule { inspections: inspections.into(), directions, pattern })
}

/// The buffers that rules look at, each with what it goes through, numbered.
#[derive(Debug, Default)]
struct Views {
    list: Vec<View>,
    numbers: HashMap<View, u32>,
}

impl Views {
    fn number(&mut self, view: View) -> u32 {
        let next = self.list.len() as u32;
        *self.numbers.entry(view).or_insert_with_key(|view| {
            self.list.push(view.clone());
            next
        })
    }
}

/// Whether a rule asks for nothing but addresses, ports and protocol: one that Suricata calls "IP-only", or
/// with negated addresses "like IP-only" (src/detect-engine-build.c, SignatureIsIPOnly, and what
/// `--engine-analysis` of 7.0.10 says of each keyword). What it does when it matches, how often it may, and
/// what it knows of the hosts do not count, but for flow bits that are not just set.
fn is_of_addresses(draft: &Draft<'_>) -> bool {
    draft.buffers.iter().all(|buffer| buffer.steps.is_empty() && buffer.sets.is_empty())
        && draft.flow.is_none()
        && draft.checks.is_empty()
        && draft.lookups.iter().all(|lookup| matches!(lookup, Lookup::Reputation(_)))
        && draft.tests.iter().all(Test::is_of_addresses)
        && draft.changes.iter().all(Change::is_of_addresses)
        && draft.app.is_none()
        && draft.questions.is_empty()
        && !draft.meta.bypass
}

/// Where the payload of a rule is inspected, as Suricata decides it (src/detect-parse.c, SigValidate).
fn payload_in(draft: &Draft<'_>, checks: &[Check]) -> Payload {
    let named = draft.flow.and_then(|flow| flow.stream);
    let packet = draft.payload_only == Some(Payload::Packet)
        || named == Some(false)
        || checks.iter().any(Check::is_of_packets)
        || draft.rule.option("ip_proto").is_some()
        || draft.buffers.iter().any(|buffer| buffer.buffer.is_of_packets());
    let stream = draft.payload_only == Some(Payload::Stream) || named == Some(true);
    if !draft.protocol.is_tcp() {
        return Payload::Packet;
    }
    match (packet, stream) {
        (true, true) => Payload::Both,
        (true, false) => Payload::Packet,
        (false, true) => Payload::Stream,
        (false, false) => {
            let placed = draft.payload_contents().any(ContentDraft::counts_from_start);
            let sized = checks.iter().any(Check::is_of_stream_size);
            if placed || sized { Payload::Both } else { Payload::Stream }
        }
    }
}

fn info(draft: &Draft<'_>, environment: &Environment) -> RuleInfo {
    let meta = &draft.meta;
    let class = meta.classtype.as_ref().and_then(|name| environment.classifications.get(name));
    RuleInfo {
        sid: meta.sid.unwrap_or_default(),
        gid: meta.gid.unwrap_or(1),
        rev: meta.rev.unwrap_or_default(),
        message: meta.message.clone().unwrap_or_default(),
        classtype: meta.classtype.clone().unwrap_or_default(),
        category: class.map(|class| class.description.clone()).unwrap_or_default(),
        priority: meta.priority.or(class.map(|class| class.priority)).unwrap_or(3),
        action: draft.rule.header.action.node,
        metadata: meta.metadata.clone(),
        target: meta.target,
        references: meta
            .references
            .iter()
            .map(|(kind, value)| environment.references.expand(kind, value))
            .collect(),
    }
}

/// Both ends of a header; `None`: any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ends {
    source: Option<AddressSet>,
    destination: Option<AddressSet>,
    source_port: Option<PortSet>,
    destination_port: Option<PortSet>,
    /// Some address is named by what it is not.
    negated: bool,
}

impl Ends {
    fn resolve(rule: &Rule, ends: &Endpoints, variables: &Variables) -> Result<Self, Fault> {
        let addresses = |set: AddressSet| (!set.is_any()).then_some(set);
        let ports = |set: PortSet| (!set.is_any()).then_some(set);
        Ok(Self {
            source: addresses(variables.addresses(rule, &ends.source)?),
            source_port: ports(variables.ports(rule, &ends.source_port)?),
            destination: addresses(variables.addresses(rule, &ends.destination)?),
            destination_port: ports(variables.ports(rule, &ends.destination_port)?),
            negated: variables.negates(&ends.source.node)
                || variables.negates(&ends.destination.node),
        })
    }

    fn swapped(&self) -> Self {
        Self {
            source: self.destination.clone(),
            destination: self.source.clone(),
            source_port: self.destination_port.clone(),
            destination_port: self.source_port.clone(),
            negated: self.negated,
        }
    }

    fn same_packets(&self, other: &Self) -> bool {
        self == other
    }
}
