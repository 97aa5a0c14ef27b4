//! `ttl`: time to live of IPv4, hop limit of IPv6 (Suricata user guide, "IP Keywords").

use super::number::{Comparison, comparison};
use super::value::{Fault, Use};
use super::{Draft, Keyword};
use crate::decode::Packet;
use crate::detect::check::Check;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "ttl", apply }];

/// `ttl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl(pub Comparison<u8>);

impl Ttl {
    /// Whether the packet's time to live is as asked for.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        packet.ip.as_ref().is_some_and(|ip| self.0.holds(ip.ttl()))
    }
}

fn apply(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::Ttl(Ttl(comparison(keyword.value()?)?)));
    Ok(())
}
