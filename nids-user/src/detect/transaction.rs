//! What a rule asks of one transaction of an application protocol, and how far a transaction has answered.
//!
//! A rule falls into *inspections*: a buffer with its contents, a question such as an event, the payload.
//! Each is answered by itself as the transaction goes on, in the order of the progress that it waits for; the
//! rule matches when all of them were. What was answered is kept with the transaction.

use super::app_buffer::AppBuffer;
use super::chain::{Chain, Input, Scratch, Verdict};
use super::keyword::dns::DnsTest;
use super::keyword::tls::TlsTest;
use super::lookup::SetTest;
use super::signature::FastPattern;
use super::transform::{self, Transform};
use crate::app::{AppProtocol, Event, Head, Shown, Transaction, dns, tls};
use crate::flow::FlowDirection;

/// Inspections that one rule may have: one bit each.
pub const MOST_INSPECTIONS: usize = 64;

/// What a rule asks of a transaction.
#[derive(Debug)]
pub struct TransactionRule {
    /// In the order of the progress they wait for.
    pub inspections: Box<[Inspection]>,
    /// Directions in which it is inspected: to the server, to the client.
    pub directions: [bool; 2],
    /// Bytes that the view of this number must hold; `None`: the rule is tried on each transaction.
    pub pattern: Option<(u32, FastPattern)>,
}

impl TransactionRule {
    /// Whether it is inspected in this direction.
    pub fn runs(&self, direction: FlowDirection) -> bool {
        let [to_server, to_client] = self.directions;
        match direction {
            FlowDirection::ToServer => to_server,
            FlowDirection::ToClient => to_client,
        }
    }
}

/// A buffer, and what its bytes go through.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// Which.
    pub buffer: AppBuffer,
    /// In the order written.
    pub transforms: Box<[Transform]>,
}

/// One inspection.
#[derive(Debug)]
pub enum Inspection {
    /// A buffer.
    Buffer {
        /// Its number among the views of the ruleset.
        view: u32,
        /// Which.
        buffer: AppBuffer,
        /// What must be in it.
        chain: Option<Chain>,
        /// Sets that it is looked up in.
        sets: Box<[SetTest]>,
    },
    /// A question about the transaction.
    Question(Question),
    /// The contents of the payload: those of the stream, at a packet at which the transaction is there.
    Payload,
}

/// A question about a transaction that is not about the bytes of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// `app-layer-event`.
    Event(Event),
    /// `dns.opcode`, `dns.rcode`, `dns.rrtype`.
    Dns(DnsTest),
    /// `tls.version` and the like.
    Tls(TlsTest),
}

impl Question {
    /// Whether it is so; what is not may still come until the direction is over.
    fn holds(self, at: &At<'_>) -> bool {
        match self {
            Self::Event(event) => {
                event.protocol() == at.protocol && at.head.events.contains(event.number())
            }
            Self::Dns(test) => {
                let dns = at.transaction.as_any().downcast_ref::<dns::Transaction>();
                dns.is_some_and(|dns| dns.direction == at.direction && test.holds(dns))
            }
            Self::Tls(test) => {
                let tls = at.transaction.as_any().downcast_ref::<tls::Transaction>();
                tls.is_some_and(|tls| test.holds(tls, at.direction))
            }
        }
    }
}

/// What an inspection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was found.
    Yes,
    /// It may come.
    NotYet,
    /// It will not come in this transaction.
    Never,
    /// It was given up: the bound was reached.
    GivenUp,
}

/// The transaction at hand.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// Its protocol.
    pub protocol: AppProtocol,
    /// What is known of it.
    pub head: &'a Head,
    /// Itself.
    pub transaction: &'a dyn Transaction,
    /// The direction that is inspected.
    pub direction: FlowDirection,
    /// How far that has come.
    pub progress: u8,
}

impl At<'_> {
    /// Whether the direction is over.
    pub fn is_over(&self) -> bool {
        self.progress >= self.transaction.complete(self.direction)
    }
}

impl Inspection {
    /// The progress it waits for.
    pub fn waits_for(&self, protocol: AppProtocol, direction: FlowDirection) -> u8 {
        match self {
            Self::Buffer { buffer, .. } => {
                buffer.progress(protocol, direction).map_or(u8::MAX, |(from, _)| from)
            }
            Self::Question(_) | Self::Payload => 0,
        }
    }

    /// Asks the transaction. `in_payload`: the contents of the payload were found at this packet.
    pub fn ask(
        &self,
        at: &At<'_>,
        in_payload: bool,
        views: &mut Views,
        known: &[View],
        scratch: &mut Scratch,
    ) -> Answer {
        let open = if at.is_over() { Answer::Never } else { Answer::NotYet };
        match self {
            Self::Payload if in_payload => Answer::Yes,
            Self::Question(question) if question.holds(at) => Answer::Yes,
            Self::Payload | Self::Question(_) => open,
            Self::Buffer { view, buffer, chain, sets } => {
                let Some((from, whole)) = buffer.progress(at.protocol, at.direction) else {
                    return Answer::Never;
                };
                if at.progress < from {
                    return open;
                }
                let open = if at.progress >= whole { Answer::Never } else { Answer::NotYet };
                let Some((slot, folded)) = views.fill(*view, at, known, scratch) else {
                    return Answer::Never;
                };
                if slot.instances.is_empty() {
                    let absent = chain.as_ref().is_some_and(Chain::holds_in_absence);
                    return if absent && open == Answer::Never { Answer::Yes } else { open };
                }
                for (bytes, base) in slot.instances() {
                    let verdict = match chain {
                        Some(chain) => {
                            let mut input = Input::new(bytes, folded).of_stream(-base, 0);
                            chain.matches(&mut input, scratch)
                        }
                        None => Verdict::Match,
                    };
                    match verdict {
                        // Last, as it may change the sets.
                        Verdict::Match if sets.iter().all(|set| set.matches(bytes)) => {
                            return Answer::Yes;
                        }
                        Verdict::Match | Verdict::NoMatch => {}
                        Verdict::GivenUp => return Answer::GivenUp,
                    }
                }
                open
            }
        }
    }
}

/// The buffers of the transaction at hand, each put together once however many rules ask for it.
#[derive(Debug, Default)]
pub struct Views {
    slots: Vec<Slot>,
    stamp: u64,
    folded: Vec<u8>,
    room: Vec<u8>,
    transformed: Vec<u8>,
}

/// The instances of one buffer.
#[derive(Debug, Default)]
pub struct Slot {
    stamp: u64,
    bytes: Vec<u8>,
    /// Where each one ends, and what place of the whole its first byte has.
    instances: Vec<(usize, i64)>,
}

impl Slot {
    /// The instances, each with the place of its first byte in the whole.
    pub fn instances(&self) -> impl Iterator<Item = (&[u8], i64)> {
        let mut start = 0;
        self.instances.iter().map(move |(end, base)| {
            let bytes = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            (bytes, *base)
        })
    }
}

impl Views {
    /// Begins with another transaction, or with the same one and more in it.
    pub fn begin(&mut self, views: usize) {
        self.stamp += 1;
        if self.slots.len() < views {
            self.slots.resize_with(views, Slot::default);
        }
    }

    /// The instances of a view, and room for a lower-case copy; `None` where the ruleset has no such view.
    pub fn fill(
        &mut self,
        number: u32,
        at: &At<'_>,
        views: &[View],
        scratch: &mut Scratch,
    ) -> Option<(&Slot, &mut Vec<u8>)> {
        let view = views.get(number as usize)?;
        let slot = self.slots.get_mut(number as usize)?;
        if slot.stamp != self.stamp {
            slot.stamp = self.stamp;
            slot.bytes.clear();
            slot.instances.clear();
            let (room, transformed) = (&mut self.room, &mut self.transformed);
            for index in 0.. {
                let shown = at.transaction.buffer(view.buffer, at.direction, index, room);
                let Some(Shown { bytes, offset }) = shown else { break };
                if view.transforms.is_empty() {
                    slot.bytes.extend_from_slice(bytes);
                } else {
                    let list = &view.transforms;
                    if transform::run(list, bytes, transformed, &mut scratch.transform).is_err() {
                        continue;
                    }
                    slot.bytes.extend_from_slice(transformed);
                }
                slot.instances.push((slot.bytes.len(), i64::try_from(offset).unwrap_or(0)));
            }
        }
        Some((slot, &mut self.folded))
    }
}
