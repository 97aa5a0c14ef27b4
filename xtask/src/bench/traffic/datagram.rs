//! What is said without connections: DNS, echo requests, and datagrams that come in fragments.

use std::net::IpAddr;

use super::Random;
use super::packet::{ICMP, UDP, fill_checksum, fold, fragment, frame, sum};
use super::tcp::Ends;

/// Bytes of a datagram in one fragment: what an MTU of 1500 leaves, in eights.
const FRAGMENT: usize = 1480;

/// A query and its answer.
pub fn dns(ends: Ends, random: &mut Random) -> Vec<Vec<u8>> {
    let id = random.next() as u16;
    let mut question = Vec::new();
    for label in [format!("host-{:x}", random.below(1 << 24)).as_str(), "example", "com"] {
        question.push(label.len() as u8);
        question.extend(label.bytes());
    }
    // Type A, class IN.
    question.extend([0, 0, 1, 0, 1]);
    let message = |flags: u16, answers: u16| {
        let mut message = Vec::new();
        for word in [id, flags, 1, answers, 0, 0] {
            message.extend(word.to_be_bytes());
        }
        message.extend(&question);
        message
    };
    let answers = 1 + random.below(6) as u16;
    let mut answer = message(0x8180, answers);
    for _ in 0..answers {
        // The name of the question, A, IN, an hour, an address.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 10]);
        answer.extend(random.next().to_be_bytes().iter().take(3));
    }
    let (client, server) = (ends.client, (ends.server.0, 53));
    vec![
        frame(1, UDP, client.0, server.0, &datagram(client, server, &message(0x0100, 0))),
        frame(1, UDP, server.0, client.0, &datagram(server, client, &answer)),
    ]
}

/// Echo requests and their answers, over IPv4.
pub fn echo(ends: Ends, random: &mut Random) -> Vec<Vec<u8>> {
    let (client, server) = (ends.client.0, ends.server.0);
    let id = random.next() as u16;
    let mut frames = Vec::new();
    for number in 0..1 + random.below(10) as u16 {
        for (kind, from, to) in [(8, client, server), (0, server, client)] {
            let mut message = vec![kind, 0, 0, 0];
            message.extend(id.to_be_bytes());
            message.extend(number.to_be_bytes());
            message.extend(0..56);
            let checksum = fold(sum(&message));
            message[2..4].copy_from_slice(&checksum.to_be_bytes());
            frames.push(frame(number, ICMP, from, to, &message));
        }
    }
    frames
}

/// Datagrams of several thousand bytes, over IPv4.
pub fn in_fragments(ends: Ends, random: &mut Random) -> Vec<Vec<u8>> {
    let (client, server) = (ends.client, (ends.server.0, 2049));
    let mut frames = Vec::new();
    for id in 0..1 + random.below(4) as u16 {
        let len = 2_000 + random.below(6_000) as usize;
        let datagram = datagram(client, server, &random.bytes(len));
        let count = datagram.len().div_ceil(FRAGMENT);
        for (i, part) in datagram.chunks(FRAGMENT).enumerate() {
            let more = if i + 1 < count { 0x2000 } else { 0 };
            let place = more | (i * FRAGMENT / 8) as u16;
            frames.push(fragment(id, UDP, client.0, server.0, part, place));
        }
    }
    frames
}

fn datagram(from: (IpAddr, u16), to: (IpAddr, u16), payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(8 + payload.len());
    for word in [from.1, to.1, 8 + payload.len() as u16, 0] {
        datagram.extend(word.to_be_bytes());
    }
    datagram.extend(payload);
    fill_checksum(&mut datagram, 6, UDP, from.0, to.0);
    // A sum of 0 is written as all ones (RFC 768).
    if datagram[6..8] == [0, 0] {
        datagram[6..8].fill(0xff);
    }
    datagram
}
