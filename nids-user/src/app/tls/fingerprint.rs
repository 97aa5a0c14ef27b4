//! JA3 and JA3S (salesforce/ja3), and JA4 (FoxIO, "JA4: TLS Client Fingerprinting").

use std::fmt::Write;

use md5::{Digest, Md5};
use sha2::Sha256;

use super::hello::{Hello, is_grease};

/// JA3 of a client, as text before it is hashed.
pub fn ja3(hello: &Hello) -> String {
    let formats: Vec<u16> = hello.formats.iter().map(|format| u16::from(*format)).collect();
    let lists = [&hello.ciphers, &hello.extensions, &hello.groups, &formats];
    let mut text = hello.legacy_version.to_string();
    for list in lists {
        text.push(',');
        dashed(&mut text, list);
    }
    text
}

/// JA3S of a server, as text before it is hashed.
pub fn ja3s(hello: &Hello) -> String {
    let mut text = hello.legacy_version.to_string();
    for list in [&hello.ciphers, &hello.extensions] {
        text.push(',');
        dashed(&mut text, list);
    }
    text
}

/// MD5 of such a text, in hexadecimal.
pub fn md5(text: &str) -> String {
    hex(&Md5::digest(text.as_bytes()))
}

fn dashed(text: &mut String, numbers: &[u16]) {
    let mut before = "";
    for number in numbers.iter().filter(|number| !is_grease(**number)) {
        let _ = write!(text, "{before}{number}");
        before = "-";
    }
}

/// JA4 of a client over TCP (`t`) or QUIC (`q`).
pub fn ja4(hello: &Hello, transport: char) -> String {
    let real = |list: &[u16]| list.iter().copied().filter(|it| !is_grease(*it)).collect::<Vec<_>>();
    let (mut ciphers, mut extensions) = (real(&hello.ciphers), real(&hello.extensions));
    let newest = real(&hello.versions).into_iter().max().unwrap_or(hello.legacy_version);
    let version = match newest {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    };
    let sni = if extensions.contains(&0) { 'd' } else { 'i' };
    let mut text = format!(
        "{transport}{version}{sni}{:02}{:02}{}_",
        ciphers.len().min(99),
        extensions.len().min(99),
        alpn(hello.alpn.first().map_or(&[], Vec::as_slice)),
    );
    ciphers.sort_unstable();
    text.push_str(&twelve(&comma(&ciphers)));
    text.push('_');
    // Server name and ALPN vary from server to server.
    extensions.retain(|kind| !matches!(kind, 0 | 16));
    extensions.sort_unstable();
    let mut last = comma(&extensions);
    if !hello.signatures.is_empty() {
        last.push('_');
        last.push_str(&comma(&real(&hello.signatures)));
    }
    text.push_str(&twelve(if extensions.is_empty() { "" } else { &last }));
    text
}

/// First and last character of the first protocol; in hexadecimal where these are not alphanumeric.
fn alpn(protocol: &[u8]) -> String {
    let (Some(first), Some(last)) = (protocol.first(), protocol.last()) else {
        return "00".to_owned();
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(*first), char::from(*last)].iter().collect();
    }
    let digits = "0123456789abcdef".as_bytes();
    let digit = |value: u8| char::from(digits.get(usize::from(value)).copied().unwrap_or(b'0'));
    [digit(first >> 4), digit(last & 0xf)].iter().collect()
}

fn comma(numbers: &[u16]) -> String {
    let mut text = String::new();
    for (place, number) in numbers.iter().enumerate() {
        let _ = write!(text, "{}{number:04x}", if place > 0 { "," } else { "" });
    }
    text
}

/// The first twelve digits of SHA-256.
fn twelve(text: &str) -> String {
    if text.is_empty() {
        return "000000000000".to_owned();
    }
    let mut digits = hex(&Sha256::digest(text.as_bytes()));
    digits.truncate(12);
    digits
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            legacy_version: 0x0303,
            ciphers: vec![0x0a0a, 0x1301, 0x1302, 0xc02b],
            extensions: vec![0x1a1a, 0, 23, 10, 11, 16, 13, 43],
            groups: vec![0x2a2a, 29, 23],
            formats: vec![0],
            signatures: vec![0x0403, 0x0804],
            versions: vec![0x3a3a, 0x0304, 0x0303],
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            ..Hello::default()
        }
    }

    #[test]
    fn grease_is_left_out() {
        assert_eq!(ja3(&hello()), "771,4865-4866-49195,0-23-10-11-16-13-43,29-23,0");
        assert_eq!(ja3(&Hello { legacy_version: 769, ..Hello::default() }), "769,,,,");
        assert!(is_grease(0xfafa) && !is_grease(0x0a1a) && !is_grease(0x1301));
    }

    #[test]
    fn ja3_is_the_digest_of_its_text() {
        // From the README of salesforce/ja3.
        let text = "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0";
        assert_eq!(md5(text), "ada70206e40642a3e4461f35503241d5");
    }

    #[test]
    fn ja4_has_three_parts() {
        let ja4 = ja4(&hello(), 't');
        let (head, rest) = ja4.split_once('_').unwrap();
        assert_eq!(head, "t13d0307h2");
        let sorted = twelve("1301,1302,c02b");
        let others = twelve("000a,000b,000d,0017,002b_0403,0804");
        assert_eq!(rest, format!("{sorted}_{others}"));
        assert_eq!(super::ja4(&Hello::default(), 'q'), "q00i000000_000000000000_000000000000");
    }

    #[test]
    fn alpn_that_is_no_text_is_told_in_hexadecimal() {
        for (protocol, told) in [
            (&b"h2"[..], "h2"),
            (b"http/1.1", "h1"),
            (b"\xab\xcd", "ad"),
            (b"x", "xx"),
            (b"", "00"),
        ] {
            assert_eq!(alpn(protocol), told, "{protocol:?}");
        }
    }
}
