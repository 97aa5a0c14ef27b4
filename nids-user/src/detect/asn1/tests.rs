use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Asn1, String> {
    let word = |text| Word { text, start: 0 };
    Asn1::read(&Use { name: word("asn1"), value: Some(word(text)) }).map_err(|fault| fault.reason)
}

fn matches(text: &str, payload: &[u8]) -> bool {
    read(text).unwrap().matches(payload, 0)
}

#[test]
fn reads_values() {
    let value = |bits, double, oversize_length, start| Asn1 {
        bitstring_overflow: bits,
        double_overflow: double,
        oversize_length,
        start,
    };
    for (text, expected) in [
        (
            "double_overflow, bitstring_overflow, relative_offset 27, oversize_length 2048",
            value(true, true, Some(2048), Start::Relative(27)),
        ),
        (
            "oversize_length 1024,relative_offset -1",
            value(false, false, Some(1024), Start::Relative(-1)),
        ),
        ("oversize_length 1 absolute_offset 9", value(false, false, Some(1), Start::Absolute(9))),
        ("oversize_length 4294967295", value(false, false, Some(u32::MAX), Start::Absolute(0))),
        ("bitstring_overflow", value(true, false, None, Start::Absolute(0))),
    ] {
        assert_eq!(read(text), Ok(expected), "{text}");
    }
    for (text, reason) in [
        ("", "needs a value"),
        ("oversize_length", "needs a number"),
        ("oversize_length -1", "between 0 and"),
        ("oversize_length 4294967296", "between 0 and"),
        ("bitstring_overflow, absolute_offset 65536", "between 0 and 65535"),
        ("bitstring_overflow, relative_offset -65536", "between -65535 and 65535"),
        ("oversize_length 1024, some_other 360", "unknown setting `some_other`"),
        ("oversize_length 1024,,", "nothing between two commas"),
        ("bitstring_overflowabsolute_offset", "unknown setting"),
        ("absolute_offset 1", "checks nothing"),
        ("double_overflow, double_overflow", "only one"),
        ("double_overflow, absolute_offset 0, relative_offset 0", "one offset"),
    ] {
        let found = read(text).unwrap_err();
        assert!(found.contains(reason), "{text}: {found}");
    }
}

/// The example of X.690, appendix A.3.
fn personnel_record() -> Vec<u8> {
    let record: &[&[u8]] = &[
        b"\x60\x81\x85\x61\x10\x1a\x04John\x1a\x01P\x1a\x05Smith\xa0\x0a\x1a\x08Director",
        b"\x42\x01\x33\xa1\x0a\x43\x0819710917\xa2\x12\x61\x10\x1a\x04Mary\x1a\x01T\x1a\x05Smith",
        b"\xa3\x42\x31\x1f\x61\x11\x1a\x05Ralph\x1a\x01T\x1a\x05Smith\xa0\x0a\x43\x0819571111",
        b"\x31\x1f\x61\x11\x1a\x05Susan\x1a\x01B\x1a\x05Jones\xa0\x0a\x43\x0819590717",
    ];
    record.concat()
}

#[test]
fn checks_elements() {
    let record = personnel_record();
    assert!(matches("oversize_length 132", &record));
    assert!(!matches("oversize_length 133", &record));
    assert!(matches("oversize_length 65", &record[3..]));
    assert!(!matches("oversize_length 1", &[]));

    assert!(matches("bitstring_overflow", b"\x03\x01\xff"));
    assert!(matches("bitstring_overflow", b"\x03\x01\x09"));
    assert!(!matches("bitstring_overflow", b"\x03\x01\x08"));
    assert!(!matches("bitstring_overflow", b"\x03\x00"));
    for other in [b"\x04\x01\xff", b"\x83\x01\xff", b"\x23\x01\xff"] {
        assert!(!matches("bitstring_overflow", other), "not a primitive bit string");
    }
    // Wherever it lies: in a sequence, a context, of indefinite length, behind something else.
    assert!(matches("bitstring_overflow", b"\x30\x05\x05\x00\x03\x01\xff"));
    assert!(matches("bitstring_overflow", b"\xa0\x03\x03\x01\xff"));
    assert!(matches("bitstring_overflow", b"\x30\x80\x05\x00\x00\x00\x03\x01\xff"));
    assert!(matches("bitstring_overflow", b"\x30\x80\xa0\x80\x03\x01\xff\x00\x00"));
    // Not where it does not fit in, or lies behind damage.
    assert!(!matches("bitstring_overflow", b"\x30\x02\x03\x01\xff"));
    assert!(!matches("bitstring_overflow", b"\x05\x80\x03\x01\xff"));
    assert!(!matches("bitstring_overflow", b"\x05\xff\x03\x01\xff"));
    assert!(!matches("bitstring_overflow", b"\x30\x80\x05\x00\x00"));

    for (size, first, expected) in [(257u16, 5, true), (256, 5, false), (257, 0x45, false)] {
        let mut real = vec![first; usize::from(size) + 4];
        real[..4].copy_from_slice(&[9, 0x82, (size >> 8) as u8, size as u8]);
        assert_eq!(matches("double_overflow", &real), expected);
        // It is not in the payload as a whole.
        real.pop();
        assert!(!matches("double_overflow, oversize_length 1", &real));
    }
}

#[test]
fn counts_from_offsets() {
    let payload = b"AA\x03\x01\xff";
    assert!(matches("bitstring_overflow, absolute_offset 2", payload));
    for (text, cursor, expected) in [
        ("bitstring_overflow, relative_offset 0", 2, true),
        ("bitstring_overflow, relative_offset 2", 0, true),
        ("bitstring_overflow, relative_offset -1", 3, true),
        ("bitstring_overflow, relative_offset -1", 0, false),
        ("bitstring_overflow, relative_offset 1", 5, false),
        ("bitstring_overflow, absolute_offset 9", 2, false),
    ] {
        assert_eq!(read(text).unwrap().matches(payload, cursor), expected, "{text} from {cursor}");
    }
    assert!(read("double_overflow, relative_offset 0").unwrap().is_relative());
}

#[test]
fn walks_no_further() {
    let long = |count| [b"\x05\x00".repeat(count), b"\x03\x01\xff".to_vec()].concat();
    assert!(matches("bitstring_overflow", &long(255)));
    assert!(!matches("bitstring_overflow", &long(256)));
    let deep = |count: usize| {
        (0..count).fold(b"\x03\x01\xff".to_vec(), |inner, _| {
            [&[0x30, inner.len() as u8][..], &inner].concat()
        })
    };
    assert!(matches("bitstring_overflow", &deep(29)));
    assert!(!matches("bitstring_overflow", &deep(30)));
}

/// Elements as a recursive reading finds them, with definite lengths of one byte.
fn reference(mut input: &[u8], depth: usize, found: &mut Vec<(u32, Vec<u8>)>) -> bool {
    let mut count = 0;
    while !input.is_empty() {
        count += 1;
        if depth == 0 && count > 256 {
            return false;
        }
        let [tag, length, rest @ ..] = input else { return false };
        let length = usize::from(*length);
        if tag & 0x1f == 0x1f || length > 0x7f || rest.len() < length {
            return false;
        }
        found.push((u32::from(tag & 0x1f), rest[..length].to_vec()));
        if tag & 0x20 != 0 && (depth == 29 || !reference(&rest[..length], depth + 1, found)) {
            return false;
        }
        input = &rest[length..];
    }
    true
}

proptest! {
    #[test]
    fn walks_as_a_recursive_reading(
        input in proptest::collection::vec(
            prop_oneof![4 => 0u8..8, 2 => Just(0x30u8), 1 => any::<u8>()], 0..120,
        )
    ) {
        // Long forms of tag and length are left to the tests above.
        let plain: Vec<u8> = input.iter().map(|byte| byte & 0x7f).map(|byte| {
            if byte & 0x1f == 0x1f { 4 } else { byte }
        }).collect();
        let mut expected = Vec::new();
        reference(&plain, 0, &mut expected);
        let found: Vec<_> =
            Walk::new(&plain).map(|element| (element.tag, element.content.to_vec())).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_end(input in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Walk::new(&input).count() <= input.len() / 2);
    }
}
