//! `id`, `tos` and `ipopts`: fields of the IPv4 header (Suricata user guide, "IP Keywords"). No IPv6 packet
//! fulfils them.
//!
//! `id` and `tos` take every comparison; `tos` also hexadecimal numbers, `x10`. One difference on purpose:
//! Suricata 7 loads `ipopts:any` and never matches it; this matches any option, as the guide has it.

use super::number::{Comparison, comparison};
use super::value::{Fault, Use, Word};
use super::{Draft, Keyword};
use crate::decode::{Ip, Ipv4, Packet};
use crate::detect::check::Check;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "id", apply: id },
    Keyword { name: "tos", apply: tos },
    Keyword { name: "ipopts", apply: options },
];

/// `id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpId(pub Comparison<u16>);

/// `tos`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tos(pub Comparison<u8>);

/// `ipopts`: the option's type, or `None` for any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpOption(pub Option<u8>);

impl IpId {
    /// Whether the packet's identification is as asked for.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        header(packet).is_some_and(|ip| self.0.holds(ip.id))
    }
}

impl Tos {
    /// Whether the packet's type of service is as asked for.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        header(packet).is_some_and(|ip| self.0.holds(ip.tos))
    }
}

impl IpOption {
    /// Whether the packet has the option.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        let list = header(packet).and_then(|ip| ip.header.get(20..)).unwrap_or_default();
        !list.is_empty() && self.is_in(list)
    }

    /// The list ends at its end, or where the length of an option lies.
    fn is_in(&self, mut list: &[u8]) -> bool {
        while let Some((&kind, rest)) = list.split_first() {
            let rest = match (kind, rest) {
                (END | NO_OPERATION, rest) => Some(rest),
                (_, [length, ..]) if *length > 1 => list.get(usize::from(*length)..),
                _ => None,
            };
            let Some(rest) = rest else { return false };
            if self.0.is_none_or(|wanted| wanted == kind) {
                return true;
            }
            if kind == END {
                return false;
            }
            list = rest;
        }
        false
    }
}

fn header<'p, 'a>(packet: &'p Packet<'a>) -> Option<&'p Ipv4<'a>> {
    match &packet.ip {
        Some(Ip::V4(ip)) => Some(ip),
        _ => None,
    }
}

fn id(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::IpId(IpId(comparison(keyword.value()?)?)));
    Ok(())
}

fn tos(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::Tos(Tos(parse_tos(keyword.value()?.trim().unquote())?)));
    Ok(())
}

fn parse_tos(word: Word<'_>) -> Result<Comparison<u8>, Fault> {
    let (negated, rest) = match word.strip_prefix("!") {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let Some(digits) = rest.strip_prefix("x").or_else(|| rest.strip_prefix("X")) else {
        return comparison(word);
    };
    let value = Some(digits.text)
        .filter(|text| matches!(text.len(), 1..=2) && text.bytes().all(|b| b.is_ascii_hexdigit()))
        .and_then(|text| u8::from_str_radix(text, 16).ok())
        .ok_or_else(|| digits.bad("one or two hexadecimal digits stand behind the `x`"))?;
    Ok(match negated {
        true => Comparison::Not(value),
        false => Comparison::Within(value, value),
    })
}

const END: u8 = 0;
const NO_OPERATION: u8 = 1;

/// Names and types (RFC 791, 3.1; RFC 1108).
const OPTIONS: [(&str, Option<u8>); 10] = [
    ("rr", Some(7)),
    ("eol", Some(END)),
    ("nop", Some(NO_OPERATION)),
    ("ts", Some(68)),
    ("sec", Some(130)),
    ("esec", Some(133)),
    ("lsrr", Some(131)),
    ("ssrr", Some(137)),
    ("satid", Some(136)),
    ("any", None),
];

fn options(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let name = keyword.value()?.trim();
    let (_, option) = OPTIONS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name.text))
        .ok_or_else(|| {
            name.bad(format!("`{}` is not an IP option that rules can name", name.text))
                .help("the options are rr, eol, nop, ts, sec, esec, lsrr, ssrr, satid and any")
        })?;
    draft.checks.push(Check::IpOption(IpOption(*option)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tos_as_suricata_reads_it() {
        let read = |text| parse_tos(Word { text, start: 0 });
        for (text, expected) in [
            ("8", Comparison::Within(8, 8)),
            ("x10", Comparison::Within(16, 16)),
            ("X0f", Comparison::Within(15, 15)),
            ("!x10", Comparison::Not(16)),
            ("! 3", Comparison::Not(3)),
            ("003", Comparison::Within(3, 3)),
            (">3", Comparison::Within(4, 255)),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        for text in ["x", "x100", "0x10", "256", "!256", "", "x1g", "x+1"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    /// The lists and what Suricata 7.0.10 found in them.
    #[test]
    fn options_are_found_in_the_list() {
        let lists: [(&[u8], &str); 12] = [
            (&[7, 7, 4, 1, 1, 1, 1, 0], "rr eol any"),
            (&[1, 1, 1, 1], "nop any"),
            (&[0, 0, 0, 0], "eol any"),
            (&[68, 8, 9, 0, 0, 0, 0, 0], "ts any"),
            (&[130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "sec eol any"),
            (&[131, 7, 4, 1, 1, 1, 1, 0], "lsrr eol any"),
            (&[137, 7, 4, 1, 1, 1, 1, 0], "ssrr eol any"),
            (&[136, 4, 0, 1], "satid any"),
            (&[133, 4, 0, 1], "esec any"),
            (&[148, 4, 0, 0], "any"),
            (&[7, 7, 4, 1, 1, 1, 1, 136, 4, 0, 1, 0], "rr satid eol any"),
            (&[7, 9, 4, 1], ""),
        ];
        for (list, expected) in lists {
            let found: Vec<&str> = OPTIONS
                .iter()
                .filter(|(_, option)| IpOption(*option).is_in(list))
                .map(|(name, _)| *name)
                .collect();
            let mut expected: Vec<&str> = expected.split_whitespace().collect();
            let place = |name: &&str| OPTIONS.iter().position(|(known, _)| known == name);
            expected.sort_by_key(place);
            assert_eq!(found, expected, "{list:?}");
        }
    }
}
