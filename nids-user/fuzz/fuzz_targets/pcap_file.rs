//! See `checks/pcap_file.rs`.
#![no_main]

#[path = "../checks/pcap_file.rs"]
mod pcap_file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| pcap_file::check(data));
