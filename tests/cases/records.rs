//! Records beside alerts: what the engine logs of flows and oddities, and how EVE writes it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use etherparse::{IpNumber, PacketBuilder};
use nids::capture::{Direction, Frame, LinkType, Timestamp};
use nids::config::Settings;
use nids::decode::{self, Origin};
use nids::detect::{self, Environment};
use nids::flow::{Bypassed, End, Ends, FlowDirection, FlowRecord, Stage, TcpRecord, TtlRange};
use nids::output::{
    self, Anomaly, EveType, Oddity, OutputConfig, OutputCounters, OutputSettings, Policy, Record,
    start,
};
use nids::rule::parser;
use nids::runtime::engine::{Engine, EngineConfig};
use nids::stream::{self, State};
use proptest::prelude::*;
use serde_json::Value;

use super::output::{alert, rule};
use crate::session::{ACK, SYN, Session, end};

const ALL: [EveType; 5] =
    [EveType::Alert, EveType::Flow, EveType::Netflow, EveType::Anomaly, EveType::Packet];
const T0: u64 = 1_700_000_000_000_000_000;
const MILLISECOND: u64 = 1_000_000;

fn tcp_flow() -> FlowRecord {
    FlowRecord {
        time: Timestamp(T0),
        interface: None,
        id: 7,
        ends: Ends {
            client: "10.0.0.1".parse().unwrap(),
            client_port: 4000,
            server: "10.0.0.2".parse().unwrap(),
            server_port: 80,
            ip_proto: 6,
            vlan: [None, None, Some(7)],
            depth: 0,
        },
        icmp_code: [0; 2],
        packets: [6, 3],
        bytes: [338, 168],
        ttl: [TtlRange { min: 63, max: 64 }, TtlRange { min: 50, max: 50 }],
        start: Timestamp(T0 + 800 * MILLISECOND),
        last: Timestamp(T0 + 1100 * MILLISECOND),
        stage: Stage::Closed,
        end: End::Shutdown,
        alerted: true,
        app_proto: None,
        tcp: Some(TcpRecord { flags: [0x1b, 0x12], state: Some(State::Closed) }),
        bypassed: None,
        vars: None,
    }
}

fn anomaly(oddity: Oddity) -> Anomaly {
    Anomaly {
        time: Timestamp(T0),
        interface: None,
        pcap_number: 22,
        vlan: Vec::new(),
        addresses: Some(("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap())),
        ports: None,
        ip_proto: 6,
        icmp: None,
        flow: None,
        origin: Origin::Wire,
        oddity,
        packet_header: None,
    }
}

/// Sends the records and gives the EVE lines.
fn render(records: impl IntoIterator<Item = Record>, community_id: bool) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let eve = dir.path().join("eve.json");
    let config = OutputConfig {
        community_id: community_id.then_some(0),
        ..[OutputSettings::eve(&eve).with_types(ALL)].into()
    };
    let (sender, writer) = start(config, Policy::Block).unwrap();
    records.into_iter().for_each(|record| sender.send(record));
    writer.finish();
    fs::read_to_string(&eve).unwrap().lines().map(String::from).collect()
}

/// What Suricata 7.0.10 wrote of the same flows and packets, but for its `app_proto` and `*_max_regions`.
#[test]
fn lines_are_suricatas() {
    let mut ping = tcp_flow();
    (ping.tcp, ping.alerted, ping.stage) = (None, false, Stage::Established);
    ping.interface = Some("eth0".into());
    (ping.ends.vlan, ping.ends.ip_proto) = ([None; 3], 1);
    (ping.ends.client_port, ping.ends.server_port) = (8, 0);

    let mut bypassed = tcp_flow();
    bypassed.stage = Stage::Established;
    bypassed.bypassed = Some(Bypassed { packets: [1, 2], bytes: [10, 20] });
    let mut evicted = tcp_flow();
    (evicted.end, evicted.stage) = (End::Evicted, Stage::New);
    evicted.tcp = Some(TcpRecord::default());

    let too_small = anomaly(Oddity::Decode(decode::Event::TcpTooSmall));
    let no_ip = Anomaly {
        addresses: None,
        oddity: Oddity::Decode(decode::Event::Ipv4LengthSmallerThanHeader),
        ..anomaly(too_small.oddity)
    };
    let in_stream = Anomaly {
        flow: Some(9),
        ports: Some((4444, 80)),
        ..anomaly(Oddity::Stream(stream::Event::BrokenAck))
    };
    let lines = render(
        [
            Record::Flow(tcp_flow()),
            Record::Netflow(tcp_flow(), FlowDirection::ToServer),
            Record::Netflow(tcp_flow(), FlowDirection::ToClient),
            Record::Flow(ping.clone()),
            Record::Netflow(ping, FlowDirection::ToClient),
            Record::Flow(bypassed),
            Record::Flow(evicted),
            Record::Anomaly(too_small),
            Record::Anomaly(no_ip),
            Record::Anomaly(in_stream),
        ],
        true,
    );
    let expected = [
        r#"{"timestamp":"2023-11-14T22:13:20.000000+0000","flow_id":7,"event_type":"flow","vlan":[7],"src_ip":"10.0.0.1","src_port":4000,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP","flow":{"pkts_toserver":6,"pkts_toclient":3,"bytes_toserver":338,"bytes_toclient":168,"start":"2023-11-14T22:13:20.800000+0000","end":"2023-11-14T22:13:21.100000+0000","age":1,"state":"closed","reason":"shutdown","alerted":true},"community_id":"1:7ZhQSud9D8YGcE//fM9wM4/3mq8=","tcp":{"tcp_flags":"1b","tcp_flags_ts":"1b","tcp_flags_tc":"12","syn":true,"fin":true,"psh":true,"ack":true,"state":"closed"}}"#,
        r#"{"timestamp":"2023-11-14T22:13:20.000000+0000","flow_id":7,"event_type":"netflow","vlan":[7],"src_ip":"10.0.0.1","src_port":4000,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP","netflow":{"pkts":6,"bytes":338,"start":"2023-11-14T22:13:20.800000+0000","end":"2023-11-14T22:13:21.100000+0000","age":1,"min_ttl":63,"max_ttl":64},"tcp":{"tcp_flags":"1b","syn":true,"fin":true,"psh":true,"ack":true},"community_id":"1:7ZhQSud9D8YGcE//fM9wM4/3mq8="}"#,
        r#"{"timestamp":"2023-11-14T22:13:20.000000+0000","flow_id":7,"event_type":"netflow","vlan":[7],"src_ip":"10.0.0.2","src_port":80,"dest_ip":"10.0.0.1","dest_port":4000,"proto":"TCP","netflow":{"pkts":3,"bytes":168,"start":"2023-11-14T22:13:20.800000+0000","end":"2023-11-14T22:13:21.100000+0000","age":1,"min_ttl":50,"max_ttl":50},"tcp":{"tcp_flags":"12","syn":true,"ack":true},"community_id":"1:7ZhQSud9D8YGcE//fM9wM4/3mq8="}"#,
        r#"{"timestamp":"2023-11-14T22:13:20.000000+0000","flow_id":7,"in_iface":"eth0","event_type":"flow","src_ip":"10.0.0.1","dest_ip":"10.0.0.2","proto":"ICMP","icmp_type":8,"icmp_code":0,"response_icmp_type":0,"response_icmp_code":0,"flow":{"pkts_toserver":6,"pkts_toclient":3,"bytes_toserver":338,"bytes_toclient":168,"start":"2023-11-14T22:13:20.800000+0000","end":"2023-11-14T22:13:21.100000+0000","age":1,"state":"established","reason":"shutdown","alerted":false},"community_id":"1:YcMyyWJfhc95EW1GfXt6jlZ3DiQ="}"#,
        r#"{"timestamp":"2023-11-14T22:13:20.000000+0000","flow_id":7,"in_iface":"eth0","event_type":"netflow","src_ip":"10.0.0.2","dest_ip":"10.0.0.1","proto":"ICMP","icmp_type":0,"icmp_code":0,"netflow":{"pkts":3,"bytes":168,"start":"2023-11-14T22:13:20.800000+0000","end":"2023-11-14T22:13:21.100000+0000","age":1,"min_ttl":50,"max_ttl":50},"community_id":"1:YcMyyWJfhc95EW1GfXt6jlZ3DiQ="}"#,
        r#"{"timestamp":"2023-11-14T22:13:20.000000+0000","flow_id":7,"event_type":"flow","vlan":[7],"src_ip":"10.0.0.1","src_port":4000,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP","flow":{"pkts_toserver":7,"pkts_toclient":5,"bytes_toserver":348,"bytes_toclient":188,"bypassed":{"pkts_toserver":1,"pkts_toclient":2,"bytes_toserver":10,"bytes_toclient":20},"start":"2023-11-14T22:13:20.800000+0000","end":"2023-11-14T22:13:21.100000+0000","age":1,"bypass":"capture","state":"bypassed","reason":"shutdown","alerted":true},"community_id":"1:7ZhQSud9D8YGcE//fM9wM4/3mq8=","tcp":{"tcp_flags":"1b","tcp_flags_ts":"1b","tcp_flags_tc":"12","syn":true,"fin":true,"psh":true,"ack":true,"state":"closed"}}"#,
        r#"{"timestamp":"2023-11-14T22:13:20.000000+0000","flow_id":7,"event_type":"flow","vlan":[7],"src_ip":"10.0.0.1","src_port":4000,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP","flow":{"pkts_toserver":6,"pkts_toclient":3,"bytes_toserver":338,"bytes_toclient":168,"start":"2023-11-14T22:13:20.800000+0000","end":"2023-11-14T22:13:21.100000+0000","age":1,"emergency":true,"state":"new","reason":"forced","alerted":true},"community_id":"1:7ZhQSud9D8YGcE//fM9wM4/3mq8=","tcp":{"tcp_flags":"00","tcp_flags_ts":"00","tcp_flags_tc":"00"}}"#,
        r#"{"timestamp":"2023-11-14T22:13:20.000000+0000","pcap_cnt":22,"event_type":"anomaly","src_ip":"10.0.0.1","src_port":0,"dest_ip":"10.0.0.2","dest_port":0,"proto":"TCP","pkt_src":"wire/pcap","anomaly":{"type":"decode","event":"decoder.tcp.pkt_too_small"}}"#,
        r#"{"timestamp":"2023-11-14T22:13:20.000000+0000","pcap_cnt":22,"event_type":"anomaly","pkt_src":"wire/pcap","anomaly":{"type":"decode","event":"decoder.ipv4.iplen_smaller_than_hlen"}}"#,
        r#"{"timestamp":"2023-11-14T22:13:20.000000+0000","flow_id":9,"pcap_cnt":22,"event_type":"anomaly","src_ip":"10.0.0.1","src_port":4444,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP","pkt_src":"wire/pcap","community_id":"1:3tb0KE+nXFXFbxTPIRiIU4SAdzY=","anomaly":{"type":"stream","event":"stream.pkt_broken_ack"}}"#,
    ];
    for (line, expected) in lines.iter().zip(expected) {
        assert_eq!(line, expected);
    }
    assert_eq!(lines.len(), expected.len());
}

/// The console and the fast file are for alerts; EVE has the types that were asked for; all is counted.
#[test]
fn each_output_takes_its_types() {
    let dir = tempfile::tempdir().unwrap();
    let (fast, eve) = (dir.path().join("fast.log"), dir.path().join("eve.json"));
    let netflow = OutputSettings::eve(&eve).with_types([EveType::Netflow]);
    let config = [OutputSettings::fast(&fast), netflow].into();
    let (sender, writer) = start(config, Policy::Block).unwrap();
    let wanted = ALL.map(|one| sender.types().has(one));
    assert_eq!(wanted, [false, false, true, false, false]);
    for sid in 0..3 {
        sender.send(alert(rule(sid, "x")));
        sender.send(Record::Netflow(tcp_flow(), FlowDirection::ToClient));
    }
    sender.send(Record::Flow(tcp_flow()));
    let OutputCounters { overflow, taken, other_overflow, other_taken, sinks, .. } =
        writer.finish();
    assert_eq!((overflow, taken, other_overflow, other_taken), (0, 3, 0, 4));
    assert_eq!(sinks.iter().map(|sink| sink.written).collect::<Vec<_>>(), [3, 3]);
    let text = fs::read_to_string(&eve).unwrap();
    assert!(text.lines().all(|line| line.contains("\"event_type\":\"netflow\"")), "{text}");

    // Nobody wants records where there is no EVE file.
    let off = OutputSettings { enabled: false, ..OutputSettings::eve(eve).with_types(ALL) };
    let config = [OutputSettings::fast(fast), off].into();
    let (sender, _writer) = start(config, Policy::Block).unwrap();
    assert!(ALL.iter().all(|one| !sender.types().has(*one)));
    drop(sender);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any record is one line of valid JSON.
    #[test]
    fn every_line_parses_back(
        numbers in any::<[u64; 4]>(),
        bypassed in any::<Option<[u64; 4]>>(),
        times in any::<[u64; 3]>(),
        ip_proto in any::<u8>(),
        small in any::<[u8; 8]>(),
        ports in any::<(u16, u16)>(),
        vlan in any::<[Option<u16>; 3]>(),
        interface in any::<Option<String>>(),
        event in any::<prop::sample::Index>(),
        some in any::<[bool; 4]>(),
        community_id in any::<bool>(),
    ) {
        let mut flow = tcp_flow();
        (flow.time, flow.start, flow.last) =
            (Timestamp(times[0]), Timestamp(times[1]), Timestamp(times[2]));
        (flow.packets, flow.bytes) = ([numbers[0], numbers[1]], [numbers[2], numbers[3]]);
        flow.bypassed =
            bypassed.map(|[a, b, c, d]| Bypassed { packets: [a, b], bytes: [c, d] });
        flow.interface = interface.as_deref().map(Arc::from);
        (flow.ends.vlan, flow.ends.ip_proto) = (vlan, ip_proto);
        (flow.ends.client_port, flow.ends.server_port) = ports;
        flow.icmp_code = [small[0], small[1]];
        flow.ttl = [TtlRange { min: small[2], max: small[3] }; 2];
        flow.tcp = some[0].then(|| TcpRecord {
            flags: [small[4], small[5]],
            state: some[1].then_some(State::Closing),
        });
        let oddity = match some[2] {
            true => Oddity::Decode(decode::Event::ALL[event.index(decode::Event::ALL.len())]),
            false => Oddity::Stream(stream::Event::ALL[event.index(stream::Event::ALL.len())]),
        };
        let odd = Anomaly {
            time: flow.time,
            interface: flow.interface.clone(),
            vlan: vlan.iter().copied().flatten().collect(),
            addresses: some[3].then_some((flow.ends.client, flow.ends.server)),
            ports: some[1].then_some(ports),
            ip_proto,
            icmp: some[0].then_some((small[6], small[7])),
            flow: some[2].then_some(numbers[0]),
            ..anomaly(oddity)
        };
        let lines = render([
            Record::Flow(flow.clone()),
            Record::Netflow(flow.clone(), FlowDirection::ToServer),
            Record::Netflow(flow, FlowDirection::ToClient),
            Record::Anomaly(odd),
        ], community_id);
        prop_assert_eq!(lines.len(), 4);
        for (line, kind) in lines.iter().zip(["flow", "netflow", "netflow", "anomaly"]) {
            let json: Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(json["event_type"].as_str(), Some(kind));
            prop_assert!(json[kind].is_object());
            prop_assert_eq!(json["in_iface"].as_str(), interface.as_deref());
            prop_assert_eq!(json["vlan"].as_array().map_or(0, Vec::len), vlan.iter().flatten().count());
        }
        let flow: Value = serde_json::from_str(&lines[0]).unwrap();
        let total = numbers[0].saturating_add(bypassed.map_or(0, |counts| counts[0]));
        prop_assert_eq!(flow["flow"]["pkts_toserver"].as_u64(), Some(total));
        prop_assert_eq!(flow["community_id"].is_string(), community_id);
    }
}

/// Runs the frames, a millisecond apart, through an engine that logs everything.
fn engine_log(frames: &[Vec<u8>], rules: &str, settings: &[&str]) -> Vec<Value> {
    let mut set = Settings::default();
    settings.iter().for_each(|setting| set.set(setting).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let eve = dir.path().join("eve.json");
    let mut output = OutputSettings::eve(&eve).with_types(ALL);
    (output.eve.payload, output.eve.printable) = (true, true);
    (output.eve.packet, output.eve.packet_header) = (true, true);
    let outputs = OutputConfig { community_id: set.community_id(), ..[output].into() };
    let (records, writer) = output::start(outputs, Policy::Block).unwrap();
    let mut engine = Engine::new(EngineConfig::offline(&set), records);
    let parsed = parser::parse_str(&Arc::from(Path::new("test.rules")), rules);
    let environment = Environment {
        variables: Default::default(),
        classifications: Default::default(),
        references: Default::default(),
        ..Environment::default()
    };
    let compiled = detect::compile(&parsed.rules, &environment);
    assert_eq!((parsed.refusals, compiled.refusals), (vec![], vec![]));
    engine.install(0, Arc::new(compiled.ruleset));
    for (number, data) in (0..).zip(frames) {
        let frame = Frame {
            time: Timestamp(T0 + number * MILLISECOND),
            link: LinkType::Ethernet,
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
    writer.finish();
    let text = fs::read_to_string(&eve).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What cannot be read as IP still alerts, in the log too.
#[test]
fn a_packet_without_ip_header_is_logged() {
    let runt = [&[5, 4, 3, 2, 1, 0, 0, 1, 2, 3, 4, 5, 8, 0][..], &[0x45, 0, 0]].concat();
    let rules = r#"alert pkthdr any any -> any any (decode-event:ipv4.pkt_too_small; sid:1;)"#;
    let log = engine_log(&[runt], rules, &[]);
    let alerts: Vec<_> = log.iter().filter(|line| line["event_type"] == "alert").collect();
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0]["alert"]["signature_id"], 1);
    assert_eq!((alerts[0].get("src_ip"), alerts[0].get("proto")), (None, None));
}

/// A tagged session: the packets behind the one that alerted, whole. That one counts too, as in Suricata.
#[test]
fn packets_that_a_tag_asks_for_are_logged() {
    let mut session = Session::default();
    session.exchange(end("10.0.0.1", 4000), end("10.0.0.2", 80), b"hello", b"answer");
    let rules = "alert tcp any any -> any any (flags:S; tag:session,4,packets; sid:1;)";
    let log = engine_log(&session.frames, rules, &[]);
    let packets: Vec<_> = log.iter().filter(|line| line["event_type"] == "packet").collect();
    let numbers: Vec<_> = packets.iter().filter_map(|line| line["pcap_cnt"].as_u64()).collect();
    assert_eq!(numbers, [2, 3, 4]);
    assert_eq!(packets[0]["src_port"], 80);
    assert_eq!(packets[0]["packet_info"]["linktype"], 1);
    let bytes = STANDARD.decode(packets[0]["packet"].as_str().unwrap()).unwrap();
    assert_eq!(bytes, session.frames[1]);
}

const RULES: &str = r#"
alert ip any any -> any any (msg:"evil"; content:"evil"; flowbits:set,seen; flowint:number,=,3; sid:1; rev:2; metadata:a b, c d;)
drop tcp any any -> any any (msg:"syn"; flags:S; sid:2;)
"#;

/// Connections whole, half and odd; with and without tags, ports and answers; in tunnels.
fn traffic() -> Session {
    let [client, server] = [end("10.0.0.1", 4000), end("10.0.0.2", 80)];
    let mut session = Session::default();
    session.exchange(client, server, b"hello evil", b"answer");
    // Never acknowledged, so inspected when the flow ends.
    let mut tagged = Session::in_vlan(7);
    let client = end("2001:db8::1", 4001);
    let server = end("2001:db8::2", 80);
    tagged.tcp(client, server, SYN, 100, 0, b"");
    tagged.tcp(server, client, SYN | ACK, 700, 101, b"");
    tagged.tcp(client, server, ACK, 101, 701, b"");
    tagged.tcp(client, server, ACK, 101, 701, b"some evil");
    session.frames.append(&mut tagged.frames);
    // A segment from nowhere.
    session.tcp(end("10.0.0.1", 4444), end("10.0.0.2", 80), 1, 5, 5, b"late");
    let (a, b) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let mut frame = |from, to, ttl: u8, ports: Option<(u16, u16)>, payload: &[u8]| {
        let ip = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4(from, to, ttl);
        let mut out = Vec::new();
        match ports {
            Some((from, to)) => ip.udp(from, to).write(&mut out, payload).unwrap(),
            None if from == a => ip.icmpv4_echo_request(5, 1).write(&mut out, payload).unwrap(),
            None => ip.icmpv4_echo_reply(5, 1).write(&mut out, payload).unwrap(),
        }
        session.frames.push(out.clone());
        out
    };
    frame(a, b, 64, Some((5000, 53)), b"evil");
    frame(a, b, 60, Some((5000, 53)), b"more");
    frame(b, a, 9, Some((53, 5000)), b"evil back");
    frame(a, b, 64, None, b"evil ping");
    frame(b, a, 64, None, b"evil ping");
    let inner = frame(a, b, 33, Some((6000, 7000)), b"deep evil");
    // Its IP packet in GRE, and two without a whole header.
    let gre = [&[0, 0, 8, 0], &inner[14..]].concat();
    for (protocol, payload) in
        [(IpNumber::GRE, &*gre), (IpNumber::TCP, b"short"), (IpNumber::UDP, b"short")]
    {
        let mut out = Vec::new();
        PacketBuilder::ethernet2([1; 6], [2; 6])
            .ipv4([1, 1, 1, 1], [2, 2, 2, 2], 64)
            .write(&mut out, protocol, payload)
            .unwrap();
        session.frames.push(out);
    }
    session
}

/// What of a record must be equal. Suricata's clock differs where no packet is at hand; protocols above
/// TCP are not parsed here; `pcap_cnt` of a packet in a tunnel is where Suricata 8 has it, too. `packet` is the
/// frame here also for a packet in a tunnel, and the end of a flow has none, but the payload.
fn comparable(mut event: Value) -> String {
    let fields = event.as_object_mut().unwrap();
    let real = fields.contains_key("pcap_cnt");
    let inside = fields.contains_key("tunnel");
    if inside || fields.get("pkt_src").is_some_and(|from| from == "stream (flow timeout)") {
        for key in ["packet", "packet_info", "payload", "payload_printable"] {
            fields.remove(key);
        }
    }
    fields.remove("flow_id");
    fields.remove("app_proto");
    if !real && !inside {
        fields.remove("timestamp");
    }
    if inside {
        fields.remove("pcap_cnt");
    }
    if let Some(tcp) = event["tcp"].as_object_mut() {
        tcp.remove("ts_max_regions");
        tcp.remove("tc_max_regions");
    }
    event.to_string()
}

fn sorted(events: Vec<Value>, kinds: &[&str]) -> Vec<String> {
    let of_kind = |event: &Value| kinds.contains(&event["event_type"].as_str().unwrap());
    let mut lines: Vec<_> = events.into_iter().filter(of_kind).map(comparable).collect();
    lines.sort();
    lines
}

/// Shows only what differs.
fn assert_same(ours: &[String], theirs: &[String]) {
    let only = |these: &[String], others: &[String]| {
        let lines: Vec<_> = these.iter().filter(|line| !others.contains(line)).cloned().collect();
        lines.join("\n")
    };
    let (more, missing) = (only(ours, theirs), only(theirs, ours));
    assert!(ours == theirs, "not in Suricata's log:\n{more}\nonly in Suricata's:\n{missing}");
}

const SURICATA: &str = "%YAML 1.1
---
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      community-id: true
      types:
        - alert:
            payload: yes
            payload-printable: yes
            packet: yes
        - flow
        - netflow
        - anomaly:
            types:
              decode: yes
              stream: yes
              applayer: no
            packethdr: yes
vlan:
  use-for-tracking: true
";

fn suricata_log(session: &Session, args: &[&str]) -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let out = Command::new("suricata")
        .args(["-k", "none", "--runmode", "single", "--init-errors-fatal"])
        .args(args)
        .arg("-c")
        .arg(write("suricata.yaml", SURICATA.as_bytes()))
        .arg("-r")
        .arg(write("t.pcap", &session.pcap()))
        .arg("-S")
        .arg(write("t.rules", RULES.as_bytes()))
        .arg("-l")
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = fs::read_to_string(dir.path().join("eve.json")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn suricata_writes_the_same() {
    let version = Command::new("suricata").arg("-V").output();
    let version = version.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    if !version.as_ref().is_ok_and(|text| text.contains("version 7.")) {
        println!("skipped: there is no Suricata 7 ({version:?})");
        return;
    }
    let session = traffic();
    // A tunnel has a flow here even where Suricata gives it none.
    let no_gre = |event: &Value| event["proto"] != "GRE";
    let log = |settings: &[&str]| {
        let mut log = engine_log(&session.frames, RULES, settings);
        log.retain(no_gre);
        log
    };
    let common = ["pcap-file.checksum-checks=no", "community-id=yes"];
    let (ours, theirs) = (log(&common), suricata_log(&session, &[]));
    for kind in ["alert", "flow", "netflow", "anomaly"] {
        let theirs = sorted(theirs.clone(), &[kind]);
        assert!(theirs.len() > 1, "{kind}");
        assert_same(&sorted(ours.clone(), &[kind]), &theirs);
    }

    // As an IPS it blocks the packet that a drop rule matches.
    let ours = log(&[common[0], common[1], "mode=ips"]);
    let theirs = suricata_log(&session, &["--simulate-ips"]);
    let blocked = |log: Vec<Value>| {
        let mut log = log;
        log.retain(|event| event["alert"]["signature_id"] == 2);
        assert!(log.iter().all(|event| event["alert"]["action"] == "blocked"));
        sorted(log, &["alert"])
    };
    assert_same(&blocked(ours), &blocked(theirs));
}

/// What belongs to a flow comes before its record, to the last alert at shutdown; and each flow has one.
#[test]
fn a_flow_record_is_the_last_word_on_its_flow() {
    let log = engine_log(&traffic().frames, RULES, &[]);
    let mut ended = Vec::new();
    for event in &log {
        let id = event["flow_id"].as_u64();
        assert!(id.is_none() || !ended.contains(&id), "{event}");
        if event["event_type"] == "flow" {
            ended.push(id);
        }
    }
    assert_eq!(ended.len(), 8);
    let late = log.iter().find(|event| event["pkt_src"] == "stream (flow timeout)").unwrap();
    assert_eq!(late["alert"]["signature_id"], 1);
    let its_flow = log
        .iter()
        .find(|event| event["event_type"] == "flow" && event["flow_id"] == late["flow_id"]);
    assert_eq!(its_flow.unwrap()["flow"]["alerted"], true);
}

#[test]
fn a_packet_inside_tells_of_the_outer_one() {
    let log = engine_log(&traffic().frames, RULES, &[]);
    let alert = log.iter().find(|event| event["tunnel"].is_object()).unwrap();
    assert_eq!(alert["pkt_src"], "gre tunnel");
    assert_eq!(
        alert["tunnel"].to_string(),
        serde_json::json!({
            "src_ip": "1.1.1.1", "src_port": 0, "dest_ip": "2.2.2.2", "dest_port": 0,
            "proto": "GRE", "depth": 1, "pcap_cnt": 20, "pkt_src": "wire/pcap",
        })
        .to_string()
    );
}

/// One packet cannot flood the log.
#[test]
fn few_anomalies_of_one_packet() {
    let mut session = Session::default();
    session.tcp(end("10.0.0.1", 4444), end("10.0.0.2", 80), 1, 5, 5, b"late");
    let log = engine_log(&session.frames, RULES, &[]);
    let odd: Vec<_> = log.iter().filter(|event| event["event_type"] == "anomaly").collect();
    assert!((1..=15).contains(&odd.len()), "{odd:?}");
}
