//! The real kernel programs, run frame by frame through `BPF_PROG_TEST_RUN`: no interface, no traffic.
//!
//! [`Kernel`] loads the built object, sets tables, runs one frame and says which counter moved and what
//! came out of the ring. What the answer should be is left to the tests.

use std::fs;
use std::os::fd::{AsRawFd, RawFd};

use aya::maps::{Array, ArrayOfMaps, Map, MapData, PerCpuArray, RingBuf};
use aya::programs::tc::SchedClassifierLink;
use aya::programs::{
    Program, ProgramError, SchedClassifier, TcAttachType, TestRun, TestRunOptions, TestRunResult,
    Xdp,
};
use aya::{Ebpf, EbpfLoader, Pod};
use nids_abi::{COUNTERS, Control, FilterTable, PortSlot, Reason, RecordHeader};

/// Where a frame is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// XDP, one buffer.
    Xdp,
    /// XDP, several buffers.
    XdpFrags,
    /// tc, coming in.
    Ingress,
    /// tc, going out.
    Egress,
}

impl Hook {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Xdp, Self::XdpFrags, Self::Ingress, Self::Egress];

    /// Name of the program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Xdp => nids_abi::PROG_XDP,
            Self::XdpFrags => nids_abi::PROG_XDP_FRAGS,
            Self::Ingress => nids_abi::PROG_TC_INGRESS,
            Self::Egress => nids_abi::PROG_TC_EGRESS,
        }
    }
    fn is_egress(self) -> bool {
        self == Self::Egress
    }
    /// Capture port the harness gives it.
    pub fn port(self) -> u16 {
        if self.is_egress() { 5 } else { 3 }
    }
}

/// What the loader sets in the object.
#[derive(Clone, Copy, Debug)]
pub struct Globals {
    pub workers: u32,
    pub seed: u64,
    pub snaplen: u32,
    pub tap: u8,
    pub debug: u8,
    /// Bytes of each ring, a power of two; 0 for no rings.
    pub ring: u32,
    /// Slots of the flow table, a multiple of the workers; 0: no flow is shunted.
    pub shunt: u32,
    /// Nanoseconds without a beat after which the agent counts as gone; 0: never.
    pub silence: u64,
}

impl Default for Globals {
    fn default() -> Self {
        Self {
            workers: 1,
            seed: 0x5eed,
            snaplen: 65_536,
            tap: 0,
            debug: 0,
            ring: 1 << 20,
            shunt: 0,
            silence: 0,
        }
    }
}

/// What became of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The counter that moved beside [`Reason::Seen`].
    pub reason: Reason,
    /// What the program returned.
    pub verdict: u32,
    /// What came out of the ring, where it was forwarded.
    pub record: Option<Record>,
}

/// One record out of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub header: RecordHeader,
    /// The valid bytes behind the header.
    pub bytes: Vec<u8>,
    /// Bytes the record had room for.
    pub room: usize,
    /// Worker whose ring it was in.
    pub worker: u32,
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Plain<T>(T);
// SAFETY: only made of the contract's types, which are integers without padding between them.
unsafe impl Pod for Plain<Control> {}
// SAFETY: as above.
unsafe impl Pod for Plain<FilterTable> {}
// SAFETY: as above.
unsafe impl Pod for Plain<PortSlot> {}

/// The loaded object with its tables and rings.
pub struct Kernel {
    ebpf: Ebpf,
    counters: PerCpuArray<MapData, [u64; COUNTERS]>,
    /// Each with its worker.
    rings: Vec<(u32, RingBuf<MapData>)>,
    generation: u32,
}

impl Kernel {
    /// Loads the object with all four programs, ready and running, with empty tables.
    ///
    /// `None` where the rights or the object are missing; the reason is printed. In CI that fails.
    pub fn load(globals: Globals) -> Option<Self> {
        if !super::programs_ready() {
            return None;
        }
        let object = fs::read(super::object()).expect("it was there just now");
        Some(Self::from_object(&object, globals))
    }

    fn from_object(object: &[u8], globals: Globals) -> Self {
        let mut ebpf = EbpfLoader::new()
            .override_global(nids_abi::GLOBAL_WORKERS, &globals.workers, true)
            .override_global(nids_abi::GLOBAL_SEED, &globals.seed, true)
            .override_global(nids_abi::GLOBAL_SNAPLEN, &globals.snaplen, true)
            .override_global(nids_abi::GLOBAL_TAP, &globals.tap, true)
            .override_global(nids_abi::GLOBAL_SILENCE, &globals.silence, true)
            .override_global(nids_abi::GLOBAL_DEBUG, &globals.debug, true)
            .override_global(nids_abi::GLOBAL_SHUNT_SLOTS, &(globals.shunt / globals.workers), true)
            .map_max_entries(nids_abi::MAP_SHUNT, globals.shunt.max(1))
            .load(object)
            .expect("the object has the globals and maps of the contract");
        for hook in Hook::ALL {
            let program = ebpf.program_mut(hook.program()).expect("in the object");
            let mut load = || match hook {
                Hook::Xdp | Hook::XdpFrags => xdp(program).load(),
                Hook::Ingress | Hook::Egress => classifier(program).load(),
            };
            // The verifier gives up (EAGAIN) when a signal comes.
            if let Err(error) = load().or_else(|_| load()).or_else(|_| load()) {
                panic!("{}: {}", hook.program(), end_of(&format!("{error:?}")));
            }
        }
        let processors = aya::util::nr_cpus().expect("known") as u32;
        let mut array: ArrayOfMaps<_, RingBuf<MapData>> = typed(ebpf.map_mut(nids_abi::MAP_RINGS));
        let mut rings = Vec::new();
        for index in 0..if globals.ring == 0 { 0 } else { processors * globals.workers } {
            let ring = ring(globals.ring);
            array.set(index, &ring, 0).expect("in range");
            rings.push((index % globals.workers, ring));
        }
        let counters = typed(ebpf.take_map(nids_abi::MAP_COUNTERS));
        let mut kernel = Self { ebpf, counters, rings, generation: 0 };
        kernel.control(0, true);
        for hook in [Hook::Xdp, Hook::Egress] {
            kernel.set_slot(hook, 0, true);
        }
        kernel
    }

    /// Makes the loopback interface known (or not) at this place of the probe sequence.
    pub fn set_slot(&mut self, hook: Hook, probe: u32, known: bool) {
        self.set_slot_of(hook, "lo", probe, known);
    }

    fn set_slot_of(&mut self, hook: Hook, interface: &str, probe: u32, known: bool) {
        let ifindex = nix::net::if_::if_nametoindex(interface).expect("it is there");
        let egress = u16::from(hook.is_egress());
        let slot = (ifindex * 2 + u32::from(egress) + probe) % nids_abi::PORT_SLOTS as u32;
        let value = match known {
            true => PortSlot { ifindex, port: hook.port(), egress },
            false => PortSlot::default(),
        };
        let mut map: Array<_, Plain<PortSlot>> = typed(self.ebpf.map_mut(nids_abi::MAP_PORTS));
        map.set(slot, Plain(value), 0).expect("in range");
    }

    /// Attaches a tc program to an interface of the calling thread's namespace, until the link is
    /// dropped.
    pub fn attach(&mut self, hook: Hook, interface: &str) -> SchedClassifierLink {
        self.set_slot_of(hook, interface, 0, true);
        let side = if hook.is_egress() { TcAttachType::Egress } else { TcAttachType::Ingress };
        let program = self.ebpf.program_mut(hook.program()).expect("in the object");
        let program = classifier(program);
        let link = program.attach(interface, side).expect("tcx takes it");
        program.take_link(link).expect("just attached")
    }

    /// Asks for a wake-up at the next record of every ring, or takes that back.
    pub fn set_want(&mut self, want: bool) {
        let mut map: Array<_, u32> = typed(self.ebpf.map_mut(nids_abi::MAP_WANT));
        for index in 0..self.rings.len() as u32 {
            map.set(index, u32::from(want), 0).expect("in range");
        }
    }

    /// Rings that still ask for a wake-up.
    pub fn wanting(&self) -> usize {
        let map: Array<_, u32> = typed(self.ebpf.map(nids_abi::MAP_WANT));
        map.iter().filter(|want| matches!(want, Ok(1))).count()
    }

    /// Descriptors of the rings, to wait on.
    pub fn ring_descriptors(&self) -> Vec<RawFd> {
        self.rings.iter().map(|(_, ring)| ring.as_raw_fd()).collect()
    }

    /// Sets the moment at which the agent was last seen at work (`CLOCK_MONOTONIC`, ns).
    pub fn beat(&mut self, time: u64) {
        let mut map: Array<_, u64> = typed(self.ebpf.map_mut(nids_abi::MAP_BEAT));
        map.set(0, time, 0).expect("in range");
    }

    /// Sets the generation in force and whether the agent is ready.
    pub fn control(&mut self, generation: u32, running: bool) {
        let mut map: Array<_, Plain<Control>> = typed(self.ebpf.map_mut(nids_abi::MAP_CONTROL));
        let value = Control { generation, running: u32::from(running) };
        map.set(0, Plain(value), 0).expect("in range");
        self.generation = generation;
    }

    /// Writes `table` into the idle generation and puts that in force.
    pub fn set_table(&mut self, table: &FilterTable) {
        let next = self.generation.wrapping_add(1);
        let mut map: Array<_, Plain<FilterTable>> = typed(self.ebpf.map_mut(nids_abi::MAP_FILTER));
        let value: Box<Plain<FilterTable>> = Box::new(Plain(*table));
        map.set(next & 1, *value, 0).expect("in range");
        self.control(next, true);
    }

    /// Puts one frame in, as if it came through the loopback interface.
    ///
    /// `None` where the kernel itself refuses to build such a frame: the program did not run. That is
    /// checked against [`Reason::Seen`].
    pub fn run(&mut self, hook: Hook, frame: &[u8]) -> Option<Outcome> {
        self.run_with(hook, frame, None)
    }

    fn run_with(&mut self, hook: Hook, frame: &[u8], context: Option<&[u8]>) -> Option<Outcome> {
        let before = self.counters(hook);
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.ctx_in = context;
        let verdict = self.execute(hook, options).ok().map(|result| result.return_value);
        let Some(verdict) = verdict else {
            assert_eq!(self.counters(hook), before, "refused, and yet the program ran");
            return None;
        };
        let bytes = Reason::SeenBytes as usize;
        assert_eq!(self.counters(hook)[bytes] - before[bytes], frame.len() as u64, "bytes seen");
        let reason = self.reason_moved(hook, &before);
        let mut records = self.drain();
        let record = records.pop();
        assert!(records.is_empty(), "one frame, one record");
        Some(Outcome { reason, verdict, record })
    }

    /// The one counter that moved beside [`Reason::Seen`], which moved by one, since `before`.
    pub fn reason_moved(&self, hook: Hook, before: &[u64; COUNTERS]) -> Reason {
        let after = self.counters(hook);
        let moved = |reason: Reason| after[reason as usize] - before[reason as usize];
        assert_eq!(moved(Reason::Seen), 1, "seen");
        let mut reasons = REASONS.into_iter().filter(|reason| moved(*reason) != 0);
        let reason = reasons.next().expect("one reason moved");
        assert_eq!((moved(reason), reasons.next()), (1, None), "once, and no other");
        reason
    }

    /// As [`Self::run`] through [`Hook::XdpFrags`], with only the first `linear` bytes of the frame where
    /// the program can read them directly (Linux 6.18).
    pub fn run_split(&mut self, frame: &[u8], linear: u32) -> Option<Outcome> {
        // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let context: Vec<u8> =
            [0, linear, 0, 0, 0, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
        self.run_with(Hook::XdpFrags, frame, Some(&context))
    }

    /// Runs a frame `repeat` times; gives the last verdict and nanoseconds a run.
    ///
    /// # Errors
    /// Where the kernel refuses the frame.
    pub fn test_run(&self, hook: Hook, frame: &[u8], repeat: u32) -> Result<(u32, u64), String> {
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.repeat = repeat;
        let result = self.execute(hook, options).map_err(|error| format!("{error:?}"))?;
        Ok((result.return_value, result.duration.as_nanos() as u64))
    }

    fn execute(
        &self,
        hook: Hook,
        options: TestRunOptions<'_>,
    ) -> Result<TestRunResult, ProgramError> {
        match self.ebpf.program(hook.program()).expect("in the object") {
            Program::Xdp(program) => program.test_run(options),
            Program::SchedClassifier(program) => program.test_run(options),
            other => panic!("{other:?}"),
        }
    }

    /// Counters of a hook's capture port, summed over the processors.
    pub fn counters(&self, hook: Hook) -> [u64; COUNTERS] {
        let values = self.counters.get(&u32::from(hook.port()), 0).expect("in range");
        let mut sum = [0; COUNTERS];
        for value in values.iter() {
            sum.iter_mut().zip(value).for_each(|(sum, value)| *sum += value);
        }
        sum
    }

    /// Hands the rings over, for a consumer of one's own.
    #[allow(dead_code, reason = "shared by path: the benchmark uses it")]
    pub fn take_rings(&mut self) -> Vec<RingBuf<MapData>> {
        self.rings.drain(..).map(|(_, ring)| ring).collect()
    }

    /// The generation in force.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Instructions the verifier went through for a program.
    pub fn verified_instructions(&mut self, hook: Hook) -> Option<u32> {
        let program = self.ebpf.program_mut(hook.program()).expect("in the object");
        program.info().expect("it is loaded").verified_instruction_count()
    }

    /// The map of the flow table.
    pub fn shunt_map(&self) -> &MapData {
        match self.ebpf.map(nids_abi::MAP_SHUNT) {
            Some(Map::Array(map)) => map,
            other => panic!("{other:?}"),
        }
    }

    /// Takes all records out of the rings.
    pub fn drain(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        for (worker, ring) in &mut self.rings {
            while let Some(record) = ring.next() {
                let header = header(&record);
                let end = 32 + header.captured_len as usize;
                let bytes = record.get(32..end).expect("the length is inside the record").to_vec();
                records.push(Record { header, bytes, room: record.len() - 32, worker: *worker });
            }
        }
        records
    }

    /// The loaded object, for what is not wrapped here.
    pub fn ebpf(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }
}

/// Every counter that is part of the balance, but [`Reason::Seen`].
const REASONS: [Reason; 16] = [
    Reason::TcpLevel,
    Reason::UdpLevel,
    Reason::IcmpType,
    Reason::IpProto,
    Reason::FragmentUnwanted,
    Reason::UnjudgedUnwanted,
    Reason::NonIp,
    Reason::NotRunning,
    Reason::Shunted,
    Reason::LostRingFull,
    Reason::LostCopy,
    Reason::LostSilent,
    Reason::Wanted,
    Reason::Fragment,
    Reason::Unjudged,
    Reason::WantedNonIp,
];

/// The last lines of the verifier's log: where it gave up.
fn end_of(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// A new ring buffer map.
fn ring(bytes: u32) -> RingBuf<MapData> {
    const BPF_MAP_TYPE_RINGBUF: u32 = 27;
    let definition = aya_obj::Map::new_from_params(BPF_MAP_TYPE_RINGBUF, 0, 0, bytes, 0);
    let data = MapData::create(definition, "ring", None).expect("root may create maps");
    Map::from_map_data(data).expect("a known type").try_into().expect("a ring")
}

fn typed<M, T: TryFrom<M>>(map: Option<M>) -> T
where
    T::Error: std::fmt::Debug,
{
    map.expect("in the object").try_into().expect("of the contract's type")
}

fn xdp(program: &mut Program) -> &mut Xdp {
    program.try_into().expect("an XDP program")
}

fn classifier(program: &mut Program) -> &mut SchedClassifier {
    program.try_into().expect("a tc program")
}

/// Reads the header field by field: an independent reading of the layout.
fn header(record: &[u8]) -> RecordHeader {
    let u16_at = |at: usize| u16::from_ne_bytes(record[at..at + 2].try_into().expect("two"));
    let u32_at = |at: usize| u32::from_ne_bytes(record[at..at + 4].try_into().expect("four"));
    RecordHeader {
        time_ns: u64::from_ne_bytes(record[..8].try_into().expect("eight")),
        pair_hash: u32_at(8),
        wire_len: u32_at(12),
        captured_len: u32_at(16),
        port: u16_at(20),
        vlan_tci: u16_at(22),
        l3_offset: u16_at(24),
        l4_offset: u16_at(26),
        ip_proto: record[28],
        flags: record[29],
        reason: record[30],
        generation: record[31],
    }
}
