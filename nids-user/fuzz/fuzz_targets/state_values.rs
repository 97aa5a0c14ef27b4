//! Values of keywords that keep state: thresholds, bits, tags.
#![no_main]

#[path = "../checks/state_values.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
