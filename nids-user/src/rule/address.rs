//! Resolved address groups: the union of what is named, less the union of what is negated.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Closed ranges of addresses, sorted, disjoint, not adjacent. An IPv4 range never holds an IPv6
/// address (no v4-mapped games).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AddressSet {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl AddressSet {
    /// Every address.
    pub fn any() -> Self {
        Self { v4: vec![(0, u32::MAX)], v6: vec![(0, u128::MAX)] }
    }
    /// Whether every address is in it.
    pub fn is_any(&self) -> bool {
        *self == Self::any()
    }
    /// Whether no address is in it.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
    /// Whether `address` is in it. Binary search.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(a) => holds(&self.v4, u32::from(a)),
            IpAddr::V6(a) => holds(&self.v6, u128::from(a)),
        }
    }
    /// Adds the closed range from `first` to `last`.
    pub fn insert_v4(&mut self, first: Ipv4Addr, last: Ipv4Addr) {
        self.v4.push((first.into(), last.into()));
        normalize(&mut self.v4, |a| a.checked_add(1));
    }
    /// Adds the closed range from `first` to `last`.
    pub fn insert_v6(&mut self, first: Ipv6Addr, last: Ipv6Addr) {
        self.v6.push((first.into(), last.into()));
        normalize(&mut self.v6, |a| a.checked_add(1));
    }
}

fn holds<T: Ord + Copy>(ranges: &[(T, T)], value: T) -> bool {
    let after = ranges.partition_point(|range| range.0 <= value);
    after.checked_sub(1).and_then(|i| ranges.get(i)).is_some_and(|range| value <= range.1)
}

/// Sorts and joins ranges that touch.
fn normalize<T: Ord + Copy>(ranges: &mut Vec<(T, T)>, next: impl Fn(T) -> Option<T>) {
    ranges.sort_unstable();
    let mut out: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for &(first, last) in ranges.iter() {
        match out.last_mut() {
            Some(top) if next(top.1).is_none_or(|n| first <= n) => top.1 = top.1.max(last),
            _ => out.push((first, last)),
        }
    }
    *ranges = out;
}
