//! Fuzz target `pcap_file`: any bytes as a capture file.

use std::io::Cursor;

use nids::capture::pcap::{MAX_FRAME, PcapSource};

/// Panics where something that must hold for any file does not.
pub fn check(data: &[u8]) {
    let Ok(mut source) = PcapSource::from_reader(Cursor::new(data.to_vec())) else { return };
    // A decompressor may make much of little; a fuzzer need not wait for it.
    for number in 1..1000 {
        let Ok(Some(frame)) = source.next() else { return };
        assert!(frame.data.len() <= MAX_FRAME as usize);
        assert!(frame.wire_len as usize >= frame.data.len());
        assert!(frame.number >= number);
    }
}
