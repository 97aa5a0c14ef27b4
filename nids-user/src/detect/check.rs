//! The checks of a packet's headers, one variant a keyword, ordered by what they cost.

use crate::decode::Packet;

use super::keyword::dsize::PayloadSize;
use super::keyword::flags::Flags;
use super::keyword::icmp::{IcmpCode, IcmpType};
use super::keyword::sameip;
use super::keyword::ttl::Ttl;

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// `flags`.
    Flags(Flags),
    /// `dsize`.
    PayloadSize(PayloadSize),
    /// `itype`.
    IcmpType(IcmpType),
    /// `icode`.
    IcmpCode(IcmpCode),
    /// `ttl`.
    Ttl(Ttl),
    /// `sameip`.
    SameAddress,
}

impl Check {
    /// Whether the packet passes.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        match self {
            Self::Flags(check) => check.matches(packet),
            Self::PayloadSize(check) => check.matches(packet),
            Self::IcmpType(check) => check.matches(packet),
            Self::IcmpCode(check) => check.matches(packet),
            Self::Ttl(check) => check.matches(packet),
            Self::SameAddress => sameip::matches(packet),
        }
    }

    /// Place in the order of inspection: those that sort out most for least come first.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Flags(_) => 0,
            Self::PayloadSize(_) => 1,
            Self::IcmpType(_) => 2,
            Self::IcmpCode(_) => 3,
            Self::SameAddress => 4,
            Self::Ttl(_) => 5,
        }
    }

    /// Whether a rule with this check can still be judged by addresses alone, once a flow and
    /// direction (Suricata: `SIGMATCH_IPONLY_COMPAT`).
    pub fn is_of_addresses(&self) -> bool {
        matches!(self, Self::SameAddress)
    }
}
