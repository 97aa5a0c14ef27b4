//! `requires`: what a rule asks of the engine (Suricata user guide, "Meta Keywords", "requires").
//!
//! `requires: feature X, version >= 7.0.3 < 8 | >= 8.0.3, keyword Y;` A rule whose requirement is not met
//! is left out without a word and counted; one whose requirement cannot be read is refused. A kind of
//! requirement that nobody knows is not met, since it is there for engines that do.

use std::fmt;

use super::ast::{RawValue, Rule, Span, Spanned};
use super::diagnostic::{ReasonKind, Refusal};

/// What the engine has, for requirements.
#[derive(Clone, Copy, Debug)]
pub struct Platform {
    /// The Suricata it is compatible with.
    pub version: Version,
    /// Features it has, by Suricata's names.
    pub features: &'static [&'static str],
    /// Whether it honours a keyword.
    pub has_keyword: fn(&str) -> bool,
}

/// A version of Suricata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Major, minor and patch.
    pub parts: [u8; 3],
}

impl Version {
    /// The version whose rules this sensor reads.
    pub const COMPATIBLE: Self = Self { parts: [8, 0, 0] };
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.parts;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// Takes the rules out of `rules` whose requirements are not met, or cannot be read. Gives back both,
/// each as a refusal, in the order of the rules: the unmet first.
pub fn sift(rules: &mut Vec<Rule>, platform: &Platform) -> (Vec<Refusal>, Vec<Refusal>) {
    let (mut unmet, mut refused) = (Vec::new(), Vec::new());
    rules.retain(|rule| match judge(rule, platform) {
        Ok(None) => true,
        Ok(Some(refusal)) => {
            unmet.push(refusal);
            false
        }
        Err(refusal) => {
            refused.push(refusal);
            false
        }
    });
    (unmet, refused)
}

/// `Some`: the first requirement of the rule that is not met.
fn judge(rule: &Rule, platform: &Platform) -> Result<Option<Refusal>, Refusal> {
    let mut unmet = None;
    for option in rule.options.iter().filter(|option| option.name.node == "requires") {
        let Some(value) = option.value.as_ref().filter(|value| !value.node.0.is_empty()) else {
            let reason = "`requires` needs a value";
            return Err(Refusal::new(rule, option.name.span, ReasonKind::BadValue, reason));
        };
        for need in parse(value).map_err(|fault| {
            Refusal::new(
                rule,
                value.locate(fault.from, fault.to),
                ReasonKind::BadValue,
                fault.reason,
            )
        })? {
            if let Some(reason) = need.unmet(platform)
                && unmet.is_none()
            {
                let span: Span = value.locate(need.from, need.to);
                unmet = Some(Refusal::new(rule, span, ReasonKind::Requires, reason));
            }
        }
    }
    Ok(unmet)
}

/// One requirement, and the bytes of the value it takes.
struct Need<'a> {
    kind: Kind<'a>,
    from: usize,
    to: usize,
}

enum Kind<'a> {
    Feature(&'a str),
    Keyword(&'a str),
    /// One of these, of which all must hold.
    Version(Vec<Vec<(Comparison, Version)>>),
    Unknown(&'a str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    AtLeast,
    Above,
    AtMost,
    Below,
}

impl Need<'_> {
    fn unmet(&self, platform: &Platform) -> Option<String> {
        match &self.kind {
            Kind::Feature(name) if !platform.features.contains(name) => {
                Some(format!("it requires the feature `{name}`"))
            }
            Kind::Keyword(name) if !(platform.has_keyword)(&name.to_ascii_lowercase()) => {
                Some(format!("it requires the keyword `{name}`"))
            }
            Kind::Unknown(name) => Some(format!("it requires something unknown, `{name}`")),
            Kind::Version(any) => {
                let holds = |(comparison, version): &(Comparison, Version)| match comparison {
                    Comparison::AtLeast => platform.version >= *version,
                    Comparison::Above => platform.version > *version,
                    Comparison::AtMost => platform.version <= *version,
                    Comparison::Below => platform.version < *version,
                };
                let met = any.iter().any(|all| all.iter().all(holds));
                (!met).then(|| {
                    format!("it requires another version of Suricata than {}", platform.version)
                })
            }
            Kind::Feature(_) | Kind::Keyword(_) => None,
        }
    }
}

/// What is wrong with a value, and the bytes it is wrong at.
#[derive(Debug)]
struct Fault {
    from: usize,
    to: usize,
    reason: String,
}

fn parse(value: &Spanned<RawValue>) -> Result<Vec<Need<'_>>, Fault> {
    let text = value.node.0.as_str();
    let mut needs = Vec::new();
    let (mut at, mut versions) = (0, 0);
    for part in text.split(',') {
        let from = at + (part.len() - part.trim_ascii_start().len());
        at += part.len() + 1;
        let part = part.trim_ascii();
        if part.is_empty() {
            continue;
        }
        let to = from + part.len();
        let fault = |reason: String| Fault { from, to, reason };
        let word = part.find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_')));
        let (name, rest) = part.split_at(word.unwrap_or(part.len()));
        let rest = rest.trim_ascii();
        let kind = match name {
            "" => return Err(fault("expected feature, keyword or version".to_owned())),
            "feature" | "keyword" if rest.is_empty() => {
                return Err(fault(format!("`{name}` needs a name")));
            }
            "feature" => Kind::Feature(rest),
            "keyword" => Kind::Keyword(rest),
            "version" => {
                versions += 1;
                if versions > 1 {
                    return Err(fault("`version` stands here twice".to_owned()));
                }
                let any = rest.split('|').map(|all| comparisons(all.trim_ascii()));
                Kind::Version(any.collect::<Result<_, _>>().map_err(fault)?)
            }
            _ => Kind::Unknown(part),
        };
        needs.push(Need { kind, from, to });
    }
    Ok(needs)
}

/// `>= 7.0.3 < 8`.
fn comparisons(mut text: &str) -> Result<Vec<(Comparison, Version)>, String> {
    let mut all = Vec::new();
    while !text.is_empty() {
        let (comparison, rest) = [
            (">=", Comparison::AtLeast),
            (">", Comparison::Above),
            ("<=", Comparison::AtMost),
            ("<", Comparison::Below),
        ]
        .into_iter()
        .find_map(|(sign, comparison)| Some((comparison, text.strip_prefix(sign)?)))
        .ok_or_else(|| format!("expected >=, >, <= or < before `{text}`"))?;
        let rest = rest.trim_ascii_start();
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        all.push((comparison, version(&rest[..end])?));
        text = rest[end..].trim_ascii_start();
    }
    match all.is_empty() {
        true => Err("a version is missing".to_owned()),
        false => Ok(all),
    }
}

/// `8`, `8.0` or `8.0.3`.
fn version(text: &str) -> Result<Version, String> {
    let mut parts = [0; 3];
    let written: Vec<&str> = text.split('.').collect();
    if written.len() > parts.len() {
        return Err(format!("`{text}` is no version"));
    }
    for (part, written) in parts.iter_mut().zip(written) {
        *part = written.parse().map_err(|_| format!("`{text}` is no version"))?;
    }
    Ok(Version { parts })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::rule::parser::parse_str;

    const PLATFORM: Platform = Platform {
        version: Version::COMPATIBLE,
        features: &["geoip"],
        has_keyword: |name| name == "content",
    };

    /// The reason, and the text it is at.
    fn sifted(options: &str) -> (Vec<String>, Vec<String>) {
        let text = format!("alert tcp any any -> any any ({options} sid:1;)");
        let mut rules = parse_str(&Arc::from(Path::new("x")), &text).rules;
        assert_eq!(rules.len(), 1, "{options}");
        let (unmet, refused) = sift(&mut rules, &PLATFORM);
        assert_eq!(rules.len() + unmet.len() + refused.len(), 1);
        let told = |refusals: Vec<Refusal>| {
            let tell =
                |r: &Refusal| format!("{} @ {}", r.reason, &r.text[r.span.start..r.span.end]);
            refusals.iter().map(tell).collect()
        };
        (told(unmet), told(refused))
    }

    #[test]
    fn met() {
        for value in [
            "version >= 8",
            "version>=7.0.3<9",
            "version >= 7.0.3 < 8 | >= 8.0.0",
            "version > 7.9.9, feature geoip",
            "version <= 8.0.0",
            "version <8.0.1,keyword CONTENT,",
            "feature geoip",
        ] {
            assert_eq!(sifted(&format!("requires:{value};")), (vec![], vec![]), "{value}");
        }
        assert_eq!(sifted("requires:version > 7; requires: version < 9;"), (vec![], vec![]));
        assert_eq!(sifted("msg:\"none\";"), (vec![], vec![]));
    }

    #[test]
    fn unmet() {
        for (value, expected) in [
            ("version < 8", "another version of Suricata than 8.0.0 @ version < 8"),
            ("version >= 7.0.3 < 8 | >= 8.0.3", "another version of Suricata than 8.0.0 @ version"),
            ("feature geoip , feature lua", "the feature `lua` @ feature lua"),
            ("keyword contnet", "the keyword `contnet` @ keyword contnet"),
            ("moon full, version >= 8", "something unknown, `moon full` @ moon full"),
        ] {
            let (unmet, refused) = sifted(&format!("requires: {value};"));
            assert_eq!(refused, [""; 0]);
            assert!(unmet[0].starts_with(&format!("it requires {expected}")), "{unmet:?}");
        }
    }

    #[test]
    fn refused() {
        for (value, reason) in [
            (":version 8", "expected >=, >, <= or < before `8` @ version 8"),
            (":version >= x", "`` is no version @ version >= x"),
            (":version >= 8.0.0.1", "`8.0.0.1` is no version @ version >= 8.0.0.1"),
            (":version >= 300", "`300` is no version @ version >= 300"),
            (":version >= 8 |", "a version is missing @ version >= 8 |"),
            (":version", "a version is missing @ version"),
            (":version > 7, version < 9", "`version` stands here twice @ version < 9"),
            (":feature", "`feature` needs a name @ feature"),
            (":=8", "expected feature, keyword or version @ =8"),
            ("", "`requires` needs a value @ requires"),
            // Even where another requirement is not met.
            (":feature lua, version 8", "expected >=, >, <= or < before `8` @ version 8"),
        ] {
            assert_eq!(sifted(&format!("requires{value};")).1, [reason], "{value}");
        }
    }
}
