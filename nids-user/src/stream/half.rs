//! One direction of a session: what its sender has sent, and how much of it the receiver took.

use super::event::{Event, Events};
use super::reassembly::Reassembly;
use super::segment::Segment;
use super::sequence as seq;

/// Facts of one direction, one bit each.
pub(super) mod flag {
    /// The sender's SYN had a timestamp.
    pub const TIMESTAMP: u8 = 1;
    /// The timestamp in the handshake was 0.
    pub const ZERO_TIMESTAMP: u8 = 2;
    /// The sender's last packet was a keep-alive.
    pub const KEEP_ALIVE: u8 = 4;
    /// The receiver got a RST that it may not have believed.
    pub const RST_RECEIVED: u8 = 8;
    /// A zero window probe of the sender waits for its answer.
    pub const PROBE: u8 = 16;
}

/// How much of the acknowledgments is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acks {
    /// All.
    Seen,
    /// Only those of one side, whose window is unknown.
    OneSided,
    /// Those that come with data, and of one side maybe none of its data: acknowledgments and windows
    /// are behind what the hosts know, by any amount.
    Lagging,
}

/// One direction. Windows and acknowledgments are those that bind its sender: they were sent by the
/// other side.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// Initial sequence number.
    pub isn: u32,
    /// Sequence number behind what was sent.
    pub next_seq: u32,
    /// Highest acknowledgment by the receiver.
    pub last_ack: u32,
    /// Sequence number up to which the receiver allows.
    pub next_win: u32,
    /// The receiver's window, scaled.
    pub window: u32,
    /// Last valid timestamp of the sender.
    pub last_timestamp: u32,
    /// When it was seen, in seconds.
    pub last_packet: u32,
    /// What the receiver has beyond `last_ack` (RFC 2018), ascending and apart; (0, 0) is none.
    sacked: [(u32, u32); 3],
    /// Shift of the receiver's window.
    pub window_scale: u8,
    /// Bits of [`flag`].
    pub flags: u8,
    /// TCP flags the sender has used.
    pub tcp_flags: u8,
    /// The data.
    pub data: Reassembly,
}

impl Half {
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn set(&mut self, flag: u8, on: bool) {
        if on { self.flags |= flag } else { self.flags &= !flag }
    }

    /// Begins the sender's numbers anew: `isn` is that of its SYN.
    pub(super) fn start(&mut self, isn: u32) {
        self.isn = isn;
        self.next_seq = isn.wrapping_add(1);
        self.last_ack = self.next_seq;
        self.next_win = self.next_seq;
        self.data.start(isn.wrapping_add(1));
    }

    /// The window that the receiver's packet `segment` opens.
    pub(super) fn set_window(&mut self, segment: &Segment) {
        self.window = u32::from(segment.window) << self.window_scale;
    }

    /// Sets the right edge to the window behind the last acknowledgment.
    pub(super) fn reset_next_win(&mut self) {
        self.next_win = self.last_ack.wrapping_add(self.window);
    }

    /// Moves the right edge forward; what was acknowledged selectively widens it.
    pub(super) fn advance_next_win(&mut self) {
        let edge = self.last_ack.wrapping_add(self.window).wrapping_add(self.sacked_bytes());
        if seq::gt(edge, self.next_win) {
            self.next_win = edge;
        }
    }

    /// Moves the acknowledgment forward, never back.
    pub(super) fn acknowledge(&mut self, ack: u32) {
        if seq::gt(ack, self.last_ack) {
            self.last_ack = ack;
            for range in &mut self.sacked {
                if *range != (0, 0) && seq::le(range.1, ack) {
                    *range = (0, 0);
                } else if *range != (0, 0) && seq::lt(range.0, ack) {
                    range.0 = ack;
                }
            }
            self.sort_sacked();
        }
    }

    fn sacked_bytes(&self) -> u32 {
        let bytes = self.sacked.iter().map(|range| range.1.wrapping_sub(range.0));
        bytes.fold(0, u32::saturating_add)
    }

    /// Notes the SACK blocks of the receiver's packet. Where more ranges come together than there is
    /// room for, the furthest are forgotten: the window is then judged narrower, never wider.
    pub(super) fn note_sack(&mut self, segment: &Segment) {
        for &(left, right) in segment.options.sack() {
            let known = seq::gt(right, self.last_ack) && seq::le(right, self.next_win);
            if known && seq::lt(left, right) && seq::gt(right, left) {
                let left = if seq::lt(left, self.last_ack) { self.last_ack } else { left };
                self.add_sacked(left, right);
            }
        }
    }

    fn add_sacked(&mut self, mut left: u32, mut right: u32) {
        for range in &mut self.sacked {
            if *range != (0, 0) && seq::le(range.0, right) && seq::ge(range.1, left) {
                left = if seq::lt(range.0, left) { range.0 } else { left };
                right = if seq::gt(range.1, right) { range.1 } else { right };
                *range = (0, 0);
            }
        }
        let room = self.sacked.iter().position(|range| *range == (0, 0));
        let slot = room.unwrap_or(self.sacked.len() - 1);
        let further = self.sacked.get(slot).is_some_and(|r| *r == (0, 0) || seq::lt(left, r.0));
        if let Some(range) = self.sacked.get_mut(slot).filter(|_| further) {
            *range = (left, right);
        }
        self.sort_sacked();
    }

    fn sort_sacked(&mut self) {
        let base = self.last_ack;
        self.sacked.sort_by_key(|range| match range {
            (0, 0) => u32::MAX,
            (left, _) => left.wrapping_sub(base),
        });
    }

    /// Whether the SACK blocks of the receiver's packet say nothing new.
    pub(super) fn sack_is_outdated(&self, segment: &Segment) -> bool {
        segment.options.sack().iter().all(|&(left, right)| {
            seq::le(right, self.last_ack)
                || self.sacked.iter().any(|r| seq::ge(left, r.0) && seq::le(right, r.1))
        })
    }

    /// The acknowledgment of the receiver's packet against what this direction allows: not before the
    /// window left of `last_ack`, not behind `next_win`. Where these lag behind, nothing can be said.
    /// `syn_sent`: this direction has a SYN without an answer.
    pub(super) fn ack_is_valid(
        &self,
        segment: &Segment,
        acks: Acks,
        syn_sent: bool,
        events: &mut Events,
    ) -> bool {
        if !segment.is_ack() {
            return true;
        }
        let ack = segment.ack;
        let valid = if syn_sent {
            // No window is known yet: only the SYN, or all that came with it, can be acknowledged.
            ack == self.isn.wrapping_add(1) || ack == self.next_seq
        } else if acks == Acks::Lagging {
            true
        } else if seq::le(ack, self.last_ack) {
            let left = self.last_ack.wrapping_sub(self.window);
            ack == self.last_ack || self.window == 0 || seq::ge(ack, left)
        } else {
            seq::le(ack, self.next_win) || acks == Acks::OneSided
        };
        if !valid {
            events.raise(Event::InvalidAck);
        }
        valid
    }

    /// Whether data of the sender was sent before; an event where it was.
    pub(super) fn is_retransmission(&self, segment: &Segment, events: &mut Events) -> bool {
        if segment.len == 0 {
            return false;
        }
        let end = segment.end();
        let acked = seq::lt(segment.seq, self.last_ack) && seq::gt(end, self.last_ack);
        let again = acked || seq::le(end, self.last_ack) || seq::le(end, self.next_seq);
        if again {
            events.raise(Event::Retransmission);
        }
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half() -> Half {
        Half { last_ack: 1000, next_win: 9000, window: 8000, next_seq: 5000, ..Half::default() }
    }

    fn with_sack(blocks: &[(u32, u32)]) -> Segment {
        let mut segment = Segment::default();
        for (slot, block) in segment.options.sack.iter_mut().zip(blocks) {
            *slot = *block;
            segment.options.sack_len += 1;
        }
        segment
    }

    #[test]
    fn sack_blocks_merge_and_go_with_the_acknowledgment() {
        let mut half = half();
        half.note_sack(&with_sack(&[(2000, 3000), (2500, 3500), (5000, 6000)]));
        assert_eq!(half.sacked_bytes(), 2500);
        half.advance_next_win();
        assert_eq!(half.next_win, 11_500);
        assert!(half.sack_is_outdated(&with_sack(&[(2100, 3400)])));
        assert!(!half.sack_is_outdated(&with_sack(&[(2100, 3501)])));
        half.acknowledge(3000);
        assert_eq!(half.sacked_bytes(), 1500);
        half.acknowledge(2000);
        assert_eq!(half.last_ack, 3000);
    }

    #[test]
    fn more_ranges_than_room_keep_the_nearest() {
        let mut half = half();
        half.note_sack(&with_sack(&[(8000, 8100), (6000, 6100), (4000, 4100), (2000, 2100)]));
        assert_eq!(half.sacked, [(2000, 2100), (4000, 4100), (6000, 6100)]);
        half.note_sack(&with_sack(&[(20_000, 21_000), (900, 950), (3000, 2500)]));
        assert_eq!(half.sacked_bytes(), 300);
    }

    #[test]
    fn acknowledgments_are_bound_on_both_sides() {
        let half = half();
        let check = |ack| {
            let mut events = Events::default();
            let segment = Segment { ack, flags: 0x10, ..Segment::default() };
            let valid = half.ack_is_valid(&segment, Acks::Seen, false, &mut events);
            assert_eq!(valid, !events.contains(Event::InvalidAck));
            valid
        };
        assert!(check(1000) && check(9000) && check(999));
        assert!(!check(9001));
        let before = 1000_u32.wrapping_sub(8000);
        assert!(check(before) && !check(before.wrapping_sub(1)));
    }
}
