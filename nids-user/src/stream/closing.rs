//! The states behind the first FIN: half-closed, closing from both sides, closed.
//!
//! `FinWait1`, `FinWait2` and `TimeWait` follow the server's FIN, `CloseWait` and `LastAck` the client's;
//! `Closing` is a FIN that crossed another.

use super::event::Event;
use super::half::flag;
use super::segment::Segment;
use super::sequence as seq;
use super::session::{Session, fact};
use super::state::{State, Step, Turn};

impl Session {
    /// The server's FIN was seen.
    pub(super) fn fin_wait1(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        match self.shutdown_prelude(s, turn) {
            Some(step) => step,
            None if s.is_fin() => self.fin_wait1_fin(s, turn),
            None => self.fin_wait1_ack(s, turn),
        }
    }

    fn fin_wait1_fin(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        let acks_unseen = self.has(fact::ACKS_UNSEEN);
        let (sender, receiver) = self.halves(s);
        let mut again = sender.is_retransmission(s, turn.events);
        // The server's own FIN once more.
        again |= s.is_ack()
            && !s.to_server
            && s.seq == sender.next_seq.wrapping_sub(1)
            && s.ack == receiver.last_ack;
        if !again && sender.fin_misses(s, sender.next_seq.wrapping_sub(1), acks_unseen) {
            return turn.invalid(Event::Fin1FinWrongSeq);
        }
        if !self.valid_ack(s, turn) {
            return turn.invalid(Event::Fin1InvalidAck);
        }
        if !again {
            self.enter(if s.is_ack() { State::TimeWait } else { State::Closing });
            self.halves(s).1.set_window(s);
        }
        self.keep_timestamp(s, turn);
        if again && s.is_ack() && !s.to_server {
            return Step::Accept;
        }
        let (sender, receiver) = self.halves(s);
        if s.is_ack() {
            receiver.saw_up_to(s.ack);
            receiver.acknowledge(s.ack);
            receiver.advance_next_win();
        }
        let counted = u32::from(!(s.is_ack() && s.to_server));
        if s.seq == sender.next_seq.wrapping_sub(counted) {
            self.advance_next_seq(s, s.end());
        }
        Step::Accept
    }

    fn fin_wait1_ack(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        let again = self.halves(s).0.is_retransmission(s, turn.events);
        if !self.valid_ack(s, turn) {
            return turn.invalid(Event::Fin1InvalidAck);
        }
        let unknown = self.windows_unknown();
        let (sender, receiver) = self.halves(s);
        let of_older = s.to_server && s.ack != receiver.next_seq;
        if !again && !of_older {
            if !unknown && seq::gt(s.end(), sender.next_win) {
                return turn.invalid(Event::Fin1AckWrongSeq);
            }
            receiver.set_window(s);
            let counted = u32::from(!s.to_server);
            if s.seq == sender.next_seq.wrapping_sub(counted) {
                self.enter(State::FinWait2);
            }
        }
        self.keep_timestamp(s, turn);
        self.halves(s).1.saw_up_to(s.ack);
        let next = self.halves(s).0.next_seq.wrapping_sub(u32::from(!s.to_server));
        if s.seq == next {
            self.advance_next_seq(s, s.end());
        }
        self.take_ack(s);
        Step::Accept
    }

    /// The server's FIN was acknowledged.
    pub(super) fn fin_wait2(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        if let Some(step) = self.shutdown_prelude(s, turn) {
            return step;
        }
        let acks_unseen = self.has(fact::ACKS_UNSEEN);
        let (sender, receiver) = self.halves(s);
        let fin_again =
            s.is_fin() && s.seq == sender.next_seq.wrapping_sub(1) && s.ack == receiver.last_ack;
        let again = fin_again || sender.is_retransmission(s, turn.events);
        if s.is_fin() && !again && sender.fin_misses(s, sender.next_seq, acks_unseen) {
            return turn.invalid(Event::Fin2FinWrongSeq);
        }
        if !self.valid_ack(s, turn) {
            return turn.invalid(Event::Fin2InvalidAck);
        }
        let unknown = self.windows_unknown();
        let (sender, receiver) = self.halves(s);
        if !again {
            if !s.is_fin() && !unknown && seq::gt(s.end(), sender.next_win) {
                return turn.invalid(Event::Fin2AckWrongSeq);
            }
            receiver.set_window(s);
            if s.is_fin() {
                self.enter(State::TimeWait);
            }
        }
        self.keep_timestamp(s, turn);
        if s.seq == self.halves(s).0.next_seq && (s.to_server || !s.is_fin()) {
            self.advance_next_seq(s, s.end());
        }
        if s.is_fin() {
            self.take_late_ack(s);
        } else {
            self.take_ack(s);
        }
        Step::Accept
    }

    /// Two FINs crossed.
    pub(super) fn closing(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        match self.shutdown_prelude(s, turn) {
            Some(step) => return step,
            None if !s.is_ack() => return Step::Ignore,
            None => {}
        }
        let sender = self.halves(s).0;
        let again = sender.is_retransmission(s, turn.events);
        if s.seq != sender.next_seq {
            return turn.invalid(Event::ClosingAckWrongSeq);
        }
        if !self.valid_ack(s, turn) {
            return turn.invalid(Event::ClosingInvalidAck);
        }
        if !again {
            self.enter(State::TimeWait);
            self.halves(s).1.set_window(s);
        }
        self.keep_timestamp(s, turn);
        self.take_late_ack(s);
        Step::Accept
    }

    /// The client's FIN was seen; the server may go on sending.
    pub(super) fn close_wait(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        if let Some(step) = self.shutdown_prelude(s, turn) {
            return step;
        }
        let acks_unseen = self.has(fact::ACKS_UNSEEN);
        let sender = self.halves(s).0;
        let again = sender.is_retransmission(s, turn.events);
        let edge = sender.last_ack.wrapping_add(sender.window);
        if s.is_fin() {
            if !again && sender.fin_misses(s, sender.next_seq, acks_unseen) {
                return turn.invalid(Event::CloseWaitFinOutOfWindow);
            }
        } else if s.len > 0 && seq::le(s.end(), sender.last_ack) {
            return turn.invalid(Event::CloseWaitPacketBeforeLastAck);
        } else if seq::gt(s.seq, edge) && !acks_unseen {
            return turn.invalid(Event::CloseWaitAckOutOfWindow);
        }
        if !self.valid_ack(s, turn) {
            return turn.invalid(Event::CloseWaitInvalidAck);
        }
        if !again {
            if s.is_fin() && !s.to_server {
                self.enter(State::LastAck);
            }
            self.halves(s).1.set_window(s);
        }
        self.keep_timestamp(s, turn);
        let next = self.halves(s).0.next_seq;
        if !s.is_fin() && s.seq == next {
            self.advance_next_seq(s, s.end());
        }
        self.take_late_ack(s);
        Step::Accept
    }

    /// The client's FIN, then the server's: the client's acknowledgment closes.
    pub(super) fn last_ack(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        if s.is_fin() && !s.is_rst() {
            return Step::Ignore;
        }
        match self.shutdown_prelude(s, turn) {
            Some(step) => return step,
            None if !s.to_server => return Step::Ignore,
            None => {}
        }
        let again = self.halves(s).0.is_retransmission(s, turn.events);
        if !self.valid_ack(s, turn) {
            return turn.invalid(Event::LastAckInvalidAck);
        }
        let (sender, receiver) = self.halves(s);
        if !again {
            let next = sender.next_seq;
            if seq::ge(s.seq, next) {
                if s.seq != next && s.seq != next.wrapping_add(1) {
                    return turn.invalid(Event::LastAckWrongSeq);
                }
                receiver.set_window(s);
                self.enter(State::Closed);
            } else {
                receiver.set_window(s);
            }
        }
        self.keep_timestamp(s, turn);
        self.take_late_ack(s);
        Step::Accept
    }

    /// Both FINs were seen; the last acknowledgment closes.
    pub(super) fn time_wait(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        if s.is_fin() && !s.is_rst() {
            return Step::Ignore;
        }
        if let Some(step) = self.shutdown_prelude(s, turn) {
            return step;
        }
        let sender = self.halves(s).0;
        let again = sender.is_retransmission(s, turn.events);
        // The server's number counts its FIN, the client's does not.
        let lower = sender.next_seq.wrapping_sub(u32::from(!s.to_server));
        if !again && s.seq != lower && s.seq != lower.wrapping_add(1) {
            return if !s.to_server && s.len > 0 && s.seq == sender.last_ack {
                Step::Ignore
            } else {
                turn.invalid(Event::TimeWaitAckWrongSeq)
            };
        }
        if !self.valid_ack(s, turn) {
            return turn.invalid(Event::TimeWaitInvalidAck);
        }
        if !again {
            self.enter(State::Closed);
            self.halves(s).1.set_window(s);
        }
        self.keep_timestamp(s, turn);
        self.take_late_ack(s);
        Step::Accept
    }

    /// Over. Where it was a RST that ended it, and the side that got it goes on, the session does too.
    pub(super) fn closed(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        if s.is_rst() {
            return Step::Ignore;
        }
        let (sender, receiver) = self.halves(s);
        let go_on = !sender.has(flag::RST_RECEIVED) && receiver.has(flag::RST_RECEIVED);
        if !go_on || self.previous_state == State::Closed {
            return Step::Ignore;
        }
        let step = self.dispatch(self.previous_state, s, turn);
        if step != Step::Invalid && self.state == State::Closed {
            self.state = self.previous_state;
        }
        step
    }

    /// What all states here have in common: RST, SYN, segments without ACK, timestamps. `None`: it is
    /// for the state to judge.
    fn shutdown_prelude(&mut self, s: &Segment, turn: &mut Turn) -> Option<Step> {
        if s.is_rst() {
            Some(self.rst(s, turn))
        } else if s.is_syn() && !s.is_fin() {
            Some(turn.invalid(Event::ShutdownSynResend))
        } else if !s.is_ack() && !s.is_fin() {
            Some(Step::Ignore)
        } else if !self.timestamp_ok(s, turn) {
            Some(Step::Invalid)
        } else {
            None
        }
    }

    /// The acknowledgment and the window of a segment of which the sender still gets data.
    fn take_ack(&mut self, s: &Segment) {
        let receiver = self.halves(s).1;
        receiver.acknowledge(s.ack);
        receiver.note_sack(s);
        receiver.advance_next_win();
    }

    /// An acknowledgment may show that data was missed.
    fn take_late_ack(&mut self, s: &Segment) {
        if s.is_ack() {
            let receiver = self.halves(s).1;
            if seq::lt(receiver.next_seq, s.ack) {
                receiver.next_seq = s.ack;
            }
            receiver.acknowledge(s.ack);
            // Half-closed, a host may go on for longer than its window (Suricata refuses that).
            receiver.note_sack(s);
            receiver.advance_next_win();
        }
    }

    /// Whether the session ended by a RST.
    pub fn closed_by_rst(&self) -> bool {
        self.has(fact::CLOSED_BY_RST)
    }
}

impl super::half::Half {
    /// Whether a FIN lies outside of `from` to the window's end, where that is known.
    fn fin_misses(&self, s: &Segment, from: u32, acks_unseen: bool) -> bool {
        let edge = self.last_ack.wrapping_add(self.window);
        seq::lt(s.seq, from) || !acks_unseen && seq::gt(s.seq, edge)
    }

    /// The receiver has acknowledged up to `ack`, so the sender has sent that much, seen or not.
    pub(super) fn saw_up_to(&mut self, ack: u32) {
        if seq::lt(self.next_seq, ack) {
            self.next_seq = ack;
        }
    }
}
