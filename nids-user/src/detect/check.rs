//! The checks of a packet's headers and of what is known of it, one variant a keyword, ordered by what they
//! cost.

use super::keyword::dsize::PayloadSize;
use super::keyword::flags::Flags;
use super::keyword::flow_count::{FlowAge, FlowCount};
use super::keyword::fragment::{FragmentBits, FragmentOffset};
use super::keyword::icmp::{IcmpCode, IcmpId, IcmpMtu, IcmpSequence, IcmpType};
use super::keyword::ipv4::{IpId, IpOption, Tos};
use super::keyword::sameip;
use super::keyword::stream_size::StreamSize;
use super::keyword::tcp::{Ack, Mss, Seq, Window, WindowScale};
use super::keyword::ttl::Ttl;
use super::keyword::vlan::{VlanId, VlanLayers};
use super::subject::Subject;
use crate::{decode, stream};

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// `decode-event`.
    DecodeEvent(decode::Event),
    /// `stream-event`.
    StreamEvent(stream::Event),
    /// `flags`.
    Flags(Flags),
    /// `dsize`.
    PayloadSize(PayloadSize),
    /// `seq`.
    Seq(Seq),
    /// `ack`.
    Ack(Ack),
    /// `window`.
    Window(Window),
    /// `itype`.
    IcmpType(IcmpType),
    /// `icode`.
    IcmpCode(IcmpCode),
    /// `icmp_id`.
    IcmpId(IcmpId),
    /// `icmp_seq`.
    IcmpSequence(IcmpSequence),
    /// `icmpv6.mtu`.
    IcmpMtu(IcmpMtu),
    /// `sameip`.
    SameAddress,
    /// `id`.
    IpId(IpId),
    /// `fragbits`.
    FragmentBits(FragmentBits),
    /// `fragoffset`.
    FragmentOffset(FragmentOffset),
    /// `tos`.
    Tos(Tos),
    /// `ttl`.
    Ttl(Ttl),
    /// `vlan.layers`.
    VlanLayers(VlanLayers),
    /// `vlan.id`.
    VlanId(VlanId),
    /// `flow.pkts`.
    FlowPackets(FlowCount<u32>),
    /// `flow.bytes`.
    FlowBytes(FlowCount<u64>),
    /// `flow.age`.
    FlowAge(FlowAge),
    /// `stream_size`.
    StreamSize(StreamSize),
    /// `ipopts`.
    IpOption(IpOption),
    /// `tcp.mss`.
    Mss(Mss),
    /// `tcp.wscale`.
    WindowScale(WindowScale),
}

impl Check {
    /// Whether the packet passes.
    #[inline]
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        let packet = subject.packet;
        match self {
            Self::DecodeEvent(event) => packet.events.contains(*event),
            Self::StreamEvent(event) => subject.stream.events.contains(*event),
            Self::Flags(check) => check.matches(packet),
            Self::PayloadSize(check) => check.matches(packet),
            Self::Seq(check) => check.matches(packet),
            Self::Ack(check) => check.matches(packet),
            Self::Window(check) => check.matches(packet),
            Self::IcmpType(check) => check.matches(packet),
            Self::IcmpCode(check) => check.matches(packet),
            Self::IcmpId(check) => check.matches(packet),
            Self::IcmpSequence(check) => check.matches(packet),
            Self::IcmpMtu(check) => check.matches(packet),
            Self::SameAddress => sameip::matches(packet),
            Self::IpId(check) => check.matches(packet),
            Self::FragmentBits(check) => check.matches(packet),
            Self::FragmentOffset(check) => check.matches(packet),
            Self::Tos(check) => check.matches(packet),
            Self::Ttl(check) => check.matches(packet),
            Self::VlanLayers(check) => check.matches(packet),
            Self::VlanId(check) => check.matches(packet),
            Self::FlowPackets(check) => check.matches(subject),
            Self::FlowBytes(check) => check.matches(subject),
            Self::FlowAge(check) => check.matches(subject),
            Self::StreamSize(check) => check.matches(subject),
            Self::IpOption(check) => check.matches(packet),
            Self::Mss(check) => check.matches(packet),
            Self::WindowScale(check) => check.matches(packet),
        }
    }

    /// Place in the order of inspection: those that sort out most for least come first.
    pub fn rank(&self) -> u8 {
        match self {
            Self::DecodeEvent(_) | Self::StreamEvent(_) => 0,
            Self::Flags(_) => 1,
            Self::PayloadSize(_) => 2,
            Self::Seq(_) | Self::Ack(_) | Self::Window(_) => 3,
            Self::IcmpType(_) | Self::IcmpCode(_) => 4,
            Self::IcmpId(_) | Self::IcmpSequence(_) | Self::IcmpMtu(_) => 5,
            Self::SameAddress => 6,
            Self::IpId(_) | Self::FragmentBits(_) | Self::FragmentOffset(_) => 7,
            Self::Tos(_) | Self::Ttl(_) => 8,
            Self::VlanLayers(_) | Self::VlanId(_) => 9,
            Self::FlowPackets(_) | Self::FlowBytes(_) | Self::FlowAge(_) => 10,
            Self::StreamSize(_) => 11,
            // These walk a list.
            Self::IpOption(_) | Self::Mss(_) | Self::WindowScale(_) => 12,
        }
    }

    /// Whether it asks for what only packets have, so that the rule does not see streams (Suricata:
    /// `SIG_FLAG_REQUIRE_PACKET`).
    pub fn is_of_packets(&self) -> bool {
        !matches!(
            self,
            Self::SameAddress | Self::StreamSize(_) | Self::DecodeEvent(_) | Self::StreamEvent(_)
        )
    }

    /// Whether it is `stream_size`, so that the rule sees packets too.
    pub fn is_of_stream_size(&self) -> bool {
        matches!(self, Self::StreamSize(_))
    }

    /// Whether it asks what went through the flow so far, so that every packet of it counts.
    pub fn is_of_history(&self) -> bool {
        matches!(
            self,
            Self::FlowPackets(_)
                | Self::FlowBytes(_)
                | Self::FlowAge(_)
                | Self::StreamSize(_)
                | Self::StreamEvent(_)
        )
    }

    /// Whether it is an event, which few packets have.
    pub fn is_of_events(&self) -> bool {
        matches!(self, Self::DecodeEvent(_) | Self::StreamEvent(_))
    }
}
