//! When data is shown, and how it is cut.

use super::script::{CLIENT, SERVER, Script, c, s};
use crate::flow::FlowDirection::{ToClient, ToServer};
use crate::stream::{AppNews, Event, Mode, Progress};

const C: u32 = CLIENT + 1;
const S: u32 = SERVER + 1;

#[test]
fn at_once_without_an_acknowledgment() {
    let mut script = Script::established(Mode::Immediate);
    script.send(&c("PA", C, S).data(b"one "));
    assert_eq!(script.to_server.raw, b"one ");
    script.send(&c("PA", C + 8, S).data(b"three"));
    assert_eq!(script.to_server.raw, b"one ");
    script.send(&c("PA", C + 4, S).data(b"two "));
    assert_eq!(script.to_server.raw, b"one two three");
    assert_eq!(script.to_server.chunks[1], (4, b"two three".to_vec()));
}

#[test]
fn acked_waits_for_the_acknowledgment_and_for_a_chunk() {
    let mut script = Script::established(Mode::Acked);
    for n in 0..3 {
        script.send(&c("PA", C + n * 1000, S).data(&[b'a'; 1000]));
    }
    assert!(script.to_server.app.is_empty());
    let verdict = script.send(&s("A", S, C + 2000));
    assert_eq!(verdict.app, AppNews { to_server: true, to_client: false });
    assert_eq!(script.to_server.app.len(), 2000);
    // 2000 acknowledged bytes are no chunk yet.
    script.send(&c("PA", C + 3000, S).data(&[b'a'; 1000]));
    assert!(script.to_server.raw.is_empty());
    script.send(&s("A", S, C + 3000));
    assert!(script.to_server.raw.is_empty(), "raw data is shown in its own direction");
    script.send(&c("PA", C + 4000, S).data(&[b'a'; 1000]));
    assert_eq!(script.to_server.chunks, [(0, vec![b'a'; 3000])]);
    // A FIN of the client flushes what is acknowledged, the end the rest.
    script.send(&s("A", S, C + 4500));
    script.send(&c("FA", C + 5000, S));
    assert_eq!(script.to_server.raw.len(), 4500);
    script.finish();
    assert_eq!(script.to_server.raw.len(), 5000);
}

#[test]
fn a_parser_may_ask_for_raw_data_at_once() {
    let mut script = Script::established(Mode::Acked);
    script.send(&c("PA", C, S).data(b"GET /"));
    script.send(&s("A", S, C + 5));
    script.slot.as_mut().unwrap().flush_raw(ToServer);
    script.send(&c("A", C + 5, S));
    assert_eq!(script.to_server.raw, b"GET /");
}

#[test]
fn the_depth_flushes_too() {
    let mut script = Script::with(|config| {
        config.mode = Mode::Acked;
        config.depth = 100;
    });
    script.handshake();
    script.send(&c("PA", C, S).data(&[b'a'; 150]));
    script.send(&s("A", S, C + 150));
    script.send(&c("A", C + 150, S));
    assert_eq!(script.to_server.raw.len(), 100);
}

#[test]
fn unacknowledged_data_before_a_rst_is_shown_at_the_end() {
    let mut script = Script::established(Mode::Acked);
    script.send(&c("PA", C, S).data(b"Let "));
    script.send(&c("PA", C + 4, S).data(b"Me In"));
    script.send(&s("R", S, 0));
    script.finish();
    assert_eq!(script.to_server.raw, b"Let Me In");
    assert_eq!(script.to_server.app, b"Let Me In");
    assert!(!script.events.contains(Event::Gap));
}

#[test]
fn an_acknowledged_hole_is_a_gap() {
    for mode in [Mode::Immediate, Mode::Acked, Mode::Inline] {
        let mut script = Script::established(mode);
        script.send(&c("PA", C, S).data(b"abc"));
        script.send(&c("PA", C + 6, S).data(b"ghi"));
        assert_eq!(script.to_server.app_gaps, 0);
        let verdict = script.send(&s("A", S, C + 9));
        assert!(verdict.events.contains(Event::Gap), "{mode:?}");
        assert_eq!((&script.to_server.app[..], script.to_server.app_gaps), (&b"abcghi"[..], 3));
        // It comes too late.
        let late = script.send(&c("PA", C + 3, S).data(b"def"));
        assert!(late.events.contains(Event::SpuriousRetransmission));
        script.finish();
        assert_eq!(script.to_server.app, b"abcghi");
    }
}

#[test]
fn a_parser_is_told_when_its_rest_will_not_be_completed() {
    let mut script = Script::established(Mode::Immediate);
    script.appetite = 1;
    script.send(&c("PA", C, S).data(b"abc"));
    assert_eq!(script.to_server.app, b"a");
    script.send(&c("PA", C + 6, S).data(b"ghi"));
    assert_eq!(script.to_server.app, b"ab");
    script.send(&s("A", S, C + 9));
    assert_eq!((&script.to_server.app[..], script.to_server.app_gaps), (&b"abcg"[..], 3));
}

#[test]
fn inline_windows_slide_with_the_packets() {
    let mut script = Script::established(Mode::Inline);
    for n in 0..5 {
        script.send(&c("PA", C + n * 1000, S).data(&[b'a' + n as u8; 1000]));
        script.send(&s("A", S, C + n * 1000 + 1000));
    }
    let windows: Vec<_> =
        script.to_server.chunks.iter().map(|(offset, data)| (*offset, data.len())).collect();
    assert_eq!(windows, [(0, 1000), (0, 2000), (440, 2560), (1440, 2560), (2440, 2560)]);
}

#[test]
fn stopped_readers_get_nothing_and_hold_nothing() {
    let mut script = Script::established(Mode::Acked);
    script.send(&c("PA", C, S).data(b"secret"));
    script.slot.as_mut().unwrap().stop_app(ToServer);
    script.slot.as_mut().unwrap().stop_raw(ToServer);
    let verdict = script.send(&c("PA", C + 6, S).data(b"more"));
    assert!(!verdict.in_stream);
    assert_eq!(script.cx.pool.in_use(), 0);
    assert_eq!(script.cx.counters().uninspected_stopped, 6);
    assert!(script.slot.as_ref().unwrap().is_done(&script.cx, ToServer));
    assert!(!script.slot.as_ref().unwrap().is_done(&script.cx, ToClient));
    script.finish();
    assert!(script.to_server.raw.is_empty() && script.to_server.app.is_empty());
}

#[test]
fn progress_is_told() {
    let mut script = Script::established(Mode::Immediate);
    script.send(&c("PA", C, S).data(b"12345"));
    script.send(&s("PA", S, C + 5).data(b"123"));
    let session = script.slot.as_ref().unwrap();
    assert_eq!(session.progress(ToServer), Progress { sent: 6, acked: 5, raw: 5, app: 5 });
    assert_eq!(session.progress(ToClient), Progress { sent: 4, acked: 0, raw: 3, app: 3 });
}
