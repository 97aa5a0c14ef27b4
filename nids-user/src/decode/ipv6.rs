//! IPv6 (RFC 8200): the fixed header and the chain of extension headers behind it.

use etherparse::Ipv6HeaderSlice;
use etherparse::err::ipv6::HeaderSliceError;

use super::event::{Event, Events};
use super::packet::{Ip, Ipv6, Ipv6Fragment, Packet, Transport};
use super::transport;
use super::tunnel::{GRE, IPV4_IN_IP, IPV6_IN_IP};

/// Bytes of the fixed header.
pub const HEADER: usize = 40;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NONE: u8 = 59;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

/// Extension headers that the kernel half does not look behind: rare, and more of them would cost every
/// frame.
pub const IPV6_ONLY_BY_AGENT: [u8; 3] = [MOBILITY, HIP, SHIM6];

/// Reads the header at the start of `data` and follows its extension headers to the transport.
#[inline]
pub fn decode<'a>(packet: &mut Packet<'a>, data: &'a [u8]) {
    packet.payload = data;
    let header = match Ipv6HeaderSlice::from_slice(data) {
        Ok(header) => header,
        Err(error) => {
            packet.events.raise(match error {
                HeaderSliceError::Len(_) => Event::Ipv6TooSmall,
                HeaderSliceError::Content(_) => Event::Ipv6WrongVersion,
            });
            return;
        }
    };
    let rest = data.get(header.slice().len()..).unwrap_or_default();
    let next = header.next_header().0;
    let mut length = usize::from(header.payload_length());
    // 0 says "longer than 65535": a jumbogram (RFC 2675) or a segmentation offload's super-frame.
    if length == 0 && (next == HOP_BY_HOP || packet.frame.wire_len > u32::from(u16::MAX)) {
        length = rest.len();
    }
    if length > rest.len() {
        packet.events.raise(Event::Ipv6Truncated);
        // Cut by the source: look at what there is. Else the length lies, and no host takes it.
        if !packet.is_cut() {
            return;
        }
    }
    let body = rest.get(..length).unwrap_or(rest);
    let chain = Chain::follow(&mut packet.events, next, body);
    let upper = body.get(chain.length..).unwrap_or_default();
    let headers = data.get(..header.slice().len() + body.len() - upper.len());
    packet.ip = Some(Ip::V6(Ipv6 {
        header: header.slice(),
        headers: headers.unwrap_or(header.slice()),
        source: header.source_addr(),
        destination: header.destination_addr(),
        hop_limit: header.hop_limit(),
        protocol: chain.protocol,
        traffic_class: header.traffic_class(),
        fragment: chain.fragment,
    }));
    packet.payload = upper;
    if !chain.whole {
        return;
    }
    match chain.protocol {
        transport::TCP => transport::tcp(packet, upper),
        transport::UDP => transport::udp(packet, upper),
        transport::ICMPV6 => super::icmp::v6(packet, upper),
        transport::SCTP => transport::sctp(packet, upper),
        transport::ESP => transport::esp(packet, upper),
        _ => packet.transport = Transport::Other,
    }
}

/// Whether a routing header names stations still to come: the destination is not the last one.
pub(super) fn has_routing(ip: &Ipv6<'_>) -> bool {
    let mut kind = ip.header.get(6).copied();
    let mut rest = ip.extensions();
    while let (Some(this), [next, units, ..]) = (kind, rest) {
        if this == ROUTING && rest.get(3).is_some_and(|left| *left > 0) {
            return true;
        }
        kind = Some(*next);
        rest = rest.get(length_of(this, *units)..).unwrap_or_default();
    }
    false
}

/// Bytes of an extension header of this type, by its second byte.
fn length_of(kind: u8, units: u8) -> usize {
    match kind {
        FRAGMENT => 8,
        AUTHENTICATION => (usize::from(units) + 2) * 4,
        _ => (usize::from(units) + 1) * 8,
    }
}

/// The extension headers of one packet.
struct Chain {
    /// Bytes of them.
    length: usize,
    /// What follows them.
    protocol: u8,
    /// The first fragment header.
    fragment: Option<Ipv6Fragment>,
    /// The upper layer begins behind them: not for a fragment, a cut chain, or no next header.
    whole: bool,
}

impl Chain {
    /// Walks the chain. It ends with the bytes: each header takes at least eight of them.
    #[inline]
    fn follow(events: &mut Events, first: u8, body: &[u8]) -> Self {
        let mut chain = Self { length: 0, protocol: first, fragment: None, whole: true };
        if matches!(first, transport::TCP | transport::UDP | transport::ICMPV6) {
            return chain;
        }
        chain.walk(events, body);
        chain
    }

    #[cold]
    fn walk(&mut self, events: &mut Events, body: &[u8]) {
        let mut seen = Seen::default();
        loop {
            let rest = body.get(self.length..).unwrap_or_default();
            match self.protocol {
                NONE => {
                    if !rest.is_empty() {
                        events.raise(Event::Ipv6DataAfterNone);
                    }
                    self.whole = false;
                    return;
                }
                // Not even two bytes: the chain is cut, whatever should follow.
                _ if rest.len() < 2 => {
                    events.raise(Event::Ipv6TruncatedExtension);
                    self.whole = false;
                    return;
                }
                transport::TCP | transport::UDP | transport::ICMPV6 => return,
                transport::ESP | transport::SCTP | IPV4_IN_IP | IPV6_IN_IP | GRE => return,
                HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION | MOBILITY | HIP
                | SHIM6 => {}
                other => {
                    events.raise(match other {
                        transport::ICMPV4 => Event::Ipv6WithIcmpv4,
                        _ => Event::Ipv6UnknownNextHeader,
                    });
                    return;
                }
            }
            let [next, second, ..] = rest else {
                events.raise(Event::Ipv6TruncatedExtension);
                self.whole = false;
                return;
            };
            let length = length_of(self.protocol, *second);
            let Some(header) = rest.get(..length) else {
                events.raise(Event::Ipv6TruncatedExtension);
                self.whole = false;
                return;
            };
            let behind = rest.get(length..).unwrap_or_default();
            if self.look(events, &mut seen, header, behind) {
                self.length += length;
                self.protocol = *next;
                self.whole = false;
                return;
            }
            self.length += length;
            self.protocol = *next;
        }
    }

    /// Judges one header of the type `self.protocol`. True: it makes this packet a fragment.
    fn look(&mut self, events: &mut Events, seen: &mut Seen, header: &[u8], behind: &[u8]) -> bool {
        match self.protocol {
            HOP_BY_HOP => {
                if seen.again(HOP_BY_HOP, 1) {
                    events.raise(Event::Ipv6DuplicateHopByHop);
                } else {
                    options(events, header, true);
                }
            }
            DESTINATION => {
                // One before a routing header and one behind it are as RFC 8200, 4.1 has it.
                if seen.again(DESTINATION, 2) {
                    events.raise(Event::Ipv6DuplicateDestination);
                } else {
                    options(events, header, false);
                }
            }
            ROUTING => {
                if seen.again(ROUTING, 1) {
                    events.raise(Event::Ipv6DuplicateRouting);
                } else if header.get(2) == Some(&0) {
                    events.raise(Event::Ipv6RoutingType0);
                }
            }
            AUTHENTICATION => {
                if seen.again(AUTHENTICATION, 1) {
                    events.raise(Event::Ipv6DuplicateAuthentication);
                } else if header.get(2..4).is_some_and(|reserved| reserved != [0, 0]) {
                    events.raise(Event::Ipv6AuthenticationReserved);
                }
            }
            FRAGMENT => return self.fragment(events, header, behind),
            _ => {}
        }
        false
    }

    fn fragment(&mut self, events: &mut Events, header: &[u8], behind: &[u8]) -> bool {
        let Some(field) = header.first_chunk::<8>() else { return false };
        if field[1] != 0 {
            events.raise(Event::Ipv6FragmentReserved);
        }
        if self.fragment.is_some() {
            events.raise(Event::Ipv6DuplicateFragment);
            return false;
        }
        let position = u16::from_be_bytes([field[2], field[3]]);
        let fragment = Ipv6Fragment {
            id: u32::from_be_bytes([field[4], field[5], field[6], field[7]]),
            offset: position & 0xfff8,
            more: position & 1 == 1,
        };
        self.fragment = Some(fragment);
        if fragment.offset == 0 && !fragment.more {
            events.raise(Event::Ipv6UselessFragment);
            return false;
        }
        if fragment.more && !behind.len().is_multiple_of(8) {
            events.raise(Event::Ipv6FragmentInvalidLength);
        }
        true
    }
}

/// How often each extension header came.
#[derive(Default)]
struct Seen {
    hop_by_hop: u8,
    destination: u8,
    routing: u8,
    authentication: u8,
}

impl Seen {
    /// Counts one; true where there were `allowed` already.
    fn again(&mut self, header: u8, allowed: u8) -> bool {
        let count = match header {
            HOP_BY_HOP => &mut self.hop_by_hop,
            DESTINATION => &mut self.destination,
            ROUTING => &mut self.routing,
            _ => &mut self.authentication,
        };
        if *count >= allowed {
            return true;
        }
        *count += 1;
        false
    }
}

/// Raises what is wrong in the options of a hop-by-hop or destination header.
fn options(events: &mut Events, header: &[u8], hop_by_hop: bool) {
    const PAD1: u8 = 0;
    const PADN: u8 = 1;
    const ROUTER_ALERT: u8 = 5;
    const JUMBO: u8 = 0xc2;
    const HOME_ADDRESS: u8 = 0xc9;

    let mut list = header.get(2..).unwrap_or_default();
    let (mut padding, mut others) = (false, false);
    while let Some((&kind, rest)) = list.split_first() {
        if kind == PAD1 {
            padding = true;
            list = rest;
            continue;
        }
        let value = rest.split_first().and_then(|(&length, rest)| {
            let (value, rest) = rest.split_at_checked(usize::from(length))?;
            Some((value.len(), rest))
        });
        let Some((length, rest)) = value else {
            events.raise(Event::Ipv6InvalidOptionLength);
            break;
        };
        list = rest;
        let needed = match kind {
            ROUTER_ALERT => 2,
            JUMBO => 4,
            HOME_ADDRESS => 16,
            _ => 0,
        };
        if length < needed {
            events.raise(Event::Ipv6InvalidOptionLength);
            break;
        }
        match kind {
            PADN => {
                padding = true;
                if length == 0 {
                    events.raise(Event::Ipv6ZeroLengthPadN);
                }
            }
            ROUTER_ALERT | HOME_ADDRESS => others = true,
            JUMBO => {}
            _ => {
                events.raise(match hop_by_hop {
                    true => Event::Ipv6HopByHopUnknownOption,
                    false => Event::Ipv6DestinationUnknownOption,
                });
                others = true;
            }
        }
    }
    if padding && !others {
        events.raise(match hop_by_hop {
            true => Event::Ipv6HopByHopOnlyPadding,
            false => Event::Ipv6DestinationOnlyPadding,
        });
    }
}
