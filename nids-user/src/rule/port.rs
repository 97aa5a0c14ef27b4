//! Resolved port groups: one bit a port. Sets are shared, as those of `address` are.

use std::sync::{Arc, LazyLock};

const WORDS: usize = 1024;
type Bits = [u64; WORDS];

static NONE: LazyLock<Arc<Bits>> = LazyLock::new(|| Arc::new([0; WORDS]));
static ALL: LazyLock<Arc<Bits>> = LazyLock::new(|| Arc::new([u64::MAX; WORDS]));

/// A set of ports.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PortSet {
    bits: Arc<Bits>,
}

impl PortSet {
    /// No port.
    pub fn empty() -> Self {
        Self { bits: NONE.clone() }
    }
    /// Every port.
    pub fn any() -> Self {
        Self { bits: ALL.clone() }
    }
    /// Whether every port is in it.
    pub fn is_any(&self) -> bool {
        self.bits.iter().all(|word| *word == u64::MAX)
    }
    /// Whether no port is in it.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|word| *word == 0)
    }
    /// Number of ports in it.
    pub fn len(&self) -> usize {
        self.bits.iter().map(|word| word.count_ones() as usize).sum()
    }
    /// Whether `port` is in it.
    pub fn contains(&self, port: u16) -> bool {
        self.bits.get(usize::from(port >> 6)).is_some_and(|word| word >> (port & 63) & 1 == 1)
    }
    /// Whether both are one set in memory: equal at once, and stored once.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bits, &other.bits)
    }
    /// Adds the closed range.
    pub fn insert(&mut self, first: u16, last: u16) {
        if first > last {
            return;
        }
        let (from, to) = (usize::from(first >> 6), usize::from(last >> 6));
        let Some(words) = Arc::make_mut(&mut self.bits).get_mut(from..=to) else { return };
        for (at, word) in (from..).zip(words) {
            let mut mask = u64::MAX;
            if at == from {
                mask &= u64::MAX << (first & 63);
            }
            if at == to {
                mask &= u64::MAX >> (63 - (last & 63));
            }
            *word |= mask;
        }
    }
    /// All ports that are in it, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0u16..).zip(self.bits.iter()).flat_map(|(at, &word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                (left != 0).then(|| {
                    let bit = left.trailing_zeros() as u16;
                    left &= left - 1;
                    at * 64 + bit
                })
            })
        })
    }
}

impl FromIterator<(u16, u16)> for PortSet {
    /// Closed ranges in any order.
    fn from_iter<I: IntoIterator<Item = (u16, u16)>>(ranges: I) -> Self {
        let mut set = Self::empty();
        for (first, last) in ranges {
            set.insert(first, last);
        }
        set
    }
}

impl std::fmt::Debug for PortSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PortSet({} ports)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn like_a_set_of_numbers(
            ranges in prop::collection::vec((any::<u16>(), 0u16..300), 0..8)
        ) {
            let ranges: Vec<(u16, u16)> =
                ranges.into_iter().map(|(a, n)| (a, a.saturating_add(n))).collect();
            let set: PortSet = ranges.iter().copied().collect();
            let model: std::collections::BTreeSet<u16> =
                ranges.iter().flat_map(|&(a, b)| a..=b).collect();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), Vec::from_iter(model.iter().copied()));
            prop_assert_eq!(set.len(), model.len());
            prop_assert_eq!(set.is_empty(), model.is_empty());
            for port in 0..=u16::MAX {
                prop_assert_eq!(set.contains(port), model.contains(&port));
            }
        }
    }

    #[test]
    fn bounds() {
        let mut set = PortSet::empty();
        set.insert(0, u16::MAX);
        assert!(set.is_any());
        assert_eq!(set, PortSet::any());
        assert_eq!(set.iter().count(), 65_536);
        assert!(PortSet::from_iter([(9, 3)]).is_empty());
    }
}
