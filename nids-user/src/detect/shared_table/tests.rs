use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn key(number: u64) -> Key {
    Key::of([number, 0])
}

#[test]
fn families_and_orders_do_not_mix() {
    let [a, b]: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
    let six: IpAddr = "::a00:1".parse().unwrap();
    let what = [1, 0x100];
    assert_eq!(Key::of_pair(what, a, b), Key::of_pair(what, b, a));
    assert_ne!(Key::of_host(what, a), Key::of_host(what, b));
    assert_ne!(Key::of_host(what, a), Key::of_host(what, six));
    assert_ne!(Key::of_host(what, a), Key::of_host([2, 0x100], a));
    assert_ne!(Key::of_pair(what, a, a), Key::of_host(what, a));
}

#[test]
fn stays_within_its_bytes_and_counts_what_it_throws_out() {
    let memory = 1 << 20;
    let table = SharedTable::<u64>::new(memory, 1);
    for number in 0..100_000 {
        table.update(key(number), 0, |value| *value = Some((number, 1000)));
    }
    let counters = table.counters();
    assert!(counters.bytes <= memory as u64, "{counters:?}");
    assert!(counters.entries as usize <= table.capacity());
    assert!(counters.entries as usize > table.capacity() * 9 / 10, "{counters:?}");
    assert_eq!(counters.entries + counters.evicted, 100_000);
    assert_eq!(counters.expired, 0);
    // All of them end: room is made without an eviction.
    for number in 100_000..200_000 {
        table.update(key(number), 2000, |value| *value = Some((number, 3000)));
    }
    let later = table.counters();
    assert_eq!(later.entries + later.evicted + later.expired, 200_000);
    assert!(later.expired as usize > table.capacity() * 9 / 10, "{later:?}");
}

#[test]
fn entries_go_when_time_goes_on() {
    let table = SharedTable::<u8>::new(1 << 20, 1);
    for number in 0..1000 {
        table.update(key(number), 10, |value| *value = Some((1, 20)));
    }
    assert_eq!(table.counters().entries, 1000);
    assert_eq!(table.get(key(1), 20), Some(1));
    assert_eq!(table.get(key(1), 21), None);
    for number in 1000..6000 {
        table.update(key(number), 30, |_| ());
    }
    assert_eq!(table.counters().entries, 0);
    assert_eq!(table.counters().expired, 1000);
}

/// One entry a shard: chains of one, and each insertion throws out another.
#[test]
fn smallest_table() {
    let table = SharedTable::<u64>::new(0, 7);
    for number in 0..1000 {
        table.update(key(number), 0, |value| *value = Some((number, 5)));
        assert_eq!(table.get(key(number), 0), Some(number));
    }
    assert!(table.counters().entries as usize <= SHARDS);
}

#[test]
fn workers_lose_no_count() {
    let table = SharedTable::<u64>::new(1 << 20, 3);
    std::thread::scope(|scope| {
        for worker in 0..4_u64 {
            let table = &table;
            scope.spawn(move || {
                for step in 0..20_000_u64 {
                    let number = (step * 7 + worker) % 50;
                    table.update(key(number), step, |value| {
                        let count = value.map_or(0, |(count, _)| count);
                        *value = Some((count + 1, u64::MAX));
                    });
                }
            });
        }
    });
    let sum: u64 = (0..50).filter_map(|number| table.get(key(number), 0)).sum();
    assert_eq!(sum, 80_000);
}

#[derive(Clone, Debug)]
enum Step {
    Set(u64, u64),
    Remove(u64),
    Get(u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..40_u64, 0..20_u64).prop_map(|(key, time)| Step::Set(key, time)),
        1 => (0..40_u64).prop_map(Step::Remove),
        3 => (0..40_u64).prop_map(Step::Get),
        2 => (0..10_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Where there is room for all, it is a map whose entries end.
    #[test]
    fn is_a_map(steps in prop::collection::vec(step(), 0..300), secret: u64) {
        let table = SharedTable::<u64>::new(1 << 20, secret);
        let mut model = HashMap::<u64, (u64, u64)>::new();
        let mut now = 0;
        for (number, step) in (0..).zip(steps) {
            match step {
                Step::Set(at, time) => {
                    table.update(key(at), now, |value| *value = Some((number, now + time)));
                    model.insert(at, (number, now + time));
                }
                Step::Remove(at) => {
                    table.update(key(at), now, |value| *value = None);
                    model.remove(&at);
                }
                Step::Get(at) => {
                    let wanted = model.get(&at).filter(|(_, end)| *end >= now).map(|(v, _)| *v);
                    prop_assert_eq!(table.get(key(at), now), wanted);
                }
                Step::Wait(time) => now += time,
            }
        }
        prop_assert_eq!(table.counters().evicted, 0);
    }
}
