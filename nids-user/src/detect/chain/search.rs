//! The search of one run, with back-tracking, and what it works with.

use std::ops::Range;

use super::content::Content;
use super::input::Input;
use super::number::{Held, Standing, Variables};
use super::{BUDGET, Chain, Kind, Step, Verdict};
use crate::detect::pcre;
use crate::detect::transform::{self, base64::Base64Decode};

/// Searches after which failures are looked up: few chains come this far.
const REMEMBER_AFTER: u32 = BUDGET - 64;
const MEMORY: usize = 1 << 12;

/// What an inspection works with: kept from packet to packet, so that nothing is allocated.
#[derive(Debug)]
pub struct Scratch {
    budget: u32,
    /// Inspection, step and place that have failed, each in the slot of its hash.
    failed: Box<[(u32, u32, u32)]>,
    inspection: u32,
    variables: Variables,
    decoded: Vec<u8>,
    folded: Vec<u8>,
    patterns: pcre::Budget,
    groups: pcre::Captures,
    captured: Vec<Captured>,
    /// For the transforms of the buffer at hand.
    pub(in crate::detect) transformed: Vec<u8>,
    pub(in crate::detect) transform: transform::Scratch,
}

/// What a group of a pattern matched, where the rule asks for its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Number of the pattern in its chain.
    pub pattern: u16,
    /// Number of the group.
    pub group: u16,
    /// Place in the buffer.
    pub span: Range<usize>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            budget: 0,
            failed: vec![(0, 0, 0); MEMORY].into(),
            inspection: 0,
            variables: Variables::default(),
            decoded: Vec::new(),
            folded: Vec::new(),
            patterns: pcre::Budget::default(),
            groups: pcre::Captures::default(),
            captured: Vec::new(),
            transformed: Vec::new(),
            transform: transform::Scratch::default(),
        }
    }
}

impl Scratch {
    /// Begins with a chain.
    pub(super) fn begin(&mut self) {
        self.budget = BUDGET;
        self.patterns = pcre::Budget::default();
        self.captured.clear();
    }
    /// What the chain that matched last has captured.
    pub fn captured(&self) -> &[Captured] {
        &self.captured
    }
    /// Searches that the last chain has left of its budget.
    #[cfg(test)]
    pub(super) fn left(&self) -> u32 {
        self.budget
    }
    fn next_inspection(&mut self) -> u32 {
        self.inspection = self.inspection.wrapping_add(1);
        if self.inspection == 0 {
            self.failed.fill((0, 0, 0));
            self.inspection = 1;
        }
        self.inspection
    }
    fn spend(&mut self, cost: usize) -> bool {
        let cost = 1 + cost as u32;
        let enough = self.budget >= cost;
        self.budget = self.budget.saturating_sub(cost);
        enough
    }
}

/// A place in the memory of failures, and what stands there for one.
struct Memory {
    slot: usize,
    entry: (u32, u32, u32),
}

/// What a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Match,
    /// Not from here; another hit before may do.
    NoMatch,
    /// Nor from any later place.
    Hopeless,
    GivenUp,
}

/// A search for hits of one run.
pub(super) struct Search<'s, 'i, 'b> {
    steps: &'s [Step],
    input: &'i mut Input<'b>,
    scratch: &'i mut Scratch,
    inspection: u32,
    /// Only hits that reach behind what was seen before count.
    only_new: bool,
    /// The hits that were found do.
    pub is_new: bool,
}

impl<'s, 'i, 'b> Search<'s, 'i, 'b> {
    pub fn new(
        steps: &'s [Step],
        input: &'i mut Input<'b>,
        scratch: &'i mut Scratch,
        only_new: bool,
    ) -> Self {
        let inspection = scratch.next_inspection();
        Self { steps, input, scratch, inspection, only_new, is_new: false }
    }

    /// Searches from the first step on.
    pub fn run(&mut self) -> Outcome {
        let start = self.input.start();
        self.from(0, start, false)
    }

    /// Whether the steps from `index` on hold when the cursor stands at `cursor`, and whether a hit before
    /// `is_new`.
    fn from(&mut self, mut index: usize, mut cursor: usize, mut is_new: bool) -> Outcome {
        // A later cursor makes for a later one at the end of the steps between hits.
        let mut steady = true;
        loop {
            let Some(step) = self.steps.get(index) else {
                self.is_new = is_new;
                return if is_new || !self.only_new { Outcome::Match } else { Outcome::NoMatch };
            };
            let outcome = match &step.kind {
                Kind::Content(content) if !content.negated => {
                    self.hits(step, content, index, cursor, is_new)
                }
                Kind::Pcre(value, number) if !value.negated => {
                    self.matches(step, (value, *number), index, cursor, is_new)
                }
                kind => match self.check(kind, cursor) {
                    Ok(held) => {
                        steady &= !kind.moves();
                        cursor = held.cursor;
                        is_new |= held.reach > self.input.seen();
                        index += 1;
                        continue;
                    }
                    Err(outcome) => outcome,
                },
            };
            return match outcome {
                Outcome::Hopeless if !steady => Outcome::NoMatch,
                outcome => outcome,
            };
        }
    }

    /// Tries the hits of a content, one after the other.
    fn hits(
        &mut self,
        step: &Step,
        content: &Content,
        index: usize,
        cursor: usize,
        is_new: bool,
    ) -> Outcome {
        let memory = self.memory(step, index, cursor, is_new);
        if memory.as_ref().is_some_and(|memory| self.has_failed(memory)) {
            return Outcome::NoMatch;
        }
        let length = content.needle().len();
        let mut window = content.window(self.input, cursor, &self.scratch.variables);
        if self.only_new && !is_new && step.is_last_reach {
            window.start = window.start.max((self.input.seen() + 1).saturating_sub(length));
        }
        let mut found = false;
        loop {
            if !self.scratch.spend(window.len() >> 8) {
                return Outcome::GivenUp;
            }
            let Some(at) = content.find(self.input, window.clone()) else {
                return self.exhausted(step, content.is_final, found, is_new, memory);
            };
            found = true;
            let end = at + length;
            match self.from(index + 1, end, is_new || end > self.input.seen()) {
                Outcome::NoMatch => window.start = at + 1,
                other => return other,
            }
        }
    }

    /// Tries the matches of a pattern, one after the other: the first from each place on.
    fn matches(
        &mut self,
        step: &Step,
        (value, number): (&pcre::Value, u16),
        index: usize,
        cursor: usize,
        is_new: bool,
    ) -> Outcome {
        let memory = self.memory(step, index, cursor, is_new);
        if memory.as_ref().is_some_and(|memory| self.has_failed(memory)) {
            return Outcome::NoMatch;
        }
        let bytes = self.input.raw();
        let origin = if value.relative { cursor } else { 0 };
        let subject = bytes.get(origin..).unwrap_or_default();
        // Where the unit does not begin the bytes, they do not begin the buffer either: `^` is not there.
        let mut from = if value.relative { 0 } else { usize::from(self.input.base() != 0) };
        let kept = self.scratch.captured.len();
        let mut found = false;
        loop {
            if !self.scratch.spend(subject.len().saturating_sub(from) >> 8) {
                return Outcome::GivenUp;
            }
            let Scratch { patterns, groups, .. } = &mut *self.scratch;
            let (start, end) = match value.regex.find(subject, from, patterns, groups) {
                pcre::Outcome::Match { start, end } => (start, end),
                pcre::Outcome::GivenUp => return Outcome::GivenUp,
                pcre::Outcome::NoMatch => {
                    return self.exhausted(step, !value.relative, found, is_new, memory);
                }
            };
            found = true;
            self.capture(value, number, origin);
            let end = origin + end;
            match self.from(index + 1, end, is_new || end > self.input.seen()) {
                Outcome::NoMatch => from = from.max(start) + 1,
                other => return other,
            }
            self.scratch.captured.truncate(kept);
        }
    }

    /// No hit is left, and none that was `found` would do. Where a later cursor has the same hits or fewer
    /// (`is_final`) they will not do there either, unless the steps behind them depend on what is yet to
    /// change: a variable, or whether something is new.
    fn exhausted(
        &mut self,
        step: &Step,
        is_final: bool,
        found: bool,
        is_new: bool,
        memory: Option<Memory>,
    ) -> Outcome {
        if is_final && (is_new || !self.only_new) && (!found || step.is_memorable) {
            return Outcome::Hopeless;
        }
        if let Some(memory) = memory
            && let Some(slot) = self.scratch.failed.get_mut(memory.slot)
        {
            *slot = memory.entry;
        }
        Outcome::NoMatch
    }

    /// Keeps the groups that the rule asks for.
    fn capture(&mut self, value: &pcre::Value, pattern: u16, origin: usize) {
        if value.captures.is_empty() {
            return;
        }
        for group in 1..=value.regex.groups() {
            if let Some(span) = self.scratch.groups.group(group) {
                let span = origin + span.start..origin + span.end;
                self.scratch.captured.push(Captured { pattern, group, span });
            }
        }
    }

    /// Where failures of the step from here are kept, once there are many.
    #[inline]
    fn memory(&self, step: &Step, index: usize, cursor: usize, is_new: bool) -> Option<Memory> {
        if !step.is_memorable || self.scratch.budget >= REMEMBER_AFTER {
            return None;
        }
        let state = (cursor as u32) << 1 | u32::from(is_new);
        let slot = (state as usize ^ index.wrapping_mul(0x9e5)) % MEMORY;
        Some(Memory { slot, entry: (self.inspection, index as u32, state) })
    }
    fn has_failed(&self, memory: &Memory) -> bool {
        self.scratch.failed.get(memory.slot) == Some(&memory.entry)
    }

    /// Checks a step that holds in one way at most.
    fn check(&mut self, kind: &Kind, cursor: usize) -> Result<Held, Outcome> {
        let failed = |hopeless: bool| if hopeless { Outcome::Hopeless } else { Outcome::NoMatch };
        let at = Standing {
            bytes: self.input.raw(),
            base: self.input.base(),
            cursor,
            variables: &self.scratch.variables,
        };
        let nothing = Held { cursor, reach: 0 };
        let (held, cost) = match kind {
            Kind::Content(content) => {
                let window = content.window(self.input, cursor, &self.scratch.variables);
                if !self.scratch.spend(window.len() >> 8) {
                    return Err(Outcome::GivenUp);
                }
                return match content.find(self.input, window) {
                    None => Ok(nothing),
                    Some(_) => Err(Outcome::NoMatch),
                };
            }
            Kind::IsDataAt(step) => {
                let held = step.check(&at);
                // Behind a later place there is even less.
                let hopeless = !step.negated && step.at.slot().is_none();
                (held.ok_or(failed(hopeless)), 0)
            }
            Kind::ByteTest(step) => (step.check(&at).ok_or(Outcome::NoMatch), 0),
            Kind::ByteJump(step) => (step.jump(&at).ok_or(Outcome::NoMatch), 0),
            Kind::ByteExtract(step) => {
                let extracted = step.extract(&at).ok_or(Outcome::NoMatch);
                let set = |(held, value)| {
                    self.scratch.variables.set(step.variable, value);
                    held
                };
                (extracted.map(set), 0)
            }
            Kind::ByteMath(step) => {
                let computed = step.compute(&at).ok_or(Outcome::NoMatch);
                let set = |(held, value)| {
                    self.scratch.variables.set(step.variable, value);
                    held
                };
                (computed.map(set), 0)
            }
            Kind::Size(size) => {
                let length = at.bytes.len().saturating_sub(self.input.start());
                let holds = size.holds(u32::try_from(length).unwrap_or(u32::MAX));
                (if holds { Ok(nothing) } else { Err(Outcome::Hopeless) }, 0)
            }
            Kind::Pcre(value, _) => return self.lacks(value, cursor).map(|()| nothing),
            Kind::Base64(step, chain) => {
                let origin = at.origin(step.relative).max(0) as usize + step.offset as usize;
                let part = at.bytes.len().saturating_sub(origin).min(usize::from(step.bytes));
                if !self.scratch.spend(part >> 6) {
                    return Err(Outcome::GivenUp);
                }
                return match self.decoded(step, chain, cursor) {
                    Verdict::Match => Ok(Held { cursor, reach: origin + part }),
                    Verdict::NoMatch => Err(Outcome::NoMatch),
                    Verdict::GivenUp => Err(Outcome::GivenUp),
                };
            }
            Kind::Entropy(step) => {
                let bytes = at.bytes.get(self.input.start()..).unwrap_or_default();
                let holds = step.matches(bytes);
                (if holds { Ok(nothing) } else { Err(Outcome::Hopeless) }, bytes.len() >> 6)
            }
            Kind::Asn1(step) => {
                let start = self.input.start();
                let bytes = at.bytes.get(start..).unwrap_or_default();
                let holds = step.matches(bytes, cursor.saturating_sub(start));
                (if holds { Ok(nothing) } else { Err(Outcome::NoMatch) }, bytes.len() >> 6)
            }
        };
        if self.scratch.spend(cost) { held } else { Err(Outcome::GivenUp) }
    }

    /// Checks that a negated pattern does not match.
    fn lacks(&mut self, value: &pcre::Value, cursor: usize) -> Result<(), Outcome> {
        let bytes = self.input.raw();
        let base = self.input.base();
        let start = if value.relative { cursor } else { self.input.start() };
        let subject = bytes.get(start..).unwrap_or_default();
        // In what lies before the unit too, and over its border; see `matches`.
        let joined = (!value.relative && base != 0).then_some((bytes, 1));
        for (subject, from) in [(subject, 0)].into_iter().chain(joined) {
            if !self.scratch.spend(subject.len() >> 8) {
                return Err(Outcome::GivenUp);
            }
            let Scratch { patterns, groups, .. } = &mut *self.scratch;
            match value.regex.find(subject, from, patterns, groups) {
                pcre::Outcome::NoMatch => {}
                pcre::Outcome::Match { .. } => return Err(Outcome::NoMatch),
                pcre::Outcome::GivenUp => return Err(Outcome::GivenUp),
            }
        }
        Ok(())
    }

    /// Inspects what is decoded.
    fn decoded(&mut self, step: &Base64Decode, chain: &Chain, cursor: usize) -> Verdict {
        // The room goes along, so that the search in it may use the rest of what there is.
        let mut decoded = std::mem::take(&mut self.scratch.decoded);
        let mut folded = std::mem::take(&mut self.scratch.folded);
        let origin = if step.relative { 0 } else { self.input.start() };
        let bytes = self.input.raw().get(origin..).unwrap_or_default();
        let verdict = match step.decode(bytes, cursor, &mut decoded) {
            false => Verdict::NoMatch,
            true => chain.inspect(&mut Input::new(&decoded, &mut folded), self.scratch),
        };
        self.scratch.decoded = decoded;
        self.scratch.folded = folded;
        verdict
    }
}
