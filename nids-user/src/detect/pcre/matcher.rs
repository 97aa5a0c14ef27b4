//! The back-tracking matcher.
//!
//! It goes through a program one instruction at a time; what could be tried otherwise, and what has to be
//! undone before that, lies on a stack of its own. So nothing recurses, and both time and memory are bounded:
//! each instruction is a step, and so are 16 bytes looked at in a run.

use memchr::{memchr, memrchr};

use super::ast::{Assert, Kind};
use super::program::{Inst, Program, Register, START, UNBOUNDED};

/// A register without a value.
const UNSET: u32 = u32::MAX;
/// Frames the stack may have: 4 MiB.
const MAX_FRAMES: usize = 1 << 18;
/// Bytes that cost one step where many are looked at as one.
const BYTES_A_STEP: usize = 16;

/// What is on the stack.
#[derive(Clone, Copy, Debug)]
enum Frame {
    /// Go on here.
    Branch { pc: u32, pos: u32 },
    /// Set a register back.
    Undo { register: Register, old: u32 },
    /// A greedy run that may end between these places.
    Greedy { pc: u32, floor: u32, pos: u32 },
    /// A lazy run that may end between these places.
    Lazy { pc: u32, pos: u32, ceiling: u32 },
}

/// What a matcher writes to: its stack and registers. Kept from match to match, so that none allocates.
#[derive(Debug, Default)]
pub struct Scratch {
    stack: Vec<Frame>,
    registers: Vec<u32>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Matches up to here.
    Match(usize),
    /// Does not match.
    NoMatch,
    /// There are no steps left, or no room on the stack.
    GivenUp,
}

impl Scratch {
    /// Makes room for a program.
    pub fn prepare(&mut self, program: &Program) {
        self.registers.clear();
        self.registers.resize(program.registers, UNSET);
    }
    /// The value of a register, if it has one.
    pub fn register(&self, register: usize) -> Option<usize> {
        self.registers.get(register).filter(|value| **value != UNSET).map(|value| *value as usize)
    }
    #[inline(always)]
    fn get(&self, register: Register) -> u32 {
        self.registers.get(usize::from(register)).copied().unwrap_or(UNSET)
    }
    #[inline(always)]
    fn set(&mut self, register: Register, value: u32) {
        if let Some(slot) = self.registers.get_mut(usize::from(register)) {
            let old = std::mem::replace(slot, value);
            self.stack.push(Frame::Undo { register, old });
        }
    }
    fn undo(&mut self, register: Register, old: u32) {
        if let Some(slot) = self.registers.get_mut(usize::from(register)) {
            *slot = old;
        }
    }
    /// Forgets what could be tried otherwise above this height, and keeps what has to be undone.
    fn commit(&mut self, height: usize) {
        let mut kept = height;
        for at in height..self.stack.len() {
            if let Some(frame @ Frame::Undo { .. }) = self.stack.get(at).copied() {
                if let Some(slot) = self.stack.get_mut(kept) {
                    *slot = frame;
                }
                kept += 1;
            }
        }
        self.stack.truncate(kept);
    }
    /// Undoes all above this height.
    fn abort(&mut self, height: usize) {
        while self.stack.len() > height {
            if let Some(Frame::Undo { register, old }) = self.stack.pop() {
                self.undo(register, old);
            }
        }
    }
}

/// One search: a program on a subject.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// The program.
    pub program: &'a Program,
    /// The subject.
    pub subject: &'a [u8],
    /// Where the search began.
    pub from: usize,
}

impl Search<'_> {
    /// Tries to match at one place, taking `steps` from what is left. Registers must be unset before, and
    /// are again where there is no match.
    pub fn attempt(&self, start: usize, scratch: &mut Scratch, steps: &mut u64) -> Attempt {
        let subject = self.subject;
        let mut pc = 0u32;
        let mut pos = start;
        let mut left = *steps;
        scratch.stack.clear();
        scratch.set(START, place(start));
        let outcome = loop {
            if left == 0 || scratch.stack.len() > MAX_FRAMES {
                break Attempt::GivenUp;
            }
            left -= 1;
            let Some(inst) = self.program.insts.get(pc as usize) else {
                break Attempt::NoMatch;
            };
            let mut next = pc + 1;
            let matched = match *inst {
                Inst::Byte(byte) => {
                    let found = subject.get(pos) == Some(&byte);
                    pos += 1;
                    found
                }
                Inst::Set(set) => {
                    let found = match (subject.get(pos), self.program.sets.get(usize::from(set))) {
                        (Some(byte), Some(entry)) => entry.set.contains(*byte),
                        _ => false,
                    };
                    pos += 1;
                    found
                }
                Inst::Literal { start, len } => {
                    let literal = self.literal(start, len);
                    let found = subject.get(pos..).is_some_and(|rest| rest.starts_with(literal));
                    pos += literal.len();
                    found
                }
                Inst::FoldLiteral { start, len } => {
                    let literal = self.literal(start, len);
                    let text = subject.get(pos..pos + literal.len());
                    pos += literal.len();
                    text.is_some_and(|text| {
                        text.iter().zip(literal).all(|(a, b)| a.to_ascii_lowercase() == *b)
                    })
                }
                Inst::Assert(assert) => self.holds(assert, pos),
                Inst::KeepOut => {
                    scratch.set(START, place(pos));
                    true
                }
                Inst::Open(register) => {
                    scratch.set(register + 2, place(pos));
                    true
                }
                Inst::Close(register) => {
                    let open = scratch.get(register + 2);
                    scratch.set(register, open);
                    scratch.set(register + 1, place(pos));
                    true
                }
                Inst::Reference { register, fold } => {
                    let start = scratch.get(register) as usize;
                    let end = scratch.get(register + 1) as usize;
                    match subject.get(start..end) {
                        Some(group) => {
                            left = left.saturating_sub((group.len() / BYTES_A_STEP) as u64);
                            let text = subject.get(pos..pos + group.len());
                            pos += group.len();
                            text.is_some_and(|text| match fold {
                                true => text.eq_ignore_ascii_case(group),
                                false => text == group,
                            })
                        }
                        None => false,
                    }
                }
                Inst::Jump(to) => {
                    next = to;
                    true
                }
                Inst::Split { first, second } => {
                    scratch.stack.push(Frame::Branch { pc: second, pos: place(pos) });
                    next = first;
                    true
                }
                Inst::Run { set, kind, next, min, max } => {
                    match self.run(pos, set, max, &mut left) {
                        Some(end) if end >= pos + usize::from(min) => {
                            let floor = pos + usize::from(min);
                            match kind {
                                Kind::Possessive => {
                                    pos = end;
                                    true
                                }
                                Kind::Greedy => {
                                    self.greedy(pc, next, floor, end, &mut pos, scratch)
                                }
                                Kind::Lazy => self.lazy(pc, next, floor, end, &mut pos, scratch),
                            }
                        }
                        _ => false,
                    }
                }
                Inst::LoopStart(register) => {
                    scratch.set(register, 0);
                    true
                }
                Inst::Loop { register, lazy, min, max, exit } => {
                    let count = scratch.get(register);
                    if count < u32::from(min) {
                        next = pc + 1;
                    } else if max != UNBOUNDED && count >= u32::from(max) {
                        next = exit;
                    } else {
                        let (first, second) = if lazy { (exit, pc + 1) } else { (pc + 1, exit) };
                        scratch.stack.push(Frame::Branch { pc: second, pos: place(pos) });
                        next = first;
                    }
                    true
                }
                Inst::LoopEnter(register) => {
                    let count = scratch.get(register);
                    scratch.set(register, count.saturating_add(1));
                    scratch.set(register + 1, place(pos));
                    true
                }
                Inst::LoopEnd { register, head } => {
                    next = head;
                    // A round that matched nothing ends a loop without a bound.
                    if scratch.get(register + 1) == place(pos)
                        && let Some(Inst::Loop { min, max: UNBOUNDED, exit, .. }) =
                            self.program.insts.get(head as usize)
                        && scratch.get(register) >= u32::from(*min)
                    {
                        next = *exit;
                    }
                    true
                }
                Inst::Mark { register, other } => {
                    scratch.set(register + 1, place(pos));
                    let height = place(scratch.stack.len() + 1);
                    scratch.set(register, height);
                    if other != 0 {
                        scratch.stack.push(Frame::Branch { pc: other, pos: place(pos) });
                    }
                    true
                }
                Inst::Commit { register, rewind } => {
                    if rewind {
                        pos = scratch.get(register + 1) as usize;
                    }
                    let height = scratch.get(register) as usize;
                    left = left.saturating_sub(
                        (scratch.stack.len().saturating_sub(height) / BYTES_A_STEP) as u64,
                    );
                    scratch.commit(height);
                    true
                }
                Inst::Abort(register) => {
                    pos = scratch.get(register + 1) as usize;
                    scratch.abort(scratch.get(register) as usize);
                    true
                }
                Inst::Back(length) => match pos.checked_sub(length as usize) {
                    Some(back) => {
                        pos = back;
                        true
                    }
                    None => false,
                },
                Inst::IfGroup { register, no } => {
                    if scratch.get(register + 1) == UNSET {
                        next = no;
                    }
                    true
                }
                Inst::Fail => false,
                Inst::Match => break Attempt::Match(pos),
            };
            if matched {
                pc = next;
                continue;
            }
            match self.back_track(scratch, &mut left) {
                Some((to, at)) => {
                    pc = to;
                    pos = at;
                }
                None => break Attempt::NoMatch,
            }
        };
        *steps = left;
        outcome
    }

    /// Pops the stack up to what can be tried next.
    #[inline]
    fn back_track(&self, scratch: &mut Scratch, left: &mut u64) -> Option<(u32, usize)> {
        loop {
            let frame = scratch.stack.pop()?;
            match frame {
                Frame::Branch { pc, pos } => return Some((pc, pos as usize)),
                Frame::Undo { register, old } => scratch.undo(register, old),
                Frame::Greedy { pc, floor, pos: ceiling } => {
                    let mut pos = 0;
                    let (floor, ceiling) = (floor as usize, ceiling as usize);
                    let next = self.follower(pc);
                    if self.greedy(pc, next, floor, ceiling, &mut pos, scratch) {
                        *left = left.saturating_sub(((ceiling - pos) / BYTES_A_STEP) as u64);
                        return Some((pc + 1, pos));
                    }
                    *left = left.saturating_sub(((ceiling - floor) / BYTES_A_STEP) as u64);
                }
                Frame::Lazy { pc, pos: floor, ceiling } => {
                    let mut pos = 0;
                    let (floor, ceiling) = (floor as usize, ceiling as usize);
                    let next = self.follower(pc);
                    if self.lazy(pc, next, floor, ceiling, &mut pos, scratch) {
                        *left = left.saturating_sub(((pos - floor) / BYTES_A_STEP) as u64);
                        return Some((pc + 1, pos));
                    }
                    *left = left.saturating_sub(((ceiling - floor) / BYTES_A_STEP) as u64);
                }
            }
        }
    }

    fn literal(&self, start: u32, len: u32) -> &[u8] {
        self.program.bytes.get(start as usize..start as usize + len as usize).unwrap_or_default()
    }

    fn follower(&self, pc: u32) -> Option<u8> {
        match self.program.insts.get(pc as usize) {
            Some(Inst::Run { next, .. }) => *next,
            _ => None,
        }
    }

    /// Where a run of bytes of the set ends.
    #[inline]
    fn run(&self, pos: usize, set: u16, max: u16, left: &mut u64) -> Option<usize> {
        let rest = self.subject.get(pos..)?;
        let rest = match max {
            UNBOUNDED => rest,
            max => rest.get(..usize::from(max)).unwrap_or(rest),
        };
        let length = self.program.sets.get(usize::from(set))?.run(rest);
        *left = left.saturating_sub((length / BYTES_A_STEP) as u64);
        Some(pos + length)
    }

    /// The last place between two at which a greedy run can end, with regard to the byte that must follow.
    #[inline]
    fn greedy(
        &self,
        pc: u32,
        next: Option<u8>,
        floor: usize,
        ceiling: usize,
        pos: &mut usize,
        scratch: &mut Scratch,
    ) -> bool {
        let end = match next {
            None => Some(ceiling),
            Some(byte) => {
                let last = self.subject.len().min(ceiling + 1);
                let window = self.subject.get(floor..last).unwrap_or_default();
                memrchr(byte, window).map(|at| floor + at)
            }
        };
        let Some(end) = end else { return false };
        if end > floor {
            let frame = Frame::Greedy { pc, floor: place(floor), pos: place(end - 1) };
            scratch.stack.push(frame);
        }
        *pos = end;
        true
    }

    /// The first place between two at which a lazy run can end.
    #[inline]
    fn lazy(
        &self,
        pc: u32,
        next: Option<u8>,
        floor: usize,
        ceiling: usize,
        pos: &mut usize,
        scratch: &mut Scratch,
    ) -> bool {
        let end = match next {
            None => Some(floor),
            Some(byte) => {
                let last = self.subject.len().min(ceiling + 1);
                let window = self.subject.get(floor..last).unwrap_or_default();
                memchr(byte, window).map(|at| floor + at)
            }
        };
        let Some(end) = end else { return false };
        if end < ceiling {
            let frame = Frame::Lazy { pc, pos: place(end + 1), ceiling: place(ceiling) };
            scratch.stack.push(frame);
        }
        *pos = end;
        true
    }

    #[inline]
    fn holds(&self, assert: Assert, pos: usize) -> bool {
        let subject = self.subject;
        let before = || pos.checked_sub(1).and_then(|before| subject.get(before)).copied();
        let after = || subject.get(pos).copied();
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_border = || before().is_some_and(is_word) != after().is_some_and(is_word);
        match assert {
            Assert::Start => pos == 0,
            Assert::LineStart => pos == 0 || (pos < subject.len() && before() == Some(b'\n')),
            Assert::End => pos == subject.len(),
            Assert::LastLineEnd => {
                pos == subject.len() || (pos + 1 == subject.len() && after() == Some(b'\n'))
            }
            Assert::LineEnd => pos == subject.len() || after() == Some(b'\n'),
            Assert::Word => is_border(),
            Assert::NotWord => !is_border(),
            Assert::SearchStart => pos == self.from,
        }
    }
}

fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(UNSET)
}
