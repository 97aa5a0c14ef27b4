//! `itype`, `icode`, `icmp_id`, `icmp_seq` and `icmpv6.mtu`: fields of ICMP and ICMPv6 (Suricata user guide,
//! "ICMP Keywords").

use super::number::{Comparison, comparison};
use super::value::{Fault, Use};
use super::{Draft, Keyword};
use crate::decode::{Icmp, Packet, Transport};
use crate::detect::check::Check;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "itype", apply: apply_type },
    Keyword { name: "icode", apply: apply_code },
    Keyword { name: "icmp_id", apply: apply_id },
    Keyword { name: "icmp_seq", apply: apply_sequence },
    Keyword { name: "icmpv6.mtu", apply: apply_mtu },
];

/// `itype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpType(pub Comparison<u8>);

/// `icode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpCode(pub Comparison<u8>);

/// `icmp_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpId(pub Comparison<u16>);

/// `icmp_seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpSequence(pub Comparison<u16>);

/// `icmpv6.mtu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpMtu(pub Comparison<u32>);

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

impl IcmpId {
    /// Whether the packet is a query or an answer with such an identifier.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        query(packet).is_some_and(|[a, b, _, _]| self.0.holds(u16::from_be_bytes([a, b])))
    }
}

impl IcmpSequence {
    /// Whether the packet is a query or an answer with such a sequence number.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        query(packet).is_some_and(|[_, _, a, b]| self.0.holds(u16::from_be_bytes([a, b])))
    }
}

impl IcmpMtu {
    /// Whether the packet is a "packet too big" of ICMPv6 that names such an MTU.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        let Transport::Icmpv6(icmp) = &packet.transport else { return false };
        let [_, _, _, _, mtu @ ..] = icmp.header else { return false };
        icmp.icmp_type == 2
            && icmp.code == 0
            && mtu.first_chunk().is_some_and(|mtu| self.0.holds(u32::from_be_bytes(*mtu)))
    }
}

/// Identifier and sequence number of the messages that have them: echo, timestamp, information and
/// address mask, queries and answers (RFC 792, RFC 950, RFC 4443).
fn query(packet: &Packet<'_>) -> Option<[u8; 4]> {
    let icmp = match &packet.transport {
        Transport::Icmpv4(icmp) if matches!(icmp.icmp_type, 0 | 8 | 13..=18) => icmp,
        Transport::Icmpv6(icmp) if matches!(icmp.icmp_type, 128 | 129) => icmp,
        _ => return None,
    };
    icmp.header.get(4..8)?.try_into().ok()
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

fn apply_id(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::IcmpId(IcmpId(comparison(keyword.value()?)?)));
    Ok(())
}

fn apply_sequence(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::IcmpSequence(IcmpSequence(comparison(keyword.value()?)?)));
    Ok(())
}

fn apply_mtu(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.checks.push(Check::IcmpMtu(IcmpMtu(comparison(keyword.value()?)?)));
    Ok(())
}
