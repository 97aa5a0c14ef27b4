//! The flow table: the agent's half and the kernel's against each other and against a plain model.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use nids::capture::ring::monotonic_ns;
use nids::capture::shunt::{self, FlowParts, Protocol, Shunter, Spared};
use nids_abi::{FilterTable, Reason, shunt_slot, worker_of};

use super::bpf::{Globals, Hook, Kernel};
use super::reference::{Flow, Judgement};
use super::traffic::Random;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
/// Nanoseconds from now that are longer than any test.
const LONG: u64 = 3_600_000_000_000;

/// A frame of this flow, from its source to its destination.
fn frame(flow: &Flow, tcp_flags: u8, payload: usize) -> Vec<u8> {
    let mut frame = vec![2; 12];
    for id in &flow.vlan {
        frame.extend([0x81, 0x00]);
        // Priority bits do not make another VLAN.
        frame.extend((0x6000 | id).to_be_bytes());
    }
    let header = if flow.protocol == 6 { 20 } else { 8 };
    let length = (header + payload) as u16;
    if flow.source.0.len() == 4 {
        frame.extend([0x08, 0x00, 0x45, 0]);
        frame.extend((20 + length).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, flow.protocol, 0, 0]);
    } else {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([flow.protocol, 64]);
    }
    frame.extend(&flow.source.0);
    frame.extend(&flow.destination.0);
    frame.extend(flow.source.1.to_be_bytes());
    frame.extend(flow.destination.1.to_be_bytes());
    if flow.protocol == 6 {
        frame.extend([0, 0, 0, 1, 0, 0, 0, 1, 5 << 4, tcp_flags, 1, 0, 0, 0, 0, 0]);
    } else {
        frame.extend(length.to_be_bytes());
        frame.extend([0, 0]);
    }
    frame.resize(frame.len() + payload, b'x');
    frame
}

fn tcp(number: u8) -> Flow {
    Flow {
        source: (vec![192, 0, 2, number], 40_000),
        destination: (vec![198, 51, 100, 1], 443),
        protocol: 6,
        vlan: Vec::new(),
    }
}

fn parts(flow: &Flow) -> FlowParts {
    let address = |bytes: &[u8]| match <[u8; 4]>::try_from(bytes) {
        Ok(v4) => IpAddr::from(Ipv4Addr::from(v4)),
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).expect("sixteen")).into(),
    };
    let protocol = if flow.protocol == 6 { Protocol::Tcp } else { Protocol::Udp };
    let [from, to] = [&flow.source, &flow.destination].map(|(ip, port)| (address(ip), *port));
    FlowParts::new(protocol, [from, to], flow.vlan.iter().copied()).expect("it makes sense")
}

/// A kernel that wants everything, and the parts of its flow table.
fn kernel(slots: u32, workers: u32) -> Option<(Kernel, Vec<Shunter>)> {
    let globals = Globals { shunt: slots, workers, ..Globals::default() };
    let mut kernel = Kernel::load(globals)?;
    kernel.set_table(&FilterTable::FULL);
    let map = kernel.shunt_map().fd().as_fd();
    let mut shunters =
        shunt::shunters(map, slots, workers, globals.seed).expect("the kernel maps it");
    shunters.iter_mut().for_each(|shunter| shunter.set_generation(kernel.generation()));
    Some((kernel, shunters))
}

fn alone(slots: u32) -> Option<(Kernel, Shunter)> {
    let (kernel, mut shunters) = kernel(slots, 1)?;
    Some((kernel, shunters.pop()?))
}

fn run(kernel: &mut Kernel, hook: Hook, frame: &[u8]) -> Reason {
    let outcome = kernel.run(hook, frame).expect("the kernel takes it");
    assert_eq!(outcome.record.is_some(), outcome.reason >= Reason::Wanted);
    outcome.reason
}

fn collected(shunter: &mut Shunter) -> Vec<(u64, Spared, bool)> {
    let mut all = Vec::new();
    shunter.collect(monotonic_ns(), |owner, spared, in_force| all.push((owner, spared, in_force)));
    all
}

fn give(kernel: &Kernel, shunter: &mut Shunter, flow: &Flow, owner: u64) -> shunt::Shunted {
    let now = monotonic_ns();
    let bit = (kernel.generation() & 1) as u8;
    shunter.shunt(&parts(flow), owner, bit, now, now + LONG).expect("it is this worker's")
}

#[test]
fn a_shunted_flow_is_let_by_and_counted_at_every_hook_in_both_directions() {
    let Some((mut kernel, mut shunter)) = alone(64) else { return };
    let flow = tcp(1);
    let [there, back] = [frame(&flow, ACK, 100), frame(&flow.reversed(), ACK, 1000)];
    for hook in Hook::ALL {
        assert_eq!(run(&mut kernel, hook, &there), Reason::Wanted, "{hook:?}");
        let ticket = give(&kernel, &mut shunter, &flow, 9).ticket;
        let before = kernel.counters(hook);
        for _ in 0..3 {
            let outcome = kernel.run(hook, &there).expect("the kernel takes it");
            assert_eq!((outcome.reason, outcome.record), (Reason::Shunted, None), "{hook:?}");
            let xdp = matches!(hook, Hook::Xdp | Hook::XdpFrags);
            assert_eq!(outcome.verdict, if xdp { 2 } else { -1_i32 as u32 }, "it passes");
        }
        assert_eq!(run(&mut kernel, hook, &back), Reason::Shunted, "{hook:?}");
        let bytes = [3 * there.len() as u64, back.len() as u64];
        let moved = kernel.counters(hook)[Reason::ShuntedBytes as usize]
            - before[Reason::ShuntedBytes as usize];
        assert_eq!(moved, bytes.iter().sum::<u64>(), "{hook:?}");
        assert_eq!(collected(&mut shunter), [(9, Spared { packets: [3, 1], bytes }, true)]);
        assert_eq!(shunter.release(ticket), Some(Spared::default()));
        assert_eq!(run(&mut kernel, hook, &there), Reason::Wanted, "{hook:?}: released");
    }
    assert_eq!(shunter.in_force(), 0);
}

#[test]
fn headers_behind_the_linear_part_know_their_flow() {
    let Some((mut kernel, mut shunter)) = alone(64) else { return };
    let flow = Flow { vlan: vec![5, 6], ..tcp(1) };
    let frame = frame(&flow, ACK, 100);
    let Some(first) = kernel.run_split(&frame, 20) else {
        let reason = "this kernel makes no frames with a short linear part (6.18 does)";
        super::run_or_skip(Some(reason.to_string()));
        return;
    };
    assert_eq!(first.reason, Reason::Wanted);
    give(&kernel, &mut shunter, &flow, 1);
    assert_eq!(kernel.run_split(&frame, 20).map(|o| o.reason), Some(Reason::Shunted));
}

#[test]
fn syn_fin_rst_and_fragments_come_up_and_a_syn_ends_the_verdict() {
    let Some((mut kernel, mut shunter)) = alone(64) else { return };
    let flow = tcp(1);
    let data = frame(&flow, ACK, 100);
    for hook in Hook::ALL {
        let ticket = give(&kernel, &mut shunter, &flow, 1).ticket;
        for flags in [FIN | ACK, RST, RST | ACK] {
            assert_eq!(run(&mut kernel, hook, &frame(&flow, flags, 0)), Reason::Wanted);
            assert_eq!(run(&mut kernel, hook, &data), Reason::Shunted, "{hook:?} {flags:#x}");
        }
        let mut fragment = data.clone();
        fragment[20] = 0x20;
        assert_eq!(run(&mut kernel, hook, &fragment), Reason::Fragment);
        for (syn, flow) in [(SYN, &flow), (SYN | ACK, &flow.reversed()), (SYN | FIN, &flow)] {
            give(&kernel, &mut shunter, flow, 2);
            assert_eq!(run(&mut kernel, hook, &data), Reason::Shunted);
            assert_eq!(run(&mut kernel, hook, &frame(flow, syn, 0)), Reason::Wanted);
            assert_eq!(run(&mut kernel, hook, &data), Reason::Wanted, "{hook:?} {syn:#x}");
        }
        assert!(!shunter.extend(ticket, monotonic_ns() + LONG));
        let ended = collected(&mut shunter);
        assert_eq!(
            ended.iter().map(|(owner, _, on)| (*owner, *on)).collect::<Vec<_>>(),
            [(2, false)]
        );
    }
}

#[test]
fn a_syn_of_another_flow_ends_nothing() {
    let Some((mut kernel, mut shunter)) = alone(1) else { return };
    give(&kernel, &mut shunter, &tcp(1), 1);
    assert_eq!(run(&mut kernel, Hook::Xdp, &frame(&tcp(2), SYN, 0)), Reason::Wanted);
    assert_eq!(run(&mut kernel, Hook::Xdp, &frame(&tcp(1), ACK, 9)), Reason::Shunted);
}

#[test]
fn whatever_differs_makes_another_flow_in_the_same_slot() {
    let Some((mut kernel, mut shunter)) = alone(1) else { return };
    let flow = Flow { vlan: vec![7], ..tcp(1) };
    give(&kernel, &mut shunter, &flow, 1);
    let mut others = vec![
        Flow { source: (vec![192, 0, 2, 2], 40_000), ..flow.clone() },
        Flow { source: (vec![192, 0, 2, 1], 40_001), ..flow.clone() },
        Flow { destination: (vec![198, 51, 100, 2], 443), ..flow.clone() },
        Flow { destination: (vec![198, 51, 100, 1], 444), ..flow.clone() },
        // The ports at the other ends, the addresses at the other ends.
        Flow {
            source: (vec![192, 0, 2, 1], 443),
            destination: (vec![198, 51, 100, 1], 40_000),
            ..flow.clone()
        },
        Flow {
            source: (vec![198, 51, 100, 1], 40_000),
            destination: (vec![192, 0, 2, 1], 443),
            ..flow.clone()
        },
        Flow { protocol: 17, ..flow.clone() },
        Flow { vlan: vec![], ..flow.clone() },
        Flow { vlan: vec![0], ..flow.clone() },
        Flow { vlan: vec![8], ..flow.clone() },
        Flow { vlan: vec![7, 7], ..flow.clone() },
    ];
    // An IPv6 address that begins with the IPv4 address and has zeros behind it.
    let v6 = |(mut address, port): (Vec<u8>, u16)| {
        address.resize(16, 0);
        (address, port)
    };
    let as_v6 = Flow {
        source: v6(flow.source.clone()),
        destination: v6(flow.destination.clone()),
        ..flow.clone()
    };
    others.push(as_v6.clone());
    for hook in Hook::ALL {
        for other in &others {
            for other in [other.clone(), other.reversed()] {
                assert_eq!(
                    run(&mut kernel, hook, &frame(&other, ACK, 9)),
                    Reason::Wanted,
                    "{other:?}"
                );
            }
        }
        for own in [flow.clone(), flow.reversed()] {
            assert_eq!(run(&mut kernel, hook, &frame(&own, ACK, 9)), Reason::Shunted);
        }
    }
    // Each bit of an IPv6 flow's addresses counts.
    give(&kernel, &mut shunter, &as_v6, 2);
    assert_eq!(run(&mut kernel, Hook::Xdp, &frame(&as_v6, ACK, 9)), Reason::Shunted);
    for bit in 0..256 {
        let mut other = as_v6.clone();
        let address = if bit < 128 { &mut other.source.0 } else { &mut other.destination.0 };
        address[bit % 128 / 8] ^= 1 << (bit % 8);
        assert_eq!(
            run(&mut kernel, Hook::Xdp, &frame(&other, ACK, 9)),
            Reason::Wanted,
            "bit {bit}"
        );
    }
}

#[test]
fn a_verdict_ends_with_its_time_and_with_its_generation() {
    let Some((mut kernel, mut shunter)) = alone(64) else { return };
    let (flow, data) = (tcp(1), frame(&tcp(1), ACK, 9));
    let now = monotonic_ns();
    let bit = (kernel.generation() & 1) as u8;
    let given = shunter.shunt(&parts(&flow), 1, bit, now, now + 400_000_000).expect("given");
    assert_eq!(run(&mut kernel, Hook::Xdp, &data), Reason::Shunted);
    assert!(shunter.extend(given.ticket, now + 800_000_000));
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(run(&mut kernel, Hook::Xdp, &data), Reason::Shunted, "extended");
    std::thread::sleep(std::time::Duration::from_millis(400));
    assert_eq!(run(&mut kernel, Hook::Xdp, &data), Reason::Wanted, "over");
    let Spared { packets, .. } = shunter.release(given.ticket).expect("not reported yet");
    assert_eq!(packets, [2, 0]);

    // Also the next generation of the same lowest bit is another.
    give(&kernel, &mut shunter, &flow, 1);
    let generation = kernel.generation();
    for (other, reason) in [(2, Reason::Wanted), (0, Reason::Shunted), (4, Reason::Wanted)] {
        kernel.control(generation + other, true);
        assert_eq!(run(&mut kernel, Hook::Xdp, &data), reason, "generation {other} further");
    }
    shunter.set_generation(generation + 4);
    let ended = collected(&mut shunter);
    assert_eq!(ended, [(1, Spared { packets: [1, 0], bytes: [data.len() as u64, 0] }, false)]);
    give(&kernel, &mut shunter, &flow, 1);
    assert_eq!(run(&mut kernel, Hook::Xdp, &data), Reason::Shunted);
}

#[test]
fn only_wanted_frames_are_looked_up_and_without_a_table_none() {
    let Some((mut kernel, mut shunter)) = alone(64) else { return };
    let data = frame(&tcp(1), ACK, 9);
    give(&kernel, &mut shunter, &tcp(1), 1);
    kernel.set_table(&FilterTable::EMPTY);
    // The verdict under the generation now in force.
    shunter.set_generation(kernel.generation());
    give(&kernel, &mut shunter, &tcp(1), 1);
    assert_eq!(run(&mut kernel, Hook::Xdp, &data), Reason::TcpLevel);
    drop(shunter);
    let Some(mut kernel) = Kernel::load(Globals::default()) else { return };
    kernel.set_table(&FilterTable::FULL);
    assert_eq!(run(&mut kernel, Hook::Xdp, &data), Reason::Wanted);
}

#[test]
fn a_worker_that_ends_leaves_no_verdict() {
    let Some((mut kernel, mut shunter)) = alone(64) else { return };
    let data = frame(&tcp(1), ACK, 9);
    give(&kernel, &mut shunter, &tcp(1), 1);
    assert_eq!(run(&mut kernel, Hook::Egress, &data), Reason::Shunted);
    drop(shunter);
    assert_eq!(run(&mut kernel, Hook::Egress, &data), Reason::Wanted);
}

#[test]
fn the_verifier_has_room_left() {
    // It gives up at a million. With the flow table there are more ways through the program.
    let Some((mut kernel, _)) = alone(64) else { return };
    for hook in Hook::ALL {
        let verified = kernel.verified_instructions(hook).expect("the kernel says it since 5.16");
        assert!((1..300_000).contains(&verified), "{hook:?}: {verified}");
    }
}

/// What the model remembers of a slot.
struct Held {
    flow: Flow,
    owner: u64,
    ended: bool,
}

/// A flow out of a few hundred, which share addresses, ports and slots.
fn any_flow(random: &mut Random) -> Flow {
    let v6 = random.one_in(3);
    let mut end = || {
        let mut address = vec![0; if v6 { 16 } else { 4 }];
        address[0] = 32;
        address[3] = random.byte() % 3;
        (address, random.pick(&[53, 443]))
    };
    let (source, destination) = (end(), end());
    let protocol = random.pick(&[6, 6, 17]);
    let vlan = random.pick(&[&[][..], &[], &[1], &[1, 1]]).to_vec();
    Flow { source, destination, protocol, vlan }
}

#[test]
fn any_course_of_events_equals_the_model() {
    const WORKERS: u32 = 2;
    const SLOTS: u32 = 8;
    let Some((mut kernel, mut shunters)) = kernel(SLOTS, WORKERS) else { return };
    let seed = Globals::default().seed;
    let mut random = Random(11);
    let mut held: HashMap<u32, Held> = HashMap::new();
    let (mut expected, mut got) =
        (HashMap::<u64, [u64; 2]>::new(), HashMap::<u64, [u64; 2]>::new());
    let mut met = [0_usize; 16];
    let mut displaced = 0;
    for step in 0..60_000_u64 {
        let flow = any_flow(&mut random);
        let judgement = Judgement::of(&frame(&flow, ACK, 1));
        assert_eq!(judgement.flow().as_ref(), Some(&flow));
        let hash = judgement.hash(seed);
        let ports = [flow.source.1, flow.destination.1];
        let word = judgement.word(seed).expect("it has addresses");
        let slot = shunt_slot(word, ports, flow.protocol, WORKERS, SLOTS / WORKERS);
        let shunter = &mut shunters[worker_of(hash, WORKERS) as usize];
        let mut book = |owner, spared: Spared| {
            let sum = got.entry(owner).or_default();
            sum.iter_mut().zip(spared.packets).for_each(|(sum, packets)| *sum += packets);
        };
        match random.below(40) {
            0..4 => {
                let given = give(&kernel, shunter, &flow, step);
                let before = held.insert(slot, Held { flow, owner: step, ended: false });
                assert_eq!(given.displaced.map(|(owner, _)| owner), before.map(|held| held.owner));
                if let Some((owner, spared)) = given.displaced {
                    displaced += 1;
                    book(owner, spared);
                }
            }
            4 if random.one_in(40) => {
                let next = kernel.generation() + 1;
                kernel.control(next, true);
                kernel.set_table(&FilterTable::FULL);
                shunters.iter_mut().for_each(|it| it.set_generation(kernel.generation()));
                held.values_mut().for_each(|held| held.ended = true);
            }
            5 if random.one_in(10) => {
                for shunter in &mut shunters {
                    shunter.collect(monotonic_ns(), |owner, spared, in_force| {
                        let known = held.values().find(|held| held.owner == owner);
                        assert_eq!(known.map(|held| held.ended), Some(!in_force));
                        book(owner, spared);
                    });
                }
                held.retain(|_, held| !held.ended);
            }
            _ => {
                let flags = random.pick(&[ACK, ACK, ACK, ACK, ACK, ACK, ACK, FIN, RST, SYN]);
                let hook = random.pick(&Hook::ALL);
                let reason = run(&mut kernel, hook, &frame(&flow, flags, random.below(3)));
                let control = flow.protocol == 6 && flags != ACK;
                let entry = held.get_mut(&slot);
                let entry = entry.filter(|it| it.flow == flow || it.flow == flow.reversed());
                let expect = match entry {
                    Some(entry) if control => {
                        entry.ended |= flags == SYN;
                        Reason::Wanted
                    }
                    Some(entry) if !entry.ended => {
                        let back = usize::from(entry.flow != flow);
                        expected.entry(entry.owner).or_default()[back] += 1;
                        Reason::Shunted
                    }
                    _ => Reason::Wanted,
                };
                assert_eq!(reason, expect, "step {step}, {hook:?}: {flow:?} {flags:#x}");
                met[reason as usize] += 1;
            }
        }
    }
    for shunter in &mut shunters {
        shunter.collect(u64::MAX, |owner, spared, _| {
            let sum = got.entry(owner).or_default();
            sum.iter_mut().zip(spared.packets).for_each(|(sum, packets)| *sum += packets);
        });
    }
    got.retain(|_, packets| *packets != [0, 0]);
    assert!(got == expected, "the counts are not those of the model");
    let (shunted, wanted) = (met[Reason::Shunted as usize], met[Reason::Wanted as usize]);
    eprintln!("{shunted} shunted, {wanted} forwarded, {displaced} displaced");
    assert!(shunted > 500 && wanted > 5000 && displaced > 500, "{shunted} {wanted} {displaced}");
}

#[test]
fn no_frame_is_shunted_for_another_flow_while_the_slot_changes_hands() {
    const OWN: u32 = 200_000;
    let Some((kernel, mut shunter)) = alone(1) else { return };
    let first = tcp(1);
    let second = Flow { source: (vec![192, 0, 2, 2], 40_001), ..tcp(2) };
    // The addresses of the one and the ports of the other: an entry read while it is written.
    let mixed = Flow { source: (vec![192, 0, 2, 1], 40_001), ..tcp(1) };
    let stop = AtomicBool::new(false);
    let before = kernel.counters(Hook::Xdp);
    std::thread::scope(|scope| {
        let (stop, shunter, kernel) = (&stop, &mut shunter, &kernel);
        let (first, second) = (&first, &second);
        let writer = scope.spawn(move || {
            let mut spared = 0;
            let mut writes = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                for flow in [first, second] {
                    let given = give(kernel, shunter, flow, 1);
                    spared += given.displaced.map_or(0, |(_, spared)| spared.packets[0]);
                    writes += 1;
                }
            }
            shunter.collect(u64::MAX, |_, last, _| spared += last.packets[0]);
            (spared, writes)
        });
        let count = |counters: [u64; nids_abi::COUNTERS]| {
            counters[Reason::Shunted as usize] - before[Reason::Shunted as usize]
        };
        let run = |flow: &Flow| {
            kernel.test_run(Hook::Xdp, &frame(flow, ACK, 9), OWN).expect("the kernel takes it");
        };
        run(&mixed);
        let strange = count(kernel.counters(Hook::Xdp));
        [first, second].into_iter().for_each(run);
        // Before anything is asserted: a panic waits for the writer.
        stop.store(true, Ordering::Relaxed);
        let (spared, writes) = writer.join().expect("the writer does not panic");
        let shunted = count(kernel.counters(Hook::Xdp));
        assert_eq!(strange, 0, "a flow nobody asked to shunt");
        assert_eq!(spared, shunted, "every frame let by is on somebody's account");
        assert!(shunted > 0 && shunted < 2 * u64::from(OWN), "{shunted}");
        eprintln!("{shunted} of {} frames shunted during {writes} changes of the slot", 2 * OWN);
    });
}
