//! modify.conf: changes to the text of rules.
//!
//! `MATCHER "FROM" "TO"` replaces what the regular expression FROM finds; TO may use `\1` or `${1}`.
//! Oinkmaster's `modifysid MATCHER "FROM" | "TO"` is the same. `metadata-add MATCHER "KEY" "VALUE"` adds
//! an entry to the metadata. Words are quoted as in a shell.

use std::path::Path;
use std::sync::Arc;

use regex::Regex;

use super::TuningError;
use super::list::for_lines;
use super::matcher::{self, Matcher};
use super::subject::Subject;

/// One line of modify.conf.
#[derive(Debug)]
pub(super) struct Edit {
    matcher: Matcher,
    change: Change,
    path: Arc<Path>,
    line: u32,
}

#[derive(Debug)]
enum Change {
    Replace(Regex, String),
    AddMetadata(String),
}

/// Reads the edits in `text`, the contents of the file at `path`, in order.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Edit>, TuningError> {
    let mut edits = Vec::new();
    let shared: Arc<Path> = Arc::from(path);
    for_lines(path, text, |line, text| {
        let (matcher, change) = edit(text)?;
        edits.push(Edit { matcher, change, path: shared.clone(), line });
        Ok(())
    })?;
    Ok(edits)
}

impl Edit {
    /// The changed text; `None` where the rule is not named, or stays as it is.
    pub(super) fn apply(&self, subject: &Subject<'_>) -> Option<String> {
        if !self.matcher.matches(subject) {
            return None;
        }
        match &self.change {
            Change::Replace(from, to) => {
                let changed = from.replace_all(subject.text, to);
                (changed != subject.text).then(|| changed.into_owned())
            }
            Change::AddMetadata(option) => subject.with_option(option),
        }
    }

    /// `FILE:LINE`.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.path.display(), self.line)
    }
}

fn edit(text: &str) -> Result<(Matcher, Change), String> {
    let words = words(text)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (matcher, from, to) = match words.as_slice() {
        ["metadata-add", matcher, key, value] => {
            if [key, value].iter().any(|word| word.contains([';', ',', '"'])) {
                return Err("metadata cannot hold `;`, `,` or `\"`".to_owned());
            }
            let option = format!("metadata:{key} {value}");
            return Ok((Matcher::parse(matcher)?, Change::AddMetadata(option)));
        }
        ["modifysid", matcher, from, "|", to] | [matcher, from, to] => (matcher, from, to),
        _ => return Err("expected `MATCHER \"FROM\" \"TO\"`".to_owned()),
    };
    let from = matcher::pattern(from, false)?;
    let to = replacement(to, &from)?;
    Ok((Matcher::parse(matcher)?, Change::Replace(from, to)))
}

/// `\1`, `\g<1>` and `${1}` as the crate writes them; any other `$` stands for itself.
fn replacement(text: &str, from: &Regex) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let group = match c {
            '$' => rest.strip_prefix("${").and_then(|rest| rest.split_once('}')),
            '\\' => match rest.strip_prefix("\\g<") {
                Some(rest) => rest.split_once('>'),
                None => {
                    let digits = rest[1..].bytes().take(2).take_while(u8::is_ascii_digit).count();
                    (digits > 0).then(|| rest[1..].split_at(digits))
                }
            },
            _ => None,
        };
        if let Some((name, behind)) = group {
            let known = match name.parse::<usize>() {
                Ok(number) => number < from.captures_len(),
                Err(_) => from.capture_names().flatten().any(|known| known == name),
            };
            if !known {
                return Err(format!("the pattern has no group `{name}`"));
            }
            out.push_str(&format!("${{{name}}}"));
            rest = behind;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '$' => out.push_str("$$"),
            '\\' => match rest.chars().next() {
                // `\\` is one; before anything else it stands for itself.
                Some('\\') => {
                    out.push('\\');
                    rest = &rest[1..];
                }
                _ => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    Ok(out)
}

/// Splits a line into words as Python's shlex does: quotes hold words together; `\` keeps the next
/// character as it is, between double quotes only a `"` or `\`.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_ascii_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match c {
            '\\' => word.push(chars.next().ok_or("nothing stands behind the last `\\`")?),
            '"' | '\'' => loop {
                match chars.next().ok_or("a quote is not closed")? {
                    end if end == c => break,
                    '\\' if c == '"' && matches!(chars.peek(), Some('"' | '\\')) => {
                        word.extend(chars.next());
                    }
                    inside => word.push(inside),
                }
            },
            c => word.push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_in_a_shell() {
        for (line, expected) in [
            (r#"1 "seconds \d+" "seconds 3600""#, vec!["1", r"seconds \d+", "seconds 3600"]),
            (r#"re:. ^alert drop"#, vec!["re:.", "^alert", "drop"]),
            (r#"re:a\ b '(a)"\1' "drop\\1""#, vec!["re:a b", r#"(a)"\1"#, r"drop\1"]),
            (r#""" a"b c"d"#, vec!["", "ab cd"]),
        ] {
            assert_eq!(words(line).unwrap(), expected, "{line}");
        }
        assert!(words("\"a").is_err() && words("a\\").is_err());
    }

    #[test]
    fn replacements() {
        let from = Regex::new("(?<x>a)(b)").unwrap();
        for (text, expected) in [
            (r"\1-\2", Ok("a-b")),
            (r"${2}$1", Ok("b$1")),
            (r"\g<x>\g<2>", Ok("ab")),
            (r"\\1\d$", Ok(r"\1\d$")),
            (r"\3", Err("the pattern has no group `3`")),
            (r"${y}", Err("the pattern has no group `y`")),
        ] {
            let found = replacement(text, &from).map(|to| from.replace("ab", to).into_owned());
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }
}
