//! Lines that clients send to the control socket.
#![no_main]

#[path = "../checks/control_line.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
