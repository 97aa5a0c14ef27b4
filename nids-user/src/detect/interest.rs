//! Whether a flow still matters: whether a rule is left that its later packets could match.
//!
//! Asked of flows that were inspected for a while, to be spared the rest of them. What the kernel half
//! shows of every flow all the same is not asked for here: fragments, and segments with SYN, FIN or RST.

use crate::decode::Packet;
use crate::flow::FlowDirection;

use super::Ruleset;
use super::check::Check;
use super::group::Group;
use super::protocol::{Numbers, TCP};
use super::signature::{Payload, Signature};
use super::tag::Scope;
use super::transaction::{Inspection, Question};

impl Ruleset {
    /// Whether a rule could match later packets that have the ends of `packet` and go this way, when
    /// the stream in this direction has come so far.
    pub fn wants_more(&self, packet: &Packet<'_>, direction: FlowDirection, left: Left) -> bool {
        // Rules of addresses only look at the first packets; these are the others.
        let mut by_address = Vec::new();
        if let Some(ip) = &packet.ip {
            self.by_address().always.find(ip.source(), ip.destination(), &mut by_address);
        }
        let is_about = |index: &u32| {
            let signature = self.signatures().get(*index as usize);
            signature.is_some_and(|it| it.flow.allows(direction) && it.is_about(packet))
        };
        if by_address.iter().any(is_about) {
            return true;
        }
        let groups = self.groups().of(packet, direction);
        self.groups().these(groups).any(|group| {
            let Group { lasting, streaming, .. } = group;
            let streaming = if left == Left::Nothing { &[][..] } else { streaming };
            let streaming = streaming.iter().map(|index| (*index, left == Left::Records));
            let lasting = lasting.iter().map(|index| (*index, false));
            lasting.chain(streaming).any(|(index, for_events)| {
                self.signatures().get(index as usize).is_some_and(|it| {
                    (!for_events || it.asks_for_app_events()) && it.is_about(packet)
                })
            })
        })
    }

    /// Whether a rule asks for packets of hosts to be logged, whatever flow they are of.
    pub fn tags_hosts(&self) -> bool {
        let of_hosts =
            |it: &Signature| it.tag.as_ref().is_some_and(|tag| tag.scope != Scope::Session);
        self.signatures().iter().any(of_hosts)
    }
}

/// What rules may still see of one direction of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// All that comes.
    All,
    /// It is encrypted: what is odd about it, and nothing else.
    Records,
    /// Nothing: it was shown to its depth.
    Nothing,
}

/// When a rule has no use for a flow any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// From the begin: it looks at the first packet each way, or at segments with SYN, FIN or RST.
    Begin,
    /// Once the stream was shown to its depth, to rules and to the parser of its application protocol.
    Stream,
    /// Never.
    Lasting,
}

impl Signature {
    /// Whether it is of no other protocol than TCP.
    fn is_of_tcp(&self) -> bool {
        self.protocol.numbers == Numbers::of([TCP])
    }

    /// Whether it asks for what is odd about an application protocol.
    fn asks_for_app_events(&self) -> bool {
        self.transaction.as_ref().is_some_and(|rule| {
            let mut all = rule.inspections.iter();
            all.any(|it| matches!(it, Inspection::Question(Question::Event(_))))
        })
    }

    /// When it has no use for a flow any more.
    pub fn interest(&self) -> Interest {
        if self.checks.iter().any(Check::is_of_history) {
            Interest::Lasting
        } else if self.once || self.takes_control_only() {
            Interest::Begin
        } else if (self.payload.is_some() || (self.transaction.is_some() && self.is_of_tcp()))
            && self.payload_in == Payload::Stream
        {
            // Parsers are shown streams to the same depth.
            Interest::Stream
        } else {
            Interest::Lasting
        }
    }
}
