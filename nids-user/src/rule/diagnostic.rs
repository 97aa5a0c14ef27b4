//! Why a rule was refused, and at which place: shown with a caret (`render`), or as one JSON object.

mod render;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::ast::{Rule, Span};

pub use render::printable;

/// Kinds of reason, for the summary. The texts are stable: scripts count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReasonKind {
    /// It is not a rule at all.
    Syntax,
    /// A keyword nobody knows.
    UnknownKeyword,
    /// A keyword this sensor does not honour yet.
    UnsupportedKeyword,
    /// A protocol in the header it does not honour yet, or that nobody knows.
    Protocol,
    /// A value a keyword cannot take.
    BadValue,
    /// A variable that is not defined.
    UndefinedVariable,
    /// An address that is none, or a group that matches nothing.
    Address,
    /// A port that is none, or a group that matches nothing.
    Port,
    /// Keywords that cannot stand together, or in this order.
    Conflict,
    /// No `sid`, or the same `gid:sid` twice with an equal `rev`.
    Identity,
    /// An `include` that cannot be followed.
    Include,
    /// Not met by this sensor, and left out for it: no fault of the rule.
    Requires,
}

/// One refused rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// File.
    pub file: Arc<Path>,
    /// Line the rule begins at, from 1.
    pub line: u32,
    /// The rule's text; `span` points into it.
    pub text: Arc<str>,
    /// Place.
    pub span: Span,
    /// Kind of reason.
    pub kind: ReasonKind,
    /// The reason in words: lower case, no full stop.
    pub reason: String,
    /// A way out, for example `did you mean "nocase"?`.
    pub help: Option<String>,
    /// The rule's sid, where it could be read.
    pub sid: Option<u32>,
}

impl Refusal {
    /// Refuses `rule` at `span`.
    pub fn new(rule: &Rule, span: Span, kind: ReasonKind, reason: impl Into<String>) -> Self {
        Self {
            file: rule.file.clone(),
            line: rule.line,
            text: rule.text.clone(),
            span,
            kind,
            reason: reason.into(),
            help: None,
            sid: rule.sid(),
        }
    }
}

/// A place as editors count: lines and columns from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line in the file.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// Column behind the last character; at least `column`. A span over several lines ends with its
    /// first one.
    pub end_column: u32,
}

/// A place in a rule and what is to be said of it: what refusals and findings of lint have in common.
#[derive(Clone, Copy, Debug)]
pub struct Excerpt<'a> {
    /// File.
    pub file: &'a Path,
    /// Line the rule begins at, from 1.
    pub line: u32,
    /// The rule's text; `span` points into it.
    pub text: &'a str,
    /// Place.
    pub span: Span,
    /// The reason in words.
    pub reason: &'a str,
    /// A way out.
    pub help: Option<&'a str>,
    /// The rule's sid.
    pub sid: Option<u32>,
}

impl<'a> Excerpt<'a> {
    /// The line of the rule's text that `span` begins on, and the span within it.
    fn line_and_span(&self) -> (&'a str, Span) {
        let start = self.text.floor_char_boundary(self.span.start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[line_start..].split('\n').next().unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let from = (start - line_start).min(line.len());
        let end = self.text.floor_char_boundary(self.span.end).max(start) - line_start;
        (line, Span { start: from, end: end.clamp(from, line.len()) })
    }

    /// Where `span` is in the file. The first line of a rule may be indented there: its columns count
    /// from the rule's first character.
    pub fn place(&self) -> Place {
        let (line, span) = self.line_and_span();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let before = self.text[..self.text.floor_char_boundary(self.span.start)].matches('\n');
        let column = 1 + line[..span.start].chars().count();
        Place {
            line: self.line.saturating_add(number(before.count())),
            column: number(column),
            end_column: number(column + line[span.start..span.end].chars().count()),
        }
    }

    /// Shown with a caret under the place, behind this label: `error[syntax]`.
    pub fn labelled<L: fmt::Display>(self, label: L) -> impl fmt::Display + use<'a, L> {
        render::Labelled { label, excerpt: self }
    }

    /// One line of JSON, for editors and scripts; the kind stands under the name `key`.
    pub fn to_json(&self, key: &'static str, kind: &str) -> String {
        let place = self.place();
        let object = Object {
            file: self.file.to_string_lossy(),
            line: place.line,
            column: place.column,
            end_column: place.end_column,
            sid: self.sid,
            kind: [(key, kind)],
            reason: self.reason,
            help: self.help,
        };
        serde_json::to_string(&object).unwrap_or_default()
    }
}

/// The fields in their order.
#[derive(Serialize)]
struct Object<'a> {
    file: std::borrow::Cow<'a, str>,
    line: u32,
    column: u32,
    end_column: u32,
    sid: Option<u32>,
    #[serde(flatten, serialize_with = "one_field")]
    kind: [(&'static str, &'a str); 1],
    reason: &'a str,
    help: Option<&'a str>,
}

fn one_field<S: Serializer>(field: &[(&str, &str); 1], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(field.iter().copied())
}

impl Refusal {
    /// What it says, and where.
    pub fn excerpt(&self) -> Excerpt<'_> {
        Excerpt {
            file: &self.file,
            line: self.line,
            text: &self.text,
            span: self.span,
            reason: &self.reason,
            help: self.help.as_deref(),
            sid: self.sid,
        }
    }

    /// Where `span` is in the file.
    pub fn place(&self) -> Place {
        self.excerpt().place()
    }

    /// As `Display` shows it, but as a note: nothing is wrong with the rule.
    pub fn as_note(&self) -> impl fmt::Display + '_ {
        self.excerpt().labelled("note")
    }

    /// One line of JSON, for editors and scripts.
    pub fn to_json(&self) -> String {
        self.excerpt().to_json("kind", self.kind.as_str())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.excerpt().labelled(format_args!("error[{}]", self.kind)).fmt(f)
    }
}

impl ReasonKind {
    /// The word the summary and the JSON use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::UnknownKeyword => "unknown-keyword",
            Self::UnsupportedKeyword => "unsupported-keyword",
            Self::Protocol => "protocol",
            Self::BadValue => "bad-value",
            Self::UndefinedVariable => "undefined-variable",
            Self::Address => "address",
            Self::Port => "port",
            Self::Conflict => "conflict",
            Self::Identity => "identity",
            Self::Include => "include",
            Self::Requires => "requires",
        }
    }
}

impl fmt::Display for ReasonKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
