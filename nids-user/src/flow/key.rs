//! What makes packets belong together: both directions of a flow give the same [`Key`].

use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::decode::{Icmp, Ip, Packet, Transport};

/// Addresses, ports, protocol, VLAN ids and tunnels around it, the smaller end first. Packed into words, so that a
/// comparison is six of them and nothing in it is padding.
#[derive(Clone, Copy, Debug, Default)]
pub struct Key([u64; 6]);

/// Both ends of a flow, as its key has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Address of the client.
    pub client: IpAddr,
    /// Its port; the type of ICMP.
    pub client_port: u16,
    /// Address of the server.
    pub server: IpAddr,
    /// Its port.
    pub server_port: u16,
    /// IP protocol number.
    pub ip_proto: u8,
    /// VLAN tags, those without the tag 0.
    pub vlan: [Option<u16>; 3],
    /// Tunnels around it.
    pub depth: u8,
}

/// A key, and at which of its ends the packet started.
pub struct Oriented {
    /// The key.
    pub key: Key,
    /// The source of the packet is the second end.
    pub from_second: bool,
}

impl Oriented {
    /// The key of a packet; `None` where it has no IP or no readable transport, as with fragments.
    ///
    /// ICMP messages that answer each other (echo, timestamp, ...) share a key with the identifier in
    /// it; others are keyed by their type.
    #[inline]
    pub fn of(packet: &Packet<'_>, with_vlan: bool) -> Option<Self> {
        let ip = packet.ip.as_ref()?;
        let (source_port, destination_port, id) = match &packet.transport {
            Transport::Tcp(tcp) => (tcp.source, tcp.destination, 0),
            Transport::Udp(udp) => (udp.source, udp.destination, 0),
            Transport::Icmpv4(icmp) => icmp_ends(icmp, answer_v4(icmp.icmp_type)),
            Transport::Icmpv6(icmp) => icmp_ends(icmp, answer_v6(icmp.icmp_type)),
            Transport::Sctp(sctp) => (sctp.source, sctp.destination, 0),
            Transport::Esp(_) | Transport::Other => (0, 0, 0),
            Transport::None => return None,
        };
        let (version, source, destination) = match ip {
            Ip::V4(ip) => {
                (4, u128::from(u32::from(ip.source)), u128::from(u32::from(ip.destination)))
            }
            Ip::V6(ip) => (6, u128::from(ip.source), u128::from(ip.destination)),
        };
        let (source, destination) = ((source, source_port), (destination, destination_port));
        let from_second = source > destination;
        let (first, second) =
            if from_second { (destination, source) } else { (source, destination) };

        let ports = u64::from(first.1) << 16 | u64::from(second.1);
        let protocol = u64::from(ip.protocol()) << 8 | version;
        let mut vlan = 0;
        if with_vlan {
            for vlan_id in packet.vlan.ids() {
                // 0 is a priority tag, no VLAN: kept apart from "no tag" all the same.
                vlan = vlan << 16 | 0x8000 | u64::from(vlan_id);
            }
        }
        // Three tags take 48 bits.
        let around = u64::from(packet.depth) << 48 | vlan;
        let key = Key([
            (first.0 >> 64) as u64,
            first.0 as u64,
            (second.0 >> 64) as u64,
            second.0 as u64,
            ports << 32 | u64::from(id) << 16 | protocol,
            around,
        ]);
        Some(Self { key, from_second })
    }
}

/// Without a branch: a call of memcmp costs more than six words.
impl PartialEq for Key {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

impl Key {
    /// What it was made from. `client_second`: the client is the second end.
    pub fn ends(&self, client_second: bool) -> Ends {
        let [a, b, c, d, ports, around] = self.0;
        let version = ports as u8;
        let address = |high: u64, low: u64| match version {
            4 => IpAddr::V4(Ipv4Addr::from(low as u32)),
            _ => IpAddr::V6(Ipv6Addr::from(u128::from(high) << 64 | u128::from(low))),
        };
        let first = (address(a, b), (ports >> 48) as u16);
        let second = (address(c, d), (ports >> 32) as u16);
        let (client, server) = if client_second { (second, first) } else { (first, second) };
        let tag = |shift: u32| {
            let tag = (around >> shift) as u16;
            (tag & 0x8000 != 0).then_some(tag & 0x0fff)
        };
        Ends {
            client: client.0,
            client_port: client.1,
            server: server.0,
            server_port: server.1,
            ip_proto: (ports >> 8) as u8,
            vlan: [tag(32), tag(16), tag(0)],
            depth: (around >> 48) as u8,
        }
    }
    /// Hash under a secret: who does not know it cannot aim at one chain.
    #[inline]
    pub fn hash(&self, secret: &impl BuildHasher) -> u64 {
        // Word by word: as a slice it would be hashed as bytes of any number.
        let mut hasher = secret.build_hasher();
        self.0.iter().for_each(|word| hasher.write_u64(*word));
        hasher.finish()
    }
}

/// Stands for the answer's type where a message has none.
const NO_ANSWER: u16 = 0x100;

/// Type, type of the answer, and identifier: what ports are to TCP.
fn icmp_ends(icmp: &Icmp<'_>, answer: Option<u8>) -> (u16, u16, u16) {
    let kind = u16::from(icmp.icmp_type);
    match (answer, icmp.header) {
        (Some(answer), [_, _, _, _, high, low, ..]) => {
            (kind, u16::from(answer), u16::from_be_bytes([*high, *low]))
        }
        (Some(answer), _) => (kind, u16::from(answer), 0),
        (None, _) => (kind, NO_ANSWER, 0),
    }
}

/// The type that answers this one: echo, router discovery, timestamp, information, address mask.
fn answer_v4(kind: u8) -> Option<u8> {
    Some(match kind {
        0 => 8,
        8 => 0,
        9 => 10,
        10 => 9,
        13 => 14,
        14 => 13,
        15 => 16,
        16 => 15,
        17 => 18,
        18 => 17,
        _ => return None,
    })
}

/// Echo (RFC 4443, 4). Neighbour discovery has no identifier and stays keyed by type.
fn answer_v6(kind: u8) -> Option<u8> {
    match kind {
        128 => Some(129),
        129 => Some(128),
        _ => None,
    }
}
