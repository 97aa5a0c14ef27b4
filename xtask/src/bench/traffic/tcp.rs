//! The frames of one TCP connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Random;
use super::packet::{TCP, fill_checksum, frame};

/// Largest payload: what an MTU of 1500 leaves with timestamps.
const MSS: usize = 1448;

const FIN: u8 = 1;
const SYN: u8 = 2;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// Address and port of a client, and of a server.
#[derive(Clone, Copy)]
pub struct Ends {
    pub client: (IpAddr, u16),
    pub server: (IpAddr, u16),
}

impl Ends {
    /// Each number, up to some millions, gives another address and port of the client.
    pub fn apart(number: u32, port: u16) -> Self {
        let [_, _, high, low] = (number % 50_000).to_be_bytes();
        let source_port = 1024 + (number / 50_000 * 7919 + number * 13) % 64_000;
        let server = Ipv4Addr::new(10, 77, 0, 2 + (number % 20) as u8);
        Self {
            client: (Ipv4Addr::new(10, 20, high, low).into(), source_port as u16),
            server: (server.into(), port),
        }
    }

    /// The same with addresses of IPv6.
    pub fn v6(self) -> Self {
        let v6 = |address: IpAddr| match address {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                let [high, low] = [[a, b], [c, d]].map(u16::from_be_bytes);
                IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, high, low))
            }
            v6 @ IpAddr::V6(_) => v6,
        };
        Self {
            client: (v6(self.client.0), self.client.1),
            server: (v6(self.server.0), self.server.1),
        }
    }
}

/// One side of a connection.
struct Side {
    address: IpAddr,
    port: u16,
    /// Next sequence number.
    next: u32,
    /// Its clock, for timestamps.
    clock: u32,
}

/// Makes the frames of one connection.
pub struct Tcp {
    client: Side,
    server: Side,
    ip_id: u16,
    timestamps: bool,
    /// By frame: who sent it, where it has data.
    sent: Vec<(Vec<u8>, Option<bool>)>,
}

impl Tcp {
    /// With the three-way handshake.
    pub fn open(ends: Ends, timestamps: bool, random: &mut Random) -> Self {
        let mut side =
            |(address, port)| Side { address, port, next: random.next() as u32, clock: 7 };
        let (client, server) = (side(ends.client), side(ends.server));
        let mut tcp = Self { client, server, ip_id: 0, timestamps, sent: Vec::new() };
        tcp.segment(true, SYN, &[]);
        tcp.segment(false, SYN | ACK, &[]);
        tcp.segment(true, ACK, &[]);
        tcp
    }

    /// Sends bytes in segments; the other side acknowledges every second one and the last.
    pub fn say(&mut self, from_client: bool, bytes: &[u8]) {
        let count = bytes.len().div_ceil(MSS);
        for (i, part) in bytes.chunks(MSS).enumerate() {
            let last = i + 1 == count;
            self.segment(from_client, if last { ACK | PSH } else { ACK }, part);
            if last || i % 2 == 1 {
                self.segment(!from_client, ACK, &[]);
            }
        }
    }

    /// Both sides close.
    pub fn close(&mut self) {
        self.segment(true, FIN | ACK, &[]);
        self.segment(false, FIN | ACK, &[]);
        self.segment(true, ACK, &[]);
    }

    /// Of so many segments with data one overtakes the one before, and one comes again later.
    pub fn disturb(&mut self, of: u64, random: &mut Random) {
        let mut at = 0;
        while at + 1 < self.sent.len() {
            let side = self.sent[at].1;
            if side.is_some() && self.sent[at + 1].1 == side && random.below(of) == 0 {
                self.sent.swap(at, at + 1);
                at += 1;
            } else if side.is_some() && random.below(of) == 0 {
                let again = self.sent[at].clone();
                let later = (at + 1 + random.below(4) as usize).min(self.sent.len());
                self.sent.insert(later, again);
                at += 4;
            }
            at += 1;
        }
    }

    /// The frames so far.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.sent.iter().map(|(frame, _)| frame.as_slice())
    }

    /// The frames.
    pub fn into_frames(self) -> Vec<Vec<u8>> {
        self.sent.into_iter().map(|(frame, _)| frame).collect()
    }

    fn segment(&mut self, from_client: bool, flags: u8, payload: &[u8]) {
        let (from, to) = match from_client {
            true => (&mut self.client, &self.server),
            false => (&mut self.server, &self.client),
        };
        self.ip_id = self.ip_id.wrapping_add(1);
        from.clock += 1;
        let mut options = Vec::new();
        if flags & SYN != 0 {
            options.extend([2, 4, 0x05, 0xa8]);
        }
        if self.timestamps {
            options.extend([1, 1, 8, 10]);
            options.extend(from.clock.to_be_bytes());
            options.extend(if flags & ACK != 0 { to.clock } else { 0 }.to_be_bytes());
        }
        let header = 20 + options.len();
        let mut tcp = Vec::with_capacity(header + payload.len());
        tcp.extend(from.port.to_be_bytes());
        tcp.extend(to.port.to_be_bytes());
        tcp.extend(from.next.to_be_bytes());
        tcp.extend(if flags & ACK != 0 { to.next } else { 0 }.to_be_bytes());
        tcp.extend([(header as u8 / 4) << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(options);
        tcp.extend(payload);
        fill_checksum(&mut tcp, 16, TCP, from.address, to.address);
        from.next =
            from.next.wrapping_add(payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0));
        let frame = frame(self.ip_id, TCP, from.address, to.address, &tcp);
        self.sent.push((frame, (!payload.is_empty()).then_some(from_client)));
    }
}
