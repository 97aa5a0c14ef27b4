//! The packets of alerting flows: which are kept, and that a capture of them raises the same alerts again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use etherparse::{IpNumber, PacketBuilder};
use nids::capture::pcap::PcapSource;
use nids::capture::{Direction, Frame, LinkType, Timestamp};
use nids::config::Settings;
use nids::detect::{self, Environment};
use nids::output::settings::{CaptureOptions, Condition, Rotation};
use nids::output::{self, OutputSettings, Policy};
use nids::rule::parser;
use nids::runtime::engine::{Engine, EngineConfig};
use serde_json::Value;

use crate::session::{ACK, SYN, Session, end};

const T0: u64 = 1_700_000_000_000_000_000;
const MILLISECOND: u64 = 1_000_000;

struct Run {
    folder: tempfile::TempDir,
    /// Numbers of the frames that were kept, from 0: each has a time of its own.
    kept: Vec<u64>,
    bytes: Vec<Vec<u8>>,
    sids: Vec<u64>,
}

impl Run {
    fn pcap(&self) -> PathBuf {
        self.folder.path().join("alert.pcapng")
    }
}

fn run(frames: &[Vec<u8>], rules: &str, capture: CaptureOptions) -> Run {
    run_linked(LinkType::Ethernet, frames, rules, capture)
}

/// Runs the frames, a millisecond apart.
fn run_linked(link: LinkType, frames: &[Vec<u8>], rules: &str, capture: CaptureOptions) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let (eve, pcap) = (folder.path().join("eve.json"), folder.path().join("alert.pcapng"));
    let outputs =
        [OutputSettings::eve(&eve), OutputSettings { capture, ..OutputSettings::pcap(&pcap) }];
    let (records, writer) = output::start(outputs.into(), Policy::Block).unwrap();
    let mut settings = Settings::default();
    settings.set("pcap-file.checksum-checks=no").unwrap();
    let mut engine = Engine::new(EngineConfig::offline(&settings), records);
    let parsed = parser::parse_str(&Arc::from(Path::new("test.rules")), rules);
    let compiled = detect::compile(&parsed.rules, &Environment::default());
    assert_eq!((parsed.refusals, compiled.refusals), (vec![], vec![]));
    engine.install(0, Arc::new(compiled.ruleset));
    for (number, data) in (0..).zip(frames) {
        let frame = Frame {
            time: Timestamp(T0 + number * MILLISECOND + 123),
            link,
            data,
            wire_len: data.len() as u32,
            port: 0,
            direction: Direction::Ingress,
            vlan_offload: None,
            number: number + 1,
        };
        engine.process(&frame, 0);
    }
    engine.shut_down();
    drop(engine);
    let counters = writer.finish();
    assert_eq!(counters.lost(), 0, "{counters:?}");
    let (mut kept, mut bytes) = (Vec::new(), Vec::new());
    if fs::metadata(&pcap).unwrap().len() > 0 {
        let mut source = PcapSource::open(&pcap).unwrap();
        while let Some(frame) = source.next().unwrap() {
            assert_eq!(frame.time.0 % MILLISECOND, 123, "nanoseconds");
            kept.push((frame.time.0 - T0) / MILLISECOND);
            bytes.push(frame.data.to_vec());
        }
        assert_eq!(source.cut_at(), None);
    }
    let text = fs::read_to_string(&eve).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let sids = events.filter_map(|event| event["alert"]["signature_id"].as_u64()).collect();
    Run { folder, kept, bytes, sids }
}

const RULES: &str = r#"alert tcp any any -> any 80 (msg:"stream"; content:"evil"; sid:1;)
alert udp any any -> any any (msg:"packet"; content:"evil"; sid:2;)"#;

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .udp(port, 53)
        .write(&mut out, payload)
        .unwrap();
    out
}

/// Two connections side by side, and datagrams: the evil ones whole, the others not at all.
#[test]
fn the_whole_flow_and_no_other() {
    let (mut evil, mut good) = (Session::default(), Session::default());
    evil.exchange(end("10.0.0.1", 4000), end("10.0.0.2", 80), b"some evil", b"answer");
    good.exchange(end("10.0.0.1", 4001), end("10.0.0.2", 80), b"some good", b"answer");
    let mut frames: Vec<_> =
        evil.frames.into_iter().zip(good.frames).flat_map(|(one, other)| [one, other]).collect();
    let datagrams = frames.len() as u64;
    frames.extend([udp(5000, b"good"), udp(5001, b"good"), udp(5000, b"evil"), udp(5000, b"x")]);
    let first = run(&frames, RULES, CaptureOptions::default());
    let mut expected: Vec<u64> = (0..datagrams).step_by(2).collect();
    expected.extend([datagrams, datagrams + 2, datagrams + 3]);
    assert_eq!(first.kept, expected);
    for (number, bytes) in first.kept.iter().zip(&first.bytes) {
        assert_eq!(bytes, &frames[*number as usize]);
    }

    // The same alerts of the capture alone, and all of it is kept again.
    let again = run(&first.bytes, RULES, CaptureOptions::default());
    assert_eq!((&first.sids, &again.sids), (&vec![1, 2], &vec![1, 2]));
    assert_eq!(again.bytes, first.bytes);

    let tcpdump = Command::new("tcpdump").arg("-nr").arg(first.pcap()).output();
    let Ok(tcpdump) = tcpdump else {
        println!("skipped: there is no tcpdump");
        return;
    };
    assert!(tcpdump.status.success(), "{tcpdump:?}");
    assert_eq!(String::from_utf8_lossy(&tcpdump.stdout).lines().count(), expected.len());
}

/// As the analyst wants to know what to look at.
#[test]
fn the_rule_is_told_beside_its_packet() {
    let run = run(&[udp(5000, b"good"), udp(5000, b"evil")], RULES, CaptureOptions::default());
    let bytes = fs::read(run.pcap()).unwrap();
    let comment = b"[1:2:0] packet";
    let at = bytes.windows(comment.len()).position(|window| window == comment).unwrap();
    let second = bytes.windows(4).position(|window| window == b"evil").unwrap();
    assert!(at > second, "behind the bytes of the packet that alerted");
}

#[test]
fn without_look_back_from_the_alert_on() {
    let frames = [&b"good"[..], b"evil", b"x", b"y"].map(|payload| udp(5000, payload));
    let options = CaptureOptions { look_back: 0, ..CaptureOptions::default() };
    assert_eq!(run(&frames, RULES, options).kept, [1, 2, 3]);
}

/// What was forgotten in between is not made up for; the newest are there.
#[test]
fn a_look_back_of_few_bytes() {
    let mut frames: Vec<_> = (0..100).map(|_| udp(5000, &[b'x'; 200])).collect();
    frames.push(udp(5000, b"evil"));
    let options = CaptureOptions { look_back: 2048, ..CaptureOptions::default() };
    let kept = run(&frames, RULES, options).kept;
    // 242 bytes each.
    assert_eq!(kept, (92..=100).collect::<Vec<_>>());
}

#[test]
fn so_many_bytes_of_a_flow_and_no_more() {
    let mut frames = vec![udp(5000, b"evil")];
    frames.extend((0..100).map(|_| udp(5000, &[b'x'; 58])));
    frames.push(udp(5000, b"evil"));
    frames.push(udp(5000, b"x"));
    let options = CaptureOptions { flow_limit: Some(1046), ..CaptureOptions::default() };
    // 46 bytes of the first, 100 each of the others; and each alert has its packet.
    assert_eq!(run(&frames, RULES, options).kept, (0..=10).chain([101]).collect::<Vec<_>>());
    let unlimited = CaptureOptions { flow_limit: None, ..CaptureOptions::default() };
    assert_eq!(run(&frames, RULES, unlimited).kept, (0..=102).collect::<Vec<_>>());
}

#[test]
fn by_tag_what_the_tag_asks_for() {
    let rules = "alert udp any any -> any any (content:\"evil\"; tag:session,3,packets; sid:1;)
        alert udp any any -> any any (content:\"bad\"; sid:2;)";
    let frames =
        [&b"a"[..], b"bad", b"evil", b"b", b"c", b"d", b"e"].map(|payload| udp(5000, payload));
    let options = CaptureOptions { condition: Condition::Tag, ..CaptureOptions::default() };
    let run = run(&frames, rules, options);
    // The packet of the alert counts.
    assert_eq!((run.kept, run.sids), (vec![2, 3, 4], vec![2, 1]));
}

/// A flow that a rule lets by after its alert is kept on.
#[test]
fn also_what_is_not_inspected_any_more() {
    let rules = "alert udp any any -> any any (content:\"evil\"; bypass; sid:1;)";
    let frames = [&b"a"[..], b"evil", b"b", b"c"].map(|payload| udp(5000, payload));
    assert_eq!(run(&frames, rules, CaptureOptions::default()).kept, [0, 1, 2, 3]);
}

/// What nobody acknowledged is inspected when the flow ends: its packets are kept then.
#[test]
fn an_alert_at_the_end_of_a_flow() {
    let (client, server) = (end("10.0.0.1", 4000), end("10.0.0.2", 80));
    let mut session = Session::default();
    session.tcp(client, server, SYN, 100, 0, b"");
    session.tcp(server, client, SYN | ACK, 700, 101, b"");
    session.tcp(client, server, ACK, 101, 701, b"");
    session.tcp(client, server, ACK, 101, 701, b"some evil");
    let run = run(&session.frames, RULES, CaptureOptions::default());
    assert_eq!((run.kept, run.sids), (vec![0, 1, 2, 3], vec![1]));
}

#[test]
fn a_packet_without_ip_header() {
    let runt = [&[5, 4, 3, 2, 1, 0, 0, 1, 2, 3, 4, 5, 8, 0][..], &[0x45, 0, 0]].concat();
    let rules = "alert pkthdr any any -> any any (decode-event:ipv4.pkt_too_small; sid:1;)";
    let run = run(&[udp(5000, b"evil"), runt.clone()], rules, CaptureOptions::default());
    assert_eq!((run.kept, run.bytes), (vec![1], vec![runt]));
}

/// A frame whose packet and whose inner packet both alert is kept once.
#[test]
fn a_tunnel_is_kept_once() {
    let inner = udp(5000, b"evil");
    let gre = [&[0, 0, 8, 0], &inner[14..]].concat();
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv4([1, 1, 1, 1], [2, 2, 2, 2], 64)
        .write(&mut frame, IpNumber::GRE, &gre)
        .unwrap();
    let rules = "alert ip any any -> any any (ip_proto:47; sid:1;)
        alert udp any any -> any any (content:\"evil\"; sid:2;)";
    let run = run(&[frame.clone()], rules, CaptureOptions::default());
    assert_eq!((run.sids.len(), run.bytes), (2, vec![frame]));
}

/// A datagram in fragments is kept as a whole one, behind the link header of its frames: it alerts again.
#[test]
fn fragments_are_kept_put_together() {
    let whole = udp(5000, &[&[b'x'; 100][..], b"evil", &[b'y'; 60]].concat());
    let (header, body) = whole[14..].split_at(20);
    let fragment = |from: usize, to: usize| {
        let mut header = header.to_vec();
        let more = if to < body.len() { 0x2000 } else { 0 };
        header[2..4].copy_from_slice(&(20 + (to - from) as u16).to_be_bytes());
        header[6..8].copy_from_slice(&((from / 8) as u16 | more).to_be_bytes());
        [&whole[..14], &header, &body[from..to]].concat()
    };
    let frames = [fragment(0, 80), fragment(80, body.len())];
    let first = run(&frames, RULES, CaptureOptions::default());
    assert_eq!((first.sids, first.kept), (vec![2], vec![1]));
    assert_eq!(first.bytes[0].len(), whole.len());
    assert_eq!((&first.bytes[0][..14], &first.bytes[0][34..]), (&whole[..14], body));
    assert_eq!(run(&first.bytes, RULES, CaptureOptions::default()).sids, [2]);
    // Frames without link header have none to give.
    let bare: Vec<_> = frames.iter().map(|frame| frame[14..].to_vec()).collect();
    let bare = run_linked(LinkType::RawIp, &bare, RULES, CaptureOptions::default());
    assert_eq!(bare.bytes, [&first.bytes[0][14..]]);
}

/// Each file of a rotation opens by itself; one from before is put away, not appended to.
#[test]
fn each_file_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alert.pcapng");
    fs::write(&path, "what an earlier run left, cut in the mid").unwrap();
    let rotation = Rotation { size: Some(4000), ..Rotation::default() };
    let output = OutputSettings { rotation, ..OutputSettings::pcap(&path) };
    let (records, writer) = output::start([output].into(), Policy::Block).unwrap();
    for number in 0..100 {
        records.send(output::Record::Captured(output::CapturedPacket {
            time: Timestamp(T0 + number),
            interface: Some(if number % 3 == 0 { "eth0" } else { "eth1" }.into()),
            direction: Direction::Egress,
            link: LinkType::Ethernet,
            wire_len: 342,
            bytes: udp(5000, &[b'x'; 300]).into(),
            alerts: Vec::new(),
        }));
    }
    drop(records);
    let counters = writer.finish();
    assert_eq!((counters.sinks[0].written, counters.lost()), (100, 0));
    let mut files: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    // The plain name sorts first, and is the newest.
    files.rotate_left(1);
    let old = files.remove(0);
    assert_eq!(fs::read_to_string(old).unwrap(), "what an earlier run left, cut in the mid");
    assert!(files.len() > 5);
    let mut times = Vec::new();
    for file in &files {
        assert!(fs::metadata(file).unwrap().len() <= 4000);
        let mut source = PcapSource::open(file).unwrap();
        while let Some(frame) = source.next().unwrap() {
            assert_eq!(frame.direction, Direction::Egress);
            times.push(frame.time.0 - T0);
        }
        assert_eq!(source.cut_at(), None);
    }
    assert_eq!(times, (0..100).collect::<Vec<_>>());
}
