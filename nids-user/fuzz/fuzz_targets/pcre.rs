//! Values of `pcre`, and their search.
#![no_main]

#[path = "../checks/pcre.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
