//! EVE JSON: one object a line, with Suricata 7's keys in Suricata 7's order.
//!
//! The only event is `alert`. A key whose fact is missing is left out, as Suricata does. What is said
//! of the rule is the same for all its alerts and is rendered once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::field::{self, Calendar, put};
use crate::detect::alert::{Alert, RuleInfo, Target};
use crate::flow::{FlowDirection, FlowView};

/// Rules whose text is kept at a time.
const MAX_RULES: usize = 4096;

/// Writes EVE lines.
#[derive(Debug)]
pub(super) struct Eve {
    time: Calendar,
    start: Calendar,
    /// By the address of the `RuleInfo`, which the `Arc` beside the text keeps from being used again.
    rules: HashMap<usize, (Arc<RuleInfo>, Box<[u8]>)>,
}

impl Eve {
    pub(super) fn new() -> Self {
        Self {
            time: Calendar::new(Calendar::ISO),
            start: Calendar::new(Calendar::ISO),
            rules: HashMap::new(),
        }
    }

    /// Appends one line with its line feed.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, alert: &Alert) {
        out.extend_from_slice(b"{\"timestamp\":\"");
        self.time.write(out, alert.time);
        out.extend_from_slice(b"+0000\"");
        if let Some(flow) = &alert.flow {
            put(out, format_args!(",\"flow_id\":{}", flow.id));
        }
        if let Some(interface) = &alert.interface {
            out.extend_from_slice(b",\"in_iface\":");
            field::string(out, interface);
        }
        if alert.pcap_number != 0 {
            put(out, format_args!(",\"pcap_cnt\":{}", alert.pcap_number));
        }
        out.extend_from_slice(b",\"event_type\":\"alert\"");
        for (i, id) in alert.vlan.iter().enumerate() {
            let lead = if i == 0 { ",\"vlan\":[" } else { "," };
            put(out, format_args!("{lead}{id}"));
        }
        if !alert.vlan.is_empty() {
            out.push(b']');
        }
        endpoint(out, ",\"src_ip\":\"", alert.source, ",\"src_port\":", alert.source_port);
        endpoint(
            out,
            ",\"dest_ip\":\"",
            alert.destination,
            ",\"dest_port\":",
            alert.destination_port,
        );
        match field::protocol_name(alert.ip_proto) {
            Some(name) => put(out, format_args!(",\"proto\":\"{name}\"")),
            None => put(out, format_args!(",\"proto\":\"{}\"", alert.ip_proto)),
        }
        if let Some((icmp_type, code)) = alert.icmp {
            put(out, format_args!(",\"icmp_type\":{icmp_type},\"icmp_code\":{code}"));
        }
        out.extend_from_slice(b",\"pkt_src\":\"wire/pcap\",\"alert\":");
        match alert.rule.target {
            None => self.rule(out, &alert.rule),
            Some(target) => alert_object(out, &alert.rule, |out| ends(out, alert, target)),
        }
        if let Some(flow) = &alert.flow {
            self.flow(out, alert, flow);
        }
        out.extend_from_slice(b"}\n");
    }

    fn rule(&mut self, out: &mut Vec<u8>, rule: &Arc<RuleInfo>) {
        let key = Arc::as_ptr(rule).addr();
        if self.rules.len() >= MAX_RULES && !self.rules.contains_key(&key) {
            self.rules.clear();
        }
        let (_, text) = self.rules.entry(key).or_insert_with(|| {
            let mut text = Vec::new();
            alert_object(&mut text, rule, |_| {});
            (Arc::clone(rule), text.into_boxed_slice())
        });
        out.extend_from_slice(text);
    }

    fn flow(&mut self, out: &mut Vec<u8>, alert: &Alert, flow: &FlowView) {
        let from = (alert.source, alert.source_port);
        let to = (alert.destination, alert.destination_port);
        let (word, client, server) = match flow.direction {
            FlowDirection::ToServer => ("to_server", from, to),
            FlowDirection::ToClient => ("to_client", to, from),
        };
        put(
            out,
            format_args!(
                ",\"direction\":\"{word}\",\"flow\":{{\"pkts_toserver\":{},\"pkts_toclient\":{},\
                 \"bytes_toserver\":{},\"bytes_toclient\":{},\"start\":\"",
                flow.packets_to_server,
                flow.packets_to_client,
                flow.bytes_to_server,
                flow.bytes_to_client
            ),
        );
        self.start.write(out, flow.start);
        out.extend_from_slice(b"+0000\"");
        // Ports behind both addresses here, unlike above.
        endpoint(out, ",\"src_ip\":\"", client.0, "", None);
        endpoint(out, ",\"dest_ip\":\"", server.0, "", None);
        if let (Some(client), Some(server)) = (client.1, server.1) {
            put(out, format_args!(",\"src_port\":{client},\"dest_port\":{server}"));
        }
        out.push(b'}');
    }
}

fn endpoint(out: &mut Vec<u8>, key: &str, address: IpAddr, port_key: &str, port: Option<u16>) {
    out.extend_from_slice(key.as_bytes());
    field::address(out, address);
    out.push(b'"');
    if let Some(port) = port {
        put(out, format_args!("{port_key}{port}"));
    }
}

/// Which end is attacked, and the other one.
fn ends(out: &mut Vec<u8>, alert: &Alert, target: Target) {
    let from = (alert.source, alert.source_port);
    let to = (alert.destination, alert.destination_port);
    let (source, target) = match target {
        Target::Source => (to, from),
        Target::Destination => (from, to),
    };
    endpoint(out, ",\"source\":{\"ip\":\"", source.0, ",\"port\":", source.1);
    endpoint(out, "},\"target\":{\"ip\":\"", target.0, ",\"port\":", target.1);
    out.push(b'}');
}

/// The object under `alert`; `ends` writes which end is the target. `references` is where Suricata 8 has it; 7 does not write it.
fn alert_object(out: &mut Vec<u8>, rule: &RuleInfo, ends: impl FnOnce(&mut Vec<u8>)) {
    // Nothing is blocked by a sensor that listens, whatever the rule asks for. (Suricata says "blocked"
    // for reject rules even then, because it does send the reset.)
    put(
        out,
        format_args!(
            "{{\"action\":\"allowed\",\"gid\":{},\"signature_id\":{},\"rev\":{},\"signature\":",
            rule.gid, rule.sid, rule.rev
        ),
    );
    field::string(out, &rule.message);
    out.extend_from_slice(b",\"category\":");
    field::string(out, &rule.category);
    put(out, format_args!(",\"severity\":{}", rule.priority));
    ends(out);
    if !rule.references.is_empty() {
        out.extend_from_slice(b",\"references\":[");
        list(out, rule.references.iter().map(String::as_str));
    }
    metadata(out, &rule.metadata);
    out.push(b'}');
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
