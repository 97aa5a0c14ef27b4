//! The decoded packet: typed views on the borrowed bytes, nothing copied but addresses and ports.

use std::net::IpAddr;

use super::event::Events;
use crate::capture::Frame;

/// VLAN tags (TCI), outermost first. Suricata keeps three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VlanTags {
    tags: [u16; 3],
    len: u8,
}

impl VlanTags {
    /// Adds the next inner tag; false where three are there already.
    pub fn push(&mut self, tci: u16) -> bool {
        match self.tags.get_mut(usize::from(self.len)) {
            Some(slot) => {
                *slot = tci;
                self.len += 1;
                true
            }
            None => false,
        }
    }
    /// VLAN ids (12 bits), outermost first.
    pub fn ids(&self) -> impl Iterator<Item = u16> + '_ {
        self.tags.iter().take(usize::from(self.len)).map(|tci| tci & 0x0fff)
    }
    /// Number of tags.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }
    /// Whether the frame had none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// One packet as the rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The frame it was found in.
    pub frame: Frame<'a>,
    /// EtherType behind the VLAN tags; 0 where there is none.
    pub ether_type: u16,
    /// VLAN tags, with the offloaded one first.
    pub vlan: VlanTags,
    /// Network layer.
    pub ip: Option<Ip<'a>>,
    /// Transport layer.
    pub transport: Transport<'a>,
    /// Bytes behind the last header that was understood, cut at the length the IP header gives.
    pub payload: &'a [u8],
    /// What was wrong with it.
    pub events: Events,
}

/// Network layer of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Ip<'a> {
    /// RFC 791.
    V4(Ipv4<'a>),
    /// RFC 8200.
    V6(Ipv6<'a>),
}

/// IPv4 header, its length checked.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4<'a> {
    /// The header with its options, 20 to 60 bytes.
    pub header: &'a [u8],
    /// Source address.
    pub source: std::net::Ipv4Addr,
    /// Destination address.
    pub destination: std::net::Ipv4Addr,
    /// Time to live.
    pub ttl: u8,
    /// Protocol number.
    pub protocol: u8,
    /// Identification.
    pub id: u16,
    /// Type of service / DSCP and ECN.
    pub tos: u8,
    /// Fragment offset in bytes.
    pub fragment_offset: u16,
    /// More fragments follow.
    pub more_fragments: bool,
    /// Don't fragment.
    pub dont_fragment: bool,
    /// The reserved bit.
    pub reserved: bool,
}

/// IPv6 header and its extension headers, their lengths checked.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6<'a> {
    /// The fixed header, 40 bytes.
    pub header: &'a [u8],
    /// The extension headers as they lie.
    pub extensions: &'a [u8],
    /// Source address.
    pub source: std::net::Ipv6Addr,
    /// Destination address.
    pub destination: std::net::Ipv6Addr,
    /// Hop limit.
    pub hop_limit: u8,
    /// Protocol behind the extension headers.
    pub protocol: u8,
    /// Traffic class.
    pub traffic_class: u8,
    /// The fragment header, where there is one.
    pub fragment: Option<Ipv6Fragment>,
}

/// IPv6 fragment header (RFC 8200, 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Fragment {
    /// Identification.
    pub id: u32,
    /// Offset in bytes.
    pub offset: u16,
    /// More fragments follow.
    pub more: bool,
}

/// Transport layer of a packet. A fragment has [`Transport::None`], the first one too.
#[derive(Clone, Copy, Debug)]
pub enum Transport<'a> {
    /// RFC 9293.
    Tcp(Tcp<'a>),
    /// RFC 768.
    Udp(Udp<'a>),
    /// RFC 792.
    Icmpv4(Icmp<'a>),
    /// RFC 4443.
    Icmpv6(Icmp<'a>),
    /// Another protocol: only its number is known (in [`Ip`]).
    Other,
    /// No IP, a fragment, or a header that cannot be read.
    None,
}

/// TCP header, its length checked.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<'a> {
    /// The header with its options, 20 to 60 bytes.
    pub header: &'a [u8],
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// CWR ECE URG ACK PSH RST SYN FIN, highest bit first.
    pub flags: u8,
    /// Window as in the header.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
}

impl Tcp<'_> {
    /// FIN.
    pub const FIN: u8 = 0x01;
    /// SYN.
    pub const SYN: u8 = 0x02;
    /// RST.
    pub const RST: u8 = 0x04;
    /// PSH.
    pub const PSH: u8 = 0x08;
    /// ACK.
    pub const ACK: u8 = 0x10;
    /// URG.
    pub const URG: u8 = 0x20;
    /// ECN echo.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;
}

/// UDP header.
#[derive(Clone, Copy, Debug)]
pub struct Udp<'a> {
    /// The header, 8 bytes.
    pub header: &'a [u8],
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
}

/// ICMP or ICMPv6 message. The packet's payload begins behind the 8 bytes of the header (4 for
/// messages that are shorter).
#[derive(Clone, Copy, Debug)]
pub struct Icmp<'a> {
    /// The header.
    pub header: &'a [u8],
    /// Type.
    pub icmp_type: u8,
    /// Code.
    pub code: u8,
}

impl<'a> Ip<'a> {
    /// Source address.
    pub fn source(&self) -> IpAddr {
        match self {
            Self::V4(ip) => IpAddr::V4(ip.source),
            Self::V6(ip) => IpAddr::V6(ip.source),
        }
    }
    /// Destination address.
    pub fn destination(&self) -> IpAddr {
        match self {
            Self::V4(ip) => IpAddr::V4(ip.destination),
            Self::V6(ip) => IpAddr::V6(ip.destination),
        }
    }
    /// Protocol number behind the extension headers.
    pub fn protocol(&self) -> u8 {
        match self {
            Self::V4(ip) => ip.protocol,
            Self::V6(ip) => ip.protocol,
        }
    }
    /// Time to live or hop limit.
    pub fn ttl(&self) -> u8 {
        match self {
            Self::V4(ip) => ip.ttl,
            Self::V6(ip) => ip.hop_limit,
        }
    }
    /// Whether this is a fragment of a larger datagram.
    pub fn is_fragment(&self) -> bool {
        match self {
            Self::V4(ip) => ip.more_fragments || ip.fragment_offset != 0,
            Self::V6(ip) => ip.fragment.is_some_and(|f| f.more || f.offset != 0),
        }
    }
}

impl<'a> Packet<'a> {
    /// Whether the source kept less of the frame than there was on the wire.
    pub fn is_cut(&self) -> bool {
        self.frame.data.len() < self.frame.wire_len as usize
    }
    /// Source and destination port, where the transport has ports.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match &self.transport {
            Transport::Tcp(tcp) => Some((tcp.source, tcp.destination)),
            Transport::Udp(udp) => Some((udp.source, udp.destination)),
            _ => None,
        }
    }
    /// The TCP header.
    pub fn tcp(&self) -> Option<&Tcp<'a>> {
        match &self.transport {
            Transport::Tcp(tcp) => Some(tcp),
            _ => None,
        }
    }
}
