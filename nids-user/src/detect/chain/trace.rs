//! Where a chain came to its end: what a trace tells of a rule that does not match.
//!
//! The search is the same one, compiled a second time with what it keeps for this, so that a trace cannot
//! differ from the inspection, and the inspection pays nothing for it.

use super::{Chain, Input, Scratch, Verdict};

/// Where a chain that does not match came to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stuck {
    /// At what.
    pub cause: Cause,
    /// Where that was looked for: the first byte of the buffer it may count from.
    pub cursor: Option<usize>,
}

/// What did not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// Nothing could be inspected.
    #[default]
    NoBytes,
    /// Of the first run that does not hold, the step furthest on that any choice of hits came to.
    Step {
        /// Its place in the order written.
        number: u16,
        /// Of `base64_decode`: the step that failed in what was decoded.
        inside: Option<u16>,
    },
    /// All holds, in bytes that were inspected before: the match was told then.
    NothingNew,
    /// The buffer is there, and the rule says `absent`.
    BufferThere,
}

impl Chain {
    /// As [`Chain::matches`]; says also where it came to its end, if it does not match.
    pub fn trace(&self, input: &mut Input<'_>, scratch: &mut Scratch) -> (Verdict, Stuck) {
        scratch.begin();
        let verdict = self.inspect::<true>(input, scratch);
        (verdict, scratch.stuck)
    }
}
