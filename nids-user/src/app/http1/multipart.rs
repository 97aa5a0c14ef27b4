//! Files in the body of a request: the parts of `multipart/form-data` that have a file name (RFC 7578).

use memchr::memmem;

use super::transaction::file_name;

/// Parts of one body that are looked at.
const MOST_PARTS: usize = 128;

/// One file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// What is there of it.
    pub data: &'a [u8],
    /// It is there as a whole.
    pub is_whole: bool,
}

/// The boundary that a `Content-Type` names; `None`: it is no multipart form.
pub fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    const FORM: &[u8] = b"multipart/form-data";
    content_type.get(..FORM.len()).filter(|kind| kind.eq_ignore_ascii_case(FORM))?;
    let lower = content_type.to_ascii_lowercase();
    let at = memmem::find(&lower, b"boundary=")? + b"boundary=".len();
    let rest = content_type.get(at..)?;
    let boundary = match rest.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|byte| *byte == b'"').next()?,
        None => rest.split(|byte| matches!(byte, b';' | b' ' | b'\r')).next()?,
    };
    // RFC 2046, 5.1.1.
    (!boundary.is_empty() && boundary.len() <= 200).then_some(boundary)
}

/// The files of a body, in order; of one that goes on, as far as it is there.
pub fn files<'a>(body: &'a [u8], boundary: &[u8]) -> impl Iterator<Item = Part<'a>> + use<'a> {
    let delimiter = [b"--", boundary].concat();
    let mut rest = memmem::find(body, &delimiter)
        .and_then(|at| body.get(at + delimiter.len()..))
        .unwrap_or_default();
    let parts = std::iter::from_fn(move || {
        if rest.is_empty() || rest.starts_with(b"--") {
            return None;
        }
        let end = memmem::find(rest, &delimiter);
        let (part, behind) = rest.split_at(end.unwrap_or(rest.len()));
        rest = behind.get(delimiter.len()..).unwrap_or_default();
        Some((part, end.is_some()))
    });
    parts.take(MOST_PARTS).filter_map(|(part, is_whole)| {
        let (head, data) = split_head(part)?;
        let name = head.split(|byte| *byte == b'\n').find_map(|line| {
            const NAME: &[u8] = b"content-disposition";
            let line = line.trim_ascii();
            line.get(..NAME.len()).filter(|name| name.eq_ignore_ascii_case(NAME))?;
            file_name(line)
        })?;
        // The line end before the delimiter is part of that.
        let cut = data.strip_suffix(b"\n").map(|data| data.strip_suffix(b"\r").unwrap_or(data));
        let data = if is_whole { cut.unwrap_or(data) } else { data };
        Some(Part { name, data, is_whole })
    })
}

/// The headers of a part, and what follows the empty line.
fn split_head(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let (at, length) = match (memmem::find(part, b"\r\n\r\n"), memmem::find(part, b"\n\n")) {
        (Some(at), Some(other)) if other < at => (other, 2),
        (Some(at), _) => (at, 4),
        (None, Some(at)) => (at, 2),
        (None, None) => return None,
    };
    Some((part.get(..at)?, part.get(at + length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries() {
        for (value, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data; charset=x; BOUNDARY=\"a b\"; y", Some("a b")),
            ("multipart/form-data; boundary=", None),
            ("multipart/mixed; boundary=abc", None),
            ("text/plain", None),
        ] {
            assert_eq!(boundary(value.as_bytes()), expected.map(str::as_bytes), "{value}");
        }
    }

    #[test]
    fn files_of_a_form() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue\r\n\
            --x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"one.txt\"\r\n\r\none\r\n\
            --x\ncontent-disposition: form-data; filename=two\n\ntwo\n\
            --x\r\nContent-Disposition: form-data; filename=\"\"\r\n\r\n\r\n\
            --x--\r\nbehind";
        let all: Vec<_> = files(body, b"x").map(|part| (part.name, part.data)).collect();
        let expected = [(&b"one.txt"[..], &b"one"[..]), (b"two", b"two"), (b"", b"")];
        assert_eq!(all, expected);
        // Cut off anywhere, it gives no more than that.
        for end in 0..body.len() {
            for part in files(&body[..end], b"x") {
                let whole = expected.iter().any(|(_, data)| *data == part.data);
                assert!(whole || !part.is_whole, "{end}");
            }
        }
    }
}
