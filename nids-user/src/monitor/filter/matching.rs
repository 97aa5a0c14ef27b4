//! Deciding on a packet.
//!
//! The filter reads headers by itself, from where the network layer begins, and believes what they say
//! the way tcpdump does: a packet whose lengths lie is no packet for a host (and has no network layer
//! for `decode`), but whoever looks at traffic wants to find it by its addresses and ports. The kernel
//! half sees it the same way, which [`super::kernel`] relies on.

use std::net::IpAddr;

use super::{Arith, Base, Expr, Family, Operator, Relation, Test, Within};
use crate::decode::{Ip, Packet};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const ARP: u16 = 0x0806;
const RARP: u16 = 0x8035;

impl Expr {
    /// Whether the packet passes. Bytes asked for by place that are not there refuse it.
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        self.holds(&View::of(packet)) == Some(true)
    }

    fn holds(&self, view: &View<'_>) -> Option<bool> {
        Some(match self {
            Self::Any => true,
            Self::And(a, b) => a.holds(view)? && b.holds(view)?,
            Self::Or(a, b) => a.holds(view)? || b.holds(view)?,
            Self::Not(a) => !a.holds(view)?,
            Self::Test(test) => test.node.holds(view)?,
        })
    }
}

impl Test {
    /// `None` where bytes asked for are not there.
    fn holds(&self, view: &View<'_>) -> Option<bool> {
        Some(match self {
            Self::EtherType(number) => view.ether_type == *number,
            Self::Protocol { family, number } => view.ip.is_some_and(|ip| {
                family.is_none_or(|family| family == ip.family) && ip.has(*number)
            }),
            Self::Address { within, side, first, last } => {
                let inside = |address: IpAddr| {
                    address.is_ipv4() == first.is_ipv4() && *first <= address && address <= *last
                };
                view.addresses(*within).is_some_and(|(source, destination)| {
                    side.test(inside(source), inside(destination))
                })
            }
            Self::Hardware { side, address } => {
                let at = |offset: usize| view.hardware.and_then(|m| m.get(offset..offset + 6));
                match (at(0), at(6)) {
                    (Some(destination), Some(source)) => {
                        side.test(source == address, destination == address)
                    }
                    _ => false,
                }
            }
            Self::Port { transport, side, first, last } => {
                let inside = |port: u16| (*first..=*last).contains(&port);
                view.ports(*transport).is_some_and(|(source, destination)| {
                    side.test(inside(source), inside(destination))
                })
            }
            Self::Vlan(None) => !view.packet.vlan.is_empty(),
            Self::Vlan(Some(id)) => view.packet.vlan.ids().any(|tag| tag == *id),
            Self::EtherBroadcast => view.hardware.is_some_and(|m| m.starts_with(&[0xff; 6])),
            Self::EtherMulticast => {
                view.hardware.is_some_and(|m| m.first().is_some_and(|byte| byte & 1 == 1))
            }
            Self::IpMulticast(family) => view.ip.is_some_and(|ip| {
                ip.family == *family
                    && match ip.destination {
                        // tcpdump takes 224.0.0.0 and all above, 255.255.255.255 too.
                        IpAddr::V4(address) => address.octets()[0] >= 224,
                        IpAddr::V6(address) => address.is_multicast(),
                    }
            }),
            Self::Compare { left, relation, right } => {
                if !(left.applies(view) && right.applies(view)) {
                    return Some(false);
                }
                let (left, right) = (left.value(view)?, right.value(view)?);
                match relation {
                    Relation::Equal => left == right,
                    Relation::NotEqual => left != right,
                    Relation::Less => left < right,
                    Relation::LessOrEqual => left <= right,
                    Relation::Greater => left > right,
                    Relation::GreaterOrEqual => left >= right,
                }
            }
        })
    }
}

impl Arith {
    /// Whether the packet has the headers that bytes are asked of.
    fn applies(&self, view: &View<'_>) -> bool {
        match self {
            Self::Number(_) | Self::Length => true,
            Self::Load { base, offset, .. } => view.header(*base).is_some() && offset.applies(view),
            Self::Binary(_, a, b) => a.applies(view) && b.applies(view),
        }
    }

    fn value(&self, view: &View<'_>) -> Option<u32> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Length => Some(view.packet.frame.wire_len),
            Self::Load { base, offset, size } => {
                let offset = usize::try_from(offset.value(view)?).ok()?;
                let end = offset.checked_add(usize::from(*size))?;
                let bytes = view.header(*base)?.get(offset..end)?;
                Some(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
            }
            Self::Binary(operator, a, b) => {
                let (a, b) = (a.value(view)?, b.value(view)?);
                match operator {
                    Operator::Add => Some(a.wrapping_add(b)),
                    Operator::Subtract => Some(a.wrapping_sub(b)),
                    Operator::Multiply => Some(a.wrapping_mul(b)),
                    Operator::Divide => a.checked_div(b),
                    Operator::Modulo => a.checked_rem(b),
                    Operator::And => Some(a & b),
                    Operator::Or => Some(a | b),
                    Operator::Xor => Some(a ^ b),
                    Operator::ShiftLeft => Some(a.checked_shl(b).unwrap_or(0)),
                    Operator::ShiftRight => Some(a.checked_shr(b).unwrap_or(0)),
                }
            }
        }
    }
}

/// A packet as the filter reads it.
struct View<'a> {
    packet: &'a Packet<'a>,
    ether_type: u16,
    /// The 14 bytes of an Ethernet header.
    hardware: Option<&'a [u8]>,
    /// From the network layer on.
    network: &'a [u8],
    ip: Option<IpView>,
}

/// An IP header as it stands.
#[derive(Clone, Copy)]
struct IpView {
    family: Family,
    source: IpAddr,
    destination: IpAddr,
    /// Protocol behind the extension headers.
    protocol: u8,
    /// Extension headers that were passed, one bit each.
    extensions: u8,
    /// Where the transport header begins; `None` in all but the first fragment.
    transport: Option<usize>,
}

/// IPv6 extension headers that are followed: hop by hop, routing, fragment, authentication,
/// destination. The kernel half follows the same.
pub(super) const EXTENSIONS: [u8; 5] = [0, 43, 44, 51, 60];

impl IpView {
    fn has(&self, number: u8) -> bool {
        let extension = EXTENSIONS.iter().position(|known| *known == number);
        self.protocol == number || extension.is_some_and(|bit| self.extensions >> bit & 1 == 1)
    }
}

impl<'a> View<'a> {
    fn of(packet: &'a Packet<'a>) -> Self {
        let frame = &packet.frame;
        let ethernet = frame.link == crate::capture::LinkType::Ethernet;
        let header = match &packet.ip {
            Some(Ip::V4(ip)) => Some(ip.header),
            Some(Ip::V6(ip)) => Some(ip.header),
            // Left where it is: `decode` takes nothing off an IP header it refuses, nor off ARP.
            None => None,
        };
        let network = match header {
            Some(header) => {
                let offset = header.as_ptr().addr().wrapping_sub(frame.data.as_ptr().addr());
                frame.data.get(offset..).unwrap_or(header)
            }
            None => packet.payload,
        };
        let ip = match packet.ether_type {
            IPV4 => ipv4(network),
            IPV6 => ipv6(network),
            _ => None,
        };
        Self {
            packet,
            ether_type: packet.ether_type,
            hardware: frame.data.get(..14).filter(|_| ethernet),
            network,
            ip,
        }
    }

    /// Source and destination.
    fn addresses(&self, within: Within) -> Option<(IpAddr, IpAddr)> {
        let arp = || {
            // RFC 826, IPv4 over hardware addresses of six bytes, as tcpdump takes it.
            let at = |offset: usize| {
                self.network.get(offset..offset + 4).and_then(|b| <[u8; 4]>::try_from(b).ok())
            };
            Some((IpAddr::from(at(14)?), IpAddr::from(at(24)?)))
        };
        match (within, self.ether_type) {
            (Within::Any | Within::Ip, IPV4 | IPV6) => {
                self.ip.map(|ip| (ip.source, ip.destination))
            }
            (Within::Any | Within::Arp, ARP) | (Within::Any | Within::Rarp, RARP) => arp(),
            _ => None,
        }
    }

    /// Source and destination port of TCP, UDP or SCTP.
    fn ports(&self, transport: Option<u8>) -> Option<(u16, u16)> {
        let ip = self.ip.filter(|ip| {
            matches!(ip.protocol, 6 | 17 | 132) && transport.is_none_or(|t| t == ip.protocol)
        })?;
        match self.network.get(ip.transport?..)? {
            [a, b, c, d, ..] => Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]))),
            _ => None,
        }
    }

    /// The bytes from this header on.
    fn header(&self, base: Base) -> Option<&'a [u8]> {
        match base {
            Base::Ether => Some(self.packet.frame.data),
            Base::Network(number) => (number == self.ether_type).then_some(self.network),
            Base::Transport { family, number } => {
                let ip = self.ip.filter(|ip| {
                    ip.protocol == number && family.is_none_or(|family| family == ip.family)
                })?;
                self.network.get(ip.transport?..)
            }
        }
    }
}

fn ipv4(network: &[u8]) -> Option<IpView> {
    let header = network.first_chunk::<20>()?;
    let offset = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
    Some(IpView {
        family: Family::V4,
        source: IpAddr::from([header[12], header[13], header[14], header[15]]),
        destination: IpAddr::from([header[16], header[17], header[18], header[19]]),
        protocol: header[9],
        extensions: 0,
        transport: (offset == 0).then_some(usize::from(header[0] & 0x0f) * 4),
    })
}

fn ipv6(network: &[u8]) -> Option<IpView> {
    let header = network.first_chunk::<40>()?;
    let address = |at: usize| {
        header.get(at..at + 16).and_then(|b| <[u8; 16]>::try_from(b).ok()).map(IpAddr::from)
    };
    let mut view = IpView {
        family: Family::V6,
        source: address(8)?,
        destination: address(24)?,
        protocol: header[6],
        extensions: 0,
        transport: None,
    };
    let mut at = 40;
    while let Some(bit) = EXTENSIONS.iter().position(|known| *known == view.protocol) {
        // A chain that is cut off has the protocol it was cut at.
        let Some([next, length, high, low, ..]) = network.get(at..) else { return Some(view) };
        let (kind, next) = (view.protocol, *next);
        view.extensions |= 1 << bit;
        view.protocol = next;
        at += match kind {
            44 if u16::from_be_bytes([*high, *low]) & 0xfff8 != 0 => return Some(view),
            44 => 8,
            51 => (usize::from(*length) + 2) * 4,
            _ => (usize::from(*length) + 1) * 8,
        };
    }
    view.transport = Some(at);
    Some(view)
}
