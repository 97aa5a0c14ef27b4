//! `stream_size`: how far the sequence numbers of a connection have come (Suricata user guide, "Flow
//! Keywords"): bytes of payload, and one each for SYN and FIN, up to the furthest that was sent.

use super::number::Comparison;
use super::value::{Fault, Use, Word};
use super::{Draft, Keyword};
use crate::detect::check::Check;
use crate::detect::subject::Subject;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "stream_size", apply }];

/// `stream_size`. Unlike other keywords it may name what everything or nothing fulfils (`>=,0`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSize {
    side: Side,
    size: Option<Comparison<u32>>,
}

/// Whose bytes are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Server,
    Client,
    Both,
    Either,
}

impl StreamSize {
    /// Whether the packet has a session whose sizes are as asked for.
    #[inline]
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        let Some([from_client, from_server]) = subject.stream.progress else { return false };
        self.holds(from_client.sent, from_server.sent)
    }

    fn holds(&self, from_client: u32, from_server: u32) -> bool {
        let Some(size) = self.size else { return false };
        match self.side {
            Side::Server => size.holds(from_server),
            Side::Client => size.holds(from_client),
            Side::Both => size.holds(from_server) && size.holds(from_client),
            Side::Either => size.holds(from_server) || size.holds(from_client),
        }
    }
}

fn apply(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::StreamSize(parse(keyword.value()?)?));
    Ok(())
}

fn parse(value: Word<'_>) -> Result<StreamSize, Fault> {
    let mut parts = value.split(',');
    let (Some(side), Some(operator), Some(number), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(value.bad("a side, an operator and a number: `client,>,100`"));
    };
    let number = number.number(0, u32::MAX)?;
    let side = match side.text {
        "server" => Side::Server,
        "client" => Side::Client,
        "both" => Side::Both,
        "either" => Side::Either,
        _ => return Err(side.bad("the side is `server`, `client`, `both` or `either`")),
    };
    let within = |least, most| Some(Comparison::Within(least, most));
    let size = match operator.text {
        "=" => within(number, number),
        "!=" | "!" => Some(Comparison::Not(number)),
        "<=" => within(0, number),
        ">=" => within(number, u32::MAX),
        "<" => number.checked_sub(1).and_then(|most| within(0, most)),
        ">" => number.checked_add(1).and_then(|least| within(least, u32::MAX)),
        _ => return Err(operator.bad("the operator is `<`, `>`, `=`, `!=`, `<=` or `>=`")),
    };
    Ok(StreamSize { side, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_as_suricata_does() {
        let read = |text| parse(Word { text, start: 0 });
        for (text, client, server, expected) in [
            ("client,=,12", 12, 0, true),
            ("client,!=,12", 12, 0, false),
            ("client,!,12", 11, 0, true),
            ("client,<=,12", 12, 0, true),
            (" client , > , 8 ", 9, 0, true),
            ("server,<,1", 5, 0, true),
            ("server,<,0", 5, 0, false),
            ("server,>=,0", 5, 0, true),
            ("both,>,5", 6, 5, false),
            ("both,>,5", 6, 6, true),
            ("either,>,5", 6, 0, true),
            ("either,>,5", 5, 5, false),
            ("client,>,4294967295", u32::MAX, 0, false),
        ] {
            assert_eq!(read(text).unwrap().holds(client, server), expected, "{text}");
        }
        for text in [
            "SERVER,>,5",
            "none,>,5",
            "client,>,-1",
            "client,=>,1",
            "client,==,12",
            "client,>,8x",
            "client,>8",
            "client,>,1,2",
            "client,>,4294967296",
            "",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
