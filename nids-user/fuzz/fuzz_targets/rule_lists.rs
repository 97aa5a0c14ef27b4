//! Lists that tune rules, and rules they tune.
#![no_main]

#[path = "../checks/rule_lists.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
