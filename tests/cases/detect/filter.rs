//! The kernel's filter keeps back nothing that a rule could match: alerts are the same with it and
//! without, over generated rules and traffic. The kernel's decision is the plain reference of it here,
//! and the real program in `live::soundness`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nids::capture::LinkType;
use nids::capture::pcap::PcapSource;
use nids::config::Settings;
use nids::decode::Tunnels;
use nids::detect::memory::Shared;
use nids::detect::{Environment, Ruleset, compile};
use nids::output::{self, OutputSettings, Policy};
use nids::rule::load::load;
use nids::runtime::engine::{Engine, EngineConfig};
use nids_abi::{FilterTable, Reason};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::{rulesets, world};
use crate::live::reference::Judgement;

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn alerts_are_the_same_with_the_filter(
        rules in world::plain_rules(3), traffic in world::traffic(),
        wraps in prop::collection::vec(0..world::WRAPS, 1..4),
    ) {
        let ruleset = world::compiled(&rules);
        let filter = ruleset.filter(&Tunnels::default().carriers());
        let wraps = wraps.iter().cycle();
        let frames: Vec<Vec<u8>> =
            traffic.iter().zip(wraps).map(|(packet, wrap)| world::wrapped(*wrap, packet.bytes(true))).collect();
        let all = world::alerts_behind(&ruleset, &frames, |_| true);
        let filtered =
            world::alerts_behind(&ruleset, &frames, |frame| Judgement::of(frame).reason(&filter) >= Reason::Wanted);
        prop_assert_eq!(
            all, filtered, "{}", rules.iter().map(|rule| rule.text() + "\n").collect::<String>()
        );
    }
}

/// The filter must not be sound by forwarding everything.
#[test]
fn much_is_kept_back() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut frames, mut forwarded) = (0, 0);
    for _ in 0..300 {
        let strategy = (world::plain_rules(2), world::traffic());
        let (rules, traffic) = strategy.new_tree(&mut runner).unwrap().current();
        let filter = world::compiled(&rules).filter(&Tunnels::default().carriers());
        for packet in traffic {
            frames += 1;
            let reason = Judgement::of(&packet.bytes(true)).reason(&filter);
            forwarded += usize::from(reason >= Reason::Wanted);
        }
    }
    assert!(forwarded * 3 < frames * 2, "{forwarded} of {frames} frames are forwarded");
}

/// What the generated packets are wrapped in is really looked into, so that the comparison above means
/// something.
#[test]
fn every_wrap_is_looked_into() {
    let rule = r#"alert ip any any -> any any (msg:"x"; content:"needle"; sid:1;)"#;
    let parsed =
        nids::rule::parser::parse_str(&std::sync::Arc::from(std::path::Path::new("x")), rule);
    let compiled = nids::detect::compile(&parsed.rules, &nids::detect::Environment::default());
    for (source, destination) in [("10.0.0.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::2")] {
        let packet = world::PacketSpec {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            ttl: 64,
            layer: world::Layer::Udp { ports: (4000, 80) },
            fields: world::Fields::default(),
            payload: b"needle".to_vec(),
        };
        let filter = compiled.ruleset.filter(&Tunnels::default().carriers());
        for wrap in 0..world::WRAPS {
            let frame = world::wrapped(wrap, packet.bytes(true));
            let judgement = Judgement::of(&frame);
            assert!(judgement.reason(&filter) >= Reason::Wanted, "wrap {wrap}: {judgement:?}");
            let alerts = world::alerts(&compiled.ruleset, &[frame]);
            assert_eq!(alerts, [(1, 1)], "wrap {wrap}, {source}");
        }
    }
}

/// Something that decides which frames are forwarded to these rules.
pub trait Decision {
    fn forwards(&mut self, ruleset: &Arc<Ruleset>, frame: &[u8]) -> bool;
}

/// The table of the rules that it was asked for last.
#[derive(Default)]
pub struct Latest(Option<Arc<Ruleset>>);

impl Latest {
    /// The table of these rules, where it is another one than before.
    pub fn table(&mut self, ruleset: &Arc<Ruleset>) -> Option<Box<FilterTable>> {
        let known = self.0.as_ref().is_some_and(|known| Arc::ptr_eq(known, ruleset));
        self.0 = Some(Arc::clone(ruleset));
        (!known).then(|| ruleset.filter(&Tunnels::default().carriers()))
    }
}

struct Reference(Latest, Box<FilterTable>);

impl Decision for Reference {
    fn forwards(&mut self, ruleset: &Arc<Ruleset>, frame: &[u8]) -> bool {
        if let Some(table) = self.0.table(ruleset) {
            self.1 = table;
        }
        Judgement::of(frame).reason(&self.1) >= Reason::Wanted
    }
}

#[test]
fn alerts_of_a_public_ruleset_are_the_same_with_the_filter() {
    on_captures(&mut Reference(Latest::default(), Box::new(FilterTable::EMPTY)));
}

/// A public ruleset as a whole, and each of its rules that alerts by itself, on the captures of a public test
/// suite: live engines raise the same alerts of what is forwarded as of everything. Skips, and says so, where
/// these are not beside the checkout.
pub fn on_captures(decision: &mut dyn Decision) {
    let captures = captures();
    let Some(path) = rulesets::shared("et-open.rules").filter(|_| !captures.is_empty()) else {
        return;
    };
    let loaded = load(&[path]).unwrap();
    // Home is on both sides of the captures, so that rules about it match.
    let mut environment = Environment::default();
    for name in ["HOME_NET", "EXTERNAL_NET"] {
        environment.variables.set(name, "any").unwrap();
    }
    let (mut seen, mut kept, mut alerts) = (0, 0, 0);
    let mut compare = |ruleset: &Arc<Ruleset>, capture: &Path| {
        let all = live_alerts(ruleset, capture, |_| true);
        let filtered = live_alerts(ruleset, capture, |frame| {
            let forwarded = decision.forwards(ruleset, frame);
            seen += 1;
            kept += usize::from(!forwarded);
            forwarded
        });
        // At which packet a transaction is over may show from a segment that is not forwarded.
        let sids = |alerts: &BTreeSet<(u64, u64)>| {
            let mut sids: Vec<_> = alerts.iter().map(|(_, sid)| *sid).collect();
            sids.sort_unstable();
            sids
        };
        assert_eq!(sids(&all), sids(&filtered), "{}", capture.display());
        alerts += all.len();
        all
    };
    let whole = Arc::new(compile(&loaded.rules, &environment).ruleset);
    let mut alerted: BTreeMap<u64, BTreeSet<&Path>> = BTreeMap::new();
    for capture in &captures {
        for (_, sid) in compare(&whole, capture) {
            alerted.entry(sid).or_default().insert(capture);
        }
    }
    for (sid, captures) in alerted {
        let rules: Vec<_> = loaded
            .rules
            .iter()
            .filter(|rule| rule.sid().map(u64::from) == Some(sid))
            .cloned()
            .collect();
        let one = Arc::new(compile(&rules, &environment).ruleset);
        for capture in captures {
            compare(&one, capture);
        }
    }
    let _ = writeln!(std::io::stderr(), "{kept} of {seen} frames kept back, {alerts} alerts");
    assert!(alerts > 100 && kept * 30 > seen, "{kept} of {seen} frames kept back, {alerts} alerts");
}

/// The small captures of the suite.
fn captures() -> Vec<PathBuf> {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance/suite");
    if !suite.is_dir() {
        let _ = writeln!(std::io::stderr(), "skipped: there is no suite in ../shared/conformance");
    }
    let (mut folders, mut files) = (vec![suite], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, about) = (entry.path(), entry.metadata().unwrap());
            match path.extension() {
                _ if about.is_dir() => folders.push(path),
                Some(extension) if extension == "pcap" && about.len() < 200 << 10 => {
                    files.push(path)
                }
                _ => {}
            }
        }
    }
    files.sort();
    files
}

/// What a live engine says of the frames of a capture that are forwarded: their numbers, and sids.
fn live_alerts(
    ruleset: &Arc<Ruleset>,
    capture: &Path,
    mut forwarded: impl FnMut(&[u8]) -> bool,
) -> BTreeSet<(u64, u64)> {
    let folder = tempfile::tempdir().unwrap();
    let eve = folder.path().join("eve.json");
    let outputs = [OutputSettings::eve(&eve)].into();
    let (records, writer) = output::start(outputs, Policy::Block).unwrap();
    let mut settings = Settings::default();
    settings.flow.memcap = 1 << 22;
    let config = EngineConfig::live(&settings, 0, 1, 7, Vec::new(), Shared::new(7));
    let mut engine = Engine::new(config, records);
    engine.install(0, Arc::clone(ruleset));
    let mut source = PcapSource::open(capture).unwrap();
    // A damaged file ends where the damage begins.
    while let Ok(Some(frame)) = source.next() {
        if frame.link != LinkType::Ethernet || frame.data.len() < 14 || forwarded(frame.data) {
            engine.process(&frame, 0);
        }
    }
    engine.shut_down();
    drop(engine);
    writer.finish();
    let text = fs::read_to_string(&eve).unwrap_or_default();
    let events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    events
        .filter(|event| event["event_type"] == "alert")
        .map(|event| {
            let number = |value: &serde_json::Value| value.as_u64().unwrap_or_default();
            (number(&event["pcap_cnt"]), number(&event["alert"]["signature_id"]))
        })
        .collect()
}
