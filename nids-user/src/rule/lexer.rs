//! Finds where rules begin and end in a file, so that one broken rule never costs the next.
//!
//! Suricata and Snort 2 write one rule a line, with `\` at the end of a line that goes on; Snort 3 lets
//! a rule run over lines until its parenthesis closes. Both are read here, as are `#` comments, rules
//! behind a `#` (disabled rules), and Snort 3's `/* */` and `#begin` ... `#end`. What stands inside a
//! rule is left to `parser`; the two share the walk over blanks and options below.

use memchr::{memchr, memmem};

/// Actions a rule can begin with, in all dialects; the parser says which of them are honoured.
pub(super) const ACTIONS: [&str; 17] = [
    "accept",
    "activate",
    "alert",
    "block",
    "config",
    "drop",
    "dynamic",
    "file_id",
    "log",
    "pass",
    "react",
    "reject",
    "rejectboth",
    "rejectdst",
    "rejectsrc",
    "rewrite",
    "sdrop",
];

/// One thing found in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What it is.
    pub kind: Kind,
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
    /// Line of the first byte, from 1.
    pub line: u32,
}

/// What a [`Statement`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A rule, or something that stands where one should.
    Rule,
    /// A rule behind a `#`.
    Disabled,
    /// `include FILE`, one line.
    Include,
}

/// The statements of a file, in order. Runs in time linear in the text.
pub struct Statements<'a> {
    text: &'a str,
    pos: usize,
    /// Line of the byte at `counted`.
    line: u32,
    counted: usize,
    /// `*/` and `#end` were looked for and are not ahead: keeps the search linear.
    no_block_end: bool,
    no_begin_end: bool,
}

/// The statements of `text`.
pub fn statements(text: &str) -> Statements<'_> {
    let pos = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    Statements { text, pos, line: 1, counted: 0, no_block_end: false, no_begin_end: false }
}

impl Iterator for Statements<'_> {
    type Item = Statement;

    fn next(&mut self) -> Option<Statement> {
        let bytes = self.text.as_bytes();
        loop {
            while bytes.get(self.pos).is_some_and(u8::is_ascii_whitespace) {
                self.pos += 1;
            }
            let start = self.pos;
            let rest = self.text.get(start..).filter(|rest| !rest.is_empty())?;
            if rest.starts_with('#') {
                if self.begin_block(rest) {
                    continue;
                }
                let line = physical_line(self.text, start);
                self.pos = line;
                if is_disabled_rule(&self.text[start..line]) {
                    self.pos = self.disabled_end(start);
                    return Some(self.statement(Kind::Disabled, start, self.pos));
                }
                continue;
            }
            if rest.starts_with("/*") && !self.no_block_end {
                match memmem::find(&rest.as_bytes()[2..], b"*/") {
                    Some(at) => {
                        self.pos = start + at + 4;
                        continue;
                    }
                    None => self.no_block_end = true,
                }
            }
            if is_include(rest) {
                self.pos = physical_line(self.text, start);
                return Some(self.statement(Kind::Include, start, self.pos));
            }
            self.pos = rule_end(self.text, start);
            return Some(self.statement(Kind::Rule, start, self.pos));
        }
    }
}

impl Statements<'_> {
    fn statement(&mut self, kind: Kind, start: usize, end: usize) -> Statement {
        let passed = &self.text.as_bytes()[self.counted..start];
        let lines = memchr::memchr_iter(b'\n', passed).count();
        self.line = self.line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        self.counted = start;
        let kept = self.text[start..end].trim_ascii_end().len();
        Statement { kind, start, end: start + kept, line: self.line }
    }

    /// Skips Snort 3's `#begin` ... `#end`, where an `#end` follows.
    fn begin_block(&mut self, rest: &str) -> bool {
        let line = &rest[..memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len())];
        if self.no_begin_end || !line.trim_ascii_end().eq_ignore_ascii_case("#begin") {
            return false;
        }
        let Some(at) = memmem::find(rest.as_bytes(), b"\n#end") else {
            self.no_begin_end = true;
            return false;
        };
        self.pos = physical_line(self.text, self.pos + at + 1);
        true
    }

    /// A disabled rule with `\` at the end of its lines takes the lines that go on with it.
    fn disabled_end(&self, start: usize) -> usize {
        let (mut line, mut end) = (start, physical_line(self.text, start));
        while end < self.text.len() && self.text[line..end].trim_ascii_end().ends_with('\\') {
            let next = physical_line(self.text, end + 1);
            if begins_rule(&self.text[end + 1..next]) {
                break;
            }
            (line, end) = (end + 1, next);
        }
        end
    }
}

fn is_include(rest: &str) -> bool {
    rest.strip_prefix("include").is_some_and(|rest| rest.starts_with([' ', '\t']))
}

/// Where the line that holds `pos` ends, without the line feed.
fn physical_line(text: &str, pos: usize) -> usize {
    memchr(b'\n', &text.as_bytes()[pos..]).map_or(text.len(), |at| pos + at)
}

/// The same, over all lines that end with `\`.
fn logical_line(text: &str, pos: usize) -> usize {
    let mut line = pos;
    loop {
        let end = physical_line(text, line);
        if end == text.len() || !text[line..end].trim_ascii_end().ends_with('\\') {
            return end;
        }
        line = end + 1;
    }
}

/// Where the rule that begins at `start` ends.
fn rule_end(text: &str, start: usize) -> usize {
    let mut end = logical_line(text, start);
    let mut body = match memchr(b'(', &text.as_bytes()[start..end]) {
        Some(at) => Body::new(start + at + 1),
        None => {
            // Snort 3 may open the parenthesis on a line of its own.
            let next = skip_whitespace(text, end);
            if !text[next..].starts_with('(') || !begins_rule(&text[start..end]) {
                return end;
            }
            end = logical_line(text, next);
            Body::new(next + 1)
        }
    };
    let (mut kept, mut line) = (end, start);
    loop {
        match body.walk(text, end) {
            Walk::Closed => return end,
            // `sid:1)`: the last semicolon is missing, and the rule ends here all the same.
            Walk::InOption if text[line..end].trim_ascii_end().ends_with(')') => return end,
            Walk::InOption | Walk::BetweenOptions => {}
        }
        // Snort 3: it goes on until the parenthesis closes, but never into the next rule.
        let next = (end + 1).min(text.len());
        if next == end || next == text.len() {
            return kept;
        }
        let first_line = text[next..physical_line(text, next)].trim_ascii();
        if begins_rule(first_line) || is_disabled_rule(first_line) || is_include(first_line) {
            return kept;
        }
        (line, end) = (next, logical_line(text, next));
        if !first_line.is_empty() && !first_line.starts_with('#') {
            kept = end;
        }
    }
}

/// A walk over the options, resumed line by line.
struct Body {
    pos: usize,
    inside: Inside,
}

enum Inside {
    /// Nothing: the next thing is an option or the closing parenthesis.
    Nothing,
    Option,
    /// `/*`
    Comment,
}

enum Walk {
    /// The closing parenthesis was found.
    Closed,
    /// The text ended behind a `;` or `(`, or in a comment there.
    BetweenOptions,
    /// The text ended before the `;`.
    InOption,
}

impl Body {
    fn new(pos: usize) -> Self {
        Self { pos, inside: Inside::Nothing }
    }

    fn walk(&mut self, text: &str, end: usize) -> Walk {
        loop {
            match self.inside {
                Inside::Nothing => match skip_blank(text, self.pos, end) {
                    Blank::To(pos) if pos >= end => {
                        self.pos = end;
                        return Walk::BetweenOptions;
                    }
                    Blank::To(pos) if text[pos..].starts_with(')') => return Walk::Closed,
                    Blank::To(pos) => (self.pos, self.inside) = (pos, Inside::Option),
                    Blank::OpenComment(_) => {
                        (self.pos, self.inside) = (end, Inside::Comment);
                        return Walk::BetweenOptions;
                    }
                },
                Inside::Option => match option_end(text, self.pos, end) {
                    Some(at) => (self.pos, self.inside) = (at + 1, Inside::Nothing),
                    None => {
                        self.pos = end;
                        return Walk::InOption;
                    }
                },
                Inside::Comment => match memmem::find(&text.as_bytes()[self.pos..end], b"*/") {
                    Some(at) => (self.pos, self.inside) = (self.pos + at + 2, Inside::Nothing),
                    None => {
                        self.pos = end;
                        return Walk::BetweenOptions;
                    }
                },
            }
        }
    }
}

/// The `;` that ends the option at `pos`: the first that has no `\` before it. Quotes do not protect a
/// `;` (Suricata and Snort 2; the Snort 3 manual asks for `\;` too).
pub(super) fn option_end(text: &str, pos: usize, end: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = pos;
    loop {
        let found = at + memchr(b';', &bytes[at..end])?;
        if found == 0 || bytes[found - 1] != b'\\' {
            return Some(found);
        }
        at = found + 1;
    }
}

/// Where blanks and comments end.
pub(super) enum Blank {
    /// At something else, or at the end of the text.
    To(usize),
    /// At a `/*` whose `*/` is not there.
    OpenComment(usize),
}

/// Skips blanks, line breaks with or without `\`, and comments between options.
pub(super) fn skip_blank(text: &str, mut pos: usize, end: usize) -> Blank {
    let bytes = text.as_bytes();
    while pos < end {
        match bytes[pos] {
            b if b.is_ascii_whitespace() => pos += 1,
            b'\\' => match line_joint(text, pos) {
                Some(next) => pos = next.min(end),
                None => break,
            },
            b'#' => pos = memchr(b'\n', &bytes[pos..end]).map_or(end, |at| pos + at),
            b'/' if bytes[pos..end].starts_with(b"/*") => {
                match memmem::find(&bytes[pos + 2..end], b"*/") {
                    Some(at) => pos += at + 4,
                    None => return Blank::OpenComment(pos),
                }
            }
            _ => break,
        }
    }
    Blank::To(pos)
}

/// Behind the line feed, where a `\` at `pos` is the last thing on its line.
pub(super) fn line_joint(text: &str, pos: usize) -> Option<usize> {
    let rest = &text.as_bytes()[pos + 1..];
    let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r')).count();
    match rest.get(blanks) {
        Some(b'\n') => Some(pos + blanks + 2),
        None => Some(pos + 1 + blanks),
        Some(_) => None,
    }
}

fn skip_whitespace(text: &str, pos: usize) -> usize {
    text.len() - text[pos..].trim_ascii_start().len()
}

/// Whether a line begins as a rule does: an action, a protocol, and something behind it.
fn begins_rule(line: &str) -> bool {
    header_words(line).is_some()
}

/// Whether a comment line holds a rule, and not prose that begins with "alert" or "drop".
fn is_disabled_rule(line: &str) -> bool {
    let line = line.trim_ascii_start();
    let inner = line.trim_start_matches(['#', ' ', '\t']);
    if !line.starts_with('#') {
        return false;
    }
    let Some(rest) = header_words(inner) else { return false };
    let arrow = || ["->", "<>", "=>"].iter().any(|arrow| rest.contains(arrow));
    rest.starts_with('(') || (rest.contains('(') && arrow())
}

/// What follows an action and a protocol.
fn header_words(line: &str) -> Option<&str> {
    let line = line.trim_ascii_start();
    let (action, rest) = line.split_at(line.find(|c: char| c.is_ascii_whitespace())?);
    if !ACTIONS.iter().any(|known| action.eq_ignore_ascii_case(known)) {
        return None;
    }
    let rest = rest.trim_ascii_start();
    let protocol = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '.')))
        .unwrap_or(rest.len());
    let behind = &rest[protocol..];
    let ends =
        behind.is_empty() || behind.starts_with(|c: char| c.is_ascii_whitespace() || c == '(');
    (rest.starts_with(|c: char| c.is_ascii_alphabetic()) && ends).then(|| behind.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, u32, &str)> {
        statements(text).map(|s| (s.kind, s.line, &text[s.start..s.end])).collect()
    }

    #[test]
    fn one_rule_a_line() {
        let text = "\u{feff}# prose\n\nalert tcp a (sid:1;)\r\n  drop ip b (sid:2;) # behind\n";
        assert_eq!(
            kinds(text),
            [
                (Kind::Rule, 3, "alert tcp a (sid:1;)"),
                (Kind::Rule, 4, "drop ip b (sid:2;) # behind"),
            ]
        );
    }

    #[test]
    fn disabled_rules_are_told_from_prose() {
        for disabled in [
            "#alert tcp any any -> any any (sid:1;)",
            "## \talert http (sid:1;)",
            "# pass ip any any <> any any (sid:1;)",
        ] {
            assert_eq!(kinds(disabled).len(), 1, "{disabled}");
            assert_eq!(kinds(disabled)[0].0, Kind::Disabled, "{disabled}");
        }
        for prose in ["# alert on everything (and more)", "# drop", "#alerts tcp any -> any ("] {
            assert_eq!(kinds(prose), [], "{prose}");
        }
    }

    #[test]
    fn include_lines() {
        let text =
            "include a (b.rules # why\nalert tcp a (\n sid:1;\ninclude b.rules\nincluded x\n";
        assert_eq!(
            kinds(text),
            [
                (Kind::Include, 1, "include a (b.rules # why"),
                (Kind::Rule, 2, "alert tcp a (\n sid:1;"),
                (Kind::Include, 4, "include b.rules"),
                (Kind::Rule, 5, "included x"),
            ]
        );
    }

    #[test]
    fn continued_lines() {
        let text = "alert tcp a \\\n (sid:1;\\  \r\n rev:2;)\n#alert tcp a -> b (x; \\\n y;)\nlog ip c (;)";
        let found = kinds(text);
        assert_eq!(found[0], (Kind::Rule, 1, "alert tcp a \\\n (sid:1;\\  \r\n rev:2;)"));
        assert_eq!(found[1].0, Kind::Disabled);
        assert_eq!(found[2], (Kind::Rule, 6, "log ip c (;)"));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn snort3_layout() {
        let rule = "alert http\n(\n    # why\n    msg:\"a )\";\n\n    /* ; */\n    sid:1;\n)";
        let text = format!("{rule}\nalert tcp (\n sid:2; )\n");
        assert_eq!(
            kinds(&text),
            [(Kind::Rule, 1, rule), (Kind::Rule, 9, "alert tcp (\n sid:2; )")]
        );
    }

    #[test]
    fn an_open_rule_does_not_eat_the_next() {
        for broken in [
            "alert tcp any any -> any any (msg:\"x\"; sid:1;",
            "alert tcp any any -> any any (msg:\"x; sid:1)",
            "alert tcp any any -> any any",
            "alert tcp any any -> any any (msg:\"open",
            "nonsense",
            "alert tcp any any -> any any (msg:\"x\"; /* open",
            "/* open",
        ] {
            for next in ["alert udp x (sid:2;)", "# alert udp x -> y (sid:2;)"] {
                let text = format!("{broken}\n# note\n\n{next}\n");
                let found = kinds(&text);
                assert_eq!(found.len(), 2, "{text}");
                assert_eq!(found[0], (Kind::Rule, 1, broken));
                assert_eq!((found[1].1, found[1].2), (4, next));
            }
        }
    }

    #[test]
    fn comments_between_options() {
        let text = "alert tcp a (\n /* one;\n ) two */ msg:\"x\";\n /*/ ) */ sid:1;\n # )\n)\nalert x y (sid:2;)";
        assert_eq!(kinds(text).len(), 2);
        assert!(kinds(text)[0].2.ends_with("# )\n)"));
    }

    /// Eight times the text takes about eight times as long (in this thread), whatever it is made of.
    #[test]
    fn time_is_linear() {
        use nix::time::{ClockId, clock_gettime};
        use std::time::Duration;
        let now = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
        let time = |unit: &str, head: &str, length: usize| {
            let text = format!("{head}{}", unit.repeat(length / unit.len()));
            let took = |_| {
                let start = now();
                std::hint::black_box(statements(&text).count());
                now() - start
            };
            (0..3).map(took).min().unwrap_or_default().max(Duration::from_millis(1))
        };
        for head in
            ["", "alert tcp x (", "x (a", "x (a;", "#begin\n", "/*", "# alert tcp x -> (\\\n"]
        {
            for unit in [
                "\n",
                " ",
                "\\\n",
                "(",
                ")",
                ";",
                "/*",
                "/*;",
                "*/",
                "/*\n",
                "#",
                "#\n",
                "#begin\n",
                "\"",
                "[",
                "alert tcp x (",
                "alert tcp x (\n",
                "# alert tcp x -> (\\\n",
                "x\n\n(",
                "a)\n",
                "sid",
                "\\;",
                "x (\n#\n",
                "\r\n",
                "!",
            ] {
                let (short, long) = (time(unit, head, 1 << 15), time(unit, head, 1 << 18));
                assert!(long < short * 28, "{head:?} {unit:?}: {short:?}, then {long:?}");
            }
        }
    }

    #[test]
    fn block_comments() {
        assert_eq!(kinds("/* alert tcp x (\n */ alert udp y (sid:1;)").len(), 1);
        assert_eq!(kinds("#begin\nalert tcp x (sid:1;)\n#end\nalert tcp y (sid:2;)").len(), 1);
        assert_eq!(kinds("#begin\nalert tcp x (sid:1;)\nalert tcp y (sid:2;)").len(), 2);
    }
}
