//! What rules keep across packets, beside Suricata 7: the same matches alert under limits and
//! suppressions, and the same bits and numbers are set. Skips, and says so, where Suricata is not
//! installed.
//!
//! Left out: `track by_flow` and `backoff`, which Suricata 8 has; a rate filter of a host that holds for
//! longer than its window, which ends in Suricata when its housekeeping comes by; and a bit of a host
//! that is set behind its end, which is lost in Suricata when neither a test nor the housekeeping came by.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use etherparse::PacketBuilder;
use nids::capture::Timestamp;
use nids::detect::bits::{
    FlowBits, FlowInt, HostBitChange, HostBits, Names, SharedBits, Subject, Tracked, flowbits,
    flowint, hostbits, xbits,
};
use nids::detect::flow_state::{Budget, FlowState};
use nids::detect::keyword::value::Word;
use nids::detect::threshold::{
    Facts, FileLimits, Limit, Outcome, RuleKey, Thresholds, detection_filter, parse, threshold,
};
use nids::rule::variables::Variables;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const MILLISECOND: u64 = 1_000_000;
/// Number of a packet in the file, sid, and whether Suricata would have blocked it.
type Alerts = BTreeSet<(u64, u32, bool)>;

/// A packet of UDP. The port tells flows apart, the payload is one byte.
#[derive(Clone, Copy, Debug)]
struct Datagram {
    /// Milliseconds since the one before.
    wait: u64,
    source: u8,
    destination: u8,
    port: u8,
    byte: u8,
}

fn datagrams(bytes: u8, most: u64) -> impl Strategy<Value = Vec<Datagram>> {
    // Half seconds, so that ends of windows are hit.
    let wait = (0..=most).prop_map(|halves| halves * 500);
    let datagram = (wait, 1..4_u8, 1..4_u8, 0..3_u8, 0..bytes);
    let datagram = datagram.prop_map(|(wait, source, destination, port, byte)| Datagram {
        wait,
        source,
        // Flows are told apart by their ends: no packet from a host to itself.
        destination: if source == destination { 4 } else { destination },
        port,
        byte,
    });
    prop::collection::vec(datagram, 400)
}

fn host(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

/// Each datagram with its time.
fn timed(datagrams: &[Datagram]) -> impl Iterator<Item = (u64, Timestamp, &Datagram)> {
    let mut time = 1_700_000_000_000;
    (1..).zip(datagrams).map(move |(number, datagram)| {
        time += datagram.wait;
        (number, Timestamp(time * MILLISECOND), datagram)
    })
}

const CONFIGURATION: &str = r#"%YAML 1.1
---
vars:
  address-groups:
    HOME_NET: "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]"
    EXTERNAL_NET: "!$HOME_NET"
    LAST: "[10.0.0.0/24,!10.0.0.0/31]"
outputs:
  - eve-log: {enabled: yes, filetype: regular, filename: eve.json, types: [alert]}
flow-timeouts:
  udp: {new: 1000000, established: 1000000}
packet-alert-max: 255
"#;

/// What Suricata 7 says; `None` where there is none.
fn suricata(rules: &str, thresholds: &str, datagrams: &[Datagram], ips: bool) -> Option<Alerts> {
    let version = Command::new("suricata").arg("-V").output().ok()?;
    if !String::from_utf8_lossy(&version.stdout).contains("version 7.") {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("suricata.yaml"), CONFIGURATION).unwrap();
    fs::write(path("test.rules"), rules).unwrap();
    fs::write(path("threshold.config"), thresholds).unwrap();
    fs::write(path("test.pcap"), pcap(datagrams)).unwrap();
    let mut command = Command::new("suricata");
    command.args(["--runmode", "single", "-k", "none", "-c"]).arg(path("suricata.yaml"));
    command.arg("-S").arg(path("test.rules")).arg("-r").arg(path("test.pcap"));
    command.arg("-l").arg(folder.path());
    command.arg("--set").arg(format!("threshold-file={}", path("threshold.config").display()));
    if ips {
        command.arg("--simulate-ips");
    }
    let output = command.output().unwrap();
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && !said.contains("Error"), "{said}");
    let mut alerts = Alerts::new();
    for line in fs::read_to_string(path("eve.json")).unwrap().lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let sid = event["alert"]["signature_id"].as_u64().unwrap() as u32;
        let blocked = event["alert"]["action"] == "blocked";
        let new = alerts.insert((event["pcap_cnt"].as_u64().unwrap(), sid, blocked));
        assert!(new, "two alerts: {line}");
    }
    Some(alerts)
}

/// A pcap file of Ethernet frames.
fn pcap(datagrams: &[Datagram]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(0xa1b2_c3d4_u32.to_le_bytes());
    out.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend(65_535_u32.to_le_bytes());
    out.extend(1_u32.to_le_bytes());
    for (_, time, datagram) in timed(datagrams) {
        let port = 1000 + u16::from(datagram.port);
        let builder = PacketBuilder::ethernet2([1; 6], [2; 6])
            .ipv4([10, 0, 0, datagram.source], [10, 0, 0, datagram.destination], 64)
            .udp(port, port);
        let mut frame = Vec::new();
        builder.write(&mut frame, &[datagram.byte]).unwrap();
        let micros = time.0 / 1000;
        for word in [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32] {
            out.extend(word.to_le_bytes());
        }
        out.extend((frame.len() as u32).to_le_bytes());
        out.extend((frame.len() as u32).to_le_bytes());
        out.extend(frame);
    }
    out
}

fn skipped() {
    let _ = writeln!(std::io::stderr(), "skipped: Suricata 7 is not installed");
}

/// Fails with the first differences.
fn compare(ours: &Alerts, theirs: &Alerts, rules: &BTreeMap<u32, String>, extra: &str) {
    let differences: Vec<_> = ours.symmetric_difference(theirs).collect();
    for difference in differences.iter().take(10) {
        let who = if ours.contains(*difference) { "only ours" } else { "only Suricata's" };
        let rule = rules.get(&difference.1).map_or("", String::as_str);
        eprintln!("{who}: {difference:?}: {rule}");
    }
    assert!(differences.is_empty(), "{} differences\n{extra}", differences.len());
}

/// A limit as text without `track`, `count`, `seconds` before it: each rule gets one.
fn limit() -> impl Strategy<Value = (&'static str, String)> {
    let kind = prop::sample::select(vec!["limit", "threshold", "both", "filter"]);
    let track = prop::sample::select(vec!["by_src", "by_dst", "by_both", "by_rule"]);
    (kind, track, 1..6_u32, 1..8_u32).prop_map(|(kind, track, count, seconds)| match kind {
        "filter" => {
            // Suricata 7 has no other tracks here.
            let track = if matches!(track, "by_src" | "by_dst") { track } else { "by_src" };
            ("detection_filter", format!("track {track}, count {count}, seconds {seconds}"))
        }
        kind => {
            ("threshold", format!("type {kind}, track {track}, count {count}, seconds {seconds}"))
        }
    })
}

#[test]
fn limits_are_those_of_suricata() {
    let mut runner = TestRunner::deterministic();
    let mut alerts = 0;
    for round in 0..4 {
        let mut rules = BTreeMap::new();
        let mut own = BTreeMap::new();
        let mut config = String::new();
        for sid in 1..=40_u32 {
            let (name, value) = limit().new_tree(&mut runner).unwrap().current();
            let read: fn(Word<'_>) -> _ =
                if name == "threshold" { threshold } else { detection_filter };
            let limit = read(Word { text: &value, start: 0 }).unwrap();
            // A third in the rule, a third in the file, a third in both.
            let (in_rule, in_file) = (sid % 3 != 0, sid % 3 != 1);
            let mut text = "dsize:>0;".to_owned();
            if in_rule {
                own.insert(sid, limit);
                text += &format!(" {name}:{value};");
            }
            if in_file {
                let value = format!("type both, track by_src, count {}, seconds 3", sid % 4 + 1);
                config += &format!("event_filter gen_id 1, sig_id {sid}, {value}\n");
            }
            rules.insert(
                sid,
                format!("alert udp any any -> any any (msg:\"x\"; {text} sid:{sid};)"),
            );
        }
        config += "suppress gen_id 1, sig_id 1, track by_src, ip 10.0.0.2\n\
            suppress gen_id 1, sig_id 1, track by_dst, ip [10.0.0.3,10.0.0.4]\n\
            suppress gen_id 1, sig_id 2, track by_either, ip 10.0.0.2/31\n\
            suppress gen_id 1, sig_id 3, track by_dst, \\\n ip $LAST\n\
            suppress gen_id 1, sig_id 4\n\
            suppress gen_id 0, sig_id 0, track by_src, ip 10.0.0.9\n";
        let datagrams = datagrams(2, 3).new_tree(&mut runner).unwrap().current();
        let text: String = rules.values().map(|rule| format!("{rule}\n")).collect();
        let Some(theirs) = suricata(&text, &config, &datagrams, false) else { return skipped() };
        let ours = judged(&rules, &own, &config, &datagrams);
        compare(&ours, &theirs, &rules, &format!("round {round}\n{config}"));
        alerts += ours.len();
    }
    assert!(alerts > 10_000, "only {alerts} alerts compared");
}

/// What the limits make of rules that match every datagram.
fn judged(
    rules: &BTreeMap<u32, String>,
    own: &BTreeMap<u32, Limit>,
    config: &str,
    datagrams: &[Datagram],
) -> Alerts {
    let mut variables = Variables::default();
    variables.set("LAST", "[10.0.0.0/24,!10.0.0.0/31]").unwrap();
    let parsed = parse(&Arc::from(Path::new("threshold.config")), config, &variables);
    assert_eq!(parsed.refusals, []);
    let file = FileLimits::new(parsed.entries);
    let limits = rules.keys().map(|sid| (*sid, file.of(1, *sid, own.get(sid).copied(), |_| ())));
    let limits: Vec<_> = limits.collect();
    let thresholds = Thresholds::new(1 << 20, 1);
    let mut alerts = Alerts::new();
    for (number, time, datagram) in timed(datagrams) {
        let ends = Some((host(datagram.source), host(datagram.destination)));
        for (sid, limits) in &limits {
            let rule = RuleKey { gid: 1, sid: *sid, rev: 0 };
            match thresholds.judge(rule, limits, &Facts { ends, time }, None) {
                Outcome::Alert => alerts.insert((number, *sid, false)),
                Outcome::NewAction(_) => alerts.insert((number, *sid, true)),
                Outcome::Suppressed(_) => false,
            };
        }
    }
    alerts
}

#[test]
fn rate_filters_are_those_of_suricata() {
    let mut runner = TestRunner::deterministic();
    let tracks = ["by_src", "by_dst", "by_both", "by_rule"];
    let mut rules = BTreeMap::new();
    let mut config = String::new();
    for sid in 1..=24_u32 {
        let (count, short) = (sid % 4 + 1, sid / 4 % 3 + 1);
        let (seconds, timeout, track) = match sid % 2 {
            0 => (100_000, short, tracks[sid as usize / 6 % 4]),
            _ => (short, 100_000, "by_rule"),
        };
        config += &format!(
            "rate_filter gen_id 1, sig_id {sid}, track {track}, count {count}, seconds {seconds}, \
             new_action drop, timeout {timeout}\n"
        );
        rules.insert(sid, format!("alert udp any any -> any any (dsize:>0; sid:{sid};)"));
    }
    let datagrams = datagrams(2, 3).new_tree(&mut runner).unwrap().current();
    let text: String = rules.values().map(|rule| format!("{rule}\n")).collect();
    let Some(theirs) = suricata(&text, &config, &datagrams, true) else { return skipped() };
    let ours = judged(&rules, &BTreeMap::new(), &config, &datagrams);
    compare(&ours, &theirs, &rules, &config);
    let blocked = ours.iter().filter(|(_, _, blocked)| *blocked).count();
    assert!(blocked > 1000 && ours.len() - blocked > 1000, "{blocked} of {}", ours.len());
}

#[test]
fn bits_and_numbers_are_those_of_suricata() {
    let mut runner = TestRunner::deterministic();
    let mut options: Vec<String> = Vec::new();
    for bit in ["one", "two"] {
        for change in ["set", "unset", "isset", "isnotset", "isset", "isnotset"] {
            options.push(format!("flowbits:{change},{bit}"));
            for track in ["ip_src", "ip_dst", "ip_pair"] {
                options.push(format!("xbits:{change},{bit},track {track},expire 3"));
            }
            for end in ["src", "dst"] {
                options.push(format!("hostbits:{change},{bit},{end}"));
            }
        }
        options.push(format!("flowbits:toggle,{bit}"));
    }
    options.push("xbits:toggle,longer,track ip_src,expire 1000000".to_owned());
    options.push("xbits:isset,longer,track ip_src".to_owned());
    options.push("hostbits:isset,longer".to_owned());
    options.push("flowbits:isset,one|two".to_owned());
    options.push("flowbits:isnotset,one|two".to_owned());
    for value in ["+,1", "-,1", "+,cd", "=,7", ">,3", "<,cd", "==,7", "!=,2", "isset", "notset"] {
        options.push(format!("flowint:ab,{value}"));
    }
    for value in ["+,2", "=,ab", ">=,ab", "<=,9", "isset"] {
        options.push(format!("flowint:cd,{value}"));
    }
    let rules: BTreeMap<u32, String> = (0..)
        .zip(&options)
        .map(|(byte, option)| {
            let head = "alert udp any any -> any any";
            (
                byte + 1,
                format!("{head} (content:\"|{byte:02x}|\"; depth:1; {option}; sid:{};)", byte + 1),
            )
        })
        .collect();
    let text: String = rules.values().map(|rule| format!("{rule}\n")).collect();
    let mut alerts = 0;
    for round in 0..6 {
        let most = round % 3;
        let datagrams =
            datagrams(options.len() as u8, most).new_tree(&mut runner).unwrap().current();
        let datagrams = without_late_sets(&options, &datagrams);
        let Some(theirs) = suricata(&text, "", &datagrams, false) else { return skipped() };
        let ours = remembered(&options, &datagrams);
        compare(&ours, &theirs, &rules, &format!("round {round}"));
        alerts += ours.len();
    }
    assert!(alerts > 1000, "only {alerts} alerts compared");
}

/// What the options make of the datagrams that name them.
fn remembered(options: &[String], datagrams: &[Datagram]) -> Alerts {
    let names = Names::default();
    let shared = HostBits::new(1 << 20, 1);
    let mut budget = Budget::new(1 << 20);
    let mut flows: BTreeMap<(u8, u8, u8), FlowState> = BTreeMap::new();
    let mut alerts = Alerts::new();
    for (number, time, datagram) in timed(datagrams) {
        let (source, destination) = (datagram.source, datagram.destination);
        let ends = (source.min(destination), source.max(destination), datagram.port);
        let flow = flows.entry(ends).or_default();
        let mut subject = Subject {
            source: host(source),
            destination: host(destination),
            time,
            transaction: None,
        };
        let (keyword, value) = options[usize::from(datagram.byte)].split_once(':').unwrap();
        let value = Word { text: value, start: 0 };
        let mut of_host = |value| match value {
            SharedBits::Test(test) => shared.holds(&test, &subject),
            SharedBits::Change(change) => {
                shared.apply(&change, &mut subject);
                true
            }
            SharedBits::NoAlert => panic!(),
        };
        let holds = match keyword {
            "flowbits" => match flowbits(value, &names).unwrap() {
                FlowBits::Test(test) => test.holds(flow),
                FlowBits::Change(change) => {
                    change.apply(flow, &mut budget);
                    true
                }
                FlowBits::NoAlert => panic!(),
            },
            "flowint" => match flowint(value, &names).unwrap() {
                FlowInt::Test(test) => test.holds(flow),
                FlowInt::Change(change) => {
                    change.apply(flow, &mut budget);
                    true
                }
            },
            "xbits" => of_host(xbits(value, &names).unwrap()),
            _ => of_host(hostbits(value, &names).unwrap()),
        };
        if holds {
            alerts.insert((number, u32::from(datagram.byte) + 1, false));
        }
    }
    alerts
}

/// Leaves out what sets a bit that is there but behind its end.
fn without_late_sets(options: &[String], datagrams: &[Datagram]) -> Vec<Datagram> {
    let names = Names::default();
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    let (mut kept, mut waited) = (Vec::new(), 0);
    for (_, time, datagram) in timed(datagrams) {
        waited += datagram.wait;
        let (keyword, value) = options[usize::from(datagram.byte)].split_once(':').unwrap();
        let value = Word { text: value, start: 0 };
        let shared = match keyword {
            "xbits" => xbits(value, &names).unwrap(),
            "hostbits" => hostbits(value, &names).unwrap(),
            _ => SharedBits::NoAlert,
        };
        let owner = |bit| match bit {
            Tracked::Source(bit) => format!("{bit:?} {}", datagram.source),
            Tracked::Destination(bit) => format!("{bit:?} {}", datagram.destination),
            Tracked::Pair(bit) => {
                let (one, other) = (datagram.source, datagram.destination);
                format!("{bit:?} {} {}", one.min(other), one.max(other))
            }
            Tracked::Transaction(_) => unreachable!(),
        };
        match shared {
            SharedBits::Test(test) => {
                let owner = owner(test.bit);
                if ends.get(&owner).is_some_and(|end| *end < time.0 / 1000 / MILLISECOND) {
                    ends.remove(&owner);
                }
            }
            SharedBits::Change(HostBitChange::Set(bit, seconds)) => {
                let second = time.0 / 1000 / MILLISECOND;
                let end = second + u64::from(seconds);
                if *ends.entry(owner(bit)).or_insert(end) < second {
                    continue;
                }
            }
            SharedBits::Change(HostBitChange::Unset(bit)) => _ = ends.remove(&owner(bit)),
            // It has no end within these times.
            SharedBits::Change(HostBitChange::Toggle(..)) | SharedBits::NoAlert => {}
        }
        kept.push(Datagram { wait: std::mem::take(&mut waited), ..*datagram });
    }
    kept
}
