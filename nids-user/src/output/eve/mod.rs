//! EVE JSON: one object a line, with Suricata 7's keys in Suricata 7's order.
//!
//! A key whose fact is missing is left out, as Suricata does. docs/eve.md lists the keys.

mod alert;
mod flow;
mod header;

use alert::Rules;
use header::Header;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::EveTypes;
use super::field::{Calendar, put};
use super::record::{Anomaly, AppRecord, Oddity, Record, Statistics, TaggedPacket};
use crate::capture::Timestamp;

/// Writes EVE lines.
#[derive(Debug)]
pub(super) struct Eve {
    types: EveTypes,
    /// Seed of the Community ID, where records have one.
    community_id: Option<u16>,
    time: Calendar,
    /// For times in objects, which are often of another second than the record's.
    inner_time: Calendar,
    rules: Rules,
}

impl Eve {
    pub(super) fn new(types: EveTypes, community_id: Option<u16>) -> Self {
        Self {
            types,
            community_id,
            time: Calendar::new(Calendar::ISO),
            inner_time: Calendar::new(Calendar::ISO),
            rules: Rules::default(),
        }
    }

    /// Whether it writes records of this type.
    pub(super) fn takes(&self, record: &Record) -> bool {
        self.types.has(record.eve_type())
    }

    /// Appends one line with its line feed.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, record: &Record) {
        match record {
            Record::Alert(alert) => self.alert(out, alert),
            Record::Flow(flow) => self.flow(out, flow),
            Record::Netflow(flow, direction) => self.netflow(out, flow, *direction),
            Record::Anomaly(anomaly) => self.anomaly(out, anomaly),
            Record::Packet(packet) => self.packet(out, packet),
            Record::App(record) => self.app(out, record),
            Record::Stats(statistics) => self.stats(out, statistics),
        }
        out.extend_from_slice(b"}\n");
    }

    /// One event of the decoder or of the stream engine. Its names begin with that in Suricata's logs.
    fn anomaly(&mut self, out: &mut Vec<u8>, anomaly: &Anomaly) {
        let header = Header::of_anomaly(anomaly);
        header.write(out, &mut self.time);
        header.origin(out, anomaly.origin);
        self.community_id(out, &header);
        let (kind, prefix, name) = match anomaly.oddity {
            Oddity::Decode(event) => ("decode", "decoder", event.name()),
            Oddity::Stream(event) => ("stream", "stream", event.name()),
        };
        let text = format_args!("{{\"type\":\"{kind}\",\"event\":\"{prefix}.{name}\"}}");
        put(out, format_args!(",\"anomaly\":{text}"));
    }

    /// One record of an application protocol.
    fn app(&mut self, out: &mut Vec<u8>, record: &AppRecord) {
        let header = Header::of_app(record);
        header.write(out, &mut self.time);
        header.origin(out, record.origin);
        self.community_id(out, &header);
        if let Some(id) = record.transaction {
            put(out, format_args!(",\"tx_id\":{id}"));
        }
        out.extend_from_slice(&record.objects);
    }

    /// One packet that the tag of a rule asks for.
    fn packet(&mut self, out: &mut Vec<u8>, packet: &TaggedPacket) {
        let header = Header::of_packet(packet);
        header.write(out, &mut self.time);
        header.origin(out, packet.origin);
        self.community_id(out, &header);
        let (bytes, link) = (STANDARD.encode(&packet.bytes), packet.link.number());
        put(out, format_args!(",\"packet\":\"{bytes}\",\"packet_info\":{{\"linktype\":{link}}}"));
    }

    /// The numbers of the sensor.
    fn stats(&mut self, out: &mut Vec<u8>, statistics: &Statistics) {
        Header::of_sensor("stats", statistics.time).write(out, &mut self.time);
        let before = out.len();
        out.extend_from_slice(b",\"stats\":");
        // A vector takes everything, and all keys are strings.
        if serde_json::to_writer(&mut *out, &statistics.stats).is_err() {
            out.truncate(before);
        }
    }

    /// As Suricata does it, only what has a flow has a Community ID.
    fn community_id(&self, out: &mut Vec<u8>, header: &Header<'_>) {
        if let (Some(seed), Some(_), Some(tuple)) =
            (self.community_id, header.flow_id, &header.tuple)
        {
            put(out, format_args!(",\"community_id\":\"{}\"", tuple.community_id(seed)));
        }
    }

    /// A key with a time inside of an object.
    fn time(&mut self, out: &mut Vec<u8>, key: &str, time: Timestamp) {
        put(out, format_args!(",\"{key}\":\""));
        self.inner_time.write(out, time);
        out.extend_from_slice(b"+0000\"");
    }
}
