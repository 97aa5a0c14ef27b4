//! The flow table: slab, hash chains and timer wheel.
//!
//! All memory is reserved at the start (address space; pages are used as flows come) and nothing is
//! allocated on the way. A flow takes [`BYTES_PER_FLOW`]. When the table is full, the flow whose time
//! runs out first makes room: a flood of half-open connections displaces itself, as its time is a tenth
//! of an established flow's.

use foldhash::quality::FixedState;

use super::key::{Key, Oriented};
use super::tcp::{Connection, Phase};
use super::wheel::Wheel;
use super::{FlowCounters, FlowDirection, FlowView, Limits, StateTimeouts, Timeouts};
use crate::capture::Timestamp;
use crate::decode::{Event, Packet, Transport};

/// End of a chain.
const NONE: u32 = u32::MAX;
/// Bytes of one flow: its entry, its timer, its share of the hash table.
const BYTES_PER_FLOW: usize = size_of::<Flow>() + Wheel::ENTRY + size_of::<u32>();
/// Flows looked at for each packet to end those whose time is up, so that no packet waits long for it.
const EXPIRE_BUDGET: usize = 32;
/// Flows looked at to find one to throw out. Each one that is not thrown out moves to where its time
/// really ends, so this many come together only where as many began in one second.
const EVICT_BUDGET: usize = 4096;
const NANOSECONDS: u64 = 1_000_000_000;

/// What is known of one flow.
#[derive(Clone, Copy)]
struct Flow {
    key: Key,
    /// Next in the hash chain, or in the list of free entries.
    next: u32,
    bucket: u32,
    /// Time of the last packet.
    last: Timestamp,
    start: Timestamp,
    id: u64,
    packets: [u64; 2],
    bytes: [u64; 2],
    state: State,
    /// The client is the second end of the key.
    client_second: bool,
}

// Two cache lines.
const _: () = assert!(size_of::<Flow>() == 128);

/// What a flow remembers by protocol.
#[derive(Clone, Copy)]
enum State {
    Tcp(Connection),
    Udp,
    Icmp,
    Other,
}

/// How far a flow has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Established,
    Closed,
}

impl Flow {
    fn stage(&self) -> Stage {
        match &self.state {
            State::Tcp(connection) => match connection.phase {
                Phase::Closed => Stage::Closed,
                Phase::Open => Stage::Established,
                Phase::SynSent | Phase::SynReceived | Phase::Midstream => Stage::New,
            },
            _ if self.packets.contains(&0) => Stage::New,
            _ => Stage::Established,
        }
    }

    /// When its time runs out, in nanoseconds.
    fn deadline(&self, timeouts: &Timeouts) -> u64 {
        let of_protocol: &StateTimeouts = match self.state {
            State::Tcp(_) => &timeouts.tcp,
            State::Udp => &timeouts.udp,
            State::Icmp => &timeouts.icmp,
            State::Other => &timeouts.other,
        };
        let timeout = match self.stage() {
            Stage::New => of_protocol.new,
            Stage::Established => of_protocol.established,
            Stage::Closed => of_protocol.closed,
        };
        self.last.0.saturating_add(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// The flows of one worker.
pub struct FlowTable {
    flows: Vec<Flow>,
    capacity: usize,
    free: u32,
    buckets: Vec<u32>,
    wheel: Wheel,
    timeouts: Timeouts,
    use_vlan: bool,
    hasher: FixedState,
    ids: Ids,
    now: Timestamp,
    counters: FlowCounters,
}

impl FlowTable {
    /// An empty table of the worker with this number. `secret` seeds the hash and the flow ids: from the
    /// OS for live traffic; a constant for files, so that ids are the same each time.
    pub fn new(limits: &Limits, secret: u64, worker: u8) -> Self {
        let capacity = usize::try_from(limits.memcap).unwrap_or(usize::MAX) / BYTES_PER_FLOW;
        let capacity = capacity.min(NONE as usize - 1);
        // The largest power of two that is not above: chains of one or two flows when full.
        let buckets = capacity.checked_ilog2().map_or(1, |log| 1 << log);
        Self {
            flows: Vec::with_capacity(capacity),
            capacity,
            free: NONE,
            // 0 is an empty bucket, so that the memory comes zeroed from the OS when it is touched.
            buckets: vec![0; buckets],
            wheel: Wheel::new(capacity),
            timeouts: limits.timeouts.clone(),
            use_vlan: limits.use_vlan,
            hasher: FixedState::with_seed(secret),
            ids: Ids::new(secret, worker),
            now: Timestamp(0),
            counters: FlowCounters::default(),
        }
    }

    /// Most flows it holds at a time.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// What happened so far.
    pub fn counters(&self) -> FlowCounters {
        self.counters
    }

    /// Finds or begins the flow of this packet and takes the packet into account. `None`, counted: it
    /// has no IP or no readable transport, or the table has no room at all.
    ///
    /// A TCP segment with a bad checksum is counted but does not change the state, as no host takes it.
    pub fn track(&mut self, packet: &Packet<'_>) -> Option<FlowView> {
        self.expire(packet.frame.time, EXPIRE_BUDGET);
        let Some(Oriented { key, from_second }) = Oriented::of(packet, self.use_vlan) else {
            self.counters.untracked += 1;
            return None;
        };
        let hash = key.hash(&self.hasher);
        let bucket = (hash as usize & (self.buckets.len() - 1)) as u32;
        let index = match self.find(bucket, &key) {
            Some(index) => match self.over(index, packet) {
                None => index,
                Some(end) => {
                    self.remove(index, end);
                    self.begin(key, bucket, from_second, packet)?
                }
            },
            None => self.begin(key, bucket, from_second, packet)?,
        };

        let now = self.now;
        let flow = self.flows.get_mut(index as usize)?;
        let direction = match from_second == flow.client_second {
            true => FlowDirection::ToServer,
            false => FlowDirection::ToClient,
        };
        let [packets_to_server, packets_to_client] = &mut flow.packets;
        let [bytes_to_server, bytes_to_client] = &mut flow.bytes;
        let length = u64::from(packet.length);
        match direction {
            FlowDirection::ToServer => {
                *packets_to_server += 1;
                *bytes_to_server += length;
            }
            FlowDirection::ToClient => {
                *packets_to_client += 1;
                *bytes_to_client += length;
            }
        }
        let both_ways = *packets_to_server > 0 && *packets_to_client > 0;
        let first_of_its_way = (*packets_to_server).min(*packets_to_client) == 1;
        let (established, new_stage) = match (&mut flow.state, &packet.transport) {
            (State::Tcp(connection), Transport::Tcp(header)) => {
                if bad_checksum(packet) {
                    (connection.is_established_for(packet.payload.len()), false)
                } else {
                    let before = connection.phase;
                    let established = connection.update(direction, header, packet.payload.len());
                    (established, connection.phase != before)
                }
            }
            _ => (both_ways, both_ways && first_of_its_way),
        };
        flow.last = now;
        let view = FlowView {
            id: flow.id,
            direction,
            established,
            packets_to_server: *packets_to_server,
            packets_to_client: *packets_to_client,
            bytes_to_server: *bytes_to_server,
            bytes_to_client: *bytes_to_client,
            start: flow.start,
        };
        if new_stage {
            // Sooner: the wheel would look too late. Later: it should not stand among those that are
            // thrown out first.
            self.reschedule(index);
        }
        Some(view)
    }

    /// Ends flows whose time has run out by `now`; not all where there are very many: it looks at
    /// `budget` flows.
    pub fn expire(&mut self, now: Timestamp, budget: usize) {
        self.now = self.now.max(now);
        for _ in 0..budget {
            let Some(index) = self.wheel.due(self.now.0 / NANOSECONDS) else { return };
            let Some(flow) = self.flows.get(index as usize) else { return };
            if flow.deadline(&self.timeouts) <= self.now.0 {
                self.remove(index, End::TimedOut);
            } else {
                self.reschedule(index);
            }
        }
    }

    fn find(&self, bucket: u32, key: &Key) -> Option<u32> {
        let mut at = self.buckets.get(bucket as usize)?.wrapping_sub(1);
        while let Some(flow) = self.flows.get(at as usize) {
            if flow.key == *key {
                return Some(at);
            }
            at = flow.next;
        }
        None
    }

    /// Why this packet belongs to another flow than the one found, if it does.
    fn over(&self, index: u32, packet: &Packet<'_>) -> Option<End> {
        let flow = self.flows.get(index as usize)?;
        if flow.deadline(&self.timeouts) <= self.now.0 {
            return Some(End::TimedOut);
        }
        match (&flow.state, &packet.transport) {
            (State::Tcp(connection), Transport::Tcp(header))
                if connection.is_reused_by(header) && !bad_checksum(packet) =>
            {
                Some(End::Reused)
            }
            _ => None,
        }
    }

    fn begin(
        &mut self,
        key: Key,
        bucket: u32,
        from_second: bool,
        packet: &Packet<'_>,
    ) -> Option<u32> {
        let (state, from_server) = match &packet.transport {
            Transport::Tcp(header) => {
                let (connection, from_server) = Connection::first(header);
                (State::Tcp(connection), from_server)
            }
            Transport::Udp(_) => (State::Udp, false),
            Transport::Icmpv4(_) | Transport::Icmpv6(_) => (State::Icmp, false),
            Transport::Sctp(_) | Transport::Esp(_) | Transport::Other | Transport::None => {
                (State::Other, false)
            }
        };
        let index = self.entry()?;
        let head = self.buckets.get_mut(bucket as usize)?;
        let flow = Flow {
            key,
            next: head.wrapping_sub(1),
            bucket,
            last: self.now,
            start: packet.frame.time,
            id: self.ids.next(),
            packets: [0; 2],
            bytes: [0; 2],
            state,
            client_second: from_second != from_server,
        };
        *head = index + 1;
        let deadline = flow.deadline(&self.timeouts);
        match self.flows.get_mut(index as usize) {
            Some(slot) => *slot = flow,
            None => self.flows.push(flow),
        }
        self.wheel.put(index, second_after(deadline));
        self.counters.created += 1;
        self.counters.active += 1;
        Some(index)
    }

    /// An entry to put a flow into: a free one, a new one, or that of a flow thrown out.
    fn entry(&mut self) -> Option<u32> {
        if self.free == NONE {
            if self.flows.len() < self.capacity {
                return Some(self.flows.len() as u32);
            }
            self.evict();
        }
        let index = self.free;
        match self.flows.get(index as usize) {
            Some(flow) => {
                self.free = flow.next;
                Some(index)
            }
            None => {
                self.counters.no_room += 1;
                None
            }
        }
    }

    /// Throws out the flow whose time runs out first.
    fn evict(&mut self) {
        for attempt in 1..=EVICT_BUDGET {
            let Some((index, second)) = self.wheel.earliest() else { return };
            let Some(flow) = self.flows.get(index as usize) else { return };
            if attempt < EVICT_BUDGET && second_after(flow.deadline(&self.timeouts)) > second {
                // Packets came since it was put there.
                self.reschedule(index);
            } else {
                self.remove(index, End::Evicted);
                return;
            }
        }
    }

    fn reschedule(&mut self, index: u32) {
        let Some(flow) = self.flows.get(index as usize) else { return };
        let second = second_after(flow.deadline(&self.timeouts));
        self.wheel.take(index);
        self.wheel.put(index, second);
    }

    fn remove(&mut self, index: u32, end: End) {
        let Some(flow) = self.flows.get(index as usize).copied() else { return };
        self.unchain(&flow, index);
        self.wheel.take(index);
        if let Some(flow) = self.flows.get_mut(index as usize) {
            flow.next = self.free;
            self.free = index;
        }
        let counters = &mut self.counters;
        counters.active -= 1;
        let count = match (end, flow.stage()) {
            (End::Reused, _) => &mut counters.reused,
            (End::TimedOut, Stage::New) => &mut counters.timed_out_new,
            (End::TimedOut, Stage::Established) => &mut counters.timed_out_established,
            (End::TimedOut, Stage::Closed) => &mut counters.timed_out_closed,
            (End::Evicted, Stage::New) => &mut counters.evicted_new,
            (End::Evicted, Stage::Established) => &mut counters.evicted_established,
            (End::Evicted, Stage::Closed) => &mut counters.evicted_closed,
        };
        *count += 1;
    }

    /// Takes a flow out of its hash chain.
    fn unchain(&mut self, flow: &Flow, index: u32) {
        let Some(head) = self.buckets.get_mut(flow.bucket as usize) else { return };
        let mut at = head.wrapping_sub(1);
        if at == index {
            *head = flow.next.wrapping_add(1);
            return;
        }
        while let Some(before) = self.flows.get_mut(at as usize) {
            at = before.next;
            if at == index {
                before.next = flow.next;
                return;
            }
        }
    }
}

/// Why a flow ended.
#[derive(Clone, Copy)]
enum End {
    TimedOut,
    Evicted,
    Reused,
}

fn bad_checksum(packet: &Packet<'_>) -> bool {
    packet.events.contains(Event::TcpBadChecksum) || packet.events.contains(Event::Ipv4BadChecksum)
}

/// The first full second at which this time is over.
fn second_after(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(NANOSECONDS)
}

/// Flow ids: worker and serial number, scrambled below 2^53. A bijection, so no two are equal.
struct Ids {
    next: u64,
    key: u64,
}

impl Ids {
    const MASK: u64 = (1 << 53) - 1;
    const WORKER_SHIFT: u32 = 45;

    fn new(secret: u64, worker: u8) -> Self {
        Self { next: u64::from(worker) << Self::WORKER_SHIFT, key: secret & Self::MASK }
    }

    fn next(&mut self) -> u64 {
        self.next = (self.next + 1) & Self::MASK;
        let mut id = self.next ^ self.key;
        for multiplier in [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9] {
            // Odd multipliers and a shift of the upper half: both can be undone.
            id = id.wrapping_mul(multiplier) & Self::MASK;
            id ^= id >> 27;
        }
        id
    }
}
