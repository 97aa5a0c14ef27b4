//! From the bytes of a frame to a [`Packet`]: link layer, VLAN tags, network, transport, payload.
//!
//! Nothing in here fails: what a header cannot say is left out of the packet and raised as an
//! [`event::Event`], since malformed traffic is what a sensor is there to see. Fragments, flows and
//! streams are left to later stages.
//!
//! A datagram ends where its IP header says, so the padding of a short Ethernet frame is never payload.
//! A length that reaches beyond the frame makes the packet one without network layer, as a host drops
//! it unseen; but where the source cut the frame (a snap length), what is there is decoded.
//!
//! The layers are walked here, over etherparse's header slices, and not with its `LaxSlicedPacket`:
//! 18 to 23 ns against 62 to 82 ns a packet (mixed IPv4, IPv6, VLAN, TCP, UDP and ICMP on one shared
//! core), and each malformation has to be told by its own name. etherparse also builds the packets
//! that the tests compare with.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

pub mod checksum;
pub mod event;
mod icmp;
mod ipv4;
mod ipv6;
mod link;
pub mod packet;
mod transport;

#[cfg(test)]
mod tests;

pub use event::{Event, Events};
pub use packet::{Icmp, Ip, Ipv4, Ipv6, Ipv6Fragment, Packet, Tcp, Transport, Udp, VlanTags};

use crate::capture::{Frame, LinkType};
use link::Next;

/// Decodes one frame. All slices of the packet lie inside `frame.data`.
#[inline]
pub fn decode<'a>(frame: &Frame<'a>) -> Packet<'a> {
    let mut packet = Packet {
        frame: *frame,
        ether_type: 0,
        vlan: VlanTags::default(),
        ip: None,
        transport: Transport::None,
        payload: frame.data,
        events: Events::default(),
    };
    if let Some(tci) = frame.vlan_offload {
        packet.vlan.push(tci);
    }
    let next = match frame.link {
        LinkType::Ethernet => link::ethernet(&mut packet, frame.data),
        LinkType::RawIp => link::raw(&mut packet, frame.data),
        LinkType::Null => link::null(&mut packet, frame.data),
        LinkType::LinuxSll => link::sll(&mut packet, frame.data),
        LinkType::LinuxSll2 => link::sll2(&mut packet, frame.data),
        LinkType::Ppp => link::ppp(&mut packet, frame.data),
    };
    match next {
        Next::Ipv4(data) => ipv4::decode(&mut packet, data),
        Next::Ipv6(data) => ipv6::decode(&mut packet, data),
        Next::Other(data) => packet.payload = data,
    }
    packet
}
