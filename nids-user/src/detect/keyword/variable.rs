//! Variables that `byte_extract` and `byte_math` set, and numbers that may be given as one (Suricata user
//! guide, "byte_extract"). A variable holds in the buffer that it is set in, behind where it is set.

use super::Draft;
use super::value::{Fault, Word};
use crate::detect::chain::number::{MAX_VARIABLES, Operand, Slot};
use crate::rule::diagnostic::ReasonKind;

/// A variable while its rule is read.
#[derive(Clone, Debug)]
pub struct VariableDraft {
    name: String,
    /// Index of the buffer, and whether it is what is decoded there.
    place: (usize, bool),
}

/// Sets a variable: its name must be new.
pub(super) fn declare(draft: &mut Draft<'_>, name: Word<'_>) -> Result<Slot, Fault> {
    if !is_name(name.text) {
        return Err(name.bad(format!("`{}` is not a name for a variable", name.text)));
    }
    let place = (draft.current, draft.decoded);
    if draft.variables.iter().any(|other| other.name == name.text && other.place == place) {
        let reason = format!("the variable `{}` is set here already", name.text);
        return Err(name.fault(ReasonKind::Conflict, reason));
    }
    match u8::try_from(draft.variables.len()) {
        Ok(slot) if usize::from(slot) < MAX_VARIABLES => {
            draft.variables.push(VariableDraft { name: name.text.to_owned(), place });
            Ok(Slot(slot))
        }
        _ => {
            let reason = format!("more than {MAX_VARIABLES} variables in one rule");
            Err(name.fault(ReasonKind::Conflict, reason))
        }
    }
}

/// A number between `least` and `most`, or the name of a variable.
pub(super) fn operand<T>(
    draft: &Draft<'_>,
    word: Word<'_>,
    least: T,
    most: T,
) -> Result<Operand<T>, Fault>
where
    T: TryFrom<i128> + PartialOrd + std::fmt::Display + Copy,
{
    if is_name(word.text) {
        return variable(draft, word).map(Operand::Variable);
    }
    word.number(least, most).map(Operand::Number)
}

/// The variable of this name.
pub(super) fn variable(draft: &Draft<'_>, name: Word<'_>) -> Result<Slot, Fault> {
    let place = (draft.current, draft.decoded);
    let of_name = || (0..).zip(&draft.variables).filter(|(_, other)| other.name == name.text);
    if let Some((slot, _)) = of_name().find(|(_, other)| other.place == place) {
        return Ok(Slot(slot));
    }
    Err(match of_name().next() {
        Some(_) => name.fault(
            ReasonKind::Conflict,
            format!("the variable `{}` is set in another buffer", name.text),
        ),
        None => name.bad(format!(
            "`{}` is neither a number nor a variable that `byte_extract` or `byte_math` set before",
            name.text
        )),
    })
}

/// Whether it is a name and no number.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}
