//! As much of a TCP connection as a flow must know: who is the client, whether the handshake was seen,
//! whether it is over. Windows, order and overlaps are left to `stream`.
//!
//! The kernel half may forward no pure ACKs (`LEVEL_PAYLOAD`), so the third packet of the handshake can
//! be missing. The handshake is then complete with the first segment that can only follow it: data or
//! FIN from either side with numbers that fit. Segments with payload are judged the same either way.

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
    /// The handshake was completed; stays when the connection closes.
    pub established: bool,
    fin_from_client: bool,
    fin_from_server: bool,
    client_isn: u32,
    server_isn: u32,
}

impl Connection {
    /// A connection by its first packet, and whether that came from the server: a SYN/ACK does.
    pub fn first(header: &Header<'_>) -> (Self, bool) {
        let syn = header.flags & (Header::SYN | Header::RST) == Header::SYN;
        let ack = header.flags & Header::ACK != 0;
        let phase = if syn && !ack { Phase::SynSent } else { Phase::Midstream };
        let connection = Self {
            phase,
            established: false,
            fin_from_client: false,
            fin_from_server: false,
            client_isn: header.seq,
            server_isn: 0,
        };
        (connection, syn && ack)
    }

    /// Whether this segment begins another connection on the same addresses and ports.
    pub fn is_reused_by(&self, header: &Header<'_>) -> bool {
        let begins = header.flags & (Header::SYN | Header::ACK | Header::RST) == Header::SYN;
        begins && matches!(self.phase, Phase::Closed | Phase::Midstream)
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
        let before = self.established;
        let has = |flag: u8| header.flags & flag != 0;
        if has(Header::RST) {
            self.phase = Phase::Closed;
            return before;
        }
        match (self.phase, direction) {
            (Phase::Open | Phase::Midstream, _) => {}
            (Phase::Closed, _) => return before,
            (Phase::SynSent | Phase::SynReceived, FlowDirection::ToServer) if has(Header::SYN) => {
                // Sent again, maybe by a client that started over.
                self.client_isn = header.seq;
            }
            (Phase::SynSent | Phase::SynReceived, FlowDirection::ToClient) if has(Header::SYN) => {
                // With TCP Fast Open (RFC 7413) the ACK covers the data of the SYN.
                let acked = header.ack.wrapping_sub(self.client_isn.wrapping_add(1));
                if has(Header::ACK) && acked <= u32::from(u16::MAX) {
                    self.server_isn = header.seq;
                    self.phase = Phase::SynReceived;
                }
            }
            (Phase::SynReceived, FlowDirection::ToServer) => {
                let acked = header.ack.wrapping_sub(self.server_isn.wrapping_add(1));
                if has(Header::ACK) && acked < WINDOW {
                    self.open();
                }
            }
            (Phase::SynReceived, FlowDirection::ToClient) => {
                let sent = header.seq.wrapping_sub(self.server_isn.wrapping_add(1));
                let carries = payload > 0 || has(Header::FIN);
                if has(Header::ACK) && carries && sent < WINDOW {
                    self.open();
                }
            }
            (Phase::SynSent, _) => {}
        }
        if has(Header::FIN) {
            self.finish(direction);
        }
        before || self.established && (payload > 0 || has(Header::FIN))
    }

    fn open(&mut self) {
        self.phase = Phase::Open;
        self.established = true;
    }

    fn finish(&mut self, direction: FlowDirection) {
        if !matches!(self.phase, Phase::Open | Phase::Midstream) {
            return;
        }
        match direction {
            FlowDirection::ToServer => self.fin_from_client = true,
            FlowDirection::ToClient => self.fin_from_server = true,
        }
        if self.fin_from_client && self.fin_from_server {
            self.phase = Phase::Closed;
        }
    }
}
