//! Timer wheel: one list of flows for each second to come.
//!
//! A flow is put where its time runs out as of then, and left there while packets move that time away.
//! When its second comes, its owner looks whether it really is over or belongs further ahead. So a
//! packet never touches the wheel, and taking, putting and moving on are O(1).

/// Seconds ahead the wheel reaches. What is due later waits in the farthest list and is looked at then.
const SLOTS: u64 = 1024;
const WORDS: usize = SLOTS as usize / 64;
const NONE: u32 = u32::MAX;

/// Neighbours of one entry.
#[derive(Clone, Copy)]
struct Link {
    previous: u32,
    next: u32,
    /// Its list, or [`NONE`].
    slot: u32,
}

impl Link {
    const FREE: Self = Self { previous: NONE, next: NONE, slot: NONE };
}

/// Ends of one list.
#[derive(Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
}

/// The wheel. Entries are numbers below the capacity.
pub struct Wheel {
    links: Vec<Link>,
    slots: Vec<Ends>,
    occupied: [u64; WORDS],
    /// Every second up to here has been looked at.
    now: u64,
}

impl Wheel {
    /// Bytes for each entry.
    pub const ENTRY: usize = size_of::<Link>();

    /// A wheel for entries below `capacity`. Their memory is reserved, and used as they come.
    pub fn new(capacity: usize) -> Self {
        Self {
            links: Vec::with_capacity(capacity),
            slots: vec![Ends { first: NONE, last: NONE }; SLOTS as usize],
            occupied: [0; WORDS],
            now: 0,
        }
    }

    /// Puts an entry that is in no list where `second` is; at the end of its list.
    pub fn put(&mut self, entry: u32, second: u64) {
        let second = second.clamp(self.now + 1, self.now + SLOTS - 1);
        let slot = (second % SLOTS) as u32;
        if self.links.len() <= entry as usize {
            self.links.resize(entry as usize + 1, Link::FREE);
        }
        let Some(ends) = self.slots.get_mut(slot as usize) else { return };
        let previous = ends.last;
        ends.last = entry;
        if previous == NONE {
            ends.first = entry;
        }
        self.set_next(previous, entry);
        if let Some(link) = self.links.get_mut(entry as usize) {
            *link = Link { previous, next: NONE, slot };
        }
        if let Some(word) = self.occupied.get_mut(slot as usize / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    /// Takes an entry out of its list.
    pub fn take(&mut self, entry: u32) {
        let Some(link) = self.links.get_mut(entry as usize) else { return };
        let Link { previous, next, slot } = std::mem::replace(link, Link::FREE);
        let Some(ends) = self.slots.get_mut(slot as usize) else { return };
        if ends.first == entry {
            ends.first = next;
        }
        if ends.last == entry {
            ends.last = previous;
        }
        if ends.first == NONE
            && let Some(word) = self.occupied.get_mut(slot as usize / 64)
        {
            *word &= !(1 << (slot % 64));
        }
        self.set_next(previous, next);
        if let Some(link) = self.links.get_mut(next as usize) {
            link.previous = previous;
        }
    }

    /// The first entry of the first list up to `second`, still in it. `None`: all of them are empty,
    /// and the wheel has moved on to `second`.
    pub fn due(&mut self, second: u64) -> Option<u32> {
        if second <= self.now {
            return None;
        }
        match self.next_occupied() {
            Some(ahead) if ahead <= second - self.now => {
                self.now += ahead - 1;
                self.first_at(self.now + 1)
            }
            _ => {
                self.now = second;
                None
            }
        }
    }

    /// The entry that is due first, and the second it waits for.
    pub fn earliest(&self) -> Option<(u32, u64)> {
        let second = self.now + self.next_occupied()?;
        Some((self.first_at(second)?, second))
    }

    /// Seconds from now to the next list that is not empty.
    fn next_occupied(&self) -> Option<u64> {
        let from = ((self.now + 1) % SLOTS) as usize;
        let (word, bit) = (from / 64, from % 64);
        // The first word is looked at twice: its upper bits first, its lower bits last.
        (0..=WORDS).find_map(|step| {
            let at = (word + step) % WORDS;
            let mut bits = *self.occupied.get(at)?;
            if step == 0 {
                bits &= u64::MAX << bit;
            } else if step == WORDS {
                bits &= !(u64::MAX << bit);
            }
            (bits != 0).then(|| {
                let slot = at as u64 * 64 + u64::from(bits.trailing_zeros());
                (slot + SLOTS - from as u64) % SLOTS + 1
            })
        })
    }

    fn first_at(&self, second: u64) -> Option<u32> {
        self.slots.get((second % SLOTS) as usize).map(|ends| ends.first).filter(|at| *at != NONE)
    }

    fn set_next(&mut self, entry: u32, next: u32) {
        if let Some(link) = self.links.get_mut(entry as usize) {
            link.next = next;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn in_the_order_they_are_due() {
        let mut wheel = Wheel::new(4);
        wheel.put(2, 70);
        wheel.put(0, 5);
        wheel.put(1, 5);
        assert_eq!(wheel.due(4), None);
        assert_eq!(wheel.due(5), Some(0));
        wheel.take(0);
        assert_eq!(wheel.due(100), Some(1));
        wheel.take(1);
        assert_eq!(wheel.due(100), Some(2));
        assert_eq!(wheel.earliest(), Some((2, 70)));
        wheel.take(2);
        assert_eq!(wheel.due(100), None);
        assert_eq!(wheel.earliest(), None);
    }

    #[test]
    fn the_far_future_comes_back_in_time() {
        let mut wheel = Wheel::new(1);
        let due = 10 * SLOTS;
        wheel.put(0, due);
        for second in (0..due).step_by(100) {
            while let Some(entry) = wheel.due(second) {
                wheel.take(entry);
                wheel.put(entry, due);
            }
        }
        let mut visits = 0;
        while let Some(entry) = wheel.due(due) {
            wheel.take(entry);
            visits += 1;
        }
        assert_eq!(visits, 1);
    }

    proptest! {
        /// Against a map from second to entries.
        #[test]
        fn like_a_map(
            steps in prop::collection::vec((0_u32..40, 1_u64..3000, 0_u64..200), 1..300)
        ) {
            let mut wheel = Wheel::new(40);
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            let mut now = 0;
            for (entry, ahead, pass) in steps {
                if model.remove(&entry).is_some() {
                    wheel.take(entry);
                }
                wheel.put(entry, now + ahead);
                model.insert(entry, now + ahead);
                now += pass;
                let mut over = Vec::new();
                while let Some(entry) = wheel.due(now) {
                    wheel.take(entry);
                    let due = model[&entry];
                    if due <= now {
                        over.push(entry);
                    } else {
                        wheel.put(entry, due);
                    }
                }
                over.sort_unstable();
                let expected: Vec<u32> =
                    model.iter().filter(|(_, due)| **due <= now).map(|(e, _)| *e).collect();
                prop_assert_eq!(over, expected);
                model.retain(|_, due| *due > now);
            }
        }
    }
}
