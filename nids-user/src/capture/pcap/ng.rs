//! pcapng (draft-ietf-opsawg-pcapng): sections of blocks, each with its length before and behind it.
//!
//! Read are section headers, interfaces, and the three kinds of packet block. Names, statistics,
//! secrets and blocks of private kinds are passed over.

use super::buffer::Buffer;
use super::{MAX_FRAME, MAX_INTERFACES, Order, PcapError, Record, link_type};
use crate::capture::{Direction, LinkType, Timestamp};

/// First bytes, the same in both byte orders.
pub(super) const MAGIC: [u8; 4] = SECTION.to_be_bytes();

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Type and length.
const BLOCK_HEADER: usize = 8;
/// Longest block that is looked at as a whole: a frame, and some options.
const MAX_BLOCK: u32 = MAX_FRAME + 4096;

pub(super) struct Reader {
    order: Order,
    interfaces: Vec<Interface>,
    pub skipped_link_type: u64,
}

/// What a packet's interface says of it.
#[derive(Clone, Copy)]
struct Interface {
    link: Option<LinkType>,
    snap_length: u32,
    resolution: Resolution,
    /// Seconds to add to each time.
    offset: i64,
}

/// Unit of time: a power of ten or of two, of a second.
#[derive(Clone, Copy)]
enum Resolution {
    Decimal(u8),
    Binary(u8),
}

impl Resolution {
    #[inline]
    fn nanoseconds(self, units: u64) -> u64 {
        match self {
            Self::Decimal(6) => units.saturating_mul(1000),
            Self::Decimal(digits @ 0..=9) => {
                units.saturating_mul(10_u64.pow(9 - u32::from(digits)))
            }
            Self::Decimal(digits) => {
                10_u64.checked_pow(u32::from(digits) - 9).map_or(0, |divisor| units / divisor)
            }
            Self::Binary(bits) => {
                let scaled = u128::from(units) * 1_000_000_000;
                u64::try_from(scaled.checked_shr(u32::from(bits)).unwrap_or(0)).unwrap_or(u64::MAX)
            }
        }
    }
}

impl Interface {
    #[inline]
    fn time(&self, high: u32, low: u32) -> Timestamp {
        let time = self.resolution.nanoseconds(u64::from(high) << 32 | u64::from(low));
        let offset = self.offset.unsigned_abs().saturating_mul(1_000_000_000);
        Timestamp(match self.offset {
            0 => time,
            1.. => time.saturating_add(offset),
            _ => time.saturating_sub(offset),
        })
    }
}

/// What one packet block holds, with the place of its bytes inside the block.
struct Packet {
    interface: u32,
    time: Option<(u32, u32)>,
    captured: u32,
    wire_len: u32,
    data_at: usize,
}

impl Reader {
    pub fn new() -> Self {
        Self { order: Order::Little, interfaces: Vec::new(), skipped_link_type: 0 }
    }

    #[inline]
    pub fn next(&mut self, buffer: &mut Buffer) -> Result<Option<Record>, PcapError> {
        loop {
            let offset = buffer.offset();
            let bytes = buffer.peek(BLOCK_HEADER + 4)?;
            let Some([kind @ .., l0, l1, l2, l3, b0, b1, b2, b3]) = bytes.first_chunk::<12>()
            else {
                if !bytes.is_empty() {
                    buffer.note_cut();
                }
                return Ok(None);
            };
            let (length, fourth) = ([*l0, *l1, *l2, *l3], [*b0, *b1, *b2, *b3]);
            if *kind == MAGIC {
                // The byte order is told behind the length.
                self.order = match fourth {
                    [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
                    [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
                    _ => return Err(PcapError::Block { offset, reason: "no byte order" }),
                };
                self.interfaces.clear();
            }
            let kind = self.order.u32(*kind);
            let length = self.order.u32(length);
            if length < 12 || !length.is_multiple_of(4) {
                let reason = "its length is below 12, or no multiple of 4";
                return Err(PcapError::Block { offset, reason });
            }
            let wanted = matches!(
                kind,
                SECTION | INTERFACE | OBSOLETE_PACKET | SIMPLE_PACKET | ENHANCED_PACKET
            );
            if !wanted {
                buffer.skip(u64::from(length))?;
                continue;
            }
            if length > MAX_BLOCK {
                return Err(PcapError::Block { offset, reason: "it is longer than any can be" });
            }
            let length = length as usize;
            let block = buffer.peek(length)?;
            if block.len() < length {
                buffer.note_cut();
                return Ok(None);
            }
            if block.last_chunk::<4>().map(|again| self.order.u32(*again) as usize) != Some(length)
            {
                return Err(PcapError::Block { offset, reason: "its two lengths differ" });
            }
            let body = block.get(BLOCK_HEADER..length - 4).unwrap_or_default();
            let record = match kind {
                SECTION => None,
                INTERFACE => {
                    self.interface(body, offset)?;
                    None
                }
                _ => self.packet(kind, body, offset)?,
            };
            let at = buffer.position() + BLOCK_HEADER;
            buffer.consume(length);
            if let Some(record) = record {
                return Ok(Some(Record { start: at + record.start, ..record }));
            }
        }
    }

    fn interface(&mut self, body: &[u8], offset: u64) -> Result<(), PcapError> {
        let Some((&[t0, t1, _, _, s0, s1, s2, s3], options)) = body.split_first_chunk::<8>() else {
            return Err(PcapError::Block { offset, reason: "an interface without link type" });
        };
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(PcapError::Block { offset, reason: "more interfaces than 65536" });
        }
        let mut interface = Interface {
            link: link_type(u32::from(self.order.u16([t0, t1]))),
            snap_length: self.order.u32([s0, s1, s2, s3]),
            resolution: Resolution::Decimal(6),
            offset: 0,
        };
        for (code, value) in (Options { order: self.order, rest: options }) {
            match (code, value) {
                (IF_TSRESOL, [bits]) if bits & 0x80 != 0 => {
                    interface.resolution = Resolution::Binary(bits & 0x7f);
                }
                (IF_TSRESOL, [digits]) => interface.resolution = Resolution::Decimal(*digits),
                (IF_TSOFFSET, value) => {
                    if let Some(seconds) = value.first_chunk::<8>() {
                        interface.offset = self.order.u64(*seconds).cast_signed();
                    }
                }
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Ok(())
    }

    /// The packet in this block, its place counted from the start of `body`; `None` where its link
    /// type cannot be decoded.
    #[inline]
    fn packet(&mut self, kind: u32, body: &[u8], offset: u64) -> Result<Option<Record>, PcapError> {
        let short = PcapError::Block { offset, reason: "it is too short for a packet" };
        let Some(packet) = self.fields(kind, body) else { return Err(short) };
        if packet.captured > MAX_FRAME {
            return Err(PcapError::FrameLength { offset, length: packet.captured });
        }
        let Some(interface) = self.interfaces.get(packet.interface as usize).copied() else {
            return Err(PcapError::Block {
                offset,
                reason: "a packet of an interface not described",
            });
        };
        let Some(rest) = body.get(packet.data_at + packet.captured as usize..) else {
            return Err(PcapError::Block { offset, reason: "its packet is longer than the block" });
        };
        let Some(link) = interface.link else {
            self.skipped_link_type += 1;
            return Ok(None);
        };
        let mut direction = Direction::Ingress;
        if kind != SIMPLE_PACKET {
            // The data are padded to four bytes.
            let padding = (4 - packet.captured as usize % 4) % 4;
            let options = rest.get(padding..).unwrap_or_default();
            for (code, value) in (Options { order: self.order, rest: options }) {
                if let (EPB_FLAGS, Some(flags)) = (code, value.first_chunk::<4>())
                    && self.order.u32(*flags) & 3 == OUTBOUND
                {
                    direction = Direction::Egress;
                }
            }
        }
        Ok(Some(Record {
            start: packet.data_at,
            length: packet.captured as usize,
            time: packet.time.map_or(Timestamp(0), |(high, low)| interface.time(high, low)),
            wire_len: packet.wire_len,
            link,
            port: packet.interface as u16,
            direction,
        }))
    }

    #[inline]
    fn fields(&self, kind: u32, body: &[u8]) -> Option<Packet> {
        let word = |at: usize| Some(self.order.u32(*body.get(at..)?.first_chunk::<4>()?));
        Some(match kind {
            ENHANCED_PACKET => Packet {
                interface: word(0)?,
                time: Some((word(4)?, word(8)?)),
                captured: word(12)?,
                wire_len: word(16)?,
                data_at: 20,
            },
            OBSOLETE_PACKET => Packet {
                interface: u32::from(self.order.u16(*body.first_chunk::<2>()?)),
                time: Some((word(4)?, word(8)?)),
                captured: word(12)?,
                wire_len: word(16)?,
                data_at: 20,
            },
            _ => {
                let wire_len = word(0)?;
                let snap_length = self.interfaces.first().map_or(0, |first| first.snap_length);
                let limit = if snap_length == 0 { u32::MAX } else { snap_length };
                Packet {
                    interface: 0,
                    time: None,
                    captured: wire_len.min(limit).min(body.len() as u32 - 4),
                    wire_len,
                    data_at: 4,
                }
            }
        })
    }
}

const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;
const EPB_FLAGS: u16 = 2;
/// Lowest two bits of `epb_flags`.
const OUTBOUND: u32 = 2;

/// The options of a block; ends where they are cut.
struct Options<'a> {
    order: Order,
    rest: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[c0, c1, l0, l1], rest) = self.rest.split_first_chunk::<4>()?;
        let code = self.order.u16([c0, c1]);
        let length = usize::from(self.order.u16([l0, l1]));
        let value = rest.get(..length).filter(|_| code != 0)?;
        self.rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    }
}
