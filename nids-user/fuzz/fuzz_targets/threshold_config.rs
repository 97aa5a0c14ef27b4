//! threshold.config, and the limits of rules that it makes.
#![no_main]

#[path = "../checks/threshold_config.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
