//! An alert as a log tells it: one line of EVE JSON or of the fast format, read back.
//!
//! Lines of Suricata are read too. A log does not say all that the engine knew, so this is a type of
//! its own beside [`crate::detect::alert::Alert`].

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Deserialize;

use super::console::{Console, Row};
use crate::capture::Timestamp;

/// One alert of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedAlert {
    /// Time of the packet.
    pub time: Timestamp,
    /// Generator id.
    pub gid: u32,
    /// Signature id.
    pub sid: u32,
    /// Revision.
    pub rev: u32,
    /// The rule's message, empty where it has none.
    pub message: String,
    /// Description of the class, empty where the rule has none.
    pub category: String,
    /// 1 (highest) to 255.
    pub priority: u8,
    /// Name of the IP protocol, in Suricata's spelling; empty without IP header.
    pub protocol: String,
    /// Source and destination; `None`: the packet had no IP header that could be read.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// Source and destination port, where the protocol has ports.
    pub ports: Option<(u16, u16)>,
    /// ICMP type and code.
    pub icmp: Option<(u8, u8)>,
    /// Interface, where the log names one.
    pub interface: Option<String>,
    /// The line as it stands in the log, without its line feed.
    pub line: String,
}

/// What a line of a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Alert(Box<LoggedAlert>),
    /// An EVE event of another type, or an empty line.
    Other,
    /// Neither format.
    Unreadable,
}

/// The keys of an EVE line that are looked at.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    timestamp: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    in_iface: Option<Cow<'a, str>>,
    src_ip: Option<IpAddr>,
    src_port: Option<u16>,
    dest_ip: Option<IpAddr>,
    dest_port: Option<u16>,
    #[serde(borrow)]
    proto: Option<Cow<'a, str>>,
    icmp_type: Option<u8>,
    icmp_code: Option<u8>,
    #[serde(borrow)]
    alert: Option<EventAlert<'a>>,
}

#[derive(Deserialize)]
struct EventAlert<'a> {
    gid: u32,
    signature_id: u32,
    rev: u32,
    #[serde(borrow)]
    signature: Cow<'a, str>,
    #[serde(borrow)]
    category: Cow<'a, str>,
    severity: u8,
}

impl LoggedAlert {
    /// The line for people, as the console output has it, with its line feed.
    pub fn write_readable(&self, out: &mut Vec<u8>, colour: bool) {
        let row = Row {
            time: self.time,
            id: (self.gid, self.sid, self.rev),
            message: &self.message,
            category: &self.category,
            priority: self.priority,
            protocol: &self.protocol,
            addresses: self.addresses,
            ports: self.ports,
            icmp: self.icmp,
            interface: self.interface.as_deref(),
        };
        Console::new(colour).write_row(out, &row);
    }

    /// Whether the line is an EVE object.
    pub fn is_eve(&self) -> bool {
        self.line.starts_with('{')
    }
}

impl Line {
    /// Reads one line without its line feed.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let Ok(text) = str::from_utf8(bytes) else { return Self::Unreadable };
        let text = text.trim_end_matches('\r');
        if text.is_empty() {
            return Self::Other;
        }
        if !text.starts_with('{') {
            return fast(text).map_or(Self::Unreadable, |alert| Self::Alert(Box::new(alert)));
        }
        match serde_json::from_str::<Event<'_>>(text) {
            Ok(event) if event.event_type != "alert" => Self::Other,
            Ok(event) => {
                eve(event, text).map_or(Self::Unreadable, |alert| Self::Alert(Box::new(alert)))
            }
            Err(_) => Self::Unreadable,
        }
    }
}

fn eve(event: Event<'_>, line: &str) -> Option<LoggedAlert> {
    let rule = event.alert?;
    // All of them, or the packet had no IP header.
    let (protocol, addresses) = match (event.proto, event.src_ip, event.dest_ip) {
        (Some(protocol), Some(source), Some(destination)) => {
            (protocol.into_owned(), Some((source, destination)))
        }
        (None, None, None) => (String::new(), None),
        _ => return None,
    };
    let time: jiff::Timestamp = event.timestamp?.parse().ok()?;
    Some(LoggedAlert {
        time: nanoseconds(time)?,
        gid: rule.gid,
        sid: rule.signature_id,
        rev: rule.rev,
        message: rule.signature.into_owned(),
        category: rule.category.into_owned(),
        priority: rule.severity,
        protocol,
        addresses,
        ports: event.src_port.zip(event.dest_port),
        icmp: event.icmp_type.zip(event.icmp_code),
        interface: event.in_iface.map(Cow::into_owned),
        line: line.into(),
    })
}

/// `TIME  [**] [gid:sid:rev] message [**] [Classification: c] [Priority: n] {PROTO} a:p -> b:p`
fn fast(line: &str) -> Option<LoggedAlert> {
    let (head, rest) = line.split_once("[**] [")?;
    let time = head.split_ascii_whitespace().next()?;
    let time = jiff::civil::DateTime::strptime("%m/%d/%Y-%H:%M:%S.%f", time).ok()?;
    let time = jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?;
    let (id, rest) = rest.split_once("] ")?;
    let mut id = id.splitn(3, ':').map(str::parse::<u32>);
    let (gid, sid, rev) = (id.next()?.ok()?, id.next()?.ok()?, id.next()?.ok()?);
    // The message may hold anything, so its end is looked for from the right.
    let (message, rest) = rest.rsplit_once(" [**] [Classification: ")?;
    let (category, rest) = rest.rsplit_once("] [Priority: ")?;
    let (priority, rest) = rest.split_once("] ")?;
    let mut alert = LoggedAlert {
        time: nanoseconds(time)?,
        gid,
        sid,
        rev,
        message: or_empty(message),
        category: or_empty(category),
        priority: priority.parse().ok()?,
        protocol: String::new(),
        addresses: None,
        ports: None,
        icmp: None,
        interface: None,
        line: line.into(),
    };
    if rest.starts_with("[**] [Raw pkt: ") {
        return Some(alert);
    }
    let (protocol, rest) = rest.strip_prefix('{')?.split_once("} ")?;
    let (source, destination) = rest.split_once(" -> ")?;
    let endpoint = |text: &str| -> Option<(IpAddr, u16)> {
        let (address, port) = text.rsplit_once(':')?;
        Some((address.parse().ok()?, port.parse().ok()?))
    };
    let ((source, from), (destination, to)) = (endpoint(source)?, endpoint(destination)?);
    // ICMP has its type and code where the others have ports; the rest has zeros there.
    let has_ports = matches!(protocol, "TCP" | "UDP" | "SCTP");
    let icmp = match protocol {
        "ICMP" | "IPv6-ICMP" => Some((u8::try_from(from).ok()?, u8::try_from(to).ok()?)),
        _ => None,
    };
    alert.protocol = protocol.into();
    alert.addresses = Some((source, destination));
    alert.ports = has_ports.then_some((from, to));
    alert.icmp = icmp;
    Some(alert)
}

fn or_empty(text: &str) -> String {
    if text == "(null)" { String::new() } else { text.into() }
}

fn nanoseconds(time: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(time.as_nanosecond()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(line: &str) -> LoggedAlert {
        match Line::parse(line.as_bytes()) {
            Line::Alert(alert) => *alert,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_formats_say_the_same() {
        let eve = alert(
            r#"{"timestamp":"2026-11-24T02:03:04.123456+0000","flow_id":1,"event_type":"alert","src_ip":"2001:0db8:0000:0000:0000:0000:0000:0001","src_port":40000,"dest_ip":"1.2.3.4","dest_port":80,"proto":"TCP","pkt_src":"wire/pcap","alert":{"action":"allowed","gid":1,"signature_id":7,"rev":2,"signature":"a \"b\" [**] c","category":"Some Class","severity":2}}"#,
        );
        let fast = alert(
            "11/24/2026-02:03:04.123456  [wDrop] [**] [1:7:2] a \"b\" [**] c [**] [Classification: Some Class] [Priority: 2] {TCP} 2001:0db8:0000:0000:0000:0000:0000:0001:40000 -> 1.2.3.4:80",
        );
        assert_eq!(eve.time, Timestamp(1_795_485_784_123_456_000));
        assert_eq!(eve, LoggedAlert { line: eve.line.clone(), ..fast });
    }

    #[test]
    fn icmp_and_null() {
        let fast = alert(
            "11/24/2026-02:03:04.123456  [**] [1:7:2] (null) [**] [Classification: (null)] [Priority: 3] {ICMP} 1.2.3.4:3 -> 5.6.7.8:1",
        );
        assert_eq!((fast.icmp, fast.ports), (Some((3, 1)), None));
        assert!(fast.message.is_empty() && fast.category.is_empty());
    }

    #[test]
    fn packets_without_ip_header() {
        let eve = alert(
            r#"{"timestamp":"2026-11-24T02:03:04.123456+0000","pcap_cnt":1,"event_type":"alert","pkt_src":"wire/pcap","alert":{"action":"allowed","gid":1,"signature_id":7,"rev":2,"signature":"cut","category":"Some Class","severity":2}}"#,
        );
        assert_eq!((eve.addresses, eve.ports, eve.protocol.as_str()), (None, None, ""));
        let fast = alert(
            "11/24/2026-02:03:04.123456  [**] [1:7:2] cut [**] [Classification: Some Class] [Priority: 2] [**] [Raw pkt: 05 04 ] [pcap file packet: 1]",
        );
        assert_eq!(eve, LoggedAlert { line: eve.line.clone(), ..fast });
        let mut line = Vec::new();
        eve.write_readable(&mut line, false);
        let line = String::from_utf8(line).unwrap();
        assert!(
            line.ends_with("[1:7:2] cut [Some Class, priority 2] a packet without IP header\n")
        );
    }

    #[test]
    fn what_is_no_alert() {
        assert_eq!(Line::parse(b"{\"event_type\":\"stats\",\"stats\":{}}"), Line::Other);
        assert_eq!(Line::parse(b""), Line::Other);
        for line in ["{\"event_type\":\"alert\"}", "{\"timest", "hello", "[**] [1:2:3] x", "\u{0}"]
        {
            assert_eq!(Line::parse(line.as_bytes()), Line::Unreadable, "{line}");
        }
        assert_eq!(Line::parse(b"\xff"), Line::Unreadable);
    }
}
