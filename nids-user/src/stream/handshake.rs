//! The states before a session is established, and those that pick one up on its way.
//!
//! Three-way, four-way (both sides send a SYN, RFC 9293, 3.5), fast open (RFC 7413), one side only, and
//! no handshake at all. Several SYNs and SYN/ACKs may compete; the final acknowledgment tells which one
//! the hosts believed (Suricata's `stream.max-synack-queued`).

use super::event::Event;
use super::half::flag;
use super::policy::Policy;
use super::segment::Segment;
use super::sequence as seq;
use super::session::{Session, fact};
use super::state::{State, Step, Turn};

/// The largest window shift (RFC 7323, 2.3); assumed where a handshake was not seen.
const MAX_WINDOW_SCALE: u8 = 14;

/// A SYN or SYN/ACK that competes with others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Queued {
    seq: u32,
    ack: u32,
    window: u16,
    sack_permitted: bool,
    window_scale: Option<u8>,
    timestamp: Option<u32>,
    time: u32,
}

impl Queued {
    fn new(s: &Segment) -> Self {
        Self {
            seq: s.seq,
            ack: s.ack,
            window: s.window,
            sack_permitted: s.options.sack_permitted,
            window_scale: s.options.window_scale,
            timestamp: s.timestamp(),
            time: s.time,
        }
    }

    fn same_but_time(&self, other: &Self) -> bool {
        Self { time: 0, ..*self } == Self { time: 0, ..*other }
    }
}

fn scale(s: &Segment, turn: &mut Turn) -> Option<u8> {
    let shift = s.options.window_scale?;
    if shift > MAX_WINDOW_SCALE {
        turn.events.raise(Event::WindowScaleTooLarge);
    }
    Some(shift.min(MAX_WINDOW_SCALE))
}

impl Session {
    /// The first segment of a session: None where it starts none (an event may say why). The flow's
    /// direction is taken as given, but for a SYN, which goes to the server, and a SYN/ACK, which does not.
    pub(super) fn begin(s: &Segment, turn: &mut Turn) -> Option<Self> {
        let midstream = turn.config.midstream;
        let mut session = Self::default();
        session.set(fact::ASYNC, turn.config.async_oneside);
        session.set(fact::ACKS_UNSEEN, turn.config.acks_unseen);
        if s.is_rst() {
            turn.events.raise(Event::RstWithoutSession);
            return None;
        } else if s.is_fin() {
            if !midstream || s.len == 0 {
                turn.events.raise(Event::FinWithoutSession);
                return None;
            }
            session.pick_up(s);
            let sender = session.halves(s).0;
            sender.next_seq = sender.next_seq.wrapping_add(1);
            session.enter(State::FinWait1);
        } else if s.is_syn_ack() {
            if !midstream && !turn.config.async_oneside {
                return None;
            }
            session.begin_with_syn_ack(s, turn);
        } else if s.is_syn() {
            session.begin_with_syn(s, turn);
        } else if s.is_ack() && midstream {
            session.pick_up(s);
            session.enter(State::Established);
        } else {
            return None;
        }
        Some(session)
    }

    fn begin_with_syn(&mut self, s: &Segment, turn: &mut Turn) {
        let s = &Segment { to_server: true, ..*s };
        self.enter(State::SynSent);
        self.client.start(s.seq);
        self.apply_syn(&Queued::new(s));
        if let Some(shift) = scale(s, turn) {
            self.server.window_scale = shift;
        }
        if s.options.fast_open {
            self.set(fact::FAST_OPEN, true);
            self.advance_next_seq(s, self.client.next_seq.wrapping_add(s.len));
        }
    }

    fn begin_with_syn_ack(&mut self, s: &Segment, turn: &mut Turn) {
        let s = &Segment { to_server: false, ..*s };
        self.enter(State::SynRecv);
        self.set(fact::MIDSTREAM, true);
        self.set(fact::MIDSTREAM_SYN_ACK, true);
        self.server.start(s.seq);
        self.server.window = u32::from(s.window);
        self.server.last_ack = s.seq;
        self.server.reset_next_win();
        self.client.start(s.ack.wrapping_sub(1));
        self.client.last_ack = s.ack;
        if let Some(shift) = scale(s, turn) {
            // The client must have offered it as well; how much is unknown.
            self.client.window_scale = shift;
            self.server.window_scale = MAX_WINDOW_SCALE;
        }
        self.adopt_timestamps(s);
    }

    /// A session without its handshake: windows are guessed wide.
    fn pick_up(&mut self, s: &Segment) {
        self.set(fact::MIDSTREAM, true);
        self.set(fact::MIDSTREAM_ESTABLISHED, true);
        self.assume_widest_windows();
        let (sender, receiver) = self.halves(s);
        sender.start(s.seq.wrapping_sub(1));
        sender.next_seq = s.end();
        sender.window = u32::from(s.window) << MAX_WINDOW_SCALE;
        sender.last_ack = s.seq;
        sender.reset_next_win();
        receiver.start(s.ack.wrapping_sub(1));
        receiver.last_ack = s.ack;
        receiver.next_win = s.ack;
        self.adopt_timestamps(s);
    }

    /// SYN seen.
    pub(super) fn syn_sent(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        if s.is_syn_ack() {
            return if s.to_server {
                self.four_way_syn_ack(s, turn)
            } else {
                self.syn_ack(s, turn)
            };
        }
        if !self.echo_matches(s) {
            return turn.invalid(Event::InvalidTimestamp);
        }
        if s.is_rst() {
            if !self.valid_rst(s, turn) {
                return Step::Invalid;
            }
            let own = s.seq == self.client.isn
                && s.window == 0
                && s.ack == self.client.isn.wrapping_add(1);
            if !s.to_server || own {
                self.halves(s).1.set(flag::RST_RECEIVED, true);
                self.close_by_rst();
                self.queue.clear();
            }
            Step::Ignore
        } else if s.is_fin() {
            Step::Ignore
        } else if s.is_syn() {
            if s.to_server {
                self.syn_again(s, turn)
            } else {
                self.crossing_syn(s, turn)
            }
            Step::Ignore
        } else if s.is_ack() && turn.config.async_oneside {
            self.one_sided_ack(s, turn)
        } else {
            Step::Ignore
        }
    }

    fn syn_ack(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        let after_syn = self.client.isn.wrapping_add(1);
        let fast_open = s.options.fast_open || self.has(fact::FAST_OPEN);
        if !fast_open {
            if s.ack != after_syn {
                return turn.invalid(Event::HandshakeSynAckWrongAck);
            }
        } else {
            if s.ack == after_syn && s.ack != self.client.next_seq {
                // The server did not take the SYN's data; it will come again.
                self.client.next_seq = self.client.isn.wrapping_add(1);
                self.set(fact::FAST_OPEN_IGNORED, true);
                turn.events.raise(Event::HandshakeSynAckTfoDataIgnored);
            } else if s.ack != self.client.next_seq {
                return turn.invalid(Event::HandshakeSynAckWrongAck);
            }
            // The flow is established for rules from here on; the session waits for the client.
            self.set(fact::FAST_OPEN, true);
            self.enter(State::Established);
        }
        if !self.echo_matches(s) {
            // It may echo an earlier SYN.
            let echo = s.options.timestamp.map(|(_, echo)| echo);
            let Some(syn) = self.queue.iter().find(|q| q.timestamp == echo).copied() else {
                return turn.invalid(Event::InvalidTimestamp);
            };
            self.apply_syn(&syn);
        }
        self.queue.clear();
        self.apply_syn_ack(&Queued::new(s));
        if let Some(shift) = scale(s, turn).filter(|_| self.has(fact::SERVER_WINDOW_SCALE)) {
            self.client.window_scale = shift;
        }
        Step::Ignore
    }

    /// Sets the session by a SYN of the client.
    fn apply_syn(&mut self, syn: &Queued) {
        if let Some(value) = syn.timestamp {
            self.client.last_timestamp = value;
            self.client.last_packet = syn.time;
            self.client.set(flag::TIMESTAMP, true);
            self.client.set(flag::ZERO_TIMESTAMP, value == 0);
        }
        self.server.window = u32::from(syn.window);
        self.set(fact::SERVER_WINDOW_SCALE, syn.window_scale.is_some());
        self.server.window_scale = syn.window_scale.unwrap_or(0).min(MAX_WINDOW_SCALE);
        self.set(fact::CLIENT_SACK, syn.sack_permitted);
    }

    /// Sets the session by a SYN/ACK of the server.
    fn apply_syn_ack(&mut self, syn_ack: &Queued) {
        self.enter(State::SynRecv);
        self.server.start(syn_ack.seq);
        self.client.window = u32::from(syn_ack.window);
        match syn_ack.timestamp.filter(|_| self.client.has(flag::TIMESTAMP)) {
            Some(value) => {
                self.server.last_timestamp = value;
                self.server.last_packet = syn_ack.time;
                self.server.set(flag::ZERO_TIMESTAMP, value == 0);
                self.set(fact::TIMESTAMP, true);
            }
            None => {
                self.client.last_timestamp = 0;
                self.server.last_timestamp = 0;
                self.client.set(flag::ZERO_TIMESTAMP, false);
            }
        }
        self.client.last_ack = syn_ack.ack;
        self.server.last_ack = self.server.isn.wrapping_add(1);
        let scaled = self.has(fact::SERVER_WINDOW_SCALE);
        let shift = syn_ack.window_scale.filter(|_| scaled);
        self.client.window_scale = shift.unwrap_or(0).min(MAX_WINDOW_SCALE);
        if shift.is_none() {
            self.server.window_scale = 0;
        }
        self.server.reset_next_win();
        self.client.reset_next_win();
        self.set(fact::FOUR_WAY, false);
    }

    /// A SYN/ACK of the client, after a SYN from each side.
    fn four_way_syn_ack(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        if !self.has(fact::FOUR_WAY) {
            return turn.invalid(Event::HandshakeSynAckInWrongDirection);
        }
        if s.ack != self.server.isn.wrapping_add(1) {
            return turn.invalid(Event::FourWaySynAckWrongAck);
        }
        if s.seq != self.client.isn {
            return turn.invalid(Event::FourWaySynAckWrongSyn);
        }
        self.enter(State::SynRecv);
        self.client.start(s.seq);
        self.server.window = u32::from(s.window);
        match s.timestamp().filter(|_| self.server.has(flag::TIMESTAMP)) {
            Some(value) => {
                self.client.last_timestamp = value;
                self.client.last_packet = s.time;
                self.client.set(flag::ZERO_TIMESTAMP, value == 0);
                self.set(fact::TIMESTAMP, true);
            }
            None => {
                self.client.last_timestamp = 0;
                self.server.last_timestamp = 0;
                self.server.set(flag::ZERO_TIMESTAMP, false);
            }
        }
        self.server.last_ack = s.ack;
        self.client.last_ack = self.client.isn.wrapping_add(1);
        let shift = scale(s, turn).filter(|_| self.has(fact::SERVER_WINDOW_SCALE));
        self.server.window_scale = shift.unwrap_or(0);
        if shift.is_none() {
            self.client.window_scale = 0;
        }
        self.client.reset_next_win();
        self.server.reset_next_win();
        Step::Ignore
    }

    /// A SYN of the server where a SYN/ACK was due: both sides open.
    fn crossing_syn(&mut self, s: &Segment, turn: &mut Turn) {
        self.set(fact::FOUR_WAY, true);
        self.server.start(s.seq);
        if let Some(value) = s.timestamp() {
            self.server.last_timestamp = value;
            self.server.last_packet = s.time;
            self.server.set(flag::ZERO_TIMESTAMP, value == 0);
            self.server.set(flag::TIMESTAMP, true);
        }
        // The server's window binds the client.
        self.client.window = u32::from(s.window);
        let shift = scale(s, turn);
        self.set(fact::SERVER_WINDOW_SCALE, shift.is_some());
        self.client.window_scale = shift.unwrap_or(0);
        self.set(fact::CLIENT_SACK, s.options.sack_permitted);
    }

    /// The client's SYN once more. The latest is taken to be the one that counts; the others are kept
    /// for the case that the server answers one of them.
    fn syn_again(&mut self, s: &Segment, turn: &mut Turn) {
        let syn = Queued::new(s);
        let known = Queued {
            seq: syn.seq,
            ack: syn.ack,
            window: u16::try_from(self.server.window).unwrap_or(u16::MAX),
            sack_permitted: self.has(fact::CLIENT_SACK),
            window_scale: self.has(fact::SERVER_WINDOW_SCALE).then_some(self.server.window_scale),
            timestamp: self.client.has(flag::TIMESTAMP).then_some(self.client.last_timestamp),
            time: self.client.last_packet,
        };
        if !known.same_but_time(&syn) && !self.queue.iter().any(|q| q.timestamp == known.timestamp)
        {
            if self.queue.len() >= usize::from(turn.config.max_syn_queued) {
                turn.events.raise(Event::HandshakeSynFlood);
            } else {
                self.queue.push(known);
            }
        }
        self.apply_syn(&syn);
    }

    /// Only the client is seen: its next segment comes without a SYN/ACK.
    fn one_sided_ack(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        if s.seq != self.client.next_seq {
            return turn.invalid(Event::HandshakeAsyncWrongSeq);
        }
        self.set(fact::ASYNC, true);
        self.enter(State::Established);
        self.queue.clear();
        self.client.window = u32::from(s.window);
        self.client.last_ack = s.seq;
        self.client.reset_next_win();
        self.server.start(s.ack.wrapping_sub(1));
        self.server.last_ack = self.server.next_seq;
        self.server.next_win = self.server.last_ack;
        if self.has(fact::SERVER_WINDOW_SCALE) {
            self.client.window_scale = MAX_WINDOW_SCALE;
        }
        if s.timestamp().is_some() && self.client.has(flag::TIMESTAMP) {
            self.set(fact::TIMESTAMP, true);
            self.client.set(flag::TIMESTAMP, false);
            self.client.last_packet = s.time;
        } else {
            self.client.last_timestamp = 0;
            self.client.set(flag::ZERO_TIMESTAMP, false);
        }
        Step::Accept
    }

    /// SYN/ACK seen.
    pub(super) fn syn_recv(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        if s.is_rst() {
            if !self.valid_rst(s, turn) {
                return Step::Invalid;
            }
            // These hosts did not believe the bad ACK before, so they do not believe its RST.
            let unmoved =
                matches!(self.target(s), Policy::Linux | Policy::OldLinux | Policy::Solaris);
            if !(self.has(fact::EVASION) && unmoved) {
                self.close_by_rst();
                self.keep_timestamp(s, turn);
            }
            Step::Ignore
        } else if s.is_fin() {
            if !self.timestamp_ok(s, turn) {
                return Step::Invalid;
            }
            self.fin(s, turn)
        } else if s.is_syn_ack() {
            self.syn_ack_again(s, turn)
        } else if s.is_syn() {
            if !s.to_server {
                turn.invalid(Event::HandshakeSynToClient)
            } else if s.seq != self.client.isn {
                turn.invalid(Event::HandshakeSynResendDifferentSeq)
            } else {
                Step::Ignore
            }
        } else if s.is_ack() {
            self.final_ack(s, turn)
        } else {
            Step::Ignore
        }
    }

    fn syn_ack_again(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        if s.to_server {
            return turn.invalid(Event::HandshakeSynAckToServer);
        }
        if s.ack != self.client.last_ack {
            return turn.invalid(Event::HandshakeSynAckResendDifferentAck);
        }
        if s.seq != self.server.isn {
            let syn_ack = Queued::new(s);
            if !self.queue.iter().any(|q| q.same_but_time(&syn_ack)) {
                if self.queue.len() >= usize::from(turn.config.max_synack_queued) {
                    return turn.invalid(Event::HandshakeSynAckFlood);
                }
                self.queue.push(syn_ack);
            }
        }
        Step::Ignore
    }

    /// The acknowledgment that ends the handshake, or what comes in its place.
    fn final_ack(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        let isn = s.ack.wrapping_sub(1);
        let believed = self.queue.iter().find(|q| q.seq == isn && q.ack == s.seq).copied();
        if let Some(syn_ack) = believed {
            self.apply_syn_ack(&syn_ack);
        }
        if !self.timestamp_ok(s, turn) {
            return Step::Invalid;
        }
        if self.has(fact::FOUR_WAY) && !s.to_server {
            return self.four_way_ack(s, turn);
        }
        let mut missed_ack = false;
        if !s.to_server && !self.has(fact::MIDSTREAM_SYN_ACK) && !self.has(fact::FAST_OPEN) {
            // The server goes on before the client's ACK was seen. A sensor in the path sees every
            // packet, so there it is forged; elsewhere the ACK may be lost.
            if turn.config.mode == super::Mode::Inline {
                let fits = s.ack == self.client.last_ack && s.seq == self.server.next_seq;
                return turn.invalid(if s.len > 0 && fits {
                    Event::HandshakeAckDataInject
                } else {
                    Event::HandshakeAckInWrongDirection
                });
            }
            missed_ack = true;
        }
        let midstream = self.has(fact::MIDSTREAM);
        if s.seq == self.client.next_seq && s.ack == self.server.next_seq {
            self.keep_timestamp(s, turn);
            self.server.acknowledge(s.ack);
            self.advance_next_seq(s, self.client.next_seq.wrapping_add(s.len));
            self.server.set_window(s);
            self.server.reset_next_win();
            if midstream {
                self.client.set_window(s);
                self.client.reset_next_win();
                if !self.has(fact::MIDSTREAM_SYN_ACK) {
                    self.assume_widest_windows();
                }
            }
            turn.established_now = s.len > 0;
        } else if turn.config.async_oneside && s.seq == self.server.next_seq {
            self.set(fact::ASYNC, true);
            self.server.next_seq = self.server.next_seq.wrapping_add(s.len);
            self.server.last_ack = s.seq;
            self.client.set_window(s);
            self.client.last_ack = s.ack;
            self.keep_timestamp(s, turn);
            if midstream {
                self.server.window = u32::from(s.window);
                self.server.reset_next_win();
                self.assume_widest_windows();
            }
        } else if self.has(fact::ACKS_UNSEEN) && self.is_behind_handshake(s) {
            // What was said before came without data, or out of order, or is not shown to us.
            self.keep_timestamp(s, turn);
            self.advance_next_seq(s, s.end());
            let receiver = self.halves(s).1;
            receiver.acknowledge(s.ack);
            receiver.set_window(s);
            receiver.reset_next_win();
        } else if s.to_server && s.seq == self.client.next_seq {
            // Most hosts answer with a RST, some do not: what follows may still be the session.
            self.set(fact::EVASION, true);
            return turn.invalid(Event::HandshakeRightSeqWrongAck);
        } else if (missed_ack || (!s.to_server && midstream))
            && seq::ge(s.seq, self.server.next_seq)
            && seq::gt(s.ack, self.client.last_ack)
            && (self.windows_unknown() || seq::le(s.ack, self.client.next_win))
        {
            // More than the ACK was lost.
            self.keep_timestamp(s, turn);
            self.client.acknowledge(s.ack);
            self.server.next_seq = s.end();
            self.client.set_window(s);
            self.client.reset_next_win();
            self.server.reset_next_win();
        } else if seq::gt(s.seq, self.client.next_seq)
            && seq::le(s.seq, self.client.next_win)
            && s.ack == self.server.next_seq
        {
            self.keep_timestamp(s, turn);
            self.client.next_seq = s.end();
            self.server.acknowledge(s.ack);
            self.server.set_window(s);
            self.server.reset_next_win();
            if midstream {
                self.client.window = u32::from(s.window);
                self.assume_widest_windows();
            }
        } else if (missed_ack || self.has(fact::FAST_OPEN))
            && s.ack == self.client.last_ack
            && s.seq == self.server.next_seq
        {
            self.advance_next_seq(s, s.end());
            self.client.set_window(s);
            self.client.reset_next_win();
        } else {
            return turn.invalid(Event::HandshakeWrongSeqWrongAck);
        }
        // Where the ACK itself was not seen, it came before this.
        turn.established_now |= s.len > 0 && self.has(fact::ACKS_UNSEEN);
        self.enter(State::Established);
        self.queue.clear();
        Step::Accept
    }

    /// Whether neither number lies before what the handshake has left.
    fn is_behind_handshake(&mut self, s: &Segment) -> bool {
        let (sender, receiver) = self.halves(s);
        seq::ge(s.seq, sender.next_seq) && seq::ge(s.ack, receiver.last_ack)
    }

    fn four_way_ack(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        if s.seq != self.server.next_seq {
            return turn.invalid(Event::FourWayWrongSeq);
        }
        if !self.valid_ack(s, turn) {
            return turn.invalid(Event::FourWayInvalidAck);
        }
        self.keep_timestamp(s, turn);
        self.client.acknowledge(s.ack);
        self.advance_next_seq(s, self.server.next_seq.wrapping_add(s.len));
        self.client.set_window(s);
        self.client.reset_next_win();
        self.enter(State::Established);
        Step::Accept
    }

    fn assume_widest_windows(&mut self) {
        self.client.window_scale = MAX_WINDOW_SCALE;
        self.server.window_scale = MAX_WINDOW_SCALE;
    }

    /// Sets what the sender has sent. Where only one side is seen, this counts as acknowledged too:
    /// nobody else will tell.
    pub(super) fn advance_next_seq(&mut self, s: &Segment, next: u32) {
        let one_sided = self.one_sided();
        let sender = self.halves(s).0;
        sender.next_seq = next;
        if one_sided {
            sender.acknowledge(next);
        }
    }
}
