//! First lines: of requests (RFC 9112, 3) and of responses (RFC 9112, 4), as far as there is anything to be
//! read in them.

use std::ops::Range;

/// Blanks as servers take them: more than RFC 9112 allows.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// Blanks that may stand around the value of a header.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Without the line feed and carriage returns at its end.
pub(super) fn chomp(line: &[u8]) -> &[u8] {
    let mut line = line;
    while let [rest @ .., b'\r' | b'\n'] = line {
        line = rest;
    }
    line
}

/// The part of `bytes` without what `strip` holds for on either side, as a range.
pub(super) fn trimmed(bytes: &[u8], strip: fn(u8) -> bool) -> Range<usize> {
    let end = bytes.iter().rposition(|byte| !strip(*byte)).map_or(0, |at| at + 1);
    let start = bytes.iter().position(|byte| !strip(*byte)).unwrap_or(end);
    start.min(end)..end
}

/// A request line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestLine {
    /// The method.
    pub method: Range<usize>,
    /// The URI, as sent.
    pub uri: Range<usize>,
    /// The protocol; empty in HTTP/0.9.
    pub protocol: Range<usize>,
    /// Blanks stand before the method.
    pub leading_space: bool,
    /// Something else than a blank stands behind the method.
    pub method_delimiter: bool,
    /// Something else than a blank stands behind the URI.
    pub uri_delimiter: bool,
}

impl RequestLine {
    /// Reads a line without its end. A URI may have blanks in it: what lies between the first and the last
    /// blank is the URI, if a protocol follows.
    pub fn read(line: &[u8]) -> Self {
        let at = |from: usize, wanted: fn(u8) -> bool| {
            let rest = line.get(from..).unwrap_or_default();
            rest.iter().position(|byte| wanted(*byte)).map_or(line.len(), |at| from + at)
        };
        let start = at(0, |byte| !is_space(byte));
        let method = start..at(start, is_space);
        let uri_start = at(method.end, |byte| !is_space(byte));
        let between = line.get(method.end..uri_start).unwrap_or_default();
        let mut read = Self {
            leading_space: start > 0,
            method_delimiter: between.iter().any(|byte| *byte != b' '),
            method,
            uri: uri_start..line.len(),
            protocol: line.len()..line.len(),
            uri_delimiter: false,
        };
        let rest = line.get(uri_start..).unwrap_or_default();
        let end = uri_start + trimmed(rest, is_space).end;
        let body = line.get(uri_start..end).unwrap_or_default();
        // Blanks first, then whatever counts as one.
        let blank = body.iter().rposition(|byte| *byte == b' ');
        let space = blank.or_else(|| body.iter().rposition(|byte| is_space(*byte)));
        let Some(space) = space else {
            read.uri = uri_start..end;
            return read;
        };
        let uri_end = uri_start + trimmed(body.get(..space).unwrap_or_default(), is_space).end;
        let gap = line.get(uri_end..=uri_start + space).unwrap_or_default();
        read.uri_delimiter = gap.iter().any(|byte| *byte != b' ');
        read.uri = uri_start..uri_end;
        read.protocol = uri_start + space + 1..end;
        read
    }
}

/// A status line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusLine {
    /// The protocol.
    pub protocol: Range<usize>,
    /// The status, as sent.
    pub status: Range<usize>,
    /// The words behind it.
    pub message: Range<usize>,
}

impl StatusLine {
    /// Reads a line without its end.
    pub fn read(line: &[u8]) -> Self {
        let at = |from: usize, wanted: fn(u8) -> bool| {
            let rest = line.get(from..).unwrap_or_default();
            rest.iter().position(|byte| wanted(*byte)).map_or(line.len(), |at| from + at)
        };
        let start = at(0, |byte| !is_space(byte) && byte != 0);
        let protocol = start..at(start, is_space);
        let status_start = at(protocol.end, |byte| !is_space(byte));
        let status = status_start..at(status_start, is_space);
        let message_start = at(status.end, |byte| !is_space(byte));
        let rest = line.get(message_start..).unwrap_or_default();
        let message = message_start..message_start + trimmed(rest, is_space).end;
        Self { protocol, status, message }
    }
}

/// Whether a line is the first of a response, and not body of one that has no first line (HTTP/0.9).
pub(super) fn begins_response(line: &[u8]) -> bool {
    let start = line.iter().position(|byte| !is_space(*byte) && *byte != 0).unwrap_or(line.len());
    line.get(start..start + 4).is_some_and(|word| word.eq_ignore_ascii_case(b"http"))
}

/// Minor version of `HTTP/1.x`, blanks around the slash and zeros before the numbers allowed; 9 for
/// HTTP/0.9.
pub fn version(protocol: &[u8]) -> Option<u8> {
    let rest = protocol
        .get(4..)
        .filter(|_| protocol.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"HTTP")))?;
    let rest = rest.get(trimmed(rest, is_space))?.strip_prefix(b"/")?;
    match rest.get(trimmed(rest, is_space))? {
        b"0.9" => Some(9),
        b"1.0" | b"01.0" => Some(0),
        b"1.1" | b"01.1" => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines() {
        for (line, method, uri, protocol) in [
            ("GET / HTTP/1.1", "GET", "/", "HTTP/1.1"),
            ("GET /", "GET", "/", ""),
            ("GET", "GET", "", ""),
            ("", "", "", ""),
            ("  GET\t/a   HTTP/1.0  ", "GET", "/a", "HTTP/1.0"),
            ("GET /a b c HTTP/1.1", "GET", "/a b c", "HTTP/1.1"),
            ("GET /a\tHTTP/1.1", "GET", "/a", "HTTP/1.1"),
            ("GET /a b\tHTTP/1.1", "GET", "/a", "b\tHTTP/1.1"),
        ] {
            let read = RequestLine::read(line.as_bytes());
            let text = |range: &Range<usize>| &line[range.clone()];
            assert_eq!(
                (text(&read.method), text(&read.uri), text(&read.protocol)),
                (method, uri, protocol),
                "{line:?}"
            );
        }
        let odd = RequestLine::read(b" GET\t/\tHTTP/1.1");
        assert!(odd.leading_space && odd.method_delimiter && odd.uri_delimiter);
    }

    #[test]
    fn status_lines() {
        for (line, protocol, status, message) in [
            ("HTTP/1.1 200 OK", "HTTP/1.1", "200", "OK"),
            ("HTTP/1.1  404  Not Found ", "HTTP/1.1", "404", "Not Found"),
            ("HTTP/1.1 200", "HTTP/1.1", "200", ""),
            ("HTTP/1.1", "HTTP/1.1", "", ""),
            ("", "", "", ""),
        ] {
            let read = StatusLine::read(line.as_bytes());
            let text = |range: &Range<usize>| &line[range.clone()];
            assert_eq!(
                (text(&read.protocol), text(&read.status), text(&read.message)),
                (protocol, status, message),
                "{line:?}"
            );
        }
    }

    #[test]
    fn versions() {
        for (text, expected) in [
            ("HTTP/1.1", Some(1)),
            ("http/1.0", Some(0)),
            ("HTTP / 01.1", Some(1)),
            ("HTTP/0.9", Some(9)),
            ("HTTP/2.0", None),
            ("HTTQ/1.1", None),
            ("HTTP", None),
            ("", None),
        ] {
            assert_eq!(version(text.as_bytes()), expected, "{text}");
        }
        assert!(begins_response(b" http/1.1 200") && !begins_response(b"<html>"));
    }
}
