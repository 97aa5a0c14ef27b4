//! `cargo xtask`: what a checkout needs to be built, run, tested and measured.
//!
//! One file a subcommand; each has `pub struct Args` and `pub fn run(args: Args) -> anyhow::Result<()>`.

mod ebpf;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Build, run, test and measure nids from a checkout.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the kernel half into target/bpf/; find or install the toolchain for it
    BuildEbpf(ebpf::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::BuildEbpf(args) => ebpf::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
