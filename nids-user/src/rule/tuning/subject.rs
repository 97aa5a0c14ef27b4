//! A rule as the lists see it: its text, and what can be read off it without parsing it as a whole.

use std::borrow::Cow;
use std::path::Path;

use crate::rule::lexer::{Blank, option_end, skip_blank};

/// A rule to be judged.
pub(super) struct Subject<'a> {
    /// The file it stands in.
    pub(super) file: &'a Path,
    /// Its text, without `#`.
    pub(super) text: &'a str,
    gid: u32,
    sid: Option<u32>,
    rev: u32,
}

impl<'a> Subject<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        let mut subject = Self { file, text, gid: 1, sid: None, rev: 0 };
        for (name, value) in subject.options() {
            let number = || value.trim_ascii().parse::<u32>().ok();
            match name {
                "gid" => subject.gid = number().unwrap_or(subject.gid),
                "sid" => subject.sid = number(),
                "rev" => subject.rev = number().unwrap_or_default(),
                _ => {}
            }
        }
        subject
    }

    /// gid, sid and rev; `None` where there is no sid.
    pub(super) fn id(&self) -> Option<(u32, u32, u32)> {
        Some((self.gid, self.sid?, self.rev))
    }

    /// Name and value of each option, as far as it can be told.
    fn options(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let text = self.text;
        let mut at = text.find('(').map_or(text.len(), |at| at + 1);
        std::iter::from_fn(move || {
            let Blank::To(start) = skip_blank(text, at, text.len()) else { return None };
            let end = option_end(text, start, text.len())?;
            at = end + 1;
            let option = &text[start..end];
            let (name, value) = option.split_once(':').unwrap_or((option, ""));
            Some((name.trim_ascii(), value))
        })
    }

    /// Whether it has this entry in its metadata, regardless of case.
    pub(super) fn has_metadata(&self, key: &str, value: &str) -> bool {
        let metadata = self.options().filter(|(name, _)| name.eq_ignore_ascii_case("metadata"));
        metadata.flat_map(|(_, entries)| entries.split(',')).any(|entry| {
            let entry = entry.trim_ascii();
            let (k, v) = entry.split_once([' ', '\t']).unwrap_or((entry, ""));
            k.eq_ignore_ascii_case(key) && v.trim_ascii().eq_ignore_ascii_case(value)
        })
    }

    /// Whether it never alerts: such a rule only prepares others, and is never made `drop`.
    pub(super) fn is_silent(&self) -> bool {
        self.options().any(|(name, value)| match name {
            "noalert" => true,
            "flowbits" => value.trim_ascii() == "noalert",
            _ => false,
        })
    }

    /// The text with another action; `None` where it does not begin with a word.
    pub(super) fn with_action(&self, action: &str) -> Option<String> {
        let end = self.text.find(|c: char| !c.is_ascii_alphanumeric()).filter(|end| *end > 0)?;
        Some(format!("{action}{}", &self.text[end..]))
    }

    /// The text with one more option at its end.
    pub(super) fn with_option(&self, option: &str) -> Option<String> {
        let end = self.text.rfind(')')?;
        Some(format!("{} {option};{}", self.text[..end].trim_ascii_end(), &self.text[end..]))
    }
}

/// A disabled rule without the `#` at the head of its lines.
pub(super) fn uncommented(text: &str) -> Cow<'_, str> {
    let bare = |line: &str| line.trim_start_matches(['#', ' ', '\t']).to_owned();
    match text.contains('\n') {
        false => Cow::Borrowed(text.trim_start_matches(['#', ' ', '\t'])),
        true => Cow::Owned(text.split('\n').map(bare).collect::<Vec<_>>().join("\n")),
    }
}
