//! Which protocol a flow speaks: by patterns at the begin of either direction, and by asking parsers
//! (probing), on whatever port.
//!
//! A detector says of the first bytes of a direction that they are certainly of its protocol, that more
//! must be seen, or that they are not. What one side says holds for the other one. A flow of which both
//! sides have said something that nobody knows is given up, and so is one of which one side alone has sent
//! [`UNDECIDED`] bytes.

use super::{AppProtocol, AppProtocols, dns, http1, tls};
use crate::flow::FlowDirection;

/// Bytes of a direction after which nothing more is waited for.
pub const UNDECIDED: usize = 16 << 10;

/// What the first bytes of a direction are to one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// They are of the protocol.
    Certain,
    /// More must be seen.
    Unsure,
    /// They are not.
    NotForUs,
}

/// How one protocol is recognised.
#[derive(Debug)]
pub struct Detector {
    /// The protocol.
    pub protocol: AppProtocol,
    /// IP protocol it is carried by.
    pub carrier: u8,
    /// Ports of servers on which it is asked before the others; never a condition.
    pub ports: &'static [u16],
    /// Judges the bytes that a direction begins with.
    pub judge: fn(&Opening<'_>) -> Answer,
}

/// What a direction begins with.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The direction.
    pub direction: FlowDirection,
    /// Port of the server; only for what no byte tells.
    pub server_port: u16,
    /// The first bytes.
    pub bytes: &'a [u8],
}

/// One line a protocol and carrier.
static DETECTORS: &[Detector] =
    &[http1::DETECTOR, tls::DETECTOR, dns::DATAGRAMS, dns::STREAMS, dns::MULTICAST];

/// Whether the bytes begin with one of these patterns, compared without regard to case.
pub fn begins_with(bytes: &[u8], patterns: &[&[u8]]) -> Answer {
    let mut answer = Answer::NotForUs;
    for pattern in patterns {
        let length = bytes.len().min(pattern.len());
        let (Some(have), Some(want)) = (bytes.get(..length), pattern.get(..length)) else {
            continue;
        };
        if have.eq_ignore_ascii_case(want) {
            if length == pattern.len() {
                return Answer::Certain;
            }
            answer = Answer::Unsure;
        }
    }
    answer
}

/// What is known of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// It has not said enough.
    #[default]
    Pending,
    /// It speaks this.
    Known(AppProtocol),
    /// It speaks nothing that is known.
    Unknown,
}

/// Judges the first bytes of a direction, those of `wanted` only.
pub fn judge(
    wanted: AppProtocols,
    carrier: u8,
    server_port: u16,
    direction: FlowDirection,
    bytes: &[u8],
) -> Side {
    if bytes.is_empty() {
        return Side::Pending;
    }
    let opening = Opening { direction, server_port, bytes };
    let mut side = Side::Unknown;
    let asked = DETECTORS.iter().filter(|d| d.carrier == carrier && wanted.contains(d.protocol));
    let (hinted, others): (Vec<_>, Vec<_>) =
        asked.partition(|detector| detector.ports.contains(&server_port));
    for detector in hinted.into_iter().chain(others) {
        match (detector.judge)(&opening) {
            Answer::Certain => return Side::Known(detector.protocol),
            Answer::Unsure => side = Side::Pending,
            Answer::NotForUs => {}
        }
    }
    if side == Side::Pending && bytes.len() >= UNDECIDED { Side::Unknown } else { side }
}
