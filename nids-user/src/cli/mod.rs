//! The command line: one file a subcommand. Each parses its own flags, joins the stages, and returns
//! an [`exit::Failure`] with a documented exit code.

pub mod exit;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Network intrusion detection sensor: an XDP filter in the kernel, Snort and Suricata rules behind it.
#[derive(Parser)]
#[command(name = "nids", version, about, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One variant a file in this folder: `Name(name::Args)`; the file has `pub fn run(args) -> Result<(), Failure>`.
#[derive(Subcommand)]
enum Command {}

/// Parses the command line and runs the subcommand.
pub fn main() -> ExitCode {
    let result: Result<(), exit::Failure> = match Cli::parse().command {};
    #[allow(unreachable_code)]
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
