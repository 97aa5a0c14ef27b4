//! Rule text, and the groups in its headers.
#![no_main]

#[path = "../checks/rule_text.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    check::check(data);
    check::check_time(data);
});
