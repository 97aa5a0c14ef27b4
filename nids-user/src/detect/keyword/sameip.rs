//! `sameip`: source and destination address are equal (Suricata user guide, "IP Keywords").

use super::value::{Fault, Use};
use super::{Draft, Keyword};
use crate::decode::{Ip, Packet};
use crate::detect::check::Check;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "sameip", apply }];

/// Whether both addresses are equal.
#[inline]
pub fn matches(packet: &Packet<'_>) -> bool {
    match &packet.ip {
        Some(Ip::V4(ip)) => ip.source == ip.destination,
        Some(Ip::V6(ip)) => ip.source == ip.destination,
        None => false,
    }
}

fn apply(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    keyword.no_value()?;
    draft.checks.push(Check::SameAddress);
    Ok(())
}
