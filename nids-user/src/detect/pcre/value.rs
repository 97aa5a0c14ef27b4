//! The value of `pcre` in a rule (Suricata user guide, "pcre"; Snort 3 Rule Writing Guide, "pcre").
//!
//! `[!]"/PATTERN/FLAGS[, flow:NAME][, pkt:NAME]"`, where `m#PATTERN#` may stand for `/PATTERN/`. The pattern
//! goes to the engine as written: `\/`, `\;` and `\"` are escapes of PCRE's own.

use super::regex::Regex;
use super::{Error, Flags};
use crate::detect::keyword::value::{Fault, Word};
use crate::rule::ast::Span;
use crate::rule::diagnostic::ReasonKind;

/// Variables one pattern may fill, as in Suricata.
const MAX_CAPTURES: usize = 8;

/// The value of `pcre`.
#[derive(Debug)]
pub struct Value {
    /// `!`: holds where the pattern does not match.
    pub negated: bool,
    /// `R`: the subject begins at the end of the match before.
    pub relative: bool,
    /// The buffer that a flag names.
    pub buffer: Option<BufferFlag>,
    /// `O`: the limits of the configuration hold, and not the built-in ones.
    pub configured_limit: bool,
    /// `i`.
    pub caseless: bool,
    /// Variables that groups are written to.
    pub captures: Vec<Capture>,
    /// The pattern.
    pub regex: Regex,
    /// Its place in the rule.
    pub span: Span,
}

/// A flag that names a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferFlag {
    /// `U`: `http.uri`.
    Uri,
    /// `I`: `http.uri.raw`.
    RawUri,
    /// `P`: `http.request_body`.
    RequestBody,
    /// `Q`: `file.data`.
    FileData,
    /// `H`: `http.header`.
    Header,
    /// `D`: `http.header.raw`.
    RawHeader,
    /// `M`: `http.method`.
    Method,
    /// `C`: `http.cookie`.
    Cookie,
    /// `K`: the raw cookie. Snort 2 only.
    RawCookie,
    /// `S`: `http.stat_code`.
    StatCode,
    /// `Y`: `http.stat_msg`.
    StatMessage,
    /// `V`: `http.user_agent`.
    UserAgent,
    /// `W`: `http.host`.
    Host,
    /// `Z`: `http.host.raw`.
    RawHost,
}

impl BufferFlag {
    fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'U' => Self::Uri,
            'I' => Self::RawUri,
            'P' => Self::RequestBody,
            'Q' => Self::FileData,
            'H' => Self::Header,
            'D' => Self::RawHeader,
            'M' => Self::Method,
            'C' => Self::Cookie,
            'K' => Self::RawCookie,
            'S' => Self::StatCode,
            'Y' => Self::StatMessage,
            'V' => Self::UserAgent,
            'W' => Self::Host,
            'Z' => Self::RawHost,
            _ => return None,
        })
    }
    /// Whether `B` may stand before it: Suricata refuses it for these.
    fn excludes_raw_bytes(self) -> bool {
        !matches!(
            self,
            Self::RequestBody
                | Self::FileData
                | Self::RawHeader
                | Self::StatCode
                | Self::StatMessage
        )
    }
}

/// How long a variable lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// With the flow.
    Flow,
    /// With the packet.
    Packet,
    /// With the alert.
    Alert,
}

/// A variable that a group is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The group.
    pub group: u16,
    /// The variable.
    pub target: Target,
}

/// The variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `flow:name`, `pkt:name`, `alert:name`.
    Variable {
        /// How long it lives.
        scope: Scope,
        /// Its name.
        name: String,
    },
    /// `pkt:key, pkt:value`: the group is its name, and another one its value.
    KeyValue {
        /// The group with the value.
        value: u16,
    },
}

/// Flags that are no part of the pattern's own.
#[derive(Default)]
struct RuleFlags {
    relative: bool,
    anchored: bool,
    raw_bytes: bool,
    configured_limit: bool,
    buffer: Option<BufferFlag>,
}

impl Value {
    /// Reads the value of one `pcre`.
    pub fn read(word: Word<'_>) -> Result<Self, Fault> {
        let word = word.trim();
        let (negated, word) = match word.strip_prefix("!") {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        let parts = Parts::split(word)?;
        let (mut flags, rule) = read_flags(parts.flags)?;
        if rule.buffer == Some(BufferFlag::Host)
            && !flags.caseless
            && has_upper_case(parts.pattern.text)
        {
            return Err(parts.pattern.fault(
                ReasonKind::Conflict,
                "the pattern has an upper-case letter, but `http.host` is in lower case",
            ));
        }
        // Like Suricata, plain parentheses capture only where that is asked for.
        flags.no_auto_capture = parts.names.text.is_empty();
        let pattern = parts.pattern.text.as_bytes();
        let regex = match Regex::new(pattern, flags, rule.anchored) {
            Err(error) if error.missing_group && flags.no_auto_capture => {
                let flags = Flags { no_auto_capture: false, ..flags };
                Regex::new(pattern, flags, rule.anchored)
            }
            other => other,
        };
        let regex = regex.map_err(|error| at_pattern(parts.pattern, error))?;
        let mut captures = Vec::new();
        read_names(parts.names, regex.groups(), &mut captures)?;
        for (name, group) in regex.names() {
            if let Some((scope, name)) = variable(name, '_') {
                let target = Target::Variable { scope, name: name.to_owned() };
                captures.push(Capture { group: *group, target });
            }
        }
        if captures.len() > MAX_CAPTURES {
            let reason = format!("more than {MAX_CAPTURES} variables in one pattern");
            return Err(parts.pattern.bad(reason));
        }
        Ok(Self {
            negated,
            relative: rule.relative,
            buffer: rule.buffer,
            configured_limit: rule.configured_limit,
            caseless: flags.caseless,
            captures,
            regex,
            span: parts.pattern.span(),
        })
    }
}

/// Marks an error's place in the rule.
fn at_pattern(pattern: Word<'_>, error: Error) -> Fault {
    let end = pattern.start + pattern.text.len();
    let mut start = (pattern.start + error.at).min(end);
    while !pattern.text.is_char_boundary(start - pattern.start) {
        start -= 1;
    }
    let next = pattern.text.get(start - pattern.start..).and_then(|rest| rest.chars().next());
    let span = Span { start, end: start + next.map_or(0, char::len_utf8) };
    Fault::new(span, ReasonKind::BadValue, error.reason)
}

/// The parts of a value.
struct Parts<'a> {
    pattern: Word<'a>,
    flags: Word<'a>,
    names: Word<'a>,
}

impl<'a> Parts<'a> {
    fn split(word: Word<'a>) -> Result<Self, Fault> {
        let quoted = match word.text.strip_prefix('"') {
            None => word,
            // The names of variables may stand inside of the quotes or behind them.
            Some(text) => match text.rfind('"') {
                None => return Err(word.bad("this quote is not closed")),
                Some(_) => Word { text, start: word.start + 1 },
            },
        };
        let (open, delimiter) = match quoted.text.strip_prefix('m') {
            None if quoted.text.starts_with('/') => (1, '/'),
            None => return Err(word.bad("the pattern must stand between slashes: `/.../`")),
            Some(rest) => match rest.chars().next() {
                Some(mark) if mark.is_ascii_punctuation() && mark != '\\' => (2, mark),
                _ => return Err(word.bad("a mark must follow the `m`: `m#...#`")),
            },
        };
        let body = quoted.text.get(open..).unwrap_or_default();
        let at = |start: usize, end: usize| Word {
            text: body.get(start..end).unwrap_or_default(),
            start: quoted.start + open + start,
        };
        let closed = word.text.starts_with('"');
        let mut last = None;
        for (end, _) in body.match_indices(delimiter) {
            if is_escaped(body, end) {
                continue;
            }
            let rest = body.get(end + 1..).unwrap_or_default();
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let more = at(end + 1 + letters, body.len());
            let parts = (end, letters, more);
            // The slashes of names do not end the pattern; those in it need no escape.
            if names(more, closed).is_some_and(|names| !names.text.is_empty()) {
                last = Some(parts);
                break;
            }
            last = Some(parts);
        }
        let Some((end, letters, more)) = last else {
            let reason = format!("the pattern is not closed: no `{delimiter}` follows");
            return Err(word.bad(reason));
        };
        let names = names(more, closed).ok_or_else(|| {
            more.bad("only flags, and variables behind a comma, can follow the pattern")
        })?;
        Ok(Self { pattern: at(0, end), flags: at(end + 1, end + 1 + letters), names })
    }
}

/// Whether a backslash stands before, and is not one of two.
fn is_escaped(text: &str, at: usize) -> bool {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    matches!(before, [b'\\'] | [.., 0..=b'[' | b']'.., b'\\'])
}

/// The names of variables in what follows the flags; empty where there are none.
fn names(more: Word<'_>, closed: bool) -> Option<Word<'_>> {
    let more = more.trim();
    // The quote that closes stands before the names or behind them.
    let (more, closed) = match more.strip_prefix("\"") {
        Some(rest) if closed => (rest, false),
        _ => (more, closed),
    };
    let more = match more.text.strip_suffix('"') {
        Some(text) if closed => Word { text, ..more }.trim(),
        _ if closed => return None,
        _ => more,
    };
    if more.text.is_empty() {
        return Some(more);
    }
    let names = Word { text: more.text.trim_start_matches([',', ' ']), ..more };
    let start = more.start + (more.text.len() - names.text.len());
    let valid = start > more.start && variable(names.text, ':').is_some();
    valid.then_some(Word { start, ..names })
}

/// `flow:name` or `flow_name`.
fn variable(text: &str, separator: char) -> Option<(Scope, &str)> {
    let (scope, name) = text.split_once(separator)?;
    let scope = match scope {
        "flow" => Scope::Flow,
        "pkt" => Scope::Packet,
        "alert" => Scope::Alert,
        _ => return None,
    };
    (!name.is_empty()).then_some((scope, name))
}

fn read_names(names: Word<'_>, groups: u16, captures: &mut Vec<Capture>) -> Result<(), Fault> {
    let mut group = 0;
    let mut key: Option<Word<'_>> = None;
    let words = names.split(',').flat_map(|word| word.split(' '));
    for word in words.filter(|word| !word.text.is_empty()) {
        let Some((scope, name)) = variable(word.text, ':') else {
            return Err(word.bad("a variable must begin with `flow:`, `pkt:` or `alert:`"));
        };
        group += 1;
        if group > groups {
            return Err(word.bad(format!("the pattern has only {groups} groups that capture")));
        }
        match (scope, name, key.take()) {
            (Scope::Packet, "key", None) => key = Some(word),
            (Scope::Packet, "value", Some(_)) => {
                let target = Target::KeyValue { value: group };
                captures.push(Capture { group: group - 1, target });
            }
            (Scope::Packet, "value", None) => {
                return Err(word.bad("`pkt:value` must follow `pkt:key`"));
            }
            (_, _, Some(key)) => return Err(key.bad("`pkt:value` must follow `pkt:key`")),
            _ => {
                let target = Target::Variable { scope, name: name.to_owned() };
                captures.push(Capture { group, target });
            }
        }
    }
    match key {
        Some(key) => Err(key.bad("`pkt:value` must follow `pkt:key`")),
        None => Ok(()),
    }
}

fn read_flags(word: Word<'_>) -> Result<(Flags, RuleFlags), Fault> {
    let mut flags = Flags::default();
    let mut rule = RuleFlags::default();
    for (at, letter) in word.text.char_indices() {
        let place = Span { start: word.start + at, end: word.start + at + letter.len_utf8() };
        let conflict = |reason| Err(Fault::new(place, ReasonKind::Conflict, reason));
        match letter {
            'i' => flags.caseless = true,
            'm' => flags.multi_line = true,
            's' => flags.dot_all = true,
            'x' => flags.extended = true,
            'E' => flags.dollar_end_only = true,
            'G' => flags.ungreedy = true,
            'A' => rule.anchored = true,
            'R' => rule.relative = true,
            'O' => rule.configured_limit = true,
            'B' if rule.buffer.is_some() => {
                return conflict("`B` cannot stand with a flag that names a buffer");
            }
            'B' => rule.raw_bytes = true,
            _ => {
                let Some(buffer) = BufferFlag::of(letter) else {
                    let reason = format!("`{letter}` is not a flag of `pcre`");
                    return Err(Fault::new(place, ReasonKind::BadValue, reason));
                };
                if rule.raw_bytes && buffer.excludes_raw_bytes() {
                    return conflict("this flag names a buffer and cannot stand with `B`");
                }
                if rule.buffer.replace(buffer).is_some() {
                    return conflict("a pattern can look at one buffer only");
                }
            }
        }
    }
    Ok((flags, rule))
}

/// Whether a letter in the pattern, outside of escapes, is in upper case.
fn has_upper_case(pattern: &str) -> bool {
    let mut bytes = pattern.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if bytes.next() == Some(b'x') => _ = bytes.nth(1),
            b'\\' => {}
            b'A'..=b'Z' => return true,
            _ => {}
        }
    }
    false
}
