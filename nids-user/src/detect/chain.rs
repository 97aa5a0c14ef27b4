//! Inspection of one buffer by the contents of one rule, with back-tracking.
//!
//! A relative content counts from the end of the last positive one before it, so the contents of a rule
//! fall into runs: each begins at an absolute content and goes on as long as relative ones follow. Runs
//! do not depend on one another; inside a run a content that fails sends the search back to the next
//! hit of the one before. A chain matches when there is *any* choice of hits that fits: Suricata gives
//! up when a negated absolute content stands between two that depend on one another; this does not.
//!
//! Work is bounded: [`BUDGET`] searches a rule and packet, a search counting one and one more for each
//! 256 bytes of its window. Places from which a run has failed are remembered, so that it takes many
//! kilobytes made for the purpose to reach the bound.

use std::ops::Range;

use memchr::memmem::Finder;

use super::keyword::StepDraft;
use super::keyword::content::ContentDraft;

/// Searches for one chain in one buffer.
pub const BUDGET: u32 = 1 << 14;
/// Searches after which failures are looked up: few chains come this far.
const REMEMBER_AFTER: u32 = BUDGET - 64;
const MEMORY: usize = 1 << 12;

/// What became of an inspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It matches.
    Match,
    /// It does not.
    NoMatch,
    /// It was given up: the bound was reached.
    GivenUp,
}

/// A buffer, and its lower-case copy once something asks for it.
pub struct Input<'a> {
    raw: &'a [u8],
    /// Where places that are absolute count from; negative: before the first byte.
    base: i64,
    /// Bytes that were inspected before: a match must reach behind them.
    seen: usize,
    folded: &'a mut Vec<u8>,
    is_folded: bool,
}

impl<'a> Input<'a> {
    /// The buffer, with room for its lower-case copy.
    pub fn new(raw: &'a [u8], room: &'a mut Vec<u8>) -> Self {
        Self { raw, base: 0, seen: 0, folded: room, is_folded: false }
    }
    /// As a part of a stream: absolute places count from `base`, and the first `seen` bytes were inspected
    /// before.
    pub fn of_stream(self, base: i64, seen: usize) -> Self {
        Self { base, seen, ..self }
    }
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }
    /// The bytes; in lower case with `nocase`.
    #[inline]
    pub fn bytes(&mut self, nocase: bool) -> &[u8] {
        if !nocase {
            return self.raw;
        }
        if !self.is_folded {
            self.folded.clear();
            self.folded.extend_from_slice(self.raw);
            self.folded.make_ascii_lowercase();
            self.is_folded = true;
        }
        self.folded
    }
}

/// What an inspection works with: kept from packet to packet, so that nothing is allocated.
#[derive(Debug)]
pub struct Scratch {
    budget: u32,
    /// Where the last run that matched ended.
    end: usize,
    /// Where a run must end behind.
    reach: usize,
    /// Inspection, step and place that have failed, each in the slot of its hash.
    failed: Box<[(u32, u32, u32)]>,
    inspection: u32,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { budget: 0, end: 0, reach: 0, failed: vec![(0, 0, 0); MEMORY].into(), inspection: 0 }
    }
}

impl Scratch {
    fn start_run(&mut self) {
        self.inspection = self.inspection.wrapping_add(1);
        if self.inspection == 0 {
            self.failed.fill((0, 0, 0));
            self.inspection = 1;
        }
    }
    fn slot(step: usize, from: usize) -> usize {
        (from ^ step.wrapping_mul(0x9e5)) % MEMORY
    }
    fn has_failed(&self, step: usize, from: usize) -> bool {
        let entry = (self.inspection, step as u32, from as u32);
        self.failed.get(Self::slot(step, from)) == Some(&entry)
    }
    fn remember(&mut self, step: usize, from: usize) {
        if let Some(slot) = self.failed.get_mut(Self::slot(step, from)) {
            *slot = (self.inspection, step as u32, from as u32);
        }
    }
    fn spend(&mut self, window: usize) -> bool {
        let cost = 1 + (window >> 8) as u32;
        let enough = self.budget >= cost;
        self.budget = self.budget.saturating_sub(cost);
        enough
    }
}

/// The contents of a rule for one buffer.
#[derive(Debug)]
pub struct Chain {
    runs: Box<[Box<[Content]>]>,
}

impl Chain {
    /// Compiles contents in the order written; `None` where there are none.
    pub fn new(steps: &[StepDraft]) -> Option<Self> {
        let mut runs: Vec<Vec<Content>> = Vec::new();
        // The run whose last positive content a relative one counts from.
        let mut current: Option<usize> = None;
        for draft in steps.iter().filter_map(StepDraft::content) {
            let content = Content::new(draft);
            match current {
                Some(run) if draft.is_relative() => {
                    if let Some(run) = runs.get_mut(run) {
                        run.push(content);
                    }
                }
                _ => {
                    if !draft.negated {
                        current = Some(runs.len());
                    }
                    runs.push(vec![content]);
                }
            }
        }
        // Few bytes to compare first: windows as small as the content, then the longer contents.
        runs.sort_by_key(|run| {
            let head = run.first();
            (run.len(), std::cmp::Reverse(head.map_or(0, |head| head.needle().len())))
        });
        (!runs.is_empty()).then(|| Self { runs: runs.into_iter().map(Into::into).collect() })
    }

    /// Whether there are hits in `input` that fit.
    pub fn matches(&self, input: &mut Input<'_>, scratch: &mut Scratch) -> Verdict {
        scratch.budget = BUDGET;
        scratch.reach = 0;
        let mut furthest = 0;
        for run in &self.runs {
            scratch.start_run();
            match search(run, 0, 0, input, scratch) {
                Search::Match => furthest = furthest.max(scratch.end),
                Search::NoMatch | Search::Hopeless => return Verdict::NoMatch,
                Search::GivenUp => return Verdict::GivenUp,
            }
        }
        if input.seen == 0 || furthest > input.seen {
            return Verdict::Match;
        }
        // What was inspected before must not match again: some run has to reach into the new bytes.
        scratch.reach = input.seen;
        for run in &self.runs {
            scratch.start_run();
            match search(run, 0, 0, input, scratch) {
                Search::Match => return Verdict::Match,
                Search::NoMatch | Search::Hopeless => {}
                Search::GivenUp => return Verdict::GivenUp,
            }
        }
        Verdict::NoMatch
    }
}

enum Search {
    Match,
    /// Not from here; another hit before may do.
    NoMatch,
    /// Nor from any later place: the content is nowhere behind.
    Hopeless,
    GivenUp,
}

/// Whether the contents of `run` from `step` on match, when the last hit ended at `from`.
fn search(
    run: &[Content],
    step: usize,
    from: usize,
    input: &mut Input<'_>,
    scratch: &mut Scratch,
) -> Search {
    let Some(content) = run.get(step) else {
        scratch.end = from;
        let reaches = scratch.reach == 0 || from > scratch.reach;
        return if reaches { Search::Match } else { Search::NoMatch };
    };
    let remembering = scratch.budget < REMEMBER_AFTER;
    if remembering && scratch.has_failed(step, from) {
        return Search::NoMatch;
    }
    let mut window = content.window(from, input);
    if content.negated {
        if !scratch.spend(window.len()) {
            return Search::GivenUp;
        }
        return match content.find(input, window) {
            None => search(run, step + 1, from, input, scratch),
            Some(_) => Search::NoMatch,
        };
    }
    let mut found = false;
    loop {
        if !scratch.spend(window.len()) {
            return Search::GivenUp;
        }
        let Some(at) = content.find(input, window.clone()) else {
            // Without an end of its own, a later window is a part of this one.
            if !found && content.within.is_none() {
                return Search::Hopeless;
            }
            if remembering {
                scratch.remember(step, from);
            }
            return Search::NoMatch;
        };
        found = true;
        match search(run, step + 1, at + content.needle().len(), input, scratch) {
            Search::NoMatch => window.start = at + 1,
            other => return other,
        }
    }
}

/// One content.
#[derive(Debug)]
struct Content {
    finder: Finder<'static>,
    nocase: bool,
    negated: bool,
    relative: bool,
    /// Its place counts from the start of the buffer.
    placed: bool,
    /// Start of the window: from the start of the buffer, or from the end of the last hit.
    distance: i32,
    /// Length of the window, counted from `distance`.
    within: Option<u32>,
    at_end: bool,
}

impl Content {
    fn new(draft: &ContentDraft) -> Self {
        let mut bytes = draft.bytes.clone();
        if draft.nocase {
            bytes.make_ascii_lowercase();
        }
        let within = match (draft.startswith, draft.depth) {
            (true, _) => u32::try_from(bytes.len()).ok(),
            (false, Some(depth)) => Some(u32::from(depth)),
            (false, None) => draft.within,
        };
        Self {
            finder: Finder::new(&bytes).into_owned(),
            nocase: draft.nocase,
            negated: draft.negated,
            relative: draft.is_relative(),
            placed: draft.counts_from_start(),
            distance: draft.distance.or(draft.offset.map(i32::from)).unwrap_or(0),
            within,
            at_end: draft.endswith,
        }
    }

    fn needle(&self) -> &[u8] {
        self.finder.needle()
    }

    /// Where the content must lie as a whole; empty where it cannot.
    fn window(&self, from: usize, input: &Input<'_>) -> Range<usize> {
        let length = input.raw.len();
        let base = match (self.relative, self.placed) {
            (true, _) => from as i64,
            (false, true) => input.base,
            (false, false) => 0,
        };
        let start = base + i64::from(self.distance);
        let end = match self.within {
            Some(within) => (start + i64::from(within)).min(length as i64),
            None => length as i64,
        };
        let mut start = start.max(0) as usize;
        let end = end.max(0) as usize;
        if self.at_end {
            if end < length {
                return 0..0;
            }
            // It must be the last bytes.
            start = start.max(length.saturating_sub(self.needle().len()));
        }
        if start < end { start..end } else { 0..0 }
    }

    /// First hit inside the window.
    #[inline]
    fn find(&self, input: &mut Input<'_>, window: Range<usize>) -> Option<usize> {
        let needle = self.finder.needle();
        let start = window.start;
        let haystack = input.bytes(self.nocase).get(window)?;
        if haystack.len() <= needle.len() {
            return (haystack == needle).then_some(start);
        }
        self.finder.find(haystack).map(|at| start + at)
    }
}
