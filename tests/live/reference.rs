//! What the kernel programs must decide, written as plainly as possible and apart from their code:
//! slices instead of pointers, the whole frame at hand, no thought for speed or for a verifier.

use nids_abi::{FilterTable, Reason, pair_hash, pair_word};

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Source and destination port, SYN or FIN or RST, payload.
    Tcp(u16, u16, bool, bool),
    /// Source and destination port, payload.
    Udp(u16, u16, bool),
    Icmp4(u8),
    Icmp6(u8),
    Other(u8),
    Fragment,
    Unjudged,
    NonIp,
}

/// What a frame is, and what the record says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub kind: Kind,
    /// The IP header, where one can be read.
    pub ip: Option<Ip>,
    /// Where the transport header begins, where that could be judged.
    pub l4: Option<usize>,
    /// VLAN ids in the frame.
    pub vlan: Vec<u16>,
    /// Flags of the TCP segment.
    pub tcp_flags: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ip {
    pub offset: usize,
    pub v6: bool,
    pub source: Vec<u8>,
    pub destination: Vec<u8>,
    pub protocol: u8,
}

/// A flow, from one of its ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    pub source: (Vec<u8>, u16),
    pub destination: (Vec<u8>, u16),
    pub protocol: u8,
    pub vlan: Vec<u16>,
}

impl Flow {
    /// The same flow from its other end.
    pub fn reversed(&self) -> Self {
        let Self { source, destination, .. } = self.clone();
        Self { source: destination, destination: source, ..self.clone() }
    }
}

const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const TUNNELS: [u16; 13] = [
    0x6558, 0x880b, 0x8847, 0x8848, 0x8864, 0x8903, 0x8909, 0x88e5, 0x88e7, 0x8926, 0x893f, 0x894f,
    0x22f3,
];

impl Judgement {
    /// Judges a whole frame.
    pub fn of(frame: &[u8]) -> Self {
        let mut judgement =
            Self { kind: Kind::Unjudged, ip: None, l4: None, vlan: Vec::new(), tcp_flags: 0 };
        if let Some(kind) = judgement.ethernet(frame) {
            judgement.kind = kind;
        }
        judgement
    }

    /// `None` wherever the frame ends too early or contradicts itself.
    fn ethernet(&mut self, frame: &[u8]) -> Option<Kind> {
        let mut at = 12;
        let mut tags = 0;
        loop {
            let ether_type = be16(frame, at)?;
            at += 2;
            if TAGS.contains(&ether_type) {
                if tags == 2 {
                    return None;
                }
                tags += 1;
                self.vlan.extend(be16(frame, at).map(|tci| tci % 4096));
                at += 2;
                continue;
            }
            return match ether_type {
                0x0800 => self.ipv4(frame, at),
                0x86dd => self.ipv6(frame, at),
                0..0x0600 => None,
                tunnel if TUNNELS.contains(&tunnel) => None,
                _ => Some(Kind::NonIp),
            };
        }
    }

    fn ipv4(&mut self, frame: &[u8], at: usize) -> Option<Kind> {
        let fixed = frame.get(at..at + 20)?;
        let header_len = usize::from(fixed[0] % 16) * 4;
        if fixed[0] / 16 != 4 || header_len < 20 {
            return None;
        }
        self.ip = Some(Ip {
            offset: at,
            v6: false,
            source: fixed[12..16].to_vec(),
            destination: fixed[16..20].to_vec(),
            protocol: fixed[9],
        });
        let more_fragments = fixed[6] & 0x20 != 0;
        let fragment_offset = u16::from_be_bytes([fixed[6] & 0x1f, fixed[7]]);
        if more_fragments || fragment_offset != 0 {
            return Some(Kind::Fragment);
        }
        let total = usize::from(be16(fixed, 2)?);
        let end = if total == 0 { frame.len() } else { at + total };
        self.transport(frame, at + header_len, end)
    }

    fn ipv6(&mut self, frame: &[u8], at: usize) -> Option<Kind> {
        let fixed = frame.get(at..at + 40)?;
        if fixed[0] / 16 != 6 {
            return None;
        }
        self.ip = Some(Ip {
            offset: at,
            v6: true,
            source: fixed[8..24].to_vec(),
            destination: fixed[24..40].to_vec(),
            protocol: fixed[6],
        });
        let length = usize::from(be16(fixed, 4)?);
        let end = if length == 0 { frame.len() } else { at + 40 + length };
        let mut next = fixed[6];
        let mut at = at + 40;
        let mut passed = 0;
        while [0, 43, 44, 51, 60].contains(&next) {
            if passed == 6 {
                return None;
            }
            passed += 1;
            let extension = next;
            next = *frame.get(at)?;
            let length = *frame.get(at + 1)?;
            if extension == 44 {
                let offset_and_more = be16(frame, at + 2)?;
                self.ip.as_mut()?.protocol = next;
                if offset_and_more >> 3 != 0 || offset_and_more & 1 != 0 {
                    return Some(Kind::Fragment);
                }
            }
            self.ip.as_mut()?.protocol = next;
            at += match extension {
                44 => 8,
                51 => (usize::from(length) + 2) * 4,
                _ => (usize::from(length) + 1) * 8,
            };
        }
        self.transport(frame, at, end)
    }

    fn transport(&mut self, frame: &[u8], at: usize, end: usize) -> Option<Kind> {
        let ip = self.ip.clone()?;
        // The bytes of the datagram: neither behind the frame nor behind what the header gives.
        let datagram = frame.get(..end.min(frame.len()))?;
        let (kind, header) = match (ip.protocol, ip.v6) {
            (6, _) => {
                // That the fixed header lies in the frame is asked first, and only then how long the
                // whole header says to be.
                let fixed = frame.get(at..at + 20)?;
                let header = usize::from(fixed[12] / 16) * 4;
                if header < 20 {
                    return None;
                }
                let control = fixed[13] & 0b111 != 0;
                self.tcp_flags = fixed[13];
                let payload = end > at + header;
                (Kind::Tcp(be16(fixed, 0)?, be16(fixed, 2)?, control, payload), header)
            }
            (17, _) => {
                let payload = end > at + 8;
                (Kind::Udp(be16(frame, at)?, be16(frame, at + 2)?, payload), 8)
            }
            (1, false) => (Kind::Icmp4(*frame.get(at)?), 4),
            (58, true) => (Kind::Icmp6(*frame.get(at)?), 4),
            (other, _) => (Kind::Other(other), 0),
        };
        datagram.get(at..at + header)?;
        self.l4 = Some(at);
        Some(kind)
    }

    /// The counter that must move when `table` is in force.
    pub fn reason(&self, table: &FilterTable) -> Reason {
        let level = |port: u16, shift: u8| (table.ports[usize::from(port)] >> shift) & 3;
        let pick = |wanted: bool, yes, no| if wanted { yes } else { no };
        let wants = |level: u8, control: bool, payload: bool| match level {
            0 => false,
            1 => control,
            2 => control || payload,
            _ => true,
        };
        match self.kind {
            Kind::Tcp(source, destination, control, payload) => {
                let wanted = wants(level(source, 0), control, payload)
                    || wants(level(destination, 2), control, payload);
                pick(wanted, Reason::Wanted, Reason::TcpLevel)
            }
            Kind::Udp(source, destination, payload) => {
                let wanted = wants(level(source, 4), false, payload)
                    || wants(level(destination, 6), false, payload);
                pick(wanted, Reason::Wanted, Reason::UdpLevel)
            }
            Kind::Icmp4(kind) => {
                pick(table.icmp4[usize::from(kind)] != 0, Reason::Wanted, Reason::IcmpType)
            }
            Kind::Icmp6(kind) => {
                pick(table.icmp6[usize::from(kind)] != 0, Reason::Wanted, Reason::IcmpType)
            }
            Kind::Other(number) => {
                pick(table.ip_proto[usize::from(number)] != 0, Reason::Wanted, Reason::IpProto)
            }
            Kind::Fragment => {
                pick(table.fragments != 0, Reason::Fragment, Reason::FragmentUnwanted)
            }
            Kind::Unjudged => pick(table.unjudged != 0, Reason::Unjudged, Reason::UnjudgedUnwanted),
            Kind::NonIp => pick(table.non_ip != 0, Reason::WantedNonIp, Reason::NonIp),
        }
    }

    /// The flow as the flow table knows it, from source to destination: all that sets it apart from
    /// others. Only a wanted frame has one, of TCP or UDP.
    pub fn flow(&self) -> Option<Flow> {
        let ip = self.ip.as_ref()?;
        let (Kind::Tcp(source, destination, ..) | Kind::Udp(source, destination, _)) = self.kind
        else {
            return None;
        };
        Some(Flow {
            source: (ip.source.clone(), source),
            destination: (ip.destination.clone(), destination),
            protocol: ip.protocol,
            vlan: self.vlan.clone(),
        })
    }

    /// The hash of the two addresses, by the contract's function.
    pub fn hash(&self, seed: u64) -> u32 {
        self.word(seed).map_or(0, pair_hash)
    }

    /// The same, longer.
    pub fn word(&self, seed: u64) -> Option<u64> {
        let ip = self.ip.as_ref()?;
        let address = |address: &[u8]| {
            let mut words = [0; 4];
            for (word, bytes) in words.iter_mut().zip(address.chunks(4)) {
                *word = u32::from_ne_bytes(bytes.try_into().expect("four bytes"));
            }
            words
        };
        Some(pair_word(seed, [address(&ip.source), address(&ip.destination)]))
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}
