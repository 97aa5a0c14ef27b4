//! Sets of byte values.

/// A set of byte values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// No byte.
    pub const EMPTY: Self = Self([0; 4]);
    /// Every byte.
    pub const ALL: Self = Self([u64::MAX; 4]);

    /// The bytes of these ranges, ends included.
    pub fn of(ranges: &[(u8, u8)]) -> Self {
        let mut set = Self::EMPTY;
        for &(first, last) in ranges {
            set.insert_range(first, last);
        }
        set
    }
    /// Adds a byte.
    pub fn insert(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }
    /// Adds the bytes between two, both included.
    pub fn insert_range(&mut self, first: u8, last: u8) {
        (first..=last).for_each(|byte| self.insert(byte));
    }
    /// Whether it holds `byte`.
    #[inline(always)]
    pub fn contains(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte >> 6)).is_some_and(|word| word >> (byte & 63) & 1 != 0)
    }
    /// All other bytes.
    pub fn negate(self) -> Self {
        Self(self.0.map(|word| !word))
    }
    /// The bytes of both.
    pub fn union(self, other: Self) -> Self {
        let [a, b, c, d] = self.0;
        let [e, f, g, h] = other.0;
        Self([a | e, b | f, c | g, d | h])
    }
    /// With the other case of every letter in it.
    pub fn fold(self) -> Self {
        let mut out = self;
        for byte in self.iter().filter(u8::is_ascii_alphabetic) {
            out.insert(byte ^ 0x20);
        }
        out
    }
    /// The bytes, in order.
    pub fn iter(&self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(|byte| self.contains(*byte))
    }
}
