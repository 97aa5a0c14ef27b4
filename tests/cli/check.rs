//! `nids check`: what it prints for rules of every kind, and its exit codes.
//!
//! `SNAPSHOTS=overwrite cargo test --test nids-tests cli::check` writes the expected texts anew.

use std::fs;
use std::path::Path;

use snapbox::cmd::Command;
use snapbox::{IntoData, file, str};

/// `nids check` in the folder with the rules.
fn check() -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cli/rules");
    Command::new(env!("CARGO_BIN_EXE_nids")).arg("check").current_dir(folder)
}

#[test]
fn shows_each_refusal_with_its_place() {
    let assert = check().arg("bad.rules").assert().code(1);
    assert.stderr_eq(file!["rules/bad.text"].raw()).stdout_eq(file!["rules/bad.summary"].raw());
}

#[test]
fn prints_json() {
    let assert = check().args(["--json", "bad.rules"]).assert().code(1);
    let output = assert.stdout_eq(file!["rules/bad.json"].raw()).get_output().stdout.clone();
    let lines: Vec<serde_json::Value> = output
        .split(|b| *b == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    let (summary, refusals) = lines.split_last().unwrap();
    assert_eq!(summary["refused"], refusals.len());
    let by_reason = summary["by_reason"].as_object().unwrap();
    assert_eq!(by_reason.values().filter_map(|n| n.as_u64()).sum::<u64>(), refusals.len() as u64);
    assert_eq!(by_reason.len(), 10, "one of each kind");
}

#[test]
fn all_loaded() {
    check().args(["-q", "good.rules"]).assert().code(0).stderr_eq("").stdout_eq(str![[r#"
1 loaded, 0 refused, 1 disabled, 1 replaced by a higher rev

"#]]);
    check().args(["--json", "good.rules"]).assert().code(0).stderr_eq("").stdout_eq(
        str![[r#"
{"loaded":1,"refused":0,"disabled":1,"by_reason":{}}

"#]]
        .raw(),
    );
}

#[test]
fn a_note_fails_only_with_strict() {
    check().arg("good.rules").assert().code(0).stderr_eq(str![[r#"
note: replaced by rev 2 of the same sid, at good.rules:2
 --> good.rules:1:64
  |
1 | alert tcp any any -> any 80 (msg:"one"; content:"/etc/passwd"; sid:1; rev:1;)
  |                                                                ^^^


"#]]);
    check().args(["--strict", "-q", "good.rules"]).assert().code(65);
    check().args(["--strict", "-q", "bad.rules"]).assert().code(65);
}

#[test]
fn variables_can_be_set() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("own.rules");
    fs::write(&path, "alert tcp $MY_NET any -> any $MY_PORTS (content:\"x\"; sid:1;)\n").unwrap();
    check().arg(&path).assert().code(1);
    let set = [
        "--set",
        "vars.address-groups.MY_NET=10.0.0.0/8",
        "--set",
        "vars.port-groups.MY_PORTS=1:9",
    ];
    check().args(set).arg(&path).assert().code(0);
    check().args(["--set", "vars.address-groups.MY_NET=[1"]).arg(&path).assert().code(78);
    check().args(["--set", "no.such=1"]).arg(&path).assert().code(78);
}

#[test]
fn what_cannot_be_read() {
    check().arg("missing.rules").assert().code(66).stdout_eq("").stderr_eq(str![[r#"
nids: missing.rules: the rules cannot be opened: No such file or directory (os error 2).

"#]]);
    let empty = tempfile::tempdir().unwrap();
    check().arg(empty.path()).assert().code(66);
    check().arg("/dev/null").assert().code(66);
    check().arg("--no-such-flag").assert().code(2);
}

#[test]
fn a_folder_brings_its_classes() {
    let dir = tempfile::tempdir().unwrap();
    let rule = "alert tcp any any -> any any (content:\"x\"; classtype:own; sid:1;)\n";
    fs::write(dir.path().join("a.rules"), rule).unwrap();
    fs::write(dir.path().join("classification.config"), "config classification: own,Own,1\nx\n")
        .unwrap();
    check().arg(dir.path()).assert().code(0).stderr_eq(str![[r#"
nids: [..]/classification.config: line 2: expected `config classification: ...`

"#]]);
    check().arg("--strict").arg(dir.path()).assert().code(65);
}

/// The rules shipped with the sensor are all loaded.
#[test]
fn shipped_rules() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    check().arg("--strict").arg(folder).assert().code(0).stderr_eq("");
}
