//! Whatever way a stream is cut, shuffled and repeated, it is the same stream.

use proptest::prelude::*;

use super::script::{Script, c, s};
use crate::stream::{Event, Mode, State};

/// A piece of the stream on its way: bytes `start..end`.
type Piece = (usize, usize);

/// Pieces that cover `len` bytes, some of them twice, in some order; a piece is never further than
/// `reach` pieces from its place.
fn pieces(len: usize) -> impl Strategy<Value = Vec<Piece>> {
    let cuts = proptest::collection::btree_set(1..len, 0..40);
    let again = proptest::collection::vec((0..len, 1_usize..60), 0..10);
    (cuts, again, any::<u64>()).prop_map(move |(cuts, again, seed)| {
        let mut edges: Vec<usize> = cuts.into_iter().collect();
        edges.insert(0, 0);
        edges.push(len);
        let mut pieces: Vec<Piece> = edges.windows(2).map(|edge| (edge[0], edge[1])).collect();
        pieces.extend(again.iter().map(|(start, more)| (*start, (start + more).min(len))));
        // A small generator: the order only has to be the same for the same seed.
        let mut state = seed | 1;
        for index in (1..pieces.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            pieces.swap(index, (state >> 33) as usize % (index + 1));
        }
        pieces
    })
}

fn stream(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 31 + n / 251) as u8).collect()
}

/// Both directions with the same pieces; the other side acknowledges what it has in order.
fn run(mode: Mode, isn: u32, len: usize, pieces: &[Piece], appetite: usize) -> Script {
    let mut script = Script::with(|config| {
        config.mode = mode;
        config.look_back = 100;
    });
    script.appetite = appetite;
    let (client, server) = (isn, isn.wrapping_add(77_777));
    let (first, other) = (client.wrapping_add(1), server.wrapping_add(1));
    script.send(&c("S", client, 0).window(60_000));
    script.send(&s("SA", server, first).window(60_000));
    script.send(&c("A", first, other).window(60_000));
    let bytes = stream(len);
    let mut there = vec![false; len];
    for &(start, end) in pieces {
        let seq = first.wrapping_add(start as u32);
        script.send(&c("PA", seq, other).window(60_000).data(&bytes[start..end]));
        there[start..end].fill(true);
        let acked = there.iter().take_while(|there| **there).count() as u32;
        script.send(&s("A", other, first.wrapping_add(acked)).window(60_000));
    }
    script
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_same_stream_in_both_modes(
        (len, pieces) in (2_usize..9000).prop_flat_map(|len| (Just(len), pieces(len))),
        isn in prop_oneof![any::<u32>(), (0_u32..20_000).prop_map(|n| u32::MAX - n)],
        appetite in prop_oneof![Just(usize::MAX), 1_usize..3000],
    ) {
        for mode in [Mode::Immediate, Mode::Acked] {
            let mut script = run(mode, isn, len, &pieces, appetite);
            prop_assert_eq!(script.state(), State::Established);
            script.finish();
            for odd in [Event::OverlapDifferentData, Event::Gap, Event::EstablishedPacketOutOfWindow] {
                prop_assert!(!script.events.contains(odd), "{:?}", script.events);
            }
            let shown = &script.to_server;
            prop_assert!(shown.raw == stream(len), "{mode:?}: {} of {len}", shown.raw.len());
            prop_assert!(shown.app == stream(len), "{mode:?}: {} of {len}", shown.app.len());
            prop_assert_eq!((shown.raw_gaps, shown.app_gaps, shown.ended), (0, 0, (true, true)));
        }
    }

    /// Inline, each byte is in some chunk, the parser's stream is the same, and every packet that brings
    /// something is shown with what surrounds it.
    #[test]
    fn inline_shows_each_packet_in_its_place(
        (len, pieces) in (2_usize..9000).prop_flat_map(|len| (Just(len), pieces(len))),
        isn: u32,
    ) {
        let mut script = run(Mode::Inline, isn, len, &pieces, usize::MAX);
        script.finish();
        let bytes = stream(len);
        let mut covered = vec![false; len];
        for (offset, chunk) in &script.to_server.chunks {
            let start = *offset as usize;
            prop_assert_eq!(&bytes[start..start + chunk.len()], &chunk[..]);
            covered[start..start + chunk.len()].fill(true);
        }
        prop_assert!(covered.iter().all(|byte| *byte));
        prop_assert!(script.to_server.app == bytes);
    }

    /// Pieces that never come are gaps, and nothing else is lost.
    #[test]
    fn what_is_missing_is_told(
        (len, pieces) in (2_usize..5000).prop_flat_map(|len| (Just(len), pieces(len))),
        missing in proptest::collection::vec(any::<proptest::sample::Index>(), 1..5),
        isn: u32,
    ) {
        let mut kept = pieces;
        for index in &missing {
            kept.remove(index.index(kept.len()));
            if kept.is_empty() {
                return Ok(());
            }
        }
        let mut there = vec![false; len];
        kept.iter().for_each(|(start, end)| there[*start..*end].fill(true));
        let bytes = stream(len);
        let expected: Vec<u8> =
            bytes.iter().zip(&there).filter(|(_, there)| **there).map(|(byte, _)| *byte).collect();
        let last = there.iter().rposition(|there| *there).unwrap();
        let gaps = there[..last].iter().filter(|there| !**there).count() as u64;
        for mode in [Mode::Immediate, Mode::Acked] {
            let mut script = run(mode, isn, len, &kept, usize::MAX);
            script.finish();
            prop_assert!(script.to_server.raw == expected);
            prop_assert_eq!(script.to_server.raw_gaps, gaps);
            prop_assert!(script.to_server.app == expected);
            prop_assert_eq!(script.to_server.app_gaps, gaps);
        }
    }
}
