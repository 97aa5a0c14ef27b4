//! From a buffer to the few signatures that could match it: the fast patterns of one group.

use std::collections::HashMap;

#[cfg(test)]
use super::buffer::Buffer;
use super::chain::Input;
use super::keyword::{BufferDraft, StepDraft};
use super::mpm::{self, Hits, Matcher};
use super::signature::{FastPattern, Signature};

/// Chooses the fast pattern of contents (Suricata user guide, "Suricata Fast Pattern Determination
/// Explained"): the one the rule names, else the longest, else the strongest, else the first. A negated
/// content is never chosen: its absence says nothing before the whole buffer was seen. Where all contents are
/// short, or there are none, bytes that every match of a `pcre` has in it are better.
pub fn fast_pattern<'a>(
    buffers: impl Iterator<Item = &'a BufferDraft> + Clone,
) -> Option<FastPattern> {
    // A buffer that may be absent does not have to hold anything.
    let there = || {
        let may_be_absent = |step: &StepDraft| matches!(step, StepDraft::Absent(_));
        buffers.clone().filter(move |buffer| !buffer.steps.iter().any(may_be_absent))
    };
    let positive = || {
        there().flat_map(|buffer| {
            let contents = buffer.steps.iter().filter_map(StepDraft::content);
            contents.filter(|content| !content.negated).map(move |content| (buffer, content))
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
    let content = named.or_else(best);
    let enough = match (named, content) {
        (Some(_), _) => usize::MAX,
        (None, content) => content.map_or(0, |(_, content)| content.bytes.len()),
    };
    if enough < SHORT
        && let Some(literal) = literal(there(), enough)
    {
        return Some(literal);
    }
    let (buffer, chosen) = content?;
    Some(pattern(buffer, chosen.fast_bytes(), chosen.nocase))
}

/// Bytes of a content from which on no better one is sought among patterns.
const SHORT: usize = 4;

/// The longest bytes that every match of a `pcre` of these buffers has in it, if more than `least`.
fn literal<'a>(
    buffers: impl Iterator<Item = &'a BufferDraft>,
    least: usize,
) -> Option<FastPattern> {
    let literals = buffers.flat_map(|buffer| {
        buffer.steps.iter().filter_map(move |step| match step {
            StepDraft::Pcre(value) if !value.negated => {
                let (bytes, nocase) = value.regex.required_literal()?;
                Some((buffer, bytes, nocase))
            }
            _ => None,
        })
    });
    let (buffer, bytes, nocase) = literals
        .filter(|(_, bytes, _)| bytes.len() > least)
        .max_by_key(|(_, bytes, _)| bytes.len())?;
    Some(pattern(buffer, bytes, nocase))
}

fn pattern(buffer: &BufferDraft, bytes: &[u8], nocase: bool) -> FastPattern {
    let mut bytes: Box<[u8]> = bytes.into();
    if nocase {
        bytes.make_ascii_lowercase();
    }
    let transforms = buffer.transforms.as_slice().into();
    FastPattern { buffer: buffer.buffer, transforms, bytes, nocase }
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
/// Bytes by which matchers tell where a pattern may be.
const HEAD: usize = 4;

/// The part of a fast pattern that is sought: from where its first bytes are rarest, so that matchers
/// seldom stop for nothing. The whole is verified later.
fn rare_part(pattern: &[u8]) -> &[u8] {
    let rarity = |head: &[u8]| head.iter().map(|byte| mpm::rarity(*byte)).sum::<u32>();
    let least = |part: &[u8]| part.windows(HEAD).map(rarity).min().unwrap_or(0);
    // A long one is to stay long.
    let length = if pattern.len() >= mpm::LONG { mpm::LONG } else { HEAD };
    let start = (0..)
        .zip(pattern.windows(length))
        .max_by_key(|(start, part)| {
            let head = part.get(..HEAD).map_or(0, rarity);
            (least(part), head, std::cmp::Reverse(*start))
        })
        .map_or(0, |(start, _)| start);
    let part = pattern.get(start..).unwrap_or(pattern);
    part.get(..PART).unwrap_or(part)
}

/// Matchers over fast patterns, and the signatures of each pattern.
#[derive(Debug)]
pub struct Prefilter {
    matchers: Box<[Box<dyn Matcher>]>,
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
        let matchers = mpm::build(&patterns).ok()?.into();
        Some(Self { matchers, nocase, starts: starts.into(), signatures: flat.into(), longest })
    }

    /// Number of different patterns.
    pub fn patterns(&self) -> usize {
        self.starts.len() - 1
    }

    /// Bytes of the longest pattern it looks for.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The matchers, each of some of the patterns.
    pub fn matchers(&self) -> &[Box<dyn Matcher>] {
        &self.matchers
    }

    /// Appends to `candidates` the signatures whose fast pattern occurs in the buffer.
    #[inline]
    pub fn scan(&self, input: &mut Input<'_>, hits: &mut Hits, candidates: &mut Vec<u32>) {
        let bytes = input.bytes(self.nocase);
        self.matchers.iter().for_each(|matcher| matcher.scan(bytes, hits));
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
    use std::path::Path;

    use super::*;
    use crate::detect::{Environment, compile};
    use crate::rule::parser::parse_str;

    /// Buffer, transforms, bytes and case of what is sought for these options.
    fn chosen(options: &str) -> Option<(Buffer, usize, String, bool)> {
        let rule = format!("alert tcp any any -> any any ({options} sid:1;)");
        let parsed = parse_str(&Path::new("test.rules").into(), &rule);
        let compiled = compile(&parsed.rules, &Environment::default());
        assert!(compiled.refusals.is_empty(), "{:?}", compiled.refusals);
        let fast = compiled.ruleset.signatures()[0].fast_pattern.clone()?;
        let bytes = String::from_utf8(fast.bytes.into()).unwrap();
        Some((fast.buffer, fast.transforms.len(), bytes, fast.nocase))
    }

    #[test]
    fn contents_first_then_what_patterns_have_in_them() {
        use Buffer::{Payload, TcpHeader};
        for (options, expected) in [
            (r#"content:"abcd"; content:"efghi";"#, Some((Payload, 0, "efghi", false))),
            (
                r#"content:"abcd"; fast_pattern; content:"efghi";"#,
                Some((Payload, 0, "abcd", false)),
            ),
            (r#"content:"ABCD"; nocase;"#, Some((Payload, 0, "abcd", true))),
            (r#"content:"abcd"; pcre:"/longer than that/";"#, Some((Payload, 0, "abcd", false))),
            (
                r#"content:"abc"; pcre:"/longer than that/";"#,
                Some((Payload, 0, "longer than that", false)),
            ),
            (r#"content:"abc"; pcre:"/[ab]c?de/";"#, Some((Payload, 0, "abc", false))),
            (r#"content:"a"; fast_pattern; pcre:"/longer/";"#, Some((Payload, 0, "a", false))),
            (r#"pcre:"/x\d+UserName\s/i";"#, Some((Payload, 0, "username", true))),
            (r#"pcre:"/(ab|cd)+/";"#, None),
            (r#"pcre:!"/abcdef/"; content:!"ghi";"#, None),
            (r#"tcp.hdr; to_lowercase; content:"abc";"#, Some((TcpHeader, 1, "abc", false))),
            (
                r#"content:!"q"; tcp.hdr; dotprefix; pcre:"/abc/";"#,
                Some((TcpHeader, 1, "abc", false)),
            ),
        ] {
            let expected =
                expected.map(|(b, t, bytes, c): (_, _, &str, _)| (b, t, bytes.to_owned(), c));
            assert_eq!(chosen(options), expected, "{options}");
        }
    }

    #[test]
    fn strength_as_suricata_counts_it() {
        assert_eq!(strength(b"ab"), 6);
        assert_eq!(strength(b"aaa"), 5);
        assert_eq!(strength(b"a/\x00"), 11);
        assert_eq!(strength(b"\x80\x80"), 7);
    }

    #[test]
    fn parts_begin_where_bytes_are_rare() {
        assert_eq!(rare_part(b"/{zZ}"), b"{zZ}");
        assert_eq!(rare_part(b"GET /{zZ}{}^~"), b"{zZ}{}^~");
        assert_eq!(rare_part(b"abc"), b"abc");
        assert_eq!(rare_part(b"eeee\x90\x91\x92\x93 and then some more bytes").len(), PART);
        // A long one as a whole, its first bytes before the others.
        assert_eq!(rare_part(b"eeee\x90\x91\x92\x93 and")[..7], *b"e\x90\x91\x92\x93 a");
        assert_eq!(rare_part(b"eeee\x90\x91\x92\x93\x94\x95\x96 and")[..4], *b"\x90\x91\x92\x93");
    }
}
