//! What begins with a backslash, outside of a class and in it.

use super::{Parser, Result};
use crate::detect::pcre::ast::{Assert, Node};
use crate::detect::pcre::byte_set::ByteSet;

/// Vertical white space.
const VERTICAL: &[(u8, u8)] = &[(b'\n', b'\r'), (0x85, 0x85)];

/// What a backslash in a class stands for.
pub enum ClassEscape {
    /// One byte.
    Byte(u8),
    /// A set of bytes.
    Set(ByteSet),
}

/// `\d`, `\D`, `\h`, `\H`, `\s`, `\S`, `\v`, `\V`, `\w`, `\W`.
fn set(letter: u8) -> Option<ByteSet> {
    let set = ByteSet::of(match letter.to_ascii_lowercase() {
        b'd' => &[(b'0', b'9')],
        b'h' => &[(b'\t', b'\t'), (b' ', b' '), (0xa0, 0xa0)],
        b's' => &[(b'\t', b'\r'), (b' ', b' ')],
        b'v' => VERTICAL,
        b'w' => &[(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')],
        _ => return None,
    });
    Some(if letter.is_ascii_uppercase() { set.negate() } else { set })
}

impl Parser<'_> {
    /// An escape outside of a class.
    pub fn escape(&mut self) -> Result<Node> {
        let start = self.at;
        self.at += 1;
        let Some(letter) = self.next() else {
            return Err(self.error_at(start, "nothing follows this backslash"));
        };
        if let Some(set) = set(letter) {
            return Ok(Node::Set(set));
        }
        Ok(match letter {
            b'A' => Node::Assert(Assert::Start),
            b'Z' => Node::Assert(Assert::LastLineEnd),
            b'z' => Node::Assert(Assert::End),
            b'G' => Node::Assert(Assert::SearchStart),
            b'b' => Node::Assert(Assert::Word),
            b'B' => Node::Assert(Assert::NotWord),
            b'K' => match self.looks {
                0 => Node::KeepOut,
                _ => return Err(self.error_at(start, "`\\K` cannot stand in a look")),
            },
            b'N' if self.peek() != Some(b'{') => Node::Set(ByteSet::of(&[(b'\n', b'\n')]).negate()),
            b'C' => Node::Set(ByteSet::ALL),
            b'R' => {
                let byte = |byte| Node::Byte { byte, fold: false };
                let newline = Node::Concat(vec![byte(b'\r'), byte(b'\n')]);
                let single = Node::Set(ByteSet::of(VERTICAL));
                Node::Atomic(Box::new(Node::Alternate(vec![newline, single])))
            }
            b'k' => {
                let close = match self.next() {
                    Some(b'<') => b'>',
                    Some(b'\'') => b'\'',
                    Some(b'{') => b'}',
                    _ => return Err(self.error_at(start, "a name must follow `\\k`")),
                };
                let place = self.at;
                let name = self.until(close).unwrap_or_default();
                self.reference_to(place, name)?
            }
            b'g' => self.numbered(start)?,
            b'1'..=b'9' => match self.decimal(start)? {
                Some(group) => self.reference(start, group),
                None => self.literal_escape(start, letter)?,
            },
            _ => self.literal_escape(start, letter)?,
        })
    }

    fn literal_escape(&mut self, start: usize, letter: u8) -> Result<Node> {
        let byte = self.byte(start, letter)?;
        Ok(self.literal(byte))
    }

    /// An escape in a class.
    pub fn class_escape(&mut self) -> Result<ClassEscape> {
        let start = self.at;
        self.at += 1;
        let Some(letter) = self.next() else {
            return Err(self.error_at(start, "nothing follows this backslash"));
        };
        if let Some(set) = set(letter) {
            return Ok(ClassEscape::Set(set));
        }
        Ok(ClassEscape::Byte(match letter {
            b'b' => 0x08,
            b'B' | b'N' | b'R' | b'X' => {
                return Err(self.error_at(start, "this cannot stand in a class"));
            }
            _ => self.byte(start, letter)?,
        }))
    }

    /// `\g1`, `\g{1}`, `\g{-1}`, `\g{name}`.
    fn numbered(&mut self, start: usize) -> Result<Node> {
        if matches!(self.peek(), Some(b'<' | b'\'')) {
            return Err(self.error_at(start, "recursion is not supported"));
        }
        let braced = self.eat(b"{");
        let place = self.at;
        let sign = self.peek().filter(|byte| matches!(byte, b'+' | b'-'));
        self.at += usize::from(sign.is_some());
        let Some(number) = self.number()? else {
            self.at = place;
            let name = if braced { self.until(b'}') } else { None };
            return self.reference_to(place, name.unwrap_or_default());
        };
        let group = self.relative(sign, number);
        match group {
            Some(group) if !braced || self.eat(b"}") => Ok(self.reference(start, group)),
            _ => Err(self.error_at(start, "not the number of a group")),
        }
    }

    /// The group that `\1` refers to, or nothing where the digits are an octal number.
    fn decimal(&mut self, start: usize) -> Result<Option<u16>> {
        self.at = start + 1;
        let first = self.peek();
        let number = self.number()?;
        let refers =
            |number| number < 10 || matches!(first, Some(b'8' | b'9')) || number <= self.groups;
        if let Some(number) = number.filter(|number| refers(*number)) {
            return Ok(Some(number));
        }
        self.at = start + 2;
        Ok(None)
    }

    /// The byte an escape stands for.
    fn byte(&mut self, start: usize, letter: u8) -> Result<u8> {
        Ok(match letter {
            b'a' => 0x07,
            b'e' => 0x1b,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            // Up to three digits, of which the first is read already.
            b'0'..=b'7' => {
                self.at -= 1;
                self.digits(start, 8, 3)?
            }
            b'o' if self.eat(b"{") => self.braced(start, 8)?,
            b'x' if self.eat(b"{") => self.braced(start, 16)?,
            // Without digits it is a zero; PCRE2 refuses that in newer versions.
            b'x' => self.digits(start, 16, 2)?,
            b'c' => match self.next() {
                Some(byte @ b' '..=b'~') => byte.to_ascii_uppercase() ^ 0x40,
                _ => return Err(self.error_at(start, "a printable character must follow `\\c`")),
            },
            b'p' | b'P' | b'X' => {
                return Err(self.error_at(start, "Unicode properties are not supported"));
            }
            _ if letter.is_ascii_alphabetic() => {
                let letter = char::from(letter);
                return Err(self.error_at(start, format!("`\\{letter}` has no meaning")));
            }
            _ => letter,
        })
    }

    fn digits(&mut self, start: usize, radix: u32, most: usize) -> Result<u8> {
        // Without a digit it is a zero, as in the PCRE2 that public rules were written for; newer ones refuse it.
        let mut value = 0u32;
        for _ in 0..most {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(radix)) else {
                break;
            };
            value = value * radix + digit;
            self.at += 1;
        }
        u8::try_from(value).map_err(|_| self.error_at(start, "the number is above 255"))
    }

    fn braced(&mut self, start: usize, radix: u32) -> Result<u8> {
        let digits = self.until(b'}').unwrap_or_default();
        let text = std::str::from_utf8(digits).unwrap_or_default();
        let signed = text.starts_with('+');
        match u32::from_str_radix(text, radix) {
            Ok(value) if !signed => {
                u8::try_from(value).map_err(|_| self.error_at(start, "the number is above 255"))
            }
            _ => Err(self.error_at(start, "digits and a closing brace must follow")),
        }
    }
}
