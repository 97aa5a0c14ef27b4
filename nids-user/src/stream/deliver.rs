//! Shows the data of a session: raw to the rules, in order to the application layer.
//!
//! Raw data comes as [`Chunk`]s, one behind the other: the pattern matcher can carry its state from one
//! to the next, and look back where a hit needs what came before. In [`Mode::Acked`] a chunk is what
//! Suricata inspects at that packet (src/stream-tcp-reassemble.c, StreamReassembleRaw): what the receiver
//! acknowledged, once it is a chunk's size, or at once where the session ends. In [`Mode::Inline`] it is
//! a window around the packet, and chunks overlap.

use std::ops::Range;

use super::buffer::Buffer;
use super::config::Mode;
use super::context::StreamContext;
use super::event::Events;
use super::half::Half;
use super::reassembly::{Fresh, Means, Reassembly, chunk_size, look_back};
use super::session::{Session, fact};
use super::state::State;
use crate::flow::FlowDirection;

/// Bytes of one chunk, at most; where more is ready, it comes in several.
const MAX_CHUNK: u64 = 256 << 10;

/// Consecutive bytes of one direction.
#[derive(Clone, Copy)]
pub struct Chunk<'a> {
    /// Position of the first byte in the stream, from 0. Urgent bytes that were taken out and holes do
    /// not and do count, in this order.
    pub offset: u64,
    /// The bytes.
    pub data: &'a [u8],
    /// Bytes at the begin of `data` that an earlier chunk had too; 0 but for [`Mode::Inline`].
    pub seen: usize,
    /// Bytes that are missing between the last chunk and this one.
    pub gap_before: u64,
    /// The hole behind `data` is given up: what is not consumed now never will be completed.
    pub gap_behind: bool,
    /// Nothing was shown before.
    pub start: bool,
    /// Nothing will be shown any more. `data` may be empty.
    pub end: bool,
    at: u64,
    buffer: Option<&'a Buffer>,
}

impl Chunk<'_> {
    /// Appends to `out` the bytes that lie right before the chunk: `n`, or as many as are kept.
    pub fn copy_before(&self, n: usize, out: &mut Vec<u8>) {
        let Some(buffer) = self.buffer.filter(|_| n > 0) else { return };
        // The last run of kept bytes that ends where the chunk begins.
        let mut run = buffer.run(self.at.saturating_sub(n as u64));
        while let Some(before) = run.as_ref().filter(|run| run.end < self.at) {
            run = buffer.run(before.end);
        }
        if let Some(run) = run.filter(|run| run.start < self.at) {
            buffer.copy_to(run.start..self.at, out);
        }
    }
}

/// Where a range's bytes are.
fn bytes<'b>(
    range: &Range<u64>,
    fresh: Option<Fresh>,
    payload: &'b [u8],
    buffer: Option<&'b Buffer>,
    scratch: &'b mut Vec<u8>,
) -> &'b [u8] {
    if let Some(fresh) = fresh
        && range.start >= fresh.at
        && range.end <= fresh.at + u64::from(fresh.len)
        && let Ok(from) = usize::try_from(u64::from(fresh.from) + (range.start - fresh.at))
        && let Ok(len) = usize::try_from(range.end - range.start)
        && let Some(bytes) = payload.get(from..from.saturating_add(len))
    {
        return bytes;
    }
    let Some(buffer) = buffer else { return &[] };
    let urgent = buffer.next_urgent(range.start).is_some_and(|byte| byte < range.end);
    let whole = buffer.read(range.start, range.end);
    if !urgent && whole.len() as u64 == range.end - range.start {
        return whole;
    }
    scratch.clear();
    buffer.copy_to(range.clone(), scratch);
    // What is only in the packet lies behind what is kept.
    if let Some(fresh) = fresh.filter(|fresh| !fresh.kept && fresh.at < range.end) {
        let len = usize::try_from(range.end - fresh.at).unwrap_or(0);
        let from = usize::try_from(fresh.from).unwrap_or(usize::MAX);
        scratch.extend_from_slice(payload.get(from..from.saturating_add(len)).unwrap_or_default());
    }
    scratch
}

/// The next bytes of a reader that stands at `from`: the hole before them, and their range.
fn next(
    data: &Reassembly,
    from: u64,
    acked: u64,
    mode: Mode,
    all: bool,
) -> Option<(u64, Range<u64>)> {
    let run = match data.fresh() {
        // It was appended, so nothing lies behind it.
        Some(fresh) if fresh.at == from => fresh.at..fresh.at + u64::from(fresh.len),
        _ => data.run(from)?,
    };
    let hole = from..run.start;
    if !hole.is_empty() && !all && !data.is_lost(&hole, acked) {
        return None;
    }
    let mut end = run.end.min(run.start.saturating_add(MAX_CHUNK));
    if mode == Mode::Acked && !all {
        end = end.min(acked);
    }
    (run.start < end).then(|| (hole.end - hole.start, run.start..end))
}

impl Session {
    fn half(&self, direction: FlowDirection) -> &Half {
        match direction {
            FlowDirection::ToServer => &self.client,
            FlowDirection::ToClient => &self.server,
        }
    }

    pub(super) fn half_mut(&mut self, direction: FlowDirection) -> &mut Half {
        match direction {
            FlowDirection::ToServer => &mut self.client,
            FlowDirection::ToClient => &mut self.server,
        }
    }

    /// Shows raw data of `direction` to the rules, at a packet of that direction whose payload is
    /// `payload` (empty where the packet at hand goes the other way).
    pub fn raw(
        &mut self,
        cx: &mut StreamContext,
        direction: FlowDirection,
        payload: &[u8],
        f: &mut impl FnMut(Chunk),
    ) {
        let to_server = direction == FlowDirection::ToServer;
        let state = self.state;
        // As in Suricata, a packet that does not belong to the session shows nothing of it.
        let held = self.has(fact::INVALID_PACKET);
        let half = self.half_mut(direction);
        if half.data.raw_is_off() {
            return;
        }
        match cx.config.mode {
            Mode::Inline => half.show_window(cx, payload, to_server, f),
            Mode::Immediate => half.show_raw(cx, payload, false, f),
            Mode::Acked if held => {}
            Mode::Acked => {
                let ready = half.acked().saturating_sub(half.data.raw);
                // Without parsers nothing is gained by waiting for more.
                let least = match cx.config.app_layer && !half.data.app_is_off() {
                    true => u64::from(chunk_size(&cx.config, to_server)),
                    false => 1,
                };
                let enough = ready >= least;
                if half.data.take_flush(cx.config.depth) || state > State::TimeWait || enough {
                    half.show_raw(cx, payload, false, f);
                }
            }
        }
    }

    /// Shows data of `direction` to its application-layer parser, in order. The closure says how many
    /// bytes it took; the others come again, with what follows them, in the next call.
    pub fn app(
        &mut self,
        cx: &mut StreamContext,
        direction: FlowDirection,
        payload: &[u8],
        f: &mut impl FnMut(Chunk) -> usize,
    ) {
        let half = self.half_mut(direction);
        half.show_app(cx, payload, false, f);
    }

    /// As [`Session::app`], at the end of the flow: what was not acknowledged too, unless the session closed in
    /// order.
    pub fn app_rest(
        &mut self,
        cx: &mut StreamContext,
        direction: FlowDirection,
        f: &mut impl FnMut(Chunk) -> usize,
    ) {
        let all =
            self.state < State::Closed || self.closed_by_rst() || cx.config.mode != Mode::Acked;
        self.half_mut(direction).show_app(cx, &[], all, f);
    }

    /// The end of `direction`: its flow is over, or its memory is wanted. Shows the rest, acknowledged or
    /// not, first to the parser, then to the rules; each reader gets an `end`.
    pub fn finish(
        &mut self,
        cx: &mut StreamContext,
        direction: FlowDirection,
        app: &mut impl FnMut(Chunk) -> usize,
        raw: &mut impl FnMut(Chunk),
    ) {
        // A session that closed in order has only what was acknowledged, for the parser.
        let all = self.state < State::Closed || self.closed_by_rst();
        let half = self.half_mut(direction);
        if !half.data.app_is_off() {
            half.show_app(cx, &[], all || cx.config.mode != Mode::Acked, app);
            let end =
                Chunk { end: true, ..half.data.empty_chunk(half.data.app, half.data.app_urgent) };
            app(end);
        }
        if !half.data.raw_is_off() {
            // Inline, every packet was shown when it came.
            if cx.config.mode != Mode::Inline {
                half.show_raw(cx, &[], true, raw);
            }
            raw(Chunk { end: true, ..half.data.empty_chunk(half.data.raw, half.data.raw_urgent) });
        }
        half.data.stop_app();
        half.data.stop_raw();
        half.data.release(&mut cx.pool, &mut cx.counters);
    }

    /// Whether [`Session::finish`] would show data that was not shown yet.
    pub fn has_unseen(&self, direction: FlowDirection) -> bool {
        let data = &self.half(direction).data;
        (!data.raw_is_off() && data.run(data.raw).is_some())
            || (!data.app_is_off() && data.run(data.app).is_some())
    }

    /// Appends the last bytes of `direction` that were shown to the rules, `most` at most and as far as they
    /// are still at hand. `payload` is that of the packet at hand, which goes this way.
    pub fn shown(&self, direction: FlowDirection, payload: &[u8], most: usize, out: &mut Vec<u8>) {
        let data = &self.half(direction).data;
        let end = data.raw;
        let fresh = data.fresh().filter(|fresh| !fresh.kept && fresh.at < end);
        // What is only in the packet lies behind what is kept.
        let kept_end = fresh.map_or(end, |fresh| fresh.at);
        let from = end.saturating_sub(most as u64);
        if let Some(buffer) = data.buffer.as_deref() {
            let mut run = buffer.run(from);
            while let Some(before) = run.as_ref().filter(|run| run.end < kept_end) {
                run = buffer.run(before.end);
            }
            if let Some(run) = run.filter(|run| run.start < kept_end) {
                buffer.copy_to(run.start..kept_end, out);
            }
        }
        if let Some(fresh) = fresh {
            let begin = usize::try_from(fresh.from).unwrap_or(usize::MAX);
            let length = usize::try_from(end - fresh.at).unwrap_or(usize::MAX);
            let length = length.min(usize::try_from(fresh.len).unwrap_or(0));
            let skip = usize::try_from(from.saturating_sub(fresh.at)).unwrap_or(0).min(length);
            let bytes = payload.get(begin + skip..begin.saturating_add(length));
            out.extend_from_slice(bytes.unwrap_or_default());
        }
    }

    /// After a packet was inspected: lets go what nobody needs any more. `payload` is the packet's, and
    /// `direction` its direction.
    pub fn settle(&mut self, cx: &mut StreamContext, direction: FlowDirection, payload: &[u8]) {
        let mut none = Events::default();
        let mut means = Means {
            config: &cx.config,
            pool: &mut cx.pool,
            counters: &mut cx.counters,
            events: &mut none,
        };
        let (to_server, to_client) = match direction {
            FlowDirection::ToServer => (payload, &[][..]),
            FlowDirection::ToClient => (&[][..], payload),
        };
        let (client, server) = (&mut self.client, &mut self.server);
        let look_back = |to_server| look_back(&cx.config, to_server);
        let acked = client.acked();
        client.data.settle(to_server, acked, look_back(true), &mut means);
        let acked = server.acked();
        server.data.settle(to_client, acked, look_back(false), &mut means);
    }

    /// Asks for raw data of `direction` to be shown at its next packet, however little it is: a parser
    /// has found the end of a message.
    pub fn flush_raw(&mut self, direction: FlowDirection) {
        self.half_mut(direction).data.request_flush();
    }

    /// Whether rules look at raw data of `direction`, as they do until this is said. While none does,
    /// [`Session::raw`] passes over it, and what was passed over is kept no longer than until it is
    /// acknowledged.
    pub fn watch_raw(&mut self, direction: FlowDirection, watched: bool) {
        self.half_mut(direction).data.watch(watched);
    }

    /// No rule wants raw data of `direction` any more.
    pub fn stop_raw(&mut self, direction: FlowDirection) {
        self.half_mut(direction).data.stop_raw();
    }

    /// No parser reads `direction` any more.
    pub fn stop_app(&mut self, direction: FlowDirection) {
        self.half_mut(direction).data.stop_app();
    }

    /// Whether nothing more of `direction` will be shown: its depth is used up, or nobody reads it.
    pub fn is_done(&self, cx: &StreamContext, direction: FlowDirection) -> bool {
        let data = &self.half(direction).data;
        let depth = u64::from(cx.config.depth);
        let used_up = |progress: u64| depth != 0 && progress >= depth;
        (data.raw_is_off() || used_up(data.raw)) && (data.app_is_off() || used_up(data.app))
    }

    /// Bytes of its stream that `direction` has sent, modulo 2^32.
    pub fn sent(&self, direction: FlowDirection) -> u32 {
        let half = self.half(direction);
        half.next_seq.wrapping_sub(half.isn.wrapping_add(1))
    }

    /// Bytes of `direction` that its receiver has acknowledged, its sender sent, and the rules were
    /// shown: what `stream_size` and the flow record ask for.
    pub fn progress(&self, direction: FlowDirection) -> Progress {
        let half = self.half(direction);
        Progress {
            sent: half.next_seq.wrapping_sub(half.isn),
            acked: half.last_ack.wrapping_sub(half.isn).saturating_sub(1),
            raw: half.data.raw,
            app: half.data.app,
        }
    }
}

/// How far a direction has come, in bytes of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Sent, modulo 2^32, with SYN and FIN, which take a sequence number each: `stream_size`.
    pub sent: u32,
    /// Acknowledged, modulo 2^32.
    pub acked: u32,
    /// Shown to the rules.
    pub raw: u64,
    /// Consumed by the parser.
    pub app: u64,
}

impl Reassembly {
    fn empty_chunk(&self, at: u64, urgent: u32) -> Chunk<'_> {
        Chunk {
            offset: at.saturating_sub(u64::from(urgent)),
            data: &[],
            seen: 0,
            gap_before: 0,
            gap_behind: false,
            start: at == 0,
            end: false,
            at,
            buffer: self.buffer.as_deref(),
        }
    }
}

impl Half {
    /// Offset up to which the receiver has acknowledged.
    pub(super) fn acked(&self) -> u64 {
        self.data.offset(self.last_ack)
    }

    fn show_raw(
        &mut self,
        cx: &mut StreamContext,
        payload: &[u8],
        all: bool,
        f: &mut impl FnMut(Chunk),
    ) {
        let acked = self.acked();
        let data = &mut self.data;
        let ready = match cx.config.mode {
            Mode::Acked if !all => data.right.min(acked),
            _ => data.right,
        };
        while data.raw < ready
            && let Some((gap, range)) = next(data, data.raw, acked, cx.config.mode, all)
        {
            let buffer = data.buffer.as_deref();
            let urgent = buffer.map_or(0, |buffer| buffer.urgent_in(&range));
            if gap > 0 && data.app_is_off() {
                cx.counters.gaps += 1;
                cx.counters.gap_bytes += gap;
            }
            let shown = match data.is_watched() {
                true => bytes(&range, data.fresh(), payload, buffer, &mut cx.scratch),
                false => &[],
            };
            if !shown.is_empty() {
                f(Chunk {
                    data: shown,
                    gap_before: gap,
                    start: data.raw == 0,
                    ..data.empty_chunk(range.start, data.raw_urgent)
                });
            }
            data.raw_urgent = data.raw_urgent.saturating_add(u32::try_from(urgent).unwrap_or(0));
            data.raw = range.end;
        }
    }

    fn show_app(
        &mut self,
        cx: &mut StreamContext,
        payload: &[u8],
        all: bool,
        f: &mut impl FnMut(Chunk) -> usize,
    ) {
        let acked = self.acked();
        let acked_mode = cx.config.mode == Mode::Acked;
        let data = &mut self.data;
        while !data.app_is_off() {
            // In Acked mode an acknowledgment into the hole is enough to give it up.
            if let Some(gap) = data.app_gap(acked, acked_mode) {
                cx.counters.gaps += 1;
                cx.counters.gap_bytes += gap;
                data.app_lost += gap;
                data.app += gap;
            }
            let Some((gap, range)) = next(data, data.app, acked, cx.config.mode, all) else {
                break;
            };
            data.app_lost += gap;
            data.app += gap;
            let buffer = data.buffer.as_deref();
            let shown = bytes(&range, data.fresh(), payload, buffer, &mut cx.scratch);
            let skipped = range.end - range.start - shown.len() as u64;
            let behind = data.run(range.end).filter(|next| next.start > range.end);
            let gap_behind =
                behind.is_some_and(|next| all || data.is_lost(&(range.end..next.start), acked));
            let gap_before = data.app_lost;
            let taken = if shown.is_empty() {
                0
            } else {
                f(Chunk {
                    data: shown,
                    gap_before,
                    gap_behind,
                    start: data.app == 0,
                    ..data.empty_chunk(range.start, data.app_urgent)
                })
            };
            if !shown.is_empty() {
                data.app_lost = 0;
            }
            if taken >= shown.len() || gap_behind {
                data.app_urgent =
                    data.app_urgent.saturating_add(u32::try_from(skipped).unwrap_or(0));
                data.app = range.end;
            } else {
                data.consume_app(taken as u64, range.end);
                break;
            }
        }
    }

    /// The window around the packet at hand, as Suricata's inline mode cuts it.
    fn show_window(
        &mut self,
        cx: &mut StreamContext,
        payload: &[u8],
        to_server: bool,
        f: &mut impl FnMut(Chunk),
    ) {
        let acked = self.acked();
        let data = &mut self.data;
        let Some(packet) = data.inline_range().filter(|_| !payload.is_empty()) else { return };
        let chunk = u64::from(chunk_size(&cx.config, to_server));
        // Whole runs, so begin where the oldest kept bytes are.
        let mut from = data.base();
        while data.is_watched()
            && let Some(run) = data.run(from).filter(|run| run.start < packet.end)
        {
            from = run.end;
            let part = packet.start.max(run.start)..packet.end.min(run.end);
            if part.is_empty() {
                continue;
            }
            let len = part.end - part.start;
            let size = if len > 2 * (chunk / 3) { len + chunk / 3 } else { chunk };
            let window = cut_window(&run, &part, size);
            let buffer = data.buffer.as_deref();
            let shown = bytes(&window, data.fresh(), payload, buffer, &mut cx.scratch);
            let seen = part.start.saturating_sub(window.start).min(shown.len() as u64);
            f(Chunk {
                data: shown,
                seen: usize::try_from(seen).unwrap_or(0),
                gap_before: run.start.saturating_sub(data.raw),
                start: data.raw == 0 && window.start == 0,
                ..data.empty_chunk(window.start, data.raw_urgent)
            });
        }
        // Packets behind a hole were shown already, but the hole holds the progress until it is lost.
        while let Some(run) = data.run(data.raw)
            && (run.start == data.raw || data.is_lost(&(data.raw..run.start), acked))
        {
            data.raw = run.end;
        }
    }
}

/// `size` bytes of `run` around `packet`: what is before is cut first, then both sides evenly.
fn cut_window(run: &Range<u64>, packet: &Range<u64>, size: u64) -> Range<u64> {
    let (before, after) = (packet.start - run.start, run.end - packet.end);
    let len = packet.end - packet.start;
    if before + len + after <= size {
        return run.clone();
    }
    let room = size.saturating_sub(len);
    let half = room / 2;
    let (before, after) = match (before >= half, after >= half) {
        (true, true) if after == 0 => (room, 0),
        (true, true) => (half, half),
        (true, false) => (before.min(room - after), after),
        (false, _) => (before, after.min(room - before)),
    };
    packet.start - before..packet.end + after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_cut_as_suricata_does() {
        let run = 0..10_000;
        assert_eq!(cut_window(&(0..1000), &(900..1000), 2560), 0..1000);
        assert_eq!(cut_window(&run, &(9000..10_000), 2560), 7440..10_000);
        assert_eq!(cut_window(&run, &(0..1000), 2560), 0..2560);
        assert_eq!(cut_window(&run, &(5000..6000), 2560), 4220..6780);
        assert_eq!(cut_window(&run, &(100..1100), 2560), 0..2560);
        assert_eq!(cut_window(&run, &(8950..9950), 2560), 7440..10_000);
    }
}
