//! The decoded packet: typed views on the borrowed bytes, nothing copied but addresses and ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::event::{Event, Events};
use super::{MAX_LAYERS, link, transport};
use crate::capture::{Direction, Frame, LinkType, Timestamp};
use crate::flow::{Ends, FlowDirection};

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
    /// Bytes of it: on the wire, or within the tunnel.
    pub length: u32,
    /// Tunnels around it.
    pub depth: u8,
    /// Where it came from.
    pub origin: Origin,
    /// Headers that may still come, those inside it included; see [`super::MAX_LAYERS`].
    pub layers_left: u8,
    /// Its payload is a packet of its own, found by [`super::Tunnels::inner`]. Rules see the payload
    /// there and not here.
    pub carrier: bool,
}

/// Where a packet came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// It is the frame itself.
    #[default]
    Wire,
    /// GRE, and what lies in it.
    Gre,
    /// Right behind an IPv4 header.
    Ipv4,
    /// Right behind an IPv6 header.
    Ipv6,
    /// Teredo.
    Teredo,
    /// Geneve.
    Geneve,
    /// VXLAN.
    Vxlan,
    /// It was put together from fragments.
    Defrag,
    /// Nobody sent it: it stands for the end of a flow.
    FlowEnd,
}

impl Origin {
    /// EVE's `pkt_src`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wire => "wire/pcap",
            Self::Gre => "gre tunnel",
            Self::Ipv4 => "ipv4 tunnel",
            Self::Ipv6 => "ipv6 tunnel",
            Self::Teredo => "teredo tunnel",
            Self::Geneve => "geneve encapsulation",
            Self::Vxlan => "vxlan encapsulation",
            Self::Defrag => "defrag",
            Self::FlowEnd => "stream (flow timeout)",
        }
    }
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
    /// The fixed header and the extension headers as they lie.
    pub headers: &'a [u8],
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

impl<'a> Ipv6<'a> {
    /// The extension headers as they lie.
    pub fn extensions(&self) -> &'a [u8] {
        self.headers.get(self.header.len()..).unwrap_or_default()
    }
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
    /// RFC 9260.
    Sctp(Sctp<'a>),
    /// RFC 4303.
    Esp(Esp),
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

/// SCTP common header.
#[derive(Clone, Copy, Debug)]
pub struct Sctp<'a> {
    /// The header, 12 bytes.
    pub header: &'a [u8],
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Verification tag.
    pub verification_tag: u32,
}

/// ESP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Esp {
    /// Security parameters index.
    pub spi: u32,
    /// Sequence number.
    pub sequence: u32,
}

/// The packet that an ICMP or ICMPv6 error quotes, as far as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Protocol number; of IPv6 what its fixed header names.
    pub protocol: u8,
    /// Source and destination port of TCP, UDP or SCTP, where they are quoted.
    pub ports: Option<(u16, u16)>,
}

/// ARP for IPv4 over Ethernet (RFC 826).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// 1 request, 2 reply.
    pub operation: u16,
    /// Link address of the sender.
    pub sender_mac: [u8; 6],
    /// Address of the sender.
    pub sender: Ipv4Addr,
    /// Link address of the target; zeros in a request.
    pub target_mac: [u8; 6],
    /// Address of the target.
    pub target: Ipv4Addr,
}

/// ICMP or ICMPv6 message. The packet's payload begins behind the 8 bytes of the header (20 for timestamps
/// of ICMP, 4 for messages that are shorter).
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
    /// One of which nothing is known yet but its bytes.
    pub fn new(frame: &Frame<'a>, data: &'a [u8]) -> Self {
        Self {
            frame: *frame,
            ether_type: 0,
            vlan: VlanTags::default(),
            ip: None,
            transport: Transport::None,
            payload: data,
            events: Events::default(),
            length: frame.wire_len,
            depth: 0,
            origin: Origin::Wire,
            layers_left: MAX_LAYERS - 1,
            carrier: false,
        }
    }
    /// Counts one more header; false, with the event, where that is one too many.
    #[inline]
    pub(super) fn enter(&mut self) -> bool {
        self.layers_left = self.layers_left.saturating_sub(1);
        if self.layers_left == 0 {
            self.events.raise(Event::TooManyLayers);
            return false;
        }
        true
    }
    /// Whether the source kept less of the frame than there was on the wire.
    pub fn is_cut(&self) -> bool {
        self.frame.data.len() < self.frame.wire_len as usize
    }
    /// Source and destination port, where the transport has ports.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match &self.transport {
            Transport::Tcp(tcp) => Some((tcp.source, tcp.destination)),
            Transport::Udp(udp) => Some((udp.source, udp.destination)),
            Transport::Sctp(sctp) => Some((sctp.source, sctp.destination)),
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
    /// The ICMP or ICMPv6 header.
    #[inline]
    pub fn icmp(&self) -> Option<&Icmp<'a>> {
        match &self.transport {
            Transport::Icmpv4(icmp) | Transport::Icmpv6(icmp) => Some(icmp),
            _ => None,
        }
    }
    /// The packet that an ICMP error quotes.
    pub fn embedded(&self) -> Option<Embedded> {
        let quoted = self.payload;
        let (source, destination, protocol, upper): (IpAddr, IpAddr, _, _) = match &self.transport {
            Transport::Icmpv4(icmp) if matches!(icmp.icmp_type, 3 | 4 | 5 | 11 | 12) => {
                let header = quoted.first_chunk::<20>().filter(|header| header[0] >> 4 == 4)?;
                let [.., a, b, c, d, e, f, g, h] = *header;
                let (source, destination) = (Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h));
                // Only the first fragment has ports.
                let first = u16::from_be_bytes([header[6], header[7]]) & 0x1fff == 0;
                let length = usize::from(header[0] & 0x0f) * 4;
                let upper = quoted.get(length.max(20)..).filter(|_| first);
                (source.into(), destination.into(), header[9], upper)
            }
            Transport::Icmpv6(icmp) if matches!(icmp.icmp_type, 1..=4) => {
                let (header, upper) = quoted.split_first_chunk::<40>()?;
                if header[0] >> 4 != 6 {
                    return None;
                }
                let address = |at| {
                    let bytes = header.get(at..)?.first_chunk::<16>()?;
                    Some(IpAddr::from(Ipv6Addr::from(*bytes)))
                };
                (address(8)?, address(24)?, header[6], Some(upper))
            }
            _ => return None,
        };
        let ports = match (protocol, upper) {
            (transport::TCP | transport::UDP | transport::SCTP, Some([a, b, c, d, ..])) => {
                Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
            }
            _ => None,
        };
        Some(Embedded { source, destination, protocol, ports })
    }
    /// The ARP message, where this is one of Ethernet and IPv4.
    pub fn arp(&self) -> Option<Arp> {
        const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];
        if self.ether_type != link::ARP || self.ip.is_some() {
            return None;
        }
        let body = self.payload.strip_prefix(&ETHERNET_IPV4)?;
        let (operation, body) = body.split_first_chunk::<2>()?;
        let (sender_mac, body) = body.split_first_chunk::<6>()?;
        let (sender, body) = body.split_first_chunk::<4>()?;
        let (target_mac, body) = body.split_first_chunk::<6>()?;
        let target = body.first_chunk::<4>()?;
        Some(Arp {
            operation: u16::from_be_bytes(*operation),
            sender_mac: *sender_mac,
            sender: (*sender).into(),
            target_mac: *target_mac,
            target: (*target).into(),
        })
    }
}

/// The packet that stands for the end of a flow: nobody sent it, and there is nothing in it but the ends
/// of the flow.
pub fn of_flow_end(ends: &Ends, direction: FlowDirection, time: Timestamp) -> Packet<'static> {
    let (from, to, source, destination) = match direction {
        FlowDirection::ToServer => (ends.client, ends.server, ends.client_port, ends.server_port),
        FlowDirection::ToClient => (ends.server, ends.client, ends.server_port, ends.client_port),
    };
    let frame = Frame {
        time,
        link: LinkType::RawIp,
        data: &[],
        wire_len: 0,
        port: 0,
        direction: Direction::default(),
        vlan_offload: None,
        number: 0,
    };
    let mut packet = Packet::new(&frame, &[]);
    for tag in ends.vlan.into_iter().flatten() {
        packet.vlan.push(tag);
    }
    packet.depth = ends.depth;
    packet.origin = Origin::FlowEnd;
    packet.ip = match (from, to) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => Some(Ip::V4(Ipv4 {
            header: &[],
            source,
            destination,
            ttl: 0,
            protocol: ends.ip_proto,
            id: 0,
            tos: 0,
            fragment_offset: 0,
            more_fragments: false,
            dont_fragment: false,
            reserved: false,
        })),
        (IpAddr::V6(source), IpAddr::V6(destination)) => Some(Ip::V6(Ipv6 {
            header: &[],
            headers: &[],
            source,
            destination,
            hop_limit: 0,
            protocol: ends.ip_proto,
            traffic_class: 0,
            fragment: None,
        })),
        _ => None,
    };
    packet.transport = match ends.ip_proto {
        transport::UDP => Transport::Udp(Udp { header: &[], source, destination }),
        _ => Transport::Tcp(Tcp {
            header: &[],
            source,
            destination,
            seq: 0,
            ack: 0,
            flags: Tcp::ACK,
            window: 0,
            urgent: 0,
        }),
    };
    packet
}
