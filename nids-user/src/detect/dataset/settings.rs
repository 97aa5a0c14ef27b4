//! `datasets.*`: which sets there are before any rule names one, and what rules may do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::kind::Kind;

/// Bytes that packets may add to a set where nothing else is said.
const MEMCAP: usize = 64 << 20;

/// Settings of the data sets (Suricata user guide, "Datasets").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetSettings {
    /// `datasets.enabled`: whether rules may name sets at all.
    pub enabled: bool,
    /// `datasets.defaults.memcap`, in bytes.
    pub memcap: usize,
    /// `datasets.defaults.hashsize`. Tables size themselves; it counts towards the limits only.
    pub hashsize: u32,
    /// `datasets.limits.single-hashsize`: highest `hashsize` a rule may ask for; 0: any.
    pub single_hashsize: u32,
    /// `datasets.limits.total-hashsizes`: highest sum of all; 0: any.
    pub total_hashsizes: u64,
    /// `datasets.rules.allow-write`: whether rules may name files to write.
    pub allow_write: bool,
    /// `datasets.rules.allow-absolute-filenames`: whether these may lie outside of the data folder.
    pub allow_absolute: bool,
    /// `default-rule-path`: where files are looked for that do not lie beside the rules.
    pub rule_path: Option<PathBuf>,
    /// `default-data-dir`: where what is saved lies.
    pub data_folder: PathBuf,
    /// `datasets.NAME.*`.
    pub sets: BTreeMap<String, SetSettings>,
}

/// A set that the settings name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetSettings {
    /// `type`; a set without one is none.
    pub kind: Option<Kind>,
    /// `load`.
    pub load: Option<PathBuf>,
    /// `state`, or `save`.
    pub save: Option<PathBuf>,
    /// Whether `save` is loaded too.
    pub state: bool,
    /// `memcap`, in bytes.
    pub memcap: Option<usize>,
    /// `hashsize`.
    pub hashsize: Option<u32>,
}

impl Default for DatasetSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            memcap: MEMCAP,
            hashsize: 4096,
            single_hashsize: 262_144,
            total_hashsizes: 67_108_864,
            allow_write: true,
            allow_absolute: false,
            rule_path: None,
            data_folder: PathBuf::from("/var/lib/nids"),
            sets: BTreeMap::new(),
        }
    }
}

impl DatasetSettings {
    /// Takes `datasets.NAME.FIELD`; `None` where the value cannot be read.
    pub fn set(&mut self, name: &str, field: &str, text: &str) -> Option<()> {
        use crate::config::value;
        let set = self.sets.entry(name.to_ascii_lowercase()).or_default();
        match field {
            "type" => set.kind = Some(Kind::named(text)?),
            "load" => set.load = Some(text.into()),
            "save" => set.save = Some(text.into()),
            "state" => (set.save, set.state) = (Some(text.into()), true),
            "memcap" => set.memcap = Some(value::size(text)?.try_into().ok()?),
            "hashsize" => set.hashsize = Some(value::size(text)?.try_into().ok()?),
            _ => return None,
        }
        Some(())
    }

    /// The file a rule means by `load`: beside the rules, else in `default-rule-path`, else from here.
    pub(super) fn load_path(&self, rules: &Path, text: &str) -> PathBuf {
        let folders = [rules.parent(), self.rule_path.as_deref()];
        let mut candidates = folders.into_iter().flatten().map(|folder| folder.join(text));
        // An absolute path is the same in all folders.
        candidates.find(|path| path.exists()).unwrap_or_else(|| text.into())
    }

    /// The file a rule means by `save` or `state`.
    ///
    /// # Errors
    /// In words: rules may not write, or not there.
    pub(super) fn save_path(&self, text: &str) -> Result<PathBuf, &'static str> {
        let path = Path::new(text);
        let leaves = |part| matches!(part, std::path::Component::ParentDir);
        if !self.allow_write {
            return Err("rules may not name files to write (`datasets.rules.allow-write`)");
        }
        if !self.allow_absolute && path.is_absolute() {
            return Err(
                "absolute paths are not allowed (`datasets.rules.allow-absolute-filenames`)",
            );
        }
        if !self.allow_absolute && path.components().any(leaves) {
            return Err("`..` is not allowed (`datasets.rules.allow-absolute-filenames`)");
        }
        if path.file_name().is_none() {
            return Err("this names no file");
        }
        Ok(self.data_folder.join(path))
    }
}
