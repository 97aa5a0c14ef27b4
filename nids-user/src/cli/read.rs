//! `nids read`: the same engine on a capture file.
//!
//! Frames come from `capture::pcap`, one worker inspects them in order, and the writer is waited for:
//! no alert is lost, and the same file gives the same alerts in the same order.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::exit::{Code, Failure};
use super::observe::{ProfileArgs, Traces, observation};
use super::outputs::OutputArgs;
use super::rules::RuleArgs;
use super::{interrupt, say};
use crate::capture::pcap::{PcapError, PcapSource};
use crate::config::{ChecksumChecks, Settings};
use crate::output::{self, EveType, LossReason, OutputCounters, Policy, SinkKind, Statistics};
use crate::rule::id::RuleId;
use crate::runtime::engine::{Engine, EngineConfig, SkipReason};
use crate::runtime::rules::RuleSource;
use crate::runtime::sensor::Inspection;
use crate::telemetry::log::{self as messages, LogLevel};
use crate::telemetry::stats::{RuleStats, Stats};

/// Inspects a capture file with the rules: pcap or pcapng, plain, gzip or zstd.
///
/// Alerts go to standard output, unless a file is named for them. A summary with the balance of all
/// packets goes to standard error.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Capture file, or - for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Rules: a file, or a folder with *.rules [default: rules/ here, else the built-in ones].
    #[arg(long, short, value_name = "PATH")]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    outputs: OutputArgs,
    /// Show alerts on standard output even where a file is named for them.
    #[arg(long)]
    console: bool,
    /// Read nothing when a rule is refused, instead of going on without it.
    #[arg(long)]
    strict: bool,
    /// Go on without settings that are unknown or whose function is not there, and take a damaged
    /// file for one that ends where the damage begins.
    #[arg(long)]
    lenient: bool,
    /// Set a variable or setting, by Suricata's name: vars.address-groups.HOME_NET=10.0.0.0/8.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Verify the checksums of all packets or of none [default: auto: of all, unless more than a tenth of
    /// the first 1000 are wrong, as on a host that leaves them to its NIC]. A segment with a wrong one
    /// changes nothing in its connection; rules still see it. The setting: pcap-file.checksum-checks.
    #[arg(short = 'k', value_name = "WHICH", value_parser = ["all", "none", "auto"])]
    checksums: Option<String>,
    /// Tell on standard output what becomes of this rule (SID or GID:SID; again for more) on each packet and
    /// piece of stream that reaches it: the step at which it fails, or that it matches; at the end how often.
    /// Alerts are shown there too only with --console.
    #[arg(long, value_name = "ID")]
    trace: Vec<RuleId>,
    #[command(flatten)]
    profile: ProfileArgs,
    #[command(flatten)]
    rule_args: RuleArgs,
}

/// Reads the file to its end, or to Ctrl-C.
pub fn run(args: Args) -> Result<(), Failure> {
    messages::start(LogLevel::Info);
    let mut settings = settings(&args)?;
    let rules =
        RuleSource::new(&args.rules, &settings, args.strict).with_places(!args.trace.is_empty());
    // The file before the rules: a mistyped name shows at once.
    let mut source = PcapSource::open(&args.file).map_err(|error| unreadable(&args.file, error))?;
    let generation = rules.build()?;
    let outputs = &mut settings.outputs;
    let told = outputs.has_alerts() || outputs.uses_stdout() || !args.trace.is_empty();
    outputs.console = args.console || !told;
    let (alerts, writer) = output::start(outputs.clone(), Policy::Block)?;
    for id in &args.trace {
        if !generation.rules.has(*id) {
            return Err(Failure::new(
                Code::No,
                format!("there is no rule {id} in force; `nids check --explain {id}` says why."),
            ));
        }
    }
    let observation = observation(&args.trace, &args.profile);
    let config = EngineConfig::offline(&settings);
    let config = EngineConfig { observation: observation.clone(), ..config };
    let mut traces = observation.as_deref().filter(|_| !args.trace.is_empty()).map(Traces::new);
    let mut engine = Engine::new(config, alerts.clone());
    engine.install(0, generation.rules);
    interrupt::install();

    let start = Instant::now();
    let end = inspect(&mut source, &mut engine, &mut traces);
    engine.skip(SkipReason::LinkType, source.skipped_link_type());
    let seconds = start.elapsed().as_secs_f64();
    engine.shut_down();
    if let Some(traces) = &mut traces {
        let _ = traces.print()?;
    }
    rules.save();
    let counters = engine.counters();
    let flows = engine.flow_counters();
    let given_up = given_up(&engine);
    if alerts.types().has(EveType::Stats) {
        let rules = RuleStats::of(&generation.report.summary);
        alerts.send(Statistics::now(Stats::of_file(seconds as u64, &engine.books(), rules)));
    }
    // The last senders: the writer ends when it has written what is queued.
    drop((engine, alerts));
    let written = writer.finish();
    if let Some(traces) = &mut traces {
        traces.totals()?;
    }

    say(format_args!(
        "{}: {} packets, {} bytes in {seconds:.3} s, {}",
        args.file.display(),
        counters.received,
        counters.bytes,
        generation.summary,
    ));
    say(format_args!("packets: {counters}"));
    say(format_args!(
        "flows: {} created, {} still there at the end, {} evicted",
        flows.created,
        flows.active,
        flows.evicted_new + flows.evicted_established + flows.evicted_closed,
    ));
    if !given_up.is_empty() {
        say(format_args!("given up of what was inspected: {given_up}"));
    }
    say(format_args!("alerts: {}", counters.alerts));
    if let Some(observation) = &observation {
        args.profile.show(observation)?;
    }
    if let Some(offset) = source.cut_at() {
        log::warn!("{} ends within a record, which begins at byte {offset}", args.file.display());
    }
    match end? {
        Ok(()) => {}
        Err(error) if args.lenient && error.is_damage() => {
            log::warn!("{}: {error}", args.file.display());
        }
        Err(error) => return Err(unreadable(&args.file, error)),
    }
    match losses(&written) {
        lost if lost.is_empty() => Ok(()),
        lost => Err(Failure::new(Code::Io, format!("not all alerts could be written: {lost}."))),
    }
}

/// Takes every frame through the engine.
fn inspect(
    source: &mut PcapSource,
    engine: &mut Engine,
    traces: &mut Option<Traces<'_>>,
) -> Result<Result<(), PcapError>, Failure> {
    // The flag is looked at now and then: it costs a cache line.
    const LOOK: u64 = 1024;
    loop {
        let frame = match source.next() {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(error) => return Ok(Err(error)),
        };
        engine.process(&frame, 0);
        if let Some(traces) = traces
            && traces.print()?.is_break()
        {
            break;
        }
        if frame.number % LOOK == 0 && interrupt::asked() {
            say(format_args!("interrupted behind packet {}", frame.number));
            break;
        }
    }
    Ok(Ok(()))
}

fn settings(args: &Args) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    settings.set_all(&args.set, args.lenient)?;
    args.rule_args.apply(&mut settings);
    args.outputs.apply(&mut settings);
    if let Some(checks) = args.checksums.as_deref().and_then(ChecksumChecks::from_switch) {
        settings.pcap_checksums = checks;
    }
    Ok(settings)
}

/// What rules did not see of the packets inspected, by reason.
fn given_up(engine: &Engine) -> String {
    let met = engine.given_up().into_iter().filter(|(_, count)| *count > 0);
    met.map(|(reason, count)| format!("{reason} {count}")).collect::<Vec<_>>().join(", ")
}

/// What outputs lost, by reason. Nobody reading standard output any more (`| head`) is no loss.
fn losses(counters: &OutputCounters) -> String {
    let mut parts = Vec::new();
    for sink in &counters.sinks {
        for (reason, count) in &sink.lost {
            if (sink.kind, *reason) != (SinkKind::Console, LossReason::BrokenPipe) {
                parts.push(format!("{count} lost by {} ({reason})", sink.label));
            }
        }
    }
    parts.join(", ")
}

fn unreadable(path: &Path, error: PcapError) -> Failure {
    let code = match &error {
        PcapError::Open(_) => Code::NoInput,
        PcapError::Read { .. } => Code::Io,
        _ => Code::Data,
    };
    Failure::new(code, format!("{}: {error}.", path.display()))
}
