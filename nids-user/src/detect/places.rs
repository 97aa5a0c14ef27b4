//! Where the parts of a compiled rule were written, for those who explain or trace it.
//!
//! A signature has them only where somebody asked for it ([`Environment::places`](super::Environment)): a
//! sensor on duty does without the texts of its rules.

use std::path::Path;
use std::sync::Arc;

use super::buffer::Buffer;
use super::keyword::{BufferDraft, Draft, StepDraft};
use super::prefilter::{Chosen, Why};
use crate::rule::ast::{RuleOption, Span};
use crate::rule::diagnostic::{Excerpt, Place};

/// The text of a rule, and the places of its parts in it, in the order of the signature.
#[derive(Clone, Debug)]
pub struct Places {
    /// File.
    pub file: Arc<Path>,
    /// Line the rule begins at, from 1.
    pub line: u32,
    /// The text; all spans point into it.
    pub text: Arc<str>,
    /// Protocol in the header.
    pub protocol: Span,
    /// Source, its port, destination, its port, as written; none where the header leaves them out.
    pub ends: Option<[Span; 4]>,
    /// It is the other way of a `<>` rule.
    pub swapped: bool,
    /// `flow`.
    pub flow: Option<Span>,
    /// Of `checks`, in the order of inspection.
    pub checks: Vec<Span>,
    /// Of `lookups`.
    pub lookups: Vec<Span>,
    /// Of `tests`.
    pub tests: Vec<Span>,
    /// Of `changes`.
    pub changes: Vec<Span>,
    /// The payload's.
    pub payload: BufferPlaces,
    /// Those of `headers`, in their order.
    pub headers: Vec<BufferPlaces>,
    /// What it asks of transactions.
    pub inspected: Inspected,
    /// The content that the fast pattern is of, and why it was chosen.
    pub fast_pattern: Option<(Span, Why)>,
    /// `tag`.
    pub tag: Option<Span>,
}

/// Places of what a rule asks of transactions.
#[derive(Clone, Debug, Default)]
pub struct Inspected {
    /// Of the inspections, in their order.
    pub places: Vec<InspectionPlace>,
    /// The content that the fast pattern in their buffers is of, and why it was chosen.
    pub fast_pattern: Option<(Span, Why)>,
}

/// Place of an inspection.
#[derive(Clone, Debug)]
pub enum InspectionPlace {
    /// A keyword.
    Question(Span),
    /// The contents of the payload: [`Places::payload`].
    Payload,
    /// A buffer.
    Buffer(BufferPlaces),
}

/// Places of what is inspected in one buffer.
#[derive(Clone, Debug, Default)]
pub struct BufferPlaces {
    /// Where the rule names the buffer; empty where it does not.
    pub name: Span,
    /// Of the steps, in the order written; with those of what `base64_decode` decodes.
    pub steps: Vec<(Span, Vec<Span>)>,
    /// Of the sets that it is looked up in.
    pub sets: Vec<Span>,
}

/// Places of the parts of a rule, while it is read: each list has one for each part of the same list in
/// the draft.
#[derive(Clone, Debug, Default)]
pub struct Written {
    pub(super) checks: Vec<Span>,
    pub(super) lookups: Vec<Span>,
    pub(super) tests: Vec<Span>,
    pub(super) changes: Vec<Span>,
    pub(super) questions: Vec<Span>,
}

impl Places {
    /// Of a rule that was read. `order`: of the checks, as they will be inspected.
    /// `swapped`: the other way of a `<>` rule.
    pub(super) fn new(
        draft: &Draft<'_>,
        order: &[usize],
        chosen: Option<&Chosen>,
        inspected: &Inspected,
        swapped: bool,
    ) -> Self {
        let rule = draft.rule;
        let option = |name: &str| rule.option(name).map(RuleOption::span);
        let of = |which: fn(Buffer) -> bool| {
            let buffers = draft.buffers.iter().filter(move |buffer| which(buffer.buffer));
            buffers.map(BufferPlaces::of)
        };
        Self {
            file: rule.file.clone(),
            line: rule.line,
            text: rule.text.clone(),
            protocol: rule.header.protocol.span,
            ends: rule.header.endpoints.as_ref().map(|ends| {
                let mut places = [
                    ends.source.span,
                    ends.source_port.span,
                    ends.destination.span,
                    ends.destination_port.span,
                ];
                if swapped {
                    places.rotate_left(2);
                }
                places
            }),
            swapped,
            flow: option("flow"),
            checks: order.iter().filter_map(|at| draft.written.checks.get(*at).copied()).collect(),
            lookups: draft.written.lookups.clone(),
            tests: draft.written.tests.clone(),
            changes: draft.written.changes.clone(),
            payload: of(|buffer| buffer == Buffer::Payload).next().unwrap_or_default(),
            headers: of(Buffer::is_of_headers).collect(),
            inspected: inspected.clone(),
            fast_pattern: chosen.map(|chosen| (chosen.span, chosen.why)),
            tag: option("tag"),
        }
    }

    /// The text at a place, on one line.
    pub fn words(&self, span: Span) -> String {
        let text = self.text.get(span.start..span.end).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Line and column of a place.
    pub fn at(&self, span: Span) -> Place {
        let excerpt = Excerpt {
            file: &self.file,
            line: self.line,
            text: &self.text,
            span,
            reason: "",
            help: None,
            sid: None,
        };
        excerpt.place()
    }
}

impl BufferPlaces {
    pub(super) fn of(draft: &BufferDraft) -> Self {
        let step = |(step, span): (&StepDraft, &Span)| {
            let inside = match step {
                StepDraft::Base64(inner) => inner.spans.clone(),
                _ => Vec::new(),
            };
            (*span, inside)
        };
        Self {
            name: draft.span,
            steps: draft.steps.iter().zip(&draft.spans).map(step).collect(),
            sets: draft.set_spans.clone(),
        }
    }
}
