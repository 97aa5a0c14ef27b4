//! A compiled rule: what a packet must be for it to match, cheapest test first.

use std::sync::Arc;

use crate::decode::Packet;
use crate::flow::{FlowDirection, FlowView};
use crate::rule::address::AddressSet;
use crate::rule::ast::Action;
use crate::rule::port::PortSet;

use super::alert::RuleInfo;
use super::chain::{Chain, Input, Scratch, Verdict};
use super::check::Check;
use super::keyword::flow::FlowTest;
use super::protocol::Protocol;

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
    /// Lower case with `nocase`.
    pub bytes: Box<[u8]>,
    /// Compared without regard to case.
    pub nocase: bool,
}

impl Signature {
    /// Whether the rule matches the packet. `payload` must be the packet's.
    #[inline]
    pub fn matches(
        &self,
        packet: &Packet<'_>,
        flow: Option<&FlowView>,
        payload: &mut Input<'_>,
        scratch: &mut Scratch,
    ) -> Verdict {
        if self.payload.is_some() && payload.is_empty()
            || !self.ports_match(packet.ports())
            || !self.flow.matches(flow)
            || self.flow.reassembled.is_some_and(|wanted| wanted != packet.reassembled)
            || !self.protocol.matches(packet)
            || !self.checks.iter().all(|check| check.matches(packet))
            || !self.addresses_match(packet)
            || self.once && !is_first(flow)
        {
            return Verdict::NoMatch;
        }
        match &self.payload {
            Some(chain) => chain.matches(payload, scratch),
            None => Verdict::Match,
        }
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
