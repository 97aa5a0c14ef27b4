//! From paths to rules: files, and folders of `*.rules`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{error, fmt};

use super::ast::Rule;
use super::classification::Classifications;
use super::config_line::BadLine;
use super::diagnostic::Refusal;
use super::parser;
use super::reference::References;

/// Bytes a file of rules may have. The largest public ruleset has 26 MB.
pub const MAX_FILE: u64 = 256 * 1024 * 1024;

/// What was found.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Rules, in the order of the paths, of the names in a folder, and of the lines.
    pub rules: Vec<Rule>,
    /// What could not be parsed.
    pub refusals: Vec<Refusal>,
    /// Rules behind a `#`.
    pub disabled: usize,
    /// Files of rules that were read.
    pub files: Vec<PathBuf>,
    /// The classes shipped with the sensor, and those of each classification.config beside the rules in
    /// a folder.
    pub classifications: Classifications,
    /// The same of reference.config.
    pub references: References,
    /// Lines of those files that could not be read.
    pub bad_lines: Vec<(PathBuf, BadLine)>,
}

/// Why rules could not be loaded at all.
#[derive(Debug)]
pub enum LoadError {
    /// The file or folder is missing or may not be read.
    Open(PathBuf, io::Error),
    /// Reading failed on the way.
    Read(PathBuf, io::Error),
    /// A folder without `*.rules`.
    NoRules(PathBuf),
    /// Neither a file nor a folder.
    NotAFile(PathBuf),
    /// More than [`MAX_FILE`] bytes.
    TooLarge(PathBuf),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(path, error) => {
                write!(f, "{}: the rules cannot be opened: {error}", path.display())
            }
            Self::Read(path, error) => {
                write!(f, "{}: the rules cannot be read: {error}", path.display())
            }
            Self::NoRules(path) => write!(f, "{}: the folder holds no *.rules", path.display()),
            Self::NotAFile(path) => write!(f, "{}: neither a file nor a folder", path.display()),
            Self::TooLarge(path) => {
                write!(f, "{}: a file of rules has at most {MAX_FILE} bytes", path.display())
            }
        }
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

/// Loads files, and folders with all their `*.rules` (not those of folders inside them). A bad rule is a
/// refusal; only a path that cannot be read is an error.
pub fn load(paths: &[PathBuf]) -> Result<Loaded, LoadError> {
    let mut loaded = Loaded::default();
    for path in paths {
        let metadata = fs::metadata(path).map_err(|error| LoadError::Open(path.clone(), error))?;
        if metadata.is_dir() {
            loaded.add_folder(path)?;
        } else {
            loaded.add_file(path.clone())?;
        }
    }
    Ok(loaded)
}

impl Loaded {
    fn add_folder(&mut self, folder: &Path) -> Result<(), LoadError> {
        let failed = |error| LoadError::Open(folder.to_owned(), error);
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "rules") && path.is_file() {
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
        let parsed = parser::parse_bytes(&Arc::from(path.as_path()), &read(&path)?);
        self.rules.extend(parsed.rules);
        self.refusals.extend(parsed.refusals);
        self.disabled += parsed.disabled;
        self.files.push(path);
        Ok(())
    }

    fn add_config(
        &mut self,
        path: PathBuf,
        add: impl Fn(&mut Self, &str) -> Vec<BadLine>,
    ) -> Result<(), LoadError> {
        let text = match read(&path) {
            Err(LoadError::Open(_, error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(());
            }
            bytes => bytes?,
        };
        let bad = add(self, &String::from_utf8_lossy(&text));
        self.bad_lines.extend(bad.into_iter().map(|line| (path.clone(), line)));
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    // Asked before opening: opening a FIFO would wait for a writer.
    let opened = |error| LoadError::Open(path.to_owned(), error);
    if !fs::metadata(path).map_err(opened)?.is_file() {
        return Err(LoadError::NotAFile(path.to_owned()));
    }
    let file = File::open(path).map_err(opened)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1)
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

    /// Every public ruleset parses. What they hold that is no rule is named here.
    #[test]
    fn public_rulesets_parse() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/rules"));
        for (name, enabled, disabled) in [
            ("et-open.rules", 31_996, 12_202),
            ("et-open-2025-partial.rules", 14_999, 10_384),
            ("snort2-community.rules", 562, 3451),
            ("snort2-et-2021-partial.rules", 14_644, 7800),
            ("snort3-community.rules", 4017, 0),
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
        }
    }
}
