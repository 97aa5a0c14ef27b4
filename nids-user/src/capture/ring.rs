//! The rings of one worker: drained in place, in the order of time, without a wake-up per record.
//!
//! The kernel half fills one ring per processor and worker. A drain merges the worker's rings by the
//! time in the records and hands each frame out where it lies in the ring; nothing is copied or
//! allocated. Every record is checked before it is believed. What a frame means is left to `decode`,
//! making the rings to `xdp`.
//!
//! **Order.** Records of one processor come in the order they were made. Between processors they are
//! merged by time; the youngest [`SETTLE_NS`] of a batch wait for the next one, since another processor
//! may be about to finish an older record. A processor held up for longer than that between reading
//! the clock and finishing its record can still deliver it late, never twice and never lost.
//!
//! **Rest.** A consumer that naps is faster than one that spins, for the two do not fight over the
//! ring's cache lines, and far cheaper than a wake-up per record. After [`NAPS`] empty naps the worker
//! asks the kernel half for one wake-up, looks once more, and blocks.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::Duration;

use aya::maps::{Array, MapData, RingBuf};
use nids_abi::{FLAG_EGRESS, FLAG_VLAN_OFFLOAD, MAX_CAPTURE, RecordHeader};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::time::{ClockId, clock_gettime};

use super::{Direction, Frame, LinkType, Timestamp};

/// Bytes in front of the frame.
const HEADER: usize = size_of::<RecordHeader>();
/// Records younger than this wait for the next drain, where rings have to be merged.
pub const SETTLE_NS: u64 = 20_000;
/// Records one drain hands out at most, so that the worker looks up now and then.
pub const BATCH: usize = 8192;
/// Empty naps before the worker blocks.
pub const NAPS: u32 = 8;
/// Longest time blocked: a lost wake-up costs this and no more.
const BACKSTOP_MS: u8 = 100;
/// How long the distance between the two clocks is believed.
const CLOCK_NS: u64 = 500_000_000;

/// How far a drain goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// At most [`BATCH`] records, the youngest left to settle.
    Batch,
    /// Every record made up to this time (`CLOCK_MONOTONIC`, ns).
    Time(u64),
}

/// What one worker's rings gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingCounters {
    /// Records taken out.
    pub received: u64,
    /// Of these, records that made no sense and were not handed on.
    pub malformed: u64,
}

/// Wakes a worker that naps or blocks. Made by [`Rings::waker`].
#[derive(Debug)]
pub struct Waker(EventFd);

impl Waker {
    /// Wakes it, now or when it next blocks.
    pub fn wake(&self) {
        // Fails only where the counter is full, and then it will wake anyway.
        let _ = self.0.write(1);
    }
}

/// The rings of one worker.
pub struct Rings {
    rings: Vec<Ring>,
    heads: Vec<u64>,
    reader: Reader,
    rest: Rest,
}

struct Ring {
    /// Index in the kernel's table of rings.
    index: u32,
    buffer: RingBuf<MapData>,
}

impl Rings {
    /// Takes the rings with their indexes, a handle on the `WANT` map, and the number of capture ports.
    ///
    /// # Errors
    /// The process is out of file descriptors.
    pub(super) fn new(
        rings: Vec<(u32, RingBuf<MapData>)>,
        want: Array<MapData, u32>,
        ports: u16,
        nap: Duration,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let wake = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let readable = || EpollEvent::new(EpollFlags::EPOLLIN, 0);
        epoll.add(&wake, readable())?;
        for (_, buffer) in &rings {
            epoll.add(buffer, readable())?;
        }
        Ok(Self {
            heads: vec![EMPTY; rings.len()],
            rings: rings.into_iter().map(|(index, buffer)| Ring { index, buffer }).collect(),
            reader: Reader { ports, clock: Clock::default(), counters: RingCounters::default() },
            rest: Rest { want, epoll, wake, nap, empty: 0, armed: false },
        })
    }

    /// A way to wake the worker from another thread.
    ///
    /// # Errors
    /// The process is out of file descriptors.
    pub fn waker(&self) -> io::Result<Waker> {
        let fd: OwnedFd = self.rest.wake.as_fd().try_clone_to_owned()?;
        // SAFETY: a duplicate of an eventfd is one.
        Ok(Waker(unsafe { EventFd::from_owned_fd(fd) }))
    }

    /// Hands out frames with the lowest bit of the generation of the tables that let them through;
    /// gives the number of records taken.
    pub fn drain(&mut self, until: Until, frame: &mut impl FnMut(&Frame<'_>, u8)) -> usize {
        let now = monotonic_ns();
        self.reader.clock.refresh(now);
        let (horizon, limit) = match until {
            // One ring needs no merge, and so no settling.
            Until::Batch if self.rings.len() == 1 => (u64::MAX - 1, BATCH),
            Until::Batch => (now.saturating_sub(SETTLE_NS), BATCH),
            Until::Time(time) => (time, usize::MAX),
        };
        let reader = &mut self.reader;
        merge(&mut self.rings, &mut self.heads, horizon, limit, |record| {
            reader.read(record, frame);
        })
    }

    /// What to do behind a batch that had `drained` records: go on, nap, or ask for a wake-up and block.
    pub fn rest(&mut self, drained: usize) {
        self.rest.after(drained, &self.rings);
    }

    /// Counters so far.
    pub fn counters(&self) -> RingCounters {
        self.reader.counters
    }
}

// ------------------------------------------------------------------------------------------ merge

/// Time of a ring that has nothing to give.
const EMPTY: u64 = u64::MAX;

/// A ring, or what a test puts in its place.
trait Queue {
    /// Time of the oldest record, which stays.
    fn peek(&mut self) -> Option<u64>;
    /// Takes the oldest record.
    fn pop(&mut self, take: impl FnOnce(&[u8]));
}

impl Queue for Ring {
    fn peek(&mut self) -> Option<u64> {
        let item = self.buffer.next()?;
        // A record too short to have a time goes first, and is then refused.
        let time = item.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        // The ring moves on when an item is dropped. Without that, the next look finds it again.
        std::mem::forget(item);
        Some(time)
    }
    fn pop(&mut self, take: impl FnOnce(&[u8])) {
        if let Some(item) = self.buffer.next() {
            take(&item);
        }
    }
}

/// Takes records in the order of time while they are not younger than `horizon`, at most `limit`.
fn merge<Q: Queue>(
    queues: &mut [Q],
    heads: &mut [u64],
    horizon: u64,
    limit: usize,
    mut take: impl FnMut(&[u8]),
) -> usize {
    for (queue, head) in queues.iter_mut().zip(heads.iter_mut()) {
        *head = queue.peek().unwrap_or(EMPTY);
    }
    let mut taken = 0;
    loop {
        let (mut first, mut oldest, mut second) = (0, EMPTY, EMPTY);
        for (index, head) in heads.iter().enumerate() {
            if *head < oldest {
                (first, second, oldest) = (index, oldest, *head);
            } else {
                second = second.min(*head);
            }
        }
        let (Some(queue), Some(head)) = (queues.get_mut(first), heads.get_mut(first)) else {
            return taken;
        };
        // A run out of one ring, as long as it stays the oldest, costs no look at the others.
        let run = second.min(horizon).min(EMPTY - 1);
        if *head > run {
            return taken;
        }
        while *head <= run {
            if taken == limit {
                return taken;
            }
            queue.pop(&mut take);
            taken += 1;
            *head = queue.peek().unwrap_or(EMPTY);
        }
    }
}

// --------------------------------------------------------------------------------------- records

/// Makes frames of records.
struct Reader {
    ports: u16,
    clock: Clock,
    counters: RingCounters,
}

impl Reader {
    fn read(&mut self, record: &[u8], frame: &mut impl FnMut(&Frame<'_>, u8)) {
        self.counters.received += 1;
        match parse(record, self.ports, &self.clock) {
            Some((found, generation)) => frame(&found, generation),
            None => self.counters.malformed += 1,
        }
    }
}

fn parse<'a>(record: &'a [u8], ports: u16, clock: &Clock) -> Option<(Frame<'a>, u8)> {
    let (header, bytes) = record.split_at_checked(HEADER)?;
    // SAFETY: as long as the type, which has only integers, so that all bit patterns are valid.
    let header = unsafe { header.as_ptr().cast::<RecordHeader>().read_unaligned() };
    let captured = usize::try_from(header.captured_len).ok()?;
    let sound = captured <= MAX_CAPTURE
        && header.captured_len <= header.wire_len
        && header.port < ports
        && header.generation <= 1;
    let data = bytes.get(..captured).filter(|_| sound)?;
    let direction = match header.flags & FLAG_EGRESS {
        0 => Direction::Ingress,
        _ => Direction::Egress,
    };
    let frame = Frame {
        time: clock.wall(header.time_ns),
        link: LinkType::Ethernet,
        data,
        wire_len: header.wire_len,
        port: header.port,
        direction,
        vlan_offload: (header.flags & FLAG_VLAN_OFFLOAD != 0).then_some(header.vlan_tci),
        number: 0,
    };
    Some((frame, header.generation))
}

/// The distance from `CLOCK_MONOTONIC`, which the kernel half reads, to the time of day. It changes when
/// somebody sets the clock.
#[derive(Debug, Default)]
struct Clock {
    distance: i128,
    until: u64,
}

impl Clock {
    fn refresh(&mut self, now: u64) {
        if now >= self.until {
            self.distance = i128::from(read_clock(ClockId::CLOCK_REALTIME)) - i128::from(now);
            self.until = now + CLOCK_NS;
        }
    }
    fn wall(&self, monotonic: u64) -> Timestamp {
        Timestamp(u64::try_from(i128::from(monotonic) + self.distance).unwrap_or(0))
    }
}

/// Nanoseconds of `CLOCK_MONOTONIC`, the clock of the records.
pub fn monotonic_ns() -> u64 {
    read_clock(ClockId::CLOCK_MONOTONIC)
}

fn read_clock(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).map(Duration::from).unwrap_or_default();
    u64::try_from(time.as_nanos()).unwrap_or(0)
}

// ------------------------------------------------------------------------------------------ rest

struct Rest {
    want: Array<MapData, u32>,
    epoll: Epoll,
    wake: EventFd,
    nap: Duration,
    empty: u32,
    armed: bool,
}

impl Rest {
    fn after(&mut self, drained: usize, rings: &[Ring]) {
        if drained > 0 {
            (self.empty, self.armed) = (0, false);
            if drained < BATCH {
                thread::sleep(self.nap);
            }
            return;
        }
        if self.armed {
            (self.empty, self.armed) = (0, false);
            // Interrupted is as good as woken.
            let _ = self.epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::from(BACKSTOP_MS));
            let _ = self.wake.read();
            return;
        }
        self.empty += 1;
        if self.empty < NAPS {
            thread::sleep(self.nap);
            return;
        }
        for ring in rings {
            // Without the flag there is still the backstop.
            let _ = self.want.set(ring.index, 1, 0);
        }
        self.armed = true;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use proptest::prelude::*;

    impl Queue for VecDeque<u64> {
        fn peek(&mut self) -> Option<u64> {
            self.front().copied()
        }
        fn pop(&mut self, take: impl FnOnce(&[u8])) {
            take(&self.pop_front().unwrap().to_ne_bytes());
        }
    }

    fn run(queues: &mut [VecDeque<u64>], horizon: u64, limit: usize) -> Vec<u64> {
        let mut out = Vec::new();
        let mut heads = vec![0; queues.len()];
        let taken = merge(queues, &mut heads, horizon, limit, |record| {
            out.push(u64::from_ne_bytes(record.try_into().unwrap()));
        });
        assert_eq!(taken, out.len());
        out
    }

    proptest! {
        #[test]
        fn merging_keeps_everything_in_the_order_of_time(
            mut rings in prop::collection::vec(prop::collection::vec(0u64..50, 0..20), 0..5),
            horizon in 0u64..60,
            limit in 0usize..60,
        ) {
            let mut all: Vec<u64> = rings.iter().flatten().copied().collect();
            all.sort_unstable();
            let mut queues: Vec<VecDeque<u64>> =
                rings.iter_mut().map(|ring| { ring.sort_unstable(); ring.iter().copied().collect() }).collect();
            let first = run(&mut queues, horizon, limit);
            let due = all.iter().filter(|time| **time <= horizon).count();
            prop_assert_eq!(&first[..], &all[..due.min(limit)]);
            let rest = run(&mut queues, u64::MAX, usize::MAX);
            prop_assert_eq!([first, rest].concat(), all);
        }

        #[test]
        fn no_bytes_make_the_reader_panic_or_read_beyond_them(
            record in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut reader = Reader { ports: 3, clock: Clock::default(), counters: RingCounters::default() };
            let mut frames = 0;
            reader.read(&record, &mut |frame, generation| {
                frames += 1;
                assert!(frame.data.len() + HEADER <= record.len() && generation <= 1);
            });
            prop_assert_eq!(reader.counters.received, 1);
            prop_assert_eq!(reader.counters.malformed, 1 - frames);
        }
    }

    fn bytes(header: RecordHeader, payload: &[u8]) -> Vec<u8> {
        // SAFETY: the type has no padding and only integers.
        let header = unsafe { std::mem::transmute::<RecordHeader, [u8; HEADER]>(header) };
        [&header[..], payload].concat()
    }

    const SOUND: RecordHeader = RecordHeader {
        time_ns: 7,
        pair_hash: 0,
        wire_len: 100,
        captured_len: 3,
        port: 1,
        vlan_tci: 0x2005,
        l3_offset: 0,
        l4_offset: 0,
        ip_proto: 0,
        flags: FLAG_EGRESS | FLAG_VLAN_OFFLOAD,
        reason: 13,
        generation: 1,
    };

    #[test]
    fn a_sound_record_becomes_a_frame() {
        let clock = Clock { distance: 1000, until: 0 };
        let record = bytes(SOUND, b"abcdefgh");
        let (frame, generation) = parse(&record, 2, &clock).unwrap();
        assert_eq!((frame.data, frame.wire_len, frame.port), (&b"abc"[..], 100, 1));
        assert_eq!((frame.time, generation), (Timestamp(1007), 1));
        assert_eq!((frame.direction, frame.vlan_offload), (Direction::Egress, Some(0x2005)));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let wrong = [
            RecordHeader { captured_len: 9, ..SOUND },
            RecordHeader { captured_len: u32::MAX, wire_len: u32::MAX, ..SOUND },
            RecordHeader { wire_len: 2, ..SOUND },
            RecordHeader { port: 2, ..SOUND },
            RecordHeader { generation: 2, ..SOUND },
        ];
        for header in wrong {
            assert!(
                parse(&bytes(header, b"abcdefgh"), 2, &Clock::default()).is_none(),
                "{header:?}"
            );
        }
        assert!(parse(&bytes(SOUND, b"")[..HEADER - 1], 2, &Clock::default()).is_none());
    }

    #[test]
    fn the_time_of_day_follows_the_clock() {
        let mut clock = Clock::default();
        let now = monotonic_ns();
        clock.refresh(now);
        let wall = clock.wall(now).0;
        let real = read_clock(ClockId::CLOCK_REALTIME);
        assert!(real >= wall && real - wall < 1_000_000_000, "{real} {wall}");
    }
}
