//! Protection against wrapped sequence numbers (RFC 7323, section 5): segments whose timestamp goes back
//! are not what the receiver takes, in the receiver's own reading of the rules.

use super::event::Event;
use super::half::flag;
use super::policy::Policy;
use super::segment::Segment;
use super::sequence as seq;
use super::session::{Session, fact};
use super::state::Turn;

/// After 24 days (in seconds) a timestamp may have wrapped: it says nothing (RFC 7323, 5.5).
const WRAP: u32 = 24 * 24 * 60 * 60;

/// What to do with the sender's clock.
enum Clock {
    /// Nothing: the timestamp is not looked at.
    Leave,
    /// The host takes no timestamps from here on.
    StopUsing,
    /// Take the time, and the timestamp where the segment is the next one.
    Keep,
    /// Take both: the known one is too old to compare with, or was none.
    Renew,
}

impl Session {
    /// Whether the receiver takes the segment for its timestamp; an event where not. Changes nothing.
    pub(super) fn valid_timestamp(&mut self, s: &Segment, turn: &mut Turn) -> bool {
        let valid = self.clock(s, turn).is_some();
        if !valid {
            turn.events.raise(Event::InvalidTimestamp);
        }
        valid
    }

    /// Keeps the timestamp of an accepted segment for the next comparison.
    pub(super) fn take_timestamp(&mut self, s: &Segment, turn: &mut Turn) {
        let Some(value) = s.timestamp() else {
            // Solaris stops using timestamps after a segment without one.
            if self.target(s) == Policy::Solaris {
                self.set(fact::TIMESTAMP, false);
            }
            return;
        };
        let Some(clock) = self.clock(s, turn) else {
            turn.events.raise(Event::InvalidTimestamp);
            return;
        };
        if matches!(clock, Clock::StopUsing) {
            self.set(fact::TIMESTAMP, false);
        }
        let acks_unseen = self.has(fact::ACKS_UNSEEN);
        let sender = self.halves(s).0;
        match clock {
            Clock::Leave | Clock::StopUsing => {}
            Clock::Keep => {
                // The next number is behind this segment's data already: without data only. Where
                // such segments are not seen, others must move the clock, or it would stand still
                // until it wraps.
                let in_order = match acks_unseen {
                    true => sender.data.is_in_order(s.seq),
                    false => sender.next_seq == s.seq,
                };
                if in_order {
                    sender.last_timestamp = value;
                }
                sender.last_packet = s.time;
            }
            Clock::Renew => {
                sender.set(flag::ZERO_TIMESTAMP, false);
                sender.last_timestamp = value;
                sender.last_packet = s.time;
            }
        }
    }

    /// None: the segment is to be rejected.
    fn clock(&mut self, s: &Segment, turn: &Turn) -> Option<Clock> {
        let Some(value) = s.timestamp() else { return Some(Clock::Leave) };
        let (target, midstream) = (self.target(s), self.has(fact::MIDSTREAM));
        let acks_unseen = self.has(fact::ACKS_UNSEEN);
        let sender = self.halves(s).0;
        let is_next = sender.next_seq == s.seq || acks_unseen && sender.data.is_in_order(s.seq);
        // Hosts that sent or got a 0 in the handshake either never use timestamps or begin now.
        let mut unknown = None;
        if sender.has(flag::ZERO_TIMESTAMP) {
            match target {
                Policy::Linux | Policy::Windows2003 => unknown = Some(Clock::StopUsing),
                Policy::OldLinux | Policy::Windows | Policy::Vista if is_next => {
                    unknown = Some(Clock::Renew);
                }
                _ => {}
            }
        }
        let takes_zero = matches!(
            target,
            Policy::OldLinux
                | Policy::Windows
                | Policy::Windows2003
                | Policy::Vista
                | Policy::Solaris
        );
        if value == 0 && !takes_zero {
            return None;
        }
        if let Some(clock) = unknown {
            return Some(clock);
        }
        if target == Policy::Hpux11 && !is_next {
            return Some(Clock::Leave);
        }
        let slack = target == Policy::Linux || turn.config.liberal_timestamps;
        let ahead = seq::distance(sender.last_timestamp, value).wrapping_add(i32::from(slack));
        let last_packet =
            if sender.last_packet == 0 && midstream { s.time } else { sender.last_packet };
        let too_old = s.time > last_packet.saturating_add(WRAP);
        if ahead >= 0 && !(sender.last_timestamp != 0 && too_old) {
            Some(Clock::Keep)
        } else if is_next && too_old {
            Some(Clock::Renew)
        } else if acks_unseen && too_old {
            Some(Clock::Leave)
        } else {
            None
        }
    }

    /// Whether the answer to a SYN echoes the SYN's timestamp; only the server's answers are looked at.
    pub(super) fn echo_matches(&self, s: &Segment) -> bool {
        let Some((_, echo)) = s.options.timestamp.filter(|_| !s.to_server) else { return true };
        if self.client.has(flag::TIMESTAMP) {
            self.client.last_timestamp == 0 || echo == 0 || echo == self.client.last_timestamp
        } else {
            self.client.last_timestamp != 0 || echo == 0
        }
    }

    /// Takes the timestamps of a session that is picked up on its way: the sender's own, and the echo as
    /// the other side's.
    pub(super) fn adopt_timestamps(&mut self, s: &Segment) {
        let Some((value, echo)) = s.options.timestamp else { return };
        self.set(fact::TIMESTAMP, true);
        let (sender, receiver) = self.halves(s);
        sender.last_timestamp = value;
        sender.last_packet = s.time;
        sender.set(flag::ZERO_TIMESTAMP, value == 0);
        receiver.last_timestamp = echo;
        receiver.set(flag::ZERO_TIMESTAMP, echo == 0);
    }
}
