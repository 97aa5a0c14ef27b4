//! The steps of a signature in the order in which they are tried, in words: what `explain` lists, and what
//! `trace` names.
//!
//! The order is that of [`Signature::fits`] and [`super::trial`]; each step has the [`Stop`] that a rule
//! comes to there, so that a trace names one of these.

use super::buffer::Buffer;
use super::chain::{Cause, Chain, Cost, StepView, Stuck};
use super::check::Check;
use super::places::{BufferPlaces, InspectionPlace, Places};
use super::signature::Signature;
use super::transaction::Inspection;
use super::trial::Stop;
use crate::rule::ast::Span;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where a rule that fails here has stopped, without the place in the buffer.
    pub stop: Stop,
    /// What is looked at: `packet`, `flow`, `payload`, `tcp.hdr`.
    pub of: &'static str,
    /// The step as it is written in the rule, or in words.
    pub words: String,
    /// Its place in the rule.
    pub span: Option<Span>,
    /// Where it is looked for.
    pub place: Option<String>,
    /// What it costs.
    pub cost: Cost,
    /// Steps of one buffer with the same number depend on one another: a later one that fails sends the
    /// search back to the next hit of the one before.
    pub run: Option<usize>,
}

impl Signature {
    /// The steps, in the order in which they are tried. Their words are those of the rule where the
    /// signature has its places.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = List { places: self.places.as_deref(), steps: Vec::new() };
        let ends = steps.places.and_then(|places| places.ends);
        let [source, source_port, destination, destination_port] = match ends {
            Some(ends) => ends.map(Some),
            None => [None; 4],
        };
        if self.destination_port.is_some() {
            steps.end(Stop::DestinationPort, "destination port", destination_port);
        }
        if self.source_port.is_some() {
            steps.end(Stop::SourcePort, "source port", source_port);
        }
        if let Some(span) = steps.places.and_then(|places| places.flow) {
            steps.push(Stop::Flow, "flow", "flow", Some(span), Cost::Field);
        }
        if self.app.is_some() {
            let span = steps.places.map(|places| places.protocol);
            steps.end(Stop::App, "application protocol of", span);
            if let Some(step) = steps.steps.last_mut() {
                step.of = "flow";
            }
        }
        let protocol = steps.places.map(|places| places.protocol);
        steps.end(Stop::Protocol, "protocol", protocol);
        for (number, check) in self.checks.iter().enumerate() {
            let span = steps.places.and_then(|places| places.checks.get(number).copied());
            let of = if check.is_of_history() { "flow" } else { "packet" };
            let cost = match check {
                Check::IpOption(_) | Check::Mss(_) | Check::WindowScale(_) => Cost::Place,
                _ => Cost::Field,
            };
            steps.push(Stop::Check(number), of, "check", span, cost);
        }
        if self.source.is_some() {
            steps.end(Stop::Source, "source", source);
        }
        if self.destination.is_some() {
            steps.end(Stop::Destination, "destination", destination);
        }
        for number in 0..self.lookups.len() {
            let span = steps.places.and_then(|places| places.lookups.get(number).copied());
            steps.push(Stop::Lookup(number), "packet", "list of addresses", span, Cost::Table);
        }
        if self.once {
            let words = "first packet of the flow in its direction";
            steps.push(Stop::NotFirst, "flow", words, None, Cost::Field);
        }
        for number in 0..self.tests.len() {
            let span = steps.places.and_then(|places| places.tests.get(number).copied());
            steps.push(Stop::Test(number), "memory", "bit or variable", span, Cost::Table);
        }
        if let Some(chain) = &self.payload {
            let places = steps.places.map(|places| &places.payload);
            steps.chain(chain, Stop::Payload, "payload", places);
        }
        for (number, header) in self.headers.iter().enumerate() {
            let of = header.buffer.name();
            let places = steps.places.and_then(|places| places.headers.get(number));
            if let Some(chain) = &header.chain {
                steps.chain(chain, |stuck| Stop::Header(number, stuck), of, places);
            }
            for set in 0..header.sets.len() {
                let span = places.and_then(|places| places.sets.get(set).copied());
                steps.push(Stop::Set(number, set), of, "set", span, Cost::Table);
            }
        }
        let inspections = self.transaction.as_ref().map_or(&[][..], |rule| &rule.inspections);
        for (number, inspection) in inspections.iter().enumerate() {
            let place = steps.places.and_then(|places| places.inspected.places.get(number));
            steps.inspection(number, inspection, place);
        }
        steps.steps
    }

    /// In words, why it came to its end at something that is none of its [`Signature::steps`].
    pub fn without_step(&self, stop: Stop) -> String {
        let of = |number: usize| self.headers.get(number).map_or("buffer", |h| h.buffer.name());
        let app = |number: usize| {
            let inspection = self.transaction.as_ref().and_then(|it| it.inspections.get(number));
            match inspection {
                Some(Inspection::Buffer { buffer, .. }) => buffer.name(),
                _ => "buffer",
            }
        };
        let (buffer, cause) = match stop {
            Stop::Inspection(number, Stuck { cause: Cause::NoBytes, .. }) => {
                return format!("there is no {}", app(number));
            }
            Stop::Inspection(number, stuck) => (app(number), stuck.cause),
            Stop::NoPayload => return "the packet has no payload".to_owned(),
            Stop::NotInStream => {
                return "its contents are sought in the stream, and were not found there"
                    .to_owned();
            }
            Stop::NoHeader(number) => return format!("the packet has no {}", of(number)),
            Stop::Transform(number) => return format!("{} cannot be transformed so", of(number)),
            Stop::Payload(stuck) => ("payload", stuck.cause),
            Stop::Header(number, stuck) => (of(number), stuck.cause),
            _ => return "it does not hold".to_owned(),
        };
        match cause {
            Cause::NothingNew => {
                format!("all it asks for lies in bytes of the {buffer} that were inspected before")
            }
            Cause::BufferThere => format!("there is a {buffer}"),
            Cause::NoBytes | Cause::Step { .. } => format!("there is nothing in the {buffer}"),
        }
    }
}

struct List<'s> {
    places: Option<&'s Places>,
    steps: Vec<Step>,
}

impl List<'_> {
    /// A step in the words of the rule, or these.
    fn push(&mut self, stop: Stop, of: &'static str, words: &str, span: Option<Span>, cost: Cost) {
        let words = match (self.places, span) {
            (Some(places), Some(span)) => places.words(span),
            _ => words.to_owned(),
        };
        self.steps.push(Step { stop, of, words, span, place: None, cost, run: None });
    }

    /// A part of the header, which does not name itself.
    fn end(&mut self, stop: Stop, name: &'static str, span: Option<Span>) {
        self.push(stop, "packet", "", span, Cost::Field);
        if let Some(step) = self.steps.last_mut() {
            step.words = format!("{name} {}", step.words).trim_end().to_owned();
        }
    }

    fn inspection(
        &mut self,
        number: usize,
        inspection: &Inspection,
        place: Option<&InspectionPlace>,
    ) {
        let asked = Stop::Inspection(number, Stuck::default());
        match inspection {
            Inspection::Payload => {
                let words = "contents of the payload, as above";
                self.push(asked, "transaction", words, None, Cost::Field);
            }
            Inspection::Question(_) => {
                let span = match place {
                    Some(InspectionPlace::Question(span)) => Some(*span),
                    _ => None,
                };
                self.push(asked, "transaction", "question", span, Cost::Field);
            }
            Inspection::Buffer { buffer, chain, sets, .. } => {
                let places = match place {
                    Some(InspectionPlace::Buffer(places)) => Some(places),
                    _ => None,
                };
                let of = buffer.name();
                if let Some(chain) = chain {
                    self.chain(chain, |stuck| Stop::Inspection(number, stuck), of, places);
                }
                for set in 0..sets.len() {
                    let span = places.and_then(|places| places.sets.get(set).copied());
                    let stop = Stop::InspectionSet(number, set);
                    self.push(stop, of, "set", span, Cost::Table);
                }
            }
        }
    }

    fn chain(
        &mut self,
        chain: &Chain,
        stop: impl Fn(Stuck) -> Stop,
        of: &'static str,
        places: Option<&BufferPlaces>,
    ) {
        for view in chain.steps() {
            let spans = places.and_then(|places| places.steps.get(usize::from(view.number)));
            let StepView { run, number, place, cost, inside } = view;
            let at = |inside| Stuck { cause: Cause::Step { number, inside }, cursor: None };
            self.push(stop(at(None)), of, "content", spans.map(|(span, _)| *span), cost);
            if let Some(step) = self.steps.last_mut() {
                (step.place, step.run) = (place, Some(run));
            }
            for inner in inside {
                let span = spans.and_then(|(_, inner_spans)| {
                    inner_spans.get(usize::from(inner.number)).copied()
                });
                let stop = stop(at(Some(inner.number)));
                self.push(stop, "base64_data", "content", span, inner.cost);
                if let Some(step) = self.steps.last_mut() {
                    (step.place, step.run) = (inner.place, Some(run));
                }
            }
        }
    }
}

impl Stop {
    /// The same without the place in the buffer, and that place.
    pub fn parts(self) -> (Self, Option<usize>) {
        let bare = |stuck: Stuck| Stuck { cursor: None, ..stuck };
        match self {
            Self::Payload(stuck) => (Self::Payload(bare(stuck)), stuck.cursor),
            Self::Header(number, stuck) => (Self::Header(number, bare(stuck)), stuck.cursor),
            Self::Inspection(number, stuck) => {
                (Self::Inspection(number, bare(stuck)), stuck.cursor)
            }
            other => (other, None),
        }
    }
}

impl Buffer {
    /// The keyword that names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::TcpHeader => "tcp.hdr",
            Self::UdpHeader => "udp.hdr",
            Self::Ipv4Header => "ipv4.hdr",
            Self::Ipv6Header => "ipv6.hdr",
            Self::Icmpv4Header => "icmpv4.hdr",
            Self::Icmpv6Header => "icmpv6.hdr",
            Self::SourceAddress => "ip.src",
            Self::DestinationAddress => "ip.dst",
            Self::App(buffer) => buffer.name(),
        }
    }
}
