//! `content` and its modifiers, behind it (Suricata, Snort 2) or inside it (Snort 3) (Suricata user
//! guide, "Payload Keywords"; Snort 3 Rule Writing Guide, "content").

use super::value::{Fault, Use, Word};
use super::variable::operand;
use super::{Draft, Keyword, StepDraft};
use crate::detect::chain::number::{Operand, Slot};
use crate::rule::ast::Span;
use crate::rule::diagnostic::ReasonKind;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "content", apply: content },
    Keyword { name: "nocase", apply: modifier },
    Keyword { name: "offset", apply: modifier },
    Keyword { name: "depth", apply: modifier },
    Keyword { name: "distance", apply: modifier },
    Keyword { name: "within", apply: modifier },
    Keyword { name: "startswith", apply: modifier },
    Keyword { name: "endswith", apply: modifier },
    Keyword { name: "rawbytes", apply: modifier },
    Keyword { name: "fast_pattern", apply: modifier },
    Keyword { name: "replace", apply: replace },
];

/// Largest `distance` and `within`, as in Suricata.
const MAX_DISTANCE: i32 = 1 << 20;

/// One `content` with its modifiers.
#[derive(Clone, Debug)]
pub struct ContentDraft {
    /// Place of its value.
    pub span: Span,
    /// What to look for, hex and escapes undone; not empty.
    pub bytes: Vec<u8>,
    /// `!`.
    pub negated: bool,
    /// `nocase`.
    pub nocase: bool,
    /// `offset`, from the start of the buffer.
    pub offset: Option<Operand<u16>>,
    /// `depth`, counted from the offset.
    pub depth: Option<Operand<u16>>,
    /// `distance`, from the end of the match before.
    pub distance: Option<Operand<i32>>,
    /// `within`, counted from the distance.
    pub within: Option<Operand<u32>>,
    /// `startswith`.
    pub startswith: bool,
    /// `endswith`.
    pub endswith: bool,
    rawbytes: bool,
    /// `fast_pattern`.
    pub fast_pattern: Option<FastPattern>,
}

/// `fast_pattern` and what stands behind its colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastPattern {
    /// The whole content.
    Whole,
    /// `only`: Snort does not verify it again; here it is the same as the whole content.
    Only,
    /// `offset,length`.
    Chop(usize, usize),
}

impl ContentDraft {
    /// Whether it is sought relative to the match before.
    pub fn is_relative(&self) -> bool {
        self.distance.is_some() || self.within.is_some()
    }
    /// Whether its place counts from the start of the buffer.
    pub fn counts_from_start(&self) -> bool {
        self.offset.is_some() || self.depth.is_some() || self.startswith
    }
    /// The least number of bytes in a buffer that holds it.
    pub fn least_end(&self) -> usize {
        let offset = self.offset.and_then(Operand::number).map_or(0, usize::from);
        self.bytes.len() + offset
    }
    /// Variables that its place depends on.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        let offset = self.offset.and_then(Operand::slot);
        let depth = self.depth.and_then(Operand::slot);
        let distance = self.distance.and_then(Operand::slot);
        let within = self.within.and_then(Operand::slot);
        [offset, depth, distance, within].into_iter().flatten()
    }
    fn is_placed(&self) -> bool {
        self.is_relative() || self.offset.is_some() || self.depth.is_some()
    }
    /// The bytes the prefilter may look for.
    pub fn fast_bytes(&self) -> &[u8] {
        match self.fast_pattern {
            Some(FastPattern::Chop(offset, length)) => {
                self.bytes.get(offset..offset + length).unwrap_or(&self.bytes)
            }
            _ => &self.bytes,
        }
    }
}

pub(super) fn content(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = keyword.value()?;
    let (negated, rest) = match value.strip_prefix("!") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let end = closing_quote(rest)
        .ok_or_else(|| rest.bad("the bytes must stand in double quotes: `content:\"...\"`"))?;
    let quoted = Word { text: rest.text.get(1..end).unwrap_or_default(), start: rest.start + 1 };
    let more =
        Word { text: rest.text.get(end + 1..).unwrap_or_default(), start: rest.start + end + 1 };
    let content = ContentDraft {
        span: Span { start: value.start, end: rest.start + end + 1 },
        bytes: bytes(quoted)?,
        negated,
        nocase: false,
        offset: None,
        depth: None,
        distance: None,
        within: None,
        startswith: false,
        endswith: false,
        rawbytes: false,
        fast_pattern: None,
    };
    draft.push(keyword, StepDraft::Content(content))?;
    let more = more.trim();
    if more.text.is_empty() {
        return Ok(());
    }
    let more = more.strip_prefix(",").ok_or_else(|| more.bad("a comma must stand before this"))?;
    snort3(draft, more)
}

/// Snort 3: `nocase, depth 5, fast_pattern_offset 1, fast_pattern_length 4`.
fn snort3(draft: &mut Draft<'_>, words: Word<'_>) -> Result<(), Fault> {
    let mut chop = [None; 2];
    for word in words.split(',') {
        let (name, value) = match word.text.find(char::is_whitespace) {
            Some(at) => {
                let (name, value) = word.text.split_at(at);
                (name, Some(Word { text: value, start: word.start + at }.trim()))
            }
            None => (word.text, None),
        };
        let name = Word { text: name, start: word.start };
        let keyword = Use { name, value };
        let slot = match name.text {
            "fast_pattern_offset" => 0,
            "fast_pattern_length" => 1,
            "nocase" | "offset" | "depth" | "distance" | "within" | "rawbytes" | "fast_pattern" => {
                modifier(draft, &keyword)?;
                continue;
            }
            _ => return Err(name.bad(format!("`{}` is not a modifier of `content`", name.text))),
        };
        if let Some(slot) = chop.get_mut(slot) {
            *slot = Some((keyword.value()?.number(0, u16::MAX)?, keyword));
        }
    }
    let [offset, length] = chop;
    let Some((_, keyword)) = offset.or(length) else { return Ok(()) };
    let Some(content) = draft.last_content() else { return Ok(()) };
    if content.fast_pattern.is_none() {
        return Err(keyword.conflict("`fast_pattern` is missing"));
    }
    let offset = offset.map_or(0, |(value, _)| usize::from(value));
    let length = match length {
        Some((value, _)) => usize::from(value),
        None => content.bytes.len().saturating_sub(offset),
    };
    set_chop(content, offset, length, &keyword)
}

fn set_chop(
    content: &mut ContentDraft,
    offset: usize,
    length: usize,
    keyword: &Use<'_>,
) -> Result<(), Fault> {
    if length == 0 || offset + length > content.bytes.len() {
        return Err(keyword.value.unwrap_or(keyword.name).bad(format!(
            "offset and length reach beyond the {} bytes of the content",
            content.bytes.len()
        )));
    }
    content.fast_pattern = Some(FastPattern::Chop(offset, length));
    Ok(())
}

fn modifier(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let name = keyword.name.text.to_ascii_lowercase();
    let name = name.as_str();
    if name == "fast_pattern"
        && draft.contents().filter(|content| content.fast_pattern.is_some()).count()
            > usize::from(draft.last_content().is_some_and(|last| last.fast_pattern.is_some()))
    {
        return Err(keyword.conflict("another content of this rule is the fast pattern already"));
    }
    let place = match name {
        "offset" | "depth" => Some(operand(draft, keyword.value()?, 0, i32::from(u16::MAX))?),
        "distance" | "within" => {
            Some(operand(draft, keyword.value()?, -MAX_DISTANCE, MAX_DISTANCE)?)
        }
        _ => None,
    };
    let before_is_only = draft
        .steps()
        .iter()
        .rev()
        .filter_map(StepDraft::content)
        .nth(1)
        .is_some_and(|content| content.fast_pattern == Some(FastPattern::Only));
    let Some(content) = draft.last_content() else {
        return Err(keyword.conflict(format!("`{name}` needs a `content` before it")));
    };
    let length = content.bytes.len();
    let mixed = |what: &str| {
        Err(keyword.conflict(format!(
            "`{name}` cannot stand with {what}: one counts from the start, the other from the match before"
        )))
    };
    match name {
        "nocase" | "rawbytes" | "endswith" => {
            keyword.no_value()?;
            let slot = match name {
                "nocase" => &mut content.nocase,
                "rawbytes" => &mut content.rawbytes,
                _ => &mut content.endswith,
            };
            // Suricata lets `endswith` be said twice.
            if *slot && name != "endswith" {
                return Err(keyword.twice());
            }
            *slot = true;
        }
        "offset" | "depth" | "startswith" => {
            if content.is_relative() {
                return mixed("`distance` or `within`");
            }
            if content.startswith {
                return Err(keyword.conflict(match name {
                    "startswith" => "`startswith` stands here twice".to_owned(),
                    _ => format!("`{name}` cannot stand with `startswith`"),
                }));
            }
            match name {
                "offset" if content.offset.is_some() => return Err(keyword.twice()),
                "depth" if content.depth.is_some() => return Err(keyword.twice()),
                "offset" => content.offset = place.map(|place| place.map(number)),
                "depth" => {
                    fits(keyword.value()?, place, length)?;
                    content.depth = place.map(|place| place.map(number));
                }
                _ => {
                    keyword.no_value()?;
                    if content.offset.is_some() || content.depth.is_some() {
                        return Err(
                            keyword.conflict("`startswith` cannot stand with `offset` or `depth`")
                        );
                    }
                    content.startswith = true;
                }
            }
        }
        "distance" | "within" => {
            if content.offset.is_some() || content.depth.is_some() || content.startswith {
                return mixed("`offset`, `depth` or `startswith`");
            }
            if before_is_only {
                return Err(keyword.conflict(format!(
                    "`{name}` counts from a content that is `fast_pattern:only`"
                )));
            }
            let there = match name {
                "distance" => content.distance.is_some(),
                _ => content.within.is_some(),
            };
            if there {
                return Err(keyword.twice());
            }
            if name == "distance" {
                content.distance = place;
            } else {
                fits(keyword.value()?, place, length)?;
                content.within = place.map(|place| place.map(i32::unsigned_abs));
            }
        }
        _ => {
            if content.fast_pattern.is_some() {
                return Err(keyword.twice());
            }
            fast_pattern(content, keyword)?;
        }
    }
    let negated_or_placed = content.negated || content.is_placed();
    match content.fast_pattern {
        Some(FastPattern::Only) if negated_or_placed => Err(keyword.conflict(
            "`fast_pattern:only` cannot stand with `!`, `offset`, `depth`, `distance` or `within`",
        )),
        Some(_) if content.negated && content.is_placed() => Err(keyword.conflict(
            "the fast pattern cannot be a negated content with `offset`, `depth`, `distance` or `within`",
        )),
        _ => Ok(()),
    }
}

/// A number that was read as one of 16 bits.
fn number(number: i32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// A window smaller than the content can never hold it.
fn fits(value: Word<'_>, window: Option<Operand<i32>>, length: usize) -> Result<(), Fault> {
    let Some(window) = window.and_then(Operand::number) else { return Ok(()) };
    if usize::try_from(window).is_ok_and(|window| window >= length) {
        return Ok(());
    }
    Err(value.fault(
        ReasonKind::Conflict,
        format!("the content has {length} bytes and can never lie within {window}"),
    ))
}

/// `replace` changes packets, which are not held back for it.
fn replace(_: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let reason = "`replace` changes packets: a sensor that only listens cannot";
    Err(keyword.name.fault(ReasonKind::UnsupportedKeyword, reason))
}

fn fast_pattern(content: &mut ContentDraft, keyword: &Use<'_>) -> Result<(), Fault> {
    let Some(value) = keyword.value else {
        content.fast_pattern = Some(FastPattern::Whole);
        return Ok(());
    };
    if value.text == "only" {
        content.fast_pattern = Some(FastPattern::Only);
        return Ok(());
    }
    let (offset, length) = value
        .split_once(",")
        .ok_or_else(|| value.bad("`fast_pattern` takes `only`, or an offset and a length"))?;
    let offset = usize::from(offset.number(0, u16::MAX)?);
    let length = usize::from(length.number(0, u16::MAX)?);
    if content.negated {
        return Err(keyword.conflict("a part of a negated content cannot be the fast pattern"));
    }
    set_chop(content, offset, length, keyword)
}

/// Where the quote that opens the word closes.
fn closing_quote(word: Word<'_>) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in word.text.bytes().enumerate() {
        match (at, byte) {
            (0, b'"') => {}
            (0, _) => return None,
            _ if escaped => escaped = false,
            (_, b'\\') => escaped = true,
            (_, b'"') => return Some(at),
            _ => {}
        }
    }
    None
}

/// Undoes `|41 42|` and `\;`, `\"`, `\:`, `\\`. Bytes beyond ASCII stand for themselves.
fn bytes(word: Word<'_>) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(word.text.len());
    let place = |at: usize, len: usize| Span { start: word.start + at, end: word.start + at + len };
    let bad = |at, reason: String| Fault::new(place(at, 1), ReasonKind::BadValue, reason);
    let mut hex = None;
    let mut high = None;
    let mut escaped = false;
    for (at, byte) in word.text.bytes().enumerate() {
        if escaped {
            if !matches!(byte, b';' | b'"' | b':' | b'\\') {
                return Err(bad(at - 1, "a backslash must be written as `\\\\`".to_owned()));
            }
            out.push(byte);
            escaped = false;
            continue;
        }
        match (byte, hex) {
            (b'|', None) => hex = Some(at),
            (b'|', Some(_)) => {
                if let Some((at, _)) = high {
                    return Err(bad(at, "half a byte: two hexadecimal digits are one".to_owned()));
                }
                hex = None;
            }
            (b' ' | b'\t', Some(_)) => {}
            (_, Some(_)) => {
                let digit =
                    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let Some(digit) = digit else {
                    let reason = "not a hexadecimal digit; a `|` can only be written as `|7C|`";
                    return Err(bad(at, reason.to_owned()));
                };
                match high.take() {
                    None => high = Some((at, digit)),
                    Some((_, high)) => out.push(high << 4 | digit),
                }
            }
            (b'\\', None) => escaped = true,
            (_, None) => out.push(byte),
        }
    }
    if let Some(at) = hex {
        return Err(bad(at, "this `|` is not closed".to_owned()));
    }
    if out.is_empty() {
        return Err(Fault::new(
            Span { start: word.start.saturating_sub(1), end: word.start + word.text.len() + 1 },
            ReasonKind::BadValue,
            "the content is empty",
        ));
    }
    Ok(out)
}
