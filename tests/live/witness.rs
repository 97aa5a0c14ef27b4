//! Others count along: tcpdump, and the sender itself. The sensor's books must agree with theirs.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::netns::{Bed, CLIENT_IFACE, LIMIT, Process, SERVER, SERVER_IFACE, wait_until};
use super::sensor::{RULES, Sensor};
use super::service::{Nginx, curl};
use super::{nids, ready};

/// Packets in a capture file of classic pcap.
fn packets(pcap: &[u8]) -> Vec<&[u8]> {
    let mut rest = pcap.get(24..).unwrap_or_default();
    let mut all = Vec::new();
    while let Some((header, behind)) = rest.split_at_checked(16) {
        let length = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        let Some((packet, next)) = behind.split_at_checked(length) else { break };
        all.push(packet);
        rest = next;
    }
    all
}

/// Starts tcpdump on what leaves the client, which is what reaches the sensor: behind the sensor the
/// kernel may have merged frames (GRO).
fn tcpdump(bed: &Bed, file: &Path) -> Process {
    let mut command = bed.client.command("tcpdump");
    command.args([
        "-i",
        CLIENT_IFACE,
        "-Q",
        "out",
        "-n",
        "-U",
        "--immediate-mode",
        "-Z",
        "root",
        "-w",
    ]);
    let mut process = Process::spawn(command.arg(file)).unwrap();
    process.expect_stderr("listening on").unwrap();
    process
}

/// Waits until tcpdump has written what it was given (a signal would make it leave the rest), ends both
/// it and the sensor, and gives the number of packets that tcpdump saw.
fn finish(sensor: &mut Sensor, mut witness: Process, file: &Path) -> u64 {
    let length = || fs::metadata(file).map_or(0, |file| file.len());
    let mut last = 0;
    let settled = wait_until(LIMIT, || {
        let before = std::mem::replace(&mut last, length());
        thread::sleep(Duration::from_millis(500));
        before == last && last == length()
    });
    assert!(settled, "tcpdump still writes");
    assert!(sensor.stop().unwrap().success());
    witness.signal(Signal::SIGINT).unwrap();
    witness.wait(LIMIT).unwrap();
    let dropped = witness.stderr.find("dropped by kernel", LIMIT).unwrap();
    assert!(dropped.starts_with("0 packets"), "{dropped}");
    packets(&fs::read(file).unwrap()).len() as u64
}

fn agrees_in(mode: &str) {
    if !ready(&["nginx", "curl", "tcpdump", "tcpreplay"]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    bed.no_offloads().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (file, again) = (folder.path().join("a.pcap"), folder.path().join("b.pcap"));
    let _nginx = Nginx::start(&bed.server, &[80]).unwrap();

    // Real requests.
    // tcpdump is told to look at what comes in, too.
    let args = ["--iface", SERVER_IFACE, "--mode", mode, "--direction", "ingress"];
    let mut sensor = Sensor::start(nids(), &bed.server, RULES, args).unwrap();
    let witness = tcpdump(&bed, &file);
    for path in ["/", "/large", "/../../etc/passwd"] {
        curl(&bed.client, SERVER[0], 80, path).unwrap();
    }
    assert_eq!(sensor.wait_eve(1).len(), 1);
    let count = finish(&mut sensor, witness, &file);
    let balance = sensor.balance().unwrap();
    assert!(count > 20, "{count}");
    assert_eq!(balance.seen, count, "{mode}: {balance:?}");
    assert_eq!((balance.difference(), balance.lost), ((0, 0), 0), "{mode}");

    // What was captured, sent again ten times.
    let mut sensor = Sensor::start(nids(), &bed.server, RULES, args).unwrap();
    let witness = tcpdump(&bed, &again);
    let replay = ["-i", CLIENT_IFACE, "--loop", "10", "--pps", "2000", file.to_str().unwrap()];
    bed.client.run("tcpreplay", &replay).unwrap();
    sensor.wait_eve(10);
    let counted = finish(&mut sensor, witness, &again);
    let balance = sensor.balance().unwrap();
    assert_eq!(balance.seen, counted, "{mode}: {balance:?}");
    assert_eq!(balance.seen, count * 10, "{mode}: {balance:?}");
    assert_eq!((balance.difference(), balance.lost), ((0, 0), 0), "{mode}");
    assert_eq!(sensor.eve().len(), 10, "{mode}");
}

#[test]
fn tcpdump_counts_the_same_in_driver_mode() {
    agrees_in("driver");
}

#[test]
fn tcpdump_counts_the_same_in_generic_mode() {
    agrees_in("generic");
}

#[test]
fn tcpdump_counts_the_same_in_tcx_mode() {
    agrees_in("tcx");
}

/// Frames the veth itself threw away because its own queue was full: these no program sees.
fn dropped_by_the_veth(bed: &Bed) -> u64 {
    let link = bed.client.run("ip", &["-s", "-j", "link", "show", "dev", CLIENT_IFACE]).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&link.stdout).unwrap();
    json[0]["stats64"]["tx"]["dropped"].as_u64().unwrap()
}

#[test]
fn a_flood_that_overruns_the_ring_is_accounted_for_to_the_packet() {
    if !ready(&[]) {
        return;
    }
    let rules = r#"alert udp any any -> any 5000 (msg:"flood"; content:"never sent"; sid:1;)"#;
    let bed = Bed::quiet().unwrap();
    let args = ["--mode", "driver", "--direction", "ingress", "--ring-size", "64"];
    let args = ["--iface", SERVER_IFACE].into_iter().chain(args);
    let mut sensor = Sensor::start(nids(), &bed.server, rules, args).unwrap();
    let socket = bed.client.within(|| UdpSocket::bind(("0.0.0.0", 0))).unwrap();
    let payload = [b'x'; 400];
    let (mut wanted, mut unwanted) = (0_u64, 0_u64);
    let send = |port: u16| {
        let sent = socket.send_to(&payload, SocketAddr::new(SERVER[0], port));
        // ECONNREFUSED tells of an earlier datagram; this one was not sent.
        u64::from(sent.is_ok())
    };
    // Nobody drains while the sensor is stopped, so its rings overrun for certain.
    sensor.process.signal(Signal::SIGSTOP).unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(700) {
        wanted += send(5000);
        unwanted += send(6000);
    }
    sensor.process.signal(Signal::SIGCONT).unwrap();
    // And on, with the workers awake.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(700) {
        wanted += send(5000);
        unwanted += send(6000);
    }
    assert!(sensor.stop().unwrap().success());
    let balance = sensor.balance().unwrap();
    let dropped = dropped_by_the_veth(&bed);
    assert!(wanted > 1000 && balance.lost > 0, "{wanted} wanted, {balance:?}");
    assert_eq!(balance.difference(), (0, 0), "{balance:?}");
    assert_eq!(balance.seen + dropped, wanted + unwanted, "{balance:?}, {dropped} dropped before");
    if dropped == 0 {
        assert_eq!(balance.filtered, unwanted, "{balance:?}");
        assert_eq!(balance.forwarded + balance.lost, wanted, "{balance:?}");
    }
}
