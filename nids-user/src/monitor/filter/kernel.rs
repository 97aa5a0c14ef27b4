//! The part of a filter that the kernel can decide: protocols, ports and ICMP, as a filter table.
//!
//! The table may let by what the filter refuses, never the other way round. The kernel half puts each
//! frame into one of a few classes (`nids-ebpf/src/parse.rs`); for each class this asks whether the
//! filter could be true of some frame in it. Negations are first moved down to the tests, so that
//! "could be true" composes: of `and` both sides must be possible, of `or` one.
//!
//! TCP and UDP have their ports beside the class. What a table can say of them is "from one of these
//! ports, or to one of those"; a pair of conditions on both ends is widened to the narrower one.

use nids_abi::{FilterTable, LEVEL_ALL, TCP_DST, TCP_SRC, UDP_DST, UDP_SRC};

use super::matching::EXTENSIONS;
use super::{Arith, Base, Expr, Family, Side, Test, Within};

impl Expr {
    /// The filter table of this filter: it wants every frame whose packet [`Expr::matches`].
    pub fn kernel(&self) -> Box<FilterTable> {
        let mut table = Box::new(FilterTable::EMPTY);
        for (transport, from, to) in [(6, TCP_SRC, TCP_DST), (17, UDP_SRC, UDP_DST)] {
            let ends = self.ends(transport, true);
            for (port, levels) in (0..=u16::MAX).zip(&mut table.ports) {
                *levels |= (LEVEL_ALL * u8::from(ends.source.contains(port))) << from
                    | (LEVEL_ALL * u8::from(ends.destination.contains(port))) << to;
            }
        }
        let wanted = |class| u8::from(self.possible(class, true));
        table.icmp4 = [wanted(Class::Icmp4); 256];
        table.icmp6 = [wanted(Class::Icmp6); 256];
        for (number, entry) in (0..=u8::MAX).zip(&mut table.ip_proto) {
            *entry = wanted(Class::Other(number));
        }
        table.fragments = wanted(Class::Fragment);
        table.unjudged = wanted(Class::Unjudged);
        table.non_ip = wanted(Class::NonIp);
        table
    }

    /// Whether a frame of the class can make the filter `truth`.
    fn possible(&self, class: Class, truth: bool) -> bool {
        match (self, truth) {
            (Self::Any, truth) => truth,
            (Self::Not(a), truth) => a.possible(class, !truth),
            (Self::And(a, b), true) | (Self::Or(a, b), false) => {
                a.possible(class, truth) && b.possible(class, truth)
            }
            (Self::And(a, b), false) | (Self::Or(a, b), true) => {
                a.possible(class, truth) || b.possible(class, truth)
            }
            (Self::Test(test), truth) => test.node.outcome(class).is_none_or(|o| o == truth),
        }
    }

    /// Ends of TCP (6) or UDP (17) packets that can make the filter `truth`.
    fn ends(&self, transport: u8, truth: bool) -> Ends {
        match (self, truth) {
            (Self::Any, true) => Ends::all(),
            (Self::Any, false) => Ends::none(),
            (Self::Not(a), truth) => a.ends(transport, !truth),
            (Self::And(a, b), true) | (Self::Or(a, b), false) => {
                a.ends(transport, truth).both(b.ends(transport, truth))
            }
            (Self::And(a, b), false) | (Self::Or(a, b), true) => {
                a.ends(transport, truth).either(b.ends(transport, truth))
            }
            (Self::Test(test), truth) => test.node.ends(transport, truth),
        }
    }
}

/// What the kernel half makes of a frame, TCP and UDP with their ports left aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// TCP (6) or UDP (17), its header whole.
    Ports(u8),
    /// ICMP over IPv4.
    Icmp4,
    /// ICMPv6 over IPv6.
    Icmp6,
    /// Another protocol.
    Other(u8),
    /// A fragment, of whatever.
    Fragment,
    /// Anything.
    Unjudged,
    /// An EtherType that carries no IP.
    NonIp,
}

impl Class {
    /// The protocol behind the extension headers, where the class tells.
    fn protocol(self) -> Option<u8> {
        match self {
            Self::Ports(number) | Self::Other(number) => Some(number),
            Self::Icmp4 => Some(1),
            Self::Icmp6 => Some(58),
            Self::Fragment | Self::Unjudged | Self::NonIp => None,
        }
    }

    /// The IP version, where the class tells.
    fn family(self) -> Option<Family> {
        match self {
            // In IPv4, ICMP is a class of its own; in IPv6, ICMPv6 and the extension headers are.
            Self::Icmp4 | Self::Other(58) => Some(Family::V4),
            Self::Icmp6 | Self::Other(1) => Some(Family::V6),
            Self::Other(number) if EXTENSIONS.contains(&number) => Some(Family::V4),
            _ => None,
        }
    }
}

impl Test {
    /// What the test says of every frame of the class; `None` where that depends on the frame.
    fn outcome(&self, class: Class) -> Option<bool> {
        if matches!(class, Class::Unjudged) {
            return None;
        }
        let is_ip = class != Class::NonIp;
        let family_is = |family: Family| class.family().map(|of_class| of_class == family);
        match self {
            Self::EtherType(number) => match (family_of(*number), is_ip) {
                (Some(family), true) => family_is(family),
                (Some(_), false) | (None, true) => Some(false),
                (None, false) => None,
            },
            Self::Protocol { .. } if !is_ip => Some(false),
            Self::Protocol { family, number } => {
                let protocol = class.protocol().map(|of_class| of_class == *number);
                let extension = EXTENSIONS.contains(number)
                    && class.family() != Some(Family::V4)
                    && *family != Some(Family::V4);
                match (protocol, family.map_or(Some(true), family_is)) {
                    (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    (Some(false), _) if !extension => Some(false),
                    _ => None,
                }
            }
            Self::Address { within, first, .. } => {
                let family = if first.is_ipv4() { Family::V4 } else { Family::V6 };
                let possible = match within {
                    Within::Any if !is_ip => family == Family::V4,
                    Within::Any | Within::Ip => is_ip && family_is(family) != Some(false),
                    Within::Arp | Within::Rarp => !is_ip,
                };
                if possible { None } else { Some(false) }
            }
            Self::Port { transport, .. } => {
                let possible = match class.protocol() {
                    Some(number @ (6 | 17 | 132)) => transport.is_none_or(|t| t == number),
                    Some(_) => false,
                    None => is_ip,
                };
                if possible { None } else { Some(false) }
            }
            Self::IpMulticast(family) => {
                if is_ip && family_is(*family) != Some(false) {
                    None
                } else {
                    Some(false)
                }
            }
            Self::Compare { left, right, .. } => {
                if left.possible(class) && right.possible(class) {
                    None
                } else {
                    Some(false)
                }
            }
            Self::Vlan(_) | Self::EtherBroadcast | Self::EtherMulticast | Self::Hardware { .. } => {
                None
            }
        }
    }

    fn ends(&self, transport: u8, truth: bool) -> Ends {
        match (self, self.outcome(Class::Ports(transport))) {
            (_, Some(outcome)) if outcome != truth => Ends::none(),
            (Self::Port { side, first, last, .. }, None) => {
                let mut ports = Ports::none();
                ports.insert(*first, *last);
                let ports = if truth { ports } else { ports.complement() };
                let source = Ends { source: ports.clone(), destination: Ports::none() };
                let destination = Ends { source: Ports::none(), destination: ports };
                match (side, truth) {
                    (Side::Source, _) => source,
                    (Side::Destination, _) => destination,
                    (Side::Either, true) | (Side::Both, false) => source.either(destination),
                    (Side::Either, false) | (Side::Both, true) => source.both(destination),
                }
            }
            _ => Ends::all(),
        }
    }
}

impl Arith {
    /// Whether a frame of the class can have the headers that bytes are asked of.
    fn possible(&self, class: Class) -> bool {
        match self {
            Self::Number(_) | Self::Length => true,
            Self::Binary(_, a, b) => a.possible(class) && b.possible(class),
            Self::Load { base, offset, .. } => {
                let base = match base {
                    Base::Ether => true,
                    Base::Network(number) => match family_of(*number) {
                        Some(family) => {
                            class != Class::NonIp && class.family().is_none_or(|f| f == family)
                        }
                        None => class == Class::NonIp,
                    },
                    Base::Transport { family, number } => {
                        let of_class = class.family();
                        class != Class::NonIp
                            && class.protocol().is_none_or(|of_class| of_class == *number)
                            && family.is_none_or(|f| of_class.is_none_or(|of_class| of_class == f))
                    }
                };
                base && offset.possible(class)
            }
        }
    }
}

fn family_of(ether_type: u16) -> Option<Family> {
    match ether_type {
        0x0800 => Some(Family::V4),
        0x86dd => Some(Family::V6),
        _ => None,
    }
}

/// Packets that come from one of `source` or go to one of `destination`.
#[derive(Clone)]
struct Ends {
    source: Ports,
    destination: Ports,
}

impl Ends {
    fn none() -> Self {
        Self { source: Ports::none(), destination: Ports::none() }
    }

    fn all() -> Self {
        Self { source: Ports::all(), destination: Ports::none() }
    }

    fn either(self, other: Self) -> Self {
        Self {
            source: self.source.union(&other.source),
            destination: self.destination.union(&other.destination),
        }
    }

    /// At least what both hold.
    fn both(self, other: Self) -> Self {
        let mut both = Self {
            source: self.source.intersection(&other.source),
            destination: self.destination.intersection(&other.destination),
        };
        // "From here, and to there": one end has to do for both.
        for (from, to) in [(&self.source, &other.destination), (&other.source, &self.destination)] {
            let (sources, destinations) = (from.count(), to.count());
            if sources == 0 || destinations == 0 {
                continue;
            }
            if sources <= destinations {
                both.source = both.source.union(from);
            } else {
                both.destination = both.destination.union(to);
            }
        }
        both
    }
}

/// A set of ports, 8 KiB.
#[derive(Clone)]
struct Ports(Box<[u64; 1024]>);

impl Ports {
    fn none() -> Self {
        Self(Box::new([0; 1024]))
    }
    fn all() -> Self {
        Self(Box::new([u64::MAX; 1024]))
    }

    fn insert(&mut self, first: u16, last: u16) {
        for port in first..=last {
            if let Some(word) = self.0.get_mut(usize::from(port >> 6)) {
                *word |= 1 << (port & 63);
            }
        }
    }
    fn contains(&self, port: u16) -> bool {
        self.0.get(usize::from(port >> 6)).is_some_and(|word| word >> (port & 63) & 1 == 1)
    }
    fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
    fn complement(mut self) -> Self {
        self.0.iter_mut().for_each(|word| *word = !*word);
        self
    }
    fn union(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(a, b)| *a |= b);
        self
    }
    fn intersection(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.0.iter_mut().zip(other.0.iter()).for_each(|(a, b)| *a &= b);
        both
    }
}
