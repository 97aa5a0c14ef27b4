//! Cost of the kernel half: `cargo xtask bench kernel`, which builds the objects first.
//!
//! Three tables. What a frame costs that no rule wants, against programs that do nothing
//! (`BPF_PROG_TEST_RUN`, its own 20 ns included in both). What the flow table costs a wanted frame and
//! what it saves, against the same program without it, with no ring to write to. And how many frames a second go through the
//! ring to a consumer that reads all their bytes, against the least program that can do that. All are
//! ratios within one round; rounds alternate, and medians are shown, since machines drift.

#[allow(dead_code)]
#[path = "../../tests/live/bpf.rs"]
mod bpf;

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use aya::maps::{MapData, PerCpuArray, RingBuf};
use aya::programs::{SchedClassifier, TestRun, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use nids::capture::shunt::{FlowParts, Protocol, Shunter, shunters};
use nids_abi::{FilterTable, Reason};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use bpf::{Globals, Hook, Kernel};

/// Runs of a program in one measurement of its cost.
const COST_RUNS: u32 = 200_000;
/// Bytes of a ring: what the sensor takes for few rings.
const RING: u32 = 8 << 20;
/// The consumer's rest between two looks: the sensor's default.
const NAP: Duration = Duration::from_micros(200);
/// How long one measurement of the hand-over shall last.
const HANDOVER: Duration = Duration::from_millis(400);
/// The port rules want, and one they do not.
const WANTED: u16 = 80;
const UNWANTED: u16 = 5000;

fn main() {
    let rounds = rounds();
    if !programs_ready() {
        std::process::exit(77);
    }
    let cpus = Cpus::find();
    pin(cpus.producer);
    cost(rounds * 4 + 1);
    shunted(rounds * 4 + 1, &cpus);
    handover(rounds, &cpus);
}

/// The number behind `--rounds`; cargo adds flags of its own.
fn rounds() -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--rounds");
    arguments.nth(1).and_then(|count| count.parse().ok()).unwrap_or(5)
}

/// Whether the programs can be loaded here; `bpf` asks.
fn programs_ready() -> bool {
    for (missing, reason) in [
        (!nix::unistd::geteuid().is_root(), "loading programs needs root"),
        (!object().exists(), "the eBPF object is not built: run `cargo xtask build-ebpf`"),
    ] {
        if missing {
            eprintln!("nothing measured: {reason}");
            return false;
        }
    }
    true
}

/// The product's object; `bpf` asks.
fn object() -> PathBuf {
    objects().join("nids.o")
}

fn objects() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bpf")
}

// ------------------------------------------------------------------------------------------- cost

fn cost(rounds: usize) {
    let mut kernel = Kernel::load(Globals::default()).expect("asked before");
    kernel.set_table(&table());
    let bench = Bench::load(&[]);
    let frames = [
        ("IPv4 UDP", frame(64, Shape::V4, UNWANTED)),
        ("IPv6 UDP", frame(78, Shape::V6, UNWANTED)),
        ("VLAN, IPv4 UDP", frame(68, Shape::Vlan, UNWANTED)),
        ("ARP", frame(60, Shape::Arp, UNWANTED)),
    ];
    let mut rows = vec![
        ["a frame no rule wants", "program", "ns", "nothing, ns", "on top, ns", "ratio"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (name, frame) in &frames {
        for hook in Hook::ALL {
            let mut both = Vec::new();
            for _ in 0..rounds {
                let ours = kernel.test_run(hook, frame, COST_RUNS).expect("the kernel takes it").1;
                both.push((ours as f64, bench.nothing(hook, frame)));
            }
            let column = |of: &dyn Fn(&(f64, f64)) -> f64| median(both.iter().map(of).collect());
            rows.push(vec![
                (*name).to_owned(),
                hook.program().to_owned(),
                format!("{:.0}", column(&|b| b.0)),
                format!("{:.0}", column(&|b| b.1)),
                format!("{:+.0}", column(&|b| b.0 - b.1)),
                format!("{:.2}", column(&|b| b.0 / b.1)),
            ]);
        }
        let forwarded = kernel.counters(Hook::Xdp)[Reason::Wanted as usize];
        assert_eq!(forwarded, 0, "these frames are not wanted");
    }
    println!("\nMedians of {rounds} rounds of {COST_RUNS} runs; each round runs both programs.");
    print(&rows);
}

// ------------------------------------------------------------------------------------------ shunt

fn shunted(rounds: usize, cpus: &Cpus) {
    const SLOTS: u32 = 1 << 16;
    // Without rings a wanted frame is lost right behind the look-up: what remains is the look-up.
    let globals = Globals { ring: 0, ..Globals::default() };
    let load = |shunt| {
        let mut kernel = Kernel::load(Globals { shunt, ..globals }).expect("asked before");
        kernel.set_table(&table());
        kernel
    };
    let (off, on) = (load(0), load(SLOTS));
    let map = on.shunt_map().fd().as_fd();
    let shunters = shunters(map, SLOTS, globals.workers, globals.seed);
    let mut shunter = shunters.expect("the kernel maps it").pop().expect("one worker");
    shunter.set_generation(on.generation());
    let bit = (on.generation() & 1) as u8;
    let give = |shunter: &mut Shunter, flow: &FlowParts| {
        shunter.shunt(flow, 0, bit, 0, u64::MAX).expect("the only worker").ticket
    };
    let mut rows = vec![
        ["a frame rules want", "program", "no table, ns", "not in it, ns", "", "shunted, ns", ""]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (name, len, shape) in [("IPv4 UDP", 64, Shape::V4), ("IPv6 UDP", 78, Shape::V6)] {
        let frame = frame(len, shape, WANTED);
        for hook in Hook::ALL {
            let run = |kernel: &Kernel| {
                kernel.test_run(hook, &frame, COST_RUNS).expect("the kernel takes it").1 as f64
            };
            let mut measured = Vec::new();
            for _ in 0..rounds {
                let (without, miss) = (run(&off), run(&on));
                let ticket = give(&mut shunter, &parts(shape));
                measured.push((without, miss, run(&on)));
                shunter.release(ticket);
            }
            let column =
                |of: &dyn Fn(&(f64, f64, f64)) -> f64| median(measured.iter().map(of).collect());
            rows.push(vec![
                name.to_owned(),
                hook.program().to_owned(),
                format!("{:.0}", column(&|m| m.0)),
                format!("{:.0}", column(&|m| m.1)),
                format!("{:+.0}", column(&|m| m.1 - m.0)),
                format!("{:.0}", column(&|m| m.2)),
                format!("{:+.0}", column(&|m| m.2 - m.0)),
            ]);
        }
    }
    println!("\nWanted frames without a ring; medians of {rounds} rounds of {COST_RUNS} runs.");
    print(&rows);

    if cpus.producer == cpus.consumer {
        return;
    }
    // Both processors at once; the direction of the first, and what the second runs.
    let there = frame(64, Shape::V4, WANTED);
    let mut back = there.clone();
    back[26..38].copy_from_slice(&[192, 0, 2, 2, 192, 0, 2, 1, 0, 80, 0x9c, 0x40]);
    let mut other = there.clone();
    other[29] = 9;
    give(&mut shunter, &parts(Shape::V4));
    give(&mut shunter, &parts_between([192, 0, 2, 9], [192, 0, 2, 2]));
    let mut rows = vec![["shunted on two processors at once", "ns"].map(str::to_owned).to_vec()];
    for (name, second) in
        [("two flows", &other), ("one flow, both ways", &back), ("one flow, one way", &there)]
    {
        let run = |cpu, frame: &[u8]| {
            pin(cpu);
            on.test_run(Hook::Xdp, frame, COST_RUNS * 10).expect("the kernel takes it").1 as f64
        };
        let shunted = || on.counters(Hook::Xdp)[Reason::Shunted as usize];
        let (before, mut all) = (shunted(), Vec::new());
        for _ in 0..rounds {
            std::thread::scope(|scope| {
                let beside = scope.spawn(|| run(cpus.consumer, second));
                all.push(run(cpus.producer, &there));
                all.push(beside.join().expect("it does not panic"));
            });
        }
        let share = (shunted() - before) as f64 / f64::from(COST_RUNS * 20) / rounds as f64;
        let name = format!("{name} ({:.2} % shunted)", share * 100.0);
        rows.push(vec![name, format!("{:.0}", median(all))]);
    }
    pin(cpus.producer);
    print(&rows);
}

/// The flow of [`frame`] to the port that is wanted.
fn parts(shape: Shape) -> FlowParts {
    match shape {
        Shape::V6 => {
            let address = IpAddr::from([0xfd; 16]);
            let ends = [(address, 40_000), (address, WANTED)];
            FlowParts::new(Protocol::Udp, ends, []).expect("of one version")
        }
        _ => parts_between([192, 0, 2, 1], [192, 0, 2, 2]),
    }
}

fn parts_between(source: [u8; 4], destination: [u8; 4]) -> FlowParts {
    let ends = [(source.into(), 40_000), (destination.into(), WANTED)];
    FlowParts::new(Protocol::Udp, ends, []).expect("of one version")
}

// --------------------------------------------------------------------------------------- handover

/// What one measurement gave.
#[derive(Clone, Copy)]
struct Handover {
    /// Million frames a second that the consumer read while the producer ran.
    delivered: f64,
    /// Share of the frames the ring had no room for.
    lost: f64,
    /// Share of a processor the consumer used.
    consumer: f64,
}

fn handover(rounds: usize, cpus: &Cpus) {
    let mut rows = vec![
        [
            "frame",
            "nids_xdp, Mpps",
            "lost",
            "consumer CPU",
            "least program, Mpps",
            "lost",
            "consumer CPU",
            "ratio",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for len in [64, 512, 1500] {
        let frame = frame(len, Shape::V4, WANTED);
        let mut both = Vec::new();
        for _ in 0..rounds {
            both.push((ours(&frame, cpus), least(&frame, cpus)));
        }
        let column =
            |of: &dyn Fn(&(Handover, Handover)) -> f64| median(both.iter().map(of).collect());
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        rows.push(vec![
            format!("{len} bytes"),
            format!("{:.2}", column(&|b| b.0.delivered)),
            percent(column(&|b| b.0.lost)),
            percent(column(&|b| b.0.consumer)),
            format!("{:.2}", column(&|b| b.1.delivered)),
            percent(column(&|b| b.1.lost)),
            percent(column(&|b| b.1.consumer)),
            format!("{:.2}", column(&|b| b.0.delivered / b.1.delivered)),
        ]);
    }
    println!(
        "Frames handed to a consumer on {}, which naps {NAP:?}; ring {} MiB; medians of {rounds} \
         alternating rounds.",
        if cpus.producer == cpus.consumer { "the same processor" } else { "another processor" },
        RING >> 20
    );
    print(&rows);
}

/// The product's program.
fn ours(frame: &[u8], cpus: &Cpus) -> Handover {
    let globals = Globals { ring: RING, ..Globals::default() };
    let mut kernel = Kernel::load(globals).expect("asked before");
    kernel.set_table(&table());
    let rings = kernel.take_rings();
    let run = |runs| kernel.test_run(Hook::Xdp, frame, runs).expect("the kernel takes it").1;
    let counters = || {
        let counters = kernel.counters(Hook::Xdp);
        [Reason::Wanted, Reason::LostRingFull].map(|reason| counters[reason as usize])
    };
    measure(rings, cpus, run, counters)
}

/// The least program that hands frames over.
fn least(frame: &[u8], cpus: &Cpus) -> Handover {
    let mut bench = Bench::load(&[("RING", RING)]);
    let ring = RingBuf::try_from(bench.ebpf.take_map("RING").expect("in the object"));
    let run = |runs| bench.xdp("bench_ring", frame, runs) as u64;
    let counters = || {
        let map = bench.ebpf.map("RING_COUNTS").expect("in the object");
        let map: PerCpuArray<_, [u64; 2]> = map.try_into().expect("of this type");
        let values = map.get(&0, 0).expect("in range");
        [0, 1].map(|index| values.iter().map(|value| value[index]).sum())
    };
    measure(vec![ring.expect("a ring")], cpus, run, counters)
}

/// Runs the program as fast as it goes while a consumer on the other processor reads what comes.
///
/// `run` takes the number of runs and gives nanoseconds a run; `counters` gives frames handed over and
/// frames lost.
fn measure(
    rings: Vec<RingBuf<MapData>>,
    cpus: &Cpus,
    run: impl Fn(u32) -> u64,
    counters: impl Fn() -> [u64; 2],
) -> Handover {
    let stop = AtomicBool::new(false);
    let (ready, wait) = mpsc::channel();
    std::thread::scope(|scope| {
        let consumer = scope.spawn(|| {
            pin(cpus.consumer);
            consume(rings, &stop, ready)
        });
        wait.recv().expect("the consumer starts");
        let calibration = run(50_000).max(20);
        let runs = HANDOVER.as_nanos() as u64 / calibration;
        let [handed_before, lost_before] = counters();
        let begin = Instant::now();
        let nanoseconds = run(runs as u32) * runs;
        let wall = begin.elapsed();
        let [handed, lost] = counters();
        // One call prepares for milliseconds before its first run; the kernel's own clock leaves that
        // out.
        let seconds = (nanoseconds as f64 * 1e-9).min(wall.as_secs_f64());
        std::thread::sleep(NAP * 50);
        stop.store(true, Ordering::Relaxed);
        let consumed = consumer.join().expect("the consumer does not panic");
        assert_eq!(consumed.records, handed, "what was handed over was consumed");
        let (handed, lost) = ((handed - handed_before) as f64, (lost - lost_before) as f64);
        Handover {
            delivered: handed / seconds / 1e6,
            lost: lost / (handed + lost),
            consumer: consumed.busy.as_secs_f64() / seconds,
        }
    })
}

struct Consumed {
    records: u64,
    /// Time on the processor.
    busy: Duration,
}

/// Reads one word of every cache line of what comes, naps, and looks again.
fn consume(
    mut rings: Vec<RingBuf<MapData>>,
    stop: &AtomicBool,
    ready: mpsc::Sender<()>,
) -> Consumed {
    let begin = thread_time();
    let (mut records, mut sum) = (0, 0_u64);
    ready.send(()).expect("somebody waits");
    while !stop.load(Ordering::Relaxed) {
        for ring in &mut rings {
            while let Some(record) = ring.next() {
                records += 1;
                sum = record.iter().step_by(64).fold(sum, |sum, byte| sum + u64::from(*byte));
            }
        }
        std::thread::sleep(NAP);
    }
    std::hint::black_box(sum);
    Consumed { records, busy: thread_time() - begin }
}

fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every thread has one").into()
}

// --------------------------------------------------------------------------------- bench programs

/// The programs to measure against.
struct Bench {
    ebpf: Ebpf,
}

impl Bench {
    fn load(sizes: &[(&str, u32)]) -> Self {
        let mut loader = EbpfLoader::new();
        for (map, size) in sizes {
            loader.map_max_entries(map, *size);
        }
        let mut ebpf = loader.load_file(objects().join("bench.o")).expect("built with nids.o");
        for name in ["bench_pass", "bench_ring"] {
            let program = ebpf.program_mut(name).expect("in the object");
            <&mut Xdp>::try_from(program).expect("an XDP program").load().expect("it loads");
        }
        let program = ebpf.program_mut("bench_next").expect("in the object");
        <&mut SchedClassifier>::try_from(program).expect("a tc program").load().expect("it loads");
        Self { ebpf }
    }

    /// Nanoseconds of a run of the program that does nothing at this hook.
    fn nothing(&self, hook: Hook, frame: &[u8]) -> f64 {
        match hook {
            Hook::Xdp | Hook::XdpFrags => self.xdp("bench_pass", frame, COST_RUNS),
            Hook::Ingress | Hook::Egress => {
                let program = self.ebpf.program("bench_next").expect("in the object");
                let program: &SchedClassifier = program.try_into().expect("a tc program");
                nanoseconds(program.test_run(options(frame, COST_RUNS)))
            }
        }
    }

    fn xdp(&self, name: &str, frame: &[u8], runs: u32) -> f64 {
        let program = self.ebpf.program(name).expect("in the object");
        let program: &Xdp = program.try_into().expect("an XDP program");
        nanoseconds(program.test_run(options(frame, runs)))
    }
}

fn options(frame: &[u8], runs: u32) -> TestRunOptions<'_> {
    let mut options = TestRunOptions::new();
    options.data_in = Some(frame);
    options.repeat = runs;
    options
}

fn nanoseconds(result: Result<aya::programs::TestRunResult, aya::programs::ProgramError>) -> f64 {
    result.expect("the kernel takes the frame").duration.as_nanos() as f64
}

// ----------------------------------------------------------------------------------------- traffic

/// What two rules on one port and the soundness of the rest ask for.
fn table() -> FilterTable {
    let mut table = FilterTable::EMPTY;
    table.ports[usize::from(WANTED)] = 0xff;
    table.fragments = 1;
    table.unjudged = 1;
    table
}

#[derive(Clone, Copy)]
enum Shape {
    V4,
    V6,
    Vlan,
    Arp,
}

/// A frame of this length: UDP to `port`, or ARP.
fn frame(len: usize, shape: Shape, port: u16) -> Vec<u8> {
    let mut frame = vec![2; 12];
    if matches!(shape, Shape::Vlan) {
        frame.extend([0x81, 0x00, 0x00, 0x05]);
    }
    match shape {
        Shape::V4 | Shape::Vlan => {
            frame.extend([0x08, 0x00, 0x45, 0]);
            let total = len - frame.len() + 2;
            frame.extend((total as u16).to_be_bytes());
            frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        }
        Shape::V6 => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(((len - 54) as u16).to_be_bytes());
            frame.extend([17, 64]);
            frame.extend([0xfd; 32]);
        }
        Shape::Arp => frame.extend([0x08, 0x06]),
    }
    frame.extend(40_000_u16.to_be_bytes());
    frame.extend(port.to_be_bytes());
    let rest = len - frame.len() + 4;
    frame.extend((rest as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.resize(len, b'x');
    frame
}

// ----------------------------------------------------------------------------------------- machine

/// Where producer and consumer run: two processors, where there are two.
struct Cpus {
    producer: usize,
    consumer: usize,
}

impl Cpus {
    fn find() -> Self {
        let set = sched_getaffinity(Pid::from_raw(0)).expect("every thread has one");
        let mut allowed = (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false));
        let producer = allowed.next().expect("we run on one");
        Self { producer, consumer: allowed.next().unwrap_or(producer) }
    }
}

fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu).expect("in range");
    sched_setaffinity(Pid::from_raw(0), &set).expect("one of those allowed");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A table in Markdown.
fn print(rows: &[Vec<String>]) {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    println!();
    for (number, row) in rows.iter().enumerate() {
        let cells = row.iter().enumerate().map(|(i, cell)| format!("{cell:<w$}", w = width(i)));
        println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
        if number == 0 {
            let rules = (0..row.len()).map(|i| "-".repeat(width(i)));
            println!("| {} |", rules.collect::<Vec<_>>().join(" | "));
        }
    }
    println!();
}
