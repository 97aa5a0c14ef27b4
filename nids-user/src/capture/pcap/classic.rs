//! Classic pcap (draft-ietf-opsawg-pcap): one header, then records of a length and that many bytes.

use super::buffer::Buffer;
use super::{MAX_FRAME, Order, PcapError, Record, link_type};
use crate::capture::{Direction, LinkType, Timestamp};

const FILE_HEADER: usize = 24;

pub(super) struct Reader {
    order: Order,
    /// Nanoseconds in one unit of the fraction of a second.
    unit: u64,
    record_header: usize,
    link: LinkType,
}

impl Reader {
    /// The kind of file that begins so: microseconds, nanoseconds, or the longer records of an old
    /// patch to libpcap.
    pub fn by_magic(start: &[u8]) -> Option<Self> {
        let magic = *start.first_chunk::<4>()?;
        [Order::Little, Order::Big].into_iter().find_map(|order| {
            let (unit, record_header) = match order.u32(magic) {
                0xa1b2_c3d4 => (1000, 16),
                0xa1b2_3c4d => (1, 16),
                0xa1b2_cd34 => (1000, 24),
                _ => return None,
            };
            Some(Self { order, unit, record_header, link: LinkType::Ethernet })
        })
    }

    /// Reads the file's header.
    pub fn file_header(&mut self, buffer: &mut Buffer) -> Result<(), PcapError> {
        let header = buffer.peek(FILE_HEADER)?;
        let Some(number) = header.last_chunk::<4>().filter(|_| header.len() == FILE_HEADER) else {
            return Err(PcapError::NoHeader(header.len() as u64));
        };
        // The upper bits tell of a frame check sequence, which is never taken for payload.
        let number = self.order.u32(*number) & 0xffff;
        self.link = link_type(number).ok_or(PcapError::LinkType(number))?;
        buffer.consume(FILE_HEADER);
        Ok(())
    }

    #[inline]
    pub fn next(&mut self, buffer: &mut Buffer) -> Result<Option<Record>, PcapError> {
        let bytes = buffer.peek(self.record_header)?;
        let Some(header) = bytes.first_chunk::<16>().filter(|_| bytes.len() == self.record_header)
        else {
            if !bytes.is_empty() {
                buffer.note_cut();
            }
            return Ok(None);
        };
        let [s0, s1, s2, s3, f0, f1, f2, f3, c0, c1, c2, c3, w0, w1, w2, w3] = *header;
        let seconds = u64::from(self.order.u32([s0, s1, s2, s3]));
        let fraction = u64::from(self.order.u32([f0, f1, f2, f3]));
        let captured = self.order.u32([c0, c1, c2, c3]);
        let wire_len = self.order.u32([w0, w1, w2, w3]);
        if captured > MAX_FRAME {
            return Err(PcapError::FrameLength { offset: buffer.offset(), length: captured });
        }
        let length = captured as usize;
        let whole = self.record_header + length;
        if buffer.peek(whole)?.len() < whole {
            buffer.note_cut();
            return Ok(None);
        }
        let start = buffer.position() + self.record_header;
        buffer.consume(whole);
        Ok(Some(Record {
            start,
            length,
            // 32 bits each: no overflow.
            time: Timestamp(seconds * 1_000_000_000 + fraction * self.unit),
            wire_len,
            link: self.link,
            port: 0,
            direction: Direction::Ingress,
        }))
    }
}
