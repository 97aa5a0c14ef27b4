//! Sessions of honest hosts, with and without the segments that the kernel half keeps back.

use proptest::prelude::*;

use super::script::{Line, Script, c, s};
use crate::decode::Tcp;
use crate::flow::FlowDirection::{self, ToClient, ToServer};
use crate::stream::{Event, Mode, State};

/// What a host does next. The first number picks the host.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Sends so many bytes, as far as the other's window goes.
    Data(usize),
    /// Acknowledges, with a window of at most so many bytes.
    Ack(u32),
    /// Sends up to so many of its last bytes again.
    Again(usize),
    /// Asks whether the other is there, with a byte of garbage or without.
    KeepAlive(bool),
    /// The last two segments of one direction came in the other order.
    Swap,
    /// Time passes, in milliseconds.
    Wait(u32),
    /// Says that it will send no more, with its last bytes or without.
    Fin(usize),
}

fn step() -> impl Strategy<Value = (bool, Step)> {
    let step = prop_oneof![
        12 => (1_usize..1500).prop_map(Step::Data),
        1 => Just(Step::Data(1)),
        10 => prop_oneof![Just(0), 0_u32..4000, 0_u32..100_000].prop_map(Step::Ack),
        2 => (1_usize..2000).prop_map(Step::Again),
        1 => any::<bool>().prop_map(Step::KeepAlive),
        2 => Just(Step::Swap),
        2 => prop_oneof![0_u32..1000, Just(2_000_000_000)].prop_map(Step::Wait),
        1 => prop_oneof![Just(0), 1_usize..1000].prop_map(Step::Fin),
    ];
    (any::<bool>(), step)
}

#[derive(Clone, Debug)]
struct Plan {
    isn: [u32; 2],
    scale: Option<u8>,
    timestamps: bool,
    /// The client's last segment of the handshake is one without data.
    third: bool,
    steps: Vec<(bool, Step)>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let isn = || prop_oneof![any::<u32>(), (0_u32..20_000).prop_map(|n| u32::MAX - n)];
    let steps = prop::collection::vec(step(), 1..120);
    ([isn(), isn()], prop::option::of(0_u8..8), any::<bool>(), any::<bool>(), steps).prop_map(
        |(isn, scale, timestamps, third, steps)| Plan { isn, scale, timestamps, third, steps },
    )
}

/// A host: what it has sent, and what it allows the other to.
#[derive(Default)]
struct Host {
    isn: u32,
    sent: Vec<u8>,
    /// Bytes of its stream that the other allows.
    allowed: usize,
    /// Has sent FIN.
    ended: bool,
    /// Its other has acknowledged so much.
    acked: usize,
}

impl Host {
    fn number(&self, offset: usize) -> u32 {
        self.isn.wrapping_add(1).wrapping_add(offset as u32)
    }
    fn next(&self) -> u32 {
        self.number(self.sent.len() + usize::from(self.ended))
    }
}

/// The wire between two hosts that keep to the rules and lose nothing.
struct Wire {
    hosts: [Host; 2],
    scale: u8,
    timestamps: bool,
    clock: u64,
    lines: Vec<Line>,
}

impl Wire {
    /// The segment `flags` of host `from`, with `payload` from `offset` of its stream on.
    fn line(&mut self, from: usize, flags: &str, seq: u32, payload: &[u8], window: u32) {
        let to = 1 - from;
        let ack = self.hosts[to].next();
        let held = self.hosts[to].sent.len();
        // Nobody takes back what it has allowed.
        let least = self.hosts[to].allowed.saturating_sub(held) as u32;
        let units = window.max(least).div_ceil(1 << self.scale).min(65_535);
        self.hosts[to].allowed =
            self.hosts[to].allowed.max(held + ((units as usize) << self.scale));
        self.hosts[to].acked = held;
        let make = if from == 0 { c } else { s };
        let line = make(flags, seq, ack).data(payload).window(units as u16);
        self.push(line);
    }

    fn push(&mut self, mut line: Line) {
        self.clock += 1;
        line = line.at(100 + self.clock / 1000);
        if self.timestamps {
            let value = self.clock as u32;
            let echo = if line.flags & (Tcp::SYN | Tcp::ACK) == Tcp::SYN { 0 } else { value - 1 };
            line = line.option(&[1, 1]).timestamp(value, echo);
        }
        self.lines.push(line);
    }

    fn data(&mut self, from: usize, flags: &str, len: usize, window: u32) {
        let offset = self.hosts[from].sent.len();
        let bytes: Vec<u8> =
            (offset..offset + len).map(|n| (n * 31 + n / 251 + from) as u8).collect();
        let seq = self.hosts[from].number(offset);
        self.line(from, flags, seq, &bytes, window);
        self.hosts[from].sent.extend(bytes);
    }

    fn take(&mut self, from: usize, step: Step) {
        let host = &self.hosts[from];
        let held = host.sent.len();
        let room = host.allowed.saturating_sub(held);
        match step {
            Step::Data(len) if !host.ended && room > 0 => {
                self.data(from, "PA", len.min(room), 3000);
            }
            Step::Ack(window) => self.line(from, "A", host.next(), &[], window),
            Step::Again(len) if held > 0 => {
                let start = held - len.min(held);
                let bytes = host.sent[start..].to_vec();
                // Windows of segments that say nothing new are not heard.
                self.line(from, "PA", host.number(start), &bytes, 0);
            }
            // A host with something not acknowledged sends that instead.
            Step::KeepAlive(garbage) if held > 0 && host.acked == held && !host.ended => {
                let seq = host.number(held - 1);
                self.line(from, "A", seq, if garbage { b"\0" } else { b"" }, 0);
            }
            Step::Swap => {
                // Up to the handshake's end, order is kept.
                if let [.., a, b] = &mut self.lines[3..]
                    && a.direction == b.direction
                    && (a.flags | b.flags) & Tcp::FIN == 0
                    && a.seconds.abs_diff(b.seconds) < 100
                    // Else an ACK's timestamp makes what it has overtaken look old.
                    && (!self.timestamps || !(a.payload.is_empty() || b.payload.is_empty()))
                {
                    std::mem::swap(a, b);
                }
            }
            Step::Wait(time) => self.clock += u64::from(time),
            // A FIN takes room as well.
            Step::Fin(len) if !host.ended && room > 0 => {
                self.data(from, "FPA", len.min(room - 1), 3000);
                self.hosts[from].ended = true;
            }
            _ => {}
        }
    }
}

fn wire(plan: &Plan) -> Wire {
    let host = |isn| Host { isn, ..Host::default() };
    let mut wire = Wire {
        hosts: plan.isn.map(host),
        scale: 0,
        timestamps: plan.timestamps,
        clock: 1,
        lines: Vec::new(),
    };
    let option = |line: Line| match plan.scale {
        Some(shift) => line.option(&[1, 3, 3, shift]),
        None => line,
    };
    let [client, server] = plan.isn;
    wire.push(option(c("S", client, 0).window(2000)));
    wire.push(option(s("SA", server, client.wrapping_add(1)).window(3000)));
    wire.hosts[0].allowed = 3000;
    wire.hosts[1].allowed = 2000;
    wire.scale = plan.scale.unwrap_or(0);
    if plan.third {
        wire.take(0, Step::Ack(2000));
    } else {
        wire.data(0, "PA", 100, 2000);
    }
    for (server, step) in &plan.steps {
        wire.take(usize::from(*server), *step);
    }
    wire
}

/// Which of the segments come up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    All,
    /// `LEVEL_PAYLOAD` on both sides.
    Payload,
    /// `LEVEL_PAYLOAD` on this side, `LEVEL_CONTROL` on the other.
    Only(FlowDirection),
}

impl Level {
    fn forwards(self, line: &Line) -> bool {
        let data = match self {
            Self::All => return true,
            Self::Payload => true,
            Self::Only(side) => line.direction == side,
        };
        data && !line.payload.is_empty() || line.flags & (Tcp::SYN | Tcp::FIN | Tcp::RST) != 0
    }
}

/// What was seen at one segment with data: whether the session counts as up, and how far both
/// directions were shown.
type Seen = (FlowDirection, bool, usize, usize);

fn run(lines: &[Line], acks_unseen: bool, level: Level) -> (Script, Vec<Seen>) {
    let mut script = Script::with(|config| {
        config.mode = Mode::Immediate;
        config.acks_unseen = acks_unseen;
    });
    let mut seen = Vec::new();
    for line in lines.iter().filter(|line| level.forwards(line)) {
        let verdict = script.send(line);
        if !line.payload.is_empty() {
            let shown = (script.to_server.raw.len(), script.to_client.raw.len());
            seen.push((line.direction, verdict.established, shown.0, shown.1));
        }
    }
    script.finish();
    (script, seen)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    /// Nothing is shown less or later, and nothing is judged otherwise.
    #[test]
    fn segments_without_data_make_no_difference(plan in plan()) {
        let wire = wire(&plan);
        let mut runs = vec![
            ("all", run(&wire.lines, true, Level::All)),
            ("without bare ACKs", run(&wire.lines, true, Level::Payload)),
        ];
        // Else states and clocks are Suricata's, which refuse more: behind a FIN, and data that had no
        // bare ACK among it for 24 days.
        let long = plan.steps.iter().any(|(_, step)| matches!(step, Step::Wait(1_000_000..)));
        let ends = plan.steps.iter().any(|(_, step)| matches!(step, Step::Fin(_)));
        if !(ends || long && plan.timestamps) {
            runs.push(("all, and trusted", run(&wire.lines, false, Level::All)));
        }
        let sent = |host: usize| &wire.hosts[host].sent;
        for (name, (script, seen)) in &runs {
            prop_assert!(script.to_server.raw == *sent(0), "{name}: {:?}", script.events);
            prop_assert!(script.to_client.raw == *sent(1), "{name}: {:?}", script.events);
            prop_assert!(script.to_server.app == *sent(0), "{name}: {:?}", script.events);
            prop_assert!(script.to_client.app == *sent(1), "{name}: {:?}", script.events);
            prop_assert_eq!(seen, &runs[0].1.1, "{}", name);
        }
        // One side's data alone. A FIN with data comes up from both.
        for side in [ToServer, ToClient] {
            let (script, seen) = run(&wire.lines, true, Level::Only(side));
            let (shown, sent) = match side {
                ToServer => (&script.to_server, sent(0)),
                ToClient => (&script.to_client, sent(1)),
            };
            prop_assert!(shown.raw == *sent, "{side:?}: {:?}", script.events);
            let of_side = |seen: &[Seen]| -> Vec<(bool, usize)> {
                let own = seen.iter().filter(|seen| seen.0 == side);
                own.map(|seen| (seen.1, if side == ToServer { seen.2 } else { seen.3 })).collect()
            };
            prop_assert_eq!(of_side(&seen), of_side(&runs[0].1.1), "{:?}", side);
        }
    }
}

#[test]
fn trusted_windows_would_refuse_what_was_allowed() {
    let plan = Plan {
        isn: [7, 9],
        scale: None,
        timestamps: false,
        third: true,
        steps: (0..10).flat_map(|_| [(true, Step::Data(1400)), (false, Step::Ack(2000))]).collect(),
    };
    let wire = wire(&plan);
    let (script, _) = run(&wire.lines, false, Level::Payload);
    assert!(script.events.contains(Event::EstablishedPacketOutOfWindow));
    assert!(script.to_client.raw.len() < wire.hosts[1].sent.len());
}

#[test]
fn a_tuple_is_used_again_though_nobody_saw_the_last_ack() {
    let mut script = Script::with(|config| config.acks_unseen = true);
    for line in [
        c("S", 100, 0),
        s("SA", 500, 101),
        c("PA", 101, 501).data(b"x"),
        s("FA", 501, 102),
        c("FA", 102, 502),
    ] {
        script.send(&line);
    }
    assert_eq!(script.state(), State::TimeWait);
    c("S", 9000, 0).with_packet(|packet| {
        let session = script.slot.as_ref().unwrap();
        assert!(session.is_succeeded_by(&script.cx, packet, ToServer));
    });
}

#[test]
fn little_is_kept_of_what_nobody_acknowledges() {
    let mut script = Script::with(|config| config.acks_unseen = true);
    script.handshake();
    for n in 0..400 {
        script.send(
            &s("PA", super::script::SERVER + 1 + n * 1400, super::script::CLIENT + 1)
                .data(&[7; 1400]),
        );
    }
    assert_eq!(script.to_client.raw.len(), 560_000);
    assert!(script.cx.pool.in_use() <= 16, "{} blocks of 2 KiB", script.cx.pool.in_use());
}

#[test]
fn a_reset_behind_what_was_not_shown_ends_the_session_until_it_goes_on() {
    let mut script = Script::with(|config| config.acks_unseen = true);
    script.handshake();
    let (client, server) = (super::script::CLIENT + 1, super::script::SERVER + 1);
    script.send(&c("PA", client, server + 70_000).data(b"one"));
    script.send(&s("R", server + 90_000, 0));
    assert_eq!(script.state(), State::Closed);
    // Not so where its data is shown: then its number is known.
    script.send(&s("PA", server + 90_000, client + 3).data(b"still here"));
    assert!(script.events.contains(Event::SuspectedRstInjection));
    assert_eq!(script.state(), State::Established);
    script.send(&s("R", server + 99_000, 0));
    assert_eq!(script.state(), State::Established);
}
