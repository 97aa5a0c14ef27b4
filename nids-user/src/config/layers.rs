//! Where settings come from besides the command line: the configuration file, and above it the environment.
//!
//! The file is TOML. Tables and dotted keys are joined: `memcap` in `[flow]` is `flow.memcap`, as it is for
//! `--set`. An environment variable `NIDS_FLOW_MEMCAP` is the same key, with `_` for every point and dash;
//! what follows the name of a group of variables is the variable, as it stands.
//!
//! What keys there are, and what values, is left to [`super::key`] and to the flags of the command line: here
//! an [`Entry`] is a name, a value, and the place both came from.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The file that is read where none is named, if it is there.
pub const DEFAULT_FILE: &str = "/etc/nids/nids.toml";
/// Environment variables of this program begin so.
const PREFIX: &str = "NIDS_";
/// Those that are no settings: the file itself, and the object that is built in.
const NO_SETTINGS: [&str; 2] = ["NIDS_CONFIG", "NIDS_EBPF_OBJECT"];
/// Bytes of a configuration file that are read: far more than any has.
const MAX_FILE: u64 = 4 << 20;

/// Where an entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a file: line and column count from 1, the column in characters.
    File {
        /// The file.
        path: Arc<Path>,
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// In this environment variable.
    Environment(String),
    /// On the command line, as `--set`.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Environment(name) => write!(f, "environment, {name}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// What a key is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// One word, number or text.
    One(String),
    /// A list.
    Many(Vec<String>),
}

impl Value {
    /// As it is written behind `--set key=`.
    pub fn text(&self) -> String {
        match self {
            Self::One(text) => text.clone(),
            Self::Many(parts) => format!("[{}]", parts.join(", ")),
        }
    }

    /// Its parts: a text in brackets is a list too.
    pub fn parts(&self) -> Vec<String> {
        match self {
            Self::Many(parts) => parts.clone(),
            Self::One(text) => {
                match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                    Some(list) => list.split(',').map(|part| part.trim().to_owned()).collect(),
                    None => vec![text.clone()],
                }
            }
        }
    }
}

/// One setting, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `flow.memcap`, or `run.iface` for a flag of `nids run`.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Where.
    pub origin: Origin,
}

/// Something that is wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; `None` where it has no one place.
    pub origin: Option<Origin>,
    /// What.
    pub text: String,
    /// Whether `--lenient` may go on without the entry.
    pub lenient: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// The file to read: the one that is named, or else the default one where it is there.
pub fn file(named: Option<&Path>) -> Option<PathBuf> {
    match named {
        Some(path) => Some(path.to_owned()),
        None => Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()),
    }
}

/// Reads a configuration file; entries come in the order they stand in.
///
/// # Errors
/// It cannot be read, or is no TOML.
pub fn read(path: &Path) -> Result<Vec<Entry>, Problem> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text));
    read.map_err(|error| Problem {
        origin: None,
        text: format!("{}: {error}", path.display()),
        lenient: false,
    })?;
    parse(path, &text)
}

/// As [`read`], from text.
///
/// # Errors
/// It is no TOML, or has what no setting can be.
pub fn parse(path: &Path, text: &str) -> Result<Vec<Entry>, Problem> {
    let path: Arc<Path> = path.into();
    let at = |span: Range<usize>| place(&path, text, span.start);
    let problem = |span, text: &str| Problem {
        origin: Some(at(span)),
        text: text.to_owned(),
        lenient: false,
    };
    let table = DeTable::parse(text).map_err(|error| {
        problem(error.span().unwrap_or(0..0), &error.message().replace('\n', ", "))
    })?;
    let mut entries = Vec::new();
    let mut tables = vec![(String::new(), table.get_ref())];
    while let Some((prefix, table)) = tables.pop() {
        for (name, value) in table.iter() {
            if name.get_ref().contains('.') {
                return Err(problem(name.span(), "a point in quotes is in no key"));
            }
            let key = format!("{prefix}{}", name.get_ref());
            let value = match value.get_ref() {
                DeValue::Table(inner) => {
                    tables.push((format!("{key}."), inner));
                    continue;
                }
                DeValue::Array(list) => {
                    let parts = list.iter().map(|part| scalar(part).ok_or(part.span()));
                    let parts: Result<_, _> = parts.collect();
                    Value::Many(parts.map_err(|span| {
                        problem(
                            span,
                            "a list holds texts, numbers, true or false, and nothing else",
                        )
                    })?)
                }
                _ => Value::One(
                    scalar(value).ok_or_else(|| problem(value.span(), "no setting is a date"))?,
                ),
            };
            entries.push((name.span().start, Entry { key, value, origin: at(name.span()) }));
        }
    }
    entries.sort_by_key(|(start, _)| *start);
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

/// One value as text.
fn scalar(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => {
            Some(i64::from_str_radix(number.as_str(), number.radix()).ok()?.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn place(path: &Arc<Path>, text: &str, offset: usize) -> Origin {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    Origin::File {
        path: Arc::clone(path),
        line: before.matches('\n').count() + 1,
        column: before.get(start..).unwrap_or_default().chars().count() + 1,
    }
}

/// Takes the settings out of environment variables. `patterns` are the keys there are, where a last part
/// `*` stands for any name. Gives the names that are none too: they may be another's.
pub fn environment(
    variables: impl Iterator<Item = (String, String)>,
    patterns: &[String],
) -> (Vec<Entry>, Vec<String>) {
    let (mut entries, mut unknown) = (Vec::new(), Vec::new());
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        if NO_SETTINGS.contains(&name.as_str()) {
            continue;
        }
        match patterns.iter().find_map(|pattern| key_of(pattern, rest)) {
            Some(key) => {
                let value = Value::One(value);
                entries.push(Entry { key, value, origin: Origin::Environment(name) });
            }
            None => unknown.push(name),
        }
    }
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    unknown.sort();
    (entries, unknown)
}

/// The key that a variable's name, behind the prefix, stands for under this pattern.
fn key_of(pattern: &str, name: &str) -> Option<String> {
    let spelled = |part: &str| part.replace(['.', '-'], "_").to_ascii_uppercase();
    match pattern.strip_suffix('*') {
        None => (spelled(pattern) == name).then(|| pattern.to_owned()),
        Some(group) => {
            let rest = name.strip_prefix(&spelled(group)).filter(|rest| !rest.is_empty())?;
            Some(format!("{group}{rest}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<(String, String, String)> {
        let all = parse(Path::new("n.toml"), text).unwrap();
        all.into_iter().map(|e| (e.key, e.value.text(), e.origin.to_string())).collect()
    }

    fn problem(text: &str) -> String {
        parse(Path::new("n.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_keys_with_their_places() {
        let text = "rule-files = [\"a.rules\", 'b.rules']\n\n[run]\niface = \"eth0\"\ntap = true\n\
                    [flow]\nmemcap = \"64mb\" # as much\n[stream.reassembly]\ndepth = 0x100\n\
                    [vars]\naddress-groups.HOME_NET = \"10.0.0.0/8\"\n";
        let expected = [
            ("rule-files", "[a.rules, b.rules]", "n.toml:1:1"),
            ("run.iface", "eth0", "n.toml:4:1"),
            ("run.tap", "true", "n.toml:5:1"),
            ("flow.memcap", "64mb", "n.toml:7:1"),
            ("stream.reassembly.depth", "256", "n.toml:9:1"),
            ("vars.address-groups.HOME_NET", "10.0.0.0/8", "n.toml:11:16"),
        ];
        let found = entries(text);
        let found: Vec<_> =
            found.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
        assert_eq!(found, expected);
        assert_eq!(entries(""), []);
        assert_eq!(entries("# nothing\n"), []);
    }

    #[test]
    fn what_is_no_configuration_is_told_with_its_place() {
        for (text, start) in [
            ("[run\n", "n.toml:1:"),
            ("a = 1\na = 2\n", "n.toml:2:1: "),
            ("a = 2024-01-01\n", "n.toml:1:5: no setting is a date"),
            ("\n\"a.b\" = 1\n", "n.toml:2:1: a point"),
            ("a = [{ b = 1 }]\n", "n.toml:1:6: a list holds"),
            ("\u{e4} = 1", "n.toml:1:1: "),
        ] {
            assert!(problem(text).starts_with(start), "{text}: {}", problem(text));
        }
        let missing = read(Path::new("/absent/nids.toml")).unwrap_err().to_string();
        assert!(missing.starts_with("/absent/nids.toml: No such file"), "{missing}");
    }

    #[test]
    fn environment_variables_are_keys_spelled_otherwise() {
        let patterns = ["flow.memcap", "run.ring-size", "vars.address-groups.*"].map(String::from);
        let variables = [
            ("NIDS_VARS_ADDRESS_GROUPS_HOME_NET", "10.0.0.1"),
            ("NIDS_FLOW_MEMCAP", "1mb"),
            ("NIDS_RUN_RING_SIZE", "64"),
            ("NIDS_SERVICE_HOST", "10.3.4.5"),
            ("NIDS_VARS_ADDRESS_GROUPS_", "none"),
            ("NIDS_CONFIG", "/etc/n.toml"),
            ("HOME", "/root"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (entries, unknown) = environment(variables.into_iter(), &patterns);
        let keys: Vec<_> = entries.iter().map(|e| (e.key.as_str(), e.value.text())).collect();
        assert_eq!(
            keys,
            [
                ("flow.memcap", "1mb".to_owned()),
                ("run.ring-size", "64".into()),
                ("vars.address-groups.HOME_NET", "10.0.0.1".into()),
            ]
        );
        assert_eq!(unknown, ["NIDS_SERVICE_HOST", "NIDS_VARS_ADDRESS_GROUPS_"]);
    }

    #[test]
    fn values_have_parts() {
        let one = |text: &str| Value::One(text.into()).parts();
        assert_eq!(one("eth0"), ["eth0"]);
        assert_eq!(one("[eth0, eth1]"), ["eth0", "eth1"]);
        assert_eq!(Value::Many(vec!["a".into(), "b".into()]).text(), "[a, b]");
    }
}
