//! From text to [`Rule`]s: the header, and the options as written.
//!
//! The grammar is the union of Snort 2.9, Snort 3 and Suricata. Keywords and protocols are not judged
//! here. Groups nest to [`MAX_DEPTH`], a rule has at most [`MAX_RULE`] bytes, and time is linear in the
//! text.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use super::ast::{Action, Endpoints, GroupExpr, Header, RawValue, Rule, RuleOption, Span, Spanned};
use super::diagnostic::{ReasonKind, Refusal};
use super::dialect::{self, Dialect};
use super::lexer::{self, Blank, Kind, line_joint, option_end, skip_blank};
use super::tuning::{Tuned, Tuning, Verdict};
use crate::suggest::nearest;

/// Bytes a rule may have. Suricata takes 8 KiB; IP lists made by tools reach more.
pub const MAX_RULE: usize = 64 * 1024;
/// Brackets and `!` that may stand inside one another.
pub const MAX_DEPTH: usize = 32;

/// How a text is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading<'a> {
    /// The dialect of rules in files that name none; `None`: each rule shows its own.
    pub dialect: Option<Dialect>,
    /// The lists that disable, enable and change rules.
    pub tuning: Option<&'a Tuning>,
}

/// What a text holds.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Rules, in order.
    pub rules: Vec<Rule>,
    /// What stood where a rule should and is none.
    pub refusals: Vec<Refusal>,
    /// Rules behind a `#`, or disabled by a list, and not enabled by one.
    pub disabled: usize,
    /// Files that are to be read too.
    pub includes: Vec<Include>,
    /// What the lists did.
    pub tuned: Tuned,
}

/// `include FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// Line, from 1.
    pub line: u32,
    /// The whole line.
    pub text: Arc<str>,
    /// Place of the file's name in it, without quotes.
    pub span: Span,
    /// Number of rules that stand before it.
    pub rules_before: usize,
}

/// Parses the text of `file`.
pub fn parse_str(file: &Arc<Path>, text: &str) -> Parsed {
    parse(file, text, &[], Reading::default())
}

/// Parses bytes that need not be UTF-8: a rule that holds a byte which is not is refused at that byte,
/// the others are parsed.
pub fn parse_bytes(file: &Arc<Path>, bytes: &[u8]) -> Parsed {
    parse_with(file, bytes, Reading::default())
}

/// The same, read in a certain way.
pub fn parse_with(file: &Arc<Path>, bytes: &[u8], reading: Reading<'_>) -> Parsed {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return parse(file, text, &[], reading);
    }
    let mut text = String::with_capacity(bytes.len() + 64);
    let mut invalid = Vec::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for &byte in chunk.invalid() {
            invalid.push((text.len(), byte));
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    parse(file, &text, &invalid, reading)
}

/// `invalid`: places, ascending, where a byte that is not UTF-8 was replaced.
fn parse(file: &Arc<Path>, text: &str, invalid: &[(usize, u8)], reading: Reading<'_>) -> Parsed {
    let mut parsed = Parsed::default();
    let dialect = declared_dialect(file, text, &mut parsed).or(reading.dialect);
    for statement in lexer::statements(text) {
        let whole = &text[statement.start..statement.end];
        let text = &whole[..whole.floor_char_boundary(MAX_RULE)];
        let enabled = match statement.kind {
            Kind::Include => {
                parsed.include(text, statement.line);
                continue;
            }
            Kind::Rule => true,
            Kind::Disabled => false,
        };
        let tuned = match reading.tuning {
            None if enabled => Verdict::Enabled(Cow::Borrowed(text)),
            None => Verdict::Disabled,
            Some(tuning) => tuning.judge(file, text, enabled, &mut parsed.tuned),
        };
        let (text, changed_at) = match tuned {
            Verdict::Disabled => {
                parsed.disabled += 1;
                continue;
            }
            Verdict::Enabled(text) => (text, None),
            Verdict::Changed(text, place) => (text.into(), Some(place)),
        };
        let next = invalid.partition_point(|(at, _)| *at < statement.start);
        let bad_byte = invalid.get(next).filter(|(at, _)| *at < statement.start + whole.len());
        let text: Arc<str> = Arc::from(text);
        let result = match bad_byte {
            Some(&(at, byte)) => Err(not_utf8(&text, at - statement.start, byte)),
            None if whole.len().max(text.len()) > MAX_RULE => {
                let span = Span { start: 0, end: text.ceil_char_boundary(1) };
                Err(Fault::new(span, format!("the rule has more than {MAX_RULE} bytes")))
            }
            None => Parser { text: &text, pos: 0 }.rule(),
        };
        match result {
            Ok((header, mut options)) => {
                // Tens of thousands of rules are held at once.
                options.shrink_to_fit();
                let dialect = dialect.unwrap_or_else(|| dialect::detect(&header, &options));
                let (file, line) = (file.clone(), statement.line);
                parsed.rules.push(Rule { file, line, text, dialect, header, options });
            }
            Err(fault) => parsed.refusals.push(Refusal {
                file: file.clone(),
                line: statement.line,
                sid: sid_of(&text),
                text,
                span: fault.span,
                kind: fault.kind,
                reason: match changed_at {
                    Some(place) => format!("{} (as changed by {place})", fault.reason),
                    None => fault.reason,
                },
                help: fault.help,
            }),
        }
    }
    parsed
}

impl Parsed {
    fn include(&mut self, line_text: &str, line: u32) {
        let rest = line_text.strip_prefix("include").unwrap_or(line_text);
        let bare = match rest.find(" #") {
            Some(at) => &rest[..at],
            None => rest,
        };
        let name = bare.trim_matches(|c: char| c.is_ascii_whitespace() || c == '"');
        let start = line_text.len() - rest.len() + bare.find(name).unwrap_or_default();
        self.includes.push(Include {
            line,
            text: Arc::from(line_text),
            span: Span { start, end: start + name.len() },
            rules_before: self.rules.len(),
        });
    }
}

/// The dialect that a comment at the head of the file names; a word that is none is refused.
fn declared_dialect(file: &Arc<Path>, text: &str, parsed: &mut Parsed) -> Option<Dialect> {
    let (at, word) = dialect::declared(text)?;
    let reason = match word.parse() {
        Ok(dialect) => return Some(dialect),
        Err(reason) => reason,
    };
    let start = text[..at].rfind('\n').map_or(0, |feed| feed + 1);
    let line = text[start..].split('\n').next().unwrap_or_default().trim_ascii_end();
    let span = Span { start: at - start, end: at - start + word.len() };
    parsed.refusals.push(Refusal {
        file: file.clone(),
        line: u32::try_from(1 + text[..start].matches('\n').count()).unwrap_or(u32::MAX),
        text: line.into(),
        span,
        kind: ReasonKind::Syntax,
        reason,
        help: None,
        sid: None,
    });
    None
}

/// `at` is a place in the rule as it stands in the file; a list may have changed the text since.
fn not_utf8(text: &str, at: usize, byte: u8) -> Fault {
    let here = text.get(at..).is_some_and(|rest| rest.starts_with(char::REPLACEMENT_CHARACTER));
    let start = match here {
        true => at,
        false => text.find(char::REPLACEMENT_CHARACTER).unwrap_or_default(),
    };
    let width = text[start..].chars().next().map_or(0, char::len_utf8);
    Fault::new(Span { start, end: start + width }, format!("byte 0x{byte:02x} is not UTF-8"))
        .help(format!("save the file as UTF-8, or write the byte as |{byte:02X}| in a content"))
}

/// Parses one group of addresses or ports that stands alone, such as the value of a variable.
pub(super) fn parse_group(text: &str) -> Result<Spanned<GroupExpr>, Fault> {
    let mut parser = Parser { text, pos: 0 };
    parser.skip();
    let group = parser.group(0)?;
    parser.skip();
    match parser.peek() {
        None => Ok(group),
        Some(found) => Err(parser.unexpected("the end of the group", found)),
    }
}

/// The sid of a rule that could not be parsed, for the reader's sake.
fn sid_of(text: &str) -> Option<u32> {
    text.match_indices("sid").find_map(|(at, _)| {
        let before = text[..at].trim_ascii_end();
        let value = text[at + 3..].trim_ascii_start().strip_prefix(':')?.trim_ascii_start();
        let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
        before.ends_with([';', '(']).then(|| value[..digits].parse().ok())?
    })
}

/// Why the text is no rule.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) span: Span,
    pub(super) kind: ReasonKind,
    pub(super) reason: String,
    pub(super) help: Option<String>,
}

impl Fault {
    fn new(span: Span, reason: impl Into<String>) -> Self {
        Self { span, kind: ReasonKind::Syntax, reason: reason.into(), help: None }
    }
    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
    fn kind(mut self, kind: ReasonKind) -> Self {
        self.kind = kind;
        self
    }
}

struct Parser<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Parser<'a> {
    fn rule(&mut self) -> Result<(Header, Vec<RuleOption>), Fault> {
        let header = self.header()?;
        let options = self.options()?;
        Ok((header, options))
    }

    fn header(&mut self) -> Result<Header, Fault> {
        let action = self.action()?;
        self.skip();
        if self.peek() == Some('(') {
            return Err(self.fault("the protocol is missing"));
        }
        let protocol = self.word("a protocol")?;
        let protocol = Spanned { node: protocol.node.to_ascii_lowercase(), span: protocol.span };
        self.skip();
        let endpoints = if self.peek() == Some('(') { None } else { Some(self.endpoints()?) };
        Ok(Header { action, protocol, endpoints })
    }

    fn action(&mut self) -> Result<Spanned<Action>, Fault> {
        let word = self.word("an action")?;
        let name = word.node.to_ascii_lowercase();
        let node = match name.as_str() {
            "alert" => Action::Alert,
            "pass" => Action::Pass,
            "drop" => Action::Drop,
            "reject" | "rejectsrc" => Action::RejectSource,
            "rejectdst" => Action::RejectDestination,
            "rejectboth" => Action::RejectBoth,
            "log" => Action::Log,
            other => {
                let bare = other.split(':').next().unwrap_or(other);
                let directive = ["var", "ipvar", "portvar", "preprocessor", "output"];
                if lexer::ACTIONS.contains(&bare) || directive.contains(&bare) {
                    return Err(Fault::new(word.span, format!("`{bare}` is not supported yet"))
                        .kind(ReasonKind::UnsupportedKeyword));
                }
                let honoured = [
                    "alert",
                    "pass",
                    "drop",
                    "reject",
                    "rejectsrc",
                    "rejectdst",
                    "rejectboth",
                    "log",
                ];
                let fault = Fault::new(word.span, format!("no rule begins with `{}`", word.node));
                return Err(match nearest(other, honoured.into_iter()) {
                    Some(near) => fault.help(format!("did you mean `{near}`?")),
                    None => {
                        fault.help("a rule begins with an action: alert, pass, drop, reject, log")
                    }
                });
            }
        };
        Ok(Spanned { node, span: word.span })
    }

    /// Snort 3 lets each port be left out, which means any.
    fn endpoints(&mut self) -> Result<Endpoints, Fault> {
        let source = self.group(0)?;
        self.skip();
        let source_port = if self.at_arrow() { self.any_here() } else { self.group(0)? };
        self.skip();
        let bidirectional = self.arrow()?;
        self.skip();
        let destination = self.group(0)?;
        self.skip();
        let destination_port =
            if self.peek() == Some('(') { self.any_here() } else { self.group(0)? };
        self.skip();
        Ok(Endpoints { source, source_port, bidirectional, destination, destination_port })
    }

    fn at_arrow(&self) -> bool {
        ["->", "<>", "<-", "=>"].iter().any(|arrow| self.text[self.pos..].starts_with(arrow))
    }

    fn arrow(&mut self) -> Result<Spanned<bool>, Fault> {
        let span = Span { start: self.pos, end: (self.pos + 2).min(self.text.len()) };
        let node = match self.text.get(span.start..span.end) {
            Some("->") => false,
            Some("<>") => true,
            Some("<-") => {
                return Err(Fault::new(span, "there is no `<-`")
                    .help("write the sides the other way round, with `->`"));
            }
            Some("=>") => {
                return Err(Fault::new(
                    span,
                    "`=>` (rules over both directions of a transaction) \
                     is not supported yet",
                )
                .kind(ReasonKind::UnsupportedKeyword));
            }
            _ => return Err(self.fault("expected `->` or `<>`")),
        };
        self.pos = span.end;
        Ok(Spanned { node, span })
    }

    fn any_here(&self) -> Spanned<GroupExpr> {
        Spanned { node: GroupExpr::Any, span: Span { start: self.pos, end: self.pos } }
    }

    fn group(&mut self, depth: usize) -> Result<Spanned<GroupExpr>, Fault> {
        let start = self.pos;
        if depth > MAX_DEPTH {
            return Err(self.fault(&format!("groups nest deeper than {MAX_DEPTH}")));
        }
        let node = match self.peek() {
            Some('!') => {
                self.pos += 1;
                self.skip();
                if self.peek() == Some('!') {
                    return Err(self.fault("`!` stands twice"));
                }
                GroupExpr::Not(Box::new(self.group(depth + 1)?))
            }
            Some('[') => {
                self.pos += 1;
                self.list(start, depth)?
            }
            Some('$') => {
                self.pos += 1;
                let name = self.item("the name of a variable")?;
                GroupExpr::Variable(name)
            }
            _ => {
                let item = self.item("an address, a port or a group")?;
                match item.node.eq_ignore_ascii_case("any") {
                    true => GroupExpr::Any,
                    false => GroupExpr::Item(item),
                }
            }
        };
        Ok(Spanned { node, span: Span { start, end: self.pos } })
    }

    /// The inside of `[...]`, whose bracket stands at `open`.
    fn list(&mut self, open: usize, depth: usize) -> Result<GroupExpr, Fault> {
        let mut items = Vec::new();
        loop {
            self.skip();
            if self.peek() == Some(']') && items.is_empty() {
                let span = Span { start: open, end: self.pos + 1 };
                return Err(Fault::new(span, "the group is empty"));
            }
            items.push(self.group(depth + 1)?);
            self.skip();
            match self.peek() {
                Some(',') => self.pos += 1,
                Some(']') => {
                    self.pos += 1;
                    return Ok(GroupExpr::List(items));
                }
                Some(found) if !matches!(found, '(' | '-' | '<') => {
                    return Err(self.unexpected("`,` or `]`", found));
                }
                _ => {
                    let span = Span { start: open, end: open + 1 };
                    return Err(Fault::new(span, "the bracket is not closed"));
                }
            }
        }
    }

    fn options(&mut self) -> Result<Vec<RuleOption>, Fault> {
        let open = Span { start: self.pos, end: (self.pos + 1).min(self.text.len()) };
        match self.peek() {
            Some('(') => self.pos += 1,
            None => return Err(self.fault("expected `(` and the options")),
            Some(found) => return Err(self.unexpected("`(`", found)),
        }
        let mut options = Vec::with_capacity(16);
        loop {
            self.skip();
            match self.peek() {
                Some(')') => break,
                None => {
                    return Err(Fault::new(open, "the parenthesis is not closed")
                        .help("a rule ends with `;)`"));
                }
                _ => options.push(self.option()?),
            }
        }
        self.pos += 1;
        self.skip();
        match self.peek() {
            None => Ok(options),
            Some(_) => {
                let span = Span { start: self.pos, end: self.text.len() };
                Err(Fault::new(span, "text behind the end of the rule"))
            }
        }
    }

    fn option(&mut self) -> Result<RuleOption, Fault> {
        let start = self.pos;
        // Bytes will do: what ends the name is no part of a longer character, or begins one.
        let length = self.text.as_bytes()[start..]
            .iter()
            .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')));
        let name_end = length.map_or(self.text.len(), |length| start + length);
        let name = Spanned {
            node: self.text[start..name_end].to_ascii_lowercase(),
            span: Span { start, end: name_end },
        };
        if name.node.is_empty() {
            return Err(match self.peek() {
                Some(';') => self.fault("an option without a name"),
                found => self.unexpected("a keyword or `)`", found.unwrap_or(' ')),
            });
        }
        let Some(end) = option_end(self.text, name_end, self.text.len()) else {
            let rest = self.text[start..].trim_ascii_end();
            let end = start + rest.trim_end_matches(')').trim_ascii_end().len();
            let span = Span { start, end: end.max(name_end) };
            return Err(Fault::new(span, format!("no `;` behind `{}`", name.node)));
        };
        self.pos = name_end;
        self.skip_to(end);
        match self.peek() {
            Some(';') => {
                self.pos = end + 1;
                Ok(RuleOption { name, value: None })
            }
            Some(':') => {
                let value = self.value(self.pos + 1, end)?;
                self.pos = end + 1;
                Ok(RuleOption { name, value: Some(value) })
            }
            found => Err(self.unexpected("`:` or `;`", found.unwrap_or(' '))),
        }
    }

    fn value(&self, start: usize, end: usize) -> Result<Spanned<RawValue>, Fault> {
        let raw = &self.text[start..end];
        let start = start + (raw.len() - raw.trim_ascii_start().len());
        let raw = raw.trim_ascii();
        let span = Span { start, end: start + raw.len() };
        let quote = start + (raw.len() - raw.trim_start_matches(['!', ' ', '\t']).len());
        let quoted = self.text[quote..span.end].starts_with('"');
        if quoted && !self.text[quote + 1..span.end].contains('"') {
            let span = Span { start: quote, end: span.end };
            return Err(Fault::new(span, "the quote is not closed")
                .help("inside quotes, a semicolon is written `\\;`"));
        }
        let joined = self.join_lines(span, quoted)?;
        Ok(Spanned { node: RawValue(joined.trim_ascii().to_owned()), span })
    }

    /// Takes line breaks out of a value: `\` at the end of a line joins it with the next as it stands;
    /// a bare line break (Snort 3) is a blank, and has no place inside quotes.
    fn join_lines(&self, span: Span, quoted: bool) -> Result<Cow<'a, str>, Fault> {
        let raw = &self.text[span.start..span.end];
        if !raw.contains('\n') {
            return Ok(Cow::Borrowed(raw));
        }
        let mut joined = String::with_capacity(raw.len());
        let mut pos = span.start;
        while let Some(c) = self.text[pos..span.end].chars().next() {
            match c {
                '\\' => {
                    if let Some(next) = line_joint(self.text, pos) {
                        pos = next.min(span.end);
                        continue;
                    }
                    joined.push(c);
                }
                '\n' if quoted => {
                    let span = Span { start: span.start, end: pos };
                    return Err(Fault::new(span, "a line break inside quotes")
                        .help("end the line with `\\`"));
                }
                '\n' => joined.push(' '),
                c => joined.push(c),
            }
            pos += c.len_utf8();
        }
        Ok(Cow::Owned(joined))
    }

    fn peek(&self) -> Option<char> {
        self.text[self.pos..].chars().next()
    }

    fn skip(&mut self) {
        self.skip_to(self.text.len());
    }

    fn skip_to(&mut self, end: usize) {
        self.pos = match skip_blank(self.text, self.pos, end) {
            Blank::To(pos) | Blank::OpenComment(pos) => pos,
        };
    }

    /// A run of anything but blanks, brackets, parentheses and commas.
    fn item(&mut self, wanted: &str) -> Result<Spanned<String>, Fault> {
        let start = self.pos;
        let rest = &self.text.as_bytes()[start..];
        let stop = |b: &u8| {
            b.is_ascii_whitespace() || matches!(b, b'[' | b']' | b'(' | b')' | b',' | b'!' | b'\\')
        };
        self.pos = rest.iter().position(stop).map_or(self.text.len(), |length| start + length);
        if self.pos == start {
            return Err(match self.peek() {
                None => self.fault(&format!("expected {wanted}")),
                Some(found) => self.unexpected(wanted, found),
            });
        }
        let node = self.text[start..self.pos].to_owned();
        Ok(Spanned { node, span: Span { start, end: self.pos } })
    }

    fn word(&mut self, wanted: &str) -> Result<Spanned<String>, Fault> {
        self.item(wanted)
    }

    fn unexpected(&self, wanted: &str, found: char) -> Fault {
        let mut fault = self.fault("");
        fault.reason = match found {
            found if found.is_control() => format!("expected {wanted}"),
            found => format!("expected {wanted}, found `{found}`"),
        };
        fault
    }

    /// A fault at the next character, or behind the end.
    fn fault(&self, reason: &str) -> Fault {
        let width = self.peek().map_or(0, char::len_utf8);
        Fault::new(Span { start: self.pos, end: self.pos + width }, reason)
    }
}

#[cfg(test)]
mod tests;
