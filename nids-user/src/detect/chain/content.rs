//! The step `content`: bytes that must lie, or must not lie, in a window.

use std::ops::Range;

use memchr::memmem::Finder;

use super::input::Input;
use super::number::{Operand, Variables};
use crate::detect::keyword::content::ContentDraft;

/// One content.
#[derive(Debug)]
pub(super) struct Content {
    finder: Finder<'static>,
    pub nocase: bool,
    pub negated: bool,
    pub from: From,
    /// Start of the window: from the start of the buffer, or from the end of the last hit.
    pub distance: Operand<i32>,
    /// Length of the window, counted from `distance`.
    pub within: Option<Operand<u32>>,
    pub at_end: bool,
    /// Where it is nowhere in its window, it is in the window of no later cursor either.
    pub is_final: bool,
}

/// What the window counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// The first byte there is.
    Anywhere,
    /// The start of the buffer: in a stream, of the unit.
    Start,
    /// The end of the last hit.
    Cursor,
}

impl Content {
    /// Bytes that it seeks.
    pub fn len(&self) -> usize {
        self.finder.needle().len()
    }

    pub fn new(draft: &ContentDraft) -> Self {
        let mut bytes = draft.bytes.clone();
        if draft.nocase {
            bytes.make_ascii_lowercase();
        }
        let within = match (draft.startswith, draft.depth) {
            (true, _) => u32::try_from(bytes.len()).ok().map(Operand::Number),
            (false, Some(depth)) => Some(depth.map(u32::from)),
            (false, None) => draft.within,
        };
        let from = match (draft.is_relative(), draft.counts_from_start()) {
            (true, _) => From::Cursor,
            (false, true) => From::Start,
            (false, false) => From::Anywhere,
        };
        let distance = draft.distance.or(draft.offset.map(|offset| offset.map(i32::from)));
        let distance = distance.unwrap_or(Operand::Number(0));
        // Without an end of its own, a later window is a part of an earlier one.
        let constant = distance.slot().is_none() && within.and_then(Operand::slot).is_none();
        let is_final = constant && (from != From::Cursor || within.is_none());
        Self {
            finder: Finder::new(&bytes).into_owned(),
            nocase: draft.nocase,
            negated: draft.negated,
            from,
            distance,
            within,
            at_end: draft.endswith,
            is_final,
        }
    }

    /// What is sought.
    #[inline]
    pub fn needle(&self) -> &[u8] {
        self.finder.needle()
    }

    /// Where the content must lie as a whole; empty where it cannot.
    #[inline]
    pub fn window(&self, input: &Input<'_>, cursor: usize, variables: &Variables) -> Range<usize> {
        let length = input.raw().len();
        let from = match self.from {
            From::Anywhere => 0,
            From::Start => input.base(),
            From::Cursor => cursor as i64,
        };
        let start = from.saturating_add(self.distance.place(variables));
        let end = match self.within {
            Some(within) => start.saturating_add(within.place(variables)).min(length as i64),
            None => length as i64,
        };
        let mut start = start.max(0) as usize;
        let end = end.max(0) as usize;
        if self.at_end {
            if end < length {
                return 0..0;
            }
            // It must be the last bytes.
            start = start.max(length.saturating_sub(self.needle().len()));
        }
        if start < end { start..end } else { 0..0 }
    }

    /// First hit inside the window.
    #[inline]
    pub fn find(&self, input: &mut Input<'_>, window: Range<usize>) -> Option<usize> {
        let needle = self.finder.needle();
        let start = window.start;
        let haystack = input.bytes(self.nocase).get(window)?;
        if haystack.len() <= needle.len() {
            return (haystack == needle).then_some(start);
        }
        self.finder.find(haystack).map(|at| start + at)
    }
}
