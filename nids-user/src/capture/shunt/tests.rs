//! The agent's side alone, on a table that no kernel knows of.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use nids_abi::SHUNT_IN_FORCE;
use proptest::prelude::*;

use super::table::Table;
use super::*;

const SEED: u64 = 7;

fn parts(workers: u32, slots: u32) -> Vec<Shunter> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let table = Table::mapped(-1, flags, slots).unwrap();
    cut(table, workers, SEED).unwrap().collect()
}

fn flow(number: u16) -> FlowParts {
    let ends = [("192.0.2.1".parse().unwrap(), number), ("192.0.2.2".parse().unwrap(), 443)];
    FlowParts::new(Protocol::Tcp, ends, []).unwrap()
}

/// A flow of another pair of hosts for each number.
fn of_host(number: u16) -> FlowParts {
    let [high, low] = number.to_be_bytes();
    let ends = [([10, 0, high, low].into(), 4000), ("192.0.2.2".parse().unwrap(), 443)];
    FlowParts::new(Protocol::Tcp, ends, []).unwrap()
}

/// What a program does when it lets a frame by.
fn let_by(shunter: &Shunter, flow: &FlowParts, end: usize, bytes: u64) {
    let slot = shunter.table.slot(flow.slot(SEED, 1, shunter.table.slots)).unwrap();
    let word = slot.packets[end].fetch_add(1, Ordering::Relaxed);
    assert_eq!(word & SHUNT_IN_FORCE, SHUNT_IN_FORCE);
    slot.bytes[end].fetch_add(bytes, Ordering::Relaxed);
}

fn collected(shunter: &mut Shunter, now: u64) -> Vec<(u64, Spared, bool)> {
    let mut all = Vec::new();
    shunter.collect(now, |owner, spared, in_force| all.push((owner, spared, in_force)));
    all
}

#[test]
fn counts_come_back_to_their_owner_once() {
    let mut shunter = parts(1, 16).pop().unwrap();
    let given = shunter.shunt(&flow(1), 77, 0, 0, 100).unwrap();
    assert_eq!(given.displaced, None);
    let_by(&shunter, &flow(1), 0, 60);
    let_by(&shunter, &flow(1), 1, 1500);
    let_by(&shunter, &flow(1), 1, 1500);
    let first = Spared { packets: [1, 2], bytes: [60, 3000] };
    assert_eq!(collected(&mut shunter, 1), [(77, first, true)]);
    assert_eq!(collected(&mut shunter, 2), [(77, Spared::default(), true)]);
    let_by(&shunter, &flow(1), 0, 9);
    let last = Spared { packets: [1, 0], bytes: [9, 0] };
    assert_eq!(shunter.release(given.ticket), Some(last));
    assert_eq!(shunter.release(given.ticket), None);
    assert_eq!(collected(&mut shunter, 3), []);
    let ShuntCounters { given, released, packets, bytes, .. } = shunter.counters();
    assert_eq!((given, released, packets, bytes), (1, 1, 4, 3069));
}

#[test]
fn a_verdict_ends_by_the_clock_by_a_new_connection_and_by_other_rules() {
    let mut shunter = parts(1, 1024).pop().unwrap();
    let ticket = shunter.shunt(&flow(1), 1, 0, 0, 100).unwrap().ticket;
    assert!(shunter.extend(ticket, 200));
    assert!(collected(&mut shunter, 150)[0].2);
    assert!(!collected(&mut shunter, 200)[0].2);
    assert!(!shunter.extend(ticket, 300), "it has ended");

    let ticket = shunter.shunt(&flow(1), 1, 0, 0, 100).unwrap().ticket;
    let slot = shunter.table.slot(flow(1).slot(SEED, 1, 1024)).unwrap();
    slot.expires_ns.store(0, Ordering::Relaxed);
    assert!(!shunter.extend(ticket, 300), "a new connection began");
    assert!(!collected(&mut shunter, 1)[0].2);

    let ticket = shunter.shunt(&flow(1), 1, 0, 0, 100).unwrap().ticket;
    shunter.set_generation(1);
    assert!(!shunter.extend(ticket, 300), "other rules");
    assert_eq!(shunter.shunt(&flow(1), 1, 0, 0, 100), Err(Refusal::Stale));
    assert!(!collected(&mut shunter, 1)[0].2);
    assert!(shunter.shunt(&flow(1), 1, 1, 0, 100).is_ok());
    assert_eq!(shunter.shunt(&flow(1), 1, 1, 100, 100), Err(Refusal::Past));
    let ShuntCounters { given, ended, refused, .. } = shunter.counters();
    assert_eq!((given, ended, refused), (4, 3, 2));
}

#[test]
fn the_newest_has_the_slot_and_the_counts_are_not_mixed() {
    let mut shunter = parts(1, 1).pop().unwrap();
    let old = shunter.shunt(&flow(1), 1, 0, 0, 100).unwrap().ticket;
    let_by(&shunter, &flow(1), 0, 60);
    let given = shunter.shunt(&flow(2), 2, 0, 0, 100).unwrap();
    assert_eq!(given.displaced, Some((1, Spared { packets: [1, 0], bytes: [60, 0] })));
    assert!(!shunter.extend(old, 200) && shunter.release(old).is_none());
    assert_eq!(collected(&mut shunter, 1), [(2, Spared::default(), true)]);
    assert_eq!(shunter.counters().displaced, 1);
}

#[test]
fn each_worker_has_the_slots_of_its_own_flows() {
    for (workers, slots) in [(1, 1), (3, 3), (3, 99), (4, 4096)] {
        let mut all = parts(workers, slots);
        for number in 0..2000 {
            let flow = of_host(number);
            let worker = flow.slot(SEED, workers, slots / workers) / (slots / workers);
            for (index, shunter) in all.iter_mut().enumerate() {
                let given = shunter.shunt(&flow, 0, 0, 0, 100).map(drop);
                let own = index as u32 == worker;
                assert_eq!(given, if own { Ok(()) } else { Err(Refusal::Elsewhere) });
            }
        }
        let taken: usize = all.iter().map(Shunter::in_force).sum();
        assert!(taken as u32 <= slots && taken * 3 >= slots.min(1000) as usize, "{taken}");
    }
}

#[test]
fn a_table_that_cannot_be_cut_is_refused() {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    for (slots, workers) in [(16, 3), (16, 0)] {
        let table = Table::mapped(-1, flags, slots).unwrap();
        assert!(cut(table, workers, SEED).is_err());
    }
}

#[test]
fn a_flow_has_one_ip_version_and_three_vlan_ids_at_most() {
    let (v4, v6) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
    let new = |second, vlan: &[u16]| {
        FlowParts::new(Protocol::Udp, [(v4, 1), (second, 2)], vlan.iter().copied())
    };
    assert_eq!(new(v6, &[]), None);
    assert_eq!(new(v4, &[1, 2, 3, 4]), None);
    let tagged = new(v4, &[1, 2]).unwrap();
    assert_ne!(tagged.key(), new(v4, &[2, 1]).unwrap().key());
    assert_ne!(new(v4, &[0]).unwrap().key(), new(v4, &[]).unwrap().key());
    assert_eq!(tagged.key().reversed(), tagged.reversed().key());
    assert_eq!(tagged.slot(SEED, 3, 99), tagged.reversed().slot(SEED, 3, 99));
}

proptest! {
    /// Whatever is done in whatever order, every frame let by is handed to its owner once, and
    /// the books of the verdicts add up.
    #[test]
    fn no_frame_is_lost_or_doubled(
        steps in prop::collection::vec((0_u8..6, 0_u16..24, 1_u64..50), 1..300),
    ) {
        let mut shunter = parts(1, 8).pop().unwrap();
        let (mut let_by_of, mut handed) = (HashMap::<u64, u64>::new(), HashMap::<u64, u64>::new());
        let mut tickets: HashMap<u16, Ticket> = HashMap::new();
        let (mut now, mut generation) = (0, 0_u32);
        for (what, number, length) in steps {
            let owner = u64::from(number);
            match what {
                0 | 1 => {
                    let bit = (generation & 1) as u8;
                    let given = shunter.shunt(&flow(number), owner, bit, now, now + length).unwrap();
                    if let Some((owner, spared)) = given.displaced {
                        *handed.entry(owner).or_default() += spared.packets[0];
                    }
                    tickets.insert(number, given.ticket);
                }
                2 => {
                    let slot = flow(number).slot(SEED, 1, 8);
                    let words = shunter.table.slot(slot).unwrap();
                    let same = words.ports.load(Ordering::Relaxed) == flow(number).key().ports;
                    if same && words.packets[0].load(Ordering::Relaxed) & SHUNT_IN_FORCE != 0 {
                        let_by(&shunter, &flow(number), 0, 1);
                        *let_by_of.entry(owner).or_default() += 1;
                    }
                }
                3 => {
                    if let Some(spared) = tickets.get(&number).and_then(|t| shunter.release(*t)) {
                        *handed.entry(owner).or_default() += spared.packets[0];
                    }
                }
                4 => {
                    now += length;
                    shunter.collect(now, |owner, spared, _| {
                        *handed.entry(owner).or_default() += spared.packets[0];
                    });
                }
                _ => {
                    generation += 1;
                    shunter.set_generation(generation);
                }
            }
        }
        shunter.collect(u64::MAX, |owner, spared, _| {
            *handed.entry(owner).or_default() += spared.packets[0];
        });
        handed.retain(|_, count| *count > 0);
        prop_assert_eq!(let_by_of, handed);
        let ShuntCounters { given, displaced, released, ended, .. } = shunter.counters();
        prop_assert_eq!(given, displaced + released + ended);
        prop_assert_eq!(shunter.in_force(), 0);
    }
}
