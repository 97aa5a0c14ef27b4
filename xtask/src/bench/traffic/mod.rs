//! Made traffic: HTTP sessions over TCP with handshake, several requests, bodies of mixed sizes and a
//! proper end, interleaved as on a busy link; some carry the attacks that the two rules look for.
//!
//! The same seed gives the same bytes. Checksums are right, since Suricata looks at them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Sessions that are under way at the same time.
const CONCURRENT: usize = 200;
/// A session has some 60 frames; a small traffic has no more sessions at once than a third of it holds.
const SESSION: usize = 180;
/// Largest TCP payload.
const MSS: usize = 1448;

/// Frames back to back, in the order they are sent.
pub struct Traffic {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    sessions: u64,
    /// Alerts that the two rules must raise on it.
    pub attacks: u64,
}

impl Traffic {
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
            "Traffic: {} packets, {:.0} MB, {} HTTP and text sessions, {} with an attack; two rules.",
            self.len(),
            self.bytes.len() as f64 / 1e6,
            self.sessions,
            self.attacks
        )
    }

    /// Writes a capture file, 100 microseconds between the packets: flows then end and time out while it is
    /// read, as on a link. Denser, Suricata fills its memory cap with closed flows and alerts twice.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_pcap(&self, path: &Path) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        // Magic (microseconds), version 2.4, zone, accuracy, snap length, LINKTYPE_ETHERNET.
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1_u32] {
            out.write_all(&word.to_le_bytes())?;
        }
        for (i, frame) in self.frames().enumerate() {
            let micros = i as u64 * 100;
            let (seconds, rest) = (1_700_000_000 + micros / 1_000_000, micros % 1_000_000);
            for word in [seconds as u32, rest as u32, frame.len() as u32, frame.len() as u32] {
                out.write_all(&word.to_le_bytes())?;
            }
            out.write_all(frame)?;
        }
        out.flush()
    }

    fn push(&mut self, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
        self.ends.push(self.bytes.len());
    }
}

/// Sessions until there are at least `packets` frames.
pub fn http(packets: usize, seed: u64) -> Traffic {
    let mut random = Random(seed);
    let mut traffic = Traffic { bytes: Vec::new(), ends: Vec::new(), sessions: 0, attacks: 0 };
    let mut active: Vec<std::vec::IntoIter<Vec<u8>>> = Vec::new();
    let concurrent = (packets / SESSION).clamp(1, CONCURRENT);
    loop {
        while active.len() < concurrent && traffic.len() < packets {
            let (frames, attacks) = session(&mut random, traffic.sessions as u32);
            traffic.sessions += 1;
            traffic.attacks += attacks;
            active.push(frames.into_iter());
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

/// One connection, and how many alerts it must raise.
fn session(random: &mut Random, number: u32) -> (Vec<Vec<u8>>, u64) {
    let port = if random.below(20) == 0 { 22 } else { 80 };
    let mut tcp = Tcp::open(number, port, random);
    let mut attacks = 0;
    if port == 22 {
        let name = if random.below(4) == 0 { "root" } else { "alice" };
        attacks += u64::from(name == "root");
        tcp.say(true, format!("USER {name}\r\n").as_bytes());
        tcp.say(false, b"331 go on\r\n");
    } else {
        for _ in 0..=random.below(5) {
            let attack = random.below(40) == 0;
            attacks += u64::from(attack);
            tcp.say(true, request(random, attack).as_bytes());
            let body = match random.below(10) {
                0..4 => random.below(600),
                4..8 => random.below(20_000),
                _ => random.below(200_000),
            };
            tcp.say(false, &response(random, body as usize));
        }
    }
    tcp.close();
    (tcp.frames, attacks)
}

fn request(random: &mut Random, attack: bool) -> String {
    let path = if attack {
        "/static/../../../../etc/passwd".to_owned()
    } else {
        format!("/shop/item/{}?ref={:x}", random.below(100_000), random.next())
    };
    let cookie: String = (0..random.below(12)).map(|_| format!("{:016x}", random.next())).collect();
    format!(
        "GET {path} HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; \
         rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n\
         Accept-Language: en-US,en;q=0.5\r\nCookie: session={cookie}\r\nConnection: keep-alive\r\n\r\n"
    )
}

fn response(random: &mut Random, body: usize) -> Vec<u8> {
    let mut text = format!(
        "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: {body}\r\n\
         Connection: keep-alive\r\n\r\n"
    )
    .into_bytes();
    let end = text.len() + body;
    // Half text, half bytes as of a picture.
    let binary = random.below(2) == 0;
    while text.len() < end {
        if binary {
            text.extend(random.next().to_le_bytes());
        } else {
            let item = random.below(1_000_000);
            text.extend(
                format!("<li><a href=\"/shop/item/{item}\">Item {item}</a></li>\n").bytes(),
            );
        }
    }
    text.truncate(end);
    text
}

/// Makes the frames of one TCP connection.
struct Tcp {
    client: ([u8; 4], u16, u32),
    server: ([u8; 4], u16, u32),
    ip_id: u16,
    frames: Vec<Vec<u8>>,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const PSH: u8 = 8;
const ACK: u8 = 16;

impl Tcp {
    /// With the three-way handshake. Each `number` gives another pair of address and port.
    fn open(number: u32, port: u16, random: &mut Random) -> Self {
        let [_, _, high, low] = (number % 50_000).to_be_bytes();
        let source_port = 1024 + (number / 50_000 * 7919 + number * 13) % 64_000;
        let mut tcp = Self {
            client: ([10, 20, high, low], source_port as u16, random.next() as u32),
            server: ([10, 77, 0, 2 + (number % 20) as u8], port, random.next() as u32),
            ip_id: 0,
            frames: Vec::new(),
        };
        tcp.segment(true, SYN, &[]);
        tcp.segment(false, SYN | ACK, &[]);
        tcp.segment(true, ACK, &[]);
        tcp
    }

    /// Sends bytes in segments; the other side acknowledges every second one and the last.
    fn say(&mut self, from_client: bool, bytes: &[u8]) {
        let count = bytes.len().div_ceil(MSS);
        for (i, part) in bytes.chunks(MSS).enumerate() {
            let last = i + 1 == count;
            self.segment(from_client, if last { ACK | PSH } else { ACK }, part);
            if last || i % 2 == 1 {
                self.segment(!from_client, ACK, &[]);
            }
        }
    }

    fn close(&mut self) {
        self.segment(true, FIN | ACK, &[]);
        self.segment(false, FIN | ACK, &[]);
        self.segment(true, ACK, &[]);
    }

    fn segment(&mut self, from_client: bool, flags: u8, payload: &[u8]) {
        let (from, to) = if from_client {
            (&mut self.client, &self.server)
        } else {
            (&mut self.server, &self.client)
        };
        self.ip_id = self.ip_id.wrapping_add(1);
        let mss: &[u8] = if flags & SYN != 0 { &[2, 4, 0x05, 0xa8] } else { &[] };
        let header = 20 + mss.len();
        let mut tcp = Vec::with_capacity(header + payload.len());
        tcp.extend(from.1.to_be_bytes());
        tcp.extend(to.1.to_be_bytes());
        tcp.extend(from.2.to_be_bytes());
        tcp.extend(if flags & ACK != 0 { to.2 } else { 0 }.to_be_bytes());
        tcp.extend([(header as u8 / 4) << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(mss);
        tcp.extend(payload);
        let mut pseudo = sum(&from.0) + sum(&to.0) + 6 + tcp.len() as u32;
        pseudo += sum(&tcp);
        tcp[16..18].copy_from_slice(&fold(pseudo).to_be_bytes());
        from.2 = from.2.wrapping_add(payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0));

        let length = 20 + tcp.len() as u16;
        let mut ip = vec![0x45, 0];
        ip.extend(length.to_be_bytes());
        ip.extend(self.ip_id.to_be_bytes());
        ip.extend([0x40, 0, 64, 6, 0, 0]);
        ip.extend(from.0);
        ip.extend(to.0);
        let checksum = fold(sum(&ip));
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());

        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
        frame.extend(ip);
        frame.extend(tcp);
        self.frames.push(frame);
    }
}

/// Sum of the 16-bit words (RFC 1071), not folded.
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2);
    words.map(|w| u32::from(w[0]) << 8 | w.get(1).copied().map_or(0, u32::from)).sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_are_counted_and_frames_whole() {
        let traffic = http(5_000, 1);
        assert!(traffic.len() >= 5_000);
        let count = |needle: &[u8]| {
            traffic.frames().filter(|f| f.windows(needle.len()).any(|w| w == needle)).count() as u64
        };
        assert_eq!(count(b"/etc/passwd") + count(b"USER root"), traffic.attacks);
        assert!(traffic.attacks > 5);
        for frame in traffic.frames() {
            let length = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
            assert_eq!(frame.len(), 14 + length);
            assert_eq!(fold(sum(&frame[14..34])), 0, "checksum of the IP header");
            let pseudo = sum(&frame[26..34]) + 6 + (length as u32 - 20);
            assert_eq!(fold(pseudo + sum(&frame[34..])), 0, "checksum of the segment");
        }
    }
}
