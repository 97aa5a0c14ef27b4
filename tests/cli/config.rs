//! `nids config`, and settings from the file and the environment: what is taken, told and refused.
//!
//! `SNAPSHOTS=overwrite cargo test --test nids-tests cli::config` writes the file that is shipped anew.

use std::fs;
use std::path::Path;

use snapbox::cmd::Command;
use tempfile::TempDir;

/// `nids` in a folder with this `nids.toml`.
fn nids(toml: &str, args: &[&str]) -> (Command, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("nids.toml"), toml).unwrap();
    let command = Command::new(env!("CARGO_BIN_EXE_nids"))
        .args(["--config", "nids.toml"])
        .args(args)
        .current_dir(folder.path());
    (command, folder)
}

fn output(command: Command, code: i32) -> (String, String) {
    let assert = command.assert().code(code);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&assert.get_output().stdout), text(&assert.get_output().stderr))
}

#[test]
fn the_file_that_is_shipped_has_every_key_and_changes_nothing() {
    let (command, _folder) = nids("", &["config", "--default"]);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/nids.toml");
    let text = output(command, 0).0;
    snapbox::assert_data_eq!(text.as_str(), snapbox::Data::read_from(&shipped, None).raw());
    let (command, _folder) = nids(&text, &["config", "--check"]);
    assert_eq!(output(command, 0).0, "nids.toml: 0 keys set, all right\n");
    // Each of its lines is right where the # is taken away.
    let uncommented: Vec<_> = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') && key.contains(" = ") => key,
            _ => line,
        })
        .collect();
    let entries = uncommented.iter().filter(|line| !line.starts_with(['#', '['])).count();
    assert!(entries > 80, "{entries}");
    let toml = uncommented.join("\n");
    let placeholders =
        [("\"N\"", "1"), ("\"KIB\"", "64"), ("DIALECT", "suricata"), ("TYPES", "alert")];
    let toml = placeholders.iter().fold(toml, |toml, (from, to)| toml.replace(from, to));
    let (command, _folder) = nids(&toml, &["config", "--check"]);
    let (told, wrong) = output(command, 0);
    assert!(told.ends_with("keys set, all right\n"), "{told}{wrong}");
}

#[test]
fn two_lines_are_enough_and_so_is_no_file() {
    let (command, _folder) = nids("[run]\niface = 'eth0'\n", &["config", "--check"]);
    assert_eq!(output(command, 0).0, "nids.toml: 1 key set, all right\n");
    let command = Command::new(env!("CARGO_BIN_EXE_nids")).args(["config", "--dump"]);
    let (text, _) = output(command, 0);
    assert!(text.contains("memcap = \"128mb\"  # default\n"), "{text}");
}

#[test]
fn the_dump_tells_where_each_value_comes_from_and_is_a_file_itself() {
    let toml = "[run]\niface = ['e0', 'e1']\nrules = 'r'\n[flow]\nmemcap = '1mb'\n[defrag]\n\
                timeout = 7\n[vars.address-groups]\nHOME_NET = '10.0.0.0/8'\n";
    let run = |toml: &str| {
        let (command, folder) = nids(
            toml,
            &["config", "--dump", "--set", "vars.address-groups.DNS=[10.1.1.1, 10.1.1.2]"],
        );
        let command = command.env("NIDS_DEFRAG_TIMEOUT", "9").env("NIDS_RUN_TAP", "yes");
        (output(command, 0).0, folder)
    };
    let (text, _folder) = run(toml);
    for line in [
        "iface = [\"e0\", \"e1\"]  # nids.toml:2:1",
        "rules = \"r\"  # nids.toml:3:1, live",
        "tap = true  # environment, NIDS_RUN_TAP",
        "memcap = \"1mb\"  # nids.toml:5:1",
        "timeout = 9  # environment, NIDS_DEFRAG_TIMEOUT",
        "HOME_NET = \"10.0.0.0/8\"  # nids.toml:9:1, live",
        "DNS = [\"10.1.1.1\", \"10.1.1.2\"]  # command line, live",
        "#trackers = 65535  # default",
        "#geoip-database =  # not set, live",
        "#mode = \"auto\"  # default",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    // Again from what it wrote: the same values.
    let values = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split("  # ").next().unwrap_or(line).to_owned()).collect()
    };
    assert_eq!(values(&run(&text).0), values(&text));
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let toml = "iface = 'eth0'\n[flow]\nmemcp = 1\nmemcap = 'much'\n";
    for args in [&["config", "--check"][..], &["check"], &["run"], &["read", "x.pcap"]] {
        let (command, _folder) = nids(toml, args);
        assert_eq!(
            output(command, 78).1,
            "nids: the configuration is refused:\n  \
             nids.toml:1:1: no setting is called `iface`; did you mean `run.iface`?\n  \
             nids.toml:3:1: no setting is called `flow.memcp`; did you mean `flow.memcap`?\n  \
             nids.toml:4:1: `flow.memcap` cannot be `much`: it takes a size such as 64mb\n"
        );
    }
    let (command, _folder) = nids("[run\n", &["config", "--check"]);
    assert!(output(command, 78).1.starts_with("nids: nids.toml:1:5: "));
    let (command, _folder) = nids("[run]\neve-types = ['flow']\n", &["config", "--check"]);
    assert!(output(command, 78).1.contains("--eve <FILE>"));
    let (command, _folder) = nids("", &["config", "--check"]);
    let (_, told) = output(command.env("NIDS_FLOW_MEMCAP", "much"), 78);
    assert_eq!(
        told,
        "nids: environment, NIDS_FLOW_MEMCAP: `flow.memcap` cannot be `much`: it takes a size such as 64mb.\n"
    );
    // What another program may mean by it is no reason to stay away.
    let (command, _folder) = nids("", &["config", "--check"]);
    let (_, told) = output(command.env("NIDS_SERVICE_HOST", "10.0.0.1"), 0);
    assert_eq!(
        told,
        "nids: the environment variable NIDS_SERVICE_HOST is no setting of this program\n"
    );
    let (command, _folder) = nids("unknown = 1\n", &["config", "--check", "--lenient"]);
    assert_eq!(output(command, 0).1, "nids: nids.toml:1:1: no setting is called `unknown`\n");
    let absent = Command::new(env!("CARGO_BIN_EXE_nids")).args(["--config", "/absent", "check"]);
    assert!(output(absent, 78).1.starts_with("nids: /absent: No such file"));
}

#[test]
fn file_environment_and_flags_in_this_order() {
    // A rule that only one of the variables makes right shows which of them counts.
    let rule = "alert tcp $SIDE any -> any any (msg:\"x\"; sid:1;)\n";
    let bad = "[vars.address-groups]\nSIDE = '[10.0.0.1, !10.0.0.1]'\n";
    let run = |toml: &str, environment: Option<&str>, set: Option<&str>, code: i32| {
        let mut args = vec!["check", "x.rules"];
        args.extend(set.map(|_| "--set"));
        args.extend(set);
        let (mut command, folder) = nids(toml, &args);
        fs::write(folder.path().join("x.rules"), rule).unwrap();
        if let Some(value) = environment {
            command = command.env("NIDS_VARS_ADDRESS_GROUPS_SIDE", value);
        }
        output(command, code)
    };
    let (good, wrong) = ("10.0.0.2", "[10.0.0.1, !10.0.0.1]");
    run("", None, None, 1);
    run(&bad.replace(wrong, good), None, None, 0);
    run(bad, None, None, 1);
    run(bad, Some(good), None, 0);
    run(&bad.replace(wrong, good), Some(wrong), None, 1);
    let set = format!("vars.address-groups.SIDE={good}");
    run(bad, Some(wrong), Some(&set), 0);
}
