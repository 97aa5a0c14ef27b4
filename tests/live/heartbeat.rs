//! Fail open: a sensor that stands still costs nothing but its alerts, and its books still balance.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nids::capture::Frame;
use nids::capture::ring::monotonic_ns;
use nids::capture::xdp::{Capture, Settings};
use nids::output::{self, OutputConfig, Policy};
use nids::runtime::sensor::{Generation, Inspection, Sensor};
use nids::runtime::worker::Pipeline;
use nids::telemetry::balance::{AgentBooks, Balance};
use nids_abi::{FilterTable, Reason};
use nix::sys::signal::Signal;

use super::bpf::{Globals, Hook, Kernel};
use super::flood;
use super::netns::{Bed, CLIENT_IFACE, LIMIT, SERVER, SERVER_IFACE, wait_until};
use super::nids;
use super::sensor::Sensor as Running;

const SECOND: u64 = 1_000_000_000;

#[test]
fn the_programs_hand_nothing_over_to_a_silent_agent() {
    let globals = Globals { silence: SECOND, ..Globals::default() };
    let Some(mut kernel) = Kernel::load(globals) else { return };
    let wanted = flood::udp(1, 53, 20);
    let mut unwanted = wanted.clone();
    unwanted[23] = 89; // OSPF
    let mut table = Box::new(FilterTable::FULL);
    table.ip_proto[89] = 0;
    kernel.set_table(&table);
    for hook in Hook::ALL {
        let mut run = |beat: u64, frame: &[u8]| {
            kernel.beat(beat);
            let outcome = kernel.run(hook, frame).expect("the kernel takes it");
            (outcome.reason, outcome.record.is_some(), outcome.verdict)
        };
        let (handed, record, verdict) = run(monotonic_ns(), &wanted);
        assert_eq!((handed, record), (Reason::Wanted, true), "{hook:?}");
        // Of another processor, whose clock went on meanwhile.
        assert_eq!(run(monotonic_ns() + 9 * SECOND, &wanted).0, Reason::Wanted, "{hook:?}");
        let old = monotonic_ns() - SECOND - 1;
        assert_eq!(run(old, &wanted), (Reason::LostSilent, false, verdict), "{hook:?}");
        assert_eq!(run(0, &wanted).0, Reason::LostSilent, "{hook:?}");
        assert_eq!(run(0, &unwanted), (Reason::IpProto, false, verdict), "{hook:?}");
        assert_eq!(run(monotonic_ns(), &wanted).0, Reason::Wanted, "{hook:?}");
    }
}

/// The number behind a word of the balance that was printed last; 0 where the word is not there.
fn printed(running: &Running, word: &str) -> u64 {
    let lines = running.process.stderr.all();
    let number = |line: &String| line.trim().strip_prefix(word)?.trim().parse().ok();
    lines.iter().rev().find_map(number).unwrap_or(0)
}

#[test]
fn stopped_it_lets_traffic_by_and_it_comes_back_by_itself() {
    const MANY: usize = 300;
    if !super::ready(&[]) {
        return;
    }
    let rule = r#"alert udp any any -> any 9 (msg:"one"; content:"word"; sid:1;)"#;
    let bed = Bed::quiet().unwrap();
    let receiver = bed.server.within(|| UdpSocket::bind((SERVER[0], 9))).unwrap();
    receiver.set_read_timeout(Some(LIMIT)).unwrap();
    let sender = bed.client.within(|| UdpSocket::bind(("0.0.0.0", 0))).unwrap();
    let say = |times: usize| {
        for _ in 0..times {
            sender.send_to(b"word", (SERVER[0], 9)).unwrap();
            // It arrives, whatever the sensor does.
            assert_eq!(receiver.recv(&mut [0; 9]).unwrap(), 4);
        }
    };
    let args = ["--iface", SERVER_IFACE, "--workers", "2", "--set", "heartbeat.timeout=1"];
    let mut running = Running::start(nids(), &bed.server, rule, args).unwrap();
    say(2);
    running.process.signal(Signal::SIGSTOP).unwrap();
    // Within the second, frames go to the ring, as for a worker that is only slow.
    say(3);
    thread::sleep(Duration::from_millis(1500));
    say(MANY);
    running.process.signal(Signal::SIGCONT).unwrap();
    let told = running.process.stderr.find("stood still for", LIMIT);
    assert!(told.is_some(), "{:#?}", running.process.stderr.all());
    // It beats again as soon as its workers have shown themselves.
    thread::sleep(Duration::from_millis(500));
    say(4);
    assert_eq!(running.wait_eve(9).len(), 9, "all but those while it was silent");
    assert!(running.stop().unwrap().success());
    let lines = running.process.stderr.all();
    assert_eq!(lines.last().map(String::as_str), Some("balance: difference 0"), "{lines:#?}");
    assert_eq!(printed(&running, "agent-silent"), MANY as u64, "{lines:#?}");
    assert_eq!(running.balance().unwrap().lost, MANY as u64, "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("makes no progress")), "{lines:#?}");
}

/// A worker that hangs at its first frame while it is told to.
struct Hanging {
    hang: Arc<AtomicBool>,
    books: AgentBooks,
}

impl Pipeline for Hanging {
    fn frame(&mut self, _: &Frame<'_>, _: u8) {
        self.books.inspected += 1;
        while self.hang.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Inspection for Hanging {
    type Rules = ();
    fn install(&mut self, _: u32, _: Arc<()>) {}
    fn books(&self) -> AgentBooks {
        self.books.clone()
    }
}

#[test]
fn one_worker_that_hangs_is_enough() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::bare(false).unwrap();
    let frames = [flood::udp(1, 53, 20)];
    let send = |count| {
        flood::send(&bed.client, CLIENT_IFACE, &frames, count, LIMIT).unwrap();
    };
    let balance: Balance = bed.server.within(|| {
        let hang = Arc::new(AtomicBool::new(true));
        let settings = Settings {
            workers: Some(2),
            silence: Duration::from_secs(1),
            ..Settings::new(vec![SERVER_IFACE.into()])
        };
        let (capture, rings) = Capture::open(&settings).unwrap_or_else(|error| panic!("{error}"));
        let (_, writer) = output::start(OutputConfig::default(), Policy::Count).unwrap();
        let filter = Box::new(FilterTable::FULL);
        let first = Generation {
            rules: Arc::new(()),
            filter,
            summary: String::new(),
            report: Arc::default(),
        };
        let sensor = Sensor::start(capture, rings, writer, &first, |_| Hanging {
            hang: Arc::clone(&hang),
            books: AgentBooks::default(),
        });
        let sensor = sensor.unwrap();
        send(1);
        thread::sleep(Duration::from_millis(1500));
        send(100);
        hang.store(false, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(500));
        send(10);
        let seen = |balance: &Balance| balance.ports[0].counters[Reason::Seen as usize];
        wait_until(LIMIT, || seen(&sensor.balance().unwrap()) >= 111);
        sensor.finish().unwrap()
    });
    let counters = balance.ports[0].counters;
    assert_eq!(counters[Reason::LostSilent as usize], 100, "{balance}");
    assert_eq!(balance.agent.inspected, 11, "{balance}");
    assert_eq!(balance.difference(), 0, "{balance}");
}
