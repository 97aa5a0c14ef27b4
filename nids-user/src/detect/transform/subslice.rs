//! `subslice: offset[, nbytes][, truncate]`: a part of the buffer, counted from either end (Suricata's
//! development version; user guide, "subslice").

use crate::detect::keyword::value::{Fault, Use};

/// Furthest that can be written: more than any buffer has.
const FURTHEST: i64 = u32::MAX as i64;

/// A part of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subslice {
    /// Where it begins; negative: counted from the end.
    offset: i64,
    /// Its length; negative: it ends that many bytes before the end. Never 0.
    length: Option<i64>,
    /// What lies outside the buffer is cut off. Without it, the part is empty then.
    truncate: bool,
}

impl Subslice {
    pub(super) fn read(keyword: &Use<'_>) -> Result<Self, Fault> {
        let value = keyword.value()?;
        let mut words: Vec<_> = value.split(',').collect();
        let truncate = words.len() > 1
            && words.last().is_some_and(|word| word.text.eq_ignore_ascii_case("truncate"));
        if truncate {
            words.pop();
        }
        let (offset, length) = match words.as_slice() {
            [offset] => (offset, None),
            [offset, length] => (offset, Some(length)),
            _ => return Err(value.bad("`subslice` takes an offset, a length, and `truncate`")),
        };
        let length = match length.map(|word| (word, word.number(-FURTHEST, FURTHEST))) {
            None => None,
            Some((word, Ok(0))) => return Err(word.bad("a part of no bytes is always empty")),
            Some((_, length)) => Some(length?),
        };
        Ok(Self { offset: offset.number(-FURTHEST, FURTHEST)?, length, truncate })
    }

    pub(super) fn of(self, input: &[u8]) -> &[u8] {
        let Ok(size) = i64::try_from(input.len()) else { return &[] };
        let start = if self.offset < 0 { size + self.offset } else { self.offset };
        let start_inside = start.clamp(0, size);
        let end = match self.length {
            None => size,
            Some(length) if length < 0 => size + length,
            Some(length) => start_inside + length,
        };
        let end_inside = end.clamp(0, size);
        if !self.truncate && (start != start_inside || end != end_inside) {
            return &[];
        }
        // An end before the start swaps both, as the user guide's examples do.
        let (from, to) = (start_inside.min(end_inside), start_inside.max(end_inside));
        input.get(from as usize..to as usize).unwrap_or_default()
    }
}
