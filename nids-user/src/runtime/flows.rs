//! From a decoded packet to its alerts: flow -> stream -> detect -> alert.
//!
//! Holds one worker's flows and its two rulesets, indexed by the lowest bit of the generation that
//! selected a frame, so that what the kernel's tables of one generation let through is inspected by the
//! rules of that generation and by no others. Frames, fragments and tunnels are left to `engine`.

use std::sync::Arc;

use super::app::{self, AppLayer};
use super::capture::{Capture, Kept};
use super::engine::SkipReason;
use super::record::{self, Out, Shown};
use super::shunting::{Shunting, still_matters};
use crate::app::AppProtocols;
use crate::capture::Timestamp;
use crate::capture::shunt::ShuntCounters;
use crate::decode::{Packet, packet};
use crate::detect::alert::Vars;
use crate::detect::flow_state::Budget;
use crate::detect::memory::Shared;
use crate::detect::subject::{StreamFacts, Subject};
use crate::detect::watch::{Observation, Watch};
use crate::detect::{Inspector, InspectorCounters, Left, MOST_ALERTS, Outcome, Piece, Ruleset};
use crate::flow::{End, Flow, FlowDirection, FlowTable};
use crate::output::{EveType, Record, RecordSender};
use crate::stream::{self, Chunk, Session};

/// Bytes of a message before a piece of it that contents may still lie in: Suricata's size of a piece.
const LOOK_BACK: u32 = 2560;
/// Bytes that rules may keep of the flows of one worker.
const STATE_MEMORY: usize = 64 << 20;
/// Flows of which the rest is inspected at a time, at the end of a capture.
const SHUTDOWN_BATCH: usize = 1024;

/// Rules, and what one worker needs to apply them.
struct Slot {
    ruleset: Arc<Ruleset>,
    inspector: Inspector,
    /// Packets of any flow may have to be logged.
    tags_hosts: bool,
}

/// One worker's flows, and the rules for them.
pub(super) struct Flows {
    table: FlowTable,
    slots: [Option<Slot>; 2],
    /// That of the last packet, for what flows leave behind.
    generation: u8,
    interfaces: Vec<Option<Arc<str>>>,
    records: RecordSender,
    raised: u64,
    /// What inspectors counted whose rules are no longer in force.
    retired: InspectorCounters,
    /// The parsers of application protocols.
    app: AppLayer,
    /// What rules keep of more than one flow.
    shared: Arc<Shared>,
    /// Bytes that rules may keep of flows.
    budget: Budget,
    /// Rules that drop are taken to have dropped.
    inline: bool,
    /// The depth of streams holds for packets too.
    bypass: bool,
    /// What the kernel lets by; `None`: flows are not shunted.
    shunting: Option<Shunting>,
    /// Alerts that one packet may have.
    most_alerts: usize,
    /// What people watch of the rules.
    observation: Option<Arc<Observation>>,
    /// The packets of alerting flows; `None`: nobody wants them.
    capture: Option<Box<Capture>>,
}

impl Flows {
    pub(super) fn new(
        table: FlowTable,
        parsers: crate::app::Limits,
        interfaces: Vec<Option<Arc<str>>>,
        records: RecordSender,
        shared: Arc<Shared>,
        inline: bool,
        bypass: bool,
    ) -> Self {
        let capture = records.wants().capture.map(|options| Box::new(Capture::new(options)));
        let app = AppLayer::new(parsers, records.types());
        Self {
            table,
            slots: [None, None],
            generation: 0,
            interfaces,
            records,
            raised: 0,
            retired: InspectorCounters::default(),
            app,
            shared,
            budget: Budget::new(STATE_MEMORY),
            inline,
            bypass,
            shunting: None,
            most_alerts: MOST_ALERTS,
            observation: None,
            capture,
        }
    }

    /// With another number of alerts that one packet may have, from the next rules on.
    pub(super) fn most_alerts(self, most_alerts: usize) -> Self {
        Self { most_alerts, ..self }
    }

    /// With what people watch of the rules that are put in force from now on.
    pub(super) fn observed(self, observation: Option<Arc<Observation>>) -> Self {
        Self { observation, ..self }
    }

    /// Has the kernel let by what need not be seen.
    pub(super) fn shunt_with(&mut self, shunting: Shunting) {
        self.shunting = Some(shunting);
    }

    /// Verdicts that flows be let by: counters, and how many are in force.
    pub(super) fn shunting(&self) -> Option<(ShuntCounters, usize)> {
        self.shunting.as_ref().map(Shunting::counters)
    }

    /// Puts the rules of a generation in force, in place of those of two generations before.
    pub(super) fn install(&mut self, generation: u32, ruleset: Arc<Ruleset>) {
        if let Some(shunting) = &mut self.shunting {
            shunting.set_generation(generation);
        }
        let tags_hosts = ruleset.tags_hosts();
        let watch = self.observation.as_ref().map(|observation| Watch::new(observation, &ruleset));
        let inspector = Inspector::new(&ruleset, Arc::clone(&self.shared))
            .most_alerts(self.most_alerts)
            .watched(watch);
        let [even, odd] = &mut self.slots;
        let slot = if generation & 1 == 0 { even } else { odd };
        if let Some(before) = slot.replace(Slot { ruleset, inspector, tags_hosts }) {
            self.retired.add(&before.inspector.counters());
        }
        let rules = self.slots.iter().flatten().map(|slot| slot.ruleset.app_protocols());
        self.app.want(rules.fold(AppProtocols::NONE, AppProtocols::union));
    }

    /// Takes the rules of a generation out. No frame of it may come any more; flows that were last seen
    /// with it end with the rules of the other.
    pub(super) fn retire(&mut self, generation: u32) -> Option<Arc<Ruleset>> {
        let [even, odd] = &mut self.slots;
        let (slot, other) = if generation & 1 == 0 { (even, 1) } else { (odd, 0) };
        let Slot { ruleset, inspector, .. } = slot.take()?;
        self.retired.add(&inspector.counters());
        self.generation = other;
        Some(ruleset)
    }

    pub(super) fn table(&self) -> &FlowTable {
        &self.table
    }

    /// What happened during inspection.
    pub(super) fn inspector_counters(&self) -> InspectorCounters {
        let mut sum = self.retired;
        for slot in self.slots.iter().flatten() {
            sum.add(&slot.inspector.counters());
        }
        sum
    }

    /// What parsers of application protocols did.
    pub(super) fn app_counters(&self) -> crate::app::Counters {
        self.app.counters()
    }

    /// Bytes that they take now.
    pub(super) fn app_memory(&self) -> usize {
        self.app.memory()
    }

    /// Alerts raised so far.
    pub(super) fn raised(&self) -> u64 {
        self.raised
    }

    /// Takes one packet through its flow and its stream to the rules. `outer` is the packet of the frame,
    /// where this is another one that was found in it.
    #[inline]
    pub(super) fn inspect(
        &mut self,
        packet: &Packet<'_>,
        outer: Option<&Packet<'_>>,
        generation: u8,
    ) -> Result<(), SkipReason> {
        self.generation = generation;
        let tracked = self.table.track(packet);
        self.finish_ended();
        if self.records.types().has(EveType::Anomaly) {
            let (flow, events) = match &tracked {
                Some(tracked) => (Some(tracked.view.id), tracked.verdict.events),
                None => (None, stream::Events::default()),
            };
            self.anomalies(packet, flow, events);
        }
        let [even, odd] = &mut self.slots;
        let slot = if generation & 1 == 0 { even } else { odd };
        let mut out = Out {
            records: &self.records,
            raised: &mut self.raised,
            interface: interface(&self.interfaces, packet.frame.port),
            outer,
            blocks: self.inline,
            alerts: self.capture.as_mut().map(|capture| &mut capture.alerts),
        };
        let Some(Slot { ruleset, inspector, tags_hosts }) = slot else {
            return Err(SkipReason::NoRuleset);
        };
        let Some(tracked) = &tracked else {
            let subject = Subject::new(packet, None);
            inspector.begin(ruleset, &subject);
            let outcome = inspector.finish(ruleset, &subject, None, None, &mut |found| {
                out.alert(found, &subject, Shown::Nothing);
            });
            if outcome.tagged {
                out.tagged(&subject);
            }
            if let Some(capture) = &mut self.capture {
                let kept = Kept::of(packet, outer);
                capture.packet(&kept, None, &outcome, &self.interfaces, &self.records);
            }
            return Ok(());
        };
        let Some((flow, streams)) = self.table.flow(tracked.index) else { return Ok(()) };
        let direction = tracked.view.direction;
        let mut subject = Subject::new(packet, Some(&tracked.view));
        subject.stream.events = tracked.verdict.events;
        subject.stream.in_stream = tracked.verdict.in_stream;
        if flow.passed || flow.dropped {
            let dropped = flow.dropped;
            if let Some(session) = &mut flow.session {
                app::stop(session);
                session.watch_raw(direction, false);
                session.raw(streams, direction, packet.payload, &mut |_| {});
                session.settle(streams, direction, packet.payload);
            }
            if let Some(capture) = &mut self.capture {
                let (kept, outcome) = (Kept::of(packet, outer), Outcome::default());
                capture.packet(&kept, Some(flow), &outcome, &self.interfaces, &self.records);
            }
            if let Some(shunting) = &mut self.shunting
                && flow.passed
                && !flow.is_captured()
                && shunting.is_due(flow, packet)
                && let Some(displaced) =
                    shunting.shunt((tracked.index, flow), packet, direction, generation)
            {
                displaced.book(&mut self.table);
            }
            return Err(if dropped { SkipReason::Dropped } else { SkipReason::Passed });
        }
        let raised_before = *out.raised;
        // The packet with which encryption begins is still to be seen.
        let hidden = is_encrypted(flow);
        self.app.packet(flow, streams, packet, tracked);
        subject.app = flow.app.as_ref().and_then(|app| app.protocol());
        let looks_at_stream = inspector.begin(ruleset, &subject);
        if let Some(session) = &mut flow.session {
            subject.stream.progress = Some(progress(session));
            let before = tracked.verdict.sent_before;
            if let Some(tcp) = packet.tcp()
                && tracked.verdict.in_stream
                && session.sent(direction) != before
            {
                flow.messages.speak(direction, before, tcp.ack);
            }
            let messages = &flow.messages;
            let waiting = flow.waiting.of(direction);
            // What lies behind the depth is not for rules on streams, and what is encrypted neither.
            let done = self.bypass && session.is_done(streams, direction);
            subject.stream.in_stream |= done || hidden;
            // An alert may have to show what rules have not looked at themselves.
            let watched = looks_at_stream || self.records.wants().payload > 0;
            session.watch_raw(direction, watched && !hidden);
            session.raw(streams, direction, packet.payload, &mut |chunk| {
                if looks_at_stream {
                    let since = messages.since_start(direction, chunk.offset);
                    show(&chunk, since, waiting, ruleset, inspector, &subject);
                }
            });
        }
        let kept = Some((&mut flow.state, &mut self.budget));
        let transactions = flow.app.as_deref_mut();
        let shown = flow.session.as_deref().map_or(Shown::Nothing, Shown::Of);
        let outcome = inspector.finish(ruleset, &subject, kept, transactions, &mut |found| {
            out.alert(found, &subject, shown);
        });
        if outcome.tagged {
            out.tagged(&subject);
        }
        self.app.settle(flow, packet, &out);
        flow.passed |= outcome.passed;
        flow.dropped |= self.inline && outcome.flow_dropped;
        flow.alerted |= *out.raised != raised_before;
        if let Some(session) = &mut flow.session {
            session.settle(streams, direction, packet.payload);
        }
        if let Some(capture) = &mut self.capture {
            let kept = Kept::of(packet, outer);
            capture.packet(&kept, Some(flow), &outcome, &self.interfaces, &self.records);
        }
        if let Some(shunting) = &mut self.shunting
            && shunting.is_due(flow, packet)
        {
            let tags = *tags_hosts || flow.state.tags_mut().is_some_and(|tags| !tags.is_empty());
            let encrypted = is_encrypted(flow);
            let left = |direction| match &flow.session {
                Some(session) if self.bypass && session.is_done(streams, direction) => {
                    Left::Nothing
                }
                _ if encrypted => Left::Records,
                _ => Left::All,
            };
            let shown = [FlowDirection::ToServer, FlowDirection::ToClient]
                .iter()
                .all(|way| left(*way) == Left::Nothing);
            let logged = !shown && self.app.wants_more(flow);
            if !flow.is_captured()
                && (flow.passed || !tags && !logged && !still_matters(ruleset, flow, left))
                && let Some(displaced) =
                    shunting.shunt((tracked.index, flow), packet, direction, generation)
            {
                displaced.book(&mut self.table);
            }
        }
        Ok(())
    }

    /// Tries the rules for packets without IP headers.
    #[cold]
    pub(super) fn inspect_broken(&mut self, packet: &Packet<'_>, generation: u8) {
        let [even, odd] = &mut self.slots;
        let slot = if generation & 1 == 0 { even } else { odd };
        let Some(Slot { ruleset, inspector, .. }) = slot else { return };
        let mut out = Out {
            records: &self.records,
            raised: &mut self.raised,
            interface: interface(&self.interfaces, packet.frame.port),
            outer: None,
            blocks: self.inline,
            alerts: self.capture.as_mut().map(|capture| &mut capture.alerts),
        };
        let subject = Subject::new(packet, None);
        inspector.begin(ruleset, &subject);
        let outcome = inspector.finish(ruleset, &subject, None, None, &mut |found| {
            out.alert(found, &subject, Shown::Nothing);
        });
        if let Some(capture) = &mut self.capture {
            let kept = Kept::of(packet, None);
            capture.packet(&kept, None, &outcome, &self.interfaces, &self.records);
        }
    }

    /// Logs what was odd about a packet, where that is asked for.
    pub(super) fn anomalies(
        &self,
        packet: &Packet<'_>,
        flow: Option<u64>,
        in_stream: stream::Events,
    ) {
        if self.records.types().has(EveType::Anomaly) {
            let interface = interface(&self.interfaces, packet.frame.port);
            let with_header = self.records.wants().packet_header;
            for anomaly in record::anomalies(packet, flow, in_stream, interface, with_header) {
                self.records.send(anomaly);
            }
        }
    }

    /// Ends flows whose time has run out.
    pub(super) fn expire(&mut self, now: Timestamp, budget: usize) {
        if let Some(shunting) = &mut self.shunting {
            shunting.collect(&mut self.table);
        }
        self.table.expire(now, budget);
        self.finish_ended();
    }

    /// The capture is over: ends all flows.
    pub(super) fn shut_down(&mut self) {
        while self.table.shut_down(SHUTDOWN_BATCH) {
            self.finish_ended();
        }
        self.finish_ended();
    }

    /// Inspects what is left of flows that ended.
    #[inline]
    fn finish_ended(&mut self) {
        while let Some((flow, end)) = self.table.take_ended() {
            self.finish_flow(flow, end);
        }
    }

    fn finish_flow(&mut self, mut flow: Flow, end: End) {
        if let Some(shunting) = &mut self.shunting {
            shunting.release(&mut flow);
        }
        if let Some(mut session) = flow.session.take() {
            if !(flow.passed || flow.dropped) {
                self.finish_stream(&mut flow, &mut session);
            }
            flow.session = Some(session);
        }
        if flow.app.is_some() {
            let packet = packet::of_flow_end(&flow.ends(), FlowDirection::ToServer, flow.last);
            let out = Out {
                records: &self.records,
                raised: &mut self.raised,
                interface: interface(&self.interfaces, flow.port),
                outer: None,
                blocks: self.inline,
                alerts: None,
            };
            self.app.log_rest(&mut flow, &packet, &out);
        }
        let types = self.records.types();
        if types.has(EveType::Flow) || types.has(EveType::Netflow) {
            self.log_flow(&flow, end);
        }
        if let Some(session) = flow.session.take() {
            self.table.streams().close(session);
        }
        self.app.release(&mut flow);
        flow.state.release(&mut self.budget);
    }

    /// Inspects what is left of a stream.
    fn finish_stream(&mut self, flow: &mut Flow, session: &mut Session) {
        let [even, odd] = &mut self.slots;
        let slot = if self.generation & 1 == 0 { even } else { odd };
        let Some(Slot { ruleset, inspector, .. }) = slot else { return };
        self.app.rest(flow, session, self.table.streams());
        for direction in [FlowDirection::ToServer, FlowDirection::ToClient] {
            let news = flow.app.as_ref().is_some_and(|app| app.has_news(direction));
            if !session.has_unseen(direction) && !news {
                continue;
            }
            // Nobody sent this packet: it stands for the end of the flow.
            let ends = flow.ends();
            let packet = packet::of_flow_end(&ends, direction, flow.last);
            let view = flow.view(direction, true);
            let mut subject = Subject::new(&packet, Some(&view));
            subject.app = flow.app.as_ref().and_then(|app| app.protocol());
            subject.stream = StreamFacts {
                in_stream: true,
                ending: true,
                progress: Some(progress(session)),
                ..StreamFacts::default()
            };
            let mut out = Out {
                records: &self.records,
                raised: &mut self.raised,
                interface: interface(&self.interfaces, flow.port),
                outer: None,
                blocks: self.inline,
                alerts: self.capture.as_mut().map(|capture| &mut capture.alerts),
            };
            let raised_before = *out.raised;
            let looks_at_stream = inspector.begin(ruleset, &subject);
            let messages = &flow.messages;
            let waiting = flow.waiting.of(direction);
            let streams = self.table.streams();
            let most = self.records.wants().payload;
            let mut rest = Vec::new();
            session.watch_raw(direction, looks_at_stream || most > 0);
            session.finish(streams, direction, &mut |chunk| chunk.data.len(), &mut |chunk| {
                if chunk.data.is_empty() {
                    return;
                }
                if most > 0 {
                    rest.clear();
                    chunk.copy_before(most.saturating_sub(chunk.data.len()), &mut rest);
                    rest.extend_from_slice(last(chunk.data, most));
                }
                if looks_at_stream {
                    let since = messages.since_start(direction, chunk.offset);
                    show(&chunk, since, waiting, ruleset, inspector, &subject);
                }
            });
            let kept = Some((&mut flow.state, &mut self.budget));
            let transactions = flow.app.as_deref_mut();
            inspector.finish(ruleset, &subject, kept, transactions, &mut |found| {
                out.alert(found, &subject, Shown::Rest(&rest));
            });
            flow.alerted |= *out.raised != raised_before;
        }
        if let Some(capture) = &mut self.capture {
            capture.flow_end(flow, &self.interfaces, &self.records);
        }
    }

    /// What flow logs tell of a flow.
    #[cold]
    fn log_flow(&self, flow: &Flow, end: End) {
        let interface = interface(&self.interfaces, flow.port).cloned();
        let mut record = flow.record(end, self.table.now(), interface);
        if self.records.wants().vars {
            record.vars = Vars::of(flow.state.vars());
        }
        let types = self.records.types();
        if types.has(EveType::Netflow) {
            self.records.send(Record::Netflow(record.clone(), FlowDirection::ToServer));
            let [_, came_back] = flow.packets;
            if came_back > 0 {
                self.records.send(Record::Netflow(record.clone(), FlowDirection::ToClient));
            }
        }
        if types.has(EveType::Flow) {
            self.records.send(Record::Flow(record));
        }
    }
}

/// The last bytes, `most` at most.
fn last(bytes: &[u8], most: usize) -> &[u8] {
    bytes.get(bytes.len().saturating_sub(most)..).unwrap_or_default()
}

fn interface(interfaces: &[Option<Arc<str>>], port: u16) -> Option<&Arc<str>> {
    interfaces.get(usize::from(port))?.as_ref()
}

fn is_encrypted(flow: &Flow) -> bool {
    flow.app.as_ref().is_some_and(|app| app.is_encrypted())
}

fn progress(session: &Session) -> [crate::stream::Progress; 2] {
    [session.progress(FlowDirection::ToServer), session.progress(FlowDirection::ToClient)]
}

/// Shows a chunk to the rules. `since`: bytes from its message's begin to the chunk's. `waiting`: the last
/// bytes shown in which a rule waits for more.
fn show(
    chunk: &Chunk<'_>,
    since: u32,
    waiting: &mut u16,
    ruleset: &Ruleset,
    inspector: &mut Inspector,
    subject: &Subject<'_>,
) {
    // Before the begin of the message as much as a fast pattern reaches back: it may span both.
    let back = since.min(LOOK_BACK) as usize + ruleset.reach();
    let piece = Piece { chunk, since, back, again: usize::from(*waiting) };
    *waiting = u16::try_from(inspector.stream(ruleset, subject, &piece)).unwrap_or(u16::MAX);
}
