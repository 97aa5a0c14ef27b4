//! Lint: what is suspicious in a rule though it loads. docs/lint.md explains each finding.
//!
//! It looks at syntax trees, so that rules are judged too whose keywords this sensor does not honour yet.
//! One file a family of findings; `content` reads the contents of a rule for those that need them.

mod bits;
mod content;
mod fast_pattern;
mod header;
mod identity;
mod length;
mod spelling;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::ast::{Rule, RuleOption, Span};
use super::classification::Classifications;
use super::diagnostic::Excerpt;
use super::variables::Variables;

/// Kinds of finding. The names are stable: scripts select by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lint {
    /// It looks into payload, and has no content that a prefilter could look for.
    NoFastPattern,
    /// Its fast pattern has fewer than four bytes.
    ShortFastPattern,
    /// It has `pcre`, and no content.
    PcreWithoutContent,
    /// It tests a bit that no rule sets.
    BitNeverSet,
    /// It sets a bit that no rule tests.
    BitNeverTested,
    /// `depth` is less than the content is long.
    DepthTooSmall,
    /// `within` is less than the content is long.
    WithinTooSmall,
    /// `dsize` allows no payload that would hold the contents.
    DsizeTooSmall,
    /// The same of `bsize` and its buffer.
    BsizeTooSmall,
    /// An old spelling of a keyword.
    DeprecatedKeyword,
    /// No `msg`.
    MissingMsg,
    /// No `rev`.
    MissingRev,
    /// No `classtype`.
    MissingClasstype,
    /// A `classtype` that no classification.config has.
    UnknownClasstype,
    /// The `msg` of another rule.
    DuplicateMsg,
    /// Ports of a protocol that has none.
    PortNeverMatches,
    /// A keyword of another protocol.
    ProtocolNeverMatches,
    /// `sameip` between groups that share no address.
    SameipNeverMatches,
    /// `flow` with words that exclude each other.
    FlowNeverMatches,
}

impl Lint {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::NoFastPattern,
        Self::ShortFastPattern,
        Self::PcreWithoutContent,
        Self::BitNeverSet,
        Self::BitNeverTested,
        Self::DepthTooSmall,
        Self::WithinTooSmall,
        Self::DsizeTooSmall,
        Self::BsizeTooSmall,
        Self::DeprecatedKeyword,
        Self::MissingMsg,
        Self::MissingRev,
        Self::MissingClasstype,
        Self::UnknownClasstype,
        Self::DuplicateMsg,
        Self::PortNeverMatches,
        Self::ProtocolNeverMatches,
        Self::SameipNeverMatches,
        Self::FlowNeverMatches,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoFastPattern => "no-fast-pattern",
            Self::ShortFastPattern => "short-fast-pattern",
            Self::PcreWithoutContent => "pcre-without-content",
            Self::BitNeverSet => "bit-never-set",
            Self::BitNeverTested => "bit-never-tested",
            Self::DepthTooSmall => "depth-too-small",
            Self::WithinTooSmall => "within-too-small",
            Self::DsizeTooSmall => "dsize-too-small",
            Self::BsizeTooSmall => "bsize-too-small",
            Self::DeprecatedKeyword => "deprecated-keyword",
            Self::MissingMsg => "missing-msg",
            Self::MissingRev => "missing-rev",
            Self::MissingClasstype => "missing-classtype",
            Self::UnknownClasstype => "unknown-classtype",
            Self::DuplicateMsg => "duplicate-msg",
            Self::PortNeverMatches => "port-never-matches",
            Self::ProtocolNeverMatches => "protocol-never-matches",
            Self::SameipNeverMatches => "sameip-never-matches",
            Self::FlowNeverMatches => "flow-never-matches",
        }
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Kind.
    pub lint: Lint,
    /// File.
    pub file: Arc<Path>,
    /// Line the rule begins at, from 1.
    pub line: u32,
    /// The rule's text.
    pub text: Arc<str>,
    /// Place in it.
    pub span: Span,
    /// What is suspicious: lower case, no full stop.
    pub reason: String,
    /// A way out.
    pub help: Option<String>,
    /// The rule's sid.
    pub sid: Option<u32>,
}

impl Finding {
    fn excerpt(&self) -> Excerpt<'_> {
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

    /// One line of JSON, for editors and scripts.
    pub fn to_json(&self) -> String {
        self.excerpt().to_json("lint", self.lint.as_str())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.excerpt().labelled(format_args!("warning[{}]", self.lint)).fmt(f)
    }
}

/// What rules refer to.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What `classtype` names.
    pub classifications: &'a Classifications,
    /// `$HOME_NET` and the like.
    pub variables: &'a Variables,
}

/// Looks at all rules of a set: some findings are about one rule, some about what others lack. In the
/// order of the rules, and of the places in each.
pub fn lint(rules: &[Rule], context: Context<'_>) -> Vec<Finding> {
    let mut report = Report { findings: Vec::new(), number: 0 };
    let mut bits = bits::Bits::default();
    for rule in rules {
        bits.note(rule);
    }
    let mut messages = identity::Messages::default();
    for (number, rule) in rules.iter().enumerate() {
        report.number = number;
        let contents = content::read(rule);
        fast_pattern::check(rule, &contents, &mut report);
        length::check(rule, &contents, &mut report);
        spelling::check(rule, &mut report);
        header::check(rule, context, &mut report);
        identity::check(rule, context, &mut report);
        messages.check(rule, &mut report);
        bits.check(rule, &mut report);
    }
    let key = |(number, finding): &(usize, Finding)| (*number, finding.span.start, finding.lint);
    report.findings.sort_by_key(key);
    report.findings.into_iter().map(|(_, finding)| finding).collect()
}

/// What was found so far, with the number of the rule.
struct Report {
    findings: Vec<(usize, Finding)>,
    number: usize,
}

impl Report {
    fn add(&mut self, rule: &Rule, lint: Lint, span: Span, reason: impl Into<String>) {
        let finding = Finding {
            lint,
            file: rule.file.clone(),
            line: rule.line,
            text: rule.text.clone(),
            span,
            reason: reason.into(),
            help: None,
            sid: rule.sid(),
        };
        self.findings.push((self.number, finding));
    }

    /// A way out of what was added last.
    fn help(&mut self, help: impl Into<String>) {
        if let Some((_, finding)) = self.findings.last_mut() {
            finding.help = Some(help.into());
        }
    }
}

/// The value as written; empty where there is none.
fn value(option: &RuleOption) -> &str {
    option.value.as_ref().map_or("", |value| value.node.0.as_str())
}

/// The place of the value, or else of the keyword.
fn value_span(option: &RuleOption) -> Span {
    option.value.as_ref().map_or(option.name.span, |value| value.span)
}

#[cfg(test)]
mod tests;
