//! `nids check`: loads and compiles rules as the sensor would, and shows every refusal with its place.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use super::exit::{Code, Failure};
use super::rules::RuleArgs;
use super::stdout::Lines;
use super::{interrupt, say};
use crate::config::Settings;
use crate::detect::{self, Environment};
use crate::rule::diagnostic::{ReasonKind, Refusal, printable};
use crate::rule::lint::{self, Finding, Lint};
use crate::rule::load::Loaded;
use crate::rule::report::Summary;
use crate::rule::tuning::Tuned;
use crate::runtime::rules::{RuleSource, in_order};

/// Reasons that are named under one kind in the summary; the rest are counted together.
const NAMED: usize = 8;

/// Loads rules as the sensor does, and shows each rule that is refused, with place and reason.
///
/// Refusals go to standard error, the summary to standard output. Exit codes: 0, every rule is loaded; 1,
/// one is refused; 65, --strict is set and something is to be said of the rules, or they are too large; 66,
/// a path or list cannot be read; 74, reading failed on the way; 78, a setting or a line of a list is wrong.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files (plain or gzip), folders with *.rules, and patterns such as 'et/*.rules' [default: rules/ here,
    /// else the built-in rules].
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print one JSON object a line to standard output: first the refusals (and findings of --lint), last
    /// the summary.
    #[arg(long)]
    json: bool,
    /// Tell what is suspicious in rules, loaded or not: slow ones, those that can never match, old
    /// spellings. Such findings count for the exit code only with --strict.
    #[arg(long)]
    lint: bool,
    /// Print the summary only.
    #[arg(long, short)]
    quiet: bool,
    /// Fail with exit code 65 where `run --strict` would not start, where a rule gave way to a higher rev,
    /// where a line of classification.config or reference.config cannot be read, and for findings of
    /// --lint.
    #[arg(long)]
    strict: bool,
    /// Set a variable or setting, by Suricata's name: vars.address-groups.HOME_NET=10.0.0.0/8.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    rule_args: RuleArgs,
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

    let findings = match args.lint {
        true => lint(&loaded, &environment),
        false => Vec::new(),
    };

    let refusals = in_order(&loaded, compiled.refusals);
    let summary = Summary::new(compiled.ruleset.len(), loaded.disabled, &refusals, &loaded.unmet);

    for (file, line) in &loaded.bad_lines {
        say(format_args!("{}: {line}", file.display()));
    }
    let more = More {
        superseded: &compiled.superseded,
        unmet: loaded.unmet.len(),
        tuned: loaded.tuned,
        findings: &findings,
    };
    match (args.json, args.quiet) {
        (true, true) => print_json(&[], &[], &summary)?,
        (true, false) => print_json(&refusals, &findings, &summary)?,
        (false, quiet) => {
            if !quiet {
                show(&refusals, &more);
            }
            print_summary(&refusals, &summary, &more)?;
        }
    }
    let doubtful = compiled.superseded.len() + loaded.bad_lines.len() + findings.len();
    match (summary.refused, args.strict) {
        (0, false) => Ok(()),
        (0, true) if doubtful == 0 => Ok(()),
        (0, true) => {
            Err(Failure::new(Code::Data, "there are notes or findings, and --strict is set."))
        }
        (1, strict) => Err(Failure::new(code(strict), "1 rule is refused.")),
        (count, strict) => Err(Failure::new(code(strict), format!("{count} rules are refused."))),
    }
}

/// What is said beside refusals.
struct More<'a> {
    superseded: &'a [Refusal],
    unmet: usize,
    tuned: Tuned,
    findings: &'a [Finding],
}

/// Looks at all rules that could be parsed, whether they are honoured or not.
fn lint(loaded: &Loaded, environment: &Environment) -> Vec<Finding> {
    let context = lint::Context {
        classifications: &environment.classifications,
        variables: &environment.variables,
    };
    lint::lint(&loaded.rules, context)
}

fn code(strict: bool) -> Code {
    if strict { Code::Data } else { Code::No }
}

/// Shows each refusal, note and finding with a caret. A closed standard error is the reader's wish.
fn show(refusals: &[Refusal], more: &More<'_>) {
    let mut err = BufWriter::new(io::stderr().lock());
    for refusal in refusals {
        if interrupt::asked() || writeln!(err, "{refusal}\n").is_err() {
            return;
        }
    }
    for refusal in more.superseded {
        if interrupt::asked() || writeln!(err, "{}\n", refusal.as_note()).is_err() {
            return;
        }
    }
    for finding in more.findings {
        if interrupt::asked() || writeln!(err, "{finding}\n").is_err() {
            return;
        }
    }
    let _ = err.flush();
}

fn print_json(
    refusals: &[Refusal],
    findings: &[Finding],
    summary: &Summary,
) -> Result<(), Failure> {
    let mut out = Lines::stdout();
    let objects = refusals.iter().map(Refusal::to_json);
    for object in objects.chain(findings.iter().map(Finding::to_json)) {
        out.buffer.extend_from_slice(object.as_bytes());
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
fn print_summary(refusals: &[Refusal], summary: &Summary, more: &More<'_>) -> Result<(), Failure> {
    let mut text = format!(
        "{} loaded, {} refused, {} disabled",
        summary.loaded, summary.refused, summary.disabled
    );
    for (count, what) in [
        (more.superseded.len(), "replaced by a higher rev"),
        (more.unmet, "left out by `requires`"),
    ] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text.push('\n');
    let Tuned { disabled, enabled, dropped, modified } = more.tuned;
    if more.tuned != Tuned::default() {
        text += &format!(
            "lists: {disabled} disabled, {enabled} enabled, {dropped} made drop, {modified} modified\n"
        );
    }
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
    let mut by_lint: BTreeMap<Lint, usize> = BTreeMap::new();
    for finding in more.findings {
        *by_lint.entry(finding.lint).or_default() += 1;
    }
    if !by_lint.is_empty() {
        text += &format!("{} findings of lint\n", more.findings.len());
    }
    for (lint, count) in by_lint {
        text += &format!("{count:>8}  {lint}\n");
    }
    let mut out = Lines::stdout();
    out.buffer.extend_from_slice(text.as_bytes());
    out.flush().map(|_| ())
}
