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
    assert_eq!(by_reason.len(), 11, "one of each kind");
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

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

#[test]
fn lint_is_told_and_counts_only_with_strict() {
    let assert = check().args(["--lint", "lint.rules"]).assert().code(1);
    assert.stderr_eq(file!["rules/lint.text"].raw()).stdout_eq(file!["rules/lint.summary"].raw());
    let assert = check().args(["--lint", "--json", "lint.rules"]).assert().code(1);
    assert.stdout_eq(file!["rules/lint.json"].raw());
    let rule = "alert tcp any any -> any any (content:\"x\"; sid:1;)\n";
    let dir = folder(&[("a.rules", rule)]);
    let lint = |flags: &[&str]| check().arg("--lint").args(flags).arg(dir.path()).assert();
    lint(&[]).code(0);
    lint(&["-q"]).code(0).stderr_eq("");
    lint(&["--strict"]).code(65);
    check().arg("--strict").arg(dir.path()).assert().code(0);
}

#[test]
fn what_requires_more_is_left_out_without_a_word() {
    let dir = folder(&[(
        "a.rules",
        "alert tcp any any -> any any (content:\"x\"; requires:version >= 8; sid:1;)\n\
         alert tcp any any -> any any (content:\"x\"; requires:version < 8; sid:2;)\n\
         alert tcp any any -> any any (no_such:\"x\"; requires:keyword no_such; sid:3;)\n",
    )]);
    check().arg("--strict").arg(dir.path()).assert().code(0).stderr_eq("").stdout_eq(str![[r#"
1 loaded, 0 refused, 0 disabled, 2 left out by `requires`

"#]]);
    check().arg("--json").arg(dir.path()).assert().code(0).stdout_eq(
        str![[r#"
{"loaded":1,"refused":0,"disabled":0,"by_reason":{"requires":2}}

"#]]
        .raw(),
    );
}

#[test]
fn lists_tune_the_rules() {
    let rule = |sid: u32| format!("alert tcp any any -> any any (content:\"x\"; sid:{sid};)\n");
    let dir = folder(&[
        ("a.rules", &(rule(1) + &rule(2) + "#" + &rule(3) + "#" + &rule(4))),
        ("disable.conf", "1:1 # fine\n1:x\n"),
        ("ok.conf", "1\n"),
        ("enable.conf", "# mine\n3\n"),
        ("drop.conf", "re:sid:2;\n"),
        ("modify.conf", "2 \"content:.x.;\" \"\"\n"),
    ]);
    let path = |name: &str| dir.path().join(name);
    let list = |flag: &str, name: &str| format!("--{flag}-conf={}", path(name).display());
    check()
        .args([
            list("disable", "ok.conf"),
            list("enable", "enable.conf"),
            list("drop", "drop.conf"),
            list("modify", "modify.conf"),
        ])
        .arg(path("a.rules"))
        .assert()
        .code(0)
        .stderr_eq("")
        .stdout_eq(str![[r#"
2 loaded, 0 refused, 2 disabled
lists: 1 disabled, 1 enabled, 1 made drop, 1 modified

"#]]);
    // A setting says the same.
    let setting = format!("enable-conf={}", path("enable.conf").display());
    check().args(["-q", "--set", &setting]).arg(path("a.rules")).assert().stdout_eq(str![[r#"
3 loaded, 0 refused, 1 disabled
lists: 0 disabled, 1 enabled, 0 made drop, 0 modified

"#]]);
    let bad = check().arg(list("disable", "disable.conf")).arg(path("a.rules")).assert();
    bad.code(78).stdout_eq("").stderr_eq(str![[r#"
nids: [..]/disable.conf:2: `x` is no number of a rule.

"#]]);
    check().arg(list("disable", "none.conf")).arg(path("a.rules")).assert().code(66);
}

#[test]
fn files_are_found_by_pattern_setting_and_include() {
    let rule = |sid: u32| format!("alert tcp any any -> any any (content:\"x\"; sid:{sid};)\n");
    let dir = folder(&[
        ("a.rules", &(rule(1) + "include $RULE_PATH/c.inc\n")),
        ("b.rules", &rule(2)),
        ("c.inc", &rule(3)),
    ]);
    let loaded = |count: u32| format!("{count} loaded, 0 refused, 0 disabled\n");
    let path = |name: &str| dir.path().join(name);
    check().arg(path("*.rules")).assert().code(0).stdout_eq(loaded(3));
    check().arg(path("x*.rules")).assert().code(66);
    let base = format!("default-rule-path={}", dir.path().display());
    let set = ["--set", &base, "--set", "rule-files=[b.rules, c.*]"];
    check().args(set).assert().code(0).stdout_eq(loaded(2));
}

#[test]
fn dialects_can_be_said() {
    check().args(["--dialect", "snort3", "good.rules"]).assert().code(0);
    check().args(["--dialect", "snrt3", "good.rules"]).assert().code(2).stderr_eq(str![[r#"
error: invalid value 'snrt3' for '--dialect <DIALECT>': `snrt3` is no dialect; did you mean `snort3`?
...
"#]]);
    check().args(["--set", "rule-dialect=snort4", "good.rules"]).assert().code(78);
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
