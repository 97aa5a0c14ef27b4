//! `fragbits` and `fragoffset`: the flags and the offset by which IP fragments datagrams (Suricata user
//! guide, "IP Keywords").
//!
//! `fragbits:MD` is exactly these, `+MD` all of these and more, `*MD` any of these, `!MD` not all of these.
//! Snort's rules have the sign behind the bits, where `MD+` is all of these, alone or with more; Suricata 7
//! takes no notice of it there.
//! Only IPv4 has such bits. The offset counts blocks of 8 bytes in IPv4; in IPv6, where a fragment header
//! must be there, it counts bytes: so Suricata has it.

use super::number::{Comparison, comparison};
use super::value::{Fault, Use, Word};
use super::{Draft, Keyword};
use crate::decode::{Ip, Packet};
use crate::detect::check::Check;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] =
    &[Keyword { name: "fragbits", apply: bits }, Keyword { name: "fragoffset", apply: offset }];

const MORE: u8 = 1;
const DONT: u8 = 2;
const RESERVED: u8 = 4;

/// How bits are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Exactly,
    /// These, and one other at least: so Suricata has it.
    More,
    /// These, alone or with others.
    All,
    Any,
    NotAll,
}

/// `fragbits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentBits {
    mode: Mode,
    bits: u8,
}

impl FragmentBits {
    /// Whether the packet is IPv4 with such bits.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        let Some(Ip::V4(ip)) = &packet.ip else { return false };
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        self.hold(
            bit(ip.more_fragments, MORE) | bit(ip.dont_fragment, DONT) | bit(ip.reserved, RESERVED),
        )
    }

    fn hold(&self, bits: u8) -> bool {
        match self.mode {
            Mode::Exactly => bits == self.bits,
            Mode::More => bits & self.bits == self.bits && bits != self.bits,
            Mode::All => bits & self.bits == self.bits,
            Mode::Any => bits & self.bits != 0,
            Mode::NotAll => bits & self.bits != self.bits,
        }
    }
}

/// `fragoffset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentOffset(pub Comparison<u16>);

impl FragmentOffset {
    /// Whether the packet's offset is as asked for.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        match &packet.ip {
            Some(Ip::V4(ip)) => self.0.holds(ip.fragment_offset >> 3),
            Some(Ip::V6(ip)) => ip.fragment.is_some_and(|fragment| self.0.holds(fragment.offset)),
            None => false,
        }
    }
}

fn bits(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::FragmentBits(parse(keyword.value()?.trim())?));
    Ok(())
}

fn parse(word: Word<'_>) -> Result<FragmentBits, Fault> {
    let before = [("+", Mode::More), ("*", Mode::Any), ("!", Mode::NotAll)];
    let behind = [("+", Mode::All), ("*", Mode::Any), ("!", Mode::NotAll)];
    let before = before.iter().find_map(|(sign, mode)| Some((*mode, word.strip_prefix(sign)?)));
    let behind = behind.iter().find_map(|(sign, mode)| Some((*mode, word.strip_suffix(sign)?)));
    let (mode, letters) = before.or(behind).unwrap_or((Mode::Exactly, word));
    let mut parsed = FragmentBits { mode, bits: 0 };
    for (at, letter) in letters.text.char_indices() {
        parsed.bits |= match letter {
            'M' => MORE,
            'D' => DONT,
            'R' => RESERVED,
            _ => {
                let text = letters.text.get(at..at + letter.len_utf8()).unwrap_or(letters.text);
                return Err(Word { text, start: letters.start + at }
                    .bad(format!("`{letter}` is not a bit; the bits are M D R")));
            }
        };
    }
    match parsed.bits {
        0 => Err(word.bad("no bit is named; the bits are M D R")),
        _ => Ok(parsed),
    }
}

fn offset(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::FragmentOffset(FragmentOffset(comparison(keyword.value()?)?)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<FragmentBits, Fault> {
        parse(Word { text, start: 0 })
    }

    /// As Suricata 7.0.10 has it, tried one by one.
    #[test]
    fn compares_as_suricata_does() {
        for (text, holding) in [
            ("M", &[1_u8][..]),
            ("D", &[2]),
            ("MD", &[3]),
            ("DM", &[3]),
            ("MM", &[1]),
            ("MDR", &[7]),
            ("+M", &[3, 5, 7]),
            ("+ MD", &[7]),
            // Snort's.
            ("M+", &[1, 3, 5, 7]),
            ("MD !", &[0, 1, 2, 4, 5, 6]),
            ("*MD", &[1, 2, 3, 5, 6, 7]),
            ("!M", &[0, 2, 4, 6]),
            ("! MD", &[0, 1, 2, 4, 5, 6]),
        ] {
            let bits = read(text).unwrap();
            let found: Vec<u8> = (0..8).filter(|set| bits.hold(*set)).collect();
            assert_eq!(found, holding, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for (text, start, end) in
            [("m", 0, 1), ("MX", 1, 2), ("+M+", 2, 3), ("-M", 0, 1), ("0", 0, 1), ("+", 0, 1)]
        {
            let fault = read(text).unwrap_err();
            assert_eq!((fault.span.start, fault.span.end), (start, end), "{text}");
        }
    }
}
