//! The line for people: short, with colour on a terminal only.

use std::io::IsTerminal;
use std::net::IpAddr;

use super::field::{self, Calendar, put};
use crate::capture::Timestamp;
use crate::detect::alert::Alert;

/// Whether lines on standard output may have colour: on a terminal, unless `NO_COLOR` is set
/// (no-color.org) or the terminal is dumb.
pub fn colour_wanted() -> bool {
    std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Writes lines for the terminal.
#[derive(Debug)]
pub(super) struct Console {
    calendar: Calendar,
    colour: bool,
}

/// What stands in a line, from the engine or from a log.
pub(super) struct Row<'a> {
    pub(super) time: Timestamp,
    /// gid, sid, rev.
    pub(super) id: (u32, u32, u32),
    pub(super) message: &'a str,
    pub(super) category: &'a str,
    pub(super) priority: u8,
    pub(super) protocol: &'a str,
    /// Source and destination; `None`: the packet has no IP header.
    pub(super) addresses: Option<(IpAddr, IpAddr)>,
    pub(super) ports: Option<(u16, u16)>,
    pub(super) icmp: Option<(u8, u8)>,
    pub(super) interface: Option<&'a str>,
}

impl Console {
    pub(super) fn new(colour: bool) -> Self {
        Self { calendar: Calendar::new(Calendar::PLAIN), colour }
    }

    /// Appends one line with its line feed.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, alert: &Alert) {
        let rule = &*alert.rule;
        let number;
        let protocol = match field::protocol_name(alert.ip_proto) {
            Some(name) => name,
            None => {
                number = alert.ip_proto.to_string();
                &number
            }
        };
        let row = Row {
            time: alert.time,
            id: (rule.gid, rule.sid, rule.rev),
            message: &rule.message,
            category: &rule.category,
            priority: rule.priority,
            protocol,
            addresses: alert.addresses,
            ports: alert.ports,
            icmp: alert.icmp,
            interface: alert.interface.as_deref(),
        };
        self.write_row(out, &row);
    }

    pub(super) fn write_row(&mut self, out: &mut Vec<u8>, row: &Row<'_>) {
        let (bright, dim, plain) = match (self.colour, row.priority) {
            (false, _) => ("", "", ""),
            (true, 0..=1) => ("\x1b[1;31m", "\x1b[2m", "\x1b[0m"),
            (true, 2) => ("\x1b[1;33m", "\x1b[2m", "\x1b[0m"),
            (true, _) => ("\x1b[1;36m", "\x1b[2m", "\x1b[0m"),
        };
        let (gid, sid, rev) = row.id;
        out.extend_from_slice(dim.as_bytes());
        self.calendar.write(out, row.time);
        put(out, format_args!("{plain} [{gid}:{sid}:{rev}] {bright}"));
        let message = if row.message.is_empty() { "(no message)" } else { row.message };
        field::one_line(out, message);
        put(out, format_args!("{plain} ["));
        if !row.category.is_empty() {
            field::one_line(out, row.category);
            out.extend_from_slice(b", ");
        }
        put(out, format_args!("priority {}] ", row.priority));
        match row.addresses {
            Some((source, destination)) => {
                out.push(b'{');
                field::one_line(out, row.protocol);
                out.extend_from_slice(b"} ");
                endpoint(out, (source, row.ports.map(|(port, _)| port)));
                out.extend_from_slice(b" -> ");
                endpoint(out, (destination, row.ports.map(|(_, port)| port)));
            }
            None => out.extend_from_slice(b"a packet without IP header"),
        }
        if let Some((icmp_type, code)) = row.icmp {
            put(out, format_args!(" type {icmp_type} code {code}"));
        }
        if let Some(interface) = row.interface {
            out.push(b' ');
            field::one_line(out, interface);
        }
        out.push(b'\n');
    }
}

fn endpoint(out: &mut Vec<u8>, (address, port): (IpAddr, Option<u16>)) {
    match (address, port) {
        (address, None) => put(out, format_args!("{address}")),
        (IpAddr::V4(address), Some(port)) => put(out, format_args!("{address}:{port}")),
        (IpAddr::V6(address), Some(port)) => put(out, format_args!("[{address}]:{port}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_colour() {
        let row = Row {
            time: Timestamp(1_795_485_784_123_456_000),
            id: (1, 7, 2),
            message: "bad\u{1b}[2J thing",
            category: "Some Class",
            priority: 1,
            protocol: "UDP",
            addresses: Some(("2001:db8::1".parse().unwrap(), "1.2.3.4".parse().unwrap())),
            ports: Some((53, 5000)),
            icmp: None,
            interface: Some("eth0"),
        };
        let text = |colour| {
            let mut out = Vec::new();
            Console::new(colour).write_row(&mut out, &row);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            text(false),
            "2026-11-24 02:03:04.123456 [1:7:2] bad\\x1b[2J thing [Some Class, priority 1] {UDP} \
             [2001:db8::1]:53 -> 1.2.3.4:5000 eth0\n"
        );
        assert_eq!(
            text(true),
            "\x1b[2m2026-11-24 02:03:04.123456\x1b[0m [1:7:2] \x1b[1;31mbad\\x1b[2J thing\x1b[0m \
             [Some Class, priority 1] {UDP} [2001:db8::1]:53 -> 1.2.3.4:5000 eth0\n"
        );
    }
}
