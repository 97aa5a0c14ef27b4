//! `nids run` inside a namespace: started, watched, stopped, and what it left behind.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use nix::sys::signal::Signal;

use super::netns::{LIMIT, Namespace, Process, wait_until};

/// The two rules of the README.
pub const RULES: &str = r#"
alert tcp any any -> any 80 (content:"/etc/passwd"; msg:"Potential directory traversal attack"; sid:1000001;)
alert tcp any any -> any 22 (content:"USER root"; msg:"Attempted login as root"; sid:1000002;)
"#;

/// What `nids run` says once it is attached and its workers are ready.
const READY: &str = "listening";

/// A running sensor with its rules, fast file and EVE file in a folder of its own.
pub struct Sensor {
    /// The process.
    pub process: Process,
    folder: tempfile::TempDir,
}

impl Sensor {
    /// Starts `binary` inside `side` with these rules, and waits until it listens.
    pub fn start<S: AsRef<OsStr>>(
        binary: &Path,
        side: &Namespace,
        rules: &str,
        args: impl IntoIterator<Item = S>,
    ) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        // `--user` must be able to reopen the logs.
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
        fs::write(folder.path().join("test.rules"), rules)?;
        let mut command = side.command(binary);
        command.arg("run").args(args).current_dir(folder.path());
        for (flag, name) in
            [("--rules", "test.rules"), ("--fast", "fast.log"), ("--eve", "eve.json")]
        {
            command.arg(flag).arg(folder.path().join(name));
        }
        let socket = folder.path().join("control.sock");
        command.arg("--set").arg(format!("control.socket={}", socket.display()));
        let mut process = Process::spawn(&mut command)?;
        process.expect_stderr(READY)?;
        Ok(Self { process, folder })
    }

    /// Writes its rules anew; SIGUSR2 makes it read them.
    pub fn write_rules(&self, rules: &str) -> io::Result<()> {
        fs::write(self.file("test.rules"), rules)
    }

    /// A file in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lines of the fast file so far.
    pub fn fast(&self) -> Vec<String> {
        let text = fs::read_to_string(self.file("fast.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Events of the EVE file so far; only whole lines.
    pub fn eve(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.file("eve.json")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// Waits until EVE has `count` events; what it has then.
    pub fn wait_eve(&self, count: usize) -> Vec<serde_json::Value> {
        wait_until(LIMIT, || self.eve().len() >= count);
        self.eve()
    }

    /// The last balance it printed.
    pub fn balance(&self) -> io::Result<Balance> {
        Balance::read(&self.process.stderr.all())
    }

    /// Ends it as Ctrl-C does.
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        self.process.signal(Signal::SIGINT)?;
        self.process.wait(LIMIT)
    }
}

/// The balance that the sensor prints when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Frames the kernel half was run for.
    pub seen: u64,
    /// Frames no rule could care about.
    pub filtered: u64,
    /// Frames of flows that are let by.
    pub shunted: u64,
    /// Frames handed to the agent.
    pub forwarded: u64,
    /// Frames that should have been handed over and were not.
    pub lost: u64,
    /// Frames the agent has inspected.
    pub inspected: u64,
    /// Frames the agent could not inspect.
    pub skipped: u64,
}

impl Balance {
    /// Reads the last one among the lines.
    pub fn read(lines: &[String]) -> io::Result<Self> {
        let number = |name: &str| {
            let words = lines.iter().rev().find_map(|line| {
                let rest = line.split_once(name)?.1;
                let word = rest.split_whitespace().next()?.trim_end_matches([',', ';']);
                word.parse::<u64>().ok()
            });
            words.ok_or_else(|| {
                io::Error::other(format!("no number behind {name:?} in\n{}", lines.join("\n")))
            })
        };
        Ok(Self {
            seen: number("seen")?,
            filtered: number("filtered")?,
            shunted: number("shunted")?,
            forwarded: number("forwarded")?,
            lost: number("lost")?,
            inspected: number("inspected")?,
            skipped: number("skipped")?,
        })
    }

    /// What is missing from either side of the books; (0, 0) when they balance.
    pub fn difference(&self) -> (i128, i128) {
        let [seen, filtered, shunted, forwarded, lost] =
            [self.seen, self.filtered, self.shunted, self.forwarded, self.lost].map(i128::from);
        let [inspected, skipped] = [self.inspected, self.skipped].map(i128::from);
        (seen - filtered - shunted - forwarded - lost, forwarded - inspected - skipped)
    }
}
