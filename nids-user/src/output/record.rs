//! What workers hand to the writer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::EveType;
use crate::capture::{Direction, LinkType, Timestamp};
use crate::decode::{self, Origin};
use crate::detect::alert::{Alert, RuleInfo};
use crate::flow::{FlowDirection, FlowRecord};
use crate::stream;
use crate::telemetry::stats::Stats;

/// One line of an output. Each kind has about the size of an alert, so the queue wastes little.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A rule matched.
    Alert(Alert),
    /// A flow ended.
    Flow(FlowRecord),
    /// A flow ended: what went this way.
    Netflow(FlowRecord, FlowDirection),
    /// Something was odd about a packet.
    Anomaly(Anomaly),
    /// The tag of a rule asks for a packet.
    Packet(TaggedPacket),
    /// What was said in an application protocol.
    App(Box<AppRecord>),
    /// How much of everything there was so far.
    Stats(Statistics),
    /// A packet for the alert pcap.
    Captured(CapturedPacket),
}

impl Record {
    /// Its type in EVE; `None`: it is not for EVE.
    pub fn eve_type(&self) -> Option<EveType> {
        Some(match self {
            Self::Alert(_) => EveType::Alert,
            Self::Flow(_) => EveType::Flow,
            Self::Netflow(..) => EveType::Netflow,
            Self::Anomaly(_) => EveType::Anomaly,
            Self::Packet(_) => EveType::Packet,
            Self::App(record) => record.eve_type,
            Self::Stats(_) => EveType::Stats,
            Self::Captured(_) => return None,
        })
    }

    /// Its time.
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Alert(alert) => alert.time,
            Self::Flow(flow) | Self::Netflow(flow, _) => flow.time,
            Self::Anomaly(anomaly) => anomaly.time,
            Self::Packet(packet) => packet.time,
            Self::App(record) => record.time,
            Self::Stats(statistics) => statistics.time,
            Self::Captured(packet) => packet.time,
        }
    }

    /// Bytes of packets that it carries: what makes one record much larger than another.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Alert(alert) => alert.evidence.as_ref().map_or(0, |evidence| evidence.bytes()),
            Self::Packet(TaggedPacket { bytes, .. })
            | Self::Captured(CapturedPacket { bytes, .. }) => bytes.len(),
            Self::Flow(_)
            | Self::Netflow(..)
            | Self::Anomaly(_)
            | Self::App(_)
            | Self::Stats(_) => 0,
        }
    }
}

impl From<Alert> for Record {
    fn from(alert: Alert) -> Self {
        Self::Alert(alert)
    }
}

/// What was said in an application protocol: one record of one transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct AppRecord {
    /// Its type.
    pub eve_type: EveType,
    /// Time of the packet at which it was over.
    pub time: Timestamp,
    /// Name of the interface, `None` for a file.
    pub interface: Option<Arc<str>>,
    /// Position of that packet in the file, 0 for a live packet or the end of a flow.
    pub pcap_number: u64,
    /// VLAN ids, outermost first.
    pub vlan: Vec<u16>,
    /// Who said it, and to whom.
    pub addresses: (IpAddr, IpAddr),
    /// The ports of both.
    pub ports: (u16, u16),
    /// IP protocol number.
    pub ip_proto: u8,
    /// The flow's id.
    pub flow: u64,
    /// Where the packet came from.
    pub origin: Origin,
    /// Number of the transaction, where the record tells it.
    pub transaction: Option<u64>,
    /// Its objects, each as `,"name":{...}`.
    pub objects: Box<[u8]>,
}

/// The numbers of the sensor at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// When.
    pub time: Timestamp,
    /// The numbers.
    pub stats: Box<Stats>,
}

impl Statistics {
    /// With the time of day.
    pub fn now(stats: Stats) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        Self { time, stats: Box::new(stats) }
    }
}

impl From<Statistics> for Record {
    fn from(statistics: Statistics) -> Self {
        Self::Stats(statistics)
    }
}

/// One packet that the tag of a rule asks for, owned.
#[derive(Clone, Debug, PartialEq)]
pub struct TaggedPacket {
    /// Time of the packet.
    pub time: Timestamp,
    /// Name of the interface, `None` for a file.
    pub interface: Option<Arc<str>>,
    /// Position in the file, 0 for a live packet.
    pub pcap_number: u64,
    /// VLAN ids, outermost first.
    pub vlan: Vec<u16>,
    /// Source and destination.
    pub addresses: (IpAddr, IpAddr),
    /// Source and destination port, where there is a transport with ports.
    pub ports: Option<(u16, u16)>,
    /// IP protocol number.
    pub ip_proto: u8,
    /// ICMP type and code.
    pub icmp: Option<(u8, u8)>,
    /// The flow's id, where the packet has one.
    pub flow: Option<u64>,
    /// Where the packet came from.
    pub origin: Origin,
    /// How the bytes begin.
    pub link: LinkType,
    /// The bytes of the frame that it was found in, or of the datagram put together.
    pub bytes: Box<[u8]>,
}

/// One packet for the alert pcap, owned.
#[derive(Clone, Debug, PartialEq)]
pub struct CapturedPacket {
    /// Time of the packet.
    pub time: Timestamp,
    /// Name of the interface, `None` for a file.
    pub interface: Option<Arc<str>>,
    /// Way through the interface.
    pub direction: Direction,
    /// How the bytes begin.
    pub link: LinkType,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// The bytes of the frame; of a datagram that was put together from fragments, behind the link header of
    /// one of them.
    pub bytes: Box<[u8]>,
    /// Rules that alerted on it.
    pub alerts: Vec<Arc<RuleInfo>>,
}

/// What was odd about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// The packet in itself.
    Decode(decode::Event),
    /// Its place in the TCP session.
    Stream(stream::Event),
}

/// One oddity of one packet, owned: it leaves the worker for the writer's queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly {
    /// Time of the packet.
    pub time: Timestamp,
    /// Name of the interface, `None` for a file.
    pub interface: Option<Arc<str>>,
    /// Position in the file, 0 for a live packet.
    pub pcap_number: u64,
    /// VLAN ids, outermost first.
    pub vlan: Vec<u16>,
    /// Source and destination, where there is a readable IP header.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// Source and destination port, where there is a transport with ports.
    pub ports: Option<(u16, u16)>,
    /// IP protocol number; 0 without IP.
    pub ip_proto: u8,
    /// ICMP type and code.
    pub icmp: Option<(u8, u8)>,
    /// The flow's id, where the packet has one.
    pub flow: Option<u64>,
    /// Where the packet came from.
    pub origin: Origin,
    /// What was odd.
    pub oddity: Oddity,
    /// The begin of the packet's frame, where an output wants it.
    pub packet_header: Option<(LinkType, Box<[u8]>)>,
}
