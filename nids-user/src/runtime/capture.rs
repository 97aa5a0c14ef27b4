//! The packets of alerting flows, for the alert pcap: those before the alert, as far as they are remembered,
//! the alerting one, and those behind it.
//!
//! An alert on a stream comes when the receiver has acknowledged the data, so the packet that brought them is
//! behind us by then. Each worker therefore remembers recent packets in a ring of fixed size; those of one
//! flow are linked, the newest first. Where no alert pcap is asked for, all of this is absent.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::VecDeque;
use std::sync::Arc;

use crate::capture::{Direction, LinkType, Timestamp};
use crate::decode::{Ip, Packet};
use crate::detect::Outcome;
use crate::detect::alert::RuleInfo;
use crate::flow::Flow;
use crate::output::settings::{CaptureOptions, Condition};
use crate::output::{CapturedPacket, Record, RecordSender};

/// Bytes of the ring for one packet that is remembered, at least: so their number is bounded too.
const BYTES_PER_PACKET: usize = 256;
/// Packets before an alert that are kept, at most.
const MAX_BEFORE: usize = 1024;

/// One worker's part.
pub(super) struct Capture {
    options: CaptureOptions,
    recent: Recent,
    /// Rules that alerted on the packet at hand.
    pub(super) alerts: Vec<Arc<RuleInfo>>,
    /// The frame that was kept last: one that carries several packets is kept once.
    last: Option<FrameId>,
    /// Serial numbers of packets that are to be kept.
    found: Vec<u64>,
}

/// No two frames of a worker are at one time in one place.
type FrameId = (Timestamp, u64, usize);

/// A packet as it is kept: its frame, or the datagram that was put together behind the frame's link header.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    frame: FrameId,
    time: Timestamp,
    port: u16,
    direction: Direction,
    link: LinkType,
    wire_len: u32,
    prefix: &'a [u8],
    data: &'a [u8],
}

impl<'a> Kept<'a> {
    /// `outer` is the packet of the frame, where `packet` is another one that was found in it.
    pub(super) fn of(packet: &Packet<'a>, outer: Option<&Packet<'a>>) -> Self {
        let whole = packet.frame;
        let frame = outer.map_or(whole, |outer| outer.frame);
        let mut kept = Self {
            frame: (frame.time, frame.number, frame.data.as_ptr().addr()),
            time: frame.time,
            port: frame.port,
            direction: frame.direction,
            link: frame.link,
            wire_len: frame.wire_len,
            prefix: &[],
            data: frame.data,
        };
        if !std::ptr::eq(whole.data, frame.data)
            && let Some(prefix) = outer.and_then(link_header)
        {
            kept.wire_len = u32::try_from(prefix.len() + whole.data.len()).unwrap_or(u32::MAX);
            (kept.prefix, kept.data) = (prefix, whole.data);
        }
        kept
    }

    fn len(&self) -> usize {
        self.prefix.len() + self.data.len()
    }
}

/// What lies before the IP header of a fragment that is a frame's outermost packet.
fn link_header<'a>(fragment: &Packet<'a>) -> Option<&'a [u8]> {
    let ip = fragment.ip.as_ref().filter(|ip| ip.is_fragment() && fragment.depth == 0)?;
    let header = match ip {
        Ip::V4(ip) => ip.header,
        Ip::V6(ip) => ip.header,
    };
    let data = fragment.frame.data;
    data.get(..header.as_ptr().addr().checked_sub(data.as_ptr().addr())?)
}

impl Capture {
    pub(super) fn new(options: CaptureOptions) -> Self {
        Self {
            options,
            recent: Recent::new(options.look_back),
            alerts: Vec::new(),
            last: None,
            found: Vec::new(),
        }
    }

    /// Takes an inspected packet: keeps it, or remembers it for an alert to come.
    #[inline]
    pub(super) fn packet(
        &mut self,
        kept: &Kept<'_>,
        flow: Option<&mut Flow>,
        outcome: &Outcome,
        interfaces: &[Option<Arc<str>>],
        records: &RecordSender,
    ) {
        let alerted = !self.alerts.is_empty();
        let wanted = match (self.options.condition, &flow) {
            (Condition::Tag, _) => outcome.tagged || outcome.tag_began,
            (Condition::Alerts, Some(flow)) => {
                alerted || flow.to_capture.is_some_and(|left| left > 0)
            }
            (Condition::Alerts, None) => alerted,
        };
        if wanted {
            self.keep(kept, flow, interfaces, records);
        } else if let Some(flow) = flow.filter(|flow| flow.to_capture.is_none()) {
            flow.recent = self.recent.push(kept, flow.recent);
        }
        self.alerts.clear();
    }

    #[cold]
    fn keep(
        &mut self,
        kept: &Kept<'_>,
        flow: Option<&mut Flow>,
        interfaces: &[Option<Arc<str>>],
        records: &RecordSender,
    ) {
        if let Some(flow) = flow.filter(|_| self.options.condition == Condition::Alerts) {
            let left = match flow.to_capture {
                Some(left) => left,
                None => {
                    self.keep_recent(flow, interfaces, records);
                    self.options.flow_limit.unwrap_or(u32::MAX)
                }
            };
            let length = u32::try_from(kept.len()).unwrap_or(u32::MAX);
            flow.to_capture = Some(match self.options.flow_limit {
                Some(_) => left.saturating_sub(length),
                None => left,
            });
        }
        if self.last != Some(kept.frame) {
            self.last = Some(kept.frame);
            let alerts = std::mem::take(&mut self.alerts);
            records.send(captured(kept, alerts, interfaces));
        }
    }

    /// Sends what is remembered of the flow, the oldest first.
    fn keep_recent(
        &mut self,
        flow: &mut Flow,
        interfaces: &[Option<Arc<str>>],
        records: &RecordSender,
    ) {
        self.found.clear();
        let mut serial = std::mem::take(&mut flow.recent);
        while let Some(entry) = self.recent.entry(serial).filter(|_| self.found.len() < MAX_BEFORE)
        {
            self.found.push(serial);
            serial = entry.before;
        }
        for serial in self.found.drain(..).rev() {
            if let Some(kept) = self.recent.get(serial) {
                records.send(captured(&kept, Vec::new(), interfaces));
            }
        }
    }

    /// A flow has ended, with alerts on the rest of its stream: keeps what is remembered of it.
    #[cold]
    pub(super) fn flow_end(
        &mut self,
        flow: &mut Flow,
        interfaces: &[Option<Arc<str>>],
        records: &RecordSender,
    ) {
        let alerted = !std::mem::take(&mut self.alerts).is_empty();
        if alerted && self.options.condition == Condition::Alerts && flow.to_capture.is_none() {
            self.keep_recent(flow, interfaces, records);
        }
    }
}

fn captured(
    kept: &Kept<'_>,
    alerts: Vec<Arc<RuleInfo>>,
    interfaces: &[Option<Arc<str>>],
) -> Record {
    Record::Captured(CapturedPacket {
        time: kept.time,
        interface: interfaces.get(usize::from(kept.port)).cloned().flatten(),
        direction: kept.direction,
        link: kept.link,
        wire_len: kept.wire_len,
        bytes: [kept.prefix, kept.data].concat().into(),
        alerts,
    })
}

/// Recent packets: their bytes in a ring, their facts in a queue.
struct Recent {
    ring: Box<[u8]>,
    entries: VecDeque<Entry>,
    most: usize,
    /// Serial number of the first entry; they begin at 1.
    first: u64,
    /// Where the next bytes go, counted without end.
    head: u64,
}

/// One packet.
#[derive(Clone, Copy)]
struct Entry {
    time: Timestamp,
    start: u64,
    length: u32,
    wire_len: u32,
    /// The packet of the flow before this one.
    before: u64,
    port: u16,
    direction: Direction,
    link: LinkType,
}

impl Recent {
    fn new(bytes: usize) -> Self {
        let most = bytes / BYTES_PER_PACKET;
        Self {
            ring: vec![0; bytes].into(),
            entries: VecDeque::with_capacity(most),
            most,
            first: 1,
            head: 0,
        }
    }

    /// Copies a packet, in the place of the oldest. Gives its serial number, 0 where there is no room at all.
    #[inline]
    fn push(&mut self, kept: &Kept<'_>, before: u64) -> u64 {
        let (size, length) = (self.ring.len() as u64, kept.len() as u64);
        if length > size || self.most == 0 {
            return 0;
        }
        let mut at = self.head % size;
        if at + length > size {
            // In one piece: the rest of the ring stays unused.
            self.head += size - at;
            at = 0;
        }
        let end = self.head + length;
        while self.entries.len() == self.most
            || self.entries.front().is_some_and(|oldest| oldest.start + size < end)
        {
            self.entries.pop_front();
            self.first += 1;
        }
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let middle = at.saturating_add(kept.prefix.len());
        if let Some(place) = self.ring.get_mut(at..middle) {
            place.copy_from_slice(kept.prefix);
        }
        if let Some(place) = self.ring.get_mut(middle..middle.saturating_add(kept.data.len())) {
            place.copy_from_slice(kept.data);
        }
        self.entries.push_back(Entry {
            time: kept.time,
            start: self.head,
            length: u32::try_from(length).unwrap_or(0),
            wire_len: kept.wire_len,
            before,
            port: kept.port,
            direction: kept.direction,
            link: kept.link,
        });
        self.head = end;
        self.first + self.entries.len() as u64 - 1
    }

    /// The packet of this number, where it is still there.
    fn entry(&self, serial: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(serial.checked_sub(self.first)?).ok()?)
    }

    fn get(&self, serial: u64) -> Option<Kept<'_>> {
        let entry = self.entry(serial)?;
        let at = usize::try_from(entry.start % self.ring.len().max(1) as u64).ok()?;
        Some(Kept {
            frame: (entry.time, 0, 0),
            time: entry.time,
            port: entry.port,
            direction: entry.direction,
            link: entry.link,
            wire_len: entry.wire_len,
            prefix: &[],
            data: self.ring.get(at..at + entry.length as usize)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(data: &[u8]) -> Kept<'_> {
        Kept {
            frame: (Timestamp(0), 0, 0),
            time: Timestamp(data.len() as u64),
            port: 0,
            direction: Direction::Ingress,
            link: LinkType::Ethernet,
            wire_len: data.len() as u32,
            prefix: &data[..data.len() / 3],
            data: &data[data.len() / 3..],
        }
    }

    proptest! {
        /// What is remembered is what was pushed, it is the newest, and it fits.
        #[test]
        fn the_newest_are_remembered(
            size in 256_usize..5000,
            packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..900), 1..60),
        ) {
            let mut recent = Recent::new(size);
            let mut serials = Vec::new();
            for packet in &packets {
                serials.push(recent.push(&kept(packet), 0));
            }
            let mut remembered = 0;
            let mut gone = false;
            for (packet, serial) in packets.iter().zip(&serials).rev() {
                match recent.get(*serial) {
                    Some(kept) => {
                        prop_assert!(!gone);
                        prop_assert_eq!(kept.data, &packet[..]);
                        prop_assert_eq!(kept.time.0, packet.len() as u64);
                        remembered += packet.len();
                    }
                    None => gone |= packet.len() <= size,
                }
            }
            prop_assert!(remembered <= size);
            prop_assert!(recent.entries.len() <= size / BYTES_PER_PACKET);
            // No more is forgotten than has to be: a ring loses at most one packet's length at its end.
            let all: usize = packets.iter().map(Vec::len).sum();
            if all + 900 <= size && packets.len() <= recent.most {
                prop_assert_eq!(remembered, all);
            }
        }
    }

    #[test]
    fn no_ring_remembers_nothing() {
        let mut recent = Recent::new(0);
        assert_eq!(recent.push(&kept(b"abc"), 0), 0);
        assert!(recent.get(0).is_none() && recent.get(1).is_none());
    }
}
