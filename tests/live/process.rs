//! `nids run` as a process: its start and end, its signals, its rights, and what it leaves behind.

use std::fs;
use std::io;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::netns::{
    Bed, CLIENT_IFACE, LIMIT, Namespace, Process, SERVER, SERVER_IFACE, wait_until,
};
use super::sensor::Balance;

/// Raised by a datagram to port 9 (`discard`) with this in it.
const RULES: &str = "alert udp any any -> any 9 (msg:\"one\"; content:\"first-word\"; sid:1;)\n";
const OTHER: &str = "alert udp any any -> any 9 (msg:\"two\"; content:\"second-word\"; sid:2;)\n";

struct Run {
    process: Process,
    folder: tempfile::TempDir,
}

impl Run {
    fn start(side: &Namespace, args: &[&str]) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
        fs::write(folder.path().join("test.rules"), RULES)?;
        let mut command = nids(side);
        command.args(["--iface", SERVER_IFACE, "--rules", "test.rules"]).args(args);
        command.args(["--set", "control.socket=control.sock"]);
        let mut process = Process::spawn(command.current_dir(folder.path()))?;
        process.expect_stderr("listening on ")?;
        Ok(Self { process, folder })
    }
    fn balance(&self) -> Balance {
        Balance::read(&self.process.stderr.all()).unwrap()
    }
    fn rules(&self, text: &str) {
        fs::write(self.folder.path().join("test.rules"), text).unwrap();
    }
    /// Stops it, and shows that it stopped well.
    fn stop(mut self, signal: Signal) -> (Balance, Vec<String>) {
        self.process.signal(signal).unwrap();
        let status = self.process.wait(LIMIT).unwrap();
        let lines = self.process.stderr.all();
        assert!(status.success(), "{status}\n{}", lines.join("\n"));
        assert_eq!(lines.last().map(String::as_str), Some("balance: difference 0"), "{lines:?}");
        (self.balance(), lines)
    }
}

fn nids(side: &Namespace) -> Command {
    let mut command = side.command(env!("CARGO_BIN_EXE_nids"));
    command.arg("run");
    command
}

/// Sends datagrams from the client to the server's port 9.
fn say(bed: &Bed, text: &str, times: usize) {
    bed.client.within(|| {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
        for _ in 0..times {
            socket.send_to(text.as_bytes(), (SERVER[0], 9)).unwrap();
        }
    });
}

/// XDP and tcx programs on the server's interface.
fn attached(side: &Namespace) -> String {
    let show = |args: &[&str]| {
        let output = side.output("ip", args).unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let link = show(&["-details", "link", "show", "dev", SERVER_IFACE]);
    link.split_whitespace().filter(|word| word.starts_with("prog/xdp")).collect()
}

fn status(pid: u32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim_start_matches(':').split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Open BPF objects of a process.
fn descriptors(pid: u32) -> Vec<String> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let targets = files.filter_map(|file| fs::read_link(file.path()).ok());
    let mut kinds: Vec<_> = targets
        .filter_map(|target| target.to_str()?.strip_prefix("anon_inode:").map(str::to_owned))
        .filter(|kind| kind.starts_with("bpf"))
        .collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

#[test]
fn it_says_what_it_does_and_stops_in_order() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let run = Run::start(&bed.server, &["--workers", "2"]).unwrap();
        let line = run.process.stderr.find("listening on ", LIMIT).unwrap();
        assert_eq!(line, "listening on s0 (driver mode), s0 egress (tcx mode), 2 workers, 1 rule");
        assert_ne!(attached(&bed.server), "");
        // Nothing that could be attached elsewhere is kept.
        assert_eq!(descriptors(run.process.pid()), ["bpf-map", "bpf_link"]);
        say(&bed, "first-word", 3);
        assert!(wait_until(LIMIT, || run.process.stdout.all().len() == 3), "three alerts");
        let (balance, _) = run.stop(signal);
        assert!(balance.seen >= 3, "{balance:?}");
        assert_eq!(balance.inspected, 3, "{balance:?}");
        assert_eq!(balance.difference(), (0, 0), "{balance:?}");
        assert_eq!(attached(&bed.server), "");
    }
}

#[test]
fn killed_it_leaves_nothing_behind() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    for mode in ["driver", "generic", "tcx"] {
        let args = ["--mode", mode, "--direction", "both"];
        let mut run = Run::start(&bed.server, &args).unwrap();
        run.process.signal(Signal::SIGKILL).unwrap();
        run.process.wait(LIMIT).unwrap();
        // The kernel closes the last link a moment after the process.
        assert!(wait_until(LIMIT, || attached(&bed.server).is_empty()), "{mode}");
        // No program of ours is in the way, on either side.
        let again = Run::start(&bed.server, &args).unwrap();
        assert!(again.process.stderr.all().iter().all(|line| !line.contains("took over")));
        again.stop(Signal::SIGINT);
    }
}

#[test]
fn a_second_one_names_the_first() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    let first = Run::start(&bed.server, &[]).unwrap();
    let mut command = nids(&bed.server);
    let output = command.args(["--iface", SERVER_IFACE]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(69), "{text}");
    let pid = format!("process {} (nids)", first.process.pid());
    assert!(text.contains(&pid) && text.contains("--force"), "{text}");
    first.stop(Signal::SIGINT);
}

#[test]
fn sigusr1_prints_the_balance() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    let run = Run::start(&bed.server, &["--quiet"]).unwrap();
    say(&bed, "first-word", 5);
    thread::sleep(Duration::from_millis(300));
    run.process.signal(Signal::SIGUSR1).unwrap();
    let stderr = &run.process.stderr;
    assert!(stderr.find("balance: difference 0", LIMIT).is_some(), "{:?}", stderr.all());
    assert_eq!(run.balance().inspected, 5);
    let (balance, lines) = run.stop(Signal::SIGINT);
    assert_eq!(balance.inspected, 5);
    assert_eq!(lines.iter().filter(|line| line.starts_with("balance: ")).count(), 2);
}

#[test]
fn sigusr2_swaps_the_rules_also_without_any_rights() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    let run = Run::start(&bed.server, &["--user", "nobody"]).unwrap();
    let (pid, alerts) = (run.process.pid(), run.process.stdout.clone());
    assert_eq!(status(pid, "Uid"), "65534 65534 65534 65534");
    assert_eq!(status(pid, "Groups"), "65534");
    assert_eq!(status(pid, "CapEff"), "0000000000000000");
    assert_eq!(status(pid, "CapPrm"), "0000000000000000");
    assert_eq!(status(pid, "NoNewPrivs"), "1");

    say(&bed, "first-word second-word", 1);
    assert!(alerts.find("one", LIMIT).is_some());
    run.rules(OTHER);
    run.process.signal(Signal::SIGUSR2).unwrap();
    assert!(run.process.stderr.find("reloaded: 1 rule", LIMIT).is_some());
    say(&bed, "first-word second-word", 1);
    assert!(alerts.find("two", LIMIT).is_some());
    assert_eq!(alerts.all().len(), 2, "{:?}", alerts.all());

    // Rules that cannot be read leave the old ones where they are.
    fs::remove_file(run.folder.path().join("test.rules")).unwrap();
    run.process.signal(Signal::SIGUSR2).unwrap();
    assert!(run.process.stderr.find("the rules stay as they were", LIMIT).is_some());
    say(&bed, "second-word", 1);
    assert!(wait_until(LIMIT, || alerts.all().len() == 3), "{:?}", alerts.all());
    let (balance, _) = run.stop(Signal::SIGTERM);
    assert_eq!(balance.inspected, 3);
}

#[test]
fn sighup_opens_the_logs_anew() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    let run = Run::start(&bed.server, &["--quiet", "--eve", "eve.json"]).unwrap();
    let (log, old) = (run.folder.path().join("eve.json"), run.folder.path().join("eve.json.1"));
    let lines = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().count();
    say(&bed, "first-word", 1);
    assert!(wait_until(LIMIT, || lines(&log) == 1));
    fs::rename(&log, &old).unwrap();
    run.process.signal(Signal::SIGHUP).unwrap();
    assert!(wait_until(LIMIT, || log.exists()));
    say(&bed, "first-word", 1);
    assert!(wait_until(LIMIT, || lines(&log) == 1));
    assert_eq!(lines(&old), 1);
    run.stop(Signal::SIGINT);
}

#[test]
fn an_interface_that_goes_ends_it_with_its_books() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    let mut run = Run::start(&bed.server, &[]).unwrap();
    say(&bed, "first-word", 2);
    bed.client.run("ip", &["link", "del", CLIENT_IFACE]).unwrap();
    let status = run.process.wait(LIMIT).unwrap();
    let text = run.process.stderr.all().join("\n");
    assert_eq!(status.code(), Some(69), "{text}");
    assert!(text.contains("no interface left"), "{text}");
    assert!(text.contains("balance: difference 0"), "{text}");
}

#[test]
fn the_kernel_half_tells_its_decisions_when_asked() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    let run = Run::start(&bed.server, &["--log-level", "debug"]).unwrap();
    say(&bed, "first-word", 1);
    let wanted = format!("reason {} ", nids_abi::Reason::Wanted as u8);
    let line = run.process.stderr.find(&wanted, LIMIT);
    assert!(
        line.is_some_and(|line| line.contains("debug: port 0")),
        "{:?}",
        run.process.stderr.all()
    );
    run.stop(Signal::SIGINT);
}

#[test]
fn without_rights_it_says_which_are_missing() {
    if !super::ready(&["setpriv"]) {
        return;
    }
    let nids = env!("CARGO_BIN_EXE_nids");
    let bed = Bed::bare(false).unwrap();
    let run = |drop: &[&str]| {
        let mut command = bed.server.command("setpriv");
        command.args(drop).arg(nids).args(["run", "--iface", SERVER_IFACE]);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = run(&["--bounding-set=-all"]);
    assert_eq!(code, Some(77), "{text}");
    assert!(text.contains("lacks CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    let (code, text) = run(&["--bounding-set=-perfmon,-sys_admin"]);
    assert_eq!(code, Some(77), "{text}");
    assert!(text.ends_with("lacks CAP_PERFMON.\n"), "{text}");
}
