//! EVE's `alert` records.
//!
//! What is said of the rule is the same for all its alerts and is rendered once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::header::{Header, endpoints, protocol};
use super::{Eve, bytes_of_packet};
use crate::detect::alert::{Alert, Evidence, Outer, RuleInfo, Target};
use crate::flow::{FlowDirection, FlowView};
use crate::output::field::{self, put};
use crate::output::settings::EveOptions;

/// Rules whose text is kept at a time.
const MAX_RULES: usize = 4096;

/// The text of rules, by the address of the `RuleInfo`, which the `Arc` beside the text keeps from being
/// used again.
#[derive(Debug, Default)]
pub(super) struct Rules(HashMap<usize, (Arc<RuleInfo>, Box<[u8]>)>);

impl Rules {
    fn text(&mut self, rule: &Arc<RuleInfo>, options: &EveOptions) -> &[u8] {
        let key = Arc::as_ptr(rule).addr();
        if self.0.len() >= MAX_RULES && !self.0.contains_key(&key) {
            self.0.clear();
        }
        let (_, text) = self.0.entry(key).or_insert_with(|| {
            let mut text = Vec::new();
            rule_keys(&mut text, rule, options, |_| {});
            (Arc::clone(rule), text.into_boxed_slice())
        });
        text
    }
}

impl Eve {
    pub(super) fn alert(&mut self, out: &mut Vec<u8>, alert: &Alert) {
        let header = Header::of_alert(alert);
        header.write(out, &mut self.time);
        header.origin(out, alert.origin);
        self.vars(out, alert.vars.as_deref());
        self.community_id(out, &header);
        if let Some(found) = &alert.app {
            put(out, format_args!(",\"tx_id\":{}", found.transaction));
        }
        // Nothing is blocked by a sensor that listens, whatever the rule asks for. (Suricata says
        // "blocked" for reject rules even then, because it does send the reset.)
        let action = if alert.blocked { "blocked" } else { "allowed" };
        put(out, format_args!(",\"alert\":{{\"action\":\"{action}\""));
        match alert.rule.target {
            None => out.extend_from_slice(self.rules.text(&alert.rule, &self.options)),
            Some(target) => {
                rule_keys(out, &alert.rule, &self.options, |out| sides(out, alert, target));
            }
        }
        out.push(b'}');
        if let Some(outer) = &alert.outer {
            tunnel(out, outer, alert.pcap_number);
        }
        if let Some(found) = &alert.app {
            out.extend_from_slice(&found.objects);
        }
        if let Some(protocol) = alert.app_proto {
            put(out, format_args!(",\"app_proto\":\"{}\"", protocol.name()));
        }
        if let (Some(flow), Some(ends)) = (&alert.flow, ends(alert)) {
            self.flow_of_alert(out, ends, flow);
        }
        if let Some(evidence) = &alert.evidence {
            self.evidence(out, evidence);
        }
    }

    fn evidence(&self, out: &mut Vec<u8>, evidence: &Evidence) {
        let Evidence { payload, in_stream, packet, link } = evidence;
        let EveOptions { payload_bytes, .. } = self.options;
        // The newest: what matched is at the end of a stream. Of a packet all is at hand, as in Suricata.
        let payload = match in_stream {
            true => payload.get(payload.len().saturating_sub(payload_bytes)..).unwrap_or_default(),
            false => payload,
        };
        if self.options.payload && !payload.is_empty() {
            put(out, format_args!(",\"payload\":\"{}\"", STANDARD.encode(payload)));
        }
        // Suricata writes this one also where the packet has none.
        if self.options.printable && !(payload.is_empty() && *in_stream) {
            out.extend_from_slice(b",\"payload_printable\":");
            field::printable(out, payload);
        }
        if self.options.wants_payload() {
            put(out, format_args!(",\"stream\":{}", u8::from(*in_stream)));
        }
        if self.options.packet && !packet.is_empty() {
            bytes_of_packet(out, packet, *link);
        }
    }

    fn flow_of_alert(&mut self, out: &mut Vec<u8>, (from, to): (End, End), flow: &FlowView) {
        let (word, client, server) = match flow.direction {
            FlowDirection::ToServer => ("to_server", from, to),
            FlowDirection::ToClient => ("to_client", to, from),
        };
        put(out, format_args!(",\"direction\":\"{word}\""));
        if !self.options.flow {
            return;
        }
        put(
            out,
            format_args!(
                ",\"flow\":{{\"pkts_toserver\":{},\"pkts_toclient\":{},\
                 \"bytes_toserver\":{},\"bytes_toclient\":{}",
                flow.packets_to_server,
                flow.packets_to_client,
                flow.bytes_to_server,
                flow.bytes_to_client
            ),
        );
        self.time(out, "start", flow.start);
        out.push(b',');
        // Ports behind both addresses here, unlike above.
        endpoints(out, client.0, server.0, None);
        if let (Some(client), Some(server)) = (client.1, server.1) {
            put(out, format_args!(",\"src_port\":{client},\"dest_port\":{server}"));
        }
        out.push(b'}');
    }
}

/// The packet of the frame around the one that the alert is for.
fn tunnel(out: &mut Vec<u8>, outer: &Outer, pcap_number: u64) {
    out.extend_from_slice(b",\"tunnel\":{");
    let ports = Some((outer.source_port, outer.destination_port));
    endpoints(out, outer.source, outer.destination, ports);
    protocol(out, outer.ip_proto);
    put(out, format_args!(",\"depth\":{}", outer.depth));
    if pcap_number != 0 {
        put(out, format_args!(",\"pcap_cnt\":{pcap_number}"));
    }
    out.extend_from_slice(b",\"pkt_src\":\"wire/pcap\"}");
}

/// An address, and a port where there are ports.
type End = (IpAddr, Option<u16>);

/// Source and destination of the packet, where it has an IP header.
fn ends(alert: &Alert) -> Option<(End, End)> {
    let (source, destination) = alert.addresses?;
    let from = (source, alert.ports.map(|(port, _)| port));
    Some((from, (destination, alert.ports.map(|(_, port)| port))))
}

/// Which end is attacked, and the other one.
fn sides(out: &mut Vec<u8>, alert: &Alert, target: Target) {
    let Some((from, to)) = ends(alert) else { return };
    let sides = match target {
        Target::Source => [("source", to), ("target", from)],
        Target::Destination => [("source", from), ("target", to)],
    };
    for (key, (address, port)) in sides {
        put(out, format_args!(",\"{key}\":{{\"ip\":\""));
        field::address(out, address);
        out.push(b'"');
        if let Some(port) = port {
            put(out, format_args!(",\"port\":{port}"));
        }
        out.push(b'}');
    }
}

/// The keys under `alert` behind `action`; `ends` writes which end is the target. `references` is where
/// Suricata 8 has it; 7 does not write it.
fn rule_keys(
    out: &mut Vec<u8>,
    rule: &RuleInfo,
    options: &EveOptions,
    ends: impl FnOnce(&mut Vec<u8>),
) {
    put(
        out,
        format_args!(
            ",\"gid\":{},\"signature_id\":{},\"rev\":{},\"signature\":",
            rule.gid, rule.sid, rule.rev
        ),
    );
    field::string(out, &rule.message);
    out.extend_from_slice(b",\"category\":");
    field::string(out, &rule.category);
    put(out, format_args!(",\"severity\":{}", rule.priority));
    ends(out);
    if options.references && !rule.references.is_empty() {
        out.extend_from_slice(b",\"references\":[");
        list(out, rule.references.iter().map(String::as_str));
    }
    if options.rule_metadata {
        metadata(out, &rule.metadata);
    }
}

/// Suricata groups metadata by key without regard to case, spells the key as it came last, sorts the
/// keys, and lists the latest value first.
fn metadata(out: &mut Vec<u8>, pairs: &[(String, String)]) {
    let mut newest_first: Vec<_> =
        pairs.iter().rev().map(|(key, value)| (key.to_ascii_lowercase(), key, value)).collect();
    newest_first.sort_by(|a, b| a.0.cmp(&b.0));
    for (i, group) in newest_first.chunk_by(|a, b| a.0 == b.0).enumerate() {
        out.extend_from_slice(if i == 0 { b",\"metadata\":{" } else { b"," });
        if let [(_, key, _), ..] = group {
            field::string(out, key);
        }
        out.extend_from_slice(b":[");
        list(out, group.iter().map(|(_, _, value)| value.as_str()));
    }
    if !pairs.is_empty() {
        out.push(b'}');
    }
}

/// Strings with commas between, and the closing bracket.
fn list<'a>(out: &mut Vec<u8>, items: impl Iterator<Item = &'a str>) {
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        field::string(out, item);
    }
    out.push(b']');
}
