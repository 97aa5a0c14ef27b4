//! `cargo xtask`: what a checkout needs to be built, run, tested and measured.
//!
//! One file a subcommand; each has `pub struct Args` and `pub fn run(args: Args) -> anyhow::Result<()>`.

mod bed;
mod bench;
mod build;
mod demo;
mod ebpf;
mod packages;
mod run;
mod test;
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
    /// Build both halves in release: target/release/nids, the eBPF object inside
    Build(build::Args),
    /// Build, then `nids run` with the arguments behind `--` (needs root)
    Run(run::Args),
    /// Run all tests; install what the live ones need
    Test(test::Args),
    /// Attack a real web server in network namespaces of its own, and show the alerts (needs root)
    Demo(demo::Args),
    /// Measure: the kernel half, the whole sensor live, and reading capture files
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::BuildEbpf(args) => ebpf::run(args),
        Command::Build(args) => build::run(args),
        Command::Run(args) => run::run(args),
        Command::Test(args) => test::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Bench(args) => bench::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
