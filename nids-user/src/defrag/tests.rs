//! Fragments of datagrams built here, in every order, with overlaps of every kind.

use proptest::prelude::*;

use super::*;
use crate::capture::{Direction, Frame, LinkType};
use crate::decode::decode;

const SECOND: u64 = 1_000_000_000;

fn v4(id: u16, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let total = (20 + payload.len()) as u16;
    frame[2..4].copy_from_slice(&total.to_be_bytes());
    frame[4..6].copy_from_slice(&id.to_be_bytes());
    frame[6..8].copy_from_slice(&((u16::from(more) << 13) | (offset / 8)).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn v6(id: u32, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x60, 0, 0, 0, 0, 0, 0, 64];
    frame[4..6].copy_from_slice(&((16 + payload.len()) as u16).to_be_bytes());
    frame.extend_from_slice(&[0xfd; 16]);
    frame.extend_from_slice(&[0xfe; 16]);
    // Hop-by-hop options (PadN), then the fragment header.
    frame.extend_from_slice(&[44, 0, 1, 4, 0, 0, 0, 0]);
    frame.extend_from_slice(&[17, 0]);
    frame.extend_from_slice(&(offset | u16::from(more)).to_be_bytes());
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn frame(data: &[u8], time: u64) -> Frame<'_> {
    Frame {
        time: Timestamp(time),
        link: LinkType::RawIp,
        data,
        wire_len: data.len() as u32,
        port: 0,
        direction: Direction::Ingress,
        vlan_offload: None,
        number: 0,
    }
}

fn push(defrag: &mut Defrag, data: &[u8], time: u64) -> (Option<Vec<u8>>, bool, bool) {
    let done = defrag.push(&decode(&frame(data, time))).expect("a fragment");
    (done.whole, done.overlap, done.differs)
}

fn with(policy: Policy) -> Defrag {
    Defrag::new(Limits {
        policies: vec![((IpAddr::from([0, 0, 0, 0]), 0), policy)],
        ..Limits::default()
    })
}

/// Novak's sequence: overlaps of every kind, each fragment filled with its letter.
fn novak(policy: Policy) -> String {
    let parts: [(u16, usize, u8); 18] = [
        (0, 24, b'A'),
        (32, 16, b'B'),
        (48, 24, b'C'),
        (80, 8, b'D'),
        (104, 16, b'E'),
        (120, 24, b'F'),
        (144, 16, b'G'),
        (160, 16, b'H'),
        (176, 8, b'I'),
        (8, 32, b'J'),
        (48, 24, b'K'),
        (72, 24, b'L'),
        (96, 24, b'M'),
        (128, 8, b'N'),
        (152, 8, b'O'),
        (160, 8, b'P'),
        (176, 16, b'Q'),
        (192, 8, b'Z'),
    ];
    let mut defrag = with(policy);
    let mut whole = None;
    for (offset, length, letter) in parts {
        let more = letter != b'Z';
        whole = push(&mut defrag, &v4(7, offset, more, &vec![letter; length]), 1).0;
    }
    let whole = whole.expect("the last fragment makes it whole");
    whole[20..].chunks(8).map(|unit| char::from(unit[0])).collect()
}

#[test]
fn policies_settle_novaks_sequence() {
    assert_eq!(novak(Policy::First), "AAAJBBCCCLDLMEEFFFGGHHIQZ");
    assert_eq!(novak(Policy::Last), "AJJJJBKKKLLLMMMFNFGOPHQQZ");
    assert_eq!(novak(Policy::Bsd), "AAAJJBCCCLLLMMMFFFGGHHIQZ");
    assert_eq!(novak(Policy::BsdRight), "AJJJBBKKKLDLMEEFNFGOPHQQZ");
    assert_eq!(novak(Policy::Linux), "AAAJJBKKKLLLMMMFFFGGPHQQZ");
    assert_eq!(novak(Policy::Windows), "AAAJBBCCCLLLMEEFFFGGHHIQZ");
    assert_eq!(novak(Policy::Solaris), "AAAJBBCCCLLLMMMFFFGGHHIQZ");
}

#[test]
fn an_overlap_says_whether_the_copies_differ() {
    let mut defrag = with(Policy::First);
    assert_eq!(push(&mut defrag, &v4(1, 0, true, &[b'a'; 16]), 1), (None, false, false));
    assert_eq!(push(&mut defrag, &v4(1, 8, true, &[b'a'; 16]), 1), (None, true, false));
    assert_eq!(push(&mut defrag, &v4(1, 16, true, &[b'b'; 16]), 1), (None, true, true));
    assert_eq!((defrag.counters().overlaps, defrag.counters().ambiguous), (2, 1));
}

#[test]
fn a_datagram_is_given_up_when_its_time_is_over() {
    let mut defrag = Defrag::new(Limits::default());
    push(&mut defrag, &v4(1, 0, true, &[0; 8]), SECOND);
    let (whole, ..) = push(&mut defrag, &v4(1, 8, false, &[0; 8]), 62 * SECOND);
    assert_eq!(whole, None);
    assert_eq!((defrag.counters().timed_out, defrag.len()), (1, 1));
}

#[test]
fn a_flood_of_first_fragments_stays_within_the_memory_cap() {
    let limits = Limits { memory: 1 << 20, ..Limits::default() };
    let mut defrag = Defrag::new(limits);
    for id in 0..100_000u32 {
        push(&mut defrag, &v6(id, 65_000 / 8 * 8, true, &[0; 8]), 1);
        assert!(defrag.memory <= 1 << 20);
    }
    assert_eq!(defrag.counters().evicted + defrag.len() as u64, 100_000);
    assert!(defrag.ages.len() < 2 * defrag.len() + 2048);
}

#[test]
fn what_reaches_behind_the_largest_datagram_is_refused() {
    let mut defrag = Defrag::new(Limits::default());
    let data = v4(1, 65_528, false, &[0; 8]);
    let done = defrag.push(&decode(&frame(&data, 1))).expect("a fragment");
    assert!(done.too_large && done.refused && done.whole.is_none());
}

proptest! {
    /// Any cut, any order, with any fragments twice: the same datagram, once.
    #[test]
    fn any_fragmentation_gives_the_same_datagram(
        payload in proptest::collection::vec(any::<u8>(), 17..600),
        cuts in proptest::collection::vec(1usize..20, 1..40),
        order in any::<u64>(),
        six in any::<bool>(),
        policy in prop::sample::select(vec![
            Policy::First, Policy::Last, Policy::Bsd, Policy::BsdRight, Policy::Linux,
            Policy::Windows, Policy::Solaris,
        ]),
    ) {
        let mut parts = Vec::new();
        let mut at = 0;
        let mut cuts = cuts.iter().cycle();
        while at < payload.len() {
            let length = (cuts.next().expect("endless") * 8).min(payload.len() - at);
            let more = at + length < payload.len();
            let bytes = &payload[at..at + length];
            let fragment = if six { v6(9, at as u16, more, bytes) } else { v4(9, at as u16, more, bytes) };
            parts.push(fragment);
            at += length;
        }
        prop_assume!(parts.len() > 1);
        // A shuffle that the seed decides, with the first few doubled.
        let mut seed = order | 1;
        for i in (1..parts.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            parts.swap(i, (seed >> 33) as usize % (i + 1));
        }
        let last = parts.pop().expect("two or more");
        let doubled: Vec<_> = parts.iter().take(3).cloned().collect();
        let mut defrag = with(policy);
        for part in parts.iter().chain(&doubled) {
            let (whole, _, differs) = push(&mut defrag, part, 1);
            prop_assert!(whole.is_none() && !differs);
        }
        let (whole, ..) = push(&mut defrag, &last, 1);
        let whole = whole.expect("all is there");
        let packet = decode(&frame(&whole, 1));
        let ip = packet.ip.expect("IP");
        prop_assert!(!ip.is_fragment());
        prop_assert_eq!(ip.protocol(), 17);
        let header = if six { 48 } else { 20 };
        prop_assert_eq!(&whole[header..], &payload[..]);
        prop_assert!(defrag.is_empty());
    }
}
