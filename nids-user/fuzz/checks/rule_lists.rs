//! Any text is read as a list that tunes rules, or refused with a place; what a list does to rules is what
//! it says.

use std::path::Path;
use std::sync::Arc;

use nids::rule::parser::{self, Parsed, Reading};
use nids::rule::tuning::{Tuning, TuningError, Which};

/// What stands between the list and the rules of an input.
const BORDER: &str = "\n---\n";

/// Panics where a promise of the lists is broken.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (list, rules) = text.split_once(BORDER).unwrap_or((&text, ""));
    let plain = parse(rules, &[]);
    let known = plain.rules.len() + plain.refusals.len();
    for which in [Which::Disable, Which::Enable, Which::Drop, Which::Modify] {
        let Some(changed) = parse_by(rules, which, list) else { continue };
        let now = changed.rules.len() + changed.refusals.len();
        // Each statement is a rule, refused or disabled.
        assert_eq!(now + changed.disabled, known + plain.disabled);
        match which {
            Which::Disable => assert!(now <= known),
            Which::Enable => assert!(now >= known),
            Which::Drop | Which::Modify => assert_eq!(now, known),
        }
        for refusal in &changed.refusals {
            assert!(refusal.text.get(refusal.span.start..refusal.span.end).is_some());
        }
    }
    if tuning(&[(Which::Disable, list)]).is_some() {
        // Who is named by both is enabled.
        let both = parse(rules, &[(Which::Disable, list), (Which::Enable, list)]);
        assert!(both.rules.len() + both.refusals.len() >= known);
    }
}

fn parse_by(rules: &str, which: Which, list: &str) -> Option<Parsed> {
    tuning(&[(which, list)]).map(|_| parse(rules, &[(which, list)]))
}

fn parse(rules: &str, lists: &[(Which, &str)]) -> Parsed {
    let tuning = tuning(lists).unwrap_or_default();
    let reading = Reading { tuning: Some(&tuning), ..Reading::default() };
    parser::parse_with(&Arc::from(Path::new("fuzz/a.rules")), rules.as_bytes(), reading)
}

fn tuning(lists: &[(Which, &str)]) -> Option<Tuning> {
    let mut tuning = Tuning::default();
    for (which, text) in lists {
        match tuning.set(*which, Path::new("list.conf"), text) {
            Ok(()) => {}
            Err(TuningError::Line { line, reason, .. }) => {
                assert!(line >= 1 && !reason.is_empty());
                return None;
            }
            Err(error) => panic!("{error}"),
        }
    }
    Some(tuning)
}
