//! What every match of a pattern has in common: where it can begin, and bytes that must be in it.

use super::ast::{Assert, Node};
use super::byte_set::ByteSet;

/// Where matches can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At the start of the subject only.
    Subject,
    /// Where the search begins only: if no match begins there, none begins later.
    Search,
    /// Where the search begins, and behind newlines.
    Lines,
    /// Anywhere.
    Anywhere,
}

/// Bytes that stand in each match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Literal {
    /// The bytes; where `nocase` is set, in lower case.
    pub bytes: Vec<u8>,
    /// In either case.
    pub nocase: bool,
}

/// Where matches of a pattern can begin.
pub fn begin(node: &Node) -> Begin {
    begin_of(node, true)
}

/// `bare`: no group that a reference may ask for, and no atomic group, stands around the node.
fn begin_of(node: &Node, bare: bool) -> Begin {
    match node {
        Node::Assert(Assert::Start) => Begin::Subject,
        Node::Assert(Assert::SearchStart) => Begin::Search,
        Node::Assert(Assert::LineStart) => Begin::Lines,
        Node::Group(_, node) | Node::Atomic(node) => begin_of(node, false),
        Node::Concat(nodes) => nodes.first().map_or(Begin::Anywhere, |node| begin_of(node, bare)),
        Node::Alternate(nodes) => {
            let mut begins = nodes.iter().map(|node| begin_of(node, bare));
            let first = begins.next().unwrap_or(Begin::Anywhere);
            if begins.all(|begin| begin == first) { first } else { Begin::Anywhere }
        }
        // What `.*` matches from a later place on, it matches from the first place on.
        Node::Repeat { node, min: 0, max: None, .. } if bare => match **node {
            Node::Set(set) if set == ByteSet::ALL => Begin::Search,
            Node::Set(set) if set == ByteSet::of(&[(b'\n', b'\n')]).negate() => Begin::Lines,
            _ => Begin::Anywhere,
        },
        _ => Begin::Anywhere,
    }
}

/// The bytes with which matches begin; nothing where a match may begin with any, or be empty.
pub fn first_bytes(node: &Node) -> Option<ByteSet> {
    let (set, empty) = first(node);
    (!empty && set != ByteSet::ALL).then_some(set)
}

/// First bytes, and whether the node can match nothing.
fn first(node: &Node) -> (ByteSet, bool) {
    match node {
        Node::Byte { byte, fold } => {
            let set = ByteSet::of(&[(*byte, *byte)]);
            (if *fold { set.fold() } else { set }, false)
        }
        Node::Set(set) => (*set, false),
        Node::Group(_, node) | Node::Atomic(node) => first(node),
        Node::Concat(nodes) => {
            let mut set = ByteSet::EMPTY;
            for node in nodes {
                let (more, empty) = first(node);
                set = set.union(more);
                if !empty {
                    return (set, false);
                }
            }
            (set, true)
        }
        Node::Alternate(nodes) => {
            nodes.iter().fold((ByteSet::EMPTY, false), |(set, empty), node| {
                let (more, other) = first(node);
                (set.union(more), empty || other)
            })
        }
        Node::Repeat { node, min, .. } => {
            let (set, empty) = first(node);
            (set, empty || *min == 0)
        }
        Node::Condition(condition) => {
            let ((yes, a), (no, b)) = (first(&condition.yes), first(&condition.no));
            (yes.union(no), a || b)
        }
        Node::Reference { .. } => (ByteSet::ALL, true),
        Node::Empty | Node::Assert(_) | Node::KeepOut | Node::Look(_) => (ByteSet::EMPTY, true),
    }
}

/// The longest bytes that stand in every match.
pub fn required_literal(node: &Node) -> Option<Literal> {
    let mut run = Run::default();
    run.walk(node);
    run.cut();
    run.best.filter(|best| !best.bytes.is_empty())
}

#[derive(Default)]
struct Run {
    now: Literal,
    best: Option<Literal>,
}

impl Run {
    fn walk(&mut self, node: &Node) {
        match node {
            Node::Byte { byte, fold } => {
                if self.now.nocase || *fold {
                    self.now.bytes.make_ascii_lowercase();
                    self.now.bytes.push(byte.to_ascii_lowercase());
                    self.now.nocase = true;
                } else {
                    self.now.bytes.push(*byte);
                }
            }
            Node::Group(_, node) | Node::Atomic(node) => self.walk(node),
            Node::Concat(nodes) => nodes.iter().for_each(|node| self.walk(node)),
            // Bytes before and behind the first round of a repetition stand together with it.
            Node::Repeat { node, min, max, .. } if *min > 0 => {
                self.walk(node);
                if *max != Some(1) {
                    self.cut();
                }
            }
            // These match no bytes, so that those around them stand together.
            Node::Empty | Node::Assert(_) | Node::KeepOut | Node::Look(_) => {}
            _ => self.cut(),
        }
    }
    fn cut(&mut self) {
        let now = std::mem::take(&mut self.now);
        if self.best.as_ref().is_none_or(|best| best.bytes.len() < now.bytes.len()) {
            self.best = Some(now);
        }
    }
}
