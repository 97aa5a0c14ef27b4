//! In whose dialect a rule is written: Suricata, Snort 2.9 or Snort 3.
//!
//! The grammar is one; a few keywords mean different things (`urilen`, `isdataat`, `depth`). A file says
//! its dialect in a comment before its first rule, `# nids-dialect: snort3`, or the user says one for all
//! files. Else each rule is looked at by itself. It begins as a rule of all three; each mark, in the
//! order of the text, leaves only the dialects that have it, and a mark that would leave none is passed
//! over. Of what is left, Suricata comes before Snort 2, and Snort 2 before Snort 3. The marks are:
//!
//! * a header without nets, or without a port: Snort 3;
//! * a keyword that not all dialects have (`keywords`);
//! * `content:"x",nocase`: Snort 3;
//! * `http_uri` and the like with a value, or before any content: Snort 3;
//! * `metadata` with `service NAME`, `policy NAME-ips` or `ruleset community`: Snort;
//! * `flowbits` with `&`, a group, or `reset`: Snort;
//! * `pcre` with the flag `K` or `O`: Snort.

use std::fmt;
use std::str::FromStr;

use super::ast::{Header, RuleOption};
use super::keywords::{self, Dialects, SNORT2, SNORT3, SURICATA};
use crate::suggest::nearest;

/// A dialect of the rule language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Suricata.
    #[default]
    Suricata,
    /// Snort 2.9.
    Snort2,
    /// Snort 3.
    Snort3,
}

impl Dialect {
    /// All dialects.
    pub const ALL: [Self; 3] = [Self::Suricata, Self::Snort2, Self::Snort3];

    /// The word for it on the command line and in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suricata => "suricata",
            Self::Snort2 => "snort2",
            Self::Snort3 => "snort3",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Dialect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|d| d.as_str().eq_ignore_ascii_case(text));
        known.ok_or_else(|| match nearest(text, Self::ALL.iter().map(|d| d.as_str())) {
            Some(near) => format!("`{text}` is no dialect; did you mean `{near}`?"),
            None => format!("`{text}` is no dialect: it is suricata, snort2 or snort3"),
        })
    }
}

/// The word before the colon in a comment that names a file's dialect.
const DECLARATION: &str = "nids-dialect:";

/// What a comment before the first rule of `text` names as its dialect: the bytes of the word.
pub(super) fn declared(text: &str) -> Option<(usize, &str)> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{feff}');
        if !bare.is_empty() && !bare.starts_with('#') {
            return None;
        }
        let comment = bare.trim_start_matches(['#', ' ', '\t']);
        if comment
            .get(..DECLARATION.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(DECLARATION))
        {
            let word = comment[DECLARATION.len()..].trim_ascii();
            return Some((start + line.find(word).unwrap_or_default(), word));
        }
        start += line.len();
    }
    None
}

const ANY: Dialects = SURICATA | SNORT2 | SNORT3;
const SNORT: Dialects = SNORT2 | SNORT3;

/// The dialect of a rule by what it is made of.
pub(super) fn detect(header: &Header, options: &[RuleOption]) -> Dialect {
    let mut left = ANY;
    let keep = |left: &mut Dialects, with: Dialects| {
        if *left & with != 0 {
            *left &= with;
        }
    };
    let portless = header.endpoints.as_ref().is_none_or(|ends| {
        [&ends.source_port, &ends.destination_port]
            .iter()
            .any(|port| port.span.start == port.span.end)
    });
    if portless {
        keep(&mut left, SNORT3);
    }
    let mut content_before = false;
    for option in options {
        if left.is_power_of_two() {
            break;
        }
        keep(&mut left, mark(option, content_before));
        content_before |= matches!(option.name.node.as_str(), "content" | "uricontent");
    }
    match left {
        left if left & SURICATA != 0 => Dialect::Suricata,
        left if left & SNORT2 != 0 => Dialect::Snort2,
        _ => Dialect::Snort3,
    }
}

/// The dialects that an option can belong to.
fn mark(option: &RuleOption, content_before: bool) -> Dialects {
    let name = option.name.node.as_str();
    let value = option.value.as_ref().map_or("", |value| value.node.0.as_str());
    match name {
        "msg" | "sid" | "gid" | "rev" | "flow" | "classtype" | "reference" | "dsize" => ANY,
        "content" => match value.rfind('"') {
            Some(quote) if value[quote + 1..].trim_ascii_start().starts_with(',') => SNORT3,
            _ => ANY,
        },
        "metadata" if value.split(',').any(is_snort_metadata) => SNORT,
        "flowbits" if is_snort_flowbits(value) => SNORT,
        "pcre" if value.rfind('/').is_some_and(|slash| value[slash..].contains(['K', 'O'])) => {
            SNORT
        }
        "metadata" | "flowbits" | "pcre" => ANY,
        _ if name.contains('.') => SURICATA,
        _ => {
            let known = keywords::dialects(name).unwrap_or(ANY);
            let sticky = name.starts_with("http_") && (!value.is_empty() || !content_before);
            match known & SNORT3 != 0 && sticky {
                true => SNORT3,
                false => known,
            }
        }
    }
}

fn is_snort_metadata(entry: &str) -> bool {
    let entry = entry.trim_ascii();
    entry.starts_with("service ")
        || entry.starts_with("ruleset community")
        || (entry.starts_with("policy ") && entry.contains("-ips"))
}

fn is_snort_flowbits(value: &str) -> bool {
    value.contains('&')
        || value.trim_ascii().eq_ignore_ascii_case("reset")
        || value.split(',').nth(2).is_some()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::rule::parser::parse_str;

    fn dialect(rule: &str) -> Dialect {
        let parsed = parse_str(&Arc::from(Path::new("x.rules")), rule);
        assert_eq!(parsed.refusals, []);
        parsed.rules[0].dialect
    }

    #[test]
    fn by_their_marks() {
        use Dialect::{Snort2, Snort3, Suricata};
        let plain = "alert tcp any any -> any any";
        for (options, expected) in [
            ("content:\"x\"; nocase;", Suricata),
            ("isdataat:10,relative;", Suricata),
            ("http.uri; content:\"x\";", Suricata),
            ("content:\"x\"; http_uri;", Suricata),
            ("content:\"x, y\"; metadata:service_hint a, policy of_house;", Suricata),
            ("uricontent:\"x\";", Suricata),
            ("content:\"x\",nocase;", Snort3),
            ("content:\"a\\\"b\" , depth 3;", Snort3),
            ("http_uri; content:\"x\";", Snort3),
            ("content:\"x\"; http_header:field host; content:\"x\";", Snort3),
            ("service:http;", Snort3),
            ("rem:\"why\";", Snort3),
            ("bufferlen:>5;", Snort3),
            ("pkt_data; content:\"x\";", Suricata),
            ("content:\"x\"; metadata:service http;", Snort2),
            ("content:\"x\"; depth:3; metadata: policy balanced-ips drop;", Snort2),
            ("metadata:ruleset community; service:http;", Snort3),
            ("flowbits:set,a&b;", Snort2),
            ("flowbits:set,a,group;", Snort2),
            ("flowbits:isset,a;", Suricata),
            ("pcre:\"/x/K\";", Snort2),
            ("pcre:\"/O/i\";", Suricata),
            ("logto:\"x\";", Snort2),
            // The first mark counts.
            ("content:\"x\",nocase; http.uri;", Snort3),
            ("http.uri; content:\"x\",nocase;", Suricata),
        ] {
            assert_eq!(dialect(&format!("{plain} ({options} sid:1;)")), expected, "{options}");
        }
        for header in ["alert http", "alert tcp any -> any 80", "alert tcp any any -> any"] {
            assert_eq!(dialect(&format!("{header} (sid:1;)")), Snort3, "{header}");
        }
    }

    #[test]
    fn files_name_theirs() {
        for (text, expected) in [
            ("# nids-dialect: snort3\nalert", Some((16, "snort3"))),
            ("\u{feff}\n# by me\r\n#NIDS-Dialect:snort2\r\n", Some((27, "snort2"))),
            ("# nids-dialect:", Some((0, ""))),
            ("alert\n# nids-dialect: snort3", None),
            ("# the nids-dialect: snort3", None),
            ("", None),
        ] {
            let found = declared(text);
            assert_eq!(found, expected, "{text}");
            let Some((at, word)) = found else { continue };
            assert!(word.is_empty() || text[at..].starts_with(word));
        }
    }

    #[test]
    fn words() {
        for dialect in Dialect::ALL {
            assert_eq!(dialect.as_str().parse(), Ok(dialect));
        }
        assert_eq!(
            "snrt3".parse::<Dialect>().unwrap_err(),
            "`snrt3` is no dialect; did you mean `snort3`?"
        );
    }
}
