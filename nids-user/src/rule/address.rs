//! Resolved address groups: the union of what is named, less the union of what is negated.
//!
//! Sets are shared: a clone costs a reference count, so that thousands of rules can hold the same
//! HOME_NET.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::interval::{self, Ranges};

/// Closed ranges of addresses, sorted, disjoint, not adjacent. An IPv4 range never holds an IPv6
/// address (no v4-mapped games).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AddressSet {
    families: Arc<Families>,
}

/// Ranges of both families.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Families {
    pub(super) v4: Ranges<u32>,
    pub(super) v6: Ranges<u128>,
}

impl AddressSet {
    /// Every address.
    pub fn any() -> Self {
        Families { v4: interval::everything(), v6: interval::everything() }.into()
    }
    /// Whether every address is in it.
    pub fn is_any(&self) -> bool {
        self.families.v4 == [(0, u32::MAX)] && self.families.v6 == [(0, u128::MAX)]
    }
    /// Whether no address is in it.
    pub fn is_empty(&self) -> bool {
        self.families.v4.is_empty() && self.families.v6.is_empty()
    }
    /// Whether `address` is in it. Binary search.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => interval::contains(&self.families.v4, address.into()),
            IpAddr::V6(address) => interval::contains(&self.families.v6, address.into()),
        }
    }
    /// Adds the closed range from `first` to `last`. To build a large set, collect ranges instead.
    pub fn insert_v4(&mut self, first: Ipv4Addr, last: Ipv4Addr) {
        interval::insert(&mut Arc::make_mut(&mut self.families).v4, first.into(), last.into());
    }
    /// Adds the closed range from `first` to `last`. To build a large set, collect ranges instead.
    pub fn insert_v6(&mut self, first: Ipv6Addr, last: Ipv6Addr) {
        interval::insert(&mut Arc::make_mut(&mut self.families).v6, first.into(), last.into());
    }
    /// The IPv4 ranges, ascending.
    pub fn v4(&self) -> impl ExactSizeIterator<Item = (Ipv4Addr, Ipv4Addr)> + '_ {
        self.families.v4.iter().map(|&(first, last)| (first.into(), last.into()))
    }
    /// The IPv6 ranges, ascending.
    pub fn v6(&self) -> impl ExactSizeIterator<Item = (Ipv6Addr, Ipv6Addr)> + '_ {
        self.families.v6.iter().map(|&(first, last)| (first.into(), last.into()))
    }
}

impl FromIterator<(IpAddr, IpAddr)> for AddressSet {
    /// Closed ranges in any order; one whose ends are of different families, or that runs backwards,
    /// holds nothing.
    fn from_iter<I: IntoIterator<Item = (IpAddr, IpAddr)>>(ranges: I) -> Self {
        let mut families = Families::default();
        for range in ranges {
            match range {
                (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
                    families.v4.push((first.into(), last.into()));
                }
                (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
                    families.v6.push((first.into(), last.into()));
                }
                _ => {}
            }
        }
        interval::normalize(&mut families.v4);
        interval::normalize(&mut families.v6);
        families.into()
    }
}

impl From<Families> for AddressSet {
    /// The ranges must be normal.
    fn from(families: Families) -> Self {
        Self { families: Arc::new(families) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_do_not_mix() {
        let range: (IpAddr, IpAddr) = ([10, 0, 0, 0].into(), [10, 0, 0, 255].into());
        let set: AddressSet = [range].into_iter().collect();
        assert!(set.contains([10, 0, 0, 7].into()));
        assert!(!set.contains([10, 0, 1, 0].into()));
        let mapped = Ipv4Addr::new(10, 0, 0, 7).to_ipv6_mapped();
        assert!(!set.contains(mapped.into()));
        assert!(!set.is_any() && !set.is_empty());
        assert!(AddressSet::any().contains(mapped.into()));
        assert!(AddressSet::any().is_any());
        assert!(AddressSet::default().is_empty());
    }

    #[test]
    fn inserted_and_collected_sets_are_equal() {
        let mut one = AddressSet::default();
        for last in (0..=255u8).rev() {
            one.insert_v4([10, 0, 0, last].into(), [10, 0, 0, last].into());
        }
        let all: (IpAddr, IpAddr) = ([10, 0, 0, 0].into(), [10, 0, 0, 255].into());
        assert_eq!(one, [all].into_iter().collect());
        assert_eq!(one.v4().len(), 1);
    }
}
