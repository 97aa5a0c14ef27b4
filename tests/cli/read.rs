//! `nids read`: alerts, formats of files, the balance, exit codes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::session::{Session, end};

const RULES: &str = r#"
alert tcp any any -> any 80 (content:"/etc/passwd"; msg:"Potential directory traversal attack"; sid:1000001;)
alert tcp any any -> any 22 (content:"USER root"; msg:"Attempted login as root"; sid:1000002;)
"#;

struct Bench {
    folder: tempfile::TempDir,
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        bench.write("test.rules", RULES.as_bytes());
        bench
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nids"));
        command.current_dir(self.folder.path()).arg("read").args(args).stdin(Stdio::null());
        command
    }
    fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(args).output().unwrap())
    }
    /// Events of a run that must succeed.
    fn alerts(&self, args: &[&str]) -> Vec<Value> {
        let eve = self.path("eve.json");
        let _ = fs::remove_file(&eve);
        let ran = self.run(&[args, &["--eve", "eve.json"]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        lines(&eve)
    }
}

fn ran(Output { status, stdout, stderr }: Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: status.code(), out: text(stdout), err: text(stderr) }
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// (sid, pcap_cnt, dest_port) of each alert.
fn brief(alerts: &[Value]) -> Vec<(u64, u64, u64)> {
    let number = |value: &Value| value.as_u64().unwrap();
    alerts
        .iter()
        .map(|e| {
            (number(&e["alert"]["signature_id"]), number(&e["pcap_cnt"]), number(&e["dest_port"]))
        })
        .collect()
}

/// Web and login sessions, with and without attack, over IPv4, IPv6 and in a VLAN.
fn sessions() -> Session {
    let mut all = Session::default();
    let (v4, v6) = (end("10.0.0.9", 40_000), end("2001:db8::9", 40_001));
    let attack = b"GET /../../etc/passwd HTTP/1.1\r\n\r\n";
    let login = b"USER root\r\n";
    all.exchange(v4, end("10.0.0.1", 80), attack, b"HTTP/1.1 200 OK\r\n\r\n");
    all.exchange(v6, end("2001:db8::1", 80), attack, b"HTTP/1.1 404 No\r\n\r\n");
    all.exchange(v4, end("10.0.0.1", 22), login, b"Password:");
    all.exchange(v4, end("10.0.0.1", 8080), attack, b"/etc/passwd back from port 8080");
    all.exchange(v4, end("10.0.0.2", 80), b"GET / HTTP/1.1\r\n\r\n", b"/etc/passwd");
    all.exchange(v4, end("10.0.0.2", 23), login, b"");
    let mut tagged = Session::in_vlan(7);
    tagged.exchange(v4, end("10.0.0.1", 80), attack, b"");
    all.frames.append(&mut tagged.frames);
    all
}

#[test]
fn both_rules_fire_where_they_should_and_nowhere_else() {
    let bench = Bench::new();
    bench.write("x.pcap", &sessions().pcap());
    let alerts = bench.alerts(&["x.pcap", "--rules", "test.rules"]);
    assert_eq!(
        brief(&alerts),
        [(1_000_001, 6, 80), (1_000_001, 14, 80), (1_000_002, 22, 22), (1_000_001, 54, 80)]
    );
    let [first, second, _, tagged] = &alerts[..] else { panic!() };
    assert_eq!(first["src_ip"], "10.0.0.9");
    assert_eq!(first["dest_ip"], "10.0.0.1");
    assert_eq!(first["timestamp"], "2023-11-14T22:13:20.005000+0000");
    assert_eq!(first["proto"], "TCP");
    assert_eq!(first["alert"]["signature"], "Potential directory traversal attack");
    assert!(second["src_ip"].as_str().unwrap().starts_with("2001:0db8:"));
    assert_eq!(tagged["vlan"], serde_json::json!([7]));
    // The same connection with and without the tag is not the same flow.
    assert_ne!(first["flow_id"], tagged["flow_id"]);
}

#[test]
fn the_same_file_gives_the_same_log() {
    let bench = Bench::new();
    bench.write("x.pcap", &sessions().pcap());
    bench.alerts(&["x.pcap", "--rules", "test.rules"]);
    let first = fs::read(bench.path("eve.json")).unwrap();
    bench.alerts(&["x.pcap", "--rules", "test.rules"]);
    assert_eq!(fs::read(bench.path("eve.json")).unwrap(), first);
}

#[test]
fn compressed_and_from_standard_input() {
    let bench = Bench::new();
    let plain = sessions().pcap();
    let expected = {
        bench.write("x.pcap", &plain);
        brief(&bench.alerts(&["x.pcap", "--rules", "test.rules"]))
    };
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    bench.write("x.gz", &gzip.finish().unwrap());
    bench.write("x.zst", &zstd::encode_all(&plain[..], 1).unwrap());
    for name in ["x.gz", "x.zst"] {
        let alerts = bench.alerts(&[name, "--rules", "test.rules"]);
        assert_eq!(brief(&alerts), expected, "{name}");
    }
    let _ = fs::remove_file(bench.path("eve.json"));
    let mut child = bench
        .command(&["-", "--rules", "test.rules", "--eve", "eve.json"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&plain).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(brief(&lines(&bench.path("eve.json"))), expected);
}

#[test]
fn the_console_and_the_fast_log() {
    let bench = Bench::new();
    bench.write("x.pcap", &sessions().pcap());
    let shown = bench.run(&["x.pcap", "--rules", "test.rules"]);
    assert_eq!(shown.code, Some(0));
    assert_eq!(shown.out.lines().count(), 4, "{}", shown.out);
    let quiet = bench.run(&["x.pcap", "--rules", "test.rules", "--fast", "fast.log"]);
    assert_eq!((quiet.code, quiet.out.as_str()), (Some(0), ""));
    let fast = fs::read_to_string(bench.path("fast.log")).unwrap();
    assert_eq!(fast.lines().count(), 4);
    assert!(fast.contains("[1:1000002:0] Attempted login as root [**]"), "{fast}");
}

#[test]
fn the_books_balance() {
    let mut session = sessions();
    let ethernet = |kind: u16, body: &[u8]| {
        let mut frame = vec![0; 12];
        frame.extend(kind.to_be_bytes());
        frame.extend(body);
        frame
    };
    session.frames.push(ethernet(0x0806, &[0; 28]));
    session.frames.push(ethernet(0x88e5, &[0; 28]));
    session.frames.push(ethernet(0x0800, &[0x45; 10]));
    session.frames.push(vec![1, 2, 3]);
    let bench = Bench::new();
    bench.write("x.pcap", &session.pcap());
    let ran = bench.run(&["x.pcap", "--rules", "test.rules", "--eve", "eve.json"]);
    assert_eq!(ran.code, Some(0));
    let books = "packets: 60 received = 56 inspected + 4 skipped \
                 (malformed: 2, non-ip: 1, encapsulated: 1)\n";
    assert!(ran.err.contains(books), "{}", ran.err);
    assert!(ran.err.contains("alerts: 4\n"), "{}", ran.err);
}

#[test]
fn a_cut_file_is_read_to_its_end_with_a_warning() {
    let bench = Bench::new();
    let mut bytes = sessions().pcap();
    bytes.truncate(bytes.len() - 10);
    bench.write("x.pcap", &bytes);
    let ran = bench.run(&["x.pcap", "--rules", "test.rules", "--eve", "eve.json"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.err.contains("warning: x.pcap ends within a record"), "{}", ran.err);
    assert_eq!(lines(&bench.path("eve.json")).len(), 4);
}

#[test]
fn a_damaged_file_is_an_error_and_lenient_a_warning() {
    let bench = Bench::new();
    let mut bytes = sessions().pcap();
    // The length of the second frame; the first stands behind the header of the file.
    let second = 24 + 16 + sessions().frames[0].len();
    bytes[second + 8..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
    bench.write("x.pcap", &bytes);
    let args = ["x.pcap", "--rules", "test.rules", "--eve", "eve.json"];
    let words = format!("the frame at byte {second} says it has 4294967295 bytes");
    for (lenient, code) in [(&[][..], 65), (&["--lenient"][..], 0)] {
        let ran = bench.run(&[&args, lenient].concat());
        assert_eq!(ran.code, Some(code));
        assert!(ran.err.contains(&words), "{}", ran.err);
        assert!(ran.err.contains("packets: 1 received = 1 inspected"), "{}", ran.err);
    }
}

/// A segment with a wrong checksum, as no host takes it, does not open a connection.
#[test]
fn checksums_as_told() {
    let bench = Bench::new();
    let rule = r#"alert tcp any any -> any 80 (flow:established; content:"GET"; sid:1;)"#;
    bench.write("established.rules", rule.as_bytes());
    let mut session = Session::default();
    session.exchange(end("10.0.0.9", 4000), end("10.0.0.1", 80), b"GET /", b"");
    // The checksum of the SYN/ACK: Ethernet 14, IPv4 20, TCP 16.
    session.frames[1][50] ^= 1;
    bench.write("x.pcap", &session.pcap());
    let count = |args: &[&str]| {
        bench.alerts(&[&["x.pcap", "--rules", "established.rules"], args].concat()).len()
    };
    assert_eq!(count(&[]), 0);
    assert_eq!(count(&["-k", "all"]), 0);
    assert_eq!(count(&["-k", "none"]), 1);
    assert_eq!(count(&["--set", "pcap-file.checksum-checks=no"]), 1);
    assert_eq!(count(&["--set", "stream.checksum-validation=no"]), 1);
}

#[test]
fn settings_reach_the_rules() {
    let bench = Bench::new();
    let rule = r#"alert tcp $HOME_NET any -> any $HTTP_PORTS (content:"GET"; sid:1;)"#;
    bench.write("home.rules", rule.as_bytes());
    let mut session = Session::default();
    session.exchange(end("192.0.2.9", 4000), end("10.0.0.1", 8081), b"GET /", b"");
    bench.write("x.pcap", &session.pcap());
    let args = ["x.pcap", "--rules", "home.rules"];
    assert_eq!(bench.alerts(&args).len(), 0);
    let set = [
        "--set",
        "vars.address-groups.HOME_NET=[192.0.2.0/24]",
        "--set",
        "vars.port-groups.HTTP_PORTS=8000:8100",
    ];
    assert_eq!(bench.alerts(&[&args[..], &set].concat()).len(), 1);
}

#[test]
fn failures_have_their_codes() {
    let bench = Bench::new();
    bench.write("x.pcap", &sessions().pcap());
    bench.write(
        "bad.rules",
        b"alert tcp any any -> any 80 (content:\"x\"; no_such_keyword; sid:1;)",
    );
    bench.write("text", b"This is no capture file.");
    let code = |args: &[&str], words: &str| {
        let ran = bench.run(args);
        assert!(ran.err.contains(words), "{}", ran.err);
        ran.code
    };
    let no_file = "No such file or directory";
    assert_eq!(code(&["missing.pcap", "--rules", "test.rules"], no_file), Some(66));
    assert_eq!(code(&["x.pcap", "--rules", "missing.rules"], no_file), Some(66));
    assert_eq!(code(&["text", "--rules", "test.rules"], "no capture file"), Some(65));
    assert_eq!(code(&["x.pcap", "--rules", "bad.rules", "--strict"], "--strict"), Some(65));
    assert_eq!(code(&["x.pcap", "--rules", "bad.rules", "--eve", "e"], "bad.rules:1"), Some(0));
    let eve = ["x.pcap", "--rules", "test.rules", "--eve", "missing/eve.json"];
    assert_eq!(code(&eve, no_file), Some(73));
    let set = |what: &'static str| ["x.pcap", "--rules", "test.rules", "--set", what];
    assert_eq!(code(&set("flow.memcop=1"), "did you mean `flow.memcap`"), Some(78));
    assert_eq!(code(&set("stream.drop-invalid=yes"), "cannot be honoured"), Some(78));
    assert_eq!(code(&set("flow.memcap=plenty"), "it takes a size"), Some(78));
    let lenient = [&set("stream.drop-invalid=yes")[..], &["--lenient"]].concat();
    assert_eq!(code(&lenient, "warning: `stream.drop-invalid` cannot be honoured"), Some(0));
    let lenient = [&set("flow.memcap=plenty")[..], &["--lenient"]].concat();
    assert_eq!(code(&lenient, "it takes a size"), Some(78));
    assert_eq!(code(&[], "<FILE>"), Some(2));
}

/// Data that was not seen as a stream shows in the summary, and only then.
#[test]
fn the_summary_says_what_was_given_up() {
    let bench = Bench::new();
    let (client, server) = (end("10.0.0.1", 4000), end("10.0.0.2", 80));
    let mut session = Session::default();
    session.exchange(client, server, b"GET / HTTP/1.0\r\n\r\n", b"no");
    bench.write("whole.pcap", &session.pcap());
    session.frames.drain(..3);
    bench.write("late.pcap", &session.pcap());
    let whole = bench.run(&["whole.pcap", "--rules", "test.rules"]);
    assert!(!whole.err.contains("given up"), "{}", whole.err);
    let late = bench.run(&["late.pcap", "--rules", "test.rules"]);
    let line = "given up of what was inspected: stream-untracked-packets 2\n";
    assert!(late.err.contains(line), "{}", late.err);
}

#[test]
fn numbers_stand_at_the_end_of_eve_where_they_are_asked_for() {
    let bench = Bench::new();
    let mut session = Session::default();
    session.exchange(end("10.0.0.1", 4000), end("10.0.0.2", 22), b"USER root", b"no");
    bench.write("one.pcap", &session.pcap());
    let read = ["one.pcap", "--rules", "test.rules", "--eve-types", "alert,stats"];
    let events = bench.alerts(&read);
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[1]["event_type"], "stats");
    let stats = &events[1]["stats"];
    let agent = &stats["balance"]["agent"];
    assert_eq!((&agent["received"], &agent["inspected"]), (&8.into(), &8.into()), "{stats}");
    assert!(stats["balance"]["kernel"].is_null() && stats["balance"]["difference"] == 0, "{stats}");
    assert_eq!((&stats["tcp"]["sessions"], &stats["detect"]["alert"]), (&1.into(), &1.into()));
    assert_eq!(stats["rules"]["loaded"], 2);
}
