//! Prefilters of rules that have no bytes to look for: tests that most packets fail. A test is made once for all
//! rules of a group that have it, and none of them is tried where it fails. What rules leave for one another is
//! no such test: another rule may leave it on the same packet.

use super::check::Check;
use super::keyword::flow::FlowTest;
use super::payload;
use super::protocol::{ICMP, ICMPV6, Numbers, SCTP, TCP, UDP, number};
use super::signature::{Payload, Signature, is_first};
use super::subject::Subject;

/// A test that a packet must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// A check of its headers or flow.
    Check(Check),
    /// It is the first of its flow in its direction.
    First,
    /// It is of a protocol that has no groups of its own.
    Protocol(Numbers),
    /// It has a payload that is inspected with the packet.
    Payload(Payload),
    /// What `flow` asks for.
    Flow(FlowTest),
}

/// What gates ask of a packet, found out once.
pub struct Facts<'a> {
    subject: &'a Subject<'a>,
    /// It is the first of its flow in its direction.
    pub is_first: bool,
    has_payload: bool,
}

impl<'a> Facts<'a> {
    /// Of a packet.
    #[inline]
    pub fn new(subject: &'a Subject<'a>) -> Self {
        Self {
            subject,
            is_first: is_first(subject.flow),
            has_payload: !payload(subject.packet).is_empty(),
        }
    }
}

impl Gate {
    /// The test of a signature that fewest packets pass; `None` where it has none of the kind.
    pub fn of(signature: &Signature) -> Option<Self> {
        // In the order of their ranks: those that sort out most come first.
        if let Some(check) = signature.checks.first() {
            return Some(Self::Check(*check));
        }
        if signature.once {
            return Some(Self::First);
        }
        let numbers = signature.protocol.numbers;
        if ![TCP, UDP, ICMP, ICMPV6, SCTP].iter().any(|common| numbers.contains(*common)) {
            return Some(Self::Protocol(numbers));
        }
        if signature.payload.is_some() {
            return Some(Self::Payload(signature.payload_in));
        }
        (signature.flow != FlowTest::default()).then_some(Self::Flow(signature.flow))
    }

    /// Whether the packet passes.
    #[inline]
    pub fn lets(&self, facts: &Facts<'_>) -> bool {
        let Facts { subject, .. } = facts;
        match self {
            Self::Check(check) => check.matches(subject),
            Self::First => facts.is_first,
            Self::Protocol(numbers) => {
                number(subject.packet).is_some_and(|number| numbers.contains(number))
            }
            Self::Payload(payload_in) => {
                facts.has_payload && payload_in.is_in_packet(subject.stream.in_stream)
            }
            Self::Flow(flow) => flow.matches(subject),
        }
    }
}
