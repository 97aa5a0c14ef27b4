//! One worker's pipeline, run to completion for each frame: decode -> defrag -> flow -> detect -> alert.
//!
//! From the flow on it is left to `flows`. Nothing is shared with another worker but the compiled rules and
//! the queue of alerts. The books balance: received = inspected + skipped, each with its reason.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::flows::Flows;
use super::sensor::Inspection;
use super::shunting::Shunting;
use super::worker::Pipeline;
use crate::app;
use crate::capture::shunt::{ShuntCounters, Shunter};
use crate::capture::{Frame, LinkType, Timestamp};
use crate::config::{ChecksumChecks, Settings};
use crate::decode::event::Event;
use crate::decode::{Ip, Origin, Packet, Tunnels, checksum, decode_layers};
use crate::defrag::{self, Defrag};
use crate::detect::memory::Shared;
use crate::detect::{InspectorCounters, Ruleset};
use crate::flow::{FlowCounters, FlowTable, Limits};
use crate::output::RecordSender;
use crate::stream;
use crate::telemetry::balance::AgentBooks;

/// What tells one worker's engine from another's.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Bounds of this worker's flow table.
    pub flow: Limits,
    /// Settings of its streams.
    pub streams: stream::Config,
    /// Bounds of its parsers.
    pub app: app::Limits,
    /// What rules keep of more than one flow, the same for all workers.
    pub shared: Arc<Shared>,
    /// Rules that drop are taken to have dropped.
    pub inline: bool,
    /// Secret of the flow hash and ids; see [`FlowTable::new`].
    pub secret: u64,
    /// Number of this worker.
    pub worker: u8,
    /// What to think of checksums.
    pub checksums: Checksums,
    /// Which tunnels are looked into.
    pub tunnels: Tunnels,
    /// Headers that a packet may have.
    pub max_layers: u8,
    /// Alerts that one packet may have.
    pub most_alerts: usize,
    /// Bounds of this worker's defragmentation.
    pub defrag: defrag::Limits,
    /// Names of the interfaces, by capture port. A port without one gives alerts without interface.
    pub interfaces: Vec<Option<Arc<str>>>,
}

impl EngineConfig {
    /// For a capture file: flow ids are the same each time, checksums are as the settings say.
    pub fn offline(settings: &Settings) -> Self {
        let mut streams = settings.stream.clone();
        streams.bypass = settings.stream_bypass.unwrap_or(false);
        streams.mode = match settings.inline {
            true => stream::Mode::Inline,
            false => stream::Mode::Acked,
        };
        Self {
            flow: settings.flow.clone(),
            streams,
            app: settings.app.clone(),
            shared: Shared::new(0x6e69_6473),
            inline: settings.inline,
            secret: 0x6e69_6473,
            worker: 0,
            checksums: Checksums::of(settings, settings.pcap_checksums),
            tunnels: settings.tunnels.clone(),
            max_layers: settings.max_layers,
            most_alerts: settings.packet_alert_max,
            defrag: settings.defrag.clone(),
            interfaces: Vec::new(),
        }
    }

    /// For worker `worker` of `workers` on live traffic: checksums are the NIC's business by default.
    pub fn live(
        settings: &Settings,
        worker: u8,
        workers: u32,
        secret: u64,
        interfaces: Vec<Option<Arc<str>>>,
        shared: Arc<Shared>,
    ) -> Self {
        let mut flow = settings.flow.clone();
        flow.memcap /= u64::from(workers.max(1));
        let mut defrag = settings.defrag.clone();
        defrag.memory /= workers.max(1) as usize;
        let mut streams = settings.stream.clone();
        streams.bypass = settings.stream_bypass.unwrap_or(true);
        streams.mode = stream::Mode::Immediate;
        // The kernel half forwards what rules need, and no rule needs bare ACKs for its stream.
        streams.acks_unseen = true;
        streams.session_memcap /= workers.max(1) as usize;
        streams.reassembly_memcap /= workers.max(1) as usize;
        let tunnels = settings.tunnels.clone();
        let mut app = settings.app.clone();
        app.memory /= workers.max(1) as usize;
        Self {
            flow,
            streams,
            app,
            shared,
            inline: false,
            secret,
            worker,
            checksums: Checksums::of(settings, settings.live_checksums),
            tunnels,
            max_layers: settings.max_layers,
            most_alerts: settings.packet_alert_max,
            defrag,
            // Nothing is blocked on the wire.
            interfaces,
        }
    }
}

/// Whether checksums are verified. A segment with a wrong one does not change the state of its
/// connection; rules still see it.
#[derive(Clone, Copy, Debug)]
pub enum Checksums {
    /// All are taken for right.
    Trust,
    /// Verified.
    Verify,
    /// Verified, until too many of the first packets turn out wrong.
    Auto {
        /// Packets looked at.
        seen: u32,
        /// Wrong ones among them.
        wrong: u32,
    },
}

impl Checksums {
    /// Packets after which [`Checksums::Auto`] decides, and the share of wrong ones (one in this many)
    /// that tells of a capture on the sending host. Both as Suricata has them.
    const SAMPLE: u32 = 1000;
    const WRONG_SHARE: u32 = 10;

    /// Not decided yet.
    pub const fn auto() -> Self {
        Self::Auto { seen: 0, wrong: 0 }
    }

    /// What the settings say, `checks` of them for the source at hand.
    fn of(settings: &Settings, checks: ChecksumChecks) -> Self {
        match checks {
            _ if !settings.stream_checksums => Self::Trust,
            ChecksumChecks::No => Self::Trust,
            ChecksumChecks::Yes => Self::Verify,
            ChecksumChecks::Auto => Self::auto(),
        }
    }

    #[inline]
    fn check(&mut self, packet: &mut Packet<'_>) {
        match self {
            Self::Trust => {}
            Self::Verify => {
                checksum::verify(packet);
            }
            Self::Auto { seen, wrong } => {
                *seen += 1;
                *wrong += u32::from(!checksum::verify(packet));
                if *seen >= Self::SAMPLE {
                    *self = match *wrong > Self::SAMPLE / Self::WRONG_SHARE {
                        true => Self::Trust,
                        false => Self::Verify,
                    };
                }
            }
        }
    }
}

/// Fragmented datagrams inside fragmented datagrams that are put together.
const MAX_NESTED_DATAGRAMS: usize = 4;

/// Flows whose time is looked at between two batches of frames.
const EXPIRE_BUDGET: usize = 1024;

/// Why a frame was not inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SkipReason {
    /// Its link type cannot be decoded.
    LinkType,
    /// The link or IP header cannot be read; the decoder events say why.
    Malformed,
    /// No IP: ARP, LLDP and so on.
    NonIp,
    /// IP may lie behind a header that is not looked into: MACsec, TRILL, and the like.
    Encapsulated,
    /// No ruleset of its generation is installed.
    NoRuleset,
    /// A pass rule lets its flow by, or one with `bypass` has matched.
    Passed,
    /// A rule has dropped its flow: what would have come behind it is not there.
    Dropped,
}

impl SkipReason {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::LinkType,
        Self::Malformed,
        Self::NonIp,
        Self::Encapsulated,
        Self::NoRuleset,
        Self::Passed,
        Self::Dropped,
    ];

    /// The word for counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LinkType => "link-type",
            Self::Malformed => "malformed",
            Self::NonIp => "non-ip",
            Self::Encapsulated => "encapsulated",
            Self::NoRuleset => "no-ruleset",
            Self::Passed => "passed",
            Self::Dropped => "dropped",
        }
    }
}

/// What one engine did. received = inspected + the sum of `skipped`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineCounters {
    /// Frames it was given.
    pub received: u64,
    /// Bytes of them on the wire.
    pub bytes: u64,
    /// Frames that the rules saw.
    pub inspected: u64,
    /// Frames that they did not see, in the order of [`SkipReason::ALL`].
    pub skipped: [u64; SkipReason::ALL.len()],
    /// Packets found inside those frames, in tunnels. They are no part of the balance above: a frame
    /// counts once, with whatever it carries.
    pub tunneled: u64,
    /// Alerts raised.
    pub alerts: u64,
    /// Decoder events, in the order of [`Event::ALL`].
    pub events: [u64; Event::ALL.len()],
}

impl Default for EngineCounters {
    fn default() -> Self {
        Self {
            received: 0,
            bytes: 0,
            inspected: 0,
            skipped: [0; SkipReason::ALL.len()],
            tunneled: 0,
            alerts: 0,
            events: [0; Event::ALL.len()],
        }
    }
}

impl EngineCounters {
    /// Frames skipped for all reasons together.
    pub fn skipped_total(&self) -> u64 {
        self.skipped.iter().sum()
    }

    fn skip(&mut self, reason: SkipReason, frames: u64) {
        if let Some(count) = self.skipped.get_mut(reason as usize) {
            *count += frames;
        }
    }
}

/// Frames received, inspected, and skipped by reason, in one line.
impl fmt::Display for EngineCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { received, inspected, .. } = self;
        write!(
            f,
            "{received} received = {inspected} inspected + {} skipped",
            self.skipped_total()
        )?;
        let mut before = " (";
        for (reason, count) in SkipReason::ALL.iter().zip(self.skipped) {
            if count > 0 {
                write!(f, "{before}{}: {count}", reason.as_str())?;
                before = ", ";
            }
        }
        if before == ", " { f.write_str(")") } else { Ok(()) }
    }
}

/// One worker's pipeline.
pub struct Engine {
    flows: Flows,
    checksums: Checksums,
    tunnels: Tunnels,
    max_layers: u8,
    defrag: Defrag,
    counters: EngineCounters,
}

impl Engine {
    /// An engine without rules; what it is given before [`Engine::install`] is skipped, and counted.
    pub fn new(config: EngineConfig, records: RecordSender) -> Self {
        let bypass = config.streams.bypass;
        Self {
            flows: Flows::new(
                FlowTable::new(&config.flow, config.streams, config.secret, config.worker),
                config.app,
                config.interfaces,
                records,
                config.shared,
                config.inline,
                bypass,
            )
            .most_alerts(config.most_alerts),
            checksums: config.checksums,
            tunnels: config.tunnels,
            max_layers: config.max_layers,
            defrag: Defrag::new(config.defrag),
            counters: EngineCounters::default(),
        }
    }

    /// Has the kernel let by the flows that need not be seen.
    #[must_use]
    pub fn shunt_with(mut self, shunter: Shunter) -> Self {
        self.flows.shunt_with(Shunting::new(shunter, self.tunnels.clone()));
        self
    }

    /// Puts the rules of a generation in force, in place of those of two generations before.
    pub fn install(&mut self, generation: u32, ruleset: Arc<Ruleset>) {
        self.flows.install(generation, ruleset);
    }

    /// What it did so far.
    pub fn counters(&self) -> EngineCounters {
        EngineCounters { alerts: self.flows.raised(), ..self.counters }
    }

    /// What happened to its flows.
    pub fn flow_counters(&self) -> FlowCounters {
        self.flows.table().counters()
    }

    /// Counts frames that the source could not even hand over.
    pub fn skip(&mut self, reason: SkipReason, frames: u64) {
        self.counters.received += frames;
        self.counters.skip(reason, frames);
    }

    /// What happened during inspection.
    pub fn inspector_counters(&self) -> InspectorCounters {
        self.flows.inspector_counters()
    }

    /// What happened to fragments.
    pub fn defrag_counters(&self) -> defrag::Counters {
        self.defrag.counters()
    }

    /// What happened to streams.
    pub fn stream_counters(&self) -> stream::Counters {
        *self.flows.table().stream_counters()
    }

    /// Bytes that fragments, and that sessions with their data and parsers, take now.
    pub fn memory(&self) -> (usize, usize) {
        (self.defrag.memory(), self.flows.table().stream_memory() + self.flows.app_memory())
    }

    /// What was given up of the frames inspected, by reason. A name says what is counted: bytes of
    /// streams, packets, fragments, datagrams, or tries to match a rule.
    pub fn given_up(&self) -> [(&'static str, u64); 20] {
        let stream = self.flows.table().stream_counters();
        let flow = self.flows.table().counters();
        let defrag = self.defrag.counters();
        let inspector = self.flows.inspector_counters();
        let app = self.flows.app_counters();
        [
            ("stream-depth-bytes", stream.uninspected_depth),
            ("stream-memcap-bytes", stream.uninspected_memcap),
            ("stream-segment-limit-bytes", stream.uninspected_limit),
            ("stream-stopped-bytes", stream.uninspected_stopped),
            ("stream-gap-bytes", stream.gap_bytes),
            ("stream-session-memcap-packets", stream.session_memcap),
            ("stream-untracked-packets", stream.untracked_data),
            ("flow-memcap-packets", flow.no_room),
            ("flow-evicted-established", flow.evicted_established),
            ("fragments-refused", defrag.refused),
            ("datagrams-evicted", defrag.evicted),
            ("datagrams-timed-out", defrag.timed_out),
            ("app-malformed-flows", app.malformed),
            ("app-gap-flows", app.gaps),
            ("app-memcap-flows", app.memory),
            ("app-transactions-let-go", app.transactions_let_go),
            ("app-body-bytes", app.body_bytes),
            ("app-damaged-bodies", app.decompression),
            ("matches-given-up", inspector.given_up),
            ("alerts-left-out", inspector.too_many),
        ]
    }

    /// What became of verdicts that let flows by; nothing where flows are not shunted.
    fn shunts(&self) -> Vec<(&'static str, u64)> {
        let Some((counters, in_force)) = self.flows.shunting() else { return Vec::new() };
        let ShuntCounters { given, displaced, released, ended, refused, .. } = counters;
        vec![
            ("given", given),
            ("displaced", displaced),
            ("released", released),
            ("ended", ended),
            ("in-force", in_force as u64),
            ("refused", refused),
        ]
    }

    /// Takes one frame through the pipeline, with the rules of this generation: the packet in it, the
    /// datagram that it makes whole, and what these carry in tunnels.
    #[inline]
    pub fn process(&mut self, frame: &Frame<'_>, generation: u8) {
        self.counters.received += 1;
        self.counters.bytes += u64::from(frame.wire_len);
        let mut packet = decode_layers(frame, self.max_layers);
        let inner = self.tunnels.inner(&mut packet);
        let whole = self.take_fragment(&mut packet);
        match self.inspect(&mut packet, None, generation) {
            Ok(()) => self.counters.inspected += 1,
            Err(reason) => self.counters.skip(reason, 1),
        }
        if whole.is_some() || inner.is_some() {
            self.inside(&packet, &packet, whole, inner, generation, MAX_NESTED_DATAGRAMS);
        }
    }

    /// Takes what a packet carries through the pipeline: packets in tunnels, and the datagram that it
    /// was the missing fragment of. `outer` is the packet of the frame. What cannot be inspected of it has raised its event; the frame is in
    /// the books already.
    fn inside(
        &mut self,
        outer: &Packet<'_>,
        packet: &Packet<'_>,
        whole: Option<Vec<u8>>,
        mut inner: Option<Packet<'_>>,
        generation: u8,
        datagrams: usize,
    ) {
        self.datagram(outer, packet, whole, generation, datagrams);
        // Each level takes bytes of the frame, and the decoder limits their number.
        while let Some(mut packet) = inner {
            self.counters.tunneled += 1;
            inner = self.tunnels.inner(&mut packet);
            let whole = self.take_fragment(&mut packet);
            let _ = self.inspect(&mut packet, Some(outer), generation);
            self.datagram(outer, &packet, whole, generation, datagrams);
        }
    }

    /// Gives a fragment to its datagram. What is odd about it is an event of the fragment; the datagram,
    /// if this was the piece that was missing, comes back.
    #[inline]
    fn take_fragment(&mut self, packet: &mut Packet<'_>) -> Option<Vec<u8>> {
        let v6 = match &packet.ip {
            Some(ip) if ip.is_fragment() => matches!(ip, Ip::V6(_)),
            _ => return None,
        };
        let fragment = self.defrag.push(packet)?;
        let events = match v6 {
            false => [
                Event::Ipv4FragmentOverlap,
                Event::Ipv4FragmentTooLarge,
                Event::Ipv4FragmentIgnored,
                Event::Ipv4FragmentAgain,
            ],
            true => [
                Event::Ipv6FragmentOverlap,
                Event::Ipv6FragmentTooLarge,
                Event::Ipv6FragmentIgnored,
                Event::Ipv6FragmentAgain,
            ],
        };
        let happened = [fragment.overlap, fragment.too_large, fragment.refused, fragment.again];
        for (event, _) in events.into_iter().zip(happened).filter(|(_, happened)| *happened) {
            packet.events.raise(event);
        }
        fragment.whole
    }

    /// Inspects the datagram that a fragment made whole.
    fn datagram(
        &mut self,
        outer: &Packet<'_>,
        packet: &Packet<'_>,
        whole: Option<Vec<u8>>,
        generation: u8,
        datagrams: usize,
    ) {
        let Some(left) = datagrams.checked_sub(1) else { return };
        let Some(whole) = whole else { return };
        let frame = Frame {
            link: LinkType::RawIp,
            data: &whole,
            wire_len: u32::try_from(whole.len()).unwrap_or(u32::MAX),
            vlan_offload: None,
            ..packet.frame
        };
        let mut datagram = decode_layers(&frame, self.max_layers);
        datagram.vlan = packet.vlan;
        datagram.depth = packet.depth;
        datagram.origin = Origin::Defrag;
        let inner = self.tunnels.inner(&mut datagram);
        let nested = self.take_fragment(&mut datagram);
        let _ = self.inspect(&mut datagram, Some(outer), generation);
        self.inside(outer, &datagram, nested, inner, generation, left);
        self.defrag.recycle(whole);
    }

    /// Takes one packet through the pipeline.
    #[inline]
    fn inspect(
        &mut self,
        packet: &mut Packet<'_>,
        outer: Option<&Packet<'_>>,
        generation: u8,
    ) -> Result<(), SkipReason> {
        if packet.ip.is_none() {
            self.note(packet);
            if !packet.events.is_empty() {
                // Rules on decoder events see what nothing else can be said of.
                self.flows.inspect_broken(packet, generation);
            }
            self.flows.anomalies(packet, None, stream::Events::default());
            return Err(why_no_ip(packet));
        }
        self.checksums.check(packet);
        self.note(packet);
        self.flows.inspect(packet, outer, generation)
    }

    /// The capture is over: inspects what is left of flows.
    pub fn shut_down(&mut self) {
        self.flows.shut_down();
    }

    /// Counts the packet's decoder events.
    #[inline]
    fn note(&mut self, packet: &Packet<'_>) {
        if packet.events.is_empty() {
            return;
        }
        for event in packet.events.iter() {
            if let Some(count) = self.counters.events.get_mut(event as usize) {
                *count += 1;
            }
        }
    }
}

/// As the pipeline of a live worker. The clock moves on there also when no frame comes.
impl Pipeline for Engine {
    #[inline]
    fn frame(&mut self, frame: &Frame<'_>, generation: u8) {
        self.process(frame, generation);
    }

    fn end(&mut self) {
        self.shut_down();
    }

    fn tick(&mut self) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        self.flows.expire(now, EXPIRE_BUDGET);
        self.defrag.expire(now);
    }
}

impl Inspection for Engine {
    type Rules = Ruleset;

    fn install(&mut self, generation: u32, rules: Arc<Ruleset>) {
        Self::install(self, generation, rules);
    }

    fn books(&self) -> AgentBooks {
        AgentBooks {
            received: self.counters.received,
            inspected: self.counters.inspected,
            skipped: SkipReason::ALL
                .iter()
                .map(|reason| reason.as_str())
                .zip(self.counters.skipped)
                .collect(),
            given_up: Self::given_up(self).into(),
            shunts: self.shunts(),
            alerts: self.flows.raised(),
            figures: super::figures::of(self),
        }
    }

    fn retire(&mut self, generation: u32) -> Option<Arc<Ruleset>> {
        self.flows.retire(generation)
    }
}

fn why_no_ip(packet: &Packet<'_>) -> SkipReason {
    const MACSEC: u16 = 0x88e5;
    const TRILL: u16 = 0x22f3;
    const CISCO_METADATA: u16 = 0x8909;

    // A type nobody knows is worth an event, and no damage.
    let harmless = |event| {
        use Event::{
            ETagUnknownType, PppUnsupportedProtocol, PppWrongType, VlanUnknownType,
            VnTagUnknownType,
        };
        matches!(
            event,
            VlanUnknownType
                | VnTagUnknownType
                | ETagUnknownType
                | PppUnsupportedProtocol
                | PppWrongType
        )
    };
    if !packet.events.iter().all(harmless) {
        return SkipReason::Malformed;
    }
    match packet.ether_type {
        MACSEC | TRILL | CISCO_METADATA => SkipReason::Encapsulated,
        _ => SkipReason::NonIp,
    }
}
