//! Signature groups: which signatures are worth a look for a packet, by protocol, direction and port.
//!
//! For each of TCP, UDP, SCTP and the rest, and for each direction, a signature stands in one place: under its
//! ports where it names few (those of the destination, or else of the source), or else in the group of
//! all packets. A packet so has at most three groups. Ports with the same signatures share one group,
//! and groups with the same signatures are built once for all directions and protocols, so memory goes
//! by the number of rules, not of ports.

use std::collections::HashMap;
use std::sync::Arc;

use crate::decode::{Packet, Transport};
use crate::flow::FlowDirection;
use crate::rule::port::PortSet;

use super::buffer::Buffer;
use super::gate::Gate;
use super::interest::Interest;
use super::prefilter::Prefilter;
use super::protocol::{ESP, ICMP, ICMPV6, SCTP, TCP, UDP, number};
use super::signature::{FastPattern, Payload, Signature};
use super::transform::Transform;

/// Ports up to which a signature is filed under each of them.
const FEW_PORTS: usize = 64;

/// Signatures that are tried together.
#[derive(Debug)]
pub struct Group {
    /// Those with a fast pattern, by where it is sought. A signature may be in two.
    pub prefilters: Box<[(Scanned, Prefilter)]>,
    /// Those without, by a test that few packets pass.
    pub gated: Box<[(Gate, Box<[u32]>)]>,
    /// Those with neither: tried on each packet.
    pub always: Box<[u32]>,
    /// Those without that ask for events: tried on packets that have any.
    pub of_events: Box<[u32]>,
    /// Of these, the ones with contents that are inspected in streams: tried on each piece of stream.
    pub always_in_stream: Box<[u32]>,
    /// Those that every packet of a flow can matter to.
    pub lasting: Box<[u32]>,
    /// Those to which one can until the stream was shown to its depth.
    pub streaming: Box<[u32]>,
}

/// What a prefilter scans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// The payload of each packet, for signatures that look at packets.
    Packet,
    /// Streams, and the payload of packets that are part of none.
    Stream,
    /// A header of each packet.
    Header(Buffer),
    /// What comes of a header through these transforms.
    Transformed(Buffer, Box<[Transform]>),
}

/// Which table a packet belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Tcp,
    Udp,
    Icmp,
    Sctp,
    Other,
}

impl Class {
    const ALL: [Self; 5] = [Self::Tcp, Self::Udp, Self::Icmp, Self::Sctp, Self::Other];

    fn takes(self, signature: &Signature) -> bool {
        let numbers = &signature.protocol.numbers;
        let has_ports = signature.source_port.is_some() || signature.destination_port.is_some();
        match self {
            Self::Tcp => numbers.contains(TCP),
            Self::Udp => numbers.contains(UDP),
            Self::Icmp => !has_ports && (numbers.contains(ICMP) || numbers.contains(ICMPV6)),
            Self::Sctp => numbers.contains(SCTP),
            // Of these, ESP alone has a payload that is known.
            Self::Other => !has_ports && (signature.payload.is_none() || numbers.contains(ESP)),
        }
    }
}

/// All groups of a ruleset.
#[derive(Debug)]
pub struct Groups {
    /// By class, then direction.
    tables: [[Table; 2]; 5],
    groups: Box<[Group]>,
}

/// Index into the groups.
pub type GroupId = u32;
const NO_GROUP: GroupId = GroupId::MAX;

#[derive(Debug, Default)]
struct Table {
    by_destination: PortMap,
    by_source: PortMap,
    for_all: Option<GroupId>,
}

impl Groups {
    /// Files these signatures, whose numbers are in ascending order.
    pub fn new(signatures: &[Signature], members: &[u32]) -> Self {
        let mut builder = Builder { signatures, members, ids: HashMap::new(), groups: Vec::new() };
        let mut tables = <[[Table; 2]; 5]>::default();
        for (class, directions) in Class::ALL.into_iter().zip(&mut tables) {
            let directions =
                [FlowDirection::ToServer, FlowDirection::ToClient].iter().zip(directions);
            for (direction, table) in directions {
                *table = builder.table(class, *direction);
            }
        }
        Self { tables, groups: builder.groups.into() }
    }

    /// The groups for a packet that goes this way; one without flow counts as to the server.
    #[inline]
    pub fn of(&self, packet: &Packet<'_>, direction: FlowDirection) -> [Option<GroupId>; 3] {
        let (class, ports) = match &packet.transport {
            Transport::Tcp(tcp) => (Class::Tcp, Some((tcp.source, tcp.destination))),
            Transport::Udp(udp) => (Class::Udp, Some((udp.source, udp.destination))),
            Transport::Icmpv4(_) | Transport::Icmpv6(_) => (Class::Icmp, None),
            Transport::Sctp(sctp) => (Class::Sctp, Some((sctp.source, sctp.destination))),
            Transport::Esp(_) => (Class::Other, None),
            // Fragments and headers that cannot be read: by number.
            Transport::Other | Transport::None => match number(packet) {
                Some(TCP) => (Class::Tcp, None),
                Some(UDP) => (Class::Udp, None),
                Some(ICMP | ICMPV6) => (Class::Icmp, None),
                Some(SCTP) => (Class::Sctp, None),
                _ => (Class::Other, None),
            },
        };
        let [
            [tcp_s, tcp_c],
            [udp_s, udp_c],
            [icmp_s, icmp_c],
            [sctp_s, sctp_c],
            [other_s, other_c],
        ] = &self.tables;
        let (to_server, to_client) = match class {
            Class::Tcp => (tcp_s, tcp_c),
            Class::Udp => (udp_s, udp_c),
            Class::Icmp => (icmp_s, icmp_c),
            Class::Sctp => (sctp_s, sctp_c),
            Class::Other => (other_s, other_c),
        };
        let table = match direction {
            FlowDirection::ToServer => to_server,
            FlowDirection::ToClient => to_client,
        };
        let by_port = ports.map_or([None, None], |(source, destination)| {
            [table.by_destination.get(destination), table.by_source.get(source)]
        });
        let [destination, source] = by_port;
        [destination, source, table.for_all]
    }

    /// The groups of these numbers.
    #[inline]
    pub fn these(&self, ids: [Option<GroupId>; 3]) -> impl Iterator<Item = &Group> {
        ids.into_iter().flatten().filter_map(|id| self.groups.get(id as usize))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter()
    }
}

struct Builder<'s> {
    signatures: &'s [Signature],
    members: &'s [u32],
    ids: HashMap<Arc<[u32]>, GroupId>,
    groups: Vec<Group>,
}

impl Builder<'_> {
    fn table(&mut self, class: Class, direction: FlowDirection) -> Table {
        let mut by_destination: HashMap<u16, Vec<u32>> = HashMap::new();
        let mut by_source: HashMap<u16, Vec<u32>> = HashMap::new();
        let mut for_all: Vec<u32> = Vec::new();
        for &index in self.members {
            let Some(signature) = self.signatures.get(index as usize) else { continue };
            if !class.takes(signature) || !signature.flow.allows(direction) {
                continue;
            }
            let few =
                |set: &Option<PortSet>| set.as_ref().filter(|set| set.len() <= FEW_PORTS).cloned();
            let (lists, ports) =
                match (few(&signature.destination_port), few(&signature.source_port)) {
                    (Some(ports), _) => (&mut by_destination, ports),
                    (None, Some(ports)) => (&mut by_source, ports),
                    (None, None) => {
                        for_all.push(index);
                        continue;
                    }
                };
            for port in ports.iter() {
                lists.entry(port).or_default().push(index);
            }
        }
        Table {
            by_destination: self.port_map(by_destination),
            by_source: self.port_map(by_source),
            for_all: (!for_all.is_empty()).then(|| self.group(for_all)),
        }
    }

    fn port_map(&mut self, lists: HashMap<u16, Vec<u32>>) -> PortMap {
        let mut map = PortMap::default();
        for (port, members) in lists {
            map.set(port, self.group(members));
        }
        map
    }

    /// The group with these members, which are in ascending order.
    fn group(&mut self, members: Vec<u32>) -> GroupId {
        let members: Arc<[u32]> = members.into();
        if let Some(id) = self.ids.get(&members) {
            return *id;
        }
        // At most two ports' worth for each class and direction, so it fits.
        let id = self.groups.len() as GroupId;
        self.groups.push(Group::new(self.signatures, &members));
        self.ids.insert(members, id);
        id
    }
}

impl Group {
    fn new(signatures: &[Signature], members: &[u32]) -> Self {
        let mut filed: Vec<(Scanned, Vec<u32>)> = Vec::new();
        let mut gated: Vec<(Gate, Vec<u32>)> = Vec::new();
        let (mut always, mut of_events, mut always_in_stream) =
            (Vec::new(), Vec::new(), Vec::new());
        for &index in members {
            let Some(signature) = signatures.get(index as usize) else { continue };
            if signature.transaction.is_some() && signature.payload.is_none() {
                continue;
            }
            for place in places(signature) {
                file(&mut filed, place, index);
            }
            if signature.fast_pattern.is_some() {
                continue;
            }
            if signature.payload.is_some() && signature.payload_in.is_in_stream() {
                always_in_stream.push(index);
            }
            match Gate::of(signature) {
                _ if signature.asks_for_events() => of_events.push(index),
                Some(gate) => file(&mut gated, gate, index),
                None => always.push(index),
            }
        }
        let mut prefilters = Vec::new();
        for (place, members) in filed {
            match Prefilter::new(signatures, &members) {
                Some(prefilter) => prefilters.push((place, prefilter)),
                // Too many for any matcher.
                None => {
                    if place == Scanned::Stream {
                        always_in_stream.extend_from_slice(&members);
                    }
                    always.extend(members);
                }
            }
        }
        always.sort_unstable();
        always.dedup();
        let interested = |interest| {
            let is = |index: &u32| {
                signatures.get(*index as usize).is_some_and(|it| it.interest() == interest)
            };
            members.iter().copied().filter(is).collect()
        };
        Self {
            lasting: interested(Interest::Lasting),
            streaming: interested(Interest::Stream),
            prefilters: prefilters.into(),
            gated: gated.into_iter().map(|(gate, members)| (gate, members.into())).collect(),
            always: always.into(),
            of_events: of_events.into(),
            always_in_stream: always_in_stream.into(),
        }
    }

    /// Whether some signature looks at streams.
    pub fn is_of_streams(&self) -> bool {
        !self.always_in_stream.is_empty()
            || self.prefilters.iter().any(|(place, _)| *place == Scanned::Stream)
    }
}

/// Adds a signature to those under `key`, of which there are few.
fn file<K: PartialEq>(filed: &mut Vec<(K, Vec<u32>)>, key: K, index: u32) {
    match filed.iter_mut().find(|(known, _)| *known == key) {
        Some((_, members)) => members.push(index),
        None => filed.push((key, vec![index])),
    }
}

/// Where the fast pattern of a signature is sought.
fn places(signature: &Signature) -> impl Iterator<Item = Scanned> {
    let (packet, stream) = match (&signature.fast_pattern, signature.payload_in) {
        (None, _) => (None, None),
        (Some(FastPattern { buffer: Buffer::Payload, .. }), payload_in) => (
            (payload_in != Payload::Stream).then_some(Scanned::Packet),
            payload_in.is_in_stream().then_some(Scanned::Stream),
        ),
        (Some(FastPattern { buffer, transforms, .. }), _) if transforms.is_empty() => {
            (Some(Scanned::Header(*buffer)), None)
        }
        (Some(FastPattern { buffer, transforms, .. }), _) => {
            (Some(Scanned::Transformed(*buffer, transforms.clone())), None)
        }
    };
    packet.into_iter().chain(stream)
}

/// From port to group, in pages of 256 ports.
#[derive(Debug)]
struct PortMap {
    /// Index into `pages`, from 1; 0: no port of the page has a group.
    page_of: Box<[u16; 256]>,
    pages: Vec<[GroupId; 256]>,
}

impl Default for PortMap {
    fn default() -> Self {
        Self { page_of: Box::new([0; 256]), pages: Vec::new() }
    }
}

impl PortMap {
    #[inline]
    fn get(&self, port: u16) -> Option<GroupId> {
        let page = self.page_of.get(usize::from(port >> 8))?;
        let page = self.pages.get(usize::from(page.checked_sub(1)?))?;
        page.get(usize::from(port & 0xff)).copied().filter(|id| *id != NO_GROUP)
    }

    fn set(&mut self, port: u16, id: GroupId) {
        let Some(number) = self.page_of.get_mut(usize::from(port >> 8)) else { return };
        if *number == 0 {
            self.pages.push([NO_GROUP; 256]);
            *number = u16::try_from(self.pages.len()).unwrap_or_default();
        }
        let page = self.pages.get_mut(usize::from(number.saturating_sub(1)));
        if let Some(slot) = page.and_then(|page| page.get_mut(usize::from(port & 0xff))) {
            *slot = id;
        }
    }
}
