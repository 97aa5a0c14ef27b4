//! The values of keywords that keep state: read, or refused with a place; what is read can be done. The
//! first byte says which keyword it is.

use std::net::IpAddr;

use nids::capture::Timestamp;
use nids::detect::bits::{
    self, FlowBits, FlowInt, HostBits, IntChange, Names, SharedBits, Subject,
};
use nids::detect::flow_state::{Budget, FlowState};
use nids::detect::keyword::value::{Fault, Word};
use nids::detect::tag::{FlowTags, tag};
use nids::detect::threshold::{self, RuleKey};

/// Panics where a promise is broken.
pub fn check(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    let word = Word { text: &text, start: 0 };
    // Names are kept for ever: not those of the process.
    let names = Names::default();
    let (mut state, mut budget) = (FlowState::default(), Budget::new(1 << 12));
    let read = match kind % 7 {
        0 => threshold::threshold(word).map(drop),
        1 => threshold::detection_filter(word).map(drop),
        2 => bits::flowbits(word, &names).map(|value| match value {
            FlowBits::Test(test) => assert_eq!(test.holds(&state), empty_holds(&test)),
            FlowBits::Change(change) => change.apply(&mut state, &mut budget),
            FlowBits::NoAlert => {}
        }),
        3 => bits::flowint(word, &names).map(|value| match value {
            FlowInt::Test(test) => _ = test.holds(&state),
            FlowInt::Change(change) => {
                change.apply(&mut state, &mut budget);
                assert_eq!(matches!(change, IntChange::Subtract(..)), state.is_empty());
            }
        }),
        4 => bits::xbits(word, &names).map(shared),
        5 => bits::hostbits(word, &names).map(shared),
        _ => tag(word).map(|tag| {
            let rule = RuleKey { gid: 1, sid: 1, rev: 1 };
            FlowTags::add(&mut state, rule, &tag, Timestamp(0), &mut budget);
            let packets = (0..600).filter(|at| {
                state.tags_mut().is_some_and(|tags| tags.packet(1, Timestamp(at << 40)))
            });
            assert!(packets.count() < 600);
        }),
    };
    if let Err(Fault { span, reason, .. }) = read {
        assert!(text.get(span.start..span.end).is_some(), "{reason}");
        assert!(!reason.is_empty());
    }
    assert_eq!(budget.used(), state.bytes());
}

/// What a test says of a flow without bits.
fn empty_holds(test: &bits::BitTest) -> bool {
    matches!(test, bits::BitTest::AnyNotSet(_))
}

fn shared(value: SharedBits) {
    let bits = HostBits::new(1 << 12, 1);
    let host = |last| IpAddr::from([10, 0, 0, last]);
    let mut subject =
        Subject { source: host(1), destination: host(2), time: Timestamp(0), transaction: None };
    match value {
        SharedBits::Test(test) => assert_eq!(bits.holds(&test, &subject), !test.set),
        SharedBits::Change(change) => bits.apply(&change, &mut subject),
        SharedBits::NoAlert => {}
    }
}
