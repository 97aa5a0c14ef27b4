//! What goes wrong at the start: each with one clear text and a documented exit code.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use snapbox::{assert_data_eq, str};

const RULES: &str = "alert tcp any any -> any 80 (msg:\"a\"; content:\"b\"; sid:1;)\n";

/// A folder that everybody may enter, with the rules, a capture file without packets and the binary:
/// the checkout itself may lie where only its owner can go.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("good.rules"), RULES).unwrap();
        let header = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
        fs::write(folder.path().join("empty.pcap"), header).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Runs `nids` here; its exit code and what it says on standard error.
    fn nids(&self, args: &[&str]) -> (i32, String) {
        self.run(Path::new(env!("CARGO_BIN_EXE_nids")), args, false)
    }

    fn run(&self, binary: &Path, args: &[&str], nobody: bool) -> (i32, String) {
        let mut command = Command::new(binary);
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        if nobody {
            let user = nix::unistd::User::from_name("nobody").unwrap().unwrap();
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        let output = command.output().unwrap();
        assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// The same with the code that is expected; the text is returned for a snapshot.
    fn fails(&self, code: i32, args: &[&str]) -> String {
        let (got, text) = self.nids(args);
        assert_eq!(got, code, "{args:?}: {text}");
        text
    }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn a_capture_file_that_is_none() {
    let here = Folder::new();
    let pcap = fs::read(here.path("empty.pcap")).unwrap();
    here.write("text.pcap", "this is no capture file\n");
    here.write("short.pcap", &pcap[..8]);
    let record = |link: u8, length: u32| {
        let mut bytes = pcap.clone();
        bytes[20] = link;
        bytes.extend([1, 1, length, length].map(u32::to_le_bytes).concat());
        bytes.extend([0; 10]);
        bytes
    };
    here.write("link.pcap", record(147, 10));
    here.write("huge.pcap", record(1, 0x7fff_ffff));
    let read = |file| here.fails(65, &["read", file, "--rules", "good.rules"]);
    assert_data_eq!(
        read("text.pcap"),
        str![[r#"
nids: text.pcap: it is no capture file: it begins with [74, 68, 69, 73], which neither pcap nor pcapng does.

"#]]
    );
    assert_data_eq!(
        read("short.pcap"),
        str![[r#"
nids: short.pcap: it ends within its header, at byte 8.

"#]]
    );
    assert_data_eq!(
        read("link.pcap"),
        str![[r#"
nids: link.pcap: its link type is 147 (see tcpdump.org/linktypes.html), which cannot be decoded.

"#]]
    );
    // What was good before it has been inspected, and the books are shown.
    assert_data_eq!(
        read("huge.pcap"),
        str![[r#"
...
nids: packets: 0 received = 0 inspected + 0 skipped
...
nids: huge.pcap: the frame at byte 24 says it has 2147483647 bytes; 262144 is the most.

"#]]
    );
}

#[test]
fn a_file_to_read_that_is_missing() {
    let here = Folder::new();
    assert_data_eq!(
        here.fails(66, &["read", "none.pcap", "--rules", "good.rules"]),
        str![[r#"
nids: none.pcap: cannot open it: No such file or directory (os error 2).

"#]]
    );
    assert_data_eq!(
        here.fails(66, &["read", ".", "--rules", "good.rules"]),
        str![[r#"
nids: .: cannot open it: is a directory.

"#]]
    );
    assert_data_eq!(
        here.fails(66, &["read", "empty.pcap", "--rules", "none.rules"]),
        str![[r#"
nids: none.rules: the rules cannot be opened: No such file or directory (os error 2).

"#]]
    );
}

#[test]
fn rules_that_are_refused() {
    let here = Folder::new();
    here.write(
        "bad.rules",
        format!("{RULES}{}", RULES.replace("content", "contint").replace("sid:1", "sid:2")),
    );
    let strict = ["read", "empty.pcap", "--rules", "bad.rules", "--strict"];
    assert_data_eq!(
        here.fails(65, &strict),
        str![[r#"
nids: warning: bad.rules:2: rule refused: unknown keyword `contint`; did you mean `content`?
nids: 1 rule is refused, and --strict is set.

"#]]
    );
    // Without --strict the good ones work.
    let (code, text) = here.nids(&strict[..4]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("bad.rules:2: rule refused"), "{text}");
}

#[test]
fn an_output_that_cannot_be_written() {
    let here = Folder::new();
    let read = ["read", "empty.pcap", "--rules", "good.rules"];
    assert_data_eq!(
        here.fails(73, &[&read[..], &["--eve", "none/eve.json"]].concat()),
        str![[r#"
nids: eve output none/eve.json cannot be opened: No such file or directory (os error 2).

"#]]
    );
    assert_data_eq!(
        here.fails(73, &[&read[..], &["--fast", "."]].concat()),
        str![[r#"
nids: fast output . cannot be opened: Is a directory (os error 21).

"#]]
    );
    if is_root() {
        let run = ["run", "--iface", "lo", "--rules", "good.rules", "--eve", "none/eve.json"];
        assert_data_eq!(
            here.fails(73, &run),
            str![[r#"
nids: rules: good.rules
nids: eve output none/eve.json cannot be opened: No such file or directory (os error 2).

"#]]
        );
    }
}

#[test]
fn a_setting_that_is_unknown() {
    let here = Folder::new();
    let args = ["read", "empty.pcap", "--rules", "good.rules", "--set", "no.such=1"];
    assert_data_eq!(
        here.fails(78, &args),
        str![[r#"
nids: no setting is called `no.such`.

"#]]
    );
    let (code, text) = here.nids(&[&args[..], &["--lenient"]].concat());
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("nids: warning: no setting is called `no.such`\n"), "{text}");
}

#[test]
fn an_interface_that_is_missing() {
    // Without rights that is what it says first: see below.
    if !crate::live::bed_ready(&[]) {
        return;
    }
    let here = Folder::new();
    for args in [&["run", "--rules", "good.rules"][..], &["monitor"]] {
        assert_data_eq!(
            here.fails(69, &[args, &["--iface", "nosuch0"]].concat()),
            str![[r#"
nids: there is no interface nosuch0; present are: [..].

"#]]
        );
    }
    assert_data_eq!(
        here.fails(78, &["run", "--iface", "lo", "--rules", "good.rules", "--user", "nosuchuser"]),
        str![[r#"
nids: there is no user nosuchuser.

"#]]
    );
}

#[test]
fn without_root_it_names_the_rights_it_needs() {
    let here = Folder::new();
    let binary = here.path("nids");
    fs::copy(env!("CARGO_BIN_EXE_nids"), &binary).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    for command in ["run", "monitor"] {
        let (code, text) = here.run(&binary, &[command, "--iface", "lo"], is_root());
        assert_eq!(code, 77, "{text}");
        assert_data_eq!(
            text,
            str![[r#"
nids: capturing needs root, or the capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; this process lacks CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON.

"#]]
        );
    }
}

#[test]
fn a_command_line_that_is_wrong() {
    let here = Folder::new();
    for args in [
        &["frobnicate"][..],
        &["read"],
        &["run", "--mode", "fast"],
        &["run", "--direction", "sideways"],
        &["run", "--ring-size", "3"],
        &["run", "--workers", "0"],
        &["monitor", "tcp nad port 80"],
    ] {
        let text = here.fails(2, args);
        assert!(text.contains("error: ") || text.starts_with("nids: this is no filter"), "{text}");
    }
    assert_data_eq!(
        here.fails(2, &["run", "--ring-size", "3"]),
        str![[r#"
error: invalid value '3' for '--ring-size <KIB>': it must be a power of two from 4 to 1048576

For more information, try '--help'.

"#]]
    );
}

#[test]
fn a_mistyped_type_of_record_is_told_with_the_one_that_is_meant() {
    let folder = Folder::new();
    let (code, err) =
        folder.nids(&["read", "empty.pcap", "--eve", "e", "--eve-types", "alert,netflw"]);
    assert_eq!(code, 2);
    assert!(err.contains("'netflw'") && err.contains("'netflow'"), "{err}");
    let (code, err) = folder.nids(&["read", "empty.pcap", "--eve-types", "flow"]);
    assert_eq!(code, 2);
    assert!(err.contains("--eve <FILE>"), "{err}");
}
