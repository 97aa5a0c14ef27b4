//! Any text is read as a value of `pcre`, or refused with a place; any subject is searched within the budget.

use nids::detect::keyword::value::Word;
use nids::detect::pcre::{Budget, Captures, Outcome, Value};

/// Steps of one search.
const STEPS: u64 = 20_000;

/// Panics where a promise is broken. The value stands in the first line, the subject behind it.
pub fn check(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (text, subject) = data.split_at(end);
    let subject = subject.get(1..).unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let value = match Value::read(Word { text: &text, start: 0 }) {
        Ok(value) => value,
        Err(fault) => {
            assert!(!fault.reason.is_empty());
            assert!(
                text.get(fault.span.start..fault.span.end).is_some(),
                "the place lies in the text"
            );
            return;
        }
    };
    assert!(text.get(value.span.start..value.span.end).is_some());
    let groups = value.regex.groups();
    assert!(value.captures.iter().all(|capture| (1..=groups).contains(&capture.group)));
    let mut captures = Captures::default();
    let mut from = 0;
    // As the chain of a rule's contents searches again and again.
    for _ in 0..8 {
        let mut budget = Budget::new(STEPS);
        let outcome = value.regex.find(subject, from, &mut budget, &mut captures);
        assert!(budget.left() <= STEPS);
        for group in (1..=groups).filter_map(|group| captures.group(group)) {
            assert!(subject.get(group).is_some(), "a group lies in the subject");
        }
        let mut again = Budget::new(STEPS);
        let second = value.regex.find(subject, from, &mut again, &mut Captures::default());
        // Automata that were built for the search before may still be there, and save giving up.
        let answered = outcome != Outcome::GivenUp && second != Outcome::GivenUp;
        assert!(!answered || outcome == second, "an answer does not depend on the search before");
        let Outcome::Match { start, end } = outcome else { break };
        assert!(from <= start && start <= end && end <= subject.len());
        let (Some((literal, nocase)), false) =
            (value.regex.required_literal(), text.contains("\\K"))
        else {
            from = start + 1;
            continue;
        };
        let found =
            subject.get(start..end).unwrap_or_default().windows(literal.len()).any(|window| {
                window == literal || (nocase && window.eq_ignore_ascii_case(literal))
            });
        assert!(found, "what every match must have is in this one");
        from = start + 1;
    }
}
