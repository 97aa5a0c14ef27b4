//! The command line: one file a subcommand. Each parses its own flags, joins the stages, and returns
//! an [`exit::Failure`] with a documented exit code.

pub mod alerts;
mod arguments;
pub mod check;
pub mod config;
pub mod exit;
mod explain;
pub mod interrupt;
pub mod monitor;
mod observe;
mod outputs;
pub mod read;
pub mod refused;
pub mod reload;
pub mod rules;
pub mod run;
pub mod socket;
pub mod stats;
pub mod status;
pub mod stdout;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Network intrusion detection sensor: an XDP filter in the kernel, Snort and Suricata rules behind it.
#[derive(Parser)]
#[command(name = "nids", version, about, after_help = exit::HELP)]
struct Cli {
    /// Settings of run, read and check [default: /etc/nids/nids.toml, if it is there; environment:
    /// NIDS_CONFIG].
    #[arg(long, value_name = "FILE", global = true, env = "NIDS_CONFIG", hide_env = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

/// One variant a file in this folder: `Name(name::Args)`; the file has `pub fn run(args) -> Result<(), Failure>`.
#[derive(Subcommand)]
enum Command {
    Run(run::Args),
    Status(status::Args),
    Stats(stats::Args),
    Reload(reload::Args),
    Refused(refused::Args),
    Alerts(alerts::Args),
    Monitor(monitor::Args),
    Read(read::Args),
    Check(check::Args),
    Config(config::Args),
}

/// Parses the command line and runs the subcommand.
pub fn main() -> ExitCode {
    let arguments = match arguments::effective(std::env::args_os().collect()) {
        Ok(arguments) => arguments,
        Err(failure) => return failure.report(),
    };
    let Cli { command, config } = Cli::parse_from(arguments);
    let result = match command {
        Command::Run(args) => run::run(args),
        Command::Status(args) => status::run(args),
        Command::Stats(args) => stats::run(args),
        Command::Reload(args) => reload::run(args),
        Command::Refused(args) => refused::run(args),
        Command::Alerts(args) => alerts::run(args),
        Command::Monitor(args) => monitor::run(args),
        Command::Read(args) => read::run(args),
        Command::Check(args) => check::run(args),
        Command::Config(args) => config::run(&args, config.as_deref()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// One line for the person at the terminal, on standard error. A closed one is no reason to panic.
pub(crate) fn say(text: std::fmt::Arguments<'_>) {
    let _ = std::io::stderr().write_all(format!("nids: {text}\n").as_bytes());
}
