//! The command line as it would be if what the configuration file and the environment say stood on it, before
//! what does: defaults < file < environment < flags.
//!
//! A setting becomes a `--set`, and a key of the table `run` becomes the flag of `nids run` with its name.
//! So whatever can be said on the command line can be said in the file, and no subcommand knows of files.
//! Each entry is tried before, by itself, so that what is wrong is told with its place in the file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory, Parser};

use super::exit::{Code, Failure};
use super::{Cli, Command, run, say};
use crate::config::layers::{self, Entry, Origin, Problem, Value};
use crate::config::{SettingError, Settings, reference, value};
use crate::suggest;

/// Subcommands that have settings.
const WITH_SETTINGS: [&str; 3] = ["run", "read", "check"];
/// The table of flags.
const RUN: &str = "run.";
/// Flags that are about the command line.
const NOT_IN_A_FILE: [&str; 5] = ["config", "set", "lenient", "help", "version"];
/// Flags that a reload puts in force: those of rules.
const LIVE: [&str; 7] =
    ["rules", "strict", "dialect", "disable-conf", "enable-conf", "drop-conf", "modify-conf"];

/// What the file and the environment say, tried and in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Configuration {
    /// The file that was read.
    pub(super) file: Option<PathBuf>,
    /// Later ones count more.
    pub(super) entries: Vec<Entry>,
}

impl Configuration {
    /// Reads and tries them. With `lenient`, entries that are unknown or have no function are left out
    /// with a warning.
    ///
    /// # Errors
    /// [`Code::Config`], with all that is wrong.
    pub(super) fn gather(named: Option<&Path>, lenient: bool) -> Result<Self, Failure> {
        let file = layers::file(named);
        let mut problems = Vec::new();
        let mut entries = match &file {
            None => Vec::new(),
            Some(path) => layers::read(path).unwrap_or_else(|problem| {
                problems.push(problem);
                Vec::new()
            }),
        };
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let patterns = patterns();
        let (of_environment, unknown) = layers::environment(variables, &patterns);
        for name in unknown {
            say(format_args!("the environment variable {name} is no setting of this program"));
        }
        entries.extend(of_environment);
        let flags = flags();
        let mut trial = Settings::default();
        entries.retain(|entry| match judge(entry, &flags, &mut trial) {
            Ok(()) => true,
            Err(problem) if lenient && problem.lenient => {
                say(format_args!("{problem}"));
                false
            }
            Err(problem) => {
                problems.push(problem);
                false
            }
        });
        match problems.as_slice() {
            [] => Ok(Self { file, entries }),
            [one] => Err(Failure::new(Code::Config, format!("{one}."))),
            many => {
                let lines: Vec<_> = many.iter().map(|problem| format!("\n  {problem}")).collect();
                let text = format!("the configuration is refused:{}", lines.concat());
                Err(Failure::new(Code::Config, text))
            }
        }
    }

    /// Keys that have another value in `newer`, and that a reload does not put in force.
    pub(super) fn changes(&self, newer: &Self) -> Vec<String> {
        let (old, new) = (self.values(), newer.values());
        let mut keys: Vec<_> = old.keys().chain(new.keys()).collect();
        keys.sort();
        keys.dedup();
        keys.retain(|key| old.get(*key) != new.get(*key) && !is_live(key));
        keys.into_iter().map(|key| (*key).to_owned()).collect()
    }

    fn values(&self) -> BTreeMap<&str, &Value> {
        self.entries.iter().map(|entry| (entry.key.as_str(), &entry.value)).collect()
    }

    /// As arguments, of `nids run` with flags. Those that `explicit` has are given on the command line and
    /// not wanted.
    fn arguments(&self, explicit: Option<&ArgMatches>, with_flags: bool) -> Vec<OsString> {
        let flags = flags();
        let mut arguments = Vec::new();
        for (key, value) in self.values() {
            let flag = key.strip_prefix(RUN).and_then(|name| find(&flags, name));
            let given = |flag: &&Arg| {
                let source = explicit.and_then(|seen| seen.value_source(flag.get_id().as_str()));
                source == Some(ValueSource::CommandLine)
            };
            if let Some(flag) = flag.filter(|flag| with_flags && !given(flag)) {
                arguments.extend(spelled(flag, value).unwrap_or_default());
            }
        }
        let settings = self.entries.iter().filter(|entry| !entry.key.starts_with(RUN));
        arguments.extend(settings.map(|Entry { key, value, .. }| {
            OsString::from(format!("--set={key}={}", value.text()))
        }));
        arguments
    }
}

/// Whether a reload puts another value of this key in force.
pub(super) fn is_live(key: &str) -> bool {
    match key.strip_prefix(RUN) {
        Some(flag) => LIVE.contains(&flag),
        None => reference::find(key).is_some_and(|doc| doc.live),
    }
}

/// Flags of `nids run` that a file may set, in their order.
pub(super) fn flags() -> Vec<Arg> {
    let mut command = Cli::command();
    command.build();
    let run = command.find_subcommand("run");
    let all = run.into_iter().flat_map(clap::Command::get_arguments);
    let fit = |arg: &&Arg| arg.get_long().is_some_and(|long| !NOT_IN_A_FILE.contains(&long));
    all.filter(fit).cloned().collect()
}

fn find<'a>(flags: &'a [Arg], name: &str) -> Option<&'a Arg> {
    flags.iter().find(|flag| flag.get_long() == Some(name))
}

/// All keys: of settings, and of flags.
fn patterns() -> Vec<String> {
    let flags = flags();
    let flags = flags.iter().filter_map(Arg::get_long).map(|name| format!("{RUN}{name}"));
    reference::DOCS.iter().map(|doc| doc.key.to_owned()).chain(flags).collect()
}

/// The flag with this value; `None` where the value is no yes or no, and should be.
fn spelled(flag: &Arg, value: &Value) -> Option<Vec<OsString>> {
    let name = flag.get_long().unwrap_or_default();
    if matches!(flag.get_action(), ArgAction::SetTrue) {
        let set = value::boolean(&value.text())?;
        return Some(if set { vec![format!("--{name}").into()] } else { Vec::new() });
    }
    Some(value.parts().iter().map(|part| format!("--{name}={part}").into()).collect())
}

/// Tries one entry.
fn judge(entry: &Entry, flags: &[Arg], trial: &mut Settings) -> Result<(), Problem> {
    let key = &entry.key;
    let problem = |text, lenient| Problem { origin: Some(entry.origin.clone()), text, lenient };
    let Some(name) = key.strip_prefix(RUN) else {
        let set = trial.set(&format!("{key}={}", entry.value.text()));
        return set.map_err(|error| {
            let lenient = error.is_lenient();
            let text = match &error {
                SettingError::Unknown { suggestion: None, .. } if find(flags, key).is_some() => {
                    format!("no setting is called `{key}`; did you mean `{RUN}{key}`?")
                }
                _ => error.to_string(),
            };
            problem(text, lenient)
        });
    };
    let Some(flag) = find(flags, name) else {
        let names = flags.iter().filter_map(Arg::get_long);
        let text = match suggest::nearest(name, names) {
            _ if NOT_IN_A_FILE.contains(&name) => {
                format!("`--{name}` is for the command line only")
            }
            Some(near) => {
                format!("`nids run` has no flag `--{name}`; did you mean `{RUN}{near}`?")
            }
            None => format!("`nids run` has no flag `--{name}`"),
        };
        return Err(problem(text, true));
    };
    let Some(arguments) = spelled(flag, &entry.value) else {
        let text = format!("`{key}` cannot be `{}`: it takes true or false", entry.value.text());
        return Err(problem(text, false));
    };
    // The flag alone: what it needs beside it shows when all are together.
    let alone = [OsString::from("nids"), "run".into()].into_iter().chain(arguments);
    match Cli::command().try_get_matches_from(alone) {
        Err(error) if error.kind() != ErrorKind::MissingRequiredArgument => {
            let text = error.to_string();
            let mut lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
            let first = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let more: Vec<_> = lines.map(|line| format!(" {line}")).collect();
            Err(problem(format!("`{key}`: {first}{}", more.concat()), false))
        }
        _ => Ok(()),
    }
}

/// The command line with the configuration in it. Where it is wrong, or is of a subcommand without
/// settings, it is given back as it is.
///
/// # Errors
/// [`Code::Config`]: see [`Configuration::gather`].
pub(super) fn effective(arguments: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    Ok(combined(arguments)?.0)
}

fn combined(mut arguments: Vec<OsString>) -> Result<(Vec<OsString>, Configuration), Failure> {
    let Ok(seen) = Cli::command().ignore_errors(true).try_get_matches_from(&arguments) else {
        return Ok((arguments, Configuration::default()));
    };
    let Some((name, explicit)) = seen.subcommand().filter(|(it, _)| WITH_SETTINGS.contains(it))
    else {
        return Ok((arguments, Configuration::default()));
    };
    let flag = |id| explicit.try_get_one::<bool>(id).ok().flatten().copied().unwrap_or(false);
    let file = explicit.get_one::<PathBuf>("config");
    let configuration = Configuration::gather(file.map(PathBuf::as_path), flag("lenient"))?;
    let place = (1..arguments.len()).find(|at| {
        let [before, here] = [at - 1, *at].map(|at| arguments.get(at));
        here.is_some_and(|it| it == name) && before.is_none_or(|it| it != "--config")
    });
    if let Some(place) = place {
        let more = configuration.arguments(Some(explicit), name == "run");
        arguments.splice(place + 1..place + 1, more);
    }
    Ok((arguments, configuration))
}

/// What the file and the environment say to this process's command line.
///
/// # Errors
/// As [`effective`].
pub(super) fn configuration() -> Result<Configuration, Failure> {
    Ok(combined(std::env::args_os().collect())?.1)
}

/// This process's command line read again, with the configuration as it is now.
///
/// # Errors
/// [`Code::Config`] where it would not start so.
pub(super) fn run_again() -> Result<(run::Args, Configuration), Failure> {
    let (arguments, configuration) = combined(std::env::args_os().collect())?;
    let bad = |text: String| Failure::new(Code::Config, text);
    match Cli::try_parse_from(arguments).map_err(|error| bad(error.to_string()))?.command {
        Command::Run(args) => Ok((args, configuration)),
        _ => Err(bad("this is no `nids run`.".to_owned())),
    }
}

/// Whether `nids run` would take the flags of the configuration together; the complaint where not.
pub(super) fn together(configuration: &Configuration) -> Result<(), String> {
    let mut arguments: Vec<OsString> = vec!["nids".into(), "run".into()];
    arguments.extend(configuration.arguments(None, true));
    match Cli::try_parse_from(arguments) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string().trim_start_matches("error: ").trim().to_owned()),
    }
}

/// Entries of `--set` on the command line, tried.
///
/// # Errors
/// With [`Code::Config`], the first that is not taken.
pub(super) fn entries_of(sets: &[String], lenient: bool) -> Result<Vec<Entry>, Failure> {
    Settings::default().set_all(sets, lenient)?;
    let pairs = sets.iter().filter_map(|text| text.split_once('='));
    Ok(pairs
        .map(|(key, value)| Entry {
            key: key.trim().to_owned(),
            value: Value::One(value.trim().to_owned()),
            origin: Origin::CommandLine,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let entries = layers::parse(Path::new("n.toml"), text).unwrap();
        let (flags, mut trial) = (flags(), Settings::default());
        let all = entries.iter().filter_map(|entry| judge(entry, &flags, &mut trial).err());
        all.map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_what_was_meant() {
        for (text, told) in [
            (
                "[flow]\nmemcp = 1",
                "n.toml:2:1: no setting is called `flow.memcp`; did you mean `flow.memcap`?",
            ),
            (
                "iface = 'eth0'",
                "n.toml:1:1: no setting is called `iface`; did you mean `run.iface`?",
            ),
            (
                "[run]\nifce = 'eth0'",
                "n.toml:2:1: `nids run` has no flag `--ifce`; did you mean `run.iface`?",
            ),
            ("[run]\nset = 'a=b'", "n.toml:2:1: `--set` is for the command line only"),
            ("[run]\ntap = 3", "n.toml:2:1: `run.tap` cannot be `3`: it takes true or false"),
            (
                "[flow]\nmemcap = 'much'",
                "n.toml:2:1: `flow.memcap` cannot be `much`: it takes a size such as 64mb",
            ),
            (
                "run-as.user = 'x'",
                "n.toml:1:8: `run-as.user` cannot be honoured: here it is called `user`",
            ),
        ] {
            assert_eq!(problems(text), [told], "{text}");
        }
        let [mode, workers] = [problems("[run]\nmode = 'fast'"), problems("run.workers = 0")];
        assert!(mode[0].starts_with("n.toml:2:1: `run.mode`: invalid value 'fast' for '--mode <MODE>' [possible values: auto, "), "{mode:?}");
        assert!(
            workers[0].starts_with("n.toml:1:5: `run.workers`: invalid value '0'"),
            "{workers:?}"
        );
        assert_eq!(
            problems(
                "[run]\niface = ['a', 'b']\neve = '/x'\neve-types = ['alert', 'flow']\ngroup = 'x'\n"
            ),
            [""; 0]
        );
    }

    fn with(text: &str, command: &[&str]) -> Vec<String> {
        let entries = layers::parse(Path::new("n.toml"), text).unwrap();
        let configuration = Configuration { file: None, entries };
        let seen = Cli::command().ignore_errors(true).try_get_matches_from(command).unwrap();
        let (name, explicit) = seen.subcommand().unwrap();
        let arguments = configuration.arguments(Some(explicit), name == "run");
        arguments.into_iter().map(|argument| argument.into_string().unwrap()).collect()
    }

    #[test]
    fn the_command_line_counts_more_than_the_file() {
        let text = "rule-files = ['a', 'b']\n[run]\niface = ['e0', 'e1']\ntap = true\nforce = false\n[flow]\nmemcap = '1mb'";
        let settings = ["--set=rule-files=[a, b]", "--set=flow.memcap=1mb"];
        let all = with(text, &["nids", "run"]);
        assert_eq!(all, [&["--iface=e0", "--iface=e1", "--tap"][..], &settings].concat());
        let all = with(text, &["nids", "run", "-i", "x", "--workers", "3"]);
        assert_eq!(all, [&["--tap"][..], &settings].concat());
        assert_eq!(with(text, &["nids", "read", "x.pcap"]), settings);
    }

    #[test]
    fn every_environment_variable_is_one_key() {
        let spelled = |key: &String| key.replace(['.', '-'], "_").to_ascii_uppercase();
        let mut names: Vec<_> = patterns().iter().map(spelled).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn changes_that_wait_for_the_next_start_are_named() {
        let of = |text: &str| Configuration {
            file: None,
            entries: layers::parse(Path::new("n.toml"), text).unwrap(),
        };
        let old = of("[run]\nrules = 'a'\nworkers = 1\n[flow]\nmemcap = '1mb'");
        let new = of(
            "[run]\nrules = 'b'\nworkers = 1\n[vars.address-groups]\nHOME_NET = '10.0.0.1'\n[defrag]\ntimeout = 3",
        );
        assert_eq!(old.changes(&new), ["defrag.timeout", "flow.memcap"]);
        assert_eq!(old.changes(&old), [""; 0]);
    }

    #[test]
    fn live_flags_are_flags() {
        let flags = flags();
        assert!(LIVE.iter().all(|name| find(&flags, name).is_some()));
    }
}
