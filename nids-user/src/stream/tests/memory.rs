//! Floods: what they cost is bounded, and counted.

use super::script::{CLIENT, Line, SERVER, Script, c, s};
use crate::flow::FlowDirection::ToServer;
use crate::stream::{Config, Event, Mode, Session, StreamContext};

const C: u32 = CLIENT + 1;
const S: u32 = SERVER + 1;

fn open(cx: &mut StreamContext, line: &Line) -> Option<Box<Session>> {
    let mut slot = None;
    line.with_packet(|packet| cx.segment(&mut slot, packet, line.direction, true));
    slot
}

#[test]
fn a_syn_flood_stays_within_the_cap() {
    let cap = 1 << 20;
    let mut cx = StreamContext::new(Config { session_memcap: cap, ..Config::default() });
    let flood = 100_000;
    let sessions: Vec<_> = (0..flood).filter_map(|n| open(&mut cx, &c("S", n, 0))).collect();
    assert!(cx.session_memory() <= cap);
    assert_eq!(sessions.len(), cap / size_of::<Session>());
    let counters = *cx.counters();
    assert_eq!(counters.sessions + counters.session_memcap, u64::from(flood));
    assert_eq!(counters.sessions, sessions.len() as u64);
    sessions.into_iter().for_each(|session| cx.close(session));
    assert_eq!(cx.open_sessions(), 0);
    assert!(cx.session_memory() <= cap);
}

#[test]
fn segments_behind_holes_stay_within_the_cap() {
    let cap = 1 << 20;
    let mut cx = StreamContext::new(Config { reassembly_memcap: cap, ..Config::default() });
    let mut sent = 0;
    let mut kept = 0;
    let mut flows = Vec::new();
    for n in 0..2000 {
        let mut slot = None;
        let payload = [n as u8; 1400];
        let lines = [
            c("S", CLIENT, 0),
            s("SA", SERVER, C),
            c("A", C, S),
            c("PA", C + 3000, S).data(&payload),
        ];
        for line in lines {
            line.with_packet(|packet| {
                let verdict = cx.segment(&mut slot, packet, line.direction, true);
                sent += packet.payload.len() as u64;
                kept += if verdict.in_stream { packet.payload.len() as u64 } else { 0 };
                if let Some(session) = &mut slot {
                    session.settle(&mut cx, line.direction, packet.payload);
                }
            });
        }
        flows.extend(slot);
        assert!(cx.reassembly_memory() <= cap);
    }
    assert!(kept > 0 && kept < sent);
    assert_eq!(kept + cx.counters().uninspected_memcap, sent);
    // What nobody was shown is counted when the flows go.
    flows.into_iter().for_each(|session| cx.close(session));
    assert_eq!(cx.counters().uninspected_stopped, kept);
    assert_eq!(cx.pool.in_use(), 0);
}

#[test]
fn data_in_order_is_shown_though_nothing_can_be_kept() {
    let mut script = Script::with(|config| config.reassembly_memcap = 1);
    script.handshake();
    for n in 0..100_u32 {
        script.send(&c("PA", C + n * 10, S).data(b"0123456789"));
        script.send(&s("A", S, C + n * 10 + 10));
    }
    script.finish();
    assert_eq!(script.to_server.raw.len(), 1000);
    assert_eq!(script.to_server.app.len(), 1000);
    assert_eq!(script.cx.counters().uninspected_memcap, 0);
    assert!(script.cx.counters().segment_memcap > 0);
}

#[test]
fn tiny_segments_in_order_cost_what_their_bytes_cost() {
    let mut script = Script::with(|config| config.look_back = 0);
    script.handshake();
    for n in 0..8000 {
        script.send(&c("PA", C + n, S).data(b"x"));
    }
    assert_eq!(script.to_server.raw.len(), 8000);
    assert!(script.cx.reassembly_memory() < 16_000, "{}", script.cx.reassembly_memory());
    assert_eq!(
        script.slot.as_ref().unwrap().client.data.buffer.as_ref().unwrap().segments().len(),
        1
    );
}

#[test]
fn tiny_segments_out_of_order_are_bounded_and_counted() {
    let mut script = Script::with(|config| config.segment_limit = 500);
    script.handshake();
    // Every second byte, so that nothing can be merged.
    for n in 0..3000 {
        script.send(&c("PA", C + 1 + 2 * n, S).data(b"x"));
    }
    assert!(script.events.contains(Event::InsertLimit));
    assert_eq!(script.cx.counters().uninspected_limit, 2500);
    assert!(script.cx.reassembly_memory() < 32_000);
    // Those that do touch are merged, and the data is all there.
    let mut script = Script::with(|config| config.segment_limit = 500);
    script.handshake();
    for n in (0..3000).rev() {
        script.send(&c("PA", C + 1 + n, S).data(&[n as u8]));
    }
    script.send(&c("PA", C, S).data(b"!"));
    assert_eq!(script.to_server.raw.len(), 3001);
    assert!(!script.events.contains(Event::InsertLimit));
}

#[test]
fn a_hole_with_too_much_behind_it_is_given_up() {
    let mut script = Script::with(|config| config.gap_limit = 5000);
    script.handshake();
    for n in 0..7 {
        script.send(&c("PA", C + 10 + n * 1000, S).data(&[b'a' + n as u8; 1000]));
    }
    assert!(script.events.contains(Event::Gap));
    assert_eq!(script.to_server.app_gaps, 10);
    assert_eq!(script.to_server.raw_gaps, 10);
    assert_eq!(script.to_server.raw.len(), 7000);
    assert_eq!((script.cx.counters().gaps, script.cx.counters().gap_bytes), (1, 10));
}

#[test]
fn a_segment_far_ahead_does_not_use_up_the_depth() {
    let mut script = Script::with(|config| config.depth = 6000);
    script.handshake();
    assert!(!script.send(&c("PA", C + 7000, S).data(b"far ahead")).in_stream);
    assert!(script.events.contains(Event::DepthReached));
    script.send(&c("PA", C, S).data(&[b'a'; 5990]));
    assert!(!script.slot.as_ref().unwrap().is_done(&script.cx, ToServer));
    // What crosses the depth is shown up to it.
    script.send(&c("PA", C + 5990, S).data(&[b'b'; 100]));
    assert_eq!(script.to_server.raw.len(), 6000);
    assert!(script.slot.as_ref().unwrap().is_done(&script.cx, ToServer));
    assert!(!script.send(&c("PA", C + 6090, S).data(b"behind")).in_stream);
    let counters = script.cx.counters();
    assert_eq!((counters.uninspected_depth, counters.depth_reached), (9 + 90 + 6, 1));
}

#[test]
fn a_session_is_small() {
    assert!(size_of::<Session>() <= 400, "{}", size_of::<Session>());
    println!("{} bytes a session", size_of::<Session>());
}

#[test]
fn idle_sessions_hold_nothing_but_their_look_back() {
    let mut script = Script::with(|config| config.look_back = 0);
    script.handshake();
    script.send(&c("PA", C, S).data(&[b'a'; 1400]));
    assert_eq!(script.cx.pool.in_use(), 1);
    script.send(&s("A", S, C + 1400));
    assert_eq!(script.cx.pool.in_use(), 0);

    let mut script = Script::with(|config| config.check_overlap = false);
    script.cx = StreamContext::new(Config {
        check_overlap: false,
        look_back: 0,
        mode: Mode::Immediate,
        ..Config::default()
    });
    script.handshake();
    script.send(&c("PA", C, S).data(&[b'a'; 1400]));
    assert_eq!(script.cx.reassembly_memory(), 0, "data in order is never copied");
}

#[test]
fn what_no_rule_looks_at_is_kept_until_it_is_acknowledged() {
    for mode in [Mode::Immediate, Mode::Acked] {
        let mut script = Script::with(|config| (config.mode, config.to_server_chunk) = (mode, 1));
        script.handshake();
        script.slot.as_mut().unwrap().watch_raw(ToServer, false);
        script.send(&c("PA", C, S).data(&[b'a'; 1400]));
        assert_eq!(script.cx.pool.in_use(), 1);
        // A copy that differs is still noticed.
        let events = script.raises(&c("PA", C, S).data(&[b'b'; 1400]));
        assert!(events.contains(&Event::OverlapDifferentData), "{mode:?} {events:?}");
        script.send(&s("A", S, C + 1400));
        script.send(&c("A", C + 1400, S));
        assert_eq!(script.cx.pool.in_use(), 0, "{mode:?}");
        assert!(script.to_server.raw.is_empty() && script.to_server.app.len() == 1400);
        // Rules that come later see what comes later, in its place.
        script.slot.as_mut().unwrap().watch_raw(ToServer, true);
        script.to_server.raw_gaps = 1;
        script.send(&c("PA", C + 1400, S).data(b"now"));
        script.send(&s("A", S, C + 1403));
        script.send(&c("FA", C + 1403, S));
        script.finish();
        assert_eq!(script.to_server.chunks, [(1400, b"now".to_vec())], "{mode:?}");
    }
}
