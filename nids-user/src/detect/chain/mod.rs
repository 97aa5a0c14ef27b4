//! Inspection of one buffer by the steps of one rule, with back-tracking.
//!
//! A step that is relative counts from the *cursor*: the end of the last positive hit before it, or the
//! place that `byte_jump`, `byte_extract` or `byte_math` has left it at. A step may also look at variables
//! that others have set. So the steps of a rule fall into *runs*: a run holds what depends on one another,
//! in the order written, and runs do not depend on one another. Inside a run a step that fails sends the
//! search back to the next hit of the content before it. A chain matches when there is *any* choice of hits
//! that fits: Suricata gives up when a negated absolute content stands between two that depend on one
//! another; this does not.
//!
//! # Streams
//!
//! A stream comes piece by piece, and a piece comes with the bytes of its *unit* that were inspected
//! before. Without more, what matched once would match in each later piece of the unit again. So a match
//! must be *new*: one of its hits must reach behind what was seen. The reach of a hit is how far the buffer
//! must go for it to hold: the end of a content, the end of a number and the place jumped to, the place that
//! `isdataat` asks for. A choice of hits fits in a buffer just when all of them do, so of a growing buffer
//! it fits in the first piece that holds them all, and there some hit reaches behind what was seen; in all
//! pieces before some hit is not there yet, in all later ones no hit is new. Each choice is so told once, in
//! whatever way the stream was cut. Which runs have a new hit does not matter, as they do not depend on one
//! another: one of them must.
//!
//! That holds for positive steps. What is *not* there may come later: a negated content is about the bytes
//! at hand, and so is the end of the buffer to `endswith` and `isdataat:!`. A chain that has no positive step
//! has nothing to reach with, and is asked for each piece.
//!
//! Before the unit may lie bytes of the one before it: absolute places count from `base`, where the unit
//! begins, and a content without a place may lie before it. Of a long unit the first bytes may be gone: then
//! `base` is negative, and nothing is found at the places that are gone.
//!
//! # Bounds
//!
//! Work is bounded: [`BUDGET`] searches a rule and packet, a search counting one and one more for each
//! 256 bytes of its window. Places from which a run has failed are remembered, so that it takes many
//! kilobytes made for the purpose to reach the bound; and where no hit of a content would do whose window goes
//! on to the end, none will do from a later place, so that the whole run ends. Where variables are set that are looked at later, a
//! place alone does not say what will fail, so that nothing is remembered there. Recursion is as deep as a
//! rule has contents and patterns; how many it may have the keywords bound. All searches for patterns share one
//! budget of [`pcre::Budget`].

mod content;
mod input;
pub mod number;
mod search;
#[cfg(test)]
pub(super) mod tests;

pub use input::Input;
pub use search::{Captured, Scratch};

use std::sync::Arc;

use super::asn1::Asn1;
use super::keyword::StepDraft;
use super::keyword::entropy::Entropy;
use super::keyword::number::Comparison;
use super::pcre;
use super::transform::base64::Base64Decode;
use content::Content;
use number::{ByteExtract, ByteJump, ByteMath, ByteTest, IsDataAt, Slot};
use search::{Outcome, Search};

/// Searches for one chain in one buffer.
pub const BUDGET: u32 = 1 << 14;

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

/// What a chain says of a buffer that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Absence {
    /// It does not match.
    #[default]
    Fails,
    /// `absent:or_else`: it matches.
    Matches,
    /// `absent`: it matches, and does not where the buffer is there.
    Required,
}

/// The steps of a rule for one buffer.
#[derive(Debug)]
pub struct Chain {
    runs: Box<[Box<[Step]>]>,
    absence: Absence,
    /// The patterns among the steps.
    patterns: Box<[Arc<pcre::Value>]>,
    /// Some step can reach behind what was seen.
    reaches: bool,
}

/// One step.
#[derive(Debug)]
struct Step {
    kind: Kind,
    /// No variable is looked at from here on that was set before: what fails from a place always does.
    is_memorable: bool,
    /// No later step of the run can reach behind what was seen.
    is_last_reach: bool,
}

/// What a step asks for.
#[expect(clippy::large_enum_variant, reason = "nearly all steps are contents")]
#[derive(Debug)]
enum Kind {
    Content(Content),
    IsDataAt(IsDataAt),
    ByteTest(ByteTest),
    ByteJump(ByteJump),
    ByteExtract(ByteExtract),
    ByteMath(ByteMath),
    /// `pcre`, with its number among the patterns of the chain.
    Pcre(Arc<pcre::Value>, u16),
    /// `base64_decode`, and the chain behind `base64_data`.
    Base64(Base64Decode, Box<Chain>),
    /// `asn1`.
    Asn1(Asn1),
    /// `entropy`.
    Entropy(Entropy),
    /// `bsize`: of the buffer as a whole.
    Size(Comparison<u32>),
}

impl Kind {
    fn new(draft: &StepDraft) -> Option<Self> {
        Some(match draft {
            StepDraft::Content(draft) => Self::Content(Content::new(draft)),
            StepDraft::IsDataAt(step) => Self::IsDataAt(*step),
            StepDraft::ByteTest(step) => Self::ByteTest(*step),
            StepDraft::ByteJump(step) => Self::ByteJump(*step),
            StepDraft::ByteExtract(step) => Self::ByteExtract(*step),
            StepDraft::ByteMath(step) => Self::ByteMath(*step),
            StepDraft::Pcre(value) => Self::Pcre(value.clone(), 0),
            StepDraft::Base64(draft) => {
                Self::Base64(draft.decode, Box::new(Chain::new(&draft.steps)?))
            }
            StepDraft::Asn1(step) => Self::Asn1(*step),
            StepDraft::Entropy(step) => Self::Entropy(*step),
            StepDraft::Size(size) => Self::Size(*size),
            StepDraft::Absent(_) => return None,
        })
    }

    /// Whether it sets the cursor to a place of its own, which a later cursor may bring forward.
    fn moves(&self) -> bool {
        match self {
            Self::Content(content) => !content.negated,
            Self::Pcre(value, _) => !value.negated,
            Self::ByteJump(_) | Self::ByteExtract(_) | Self::ByteMath(_) => true,
            Self::IsDataAt(_)
            | Self::ByteTest(_)
            | Self::Base64(..)
            | Self::Asn1(_)
            | Self::Entropy(_)
            | Self::Size(_) => false,
        }
    }

    /// Whether it takes bytes for it to hold.
    fn reaches(&self) -> bool {
        match self {
            Self::Content(content) => !content.negated,
            Self::Pcre(value, _) => !value.negated,
            Self::IsDataAt(step) => !step.negated,
            Self::ByteTest(_)
            | Self::ByteJump(_)
            | Self::ByteExtract(_)
            | Self::ByteMath(_)
            | Self::Base64(..) => true,
            Self::Asn1(_) | Self::Entropy(_) | Self::Size(_) => false,
        }
    }

    /// What it costs, roughly, for runs that cost little to come first.
    fn cost(&self) -> (u8, std::cmp::Reverse<usize>) {
        match self {
            Self::Content(content) => (1, std::cmp::Reverse(content.needle().len())),
            Self::Base64(..) | Self::Pcre(..) | Self::Asn1(_) | Self::Entropy(_) => {
                (2, std::cmp::Reverse(0))
            }
            _ => (0, std::cmp::Reverse(0)),
        }
    }
}

/// Variables that a step looks at.
fn uses(draft: &StepDraft) -> Vec<Slot> {
    match draft {
        StepDraft::Content(draft) => draft.slots().collect(),
        StepDraft::IsDataAt(step) => step.at.slot().into_iter().collect(),
        StepDraft::ByteTest(step) => step.slots().collect(),
        StepDraft::ByteJump(step) => step.slots().collect(),
        StepDraft::ByteExtract(step) => step.slots().collect(),
        StepDraft::ByteMath(step) => step.slots().collect(),
        StepDraft::Pcre(_)
        | StepDraft::Base64(_)
        | StepDraft::Asn1(_)
        | StepDraft::Entropy(_)
        | StepDraft::Size(_)
        | StepDraft::Absent(_) => Vec::new(),
    }
}

/// The variable that a step sets.
fn sets(draft: &StepDraft) -> Option<Slot> {
    match draft {
        StepDraft::ByteExtract(step) => Some(step.variable),
        StepDraft::ByteMath(step) => Some(step.variable),
        _ => None,
    }
}

/// For each step the number of its run: steps that depend on one another share one.
fn runs_of(drafts: &[&StepDraft], kinds: &[Kind]) -> Vec<usize> {
    let mut runs: Vec<usize> = Vec::with_capacity(drafts.len());
    let mut cursor: Option<usize> = None;
    for (index, (draft, kind)) in drafts.iter().zip(kinds).enumerate() {
        runs.push(index);
        let uses = uses(draft);
        let setters = drafts.iter().take(index).enumerate();
        let setters = setters.filter(|(_, d)| sets(d).is_some_and(|slot| uses.contains(&slot)));
        let needs = setters.map(|(at, _)| at).chain(cursor.filter(|_| draft.is_relative()));
        for need in needs.collect::<Vec<_>>() {
            let other = runs.get(need).copied().unwrap_or(index);
            let own = runs.last().copied().unwrap_or(index);
            runs.iter_mut().filter(|run| **run == own).for_each(|run| *run = other);
        }
        if kind.moves() {
            cursor = Some(index);
        }
    }
    runs
}

impl Chain {
    /// Whether it seeks more than these bytes of one content: if so, they may be there and the rest not yet.
    pub fn is_more_than(&self, fast_pattern: &[u8]) -> bool {
        match &*self.runs {
            [run] => match &**run {
                [Step { kind: Kind::Content(content), .. }] => content.len() > fast_pattern.len(),
                _ => true,
            },
            _ => true,
        }
    }

    /// Compiles steps in the order written; `None` where there are none.
    pub fn new(drafts: &[StepDraft]) -> Option<Self> {
        let absence = drafts.iter().find_map(|draft| match draft {
            StepDraft::Absent(absence) => Some(*absence),
            _ => None,
        });
        let (drafts, mut kinds): (Vec<&StepDraft>, Vec<Kind>) =
            drafts.iter().filter_map(|draft| Some((draft, Kind::new(draft)?))).unzip();
        if kinds.is_empty() && absence.is_none() {
            return None;
        }
        let mut patterns = Vec::new();
        for kind in &mut kinds {
            if let Kind::Pcre(value, number) = kind {
                // A rule has far fewer steps.
                *number = patterns.len() as u16;
                patterns.push(value.clone());
            }
        }
        let reaches = kinds.iter().any(Kind::reaches);
        let numbers = runs_of(&drafts, &kinds);
        let mut runs: Vec<(usize, Vec<(&StepDraft, Kind)>)> = Vec::new();
        for ((draft, kind), number) in drafts.into_iter().zip(kinds).zip(numbers) {
            match runs.iter_mut().find(|(other, _)| *other == number) {
                Some((_, run)) => run.push((draft, kind)),
                None => runs.push((number, vec![(draft, kind)])),
            }
        }
        let mut runs: Vec<Box<[Step]>> = runs.into_iter().map(|(_, run)| steps(run)).collect();
        // Few bytes to compare first: windows as small as the content, then the longer contents.
        runs.sort_by_key(|run| (run.len(), run.first().map(|head| head.kind.cost())));
        let absence = absence.unwrap_or_default();
        Some(Self { runs: runs.into(), absence, patterns: patterns.into(), reaches })
    }

    /// Whether the steps hold where there is no such buffer.
    pub fn holds_in_absence(&self) -> bool {
        self.absence != Absence::Fails
    }

    /// The pattern of [`Captured::pattern`].
    pub fn pattern(&self, number: u16) -> Option<&pcre::Value> {
        self.patterns.get(usize::from(number)).map(|value| &**value)
    }

    /// Whether there are hits in `input` that fit.
    pub fn matches(&self, input: &mut Input<'_>, scratch: &mut Scratch) -> Verdict {
        scratch.begin();
        self.inspect(input, scratch)
    }

    /// As [`Chain::matches`], with what is left of the budget.
    fn inspect(&self, input: &mut Input<'_>, scratch: &mut Scratch) -> Verdict {
        if self.absence == Absence::Required {
            return Verdict::NoMatch;
        }
        let only_new = input.seen() > 0 && self.reaches;
        // One of the runs must have something new; but first all must match at all.
        let mut is_new = !only_new;
        for run in &self.runs {
            let mut search = Search::new(run, input, scratch, false);
            match search.run() {
                Outcome::Match => is_new |= search.is_new,
                Outcome::NoMatch | Outcome::Hopeless => return Verdict::NoMatch,
                Outcome::GivenUp => return Verdict::GivenUp,
            }
        }
        if is_new {
            return Verdict::Match;
        }
        for run in &self.runs {
            match Search::new(run, input, scratch, true).run() {
                Outcome::Match => return Verdict::Match,
                Outcome::NoMatch | Outcome::Hopeless => {}
                Outcome::GivenUp => return Verdict::GivenUp,
            }
        }
        Verdict::NoMatch
    }
}

/// The steps of a run, each with what it knows of the others.
fn steps(run: Vec<(&StepDraft, Kind)>) -> Box<[Step]> {
    let last_reach = run.iter().rposition(|(_, kind)| kind.reaches());
    let memorable: Vec<bool> = (0..run.len())
        .map(|index| {
            let later: Vec<Slot> = run.iter().skip(index).flat_map(|(d, _)| uses(d)).collect();
            let mut set = run.iter().take(index).filter_map(|(draft, _)| sets(draft));
            !set.any(|slot| later.contains(&slot))
        })
        .collect();
    let steps = run.into_iter().zip(memorable).enumerate();
    let step = |(index, ((_, kind), is_memorable))| Step {
        kind,
        is_memorable,
        is_last_reach: last_reach == Some(index),
    };
    steps.map(step).collect()
}
