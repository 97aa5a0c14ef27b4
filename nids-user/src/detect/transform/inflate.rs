//! `gunzip` (RFC 1952) and `zlib_deflate` (RFC 1950), with `max-size` (Suricata's development version).
//!
//! What goes beyond `max-size` is cut off. Data that is damaged or ends early gives an empty buffer, as
//! in Suricata. DEFLATE cannot make more than 1,032 bytes of one, so that work is bounded by the input
//! too.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::detect::keyword::value::{Fault, Use, Word};

/// `max-size` where none is written, in bytes.
const DEFAULT_SIZE: u32 = 1024;
/// Largest `max-size`, in bytes.
const LARGEST_SIZE: u32 = 16 << 20;
/// Most that DEFLATE makes of one byte.
const RATIO: usize = 1032;
/// The output grows by this much.
const STEP: usize = 4096;

/// Container of the DEFLATE data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Format {
    Gzip,
    Zlib,
}

/// `gunzip` or `zlib_deflate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inflate {
    format: Format,
    size: u32,
}

/// State of DEFLATE: 40 kB, made when first needed.
#[derive(Debug, Default)]
pub struct Inflater(Option<Decompress>);

impl Inflate {
    pub(super) fn read(keyword: &Use<'_>) -> Result<Self, Fault> {
        let format = match keyword.name.text {
            "gunzip" => Format::Gzip,
            _ => Format::Zlib,
        };
        let size = match keyword.value {
            None => DEFAULT_SIZE,
            Some(word) => {
                let size = word.strip_prefix("max-size").filter(|size| {
                    // `max-size=1024`, and `max-size 1024` as the user guide has it.
                    size.text.starts_with('=') || size.start > word.start + "max-size".len()
                });
                let size = size.ok_or_else(|| word.bad("the only setting is `max-size`"))?;
                read_size(size.strip_prefix("=").unwrap_or(size))?
            }
        };
        Ok(Self { format, size })
    }

    pub(super) fn most(self, input: usize) -> usize {
        (self.size as usize).min(input.saturating_mul(RATIO))
    }

    pub(super) fn apply(self, input: &[u8], out: &mut Vec<u8>, inflater: &mut Inflater) {
        let whole = match self.format {
            Format::Zlib => inflater.inflate(input, true, self.size as usize, out).is_some(),
            Format::Gzip => gzip_body(input)
                .and_then(|body| {
                    let rest = inflater.inflate(body, false, self.size as usize, out)?;
                    Some(rest.is_none_or(|rest| trailer_holds(rest, out)))
                })
                .unwrap_or_default(),
        };
        if !whole {
            out.clear();
        }
    }
}

impl Inflater {
    /// Unpacks into `out` up to `size` bytes; gives what follows the data, or `Some(None)` where it was
    /// cut off, or `None` where it is damaged or ends early.
    fn inflate<'a>(
        &mut self,
        input: &'a [u8],
        zlib: bool,
        size: usize,
        out: &mut Vec<u8>,
    ) -> Option<Option<&'a [u8]>> {
        let state = self.0.get_or_insert_with(|| Decompress::new(zlib));
        state.reset(zlib);
        loop {
            let (taken, given) = (state.total_in(), out.len());
            let rest = input.get(usize::try_from(taken).ok()?..)?;
            out.reserve(STEP);
            let status = state.decompress_vec(rest, out, FlushDecompress::None).ok()?;
            if out.len() > size || (out.len() == size && status != Status::StreamEnd) {
                out.truncate(size);
                return Some(None);
            }
            match status {
                Status::StreamEnd => {
                    return input.get(usize::try_from(state.total_in()).ok()?..).map(Some);
                }
                _ if state.total_in() == taken && out.len() == given => return None,
                _ => {}
            }
        }
    }
}

/// Reads `1024`, `64kb`, `1MiB`: 1 to 16 MiB.
fn read_size(word: Word<'_>) -> Result<u32, Fault> {
    let digits = word.text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match word.text.get(digits.len()..).unwrap_or_default() {
        "" => 0,
        unit if ["kb", "kib"].iter().any(|name| name.eq_ignore_ascii_case(unit)) => 10,
        unit if ["mb", "mib"].iter().any(|name| name.eq_ignore_ascii_case(unit)) => 20,
        _ => return Err(word.bad("the units are `kb` and `mb`")),
    };
    let number = Word { text: digits, ..word }.trim();
    Ok(number.number(1, LARGEST_SIZE >> shift)? << shift)
}

/// What follows the header of a gzip member.
fn gzip_body(input: &[u8]) -> Option<&[u8]> {
    const HEADER_CRC: u8 = 1 << 1;
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;
    let (fixed, mut rest) = input.split_at_checked(10)?;
    let [0x1f, 0x8b, 8, flags, ..] = fixed else { return None };
    if flags & EXTRA != 0 {
        let (length, behind) = rest.split_first_chunk()?;
        rest = behind.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = memchr::memchr(0, rest)?;
            rest = rest.get(end + 1..)?;
        }
    }
    if flags & HEADER_CRC != 0 {
        let mut crc = Crc::new();
        crc.update(input.get(..input.len() - rest.len())?);
        let (expected, behind) = rest.split_first_chunk()?;
        if crc.sum() & 0xffff != u32::from(u16::from_le_bytes(*expected)) {
            return None;
        }
        rest = behind;
    }
    Some(rest)
}

/// Whether checksum and length behind the data are those of `out`.
fn trailer_holds(trailer: &[u8], out: &[u8]) -> bool {
    let mut crc = Crc::new();
    crc.update(out);
    match trailer.as_chunks::<4>().0 {
        [sum, length, ..] => {
            u32::from_le_bytes(*sum) == crc.sum() && u32::from_le_bytes(*length) == crc.amount()
        }
        _ => false,
    }
}
