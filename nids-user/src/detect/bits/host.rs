//! Bits of hosts, pairs of hosts and transactions.

use std::net::IpAddr;

use super::{BitSet, HostBitChange, HostBitTest, Tracked};
use crate::capture::Timestamp;
use crate::detect::flow_state::Budget;
use crate::detect::shared_table::{Key, SharedTable, TableCounters};

const SECOND: u64 = 1_000_000_000;

/// Whose bits are meant: the packet's ends, and the transaction at hand.
#[derive(Debug)]
pub struct Subject<'a> {
    /// Source of the packet.
    pub source: IpAddr,
    /// Its destination.
    pub destination: IpAddr,
    /// Its time.
    pub time: Timestamp,
    /// Bits of the transaction, and the memory of the worker's flows; without one, its bits are not set
    /// and cannot be.
    pub transaction: Option<(&'a mut BitSet, &'a mut Budget)>,
}

/// The bits of all hosts, shared by all workers and all generations of rules.
pub struct HostBits {
    table: SharedTable<()>,
}

impl HostBits {
    /// Bytes that are enough for some 200,000 bits.
    pub const DEFAULT_MEMORY: usize = 16 << 20;

    /// No bit is set, and never more than `memory` bytes of them. `secret` seeds the hash.
    pub fn new(memory: usize, secret: u64) -> Self {
        Self { table: SharedTable::new(memory, secret) }
    }

    /// Whether a test holds.
    pub fn holds(&self, test: &HostBitTest, subject: &Subject<'_>) -> bool {
        let set = match (key(test.bit, subject), test.bit, &subject.transaction) {
            (Some(key), _, _) => self.table.get(key, subject.time.0).is_some(),
            (None, Tracked::Transaction(bit), Some((bits, _))) => bits.contains_tx(bit),
            (None, _, _) => false,
        };
        set == test.set
    }

    /// Makes a change.
    pub fn apply(&self, change: &HostBitChange, subject: &mut Subject<'_>) {
        let now = subject.time.0;
        // In whole seconds, as Suricata 7 has it: up to the end of the last one.
        let end = |seconds: u32| (now / SECOND + u64::from(seconds) + 1).saturating_mul(SECOND) - 1;
        let (HostBitChange::Set(bit, _)
        | HostBitChange::Unset(bit)
        | HostBitChange::Toggle(bit, _)) = *change;
        if let Some(key) = key(bit, subject) {
            self.table.update(key, now, |value| {
                *value = match *change {
                    // One that is set keeps its end, as in Suricata.
                    HostBitChange::Set(_, seconds) => value.or(Some(((), end(seconds)))),
                    HostBitChange::Toggle(_, seconds) if value.is_none() => {
                        Some(((), end(seconds)))
                    }
                    HostBitChange::Toggle(..) | HostBitChange::Unset(_) => None,
                };
            });
        } else if let (Tracked::Transaction(bit), Some((bits, budget))) =
            (bit, &mut subject.transaction)
        {
            match change {
                HostBitChange::Unset(_) => bits.remove_tx(bit),
                HostBitChange::Toggle(..) if bits.contains_tx(bit) => bits.remove_tx(bit),
                HostBitChange::Set(..) | HostBitChange::Toggle(..) => {
                    bits.insert_tx(bit, budget);
                }
            }
        }
    }

    /// What happened so far. An eviction is a bit that was lost.
    pub fn counters(&self) -> TableCounters {
        self.table.counters()
    }
}

/// Where the bit of a host or a pair lies.
fn key(bit: Tracked, subject: &Subject<'_>) -> Option<Key> {
    const HOST: u64 = 0x100;
    const PAIR: u64 = 0x200;
    match bit {
        Tracked::Source(bit) => Some(Key::of_host([u64::from(bit.number()), HOST], subject.source)),
        Tracked::Destination(bit) => {
            Some(Key::of_host([u64::from(bit.number()), HOST], subject.destination))
        }
        Tracked::Pair(bit) => {
            Some(Key::of_pair([u64::from(bit.number()), PAIR], subject.source, subject.destination))
        }
        Tracked::Transaction(_) => None,
    }
}
