//! One set: what its file held, and what packets changed since.
//!
//! What was loaded never changes, so that testing a set that no packet has changed takes no lock: one flag
//! and one look into a table. Changes lie beside it in shards, each behind its own lock: values that were
//! added, and loaded values that were removed. Their memory has a bound; a change that finds no room is
//! not made, and counted.

use std::hash::BuildHasher;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::file::{FileError, Layout};
use super::frozen::{Found, Frozen};
use super::kind::Kind;

const SHARDS: usize = 64;
/// Bytes a change takes beside its value: the record in a table that may be half empty, and what the
/// allocator keeps.
const OVERHEAD: usize = 2 * (size_of::<Change>() + 1) + 16;

/// A value that differs from what was loaded.
#[derive(Debug)]
struct Change {
    value: Box<[u8]>,
    /// Added; else it was loaded, and removed.
    present: bool,
}

/// On a cache line of its own, so that workers in different shards do not slow each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(RwLock<HashTable<Change>>);

/// Where a set is read from and written to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Read at the start.
    pub load: Option<PathBuf>,
    /// Written at the end.
    pub save: Option<PathBuf>,
}

/// What a set has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatasetCounters {
    /// Values in it now.
    pub values: usize,
    /// Bytes it takes now.
    pub memory: usize,
    /// Changes that were not made, since the memory was used up.
    pub refused: u64,
}

/// A set of values of one kind, shared by all workers.
#[derive(Debug)]
pub struct Dataset {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) files: Files,
    pub(super) layout: Layout,
    hasher: RandomState,
    loaded: Frozen,
    shards: Box<[Shard]>,
    /// Whether any shard may hold anything.
    changed: AtomicBool,
    /// Bytes of the changes.
    memory: AtomicUsize,
    /// Their bound.
    memcap: usize,
    refused: AtomicU64,
}

impl Dataset {
    /// Where it is read from and written to.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Reads the set's file, if it has one.
    ///
    /// `memcap` bounds loaded and added values together; `None`: the file may be of any size, and what is
    /// added is bounded by `default_memcap`.
    ///
    /// # Errors
    /// The file cannot be read, holds something else, or is too large for `memcap`.
    pub fn open(
        name: &str,
        kind: Kind,
        files: Files,
        layout: Layout,
        memcap: Option<usize>,
        default_memcap: usize,
    ) -> Result<Self, FileError> {
        let mut set = Self {
            name: name.to_owned(),
            kind,
            files,
            layout,
            hasher: RandomState::default(),
            loaded: Frozen::default(),
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            changed: AtomicBool::new(false),
            memory: AtomicUsize::new(0),
            memcap: memcap.unwrap_or(default_memcap),
            refused: AtomicU64::new(0),
        };
        if let Some(path) = set.files.load.clone() {
            // What is saved at the end is not there at the first start.
            let may_miss = set.files.save.as_ref() == Some(&path);
            if let Some(bytes) = super::file::bytes(&path, may_miss)? {
                set.fill(&bytes).map_err(|error| error.at(&path))?;
                set.loaded.shrink(|value| set.hasher.hash_one(value));
            }
        }
        if let Some(memcap) = memcap {
            let taken = set.loaded.memory();
            set.memcap = memcap.checked_sub(taken).ok_or(FileError::Memory { taken, memcap })?;
        }
        Ok(set)
    }

    /// A set of what the bytes of a file say, and of no file.
    ///
    /// # Errors
    /// They say something else.
    pub fn from_bytes(kind: Kind, layout: Layout, bytes: &[u8]) -> Result<Self, FileError> {
        let mut set = Self::open("", kind, Files::default(), layout, None, 0)?;
        set.fill(bytes)?;
        Ok(set)
    }

    fn fill(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let Self { hasher, loaded, layout, kind, .. } = self;
        super::file::read(bytes, *kind, layout, |value, reputation, context| {
            loaded.insert(value, reputation, context, |value| hasher.hash_one(value))
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its values are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What it has done. Adds up over the values: not for the packet path.
    pub fn counters(&self) -> DatasetCounters {
        let mut values = self.loaded.len();
        for shard in &self.shards {
            for change in shard.read().iter() {
                if change.present {
                    values += 1;
                } else {
                    values = values.saturating_sub(1);
                }
            }
        }
        DatasetCounters {
            values,
            memory: self.loaded.memory() + self.memory.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Whether the buffer is in the set.
    #[inline]
    pub fn contains(&self, buffer: &[u8]) -> bool {
        let mut mapped = [0; 16];
        let Some(value) = self.kind.value(buffer, &mut mapped) else { return false };
        let hash = self.hasher.hash_one(value);
        match self.change(hash, value) {
            Some(present) => present,
            None => self.loaded.contains(hash, value),
        }
    }

    /// What is known of the buffer; `None` where it is not in the set.
    #[inline]
    pub fn find(&self, buffer: &[u8]) -> Option<Found<'_>> {
        let mut mapped = [0; 16];
        let value = self.kind.value(buffer, &mut mapped)?;
        let hash = self.hasher.hash_one(value);
        match self.change(hash, value) {
            Some(true) => Some(Found { reputation: 0, context: "" }),
            Some(false) => None,
            None => self.loaded.find(hash, value),
        }
    }

    /// Adds the buffer. `true` if it was not there before, and now is.
    pub fn add(&self, buffer: &[u8]) -> bool {
        let mut mapped = [0; 16];
        let Some(value) = self.kind.value(buffer, &mut mapped) else { return false };
        let hash = self.hasher.hash_one(value);
        // Most values have been seen before.
        let loaded = self.loaded.contains(hash, value);
        if self.change(hash, value).unwrap_or(loaded) {
            return false;
        }
        let mut changes = self.shard(hash).write();
        match changes.entry(hash, |change| *change.value == *value, |c| self.hash(c)) {
            Entry::Occupied(entry) if entry.get().present => false,
            Entry::Occupied(entry) => {
                entry.remove();
                self.release(value);
                true
            }
            Entry::Vacant(_) if loaded => false,
            Entry::Vacant(entry) => {
                let room = self.reserve(value);
                if room {
                    entry.insert(Change { value: value.into(), present: true });
                }
                room
            }
        }
    }

    /// Removes the buffer. `true` if it was there before, and now is not.
    pub fn remove(&self, buffer: &[u8]) -> bool {
        let mut mapped = [0; 16];
        let Some(value) = self.kind.value(buffer, &mut mapped) else { return false };
        let hash = self.hasher.hash_one(value);
        let loaded = self.loaded.contains(hash, value);
        if !self.change(hash, value).unwrap_or(loaded) {
            return false;
        }
        let mut changes = self.shard(hash).write();
        match changes.entry(hash, |change| *change.value == *value, |c| self.hash(c)) {
            Entry::Occupied(entry) if entry.get().present => {
                entry.remove();
                self.release(value);
                true
            }
            Entry::Occupied(_) => false,
            Entry::Vacant(entry) => {
                let room = loaded && self.reserve(value);
                if room {
                    entry.insert(Change { value: value.into(), present: false });
                }
                room
            }
        }
    }

    /// All values with their reputations, as lines of a file, in order.
    pub fn lines(&self) -> Vec<String> {
        let line = |value: &[u8], reputation: u16| {
            let mut line = String::new();
            self.kind.write(value, &mut line);
            if reputation > 0 {
                line.push_str(&format!(",{reputation}"));
            }
            line
        };
        let mut lines = Vec::with_capacity(self.loaded.len());
        for (value, found) in self.loaded.iter() {
            if self.change(self.hasher.hash_one(value), value) != Some(false) {
                lines.push(line(value, found.reputation));
            }
        }
        for shard in &self.shards {
            let changes = shard.read();
            let added = changes.iter().filter(|change| change.present);
            lines.extend(added.map(|change| line(&change.value, 0)));
        }
        lines.sort_unstable();
        lines
    }

    /// Whether the value was added or removed since loading.
    #[inline]
    fn change(&self, hash: u64, value: &[u8]) -> Option<bool> {
        // Set before the first change, under the shard's lock: who must see the change sees it.
        if !self.changed.load(Ordering::Acquire) {
            return None;
        }
        let changes = self.shard(hash).read();
        changes.find(hash, |change| *change.value == *value).map(|change| change.present)
    }

    fn hash(&self, change: &Change) -> u64 {
        self.hasher.hash_one(&*change.value)
    }

    /// The tables take the lowest and the highest bits.
    #[inline]
    fn shard(&self, hash: u64) -> &Shard {
        static NONE: Shard = Shard(RwLock::new(HashTable::new()));
        self.shards.get((hash >> 40) as usize % SHARDS).unwrap_or(&NONE)
    }

    /// Takes memory for one change of this value.
    fn reserve(&self, value: &[u8]) -> bool {
        let more = value.len() + OVERHEAD;
        let room = |used: usize| used.checked_add(more).filter(|sum| *sum <= self.memcap);
        let done = self.memory.try_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok();
        if done {
            self.changed.store(true, Ordering::Release);
        } else {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        done
    }

    fn release(&self, value: &[u8]) {
        self.memory.fetch_sub(value.len() + OVERHEAD, Ordering::Relaxed);
    }
}

impl Shard {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashTable<Change>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashTable<Change>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Dataset {
    /// Bytes of the changes.
    pub(super) fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }
}
