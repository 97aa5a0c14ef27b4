//! The bytes of one direction that cannot be let go yet, in pooled blocks.
//!
//! A block holds the bytes of an aligned range of stream offsets, so a byte has its place before its
//! neighbours arrive, segments of one byte cost no more than others, and a lone segment far ahead costs
//! one block, not the distance. Which bytes are there is told by the segments, in the order of their
//! starts; they may overlap, since overlap policies look at segments as they were sent.

use std::collections::VecDeque;
use std::ops::Range;

/// Bytes of a block.
pub(super) const BLOCK: usize = 2048;
const BLOCK_BYTES: u64 = BLOCK as u64;
type Block = Box<[u8; BLOCK]>;

/// Spare buffers (their lists of segments and blocks) kept, at most.
const SPARE_BUFFERS: usize = 1024;

/// No block can be had: the memory cap is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Blocks and buffers for all sessions of a worker.
pub(super) struct Pool {
    free: Vec<Block>,
    /// In boxes, as sessions hold them: a session without data has a pointer, no lists.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Buffer>>,
    /// Blocks that exist, free or in use.
    blocks: usize,
    /// Bytes of the lists in all buffers that exist.
    lists: usize,
    cap: usize,
}

impl Pool {
    /// An empty pool that will not hold more than `cap` bytes; 0 is no limit.
    pub(super) fn new(cap: usize) -> Self {
        Self { free: Vec::new(), spare: Vec::new(), blocks: 0, lists: 0, cap }
    }

    /// Bytes allocated.
    pub(super) fn memory(&self) -> usize {
        self.blocks * BLOCK + self.lists
    }

    /// Blocks in use.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.blocks - self.free.len()
    }

    fn block(&mut self) -> Result<Block, Full> {
        if let Some(block) = self.free.pop() {
            return Ok(block);
        }
        if self.cap != 0 && self.memory() + BLOCK > self.cap {
            return Err(Full);
        }
        self.blocks += 1;
        Ok(Box::new([0; BLOCK]))
    }

    /// An empty buffer.
    pub(super) fn buffer(&mut self) -> Result<Box<Buffer>, Full> {
        if let Some(buffer) = self.spare.pop() {
            return Ok(buffer);
        }
        if self.cap != 0 && self.memory() + size_of::<Buffer>() > self.cap {
            return Err(Full);
        }
        self.lists += size_of::<Buffer>();
        Ok(Box::default())
    }

    /// Takes a buffer back. Lists that a flood made large are not kept.
    pub(super) fn give_back(&mut self, mut buffer: Box<Buffer>) {
        buffer.clear(self);
        if self.spare.len() < SPARE_BUFFERS && buffer.lists() <= 4096 {
            self.spare.push(buffer);
        } else {
            self.lists = self.lists.saturating_sub(buffer.lists() + size_of::<Buffer>());
        }
    }
}

/// The kept bytes of one direction.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    /// Block number (offset / BLOCK) and block, ascending.
    blocks: VecDeque<(u64, Block)>,
    /// What was sent, by its start.
    segments: VecDeque<Range<u64>>,
    /// Offsets of urgent bytes, ascending.
    urgent: Vec<u64>,
    /// Nothing lies before this offset.
    begin: u64,
}

impl Buffer {
    fn lists(&self) -> usize {
        self.blocks.capacity() * size_of::<(u64, Block)>()
            + self.segments.capacity() * size_of::<Range<u64>>()
            + self.urgent.capacity() * size_of::<u64>()
    }

    /// The segments, by their start.
    pub(super) fn segments(
        &self,
    ) -> impl DoubleEndedIterator<Item = &Range<u64>> + ExactSizeIterator {
        self.segments.iter()
    }

    /// Whether no byte is there.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Writes bytes at their offset. Does not make a segment of them. On failure some may be written.
    pub(super) fn write(
        &mut self,
        pool: &mut Pool,
        mut at: u64,
        mut bytes: &[u8],
    ) -> Result<(), Full> {
        while !bytes.is_empty() {
            let within = usize::try_from(at % BLOCK_BYTES).unwrap_or(0);
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - within));
            let block = self.block_for(pool, at / BLOCK_BYTES)?;
            if let Some(place) = block.get_mut(within..within + now.len()) {
                place.copy_from_slice(now);
            }
            at += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    fn block_for(&mut self, pool: &mut Pool, number: u64) -> Result<&mut Block, Full> {
        let index = match self.blocks.back() {
            Some((last, _)) if *last == number => self.blocks.len() - 1,
            Some((last, _)) if *last < number => self.blocks.len(),
            _ => self.blocks.partition_point(|(n, _)| *n < number),
        };
        if self.blocks.get(index).is_none_or(|(n, _)| *n != number) {
            let block = pool.block()?;
            self.begin = self.begin.min(number * BLOCK_BYTES);
            let before = self.lists();
            self.blocks.insert(index, (number, block));
            pool.lists += self.lists() - before;
        }
        self.blocks.get_mut(index).map(|(_, block)| block).ok_or(Full)
    }

    /// Adds a segment, unless the very same is there.
    pub(super) fn add(&mut self, pool: &mut Pool, segment: Range<u64>) {
        self.begin = self.begin.min(segment.start);
        let before = self.lists();
        let key = |s: &Range<u64>| (s.start, s.end);
        if self.segments.back().is_none_or(|last| key(last) < key(&segment)) {
            self.segments.push_back(segment);
        } else {
            let index = self.segments.partition_point(|s| key(s) < key(&segment));
            if self.segments.get(index) != Some(&segment) {
                self.segments.insert(index, segment);
            }
        }
        pool.lists += self.lists() - before;
    }

    /// Lets the last segment grow to `end` where it ends at `from`; false where it does not.
    pub(super) fn extend_last(&mut self, from: u64, end: u64) -> bool {
        match self.segments.back_mut() {
            Some(last) if last.end == from => {
                last.end = end;
                true
            }
            _ => false,
        }
    }

    /// Makes one of all segments that touch: what is left is what bytes are there.
    pub(super) fn coalesce(&mut self) {
        let mut merged: usize = 0;
        for index in 0..self.segments.len() {
            let Some(next) = self.segments.get(index).cloned() else { break };
            match self.segments.get_mut(merged) {
                Some(last) if index > 0 && next.start <= last.end => {
                    last.end = last.end.max(next.end);
                }
                _ => {
                    if index > 0 {
                        merged += 1;
                    }
                    if let Some(slot) = self.segments.get_mut(merged) {
                        *slot = next;
                    }
                }
            }
        }
        self.segments.truncate(merged + 1);
    }

    /// The first run of bytes that are there, from `from` on.
    pub(super) fn run(&self, from: u64) -> Option<Range<u64>> {
        let mut run: Option<Range<u64>> = None;
        for segment in self.segments.iter().filter(|s| s.end > from) {
            match &mut run {
                None => run = Some(segment.start.max(from)..segment.end),
                Some(run) if segment.start <= run.end => run.end = run.end.max(segment.end),
                Some(_) => break,
            }
        }
        run
    }

    /// Bytes at `at`, as many as its block has, but none behind `end`. Whether they were ever written
    /// is for the caller to know (from [`Buffer::run`]).
    pub(super) fn read(&self, at: u64, end: u64) -> &[u8] {
        let number = at / BLOCK_BYTES;
        let index = self.blocks.partition_point(|(n, _)| *n < number);
        let within = usize::try_from(at % BLOCK_BYTES).unwrap_or(0);
        let len = usize::try_from(end.saturating_sub(at)).unwrap_or(BLOCK).min(BLOCK - within);
        self.blocks
            .get(index)
            .filter(|(n, _)| *n == number)
            .and_then(|(_, block)| block.get(within..within + len))
            .unwrap_or_default()
    }

    /// Appends the bytes of a range to `out`; urgent ones are left out.
    pub(super) fn copy_to(&self, range: Range<u64>, out: &mut Vec<u8>) {
        let mut at = range.start;
        while at < range.end {
            let urgent = self.next_urgent(at).filter(|byte| *byte < range.end);
            if urgent == Some(at) {
                at += 1;
                continue;
            }
            let bytes = self.read(at, urgent.unwrap_or(range.end));
            if bytes.is_empty() {
                break;
            }
            out.extend_from_slice(bytes);
            at += bytes.len() as u64;
        }
    }

    /// Marks a byte as urgent; false where it is already.
    pub(super) fn mark_urgent(&mut self, pool: &mut Pool, at: u64) -> bool {
        let Err(index) = self.urgent.binary_search(&at) else { return false };
        let before = self.lists();
        self.urgent.insert(index, at);
        pool.lists += self.lists() - before;
        true
    }

    /// How many bytes are marked as urgent.
    pub(super) fn urgent_len(&self) -> usize {
        self.urgent.len()
    }

    /// How many bytes of a range are marked as urgent.
    pub(super) fn urgent_in(&self, range: &Range<u64>) -> usize {
        let before = |at: u64| self.urgent.partition_point(|byte| *byte < at);
        if self.urgent.is_empty() { 0 } else { before(range.end) - before(range.start) }
    }

    /// The first urgent byte at `at` or behind.
    pub(super) fn next_urgent(&self, at: u64) -> Option<u64> {
        self.urgent.get(self.urgent.partition_point(|byte| *byte < at)).copied()
    }

    /// Drops what lies before `to`, and gives whole blocks back.
    #[inline]
    pub(super) fn slide(&mut self, pool: &mut Pool, to: u64) {
        // Most packets acknowledge nothing new.
        if to > self.begin {
            self.drop_before(pool, to);
            self.begin = to;
        }
    }

    fn drop_before(&mut self, pool: &mut Pool, to: u64) {
        while let Some((number, _)) = self.blocks.front()
            && (number + 1) * BLOCK_BYTES <= to
            && let Some((_, block)) = self.blocks.pop_front()
        {
            pool.free.push(block);
        }
        while self.segments.front().is_some_and(|first| first.end <= to) {
            self.segments.pop_front();
        }
        // Where segments overlap, one that begins later may end sooner.
        if self.segments.get(1).is_some_and(|second| second.start < to) {
            self.segments.retain(|segment| segment.end > to);
        }
        if !self.urgent.is_empty() {
            let stale = self.urgent.partition_point(|byte| *byte < to);
            self.urgent.drain(..stale);
        }
    }

    fn clear(&mut self, pool: &mut Pool) {
        pool.free.extend(self.blocks.drain(..).map(|(_, block)| block));
        self.segments.clear();
        self.urgent.clear();
        self.begin = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_come_back_across_blocks() {
        let mut pool = Pool::new(0);
        let mut buffer = pool.buffer().unwrap();
        let bytes: Vec<u8> = (0..6000_u32).map(|n| n as u8).collect();
        buffer.write(&mut pool, 1000, &bytes).unwrap();
        buffer.add(&mut pool, 1000..7000);
        let mut out = Vec::new();
        buffer.copy_to(1000..7000, &mut out);
        assert_eq!(out, bytes);
        assert_eq!(buffer.read(2040, 9000).len(), 8);
        assert_eq!(pool.memory() / BLOCK, 4);
    }

    #[test]
    fn the_cap_holds_and_blocks_come_back() {
        let mut pool = Pool::new(2 * BLOCK + 1000);
        let mut buffer = pool.buffer().unwrap();
        buffer.write(&mut pool, 0, &[1; 2 * BLOCK]).unwrap();
        assert_eq!(buffer.write(&mut pool, 50_000, &[1]), Err(Full));
        buffer.slide(&mut pool, BLOCK as u64);
        assert_eq!(buffer.write(&mut pool, 50_000, &[1]), Ok(()));
        assert!(pool.memory() <= 2 * BLOCK + 1000);
        pool.give_back(buffer);
        assert_eq!(pool.free.len(), 2);
    }

    #[test]
    fn urgent_bytes_are_left_out() {
        let mut pool = Pool::new(0);
        let mut buffer = pool.buffer().unwrap();
        buffer.write(&mut pool, 0, b"abXcY").unwrap();
        buffer.add(&mut pool, 0..5);
        assert!(buffer.mark_urgent(&mut pool, 4) && buffer.mark_urgent(&mut pool, 2));
        assert!(!buffer.mark_urgent(&mut pool, 2));
        let mut out = Vec::new();
        buffer.copy_to(0..5, &mut out);
        assert_eq!(out, b"abc");
    }

    proptest! {
        #[test]
        fn runs_are_those_of_a_bitmap(
            segments in proptest::collection::vec((0_u64..60, 1_u64..12), 1..20),
            from in 0_u64..70,
            coalesce: bool,
        ) {
            let mut pool = Pool::new(0);
            let mut buffer = pool.buffer().unwrap();
            let mut there = [false; 100];
            for (start, len) in segments {
                buffer.add(&mut pool, start..start + len);
                there[start as usize..(start + len) as usize].fill(true);
            }
            if coalesce {
                buffer.coalesce();
                let all: Vec<_> = buffer.segments().cloned().collect();
                prop_assert!(all.windows(2).all(|pair| pair[0].end < pair[1].start));
            }
            let start = (from..100).find(|at| there[*at as usize]);
            let expected = start.map(|start| {
                start..(start..100).find(|at| !there[*at as usize]).unwrap_or(100)
            });
            prop_assert_eq!(buffer.run(from), expected);
        }
    }
}
