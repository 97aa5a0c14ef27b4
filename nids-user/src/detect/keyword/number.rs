//! Comparisons with a number: `5`, `=5`, `!5`, `<5`, `<=5`, `>5`, `>=5`, and `a<>b` or `a-b`, which
//! exclude both ends (Suricata user guide, "Integer Keywords").

use std::fmt::Display;

use super::value::{Fault, Word};

/// What a number is compared with. Never empty and never everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison<T> {
    /// From the first to the second, both included.
    Within(T, T),
    /// Everything else.
    Not(T),
}

impl<T: Copy + PartialOrd> Comparison<T> {
    /// Whether `value` fulfils it.
    #[inline]
    pub fn holds(&self, value: T) -> bool {
        match *self {
            Self::Within(least, most) => least <= value && value <= most,
            Self::Not(other) => value != other,
        }
    }
}

/// A number type that keywords compare.
pub trait Number: Copy + PartialOrd + Display + TryFrom<i64> + Into<i64> {
    /// Smallest.
    const MIN: Self;
    /// Largest.
    const MAX: Self;
}

impl Number for u8 {
    const MIN: Self = u8::MIN;
    const MAX: Self = u8::MAX;
}

impl Number for u16 {
    const MIN: Self = u16::MIN;
    const MAX: Self = u16::MAX;
}

impl Number for u32 {
    const MIN: Self = u32::MIN;
    const MAX: Self = u32::MAX;
}

/// Reads a comparison. One that nothing or everything fulfils is a fault, as it is in Suricata.
pub fn comparison<T: Number>(word: Word<'_>) -> Result<Comparison<T>, Fault> {
    let word = word.trim();
    let number = |word: Word<'_>| -> Result<i64, Fault> {
        if word.text.starts_with(['+', '-']) {
            return Err(word.bad(format!("`{}` is not a number", word.text)));
        }
        word.number::<T>(T::MIN, T::MAX).map(Into::into)
    };
    let (least, most) = if let Some(other) = word.strip_prefix("!") {
        let other = number(other)?;
        return convert(word, other).map(Comparison::Not);
    } else if let Some(word) = word.strip_prefix(">=") {
        (number(word)?, T::MAX.into())
    } else if let Some(word) = word.strip_prefix("<=") {
        (T::MIN.into(), number(word)?)
    } else if let Some(word) = word.strip_prefix(">") {
        (number(word)? + 1, T::MAX.into())
    } else if let Some((left, right)) =
        word.split_once("<>").or_else(|| word.split_once("-")).filter(|(l, _)| !l.text.is_empty())
    {
        let (left, right) = (number(left)?, number(right)?);
        (left + 1, right - 1)
    } else if let Some(word) = word.strip_prefix("<") {
        (T::MIN.into(), number(word)? - 1)
    } else {
        let equal = number(word.strip_prefix("=").unwrap_or(word))?;
        (equal, equal)
    };
    if least > most {
        let ends = if word.text.contains("<>") || word.text.contains('-') {
            ": both ends are excluded"
        } else {
            ""
        };
        return Err(word.bad(format!("no number fulfils this{ends}")));
    }
    if least == T::MIN.into() && most == T::MAX.into() {
        return Err(word.bad("every number fulfils this"));
    }
    Ok(Comparison::Within(convert(word, least)?, convert(word, most)?))
}

fn convert<T: Number>(word: Word<'_>, value: i64) -> Result<T, Fault> {
    T::try_from(value).map_err(|_| word.bad("out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Comparison<u8>, String> {
        comparison(Word { text, start: 0 }).map_err(|fault| fault.reason)
    }

    /// Accepted and refused forms are those of Suricata 7.0.10, tried one by one.
    #[test]
    fn reads_what_suricata_reads() {
        for (text, expected) in [
            ("64", Comparison::Within(64, 64)),
            ("=64", Comparison::Within(64, 64)),
            ("064", Comparison::Within(64, 64)),
            ("!64", Comparison::Not(64)),
            ("! 64", Comparison::Not(64)),
            (">254", Comparison::Within(255, 255)),
            (">= 3", Comparison::Within(3, 255)),
            ("<1", Comparison::Within(0, 0)),
            ("<=254", Comparison::Within(0, 254)),
            ("63<>65", Comparison::Within(64, 64)),
            ("63 <> 65", Comparison::Within(64, 64)),
            ("63-65", Comparison::Within(64, 64)),
            ("0<>2", Comparison::Within(1, 1)),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        for text in [
            "", "x", "256", "+3", "-3", "0x40", ">255", "<0", ">=0", "<=255", "5<>2", "2<>3",
            "1-1", "<>3", "3<>", "1<>3<>5", "!1-3", "!1<>3", "!>3", "3 4",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
