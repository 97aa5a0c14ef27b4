//! The running sensor keeps exact books: under a flood that overruns its rings, and while its rules are
//! swapped. The pipeline here only counts; that rules fire is left to `traffic`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use std::{io, thread};

use nids::capture::Frame;
use nids::capture::ring::monotonic_ns;
use nids::capture::shunt::{FlowParts, Shunter};
use nids::capture::xdp::{Capture, ModeChoice, Settings};
use nids::decode::decode;
use nids::output::{self, OutputConfig, Policy};
use nids::runtime::sensor::{Generation, Inspection, Sensor};
use nids::runtime::worker::Pipeline;
use nids::telemetry::balance::{AgentBooks, Balance};
use nids_abi::{FilterTable, LEVEL_ALL, Reason, UDP_DST};

use super::flood;
use super::netns::{Bed, CLIENT_IFACE, LIMIT, SERVER_IFACE, wait_until};

/// Its rules are one UDP port, `None` for everything.
#[derive(Default)]
struct Counting {
    rules: [Option<Arc<Option<u16>>>; 2],
    inspected: u64,
    mixed: u64,
    disorder: u64,
    last: [u64; 2],
}

impl Pipeline for Counting {
    fn frame(&mut self, frame: &Frame<'_>, generation: u8) {
        self.inspected += 1;
        let rule = self.rules[usize::from(generation)].as_deref().expect("rules were installed");
        if let Some(port) = rule {
            let found = frame.data.get(36..38).map(|at| u16::from_be_bytes([at[0], at[1]]));
            self.mixed += u64::from(found != Some(*port));
        }
        let slot = usize::from(generation);
        self.disorder += u64::from(frame.time.0 < self.last[slot]);
        self.last[slot] = frame.time.0;
    }
}

impl Inspection for Counting {
    type Rules = Option<u16>;
    fn install(&mut self, generation: u32, rules: Arc<Self::Rules>) {
        self.rules[generation as usize & 1] = Some(rules);
    }
    fn books(&self) -> AgentBooks {
        AgentBooks { inspected: self.inspected, alerts: self.mixed, ..AgentBooks::default() }
    }
}

fn generation(rule: Option<u16>, filter: Box<FilterTable>) -> Generation<Option<u16>> {
    let (rules, report) = (Arc::new(rule), Arc::default());
    Generation { rules, filter, summary: String::new(), report }
}

fn everything() -> Generation<Option<u16>> {
    let filter = Box::new(FilterTable::FULL);
    generation(None, filter)
}

fn one_port(port: u16) -> Generation<Option<u16>> {
    let mut filter = Box::new(FilterTable::EMPTY);
    filter.ports[usize::from(port)] = LEVEL_ALL << UDP_DST;
    generation(Some(port), filter)
}

fn start(settings: &Settings, first: &Generation<Option<u16>>) -> Sensor<Counting> {
    let (capture, rings) = Capture::open(settings).unwrap_or_else(|error| panic!("{error}"));
    let (_, writer) = output::start(OutputConfig::default(), Policy::Count).unwrap();
    Sensor::start(capture, rings, writer, first, |_| Counting::default()).unwrap()
}

fn seen(balance: &Balance) -> u64 {
    balance.ports.iter().map(|port| port.counters[Reason::Seen as usize]).sum()
}

fn count(balance: &Balance, reasons: &[Reason]) -> u64 {
    let all = balance
        .ports
        .iter()
        .flat_map(|port| reasons.iter().map(|reason| port.counters[*reason as usize]));
    all.sum()
}

/// Frames may still be under way when the sender is done.
fn settle(sensor: &Sensor<Counting>, sent: u64) {
    wait_until(LIMIT, || seen(&sensor.balance().unwrap()) >= sent);
}

fn settings(mode: ModeChoice) -> Settings {
    Settings { mode, ..Settings::new(vec![SERVER_IFACE.into()]) }
}

#[test]
fn a_flood_that_overruns_the_rings_leaves_no_difference() {
    if !super::ready(&[]) {
        return;
    }
    for mode in [ModeChoice::Driver, ModeChoice::Generic, ModeChoice::Tcx] {
        let bed = Bed::bare(false).unwrap();
        let (sent, balance) = bed.server.within(|| {
            // Rings this small are full long before a worker that naps this long looks again.
            let settings = Settings {
                ring_bytes: Some(1 << 16),
                nap: Duration::from_millis(20),
                workers: Some(2),
                ..settings(mode)
            };
            let sensor = start(&settings, &everything());
            let frames: Vec<_> =
                (0..50).map(|at| flood::udp(1000 + at, 53, usize::from(at) * 29)).collect();
            let limit = Duration::from_secs(5);
            let sent = flood::send(&bed.client, CLIENT_IFACE, &frames, 200_000, limit).unwrap();
            settle(&sensor, sent);
            (sent, sensor.finish().unwrap())
        });
        assert!(sent > 10_000, "{mode:?}: only {sent} frames were sent");
        assert_eq!(seen(&balance), sent, "{mode:?}:\n{balance}");
        assert!(count(&balance, &Reason::LOST) > 0, "{mode:?}: nothing was lost:\n{balance}");
        assert!(balance.agent.inspected > 0, "{mode:?}:\n{balance}");
        assert_eq!(balance.difference(), 0, "{mode:?}:\n{balance}");
        assert!(balance.to_string().ends_with("\nbalance: difference 0"), "{mode:?}:\n{balance}");
    }
}

#[test]
fn swapping_rules_under_load_loses_nothing_and_mixes_nothing() {
    if !super::ready(&[]) {
        return;
    }
    const SWAPS: u16 = 40;
    let bed = Bed::bare(false).unwrap();
    let (sent, balance, mixed) = bed.server.within(|| {
        let settings = Settings { workers: Some(2), ..settings(ModeChoice::Driver) };
        let mut sensor = start(&settings, &one_port(2000));
        let done = AtomicBool::new(false);
        let frames: Vec<_> = (0..40).map(|at| flood::udp(5000 + at, 2000 + at % 4, 10)).collect();
        let sent = thread::scope(|scope| {
            let sender = scope.spawn(|| -> io::Result<u64> {
                let mut sent = 0;
                while !done.load(Ordering::Relaxed) {
                    let once = Duration::from_secs(1);
                    sent += flood::send(&bed.client, CLIENT_IFACE, &frames, 640, once)?;
                    thread::sleep(Duration::from_millis(1));
                }
                Ok(sent)
            });
            for swap in 1..=SWAPS {
                sensor.replace(&one_port(2000 + swap % 4)).unwrap();
            }
            done.store(true, Ordering::Relaxed);
            sender.join().unwrap().unwrap()
        });
        settle(&sensor, sent);
        let balance = sensor.finish().unwrap();
        let mixed = balance.agent.alerts;
        (sent, balance, mixed)
    });
    assert_eq!(mixed, 0, "frames inspected by rules of another generation:\n{balance}");
    assert_eq!(seen(&balance), sent, "{balance}");
    assert_eq!(count(&balance, &Reason::LOST), 0, "{balance}");
    // The ports come in turn and one of four is wanted; a swap within a turn adds one or takes one.
    let (inspected, expected) = (balance.agent.inspected, sent / 4);
    assert!(inspected.abs_diff(expected) <= u64::from(SWAPS), "{expected} expected:\n{balance}");
    assert_eq!(balance.difference(), 0, "{balance}");
}

/// Wants to see no more of a flow once it has seen a frame of it.
struct Sparing {
    books: AgentBooks,
    shunter: Shunter,
    /// Frames let by for the flows of all workers.
    spared: Arc<AtomicU64>,
}

impl Pipeline for Sparing {
    fn frame(&mut self, frame: &Frame<'_>, generation: u8) {
        self.books.inspected += 1;
        let Some(flow) = FlowParts::of(&decode(frame)) else { return };
        let now = monotonic_ns();
        self.shunter
            .shunt(&flow, 0, generation, now, now + 60_000_000_000)
            .expect("its frames come to this worker");
    }
}

impl Inspection for Sparing {
    type Rules = Option<u16>;
    fn install(&mut self, _: u32, _: Arc<Self::Rules>) {}
    fn books(&self) -> AgentBooks {
        self.books.clone()
    }
}

impl Drop for Sparing {
    fn drop(&mut self) {
        self.shunter.collect(u64::MAX, |_, _, _| {});
        self.spared.fetch_add(self.shunter.counters().packets, Ordering::Relaxed);
    }
}

#[test]
fn frames_of_shunted_flows_are_in_the_books_of_the_kernel_and_of_the_flows() {
    const FLOWS: u16 = 50;
    if !super::ready(&[]) {
        return;
    }
    for mode in [ModeChoice::Driver, ModeChoice::Generic, ModeChoice::Tcx] {
        let bed = Bed::bare(false).unwrap();
        let spared = Arc::new(AtomicU64::new(0));
        let (sent, balance) = bed.server.within(|| {
            // Few slots, so that flows put each other out; three workers, so that it does not come out even.
            let settings = Settings { workers: Some(3), shunt_slots: 100, ..settings(mode) };
            let (mut capture, rings) = Capture::open(&settings).unwrap_or_else(|e| panic!("{e}"));
            let mut shunters = capture.take_shunters().into_iter();
            let (_, writer) = output::start(OutputConfig::default(), Policy::Count).unwrap();
            let sensor = Sensor::start(capture, rings, writer, &everything(), |_| Sparing {
                books: AgentBooks::default(),
                shunter: shunters.next().unwrap(),
                spared: Arc::clone(&spared),
            });
            let sensor = sensor.unwrap();
            let frames: Vec<_> = (0..FLOWS).map(|at| flood::udp(1000 + at, 53, 100)).collect();
            let limit = Duration::from_secs(3);
            let sent = flood::send(&bed.client, CLIENT_IFACE, &frames, 50_000, limit).unwrap();
            wait_until(LIMIT, || seen(&sensor.balance().unwrap()) >= sent);
            (sent, sensor.finish().unwrap())
        });
        let shunted = count(&balance, &Reason::SHUNTED);
        eprintln!("{mode:?}: {shunted} of {sent} frames shunted");
        assert_eq!(balance.difference(), 0, "{mode:?}:\n{balance}");
        assert!(seen(&balance) >= sent && shunted > sent / 4, "{mode:?}:\n{balance}");
        assert_eq!(spared.load(Ordering::Relaxed), shunted, "{mode:?}:\n{balance}");
    }
}
