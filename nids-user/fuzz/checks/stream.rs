//! Fuzz target `stream`: bytes as a script of TCP segments, checked against a plain model of what may be
//! shown.
//!
//! The model keeps every byte ever accepted into a stream, by its sequence number, and nothing else. The
//! engine may show a byte only at its place, only once, only in order, and only if it was sent there.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use nids::capture::{Frame, LinkType, Timestamp};
use nids::decode::{Ip, Ipv4, Packet, Tcp, Transport};
use nids::flow::FlowDirection::{self, ToClient, ToServer};
use nids::stream::{Chunk, Config, Mode, Policy, Session, StreamContext, UrgentPolicy, Verdict};

/// Memory that the reassembly may take here.
const MEMCAP: usize = 64 << 10;
const POLICIES: [&str; 8] =
    ["first", "last", "bsd", "linux", "old-linux", "windows", "solaris", "hpux11"];

/// One reader's place and what it got.
#[derive(Default)]
struct Reader {
    /// End of what was shown.
    at: u64,
    ended: bool,
}

#[derive(Default)]
struct Model {
    /// Bytes accepted at a sequence number, by direction.
    sent: [HashMap<u32, Vec<u8>>; 2],
    raw: [Reader; 2],
    app: [Reader; 2],
}

fn index(direction: FlowDirection) -> usize {
    usize::from(direction == ToClient)
}

impl Model {
    fn accept(&mut self, direction: FlowDirection, first: u32, payload: &[u8]) {
        for (n, byte) in payload.iter().enumerate() {
            let copies =
                self.sent[index(direction)].entry(first.wrapping_add(n as u32)).or_default();
            if !copies.contains(byte) {
                copies.push(*byte);
            }
        }
    }

    /// Bytes are where they were sent. With urgent bytes taken out offsets are not sequence numbers.
    fn check(&self, direction: FlowDirection, isn: u32, chunk: &Chunk, exact: bool) {
        if !exact {
            return;
        }
        for (n, byte) in chunk.data.iter().enumerate() {
            let seq = isn.wrapping_add(1).wrapping_add((chunk.offset + n as u64) as u32);
            let copies = self.sent[index(direction)].get(&seq);
            assert!(
                copies.is_some_and(|copies| copies.contains(byte)),
                "nobody sent {byte} {direction:?} at {seq}, offset {} + {n}",
                chunk.offset
            );
        }
    }
}

impl Reader {
    /// Chunks come one behind the other.
    fn take(&mut self, chunk: &Chunk, taken: usize, exact: bool) {
        assert!(!self.ended, "nothing comes behind the end");
        self.ended = chunk.end;
        if exact && !chunk.data.is_empty() {
            assert_eq!(chunk.offset, self.at + chunk.gap_before, "in order, with the gap it says");
            self.at = chunk.offset + taken as u64;
        }
    }
}

/// Takes the script's bytes, zeros behind its end.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }
    /// Mostly small, sometimes far off.
    fn offset(&mut self) -> u32 {
        match self.byte() {
            0..=159 => 0,
            near @ 160..=239 => u32::from(near - 160).wrapping_sub(20),
            240..=247 => u32::from(self.byte()) << 8,
            _ => u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()]),
        }
    }
}

fn config(script: &mut Script) -> Config {
    let bits = script.byte();
    let more = script.byte();
    let mut config = Config {
        mode: [Mode::Immediate, Mode::Acked, Mode::Inline, Mode::Immediate][usize::from(bits & 3)],
        midstream: bits & 4 != 0,
        async_oneside: bits & 8 != 0,
        check_overlap: bits & 16 == 0,
        look_back: if bits & 32 == 0 { 100 } else { 0 },
        depth: if bits & 64 == 0 { 1 << 20 } else { 5000 },
        app_layer: bits & 128 == 0,
        acks_unseen: more & 128 != 0,
        reassembly_memcap: MEMCAP,
        gap_limit: 8000,
        segment_limit: 64,
        urgent: [
            UrgentPolicy::OutOfBand,
            UrgentPolicy::Inline,
            UrgentPolicy::Drop,
            UrgentPolicy::Gap,
        ][usize::from(more & 3)],
        ..Config::default()
    };
    let policy = Policy::from_name(POLICIES[usize::from(more >> 2) % POLICIES.len()]);
    let host = Ipv4Addr::new(10, 0, 0, 2).into();
    config.hosts.insert(host, 32, policy.expect("a name of the list"));
    config
}

/// Runs a script.
///
/// # Panics
/// Where the engine shows what it must not, or holds what it should not.
pub fn check(bytes: &[u8]) {
    let mut script = Script(bytes);
    let config = config(&mut script);
    // With urgent bytes taken out, offsets are not sequence numbers; a Gap's byte is missing, not out.
    let exact = config.urgent != UrgentPolicy::OutOfBand;
    let inline = config.mode == Mode::Inline;
    let mut cx = StreamContext::new(config);
    let mut slot: Option<Box<Session>> = None;
    let mut model = Model::default();
    // Where an honest sender would stand.
    let mut next = [u32::MAX - 300, 7_000_u32];
    let mut number = 0_u32;
    while !script.0.is_empty() && number < 2000 {
        number += 1;
        let what = script.byte();
        let direction = if what & 1 == 0 { ToServer } else { ToClient };
        let (own, other) = if what & 1 == 0 { (0, 1) } else { (1, 0) };
        let flags = match what >> 1 & 15 {
            0..=5 => Tcp::ACK | Tcp::PSH,
            6 | 7 => Tcp::ACK,
            8 => Tcp::SYN,
            9 => Tcp::SYN | Tcp::ACK,
            10 => Tcp::FIN | Tcp::ACK,
            11 => Tcp::RST,
            12 => Tcp::ACK | Tcp::URG,
            _ => script.byte(),
        };
        let seq = next[own].wrapping_add(script.offset());
        let ack = next[other].wrapping_add(script.offset());
        let len = usize::from(script.byte()) * if what & 0x80 != 0 { 6 } else { 1 };
        let salt = if what & 0x40 != 0 { script.byte() } else { 0 };
        // The byte of a place is the same in all copies, unless the script wants otherwise.
        let payload: Vec<u8> =
            (0..len).map(|n| (seq.wrapping_add(n as u32) as u8).wrapping_mul(31) ^ salt).collect();
        let window = if what & 0x20 != 0 { u16::from(script.byte()) << 6 } else { 30_000 };
        let urgent = if flags & Tcp::URG != 0 { u16::from(script.byte()) } else { 0 };
        let header = header(&mut script);
        let packet = packet(&header, direction, seq, ack, flags, window, urgent, &payload, number);
        if seq == next[own] {
            let control = u32::from(flags & (Tcp::SYN | Tcp::FIN) != 0);
            next[own] = seq.wrapping_add(len as u32).wrapping_add(control);
        }
        if let Some(session) = &slot
            && session.is_succeeded_by(&cx, &packet, direction)
        {
            end(&mut cx, &mut slot, &mut model, exact);
        }
        let begins = slot.is_none();
        let verdict = cx.segment(&mut slot, &packet, direction, what != 0xff);
        let way = match (verdict.swapped, direction) {
            (true, ToServer) => ToClient,
            (true, ToClient) => ToServer,
            (false, direction) => direction,
        };
        assert!(!verdict.in_stream || !payload.is_empty());
        if verdict.in_stream {
            // A SYN that begins the session counts one before its data (fast open).
            let syn = u32::from(begins && flags & Tcp::SYN != 0);
            model.accept(way, seq.wrapping_add(syn), &payload);
        }
        show(&mut cx, &mut slot, &mut model, &verdict, way, &payload, (exact, inline));
        assert!(cx.reassembly_memory() <= MEMCAP);
        if verdict.swapped {
            // The flow would be turned round: here the script just ends.
            break;
        }
    }
    end(&mut cx, &mut slot, &mut model, exact);
    assert_eq!(cx.open_sessions(), 0);
}

fn show(
    cx: &mut StreamContext,
    slot: &mut Option<Box<Session>>,
    model: &mut Model,
    verdict: &Verdict,
    way: FlowDirection,
    payload: &[u8],
    (exact, inline): (bool, bool),
) {
    let Some(session) = slot else { return };
    for (direction, news) in [(ToServer, verdict.app.to_server), (ToClient, verdict.app.to_client)]
    {
        if news {
            let isn = session.initial_sequence(direction);
            let own = if direction == way { payload } else { &[] };
            let mut reader = std::mem::take(&mut model.app[index(direction)]);
            session.app(cx, direction, own, &mut |chunk| {
                model.check(direction, isn, &chunk, exact);
                // A parser that takes what it likes, but all where told that no more will come.
                let part = chunk.data.len() - chunk.data.len() / 3;
                let taken = if chunk.gap_behind { chunk.data.len() } else { part };
                reader.take(&chunk, taken, exact);
                taken
            });
            model.app[index(direction)] = reader;
        }
    }
    let isn = session.initial_sequence(way);
    let mut reader = std::mem::take(&mut model.raw[index(way)]);
    session.raw(cx, way, payload, &mut |chunk| {
        model.check(way, isn, &chunk, exact);
        let mut before = Vec::new();
        chunk.copy_before(50, &mut before);
        assert!(before.len() <= 50);
        assert!(chunk.seen <= chunk.data.len());
        reader.take(&chunk, chunk.data.len(), exact && !inline);
    });
    model.raw[index(way)] = reader;
    session.settle(cx, way, payload);
}

fn end(cx: &mut StreamContext, slot: &mut Option<Box<Session>>, model: &mut Model, exact: bool) {
    let Some(mut session) = slot.take() else { return };
    let inline = cx.config().mode == Mode::Inline;
    for direction in [ToServer, ToClient] {
        let isn = session.initial_sequence(direction);
        let mut app = std::mem::take(&mut model.app[index(direction)]);
        let mut raw = std::mem::take(&mut model.raw[index(direction)]);
        session.finish(
            cx,
            direction,
            &mut |chunk| {
                model.check(direction, isn, &chunk, exact);
                app.take(&chunk, chunk.data.len(), exact);
                chunk.data.len()
            },
            &mut |chunk| {
                model.check(direction, isn, &chunk, exact);
                raw.take(&chunk, chunk.data.len(), exact && !inline);
            },
        );
        assert!(raw.ended && (app.ended || !cx.config().app_layer));
    }
    cx.close(session);
    *model = Model::default();
}

/// A header with some of the options that matter.
fn header(script: &mut Script) -> Vec<u8> {
    let mut header = vec![0; 20];
    match script.byte() {
        1 => header.extend([3, 3, script.byte(), 0]),
        2 => {
            header.extend([8, 10, 0, 0, 0, script.byte(), 0, 0, 0, script.byte()]);
            header.extend([0, 0]);
        }
        3 => header.extend([34, 2, 4, 2]),
        4 => {
            header.extend([5, 10]);
            header.extend((0..8).map(|_| script.byte()));
            header.extend([0, 0]);
        }
        5 => header.extend((0..8).map(|_| script.byte())),
        _ => {}
    }
    header
}

#[allow(clippy::too_many_arguments)]
fn packet<'a>(
    header: &'a [u8],
    direction: FlowDirection,
    seq: u32,
    ack: u32,
    flags: u8,
    window: u16,
    urgent: u16,
    payload: &'a [u8],
    number: u32,
) -> Packet<'a> {
    let (client, server) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let (source, destination, ports) = match direction {
        ToServer => (client, server, (4000, 80)),
        ToClient => (server, client, (80, 4000)),
    };
    let frame = Frame {
        time: Timestamp(u64::from(number) * 100_000_000),
        link: LinkType::RawIp,
        data: &[],
        wire_len: 0,
        port: 0,
        direction: Default::default(),
        vlan_offload: None,
        number: u64::from(number),
    };
    Packet {
        ether_type: 0x0800,
        ip: Some(Ip::V4(Ipv4 {
            header: &[],
            source,
            destination,
            ttl: 64,
            protocol: 6,
            id: 0,
            tos: 0,
            fragment_offset: 0,
            more_fragments: false,
            dont_fragment: false,
            reserved: false,
        })),
        transport: Transport::Tcp(Tcp {
            header,
            source: ports.0,
            destination: ports.1,
            seq,
            ack,
            flags,
            window,
            urgent,
        }),
        ..Packet::new(&frame, payload)
    }
}
