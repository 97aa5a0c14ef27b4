//! Snort's "fast" line, byte for byte as Suricata writes it (`fast.log`), but in UTC.

use super::field::{self, Calendar, put};
use crate::detect::alert::Alert;
use crate::rule::ast::Action;

/// Writes fast lines.
#[derive(Debug)]
pub(super) struct Fast {
    calendar: Calendar,
}

impl Fast {
    pub(super) fn new() -> Self {
        Self { calendar: Calendar::new(Calendar::FAST) }
    }

    /// Appends one line with its line feed.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, alert: &Alert) {
        let rule = &*alert.rule;
        self.calendar.write(out, alert.time);
        // A sensor that only listens "would drop".
        let mark = match rule.action {
            _ if alert.blocked => "[Drop] ",
            Action::Alert | Action::Log | Action::Pass => "",
            Action::Drop
            | Action::RejectSource
            | Action::RejectDestination
            | Action::RejectBoth => "[wDrop] ",
        };
        put(out, format_args!("  {mark}[**] [{}:{}:{}] ", rule.gid, rule.sid, rule.rev));
        field::one_line(out, or_null(&rule.message));
        out.extend_from_slice(b" [**] [Classification: ");
        field::one_line(out, or_null(&rule.category));
        put(out, format_args!("] [Priority: {}] ", rule.priority));
        let Some((from, to)) = alert.addresses else {
            raw(out, alert);
            return;
        };
        out.push(b'{');
        match field::protocol_name(alert.ip_proto) {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => put(out, format_args!("PROTO:{:03}", alert.ip_proto)),
        }
        // ICMP shows its type and code where others have ports.
        let (source, destination) = match alert.icmp {
            Some((icmp_type, code)) => (icmp_type.into(), code.into()),
            None => alert.ports.unwrap_or_default(),
        };
        out.extend_from_slice(b"} ");
        field::address(out, from);
        put(out, format_args!(":{source} -> "));
        field::address(out, to);
        put(out, format_args!(":{destination}\n"));
    }
}

/// The begin of a packet that has no addresses.
fn raw(out: &mut Vec<u8>, alert: &Alert) {
    out.extend_from_slice(b"[**] [Raw pkt: ");
    for byte in &alert.raw {
        put(out, format_args!("{byte:02X} "));
    }
    out.push(b']');
    if alert.pcap_number != 0 {
        put(out, format_args!(" [pcap file packet: {}]", alert.pcap_number));
    }
    out.push(b'\n');
}

fn or_null(text: &str) -> &str {
    if text.is_empty() { "(null)" } else { text }
}
