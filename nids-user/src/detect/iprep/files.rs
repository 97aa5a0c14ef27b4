//! The files: one of categories, `id,name,description`, and any number of reputations,
//! `address-or-network,category,reputation` (Suricata user guide, "IP Reputation Format").

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::table::{Network, Table};
use crate::detect::dataset::MAX_FILE;

/// Ids of categories are below this (Suricata's `SREP_MAX_CATS`).
const CATEGORIES: u8 = 60;
/// Highest reputation (Suricata's `SREP_MAX_VAL`).
const HIGHEST: u8 = 127;

/// Settings of IP reputation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReputationSettings {
    /// `reputation-categories-file`.
    pub categories: Option<PathBuf>,
    /// `default-reputation-path`: where `files` lie that are not absolute.
    pub folder: Option<PathBuf>,
    /// `reputation-files`.
    pub files: Vec<PathBuf>,
}

/// What the files say, by category.
#[derive(Clone, Debug, Default)]
pub struct Reputations {
    categories: HashMap<String, Arc<Table>>,
}

/// Why there are no reputations.
#[derive(Debug, Error)]
pub enum ReputationError {
    /// Files of reputations, but no file of categories.
    #[error("`reputation-files` needs `reputation-categories-file`")]
    NoCategories,
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
}

/// A line that says nothing of an address; the others hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadReputation {
    /// The file: 0 is that of the categories.
    pub file: usize,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: &'static str,
}

impl Reputations {
    /// Reads the files; `None` where the settings name none. Lines that cannot be read come with their
    /// files.
    ///
    /// # Errors
    /// A file cannot be read.
    #[allow(clippy::type_complexity, reason = "bad lines by file, as rule files tell them")]
    pub fn open(
        settings: &ReputationSettings,
    ) -> Result<Option<(Self, Vec<(PathBuf, BadReputation)>)>, ReputationError> {
        let Some(categories) = &settings.categories else {
            return if settings.files.is_empty() {
                Ok(None)
            } else {
                Err(ReputationError::NoCategories)
            };
        };
        let mut paths = vec![categories.clone()];
        let folder = settings.folder.as_deref().unwrap_or(Path::new(""));
        paths.extend(settings.files.iter().map(|file| folder.join(file)));
        let bytes: Vec<_> = paths.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
        let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let mut reputations = Self::default();
        let bad = match bytes.split_first() {
            Some((categories, files)) => reputations.read(categories, files),
            None => Vec::new(),
        };
        let named = |bad: BadReputation| (paths.get(bad.file).cloned().unwrap_or_default(), bad);
        Ok(Some((reputations, bad.into_iter().map(named).collect())))
    }

    /// The reputations of a category; case counts.
    pub fn category(&self, name: &str) -> Option<&Arc<Table>> {
        self.categories.get(name)
    }

    /// The names of the categories.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.categories.keys().map(String::as_str)
    }

    /// Takes the contents of the files in; gives back what could not be read.
    pub fn read(&mut self, categories: &[u8], files: &[&[u8]]) -> Vec<BadReputation> {
        let mut bad = Vec::new();
        let mut names: HashMap<u8, String> = HashMap::new();
        for (line, text) in lines(categories) {
            match text.and_then(category) {
                Ok((id, name)) => _ = names.insert(id, name.to_owned()),
                Err(reason) => bad.push(BadReputation { file: 0, line, reason }),
            }
        }
        let mut networks: HashMap<u8, Vec<Network>> = HashMap::new();
        for (file, bytes) in (1..).zip(files) {
            for (line, text) in lines(bytes) {
                match text.and_then(network) {
                    Ok(Some((id, network))) => networks.entry(id).or_default().push(network),
                    Ok(None) => {}
                    Err(reason) => bad.push(BadReputation { file, line, reason }),
                }
            }
        }
        for (id, name) in names {
            let table = Table::new(networks.get(&id).map(Vec::as_slice).unwrap_or_default());
            self.categories.insert(name, Arc::new(table));
        }
        bad
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ReputationError> {
    let size = std::fs::metadata(path).map(|data| data.len());
    let bytes = match size {
        Ok(size) if size > MAX_FILE => Err(io::ErrorKind::FileTooLarge.into()),
        Ok(_) => std::fs::read(path),
        Err(error) => Err(error),
    };
    bytes.map_err(|error| ReputationError::Read { path: path.to_owned(), error })
}

/// The lines that are neither blank nor comments.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, Result<&str, &'static str>)> {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    (1..)
        .zip(lines)
        .filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
        .map(|(number, line)| (number, std::str::from_utf8(line).map_err(|_| "not UTF-8")))
}

fn category(line: &str) -> Result<(u8, &str), &'static str> {
    let mut fields = line.splitn(3, ',').map(str::trim);
    let id = fields.next().and_then(id).ok_or("the id of a category is a number from 1 to 59")?;
    let name = fields.next().filter(|name| !name.is_empty()).ok_or("the category has no name")?;
    Ok((id, name))
}

/// Rules cannot name the category 0 (nor can they in Suricata).
fn id(text: &str) -> Option<u8> {
    text.parse().ok().filter(|id| (1..CATEGORIES).contains(id))
}

/// `None` for the headline `ip,category,score`.
fn network(line: &str) -> Result<Option<(u8, Network)>, &'static str> {
    let mut fields = line.split(',').map(str::trim);
    let (Some(address), Some(category), Some(value)) =
        (fields.next(), fields.next(), fields.next())
    else {
        return Err("a line has an address, a category and a reputation");
    };
    if address == "ip" {
        return Ok(None);
    }
    let category = id(category).ok_or("the category is a number from 1 to 59")?;
    let value = value.parse().ok().filter(|value| *value <= HIGHEST);
    let value = value.ok_or("the reputation is a number from 0 to 127")?;
    let (text, bits) = match address.split_once('/') {
        Some((text, bits)) => (text, Some(bits)),
        None => (address, None),
    };
    let address: IpAddr = text.parse().map_err(|_| "not an IP address or network")?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        Some(bits) => bits.parse().ok().filter(|bits| *bits <= most),
        None => Some(most),
    };
    let bits = bits.ok_or("the prefix is longer than the address")?;
    Ok(Some((category, Network { address, bits, value })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_lines_are_told_and_the_others_hold() {
        let mut reputations = Reputations::default();
        let bad = reputations.read(
            b"1,Bad\n0,Zero,x\n60,High,x\n2,\nx,y\n\xff\n\r\n3,Three,a,b\r\n",
            &[
                b"1.1.1.1,1,7\n1.1.1.1,1\n1.1.1,1,7\n1.1.1.1/33,1,7\n1.1.1.1,1,128\n1.1.1.1,0,7\n",
                b"::1/129,1,1\nip,category,score\n::1, 1 ,9\n2.2.2.2,3,1,more\n2.2.2.2,3,2\n",
            ],
        );
        let places: Vec<_> = bad.iter().map(|bad| (bad.file, bad.line)).collect();
        let expected = [
            (0, 2),
            (0, 3),
            (0, 4),
            (0, 5),
            (0, 6),
            (1, 2),
            (1, 3),
            (1, 4),
            (1, 5),
            (1, 6),
            (2, 1),
        ];
        assert_eq!(places, expected);
        let find = |name, address: &str| {
            reputations.category(name).and_then(|table| table.find(address.parse().unwrap()))
        };
        assert_eq!(find("Bad", "1.1.1.1"), Some(7));
        assert_eq!(find("Bad", "::1"), Some(9));
        assert_eq!(find("Three", "2.2.2.2"), Some(2));
        assert_eq!(find("Bad", "2.2.2.2"), None);
        let mut names: Vec<_> = reputations.names().collect();
        names.sort_unstable();
        assert_eq!(names, ["Bad", "Three"]);
    }

    #[test]
    fn files_of_the_settings() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        std::fs::write(path("cats"), "1,Bad,x\n").unwrap();
        std::fs::write(path("a.list"), "1.1.1.0/24,1,7\nbad\n").unwrap();
        let mut settings = ReputationSettings::default();
        assert!(Reputations::open(&settings).unwrap().is_none());
        settings.files.push("a.list".into());
        assert!(matches!(Reputations::open(&settings), Err(ReputationError::NoCategories)));
        settings.categories = Some(path("cats"));
        settings.folder = Some(folder.path().into());
        let (reputations, bad) = Reputations::open(&settings).unwrap().unwrap();
        let address = "1.1.1.77".parse().unwrap();
        assert_eq!(reputations.category("Bad").unwrap().find(address), Some(7));
        assert_eq!((bad.len(), &bad[0].0, bad[0].1.line), (1, &path("a.list"), 2));
        settings.files.push("gone".into());
        let error = Reputations::open(&settings).unwrap_err().to_string();
        assert!(error.starts_with(&path("gone").display().to_string()), "{error}");
    }
}
