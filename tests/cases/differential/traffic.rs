//! Generated traffic: TCP connections whose segments come in pieces, twice and out of order, datagrams, ICMP,
//! packets of other protocols and fragments, IPv4 and IPv6.
//!
//! A side of a connection says one thing, and the other acknowledges it when it is complete. So both engines
//! look at the same stretch of the stream, whenever they do: Suricata waits until a stretch is long enough
//! or the connection ends.

use std::net::IpAddr;

use super::dice::Dice;
use crate::cases::detect::world::{Fields, IP_OPTIONS, Layer, PacketSpec, TCP_OPTIONS};

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// What rules look for, and what payloads are made of.
pub const WORDS: [&[u8]; 20] = [
    b"a",
    b"b",
    b"A",
    b"c",
    b"ab",
    b"AB",
    b"abc",
    b"aab",
    b" ",
    b".",
    b"\0",
    b"\x01",
    b"\x02",
    b"\x03",
    b"\xff",
    b"12",
    b"7",
    b"%61",
    b"YWJhYg==",
    b"\r\n",
];

pub fn payload(dice: &mut Dice) -> Vec<u8> {
    let words = match dice.below(12) {
        0 => 0,
        1..=9 => dice.below(14) + 1,
        _ => dice.below(200) + 20,
    };
    (0..words).flat_map(|_| dice.pick(&WORDS)).copied().collect()
}

fn fields(dice: &mut Dice) -> Fields {
    Fields {
        tos: dice.pick(&[0, 0, 8]),
        id: dice.between(6, 8) as u16,
        bits: dice.pick(&[0, 0x40, 0x40, 0x80, 0xc0]),
        ip_options: dice.pick(&IP_OPTIONS),
        tcp_options: dice.pick(&TCP_OPTIONS),
        window: dice.pick(&[512, 4096]),
        icmp: dice.pick(&[[0, 1, 0, 1], [0, 7, 0, 8], [0, 8, 0, 7]]),
    }
}

/// Two hosts that only the flow of this number has.
fn hosts(dice: &mut Dice, number: u16) -> (IpAddr, IpAddr) {
    let [c, d] = number.to_be_bytes();
    if dice.chance(20) {
        let side = dice.pick(&[0_u16, 0x9000]);
        let client = [0x2001, 0xdb8, side, 0, 0, 0, number, 1];
        let server = [0x2001, 0xdb8, 0, 0, 0, 0, number, 2];
        return (client.into(), server.into());
    }
    let client = dice.pick(&[[10, 0, c, d], [10, 200, c, d], [192, 0, c, d]]);
    let server = dice.pick(&[[10, 1, c, d], [10, 201, c, d], [192, 1, c, d]]);
    (client.into(), server.into())
}

fn port(dice: &mut Dice) -> u16 {
    dice.pick(&[80, 4000, 1024, 65_535, 53])
}

/// One side of a connection.
struct Side {
    address: IpAddr,
    port: u16,
    /// The next byte it sends.
    next: u32,
}

struct Connection {
    sides: [Side; 2],
    packets: Vec<PacketSpec>,
    ttl: u8,
    tos: u8,
}

impl Connection {
    fn push(&mut self, from: usize, flags: u8, at: u32, bytes: &[u8]) {
        let (me, you) = (&self.sides[from], &self.sides[1 - from]);
        let ack = if flags & ACK == 0 { 0 } else { you.next };
        self.packets.push(PacketSpec {
            source: me.address,
            destination: you.address,
            ttl: self.ttl,
            layer: Layer::Tcp { ports: (me.port, you.port), flags, seq: at, ack },
            fields: Fields { window: 4096, tos: self.tos, ..Fields::default() },
            payload: bytes.to_vec(),
        });
    }

    /// In pieces, some of them twice, in any order.
    fn say(&mut self, dice: &mut Dice, from: usize, bytes: &[u8]) {
        let start = self.sides[from].next;
        // The last byte comes with others: alone and once more it would be a keep-alive, of which Suricata shows
        // the byte to the rules of packets.
        let within = bytes.len().saturating_sub(1).max(1);
        let mut cuts: Vec<usize> =
            (0..dice.below(4)).map(|_| dice.below(within)).chain([0]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let ends = cuts.iter().skip(1).copied().chain([bytes.len()]);
        let mut pieces: Vec<(usize, usize)> = cuts.iter().copied().zip(ends).collect();
        if bytes.len() > 1 && dice.chance(20) {
            pieces.push(dice.pick(&pieces));
        }
        if bytes.len() > 1 && dice.chance(20) {
            // One that overlaps others, with the same bytes.
            let a = dice.below(bytes.len() - 1);
            pieces.push((a, a + 2 + dice.below(bytes.len() - a - 1)));
        }
        pieces.retain(|(a, b)| a < b);
        if dice.chance(30) {
            dice.shuffle(&mut pieces);
        }
        for (a, b) in pieces {
            self.push(from, ACK | PSH, start + a as u32, &bytes[a..b]);
        }
        self.sides[from].next = start + bytes.len() as u32;
    }

    fn end(&mut self, from: usize, flags: u8) {
        self.push(from, flags, self.sides[from].next, b"");
        self.sides[from].next += u32::from(flags & (FIN | SYN) != 0);
    }
}

/// A connection: a handshake, a request, an answer, an end; each but the data may be missing.
fn connection(dice: &mut Dice, number: u16) -> Vec<PacketSpec> {
    let (client, server) = hosts(dice, number);
    let side = |address, port, next| Side { address, port, next };
    let mut connection = Connection {
        sides: [side(client, port(dice), 1000), side(server, port(dice), 5000)],
        packets: Vec::new(),
        ttl: dice.between(62, 66) as u8,
        tos: dice.pick(&[0, 0, 8]),
    };
    if dice.chance(88) {
        connection.end(0, SYN);
        connection.end(1, SYN | ACK);
        connection.end(0, ACK);
    }
    for from in [0, 1] {
        let bytes = payload(dice);
        connection.say(dice, from, &bytes);
        if dice.chance(50) {
            connection.end(1 - from, ACK);
        }
    }
    match dice.below(8) {
        0 => connection.end(0, RST | ACK),
        1 => connection.end(1, RST | ACK),
        2 => {}
        _ => {
            let first = dice.below(2);
            connection.end(first, FIN | ACK);
            connection.end(1 - first, FIN | ACK);
            connection.end(first, ACK);
        }
    }
    connection.packets
}

/// Packets without connection, both ways.
fn exchange(dice: &mut Dice, number: u16) -> Vec<PacketSpec> {
    let (source, destination) = hosts(dice, number);
    let v6 = source.is_ipv6();
    let layer = match dice.below(10) {
        0..=4 => Layer::Udp { ports: (port(dice), port(dice)) },
        5 | 6 if v6 => Layer::Icmp { kind: 128, code: 0 },
        5 | 6 => Layer::Icmp { kind: dice.pick(&[8, 8, 0, 42]), code: dice.below(2) as u8 },
        7 => Layer::Other(dice.pick(&[2, 89, 253])),
        8 => Layer::Fragment(dice.pick(&[6, 17, 1])),
        _ => {
            let flags = dice.pick(&[SYN, ACK, ACK | PSH, RST, FIN | ACK, 0, 0x29, 0xc2]);
            let (seq, ack) = (dice.below(50) as u32, dice.below(50) as u32);
            Layer::Tcp { ports: (port(dice), port(dice)), flags, seq, ack }
        }
    };
    let ttl = dice.between(62, 66) as u8;
    let fields = fields(dice);
    let packets = match layer {
        Layer::Tcp { .. } | Layer::Fragment(_) => 1,
        _ => dice.below(5) + 1,
    };
    (0..packets)
        .map(|number| {
            let payload = payload(dice);
            let packet = PacketSpec { source, destination, ttl, layer, fields, payload };
            if number == 0 || dice.chance(50) { packet } else { reversed(packet) }
        })
        .collect()
}

fn reversed(packet: PacketSpec) -> PacketSpec {
    let layer = match packet.layer {
        Layer::Udp { ports: (a, b) } => Layer::Udp { ports: (b, a) },
        Layer::Icmp { kind: 8, code } => Layer::Icmp { kind: 0, code },
        Layer::Icmp { kind: 128, code } => Layer::Icmp { kind: 129, code },
        other => other,
    };
    PacketSpec { source: packet.destination, destination: packet.source, layer, ..packet }
}

/// So many flows, the packets of some of them mixed.
pub fn capture(dice: &mut Dice, flows: u16) -> Vec<Vec<u8>> {
    let mut all: Vec<std::collections::VecDeque<PacketSpec>> = (1..=flows)
        .map(|number| match dice.chance(60) {
            true => connection(dice, number).into(),
            false => exchange(dice, number).into(),
        })
        .collect();
    let mut frames = Vec::new();
    // A few at a time.
    while !all.is_empty() {
        let at = dice.below(all.len().min(4));
        match all[at].pop_front() {
            Some(packet) => frames.push(packet.bytes(true)),
            None => _ = all.remove(at),
        }
    }
    frames
}
