//! How often a rule may alert: `threshold` and `detection_filter` in rules, and `event_filter`,
//! `rate_filter` and `suppress` in threshold.config (Suricata user guide, "Thresholding Keywords" and
//! "Global-Thresholds").
//!
//! ```text
//! value of a rule (value) --+
//! threshold.config (file) --+--> limits of each rule (rules) --> judge (engine): counts (tally)
//! ```
//!
//! Limits are compiled with each generation of rules; the counts live on across reloads. It is asked
//! only when a rule with limits has matched. What a match changes, such as flow bits, is not subject to
//! it and is left to the caller, as are actions on packets and flows.

mod engine;
mod fields;
mod file;
mod rules;
mod tally;
mod value;

pub use engine::{Facts, Outcome, Reason, ThresholdCounters, Thresholds};
pub use file::{Effect, Entry, Parsed, Scope, load, parse};
pub use rules::{FileLimits, RuleLimits};
pub use tally::{FlowCounts, Tally};
pub use value::{How, Limit, Track, detection_filter, threshold};

use std::net::IpAddr;

use crate::rule::address::AddressSet;

/// What the counts of a rule are kept under. A new revision counts anew, as in Suricata 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleKey {
    /// `gid`.
    pub gid: u32,
    /// `sid`.
    pub sid: u32,
    /// `rev`.
    pub rev: u32,
}

/// Addresses a rule does not alert for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// Which end of the packet is looked at.
    pub ends: Ends,
    /// The addresses.
    pub addresses: AddressSet,
}

/// Ends of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// `by_src`.
    Source,
    /// `by_dst`.
    Destination,
    /// `by_either`.
    Either,
}

impl Suppression {
    /// Whether a packet between these is meant.
    pub fn holds(&self, source: IpAddr, destination: IpAddr) -> bool {
        let within = |address| self.addresses.contains(address);
        match self.ends {
            Ends::Source => within(source),
            Ends::Destination => within(destination),
            Ends::Either => within(source) || within(destination),
        }
    }
}

#[cfg(test)]
mod tests;
