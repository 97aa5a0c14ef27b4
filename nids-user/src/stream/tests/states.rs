//! The state machine: each way through it.

use super::script::{CLIENT, SERVER, Script, c, s};
use crate::flow::FlowDirection::ToServer;
use crate::stream::{Event, Mode, Policy, State, UrgentPolicy};

const C: u32 = CLIENT + 1;
const S: u32 = SERVER + 1;

fn walk(script: &mut Script, lines: &[(super::script::Line, State)]) {
    for (number, (line, state)) in lines.iter().enumerate() {
        let verdict = script.send(line);
        assert_eq!(verdict.state, *state, "line {number}: {:?}", verdict.events);
        assert!(!verdict.invalid, "line {number}: {:?}", verdict.events);
    }
}

#[test]
fn the_client_closes_first() {
    let mut script = Script::established(Mode::Immediate);
    walk(
        &mut script,
        &[
            (c("FA", C, S), State::CloseWait),
            (s("A", S, C + 1), State::CloseWait),
            (s("PA", S, C + 1).data(b"half closed"), State::CloseWait),
            (c("A", C + 1, S + 11), State::CloseWait),
            (s("FA", S + 11, C + 1), State::LastAck),
            (c("A", C + 1, S + 12), State::Closed),
        ],
    );
    assert_eq!(script.to_client.raw, b"half closed");
}

#[test]
fn the_server_closes_first() {
    let mut script = Script::established(Mode::Immediate);
    walk(
        &mut script,
        &[
            (s("FA", S, C), State::FinWait1),
            (c("A", C, S + 1), State::FinWait2),
            (c("PA", C, S + 1).data(b"more"), State::FinWait2),
            (s("A", S + 1, C + 4), State::FinWait2),
            (c("FA", C + 4, S + 1), State::TimeWait),
            (s("A", S + 1, C + 5), State::Closed),
        ],
    );
    assert_eq!(script.to_server.raw, b"more");
}

#[test]
fn both_close_at_once() {
    let mut script = Script::established(Mode::Immediate);
    walk(
        &mut script,
        &[
            (s("FA", S, C), State::FinWait1),
            (c("F", C, 0), State::Closing),
            (s("A", S + 1, C + 1), State::TimeWait),
            (c("A", C + 1, S + 1), State::Closed),
        ],
    );
}

#[test]
fn four_ways_to_shake_hands() {
    let mut script = Script::mode(Mode::Immediate);
    walk(
        &mut script,
        &[
            (c("S", CLIENT, 0), State::SynSent),
            (s("S", SERVER, 0), State::SynSent),
            (c("SA", CLIENT, S), State::SynRecv),
            (s("A", S, C), State::Established),
            (c("PA", C, S).data(b"hello"), State::Established),
        ],
    );
    assert_eq!(script.to_server.raw, b"hello");
}

#[test]
fn fast_open_data_is_part_of_the_stream() {
    let mut script = Script::mode(Mode::Immediate);
    let cookie = [34, 6, 1, 2, 3, 4];
    let verdict = script.send(&c("S", CLIENT, 0).option(&cookie).data(b"GET "));
    assert!(verdict.in_stream);
    script.send(&s("SA", SERVER, C + 4));
    let verdict = script.send(&c("PA", C + 4, S).data(b"/ HTTP"));
    assert_eq!(verdict.state, State::Established);
    assert!(verdict.established);
    assert_eq!(script.to_server.raw, b"GET / HTTP");
}

#[test]
fn fast_open_data_the_server_ignored_comes_again() {
    let mut script = Script::mode(Mode::Immediate);
    script.send(&c("S", CLIENT, 0).option(&[34, 6, 1, 2, 3, 4]).data(b"GET "));
    let events = script.raises(&s("SA", SERVER, C));
    assert_eq!(events, [Event::HandshakeSynAckTfoDataIgnored]);
    script.send(&c("PA", C, S).data(b"GET /"));
    assert_eq!(script.state(), State::Established);
    assert_eq!(script.to_server.raw, b"GET /");
}

#[test]
fn data_of_a_plain_syn_is_not_part_of_the_stream() {
    let mut script = Script::mode(Mode::Immediate);
    let verdict = script.send(&c("S", CLIENT, 0).data(b"noise"));
    assert!(!verdict.in_stream);
    script.send(&s("SA", SERVER, C));
    script.send(&c("PA", C, S).data(b"hello"));
    assert_eq!(script.to_server.raw, b"hello");
}

#[test]
fn the_last_ack_is_not_established_but_with_data_it_is() {
    let mut script = Script::mode(Mode::Immediate);
    assert!(!script.send(&c("S", CLIENT, 0)).established);
    assert!(!script.send(&s("SA", SERVER, C)).established);
    assert!(!script.send(&c("A", C, S)).established);
    assert!(script.send(&c("PA", C, S).data(b"x")).established);

    let mut script = Script::mode(Mode::Immediate);
    script.send(&c("S", CLIENT, 0));
    script.send(&s("SA", SERVER, C));
    assert!(script.send(&c("PA", C, S).data(b"x")).established);
}

#[test]
fn the_queued_syn_ack_that_is_acknowledged_counts() {
    let mut script = Script::mode(Mode::Immediate);
    script.send(&c("S", CLIENT, 0));
    script.send(&s("SA", 7777, C));
    script.send(&s("SA", SERVER, C));
    script.send(&c("A", C, S));
    script.send(&s("PA", S, C).data(b"hello"));
    assert_eq!(script.to_client.raw, b"hello");
    assert!(script.events.is_empty(), "{:?}", script.events);
}

#[test]
fn midstream_is_picked_up_only_when_asked() {
    let first = c("PA", 500, 900).data(b"hel");
    let mut script = Script::mode(Mode::Immediate);
    let verdict = script.send(&first);
    assert!(script.slot.is_none() && !verdict.in_stream && !verdict.established);

    let mut script = Script::with(|config| config.midstream = true);
    assert!(script.send(&first).in_stream);
    assert!(script.send(&c("PA", 503, 900).data(b"lo")).established);
    script.send(&s("PA", 900, 505).data(b"hi"));
    assert_eq!((&script.to_server.raw[..], &script.to_client.raw[..]), (&b"hello"[..], &b"hi"[..]));
    assert_eq!(script.cx.counters().midstream_pickups, 1);
}

#[test]
fn a_syn_ack_that_begins_a_session_turns_it_round() {
    let mut script = Script::with(|config| config.midstream = true);
    let verdict = script.send(&c("SA", SERVER, C));
    assert!(verdict.swapped);
    assert_eq!(verdict.state, State::SynRecv);
    script.send(&c("A", C, S));
    script.send(&c("PA", C, S).data(b"hello"));
    assert_eq!((script.state(), &script.to_server.raw[..]), (State::Established, &b"hello"[..]));
}

#[test]
fn one_side_alone_is_followed() {
    for mode in [Mode::Immediate, Mode::Acked] {
        let mut script = Script::with(|config| {
            config.mode = mode;
            config.async_oneside = true;
        });
        script.send(&c("S", CLIENT, 0));
        script.send(&c("A", C, S));
        script.send(&c("PA", C, S).data(b"hello "));
        script.send(&c("PA", C + 6, S + 100).data(b"world"));
        assert_eq!(script.state(), State::Established);
        script.finish();
        assert_eq!(script.to_server.raw, b"hello world");
    }
}

#[test]
fn a_bad_checksum_does_nothing_to_the_stream() {
    let mut script = Script::established(Mode::Immediate);
    let verdict = script.send(&c("PA", C, S).data(b"forged").bad_checksum());
    assert!(!verdict.in_stream && verdict.invalid);
    assert!(script.send(&c("R", C, 0).bad_checksum()).invalid);
    script.send(&c("PA", C, S).data(b"true"));
    assert_eq!(script.to_server.raw, b"true");
    assert_eq!(script.cx.counters().invalid_checksum, 2);
}

#[test]
fn a_rst_must_fit_what_its_receiver_expects() {
    let policies = [
        (Policy::Windows, [true, false, false, false]),
        (Policy::Bsd, [true, false, false, false]),
        (Policy::Linux, [true, true, false, false]),
        (Policy::Solaris, [true, true, false, false]),
        (Policy::Hpux11, [true, true, true, false]),
    ];
    for (policy, believed) in policies {
        for (offset, expected) in [0_u32, 100, 60_000, -10_000_i32 as u32].into_iter().zip(believed)
        {
            let mut script = Script::with(|config| {
                config.hosts.insert([10, 0, 0, 2].into(), 32, policy);
            });
            script.handshake();
            script.send(&c("R", C.wrapping_add(offset), 0));
            let closed = script.state() == State::Closed;
            assert_eq!(closed, expected, "{policy:?} {offset}");
        }
    }
}

#[test]
fn windows_are_scaled() {
    let mut script = Script::mode(Mode::Immediate);
    script.send(&c("S", CLIENT, 0).option(&[3, 3, 7]));
    script.send(&s("SA", SERVER, C).option(&[3, 3, 7]));
    script.send(&c("A", C, S).window(1000));
    // 1000 << 7 bytes from the server are in the window, more are not.
    assert!(script.send(&s("PA", S + 127_000, C).data(b"x")).in_stream);
    let verdict = script.send(&s("PA", S + 128_000, C).data(b"x"));
    assert!(verdict.events.contains(Event::EstablishedPacketOutOfWindow));
    assert!(!verdict.in_stream);
}

#[test]
fn a_tuple_is_used_again_when_its_session_is_over() {
    let mut script = Script::established(Mode::Immediate);
    let again = c("S", 90_000, 0);
    let succeeds = |script: &Script| {
        again.with_packet(|packet| {
            script.slot.as_ref().unwrap().is_succeeded_by(&script.cx, packet, ToServer)
        })
    };
    assert!(!succeeds(&script));
    script.send(&c("R", C, 0));
    assert!(succeeds(&script));
    let same = c("S", CLIENT, 0);
    same.with_packet(|packet| {
        assert!(!script.slot.as_ref().unwrap().is_succeeded_by(&script.cx, packet, ToServer));
    });
}

#[test]
fn keep_alives_and_window_probes_change_nothing() {
    let mut script = Script::established(Mode::Immediate);
    script.send(&c("PA", C, S).data(b"abc"));
    script.send(&s("A", S, C + 3));
    let verdict = script.send(&c("A", C + 2, S).data(b"?"));
    assert!(!verdict.in_stream && verdict.events.is_empty());
    script.send(&s("A", S, C + 3));
    // The server has no room; the client tries with one byte, the server says no, then takes it.
    script.send(&s("A", S, C + 3).window(0));
    assert!(script.send(&c("A", C + 3, S).data(b"d")).in_stream);
    assert!(script.send(&s("A", S, C + 3).window(0)).events.is_empty());
    script.send(&s("A", S, C + 3).window(8192));
    script.send(&c("PA", C + 3, S).data(b"def"));
    assert_eq!(script.to_server.raw, b"abcdef");
    assert!(script.events.is_empty(), "{:?}", script.events);
}

#[test]
fn the_policies_for_urgent_data() {
    let cases = [
        (UrgentPolicy::OutOfBand, &b"GET /malicious"[..], 0),
        (UrgentPolicy::Inline, b"GET /malicXious", 0),
        (UrgentPolicy::Drop, b"GET /malicious", 1),
        (UrgentPolicy::Gap, b"GET /malicious", 1),
    ];
    for mode in [Mode::Immediate, Mode::Acked, Mode::Inline] {
        for (policy, expected, gaps) in cases {
            let mut script = Script::with(|config| {
                config.urgent = policy;
                config.mode = mode;
            });
            script.handshake();
            script.send(&c("PA", C, S).data(b"GET /malic"));
            let verdict = script.send(&c("PA", C + 10, S).data(b"X").urgent(1));
            assert_eq!(verdict.drop, policy == UrgentPolicy::Drop);
            script.send(&c("PA", C + 11, S).data(b"ious"));
            script.send(&s("A", S, C + 15));
            script.send(&c("A", C + 15, S));
            script.finish();
            assert_eq!(script.to_server.app, expected, "{policy:?} {mode:?}");
            assert_eq!(script.to_server.app_gaps, gaps, "{policy:?} {mode:?}");
            if mode != Mode::Inline {
                assert_eq!(script.to_server.raw, expected, "{policy:?} {mode:?}");
            }
        }
    }
}

#[test]
fn an_urgent_byte_within_a_segment_is_the_one_before_the_pointer() {
    let mut script = Script::established(Mode::Immediate);
    script.appetite = 3;
    let verdict = script.send(&c("PA", C, S).data(b"maliXcious").urgent(5));
    assert!(verdict.events.contains(Event::UrgentData));
    script.finish();
    assert_eq!(script.to_server.raw, b"malicious");
    assert_eq!(script.to_server.app, b"malicious");
}
