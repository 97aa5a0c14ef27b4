//! `seq`, `ack`, `window`, `tcp.mss` and `tcp.wscale`: fields and options of the TCP header (Suricata user
//! guide, "TCP Keywords"). All take every comparison, as Suricata's newest do.

use super::number::{Comparison, comparison};
use super::value::{Fault, Use};
use super::{Draft, Keyword};
use crate::decode::Packet;
use crate::detect::check::Check;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "seq", apply: seq },
    Keyword { name: "tcp.seq", apply: seq },
    Keyword { name: "ack", apply: ack },
    Keyword { name: "tcp.ack", apply: ack },
    Keyword { name: "window", apply: window },
    Keyword { name: "tcp.window", apply: window },
    Keyword { name: "tcp.mss", apply: mss },
    Keyword { name: "tcp.wscale", apply: wscale },
];

/// `seq`: the sequence number as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seq(pub Comparison<u32>);

/// `ack`: the acknowledgment number as on the wire, whether or not the flag says that it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack(pub Comparison<u32>);

/// `window`: as in the header, not scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window(pub Comparison<u16>);

/// `tcp.mss`: the maximum segment size option; a segment without it does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mss(pub Comparison<u16>);

/// `tcp.wscale`: the window scale option, as sent; a segment without it does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowScale(pub Comparison<u8>);

impl Seq {
    /// Whether the segment's is as asked for.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        packet.tcp().is_some_and(|tcp| self.0.holds(tcp.seq))
    }
}

impl Ack {
    /// Whether the segment's is as asked for.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        packet.tcp().is_some_and(|tcp| self.0.holds(tcp.ack))
    }
}

impl Window {
    /// Whether the segment's is as asked for.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        packet.tcp().is_some_and(|tcp| self.0.holds(tcp.window))
    }
}

impl Mss {
    /// Whether the segment's is as asked for.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        option(packet, 2).is_some_and(|size| self.0.holds(u16::from_be_bytes(size)))
    }
}

impl WindowScale {
    /// Whether the segment's is as asked for.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        option(packet, 3).is_some_and(|[shift]| self.0.holds(shift))
    }
}

/// The value of the first option of this kind and size. The list ends at its end, or where the length of
/// an option lies.
fn option<const SIZE: usize>(packet: &Packet<'_>, wanted: u8) -> Option<[u8; SIZE]> {
    find(packet.tcp()?.header.get(20..)?, wanted)
}

fn find<const SIZE: usize>(mut list: &[u8], wanted: u8) -> Option<[u8; SIZE]> {
    loop {
        let (&kind, rest) = list.split_first()?;
        list = match kind {
            0 => return None,
            1 => rest,
            _ => {
                let length = usize::from(*rest.first()?);
                let value = list.get(2..length)?;
                if kind == wanted
                    && let Ok(value) = value.try_into()
                {
                    return Some(value);
                }
                list.get(length..)?
            }
        };
    }
}

fn seq(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::Seq(Seq(comparison(keyword.value()?)?)));
    Ok(())
}

fn ack(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::Ack(Ack(comparison(keyword.value()?)?)));
    Ok(())
}

fn window(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::Window(Window(comparison(keyword.value()?)?)));
    Ok(())
}

fn mss(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::Mss(Mss(comparison(keyword.value()?)?)));
    Ok(())
}

fn wscale(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::WindowScale(WindowScale(comparison(keyword.value()?)?)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lists and what Suricata 7.0.10 makes of them.
    #[test]
    fn the_first_option_that_is_well_formed_counts() {
        let mss = |list: &[u8]| find::<2>(list, 2).map(u16::from_be_bytes);
        for (list, expected) in [
            (&[2, 4, 5, 0xb4][..], Some(1460)),
            (&[1, 1, 2, 4, 0, 100, 2, 4, 0, 200], Some(100)),
            (&[2, 3, 1, 0], None),
            (&[0, 0, 2, 4, 3, 0x84], None),
            (&[1, 2, 4, 0, 1, 0, 0, 0], Some(1)),
            (&[3, 3, 7, 2, 4, 2, 24], Some(536)),
            (&[3, 0, 2, 4, 2, 24], None),
            (&[3, 1, 2, 4, 2, 24], None),
            (&[2, 4, 5], None),
            (&[2], None),
            (&[], None),
        ] {
            assert_eq!(mss(list), expected, "{list:?}");
        }
        assert_eq!(find::<1>(&[2, 4, 5, 0xb4, 3, 3, 7], 3), Some([7]));
    }
}
