//! A TCP session: two directions, a state, and what a packet does to them.
//!
//! [`StreamContext::segment`] is the way in. What Suricata checks before any state is asked
//! (StreamTcpPacket: keep-alives, window probes and updates, old acknowledgments, retransmissions of what
//! is long gone) is checked here, in its order.

use super::config::{Mode, UrgentPolicy};
use super::context::StreamContext;
use super::event::{Event, Events};
use super::half::{Half, flag};
use super::handshake::Queued;
use super::policy::Policy;
use super::reassembly::{Data, Means};
use super::segment::Segment;
use super::sequence as seq;
use super::state::{State, Step, Turn};
use crate::decode::{Packet, Tcp};
use crate::flow::FlowDirection;

/// Facts of a session, one bit each.
pub(super) mod fact {
    /// Picked up without its handshake.
    pub const MIDSTREAM: u16 = 1;
    /// Of these, while only one side has spoken.
    pub const MIDSTREAM_ESTABLISHED: u16 = 1 << 1;
    /// Of these, with the SYN/ACK.
    pub const MIDSTREAM_SYN_ACK: u16 = 1 << 2;
    /// Only one side is seen.
    pub const ASYNC: u16 = 1 << 3;
    /// Both sides use timestamps.
    pub const TIMESTAMP: u16 = 1 << 4;
    /// The SYN offered window scaling.
    pub const SERVER_WINDOW_SCALE: u16 = 1 << 5;
    /// The SYN permitted SACK.
    pub const CLIENT_SACK: u16 = 1 << 6;
    /// Both sides sent a SYN.
    pub const FOUR_WAY: u16 = 1 << 7;
    /// Fast open.
    pub const FAST_OPEN: u16 = 1 << 8;
    /// The server did not take the SYN's data.
    pub const FAST_OPEN_IGNORED: u16 = 1 << 9;
    /// The handshake had an ACK that some hosts answer with RST and some do not.
    pub const EVASION: u16 = 1 << 10;
    /// The server has spoken after the handshake.
    pub const CONFIRMED: u16 = 1 << 11;
    /// Ended by a RST.
    pub const CLOSED_BY_RST: u16 = 1 << 12;
    /// Rules on `flow:established` match.
    pub const FLOW_ESTABLISHED: u16 = 1 << 13;
    /// The packet at hand is none of the session's.
    pub const INVALID_PACKET: u16 = 1 << 14;
    /// Segments without data may be missing.
    pub const ACKS_UNSEEN: u16 = 1 << 15;
}

/// A TCP session. It lives with its flow; its memory is the worker's ([`StreamContext`]), so it must be
/// given back with [`StreamContext::close`].
#[derive(Debug, Default)]
pub struct Session {
    /// Who spoke first, and what it sends.
    pub(super) client: Half,
    pub(super) server: Half,
    /// SYNs or SYN/ACKs that compete.
    pub(super) queue: Vec<Queued>,
    facts: u16,
    pub(super) state: State,
    pub(super) previous_state: State,
    /// How the server, and how the client, reads what it gets.
    pub(super) server_policy: Policy,
    pub(super) client_policy: Policy,
}

/// Which directions have news for their application-layer parser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppNews {
    /// The client's data.
    pub to_server: bool,
    /// The server's data.
    pub to_client: bool,
}

impl From<AppNews> for [bool; 2] {
    fn from(news: AppNews) -> Self {
        [news.to_server, news.to_client]
    }
}

/// What a packet was to its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The session's state after the packet.
    pub state: State,
    /// Rules on `flow:established` match this packet: the session was up before it (or the packet brings
    /// data with the handshake's last acknowledgment).
    pub established: bool,
    /// The payload is part of the stream, so rules that inspect streams see it there, and need not see
    /// it in the packet. Never true without payload.
    pub in_stream: bool,
    /// The session's state does not allow the packet, or its checksum is bad.
    pub invalid: bool,
    /// The session began with a SYN or SYN/ACK that goes the other way than the flow has it: the flow's
    /// directions are to be swapped, and this very packet goes the other way already.
    pub swapped: bool,
    /// `stream.reassembly.urgent.policy` asks for the packet to be dropped.
    pub drop: bool,
    /// Where the next byte of its direction's stream was expected, from 0, modulo 2^32.
    pub sent_before: u32,
    /// What was odd.
    pub events: Events,
    /// Which parsers to run ([`Session::app`]).
    pub app: AppNews,
}

impl StreamContext {
    /// Takes a packet of a flow to the flow's session, which begins here where there is none yet and the
    /// packet starts one. Not TCP: nothing happens.
    ///
    /// Then show the data ([`Session::app`] as the verdict says, [`Session::raw`] for the packet's
    /// direction), and [`Session::settle`].
    pub fn segment(
        &mut self,
        slot: &mut Option<Box<Session>>,
        packet: &Packet,
        direction: FlowDirection,
        checksum_ok: bool,
    ) -> Verdict {
        let Some(tcp) = packet.tcp() else { return Verdict::default() };
        let mut verdict = Verdict::default();
        if let Some(session) = slot {
            verdict.state = session.state;
            verdict.established = session.has(fact::FLOW_ESTABLISHED);
            verdict.sent_before = session.sent(direction);
        }
        if !checksum_ok {
            // The host will not take it, so the stream must not: the classic insertion attack.
            self.counters.invalid_checksum += 1;
            verdict.invalid = true;
            if let Some(session) = slot {
                session.set(fact::INVALID_PACKET, true);
            }
            return verdict;
        }
        let mut segment = Segment::new(packet, tcp, direction);
        if !segment.is_ack() && segment.ack != 0 {
            verdict.events.raise(Event::BrokenAck);
        }
        if segment.is_urgent() && self.config.urgent == UrgentPolicy::Drop {
            verdict.drop = true;
            if let Some(session) = slot {
                session.set(fact::INVALID_PACKET, true);
            }
            return verdict;
        }
        let step = match slot {
            Some(session) => session.take(self, &segment, packet.payload, &mut verdict),
            None => self.begin(slot, &mut segment, packet, &mut verdict),
        };
        if step == Step::Invalid {
            verdict.invalid = true;
            self.counters.invalid += 1;
        }
        if let Some(session) = slot {
            verdict.state = session.state;
            session.set(fact::INVALID_PACKET, verdict.invalid);
        }
        if step == Step::Ignore
            && segment.len > 0
            && segment.is_plain()
            && matches!(verdict.state, State::None | State::SynSent | State::Closed)
        {
            // After a forged RST or SYN, this is all there is to be seen of a connection that goes on.
            verdict.events.raise(Event::UntrackedData);
            self.counters.untracked_data += 1;
        }
        verdict
    }

    fn begin(
        &mut self,
        slot: &mut Option<Box<Session>>,
        segment: &mut Segment,
        packet: &Packet,
        verdict: &mut Verdict,
    ) -> Step {
        let mut turn = Turn::new(&self.config, &mut verdict.events);
        let Some(mut session) = Session::begin(segment, &mut turn) else {
            return if verdict.events.is_empty() { Step::Ignore } else { Step::Invalid };
        };
        // Who sends the SYN is the client, who sends the SYN/ACK is not, whatever spoke first.
        if segment.is_syn() && segment.to_server == segment.is_ack() {
            verdict.swapped = true;
            segment.to_server = !segment.to_server;
        }
        if let Some(ip) = &packet.ip {
            let own = self.config.hosts.of(ip.source());
            let other = self.config.hosts.of(ip.destination());
            (session.client_policy, session.server_policy) =
                if segment.to_server { (own, other) } else { (other, own) };
        }
        session.halves(segment).0.tcp_flags = segment.flags;
        if !self.config.app_layer {
            session.client.data.stop_app();
            session.server.data.stop_app();
        }
        let midstream = session.has(fact::MIDSTREAM);
        let Some(session) = self.open(session) else { return Step::Ignore };
        self.counters.midstream_pickups += u64::from(midstream);
        let session = slot.insert(session);
        // A SYN's own data counts with fast open only.
        if !segment.is_syn() {
            session.reassemble(self, segment, packet.payload, segment.seq, verdict);
        } else if session.has(fact::FAST_OPEN) {
            let first = segment.seq.wrapping_add(1);
            session.reassemble(self, segment, packet.payload, first, verdict);
        }
        Step::Accept
    }
}

impl<'a> Turn<'a> {
    fn new(config: &'a super::Config, events: &'a mut Events) -> Self {
        Self { config, events, probe: false, established_now: false, ack_unseen: false }
    }
}

impl Session {
    pub(super) fn has(&self, fact: u16) -> bool {
        self.facts & fact != 0
    }

    pub(super) fn set(&mut self, fact: u16, on: bool) {
        if on { self.facts |= fact } else { self.facts &= !fact }
    }

    /// Where the session stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// TCP flags that `direction`'s sender has used: EVE's `tcp_flags_ts` and `tcp_flags_tc`.
    pub fn tcp_flags(&self, direction: FlowDirection) -> u8 {
        match direction {
            FlowDirection::ToServer => self.client.tcp_flags,
            FlowDirection::ToClient => self.server.tcp_flags,
        }
    }

    /// Sequence number of `direction`'s SYN: the byte at offset 0 of its stream has the next one.
    pub fn initial_sequence(&self, direction: FlowDirection) -> u32 {
        match direction {
            FlowDirection::ToServer => self.client.isn,
            FlowDirection::ToClient => self.server.isn,
        }
    }

    fn take(
        &mut self,
        cx: &mut StreamContext,
        s: &Segment,
        payload: &[u8],
        verdict: &mut Verdict,
    ) -> Step {
        self.halves(s).0.tcp_flags |= s.flags;
        if self.one_sided() && self.client.tcp_flags != 0 && self.server.tcp_flags != 0 {
            self.set(fact::ASYNC, false);
        }
        let mut turn = Turn::new(&cx.config, &mut verdict.events);
        let garbage = self.is_keep_alive(s) && seq::ge(s.seq, self.halves(s).0.last_ack);
        let step = if self.needs_no_state(s, &mut turn) {
            Step::Ignore
        } else {
            self.dispatch(self.state, s, &mut turn)
        };
        let (probe, ack_unseen, established) = (turn.probe, turn.ack_unseen, turn.established_now);
        self.halves(s).1.set(flag::PROBE, false);
        if probe {
            self.halves(s).0.set(flag::PROBE, true);
        }
        cx.counters.ack_unseen_data += u64::from(ack_unseen);
        verdict.established |= established;
        if garbage {
            // A keep-alive's byte may be anything; but the receiver may not have the one sent before.
            let mut means = Means {
                config: &cx.config,
                pool: &mut cx.pool,
                counters: &mut cx.counters,
                events: &mut verdict.events,
            };
            self.halves(s).0.data.compare(s.seq, payload, &mut means);
        }
        if step != Step::Accept && self.halves(s).0.data.holds(s.seq, payload) {
            // The same bytes once more: rules see them where they belong, and not in this packet too.
            verdict.in_stream = true;
        }
        if step == Step::Accept {
            self.reassemble(cx, s, payload, s.seq, verdict);
        }
        if step != Step::Invalid {
            self.check_after_rst(s, &mut verdict.events);
        }
        step
    }

    /// Segments that say nothing, or that are told apart before the state is asked.
    fn needs_no_state(&mut self, s: &Segment, turn: &mut Turn) -> bool {
        if self.is_keep_alive(s) {
            self.halves(s).0.set(flag::KEEP_ALIVE, true);
            return true;
        }
        let answer = self.is_keep_alive_answer(s);
        self.halves(s).0.set(flag::KEEP_ALIVE, false);
        if answer {
            self.halves(s).1.set(flag::KEEP_ALIVE, false);
            return true;
        }
        if self.is_probe_answer(s) {
            return true;
        }
        if !self.is_last_ack_of_shutdown(s) && !self.is_window_update(s) {
            if self.is_bad_window_update(s) {
                turn.events.raise(Event::BadWindowUpdate);
                return true;
            }
            if self.is_old_ack(s) {
                return true;
            }
        }
        self.is_long_gone(s, turn)
    }

    /// RFC 9293, 3.8.4: one before the next number, with no data or one byte of garbage. A garbage byte
    /// is never part of the stream.
    fn is_keep_alive(&mut self, s: &Segment) -> bool {
        let acks_unseen = self.has(fact::ACKS_UNSEEN);
        let (sender, receiver) = self.halves(s);
        s.len <= 1
            && s.is_plain()
            && (s.ack == receiver.last_ack || acks_unseen && seq::gt(s.ack, receiver.last_ack))
            && s.seq == sender.next_seq.wrapping_sub(1)
            // Else a bare ACK has overtaken this last byte.
            && (s.len == 0 || sender.data.is_known(s.seq))
    }

    fn is_keep_alive_answer(&mut self, s: &Segment) -> bool {
        let (sender, receiver) = self.halves(s);
        s.len == 0
            && s.is_plain()
            && s.window != 0
            && u32::from(s.window) << receiver.window_scale == receiver.window
            && receiver.has(flag::KEEP_ALIVE)
            && s.ack == receiver.last_ack
            && s.seq == sender.next_seq
    }

    /// The receiver of a window probe repeats that it has no room.
    fn is_probe_answer(&mut self, s: &Segment) -> bool {
        let up = self.state >= State::Established;
        let (sender, receiver) = self.halves(s);
        up && s.is_bare_ack()
            && receiver.has(flag::PROBE)
            && s.window == 0
            && receiver.window == 0
            && s.seq == sender.next_seq
            && s.ack == receiver.last_ack
    }

    fn is_last_ack_of_shutdown(&mut self, s: &Segment) -> bool {
        let shut = matches!(self.state, State::TimeWait | State::CloseWait | State::LastAck);
        let (sender, receiver) = self.halves(s);
        shut && s.flags == Tcp::ACK
            && s.len == 0
            && s.seq == sender.next_seq.wrapping_add(1)
            && s.ack == receiver.next_seq.wrapping_add(1)
    }

    fn is_window_update(&mut self, s: &Segment) -> bool {
        let up = self.state >= State::Established;
        let (sender, receiver) = self.halves(s);
        up && s.len == 0
            && s.is_plain()
            && s.window != 0
            && u32::from(s.window) << receiver.window_scale != receiver.window
            && s.ack == receiver.last_ack
            && s.seq == sender.next_seq
    }

    /// A forged segment that shrinks the window so far that the true ones fall out of it. After packet
    /// loss true segments look a bit like it, so some bytes are allowed (Suricata, bug 1238).
    fn is_bad_window_update(&mut self, s: &Segment) -> bool {
        let up = self.state >= State::Established && self.state != State::Closed;
        let up = up && !self.has(fact::ACKS_UNSEEN);
        let (sender, receiver) = self.halves(s);
        let window = u32::from(s.window) << receiver.window_scale;
        let shrinks = receiver.window.saturating_sub(window);
        let suspect = up
            && s.is_plain()
            && shrinks > s.len
            && seq::gt(s.ack, receiver.next_seq)
            && seq::gt(s.seq, sender.next_seq);
        let beyond = s.ack.wrapping_sub(receiver.last_ack);
        suspect && shrinks > beyond.saturating_add(if window > 1024 { 32 } else { 0 })
    }

    /// A newer acknowledgment was seen before.
    fn is_old_ack(&mut self, s: &Segment) -> bool {
        let up = self.state >= State::Established;
        let (sender, receiver) = self.halves(s);
        up && s.is_bare_ack()
            && s.seq == sender.next_seq
            && seq::lt(s.ack, receiver.last_ack)
            && receiver.sack_is_outdated(s)
    }

    /// Data that was acknowledged before. True: it lies before all that is kept.
    fn is_long_gone(&mut self, s: &Segment, turn: &mut Turn) -> bool {
        let sender = self.halves(s).0;
        if s.len == 0 {
            return false;
        }
        let gone = !sender.data.is_off() && seq::le(s.end(), sender.data.base_seq());
        if gone || seq::le(s.end(), sender.last_ack) {
            turn.events.raise(Event::SpuriousRetransmission);
        }
        gone && !s.is_syn()
    }

    /// The sender of a RST goes on: the RST was not its own.
    fn check_after_rst(&mut self, s: &Segment, events: &mut Events) {
        let receiver = self.halves(s).1;
        if !s.is_rst() && receiver.has(flag::RST_RECEIVED) {
            receiver.set(flag::RST_RECEIVED, false);
            self.set(fact::CLOSED_BY_RST, false);
            events.raise(Event::SuspectedRstInjection);
        }
    }

    /// Puts the data of an accepted segment in its place and says which parsers have news.
    fn reassemble(
        &mut self,
        cx: &mut StreamContext,
        s: &Segment,
        payload: &[u8],
        first: u32,
        verdict: &mut Verdict,
    ) {
        let policy = self.target(s);
        let sender = self.halves(s).0;
        if payload.is_empty() {
            sender.data.no_data();
        } else {
            let acked = sender.acked();
            let urgent = urgent_byte(s, cx.config.urgent, &mut verdict.events);
            let mut means = Means {
                config: &cx.config,
                pool: &mut cx.pool,
                counters: &mut cx.counters,
                events: &mut verdict.events,
            };
            let data = Data { seq: first, bytes: payload, urgent, policy };
            verdict.in_stream = sender.data.insert(&data, acked, &mut means);
        }

        verdict.app = self.app_news(s, cx.config.mode);
        let acked_mode = cx.config.mode == Mode::Acked;
        for (half, news) in
            [(&self.client, verdict.app.to_server), (&self.server, verdict.app.to_client)]
        {
            if news && half.data.has_gap_ahead(half.acked(), acked_mode) {
                verdict.events.raise(Event::Gap);
            }
        }
    }

    /// Acknowledgments make the other direction's data visible where inspection waits for them; the end
    /// of a direction shows its own.
    fn app_news(&self, s: &Segment, mode: Mode) -> AppNews {
        let own = mode != Mode::Acked
            || s.is_rst()
            || (s.is_fin() && self.state > State::TimeWait)
            || self.state == State::Closed;
        // In the other modes an acknowledgment may show that a hole will stay one.
        let other = mode != Mode::Acked
            || !(s.is_rst() || (s.is_fin() && self.state > State::TimeWait && !s.is_ack()));
        let (to_server, to_client) = if s.to_server { (own, other) } else { (other, own) };
        AppNews { to_server, to_client }
    }

    /// Whether the packet is the SYN of another session, whatever became of this one.
    pub fn is_begun_anew_by(&self, packet: &Packet) -> bool {
        packet.tcp().is_some_and(|tcp| {
            let flags = tcp.flags & (Tcp::SYN | Tcp::ACK | Tcp::RST | Tcp::FIN);
            flags == Tcp::SYN && tcp.seq != self.client.isn
        })
    }

    /// Whether a packet of the same addresses and ports begins a new session, so that the flow must end
    /// and another begin. Ask before [`StreamContext::segment`].
    pub fn is_succeeded_by(
        &self,
        cx: &StreamContext,
        packet: &Packet,
        direction: FlowDirection,
    ) -> bool {
        let Some(tcp) = packet.tcp().filter(|tcp| tcp.flags & (Tcp::RST | Tcp::FIN) == 0) else {
            return false;
        };
        // The acknowledgment that ends `TimeWait` may be one that nobody sees.
        let last = if self.has(fact::ACKS_UNSEEN) { State::TimeWait } else { State::LastAck };
        let over = self.state >= last || self.state == State::None;
        match tcp.flags & (Tcp::SYN | Tcp::ACK) {
            Tcp::SYN if direction == FlowDirection::ToServer => {
                self.has(fact::FAST_OPEN_IGNORED) || (over && tcp.seq != self.client.isn)
            }
            Tcp::SYN => over,
            flags if flags == Tcp::SYN | Tcp::ACK => {
                let begins = cx.config.midstream || cx.config.async_oneside;
                let again = direction == FlowDirection::ToClient && tcp.seq == self.server.isn;
                begins && over && !again
            }
            _ => false,
        }
    }

    /// Gives the memory back; what nobody has seen is counted.
    pub(super) fn release(&mut self, cx: &mut StreamContext) {
        for half in [&mut self.client, &mut self.server] {
            half.data.release(&mut cx.pool, &mut cx.counters);
        }
        self.queue = Vec::new();
    }
}

/// Index in the payload of the byte that is urgent. The pointer names the byte behind it (RFC 6093, 2.1
/// tells of the two readings; this is the one that hosts have).
fn urgent_byte(s: &Segment, policy: UrgentPolicy, events: &mut Events) -> Option<usize> {
    if !s.is_urgent() || s.len == 0 {
        return None;
    }
    events.raise(Event::UrgentData);
    let in_segment = u32::from(s.urgent) <= s.len;
    let index = usize::from(s.urgent).checked_sub(1).filter(|_| in_segment)?;
    (policy != UrgentPolicy::Inline).then_some(index)
}
