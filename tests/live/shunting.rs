//! Flows that the sensor needs no more of, let by in the kernel: the same alerts with and without, and
//! every packet accounted for.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt};
use nix::sys::socket::{SockaddrStorage, bind, connect};
use serde_json::Value;

use super::netns::{Bed, CLIENT, LIMIT, Namespace, SERVER, SERVER_IFACE, wait_until};
use super::sensor::{Balance, Sensor};
use super::service::{TcpServer, send};
use super::{nids, ready};

const RULES: &str = r#"
alert tcp any any -> any 80 (content:"/etc/passwd"; msg:"passwd"; sid:1;)
pass tcp any any -> any 80 (content:"let me by"; sid:2;)
alert udp any any -> any 53 (content:"word"; sid:3;)
"#;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// A connection that sends when told to.
struct Upload(TcpStream);

impl Upload {
    fn begin(side: &Namespace, from: u16) -> Self {
        let address = |ip: IpAddr, port| SockaddrStorage::from(SocketAddr::new(ip, port));
        let stream = side.within(|| {
            let (family, kind) = (AddressFamily::Inet, SockType::Stream);
            let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None).unwrap();
            setsockopt(&socket, sockopt::ReuseAddr, &true).unwrap();
            bind(socket.as_raw_fd(), &address(CLIENT[0], from)).unwrap();
            connect(socket.as_raw_fd(), &address(SERVER[0], 80)).unwrap();
            TcpStream::from(socket)
        });
        stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(stream)
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }

    fn filler(&mut self, bytes: usize) {
        let filler = vec![b'x'; 64 * KIB];
        for _ in 0..bytes / filler.len() {
            self.0.write_all(&filler).unwrap();
        }
        std::thread::sleep(Duration::from_millis(100));
    }

    fn close(mut self) {
        self.0.shutdown(Shutdown::Write).unwrap();
        self.0.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        while self.0.read(&mut [0; 1024]).unwrap() > 0 {}
    }

    /// Ends it with a RST.
    fn abort(self) {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        setsockopt(&self.0, sockopt::Linger, &linger).unwrap();
    }
}

struct Run {
    sids: Vec<u64>,
    flows: Vec<Value>,
    balance: Balance,
}

/// What a sensor makes of `traffic`.
fn run(more: &[&str], traffic: impl FnOnce(&Bed, &Sensor)) -> Run {
    let bed = Bed::new().unwrap();
    let _server = TcpServer::start(&bed.server, 80).unwrap();
    let args = ["--iface", SERVER_IFACE, "--mode", "driver", "--eve-types", "alert,flow"];
    let args = args.iter().chain(more);
    let mut sensor = Sensor::start(nids(), &bed.server, RULES, args).unwrap();
    traffic(&bed, &sensor);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(sensor.stop().unwrap().success());
    let balance = sensor.balance().unwrap();
    assert_eq!((balance.difference(), balance.lost), ((0, 0), 0), "{balance:?}");
    let (alerts, flows): (Vec<_>, Vec<_>) =
        sensor.eve().into_iter().partition(|event| event["event_type"] == "alert");
    let mut sids: Vec<_> =
        alerts.iter().map(|alert| alert["alert"]["signature_id"].as_u64().unwrap()).collect();
    sids.sort_unstable();
    let flows = flows.into_iter().filter(|flow| flow["dest_port"] == 80).collect();
    Run { sids, flows, balance }
}

fn packets(flow: &Value) -> u64 {
    flow["flow"]["pkts_toserver"].as_u64().unwrap()
}

/// Connections that reach the depth, that a rule lets by, and that use the ports of one before.
fn traffic(bed: &Bed, _: &Sensor) {
    let mut long = Upload::begin(&bed.client, 40_001);
    long.send(b"GET /etc/passwd HTTP/1.0\r\n\r\n");
    long.filler(4 * MIB);
    // Behind the depth.
    long.send(b"GET /etc/passwd HTTP/1.0\r\n\r\n");
    long.close();

    let mut passed = Upload::begin(&bed.client, 40_002);
    passed.send(b"let me by");
    for _ in 0..20 {
        passed.send(b"/etc/passwd");
    }
    passed.filler(MIB / 2);
    passed.abort();

    let mut again = Upload::begin(&bed.client, 40_002);
    again.send(b"GET /etc/passwd HTTP/1.0\r\n\r\n");
    again.close();
    send(&bed.client, SERVER[0], 80, b"GET /etc/passwd HTTP/1.0\r\n\r\n").unwrap();
}

#[test]
fn alerts_are_the_same_with_and_without() {
    if !ready(&[]) {
        return;
    }
    let [on, off] = [&[][..], &["--no-shunt"]].map(|args| run(args, traffic));
    assert_eq!(on.sids, [1, 1, 1]);
    assert_eq!(off.sids, on.sids);
    assert_eq!(off.balance.shunted, 0);
    assert!(on.balance.shunted > 100, "{:?}", on.balance);
    assert!(on.balance.forwarded < off.balance.forwarded, "{:?} {:?}", on.balance, off.balance);

    assert_eq!((on.flows.len(), off.flows.len()), (4, 4));
    assert!(off.flows.iter().all(|flow| flow["flow"].get("bypassed").is_none()));
    let bypassed: Vec<_> =
        on.flows.iter().filter(|flow| flow["flow"].get("bypassed").is_some()).collect();
    assert_eq!(bypassed.len(), 2, "{bypassed:?}");
    let spared: u64 = bypassed
        .iter()
        .map(|flow| flow["flow"]["bypassed"]["pkts_toserver"].as_u64().unwrap())
        .sum();
    assert_eq!(spared, on.balance.shunted, "each packet that was let by is in a record");
    let long = bypassed.iter().find(|flow| flow["src_port"] == 40_001).unwrap();
    // The payload alone is more than four thousand segments' worth of 1,000 bytes.
    assert!(packets(long) > 2500, "the record counts them all: {long}");
    assert!(long["flow"]["bytes_toserver"].as_u64().unwrap() > 4 * MIB as u64, "{long}");
}

#[test]
fn with_a_rule_that_could_still_match_nothing_is_let_by() {
    if !ready(&[]) {
        return;
    }
    let args = ["--set", "stream.bypass=no"];
    let run = run(&args, |bed, _| {
        let mut long = Upload::begin(&bed.client, 40_001);
        long.filler(4 * MIB);
        long.send(b"GET /etc/passwd HTTP/1.0\r\n\r\n");
        long.close();
    });
    assert_eq!((run.sids, run.balance.shunted), (vec![1], 0));
}

#[test]
fn new_rules_see_what_old_ones_let_by() {
    if !ready(&[]) {
        return;
    }
    let run = run(&[], |bed, sensor| {
        let mut long = Upload::begin(&bed.client, 40_001);
        long.filler(4 * MIB);
        sensor.write_rules("alert tcp-pkt any any -> any 80 (content:\"late\"; sid:4;)").unwrap();
        sensor.process.signal(Signal::SIGUSR2).unwrap();
        assert!(sensor.process.stderr.find("reloaded", LIMIT).is_some());
        long.send(b"much too late");
        assert!(wait_until(LIMIT, || !sensor.fast().is_empty()), "it came up again");
        long.close();
    });
    assert_eq!(run.sids, [4]);
    assert!(run.balance.shunted > 100, "{:?}", run.balance);
    assert_eq!(run.flows.len(), 1, "and it is the same flow");
}
