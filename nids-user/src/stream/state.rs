//! The states of a session and the way between them (RFC 9293, 3.3.2, seen from the middle).
//!
//! The transitions and the events that each anomaly raises are Suricata's (src/stream-tcp.c), since
//! rules on `stream-event` are written against them: they are looser than an end host's, because a
//! sensor may have missed packets. Each state takes a segment and answers with a [`Step`]; none of them
//! touches data. `handshake`, `established` and `closing` hold them.

use super::config::Config;
use super::event::{Event, Events};
use super::half::{Acks, Half, flag};
use super::policy::Policy;
use super::segment::Segment;
use super::sequence as seq;
use super::session::{Session, fact};

/// Where a session stands. The order is Suricata's, and it matters: states behind `TimeWait` flush what
/// waits for inspection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// No session: nothing that may start one was seen.
    #[default]
    None,
    /// The client's SYN.
    SynSent,
    /// The server's SYN/ACK.
    SynRecv,
    /// Handshake done, or picked up on the way.
    Established,
    /// The server's FIN.
    FinWait1,
    /// The server's FIN, acknowledged.
    FinWait2,
    /// Both FINs, the second one not acknowledged.
    TimeWait,
    /// The client's FIN, then the server's.
    LastAck,
    /// The client's FIN.
    CloseWait,
    /// Both FINs, neither acknowledged.
    Closing,
    /// Over.
    Closed,
}

impl State {
    /// The name in EVE's `tcp.state`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SynSent => "syn_sent",
            Self::SynRecv => "syn_recv",
            Self::Established => "established",
            Self::FinWait1 => "fin_wait1",
            Self::FinWait2 => "fin_wait2",
            Self::TimeWait => "time_wait",
            Self::LastAck => "last_ack",
            Self::CloseWait => "close_wait",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }

    /// Whether the session is up, in whole or in half.
    fn is_established(self) -> bool {
        use State::{CloseWait, Closing, Established, FinWait1, FinWait2};
        matches!(self, Established | FinWait1 | FinWait2 | CloseWait | Closing)
    }
}

/// What a state makes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Its data and its acknowledgment count.
    Accept,
    /// It is no fault, and there is nothing in it.
    Ignore,
    /// It does not belong here; an event says why, in most cases.
    Invalid,
}

/// What the states need beside the session.
pub(super) struct Turn<'a> {
    pub config: &'a Config,
    pub events: &'a mut Events,
    /// The data is a window probe: it is taken, but does not count as sent.
    pub probe: bool,
    /// The handshake's last segment has data, so the packet counts as established already.
    pub established_now: bool,
    /// The packet acknowledges data nobody saw.
    pub ack_unseen: bool,
}

impl Turn<'_> {
    pub(super) fn invalid(&mut self, event: Event) -> Step {
        self.events.raise(event);
        Step::Invalid
    }
}

impl Session {
    /// The segment's way through the state `state`.
    pub(super) fn dispatch(&mut self, state: State, s: &Segment, turn: &mut Turn) -> Step {
        match state {
            State::None => Step::Ignore,
            State::SynSent => self.syn_sent(s, turn),
            State::SynRecv => self.syn_recv(s, turn),
            State::Established => self.established(s, turn),
            State::FinWait1 => self.fin_wait1(s, turn),
            State::FinWait2 => self.fin_wait2(s, turn),
            State::TimeWait => self.time_wait(s, turn),
            State::LastAck => self.last_ack(s, turn),
            State::CloseWait => self.close_wait(s, turn),
            State::Closing => self.closing(s, turn),
            State::Closed => self.closed(s, turn),
        }
    }

    pub(super) fn enter(&mut self, state: State) {
        if state == self.state {
            return;
        }
        self.previous_state = self.state;
        self.state = state;
        // It stays so: the last of the data may be inspected when both sides have closed.
        if state.is_established() {
            self.set(fact::FLOW_ESTABLISHED, true);
        }
    }

    /// The direction the segment belongs to, and the one it acknowledges.
    pub(super) fn halves(&mut self, s: &Segment) -> (&mut Half, &mut Half) {
        if s.to_server {
            (&mut self.client, &mut self.server)
        } else {
            (&mut self.server, &mut self.client)
        }
    }

    /// How the host that gets the segment reads it.
    pub(super) fn target(&self, s: &Segment) -> Policy {
        if s.to_server { self.server_policy } else { self.client_policy }
    }

    pub(super) fn one_sided(&self) -> bool {
        self.has(fact::ASYNC)
    }

    /// Whether windows are only guessed, or may have moved on.
    pub(super) fn windows_unknown(&self) -> bool {
        self.has(fact::MIDSTREAM) || self.has(fact::ASYNC) || self.has(fact::ACKS_UNSEEN)
    }

    /// Checks the acknowledgment; `InvalidAck` is raised where it is none, the caller adds its own.
    pub(super) fn valid_ack(&mut self, s: &Segment, turn: &mut Turn) -> bool {
        let acks = if self.has(fact::ACKS_UNSEEN) {
            Acks::Lagging
        } else if self.one_sided() {
            Acks::OneSided
        } else {
            Acks::Seen
        };
        let syn_sent = self.state == State::SynSent && !s.to_server;
        self.halves(s).1.ack_is_valid(s, acks, syn_sent, turn.events)
    }

    /// Whether a RST is one that its receiver believes, by where the receiver's kind of host wants its
    /// sequence number (RFC 9293, 3.5.3, and what hosts made of it).
    pub(super) fn valid_rst(&mut self, s: &Segment, turn: &mut Turn) -> bool {
        if self.has(fact::TIMESTAMP) && !self.valid_timestamp(s, turn) {
            return false;
        }
        if s.len > 0 {
            turn.events.raise(Event::RstWithData);
        }
        if s.is_ack() && s.ack != 0 && !self.valid_ack(s, turn) {
            turn.events.raise(Event::RstInvalidAck);
            return false;
        }
        let (one_sided, target) = (self.one_sided(), self.target(s));
        let unseen = self.has(fact::ACKS_UNSEEN);
        let (sender, receiver) = self.halves(s);
        // Nobody here can check the signature: watch whether its sender goes on all the same.
        if s.options.signed {
            receiver.set(flag::RST_RECEIVED, true);
        }
        if one_sided {
            return seq::ge(s.seq, sender.next_seq);
        }
        // What its sender has sent before may not be shown to us. Should it go on, so does the session.
        if unseen && sender.data.right == 0 && seq::gt(s.seq, sender.next_seq) {
            receiver.set(flag::RST_RECEIVED, true);
            return true;
        }
        match target {
            Policy::Hpux11 => seq::ge(s.seq, sender.next_seq),
            Policy::Linux | Policy::OldLinux | Policy::Solaris => {
                seq::ge(s.end(), sender.last_ack)
                    && seq::lt(s.seq, sender.next_seq.wrapping_add(sender.window))
            }
            _ => s.seq == sender.next_seq,
        }
    }

    pub(super) fn close_by_rst(&mut self) {
        self.set(fact::CLOSED_BY_RST, true);
        self.enter(State::Closed);
    }

    /// A RST in a state behind the handshake. `Accept`: data up to it counts as taken.
    pub(super) fn rst(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        if !self.valid_rst(s, turn) {
            return Step::Invalid;
        }
        let in_established = self.state == State::Established;
        self.close_by_rst();
        let ack_counts = s.is_ack() && self.valid_ack(s, turn);
        let (sender, receiver) = self.halves(s);
        if in_established {
            receiver.next_seq = s.ack;
            // The server's next number counts one for the end of its stream, the client's does not.
            sender.next_seq = s.end().wrapping_add(u32::from(!s.to_server));
            receiver.set_window(s);
        }
        if ack_counts {
            receiver.acknowledge(s.ack);
        }
        sender.acknowledge(s.seq);
        if self.has(fact::TIMESTAMP) {
            self.take_timestamp(s, turn);
        }
        Step::Accept
    }

    /// Checks the timestamp where the session has them.
    pub(super) fn timestamp_ok(&mut self, s: &Segment, turn: &mut Turn) -> bool {
        !self.has(fact::TIMESTAMP) || self.valid_timestamp(s, turn)
    }

    /// Keeps the timestamp where the session has them.
    pub(super) fn keep_timestamp(&mut self, s: &Segment, turn: &mut Turn) {
        if self.has(fact::TIMESTAMP) {
            self.take_timestamp(s, turn);
        }
    }
}
