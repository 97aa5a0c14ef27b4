//! Decoder events: what was wrong with a packet, under Suricata's names (rules/decoder-events.rules).

/// A set of events, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events(u64);

/// One malformation. The value is its bit in [`Events`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Event {
    /// `ethernet.pkt_too_small`
    EthernetTooSmall,
    /// `ipv4.pkt_too_small`
    Ipv4TooSmall,
}

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
}
