//! Patterns with `*`, `?` and `[a-z]`: of names, and of paths in the file system.
//!
//! As in suricata-update (Python's fnmatch), `*` also takes in `/` when a whole name is compared, and
//! `[!a-z]` is any other character. In paths, `*` stays within one folder.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Paths that one pattern may stand for.
const MAX_PATHS: usize = 10_000;

/// Whether `text` has a character that makes it a pattern.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether `pattern` takes in the whole of `name`. Time is bounded by the product of their lengths.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Behind the last `*`, and how much of the name it has been given.
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        if pattern.get(at) == Some(&'*') {
            at += 1;
            star = Some((at, seen));
            continue;
        }
        match one(&pattern[at..], name[seen]) {
            Some(width) => (at, seen) = (at + width, seen + 1),
            None => {
                let Some((behind, taken)) = star else { return false };
                star = Some((behind, taken + 1));
                (at, seen) = (behind, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// Characters of the pattern that take in `c`; `None` where they do not.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match class(pattern, c) {
            Some((width, true)) => Some(width),
            Some((_, false)) => None,
            // Not closed: a bracket.
            None => (c == '[').then_some(1),
        },
        literal => (*literal == c).then_some(1),
    }
}

/// Width of the class `[...]` that `pattern` begins with, and whether `c` is of it.
fn class(pattern: &[char], c: char) -> Option<(usize, bool)> {
    let negated = pattern.get(1) == Some(&'!');
    let first = 1 + usize::from(negated);
    // A `]` that stands first is a member.
    let close = first + 1 + pattern.get(first + 1..)?.iter().position(|c| *c == ']')?;
    let (mut at, mut inside) = (first, false);
    while at < close {
        if at + 2 < close && pattern[at + 1] == '-' {
            inside |= (pattern[at]..=pattern[at + 2]).contains(&c);
            at += 3;
        } else {
            inside |= pattern[at] == c;
            at += 1;
        }
    }
    Some((close + 1, inside != negated))
}

/// The paths that are there and that `pattern` stands for, sorted. A folder that may not be read, and
/// more than [`MAX_PATHS`] paths, are errors; none at all is not.
pub(super) fn expand(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let name = match component {
            Component::Normal(name) => name.to_string_lossy(),
            other => {
                found.iter_mut().for_each(|path| path.push(other));
                continue;
            }
        };
        if !is_pattern(&name) {
            found.iter_mut().for_each(|path| path.push(name.as_ref()));
            found.retain(|path| path.exists());
            continue;
        }
        let mut next = Vec::new();
        for folder in found {
            let here = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
            if !here.is_dir() {
                continue;
            }
            for entry in fs::read_dir(here)? {
                let entry = entry?.file_name();
                let entry = entry.to_string_lossy();
                // As in a shell, a name that begins with a dot is asked for by its dot.
                let hidden = entry.starts_with('.') && !name.starts_with('.');
                if !hidden && matches(&name, &entry) {
                    next.push(folder.join(entry.as_ref()));
                }
            }
            if next.len() > MAX_PATHS {
                let reason = format!("the pattern stands for more than {MAX_PATHS} paths");
                return Err(io::Error::other(reason));
            }
        }
        found = next;
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for (pattern, name, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*.rules", "a/b.rules", true),
            ("*.rules", "a.rules.gz", false),
            ("emerging-*", "emerging-dos", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("?", "é", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]x]", "]", true),
            ("[x", "[x", true),
            ("[", "a", false),
            ("[a-", "[a-", true),
            ("Emerging", "emerging", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        assert!(!matches(&"*a".repeat(50), &"a".repeat(49)));
    }

    #[test]
    fn paths() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a/x.rules", "a/y.rules", "b/x.rules", "b/z.txt", "b/.x.rules"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| {
            let paths = expand(&dir.path().join(pattern)).unwrap();
            let names = paths.iter().map(|path| path.strip_prefix(dir.path()).unwrap());
            names.map(|name| name.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found("*/*.rules"), ["a/x.rules", "a/y.rules", "b/x.rules"]);
        assert_eq!(found("[b]/x.*"), ["b/x.rules"]);
        assert_eq!(found("*/x.rules"), ["a/x.rules", "b/x.rules"]);
        assert_eq!(found("c/*"), [""; 0]);
        assert_eq!(found("a/x.rules/*"), [""; 0]);
    }

    proptest! {
        #[test]
        fn itself_and_its_prefixes(name in "[a-z./\\[\\]!-]{0,12}", cut in 0usize..12) {
            let head = name.get(..cut.min(name.len())).unwrap_or_default();
            if !head.contains('[') {
                prop_assert!(matches(&format!("{head}*"), &name), "{}", head);
            }
            let any = "?".repeat(name.len());
            prop_assert!(matches(&any, &name));
        }

        #[test]
        fn never_panics(pattern in "[a-c*?\\[\\]!-]{0,20}", name in "[a-c\\[\\]!-]{0,20}") {
            matches(&pattern, &name);
        }
    }
}
