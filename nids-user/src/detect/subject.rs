//! What rules may ask about one packet: the packet itself, its flow, and what its stream made of it.

use crate::app::AppProtocol;
use crate::decode::Packet;
use crate::flow::{FlowDirection, FlowView};
use crate::stream::{self, Progress};

/// One packet and what is known of it.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The packet.
    pub packet: &'a Packet<'a>,
    /// Its flow.
    pub flow: Option<&'a FlowView>,
    /// The application protocol of its flow, once it is known.
    pub app: Option<AppProtocol>,
    /// Its stream, which is empty for what is not TCP.
    pub stream: StreamFacts,
}

/// What the stream engine said of a packet.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamFacts {
    /// What was odd.
    pub events: stream::Events,
    /// The payload is part of the stream: rules on the stream see it there and not in the packet.
    pub in_stream: bool,
    /// The flow is over, and nobody sent the packet: only what is left of the stream is inspected.
    pub ending: bool,
    /// How far both directions have come: to the server, to the client. Only where there is a session.
    pub progress: Option<[Progress; 2]>,
}

impl<'a> Subject<'a> {
    /// A packet without stream.
    pub fn new(packet: &'a Packet<'a>, flow: Option<&'a FlowView>) -> Self {
        Self { packet, flow, app: None, stream: StreamFacts::default() }
    }
    /// The way it goes; one without flow counts as to the server.
    pub fn direction(&self) -> FlowDirection {
        self.flow.map_or(FlowDirection::ToServer, |flow| flow.direction)
    }
}
