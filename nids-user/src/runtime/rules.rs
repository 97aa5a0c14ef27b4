//! From rule files to rules ready to be put in force, for `run` (also when it reloads) and `read`.
//!
//! A rule that is refused is told on standard error and left out; with `strict` it ends the attempt.
//! What refusals mean in full is the business of `nids check`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::sandbox::folder_of;
use super::sensor::Generation;
use crate::cli::exit::{Code, Failure};
use crate::config::Settings;
use crate::decode::tunnel::Carriers;
use crate::detect::dataset::{Dataset, Datasets};
use crate::detect::geoip::CountryDatabase;
use crate::detect::iprep::Reputations;
use crate::detect::keyword;
use crate::detect::lookup::Stores;
use crate::detect::threshold::{self, FileLimits};
use crate::detect::{self, Environment, Ruleset};
use crate::rule::diagnostic::{Refusal, printable};
use crate::rule::load::{self, LoadError, Loaded};
use crate::rule::parser::{self, Reading};
use crate::rule::report::{Report, Summary};
use crate::rule::requires::{Platform, Version};
use crate::rule::tuning::{Tuning, TuningError, TuningFiles};
use crate::rule::variables::Variables;

/// Refusals that are told one by one; more are only counted.
const TOLD: usize = 10;
/// The folder that is taken when none is named.
const FOLDER: &str = "rules";
/// The rules that are taken where that folder is missing too.
const BUILT_IN: &str = include_str!("../../../rules/local.rules");

/// What `requires` may ask for.
pub const PLATFORM: Platform = Platform {
    version: Version::COMPATIBLE,
    features: &[],
    has_keyword: |name| keyword::find(name).is_some(),
};

/// All refusals, in the order of files and lines.
pub fn in_order(loaded: &Loaded, of_compiler: Vec<Refusal>) -> Vec<Refusal> {
    let order: HashMap<_, _> = loaded.files.iter().map(|file| &**file).zip(0usize..).collect();
    let mut refusals = [loaded.refusals.clone(), of_compiler].concat();
    refusals.sort_by_key(|refusal| (order.get(&*refusal.file).copied(), refusal.line));
    refusals
}

/// Where rules come from, and what judges them.
#[derive(Clone, Debug)]
pub struct RuleSource {
    paths: Vec<PathBuf>,
    variables: Variables,
    carriers: Carriers,
    settings: Arc<Settings>,
    /// The sets of the rules in force: what packets put into them outlives the rules.
    datasets: Arc<Mutex<Option<Arc<Datasets>>>>,
    strict: bool,
    /// Folders of the rule files that were read, included ones too.
    folders: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl RuleSource {
    /// Files, folders and patterns; none: those of the settings, or the folder `rules` here, or else the
    /// rules built in.
    pub fn new(paths: &[PathBuf], settings: &Settings, strict: bool) -> Self {
        let mut paths = paths.to_vec();
        if paths.is_empty() {
            paths = settings.rules.paths();
        }
        if paths.is_empty() && Path::new(FOLDER).is_dir() {
            paths.push(FOLDER.into());
        }
        let carriers = settings.tunnels.carriers();
        Self {
            paths,
            variables: settings.variables.clone(),
            carriers,
            settings: Arc::new(settings.clone()),
            datasets: Arc::default(),
            strict,
            folders: Arc::default(),
        }
    }

    /// The same, read anew from other paths with other settings. The sets that packets have filled stay.
    pub fn renewed(&self, paths: &[PathBuf], settings: &Settings, strict: bool) -> Self {
        let (datasets, folders) = (Arc::clone(&self.datasets), Arc::clone(&self.folders));
        Self { datasets, folders, ..Self::new(paths, settings, strict) }
    }

    /// Where the rules come from, in words.
    pub fn describe(&self) -> String {
        match self.paths.as_slice() {
            [] => "built in: name others with --rules".to_owned(),
            paths => {
                let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
                names.join(", ")
            }
        }
    }

    /// Loads and compiles them.
    ///
    /// # Errors
    /// A path cannot be read, or a rule is refused and that counts.
    pub fn build(&self) -> Result<Generation<Ruleset>, Failure> {
        let mut loaded = self.load()?;
        for (file, line) in &loaded.bad_lines {
            log::warn!("{}: {line}", file.display());
        }
        let environment = self.environment(&mut loaded)?;
        let compiled = detect::compile(&loaded.rules, &environment);
        let refusals = in_order(&loaded, compiled.refusals);
        self.judge(&refusals)?;
        let count = compiled.ruleset.len();
        self.warn_of_drops(&compiled.ruleset);
        let counts = Summary::new(count, loaded.disabled, &refusals, &loaded.unmet);
        let report = Arc::new(Report::new(counts, &refusals));
        let mut summary = match (count, refusals.len()) {
            (1, 0) => "1 rule".to_owned(),
            (count, 0) => format!("{count} rules"),
            (count, refused) => format!("{count} rules, {refused} refused"),
        };
        if !loaded.unmet.is_empty() {
            summary += &format!(", {} left out by `requires`", loaded.unmet.len());
        }
        let filter = compiled.ruleset.filter(&self.carriers);
        // Only now: rules that did not come to be leave no sets behind.
        self.hold(environment.stores.datasets);
        Ok(Generation { rules: Arc::new(compiled.ruleset), filter, summary, report })
    }

    /// Rules that would block do nothing of the kind here; that is told once a load.
    fn warn_of_drops(&self, ruleset: &Ruleset) {
        if self.settings.inline {
            return;
        }
        // Both ways of a `<>` rule are one.
        let blocking: HashSet<(u32, u32)> = ruleset
            .signatures()
            .iter()
            .filter(|signature| signature.info.action.blocks())
            .map(|signature| (signature.info.gid, signature.info.sid))
            .collect();
        match blocking.len() {
            0 => {}
            1 => log::warn!("1 rule would drop or reject: it alerts, and nothing is blocked"),
            many => {
                log::warn!("{many} rules would drop or reject: they alert, and nothing is blocked");
            }
        }
    }

    /// What the loaded rules refer to; takes the classes and references out of `loaded`.
    ///
    /// # Errors
    /// A list that the settings name cannot be read.
    pub fn environment(&self, loaded: &mut Loaded) -> Result<Environment, Failure> {
        Ok(Environment {
            stores: self.stores()?,
            limits: Arc::new(self.limits()?),
            action_order: self.settings.action_order,
            variables: self.variables.clone(),
            classifications: std::mem::take(&mut loaded.classifications),
            references: std::mem::take(&mut loaded.references),
        })
    }

    /// The lists that rules may name.
    fn stores(&self) -> Result<Stores, Failure> {
        let bad = |error: &dyn std::fmt::Display| Failure::new(Code::Data, format!("{error}."));
        let held = self.datasets.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let datasets = Arc::new(match held {
            Some(before) => before.next(),
            None => Datasets::new(self.settings.datasets.clone()).map_err(|error| bad(&error))?,
        });
        let reputations =
            Reputations::open(&self.settings.reputation).map_err(|error| bad(&error))?;
        let reputations = reputations.map(|(reputations, lines)| {
            for (file, line) in lines {
                log::warn!("{}: {}", file.display(), line.reason);
            }
            Arc::new(reputations)
        });
        let countries = self.settings.geoip_database.as_deref().map(CountryDatabase::open);
        let countries = countries.transpose().map_err(|error| bad(&error))?.map(Arc::new);
        Ok(Stores { datasets, reputations, countries })
    }

    /// What the threshold file says.
    fn limits(&self) -> Result<FileLimits, Failure> {
        let Some(path) = &self.settings.threshold_file else { return Ok(FileLimits::default()) };
        let parsed = threshold::load(path, &self.variables).map_err(|error| {
            Failure::new(Code::NoInput, format!("{}: {error}.", path.display()))
        })?;
        self.judge(&parsed.refusals)?;
        Ok(FileLimits::new(parsed.entries))
    }

    /// Paths that loading the rules again reads, as far as the last time showed.
    pub fn read_paths(&self) -> Vec<PathBuf> {
        let Settings { rules, reputation, geoip_database, threshold_file, datasets, .. } =
            &*self.settings;
        let tuning = &rules.tuning;
        let lists = [&tuning.disable, &tuning.enable, &tuning.drop, &tuning.modify];
        let files =
            lists.into_iter().chain([&reputation.categories, geoip_database, threshold_file]);
        let mut paths: Vec<_> = files.flatten().map(|file| folder_of(file)).collect();
        paths.extend(
            [&rules.folder, &datasets.rule_path, &reputation.folder].into_iter().flatten().cloned(),
        );
        let folder = reputation.folder.as_deref().unwrap_or(Path::new(""));
        paths.extend(reputation.files.iter().map(|file| folder_of(&folder.join(file))));
        for path in &self.paths {
            // Of a pattern, the folder before its first wildcard; a missing one was told of already.
            let fixed = path.ancestors().find(|it| !it.to_string_lossy().contains(['*', '?', '[']));
            let fixed = fixed.filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
            paths.push(if fixed.is_dir() { fixed.to_owned() } else { folder_of(fixed) });
        }
        paths.extend(self.folders.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        let sets = self.sets();
        paths.extend(sets.iter().filter_map(|set| set.files().load.as_deref()).map(folder_of));
        paths
    }

    /// Folders that saving sets writes to. Those that are missing are made.
    ///
    /// # Errors
    /// With [`Code::CannotCreate`], one that cannot be made.
    pub fn written_paths(&self) -> Result<Vec<PathBuf>, Failure> {
        let sets = self.sets();
        let saved = sets.iter().filter_map(|set| set.files().save.as_deref());
        let mut folders: Vec<_> = saved.map(folder_of).collect();
        for folder in &folders {
            std::fs::create_dir_all(folder).map_err(|error| {
                let text = format!("the folder {} cannot be made: {error}.", folder.display());
                Failure::new(Code::CannotCreate, text)
            })?;
        }
        // Rules that come later may have sets too.
        folders.extend(Some(self.settings.datasets.data_folder.clone()).filter(|it| it.is_dir()));
        Ok(folders)
    }

    fn sets(&self) -> Vec<Arc<Dataset>> {
        let held = self.datasets.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map_or_else(Vec::new, |datasets| datasets.all())
    }

    /// Keeps the sets of rules that were built, for the rules after them.
    fn hold(&self, datasets: Arc<Datasets>) {
        *self.datasets.lock().unwrap_or_else(PoisonError::into_inner) = Some(datasets);
    }

    /// Saves the sets that packets may have filled, at the end.
    pub fn save(&self) {
        let held = self.datasets.lock().unwrap_or_else(PoisonError::into_inner);
        for (path, error) in held.iter().flat_map(|datasets| datasets.save_all()) {
            log::error!("{}: the set cannot be saved: {error}", path.display());
        }
    }

    /// Reads and parses them, and takes out what `requires` more than there is.
    ///
    /// # Errors
    /// A path or list cannot be read.
    pub fn load(&self) -> Result<Loaded, Failure> {
        let tuning = match self.settings.rules.tuning == TuningFiles::default() {
            true => None,
            false => Some(Tuning::read(&self.settings.rules.tuning).map_err(|error| {
                let code = match &error {
                    TuningError::Read(..) => Code::NoInput,
                    TuningError::Line { .. } => Code::Config,
                };
                Failure::new(code, format!("{error}."))
            })?),
        };
        let reading = Reading { dialect: self.settings.rules.dialect, tuning: tuning.as_ref() };
        let mut loaded = self.load_as(reading)?;
        let read = loaded.rules.iter().map(|rule| &rule.file);
        let read = read.chain(loaded.refusals.iter().map(|refusal| &refusal.file));
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.extend(read.map(|file| folder_of(file)));
        drop(folders);
        loaded.sift(&PLATFORM);
        Ok(loaded)
    }

    fn load_as(&self, reading: Reading<'_>) -> Result<Loaded, Failure> {
        if self.paths.is_empty() {
            let file = Arc::from(Path::new("built-in.rules"));
            let parsed = parser::parse_with(&file, BUILT_IN.as_bytes(), reading);
            return Ok(Loaded {
                rules: parsed.rules,
                refusals: parsed.refusals,
                disabled: parsed.disabled,
                tuned: parsed.tuned,
                ..Loaded::default()
            });
        }
        let rule_path = self.settings.rules.folder.as_deref();
        load::load_with(&self.paths, load::Options { reading, rule_path }).map_err(|error| {
            let code = match &error {
                LoadError::Open(..)
                | LoadError::NotAFile(_)
                | LoadError::NoRules(_)
                | LoadError::NoMatch(_) => Code::NoInput,
                LoadError::Read(..) => Code::Io,
                LoadError::TooLarge(_) | LoadError::TooMany(_) | LoadError::Loop(_) => Code::Data,
            };
            Failure::new(code, format!("{error}."))
        })
    }

    /// Tells of refused rules, and fails where they count.
    fn judge(&self, refusals: &[Refusal]) -> Result<(), Failure> {
        for refusal in refusals.iter().take(TOLD) {
            let Refusal { file, line, reason, .. } = refusal;
            let help = refusal.help.as_deref().map_or(String::new(), |help| format!("; {help}"));
            let told = format!("{}:{line}: rule refused: {reason}{help}", file.display());
            log::warn!("{}", printable(&told));
        }
        if let Some(more) = refusals.len().checked_sub(TOLD + 1) {
            log::warn!("{} more rules refused; `nids check` shows all", more + 1);
        }
        match refusals.len() {
            0 => Ok(()),
            count if self.strict => {
                let rules = if count == 1 { "1 rule is" } else { &format!("{count} rules are") };
                Err(Failure::new(Code::Data, format!("{rules} refused, and --strict is set.")))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn rule(sid: u32, options: &str) -> String {
        format!("alert udp any any -> any any ({options}; sid:{sid};)\n")
    }

    #[test]
    fn a_load_that_fails_leaves_no_data_sets_behind() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.rules");
        let source = RuleSource::new(std::slice::from_ref(&file), &Settings::default(), true);
        let build = |text: String| {
            fs::write(&file, text).unwrap();
            source.build()
        };
        let set =
            |kind: &str| rule(1, &format!("udp.hdr; content:\"x\"; dataset:set,seen,type {kind}"));
        build(rule(2, "content:\"x\"")).unwrap();
        // The set is of the wrong type, and another rule sinks the load.
        let failed = build(set("md5") + &rule(2, "nonsense")).unwrap_err();
        assert_eq!(failed.code, Code::Data, "{failed}");
        let built = build(set("string")).unwrap();
        assert_eq!((built.report.summary.loaded, built.report.summary.refused), (1, 0));
        // What is in force is kept: a set cannot change its type under those who filled it.
        assert!(build(set("md5")).is_err());
    }

    #[test]
    fn refusals_are_told_in_the_order_of_files_and_lines() {
        let folder = tempfile::tempdir().unwrap();
        let text = |good: &str| rule(1, "content:\"x\"; rawbytes:1") + good + &rule(3, "nonsense");
        fs::write(folder.path().join("a.rules"), text("\n")).unwrap();
        fs::write(folder.path().join("b.rules"), text(&rule(4, "content:\"y\""))).unwrap();
        let source = RuleSource::new(&[folder.path().into()], &Settings::default(), false);
        let report = source.build().unwrap().report;
        assert_eq!((report.summary.loaded, report.summary.refused), (1, 4));
        let mut list = String::new();
        std::io::Read::read_to_string(&mut report.refused().unwrap(), &mut list).unwrap();
        let places: Vec<(bool, u64)> = list
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|one| {
                (one["file"].as_str().unwrap().ends_with("b.rules"), one["line"].as_u64().unwrap())
            })
            .collect();
        assert_eq!(places, [(false, 1), (false, 3), (true, 1), (true, 3)]);
    }
}
