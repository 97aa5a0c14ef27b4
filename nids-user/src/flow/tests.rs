//! Established, directions, timeouts, reuse; bounds under a flood.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::HashSet;
use std::time::Duration;

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;
use crate::capture::{Direction, Frame, LinkType, Timestamp};
use crate::decode::{Tcp, decode};
use crate::stream;

const S: u8 = Tcp::SYN;
const A: u8 = Tcp::ACK;
const F: u8 = Tcp::FIN;
const R: u8 = Tcp::RST;
const SECOND: u64 = 1_000_000_000;

struct Side {
    address: [u8; 4],
    port: u16,
}

const CLIENT: Side = Side { address: [10, 0, 0, 2], port: 40_000 };
const SERVER: Side = Side { address: [10, 0, 0, 1], port: 80 };

fn tcp(from: &Side, to: &Side, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    let mut step = PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv4(from.address, to.address, 64)
        .tcp(from.port, to.port, seq, 1000);
    if flags & A != 0 {
        step = step.ack(ack);
    }
    if flags & S != 0 {
        step = step.syn();
    }
    if flags & F != 0 {
        step = step.fin();
    }
    if flags & R != 0 {
        step = step.rst();
    }
    let mut out = Vec::new();
    step.write(&mut out, payload).unwrap();
    out
}

fn udp(from: &Side, to: &Side) -> Vec<u8> {
    let mut out = Vec::new();
    PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv4(from.address, to.address, 64)
        .udp(from.port, to.port)
        .write(&mut out, b"x")
        .unwrap();
    out
}

fn table(limits: &Limits, secret: u64) -> FlowTable {
    FlowTable::new(limits, stream::Config::default(), secret, 0)
}

struct Bench {
    table: FlowTable,
    time: u64,
}

impl Bench {
    fn new() -> Self {
        Self { table: table(&Limits::default(), 1), time: 1_700_000_000 * SECOND }
    }
    fn see(&mut self, data: &[u8]) -> Option<FlowView> {
        self.see_tagged(data, None)
    }
    fn frame<'a>(&self, data: &'a [u8]) -> Frame<'a> {
        Frame {
            time: Timestamp(self.time),
            link: LinkType::Ethernet,
            data,
            wire_len: data.len() as u32,
            port: 0,
            direction: Direction::Ingress,
            vlan_offload: None,
            number: 0,
        }
    }
    fn see_tagged(&mut self, data: &[u8], vlan_offload: Option<u16>) -> Option<FlowView> {
        let packet = decode(&Frame { vlan_offload, ..self.frame(data) });
        let view = self.table.track(&packet).map(|tracked| tracked.view);
        while let Some((mut flow, _)) = self.table.take_ended() {
            if let Some(session) = flow.session.take() {
                self.table.streams().close(session);
            }
        }
        view
    }
    fn up(&mut self, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> FlowView {
        self.see(&tcp(&CLIENT, &SERVER, flags, seq, ack, payload)).unwrap()
    }
    fn down(&mut self, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> FlowView {
        self.see(&tcp(&SERVER, &CLIENT, flags, seq, ack, payload)).unwrap()
    }
    fn handshake(&mut self) -> u64 {
        assert!(!self.up(S, 100, 0, b"").established);
        assert!(!self.down(S | A, 500, 101, b"").established);
        let last = self.up(A, 101, 501, b"");
        assert!(!last.established);
        last.id
    }
    /// The kernel lets the flow by from now on.
    fn shunt(&mut self) {
        let index =
            self.table.track(&decode(&self.frame(&tcp(&CLIENT, &SERVER, A, 101, 501, b""))));
        let (flow, _) = self.table.flow(index.unwrap().index).unwrap();
        flow.shunt = Some(Box::default());
    }
    fn balanced(&self) {
        let c = self.table.counters();
        let timed_out = c.timed_out_new + c.timed_out_established + c.timed_out_closed;
        let evicted = c.evicted_new + c.evicted_established + c.evicted_closed;
        assert_eq!(c.created, c.active + timed_out + evicted + c.reused, "{c:?}");
    }
}

#[test]
fn the_packet_behind_the_handshake_is_established() {
    let mut bench = Bench::new();
    let id = bench.handshake();
    let view = bench.up(A, 101, 501, b"GET");
    assert!(view.established);
    assert_eq!(view.direction, FlowDirection::ToServer);
    let view = bench.down(A, 501, 104, b"200");
    assert!(view.established);
    assert_eq!((view.id, view.direction), (id, FlowDirection::ToClient));
    assert_eq!((view.packets_to_server, view.packets_to_client), (3, 2));
    assert!(id < 1 << 53);
}

#[test]
fn data_on_the_last_ack_is_established() {
    let mut bench = Bench::new();
    bench.up(S, 100, 0, b"");
    bench.down(S | A, 500, 101, b"");
    assert!(bench.up(A, 101, 501, b"GET").established);
}

/// The kernel half may hold pure ACKs back: what carries data must be judged the same.
#[test]
fn without_pure_acks() {
    let mut bench = Bench::new();
    let streams = stream::Config { acks_unseen: true, ..stream::Config::default() };
    bench.table = FlowTable::new(&Limits::default(), streams, 1, 0);
    bench.up(S, 100, 0, b"");
    bench.down(S | A, 500, 101, b"");
    assert!(bench.down(A, 501, 101, b"SSH-2.0 banner").established);
    assert!(bench.up(A, 101, 515, b"SSH-2.0 client").established);
}

#[test]
fn an_ack_that_does_not_fit_opens_nothing() {
    let mut bench = Bench::new();
    bench.up(S, 100, 0, b"");
    bench.down(S | A, 500, 999_999, b"");
    assert!(!bench.up(A, 101, 501, b"GET").established);
    let mut bench = Bench::new();
    bench.up(S, 100, 0, b"");
    bench.down(S | A, 500, 101, b"");
    assert!(!bench.up(A, 101, 400, b"GET").established);
    assert!(!bench.up(0, 101, 0, b"GET").established);
}

#[test]
fn midstream_is_never_established() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        assert!(!bench.up(A, 101, 501, b"GET").established);
        assert!(!bench.down(A, 501, 104, b"200").established);
    }
    assert_eq!(bench.table.counters().created, 1);
}

#[test]
fn a_lone_syn_ack_comes_from_the_server() {
    let mut bench = Bench::new();
    let streams = stream::Config { midstream: true, ..stream::Config::default() };
    bench.table = FlowTable::new(&Limits::default(), streams, 1, 0);
    assert_eq!(bench.down(S | A, 500, 101, b"").direction, FlowDirection::ToClient);
    assert_eq!(bench.up(A, 101, 501, b"").direction, FlowDirection::ToServer);
    assert!(bench.up(A, 101, 501, b"GET").established);
}

#[test]
fn a_syn_on_a_closed_tuple_is_another_flow() {
    let mut bench = Bench::new();
    let first = bench.handshake();
    // Still the same: nobody is done.
    assert_eq!(bench.up(S, 9, 0, b"").id, first);
    bench.up(F | A, 101, 501, b"");
    bench.down(F | A, 501, 102, b"");
    assert_eq!(bench.up(A, 102, 502, b"").id, first);
    let second = bench.up(S, 9000, 0, b"").id;
    assert_ne!(first, second);
    bench.down(R | A, 0, 9001, b"");
    let third = bench.up(S, 900, 0, b"").id;
    assert!(third != second && third != first);
    assert_eq!(bench.table.counters().reused, 2);
    bench.balanced();
}

#[test]
fn udp_is_established_with_the_first_answer() {
    let mut bench = Bench::new();
    assert!(!bench.see(&udp(&CLIENT, &SERVER)).unwrap().established);
    assert!(!bench.see(&udp(&CLIENT, &SERVER)).unwrap().established);
    let answer = bench.see(&udp(&SERVER, &CLIENT)).unwrap();
    assert!(answer.established);
    assert_eq!(answer.direction, FlowDirection::ToClient);
}

#[test]
fn echo_request_and_reply_meet_by_identifier() {
    let echo = |from: &Side, to: &Side, reply: bool, id: u16| {
        let mut out = Vec::new();
        let step = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4(from.address, to.address, 64);
        match reply {
            true => step.icmpv4_echo_reply(id, 1).write(&mut out, b"ping").unwrap(),
            false => step.icmpv4_echo_request(id, 1).write(&mut out, b"ping").unwrap(),
        }
        out
    };
    let mut bench = Bench::new();
    let request = bench.see(&echo(&CLIENT, &SERVER, false, 7)).unwrap();
    let reply = bench.see(&echo(&SERVER, &CLIENT, true, 7)).unwrap();
    assert_eq!(request.id, reply.id);
    assert!(reply.established);
    assert_ne!(bench.see(&echo(&CLIENT, &SERVER, false, 8)).unwrap().id, request.id);
    // The other side's own ping is another conversation.
    assert_ne!(bench.see(&echo(&SERVER, &CLIENT, false, 7)).unwrap().id, request.id);
}

#[test]
fn vlans_keep_flows_apart_unless_told_otherwise() {
    let mut bench = Bench::new();
    let data = udp(&CLIENT, &SERVER);
    let tagged = bench.see_tagged(&data, Some(5)).unwrap().id;
    assert_ne!(bench.see(&data).unwrap().id, tagged);
    assert_eq!(bench.see_tagged(&data, Some(5)).unwrap().id, tagged);
    let limits = Limits { use_vlan: false, ..Limits::default() };
    bench.table = table(&limits, 1);
    let tagged = bench.see_tagged(&data, Some(5)).unwrap().id;
    assert_eq!(bench.see(&data).unwrap().id, tagged);
}

#[test]
fn fragments_and_others_without_transport_are_counted() {
    let mut bench = Bench::new();
    let mut data = udp(&CLIENT, &SERVER);
    data[20] = 0x20;
    assert!(bench.see(&data).is_none());
    assert!(bench.see(&[0; 60]).is_none());
    assert_eq!(bench.table.counters().untracked, 2);
}

#[test]
fn timeouts_by_state() {
    let mut bench = Bench::new();
    bench.up(S, 100, 0, b"");
    bench.time += 59 * SECOND;
    bench.table.expire(Timestamp(bench.time), 32);
    assert_eq!(bench.table.counters().active, 1);
    bench.time += SECOND;
    bench.table.expire(Timestamp(bench.time), 32);
    assert_eq!(bench.table.counters().timed_out_new, 1);

    let id = bench.handshake();
    // Far longer than the wheel reaches, but never silent for 600 seconds.
    for _ in 0..10 {
        bench.time += 599 * SECOND;
        assert_eq!(bench.up(A, 101, 501, b"x").id, id);
    }
    bench.up(R | A, 102, 501, b"");
    bench.time += 60 * SECOND;
    bench.table.expire(Timestamp(bench.time), 32);
    assert_eq!(bench.table.counters().timed_out_closed, 1);

    bench.handshake();
    bench.time += 600 * SECOND;
    bench.table.expire(Timestamp(bench.time), 32);
    assert_eq!(bench.table.counters().timed_out_established, 1);
    assert_eq!(bench.table.counters().active, 0);
    bench.balanced();
}

#[test]
fn a_clock_that_goes_back_ends_nothing() {
    let mut bench = Bench::new();
    let id = bench.handshake();
    bench.time -= 5000 * SECOND;
    assert_eq!(bench.up(A, 101, 501, b"x").id, id);
}

#[test]
fn no_memory_no_flow() {
    let mut bench = Bench::new();
    bench.table = table(&Limits { memcap: 10, ..Limits::default() }, 1);
    assert!(bench.see(&udp(&CLIENT, &SERVER)).is_none());
    assert_eq!(bench.table.counters().no_room, 1);
}

/// A million half-open connections beside a thousand live flows: the table stays in its bounds, and
/// none of the live ones goes.
#[test]
fn a_flood_displaces_itself() {
    let mut bench = Bench::new();
    let limits = Limits { memcap: 4 << 20, ..Limits::default() };
    bench.table = table(&limits, 7);
    let capacity = bench.table.capacity() as u64;
    assert!((10_000..40_000).contains(&capacity), "{capacity}");

    let side = |n: u32| Side { address: [10, 1, (n >> 8) as u8, n as u8], port: 1000 };
    let mut live = Vec::new();
    for n in 0..1000 {
        let client = side(n);
        bench.see(&tcp(&client, &SERVER, S, 1, 0, b""));
        bench.see(&tcp(&SERVER, &client, S | A, 5, 2, b""));
        live.push(bench.see(&tcp(&client, &SERVER, A, 2, 6, b"x")).unwrap().id);
    }
    let mut syn = tcp(&CLIENT, &SERVER, S, 1, 0, b"");
    for n in 0..1_000_000_u32 {
        syn[26..30].copy_from_slice(&(0x0b00_0000 + n).to_be_bytes());
        bench.see(&syn).unwrap();
        bench.time += 10_000;
    }
    for (n, id) in live.iter().enumerate() {
        let view = bench.see(&tcp(&side(n as u32), &SERVER, A, 3, 6, b"y")).unwrap();
        assert!(view.established);
        assert_eq!(view.id, *id);
    }
    let counters = bench.table.counters();
    assert_eq!(counters.created, 1_001_000);
    assert_eq!(counters.active, capacity);
    assert_eq!(counters.evicted_established, 0);
    bench.balanced();
}

#[test]
fn ids_are_unique_across_workers() {
    let mut seen = HashSet::new();
    for worker in [0, 1, 255] {
        let mut bench = Bench::new();
        bench.table = FlowTable::new(&Limits::default(), stream::Config::default(), 99, worker);
        let mut data = udp(&CLIENT, &SERVER);
        for n in 0..2000_u16 {
            data[34..36].copy_from_slice(&n.to_be_bytes());
            let id = bench.see(&data).unwrap().id;
            assert!(id < 1 << 53);
            assert!(seen.insert(id));
        }
    }
}

proptest! {
    /// Any packets in any order, with any pauses: the books balance and the bound holds.
    #[test]
    fn books_balance(
        steps in prop::collection::vec(
            (0_u8..30, any::<bool>(), 0_u8..64, 0_u32..4, 0_u32..4, 0_usize..2, 0_u64..400),
            1..400,
        )
    ) {
        let timeouts = Timeouts {
            tcp: StateTimeouts {
                new: Duration::from_secs(60),
                established: Duration::from_secs(2000),
                closed: Duration::from_secs(1),
            },
            ..Timeouts::default()
        };
        let mut bench = Bench::new();
        bench.table = table(&Limits { memcap: 2000, timeouts, ..Limits::default() }, 3);
        for (host, back, flags, seq, ack, payload, pause) in steps {
            let client = Side { address: [10, 9, 9, host], port: 5 };
            let (from, to) = if back { (&SERVER, &client) } else { (&client, &SERVER) };
            let data = tcp(from, to, flags & (S | A | F | R), seq, ack, &b"x"[..payload]);
            let view = bench.see(&data).unwrap();
            prop_assert!(view.packets_to_server + view.packets_to_client > 0);
            prop_assert!(bench.table.counters().active <= bench.table.capacity() as u64);
            bench.balanced();
            bench.time += pause * SECOND;
        }
        bench.time += 3000 * SECOND;
        for _ in 0..20 {
            bench.table.expire(Timestamp(bench.time), 32);
        }
        prop_assert_eq!(bench.table.counters().active, 0);
        bench.balanced();
    }
}

#[test]
fn a_syn_ends_a_flow_of_which_the_end_may_have_been_let_by() {
    for shunted in [false, true] {
        let mut bench = Bench::new();
        let first = bench.handshake();
        if shunted {
            bench.shunt();
        }
        assert_eq!(bench.up(S, 100, 0, b"").id, first, "the same SYN once more");
        assert_eq!(bench.up(S, 7000, 0, b"").id != first, shunted);
        bench.balanced();
    }
}
