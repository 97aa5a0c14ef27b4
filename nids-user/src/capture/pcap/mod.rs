//! Capture files: classic pcap and pcapng, plain, gzip or zstd, from a file or standard input.
//!
//! The format is told by the first bytes, never by the name. Frames are borrowed from one read buffer;
//! nothing is allocated per packet. A file that ends within a record is read to there and noted in
//! [`PcapSource::cut_at`], as captures that were stopped hard end so; a length that cannot be true is
//! an error with its place, as nothing behind it can be trusted.
//!
//! A reader of our own, since the crate `pcap-parser` has no obsolete packet blocks, gives no position
//! with its errors, and allocates the list of options of each packet block.

mod buffer;
mod classic;
mod ng;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::{Direction, Frame, LinkType, Timestamp};
use buffer::Buffer;

/// Most bytes one frame may have captured: libpcap's limit (MAXIMUM_SNAPLEN).
pub const MAX_FRAME: u32 = 262_144;
/// Most interfaces of one pcapng section.
pub const MAX_INTERFACES: usize = 65_536;

/// Why a capture file cannot be read (further). Offsets count bytes from the start, behind
/// decompression.
#[derive(Debug, thiserror::Error)]
pub enum PcapError {
    /// The file cannot be opened.
    #[error("cannot open it: {0}")]
    Open(io::Error),
    /// Reading failed.
    #[error("reading failed at byte {offset}: {error}")]
    Read {
        /// Place.
        offset: u64,
        /// Cause.
        error: io::Error,
    },
    /// The compressed data are damaged.
    #[error("the compressed data are damaged, after {offset} good bytes: {error}")]
    Compression {
        /// Place.
        offset: u64,
        /// Cause.
        error: io::Error,
    },
    /// Neither pcap nor pcapng.
    #[error("it is no capture file: it begins with {0:02x?}, which neither pcap nor pcapng does")]
    NoCapture(Vec<u8>),
    /// It has the first bytes of a capture file, and no more.
    #[error("it ends within its header, at byte {0}")]
    NoHeader(u64),
    /// A link type this sensor cannot decode.
    #[error("its link type is {0} (see tcpdump.org/linktypes.html), which cannot be decoded")]
    LinkType(u32),
    /// A frame that is longer than any can be.
    #[error("the frame at byte {offset} says it has {length} bytes; {MAX_FRAME} is the most")]
    FrameLength {
        /// Place of the record.
        offset: u64,
        /// What it says.
        length: u32,
    },
    /// A block of pcapng that contradicts itself.
    #[error("the block at byte {offset} is damaged: {reason}")]
    Block {
        /// Place of the block.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
}

impl PcapError {
    /// Whether the file is a capture, and good up to the place of the error.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Compression { .. } | Self::FrameLength { .. } | Self::Block { .. } => true,
            Self::Open(_)
            | Self::Read { .. }
            | Self::NoCapture(_)
            | Self::NoHeader(_)
            | Self::LinkType(_) => false,
        }
    }
}

/// One record: where its bytes are in the buffer, and what the file says of them.
struct Record {
    start: usize,
    length: usize,
    time: Timestamp,
    wire_len: u32,
    link: LinkType,
    port: u16,
    direction: Direction,
}

enum Format {
    Classic(classic::Reader),
    Ng(ng::Reader),
}

/// A capture file, read from its beginning to its end.
pub struct PcapSource {
    buffer: Buffer,
    format: Format,
    number: u64,
}

impl PcapSource {
    /// Opens a file, or standard input for `-`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PcapError> {
        let path = path.as_ref();
        if path.as_os_str() == "-" {
            return Self::from_reader(io::stdin());
        }
        let file = File::open(path).map_err(PcapError::Open)?;
        if file.metadata().map_err(PcapError::Open)?.is_dir() {
            return Err(PcapError::Open(io::ErrorKind::IsADirectory.into()));
        }
        Self::from_reader(file)
    }

    /// Reads a capture from anything. `reader` need not be buffered.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Result<Self, PcapError> {
        let mut buffer = Buffer::open(Box::new(reader))?;
        let start = buffer.peek(4)?;
        let format = if start.starts_with(&ng::MAGIC) {
            Format::Ng(ng::Reader::new())
        } else if let Some(reader) = classic::Reader::by_magic(start) {
            Format::Classic(reader)
        } else {
            return Err(PcapError::NoCapture(start.to_vec()));
        };
        let mut source = Self { buffer, format, number: 0 };
        if let Format::Classic(reader) = &mut source.format {
            reader.file_header(&mut source.buffer)?;
        }
        Ok(source)
    }

    /// The next frame; `None` at the end.
    #[expect(clippy::should_implement_trait, reason = "the frame borrows from the source")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, PcapError> {
        let record = match &mut self.format {
            Format::Classic(reader) => reader.next(&mut self.buffer)?,
            Format::Ng(reader) => reader.next(&mut self.buffer)?,
        };
        let Some(record) = record else { return Ok(None) };
        self.number += 1;
        Ok(Some(Frame {
            time: record.time,
            link: record.link,
            data: self.buffer.bytes(record.start, record.length),
            wire_len: record.wire_len.max(record.length as u32),
            port: record.port,
            direction: record.direction,
            vlan_offload: None,
            number: self.number + self.skipped_link_type(),
        }))
    }

    /// Frames passed over so far, as their interface has a link type that cannot be decoded.
    pub fn skipped_link_type(&self) -> u64 {
        match &self.format {
            Format::Classic(_) => 0,
            Format::Ng(reader) => reader.skipped_link_type,
        }
    }

    /// Where the file ended within a record, if it did.
    pub fn cut_at(&self) -> Option<u64> {
        self.buffer.cut_at()
    }
}

/// The link type with this number.
fn link_type(number: u32) -> Option<LinkType> {
    Some(match number {
        0 | 108 => LinkType::Null,
        1 => LinkType::Ethernet,
        9 | 50 => LinkType::Ppp,
        12 | 14 | 101 | 228 | 229 | 778 => LinkType::RawIp,
        104 => LinkType::Chdlc,
        113 => LinkType::LinuxSll,
        276 => LinkType::LinuxSll2,
        _ => return None,
    })
}

/// Byte order of a file or section.
#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    #[inline]
    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }
    #[inline]
    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }
    #[inline]
    fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }
}
