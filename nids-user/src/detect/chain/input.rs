//! The bytes that a chain inspects.

/// A buffer, and its lower-case copy once something asks for it.
pub struct Input<'a> {
    raw: &'a [u8],
    base: i64,
    seen: usize,
    folded: &'a mut Vec<u8>,
    is_folded: bool,
}

impl<'a> Input<'a> {
    /// The buffer, with room for its lower-case copy.
    pub fn new(raw: &'a [u8], room: &'a mut Vec<u8>) -> Self {
        Self { raw, base: 0, seen: 0, folded: room, is_folded: false }
    }
    /// As a part of a stream: absolute places count from `base`, and the first `seen` bytes were inspected
    /// before.
    pub fn of_stream(self, base: i64, seen: usize) -> Self {
        Self { base, seen, ..self }
    }
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }
    /// The bytes; in lower case with `nocase`.
    #[inline]
    pub fn bytes(&mut self, nocase: bool) -> &[u8] {
        if !nocase {
            return self.raw;
        }
        if !self.is_folded {
            self.folded.clear();
            self.folded.extend_from_slice(self.raw);
            self.folded.make_ascii_lowercase();
            self.is_folded = true;
        }
        self.folded
    }
    /// The bytes as they are.
    #[inline]
    pub(super) fn raw(&self) -> &'a [u8] {
        self.raw
    }
    /// Where places that are absolute count from.
    #[inline]
    pub(super) fn base(&self) -> i64 {
        self.base
    }
    /// The first byte at hand that lies behind it.
    #[inline]
    pub(super) fn start(&self) -> usize {
        self.base.max(0) as usize
    }
    /// Bytes that were inspected before: a match must reach behind them.
    #[inline]
    pub(super) fn seen(&self) -> usize {
        self.seen
    }
}
