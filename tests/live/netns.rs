//! Test bed: network namespaces joined by a veth pair, gone again with the value that made them.
//!
//! Needs root and iproute2. Everything a bed starts runs inside its own namespaces, carries the pid of
//! this process in its name, waits a bounded time, and is killed and removed in `Drop`, so also when a
//! test panics. A bed whose process was killed is removed by the next one. `cargo xtask demo` and
//! `cargo xtask bench` stand on this file too. Services and the sensor are left to their own files.

use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longest wait for anything a bed does.
pub const LIMIT: Duration = Duration::from_secs(90);
/// Interface in the client's namespace.
pub const CLIENT_IFACE: &str = "c0";
/// Interface in the server's namespace, where sensors listen.
pub const SERVER_IFACE: &str = "s0";
/// IPv4 and IPv6 address of the client.
pub const CLIENT: [IpAddr; 2] = addresses(1);
/// IPv4 and IPv6 address of the server.
pub const SERVER: [IpAddr; 2] = addresses(2);

const PREFIX: &str = "nids-";

const fn addresses(host: u8) -> [IpAddr; 2] {
    [
        IpAddr::V4(Ipv4Addr::new(10, 77, 0, host)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, host as u16)),
    ]
}

/// One network namespace.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes it, with the loopback interface up.
    pub fn new(label: &str) -> io::Result<Self> {
        static SWEEP: Once = Once::new();
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        SWEEP.call_once(sweep);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{label}", std::process::id());
        checked(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self { name };
        // Nothing may speak on its own: tests count packets.
        namespace.run(
            "sh",
            &["-c", "cd /proc/sys/net/ipv6/conf/default && echo 0 > router_solicitations && echo 0 > accept_dad && echo 0 > accept_ra"],
        )?;
        namespace.run("ip", &["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// The file that stands for it.
    pub fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// A command that will run inside. `ip netns exec` would hide the host's /sys and its bpffs.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg("--").arg(program);
        command
    }

    /// Runs a command inside to its end, at most [`LIMIT`]; an error unless it succeeds.
    pub fn run(&self, program: &str, args: &[&str]) -> io::Result<Output> {
        checked(&mut self.bounded(program, args))
    }

    /// Runs a command inside to its end, at most [`LIMIT`], whatever its exit code.
    pub fn output(&self, program: &str, args: &[&str]) -> io::Result<Output> {
        self.bounded(program, args).stdin(Stdio::null()).output()
    }

    fn bounded(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=1", &LIMIT.as_secs().to_string(), "nsenter"]);
        command.arg(format!("--net={}", self.path().display())).arg("--").arg(program).args(args);
        command
    }

    /// Runs `work` on a thread of its own that has entered the namespace: sockets it opens are inside.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let result = thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter().expect("the namespace was made by us and is still there");
                work()
            });
            inside.join()
        });
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Moves the calling thread inside, for good.
    pub fn enter(&self) -> io::Result<()> {
        setns(fs::File::open(self.path())?, CloneFlags::CLONE_NEWNET)?;
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Kills what runs inside, then takes the namespace and with it its interfaces away.
fn remove(name: &str) {
    if let Ok(found) = Command::new("ip").args(["netns", "pids", name]).output() {
        for pid in String::from_utf8_lossy(&found.stdout).split_whitespace() {
            if let Ok(pid) = pid.parse::<i32>()
                && pid.cast_unsigned() != std::process::id()
            {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
    let _ = Command::new("ip").args(["netns", "del", name]).stderr(Stdio::null()).status();
}

/// Removes beds whose process is gone (killed before it could clean up).
fn sweep() {
    let Ok(entries) = fs::read_dir("/run/netns") else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if let Some(Ok(pid)) = pid.map(str::parse::<u32>)
            && !Path::new("/proc").join(pid.to_string()).exists()
        {
            remove(&name);
        }
    }
}

/// A client's and a server's namespace, joined by a veth pair with IPv4 and IPv6 addresses.
pub struct Bed {
    /// Has [`CLIENT_IFACE`] with the addresses [`CLIENT`].
    pub client: Namespace,
    /// Has [`SERVER_IFACE`] with the addresses [`SERVER`].
    pub server: Namespace,
}

impl Bed {
    /// Makes both with IPv4 and IPv6 addresses.
    pub fn new() -> io::Result<Self> {
        let bed = Self::bare(true)?;
        bed.address(&CLIENT, &SERVER)?;
        Ok(bed)
    }

    /// The same without IPv6 and without ARP: the only frames are those a test sends.
    pub fn quiet() -> io::Result<Self> {
        let bed = Self::bare(false)?;
        bed.address(&CLIENT[..1], &SERVER[..1])?;
        let hardware = [hardware(&bed.client, CLIENT_IFACE)?, hardware(&bed.server, SERVER_IFACE)?];
        introduce(&bed.client, CLIENT_IFACE, SERVER[0], &hardware[1])?;
        introduce(&bed.server, SERVER_IFACE, CLIENT[0], &hardware[0])?;
        Ok(bed)
    }

    /// Both ends up, without addresses.
    pub fn bare(ipv6: bool) -> io::Result<Self> {
        let bed = Self { client: Namespace::new("c")?, server: Namespace::new("s")? };
        for side in [&bed.client, &bed.server] {
            if !ipv6 {
                side.run("sh", &["-c", "for i in all default; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done"])?;
            }
        }
        let server = bed.server.name.as_str();
        bed.client.run(
            "ip",
            &[
                "link",
                "add",
                CLIENT_IFACE,
                "type",
                "veth",
                "peer",
                "name",
                SERVER_IFACE,
                "netns",
                server,
            ],
        )?;
        bed.server.run("ip", &["link", "set", SERVER_IFACE, "up"])?;
        bed.client.run("ip", &["link", "set", CLIENT_IFACE, "up"])?;
        Ok(bed)
    }

    fn address(&self, client: &[IpAddr], server: &[IpAddr]) -> io::Result<()> {
        for address in client {
            assign(&self.client, CLIENT_IFACE, *address)?;
        }
        for address in server {
            assign(&self.server, SERVER_IFACE, *address)?;
        }
        Ok(())
    }

    /// Turns segmentation and receive offloads off, so that what crosses the pair is what one counts.
    pub fn no_offloads(&self) -> io::Result<()> {
        for (side, iface) in [(&self.client, CLIENT_IFACE), (&self.server, SERVER_IFACE)] {
            side.run("ethtool", &["-K", iface, "tso", "off", "gso", "off", "gro", "off"])?;
        }
        Ok(())
    }
}

/// The hardware address of an interface.
fn hardware(side: &Namespace, iface: &str) -> io::Result<String> {
    let link = side.run("ip", &["-oneline", "link", "show", "dev", iface])?;
    let text = String::from_utf8_lossy(&link.stdout);
    let mut words = text.split_whitespace().skip_while(|word| *word != "link/ether");
    words
        .nth(1)
        .map(str::to_owned)
        .ok_or_else(|| io::Error::other(format!("no address in {text:?}")))
}

/// Tells a side another's hardware address, for good.
fn introduce(side: &Namespace, iface: &str, other: IpAddr, hardware: &str) -> io::Result<()> {
    let other = other.to_string();
    let args = ["neigh", "replace", &other, "lladdr", hardware, "dev", iface, "nud", "permanent"];
    side.run("ip", &args)?;
    Ok(())
}

/// Gives `iface` an address, usable at once.
pub fn assign(side: &Namespace, iface: &str, address: IpAddr) -> io::Result<()> {
    match address {
        IpAddr::V4(v4) => {
            side.run("ip", &["addr", "add", &format!("{v4}/24"), "dev", iface])?;
        }
        IpAddr::V6(v6) => {
            side.run("ip", &["addr", "add", &format!("{v6}/64"), "dev", iface, "nodad"])?;
        }
    }
    Ok(())
}

/// Runs to the end; an error that tells all unless it succeeds.
fn checked(command: &mut Command) -> io::Result<Output> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(output);
    }
    Err(io::Error::other(format!(
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )))
}

/// Whether a program is on the search path, or where Debian keeps the administrator's.
pub fn installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(tool).is_file())
}

/// Asks until it is so; false after `limit`.
pub fn wait_until(limit: Duration, mut so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !so() {
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

/// The lines a process has written so far.
#[derive(Clone, Default)]
pub struct Lines(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Lines {
    fn follow(&self, stream: impl Read + Send + 'static) {
        let lines = self.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(n) if n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                let (all, changed) = &*lines.0;
                all.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                changed.notify_all();
                line.clear();
            }
        });
    }

    /// All of them.
    pub fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first line with `needle` in it, waiting for it at most `limit`.
    pub fn find(&self, needle: &str, limit: Duration) -> Option<String> {
        let (all, changed) = &*self.0;
        let mut guard = all.lock().unwrap_or_else(PoisonError::into_inner);
        let end = Instant::now() + limit;
        loop {
            if let Some(line) = guard.iter().find(|line| line.contains(needle)) {
                return Some(line.clone());
            }
            let left = end.checked_duration_since(Instant::now())?;
            guard = changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A process whose output is read as it comes, killed with this value.
pub struct Process {
    child: Child,
    what: String,
    /// Standard output.
    pub stdout: Lines,
    /// Standard error.
    pub stderr: Lines,
}

impl Process {
    /// Starts it.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (stdout, stderr) = (Lines::default(), Lines::default());
        if let Some(stream) = child.stdout.take() {
            stdout.follow(stream);
        }
        if let Some(stream) = child.stderr.take() {
            stderr.follow(stream);
        }
        Ok(Self { child, what: format!("{command:?}"), stdout, stderr })
    }

    /// Its id (nsenter becomes the program it starts, so this is the program's).
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill(Pid::from_raw(self.child.id().cast_signed()), signal)?)
    }

    /// Its exit status once it has ended; an error after `limit`.
    pub fn wait(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        let mut status = None;
        wait_until(limit, || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        // The readers get the last lines a moment after the end.
        thread::sleep(Duration::from_millis(20));
        status.ok_or_else(|| self.error(format_args!("still runs after {limit:?}")))
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Waits for a line on standard error; an error when it does not come or the process ends first.
    pub fn expect_stderr(&mut self, needle: &str) -> io::Result<String> {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(line) = self.stderr.find(needle, Duration::from_millis(50)) {
                return Ok(line);
            }
            if self.ended() || Instant::now() > end {
                return Err(self.error(format_args!("no line with {needle:?}")));
            }
        }
    }

    fn error(&self, why: impl Display) -> io::Error {
        let (out, err) = (self.stdout.all().join("\n"), self.stderr.all().join("\n"));
        io::Error::other(format!("{}: {why}\n-- stdout\n{out}\n-- stderr\n{err}", self.what))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
