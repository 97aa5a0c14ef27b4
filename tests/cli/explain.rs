//! `nids check --explain`, `nids read --trace` and `--profile`: texts, objects, exit codes, and that the
//! examples in docs/explain.md are what is shown.
//!
//! `SNAPSHOTS=overwrite cargo test --test nids-tests cli::explain` writes the expected texts anew.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use snapbox::cmd::Command;
use snapbox::{file, str};

use crate::session::{ACK, Session, end};

fn nids(command: &str, folder: impl Into<PathBuf>) -> Command {
    Command::new(env!("CARGO_BIN_EXE_nids")).arg(command).current_dir(folder.into())
}

/// `nids check` in the folder with the rules.
fn check() -> Command {
    nids("check", Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cli/rules"))
}

fn explain(ids: &[&str]) -> Command {
    ids.iter().fold(check().arg("explain.rules"), |command, id| command.args(["--explain", id]))
}

#[test]
fn explains_rules_in_force() {
    let ids = [
        "1000010",
        "1:1000011",
        "1000012",
        "1000013",
        "1000014",
        "1000015",
        "1000016",
        "3:1000010",
        "1000021",
    ];
    explain(&ids).assert().code(0).stderr_eq("").stdout_eq(file!["rules/explain.text"].raw());
}

#[test]
fn explains_as_objects() {
    let ids = ["1000010", "1000015", "1000017", "1000018"];
    let assert = explain(&ids).arg("--json").assert().code(1);
    let output = assert.stdout_eq(file!["rules/explain.json"].raw()).get_output().stdout.clone();
    let objects: Vec<Value> = String::from_utf8(output)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let states: Vec<&str> = objects.iter().filter_map(|object| object["state"].as_str()).collect();
    assert_eq!(states, ["loaded", "loaded", "refused", "disabled"]);
    let steps = objects[0]["ways"][0]["steps"].as_array().unwrap();
    // The columns point at the words.
    let text = objects[0]["source"]["text"].as_str().unwrap();
    for step in steps {
        let column = step["column"].as_u64().unwrap() as usize;
        let words = step["step"].as_str().unwrap();
        let written = words.rsplit_once(' ').map_or(words, |(_, last)| last);
        assert!(
            text[column - 1..].starts_with(words) || text[column - 1..].starts_with(written),
            "{step}"
        );
    }
}

#[test]
fn says_why_a_rule_is_not_in_force() {
    explain(&["1000017"]).assert().code(1).stdout_eq(str![[r#"
1:1000017 is refused

error[unknown-keyword]: unknown keyword `contnt`
 --> explain.rules:9:47
  |
9 | alert tcp any any -> any any (msg:"Misspelt"; contnt:"x"; sid:1000017;)
  |                                               ^^^^^^
  = help: did you mean `content`?

"#]]);
    explain(&["1000017"]).arg("--strict").assert().code(65);
    explain(&["1000018"]).assert().code(0).stdout_eq(str![[r##"
1:1000018 is disabled: it stands behind a #
 --> explain.rules:10
  | alert tcp any any -> any any (msg:"Off"; content:"x"; sid:1000018;)

"##]]);
    let unmet = explain(&["1000020"]).assert().code(0);
    let text = String::from_utf8(unmet.get_output().stdout.clone()).unwrap();
    assert!(text.starts_with("1:1000020 is left out by `requires`\n\nnote: "), "{text}");
    explain(&["99"]).assert().code(1).stdout_eq("").stderr_eq("nids: there is no rule 1:99.\n");
    explain(&["x"]).assert().code(2);
}

#[test]
fn says_which_list_disables_a_rule() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("disable.conf"), "1000012\n").unwrap();
    let list = dir.path().join("disable.conf");
    let assert = explain(&["1000012"]).arg("--disable-conf").arg(list).assert().code(0);
    assert.stdout_eq(str![[r#"
1:1000012 is disabled by --disable-conf
 --> explain.rules:4
  | alert icmp any any -> any any (msg:"Echo request"; itype:8; icode:0; sid:1000012;)

"#]]);
}

#[test]
fn a_rule_that_was_replaced_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let rule = |rev| format!("alert tcp any any -> any any (content:\"x\"; sid:7; rev:{rev};)\n");
    fs::write(dir.path().join("two.rules"), rule(1) + &rule(2)).unwrap();
    let assert = nids("check", dir.path()).args(["two.rules", "--explain", "7"]).assert().code(0);
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert!(text.starts_with("1:7 rev 2\n --> two.rules:2\n"), "{text}");
    assert!(text.contains("\n1:7 is replaced\n\nnote: replaced by rev 2"), "{text}");
}

const WEB: &str = r#"alert tcp any any -> any 80 (msg:"Admin page"; flow:established,to_server; content:"/admin/"; content:"login"; within:8; threshold:type limit, track by_src, count 1, seconds 60; sid:1000010;)
"#;

/// A folder with the rules and the packets of docs/explain.md.
fn web() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("web.rules"), WEB).unwrap();
    let mut session = Session::default();
    let server = end("10.0.0.1", 80);
    for (port, path) in [
        (40_000, "/index.html"),
        (40_001, "/admin/?next=login"),
        (40_002, "/admin/login"),
        (40_003, "/admin/login"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\n\r\n");
        session.exchange(
            end("10.0.0.9", port),
            server,
            request.as_bytes(),
            b"HTTP/1.1 200 OK\r\n\r\n",
        );
    }
    // Not of the rule's ports.
    session.exchange(end("10.0.0.9", 40_005), end("10.0.0.1", 8080), b"GET /admin/login", b"");
    fs::write(dir.path().join("web.pcap"), session.pcap()).unwrap();
    dir
}

#[test]
fn traces_a_rule() {
    let folder = web();
    let args = ["web.pcap", "--rules", "web.rules", "--trace", "1000010"];
    let assert = nids("read", folder.path()).args(args).assert().code(0);
    assert.stdout_eq(file!["rules/trace.text"].raw());
}

/// The same alerts with a trace and without; on standard output only where they are asked for.
#[test]
fn a_trace_changes_no_alert() {
    let folder = web();
    let alerts = |args: &[&str]| {
        let all = ["web.pcap", "--rules", "web.rules", "--eve", "eve.json"];
        let _ = fs::remove_file(folder.path().join("eve.json"));
        nids("read", folder.path()).args(all).args(args).assert().code(0);
        fs::read_to_string(folder.path().join("eve.json")).unwrap()
    };
    let plain = alerts(&[]);
    assert_eq!(plain.lines().count(), 1);
    assert_eq!(alerts(&["--trace", "1000010"]), plain);
    assert_eq!(alerts(&["--profile", "--trace", "1000010"]), plain);
    let args = ["web.pcap", "--rules", "web.rules", "--trace", "1000010", "--console"];
    let assert = nids("read", folder.path()).args(args).assert().code(0);
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert!(text.contains("Admin page"), "{text}");
}

/// A match that reaches over two segments, and one that waits for its end.
#[test]
fn traces_pieces_of_streams() {
    let dir = tempfile::tempdir().unwrap();
    let rule =
        r#"alert tcp any any -> any 80 (content:"first"; content:"second"; distance:0; sid:7;)"#;
    fs::write(dir.path().join("x.rules"), rule).unwrap();
    let (client, server) = (end("10.0.0.9", 40_000), end("10.0.0.1", 80));
    let mut session = Session::default();
    session.exchange(client, server, b"the first ", b"");
    // Before the end of the connection.
    let rest = session.frames.split_off(5);
    session.tcp(client, server, ACK, 111, 701, b"the sec");
    session.tcp(server, client, ACK, 701, 118, b"");
    session.tcp(client, server, ACK, 118, 701, b"ond");
    session.tcp(server, client, ACK, 701, 121, b"");
    drop(rest);
    fs::write(dir.path().join("x.pcap"), session.pcap()).unwrap();
    let args = ["x.pcap", "--rules", "x.rules", "--trace", "7"];
    let assert = nids("read", dir.path()).args(args).assert().code(0);
    assert.stdout_eq(file!["rules/trace_stream.text"].raw());
}

/// What is asked of a request, packet by packet.
#[test]
fn traces_transactions() {
    let dir = tempfile::tempdir().unwrap();
    let rule = r#"alert http any any -> any any (http.method; content:"POST"; http.uri; content:"/login"; http.user_agent; content:"curl"; flowbits:set,x; sid:7;)"#;
    fs::write(dir.path().join("x.rules"), rule).unwrap();
    let mut session = Session::default();
    for (port, request) in [
        (40_000, "GET /login HTTP/1.1\r\nHost: a\r\nUser-Agent: curl\r\n\r\n"),
        (40_001, "POST /logout HTTP/1.1\r\nHost: a\r\nUser-Agent: curl\r\n\r\n"),
        (40_002, "POST /login HTTP/1.1\r\nHost: a\r\n\r\n"),
        (40_003, "POST /login HTTP/1.1\r\nHost: a\r\nUser-Agent: curl\r\n\r\n"),
    ] {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        session.exchange(end("10.0.0.9", port), end("10.0.0.1", 80), request.as_bytes(), answer);
    }
    fs::write(dir.path().join("x.pcap"), session.pcap()).unwrap();
    let args = ["x.pcap", "--rules", "x.rules", "--trace", "7"];
    let assert = nids("read", dir.path()).args(args).assert().code(0);
    assert.stdout_eq(file!["rules/trace_http.text"].raw());
}

#[test]
fn a_rule_that_is_not_there_is_not_traced() {
    let folder = web();
    let args = ["web.pcap", "--rules", "web.rules", "--trace", "8"];
    let assert = nids("read", folder.path()).args(args).assert().code(1);
    assert.stdout_eq("").stderr_eq(str![[r#"
nids: there is no rule 1:8 in force; `nids check --explain 1:8` says why.

"#]]);
}

#[test]
fn profiles_rules() {
    let folder = web();
    let args = ["web.pcap", "--rules", "web.rules", "--profile", "--profile-json", "profile.json"];
    let assert = nids("read", folder.path()).args(args).assert().code(0);
    let text = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    let head = "nids: profile: 1 rules were tried, ";
    assert!(text.contains(head), "{text}");
    let row = text.lines().find(|line| line.contains("1:1000010")).unwrap();
    assert!(row.ends_with("  Admin page"), "{row}");
    let written = fs::read_to_string(folder.path().join("profile.json")).unwrap();
    let profile: Value = serde_json::from_str(&written).unwrap();
    let rule = &profile["by_rule"][0];
    assert_eq!((&rule["gid"], &rule["sid"]), (&Value::from(1), &Value::from(1_000_010)));
    assert_eq!(rule["matches"], 2);
    let number = |name: &str| rule[name].as_u64().unwrap();
    // Three pieces of streams, and the two packets whose streams hold what is sought.
    assert_eq!(number("checks"), 5);
    assert!(number("max_ns") >= number("average_ns") && number("total_ns") >= number("max_ns"));
    assert_eq!(profile["total_ns"], rule["total_ns"]);
    let missing = ["web.pcap", "--rules", "web.rules", "--profile-json", "missing/x.json"];
    nids("read", folder.path()).args(missing).assert().code(73);
}

/// Each `$ nids ...` in docs/explain.md shows what stands below it there.
#[test]
fn the_examples_in_the_docs_are_true() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/explain.md");
    let docs = fs::read_to_string(docs).unwrap();
    let folder = web();
    assert!(docs.contains(&indented(WEB)), "the rule");
    let mut shown = 0;
    for command in docs.lines().filter_map(|line| line.strip_prefix("    $ nids ")) {
        let (name, args) = command.split_once(' ').unwrap();
        let assert = nids(name, folder.path()).args(args.split(' ')).assert();
        let output = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
        let expected = format!("    $ nids {command}\n{}", indented(&output));
        assert!(docs.contains(&expected), "docs/explain.md should hold:\n{expected}");
        shown += 1;
    }
    assert_eq!(shown, 2);
}

fn indented(text: &str) -> String {
    let line = |line: &str| match line.is_empty() {
        true => "\n".to_owned(),
        false => format!("    {line}\n"),
    };
    text.lines().map(line).collect()
}
