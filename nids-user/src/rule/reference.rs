//! reference.config: what turns `reference:cve,2021-44228` into an address.

use std::collections::HashMap;

use super::config_line::{BadLine, is_name, read_lines};

/// The file shipped with the sensor.
const SHIPPED: &str = include_str!("../../../rules/reference.config");

/// Prefixes by kind, regardless of case. The default is the file shipped with the sensor.
#[derive(Clone, Debug)]
pub struct References {
    prefixes: HashMap<String, String>,
}

impl Default for References {
    fn default() -> Self {
        let mut shipped = Self { prefixes: HashMap::new() };
        let bad = shipped.add(SHIPPED);
        debug_assert!(bad.is_empty(), "{bad:?}");
        shipped
    }
}

impl References {
    /// The address of a reference, or `kind,value` where the kind is not known.
    pub fn expand(&self, kind: &str, value: &str) -> String {
        match self.prefix(kind) {
            Some(prefix) => format!("{prefix}{value}"),
            None => format!("{kind},{value}"),
        }
    }

    /// What stands before the values of this kind.
    pub fn prefix(&self, kind: &str) -> Option<&str> {
        self.prefixes.get(&kind.to_ascii_lowercase()).map(String::as_str)
    }

    /// Adds the kinds of a reference.config, which take precedence over those there are. The lines that
    /// could not be read are left out and given back; of two lines for one kind in the text, the first
    /// counts.
    pub fn add(&mut self, text: &str) -> Vec<BadLine> {
        let mut added: HashMap<String, String> = HashMap::new();
        let bad = read_lines(text, "reference", |rest| {
            let Some((kind, prefix)) = rest.split_once([' ', '\t']) else {
                return Err("expected `KIND PREFIX`".to_owned());
            };
            if !is_name(kind) {
                return Err(format!("`{kind}` cannot be the kind of a reference"));
            }
            let key = kind.to_ascii_lowercase();
            if added.contains_key(&key) {
                return Err(format!("the kind `{kind}` is there already"));
            }
            added.insert(key, prefix.trim_ascii().to_owned());
            Ok(())
        });
        self.prefixes.extend(added);
        bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands() {
        let mut references = References::default();
        assert_eq!(references.expand("URL", "example.org/x"), "https://example.org/x");
        assert_eq!(
            references.expand("cve", "2021-44228"),
            "https://cve.mitre.org/cgi-bin/cvename.cgi?name=2021-44228"
        );
        assert_eq!(references.expand("own", "7"), "own,7");
        assert_eq!(references.add("config reference: own\thttps://example.org/\r\n"), []);
        assert_eq!(references.expand("own", "7"), "https://example.org/7");
        assert_eq!(References { prefixes: HashMap::new() }.add(SHIPPED), []);
    }

    #[test]
    fn bad_lines_cost_only_themselves() {
        let mut references = References { prefixes: HashMap::new() };
        let bad = references.add(
            "config reference: alone\nconfig reference: 1 x\nconfig reference: a x\n\
             config reference: A y\nconfig classification: a,b,1\n",
        );
        let lines: Vec<u32> = bad.iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [1, 2, 4, 5]);
        assert_eq!(references.expand("a", "1"), "x1");
    }

    #[test]
    fn same_as_suricata() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/rules/reference.config");
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("skipped: {path} is not there");
            return;
        };
        let mut theirs = References { prefixes: HashMap::new() };
        assert_eq!(theirs.add(&text), []);
        assert_eq!(theirs.prefixes, References::default().prefixes);
    }
}
