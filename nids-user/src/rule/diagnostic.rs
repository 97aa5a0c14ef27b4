//! Why a rule was refused, and at which place: shown with a caret, or as one JSON object.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::ast::{Rule, Span};

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
        }
    }
}

impl fmt::Display for ReasonKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
