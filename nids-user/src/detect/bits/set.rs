//! A set of small numbers: a few lie in place, more in a bitmap that reaches to the largest.

use super::BitId;
use crate::detect::flow_state::Budget;

/// Numbers that lie in place.
const FEW: usize = 6;

/// Bits that are set on one flow or transaction. Most have none or a few of hundreds that rules name.
#[derive(Clone, Debug)]
pub struct BitSet(Kept);

#[derive(Clone, Debug)]
enum Kept {
    Few(u8, [u16; FEW]),
    Many(Box<[u64]>),
}

impl Default for BitSet {
    fn default() -> Self {
        Self(Kept::Few(0, [0; FEW]))
    }
}

impl BitSet {
    /// Whether `bit` is in it.
    pub(super) fn has(&self, bit: u16) -> bool {
        match &self.0 {
            Kept::Few(count, few) => few.iter().take(usize::from(*count)).any(|few| *few == bit),
            Kept::Many(words) => {
                words.get(usize::from(bit) / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
            }
        }
    }

    /// Adds `bit`; false where there is no room.
    pub(super) fn add(&mut self, bit: u16, budget: &mut Budget) -> bool {
        if self.has(bit) {
            return true;
        }
        if let Kept::Few(count, few) = &mut self.0
            && let Some(place) = few.get_mut(usize::from(*count))
        {
            *place = bit;
            *count += 1;
            return true;
        }
        if !self.reach(bit, budget) {
            return false;
        }
        if let Kept::Many(words) = &mut self.0
            && let Some(word) = words.get_mut(usize::from(bit) / 64)
        {
            *word |= 1 << (bit % 64);
            return true;
        }
        false
    }

    /// Makes it a bitmap that has a place for `bit`.
    fn reach(&mut self, bit: u16, budget: &mut Budget) -> bool {
        let (before, highest) = match &self.0 {
            Kept::Few(_, few) => (0, few.iter().fold(bit, |highest, few| highest.max(*few))),
            Kept::Many(words) => (words.len(), bit),
        };
        let needed = usize::from(highest) / 64 + 1;
        if needed <= before {
            return true;
        }
        if !budget.take((needed - before) * size_of::<u64>()) {
            return false;
        }
        let mut words = vec![0; needed].into_boxed_slice();
        match &self.0 {
            Kept::Few(count, few) => {
                for bit in few.iter().take(usize::from(*count)) {
                    if let Some(word) = words.get_mut(usize::from(*bit) / 64) {
                        *word |= 1 << (bit % 64);
                    }
                }
            }
            Kept::Many(old) => {
                words.iter_mut().zip(old).for_each(|(word, old)| *word = *old);
            }
        }
        self.0 = Kept::Many(words);
        true
    }

    /// Takes `bit` out.
    pub(super) fn take_out(&mut self, bit: u16) {
        match &mut self.0 {
            Kept::Few(count, few) => {
                let last = usize::from(*count).wrapping_sub(1);
                if let Some(at) = few.iter().take(usize::from(*count)).position(|few| *few == bit) {
                    few.swap(at, last);
                    *count -= 1;
                }
            }
            Kept::Many(words) => {
                if let Some(word) = words.get_mut(usize::from(bit) / 64) {
                    *word &= !(1 << (bit % 64));
                }
            }
        }
    }

    /// Takes all out. A bitmap stays.
    pub fn clear(&mut self) {
        match &mut self.0 {
            Kept::Few(count, _) => *count = 0,
            Kept::Many(words) => words.fill(0),
        }
    }

    /// The flow bits that are set, in no order.
    pub fn flow_bits(&self) -> impl Iterator<Item = BitId> + '_ {
        self.numbers().map(BitId)
    }

    fn numbers(&self) -> impl Iterator<Item = u16> + '_ {
        let (few, words) = match &self.0 {
            Kept::Few(count, few) => (few.get(..usize::from(*count)), None),
            Kept::Many(words) => (None, Some(words)),
        };
        let many = words.into_iter().flat_map(|words| (0_u16..).zip(words.iter())).flat_map(
            |(at, word)| {
                (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit)
            },
        );
        few.into_iter().flatten().copied().chain(many)
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        match &self.0 {
            Kept::Few(..) => 0,
            Kept::Many(words) => size_of_val(&**words),
        }
    }
}

/// Sets of named bits.
macro_rules! of {
    ($id:ty, $has:ident, $add:ident, $remove:ident) => {
        impl BitSet {
            /// Whether the bit is set.
            #[inline]
            pub fn $has(&self, bit: $id) -> bool {
                self.has(bit.number())
            }
            /// Sets the bit; false where there is no room.
            pub fn $add(&mut self, bit: $id, budget: &mut Budget) -> bool {
                self.add(bit.number(), budget)
            }
            /// Takes the bit away.
            pub fn $remove(&mut self, bit: $id) {
                self.take_out(bit.number());
            }
        }
    };
}

of!(super::BitId, contains, insert, remove);
of!(super::TxBitId, contains_tx, insert_tx, remove_tx);
