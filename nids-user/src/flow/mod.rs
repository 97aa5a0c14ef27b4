//! Flows: which packets belong together, and who spoke first.
//!
//! One table a worker, bounded, with a keyed hash. A TCP flow holds its session; what a segment does to it
//! is left to `stream`. Fragments have no flow: what `defrag` makes of them has.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod entry;
mod key;
mod record;
mod table;
#[cfg(test)]
mod tests;
mod wheel;

pub use entry::{End, Flow, Kind, Messages, Shunt, Stage, TtlRange};
pub use key::Ends;
pub use record::{Bypassed, FlowRecord, TcpRecord};
pub use table::{FlowTable, Tracked};

use std::time::Duration;

/// Which way a packet goes inside its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowDirection {
    /// From the side that spoke first.
    ToServer,
    /// From the other side.
    ToClient,
}

impl FlowDirection {
    /// The other one.
    pub fn reversed(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
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
    /// Time of this packet.
    pub last: crate::capture::Timestamp,
}

/// Bounds of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes the table may take; Suricata's `flow.memcap` divided by the number of workers.
    pub memcap: u64,
    /// How long a flow may be silent.
    pub timeouts: Timeouts,
    /// VLAN ids are part of a flow's identity; Suricata's `vlan.use-for-tracking`.
    pub use_vlan: bool,
    /// Hundredths of the table that are free again when an emergency ends; Suricata's
    /// `flow.emergency-recovery`.
    pub recovery: u8,
}

impl Default for Limits {
    /// Suricata's defaults.
    fn default() -> Self {
        let timeouts = Timeouts::default();
        Self { memcap: 128 << 20, timeouts, use_vlan: true, recovery: 30 }
    }
}

/// Seconds without a packet after which a flow is over; Suricata's `flow-timeouts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP.
    pub tcp: StateTimeouts,
    /// UDP.
    pub udp: StateTimeouts,
    /// ICMP and ICMPv6.
    pub icmp: StateTimeouts,
    /// Other protocols.
    pub other: StateTimeouts,
    /// The same when the table runs full; Suricata's `emergency-*`.
    pub emergency: Option<Box<Timeouts>>,
}

/// Timeouts by the state of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateTimeouts {
    /// One side has spoken, or the handshake is not complete.
    pub new: Duration,
    /// Both sides have spoken, or the handshake is complete.
    pub established: Duration,
    /// The connection was closed. Only TCP knows this state.
    pub closed: Duration,
}

impl Default for Timeouts {
    /// Suricata's defaults (suricata.yaml, `flow-timeouts`).
    fn default() -> Self {
        let seconds = |new, established, closed| StateTimeouts {
            new: Duration::from_secs(new),
            established: Duration::from_secs(established),
            closed: Duration::from_secs(closed),
        };
        Self {
            tcp: seconds(60, 600, 60),
            udp: seconds(30, 300, 0),
            icmp: seconds(30, 300, 0),
            other: seconds(30, 300, 0),
            emergency: Some(Box::new(Self {
                tcp: seconds(10, 100, 20),
                udp: seconds(10, 100, 0),
                icmp: seconds(10, 100, 0),
                other: seconds(10, 100, 0),
                emergency: None,
            })),
        }
    }
}

/// What happened to the flows of a table. created = active + timed out + evicted + reused + shut down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCounters {
    /// Flows that began.
    pub created: u64,
    /// Flows there are now.
    pub active: u64,
    /// Silent for too long before anything came back, or before the handshake was complete.
    pub timed_out_new: u64,
    /// Silent for too long after both sides had spoken.
    pub timed_out_established: u64,
    /// Closed, and then silent.
    pub timed_out_closed: u64,
    /// Thrown out for another, as the table was full, before they were established.
    pub evicted_new: u64,
    /// Thrown out, as the table was full, though established.
    pub evicted_established: u64,
    /// Thrown out, as the table was full, when closed already.
    pub evicted_closed: u64,
    /// A new connection began on the same addresses and ports.
    pub reused: u64,
    /// Still there when the capture ended.
    pub shut_down: u64,
    /// Times that the table ran full, so that the emergency timeouts held.
    pub emergencies: u64,
    /// Packets without flow: no IP, a fragment, or a transport header that cannot be read.
    pub untracked: u64,
    /// Packets without flow, as the memory cap leaves room for none.
    pub no_room: u64,
}
