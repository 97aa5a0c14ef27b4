//! See `checks/transform.rs`.
#![no_main]

#[path = "../checks/transform.rs"]
mod transform;

libfuzzer_sys::fuzz_target!(|data: &[u8]| transform::check(data));
