//! A compiled pattern, and the search for its matches.
//!
//! The back-tracking matcher comes first: on the short subjects that rules look at it is the quicker one,
//! and it needs a few hundred bytes a pattern. When it takes too many steps, patterns that allow it go on
//! with the linear engine, which is built then. All others give up when the budget is spent.

use std::ops::Range;
use std::sync::OnceLock;

use memchr::{memchr, memmem};

use super::analysis::{self, Begin, Literal};
use super::linear::{Found, Linear};
use super::matcher::{Attempt, Scratch, Search};
use super::parser::{self, Error, Flags};
use super::program::{Finder, Program, START, group_register};

/// Steps the matcher takes before the linear engine has its turn, and more for each byte of the subject.
const TRIAL: u64 = 4096;
const TRIAL_A_BYTE: u64 = 4;
/// Bytes of the linear engine that cost one step.
const LINEAR_BYTES_A_STEP: u64 = 4;

/// Steps that matching may take.
///
/// A step is one instruction of the matcher, or some bytes looked at as one: 3 to 8 ns. It may be shared by
/// several searches, so that all rules on one packet are bounded together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    left: u64,
}

impl Budget {
    /// Steps for one search, if nothing else is asked for: one or two milliseconds at most.
    ///
    /// Suricata lets PCRE back-track 3,500 times (`pcre.match-limit`) from each place a match may begin,
    /// which on a large buffer is no bound at all; here all places share one budget.
    pub const DEFAULT_STEPS: u64 = 250_000;

    /// So many steps.
    pub fn new(steps: u64) -> Self {
        Self { left: steps }
    }
    /// Steps that are left.
    pub fn left(&self) -> u64 {
        self.left
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(Self::DEFAULT_STEPS)
    }
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The first match, as Perl finds it.
    Match {
        /// Where it begins.
        start: usize,
        /// Where it ends.
        end: usize,
    },
    /// There is none.
    NoMatch,
    /// The budget was spent before an answer was found.
    GivenUp,
}

/// What a worker keeps from search to search.
#[derive(Debug, Default)]
pub struct Captures {
    scratch: Scratch,
    groups: u16,
}

impl Captures {
    /// What a group of the last match matched. Group 0 is not among them: see [`Outcome::Match`].
    pub fn group(&self, group: u16) -> Option<Range<usize>> {
        let register = usize::from(group_register(group));
        let valid = (1..=self.groups).contains(&group);
        let start = self.scratch.register(register).filter(|_| valid)?;
        Some(start..self.scratch.register(register + 1)?)
    }
}

/// A compiled pattern.
#[derive(Debug)]
pub struct Regex {
    pattern: Box<[u8]>,
    flags: Flags,
    anchored: bool,
    program: Program,
    groups: u16,
    names: Box<[(String, u16)]>,
    begin: Begin,
    first: Option<Finder>,
    min_len: usize,
    literal: Option<Literal>,
    regular: bool,
    linear: OnceLock<Option<Box<Linear>>>,
}

impl Regex {
    /// Compiles a pattern. `anchored`: a match begins where the search does.
    pub fn new(pattern: &[u8], flags: Flags, anchored: bool) -> Result<Self, Error> {
        let parsed = parser::parse(pattern, flags)?;
        let node = &parsed.node;
        let program = Program::new(node, parsed.groups).ok_or_else(|| Error {
            at: 0,
            reason: "the pattern is too large".to_owned(),
            missing_group: false,
        })?;
        let begin = match analysis::begin(node) {
            _ if anchored => Begin::Search,
            begin => begin,
        };
        Ok(Self {
            pattern: pattern.into(),
            flags,
            anchored,
            program,
            groups: parsed.groups,
            names: parsed.names.into(),
            begin,
            first: analysis::first_bytes(node).map(Finder::new),
            min_len: node.min_len(),
            literal: analysis::required_literal(node),
            regular: Linear::is_possible(node),
            linear: OnceLock::new(),
        })
    }

    /// Number of groups that capture.
    pub fn groups(&self) -> u16 {
        self.groups
    }
    /// Names of groups.
    pub fn names(&self) -> &[(String, u16)] {
        &self.names
    }
    /// The longest bytes that stand in every match, and whether in either case.
    pub fn required_literal(&self) -> Option<(&[u8], bool)> {
        self.literal.as_ref().map(|literal| (literal.bytes.as_slice(), literal.nocase))
    }
    /// Whether the pattern has a linear engine to go on with.
    pub fn is_regular(&self) -> bool {
        self.regular
    }
    /// Memory it takes, in bytes, without the linear engine.
    pub fn memory(&self) -> usize {
        let literal = self.literal.as_ref().map_or(0, |literal| literal.bytes.len());
        size_of::<Self>() + self.pattern.len() + self.program.memory() + literal
    }

    /// The first match in `subject` that begins at `from` or later. What stands before `from` is seen by
    /// `^`, `\b` and looks behind.
    pub fn find(
        &self,
        subject: &[u8],
        from: usize,
        budget: &mut Budget,
        captures: &mut Captures,
    ) -> Outcome {
        captures.groups = 0;
        let Some(window) = subject.get(from..) else { return Outcome::NoMatch };
        if window.len() < self.min_len || !self.may_match(window) {
            return Outcome::NoMatch;
        }
        if u32::try_from(subject.len() + 1).is_err() {
            return Outcome::GivenUp;
        }
        let search = Search { program: &self.program, subject, from };
        captures.scratch.prepare(&self.program);
        let trial = match self.regular {
            true => budget.left.min(TRIAL + TRIAL_A_BYTE * window.len() as u64),
            false => budget.left,
        };
        let mut left = trial;
        let outcome = self.search(&search, captures, &mut left);
        budget.left -= trial - left;
        match outcome {
            Outcome::GivenUp if self.regular && budget.left > 0 => {
                self.linear(&search, budget, captures)
            }
            outcome => outcome,
        }
    }

    /// Whether the bytes that stand in every match are there. Where a match begins at one place only,
    /// trying it is quicker.
    fn may_match(&self, window: &[u8]) -> bool {
        match &self.literal {
            Some(Literal { bytes, nocase: false })
                if bytes.len() > 1 && !matches!(self.begin, Begin::Subject | Begin::Search) =>
            {
                memmem::find(window, bytes).is_some()
            }
            _ => true,
        }
    }

    fn search(&self, search: &Search<'_>, captures: &mut Captures, steps: &mut u64) -> Outcome {
        let subject = search.subject;
        let mut at = search.from;
        loop {
            match self.candidate(subject, search.from, at) {
                Some(candidate) => at = candidate,
                None => return Outcome::NoMatch,
            }
            match search.attempt(at, &mut captures.scratch, steps) {
                Attempt::Match(end) => return self.matched(at, end, captures),
                Attempt::NoMatch => at += 1,
                Attempt::GivenUp => return Outcome::GivenUp,
            }
        }
    }

    /// The next place from `at` on where a match can begin.
    fn candidate(&self, subject: &[u8], from: usize, at: usize) -> Option<usize> {
        let last = subject.len().checked_sub(self.min_len)?;
        let at = match self.begin {
            Begin::Subject => (at == 0).then_some(0)?,
            Begin::Search => (at == from).then_some(at)?,
            Begin::Lines if at == from => at,
            Begin::Lines => at + memchr(b'\n', subject.get(at - 1..)?)?,
            Begin::Anywhere => match &self.first {
                Some(first) => at + first.find(subject.get(at..)?)?,
                None => at,
            },
        };
        (at <= last).then_some(at)
    }

    fn matched(&self, start: usize, end: usize, captures: &mut Captures) -> Outcome {
        captures.groups = self.groups;
        let start = captures.scratch.register(usize::from(START)).unwrap_or(start);
        Outcome::Match { start, end }
    }

    fn linear(&self, search: &Search<'_>, budget: &mut Budget, captures: &mut Captures) -> Outcome {
        let engine = self.linear.get_or_init(|| {
            let parsed = parser::parse(&self.pattern, self.flags).ok()?;
            Linear::new(&parsed.node).map(Box::new)
        });
        let bytes = (search.subject.len() - search.from) as u64;
        let cost = bytes / LINEAR_BYTES_A_STEP;
        let (Some(engine), true) = (engine, cost <= budget.left) else { return Outcome::GivenUp };
        budget.left -= cost;
        match engine.find(search.subject, search.from, self.anchored) {
            Found::NoMatch => Outcome::NoMatch,
            Found::GivenUp => Outcome::GivenUp,
            Found::Match { start, end: Some(end) } if self.groups == 0 => {
                Outcome::Match { start, end }
            }
            // The matcher finds the groups, and the end.
            Found::Match { start, .. } => {
                captures.scratch.prepare(&self.program);
                match search.attempt(start, &mut captures.scratch, &mut budget.left) {
                    Attempt::Match(end) => self.matched(start, end, captures),
                    Attempt::NoMatch | Attempt::GivenUp => Outcome::GivenUp,
                }
            }
        }
    }
}
