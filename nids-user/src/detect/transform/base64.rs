//! Base64 (RFC 4648, RFC 2045): the decoder, the transform `from_base64`, and the keyword
//! `base64_decode` (Suricata user guide, "Base64 keywords").
//!
//! A group of four characters is three bytes, and each `=` in it, wherever it stands, takes one of them
//! away and counts as zero bits; so does each character that the last group lacks. Suricata 7 makes a
//! byte or two more of what `=` leaves of a last group (`Zm9vZ=` is `food` there, `foo` here).

use super::Failed;
use crate::detect::keyword::value::{Fault, Use, Word};

/// What the decoder does about bytes that are not base64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Ends at the first (RFC 4648, section 3.3, as Suricata reads it).
    #[default]
    Rfc4648,
    /// Goes on behind it (RFC 2045, section 6.8). An incomplete last group is left, as in Suricata.
    Rfc2045,
    /// Decodes all or nothing: padded, and no bits left over.
    Strict,
}

/// Bytes that so many characters make at most.
pub fn most(characters: usize) -> usize {
    characters.div_ceil(4).saturating_mul(3)
}

const PAD: u8 = 64;
const BAD: u8 = 65;
const VALUES: [u8; 256] = values();

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn values() -> [u8; 256] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [BAD; 256];
    let mut value = 0;
    while value < 64 {
        table[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    table[b'=' as usize] = PAD;
    table
}

/// Appends what `input` decodes to, and gives how much of `input` it was made of: to behind the last
/// group that was used.
pub fn decode(mode: Mode, input: &[u8], out: &mut Vec<u8>) -> usize {
    out.reserve(most(input.len()));
    if mode == Mode::Strict && !is_canonical(input) {
        return 0;
    }
    let mut group = Group::default();
    let mut consumed = 0;
    for (at, byte) in input.iter().enumerate() {
        match VALUES.get(usize::from(*byte)) {
            Some(&value) if value != BAD => group.push(value),
            _ if mode == Mode::Rfc2045 => continue,
            _ => break,
        }
        if group.length == 4 {
            group.finish(out);
            consumed = at + 1;
        }
    }
    if mode != Mode::Rfc2045 && group.length > 0 {
        // Nothing was skipped, so the group lies right behind the one before it.
        let length = usize::from(group.length);
        if group.finish(out) > 0 {
            consumed += length;
        }
    }
    consumed
}

/// Up to four characters.
#[derive(Default)]
struct Group {
    bits: u32,
    length: u8,
    padding: u8,
}

impl Group {
    #[inline]
    fn push(&mut self, value: u8) {
        self.bits = self.bits << 6 | u32::from(value & 63);
        self.padding += u8::from(value == PAD);
        self.length += 1;
    }

    /// Appends its bytes, gives their number, and begins anew.
    #[inline]
    fn finish(&mut self, out: &mut Vec<u8>) -> usize {
        let group = std::mem::take(self);
        let missing = 4 - group.length;
        let [_, bytes @ ..] = (group.bits << (6 * missing)).to_be_bytes();
        let count = usize::from(3u8.saturating_sub(missing + group.padding));
        out.extend_from_slice(bytes.get(..count).unwrap_or_default());
        count
    }
}

/// Groups of four, one or two `=` at the end only, and no bits that make no byte.
fn is_canonical(input: &[u8]) -> bool {
    let value = |byte: &u8| VALUES.get(usize::from(*byte)).copied().unwrap_or(BAD);
    let (groups, rest) = input.as_chunks::<4>();
    let Some((last, others)) = groups.split_last() else { return false };
    let last_is_canonical = match last.each_ref().map(value) {
        [a, b, PAD, PAD] => a < PAD && b < PAD && b & 0xf == 0,
        [a, b, c, PAD] => a < PAD && b < PAD && c < PAD && c & 3 == 0,
        values => values.iter().all(|value| *value < PAD),
    };
    rest.is_empty()
        && last_is_canonical
        && others.as_flattened().iter().all(|byte| value(byte) < PAD)
}

/// `from_base64: [bytes N][, offset N][, mode rfc4648|rfc2045|strict]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FromBase64 {
    /// Length of the part that is decoded; 0: all.
    bytes: u16,
    offset: u16,
    mode: Mode,
}

impl FromBase64 {
    pub(super) fn read(keyword: &Use<'_>) -> Result<Self, Fault> {
        let (mut bytes, mut offset, mut mode) = (None, None, None);
        for setting in settings(keyword) {
            let twice = match setting {
                (Word { text: "bytes", .. }, value) => {
                    bytes.replace(value.number(0, u16::MAX)?).is_some()
                }
                (Word { text: "offset", .. }, value) => {
                    offset.replace(value.number(0, u16::MAX)?).is_some()
                }
                (Word { text: "mode", .. }, value) => mode
                    .replace(match value.text {
                        "rfc4648" => Mode::Rfc4648,
                        "rfc2045" => Mode::Rfc2045,
                        "strict" => Mode::Strict,
                        _ => return Err(value.bad("modes are `rfc4648`, `rfc2045` and `strict`")),
                    })
                    .is_some(),
                (name, _) => {
                    return Err(name.bad("settings are `bytes`, `offset` and `mode`"));
                }
            };
            if twice {
                return Err(setting.0.bad(format!("`{}` stands here twice", setting.0.text)));
            }
        }
        Ok(Self {
            bytes: bytes.unwrap_or_default(),
            offset: offset.unwrap_or_default(),
            mode: mode.unwrap_or_default(),
        })
    }

    /// Where the buffer is too short for `offset` and `bytes`, Suricata 8 leaves it as it is. That would
    /// be to look for what was decoded in what was not: here there is no buffer then.
    pub(super) fn apply(self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Failed> {
        let part = input.get(usize::from(self.offset)..).and_then(|part| match self.bytes {
            0 => Some(part),
            bytes => part.get(..usize::from(bytes)),
        });
        decode(self.mode, part.ok_or(Failed::NotBase64)?, out);
        if out.is_empty() { Err(Failed::NotBase64) } else { Ok(()) }
    }
}

/// `base64_decode: [bytes N][, offset N][, relative]`: decodes by RFC 4648 for `base64_data`.
///
/// Suricata takes the settings in this order only, and silently leaves out what comes later; here any
/// order is honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Base64Decode {
    /// Most characters that are decoded.
    pub bytes: u16,
    /// Bytes that are skipped first.
    pub offset: u32,
    /// Counts from the end of the last match.
    pub relative: bool,
}

impl Base64Decode {
    /// Reads the value.
    pub fn read(keyword: &Use<'_>) -> Result<Self, Fault> {
        let (mut bytes, mut offset, mut relative) = (None, None, false);
        for (name, value) in settings(keyword) {
            let twice = match name.text {
                "bytes" => bytes.replace(value.number(0, u16::MAX)?).is_some(),
                "offset" => offset.replace(value.number(0, u32::MAX)?).is_some(),
                "relative" if value.text.is_empty() => std::mem::replace(&mut relative, true),
                "relative" => return Err(value.bad("`relative` takes no number")),
                _ => return Err(name.bad("settings are `bytes`, `offset` and `relative`")),
            };
            if twice {
                return Err(name.bad(format!("`{}` stands here twice", name.text)));
            }
        }
        Ok(Self {
            // As in Suricata, 0 is as good as nothing.
            bytes: bytes.filter(|bytes| *bytes > 0).unwrap_or(u16::MAX),
            offset: offset.unwrap_or_default(),
            relative,
        })
    }

    /// Puts what `buffer` decodes to into `out`, at most 49,152 bytes. `cursor` is the end of the last
    /// match. Whether there is anything: without, the rule does not match.
    pub fn decode(&self, buffer: &[u8], cursor: usize, out: &mut Vec<u8>) -> bool {
        out.clear();
        let start = if self.relative { cursor } else { 0 }.saturating_add(self.offset as usize);
        let part = buffer.get(start..).unwrap_or_default();
        decode(Mode::Rfc4648, part.get(..usize::from(self.bytes)).unwrap_or(part), out);
        !out.is_empty()
    }
}

/// The settings between commas: a name, and what follows it.
fn settings<'a>(keyword: &Use<'a>) -> impl Iterator<Item = (Word<'a>, Word<'a>)> {
    keyword.value.into_iter().flat_map(|value| value.split(',')).map(|part| {
        let end = part.text.find(char::is_whitespace).unwrap_or(part.text.len());
        let (name, rest) = part.text.split_at(end);
        let rest = Word { text: rest, start: part.start + end };
        (Word { text: name, ..part }, rest.trim())
    })
}
