//! Evasion and floods through the whole engine: what the host reads is what the rules see, or an event
//! says that it is ambiguous.
//!
//! Every case runs twice: as from a capture file (inspection waits for acknowledgments, checksums are
//! verified) and as live (nothing waits, checksums are trusted).

mod books;
mod floods;
mod fragments;
mod packet;
mod segmentation;
mod tcp;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use nids::capture::{Direction, Frame, LinkType, Timestamp};
use nids::config::{ChecksumChecks, Settings};
use nids::decode::event::Event as DecodeEvent;
use nids::detect::memory::Shared;
use nids::detect::{self, Environment, Ruleset};
use nids::output::{self, OutputSettings, Policy, Writer};
use nids::rule::parser;
use nids::runtime::engine::{Engine, EngineConfig};
use nids::stream::Event as StreamEvent;
use packet::{ACK, SYN, Segment, c, s};

/// How the engine is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// As from a capture file.
    Offline,
    /// As from a network card.
    Live,
}

pub const RUNS: [Run; 2] = [Run::Offline, Run::Live];

/// Compiles rules that are all to be taken.
pub fn rules(text: &str) -> Arc<Ruleset> {
    let parsed = parser::parse_str(&Arc::from(Path::new("test.rules")), text);
    assert_eq!(parsed.refusals, []);
    let environment = Environment {
        variables: Default::default(),
        classifications: Default::default(),
        references: Default::default(),
        ..Environment::default()
    };
    let compiled = detect::compile(&parsed.rules, &environment);
    assert_eq!(compiled.refusals, []);
    Arc::new(compiled.ruleset)
}

/// Settings of a small sensor.
pub fn settings(texts: &[&str]) -> Settings {
    let mut settings = Settings { pcap_checksums: ChecksumChecks::Yes, ..Settings::default() };
    settings.flow.memcap = 1 << 20;
    texts.iter().for_each(|text| settings.set(text).unwrap());
    settings
}

/// An engine with rules, and its alerts.
pub struct Bench {
    pub engine: Engine,
    writer: Writer,
    eve: PathBuf,
    _folder: tempfile::TempDir,
    number: u64,
}

impl Bench {
    pub fn new(run: Run, settings: &Settings, rules: Arc<Ruleset>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let eve = folder.path().join("eve.json");
        let outputs = [OutputSettings::eve(&eve)].into();
        let (alerts, writer) = output::start(outputs, Policy::Block).unwrap();
        let config = match run {
            Run::Offline => EngineConfig::offline(settings),
            Run::Live => EngineConfig::live(settings, 0, 1, 7, Vec::new(), Shared::new(7)),
        };
        let mut engine = Engine::new(config, alerts);
        engine.install(0, rules);
        Self { engine, writer, eve, _folder: folder, number: 0 }
    }

    /// One packet at this time, in milliseconds.
    pub fn see(&mut self, packet: &[u8], time: u64) {
        self.number += 1;
        let frame = Frame {
            time: Timestamp(1_700_000_000_000_000_000 + time * 1_000_000),
            link: LinkType::RawIp,
            data: packet,
            wire_len: packet.len() as u32,
            port: 0,
            direction: Direction::Ingress,
            vlan_offload: None,
            number: self.number,
        };
        self.engine.process(&frame, 0);
    }

    /// Ends all flows. The sids that alerted, each once; the books have balanced.
    pub fn sids(mut self) -> BTreeSet<u64> {
        self.engine.shut_down();
        let counters = self.engine.counters();
        assert_eq!(counters.received, counters.inspected + counters.skipped_total());
        drop(self.engine);
        self.writer.finish();
        let text = fs::read_to_string(&self.eve).unwrap();
        let lines =
            text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.map(|event| event["alert"]["signature_id"].as_u64().unwrap()).collect()
    }
}

/// What an attack sends; the target reads `/etc/passwd` in it.
pub const ATTACK: &[u8] = b"GET /etc/passwd HTTP/1.0\r\n\r\n";

/// A rule for the attack, with sid 1, and one for each event, numbered as they are.
static RULES: LazyLock<Arc<Ruleset>> = LazyLock::new(|| {
    let mut text = String::from(
        "alert tcp any any -> any any (content:\"/etc/passwd\"; sid:1;)\n\
         alert udp any any -> any any (content:\"/etc/passwd\"; sid:2;)\n",
    );
    for (number, event) in StreamEvent::ALL.iter().enumerate() {
        let (name, sid) = (event.name(), 1000 + number);
        text += &format!("alert tcp any any -> any any (stream-event:{name}; sid:{sid};)\n");
    }
    for (number, event) in DecodeEvent::ALL.iter().enumerate() {
        let (name, sid) = (event.name(), 2000 + number);
        text += &format!("alert pkthdr any any -> any any (decode-event:{name}; sid:{sid};)\n");
    }
    rules(&text)
});

/// What the sensor says to packets (with their times in milliseconds): `alert`, and names of events.
pub fn said(run: Run, settings: &Settings, packets: &[(u64, Vec<u8>)]) -> BTreeSet<String> {
    let mut bench = Bench::new(run, settings, Arc::clone(&RULES));
    for (time, packet) in packets {
        bench.see(packet, *time);
    }
    let name = |sid: u64| match sid {
        1 | 2 => "alert".to_owned(),
        1000..2000 => format!("stream.{}", StreamEvent::ALL[sid as usize - 1000].name()),
        _ => format!("decoder.{}", DecodeEvent::ALL[sid as usize - 2000].name()),
    };
    bench.sids().into_iter().map(name).collect()
}

/// A connection, packet by packet, a millisecond apart.
pub struct Talk {
    pub packets: Vec<(u64, Vec<u8>)>,
    pub isn: [u32; 2],
    time: u64,
}

impl Talk {
    pub fn new() -> Self {
        Self { packets: Vec::new(), isn: [1000, 5000], time: 0 }
    }

    /// A connection that is open.
    pub fn open() -> Self {
        let mut talk = Self::new();
        talk.handshake();
        talk
    }

    pub fn handshake(&mut self) {
        self.send(c(-1, b"").flags(SYN));
        self.send(s(-1, b"").flags(SYN | ACK));
        self.send(c(0, b"").flags(ACK));
    }

    pub fn send(&mut self, segment: Segment) {
        let packet = segment.packet(self.isn);
        self.raw(packet);
    }

    pub fn raw(&mut self, packet: Vec<u8>) {
        self.time += 1;
        self.packets.push((self.time, packet));
    }

    /// The server has the client's bytes up to here.
    pub fn acked(&mut self, at: i64) {
        self.send(s(0, b"").flags(ACK).ack(at));
    }
}

/// One evasion: what it is called, what it sends, what is said offline and live.
pub struct Case {
    pub name: &'static str,
    pub said: [&'static str; 2],
    pub settings: &'static [&'static str],
    pub play: fn(&mut Talk),
}

/// Plays the cases; each has to be answered in both runs, with what the table says.
pub fn check(cases: &[Case], start: fn() -> Talk) {
    let mut wrong = Vec::new();
    for case in cases {
        let mut talk = start();
        (case.play)(&mut talk);
        let settings = settings(case.settings);
        for (run, wanted) in RUNS.into_iter().zip(case.said) {
            let said = said(run, &settings, &talk.packets);
            if !said.contains(wanted) {
                wrong.push(format!("{} ({run:?}): wanted {wanted}, got {said:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
