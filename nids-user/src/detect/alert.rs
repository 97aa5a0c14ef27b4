//! What a match carries out of the engine: the rule's identity, and the facts of the packet.

use std::net::IpAddr;
use std::sync::Arc;

use super::bits::{FlowVars, Names};
use crate::app::AppProtocol;
use crate::capture::{Direction, LinkType, Timestamp};
use crate::decode::Origin;
use crate::flow::FlowView;
use crate::rule::ast::Action;

/// What outputs say of a rule. Shared by all its alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// Signature id.
    pub sid: u32,
    /// Generator id, 1 unless said otherwise.
    pub gid: u32,
    /// Revision, 0 unless said otherwise.
    pub rev: u32,
    /// `msg`.
    pub message: String,
    /// Name of the class, empty without `classtype`.
    pub classtype: String,
    /// Description of the class, from classification.config; EVE's `category`.
    pub category: String,
    /// 1 (highest) to 255: `priority`, else the class's, else 3; EVE's `severity`.
    pub priority: u8,
    /// Action.
    pub action: Action,
    /// `target`: which end is attacked; EVE's `source` and `target`.
    pub target: Option<Target>,
    /// `metadata` as key and value pairs, in order.
    pub metadata: Vec<(String, String)>,
    /// `reference` as full addresses where reference.config knows the kind, else `kind,value`.
    pub references: Vec<String>,
}

/// The end of a packet that is the target of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Its source.
    Source,
    /// Its destination.
    Destination,
}

/// Bytes of a packet without IP header that an alert keeps, as many as Suricata's fast log shows.
pub const RAW_BYTES: usize = 32;

/// One alert, owned: it leaves the worker for the writer's queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Time of the packet.
    pub time: Timestamp,
    /// The rule.
    pub rule: Arc<RuleInfo>,
    /// Name of the interface, `None` for a file.
    pub interface: Option<Arc<str>>,
    /// Way through the interface.
    pub direction: Direction,
    /// Position in the file, 0 for a live packet.
    pub pcap_number: u64,
    /// VLAN ids, outermost first.
    pub vlan: Vec<u16>,
    /// Source and destination; `None`: the packet has no IP header that can be read.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// Source and destination port, where the transport has ports.
    pub ports: Option<(u16, u16)>,
    /// IP protocol number; 0 without IP.
    pub ip_proto: u8,
    /// ICMP type and code.
    pub icmp: Option<(u8, u8)>,
    /// The first bytes of a packet without IP header, [`RAW_BYTES`] at most.
    pub raw: Box<[u8]>,
    /// The flow, where the packet has one.
    pub flow: Option<FlowView>,
    /// Where the packet came from.
    pub origin: Origin,
    /// The packet of the frame, where this is another one that was found in it.
    pub outer: Option<Box<Outer>>,
    /// The rule's action was carried out on the packet.
    pub blocked: bool,
    /// The application protocol of the flow, where it is known.
    pub app_proto: Option<AppProtocol>,
    /// The transaction it was found in.
    pub app: Option<Box<AppFound>>,
    /// What rules remember of the flow, where there is any and an output wants it.
    pub vars: Option<Box<Vars>>,
    /// The bytes that it is about, where an output wants them.
    pub evidence: Option<Box<Evidence>>,
}

/// The bytes that an alert is about. What no output wants is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The payload: of the stream up to the match, or of the packet.
    pub payload: Box<[u8]>,
    /// The rule matched the stream, and not the packet alone.
    pub in_stream: bool,
    /// The packet's frame, or the datagram that was put together.
    pub packet: Box<[u8]>,
    /// How the packet begins.
    pub link: LinkType,
}

impl Evidence {
    /// How many they are.
    pub fn bytes(&self) -> usize {
        self.payload.len() + self.packet.len()
    }
}

/// What rules remember of a flow, with the names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vars {
    /// `flowbits` that are set.
    pub bits: Vec<Arc<str>>,
    /// `flowint`.
    pub ints: Vec<(Arc<str>, u32)>,
}

impl Vars {
    /// Those of a flow; `None` where there are none.
    pub fn of(flow: Option<&FlowVars>) -> Option<Box<Self>> {
        let (flow, names) = (flow?, Names::process());
        let ints = flow.ints().iter().filter_map(|(id, value)| Some((id.name(names)?, *value)));
        let vars = Self {
            bits: flow.bits().flow_bits().filter_map(|bit| bit.name(names)).collect(),
            ints: ints.collect(),
        };
        (!vars.bits.is_empty() || !vars.ints.is_empty()).then(|| Box::new(vars))
    }
}

/// The transaction of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppFound {
    /// Number in the flow: EVE's `tx_id`.
    pub transaction: u64,
    /// Its EVE objects, each as `,"name":{...}`.
    pub objects: Box<[u8]>,
}

/// The packet of the frame, around the one at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outer {
    /// Source.
    pub source: IpAddr,
    /// Source port, 0 where the transport has none.
    pub source_port: u16,
    /// Destination.
    pub destination: IpAddr,
    /// Destination port, 0 where the transport has none.
    pub destination_port: u16,
    /// IP protocol number.
    pub ip_proto: u8,
    /// Tunnels around the packet at hand.
    pub depth: u8,
}
