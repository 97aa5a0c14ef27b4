//! Outputs of a live sensor: real receivers, rotation while it runs, SIGHUP, SIGKILL; and packets of alerting
//! flows, which the kernel may not let by.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use nids::capture::pcap::PcapSource;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::netns::{Bed, LIMIT, SERVER, SERVER_IFACE, wait_until};
use super::sensor::Sensor;
use super::service::TcpServer;
use super::{nids, ready};

const RULES: &str = "alert udp any any -> any 9 (msg:\"word\"; content:\"word\"; sid:1;)\n\
                     alert tcp any any -> any 80 (content:\"/etc/passwd\"; sid:2;)\n";

fn say(bed: &Bed, times: usize) {
    bed.client.within(|| {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
        for number in 0..times {
            socket.send_to(format!("word {number}").as_bytes(), (SERVER[0], 9)).unwrap();
            // No faster than the sensor's ring can take.
            if number % 50 == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    });
}

fn start(bed: &Bed, settings: &[&str], more: &[&str]) -> Sensor {
    let mut args = vec!["--iface", SERVER_IFACE, "--quiet"];
    args.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    args.extend(more);
    Sensor::start(nids(), &bed.server, RULES, args).unwrap()
}

/// The EVE file and the ones that were put away, each whole.
fn records(sensor: &Sensor) -> Vec<Value> {
    let folder = sensor.file("eve.json").parent().unwrap().to_owned();
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("eve.json") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let text = match name.ends_with(".zst") {
            true => String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap(),
            false => String::from_utf8(bytes).unwrap(),
        };
        assert!(text.is_empty() || text.ends_with('\n'), "{name} ends in half a record");
        all.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    all
}

/// Four outputs, of which one never reads, while files rotate and are opened anew: every alert is in the file
/// once, and the other receivers have them too.
#[test]
fn several_outputs_rotation_and_sighup() {
    if !ready(&[]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let reading = UnixListener::bind(path("reading.sock")).unwrap();
    let _silent = UnixListener::bind(path("silent.sock")).unwrap();
    let syslog = bed.server.within(|| UdpSocket::bind("127.0.0.1:5514").unwrap());
    syslog.set_nonblocking(true).unwrap();
    bed.server.run("ip", &["link", "set", "lo", "up"]).unwrap();
    let settings = [
        "outputs.eve.0.rotate-size=100kb",
        "outputs.eve.0.compression=zstd",
        "outputs.eve.reading.filetype=unix_stream",
        &format!("outputs.eve.reading.filename={}", path("reading.sock")),
        "outputs.eve.silent.filetype=unix_stream",
        "outputs.eve.silent.backlog=10kb",
        &format!("outputs.eve.silent.filename={}", path("silent.sock")),
        "outputs.eve.syslog.filetype=syslog",
        "outputs.eve.syslog.server=udp:127.0.0.1:5514",
    ];
    let mut sensor = start(&bed, &settings, &[]);
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        reading.accept().unwrap().0.read_to_string(&mut text).unwrap();
        text
    });
    let (rounds, each) = (6, 500);
    let mut messages = 0;
    let mut buffer = [0; 65_536];
    for _ in 0..rounds {
        say(&bed, each);
        sensor.process.signal(Signal::SIGHUP).unwrap();
        while syslog.recv(&mut buffer).is_ok() {
            messages += 1;
        }
    }
    let all = rounds * each;
    assert!(wait_until(LIMIT, || sensor.fast().len() == all), "{}", sensor.fast().len());
    assert!(sensor.stop().unwrap().success());
    while let Ok(length) = syslog.recv(&mut buffer) {
        assert!(buffer[..length].starts_with(b"<174>1 2"));
        messages += 1;
    }
    assert_eq!(sensor.balance().unwrap().difference(), (0, 0));
    assert_eq!(records(&sensor).len(), all);
    assert_eq!(reader.join().unwrap().lines().count(), all);
    assert!(messages > 0, "messages of syslog arrive");
    let text = sensor.process.stderr.all().join("\n");
    assert!(text.contains("eve.silent output"), "{text}");
    assert!(text.contains("eve.silent-failed"), "{text}");
}

/// Killed under load, again and again: no file ever ends in half a record, and the next run goes on in it.
#[test]
fn killed_it_leaves_whole_records() {
    if !ready(&[]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let eve = folder.path().join("eve.json");
    let mut before = 0;
    for _ in 0..3 {
        let setting = format!("outputs.eve.kept.filename={}", eve.display());
        let mut sensor = start(&bed, &[&setting, "outputs.eve.kept.alert.packet=yes"], &[]);
        // What the kill left is mended.
        let text = fs::read_to_string(&eve).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        assert!(text.lines().count() >= before);
        std::thread::scope(|scope| {
            scope.spawn(|| say(&bed, 3000));
            let grown = || fs::read_to_string(&eve).unwrap().lines().count() > before + 200;
            assert!(wait_until(LIMIT, grown));
            sensor.process.signal(Signal::SIGKILL).unwrap();
        });
        sensor.process.wait(LIMIT).unwrap();
        before = fs::read_to_string(&eve).unwrap().matches('\n').count();
    }
    for line in fs::read_to_string(&eve).unwrap().lines() {
        let whole = serde_json::from_str::<Value>(line);
        // Only the last one of the last run can be a half.
        assert!(whole.is_ok() || !fs::read_to_string(&eve).unwrap().ends_with('\n'), "{line}");
    }
}

/// A long transfer behind an alert: let by in the kernel, unless its packets are kept.
#[test]
fn a_flow_that_is_kept_is_not_let_by() {
    if !ready(&[]) {
        return;
    }
    let run = |limit: &str| {
        let bed = Bed::quiet().unwrap();
        let _server = TcpServer::start(&bed.server, 80).unwrap();
        let limit = format!("outputs.pcap.0.flow-limit={limit}");
        let mut sensor =
            start(&bed, &[&limit], &["--mode", "driver", "--alert-pcap", "alert.pcapng"]);
        let mut stream = bed.client.within(|| TcpStream::connect((SERVER[0], 80)).unwrap());
        stream.write_all(b"GET /etc/passwd HTTP/1.0\r\n\r\n").unwrap();
        for _ in 0..96 {
            // Slowly, so that a verdict comes before the end.
            std::thread::sleep(Duration::from_millis(10));
            stream.write_all(&[b'x'; 64 << 10]).unwrap();
        }
        stream.shutdown(Shutdown::Write).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        assert!(sensor.stop().unwrap().success());
        let balance = sensor.balance().unwrap();
        assert_eq!((balance.difference(), balance.lost), ((0, 0), 0), "{balance:?}");
        let mut source = PcapSource::open(sensor.file("alert.pcapng")).unwrap();
        let (mut bytes, mut has_attack) = (0, false);
        while let Some(frame) = source.next().unwrap() {
            bytes += frame.data.len();
            has_attack |= frame.data.windows(11).any(|window| window == b"/etc/passwd");
        }
        assert!(has_attack, "the packet before the alert is kept");
        (balance, bytes)
    };
    let (all, bytes) = run("no");
    assert_eq!(all.shunted, 0, "{all:?}");
    assert!(bytes > 6 << 20, "{bytes}");
    let (few, bytes) = run("100kb");
    assert!(few.shunted > 100, "{few:?}");
    assert!((50 << 10..1 << 20).contains(&bytes), "{bytes}");
}
