//! The lists that disable, enable, drop and modify rules, as suricata-update users know them
//! (suricata-update manual, "disable.conf", "enable.conf", "drop.conf", "modify.conf").
//!
//! They work on the text of a rule, before it is parsed: a disabled rule that no list enables costs
//! neither memory nor a parse. The order is that of suricata-update: disable, enable, drop, modify. What a
//! line may name is in `matcher`, how a rule shows it in `subject`, how lists are read in `list`.

mod list;
mod matcher;
mod modify;
mod subject;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::{error, fmt, io};

use crate::rule::id::RuleId;
use list::List;
use modify::Edit;
use subject::Subject;

/// Where the four lists are; each may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TuningFiles {
    /// Rules to be disabled.
    pub disable: Option<PathBuf>,
    /// Rules to be enabled, also those that `disable` names.
    pub enable: Option<PathBuf>,
    /// Rules whose action becomes `drop`.
    pub drop: Option<PathBuf>,
    /// Rules whose text is changed.
    pub modify: Option<PathBuf>,
}

/// The four lists.
#[derive(Debug, Default)]
pub struct Tuning {
    disable: List,
    enable: List,
    drop: List,
    modify: Vec<Edit>,
}

/// One of the four lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// disable.conf.
    Disable,
    /// enable.conf.
    Enable,
    /// drop.conf.
    Drop,
    /// modify.conf.
    Modify,
}

/// How many rules the lists took hold of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuned {
    /// Disabled by a list, and not enabled again.
    pub disabled: usize,
    /// Enabled by a list.
    pub enabled: usize,
    /// Made `drop`.
    pub dropped: usize,
    /// Changed by modify.conf.
    pub modified: usize,
}

impl std::ops::AddAssign for Tuned {
    fn add_assign(&mut self, other: Self) {
        self.disabled += other.disabled;
        self.enabled += other.enabled;
        self.dropped += other.dropped;
        self.modified += other.modified;
    }
}

/// What becomes of a rule.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// It is left out.
    Disabled,
    /// It is in force as it stands, the `#` before it taken off.
    Enabled(Cow<'a, str>),
    /// It is in force with this text; the place of the line that changed it last.
    Changed(String, String),
}

/// Why a list cannot be used.
#[derive(Debug)]
pub enum TuningError {
    /// It is missing or cannot be read.
    Read(PathBuf, io::Error),
    /// A line is wrong.
    Line {
        /// File.
        path: PathBuf,
        /// Line, from 1.
        line: u32,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for TuningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => {
                write!(f, "{}: the list cannot be read: {error}", path.display())
            }
            Self::Line { path, line, reason } => write!(f, "{}:{line}: {reason}", path.display()),
        }
    }
}

impl error::Error for TuningError {}

/// The ids of the rule `text` of `file`, as lists name it; `None` where it has no sid.
pub fn id_of(file: &Path, text: &str) -> Option<RuleId> {
    Subject::new(file, text).id().map(|(gid, sid, _)| RuleId { gid, sid })
}

impl Tuning {
    /// Reads the lists.
    ///
    /// # Errors
    /// One cannot be read, or has a line that says nothing: a list that is only half understood would
    /// leave rules in force that somebody wanted out.
    pub fn read(files: &TuningFiles) -> Result<Self, TuningError> {
        let mut tuning = Self::default();
        for (which, path) in [
            (Which::Disable, &files.disable),
            (Which::Enable, &files.enable),
            (Which::Drop, &files.drop),
            (Which::Modify, &files.modify),
        ] {
            let Some(path) = path else { continue };
            let text = list::read(path).map_err(|error| TuningError::Read(path.clone(), error))?;
            tuning.set(which, path, &text)?;
        }
        Ok(tuning)
    }

    /// Puts the list `text`, the contents of the file at `path`, in the place of the one there is.
    ///
    /// # Errors
    /// It has a line that says nothing.
    pub fn set(&mut self, which: Which, path: &Path, text: &str) -> Result<(), TuningError> {
        match which {
            Which::Disable => self.disable = List::parse(path, text)?,
            Which::Enable => self.enable = List::parse(path, text)?,
            Which::Drop => self.drop = List::parse(path, text)?,
            Which::Modify => self.modify = modify::parse(path, text)?,
        }
        Ok(())
    }

    /// What becomes of the rule `text` of `file`; a disabled one still has its `#`.
    pub(super) fn judge<'a>(
        &self,
        file: &Path,
        text: &'a str,
        enabled: bool,
        tuned: &mut Tuned,
    ) -> Verdict<'a> {
        if !enabled && self.enable.is_empty() {
            return Verdict::Disabled;
        }
        let bare = if enabled { Cow::Borrowed(text) } else { subject::uncommented(text) };
        let subject = Subject::new(file, &bare);
        let disabled = enabled && self.disable.matches(&subject);
        if disabled || !enabled {
            if !self.enable.matches(&subject) {
                tuned.disabled += usize::from(disabled);
                return Verdict::Disabled;
            }
            tuned.enabled += usize::from(!enabled);
        }
        let mut change = None;
        if !subject.is_silent()
            && let Some(place) = self.drop.place_of(&subject)
            && let Some(text) = subject.with_action("drop")
        {
            tuned.dropped += 1;
            change = Some((text, place));
        }
        let before = tuned.modified;
        for edit in &self.modify {
            let now = change.as_ref().map_or(&*bare, |(text, _)| text.as_str());
            if let Some(text) = edit.apply(&Subject::new(file, now)) {
                tuned.modified = before + 1;
                change = Some((text, edit.place()));
            }
        }
        match change {
            Some((text, place)) => Verdict::Changed(text, place),
            None => Verdict::Enabled(bare),
        }
    }
}

#[cfg(test)]
mod tests;
