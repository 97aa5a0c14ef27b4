//! The kinds of value a set holds: which bytes of a buffer are a value, and how a value is written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

/// Padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the values of a set are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Any bytes; base64 in files.
    String,
    /// The 16 bytes of a digest; hexadecimal in files.
    Md5,
    /// The 32 bytes of a digest; hexadecimal in files.
    Sha256,
    /// An IPv4 address.
    Ipv4,
    /// An address of either family; an IPv4 address is the same as the IPv6 address that maps it.
    Ip,
}

impl Kind {
    /// The words of `type`.
    pub const NAMES: [&'static str; 6] = ["string", "md5", "sha256", "ipv4", "ipv6", "ip"];

    /// The kind that `type` names. `ipv6` is an older word for `ip`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::String,
            "md5" => Self::Md5,
            "sha256" => Self::Sha256,
            "ipv4" => Self::Ipv4,
            "ip" | "ipv6" => Self::Ip,
            _ => return None,
        })
    }

    /// The word of `type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
            Self::Ipv4 => "ipv4",
            Self::Ip => "ip",
        }
    }

    /// The buffer as a value of this kind; `None` where it is not one by its length.
    #[inline]
    pub(super) fn value<'a>(self, buffer: &'a [u8], mapped: &'a mut [u8; 16]) -> Option<&'a [u8]> {
        let length = buffer.len();
        match self {
            Self::String => (length > 0).then_some(buffer),
            Self::Md5 => (length == 16).then_some(buffer),
            Self::Sha256 => (length == 32).then_some(buffer),
            Self::Ipv4 => (length == 4).then_some(buffer),
            Self::Ip if length == 16 => Some(buffer),
            Self::Ip => {
                let octets = <[u8; 4]>::try_from(buffer).ok()?;
                *mapped = Ipv4Addr::from(octets).to_ipv6_mapped().octets();
                Some(mapped)
            }
        }
    }

    /// Appends the value a line of a CSV file writes. `None`, and nothing appended, where it writes none.
    pub(super) fn read(self, text: &str, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::String => {
                let from = out.len();
                if BASE64.decode_vec(text, out).is_err() || out.len() == from {
                    out.truncate(from);
                    return None;
                }
                Some(())
            }
            _ => self.read_plain(text, out),
        }
    }

    /// The same for JSON, where a string is written as it is.
    pub(super) fn read_plain(self, text: &str, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::String => (!text.is_empty()).then(|| out.extend_from_slice(text.as_bytes())),
            Self::Md5 => digest::<16>(text, out),
            Self::Sha256 => digest::<32>(text, out),
            Self::Ipv4 => text.parse::<Ipv4Addr>().ok().map(|ip| out.extend(ip.octets())),
            Self::Ip => {
                let address = match text.parse().ok()? {
                    IpAddr::V4(address) => address.to_ipv6_mapped(),
                    IpAddr::V6(address) => address,
                };
                out.extend(address.octets());
                Some(())
            }
        }
    }

    /// Appends a value as a line of a CSV file has it.
    pub(super) fn write(self, value: &[u8], out: &mut String) {
        match self {
            Self::String => STANDARD.encode_string(value, out),
            Self::Md5 | Self::Sha256 => {
                let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
                out.extend(value.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
            }
            Self::Ipv4 => {
                if let Ok(octets) = <[u8; 4]>::try_from(value) {
                    out.push_str(&Ipv4Addr::from(octets).to_string());
                }
            }
            Self::Ip => {
                if let Ok(octets) = <[u8; 16]>::try_from(value) {
                    out.push_str(&Ipv6Addr::from(octets).to_canonical().to_string());
                }
            }
        }
    }
}

fn digest<const N: usize>(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        for digit in pair {
            *byte = (*byte << 4) | u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        }
    }
    out.extend(bytes);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_values() {
        let digest = "00ff5920f4b44b27a802bd77c4f0536f";
        for (kind, text, value, written) in [
            (Kind::String, "Z29vZ2xlLmNvbQ==", Some(&b"google.com"[..]), "Z29vZ2xlLmNvbQ=="),
            (Kind::String, "Z29vZ2xlLmNvbQ", Some(b"google.com"), "Z29vZ2xlLmNvbQ=="),
            (Kind::String, "google.com", None, ""),
            (Kind::String, "", None, ""),
            (Kind::Ipv4, "1.2.3.4", Some(&[1, 2, 3, 4]), "1.2.3.4"),
            (Kind::Ipv4, "1.2.3", None, ""),
            (Kind::Ipv4, "::1", None, ""),
            (Kind::Md5, &digest[1..], None, ""),
            (Kind::Md5, "zz", None, ""),
            (Kind::Sha256, digest, None, ""),
        ] {
            let mut out = Vec::new();
            assert_eq!(kind.read(text, &mut out).is_some(), value.is_some(), "{text}");
            assert_eq!(out, value.unwrap_or_default(), "{text}");
            let mut line = String::new();
            if let Some(value) = value {
                kind.write(value, &mut line);
            }
            assert_eq!(line, written);
        }
        for (kind, text, written) in [
            (Kind::Md5, digest, digest),
            (Kind::Md5, "00FF5920F4B44B27A802BD77C4F0536F", digest),
            (Kind::Ip, "1.2.3.4", "1.2.3.4"),
            (Kind::Ip, "::ffff:1.2.3.4", "1.2.3.4"),
            (Kind::Ip, "2001:DB8::0:1", "2001:db8::1"),
        ] {
            let (mut out, mut line) = (Vec::new(), String::new());
            kind.read(text, &mut out).unwrap();
            kind.write(&out, &mut line);
            assert_eq!(line, written);
        }
    }

    #[test]
    fn buffers_are_values_by_their_length() {
        let bytes = [7; 33];
        for (kind, lengths) in [
            (Kind::String, (1..34).collect::<Vec<_>>()),
            (Kind::Md5, vec![16]),
            (Kind::Sha256, vec![32]),
            (Kind::Ipv4, vec![4]),
            (Kind::Ip, vec![4, 16]),
        ] {
            let is_value = |length: &usize| kind.value(&bytes[..*length], &mut [0; 16]).is_some();
            assert_eq!((0..34).filter(is_value).collect::<Vec<_>>(), lengths, "{kind:?}");
            assert_eq!(Kind::named(kind.name()), Some(kind));
        }
    }
}
