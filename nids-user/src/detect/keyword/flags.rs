//! `flags`, `tcp.flags`: flags of the TCP header (Suricata user guide, "TCP Keywords").
//!
//! `flags:SA` is exactly SYN and ACK, `+` all of these and maybe more, `*` any of these, `!` not all of
//! these; behind a comma stand flags to leave out of account. One difference on purpose: Suricata 7
//! never tries `flags:!S` (or any with S, F, R, U, C, E) on packets without such a flag; this does.

use super::value::{Fault, Use, Word};
use super::{Draft, Keyword};
use crate::decode::{Packet, Tcp};
use crate::detect::check::Check;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] =
    &[Keyword { name: "flags", apply }, Keyword { name: "tcp.flags", apply }];

/// How flags are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Exactly,
    All,
    Any,
    NotAll,
}

/// `flags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    mode: Mode,
    flags: u8,
    /// Flags that count; the others were named behind the comma.
    mask: u8,
}

impl Flags {
    /// Whether the packet is a TCP segment with such flags.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        packet.tcp().is_some_and(|tcp| self.holds(tcp.flags))
    }

    /// Whether these flags of a segment fulfil it.
    pub fn holds(&self, flags: u8) -> bool {
        if self.flags == 0 && flags != 0 {
            // `0` looks at all flags, also at those that are left out of account.
            return self.mode == Mode::NotAll;
        }
        let found = flags & self.mask;
        match self.mode {
            Mode::Exactly => found == self.flags,
            Mode::All => found & self.flags == self.flags,
            Mode::Any => found & self.flags != 0,
            Mode::NotAll => found & self.flags != self.flags,
        }
    }
}

fn apply(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let flags = parse(keyword.value()?)?;
    draft.checks.push(Check::Flags(flags));
    Ok(())
}

fn parse(word: Word<'_>) -> Result<Flags, Fault> {
    let mut parts = word.split(',');
    let wanted = parts.next().unwrap_or(word);
    let ignored = parts.next();
    if let Some(more) = parts.next() {
        return Err(more.bad("only one comma: flags, then flags to leave out of account"));
    }
    let mut parsed = Flags { mode: Mode::Exactly, flags: 0, mask: 0xff };
    let mut any = false;
    for (at, letter) in wanted.text.char_indices() {
        let mode = match letter {
            '+' => Mode::All,
            '*' => Mode::Any,
            '!' => Mode::NotAll,
            '0' => {
                parsed.flags = 0;
                any = true;
                continue;
            }
            _ => {
                parsed.flags |= flag(wanted, at, letter)?;
                any = true;
                continue;
            }
        };
        if parsed.mode != Mode::Exactly {
            return Err(wanted.bad("only one of `+`, `*` and `!`"));
        }
        parsed.mode = mode;
    }
    if !any {
        return Err(wanted.bad("no flag is named"));
    }
    if let Some(ignored) = ignored {
        if ignored.text.is_empty() {
            return Err(word.bad("no flag stands behind the comma"));
        }
        for (at, letter) in ignored.text.char_indices() {
            parsed.mask &= !flag(ignored, at, letter)?;
        }
    }
    if !(0..=u8::MAX).any(|flags| parsed.holds(flags)) {
        return Err(word.bad("no segment can have such flags"));
    }
    Ok(parsed)
}

fn flag(word: Word<'_>, at: usize, letter: char) -> Result<u8, Fault> {
    Ok(match letter {
        'F' => Tcp::FIN,
        'S' => Tcp::SYN,
        'R' => Tcp::RST,
        'P' => Tcp::PSH,
        'A' => Tcp::ACK,
        'U' => Tcp::URG,
        'E' | '2' => Tcp::ECE,
        'C' | '1' => Tcp::CWR,
        _ => {
            let place = word.text.get(at..at + letter.len_utf8()).unwrap_or(word.text);
            return Err(Word { text: place, start: word.start + at }
                .bad(format!("`{letter}` is not a flag; the flags are F S R P A U E C")));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Flags, Fault> {
        parse(Word { text, start: 0 })
    }

    #[test]
    fn compares_as_suricata_does() {
        let (fin, syn, ack, push) = (Tcp::FIN, Tcp::SYN, Tcp::ACK, Tcp::PSH);
        for (text, flags, expected) in [
            ("S", syn, true),
            ("S", syn | ack, false),
            ("S+", syn | ack, true),
            ("+S", syn | ack, true),
            ("*SF", syn | ack, true),
            ("*SF", ack, false),
            ("!SF", syn, true),
            ("!SF", syn | fin | ack, false),
            ("!A", syn, true),
            ("S,12", syn | Tcp::CWR | Tcp::ECE, true),
            ("S,CE", syn | Tcp::CWR | Tcp::ECE, true),
            ("S,12", syn | Tcp::URG, false),
            ("0", 0, true),
            ("0", syn, false),
            ("0,12", Tcp::CWR, false),
            ("!0", ack, true),
            ("!0", 0, false),
            ("+0", 0, true),
            ("+0", ack, false),
            ("SS", syn, true),
            ("S0", 0, true),
            ("AP+", ack | push | fin, true),
        ] {
            assert_eq!(read(text).unwrap().holds(flags), expected, "{text} on {flags:#04x}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for (text, start, end) in
            [("s", 0, 1), ("SX", 1, 2), ("+AP+", 0, 4), ("S A", 1, 2), ("+", 0, 1), ("*0", 0, 2)]
        {
            let fault = read(text).unwrap_err();
            assert_eq!((fault.span.start, fault.span.end), (start, end), "{text}");
        }
        assert!(read("S,").is_err());
        assert!(read("S,1,2").is_err());
    }
}
