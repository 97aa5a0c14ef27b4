//! `cargo xtask build`: both halves in release, as `target/release/nids` with the object inside.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{ebpf, workspace};

/// Arguments of `build`.
#[derive(clap::Args, Default)]
pub struct Args {
    #[command(flatten)]
    ebpf: ebpf::Args,
}

/// Builds.
///
/// # Errors
/// When a half does not build.
pub fn run(args: Args) -> Result<()> {
    let binary = nids(args.ebpf)?;
    eprintln!("{}: ready", workspace::shown(&binary));
    Ok(())
}

/// Builds both halves; gives the path of the binary.
///
/// # Errors
/// When a half does not build.
pub fn nids(ebpf: ebpf::Args) -> Result<PathBuf> {
    ebpf::run(ebpf)?;
    workspace::run(cargo().args(["build", "--release", "--package", "nids"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace::root().join("target"), |folder| workspace::root().join(folder));
    Ok(target.join("release/nids"))
}

/// The cargo that runs us, in the checkout.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root());
    command
}
