//! Records and handshake messages of one direction (RFC 8446, 5.1 and 4).
//!
//! A record is taken as it comes: only a handshake message that is not whole yet is kept, up to
//! [`MAX_MESSAGE`]. What is encrypted is skipped, not kept.

use super::event::Event;
use super::hello::Reader;

/// Bytes of a handshake message that are kept: chains of certificates are the longest.
pub const MAX_MESSAGE: usize = 128 << 10;
/// Bytes that a record may have: 2^14 and what encryption adds (RFC 5246, 6.2.3), and some for the careless.
const MAX_RECORD: usize = (1 << 14) + 2048;

/// Types of records.
pub(super) mod kind {
    pub const CHANGE_CIPHER: u8 = 20;
    pub const HANDSHAKE: u8 = 22;
    pub const DATA: u8 = 23;
    pub const HEARTBEAT: u8 = 24;
}

/// What a direction brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A record begins: its type and version.
    Record(u8, u16),
    /// A handshake message: its type and body.
    Handshake(u8, &'a [u8]),
    /// A handshake message that is longer than what is kept.
    TooLong(u8),
    /// A heartbeat record: what is at hand of it, and its length. Encrypted ones too.
    Heartbeat(&'a [u8], usize),
    /// The hello of SSL 2.0.
    HelloV2(&'a [u8]),
    /// Something odd.
    Odd(Event),
}

/// The record layer of one direction.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Header of a record that is not whole yet; of SSL 2.0 and heartbeats the whole record.
    header: Vec<u8>,
    /// Bytes that the record at hand still has.
    left: usize,
    kind: u8,
    /// A handshake message that is not whole yet.
    message: Vec<u8>,
    /// Bytes of a message that are skipped, since it is too long.
    skip: usize,
    /// Handshake records are encrypted from here on.
    pub encrypted: bool,
    /// No record was seen yet.
    started: bool,
    v2: bool,
}

/// The stream is no TLS any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost;

impl Records {
    /// Bytes that it keeps.
    pub fn memory(&self) -> usize {
        self.header.capacity() + self.message.capacity()
    }

    /// Takes bytes and tells of what is in them.
    pub fn take(
        &mut self,
        mut bytes: &[u8],
        tell: &mut impl FnMut(&mut bool, Item<'_>),
    ) -> Result<(), Lost> {
        while !bytes.is_empty() {
            if self.left == 0 && !self.v2 {
                bytes = self.begin(bytes, tell)?;
                continue;
            }
            let count = self.left.min(bytes.len());
            let Some((part, rest)) = bytes.split_at_checked(count) else { return Ok(()) };
            self.left -= count;
            bytes = rest;
            match self.kind {
                _ if self.v2 => {
                    self.header.extend_from_slice(part);
                    if self.left == 0 {
                        let hello = std::mem::take(&mut self.header);
                        self.v2 = false;
                        tell(&mut self.encrypted, Item::HelloV2(&hello));
                    }
                }
                kind::HANDSHAKE if !self.encrypted => self.handshake(part, tell),
                kind::HEARTBEAT => {
                    // Of a heartbeat the lengths matter, which come first.
                    let missing = 8_usize.saturating_sub(self.message.len()).min(part.len());
                    self.message.extend_from_slice(part.get(..missing).unwrap_or_default());
                    if self.left == 0 {
                        let begin = std::mem::take(&mut self.message);
                        let length = self.skip;
                        self.skip = 0;
                        tell(&mut self.encrypted, Item::Heartbeat(&begin, length));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The header of a record.
    fn begin<'b>(
        &mut self,
        bytes: &'b [u8],
        tell: &mut impl FnMut(&mut bool, Item<'_>),
    ) -> Result<&'b [u8], Lost> {
        let missing = 5_usize.saturating_sub(self.header.len()).min(bytes.len());
        let Some((part, rest)) = bytes.split_at_checked(missing) else { return Ok(&[]) };
        self.header.extend_from_slice(part);
        let [kind, major, minor, high, low] = *self.header.as_slice() else { return Ok(rest) };
        let first = !std::mem::replace(&mut self.started, true);
        let version = u16::from_be_bytes([major, minor]);
        if first && kind & 0x80 != 0 && minor == 1 {
            // SSL 2.0: two bytes of length, then the message; two of its bytes are here already.
            let length = usize::from(kind & 0x7f) << 8 | usize::from(major);
            if length < 9 {
                tell(&mut self.encrypted, Item::Odd(Event::InvalidSslv2Header));
                return Err(Lost);
            }
            self.header = vec![high, low];
            self.v2 = true;
            self.left = length.saturating_sub(3);
            return Ok(rest);
        }
        self.header.clear();
        if !(kind::CHANGE_CIPHER..=kind::HEARTBEAT).contains(&kind) {
            tell(&mut self.encrypted, Item::Odd(Event::InvalidRecordType));
            return Err(Lost);
        }
        if major != 3 || minor > 4 {
            tell(&mut self.encrypted, Item::Odd(Event::InvalidRecordVersion));
            return Err(Lost);
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > MAX_RECORD || (length == 0 && kind != kind::DATA) {
            tell(&mut self.encrypted, Item::Odd(Event::InvalidRecordLength));
            if length > MAX_RECORD {
                return Err(Lost);
            }
        }
        self.kind = kind;
        self.left = length;
        if kind == kind::HEARTBEAT {
            self.message.clear();
            self.skip = length;
        }
        tell(&mut self.encrypted, Item::Record(kind, version));
        Ok(rest)
    }

    /// Bytes of handshake messages, which records cut as they like.
    fn handshake(&mut self, mut bytes: &[u8], tell: &mut impl FnMut(&mut bool, Item<'_>)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let count = self.skip.min(bytes.len());
                self.skip -= count;
                bytes = bytes.get(count..).unwrap_or_default();
                continue;
            }
            // Whole in this record: no copy.
            if self.message.is_empty()
                && let Some((kind, body, rest)) = whole(bytes)
            {
                tell(&mut self.encrypted, Item::Handshake(kind, body));
                bytes = rest;
                continue;
            }
            let length = Reader(self.message.get(1..).unwrap_or_default()).u24();
            let wanted = 4 + length.unwrap_or(0);
            if let (Some(length), Some(kind)) = (length, self.message.first())
                && length > MAX_MESSAGE
            {
                tell(&mut self.encrypted, Item::TooLong(*kind));
                self.message.clear();
                self.skip = length;
                continue;
            }
            let missing = wanted.saturating_sub(self.message.len()).min(bytes.len());
            self.message.extend_from_slice(bytes.get(..missing).unwrap_or_default());
            bytes = bytes.get(missing..).unwrap_or_default();
            if let Some((kind, body, _)) = whole(&self.message) {
                tell(&mut self.encrypted, Item::Handshake(kind, body));
                self.message = Vec::new();
            }
        }
    }

    /// Bytes are missing. They are skipped where they lie inside of a record whose inside is not read; true
    /// where that is so.
    pub fn gap(&mut self, length: u64) -> bool {
        let skipped = usize::try_from(length).ok().and_then(|length| self.left.checked_sub(length));
        let read = self.v2 || (self.kind == kind::HANDSHAKE && !self.encrypted);
        match skipped {
            Some(left) if !read => {
                self.left = left;
                true
            }
            _ => false,
        }
    }
}

/// A whole message: its type, its body, what follows.
fn whole(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let mut reader = Reader(bytes);
    let kind = reader.u8()?;
    let length = reader.u24()?;
    let body = reader.take(length)?;
    Some((kind, body, reader.0))
}
