//! What the kernel knows a flow by: [`FlowParts`], from addresses or from a decoded packet.

use std::net::IpAddr;

use nids_abi::{ShuntKey, pair_word, shunt_slot, vlan_word};

use crate::decode::{Ip, Packet, Transport};

/// What the kernel knows a flow by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowParts {
    addresses: [[u32; 4]; 2],
    ports: [u16; 2],
    vlan: u64,
    ip_proto: u8,
    version: u8,
}

/// Protocols whose flows can be shunted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl FlowParts {
    /// The flow from the first end to the second, with its VLAN ids, outermost first; the kernel knows of
    /// three. `None` where the addresses are not of one IP version, or there are more ids.
    pub fn new(
        protocol: Protocol,
        ends: [(IpAddr, u16); 2],
        vlan_ids: impl IntoIterator<Item = u16>,
    ) -> Option<Self> {
        let [(first, first_port), (second, second_port)] = ends;
        if first.is_ipv4() != second.is_ipv4() {
            return None;
        }
        let mut vlan = 0;
        for (place, id) in vlan_ids.into_iter().enumerate() {
            if place >= 3 {
                return None;
            }
            vlan |= vlan_word(id) << (16 * place);
        }
        Some(Self {
            addresses: [words(first), words(second)],
            ports: [first_port, second_port],
            vlan,
            ip_proto: match protocol {
                Protocol::Tcp => 6,
                Protocol::Udp => 17,
            },
            version: if first.is_ipv4() { 4 } else { 6 },
        })
    }

    /// The flow of a packet, from its source to its destination; `None` where it is neither TCP nor UDP,
    /// or a fragment.
    pub fn of(packet: &Packet<'_>) -> Option<Self> {
        let (protocol, ports) = match &packet.transport {
            Transport::Tcp(tcp) => (Protocol::Tcp, [tcp.source, tcp.destination]),
            Transport::Udp(udp) => (Protocol::Udp, [udp.source, udp.destination]),
            _ => return None,
        };
        let [source, destination] = match packet.ip.as_ref()? {
            Ip::V4(ip) => [ip.source, ip.destination].map(IpAddr::from),
            Ip::V6(ip) => [ip.source, ip.destination].map(IpAddr::from),
        };
        let [source_port, destination_port] = ports;
        let ends = [(source, source_port), (destination, destination_port)];
        Self::new(protocol, ends, packet.vlan.ids())
    }

    /// The same flow from its other end: whose packets count as the first end's is told by this.
    #[must_use]
    pub fn reversed(self) -> Self {
        let Self { addresses: [first, second], ports: [from, to], .. } = self;
        Self { addresses: [second, first], ports: [to, from], ..self }
    }

    pub(super) fn key(&self) -> ShuntKey {
        ShuntKey::new(self.addresses, self.ports, self.vlan, self.ip_proto, self.version)
    }

    /// Its place in a table with so many slots for each worker.
    pub(super) fn slot(&self, seed: u64, workers: u32, slots: u32) -> u32 {
        let word = pair_word(seed, self.addresses);
        shunt_slot(word, self.ports, self.ip_proto, workers, slots)
    }
}

/// The address as it lies in the header, in the machine's words.
fn words(address: IpAddr) -> [u32; 4] {
    let mut bytes = [0; 16];
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            return [u32::from_ne_bytes([a, b, c, d]), 0, 0, 0];
        }
        IpAddr::V6(address) => bytes.copy_from_slice(&address.octets()),
    }
    let (words, _) = bytes.as_chunks();
    let mut all = [0; 4];
    for (word, bytes) in all.iter_mut().zip(words) {
        *word = u32::from_ne_bytes(*bytes);
    }
    all
}
