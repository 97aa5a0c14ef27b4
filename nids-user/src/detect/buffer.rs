//! Buffers: the bytes that a rule's contents look at. A sticky buffer names one for all contents behind
//! it (Suricata user guide, "Rules Format", "Modifier Keywords"); without one it is the payload.
//!
//! Here are those of a packet by itself; those of application protocols are in [`super::app_buffer`].

use std::net::IpAddr;

pub use super::app_buffer::AppBuffer;
use crate::decode::{Ip, Packet, Transport};

/// One buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Buffer {
    /// The packet's payload, and the stream it is part of: `pkt_data`, or no sticky buffer at all.
    Payload,
    // The bytes are those that Suricata 7.0.10 shows, tried one by one.
    /// `tcp.hdr`: the TCP header with its options.
    TcpHeader,
    /// `udp.hdr`.
    UdpHeader,
    /// `ipv4.hdr`: the IPv4 header with its options.
    Ipv4Header,
    /// `ipv6.hdr`: the IPv6 header with its extension headers; of a fragment the fixed header alone.
    Ipv6Header,
    /// `icmpv4.hdr`: 8 bytes; 20 of a timestamp or its reply.
    Icmpv4Header,
    /// `icmpv6.hdr`: 8 bytes.
    Icmpv6Header,
    /// `ip.src`: the source address, 4 or 16 bytes.
    SourceAddress,
    /// `ip.dst`: the destination address.
    DestinationAddress,
    /// One of an application protocol's transactions.
    App(AppBuffer),
}

impl Buffer {
    /// The one of an application protocol, if it is one.
    pub fn app(self) -> Option<AppBuffer> {
        match self {
            Self::App(buffer) => Some(buffer),
            _ => None,
        }
    }
    /// Whether each time a rule names it, another one may match.
    pub fn is_several(self) -> bool {
        self.app().is_some_and(|buffer| buffer.registered().several)
    }
    /// Whether it is a header of a packet.
    pub fn is_of_headers(self) -> bool {
        !matches!(self, Self::Payload | Self::App(_))
    }
    /// Whether a rule that looks at it does not see streams. Addresses are those of the stream too.
    pub fn is_of_packets(self) -> bool {
        !matches!(
            self,
            Self::Payload | Self::SourceAddress | Self::DestinationAddress | Self::App(_)
        )
    }
    /// The bytes of a packet's header; `None` where the packet has no such header, and for the payload.
    pub fn of_packet<'p>(self, packet: &Packet<'p>, room: &'p mut [u8; 16]) -> Option<&'p [u8]> {
        match (self, &packet.transport, &packet.ip) {
            (Self::TcpHeader, Transport::Tcp(tcp), _) => Some(tcp.header),
            (Self::UdpHeader, Transport::Udp(udp), _) => Some(udp.header),
            (Self::Icmpv4Header, Transport::Icmpv4(icmp), _)
            | (Self::Icmpv6Header, Transport::Icmpv6(icmp), _) => Some(icmp.header),
            (Self::Ipv4Header, _, Some(Ip::V4(ip))) => Some(ip.header),
            (Self::Ipv6Header, _, Some(ip @ Ip::V6(v6))) => {
                Some(if ip.is_fragment() { v6.header } else { v6.headers })
            }
            (Self::SourceAddress, _, Some(ip)) => Some(octets(ip.source(), room)),
            (Self::DestinationAddress, _, Some(ip)) => Some(octets(ip.destination(), room)),
            _ => None,
        }
    }
}

fn octets(address: IpAddr, room: &mut [u8; 16]) -> &[u8] {
    match address {
        IpAddr::V4(address) => {
            if let Some(four) = room.first_chunk_mut() {
                *four = address.octets();
            }
            room.get(..4).unwrap_or_default()
        }
        IpAddr::V6(address) => {
            *room = address.octets();
            room
        }
    }
}
