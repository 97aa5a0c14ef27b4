//! The lines of classification.config and reference.config: `config KIND: REST`, and `#` comments.

use std::fmt;

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Line, from 1.
    pub line: u32,
    /// Why.
    pub reason: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Calls `take` with what follows `config KIND:` on each line, and collects the lines that are none, or
/// that it does not take.
pub(super) fn read_lines(
    text: &str,
    kind: &str,
    mut take: impl FnMut(&str) -> Result<(), String>,
) -> Vec<BadLine> {
    let mut bad = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{feff}');
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let rest = text
            .strip_prefix("config")
            .filter(|rest| rest.starts_with([' ', '\t']))
            .and_then(|rest| rest.trim_ascii_start().strip_prefix(kind))
            .and_then(|rest| rest.trim_ascii_start().strip_prefix(':'));
        let taken = match rest {
            Some(rest) => take(rest.trim_ascii()),
            None => Err(format!("expected `config {kind}: ...`")),
        };
        if let Err(reason) = taken {
            bad.push(BadLine { line, reason });
        }
    }
    bad
}

/// Whether `name` can be the name of a class, or the kind of a reference.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}
