//! Detection: from rules to one compiled [`Ruleset`], and from packets to matches.
//!
//! A ruleset is compiled three ways: into the kernel's filter table (`filter`), into multi-pattern
//! prefilters (`mpm`, `prefilter`, by `group`; `address_index`), and into inspection programs (`signature`, `chain`). It
//! is immutable and shared between workers; what changes from packet to packet is in each worker's own
//! [`Inspector`].
//!
//! ```text
//! packet -> groups (protocol, direction, port) -> prefilter (fast patterns, gates) -> candidates
//! packet -> addresses (prefix tries) -> candidates
//!        -> ports, flow, protocol, header checks, addresses -> contents -> matches in order
//! ```
//!
//! Content is matched packet by packet; streams and the buffers of application protocols are left to
//! later stages.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

pub mod address_index;
pub mod alert;
pub mod app_buffer;
pub mod app_group;
mod app_inspector;
pub mod asn1;
pub mod bits;
pub mod buffer;
pub mod chain;
pub mod check;
mod compile;
pub mod dataset;
pub mod filter;
pub mod flow_state;
pub mod gate;
pub mod geoip;
pub mod group;
mod inspector;
mod interest;
pub mod iprep;
pub mod keyword;
pub mod lookup;
pub mod memory;
pub mod mpm;
pub mod order;
pub mod pcre;
mod prefilter;
pub mod prefix_trie;
pub mod protocol;
pub mod shared_table;
pub mod signature;
pub mod subject;
pub mod tag;
#[cfg(test)]
mod tests;
pub mod threshold;
pub mod transaction;
pub mod transform;

pub use compile::{Compiled, Environment, compile};
pub use inspector::{Found, FoundIn, Inspector, InspectorCounters, MOST_ALERTS, Outcome, Piece};
pub use interest::Left;

use std::sync::atomic::{AtomicU32, Ordering};

use crate::app::AppProtocols;
use crate::decode::{Packet, Transport};
use address_index::ByAddress;
use app_group::AppGroups;
use group::{Group, Groups, Scanned};
use signature::Signature;
use transaction::View;

/// Rules ready to inspect packets.
#[derive(Debug)]
pub struct Ruleset {
    /// In the order in which matches are told.
    signatures: Box<[Signature]>,
    groups: Groups,
    by_address: ByAddress,
    /// Rules on transactions.
    app: AppGroups,
    /// No two rulesets have the same.
    id: u32,
    /// Those that packets without IP headers are tried on.
    broken: Box<[u32]>,
    /// Most patterns any group has.
    most_patterns: usize,
    reach: usize,
    rules: usize,
}

impl Ruleset {
    fn new(signatures: Vec<Signature>, views: Vec<View>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let (filed, rest): (Vec<u32>, Vec<u32>) = (0..)
            .zip(&signatures)
            .map(|(index, _)| index)
            .partition(|index| signatures.get(*index as usize).is_some_and(ByAddress::takes));
        let by_address = ByAddress::new(&signatures, &filed);
        let groups = Groups::new(&signatures, &rest);
        let app = AppGroups::new(&signatures, views);
        let patterns =
            |group: &Group| group.prefilters.iter().map(|(_, filter)| filter.patterns()).max();
        let most_patterns = groups.iter().filter_map(patterns).max().unwrap_or(0);
        let longest = |group: &Group| {
            let of_streams = group.prefilters.iter().filter(|(at, _)| *at == Scanned::Stream);
            of_streams.map(|(_, filter)| filter.longest()).max()
        };
        let reach = groups.iter().filter_map(longest).max().unwrap_or(0).saturating_sub(1);
        let mut seen = std::collections::HashSet::new();
        let rules = signatures.iter().filter(|s| seen.insert((s.info.gid, s.info.sid))).count();
        let broken = (0..).zip(&signatures).filter(|(_, signature)| signature.takes_broken());
        let broken = broken.map(|(index, _)| index).collect();
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let signatures = signatures.into();
        Self { signatures, groups, by_address, app, id, broken, most_patterns, reach, rules }
    }
    /// Number of rules.
    pub fn len(&self) -> usize {
        self.rules
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules == 0
    }
    /// Bytes before a piece of a stream that a fast pattern of this piece may begin in.
    pub fn reach(&self) -> usize {
        self.reach
    }
    /// The signatures, in the order in which matches are told. A `<>` rule has two.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }
    /// Numbers of the signatures that packets without IP headers are tried on.
    pub fn broken(&self) -> &[u32] {
        &self.broken
    }
    /// Application protocols that some rule asks for: no others need be parsed.
    pub fn app_protocols(&self) -> AppProtocols {
        self.app.wanted
    }
    /// The signatures that are found by address and are in no group.
    pub fn by_address(&self) -> &ByAddress {
        &self.by_address
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
