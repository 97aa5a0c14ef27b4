//! From paths to rules: files, plain or gzip, folders of `*.rules`, patterns, and the files these
//! include.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{error, fmt};

use flate2::read::MultiGzDecoder;

use super::ast::Rule;
use super::classification::Classifications;
use super::config_line::BadLine;
use super::diagnostic::{ReasonKind, Refusal};
use super::glob;
use super::parser::{self, Include, Parsed, Reading};
use super::reference::References;
use super::requires::{self, Platform};
use super::tuning::Tuned;

/// Bytes a file of rules may have, unpacked. The largest public ruleset has 26 MB.
pub const MAX_FILE: u64 = 256 * 1024 * 1024;
/// Bytes all files may have together, unpacked.
pub const MAX_TOTAL: u64 = 1024 * 1024 * 1024;
/// Files that may be read.
pub const MAX_FILES: usize = 10_000;
/// Files that may be included one by another.
pub const MAX_INCLUDES: usize = 16;

const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The one variable that the name of an included file may begin with.
const RULE_PATH: &str = "$RULE_PATH";

/// What was found.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Rules, in the order of the paths, of the names in a folder, and of the lines; those of an included
    /// file stand where it is included.
    pub rules: Vec<Rule>,
    /// What could not be parsed, or not be included.
    pub refusals: Vec<Refusal>,
    /// Rules that [`Loaded::sift`] left out, as their `requires` is not met.
    pub unmet: Vec<Refusal>,
    /// Rules behind a `#`, or disabled by a list, and not enabled by one.
    pub disabled: usize,
    /// What the lists did.
    pub tuned: Tuned,
    /// Files of rules that were read, in the order of their first lines.
    pub files: Vec<PathBuf>,
    /// The classes shipped with the sensor, and those of each classification.config beside the rules in
    /// a folder.
    pub classifications: Classifications,
    /// The same of reference.config.
    pub references: References,
    /// Lines of those files that could not be read.
    pub bad_lines: Vec<(PathBuf, BadLine)>,
}

/// How rules are loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// How each file is read.
    pub reading: Reading<'a>,
    /// What `$RULE_PATH` stands for in `include`; `None`: the folder of the file that includes.
    pub rule_path: Option<&'a Path>,
}

/// Why rules could not be loaded at all.
#[derive(Debug)]
pub enum LoadError {
    /// The file or folder is missing or may not be read.
    Open(PathBuf, io::Error),
    /// Reading or unpacking failed on the way.
    Read(PathBuf, io::Error),
    /// A folder without `*.rules`.
    NoRules(PathBuf),
    /// A pattern that no file has.
    NoMatch(PathBuf),
    /// Neither a file nor a folder.
    NotAFile(PathBuf),
    /// More than [`MAX_FILE`] bytes.
    TooLarge(PathBuf),
    /// More than [`MAX_FILES`] files or [`MAX_TOTAL`] bytes.
    TooMany(PathBuf),
    /// It is included from within itself.
    Loop(PathBuf),
}

impl LoadError {
    fn path(&self) -> &Path {
        match self {
            Self::Open(path, _)
            | Self::Read(path, _)
            | Self::NoRules(path)
            | Self::NoMatch(path)
            | Self::NotAFile(path)
            | Self::TooLarge(path)
            | Self::TooMany(path)
            | Self::Loop(path) => path,
        }
    }

    fn reason(&self) -> String {
        match self {
            Self::Open(_, error) => format!("the rules cannot be opened: {error}"),
            Self::Read(_, error) => format!("the rules cannot be read: {error}"),
            Self::NoRules(_) => "the folder holds no *.rules".to_owned(),
            Self::NoMatch(_) => "no file is called so".to_owned(),
            Self::NotAFile(_) => "neither a file nor a folder".to_owned(),
            Self::TooLarge(_) => format!("a file of rules has at most {MAX_FILE} bytes"),
            Self::TooMany(_) => {
                format!("more than {MAX_FILES} files or {MAX_TOTAL} bytes of rules")
            }
            Self::Loop(_) => "the file includes itself".to_owned(),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path().display(), self.reason())
    }
}

impl error::Error for LoadError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Open(_, error) | Self::Read(_, error) => Some(error),
            _ => None,
        }
    }
}

/// Loads files, folders with all their `*.rules` and `*.rules.gz` (not those of folders inside them), and
/// what patterns stand for. A bad rule, or an `include` that cannot be followed, is a refusal; only one
/// of the paths that cannot be read is an error.
pub fn load(paths: &[PathBuf]) -> Result<Loaded, LoadError> {
    load_with(paths, Options::default())
}

/// The same, in a certain way.
pub fn load_with(paths: &[PathBuf], options: Options<'_>) -> Result<Loaded, LoadError> {
    let mut loader =
        Loader { loaded: Loaded::default(), options, open: Vec::new(), bytes: 0, files: 0 };
    paths.iter().try_for_each(|path| loader.add(path))?;
    Ok(loader.loaded)
}

impl Loaded {
    /// Takes out the rules whose `requires` is not met, or cannot be read.
    pub fn sift(&mut self, platform: &Platform) {
        let (unmet, refused) = requires::sift(&mut self.rules, platform);
        self.unmet.extend(unmet);
        self.refusals.extend(refused);
    }
}

struct Loader<'a> {
    loaded: Loaded,
    options: Options<'a>,
    /// The files it is inside of, by their real paths.
    open: Vec<PathBuf>,
    bytes: u64,
    files: usize,
}

impl Loader<'_> {
    fn add(&mut self, path: &Path) -> Result<(), LoadError> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.add_folder(path),
            Ok(_) => self.add_file(path.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_pattern(path) => {
                let found = glob::expand(path).map_err(|e| LoadError::Open(path.to_owned(), e))?;
                let files: Vec<PathBuf> = found.into_iter().filter(|path| path.is_file()).collect();
                if files.is_empty() {
                    return Err(LoadError::NoMatch(path.to_owned()));
                }
                files.into_iter().try_for_each(|path| self.add_file(path))
            }
            Err(error) => Err(LoadError::Open(path.to_owned(), error)),
        }
    }

    fn add_folder(&mut self, folder: &Path) -> Result<(), LoadError> {
        let failed = |error| LoadError::Open(folder.to_owned(), error);
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if (name.ends_with(".rules") || name.ends_with(".rules.gz")) && path.is_file() {
                files.push(path);
            }
        }
        if files.is_empty() {
            return Err(LoadError::NoRules(folder.to_owned()));
        }
        files.sort();
        files.into_iter().try_for_each(|path| self.add_file(path))?;
        self.add_config(folder.join("classification.config"), |loaded, text| {
            loaded.classifications.add(text)
        })?;
        self.add_config(folder.join("reference.config"), |loaded, text| loaded.references.add(text))
    }

    fn add_file(&mut self, path: PathBuf) -> Result<(), LoadError> {
        if !self.open.is_empty() && self.open.contains(&real(&path)) {
            return Err(LoadError::Loop(path));
        }
        if self.bytes > MAX_TOTAL || self.files >= MAX_FILES {
            return Err(LoadError::TooMany(path));
        }
        let bytes = read(&path)?;
        self.bytes += bytes.len() as u64;
        self.files += 1;
        let file: Arc<Path> = Arc::from(path.as_path());
        let parsed = parser::parse_with(&file, &bytes, self.options.reading);
        drop(bytes);
        self.loaded.files.push(path);
        let Parsed { rules, refusals, disabled, includes, tuned } = parsed;
        self.loaded.refusals.extend(refusals);
        self.loaded.disabled += disabled;
        self.loaded.tuned += tuned;
        if includes.is_empty() {
            self.loaded.rules.extend(rules);
            return Ok(());
        }
        self.open.push(real(&file));
        let (mut rules, mut taken) = (rules.into_iter(), 0);
        for include in &includes {
            let ahead = include.rules_before.saturating_sub(taken);
            self.loaded.rules.extend(rules.by_ref().take(ahead));
            taken = include.rules_before;
            if let Err(reason) = self.include(&file, include) {
                self.loaded.refusals.push(refuse(&file, include, reason));
            }
        }
        self.loaded.rules.extend(rules);
        self.open.pop();
        Ok(())
    }

    /// Follows an `include` of `file`; the error is its reason.
    fn include(&mut self, file: &Path, include: &Include) -> Result<(), String> {
        let name = include.text.get(include.span.start..include.span.end).unwrap_or_default();
        if name.is_empty() {
            return Err("`include` needs the name of a file".to_owned());
        }
        if self.open.len() > MAX_INCLUDES {
            return Err(format!("more than {MAX_INCLUDES} files include one another"));
        }
        let here = file.parent().unwrap_or(Path::new(""));
        let path = match name.strip_prefix(RULE_PATH) {
            Some(rest) if rest.starts_with('/') => {
                self.options.rule_path.unwrap_or(here).join(rest.trim_start_matches('/'))
            }
            _ if name.starts_with('$') => {
                return Err(format!("only `{RULE_PATH}/` may stand before the name of a file"));
            }
            _ => here.join(name),
        };
        self.add(&path).map_err(|error| match error.path() == path {
            true => error.reason(),
            false => error.to_string(),
        })
    }

    fn add_config(
        &mut self,
        path: PathBuf,
        add: impl Fn(&mut Loaded, &str) -> Vec<BadLine>,
    ) -> Result<(), LoadError> {
        let text = match read(&path) {
            Err(LoadError::Open(_, error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(());
            }
            bytes => bytes?,
        };
        let bad = add(&mut self.loaded, &String::from_utf8_lossy(&text));
        self.loaded.bad_lines.extend(bad.into_iter().map(|line| (path.clone(), line)));
        Ok(())
    }
}

fn is_pattern(path: &Path) -> bool {
    glob::is_pattern(&path.to_string_lossy())
}

/// The path without links, where it is there.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn refuse(file: &Arc<Path>, include: &Include, reason: String) -> Refusal {
    Refusal {
        file: file.clone(),
        line: include.line,
        text: include.text.clone(),
        span: include.span,
        kind: ReasonKind::Include,
        reason,
        help: None,
        sid: None,
    }
}

/// The bytes of a file, unpacked where they are gzip.
fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    // Asked before opening: opening a FIFO would wait for a writer.
    let opened = |error| LoadError::Open(path.to_owned(), error);
    if !fs::metadata(path).map_err(opened)?.is_file() {
        return Err(LoadError::NotAFile(path.to_owned()));
    }
    let bytes = read_bounded(path, File::open(path).map_err(opened)?)?;
    match bytes.starts_with(&GZIP) {
        true => read_bounded(path, MultiGzDecoder::new(bytes.as_slice())),
        false => Ok(bytes),
    }
}

fn read_bounded(path: &Path, from: impl Read) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| LoadError::Read(path.to_owned(), error))?;
    match bytes.len() as u64 > MAX_FILE {
        true => Err(LoadError::TooLarge(path.to_owned())),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(sid: u32, rest: &str) -> String {
        format!("alert tcp any any -> any any (sid:{sid};{rest})\n")
    }

    #[test]
    fn folders_are_sorted_and_bring_their_configs() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("b.rules"), rule(2, "") + &rule(1, "rev:2;")).unwrap();
        fs::write(path("a.rules"), rule(1, "rev:1;") + "#" + &rule(3, "") + "bad\n").unwrap();
        fs::write(path("c.txt"), "no rules").unwrap();
        fs::create_dir(path("d.rules")).unwrap();
        fs::write(path("classification.config"), "config classification: own,Own,4\nx\n").unwrap();
        fs::write(path("reference.config"), "config reference: own https://own/\n").unwrap();
        let loaded = load(&[dir.path().to_owned()]).unwrap();
        assert_eq!(loaded.rules.iter().filter_map(Rule::sid).collect::<Vec<_>>(), [1, 2, 1]);
        assert_eq!((loaded.refusals.len(), loaded.disabled), (1, 1));
        assert_eq!(loaded.files, [path("a.rules"), path("b.rules")]);
        assert_eq!(loaded.classifications.get("own").unwrap().priority, 4);
        assert!(loaded.classifications.get("misc-attack").is_some());
        assert_eq!(loaded.references.expand("own", "1"), "https://own/1");
        assert_eq!(loaded.bad_lines.len(), 1);
    }

    #[test]
    fn what_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("none.rules");
        assert!(matches!(load(&[missing]), Err(LoadError::Open(..))));
        assert!(matches!(load(&[dir.path().to_owned()]), Err(LoadError::NoRules(_))));
        assert!(matches!(load(&["/dev/null".into()]), Err(LoadError::NotAFile(_))));
        let empty = dir.path().join("empty.rules");
        fs::write(&empty, "").unwrap();
        assert_eq!(load(&[empty]).unwrap().rules, []);
    }

    fn sids(loaded: &Loaded) -> Vec<u32> {
        loaded.rules.iter().filter_map(Rule::sid).collect()
    }

    #[test]
    fn patterns_and_gzip() {
        use std::io::Write;
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("b.rules"), rule(2, "")).unwrap();
        // The name does not matter, and there may be several members.
        let mut packed = Vec::new();
        for sid in [3, 4] {
            let mut encoder =
                flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
            encoder.write_all(rule(sid, "").as_bytes()).unwrap();
        }
        fs::write(path("a.rules"), &packed).unwrap();
        fs::write(path("c.rules.gz"), &packed[..packed.len() - 5]).unwrap();
        assert_eq!(sids(&load(&[path("[ab].*")]).unwrap()), [3, 4, 2]);
        assert!(matches!(load(&[path("*.txt")]), Err(LoadError::NoMatch(_))));
        // A cut archive is an error in a folder as well.
        assert!(matches!(load(&[path("c*")]), Err(LoadError::Read(..))));
        assert!(matches!(load(&[dir.path().to_owned()]), Err(LoadError::Read(..))));
    }

    #[test]
    fn includes_stand_where_they_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("more")).unwrap();
        fs::write(
            path("a.rules"),
            rule(1, "")
                + "include more/b.rules # why\n"
                + &rule(2, "")
                + "include \"$RULE_PATH/c.rules\"\ninclude more/*.rules\n"
                + &rule(3, ""),
        )
        .unwrap();
        fs::write(path("more/b.rules"), rule(4, "") + "bad\n").unwrap();
        fs::write(path("c.rules"), rule(5, "")).unwrap();
        let loaded = load(&[path("a.rules")]).unwrap();
        assert_eq!(sids(&loaded), [1, 4, 2, 5, 4, 3]);
        assert_eq!(loaded.refusals.len(), 2);
        let more = path("more");
        let options = Options { rule_path: Some(&more), ..Options::default() };
        let loaded = load_with(&[path("a.rules")], options).unwrap();
        let refusal = loaded.refusals.iter().find(|r| r.kind == ReasonKind::Include).unwrap();
        assert_eq!(refusal.line, 4);
        assert_eq!(&refusal.text[refusal.span.start..refusal.span.end], "$RULE_PATH/c.rules");
        assert!(refusal.reason.starts_with("the rules cannot be opened: No such file"));
    }

    #[test]
    fn includes_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let reasons = |name: &str| {
            let loaded = load(&[path(name)]).unwrap();
            let reasons: Vec<String> = loaded.refusals.into_iter().map(|r| r.reason).collect();
            (loaded.rules.len(), reasons)
        };
        fs::write(path("a"), rule(1, "") + "include b\n").unwrap();
        fs::write(path("b"), rule(2, "") + "include ./a\ninclude\t\ninclude $X/a\n").unwrap();
        let (rules, found) = reasons("a");
        assert_eq!(rules, 2);
        assert_eq!(
            found,
            [
                "the file includes itself",
                "`include` needs the name of a file",
                "only `$RULE_PATH/` may stand before the name of a file",
            ]
        );
        // A chain, and a tree that would double with each level.
        for level in 0..40 {
            let next = format!("include c{0}\ninclude c{0}\n", level + 1);
            fs::write(path(&format!("c{level}")), if level < 39 { &next } else { "" }).unwrap();
        }
        let (rules, found) = reasons("c0");
        assert_eq!(rules, 0);
        assert!(found.iter().any(|reason| reason.starts_with("more than 16 files include")));
        assert!(found.iter().any(|reason| reason.contains("more than 10000 files or")));
    }

    #[test]
    fn a_pattern_may_not_include_what_is_open() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.rules"), rule(1, "") + "include *.rules\n").unwrap();
        let loaded = load(&[dir.path().join("a.rules")]).unwrap();
        assert_eq!((sids(&loaded), loaded.refusals.len()), (vec![1], 1));
    }

    #[test]
    fn files_have_a_dialect() {
        use crate::rule::dialect::Dialect;
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("a.rules"), "# nids-dialect: snort3\n".to_owned() + &rule(1, "")).unwrap();
        fs::write(path("b.rules"), "# nids-dialect: snrt3\n".to_owned() + &rule(2, "")).unwrap();
        let reading = Reading { dialect: Some(Dialect::Snort2), ..Reading::default() };
        let options = Options { reading, ..Options::default() };
        let loaded = load_with(&[dir.path().to_owned()], options).unwrap();
        let dialects: Vec<Dialect> = loaded.rules.iter().map(|rule| rule.dialect).collect();
        assert_eq!(dialects, [Dialect::Snort3, Dialect::Snort2]);
        let refusal = &loaded.refusals[0];
        assert_eq!(refusal.reason, "`snrt3` is no dialect; did you mean `snort3`?");
        assert_eq!(&refusal.text[refusal.span.start..refusal.span.end], "snrt3");
        let loaded = load(&[path("b.rules")]).unwrap();
        assert_eq!(loaded.rules[0].dialect, Dialect::Suricata);
    }

    /// Every public ruleset parses. What they hold that is no rule is named here.
    #[test]
    fn public_rulesets_parse() {
        use crate::rule::dialect::Dialect::{Snort2, Snort3, Suricata};
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/rules"));
        // The last two: rules that are told to be of the dialect, and at least how many. Old rules of
        // Emerging Threats for Snort have no mark of it, and some of Snort 3 could be of Snort 2 as well.
        for (name, enabled, disabled, dialect, told) in [
            ("et-open.rules", 31_996, 12_202, Suricata, 31_996),
            ("et-open-2025-partial.rules", 14_999, 10_384, Suricata, 14_999),
            ("snort2-community.rules", 562, 3451, Snort2, 562),
            ("snort2-et-2021-partial.rules", 14_644, 7800, Snort2, 0),
            ("snort3-community.rules", 4017, 0, Snort3, 3_789),
        ] {
            let path = folder.join(name);
            if !path.exists() {
                eprintln!("skipped: {} is not there", path.display());
                continue;
            }
            let loaded = load(&[path]).unwrap();
            let refused: Vec<String> = loaded
                .refusals
                .iter()
                .map(|refusal| format!("{}: {}", refusal.line, refusal.reason))
                .collect();
            assert_eq!(refused, [""; 0], "{name}");
            assert_eq!(loaded.rules.len(), enabled, "{name}");
            assert_eq!(loaded.disabled, disabled, "{name}");
            let of = |wanted| loaded.rules.iter().filter(|rule| rule.dialect == wanted).count();
            assert!(of(dialect) >= told, "{name}: {} of {enabled} are {dialect}", of(dialect));
        }
    }
}
