//! One datagram on its way to be whole: the fragments that came, and whose bytes count.
//!
//! Bytes are kept as they arrive, one after the other; a list of pieces tells which of them make up the
//! datagram. So memory follows what was received and not what an offset claims.

use std::ops::Range;

use super::policy::Policy;

/// Fragments kept of one datagram; 65,535 bytes in pieces of eight are 8,192.
const MAX_FRAGMENTS: usize = 8192;

/// Bytes `range` of the datagram, from `owner`, lying at `at` in the store.
#[derive(Clone, Debug)]
struct Piece {
    range: Range<u32>,
    owner: u32,
    at: u32,
}

/// What a fragment did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// It covered bytes that were there already.
    pub overlap: bool,
    /// And they were other bytes: two hosts may see two datagrams.
    pub differs: bool,
    /// It could not be kept: there are too many, or it lies behind the end.
    pub refused: bool,
}

/// The fragments of one datagram.
#[derive(Debug, Default)]
pub struct Datagram {
    store: Vec<u8>,
    owners: Vec<Range<u32>>,
    pieces: Vec<Piece>,
    end: Option<u32>,
}

impl Datagram {
    /// Forgets everything but keeps the memory.
    pub fn clear(&mut self) {
        self.store.clear();
        self.owners.clear();
        self.pieces.clear();
        self.end = None;
    }

    /// Bytes of memory it holds.
    pub fn footprint(&self) -> usize {
        self.store.capacity()
            + self.owners.capacity() * size_of::<Range<u32>>()
            + self.pieces.capacity() * size_of::<Piece>()
    }

    /// Adds a fragment at `offset`; `last`: none follows it.
    pub fn add(&mut self, policy: Policy, offset: u32, bytes: &[u8], last: bool) -> Outcome {
        let mut outcome = Outcome::default();
        let (Ok(length), Ok(at)) = (u32::try_from(bytes.len()), u32::try_from(self.store.len()))
        else {
            return Outcome { refused: true, ..outcome };
        };
        let new = offset..offset.saturating_add(length);
        if self.owners.len() >= MAX_FRAGMENTS || self.end.is_some_and(|end| new.end > end) {
            return Outcome { refused: true, ..outcome };
        }
        if last && self.end.is_none() {
            self.end = Some(new.end);
        }
        if new.is_empty() {
            return outcome;
        }
        let owner = self.owners.len() as u32;
        self.owners.push(new.clone());
        self.store.extend_from_slice(bytes);

        let from = self.pieces.partition_point(|piece| piece.range.end <= new.start);
        let to = self.pieces.partition_point(|piece| piece.range.start < new.end);
        let mine = |range: Range<u32>| Piece { at: at + (range.start - new.start), range, owner };
        if from == to {
            self.pieces.insert(from, mine(new.clone()));
            return outcome;
        }
        let mut out: Vec<Piece> = Vec::with_capacity(to.saturating_sub(from) * 2 + 1);
        let mut next = new.start;
        for old in self.pieces.get(from..to).unwrap_or_default() {
            let shared = old.range.start.max(new.start)..old.range.end.min(new.end);
            outcome.overlap = true;
            outcome.differs |= self.bytes(old, &shared) != self.bytes(&mine(new.clone()), &shared);
            if next < shared.start {
                out.push(mine(next..shared.start));
            }
            let wins = self
                .owners
                .get(old.owner as usize)
                .is_some_and(|extent| policy.newcomer_wins(extent, &new));
            if wins {
                if old.range.start < shared.start {
                    out.push(old.part(old.range.start..shared.start));
                }
                out.push(mine(shared.clone()));
                if shared.end < old.range.end {
                    out.push(old.part(shared.end..old.range.end));
                }
            } else {
                out.push(old.clone());
            }
            next = shared.end;
        }
        if next < new.end {
            out.push(mine(next..new.end));
        }
        self.pieces.splice(from..to, out);
        outcome
    }

    fn bytes(&self, piece: &Piece, range: &Range<u32>) -> &[u8] {
        let from = (piece.at + (range.start - piece.range.start)) as usize;
        self.store.get(from..from + range.len()).unwrap_or_default()
    }

    /// Appends the datagram to `out` if nothing of it is missing. What lies behind its end is cut.
    pub fn write_whole(&self, out: &mut Vec<u8>) -> bool {
        let Some(end) = self.end else { return false };
        let mut next = 0;
        for piece in &self.pieces {
            if piece.range.start != next || next >= end {
                break;
            }
            next = piece.range.end;
        }
        if next < end {
            return false;
        }
        for piece in self.pieces.iter().take_while(|piece| piece.range.start < end) {
            out.extend_from_slice(
                self.bytes(piece, &(piece.range.start..piece.range.end.min(end))),
            );
        }
        true
    }
}

impl Piece {
    fn part(&self, range: Range<u32>) -> Self {
        Self { at: self.at + (range.start - self.range.start), range, owner: self.owner }
    }
}
