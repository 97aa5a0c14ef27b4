//! Where the body of a message ends (RFC 9112, 6), as far as its headers say so.

use super::header::{Head, is};
use super::line::is_space;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// It has so many bytes.
    Length(u64),
    /// It comes in chunks, each with its length.
    Chunked,
    /// It goes on until the connection ends.
    UntilEnd,
}

/// What is odd about the headers that say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// `Transfer-Encoding` is nothing that is known.
    pub transfer_encoding: bool,
    /// It has another coding beside `chunked`.
    pub abnormal: bool,
    /// `Content-Length` is no number.
    pub length: bool,
}

/// Framing by the headers alone; `None`: they say nothing.
pub fn framing(head: &Head, odd: &mut Oddities) -> Option<Framing> {
    if let Some(value) = head.get("transfer-encoding") {
        if is(value, b"chunked") {
            return Some(Framing::Chunked);
        }
        // Some readers are content with less.
        let text: Vec<u8> = value.iter().copied().filter(|byte| *byte != 0).collect();
        if text.windows(7).any(|window| window.eq_ignore_ascii_case(b"chunked")) {
            odd.abnormal = true;
            return Some(Framing::Chunked);
        }
        odd.transfer_encoding = true;
    }
    let length = head.get("content-length")?;
    match content_length(length) {
        Some(length) => Some(Framing::Length(length)),
        None => {
            odd.length = true;
            None
        }
    }
}

/// The number in a `Content-Length`: what stands before and behind it is passed over, unless that is another
/// number, since nobody knows which one counts then.
fn content_length(value: &[u8]) -> Option<u64> {
    let mut numbers = value
        .split(|byte| !byte.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| str::from_utf8(digits).ok()?.parse::<i64>().ok());
    let first = numbers.next()??;
    numbers.all(|other| other == Some(first)).then(|| u64::try_from(first).ok())?
}

/// What a line before a chunk says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkLine {
    /// Nothing: the next line may.
    Blank,
    /// The chunk has so many bytes; the last one has none. `true`: an extension follows.
    Length(u64, bool),
    /// It is no length.
    Invalid,
}

/// Largest chunk that is believed, as in Suricata.
const LARGEST_CHUNK: u64 = i32::MAX as u64;

/// Reads the line before a chunk (RFC 9112, 7.1).
pub fn chunk_line(line: &[u8]) -> ChunkLine {
    let Some(start) = line.iter().position(|byte| !is_space(*byte)) else {
        return ChunkLine::Blank;
    };
    let rest = line.get(start..).unwrap_or_default();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, behind) = rest.split_at(digits);
    let mut length: u64 = 0;
    for digit in digits {
        length = length << 4 | u64::from(char::from(*digit).to_digit(16).unwrap_or(0));
        if length > LARGEST_CHUNK {
            return ChunkLine::Invalid;
        }
    }
    match digits {
        [] => ChunkLine::Invalid,
        _ => ChunkLine::Length(length, behind.contains(&b';')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_lines() {
        for (line, expected) in [
            ("5\r\n", ChunkLine::Length(5, false)),
            ("  1A ; x=y\r\n", ChunkLine::Length(26, true)),
            ("0\n", ChunkLine::Length(0, false)),
            ("000000000000000000005\n", ChunkLine::Length(5, false)),
            ("\r\n", ChunkLine::Blank),
            ("xyz\r\n", ChunkLine::Invalid),
            ("-1\r\n", ChunkLine::Invalid),
            ("80000000\r\n", ChunkLine::Invalid),
            ("5 6\r\n", ChunkLine::Length(5, false)),
        ] {
            assert_eq!(chunk_line(line.as_bytes()), expected, "{line:?}");
        }
    }

    #[test]
    fn lengths() {
        for (value, expected) in [
            ("5", Some(5)),
            ("=5", Some(5)),
            ("5, 5", Some(5)),
            ("5, 6", None),
            ("x", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(content_length(value.as_bytes()), expected, "{value}");
        }
    }
}
