//! Numbers read from the bytes of a buffer, and what is done with them: `byte_test`, `byte_jump`,
//! `byte_extract`, `byte_math` (Suricata user guide, "Payload Keywords").
//!
//! Binary numbers have at most 8 bytes. Text is read as C's `strtoull` reads it: blanks before it and a
//! sign are allowed, and it ends at the first byte that is no digit.

use std::num::NonZeroU64;

/// Variables that one rule may set.
pub const MAX_VARIABLES: usize = 32;
/// Bytes of the longest binary number.
pub const MAX_BINARY: u32 = 8;
/// Bytes of the longest text: 2^64 - 1 in octal digits with a zero before it.
pub const MAX_TEXT: u32 = 23;

/// A variable of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub u8);

/// Values of the variables of the rule at hand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Variables([u64; MAX_VARIABLES]);

impl Variables {
    #[inline]
    fn get(&self, slot: Slot) -> u64 {
        self.0.get(usize::from(slot.0)).copied().unwrap_or_default()
    }
    #[inline]
    pub(super) fn set(&mut self, slot: Slot, value: u64) {
        if let Some(variable) = self.0.get_mut(usize::from(slot.0)) {
            *variable = value;
        }
    }
}

/// A number of the rule, or a variable that was set before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand<T> {
    /// Written in the rule.
    Number(T),
    /// Named in the rule.
    Variable(Slot),
}

impl<T> Operand<T> {
    /// With its number, if it is one, as another type.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Operand<U> {
        match self {
            Self::Number(number) => Operand::Number(convert(number)),
            Self::Variable(slot) => Operand::Variable(slot),
        }
    }
    /// The variable, if it is one.
    pub fn slot(self) -> Option<Slot> {
        match self {
            Self::Number(_) => None,
            Self::Variable(slot) => Some(slot),
        }
    }
    /// The number, if it is one.
    pub fn number(self) -> Option<T> {
        match self {
            Self::Number(number) => Some(number),
            Self::Variable(_) => None,
        }
    }
}

impl<T: Into<i64>> Operand<T> {
    /// As a place or distance. Values beyond any buffer are all the same.
    #[inline]
    pub(super) fn place(self, variables: &Variables) -> i64 {
        match self {
            Self::Number(number) => number.into(),
            Self::Variable(slot) => i64::try_from(variables.get(slot)).unwrap_or(i64::MAX),
        }
    }
}

impl Operand<u64> {
    #[inline]
    fn value(self, variables: &Variables) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::Variable(slot) => variables.get(slot),
        }
    }
}

/// Where an inspection stands.
#[derive(Clone, Copy)]
pub(super) struct Standing<'a> {
    pub bytes: &'a [u8],
    /// Where absolute places count from; negative: before the bytes at hand.
    pub base: i64,
    /// Where relative ones do.
    pub cursor: usize,
    pub variables: &'a Variables,
}

impl Standing<'_> {
    /// What a place counts from.
    #[inline]
    pub fn origin(&self, relative: bool) -> i64 {
        if relative { self.cursor as i64 } else { self.base }
    }
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The most significant byte first.
    Big,
    /// The least significant byte first.
    Little,
    /// Digits of this base; 0: of the base that its first digits tell, as in C.
    Text(u32),
}

/// A number in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its length. Of text, 0 stands for as many digits as there are.
    pub bytes: Operand<u32>,
    /// Where it begins.
    pub offset: Operand<i32>,
    /// The offset counts from the end of the match before.
    pub relative: bool,
    /// How it is written.
    pub form: Form,
}

/// A number that was read.
struct Reading {
    value: u64,
    /// Behind the last byte that is part of it.
    end: usize,
    /// Behind the last byte that must be there: text may end before.
    reach: usize,
}

impl Field {
    fn read(&self, at: &Standing<'_>) -> Option<Reading> {
        let start = at.origin(self.relative).saturating_add(self.offset.place(at.variables));
        let start = usize::try_from(start).ok()?;
        if self.relative && start >= at.bytes.len() {
            return None;
        }
        let most = if matches!(self.form, Form::Text(_)) { MAX_TEXT } else { MAX_BINARY };
        let length = usize::try_from(self.bytes.place(at.variables)).ok()?;
        if length > most as usize {
            return None;
        }
        let is_open = length == 0 && matches!(self.form, Form::Text(_));
        let reach = match is_open {
            true => start.saturating_add(MAX_TEXT as usize).min(at.bytes.len()),
            false => start.checked_add(length)?,
        };
        let field = at.bytes.get(start..reach)?;
        let shift = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let (value, length) = match self.form {
            Form::Big => (field.iter().fold(0, shift), length),
            Form::Little => (field.iter().rev().fold(0, shift), length),
            Form::Text(base) => text(field, base)?,
        };
        Some(Reading { value, end: start + length, reach })
    }
    fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        [self.bytes.slot(), self.offset.slot()].into_iter().flatten()
    }
}

/// The number that text begins with, and its bytes; `None` where it has no digits or is too large.
fn text(field: &[u8], base: u32) -> Option<(u64, usize)> {
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let mut at = field.iter().take_while(blank).count();
    let negative = field.get(at) == Some(&b'-');
    if negative || field.get(at) == Some(&b'+') {
        at += 1;
    }
    let digit = |at: usize, base| char::from(*field.get(at)?).to_digit(base);
    let is_prefixed = field.get(at) == Some(&b'0')
        && matches!(field.get(at + 1), Some(b'x' | b'X'))
        && digit(at + 2, 16).is_some();
    let base = match base {
        0 if is_prefixed => 16,
        0 if field.get(at) == Some(&b'0') => 8,
        0 => 10,
        base => base,
    };
    if base == 16 && is_prefixed {
        at += 2;
    }
    let first = at;
    let mut value: u64 = 0;
    while let Some(digit) = digit(at, base) {
        value = value.checked_mul(u64::from(base))?.checked_add(u64::from(digit))?;
        at += 1;
    }
    let value = if negative { value.wrapping_neg() } else { value };
    (at > first).then_some((value, at))
}

/// A `bitmask`: what it leaves of a number is shifted right until its lowest bit is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask(pub Option<NonZeroU64>);

impl Mask {
    #[inline]
    fn apply(self, value: u64) -> u64 {
        self.0.map_or(value, |mask| (value & mask.get()) >> mask.trailing_zeros())
    }
}

/// What came of a step that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Where the next relative step counts from.
    pub cursor: usize,
    /// Behind the last byte it took for the step to hold.
    pub reach: usize,
}

/// `byte_test`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteTest {
    /// The number.
    pub field: Field,
    /// Bits of it that count.
    pub mask: Mask,
    /// `!`.
    pub negated: bool,
    /// How it is compared.
    pub relation: Relation,
    /// What with.
    pub value: Operand<u64>,
}

/// Comparisons of `byte_test`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `=`.
    Equal,
    /// `<`.
    Less,
    /// `<=`.
    LessOrEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterOrEqual,
    /// `&`: some bit is in both.
    And,
    /// `^`: some bit is in one of both alone.
    Xor,
}

impl ByteTest {
    pub(super) fn check(&self, at: &Standing<'_>) -> Option<Held> {
        let read = self.field.read(at)?;
        let (left, right) = (self.mask.apply(read.value), self.value.value(at.variables));
        let holds = match self.relation {
            Relation::Equal => left == right,
            Relation::Less => left < right,
            Relation::LessOrEqual => left <= right,
            Relation::Greater => left > right,
            Relation::GreaterOrEqual => left >= right,
            Relation::And => left & right != 0,
            Relation::Xor => left ^ right != 0,
        };
        (holds != self.negated).then_some(Held { cursor: at.cursor, reach: read.reach })
    }
    /// Variables it looks at.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.field.slots().chain(self.value.slot())
    }
}

/// `byte_jump`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteJump {
    /// The number.
    pub field: Field,
    /// Bits of it that count.
    pub mask: Mask,
    /// What it is multiplied with.
    pub multiplier: u32,
    /// It is rounded up to a multiple of four.
    pub align: bool,
    /// What it counts from.
    pub from: JumpFrom,
    /// What is added in the end.
    pub post_offset: Operand<i32>,
}

/// What a jump counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JumpFrom {
    /// The end of the number.
    Here,
    /// `from_beginning`: the start of the buffer.
    Beginning,
    /// `from_end`: the end of the buffer.
    End,
}

impl ByteJump {
    pub(super) fn jump(&self, at: &Standing<'_>) -> Option<Held> {
        let read = self.field.read(at)?;
        let mut distance = self.mask.apply(read.value).wrapping_mul(u64::from(self.multiplier));
        if self.align {
            distance = distance.checked_next_multiple_of(4).unwrap_or(0);
        }
        // A number that is text may be negative, and 64 bits wrap as in C.
        let distance = (distance as i64).wrapping_add(self.post_offset.place(at.variables));
        let (origin, least) = match self.from {
            JumpFrom::Here => (read.end as i64, 0),
            JumpFrom::Beginning => (at.base, at.base.max(0) as usize),
            JumpFrom::End => (at.bytes.len() as i64, 0),
        };
        let target = origin.saturating_add(distance);
        // A jump to before the buffer ends at its start.
        let cursor = usize::try_from(target).unwrap_or(0).max(least);
        (cursor <= at.bytes.len()).then_some(Held { cursor, reach: read.reach.max(cursor) })
    }
    /// Variables it looks at.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.field.slots().chain(self.post_offset.slot())
    }
}

/// `byte_extract`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteExtract {
    /// The number.
    pub field: Field,
    /// Bits of it that count.
    pub mask: Mask,
    /// What it is multiplied with.
    pub multiplier: u32,
    /// It is rounded up to a multiple of this.
    pub align: Option<u32>,
    /// Where it goes.
    pub variable: Slot,
}

impl ByteExtract {
    pub(super) fn extract(&self, at: &Standing<'_>) -> Option<(Held, u64)> {
        let read = self.field.read(at)?;
        let value = self.mask.apply(read.value).wrapping_mul(u64::from(self.multiplier));
        let value = match self.align {
            Some(align) => value.checked_next_multiple_of(u64::from(align)).unwrap_or(0),
            None => value,
        };
        Some((Held { cursor: read.end, reach: read.reach }, value))
    }
    /// Variables it looks at.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        self.field.slots()
    }
}

/// `byte_math`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteMath {
    /// The number.
    pub field: Field,
    /// What is done with it.
    pub operator: Operator,
    /// The other number.
    pub value: Operand<u64>,
    /// Bits of the result that count.
    pub mask: Mask,
    /// Where the result goes.
    pub variable: Slot,
}

/// Operations of `byte_math`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`; by zero it does not match.
    Divide,
    /// `<<`; by 64 and more gives zero.
    ShiftLeft,
    /// `>>`; by 64 and more gives zero.
    ShiftRight,
}

impl ByteMath {
    pub(super) fn compute(&self, at: &Standing<'_>) -> Option<(Held, u64)> {
        let read = self.field.read(at)?;
        let (left, right) = (read.value, self.value.value(at.variables));
        let bits = u32::try_from(right).unwrap_or(u32::MAX);
        let value = match self.operator {
            Operator::Add => left.wrapping_add(right),
            Operator::Subtract => left.wrapping_sub(right),
            Operator::Multiply => left.wrapping_mul(right),
            Operator::Divide => left.checked_div(right)?,
            Operator::ShiftLeft => left.checked_shl(bits).unwrap_or(0),
            Operator::ShiftRight => left.checked_shr(bits).unwrap_or(0),
        };
        Some((Held { cursor: read.end, reach: read.reach }, self.mask.apply(value)))
    }
    /// Variables it looks at.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.field.slots().chain(self.value.slot())
    }
}

/// `isdataat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsDataAt {
    /// `!`.
    pub negated: bool,
    /// The place.
    pub at: Operand<u16>,
    /// The place counts from the end of the match before.
    pub relative: bool,
    /// The place behind the last byte will do: in Suricata's rules with `relative`, not in Snort's.
    pub end_will_do: bool,
}

impl IsDataAt {
    /// Whether there is a byte at the place, and behind which byte it takes the buffer to end.
    pub(super) fn check(&self, at: &Standing<'_>) -> Option<Held> {
        let place = at.origin(self.relative).saturating_add(self.at.place(at.variables));
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let reach = if self.end_will_do { place } else { place.saturating_add(1) };
        let there = reach <= at.bytes.len();
        let held = Held { cursor: at.cursor, reach: if self.negated { 0 } else { reach } };
        (there != self.negated).then_some(held)
    }
}
