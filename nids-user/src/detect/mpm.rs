//! Multi-pattern matching: which of many byte strings occur in a buffer at all.
//!
//! Patterns that are to be found without regard to case are given, and their buffer is scanned, in
//! lower case: matchers know bytes only. [`build`] takes patterns apart by length and gives each part to the
//! kind that was measured to be fastest for its number (docs/benchmarks.md; `benches/mpm.rs`):
//!
//! * up to 2 patterns: one substring search each;
//! * up to 64 of 3 bytes or more: Teddy ([`Kind::Packed`]);
//! * more, of 7 bytes or more, up to 4,096: windows at each fourth place ([`Kind::Strides`]);
//! * more, of 4 bytes or more: windows at each place ([`Kind::Windows`]);
//! * shorter ones: a DFA, which stays small;
//! * what has no room among the windows, as too many begin alike: the contiguous NFA.
//!
//! Aho-Corasick is not used for large sets: from 300 patterns on it is slower than windows (by 4 % to 2.3
//! times) and takes 7 to 270 times their memory. The figures are in docs/benchmarks.md.

mod windows;

use aho_corasick::automaton::{Automaton, OverlappingState};
use aho_corasick::packed;
use aho_corasick::{Anchored, Input, MatchKind, dfa::DFA, nfa::contiguous::NFA};
use memchr::memmem::Finder;
use windows::Windows;

/// Which patterns were found, each at most once. Kept from packet to packet.
#[derive(Debug, Default)]
pub struct Hits {
    seen: Vec<u64>,
    found: Vec<u32>,
}

impl Hits {
    /// Makes room for pattern numbers below `patterns`.
    pub fn reserve(&mut self, patterns: usize) {
        let words = patterns.div_ceil(64);
        if self.seen.len() < words {
            self.seen.resize(words, 0);
        }
        self.found.reserve(patterns.saturating_sub(self.found.len()));
    }
    /// Notes a pattern; false where it was there already.
    #[inline]
    pub fn insert(&mut self, pattern: u32) -> bool {
        let Some(word) = self.seen.get_mut((pattern >> 6) as usize) else { return false };
        let bit = 1 << (pattern & 63);
        let new = *word & bit == 0;
        if new {
            *word |= bit;
            self.found.push(pattern);
        }
        new
    }
    /// The patterns found, in no order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.found.iter().copied()
    }
    /// Number of patterns found.
    pub fn len(&self) -> usize {
        self.found.len()
    }
    /// Whether none was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
    /// Forgets them. Takes time by their number only.
    pub fn clear(&mut self) {
        for pattern in self.found.drain(..) {
            if let Some(word) = self.seen.get_mut((pattern >> 6) as usize) {
                *word = 0;
            }
        }
    }
}

/// Finds which of its patterns occur in a buffer.
pub trait Matcher: Send + Sync + std::fmt::Debug {
    /// Notes every pattern, by its number, that occurs in `haystack`.
    fn scan(&self, haystack: &[u8], hits: &mut Hits);
    /// Which kind this is.
    fn kind(&self) -> Kind;
    /// Number of patterns.
    fn patterns(&self) -> usize;
    /// Bytes of memory it takes.
    fn memory(&self) -> usize;
}

/// Kinds of matcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One substring search a pattern.
    Substring,
    /// Teddy (SIMD), every pattern tried where one begins.
    Packed,
    /// Aho-Corasick as a full table.
    Dfa,
    /// Aho-Corasick with failure links, states packed into one array.
    Nfa,
    /// Four bytes of each pattern in a table, each place of the buffer looked up there.
    Windows,
    /// The same with four windows a pattern, at each fourth place.
    Strides,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Substring, Self::Packed, Self::Dfa, Self::Nfa, Self::Windows, Self::Strides];
}

/// A pattern and its number.
#[derive(Clone, Copy, Debug)]
pub struct Numbered<'p> {
    /// What hits tell.
    pub number: u32,
    /// What is sought; not empty.
    pub bytes: &'p [u8],
}

/// Patterns up to which each is sought by itself.
pub const SUBSTRING_PATTERNS: usize = 2;
/// Patterns up to which Teddy is used.
const PACKED_PATTERNS: usize = 64;
/// Fewest bytes of a pattern of Teddy's: it looks at the first ones, and with fewer stops too often.
const PACKED_LEAST: usize = 3;
/// Patterns up to which four windows each are looked for: with more, places are seldom passed over.
const STRIDES_PATTERNS: usize = 4096;
/// Bytes from which on a pattern has four windows.
pub const LONG: usize = Windows::<4>::LEAST;

/// How rare a byte is in the traffic that rules look at, roughly.
pub fn rarity(byte: u8) -> u32 {
    match byte {
        0 | b' ' | b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 0,
        b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'=' | b':' | b'\r' | b'\n' => 1,
        b'A'..=b'Z' | b' '..=b'~' | 1 | 0xff => 3,
        _ => 4,
    }
}

/// The matchers that together find these patterns, numbered by their places. None may be empty.
pub fn build(patterns: &[Box<[u8]>]) -> Result<Vec<Box<dyn Matcher>>, Unbuildable> {
    let all: Vec<Numbered<'_>> =
        (0..).zip(patterns).map(|(number, bytes)| Numbered { number, bytes }).collect();
    if all.len() <= SUBSTRING_PATTERNS {
        return Ok(vec![build_kind(Kind::Substring, &all)?]);
    }
    let shorter = |bytes: usize| move |pattern: &Numbered<'_>| pattern.bytes.len() < bytes;
    let (mut short, mut rest) = all.into_iter().partition::<Vec<_>, _>(shorter(PACKED_LEAST));
    let mut matchers: Vec<Box<dyn Matcher>> = Vec::new();
    let mut left = Vec::new();
    if !few(&rest, &mut matchers) {
        let (three, longer) = rest.into_iter().partition::<Vec<_>, _>(shorter(Windows::<1>::LEAST));
        short.extend(three);
        let (mut middle, mut long) = longer.into_iter().partition::<Vec<_>, _>(shorter(LONG));
        if long.len() > STRIDES_PATTERNS {
            middle.append(&mut long);
        }
        if !few(&middle, &mut matchers) {
            let (matcher, more) = Windows::<1>::new(&middle);
            matchers.push(Box::new(matcher));
            left.extend(more);
        }
        if !few(&long, &mut matchers) {
            let (matcher, more) = Windows::<4>::new(&long);
            matchers.push(Box::new(matcher));
            left.extend(more);
        }
        rest = left;
    } else {
        rest = Vec::new();
    }
    for (patterns, kind) in [(short, Kind::Dfa), (rest, Kind::Nfa)] {
        match patterns.len() {
            0 => {}
            1..=SUBSTRING_PATTERNS => matchers.push(build_kind(Kind::Substring, &patterns)?),
            _ => matchers.push(build_kind(kind, &patterns)?),
        }
    }
    Ok(matchers)
}

/// Adds a matcher for patterns, none of them very short, if they are few; false where they are not.
fn few(patterns: &[Numbered<'_>], matchers: &mut Vec<Box<dyn Matcher>>) -> bool {
    if patterns.is_empty() {
        return true;
    }
    let kind = if patterns.len() <= SUBSTRING_PATTERNS { Kind::Substring } else { Kind::Packed };
    // Not every processor has what Teddy needs.
    let built = (patterns.len() <= PACKED_PATTERNS).then(|| build_kind(kind, patterns));
    match built {
        Some(Ok(matcher)) => {
            matchers.push(matcher);
            true
        }
        _ => false,
    }
}

/// A matcher of this kind.
pub fn build_kind(kind: Kind, patterns: &[Numbered<'_>]) -> Result<Box<dyn Matcher>, Unbuildable> {
    let bytes = || patterns.iter().map(|pattern| pattern.bytes);
    let numbers = patterns.iter().map(|pattern| pattern.number).collect();
    Ok(match kind {
        Kind::Substring => Box::new(Substrings::new(patterns)),
        Kind::Packed => Box::new(Packed::new(patterns)?),
        Kind::Dfa => {
            let dfa = DFA::builder()
                .match_kind(MatchKind::Standard)
                .start_kind(aho_corasick::StartKind::Unanchored)
                .build(bytes())
                .map_err(|_| Unbuildable)?;
            Box::new(Dfa(dfa, numbers))
        }
        Kind::Nfa => {
            let nfa = NFA::builder()
                .match_kind(MatchKind::Standard)
                .build(bytes())
                .map_err(|_| Unbuildable)?;
            Box::new(Nfa(nfa, numbers))
        }
        Kind::Windows => whole(Windows::<1>::new(patterns))?,
        Kind::Strides => whole(Windows::<4>::new(patterns))?,
    })
}

/// A matcher that has room for all patterns.
fn whole<const STRIDE: usize>(
    (matcher, left): (Windows<STRIDE>, Vec<Numbered<'_>>),
) -> Result<Box<dyn Matcher>, Unbuildable> {
    if left.is_empty() { Ok(Box::new(matcher)) } else { Err(Unbuildable) }
}

/// The patterns are too many or too long for this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many patterns, or too long or too short ones, for this kind of matcher")]
pub struct Unbuildable;

#[derive(Debug)]
struct Substrings(Vec<(u32, Finder<'static>)>);

impl Substrings {
    fn new(patterns: &[Numbered<'_>]) -> Self {
        let finder = |pattern: &Numbered<'_>| Finder::new(pattern.bytes).into_owned();
        Self(patterns.iter().map(|pattern| (pattern.number, finder(pattern))).collect())
    }
}

impl Matcher for Substrings {
    #[inline]
    fn scan(&self, haystack: &[u8], hits: &mut Hits) {
        for (number, finder) in &self.0 {
            if finder.find(haystack).is_some() {
                hits.insert(*number);
            }
        }
    }
    fn kind(&self) -> Kind {
        Kind::Substring
    }
    fn patterns(&self) -> usize {
        self.0.len()
    }
    fn memory(&self) -> usize {
        self.0.iter().map(|(_, finder)| size_of::<Finder<'_>>() + finder.needle().len()).sum()
    }
}

/// Teddy finds the leftmost place where a pattern begins; there all patterns are compared, and the
/// search goes on one byte further.
#[derive(Debug)]
struct Packed {
    searcher: packed::Searcher,
    patterns: Box<[(u32, Box<[u8]>)]>,
}

impl Packed {
    fn new(patterns: &[Numbered<'_>]) -> Result<Self, Unbuildable> {
        let searcher = packed::Config::new()
            .match_kind(packed::MatchKind::LeftmostFirst)
            .builder()
            .extend(patterns.iter().map(|pattern| pattern.bytes))
            .build()
            .ok_or(Unbuildable)?;
        let patterns = patterns.iter().map(|pattern| (pattern.number, pattern.bytes.into()));
        Ok(Self { searcher, patterns: patterns.collect() })
    }
}

impl Matcher for Packed {
    fn scan(&self, haystack: &[u8], hits: &mut Hits) {
        let mut span = aho_corasick::Span::from(0..haystack.len());
        let mut missing = self.patterns.len();
        while let Some(found) = self.searcher.find_in(haystack, span) {
            let rest = haystack.get(found.start()..).unwrap_or_default();
            for (number, pattern) in &self.patterns {
                if rest.starts_with(pattern) {
                    missing -= usize::from(hits.insert(*number));
                }
            }
            if missing == 0 {
                return;
            }
            span.start = found.start() + 1;
        }
    }
    fn kind(&self) -> Kind {
        Kind::Packed
    }
    fn patterns(&self) -> usize {
        self.patterns.len()
    }
    fn memory(&self) -> usize {
        let patterns = self.patterns.iter().map(|(_, pattern)| pattern.len());
        self.searcher.memory_usage() + size_of_val(&*self.patterns) + patterns.sum::<usize>()
    }
}

#[derive(Debug)]
struct Dfa(DFA, Box<[u32]>);

impl Matcher for Dfa {
    fn scan(&self, haystack: &[u8], hits: &mut Hits) {
        overlapping(&self.0, &self.1, haystack, hits);
    }
    fn kind(&self) -> Kind {
        Kind::Dfa
    }
    fn patterns(&self) -> usize {
        self.1.len()
    }
    fn memory(&self) -> usize {
        self.0.memory_usage() + size_of_val(&*self.1)
    }
}

#[derive(Debug)]
struct Nfa(NFA, Box<[u32]>);

impl Matcher for Nfa {
    fn scan(&self, haystack: &[u8], hits: &mut Hits) {
        overlapping(&self.0, &self.1, haystack, hits);
    }
    fn kind(&self) -> Kind {
        Kind::Nfa
    }
    fn patterns(&self) -> usize {
        self.1.len()
    }
    fn memory(&self) -> usize {
        self.0.memory_usage() + size_of_val(&*self.1)
    }
}

/// Every occurrence, overlapping ones too: a pattern inside another must not be missed.
#[inline]
fn overlapping<A: Automaton>(automaton: &A, numbers: &[u32], haystack: &[u8], hits: &mut Hits) {
    let input = Input::new(haystack).anchored(Anchored::No);
    let mut state = OverlappingState::start();
    while automaton.try_find_overlapping(&input, &mut state).is_ok() {
        let Some(found) = state.get_match() else { return };
        if let Some(number) = numbers.get(found.pattern().as_usize()) {
            hits.insert(*number);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(matchers: &[Box<dyn Matcher>], patterns: usize, haystack: &[u8]) -> Vec<u32> {
        let mut hits = Hits::default();
        hits.reserve(patterns);
        // The second time must not know of the first.
        for _ in 0..2 {
            hits.clear();
            matchers.iter().for_each(|matcher| matcher.scan(haystack, &mut hits));
        }
        let mut found: Vec<u32> = hits.iter().collect();
        found.sort_unstable();
        found
    }

    fn one(kind: Kind, patterns: &[Box<[u8]>]) -> Option<[Box<dyn Matcher>; 1]> {
        let numbered: Vec<Numbered<'_>> =
            (0..).zip(patterns).map(|(number, bytes)| Numbered { number, bytes }).collect();
        build_kind(kind, &numbered).ok().map(|matcher| [matcher])
    }

    fn naive(patterns: &[Box<[u8]>], haystack: &[u8]) -> Vec<u32> {
        (0..)
            .zip(patterns)
            .filter(|(_, pattern)| {
                haystack.windows(pattern.len()).any(|window| *window == ***pattern)
            })
            .map(|(number, _)| number)
            .collect()
    }

    /// One table of cases for all kinds.
    #[test]
    fn all_kinds_find_what_is_there() {
        for (patterns, haystack) in [
            (&["abc", "bcd", "abcd", "d", "zz"][..], "xabcdx"),
            (&["aaa", "aa", "a"], "aaaa"),
            (&["abcabcabc", "cab", "bca"], "abcabcab"),
            (&["foo", "foo"], "a foo"),
            (&["longer than the haystack"], "short"),
            (&["USER root"], "x USER root"),
            (&["abcd", "bcda", "cdab", "bcd1"], "abcdabcd1"),
            (&["passwd/", "/passwd/", "/etc/passwd"], "GET /etc/passwd"),
            (&["aaaaaaa", "aaaaaaaa"], "aaaaaaa"),
        ] {
            let patterns: Vec<Box<[u8]>> = patterns.iter().map(|p| p.as_bytes().into()).collect();
            for kind in Kind::ALL {
                let Some(matcher) = one(kind, &patterns) else { continue };
                assert_eq!(
                    found(&matcher, patterns.len(), haystack.as_bytes()),
                    naive(&patterns, haystack.as_bytes()),
                    "{kind:?} {patterns:?} in {haystack:?}"
                );
            }
        }
    }

    /// Each kind is chosen where the head of this module says so.
    #[test]
    fn kinds_by_number_and_length() {
        let patterns = |length: usize, count: usize| -> Vec<Box<[u8]>> {
            let number = |n: usize| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            (0..count).map(|n| number(n)[..length].into()).collect()
        };
        for (length, count, expected) in [
            (8, 2, &[Kind::Substring][..]),
            (8, 30, &[Kind::Packed]),
            (8, 300, &[Kind::Strides]),
            (5, 300, &[Kind::Windows]),
            (8, 30_000, &[Kind::Windows]),
            (3, 300, &[Kind::Dfa]),
            (2, 30, &[Kind::Dfa]),
        ] {
            let built = build(&patterns(length, count)).unwrap();
            let kinds: Vec<Kind> = built.iter().map(|matcher| matcher.kind()).collect();
            assert_eq!(kinds, expected, "{count} of {length} bytes");
        }
        // Alike but for their ends: few have room.
        let alike: Vec<Box<[u8]>> = (0..200_u8).map(|n| [0, 1, 2, 0, 1, 2, 0, n].into()).collect();
        let built = build(&alike).unwrap();
        assert!(built.iter().any(|matcher| matcher.kind() == Kind::Nfa));
        assert_eq!(built.iter().map(|matcher| matcher.patterns()).sum::<usize>(), 200);
        let mixed = [patterns(8, 300), patterns(5, 30), patterns(2, 1)].concat();
        let built = build(&mixed).unwrap();
        let kinds: Vec<Kind> = built.iter().map(|matcher| matcher.kind()).collect();
        assert_eq!(kinds, [Kind::Packed, Kind::Strides, Kind::Substring]);
        for (number, pattern) in (0..).zip(&mixed).step_by(13) {
            let haystack = [b"123", &**pattern, b"4"].concat();
            assert!(found(&built, mixed.len(), &haystack).contains(&number));
        }
    }

    proptest! {
        #[test]
        fn all_kinds_agree_with_a_plain_search(
            patterns in prop::collection::vec(prop::collection::vec(97_u8..100, 1..6), 1..80),
            longer in prop::collection::vec(prop::collection::vec(97_u8..100, 3..12), 0..200),
            haystack in prop::collection::vec(97_u8..101, 0..200),
        ) {
            let boxed = |patterns: Vec<Vec<u8>>| -> Vec<Box<[u8]>> {
                patterns.into_iter().map(Into::into).collect()
            };
            let (patterns, longer) = (boxed(patterns), boxed(longer));
            let both = [patterns.as_slice(), longer.as_slice()].concat();
            let long: Vec<Box<[u8]>> = longer.iter().filter(|p| p.len() >= LONG).cloned().collect();
            for set in [&patterns, &long, &both] {
                let expected = naive(set, &haystack);
                for kind in Kind::ALL {
                    if let Some(matcher) = one(kind, set) {
                        prop_assert_eq!(found(&matcher, set.len(), &haystack), &expected[..], "{:?}", kind);
                    }
                }
                if !set.is_empty() {
                    prop_assert_eq!(found(&build(set).unwrap(), set.len(), &haystack), expected);
                }
            }
        }
    }
}
