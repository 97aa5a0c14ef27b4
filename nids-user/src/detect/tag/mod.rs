//! `tag`: packets that follow an alert, of the same flow or of one of its hosts, are logged too
//! (Suricata, detect-tag.c and detect-engine-tag.c; Snort manual, 3.7.5).
//!
//! The packet that alerts counts but is not logged again. A rule that alerts again begins its tag anew,
//! ten times at most, so that no one can keep it going for ever. What is logged, and how, is left to the
//! caller.

mod state;
mod value;

pub use state::{FlowTags, HostTags, TagCounters};
pub use value::{Metric, Scope, Tag, tag};

#[cfg(test)]
mod tests;
