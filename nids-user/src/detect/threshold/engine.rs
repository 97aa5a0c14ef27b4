//! The counts of all rules, and the judgement of each match.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::tally::{self, Tally, Verdict};
use super::{Limit, RuleKey, RuleLimits, Track};
use crate::capture::Timestamp;
use crate::detect::flow_state::{Budget, FlowState};
use crate::detect::shared_table::{Key, SharedTable, TableCounters};
use crate::rule::ast::Action;

/// What a judgement needs of the packet.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Source and destination; `None` for a packet without IP, which nothing but `suppress` without
    /// addresses limits.
    pub ends: Option<(IpAddr, IpAddr)>,
    /// Time of the packet.
    pub time: Timestamp,
}

/// What the match of a rule comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It alerts.
    Alert,
    /// It does not.
    Suppressed(Reason),
    /// It alerts, with this action in place of the rule's.
    NewAction(Action),
}

/// Why a match does not alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `suppress` without addresses.
    Silenced,
    /// `suppress` for one of its addresses.
    Address,
    /// The count of `threshold`, `both`, `backoff` or `detection_filter` is not reached.
    Below,
    /// The limit of `limit`, `both` or `backoff` is reached.
    Above,
    /// `track by_flow`, and the packet has no flow.
    NoFlow,
    /// The flow has no room for the count.
    NoRoom,
}

impl Reason {
    /// All of them, with their names in counters.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Silenced, "silenced"),
        (Self::Address, "address"),
        (Self::Below, "below"),
        (Self::Above, "above"),
        (Self::NoFlow, "no_flow"),
        (Self::NoRoom, "no_room"),
    ];

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Silenced => "suppressed by the threshold file",
            Self::Address => "suppressed for its address by the threshold file",
            Self::Below => "its count is not reached",
            Self::Above => "its limit is reached",
            Self::NoFlow => "it counts by flow, and the packet has none",
            Self::NoRoom => "the flow has no room for its count",
        }
    }

    /// Whether the action of the rule (`drop`, `reject`, `pass`) and its `tag` hold all the same.
    /// Otherwise it is as if the rule had not matched, but for what it sets: bits, variables.
    pub fn applies_action(self) -> bool {
        matches!(self, Self::Silenced | Self::Address | Self::Above)
    }
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThresholdCounters {
    /// Matches that did not alert, in the order of [`Reason::ALL`].
    pub suppressed: [u64; Reason::ALL.len()],
    /// Alerts with another action.
    pub new_action: u64,
    /// The table of counts that are not of flows. An eviction is a count that began anew too early.
    pub table: TableCounters,
}

/// The counts, shared by all workers and all generations of rules.
pub struct Thresholds {
    table: SharedTable<Tally>,
    suppressed: [AtomicU64; Reason::ALL.len()],
    new_action: AtomicU64,
}

impl Thresholds {
    /// Suricata's `detect.thresholds.memcap`, in bytes.
    pub const DEFAULT_MEMORY: usize = 16 << 20;

    /// No counts yet, and never more than `memory` bytes of them. `secret` seeds the hash.
    pub fn new(memory: usize, secret: u64) -> Self {
        Self {
            table: SharedTable::new(memory, secret),
            suppressed: Default::default(),
            new_action: AtomicU64::new(0),
        }
    }

    /// Judges a match, and counts it. Rules without limits need not ask. `flow` is where the flow of the
    /// packet keeps its counts, with the memory of the worker's flows.
    pub fn judge(
        &self,
        rule: RuleKey,
        limits: &RuleLimits,
        facts: &Facts,
        flow: Option<(&mut FlowState, &mut Budget)>,
    ) -> Outcome {
        let outcome = match self.decide(rule, limits, facts, flow) {
            Outcome::Alert | Outcome::NewAction(_) if limits.silenced => {
                Outcome::Suppressed(Reason::Silenced)
            }
            outcome => outcome,
        };
        match outcome {
            Outcome::Alert => {}
            Outcome::NewAction(_) => _ = self.new_action.fetch_add(1, Ordering::Relaxed),
            Outcome::Suppressed(reason) => {
                if let Some(counter) = self.suppressed.get(reason as usize) {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        outcome
    }

    fn decide(
        &self,
        rule: RuleKey,
        limits: &RuleLimits,
        facts: &Facts,
        flow: Option<(&mut FlowState, &mut Budget)>,
    ) -> Outcome {
        let Some((source, destination)) = facts.ends else { return Outcome::Alert };
        if limits.suppressions.iter().any(|suppression| suppression.holds(source, destination)) {
            return Outcome::Suppressed(Reason::Address);
        }
        let Some(limit) = &limits.limit else { return Outcome::Alert };
        let now = facts.time.0;
        let track = match limit {
            Limit::Window { track, .. } => *track,
            Limit::Backoff { .. } => Track::Flow,
        };
        let what = [
            u64::from(rule.gid) << 32 | u64::from(rule.sid),
            u64::from(rule.rev) << 32 | u64::from(tally::kind(limit)) << 16 | (track as u64) << 8,
        ];
        let key = match track {
            Track::Source => Key::of_host(what, source),
            Track::Destination => Key::of_host(what, destination),
            Track::Pair => Key::of_pair(what, source, destination),
            Track::Rule => Key::of(what),
            Track::Flow => {
                let Some((state, budget)) = flow else {
                    return Outcome::Suppressed(Reason::NoFlow);
                };
                let step = state
                    .counts_mut(budget)
                    .and_then(|(counts, budget)| counts.step(rule, limit, now, budget));
                return step.map_or(Outcome::Suppressed(Reason::NoRoom), Outcome::from);
            }
        };
        let verdict = self.table.update(key, now, |value| {
            let mut tally = value.map(|(tally, _)| tally);
            let verdict = Tally::step(&mut tally, limit, now);
            *value = tally.map(|tally| (tally, tally.end(limit)));
            verdict
        });
        Outcome::from(verdict)
    }

    /// What happened so far.
    pub fn counters(&self) -> ThresholdCounters {
        let mut counters = ThresholdCounters {
            new_action: self.new_action.load(Ordering::Relaxed),
            table: self.table.counters(),
            ..ThresholdCounters::default()
        };
        for (count, counter) in counters.suppressed.iter_mut().zip(&self.suppressed) {
            *count = counter.load(Ordering::Relaxed);
        }
        counters
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Alert => Self::Alert,
            Verdict::Below => Self::Suppressed(Reason::Below),
            Verdict::Above => Self::Suppressed(Reason::Above),
            Verdict::NewAction(action) => Self::NewAction(action),
        }
    }
}
