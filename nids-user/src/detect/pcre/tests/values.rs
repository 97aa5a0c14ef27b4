//! Values as they stand in rules.

use super::super::{BufferFlag, Capture, Scope, Target, Value};
use super::find;
use crate::detect::keyword::value::{Fault, Word};

fn read(text: &str) -> Result<Value, Fault> {
    Value::read(Word { text, start: 100 })
}

#[test]
fn patterns_and_flags() {
    let value = read(r#""/^a\/b\x3bc\;d"e/i""#).unwrap();
    assert!(!value.negated && !value.relative && value.caseless);
    assert_eq!(find(&value.regex, b"A/B;C;D\"E", 0), Some((0, 9)));
    assert_eq!((value.span.start, value.span.end), (102, 117));

    let value = read(r#"!"/a/R""#).unwrap();
    assert!(value.negated && value.relative);
    for text in [r#""m#a/b#i""#, r#""m|a/b|i""#, r#""/a/b/i""#, r"/a\/b/i", r#" ! "/a\/b/i" "#] {
        let value = read(text).unwrap();
        assert_eq!(find(&value.regex, b"xA/b", 0), Some((1, 4)), "{text}");
    }
    // A backslash that is escaped itself does not escape the slash behind it.
    assert_eq!(find(&read(r#""/a\\/""#).unwrap().regex, b"a\\", 0), Some((0, 2)));
    let value = read(r#""/a$/smxAEGO""#).unwrap();
    assert!(value.configured_limit);
    assert_eq!(find(&value.regex, b"ba", 0), None);
}

#[test]
fn buffers() {
    for (letter, buffer) in [
        ('U', BufferFlag::Uri),
        ('I', BufferFlag::RawUri),
        ('P', BufferFlag::RequestBody),
        ('Q', BufferFlag::FileData),
        ('H', BufferFlag::Header),
        ('D', BufferFlag::RawHeader),
        ('M', BufferFlag::Method),
        ('C', BufferFlag::Cookie),
        ('K', BufferFlag::RawCookie),
        ('S', BufferFlag::StatCode),
        ('Y', BufferFlag::StatMessage),
        ('V', BufferFlag::UserAgent),
        ('W', BufferFlag::Host),
        ('Z', BufferFlag::RawHost),
    ] {
        assert_eq!(read(&format!("\"/a/i{letter}R\"")).unwrap().buffer, Some(buffer));
    }
    assert!(read(r#""/a/BP""#).is_ok());
    assert!(read(r#""/\x2FA/Wi""#).is_ok());
    assert!(read(r#""/\x2F\Da/W""#).is_ok());
}

#[test]
fn variables() {
    let variable = |group, scope, name: &str| Capture {
        group,
        target: Target::Variable { scope, name: name.to_owned() },
    };
    for text in [
        r#""/([a-z]+)\/[a-z]+\/(.+)\/(.+)\/changelog$/GUR, flow:ua/ubuntu/repo,flow:x/y, pkt:z""#,
        r#""/([a-z]+)\/[a-z]+\/(.+)\/(.+)\/changelog$/GUR", flow:ua/ubuntu/repo,flow:x/y, pkt:z"#,
    ] {
        let value = read(text).unwrap();
        assert_eq!(value.buffer, Some(BufferFlag::Uri));
        let expected = [
            variable(1, Scope::Flow, "ua/ubuntu/repo"),
            variable(2, Scope::Flow, "x/y"),
            variable(3, Scope::Packet, "z"),
        ];
        assert_eq!(value.captures, expected, "{text}");
    }
    let value = read(r#""/(a)(?P<flow_http_x>b)(?<pkt_y>c)(?P<other>d)(?P<alert_z>e)/""#).unwrap();
    let expected = [
        variable(1, Scope::Flow, "http_x"),
        variable(2, Scope::Packet, "y"),
        variable(4, Scope::Alert, "z"),
    ];
    assert_eq!(value.captures, expected, "plain parentheses do not capture");
    let value = read(r#""/(a)=(b)/, pkt:key, pkt:value""#).unwrap();
    let expected = [Capture { group: 1, target: Target::KeyValue { value: 2 } }];
    assert_eq!(value.captures, expected);
    assert_eq!(read(r#""/(a)\1/""#).unwrap().regex.groups(), 1, "they do where one is referred to");
}

#[test]
fn refused() {
    for (text, at, reason) in [
        (r#""a""#, 100, "between slashes"),
        (r#""/a""#, 100, "not closed"),
        (r#""/a/"#, 100, "not closed"),
        (r#""/a/ix" b"#, 106, "only flags"),
        (r#""/a/T""#, 104, "not a flag"),
        (r#""/a/UB""#, 105, "cannot stand with"),
        (r#""/a/BU""#, 105, "cannot stand with"),
        (r#""/a/UH""#, 105, "one buffer"),
        (r#""/aB/W""#, 102, "upper-case"),
        (r#""/a[b/""#, 103, "not closed"),
        (r#""/a/, flow:x""#, 106, "only 0 groups"),
        (r#""/(a)/, flow:x, foo""#, 116, "must begin with"),
        (r#""/(a)/, pkt:value""#, 108, "must follow"),
        (r#""/(a)(b)/, pkt:key, pkt:x""#, 111, "must follow"),
        (
            r#""/(a)(b)(c)(d)(e)(f)(g)(h)(i)/, pkt:a, pkt:b, pkt:c, pkt:d, pkt:e, pkt:f, pkt:g, pkt:h, pkt:i""#,
            102,
            "more than 8",
        ),
    ] {
        let fault = read(text).expect_err(text);
        assert!(fault.reason.contains(reason), "{text}: {fault:?}");
        assert_eq!(fault.span.start, at, "{text}: {fault:?}");
    }
}
