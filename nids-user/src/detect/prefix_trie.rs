//! A prefix trie: which values were filed under prefixes that an address lies in.
//!
//! Path-compressed and binary (a Patricia trie), built once from all prefixes and immutable. Nodes lie in one
//! array in the order of a depth-first walk, so that the left child of a node, if it has one, is the next
//! node. A value stands at its own prefix and nowhere else: memory is linear in the prefixes (two nodes each
//! at most), whatever lies within whatever, and a look-up visits at most as many nodes as an address has
//! bits, in practice the logarithm of the number of prefixes.

/// An address as a number.
pub trait Key: Copy + Ord + std::fmt::Debug {
    /// Its bits.
    const BITS: u8;
    /// All bits zero.
    const ZERO: Self;
    /// Number of leading bits that both have in common.
    fn common(self, other: Self) -> u8;
    /// The bit at this place, counted from the highest; false behind the last.
    fn bit(self, at: u8) -> bool;
    /// Bits of the largest block that begins here, and ends at `last` at the latest.
    fn block(self, last: Self) -> u8;
    /// The last value of the block of this many bits that begins here, and the value behind it.
    fn end_of_block(self, bits: u8) -> (Self, Option<Self>);
}

macro_rules! key {
    ($($kind:ty),*) => {$(
        impl Key for $kind {
            const BITS: u8 = <$kind>::BITS as u8;
            const ZERO: Self = 0;
            #[inline]
            fn common(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }
            #[inline]
            fn bit(self, at: u8) -> bool {
                self.checked_shl(u32::from(at)).is_some_and(|rest| rest.leading_zeros() == 0)
            }
            fn block(self, last: Self) -> u8 {
                let size = last - self;
                // A block of all values has one more than its type can count.
                let fits = size.checked_add(1).map_or(<$kind>::BITS, |count| count.ilog2());
                self.trailing_zeros().min(fits) as u8
            }
            fn end_of_block(self, bits: u8) -> (Self, Option<Self>) {
                let more = <$kind>::MAX.checked_shr(<$kind>::BITS - u32::from(bits)).unwrap_or(0);
                let last = self | more;
                (last, last.checked_add(1))
            }
        }
    )*};
}
key!(u32, u128);

/// The addresses whose first bits are those of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix<K> {
    /// Those bits; the others are zero.
    key: K,
    /// How many they are.
    length: u8,
}

impl<K: Key> Prefix<K> {
    /// Every address.
    pub fn everything() -> Self {
        Self { key: K::ZERO, length: 0 }
    }

    /// Number of bits that are given.
    pub fn length(self) -> u8 {
        self.length
    }

    /// The fewest prefixes that together are the closed range: at most two less than twice the bits of an
    /// address.
    pub fn of_range(first: K, last: K) -> impl Iterator<Item = Self> {
        let mut next = Some(first).filter(|first| *first <= last);
        std::iter::from_fn(move || {
            let key = next?;
            let bits = key.block(last);
            let (end, behind) = key.end_of_block(bits);
            next = behind.filter(|_| end < last);
            Some(Self { key, length: K::BITS - bits })
        })
    }
}

/// Values by prefix.
#[derive(Debug)]
pub struct PrefixTrie<K> {
    nodes: Box<[Node<K>]>,
    values: Box<[u32]>,
}

#[derive(Debug)]
struct Node<K> {
    key: K,
    /// Where its values begin; they end where those of the next node begin.
    start: u32,
    /// The child whose next bit is set; 0: none.
    right: u32,
    length: u8,
    /// The child whose next bit is not set is the next node.
    left: bool,
}

impl<K: Key> PrefixTrie<K> {
    /// Files each value under its prefix.
    pub fn new(mut filed: Vec<(Prefix<K>, u32)>) -> Self {
        filed.sort_unstable();
        filed.dedup();
        let mut builder = Builder { nodes: Vec::new(), values: Vec::with_capacity(filed.len()) };
        builder.node(&filed);
        Self { nodes: builder.nodes.into(), values: builder.values.into() }
    }

    /// Whether nothing is filed.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Appends the values of all prefixes that the address lies in.
    #[inline]
    pub fn find(&self, address: K, values: &mut Vec<u32>) {
        let mut at = 0;
        while let Some(node) = self.nodes.get(at)
            && node.key.common(address) >= node.length
        {
            let end = self.nodes.get(at + 1).map_or(self.values.len(), |next| next.start as usize);
            values.extend_from_slice(self.values.get(node.start as usize..end).unwrap_or_default());
            at = match address.bit(node.length) {
                false if node.left => at + 1,
                true if node.right != 0 => node.right as usize,
                _ => return,
            };
        }
    }

    /// Bytes of memory it takes.
    pub fn memory(&self) -> usize {
        size_of_val(&*self.nodes) + size_of_val(&*self.values)
    }
}

struct Builder<K> {
    nodes: Vec<Node<K>>,
    values: Vec<u32>,
}

impl<K: Key> Builder<K> {
    /// Adds the node that all of these prefixes, which are sorted, lie below, and all below it. Deeper by one
    /// for each bit at most.
    fn node(&mut self, filed: &[(Prefix<K>, u32)]) {
        let (Some((first, _)), Some((last, _))) = (filed.first(), filed.last()) else { return };
        let length = first.key.common(last.key).min(first.length).min(last.length);
        // What is filed here comes first, as it sorts before all that lies in it. The first key is the
        // lowest that lies below this node, and that is the node's own where anything is filed here.
        let here = filed.partition_point(|(prefix, _)| prefix.length == length);
        let (here, below) = filed.split_at_checked(here).unwrap_or((filed, &[]));
        let low = below.partition_point(|(prefix, _)| !prefix.key.bit(length));
        let (low, high) = below.split_at_checked(low).unwrap_or((below, &[]));
        let at = self.nodes.len();
        let (start, left) = (self.values.len() as u32, !low.is_empty());
        self.nodes.push(Node { key: first.key, start, right: 0, length, left });
        self.values.extend(here.iter().map(|(_, value)| value));
        self.node(low);
        let right = self.nodes.len() as u32;
        self.node(high);
        if let Some(node) = self.nodes.get_mut(at).filter(|_| !high.is_empty()) {
            node.right = right;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    key!(u8);

    fn trie<K: Key>(ranges: &[(K, K)]) -> PrefixTrie<K> {
        let filed = (0..).zip(ranges).flat_map(|(value, (first, last))| {
            Prefix::of_range(*first, *last).map(move |prefix| (prefix, value))
        });
        PrefixTrie::new(filed.collect())
    }

    fn found<K: Key>(trie: &PrefixTrie<K>, address: K) -> Vec<u32> {
        let mut values = Vec::new();
        trie.find(address, &mut values);
        values.sort_unstable();
        values
    }

    fn scan<K: Key>(ranges: &[(K, K)], address: K) -> Vec<u32> {
        let holds = |range: &(K, K)| (range.0..=range.1).contains(&address);
        (0..).zip(ranges).filter(|(_, range)| holds(range)).map(|(value, _)| value).collect()
    }

    #[test]
    fn ranges_are_cut_into_the_fewest_prefixes() {
        let cut = |first, last| -> Vec<(u8, u8)> {
            Prefix::<u8>::of_range(first, last).map(|p| (p.key, p.length)).collect()
        };
        for (first, last, expected) in [
            (0, 255, &[(0, 0)][..]),
            (7, 7, &[(7, 8)]),
            (255, 255, &[(255, 8)]),
            (0, 127, &[(0, 1)]),
            (1, 4, &[(1, 8), (2, 7), (4, 8)]),
            (9, 3, &[]),
        ] {
            assert_eq!(cut(first, last), expected, "{first}-{last}");
        }
        assert_eq!(cut(1, 254).len(), 14);
    }

    proptest! {
        #[test]
        fn finds_what_a_scan_finds(
            ranges in prop::collection::vec((any::<u8>(), prop_oneof![0..4_u8, any::<u8>()]), 0..30)
        ) {
            let ranges: Vec<(u8, u8)> =
                ranges.into_iter().map(|(first, more)| (first, first.saturating_add(more))).collect();
            let trie = trie(&ranges);
            for address in 0..=255 {
                prop_assert_eq!(found(&trie, address), scan(&ranges, address), "{}", address);
            }
        }

        #[test]
        fn finds_what_a_scan_finds_in_wide_keys(
            ranges in prop::collection::vec((any::<u128>(), 0..128_u32), 0..30),
            near in prop::collection::vec((any::<prop::sample::Index>(), 0..128_u32), 1..30),
        ) {
            // Prefixes of all lengths, many of them within one another.
            let ranges: Vec<(u128, u128)> = ranges.iter().flat_map(|(key, bits)| {
                let mask = u128::MAX >> bits;
                [(key & !mask, key | mask), (*key, key | (mask >> 1))]
            }).collect();
            let trie = trie(&ranges);
            for (index, bit) in near {
                if ranges.is_empty() { break }
                let (first, last) = ranges[index.index(ranges.len())];
                for address in [first, last, first ^ (1 << bit), last.wrapping_add(1), first.wrapping_sub(1)] {
                    prop_assert_eq!(found(&trie, address), scan(&ranges, address));
                }
            }
        }
    }

    #[test]
    fn many_prefixes_are_built_at_once_and_in_little_memory() {
        let mut state = 1_u32;
        let ranges: Vec<(u32, u32)> = (0..100_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let bits = (state >> 8) % 9;
                (state & !0 << bits, state | !(!0 << bits))
            })
            .collect();
        let start = Instant::now();
        let trie = trie(&ranges);
        println!("100,000 prefixes: {:?}, {} KiB", start.elapsed(), trie.memory() >> 10);
        assert!(trie.nodes.len() <= 2 * ranges.len());
        assert!(trie.memory() < 4 << 20, "{} bytes", trie.memory());
        for (value, (first, last)) in (0..).zip(&ranges).step_by(97) {
            for address in [*first, *last] {
                assert!(found(&trie, address).contains(&value));
            }
        }
    }
}
