//! Values of `threshold` and `detection_filter`, and of the filters in threshold.config, as types.

use std::fmt;
use std::num::NonZeroU32;

use super::fields::{Fields, choose};
use crate::detect::keyword::value::{Fault, Word};
use crate::rule::ast::Action;

/// How often a rule may alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Matches are counted over a time.
    Window {
        /// What the count is for.
        how: How,
        /// Which matches are counted together.
        track: Track,
        /// The count.
        count: NonZeroU32,
        /// Seconds from the first match to the last that is counted with it. 0: those of the same time.
        seconds: u32,
    },
    /// Alerts at the match `count`, then `count * multiplier`, ... of a flow.
    Backoff {
        /// Match that alerts first.
        count: NonZeroU32,
        /// What the count is multiplied by at each alert.
        multiplier: NonZeroU32,
    },
}

/// In words.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backoff { count, multiplier } => {
                write!(f, "alerts at match {count} of a flow, then at {multiplier} times that, ...")
            }
            Self::Window { how, track, count, seconds } => {
                match how {
                    How::Limit if count.get() == 1 => f.write_str("at most one alert")?,
                    How::Limit => write!(f, "at most {count} alerts")?,
                    How::Threshold => write!(f, "an alert at each {count}th match")?,
                    How::Both => write!(f, "one alert, at match {count}")?,
                    How::DetectionFilter => write!(f, "alerts behind {count} matches")?,
                    How::Rate { action, timeout } => {
                        write!(f, "{} for {timeout} s behind {count} matches", action.name())?;
                    }
                }
                write!(f, " within {seconds} s, counted by {}", track.name())
            }
        }
    }
}

/// What a count within a time is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The first `count` matches alert.
    Limit,
    /// Each `count`th match alerts.
    Threshold,
    /// The `count`th match alerts, and no other.
    Both,
    /// All matches behind the first `count` alert.
    DetectionFilter,
    /// All alert; behind the first `count`, the action is another one for a time.
    Rate {
        /// The other action.
        action: Action,
        /// Seconds for which it holds.
        timeout: u32,
    },
}

/// Which matches of a rule are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// `by_src`: those from one address.
    Source,
    /// `by_dst`: those to one address.
    Destination,
    /// `by_both`: those between two addresses, either way.
    Pair,
    /// `by_rule`: all.
    Rule,
    /// `by_flow`: those of one flow.
    Flow,
}

impl Track {
    /// In words.
    const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Pair => "pair of hosts",
            Self::Rule => "rule",
            Self::Flow => "flow",
        }
    }
}

const TRACKS: &[(&str, Track)] = &[
    ("by_src", Track::Source),
    ("by_dst", Track::Destination),
    ("by_both", Track::Pair),
    ("by_rule", Track::Rule),
    ("by_flow", Track::Flow),
];

/// The types of `event_filter`; `None` is `backoff`.
const TYPES: &[(&str, Option<How>)] = &[
    ("limit", Some(How::Limit)),
    ("threshold", Some(How::Threshold)),
    ("both", Some(How::Both)),
    ("backoff", None),
];

const ACTIONS: &[(&str, Action)] = &[
    ("alert", Action::Alert),
    ("drop", Action::Drop),
    ("pass", Action::Pass),
    ("reject", Action::RejectSource),
];

/// `threshold: type TYPE, track TRACK, count N, seconds N`, or `multiplier N` with `backoff`.
pub fn threshold(word: Word<'_>) -> Result<Limit, Fault> {
    let mut fields = Fields::new(word)?;
    let limit = event_filter(&mut fields)?;
    fields.end(&["type", "track", "count", "seconds", "multiplier"])?;
    Ok(limit)
}

/// `detection_filter: track TRACK, count N, seconds N`.
pub fn detection_filter(word: Word<'_>) -> Result<Limit, Fault> {
    let mut fields = Fields::new(word)?;
    let track = choose(fields.need("track")?, TRACKS)?;
    let count = at_least_one(fields.need("count")?)?;
    let seconds = at_least_one(fields.need("seconds")?)?.get();
    if fields.has("type") {
        return Err(word.bad("`detection_filter` has no type").help("`threshold` has"));
    }
    fields.end(&["track", "count", "seconds"])?;
    Ok(Limit::Window { how: How::DetectionFilter, track, count, seconds })
}

/// The fields of a `threshold` or `event_filter`.
pub(super) fn event_filter(fields: &mut Fields<'_>) -> Result<Limit, Fault> {
    let how = choose(fields.need("type")?, TYPES)?;
    let tracked = fields.need("track")?;
    let track = choose(tracked, TRACKS)?;
    let count = at_least_one(fields.need("count")?)?;
    let Some(how) = how else {
        if track != Track::Flow {
            return Err(tracked.bad("`backoff` is possible with `track by_flow` only"));
        }
        if let Some(seconds) = fields.take("seconds") {
            return Err(seconds.bad("`backoff` has no seconds but a multiplier"));
        }
        let multiplier = at_least_one(fields.need("multiplier")?)?;
        return Ok(Limit::Backoff { count, multiplier });
    };
    if let Some(multiplier) = fields.take("multiplier") {
        return Err(multiplier.bad("a multiplier is for `type backoff` only"));
    }
    let seconds = fields.need("seconds")?.number(0, u32::MAX)?;
    Ok(Limit::Window { how, track, count, seconds })
}

/// The fields of a `rate_filter`.
pub(super) fn rate_filter(fields: &mut Fields<'_>) -> Result<Limit, Fault> {
    let track = choose(fields.need("track")?, TRACKS)?;
    let count = at_least_one(fields.need("count")?)?;
    let seconds = fields.need("seconds")?.number(0, u32::MAX)?;
    let action = fields.need("new_action")?;
    if matches!(action.text, "log" | "sdrop") {
        return Err(action.bad(format!("`{}` would do nothing", action.text)));
    }
    let action = choose(action, ACTIONS)?;
    let timeout = fields.need("timeout")?.number(0, u32::MAX)?;
    Ok(Limit::Window { how: How::Rate { action, timeout }, track, count, seconds })
}

fn at_least_one(word: Word<'_>) -> Result<NonZeroU32, Fault> {
    let number: u32 = word.number(1, u32::MAX)?;
    NonZeroU32::new(number).ok_or_else(|| word.bad("must be at least 1"))
}
