//! Bits, numbers and texts of one flow.

use super::{BitSet, IntId, TextId};
use crate::detect::flow_state::{Budget, insert};

/// Bytes a text may have.
const MAX_TEXT: usize = 8 * 1024;
/// Texts a flow may have.
const MAX_TEXTS: usize = 32;

/// What rules have set on one flow. Empty, it has nothing on the heap.
#[derive(Debug, Default)]
pub struct FlowVars {
    /// `flowbits`.
    pub(in crate::detect) bits: BitSet,
    /// By id.
    ints: Vec<(IntId, u32)>,
    /// By id.
    texts: Vec<(TextId, Box<[u8]>)>,
}

impl FlowVars {
    /// The bits.
    pub fn bits(&self) -> &BitSet {
        &self.bits
    }

    /// The number, where it is set.
    pub fn int(&self, id: IntId) -> Option<u32> {
        let at = self.ints.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.ints.get(at).map(|(_, value)| *value)
    }

    /// Sets the number; false where there is no room.
    pub fn set_int(&mut self, id: IntId, value: u32, budget: &mut Budget) -> bool {
        match self.ints.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(at) => self.ints.get_mut(at).map(|(_, old)| *old = value).is_some(),
            Err(at) => insert(&mut self.ints, at, (id, value), budget),
        }
    }

    /// The text, where it is set.
    pub fn text(&self, id: TextId) -> Option<&[u8]> {
        let at = self.texts.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.texts.get(at).map(|(_, text)| &**text)
    }

    /// Sets the text; false where there is no room: what was there before is gone then, too.
    pub fn set_text(&mut self, id: TextId, text: &[u8], budget: &mut Budget) -> bool {
        let found = self.texts.binary_search_by_key(&id, |(id, _)| *id);
        if let Ok(at) = found
            && let Some((_, old)) = self.texts.get_mut(at)
        {
            if old.len() == text.len() {
                old.copy_from_slice(text);
                return true;
            }
            budget.give(old.len());
            if text.len() <= MAX_TEXT && budget.take(text.len()) {
                *old = text.into();
                return true;
            }
            self.texts.remove(at);
            if text.len() > MAX_TEXT {
                budget.refuse();
            }
            return false;
        }
        if text.len() > MAX_TEXT || self.texts.len() >= MAX_TEXTS {
            budget.refuse();
            return false;
        }
        if !budget.take(text.len()) {
            return false;
        }
        let at = found.unwrap_or_else(|at| at);
        let kept = insert(&mut self.texts, at, (id, text.into()), budget);
        if !kept {
            budget.give(text.len());
        }
        kept
    }

    /// Numbers that are set.
    pub fn ints(&self) -> &[(IntId, u32)] {
        &self.ints
    }

    /// Texts that are set.
    pub fn texts(&self) -> &[(TextId, Box<[u8]>)] {
        &self.texts
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.bits.bytes()
            + self.ints.capacity() * size_of::<(IntId, u32)>()
            + self.texts.capacity() * size_of::<(TextId, Box<[u8]>)>()
            + self.texts.iter().map(|(_, text)| text.len()).sum::<usize>()
    }
}
