//! Cost of loading rules: `cargo bench --bench rules -- FILE...`.
//!
//! For each file: processor time to parse it, to resolve the groups of its headers, and to compile a copy;
//! the least of five runs, since machines drift. And what became of the rules, by reason.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nids::detect::{self, Environment};
use nids::rule::ast::Rule;
use nids::rule::diagnostic::Refusal;
use nids::rule::parser::{Parsed, parse_bytes};
use nids::rule::variables::Variables;
use nix::time::{ClockId, clock_gettime};

const RUNS: usize = 5;

fn main() {
    let files: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    if files.is_empty() {
        println!("usage: cargo bench --bench rules -- FILE...");
    }
    for file in files {
        match std::fs::read(&file) {
            Ok(bytes) => measure(Path::new(&file), &bytes),
            Err(error) => println!("{file}: {error}"),
        }
    }
}

fn measure(path: &Path, bytes: &[u8]) {
    let file: Arc<Path> = Arc::from(path);
    let (parsing, parsed) = least(|| parse_bytes(&file, bytes));
    let (resolving, unresolved) = least(|| resolve(&parsed.rules));
    let environment = Environment::default();
    let (compiling, compiled) = least(|| detect::compile(&parsed.rules, &environment));
    let rate = bytes.len() as f64 / 1e6 / parsing.as_secs_f64();
    println!("{}", path.display());
    println!("  parsing    {parsing:>9.1?}  {rate:.0} MB/s");
    println!("  resolving  {resolving:>9.1?}  {unresolved} groups refused");
    println!("  compiling  {compiling:>9.1?}");
    let Parsed { rules, refusals, disabled, .. } = &parsed;
    println!("  {} rules, {disabled} disabled, {} loaded", rules.len(), compiled.ruleset.len());
    println!("  no rules: {:?}", by_reason(refusals));
    println!("  refused: {:?}", by_reason(&compiled.refusals));
}

/// Resolves both ends of every rule; the number of groups that cannot be.
fn resolve(rules: &[Rule]) -> usize {
    let variables = Variables::default();
    let mut refused = 0;
    for rule in rules {
        let Some(ends) = &rule.header.endpoints else { continue };
        for group in [&ends.source, &ends.destination] {
            refused += usize::from(black_box(variables.addresses(rule, group)).is_err());
        }
        for group in [&ends.source_port, &ends.destination_port] {
            refused += usize::from(black_box(variables.ports(rule, group)).is_err());
        }
    }
    refused
}

fn by_reason(refusals: &[Refusal]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for refusal in refusals {
        *counts.entry(refusal.kind.as_str()).or_default() += 1;
    }
    counts
}

/// The least time of some runs, and what the last gave.
fn least<T>(mut run: impl FnMut() -> T) -> (Duration, T) {
    let now =
        || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default();
    let mut timed = || {
        let start = now();
        let result = run();
        (now() - start, result)
    };
    let (mut best, mut last) = timed();
    for _ in 1..RUNS {
        let (took, result) = timed();
        (best, last) = (best.min(took), result);
    }
    (best, last)
}
