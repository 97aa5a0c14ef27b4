//! Entries that wait to be written: whole records, one behind the other, the first perhaps in part written.

use std::collections::VecDeque;

/// Records rendered for one output.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    bytes: Vec<u8>,
    /// Where the first entry begins in `bytes`.
    start: usize,
    lengths: VecDeque<usize>,
    /// Bytes of the first entry that are written.
    written: usize,
}

impl Backlog {
    /// Appends what `render` appends, as one entry. Nothing appended is no entry.
    pub(super) fn push(&mut self, render: impl FnOnce(&mut Vec<u8>)) {
        let before = self.bytes.len();
        render(&mut self.bytes);
        if self.bytes.len() > before {
            self.lengths.push_back(self.bytes.len() - before);
        }
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Entries that wait.
    pub(super) fn entries(&self) -> u64 {
        self.lengths.len() as u64
    }

    /// Whether the first entry is written in part.
    pub(super) fn is_split(&self) -> bool {
        self.written > 0
    }

    /// Bytes of the first entry that are written.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    /// Bytes that the first entry still has.
    pub(super) fn first(&self) -> &[u8] {
        self.upto(self.lengths.front().copied().unwrap_or(0))
    }

    /// What is still to be written of the first entries, as many as have `most` bytes together. None where
    /// the first one has more already.
    pub(super) fn within(&self, most: u64) -> &[u8] {
        let mut end = 0;
        if most >= self.len() as u64 {
            end = self.len();
        } else {
            for length in &self.lengths {
                if (end + length - self.written) as u64 > most {
                    break;
                }
                end += length;
            }
        }
        self.upto(end)
    }

    fn upto(&self, end: usize) -> &[u8] {
        self.bytes.get(self.start + self.written..self.start + end).unwrap_or_default()
    }

    /// So many bytes more are written. Gives the number of entries that are complete by that.
    pub(super) fn advance(&mut self, bytes: usize) -> u64 {
        let mut whole = 0;
        self.written += bytes;
        while let Some(length) = self.lengths.front().filter(|length| **length <= self.written) {
            self.written -= length;
            self.start += length;
            self.lengths.pop_front();
            whole += 1;
        }
        whole
    }

    /// The first entry is to be written from its beginning.
    pub(super) fn restart(&mut self) {
        self.written = 0;
    }

    /// Gives the first entry up; false where there is none.
    pub(super) fn drop_first(&mut self) -> bool {
        let Some(length) = self.lengths.pop_front() else { return false };
        self.start += length;
        self.written = 0;
        true
    }

    /// Makes room of what is written. Once for many entries: the rest is moved.
    pub(super) fn settle(&mut self) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
        } else {
            self.bytes.drain(..self.start);
        }
        self.start = 0;
    }

    /// Gives up all entries and the memory; how many they were.
    pub(super) fn clear(&mut self) -> u64 {
        let entries = self.entries();
        *self = Self::default();
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_many_as_fit() {
        let mut backlog = Backlog::default();
        for entry in ["aaa", "bb", "", "cccc"] {
            backlog.push(|out| out.extend_from_slice(entry.as_bytes()));
        }
        assert_eq!((backlog.entries(), backlog.len()), (3, 9));
        for (most, text) in [(2, ""), (3, "aaa"), (4, "aaa"), (5, "aaabb"), (9, "aaabbcccc")] {
            assert_eq!(backlog.within(most), text.as_bytes(), "{most}");
        }
        assert_eq!(backlog.advance(4), 1);
        assert_eq!((backlog.within(1), backlog.is_split()), (&b"b"[..], true));
        backlog.restart();
        assert_eq!(backlog.first(), b"bb");
        assert!(backlog.drop_first());
        backlog.settle();
        assert_eq!(backlog.first(), b"cccc");
        assert_eq!((backlog.clear(), backlog.len()), (1, 0));
    }

    proptest! {
        /// However much is taken at a time: every byte once, in order, and entries are counted as they end.
        #[test]
        fn nothing_is_lost_or_doubled(
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..9), 0..40),
            takes in prop::collection::vec((0_u64..20, 0_usize..20, any::<bool>()), 200),
        ) {
            let mut backlog = Backlog::default();
            let (mut out, mut whole) = (Vec::new(), 0);
            let mut waiting = entries.iter();
            for (most, take, settle) in takes.into_iter().chain([(u64::MAX, 1 << 20, true); 50]) {
                if let Some(entry) = waiting.next() {
                    backlog.push(|out| out.extend_from_slice(entry));
                }
                let within = backlog.within(most);
                prop_assert!(within.len() as u64 <= most);
                let part = &within[..within.len().min(take)];
                out.extend_from_slice(part);
                let taken = part.len();
                whole += backlog.advance(taken);
                if settle {
                    backlog.settle();
                }
            }
            prop_assert_eq!(out, entries.concat());
            prop_assert_eq!(whole, entries.len() as u64);
            prop_assert!(backlog.is_empty());
            prop_assert_eq!(backlog.len(), 0);
        }
    }
}
