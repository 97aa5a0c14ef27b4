//! What people watch of the rules at work: traces and profiles.
//!
//! An inspector has a [`Watch`] only where somebody asked, and then hands it each candidate. Without one, the
//! inspection pays for one question a candidate. [`Observation`] is what was asked, and what was seen by all
//! inspectors together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::app_group::AppGroup;
use super::app_inspector::{Match, Tried};
use super::chain::Verdict;
use super::group::GroupId;
use super::profile::{Profile, Row};
use super::subject::Subject;
use super::trace::{End, Event, Fate, PiecePlace, Trace, Traced, Where};
use super::transaction::Answer;
use super::trial::Stop;
use super::{Ruleset, payload};
use crate::rule::id::RuleId;

/// What is watched, and what was seen. An inspector hands over what it counted when it is dropped, and lines of
/// traces at once.
#[derive(Debug, Default)]
pub struct Observation {
    /// Rules to trace.
    pub trace: Vec<RuleId>,
    /// Whether the rules are timed.
    pub profile: bool,
    lines: Mutex<String>,
    traced: Mutex<Vec<Traced>>,
    rows: Mutex<BTreeMap<RuleId, Row>>,
}

impl Observation {
    /// Of these rules, and with a profile or without.
    pub fn new(trace: Vec<RuleId>, profile: bool) -> Self {
        Self { trace, profile, ..Self::default() }
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.trace.is_empty() && !self.profile
    }

    /// Lines of traces since it was asked last.
    pub fn take_lines(&self) -> String {
        std::mem::take(&mut *locked(&self.lines))
    }

    /// What traces counted.
    pub fn take_traced(&self) -> Vec<Traced> {
        let mut traced = std::mem::take(&mut *locked(&self.traced));
        traced.sort_by_key(|traced| traced.id);
        traced
    }

    /// The profile: the rules that were tried, those that took most time first.
    pub fn take_rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = std::mem::take(&mut *locked(&self.rows)).into_values().collect();
        rows.sort_by_key(|row| (std::cmp::Reverse(row.total), row.id));
        rows
    }

    pub(super) fn tell(&self, line: &str) {
        let mut lines = locked(&self.lines);
        lines.push_str(line);
        lines.push('\n');
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one inspector sees.
#[derive(Debug)]
pub struct Watch {
    ruleset: Arc<Ruleset>,
    observation: Arc<Observation>,
    trace: Trace,
    profile: Option<Profile>,
}

impl Watch {
    /// Of an inspector that inspects by this ruleset and no other.
    pub fn new(observation: &Arc<Observation>, ruleset: &Arc<Ruleset>) -> Self {
        Self {
            ruleset: Arc::clone(ruleset),
            observation: Arc::clone(observation),
            trace: Trace::new(observation, ruleset),
            profile: observation.profile.then(|| Profile::new(ruleset.signatures().len())),
        }
    }

    /// A packet is inspected by the rules of these groups.
    #[cold]
    pub fn begin(&mut self, groups: [Option<GroupId>; 3]) {
        self.trace.begin(groups);
    }

    /// A piece of its stream was scanned, and these are the candidates.
    #[cold]
    pub fn scanned_piece(&mut self, subject: &Subject<'_>, piece: PiecePlace, candidates: &[u32]) {
        self.trace.scanned_piece(&self.observation, &self.ruleset, subject, piece, candidates);
    }

    /// The packet was scanned.
    #[cold]
    pub fn scanned_packet(&mut self, subject: &Subject<'_>, candidates: &[u32]) {
        self.trace.scanned_packet(&self.observation, &self.ruleset, subject, candidates);
    }

    /// A transaction was scanned for the rules of this group; these have `matched` in it before.
    #[cold]
    pub fn scanned_transaction(
        &mut self,
        subject: &Subject<'_>,
        id: u64,
        group: &AppGroup,
        candidates: &[u32],
        matched: &[u32],
    ) {
        let Self { trace, observation, .. } = self;
        trace.scanned_transaction(observation, subject, id, group, candidates, matched);
    }

    /// A candidate's ends and headers are compared with the packet that brought a piece of a stream. `run` takes
    /// note of where it came to its end, if it gets something to take it in.
    #[cold]
    pub fn ends_of_piece(
        &mut self,
        index: u32,
        subject: &Subject<'_>,
        piece: PiecePlace,
        run: impl FnOnce(Option<&mut Option<Stop>>) -> bool,
    ) -> bool {
        // What fits is a check together with its contents.
        let (fits, stop) = self.timed(index, run, |fits| !fits);
        if !fits {
            let event = Event { index, subject, at: Where::Piece(piece), length: 0 };
            self.trace.tried(&self.observation, &self.ruleset, event, End::Fails, stop);
        }
        fits
    }

    /// A candidate's contents are looked for in a piece of a stream: `length` bytes with those before it.
    #[cold]
    pub fn piece(
        &mut self,
        index: u32,
        subject: &Subject<'_>,
        piece: PiecePlace,
        length: usize,
        run: impl FnOnce(Option<&mut Option<Stop>>) -> Verdict,
    ) -> Verdict {
        let (verdict, stop) = self.timed(index, run, |_| true);
        let event = Event { index, subject, at: Where::Piece(piece), length };
        self.trace.tried(&self.observation, &self.ruleset, event, verdict.into(), stop);
        verdict
    }

    /// A rule is tried on a packet without IP header.
    #[cold]
    pub fn broken(
        &mut self,
        index: u32,
        subject: &Subject<'_>,
        run: impl FnOnce(Option<&mut Option<Stop>>) -> bool,
    ) -> bool {
        let as_verdict = |fits| if fits { Verdict::Match } else { Verdict::NoMatch };
        self.packet(index, subject, |record| as_verdict(run(record))) == Verdict::Match
    }

    /// A candidate is tried on a transaction.
    #[cold]
    pub fn transaction(
        &mut self,
        index: u32,
        subject: &Subject<'_>,
        id: u64,
        run: impl FnOnce(Option<&mut Option<Stop>>) -> Tried,
    ) -> Tried {
        let (tried, stop) = self.timed(index, run, |_| true);
        let end = match tried {
            Tried::Unfit => End::Fails,
            Tried::Held | Tried::Answered(Answer::NotYet, _) => End::Waits,
            Tried::Answered(Answer::Yes, _) => End::Matches,
            Tried::Answered(Answer::Never, _) => End::Fails,
            Tried::Answered(Answer::GivenUp, _) => End::GivenUp,
        };
        self.count_match(index, end);
        let event = Event { index, subject, at: Where::Transaction(id), length: 0 };
        self.trace.tried(&self.observation, &self.ruleset, event, end, stop);
        tried
    }

    /// A candidate is tried on a packet.
    #[cold]
    pub fn packet(
        &mut self,
        index: u32,
        subject: &Subject<'_>,
        run: impl FnOnce(Option<&mut Option<Stop>>) -> Verdict,
    ) -> Verdict {
        let (verdict, stop) = self.timed(index, run, |_| true);
        let signature = self.ruleset.signatures().get(index as usize);
        // That of a rule on transactions is only told once these have answered.
        let end = match verdict {
            Verdict::Match if signature.is_some_and(|it| it.transaction.is_some()) => End::Goes,
            verdict => verdict.into(),
        };
        self.count_match(index, end);
        let length = payload(subject.packet).len();
        let event = Event { index, subject, at: Where::Packet, length };
        self.trace.tried(&self.observation, &self.ruleset, event, end, stop);
        verdict
    }

    /// A match has become this.
    #[cold]
    pub fn fate(&mut self, found: Match, subject: &Subject<'_>, fate: Fate) {
        let Match { signature: index, transaction } = found;
        let at = transaction.map_or(Where::Packet, Where::Transaction);
        let event = Event { index, subject, at, length: 0 };
        self.trace.fate(&self.observation, &self.ruleset, event, fate);
    }

    fn count_match(&mut self, index: u32, end: End) {
        if let Some(profile) = &mut self.profile
            && end == End::Matches
        {
            profile.matched(index);
        }
    }

    /// Runs a trial; `is_whole` says of its outcome whether it counts as one.
    fn timed<V>(
        &mut self,
        index: u32,
        run: impl FnOnce(Option<&mut Option<Stop>>) -> V,
        is_whole: impl FnOnce(&V) -> bool,
    ) -> (V, Option<Stop>) {
        let mut stop = None;
        let record = self.trace.has(index).then_some(&mut stop);
        let outcome = match &mut self.profile {
            Some(profile) => profile.time(index, || run(record), is_whole),
            None => run(record),
        };
        (outcome, stop)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let traced = self.trace.take();
        let mut sum = locked(&self.observation.traced);
        for traced in traced {
            match sum.iter_mut().find(|known| known.id == traced.id) {
                Some(known) => known.add(traced),
                None => sum.push(traced),
            }
        }
        if let Some(profile) = &self.profile {
            let mut rows = locked(&self.observation.rows);
            for row in profile.rows(&self.ruleset) {
                rows.entry(row.id).and_modify(|known| known.add(&row)).or_insert(row);
            }
        }
    }
}
