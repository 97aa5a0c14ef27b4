//! Single fields as several formats write them: times, addresses, protocol names, text on one line.

use std::io::Write;
use std::net::IpAddr;

use crate::capture::Timestamp;

/// Seconds as a calendar, remembered: alerts come in bursts of the same second.
#[derive(Debug)]
pub(crate) struct Calendar {
    pattern: &'static str,
    second: u64,
    text: String,
}

impl Calendar {
    /// `2026-11-24T02:03:04`
    pub(crate) const ISO: &'static str = "%Y-%m-%dT%H:%M:%S";
    /// `02:03:04`
    pub(crate) const CLOCK: &'static str = "%H:%M:%S";
    /// `2026-11-24 02:03:04`
    pub(crate) const PLAIN: &'static str = "%Y-%m-%d %H:%M:%S";
    /// `11/24/2026-02:03:04`
    pub(crate) const FAST: &'static str = "%m/%d/%Y-%H:%M:%S";

    /// With a pattern of strftime(3). Always UTC: a log that is read elsewhere, or across a change of
    /// daylight saving time, must not be ambiguous.
    pub(crate) fn new(pattern: &'static str) -> Self {
        Self { pattern, second: u64::MAX, text: String::new() }
    }

    /// Appends `time` with six digits of a second, cut and not rounded, as Suricata does.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, time: Timestamp) {
        let second = time.0 / 1_000_000_000;
        if second != self.second {
            // The largest u64 is a day in the year 2554: always in jiff's range.
            let stamp = jiff::Timestamp::from_second(second as i64).unwrap_or_default();
            self.text = stamp.strftime(self.pattern).to_string();
            self.second = second;
        }
        put(out, format_args!("{}.{:06}", self.text, time.0 % 1_000_000_000 / 1000));
    }
}

/// Appends formatted text; a vector takes everything.
pub(crate) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// Appends an address as Suricata writes it: IPv6 in full, eight groups of four digits.
pub(crate) fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => put(out, format_args!("{v4}")),
        IpAddr::V6(v6) => {
            for (i, group) in v6.segments().iter().enumerate() {
                let colon = if i == 0 { "" } else { ":" };
                put(out, format_args!("{colon}{group:04x}"));
            }
        }
    }
}

/// Appends text that must stay on its line and must not steer a terminal. Tabs stay.
pub(crate) fn one_line(out: &mut Vec<u8>, text: &str) {
    for c in text.chars() {
        if c != '\t' && c.is_control() {
            put(out, format_args!("\\x{:02x}", u32::from(c)));
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// A JSON string (RFC 8259, section 7), escaped as Suricata does: DEL too, the slash not.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..=0x1f | 0x7f => put(out, format_args!("\\u{byte:04x}")),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// A JSON string of bytes that may be anything: what is neither visible ASCII nor a line's end is a dot,
/// as Suricata prints it.
pub(crate) fn printable(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for byte in bytes {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b' '..=b'~' => out.push(*byte),
            _ => out.push(b'.'),
        }
    }
    out.push(b'"');
}

/// A JSON string of bytes that may be no text: what is not, stands there as `\x..`, as in Suricata.
pub(crate) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(text) => string(out, text),
        Err(_) => {
            out.push(b'"');
            for byte in bytes {
                match byte {
                    b'"' => out.extend_from_slice(b"\\\""),
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    b' '..=b'~' => out.push(*byte),
                    _ => put(out, format_args!("\\\\x{byte:02x}")),
                }
            }
            out.push(b'"');
        }
    }
}

/// The name of an IP protocol in Suricata's spelling; `None` above 143 (IANA, Assigned Internet
/// Protocol Numbers).
pub fn protocol_name(number: u8) -> Option<&'static str> {
    PROTOCOLS.get(usize::from(number)).copied()
}

#[rustfmt::skip]
const PROTOCOLS: [&str; 144] = [
    "HOPOPT", "ICMP", "IGMP", "GGP", "IP-in-IP", "ST", "TCP", "CBT", "EGP", "IGP", "BBN-RCC-MON", "NVP-II",
    "PUP", "ARGUS", "EMCON", "XNET", "CHAOS", "UDP", "MUX", "DCN-MEAS", "HMP", "PRM", "XNS-IDP", "TRUNK-1",
    "TRUNK-2", "LEAF-1", "LEAF-2", "RDP", "IRTP", "ISO-TP4", "NETBLT", "MFE-NSP", "MERIT-INP", "DCCP",
    "3PC", "IDPR", "XTP", "DDP", "IDPR-CMTP", "TP++", "IL", "IPv6", "SDRP", "IPv6-Route", "IPv6-Frag",
    "IDRP", "RSVP", "GRE", "DSR", "BNA", "ESP", "AH", "I-NLSP", "SwIPe", "NARP", "MOBILE", "TLSP", "SKIP",
    "IPv6-ICMP", "IPv6-NoNxt", "IPv6-Opts", "Any", "CFTP", "Any", "SAT-EXPAK", "KRYPTOLAN", "RVD", "IPPC",
    "Any", "SAT-MON", "VISA", "IPCU", "CPNX", "CPHB", "WSN", "PVP", "BR-SAT-MON", "SUN-ND", "WB-MON",
    "WB-EXPAK", "ISO-IP", "VMTP", "SECURE-VMTP", "VINES", "TTP", "NSFNET-IGP", "DGP", "TCF", "EIGRP",
    "OSPF", "Sprite-RPC", "LARP", "MTP", "AX.25", "OS", "MICP", "SCC-SP", "ETHERIP", "ENCAP", "Any",
    "GMTP", "IFMP", "PNNI", "PIM", "ARIS", "SCPS", "QNX", "A/N", "IPComp", "SNP", "Compaq-Peer",
    "IPX-in-IP", "VRRP", "PGM", "Any", "L2TP", "DDX", "IATP", "STP", "SRP", "UTI", "SMP", "SM", "PTP",
    "IS-IS", "FIRE", "CRTP", "CRUDP", "SSCOPMCE", "IPLT", "SPS", "PIPE", "SCTP", "FC", "RSVP-E2E-IGNORE",
    "Mobility", "UDPLite", "MPLS-in-IP", "manet", "HIP", "Shim6", "WESP", "ROHC", "Ethernet",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn written(f: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times() {
        let mut iso = Calendar::new(Calendar::ISO);
        for (ns, text) in [
            (0, "1970-01-01T00:00:00.000000"),
            (1_795_485_784_123_456_999, "2026-11-24T02:03:04.123456"),
            (1_709_164_800_000_001_000, "2024-02-29T00:00:00.000001"),
            (u64::MAX, "2554-07-21T23:34:33.709551"),
        ] {
            assert_eq!(written(|out| iso.write(out, Timestamp(ns))), text);
        }
        let mut fast = Calendar::new(Calendar::FAST);
        let text = written(|out| fast.write(out, Timestamp(1_795_485_784_123_456_999)));
        assert_eq!(text, "11/24/2026-02:03:04.123456");
    }

    #[test]
    fn addresses_in_full() {
        let text = written(|out| address(out, "2001:db8::1".parse().unwrap()));
        assert_eq!(text, "2001:0db8:0000:0000:0000:0000:0000:0001");
        assert_eq!(written(|out| address(out, "10.0.0.1".parse().unwrap())), "10.0.0.1");
    }

    #[test]
    fn protocols() {
        for (number, name) in [(1, "ICMP"), (6, "TCP"), (17, "UDP"), (47, "GRE"), (58, "IPv6-ICMP")]
        {
            assert_eq!(protocol_name(number), Some(name));
        }
        assert_eq!(protocol_name(89), Some("OSPF"));
        assert_eq!(protocol_name(132), Some("SCTP"));
        assert_eq!(protocol_name(143), Some("Ethernet"));
        assert_eq!(protocol_name(144), None);
    }

    #[test]
    fn json_strings() {
        let text = written(|out| string(out, "\"\\/\n\t\u{8}\u{1}\u{7f}é\u{1f600}"));
        assert_eq!(text, "\"\\\"\\\\/\\n\\t\\b\\u0001\\u007fé\u{1f600}\"");
    }

    #[test]
    fn bytes_as_suricata_prints_them() {
        let text = written(|out| printable(out, b"a\0\t\x7f\xc3\xa9~\r\n\"\\"));
        assert_eq!(text, "\"a.....~\\r\\n\\\"\\\\\"");
    }

    #[test]
    fn control_characters_stay_visible() {
        let text = written(|out| one_line(out, "a\tb\nc\u{1b}[31m\u{9b}é"));
        assert_eq!(text, "a\tb\\x0ac\\x1b[31m\\x9bé");
    }
}
