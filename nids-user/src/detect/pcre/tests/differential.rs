//! Generated patterns on generated subjects: the first match and its groups are PCRE2's.

use proptest::prelude::*;
use proptest::sample::select;

use super::oracle::Oracle;
use super::*;
use crate::detect::pcre::linear::{Found, Linear};
use crate::detect::pcre::parser;

/// One part of a pattern that stands for itself.
fn atom() -> impl Strategy<Value = String> {
    const PLAIN: &[&str] = &[
        "a",
        "b",
        "c",
        "A",
        "ab",
        "\\n",
        "\\x61",
        "\\141",
        ".",
        "[ab]",
        "[^a]",
        "[a-c]",
        "[[:alpha:]]",
        "[\\w-]",
        "\\d",
        "\\w",
        "\\W",
        "\\s",
        "\\S",
        "\\h",
        "\\v",
        "\\N",
        "\\R",
        "\\Qa\\E",
        "1",
        " ",
        "(?#x)a",
    ];
    const PLACES: &[&str] = &[
        "^", "$", "\\b", "\\B", "\\A", "\\z", "\\Z", "\\G", "(?i)", "(?s)", "(?m)", "(?-i)", "\\K",
    ];
    const REFERENCES: &[&str] = &["\\1", "\\2", "\\g{-1}", "(?P=n)", "(?i:\\1)"];
    prop_oneof![
        10 => select(PLAIN),
        2 => select(PLACES),
        1 => select(REFERENCES),
    ]
    .prop_map(str::to_owned)
}

fn pattern() -> impl Strategy<Value = String> {
    const QUANTIFIERS: &[&str] = &[
        "*", "+", "?", "*?", "+?", "??", "*+", "++", "?+", "{2}", "{0,2}", "{1,3}?", "{2,}",
        "{1,2}+", "{0}",
    ];
    const GROUPS: &[&str] = &[
        "(", "(?:", "(?>", "(?=", "(?!", "(?<=", "(?<!", "(?i:", "(?|", "(?s-i:", "(?<n>", "(?(1)",
        "(?(?=a)", "(?:", "(", "(?:",
    ];
    atom().prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            2 => (select(GROUPS), prop::collection::vec(inner.clone(), 1..3))
                .prop_map(|(open, parts)| format!("{open}{})", parts.join("|"))),
            3 => (inner, select(QUANTIFIERS))
                .prop_map(|(inner, quantifier)| format!("(?:{inner}){quantifier}")),
            2 => (atom(), select(QUANTIFIERS))
                .prop_map(|(atom, quantifier)| format!("{atom}{quantifier}")),
        ]
    })
}

fn letters() -> impl Strategy<Value = String> {
    prop::collection::vec(select(&["i", "m", "s", "E", "G", "A", "n"][..]), 0..3)
        .prop_map(|letters| letters.concat())
}

fn subject() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(select(&b"aaaabbbcA1 \n\r\xff"[..]), 0..14)
}

/// Compares a search; whether there was anything to compare.
pub fn compare(pattern: &[u8], letters: &str, subject: &[u8], from: usize) -> Result<bool, String> {
    // What PCRE2 refuses has no meaning to compare, and some of what it takes is refused here.
    let (Ok(oracle), Ok(regex)) = (Oracle::plain(pattern, letters), compile(pattern, letters))
    else {
        return Ok(false);
    };
    let Ok(theirs) = oracle.find(subject, from) else { return Ok(false) };
    let mut captures = Captures::default();
    let ours = match regex.find(subject, from, &mut Budget::new(5_000_000), &mut captures) {
        Outcome::Match { start, end } => {
            let groups = (1..=regex.groups())
                .map(|group| captures.group(group).map(|place| (place.start, place.end)));
            let mut groups: Vec<_> = std::iter::once(Some((start, end))).chain(groups).collect();
            // PCRE2 tells no groups behind the last that is set.
            while groups.last() == Some(&None) {
                groups.pop();
            }
            Some(groups)
        }
        Outcome::NoMatch => None,
        Outcome::GivenUp => return Ok(false),
    };
    let pattern_text = String::from_utf8_lossy(pattern);
    let what = format!("/{pattern_text}/{letters} on {subject:?} from {from}");
    if ours != theirs {
        return Err(format!("{what}: {ours:?}, PCRE2 {theirs:?}"));
    }
    // The linear engine for itself.
    let (flags, anchored) = super::flags(letters);
    let node = parser::parse(pattern, flags).map_err(|error| error.reason)?.node;
    if let Some(linear) = Linear::new(&node) {
        let place = theirs.and_then(|groups| groups.first().copied().flatten());
        match (linear.find(subject, from, anchored), place) {
            (Found::NoMatch, None) | (Found::GivenUp, _) => {}
            (Found::Match { start, end }, Some((theirs, their_end)))
                if start == theirs && end.is_none_or(|end| end == their_end) => {}
            (found, place) => return Err(format!("{what}: linear {found:?}, PCRE2 {place:?}")),
        }
    }
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(4000)
    ))]

    #[test]
    fn patterns_match_as_in_pcre2(
        pattern in pattern(),
        letters in letters(),
        subjects in prop::collection::vec(subject(), 4),
        from in 0usize..3,
    ) {
        for subject in &subjects {
            for from in [0, from.min(subject.len())] {
                if let Err(message) = compare(pattern.as_bytes(), &letters, subject, from) {
                    return Err(TestCaseError::fail(message));
                }
            }
        }
    }
}
