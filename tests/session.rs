//! Packets and capture files made here: what the tests of the engine and of `nids read` work on.

use std::net::IpAddr;

use etherparse::{PacketBuilder, VlanId};

/// One end of a connection.
#[derive(Clone, Copy)]
pub struct End {
    pub address: IpAddr,
    pub port: u16,
}

pub fn end(address: &str, port: u16) -> End {
    End { address: address.parse().unwrap(), port }
}

/// Frames in order.
#[derive(Default)]
pub struct Session {
    pub frames: Vec<Vec<u8>>,
    vlan: Option<u16>,
}

pub const SYN: u8 = 2;
pub const ACK: u8 = 16;
pub const FIN: u8 = 1;

impl Session {
    pub fn in_vlan(id: u16) -> Self {
        Self { vlan: Some(id), ..Self::default() }
    }

    /// One segment.
    pub fn tcp(&mut self, from: End, to: End, flags: u8, seq: u32, ack: u32, payload: &[u8]) {
        let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let mut out = Vec::new();
        macro_rules! finish {
            ($step:expr) => {{
                let mut step = match (from.address, to.address) {
                    (IpAddr::V4(a), IpAddr::V4(b)) => $step.ipv4(a.octets(), b.octets(), 64),
                    (IpAddr::V6(a), IpAddr::V6(b)) => $step.ipv6(a.octets(), b.octets(), 64),
                    _ => panic!("two families in one connection"),
                }
                .tcp(from.port, to.port, seq, 64_000);
                if flags & SYN != 0 {
                    step = step.syn();
                }
                if flags & FIN != 0 {
                    step = step.fin();
                }
                if flags & ACK != 0 {
                    step = step.ack(ack);
                }
                step.write(&mut out, payload).unwrap();
            }};
        }
        match self.vlan {
            Some(id) => finish!(link.single_vlan(VlanId::try_new(id).unwrap())),
            None => finish!(link),
        }
        self.frames.push(out);
    }

    /// A whole connection: handshake, one request, one answer, the end.
    pub fn exchange(&mut self, client: End, server: End, request: &[u8], answer: &[u8]) {
        let (asked, told) = (request.len() as u32, answer.len() as u32);
        self.tcp(client, server, SYN, 100, 0, b"");
        self.tcp(server, client, SYN | ACK, 700, 101, b"");
        self.tcp(client, server, ACK, 101, 701, b"");
        self.tcp(client, server, ACK, 101, 701, request);
        self.tcp(server, client, ACK, 701, 101 + asked, answer);
        self.tcp(client, server, FIN | ACK, 101 + asked, 701 + told, b"");
        self.tcp(server, client, FIN | ACK, 701 + told, 102 + asked, b"");
        self.tcp(client, server, ACK, 102 + asked, 702 + told, b"");
    }

    /// A classic capture file, a millisecond between the frames.
    pub fn pcap(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1_u32] {
            out.extend(word.to_le_bytes());
        }
        for (i, frame) in self.frames.iter().enumerate() {
            let length = frame.len() as u32;
            for word in [1_700_000_000, i as u32 * 1000, length, length] {
                out.extend(word.to_le_bytes());
            }
            out.extend(frame);
        }
        out
    }
}
