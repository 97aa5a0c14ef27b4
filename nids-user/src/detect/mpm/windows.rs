//! Four bytes of each pattern in a table, and each place of the buffer looked up in it.
//!
//! The table is a set of bits, one for each value of a hash of four bytes, small enough for the nearest cache: on
//! text without any pattern the search is a multiplication and a bit test a place. Where the bit is set, the
//! patterns with these four bytes are compared. Of a pattern of seven bytes or more, four windows in a row
//! are in the table, so that only each fourth place has to be looked at.
//!
//! Patterns are compared one after the other, so that few may have the same window: each takes the one that is
//! least crowded, and rarest in traffic, and what finds none with room is left to another matcher. So a
//! buffer made for the purpose costs [`ROOM`] comparisons a place and no more.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{Hits, Kind, Matcher, Numbered, rarity};

/// Bytes of a window.
const WIDTH: usize = 4;
/// Patterns that may have the same window.
pub const ROOM: usize = 16;
/// Bits of the table for each window: few enough are set for most places to end there.
const BITS_A_WINDOW: usize = 16;
/// Bits of a table at least and at most, as powers of two: 128 bytes, 64 KiB.
const LEAST_BITS: u32 = 10;
const MOST_BITS: u32 = 19;

/// The matcher. It looks at each `STRIDE`th place.
#[derive(Debug)]
pub(super) struct Windows<const STRIDE: usize> {
    /// The hash of a window is so much less than 32 bits.
    shift: u32,
    bits: Box<[u64]>,
    /// For each word of `bits`: how many bits are set before it.
    ranks: Box<[u32]>,
    /// For each bit that is set: where its windows begin; and one more.
    starts: Box<[u32]>,
    windows: Box<[Window]>,
    patterns: Box<[Pattern]>,
}

/// A window of a pattern.
#[derive(Clone, Copy, Debug)]
struct Window {
    bytes: [u8; WIDTH],
    /// Index of the pattern, and the place of the window in it.
    pattern: u32,
    offset: u32,
}

#[derive(Debug)]
struct Pattern {
    number: u32,
    bytes: Box<[u8]>,
}

impl<const STRIDE: usize> Windows<STRIDE> {
    /// Fewest bytes of a pattern.
    pub(super) const LEAST: usize = WIDTH + STRIDE - 1;

    /// A matcher of all patterns but those that it has no room for, or that are too short: these come back.
    pub(super) fn new<'p>(patterns: &[Numbered<'p>]) -> (Self, Vec<Numbered<'p>>) {
        let mut crowds: HashMap<[u8; WIDTH], usize> = HashMap::new();
        let (mut windows, mut kept, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for pattern in patterns {
            let Some(at) = Self::place(pattern.bytes, &crowds) else {
                left.push(*pattern);
                continue;
            };
            let places = (at..).zip(pattern.bytes.array_windows().skip(at).take(STRIDE));
            for (offset, bytes) in places {
                *crowds.entry(*bytes).or_default() += 1;
                // Patterns are cut to a few bytes, and there are fewer than signatures.
                let (pattern, offset) = (kept.len() as u32, offset as u32);
                windows.push(Window { bytes: *bytes, pattern, offset });
            }
            kept.push(Pattern { number: pattern.number, bytes: pattern.bytes.into() });
        }
        let bits = (windows.len() * BITS_A_WINDOW).next_power_of_two().ilog2();
        let shift = 32 - bits.clamp(LEAST_BITS, MOST_BITS);
        windows.sort_by_key(|window| hash(window.bytes, shift));
        let mut bits = vec![0_u64; 1 << (32 - shift) >> 6].into_boxed_slice();
        let (mut starts, mut last) = (Vec::new(), None);
        for (start, window) in (0..).zip(&windows) {
            let hash = hash(window.bytes, shift);
            if last.replace(hash) != Some(hash) {
                starts.push(start);
            }
            if let Some(word) = bits.get_mut(hash as usize >> 6) {
                *word |= 1 << (hash & 63);
            }
        }
        starts.push(windows.len() as u32);
        let before = |sum: &mut u32, word: &u64| {
            let before = *sum;
            *sum += word.count_ones();
            Some(before)
        };
        let ranks = bits.iter().scan(0, before).collect();
        let (starts, windows, patterns) = (starts.into(), windows.into(), kept.into());
        (Self { shift, bits, ranks, starts, windows, patterns }, left)
    }

    /// Where the windows of a pattern are taken from.
    fn place(pattern: &[u8], crowds: &HashMap<[u8; WIDTH], usize>) -> Option<usize> {
        let crowd = |window: &[u8; WIDTH]| crowds.get(window).copied().unwrap_or(0);
        let rarity = |window: &[u8; WIDTH]| window.iter().map(|byte| rarity(*byte)).sum::<u32>();
        (0..)
            .zip(pattern.windows(Self::LEAST))
            .filter_map(|(at, part)| {
                let crowd = part.array_windows().map(crowd).max()?;
                let commonest = part.array_windows().map(rarity).min()?;
                // A handful more or less makes no difference.
                (crowd < ROOM).then_some((crowd / 4, Reverse(commonest), at))
            })
            .min()
            .map(|(.., at)| at)
    }

    /// Compares the patterns that have this window.
    #[cold]
    fn verify(&self, haystack: &[u8], at: usize, bytes: [u8; WIDTH], hash: u32, hits: &mut Hits) {
        let word = hash as usize >> 6;
        let (Some(bits), Some(rank)) = (self.bits.get(word), self.ranks.get(word)) else { return };
        let below = bits & ((1 << (hash & 63)) - 1);
        let slot = (rank + below.count_ones()) as usize;
        let (start, end) = (self.starts.get(slot), self.starts.get(slot + 1));
        let range = start.copied().unwrap_or(0) as usize..end.copied().unwrap_or(0) as usize;
        for window in self.windows.get(range).unwrap_or_default() {
            if window.bytes == bytes
                && let Some(start) = at.checked_sub(window.offset as usize)
                && let Some(pattern) = self.patterns.get(window.pattern as usize)
                && haystack.get(start..).is_some_and(|rest| rest.starts_with(&pattern.bytes))
            {
                hits.insert(pattern.number);
            }
        }
    }
}

impl<const STRIDE: usize> Matcher for Windows<STRIDE> {
    fn scan(&self, haystack: &[u8], hits: &mut Hits) {
        let places = haystack.array_windows().enumerate().step_by(STRIDE);
        for (at, bytes) in places {
            let hash = hash(*bytes, self.shift);
            let word = self.bits.get(hash as usize >> 6).copied().unwrap_or(0);
            if word >> (hash & 63) & 1 != 0 {
                self.verify(haystack, at, *bytes, hash, hits);
            }
        }
    }
    fn kind(&self) -> Kind {
        if STRIDE == 1 { Kind::Windows } else { Kind::Strides }
    }
    fn patterns(&self) -> usize {
        self.patterns.len()
    }
    fn memory(&self) -> usize {
        let patterns =
            self.patterns.iter().map(|pattern| size_of::<Pattern>() + pattern.bytes.len());
        size_of_val(&*self.bits)
            + size_of_val(&*self.ranks)
            + size_of_val(&*self.starts)
            + size_of_val(&*self.windows)
            + patterns.sum::<usize>()
    }
}

/// The upper bits of a product: each bit of the window counts.
#[inline(always)]
fn hash(bytes: [u8; WIDTH], shift: u32) -> u32 {
    u32::from_le_bytes(bytes).wrapping_mul(0x9e37_79b1) >> shift
}
