//! The head of a message: its first line and its headers (RFC 9112, 5), as sent and taken apart.
//!
//! A header that comes again is joined to the one before with `, `, a folded line to the line before; both
//! as libhtp does it. What is beyond the bounds is not kept, and is told.

use std::ops::Range;

use super::line::{chomp, is_blank, is_space, trimmed};

/// Bytes of a line that are kept, as in Suricata (`meta-field-limit`).
pub(super) const MAX_LINE: usize = 18_432;
/// Bytes of one head that are kept.
const MAX_HEAD: usize = 96 << 10;
/// Headers of one head that are kept, as in Suricata.
const MAX_HEADERS: usize = 1024;
/// Times that a header is joined to the one before.
const MAX_REPETITIONS: u8 = 64;

/// What is odd about a line of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// The name is empty, or has bytes that no name has.
    Invalid,
    /// There is no colon.
    MissingColon,
    /// A folded line, and no header before it.
    Folding,
    /// More headers, or more bytes of them, than are kept.
    TooMany,
    /// The same header came before.
    Repetition,
    /// `Content-Length` came before, with another value.
    OtherLength,
}

/// A piece of text: in what was sent, or in what was put together.
#[derive(Clone, Copy, Debug, Default)]
struct Text {
    start: u32,
    end: u32,
    put_together: bool,
}

/// One header.
#[derive(Clone, Copy, Debug)]
struct Header {
    name: Text,
    value: Text,
    repetitions: u8,
}

/// The head of a message.
#[derive(Debug, Default)]
pub struct Head {
    /// First line and headers as sent.
    raw: Vec<u8>,
    /// Bytes of the first line, without and with its end.
    line: (usize, usize),
    /// What is not as sent.
    joined: Vec<u8>,
    headers: Vec<Header>,
    /// The header at hand, which may go on in the next line.
    open: Option<Text>,
    /// A folded line that looks like a header is one, as libhtp has it of responses of HTTP/1.1.
    pub folds_little: bool,
}

fn text(start: usize, range: &Range<usize>) -> Text {
    // A head is far smaller.
    Text {
        start: (start + range.start) as u32,
        end: (start + range.end) as u32,
        put_together: false,
    }
}

impl Head {
    /// Takes the first line, with its end.
    pub fn set_line(&mut self, line: &[u8]) {
        self.raw.clear();
        self.raw.extend_from_slice(line);
        self.line = (chomp(line).len(), line.len());
    }

    /// The first line without its end.
    pub fn line(&self) -> &[u8] {
        self.raw.get(..self.line.0).unwrap_or_default()
    }

    /// The headers as sent, with the empty line behind them.
    pub fn raw_headers(&self) -> &[u8] {
        self.raw.get(self.line.1..).unwrap_or_default()
    }

    /// Bytes of memory it takes.
    pub fn memory(&self) -> usize {
        self.raw.capacity() + self.joined.capacity() + self.headers.capacity() * size_of::<Header>()
    }

    /// Takes one line of the headers, with its end.
    pub fn add(&mut self, line: &[u8], odd: &mut impl FnMut(Oddity)) {
        let headers = self.headers.len() + usize::from(self.open.is_some());
        if headers >= MAX_HEADERS || self.raw.len() + line.len() > MAX_HEAD {
            return odd(Oddity::TooMany);
        }
        let start = self.raw.len();
        self.raw.extend_from_slice(line);
        let line = chomp(line);
        if line.first().copied().is_some_and(is_blank) {
            let is_header = |line: &[u8]| line.contains(&b':');
            let header = self.open.filter(|open| {
                !(self.folds_little && is_header(line) && is_header(self.bytes(*open)))
            });
            if let Some(open) = header {
                // A folded line: it goes on. Where the name ends shows at the end only.
                let start = self.joined.len();
                self.copy(open);
                self.joined.push(b' ');
                let more = line.get(trimmed(line, is_space)).unwrap_or_default();
                self.joined.extend_from_slice(more);
                self.open = Some(self.since(start));
                return;
            }
            odd(Oddity::Folding);
        }
        self.close(odd);
        let range = trimmed(line, is_blank);
        self.open = Some(text(start, &(range.start..line.len())));
    }

    /// The empty line: no header follows.
    pub fn finish(&mut self, line: &[u8], odd: &mut impl FnMut(Oddity)) {
        self.close(odd);
        if self.raw.len() + line.len() <= MAX_HEAD {
            self.raw.extend_from_slice(line);
        }
    }

    /// Takes the header at hand apart.
    fn close(&mut self, odd: &mut impl FnMut(Oddity)) {
        let Some(open) = self.open.take() else { return };
        let line = self.bytes(open);
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => {
                let name = trimmed(line.get(..colon).unwrap_or_default(), is_space);
                let value = trimmed(line.get(colon + 1..).unwrap_or_default(), is_space);
                let is_name = line.get(name.clone()).unwrap_or_default();
                if is_name.is_empty() || !is_name.iter().all(|byte| is_token(*byte)) {
                    odd(Oddity::Invalid);
                }
                (name, value.start + colon + 1..value.end + colon + 1)
            }
            // The whole is the value of a header without name.
            None => {
                odd(Oddity::MissingColon);
                (0..0, 0..line.len())
            }
        };
        let part = |range: &Range<usize>| Text {
            start: open.start + range.start as u32,
            end: open.start + range.end as u32,
            ..open
        };
        self.headers.push(Header { name: part(&name), value: part(&value), repetitions: 0 });
        self.join_repeated(odd);
    }

    /// Joins the last header to one of the same name before it.
    fn join_repeated(&mut self, odd: &mut impl FnMut(Oddity)) {
        let Some((last, before)) = self.headers.split_last() else { return };
        let name = self.bytes(last.name);
        let same = |other: &Header| self.bytes(other.name).eq_ignore_ascii_case(name);
        let Some(at) = before.iter().position(same) else { return };
        odd(Oddity::Repetition);
        let (last, is_length) = (*last, name.eq_ignore_ascii_case(b"content-length"));
        let Some(mut first) = self.headers.get(at).copied() else { return };
        self.headers.pop();
        if is_length && self.bytes(first.value) != self.bytes(last.value) {
            odd(Oddity::OtherLength);
        }
        if is_length
            || first.repetitions >= MAX_REPETITIONS
            || self.joined.len() + self.raw.len() > 2 * MAX_HEAD
        {
            return;
        }
        let start = self.joined.len();
        self.copy(first.value);
        self.joined.extend_from_slice(b", ");
        self.copy(last.value);
        first.value = self.since(start);
        first.repetitions += 1;
        if let Some(slot) = self.headers.get_mut(at) {
            *slot = first;
        }
    }

    fn copy(&mut self, from: Text) {
        let range = from.start as usize..from.end as usize;
        if !from.put_together {
            self.joined.extend_from_slice(self.raw.get(range).unwrap_or_default());
        } else if range.end <= self.joined.len() && range.start <= range.end {
            self.joined.extend_from_within(range);
        }
    }

    fn since(&self, start: usize) -> Text {
        Text { start: start as u32, end: self.joined.len() as u32, put_together: true }
    }

    fn bytes(&self, text: Text) -> &[u8] {
        let whole = if text.put_together { &self.joined } else { &self.raw };
        whole.get(text.start as usize..text.end as usize).unwrap_or_default()
    }

    /// Names and values, in the order in which the names came first.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.iter().map(|header| (self.bytes(header.name), self.bytes(header.value)))
    }

    /// The value of a header.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let mut all = self.iter();
        all.find(|(other, _)| is(other, name.as_bytes())).map(|(_, value)| value)
    }
}

/// Whether a text is this word, without regard to case and to NUL bytes, which some readers pass over.
pub(super) fn is(text: &[u8], word: &[u8]) -> bool {
    text.eq_ignore_ascii_case(word)
        || (text.contains(&0) && {
            let bytes = text.iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase);
            bytes.eq(word.iter().map(u8::to_ascii_lowercase))
        })
}

/// RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a line ends the headers: it is empty, or a blank.
pub(super) fn is_empty(line: &[u8]) -> bool {
    matches!(line, b"\r\n" | b"\n" | b"\r" | b"" | b" \n" | b"\t\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> (Head, Vec<Oddity>) {
        let (mut head, mut odd) = (Head::default(), Vec::new());
        head.set_line(b"GET / HTTP/1.1\r\n");
        for line in text.split_inclusive('\n') {
            head.add(line.as_bytes(), &mut |oddity| odd.push(oddity));
        }
        head.finish(b"\r\n", &mut |oddity| odd.push(oddity));
        (head, odd)
    }

    #[test]
    fn headers_are_taken_apart() {
        for (text, expected, oddities) in [
            ("A: b\r\n", &[("A", "b")][..], &[][..]),
            ("A:b\nB :  c \t\r\n", &[("A", "b"), ("B", "c")], &[]),
            ("A: b\r\n c\r\n\td\r\n", &[("A", "b c d")], &[]),
            ("A\r\n :\r\n b\r\n", &[("A", "b")], &[]),
            ("A: b\r\n C: d\r\n", &[("A", "b C: d")], &[]),
            ("A: b\r\nX: y\r\na: c\r\n", &[("A", "b, c"), ("X", "y")], &[Oddity::Repetition]),
            (
                "Content-Length: 1\r\nContent-Length: 2\r\n",
                &[("Content-Length", "1")],
                &[Oddity::Repetition, Oddity::OtherLength],
            ),
            ("nothing\r\n", &[("", "nothing")], &[Oddity::MissingColon]),
            (": x\r\n", &[("", "x")], &[Oddity::Invalid]),
            ("A B: x\r\n", &[("A B", "x")], &[Oddity::Invalid]),
            (" folded: x\r\n", &[("folded", "x")], &[Oddity::Folding]),
            ("A:\r\n", &[("A", "")], &[]),
        ] {
            let (head, odd) = head(text);
            let all: Vec<_> = head.iter().collect();
            let expected: Vec<_> =
                expected.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
            assert_eq!((all, &odd[..]), (expected, oddities), "{text:?}");
            assert_eq!(head.raw_headers(), [text.as_bytes(), b"\r\n"].concat(), "{text:?}");
            assert_eq!(head.line(), b"GET / HTTP/1.1");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (many, odd) = head(&"a: 0123456789\r\n".repeat(20_000));
        assert!(odd.contains(&Oddity::TooMany) && many.memory() < 1 << 20);
        assert_eq!(many.headers.len(), 1);
        let (many, odd) = head(&(0..5000).map(|n| format!("h{n}: v\r\n")).collect::<String>());
        assert!(odd.contains(&Oddity::TooMany));
        assert_eq!(many.headers.len(), MAX_HEADERS);
    }
}
