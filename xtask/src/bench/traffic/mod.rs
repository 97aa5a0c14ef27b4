//! Made traffic, interleaved as on a busy link; some of it carries the attacks that the two rules look
//! for. `http` is HTTP and text sessions and nothing else, `mixed` is what a link of an office has.
//!
//! The same seed gives the same bytes. Checksums are right, since Suricata looks at them.

mod datagram;
mod http;
mod mixed;
mod packet;
mod tcp;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Conversations that are under way at the same time.
const CONCURRENT: usize = 200;
/// An HTTP session has some 60 frames; a small traffic has no more at once than a third of it holds.
const SESSION: usize = 180;
/// Nanoseconds between the packets of a capture file: flows then end and time out while it is read, as on
/// a link. Denser, Suricata fills its memory cap with closed flows and alerts twice.
const SPACING: u64 = 100_000;

/// Frames back to back, in the order they are sent.
pub struct Traffic {
    what: &'static str,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    conversations: u64,
    /// Alerts that the two rules must raise on it.
    pub attacks: u64,
}

/// What two hosts say to each other, and how many alerts that must raise.
struct Conversation {
    frames: Vec<Vec<u8>>,
    attacks: u64,
}

/// HTTP and text sessions until there are at least `packets` frames.
pub fn http(packets: usize, seed: u64) -> Traffic {
    let what = "HTTP and text sessions";
    let concurrent = (packets / SESSION).clamp(1, CONCURRENT);
    Traffic::interleaved(what, packets, concurrent, seed, http::session)
}

/// TLS, HTTP, DNS, SSH, ICMP and fragments, over IPv4 and IPv6, with segments out of order and sent again.
pub fn mixed(packets: usize, seed: u64) -> Traffic {
    let what = "conversations of all kinds";
    let concurrent = (packets / SESSION).clamp(1, CONCURRENT);
    Traffic::interleaved(what, packets, concurrent, seed, mixed::conversation)
}

impl Traffic {
    fn interleaved(
        what: &'static str,
        packets: usize,
        concurrent: usize,
        seed: u64,
        make: fn(&mut Random, u32) -> Conversation,
    ) -> Self {
        let mut random = Random(seed);
        let mut traffic =
            Self { what, bytes: Vec::new(), ends: Vec::new(), conversations: 0, attacks: 0 };
        let mut active: Vec<std::vec::IntoIter<Vec<u8>>> = Vec::new();
        loop {
            while active.len() < concurrent && traffic.len() < packets {
                let next = make(&mut random, traffic.conversations as u32);
                traffic.conversations += 1;
                traffic.attacks += next.attacks;
                active.push(next.frames.into_iter());
            }
            if active.is_empty() {
                return traffic;
            }
            let chosen = random.below(active.len() as u64) as usize;
            // A window's worth at a time.
            for _ in 0..=random.below(8) {
                match active.get_mut(chosen).and_then(Iterator::next) {
                    Some(frame) => traffic.push(&frame),
                    None => {
                        active.swap_remove(chosen);
                        break;
                    }
                }
            }
        }
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// All frames.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|i| self.frame(i))
    }

    /// One frame.
    pub fn frame(&self, i: usize) -> Option<&[u8]> {
        let start = i.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.bytes.get(start..*self.ends.get(i)?)
    }

    /// One sentence for the head of a table.
    pub fn describe(&self) -> String {
        format!(
            "Traffic: {} packets, {:.0} MB, {} {}, {} with an attack; two rules.",
            self.len(),
            self.bytes.len() as f64 / 1e6,
            self.conversations,
            self.what,
            self.attacks
        )
    }

    /// Writes a capture file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_pcap(&self, path: &Path) -> io::Result<()> {
        let mut out = PcapFile::create(path, SPACING)?;
        self.frames().try_for_each(|frame| out.write(frame))?;
        out.finish()
    }

    fn push(&mut self, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
        self.ends.push(self.bytes.len());
    }
}

/// A capture file that is being written, its packets so many nanoseconds apart.
struct PcapFile {
    out: BufWriter<File>,
    time: u64,
    spacing: u64,
}

impl PcapFile {
    fn create(path: &Path, spacing: u64) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        // Magic (nanoseconds), version 2.4, zone, accuracy, snap length, LINKTYPE_ETHERNET.
        for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 65_535, 1_u32] {
            out.write_all(&word.to_le_bytes())?;
        }
        Ok(Self { out, time: 1_700_000_000_000_000_000, spacing })
    }

    fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        let (seconds, rest) = (self.time / 1_000_000_000, self.time % 1_000_000_000);
        self.time += self.spacing;
        for word in [seconds as u32, rest as u32, frame.len() as u32, frame.len() as u32] {
            self.out.write_all(&word.to_le_bytes())?;
        }
        self.out.write_all(frame)
    }

    fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes a capture of `connections` complete TCP handshakes and nothing else, within some seconds, so that
/// all of them are open at its end.
///
/// # Errors
/// When it cannot be written.
pub fn write_handshakes(path: &Path, connections: u32) -> io::Result<()> {
    const SPACING: u64 = 2_000;
    let mut out = PcapFile::create(path, SPACING)?;
    let mut random = Random(1);
    for number in 0..connections {
        let opened = tcp::Tcp::open(tcp::Ends::apart(number, 80), false, &mut random);
        opened.frames().try_for_each(|frame| out.write(frame))?;
    }
    out.finish()
}

/// SplitMix64: small, and the same everywhere.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(len);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packet::{fold, sum};

    /// Checksums of the IPv4 header and of the segment, datagram or message; a fragment has only the first.
    fn check(frame: &[u8]) {
        let ip = &frame[14..];
        let (pseudo, protocol, body) = match frame[12..14] {
            [0x08, 0x00] => {
                let length = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
                assert_eq!(ip.len(), length);
                assert_eq!(fold(sum(&ip[..20])), 0, "checksum of the IP header");
                if u16::from_be_bytes([ip[6], ip[7]]) & 0x3fff != 0 {
                    return;
                }
                (sum(&ip[12..20]), ip[9], &ip[20..])
            }
            [0x86, 0xdd] => {
                let length = usize::from(u16::from_be_bytes([ip[4], ip[5]]));
                assert_eq!(ip.len(), 40 + length);
                (sum(&ip[8..40]), ip[6], &ip[40..])
            }
            ref other => panic!("EtherType {other:02x?}"),
        };
        let pseudo =
            if protocol == 1 { 0 } else { pseudo + u32::from(protocol) + body.len() as u32 };
        assert_eq!(fold(pseudo + sum(body)), 0, "checksum of protocol {protocol}");
    }

    #[test]
    fn attacks_are_counted_and_frames_whole() {
        for traffic in [http(5_000, 1), mixed(40_000, 1)] {
            assert!(traffic.len() >= 5_000);
            let count = |needle: &[u8]| {
                let has = |frame: &[u8]| frame.windows(needle.len()).any(|w| w == needle);
                traffic.frames().filter(|frame| has(frame)).count() as u64
            };
            // A segment may be sent twice.
            assert!(count(b"/etc/passwd") + count(b"USER root") >= traffic.attacks);
            assert!(traffic.attacks > 3);
            traffic.frames().for_each(check);
        }
    }

    #[test]
    fn the_mix_has_all_kinds() {
        let traffic = mixed(5_000, 1);
        let of = |f: fn(&[u8]) -> bool| traffic.frames().filter(|frame| f(frame)).count();
        assert!(of(|f| f[12..14] == [0x86, 0xdd]) > 100, "IPv6");
        assert!(of(|f| f[12] == 8 && f[23] == 17) > 100, "UDP");
        assert!(of(|f| f[12] == 8 && f[23] == 1) > 10, "ICMP");
        assert!(of(|f| f[12] == 8 && (f[20] & 0x3f, f[21]) != (0, 0)) > 10, "fragments");
        let frames: std::collections::HashSet<&[u8]> = traffic.frames().collect();
        assert!(frames.len() < traffic.len(), "segments sent again");
    }

    #[test]
    fn handshakes_are_of_different_connections() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("handshakes.pcap");
        write_handshakes(&path, 70_000).unwrap();
        let bytes = std::fs::read(path).unwrap();
        // SYN and SYN/ACK have an option of four bytes.
        let connection = 3 * (16 + 54) + 2 * 4;
        assert_eq!(bytes.len(), 24 + 70_000 * connection);
        let ends = |c: &[u8]| <[u8; 12]>::try_from(&c[16 + 26..16 + 38]).unwrap();
        let all: std::collections::HashSet<_> = bytes[24..].chunks(connection).map(ends).collect();
        assert_eq!(all.len(), 70_000);
    }
}
