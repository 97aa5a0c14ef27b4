//! One worker's pipeline: generations of rules, the balance on any frames.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use etherparse::PacketBuilder;
use nids::capture::{Direction, Frame, LinkType, Timestamp};
use nids::config::Settings;
use nids::detect::{self, Environment, Ruleset};
use nids::output::{self, OutputSettings, Policy, Writer};
use nids::rule::parser;
use nids::runtime::engine::{Engine, EngineConfig, SkipReason};
use proptest::prelude::*;

use crate::session::{Session, end};

fn rules(text: &str) -> Arc<Ruleset> {
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

fn engine(eve: &Path) -> (Engine, Writer) {
    let outputs = [OutputSettings::eve(eve)].into();
    let (alerts, writer) = output::start(outputs, Policy::Block).unwrap();
    (Engine::new(EngineConfig::offline(&Settings::default()), alerts), writer)
}

fn frame(data: &[u8], number: u64) -> Frame<'_> {
    Frame {
        time: Timestamp(1_700_000_000_000_000_000),
        link: LinkType::Ethernet,
        data,
        wire_len: data.len() as u32,
        port: 0,
        direction: Direction::Ingress,
        vlan_offload: None,
        number,
    }
}

/// What the tables of a generation let through is for the rules of that generation.
#[test]
fn each_frame_meets_the_rules_of_its_generation() {
    let folder = tempfile::tempdir().unwrap();
    let eve = folder.path().join("eve.json");
    let (mut engine, writer) = engine(&eve);
    let mut session = Session::default();
    session.tcp(end("10.0.0.1", 1), end("10.0.0.2", 80), 16, 1, 1, b"old new");
    let frame = frame(&session.frames[0], 1);
    engine.process(&frame, 0);
    assert_eq!(engine.counters().skipped[SkipReason::NoRuleset as usize], 1);

    engine.install(0, rules(r#"alert tcp any any -> any any (content:"old"; sid:1;)"#));
    engine.process(&frame, 0);
    engine.process(&frame, 1);
    engine.install(1, rules(r#"alert tcp any any -> any any (content:"new"; sid:2;)"#));
    // The generations overlap while the kernel's last runs end.
    for generation in [1, 0, 1, 2, 3] {
        engine.process(&frame, generation);
    }
    let counters = engine.counters();
    assert_eq!((counters.received, counters.inspected, counters.alerts), (8, 6, 6));
    drop(engine);
    writer.finish();
    let text = fs::read_to_string(&eve).unwrap();
    let sids: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|event| event["alert"]["signature_id"].as_u64().unwrap())
        .collect();
    assert_eq!(sids, [1, 2, 1, 2, 1, 2]);
}

/// A frame counts once with all it carries; each packet in it has a flow of its own, though both ends
/// and ports of the outer one come again inside.
#[test]
fn a_tunnel_is_one_frame_and_many_packets() {
    let folder = tempfile::tempdir().unwrap();
    let eve = folder.path().join("eve.json");
    let (mut engine, writer) = engine(&eve);
    engine.install(0, rules(r#"alert udp any any -> any 4789 (content:"secret"; sid:1;)"#));
    let udp = |payload: &[u8]| {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([1; 6], [2; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .udp(4000, 4789)
            .write(&mut frame, payload)
            .unwrap();
        frame
    };
    let data = (0..3).fold(udp(b"secret"), |inside, level| {
        udp(&[&[8, 0, 0, 0, 0, 0, level, 0], &*inside].concat())
    });
    engine.process(&frame(&data, 1), 0);
    let counters = engine.counters();
    assert_eq!((counters.received, counters.inspected, counters.tunneled), (1, 1, 3));
    assert_eq!((counters.skipped_total(), counters.alerts), (0, 1));
    assert_eq!(engine.flow_counters().created, 4);
    drop(engine);
    writer.finish();
    assert_eq!(fs::read_to_string(&eve).unwrap().lines().count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever comes is inspected or skipped for one reason.
    #[test]
    fn the_books_balance_on_any_frames(
        frames in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(any::<u8>(), 0..80), 0_u8..4), 1..60,
        )
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (mut engine, writer) = engine(&folder.path().join("eve.json"));
        engine.install(0, rules("alert ip any any -> any any (sid:1;)"));
        let mut session = Session::default();
        session.tcp(end("10.0.0.1", 1), end("10.0.0.2", 80), 16, 1, 1, b"payload");
        let good = &session.frames[0];
        for (number, (whole, bytes, generation)) in frames.iter().enumerate() {
            let data = if *whole {
                // Noise laid over a good frame.
                let mut data = good.clone();
                for (at, byte) in bytes.iter().enumerate().take(3) {
                    let at = (usize::from(*byte) + at) % data.len();
                    data[at] ^= byte;
                }
                data
            } else {
                bytes.clone()
            };
            engine.process(&frame(&data, number as u64 + 1), *generation);
        }
        let counters = engine.counters();
        prop_assert_eq!(counters.received, frames.len() as u64);
        prop_assert_eq!(counters.received, counters.inspected + counters.skipped_total());
        // A rule of addresses only matches each flow once each way, and packets without flow each time.
        prop_assert!(counters.alerts <= counters.inspected);
        if counters.skipped[SkipReason::NoRuleset as usize] == 0 {
            prop_assert_eq!(counters.alerts > 0, counters.inspected > 0);
        }
        drop(engine);
        let written = writer.finish();
        prop_assert_eq!(written.taken, counters.alerts);
    }
}
