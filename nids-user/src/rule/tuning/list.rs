//! A list of rules: one matcher a line. `#` begins a comment at the head of a line or behind a blank.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::TuningError;
use super::matcher::{Ids, Matcher};
use super::subject::Subject;

/// Bytes a list may have.
const MAX_LIST: u64 = 16 * 1024 * 1024;

/// Rules that are named. Single numbers are looked up, so that a list of thousands stays fast.
#[derive(Debug, Default)]
pub(super) struct List {
    entries: Vec<Entry>,
    /// gid and sid, and the entry that names them.
    by_id: HashMap<(u32, u32), usize>,
    /// Entries that must be tried one by one.
    others: Vec<usize>,
}

#[derive(Debug)]
struct Entry {
    matcher: Matcher,
    path: Arc<Path>,
    line: u32,
}

impl Entry {
    fn place(&self) -> String {
        format!("{}:{}", self.path.display(), self.line)
    }
}

impl List {
    /// Reads `text`, the contents of the file at `path`.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, TuningError> {
        let mut list = Self::default();
        let shared: Arc<Path> = Arc::from(path);
        for_lines(path, text, |line, text| {
            let matcher = Matcher::parse(text)?;
            let number = list.entries.len();
            match &matcher {
                Matcher::Ids(ids) if ids.iter().all(is_single) => {
                    list.by_id.extend(ids.iter().map(|id| ((id.gid, id.first), number)));
                }
                _ => list.others.push(number),
            }
            list.entries.push(Entry { matcher, path: shared.clone(), line });
            Ok(())
        })?;
        Ok(list)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn matches(&self, subject: &Subject<'_>) -> bool {
        self.find(subject).is_some()
    }

    /// `FILE:LINE` of the line that names the rule.
    pub(super) fn place_of(&self, subject: &Subject<'_>) -> Option<String> {
        self.find(subject).map(Entry::place)
    }

    fn find(&self, subject: &Subject<'_>) -> Option<&Entry> {
        if self.is_empty() {
            return None;
        }
        let by_id = subject.id().and_then(|(gid, sid, _)| self.by_id.get(&(gid, sid)));
        let mut others = self.others.iter();
        let found = by_id.or_else(|| {
            others.find(|at| self.entries.get(**at).is_some_and(|e| e.matcher.matches(subject)))
        });
        self.entries.get(*found?)
    }
}

fn is_single(ids: &Ids) -> bool {
    ids.first == ids.last && ids.rev.is_none()
}

/// Calls `take` with each line that is neither blank nor a comment.
pub(super) fn for_lines(
    path: &Path,
    text: &str,
    mut take: impl FnMut(u32, &str) -> Result<(), String>,
) -> Result<(), TuningError> {
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{feff}');
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let text = text.split_once(" #").map_or(text, |(text, _)| text.trim_ascii_end());
        take(line, text).map_err(|reason| TuningError::Line {
            path: PathBuf::from(path),
            line,
            reason,
        })?;
    }
    Ok(())
}

/// The text of the list at `path`.
pub(super) fn read(path: &Path) -> io::Result<String> {
    // Asked before opening: opening a FIFO would wait for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let mut text = String::new();
    File::open(path)?.take(MAX_LIST + 1).read_to_string(&mut text)?;
    match text.len() as u64 > MAX_LIST {
        true => Err(io::Error::other(format!("a list has at most {MAX_LIST} bytes"))),
        false => Ok(text),
    }
}
