//! `entropy`: how evenly the bytes of a buffer are spread, in bits a byte, from 0 (all the same) to 8
//! (Suricata 8 user guide, "entropy"): Shannon's entropy of how often each byte stands there.
//!
//! `entropy: bytes 64, offset 4, value >= 7.2` looks at 64 bytes behind the first four; without `bytes` at
//! all of them to the end. A buffer that does not reach so far does not match.

use super::value::{Fault, Use, Word};
use super::{Draft, Keyword, StepDraft};

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "entropy", apply }];

/// What is asked of the entropy of a part of a buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entropy {
    offset: u16,
    bytes: Option<u16>,
    bound: Bound,
}

/// What the value is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    Equal(f64),
    Not(f64),
    Below(f64),
    UpTo(f64),
    Above(f64),
    From(f64),
    /// Both ends excluded.
    Between(f64, f64),
}

/// Values nearer to each other are equal: sums of logarithms are not exact.
const NEAR: f64 = 1e-9;

impl Entropy {
    /// Whether the part asked for is there, and its bytes are spread as asked for.
    pub fn matches(&self, buffer: &[u8]) -> bool {
        let Some(part) = buffer.get(usize::from(self.offset)..) else { return false };
        let part = match self.bytes {
            Some(bytes) => part.get(..usize::from(bytes)),
            None => Some(part),
        };
        part.is_some_and(|part| self.bound.holds(entropy(part)))
    }
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::Equal(other) => (value - other).abs() < NEAR,
            Self::Not(other) => (value - other).abs() >= NEAR,
            Self::Below(most) => value < most,
            Self::UpTo(most) => value <= most,
            Self::Above(least) => value > least,
            Self::From(least) => value >= least,
            Self::Between(least, most) => least < value && value < most,
        }
    }

    fn read(word: Word<'_>) -> Result<Self, Fault> {
        let one = |word: Word<'_>| -> Result<f64, Fault> {
            let digits = word.text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            let value = word.text.parse::<f64>().ok().filter(|_| digits);
            value
                .filter(|value| (0.0..=8.0).contains(value))
                .ok_or_else(|| word.bad("an entropy lies between 0 and 8"))
        };
        // The longer signs first.
        for sign in ["!=", "<=", ">=", "!", "<", ">", "="] {
            let Some(rest) = word.strip_prefix(sign) else { continue };
            let value = one(rest)?;
            return Ok(match sign {
                "!=" | "!" => Self::Not(value),
                "<=" => Self::UpTo(value),
                ">=" => Self::From(value),
                "<" => Self::Below(value),
                ">" => Self::Above(value),
                _ => Self::Equal(value),
            });
        }
        match word.split_once("<>").or_else(|| word.split_once("-")) {
            Some((least, most)) => {
                let (least, most) = (one(least)?, one(most)?);
                if least >= most {
                    return Err(word.bad("nothing lies between these: both ends are excluded"));
                }
                Ok(Self::Between(least, most))
            }
            None => one(word).map(Self::Equal),
        }
    }
}

/// Bits a byte; of no bytes 0.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let all = bytes.len() as f64;
    let share = |count: u32| f64::from(count) / all;
    counts.iter().filter(|count| **count > 0).map(|c| -share(*c) * share(*c).log2()).sum::<f64>()
}

fn apply(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let step = read(keyword.value()?)?;
    draft.push(keyword, StepDraft::Entropy(step))
}

fn read(value: Word<'_>) -> Result<Entropy, Fault> {
    let (mut offset, mut bytes, mut bound) = (None, None, None);
    for part in value.split(',') {
        let (name, rest) =
            part.split_once(" ").ok_or_else(|| part.bad("a name and a value: `value >= 7`"))?;
        let twice = match name.text {
            "offset" => offset.replace(rest.number(0, u16::MAX)?).is_some(),
            "bytes" => bytes.replace(rest.number(1, u16::MAX)?).is_some(),
            "value" => bound.replace(Bound::read(rest)?).is_some(),
            _ => return Err(name.bad("`entropy` takes `bytes`, `offset` and `value`")),
        };
        if twice {
            return Err(name.bad(format!("`{}` stands here twice", name.text)));
        }
    }
    let bound = bound.ok_or_else(|| value.bad("`value` is missing: `entropy:value >= 7`"))?;
    Ok(Entropy { offset: offset.unwrap_or(0), bytes, bound })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::chain::tests::{holds, refusal};

    #[test]
    fn bits_a_byte() {
        let all: Vec<u8> = (0..=255).collect();
        for (bytes, expected) in
            [(&b""[..], 0.0), (b"aaaa", 0.0), (b"abab", 1.0), (b"abcdabcd", 2.0), (&all, 8.0)]
        {
            assert!((entropy(bytes) - expected).abs() < 1e-9, "{bytes:?}");
        }
    }

    #[test]
    fn compares() {
        for (options, bytes, expected) in [
            ("entropy:value 2;", "abcdabcd", true),
            ("entropy:value =2;", "abcdabca", false),
            ("entropy:value != 2;", "abcdabcd", false),
            ("entropy:value <2;", "aaaabbbb", true),
            ("entropy:value <= 2;", "abcdabcd", true),
            ("entropy:value > 2;", "abcdabcd", false),
            ("entropy:value >=2;", "abcdabcd", true),
            ("entropy:value 1.5<>2.5;", "abcdabcd", true),
            ("entropy:value 2-3;", "abcdabcd", false),
            ("entropy:bytes 4, value 0;", "aaaabcde", true),
            ("entropy:bytes 4, offset 4, value 2;", "aaaabcde", true),
            // It must reach so far.
            ("entropy:bytes 4, offset 5, value 2;", "aaaabcde", false),
            ("entropy:offset 9, value 0;", "aaaabcde", false),
            ("entropy:offset 8, value 0;", "aaaabcde", true),
            (r#"content:"b"; entropy:value < 3;"#, "aaaabcde", true),
        ] {
            assert_eq!(holds(options, bytes.as_bytes()), expected, "{options} {bytes:?}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for (options, place) in [
            ("entropy:value 9;", "9"),
            ("entropy:value 3-;", ""),
            ("entropy:value ? 7;", "? 7"),
            ("entropy:value 3-3;", "3-3"),
            ("entropy:value nan;", "nan"),
            ("entropy:bytes 4;", "bytes 4"),
            ("entropy:bytes 0, value 1;", "0"),
            ("entropy:value 1, value 2;", "value"),
            ("entropy:colour 3, value 2;", "colour"),
            ("entropy:value;", "value"),
            ("entropy;", "entropy"),
        ] {
            assert_eq!(refusal(options), place, "{options}");
        }
    }
}
