//! The search of one run, with back-tracking, and what it works with.

use super::content::Content;
use super::input::Input;
use super::number::{Held, Standing, Variables};
use super::{BUDGET, Kind, Step, Verdict, base64};

/// Searches after which failures are looked up: few chains come this far.
const REMEMBER_AFTER: u32 = BUDGET - 64;
const MEMORY: usize = 1 << 12;

/// What an inspection works with: kept from packet to packet, so that nothing is allocated.
#[derive(Debug)]
pub struct Scratch {
    pub(super) budget: u32,
    /// Inspection, step and place that have failed, each in the slot of its hash.
    failed: Box<[(u32, u32, u32)]>,
    inspection: u32,
    variables: Variables,
    decoded: Vec<u8>,
    folded: Vec<u8>,
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
        }
    }
}

impl Scratch {
    fn next_inspection(&mut self) -> u32 {
        self.inspection = self.inspection.wrapping_add(1);
        if self.inspection == 0 {
            self.failed.fill((0, 0, 0));
            self.inspection = 1;
        }
        self.inspection
    }
    fn slot(step: usize, from: u32) -> usize {
        (from as usize ^ step.wrapping_mul(0x9e5)) % MEMORY
    }
    fn spend(&mut self, cost: usize) -> bool {
        let cost = 1 + cost as u32;
        let enough = self.budget >= cost;
        self.budget = self.budget.saturating_sub(cost);
        enough
    }
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
        let base = self.input.base();
        self.from(0, base, false)
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
        let remembering = step.is_memorable && self.scratch.budget < REMEMBER_AFTER;
        let state = (cursor as u32) << 1 | u32::from(is_new);
        let entry = (self.inspection, index as u32, state);
        let slot = Scratch::slot(index, state);
        if remembering && self.scratch.failed.get(slot) == Some(&entry) {
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
                if !found && content.is_final {
                    return Outcome::Hopeless;
                }
                if remembering && let Some(slot) = self.scratch.failed.get_mut(slot) {
                    *slot = entry;
                }
                return Outcome::NoMatch;
            };
            found = true;
            let end = at + length;
            match self.from(index + 1, end, is_new || end > self.input.seen()) {
                Outcome::NoMatch => window.start = at + 1,
                other => return other,
            }
        }
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
                let length = at.bytes.len().saturating_sub(at.base);
                let holds = size.holds(u32::try_from(length).unwrap_or(u32::MAX));
                (if holds { Ok(nothing) } else { Err(Outcome::Hopeless) }, 0)
            }
            Kind::Base64(step) => {
                let part = step.part(self.input.raw(), at.origin(step.relative));
                let Some((part, reach)) = part else { return Err(Outcome::NoMatch) };
                if !self.scratch.spend(part.len() >> 6) {
                    return Err(Outcome::GivenUp);
                }
                return match self.decoded(step, part) {
                    Verdict::Match => Ok(Held { cursor, reach }),
                    Verdict::NoMatch => Err(Outcome::NoMatch),
                    Verdict::GivenUp => Err(Outcome::GivenUp),
                };
            }
        };
        if self.scratch.spend(cost) { held } else { Err(Outcome::GivenUp) }
    }

    /// Inspects what is decoded.
    fn decoded(&mut self, step: &base64::Base64, part: &[u8]) -> Verdict {
        // The room goes along, so that the search in it may use the rest of what there is.
        let mut decoded = std::mem::take(&mut self.scratch.decoded);
        let mut folded = std::mem::take(&mut self.scratch.folded);
        base64::decode(part, &mut decoded);
        let verdict = match decoded.is_empty() {
            true => Verdict::NoMatch,
            false => step.chain.inspect(&mut Input::new(&decoded, &mut folded), self.scratch),
        };
        self.scratch.decoded = decoded;
        self.scratch.folded = folded;
        verdict
    }
}
