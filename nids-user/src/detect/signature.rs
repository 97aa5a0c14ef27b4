//! A compiled rule: what a packet must be for it to match, cheapest test first.

use std::sync::Arc;

use crate::app::AppProtocols;
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
use super::lookup::{Lookup, SetTest};
use super::memory::{Change, Test};
use super::protocol::{Numbers, Protocol};
use super::subject::Subject;
use super::tag::Tag;
use super::threshold::RuleLimits;
use super::transaction::TransactionRule;
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
    /// Application protocols one of which its flow must speak; `None`: whatever it speaks.
    pub app: Option<AppProtocols>,
    /// What it asks of transactions; `None`: it is not about any.
    pub transaction: Option<TransactionRule>,
    /// Header checks, in the order of their rank.
    pub checks: Box<[Check]>,
    /// Contents of the payload; `None`: the rule has none, and matches packets without payload too.
    pub payload: Option<Chain>,
    /// Where the payload is inspected.
    pub payload_in: Payload,
    /// Contents of headers.
    pub headers: Box<[HeaderInspection]>,
    /// The bytes the prefilter looks for: without them the rule cannot match. `None`: it is tried on
    /// each packet of its group. Of a rule on transactions that of its payload only.
    pub fast_pattern: Option<FastPattern>,
    /// It looks at addresses and ports only: it matches once a flow and direction, not on each packet
    /// (Suricata's "IP-only").
    pub once: bool,
    /// `noalert`: matches, and says nothing.
    pub silent: bool,
    /// `bypass`: a match ends the inspection of the flow.
    pub bypass: bool,
    /// Questions about its addresses.
    pub lookups: Box<[Lookup]>,
    /// What earlier matches must have left.
    pub tests: Box<[Test]>,
    /// What a match leaves.
    pub changes: Box<[Change]>,
    /// How often it may alert.
    pub limits: RuleLimits,
    /// `tag`.
    pub tag: Option<Tag>,
}

/// The bytes the prefilter looks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FastPattern {
    /// Where they must be.
    pub buffer: Buffer,
    /// What the buffer goes through first.
    pub transforms: Box<[Transform]>,
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
    pub chain: Option<Chain>,
    /// Sets that it is looked up in.
    pub sets: Box<[SetTest]>,
}

impl Signature {
    /// Whether all but the contents of the rule holds.
    #[inline]
    pub fn fits(&self, subject: &Subject<'_>) -> bool {
        let packet = subject.packet;
        self.ports_match(packet.ports())
            && self.flow.matches(subject)
            && self.app.is_none_or(|app| subject.app.is_some_and(|one| app.contains(one)))
            && self.protocol.matches(packet)
            && self.checks.iter().all(|check| check.matches(subject))
            && self.addresses_match(packet)
            && (!self.once || is_first(subject.flow))
    }

    /// Whether packets with these ends are what its header is about.
    pub fn is_about(&self, packet: &Packet<'_>) -> bool {
        self.ports_match(packet.ports())
            && self.protocol.matches(packet)
            && packet.ip.as_ref().is_some_and(|ip| {
                self.source.as_ref().is_none_or(|set| set.contains(ip.source()))
                    && self.destination.as_ref().is_none_or(|set| set.contains(ip.destination()))
            })
    }

    /// Whether it is tried on packets without IP headers: it asks for decoder events and nothing else, with
    /// the protocol `ip` or `pkthdr` and any addresses and ports (Suricata's "decoder events only").
    pub fn takes_broken(&self) -> bool {
        let Protocol { v4, v6, numbers } = &self.protocol;
        let any_ends = self.source.is_none()
            && self.destination.is_none()
            && self.source_port.is_none()
            && self.destination_port.is_none();
        self.checks.iter().any(|check| matches!(check, Check::DecodeEvent(_)))
            && self.checks.iter().all(|check| matches!(check, Check::DecodeEvent(_)))
            && (*v4 && *v6 && *numbers == Numbers::ALL)
            && any_ends
            && self.flow == FlowTest::default()
            && self.payload.is_none()
            && self.app.is_none()
            && self.headers.is_empty()
    }

    /// Whether it asks for an event: without any it need not be tried.
    pub fn asks_for_events(&self) -> bool {
        self.checks.iter().any(Check::is_of_events)
    }

    /// Whether a packet without IP headers matches. Only those that [`Signature::takes_broken`] are asked.
    pub fn fits_broken(&self, subject: &Subject<'_>) -> bool {
        self.checks.iter().all(|check| check.matches(subject))
    }

    /// Whether the contents of headers are there.
    pub fn headers_match(
        &self,
        packet: &Packet<'_>,
        folded: &mut Vec<u8>,
        scratch: &mut Scratch,
    ) -> Verdict {
        for HeaderInspection { buffer, transforms, chain, sets } in &self.headers {
            let mut room = [0; 16];
            let Some(bytes) = buffer.of_packet(packet, &mut room) else {
                match chain.as_ref().is_some_and(Chain::holds_in_absence) {
                    true => continue,
                    false => return Verdict::NoMatch,
                }
            };
            let mut holds = |bytes: &[u8], scratch: &mut Scratch| {
                let verdict = match chain {
                    Some(chain) => chain.matches(&mut Input::new(bytes, folded), scratch),
                    None => Verdict::Match,
                };
                // Last, as it may change the sets.
                match verdict {
                    Verdict::Match if !sets.iter().all(|set| set.matches(bytes)) => {
                        Verdict::NoMatch
                    }
                    verdict => verdict,
                }
            };
            let verdict = match transforms.is_empty() {
                true => holds(bytes, scratch),
                false => {
                    let mut room = std::mem::take(&mut scratch.transformed);
                    let done = transform::run(transforms, bytes, &mut room, &mut scratch.transform);
                    let verdict = match done {
                        Ok(()) => holds(&room, scratch),
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
        if self.source.is_none() && self.destination.is_none() && self.lookups.is_empty() {
            return true;
        }
        packet.ip.as_ref().is_some_and(|ip| {
            self.source.as_ref().is_none_or(|set| set.contains(ip.source()))
                && self.destination.as_ref().is_none_or(|set| set.contains(ip.destination()))
                && self.lookups.iter().all(|list| list.matches(ip.source(), ip.destination()))
        })
    }

    /// Whether a match lets the packet by, without alert.
    pub fn passes(&self) -> bool {
        self.info.action == Action::Pass
    }
}

/// Whether the packet is the first of its flow in its direction; one without flow is.
pub fn is_first(flow: Option<&FlowView>) -> bool {
    flow.is_none_or(|flow| match flow.direction {
        FlowDirection::ToServer => flow.packets_to_server == 1,
        FlowDirection::ToClient => flow.packets_to_client == 1,
    })
}
