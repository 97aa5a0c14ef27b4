//! What rules remember of one flow: bits, numbers and texts (`bits`), counts (`threshold`), tags (`tag`).
//!
//! A flow that no rule has set anything on holds one empty pointer. What flows hold together is bounded
//! by the [`Budget`] of their worker; what does not fit is not kept, and counted.

use super::bits::{BitId, FlowVars, IntId, TextId};
use super::tag::FlowTags;
use super::threshold::FlowCounts;

/// Bytes that the flows of one worker may hold beside their entries in the flow table.
#[derive(Clone, Debug)]
pub struct Budget {
    most: usize,
    used: usize,
    refused: u64,
}

impl Budget {
    /// At most `most` bytes.
    pub fn new(most: usize) -> Self {
        Self { most, used: 0, refused: 0 }
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Times that something was not kept: no room here, or a bound of a single flow.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Takes `bytes`, or counts that there is no room.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        if bytes > self.most.saturating_sub(self.used) {
            self.refuse();
            return false;
        }
        self.used += bytes;
        true
    }

    /// Gives `bytes` back.
    pub(super) fn give(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// Counts something that is not kept.
    pub(super) fn refuse(&mut self) {
        self.refused = self.refused.saturating_add(1);
    }
}

/// Adds `item`, where the budget allows the list to grow.
pub(super) fn push<T>(list: &mut Vec<T>, item: T, budget: &mut Budget) -> bool {
    insert(list, list.len(), item, budget)
}

/// Adds `item` at a place that is there, where the budget allows the list to grow.
pub(super) fn insert<T>(list: &mut Vec<T>, at: usize, item: T, budget: &mut Budget) -> bool {
    if list.len() == list.capacity() {
        let before = list.capacity();
        let more = before.max(2);
        if !budget.take(more * size_of::<T>()) {
            return false;
        }
        list.reserve_exact(more);
        // The allocator may give more than was asked for.
        budget.used += (list.capacity() - before - more) * size_of::<T>();
    }
    list.insert(at.min(list.len()), item);
    true
}

/// What rules remember of one flow. [`FlowState::release`] it when the flow ends.
#[derive(Debug, Default)]
pub struct FlowState(Option<Box<Parts>>);

const _: () = assert!(size_of::<FlowState>() == size_of::<usize>());

#[derive(Debug, Default)]
struct Parts {
    vars: FlowVars,
    counts: FlowCounts,
    tags: FlowTags,
}

impl FlowState {
    /// Whether nothing was ever kept.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the bit is set.
    #[inline]
    pub fn is_set(&self, bit: BitId) -> bool {
        self.0.as_ref().is_some_and(|parts| parts.vars.bits.contains(bit))
    }

    /// Sets the bit; false where there is no room.
    pub fn set(&mut self, bit: BitId, budget: &mut Budget) -> bool {
        self.is_set(bit) || self.parts(budget).is_some_and(|(p, b)| p.vars.bits.insert(bit, b))
    }

    /// Takes the bit away.
    pub fn unset(&mut self, bit: BitId) {
        if let Some(parts) = &mut self.0 {
            parts.vars.bits.remove(bit);
        }
    }

    /// Takes all bits away.
    pub fn reset(&mut self) {
        if let Some(parts) = &mut self.0 {
            parts.vars.bits.clear();
        }
    }

    /// The number, where it is set.
    pub fn int(&self, id: IntId) -> Option<u32> {
        self.0.as_ref()?.vars.int(id)
    }

    /// Sets the number; false where there is no room.
    pub fn set_int(&mut self, id: IntId, value: u32, budget: &mut Budget) -> bool {
        self.parts(budget).is_some_and(|(parts, budget)| parts.vars.set_int(id, value, budget))
    }

    /// The text, where it is set.
    pub fn text(&self, id: TextId) -> Option<&[u8]> {
        self.0.as_ref()?.vars.text(id)
    }

    /// Sets the text; false where there is no room: what was there before is gone then, too.
    pub fn set_text(&mut self, id: TextId, text: &[u8], budget: &mut Budget) -> bool {
        self.parts(budget).is_some_and(|(parts, budget)| parts.vars.set_text(id, text, budget))
    }

    /// The variables, where any were set.
    pub fn vars(&self) -> Option<&FlowVars> {
        self.0.as_ref().map(|parts| &parts.vars)
    }

    /// The tags, where there are any.
    #[inline]
    pub fn tags_mut(&mut self) -> Option<&mut FlowTags> {
        self.0.as_mut().map(|parts| &mut parts.tags)
    }

    /// The tags, to add one; `None` where there is no room.
    pub(super) fn new_tags<'a>(
        &mut self,
        budget: &'a mut Budget,
    ) -> Option<(&mut FlowTags, &'a mut Budget)> {
        self.parts(budget).map(|(parts, budget)| (&mut parts.tags, budget))
    }

    /// The counts; `None` where there is no room.
    pub(super) fn counts_mut<'a>(
        &mut self,
        budget: &'a mut Budget,
    ) -> Option<(&mut FlowCounts, &'a mut Budget)> {
        self.parts(budget).map(|(parts, budget)| (&mut parts.counts, budget))
    }

    /// Gives everything back: the flow has ended, or its place is needed.
    pub fn release(&mut self, budget: &mut Budget) {
        budget.give(self.bytes());
        self.0 = None;
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |parts| {
            size_of::<Parts>() + parts.vars.bytes() + parts.counts.bytes() + parts.tags.bytes()
        })
    }

    fn parts<'a>(&mut self, budget: &'a mut Budget) -> Option<(&mut Parts, &'a mut Budget)> {
        if self.0.is_none() {
            if !budget.take(size_of::<Parts>()) {
                return None;
            }
            self.0 = Some(Box::default());
        }
        self.0.as_deref_mut().map(|parts| (parts, budget))
    }
}
