//! `itype` and `icode`: type and code of ICMP and ICMPv6 (Suricata user guide, "ICMP Keywords").

use super::number::{Comparison, comparison};
use super::value::{Fault, Use};
use super::{Draft, Keyword};
use crate::decode::{Icmp, Packet, Transport};
use crate::detect::check::Check;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] =
    &[Keyword { name: "itype", apply: apply_type }, Keyword { name: "icode", apply: apply_code }];

/// `itype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpType(pub Comparison<u8>);

/// `icode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpCode(pub Comparison<u8>);

impl IcmpType {
    /// Whether the packet is an ICMP message of such a type.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        message(packet).is_some_and(|icmp| self.0.holds(icmp.icmp_type))
    }
}

impl IcmpCode {
    /// Whether the packet is an ICMP message with such a code.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        message(packet).is_some_and(|icmp| self.0.holds(icmp.code))
    }
}

fn message<'p, 'a>(packet: &'p Packet<'a>) -> Option<&'p Icmp<'a>> {
    match &packet.transport {
        Transport::Icmpv4(icmp) | Transport::Icmpv6(icmp) => Some(icmp),
        _ => None,
    }
}

fn apply_type(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::IcmpType(IcmpType(comparison(keyword.value()?)?)));
    Ok(())
}

fn apply_code(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::IcmpCode(IcmpCode(comparison(keyword.value()?)?)));
    Ok(())
}
