//! `vlan.id` and `vlan.layers`: the VLAN tags of a packet (Suricata 8 user guide, "VLAN Keywords").

use super::number::{Comparison, comparison_up_to};
use super::value::{Fault, Use, Word};
use super::{Draft, Keyword};
use crate::decode::Packet;
use crate::detect::check::Check;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] =
    &[Keyword { name: "vlan.id", apply: id }, Keyword { name: "vlan.layers", apply: layers }];

/// Most tags a packet has.
const MOST_LAYERS: u8 = 3;
/// Largest id.
const MOST_ID: u16 = 0x0fff;

/// `vlan.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanId {
    id: Comparison<u16>,
    layer: Layer,
}

/// Which tags are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Any,
    /// Each, of one at least.
    All,
    /// Counted from the outermost one.
    FromOutside(u8),
    /// Counted from the innermost one.
    FromInside(u8),
}

impl VlanId {
    /// Whether the packet has such a tag.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        let vlan = &packet.vlan;
        let mut ids = vlan.ids();
        match self.layer {
            Layer::Any => ids.any(|id| self.id.holds(id)),
            Layer::All => !vlan.is_empty() && ids.all(|id| self.id.holds(id)),
            Layer::FromOutside(at) => ids.nth(at.into()).is_some_and(|id| self.id.holds(id)),
            Layer::FromInside(back) => vlan
                .len()
                .checked_sub(usize::from(back) + 1)
                .and_then(|at| ids.nth(at))
                .is_some_and(|id| self.id.holds(id)),
        }
    }
}

/// `vlan.layers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanLayers(pub Comparison<u8>);

impl VlanLayers {
    /// Whether the packet has as many tags as asked for.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        self.0.holds(u8::try_from(packet.vlan.len()).unwrap_or(u8::MAX))
    }
}

fn id(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::VlanId(parse(keyword.value()?)?));
    Ok(())
}

fn parse(word: Word<'_>) -> Result<VlanId, Fault> {
    let (id, layer) = match word.split_once(",") {
        Some((id, layer)) => (id, Some(layer)),
        None => (word, None),
    };
    let layer = match layer {
        None => Layer::Any,
        Some(word) => match word.text {
            "any" => Layer::Any,
            "all" => Layer::All,
            "0" => Layer::FromOutside(0),
            "1" => Layer::FromOutside(1),
            "2" => Layer::FromOutside(2),
            "-1" => Layer::FromInside(0),
            "-2" => Layer::FromInside(1),
            "-3" => Layer::FromInside(2),
            _ => return Err(word.bad("the layer is `any`, `all`, or from -3 to 2")),
        },
    };
    Ok(VlanId { id: comparison_up_to(id, MOST_ID)?, layer })
}

fn layers(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let count = comparison_up_to(keyword.value()?, MOST_LAYERS)?;
    draft.checks.push(Check::VlanLayers(VlanLayers(count)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Direction, Frame, LinkType, Timestamp};

    fn packet(ids: &[u16]) -> Packet<'static> {
        let frame = Frame {
            time: Timestamp(0),
            link: LinkType::RawIp,
            data: &[],
            wire_len: 0,
            port: 0,
            direction: Direction::Ingress,
            vlan_offload: None,
            number: 1,
        };
        let mut packet = Packet::new(&frame, &[]);
        // Priority bits are no part of an id.
        ids.iter().for_each(|id| assert!(packet.vlan.push(id | 0x6000)));
        packet
    }

    #[test]
    fn layers_as_the_guide_counts_them() {
        let read = |text| parse(Word { text, start: 0 });
        for (text, ids, expected) in [
            ("300", &[300][..], true),
            ("300", &[1, 300], true),
            ("300", &[], false),
            ("!300", &[], false),
            ("!300", &[300, 5], true),
            ("!300,all", &[300, 5], false),
            ("<300,all", &[], false),
            (">100 , all", &[101, 200, 4095], true),
            ("300,0", &[300, 1], true),
            ("300,1", &[300, 1], false),
            ("300,1", &[300], false),
            ("!0,1", &[300], false),
            ("300,2", &[1, 2, 300], true),
            ("300,-1", &[1, 300], true),
            ("300,-2", &[300, 1], true),
            ("300,-3", &[300, 1], false),
            ("299<>301,any", &[1, 300], true),
        ] {
            assert_eq!(read(text).unwrap().matches(&packet(ids)), expected, "{text} on {ids:?}");
        }
        for text in
            ["4096", "!4096", "<4097", ">4095", "1,3", "1,-4", "1,+1", "1,1,1", "x", ",1", "1,"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
