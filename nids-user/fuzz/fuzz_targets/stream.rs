//! Scripts of TCP segments against a plain model; the interpreter is shared with the tests.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../tests/cases/stream_script.rs"]
mod stream_script;

fuzz_target!(|bytes: &[u8]| stream_script::run(bytes));
