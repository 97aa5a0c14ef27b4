//! What becomes of a frame after the decision: sizes, cuts, full and missing rings, wake-ups, verdicts.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use aya::maps::RingBuf;
use nids_abi::{FilterTable, Reason, SIZE_CLASSES, pair_hash};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::bpf::{Globals, Hook, Kernel};
use super::reference::Judgement;

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
/// TCX_NEXT and TC_ACT_UNSPEC.
const TC_NEXT: u32 = -1_i32 as u32;

/// A UDP datagram from 192.0.2.1 to 192.0.2.2 that fills a frame of `len` bytes.
fn datagram(len: usize, source: u16, destination: u16) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend([0x08, 0x00, 0x45, 0]);
    frame.extend(((len - 14) as u16).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend(source.to_be_bytes());
    frame.extend(destination.to_be_bytes());
    frame.extend(((len - 34) as u16).to_be_bytes());
    frame.extend([0, 0]);
    while frame.len() < len {
        frame.push((frame.len() * 31) as u8);
    }
    frame
}

fn kernel(globals: Globals) -> Option<Kernel> {
    let mut kernel = Kernel::load(globals)?;
    kernel.set_table(&FilterTable::FULL);
    Some(kernel)
}

#[test]
fn a_record_takes_the_smallest_class_that_holds_the_frame() {
    let Some(mut kernel) = kernel(Globals::default()) else { return };
    let mut lens: Vec<usize> =
        SIZE_CLASSES.iter().flat_map(|class| [class - 1, *class, class + 1]).collect();
    lens.extend([60, 1514, 9014, 40_000, 65_535]);
    for hook in Hook::ALL {
        // The kernel makes longer test frames in several buffers only, for XDP.
        let longest = if hook == Hook::XdpFrags { 65_535 } else { 3400 };
        for &len in lens.iter().filter(|len| **len <= longest) {
            let frame = datagram(len, 1, 2);
            let outcome = kernel.run(hook, &frame).expect("the kernel takes it");
            let record = outcome.record.expect("all is wanted");
            let class = SIZE_CLASSES.into_iter().find(|class| *class >= len).expect("one holds it");
            assert_eq!((record.room, record.bytes.len()), (class, len), "{hook:?}");
            assert_eq!(record.header.wire_len, len as u32);
            assert!(record.bytes == frame, "{hook:?}: other bytes at length {len}");
        }
    }
}

#[test]
fn a_frame_longer_than_the_snap_length_is_cut_and_counted() {
    let Some(mut kernel) = kernel(Globals { snaplen: 100, ..Globals::default() }) else { return };
    for hook in Hook::ALL {
        let before = kernel.counters(hook);
        for len in [99, 100, 101, 1514] {
            let frame = datagram(len, 1, 2);
            let record =
                kernel.run(hook, &frame).and_then(|outcome| outcome.record).expect("wanted");
            assert_eq!(record.bytes, frame[..len.min(100)]);
            assert_eq!(record.header.wire_len, len as u32);
        }
        let moved =
            |counter: Reason| kernel.counters(hook)[counter as usize] - before[counter as usize];
        assert_eq!(moved(Reason::Truncated), 2, "{hook:?}");
        assert_eq!(moved(Reason::ForwardedBytes), 99 + 100 + 101 + 1514, "{hook:?}");
    }
}

#[test]
fn a_full_ring_loses_frames_and_counts_each() {
    let Some(mut kernel) = kernel(Globals { ring: 4096, ..Globals::default() }) else { return };
    for hook in Hook::ALL {
        let before = kernel.counters(hook);
        kernel.test_run(hook, &datagram(500, 1, 2), 1000).expect("the kernel takes it");
        let after = kernel.counters(hook);
        let moved = |counter: Reason| after[counter as usize] - before[counter as usize];
        let records = kernel.drain().len() as u64;
        // 8 bytes of the ring's own, 32 of ours, 512 of the class; on each processor it ran on.
        assert!(records >= 4096 / 552, "{hook:?}: {records}");
        assert_eq!(moved(Reason::Seen), 1000);
        assert_eq!(moved(Reason::Wanted), records, "{hook:?}");
        assert_eq!(moved(Reason::LostRingFull), 1000 - records, "{hook:?}");
        assert_eq!(moved(Reason::ForwardedBytes), 500 * records, "{hook:?}");
        // Drained, it takes frames again; what is larger than the ring never fits.
        assert_eq!(kernel.run(hook, &datagram(500, 1, 2)).map(|o| o.reason), Some(Reason::Wanted));
    }
    let outcome = kernel.run(Hook::XdpFrags, &datagram(9014, 1, 2)).expect("the kernel takes it");
    assert_eq!(outcome.reason, Reason::LostRingFull);
}

#[test]
fn a_missing_ring_loses_the_frame_and_lets_it_pass() {
    let Some(mut kernel) = kernel(Globals { ring: 0, ..Globals::default() }) else { return };
    for hook in Hook::ALL {
        let outcome = kernel.run(hook, &datagram(60, 1, 2)).expect("the kernel takes it");
        assert_eq!((outcome.reason, outcome.record), (Reason::LostCopy, None), "{hook:?}");
        assert!([XDP_PASS, TC_NEXT].contains(&outcome.verdict), "{hook:?}");
    }
}

#[test]
fn verdicts_pass_and_on_a_tap_port_drop_what_was_handled() {
    for tap in [0, 1] {
        let Some(mut kernel) = kernel(Globals { tap, ..Globals::default() }) else { return };
        for hook in Hook::ALL {
            let xdp = matches!(hook, Hook::Xdp | Hook::XdpFrags);
            let (pass, handled) = match (xdp, tap) {
                (true, 0) => (XDP_PASS, XDP_PASS),
                (true, _) => (XDP_PASS, XDP_DROP),
                (false, _) => (TC_NEXT, TC_NEXT),
            };
            let frame = datagram(60, 1, 2);
            let verdict =
                |kernel: &mut Kernel| kernel.run(hook, &frame).map(|o| (o.reason, o.verdict));
            kernel.set_table(&FilterTable::FULL);
            assert_eq!(verdict(&mut kernel), Some((Reason::Wanted, handled)), "{hook:?}");
            kernel.set_table(&FilterTable::EMPTY);
            assert_eq!(verdict(&mut kernel), Some((Reason::UdpLevel, handled)), "{hook:?}");
            kernel.control(1, false);
            assert_eq!(verdict(&mut kernel), Some((Reason::NotRunning, pass)), "{hook:?}");
            // An interface nobody asked for: let by, not counted.
            kernel.set_slot(hook, 0, false);
            let before = kernel.counters(hook);
            assert_eq!(kernel.test_run(hook, &frame, 1).map(|(verdict, _)| verdict), Ok(pass));
            assert_eq!(kernel.counters(hook), before, "{hook:?}");
            kernel.set_slot(hook, 0, true);
            kernel.control(0, true);
        }
    }
}

#[test]
fn an_interface_is_found_within_four_slots() {
    let Some(mut kernel) = kernel(Globals::default()) else { return };
    for hook in [Hook::Xdp, Hook::Egress] {
        // The other direction's slots lie in the same stretch.
        for other in [Hook::Xdp, Hook::Egress] {
            kernel.set_slot(other, 0, false);
        }
        for probe in 0..6 {
            kernel.set_slot(hook, probe, true);
            let seen = kernel.counters(hook)[Reason::Seen as usize];
            kernel.test_run(hook, &datagram(60, 1, 2), 1).expect("the kernel takes it");
            let moved = kernel.counters(hook)[Reason::Seen as usize] - seen;
            assert_eq!(moved, u64::from(probe < nids_abi::PORT_PROBES as u32), "{hook:?} {probe}");
            kernel.set_slot(hook, probe, false);
        }
    }
}

#[test]
fn a_generation_decides_alone_and_is_noted_in_the_record() {
    let Some(mut kernel) = kernel(Globals::default()) else { return };
    let frame = datagram(60, 1, 2);
    for generation in 0..6 {
        kernel.control(generation, true);
        // The table of the odd generation is the full one (the harness wrote it first), the even one
        // is still empty.
        let outcome = kernel.run(Hook::Xdp, &frame).expect("the kernel takes it");
        if generation % 2 == 1 {
            assert_eq!(outcome.record.map(|record| record.header.generation), Some(1));
        } else {
            assert_eq!(outcome.reason, Reason::UdpLevel);
        }
    }
}

/// The frame, from the other host to this one.
fn reversed(frame: &[u8]) -> Vec<u8> {
    let mut back = frame.to_vec();
    let addresses = if frame[12] == 0x86 { (22, 16) } else { (26, 4) };
    let (at, len) = addresses;
    back[at..at + 2 * len].rotate_left(len);
    back
}

fn record_of(kernel: &mut Kernel, hook: Hook, frame: &[u8]) -> super::bpf::Record {
    kernel.run(hook, frame).and_then(|outcome| outcome.record).expect("all is wanted")
}

#[test]
fn both_directions_of_a_flow_meet_at_one_worker() {
    let Some(mut kernel) = kernel(Globals { workers: 4, ..Globals::default() }) else { return };
    let mut workers = [0; 4];
    for host in 0..200 {
        let mut there = datagram(80, 40_000, 53);
        there[29] = host;
        let mut back = reversed(&there);
        back[34..38].rotate_left(2);
        let there = record_of(&mut kernel, Hook::Ingress, &there);
        let back = record_of(&mut kernel, Hook::Egress, &back);
        assert_eq!(there.header.pair_hash, back.header.pair_hash);
        assert_eq!(there.worker, back.worker);
        workers[there.worker as usize] += 1;
    }
    assert!(workers.into_iter().all(|hosts| hosts > 25), "unevenly spread: {workers:?}");
}

/// All that two hosts say to each other, in whatever form: one worker must put it together.
#[test]
fn fragments_tunnels_and_what_cannot_be_judged_meet_the_rest() {
    let Some(mut kernel) = kernel(Globals { workers: 64, ..Globals::default() }) else { return };
    let v4 = |host: u8, fragment: u16, protocol: u8, body: &[u8]| {
        let mut frame = [&[2; 12][..], &[8, 0, 0x45, 0]].concat();
        frame.extend((20 + body.len() as u16).to_be_bytes());
        frame.extend([0, 9]);
        frame.extend(fragment.to_be_bytes());
        frame.extend([64, protocol, 0, 0, 192, 0, 2, host, 198, 51, 100, 1]);
        frame.extend(body);
        frame
    };
    let v6 = |host: u8, next: u8, body: &[u8]| {
        let mut frame = [&[2; 12][..], &[0x86, 0xdd, 0x60, 0, 0, 0]].concat();
        frame.extend((body.len() as u16).to_be_bytes());
        frame.extend([next, 64]);
        for last in [host, 255] {
            frame.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
        frame.extend(body);
        frame
    };
    let mut segment = [0; 32];
    segment[..4].copy_from_slice(&[156, 64, 0, 80]);
    segment[12] = 5 << 4;
    let datagram = |from: u16, to: u16| {
        let mut datagram = [from, to, 32, 0].map(u16::to_be_bytes).concat();
        datagram.resize(32, 0);
        datagram
    };
    // A chain of extension headers longer than the kernel half follows.
    let chain =
        [&[60, 0, 1, 4, 0, 0, 0, 0].repeat(7)[..], &[6, 0, 1, 4, 0, 0, 0, 0], &segment].concat();
    let fragment6 =
        |next: u8, offset: u8| [&[next, 0, 0, offset, 0, 0, 0, 9], &segment[..16]].concat();
    let mut used = std::collections::HashSet::new();
    for host in 0..100 {
        let of_v4 = [
            v4(host, 0, 6, &segment),
            v4(host, 0x2000, 6, &segment[..16]),
            v4(host, 2, 6, &segment[16..]),
            v4(host, 0, 6, &segment[..10]),
            v4(host, 0, 17, &datagram(4000, 53)),
            v4(host, 0, 17, &datagram(50_001, 4789)),
            v4(host, 0, 17, &datagram(50_002, 4789)),
            v4(host, 0, 47, &[0; 40]),
            v4(host, 0, 41, &[0x60; 60]),
            v4(host, 0, 1, &[8, 0, 0, 0, 0, 0, 0, 0]),
            [&[2; 12][..], &[0x81, 0, 0, 7], &v4(host, 0, 6, &segment)[12..]].concat(),
        ];
        let of_v6 = [
            v6(host, 6, &segment),
            v6(host, 44, &fragment6(6, 1)),
            // The next header of a later fragment counts for nothing, and may be anything.
            v6(host, 44, &fragment6(17, 16)),
            v6(host, 60, &chain),
            v6(host, 58, &[128, 0, 0, 0, 0, 0, 0, 0]),
        ];
        for frames in [&of_v4[..], &of_v6] {
            let mut met = Vec::new();
            for frame in frames {
                met.push(record_of(&mut kernel, Hook::Xdp, frame).worker);
                if frame[12] != 0x81 {
                    met.push(record_of(&mut kernel, Hook::Egress, &reversed(frame)).worker);
                }
            }
            assert!(met.iter().all(|worker| *worker == met[0]), "host {host}: {met:?}");
            used.insert(met[0]);
        }
    }
    assert!(used.len() > 50, "of 64 workers only {} are used", used.len());
}

#[test]
fn the_seed_moves_the_hosts() {
    let frame = datagram(80, 1, 2);
    let mut hashes = Vec::new();
    for seed in [1, 2] {
        let Some(mut kernel) = kernel(Globals { seed, ..Globals::default() }) else { return };
        let record = kernel.run(Hook::Xdp, &frame).and_then(|o| o.record).expect("all is wanted");
        assert_eq!(record.header.pair_hash, Judgement::of(&frame).hash(seed));
        hashes.push(record.header.pair_hash);
    }
    assert_ne!(hashes[0], hashes[1]);
    assert_ne!(pair_hash(1 << 32), 0, "0 is kept for frames without IP");
}

#[test]
fn one_wake_up_is_given_when_asked_for_and_none_else() {
    let Some(mut kernel) = kernel(Globals::default()) else { return };
    let frame = datagram(60, 1, 2);
    let patience = Duration::from_millis(400);
    for want in [true, false] {
        kernel.set_want(want);
        let rings = kernel.ring_descriptors();
        let asked = if want { rings.len() } else { 0 };
        assert_eq!(kernel.wanting(), asked);
        let waiter = std::thread::spawn(move || {
            // SAFETY: the rings live in `kernel`, which outlives this thread: it is joined below.
            let borrow = |fd: &i32| unsafe { BorrowedFd::borrow_raw(*fd) };
            let mut descriptors: Vec<_> =
                rings.iter().map(|fd| PollFd::new(borrow(fd), PollFlags::POLLIN)).collect();
            let begin = Instant::now();
            poll(&mut descriptors, PollTimeout::try_from(patience).expect("short")).expect("poll");
            begin.elapsed()
        });
        std::thread::sleep(patience / 4);
        kernel.test_run(Hook::Xdp, &frame, 1).expect("the kernel takes it");
        let waited = waiter.join().expect("the waiter does not panic");
        assert_eq!(waited < patience * 3 / 4, want, "waited {waited:?}");
        // The ring that got the record no longer asks, the others still do.
        assert_eq!(kernel.wanting(), asked.saturating_sub(1));
        assert_eq!(kernel.drain().len(), 1);
    }
}

#[test]
fn decisions_are_logged_only_when_asked_for() {
    for debug in [0, 1] {
        let Some(mut kernel) = kernel(Globals { debug, ..Globals::default() }) else { return };
        for hook in Hook::ALL {
            kernel.run(hook, &datagram(60, 1, 2)).expect("the kernel takes it");
        }
        let map = kernel.ebpf().take_map("AYA_LOGS").expect("the object logs through it");
        let mut log = RingBuf::try_from(map).expect("a ring");
        let lines = std::iter::from_fn(|| log.next().map(|_| ())).count();
        assert_eq!(lines, if debug == 1 { Hook::ALL.len() } else { 0 });
    }
}
