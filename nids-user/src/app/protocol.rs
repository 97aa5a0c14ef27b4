//! The names of application protocols: in rule headers, in `app-layer-protocol`, in EVE's `app_proto`.

use crate::detect::protocol::{TCP, UDP};
use crate::output::{EveType, EveTypes};

/// A protocol of the application layer that there is a parser for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AppProtocol {
    /// HTTP/0.9 to HTTP/1.1.
    Http1,
    /// DNS.
    Dns,
    /// Multicast DNS.
    Mdns,
    /// TLS and SSL.
    Tls,
}

impl AppProtocol {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Http1, Self::Dns, Self::Mdns, Self::Tls];

    /// The word in EVE's `app_proto`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http",
            Self::Dns => "dns",
            Self::Mdns => "mdns",
            Self::Tls => "tls",
        }
    }
    /// IP protocols that carry it.
    pub const fn carriers(self) -> &'static [u8] {
        match self {
            Self::Http1 | Self::Tls => &[TCP],
            Self::Dns => &[TCP, UDP],
            Self::Mdns => &[UDP],
        }
    }
}

/// A set of application protocols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AppProtocols(u64);

impl AppProtocols {
    /// None.
    pub const NONE: Self = Self(0);

    /// These.
    pub const fn of(protocols: &[AppProtocol]) -> Self {
        let (mut set, mut rest) = (0, protocols);
        while let [first, more @ ..] = rest {
            set |= 1 << *first as u8;
            rest = more;
        }
        Self(set)
    }
    /// By the name in a rule's header, in lower case: `http` is every version of it.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "http" | "http1" => Self::of(&[AppProtocol::Http1]),
            "dns" => Self::of(&[AppProtocol::Dns]),
            "mdns" => Self::of(&[AppProtocol::Mdns]),
            "tls" | "ssl" => Self::of(&[AppProtocol::Tls]),
            _ => return None,
        })
    }
    /// Whether `protocol` is in it.
    #[inline]
    pub const fn contains(self, protocol: AppProtocol) -> bool {
        self.0 >> protocol as u8 & 1 == 1
    }
    /// Whether there is none in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// Those that records of these types tell of.
    pub fn logged_as(types: EveTypes) -> Self {
        let records = [
            (EveType::Http, AppProtocol::Http1),
            (EveType::Fileinfo, AppProtocol::Http1),
            (EveType::Dns, AppProtocol::Dns),
            (EveType::Mdns, AppProtocol::Mdns),
            (EveType::Tls, AppProtocol::Tls),
        ];
        let asked = records.into_iter().filter(|(record, _)| types.has(*record));
        asked.fold(Self::NONE, |set, (_, protocol)| set.union(Self::of(&[protocol])))
    }
    /// What is not in the other.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
    /// What is in both.
    pub const fn intersect(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
    /// What is in either.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// All that are in it.
    pub fn iter(self) -> impl Iterator<Item = AppProtocol> {
        AppProtocol::ALL.into_iter().filter(move |protocol| self.contains(*protocol))
    }
}
