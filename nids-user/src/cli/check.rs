//! `nids check`: loads and compiles rules as the sensor would, and shows every refusal with its place.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use serde::Serialize;

use super::exit::{Code, Failure};
use super::rules::RuleArgs;
use super::stdout::Lines;
use super::{interrupt, say};
use crate::config::Settings;
use crate::detect;
use crate::rule::diagnostic::{ReasonKind, Refusal, printable};
use crate::runtime::rules::RuleSource;

/// Reasons that are named under one kind in the summary; the rest are counted together.
const NAMED: usize = 8;

/// Loads rules as the sensor does, and shows each rule that is refused, with place and reason.
///
/// Refusals go to standard error, the summary to standard output. The exit code is 0 when every rule is
/// loaded, 1 when one is refused, 66 when a path cannot be read.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files, and folders with *.rules [default: rules/ here, else the built-in rules].
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print one JSON object a line to standard output: first the refusals, last the summary.
    #[arg(long)]
    json: bool,
    /// Print the summary only.
    #[arg(long, short)]
    quiet: bool,
    /// Fail with exit code 65 where `run --strict` would not start, and where a rule gave way to a
    /// higher rev or a line of classification.config or reference.config cannot be read.
    #[arg(long)]
    strict: bool,
    /// Set a variable or setting, by Suricata's name: vars.address-groups.HOME_NET=10.0.0.0/8.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    rule_args: RuleArgs,
}

/// The last line of `--json`.
#[derive(Debug, Serialize)]
struct Summary {
    loaded: usize,
    refused: usize,
    disabled: usize,
    by_reason: BTreeMap<&'static str, usize>,
}

/// Checks the rules.
pub fn run(args: Args) -> Result<(), Failure> {
    interrupt::install();
    let mut settings = Settings::default();
    settings.set_all(&args.set, false)?;
    args.rule_args.apply(&mut settings);
    let source = RuleSource::new(&args.paths, &settings, args.strict);
    let mut loaded = source.load()?;
    let environment = source.environment(&mut loaded)?;
    let compiled = detect::compile(&loaded.rules, &environment);

    let order: HashMap<_, _> = loaded.files.iter().zip(0usize..).collect();
    let mut refusals = [loaded.refusals, compiled.refusals].concat();
    refusals.sort_by_key(|r| (order.get(&r.file.to_path_buf()).copied(), r.line));
    let mut by_reason = BTreeMap::new();
    for refusal in &refusals {
        *by_reason.entry(refusal.kind.as_str()).or_default() += 1;
    }
    let summary = Summary {
        loaded: compiled.ruleset.len(),
        refused: refusals.len(),
        disabled: loaded.disabled,
        by_reason,
    };

    for (file, line) in &loaded.bad_lines {
        say(format_args!("{}: {line}", file.display()));
    }
    match args.json {
        true => print_json(if args.quiet { &[] } else { &refusals }, &summary)?,
        false => {
            if !args.quiet {
                show(&refusals, &compiled.superseded);
            }
            print_summary(&refusals, &summary, compiled.superseded.len())?;
        }
    }
    let doubtful = compiled.superseded.len() + loaded.bad_lines.len();
    match (summary.refused, args.strict) {
        (0, false) => Ok(()),
        (0, true) if doubtful == 0 => Ok(()),
        (0, true) => Err(Failure::new(Code::Data, "there are notes, and --strict is set.")),
        (1, strict) => Err(Failure::new(code(strict), "1 rule is refused.")),
        (count, strict) => Err(Failure::new(code(strict), format!("{count} rules are refused."))),
    }
}

fn code(strict: bool) -> Code {
    if strict { Code::Data } else { Code::No }
}

/// Shows each refusal with a caret. A closed standard error is the reader's wish.
fn show(refusals: &[Refusal], superseded: &[Refusal]) {
    let mut err = BufWriter::new(io::stderr().lock());
    for refusal in refusals {
        if interrupt::asked() || writeln!(err, "{refusal}\n").is_err() {
            return;
        }
    }
    for refusal in superseded {
        if interrupt::asked() || writeln!(err, "{}\n", refusal.as_note()).is_err() {
            return;
        }
    }
    let _ = err.flush();
}

fn print_json(refusals: &[Refusal], summary: &Summary) -> Result<(), Failure> {
    let mut out = Lines::stdout();
    for refusal in refusals {
        out.buffer.extend_from_slice(refusal.to_json().as_bytes());
        out.buffer.push(b'\n');
        if out.line()?.is_break() {
            return Ok(());
        }
    }
    let last = serde_json::to_string(summary).map_err(|error| {
        Failure::new(Code::Software, format!("the summary cannot be written: {error}."))
    })?;
    out.buffer.extend_from_slice(last.as_bytes());
    out.buffer.push(b'\n');
    out.flush().map(|_| ())
}

/// Counts, then the refusals by kind, and under each kind the reasons that are met most.
fn print_summary(
    refusals: &[Refusal],
    summary: &Summary,
    superseded: usize,
) -> Result<(), Failure> {
    let mut text = format!(
        "{} loaded, {} refused, {} disabled",
        summary.loaded, summary.refused, summary.disabled
    );
    if superseded > 0 {
        text += &format!(", {superseded} replaced by a higher rev");
    }
    text.push('\n');
    let mut kinds: BTreeMap<ReasonKind, HashMap<&str, usize>> = BTreeMap::new();
    for refusal in refusals {
        *kinds.entry(refusal.kind).or_default().entry(&refusal.reason).or_default() += 1;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(kind, reasons)| (usize::MAX - reasons.values().sum::<usize>(), *kind));
    for (kind, reasons) in kinds {
        text += &format!("{:>8}  {kind}\n", reasons.values().sum::<usize>());
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(reason, count)| (usize::MAX - count, *reason));
        for (reason, count) in reasons.iter().take(NAMED) {
            text += &format!("{count:>16}  {}\n", printable(reason));
        }
        let rest = reasons.iter().skip(NAMED).map(|(_, count)| count).sum::<usize>();
        if rest > 0 {
            text += &format!("{rest:>16}  for {} other reasons\n", reasons.len() - NAMED);
        }
    }
    let mut out = Lines::stdout();
    out.buffer.extend_from_slice(text.as_bytes());
    out.flush().map(|_| ())
}
