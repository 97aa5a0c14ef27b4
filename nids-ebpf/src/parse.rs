//! From bytes to what the filter asks about: ports and TCP flags, an ICMP type, a protocol number, or
//! the reason why none of these can be told.
//!
//! It judges only what it has followed to the end. In doubt about payload it says that there is some;
//! in doubt about a header it says [`Kind::Unjudged`]. What the tables want of it is left to `filter`.

use core::arch::asm;

use nids_abi::{
    LEVEL_ALL, LEVEL_CONTROL, LEVEL_PAYLOAD, MAX_EXTENSION_HEADERS, MAX_VLAN_TAGS, vlan_word,
};

use crate::frame::{Bytes, Frame, Loaded, Wire};
use crate::maps::ZERO;

/// The frame ended (or the part of it at hand did) before the headers did.
pub struct Short;

/// What a frame is to the filter.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A TCP segment; the levels at or above `least` want it.
    Tcp { source: u16, destination: u16, least: u8 },
    /// A UDP datagram; the levels at or above `least` want it.
    Udp { source: u16, destination: u16, least: u8 },
    /// ICMP over IPv4, by type.
    Icmp4(u8),
    /// ICMPv6 over IPv6, by type.
    Icmp6(u8),
    /// Another protocol, by number.
    Other(u8),
    /// A fragment of an IP datagram.
    Fragment,
    /// Headers that cannot be followed to the end.
    Unjudged,
    /// No IP inside.
    NonIp,
}

/// Where the headers lie, and what makes up the flow. All zero where there is no IP header that can
/// be read.
#[derive(Clone, Copy, Default)]
pub struct Layers {
    /// Offset of the IP header.
    pub l3: usize,
    /// Offset of what lies behind the IP headers, 0 for fragments and where it could not be judged.
    pub l4: usize,
    /// Source and destination port, 0 where there are none or they could not be judged.
    pub ports: [u16; 2],
    /// VLAN tags in the frame, as in a [`ShuntKey`](nids_abi::ShuntKey).
    pub vlan: u64,
    /// Flags of the TCP segment.
    pub tcp_flags: u8,
    /// Protocol behind the IP headers; for fragments what the fragment says of itself.
    pub ip_proto: u8,
    /// The IP header is one of IPv6.
    pub v6: bool,
    /// This is a fragment.
    pub fragment: bool,
}

impl Layers {
    /// Leaves everything as it is, but for the verifier makes it values it knows nothing of. It follows
    /// each way through the headers on its own, knows what each leads to, and would check all that
    /// comes behind once for each: more than it is willing to.
    #[inline(always)]
    pub fn blur(&mut self) {
        let zero = ZERO.load();
        let blur = |value: u64| {
            let mut value = value;
            // In assembly, or the compiler would compare with the zero itself, and so tell what it is.
            // SAFETY: an addition of two registers.
            unsafe { asm!("{value} += {zero}", value = inout(reg) value, zero = in(reg) zero) };
            value
        };
        *self = Self {
            l3: blur(self.l3 as u64) as usize,
            l4: blur(self.l4 as u64) as usize,
            ports: self.ports.map(|port| blur(u64::from(port)) as u16),
            vlan: blur(self.vlan),
            tcp_flags: blur(u64::from(self.tcp_flags)) as u8,
            ip_proto: blur(u64::from(self.ip_proto)) as u8,
            v6: blur(u64::from(self.v6)) != 0,
            fragment: blur(u64::from(self.fragment)) != 0,
        };
    }
}

mod ether_type {
    pub const IPV4: u16 = 0x0800;
    pub const IPV6: u16 = 0x86dd;
    pub const VLAN: u16 = 0x8100;
    pub const VLAN_SERVICE: u16 = 0x88a8;
    pub const VLAN_QINQ: u16 = 0x9100;
    /// Below this it is a length (IEEE 802.3), and LLC follows, which may carry SNAP and that IP.
    pub const FIRST: u16 = 0x0600;
    /// May carry IP behind headers that are not followed here: transparent bridging, PPP, MPLS, PPPoE
    /// session, FabricPath, MetaData, MACsec, provider backbone (802.1ah), VN-Tag, bridge port
    /// extension, NSH, TRILL.
    pub const TUNNELS: [u16; 13] = [
        0x6558, 0x880b, 0x8847, 0x8848, 0x8864, 0x8903, 0x8909, 0x88e5, 0x88e7, 0x8926, 0x893f,
        0x894f, 0x22f3,
    ];
}

pub mod protocol {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP4: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const AUTHENTICATION: u8 = 51;
    pub const ICMP6: u8 = 58;
    pub const DESTINATION: u8 = 60;
}

const ETHERNET: usize = 14;
const VLAN_TAG: usize = 4;
const IPV4: usize = 20;
const IPV6: usize = 40;
const TCP: usize = 20;
const UDP: usize = 8;
/// Type, code and checksum, which every ICMP message has.
const ICMP: usize = 4;
/// FIN, SYN, RST.
pub const TCP_CONTROL: u8 = 0x07;
/// SYN.
pub const TCP_SYN: u8 = 0x02;

/// RFC 791, 3.1.
#[derive(Clone, Copy)]
#[repr(C)]
struct Ipv4 {
    version_ihl: u8,
    tos: u8,
    total_length: [u8; 2],
    id: [u8; 2],
    fragment: [u8; 2],
    ttl: u8,
    protocol: u8,
    rest: [u8; 10],
}
// SAFETY: bytes only.
unsafe impl Wire for Ipv4 {}

/// RFC 8200, 3.
#[derive(Clone, Copy)]
#[repr(C)]
struct Ipv6 {
    version: u8,
    flow: [u8; 3],
    payload_length: [u8; 2],
    next_header: u8,
    rest: [u8; 33],
}
// SAFETY: bytes only.
unsafe impl Wire for Ipv6 {}

/// RFC 9293, 3.1.
#[derive(Clone, Copy)]
#[repr(C)]
struct Tcp {
    ports: [[u8; 2]; 2],
    numbers: [u8; 8],
    data_offset: u8,
    flags: u8,
    rest: [u8; 6],
}
// SAFETY: bytes only.
unsafe impl Wire for Tcp {}

/// RFC 768.
#[derive(Clone, Copy)]
#[repr(C)]
struct Udp {
    ports: [[u8; 2]; 2],
    rest: [u8; 4],
}
// SAFETY: bytes only.
unsafe impl Wire for Udp {}

/// Parses what can be read directly; where that is not all of the frame and ends too early, once more
/// through the kernel's helper.
#[inline(always)]
pub fn headers<F: Frame>(frame: F, wire_len: u32, layers: &mut Layers) -> Kind {
    let linear = frame.linear();
    if let Ok(kind) = parse(&linear, wire_len as usize, layers) {
        return kind;
    }
    if F::SPLIT && linear.len() < wire_len {
        *layers = Layers::default();
        if let Ok(kind) = parse(&Loaded(frame), wire_len as usize, layers) {
            return kind;
        }
    }
    Kind::Unjudged
}

/// Follows the headers of a frame of `wire_len` bytes, and notes in `layers` what it passes.
#[inline(always)]
pub fn parse(bytes: &impl Bytes, wire_len: usize, layers: &mut Layers) -> Result<Kind, Short> {
    let mut ether_type = be16(bytes, ETHERNET - 2)?;
    let mut l3 = ETHERNET;
    for tag in 0..MAX_VLAN_TAGS {
        if !is_vlan(ether_type) {
            break;
        }
        let [tci, next]: [[u8; 2]; 2] = bytes.read(l3).ok_or(Short)?;
        layers.vlan |= vlan_word(u16::from_be_bytes(tci)) << (16 * tag);
        ether_type = u16::from_be_bytes(next);
        l3 += VLAN_TAG;
    }
    match ether_type {
        ether_type::IPV4 => ipv4(bytes, l3, wire_len, layers),
        ether_type::IPV6 => ipv6(bytes, l3, wire_len, layers),
        _ if is_vlan(ether_type) || may_carry_ip(ether_type) => Ok(Kind::Unjudged),
        _ => Ok(Kind::NonIp),
    }
}

#[inline(always)]
fn is_vlan(ether_type: u16) -> bool {
    matches!(ether_type, ether_type::VLAN | ether_type::VLAN_SERVICE | ether_type::VLAN_QINQ)
}

#[inline(always)]
fn may_carry_ip(ether_type: u16) -> bool {
    ether_type < ether_type::FIRST || ether_type::TUNNELS.contains(&ether_type)
}

#[inline(always)]
fn ipv4(
    bytes: &impl Bytes,
    l3: usize,
    wire_len: usize,
    layers: &mut Layers,
) -> Result<Kind, Short> {
    let ip: Ipv4 = bytes.read(l3).ok_or(Short)?;
    let header = usize::from(ip.version_ihl & 0x0f) * 4;
    if ip.version_ihl >> 4 != 4 || header < IPV4 {
        return Ok(Kind::Unjudged);
    }
    layers.l3 = l3;
    layers.ip_proto = ip.protocol;
    // More fragments, or an offset.
    if u16::from_be_bytes(ip.fragment) & 0x3fff != 0 {
        layers.fragment = true;
        return Ok(Kind::Fragment);
    }
    let end = ip_end(l3, usize::from(u16::from_be_bytes(ip.total_length)), wire_len);
    transport(bytes, l3 + header, end, wire_len, layers)
}

#[inline(always)]
fn ipv6(
    bytes: &impl Bytes,
    l3: usize,
    wire_len: usize,
    layers: &mut Layers,
) -> Result<Kind, Short> {
    let ip: Ipv6 = bytes.read(l3).ok_or(Short)?;
    if ip.version >> 4 != 6 {
        return Ok(Kind::Unjudged);
    }
    layers.l3 = l3;
    layers.v6 = true;
    layers.ip_proto = ip.next_header;
    let end = ip_end(l3 + IPV6, usize::from(u16::from_be_bytes(ip.payload_length)), wire_len);
    let mut at = l3 + IPV6;
    for _ in 0..MAX_EXTENSION_HEADERS {
        let length = match layers.ip_proto {
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION => {
                let [next, words]: [u8; 2] = bytes.read(at).ok_or(Short)?;
                layers.ip_proto = next;
                (usize::from(words) + 1) * 8
            }
            protocol::AUTHENTICATION => {
                let [next, words]: [u8; 2] = bytes.read(at).ok_or(Short)?;
                layers.ip_proto = next;
                (usize::from(words) + 2) * 4
            }
            protocol::FRAGMENT => {
                let [next, _, high, low]: [u8; 4] = bytes.read(at).ok_or(Short)?;
                layers.ip_proto = next;
                // An offset, or more fragments; without either it is a whole datagram (RFC 6946).
                if u16::from_be_bytes([high, low]) & 0xfff9 != 0 {
                    layers.fragment = true;
                    return Ok(Kind::Fragment);
                }
                8
            }
            _ => return transport(bytes, at, end, wire_len, layers),
        };
        at += length;
    }
    match layers.ip_proto {
        protocol::HOP_BY_HOP
        | protocol::ROUTING
        | protocol::DESTINATION
        | protocol::AUTHENTICATION
        | protocol::FRAGMENT => Ok(Kind::Unjudged),
        _ => transport(bytes, at, end, wire_len, layers),
    }
}

/// Where the IP header says that the datagram ends. A length of 0 is what the kernel leaves in large
/// GSO frames, and stands for all that is there.
#[inline(always)]
fn ip_end(from: usize, length: usize, wire_len: usize) -> usize {
    if length == 0 { wire_len } else { from + length }
}

/// `l4`: where the IP headers end. `end`: where the datagram does, as its header says; the frame may
/// be longer (padding) or shorter (cut).
#[inline(always)]
fn transport(
    bytes: &impl Bytes,
    l4: usize,
    end: usize,
    wire_len: usize,
    layers: &mut Layers,
) -> Result<Kind, Short> {
    let holds = |header: usize| l4 + header <= end && l4 + header <= wire_len;
    let kind = match layers.ip_proto {
        protocol::TCP => {
            let tcp: Tcp = bytes.read(l4).ok_or(Short)?;
            let header = usize::from(tcp.data_offset >> 4) * 4;
            if header < TCP || !holds(header) {
                return Ok(Kind::Unjudged);
            }
            let least = if tcp.flags & TCP_CONTROL != 0 {
                LEVEL_CONTROL
            } else if l4 + header < end {
                LEVEL_PAYLOAD
            } else {
                LEVEL_ALL
            };
            let [source, destination] = tcp.ports.map(u16::from_be_bytes);
            layers.ports = [source, destination];
            layers.tcp_flags = tcp.flags;
            Kind::Tcp { source, destination, least }
        }
        protocol::UDP => {
            let udp: Udp = bytes.read(l4).ok_or(Short)?;
            if !holds(UDP) {
                return Ok(Kind::Unjudged);
            }
            let [source, destination] = udp.ports.map(u16::from_be_bytes);
            layers.ports = [source, destination];
            let least = if l4 + UDP < end { LEVEL_PAYLOAD } else { LEVEL_ALL };
            Kind::Udp { source, destination, least }
        }
        protocol::ICMP4 if !layers.v6 => {
            let [icmp_type, ..]: [u8; ICMP] = bytes.read(l4).ok_or(Short)?;
            if !holds(ICMP) {
                return Ok(Kind::Unjudged);
            }
            Kind::Icmp4(icmp_type)
        }
        protocol::ICMP6 if layers.v6 => {
            let [icmp_type, ..]: [u8; ICMP] = bytes.read(l4).ok_or(Short)?;
            if !holds(ICMP) {
                return Ok(Kind::Unjudged);
            }
            Kind::Icmp6(icmp_type)
        }
        number => {
            if !holds(0) {
                return Ok(Kind::Unjudged);
            }
            Kind::Other(number)
        }
    };
    layers.l4 = l4;
    Ok(kind)
}

#[inline(always)]
fn be16(bytes: &impl Bytes, offset: usize) -> Result<u16, Short> {
    bytes.read(offset).map(u16::from_be_bytes).ok_or(Short)
}
