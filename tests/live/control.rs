//! The running sensor under traffic: without rights, with its rules swapped, started and stopped.
//!
//! Signals, takeover and messages of the process are left to `process`.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::netns::{Bed, LIMIT, SERVER, SERVER_IFACE, wait_until};
use super::sensor::{RULES, Sensor};
use super::service::{TcpServer, send};
use super::{nids, ready};

/// What /proc says of a process.
fn status(pid: u32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(key)).unwrap();
    line[key.len()..].trim().to_owned()
}

#[test]
fn goes_on_without_rights_and_still_alerts() {
    if !ready(&[]) {
        return;
    }
    let bed = Bed::new().unwrap();
    let _shell = TcpServer::start(&bed.server, 22).unwrap();
    let args = ["--iface", SERVER_IFACE, "--user", "nobody"];
    let mut sensor = Sensor::start(nids(), &bed.server, RULES, args).unwrap();
    let pid = sensor.process.pid();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let uid = nobody.uid.to_string();
    assert!(status(pid, "Uid:").split_whitespace().all(|id| id == uid), "{}", status(pid, "Uid:"));
    for set in ["CapEff:", "CapPrm:", "CapAmb:"] {
        assert_eq!(u64::from_str_radix(&status(pid, set), 16), Ok(0), "{set}");
    }
    assert_eq!(status(pid, "NoNewPrivs:"), "1");
    // Each thread, not only the first.
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let text = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(text.lines().any(|l| l.starts_with("CapEff:") && l.ends_with("0000000000000000")));
    }
    send(&bed.client, SERVER[0], 22, b"USER root\r\n").unwrap();
    assert_eq!(sensor.wait_eve(1).len(), 1);
    // The rules can still be swapped.
    sensor
        .write_rules(r#"alert tcp any any -> any 22 (msg:"new"; content:"USER"; sid:7;)"#)
        .unwrap();
    reload(&sensor);
    send(&bed.client, SERVER[0], 22, b"USER alice\r\n").unwrap();
    assert_eq!(sensor.wait_eve(2)[1]["alert"]["signature_id"], 7);
    assert!(sensor.stop().unwrap().success());
    assert_eq!(sensor.balance().unwrap().difference(), (0, 0));
}

/// Asks for a reload and waits until the sensor says it is done.
fn reload(sensor: &Sensor) {
    let count = || sensor.process.stderr.all().iter().filter(|l| l.contains("reloaded")).count();
    let before = count();
    sensor.process.signal(Signal::SIGUSR2).unwrap();
    assert!(wait_until(LIMIT, || count() > before), "{:#?}", sensor.process.stderr.all());
}

#[test]
fn a_rule_swap_under_traffic_loses_nothing_and_mixes_nothing() {
    if !ready(&[]) {
        return;
    }
    let rules = |sid: u32| {
        format!(r#"alert udp any any -> any 5000 (msg:"swap"; content:"swap"; sid:{sid};)"#)
    };
    let bed = Bed::quiet().unwrap();
    let receiver = bed.server.within(|| UdpSocket::bind((SERVER[0], 5000))).unwrap();
    let args = ["--iface", SERVER_IFACE];
    let mut sensor = Sensor::start(nids(), &bed.server, &rules(1), args).unwrap();
    let socket = bed.client.within(|| UdpSocket::bind(("0.0.0.0", 0))).unwrap();
    let total: usize = 6_000;
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..total {
                let text = format!("swap {number}");
                socket.send_to(text.as_bytes(), SocketAddr::new(SERVER[0], 5000)).unwrap();
                if number % 10 == 0 {
                    thread::sleep(Duration::from_millis(2));
                }
            }
        });
        for sid in 2..=4 {
            thread::sleep(Duration::from_millis(200));
            sensor.write_rules(&rules(sid)).unwrap();
            reload(&sensor);
        }
    });
    drop(receiver);
    let events = sensor.wait_eve(total);
    // Every datagram matches the rule of whichever set it met, and of one set only.
    assert_eq!(events.len(), total);
    let sids: Vec<u64> =
        events.iter().map(|e| e["alert"]["signature_id"].as_u64().unwrap()).collect();
    for sid in 1..=4 {
        assert!(sids.contains(&sid), "no alert of generation {sid}");
    }
    assert!(sids.is_sorted(), "an old set came back");
    assert!(sensor.stop().unwrap().success());
    let balance = sensor.balance().unwrap();
    assert_eq!((balance.difference(), balance.lost, balance.skipped), ((0, 0), 0, 0));
    assert!(balance.seen >= total as u64);
}

/// Programs attached to the server's interface.
fn attached(bed: &Bed) -> Vec<String> {
    let link = bed.server.run("ip", &["-d", "link", "show", "dev", SERVER_IFACE]).unwrap();
    let text = String::from_utf8_lossy(&link.stdout).into_owned();
    text.lines().filter(|line| line.contains("prog/xdp")).map(str::to_owned).collect()
}

#[test]
fn takes_its_programs_off_before_it_ends() {
    if !ready(&[]) {
        return;
    }
    let bed = Bed::new().unwrap();
    let _shell = TcpServer::start(&bed.server, 22).unwrap();
    for mode in ["driver", "generic"] {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let args = ["--iface", SERVER_IFACE, "--mode", mode, "--direction", "both"];
            let mut sensor = Sensor::start(nids(), &bed.server, RULES, args).unwrap();
            assert_eq!(attached(&bed).len(), 1, "{mode}");
            sensor.process.signal(signal).unwrap();
            let status = sensor.process.wait(LIMIT).unwrap();
            assert!(status.success(), "{mode} {signal}: {status}");
            assert_eq!(attached(&bed), [""; 0], "{mode} {signal}");
        }
    }
    let mut sensor = Sensor::start(nids(), &bed.server, RULES, ["--iface", SERVER_IFACE]).unwrap();
    send(&bed.client, SERVER[0], 22, b"USER root\r\n").unwrap();
    assert_eq!(sensor.wait_eve(1).len(), 1);
    assert!(sensor.stop().unwrap().success());
}
