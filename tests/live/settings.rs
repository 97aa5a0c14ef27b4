//! The configuration file of a running sensor: what a reload puts in force, and what it does not.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use super::netns::{Bed, LIMIT, Process, SERVER, wait_until};

#[test]
fn a_reload_reads_the_file_again_and_takes_what_is_live() {
    if !super::ready(&[]) {
        return;
    }
    let bed = Bed::quiet().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("log")).unwrap();
    for open in [folder.path().to_owned(), path("log")] {
        fs::set_permissions(open, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let rule = |sid: u32| {
        format!("alert udp any any -> $TARGET 9 (msg:\"x\"; content:\"word\"; sid:{sid};)\n")
    };
    fs::write(path("a.rules"), rule(1)).unwrap();
    fs::write(path("b.rules"), rule(2)).unwrap();
    let write = |rules: &str, target: &str, memcap: &str| {
        let text = format!(
            "rule-files = ['{rules}']\n[run]\niface = 's0'\nuser = 'nobody'\nquiet = true\n\
             eve = 'log/eve.json'\n[flow]\nmemcap = '{memcap}'\n\
             [vars.address-groups]\nTARGET = '{target}'\n"
        );
        fs::write(path("new.toml"), text).unwrap();
        fs::rename(path("new.toml"), path("nids.toml")).unwrap();
    };
    write("a.rules", "10.9.9.9", "64mb");
    let mut command = bed.server.command(super::nids());
    command.args(["run", "--config", "nids.toml"]).current_dir(folder.path());
    let mut process = Process::spawn(&mut command).unwrap();
    process.expect_stderr("listening on s0").unwrap();

    let say = || {
        bed.client.within(|| {
            let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
            socket.send_to(b"word", (SERVER[0], 9)).unwrap();
        });
    };
    let alerts = || fs::read_to_string(path("log/eve.json")).unwrap_or_default();
    say();
    // Another file, another variable; and a cap that is given out at the start.
    write("b.rules", &SERVER[0].to_string(), "32mb");
    process.signal(Signal::SIGUSR2).unwrap();
    let told = || process.stderr.all();
    assert!(process.stderr.find("reloaded: 1 rule", LIMIT).is_some(), "{:#?}", told());
    let waits = "`flow.memcap` was changed: that takes effect at the next start";
    assert!(process.stderr.find(waits, LIMIT).is_some(), "{:#?}", told());
    assert!(told().iter().all(|line| !line.contains("`rule-files` was changed")), "{:#?}", told());
    say();
    assert!(wait_until(LIMIT, || alerts().lines().count() > 0), "{:#?}", told());
    assert!(alerts().contains("\"signature_id\":2"), "{}", alerts());

    // A file that is wrong leaves all as it is.
    fs::write(path("nids.toml"), "[run]\niface = 's0'\n[flow]\nmemcp = 1\n").unwrap();
    process.signal(Signal::SIGUSR2).unwrap();
    let wrong = process.stderr.find("did you mean `flow.memcap`?", LIMIT);
    assert!(
        wrong.is_some_and(|line| line.contains("the rules stay as they were")),
        "{:#?}",
        told()
    );
    say();
    assert!(wait_until(LIMIT, || alerts().lines().count() >= 2), "{:#?}", told());
    process.signal(Signal::SIGTERM).unwrap();
    assert!(process.wait(LIMIT).unwrap().success());
    assert_eq!(process.stderr.all().last().map(String::as_str), Some("balance: difference 0"));
    assert_eq!(
        alerts().lines().filter(|line| line.contains("\"event_type\":\"alert\"")).count(),
        2
    );
}
