//! From the bytes of a frame to a [`Packet`]: link layer, VLAN tags, network, transport, payload.
//!
//! Nothing in here fails: what a header cannot say is left out of the packet and raised as an
//! [`event::Event`], since malformed traffic is what a sensor is there to see. Fragments, flows and
//! streams are left to later stages.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

pub mod event;
pub mod packet;

pub use packet::{Ip, Ipv4, Ipv6, Packet, Tcp, Transport, Udp};
