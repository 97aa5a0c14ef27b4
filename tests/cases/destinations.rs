//! Outputs to sockets and to syslog, against receivers made here; and that none of them holds up another.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use nids::detect::alert::Evidence;
use nids::output::{
    LossReason, OutputConfig, OutputCounters, OutputSettings, Policy, Writer, start,
};
use serde_json::Value;

use super::output::{alert, rule, wait_for};

/// An output by its settings.
fn set(settings: &[(&str, &str)]) -> OutputConfig {
    let mut config = OutputConfig::default();
    for (key, value) in settings {
        config.set(key, value).unwrap_or_else(|error| panic!("{key}={value}: {error:?}"));
    }
    config.check().unwrap();
    config
}

fn sid(line: &str) -> u64 {
    let json: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    json["alert"]["signature_id"].as_u64().unwrap()
}

fn written(writer: &Writer, sink: usize) -> u64 {
    writer.counters().sinks[sink].written
}

/// Every record is somewhere at every output.
fn assert_balance(counters: &OutputCounters, sent: u64) {
    assert_eq!(counters.taken + counters.overflow, sent, "{counters:?}");
    for sink in &counters.sinks {
        let lost: u64 = sink.lost.iter().map(|(_, count)| count).sum();
        assert_eq!(sink.written + lost, counters.taken, "{counters:?}");
    }
}

/// A message of syslog, taken apart by the grammar of RFC 5424, section 6.
#[derive(Debug, PartialEq)]
struct Message {
    facility: u8,
    severity: u8,
    timestamp: String,
    host: String,
    app: String,
    process: String,
    id: String,
    text: String,
}

fn parse_5424(bytes: &[u8]) -> Message {
    let text = std::str::from_utf8(bytes).unwrap();
    let (priority, rest) = text.strip_prefix('<').unwrap().split_once('>').unwrap();
    assert!(priority.len() <= 3 && (priority == "0" || !priority.starts_with('0')), "{priority}");
    let priority: u8 = priority.parse().unwrap();
    assert!(priority <= 191);
    let rest = rest.strip_prefix("1 ").expect("VERSION");
    let mut fields = rest.splitn(6, ' ');
    let mut next = |most: usize| {
        let field = fields.next().unwrap().to_owned();
        assert!((1..=most).contains(&field.len()), "{field}");
        assert!(field.bytes().all(|byte| (33..=126).contains(&byte)), "{field}");
        field
    };
    let timestamp = next(64);
    let (host, app, process, id) = (next(255), next(48), next(128), next(32));
    let text = fields.next().unwrap().strip_prefix("- ").expect("no structured data").to_owned();
    // RFC 3339 with at most six digits of a second.
    let time: jiff::Timestamp = timestamp.parse().unwrap();
    assert_eq!(time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(), timestamp);
    Message {
        facility: priority / 8,
        severity: priority % 8,
        timestamp,
        host,
        app,
        process,
        id,
        text,
    }
}

/// Takes messages out of a stream by RFC 6587, section 3.4.1.
fn octet_counted(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let blank = bytes.iter().position(|byte| *byte == b' ').unwrap();
        let length: usize = std::str::from_utf8(&bytes[..blank]).unwrap().parse().unwrap();
        messages.push(&bytes[blank + 1..blank + 1 + length]);
        bytes = &bytes[blank + 1 + length..];
    }
    messages
}

fn check_message(bytes: &[u8], expected: u64) {
    let message = parse_5424(bytes);
    assert_eq!((message.facility, message.severity), (16, 1));
    assert_eq!(message.timestamp, "2026-11-24T02:03:04.123456Z");
    assert_eq!((message.app.as_str(), message.id.as_str()), ("sensor-7", "alert"));
    assert_eq!(message.process, std::process::id().to_string());
    assert_eq!(sid(&message.text), expected);
}

const SYSLOG: [(&str, &str); 4] = [
    ("eve.soc.filetype", "syslog"),
    ("eve.soc.facility", "local0"),
    ("eve.soc.level", "alert"),
    ("eve.soc.identity", "sensor-7"),
];

fn syslog(server: &str, more: &[(&str, &str)]) -> OutputConfig {
    set(&[&SYSLOG, &[("eve.soc.server", server)][..], more].concat())
}

#[test]
fn syslog_over_udp() {
    for address in ["127.0.0.1", "[::1]"] {
        let Ok(receiver) = UdpSocket::bind(format!("{address}:0")) else {
            eprintln!("skipped: there is no {address}");
            continue;
        };
        receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let server = format!("udp:{address}:{}", receiver.local_addr().unwrap().port());
        let (sender, writer) = start(syslog(&server, &[]), Policy::Count).unwrap();
        (1..=20).for_each(|sid| sender.send(alert(rule(sid, "é \"quoted\""))));
        let mut buffer = [0; 65_536];
        for expected in 1..=20 {
            let length = receiver.recv(&mut buffer).unwrap();
            check_message(&buffer[..length], expected);
        }
        let counters = writer.finish();
        assert_balance(&counters, 20);
        assert_eq!((counters.lost(), counters.sinks[0].label.as_str()), (0, "eve.soc"));
        assert_eq!(counters.sinks[0].path, Some(server.into()));
    }
}

#[test]
fn syslog_over_tcp_in_both_framings() {
    for framing in ["octet-counting", "newline"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("tcp:localhost:{}", listener.local_addr().unwrap().port());
        let config = syslog(&server, &[("eve.soc.framing", framing)]);
        let (sender, writer) = start(config, Policy::Count).unwrap();
        (1..=500).for_each(|sid| sender.send(alert(rule(sid, "over tcp"))));
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // `localhost` may have an IPv6 address first, where nobody listens.
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_to_end(&mut bytes).unwrap();
            bytes
        });
        wait_for("records written", || written(&writer, 0) == 500);
        let counters = writer.finish();
        assert_balance(&counters, 500);
        let bytes = reader.join().unwrap();
        let messages: Vec<&[u8]> = match framing {
            "newline" => bytes.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').collect(),
            _ => octet_counted(&bytes),
        };
        assert_eq!(messages.len(), 500);
        messages.iter().zip(1..).for_each(|(message, sid)| check_message(message, sid));
    }
}

#[test]
fn syslog_over_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let receiver = UnixDatagram::bind(&path).unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let config = syslog(&format!("unix:{}", path.display()), &[]);
    let (sender, writer) = start(config, Policy::Count).unwrap();
    let mut buffer = [0; 65_536];
    for expected in 1..=50 {
        sender.send(alert(rule(expected, "local")));
        let length = receiver.recv(&mut buffer).unwrap();
        check_message(&buffer[..length], expected.into());
    }
    assert_balance(&writer.finish(), 50);
}

fn unix(kind: &str, path: &Path) -> OutputConfig {
    set(&[("eve.0.filetype", kind), ("eve.0.filename", path.to_str().unwrap())])
}

/// A receiver that comes late gets what waited; one that goes is missed by nobody but itself.
#[test]
fn a_unix_stream_comes_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let (path, file) = (dir.path().join("eve.sock"), dir.path().join("eve.json"));
    let mut config = unix("unix_stream", &path);
    config.outputs.push(OutputSettings { name: "file".into(), ..OutputSettings::eve(&file) });
    let (sender, writer) = start(config, Policy::Count).unwrap();
    sender.send(alert(rule(1, "nobody is there")));
    // The file does not wait for the socket.
    wait_for("record in the file", || written(&writer, 1) == 1);
    assert_eq!(written(&writer, 0), 0);

    let listener = UnixListener::bind(&path).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    assert_eq!(read_lines(&mut stream, 1).iter().map(|line| sid(line)).collect::<Vec<_>>(), [1]);
    drop(stream);
    drop(listener);
    fs::remove_file(&path).unwrap();
    for sid in 2..=100 {
        sender.send(alert(rule(sid, "nobody is there again")));
    }
    wait_for("records in the file", || written(&writer, 1) == 100);
    let listener = UnixListener::bind(&path).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let sids: Vec<_> = read_lines(&mut stream, 99).iter().map(|line| sid(line)).collect();
    assert_eq!(sids, (2..=100).collect::<Vec<_>>());
    let counters = writer.finish();
    assert_balance(&counters, 100);
    assert_eq!(counters.lost(), 0);
}

fn read_lines(stream: &mut impl Read, count: usize) -> Vec<String> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while bytes.iter().filter(|byte| **byte == b'\n').count() < count {
        let length = stream.read(&mut buffer).unwrap();
        assert_ne!(length, 0, "the stream ends");
        bytes.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

/// A receiver that does not read: its records are lost and counted, the file has all, and the senders never
/// wait. What it reads in the end are whole records, without one twice.
#[test]
fn a_receiver_that_does_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let (path, file) = (dir.path().join("eve.sock"), dir.path().join("eve.json"));
    let listener = UnixListener::bind(&path).unwrap();
    let mut config = unix("unix_stream", &path);
    config.outputs[0].backlog = 20_000;
    config.outputs.push(OutputSettings { name: "file".into(), ..OutputSettings::eve(&file) });
    config.queue = 100_000;
    let (sender, writer) = start(config, Policy::Count).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let sent = 8000;
    (0..sent).for_each(|sid| sender.send(alert(rule(sid, "slow reader"))));
    wait_for("records in the file", || written(&writer, 1) == u64::from(sent));
    let before = writer.counters();
    let lost: u64 = before.sinks[0].lost.iter().map(|(_, count)| count).sum();
    assert!(lost > 0, "{before:?}");
    assert!(before.sinks[0].lost.iter().all(|(reason, _)| *reason == LossReason::TooSlow));
    // Now it reads: what waits arrives, and what comes new.
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    wait_for("backlog", || written(&writer, 0) + lost == u64::from(sent));
    sender.send(alert(rule(sent, "it reads")));
    wait_for("new record", || written(&writer, 0) + lost == u64::from(sent) + 1);
    let counters = writer.finish();
    assert_balance(&counters, u64::from(sent) + 1);
    let sids: Vec<_> = reader.join().unwrap().lines().map(sid).collect();
    assert_eq!(sids.len() as u64, counters.sinks[0].written);
    assert!(sids.is_sorted_by(|a, b| a < b));
    assert_eq!(sids.last(), Some(&u64::from(sent)));
}

/// A collector that was restarted gets the next record: none goes to the end of the old connection.
#[test]
fn a_server_that_is_restarted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("tcp:{}", listener.local_addr().unwrap());
    let config = syslog(&server, &[("eve.soc.framing", "newline")]);
    let (sender, writer) = start(config, Policy::Count).unwrap();
    for sid in 1..=5 {
        sender.send(alert(rule(sid, "x")));
        let (mut stream, _) = listener.accept().unwrap();
        let line = &read_lines(&mut stream, 1)[0];
        check_message(line.as_bytes(), sid.into());
        drop(stream);
        // Its end is under way.
        std::thread::sleep(Duration::from_millis(20));
    }
    let counters = writer.finish();
    assert_balance(&counters, 5);
    assert_eq!((counters.lost(), counters.sinks[0].written), (0, 5));
}

/// A connection that breaks in the middle of a record: the next receiver gets it whole.
#[test]
fn a_record_is_never_continued_on_another_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("tcp:{}", listener.local_addr().unwrap());
    let config = syslog(&server, &[("eve.soc.framing", "newline")]);
    let (sender, writer) = start(config, Policy::Count).unwrap();
    let (first, _) = listener.accept().unwrap();
    // Far more than both buffers of the connection hold.
    for sid in 0..1000 {
        sender.send(alert(rule(sid, &"x".repeat(10_000))));
    }
    wait_for("full connection", || {
        let counters = writer.counters();
        counters.taken == 1000 && counters.sinks[0].lost.iter().any(|(_, count)| *count > 0)
    });
    drop(first);
    let (mut second, _): (TcpStream, _) = listener.accept().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        second.read_to_string(&mut text).unwrap();
        text
    });
    wait_for("all of it", || {
        let counters = writer.counters();
        let lost: u64 = counters.sinks[0].lost.iter().map(|(_, count)| count).sum();
        counters.sinks[0].written + lost == 1000
    });
    assert_balance(&writer.finish(), 1000);
    let text = reader.join().unwrap();
    assert!(text.ends_with('\n') && text.lines().count() > 10);
    text.lines().for_each(|line| _ = parse_5424(line.as_bytes()));
}

#[test]
fn a_record_that_fits_no_datagram_is_counted_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.sock");
    let receiver = UnixDatagram::bind(&path).unwrap();
    let mut config = unix("unix_dgram", &path);
    config.set("eve.0.alert.packet", "yes").unwrap();
    let (sender, writer) = start(config, Policy::Count).unwrap();
    let mut large = alert(rule(1, "large"));
    large.evidence = Some(Box::new(Evidence {
        payload: Box::default(),
        in_stream: false,
        packet: vec![0; 400_000].into(),
        link: nids::capture::LinkType::Ethernet,
    }));
    sender.send(large);
    sender.send(alert(rule(2, "small")));
    let mut buffer = [0; 65_536];
    receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let length = receiver.recv(&mut buffer).unwrap();
    // As Suricata writes datagrams: with the line feed.
    assert_eq!(buffer[length - 1], b'\n');
    assert_eq!(sid(std::str::from_utf8(&buffer[..length]).unwrap()), 2);
    let counters = writer.finish();
    assert_balance(&counters, 2);
    assert_eq!(counters.sinks[0].lost, [(LossReason::TooLong, 1)]);
}

/// Nobody ever listens: all is counted, and the end does not hang.
#[test]
fn receivers_that_never_come() {
    let dir = tempfile::tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let none = dir.path().join("none");
    for config in [
        unix("unix_stream", &none),
        unix("unix_dgram", &none),
        syslog(&format!("tcp:{closed}"), &[]),
        syslog(&format!("unix:{}", none.display()), &[]),
    ] {
        let (sender, writer) = start(config, Policy::Count).unwrap();
        (0..10).for_each(|sid| sender.send(alert(rule(sid, "x"))));
        let begin = std::time::Instant::now();
        let counters = writer.finish();
        assert!(begin.elapsed() < Duration::from_secs(5));
        assert_balance(&counters, 10);
        assert_eq!(counters.sinks[0].lost, [(LossReason::BrokenPipe, 10)]);
    }
}

#[test]
fn a_name_that_has_no_address_is_told_at_the_start() {
    let failure = start(syslog("udp:no.such.host.invalid:514", &[]), Policy::Count).unwrap_err();
    assert!(failure.message.contains("eve.soc output udp:no.such.host.invalid:514"), "{failure:?}");
}

/// Under the policy to block, nothing is lost to a reader that is slow.
#[test]
fn a_capture_file_waits_for_its_receiver() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (sender, writer) = start(unix("unix_stream", &path), Policy::Block).unwrap();
    let (mut stream, _): (UnixStream, _) = listener.accept().unwrap();
    let reader = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    (0..20_000).for_each(|sid| sender.send(alert(rule(sid, "patience"))));
    let counters = writer.finish();
    assert_balance(&counters, 20_000);
    assert_eq!(counters.lost(), 0);
    assert_eq!(reader.join().unwrap().lines().count(), 20_000);
}

#[test]
fn several_outputs_with_types_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let config = set(&[
        ("eve.0.filename", &path("alerts.json")),
        ("eve.0.types", "alert"),
        ("eve.flows.filename", &path("flows.json")),
        ("eve.flows.types", "[flow, netflow]"),
        ("fast.0.filename", &path("fast.log")),
    ]);
    let (sender, writer) = start(config, Policy::Block).unwrap();
    sender.send(alert(rule(1, "x")));
    let counters = writer.finish();
    let labels: Vec<_> =
        counters.sinks.iter().map(|sink| (sink.label.as_str(), sink.written)).collect();
    assert_eq!(labels, [("eve", 1), ("eve.flows", 0), ("fast", 1)]);
    assert!(counters.sinks.iter().all(|sink| sink.path.is_some()));
}
