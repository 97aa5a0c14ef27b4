//! One worker's application layer: takes what streams and datagrams bring to the parsers of their flows.
//!
//! Parsers run for protocols that a loaded rule or a type of record asks for; where there is none, streams
//! keep nothing for them.

use super::record::Out;
use crate::app::{AppFlow, AppProtocol, AppProtocols, Context, Counters, Limits};
use crate::decode::Packet;
use crate::detect::protocol::{TCP, UDP};
use crate::flow::{Flow, FlowDirection, Kind, Tracked};
use crate::output::EveTypes;
use crate::stream::{Chunk, Mode, Session, State, StreamContext};

const WAYS: [FlowDirection; 2] = [FlowDirection::ToServer, FlowDirection::ToClient];

/// One worker's application layer.
#[derive(Debug, Default)]
pub(super) struct AppLayer {
    limits: Limits,
    counters: Counters,
    memory: usize,
    wanted: AppProtocols,
    /// Those whose transactions are logged.
    logs: AppProtocols,
}

impl AppLayer {
    pub(super) fn new(limits: Limits, types: EveTypes) -> Self {
        let logs = AppProtocols::logged_as(types);
        let mut new = Self { limits, logs, ..Self::default() };
        new.want(AppProtocols::NONE);
        new
    }

    /// From now on these are looked for, in flows that begin, beside those that are logged.
    pub(super) fn want(&mut self, rules: AppProtocols) {
        let off = if self.limits.http.enabled { &[][..] } else { &[AppProtocol::Http1] };
        self.wanted = rules.union(self.logs).without(AppProtocols::of(off));
    }

    /// What was parsed so far.
    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes that parsers take now.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    fn context(&mut self) -> Context<'_> {
        Context {
            limits: &self.limits,
            counters: &mut self.counters,
            memory: &mut self.memory,
            news: [false; 2],
            flush: [false; 2],
            encrypted: false,
            wanted: self.wanted,
        }
    }

    /// Takes what a packet brings to the parser of its flow.
    #[inline]
    pub(super) fn packet(
        &mut self,
        flow: &mut Flow,
        streams: &mut StreamContext,
        packet: &Packet<'_>,
        tracked: &Tracked,
    ) {
        if self.wanted.is_empty() && flow.app.is_none() {
            if let Some(session) = &mut flow.session {
                stop(session);
            }
            return;
        }
        let direction = tracked.view.direction;
        match flow.kind {
            Kind::Tcp => {
                let news = tracked.verdict.app;
                if news.to_server || news.to_client {
                    self.segment(flow, streams, packet.payload, direction, news.into());
                }
            }
            Kind::Udp if !packet.payload.is_empty() => {
                let port = flow.ends().server_port;
                let app = flow.app.get_or_insert_with(|| Box::new(AppFlow::new(UDP, port)));
                app.datagram(&mut self.context(), direction, packet.payload);
            }
            Kind::Udp | Kind::Icmp | Kind::Other => {}
        }
    }

    fn segment(
        &mut self,
        flow: &mut Flow,
        streams: &mut StreamContext,
        payload: &[u8],
        direction: FlowDirection,
        [to_server, to_client]: [bool; 2],
    ) {
        let port = flow.ends().server_port;
        let Some(session) = &mut flow.session else { return };
        let mut cx = self.context();
        let mut feed = |session: &mut Session, app: &mut Option<Box<AppFlow>>, way| {
            let payload = if way == direction { payload } else { &[] };
            session.app(streams, way, payload, &mut |chunk| {
                let app = app.get_or_insert_with(|| Box::new(AppFlow::new(TCP, port)));
                take(app, &mut cx, way, &chunk)
            });
        };
        let known =
            |app: &Option<Box<AppFlow>>| app.as_ref().is_some_and(|a| a.protocol().is_some());
        let before = known(&flow.app);
        // An acknowledgment shows what came before this packet.
        for way in [direction.reversed(), direction] {
            let news = if way == FlowDirection::ToServer { to_server } else { to_client };
            if news {
                feed(session, &mut flow.app, way);
            }
        }
        if !before && known(&flow.app) {
            // What the other side has said meanwhile waits; requests come first.
            for way in WAYS {
                feed(session, &mut flow.app, way);
            }
        }
        // Behind a reset may be what was not acknowledged; that is shown when the flow ends.
        let is_over = session.state() == State::Closed
            && (streams.config().mode != Mode::Acked || !session.closed_by_rst());
        if is_over && let Some(app) = &mut flow.app {
            app.end(&mut cx);
        }
        for (way, wanted) in WAYS.into_iter().zip(cx.flush) {
            if wanted {
                session.flush_raw(way);
            }
        }
        if streams.config().mode != Mode::Acked
            && flow.app.as_ref().is_some_and(|app| app.is_over())
        {
            stop(session);
        }
    }

    /// The flow has ended: parses the rest of both directions, and their end.
    pub(super) fn rest(
        &mut self,
        flow: &mut Flow,
        session: &mut Session,
        streams: &mut StreamContext,
    ) {
        if self.wanted.is_empty() && flow.app.is_none() {
            return;
        }
        let port = flow.ends().server_port;
        let mut cx = self.context();
        let app = &mut flow.app;
        let mut feed = |app: &mut Option<Box<AppFlow>>, way| {
            session.app_rest(streams, way, &mut |chunk| {
                let app = app.get_or_insert_with(|| Box::new(AppFlow::new(TCP, port)));
                take(app, &mut cx, way, &chunk)
            });
        };
        // What one side says may tell what the other one has said.
        for way in WAYS.into_iter().chain(WAYS) {
            feed(app, way);
        }
        if let Some(app) = app {
            app.end(&mut cx);
        }
    }

    /// After a packet was inspected: logs transactions that are over, and lets them go.
    #[inline]
    pub(super) fn settle(&mut self, flow: &mut Flow, packet: &Packet<'_>, out: &Out<'_>) {
        if flow.app.as_ref().is_none_or(|app| app.protocol().is_none()) {
            return;
        }
        let logged = self.logs_of(flow);
        if logged {
            log(flow, packet, false, out);
        }
        if let Some(app) = &mut flow.app {
            app.free(&mut self.context(), logged);
        }
    }

    /// Whether logs want more of the flow.
    pub(super) fn wants_more(&self, flow: &Flow) -> bool {
        let open = flow.app.as_ref().is_some_and(|app| !app.is_over() && !app.is_encrypted());
        open && !self.logs.is_empty()
    }

    fn logs_of(&self, flow: &Flow) -> bool {
        let protocol = flow.app.as_ref().and_then(|app| app.protocol());
        protocol.is_some_and(|protocol| self.logs.contains(protocol))
    }

    /// The flow has ended: logs all transactions.
    pub(super) fn log_rest(&self, flow: &mut Flow, packet: &Packet<'_>, out: &Out<'_>) {
        if self.logs_of(flow) {
            log(flow, packet, true, out);
        }
    }

    /// The flow is over.
    pub(super) fn release(&mut self, flow: &mut Flow) {
        if let Some(mut app) = flow.app.take() {
            app.release(&mut self.context());
        }
    }
}

fn log(flow: &mut Flow, packet: &Packet<'_>, all: bool, out: &Out<'_>) {
    let (id, ends) = (flow.id, flow.ends());
    if let Some(app) = &mut flow.app {
        app.records(all, &mut |transaction, kind, way, objects| {
            out.app(packet, id, &ends, (transaction, kind, way), objects);
        });
    }
}

fn take(app: &mut AppFlow, cx: &mut Context<'_>, way: FlowDirection, chunk: &Chunk<'_>) -> usize {
    if chunk.gap_before > 0 {
        app.gap(cx, way, chunk.gap_before);
    }
    app.data(cx, way, chunk.data)
}

/// Nothing more of the session is parsed.
pub(super) fn stop(session: &mut Session) {
    for way in WAYS {
        session.stop_app(way);
    }
}
