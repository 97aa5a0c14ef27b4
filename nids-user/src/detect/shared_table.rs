//! A bounded table that all workers share: what rules remember of hosts, pairs of hosts, and rules.
//!
//! Flows of one host are spread over workers, so only one table for all of them counts right. It is
//! cut into shards with a lock each, by a keyed hash, and is used only when a rule with such state has
//! matched, which is rare. Each entry has an end; time comes from packets and never goes back within a
//! shard. Entries whose end is past go as others come and go by. When a shard is full, the one of a few
//! entries that ends first makes room, which is counted.
//!
//! What entries mean is left to `threshold`, `bits` and `tag`.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use foldhash::quality::FixedState;

/// Shards: many more than workers, so that two seldom want the same one.
const SHARDS: usize = 64;
/// End of a chain.
const NONE: u32 = u32::MAX;
/// Entries looked at on each access, to let go of those whose end is past.
const SWEEP: usize = 2;
/// Entries that one to throw out is chosen from.
const SAMPLE: usize = 16;

/// What an entry is for: two words that its owner chooses, and up to two addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u64; 6]);

impl Key {
    /// A key of `what` alone. The low byte of the second word must be 0: it tells families apart.
    pub fn of(what: [u64; 2]) -> Self {
        let [first, second] = what;
        Self([first, second, 0, 0, 0, 0])
    }

    /// A key of one host.
    pub fn of_host(what: [u64; 2], host: IpAddr) -> Self {
        let ([first, second], (family, [high, low])) = (what, words(host));
        Self([first, second | family, high, low, 0, 0])
    }

    /// A key of two hosts, the same for both orders.
    pub fn of_pair(what: [u64; 2], one: IpAddr, other: IpAddr) -> Self {
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        let (family, [a, b]) = words(low);
        let (_, [c, d]) = words(high);
        let [first, second] = what;
        Self([first, second | family, a, b, c, d])
    }
}

fn words(address: IpAddr) -> (u64, [u64; 2]) {
    match address {
        IpAddr::V4(address) => (4, [0, u64::from(u32::from(address))]),
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            (6, [(bits >> 64) as u64, bits as u64])
        }
    }
}

/// What happened to the entries of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableCounters {
    /// Entries there are now.
    pub entries: u64,
    /// Bytes they take, with what is reserved for more.
    pub bytes: u64,
    /// Gone as their end was past.
    pub expired: u64,
    /// Thrown out for another, as the memory cap was reached.
    pub evicted: u64,
}

/// The table.
pub struct SharedTable<V> {
    shards: Box<[Shard<V>]>,
    hasher: FixedState,
    /// Entries a shard may have.
    capacity: usize,
    expired: AtomicU64,
    evicted: AtomicU64,
}

/// A lock, alone on its cache lines.
#[repr(align(128))]
struct Shard<V>(Mutex<Entries<V>>);

struct Entry<V> {
    key: Key,
    /// Last time at which it counts, in nanoseconds.
    end: u64,
    value: V,
    hash: u32,
    /// Next in the chain.
    next: u32,
}

struct Entries<V> {
    entries: Vec<Entry<V>>,
    /// First of each chain; as many as a power of two, none before the first entry.
    heads: Vec<u32>,
    /// Where the sweep goes on.
    hand: usize,
    now: u64,
}

impl<V: Copy> SharedTable<V> {
    /// Bytes of one entry, its share of the heads included.
    pub const BYTES_PER_ENTRY: usize = size_of::<Entry<V>>() + 2 * size_of::<u32>();

    /// An empty table of at most `memory` bytes, but for one entry a shard at least. `secret` seeds the
    /// hash: from the OS for live traffic, a constant for files.
    pub fn new(memory: usize, secret: u64) -> Self {
        let capacity = memory / SHARDS / Self::BYTES_PER_ENTRY;
        let empty = || Entries { entries: Vec::new(), heads: Vec::new(), hand: 0, now: 0 };
        Self {
            shards: (0..SHARDS).map(|_| Shard(Mutex::new(empty()))).collect(),
            hasher: FixedState::with_seed(secret),
            capacity: capacity.clamp(1, NONE as usize - 1),
            expired: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    /// Most entries there can be.
    pub fn capacity(&self) -> usize {
        self.capacity * SHARDS
    }

    /// Calls `change` with the value of `key`, where there is one whose end is not before `now`; keeps
    /// the value and the end that are left in there, or nothing. No other worker has a value of this
    /// shard meanwhile.
    pub fn update<R>(
        &self,
        key: Key,
        now: u64,
        change: impl FnOnce(&mut Option<(V, u64)>) -> R,
    ) -> R {
        let hash = self.hasher.hash_one(key.0);
        let at = (hash >> 32) as usize % SHARDS;
        let Some(shard) = self.shards.get(at) else { return change(&mut None) };
        let mut shard = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
        shard.now = shard.now.max(now);
        let mut expired = shard.sweep(SWEEP);
        let found = shard.find(hash as u32, key);
        let mut value = found
            .and_then(|at| shard.entries.get(at))
            .filter(|entry| entry.end >= now)
            .map(|entry| (entry.value, entry.end));
        // Its end is past and the sweep had not come by: it goes, or makes place for its successor.
        expired += u64::from(found.is_some() && value.is_none());
        let result = change(&mut value);
        let mut evicted = 0;
        match (found, value) {
            (Some(at), Some((value, end))) => {
                if let Some(entry) = shard.entries.get_mut(at) {
                    (entry.value, entry.end) = (value, end);
                }
            }
            (Some(at), None) => shard.remove(at),
            (None, Some((value, end))) => {
                if shard.entries.len() >= self.capacity {
                    match shard.make_room() {
                        true => expired += 1,
                        false => evicted += 1,
                    }
                }
                shard.insert(
                    Entry { key, end, value, hash: hash as u32, next: NONE },
                    self.capacity,
                );
            }
            (None, None) => {}
        }
        drop(shard);
        if expired + evicted > 0 {
            self.expired.fetch_add(expired, Ordering::Relaxed);
            self.evicted.fetch_add(evicted, Ordering::Relaxed);
        }
        result
    }

    /// The value of `key`, where there is one whose end is not before `now`.
    pub fn get(&self, key: Key, now: u64) -> Option<V> {
        self.update(key, now, |value| value.map(|(value, _)| value))
    }

    /// What happened so far.
    pub fn counters(&self) -> TableCounters {
        let mut counters = TableCounters {
            expired: self.expired.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
            ..TableCounters::default()
        };
        for shard in &self.shards {
            let shard = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
            let bytes = shard.entries.capacity() * size_of::<Entry<V>>()
                + shard.heads.capacity() * size_of::<u32>();
            counters.entries += shard.entries.len() as u64;
            counters.bytes += bytes as u64;
        }
        counters
    }
}

impl<V> Entries<V> {
    fn bucket(&self, hash: u32) -> usize {
        hash as usize & self.heads.len().wrapping_sub(1)
    }

    fn find(&self, hash: u32, key: Key) -> Option<usize> {
        let mut at = *self.heads.get(self.bucket(hash))?;
        while let Some(entry) = self.entries.get(at as usize) {
            if entry.hash == hash && entry.key == key {
                return Some(at as usize);
            }
            at = entry.next;
        }
        None
    }

    /// Adds an entry whose key is not there. There is room.
    fn insert(&mut self, mut entry: Entry<V>, capacity: usize) {
        if self.heads.is_empty() {
            // The largest power of two that is not above: chains of one or two entries when full.
            let heads = capacity.checked_ilog2().map_or(1, |log| 1 << log);
            self.heads = vec![NONE; heads];
        }
        if self.entries.len() == self.entries.capacity() {
            let more = self.entries.len().max(8).min(capacity.saturating_sub(self.entries.len()));
            self.entries.reserve_exact(more.max(1));
        }
        let (bucket, at) = (self.bucket(entry.hash), self.entries.len() as u32);
        if let Some(head) = self.heads.get_mut(bucket) {
            entry.next = std::mem::replace(head, at);
            self.entries.push(entry);
        }
    }

    /// Takes the entry out of its chain; the last entry gets its place.
    fn remove(&mut self, at: usize) {
        let Some(next) = self.entries.get(at).map(|entry| entry.next) else { return };
        self.redirect(at, at as u32, next);
        let last = self.entries.len().wrapping_sub(1);
        if last != at {
            self.redirect(last, last as u32, at as u32);
        }
        self.entries.swap_remove(at);
    }

    /// In the chain of the entry `of`, makes the link to `from` one to `to`.
    fn redirect(&mut self, of: usize, from: u32, to: u32) {
        let Some(bucket) = self.entries.get(of).map(|entry| self.bucket(entry.hash)) else {
            return;
        };
        let Some(head) = self.heads.get_mut(bucket) else { return };
        if *head == from {
            *head = to;
            return;
        }
        let mut at = *head;
        while let Some(entry) = self.entries.get_mut(at as usize) {
            if entry.next == from {
                entry.next = to;
                return;
            }
            at = entry.next;
        }
    }

    /// Looks at the next `count` entries and removes those whose end is past.
    fn sweep(&mut self, count: usize) -> u64 {
        let mut removed = 0;
        for _ in 0..count.min(self.entries.len()) {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            match self.entries.get(self.hand) {
                Some(entry) if entry.end < self.now => {
                    self.remove(self.hand);
                    removed += 1;
                }
                _ => self.hand += 1,
            }
        }
        removed
    }

    /// Removes that one of the next entries that ends first; true where its end was past.
    fn make_room(&mut self) -> bool {
        let mut first: Option<(u64, usize)> = None;
        for _ in 0..SAMPLE.min(self.entries.len()) {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            if let Some(entry) = self.entries.get(self.hand) {
                let this = (entry.end, self.hand);
                first = Some(first.map_or(this, |first| first.min(this)));
            }
            self.hand += 1;
        }
        let Some((end, at)) = first else { return false };
        self.remove(at);
        end < self.now
    }
}

#[cfg(test)]
mod tests;
