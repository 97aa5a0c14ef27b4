//! `asn1`: what is wrong with BER in the payload (Suricata user guide, "asn1"; Snort manual, 3.5.31).
//!
//! This is the value and its checks; [`ber`] walks the elements. As in Suricata, an element is judged only
//! if it lies in the payload as a whole. At the top 256 elements are followed, and 30 may hold one another.
//!
//! Unlike Suricata, which looks at much less of what an attack on a decoder would send, all constructed
//! elements are walked, not just sequences and sets of the universal class (tokens of GSS-API, LDAP and
//! Kerberos are of others); each is judged when it is reached, so that damage behind it does not hide it;
//! and the values of strings and times are not looked at, so that a wrong one does not either.

mod ber;
#[cfg(test)]
mod tests;

use super::keyword::value::{Fault, Use, Word};
use ber::{Element, Walk};

const BIT_STRING: u32 = 3;
const REAL: u32 = 9;
/// Bytes that Microsoft's decoder had room for.
const REAL_SIZE: usize = 256;

/// Where the elements begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Bytes from the start of the payload.
    Absolute(u16),
    /// Bytes from the end of the last match.
    Relative(i32),
}

/// `asn1`: any of its checks matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asn1 {
    /// `bitstring_overflow`: a bit string that leaves out more bits than it has.
    pub bitstring_overflow: bool,
    /// `double_overflow`: a real number in ASCII of more than 256 bytes.
    pub double_overflow: bool,
    /// `oversize_length`: an element of more bytes.
    pub oversize_length: Option<u32>,
    /// `absolute_offset`, `relative_offset`.
    pub start: Start,
}

impl Asn1 {
    /// Reads the value: settings between commas or blanks. Offsets of both kinds at once, and no check at
    /// all, which Suricata takes, are faults.
    pub fn read(keyword: &Use<'_>) -> Result<Self, Fault> {
        let value = keyword.value()?;
        let mut asn1 = Self {
            bitstring_overflow: false,
            double_overflow: false,
            oversize_length: None,
            start: Start::Absolute(0),
        };
        let mut has_start = false;
        for part in value.split(',') {
            if part.text.is_empty() {
                return Err(value.bad("there is nothing between two commas"));
            }
            let mut words = words(part);
            while let Some(word) = words.next() {
                let mut number = || {
                    words.next().ok_or_else(|| word.bad(format!("`{}` needs a number", word.text)))
                };
                let twice = match word.text {
                    "bitstring_overflow" => std::mem::replace(&mut asn1.bitstring_overflow, true),
                    "double_overflow" => std::mem::replace(&mut asn1.double_overflow, true),
                    "oversize_length" => {
                        asn1.oversize_length.replace(number()?.number(0, u32::MAX)?).is_some()
                    }
                    "absolute_offset" => {
                        asn1.start = Start::Absolute(number()?.number(0, u16::MAX)?);
                        std::mem::replace(&mut has_start, true)
                    }
                    "relative_offset" => {
                        let most = i32::from(u16::MAX);
                        asn1.start = Start::Relative(number()?.number(-most, most)?);
                        std::mem::replace(&mut has_start, true)
                    }
                    _ => return Err(word.bad(format!("unknown setting `{}`", word.text))),
                };
                if twice {
                    return Err(word.bad("there can be only one of these, and one offset"));
                }
            }
        }
        if !asn1.bitstring_overflow && !asn1.double_overflow && asn1.oversize_length.is_none() {
            return Err(value.bad("this checks nothing"));
        }
        Ok(asn1)
    }

    /// Whether it counts from a match before it.
    pub fn is_relative(&self) -> bool {
        matches!(self.start, Start::Relative(_))
    }

    /// Whether a check matches in `payload`; `cursor` is the end of the last match.
    pub fn matches(&self, payload: &[u8], cursor: usize) -> bool {
        let start = match self.start {
            Start::Absolute(start) => Some(usize::from(start)),
            Start::Relative(by) => cursor.checked_add_signed(by as isize),
        };
        let input = start.and_then(|start| payload.get(start..)).unwrap_or_default();
        Walk::new(input).any(|element| self.holds(&element))
    }

    fn holds(&self, element: &Element<'_>) -> bool {
        let size = element.content.len();
        let primitive = |tag| element.is_universal && !element.is_constructed && element.tag == tag;
        self.oversize_length.is_some_and(|most| size > most as usize)
            || element.content.first().is_some_and(|first| {
                (self.bitstring_overflow
                    && primitive(BIT_STRING)
                    && usize::from(*first) > size.saturating_mul(8))
                    || (self.double_overflow
                        && primitive(REAL)
                        && first & 0xc0 == 0
                        && size > REAL_SIZE)
            })
    }
}

/// The words between blanks.
fn words(part: Word<'_>) -> impl Iterator<Item = Word<'_>> {
    part.split(' ').filter(|word| !word.text.is_empty())
}
