//! The sets of a sensor by their names: opened when the settings or the first rule define them, shared by
//! all rules that name them, kept or read anew when rules are reloaded, saved at the end.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use super::file::{self, FileError, Layout};
use super::kind::Kind;
use super::set::{Dataset, Files};
use super::settings::DatasetSettings;

/// Bytes a name may have (Suricata's `DATASET_NAME_MAX_LEN`).
pub const MAX_NAME: usize = 63;

/// The set a rule names, and what it says of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) kind: Option<Kind>,
    pub(super) files: Files,
    pub(super) layout: Layout,
    pub(super) memcap: Option<usize>,
    pub(super) hashsize: Option<u32>,
}

/// Why a set cannot be had.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "each says it in words")]
pub enum DatasetError {
    #[error("data sets are switched off (`datasets.enabled`)")]
    Off,
    #[error("the data set `{0}` is not defined: `type` and `load` or `state` define it")]
    Undefined(String),
    #[error("the data set `{name}` is there already, and holds {}", kind.name())]
    Kind { name: String, kind: Kind },
    #[error("the data set `{0}` is there already, with other files")]
    Files(String),
    #[error("the data set `{0}` is there already, with another format")]
    Layout(String),
    #[error("the data set `{other}` is saved to {} already", path.display())]
    Saved { path: PathBuf, other: String },
    #[error("a hashsize of {hashsize} is above the limit of {limit} (`datasets.limits.{name}`)")]
    Hashsize { hashsize: u64, limit: u64, name: &'static str },
    #[error("the data set `{name}` cannot be loaded: {error}")]
    Open { name: String, error: FileError },
}

/// All sets.
#[derive(Debug, Default)]
pub struct Datasets {
    settings: DatasetSettings,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By name in lower case.
    sets: HashMap<String, Held>,
    hashsizes: u64,
}

#[derive(Clone, Debug)]
struct Held {
    set: Arc<Dataset>,
    hashsize: u32,
    /// The settings named it.
    configured: bool,
}

impl Datasets {
    /// Opens the sets that the settings name.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub fn new(settings: DatasetSettings) -> Result<Self, DatasetError> {
        let sets = Self { settings, state: Mutex::default() };
        for (name, set) in &sets.settings.sets {
            let Some(kind) = set.kind else { continue };
            let data = |path: &PathBuf| sets.settings.data_folder.join(path);
            let save = set.save.as_ref().map(data);
            let load = match &set.load {
                _ if set.state => save.clone(),
                Some(path) => Some(Some(data(path)).filter(|p| p.exists()).unwrap_or(path.clone())),
                None => None,
            };
            let definition = Definition {
                name: name.clone(),
                kind: Some(kind),
                files: Files { load, save },
                memcap: set.memcap,
                hashsize: set.hashsize,
                ..Definition::default()
            };
            sets.define(&mut sets.state(), &definition, true)?;
        }
        Ok(sets)
    }

    /// The sets for rules that are loaded anew: those that the settings name, that packets may fill or
    /// that are saved are the same as before; those that only a `load` in a rule fills are read again.
    pub fn next(&self) -> Self {
        let mut state = State::default();
        for (name, held) in &self.state().sets {
            let files = &held.set.files;
            if held.configured || files.save.is_some() || files.load.is_none() {
                state.hashsizes += u64::from(held.hashsize);
                state.sets.insert(name.clone(), held.clone());
            }
        }
        Self { settings: self.settings.clone(), state: Mutex::new(state) }
    }

    /// The settings.
    pub(super) fn settings(&self) -> &DatasetSettings {
        &self.settings
    }

    /// The set with this name, whatever its letters' case.
    pub fn get(&self, name: &str) -> Option<Arc<Dataset>> {
        self.state().sets.get(&name.to_ascii_lowercase()).map(|held| held.set.clone())
    }

    /// The sets, by name.
    pub fn all(&self) -> Vec<Arc<Dataset>> {
        let mut sets: Vec<_> = self.state().sets.values().map(|held| held.set.clone()).collect();
        sets.sort_by(|a, b| a.name.cmp(&b.name));
        sets
    }

    /// The set that a rule names; opened if it is the first.
    pub(super) fn open(&self, wanted: &Definition) -> Result<Arc<Dataset>, DatasetError> {
        if !self.settings.enabled {
            return Err(DatasetError::Off);
        }
        let mut state = self.state();
        let Some(held) = state.sets.get(&wanted.name.to_ascii_lowercase()) else {
            return self.define(&mut state, wanted, false);
        };
        let set = &held.set;
        if wanted.kind.is_some_and(|kind| kind != set.kind) {
            return Err(DatasetError::Kind { name: wanted.name.clone(), kind: set.kind });
        }
        // A rule that names no file takes the set as it is.
        if wanted.files != Files::default() {
            if wanted.files != set.files {
                return Err(DatasetError::Files(wanted.name.clone()));
            }
            if wanted.layout != set.layout {
                return Err(DatasetError::Layout(wanted.name.clone()));
            }
        }
        Ok(set.clone())
    }

    fn define(
        &self,
        state: &mut State,
        wanted: &Definition,
        configured: bool,
    ) -> Result<Arc<Dataset>, DatasetError> {
        let Definition { name, files, .. } = wanted;
        let kind = wanted.kind.ok_or_else(|| DatasetError::Undefined(name.clone()))?;
        let hashsize = wanted.hashsize.unwrap_or(self.settings.hashsize);
        let sum = state.hashsizes + u64::from(hashsize);
        for (hashsize, limit, name) in [
            (hashsize.into(), self.settings.single_hashsize.into(), "single-hashsize"),
            (sum, self.settings.total_hashsizes, "total-hashsizes"),
        ] {
            if limit > 0 && hashsize > limit {
                return Err(DatasetError::Hashsize { hashsize, limit, name });
            }
        }
        if let Some(path) = &files.save {
            let same = |held: &&Held| held.set.files.save.as_ref() == Some(path);
            if let Some(held) = state.sets.values().find(same) {
                let other = held.set.name.clone();
                return Err(DatasetError::Saved { path: path.clone(), other });
            }
        }
        let (files, layout) = (files.clone(), wanted.layout.clone());
        let set = Dataset::open(name, kind, files, layout, wanted.memcap, self.settings.memcap)
            .map_err(|error| DatasetError::Open { name: name.clone(), error })?;
        let set = Arc::new(set);
        state.hashsizes = sum;
        let held = Held { set: set.clone(), hashsize, configured };
        state.sets.insert(name.to_ascii_lowercase(), held);
        Ok(set)
    }

    /// Saves all sets that have a file for it. Gives back what could not be saved, and why; the old files
    /// are as they were then.
    pub fn save_all(&self) -> Vec<(PathBuf, std::io::Error)> {
        let save = |set: &Arc<Dataset>| {
            let path: &Path = set.files.save.as_deref()?;
            let error = file::replace(path, &set.lines()).err()?;
            Some((path.to_owned(), error))
        };
        self.all().iter().filter_map(save).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
