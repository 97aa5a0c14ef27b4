//! A pattern as a program for the back-tracking matcher.
//!
//! Counted repetitions keep a counter instead of being written out, so that a program is linear in its
//! pattern. What a match has to remember lies in registers: groups, counters, and the heights of the stack
//! that looks and atomic groups go back to.

use memchr::{memchr, memchr2, memchr3};

use super::ast::{Assert, Kind, Look, Node, Test};
use super::byte_set::ByteSet;

/// A register.
pub type Register = u16;
/// Where the match begins.
pub const START: Register = 0;
/// No bound.
pub const UNBOUNDED: u16 = u16::MAX;
/// Registers a program may have.
const MAX_REGISTERS: usize = 8192;

/// Start of a group's match; its end and its open start follow.
pub fn group_register(group: u16) -> Register {
    1 + 3 * (group.max(1) - 1)
}

/// One instruction. Where it says nothing else, the next one follows.
#[derive(Clone, Copy, Debug)]
pub enum Inst {
    /// One byte.
    Byte(u8),
    /// One byte of a set.
    Set(u16),
    /// These of the program's bytes.
    Literal { start: u32, len: u32 },
    /// The same, in lower case, whatever the case of the subject.
    FoldLiteral { start: u32, len: u32 },
    /// Holds here.
    Assert(Assert),
    /// The match begins here.
    KeepOut,
    /// A group begins.
    Open(Register),
    /// A group ends.
    Close(Register),
    /// What a group matched.
    Reference { register: Register, fold: bool },
    /// Goes on elsewhere.
    Jump(u32),
    /// The first, then the second.
    Split { first: u32, second: u32 },
    /// Bytes of a set, again and again. `next` is the byte that must follow, if one must.
    Run { set: u16, kind: Kind, next: Option<u8>, min: u16, max: u16 },
    /// Sets a counter to nothing.
    LoopStart(Register),
    /// Goes round the instructions that follow, or leaves for `exit`.
    Loop { register: Register, lazy: bool, min: u16, max: u16, exit: u32 },
    /// Begins a round of a lazy loop.
    LoopEnter(Register),
    /// Goes back to the [`Inst::Loop`] at `head`, unless this round matched nothing.
    LoopEnd { register: Register, head: u32 },
    /// Remembers stack and place. If what follows fails, `other` is tried (0 is none).
    Mark { register: Register, other: u32 },
    /// Forgets what could be tried otherwise since the mark, and goes back to its place where told.
    Commit { register: Register, rewind: bool },
    /// Undoes all since the mark, and goes back to its place.
    Abort(Register),
    /// Goes back.
    Back(u32),
    /// Goes to `no` if the group has not matched.
    IfGroup { register: Register, no: u32 },
    /// Does not match.
    Fail,
    /// The pattern has matched.
    Match,
}

/// A set, with the quickest way to find its end.
#[derive(Clone, Debug)]
pub struct SetEntry {
    /// The bytes.
    pub set: ByteSet,
    stop: Finder,
}

/// Looks for the first byte of a set.
#[derive(Clone, Copy, Debug)]
pub enum Finder {
    /// No byte is in it.
    None,
    /// One byte.
    One(u8),
    /// Two bytes.
    Two(u8, u8),
    /// Three bytes.
    Three(u8, u8, u8),
    /// More.
    Many(ByteSet),
}

impl Finder {
    /// A finder for `set`.
    pub fn new(set: ByteSet) -> Self {
        let mut bytes = set.iter();
        match (bytes.next(), bytes.next(), bytes.next(), bytes.next()) {
            (None, ..) => Self::None,
            (Some(a), None, ..) => Self::One(a),
            (Some(a), Some(b), None, _) => Self::Two(a, b),
            (Some(a), Some(b), Some(c), None) => Self::Three(a, b, c),
            _ => Self::Many(set),
        }
    }
    /// Where the first byte of the set is.
    #[inline]
    pub fn find(&self, haystack: &[u8]) -> Option<usize> {
        match *self {
            Self::None => None,
            Self::One(a) => memchr(a, haystack),
            Self::Two(a, b) => memchr2(a, b, haystack),
            Self::Three(a, b, c) => memchr3(a, b, c, haystack),
            Self::Many(set) => haystack.iter().position(|byte| set.contains(*byte)),
        }
    }
}

impl SetEntry {
    fn new(set: ByteSet) -> Self {
        Self { set, stop: Finder::new(set.negate()) }
    }
    /// How many bytes at the start of `haystack` are in the set.
    #[inline]
    pub fn run(&self, haystack: &[u8]) -> usize {
        self.stop.find(haystack).unwrap_or(haystack.len())
    }
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Program {
    /// Instructions; the program begins at the first.
    pub insts: Box<[Inst]>,
    /// Sets that instructions name.
    pub sets: Box<[SetEntry]>,
    /// Bytes of literals.
    pub bytes: Box<[u8]>,
    /// Number of registers.
    pub registers: usize,
}

impl Program {
    /// Compiles a pattern with so many groups; nothing if it needs too many registers or sets.
    pub fn new(node: &Node, groups: u16) -> Option<Self> {
        let mut writer = Writer {
            insts: Vec::new(),
            sets: Vec::new(),
            bytes: Vec::new(),
            registers: 1 + 3 * usize::from(groups),
        };
        writer.node(node);
        writer.emit(Inst::Match);
        if writer.registers > MAX_REGISTERS || writer.sets.len() > usize::from(u16::MAX) {
            return None;
        }
        writer.look_ahead();
        Some(Self {
            insts: writer.insts.into(),
            sets: writer.sets.into(),
            bytes: writer.bytes.into(),
            registers: writer.registers,
        })
    }
    /// Memory it takes, in bytes.
    pub fn memory(&self) -> usize {
        size_of_val(&*self.insts) + size_of_val(&*self.sets) + self.bytes.len()
    }
}

struct Writer {
    insts: Vec<Inst>,
    sets: Vec<SetEntry>,
    bytes: Vec<u8>,
    registers: usize,
}

impl Writer {
    fn here(&self) -> u32 {
        u32::try_from(self.insts.len()).unwrap_or(u32::MAX)
    }
    fn emit(&mut self, inst: Inst) -> usize {
        self.insts.push(inst);
        self.insts.len() - 1
    }
    fn put(&mut self, at: usize, inst: Inst) {
        if let Some(slot) = self.insts.get_mut(at) {
            *slot = inst;
        }
    }
    /// Two registers.
    fn pair(&mut self) -> Register {
        let register = self.registers;
        self.registers += 2;
        Register::try_from(register).unwrap_or(Register::MAX)
    }
    fn set(&mut self, set: ByteSet) -> u16 {
        let known = self.sets.iter().position(|entry| entry.set == set);
        let index = known.unwrap_or_else(|| {
            self.sets.push(SetEntry::new(set));
            self.sets.len() - 1
        });
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Empty => {}
            Node::Byte { .. } => self.literal(std::slice::from_ref(node)),
            Node::Set(set) => self.one_of(*set),
            Node::Assert(assert) => _ = self.emit(Inst::Assert(*assert)),
            Node::KeepOut => _ = self.emit(Inst::KeepOut),
            Node::Reference { group, fold } => {
                let register = group_register(*group);
                self.emit(Inst::Reference { register, fold: *fold });
            }
            Node::Group(group, node) => {
                let register = group_register(*group);
                self.emit(Inst::Open(register));
                self.node(node);
                self.emit(Inst::Close(register));
            }
            Node::Concat(nodes) => {
                let mut nodes = nodes.as_slice();
                while let Some((first, rest)) = nodes.split_first() {
                    let bytes = literal_len(nodes);
                    match nodes.split_at_checked(bytes) {
                        Some((literal, rest)) if bytes > 0 => {
                            self.literal(literal);
                            nodes = rest;
                        }
                        _ => {
                            self.node(first);
                            nodes = rest;
                        }
                    }
                }
            }
            Node::Alternate(nodes) => match one_byte(node) {
                Some(set) => self.one_of(set),
                None => self.alternate(nodes),
            },
            Node::Repeat { node, min, max, kind } => self.repeat(node, *min, *max, *kind),
            Node::Atomic(node) => self.atomic(|writer| writer.node(node)),
            Node::Look(look) => match look.negated {
                false => {
                    let register = self.pair();
                    self.emit(Inst::Mark { register, other: 0 });
                    self.look(look);
                    self.emit(Inst::Commit { register, rewind: true });
                }
                true => {
                    let mark = self.negative(look);
                    self.emit(Inst::Fail);
                    self.otherwise(mark);
                }
            },
            Node::Condition(condition) => match &condition.test {
                Test::Group(group) => {
                    let register = group_register(*group);
                    let test = self.emit(Inst::Fail);
                    let end = self.branch(&condition.yes);
                    let no = self.here();
                    self.put(test, Inst::IfGroup { register, no });
                    self.node(&condition.no);
                    self.put(end, Inst::Jump(self.here()));
                }
                Test::Look(look) if look.negated => {
                    let mark = self.negative(look);
                    let end = self.branch(&condition.no);
                    self.otherwise(mark);
                    self.node(&condition.yes);
                    self.put(end, Inst::Jump(self.here()));
                }
                Test::Look(look) => {
                    let register = self.pair();
                    let mark = (self.emit(Inst::Fail), register);
                    self.look(look);
                    self.emit(Inst::Commit { register, rewind: true });
                    let end = self.branch(&condition.yes);
                    self.otherwise(mark);
                    self.node(&condition.no);
                    self.put(end, Inst::Jump(self.here()));
                }
            },
        }
    }

    /// The node, and a jump to be filled in.
    fn branch(&mut self, node: &Node) -> usize {
        self.node(node);
        self.emit(Inst::Jump(0))
    }

    /// A look that must not match; what follows directly is reached where it does.
    fn negative(&mut self, look: &Look) -> (usize, Register) {
        let register = self.pair();
        let mark = self.emit(Inst::Fail);
        self.look(look);
        self.emit(Inst::Abort(register));
        (mark, register)
    }
    /// Fills in a mark: what could not be matched goes on here.
    fn otherwise(&mut self, (mark, register): (usize, Register)) {
        self.put(mark, Inst::Mark { register, other: self.here() });
    }

    fn look(&mut self, look: &Look) {
        match (&look.node, look.behind) {
            (node, false) => self.node(node),
            (Node::Alternate(nodes), true) => {
                let behind: Vec<_> = nodes.iter().map(|node| (back(node), node)).collect();
                self.alternatives(behind.len(), |writer, at| {
                    if let Some((back, node)) = behind.get(at) {
                        writer.emit(Inst::Back(*back));
                        writer.node(node);
                    }
                });
            }
            (node, true) => {
                self.emit(Inst::Back(back(node)));
                self.node(node);
            }
        }
    }

    fn alternate(&mut self, nodes: &[Node]) {
        self.alternatives(nodes.len(), |writer, at| {
            if let Some(node) = nodes.get(at) {
                writer.node(node);
            }
        });
    }

    fn alternatives(&mut self, count: usize, mut write: impl FnMut(&mut Self, usize)) {
        let mut ends = Vec::new();
        for at in 0..count {
            if at + 1 == count {
                write(self, at);
                break;
            }
            let split = self.emit(Inst::Fail);
            write(self, at);
            ends.push(self.emit(Inst::Jump(0)));
            let first = u32::try_from(split + 1).unwrap_or(u32::MAX);
            self.put(split, Inst::Split { first, second: self.here() });
        }
        let end = self.here();
        ends.into_iter().for_each(|jump| self.put(jump, Inst::Jump(end)));
    }

    fn atomic(&mut self, write: impl FnOnce(&mut Self)) {
        let register = self.pair();
        self.emit(Inst::Mark { register, other: 0 });
        write(self);
        self.emit(Inst::Commit { register, rewind: false });
    }

    fn repeat(&mut self, node: &Node, min: u16, max: Option<u16>, kind: Kind) {
        if let Some(set) = one_byte(node) {
            let set = self.set(set);
            // A bound of 65535 is no bound: no subject is inspected that far.
            let max = max.unwrap_or(UNBOUNDED);
            self.emit(Inst::Run { set, kind, next: None, min, max });
            return;
        }
        if kind == Kind::Possessive {
            return self.atomic(|writer| writer.repeat(node, min, max, Kind::Greedy));
        }
        let lazy = kind == Kind::Lazy;
        match (min, max) {
            (_, Some(0)) => {}
            (1, Some(1)) => self.node(node),
            (0, Some(1)) => {
                let split = self.emit(Inst::Fail);
                self.node(node);
                let first = u32::try_from(split + 1).unwrap_or(u32::MAX);
                self.put(split, Self::split(lazy, first, self.here()));
            }
            // A round that can match nothing has to be noticed; any other cannot go on for ever.
            (0, None) if node.min_len() > 0 => {
                let split = self.emit(Inst::Fail);
                self.node(node);
                let head = u32::try_from(split).unwrap_or(u32::MAX);
                self.emit(Inst::Jump(head));
                self.put(split, Self::split(lazy, head + 1, self.here()));
            }
            (1, None) if node.min_len() > 0 => {
                let head = self.here();
                self.node(node);
                let after = self.here() + 1;
                self.emit(Self::split(lazy, head, after));
            }
            _ => {
                let register = self.pair();
                self.emit(Inst::LoopStart(register));
                let head = self.here();
                let at = self.emit(Inst::Fail);
                self.emit(Inst::LoopEnter(register));
                self.node(node);
                self.emit(Inst::LoopEnd { register, head });
                let max = max.unwrap_or(UNBOUNDED);
                self.put(at, Inst::Loop { register, lazy, min, max, exit: self.here() });
            }
        }
    }

    fn split(lazy: bool, body: u32, exit: u32) -> Inst {
        match lazy {
            true => Inst::Split { first: exit, second: body },
            false => Inst::Split { first: body, second: exit },
        }
    }

    fn one_of(&mut self, set: ByteSet) {
        let mut bytes = set.iter();
        match (bytes.next(), bytes.next()) {
            (None, _) => self.emit(Inst::Fail),
            (Some(byte), None) => self.emit(Inst::Byte(byte)),
            _ => {
                drop(bytes);
                let set = self.set(set);
                self.emit(Inst::Set(set))
            }
        };
    }

    /// Bytes that [`literal_len`] has counted.
    fn literal(&mut self, nodes: &[Node]) {
        let start = self.bytes.len();
        let mut folds = false;
        for node in nodes {
            if let Node::Byte { byte, fold } = node {
                self.bytes.push(*byte);
                folds |= fold;
            }
        }
        let len = self.bytes.len() - start;
        if len == 1 {
            let set = nodes.first().and_then(one_byte);
            self.bytes.truncate(start);
            return self.one_of(set.unwrap_or_default());
        }
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.emit(match folds {
            true => Inst::FoldLiteral { start, len },
            false => Inst::Literal { start, len },
        });
    }

    /// Tells runs which byte must follow.
    fn look_ahead(&mut self) {
        for at in 0..self.insts.len() {
            let Some(Inst::Run { set, kind, min, max, .. }) = self.insts.get(at).copied() else {
                continue;
            };
            let mut follower = at + 1;
            let next = loop {
                match self.insts.get(follower) {
                    Some(Inst::Byte(byte)) => break Some(*byte),
                    Some(Inst::Literal { start, .. }) => {
                        break self.bytes.get(*start as usize).copied();
                    }
                    Some(Inst::Open(_) | Inst::Close(_) | Inst::KeepOut) => follower += 1,
                    Some(Inst::Jump(to)) if *to as usize > follower => follower = *to as usize,
                    _ => break None,
                }
            };
            self.put(at, Inst::Run { set, kind, next, min, max });
        }
    }
}

fn back(node: &Node) -> u32 {
    node.fixed_len().and_then(|length| u32::try_from(length).ok()).unwrap_or(u32::MAX)
}

/// The bytes that match, where exactly one byte is matched and nothing is remembered.
fn one_byte(node: &Node) -> Option<ByteSet> {
    match node {
        Node::Byte { byte, fold } => {
            let set = ByteSet::of(&[(*byte, *byte)]);
            Some(if *fold { set.fold() } else { set })
        }
        Node::Set(set) => Some(*set),
        Node::Alternate(nodes) => {
            nodes.iter().try_fold(ByteSet::EMPTY, |set, node| Some(set.union(one_byte(node)?)))
        }
        _ => None,
    }
}

/// How many of the nodes in front make one literal. One compared without regard to case has no letters
/// that need regard.
fn literal_len(nodes: &[Node]) -> usize {
    let (mut folds, mut exact) = (false, false);
    let goes_on = |node: &&Node| {
        let Node::Byte { byte, fold } = node else { return false };
        folds |= fold;
        exact |= !fold && byte.is_ascii_alphabetic();
        !(folds && exact)
    };
    nodes.iter().take_while(goes_on).count()
}
