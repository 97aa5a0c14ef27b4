//! Lists of `NAME VALUE` between commas, in any order: the form of all values here.

use crate::detect::keyword::value::{Fault, Word};
use crate::rule::diagnostic::ReasonKind;
use crate::suggest::nearest;

/// The fields of one list that are not taken yet.
pub(super) struct Fields<'a> {
    whole: Word<'a>,
    left: Vec<(Word<'a>, Word<'a>)>,
}

impl<'a> Fields<'a> {
    /// Splits at commas that stand outside of brackets.
    pub(super) fn new(whole: Word<'a>) -> Result<Self, Fault> {
        let mut left: Vec<(Word<'a>, Word<'a>)> = Vec::new();
        for part in split(whole) {
            let blank = part.text.find(|c: char| c.is_ascii_whitespace());
            let Some((name, value)) = blank.map(|at| part.text.split_at(at)) else {
                let reason = match part.text {
                    "" => "nothing stands between the commas".to_owned(),
                    text => format!("expected `NAME VALUE`, found `{text}`"),
                };
                return Err(part.bad(reason));
            };
            let start = part.start + name.len();
            let (name, value) = (Word { text: name, ..part }, Word { text: value, start }.trim());
            if left.iter().any(|(other, _)| other.text == name.text) {
                return Err(
                    name.fault(ReasonKind::Conflict, format!("`{}` stands here twice", name.text))
                );
            }
            left.push((name, value));
        }
        Ok(Self { whole, left })
    }

    /// The value of `name`, where it is there.
    pub(super) fn take(&mut self, name: &str) -> Option<Word<'a>> {
        let at = self.left.iter().position(|(other, _)| other.text == name)?;
        Some(self.left.remove(at).1)
    }

    /// The value of `name`; a fault where it is missing.
    pub(super) fn need(&mut self, name: &str) -> Result<Word<'a>, Fault> {
        let whole = self.whole;
        match self.take(name) {
            Some(value) => Ok(value),
            None => {
                // The name that is there instead, if it was meant.
                let near = |(other, _): &(Word<'a>, Word<'a>)| {
                    nearest(other.text, [name].into_iter()).is_some()
                };
                match self.left.iter().find(|field| near(field)) {
                    Some((other, _)) => Err(unknown(*other, &[name])),
                    None => Err(whole.bad(format!("`{name}` is missing"))),
                }
            }
        }
    }

    /// Whether `name` is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.left.iter().any(|(other, _)| other.text == name)
    }

    /// A fault where a field is left; `known` are those there can be.
    pub(super) fn end(self, known: &[&str]) -> Result<(), Fault> {
        match self.left.first() {
            Some((name, _)) => Err(unknown(*name, known)),
            None => Ok(()),
        }
    }
}

fn unknown(name: Word<'_>, known: &[&str]) -> Fault {
    let fault = name.bad(format!("`{}` cannot stand here", name.text));
    match nearest(name.text, known.iter().copied().filter(|known| *known != name.text)) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault,
    }
}

/// The parts between commas outside of brackets, trimmed.
fn split(word: Word<'_>) -> Vec<Word<'_>> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_u32, 0);
    let mut add = |from: usize, to: usize| {
        if let Some(text) = word.text.get(from..to) {
            parts.push(Word { text, start: word.start + from }.trim());
        }
    };
    for (at, byte) in word.text.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                add(start, at);
                start = at + 1;
            }
            _ => {}
        }
    }
    add(start, word.text.len());
    parts
}

/// One of several words.
pub(super) fn choose<T: Copy>(word: Word<'_>, choices: &[(&str, T)]) -> Result<T, Fault> {
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word.text) {
        return Ok(*value);
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let fault = word.bad(format!("`{}` is none of {}", word.text, names.join(", ")));
    Err(match nearest(word.text, names.into_iter()) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault,
    })
}
