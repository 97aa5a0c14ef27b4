//! One count of matches, and what the next match does to it and to the alert (Suricata,
//! detect-engine-threshold.c).

use super::{How, Limit, RuleKey};
use crate::detect::flow_state::{Budget, push};
use crate::rule::ast::Action;

const SECOND: u64 = 1_000_000_000;
/// `acting` where no rate filter is in force.
const NEVER: u64 = u64::MAX;
/// Rules that one flow keeps counts of.
const MAX_COUNTS: usize = 64;

/// What the match of a rule comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It alerts.
    Alert,
    /// The count is not reached.
    Below,
    /// The limit is reached.
    Above,
    /// It alerts with another action.
    NewAction(Action),
}

/// A count. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// When the time began.
    start: u64,
    /// Since when a rate filter is in force.
    acting: u64,
    /// Matches so far.
    count: u32,
    /// Match that alerts next (backoff).
    next: u32,
}

impl Tally {
    /// Last time at which it makes a difference.
    pub(super) fn end(&self, limit: &Limit) -> u64 {
        let Limit::Window { how, seconds, .. } = limit else { return u64::MAX };
        let window = self.start.saturating_add(u64::from(*seconds) * SECOND);
        match how {
            How::Rate { timeout, .. } if self.acting != NEVER => {
                let seconds = (self.acting / SECOND).saturating_add(u64::from(*timeout) + 1);
                window.max(seconds.saturating_mul(SECOND) - 1)
            }
            _ => window,
        }
    }

    /// Takes a match at `now` into account. A count whose end is past begins anew.
    pub(super) fn step(tally: &mut Option<Self>, limit: &Limit, now: u64) -> Verdict {
        let fresh = Self { start: now, acting: NEVER, count: 0, next: 0 };
        let this = match tally {
            Some(old) if now <= old.end(limit) => old,
            other => other.insert(fresh),
        };
        match limit {
            Limit::Backoff { count, multiplier } => {
                if this.count == 0 {
                    this.next = count.get();
                }
                // Behind 2^32 matches there are no more alerts.
                let before = this.count;
                this.count = before.saturating_add(1);
                if this.count != before && this.count == this.next {
                    this.next = this.next.saturating_mul(multiplier.get());
                    Verdict::Alert
                } else if before == 0 {
                    Verdict::Below
                } else {
                    Verdict::Above
                }
            }
            Limit::Window { how, count, seconds, .. } => {
                this.window(*how, count.get(), u64::from(*seconds) * SECOND, now)
            }
        }
    }

    fn window(&mut self, how: How, limit: u32, window: u64, now: u64) -> Verdict {
        if let How::Rate { action, timeout } = how {
            if self.acting != NEVER {
                // In whole seconds, as Suricata has it; the match that ends it is not counted.
                let since = (now / SECOND).saturating_sub(self.acting / SECOND);
                if since <= u64::from(timeout) {
                    return Verdict::NewAction(action);
                }
                self.acting = NEVER;
                return Verdict::Alert;
            }
            if now > self.start.saturating_add(window) {
                (self.start, self.count) = (now, 0);
            }
        }
        self.count = self.count.saturating_add(1);
        match how {
            How::Limit if self.count <= limit => Verdict::Alert,
            How::Limit => Verdict::Above,
            How::Threshold if self.count >= limit => {
                self.count = 0;
                Verdict::Alert
            }
            How::Both if self.count == limit => Verdict::Alert,
            How::Both if self.count > limit => Verdict::Above,
            How::Threshold | How::Both => Verdict::Below,
            How::DetectionFilter if self.count > limit => Verdict::Alert,
            How::DetectionFilter => Verdict::Below,
            How::Rate { action, .. } if self.count > limit => {
                self.acting = now;
                Verdict::NewAction(action)
            }
            How::Rate { .. } => Verdict::Alert,
        }
    }
}

/// Tells counts of different kinds apart, so that one is not taken for the other when a reload changes
/// the limit of a rule.
pub(super) fn kind(limit: &Limit) -> u8 {
    match limit {
        Limit::Window { how, .. } => match how {
            How::Limit => 1,
            How::Threshold => 2,
            How::Both => 3,
            How::DetectionFilter => 4,
            How::Rate { .. } => 5,
        },
        Limit::Backoff { .. } => 6,
    }
}

/// The counts of one flow: `track by_flow`. Nothing is allocated before the first.
#[derive(Debug, Default)]
pub struct FlowCounts {
    counts: Vec<(RuleKey, u8, Tally)>,
}

impl FlowCounts {
    /// Takes a match into account; `None` where there is no room for one more count.
    pub(super) fn step(
        &mut self,
        rule: RuleKey,
        limit: &Limit,
        now: u64,
        budget: &mut Budget,
    ) -> Option<Verdict> {
        let kind = kind(limit);
        let known = self.counts.iter_mut().find(|known| known.0 == rule && known.1 == kind);
        if let Some((_, _, tally)) = known {
            let mut value = Some(*tally);
            let verdict = Tally::step(&mut value, limit, now);
            *tally = value.unwrap_or(*tally);
            return Some(verdict);
        }
        let mut value = None;
        let verdict = Tally::step(&mut value, limit, now);
        if self.counts.len() >= MAX_COUNTS {
            budget.refuse();
            return None;
        }
        push(&mut self.counts, (rule, kind, value?), budget).then_some(verdict)
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<(RuleKey, u8, Tally)>()
    }
}
