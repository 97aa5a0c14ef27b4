//! Detection: from rules to one compiled [`Ruleset`], and from packets to matches.
//!
//! A ruleset is compiled three ways: into the kernel's filter table (`filter`), into multi-pattern
//! prefilters (`mpm`, `prefilter`, by `group`), and into inspection programs (`signature`, `chain`). It
//! is immutable and shared between workers; what changes from packet to packet is in each worker's own
//! [`Inspector`].
//!
//! ```text
//! packet -> groups (protocol, direction, port) -> prefilter (fast patterns) -> candidates
//!        -> ports, flow, protocol, header checks, addresses -> contents -> matches in order
//! ```
//!
//! Content is matched packet by packet; streams and the buffers of application protocols are left to
//! later stages.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

pub mod alert;
pub mod chain;
pub mod check;
mod compile;
pub mod filter;
pub mod group;
mod inspector;
pub mod keyword;
pub mod mpm;
pub mod pcre;
mod prefilter;
pub mod protocol;
pub mod signature;
#[cfg(test)]
mod tests;

pub use compile::{Compiled, Environment, compile};
pub use inspector::{Inspector, InspectorCounters};

use crate::decode::{Packet, Transport};
use group::{Group, Groups};
use signature::Signature;

/// Rules ready to inspect packets.
#[derive(Debug)]
pub struct Ruleset {
    /// In the order in which matches are told.
    signatures: Box<[Signature]>,
    groups: Groups,
    /// Most patterns any group has.
    most_patterns: usize,
    rules: usize,
}

impl Ruleset {
    fn new(signatures: Vec<Signature>) -> Self {
        let groups = Groups::new(&signatures);
        let patterns =
            |group: &Group| group.prefilter.as_ref().map_or(0, prefilter::Prefilter::patterns);
        let most_patterns = groups.iter().map(patterns).max().unwrap_or(0);
        let mut seen = std::collections::HashSet::new();
        let rules = signatures.iter().filter(|s| seen.insert((s.info.gid, s.info.sid))).count();
        Self { signatures: signatures.into(), groups, most_patterns, rules }
    }
    /// Number of rules.
    pub fn len(&self) -> usize {
        self.rules
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules == 0
    }
    /// The signatures, in the order in which matches are told. A `<>` rule has two.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }
    /// The signature groups.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }
}

/// The bytes that contents and `dsize` look at. Only of these transports is it known where headers end,
/// so that other protocols, and fragments, have none. A carrier's payload is looked at as the packet
/// inside.
#[inline]
fn payload<'a>(packet: &Packet<'a>) -> &'a [u8] {
    match packet.transport {
        _ if packet.carrier => &[],
        Transport::Tcp(_)
        | Transport::Udp(_)
        | Transport::Icmpv4(_)
        | Transport::Icmpv6(_)
        | Transport::Sctp(_)
        | Transport::Esp(_) => packet.payload,
        Transport::Other | Transport::None => &[],
    }
}
