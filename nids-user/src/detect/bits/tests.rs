//! Forms that Suricata takes, and what sets, numbers, texts and bits of hosts come to beside plain maps.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::capture::Timestamp;
use crate::detect::flow_state::{Budget, FlowState};
use crate::detect::keyword::value::{Fault, Word};

const SECOND: u64 = 1_000_000_000;

fn word(text: &str) -> Word<'_> {
    Word { text, start: 0 }
}

/// The place a fault points at.
fn place<T: std::fmt::Debug>(text: &str, read: Result<T, Fault>) -> &str {
    let fault = read.unwrap_err();
    &text[fault.span.start..fault.span.end]
}

#[test]
fn reads_flowbits() {
    let names = Names::default();
    let [a, b] = ["a", "b.c-d_e/f"].map(|name| BitId::of(&names, word(name)).unwrap());
    let test =
        |test: fn(Box<[BitId]>) -> BitTest, bits: &[BitId]| FlowBits::Test(test(bits.into()));
    let change = |change: fn(Box<[BitId]>) -> BitChange, bits: &[BitId]| {
        FlowBits::Change(change(bits.into()))
    };
    for (text, expected) in [
        ("set,a", change(BitChange::Set, &[a])),
        (" set , a ", change(BitChange::Set, &[a])),
        ("set,b.c-d_e/f", change(BitChange::Set, &[b])),
        ("unset,a", change(BitChange::Unset, &[a])),
        ("toggle,a", change(BitChange::Toggle, &[a])),
        ("set,a&b.c-d_e/f", change(BitChange::Set, &[a, b])),
        ("isset,a", test(BitTest::AnySet, &[a])),
        ("isset,a | b.c-d_e/f", test(BitTest::AnySet, &[a, b])),
        ("isset,a&b.c-d_e/f", test(BitTest::AllSet, &[a, b])),
        ("isnotset,a", test(BitTest::AnyNotSet, &[a])),
        ("isnotset,a|b.c-d_e/f", test(BitTest::AnyNotSet, &[a, b])),
        ("reset", FlowBits::Change(BitChange::Reset)),
        ("noalert", FlowBits::NoAlert),
    ] {
        assert_eq!(flowbits(word(text), &names), Ok(expected), "{text}");
    }
    assert_eq!(a.name(&names).as_deref(), Some("a"));
    for (text, at) in [
        ("SET,a", "SET"),
        ("sett,a", "sett"),
        ("setx,a,g", "setx"),
        ("set,a,g", "g"),
        ("set,a,", ""),
        ("reset,g", "g"),
        ("noalert,x", "x"),
        ("set", "set"),
        ("set,", ""),
        ("set,a b", "a b"),
        ("set,a|b", "a|b"),
        ("isset,a|", ""),
        ("isset,a|b c", "b c"),
        ("isset,a|b&c", "a|b&c"),
    ] {
        assert_eq!(place(text, flowbits(word(text), &names)), at, "{text}");
    }
    let many = format!("isset,{}", vec!["a"; 101].join("|"));
    assert!(flowbits(word(&many), &names).is_err());
    let long = format!("set,{}", "a".repeat(256));
    assert!(flowbits(word(&long), &names).is_err());
}

#[test]
fn flowbits_do_what_they_say() {
    let names = Names::default();
    let (mut state, mut budget) = (FlowState::default(), Budget::new(1 << 16));
    let mut step = |text: &str| match flowbits(word(text), &names).unwrap() {
        FlowBits::Test(test) => Some(test.holds(&state)),
        FlowBits::Change(change) => {
            change.apply(&mut state, &mut budget);
            None
        }
        FlowBits::NoAlert => None,
    };
    for (text, expected) in [
        ("isset,a", Some(false)),
        ("isnotset,a", Some(true)),
        ("unset,a", None),
        ("set,a", None),
        ("isset,a|b", Some(true)),
        ("isset,a&b", Some(false)),
        ("isnotset,a|b", Some(true)),
        ("set,b&c", None),
        ("isset,a&b", Some(true)),
        ("isnotset,a|b", Some(false)),
        ("toggle,a&d", None),
        ("isset,a", Some(false)),
        ("isset,d", Some(true)),
        ("unset,d", None),
        ("isset,d|c", Some(true)),
        ("reset", None),
        ("isset,a|b|c|d", Some(false)),
    ] {
        assert_eq!(step(text), expected, "{text}");
    }
}

#[test]
fn reads_flowints() {
    let names = Names::default();
    let [a, b] = ["ab.c/d_1", "target"].map(|name| IntId::of(&names, word(name)).unwrap());
    let five = Operand::Number(5);
    let compare = |right| FlowInt::Test(IntTest::Compare { id: a, right, operand: five });
    for (text, expected) in [
        ("ab.c/d_1,=,5", FlowInt::Change(IntChange::Set(a, five))),
        (" ab.c/d_1 , + , 5 ", FlowInt::Change(IntChange::Add(a, five))),
        ("ab.c/d_1,+ 5", FlowInt::Change(IntChange::Add(a, five))),
        ("ab.c/d_1,-,target", FlowInt::Change(IntChange::Subtract(a, Operand::Variable(b)))),
        ("ab.c/d_1,<,5", compare([true, false, false])),
        ("ab.c/d_1,<=,5", compare([true, true, false])),
        ("ab.c/d_1,==,5", compare([false, true, false])),
        ("ab.c/d_1,!=,5", compare([true, false, true])),
        ("ab.c/d_1,>=,5", compare([false, true, true])),
        ("ab.c/d_1,>,5", compare([false, false, true])),
        ("ab.c/d_1,isset", FlowInt::Test(IntTest::IsSet(a))),
        ("ab.c/d_1, notset", FlowInt::Test(IntTest::IsNotSet(a))),
        ("ab.c/d_1,isnotset", FlowInt::Test(IntTest::IsNotSet(a))),
    ] {
        assert_eq!(flowint(word(text), &names), Ok(expected), "{text}");
    }
    for (text, at) in [
        ("ab", "ab"),
        ("a-b,+,1", "a-b"),
        ("1a,+,1", "1a"),
        ("ab,+,9999999999", "9999999999"),
        ("ab,==", "=="),
        ("ab,isset,3", "3"),
        ("ab,*,3", "*"),
        ("ab,+,-3", "-3"),
        ("ab,+,3,4", "3,4"),
        ("ab,", ""),
    ] {
        assert_eq!(place(text, flowint(word(text), &names)), at, "{text}");
    }
}

#[test]
fn flowints_do_what_they_say() {
    let names = Names::default();
    let (mut state, mut budget) = (FlowState::default(), Budget::new(1 << 16));
    let mut step = |text: &str| match flowint(word(text), &names).unwrap() {
        FlowInt::Test(test) => Some(test.holds(&state)),
        FlowInt::Change(change) => {
            change.apply(&mut state, &mut budget);
            None
        }
    };
    for (text, expected) in [
        ("ab,isset", Some(false)),
        ("ab,<,1", Some(false)),
        ("ab,==,0", Some(false)),
        ("ab,-,1", None),
        ("ab,notset", Some(true)),
        ("ab,+,3", None),
        ("ab,isset", Some(true)),
        ("ab,==,3", Some(true)),
        ("ab,>,cd", Some(true)),
        ("ab,>=,4", Some(false)),
        ("cd,=,ab", None),
        ("cd,==,ab", Some(true)),
        ("cd,+,cd", None),
        ("cd,==,6", Some(true)),
        ("cd,-,7", None),
        ("cd,==,4294967295", Some(true)),
        ("cd,+,2", None),
        ("cd,==,1", Some(true)),
        ("cd,!=,1", Some(false)),
        ("cd,=,none", None),
        ("cd,<=,0", Some(true)),
    ] {
        assert_eq!(step(text), expected, "{text}");
    }
}

#[test]
fn reads_xbits_and_hostbits() {
    let names = Names::default();
    let host = HostBitId::of(&names, word("abc")).unwrap();
    let pair = PairBitId::of(&names, word("abc")).unwrap();
    let tx = TxBitId::of(&names, word("abc")).unwrap();
    let set = |bit, seconds| SharedBits::Change(HostBitChange::Set(bit, seconds));
    let test = |bit, set| SharedBits::Test(HostBitTest { bit, set });
    for (text, expected) in [
        ("set,abc,track ip_pair", set(Tracked::Pair(pair), 30)),
        ("set,abc, track ip_pair , expire 3600", set(Tracked::Pair(pair), 3600)),
        ("set,abc,track ip_src, expire 1234", set(Tracked::Source(host), 1234)),
        ("set,abc,track tx", set(Tracked::Transaction(tx), 30)),
        ("isset,abc,track ip_dst,expire 3", test(Tracked::Destination(host), true)),
        ("isnotset,abc,track ip_src", test(Tracked::Source(host), false)),
        ("unset,abc,track ip_src", SharedBits::Change(HostBitChange::Unset(Tracked::Source(host)))),
        (
            "toggle,abc,track ip_src",
            SharedBits::Change(HostBitChange::Toggle(Tracked::Source(host), 30)),
        ),
        ("noalert", SharedBits::NoAlert),
    ] {
        assert_eq!(xbits(word(text), &names), Ok(expected), "{text}");
    }
    for (text, at) in [
        ("alert", "alert"),
        ("set,abc", "abc"),
        ("sett,abc,track ip_src", "sett"),
        ("set,abc,track nonsense", "nonsense"),
        ("set,abc,ip_src", "ip_src"),
        ("set,abc,trackip_src", "trackip_src"),
        ("set,abc,track ip_src, expire -1", "-1"),
        ("set,abc,track ip_src, expire 0", "0"),
        ("set,abc,track ip_src, 30", "30"),
        ("set,abc,track ip_src, expire 1, foo", "foo"),
        ("set,abc,track tx, expire 1", "expire 1"),
        ("set,,track ip_src", ""),
        ("noalert,abc", "abc"),
    ] {
        assert_eq!(place(text, xbits(word(text), &names)), at, "{text}");
    }
    for (text, expected) in [
        ("set,abc", set(Tracked::Source(host), 300)),
        ("set, abc , src ", set(Tracked::Source(host), 300)),
        ("isset,abc,dst", test(Tracked::Destination(host), true)),
        ("set,abc,dst,60", set(Tracked::Destination(host), 60)),
        ("noalert", SharedBits::NoAlert),
    ] {
        assert_eq!(hostbits(word(text), &names), Ok(expected), "{text}");
    }
    for (text, at) in [
        ("set", "set"),
        ("set,abc,both", "both"),
        ("set,abc,direction src", "direction src"),
        ("set,abc,src,x", "x"),
        ("set,abc,src,60,1", "1"),
        ("set,a b", "a b"),
    ] {
        assert_eq!(place(text, hostbits(word(text), &names)), at, "{text}");
    }
}

#[test]
fn names_keep_their_numbers_and_are_bounded() {
    let names = Names::default();
    let first = BitId::of(&names, word("first")).unwrap();
    assert_eq!(TxBitId::of(&names, word("other")).unwrap().number(), first.number());
    for number in 1..names::MAX_NAMES {
        BitId::of(&names, word(&format!("n{number}"))).unwrap();
    }
    assert!(BitId::of(&names, word("one too many")).is_err());
    assert!(BitId::of(&names, word("onetoomany")).is_err());
    assert_eq!(BitId::of(&names, word("first")), Ok(first));
    assert!(IntId::of(&names, word("onetoomany")).is_ok());
    // The last number has a place in a set, too.
    let last = BitId::of(&names, word(&format!("n{}", names::MAX_NAMES - 1))).unwrap();
    let (mut state, mut budget) = (FlowState::default(), Budget::new(1 << 16));
    for bit in (0..7).map(|n| BitId::of(&names, word(&format!("n{}", n + 1))).unwrap()) {
        state.set(bit, &mut budget);
    }
    assert!(state.set(last, &mut budget) && state.is_set(last));
    assert_eq!(budget.used(), state.bytes());
}

#[test]
fn an_empty_flow_takes_a_pointer_and_no_room_means_not_kept() {
    let names = Names::default();
    let bit = BitId::of(&names, word("a")).unwrap();
    let int = IntId::of(&names, word("a")).unwrap();
    let text = TextId::of(&names, word("a")).unwrap();
    let (mut state, mut none) = (FlowState::default(), Budget::new(0));
    state.unset(bit);
    state.reset();
    assert!(!state.set(bit, &mut none) && !state.set_int(int, 1, &mut none));
    assert!(!state.set_text(text, b"x", &mut none));
    assert_eq!((none.refused(), none.used(), state.is_empty(), state.bytes()), (3, 0, true, 0));
    let mut budget = Budget::new(1 << 16);
    assert!(state.set_text(text, b"one", &mut budget));
    assert!(state.set_text(text, b"two", &mut budget));
    assert_eq!(state.text(text), Some(&b"two"[..]));
    // A text that cannot be kept is not left at its old value.
    assert!(!state.set_text(text, &[0; 9000], &mut budget));
    assert_eq!(state.text(text), None);
    assert_eq!(budget.used(), state.bytes());
    state.release(&mut budget);
    assert_eq!(budget.used(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Set(u16),
    Unset(u16),
    Toggle(u16),
    Reset,
    Int(u16, u32),
    Text(u16, Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let bit = prop_oneof![0..12_u16, 0..2000_u16];
    prop_oneof![
        5 => bit.clone().prop_map(Step::Set),
        2 => bit.clone().prop_map(Step::Unset),
        2 => bit.prop_map(Step::Toggle),
        1 => Just(Step::Reset),
        2 => (0..20_u16, any::<u32>()).prop_map(|(id, value)| Step::Int(id, value)),
        2 => (0..40_u16, prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(id, text)| Step::Text(id, text)),
    ]
}

proptest! {
    /// Whatever fits is there, and the budget is what lies on the heap.
    #[test]
    fn flow_state_is_a_set_and_two_maps(
        steps in prop::collection::vec(step(), 0..150),
        most in prop_oneof![Just(1_usize << 20), 0..3000_usize],
    ) {
        let (mut state, mut budget) = (FlowState::default(), Budget::new(most));
        let mut bits = BTreeSet::new();
        let mut ints = HashMap::new();
        let mut texts: HashMap<u16, Vec<u8>> = HashMap::new();
        for step in steps {
            match step {
                Step::Set(bit) => {
                    if state.set(BitId(bit), &mut budget) {
                        bits.insert(bit);
                    }
                }
                Step::Unset(bit) => {
                    state.unset(BitId(bit));
                    bits.remove(&bit);
                }
                Step::Toggle(bit) => {
                    BitChange::Toggle([BitId(bit)].into()).apply(&mut state, &mut budget);
                    let there = bits.remove(&bit);
                    if !there && state.is_set(BitId(bit)) {
                        bits.insert(bit);
                    }
                }
                Step::Reset => {
                    state.reset();
                    bits.clear();
                }
                Step::Int(id, value) => {
                    if state.set_int(IntId(id), value, &mut budget) {
                        ints.insert(id, value);
                    }
                }
                Step::Text(id, text) => {
                    if state.set_text(TextId(id), &text, &mut budget) {
                        texts.insert(id, text);
                    } else {
                        texts.remove(&id);
                    }
                }
            }
            prop_assert_eq!(budget.used(), state.bytes());
            // One list may get a little more from the allocator than was asked for.
            prop_assert!(budget.used() <= most + 64);
        }
        for bit in 0..2000 {
            prop_assert_eq!(state.is_set(BitId(bit)), bits.contains(&bit));
        }
        let found: BTreeSet<u16> =
            state.vars().map(|vars| vars.bits().flow_bits().map(|bit| bit.0).collect()).unwrap_or_default();
        prop_assert_eq!(found, bits);
        for id in 0..40 {
            prop_assert_eq!(state.int(IntId(id)), ints.get(&id).copied());
            prop_assert_eq!(state.text(TextId(id)), texts.get(&id).map(Vec::as_slice));
        }
        if most == 1 << 20 && texts.len() < 32 {
            prop_assert_eq!(budget.refused(), 0);
        }
        state.release(&mut budget);
        prop_assert_eq!(budget.used(), 0);
    }

    /// Bits of hosts and pairs beside a map from owner and name to the end.
    #[test]
    fn host_bits_are_a_map(
        steps in prop::collection::vec(
            (0..6_u8, 0..3_u8, 0..2_u16, 0..4_u8, 0..4_u8, 1..10_u32, 0..4_000_u64), 0..200),
    ) {
        let bits = HostBits::new(1 << 20, 5);
        let mut model: HashMap<(u16, u8, u8), u64> = HashMap::new();
        let mut now = 0;
        for (operation, track, id, source, destination, seconds, wait) in steps {
            now += wait * 1_000_000;
            let host = |last: u8| IpAddr::from([10, 0, 0, last]);
            let mut subject = Subject {
                source: host(source),
                destination: host(destination),
                time: Timestamp(now),
                transaction: None,
            };
            let (bit, owner) = match track {
                0 => (Tracked::Source(HostBitId(id)), (id, source, 255)),
                1 => (Tracked::Destination(HostBitId(id)), (id, destination, 255)),
                _ => (
                    Tracked::Pair(PairBitId(id)),
                    (id, source.min(destination), source.max(destination)),
                ),
            };
            let set = model.get(&owner).is_some_and(|end| *end >= now);
            let end = (now / SECOND + u64::from(seconds)) * SECOND + SECOND - 1;
            match operation {
                0 | 1 => {
                    bits.apply(&HostBitChange::Set(bit, seconds), &mut subject);
                    if !set {
                        model.insert(owner, end);
                    }
                }
                2 => {
                    bits.apply(&HostBitChange::Unset(bit), &mut subject);
                    model.remove(&owner);
                }
                3 => {
                    bits.apply(&HostBitChange::Toggle(bit, seconds), &mut subject);
                    match set {
                        true => model.remove(&owner),
                        false => model.insert(owner, end),
                    };
                }
                _ => {
                    let wanted = operation == 4;
                    let test = HostBitTest { bit, set: wanted };
                    prop_assert_eq!(bits.holds(&test, &subject), set == wanted);
                }
            }
        }
        prop_assert_eq!(bits.counters().evicted, 0);
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place(
        text in "(set|isset|unset|noalert|ab)?,?[ -~]{0,30}",
    ) {
        let names = Names::default();
        let faults = [
            flowbits(word(&text), &names).err(),
            flowint(word(&text), &names).err(),
            xbits(word(&text), &names).err(),
            hostbits(word(&text), &names).err(),
        ];
        for fault in faults.into_iter().flatten() {
            prop_assert!(text.get(fault.span.start..fault.span.end).is_some(), "{}", fault.reason);
        }
    }
}

#[test]
fn bits_of_transactions_lie_with_them() {
    let names = Names::default();
    let shared = HostBits::new(1 << 16, 1);
    let (mut tx, mut budget) = (BitSet::default(), Budget::new(1 << 16));
    let host = IpAddr::from([10, 0, 0, 1]);
    let mut step = |text: &str, tx: Option<&mut BitSet>| {
        let mut subject = Subject {
            source: host,
            destination: host,
            time: Timestamp(0),
            transaction: tx.map(|bits| (bits, &mut budget)),
        };
        match xbits(word(text), &names).unwrap() {
            SharedBits::Test(test) => Some(shared.holds(&test, &subject)),
            SharedBits::Change(change) => {
                shared.apply(&change, &mut subject);
                None
            }
            SharedBits::NoAlert => None,
        }
    };
    step("set,a,track tx", Some(&mut tx));
    assert_eq!(step("isset,a,track tx", Some(&mut tx)), Some(true));
    assert_eq!(step("isset,a,track tx", Some(&mut BitSet::default())), Some(false));
    assert_eq!(step("isset,a,track tx", None), Some(false));
    assert_eq!(step("isset,a,track ip_src", Some(&mut tx)), Some(false));
    step("toggle,a,track tx", Some(&mut tx));
    assert_eq!(step("isnotset,a,track tx", Some(&mut tx)), Some(true));
    step("set,a,track tx", None);
    assert_eq!(shared.counters().entries, 0);
}

/// Two workers that set and test the same bits see each other's.
#[test]
fn workers_share_bits() {
    let shared = HostBits::new(1 << 20, 1);
    let subject = |last: u8| Subject {
        source: IpAddr::from([10, 0, 0, last]),
        destination: IpAddr::from([10, 0, 1, last]),
        time: Timestamp(0),
        transaction: None,
    };
    std::thread::scope(|scope| {
        for worker in 0..4_u16 {
            let (shared, subject) = (&shared, &subject);
            scope.spawn(move || {
                for last in 0..=255 {
                    let bit = Tracked::Source(HostBitId(worker));
                    shared.apply(&HostBitChange::Set(bit, 60), &mut subject(last));
                }
            });
        }
    });
    for (worker, last) in (0..4).flat_map(|worker| (0..=255).map(move |last| (worker, last))) {
        let bit = Tracked::Source(HostBitId(worker));
        assert!(shared.holds(&HostBitTest { bit, set: true }, &subject(last)));
    }
    assert_eq!(shared.counters().entries, 1024);
}

/// Every value of the public rulesets and of the conformance suite is read.
#[test]
fn values_in_use_are_read() {
    let shared = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    if !shared.is_dir() {
        eprintln!("skipped: {} is not there", shared.display());
        return;
    }
    let names = Names::default();
    let mut folders = vec![shared.join("rules"), shared.join("conformance/suite/tests")];
    let mut read = [0; 4];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rules") {
                continue;
            }
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            for (name, at) in ["flowbits:", "flowint:", "xbits:", "hostbits:"]
                .iter()
                .flat_map(|name| text.match_indices(name).map(|(at, name)| (name, at)))
            {
                if !text[..at].ends_with([' ', ';', '(']) {
                    continue;
                }
                let value = text[at + name.len()..].split(';').next().unwrap().trim();
                let (kind, fault) = match name {
                    "flowbits:" => (0, flowbits(word(value), &names).err()),
                    "flowint:" => (1, flowint(word(value), &names).err()),
                    "xbits:" => (2, xbits(word(value), &names).err()),
                    _ => (3, hostbits(word(value), &names).err()),
                };
                assert_eq!(fault, None, "{}: {name}{value}", path.display());
                read[kind] += 1;
            }
        }
    }
    assert!(read[0] > 10_000 && read[1] > 50 && read[2] > 50 && read[3] > 5, "{read:?}");
}
