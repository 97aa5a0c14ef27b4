//! `nids config`: whether the configuration is right, what it comes to, and how one begins.

use std::path::Path;

use clap::{Arg, ArgAction, ArgGroup};

use super::arguments::{self, Configuration};
use super::exit::{Code, Failure};
use super::stdout::Lines;
use crate::config::layers::{DEFAULT_FILE, Entry, Value};
use crate::config::reference::{self, DOCS, Doc, Shown, Unset};

/// Checks the configuration file and the environment, or shows what is in force.
#[derive(clap::Args, Debug)]
#[command(group(ArgGroup::new("what").required(true).args(["check", "dump", "default"])))]
pub struct Args {
    /// Say all that is wrong, with its place; the exit code is 78 then.
    #[arg(long)]
    check: bool,
    /// Write all settings as they are in force: those that are set, and where, and behind a # the
    /// defaults. Marked live is what a reload (SIGUSR2) puts in force when the file was changed.
    #[arg(long)]
    dump: bool,
    /// Write a configuration file with every key, its default, and what it is for.
    #[arg(long)]
    default: bool,
    /// Set a variable or setting, as for `nids run`.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Go on without settings that are unknown or whose function is not there.
    #[arg(long)]
    lenient: bool,
}

/// Does it.
pub fn run(args: &Args, file: Option<&Path>) -> Result<(), Failure> {
    if args.default {
        return print(&default_file());
    }
    let mut configuration = Configuration::gather(file, args.lenient)?;
    configuration.entries.extend(arguments::entries_of(&args.set, args.lenient)?);
    arguments::together(&configuration).map_err(|text| Failure::new(Code::Config, text))?;
    if args.dump {
        return print(&dump(&configuration));
    }
    let from = match &configuration.file {
        Some(path) => path.display().to_string(),
        None => format!("no file (there is no {DEFAULT_FILE})"),
    };
    let count = configuration.entries.len();
    print(&format!("{from}: {count} {} set, all right\n", if count == 1 { "key" } else { "keys" }))
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = Lines::stdout();
    out.buffer.extend(text.as_bytes());
    out.flush().map(drop)
}

/// The file that is shipped.
pub fn default_file() -> String {
    let mut out = String::from(
        "# Configuration of nids. Every key there is stands here behind a #, with its default.\n\
         #\n\
         # Defaults < this file < environment (NIDS_FLOW_MEMCAP=64mb is memcap in [flow]) < flags.\n\
         # `nids config --check` tells what is wrong here, `nids config --dump` what is in force. Keys\n\
         # marked live are put in force by a reload (SIGUSR2), all others by the next start.\n\n",
    );
    let with_note = |mut shown: Shown, live: bool| {
        if live {
            shown.note = match shown.note.as_str() {
                "" => "live".to_owned(),
                note => format!("live; {note}"),
            };
        }
        shown
    };
    let of_doc = |doc: &Doc| with_note(Shown::unset(doc), doc.live);
    let of_flag = |flag: &Arg| {
        let key = key_of(flag);
        let live = arguments::is_live(&key);
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        let (value, note) = match default_of(flag) {
            Some(value) => (value, ""),
            None => (example(flag), "an example; not set"),
        };
        let shown = Shown {
            key,
            value: Some(value),
            in_force: false,
            note: note.into(),
            about: format!("{}.", help.trim_end_matches('.')),
        };
        with_note(shown, live)
    };
    reference::write(&mut out, &arranged(of_doc, of_flag));
    out
}

/// All that is in force.
fn dump(configuration: &Configuration) -> String {
    let last = |key: &str| configuration.entries.iter().rfind(|entry| entry.key == key);
    let set = |entry: &Entry| Shown::set(entry, arguments::is_live(&entry.key));
    let unset = |key: String, value: Option<Value>| {
        let live = if arguments::is_live(&key) { ", live" } else { "" };
        let note = if value.is_some() { "default" } else { "not set" };
        Shown { key, value, in_force: false, note: format!("{note}{live}"), about: String::new() }
    };
    let mut shown = arranged(
        |doc| match (last(doc.key), doc.unset) {
            (Some(entry), _) => set(entry),
            (None, Unset::Is(_)) => unset(doc.key.into(), Shown::unset(doc).value),
            (None, Unset::Like(_)) => unset(doc.key.into(), None),
        },
        |flag| {
            let key = key_of(flag);
            match last(&key) {
                Some(entry) => set(entry),
                None => unset(key, default_of(flag)),
            }
        },
    );
    // Names that the keys with a star stand for, in the star's place.
    shown = shown
        .into_iter()
        .flat_map(|shown| {
            let Some(group) = shown.key.strip_suffix('*') else { return vec![shown] };
            let of_group = |entry: &&Entry| entry.key.starts_with(group);
            let mut names: Vec<&Entry> = Vec::new();
            for entry in configuration.entries.iter().filter(of_group) {
                names.retain(|other| other.key != entry.key);
                names.push(entry);
            }
            names.into_iter().map(set).collect()
        })
        .collect();
    let told: Vec<_> = shown.iter().map(|shown| shown.key.clone()).collect();
    let others = configuration.entries.iter().filter(|entry| !told.contains(&entry.key));
    shown.extend(others.map(set));
    let mut out = String::new();
    reference::write(&mut out, &shown);
    out.trim_start().to_owned()
}

/// Keys without a table, the flags, then the tables.
fn arranged(of_doc: impl Fn(&Doc) -> Shown, of_flag: impl Fn(&Arg) -> Shown) -> Vec<Shown> {
    let (top, tables): (Vec<&Doc>, _) = DOCS.iter().partition(|doc| !doc.key.contains('.'));
    let flags = arguments::flags();
    let mut shown: Vec<_> = top.into_iter().map(&of_doc).collect();
    shown.extend(flags.iter().map(of_flag));
    shown.extend(tables.into_iter().map(of_doc));
    shown
}

fn key_of(flag: &Arg) -> String {
    format!("run.{}", flag.get_long().unwrap_or_default())
}

/// What the flag is where nobody gives it.
fn default_of(flag: &Arg) -> Option<Value> {
    if matches!(flag.get_action(), ArgAction::SetTrue) {
        return Some(Value::One("false".into()));
    }
    let values = flag.get_default_values().iter();
    let values: Vec<_> = values.map(|value| value.to_string_lossy().into_owned()).collect();
    let text = values.join(",");
    let list = matches!(flag.get_action(), ArgAction::Append);
    match text.as_str() {
        "" => None,
        _ if list => Some(Value::Many(text.split(',').map(str::to_owned).collect())),
        _ => Some(Value::One(text)),
    }
}

/// The name of its value, in place of one.
fn example(flag: &Arg) -> Value {
    let names = flag.get_value_names().unwrap_or_default();
    let name = names.first().map_or("", |name| name.as_str()).to_owned();
    match flag.get_action() {
        ArgAction::Append => Value::Many(vec![name]),
        _ => Value::One(name),
    }
}
