//! Codings of bodies (RFC 9110, 8.4): gzip, deflate, Brotli, one around the other, undone as far as there is
//! anything to be undone.
//!
//! A body is undone as a whole when it is shown to rules, so that no flow holds the state of a decoder. What comes
//! out is bounded: what is kept by the limit of bodies, what is looked at by the bomb limit.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};

/// One coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`, `x-gzip`.
    Gzip,
    /// `deflate`, `x-deflate`.
    Deflate,
    /// `br`.
    Brotli,
}

/// Codings around a body, in the order in which they are undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codings {
    /// Which.
    pub list: Vec<Coding>,
    /// There are more than may be.
    pub too_many: bool,
    /// One has a name that is not known, or not quite.
    pub abnormal: bool,
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

impl Codings {
    /// Reads `Content-Encoding`.
    pub fn read(value: &[u8], most: u8) -> Self {
        let mut codings = Self::default();
        let value: Vec<u8> = value.iter().copied().filter(|byte| *byte != 0).collect();
        let tokens = value.split(|byte| matches!(byte, b',' | b' ' | b'\t'));
        for token in tokens.filter(|token| !token.is_empty()) {
            if codings.list.len() >= usize::from(most) && most > 0 {
                codings.too_many = true;
                break;
            }
            let is = |names: &[&[u8]]| names.iter().any(|name| token.eq_ignore_ascii_case(name));
            if contains(token, b"gzip") {
                codings.abnormal |= !is(&[b"gzip", b"x-gzip"]);
                codings.list.push(Coding::Gzip);
            } else if contains(token, b"deflate") {
                codings.abnormal |= !is(&[b"deflate", b"x-deflate"]);
                codings.list.push(Coding::Deflate);
            } else if is(&[b"br"]) {
                codings.list.push(Coding::Brotli);
            } else {
                codings.abnormal |= !is(&[b"identity", b"inflate", b"lzma"]);
            }
        }
        codings
    }
}

/// What came of undoing codings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// The data is damaged: what came out until there was kept.
    pub damaged: bool,
    /// Far more came out than went in.
    pub bomb: bool,
    /// It goes on beyond what is kept.
    pub cut: bool,
}

/// Bounds of what comes out.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// Bytes that are kept.
    pub kept: usize,
    /// Bytes that are looked at.
    pub looked_at: usize,
}

/// Bytes that come out for each that goes in, from which on it is a bomb: more than any real content, less
/// than DEFLATE can do.
const BOMB_RATIO: usize = 512;

/// Undoes codings. `whole`: nothing more comes.
pub fn undo(codings: &[Coding], input: &[u8], most: Most, out: &mut Vec<u8>) -> Undone {
    let mut undone = Undone::default();
    out.clear();
    out.extend_from_slice(input);
    for coding in codings {
        let layer = std::mem::take(out);
        let mut sink = Sink { out, total: 0, taken: 0, most };
        let sound = match coding {
            Coding::Gzip | Coding::Deflate => inflate_any(*coding, &layer, &mut sink),
            Coding::Brotli => brotli(&layer, &mut sink),
        };
        let (total, taken) = (sink.total, sink.taken);
        undone.damaged |= !sound;
        undone.cut |= total > most.kept;
        undone.bomb |= total >= most.looked_at && total / BOMB_RATIO > taken;
        if !sound && total == 0 {
            // It is none of what it is said to be: shown as it is.
            *out = layer;
        }
    }
    undone
}

/// Takes what comes out, and keeps a part.
struct Sink<'a> {
    out: &'a mut Vec<u8>,
    total: usize,
    /// Bytes that this was made of.
    taken: usize,
    most: Most,
}

impl Sink<'_> {
    fn push(&mut self, bytes: &[u8]) {
        let room = self.most.kept.saturating_sub(self.out.len());
        self.out.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.total += bytes.len();
    }
    fn is_full(&self) -> bool {
        self.total >= self.most.looked_at
    }
}

/// Containers of DEFLATE data.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Gzip,
    Zlib,
    Raw,
}

/// Servers mean one container and say another: what the data looks like counts.
fn inflate_any(coding: Coding, input: &[u8], sink: &mut Sink<'_>) -> bool {
    let zlib = matches!(input, [method, flags, ..]
        if method & 15 == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0);
    let first = match (input, coding) {
        ([0x1f, 0x8b, ..], _) => Container::Gzip,
        _ if zlib => Container::Zlib,
        (_, Coding::Gzip) => Container::Gzip,
        _ => Container::Raw,
    };
    let others = [Container::Raw, Container::Zlib].into_iter().filter(|other| *other != first);
    for container in std::iter::once(first).chain(others) {
        let sound = match container {
            Container::Gzip => gunzip(input, sink),
            Container::Zlib => inflate(input, true, sink).is_some(),
            Container::Raw => inflate(input, false, sink).is_some(),
        };
        // What has given something is what it was, if that was not just a guess.
        if sink.total > 0 && (sound || container == first) {
            return sound;
        }
        sink.out.clear();
        sink.total = 0;
    }
    input.is_empty()
}

/// Members of a gzip file, one behind the other (RFC 1952).
fn gunzip(input: &[u8], sink: &mut Sink<'_>) -> bool {
    let mut rest = input;
    let mut members = 0;
    while let Some(body) = gzip_body(rest) {
        members += 1;
        let Some(behind) = inflate(body, false, sink) else { return false };
        // Checksum and length.
        rest = behind.get(8..).unwrap_or_default();
        if sink.is_full() || !rest.starts_with(&[0x1f, 0x8b]) {
            break;
        }
    }
    members > 0
}

/// What follows the header of a gzip member.
fn gzip_body(input: &[u8]) -> Option<&[u8]> {
    const HEADER_CRC: u8 = 1 << 1;
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;
    let (fixed, mut rest) = input.split_at_checked(10)?;
    let [0x1f, 0x8b, _, flags, ..] = fixed else { return None };
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
    if flags & HEADER_CRC != 0 { rest.get(2..) } else { Some(rest) }
}

const STEP: usize = 16 << 10;

/// Unpacks DEFLATE data; gives what follows it. `None`: it is damaged.
fn inflate<'a>(input: &'a [u8], zlib: bool, sink: &mut Sink<'_>) -> Option<&'a [u8]> {
    let mut state = Decompress::new(zlib);
    let mut room = Vec::with_capacity(STEP);
    loop {
        let before = state.total_in();
        let rest = input.get(usize::try_from(before).ok()?..)?;
        room.clear();
        let status = state.decompress_vec(rest, &mut room, FlushDecompress::None);
        sink.push(&room);
        let taken = usize::try_from(state.total_in()).ok()?;
        sink.taken = taken;
        let behind = input.get(taken..)?;
        match status.ok()? {
            Status::StreamEnd => return Some(behind),
            // It ends early.
            _ if state.total_in() == before && room.is_empty() => return Some(behind),
            _ if sink.is_full() => return Some(&[]),
            _ => {}
        }
    }
}

/// Unpacks Brotli (RFC 7932). False: it is damaged.
fn brotli(input: &[u8], sink: &mut Sink<'_>) -> bool {
    let alloc = StandardAlloc::default;
    let mut state = BrotliState::new(alloc(), alloc(), alloc());
    let mut room = vec![0; STEP];
    let (mut left, mut offset, mut total) = (input.len(), 0, 0);
    loop {
        let (mut space, mut written) = (room.len(), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut offset,
            input,
            &mut space,
            &mut written,
            &mut room,
            &mut total,
            &mut state,
        );
        sink.push(room.get(..written).unwrap_or_default());
        sink.taken = offset;
        match result {
            BrotliResult::ResultSuccess => return true,
            BrotliResult::ResultFailure => return false,
            // It ends early.
            BrotliResult::NeedsMoreInput => return true,
            BrotliResult::NeedsMoreOutput if sink.is_full() => return true,
            BrotliResult::NeedsMoreOutput => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const MOST: Most = Most { kept: 1000, looked_at: 1 << 20 };

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = GzEncoder::new(Vec::new(), Compression::best());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn whatever_container_it_is() {
        let text = b"some text, some text, some text".as_slice();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::best());
        raw.write_all(text).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(text).unwrap();
        for packed in [gzip(text), raw.finish().unwrap(), zlib.finish().unwrap()] {
            for coding in [Coding::Gzip, Coding::Deflate] {
                let mut out = Vec::new();
                let undone = undo(&[coding], &packed, MOST, &mut out);
                assert_eq!((out.as_slice(), undone), (text, Undone::default()), "{coding:?}");
            }
        }
        let mut out = Vec::new();
        undo(&[Coding::Gzip, Coding::Gzip], &gzip(&gzip(text)), MOST, &mut out);
        assert_eq!(out, text);
        let two = [gzip(b"one "), gzip(b"two")].concat();
        undo(&[Coding::Gzip], &two, MOST, &mut out);
        assert_eq!(out, b"one two");
        let brotli = [0x8f, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', b'!', 0x03];
        undo(&[Coding::Brotli], &brotli, MOST, &mut out);
        assert_eq!(out, b"hello!");
    }

    #[test]
    fn what_is_damaged_is_shown_as_far_as_it_goes() {
        let mut out = Vec::new();
        let undone = undo(&[Coding::Gzip], b"plain text", MOST, &mut out);
        assert!(undone.damaged);
        assert_eq!(out, b"plain text");
        let text: String = (0..200).map(|n| format!("{n} ")).collect();
        let packed = gzip(text.as_bytes());
        undo(&[Coding::Gzip], &packed[..packed.len() / 2], MOST, &mut out);
        assert!(out.len() > 100 && text.as_bytes().starts_with(&out));
    }

    #[test]
    fn bombs_are_bounded() {
        let packed = gzip(&vec![0; 8 << 20]);
        let mut out = Vec::new();
        let undone = undo(&[Coding::Gzip], &packed, MOST, &mut out);
        assert!(undone.bomb && undone.cut);
        assert_eq!(out.len(), 1000);
    }

    #[test]
    fn names_of_codings() {
        let read = |text: &str| Codings::read(text.as_bytes(), 2);
        assert_eq!(read("gzip").list, [Coding::Gzip]);
        assert_eq!(read("x-gzip, br").list, [Coding::Gzip, Coding::Brotli]);
        assert!(read("gzipx").abnormal && read("foo").abnormal);
        assert!(read("gzip,gzip,gzip").too_many);
        assert_eq!(read("identity"), Codings::default());
    }
}
