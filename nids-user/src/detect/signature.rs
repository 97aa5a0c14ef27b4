//! A compiled rule: what a packet must be for it to match, cheapest test first.

use std::sync::Arc;

use crate::decode::Packet;
use crate::flow::{FlowDirection, FlowView};
use crate::rule::address::AddressSet;
use crate::rule::ast::Action;
use crate::rule::port::PortSet;

use super::alert::RuleInfo;
use super::buffer::Buffer;
use super::chain::{Chain, Input, Scratch, Verdict};
use super::check::Check;
use super::keyword::flow::FlowTest;
use super::protocol::Protocol;
use super::subject::Subject;
use super::transform::{self, Transform};

/// One compiled rule. A `<>` rule makes two, one for each way.
#[derive(Debug)]
pub struct Signature {
    /// What alerts say of it.
    pub info: Arc<RuleInfo>,
    /// Protocol.
    pub protocol: Protocol,
    /// Source addresses; `None`: any.
    pub source: Option<AddressSet>,
    /// Destination addresses; `None`: any.
    pub destination: Option<AddressSet>,
    /// Source ports; `None`: any. Packets without ports match `None` only.
    pub source_port: Option<PortSet>,
    /// Destination ports.
    pub destination_port: Option<PortSet>,
    /// `flow`.
    pub flow: FlowTest,
    /// Header checks, in the order of their rank.
    pub checks: Box<[Check]>,
    /// Contents of the payload; `None`: the rule has none, and matches packets without payload too.
    pub payload: Option<Chain>,
    /// Where the payload is inspected.
    pub payload_in: Payload,
    /// Contents of headers.
    pub headers: Box<[HeaderInspection]>,
    /// The bytes the prefilter looks for: without them the rule cannot match. `None`: it is tried on
    /// each packet of its group.
    pub fast_pattern: Option<FastPattern>,
    /// It looks at addresses and ports only: it matches once a flow and direction, not on each packet
    /// (Suricata's "IP-only").
    pub once: bool,
    /// `noalert`: matches, and says nothing.
    pub silent: bool,
}

/// The bytes the prefilter looks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FastPattern {
    /// Where they must be.
    pub buffer: Buffer,
    /// Lower case with `nocase`.
    pub bytes: Box<[u8]>,
    /// Compared without regard to case.
    pub nocase: bool,
}

/// Where the payload of a rule is inspected (Suricata user guide, "Rule Types").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// In packets: all that is not TCP, `tcp-pkt`, and rules that ask for what only packets have.
    Packet,
    /// In the stream, and in packets that are not part of one.
    Stream,
    /// In both: rules whose contents have a place counted from the start.
    Both,
}

impl Payload {
    /// Whether streams are inspected.
    pub fn is_in_stream(self) -> bool {
        self != Self::Packet
    }
    /// Whether a packet is inspected: `in_stream` says that its payload is part of the stream.
    pub fn is_in_packet(self, in_stream: bool) -> bool {
        self != Self::Stream || !in_stream
    }
}

/// Contents of a header.
#[derive(Debug)]
pub struct HeaderInspection {
    /// Which.
    pub buffer: Buffer,
    /// What its bytes go through first.
    pub transforms: Box<[Transform]>,
    /// What must be in it.
    pub chain: Chain,
}

impl Signature {
    /// Whether all but the contents of the rule holds.
    #[inline]
    pub fn fits(&self, subject: &Subject<'_>) -> bool {
        let packet = subject.packet;
        self.ports_match(packet.ports())
            && self.flow.matches(subject)
            && self.protocol.matches(packet)
            && self.checks.iter().all(|check| check.matches(subject))
            && self.addresses_match(packet)
            && !(self.once && !is_first(subject.flow))
    }

    /// Whether the contents of headers are there.
    pub fn headers_match(
        &self,
        packet: &Packet<'_>,
        folded: &mut Vec<u8>,
        scratch: &mut Scratch,
    ) -> Verdict {
        for HeaderInspection { buffer, transforms, chain } in &self.headers {
            let mut room = [0; 16];
            let Some(bytes) = buffer.of_packet(packet, &mut room) else {
                match chain.holds_in_absence() {
                    true => continue,
                    false => return Verdict::NoMatch,
                }
            };
            let verdict = match transforms.is_empty() {
                true => chain.matches(&mut Input::new(bytes, folded), scratch),
                false => {
                    let mut room = std::mem::take(&mut scratch.transformed);
                    let done = transform::run(transforms, bytes, &mut room, &mut scratch.transform);
                    let verdict = match done {
                        Ok(()) => chain.matches(&mut Input::new(&room, folded), scratch),
                        Err(_) => Verdict::NoMatch,
                    };
                    scratch.transformed = room;
                    verdict
                }
            };
            match verdict {
                Verdict::Match => {}
                other => return other,
            }
        }
        Verdict::Match
    }

    #[inline]
    fn ports_match(&self, ports: Option<(u16, u16)>) -> bool {
        let Some((source, destination)) = ports else {
            return self.source_port.is_none() && self.destination_port.is_none();
        };
        self.destination_port.as_ref().is_none_or(|set| set.contains(destination))
            && self.source_port.as_ref().is_none_or(|set| set.contains(source))
    }

    #[inline]
    fn addresses_match(&self, packet: &Packet<'_>) -> bool {
        if self.source.is_none() && self.destination.is_none() {
            return true;
        }
        packet.ip.as_ref().is_some_and(|ip| {
            self.source.as_ref().is_none_or(|set| set.contains(ip.source()))
                && self.destination.as_ref().is_none_or(|set| set.contains(ip.destination()))
        })
    }

    /// Whether a match lets the packet by, without alert.
    pub fn passes(&self) -> bool {
        self.info.action == Action::Pass
    }
}

/// Whether the packet is the first of its flow in its direction.
fn is_first(flow: Option<&FlowView>) -> bool {
    flow.is_none_or(|flow| match flow.direction {
        FlowDirection::ToServer => flow.packets_to_server == 1,
        FlowDirection::ToClient => flow.packets_to_client == 1,
    })
}
