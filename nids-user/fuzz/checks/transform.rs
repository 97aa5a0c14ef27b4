//! Any bytes pass through any list of transforms within their bounds and promises, and through `asn1`.
//!
//! The first byte is the number of transforms, the next choose them; the rest is the buffer.

use std::sync::LazyLock;

use nids::detect::asn1::Asn1;
use nids::detect::keyword::value::{Use, Word};
use nids::detect::transform::base64::Base64Decode;
use nids::detect::transform::{self, Promise, Scratch, Transform};

const MOST: usize = 6;

const WRITTEN: [(&str, Option<&str>); 24] = [
    ("dotprefix", None),
    ("strip_whitespace", None),
    ("compress_whitespace", None),
    ("to_lowercase", None),
    ("to_uppercase", None),
    ("to_md5", None),
    ("to_sha1", None),
    ("to_sha256", None),
    ("url_decode", None),
    ("header_lowercase", None),
    ("strip_pseudo_headers", None),
    ("domain", None),
    ("tld", None),
    ("xor", Some("0d0ac8ff")),
    ("pcrexform", Some(r#""([a-z\s]+)""#)),
    ("pcrexform", Some(r#""x(.*)""#)),
    ("from_base64", None),
    ("from_base64", Some("offset 1, bytes 8, mode rfc2045")),
    ("from_base64", Some("mode strict")),
    ("gunzip", Some("max-size=64")),
    ("zlib_deflate", None),
    ("subslice", Some("1, 9, truncate")),
    ("subslice", Some("-5")),
    ("subslice", Some("0, -2")),
];

static TRANSFORMS: LazyLock<Vec<Transform>> = LazyLock::new(|| {
    let read = |(name, value)| transform::read(&keyword(name, value)).unwrap().unwrap();
    WRITTEN.map(read).into()
});

static ASN1: LazyLock<Asn1> = LazyLock::new(|| {
    let value = "double_overflow, bitstring_overflow, relative_offset 1, oversize_length 64";
    Asn1::read(&keyword("asn1", Some(value))).unwrap()
});

fn keyword(name: &'static str, value: Option<&'static str>) -> Use<'static> {
    let word = |text| Word { text, start: 0 };
    Use { name: word(name), value: value.map(word) }
}

/// Panics where a bound or a promise is broken.
pub fn check(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else { return };
    let count = usize::from(*count).min(MOST).min(rest.len());
    let (chosen, input) = rest.split_at(count);
    let list: Vec<Transform> = chosen
        .iter()
        .map(|byte| TRANSFORMS[usize::from(*byte) % TRANSFORMS.len()].clone())
        .collect();

    let (mut out, mut again, mut scratch) = (Vec::new(), Vec::new(), Scratch::default());
    let result = transform::run(&list, input, &mut out, &mut scratch);
    assert!(out.len() <= transform::most(&list, input.len()));
    assert!(result.is_ok() || out.is_empty());
    assert!(Promise::of(&list).allows(&out, false));
    assert_eq!(transform::run(&list, input, &mut again, &mut scratch), result);
    assert_eq!(out, again, "what was left over shows");

    ASN1.matches(input, count);
    let decoder = Base64Decode { bytes: 40, offset: 1, relative: true };
    assert_eq!(decoder.decode(input, count, &mut out), !out.is_empty());
    assert!(out.len() <= 30);

    for text in [input, chosen].map(String::from_utf8_lossy) {
        let value = Word { text: &text, start: 0 };
        for (name, _) in WRITTEN {
            let name = Word { text: name, start: 0 };
            if let Some(Err(fault)) = transform::read(&Use { name, value: Some(value) }) {
                assert!(!fault.reason.is_empty());
            }
        }
    }
}
