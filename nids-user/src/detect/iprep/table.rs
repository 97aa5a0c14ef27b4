//! Networks with a value each: the longest that holds an address counts.
//!
//! Nested networks are laid flat once, into sorted ranges that do not overlap, so that a look-up is one
//! binary search.

use std::net::IpAddr;

/// The reputations of one category.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    v4: Box<[Range<u32>]>,
    v6: Box<[Range<u128>]>,
}

/// A closed range with one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range<T> {
    first: T,
    last: T,
    value: u8,
}

/// A network as a file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    /// Any address in it.
    pub(super) address: IpAddr,
    /// Bits that count: at most 32 or 128.
    pub(super) bits: u8,
    pub(super) value: u8,
}

impl Table {
    /// Of equal networks the last counts.
    pub(super) fn new(networks: &[Network]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            let &Network { address, bits, value } = network;
            match address {
                IpAddr::V4(address) => {
                    let hosts = u32::MAX.checked_shr(bits.into()).unwrap_or(0);
                    let first = u32::from(address) & !hosts;
                    v4.push(Range { first, last: first | hosts, value });
                }
                IpAddr::V6(address) => {
                    let hosts = u128::MAX.checked_shr(bits.into()).unwrap_or(0);
                    let first = u128::from(address) & !hosts;
                    v6.push(Range { first, last: first | hosts, value });
                }
            }
        }
        Self {
            v4: flatten(v4, |value| value.checked_add(1), |value| value.checked_sub(1)),
            v6: flatten(v6, |value| value.checked_add(1), |value| value.checked_sub(1)),
        }
    }

    /// The reputation of an address; `None` where no network holds it.
    #[inline]
    pub fn find(&self, address: IpAddr) -> Option<u8> {
        match address {
            IpAddr::V4(address) => find(&self.v4, address.into()),
            IpAddr::V6(address) => find(&self.v6, address.into()),
        }
    }
}

#[inline]
fn find<T: Ord + Copy>(ranges: &[Range<T>], value: T) -> Option<u8> {
    let behind = ranges.partition_point(|range| range.first <= value);
    let range = ranges.get(behind.checked_sub(1)?)?;
    (value <= range.last).then_some(range.value)
}

/// Cuts the inner networks out of the outer ones. Networks are nested or disjoint.
fn flatten<T: Ord + Copy>(
    mut networks: Vec<Range<T>>,
    above: impl Fn(T) -> Option<T>,
    below: impl Fn(T) -> Option<T>,
) -> Box<[Range<T>]> {
    // Outer before inner; the sort keeps the order of equal ones.
    networks.sort_by(|a, b| a.first.cmp(&b.first).then(b.last.cmp(&a.last)));
    let mut flat: Vec<Range<T>> = Vec::with_capacity(networks.len());
    // The networks around the present place, each with the first address not yet given out.
    let mut open: Vec<(Range<T>, Option<T>)> = Vec::new();
    let close = |open: &mut Vec<(Range<T>, Option<T>)>, flat: &mut Vec<Range<T>>| {
        let Some((network, next)) = open.pop() else { return };
        if let Some(first) = next.filter(|next| *next <= network.last) {
            flat.push(Range { first, ..network });
        }
        if let Some((_, next)) = open.last_mut() {
            *next = above(network.last);
        }
    };
    for network in networks {
        while open.last().is_some_and(|(outer, _)| outer.last < network.first) {
            close(&mut open, &mut flat);
        }
        if let Some((outer, next)) = open.last_mut() {
            if (outer.first, outer.last) == (network.first, network.last) {
                outer.value = network.value;
                continue;
            }
            let last = below(network.first);
            if let (Some(first), Some(last)) = (*next, last)
                && first <= last
            {
                flat.push(Range { first, last, ..*outer });
            }
        }
        open.push((network, Some(network.first)));
    }
    while !open.is_empty() {
        close(&mut open, &mut flat);
    }
    flat.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Few addresses, so that networks are nested and equal often; both ends of the space among them.
    fn network() -> impl Strategy<Value = Network> {
        let v4 = (any::<[bool; 5]>(), 0..=32_u8, 0..=127_u8).prop_map(|(bits, length, value)| {
            let address = ends(bits);
            Network { address: IpAddr::V4(address.into()), bits: length, value }
        });
        let v6 = (any::<[bool; 5]>(), 0..=128_u8, 0..=127_u8).prop_map(|(bits, length, value)| {
            let address = (u128::from(ends(bits)) << 96) | u128::from(ends(bits));
            Network { address: IpAddr::V6(address.into()), bits: length, value }
        });
        prop_oneof![v4, v6]
    }

    fn ends(bits: [bool; 5]) -> u32 {
        let [a, b, c, d, e] = bits.map(u32::from);
        (a << 31) | (b << 30) | (c << 1) | d | (e * 0x0fff_fff0)
    }

    fn holds(network: &Network, address: IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u32| {
            let shift = width - u32::from(network.bits);
            a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
        };
        match (network.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(u32::from(a).into(), u32::from(b).into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.into(), b.into(), 128),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn the_longest_network_counts(
            networks in prop::collection::vec(network(), 0..30),
            addresses in prop::collection::vec(network(), 1..60),
        ) {
            let table = Table::new(&networks);
            for Network { address, .. } in addresses {
                // The last of the longest, as `max_by_key` takes it.
                let holding = networks.iter().filter(|network| holds(network, address));
                let expected = holding.max_by_key(|network| network.bits).map(|n| n.value);
                prop_assert_eq!(table.find(address), expected, "{}", address);
            }
        }
    }
}
