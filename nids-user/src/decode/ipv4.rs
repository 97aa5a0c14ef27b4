//! IPv4 (RFC 791): header, lengths, options. Leaves reassembly to a later stage.

use etherparse::err::ipv4::{HeaderError, HeaderSliceError};
use etherparse::{Ipv4Header, Ipv4HeaderSlice};

use super::event::{Event, Events};
use super::packet::{Ip, Ipv4, Packet, Transport};
use super::transport;

/// Frames up to here fit an Ethernet link, so a length field of 0 in one is no offload's doing.
const ETHERNET_FRAME: u32 = 1518;

/// Reads the header at the start of `data`. What a host would drop unseen (a length that lies, no
/// room for the header) gives a packet without network layer, and the event that says why.
#[inline]
pub fn decode<'a>(packet: &mut Packet<'a>, data: &'a [u8]) {
    packet.payload = data;
    let header = match Ipv4HeaderSlice::from_slice(data) {
        Ok(header) => header,
        Err(error) => {
            packet.events.raise(match error {
                HeaderSliceError::Len(_) if data.len() < Ipv4Header::MIN_LEN => Event::Ipv4TooSmall,
                HeaderSliceError::Len(_) => Event::Ipv4Truncated,
                HeaderSliceError::Content(HeaderError::UnexpectedVersion { .. }) => {
                    Event::Ipv4WrongVersion
                }
                HeaderSliceError::Content(HeaderError::HeaderLengthSmallerThanHeader {
                    ..
                }) => Event::Ipv4HeaderLengthTooSmall,
            });
            return;
        }
    };
    let header_length = header.slice().len();
    let mut total_length = usize::from(header.total_len());
    if total_length == 0 {
        // Segmentation offload leaves the length to the NIC: the packet fills the frame.
        total_length = data.len();
        if packet.frame.wire_len <= ETHERNET_FRAME {
            packet.events.raise(Event::Ipv4LengthSmallerThanHeader);
            return;
        }
    }
    if total_length < header_length {
        packet.events.raise(Event::Ipv4LengthSmallerThanHeader);
        return;
    }
    if total_length > data.len() {
        packet.events.raise(Event::Ipv4Truncated);
        // Cut by the source: look at what there is. Else the length lies, and no host takes it.
        if !packet.is_cut() {
            return;
        }
    }
    let datagram = data.get(..total_length).unwrap_or(data);
    let body = datagram.get(header_length..).unwrap_or_default();
    let list = header.options();
    if !list.is_empty() {
        options(&mut packet.events, list);
    }

    let [_, tos, _, _, _, _, flags, ..] = *header.slice() else { return };
    let ip = Ipv4 {
        header: header.slice(),
        source: header.source_addr(),
        destination: header.destination_addr(),
        ttl: header.ttl(),
        protocol: header.protocol().0,
        id: header.identification(),
        tos,
        fragment_offset: header.fragments_offset().value() << 3,
        more_fragments: header.more_fragments(),
        dont_fragment: header.dont_fragment(),
        reserved: flags & 0x80 != 0,
    };
    let fragment = ip.more_fragments || ip.fragment_offset != 0;
    packet.ip = Some(Ip::V4(ip));
    packet.payload = body;
    if fragment {
        return;
    }
    match ip.protocol {
        transport::TCP => transport::tcp(packet, body),
        transport::UDP => transport::udp(packet, body),
        transport::ICMPV4 => super::icmp::v4(packet, body),
        transport::SCTP => transport::sctp(packet, body),
        transport::ESP => transport::esp(packet, body),
        other => {
            if other == transport::ICMPV6 {
                packet.events.raise(Event::Ipv4WithIcmpv6);
            }
            packet.transport = Transport::Other;
        }
    }
}

/// Raises what is wrong in an option list. Nothing is kept: the list stays in the header.
#[cold]
fn options(events: &mut Events, mut list: &[u8]) {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;

    if !list.len().is_multiple_of(8) {
        events.raise(Event::Ipv4OptionPadRequired);
    }
    // Option numbers have five bits behind copy flag and class: one bit each.
    let mut seen = 0_u32;
    while let Some((&kind, rest)) = list.split_first() {
        match kind {
            END => return,
            NO_OPERATION => {
                list = rest;
                continue;
            }
            _ => {}
        }
        let Some(&length) = rest.first() else {
            events.raise(Event::Ipv4OptionEolRequired);
            return;
        };
        let Some((option, rest)) =
            list.split_at_checked(usize::from(length)).filter(|_| length > 1)
        else {
            events.raise(Event::Ipv4OptionInvalidLength);
            return;
        };
        list = rest;
        let bit = 1 << (kind & 0x1f);
        match validate(kind, option) {
            Err(Event::Ipv4OptionInvalid) => events.raise(Event::Ipv4OptionInvalid),
            _ if seen & bit != 0 => events.raise(Event::Ipv4OptionDuplicate),
            Err(event) => {
                events.raise(event);
                return;
            }
            Ok(()) => seen |= bit,
        }
    }
}

/// Checks one option, `option` being all of it with type and length.
fn validate(kind: u8, option: &[u8]) -> Result<(), Event> {
    const RECORD_ROUTE: u8 = 7;
    const QUICK_START: u8 = 25;
    const TIMESTAMP: u8 = 68;
    const SECURITY: u8 = 130;
    const LOOSE_ROUTE: u8 = 131;
    const CIPSO: u8 = 134;
    const STREAM_ID: u8 = 136;
    const STRICT_ROUTE: u8 = 137;
    const ROUTER_ALERT: u8 = 148;

    let length_if = |good: bool| if good { Ok(()) } else { Err(Event::Ipv4OptionInvalidLength) };
    let pointer = option.get(2).copied().map_or(0, usize::from);
    let shape_if = |good: bool| if good { Ok(()) } else { Err(Event::Ipv4OptionMalformed) };
    match kind {
        // The pointer counts from 1 and steps from address to address.
        RECORD_ROUTE | LOOSE_ROUTE | STRICT_ROUTE => {
            length_if(option.len() >= 3)?;
            shape_if(pointer >= 4 && pointer % 4 == 0 && pointer <= option.len() + 1)
        }
        TIMESTAMP => {
            length_if(option.len() >= 5)?;
            let record = match option.get(3).map(|byte| byte & 0x0f) {
                Some(1 | 3) => 8,
                _ => 4,
            };
            shape_if(
                pointer.checked_sub(5).is_some_and(|at| at % record == 0)
                    && pointer <= option.len() + 1,
            )
        }
        QUICK_START => length_if(option.len() >= 8),
        SECURITY => length_if(option.len() == 11),
        STREAM_ID | ROUTER_ALERT => length_if(option.len() == 4),
        CIPSO => {
            length_if(option.len() >= 10)?;
            shape_if(cipso_tags(option.get(6..).unwrap_or_default()))
        }
        _ => Err(Event::Ipv4OptionInvalid),
    }
}

/// Whether the tags of a CIPSO option (FIPS 188) are whole and of known types.
fn cipso_tags(mut tags: &[u8]) -> bool {
    while let [kind, length, ..] = tags {
        let Some((tag, rest)) = tags.split_at_checked(usize::from(*length)) else { return false };
        // The third byte is alignment, always 0, but in tag 7.
        let well_formed = match (kind, tag) {
            (7, [_, _, _, _, ..]) => true,
            (1 | 2 | 5 | 6, [_, _, alignment, _, ..]) => *alignment == 0,
            _ => false,
        };
        if !well_formed {
            return false;
        }
        tags = rest;
    }
    tags.is_empty()
}
