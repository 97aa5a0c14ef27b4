//! Packets by the line: segments of one connection, datagrams, fragments of them, tunnels around them.
//!
//! Everything is raw IP. Numbers of a segment count from the first byte of its stream, so that a case
//! reads like a conversation.

use std::net::Ipv6Addr;

use etherparse::{IpFragOffset, IpNumber, Ipv4Header, TcpHeader, UdpHeader};

pub const CLIENT: [u8; 4] = [10, 0, 0, 1];
pub const SERVER: [u8; 4] = [10, 0, 0, 2];

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;
pub const URG: u8 = 32;

/// One segment. `at` and `ack` count from the first byte of the streams they are of.
#[derive(Clone, Debug)]
pub struct Segment {
    to_server: bool,
    flags: u8,
    at: i64,
    ack: i64,
    window: u16,
    urgent: u16,
    options: Vec<u8>,
    data: Vec<u8>,
    ttl: u8,
    bad_tcp: bool,
    bad_ip: bool,
}

/// The client's data at this place of its stream.
pub fn c(at: i64, data: impl AsRef<[u8]>) -> Segment {
    Segment {
        to_server: true,
        flags: PSH | ACK,
        at,
        ack: 0,
        window: 64_000,
        urgent: 0,
        options: Vec::new(),
        data: data.as_ref().to_vec(),
        ttl: 64,
        bad_tcp: false,
        bad_ip: false,
    }
}

/// The server's data.
pub fn s(at: i64, data: impl AsRef<[u8]>) -> Segment {
    Segment { to_server: false, ..c(at, data) }
}

impl Segment {
    pub fn flags(self, flags: u8) -> Self {
        Self { flags, ..self }
    }
    pub fn ack(self, ack: i64) -> Self {
        Self { ack, ..self }
    }
    pub fn window(self, window: u16) -> Self {
        Self { window, ..self }
    }
    /// The pointer, which names the byte behind the urgent one.
    pub fn urgent(self, urgent: u16) -> Self {
        Self { urgent, flags: self.flags | URG, ..self }
    }
    /// Option bytes, padded with ends of the list.
    pub fn options(self, options: &[u8]) -> Self {
        let mut options = options.to_vec();
        options.resize(options.len().next_multiple_of(4), 0);
        Self { options, ..self }
    }
    pub fn timestamp(self, value: u32, echo: u32) -> Self {
        let [value, echo] = [value, echo].map(u32::to_be_bytes);
        self.options(&[&[1, 1, 8, 10], &value[..], &echo].concat())
    }
    /// The sensor sees it, the host behind the next routers does not.
    pub fn short_lived(self) -> Self {
        Self { ttl: 1, ..self }
    }
    pub fn bad_tcp(self) -> Self {
        Self { bad_tcp: true, ..self }
    }
    pub fn bad_ip(self) -> Self {
        Self { bad_ip: true, ..self }
    }

    /// The bytes, where the streams begin behind these numbers (the client's, the server's).
    pub fn packet(&self, isn: [u32; 2]) -> Vec<u8> {
        let (own, other) = if self.to_server { (isn[0], isn[1]) } else { (isn[1], isn[0]) };
        let number = |isn: u32, at: i64| isn.wrapping_add(1).wrapping_add(at as u32);
        let (from, to) = if self.to_server { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let (source, destination) = if self.to_server { (4000, 80) } else { (80, 4000) };
        let mut tcp = TcpHeader::new(source, destination, number(own, self.at), self.window);
        tcp.acknowledgment_number = if self.flags & ACK == 0 { 0 } else { number(other, self.ack) };
        tcp.fin = self.flags & FIN != 0;
        tcp.syn = self.flags & SYN != 0;
        tcp.rst = self.flags & RST != 0;
        tcp.psh = self.flags & PSH != 0;
        tcp.ack = self.flags & ACK != 0;
        tcp.urg = self.flags & URG != 0;
        tcp.urgent_pointer = self.urgent;
        tcp.set_options_raw(&self.options).unwrap();
        tcp.checksum = tcp.calc_checksum_ipv4_raw(from, to, &self.data).unwrap();
        tcp.checksum ^= u16::from(self.bad_tcp) << 4;
        let payload = [&tcp.to_bytes(), &self.data[..]].concat();
        let mut packet = ipv4(from, to, IpNumber::TCP, self.ttl, &payload);
        packet[10] ^= u8::from(self.bad_ip) << 4;
        packet
    }
}

pub fn ipv4(from: [u8; 4], to: [u8; 4], protocol: IpNumber, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = Ipv4Header::new(payload.len() as u16, ttl, protocol, from, to).unwrap();
    header.header_checksum = header.calc_header_checksum();
    [&header.to_bytes(), payload].concat()
}

/// A UDP datagram of the client.
pub fn udp(payload: &[u8]) -> Vec<u8> {
    let header = UdpHeader::without_ipv4_checksum(4000, 53, payload.len()).unwrap();
    ipv4(CLIENT, SERVER, IpNumber::UDP, 64, &[&header.to_bytes(), payload].concat())
}

/// One fragment: where it lies in the payload of its datagram, what it says there, whether others follow.
#[derive(Clone, Debug)]
pub struct Part {
    pub at: usize,
    pub bytes: Vec<u8>,
    pub more: bool,
}

/// Cuts the payload of an IP packet before these places.
pub fn cut(payload: &[u8], places: &[usize]) -> Vec<Part> {
    let mut ends: Vec<_> = places.iter().copied().filter(|at| *at < payload.len()).collect();
    ends.push(payload.len());
    let mut at = 0;
    let mut parts = Vec::new();
    for end in ends {
        if end > at {
            let more = end < payload.len();
            parts.push(Part { at, bytes: payload[at..end].to_vec(), more });
            at = end;
        }
    }
    parts
}

/// The fragment `part` of the datagram `packet`, IPv4 without options.
pub fn fragment4(packet: &[u8], id: u16, part: &Part) -> Vec<u8> {
    let (mut header, _) = Ipv4Header::from_slice(packet).unwrap();
    header.set_payload_len(part.bytes.len()).unwrap();
    header.identification = id;
    header.more_fragments = part.more;
    header.fragment_offset = IpFragOffset::try_new((part.at / 8) as u16).unwrap();
    header.header_checksum = header.calc_header_checksum();
    [&header.to_bytes(), &part.bytes[..]].concat()
}

/// The payload of an IPv4 packet without options.
pub fn payload4(packet: &[u8]) -> &[u8] {
    &packet[20..]
}

/// An IPv6 packet of the client: chain of extension headers included in `payload`.
pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).octets());
    packet.extend(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2).octets());
    packet.extend(payload);
    packet
}

/// A UDP header and its payload, between the hosts of [`ipv6`].
pub fn udp6(payload: &[u8]) -> Vec<u8> {
    let from = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).octets();
    let to = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2).octets();
    let mut header = UdpHeader::without_ipv4_checksum(4000, 53, payload.len()).unwrap();
    header.checksum = header.calc_checksum_ipv6_raw(from, to, payload).unwrap();
    [&header.to_bytes(), payload].concat()
}

/// A fragment header (RFC 8200, 4.5) and what follows it.
pub fn fragment6(next: u8, id: u32, part: &Part) -> Vec<u8> {
    let mut out = vec![next, 0];
    out.extend((part.at as u16 | u16::from(part.more)).to_be_bytes());
    out.extend(id.to_be_bytes());
    out.extend(&part.bytes);
    out
}

/// The packet in an outer one, of other hosts: IP in IP, GRE, or VXLAN.
pub fn wrapped(tunnel: &str, packet: &[u8]) -> Vec<u8> {
    let (from, to) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    match tunnel {
        "ipip" => ipv4(from, to, IpNumber::IPV4, 64, packet),
        "gre" => ipv4(from, to, IpNumber::GRE, 64, &[&[0, 0, 8, 0], packet].concat()),
        "vxlan" => {
            let ethernet = [&[2; 12][..], &[8, 0], packet].concat();
            let inside = [&[8, 0, 0, 0, 0, 0, 7, 0], &ethernet[..]].concat();
            let header = UdpHeader::without_ipv4_checksum(5000, 4789, inside.len()).unwrap();
            ipv4(from, to, IpNumber::UDP, 64, &[&header.to_bytes(), &inside[..]].concat())
        }
        other => panic!("no tunnel {other}"),
    }
}
