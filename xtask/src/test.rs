//! `cargo xtask test`: everything that CI runs behind fmt and clippy.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::{build, ebpf, packages};

/// Arguments of `test`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    ebpf: ebpf::Args,
    /// Arguments of `cargo test`, for example a test's name
    #[arg(last = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Builds the kernel half, sees to the packages, runs the tests and prints the totals.
///
/// # Errors
/// When something does not build or a test fails.
pub fn run(args: Args) -> Result<()> {
    let no_install = args.ebpf.no_install;
    ebpf::run(args.ebpf)?;
    packages::ensure(&packages::LIVE, no_install)?;
    packages::ensure_suricata(no_install);
    if !nix::unistd::geteuid().is_root() {
        eprintln!("Not root: the live tests will skip.");
    }
    let mut command = build::cargo();
    // --no-fail-fast: one run tells of all failures.
    command.args(["test", "--workspace", "--no-fail-fast"]).args(args.args).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start cargo test")?;
    let mut totals = Totals::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.context("reading what cargo test prints")?;
            println!("{line}");
            totals.add(&line);
        }
    }
    let status = child.wait().context("waiting for cargo test")?;
    println!(
        "total: {} passed; {} failed; {} ignored; in {} test binaries",
        totals.passed, totals.failed, totals.ignored, totals.binaries
    );
    if !status.success() {
        bail!("cargo test failed ({status})");
    }
    if totals.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    binaries: u64,
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Totals {
    /// Adds a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
    fn add(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else { return };
        self.binaries += 1;
        for part in rest.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (number, what) = (words.next().map(str::parse::<u64>), words.next());
            match (number, what) {
                (Some(Ok(number)), Some("passed")) => self.passed += number,
                (Some(Ok(number)), Some("failed")) => self.failed += number,
                (Some(Ok(number)), Some("ignored")) => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Totals;

    #[test]
    fn totals_are_read_from_what_cargo_prints() {
        let mut totals = Totals::default();
        totals.add("running 4 tests");
        totals.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.20s");
        totals.add("test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1.50s");
        assert_eq!(totals, Totals { binaries: 2, passed: 8, failed: 2, ignored: 1 });
    }
}
