//! `flow.age`, `flow.pkts` and `flow.bytes`: what went through the packet's flow so far, this packet included
//! (Suricata user guide, "Flow Keywords"). A packet without flow fulfils none of them.

use super::number::{Comparison, Number, comparison};
use super::value::{Fault, Use, Word};
use super::{Draft, Keyword};
use crate::capture::Timestamp;
use crate::detect::check::Check;
use crate::detect::subject::Subject;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "flow.age", apply: age },
    Keyword { name: "flow.pkts", apply: |draft, word| packets(draft, word, None) },
    Keyword {
        name: "flow.pkts_toserver",
        apply: |draft, word| packets(draft, word, Some(Side::ToServer)),
    },
    Keyword {
        name: "flow.pkts_toclient",
        apply: |draft, word| packets(draft, word, Some(Side::ToClient)),
    },
    Keyword { name: "flow.bytes", apply: |draft, word| bytes(draft, word, None) },
    Keyword {
        name: "flow.bytes_toserver",
        apply: |draft, word| bytes(draft, word, Some(Side::ToServer)),
    },
    Keyword {
        name: "flow.bytes_toclient",
        apply: |draft, word| bytes(draft, word, Some(Side::ToClient)),
    },
];

/// `flow.age`: whole seconds from that of the first packet to that of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowAge(pub Comparison<u32>);

/// Which directions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    ToServer,
    ToClient,
    Either,
    Both,
}

/// `flow.pkts`, `flow.bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowCount<T> {
    side: Side,
    count: Comparison<T>,
}

impl FlowAge {
    /// Whether the flow is as old as asked for.
    #[inline]
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        let second = |time: Timestamp| time.0 / 1_000_000_000;
        subject.flow.is_some_and(|flow| {
            let age = second(subject.packet.frame.time).saturating_sub(second(flow.start));
            self.0.holds(u32::try_from(age).unwrap_or(u32::MAX))
        })
    }
}

impl FlowCount<u32> {
    /// Whether as many packets as asked for went through the flow.
    #[inline]
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        let count = |packets| u32::try_from(packets).unwrap_or(u32::MAX);
        subject.flow.is_some_and(|flow| {
            self.holds(count(flow.packets_to_server), count(flow.packets_to_client))
        })
    }
}

impl FlowCount<u64> {
    /// Whether as many bytes as asked for went through the flow.
    #[inline]
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        subject.flow.is_some_and(|flow| self.holds(flow.bytes_to_server, flow.bytes_to_client))
    }
}

impl<T: Copy + PartialOrd> FlowCount<T> {
    fn holds(&self, to_server: T, to_client: T) -> bool {
        match self.side {
            Side::ToServer => self.count.holds(to_server),
            Side::ToClient => self.count.holds(to_client),
            Side::Either => self.count.holds(to_server) || self.count.holds(to_client),
            Side::Both => self.count.holds(to_server) && self.count.holds(to_client),
        }
    }
}

fn age(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::FlowAge(FlowAge(comparison(keyword.value()?)?)));
    Ok(())
}

fn packets(draft: &mut Draft<'_>, keyword: &Use<'_>, side: Option<Side>) -> Result<(), Fault> {
    draft.checks.push(Check::FlowPackets(parse(keyword.value()?, side)?));
    Ok(())
}

fn bytes(draft: &mut Draft<'_>, keyword: &Use<'_>, side: Option<Side>) -> Result<(), Fault> {
    draft.checks.push(Check::FlowBytes(parse(keyword.value()?, side)?));
    Ok(())
}

/// The side is in the keyword's name or before a comma.
fn parse<T: Number>(value: Word<'_>, side: Option<Side>) -> Result<FlowCount<T>, Fault> {
    if let Some(side) = side {
        return Ok(FlowCount { side, count: comparison(value)? });
    }
    let Some((side, count)) = value.split_once(",") else {
        return Err(value.bad("a direction, a comma and a number: `toserver,>3`"));
    };
    let side = match side.text {
        "toserver" => Side::ToServer,
        "toclient" => Side::ToClient,
        "either" => Side::Either,
        "both" => Side::Both,
        _ => return Err(side.bad("the direction is `toserver`, `toclient`, `either` or `both`")),
    };
    Ok(FlowCount { side, count: comparison(count)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_and_numbers() {
        let read = |text| parse::<u32>(Word { text, start: 0 }, None);
        for (text, to_server, to_client, expected) in [
            ("toserver,3", 3, 0, true),
            ("toserver,3", 0, 3, false),
            ("toclient,<3", 9, 2, true),
            ("toclient , >= 2", 0, 1, false),
            ("either,>=2", 2, 0, true),
            ("either,!2", 2, 2, false),
            ("both,>1", 2, 1, false),
            ("both,>1", 2, 2, true),
            ("either,1-5", 0, 3, true),
        ] {
            assert_eq!(read(text).unwrap().holds(to_server, to_client), expected, "{text}");
        }
        for text in ["3", "to_server,3", "toserver", "toserver,", "toserver,4294967296", ",3"] {
            assert!(read(text).is_err(), "{text}");
        }
        let bytes =
            parse::<u64>(Word { text: ">18446744073709551614", start: 0 }, Some(Side::ToServer));
        assert!(bytes.unwrap().holds(u64::MAX, 0));
    }
}
