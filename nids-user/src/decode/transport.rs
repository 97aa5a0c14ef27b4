//! Headers of TCP (RFC 9293), UDP (RFC 768), SCTP (RFC 9260) and ESP (RFC 4303).

use etherparse::err::tcp::HeaderSliceError;
use etherparse::{TcpHeader, TcpHeaderSlice, UdpHeaderSlice};

use super::event::{Event, Events};
use super::packet::{Esp, Packet, Sctp, Tcp, Transport, Udp};

/// IP protocol number of ICMP.
pub const ICMPV4: u8 = 1;
/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;
/// IP protocol number of ESP.
pub const ESP: u8 = 50;
/// IP protocol number of SCTP.
pub const SCTP: u8 = 132;
/// IP protocol number of ICMPv6.
pub const ICMPV6: u8 = 58;

/// Reads a TCP header; `data` ends where the IP header says.
#[inline]
pub fn tcp<'a>(packet: &mut Packet<'a>, data: &'a [u8]) {
    let header = match TcpHeaderSlice::from_slice(data) {
        Ok(header) => header,
        Err(error) => {
            packet.events.raise(match error {
                HeaderSliceError::Len(_) if data.len() < TcpHeader::MIN_LEN => Event::TcpTooSmall,
                HeaderSliceError::Len(_) => Event::TcpHeaderLengthTooSmall,
                HeaderSliceError::Content(_) => Event::TcpInvalidOptionLength,
            });
            return;
        }
    };
    // By far the most common list: two no-operations and timestamps (RFC 7323, appendix A).
    let list = header.options();
    if !matches!(list, [] | [1, 1, 8, 10, _, _, _, _, _, _, _, _]) {
        options(&mut packet.events, list);
    }
    let [.., flags, _, _, _, _, _, _] = *header.slice().first_chunk::<20>().unwrap_or(&[0; 20]);
    packet.payload = data.get(header.slice().len()..).unwrap_or_default();
    packet.transport = Transport::Tcp(Tcp {
        header: header.slice(),
        source: header.source_port(),
        destination: header.destination_port(),
        seq: header.sequence_number(),
        ack: header.acknowledgment_number(),
        flags,
        window: header.window_size(),
        urgent: header.urgent_pointer(),
    });
}

/// Raises what is wrong in an option list.
fn options(events: &mut Events, mut list: &[u8]) {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const MAXIMUM_SEGMENT_SIZE: u8 = 2;
    const WINDOW_SCALE: u8 = 3;
    const SACK_PERMITTED: u8 = 4;
    const SACK: u8 = 5;
    const TIMESTAMPS: u8 = 8;

    let mut seen = 0_u16;
    while let Some((&kind, rest)) = list.split_first() {
        match kind {
            END => return,
            NO_OPERATION => {
                list = rest;
                continue;
            }
            _ => {}
        }
        // One byte of padding at the end is let by.
        let Some(&length) = rest.first() else { return };
        let length = usize::from(length);
        let Some(rest) = list.get(length..).filter(|_| length > 1) else {
            events.raise(Event::TcpOptionInvalidLength);
            return;
        };
        list = rest;
        let fits = match kind {
            MAXIMUM_SEGMENT_SIZE => length == 4,
            WINDOW_SCALE => length == 3,
            SACK_PERMITTED => length == 2,
            // One without blocks says nothing, and Suricata lets it by.
            SACK => length == 2 || ((10..=34).contains(&length) && (length - 2).is_multiple_of(8)),
            TIMESTAMPS => length == 10,
            _ => continue,
        };
        let bit = 1 << kind;
        if !fits {
            events.raise(Event::TcpOptionInvalidLength);
        } else if seen & bit != 0 {
            events.raise(Event::TcpOptionDuplicate);
        }
        seen |= bit;
    }
}

/// Reads a UDP header; `data` ends where the IP header says.
#[inline]
pub fn udp<'a>(packet: &mut Packet<'a>, data: &'a [u8]) {
    let Ok(header) = UdpHeaderSlice::from_slice(data) else {
        packet.events.raise(Event::UdpHeaderTooSmall);
        return;
    };
    let mut length = usize::from(header.length());
    // 0 says "longer than 65535" (RFC 2675, 4).
    if length == 0 && data.len() > usize::from(u16::MAX) {
        length = data.len();
    }
    if length < 8 {
        packet.events.raise(Event::UdpLengthInvalid);
        return;
    }
    if length > data.len() && !packet.is_cut() {
        packet.events.raise(Event::UdpTooSmall);
        return;
    }
    packet.payload = data.get(8..length.min(data.len())).unwrap_or_default();
    packet.transport = Transport::Udp(Udp {
        header: header.slice(),
        source: header.source_port(),
        destination: header.destination_port(),
    });
}

/// Reads an SCTP common header. The chunks are the payload.
#[cold]
pub fn sctp<'a>(packet: &mut Packet<'a>, data: &'a [u8]) {
    let Some((header, chunks)) = data.split_first_chunk::<12>() else {
        packet.events.raise(Event::SctpTooSmall);
        return;
    };
    packet.payload = chunks;
    packet.transport = Transport::Sctp(Sctp {
        header,
        source: u16::from_be_bytes([header[0], header[1]]),
        destination: u16::from_be_bytes([header[2], header[3]]),
        verification_tag: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
    });
}

/// Reads an ESP header. What is behind it is encrypted.
#[cold]
pub fn esp<'a>(packet: &mut Packet<'a>, data: &'a [u8]) {
    let Some((header, rest)) = data.split_first_chunk::<8>() else {
        packet.events.raise(Event::EspTooSmall);
        return;
    };
    packet.payload = rest;
    packet.transport = Transport::Esp(Esp {
        spi: u32::from_be_bytes([header[0], header[1], header[2], header[3]]),
        sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
    });
}
