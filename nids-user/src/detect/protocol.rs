//! Which packets the header's protocol takes in: IP versions and protocol numbers.

use crate::decode::{Ip, Packet};

/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// ICMP.
pub const ICMP: u8 = 1;
/// SCTP.
pub const SCTP: u8 = 132;
/// ESP.
pub const ESP: u8 = 50;
/// ICMPv6.
pub const ICMPV6: u8 = 58;

/// IPv6 fragment header.
pub const IPV6_FRAGMENT: u8 = 44;

/// The protocol number rules see: that behind the IP headers; of an IPv6 fragment that of its fragment
/// header, as in Suricata.
#[inline]
pub fn number(packet: &Packet<'_>) -> Option<u8> {
    match &packet.ip {
        Some(Ip::V4(ip)) => Some(ip.protocol),
        Some(ip @ Ip::V6(_)) if ip.is_fragment() => Some(IPV6_FRAGMENT),
        Some(Ip::V6(ip)) => Some(ip.protocol),
        None => None,
    }
}

/// A set of IP protocol numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Numbers([u64; 4]);

impl Numbers {
    /// All of them.
    pub const ALL: Self = Self([u64::MAX; 4]);
    /// None.
    pub const NONE: Self = Self([0; 4]);

    /// These.
    pub fn of(numbers: impl IntoIterator<Item = u8>) -> Self {
        let mut set = Self::NONE;
        for number in numbers {
            if let Some(word) = set.0.get_mut(usize::from(number >> 6)) {
                *word |= 1 << (number & 63);
            }
        }
        set
    }
    /// Whether `number` is in it.
    #[inline]
    pub fn contains(&self, number: u8) -> bool {
        self.0.get(usize::from(number >> 6)).is_some_and(|word| word >> (number & 63) & 1 == 1)
    }
    /// What is in both.
    pub fn intersect(&self, other: &Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a & e, b & f, c & g, d & h])
    }
    /// All that are in it, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|number| self.contains(*number))
    }
}

/// The protocol of a rule's header, narrowed by `ip_proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protocol {
    /// IPv4 packets.
    pub v4: bool,
    /// IPv6 packets.
    pub v6: bool,
    /// Protocol numbers behind the IP headers.
    pub numbers: Numbers,
}

impl Protocol {
    /// By its name in a header, in lower case; `None` for one that is not honoured.
    pub fn named(name: &str) -> Option<Self> {
        let (v4, v6) = match name {
            "ip4" | "ipv4" | "icmpv4" => (true, false),
            "ip6" | "ipv6" | "icmpv6" => (false, true),
            _ => (true, true),
        };
        let numbers = match name {
            "ip" | "pkthdr" | "ip4" | "ipv4" | "ip6" | "ipv6" => Numbers::ALL,
            "tcp" | "tcp-pkt" | "tcp-stream" => Numbers::of([TCP]),
            "udp" => Numbers::of([UDP]),
            "sctp" => Numbers::of([SCTP]),
            "icmp" => Numbers::of([ICMP, ICMPV6]),
            "icmpv4" => Numbers::of([ICMP]),
            "icmpv6" => Numbers::of([ICMPV6]),
            _ => return None,
        };
        Some(Self { v4, v6, numbers })
    }

    /// Whether the header is `ip`, which `ip_proto` needs.
    pub fn is_any(&self) -> bool {
        self.numbers == Numbers::ALL
    }

    /// Whether it can be TCP.
    pub fn is_tcp(&self) -> bool {
        self.numbers.contains(TCP)
    }

    /// Whether the packet is of this protocol.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        let version = match &packet.ip {
            Some(Ip::V4(_)) => self.v4,
            Some(Ip::V6(_)) => self.v6,
            None => false,
        };
        version && number(packet).is_some_and(|number| self.numbers.contains(number))
    }
}

/// Protocols that other sensors know, so that the refusal can say "not yet".
pub const KNOWN: [&str; 38] = [
    "bittorrent-dht",
    "dcerpc",
    "dhcp",
    "dnp3",
    "doh2",
    "enip",
    "file",
    "ftp",
    "ftp-data",
    "http",
    "http1",
    "http2",
    "ike",
    "imap",
    "krb5",
    "ldap",
    "modbus",
    "mqtt",
    "netbios",
    "nfs",
    "ntp",
    "pgsql",
    "pop3",
    "quic",
    "rdp",
    "rfb",
    "rpc",
    "sip",
    "smb",
    "smtp",
    "snmp",
    "ssh",
    "sslv2",
    "telnet",
    "template",
    "tftp",
    "user",
    "websocket",
];
