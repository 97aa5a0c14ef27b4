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

use super::field::{self, Calendar, put};
use super::record::{Anomaly, AppRecord, Oddity, Record, Statistics, TaggedPacket};
use super::settings::EveOptions;
use crate::capture::{LinkType, Timestamp};
use crate::detect::alert::Vars;

/// Writes EVE lines.
#[derive(Debug)]
pub(super) struct Eve {
    options: EveOptions,
    /// Seed of the Community ID, where records have one.
    community_id: Option<u16>,
    time: Calendar,
    /// For times in objects, which are often of another second than the record's.
    inner_time: Calendar,
    rules: Rules,
}

impl Eve {
    pub(super) fn new(options: EveOptions, community_id: Option<u16>) -> Self {
        Self {
            options,
            community_id,
            time: Calendar::new(Calendar::ISO),
            inner_time: Calendar::new(Calendar::ISO),
            rules: Rules::default(),
        }
    }

    /// Whether it writes records of this type.
    pub(super) fn takes(&self, record: &Record) -> bool {
        record.eve_type().is_some_and(|one| self.options.types.has(one))
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
            Record::Captured(_) => return,
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
        if let Some((link, bytes)) =
            anomaly.packet_header.as_ref().filter(|_| self.options.packet_header)
        {
            bytes_of_packet(out, bytes, *link);
        }
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
        bytes_of_packet(out, &packet.bytes, packet.link);
    }

    /// What rules remember of the flow.
    fn vars(&self, out: &mut Vec<u8>, vars: Option<&Vars>) {
        let Some(Vars { bits, ints }) = vars.filter(|_| self.options.vars) else { return };
        let mut before = ",\"metadata\":{\"flowbits\":[";
        for name in bits {
            out.extend_from_slice(before.as_bytes());
            field::string(out, name);
            before = ",";
        }
        let [mut before, end] = match bits.is_empty() {
            true => [",\"metadata\":{\"flowints\":{", "}"],
            false => ["],\"flowints\":{", "]}"],
        };
        for (name, value) in ints {
            out.extend_from_slice(before.as_bytes());
            field::string(out, name);
            put(out, format_args!(":{value}"));
            before = ",";
        }
        out.extend_from_slice(if ints.is_empty() { end.as_bytes() } else { b"}}" });
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

/// The bytes of a packet, and how they begin.
fn bytes_of_packet(out: &mut Vec<u8>, bytes: &[u8], link: LinkType) {
    let (bytes, link) = (STANDARD.encode(bytes), link.number());
    put(out, format_args!(",\"packet\":\"{bytes}\",\"packet_info\":{{\"linktype\":{link}}}"));
}
