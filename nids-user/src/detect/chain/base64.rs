//! The step `base64_decode` (Suricata user guide, "Base64 keywords"): a part of the buffer is decoded, and
//! a chain of its own inspects what comes of it.

use super::Chain;

/// Bytes that are decoded where the rule does not say how many.
pub const MOST: u16 = u16::MAX;

/// `base64_decode` and what `base64_data` asks for.
#[derive(Debug)]
pub(super) struct Base64 {
    pub bytes: u16,
    pub offset: u32,
    pub relative: bool,
    pub chain: Chain,
}

impl Base64 {
    /// The part of the buffer that is decoded, and where it ends; `origin` is what its offset counts from.
    pub fn part<'a>(&self, bytes: &'a [u8], origin: usize) -> Option<(&'a [u8], usize)> {
        let start = origin.checked_add(self.offset as usize)?;
        let rest = bytes.get(start..).filter(|rest| !rest.is_empty())?;
        let part = rest.get(..usize::from(self.bytes)).unwrap_or(rest);
        Some((part, start + part.len()))
    }
}

/// Decodes groups of four characters (RFC 4648, section 4), up to the first that is not of the alphabet. The
/// last group may be cut short where the text ends.
pub(super) fn decode(text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let (mut group, mut count, mut padding) = (0_u32, 0, 0);
    let mut emit = |group: u32, padding: usize| {
        let [_, bytes @ ..] = group.to_be_bytes();
        out.extend_from_slice(bytes.get(..3_usize.saturating_sub(padding)).unwrap_or_default());
    };
    for &byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                0
            }
            _ => return,
        };
        group = group << 6 | u32::from(value);
        count += 1;
        if count == 4 {
            emit(group, padding);
            (group, count, padding) = (0, 0, 0);
        }
    }
    if count > 0 {
        emit(group << (6 * (4 - count)), padding + (4 - count));
    }
}
