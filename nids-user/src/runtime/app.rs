//! One worker's application layer: takes what streams and datagrams bring to the parsers of their flows.
//!
//! Parsers run for protocols that a loaded rule or a type of record asks for; where there is none, streams
//! keep nothing for them.

use crate::app::{AppFlow, AppProtocols, Context, Counters, Limits};
use crate::decode::Packet;
use crate::detect::protocol::{TCP, UDP};
use crate::flow::{Flow, FlowDirection, Kind, Tracked};
use crate::stream::{Chunk, Mode, Session, StreamContext};

const WAYS: [FlowDirection; 2] = [FlowDirection::ToServer, FlowDirection::ToClient];

/// One worker's application layer.
#[derive(Debug, Default)]
pub(super) struct AppLayer {
    limits: Limits,
    counters: Counters,
    memory: usize,
    wanted: AppProtocols,
}

impl AppLayer {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// From now on these are looked for, in flows that begin.
    pub(super) fn want(&mut self, wanted: AppProtocols) {
        self.wanted = wanted;
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

    /// The rest of a direction of a stream, whose flow has ended.
    pub(super) fn rest(
        &mut self,
        slot: &mut Option<Box<AppFlow>>,
        port: u16,
        way: FlowDirection,
        chunk: &Chunk<'_>,
    ) -> usize {
        if self.wanted.is_empty() && slot.is_none() {
            return chunk.data.len();
        }
        let mut cx = self.context();
        let app = slot.get_or_insert_with(|| Box::new(AppFlow::new(TCP, port)));
        if !chunk.data.is_empty() {
            take(app, &mut cx, way, chunk);
        }
        if chunk.end {
            app.end(&mut cx, way);
        }
        chunk.data.len()
    }

    /// Lets transactions go that are over.
    #[inline]
    pub(super) fn free(&mut self, flow: &mut Flow) {
        if let Some(app) = &mut flow.app {
            app.free(&mut self.context());
        }
    }

    /// The flow is over.
    pub(super) fn release(&mut self, flow: &mut Flow) {
        if let Some(mut app) = flow.app.take() {
            app.release(&mut self.context());
        }
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
