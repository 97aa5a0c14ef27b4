//! `byte_test`, `byte_jump`, `byte_extract` and `byte_math`: how they are written in Suricata, Snort 2.9 and
//! Snort 3 (Suricata user guide, "Payload Keywords"). What they do is `chain::number`'s.

use std::num::NonZeroU64;

use super::value::{Fault, Use, Word};
use super::variable::{declare, is_name, operand, variable};
use super::{Draft, Keyword, StepDraft};
use crate::detect::chain::number::{
    ByteExtract, ByteJump, ByteMath, ByteTest, Field, Form, JumpFrom, MAX_BINARY, MAX_TEXT, Mask,
    Operand, Operator, Relation, Slot,
};
use crate::rule::diagnostic::ReasonKind;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "byte_test", apply: byte_test },
    Keyword { name: "byte_jump", apply: byte_jump },
    Keyword { name: "byte_extract", apply: byte_extract },
    Keyword { name: "byte_math", apply: byte_math },
];

/// Largest distance of an offset, as in Suricata.
const MAX_OFFSET: i32 = u16::MAX as i32;

/// Options that stand in any order, each once.
#[derive(Default)]
struct Options<'a> {
    relative: Option<Word<'a>>,
    endian: Option<Word<'a>>,
    string: Option<Word<'a>>,
    base: Option<Word<'a>>,
    bitmask: Option<Word<'a>>,
    multiplier: Option<Word<'a>>,
    align: Option<Word<'a>>,
    from: Option<Word<'a>>,
    post_offset: Option<Word<'a>>,
}

impl<'a> Options<'a> {
    /// Reads `word`; the keyword has those of `extra`.
    fn read(&mut self, word: Word<'a>, extra: &[&str]) -> Result<(), Fault> {
        let (name, value) = name_and_value(word);
        let unknown = || word.bad(format!("`{}` is not an option of this keyword", name.text));
        let slot = match name.text {
            "relative" => &mut self.relative,
            "big" | "little" | "endian" => &mut self.endian,
            "string" => &mut self.string,
            "hex" | "dec" | "oct" => &mut self.base,
            "dce" => return Err(dce(name)),
            other if !extra.contains(&other) => return Err(unknown()),
            "bitmask" => &mut self.bitmask,
            "multiplier" => &mut self.multiplier,
            "align" => &mut self.align,
            "from_beginning" | "from_end" => &mut self.from,
            "post_offset" => &mut self.post_offset,
            _ => return Err(unknown()),
        };
        let takes_value = match name.text {
            "bitmask" | "multiplier" | "post_offset" | "endian" => true,
            // `string dec` in `byte_math`, and `align 4` in `byte_extract`, may have one.
            "string" | "align" => value.is_some(),
            _ => false,
        };
        let kept = match (takes_value, value) {
            (true, Some(value)) => value,
            (false, None) => name,
            (true, None) => return Err(name.bad(format!("`{}` needs a value", name.text))),
            (false, Some(value)) => {
                return Err(value.bad(format!("`{}` takes no value", name.text)));
            }
        };
        if slot.replace(kept).is_some() {
            let reason = format!("`{}` stands here twice, or with its opposite", name.text);
            return Err(name.fault(ReasonKind::Conflict, reason));
        }
        Ok(())
    }

    fn form(&self) -> Result<Form, Fault> {
        let base = |word: Word<'_>| match word.text {
            "hex" => Ok(Form::Text(16)),
            "dec" => Ok(Form::Text(10)),
            "oct" => Ok(Form::Text(8)),
            _ => Err(word.bad("must be `hex`, `dec` or `oct`")),
        };
        match (self.string, self.base, self.endian) {
            (Some(_), _, Some(endian)) => {
                Err(endian.fault(ReasonKind::Conflict, "text has no order of bytes"))
            }
            (Some(string), None, None) if string.text == "string" => Ok(Form::Text(0)),
            (Some(string), None, None) => base(string),
            (Some(string), Some(word), None) if string.text == "string" => base(word),
            (Some(_), Some(word), None) => {
                Err(word.fault(ReasonKind::Conflict, "the base of the text stands here twice"))
            }
            (None, Some(word), _) => {
                let reason = format!("`{}` is the base of text: `string` is missing", word.text);
                Err(word.fault(ReasonKind::Conflict, reason))
            }
            (None, None, Some(endian)) => match endian.text {
                "big" => Ok(Form::Big),
                "little" => Ok(Form::Little),
                "dce" => Err(dce(endian)),
                _ => Err(endian.bad("must be `big` or `little`")),
            },
            (None, None, None) => Ok(Form::Big),
        }
    }

    fn field(
        &self,
        draft: &Draft<'_>,
        (bytes, least): (Word<'_>, u32),
        offset: Word<'_>,
    ) -> Result<Field, Fault> {
        let form = self.form()?;
        let most = if matches!(form, Form::Text(_)) { MAX_TEXT } else { MAX_BINARY };
        // Of text, no bytes are as many as there are digits.
        let is_text = matches!(form, Form::Text(_));
        let least = if is_text { 0 } else { least };
        let bytes_read = operand(draft, bytes, least, u32::from(u16::MAX))?;
        if bytes_read.number().is_some_and(|bytes| bytes > most) {
            let what = if most == MAX_TEXT { "text" } else { "a binary number" };
            return Err(bytes.bad(format!("{what} can have at most {most} bytes")));
        }
        Ok(Field {
            bytes: bytes_read,
            offset: place(draft, offset)?,
            relative: self.relative.is_some(),
            form,
        })
    }

    fn mask(&self) -> Result<Mask, Fault> {
        let Some(word) = self.bitmask else { return Ok(Mask(None)) };
        let mask = NonZeroU64::new(number(word, 0, u64::from(u32::MAX))?);
        mask.map(|mask| Mask(Some(mask))).ok_or_else(|| word.bad("no bit is left of the number"))
    }

    fn multiplier(&self) -> Result<u32, Fault> {
        self.multiplier.map_or(Ok(1), |word| word.number(1, u32::from(u16::MAX)))
    }
}

fn dce(word: Word<'_>) -> Fault {
    let reason = "`dce` takes the order of bytes from DCERPC, which is not supported yet";
    word.fault(ReasonKind::UnsupportedKeyword, reason)
}

/// `name value`.
fn name_and_value(word: Word<'_>) -> (Word<'_>, Option<Word<'_>>) {
    let Some(at) = word.text.find(char::is_whitespace) else { return (word, None) };
    let (name, value) = word.text.split_at(at);
    let value = Word { text: value, start: word.start + at }.trim();
    (Word { text: name, ..word }, Some(value))
}

/// The words of a value; at least `least` of them.
fn words<'a>(keyword: &Use<'a>, least: usize, form: &str) -> Result<Vec<Word<'a>>, Fault> {
    let value = keyword.value()?;
    let words: Vec<Word<'a>> = value.split(',').collect();
    if words.len() < least || words.iter().take(least).any(|word| word.text.is_empty()) {
        return Err(value.bad(format!("must be `{form}`, and then options")));
    }
    Ok(words)
}

fn nth<'a>(words: &[Word<'a>], at: usize) -> Word<'a> {
    words.get(at).copied().unwrap_or(Word { text: "", start: 0 })
}

/// A number as C writes it, with `0x` in base 16 and with `0` before it in base 8.
fn number(word: Word<'_>, least: u64, most: u64) -> Result<u64, Fault> {
    let text = word.text.strip_prefix('+').unwrap_or(word.text);
    let (digits, base) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    let digital = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(base));
    match u64::from_str_radix(digits, base).ok().filter(|_| digital) {
        Some(value) if (least..=most).contains(&value) => Ok(value),
        None if !digital => Err(word.bad(format!("`{}` is not a number", word.text))),
        _ => Err(word.bad(format!("must be between {least} and {most}"))),
    }
}

/// An offset, or a variable for it.
fn place(draft: &Draft<'_>, word: Word<'_>) -> Result<Operand<i32>, Fault> {
    if is_name(word.text) {
        return variable(draft, word).map(Operand::Variable);
    }
    let (sign, digits) = match word.text.strip_prefix('-') {
        Some(digits) => (-1, Word { text: digits, start: word.start + 1 }),
        None => (1, word),
    };
    let value = i32::try_from(number(digits, 0, MAX_OFFSET as u64)?).unwrap_or(MAX_OFFSET);
    Ok(Operand::Number(sign * value))
}

/// A value to compare or compute with, or a variable for it.
fn value(draft: &Draft<'_>, word: Word<'_>) -> Result<Operand<u64>, Fault> {
    if is_name(word.text) {
        return variable(draft, word).map(Operand::Variable);
    }
    match word.strip_prefix("-") {
        // As Suricata reads it: 64 bits that wrap.
        Some(digits) => Ok(Operand::Number(number(digits, 0, u64::MAX)?.wrapping_neg())),
        None => number(word, 0, u64::MAX).map(Operand::Number),
    }
}

fn byte_test(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let words = words(keyword, 4, "bytes, operator, value, offset")?;
    let mut options = Options::default();
    for word in words.iter().skip(4) {
        options.read(*word, &["bitmask"])?;
    }
    let operator = nth(&words, 1);
    let (negated, relation) = match operator.strip_prefix("!") {
        Some(relation) => (true, relation),
        None => (false, operator),
    };
    let relation = match relation.text {
        "=" => Relation::Equal,
        // `!` alone: not equal.
        "" if negated => Relation::Equal,
        "<" => Relation::Less,
        "<=" => Relation::LessOrEqual,
        ">" => Relation::Greater,
        ">=" => Relation::GreaterOrEqual,
        "&" => Relation::And,
        "^" => Relation::Xor,
        _ => {
            return Err(
                operator.bad("must be one of `<` `>` `=` `<=` `>=` `&` `^`, or `!` and one")
            );
        }
    };
    let field = options.field(draft, (nth(&words, 0), 1), nth(&words, 3))?;
    let value = value(draft, nth(&words, 2))?;
    let step = ByteTest { field, mask: options.mask()?, negated, relation, value };
    draft.push(keyword, StepDraft::ByteTest(step))
}

fn byte_jump(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let words = words(keyword, 2, "bytes, offset")?;
    let mut options = Options::default();
    for word in words.iter().skip(2) {
        let extra = ["bitmask", "multiplier", "align", "from_beginning", "from_end", "post_offset"];
        options.read(*word, &extra)?;
    }
    if let Some(align) = options.align.filter(|align| align.text != "align") {
        return Err(align.bad("`align` takes no value here: it is 4"));
    }
    let post_offset = options.post_offset.map(|word| place(draft, word)).transpose()?;
    let step = ByteJump {
        field: options.field(draft, (nth(&words, 0), 0), nth(&words, 1))?,
        mask: options.mask()?,
        multiplier: options.multiplier()?,
        align: options.align.is_some(),
        from: match options.from.map(|word| word.text) {
            Some("from_beginning") => JumpFrom::Beginning,
            Some(_) => JumpFrom::End,
            None => JumpFrom::Here,
        },
        post_offset: post_offset.unwrap_or(Operand::Number(0)),
    };
    draft.push(keyword, StepDraft::ByteJump(step))
}

fn byte_extract(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let words = words(keyword, 3, "bytes, offset, variable")?;
    let mut options = Options::default();
    for word in words.iter().skip(3) {
        options.read(*word, &["bitmask", "multiplier", "align"])?;
    }
    let align = match options.align {
        None => None,
        Some(word) => match word.text {
            "2" => Some(2),
            "4" => Some(4),
            _ => return Err(word.bad("`align` must be 2 or 4")),
        },
    };
    let field = options.field(draft, (nth(&words, 0), 1), nth(&words, 1))?;
    let (mask, multiplier) = (options.mask()?, options.multiplier()?);
    let variable = declare(draft, nth(&words, 2))?;
    let step = ByteExtract { field, mask, multiplier, align, variable };
    draft.push(keyword, StepDraft::ByteExtract(step))
}

fn byte_math(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let mut options = Options::default();
    let mut named: [(&str, Option<Word<'_>>); 5] =
        ["bytes", "offset", "oper", "rvalue", "result"].map(|name| (name, None));
    for word in keyword.value()?.split(',') {
        let (name, value) = name_and_value(word);
        let Some((_, slot)) = named.iter_mut().find(|(other, _)| *other == name.text) else {
            options.read(word, &["bitmask"])?;
            continue;
        };
        let Some(value) = value else {
            return Err(name.bad(format!("`{}` needs a value", name.text)));
        };
        if slot.replace(value).is_some() {
            let reason = format!("`{}` stands here twice", name.text);
            return Err(name.fault(ReasonKind::Conflict, reason));
        }
    }
    let whole = keyword.value()?;
    let missing = |name: &str| whole.bad(format!("`{name}` is missing"));
    let [bytes, offset, operator, right, result] =
        named.map(|(name, word)| word.ok_or_else(|| missing(name)));
    let (operator, right) = (operator?, right?);
    let operation = match operator.text {
        "+" => Operator::Add,
        "-" => Operator::Subtract,
        "*" => Operator::Multiply,
        "/" => Operator::Divide,
        "<<" => Operator::ShiftLeft,
        ">>" => Operator::ShiftRight,
        _ => return Err(operator.bad("must be one of `+` `-` `*` `/` `<<` `>>`")),
    };
    let field = options.field(draft, (bytes?, 1), offset?)?;
    let value = value(draft, right)?;
    if (operation, value) == (Operator::Divide, Operand::Number(0)) {
        return Err(right.fault(ReasonKind::Conflict, "nothing can be divided by zero"));
    }
    let mask = options.mask()?;
    let variable: Slot = declare(draft, result?)?;
    draft.push(
        keyword,
        StepDraft::ByteMath(ByteMath { field, operator: operation, value, mask, variable }),
    )
}

#[cfg(test)]
#[path = "byte_tests.rs"]
mod tests;
