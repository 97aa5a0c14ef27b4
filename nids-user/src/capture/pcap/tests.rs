//! Both formats in both byte orders, compression, cut and lying files, and any bytes at all.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::io::{Cursor, Write};

use proptest::prelude::*;

use super::*;

/// Frames as (time in ns, bytes, wire length, port, direction, number).
type Seen = Vec<(u64, Vec<u8>, u32, u16, Direction, u64)>;

fn read_all(bytes: Vec<u8>) -> Result<(Seen, Option<u64>, u64), PcapError> {
    // One byte at a time from the reader must make no difference.
    let slow = Trickle(Cursor::new(bytes.clone()));
    let whole = drain(PcapSource::from_reader(Cursor::new(bytes))?);
    let slow = drain(PcapSource::from_reader(slow)?);
    match (&whole, &slow) {
        (Ok(a), Ok(b)) => assert_eq!(a, b),
        (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string()),
        _ => panic!("{whole:?} {slow:?}"),
    }
    whole
}

fn drain(mut source: PcapSource) -> Result<(Seen, Option<u64>, u64), PcapError> {
    let mut out = Vec::new();
    while let Some(frame) = source.next()? {
        let Frame { time, data, wire_len, port, direction, number, .. } = frame;
        out.push((time.0, data.to_vec(), wire_len, port, direction, number));
    }
    Ok((out, source.cut_at(), source.skipped_link_type()))
}

struct Trickle(Cursor<Vec<u8>>);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(1);
        self.0.read(&mut buffer[..room])
    }
}

struct Writer {
    order: Order,
    out: Vec<u8>,
}

impl Writer {
    fn u16(&mut self, value: u16) {
        self.out.extend(match self.order {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        });
    }
    fn u32(&mut self, value: u32) {
        self.out.extend(match self.order {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        });
    }
    fn words(order: Order, values: &[u32]) -> Vec<u8> {
        let mut writer = Self { order, out: Vec::new() };
        values.iter().for_each(|value| writer.u32(*value));
        writer.out
    }
    fn classic(order: Order, magic: u32, link: u32, frames: &[(u32, u32, &[u8], u32)]) -> Vec<u8> {
        let mut writer = Self { order, out: Vec::new() };
        writer.u32(magic);
        writer.u16(2);
        writer.u16(4);
        [0, 0, MAX_FRAME, link].into_iter().for_each(|word| writer.u32(word));
        for (seconds, fraction, data, wire) in frames {
            for word in [*seconds, *fraction, data.len() as u32, *wire] {
                writer.u32(word);
            }
            writer.out.extend(*data);
        }
        writer.out
    }
    fn block(&mut self, kind: u32, body: &[u8]) {
        let padded = body.len().next_multiple_of(4);
        self.u32(kind);
        self.u32(padded as u32 + 12);
        self.out.extend(body);
        self.out.resize(self.out.len() + padded - body.len(), 0);
        self.u32(padded as u32 + 12);
    }
    fn section(&mut self) {
        let mut body = Writer::words(self.order, &[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]);
        body[4..8].copy_from_slice(&Writer::words(self.order, &[1]));
        self.block(SECTION, &body);
    }
    fn interface(&mut self, link: u16, snap_length: u32, options: &[(u16, &[u8])]) {
        let mut body = Writer { order: self.order, out: Vec::new() };
        body.u16(link);
        body.u16(0);
        body.u32(snap_length);
        body.options(options);
        self.block(1, &body.out);
    }
    fn options(&mut self, options: &[(u16, &[u8])]) {
        for (code, value) in options {
            self.u16(*code);
            self.u16(value.len() as u16);
            self.out.extend(*value);
            self.out.resize(self.out.len().next_multiple_of(4), 0);
        }
        self.u32(0);
    }
    fn enhanced(&mut self, interface: u32, time: u64, data: &[u8], options: &[(u16, &[u8])]) {
        let length = data.len() as u32;
        let words = [interface, (time >> 32) as u32, time as u32, length, length];
        let mut body = Writer { order: self.order, out: Writer::words(self.order, &words) };
        body.out.extend(data);
        body.out.resize(20 + data.len().next_multiple_of(4), 0);
        body.options(options);
        self.block(6, &body.out);
    }
}

const SECTION: u32 = 0x0a0d_0d0a;
const ORDERS: [Order; 2] = [Order::Little, Order::Big];

fn sample() -> Vec<u8> {
    Writer::classic(Order::Little, 0xa1b2_c3d4, 1, &[(5, 6, b"first", 5), (7, 8, b"second", 60)])
}

fn expected() -> Seen {
    vec![
        (5_000_006_000, b"first".to_vec(), 5, 0, Direction::Ingress, 1),
        (7_000_008_000, b"second".to_vec(), 60, 0, Direction::Ingress, 2),
    ]
}

#[test]
fn classic_in_both_orders_and_units() {
    for order in ORDERS {
        for (magic, unit) in [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1)] {
            let bytes = Writer::classic(order, magic, 1, &[(3, 999_999, b"abc", 100)]);
            let (frames, cut, _) = read_all(bytes).unwrap();
            let time = 3_000_000_000 + 999_999 * unit;
            assert_eq!(frames, [(time, b"abc".to_vec(), 100, 0, Direction::Ingress, 1)]);
            assert_eq!(cut, None);
        }
    }
}

#[test]
fn pcapng_interfaces_times_and_directions() {
    for order in ORDERS {
        let mut file = Writer { order, out: Vec::new() };
        file.section();
        file.block(0x0bad, b"something private");
        file.interface(1, 0, &[]);
        let offset = match order {
            Order::Little => (-100_i64).to_le_bytes(),
            Order::Big => (-100_i64).to_be_bytes(),
        };
        file.interface(101, 0, &[(2, b"eth1"), (9, &[9]), (14, &offset)]);
        file.interface(276, 0, &[(9, &[0x80 | 10])]);
        file.interface(1, 0, &[(9, &[12])]);
        file.interface(147, 0, &[]);
        let flags = Writer::words(order, &[2]);
        file.enhanced(0, 1_500_000, b"micro", &[(1, b"a comment"), (2, &flags)]);
        file.enhanced(1, 200_000_000_123, b"nano", &[]);
        file.enhanced(2, 1024 + 512, b"binary", &[]);
        file.enhanced(4, 0, b"no way to decode this", &[]);
        file.enhanced(3, 5_000, b"pico", &[]);
        // An obsolete packet block: interface 1, drops 0.
        let words = [0, 0, 1_000, 3, 90];
        let mut body = Writer::words(order, &words);
        let mut head = Writer { order, out: Vec::new() };
        head.u16(0);
        head.u16(9);
        body[..4].copy_from_slice(&head.out);
        body.extend(b"old\0");
        file.block(2, &body);
        // A second section starts its interfaces anew, with a snap length for the simple block.
        file.section();
        file.interface(1, 4, &[]);
        let mut body = Writer::words(order, &[9]);
        body.extend(b"four");
        file.block(3, &body);

        let (frames, cut, skipped) = read_all(file.out).unwrap();
        let (into, out) = (Direction::Ingress, Direction::Egress);
        assert_eq!(
            frames,
            [
                (1_500_000_000, b"micro".to_vec(), 5, 0, out, 1),
                (100_000_000_123, b"nano".to_vec(), 4, 1, into, 2),
                (1_500_000_000, b"binary".to_vec(), 6, 2, into, 3),
                (5, b"pico".to_vec(), 4, 3, into, 5),
                (1_000_000, b"old".to_vec(), 90, 0, into, 6),
                (0, b"four".to_vec(), 9, 0, into, 7),
            ]
        );
        assert_eq!((cut, skipped), (None, 1));
    }
}

#[test]
fn compressed_by_magic() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&sample()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&sample()[..], 1).unwrap();
    for bytes in [gzip.clone(), zstd] {
        let (frames, cut, _) = read_all(bytes).unwrap();
        assert_eq!(frames, expected());
        assert_eq!(cut, None);
    }
    // Cut: what is there is read, and the end noted.
    let (_, cut, _) = read_all(gzip[..gzip.len() - 5].to_vec()).unwrap();
    assert!(cut.is_some());
    let mut damaged = gzip;
    let end = damaged.len() - 6;
    damaged[end] ^= 0xff;
    assert!(matches!(read_all(damaged), Err(PcapError::Compression { .. })));
}

#[test]
fn a_cut_file_is_read_to_there() {
    let whole = sample();
    let second = 24 + 16 + 5;
    for end in second + 1..whole.len() {
        let (frames, cut, _) = read_all(whole[..end].to_vec()).unwrap();
        assert_eq!(frames, expected()[..1]);
        assert_eq!(cut, Some(second as u64), "cut at {end}");
    }
    assert_eq!(read_all(whole[..second].to_vec()).unwrap().1, None);
}

#[test]
fn what_is_no_capture_is_refused_with_its_place() {
    let message = |bytes: &[u8]| read_all(bytes.to_vec()).unwrap_err().to_string();
    assert_eq!(
        message(b"GET / HTTP/1.1"),
        "it is no capture file: it begins with [47, 45, 54, 20], which neither pcap nor pcapng does"
    );
    assert!(message(b"").starts_with("it is no capture file"));
    assert_eq!(message(&sample()[..20]), "it ends within its header, at byte 20");
    let bytes = Writer::classic(Order::Little, 0xa1b2_c3d4, 147, &[]);
    assert!(message(&bytes).contains("link type is 147"));
    let mut lying = sample();
    lying[24 + 16 + 5 + 8..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(
        message(&lying),
        "the frame at byte 45 says it has 4294967295 bytes; 262144 is the most"
    );
    let mut file = Writer { order: Order::Little, out: Vec::new() };
    file.section();
    file.enhanced(0, 0, b"x", &[]);
    assert_eq!(
        message(&file.out),
        "the block at byte 28 is damaged: a packet of an interface not described"
    );
    let last = file.out.len() - 1;
    file.out[last] = 7;
    assert_eq!(message(&file.out), "the block at byte 28 is damaged: its two lengths differ");
}

proptest! {
    #[test]
    fn any_bytes(
        magic in 0_usize..4,
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut file = match magic {
            0 => Vec::new(),
            1 => sample()[..24].to_vec(),
            2 => Writer::classic(Order::Big, 0xa1b2_3c4d, 1, &[]),
            _ => {
                let mut file = Writer { order: Order::Little, out: Vec::new() };
                file.section();
                file.interface(1, 0, &[]);
                file.out
            }
        };
        file.extend(bytes);
        let length = file.len();
        if let Ok((frames, _, _)) = read_all(file) {
            prop_assert!(frames.iter().map(|frame| frame.1.len()).sum::<usize>() <= length);
        }
    }

    #[test]
    fn mangled_files(
        ng in any::<bool>(),
        changes in prop::collection::vec((0_usize..200, any::<u8>()), 1..5),
    ) {
        let mut bytes = sample();
        if ng {
            let mut file = Writer { order: Order::Big, out: Vec::new() };
            file.section();
            file.interface(1, 100, &[(9, &[6])]);
            file.enhanced(0, 7, b"some bytes", &[(2, &[0, 0, 0, 1])]);
            file.block(3, b"\0\0\0\x04abcd");
            bytes = file.out;
        }
        for (at, to) in changes {
            let at = at % bytes.len();
            bytes[at] = to;
        }
        let _ = read_all(bytes);
    }
}
