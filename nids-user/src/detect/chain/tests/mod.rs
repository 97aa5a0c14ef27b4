//! Whole chains: from the text of the steps to the verdict.

mod bounds;

use std::path::Path;
use std::sync::Arc;

use super::{Chain, Input, Scratch, Verdict};
use crate::detect::{Environment, compile};
use crate::rule::parser::parse_str;

/// The chain of these options for the payload; or where they are refused, and why.
pub fn chain(options: &str) -> Result<Chain, (String, String)> {
    let file: Arc<Path> = Path::new("test.rules").into();
    let rule = format!("alert udp any any -> any any ({options} sid:1;)");
    let parsed = parse_str(&file, &rule);
    let compiled = compile(&parsed.rules, &Environment::default());
    if let Some(refusal) = parsed.refusals.iter().chain(&compiled.refusals).next() {
        let place = refusal.text[refusal.span.start..refusal.span.end].to_owned();
        return Err((place, refusal.reason.clone()));
    }
    let mut signatures = compiled.ruleset.signatures.into_vec();
    Ok(signatures.remove(0).payload.expect("the options have steps"))
}

/// Whether the options hold in these bytes.
pub fn holds(options: &str, bytes: &[u8]) -> bool {
    let chain = chain(options).unwrap_or_else(|refusal| panic!("{options}: {refusal:?}"));
    let mut folded = Vec::new();
    match chain.matches(&mut Input::new(bytes, &mut folded), &mut Scratch::default()) {
        Verdict::Match => true,
        Verdict::NoMatch => false,
        Verdict::GivenUp => panic!("{options} was given up"),
    }
}

/// Where the options are refused.
pub fn refusal(options: &str) -> String {
    match chain(options) {
        Ok(_) => panic!("{options} is not refused"),
        Err((place, _)) => place,
    }
}
