//! The values of one file, in one allocation, never changed after loading: read without a lock.

use hashbrown::HashTable;

/// What a file said of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The reputation behind the value; 0 where there is none.
    pub reputation: u16,
    /// The JSON object that held the value; empty where the file is no JSON.
    pub context: &'a str,
}

/// Where a value lies; its context lies behind it.
#[derive(Clone, Copy, Debug)]
struct Slot {
    start: u32,
    length: u32,
    context: u32,
    reputation: u16,
}

/// An immutable table of values. The caller hashes, always the same way.
#[derive(Debug, Default)]
pub(super) struct Frozen {
    bytes: Vec<u8>,
    slots: HashTable<Slot>,
}

/// No more bytes fit in one set (4 GiB).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Frozen {
    /// Adds what `write` appends as a value. Of equal values the first stays.
    pub(super) fn insert(
        &mut self,
        value: &[u8],
        reputation: u16,
        context: &str,
        hash: impl Fn(&[u8]) -> u64,
    ) -> Result<(), Full> {
        let key = hash(value);
        if self.slot(key, value).is_some() {
            return Ok(());
        }
        let number = |count: usize| u32::try_from(count).map_err(|_| Full);
        let end = self.bytes.len().checked_add(value.len() + context.len()).ok_or(Full)?;
        number(end)?;
        let slot = Slot {
            start: number(self.bytes.len())?,
            length: number(value.len())?,
            context: number(context.len())?,
            reputation,
        };
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(context.as_bytes());
        let bytes = &self.bytes;
        self.slots.insert_unique(key, slot, |slot| hash(slot.value(bytes)));
        Ok(())
    }

    /// Gives back what growing took too much.
    pub(super) fn shrink(&mut self, hash: impl Fn(&[u8]) -> u64) {
        self.bytes.shrink_to_fit();
        let bytes = &self.bytes;
        self.slots.shrink_to_fit(|slot| hash(slot.value(bytes)));
    }

    #[inline]
    fn slot(&self, hash: u64, value: &[u8]) -> Option<&Slot> {
        self.slots.find(hash, |slot| slot.value(&self.bytes) == value)
    }

    /// Whether the value is there.
    #[inline]
    pub(super) fn contains(&self, hash: u64, value: &[u8]) -> bool {
        self.slot(hash, value).is_some()
    }

    /// What is known of the value.
    #[inline]
    pub(super) fn find(&self, hash: u64, value: &[u8]) -> Option<Found<'_>> {
        self.slot(hash, value).map(|slot| slot.found(&self.bytes))
    }

    /// All values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Found<'_>)> {
        self.slots.iter().map(|slot| (slot.value(&self.bytes), slot.found(&self.bytes)))
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Bytes it takes.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity() + self.slots.allocation_size()
    }
}

impl Slot {
    #[inline]
    fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
            .get(self.start as usize..)
            .and_then(|from| from.get(..self.length as usize))
            .unwrap_or_default()
    }

    fn found<'a>(&self, bytes: &'a [u8]) -> Found<'a> {
        let start = self.start as usize + self.length as usize;
        let context = bytes.get(start..start + self.context as usize).unwrap_or_default();
        Found {
            reputation: self.reputation,
            context: std::str::from_utf8(context).unwrap_or_default(),
        }
    }
}
