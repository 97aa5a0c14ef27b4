//! A parsed pattern.
//!
//! Options are resolved while the pattern is parsed: a node says what it matches, whatever flags were set
//! around it.

use super::byte_set::ByteSet;

/// A pattern, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Matches the empty string.
    Empty,
    /// One byte. Where `fold` is set it is a lower-case letter, and its upper case matches too.
    Byte {
        /// The byte.
        byte: u8,
        /// In either case.
        fold: bool,
    },
    /// One byte out of a set.
    Set(ByteSet),
    /// A condition on the place.
    Assert(Assert),
    /// `\K`: the match is told to begin here.
    KeepOut,
    /// What a group matched last.
    Reference {
        /// The group.
        group: u16,
        /// In either case.
        fold: bool,
    },
    /// A group that captures.
    Group(u16, Box<Node>),
    /// One after the other.
    Concat(Vec<Node>),
    /// The first of these that leads to a match.
    Alternate(Vec<Node>),
    /// Again and again.
    Repeat {
        /// What.
        node: Box<Node>,
        /// At least so often.
        min: u16,
        /// At most so often; `None` is no bound.
        max: Option<u16>,
        /// Which number of times is tried first.
        kind: Kind,
    },
    /// `(?>...)`: once matched, not tried in another way.
    Atomic(Box<Node>),
    /// A look ahead or behind.
    Look(Box<Look>),
    /// `(?(test)yes|no)`.
    Condition(Box<Condition>),
}

/// `(?=...)`, `(?!...)`, `(?<=...)`, `(?<!...)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Must not match.
    pub negated: bool,
    /// Looks at what stands before this place.
    pub behind: bool,
    /// What to look for. A look behind has a fixed length in each alternative at its top.
    pub node: Node,
}

/// `(?(test)yes|no)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What decides.
    pub test: Test,
    /// Where it holds.
    pub yes: Node,
    /// Where it does not.
    pub no: Node,
}

/// What a condition asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Whether a group has matched.
    Group(u16),
    /// Whether a look succeeds.
    Look(Look),
}

/// How a repetition behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As often as possible first.
    Greedy,
    /// As seldom as possible first.
    Lazy,
    /// As often as possible, and nothing else.
    Possessive,
}

/// A condition on the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assert {
    /// `\A`, and `^` without `m`.
    Start,
    /// `^` with `m`: at the start, and behind a newline that is not the last byte.
    LineStart,
    /// `\z`, and `$` with `E`.
    End,
    /// `\Z`, and `$` without `m`: at the end, or before a newline that is the last byte.
    LastLineEnd,
    /// `$` with `m`: at the end, or before a newline.
    LineEnd,
    /// `\b`.
    Word,
    /// `\B`.
    NotWord,
    /// `\G`: where the search began.
    SearchStart,
}

impl Node {
    /// Fewest bytes it matches.
    pub fn min_len(&self) -> usize {
        match self {
            Self::Byte { .. } | Self::Set(_) => 1,
            Self::Group(_, node) | Self::Atomic(node) => node.min_len(),
            Self::Concat(nodes) => {
                nodes.iter().fold(0, |sum, node| sum.saturating_add(node.min_len()))
            }
            Self::Alternate(nodes) => nodes.iter().map(Self::min_len).min().unwrap_or(0),
            Self::Repeat { node, min, .. } => node.min_len().saturating_mul(usize::from(*min)),
            Self::Condition(condition) => condition.yes.min_len().min(condition.no.min_len()),
            Self::Empty
            | Self::Assert(_)
            | Self::KeepOut
            | Self::Reference { .. }
            | Self::Look(_) => 0,
        }
    }

    /// How many bytes it matches, where that is always the same number.
    pub fn fixed_len(&self) -> Option<usize> {
        match self {
            Self::Group(_, node) | Self::Atomic(node) => node.fixed_len(),
            Self::Concat(nodes) => {
                nodes.iter().try_fold(0usize, |sum, node| sum.checked_add(node.fixed_len()?))
            }
            Self::Alternate(nodes) => {
                let mut lengths = nodes.iter().map(Self::fixed_len);
                let first = lengths.next()??;
                lengths.all(|length| length == Some(first)).then_some(first)
            }
            Self::Repeat { node, min, max, .. } => match node.fixed_len()? {
                0 => Some(0),
                length if *max == Some(*min) => length.checked_mul(usize::from(*min)),
                _ => None,
            },
            Self::Condition(condition) => {
                let length = condition.yes.fixed_len()?;
                (condition.no.fixed_len()? == length).then_some(length)
            }
            Self::Reference { .. } => None,
            _ => Some(self.min_len()),
        }
    }
}
