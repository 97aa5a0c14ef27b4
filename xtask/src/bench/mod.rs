//! `cargo xtask bench`: the figures of docs/benchmarks.md, as tables to paste.
//!
//! All of them are ratios within one run on one machine: runs alternate, and medians are shown.

mod cost;
mod engine;
mod flows;
mod kernel;
mod live;
mod read;
mod replay;
mod rules;
mod sender;
mod table;
mod traffic;

use std::path::PathBuf;

use anyhow::Result;

use crate::{build, ebpf};

/// Arguments of `bench`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    ebpf: ebpf::Args,
    /// What to measure
    #[arg(value_enum, default_value = "all")]
    what: What,
    /// Rounds; each engine runs once in each
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Public ruleset for `rules` [default: that of Emerging Threats beside the checkout]
    #[arg(long, value_name = "FILE")]
    ruleset: Option<PathBuf>,
    /// Packets of the generated traffic
    #[arg(long, default_value_t = 300_000, value_parser = clap::value_parser!(u32).range(1000..=5_000_000))]
    packets: u32,
    /// Keep the capture that `read` makes of the mixed traffic, to look into what it costs
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// The kernel half alone: cost of an unwanted frame, and the hand-over (needs root)
    Kernel,
    /// The whole sensor on a veth pair: packets per second without loss (needs root)
    Live,
    /// Reading a capture file, of HTTP and of mixed traffic: CPU seconds
    Read,
    /// Open flows: bytes of memory each, and how many can begin in a CPU second
    Flows,
    /// Many rules: loading them, and reading a capture file with them
    Rules,
    /// All of them
    All,
}

/// Measures and prints.
///
/// # Errors
/// When something does not build, or an engine does not do what it was started for.
pub fn run(args: Args) -> Result<()> {
    if matches!(args.what, What::Kernel | What::All) {
        kernel::run(args.ebpf, args.rounds)?;
    }
    if args.what == What::Kernel {
        return Ok(());
    }
    let binary = build::nids(args.ebpf)?;
    if matches!(args.what, What::Flows | What::All) {
        flows::run(&binary, args.rounds)?;
    }
    if args.what == What::Flows {
        return Ok(());
    }
    let traffic = traffic::http(args.packets as usize, 1);
    println!("{}", traffic.describe());
    if matches!(args.what, What::Read | What::All) {
        read::run(&binary, &traffic, args.rounds, None)?;
        let mixed = traffic::mixed(args.packets as usize, 1);
        println!("{}", mixed.describe());
        read::run(&binary, &mixed, args.rounds, args.keep.as_deref())?;
    }
    if matches!(args.what, What::Rules | What::All) {
        let ruleset = args.ruleset.unwrap_or_else(rules::default_ruleset);
        let mixed = traffic::mixed(args.packets as usize, 1);
        println!("{}", mixed.describe());
        rules::run(&binary, &ruleset, &mixed, args.rounds)?;
    }
    if matches!(args.what, What::Live | What::All) {
        live::run(&binary, &traffic, args.rounds)?;
    }
    Ok(())
}
