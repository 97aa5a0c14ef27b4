//! What one line of a list names.
//!
//! `2019401`, `1:2019401`, `1:2019401:3` (with rev), several of these with commas, `1:100-1:200` or
//! `100-200` (PulledPork's ranges); `re:PATTERN` on the text regardless of case; `group:NAME` or
//! `NAME.rules`, the name of the file with or without its extension; `filename:PATTERN`, its path;
//! `metadata:KEY VALUE`; `*`, all.

use regex::{Regex, RegexBuilder};

use super::subject::Subject;
use crate::rule::glob;

/// Bytes a compiled pattern may take.
const MAX_PATTERN: usize = 1 << 20;

/// Some of the rules.
#[derive(Debug)]
pub(super) enum Matcher {
    /// All.
    All,
    /// gid, first and last sid, and rev where it is named.
    Ids(Vec<Ids>),
    /// On the text.
    Text(Regex),
    /// Pattern of the path.
    Path(String),
    /// Pattern of the file's name, with or without extension.
    Group(String),
    /// Entry of the metadata.
    Metadata(String, String),
}

/// Rules by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) gid: u32,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) rev: Option<u32>,
}

impl Matcher {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::All);
        }
        if text.starts_with(|c: char| c.is_ascii_digit()) && !text.ends_with(".rules") {
            return text
                .split(',')
                .map(|id| ids(id.trim_ascii()))
                .collect::<Result<_, _>>()
                .map(Self::Ids);
        }
        let (kind, value) = text.split_once(':').unwrap_or(("", text));
        let value = value.trim_ascii();
        let wanted = |what: &str| match value {
            "" => Err(format!("`{kind}:` needs {what}")),
            value => Ok(value.to_owned()),
        };
        match kind {
            "re" => pattern(&wanted("a pattern")?, true).map(Self::Text),
            "group" => wanted("the name of a file").map(Self::Group),
            "filename" => wanted("a path").map(Self::Path),
            "metadata" => match value.split_once([' ', '\t']) {
                Some((key, value)) => Ok(Self::Metadata(key.into(), value.trim_ascii().into())),
                None => Err("`metadata:` needs a key and a value".to_owned()),
            },
            _ if text.ends_with(".rules") => Ok(Self::Group(text.to_owned())),
            _ => Err(format!(
                "`{text}` names no rules: write a sid, re:, group:, filename:, metadata: or *"
            )),
        }
    }

    pub(super) fn matches(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Ids(ids) => subject.id().is_some_and(|id| ids.iter().any(|ids| ids.has(id))),
            Self::Text(pattern) => pattern.is_match(subject.text),
            Self::Path(pattern) => glob::matches(pattern, &subject.file.to_string_lossy()),
            Self::Group(pattern) => {
                let Some(name) = subject.file.file_name() else { return false };
                let name = name.to_string_lossy();
                let name = name.strip_suffix(".gz").unwrap_or(&name);
                let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
                glob::matches(pattern, name) || glob::matches(pattern, stem)
            }
            Self::Metadata(key, value) => subject.has_metadata(key, value),
        }
    }
}

impl Ids {
    fn has(&self, (gid, sid, rev): (u32, u32, u32)) -> bool {
        self.gid == gid
            && (self.first..=self.last).contains(&sid)
            && self.rev.is_none_or(|wanted| wanted == rev)
    }
}

/// A regular expression that a list holds, bounded in memory.
pub(super) fn pattern(text: &str, any_case: bool) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .case_insensitive(any_case)
        .size_limit(MAX_PATTERN)
        .build()
        .map_err(|error| format!("the pattern `{text}` cannot be used: {}", last_line(&error)))
}

/// The error in one line.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn ids(text: &str) -> Result<Ids, String> {
    let number =
        |text: &str| text.parse::<u32>().map_err(|_| format!("`{text}` is no number of a rule"));
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (ids(first.trim_ascii())?, last.trim_ascii());
        let last = match last.split_once(':') {
            Some((gid, last)) if number(gid)? == first.gid => number(last)?,
            Some(_) => return Err(format!("the range `{text}` goes over two gids")),
            None => number(last)?,
        };
        if first.rev.is_some() || last < first.first {
            return Err(format!("`{text}` is no range of rules"));
        }
        return Ok(Ids { last, ..first });
    }
    let mut parts = text.split(':');
    let (a, b, c, more) = (parts.next(), parts.next(), parts.next(), parts.next());
    let (gid, sid, rev) = match (a, b, c, more) {
        (Some(sid), None, ..) => (1, number(sid)?, None),
        (Some(gid), Some(sid), None, _) => (number(gid)?, number(sid)?, None),
        (Some(gid), Some(sid), Some(rev), None) => (number(gid)?, number(sid)?, Some(number(rev)?)),
        _ => return Err(format!("`{text}` is no number of a rule: write gid:sid:rev")),
    };
    Ok(Ids { gid, first: sid, last: sid, rev })
}
