//! Tunnels: the packet inside a packet.
//!
//! [`Tunnels::inner`] says what a packet carries, one level at a time; who inspects loops. Both the
//! carrier and what it carries are packets of their own, with flows of their own. What is wrong with the
//! header of the tunnel is raised on the carrier, what is wrong inside on the packet inside.
//!
//! [`Tunnels::carriers`] lists what can carry packets, for the kernel half: all of it must be forwarded
//! where a rule could match inside.
//!
//! A fragment carries nothing: what was put together again may.

use super::event::{Event, Events};
use super::link::{ARP, ERSPAN_II, IPV4, IPV6, Next, Shim, TRANSPARENT_BRIDGE};
use super::packet::{Ip, Origin, Packet, Transport};
use super::{gre, ipv6};

/// IP protocol number of IPv4 in IP (RFC 2003).
pub const IPV4_IN_IP: u8 = 4;
/// IP protocol number of IPv6 in IP (RFC 4213, RFC 2473).
pub const IPV6_IN_IP: u8 = 41;
/// IP protocol number of GRE.
pub const GRE: u8 = 47;

/// Which tunnels over UDP are looked into; those right over IP always are. Suricata's `decoder.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnels {
    /// `decoder.vxlan.*` (RFC 7348).
    pub vxlan: UdpTunnel,
    /// `decoder.geneve.*` (RFC 8926).
    pub geneve: UdpTunnel,
    /// `decoder.teredo.*` (RFC 4380).
    pub teredo: UdpTunnel,
}

impl Default for Tunnels {
    fn default() -> Self {
        Self {
            vxlan: UdpTunnel::on(4789),
            geneve: UdpTunnel::on(6081),
            teredo: UdpTunnel::on(3544),
        }
    }
}

/// One kind of tunnel over UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpTunnel {
    /// Whether it is looked into.
    pub enabled: bool,
    /// Where it is looked for.
    pub ports: UdpPorts,
}

/// Ports of a tunnel, of either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UdpPorts {
    /// Each datagram is tried.
    Any,
    /// These; few, as each datagram is compared with them.
    These(Box<[u16]>),
}

impl UdpTunnel {
    fn on(port: u16) -> Self {
        Self { enabled: true, ports: UdpPorts::These(Box::new([port])) }
    }

    #[inline]
    fn takes(&self, source: u16, destination: u16) -> bool {
        self.enabled
            && match &self.ports {
                UdpPorts::Any => true,
                UdpPorts::These(ports) => {
                    ports.iter().any(|port| *port == source || *port == destination)
                }
            }
    }
}

/// What can carry packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carriers {
    /// IP protocol numbers.
    pub protocols: &'static [u8],
    /// UDP ports, of source or destination; `None`: all.
    pub udp_ports: Option<Vec<u16>>,
}

impl Tunnels {
    /// All tunnels off but those right over IP.
    pub fn none() -> Self {
        let off = || UdpTunnel { enabled: false, ports: UdpPorts::These(Box::default()) };
        Self { vxlan: off(), geneve: off(), teredo: off() }
    }

    /// What [`Tunnels::inner`] looks into, for the kernel's filter. Tunnels below IP are not listed: the
    /// kernel does not judge such frames.
    pub fn carriers(&self) -> Carriers {
        let mut udp_ports = Some(Vec::new());
        for tunnel in [&self.vxlan, &self.geneve, &self.teredo] {
            if !tunnel.enabled {
                continue;
            }
            match (&tunnel.ports, &mut udp_ports) {
                (UdpPorts::Any, _) => udp_ports = None,
                (UdpPorts::These(ports), Some(list)) => list.extend_from_slice(ports),
                (UdpPorts::These(_), None) => {}
            }
        }
        Carriers { protocols: &[IPV4_IN_IP, IPV6_IN_IP, GRE], udp_ports }
    }

    /// The packet that this one carries, decoded. `None`: it carries none, or none that can be found;
    /// where the tunnel's header is wrong, an event on `outer` says so.
    ///
    /// A packet inside that cannot be read comes without IP, with the event that says why. Where it can,
    /// `outer` is marked as its carrier.
    #[inline]
    pub fn inner<'a>(&self, outer: &mut Packet<'a>) -> Option<Packet<'a>> {
        match outer.transport {
            Transport::Udp(udp) if self.takes(udp.source, udp.destination) => {
                self.over_udp(outer, udp.source, udp.destination)
            }
            Transport::Other => over_ip(outer),
            _ => None,
        }
    }

    /// Whether the packet is a datagram in which a tunnel is looked for.
    #[inline]
    pub fn may_be_in(&self, packet: &Packet<'_>) -> bool {
        matches!(packet.transport, Transport::Udp(udp) if self.takes(udp.source, udp.destination))
    }

    /// Whether a tunnel is looked for in datagrams with these ports.
    #[inline]
    fn takes(&self, from: u16, to: u16) -> bool {
        [&self.vxlan, &self.geneve, &self.teredo].iter().any(|tunnel| tunnel.takes(from, to))
    }

    #[cold]
    fn over_udp<'a>(&self, outer: &mut Packet<'a>, from: u16, to: u16) -> Option<Packet<'a>> {
        // In this order, each where the one before did not find its packet.
        if self.teredo.takes(from, to)
            && let Some(inner) = teredo(outer)
        {
            return Some(inner);
        }
        let data = outer.payload;
        let mut found = None;
        if self.geneve.takes(from, to) {
            found = geneve(&mut outer.events, data).map(|next| (next, Origin::Geneve));
        }
        if found.is_none() && self.vxlan.takes(from, to) {
            found = vxlan(data).map(|next| (next, Origin::Vxlan));
        }
        let (next, origin) = found?;
        unwrap(outer, next, origin)
    }
}

#[cold]
fn over_ip<'a>(outer: &mut Packet<'a>) -> Option<Packet<'a>> {
    let data = outer.payload;
    let (v6, protocol) = match &outer.ip {
        Some(Ip::V4(ip)) => (false, ip.protocol),
        Some(Ip::V6(ip)) => (true, ip.protocol),
        None => return None,
    };
    let by_ip = if v6 { Origin::Ipv6 } else { Origin::Ipv4 };
    let (next, origin) = match protocol {
        IPV4_IN_IP if v6 => {
            use Event::{Ipv4InIpv6TooSmall, Ipv4InIpv6WrongVersion};
            in_ipv6(outer, data, 4, 20, [Ipv4InIpv6TooSmall, Ipv4InIpv6WrongVersion])?;
            (Next::Ipv4(data), by_ip)
        }
        IPV6_IN_IP if v6 => {
            use Event::{Ipv6InIpv6TooSmall, Ipv6InIpv6WrongVersion};
            in_ipv6(outer, data, 6, ipv6::HEADER, [Ipv6InIpv6TooSmall, Ipv6InIpv6WrongVersion])?;
            (Next::Ipv6(data), by_ip)
        }
        IPV4_IN_IP => (Next::Ipv4(data), by_ip),
        IPV6_IN_IP => (Next::Ipv6(data), by_ip),
        GRE => {
            if !outer.enter() {
                return None;
            }
            (gre::next(&mut outer.events, data)?, Origin::Gre)
        }
        _ => return None,
    };
    unwrap(outer, next, origin)
}

/// Only IPv6 has events of its own for what does not fit inside.
fn in_ipv6(
    outer: &mut Packet<'_>,
    data: &[u8],
    version: u8,
    header: usize,
    [too_small, wrong_version]: [Event; 2],
) -> Option<()> {
    let event = match data.first() {
        Some(first) if data.len() >= header && first >> 4 == version => return Some(()),
        _ if data.len() < header => too_small,
        _ => wrong_version,
    };
    outer.events.raise(event);
    None
}

/// Decodes what is inside.
#[cold]
fn unwrap<'a>(outer: &mut Packet<'a>, next: Next<'a>, origin: Origin) -> Option<Packet<'a>> {
    if !outer.enter() {
        return None;
    }
    let inner = open(outer, next, origin);
    outer.carrier = inner.ip.is_some();
    Some(inner)
}

fn open<'a>(outer: &Packet<'a>, next: Next<'a>, origin: Origin) -> Packet<'a> {
    let mut inner = Packet::new(&outer.frame, next.data());
    inner.length = inner.payload.len() as u32;
    inner.depth = outer.depth.saturating_add(1);
    inner.layers_left = outer.layers_left;
    inner.origin = origin;
    super::layers(&mut inner, next);
    inner
}

/// VXLAN: eight bytes and an Ethernet frame. As with Linux and Suricata, what is not exactly one of
/// these is none.
#[cold]
fn vxlan(data: &[u8]) -> Option<Next<'_>> {
    const VALID_VNI: u8 = 0x08;
    let (header, frame) = data.split_first_chunk::<8>()?;
    let valid = header[0] & VALID_VNI != 0 && header[7] == 0 && frame.len() >= 14;
    valid.then_some(Next::Shim(Shim::Ethernet, frame))
}

/// Geneve: eight bytes, options, and what an EtherType says.
#[cold]
fn geneve<'a>(events: &mut Events, data: &'a [u8]) -> Option<Next<'a>> {
    let (header, rest) = data.split_first_chunk::<8>()?;
    let (version, length) = (header[0] >> 6, usize::from(header[0] & 0x3f) * 4);
    // Critical options may be anything, but flags not defined yet must be 0 (RFC 8926, 3.4).
    if version != 0 || header[1] & 0x3f != 0 || header[7] != 0 {
        return None;
    }
    let (mut options, body) = rest.split_at_checked(length)?;
    while let [_, _, _, length, ..] = options {
        options = options.get(4 + usize::from(length & 0x1f) * 4..)?;
    }
    match u16::from_be_bytes([header[2], header[3]]) {
        IPV4 => Some(Next::Ipv4(body)),
        IPV6 => Some(Next::Ipv6(body)),
        TRANSPARENT_BRIDGE => Some(Next::Shim(Shim::Ethernet, body)),
        ARP => None,
        _ => {
            events.raise(Event::GeneveUnknownPayload);
            None
        }
    }
}

/// Teredo: IPv6 behind any number of origin indications. It has no mark of its own, so only a packet
/// that fills the datagram and has nothing wrong is taken for one.
#[cold]
fn teredo<'a>(outer: &mut Packet<'a>) -> Option<Packet<'a>> {
    const ORIGIN: [u8; 2] = [0, 0];
    let mut data = outer.payload;
    while let Some(rest) = data.strip_prefix(&ORIGIN) {
        data = rest.get(6..)?;
    }
    let [first, _, _, _, high, low, ..] = data else { return None };
    let length = ipv6::HEADER + usize::from(u16::from_be_bytes([*high, *low]));
    if first >> 4 != 6 || data.len() != length || !outer.enter() {
        return None;
    }
    let inner = open(outer, Next::Ipv6(data), Origin::Teredo);
    if inner.events.contains(Event::TooManyLayers) {
        outer.events.raise(Event::TooManyLayers);
        return None;
    }
    let fragment = inner.ip.is_some_and(|ip| ip.is_fragment());
    let unreadable = matches!(inner.transport, Transport::None) && !fragment;
    if unreadable && !inner.events.is_empty() {
        return None;
    }
    outer.carrier = true;
    Some(inner)
}

/// ERSPAN behind its GRE header: a mirrored frame. `shim` is one of the three types.
pub(super) fn erspan<'a>(packet: &mut Packet<'a>, kind: u16, data: &'a [u8]) -> Next<'a> {
    const PLATFORM_SUBHEADER: usize = 8;
    let (header, version) = if kind == ERSPAN_II { (8, 1) } else { (12, 2) };
    let Some((head, mut frame)) = data.split_at_checked(header) else {
        packet.events.raise(Event::ErspanTooSmall);
        return Next::Other(data);
    };
    let (Some([high, low]), Some(flags)) = (head.first_chunk::<2>(), head.last()) else {
        return Next::Other(data);
    };
    if high >> 4 != version {
        packet.events.raise(Event::ErspanUnsupportedVersion);
        return Next::Other(data);
    }
    let vlan = u16::from_be_bytes([high & 0x0f, *low]);
    if vlan != 0 && !packet.vlan.push(vlan) {
        packet.events.raise(Event::ErspanTooManyVlanLayers);
        return Next::Other(data);
    }
    if version == 2 {
        if flags & 1 == 1 {
            let Some(rest) = frame.get(PLATFORM_SUBHEADER..) else {
                packet.events.raise(Event::ErspanTooSmall);
                return Next::Other(data);
            };
            frame = rest;
        }
        // Frame type: 0 Ethernet, 2 IP.
        let kind = head.get(10).map_or(0, |byte| byte >> 2 & 0x1f);
        match (kind, frame.first()) {
            (2, Some(first)) if first >> 4 == 6 => return Next::Ipv6(frame),
            (2, _) => return Next::Ipv4(frame),
            _ => {}
        }
    }
    Next::Shim(Shim::Ethernet, frame)
}
