//! Stream events: what was odd about a segment, under the names of Suricata's `stream-event` keyword
//! (rules/stream-events.rules of its distribution).
//!
//! Events marked "ours" have no name there: they say that end hosts may read the stream in another way
//! than it was inspected.

use std::fmt;

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// One oddity. The value is its bit in [`Events`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Event {
            $(#[doc = concat!("`stream.", $name, "`")] $(#[$doc])* $variant,)*
        }

        impl Event {
            /// Every event, in the order of the bits.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as `stream-event` takes it, without the leading `stream.`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

events! {
    HandshakeAckInWrongDirection = "3whs_ack_in_wrong_dir",
    HandshakeAsyncWrongSeq = "3whs_async_wrong_seq",
    HandshakeRightSeqWrongAck = "3whs_right_seq_wrong_ack_evasion",
    HandshakeSynAckInWrongDirection = "3whs_synack_in_wrong_direction",
    HandshakeSynAckResendDifferentAck = "3whs_synack_resend_with_different_ack",
    HandshakeSynAckResendDifferentSeq = "3whs_synack_resend_with_diff_seq",
    HandshakeSynAckToServer = "3whs_synack_toserver_on_syn_recv",
    HandshakeSynAckWrongAck = "3whs_synack_with_wrong_ack",
    HandshakeSynAckFlood = "3whs_synack_flood",
    HandshakeSynAckTfoDataIgnored = "3whs_synack_tfo_data_ignored",
    HandshakeSynFlood = "3whs_syn_flood",
    HandshakeSynResendDifferentSeq = "3whs_syn_resend_diff_seq_on_syn_recv",
    HandshakeSynToClient = "3whs_syn_toclient_on_syn_recv",
    HandshakeWrongSeqWrongAck = "3whs_wrong_seq_wrong_ack",
    HandshakeAckDataInject = "3whs_ack_data_inject",
    FourWaySynAckWrongAck = "4whs_synack_with_wrong_ack",
    FourWaySynAckWrongSyn = "4whs_synack_with_wrong_syn",
    FourWayWrongSeq = "4whs_wrong_seq",
    FourWayInvalidAck = "4whs_invalid_ack",
    CloseWaitAckOutOfWindow = "closewait_ack_out_of_window",
    CloseWaitFinOutOfWindow = "closewait_fin_out_of_window",
    CloseWaitPacketBeforeLastAck = "closewait_pkt_before_last_ack",
    CloseWaitInvalidAck = "closewait_invalid_ack",
    ClosingAckWrongSeq = "closing_ack_wrong_seq",
    ClosingInvalidAck = "closing_invalid_ack",
    EstablishedPacketOutOfWindow = "est_packet_out_of_window",
    EstablishedPacketBeforeLastAck = "est_pkt_before_last_ack",
    EstablishedSynAckResend = "est_synack_resend",
    EstablishedSynAckResendDifferentAck = "est_synack_resend_with_different_ack",
    EstablishedSynAckResendDifferentSeq = "est_synack_resend_with_diff_seq",
    EstablishedSynAckToServer = "est_synack_toserver",
    EstablishedSynResend = "est_syn_resend",
    EstablishedSynResendDifferentSeq = "est_syn_resend_diff_seq",
    EstablishedSynToClient = "est_syn_toclient",
    EstablishedInvalidAck = "est_invalid_ack",
    EstablishedAckOfProbe = "est_ack_zwp_data",
    FinInvalidAck = "fin_invalid_ack",
    Fin1AckWrongSeq = "fin1_ack_wrong_seq",
    Fin1FinWrongSeq = "fin1_fin_wrong_seq",
    Fin1InvalidAck = "fin1_invalid_ack",
    Fin2AckWrongSeq = "fin2_ack_wrong_seq",
    Fin2FinWrongSeq = "fin2_fin_wrong_seq",
    Fin2InvalidAck = "fin2_invalid_ack",
    FinWithoutSession = "fin_but_no_session",
    FinOutOfWindow = "fin_out_of_window",
    FinSyn = "fin_syn",
    LastAckWrongSeq = "lastack_ack_wrong_seq",
    LastAckInvalidAck = "lastack_invalid_ack",
    RstWithoutSession = "rst_but_no_session",
    RstInvalidAck = "rst_invalid_ack",
    RstWithData = "rst_with_data",
    TimeWaitAckWrongSeq = "timewait_ack_wrong_seq",
    TimeWaitInvalidAck = "timewait_invalid_ack",
    InvalidTimestamp = "pkt_invalid_timestamp",
    InvalidAck = "pkt_invalid_ack",
    BrokenAck = "pkt_broken_ack",
    ShutdownSynResend = "shutdown_syn_resend",
    Retransmission = "pkt_retransmission",
    SpuriousRetransmission = "pkt_spurious_retransmission",
    BadWindowUpdate = "pkt_bad_window_update",
    SuspectedRstInjection = "suspected_rst_inject",
    /// Raised by who assigns flows to workers, never in here.
    WrongThread = "wrong_thread",
    SegmentBeforeBase = "reassembly_segment_before_base_seq",
    NoSegment = "reassembly_no_segment",
    Gap = "reassembly_seq_gap",
    OverlapDifferentData = "reassembly_overlap_different_data",
    DepthReached = "reassembly_depth_reached",
    InsertMemcap = "reassembly_insert_memcap",
    InsertLimit = "reassembly_insert_limit",
    /// Never raised: an insertion in here cannot be wrong in itself.
    InsertInvalid = "reassembly_insert_invalid",
    UrgentLimit = "reassembly_urgent_oob_limit_reached",
    /// Ours. Urgent data: whether the byte is part of the stream is up to a socket option of the host
    /// (RFC 6093, 3.2), so another stream than the inspected one may have been read.
    UrgentData = "reassembly_urgent_data",
    /// Ours. A window scale above 14 (RFC 7323, 2.3): hosts differ in what they make of it.
    WindowScaleTooLarge = "window_scale_too_large",
    /// Ours. Data that no session takes: its begin was not seen or is not complete, there was no room for
    /// it, or it is closed. Rules see the packet, but not what several packets say together.
    UntrackedData = "untracked_data",
}

// One bit each must do.
const _: () = assert!(Event::ALL.len() <= 128);

impl Event {
    /// The event of a name, with or without the leading `stream.`, and with the two spellings that
    /// Suricata's anomaly log has for the `different_ack` ones.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.strip_prefix("stream.").unwrap_or(name);
        let name = match name {
            "3whs_synack_resend_with_diff_ack" => "3whs_synack_resend_with_different_ack",
            "est_synack_resend_with_diff_ack" => "est_synack_resend_with_different_ack",
            other => other,
        };
        Self::ALL.iter().copied().find(|event| event.name() == name)
    }
}

/// A set of events, one bit each.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Events(u128);

impl Events {
    /// Adds an event.
    pub fn raise(&mut self, event: Event) {
        self.0 |= 1 << event as u8;
    }
    /// Whether it was raised.
    pub fn contains(self, event: Event) -> bool {
        self.0 & (1 << event as u8) != 0
    }
    /// Whether nothing was raised.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// The events in it, in the order of [`Event::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Event> {
        Event::ALL.iter().copied().filter(move |event| self.contains(*event))
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Event::name)).finish()
    }
}

impl FromIterator<Event> for Events {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        let mut set = Self::default();
        events.into_iter().for_each(|event| set.raise(event));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again_and_differ() {
        for (index, event) in Event::ALL.iter().enumerate() {
            assert_eq!(*event as usize, index);
            assert_eq!(Event::from_name(event.name()), Some(*event));
        }
        assert_eq!(
            Event::from_name("stream.est_synack_resend_with_diff_ack"),
            Some(Event::EstablishedSynAckResendDifferentAck)
        );
        assert_eq!(Event::from_name("nothing"), None);
    }

    #[test]
    fn a_set_holds_what_was_raised() {
        let mut set = Events::default();
        assert!(set.is_empty());
        let last = *Event::ALL.last().unwrap();
        set.raise(last);
        set.raise(Event::FinSyn);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Event::FinSyn, last]);
        assert!(!set.contains(Event::BrokenAck));
    }
}
