//! Values and matches by tables; the engine against PCRE2.

mod differential;
mod matching;
mod oracle;
mod rulesets;
mod values;

use super::{Budget, Captures, Flags, Outcome, Regex};

/// The first match from `from` on, with more steps than any test needs.
fn find(regex: &Regex, subject: &[u8], from: usize) -> Option<(usize, usize)> {
    match regex.find(subject, from, &mut Budget::new(50_000_000), &mut Captures::default()) {
        Outcome::Match { start, end } => Some((start, end)),
        Outcome::NoMatch => None,
        Outcome::GivenUp => panic!("given up: {regex:?}"),
    }
}

/// Flags by their letters, and whether the pattern is anchored.
fn flags(letters: &str) -> (Flags, bool) {
    let has = |letter| letters.contains(letter);
    let flags = Flags {
        caseless: has('i'),
        multi_line: has('m'),
        dot_all: has('s'),
        extended: has('x'),
        dollar_end_only: has('E'),
        ungreedy: has('G'),
        no_auto_capture: has('n'),
    };
    (flags, has('A'))
}

fn compile(pattern: &[u8], letters: &str) -> Result<Regex, super::Error> {
    let (flags, anchored) = flags(letters);
    Regex::new(pattern, flags, anchored)
}
