//! `nids run`: the sensor on live interfaces, until it is stopped.
//!
//! This file reads the flags and says in which order things are opened; the parts are in `capture`,
//! `runtime` and `output`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nids_abi::{FilterTable, MAX_CAPTURE};
use nix::unistd::{Gid, Uid};

use super::arguments::{self, Configuration};
use super::exit::{Code, Failure};
use super::observe::{ProfileArgs, observation};
use super::outputs::OutputArgs;
use super::rules::RuleArgs;
use crate::capture::interface;
use crate::capture::xdp::{self, Capture, DirectionChoice, ModeChoice};
use crate::config::{ChecksumChecks, Settings};
use crate::detect::memory::Shared;
use crate::output::{self, Opened, Policy};
use crate::runtime::control::Control;
use crate::runtime::engine::{Engine, EngineConfig};
use crate::runtime::privilege::Identity;
use crate::runtime::reload::Reload;
use crate::runtime::rules::RuleSource;
use crate::runtime::sandbox::{self, Sandbox};
use crate::runtime::sensor::{Inspection, Sensor};
use crate::runtime::services::Services;
use crate::runtime::worker;
use crate::telemetry::log::{self as messages, LogLevel};
use crate::telemetry::preflight::{self, Finding};

/// Listens on interfaces and raises alerts, until Ctrl-C.
///
/// An XDP program in the kernel looks at every frame and hands over those that a loaded rule could
/// want. Signals: SIGUSR1 prints the balance of all counters, SIGUSR2 loads the rules anew without
/// losing a packet, SIGHUP opens the logs anew, SIGINT and SIGTERM stop in order. The commands status,
/// stats, reload and refused ask a running sensor through its control socket.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Interfaces to listen on [default: that of the default route].
    #[arg(long, short, value_name = "IF", value_delimiter = ',')]
    iface: Vec<String>,
    /// Rules: a file, or a folder with *.rules [default: rules/ here, else the built-in ones].
    #[arg(long, short, value_name = "PATH")]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    outputs: OutputArgs,
    /// Show alerts on standard output (the default, unless another output goes there).
    #[arg(long, overrides_with = "quiet")]
    console: bool,
    /// Do not show alerts on standard output.
    #[arg(long, short, overrides_with = "console")]
    quiet: bool,
    /// How to attach: auto is driver, else generic.
    #[arg(long, value_name = "MODE", default_value = "auto")]
    mode: ModeChoice,
    /// Which frames to see; those that leave are always seen through tcx.
    #[arg(long, value_name = "WAY", default_value = "auto")]
    direction: DirectionChoice,
    /// Worker threads [default: one for each processor].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// Bytes of a frame to inspect at most.
    #[arg(long, value_name = "BYTES", default_value_t = MAX_CAPTURE as u32,
          value_parser = clap::value_parser!(u32).range(64..=MAX_CAPTURE as i64))]
    snaplen: u32,
    /// Size of a ring (one for each processor and worker) in KiB, a power of two [default: by their
    /// number, 1024 to 8192].
    #[arg(long, value_name = "KIB", value_parser = ring_size)]
    ring_size: Option<u32>,
    /// How long a worker rests between two looks at its rings, in microseconds.
    #[arg(long, value_name = "US", default_value_t = 200,
          value_parser = clap::value_parser!(u64).range(1..=100_000))]
    nap: u64,
    /// Drop every frame after it was seen: for a tap or SPAN port, with nobody behind it.
    #[arg(long)]
    tap: bool,
    /// Take the place of another XDP program, or of a running nids.
    #[arg(long)]
    force: bool,
    /// Have the kernel hand over every frame, whatever the rules want.
    #[arg(long)]
    no_filter: bool,
    /// Inspect every packet of every flow, also of those that no rule can match any more, instead of
    /// having the kernel let these by.
    #[arg(long)]
    no_shunt: bool,
    /// Set a variable or setting, by Suricata's name: vars.address-groups.HOME_NET=10.0.0.0/8.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Verify the checksums of all packets or of none [default: none: they are the NIC's business, and
    /// what this host or a container on it sends has none yet]. A segment with a wrong one changes nothing
    /// in its connection; rules still see it. The setting: capture.checksum-validation.
    #[arg(short = 'k', value_name = "WHICH", value_parser = ["all", "none", "auto"])]
    checksums: Option<String>,
    /// Do not start, and do not reload, when a rule is refused, instead of going on without it.
    #[arg(long)]
    strict: bool,
    /// Go on without settings that are unknown or whose function is not there.
    #[arg(long)]
    lenient: bool,
    /// Become this user once attached. Rules and logs that are opened again later must be open to it.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Become this group with --user [default: the user's own].
    #[arg(long, value_name = "NAME", requires = "user")]
    group: Option<String>,
    /// Keep all rights once attached: capabilities, files, system calls. For finding out whether it is
    /// the sandbox that something fails at.
    #[arg(long)]
    no_sandbox: bool,
    /// How much to say on standard error. debug makes the kernel half tell each decision: slow.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LogLevel,
    #[command(flatten)]
    profile: ProfileArgs,
    #[command(flatten)]
    rule_args: RuleArgs,
}

/// Runs the sensor until a signal stops it.
pub fn run(args: Args) -> Result<(), Failure> {
    messages::start(args.log_level);
    xdp::check_rights()?;
    let mut settings = Settings::default();
    settings.set_all(&args.set, args.lenient)?;
    args.rule_args.apply(&mut settings);
    settings.shunt &= !args.no_shunt;
    if let Some(checks) = args.checksums.as_deref().and_then(ChecksumChecks::from_switch) {
        settings.live_checksums = checks;
    }
    let identity = match args.user.as_deref() {
        Some(user) => Some(Identity::find(user, args.group.as_deref())?),
        None => None,
    };
    let interfaces = match args.iface.as_slice() {
        [] => vec![interface::default_route()?],
        named => named.to_vec(),
    };
    for name in &interfaces {
        interface::find(name)?;
    }
    let control = Control::new()?;

    let source = RuleSource::new(&args.rules, &settings, args.strict);
    log::info!("rules: {}", source.describe());
    let no_filter = args.no_filter;
    let compile = move |source: &RuleSource| {
        let mut generation = source.build()?;
        if no_filter {
            *generation.filter = FilterTable::FULL;
        }
        Ok::<_, Failure>(generation)
    };
    let first = compile(&source)?;
    let again = Again {
        configuration: arguments::configuration()?,
        settings: settings.clone(),
        source: source.clone(),
    };
    let build = move || compile(&again.source()?);
    let owner = match identity.as_ref().map(Identity::ids) {
        Some((user, group)) => (Uid::from_raw(user), Gid::from_raw(group)),
        None => (Uid::effective(), Gid::effective()),
    };
    let mut services = Services::open(&settings.service, owner)?;
    args.outputs.apply(&mut settings);
    settings.outputs.console = args.console || !(args.quiet || settings.outputs.uses_stdout());
    let outputs = output::open(settings.outputs.clone(), Policy::Count)?;
    let (mut capture, rings) = Capture::open(&capture_settings(&args, &settings, interfaces))?;
    let notes = capture.notes().iter().map(|note| Finding::of_note(note));
    let processors = worker::places(rings.len());
    services.preflight =
        notes.chain(preflight::look(capture.ports(), &capture.plan(), &processors)).collect();
    services.preflight.iter().for_each(Finding::log);
    give_up_rights(&args, &settings, identity, &source, &outputs)?;
    // Threads from here on: each has the rights that are left.
    let (alerts, writer) = outputs.start()?;
    let reload = Reload::start(build)
        .map_err(|error| Failure::new(Code::Software, format!("no thread starts: {error}.")))?;
    let names: Vec<Option<Arc<str>>> =
        capture.ports().iter().map(|port| Some(port.interface.as_str().into())).collect();
    let (workers, secret) = (rings.len() as u32, xdp::secret()?);
    let shared = Shared::new(secret);
    let mut shunters = capture.take_shunters().into_iter();
    let observation = observation(&[], &args.profile);
    let mut sensor = Sensor::start(capture, rings, writer, &first, |number| {
        let shared = Arc::clone(&shared);
        let (number, names) = (number as u8, names.clone());
        let config = EngineConfig::live(&settings, number, workers, secret, names, shared);
        let config = EngineConfig { observation: observation.clone(), ..config };
        let engine = Engine::new(config, alerts.clone());
        match shunters.next() {
            Some(shunter) => engine.shunt_with(shunter),
            None => engine,
        }
    })?;
    sensor.log_stats(&alerts);
    drop(alerts);
    announce(&sensor, &first.summary);
    drop(first);
    let balance = control.serve(sensor, services, reload)?;
    source.save();
    eprintln!("{balance}");
    // The workers are gone: they have handed over what they measured.
    observation.map_or(Ok(()), |observation| args.profile.show(&observation))
}

/// What a reload begins with.
struct Again {
    configuration: Configuration,
    settings: Settings,
    source: RuleSource,
}

impl Again {
    /// The rules as the configuration names them now, under settings that are live. Tells of changes
    /// that are not.
    fn source(&self) -> Result<RuleSource, Failure> {
        let (args, configuration) = arguments::run_again()?;
        for key in self.configuration.changes(&configuration) {
            log::warn!("`{key}` was changed: that takes effect at the next start");
        }
        let mut new = Settings::default();
        new.set_all(&args.set, args.lenient)?;
        args.rule_args.apply(&mut new);
        let mut settings = self.settings.clone();
        settings.take_live(new);
        Ok(self.source.renewed(&args.rules, &settings, args.strict))
    }
}

/// Becomes the user and enters the sandbox, before there are other threads.
fn give_up_rights(
    args: &Args,
    settings: &Settings,
    identity: Option<Identity>,
    source: &RuleSource,
    outputs: &Opened,
) -> Result<(), Failure> {
    let security = &settings.security;
    let configuration = arguments::configuration()?.file.map(|file| sandbox::folder_of(&file));
    let mut write = source.written_paths()?;
    write.extend(outputs.paths().map(sandbox::folder_of));
    // The socket is taken away at the end.
    write.extend(settings.service.control.path().map(sandbox::folder_of).filter(|it| it.is_dir()));
    if let Some((user, group)) = identity.as_ref().map(Identity::ids) {
        outputs.give_to(user, group)?;
    }
    if args.no_sandbox {
        log::warn!(
            "the sandbox is off: the sensor keeps all its rights while it reads what anybody sends"
        );
        return identity.map_or(Ok(()), |identity| identity.assume());
    }
    let sandbox = Sandbox {
        identity,
        read: [source.read_paths(), security.read.clone(), configuration.into_iter().collect()]
            .concat(),
        write: [write, security.write.clone()].concat(),
        network: outputs.uses_network(),
        landlock: security.landlock,
        seccomp: security.seccomp,
    };
    let report = sandbox.enter()?;
    log::info!("sandbox: {}", report.in_force.join(", "));
    for missing in &report.missing {
        log::warn!("sandbox: {missing}");
    }
    for path in outputs.paths().filter(|path| !sandbox::can_reopen(path)) {
        log::warn!(
            "{} cannot be opened again with the rights that are left: it will fail after SIGHUP",
            path.display()
        );
    }
    Ok(())
}

/// Scripts wait for this line. Standard error has no buffer.
fn announce<P: Inspection>(sensor: &Sensor<P>, rules: &str) {
    let ports: Vec<_> = sensor.capture().ports().iter().map(ToString::to_string).collect();
    let workers = match sensor.workers() {
        1 => "1 worker".to_owned(),
        many => format!("{many} workers"),
    };
    eprintln!("listening on {}, {workers}, {rules}", ports.join(", "));
}

fn capture_settings(args: &Args, settings: &Settings, interfaces: Vec<String>) -> xdp::Settings {
    xdp::Settings {
        shunt_slots: if settings.shunt { xdp::SHUNT_SLOTS } else { 0 },
        mode: args.mode,
        direction: args.direction,
        workers: args.workers.map(usize::from),
        snaplen: args.snaplen,
        tap: args.tap,
        force: args.force,
        debug: args.log_level == LogLevel::Debug,
        ring_bytes: args.ring_size.map(|kib| kib << 10),
        nap: Duration::from_micros(args.nap),
        silence: settings.silence,
        ..xdp::Settings::new(interfaces)
    }
}

/// KiB; what the kernel takes for a ring.
fn ring_size(text: &str) -> Result<u32, String> {
    let kib: u32 = text.parse().map_err(|_| "not a number".to_owned())?;
    if kib.is_power_of_two() && (4..=1 << 20).contains(&kib) {
        return Ok(kib);
    }
    Err("it must be a power of two from 4 to 1048576".into())
}
