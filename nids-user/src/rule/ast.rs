//! The syntax tree of one rule: what was written, and where. Nothing is resolved or judged here.

use std::path::Path;
use std::sync::Arc;

use super::dialect::Dialect;

/// Byte range in [`Rule::text`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

/// A thing and the place it was written at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The thing.
    pub node: T,
    /// Its place.
    pub span: Span,
}

/// One rule as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// File it came from.
    pub file: Arc<Path>,
    /// Line it began at, from 1.
    pub line: u32,
    /// Its text as it lies in the file, line breaks included; spans point into it.
    pub text: Arc<str>,
    /// In whose dialect it is written.
    pub dialect: Dialect,
    /// What stands before the parenthesis.
    pub header: Header,
    /// What stands inside it, in order.
    pub options: Vec<RuleOption>,
}

impl Rule {
    /// The first option of this name.
    pub fn option(&self, name: &str) -> Option<&RuleOption> {
        self.options.iter().find(|option| option.name.node == name)
    }
    /// The number in `sid`, where it is one.
    pub fn sid(&self) -> Option<u32> {
        self.option("sid")?.value.as_ref()?.node.0.parse().ok()
    }
}

/// What to do when a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Raise an alert.
    Alert,
    /// Let by, and look no further.
    Pass,
    /// Drop (an IDS only alerts).
    Drop,
    /// Drop and answer with a reset: `reject`, `rejectsrc`.
    RejectSource,
    /// The same towards the destination: `rejectdst`.
    RejectDestination,
    /// The same towards both: `rejectboth`.
    RejectBoth,
    /// Snort's `log`.
    Log,
}

impl Action {
    /// Whether a sensor that stands in the way would let the packet by no more.
    pub fn blocks(self) -> bool {
        match self {
            Self::Drop | Self::RejectSource | Self::RejectDestination | Self::RejectBoth => true,
            Self::Alert | Self::Log | Self::Pass => false,
        }
    }
}

/// The header. Snort 3 lets everything behind the protocol be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Action.
    pub action: Spanned<Action>,
    /// Protocol as written, in lower case: `tcp`, `http`, `tcp-pkt`, ...
    pub protocol: Spanned<String>,
    /// Addresses and ports; `None` where Snort 3 leaves them out.
    pub endpoints: Option<Endpoints>,
}

/// Both ends of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Left of the arrow.
    pub source: Spanned<GroupExpr>,
    /// Port left of the arrow.
    pub source_port: Spanned<GroupExpr>,
    /// `<>` instead of `->`.
    pub bidirectional: Spanned<bool>,
    /// Right of the arrow.
    pub destination: Spanned<GroupExpr>,
    /// Port right of the arrow.
    pub destination_port: Spanned<GroupExpr>,
}

/// Addresses or ports: `any`, `$VAR`, `1.2.3.0/24`, `80:90`, `!x`, `[a,b,![c,d]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupExpr {
    /// `any`.
    Any,
    /// `$NAME`, without the dollar sign.
    Variable(Spanned<String>),
    /// One address, network, range, port or port range, as written.
    Item(Spanned<String>),
    /// `!x`.
    Not(Box<Spanned<GroupExpr>>),
    /// `[a,b]`.
    List(Vec<Spanned<GroupExpr>>),
}

/// `name;` or `name: value;`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleOption {
    /// Keyword, in lower case (keywords are compared so in all dialects).
    pub name: Spanned<String>,
    /// What follows the colon, without the blanks around it.
    pub value: Option<Spanned<RawValue>>,
}

/// A value as written: quotes and escapes are still there, since each keyword reads them its own way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawValue(pub String);

impl Spanned<RawValue> {
    /// The place of the bytes `from..to` of the value. A value that ran over several lines is shorter
    /// than its place in the text: the whole place is given then.
    pub fn locate(&self, from: usize, to: usize) -> Span {
        let length = self.span.end - self.span.start;
        if self.node.0.len() != length || from > to || to > length {
            return self.span;
        }
        Span { start: self.span.start + from, end: self.span.start + to }
    }
}
