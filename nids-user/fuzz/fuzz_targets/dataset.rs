//! Files of data sets and reputations, and the values of the keywords that use them.
#![no_main]

#[path = "../checks/dataset.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
