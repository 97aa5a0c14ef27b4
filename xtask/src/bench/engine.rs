//! The engines that are compared: this sensor, and Suricata where it is installed.
//!
//! Both get the same rules and write the same thing, a fast file. Suricata's settings are its defaults
//! but for the outputs (alerts only) and, live, one worker thread.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::bed::netns::{LIMIT, Namespace, Process, installed, wait_until};
use crate::bed::sensor::{Balance, RULES, Sensor};

/// Stands under every comparison. To be dropped when it is no longer so.
pub const CAVEAT: &str = "Both reassemble streams; Suricata parses HTTP meanwhile.";

/// One engine, ready to be started.
pub enum Engine {
    /// `target/release/nids`.
    Nids(PathBuf),
    /// Suricata, with a folder for its configuration and logs.
    Suricata(tempfile::TempDir),
}

/// What reading a file cost.
pub struct Offline {
    /// User and system time.
    pub cpu: f64,
    /// From start to end.
    pub seconds: f64,
    /// Largest resident size, in bytes.
    pub resident: f64,
    /// Alerts raised.
    pub alerts: u64,
}

/// What one live run saw.
#[derive(Clone, Copy)]
pub struct Live {
    /// Packets that the engine has counted.
    pub seen: u64,
    /// Packets that it lost, by its own word.
    pub lost: u64,
    /// Processor time of its process between the first packet and the end.
    pub cpu: f64,
    /// Alerts raised.
    pub alerts: u64,
}

/// This sensor, and Suricata if there is one; says so if there is none.
///
/// # Errors
/// When Suricata's configuration cannot be written.
pub fn all(nids: &Path) -> Result<Vec<Engine>> {
    let mut engines = vec![Engine::Nids(nids.to_owned())];
    if installed("suricata") {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("suricata.yaml"), SURICATA)?;
        fs::write(folder.path().join("test.rules"), RULES)?;
        engines.push(Engine::Suricata(folder));
    } else {
        println!(
            "Suricata is not installed, so there is nothing to compare with. On Debian 12:\n    \
             apt-get install suricata/bookworm-backports"
        );
    }
    Ok(engines)
}

impl Engine {
    /// Name and version.
    pub fn name(&self) -> String {
        let (program, flag) = match self {
            Self::Nids(path) => (path.as_path(), "--version"),
            Self::Suricata(_) => (Path::new("suricata"), "-V"),
        };
        let output = Command::new(program).arg(flag).output();
        let text =
            output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
        let version = text
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
        let name = if matches!(self, Self::Nids(_)) { "nids" } else { "Suricata" };
        format!("{name} {}", version.unwrap_or_default())
    }

    /// Reads a capture file to its end, with settings (`KEY=VALUE`) beside the defaults; both engines have
    /// them under the same names.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn read(&self, pcap: &Path, settings: &[&str]) -> Result<Offline> {
        let folder = tempfile::tempdir()?;
        let fast = folder.path().join("fast.log");
        let rules = folder.path().join("test.rules");
        fs::write(&rules, RULES)?;
        let mut command = match self {
            Self::Nids(path) => {
                let mut command = Command::new(path);
                command.arg("read").arg(pcap).arg("--rules").arg(&rules).arg("--fast").arg(&fast);
                command
            }
            Self::Suricata(config) => {
                let mut command = Command::new("suricata");
                command.args(["--runmode", "single", "-r"]).arg(pcap);
                command.arg("-c").arg(config.path().join("suricata.yaml"));
                command.arg("-S").arg(&rules).arg("-l").arg(folder.path());
                command
            }
        };
        for setting in settings {
            command.args(["--set", setting]);
        }
        let said = folder.path().join("said");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&said)?);
        let start = Instant::now();
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        let (status, usage) = wait(child)?;
        let seconds = start.elapsed().as_secs_f64();
        if !status.success() {
            bail!("{command:?}: {status}\n{}", fs::read_to_string(&said)?);
        }
        let time = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        Ok(Offline {
            cpu: time(usage.ru_utime) + time(usage.ru_stime),
            seconds,
            resident: usage.ru_maxrss as f64 * 1024.0,
            alerts: lines(&fast),
        })
    }

    /// Listens on `iface` inside `side` while `send` runs.
    ///
    /// # Errors
    /// When the engine fails, or its counters cannot be read.
    pub fn listen(
        &self,
        side: &Namespace,
        iface: &str,
        send: impl FnOnce() -> io::Result<()>,
    ) -> Result<Live> {
        match self {
            Self::Nids(path) => {
                let mut sensor =
                    Sensor::start(path, side, RULES, ["--iface", iface, "--workers", "1"])?;
                let cpu = watched(&sensor.process, send)?;
                let status = sensor.stop()?;
                if !status.success() {
                    bail!("nids run: {status}");
                }
                let balance = Balance::read(&sensor.process.stderr.all())?;
                let alerts = sensor.fast().len() as u64;
                Ok(Live { seen: balance.seen, lost: balance.lost, cpu, alerts })
            }
            Self::Suricata(config) => {
                let folder = tempfile::tempdir()?;
                let mut command = side.command("suricata");
                command.args(["--runmode", "workers", &format!("--af-packet={iface}")]);
                command.arg("-c").arg(config.path().join("suricata.yaml"));
                command.arg("-S").arg(config.path().join("test.rules"));
                command.arg("-l").arg(folder.path());
                let mut process = Process::spawn(&mut command)?;
                if !wait_until(LIMIT, || {
                    process.ended() || said(&process, "Engine started").is_some()
                }) || process.ended()
                {
                    bail!("Suricata did not start:\n{}", process.stdout.all().join("\n"));
                }
                let cpu = watched(&process, send)?;
                process.signal(Signal::SIGINT)?;
                process.wait(LIMIT)?;
                let line = said(&process, "packets:").context("Suricata's counters are missing")?;
                let number = |name: &str| -> Result<u64> {
                    let rest = line.split_once(name).map_or("", |(_, rest)| rest).trim_start();
                    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                    digits.parse().with_context(|| format!("no {name:?} in {line:?}"))
                };
                let (seen, lost) = (number("packets:")?, number("drops:")?);
                Ok(Live { seen, lost, cpu, alerts: lines(&folder.path().join("fast.log")) })
            }
        }
    }
}

/// A line on either stream.
fn said(process: &Process, needle: &str) -> Option<String> {
    let lines = process.stdout.all().into_iter().chain(process.stderr.all());
    lines.into_iter().find(|line| line.contains(needle))
}

/// Runs `send`, waits until the process is idle again, and gives the CPU seconds it took.
fn watched(process: &Process, send: impl FnOnce() -> io::Result<()>) -> Result<f64> {
    let before = process_cpu(process.pid())?;
    send()?;
    let mut last = process_cpu(process.pid())?;
    let settled = wait_until(LIMIT, || {
        std::thread::sleep(Duration::from_millis(250));
        let now = process_cpu(process.pid()).unwrap_or(last);
        let idle = now - last < 0.03;
        last = now;
        idle
    });
    if !settled {
        bail!("the engine is still busy {LIMIT:?} after the last packet");
    }
    Ok(last - before)
}

/// User and system time of a process with all its threads.
fn process_cpu(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} has ended"))?;
    // The name in parentheses may have blanks; behind it, utime and stime are fields 12 and 13.
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    // USER_HZ is 100 on every Linux architecture that this runs on.
    Ok(ticks as f64 / 100.0)
}

/// Waits for a process, and gives what this one alone has used.
///
/// # Errors
/// When somebody else has waited for it.
pub fn wait(child: Child) -> Result<(ExitStatus, libc::rusage)> {
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::zeroed());
    // SAFETY: both pointers are good for writing, and nobody else waits for the child.
    let pid = unsafe { libc::wait4(child.id().cast_signed(), &mut status, 0, usage.as_mut_ptr()) };
    if pid < 0 {
        return Err(io::Error::last_os_error()).context("cannot wait for the engine");
    }
    // SAFETY: all zeros are a valid value, and the call may have put another one in its place.
    Ok((ExitStatus::from_raw(status), unsafe { usage.assume_init() }))
}

fn lines(path: &Path) -> u64 {
    fs::read(path).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count() as u64)
}

const SURICATA: &str = "\
%YAML 1.1
---
vars:
  address-groups: { HOME_NET: 'any', EXTERNAL_NET: 'any' }
  port-groups: { HTTP_PORTS: '80' }
outputs:
  - fast: { enabled: yes, filename: fast.log, append: yes }
logging:
  default-log-level: notice
  outputs:
    - console: { enabled: yes }
stats: { enabled: yes, interval: 8 }
af-packet:
  - interface: default
    threads: 1
    cluster-id: 99
    cluster-type: cluster_flow
    defrag: yes
app-layer:
  protocols:
    http: { enabled: yes, libhtp: { default-config: { personality: IDS } } }
    ssh: { enabled: yes }
";
