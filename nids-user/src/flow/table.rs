//! The flow table: slab, hash chains and timer wheel.
//!
//! All memory is reserved at the start (address space; pages are used as flows come) and nothing is
//! allocated on the way. A flow takes [`BYTES_PER_FLOW`]; sessions have a cap of their own. When the table
//! is full, the flow whose time runs out first makes room: a flood of half-open connections displaces
//! itself, as its time is a tenth of an established flow's. From then on until three tenths are free again
//! the shorter timeouts of an emergency hold (Suricata's `flow.emergency-recovery`).
//!
//! A flow that ended still may have data that nobody has seen, and wants to be logged: it waits for
//! [`FlowTable::take_ended`].

use foldhash::quality::FixedState;

use super::entry::{End, Flow, Kind, Messages, Stage, TtlRange, Waiting};
use super::key::{Key, Oriented};
use super::wheel::Wheel;
use super::{FlowCounters, FlowDirection, FlowView, Limits, Timeouts};
use crate::capture::Timestamp;
use crate::decode::{Event, Packet};
use crate::detect::flow_state::FlowState;
use crate::stream::{self, StreamContext, Verdict};

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

/// The flows of one worker.
pub struct FlowTable {
    flows: Vec<Flow>,
    capacity: usize,
    free: u32,
    buckets: Vec<u32>,
    wheel: Wheel,
    timeouts: Timeouts,
    emergency: bool,
    /// Flows below which an emergency ends.
    recovered: u64,
    use_vlan: bool,
    hasher: FixedState,
    ids: Ids,
    now: Timestamp,
    streams: StreamContext,
    /// Flows that ended and were not taken yet.
    ended: Vec<(Flow, End)>,
    counters: FlowCounters,
}

/// A packet's flow.
#[derive(Clone, Copy, Debug)]
pub struct Tracked {
    /// For [`FlowTable::flow`], until the next packet.
    pub index: u32,
    /// What detection may know of it.
    pub view: FlowView,
    /// What the packet was to the flow's session.
    pub verdict: Verdict,
}

impl FlowTable {
    /// An empty table of the worker with this number. `secret` seeds the hash and the flow ids: from the
    /// OS for live traffic; a constant for files, so that ids are the same each time.
    pub fn new(limits: &Limits, streams: stream::Config, secret: u64, worker: u8) -> Self {
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
            emergency: false,
            recovered: capacity as u64 * u64::from(100_u8.saturating_sub(limits.recovery)) / 100,
            use_vlan: limits.use_vlan,
            hasher: FixedState::with_seed(secret),
            ids: Ids::new(secret, worker),
            now: Timestamp(0),
            streams: StreamContext::new(streams),
            ended: Vec::new(),
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

    /// What happened to streams.
    pub fn stream_counters(&self) -> &stream::Counters {
        self.streams.counters()
    }

    /// Its clock: the time of the newest packet, or a later one that [`FlowTable::expire`] was told.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Bytes that sessions and their data take.
    pub fn stream_memory(&self) -> usize {
        self.streams.session_memory() + self.streams.reassembly_memory()
    }

    /// The flow that was [`Tracked`], and what its session needs.
    pub fn flow(&mut self, index: u32) -> Option<(&mut Flow, &mut StreamContext)> {
        Some((self.flows.get_mut(index as usize)?, &mut self.streams))
    }

    /// A flow that ended. Its session still has to be finished and closed.
    pub fn take_ended(&mut self) -> Option<(Flow, End)> {
        self.ended.pop()
    }

    /// What sessions need, for a flow that ended.
    pub fn streams(&mut self) -> &mut StreamContext {
        &mut self.streams
    }

    /// Finds or begins the flow of this packet and takes the packet into account. `None`, counted: it
    /// has no IP or no readable transport, or the table has no room at all.
    ///
    /// A TCP segment with a bad checksum is counted but does not change the state, as no host takes it.
    pub fn track(&mut self, packet: &Packet<'_>) -> Option<Tracked> {
        self.expire(packet.frame.time, EXPIRE_BUDGET);
        let Some(Oriented { key, from_second }) = Oriented::of(packet, self.use_vlan) else {
            self.counters.untracked += 1;
            return None;
        };
        let hash = key.hash(&self.hasher);
        let bucket = (hash as usize & (self.buckets.len() - 1)) as u32;
        let index = match self.find(bucket, &key) {
            Some(index) => match self.over(index, packet, from_second) {
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
        let stage = flow.stage();
        flow.last = now;
        let mut direction = match from_second == flow.client_second {
            true => FlowDirection::ToServer,
            false => FlowDirection::ToClient,
        };
        let verdict =
            self.streams.segment(&mut flow.session, packet, direction, !bad_checksum(packet));
        if verdict.swapped {
            flow.client_second = !flow.client_second;
            flow.packets.reverse();
            flow.bytes.reverse();
            flow.ttl.reverse();
            direction = direction.reversed();
        }
        let [to_server, to_client] = &mut flow.packets;
        let [bytes_to_server, bytes_to_client] = &mut flow.bytes;
        let [ttl_to_server, ttl_to_client] = &mut flow.ttl;
        let [code_to_server, code_to_client] = &mut flow.icmp_code;
        let (packets, bytes, ttl, code) = match direction {
            FlowDirection::ToServer => (to_server, bytes_to_server, ttl_to_server, code_to_server),
            FlowDirection::ToClient => (to_client, bytes_to_client, ttl_to_client, code_to_client),
        };
        if *packets == 0
            && let Some(icmp) = packet.icmp()
        {
            *code = icmp.code;
        }
        if let Some(ip) = &packet.ip {
            ttl.widen(ip.ttl());
        }
        *packets += 1;
        *bytes += u64::from(packet.length);
        let established = match flow.kind {
            Kind::Tcp => verdict.established,
            _ => !flow.packets.contains(&0),
        };
        let view = flow.view(direction, established);
        if flow.stage() != stage {
            // Sooner: the wheel would look too late. Later: it should not stand among those that are
            // thrown out first.
            self.reschedule(index);
        }
        Some(Tracked { index, view, verdict })
    }

    /// Ends all flows: the capture is over. Take them a batch at a time; false: none is left.
    pub fn shut_down(&mut self, batch: usize) -> bool {
        for _ in 0..batch {
            let Some((index, _)) = self.wheel.earliest() else { return false };
            self.remove(index, End::Shutdown);
        }
        true
    }

    /// Ends flows whose time has run out by `now`; not all where there are very many: it looks at
    /// `budget` flows.
    pub fn expire(&mut self, now: Timestamp, budget: usize) {
        self.now = self.now.max(now);
        for _ in 0..budget {
            let Some(index) = self.wheel.due(self.now.0 / NANOSECONDS) else { return };
            let Some(flow) = self.flows.get(index as usize) else { return };
            if flow.deadline(self.timeouts()) <= self.now.0 {
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
    fn over(&self, index: u32, packet: &Packet<'_>, from_second: bool) -> Option<End> {
        let flow = self.flows.get(index as usize)?;
        if flow.deadline(self.timeouts()) <= self.now.0 {
            return Some(End::TimedOut);
        }
        let direction = match from_second == flow.client_second {
            true => FlowDirection::ToServer,
            false => FlowDirection::ToClient,
        };
        let session = flow.session.as_ref()?;
        // How far a connection came that is let by, its session cannot know.
        if flow.shunt.is_some() && session.is_begun_anew_by(packet) && !bad_checksum(packet) {
            return Some(End::Reused);
        }
        (session.is_succeeded_by(&self.streams, packet, direction) && !bad_checksum(packet))
            .then_some(End::Reused)
    }

    /// The timeouts in force.
    fn timeouts(&self) -> &Timeouts {
        match &self.timeouts.emergency {
            Some(shorter) if self.emergency => shorter,
            _ => &self.timeouts,
        }
    }

    fn begin(
        &mut self,
        key: Key,
        bucket: u32,
        from_second: bool,
        packet: &Packet<'_>,
    ) -> Option<u32> {
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
            ttl: [TtlRange::default(); 2],
            icmp_code: [0; 2],
            port: packet.frame.port,
            session: None,
            app: None,
            messages: Messages::default(),
            waiting: Waiting::default(),
            kind: Kind::of(packet),
            passed: false,
            dropped: false,
            alerted: false,
            to_capture: None,
            recent: 0,
            state: FlowState::default(),
            shunt: None,
            client_second: from_second,
        };
        *head = index + 1;
        let deadline = flow.deadline(self.timeouts());
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
            if !self.emergency {
                self.emergency = true;
                self.counters.emergencies += 1;
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
            if attempt < EVICT_BUDGET && second_after(flow.deadline(self.timeouts())) > second {
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
        let second = second_after(flow.deadline(self.timeouts()));
        self.wheel.take(index);
        self.wheel.put(index, second);
    }

    fn remove(&mut self, index: u32, end: End) {
        let Some(flow) = self.flows.get(index as usize) else { return };
        let (stage, bucket, next) = (flow.stage(), flow.bucket, flow.next);
        self.unchain(bucket, next, index);
        self.wheel.take(index);
        let free = self.free;
        if let Some(flow) = self.flows.get_mut(index as usize) {
            let ended = std::mem::replace(flow, Flow::free(free));
            self.free = index;
            self.ended.push((ended, end));
        }
        let counters = &mut self.counters;
        counters.active -= 1;
        self.emergency &= counters.active > self.recovered;
        let count = match (end, stage) {
            (End::Reused, _) => &mut counters.reused,
            (End::Shutdown, _) => &mut counters.shut_down,
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
    fn unchain(&mut self, bucket: u32, next: u32, index: u32) {
        let Some(head) = self.buckets.get_mut(bucket as usize) else { return };
        let mut at = head.wrapping_sub(1);
        if at == index {
            *head = next.wrapping_add(1);
            return;
        }
        while let Some(before) = self.flows.get_mut(at as usize) {
            at = before.next;
            if at == index {
                before.next = next;
                return;
            }
        }
    }
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
