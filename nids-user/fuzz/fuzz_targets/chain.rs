//! The steps of a rule on bytes.
#![no_main]

#[path = "../checks/chain.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
