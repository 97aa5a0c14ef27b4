//! Debian packages that the live tests and the demo need.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::bed::netns::installed;
use crate::workspace;

/// Programs of the live tests, and the package each is in.
pub const LIVE: [(&str, &str); 7] = [
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("ethtool", "ethtool"),
    ("nginx", "nginx"),
    ("curl", "curl"),
    ("tcpdump", "tcpdump"),
    ("tcpreplay", "tcpreplay"),
];

/// Installs the packages of those programs that are missing, and says so first. Where that is not
/// allowed or not possible it says what to install, and goes on: what needs them says so again.
///
/// # Errors
/// When apt-get fails.
pub fn ensure(wanted: &[(&str, &str)], no_install: bool) -> Result<()> {
    let missing: Vec<_> =
        wanted.iter().filter(|(tool, _)| !installed(tool)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let command = format!("apt-get install --yes --no-install-recommends {}", missing.join(" "));
    if no_install || !nix::unistd::geteuid().is_root() || !installed("apt-get") {
        eprintln!("Not installed: {}. Install with\n    sudo {command}", missing.join(", "));
        return Ok(());
    }
    eprintln!("Installing what is missing:\n    {command}");
    let _quiet = NoServices::new();
    workspace::run(Command::new("apt-get").args(["update", "--quiet"]))?;
    workspace::run(
        Command::new("apt-get")
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args(missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// Installs Suricata, which some tests compare with, from the backports suite of the Debian at hand where apt
/// has it, else from the release itself. What fails is told and no error: these tests skip, and say why.
pub fn ensure_suricata(no_install: bool) {
    if installed("suricata") {
        return;
    }
    if no_install || !nix::unistd::geteuid().is_root() || !installed("apt-get") {
        eprintln!("Suricata is not installed: the tests that compare with it will skip.");
        return;
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let backports = codename.map(|codename| format!("suricata/{codename}-backports"));
    let _quiet = NoServices::new();
    for package in backports.iter().map(String::as_str).chain(["suricata"]) {
        let mut command = Command::new("apt-get");
        command.args(["install", "--yes", "--quiet", "--no-install-recommends", package]);
        match workspace::run(command.env("DEBIAN_FRONTEND", "noninteractive")) {
            Ok(()) => return,
            Err(error) => eprintln!("{package} cannot be installed: {error}"),
        }
    }
    eprintln!("The tests that compare with Suricata will skip.");
}

/// While this lives, Debian starts no service of a package it installs: the tests want nginx the
/// program, not a web server on the host. The way is Debian's own, invoke-rc.d's policy file.
struct NoServices(bool);

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NoServices {
    fn new() -> Self {
        // One that is there already is the administrator's.
        let ours = !Path::new(POLICY).exists()
            && fs::write(POLICY, "#!/bin/sh\nexit 101\n").is_ok()
            && fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)).is_ok();
        Self(ours)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.0 {
            let _ = fs::remove_file(POLICY);
        }
    }
}
