//! Rules and payloads made to take long: given up within the budget, counted in steps and not in time.

use super::super::{BUDGET, Input, Scratch, Verdict};
use super::chain;

/// Contents that all fit nearly everywhere, and one that fits nowhere.
fn contents(number: usize, last: &str) -> String {
    let mut out = r#"content:"a";"#.to_owned();
    for _ in 1..number {
        out.push_str(r#" content:"a"; distance:0;"#);
    }
    out + last
}

fn inspect(options: &str, bytes: &[u8]) -> (Verdict, u32) {
    let (mut scratch, mut folded) = (Scratch::default(), Vec::new());
    let chain = chain(options).unwrap();
    let verdict = chain.matches(&mut Input::new(bytes, &mut folded), &mut scratch);
    (verdict, BUDGET - scratch.left())
}

#[test]
fn what_failed_is_not_tried_again() {
    let bytes = [b'a'; 1400];
    // The last content of twenty has no hit that will do: no earlier one has.
    let (verdict, spent) = inspect(&contents(20, r#" content:"b"; within:1;"#), &bytes);
    assert_eq!(verdict, Verdict::NoMatch);
    assert!(spent < 8_000, "{spent} steps");
    // Windows that end: from each place once, and not two to the power of twelve.
    let mut options = r#"content:"a";"#.to_owned();
    for _ in 0..12 {
        options.push_str(r#" content:"a"; within:2;"#);
    }
    let (verdict, spent) = inspect(&(options + r#" content:"b"; within:1;"#), &bytes[..200]);
    assert_eq!(verdict, Verdict::NoMatch);
    assert!(spent < 10_000, "{spent} steps");
}

#[test]
fn what_takes_too_long_is_given_up() {
    let bytes = [b'a'; 1400];
    // Variables, so that no place alone tells what fails.
    let variables = r#"content:"a"; byte_extract:1,0,x,relative; content:"a"; distance:0; content:"b"; within:x;"#;
    let windows = format!("{} content:\"b\"; within:1;", r#"content:"a"; within:900;"#.repeat(4));
    let pattern = r#"content:"a"; pcre:"/^(a+)+\1b/R";"#;
    for options in [variables, &windows, pattern] {
        let (verdict, spent) = inspect(options, &bytes);
        assert_eq!(verdict, Verdict::GivenUp, "{options}");
        assert!(spent <= BUDGET, "{options}: {spent} steps");
    }
}

#[test]
fn as_many_steps_as_a_rule_may_have() {
    let bytes = [b'a'; 300];
    let (verdict, _) = inspect(&contents(256, ""), &bytes);
    assert_eq!(verdict, Verdict::Match);
    assert!(chain(&contents(257, "")).is_err());
}
