//! One candidate on one packet or piece of a stream: the tests of a signature in their order.
//!
//! The order is written once, here and in [`Signature`]. Whoever wants to know where a rule came to its
//! end hands in a [`Record`]; the inspection hands in `()`, and pays nothing.

use super::chain::{Chain, Input, Scratch, Stuck, Verdict};
use super::memory::{Kept, Shared};
use super::signature::Signature;
use super::subject::Subject;

/// Where a rule came to its end, in the order of inspection. Numbers are those of the signature's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Destination port.
    DestinationPort,
    /// Source port.
    SourcePort,
    /// `flow`.
    Flow,
    /// Application protocol.
    App,
    /// IP version or protocol.
    Protocol,
    /// A check.
    Check(usize),
    /// Source address.
    Source,
    /// Destination address.
    Destination,
    /// A list of addresses.
    Lookup(usize),
    /// It looks at the first packet of each direction of a flow only.
    NotFirst,
    /// What earlier matches must have left.
    Test(usize),
    /// The packet has no payload.
    NoPayload,
    /// The payload is part of a stream, and the contents were not found there.
    NotInStream,
    /// The payload.
    Payload(Stuck),
    /// The packet has no such header.
    NoHeader(usize),
    /// A header cannot be transformed so.
    Transform(usize),
    /// A header.
    Header(usize, Stuck),
    /// A header is not in a set, or is: its number, and that of the set.
    Set(usize, usize),
    /// An inspection of the transaction.
    Inspection(usize, Stuck),
    /// A buffer of the transaction is not in a set, or is: the inspection, and the number of the set.
    InspectionSet(usize, usize),
}

/// Takes note of where a rule came to its end.
pub trait Record: Default {
    /// Whether it does.
    const ON: bool;
    /// The rule came to its end there.
    fn stop(&mut self, stop: Stop);
    /// It came to its end where another one has noted it.
    fn take(&mut self, other: Self);
}

/// Nobody wants to know.
impl Record for () {
    const ON: bool = false;
    #[inline]
    fn stop(&mut self, _: Stop) {}
    #[inline]
    fn take(&mut self, (): Self) {}
}

impl Record for Option<Stop> {
    const ON: bool = true;
    fn stop(&mut self, stop: Stop) {
        *self = Some(stop);
    }
    fn take(&mut self, other: Self) {
        *self = other;
    }
}

/// `holds`, with a note where it does not.
#[inline]
pub(super) fn note<R: Record>(holds: bool, stop: Stop, record: &mut R) -> bool {
    if !holds {
        record.stop(stop);
    }
    holds
}

/// Whether a chain matches, with a note of the step where it does not.
#[inline]
pub(super) fn inspect<R: Record>(
    chain: &Chain,
    input: &mut Input<'_>,
    scratch: &mut Scratch,
    stop: impl Fn(Stuck) -> Stop,
    record: &mut R,
) -> Verdict {
    if !R::ON {
        return chain.matches(input, scratch);
    }
    let (verdict, stuck) = chain.trace(input, scratch);
    if verdict != Verdict::Match {
        record.stop(stop(stuck));
    }
    verdict
}

/// What candidates are tried on: a packet, and what is known of it.
pub(super) struct Trial<'t, 'p, 'k, 'i> {
    pub shared: &'t Shared,
    pub subject: &'t Subject<'p>,
    pub kept: &'t mut Kept<'k>,
    /// The payload.
    pub input: Input<'i>,
    pub folded_header: &'t mut Vec<u8>,
    pub scratch: &'t mut Scratch,
}

impl Trial<'_, '_, '_, '_> {
    /// Whether a signature matches the packet. `streamed`: its contents were found in the stream.
    // Inlined where the inspection calls it: the call would cost as much as the first tests.
    #[inline(always)]
    pub fn packet<R: Record>(
        &mut self,
        signature: &Signature,
        streamed: bool,
        record: &mut R,
    ) -> Verdict {
        let subject = self.subject;
        if !signature.fits(subject, record) {
            return Verdict::NoMatch;
        }
        let mut tests = signature.tests.iter().enumerate();
        let holds = tests.all(|(number, test)| {
            note(test.holds(self.shared, subject, self.kept), Stop::Test(number), record)
        });
        if !holds {
            return Verdict::NoMatch;
        }
        let in_packet = signature.payload_in.is_in_packet(subject.stream.in_stream);
        let verdict = match &signature.payload {
            Some(chain) if in_packet && !self.input.is_empty() && !streamed => {
                inspect(chain, &mut self.input, self.scratch, Stop::Payload, record)
            }
            Some(_) if !streamed => {
                record.stop(if in_packet { Stop::NoPayload } else { Stop::NotInStream });
                Verdict::NoMatch
            }
            _ => Verdict::Match,
        };
        match verdict {
            Verdict::Match if !signature.headers.is_empty() => {
                signature.headers_match(subject.packet, self.folded_header, self.scratch, record)
            }
            verdict => verdict,
        }
    }

    /// The same for somebody who watches.
    #[cold]
    #[inline(never)]
    pub fn watched(
        &mut self,
        signature: &Signature,
        streamed: bool,
        record: Option<&mut Option<Stop>>,
    ) -> Verdict {
        match record {
            None => self.packet(signature, streamed, &mut ()),
            Some(stop) => self.packet(signature, streamed, stop),
        }
    }
}

impl Signature {
    /// [`Signature::fits`] for somebody who watches.
    #[cold]
    #[inline(never)]
    pub(super) fn fits_watched(
        &self,
        subject: &Subject<'_>,
        record: Option<&mut Option<Stop>>,
    ) -> bool {
        match record {
            None => self.fits(subject, &mut ()),
            Some(stop) => self.fits(subject, stop),
        }
    }
}

impl Chain {
    /// [`Chain::matches`] in a stream, for somebody who watches.
    #[cold]
    #[inline(never)]
    pub(super) fn watched(
        &self,
        input: &mut Input<'_>,
        scratch: &mut Scratch,
        record: Option<&mut Option<Stop>>,
    ) -> Verdict {
        match record {
            None => self.matches(input, scratch),
            Some(stop) => inspect(self, input, scratch, Stop::Payload, stop),
        }
    }
}
