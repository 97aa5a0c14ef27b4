//! As much of a TCP connection as a flow must know: who is the client, whether the handshake was seen,
//! whether it is over. Windows, order and overlaps are left to `stream`.
//!
//! The kernel half may forward no pure ACKs (`LEVEL_PAYLOAD`), so the third packet of the handshake can
//! be missing. The handshake is then complete with the first segment that can only follow it: data or
//! FIN from either side with numbers that fit. Segments with payload are judged by that alone, whether
//! the ACK was seen or not, so that they are judged the same either way.

use crate::decode::Tcp as Header;

use super::FlowDirection;

/// How far behind the expected number a plausible one may be: the largest window (RFC 7323, 2.3).
const WINDOW: u32 = 1 << 30;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The client's SYN was seen.
    SynSent,
    /// The server's SYN/ACK was seen.
    SynReceived,
    /// The handshake is complete.
    Open,
    /// RST, or FIN from both sides.
    Closed,
    /// Its beginning was not seen: never established, whatever follows.
    Midstream,
}

/// State of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// Where it stands.
    pub phase: Phase,
    /// What was seen, `ESTABLISHED` and so on: a byte, as a flow has to fit into two cache lines.
    seen: u8,
    client_isn: u32,
    server_isn: u32,
}

/// The handshake was completed, by an ACK or by what follows; stays when the connection closes.
const ESTABLISHED: u8 = 1;
/// Data or FIN with numbers that fit was seen behind the handshake.
const PROVED: u8 = 2;
/// The server answered the client's SYN.
const ANSWERED: u8 = 16;
/// The client sent FIN.
const FIN_FROM_CLIENT: u8 = 4;
/// The server sent FIN.
const FIN_FROM_SERVER: u8 = 8;

impl Connection {
    /// A connection by its first packet, and whether that came from the server: a SYN/ACK does.
    pub fn first(header: &Header<'_>) -> (Self, bool) {
        let syn = header.flags & (Header::SYN | Header::RST) == Header::SYN;
        let ack = header.flags & Header::ACK != 0;
        let phase = if syn && !ack { Phase::SynSent } else { Phase::Midstream };
        let connection = Self { phase, seen: 0, client_isn: header.seq, server_isn: 0 };
        (connection, syn && ack)
    }

    /// Whether this segment begins another connection on the same addresses and ports.
    pub fn is_reused_by(&self, header: &Header<'_>) -> bool {
        let begins = header.flags & (Header::SYN | Header::ACK | Header::RST) == Header::SYN;
        begins && matches!(self.phase, Phase::Closed | Phase::Midstream)
    }

    /// Whether the connection counts as established for a segment with so much payload that changes
    /// nothing.
    pub fn is_established_for(&self, payload: usize) -> bool {
        self.has_seen(if payload > 0 { PROVED } else { ESTABLISHED })
    }

    /// Takes one segment in. Returns whether the connection counts as established for that segment:
    /// the pure ACK that ends the handshake does not yet (as Suricata has it).
    #[inline]
    pub fn update(
        &mut self,
        direction: FlowDirection,
        header: &Header<'_>,
        payload: usize,
    ) -> bool {
        let before = self.is_established_for(payload);
        let has = |flag: u8| header.flags & flag != 0;
        if has(Header::RST) {
            self.phase = Phase::Closed;
            return before;
        }
        let carries = payload > 0 || has(Header::FIN);
        match (self.phase, direction) {
            (Phase::Midstream, _) => {}
            _ if self.has_seen(PROVED) => {}
            (Phase::Closed, _) if has(Header::SYN) => {}
            (_, FlowDirection::ToServer) if has(Header::SYN) => {
                // Sent again, maybe by a client that started over.
                self.client_isn = header.seq;
            }
            (phase, FlowDirection::ToClient) if has(Header::SYN) => {
                // With TCP Fast Open (RFC 7413) the ACK covers the data of the SYN.
                let acked = header.ack.wrapping_sub(self.client_isn.wrapping_add(1));
                if has(Header::ACK) && acked <= u32::from(u16::MAX) {
                    self.server_isn = header.seq;
                    self.seen |= ANSWERED;
                    if phase == Phase::SynSent {
                        self.phase = Phase::SynReceived;
                    }
                }
            }
            _ if !self.has_seen(ANSWERED) => {}
            // Also after RST: what was on its way then still belongs to the connection.
            (_, FlowDirection::ToServer) => {
                let acked = header.ack.wrapping_sub(self.server_isn.wrapping_add(1));
                if has(Header::ACK) && acked < WINDOW {
                    self.open(carries);
                }
            }
            (_, FlowDirection::ToClient) => {
                let sent = header.seq.wrapping_sub(self.server_isn.wrapping_add(1));
                if has(Header::ACK) && carries && sent < WINDOW {
                    self.open(true);
                }
            }
        }
        if has(Header::FIN) {
            self.finish(direction);
        }
        before || carries && self.is_established_for(payload)
    }

    fn has_seen(&self, what: u8) -> bool {
        self.seen & what == what
    }

    fn open(&mut self, proved: bool) {
        if self.phase != Phase::Closed {
            self.phase = Phase::Open;
        }
        self.seen |= ESTABLISHED | if proved { PROVED } else { 0 };
    }

    fn finish(&mut self, direction: FlowDirection) {
        if !self.has_seen(PROVED) && self.phase != Phase::Midstream {
            return;
        }
        self.seen |= match direction {
            FlowDirection::ToServer => FIN_FROM_CLIENT,
            FlowDirection::ToClient => FIN_FROM_SERVER,
        };
        if self.has_seen(FIN_FROM_CLIENT | FIN_FROM_SERVER) {
            self.phase = Phase::Closed;
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    struct Segment {
        direction: FlowDirection,
        flags: u8,
        seq: u32,
        ack: u32,
        payload: usize,
    }

    /// Any segments, near the numbers of a connection with the initial ones 100 and 500.
    fn segment() -> impl Strategy<Value = Segment> {
        let flags = [0x02, 0x12, 0x10, 0x10, 0x18, 0x18, 0x11, 0x11, 0x04, 0x14, 0x00, 0x01];
        (any::<bool>(), prop::sample::select(flags.to_vec()), 0..3_u32, 0..3_u32, 0..2_usize)
            .prop_map(|(to_server, flags, seq, ack, payload)| {
                let (direction, mine, yours) = match to_server {
                    true => (FlowDirection::ToServer, 100, 500),
                    false => (FlowDirection::ToClient, 500, 100),
                };
                Segment { direction, flags, seq: mine + seq, ack: yours + ack, payload }
            })
    }

    /// What each segment with payload counts as.
    fn judge<'a>(segments: impl Iterator<Item = &'a Segment>) -> Vec<bool> {
        let mut connection: Option<Connection> = None;
        let mut judged = Vec::new();
        for segment in segments {
            let header = Header {
                header: &[],
                source: 1,
                destination: 2,
                seq: segment.seq,
                ack: segment.ack,
                flags: segment.flags,
                window: 0,
                urgent: 0,
            };
            if connection.is_some_and(|connection| connection.is_reused_by(&header)) {
                connection = None;
            }
            let connection = connection.get_or_insert_with(|| Connection::first(&header).0);
            let established = connection.update(segment.direction, &header, segment.payload);
            if segment.payload > 0 {
                judged.push(established);
            }
        }
        judged
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5000, ..ProptestConfig::default() })]

        /// What the kernel half keeps back at `LEVEL_PAYLOAD` makes no difference.
        #[test]
        fn pure_acks_do_not_count_for_segments_with_payload(
            segments in prop::collection::vec(segment(), 0..12),
        ) {
            let control = Header::SYN | Header::FIN | Header::RST;
            let forwarded = |s: &&Segment| s.payload > 0 || s.flags & control != 0;
            let handshake = [(0x02, 100, 0, true), (0x12, 500, 101, false), (0x10, 101, 501, true)]
                .map(|(flags, seq, ack, to_server)| Segment {
                    direction: match to_server {
                        true => FlowDirection::ToServer,
                        false => FlowDirection::ToClient,
                    },
                    flags,
                    seq,
                    ack,
                    payload: 0,
                });
            for start in 0..=handshake.len() {
                let all: Vec<Segment> =
                    handshake[..start].iter().chain(&segments).copied().collect();
                prop_assert_eq!(judge(all.iter()), judge(all.iter().filter(forwarded)));
            }
        }
    }
}
