//! `nids monitor` on a live interface: the filter is judged in the kernel and here, and the counts add up.

use nix::sys::signal::Signal;

use super::netns::{Bed, LIMIT, Process, SERVER, SERVER_IFACE};
use super::service::{TcpServer, send};

const NIDS: &str = env!("CARGO_BIN_EXE_nids");

/// The numbers of the last line: seen, shown, filtered in the kernel, filtered here, lost, left.
fn books(monitor: &Process) -> Vec<u64> {
    let lines = monitor.stderr.all();
    let line = lines.iter().find(|line| line.contains("packets seen")).expect("a line of counts");
    let numbers = line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok());
    numbers.collect()
}

#[test]
fn shows_what_the_filter_wants_and_counts_the_rest() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::new().unwrap();
    let (_wanted, _other) = (
        TcpServer::start(&bed.server, 2200).unwrap(),
        TcpServer::start(&bed.server, 2300).unwrap(),
    );
    for direction in ["ingress", "both"] {
        let mut command = bed.server.command(NIDS);
        command.args(["monitor", "--iface", SERVER_IFACE, "--direction", direction]);
        command.args(["tcp", "and", "port", "2200"]);
        let mut monitor = Process::spawn(&mut command).unwrap();
        monitor.expect_stderr("listening on").unwrap();
        for server in SERVER {
            let port = send(&bed.client, server, 2300, b"not this").unwrap();
            assert_ne!(port, 2200);
            let port = send(&bed.client, server, 2200, b"but this").unwrap();
            let layer = if server.is_ipv4() { "IP" } else { "IPv6" };
            let ending = monitor.stdout.find(&format!(":{port} > "), LIMIT).expect("the packets");
            assert!(ending.contains(&format!("Ether / {layer} / TCP ")), "{ending}");
            if direction == "both" {
                let answer = format!(":2200 > {}", if server.is_ipv4() { "10." } else { "[fd00" });
                let answer = monitor.stdout.find(&answer, LIMIT).expect("the answers");
                assert!(answer.starts_with("s0 ") || answer.contains(" s0 egress "), "{answer}");
            }
        }
        monitor.stdout.find(" FA", LIMIT).expect("the end of a connection");
        monitor.signal(Signal::SIGINT).unwrap();
        assert_eq!(monitor.wait(LIMIT).unwrap().code(), Some(0));
        let lines = monitor.stdout.all();
        assert!(lines.iter().all(|line| line.contains(":2200")), "{lines:#?}");
        let books = books(&monitor);
        let [seen, shown, in_kernel, here, lost, left] = books[..] else { panic!("{books:?}") };
        assert_eq!(seen, shown + in_kernel + here + lost + left, "{books:?}");
        assert_eq!(shown, lines.len() as u64, "{books:?}");
        // A handshake, some data and the end of two connections the filter does not want.
        assert!(in_kernel >= 6, "{books:?}");
        assert_eq!((here, lost), (0, 0), "the kernel can judge all of this filter: {books:?}");
    }
}

#[test]
fn ends_after_the_count_and_when_nobody_reads() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    let _server = TcpServer::start(&bed.server, 2200).unwrap();
    let mut command = bed.server.command(NIDS);
    command.args(["monitor", "--iface", SERVER_IFACE, "--json", "-c", "2", "tcp"]);
    let mut monitor = Process::spawn(&mut command).unwrap();
    monitor.expect_stderr("listening on").unwrap();
    send(&bed.client, SERVER[0], 2200, b"x").unwrap();
    assert_eq!(monitor.wait(LIMIT).unwrap().code(), Some(0));
    let lines = monitor.stdout.all();
    assert_eq!(lines.len(), 2);
    let first: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&first["in_iface"], &first["dest_port"]), (&"s0".into(), &2200.into()));
    assert_eq!((&first["tcp_flags"], &first["proto"]), (&"S".into(), &"TCP".into()));

    let mut command = bed.server.command("sh");
    command.args(["-c", &format!("{NIDS} monitor --iface {SERVER_IFACE} tcp | head -n 1")]);
    let mut pipe = Process::spawn(&mut command).unwrap();
    pipe.expect_stderr("listening on").unwrap();
    // The first packet ends `head`; the next ones find the pipe broken.
    for _ in 0..2 {
        send(&bed.client, SERVER[0], 2200, b"x").unwrap();
    }
    assert_eq!(pipe.wait(LIMIT).unwrap().code(), Some(0));
    pipe.expect_stderr("packets seen").unwrap();
    assert_eq!(pipe.stdout.all().len(), 1);
}
