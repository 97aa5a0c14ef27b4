//! Rules by address.
#![no_main]

#[path = "../checks/address_index.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
