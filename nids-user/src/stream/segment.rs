//! One TCP segment, as the state machine sees it.

use super::option::Options;
use crate::decode::{Packet, Tcp};
use crate::flow::FlowDirection;

/// Header fields of a segment and the length of its payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Segment {
    /// Sequence number of the first byte (or of the SYN).
    pub seq: u32,
    /// Acknowledgment number, whether it counts or not.
    pub ack: u32,
    /// TCP flags.
    pub flags: u8,
    /// Window, not scaled.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// Bytes of payload.
    pub len: u32,
    /// Time in seconds.
    pub time: u32,
    /// From the client.
    pub to_server: bool,
    /// Options.
    pub options: Options,
}

impl Segment {
    pub(super) fn new(packet: &Packet, tcp: &Tcp, direction: FlowDirection) -> Self {
        Self {
            seq: tcp.seq,
            ack: tcp.ack,
            flags: tcp.flags,
            window: tcp.window,
            urgent: tcp.urgent,
            len: u32::try_from(packet.payload.len()).unwrap_or(u32::MAX),
            time: u32::try_from(packet.frame.time.0 / 1_000_000_000).unwrap_or(u32::MAX),
            to_server: direction == FlowDirection::ToServer,
            options: Options::parse(tcp.header.get(20..).unwrap_or_default()),
        }
    }

    pub(super) fn is_ack(&self) -> bool {
        self.flags & Tcp::ACK != 0
    }
    pub(super) fn is_syn(&self) -> bool {
        self.flags & Tcp::SYN != 0
    }
    pub(super) fn is_syn_ack(&self) -> bool {
        self.is_syn() && self.is_ack()
    }
    pub(super) fn is_fin(&self) -> bool {
        self.flags & Tcp::FIN != 0
    }
    pub(super) fn is_rst(&self) -> bool {
        self.flags & Tcp::RST != 0
    }
    pub(super) fn is_urgent(&self) -> bool {
        self.flags & Tcp::URG != 0
    }
    /// Neither SYN nor FIN nor RST.
    pub(super) fn is_plain(&self) -> bool {
        self.flags & (Tcp::SYN | Tcp::FIN | Tcp::RST) == 0
    }
    /// An acknowledgment and nothing else: no data, no control flag.
    pub(super) fn is_bare_ack(&self) -> bool {
        self.len == 0 && self.is_ack() && self.is_plain()
    }
    /// Sequence number behind the payload.
    pub(super) fn end(&self) -> u32 {
        self.seq.wrapping_add(self.len)
    }
    /// Timestamp value.
    pub(super) fn timestamp(&self) -> Option<u32> {
        self.options.timestamp.map(|(value, _)| value)
    }
}
