//! Packets as a capture file holds them: pcapng (draft-ietf-opsawg-pcapng), which names interfaces, has
//! nanoseconds, and can say beside a packet which rules it raised. tcpdump and Wireshark read it.
//!
//! A section (its header and all interfaces known so far) begins each file, and begins anew where another
//! interface turns up or something before was lost: so a packet never refers to what is not there.
//! Programs on libpcap read a file only where all its interfaces have one link type: so it is for live
//! traffic.

use std::sync::Arc;

use super::record::CapturedPacket;
use crate::capture::{Direction, LinkType};
use crate::detect::alert::RuleInfo;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;

const COMMENT: u16 = 1;
const NAME: u16 = 2;
const FLAGS: u16 = 2;
const APPLICATION: u16 = 4;
const RESOLUTION: u16 = 9;

/// Interfaces that are told apart, at most; packets of further ones count for the first.
const MAX_INTERFACES: usize = 1024;

/// Writes packets.
#[derive(Debug, Default)]
pub(super) struct PcapNg {
    interfaces: Vec<(Option<Arc<str>>, LinkType)>,
    /// The interfaces are to be told before the next packet.
    restate: bool,
}

impl PcapNg {
    /// Appends one packet, and what has to stand before it.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, packet: &CapturedPacket) {
        let same = |one: &(Option<Arc<str>>, LinkType)| {
            (&one.0, one.1) == (&packet.interface, packet.link)
        };
        let id = match self.interfaces.iter().position(same) {
            Some(id) => id,
            None if self.interfaces.len() < MAX_INTERFACES => {
                self.interfaces.push((packet.interface.clone(), packet.link));
                self.restate = true;
                self.interfaces.len() - 1
            }
            None => 0,
        };
        if std::mem::take(&mut self.restate) {
            self.section(out);
        }
        block(out, PACKET, |out| {
            let [high, low] = [packet.time.0 >> 32, packet.time.0 & u64::from(u32::MAX)];
            let captured = packet.bytes.len();
            for word in [id as u64, high, low, captured as u64, packet.wire_len.into()] {
                out.extend_from_slice(&(word as u32).to_le_bytes());
            }
            out.extend_from_slice(&packet.bytes);
            pad(out, captured);
            if packet.interface.is_some() {
                let way: u32 = match packet.direction {
                    Direction::Ingress => 1,
                    Direction::Egress => 2,
                };
                option(out, FLAGS, &way.to_le_bytes());
            }
            for rule in &packet.alerts {
                option(out, COMMENT, comment(rule).as_bytes());
            }
            if packet.interface.is_some() || !packet.alerts.is_empty() {
                end_of_options(out);
            }
        });
    }

    /// What a file begins with; nothing as long as no interface is known.
    pub(super) fn begin(&self, out: &mut Vec<u8>) {
        if !self.interfaces.is_empty() {
            self.section(out);
        }
    }

    /// Something that was written is lost.
    pub(super) fn lost(&mut self) {
        self.restate = true;
    }

    fn section(&self, out: &mut Vec<u8>) {
        const BYTE_ORDER: u32 = 0x1a2b_3c4d;
        const VERSION: [u16; 2] = [1, 0];
        const LENGTH_UNKNOWN: u64 = u64::MAX;
        const NANOSECONDS: u8 = 9;
        block(out, SECTION, |out| {
            out.extend_from_slice(&BYTE_ORDER.to_le_bytes());
            out.extend(VERSION.iter().flat_map(|number| number.to_le_bytes()));
            out.extend_from_slice(&LENGTH_UNKNOWN.to_le_bytes());
            option(out, APPLICATION, concat!("nids ", env!("CARGO_PKG_VERSION")).as_bytes());
            end_of_options(out);
        });
        for (name, link) in &self.interfaces {
            block(out, INTERFACE, |out| {
                out.extend_from_slice(&u32::from(link.number()).to_le_bytes());
                // No limit to the length of packets.
                out.extend_from_slice(&[0; 4]);
                if let Some(name) = name {
                    option(out, NAME, name.as_bytes());
                }
                option(out, RESOLUTION, &[NANOSECONDS]);
                end_of_options(out);
            });
        }
    }
}

fn comment(rule: &RuleInfo) -> String {
    format!("[{}:{}:{}] {}", rule.gid, rule.sid, rule.rev, rule.message)
}

/// Appends a block: its type, its length before and behind.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    const AROUND: usize = 12;
    let start = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = ((out.len() - start - 8 + AROUND) as u32).to_le_bytes();
    if let Some(place) = out.get_mut(start + 4..start + 8) {
        place.copy_from_slice(&length);
    }
    out.extend_from_slice(&length);
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let length = value.len().min(usize::from(u16::MAX));
    let value = value.get(..length).unwrap_or_default();
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(length as u16).to_le_bytes());
    out.extend_from_slice(value);
    pad(out, length);
}

fn end_of_options(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 4]);
}

/// Zeros up to the next multiple of four.
fn pad(out: &mut Vec<u8>, length: usize) {
    let zeros = length.next_multiple_of(4) - length;
    out.extend_from_slice(&[0; 3][..zeros]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Timestamp;
    use crate::capture::pcap::PcapSource;
    use proptest::prelude::*;

    fn packet(interface: Option<&str>, link: LinkType, bytes: &[u8]) -> CapturedPacket {
        CapturedPacket {
            time: Timestamp(1_795_485_784_123_456_789),
            interface: interface.map(Arc::from),
            direction: Direction::Egress,
            link,
            wire_len: bytes.len() as u32 + 7,
            bytes: bytes.into(),
            alerts: Vec::new(),
        }
    }

    fn read_back(bytes: &[u8]) -> Vec<(u64, LinkType, Vec<u8>, u32, Direction)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pcapng");
        std::fs::write(&path, bytes).unwrap();
        let mut source = PcapSource::open(&path).unwrap();
        let mut found = Vec::new();
        while let Some(frame) = source.next().unwrap() {
            let data = frame.data.to_vec();
            found.push((frame.time.0, frame.link, data, frame.wire_len, frame.direction));
        }
        assert_eq!(source.cut_at(), None);
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever the packets and interfaces, wherever a file begins or something is lost: what is in a
        /// file reads back as it was.
        #[test]
        fn reads_back(
            packets in prop::collection::vec(
                (0_u8..4, any::<bool>(), prop::collection::vec(any::<u8>(), 0..70), 0_u8..10),
                1..20,
            ),
        ) {
            let mut writer = PcapNg::default();
            let (mut files, mut expected) = (vec![Vec::new()], vec![Vec::new()]);
            for (interface, raw, bytes, event) in &packets {
                let name = format!("eth{interface}");
                let link = if *raw { LinkType::RawIp } else { LinkType::Ethernet };
                let one = packet((*interface > 0).then_some(&name), link, bytes);
                let mut out = Vec::new();
                writer.write(&mut out, &one);
                match event {
                    // Put away: the next file begins before this packet.
                    0 => {
                        files.push(Vec::new());
                        expected.push(Vec::new());
                        writer.begin(files.last_mut().unwrap());
                    }
                    // It is lost.
                    1 => {
                        writer.lost();
                        continue;
                    }
                    _ => {}
                }
                files.last_mut().unwrap().extend_from_slice(&out);
                let way = if *interface > 0 { Direction::Egress } else { Direction::Ingress };
                let wire = bytes.len() as u32 + 7;
                expected.last_mut().unwrap().push((one.time.0, link, bytes.clone(), wire, way));
            }
            for (file, expected) in files.iter().zip(&expected) {
                if !expected.is_empty() {
                    prop_assert_eq!(&read_back(file), expected);
                }
            }
        }
    }
}
