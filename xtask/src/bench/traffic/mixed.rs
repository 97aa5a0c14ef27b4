//! The mix of a link of an office: by packets about two thirds TLS, a fifth HTTP, the rest SSH, DNS, echo
//! requests and fragments; a third over IPv6; one connection in five repeats or reorders segments.

use super::tcp::{Ends, Tcp};
use super::{Conversation, Random, datagram, http};

/// Bytes of one TLS record, at most (RFC 8446, 5.1).
const RECORD: usize = 16_384;

/// One conversation.
pub fn conversation(random: &mut Random, number: u32) -> Conversation {
    let kind = random.below(100);
    let port = match kind {
        0..18 => 443,
        18..25 => 80,
        25..27 => 22,
        _ => 0,
    };
    let ends = Ends::apart(number, port);
    let v6 = random.below(3) == 0;
    let either = if v6 { ends.v6() } else { ends };
    match kind {
        0..27 => connection(either, random),
        27..88 => Conversation { frames: datagram::dns(either, random), attacks: 0 },
        88..96 => Conversation { frames: datagram::echo(ends, random), attacks: 0 },
        _ => Conversation { frames: datagram::in_fragments(ends, random), attacks: 0 },
    }
}

fn connection(ends: Ends, random: &mut Random) -> Conversation {
    let mut tcp = Tcp::open(ends, true, random);
    let attacks = match ends.server.1 {
        443 => {
            tls(&mut tcp, random);
            0
        }
        80 => http::talk(&mut tcp, false, random),
        // One in eight is no SSH, but the text that a rule looks for on this port.
        _ if random.below(8) == 0 => http::talk(&mut tcp, true, random),
        _ => {
            ssh(&mut tcp, random);
            0
        }
    };
    tcp.close();
    if random.below(5) == 0 {
        tcp.disturb(50, random);
    }
    Conversation { frames: tcp.into_frames(), attacks }
}

/// The shape of TLS: a handshake in records, then requests and answers that look like noise.
fn tls(tcp: &mut Tcp, random: &mut Random) {
    const HANDSHAKE: u8 = 22;
    const DATA: u8 = 23;
    let flight = 3_000 + random.below(2_000) as usize;
    tcp.say(true, &records(HANDSHAKE, 512, random));
    tcp.say(false, &records(HANDSHAKE, flight, random));
    tcp.say(true, &records(HANDSHAKE, 74, random));
    for _ in 0..=random.below(6) {
        let request = 100 + random.below(1_200) as usize;
        let answer = match random.below(10) {
            0..4 => random.below(1_500),
            4..8 => random.below(30_000),
            _ => random.below(250_000),
        };
        tcp.say(true, &records(DATA, request, random));
        tcp.say(false, &records(DATA, 40 + answer as usize, random));
    }
}

fn records(kind: u8, len: usize, random: &mut Random) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 5 * len.div_ceil(RECORD));
    for part in random.bytes(len).chunks(RECORD) {
        out.extend([kind, 3, 3]);
        out.extend((part.len() as u16).to_be_bytes());
        out.extend(part);
    }
    out
}

/// The shape of SSH: banners, key exchange, then keys typed and what they print.
fn ssh(tcp: &mut Tcp, random: &mut Random) {
    tcp.say(true, b"SSH-2.0-OpenSSH_9.6\r\n");
    tcp.say(false, b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
    tcp.say(true, &random.bytes(1_500));
    tcp.say(false, &random.bytes(1_100));
    for _ in 0..random.below(60) {
        tcp.say(true, &random.bytes(36));
        let printed = 36 + random.below(900) as usize;
        tcp.say(false, &random.bytes(printed));
    }
}
