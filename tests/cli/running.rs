//! The commands that ask a running sensor, where there is none; with one they are tested in `live`.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

fn nids(args: &[&str], socket: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nids"));
    command.args(args).arg("--socket").arg(socket).output().unwrap()
}

#[test]
fn without_a_sensor_they_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = folder.path().join("control.sock");
    for args in [&["status"][..], &["stats", "--json"], &["reload"], &["refused"], &["stats", "-w"]]
    {
        let output = nids(args, &nobody);
        assert_eq!(output.status.code(), Some(69), "{args:?}: {output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("no sensor listens on ") && text.contains("nids run"), "{text}");
        assert!(output.stdout.is_empty());
    }
    // One that was killed leaves its socket.
    drop(UnixListener::bind(&nobody).unwrap());
    let output = nids(&["status"], &nobody);
    assert_eq!(output.status.code(), Some(69), "{output:?}");
}
