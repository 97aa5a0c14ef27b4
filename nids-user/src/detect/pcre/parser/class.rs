//! What stands in square brackets.

use super::escape::ClassEscape;
use super::{Parser, Result};
use crate::detect::pcre::ast::Node;
use crate::detect::pcre::byte_set::ByteSet;

/// POSIX classes in the C locale.
fn posix(name: &[u8]) -> Option<ByteSet> {
    Some(ByteSet::of(match name {
        b"alpha" => &[(b'A', b'Z'), (b'a', b'z')],
        b"lower" => &[(b'a', b'z')],
        b"upper" => &[(b'A', b'Z')],
        b"alnum" => &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')],
        b"ascii" => &[(0, 127)],
        b"blank" => &[(b'\t', b'\t'), (b' ', b' ')],
        b"cntrl" => &[(0, 31), (127, 127)],
        b"digit" => &[(b'0', b'9')],
        b"graph" => &[(b'!', b'~')],
        b"print" => &[(b' ', b'~')],
        b"punct" => &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
        b"space" => &[(b'\t', b'\r'), (b' ', b' ')],
        b"word" => &[(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')],
        b"xdigit" => &[(b'0', b'9'), (b'A', b'F'), (b'a', b'f')],
        _ => return None,
    }))
}

/// One item of a class.
enum Item {
    Byte(u8),
    Set(ByteSet),
}

impl Parser<'_> {
    /// A class.
    pub fn class(&mut self) -> Result<Node> {
        let start = self.at;
        self.at += 1;
        let negated = self.eat(b"^");
        let mut set = ByteSet::EMPTY;
        let mut first = true;
        let mut quoted = false;
        loop {
            if self.peek() == Some(b']') && !first && !quoted {
                self.at += 1;
                break;
            }
            let Some(item) = self.item(start, &mut quoted)? else { continue };
            first = false;
            // A hyphen that does not stand between two bytes is a literal, as in Perl.
            let low = match item {
                Item::Set(other) => {
                    set = set.union(other);
                    continue;
                }
                Item::Byte(byte) => byte,
            };
            let hyphen = self.at;
            let ranged = !quoted && self.eat(b"-") && self.peek() != Some(b']');
            if !ranged {
                self.at = hyphen;
                set.insert(low);
                continue;
            }
            let mut high = None;
            while high.is_none() && (quoted || self.peek() != Some(b']')) {
                high = self.item(start, &mut quoted)?;
            }
            match high {
                Some(Item::Byte(high)) if high < low => {
                    return Err(self.error_at(hyphen, "this range is out of order"));
                }
                Some(Item::Byte(high)) => set.insert_range(low, high),
                other => {
                    set.insert(low);
                    set.insert(b'-');
                    if let Some(Item::Set(other)) = other {
                        set = set.union(other);
                    }
                }
            }
        }
        if self.flags.caseless {
            set = set.fold();
        }
        if negated {
            set = set.negate();
        }
        Ok(Node::Set(set))
    }

    /// The next item; nothing where only `\Q` or `\E` was read.
    fn item(&mut self, start: usize, quoted: &mut bool) -> Result<Option<Item>> {
        if self.eat(b"\\E") {
            *quoted = false;
            return Ok(None);
        }
        if !*quoted && self.eat(b"\\Q") {
            *quoted = true;
            return Ok(None);
        }
        Ok(Some(match self.peek() {
            None => return Err(self.error_at(start, "this class is not closed")),
            Some(b'\\') if !*quoted => match self.class_escape()? {
                ClassEscape::Byte(byte) => Item::Byte(byte),
                ClassEscape::Set(set) => Item::Set(set),
            },
            Some(b'[') if !*quoted => match self.posix()? {
                Some(set) => Item::Set(set),
                None => {
                    self.at += 1;
                    Item::Byte(b'[')
                }
            },
            Some(byte) => {
                self.at += 1;
                Item::Byte(byte)
            }
        }))
    }

    /// `[:alpha:]`, `[:^alpha:]`.
    fn posix(&mut self) -> Result<Option<ByteSet>> {
        let start = self.at;
        let Some(kind @ (b':' | b'.' | b'=')) = self.text.get(start + 1).copied() else {
            return Ok(None);
        };
        // It is one only if it closes before the class does.
        let rest = self.text.get(start + 2..).unwrap_or_default();
        let stop = rest.iter().enumerate().position(|(at, byte)| {
            matches!(byte, b']' | b'\\') || (*byte == kind && rest.get(at + 1) == Some(&b']'))
        });
        let Some(stop) = stop.filter(|stop| rest.get(*stop) == Some(&kind)) else {
            return Ok(None);
        };
        let name = rest.get(..stop).unwrap_or_default();
        let (negated, name) = match name {
            [b'^', name @ ..] => (true, name),
            name => (false, name),
        };
        // Without regard to case, `lower` and `upper` are both `alpha`.
        let name = match name {
            b"lower" | b"upper" if self.flags.caseless => b"alpha".as_slice(),
            name => name,
        };
        match posix(name).filter(|_| kind == b':') {
            Some(set) => {
                self.at = start + stop + 4;
                Ok(Some(if negated { set.negate() } else { set }))
            }
            None => Err(self.error_at(start, "no POSIX class has this name")),
        }
    }
}
