//! What stands for one rule: its own limit and what threshold.config says of it.
//!
//! As Suricata combines them: all suppressions hold. Of limits there is one: an `event_filter` for the
//! rule itself takes the place of the rule's own and of one before it; a `rate_filter`, and any filter
//! for all rules, only where there is none yet.

use std::collections::HashMap;

use super::file::{Effect, Entry, Scope};
use super::{How, Limit, Suppression};
use crate::rule::diagnostic::Refusal;

/// What limits the alerts of one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleLimits {
    /// It never alerts: `suppress` without addresses.
    pub silenced: bool,
    /// Addresses it does not alert for.
    pub suppressions: Box<[Suppression]>,
    /// How often it may alert.
    pub limit: Option<Limit>,
}

impl RuleLimits {
    /// Whether nothing limits it: no need to ask when it matches.
    pub fn is_empty(&self) -> bool {
        !self.silenced && self.suppressions.is_empty() && self.limit.is_none()
    }
}

/// The entries of threshold.config by the rules they are for.
#[derive(Debug, Default)]
pub struct FileLimits {
    entries: Vec<Entry>,
    of_rule: HashMap<(u32, u32), Vec<usize>>,
    /// Those for all rules, or all of a gid.
    of_many: Vec<usize>,
}

impl FileLimits {
    /// Entries in the order of the file.
    pub fn new(entries: Vec<Entry>) -> Self {
        let mut limits = Self { entries, ..Self::default() };
        for (at, entry) in limits.entries.iter().enumerate() {
            match entry.scope {
                Scope::Rule { gid, sid } => limits.of_rule.entry((gid, sid)).or_default().push(at),
                Scope::Generator(_) | Scope::All => limits.of_many.push(at),
            }
        }
        limits
    }

    /// The limits of the rule `gid:sid`, whose own limit is `own`. `note` is told of entries that give
    /// way to it.
    pub fn of(
        &self,
        gid: u32,
        sid: u32,
        own: Option<Limit>,
        mut note: impl FnMut(Refusal),
    ) -> RuleLimits {
        let mut limits = RuleLimits { limit: own, ..RuleLimits::default() };
        let mut suppressions = Vec::new();
        let of_rule = self.of_rule.get(&(gid, sid)).map_or(&[][..], Vec::as_slice);
        let of_many = self.of_many.iter().copied().filter(|at| {
            self.entries.get(*at).is_some_and(|entry| match entry.scope {
                Scope::Generator(of) => of == gid,
                Scope::All => true,
                Scope::Rule { .. } => false,
            })
        });
        let mut order: Vec<usize> = of_rule.iter().copied().chain(of_many).collect();
        order.sort_unstable();
        for entry in order.into_iter().filter_map(|at| self.entries.get(at)) {
            match &entry.effect {
                Effect::Silence => limits.silenced = true,
                Effect::Suppress(suppression) => suppressions.push(suppression.clone()),
                Effect::Limit(limit) => {
                    let rate = matches!(limit, Limit::Window { how: How::Rate { .. }, .. });
                    let of_rule = matches!(entry.scope, Scope::Rule { .. });
                    if limits.limit.is_none() || of_rule && !rate {
                        limits.limit = Some(*limit);
                    } else {
                        note(
                            entry
                                .note(format!("rule {gid}:{sid} has a limit already, which holds")),
                        );
                    }
                }
            }
        }
        limits.suppressions = suppressions.into();
        limits
    }

    /// Notes on entries for rules that are not there.
    pub fn without_rule(
        &self,
        is_there: impl Fn(u32, u32) -> bool,
    ) -> impl Iterator<Item = Refusal> {
        self.entries.iter().filter_map(move |entry| match entry.scope {
            Scope::Rule { gid, sid } if !is_there(gid, sid) => {
                Some(entry.note(format!("there is no rule {gid}:{sid}")))
            }
            _ => None,
        })
    }
}
