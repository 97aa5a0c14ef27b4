use proptest::prelude::*;
use sha2::Digest as _;

use super::base64::{Base64Decode, Mode, decode};
use super::*;
use crate::detect::keyword::value::Word;

/// Reads `name: value; name; ...`.
fn list(text: &str) -> Result<Vec<Transform>, String> {
    let mut list = Vec::new();
    for option in text.split(';').map(str::trim).filter(|option| !option.is_empty()) {
        let (name, value) = match option.split_once(':') {
            Some((name, value)) => (name, Some(value.trim())),
            None => (option, None),
        };
        let word = |text| Word { text, start: 0 };
        let keyword = Use { name: word(name), value: value.map(word) };
        let next = read(&keyword).ok_or("not a transform")?.map_err(|fault| fault.reason)?;
        push(&mut list, next, &keyword).map_err(|fault| fault.reason)?;
    }
    Ok(list)
}

fn transform(text: &str, input: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut out = b"left over".to_vec();
    run(&list(text).unwrap(), input, &mut out, &mut Scratch::default()).map(|()| out)
}

/// Outputs are those of Suricata 7.0.10, tried one by one with `http.request_body`.
#[test]
fn transforms_as_suricata_7() {
    let cases: &[(&str, &[u8], &[u8])] = &[
        ("", b"as it is", b"as it is"),
        ("strip_whitespace", b"a \t\n\x0b\x0c\r b  c", b"abc"),
        ("strip_whitespace", b"x\t\t y\xa0", b"xy\xa0"),
        ("strip_whitespace", b"   ", b""),
        ("compress_whitespace", b"a \t\n\x0b\x0c\r b  c", b"a b c"),
        ("compress_whitespace", b"x\t\t y\x85\xa0 z", b"x\ty\x85\xa0 z"),
        ("url_decode", b"ab%%41%+%4+%4", b"ab%A% %4 %4"),
        ("url_decode", b"%u0041%41", b"%u0041A"),
        ("dotprefix", b"abc", b".abc"),
        ("strip_whitespace; dotprefix", b"   ", b""),
        ("to_lowercase", b"aB\xc4", b"ab\xc4"),
        ("to_uppercase", b"aB\xe4", b"AB\xe4"),
        (r#"xor:"0d0ac8ff""#, b"hello world", b"\x65\x6f\xa4\x93\x62\x2a\xbf\x90\x7f\x66\xac"),
        (r#"pcrexform:"l+(.*)d""#, b"hello world", b"o worl"),
        (r#"pcrexform:"/e(.*)/""#, b"/ello/", b"llo"),
        ("header_lowercase", b"Hdr-A: Val:B\r\nX-Y:Z\n:M: G\n", b"hdr-a: Val:B\r\nx-y:Z\n:M: G\n"),
        ("strip_pseudo_headers", b":m: x\r\nA: b\r\n:p\n\nB", b"A: b\r\n\nB"),
        ("to_md5", b"hello", b"\x5d\x41\x40\x2a\xbc\x4b\x2a\x76\xb9\x71\x9d\x91\x10\x17\xc5\x92"),
        (
            "strip_whitespace; to_md5",
            b"   ",
            b"\xd4\x1d\x8c\xd9\x8f\x00\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42\x7e",
        ),
        ("compress_whitespace; dotprefix; url_decode", b"a  b", b".a b"),
    ];
    for (text, input, expected) in cases {
        assert_eq!(transform(text, input).unwrap(), *expected, "{text} of {input:?}");
    }
}

/// From the user guide of Suricata 8 and of its development version.
#[test]
fn transforms_as_documented() {
    let curl = b"curl/7.64.1";
    let cases: &[(&str, &[u8], &[u8])] = &[
        ("from_base64", b"VGhpcyBpcyBTdXJpY2F0YQ==", b"This is Suricata"),
        ("from_base64: offset 6, mode rfc4648", b"/?arg=dGhpc2lzYXRlc3QK", b"thisisatest\n"),
        ("from_base64: offset 10", b"/?arg=dGhpc2lzYXRlc3QK", b"sisatest\n"),
        ("from_base64: bytes 6, offset 6", b"/?arg=dGhpc2lzYXRlc3QK", b"this"),
        ("from_base64: offset 6, mode strict", b"/?arg=dGhpc2lzYXRlc3QK", b"thisisatest\n"),
        ("from_base64: mode rfc2045,offset 6", b"/?arg=Zm 9v Ym Fy", b"foobar"),
        ("from_base64: offset 6, mode rfc4648", b"/?arg=Zm 9v Ym Fy", b"f"),
        ("domain", b"www.suricata.io", b"suricata.io"),
        ("domain", b"www.bbc.co.uk", b"bbc.co.uk"),
        ("domain", b"WWW.Bbc.Co.uK", b"Bbc.Co.uK"),
        ("domain", b"co.uk", b""),
        ("tld", b"www.suricata.io", b"io"),
        ("tld", b"www.bbc.CO.uk", b"CO.uk"),
        ("subslice: 1", b"This is Suricata", b"his is Suricata"),
        ("subslice: 0, 13", b"This is Suricata", b"This is Suric"),
        ("subslice: -3", b"This is Suricata", b"ata"),
        ("subslice: 13,-12", b"this is suricata", b" is surica".get(..9).unwrap()),
        ("subslice: -20, 5, truncate", b"This is Suricata", b"This "),
        ("subslice: -17", b"This is Suricata", b""),
        ("subslice: 5", curl, b"7.64.1"),
        ("subslice: -20", curl, b""),
        ("subslice: -20, truncate", curl, curl),
        ("subslice: -20, 5", curl, b""),
        ("subslice: -20, 5, TRUNCATE", curl, b"curl/"),
        ("subslice: 0, -30", curl, b""),
        ("subslice: 0, -30, truncate", curl, b""),
        ("subslice: 0, -8", curl, b"cur"),
        ("subslice: -20, -30, truncate", curl, b""),
        ("subslice: 0, 30", curl, b""),
        ("subslice: 0, 30, truncate", curl, curl),
    ];
    for (text, input, expected) in cases {
        let output = transform(text, input).unwrap();
        assert_eq!(output, *expected, "{text} of {}", String::from_utf8_lossy(input));
    }
}

#[test]
fn fails_without_a_buffer() {
    for (text, input, expected) in [
        (r#"pcrexform:"nothere(.*)""#, "hello", Failed::NoCapture),
        (r#"pcrexform:"h(x)?e""#, "hello", Failed::NoCapture),
        ("from_base64", "!!!!", Failed::NotBase64),
        ("from_base64: offset 9", "Zm9v", Failed::NotBase64),
        ("from_base64: bytes 5", "Zm9v", Failed::NotBase64),
        ("from_base64: mode strict", "Zm9vZg", Failed::NotBase64),
        (r#"pcrexform:"(x)"; to_md5"#, "hello", Failed::NoCapture),
    ] {
        let mut out = b"left over".to_vec();
        let list = list(text).unwrap();
        let result = run(&list, input.as_bytes(), &mut out, &mut Scratch::default());
        assert_eq!((result, out.is_empty()), (Err(expected), true), "{text}");
    }
}

#[test]
fn refuses_what_it_cannot_do() {
    for (text, reason) in [
        ("strip_whitespace:1", "takes no value"),
        ("xor", "needs a value"),
        (r#"xor:"""#, "two hexadecimal digits"),
        (r#"xor:"0d0""#, "two hexadecimal digits"),
        (r#"xor:"0D 0A""#, "two hexadecimal digits"),
        (r#"xor:"+d""#, "two hexadecimal digits"),
        ("xor:var 1 0", "two hexadecimal digits"),
        ("pcrexform:e(.*)", "double quotes"),
        (r#"pcrexform:"he""#, "exactly one group that captures, this has 0"),
        (r#"pcrexform:"(h)(e)""#, "exactly one group that captures, this has 2"),
        (r#"pcrexform:"x(""#, "unclosed group"),
        (r#"pcrexform:"(a)(?=b)""#, "look-around"),
        (r#"pcrexform:"((?:a{1000}){1000})""#, "larger"),
        ("from_base64: bytes 4, offset 70000", "between 0 and 65535"),
        ("from_base64: mode other", "modes are"),
        ("from_base64: mode strict, mode strict", "twice"),
        ("from_base64: bytes var", "not a number"),
        ("from_base64: size 4", "settings are"),
        ("gunzip: max-size 0", "between 1 and 16777216"),
        ("gunzip: max-size=17mb", "between 1 and 16"),
        ("gunzip: max-size=1tb", "units"),
        ("gunzip: max-size1", "only setting"),
        ("zlib_deflate: size=1", "only setting"),
        ("subslice", "needs a value"),
        ("subslice: truncate", "not a number"),
        ("subslice: 1, 0", "always empty"),
        ("subslice: 1, 2, 3", "takes an offset"),
        ("subslice: 1 1", "not a number"),
        (&"dotprefix;".repeat(17), "more than 16 transforms"),
        ("nosuch", "not a transform"),
    ] {
        let found = list(text).unwrap_err();
        assert!(found.contains(reason), "{text}: {found}");
    }
    assert!(list(&"dotprefix;".repeat(16)).is_ok());
    let key = "41".repeat(256);
    assert!(list(&format!("xor:{key}")).is_err());
    assert!(list(&format!("xor:{}", &key[2..])).is_ok());
}

/// What Suricata 7.0.10 refuses, but for the two at the end, which it refuses although they can match.
#[test]
fn contents_that_can_never_match() {
    for (text, content, expected) in [
        ("strip_whitespace", "a b", false),
        ("compress_whitespace", "a  b", false),
        ("compress_whitespace", "a\t\nb", false),
        ("compress_whitespace", "a b", true),
        ("to_lowercase", "Hello", false),
        ("to_lowercase", "hello", true),
        ("to_uppercase", "HELLo", false),
        ("to_md5", "0123456789abcdefg", false),
        ("to_md5", "0123456789abcdef", true),
        ("dotprefix; to_sha1; dotprefix", "0123456789abcdef01234", true),
        ("dotprefix; to_sha1; dotprefix", "0123456789abcdef012345", false),
        ("gunzip", &"x".repeat(1025), false),
        ("to_lowercase; to_uppercase", "HELLO", true),
        ("strip_whitespace; to_md5", "a b", true),
    ] {
        let promise = Promise::of(&list(text).unwrap());
        assert_eq!(promise.allows(content.as_bytes(), false), expected, "{text}: {content}");
    }
    let lower = Promise::of(&list("to_lowercase").unwrap());
    assert!(lower.allows(b"Hello", true));
    let word = Word { text: "content", start: 5 };
    let fault = lower.verify(b"Hello", false, &Use { name: word, value: None }).unwrap_err();
    assert_eq!(fault.span, word.span());
    assert_eq!(
        fault.reason,
        "this content can never match: the buffer is transformed to lower case"
    );
}

/// The first part was tried with Suricata 7.0.10 (`base64_decode`); the second differs from it.
#[test]
fn decodes_base64() {
    let cases: &[(Mode, &[u8], &[u8], usize)] = &[
        (Mode::Rfc4648, b"SGVsbG8gV29ybGQ=", b"Hello World", 16),
        (Mode::Rfc4648, b"SGVsbG8gV29ybGQ", b"Hello World", 15),
        (Mode::Rfc4648, b"SGVsbG8gV29ybGQ!xx", b"Hello World", 15),
        (Mode::Rfc4648, b"SGVsbG8gV29ybG!!", b"Hello Worl", 14),
        (Mode::Rfc4648, b"SGVsbG8gV29yb", b"Hello Wor", 12),
        (Mode::Rfc4648, b"SGVs\r\nbG8g", b"Hel", 4),
        (Mode::Rfc4648, b"Zg==Zg==", b"ff", 8),
        (Mode::Rfc4648, b"Zm=vZm9v", b"f`foo", 8),
        (Mode::Rfc4648, b"=Zm9Zm9v", b"\x01\x99foo", 8),
        (Mode::Rfc4648, b"====Zm9v", b"foo", 8),
        (Mode::Rfc4648, b"Z===Zm9v", b"foo", 8),
        (Mode::Rfc4648, b"Zm9v=", b"foo", 4),
        (Mode::Rfc4648, b"Zm9v_-Zm", b"foo", 4),
        (Mode::Rfc4648, b"", b"", 0),
        // Suricata 7 gives `Hello Worl`, `food` and `food\0`.
        (Mode::Rfc4648, b"SGVsbG8gV29yb!", b"Hello Wor", 12),
        (Mode::Rfc4648, b"Zm9vZ=", b"foo", 4),
        (Mode::Rfc4648, b"Zm9vZ==", b"foo", 4),
        (Mode::Rfc2045, b"SGVs bG8 gV29y bGQ=", b"Hello World", 19),
        (Mode::Rfc2045, b"SGVs bG8 gV29y bGQ", b"Hello Wor", 14),
        (Mode::Rfc2045, b"0YPhA d H", b"\xd1\x83\xe1", 4),
        (Mode::Rfc2045, b"Zm$9vYm.Fy", b"foobar", 10),
        (Mode::Strict, b"Zm9vYg==", b"foob", 8),
        (Mode::Strict, b"Zm9vYmE=", b"fooba", 8),
        (Mode::Strict, b"Zm9vYmFy", b"foobar", 8),
        (Mode::Strict, b"Zm9vYm", b"", 0),
        (Mode::Strict, b"Zm9v!m==", b"", 0),
        (Mode::Strict, b"Zg==Zm9v", b"", 0),
        (Mode::Strict, b"Zh==", b"", 0),
        (Mode::Strict, b"Zm9=", b"", 0),
        (Mode::Strict, b"Z===", b"", 0),
    ];
    for (mode, input, expected, consumed) in cases {
        let mut out = Vec::new();
        let found = decode(*mode, input, &mut out);
        let name = format!("{mode:?} {}", String::from_utf8_lossy(input));
        assert_eq!((out.as_slice(), found), (*expected, *consumed), "{name}");
    }
}

#[test]
fn reads_base64_decode() {
    let read = |value: Option<&str>| {
        let word = |text| Word { text, start: 0 };
        Base64Decode::read(&Use { name: word("base64_decode"), value: value.map(word) })
    };
    let value = |bytes, offset, relative| Base64Decode { bytes, offset, relative };
    for (text, expected) in [
        (None, value(65535, 0, false)),
        (Some("bytes 0"), value(65535, 0, false)),
        (Some("relative"), value(65535, 0, true)),
        (Some("offset 0,relative"), value(65535, 0, true)),
        (Some("bytes 150,offset 10,relative"), value(150, 10, true)),
        (Some("bytes  4 , offset\t2"), value(4, 2, false)),
        (Some("relative, offset 2, bytes 4"), value(4, 2, true)),
        (Some("offset 4294967295"), value(65535, u32::MAX, false)),
    ] {
        assert_eq!(read(text), Ok(expected), "{text:?}");
    }
    for text in [
        "foo",
        "",
        "bytes",
        "bytes 65536",
        "offset 4294967296",
        "bytes -1",
        "relative 1",
        "relative,relative",
        "bytes 1, bytes 1",
        "bytes 4 offset 2",
        "bytes 1,,relative",
    ] {
        assert!(read(Some(text)).is_err(), "{text}");
    }
    let mut out = b"left over".to_vec();
    for (text, cursor, expected) in [
        ("relative", 2, "foobar"),
        ("offset 4, relative", 2, "bar"),
        ("bytes 4, relative", 2, "foo"),
        ("bytes 4, offset 2", 0, "foo"),
        ("bytes 3, offset 2", 0, "fo"),
        ("offset 10", 0, ""),
        ("relative", 11, ""),
        ("offset 4294967295, relative", usize::MAX, ""),
    ] {
        let found = read(Some(text)).unwrap().decode(b"xxZm9vYmFy", cursor, &mut out);
        assert_eq!((found, out.as_slice()), (!expected.is_empty(), expected.as_bytes()), "{text}");
    }
}

fn pack(data: &[u8], gzip: bool) -> Vec<u8> {
    use flate2::Compression;
    use std::io::Write;
    let mut packed = Vec::new();
    if gzip {
        let builder = flate2::GzBuilder::new().filename("name").comment("text").extra([1, 2, 3]);
        let mut encoder = builder.write(&mut packed, Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap();
    } else {
        let mut encoder = flate2::write::ZlibEncoder::new(&mut packed, Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap();
    }
    packed
}

#[test]
fn inflates_up_to_a_size() {
    let text = b"This is compressed then base64-encoded";
    for (name, gzip) in [("gunzip", true), ("zlib_deflate", false)] {
        let packed = pack(text, gzip);
        assert_eq!(transform(name, &packed).unwrap(), text);
        assert_eq!(transform(&format!("{name}: max-size 4"), &packed).unwrap(), b"This");
        assert_eq!(transform(&format!("{name}: max-size=38"), &packed).unwrap(), text);
        // What follows the data is of no account; damage and a missing end are.
        assert_eq!(transform(name, &[&packed[..], b"more"].concat()).unwrap(), text);
        for end in 0..packed.len() {
            assert_eq!(transform(name, &packed[..end]).unwrap(), b"", "{name} {end}");
        }
        let mut damaged = packed.clone();
        *damaged.iter_mut().rev().nth(5).unwrap() ^= 1;
        assert_eq!(transform(name, &damaged).unwrap(), b"");
        // A bomb.
        let bomb = pack(&vec![0; 50 << 20], gzip);
        assert_eq!(transform(name, &bomb).unwrap().len(), 1024);
        assert_eq!(transform(&format!("{name}: max-size=1MiB"), &bomb).unwrap().len(), 1 << 20);
    }
    let mut header_crc = vec![0x1f, 0x8b, 8, 2, 0, 0, 0, 0, 0, 0];
    let mut crc = flate2::Crc::new();
    crc.update(&header_crc);
    let sum = (crc.sum() as u16).to_le_bytes();
    let plain = flate2::GzBuilder::new();
    let mut encoder = plain.write(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, text).unwrap();
    let body = encoder.finish().unwrap()[10..].to_vec();
    header_crc.extend(sum);
    header_crc.extend(&body);
    assert_eq!(transform("gunzip", &header_crc).unwrap(), text);
    header_crc[10] ^= 1;
    assert_eq!(transform("gunzip", &header_crc).unwrap(), b"");
}

#[test]
fn equal_lists_are_equal() {
    let set = |text: &str| std::collections::HashSet::from([list(text).unwrap()]);
    for text in [r#"pcrexform:"(a)"; xor:"41""#, "from_base64: offset 1", "subslice: 1,2"] {
        assert!(set(text).contains(&list(text).unwrap()));
    }
    assert!(!set(r#"pcrexform:"(a)""#).contains(&list(r#"pcrexform:"(b)""#).unwrap()));
    assert!(!set("to_md5; dotprefix").contains(&list("dotprefix; to_md5").unwrap()));
}

/// The two buffers stay where they are: a second run allocates none.
#[test]
fn buffers_are_kept() {
    let list = list("dotprefix; url_decode; gunzip; to_lowercase; dotprefix").unwrap();
    let (mut out, mut scratch) = (Vec::new(), Scratch::default());
    let input = [0x1f; 100];
    run(&list, &input, &mut out, &mut scratch).unwrap();
    run(&list, &input, &mut out, &mut scratch).unwrap();
    let places = |out: &Vec<u8>, scratch: &Scratch| {
        let mut places = [out.as_ptr() as usize, scratch.spare.as_ptr() as usize];
        places.sort_unstable();
        places
    };
    let before = places(&out, &scratch);
    for _ in 0..10 {
        run(&list, &input, &mut out, &mut scratch).unwrap();
        assert_eq!(places(&out, &scratch), before);
    }
}

const ANY: [&str; 24] = [
    "dotprefix",
    "strip_whitespace",
    "compress_whitespace",
    "to_lowercase",
    "to_uppercase",
    "to_md5",
    "to_sha1",
    "to_sha256",
    "url_decode",
    "header_lowercase",
    "strip_pseudo_headers",
    "domain",
    "tld",
    r#"xor:"41""#,
    r#"xor:"0d0ac8ff""#,
    r#"pcrexform:"a(.*)""#,
    r#"pcrexform:"([a-z\s]+)""#,
    "from_base64",
    "from_base64: bytes 8, offset 1, mode rfc2045",
    "gunzip: max-size=64",
    "zlib_deflate",
    "subslice: 1, 9, truncate",
    "subslice: -5",
    "subslice: 0, -2",
];

fn any_list() -> impl Strategy<Value = Vec<Transform>> {
    proptest::collection::vec(proptest::sample::select(&ANY[..]), 0..6)
        .prop_map(|names| list(&names.join(";")).unwrap())
}

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => proptest::sample::select(&b" \t\n\r:%+=.aAbBfFzZ09/"[..]),
        1 => any::<u8>(),
    ];
    proptest::collection::vec(byte, 0..200)
}

proptest! {
    #[test]
    fn bounds_and_promises_hold(list in any_list(), input in any_text()) {
        let mut out = Vec::new();
        let result = run(&list, &input, &mut out, &mut Scratch::default());
        prop_assert!(out.len() <= most(&list, input.len()));
        prop_assert!(result.is_ok() || out.is_empty());
        // Whatever part of it a rule may look for is allowed.
        prop_assert!(Promise::of(&list).allows(&out, false));
    }

    #[test]
    fn a_list_is_its_parts(list in any_list(), input in any_text(), at in 0usize..6) {
        let at = at.min(list.len());
        let mut scratch = Scratch::default();
        let (mut whole, mut half, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        let expected = run(&list, &input, &mut whole, &mut scratch);
        let found = run(&list[..at], &input, &mut half, &mut scratch)
            .and_then(|()| run(&list[at..], &half, &mut rest, &mut scratch));
        prop_assert_eq!((expected, whole), (found, rest));
    }

    #[test]
    fn again_changes_nothing(input in any_text()) {
        for text in [
            "strip_whitespace", "compress_whitespace", "to_lowercase", "to_uppercase",
            "header_lowercase", "subslice: 0, 9, truncate",
        ] {
            let once = transform(text, &input).unwrap();
            prop_assert_eq!(transform(text, &once).unwrap(), once, "{}", text);
        }
        prop_assert_eq!(&transform(r#"xor:"0d0ac8"; xor:"0d0ac8""#, &input).unwrap(), &input);
    }

    #[test]
    fn digests_are_those_of_the_crates(input in any_text()) {
        prop_assert_eq!(transform("to_md5", &input).unwrap(), md5::Md5::digest(&input).to_vec());
        prop_assert_eq!(transform("to_sha1", &input).unwrap(), sha1::Sha1::digest(&input).to_vec());
        let sha256 = sha2::Sha256::digest(&input).to_vec();
        prop_assert_eq!(transform("to_sha256", &input).unwrap(), sha256);
    }

    #[test]
    fn slices_are_those_of_a_simple_reading(
        input in any_text(), offset in -250i64..250, length in -250i64..250, truncate: bool,
    ) {
        prop_assume!(length != 0);
        let size = input.len() as i64;
        let start = if offset < 0 { size + offset } else { offset };
        let clamped = start.max(0).min(size);
        let end = if length < 0 { size + length } else { clamped + length };
        let (low, high) = (start.min(end), start.max(end));
        let inside = |at: i64| (0..=size).contains(&at);
        let expected: Vec<u8> = if truncate || (inside(start) && inside(end)) {
            let (low, high) = (low.max(0), high);
            (0..size).filter(|at| low <= *at && *at < high).map(|at| input[at as usize]).collect()
        } else {
            Vec::new()
        };
        let mut text = format!("subslice: {offset}, {length}");
        if truncate {
            text.push_str(", truncate");
        }
        prop_assert_eq!(transform(&text, &input).unwrap(), expected, "{}", text);
    }

    /// Against an encoder, and a decoder that works bit by bit.
    #[test]
    fn base64_is_undone(data in proptest::collection::vec(any::<u8>(), 1..60), folded in 1usize..9) {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = Vec::new();
        for group in data.chunks(3) {
            let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
            let bits = bits << (8 * (3 - group.len()));
            for at in 0..4 {
                let value = (bits >> (18 - 6 * at)) as usize & 63;
                text.push(if at > group.len() { b'=' } else { ALPHABET[value] });
            }
        }
        for mode in [Mode::Rfc4648, Mode::Rfc2045, Mode::Strict] {
            let mut out = Vec::new();
            prop_assert_eq!(decode(mode, &text, &mut out), text.len());
            prop_assert_eq!(&out, &data);
        }
        let lines = text.chunks(folded).collect::<Vec<_>>().join(&b"\r\n"[..]);
        let mut out = Vec::new();
        decode(Mode::Rfc2045, &lines, &mut out);
        prop_assert_eq!(&out, &data);
        let bare: Vec<u8> = text.iter().copied().filter(|byte| *byte != b'=').collect();
        out.clear();
        prop_assert_eq!(decode(Mode::Rfc4648, &bare, &mut out), bare.len());
        prop_assert_eq!(&out, &data);
    }

    #[test]
    fn packed_data_is_unpacked(data in any_text()) {
        for (name, gzip) in [("gunzip", true), ("zlib_deflate", false)] {
            prop_assert_eq!(&transform(name, &pack(&data, gzip)).unwrap(), &data);
        }
    }
}
