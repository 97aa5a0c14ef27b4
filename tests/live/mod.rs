//! The real kernel, real services and real traffic, each test in network namespaces of its own.
//!
//! A live test needs root, the eBPF object and some tools. Where one is missing it says so and skips;
//! with the environment variable `CI` set it fails instead.

mod attach;
mod bed;
mod books;
pub mod bpf;
mod control;
mod flood;
mod handover;
mod heartbeat;
mod leftover;
mod mission;
mod monitor;
pub mod netns;
mod operation;
mod outputs;
mod process;
mod program;
pub mod reference;
mod sandbox;
pub mod sensor;
pub mod service;
mod settings;
mod shunt;
mod shunting;
mod soundness;
mod split;
mod traffic;
pub mod vlan;
mod witness;

use std::io::Write;
use std::path::{Path, PathBuf};

/// Whether a test that makes a bed can run here, with these programs at hand. Prints the reason where
/// not, past the capture of the test harness.
pub fn bed_ready(tools: &[&str]) -> bool {
    run_or_skip(missing(tools))
}

/// The same for a test that starts the sensor, which needs the eBPF object on top.
pub fn ready(tools: &[&str]) -> bool {
    run_or_skip(missing(tools).or_else(missing_object))
}

/// The same for a test that runs the kernel's programs without an interface.
pub fn programs_ready() -> bool {
    let no_root = !nix::unistd::geteuid().is_root();
    let missing = no_root.then(|| "loading programs needs root".to_string());
    run_or_skip(missing.or_else(missing_object))
}

fn run_or_skip(missing: Option<String>) -> bool {
    let Some(reason) = missing else { return true };
    assert!(std::env::var_os("CI").is_none(), "in CI no live test may skip: {reason}");
    let test = std::thread::current().name().unwrap_or("a live test").to_owned();
    let _ = writeln!(std::io::stderr(), "skipped {test}: {reason}");
    false
}

fn missing(tools: &[&str]) -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("live tests make network namespaces and need root".into());
    }
    let mut all = vec!["ip", "nsenter", "ethtool"];
    all.extend(tools);
    let absent: Vec<_> = all.into_iter().filter(|tool| !netns::installed(tool)).collect();
    (!absent.is_empty()).then(|| format!("not installed: {}", absent.join(", ")))
}

/// The program under test.
pub fn nids() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_nids"))
}

/// The eBPF object that the binary under test embeds.
fn object() -> PathBuf {
    std::env::var_os("NIDS_EBPF_OBJECT").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bpf/nids.o"),
        Into::into,
    )
}

fn missing_object() -> Option<String> {
    let built = std::fs::metadata(object()).is_ok_and(|file| file.len() > 0);
    (!built).then(|| "the eBPF object is not built: run `cargo xtask build-ebpf`".into())
}
