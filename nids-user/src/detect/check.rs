//! The checks of a packet's headers, one variant a keyword, ordered by what they cost.

use super::keyword::dsize::PayloadSize;
use super::keyword::flags::Flags;
use super::keyword::icmp::{IcmpCode, IcmpType};
use super::keyword::sameip;
use super::keyword::ttl::Ttl;
use super::subject::Subject;

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
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        let packet = subject.packet;
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

    /// Whether it asks for what only packets have, so that the rule does not see streams (Suricata:
    /// `SIG_FLAG_REQUIRE_PACKET`).
    pub fn is_of_packets(&self) -> bool {
        match self {
            Self::Flags(_)
            | Self::PayloadSize(_)
            | Self::IcmpType(_)
            | Self::IcmpCode(_)
            | Self::Ttl(_) => true,
            Self::SameAddress => false,
        }
    }

    /// Whether it is `stream_size`, so that the rule sees packets too.
    pub fn is_of_stream_size(&self) -> bool {
        false
    }

    /// Whether a rule with this check can still be judged by addresses alone, once a flow and
    /// direction (Suricata: `SIGMATCH_IPONLY_COMPAT`).
    pub fn is_of_addresses(&self) -> bool {
        matches!(self, Self::SameAddress)
    }
}
