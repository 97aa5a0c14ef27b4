//! Values of `flowbits` and `flowint`, what they test and what they change.
//!
//! `flowbits:isset,a|b` holds when any is set, `isnotset,a|b` when any is not (Suricata, detect-flowbits.c).
//! `a&b` is Snort's: all of them are meant; Suricata takes it for one name. Groups of bits, of Snort 2.9
//! alone (`setx`, and a third argument), are refused.

use super::{BitId, IntId, Names};
use crate::detect::flow_state::{Budget, FlowState};
use crate::detect::keyword::value::{Fault, Word};
use crate::rule::diagnostic::ReasonKind;
use crate::suggest::nearest;

/// Bits one use may name (Suricata has the same bound).
const MAX_BITS: usize = 100;

/// `flowbits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowBits {
    /// Tested when the rule is.
    Test(BitTest),
    /// Done when the whole rule has matched.
    Change(BitChange),
    /// The rule raises no alert.
    NoAlert,
}

/// What bits have to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BitTest {
    /// Any of them is set.
    AnySet(Box<[BitId]>),
    /// All of them are set.
    AllSet(Box<[BitId]>),
    /// Any of them is not set.
    AnyNotSet(Box<[BitId]>),
}

impl BitTest {
    /// Whether it holds for a flow. A packet without flow has no bits, and no test holds for it.
    #[inline]
    pub fn holds(&self, state: &FlowState) -> bool {
        match self {
            Self::AnySet(bits) => bits.iter().any(|bit| state.is_set(*bit)),
            Self::AllSet(bits) => bits.iter().all(|bit| state.is_set(*bit)),
            Self::AnyNotSet(bits) => !bits.iter().all(|bit| state.is_set(*bit)),
        }
    }

    /// Whether it and another one of the same rule ask for one bit to be set and not set.
    pub fn contradicts(&self, other: &Self) -> bool {
        let wants_set = |test: &Self| !matches!(test, Self::AnyNotSet(_));
        wants_set(self) != wants_set(other) && self.bits().len() == 1 && self.bits() == other.bits()
    }

    /// The bits it looks at.
    pub fn bits(&self) -> &[BitId] {
        match self {
            Self::AnySet(bits) | Self::AllSet(bits) | Self::AnyNotSet(bits) => bits,
        }
    }
}

/// What is done to bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BitChange {
    /// Set all of them.
    Set(Box<[BitId]>),
    /// Take all of them away.
    Unset(Box<[BitId]>),
    /// Turn each of them around.
    Toggle(Box<[BitId]>),
    /// Take all bits of the flow away.
    Reset,
}

impl BitChange {
    /// Does it to a flow.
    pub fn apply(&self, state: &mut FlowState, budget: &mut Budget) {
        match self {
            Self::Set(bits) => bits.iter().for_each(|bit| _ = state.set(*bit, budget)),
            Self::Unset(bits) => bits.iter().for_each(|bit| state.unset(*bit)),
            Self::Toggle(bits) => bits.iter().for_each(|bit| match state.is_set(*bit) {
                true => state.unset(*bit),
                false => _ = state.set(*bit, budget),
            }),
            Self::Reset => state.reset(),
        }
    }

    /// The bits it names.
    pub fn bits(&self) -> &[BitId] {
        match self {
            Self::Set(bits) | Self::Unset(bits) | Self::Toggle(bits) => bits,
            Self::Reset => &[],
        }
    }
}

/// Reads the value of `flowbits`.
pub fn flowbits(word: Word<'_>, names: &Names) -> Result<FlowBits, Fault> {
    let (command, rest) = match word.split_once(",") {
        Some((command, rest)) => (command, Some(rest)),
        None => (word.trim(), None),
    };
    match command.text {
        "noalert" | "reset" => {
            if let Some(rest) = rest {
                let reason = match command.text {
                    "reset" => "groups of flow bits are not supported".to_owned(),
                    _ => "`noalert` names no bit".to_owned(),
                };
                return Err(rest.bad(reason));
            }
            return Ok(match command.text {
                "noalert" => FlowBits::NoAlert,
                _ => FlowBits::Change(BitChange::Reset),
            });
        }
        "setx" => {
            let reason = "`setx` needs groups of flow bits, which are not supported";
            return Err(command
                .fault(ReasonKind::UnsupportedKeyword, reason)
                .help("write `unset` for the other bits of the group"));
        }
        "set" | "unset" | "toggle" | "isset" | "isnotset" => {}
        other => {
            let fault = command.bad(format!("`{other}` cannot be done to flow bits"));
            let known = ["set", "unset", "toggle", "isset", "isnotset", "noalert", "reset"];
            return Err(match nearest(other, known.into_iter()) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault,
            });
        }
    }
    let Some(rest) = rest else {
        return Err(command.bad(format!("`{}` needs the name of a bit", command.text)));
    };
    if let Some((_, group)) = rest.split_once(",") {
        let reason = "groups of flow bits are not supported";
        return Err(group.fault(ReasonKind::UnsupportedKeyword, reason));
    }
    let (any, all) = (rest.text.contains('|'), rest.text.contains('&'));
    if any && all {
        return Err(rest.bad("either `|` or `&` can stand between the names, not both"));
    }
    let mut bits = Vec::new();
    for name in rest.split(if any { '|' } else { '&' }) {
        if bits.len() >= MAX_BITS {
            return Err(name.bad(format!("more than {MAX_BITS} bits")));
        }
        bits.push(BitId::of(names, name)?);
    }
    let bits = bits.into_boxed_slice();
    let none_of = || {
        let reason = format!("`{}` of one of several bits leaves open which", command.text);
        rest.bad(reason).help("write `&` for all of them")
    };
    Ok(match command.text {
        "isset" if all => FlowBits::Test(BitTest::AllSet(bits)),
        "isset" => FlowBits::Test(BitTest::AnySet(bits)),
        "isnotset" => FlowBits::Test(BitTest::AnyNotSet(bits)),
        _ if any => return Err(none_of()),
        "set" => FlowBits::Change(BitChange::Set(bits)),
        "unset" => FlowBits::Change(BitChange::Unset(bits)),
        _ => FlowBits::Change(BitChange::Toggle(bits)),
    })
}

/// `flowint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowInt {
    /// Tested when the rule is.
    Test(IntTest),
    /// Done when the whole rule has matched.
    Change(IntChange),
}

/// The right side of a `flowint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A number.
    Number(u32),
    /// Another number of the flow; 0 where it is not set.
    Variable(IntId),
}

impl Operand {
    fn value(self, state: &FlowState) -> u32 {
        match self {
            Self::Number(number) => number,
            Self::Variable(id) => state.int(id).unwrap_or(0),
        }
    }
}

/// What a number has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntTest {
    /// Set.
    IsSet(IntId),
    /// Not set.
    IsNotSet(IntId),
    /// Set, and in this order to the operand.
    Compare {
        /// The number.
        id: IntId,
        /// Whether less, equal and greater are right.
        right: [bool; 3],
        /// What it is compared with.
        operand: Operand,
    },
}

impl IntTest {
    /// Whether it holds for a flow.
    pub fn holds(&self, state: &FlowState) -> bool {
        match *self {
            Self::IsSet(id) => state.int(id).is_some(),
            Self::IsNotSet(id) => state.int(id).is_none(),
            Self::Compare { id, right: [less, equal, greater], operand } => {
                let Some(value) = state.int(id) else { return false };
                match value.cmp(&operand.value(state)) {
                    std::cmp::Ordering::Less => less,
                    std::cmp::Ordering::Equal => equal,
                    std::cmp::Ordering::Greater => greater,
                }
            }
        }
    }
}

/// What is done to a number. Sums and differences wrap, as Suricata's do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntChange {
    /// `=`.
    Set(IntId, Operand),
    /// `+`; one that is not set counts as 0.
    Add(IntId, Operand),
    /// `-`; one that is not set stays so.
    Subtract(IntId, Operand),
}

impl IntChange {
    /// Does it to a flow.
    pub fn apply(&self, state: &mut FlowState, budget: &mut Budget) {
        let (id, value) = match *self {
            Self::Set(id, operand) => (id, operand.value(state)),
            Self::Add(id, operand) => {
                (id, state.int(id).unwrap_or(0).wrapping_add(operand.value(state)))
            }
            Self::Subtract(id, operand) => match state.int(id) {
                Some(value) => (id, value.wrapping_sub(operand.value(state))),
                None => return,
            },
        };
        state.set_int(id, value, budget);
    }
}

/// Reads the value of `flowint`: `NAME, OPERATOR, NUMBER or NAME`, or `NAME, isset`, `notset`,
/// `isnotset`.
pub fn flowint(word: Word<'_>, names: &Names) -> Result<FlowInt, Fault> {
    let Some((name, rest)) = word.split_once(",") else {
        return Err(word.bad("expected `NAME, OPERATOR, VALUE`"));
    };
    check_name(name)?;
    let end = rest.text.find(|c: char| c == ',' || c.is_ascii_whitespace() || c.is_ascii_digit());
    let (operator, value) = rest.text.split_at(end.unwrap_or(rest.text.len()));
    let value = Word { text: value, start: rest.start + operator.len() }.trim();
    let value = value.strip_prefix(",").unwrap_or(value);
    let operator = Word { text: operator, start: rest.start };
    let test = |right| move |id, operand| FlowInt::Test(IntTest::Compare { id, right, operand });
    let change: &dyn Fn(IntId, Operand) -> FlowInt = match operator.text {
        "isset" | "notset" | "isnotset" => {
            if !value.text.is_empty() {
                return Err(value.bad(format!("`{}` takes no value", operator.text)));
            }
            let id = IntId::of(names, name)?;
            return Ok(FlowInt::Test(match operator.text {
                "isset" => IntTest::IsSet(id),
                _ => IntTest::IsNotSet(id),
            }));
        }
        "=" => &|id, operand| FlowInt::Change(IntChange::Set(id, operand)),
        "+" => &|id, operand| FlowInt::Change(IntChange::Add(id, operand)),
        "-" => &|id, operand| FlowInt::Change(IntChange::Subtract(id, operand)),
        "<" => &test([true, false, false]),
        "<=" => &test([true, true, false]),
        "==" => &test([false, true, false]),
        "!=" => &test([true, false, true]),
        ">=" => &test([false, true, true]),
        ">" => &test([false, false, true]),
        other => {
            let known = "= + - < <= == != >= > isset notset isnotset";
            return Err(operator.bad(format!("`{other}` is none of {known}")));
        }
    };
    let operand = match value.text.bytes().next() {
        None => return Err(operator.bad(format!("`{}` needs a value", operator.text))),
        Some(byte) if byte.is_ascii_digit() => Operand::Number(value.number(0, u32::MAX)?),
        Some(_) => {
            check_name(value)?;
            Operand::Variable(IntId::of(names, value)?)
        }
    };
    Ok(change(IntId::of(names, name)?, operand))
}

/// Names begin with a letter, so that they are no numbers.
fn check_name(name: Word<'_>) -> Result<(), Fault> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/');
    if name.text.starts_with(|c: char| c.is_ascii_alphabetic()) && name.text.chars().all(plain) {
        return Ok(());
    }
    Err(name.bad("a name has letters, digits, `_`, `.` and `/`, and begins with a letter"))
}
