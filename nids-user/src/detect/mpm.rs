//! Multi-pattern matching: which of many byte strings occur in a buffer at all.
//!
//! Patterns that are to be found without regard to case are given, and their buffer is scanned, in
//! lower case: matchers know bytes only. Which kind is built for how many patterns is decided in
//! [`build`], by the figures of `benches/mpm.rs`; here ns for 1,460 bytes of HTTP-like text:
//!
//! | patterns | substring | packed | DFA | NFA |
//! | --- | --- | --- | --- | --- |
//! | 2 | 86 | 112 | 114 | 142 |
//! | 16 | 728 | 225 | 2,478 | 5,403 |
//! | 64 | 3,971 | 2,852 | 2,897 | 8,702 |
//! | 300 | | | 5,302 (2.7 MiB) | 9,531 (0.3 MiB) |
//! | 3,000 | | | 10,132 (23 MiB) | 14,479 (1.6 MiB) |
//! | 10,000 | | | 24,349 (71 MiB) | 19,588 (4.5 MiB) |
//!
//! Packed was held up there by patterns that begin like the text does; those of rules are cut so that
//! they begin with rare bytes (see `prefilter`), and 75 of them take 676 ns, the whole inspection
//! included.

use aho_corasick::automaton::{Automaton, OverlappingState};
use aho_corasick::packed;
use aho_corasick::{Anchored, Input, MatchKind, dfa::DFA, nfa::contiguous::NFA};
use memchr::memmem::Finder;

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
    /// Notes every pattern, by its place in the list it was built from, that occurs in `haystack`.
    fn scan(&self, haystack: &[u8], hits: &mut Hits);
    /// Which kind this is.
    fn kind(&self) -> Kind;
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
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Substring, Self::Packed, Self::Dfa, Self::Nfa];
}

/// Patterns up to which each is sought by itself.
pub const SUBSTRING_PATTERNS: usize = 2;
/// Patterns up to which Teddy is used.
const PACKED_PATTERNS: usize = 64;
/// Bytes of all patterns up to which the table of a DFA is worth its memory (about 1 KiB a byte).
const DFA_BYTES: usize = 4 << 10;

/// The matcher for these patterns that was measured to be fastest for their number. None may be empty.
pub fn build(patterns: &[Box<[u8]>]) -> Result<Box<dyn Matcher>, Unbuildable> {
    let bytes: usize = patterns.iter().map(|pattern| pattern.len()).sum();
    let shortest = patterns.iter().map(|pattern| pattern.len()).min().unwrap_or(0);
    if patterns.len() <= SUBSTRING_PATTERNS {
        return build_kind(Kind::Substring, patterns);
    }
    // Teddy looks at the first bytes of patterns: with one byte only it stops too often.
    if patterns.len() <= PACKED_PATTERNS
        && shortest >= 3
        && let Ok(matcher) = build_kind(Kind::Packed, patterns)
    {
        return Ok(matcher);
    }
    build_kind(if bytes <= DFA_BYTES { Kind::Dfa } else { Kind::Nfa }, patterns)
}

/// A matcher of this kind.
pub fn build_kind(kind: Kind, patterns: &[Box<[u8]>]) -> Result<Box<dyn Matcher>, Unbuildable> {
    Ok(match kind {
        Kind::Substring => Box::new(Substrings::new(patterns)),
        Kind::Packed => Box::new(Packed::new(patterns)?),
        Kind::Dfa => Box::new(Dfa(DFA::builder()
            .match_kind(MatchKind::Standard)
            .start_kind(aho_corasick::StartKind::Unanchored)
            .build(patterns)
            .map_err(|_| Unbuildable)?)),
        Kind::Nfa => Box::new(Nfa(NFA::builder()
            .match_kind(MatchKind::Standard)
            .build(patterns)
            .map_err(|_| Unbuildable)?)),
    })
}

/// The patterns are too many or too long for this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many patterns, or too long ones, for this kind of matcher")]
pub struct Unbuildable;

#[derive(Debug)]
struct Substrings(Vec<Finder<'static>>);

impl Substrings {
    fn new(patterns: &[Box<[u8]>]) -> Self {
        Self(patterns.iter().map(|pattern| Finder::new(pattern).into_owned()).collect())
    }
}

impl Matcher for Substrings {
    #[inline]
    fn scan(&self, haystack: &[u8], hits: &mut Hits) {
        for (pattern, finder) in (0..).zip(&self.0) {
            if finder.find(haystack).is_some() {
                hits.insert(pattern);
            }
        }
    }
    fn kind(&self) -> Kind {
        Kind::Substring
    }
    fn memory(&self) -> usize {
        self.0.iter().map(|finder| size_of::<Finder<'_>>() + finder.needle().len()).sum()
    }
}

/// Teddy finds the leftmost place where a pattern begins; there all patterns are compared, and the
/// search goes on one byte further.
#[derive(Debug)]
struct Packed {
    searcher: packed::Searcher,
    patterns: Vec<Box<[u8]>>,
}

impl Packed {
    fn new(patterns: &[Box<[u8]>]) -> Result<Self, Unbuildable> {
        let searcher = packed::Config::new()
            .match_kind(packed::MatchKind::LeftmostFirst)
            .builder()
            .extend(patterns)
            .build()
            .ok_or(Unbuildable)?;
        Ok(Self { searcher, patterns: patterns.to_vec() })
    }
}

impl Matcher for Packed {
    fn scan(&self, haystack: &[u8], hits: &mut Hits) {
        let mut span = aho_corasick::Span::from(0..haystack.len());
        while let Some(found) = self.searcher.find_in(haystack, span) {
            let rest = haystack.get(found.start()..).unwrap_or_default();
            for (number, pattern) in (0..).zip(&self.patterns) {
                if rest.starts_with(pattern) {
                    hits.insert(number);
                }
            }
            if hits.len() == self.patterns.len() {
                return;
            }
            span.start = found.start() + 1;
        }
    }
    fn kind(&self) -> Kind {
        Kind::Packed
    }
    fn memory(&self) -> usize {
        let patterns: usize = self.patterns.iter().map(|p| size_of::<Box<[u8]>>() + p.len()).sum();
        self.searcher.memory_usage() + patterns
    }
}

#[derive(Debug)]
struct Dfa(DFA);

impl Matcher for Dfa {
    fn scan(&self, haystack: &[u8], hits: &mut Hits) {
        overlapping(&self.0, haystack, hits);
    }
    fn kind(&self) -> Kind {
        Kind::Dfa
    }
    fn memory(&self) -> usize {
        self.0.memory_usage()
    }
}

#[derive(Debug)]
struct Nfa(NFA);

impl Matcher for Nfa {
    fn scan(&self, haystack: &[u8], hits: &mut Hits) {
        overlapping(&self.0, haystack, hits);
    }
    fn kind(&self) -> Kind {
        Kind::Nfa
    }
    fn memory(&self) -> usize {
        self.0.memory_usage()
    }
}

/// Every occurrence, overlapping ones too: a pattern inside another must not be missed.
#[inline]
fn overlapping<A: Automaton>(automaton: &A, haystack: &[u8], hits: &mut Hits) {
    let input = Input::new(haystack).anchored(Anchored::No);
    let mut state = OverlappingState::start();
    while automaton.try_find_overlapping(&input, &mut state).is_ok() {
        match state.get_match() {
            Some(found) => hits.insert(found.pattern().as_u32()),
            None => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(matcher: &dyn Matcher, patterns: usize, haystack: &[u8]) -> Vec<u32> {
        let mut hits = Hits::default();
        hits.reserve(patterns);
        // The second time must not know of the first.
        for _ in 0..2 {
            hits.clear();
            matcher.scan(haystack, &mut hits);
        }
        let mut found: Vec<u32> = hits.iter().collect();
        found.sort_unstable();
        found
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
        ] {
            let patterns: Vec<Box<[u8]>> = patterns.iter().map(|p| p.as_bytes().into()).collect();
            for kind in Kind::ALL {
                let Ok(matcher) = build_kind(kind, &patterns) else { continue };
                assert_eq!(
                    found(&*matcher, patterns.len(), haystack.as_bytes()),
                    naive(&patterns, haystack.as_bytes()),
                    "{kind:?} {patterns:?} in {haystack:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn all_kinds_agree_with_a_plain_search(
            patterns in prop::collection::vec(prop::collection::vec(97_u8..100, 1..6), 1..80),
            haystack in prop::collection::vec(97_u8..101, 0..200),
        ) {
            let patterns: Vec<Box<[u8]>> = patterns.into_iter().map(Into::into).collect();
            let expected = naive(&patterns, &haystack);
            for kind in Kind::ALL {
                if let Ok(matcher) = build_kind(kind, &patterns) {
                    prop_assert_eq!(found(&*matcher, patterns.len(), &haystack), &expected[..], "{:?}", kind);
                }
            }
            let chosen = build(&patterns).unwrap();
            prop_assert_eq!(found(&*chosen, patterns.len(), &haystack), expected);
        }
    }
}
