//! The stream engine on scripts of segments that nobody thought of: random ones here, the fuzz target's
//! finds in `nids-user/fuzz/corpus/stream` where there are any.

use super::stream_script::run;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn any_script_shows_only_what_was_sent(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        run(&bytes);
    }

    /// The same behind a handshake, which random bytes seldom find.
    #[test]
    fn any_script_of_a_session_shows_only_what_was_sent(
        setting in any::<[u8; 2]>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..800),
    ) {
        let handshake = [
            // SYN, SYN/ACK, ACK: what, seq, ack, length, options.
            0b1_0000, 0, 0, 0, 0,
            0b1_0011, 0, 0, 0, 0,
            0b0_1100, 0, 0, 0, 0,
        ];
        run(&[&setting[..], &handshake, &bytes].concat());
    }
}

#[test]
fn scripts_the_fuzzer_found() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/stream");
    let Ok(files) = std::fs::read_dir(folder) else {
        println!("skipped: there is no folder {folder}");
        return;
    };
    for file in files.flatten() {
        run(&std::fs::read(file.path()).expect("a file of the corpus can be read"));
    }
}
