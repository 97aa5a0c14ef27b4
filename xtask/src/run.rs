//! `cargo xtask run -- ARGS`: from a checkout to a running sensor.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{build, ebpf, workspace};

/// Arguments of `run`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    ebpf: ebpf::Args,
    /// Arguments of `nids run`, for example --iface eth0
    #[arg(last = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Builds, then becomes `nids run`.
///
/// # Errors
/// When it cannot be built or started, or root is missing.
pub fn run(args: Args) -> Result<()> {
    let asks = |flags: &[&str]| {
        args.args.iter().any(|arg| {
            let arg = arg.to_string_lossy();
            flags.iter().any(|flag| arg == *flag || arg.starts_with(&format!("{flag}=")))
        })
    };
    // Said before the build, not after it.
    if !nix::unistd::geteuid().is_root() && !asks(&["--help", "-h"]) {
        let words: Vec<_> = args.args.iter().map(|arg| arg.to_string_lossy()).collect();
        bail!(
            "attaching to an interface needs root, and this is not root.\nRun\n\n    sudo -E env \
             \"PATH=$PATH\" cargo xtask run -- {words}\n\nor\n\n    cargo xtask build\n    sudo \
             target/release/nids run {words}\n",
            words = words.join(" ")
        );
    }
    let default_rules = !asks(&["--rules", "-r", "--help", "-h"]);
    let binary = build::nids(args.ebpf)?;
    let mut command = Command::new(&binary);
    command.arg("run");
    // Its default is rules/ in the current folder, which need not be the checkout's root.
    if default_rules {
        command.arg("--rules").arg(workspace::root().join("rules"));
    }
    command.args(args.args);
    // Replaces this process, so that Ctrl-C and other signals reach the sensor itself.
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start {}", binary.display()))
}
