//! Messages of the syslog protocol, version 1 (RFC 5424), and how they stand in a stream (RFC 6587).
//!
//! `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID - MSG`: no structured data, as the record itself is
//! structured. MSGID is its EVE type, so a server can tell alerts from flows without reading them. MSG is
//! without a byte order mark: it is UTF-8, but begins with a brace, and what reads JSON stumbles over the
//! mark (RFC 5424 lets the syslog application choose by not claiming MSG-UTF8).

use super::field::{Calendar, put};
use crate::capture::Timestamp;

/// What kind of program speaks (RFC 5424, 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Severity(u8);

/// How messages are told apart in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The length before each (RFC 6587, 3.4.1).
    OctetCounting,
    /// A line feed behind each (3.4.2); records have none inside.
    Newline,
}

impl Facility {
    /// Suricata's default.
    pub const LOCAL5: Self = Self(21);

    const NAMES: [&str; 24] = [
        "kern",
        "user",
        "mail",
        "daemon",
        "auth",
        "syslog",
        "lpr",
        "news",
        "uucp",
        "cron",
        "authpriv",
        "ftp",
        "ntp",
        "security",
        "console",
        "solaris-cron",
        "local0",
        "local1",
        "local2",
        "local3",
        "local4",
        "local5",
        "local6",
        "local7",
    ];

    pub(super) fn from_name(name: &str) -> Option<Self> {
        let at = Self::NAMES.iter().position(|one| one.eq_ignore_ascii_case(name))?;
        u8::try_from(at).ok().map(Self)
    }
}

impl Severity {
    /// Suricata's default.
    pub const INFO: Self = Self(6);

    const NAMES: [&str; 8] =
        ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];

    pub(super) fn from_name(name: &str) -> Option<Self> {
        let at = Self::NAMES.iter().position(|one| one.eq_ignore_ascii_case(name))?;
        u8::try_from(at).ok().map(Self)
    }
}

impl Framing {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "octet-counting" => Some(Self::OctetCounting),
            "newline" => Some(Self::Newline),
            _ => None,
        }
    }
}

/// Puts records into messages.
#[derive(Debug)]
pub(super) struct Syslog {
    priority: u8,
    /// HOSTNAME APP-NAME PROCID, which do not change.
    origin: String,
    /// In a datagram there is none.
    framing: Option<Framing>,
    calendar: Calendar,
    /// The header at hand.
    header: Vec<u8>,
}

impl Syslog {
    pub(super) fn new(
        facility: Facility,
        severity: Severity,
        identity: &str,
        framing: Option<Framing>,
    ) -> Self {
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        let host = host.filter(|name| is_printable(name, 255)).unwrap_or_else(|| "-".into());
        Self {
            priority: facility.0 * 8 + severity.0,
            origin: format!("{host} {identity} {}", std::process::id()),
            framing,
            calendar: Calendar::new(Calendar::ISO),
            header: Vec::new(),
        }
    }

    /// Turns what stands in `out` from `start` on, a record with its line feed, into a message.
    pub(super) fn wrap(&mut self, out: &mut Vec<u8>, start: usize, time: Timestamp, id: &str) {
        self.header.clear();
        put(&mut self.header, format_args!("<{}>1 ", self.priority));
        self.calendar.write(&mut self.header, time);
        put(&mut self.header, format_args!("Z {} {id} - ", self.origin));
        if self.framing != Some(Framing::Newline) && out.last() == Some(&b'\n') {
            out.pop();
        }
        if self.framing == Some(Framing::OctetCounting) {
            let length = self.header.len() + out.len().saturating_sub(start);
            let header = std::mem::take(&mut self.header);
            put(&mut self.header, format_args!("{length} "));
            self.header.extend_from_slice(&header);
        }
        let start = start.min(out.len());
        out.splice(start..start, self.header.iter().copied());
    }
}

/// PRINTUSASCII of the RFC, with at most so many characters.
fn is_printable(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(framing: Option<Framing>) -> String {
        let mut syslog = Syslog {
            origin: "host nids 7".into(),
            ..Syslog::new(Facility::LOCAL5, Severity::INFO, "nids", framing)
        };
        let mut out = b"before{\"a\":1}\n".to_vec();
        syslog.wrap(&mut out, 6, Timestamp(1_795_485_784_123_456_789), "alert");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn messages() {
        let message = r#"<174>1 2026-11-24T02:03:04.123456Z host nids 7 alert - {"a":1}"#;
        assert_eq!(wrapped(None), format!("before{message}"));
        assert_eq!(wrapped(Some(Framing::Newline)), format!("before{message}\n"));
        let counted = format!("before{} {message}", message.len());
        assert_eq!(wrapped(Some(Framing::OctetCounting)), counted);
    }

    #[test]
    fn names() {
        assert_eq!(Facility::from_name("LOCAL7"), Some(Facility(23)));
        assert_eq!(Facility::from_name("local5"), Some(Facility::LOCAL5));
        assert_eq!(Facility::from_name("local8"), None);
        assert_eq!(Severity::from_name("Info"), Some(Severity::INFO));
        assert_eq!(Severity::from_name("emergency"), Some(Severity(0)));
        assert_eq!(Severity::from_name("loud"), None);
    }
}
