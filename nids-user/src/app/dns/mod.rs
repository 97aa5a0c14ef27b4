//! DNS over UDP and TCP (RFC 1035, RFC 7766), and mDNS (RFC 6762).
//!
//! `parser` reads messages, `state` finds them in streams and makes a transaction of each: as in Suricata, a
//! response is one of its own, whatever it answers to. `log` writes EVE.

mod event;
mod log;
mod parser;
mod state;
#[cfg(test)]
mod tests;

pub use event::Event;
pub use parser::{Header, MAX_NAMES, Message};
pub use state::{Dns, Transaction};

use super::AppProtocol;
use super::detect::{Answer, Detector, Opening};
use crate::detect::protocol::{TCP, UDP};

/// Progress of the direction that a message goes: it is there.
pub const COMPLETE: u8 = 1;

/// How DNS is recognised in datagrams.
pub const DATAGRAMS: Detector =
    Detector { protocol: AppProtocol::Dns, carrier: UDP, ports: &[53], judge: judge_datagram };
/// How DNS is recognised in streams.
pub const STREAMS: Detector =
    Detector { protocol: AppProtocol::Dns, carrier: TCP, ports: &[53], judge: judge_stream };
/// How mDNS is recognised: by its port, as it looks like DNS.
pub const MULTICAST: Detector =
    Detector { protocol: AppProtocol::Mdns, carrier: UDP, ports: &[MDNS], judge: judge_multicast };

/// Port of mDNS (RFC 6762, 3).
const MDNS: u16 = 5353;
/// Port of DNS.
const PORT: u16 = 53;

fn judge_datagram(opening: &Opening<'_>) -> Answer {
    match opening.server_port {
        MDNS => Answer::NotForUs,
        // Here a header will do, so that what is wrong behind it shows.
        PORT if looks_right(opening.bytes, opening.bytes.len()) => Answer::Certain,
        _ if opens_well(opening.bytes, opening.bytes.len()) => Answer::Certain,
        _ => Answer::NotForUs,
    }
}

fn judge_multicast(opening: &Opening<'_>) -> Answer {
    let bytes = opening.bytes;
    match opening.server_port == MDNS && looks_right(bytes, bytes.len()) {
        true => Answer::Certain,
        false => Answer::NotForUs,
    }
}

/// The length first, then a message.
fn judge_stream(opening: &Opening<'_>) -> Answer {
    let bytes = opening.bytes;
    let Some((length, message)) = bytes.split_first_chunk() else { return Answer::Unsure };
    let length = usize::from(u16::from_be_bytes(*length));
    if length < parser::HEADER {
        return Answer::NotForUs;
    }
    let message = message.get(..length).unwrap_or(message);
    match (message.len() >= parser::HEADER, message.len() == length) {
        (false, _) => Answer::Unsure,
        (true, _) if !looks_right(message, length) => Answer::NotForUs,
        (true, true) if opening.server_port == PORT || opens_well(message, length) => {
            Answer::Certain
        }
        (true, true) => Answer::NotForUs,
        (true, false) => Answer::Unsure,
    }
}

/// Whether a header begins here, of a message of so many bytes.
fn looks_right(bytes: &[u8], length: usize) -> bool {
    /// Bytes of the shortest question or record.
    const SHORTEST: usize = 2;
    Header::read(bytes).is_some_and(|header| {
        let records: usize = header.counts.iter().map(|count| usize::from(*count)).sum();
        parser::HEADER + SHORTEST * records <= length
    })
}

/// Whether header and first question are such as no other protocol has by chance.
fn opens_well(bytes: &[u8], length: usize) -> bool {
    const CLASSES: [u16; 5] = [1, 3, 4, 254, 255];
    looks_right(bytes, length)
        && Message::read(bytes).is_some_and(|message| {
            let [questions, ..] = message.header.counts;
            matches!(message.header.opcode(), 0 | 2 | 4 | 5)
                && message.header.flags & 0x40 == 0
                && (1..=16).contains(&questions)
                && message.questions.len() == usize::from(questions)
                && message.questions.iter().all(|question| CLASSES.contains(&question.class))
        })
}
