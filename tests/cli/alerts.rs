//! `nids alerts`: exit codes, both formats, following until a signal.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const EVE: &str = r#"{"timestamp":"2026-11-24T02:03:04.123456+0000","flow_id":1,"in_iface":"eth0","event_type":"alert","src_ip":"2001:0db8:0000:0000:0000:0000:0000:0001","src_port":40000,"dest_ip":"fe80:0000:0000:0000:0000:0000:0000:0002","dest_port":80,"proto":"TCP","pkt_src":"wire/pcap","alert":{"action":"allowed","gid":1,"signature_id":SID,"rev":2,"signature":"Somebody\u001b knocks","category":"Web Application Attack","severity":1}}"#;
const FAST: &str = "11/24/2026-02:03:04.123456  [**] [1:SID:2] Somebody knocks [**] [Classification: (null)] [Priority: 3] {ICMP} 1.2.3.4:8 -> 5.6.7.8:0";

fn eve(sid: u32) -> String {
    EVE.replace("SID", &sid.to_string()) + "\n"
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn nids() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nids"));
    command.arg("alerts").stdin(Stdio::null());
    command
}

fn run(args: &[&str], path: &Path) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = nids().args(args).arg(path).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn shows_each_alert_on_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    append(&path, &eve(1));
    append(&path, "{\"event_type\":\"stats\",\"stats\":{}}\n");
    append(&path, &eve(2));
    let (code, out, err) = run(&[], &path);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let expected = "2026-11-24 02:03:04.123456 [1:1:2] Somebody\\x1b knocks [Web Application Attack, \
                    priority 1] {TCP} [2001:db8::1]:40000 -> [fe80::2]:80 eth0\n";
    assert_eq!(out, expected.to_owned() + &expected.replace("1:1:2", "1:2:2"));
    // --json: the alerts as they stand, and nothing else.
    assert_eq!(run(&["--json"], &path), (Some(0), eve(1) + &eve(2), String::new()));
    assert_eq!(run(&["--json", "-n", "1"], &path).1, eve(2));
    assert_eq!(run(&["--json", "-n", "0"], &path).1, "");
    assert_eq!(run(&["--json", "-n", "9"], &path).1, eve(1) + &eve(2));
}

#[test]
fn reads_a_fast_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fast.log");
    append(&path, &(FAST.replace("SID", "7") + "\nrubbish\n"));
    let (code, out, err) = run(&[], &path);
    assert_eq!(code, Some(0));
    assert_eq!(
        out,
        "2026-11-24 02:03:04.123456 [1:7:2] Somebody knocks [priority 3] {ICMP} 1.2.3.4 -> 5.6.7.8 \
         type 8 code 0\n"
    );
    assert_eq!(err, "nids: 1 line is no alert and no EVE event\n");
    let (code, out, err) = run(&["--json"], &path);
    assert_eq!((code, out.as_str()), (Some(65), ""));
    assert!(err.contains("is a fast log; --json needs an EVE log."), "{err}");
}

#[test]
fn a_missing_file_is_66() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, err) = run(&[], &dir.path().join("none"));
    assert_eq!(code, Some(66));
    assert!(err.contains("none cannot be read: No such file or directory"), "{err}");
    assert_eq!(run(&[], dir.path()).0, Some(66));
    assert_eq!(run(&["--follow"], dir.path()).0, Some(66));
}

#[test]
fn follows_through_rotation_until_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let _ = fs::remove_file(&path);
        let mut child = nids()
            .args(["--follow", "--json"])
            .arg(&path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut notices = BufReader::new(child.stderr.take().unwrap());
        let mut notice = String::new();
        notices.read_line(&mut notice).unwrap();
        assert_eq!(notice, format!("nids: waiting for {}\n", path.display()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut expect = |sid| assert_eq!(lines.next().unwrap().unwrap() + "\n", eve(sid));
        append(&path, &eve(1));
        expect(1);
        let text = eve(2);
        append(&path, &text[..30]);
        append(&path, &text[30..]);
        expect(2);
        fs::rename(&path, dir.path().join("eve.json.1")).unwrap();
        append(&path, &eve(3));
        expect(3);
        fs::write(&path, "").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        append(&path, &eve(4));
        expect(4);
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_reader_that_goes_ends_it_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    append(&path, &(1..5000).map(eve).collect::<String>());
    let mut child =
        nids().arg(&path).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::with_capacity(100, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_full_standard_output_is_74() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    append(&path, &eve(1));
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = nids().arg(&path).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(74));
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        err,
        "nids: standard output cannot be written: No space left on device (os error 28).\n"
    );
}
