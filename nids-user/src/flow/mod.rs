//! Flows: which packets belong together, and who spoke first.
//!
//! One table a worker, bounded, with a keyed hash. Leaves sequence numbers and reassembly to `stream`
//! (not there yet: content is matched packet by packet).
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

/// Which way a packet goes inside its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowDirection {
    /// From the side that spoke first.
    ToServer,
    /// From the other side.
    ToClient,
}

/// What detection and output may know of the flow of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowView {
    /// EVE's `flow_id`: below 2^53, so that every JSON reader keeps it whole.
    pub id: u64,
    /// The way of this packet.
    pub direction: FlowDirection,
    /// TCP: the three-way handshake was seen before this packet. Others: packets went both ways.
    pub established: bool,
    /// Packets from the first speaker, this one included.
    pub packets_to_server: u64,
    /// Packets from the other side, this one included.
    pub packets_to_client: u64,
    /// Bytes (of the frames) from the first speaker.
    pub bytes_to_server: u64,
    /// Bytes (of the frames) from the other side.
    pub bytes_to_client: u64,
    /// Time of the first packet.
    pub start: crate::capture::Timestamp,
}
