//! From a buffer to the few signatures that could match it: the fast patterns of one group.

use std::collections::HashMap;

use super::chain::Input;
use super::keyword::{BufferDraft, StepDraft};
use super::mpm::{self, Hits, Matcher};
use super::signature::{FastPattern, Signature};

/// Chooses the fast pattern of contents (Suricata user guide, "Suricata Fast Pattern Determination
/// Explained"): the one the rule names, else the longest, else the strongest, else the first. A negated
/// content is never chosen: its absence says nothing before the whole buffer was seen.
pub fn fast_pattern<'a>(
    buffers: impl Iterator<Item = &'a BufferDraft> + Clone,
) -> Option<FastPattern> {
    let positive = || {
        // A buffer that may be absent does not have to hold anything.
        let there = buffers
            .clone()
            .filter(|buffer| !buffer.steps.iter().any(|step| matches!(step, StepDraft::Absent(_))));
        there.flat_map(|buffer| {
            let contents = buffer.steps.iter().filter_map(StepDraft::content);
            contents.filter(|content| !content.negated).map(|content| (buffer.buffer, content))
        })
    };
    let named = positive().find(|(_, content)| content.fast_pattern.is_some());
    let best = || {
        // Of equals the first: `max_by_key` takes the last.
        let candidates: Vec<_> = positive().collect();
        candidates
            .into_iter()
            .rev()
            .max_by_key(|(_, content)| (content.bytes.len(), strength(&content.bytes)))
    };
    let (buffer, chosen) = named.or_else(best)?;
    let mut bytes: Box<[u8]> = chosen.fast_bytes().into();
    if chosen.nocase {
        bytes.make_ascii_lowercase();
    }
    Some(FastPattern { buffer, bytes, nocase: chosen.nocase })
}

/// How rare the bytes of a pattern are: letters 3, other printable ones and 00, 01, FF 4, others 6, a
/// repeated byte 1.
fn strength(bytes: &[u8]) -> u32 {
    let mut seen = [false; 256];
    let score = |byte: u8| -> u32 {
        let again =
            seen.get_mut(usize::from(byte)).is_none_or(|seen| std::mem::replace(seen, true));
        match byte {
            _ if again => 1,
            b'a'..=b'z' | b'A'..=b'Z' => 3,
            b' '..=b'~' | 0x00 | 0x01 | 0xff => 4,
            _ => 6,
        }
    };
    bytes.iter().copied().map(score).sum()
}

/// Bytes of a fast pattern that matchers look for at most.
const PART: usize = 16;
/// Bytes at its start by which Teddy tells where a pattern may begin.
const HEAD: usize = 4;

/// The part of a fast pattern that is sought: from where its first bytes are rarest, so that matchers
/// seldom stop for nothing. The whole is verified later.
fn rare_part(pattern: &[u8]) -> &[u8] {
    let rarity = |head: &[u8]| head.iter().map(|byte| rarity(*byte)).sum::<u32>();
    let start = (0..)
        .zip(pattern.windows(HEAD))
        .max_by_key(|(start, head)| (rarity(head), std::cmp::Reverse(*start)))
        .map_or(0, |(start, _)| start);
    let part = pattern.get(start..).unwrap_or(pattern);
    part.get(..PART).unwrap_or(part)
}

/// How rare a byte is in the traffic that rules look at, roughly.
fn rarity(byte: u8) -> u32 {
    match byte {
        0 | b' ' | b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 0,
        b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'=' | b':' | b'\r' | b'\n' => 1,
        b'A'..=b'Z' | b' '..=b'~' | 1 | 0xff => 3,
        _ => 4,
    }
}

/// A matcher over fast patterns, and the signatures of each pattern.
#[derive(Debug)]
pub struct Prefilter {
    matcher: Box<dyn Matcher>,
    /// The buffer is scanned in lower case, since some pattern is `nocase`.
    nocase: bool,
    /// Where the signatures of pattern `n` begin in `signatures`; one more entry than patterns.
    starts: Box<[u32]>,
    signatures: Box<[u32]>,
    /// Bytes of the longest pattern.
    longest: usize,
}

impl Prefilter {
    /// The prefilter of those of `members` that have a fast pattern. `None` where none has, and where
    /// there are too many for any matcher (billions of states): they must be tried on each packet.
    pub fn new(signatures: &[Signature], members: &[u32]) -> Option<Self> {
        let with_pattern: Vec<(u32, &FastPattern)> = members
            .iter()
            .filter_map(|index| {
                Some((*index, signatures.get(*index as usize)?.fast_pattern.as_ref()?))
            })
            .collect();
        Self::of(with_pattern)
    }

    /// The prefilter of these signatures and their patterns.
    pub fn of(with_pattern: Vec<(u32, &FastPattern)>) -> Option<Self> {
        if with_pattern.is_empty() {
            return None;
        }
        let nocase = with_pattern.iter().any(|(_, pattern)| pattern.nocase);
        let few = with_pattern.len() <= mpm::SUBSTRING_PATTERNS;
        let mut numbers: HashMap<Box<[u8]>, usize> = HashMap::new();
        let mut patterns: Vec<Box<[u8]>> = Vec::new();
        let mut users: Vec<Vec<u32>> = Vec::new();
        for (index, pattern) in with_pattern {
            // The search for one substring finds its rare bytes itself.
            let bytes = if few { &pattern.bytes } else { rare_part(&pattern.bytes) };
            let mut bytes: Box<[u8]> = bytes.into();
            if nocase {
                bytes.make_ascii_lowercase();
            }
            let number = *numbers.entry(bytes).or_insert_with_key(|bytes| {
                patterns.push(bytes.clone());
                users.push(Vec::new());
                patterns.len() - 1
            });
            if let Some(users) = users.get_mut(number) {
                users.push(index);
            }
        }
        let mut starts = vec![0];
        let mut flat: Vec<u32> = Vec::new();
        for users in users {
            flat.extend(users);
            starts.push(u32::try_from(flat.len()).ok()?);
        }
        let longest = patterns.iter().map(|pattern| pattern.len()).max().unwrap_or(0);
        let matcher = mpm::build(&patterns).ok()?;
        Some(Self { matcher, nocase, starts: starts.into(), signatures: flat.into(), longest })
    }

    /// Number of different patterns.
    pub fn patterns(&self) -> usize {
        self.starts.len() - 1
    }

    /// Bytes of the longest pattern it looks for.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The matcher.
    pub fn matcher(&self) -> &dyn Matcher {
        &*self.matcher
    }

    /// Appends to `candidates` the signatures whose fast pattern occurs in the buffer.
    #[inline]
    pub fn scan(&self, input: &mut Input<'_>, hits: &mut Hits, candidates: &mut Vec<u32>) {
        self.matcher.scan(input.bytes(self.nocase), hits);
        for pattern in hits.iter() {
            let pattern = pattern as usize;
            let range = self.starts.get(pattern).zip(self.starts.get(pattern + 1));
            if let Some((start, end)) = range
                && let Some(users) = self.signatures.get(*start as usize..*end as usize)
            {
                candidates.extend_from_slice(users);
            }
        }
        hits.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strength_as_suricata_counts_it() {
        assert_eq!(strength(b"ab"), 6);
        assert_eq!(strength(b"aaa"), 5);
        assert_eq!(strength(b"a/\x00"), 11);
        assert_eq!(strength(b"\x80\x80"), 7);
    }

    #[test]
    fn parts_begin_where_bytes_are_rare() {
        assert_eq!(rare_part(b"GET /{zZ}"), b"{zZ}");
        assert_eq!(rare_part(b"abc"), b"abc");
        assert_eq!(rare_part(b"eeee\x90\x91\x92\x93 and then some more bytes").len(), PART);
        assert!(rare_part(b"eeee\x90\x91\x92\x93 and").starts_with(b"\x90\x91\x92\x93"));
    }
}
