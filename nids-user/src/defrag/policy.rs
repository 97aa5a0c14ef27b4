//! Whose bytes count where two fragments of one datagram overlap.
//!
//! Hosts differ, and an attacker who knows the host can show it other bytes than the sensor sees. The
//! policies are those of Novak, "Target-Based Fragmentation Reassembly" (2005), under the names that
//! Suricata's `host-os-policy` gives to hosts.

use std::ops::Range;

/// A way of settling overlaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The bytes that came first stay.
    First,
    /// The bytes that came last count.
    Last,
    /// The first stay, unless the newcomer begins before them.
    #[default]
    Bsd,
    /// The newcomer counts, unless it begins before the first.
    BsdRight,
    /// The first stay only where they begin before the newcomer.
    Linux,
    /// The first stay, unless the newcomer begins before and ends behind them.
    Windows,
    /// The first stay, unless the newcomer begins before them and ends with them or behind.
    Solaris,
}

impl Policy {
    /// The policy of a host by Suricata's name of its system (`host-os-policy`).
    pub fn of_host(name: &str) -> Option<Self> {
        Some(match name {
            "bsd" | "hpux10" | "irix" => Self::Bsd,
            "bsd-right" => Self::BsdRight,
            "linux" | "old-linux" => Self::Linux,
            "windows" | "vista" | "windows2k3" => Self::Windows,
            "solaris" => Self::Solaris,
            "old-solaris" | "hpux11" | "macos" | "first" => Self::First,
            "last" => Self::Last,
            _ => return None,
        })
    }

    /// Whether the newcomer's bytes replace those of a fragment that is there.
    pub fn newcomer_wins(self, old: &Range<u32>, new: &Range<u32>) -> bool {
        match self {
            Self::First => false,
            Self::Last => true,
            Self::Bsd => new.start < old.start,
            Self::BsdRight => new.start >= old.start,
            Self::Linux => new.start <= old.start,
            Self::Windows => new.start < old.start && new.end > old.end,
            Self::Solaris => new.start < old.start && new.end >= old.end,
        }
    }
}
