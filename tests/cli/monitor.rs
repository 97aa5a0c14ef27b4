//! `nids monitor` on files, and what it says where it cannot listen.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_nids"))
        .arg("monitor")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// An ARP request, a TCP SYN in a VLAN, an ICMPv6 echo request.
fn capture(dir: &tempfile::TempDir) -> PathBuf {
    let ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    let mut arp = ethernet.to_vec();
    arp.extend([
        8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2,
    ]);
    let mut tcp = ethernet.to_vec();
    tcp.extend([
        0x81, 0, 0, 10, 8, 0, 0x45, 0, 0, 43, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ]);
    tcp.extend([
        0xc7, 0x38, 0, 22, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x18, 1, 0, 0, 0, 0, 0, b'a', 0, b'~',
    ]);
    let mut echo = ethernet.to_vec();
    echo.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 58, 64]);
    for last in [1, 2] {
        echo.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    echo.extend([128, 0, 0, 0, 0, 1, 0, 1]);
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 1] {
        file.extend(word.to_le_bytes());
    }
    for (number, frame) in [arp, tcp, echo].iter().enumerate() {
        let length = frame.len() as u32;
        for word in [1_795_485_784 + number as u32, 123_456, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    let path = dir.path().join("three.pcap");
    std::fs::write(&path, file).unwrap();
    path
}

#[test]
fn one_line_a_packet() {
    let dir = tempfile::tempdir().unwrap();
    let path = capture(&dir);
    let path = path.to_str().unwrap();
    let (code, out, err) = run(&["--file", path]);
    assert_eq!((code, err.as_str()), (Some(0), "nids: 3 packets read, 3 shown\n"));
    assert_eq!(
        out,
        "02:03:04.123456 Ether / ARP who has 10.0.0.2 says 10.0.0.1, 42 bytes\n\
         02:03:05.123456 Ether / 802.1Q 10 / IP / TCP 10.0.0.1:51000 > 10.0.0.2:22 PA / Raw, 61 bytes\n\
         02:03:06.123456 Ether / IPv6 / ICMPv6 2001:db8::1 > 2001:db8::2 echo-request, 62 bytes\n"
    );
    let (code, out, err) = run(&["-r", path, "--hex", "tcp", "port", "22 or 23"]);
    assert_eq!((code, err.as_str()), (Some(0), "nids: 3 packets read, 1 shown\n"));
    assert_eq!(
        out,
        "02:03:05.123456 Ether / 802.1Q 10 / IP / TCP 10.0.0.1:51000 > 10.0.0.2:22 PA / Raw, 61 bytes\n    \
         0000  02 00 00 00 00 01 02 00 00 00 00 02 81 00 00 0a  ................\n    \
         0010  08 00 45 00 00 2b 00 01 00 00 40 06 00 00 0a 00  ..E..+....@.....\n    \
         0020  00 01 0a 00 00 02 c7 38 00 16 00 00 00 01 00 00  .......8........\n    \
         0030  00 00 50 18 01 00 00 00 00 00 61 00 7e           ..P.......a.~\n"
    );
    let (_, out, _) = run(&["-r", path, "--json", "--count", "2"]);
    assert_eq!(
        out,
        "{\"timestamp\":\"2026-11-24T02:03:04.123456+0000\",\"pcap_cnt\":1,\"event_type\":\"packet\",\
         \"ether_type\":2054,\"length\":42,\"payload_length\":28}\n\
         {\"timestamp\":\"2026-11-24T02:03:05.123456+0000\",\"pcap_cnt\":2,\"event_type\":\"packet\",\
         \"vlan\":[10],\"ether_type\":2048,\"src_ip\":\"10.0.0.1\",\"src_port\":51000,\
         \"dest_ip\":\"10.0.0.2\",\"dest_port\":22,\"proto\":\"TCP\",\"tcp_flags\":\"PA\",\
         \"length\":61,\"payload_length\":3}\n"
    );
    assert_eq!(run(&["-r", path, "-c", "0"]).1, "");
}

#[test]
fn what_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let none = dir.path().join("none.pcap");
    assert_eq!(run(&["--file", none.to_str().unwrap()]).0, Some(66));
    let text = dir.path().join("text.pcap");
    std::fs::write(&text, "this is no capture file").unwrap();
    let (code, _, err) = run(&["--file", text.to_str().unwrap()]);
    assert_eq!(code, Some(65));
    assert!(err.contains("is no capture file"), "{err}");
    // What stands before the damage is shown.
    let whole = std::fs::read(capture(&dir)).unwrap();
    let cut = dir.path().join("cut.pcap");
    std::fs::write(&cut, &whole[..whole.len() - 10]).unwrap();
    let (code, out, err) = run(&["--file", cut.to_str().unwrap()]);
    assert_eq!((code, out.lines().count()), (Some(0), 2));
    assert!(err.contains("is cut off at byte"), "{err}");
}

#[test]
fn a_bad_filter_is_shown_with_a_caret() {
    let (code, out, err) = run(&["--file", "-", "tcp", "and", "prot", "80"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert_eq!(
        err,
        "nids: this is no filter: \"prot\" is no word of the filter language\n  \
         tcp and prot 80\n          ^^^^ did you mean \"port\"?\n"
    );
    let path = ["--file", "x.pcap"];
    assert_eq!(run(&[&path[..], &["--iface", "lo"]].concat()).0, Some(2));
    assert_eq!(run(&[&path[..], &["--hex", "--json"]].concat()).0, Some(2));
}

#[test]
fn without_root_it_says_what_it_needs() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: it takes root to give rights away");
        return;
    }
    // The program must be within reach of nobody.
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let program = dir.path().join("nids");
    std::fs::copy(env!("CARGO_BIN_EXE_nids"), &program).unwrap();
    let output = Command::new(&program)
        .args(["monitor", "--iface", "lo"])
        .stdin(Stdio::null())
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(77), "{err}");
    assert!(err.contains("CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}
