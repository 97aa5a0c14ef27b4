//! What was found at the start, before the first frame: kernel, interfaces, and the plan of workers.
//!
//! Facts, and warnings where the machine is set in a way that costs frames or speed, each with the command
//! that changes it. Nothing here is changed by the sensor itself.

use std::fmt;
use std::fs;
use std::path::Path;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::utsname::uname;
use serde::{Deserialize, Serialize};

use crate::capture::ethtool::{self, NicSettings};
use crate::capture::interface::{self, Interface};
use crate::capture::xdp::{CapturePort, Mode, Plan};

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What it is about: `kernel`, `plan`, or an interface.
    pub subject: String,
    /// What it is.
    pub text: String,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Info,
    /// Better changed.
    Warning,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.text)
    }
}

impl Finding {
    fn info(subject: &str, text: String) -> Self {
        Self { level: Level::Info, subject: subject.to_owned(), text }
    }

    fn warning(subject: &str, text: String) -> Self {
        Self { level: Level::Warning, subject: subject.to_owned(), text }
    }

    /// What happened while attaching: `eth0: no driver mode: ...`.
    pub fn of_note(note: &str) -> Self {
        let (subject, text) = note.split_once(": ").unwrap_or(("attach", note));
        Self::info(subject, text.to_owned())
    }

    /// Says it where the sensor's other messages are.
    pub fn log(&self) {
        match self.level {
            Level::Info => log::info!("{self}"),
            Level::Warning => log::warn!("{self}"),
        }
    }
}

/// Looks at the machine. `processors` are those of the workers.
pub fn look(ports: &[CapturePort], plan: &Plan, processors: &[Option<usize>]) -> Vec<Finding> {
    let mut findings = kernel(&Kernel::find());
    let mut seen: Vec<u32> = Vec::new();
    // Frames that come in are the first port of an interface that has two.
    for port in ports {
        if seen.contains(&port.index) {
            continue;
        }
        seen.push(port.index);
        // What cannot be found out is not told.
        let Ok(interface) = interface::find(&port.interface) else { continue };
        let nic = ethtool::settings(&port.interface).unwrap_or_default();
        findings.extend(of_interface(&interface, &nic, port.mode, plan));
    }
    findings.extend(of_plan(plan, processors));
    findings
}

/// What the kernel has.
struct Kernel {
    release: String,
    btf: bool,
    /// `net.core.bpf_jit_enable`; `None` where it cannot be read.
    jit: Option<bool>,
    /// Bytes that may be locked; `None`: any.
    memlock: Option<u64>,
}

impl Kernel {
    fn find() -> Self {
        let release = uname().map(|name| name.release().to_string_lossy().into_owned());
        let jit = fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").ok();
        let memlock = getrlimit(Resource::RLIMIT_MEMLOCK).map_or(None, |(soft, _)| Some(soft));
        Self {
            release: release.unwrap_or_else(|_| "of unknown version".into()),
            btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
            jit: jit.map(|text| text.trim() != "0"),
            memlock: memlock.filter(|bytes| *bytes != RLIM_INFINITY),
        }
    }
}

fn kernel(kernel: &Kernel) -> Vec<Finding> {
    let btf = if kernel.btf { "with BTF" } else { "without BTF" };
    let memlock = match kernel.memlock {
        None => "memlock unlimited".to_owned(),
        // Since Linux 5.11 maps are charged to the memory cgroup instead.
        Some(bytes) => format!("memlock {} KiB (maps do not count)", bytes >> 10),
    };
    let text = format!("Linux {}, {btf}, {memlock}", kernel.release);
    let mut findings = vec![Finding::info("kernel", text)];
    if kernel.jit == Some(false) {
        let text = "BPF programs are interpreted, which makes each frame several times dearer: sysctl net.core.bpf_jit_enable=1";
        findings.push(Finding::warning("kernel", text.into()));
    }
    findings
}

fn of_interface(interface: &Interface, nic: &NicSettings, mode: Mode, plan: &Plan) -> Vec<Finding> {
    let name = interface.name.as_str();
    let mut facts = vec![format!("{mode} mode"), format!("MTU {}", interface.mtu)];
    facts.extend(nic.driver.as_ref().map(|driver| format!("driver {driver}")));
    if let Some((now, most)) = nic.queues {
        facts.push(format!("{now} of {most} queues"));
    }
    if let Some((now, most)) = nic.ring {
        facts.push(format!("{now} of {most} frames a queue"));
    }
    let on = |value: bool| if value { "on" } else { "off" };
    facts.extend(nic.gro.map(|value| format!("GRO {}", on(value))));
    facts.extend(nic.lro.map(|value| format!("LRO {}", on(value))));
    facts.extend(nic.symmetric.map(|symmetric| match symmetric {
        true => "RSS symmetric".to_owned(),
        // The two directions are merged by time, whichever processor brings them.
        false => "RSS not symmetric (which is no harm)".to_owned(),
    }));
    let mut findings = vec![Finding::info(name, facts.join(", "))];
    let mut warn = |text: String| findings.push(Finding::warning(name, text));
    if !interface.up {
        warn(format!("it is down: ip link set {name} up"));
    }
    if mode == Mode::Driver && nic.lro == Some(true) {
        warn(format!("LRO merges frames before they are seen: ethtool -K {name} lro off"));
    }
    // A veth pair keeps the tag in the frame's description too, and says so here; but nothing is lost on a
    // line that has no VLANs, so this is a fact and not a warning.
    if mode != Mode::Tcx && nic.vlan_offload == Some(true) {
        let text = format!(
            "VLAN tags are taken off before XDP: to see them, ethtool -K {name} rxvlan off"
        );
        findings.push(Finding::info(name, text));
    }
    // Queues of a device without rings, such as a veth pair, bring nothing to a processor by themselves.
    if let Some((queues, most)) = nic.queues
        && nic.ring.is_some()
        && queues == 1
        && most > 1
        && plan.rings_per_worker > 1
    {
        let more = most.min(plan.rings_per_worker as u32);
        let text = format!(
            "one queue brings all frames to one processor: ethtool -L {name} combined {more}"
        );
        findings.push(Finding::warning(name, text));
    }
    findings
}

fn of_plan(plan: &Plan, processors: &[Option<usize>]) -> Vec<Finding> {
    let workers = match processors.len() {
        1 => "1 worker".to_owned(),
        many => format!("{many} workers"),
    };
    let names: Vec<String> =
        processors.iter().map(|one| one.map_or("any".into(), |one| one.to_string())).collect();
    let rings = processors.len() * plan.rings_per_worker;
    let (each, all) = (plan.ring_bytes >> 10, (rings * plan.ring_bytes as usize) >> 20);
    let text = format!(
        "{workers} on processors {}, a ring of {each} KiB for each of {} processors and worker ({all} MiB in all)",
        names.join(" "),
        plan.rings_per_worker
    );
    let mut findings = vec![Finding::info("plan", text)];
    let mut pinned: Vec<usize> = processors.iter().copied().flatten().collect();
    pinned.sort_unstable();
    pinned.dedup();
    if pinned.len() < processors.iter().flatten().count() {
        let text = format!(
            "{} workers share {} processors: more --workers than processors only cost",
            processors.len(),
            pinned.len()
        );
        findings.push(Finding::warning("plan", text));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::interface::InterfaceCounters;

    fn interface() -> Interface {
        Interface {
            name: "eth0".into(),
            index: 2,
            mtu: 1500,
            hardware: 1,
            up: true,
            xdp: Vec::new(),
            counters: InterfaceCounters::default(),
        }
    }

    const PLAN: Plan = Plan { rings_per_worker: 4, ring_bytes: 1 << 20 };

    fn warnings(findings: &[Finding]) -> Vec<String> {
        let bad = findings.iter().filter(|finding| finding.level == Level::Warning);
        bad.map(ToString::to_string).collect()
    }

    #[test]
    fn a_well_set_interface_is_one_line() {
        let nic = NicSettings {
            driver: Some("ice".into()),
            gro: Some(true),
            lro: Some(false),
            vlan_offload: Some(false),
            queues: Some((8, 16)),
            ring: Some((2048, 8160)),
            symmetric: Some(true),
        };
        let found = of_interface(&interface(), &nic, Mode::Driver, &PLAN);
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "eth0: driver mode, MTU 1500, driver ice, 8 of 16 queues, 2048 of 8160 frames a queue, GRO on, LRO off, RSS symmetric"
            ]
        );
        let silent = of_interface(&interface(), &NicSettings::default(), Mode::Generic, &PLAN);
        assert_eq!(silent.len(), 1);
        assert_eq!(silent[0].to_string(), "eth0: generic mode, MTU 1500");
    }

    #[test]
    fn what_is_better_changed_is_told_with_the_command() {
        let nic = NicSettings {
            lro: Some(true),
            queues: Some((1, 8)),
            ring: Some((512, 512)),
            ..NicSettings::default()
        };
        let down = Interface { up: false, ..interface() };
        let found = warnings(&of_interface(&down, &nic, Mode::Driver, &PLAN));
        for command in
            ["ip link set eth0 up", "ethtool -K eth0 lro off", "ethtool -L eth0 combined 4"]
        {
            assert!(found.iter().any(|line| line.ends_with(command)), "{command}: {found:?}");
        }
        assert_eq!(found.len(), 3);
        // A veth pair has queues and no rings.
        let pair = NicSettings { queues: Some((1, 8)), ..NicSettings::default() };
        assert!(warnings(&of_interface(&interface(), &pair, Mode::Driver, &PLAN)).is_empty());
        // In the network stack frames are merged before the sensor sees them, and it takes them so.
        let lro = NicSettings { lro: Some(true), ..NicSettings::default() };
        assert!(warnings(&of_interface(&interface(), &lro, Mode::Generic, &PLAN)).is_empty());
    }

    #[test]
    fn kernels() {
        let good = Kernel { release: "6.12.1".into(), btf: true, jit: Some(true), memlock: None };
        let found = kernel(&good);
        assert_eq!(found[0].text, "Linux 6.12.1, with BTF, memlock unlimited");
        assert!(warnings(&found).is_empty());
        let slow = Kernel { jit: Some(false), memlock: Some(8 << 20), ..good };
        let found = kernel(&slow);
        assert!(found[0].text.ends_with("memlock 8192 KiB (maps do not count)"));
        assert_eq!(warnings(&found).len(), 1);
    }

    #[test]
    fn plans() {
        let found = of_plan(&PLAN, &[Some(0), Some(1)]);
        assert_eq!(
            found[0].text,
            "2 workers on processors 0 1, a ring of 1024 KiB for each of 4 processors and worker (8 MiB in all)"
        );
        assert!(warnings(&found).is_empty());
        assert_eq!(warnings(&of_plan(&PLAN, &[Some(0), Some(0), None])).len(), 1);
    }
}
