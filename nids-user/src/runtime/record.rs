//! From what the worker saw to the records that leave it.

use std::sync::Arc;

use crate::decode::Packet;
use crate::detect::Found;
use crate::detect::alert::{Alert, AppFound, Evidence, Outer, RAW_BYTES, RuleInfo, Vars};
use crate::detect::protocol;
use crate::detect::subject::Subject;
use crate::flow::{Ends, FlowDirection};
use crate::output::{Anomaly, AppRecord, EveType, Oddity, Record, RecordSender, TaggedPacket};
use crate::stream::{self, Session};

/// Anomalies that are logged of one packet at most, as many as Suricata's packets hold.
const MAX_ANOMALIES: usize = 15;
/// Bytes of a packet that its anomalies show.
const PACKET_HEADER: usize = 32;

/// Where the alerts of one packet go.
pub(super) struct Out<'a> {
    pub(super) records: &'a RecordSender,
    pub(super) raised: &'a mut u64,
    pub(super) interface: Option<&'a Arc<str>>,
    /// The packet of the frame, where the packet at hand is another one that was found in it.
    pub(super) outer: Option<&'a Packet<'a>>,
    /// Drop and reject rules block.
    pub(super) blocks: bool,
    /// Collects the rules that alerted, where the packet may be kept for them.
    pub(super) alerts: Option<&'a mut Vec<Arc<RuleInfo>>>,
}

/// What alerts on streams show of them.
#[derive(Clone, Copy)]
pub(super) enum Shown<'a> {
    /// The packet has no stream.
    Nothing,
    /// What the session holds.
    Of(&'a Session),
    /// The session is over; this was the last of it.
    Rest(&'a [u8]),
}

impl Out<'_> {
    #[cold]
    pub(super) fn alert(&mut self, found: Found<'_>, subject: &Subject<'_>, shown: Shown<'_>) {
        *self.raised += 1;
        if let Some(alerts) = &mut self.alerts {
            alerts.push(Arc::clone(found.rule));
        }
        self.records.send(self.make(found, subject, shown));
    }

    /// The bytes that an alert is about, where an output wants them.
    fn evidence(
        &self,
        found: &Found<'_>,
        subject: &Subject<'_>,
        shown: Shown<'_>,
    ) -> Option<Box<Evidence>> {
        let wants = self.records.wants();
        if wants.payload == 0 && !wants.packet {
            return None;
        }
        let packet = subject.packet;
        let mut payload = Vec::new();
        if wants.payload > 0 {
            match shown {
                Shown::Of(session) if found.in_stream => {
                    let direction = subject.direction();
                    session.shown(direction, packet.payload, wants.payload, &mut payload);
                }
                Shown::Rest(bytes) if found.in_stream => payload.extend_from_slice(bytes),
                _ => {}
            }
            // As Suricata does where nothing of the stream is left.
            if payload.is_empty() {
                payload.extend_from_slice(packet.payload);
            }
        }
        let frame = if wants.packet { packet.frame.data } else { &[] };
        Some(Box::new(Evidence {
            payload: payload.into(),
            in_stream: found.in_stream,
            packet: frame.into(),
            link: packet.frame.link,
        }))
    }

    /// A packet that the tag of a rule asks for.
    #[cold]
    pub(super) fn tagged(&self, subject: &Subject<'_>) {
        let packet = subject.packet;
        let Some(ip) = packet.ip.as_ref().filter(|_| self.records.types().has(EveType::Packet))
        else {
            return;
        };
        self.records.send(Record::Packet(TaggedPacket {
            time: packet.frame.time,
            interface: self.interface.cloned(),
            pcap_number: packet.frame.number,
            vlan: packet.vlan.ids().collect(),
            addresses: (ip.source(), ip.destination()),
            ports: packet.ports(),
            ip_proto: protocol::number(packet).unwrap_or(0),
            icmp: icmp(packet),
            flow: subject.flow.map(|flow| flow.id),
            origin: packet.origin,
            link: packet.frame.link,
            bytes: packet.frame.data.into(),
        }));
    }

    /// One record of an application protocol.
    #[cold]
    pub(super) fn app(
        &self,
        packet: &Packet<'_>,
        flow: u64,
        ends: &Ends,
        (transaction, eve_type, from): (u64, EveType, FlowDirection),
        objects: &[u8],
    ) {
        if !self.records.types().has(eve_type) {
            return;
        }
        let (client, server) = ((ends.client, ends.client_port), (ends.server, ends.server_port));
        let (source, destination) = match from {
            FlowDirection::ToServer => (client, server),
            FlowDirection::ToClient => (server, client),
        };
        self.records.send(Record::App(Box::new(AppRecord {
            eve_type,
            time: packet.frame.time,
            interface: self.interface.cloned(),
            pcap_number: packet.frame.number,
            vlan: packet.vlan.ids().collect(),
            addresses: (source.0, destination.0),
            ports: (source.1, destination.1),
            ip_proto: ends.ip_proto,
            flow,
            origin: packet.origin,
            transaction: (eve_type != EveType::Fileinfo).then_some(transaction),
            objects: objects.into(),
        })));
    }

    /// What leaves the worker for one match.
    fn make(&self, found: Found<'_>, subject: &Subject<'_>, shown: Shown<'_>) -> Alert {
        let packet = subject.packet;
        let ip = packet.ip.as_ref();
        let raw = match ip {
            Some(_) => &[],
            None => packet.frame.data.get(..RAW_BYTES).unwrap_or(packet.frame.data),
        };
        Alert {
            time: packet.frame.time,
            rule: found.rule.clone(),
            interface: self.interface.cloned(),
            direction: packet.frame.direction,
            pcap_number: packet.frame.number,
            vlan: packet.vlan.ids().collect(),
            addresses: ip.map(|ip| (ip.source(), ip.destination())),
            ports: packet.ports(),
            ip_proto: protocol::number(packet).unwrap_or(0),
            icmp: icmp(packet),
            raw: raw.into(),
            flow: subject.flow.copied(),
            origin: packet.origin,
            outer: self.outer.and_then(|outer| around(outer, packet)),
            blocked: self.blocks && found.action.blocks(),
            app_proto: subject.app,
            app: found.transaction.map(|found| {
                Box::new(AppFound { transaction: found.id, objects: found.objects.into() })
            }),
            vars: Vars::of(found.vars.filter(|_| self.records.wants().vars)),
            evidence: self.evidence(&found, subject, shown),
        }
    }
}

fn icmp(packet: &Packet<'_>) -> Option<(u8, u8)> {
    packet.icmp().map(|icmp| (icmp.icmp_type, icmp.code))
}

fn around(outer: &Packet<'_>, packet: &Packet<'_>) -> Option<Box<Outer>> {
    let ip = outer.ip.as_ref()?;
    let (source_port, destination_port) = outer.ports().unwrap_or_default();
    Some(Box::new(Outer {
        source: ip.source(),
        source_port,
        destination: ip.destination(),
        destination_port,
        ip_proto: ip.protocol(),
        depth: packet.depth,
    }))
}

/// What was odd about one packet: in itself first, then in its stream.
#[cold]
pub(super) fn anomalies(
    packet: &Packet<'_>,
    flow: Option<u64>,
    in_stream: stream::Events,
    interface: Option<&Arc<str>>,
    with_header: bool,
) -> impl Iterator<Item = Record> {
    let data = packet.frame.data;
    let header: &[u8] = data.get(..PACKET_HEADER).unwrap_or(data);
    let ip = packet.ip.as_ref();
    let vlan: Vec<u16> = packet.vlan.ids().collect();
    let anomaly = move |oddity| Anomaly {
        time: packet.frame.time,
        interface: interface.cloned(),
        pcap_number: packet.frame.number,
        vlan: vlan.clone(),
        addresses: ip.map(|ip| (ip.source(), ip.destination())),
        ports: packet.ports(),
        ip_proto: protocol::number(packet).unwrap_or(0),
        icmp: icmp(packet),
        flow,
        origin: packet.origin,
        oddity,
        packet_header: with_header.then(|| (packet.frame.link, header.into())),
    };
    let oddities =
        packet.events.iter().map(Oddity::Decode).chain(in_stream.iter().map(Oddity::Stream));
    oddities.take(MAX_ANOMALIES).map(move |oddity| Record::Anomaly(anomaly(oddity)))
}
