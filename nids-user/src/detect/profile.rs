//! What each rule costs: how often it is tried, how often it matches, how long that takes.
//!
//! Times are of the trial of a candidate alone, on a packet or a piece of a stream: what the prefilter costs
//! is no rule's own. The clock is `CLOCK_MONOTONIC`, read twice a trial without a system call; what reading it
//! costs is measured at the start and left out.

use std::time::Instant;

use serde::Serialize;

use super::Ruleset;
use crate::rule::id::RuleId;

/// Readings of the clock that tell what one costs.
const READINGS: usize = 256;

/// What one inspector measures.
#[derive(Debug)]
pub struct Profile {
    entries: Vec<Entry>,
    /// Nanoseconds between two readings with nothing between.
    idle: u64,
}

/// Of one signature.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    checks: u64,
    matches: u64,
    total: u64,
    max: u64,
}

/// What one rule has cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The rule.
    #[serde(flatten)]
    pub id: RuleId,
    /// `rev`.
    pub rev: u32,
    /// `msg`.
    pub msg: String,
    /// Times it was tried.
    pub checks: u64,
    /// Times it matched, whether an alert came of it or not.
    pub matches: u64,
    /// Nanoseconds of all trials together.
    #[serde(rename = "total_ns")]
    pub total: u64,
    /// Of the longest one.
    #[serde(rename = "max_ns")]
    pub max: u64,
}

impl Row {
    /// Nanoseconds of one trial, on average.
    pub fn average(&self) -> u64 {
        self.total.checked_div(self.checks).unwrap_or(0)
    }

    /// Adds what another inspector measured.
    pub fn add(&mut self, other: &Self) {
        self.checks += other.checks;
        self.matches += other.matches;
        self.total += other.total;
        self.max = self.max.max(other.max);
    }
}

impl Profile {
    /// Of so many signatures.
    pub fn new(signatures: usize) -> Self {
        let gap = || {
            let start = Instant::now();
            nanoseconds(start)
        };
        let idle = (0..READINGS).map(|_| gap()).min().unwrap_or(0);
        Self { entries: vec![Entry::default(); signatures], idle }
    }

    /// Times a trial, or a part of one; `is_whole` says whether it counts as a check.
    pub fn time<V>(
        &mut self,
        index: u32,
        run: impl FnOnce() -> V,
        is_whole: impl FnOnce(&V) -> bool,
    ) -> V {
        let start = Instant::now();
        let result = run();
        let time = nanoseconds(start).saturating_sub(self.idle);
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.checks += u64::from(is_whole(&result));
            entry.total += time;
            entry.max = entry.max.max(time);
        }
        result
    }

    /// Counts a match.
    pub fn matched(&mut self, index: u32) {
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.matches += 1;
        }
    }

    /// The signatures that were tried; a `<>` rule has two.
    pub fn rows(&self, ruleset: &Ruleset) -> impl Iterator<Item = Row> {
        let tried = self.entries.iter().zip(ruleset.signatures()).filter(|(e, _)| e.checks > 0);
        tried.map(|(entry, signature)| {
            let info = &signature.info;
            Row {
                id: RuleId { gid: info.gid, sid: info.sid },
                rev: info.rev,
                msg: info.message.clone(),
                checks: entry.checks,
                matches: entry.matches,
                total: entry.total,
                max: entry.max,
            }
        })
    }
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
