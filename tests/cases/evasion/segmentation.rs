//! However bytes are cut into segments and fragments, put in order, and sent again: the same alerts.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use nids::detect::Ruleset;
use proptest::prelude::*;

use super::packet::{ACK, FIN, Part, Segment, c, cut, fragment4, payload4, s, udp};
use super::{Bench, RUNS, Run, Talk, rules, settings};

/// Rules that see bytes and not packets: `M` stands at the begin of each message and nowhere else, as contents
/// with a place are sought in each packet as well as in the stream (as in Suricata). What is negated lies
/// before what is sought, so that it is known when the rule is tried.
static RULES: LazyLock<Arc<Ruleset>> = LazyLock::new(|| {
    rules(
        r#"
        alert tcp any any -> any any (content:"abc"; sid:1;)
        alert tcp any any -> any any (content:"ABCA"; nocase; sid:2;)
        alert tcp any any -> any any (content:"ab"; content:"ca"; distance:0; sid:3;)
        alert tcp any any -> any any (content:"ab"; content:"cc"; distance:3; within:20; content:"bb"; distance:0; sid:4;)
        alert tcp any any -> any any (content:"Ma"; depth:2; sid:5;)
        alert tcp any any -> any any (content:"M"; depth:1; content:"bca"; distance:1; within:6; sid:6;)
        alert tcp any any -> any any (content:"M"; depth:1; content:!"b"; within:1; content:"cab"; distance:1; sid:7;)
        alert tcp any any -> any any (content:"cc"; content:"aaa"; sid:8;)
        alert tcp any any -> any any (flow:to_server,established; content:"bbb"; sid:9;)
        alert tcp any any -> any any (flow:to_client; content:"aa"; content:"bb"; within:10; sid:10;)
        alert tcp any any -> any any (content:"c"; content:"ba"; offset:200; sid:11;)
        alert udp any any -> any any (content:"abcab"; sid:12;)
        alert udp any any -> any any (content:"Mc"; depth:2; dsize:>20; sid:13;)
        alert udp any any -> any any (content:"bb"; content:"cc"; distance:0; sid:14;)
        "#,
    )
});

fn alerts(run: Run, packets: &[(u64, Vec<u8>)]) -> BTreeSet<u64> {
    let mut bench = Bench::new(run, &settings(&[]), Arc::clone(&RULES));
    packets.iter().for_each(|(time, packet)| bench.see(packet, *time));
    bench.sids()
}

/// One side's words, and how they travel.
#[derive(Clone, Debug)]
struct Message {
    bytes: Vec<u8>,
    /// Where it is cut.
    cuts: Vec<prop::sample::Index>,
    /// The order of its segments: sorted by these.
    order: Vec<u32>,
    /// Segments sent again, and whether the receiver acknowledges what it has behind each.
    again: Vec<prop::sample::Index>,
    acked: Vec<bool>,
}

fn message() -> impl Strategy<Value = Message> {
    let index = any::<prop::sample::Index>;
    (
        prop::collection::vec(prop::sample::select(&b"abcAB"[..]), 1..600),
        prop::collection::vec(index(), 0..12),
        prop::collection::vec(any::<u32>(), 20),
        prop::collection::vec(index(), 0..4),
        prop::collection::vec(any::<bool>(), 20),
    )
        .prop_map(|(mut bytes, cuts, order, again, acked)| {
            bytes.insert(0, b'M');
            Message { bytes, cuts, order, again, acked }
        })
}

/// The messages, client first, in one segment each, or as they travel.
fn conversation(messages: &[Message], isn: [u32; 2], whole: bool) -> Vec<(u64, Vec<u8>)> {
    let mut talk = Talk::new();
    talk.isn = isn;
    talk.handshake();
    let mut sent = [0_i64; 2];
    let say = |client: bool, at: i64, ack: i64, bytes: &[u8]| -> Segment {
        (if client { c(at, bytes) } else { s(at, bytes) }).ack(ack)
    };
    for (number, message) in messages.iter().enumerate() {
        let client = number % 2 == 0;
        let (own, other) = (usize::from(!client), usize::from(client));
        let (start, ack) = (sent[own], sent[other]);
        let length = message.bytes.len();
        if whole {
            talk.send(say(client, start, ack, &message.bytes));
        } else {
            let mut places: Vec<_> = message.cuts.iter().map(|cut| cut.index(length)).collect();
            places.sort_unstable();
            let mut parts = cut(&message.bytes, &places);
            let copies: Vec<_> =
                message.again.iter().map(|again| parts[again.index(parts.len())].clone()).collect();
            parts.extend(copies);
            let mut order: Vec<_> = (0..parts.len()).collect();
            order.sort_by_key(|index| message.order[index % message.order.len()]);
            let mut there = vec![false; length];
            for (turn, index) in order.into_iter().enumerate() {
                let Part { at, bytes, .. } = &parts[index];
                talk.send(say(client, start + *at as i64, ack, bytes));
                there[*at..*at + bytes.len()].fill(true);
                if message.acked[turn % message.acked.len()] {
                    let have = there.iter().take_while(|there| **there).count() as i64;
                    talk.send(say(!client, ack, start + have, b"").flags(ACK));
                }
            }
        }
        sent[own] += length as i64;
    }
    talk.send(c(sent[0], b"").ack(sent[1]).flags(FIN | ACK));
    talk.send(s(sent[1], b"").ack(sent[0] + 1).flags(FIN | ACK));
    talk.send(c(sent[0] + 1, b"").ack(sent[1] + 1).flags(ACK));
    talk.packets
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_segmentation_gives_the_same_alerts(
        messages in prop::collection::vec(message(), 1..5),
        isn in any::<[u32; 2]>(),
    ) {
        let wanted = alerts(Run::Live, &conversation(&messages, isn, true));
        prop_assert_eq!(&alerts(Run::Offline, &conversation(&messages, isn, true)), &wanted);
        let cut = conversation(&messages, isn, false);
        for run in RUNS {
            prop_assert_eq!(&alerts(run, &cut), &wanted, "{:?}", run);
        }
    }

    #[test]
    fn any_fragmentation_gives_the_same_alerts(
        datagrams in prop::collection::vec(message(), 1..6),
        talk in prop::collection::vec(message(), 1..3),
    ) {
        let mut packets: Vec<_> = datagrams.iter().map(|message| (1, udp(&message.bytes))).collect();
        packets.extend(conversation(&talk, [1, 2], true));
        let wanted = alerts(Run::Live, &packets);
        let mut pieces = Vec::new();
        for (number, (time, packet)) in packets.iter().enumerate() {
            let payload = payload4(packet);
            let how = &datagrams[number % datagrams.len()];
            let mut places: Vec<_> =
                how.cuts.iter().map(|cut| cut.index(payload.len()) / 8 * 8).collect();
            places.sort_unstable();
            let mut parts = cut(payload, &places);
            // Copies come before the datagram is whole; one behind would begin another.
            if parts.len() > 1 {
                parts.sort_by_key(|part| how.order[part.at % how.order.len()]);
                let copies: Vec<_> = how
                    .again
                    .iter()
                    .map(|again| parts[again.index(parts.len() - 1)].clone())
                    .collect();
                let last = parts.len() - 1;
                parts.splice(last..last, copies);
            }
            for part in &parts {
                match parts.len() {
                    1 => pieces.push((*time, packet.clone())),
                    _ => pieces.push((*time, fragment4(packet, number as u16 + 1, part))),
                }
            }
        }
        for run in RUNS {
            prop_assert_eq!(&alerts(run, &pieces), &wanted, "{:?}", run);
        }
    }
}

/// A pattern in two segments, cut at every place, in order and not, and in three around every byte.
#[test]
fn a_pattern_is_found_at_every_split() {
    let rules = rules(
        r#"alert tcp any any -> any any (content:"GET "; depth:4; content:"/etc/passwd"; distance:0; nocase; sid:1;)"#,
    );
    let bytes = b"GET /x/../ETC/passwd HTTP/1.0";
    for at in 1..bytes.len() {
        for run in RUNS {
            let [(head, tail), (next, rest)] = [bytes.split_at(at), bytes[at..].split_at(1)];
            let at = at as i64;
            let ways = [
                vec![c(0, head), c(at, tail)],
                vec![c(at, tail), c(0, head)],
                vec![c(at + 1, rest), c(0, head), c(at, next)],
                vec![c(0, head), c(at + 1, rest), c(at, next)],
            ];
            for way in ways {
                let mut talk = Talk::open();
                way.into_iter().for_each(|segment| talk.send(segment));
                talk.acked(bytes.len() as i64);
                let mut bench = Bench::new(run, &settings(&[]), Arc::clone(&rules));
                talk.packets.iter().for_each(|(time, packet)| bench.see(packet, *time));
                assert_eq!(bench.sids().len(), 1, "{run:?}: cut at {at}");
            }
        }
    }
}

/// What lies up to 2,560 bytes apart is found together, however it is cut; a pattern that ends a chunk
/// and begins the next one as well.
#[test]
fn a_chain_over_many_segments() {
    let rules = rules(
        r#"alert tcp any any -> any any (content:"begin"; content:"end"; distance:2000; within:500; sid:1;)"#,
    );
    let bytes = [&b"begin"[..], &[b'.'; 2400], b"end"].concat();
    for size in [1, 7, 100, 536, 1460, 2000] {
        for backwards in [false, true] {
            for run in RUNS {
                let mut talk = Talk::open();
                let mut parts: Vec<_> = (0_i64..).step_by(size).zip(bytes.chunks(size)).collect();
                if backwards {
                    parts.reverse();
                }
                for (at, part) in parts {
                    talk.send(c(at, part));
                    if !backwards {
                        talk.acked(at + part.len() as i64);
                    }
                }
                talk.acked(bytes.len() as i64);
                let mut bench = Bench::new(run, &settings(&[]), Arc::clone(&rules));
                talk.packets.iter().for_each(|(time, packet)| bench.see(packet, *time));
                assert_eq!(bench.sids().len(), 1, "{run:?}: {size} bytes, {backwards}");
            }
        }
    }
}
