//! The values of `dataset` and `datarep` (Suricata user guide, "Datasets"): read, joined with their set,
//! and tested on a buffer as a whole, after its transforms.

use std::path::Path;
use std::sync::Arc;

use super::file::Layout;
use super::frozen::Found;
use super::kind::Kind;
use super::registry::{Datasets, Definition, MAX_NAME};
use super::set::{Dataset, Files};
use crate::config::value;
use crate::detect::keyword::value::{Fault, Word};
use crate::rule::diagnostic::ReasonKind;
use crate::suggest;

/// What `dataset` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Adds the buffer; matches if it was not there.
    Set,
    /// Removes the buffer; matches if it was there.
    Unset,
    /// Matches if the buffer is there.
    IsSet,
    /// Matches if the buffer is not there.
    IsNotSet,
}

/// One use of `dataset` in a rule.
#[derive(Clone, Debug)]
pub struct DatasetUse {
    command: Command,
    set: Arc<Dataset>,
    /// A domain matches too where one it lies in is in the set.
    subdomains: bool,
    /// Under which key an alert carries what the file says of the value.
    context_key: Option<Box<str>>,
}

/// One use of `datarep` in a rule.
#[derive(Clone, Debug)]
pub struct DatarepUse {
    set: Arc<Dataset>,
    operator: Operator,
    reputation: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

impl DatasetUse {
    /// Reads `COMMAND,NAME,options` in a rule of the file `rules`, and opens the set.
    ///
    /// # Errors
    /// The value is none, or the set cannot be had.
    pub fn read(word: Word<'_>, rules: &Path, sets: &Datasets) -> Result<Self, Fault> {
        let mut parts = parts(word);
        let command = parts.next().ok_or_else(|| word.bad("`dataset` needs a command"))?;
        let command = match command.text {
            "set" => Command::Set,
            "unset" => Command::Unset,
            "isset" => Command::IsSet,
            "isnotset" => Command::IsNotSet,
            _ => return Err(command.bad("the command is set, unset, isset or isnotset")),
        };
        let name = name(word, parts.next())?;
        let options = Options::read(parts, DATASET)?;
        let changes = matches!(command, Command::Set | Command::Unset);
        let definition = options.definition(name, rules, sets)?;
        if let Some(format) = options.format.filter(|_| definition.layout != Layout::Csv) {
            let reason = match (changes, options.save.or(options.state)) {
                (true, _) => Some("a set with this format can only be tested"),
                (_, Some(_)) => Some("a set with this format cannot be saved"),
                _ => None,
            };
            if let Some(reason) = reason {
                return Err(format.fault(ReasonKind::Conflict, reason));
            }
        }
        let set = open(sets, name, &options, &definition)?;
        if let Some(word) = options.subdomains {
            let conflict = |reason| Err(word.fault(ReasonKind::Conflict, reason));
            if changes {
                return conflict("`match subdomain` needs isset or isnotset");
            }
            if set.kind() != Kind::String {
                return conflict("`match subdomain` needs a set of strings");
            }
        }
        Ok(Self {
            command,
            set,
            subdomains: options.subdomains.is_some(),
            context_key: options.context_key.map(|key| key.text.into()),
        })
    }

    /// Whether the buffer matches; does what the command says. An empty buffer matches nothing.
    #[inline]
    pub fn matches(&self, buffer: &[u8]) -> bool {
        if buffer.is_empty() {
            return false;
        }
        match self.command {
            Command::IsSet => self.find(buffer).is_some(),
            Command::IsNotSet => self.find(buffer).is_none(),
            Command::Set => self.set.add(buffer),
            Command::Unset => self.set.remove(buffer),
        }
    }

    /// What it does.
    pub fn command(&self) -> Command {
        self.command
    }

    /// The set.
    pub fn set(&self) -> &Arc<Dataset> {
        &self.set
    }

    /// For an alert: the `context_key` of the rule and the JSON object the file has for the buffer.
    pub fn context(&self, buffer: &[u8]) -> Option<(&str, &str)> {
        let key = self.context_key.as_deref()?;
        let found = self.find(buffer).filter(|found| !found.context.is_empty())?;
        Some((key, found.context))
    }

    #[inline]
    fn find(&self, buffer: &[u8]) -> Option<Found<'_>> {
        let found = self.set.find(buffer);
        if found.is_some() || !self.subdomains {
            return found;
        }
        // A domain name has 127 dots at most; other buffers may have more, which are left alone.
        let dots = memchr::memchr_iter(b'.', buffer).take(128);
        dots.filter_map(|dot| buffer.get(dot..)).find_map(|rest| self.set.find(rest))
    }
}

impl DatarepUse {
    /// Reads `NAME,OPERATOR,REPUTATION,options` in a rule of the file `rules`, and opens the set.
    ///
    /// # Errors
    /// The value is none, or the set cannot be had.
    pub fn read(word: Word<'_>, rules: &Path, sets: &Datasets) -> Result<Self, Fault> {
        let mut parts = parts(word);
        let name = name(word, parts.next())?;
        let operator = parts.next().ok_or_else(|| word.bad("`datarep` needs an operator"))?;
        let operator = match operator.text {
            "<" => Operator::Less,
            "<=" => Operator::AtMost,
            "==" | "=" => Operator::Equal,
            ">=" => Operator::AtLeast,
            ">" => Operator::More,
            _ => return Err(operator.bad("the operator is <, <=, ==, >= or >")),
        };
        let reputation = parts.next().ok_or_else(|| word.bad("`datarep` needs a reputation"))?;
        let reputation = reputation.number(0, u16::MAX)?;
        let options = Options::read(parts, DATAREP)?;
        let definition = options.definition(name, rules, sets)?;
        let set = open(sets, name, &options, &definition)?;
        Ok(Self { set, operator, reputation })
    }

    /// Whether the buffer is in the set, with such a reputation.
    #[inline]
    pub fn matches(&self, buffer: &[u8]) -> bool {
        self.set.find(buffer).is_some_and(|found| match self.operator {
            Operator::Less => found.reputation < self.reputation,
            Operator::AtMost => found.reputation <= self.reputation,
            Operator::Equal => found.reputation == self.reputation,
            Operator::AtLeast => found.reputation >= self.reputation,
            Operator::More => found.reputation > self.reputation,
        })
    }

    /// The set.
    pub fn set(&self) -> &Arc<Dataset> {
        &self.set
    }
}

fn parts<'a>(word: Word<'a>) -> impl Iterator<Item = Word<'a>> {
    word.split(',').filter(|part| !part.text.is_empty())
}

fn name<'a>(whole: Word<'_>, word: Option<Word<'a>>) -> Result<Word<'a>, Fault> {
    let word = word.ok_or_else(|| whole.bad("the data set needs a name"))?;
    if word.text.contains(char::is_whitespace) {
        return Err(word.bad("the name of a data set has no blanks"));
    }
    if word.text.len() > MAX_NAME {
        return Err(word.bad(format!("the name of a data set has {MAX_NAME} bytes at most")));
    }
    Ok(word)
}

/// The words that may follow in `dataset`.
const DATASET: &[&str] = &[
    "type",
    "load",
    "save",
    "state",
    "memcap",
    "hashsize",
    "format",
    "value_key",
    "array_key",
    "context_key",
    "enrichment_key",
    "remove_key",
    "match",
];
/// And in `datarep`.
const DATAREP: &[&str] = &["type", "load", "memcap", "hashsize"];

/// What follows the name.
#[derive(Clone, Copy, Debug, Default)]
struct Options<'a> {
    kind: Option<Word<'a>>,
    load: Option<Word<'a>>,
    save: Option<Word<'a>>,
    state: Option<Word<'a>>,
    memcap: Option<Word<'a>>,
    hashsize: Option<Word<'a>>,
    format: Option<Word<'a>>,
    value_key: Option<Word<'a>>,
    array_key: Option<Word<'a>>,
    context_key: Option<Word<'a>>,
    remove_key: Option<Word<'a>>,
    subdomains: Option<Word<'a>>,
}

impl<'a> Options<'a> {
    fn read(parts: impl Iterator<Item = Word<'a>>, names: &[&'static str]) -> Result<Self, Fault> {
        let mut options = Self::default();
        for part in parts {
            let (key, value) = match part.text.find(char::is_whitespace) {
                Some(blank) => (
                    Word { text: part.text.get(..blank).unwrap_or_default(), ..part },
                    Some(part.skip(blank)),
                ),
                None => (part, None),
            };
            if !names.contains(&key.text) {
                let fault = key.bad(format!("`{}` is no option of a data set", key.text));
                let near = suggest::nearest(key.text, names.iter().copied());
                return Err(match near {
                    Some(near) => fault.help(format!("did you mean `{near}`?")),
                    None => fault,
                });
            }
            let place = match key.text {
                "type" => &mut options.kind,
                "load" => &mut options.load,
                "save" => &mut options.save,
                "state" => &mut options.state,
                "memcap" => &mut options.memcap,
                "hashsize" => &mut options.hashsize,
                "format" => &mut options.format,
                "value_key" => &mut options.value_key,
                "array_key" => &mut options.array_key,
                "remove_key" => &mut options.remove_key,
                "match" => &mut options.subdomains,
                _ => &mut options.context_key,
            };
            let value = match (key.text, value) {
                ("remove_key", None) => key,
                ("remove_key", Some(value)) => return Err(value.bad("this takes no value")),
                ("match", Some(value)) if value.text != "subdomain" => {
                    return Err(value.bad("`match` can be `subdomain` only"));
                }
                (_, Some(value)) => value,
                (_, None) => return Err(key.bad(format!("`{}` needs a value", key.text))),
            };
            if place.replace(value).is_some() {
                let reason = format!("`{}` stands here twice", key.text);
                return Err(key.fault(ReasonKind::Conflict, reason));
            }
        }
        Ok(options)
    }

    fn definition(
        &self,
        name: Word<'_>,
        rules: &Path,
        sets: &Datasets,
    ) -> Result<Definition, Fault> {
        if let Some(state) = self.state.filter(|_| self.load.is_some() || self.save.is_some()) {
            let reason = "`state` is load and save in one: it cannot stand beside them";
            return Err(state.fault(ReasonKind::Conflict, reason));
        }
        let settings = sets.settings();
        let save = |word: Word<'_>| settings.save_path(word.text).map_err(|why| word.bad(why));
        let save = self.state.or(self.save).map(save).transpose()?;
        let load = match (self.load, self.save) {
            (Some(load), Some(same)) if load.text == same.text => save.clone(),
            (Some(load), _) => Some(settings.load_path(rules, load.text)),
            (None, _) => self.state.and(save.clone()),
        };
        let kind = |word: Word<'_>| {
            let names = Kind::NAMES.join(", ");
            Kind::named(word.text).ok_or_else(|| word.bad(format!("the type is one of {names}")))
        };
        let kind = self.kind.map(kind).transpose()?;
        if let Some(load) = self.load.filter(|_| kind.is_none()) {
            return Err(load.fault(ReasonKind::Conflict, "`load` needs a `type`"));
        }
        Ok(Definition {
            name: name.text.to_owned(),
            kind,
            files: Files { load, save },
            layout: self.layout()?,
            // 0 is how Suricata says default.
            memcap: size(self.memcap)?.filter(|bytes| *bytes > 0),
            hashsize: size(self.hashsize)?.filter(|count| *count > 0),
        })
    }

    fn layout(&self) -> Result<Layout, Fault> {
        let csv = Word { text: "csv", start: 0 };
        let lines = match self.format.unwrap_or(csv).text {
            "csv" => {
                let keys = [self.value_key, self.array_key, self.context_key, self.remove_key];
                return match keys.into_iter().flatten().next() {
                    Some(word) => Err(word.fault(ReasonKind::Conflict, "this needs format json")),
                    None => Ok(Layout::Csv),
                };
            }
            "json" => false,
            "ndjson" | "jsonline" => true,
            _ => {
                let format = self.format.unwrap_or(csv);
                return Err(format.bad("the format is csv, json or ndjson"));
            }
        };
        let Some(value) = self.value_key else {
            let format = self.format.unwrap_or(csv);
            return Err(format.fault(ReasonKind::Conflict, "this format needs a `value_key`"));
        };
        if let Some(array) = self.array_key.filter(|_| lines) {
            return Err(array.fault(ReasonKind::Conflict, "`array_key` needs format json"));
        }
        Ok(Layout::Json {
            lines,
            value: value.text.to_owned(),
            array: self.array_key.map(|key| key.text.to_owned()),
            remove: self.remove_key.is_some(),
        })
    }
}

fn size<T: TryFrom<u64>>(word: Option<Word<'_>>) -> Result<Option<T>, Fault> {
    let read = |word: Word<'_>| {
        let size = value::size(word.text).and_then(|size| T::try_from(size).ok());
        size.ok_or_else(|| word.bad("not a size such as 100mb"))
    };
    word.map(read).transpose()
}

fn open(
    sets: &Datasets,
    name: Word<'_>,
    options: &Options<'_>,
    definition: &Definition,
) -> Result<Arc<Dataset>, Fault> {
    use super::registry::DatasetError::{Files, Hashsize, Kind, Layout, Open};
    sets.open(definition).map_err(|error| {
        let place = match &error {
            Open { .. } | Files(_) => options.load.or(options.state).or(options.save),
            Kind { .. } => options.kind,
            Layout(_) => options.format,
            Hashsize { .. } => options.hashsize,
            _ => None,
        };
        place.unwrap_or(name).fault(ReasonKind::BadValue, error.to_string())
    })
}
