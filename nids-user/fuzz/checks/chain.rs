//! The steps of a rule, and behind the first line the bytes they are inspected on: refused with a place, or
//! inspected within bounds, the same each time; what is new in a piece of a stream is there without, too.

use std::path::Path;
use std::sync::Arc;

use nids::detect::chain::{Input, Scratch, Verdict};
use nids::detect::{Environment, compile};
use nids::rule::parser::parse_bytes;

/// Panics where a promise of the chain is broken.
pub fn check(data: &[u8]) {
    let (steps, bytes) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &b"abcd"[..]),
    };
    let file: Arc<Path> = Arc::from(Path::new("fuzz.rules"));
    let rule = [b"alert udp any any -> any any (", steps, b" sid:1;)"].concat();
    let parsed = parse_bytes(&file, &rule);
    let compiled = compile(&parsed.rules, &Environment::default());
    for refusal in &compiled.refusals {
        assert!(refusal.text.get(refusal.span.start..refusal.span.end).is_some());
    }
    let Some(signature) = compiled.ruleset.signatures().first() else { return };
    let Some(chain) = &signature.payload else { return };
    let (mut folded, mut scratch) = (Vec::new(), Scratch::default());
    let mut inspect = |base: usize, seen: usize| {
        chain
            .matches(&mut Input::new(bytes, &mut folded).of_stream(base as i64, seen), &mut scratch)
    };
    let whole = inspect(0, 0);
    assert_eq!(whole, inspect(0, 0));
    for seen in [1, bytes.len() / 2, bytes.len()] {
        let new = inspect(0, seen.min(bytes.len()));
        assert!(new != Verdict::Match || whole != Verdict::NoMatch, "new, but not there");
        inspect(seen.min(bytes.len()), seen.min(bytes.len()));
    }
}
