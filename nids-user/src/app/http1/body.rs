//! The body of a message, up to the limit: as sent, and with its codings undone.
//!
//! Rules see it once enough of it is there, again where more is, and when it is over.

use super::coding::{self, Coding, Most, Undone};

/// Bytes of a body without limit that are kept at a time, and of these what stays for what comes next.
const WINDOW: usize = 256 << 10;
const STAYS: usize = 16 << 10;
/// Bytes as sent that are kept of a body that has codings and no limit.
const MOST_CODED: usize = 1 << 20;

/// How much of a body is kept, and when it is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// Bytes that are kept; 0: no limit.
    pub limit: u32,
    /// Bytes that are waited for before rules see it.
    pub inspect: u32,
    /// Bytes that it may unpack to.
    pub bomb: u32,
}

/// A body.
#[derive(Debug, Default)]
pub struct Body {
    /// As sent.
    sent: Vec<u8>,
    /// Bytes sent before `sent`, which were let go.
    gone: u64,
    /// With its codings undone, where it has any.
    undone: Vec<u8>,
    codings: Vec<Coding>,
    /// Bytes sent, kept or not.
    length: u64,
    /// Bytes of the lines around chunks.
    lines: u64,
    /// Of `sent`, what rules may see.
    shown: usize,
    growth: u32,
    bounds: Bounds,
    /// Bytes of it are missing.
    pub is_holed: bool,
    /// Nothing more comes.
    pub is_over: bool,
}

impl Body {
    /// Sets what holds for it, before it begins.
    pub fn begin(&mut self, codings: Vec<Coding>, bounds: Bounds) {
        (self.codings, self.bounds) = (codings, bounds);
    }

    /// Bytes of the message behind its headers: with the lines around chunks.
    pub fn length(&self) -> u64 {
        self.length + self.lines
    }

    /// Bytes of it are missing.
    pub fn skip(&mut self, bytes: u64) {
        self.length += bytes;
        self.is_holed = true;
    }

    /// A line around a chunk.
    pub fn count_line(&mut self, line: &[u8]) {
        self.lines += line.len() as u64;
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes of what it carries: with its codings undone, where it has any.
    pub fn size(&self) -> u64 {
        match self.codings.is_empty() {
            true => self.gone + self.sent.len() as u64,
            false => self.undone.len() as u64,
        }
    }

    /// Changes whenever rules may see more.
    pub fn growth(&self) -> u32 {
        self.growth
    }

    /// Whether there is more of it than is kept.
    pub fn is_cut(&self) -> bool {
        !self.is_holed && self.length > self.gone + self.sent.len() as u64
    }

    /// Bytes of memory it takes.
    pub fn memory(&self) -> usize {
        self.sent.capacity() + self.undone.capacity()
    }

    /// What rules may see, and how many bytes lay before it.
    pub fn shown(&self) -> Option<(&[u8], u64)> {
        let shown = match self.codings.is_empty() {
            true => self.sent.get(..self.shown)?,
            false => &self.undone,
        };
        (self.shown > 0).then_some((shown, self.gone))
    }

    /// Takes more of it. Returns bytes that are not kept, and whether rules may see more.
    pub fn push(&mut self, bytes: &[u8]) -> (u64, bool) {
        self.length += bytes.len() as u64;
        let most = match (self.bounds.limit, self.codings.is_empty()) {
            (0, true) => usize::MAX,
            (0, false) => MOST_CODED,
            (limit, _) => limit as usize,
        };
        if most == usize::MAX && self.sent.len() >= WINDOW && self.shown == self.sent.len() {
            // Rules have seen it all.
            let old = self.sent.len() - STAYS;
            self.sent.drain(..old);
            self.gone += old as u64;
            self.shown = STAYS;
        }
        let kept = bytes.get(..most.saturating_sub(self.sent.len())).unwrap_or(bytes);
        self.sent.extend_from_slice(kept);
        let fresh = self.sent.len() - self.shown;
        let is_full = self.sent.len() >= most;
        let enough = fresh > 0 && (is_full || fresh >= self.bounds.inspect as usize);
        if enough {
            self.show();
        }
        ((bytes.len() - kept.len()) as u64, enough)
    }

    /// Nothing more comes.
    pub fn finish(&mut self) -> Undone {
        self.is_over = true;
        if self.shown < self.sent.len() || !self.codings.is_empty() {
            self.show()
        } else {
            Undone::default()
        }
    }

    fn show(&mut self) -> Undone {
        self.shown = self.sent.len();
        self.growth += 1;
        if self.codings.is_empty() || self.sent.is_empty() {
            return Undone::default();
        }
        let kept = if self.bounds.limit == 0 { MOST_CODED } else { self.bounds.limit as usize };
        let most = Most { kept, looked_at: kept.max(self.bounds.bomb as usize) };
        coding::undo(&self.codings, &self.sent, most, &mut self.undone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_shown_when_enough_is_there() {
        let mut body = Body::default();
        body.begin(Vec::new(), Bounds { limit: 10, inspect: 4, bomb: 0 });
        assert_eq!(body.push(b"ab"), (0, false));
        assert_eq!(body.shown(), None);
        assert_eq!(body.push(b"cd"), (0, true));
        assert_eq!(body.shown(), Some((&b"abcd"[..], 0)));
        assert_eq!(body.push(b"e"), (0, false));
        body.finish();
        assert_eq!(body.shown(), Some((&b"abcde"[..], 0)));
        assert_eq!(body.push(b"fghijkl"), (2, true));
        assert!(body.is_cut() && body.length() == 12);
    }

    #[test]
    fn without_limit_what_was_seen_is_let_go() {
        let mut body = Body::default();
        body.begin(Vec::new(), Bounds { limit: 0, inspect: 1, bomb: 0 });
        for _ in 0..1000 {
            body.push(&[7; 1000]);
        }
        assert!(body.memory() <= 2 * WINDOW && body.length() == 1_000_000);
        let (bytes, gone) = body.shown().unwrap();
        assert_eq!(bytes.len() as u64 + gone, 1_000_000);
    }
}
