//! What rules ask of the time before the packet, and what they leave for the time after it: tests and
//! changes of flow variables and host bits, limits, tags.
//!
//! What belongs to a flow lies with the flow; what belongs to hosts, pairs and rules is [`Shared`] by all
//! workers and lives on across reloads.

use std::sync::Arc;

use super::bits::{
    self, BitChange, BitTest, HostBitChange, HostBitTest, HostBits, IntChange, IntTest,
};
use super::flow_state::{Budget, FlowState};
use super::subject::Subject;
use super::tag::HostTags;
use super::threshold::Thresholds;

/// What all workers share.
pub struct Shared {
    /// Counts of thresholds.
    pub thresholds: Thresholds,
    /// `xbits`, `hostbits`.
    pub host_bits: HostBits,
    /// `tag:host`.
    pub host_tags: HostTags,
}

impl Shared {
    /// Empty tables. `secret` seeds their hashes.
    pub fn new(secret: u64) -> Arc<Self> {
        Arc::new(Self {
            thresholds: Thresholds::new(Thresholds::DEFAULT_MEMORY, secret),
            host_bits: HostBits::new(HostBits::DEFAULT_MEMORY, secret),
            host_tags: HostTags::new(HostTags::DEFAULT_MEMORY, secret),
        })
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// What a flow remembers, and the memory it may take.
pub type Kept<'a> = Option<(&'a mut FlowState, &'a mut Budget)>;

/// A condition on what was left by earlier matches.
#[derive(Clone, Debug)]
pub enum Test {
    /// `flowbits:isset`, `isnotset`.
    Bit(BitTest),
    /// `flowint` that compares.
    Int(IntTest),
    /// `xbits`, `hostbits`.
    Host(HostBitTest),
}

impl Test {
    /// Whether a rule of addresses with it remains one (Suricata: `SIGMATCH_IPONLY_COMPAT`).
    pub fn is_of_addresses(&self) -> bool {
        matches!(self, Self::Host(_))
    }

    /// Whether it holds. A packet without flow has no bits, and no test of them holds on it.
    pub fn holds(&self, shared: &Shared, subject: &Subject<'_>, kept: &Kept<'_>) -> bool {
        match self {
            Self::Bit(test) => kept.as_ref().is_some_and(|(state, _)| test.holds(state)),
            Self::Int(test) => kept.as_ref().is_some_and(|(state, _)| test.holds(state)),
            Self::Host(test) => {
                hosts(subject).is_some_and(|hosts| shared.host_bits.holds(test, &hosts))
            }
        }
    }
}

/// What a match leaves behind.
#[derive(Clone, Debug)]
pub enum Change {
    /// `flowbits:set`, `unset`, `toggle`.
    Bit(BitChange),
    /// `flowint` that counts.
    Int(IntChange),
    /// `xbits`, `hostbits`.
    Host(HostBitChange),
}

impl Change {
    /// Whether a rule of addresses that makes it remains one (Suricata: `SIGMATCH_IPONLY_COMPAT`).
    pub fn is_of_addresses(&self) -> bool {
        matches!(self, Self::Host(_) | Self::Bit(BitChange::Set(_)))
    }

    /// Makes it. Without a flow nothing of a flow changes.
    pub fn apply(&self, shared: &Shared, subject: &Subject<'_>, kept: &mut Kept<'_>) {
        match (self, kept) {
            (Self::Bit(change), Some((state, budget))) => change.apply(state, budget),
            (Self::Int(change), Some((state, budget))) => change.apply(state, budget),
            (Self::Host(change), _) => {
                if let Some(mut hosts) = hosts(subject) {
                    shared.host_bits.apply(change, &mut hosts);
                }
            }
            (_, None) => {}
        }
    }
}

fn hosts<'a>(subject: &Subject<'_>) -> Option<bits::Subject<'a>> {
    let ip = subject.packet.ip.as_ref()?;
    Some(bits::Subject {
        source: ip.source(),
        destination: ip.destination(),
        time: subject.packet.frame.time,
        transaction: None,
    })
}
