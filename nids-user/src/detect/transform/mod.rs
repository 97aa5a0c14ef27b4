//! Transforms: keywords that change a buffer before contents look at it (Suricata user guide,
//! "Transformations").
//!
//! [`Transform`] is one of them, [`run`] a list of them in the order written, [`Promise`] what is certain
//! of their output when the rule is loaded. Which buffer they follow, and that equal lists are computed
//! once, is left to the inspection.
//!
//! An empty buffer stays empty, but for digests. A transform that has nothing to give is [`Failed`]: the
//! rule then has no buffer, whereas Suricata 7 inspects the bytes that were not transformed.

pub mod base64;
mod case;
mod domain;
mod hash;
mod header;
mod inflate;
mod promise;
mod regex;
mod subslice;
#[cfg(test)]
mod tests;
mod url;
mod whitespace;
mod xor;

use std::fmt;

use super::keyword::value::{Fault, Use};
pub use base64::FromBase64;
pub use hash::Hash;
pub use inflate::{Inflate, Inflater};
pub use promise::Promise;
pub use regex::Capture;
pub use subslice::Subslice;
pub use xor::Key;

/// Transforms one buffer can have (Suricata: `DETECT_TRANSFORMS_MAX`).
pub const MOST_TRANSFORMS: usize = 16;

/// One transform. Equal ones give equal output, and cloning one copies no more than a pointer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Transform {
    /// `dotprefix`: a `.` in front.
    DotPrefix,
    /// `strip_whitespace`: without any white space.
    StripWhitespace,
    /// `compress_whitespace`: of each run of white space, the first byte.
    CompressWhitespace,
    /// `to_lowercase`: ASCII letters in lower case.
    ToLowercase,
    /// `to_uppercase`: ASCII letters in upper case.
    ToUppercase,
    /// `to_md5`, `to_sha1`, `to_sha256`: the digest, raw.
    Hash(Hash),
    /// `url_decode`: `%41` and `+` undone.
    UrlDecode,
    /// `xor`: with a key, again and again.
    Xor(Key),
    /// `pcrexform`: what the group of an expression captures first.
    Capture(Capture),
    /// `from_base64`: decoded.
    FromBase64(FromBase64),
    /// `header_lowercase`: names of headers in lower case.
    HeaderLowercase,
    /// `strip_pseudo_headers`: without the lines that begin with a colon.
    StripPseudoHeaders,
    /// `domain`: the registrable domain of a name.
    Domain,
    /// `tld`: the public suffix of a name.
    PublicSuffix,
    /// `gunzip`, `zlib_deflate`: unpacked, up to a size.
    Inflate(Inflate),
    /// `subslice`: a part.
    Subslice(Subslice),
}

/// Why a transform gave no buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The expression of `pcrexform` did not match, or its group took no part.
    NoCapture,
    /// Not a byte could be decoded, or the buffer ends before `offset`, or is shorter than `bytes`.
    NotBase64,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCapture => "nothing captured",
            Self::NotBase64 => "not base64",
        })
    }
}

/// What a list of transforms works with: kept from buffer to buffer, so that nothing is allocated.
#[derive(Debug, Default)]
pub struct Scratch {
    spare: Vec<u8>,
    inflater: Inflater,
}

/// Reads a transform; `None` where the keyword is none.
pub fn read(keyword: &Use<'_>) -> Option<Result<Transform, Fault>> {
    let plain = |transform| keyword.no_value().map(|()| transform);
    Some(match keyword.name.text {
        "dotprefix" => plain(Transform::DotPrefix),
        "strip_whitespace" => plain(Transform::StripWhitespace),
        "compress_whitespace" => plain(Transform::CompressWhitespace),
        "to_lowercase" => plain(Transform::ToLowercase),
        "to_uppercase" => plain(Transform::ToUppercase),
        "to_md5" => plain(Transform::Hash(Hash::Md5)),
        "to_sha1" => plain(Transform::Hash(Hash::Sha1)),
        "to_sha256" => plain(Transform::Hash(Hash::Sha256)),
        "url_decode" => plain(Transform::UrlDecode),
        "header_lowercase" => plain(Transform::HeaderLowercase),
        "strip_pseudo_headers" => plain(Transform::StripPseudoHeaders),
        "domain" => plain(Transform::Domain),
        "tld" => plain(Transform::PublicSuffix),
        "xor" => Key::read(keyword).map(Transform::Xor),
        "pcrexform" => Capture::read(keyword).map(Transform::Capture),
        "from_base64" => FromBase64::read(keyword).map(Transform::FromBase64),
        "gunzip" | "zlib_deflate" => Inflate::read(keyword).map(Transform::Inflate),
        "subslice" => Subslice::read(keyword).map(Transform::Subslice),
        _ => return None,
    })
}

/// Adds a transform to the list of a buffer. One too many is a fault.
pub fn push(list: &mut Vec<Transform>, next: Transform, keyword: &Use<'_>) -> Result<(), Fault> {
    if list.len() >= MOST_TRANSFORMS {
        return Err(keyword
            .conflict(format!("a buffer cannot have more than {MOST_TRANSFORMS} transforms")));
    }
    list.push(next);
    Ok(())
}

impl Transform {
    /// Puts the transformed `input` into `out`, which is emptied first.
    pub fn apply(
        &self,
        input: &[u8],
        out: &mut Vec<u8>,
        inflater: &mut Inflater,
    ) -> Result<(), Failed> {
        out.clear();
        match self {
            Self::Hash(hash) => hash.apply(input, out),
            _ if input.is_empty() => {}
            Self::DotPrefix => {
                out.reserve(input.len() + 1);
                out.push(b'.');
                out.extend_from_slice(input);
            }
            Self::StripWhitespace => whitespace::strip(input, out),
            Self::CompressWhitespace => whitespace::compress(input, out),
            Self::ToLowercase => case::lower(input, out),
            Self::ToUppercase => case::upper(input, out),
            Self::UrlDecode => url::decode(input, out),
            Self::Xor(key) => key.apply(input, out),
            Self::Capture(capture) => {
                out.extend_from_slice(capture.first(input).ok_or(Failed::NoCapture)?);
            }
            Self::FromBase64(from) => return from.apply(input, out),
            Self::HeaderLowercase => header::lower_names(input, out),
            Self::StripPseudoHeaders => header::strip_pseudo(input, out),
            Self::Domain => out.extend_from_slice(domain::domain(input)),
            Self::PublicSuffix => out.extend_from_slice(domain::public_suffix(input)),
            Self::Inflate(inflate) => inflate.apply(input, out, inflater),
            Self::Subslice(part) => out.extend_from_slice(part.of(input)),
        }
        Ok(())
    }

    /// Bytes the output has at most when the input has `input`: never more than one more, but for
    /// digests (32) and [`Inflate`] (its `max-size`, and 1,032 for each byte).
    pub fn most(&self, input: usize) -> usize {
        match self {
            Self::DotPrefix => input.saturating_add(1),
            Self::Hash(hash) => hash.size(),
            Self::FromBase64(_) => base64::most(input),
            Self::Inflate(inflate) => inflate.most(input),
            _ => input,
        }
    }
}

/// Puts `input`, transformed by each of `list` in order, into `out`. Where one fails, `out` is empty.
pub fn run(
    list: &[Transform],
    input: &[u8],
    out: &mut Vec<u8>,
    scratch: &mut Scratch,
) -> Result<(), Failed> {
    let Some((first, rest)) = list.split_first() else {
        out.clear();
        out.extend_from_slice(input);
        return Ok(());
    };
    let mut result = first.apply(input, out, &mut scratch.inflater);
    for next in rest {
        if result.is_err() {
            break;
        }
        std::mem::swap(out, &mut scratch.spare);
        result = next.apply(&scratch.spare, out, &mut scratch.inflater);
    }
    if result.is_err() {
        out.clear();
    }
    result
}

/// Bytes that [`run`] gives at most.
pub fn most(list: &[Transform], input: usize) -> usize {
    list.iter().fold(input, |bytes, transform| transform.most(bytes))
}
