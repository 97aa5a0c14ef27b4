//! URIs: their parts (RFC 3986), and what rules see of them: decoded, separators and dot segments cleaned up.

/// The parts of a URI as sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uri<'a> {
    /// Host and port.
    pub authority: Option<&'a [u8]>,
    /// The host, without port and user.
    pub host: Option<&'a [u8]>,
    /// The port, as written.
    pub port: Option<&'a [u8]>,
    /// The path.
    pub path: &'a [u8],
    /// What follows `?`.
    pub query: Option<&'a [u8]>,
    /// What follows `#`.
    pub fragment: Option<&'a [u8]>,
}

fn split_at_any<'a>(bytes: &'a [u8], ends: &[u8]) -> (&'a [u8], &'a [u8]) {
    let at = bytes.iter().position(|byte| ends.contains(byte)).unwrap_or(bytes.len());
    bytes.split_at(at)
}

/// Host and port of an authority. Colons inside brackets are part of an IPv6 address.
pub fn authority(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    let from = bytes.iter().position(|byte| *byte == b']').unwrap_or(0);
    let rest = bytes.get(from..).unwrap_or_default();
    match rest.iter().position(|byte| *byte == b':') {
        Some(at) => {
            let (host, port) = bytes.split_at(from + at);
            (host, port.get(1..))
        }
        None => (bytes, None),
    }
}

impl<'a> Uri<'a> {
    /// Splits what stands in a request line. That of `CONNECT` is an authority.
    pub fn split(raw: &'a [u8], is_connect: bool) -> Self {
        let mut uri = Self::default();
        if is_connect {
            let (host, port) = authority(raw);
            (uri.authority, uri.host, uri.port) = (Some(raw), Some(host), port);
            return uri;
        }
        let mut rest = raw;
        if rest.first().is_some_and(|first| *first != b'/')
            && let Some(colon) = rest.iter().position(|byte| *byte == b':')
            && rest.get(..colon).is_some_and(|scheme| !scheme.contains(&b'/'))
        {
            rest = rest.get(colon + 1..).unwrap_or_default();
            if let Some(behind) = rest.strip_prefix(b"//").filter(|r| r.first() != Some(&b'/')) {
                let (whole, path) = split_at_any(behind, b"/?#");
                // What stands before the last @ says who asks.
                let at = whole.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
                let whole = whole.get(at..).unwrap_or_default();
                let (host, port) = authority(whole);
                (uri.authority, uri.host, uri.port) = (Some(whole), Some(host), port);
                rest = path;
            }
        }
        let (path, rest) = split_at_any(rest, b"?#");
        uri.path = path;
        let mut rest = rest;
        if let Some(behind) = rest.strip_prefix(b"?") {
            let (query, behind) = split_at_any(behind, b"#");
            uri.query = Some(query);
            rest = behind;
        }
        uri.fragment = rest.strip_prefix(b"#");
        uri
    }

    /// Appends what `http.uri` shows: the path decoded and cleaned up, the query and the fragment decoded.
    pub fn normalise(&self, double_path: bool, double_query: bool, out: &mut Vec<u8>) {
        let start = out.len();
        decode_path(self.path, out);
        remove_dot_segments(out, start);
        if double_path {
            let once = out.split_off(start);
            decode(&once, out);
        }
        if let Some(query) = self.query {
            out.push(b'?');
            let from = out.len();
            decode(query, out);
            if double_query {
                let once = out.split_off(from);
                decode(&once, out);
            }
        }
        if let Some(fragment) = self.fragment {
            out.push(b'#');
            decode(fragment, out);
        }
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

fn hex_pair(bytes: &[u8]) -> Option<u8> {
    match bytes {
        [high, low, ..] => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    }
}

/// Appends `bytes` with `%41` undone; what is no such thing stays.
pub fn decode(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let [first, behind @ ..] = rest {
        match hex_pair(behind).filter(|_| *first == b'%') {
            Some(byte) => {
                out.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
}

/// One character of `%u0041`, as the byte nearest to it.
fn wide(bytes: &[u8]) -> Option<u8> {
    let rest = bytes.strip_prefix(b"u").or_else(|| bytes.strip_prefix(b"U"))?;
    let (high, low) = (hex_pair(rest)?, hex_pair(rest.get(2..)?)?);
    Some(nearest(u32::from(high) << 8 | u32::from(low)))
}

/// The byte nearest to a character: itself up to 255, the narrow one of a full-width one.
fn nearest(character: u32) -> u8 {
    match character {
        0..=0xff => character as u8,
        0xff01..=0xff5e => (character - 0xff00 + 0x20) as u8,
        _ => b'?',
    }
}

/// Decodes a path: `%41`, `%u0041`; backslashes become slashes, and slashes in a row one.
fn decode_path(path: &[u8], out: &mut Vec<u8>) {
    let mut rest = path;
    let mut was_slash = false;
    while let [first, behind @ ..] = rest {
        let (byte, skip) = match *first {
            b'%' => match (hex_pair(behind), wide(behind)) {
                (Some(byte), _) => (byte, 2),
                (None, Some(byte)) => (byte, 5),
                (None, None) => (b'%', 0),
            },
            byte => (byte, 0),
        };
        rest = behind.get(skip..).unwrap_or_default();
        let byte = if byte == b'\\' { b'/' } else { byte };
        let is_slash = byte == b'/';
        if !(is_slash && was_slash) {
            out.push(byte);
        }
        was_slash = is_slash;
    }
}

/// RFC 3986, 5.2.4, on what lies behind `start`.
fn remove_dot_segments(out: &mut Vec<u8>, start: usize) {
    let path = out.get(start..).unwrap_or_default();
    if !path.windows(2).any(|pair| pair == b"/.") && path.first() != Some(&b'.') {
        return;
    }
    let path = out.split_off(start);
    let mut rest: &[u8] = &path;
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix(b"../").or_else(|| rest.strip_prefix(b"./")) {
            rest = behind;
        } else if rest.starts_with(b"/./") {
            rest = rest.get(2..).unwrap_or_default();
        } else if rest == b"/." {
            rest = b"/";
        } else if rest.starts_with(b"/../") || rest == b"/.." {
            rest = if rest == b"/.." { b"/" } else { rest.get(3..).unwrap_or_default() };
            let kept = out.get(start..).unwrap_or_default();
            let before = kept.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            out.truncate(start + before);
        } else if rest == b"." || rest == b".." {
            rest = b"";
        } else {
            let tail = rest.get(1..).unwrap_or_default();
            let next = tail.iter().position(|byte| *byte == b'/').map_or(rest.len(), |at| at + 1);
            let (segment, behind) = rest.split_at(next);
            out.extend_from_slice(segment);
            rest = behind;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(raw: &str) -> String {
        let mut out = Vec::new();
        Uri::split(raw.as_bytes(), false).normalise(false, false, &mut out);
        out.iter().map(|byte| char::from(*byte)).collect()
    }

    #[test]
    fn what_rules_see() {
        for (raw, expected) in [
            ("/", "/"),
            ("", ""),
            ("/a/b.html", "/a/b.html"),
            ("/%41%zz%4", "/A%zz%4"),
            ("/%u0041%uff21%u4e00%uzzzz", "/AA?%uzzzz"),
            ("/a//b\\\\c%2fd%5ce", "/a/b/c/d/e"),
            ("/a/./b/../c", "/a/c"),
            ("/../../x", "/x"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("/a/b/%2e%2e/c", "/a/c"),
            ("/.hidden/..x", "/.hidden/..x"),
            ("/p?a=%41+b//../c#f%41", "/p?a=A+b//../c#fA"),
            ("http://user@host:80/p?q", "/p?q"),
            ("http://host", ""),
            ("/a:b", "/a:b"),
        ] {
            assert_eq!(normal(raw), expected, "{raw}");
        }
        let mut out = Vec::new();
        Uri::split(b"/%2541?%2541", false).normalise(true, true, &mut out);
        assert_eq!(out, b"/A?A");
    }

    #[test]
    fn hosts_and_ports() {
        for (raw, host, port) in [
            ("http://h:80/", Some("h"), Some("80")),
            ("http://[::1]:8080/", Some("[::1]"), Some("8080")),
            ("http://a:b@h/", Some("h"), None),
            ("/x", None, None),
        ] {
            let uri = Uri::split(raw.as_bytes(), false);
            assert_eq!(uri.host, host.map(str::as_bytes), "{raw}");
            assert_eq!(uri.port, port.map(str::as_bytes), "{raw}");
        }
        let uri = Uri::split(b"h:443", true);
        assert_eq!((uri.host, uri.port), (Some(&b"h"[..]), Some(&b"443"[..])));
    }
}
