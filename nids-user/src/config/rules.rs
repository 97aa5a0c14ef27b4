//! Settings of rule files: which are read, in which dialect, and the lists that tune them.

use std::path::{Path, PathBuf};

use crate::rule::dialect::Dialect;
use crate::rule::tuning::TuningFiles;

/// Which rules are read, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSettings {
    /// `rule-files`: taken where the command line names none.
    pub files: Vec<PathBuf>,
    /// `default-rule-path`: the folder that `rule-files` are in, and that `$RULE_PATH` stands for.
    pub folder: Option<PathBuf>,
    /// `rule-dialect`; `None`: each rule shows its own.
    pub dialect: Option<Dialect>,
    /// `disable-conf`, `enable-conf`, `drop-conf`, `modify-conf`.
    pub tuning: TuningFiles,
}

impl RuleSettings {
    /// `rule-files`, each in `default-rule-path` where it is no absolute path.
    pub fn paths(&self) -> Vec<PathBuf> {
        let folder = self.folder.as_deref().unwrap_or(Path::new(""));
        self.files.iter().map(|file| folder.join(file)).collect()
    }
}

/// `[a.rules, b.rules]`, with or without the brackets.
pub(super) fn files(text: &str) -> Option<Vec<PathBuf>> {
    let list = text.strip_prefix('[').map_or(Some(text), |rest| rest.strip_suffix(']'))?;
    let names = list.split(',').map(|name| name.trim().trim_matches('"'));
    let files: Vec<PathBuf> = names.filter(|name| !name.is_empty()).map(PathBuf::from).collect();
    (!files.is_empty()).then_some(files)
}

/// A path; an empty text is none.
pub(super) fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_files() {
        let paths = |text: &str| {
            let files = files(text)?;
            let settings = RuleSettings {
                files,
                folder: Some("/etc/rules".into()),
                ..RuleSettings::default()
            };
            Some(settings.paths())
        };
        let expected = vec![PathBuf::from("/etc/rules/a.rules"), PathBuf::from("/b/*.rules")];
        assert_eq!(paths("[a.rules, \"/b/*.rules\"]"), Some(expected.clone()));
        assert_eq!(paths("a.rules,/b/*.rules"), Some(expected));
        for bad in ["", "[]", "[a.rules", ","] {
            assert_eq!(paths(bad), None, "{bad}");
        }
    }
}
