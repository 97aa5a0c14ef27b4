//! The established state, and the first FIN.

use super::event::Event;
use super::half::flag;
use super::segment::Segment;
use super::sequence as seq;
use super::session::{Session, fact};
use super::state::{State, Step, Turn};

impl Session {
    /// Handshake done.
    pub(super) fn established(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        if s.is_rst() {
            self.rst(s, turn)
        } else if s.is_fin() {
            if !self.timestamp_ok(s, turn) {
                return Step::Invalid;
            }
            self.fin(s, turn)
        } else if s.is_syn_ack() {
            self.late_syn_ack(s, turn)
        } else if s.is_syn() {
            turn.invalid(if !s.to_server {
                Event::EstablishedSynToClient
            } else if s.seq != self.client.isn {
                Event::EstablishedSynResendDifferentSeq
            } else {
                Event::EstablishedSynResend
            })
        } else if s.is_ack() {
            if !self.timestamp_ok(s, turn) {
                return Step::Invalid;
            }
            if !s.to_server {
                self.set(fact::CONFIRMED, true);
            }
            self.data(s, turn)
        } else {
            Step::Ignore
        }
    }

    /// The server may not have got the ACK of its SYN/ACK; after anything else of it, it has.
    fn late_syn_ack(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        if s.to_server {
            turn.invalid(Event::EstablishedSynAckToServer)
        } else if s.ack != self.client.last_ack {
            turn.invalid(Event::EstablishedSynAckResendDifferentAck)
        } else if s.seq != self.server.isn {
            turn.invalid(Event::EstablishedSynAckResendDifferentSeq)
        } else if self.has(fact::CONFIRMED) {
            turn.invalid(Event::EstablishedSynAckResend)
        } else {
            Step::Ignore
        }
    }

    fn data(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        let of_probe = {
            let receiver = self.halves(s).1;
            s.is_ack() && receiver.has(flag::PROBE) && s.ack == receiver.next_seq.wrapping_add(1)
        };
        if of_probe {
            turn.events.raise(Event::EstablishedAckOfProbe);
        } else if !self.valid_ack(s, turn) {
            return turn.invalid(Event::EstablishedInvalidAck);
        }
        if !s.to_server && self.has(fact::MIDSTREAM) && self.has(fact::MIDSTREAM_ESTABLISHED) {
            // The first word of the server after a pick-up: only now its numbers are known.
            self.server.window = u32::from(s.window) << self.server.window_scale;
            self.server.reset_next_win();
            self.set(fact::MIDSTREAM_ESTABLISHED, false);
        }
        if !self.is_where_data_may_be(s, turn) {
            return turn.invalid(Event::EstablishedPacketBeforeLastAck);
        }
        let (windows_unknown, one_sided) = (self.windows_unknown(), self.one_sided());
        let acks_unseen = self.has(fact::ACKS_UNSEEN);
        let sender = self.halves(s).0;
        if s.len == 1 && s.seq == sender.next_seq && sender.window == 0 && !acks_unseen {
            sender.set(flag::PROBE, true);
            turn.probe = true;
            return Step::Accept;
        }
        let next_win = sender.next_win;
        if !windows_unknown && seq::gt(s.end(), next_win) {
            return turn.invalid(Event::EstablishedPacketOutOfWindow);
        }
        if seq::ge(s.end(), sender.next_seq) {
            self.advance_next_seq(s, s.end());
        }
        let receiver = self.halves(s).1;
        receiver.set_window(s);
        receiver.acknowledge(s.ack);
        turn.ack_unseen =
            !one_sided && !acks_unseen && seq::gt(receiver.last_ack, receiver.next_seq);
        self.keep_timestamp(s, turn);
        let receiver = self.halves(s).1;
        receiver.note_sack(s);
        receiver.advance_next_win();
        Step::Accept
    }

    /// Whether the segment is not wholly before what the receiver has acknowledged; keep-alives are,
    /// and what only one side shows, too.
    fn is_where_data_may_be(&mut self, s: &Segment, turn: &Turn) -> bool {
        let one_sided = self.one_sided();
        let guess_one_sided = s.to_server && turn.config.async_oneside && self.has(fact::MIDSTREAM);
        let sender = self.halves(s).0;
        let keep_alive = s.len <= 1 && s.seq == sender.next_seq.wrapping_sub(1);
        if keep_alive || seq::ge(s.end(), sender.last_ack) {
            return true;
        }
        let next = s.seq == sender.next_seq;
        let first = sender.last_ack == sender.isn.wrapping_add(1);
        if one_sided {
            true
        } else if guess_one_sided && (next || first) {
            self.set(fact::ASYNC, true);
            true
        } else {
            // Data that was acknowledged before it came.
            seq::gt(sender.last_ack, sender.next_seq) && seq::gt(s.end(), sender.next_seq)
        }
    }

    /// The first FIN: the client's leads to `CloseWait`, the server's to `FinWait1`.
    pub(super) fn fin(&mut self, s: &Segment, turn: &mut Turn) -> Step {
        if !self.valid_ack(s, turn) {
            return turn.invalid(Event::FinInvalidAck);
        }
        let acks_unseen = self.has(fact::ACKS_UNSEEN);
        let sender = self.halves(s).0;
        let beyond = !acks_unseen && seq::gt(s.end(), sender.next_win);
        if seq::lt(s.seq, sender.last_ack) || beyond {
            return turn.invalid(Event::FinOutOfWindow);
        }
        if s.to_server && s.is_syn() {
            return turn.invalid(Event::FinSyn);
        }
        // The server's next number counts the FIN, the client's does not: the states behind rely on it.
        sender.next_seq = s.end().wrapping_add(u32::from(!s.to_server));
        if acks_unseen && self.state == State::SynRecv {
            // The handshake's last ACK came before this.
            turn.established_now = true;
        }
        self.enter(if s.to_server { State::CloseWait } else { State::FinWait1 });
        self.halves(s).1.set_window(s);
        self.keep_timestamp(s, turn);
        let receiver = self.halves(s).1;
        if s.is_ack() {
            receiver.saw_up_to(s.ack);
            receiver.acknowledge(s.ack);
            // The other side may go on, as far as the window of the FIN goes.
            receiver.advance_next_win();
        }
        Step::Accept
    }
}
