//! The outputs through their public interface: formats, failures, rotation, the sums.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nids::capture::{Direction, Timestamp};
use nids::cli::exit::Code;
use nids::decode::Origin;
use nids::detect::alert::{Alert, RuleInfo, Target};
use nids::flow::{FlowDirection, FlowView};
use nids::output::{
    LossReason, OutputConfig, OutputCounters, OutputSettings, Policy, SinkKind, start,
};
use nids::rule::ast::Action;
use proptest::prelude::*;

const T0: u64 = 1_795_485_784_123_456_000;

pub(crate) fn rule(sid: u32, message: &str) -> RuleInfo {
    RuleInfo {
        sid,
        gid: 1,
        rev: 0,
        message: message.into(),
        classtype: String::new(),
        category: String::new(),
        priority: 3,
        action: Action::Alert,
        target: None,
        metadata: Vec::new(),
        references: Vec::new(),
    }
}

pub(crate) fn alert(rule: RuleInfo) -> Alert {
    Alert {
        time: Timestamp(T0),
        rule: Arc::new(rule),
        interface: None,
        direction: Direction::Ingress,
        pcap_number: 1,
        vlan: Vec::new(),
        addresses: Some((ip("192.168.1.10"), ip("1.2.3.4"))),
        ports: Some((40000, 80)),
        ip_proto: 6,
        icmp: None,
        raw: Box::default(),
        flow: None,
        origin: Origin::Wire,
        outer: None,
        blocked: false,
        app_proto: None,
        app: None,
        vars: None,
        evidence: None,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn view(direction: FlowDirection, bytes: (u64, u64), start: u64) -> FlowView {
    FlowView {
        id: 248765599416670,
        direction,
        established: false,
        packets_to_server: 1,
        packets_to_client: u64::from(bytes.1 > 0),
        bytes_to_server: bytes.0,
        bytes_to_client: bytes.1,
        start: Timestamp(start),
        last: Timestamp(start),
    }
}

fn eve_only(path: impl Into<PathBuf>) -> OutputConfig {
    [OutputSettings::eve(path)].into()
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(String::from).collect()
}

/// Sends `alerts` and gives the fast and the EVE lines.
fn render(alerts: Vec<Alert>) -> (Vec<String>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let (fast, eve) = (dir.path().join("fast.log"), dir.path().join("eve.json"));
    let config = [OutputSettings::fast(&fast), OutputSettings::eve(&eve)].into();
    let (sender, writer) = start(config, Policy::Block).unwrap();
    let sent = alerts.len() as u64;
    alerts.into_iter().for_each(|alert| sender.send(alert));
    let counters = writer.finish();
    assert_eq!((counters.taken, counters.overflow, counters.lost()), (sent, 0, 0));
    assert!(counters.sinks.iter().all(|sink| sink.written == sent));
    (lines(&fast), lines(&eve))
}

/// The sums hold at every output.
fn assert_balance(counters: &OutputCounters, sent: u64) {
    assert_eq!(counters.overflow + counters.taken, sent, "{counters:?}");
    for sink in &counters.sinks {
        let lost: u64 = sink.lost.iter().map(|(_, n)| n).sum();
        assert_eq!(sink.written + lost, counters.taken, "{counters:?}");
    }
}

pub(crate) fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "no {what} in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The expected lines are what Suricata 7.0.10 wrote for the same packets and rules, with TZ=UTC.
#[test]
fn lines_are_suricatas() {
    let mut first = rule(1_000_001, "any tcp \"q\" back\\slash / é tab\tx");
    first.rev = 3;
    first.category = "Web Application Attack".into();
    first.priority = 1;
    first.metadata = [
        ("created_at", "2020_01_01"),
        ("attack_target", "Client_Endpoint"),
        ("attack_target", "Server"),
        ("former_category", "MALWARE"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let mut request = alert(first);
    request.flow = Some(view(FlowDirection::ToServer, (54, 0), T0));

    let mut reply = alert(rule(1_000_007, ""));
    reply.time = Timestamp(T0 + 1_000_001_000);
    reply.pcap_number = 2;
    reply.addresses = Some((ip("1.2.3.4"), ip("192.168.1.10")));
    reply.ports = Some((80, 40000));
    reply.flow = Some(view(FlowDirection::ToClient, (54, 54), T0));

    let mut unreachable = alert(RuleInfo { priority: 1, rev: 1, ..rule(1_000_003, "any icmp") });
    unreachable.time = Timestamp(T0 + 9_000_009_000);
    unreachable.pcap_number = 10;
    unreachable.ip_proto = 1;
    unreachable.icmp = Some((3, 1));
    unreachable.ports = None;

    let mut tagged = unreachable.clone();
    tagged.icmp = Some((8, 0));
    tagged.vlan = vec![10, 20];
    tagged.flow = Some(view(FlowDirection::ToServer, (54, 0), T0));

    let mut v6 = alert(rule(1_000_007, "v6"));
    v6.addresses = Some((ip("2001:db8::1"), ip("fe80::2")));

    let mut other = unreachable.clone();
    other.rule = Arc::new(RuleInfo { gid: 5, priority: 9, ..rule(1_000_004, "any ip") });
    other.ip_proto = 253;
    other.icmp = None;

    let mut drop = alert(RuleInfo { action: Action::Drop, rev: 1, ..rule(1_000_005, "dropped") });
    drop.interface = Some("eth0".into());
    drop.pcap_number = 0;

    let (fast, eve) = render(vec![request, reply, unreachable, tagged, v6, other, drop]);
    assert_eq!(
        fast,
        [
            "11/24/2026-02:03:04.123456  [**] [1:1000001:3] any tcp \"q\" back\\slash / é tab\tx [**] [Classification: Web Application Attack] [Priority: 1] {TCP} 192.168.1.10:40000 -> 1.2.3.4:80",
            "11/24/2026-02:03:05.123457  [**] [1:1000007:0] (null) [**] [Classification: (null)] [Priority: 3] {TCP} 1.2.3.4:80 -> 192.168.1.10:40000",
            "11/24/2026-02:03:13.123465  [**] [1:1000003:1] any icmp [**] [Classification: (null)] [Priority: 1] {ICMP} 192.168.1.10:3 -> 1.2.3.4:1",
            "11/24/2026-02:03:13.123465  [**] [1:1000003:1] any icmp [**] [Classification: (null)] [Priority: 1] {ICMP} 192.168.1.10:8 -> 1.2.3.4:0",
            "11/24/2026-02:03:04.123456  [**] [1:1000007:0] v6 [**] [Classification: (null)] [Priority: 3] {TCP} 2001:0db8:0000:0000:0000:0000:0000:0001:40000 -> fe80:0000:0000:0000:0000:0000:0000:0002:80",
            "11/24/2026-02:03:13.123465  [**] [5:1000004:0] any ip [**] [Classification: (null)] [Priority: 9] {PROTO:253} 192.168.1.10:0 -> 1.2.3.4:0",
            "11/24/2026-02:03:04.123456  [wDrop] [**] [1:1000005:1] dropped [**] [Classification: (null)] [Priority: 3] {TCP} 192.168.1.10:40000 -> 1.2.3.4:80",
        ]
    );
    assert_eq!(
        eve,
        [
            r#"{"timestamp":"2026-11-24T02:03:04.123456+0000","flow_id":248765599416670,"pcap_cnt":1,"event_type":"alert","src_ip":"192.168.1.10","src_port":40000,"dest_ip":"1.2.3.4","dest_port":80,"proto":"TCP","pkt_src":"wire/pcap","alert":{"action":"allowed","gid":1,"signature_id":1000001,"rev":3,"signature":"any tcp \"q\" back\\slash / é tab\tx","category":"Web Application Attack","severity":1,"metadata":{"attack_target":["Server","Client_Endpoint"],"created_at":["2020_01_01"],"former_category":["MALWARE"]}},"direction":"to_server","flow":{"pkts_toserver":1,"pkts_toclient":0,"bytes_toserver":54,"bytes_toclient":0,"start":"2026-11-24T02:03:04.123456+0000","src_ip":"192.168.1.10","dest_ip":"1.2.3.4","src_port":40000,"dest_port":80}}"#,
            r#"{"timestamp":"2026-11-24T02:03:05.123457+0000","flow_id":248765599416670,"pcap_cnt":2,"event_type":"alert","src_ip":"1.2.3.4","src_port":80,"dest_ip":"192.168.1.10","dest_port":40000,"proto":"TCP","pkt_src":"wire/pcap","alert":{"action":"allowed","gid":1,"signature_id":1000007,"rev":0,"signature":"","category":"","severity":3},"direction":"to_client","flow":{"pkts_toserver":1,"pkts_toclient":1,"bytes_toserver":54,"bytes_toclient":54,"start":"2026-11-24T02:03:04.123456+0000","src_ip":"192.168.1.10","dest_ip":"1.2.3.4","src_port":40000,"dest_port":80}}"#,
            r#"{"timestamp":"2026-11-24T02:03:13.123465+0000","pcap_cnt":10,"event_type":"alert","src_ip":"192.168.1.10","dest_ip":"1.2.3.4","proto":"ICMP","icmp_type":3,"icmp_code":1,"pkt_src":"wire/pcap","alert":{"action":"allowed","gid":1,"signature_id":1000003,"rev":1,"signature":"any icmp","category":"","severity":1}}"#,
            r#"{"timestamp":"2026-11-24T02:03:13.123465+0000","flow_id":248765599416670,"pcap_cnt":10,"event_type":"alert","vlan":[10,20],"src_ip":"192.168.1.10","dest_ip":"1.2.3.4","proto":"ICMP","icmp_type":8,"icmp_code":0,"pkt_src":"wire/pcap","alert":{"action":"allowed","gid":1,"signature_id":1000003,"rev":1,"signature":"any icmp","category":"","severity":1},"direction":"to_server","flow":{"pkts_toserver":1,"pkts_toclient":0,"bytes_toserver":54,"bytes_toclient":0,"start":"2026-11-24T02:03:04.123456+0000","src_ip":"192.168.1.10","dest_ip":"1.2.3.4"}}"#,
            r#"{"timestamp":"2026-11-24T02:03:04.123456+0000","pcap_cnt":1,"event_type":"alert","src_ip":"2001:0db8:0000:0000:0000:0000:0000:0001","src_port":40000,"dest_ip":"fe80:0000:0000:0000:0000:0000:0000:0002","dest_port":80,"proto":"TCP","pkt_src":"wire/pcap","alert":{"action":"allowed","gid":1,"signature_id":1000007,"rev":0,"signature":"v6","category":"","severity":3}}"#,
            r#"{"timestamp":"2026-11-24T02:03:13.123465+0000","pcap_cnt":10,"event_type":"alert","src_ip":"192.168.1.10","dest_ip":"1.2.3.4","proto":"253","pkt_src":"wire/pcap","alert":{"action":"allowed","gid":5,"signature_id":1000004,"rev":0,"signature":"any ip","category":"","severity":9}}"#,
            r#"{"timestamp":"2026-11-24T02:03:04.123456+0000","in_iface":"eth0","event_type":"alert","src_ip":"192.168.1.10","src_port":40000,"dest_ip":"1.2.3.4","dest_port":80,"proto":"TCP","pkt_src":"wire/pcap","alert":{"action":"allowed","gid":1,"signature_id":1000005,"rev":1,"signature":"dropped","category":"","severity":3}}"#,
        ]
    );
}

/// Metadata with repeated keys, as Suricata 7.0.10 groups it.
#[test]
fn metadata_is_grouped_as_suricata_does() {
    let mut info = rule(4, "q");
    info.metadata = [("beta", "1"), ("alpha", "2"), ("gamma", "5"), ("alpha", "9"), ("Alpha", "8")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    info.references = vec!["https://example.com/a\"b".into(), "x,y".into()];
    let (_, eve) = render(vec![alert(info)]);
    let (_, tail) = eve[0].split_once("\"severity\":3").unwrap();
    assert_eq!(
        tail,
        r#","references":["https://example.com/a\"b","x,y"],"metadata":{"Alpha":["8","9","2"],"beta":["1"],"gamma":["5"]}}}"#
    );
}

/// As Suricata 7.0.10 writes it: between severity and metadata, without port where there is none.
#[test]
fn the_target_is_told_by_its_end() {
    let info = |target| RuleInfo {
        target: Some(target),
        metadata: vec![("a".into(), "b".into())],
        ..rule(7, "q")
    };
    let mut icmp = alert(info(Target::Destination));
    icmp.ports = None;
    // Of one rule, since the rest of what is said of a rule is kept.
    let mut back = alert(info(Target::Source));
    let first = back.clone();
    back.addresses = Some((ip("192.168.1.11"), ip("1.2.3.4")));
    let (_, eve) = render(vec![first, back, icmp]);
    for (line, expected) in eve.iter().zip([
        r#","source":{"ip":"1.2.3.4","port":80},"target":{"ip":"192.168.1.10","port":40000},"metadata":{"a":["b"]}}}"#,
        r#","source":{"ip":"1.2.3.4","port":80},"target":{"ip":"192.168.1.11","port":40000},"metadata":{"a":["b"]}}}"#,
        r#","source":{"ip":"192.168.1.10"},"target":{"ip":"1.2.3.4"},"metadata":{"a":["b"]}}}"#,
    ]) {
        let (_, tail) = line.split_once("\"severity\":3").unwrap();
        assert_eq!(tail, expected);
    }
}

#[test]
fn two_rules_at_one_address_one_after_the_other_keep_their_names() {
    // The cache is keyed by address: each rule here is freed before the next one is made.
    let (_, eve) = render((0..5000).map(|n| alert(rule(n, &format!("rule {n}")))).collect());
    for (n, line) in eve.iter().enumerate() {
        assert!(line.contains(&format!("\"signature\":\"rule {n}\"")), "{line}");
    }
}

/// As Suricata 7.0.10 wrote both.
#[test]
fn packets_without_ip_header() {
    let mut cut = alert(rule(1_000_001, "cut"));
    cut.addresses = None;
    cut.ports = None;
    cut.ip_proto = 0;
    cut.raw = [0x05, 0x04, 0xff].into();
    let live = Alert { pcap_number: 0, ..cut.clone() };
    let (fast, eve) = render(vec![cut, live]);
    assert!(
        fast[0].ends_with("[Priority: 3] [**] [Raw pkt: 05 04 FF ] [pcap file packet: 1]"),
        "{}",
        fast[0]
    );
    assert!(fast[1].ends_with("[Priority: 3] [**] [Raw pkt: 05 04 FF ]"), "{}", fast[1]);
    assert!(
        eve[0].contains(
            r#""pcap_cnt":1,"event_type":"alert","pkt_src":"wire/pcap","alert":{"action":"allowed""#
        ),
        "{}",
        eve[0]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Any text gives one valid line in each format, and the text comes back from EVE.
    #[test]
    fn every_eve_line_parses_back(
        message in any::<String>(),
        category in "\\PC*",
        control in prop::collection::vec(0u8..0x80, 0..40),
        pairs in prop::collection::vec((any::<String>(), any::<String>()), 0..5),
        ports in any::<Option<(u16, u16)>>(),
        ip_proto in any::<u8>(),
        icmp in any::<Option<(u8, u8)>>(),
        vlan in prop::collection::vec(0u16..4096, 0..4),
        time in any::<u64>(),
        v6 in any::<bool>(),
        interface in any::<Option<String>>(),
        numbers in any::<(u32, u32, u32, u8, u64)>(),
        flow in any::<Option<(bool, u64, u64)>>(),
    ) {
        let message = message + std::str::from_utf8(&control).unwrap();
        let mut one = alert(RuleInfo {
            gid: numbers.1, rev: numbers.2, priority: numbers.3,
            category, metadata: pairs.clone(), references: vec![message.clone()],
            ..rule(numbers.0, &message)
        });
        one.time = Timestamp(time);
        one.ports = ports;
        one.ip_proto = ip_proto;
        one.icmp = icmp;
        one.vlan = vlan.clone();
        one.interface = interface.as_deref().map(Arc::from);
        one.pcap_number = numbers.4;
        let destination = ip(if v6 { "2001:db8::ff" } else { "1.2.3.4" });
        one.addresses = Some((ip("192.168.1.10"), destination));
        one.flow = flow.map(|(to_server, a, b)| {
            let way = if to_server { FlowDirection::ToServer } else { FlowDirection::ToClient };
            view(way, (a, b), time)
        });
        let (fast, eve) = render(vec![one.clone(), one]);
        prop_assert_eq!(fast.len(), 2);
        prop_assert_eq!(eve.len(), 2);
        let json: serde_json::Value = serde_json::from_str(&eve[1]).unwrap();
        prop_assert_eq!(json["alert"]["signature"].as_str(), Some(message.as_str()));
        prop_assert_eq!(json["alert"]["signature_id"].as_u64(), Some(numbers.0.into()));
        // As Suricata writes a protocol with ports whose header cannot be read.
        let ports = ports.or(matches!(ip_proto, 6 | 17 | 132).then_some((0, 0)));
        prop_assert_eq!(json["src_port"].as_u64(), ports.map(|p| u64::from(p.0)));
        prop_assert_eq!(json["icmp_type"].as_u64(), icmp.map(|i| u64::from(i.0)));
        prop_assert_eq!(json["vlan"].as_array().map_or(0, Vec::len), vlan.len());
        prop_assert_eq!(json["in_iface"].as_str(), interface.as_deref());
        prop_assert_eq!(json["flow"]["bytes_toserver"].as_u64(), flow.map(|f| f.1));
        prop_assert_eq!(json["dest_ip"].as_str().unwrap().parse::<IpAddr>().unwrap(), destination);
        let values = json["alert"]["metadata"].as_object()
            .map_or(0, |m| m.values().map(|v| v.as_array().unwrap().len()).sum::<usize>());
        prop_assert_eq!(values, pairs.len());
        for line in fast.iter().chain(&eve) {
            prop_assert!(!line.chars().any(|c| c != '\t' && c.is_ascii_control()), "{:?}", line);
        }
    }
}

#[test]
fn files_are_appended_to_and_readable_by_the_group_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    for sid in 1..=2 {
        let (sender, writer) = start(eve_only(&path), Policy::Block).unwrap();
        sender.send(alert(rule(sid, "x")));
        assert_balance(&writer.finish(), 1);
    }
    assert_eq!(lines(&path).len(), 2);
    // The umask may take more away.
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0);
}

#[test]
fn half_a_record_from_before_is_cut_off_and_other_text_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    let whole = "{\"timestamp\":\"2026\"}\n";
    for (before, stays) in [
        ("{\"timestamp\":\"2026-", ""),
        (&format!("{whole}{{\"timestamp\":\"2026-"), whole),
        (&format!("{whole}{{\"ti"), whole),
        (&format!("{whole}{{"), whole),
        (whole, whole),
        ("{\"not\":\"ours\"", "{\"not\":\"ours\"\n"),
        ("notes of somebody", "notes of somebody\n"),
        ("", ""),
    ] {
        fs::write(&path, before).unwrap();
        let (sender, writer) = start(eve_only(&path), Policy::Block).unwrap();
        sender.send(alert(rule(1, "x")));
        assert_balance(&writer.finish(), 1);
        let text = fs::read_to_string(&path).unwrap();
        let added = text.strip_prefix(stays).unwrap();
        assert_eq!(added.matches('\n').count(), 1, "{added}");
        serde_json::from_str::<serde_json::Value>(added).unwrap();
    }
    // A line of the fast file cannot be told from text.
    let path = dir.path().join("fast.log");
    fs::write(&path, "11/24/2026-02:03").unwrap();
    let (sender, writer) = start([OutputSettings::fast(&path)].into(), Policy::Block).unwrap();
    sender.send(alert(rule(1, "x")));
    assert_balance(&writer.finish(), 1);
    let lines = lines(&path);
    assert_eq!((lines.len(), lines[0].as_str()), (2, "11/24/2026-02:03"));
}

#[test]
fn what_cannot_be_opened_is_refused_with_73() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("no/such/eve.json");
    let folder = dir.path().to_path_buf();
    let same = dir.path().join("same");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&same, &link).unwrap();
    for (config, words) in [
        (eve_only(missing), "No such file or directory"),
        (eve_only(folder), "Is a directory"),
        ([OutputSettings::fast(same), OutputSettings::eve(link)].into(), "are the same file"),
    ] {
        let failure = start(config, Policy::Count).unwrap_err();
        assert_eq!(failure.code, Code::CannotCreate);
        assert!(failure.message.contains(words), "{}", failure.message);
    }
}

/// Both outputs to /dev/null are no conflict: only a regular file would be torn.
#[test]
fn two_outputs_may_share_a_device() {
    let config = [OutputSettings::fast("/dev/null"), OutputSettings::eve("/dev/null")].into();
    let (sender, writer) = start(config, Policy::Count).unwrap();
    sender.send(alert(rule(1, "x")));
    assert_balance(&writer.finish(), 1);
}

#[test]
fn a_full_disk_is_counted_and_stops_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let eve = dir.path().join("eve.json");
    let config = [OutputSettings::fast("/dev/full"), OutputSettings::eve(&eve)].into();
    let (sender, writer) = start(config, Policy::Block).unwrap();
    let sent = 20_000;
    for sid in 0..sent {
        sender.send(alert(rule(sid, "a full disk must not stop the other outputs")));
    }
    let counters = writer.finish();
    assert_balance(&counters, sent.into());
    let [full, whole] = &counters.sinks[..] else { panic!("{counters:?}") };
    assert_eq!((full.kind, full.written), (SinkKind::Fast, 0));
    assert_eq!(full.lost, [(LossReason::Full, sent.into())]);
    assert_eq!(counters.lost(), u64::from(sent));
    assert_eq!((whole.written, lines(&eve).len()), (sent.into(), sent as usize));
}

/// A file system that fills up and is freed again: no line is torn, and the sums hold.
#[test]
fn a_disk_that_fills_up_and_is_freed() {
    let dir = tempfile::tempdir().unwrap();
    let mounted = nix::mount::mount(
        Some("tmpfs"),
        dir.path(),
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        Some("size=128k"),
    );
    if let Err(error) = mounted {
        eprintln!("skipped: cannot mount a tmpfs: {error}");
        return;
    }
    struct Unmount(PathBuf);
    impl Drop for Unmount {
        fn drop(&mut self) {
            let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
        }
    }
    let _unmount = Unmount(dir.path().into());
    let (path, ballast) = (dir.path().join("eve.json"), dir.path().join("ballast"));
    fs::write(&ballast, vec![0; 80 << 10]).unwrap();
    let (sender, writer) = start(eve_only(&path), Policy::Block).unwrap();
    let sent = 300;
    for sid in 0..sent {
        sender.send(alert(rule(sid, "until the disk is full")));
    }
    wait_for("full disk", || fs::metadata(&path).unwrap().len() >= 40 << 10);
    std::thread::sleep(Duration::from_millis(50));
    // The disk took half a line: it is cut off again.
    let full = fs::read(&path).unwrap();
    assert_eq!(full.last(), Some(&b'\n'));
    assert!(free(dir.path()) == 0 || writer.counters().sinks[0].written < sent.into());
    fs::remove_file(&ballast).unwrap();
    wait_for("recovery", || writer.counters().sinks[0].written > 250 || free(dir.path()) == 0);
    let counters = writer.finish();
    assert_balance(&counters, sent.into());
    let lines = lines(&path);
    assert_eq!(lines.len() as u64, counters.sinks[0].written);
    for (sid, line) in lines.iter().enumerate() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(json["alert"]["signature_id"], sid as u64);
    }
}

fn free(path: &Path) -> u64 {
    nix::sys::statvfs::statvfs(path).unwrap().blocks_available()
}

fn fifo(dir: &tempfile::TempDir) -> PathBuf {
    let path = dir.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    path
}

fn open_reader(path: &Path) -> File {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap()
}

#[test]
fn a_fifo_without_a_reader_waits_for_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(&dir);
    let (sender, writer) = start(eve_only(&path), Policy::Count).unwrap();
    sender.send(alert(rule(1, "before the reader")));
    wait_for("alert taken", || writer.counters().taken == 1);
    let mut reader = open_reader(&path);
    wait_for("alert written", || writer.counters().sinks[0].written == 1);
    let mut text = String::new();
    let _ = reader.read_to_string(&mut text);
    assert!(text.contains("before the reader"), "{text:?}");

    // The reader goes, the next alert breaks the pipe, and a new reader gets it.
    drop(reader);
    sender.send(alert(rule(2, "between the readers")));
    wait_for("alert taken", || writer.counters().taken == 2);
    let mut reader = open_reader(&path);
    wait_for("alert written", || writer.counters().sinks[0].written == 2);
    let mut text = String::new();
    let _ = reader.read_to_string(&mut text);
    assert!(text.contains("between the readers"), "{text:?}");
    assert_balance(&writer.finish(), 2);
}

#[test]
fn a_fifo_nobody_ever_reads_loses_its_alerts_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (sender, writer) = start(eve_only(fifo(&dir)), Policy::Count).unwrap();
    sender.send(alert(rule(1, "x")));
    let counters = writer.finish();
    assert_balance(&counters, 1);
    assert_eq!(counters.sinks[0].lost, [(LossReason::BrokenPipe, 1)]);
}

/// A reader that stops reading: the pipe fills, then the buffer, then alerts are lost; what the
/// reader gets in the end are whole lines.
#[test]
fn a_reader_that_is_too_slow() {
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(&dir);
    let reader = open_reader(&path);
    let config = OutputConfig { queue: 100_000, ..eve_only(&path) };
    let (sender, writer) = start(config, Policy::Count).unwrap();
    let sent = 8000;
    for sid in 0..sent {
        sender.send(alert(rule(sid, "slow reader")));
    }
    wait_for("alerts taken", || writer.counters().taken == u64::from(sent));
    let reader = std::thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let (mut whole, mut line) = (0, String::new());
        loop {
            match reader.read_line(&mut line) {
                Ok(0) => return whole,
                Ok(_) => {
                    serde_json::from_str::<serde_json::Value>(&line).unwrap();
                    line.clear();
                    whole += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    });
    wait_for("drained buffer", || {
        let counters = writer.counters();
        let sink = &counters.sinks[0];
        sink.written + sink.lost.iter().map(|l| l.1).sum::<u64>() == u64::from(sent)
    });
    let counters = writer.finish();
    assert_balance(&counters, sent.into());
    assert!(matches!(counters.sinks[0].lost[..], [(LossReason::TooSlow, lost)] if lost > 0));
    assert_eq!(reader.join().unwrap(), counters.sinks[0].written);
}

#[test]
fn reopen_after_a_rename_begins_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("eve.json"), dir.path().join("eve.json.1"));
    let (sender, writer) = start(eve_only(&path), Policy::Count).unwrap();
    sender.send(alert(rule(1, "old")));
    wait_for("first alert", || writer.counters().sinks[0].written == 1);
    fs::rename(&path, &old).unwrap();
    sender.send(alert(rule(2, "still old")));
    wait_for("second alert", || writer.counters().sinks[0].written == 2);
    assert!(!path.exists());
    writer.reopen();
    wait_for("new file", || path.exists());
    sender.send(alert(rule(3, "new")));
    assert_balance(&writer.finish(), 3);
    assert_eq!((lines(&old).len(), lines(&path).len()), (2, 1));
}

#[test]
fn a_file_that_was_deleted_is_made_again_without_being_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    let (sender, writer) = start(eve_only(&path), Policy::Count).unwrap();
    fs::remove_file(&path).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    sender.send(alert(rule(1, "x")));
    assert_balance(&writer.finish(), 1);
    assert_eq!(lines(&path).len(), 1);
}

#[test]
fn a_folder_that_went_and_came_back() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("log");
    let path = folder.join("eve.json");
    fs::create_dir(&folder).unwrap();
    let (sender, writer) = start(eve_only(&path), Policy::Count).unwrap();
    fs::rename(&folder, dir.path().join("away")).unwrap();
    writer.reopen();
    // The order of a command and an alert is not fixed: let the command be first.
    std::thread::sleep(Duration::from_millis(200));
    sender.send(alert(rule(1, "x")));
    wait_for("alert taken", || writer.counters().taken == 1);
    fs::create_dir(&folder).unwrap();
    wait_for("alert written", || writer.counters().sinks[0].written == 1);
    assert_balance(&writer.finish(), 1);
    assert_eq!(lines(&path).len(), 1);
}

#[test]
fn a_full_queue_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let config = OutputConfig { queue: 1, ..eve_only(dir.path().join("eve.json")) };
    let (sender, writer) = start(config, Policy::Count).unwrap();
    let one = alert(rule(1, "x"));
    let sent = 200_000;
    for _ in 0..sent {
        sender.send(one.clone());
    }
    let counters = writer.finish();
    assert!(counters.overflow > 0);
    assert_balance(&counters, sent);
    assert_eq!(lines(&dir.path().join("eve.json")).len() as u64, counters.taken);
}

#[test]
fn blocking_senders_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    let config = OutputConfig { queue: 4, ..eve_only(&path) };
    let (sender, writer) = start(config, Policy::Block).unwrap();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let sender = sender.clone();
            scope.spawn(move || {
                for sid in 0..1000 {
                    sender.send(alert(rule(worker * 1000 + sid, "x")));
                }
            });
        }
    });
    let counters = writer.finish();
    assert_balance(&counters, 4000);
    assert_eq!((counters.overflow, counters.lost(), lines(&path).len()), (0, 0, 4000));
}

#[test]
fn a_sender_does_not_hang_after_the_end() {
    let config = OutputConfig { queue: 1, ..OutputConfig::default() };
    let (sender, writer) = start(config, Policy::Block).unwrap();
    assert_eq!(writer.finish(), OutputCounters::default());
    for sid in 0..3 {
        sender.send(alert(rule(sid, "x")));
    }
}
