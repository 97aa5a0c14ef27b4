//! Internet checksums (RFC 1071) of a decoded packet: IPv4 header, TCP, UDP, ICMP, ICMPv6.
//!
//! Only for sources whose checksums mean something: a live capture sees outgoing frames before the NIC
//! has filled them in. What cannot be verified (a frame that was cut, a fragment, an IPv6 packet whose
//! routing header hides its last destination) is not called bad.

use super::event::Event;
use super::packet::{Ip, Packet, Transport};
use super::{ipv6, transport};

/// Raises an event for each wrong checksum. Returns whether all that can be verified are right.
pub fn verify(packet: &mut Packet<'_>) -> bool {
    if packet.is_cut() {
        return true;
    }
    let mut bad = None;
    match &packet.ip {
        Some(Ip::V4(ip)) if sum_header(ip.header).folded() != 0xffff => {
            bad = Some(Event::Ipv4BadChecksum)
        }
        Some(Ip::V6(ip)) if ipv6::has_routing(ip) => return true,
        Some(_) => {}
        None => return true,
    }
    if let Some(event) = bad {
        packet.events.raise(event);
    }
    let transport_bad = transport_event(packet);
    if let Some(event) = transport_bad {
        packet.events.raise(event);
    }
    bad.is_none() && transport_bad.is_none()
}

/// What is wrong with the transport's checksum.
fn transport_event(packet: &Packet<'_>) -> Option<Event> {
    let ip = packet.ip.as_ref()?;
    let (header, protocol, event) = match &packet.transport {
        Transport::Tcp(tcp) => (tcp.header, transport::TCP, Event::TcpBadChecksum),
        Transport::Udp(udp) => {
            // 0 is "none" with IPv4, and wrong with IPv6 (RFC 8200, 8.1) but for tunnels (RFC 6935).
            if udp.header.ends_with(&[0, 0]) {
                return None;
            }
            (udp.header, transport::UDP, Event::UdpBadChecksum)
        }
        Transport::Icmpv4(icmp) => {
            let total = sum(icmp.header) + sum(packet.payload);
            return (total.folded() != 0xffff).then_some(Event::Icmpv4BadChecksum);
        }
        Transport::Icmpv6(icmp) => (icmp.header, transport::ICMPV6, Event::Icmpv6BadChecksum),
        Transport::Sctp(_) | Transport::Esp(_) | Transport::Other | Transport::None => return None,
    };
    let addresses = match ip {
        Ip::V4(ip) => word(ip.source.octets()) + word(ip.destination.octets()),
        Ip::V6(ip) => sum(&ip.source.octets()) + sum(&ip.destination.octets()),
    };
    let length = (header.len() + packet.payload.len()) as u32;
    let pseudo = addresses + word(length.to_be_bytes()) + word([0, protocol, 0, 0]);
    let total = pseudo + sum_header(header) + sum(packet.payload);
    (total.folded() != 0xffff).then_some(event)
}

/// A sum of 16-bit words in the host's byte order, not folded yet. Whether it folds to 0xffff does not
/// depend on that order.
#[derive(Clone, Copy)]
struct Sum(u64);

impl std::ops::Add for Sum {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sum {
    fn folded(self) -> u16 {
        // Without a branch: 64 bits to 33, to 32, to 17, to 16.
        let sum = (self.0 & 0xffff_ffff) + (self.0 >> 32);
        let sum = (sum & 0xffff_ffff) + (sum >> 32);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        sum as u16
    }
}

/// The sum of a header of IPv4 or TCP: 20 bytes, most often.
#[inline]
fn sum_header(header: &[u8]) -> Sum {
    match header.split_first_chunk::<20>() {
        Some((first, [])) => sum_words(first),
        _ => sum(header),
    }
}

/// Bytes from which on it is worth asking what the processor has.
#[cfg(target_arch = "x86_64")]
const WIDE: usize = 64;

/// Every part but the last of a packet has an even length.
#[inline]
fn sum(bytes: &[u8]) -> Sum {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= WIDE && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function needs.
        return unsafe { sum_avx2(bytes) };
    }
    sum_words(bytes)
}

/// The same, compiled for registers of 32 bytes: a fifth of the instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sum_avx2(bytes: &[u8]) -> Sum {
    sum_words(bytes)
}

/// Adds 32-bit words: 2^16 is 1 in this arithmetic, so they fold to the same, and 64 KiB of them do
/// not overflow.
#[inline(always)]
fn sum_words(bytes: &[u8]) -> Sum {
    let (words, rest) = bytes.as_chunks::<4>();
    let last = match *rest {
        [a, b, c, ..] => word([a, b, c, 0]),
        [a, b] => word([a, b, 0, 0]),
        [a] => word([a, 0, 0, 0]),
        [] => Sum(0),
    };
    let mut total = last;
    for bytes in words {
        total = total + word(*bytes);
    }
    total
}

#[inline(always)]
fn word(bytes: [u8; 4]) -> Sum {
    Sum(u64::from(u32::from_ne_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;
    use crate::capture::{Direction, Frame, LinkType, Timestamp};
    use crate::decode::decode;

    fn verdict(data: &[u8]) -> (bool, Vec<Event>) {
        let mut packet = decode(&Frame {
            time: Timestamp(0),
            link: LinkType::Ethernet,
            data,
            wire_len: data.len() as u32,
            port: 0,
            direction: Direction::Ingress,
            vlan_offload: None,
            number: 0,
        });
        assert!(packet.events.is_empty(), "{:?}", packet.events);
        (verify(&mut packet), packet.events.iter().collect())
    }

    proptest! {
        /// What etherparse computes is right, and one changed bit is found, in every layer.
        #[test]
        fn finds_a_changed_bit(
            v6 in any::<bool>(), kind in 0..3,
            payload in prop::collection::vec(any::<u8>(), 0..80), at in any::<prop::sample::Index>(),
        ) {
            let mut data = Vec::new();
            let link = PacketBuilder::ethernet2([1; 6], [2; 6]);
            macro_rules! build {
                ($step:expr) => { $step.write(&mut data, &payload).unwrap() };
            }
            match (v6, kind) {
                (false, 0) => build!(link.ipv4([1, 2, 3, 4], [5, 6, 7, 8], 9).tcp(1, 2, 3, 4)),
                (false, 1) => build!(link.ipv4([1, 2, 3, 4], [5, 6, 7, 8], 9).udp(1, 2)),
                (false, _) => {
                    build!(link.ipv4([1, 2, 3, 4], [5, 6, 7, 8], 9).icmpv4_echo_request(1, 2))
                }
                (true, 0) => build!(link.ipv6([7; 16], [8; 16], 9).tcp(1, 2, 3, 4)),
                (true, 1) => build!(link.ipv6([7; 16], [8; 16], 9).udp(1, 2)),
                (true, _) => build!(link.ipv6([7; 16], [8; 16], 9).icmpv6_echo_request(1, 2)),
            }
            prop_assert_eq!(verdict(&data), (true, vec![]));
            if payload.is_empty() {
                return Ok(());
            }
            let start = data.len() - payload.len();
            data[start + at.index(payload.len())] ^= 4;
            let (good, events) = verdict(&data);
            prop_assert!(!good);
            prop_assert_eq!(events.len(), 1);
        }
    }

    #[test]
    fn the_header_of_ipv4() {
        let mut data = Vec::new();
        PacketBuilder::ethernet2([1; 6], [2; 6])
            .ipv4([1, 2, 3, 4], [5, 6, 7, 8], 9)
            .udp(1, 2)
            .write(&mut data, b"x")
            .unwrap();
        data[22] = 10;
        assert_eq!(verdict(&data), (false, vec![Event::Ipv4BadChecksum]));
        // A UDP checksum of 0 is none.
        data[22] = 9;
        data[40..42].fill(0);
        assert_eq!(verdict(&data), (true, vec![]));
    }
}
