//! Target-based reassembly: which copy of a byte a host keeps when two segments overlap, and what else
//! hosts do in their own way (RST and timestamp checks, see `state` and `timestamp`).
//!
//! The names are those of Suricata's `host-os-policy` (userguide, configuration/suricata-yaml.rst), the
//! table is that of Novak and Sturges, "Target-Based TCP Stream Reassembly" (2007), in Suricata's reading
//! of it, which an alert should not depend on differing from.

use std::net::IpAddr;
use std::ops::Range;

/// How a host reads overlapping segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The copy that came first.
    First,
    /// The copy that came last.
    Last,
    /// `bsd`, and `bsd-right`, which only differs for fragments. The default, as in Suricata.
    #[default]
    Bsd,
    /// `linux`
    Linux,
    /// `old-linux`
    OldLinux,
    /// `windows`
    Windows,
    /// `windows2k3`
    Windows2003,
    /// `vista`: the first copy.
    Vista,
    /// `solaris`, `old-solaris`
    Solaris,
    /// `hpux10`
    Hpux10,
    /// `hpux11`
    Hpux11,
    /// `macos`
    MacOs,
    /// `irix`
    Irix,
}

impl Policy {
    /// The policy of a name in `host-os-policy`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "first" => Self::First,
            "last" => Self::Last,
            "bsd" | "bsd-right" => Self::Bsd,
            "linux" => Self::Linux,
            "old-linux" => Self::OldLinux,
            "windows" => Self::Windows,
            "windows2k3" => Self::Windows2003,
            "vista" => Self::Vista,
            "solaris" | "old-solaris" => Self::Solaris,
            "hpux10" => Self::Hpux10,
            "hpux11" => Self::Hpux11,
            "macos" => Self::MacOs,
            "irix" => Self::Irix,
            _ => return None,
        })
    }

    /// Whether the host takes the later segment's bytes where it overlaps an earlier one. Both ranges
    /// are whole segments, and they overlap.
    pub(super) fn takes_new(self, old: &Range<u64>, new: &Range<u64>) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match self {
            Self::Last => return true,
            Self::First | Self::Vista => return false,
            _ => {}
        }
        match (new.start.cmp(&old.start), new.end.cmp(&old.end)) {
            (Equal, Less) => false,
            (Equal, Equal) => matches!(self, Self::OldLinux | Self::Solaris | Self::Hpux11),
            (Equal, Greater) => {
                matches!(self, Self::Linux | Self::OldLinux | Self::Solaris | Self::Hpux11)
            }
            // Solaris and HP-UX 11 want the old segment covered to its end; all the others trim it.
            (Less, Less) => !matches!(self, Self::Solaris | Self::Hpux11),
            (Less, Equal | Greater) => true,
            (Greater, Greater) => matches!(self, Self::Solaris | Self::Hpux11),
            (Greater, Less | Equal) => false,
        }
    }
}

/// Which host follows which policy, by address prefix; the longest prefix wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPolicies {
    /// Longest prefix first.
    entries: Vec<(IpAddr, u8, Policy)>,
}

impl Default for HostPolicies {
    /// What Suricata's configuration file ships: every IPv4 host is `windows`; others are `bsd`.
    fn default() -> Self {
        let any = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        Self { entries: vec![(any, 0, Policy::Windows)] }
    }
}

impl HostPolicies {
    /// No entry: every host is `bsd`.
    pub fn none() -> Self {
        Self { entries: Vec::new() }
    }

    /// Adds a prefix; an equal one is replaced. False where the length does not fit the address.
    pub fn insert(&mut self, address: IpAddr, length: u8, policy: Policy) -> bool {
        if length > if address.is_ipv4() { 32 } else { 128 } {
            return false;
        }
        self.entries.retain(|entry| (entry.0, entry.1) != (address, length));
        self.entries.push((address, length, policy));
        self.entries.sort_by_key(|entry| std::cmp::Reverse(entry.1));
        true
    }

    /// The policy of a host.
    pub fn of(&self, host: IpAddr) -> Policy {
        let found = self.entries.iter().find(|entry| covers(entry.0, entry.1, host));
        found.map_or(Policy::default(), |entry| entry.2)
    }
}

pub(crate) fn covers(net: IpAddr, length: u8, host: IpAddr) -> bool {
    let differing = match (net, host) {
        (IpAddr::V4(net), IpAddr::V4(host)) => u128::from(net.to_bits() ^ host.to_bits()) << 96,
        (IpAddr::V6(net), IpAddr::V6(host)) => net.to_bits() ^ host.to_bits(),
        _ => return false,
    };
    differing.leading_zeros() >= u32::from(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_wins() {
        let mut hosts = HostPolicies::default();
        assert!(hosts.insert("10.0.0.0".parse().unwrap(), 8, Policy::Linux));
        assert!(hosts.insert("10.1.0.0".parse().unwrap(), 16, Policy::Solaris));
        assert!(!hosts.insert("10.1.0.0".parse().unwrap(), 33, Policy::Solaris));
        assert_eq!(hosts.of("10.1.2.3".parse().unwrap()), Policy::Solaris);
        assert_eq!(hosts.of("10.2.2.3".parse().unwrap()), Policy::Linux);
        assert_eq!(hosts.of("11.2.2.3".parse().unwrap()), Policy::Windows);
        assert_eq!(hosts.of("::1".parse().unwrap()), Policy::Bsd);
    }

    #[test]
    fn the_table_at_its_corners() {
        let old = 10..20;
        let cases: &[(Range<u64>, &[Policy])] = &[
            (10..20, &[Policy::Last, Policy::OldLinux, Policy::Solaris, Policy::Hpux11]),
            (12..18, &[Policy::Last]),
            (15..25, &[Policy::Last, Policy::Solaris, Policy::Hpux11]),
            (10..15, &[Policy::Last]),
        ];
        let all = [
            "first",
            "last",
            "bsd",
            "linux",
            "old-linux",
            "windows",
            "windows2k3",
            "vista",
            "solaris",
            "hpux10",
            "hpux11",
            "macos",
            "irix",
        ];
        for (new, takers) in cases {
            for policy in all.iter().map(|name| Policy::from_name(name).unwrap()) {
                assert_eq!(policy.takes_new(&old, new), takers.contains(&policy), "{policy:?}");
            }
        }
        assert!(Policy::Windows.takes_new(&old, &(5..15)));
        assert!(!Policy::Vista.takes_new(&old, &(5..15)));
        assert!(!Policy::Solaris.takes_new(&old, &(5..15)));
        assert!(Policy::Solaris.takes_new(&old, &(5..20)));
    }
}
