//! `cargo xtask bench kernel`: what the kernel half costs a frame nobody wants, and how many wanted ones
//! it hands over. The measuring is done by `nids-user/benches/kernel.rs`, which has the loader at hand.

use anyhow::Result;

use crate::{build, ebpf, workspace};

/// Builds both objects, measures and prints.
///
/// # Errors
/// When something does not build, or the programs cannot be loaded here.
pub fn run(ebpf: ebpf::Args, rounds: u32) -> Result<()> {
    ebpf::run(ebpf)?;
    let mut command = build::cargo();
    command.args(["bench", "--quiet", "--package", "nids", "--bench", "kernel", "--"]);
    workspace::run(command.args(["--rounds", &rounds.to_string()]))
}
