//! The stream engine on scripts of segments that nobody thought of: random ones, and the fuzz target's
//! seeds.

#[path = "../../nids-user/fuzz/checks/stream.rs"]
mod script;

use proptest::prelude::*;
use script::check;

/// SYN, SYN/ACK, ACK: what, seq, ack, length, options.
const HANDSHAKE: [u8; 15] = [0b1_0000, 0, 0, 0, 0, 0b1_0011, 0, 0, 0, 0, 0b0_1100, 0, 0, 0, 0];

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_script_shows_only_what_was_sent(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        check(&bytes);
    }

    /// The same behind a handshake, which random bytes seldom find.
    #[test]
    fn any_script_of_a_session_shows_only_what_was_sent(
        setting in any::<[u8; 2]>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..800),
    ) {
        check(&[&setting[..], &HANDSHAKE, &bytes].concat());
    }
}

#[test]
fn seeds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/stream");
    let mut seeds = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let seed = std::fs::read(entry.unwrap().path()).unwrap();
        seeds += 1;
        check(&seed);
        for at in 0..seed.len() {
            check(&seed[..at]);
            let mut changed = seed.clone();
            changed[at] = !changed[at];
            check(&changed);
        }
    }
    assert!(seeds > 5, "{folder} has only {seeds} seeds");
}
