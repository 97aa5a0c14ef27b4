//! The line for people: short, with colour on a terminal only.

use std::net::IpAddr;

use super::field::{self, Calendar, put};
use crate::detect::alert::Alert;

/// Writes lines for the terminal.
#[derive(Debug)]
pub(super) struct Console {
    calendar: Calendar,
    colour: bool,
}

impl Console {
    pub(super) fn new(colour: bool) -> Self {
        Self { calendar: Calendar::new(Calendar::PLAIN), colour }
    }

    /// Appends one line with its line feed.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, alert: &Alert) {
        let rule = &*alert.rule;
        let (begin, dim, end) = match (self.colour, rule.priority) {
            (false, _) => ("", "", ""),
            (true, 0..=1) => ("\x1b[1;31m", "\x1b[2m", "\x1b[0m"),
            (true, 2) => ("\x1b[1;33m", "\x1b[2m", "\x1b[0m"),
            (true, _) => ("\x1b[1;36m", "\x1b[2m", "\x1b[0m"),
        };
        out.extend_from_slice(dim.as_bytes());
        self.calendar.write(out, alert.time);
        put(out, format_args!("{end} [{}:{}:{}] {begin}", rule.gid, rule.sid, rule.rev));
        let message = if rule.message.is_empty() { "(no message)" } else { &rule.message };
        field::one_line(out, message);
        put(out, format_args!("{end} ["));
        if !rule.category.is_empty() {
            field::one_line(out, &rule.category);
            out.extend_from_slice(b", ");
        }
        put(out, format_args!("priority {}] {{", rule.priority));
        match field::protocol_name(alert.ip_proto) {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => put(out, format_args!("IP protocol {}", alert.ip_proto)),
        }
        out.extend_from_slice(b"} ");
        endpoint(out, alert.source, alert.source_port);
        out.extend_from_slice(b" -> ");
        endpoint(out, alert.destination, alert.destination_port);
        if let Some((icmp_type, code)) = alert.icmp {
            put(out, format_args!(" type {icmp_type} code {code}"));
        }
        if let Some(interface) = &alert.interface {
            out.push(b' ');
            field::one_line(out, interface);
        }
        out.push(b'\n');
    }
}

fn endpoint(out: &mut Vec<u8>, address: IpAddr, port: Option<u16>) {
    match (address, port) {
        (address, None) => put(out, format_args!("{address}")),
        (IpAddr::V4(address), Some(port)) => put(out, format_args!("{address}:{port}")),
        (IpAddr::V6(address), Some(port)) => put(out, format_args!("[{address}]:{port}")),
    }
}
