//! Floods: memory stays within its caps, what was there before goes on, and what is given up is counted.

use nids::config::Settings;

use super::packet::{ACK, Part, SYN, Segment, c, fragment4, payload4, s, udp};
use super::{ATTACK, Bench, RUNS, Run, rules, settings};

const RULE: &str = r#"alert ip any any -> any any (content:"/etc/passwd"; sid:1;)"#;

fn bench(run: Run, settings: &Settings) -> Bench {
    Bench::new(run, settings, rules(RULE))
}

fn given_up(bench: &Bench, reason: &str) -> u64 {
    let all = bench.engine.given_up();
    all.iter().find(|(known, _)| *known == reason).unwrap_or_else(|| panic!("{reason}")).1
}

/// The segment as of client number `n`; live, nobody looks at its checksum.
fn of_client(n: u32, segment: &Segment) -> Vec<u8> {
    let mut packet = segment.packet([1000, 5000]);
    let client = (0x0b00_0000 + n).to_be_bytes();
    let at = if packet[12..16] == super::packet::CLIENT { 12 } else { 16 };
    packet[at..at + 4].copy_from_slice(&client);
    packet
}

#[test]
fn a_million_syns_beside_a_thousand_connections() {
    let mut settings = settings(&["stream.memcap=2mb", "stream.reassembly.memcap=8mb"]);
    settings.flow.memcap = 4 << 20;
    let mut bench = bench(Run::Live, &settings);
    for n in 0..1000 {
        bench.see(&of_client(n, &c(-1, b"").flags(SYN)), 0);
        bench.see(&of_client(n, &s(-1, b"").flags(SYN | ACK)), 1);
        bench.see(&of_client(n, &c(0, b"").flags(ACK)), 2);
        bench.see(&of_client(n, &c(0, &ATTACK[..9])), 3);
        bench.see(&of_client(n, &s(0, b"").ack(9).flags(ACK)), 4);
    }
    let mut syn = of_client(0, &c(-1, b"").flags(SYN));
    for n in 0..1_000_000_u32 {
        syn[12..16].copy_from_slice(&(0x4000_0000 + n).to_be_bytes());
        bench.see(&syn, 5 + u64::from(n) / 100);
    }
    let (_, streams) = bench.engine.memory();
    assert!(streams <= 10 << 20, "{streams}");
    assert_eq!(bench.engine.counters().alerts, 0);
    for n in 0..1000 {
        bench.see(&of_client(n, &c(9, &ATTACK[9..])), 10_010);
    }
    let counters = bench.engine.counters();
    assert_eq!(counters.alerts, 1000, "every connection is still known, with what it sent before");
    let flows = bench.engine.flow_counters();
    assert_eq!(flows.created, 1_001_000);
    assert_eq!((flows.evicted_established, flows.no_room), (0, 0));
    let gone = flows.evicted_new + flows.evicted_closed + flows.timed_out_new;
    assert_eq!(flows.created, flows.active + gone);
    assert!(flows.evicted_new > 900_000, "{flows:?}");
    // What found no room for a session is told.
    let opened = bench.engine.stream_counters().sessions;
    assert_eq!(opened + given_up(&bench, "stream-session-memcap-packets"), 1_001_000);
    assert!(given_up(&bench, "stream-session-memcap-packets") > 0);
    assert_eq!(bench.sids().len(), 1);
}

#[test]
fn a_flood_of_fragments() {
    for run in RUNS {
        let settings = settings(&["defrag.memcap=1mb"]);
        let mut bench = bench(run, &settings);
        let whole = udp(ATTACK);
        let payload = payload4(&whole);
        let part = |from: usize, to: usize| Part {
            at: from,
            bytes: payload[from..to].to_vec(),
            more: to < payload.len(),
        };
        let (head, tail) = (part(0, 24), part(24, payload.len()));
        bench.see(&fragment4(&whole, 1, &head), 0);
        bench.see(&fragment4(&whole, 1, &tail), 0);
        assert_eq!(bench.engine.counters().alerts, 1);
        // One is open when the flood comes: the oldest one goes first.
        bench.see(&fragment4(&whole, 2, &head), 1);
        let junk = Part { at: 800, bytes: vec![b'x'; 64], more: true };
        let mut fragment = fragment4(&whole, 3, &junk);
        for n in 0..200_000_u32 {
            fragment[12..16].copy_from_slice(&(0x4000_0000 + n).to_be_bytes());
            bench.see(&fragment, 2);
            if n % 10_000 == 0 {
                let (fragments, _) = bench.engine.memory();
                assert!(fragments <= 1 << 20, "{fragments}");
                // In the flood, both pieces come one behind the other.
                bench.see(&fragment4(&whole, 4, &tail), 2);
                bench.see(&fragment4(&whole, 4, &head), 2);
            }
        }
        bench.see(&fragment4(&whole, 2, &tail), 3);
        bench.see(&fragment4(&whole, 5, &head), 3);
        bench.see(&fragment4(&whole, 5, &tail), 3);
        let counters = bench.engine.defrag_counters();
        assert_eq!(counters.reassembled, 22);
        assert!(given_up(&bench, "datagrams-evicted") > 190_000, "{counters:?}");
        assert_eq!(counters.evicted, given_up(&bench, "datagrams-evicted"));
        assert_eq!(bench.sids().len(), 1);
    }
}

/// Segments behind holes fill the reassembly's memory: what finds no room is counted, and an event says so.
#[test]
fn a_flood_of_segments_out_of_order() {
    let rules = format!(
        "{RULE}\nalert tcp any any -> any any (stream-event:reassembly_insert_memcap; sid:2;)"
    );
    let settings = settings(&["stream.reassembly.memcap=1mb"]);
    let mut bench = Bench::new(Run::Live, &settings, super::rules(&rules));
    for n in 0..200 {
        bench.see(&of_client(n, &c(-1, b"").flags(SYN)), 0);
        bench.see(&of_client(n, &s(-1, b"").flags(SYN | ACK)), 1);
        bench.see(&of_client(n, &c(0, b"").flags(ACK)), 2);
        for block in 0..20 {
            bench.see(&of_client(n, &c(1000 + block * 2000, [b'x'; 1000])), 3);
        }
        let (_, streams) = bench.engine.memory();
        assert!(streams <= (1 << 20) + 200 * 1024, "{streams}");
    }
    let lost = given_up(&bench, "stream-memcap-bytes");
    assert!(lost > 2_000_000, "{lost}");
    assert_eq!(lost, bench.engine.stream_counters().uninspected_memcap);
    // Data in order needs no room: it is inspected all the same.
    bench.see(&of_client(199, &c(0, ATTACK)), 4);
    assert_eq!(bench.sids().into_iter().collect::<Vec<_>>(), [1, 2]);
}
