//! A running sensor is asked how it is, what it counted, and to load its rules anew while traffic runs.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::flood;
use super::netns::{Bed, CLIENT_IFACE, LIMIT, SERVER, SERVER_IFACE, wait_until};
use super::sensor::{RULES, Sensor};
use super::service::{TcpServer, send};
use super::{nids, ready};

fn ask_at(socket: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(nids());
    command.args(args).arg("--socket").arg(socket).output().unwrap()
}

fn ask(sensor: &Sensor, args: &[&str]) -> Output {
    ask_at(&sensor.file("control.sock"), args)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What it says, where it must succeed.
fn told(sensor: &Sensor, args: &[&str]) -> String {
    let output = ask(sensor, args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    text(&output.stdout)
}

fn json(sensor: &Sensor, args: &[&str]) -> Value {
    serde_json::from_str(&told(sensor, args)).unwrap()
}

/// What the scheduler adds to the priority of a thread (proc_pid_stat(5), field 19).
fn niceness(pid: u32, thread: &str) -> Option<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let stats = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("stat")).unwrap());
    let mut found = stats.filter(|stat| stat.contains(&format!("({thread})")));
    let stat = found.next()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(16)?.parse().ok()
}

#[test]
fn it_tells_how_it_is_and_which_rules_it_refused() {
    if !ready(&[]) {
        return;
    }
    let bed = Bed::new().unwrap();
    let _shell = TcpServer::start(&bed.server, 22).unwrap();
    let bad = "alert tcp any any -> any 22 (msg:\"bad\"; content:\"x\"; nocas; sid:9;)\n";
    let args = ["--iface", SERVER_IFACE, "--user", "nobody", "--workers", "2"];
    let mut sensor = Sensor::start(nids(), &bed.server, &format!("{RULES}{bad}"), args).unwrap();
    send(&bed.client, SERVER[0], 22, b"USER root\r\n").unwrap();
    assert_eq!(sensor.wait_eve(1).len(), 1);

    let status = told(&sensor, &["status"]);
    assert!(status.starts_with("health: ok\nsensor: nids "), "{status}");
    for line in [
        format!(", process {}, up 00:", sensor.process.pid()),
        format!("interface: {SERVER_IFACE} ingress, driver mode\n"),
        "workers: 2, on processors ".to_owned(),
        "rules: 2 loaded, 1 refused, 0 disabled, generation 0\n".to_owned(),
        "found: kernel: Linux ".to_owned(),
        format!("found: {SERVER_IFACE}: driver mode, MTU 1500, driver veth, "),
        "found: plan: 2 workers on processors ".to_owned(),
    ] {
        assert!(status.contains(&line), "{line:?} is not in\n{status}");
    }
    let status = json(&sensor, &["status", "--json"]);
    assert_eq!((&status["health"], &status["rules"]["loaded"]), (&"ok".into(), &2.into()));

    // The list is that of `nids check`, from what the sensor has in memory.
    let rules = sensor.file("test.rules");
    let check = Command::new(nids()).args(["check", "--json"]).arg(&rules).output().unwrap();
    sensor.write_rules(RULES).unwrap();
    assert_eq!(told(&sensor, &["refused", "--json"]), text(&check.stdout));
    let list = told(&sensor, &["refused"]);
    assert!(list.contains(":4:") && list.contains("sid 9: unknown-keyword: "), "{list}");
    assert!(list.ends_with("\n2 loaded, 1 refused, 0 disabled\n"), "{list}");

    let stats = told(&sensor, &["stats"]);
    let sums: Vec<&str> = stats.lines().take(6).collect();
    assert_eq!(sums[0], "balance");
    assert!(sums[1].starts_with("  kernel: seen "), "{stats}");
    assert!(sums[2].starts_with("  ring: forwarded "), "{stats}");
    assert!(sums[3].starts_with("  agent: received "), "{stats}");
    assert!(sums[4].starts_with("  given up: "), "{stats}");
    assert_eq!(sums[5], "  difference: 0", "{stats}");
    let stats = json(&sensor, &["stats", "--json"]);
    let agent = &stats["balance"]["agent"];
    assert!(agent["inspected"].as_u64().unwrap() > 0, "{stats}");
    assert_eq!((&stats["detect"]["alert"], &stats["flow"]["total"]), (&1.into(), &1.into()));
    assert_eq!(stats["interfaces"][0]["interface"], SERVER_IFACE);

    // Rules are compiled where workers are not in need of the processor.
    assert_eq!(niceness(sensor.process.pid(), "nids-rules"), Some(10));
    assert_eq!(niceness(sensor.process.pid(), "nids-worker-0"), Some(0));

    // Whoever it runs as owns the socket; nobody else may use it but his group and root.
    let socket = sensor.file("control.sock");
    let metadata = fs::metadata(&socket).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    assert_eq!((metadata.uid(), metadata.gid()), (65_534, 65_534));
    let mut stranger = Command::new(nids());
    stranger.arg("status").arg("--socket").arg(&socket).uid(12_345).gid(12_345);
    let output = stranger.output().unwrap();
    assert_eq!(output.status.code(), Some(77), "{output:?}");
    assert!(text(&output.stderr).contains("this user may not use"), "{output:?}");

    assert!(sensor.stop().unwrap().success());
    let output = ask_at(&socket, &["status"]);
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    assert!(text(&output.stderr).contains("no sensor listens on"), "{output:?}");
    assert!(!socket.exists());
}

#[test]
fn two_sensors_do_not_share_a_socket() {
    if !ready(&[]) {
        return;
    }
    let (one, other) = (Bed::quiet().unwrap(), Bed::quiet().unwrap());
    let args = ["--iface", SERVER_IFACE];
    let mut first = Sensor::start(nids(), &one.server, RULES, args).unwrap();
    let socket = format!("control.socket={}", first.file("control.sock").display());
    let mut command = other.server.command(nids());
    command.args(["run", "--set", &socket]).args(args);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(73), "{output:?}");
    assert!(text(&output.stderr).contains("another sensor listens on"), "{output:?}");
    assert!(told(&first, &["status"]).starts_with("health: ok\n"));
    // Killed, it leaves the file, and the next one takes its place.
    first.process.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
    first.process.wait(LIMIT).unwrap();
    assert!(first.file("control.sock").exists());
    let mut command = other.server.command(nids());
    command.args(["run", "--quiet", "--set", &socket]).args(args);
    let mut second = super::netns::Process::spawn(&mut command).unwrap();
    second.expect_stderr("listening").unwrap();
    assert!(told(&first, &["status"]).contains(&format!("process {}", second.pid())));
}

/// A rule for each datagram, with the sid of its generation; one that sets a bit of a flow and one that wants
/// it; one that may alert once. Names of more bits come first in each generation, so that numbers move where
/// they are not kept by name.
fn rules(generation: usize) -> String {
    let mut text = String::new();
    for more in 0..generation {
        text += &format!(
            "alert udp any any -> any 7 (content:\"never\"; flowbits:set,bit.{generation}.{more}; sid:{};)\n",
            50_000 + more
        );
    }
    text + &format!(
        "alert udp any any -> any 5000 (msg:\"swap\"; content:\"swap\"; sid:{generation};)\n\
         alert udp any any -> any 5001 (content:\"once\"; threshold:type limit, track by_src, count 1, seconds 3600; sid:70000;)\n\
         alert tcp any any -> any 22 (content:\"login\"; flowbits:set,login; flowbits:noalert; sid:70001;)\n\
         alert tcp any any -> any 22 (content:\"secret\"; flowbits:isset,login; sid:70002;)\n\
         alert udp any any -> any 5001 (content:\"count\"; xbits:isset,seen,track ip_src; sid:70003;)\n\
         alert udp any any -> any 5001 (content:\"mark\"; xbits:set,seen,track ip_src,expire 3600; noalert; sid:70004;)\n"
    )
}

#[test]
fn reloads_under_load_lose_nothing_and_forget_nothing() {
    if !ready(&[]) {
        return;
    }
    const RELOADS: usize = 25;
    let bed = Bed::quiet().unwrap();
    let _receivers = bed.server.within(|| {
        [5000, 5001].map(|port| UdpSocket::bind(SocketAddr::new(SERVER[0], port)).unwrap())
    });
    let _shell = TcpServer::start(&bed.server, 22).unwrap();
    let args = ["--iface", SERVER_IFACE, "--workers", "2", "--ring-size", "8192"];
    let mut sensor = Sensor::start(nids(), &bed.server, &rules(1), args).unwrap();
    let (load, once) =
        bed.client.within(|| [(); 2].map(|()| UdpSocket::bind(("0.0.0.0", 0)).unwrap())).into();
    let to = |port| SocketAddr::new(SERVER[0], port);
    let mut shell = bed.client.within(|| TcpStream::connect(to(22)).unwrap());
    shell.set_nodelay(true).unwrap();
    shell.write_all(b"login\n").unwrap();
    once.send_to(b"mark", to(5001)).unwrap();

    let (sent, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut times = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for _ in 0..2 {
                    let number = sent.fetch_add(1, Ordering::Relaxed);
                    load.send_to(format!("swap {number}").as_bytes(), to(5000)).unwrap();
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        for reload in 1..=RELOADS {
            once.send_to(b"once", to(5001)).unwrap();
            sensor.write_rules(&rules(1 + reload)).unwrap();
            let begin = Instant::now();
            let answer = json(&sensor, &["reload", "--json"]);
            times.push((begin.elapsed(), answer["swap_seconds"].as_f64().unwrap()));
            assert_eq!(answer["generation"], reload, "{answer}");
            assert_eq!(answer["loaded"], 7 + reload, "{answer}");
            assert_eq!(answer["refused"], 0, "{answer}");
        }
        // Rules that cannot be had leave the old ones where they are.
        fs::rename(sensor.file("test.rules"), sensor.file("aside")).unwrap();
        let output = ask(&sensor, &["reload"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains("the rules stay as they were: "), "{output:?}");
        let output = ask(&sensor, &["status"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let status = text(&output.stdout);
        assert!(
            status.starts_with("health: degraded\nproblem: the last reload failed: "),
            "{status}"
        );
        assert!(status.contains(&format!("generation {RELOADS}\n")), "{status}");
        done.store(true, Ordering::Relaxed);
    });
    fs::rename(sensor.file("aside"), sensor.file("test.rules")).unwrap();
    shell.write_all(b"secret\n").unwrap();
    once.send_to(b"count", to(5001)).unwrap();
    let total = sent.load(Ordering::Relaxed);
    // Every datagram, one limited alert, one of the flow whose bit is older than all reloads, one of the host.
    let lines =
        || fs::read(sensor.file("eve.json")).unwrap().split(|byte| *byte == b'\n').count() - 1;
    wait_until(LIMIT, || lines() >= total + 3);
    let events = sensor.eve();
    let sids: Vec<usize> =
        events.iter().map(|e| e["alert"]["signature_id"].as_u64().unwrap() as usize).collect();
    let swaps: Vec<usize> = sids.iter().copied().filter(|sid| *sid < 1000).collect();
    assert_eq!(swaps.len(), total);
    assert!(swaps.is_sorted(), "an old set came back");
    for generation in 1..=1 + RELOADS {
        assert!(swaps.contains(&generation), "no alert of generation {generation}");
    }
    for sid in [70_000, 70_002, 70_003] {
        assert_eq!(sids.iter().filter(|found| **found == sid).count(), 1, "{sid}");
    }
    assert_eq!(events.len(), total + 3);
    assert!(told(&sensor, &["reload"]).starts_with(&format!("generation {}: ", RELOADS + 1)));
    assert!(told(&sensor, &["status"]).starts_with("health: ok\n"));
    assert!(sensor.stop().unwrap().success());
    let balance = sensor.balance().unwrap();
    assert_eq!(
        (balance.difference(), balance.lost, balance.skipped),
        ((0, 0), 0, 0),
        "{balance:?}"
    );
    let slowest = |of: fn(&(Duration, f64)) -> f64| times.iter().map(of).fold(0.0, f64::max);
    eprintln!(
        "{RELOADS} reloads, {total} datagrams: slowest answer {:.1} ms, slowest swap {:.1} ms",
        slowest(|(whole, _)| whole.as_secs_f64()) * 1e3,
        slowest(|(_, swap)| *swap) * 1e3
    );
}

/// The page at this path of the server inside the sensor's namespace.
fn fetch(bed: &Bed, path: &str) -> String {
    bed.server.within(|| {
        let mut stream = TcpStream::connect("127.0.0.1:9469").unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
}

#[test]
fn numbers_are_the_same_over_http_in_eve_and_at_the_end() {
    if !ready(&[]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    let receiver = bed.server.within(|| UdpSocket::bind((SERVER[0], 5000)).unwrap());
    let rule = "alert udp any any -> any 5000 (content:\"x\"; sid:1;)\n";
    let args = [
        "--iface",
        SERVER_IFACE,
        "--direction",
        "ingress",
        "--eve-types",
        "alert,stats",
        "--set",
        "stats.interval=1",
        "--set",
        "metrics.listen=9469",
    ];
    let mut sensor = Sensor::start(nids(), &bed.server, rule, args).unwrap();
    let socket = bed.client.within(|| UdpSocket::bind(("0.0.0.0", 0)).unwrap());
    for _ in 0..10 {
        socket.send_to(b"x", SocketAddr::new(SERVER[0], 5000)).unwrap();
        socket.send_to(b"x", SocketAddr::new(SERVER[0], 5001)).unwrap();
    }
    drop(receiver);
    let inspected = "\nnids_agent_inspected_frames_total 10\n";
    assert!(wait_until(LIMIT, || fetch(&bed, "/metrics").contains(inspected)));
    let page = fetch(&bed, "/metrics");
    assert!(
        page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"),
        "{page}"
    );
    for line in [
        "nids_kernel_frames_total{interface=\"s0\",direction=\"ingress\",fate=\"filtered\"} 10\n",
        "nids_kernel_frames_total{interface=\"s0\",direction=\"ingress\",fate=\"forwarded\"} 10\n",
        "nids_detect_alert_total 10\n",
        "nids_balance_difference_frames 0\n",
        "nids_interface_rx_packets_total{interface=\"s0\"} 20\n",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    let health = fetch(&bed, "/health");
    assert!(
        health.starts_with("HTTP/1.1 200 OK\r\n") && health.ends_with("\r\n\r\nok\n"),
        "{health}"
    );
    assert!(fetch(&bed, "/").starts_with("HTTP/1.1 404 "));
    // It listens on loopback only. The one frame of this try is in the numbers below.
    let outside = bed.client.within(|| TcpStream::connect(SocketAddr::new(SERVER[0], 9469)));
    assert!(outside.is_err());

    let stats = |sensor: &Sensor| -> Vec<Value> {
        sensor.eve().into_iter().filter(|event| event["event_type"] == "stats").collect()
    };
    assert!(wait_until(LIMIT, || stats(&sensor).len() >= 2), "no records come by themselves");
    assert!(sensor.stop().unwrap().success());
    let records = stats(&sensor);
    let last = &records.last().unwrap()["stats"];
    assert!(records.iter().all(|record| record.get("src_ip").is_none()), "{records:?}");
    assert_eq!(last["balance"]["kernel"]["seen"], 21, "{last}");
    assert_eq!(last["balance"]["agent"]["inspected"], 10, "{last}");
    assert_eq!(
        (&last["balance"]["difference"], &last["balance"]["ring"]["waiting"]),
        (&0.into(), &0.into())
    );
    assert_eq!(last["capture"]["kernel_packets"], 21, "{last}");
    assert_eq!(
        (&last["decoder"]["pkts"], &last["flow"]["total"]),
        (&10.into(), &1.into()),
        "{last}"
    );
    let balance = sensor.balance().unwrap();
    assert_eq!((balance.seen, balance.inspected), (21, 10));
}

#[test]
fn the_first_loss_is_told_with_what_helps() {
    if !ready(&[]) {
        return;
    }
    let bed = Bed::bare(false).unwrap();
    let rule = "alert udp any any -> any 53 (content:\"never there\"; sid:1;)\n";
    let args = ["--iface", SERVER_IFACE, "--ring-size", "64", "--nap", "50000"];
    let mut sensor = Sensor::start(nids(), &bed.server, rule, args).unwrap();
    let frames: Vec<_> = (0..50).map(|at| flood::udp(1000 + at, 53, 200)).collect();
    flood::send(&bed.client, CLIENT_IFACE, &frames, 50_000, Duration::from_secs(5)).unwrap();
    let line = sensor.process.stderr.find("warning: lost: ", LIMIT).unwrap();
    assert!(line.contains("frames, as a ring was full") && line.contains("--ring-size"), "{line}");
    let output = ask(&sensor, &["status"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let status = text(&output.stdout);
    assert!(status.contains("problem: something was lost within the last minute\n"), "{status}");
    assert!(status.contains("\nlost: "), "{status}");
    flood::send(&bed.client, CLIENT_IFACE, &frames, 50_000, Duration::from_secs(5)).unwrap();
    thread::sleep(Duration::from_millis(1500));
    assert!(sensor.stop().unwrap().success());
    let told = sensor.process.stderr.all();
    assert_eq!(
        told.iter().filter(|line| line.contains("as a ring was full")).count(),
        1,
        "{told:?}"
    );
}
