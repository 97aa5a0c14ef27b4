//! One flow: who talks to whom since when, its TCP session, and what detection remembers of it.

use super::key::{Ends, Key};
use super::record::Bypassed;
use super::{FlowDirection, FlowView, StateTimeouts, Timeouts};
use crate::app::AppFlow;
use crate::capture::Timestamp;
use crate::capture::shunt::Ticket;
use crate::decode::{Packet, Transport};
use crate::detect::flow_state::FlowState;
use crate::stream::{Session, State};

/// What a flow is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP, which has a session once one was opened.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and ICMPv6.
    Icmp,
    /// Any other protocol.
    Other,
}

impl Kind {
    pub(super) fn of(packet: &Packet<'_>) -> Self {
        match &packet.transport {
            Transport::Tcp(_) => Self::Tcp,
            Transport::Udp(_) => Self::Udp,
            Transport::Icmpv4(_) | Transport::Icmpv6(_) => Self::Icmp,
            Transport::Sctp(_) | Transport::Esp(_) | Transport::Other | Transport::None => {
                Self::Other
            }
        }
    }
}

/// How far a flow has come: EVE's `flow.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// One side has spoken, or the handshake is not complete.
    New,
    /// Both sides have spoken, or the session is up.
    Established,
    /// The session is over.
    Closed,
}

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was silent for too long.
    TimedOut,
    /// It was thrown out for another, as the table was full.
    Evicted,
    /// Another connection began on its addresses and ports.
    Reused,
    /// The capture ended.
    Shutdown,
}

/// Where the messages of a TCP conversation begin: what one side sends until the other one answers.
/// Contents that count from the start count from there.
///
/// That the other side has answered shows from what a segment acknowledges, so that it shows also where
/// the answers are not seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Messages {
    /// By direction: offset in the stream of the last message, and of the one before, modulo 2^32.
    starts: [[u32; 2]; 2],
    /// By direction: what its last segment with data acknowledged.
    acks: [u32; 2],
}

impl Messages {
    /// `direction` sends, with so many bytes sent before, and acknowledges `ack`.
    pub fn speak(&mut self, direction: FlowDirection, sent: u32, ack: u32) {
        let ([of_client, of_server], [ack_of_client, ack_of_server]) =
            (&mut self.starts, &mut self.acks);
        let ([start, before], last) = match direction {
            FlowDirection::ToServer => (of_client, ack_of_client),
            FlowDirection::ToClient => (of_server, ack_of_server),
        };
        if *last != ack {
            *last = ack;
            (*before, *start) = (*start, sent);
        }
    }

    /// Bytes between the begin of the message that holds `offset` and `offset`.
    pub fn since_start(&self, direction: FlowDirection, offset: u64) -> u32 {
        let [of_client, of_server] = &self.starts;
        let [start, before] = match direction {
            FlowDirection::ToServer => of_client,
            FlowDirection::ToClient => of_server,
        };
        // Modulo 2^32, as TCP's own numbers are.
        let offset = offset as u32;
        let back = offset.wrapping_sub(*start);
        if back < 1 << 31 { back } else { offset.wrapping_sub(*before) }
    }
}

/// By direction: the last bytes of the stream, up to those shown, in which a rule has found its fast
/// pattern and waits for the rest of what it seeks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waiting([u16; 2]);

impl Waiting {
    /// How many bytes those are.
    pub fn of(&mut self, direction: FlowDirection) -> &mut u16 {
        let [to_server, to_client] = &mut self.0;
        match direction {
            FlowDirection::ToServer => to_server,
            FlowDirection::ToClient => to_client,
        }
    }
}

/// The smallest and the largest time to live (or hop limit) of some packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtlRange {
    /// The smallest.
    pub min: u8,
    /// The largest.
    pub max: u8,
}

impl Default for TtlRange {
    /// Of no packet.
    fn default() -> Self {
        Self { min: u8::MAX, max: 0 }
    }
}

impl TtlRange {
    /// One more packet.
    #[inline]
    pub fn widen(&mut self, ttl: u8) {
        self.min = self.min.min(ttl);
        self.max = self.max.max(ttl);
    }
}

/// One flow of the table.
#[derive(Debug)]
pub struct Flow {
    pub(super) key: Key,
    /// Next in the hash chain, or in the list of free entries.
    pub(super) next: u32,
    pub(super) bucket: u32,
    /// Time of the last packet.
    pub last: Timestamp,
    /// Time of the first packet.
    pub start: Timestamp,
    /// EVE's `flow_id`.
    pub id: u64,
    /// Packets to the server, to the client.
    pub packets: [u64; 2],
    /// Bytes of the frames to the server, to the client.
    pub bytes: [u64; 2],
    /// Times to live seen to the server, to the client.
    pub ttl: [TtlRange; 2],
    /// Code of the first ICMP message to the server, to the client.
    pub icmp_code: [u8; 2],
    /// Capture port of the first packet.
    pub port: u16,
    /// The TCP session.
    pub session: Option<Box<Session>>,
    /// Its application layer, once it has said something that a parser may want.
    pub app: Option<Box<AppFlow>>,
    /// Where messages begin.
    pub messages: Messages,
    /// Where rules wait for more of it.
    pub waiting: Waiting,
    /// What it is made of.
    pub kind: Kind,
    /// A pass rule, or the end of what can be learned, spares it further inspection.
    pub passed: bool,
    /// A rule drops it, which a capture file can only be told to have done.
    pub dropped: bool,
    /// Alerts were raised on it.
    pub alerted: bool,
    /// What rules remember of it.
    pub state: FlowState,
    /// Bytes of its packets that are still to be kept, once it has alerted.
    pub to_capture: Option<u32>,
    /// The last of its packets among the recent ones; 0: none.
    pub recent: u64,
    /// What the kernel lets by of it; `None`: nothing so far.
    pub shunt: Option<Box<Shunt>>,
    /// The client is the second end of the key.
    pub(super) client_second: bool,
}

/// What the kernel lets by of a flow.
#[derive(Debug, Default)]
pub struct Shunt {
    /// The verdict in force.
    pub ticket: Option<Ticket>,
    /// What was let by so far, as far as it was counted.
    pub bypassed: Bypassed,
}

impl Flow {
    /// How far it has come.
    pub fn stage(&self) -> Stage {
        match (self.kind, &self.session) {
            (Kind::Tcp, None) => Stage::New,
            (Kind::Tcp, Some(session)) => match session.state() {
                State::None | State::SynSent | State::SynRecv => Stage::New,
                State::LastAck | State::TimeWait | State::Closed => Stage::Closed,
                _ => Stage::Established,
            },
            _ if self.packets.contains(&0) => Stage::New,
            _ => Stage::Established,
        }
    }

    /// Whether its packets are kept for an alert, so that none may be let by unseen.
    pub fn is_captured(&self) -> bool {
        self.to_capture.is_some_and(|left| left > 0)
    }

    /// When its time runs out, in nanoseconds.
    pub(super) fn deadline(&self, timeouts: &Timeouts) -> u64 {
        let of_protocol: &StateTimeouts = match self.kind {
            Kind::Tcp => &timeouts.tcp,
            Kind::Udp => &timeouts.udp,
            Kind::Icmp => &timeouts.icmp,
            Kind::Other => &timeouts.other,
        };
        let timeout = match self.stage() {
            Stage::New => of_protocol.new,
            Stage::Established => of_protocol.established,
            Stage::Closed => of_protocol.closed,
        };
        self.last.0.saturating_add(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX))
    }

    /// An entry that is free, and the next one.
    pub(super) fn free(next: u32) -> Self {
        Self {
            key: Key::default(),
            next,
            bucket: 0,
            last: Timestamp(0),
            start: Timestamp(0),
            id: 0,
            packets: [0; 2],
            bytes: [0; 2],
            ttl: [TtlRange::default(); 2],
            icmp_code: [0; 2],
            port: 0,
            session: None,
            app: None,
            messages: Messages::default(),
            waiting: Waiting::default(),
            kind: Kind::Other,
            passed: false,
            dropped: false,
            alerted: false,
            state: FlowState::default(),
            to_capture: None,
            recent: 0,
            shunt: None,
            client_second: false,
        }
    }

    /// Its ends: the client's and the server's.
    pub fn ends(&self) -> Ends {
        self.key.ends(self.client_second)
    }

    /// What a packet that goes this way may know of it.
    pub fn view(&self, direction: FlowDirection, established: bool) -> FlowView {
        let [packets_to_server, packets_to_client] = self.packets;
        let [bytes_to_server, bytes_to_client] = self.bytes;
        FlowView {
            id: self.id,
            direction,
            established,
            packets_to_server,
            packets_to_client,
            bytes_to_server,
            bytes_to_client,
            start: self.start,
            last: self.last,
        }
    }
}
