//! Keywords of all application protocols: their buffers, as sticky ones and as modifiers behind a content, and
//! `app-layer-event` (Suricata user guide, "Modifier Keywords", "Application layer keywords").
//!
//! Which buffers there are is [`crate::detect::app_buffer`]'s.

use super::value::{Fault, Use};
use super::{Draft, Keyword, StepDraft};
use crate::app::{AppProtocols, Event};
use crate::detect::buffer::{AppBuffer, Buffer};
use crate::detect::protocol::Numbers;
use crate::detect::transaction::Question;
use crate::flow::FlowDirection;
use crate::rule::ast::Span;
use crate::rule::diagnostic::ReasonKind;
use crate::rule::dialect::Dialect;

/// Keywords of this family that are no buffers.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "app-layer-event", apply: event }];

const STICKY: Keyword = Keyword { name: "", apply: sticky };
const MODIFIER: Keyword = Keyword { name: "", apply: modifier };

/// The keyword of a buffer with this name.
pub fn of_buffer(name: &str) -> Option<&'static Keyword> {
    if AppBuffer::sticky(name).is_some() {
        return Some(&STICKY);
    }
    AppBuffer::modifier(name).map(|_| &MODIFIER)
}

fn sticky(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    keyword.no_value()?;
    let Some(buffer) = AppBuffer::sticky(keyword.name.text) else { return Ok(()) };
    draft.narrow(keyword, buffer)?;
    draft.select(Buffer::App(buffer), keyword.name.span());
    Ok(())
}

/// Moves the content before it into its buffer. In Snort 3 it names the buffer for what follows.
fn modifier(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    keyword.no_value()?;
    let Some(buffer) = AppBuffer::modifier(keyword.name.text) else { return Ok(()) };
    if draft.rule.dialect == Dialect::Snort3 {
        draft.narrow(keyword, buffer)?;
        draft.select(Buffer::App(buffer), keyword.name.span());
        return Ok(());
    }
    draft.move_content(keyword, buffer)
}

fn event(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = keyword.value()?.trim();
    let name = value.text.to_ascii_lowercase();
    let Some(event) = Event::named(&name) else {
        return Err(value.bad(format!("`{}` is not an event that is raised here", value.text)));
    };
    draft.limit_to(AppProtocols::of(&[event.protocol()]), keyword)?;
    draft.questions.push(Question::Event(event));
    Ok(())
}

impl Draft<'_> {
    /// Moves the last content of the payload into this buffer.
    pub(super) fn move_content(
        &mut self,
        keyword: &Use<'_>,
        buffer: AppBuffer,
    ) -> Result<(), Fault> {
        let name = keyword.name.text;
        if self.buffer() != Buffer::Payload || self.decoded || self.moved.is_some() {
            return Err(keyword
                .conflict(format!(
                    "`{name}` needs a `content` before it that is in no other buffer"
                ))
                .help(format!("the sticky buffer is `{}`", buffer.name())));
        }
        let steps = self.buffers.get_mut(self.current).map(|buffer| &mut buffer.steps);
        let last = steps.and_then(|steps| {
            let at = steps.iter().rposition(|step| step.content().is_some())?;
            Some(steps.remove(at))
        });
        let Some(step) = last else {
            return Err(keyword.conflict(format!("`{name}` needs a `content` before it")));
        };
        self.go_to(keyword, buffer)?;
        if let Some(steps) = self.steps_mut() {
            steps.push(step);
        }
        Ok(())
    }

    /// Adds a step to this buffer; what follows goes where it went before.
    pub(super) fn push_into(
        &mut self,
        keyword: &Use<'_>,
        buffer: AppBuffer,
        step: StepDraft,
    ) -> Result<(), Fault> {
        let moved = self.moved;
        self.go_to(keyword, buffer)?;
        self.push_here(keyword, step)?;
        self.moved = moved;
        Ok(())
    }

    /// What follows and belongs to the content before it goes to this buffer, which a modifier or a flag names.
    pub(super) fn go_to(&mut self, keyword: &Use<'_>, buffer: AppBuffer) -> Result<(), Fault> {
        self.narrow(keyword, buffer)?;
        let at = self.place(Buffer::App(buffer), keyword.name.span());
        self.moved = Some(at);
        Ok(())
    }

    /// The rule is of protocols that have this buffer.
    pub(super) fn narrow(&mut self, keyword: &Use<'_>, buffer: AppBuffer) -> Result<(), Fault> {
        self.limit_to(buffer.protocols(None), keyword)
    }

    /// The rule is of these protocols.
    pub(super) fn limit_to(
        &mut self,
        protocols: AppProtocols,
        keyword: &Use<'_>,
    ) -> Result<(), Fault> {
        let both = self.app.unwrap_or(protocols).intersect(protocols);
        let carriers = both.iter().flat_map(|protocol| protocol.carriers().iter().copied());
        let carried = self.protocol.numbers.intersect(&Numbers::of(carriers));
        if both.is_empty() || carried == Numbers::NONE {
            return Err(keyword.conflict(format!(
                "no flow of this rule's protocols has `{}`",
                keyword.name.text
            )));
        }
        self.app = Some(both);
        self.protocol.numbers = carried;
        Ok(())
    }

    /// Directions in which all that the rule asks of transactions can be found: to the server, to the
    /// client.
    pub fn transaction_directions(&self) -> [bool; 2] {
        [FlowDirection::ToServer, FlowDirection::ToClient].map(|way| {
            let asked = self.flow.is_none_or(|flow| flow.allows(way));
            let buffers = self.buffers.iter().filter_map(|buffer| buffer.buffer.app());
            let app = self.app.unwrap_or_default();
            asked && buffers.into_iter().all(|b| !b.protocols(Some(way)).intersect(app).is_empty())
        })
    }

    /// Whether it asks anything of transactions.
    pub fn asks_of_transactions(&self) -> bool {
        !self.questions.is_empty()
            || self.buffers.iter().any(|buffer| buffer.buffer.app().is_some())
    }
}

/// Buffers that are not in the same direction, and what cannot be matched with transactions.
pub(super) fn verify(draft: &Draft<'_>) -> Result<(), Fault> {
    if !draft.asks_of_transactions() {
        return Ok(());
    }
    if draft.transaction_directions() == [false; 2] {
        let buffers = draft.buffers.iter().filter(|buffer| buffer.buffer.app().is_some());
        let span = buffers.map(|b| b.span).next_back().unwrap_or_else(|| draft.whole());
        let reason = "this is not in the direction of the rule, or of another buffer of it";
        return Err(Fault::new(span, ReasonKind::Conflict, reason));
    }
    if draft.buffers.len() + draft.questions.len() > super::super::transaction::MOST_INSPECTIONS {
        let reason = "the rule asks for too much of one transaction";
        return Err(Fault::new(draft.whole(), ReasonKind::Conflict, reason));
    }
    if let Some(buffer) = draft.buffers.iter().find(|buffer| buffer.buffer.is_of_headers()) {
        return Err(of_packet(buffer.span));
    }
    draft.buffers.iter().try_for_each(host_is_lower_case)
}

fn of_packet(span: Span) -> Fault {
    let reason = "what only a packet has cannot be asked of a transaction";
    Fault::new(span, ReasonKind::Conflict, reason)
}

/// `http.host` is in lower case (Suricata user guide, "http.host").
fn host_is_lower_case(buffer: &super::BufferDraft) -> Result<(), Fault> {
    if buffer.buffer != Buffer::App(AppBuffer::HttpHost) || !buffer.transforms.is_empty() {
        return Ok(());
    }
    for content in buffer.steps.iter().filter_map(StepDraft::content) {
        if content.nocase || content.bytes.iter().any(u8::is_ascii_uppercase) {
            let reason =
                "the host is in lower case: write it so, without `nocase`, or use `http.host.raw`";
            return Err(Fault::new(content.span, ReasonKind::Conflict, reason));
        }
    }
    Ok(())
}
