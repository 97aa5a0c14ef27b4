//! One direction's data: where each byte belongs, which copy counts, what is given up.
//!
//! Offsets count bytes of the stream from 0 (the byte behind the SYN) in 64 bits, so sequence numbers
//! may wrap. Urgent bytes that are not part of the stream keep their offset and are left out when data is
//! shown, so that a reordered or repeated segment still finds its place.
//!
//! Data in order goes to inspection in place, out of the packet. It is copied as well only where a later
//! packet can need it: behind a hole, until the receiver acknowledges it (to see whether a second copy
//! says something else), and for the look-back of patterns that span chunks. What was shown is never
//! replaced, whatever the policy: hosts do not call back what they handed on either.

use std::ops::Range;

use super::buffer::{Buffer, Pool};
use super::config::{Config, Mode, UrgentPolicy};
use super::context::Counters;
use super::event::{Event, Events};
use super::policy::Policy;
use super::sequence as seq;

/// Unacknowledged bytes kept for comparison, at most.
const RETAIN: u64 = 256 << 10;
/// The same where most acknowledgments are not seen, so that a long transfer always keeps as much.
const RETAIN_UNSEEN: u64 = 16 << 10;
/// Urgent bytes of one direction that are taken out of it at one time, at most; hosts have one.
const URGENT_LIMIT: usize = 256;

mod flag {
    /// Data behind the depth was cut off.
    pub(super) const CUT: u8 = 1;
    pub(super) const RAW_OFF: u8 = 2;
    pub(super) const APP_OFF: u8 = 4;
    pub(super) const FLUSH: u8 = 8;
    /// No rule looks at raw data for now.
    pub(super) const UNWATCHED: u8 = 16;
}

/// One direction's data and how far it was shown.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    /// Offset of the first byte that may be kept, and the sequence number it has.
    base: u64,
    base_seq: u32,
    /// How far raw data was shown.
    pub(super) raw: u64,
    /// How far application data was consumed.
    pub(super) app: u64,
    /// End of the byte that lies furthest.
    pub(super) right: u64,
    /// Holes before this offset are given up.
    lost: u64,
    /// The packet at hand.
    fresh: Option<Fresh>,
    /// Bytes given up right before `app`, which the parser is not told of yet.
    pub(super) app_lost: u64,
    /// Urgent bytes before `raw` and `app`.
    pub(super) raw_urgent: u32,
    pub(super) app_urgent: u32,
    pub(super) buffer: Option<Box<Buffer>>,
    flags: u8,
}

/// Bytes of the packet at hand, which lie at `at` in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fresh {
    pub at: u64,
    /// Where in the payload they begin.
    pub from: u32,
    pub len: u32,
    /// Whether the buffer has them as well.
    pub kept: bool,
    /// Whether the payload is what counts: no earlier copy, no urgent byte.
    pub in_place: bool,
}

/// A segment's data.
pub(super) struct Data<'a> {
    pub seq: u32,
    pub bytes: &'a [u8],
    /// Index of the urgent byte, where there is one.
    pub urgent: Option<usize>,
    /// How the receiver reads overlaps.
    pub policy: Policy,
}

/// What the reassembly takes from its worker.
pub(super) struct Means<'a> {
    pub config: &'a Config,
    pub pool: &'a mut Pool,
    pub counters: &'a mut Counters,
    pub events: &'a mut Events,
}

impl Reassembly {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The first byte of data has this sequence number. Where there is data already (fast open), its
    /// place stands.
    pub(super) fn start(&mut self, first: u32) {
        if self.right == 0 {
            self.base_seq = first;
        }
    }

    /// Offset of a sequence number, 0 where it lies before the stream.
    pub(super) fn offset(&self, number: u32) -> u64 {
        self.base.saturating_add_signed(i64::from(seq::distance(self.base_seq, number)))
    }

    /// Sequence number of the first byte that may be kept.
    pub(super) fn base_seq(&self) -> u32 {
        self.base_seq
    }

    pub(super) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn raw_is_off(&self) -> bool {
        self.has(flag::RAW_OFF)
    }
    pub(super) fn app_is_off(&self) -> bool {
        self.has(flag::APP_OFF)
    }
    /// Nobody reads this direction any more.
    pub(super) fn is_off(&self) -> bool {
        self.raw_is_off() && self.app_is_off()
    }
    pub(super) fn stop_raw(&mut self) {
        self.flags |= flag::RAW_OFF;
    }
    pub(super) fn stop_app(&mut self) {
        self.flags |= flag::APP_OFF;
    }
    /// Whether rules look at raw data.
    pub(super) fn is_watched(&self) -> bool {
        !self.has(flag::UNWATCHED)
    }
    pub(super) fn watch(&mut self, watched: bool) {
        match watched {
            true => self.flags &= !flag::UNWATCHED,
            false => self.flags |= flag::UNWATCHED,
        }
    }
    pub(super) fn request_flush(&mut self) {
        self.flags |= flag::FLUSH;
    }
    /// Whether raw data is wanted now, however little. The wish is fulfilled by asking.
    pub(super) fn take_flush(&mut self, depth: u32) -> bool {
        let wanted = self.has(flag::FLUSH);
        self.flags &= !flag::FLUSH;
        wanted || self.depth_reached(depth)
    }

    /// The part of the packet at hand that can be shown as it lies there.
    pub(super) fn fresh(&self) -> Option<Fresh> {
        self.fresh.filter(|fresh| fresh.in_place)
    }

    /// Whether the byte of this number came already, or none is waited for there.
    pub(super) fn is_known(&self, number: u32) -> bool {
        let before = seq::distance(self.base_seq, number) < 0;
        before || self.is_off() || self.offset(number) < self.right
    }

    /// Whether data of this number lies behind no hole.
    pub(super) fn is_in_order(&self, number: u32) -> bool {
        self.offset(number) <= self.shown()
    }

    /// What is not to be touched any more.
    fn shown(&self) -> u64 {
        let app = if self.app_is_off() { 0 } else { self.app };
        let raw = if self.raw_is_off() { 0 } else { self.raw };
        app.max(raw)
    }

    /// Whether a hole from `from` to `to` is given up: the receiver has it all, or too much waits.
    pub(super) fn is_lost(&self, hole: &Range<u64>, acked: u64) -> bool {
        acked >= hole.end || self.lost >= hole.end
    }

    /// The packet at hand has none.
    pub(super) fn no_data(&mut self) {
        self.fresh = None;
    }

    /// Puts a segment's data in its place. False: it is not part of the stream, so nobody will see it
    /// there; a counter says why.
    pub(super) fn insert(&mut self, data: &Data, acked: u64, means: &mut Means) -> bool {
        self.fresh = None;
        if data.bytes.is_empty() || self.is_off() {
            return false;
        }
        let begin = i64::from(seq::distance(self.base_seq, data.seq));
        let trim = usize::try_from(-begin).unwrap_or(0);
        let Some(bytes) = data.bytes.get(trim..).filter(|bytes| !bytes.is_empty()) else {
            means.events.raise(Event::SegmentBeforeBase);
            return false;
        };
        let at = self.base + u64::try_from(begin).unwrap_or(0);
        let Some(bytes) = self.within_depth(at, bytes, means) else { return false };
        let urgent = data.urgent.and_then(|index| index.checked_sub(trim));
        let urgent = urgent.filter(|index| *index < bytes.len());
        let end = at + bytes.len() as u64;

        let appended = at == self.right && urgent.is_none();
        let in_order = appended
            && means.config.mode == Mode::Immediate
            && (self.raw == at || self.raw_is_off())
            && (self.app == at || self.app_is_off());
        let fresh = Fresh {
            at,
            from: u32::try_from(trim).unwrap_or(0),
            len: u32::try_from(bytes.len()).unwrap_or(0),
            kept: true,
            in_place: appended,
        };
        if in_order {
            let look_back = means.config.look_back > 0 && self.is_watched();
            let keep = means.config.check_overlap || look_back;
            let kept = keep && self.append(at, bytes, means).is_ok();
            self.right = end;
            self.fresh = Some(Fresh { kept, ..fresh });
            return true;
        }
        if self.store(at, bytes, urgent, data.policy, means) {
            self.right = self.right.max(end);
            self.fresh = Some(fresh);
            self.limit_hole(acked, means);
            true
        } else {
            false
        }
    }

    /// The part of the bytes that lies within the depth.
    fn within_depth<'b>(
        &mut self,
        at: u64,
        bytes: &'b [u8],
        means: &mut Means,
    ) -> Option<&'b [u8]> {
        let depth = u64::from(means.config.depth);
        let room = usize::try_from(depth.saturating_sub(at)).unwrap_or(usize::MAX);
        if depth == 0 || room >= bytes.len() {
            return Some(bytes);
        }
        if !self.has(flag::CUT) {
            self.flags |= flag::CUT;
            means.events.raise(Event::DepthReached);
            means.counters.depth_reached += 1;
        }
        means.counters.uninspected_depth += (bytes.len() - room) as u64;
        bytes.get(..room).filter(|bytes| !bytes.is_empty())
    }

    /// Whether all data within the depth is there, so nothing more will come. A lone segment far ahead
    /// does not make it so.
    pub(super) fn depth_reached(&self, depth: u32) -> bool {
        let depth = u64::from(depth);
        depth != 0
            && self.right >= depth
            && (self.raw >= depth
                || self.run(self.raw).is_some_and(|run| run.start == self.raw && run.end >= depth))
    }

    /// Keeps the next bytes in order. Segments are merged: no policy will touch what was shown.
    fn append(&mut self, at: u64, bytes: &[u8], means: &mut Means) -> Result<(), ()> {
        let buffer = Self::buffer(&mut self.buffer, means)?;
        if buffer.write(means.pool, at, bytes).is_err() {
            means.counters.segment_memcap += 1;
            return Err(());
        }
        let end = at + bytes.len() as u64;
        if !buffer.extend_last(at, end) {
            buffer.add(means.pool, at..end);
        }
        Ok(())
    }

    fn buffer<'b>(
        slot: &'b mut Option<Box<Buffer>>,
        means: &mut Means,
    ) -> Result<&'b mut Buffer, ()> {
        if slot.is_none() {
            match means.pool.buffer() {
                Ok(buffer) => *slot = Some(buffer),
                Err(_) => means.counters.segment_memcap += 1,
            }
        }
        slot.as_deref_mut().ok_or(())
    }

    /// Keeps bytes that are out of order, overlap others, hold an urgent byte, or wait for their
    /// acknowledgment.
    fn store(
        &mut self,
        at: u64,
        bytes: &[u8],
        urgent: Option<usize>,
        policy: Policy,
        means: &mut Means,
    ) -> bool {
        let len = bytes.len() as u64;
        let shown = self.shown();
        // Inline, every byte was shown when it came first.
        let policy = if means.config.mode == Mode::Inline { Policy::First } else { policy };
        let Ok(buffer) = Self::buffer(&mut self.buffer, means) else {
            means.counters.uninspected_memcap += len;
            means.events.raise(Event::NoSegment);
            return false;
        };
        if buffer.segments().len() >= means.config.segment_limit {
            // Give up the bounds of segments before giving up data.
            buffer.coalesce();
            if buffer.segments().len() >= means.config.segment_limit {
                means.events.raise(Event::InsertLimit);
                means.counters.segment_limit += 1;
                means.counters.uninspected_limit += len;
                return false;
            }
        }
        let segment = at..at + len;
        let written = if at >= self.right {
            // Nothing is there yet.
            buffer.write(means.pool, at, bytes).is_ok()
        } else {
            Self::note_overlap(buffer, at, bytes, means);
            Self::write_around(buffer, &segment, bytes, shown, policy, means)
        };
        if !written {
            means.events.raise(Event::InsertMemcap);
            means.counters.segment_memcap += 1;
            means.counters.uninspected_memcap += len;
            return false;
        }
        match urgent {
            None => buffer.add(means.pool, segment),
            Some(index) => Self::add_urgent(buffer, segment, index as u64, means),
        }
        true
    }

    /// Writes a segment around what stays: what is there and was shown, and what the policy prefers.
    /// False: not all of it fits the memory cap.
    fn write_around(
        buffer: &mut Buffer,
        segment: &Range<u64>,
        bytes: &[u8],
        shown: u64,
        policy: Policy,
        means: &mut Means,
    ) -> bool {
        let mut full = false;
        let mut put = |buffer: &mut Buffer, range: Range<u64>| {
            let index = |at: u64| usize::try_from(at.saturating_sub(segment.start));
            let (from, to) = (index(range.start), index(range.end));
            let part = bytes.get(from.unwrap_or(usize::MAX)..to.unwrap_or(0)).unwrap_or_default();
            full |= buffer.write(means.pool, range.start, part).is_err();
        };
        let mut done = segment.start;
        while done < segment.end {
            let stays = buffer
                .segments()
                .filter(|old| old.end > done && old.start < segment.end)
                .map(|old| {
                    let replaced = policy.takes_new(old, segment);
                    let end = if replaced { old.end.min(shown) } else { old.end };
                    old.start.max(done)..end.min(segment.end)
                })
                .filter(|range| !range.is_empty())
                .min_by_key(|range| range.start);
            let Some(stays) = stays else {
                put(buffer, done..segment.end);
                break;
            };
            put(buffer, done..stays.start);
            done = stays.end;
        }
        !full
    }

    /// Compares bytes that are not to be taken with what is kept.
    pub(super) fn compare(&self, first: u32, bytes: &[u8], means: &mut Means) {
        let at = seq::distance(self.base_seq, first);
        if let (Some(buffer), Ok(at)) = (&self.buffer, u64::try_from(at)) {
            Self::note_overlap(buffer, self.base + at, bytes, means);
        }
    }

    /// Whether these very bytes are kept in their place.
    pub(super) fn holds(&self, first: u32, mut bytes: &[u8]) -> bool {
        let begin = u64::try_from(seq::distance(self.base_seq, first));
        let (Some(buffer), Ok(begin)) = (&self.buffer, begin) else { return false };
        let mut next = self.base + begin;
        let end = next + bytes.len() as u64;
        if bytes.is_empty() || buffer.run(next).is_none_or(|r| r.start > next || r.end < end) {
            return false;
        }
        while !bytes.is_empty() {
            let kept = buffer.read(next, end);
            match bytes.strip_prefix(kept) {
                Some(rest) if !kept.is_empty() => bytes = rest,
                _ => return false,
            }
            next += kept.len() as u64;
        }
        true
    }

    /// Notes an overlap, and whether the copies differ.
    fn note_overlap(buffer: &Buffer, at: u64, bytes: &[u8], means: &mut Means) {
        let end = at + bytes.len() as u64;
        let mut overlap = false;
        let mut different = false;
        let mut from = at;
        while let Some(run) = buffer.run(from).filter(|run| run.start < end) {
            overlap = true;
            let stop = run.end.min(end);
            let mut next = run.start;
            while next < stop && !different {
                let old = buffer.read(next, stop);
                let index = usize::try_from(next - at).unwrap_or(usize::MAX);
                let new = bytes.get(index..).and_then(|rest| rest.get(..old.len()));
                different = new != Some(old);
                next += (old.len() as u64).max(1);
            }
            from = run.end;
        }
        if overlap {
            means.counters.overlaps += 1;
        }
        if different && (means.config.check_overlap || means.config.mode == Mode::Inline) {
            means.events.raise(Event::OverlapDifferentData);
            means.counters.overlaps_different_data += 1;
        }
    }

    fn add_urgent(buffer: &mut Buffer, segment: Range<u64>, index: u64, means: &mut Means) {
        let byte = segment.start + index;
        match means.config.urgent {
            UrgentPolicy::Gap => {
                let around = [segment.start..byte, byte + 1..segment.end];
                for part in around.into_iter().filter(|part| !part.is_empty()) {
                    buffer.add(means.pool, part);
                }
                means.counters.urgent += 1;
                return;
            }
            UrgentPolicy::OutOfBand if buffer.urgent_len() < URGENT_LIMIT => {
                means.counters.urgent += u64::from(buffer.mark_urgent(means.pool, byte));
            }
            UrgentPolicy::OutOfBand => means.events.raise(Event::UrgentLimit),
            UrgentPolicy::Inline | UrgentPolicy::Drop => {}
        }
        buffer.add(means.pool, segment);
    }

    /// Gives up the first hole where too much waits behind it.
    fn limit_hole(&mut self, acked: u64, means: &Means) {
        if means.config.mode == Mode::Acked {
            return;
        }
        let Some(buffer) = &self.buffer else { return };
        let from = if self.app_is_off() { self.raw } else { self.app };
        let next = buffer.run(from.max(self.lost));
        let next = match next {
            // Skip what is in order already.
            Some(run) if run.start <= from => buffer.run(run.end),
            other => other,
        };
        let Some(behind) = next else { return };
        let waits = buffer.segments().filter(|s| s.start >= behind.start);
        let bytes = waits.fold(0_u64, |sum, s| sum.saturating_add(s.end - s.start));
        if bytes > u64::from(means.config.gap_limit) && acked < behind.start {
            self.lost = behind.start;
        }
    }

    /// Bytes missing at the parser's progress, where they are given up.
    pub(super) fn app_gap(&self, acked: u64, acked_mode: bool) -> Option<u64> {
        let run = self.run(self.app).filter(|_| !self.app_is_off())?;
        self.is_gap(&(self.app..run.start), acked, acked_mode).then_some(run.start - self.app)
    }

    /// Whether showing the data now will come to a hole that is given up.
    #[inline]
    pub(super) fn has_gap_ahead(&self, acked: u64, acked_mode: bool) -> bool {
        let from = if self.app_is_off() { self.raw } else { self.app };
        // Most often nothing came that was not shown.
        from < self.right && self.has_gap_from(from, acked, acked_mode)
    }

    fn has_gap_from(&self, from: u64, acked: u64, acked_mode: bool) -> bool {
        let Some(run) = self.run(from) else { return false };
        if run.start > from {
            return self.is_gap(&(from..run.start), acked, acked_mode);
        }
        if run.end >= self.right {
            return false;
        }
        let next = self.run(run.end).filter(|next| next.start > run.end);
        next.is_some_and(|next| self.is_gap(&(run.end..next.start), acked, acked_mode))
    }

    /// As Suricata has it, an acknowledgment into the hole is enough for parsers.
    fn is_gap(&self, hole: &Range<u64>, acked: u64, acked_mode: bool) -> bool {
        !hole.is_empty() && (self.is_lost(hole, acked) || (acked_mode && acked > hole.start))
    }

    /// The first bytes that are there, from `from` on, in the buffer or in the packet at hand.
    pub(super) fn run(&self, from: u64) -> Option<Range<u64>> {
        let fresh = self.fresh.filter(|fresh| !fresh.kept).map(|f| f.at..f.at + u64::from(f.len));
        let fresh = fresh.filter(|fresh| fresh.end > from);
        let kept = self.buffer.as_ref().and_then(|buffer| buffer.run(from));
        match (kept, fresh) {
            // What is only in the packet lies behind all that is kept.
            (Some(kept), Some(fresh)) if kept.end >= fresh.start => Some(kept.start..fresh.end),
            (Some(kept), _) => Some(kept),
            (None, fresh) => fresh.map(|fresh| fresh.start.max(from)..fresh.end),
        }
    }

    /// Moves the parser on by `taken` bytes of those it was shown (none behind `end`); urgent bytes it was
    /// not shown go with them.
    pub(super) fn consume_app(&mut self, taken: u64, end: u64) {
        let mut left = taken;
        while left > 0 && self.app < end {
            let urgent = self.buffer.as_ref().and_then(|buffer| buffer.next_urgent(self.app));
            match urgent.filter(|byte| *byte < end) {
                Some(byte) if byte - self.app < left => {
                    left -= byte - self.app;
                    self.app = byte + 1;
                    self.app_urgent = self.app_urgent.saturating_add(1);
                }
                _ => {
                    self.app = (self.app + left).min(end);
                    left = 0;
                }
            }
        }
    }

    /// The packet at hand, where inline inspection wants it: the whole of it that is in the stream.
    pub(super) fn inline_range(&self) -> Option<Range<u64>> {
        let fresh = self.fresh?;
        Some(fresh.at..fresh.at + u64::from(fresh.len))
    }

    /// After a packet: keeps what is still needed of it, lets go what is not. `look_back`: bytes before the
    /// raw progress that stay readable.
    #[inline]
    pub(super) fn settle(&mut self, payload: &[u8], acked: u64, look_back: u64, means: &mut Means) {
        if self.is_off() {
            self.release(means.pool, means.counters);
            self.fresh = None;
            return;
        }
        if let Some(fresh) = self.fresh {
            self.fresh = None;
            if !fresh.kept {
                self.keep_rest(fresh, payload, means);
            }
        }
        let shown = match (self.raw_is_off(), self.app_is_off()) {
            (false, false) => self.raw.min(self.app),
            (false, true) => self.raw,
            _ => self.app,
        };
        let mut base = shown;
        if !self.raw_is_off() {
            base = base.min(self.raw.saturating_sub(look_back));
        }
        // What is sent again is judged by the base, whether bytes are kept from there on or not.
        let mut kept = if self.is_watched() { base } else { shown };
        if means.config.check_overlap {
            let retain = if means.config.acks_unseen { RETAIN_UNSEEN } else { RETAIN };
            let unacked = |from: u64| from.min(acked).max(shown.saturating_sub(retain)).min(shown);
            (base, kept) = (unacked(base), unacked(kept));
        }
        self.slide(base, kept, means.pool);
    }

    /// The application left bytes of the packet at hand that nobody kept.
    fn keep_rest(&mut self, fresh: Fresh, payload: &[u8], means: &mut Means) {
        let end = fresh.at + u64::from(fresh.len);
        if self.app_is_off() || self.app >= end {
            return;
        }
        let from = self.app.max(fresh.at);
        let index = u64::from(fresh.from) + (from - fresh.at);
        let rest = usize::try_from(index).ok().and_then(|index| payload.get(index..));
        let len = usize::try_from(end - from).unwrap_or(0);
        let Some(rest) = rest.and_then(|rest| rest.get(..len)) else { return };
        if self.append(from, rest, means).is_err() {
            means.counters.uninspected_memcap += rest.len() as u64;
            self.app = end;
        }
    }

    #[inline]
    fn slide(&mut self, base: u64, kept: u64, pool: &mut Pool) {
        if base > self.base {
            // Modulo 2^32, as sequence numbers are.
            let step = base - self.base;
            self.base = base;
            self.base_seq = self.base_seq.wrapping_add(step as u32);
        }
        let Some(buffer) = &mut self.buffer else { return };
        buffer.slide(pool, kept.max(self.base));
        if buffer.is_empty()
            && let Some(buffer) = self.buffer.take()
        {
            pool.give_back(buffer);
        }
    }

    /// Lets everything go; what nobody has seen of it is counted.
    pub(super) fn release(&mut self, pool: &mut Pool, counters: &mut Counters) {
        let Some(buffer) = self.buffer.take() else { return };
        let mut from = self.raw.max(self.app);
        while let Some(run) = buffer.run(from) {
            counters.uninspected_stopped += run.end - run.start;
            from = run.end;
        }
        pool.give_back(buffer);
        self.raw = self.raw.max(self.right);
        self.app = self.app.max(self.right);
    }
}

/// Bytes before the raw progress that stay readable.
pub(super) fn look_back(config: &Config, to_server: bool) -> u64 {
    let window = match config.mode {
        Mode::Inline => chunk_size(config, to_server),
        Mode::Immediate | Mode::Acked => 0,
    };
    u64::from(config.look_back.max(window))
}

/// Bytes of a chunk of raw data.
pub(super) fn chunk_size(config: &Config, to_server: bool) -> u32 {
    if to_server { config.to_server_chunk } else { config.to_client_chunk }
}
