//! docs/outputs.md: every command in it is run, with the receivers it names.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::session::{Session, end};

const RULES: &str =
    "alert tcp any any -> any 80 (msg:\"attack\"; content:\"/etc/passwd\"; sid:1;)\n";

/// The commands of the page, by the begin of the heading above them.
fn commands() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/outputs.md");
    let (mut heading, mut block, mut found) = (String::new(), None::<String>, Vec::new());
    for line in fs::read_to_string(page).unwrap().lines() {
        match (&mut block, line) {
            (None, "```sh") => block = Some(String::new()),
            (Some(_), "```") => found.push((heading.clone(), block.take().unwrap())),
            (Some(text), line) => *text += &format!("{line}\n"),
            (None, line) => {
                if let Some(title) = line.strip_prefix('#') {
                    heading = title.trim_start_matches(['#', ' ']).to_owned();
                }
            }
        }
    }
    found
}

/// A folder with what the commands use.
fn bench() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::default();
    let server = end("10.0.0.2", 80);
    session.exchange(end("10.0.0.1", 4000), server, b"GET /etc/passwd HTTP/1.0\r\n\r\n", b"x");
    fs::write(folder.path().join("attack.pcap"), session.pcap()).unwrap();
    fs::write(folder.path().join("local.rules"), RULES).unwrap();
    folder
}

fn run(folder: &Path, script: &str) -> String {
    let nids = Path::new(env!("CARGO_BIN_EXE_nids"));
    let path = std::env::var("PATH").unwrap_or_default();
    let out = Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", nids.parent().unwrap().display()))
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{script}\n{err}");
    String::from_utf8(out.stdout).unwrap()
}

fn json(path: impl AsRef<Path>) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_command_of_the_page() {
    let commands = commands();
    let mut seen = Vec::new();
    for (heading, script) in &commands {
        let folder = bench();
        let path = |name: &str| folder.path().join(name);
        seen.push(heading.as_str());
        match heading.as_str() {
            "Outputs" => {
                run(folder.path(), script);
                let (alerts, flows) = (json(path("alerts.json")), json(path("flows.json")));
                assert_eq!((&alerts[0]["event_type"], alerts.len()), (&"alert".into(), 1));
                assert_eq!((&flows[0]["event_type"], flows.len()), (&"flow".into(), 1));
            }
            "Files and rotation" => {
                run(folder.path(), script);
                assert_eq!(json(path("eve.json")).len(), 1);
            }
            "Unix sockets" => {
                let stream = UnixListener::bind(path("stream.sock")).unwrap();
                let datagram = UnixDatagram::bind(path("datagram.sock")).unwrap();
                run(folder.path(), script);
                let mut text = String::new();
                stream.accept().unwrap().0.read_to_string(&mut text).unwrap();
                let mut buffer = [0; 65_536];
                let length = datagram.recv(&mut buffer).unwrap();
                assert_eq!(text.as_bytes(), &buffer[..length]);
                assert!(text.contains("\"signature_id\":1") && text.ends_with("}\n"), "{text}");
            }
            "Standard output" => {
                let line = run(folder.path(), script);
                serde_json::from_str::<Value>(&line).unwrap();
            }
            "Syslog" => {
                let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
                udp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
                // The ports of the page may be taken here.
                let script = script
                    .replace("5514", &udp.local_addr().unwrap().port().to_string())
                    .replace("5601", &tcp.local_addr().unwrap().port().to_string());
                run(folder.path(), &script);
                let mut buffer = [0; 65_536];
                let length = udp.recv(&mut buffer).unwrap();
                let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
                assert!(message.starts_with("<133>1 2023-11-14T22:13:20.0"), "{message}");
                let mut text = String::new();
                tcp.accept().unwrap().0.read_to_string(&mut text).unwrap();
                let (length, message) = text.split_once(' ').unwrap();
                assert_eq!(length.parse(), Ok(message.len()));
                assert!(
                    message.starts_with("<174>1 ") && message.contains(" alert - {\"timestamp")
                );
            }
            "What EVE records tell" => {
                run(folder.path(), script);
                let alert = &json(path("eve.json"))[0];
                let payload = alert["payload_printable"].as_str().unwrap();
                assert!(payload.starts_with("GET /etc/passwd"), "{alert}");
                assert!(alert["packet"].is_string() && alert.get("payload").is_none(), "{alert}");
            }
            "Alert pcap" => {
                let installed = |tool| Command::new(tool).arg("--version").output().is_ok();
                let lines = script
                    .lines()
                    .filter(|line| !line.starts_with("tcpdump") || installed("tcpdump"));
                let out = run(folder.path(), &lines.collect::<Vec<_>>().join("\n"));
                assert_eq!(out.matches("[1:1:0] attack").count(), 2, "{out}");
                if installed("tcpdump") {
                    assert_eq!(out.matches("Flags [").count(), 8, "{out}");
                }
            }
            other => panic!("nothing checks the command under {other}"),
        }
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
}

/// What is wrong with an output is told before anything is read or attached.
#[test]
fn settings_of_outputs_that_are_wrong() {
    let folder = bench();
    for (args, words) in [
        (&["--set", "outputs.eve.0.filenam=x"][..], "did you mean `outputs.eve.0.filename`?"),
        (&["--set", "outputs.evee.0.filename=x"], "did you mean `outputs.eve.0.filename`?"),
        (&["--set", "outputs.eve.0.types=alerts"], "it takes types of records"),
        (&["--set", "outputs.eve.0.alert.http-body=yes"], "bodies of HTTP are not kept"),
        (&["--set", "outputs.eve.0.types=alert"], "`filename` is missing"),
        (&["--eve", "x", "--set", "outputs.eve.0.max-files=3"], "`max-files` needs"),
        (&["--console", "--set", "outputs.eve.0.filetype=stdout"], "share standard output"),
    ] {
        let out = Command::new(env!("CARGO_BIN_EXE_nids"))
            .args(["read", "attack.pcap", "--rules", "local.rules"])
            .args(args)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(78), "{err}");
        assert!(err.contains(words), "{err}");
    }
}
