//! Pattern text to [`Node`] (pcre2pattern(3)).
//!
//! Bytes are read as PCRE2 without UTF reads them: letters, digits and cases are ASCII. What needs
//! recursion, callouts, control verbs or Unicode properties is refused.

mod class;
mod escape;
mod group;

use super::ast::{Assert, Kind, Node};
use super::byte_set::ByteSet;

/// Groups may be nested so deep, as in PCRE2.
pub const MAX_DEPTH: usize = 250;
/// Groups a pattern may have.
pub const MAX_GROUPS: u16 = 1000;
/// Longest pattern in bytes.
pub const MAX_PATTERN: usize = 64 * 1024;

/// Options that stand behind the pattern or in its groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `i`: letters match in either case.
    pub caseless: bool,
    /// `m`: `^` and `$` match at lines.
    pub multi_line: bool,
    /// `s`: a dot matches a newline.
    pub dot_all: bool,
    /// `x`: blanks and comments do not count.
    pub extended: bool,
    /// `E`: `$` does not match before the last newline.
    pub dollar_end_only: bool,
    /// `G`: repetitions are lazy, and `?` makes them greedy.
    pub ungreedy: bool,
    /// `n`: plain parentheses do not capture.
    pub no_auto_capture: bool,
}

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Where in the pattern, in bytes.
    pub at: usize,
    /// The reason in words: lower case, no full stop.
    pub reason: String,
    /// A group is referred to that is not there.
    pub missing_group: bool,
}

type Result<T> = std::result::Result<T, Error>;

/// A parsed pattern.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The pattern.
    pub node: Node,
    /// Number of groups that capture.
    pub groups: u16,
    /// Names of groups, in the order written.
    pub names: Vec<(String, u16)>,
}

/// Parses a pattern.
pub fn parse(pattern: &[u8], flags: Flags) -> Result<Parsed> {
    if pattern.len() > MAX_PATTERN {
        let reason = format!("the pattern is longer than {MAX_PATTERN} bytes");
        return Err(Error { at: MAX_PATTERN, reason, missing_group: false });
    }
    let mut parser = Parser::new(pattern, flags, Vec::new());
    let mut node = parser.pattern()?;
    if parser.unresolved.is_some() {
        // A name is used before its group: the second time all names are known.
        parser = Parser::new(pattern, flags, parser.names);
        node = parser.pattern()?;
    }
    let missing = parser.unresolved.or(parser.highest.filter(|(_, group)| *group > parser.groups));
    if let Some((at, _)) = missing {
        let reason = "there is no such group".to_owned();
        return Err(Error { at, reason, missing_group: true });
    }
    Ok(Parsed { node, groups: parser.groups, names: parser.names })
}

struct Parser<'p> {
    text: &'p [u8],
    at: usize,
    flags: Flags,
    groups: u16,
    names: Vec<(String, u16)>,
    /// Names found the first time.
    known: Vec<(String, u16)>,
    /// A reference to a name that was not known.
    unresolved: Option<(usize, u16)>,
    /// The reference to the highest group.
    highest: Option<(usize, u16)>,
    depth: usize,
    /// Looks around this place.
    looks: usize,
}

impl<'p> Parser<'p> {
    fn new(text: &'p [u8], flags: Flags, known: Vec<(String, u16)>) -> Self {
        Self {
            text,
            at: 0,
            flags,
            groups: 0,
            names: Vec::new(),
            known,
            unresolved: None,
            highest: None,
            depth: 0,
            looks: 0,
        }
    }

    fn pattern(&mut self) -> Result<Node> {
        if self.text.starts_with(b"(*") {
            return Err(self.error("control verbs are not supported"));
        }
        let node = self.alternatives(false)?;
        match self.peek() {
            None => Ok(node),
            Some(_) => Err(self.error("this parenthesis is not opened")),
        }
    }

    fn error(&self, reason: impl Into<String>) -> Error {
        Error { at: self.at, reason: reason.into(), missing_group: false }
    }
    fn error_at(&self, at: usize, reason: impl Into<String>) -> Error {
        Error { at, ..self.error(reason) }
    }
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
    fn rest(&self) -> &'p [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }
    fn eat(&mut self, text: &[u8]) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }
    /// The text up to `end`, and past it.
    fn until(&mut self, end: u8) -> Option<&'p [u8]> {
        let length = memchr::memchr(end, self.rest())?;
        let text = self.rest().get(..length)?;
        self.at += length + 1;
        Some(text)
    }
    /// Decimal digits as a number.
    fn number(&mut self) -> Result<Option<u16>> {
        let start = self.at;
        let mut value = None;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            let next = value.unwrap_or(0u16).checked_mul(10);
            let next = next.and_then(|next| next.checked_add(u16::from(digit - b'0')));
            value = Some(next.ok_or_else(|| self.error_at(start, "the number is too big"))?);
            self.at += 1;
        }
        Ok(value)
    }

    /// Branches up to a closing parenthesis or the end.
    fn alternatives(&mut self, reset: bool) -> Result<Node> {
        let mut branches = self.branches(reset)?;
        Ok(match branches.len() {
            1 => branches.pop().unwrap_or(Node::Empty),
            _ => Node::Alternate(branches),
        })
    }

    /// Each branch of a branch reset counts its groups from the same number.
    fn branches(&mut self, reset: bool) -> Result<Vec<Node>> {
        let first_group = self.groups;
        let mut last_group = first_group;
        let mut branches = Vec::new();
        loop {
            branches.push(self.branch()?);
            last_group = last_group.max(self.groups);
            if !self.eat(b"|") {
                break;
            }
            if reset {
                self.groups = first_group;
            }
        }
        self.groups = last_group;
        Ok(branches)
    }

    fn branch(&mut self) -> Result<Node> {
        let mut items = Vec::new();
        // Whether a quantifier may follow.
        let mut repeatable = false;
        let mut quoted = false;
        while let Some(byte) = self.peek() {
            if quoted {
                quoted = !self.eat(b"\\E");
                if quoted {
                    self.at += 1;
                    items.push(self.literal(byte));
                    repeatable = true;
                }
                continue;
            }
            if self.flags.extended && self.blank(byte) {
                continue;
            }
            let start = self.at;
            match byte {
                b'|' | b')' => break,
                b'*' | b'+' | b'?' | b'{' => {
                    if let Some((min, max)) = self.quantifier()? {
                        let kind = self.kind();
                        let node = items.pop().filter(|_| repeatable).ok_or_else(|| {
                            self.error_at(start, "there is nothing before this to repeat")
                        })?;
                        items.push(Node::Repeat { node: Box::new(node), min, max, kind });
                        repeatable = false;
                        continue;
                    }
                    self.at += 1;
                    items.push(self.literal(byte));
                }
                b'\\' if self.eat(b"\\Q") => {
                    quoted = true;
                    continue;
                }
                b'\\' if self.eat(b"\\E") => continue,
                b'(' if self.eat(b"(?#") => {
                    let text = self.until(b')');
                    text.ok_or_else(|| self.error_at(start, "this comment is not closed"))?;
                    continue;
                }
                b'(' => match self.group()? {
                    Some(node) => items.push(node),
                    // `(?i)` matches nothing and cannot be repeated.
                    None => {
                        repeatable = false;
                        continue;
                    }
                },
                b'[' => items.push(self.class()?),
                b'\\' => items.push(self.escape()?),
                b'.' => {
                    self.at += 1;
                    items.push(Node::Set(match self.flags.dot_all {
                        true => ByteSet::ALL,
                        false => ByteSet::of(&[(b'\n', b'\n')]).negate(),
                    }));
                }
                b'^' => {
                    self.at += 1;
                    items.push(Node::Assert(match self.flags.multi_line {
                        true => Assert::LineStart,
                        false => Assert::Start,
                    }));
                }
                b'$' => {
                    self.at += 1;
                    items.push(Node::Assert(match self.flags {
                        Flags { multi_line: true, .. } => Assert::LineEnd,
                        Flags { dollar_end_only: true, .. } => Assert::End,
                        _ => Assert::LastLineEnd,
                    }));
                }
                _ => {
                    self.at += 1;
                    items.push(self.literal(byte));
                }
            }
            repeatable = true;
        }
        Ok(match items.len() {
            0 => Node::Empty,
            1 => items.pop().unwrap_or(Node::Empty),
            _ => Node::Concat(items),
        })
    }

    /// Steps over a blank, or a comment to the end of its line.
    fn blank(&mut self, byte: u8) -> bool {
        match byte {
            b' ' | b'\t'..=b'\r' => self.at += 1,
            b'#' => {
                let length = memchr::memchr(b'\n', self.rest()).map(|length| length + 1);
                self.at = length.map_or(self.text.len(), |length| self.at + length);
            }
            _ => return false,
        }
        true
    }

    fn literal(&self, byte: u8) -> Node {
        match self.flags.caseless && byte.is_ascii_alphabetic() {
            true => Node::Byte { byte: byte.to_ascii_lowercase(), fold: true },
            false => Node::Byte { byte, fold: false },
        }
    }

    /// Reads `*`, `+`, `?`, `{n}`, `{n,}`, `{n,m}`, `{,m}`. Any other `{` is a literal.
    fn quantifier(&mut self) -> Result<Option<(u16, Option<u16>)>> {
        let start = self.at;
        let bounds = match self.next() {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            _ => match self.braces() {
                Some(text) => {
                    let part = |text: &[u8]| -> Result<Option<u16>> {
                        let mut part = Parser::new(text, self.flags, Vec::new());
                        part.number().map_err(|error| self.error_at(start, error.reason))
                    };
                    let mut parts = text.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
                    let first = part(parts.next().unwrap_or_default())?;
                    match parts.next() {
                        Some(second) => (first.unwrap_or(0), part(second)?),
                        None => (first.unwrap_or(0), first),
                    }
                }
                None => {
                    self.at = start;
                    return Ok(None);
                }
            },
        };
        if bounds.1.is_some_and(|max| max < bounds.0) {
            return Err(self.error_at(start, "the numbers of this repetition are out of order"));
        }
        Ok(Some(bounds))
    }

    /// What stands in braces, if that is a quantifier.
    fn braces(&mut self) -> Option<&'p [u8]> {
        let text = self.until(b'}')?;
        let number = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
        let valid = match text.iter().position(|byte| *byte == b',') {
            None => number(text.trim_ascii()) && !text.trim_ascii().is_empty(),
            Some(comma) => {
                let (left, right) = text.split_at_checked(comma)?;
                let (left, right) = (left.trim_ascii(), right.get(1..)?.trim_ascii());
                number(left) && number(right) && !(left.is_empty() && right.is_empty())
            }
        };
        // Of the blanks, only these two may stand there.
        let blanks = text.iter().all(|byte| !matches!(byte, b'\n'..=b'\r'));
        (valid && blanks).then_some(text)
    }

    fn kind(&mut self) -> Kind {
        match self.peek() {
            Some(b'+') => {
                self.at += 1;
                Kind::Possessive
            }
            other => {
                let marked = other == Some(b'?');
                self.at += usize::from(marked);
                match marked == self.flags.ungreedy {
                    true => Kind::Greedy,
                    false => Kind::Lazy,
                }
            }
        }
    }
}
