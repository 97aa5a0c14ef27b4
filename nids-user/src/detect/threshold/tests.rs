//! Tables from Suricata's documentation, a model that knows all times, and several workers.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::capture::Timestamp;
use crate::detect::flow_state::{Budget, FlowState};
use crate::detect::keyword::value::{Fault, Word};
use crate::rule::ast::Action;
use crate::rule::variables::Variables;

const SECOND: u64 = 1_000_000_000;
const RULE: RuleKey = RuleKey { gid: 1, sid: 1, rev: 1 };

fn word(text: &str) -> Word<'_> {
    Word { text, start: 0 }
}

fn limit(text: &str) -> Limit {
    threshold(word(text)).unwrap()
}

fn only(limit: Limit) -> RuleLimits {
    RuleLimits { limit: Some(limit), ..RuleLimits::default() }
}

fn facts(source: u8, destination: u8, time: u64) -> Facts {
    let host = |last| IpAddr::from([10, 0, 0, last]);
    Facts { ends: Some((host(source), host(destination))), time: Timestamp(time) }
}

fn file(text: &str) -> Parsed {
    parse(&Arc::from(Path::new("threshold.config")), text, &Variables::default())
}

/// Accepted and refused forms are those of Suricata 7.0.10 and, with `by_flow` and `backoff`, of 8.
#[test]
fn reads_thresholds() {
    let window = |how, track, count: u32, seconds| Limit::Window {
        how,
        track,
        count: count.try_into().unwrap(),
        seconds,
    };
    for (text, expected) in [
        (
            "type limit,track by_dst,count 10,seconds 60",
            window(How::Limit, Track::Destination, 10, 60),
        ),
        (
            "track by_dst, type limit, seconds 60, count 10",
            window(How::Limit, Track::Destination, 10, 60),
        ),
        ("count 10, track by_both , seconds  60,type both", window(How::Both, Track::Pair, 10, 60)),
        (
            "type threshold, track by_rule, count 1, seconds 0",
            window(How::Threshold, Track::Rule, 1, 0),
        ),
        ("type limit, track by_flow, count 1, seconds 9", window(How::Limit, Track::Flow, 1, 9)),
        (
            "type backoff, track by_flow, count 5, multiplier 10",
            Limit::Backoff { count: 5.try_into().unwrap(), multiplier: 10.try_into().unwrap() },
        ),
    ] {
        assert_eq!(threshold(word(text)), Ok(expected), "{text}");
    }
    for (text, place) in [
        ("type any,track by_dst,count 10,seconds 60", "any"),
        ("type LIMIT, track by_src, count 1, seconds 10", "LIMIT"),
        ("type limit, track by_srx, count 1, seconds 10", "by_srx"),
        ("type limit, track by_src, count 0, seconds 10", "0"),
        ("type limit, track by_src, count -1, seconds 10", "-1"),
        ("type limit, track by_src, count 1, seconds 4294967296", "4294967296"),
        (
            "type limit, track by_src, count 1, secs 10",
            "type limit, track by_src, count 1, secs 10",
        ),
        ("type limit, track by_src, count 1, second 10", "second"),
        ("count 10, track by_dst, seconds 60, type both, count 10", "count"),
        ("type limit, track by_src, count 1", "type limit, track by_src, count 1"),
        ("type limit, track by_src, count 1, seconds 1, foo 3", "foo"),
        ("type limit, track by_src, count 1,, seconds 1", ""),
        ("type limit track by_src, count 1, seconds 1", "limit track by_src"),
        ("type backoff, track by_src, count 1, multiplier 2", "by_src"),
        ("type backoff, track by_flow, count 1, seconds 2", "2"),
        ("type backoff, track by_flow, count 1, multiplier 0", "0"),
        ("type limit, track by_flow, count 1, seconds 1, multiplier 2", "2"),
        ("limit", "limit"),
    ] {
        let fault: Fault = threshold(word(text)).unwrap_err();
        assert_eq!(&text[fault.span.start..fault.span.end], place, "{text}: {}", fault.reason);
    }
    let help = threshold(word("type limit, track by_src, count 1, second 10")).unwrap_err().help;
    assert_eq!(help.as_deref(), Some("did you mean `seconds`?"));
}

#[test]
fn reads_detection_filters() {
    for text in ["track by_src, count 30, seconds 60", "seconds 60,count 30,track by_src"] {
        let expected = Limit::Window {
            how: How::DetectionFilter,
            track: Track::Source,
            count: 30.try_into().unwrap(),
            seconds: 60,
        };
        assert_eq!(detection_filter(word(text)), Ok(expected));
    }
    for text in [
        "track by_src, count 0, seconds 10",
        "track by_src, count 1, seconds 0",
        "track by_src, count 1",
        "track by_src, count 1, seconds 1, unique_on dst_port",
        "type limit, track by_src, count 1, seconds 1",
    ] {
        assert!(detection_filter(word(text)).is_err(), "{text}");
    }
}

#[test]
fn reads_files() {
    let text = "\u{feff}# a comment\r\n\
        suppress gen_id 1, sig_id 2002087 # why\r\n\
        \n  # indented\n\
        suppress gen_id 1, sig_id 2002087, track by_src, ip [10.0.0.0/8,!10.1.0.0/16, 192.168.0.1]\n\
        suppress gen_id 0, sig_id 0, track by_either, ip $HOME_NET\n\
        suppress gen_id 1, sig_id 7, track by_dst, ip fe80::/10 \\\n\n\
        threshold gen_id 1, sig_id 5, type both, \\  \n  track by_src, \\\r\n count 3, seconds 5\n\
        event_filter gen_id 3, sig_id 0, type limit, track by_rule, count 1, seconds 15\n\
        rate_filter gen_id 1, sig_id 1000, track by_rule, count 100, seconds 60, \\\n \
          new_action reject, timeout 30\n";
    let parsed = file(text);
    assert_eq!(parsed.refusals, []);
    let scopes: Vec<Scope> = parsed.entries.iter().map(|entry| entry.scope).collect();
    let rule = |sid| Scope::Rule { gid: 1, sid };
    assert_eq!(
        scopes,
        [
            rule(2_002_087),
            rule(2_002_087),
            Scope::All,
            rule(7),
            rule(5),
            Scope::Generator(3),
            rule(1000)
        ]
    );
    let [one, two, all, six, both, _, rate] = &parsed.entries[..] else { panic!() };
    assert_eq!(one.effect, Effect::Silence);
    let holds = |entry: &Entry, from: &str, to: &str| match &entry.effect {
        Effect::Suppress(suppression) => {
            suppression.holds(from.parse().unwrap(), to.parse().unwrap())
        }
        _ => panic!(),
    };
    assert!(holds(two, "10.0.0.1", "8.8.8.8") && !holds(two, "8.8.8.8", "10.0.0.1"));
    assert!(!holds(two, "10.1.0.1", "8.8.8.8") && holds(two, "192.168.0.1", "8.8.8.8"));
    assert!(holds(all, "8.8.8.8", "10.0.0.1") && holds(all, "10.0.0.1", "8.8.8.8"));
    assert!(!holds(all, "8.8.8.8", "9.9.9.9"));
    assert!(holds(six, "2001::1", "fe80::1") && !holds(six, "fe80::1", "2001::1"));
    assert_eq!(both.effect, Effect::Limit(limit("type both, track by_src, count 3, seconds 5")));
    let how = How::Rate { action: Action::RejectSource, timeout: 30 };
    assert!(matches!(rate.effect, Effect::Limit(Limit::Window { how: found, .. }) if found == how));
}

#[test]
fn bad_entries_cost_only_themselves_and_have_a_place() {
    let text = "supress gen_id 1, sig_id 1\n\
        suppress gen_id 1\n\
        suppress gen_id 0, sig_id 5\n\
        suppress gen_id 1, sig_id 5, track by_src\n\
        suppress gen_id 1, sig_id 5, track by_src, ip $HOME_NEET\n\
        suppress gen_id 1, sig_id 5, \\\n  track by_src, ip 10.0.0.256\n\
        suppress gen_id 1, sig_id 5, track by_rule, ip 10.0.0.1\n\
        threshold gen_id 1, sig_id 5, type limit, track by_src, count 0, seconds 5\n\
        threshold gen_id 1, sig_id 5, type limit, track by_src, count 1, seconds 5, ip 10.0.0.1\n\
        rate_filter gen_id 1, sig_id 5, track by_src, count 1, seconds 5, new_action log, timeout 5\n\
        rate_filter gen_id 1, sig_id 5, track by_src, count 1, seconds 5, timeout 5\n\
        suppress gen_id 1, sig_id x\n\
        suppress\n\
        suppress gen_id 1, sig_id 9\n\
        suppress gen_id 1, sig_id 9, track by_src, ip 10.0.0.1 \\";
    let parsed = file(text);
    assert_eq!(parsed.entries.len(), 2);
    let places: Vec<(u32, u32, &str)> = parsed
        .refusals
        .iter()
        .map(|r| (r.place().line, r.place().column, &r.text[r.span.start..r.span.end]))
        .collect();
    assert_eq!(
        places,
        [
            (1, 1, "supress"),
            (2, 10, "gen_id 1"),
            (3, 17, "0"),
            (4, 10, "gen_id 1, sig_id 5, track by_src"),
            (5, 47, "$HOME_NEET"),
            (7, 20, "10.0.0.256"),
            (8, 36, "by_rule"),
            (9, 63, "0"),
            (10, 77, "ip"),
            (11, 78, "log"),
            (12, 13, "gen_id 1, sig_id 5, track by_src, count 1, seconds 5, timeout 5"),
            (13, 27, "x"),
            (14, 1, "suppress"),
        ]
    );
    let shown = parsed.refusals[4].to_string();
    assert!(shown.contains("threshold.config:5:47"), "{shown}");
    assert!(shown.contains("did you mean `$HOME_NET`?"), "{shown}");
}

/// Suricata user guide, "Global thresholds vs rule thresholds", and util-threshold-config.c.
#[test]
fn limits_combine_as_in_suricata() {
    let own = Some(limit("type threshold, track by_src, count 10, seconds 60"));
    let of = |text: &str, own| {
        let parsed = file(text);
        assert_eq!(parsed.refusals, [], "{text}");
        let mut notes = 0;
        let limits = FileLimits::new(parsed.entries).of(1, 5, own, |_| notes += 1);
        (limits, notes)
    };
    const EXACT: &str =
        "threshold gen_id 1, sig_id 5, type both, track by_src, count 3, seconds 5\n";
    const LATER: &str =
        "threshold gen_id 1, sig_id 5, type limit, track by_src, count 1, seconds 7\n";
    const ALL: &str =
        "threshold gen_id 0, sig_id 0, type limit, track by_dst, count 1, seconds 9\n";
    const OTHER: &str =
        "threshold gen_id 2, sig_id 0, type limit, track by_dst, count 1, seconds 9\n";
    const RATE: &str = "rate_filter gen_id 1, sig_id 5, track by_src, count 3, seconds 5, \
                        new_action drop, timeout 8\n";
    let exact = Some(limit("type both, track by_src, count 3, seconds 5"));
    let later = Some(limit("type limit, track by_src, count 1, seconds 7"));
    let all = Some(limit("type limit, track by_dst, count 1, seconds 9"));
    for (texts, own, expected, notes) in [
        (&[EXACT][..], own, exact, 0),
        (&[EXACT, LATER], own, later, 0),
        (&[ALL], own, own, 1),
        (&[ALL], None, all, 0),
        (&[OTHER], None, None, 0),
        (&[ALL, EXACT], None, exact, 0),
        (&[EXACT, ALL], None, exact, 1),
        (&[RATE], own, own, 1),
        (&[EXACT, RATE], None, exact, 1),
        (&[RATE, EXACT], None, exact, 0),
    ] {
        let (limits, told) = of(&texts.concat(), own);
        assert_eq!((limits.limit, told), (expected, notes), "{texts:?}");
        assert!(!limits.silenced && limits.suppressions.is_empty());
    }
    let (limits, _) = of(
        "suppress gen_id 1, sig_id 5, track by_src, ip 10.0.0.1\n\
         suppress gen_id 1, sig_id 0, track by_src, ip 10.0.0.2\n\
         suppress gen_id 0, sig_id 0, track by_dst, ip 10.0.0.3\n\
         suppress gen_id 1, sig_id 6, track by_dst, ip 10.0.0.4\n",
        own,
    );
    assert_eq!((limits.suppressions.len(), limits.limit), (3, own));
    assert!(of("suppress gen_id 1, sig_id 0\n", own).0.silenced);
    let unknown = FileLimits::new(file("suppress gen_id 1, sig_id 5\n").entries);
    assert_eq!(unknown.without_rule(|_, _| false).count(), 1);
    assert_eq!(unknown.without_rule(|gid, sid| (gid, sid) == (1, 5)).count(), 0);
}

/// Numbers of the matches that alert, of `total` at the same time.
fn alerting(limit: Limit, total: u32) -> Vec<u32> {
    let thresholds = Thresholds::new(1 << 16, 1);
    let limits = only(limit);
    let (mut state, mut budget) = (FlowState::default(), Budget::new(1 << 16));
    (1..=total)
        .filter(|_| {
            let flow = Some((&mut state, &mut budget));
            matches!(
                thresholds.judge(RULE, &limits, &facts(1, 2, 5), flow),
                Outcome::Alert | Outcome::NewAction(_)
            )
        })
        .collect()
}

/// Suricata user guide, "Thresholding Keywords".
#[test]
fn tables_of_the_documentation() {
    for (text, expected) in [
        ("type threshold, track by_src, count 10, seconds 60", vec![10, 20, 30]),
        ("type threshold, track by_src, count 1, seconds 60", (1..=30).collect()),
        ("type limit, track by_src, count 3, seconds 60", vec![1, 2, 3]),
        ("type both, track by_rule, count 5, seconds 360", vec![5]),
        ("type both, track by_both, count 1, seconds 360", vec![1]),
        ("type limit, track by_flow, count 2, seconds 3600", vec![1, 2]),
        ("type backoff, track by_flow, count 1, multiplier 10", vec![1, 10]),
        ("type backoff, track by_flow, count 1, multiplier 2", vec![1, 2, 4, 8, 16]),
        ("type backoff, track by_flow, count 5, multiplier 5", vec![5, 25]),
        ("type backoff, track by_flow, count 3, multiplier 1", vec![3]),
    ] {
        assert_eq!(alerting(limit(text), 30), expected, "{text}");
    }
    let filter = detection_filter(word("track by_src, count 15, seconds 2")).unwrap();
    assert_eq!(alerting(filter, 30), (16..=30).collect::<Vec<u32>>());
    // The numbers of the conformance suite, on a flow with 6,676 matches.
    for (count, multiplier, alerts) in [(1, 2, 13), (3, 2, 12), (5, 5, 5)] {
        let text = format!("type backoff, track by_flow, count {count}, multiplier {multiplier}");
        assert_eq!(alerting(limit(&text), 6676).len(), alerts);
    }
}

#[test]
fn actions_hold_above_a_limit_and_not_below_a_count() {
    let thresholds = Thresholds::new(1 << 16, 1);
    let judge = |sid, text: &str| {
        let rule = RuleKey { sid, ..RULE };
        thresholds.judge(rule, &only(limit(text)), &facts(1, 2, 0), None)
    };
    let both = "type both, track by_src, count 2, seconds 9";
    assert_eq!(judge(1, both), Outcome::Suppressed(Reason::Below));
    assert_eq!(judge(1, both), Outcome::Alert);
    assert_eq!(judge(1, both), Outcome::Suppressed(Reason::Above));
    let flow = "type limit, track by_flow, count 2, seconds 9";
    assert_eq!(judge(2, flow), Outcome::Suppressed(Reason::NoFlow));
    assert!(Reason::Above.applies_action() && Reason::Address.applies_action());
    assert!(!Reason::Below.applies_action() && !Reason::NoFlow.applies_action());
    let counters = thresholds.counters();
    assert_eq!(counters.suppressed, [0, 0, 1, 1, 1, 0]);
    assert_eq!(counters.table.entries, 1);
}

#[test]
fn suppressed_matches_are_not_counted() {
    let parsed = file(
        "suppress gen_id 1, sig_id 1, track by_src, ip 10.0.0.9\n\
         threshold gen_id 1, sig_id 1, type limit, track by_dst, count 1, seconds 60\n",
    );
    let limits = FileLimits::new(parsed.entries).of(1, 1, None, |_| ());
    let thresholds = Thresholds::new(1 << 16, 1);
    let judge = |source| thresholds.judge(RULE, &limits, &facts(source, 2, 0), None);
    assert_eq!(judge(9), Outcome::Suppressed(Reason::Address));
    assert_eq!(judge(1), Outcome::Alert);
    assert_eq!(judge(1), Outcome::Suppressed(Reason::Above));
    let silenced = RuleLimits { silenced: true, ..limits.clone() };
    let judge = |ends: Facts| thresholds.judge(RuleKey { sid: 2, ..RULE }, &silenced, &ends, None);
    assert_eq!(judge(facts(1, 2, 0)), Outcome::Suppressed(Reason::Silenced));
    let without = Facts { ends: None, time: Timestamp(0) };
    assert_eq!(judge(without), Outcome::Suppressed(Reason::Silenced));
    assert_eq!(thresholds.judge(RULE, &limits, &without, None), Outcome::Alert);
}

/// Suricata, detect-engine-threshold.c: in force for `timeout` whole seconds, the match that ends it
/// keeps its action and is not counted.
#[test]
fn rate_filter_holds_for_its_time() {
    let parsed = file(
        "rate_filter gen_id 1, sig_id 1, track by_src, count 2, seconds 100, new_action drop, timeout 5",
    );
    let limits = FileLimits::new(parsed.entries).of(1, 1, None, |_| ());
    let thresholds = Thresholds::new(1 << 16, 1);
    let (alert, drop) = (Outcome::Alert, Outcome::NewAction(Action::Drop));
    for (seconds, expected) in [
        (0, alert),
        (1, alert),
        (2, drop),
        (7, drop),
        (8, alert),
        (9, drop),
        (14, drop),
        (120, alert),
        (121, alert),
        (122, drop),
    ] {
        let outcome = thresholds.judge(RULE, &limits, &facts(1, 2, seconds * SECOND), None);
        assert_eq!(outcome, expected, "at {seconds}");
    }
    assert_eq!(thresholds.counters().new_action, 5);
}

/// A reload keeps the counts of what stays the same, and begins anew with what does not.
#[test]
fn counts_live_on_across_reloads() {
    let thresholds = Thresholds::new(1 << 16, 1);
    let judge = |rule, text: &str| {
        thresholds.judge(rule, &only(limit(text)), &facts(1, 2, 0), None) == Outcome::Alert
    };
    assert!(judge(RULE, "type limit, track by_src, count 1, seconds 60"));
    assert!(!judge(RULE, "type limit, track by_src, count 1, seconds 60"));
    assert!(judge(RuleKey { rev: 2, ..RULE }, "type limit, track by_src, count 1, seconds 60"));
    assert!(judge(RULE, "type limit, track by_dst, count 1, seconds 60"));
    assert!(!judge(RULE, "type both, track by_src, count 2, seconds 60"));
    assert!(judge(RULE, "type both, track by_src, count 2, seconds 60"));
}

#[test]
fn a_flow_keeps_a_bounded_number_of_counts() {
    let thresholds = Thresholds::new(1 << 16, 1);
    let limits = only(limit("type limit, track by_flow, count 1, seconds 60"));
    let (mut state, mut budget) = (FlowState::default(), Budget::new(1 << 20));
    let judge = |sid, state: &mut FlowState, budget: &mut Budget| {
        thresholds.judge(RuleKey { sid, ..RULE }, &limits, &facts(1, 2, 0), Some((state, budget)))
    };
    for sid in 0..64 {
        assert_eq!(judge(sid, &mut state, &mut budget), Outcome::Alert);
    }
    let no_room = Outcome::Suppressed(Reason::NoRoom);
    assert_eq!(judge(64, &mut state, &mut budget), no_room);
    assert_eq!(judge(63, &mut state, &mut budget), Outcome::Suppressed(Reason::Above));
    assert_eq!((budget.used(), budget.refused()), (state.bytes(), 1));
    state.release(&mut budget);
    assert_eq!((budget.used(), state.is_empty()), (0, true));
    assert_eq!(judge(1, &mut state, &mut Budget::new(10)), no_room);
}

/// However workers take turns, so many alerts there are.
#[test]
fn several_workers_count_together() {
    let thresholds = Thresholds::new(1 << 20, 1);
    let total = |text: &str, sid| {
        let limits = only(limit(text));
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let rule = RuleKey { sid, ..RULE };
                        let judge = |at: u32| {
                            let facts = facts((at % 8) as u8, 200, u64::from(at));
                            thresholds.judge(rule, &limits, &facts, None)
                        };
                        (0..4000).filter(|at| judge(*at) == Outcome::Alert).count()
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum::<usize>()
        })
    };
    assert_eq!(total("type limit, track by_rule, count 100, seconds 60", 1), 100);
    assert_eq!(total("type limit, track by_src, count 100, seconds 60", 2), 800);
    assert_eq!(total("type threshold, track by_dst, count 16, seconds 60", 3), 1000);
    assert_eq!(total("type both, track by_both, count 2000, seconds 60", 4), 8);
}

fn any_limit() -> impl Strategy<Value = Limit> {
    let how =
        prop::sample::select(vec![How::Limit, How::Threshold, How::Both, How::DetectionFilter]);
    let track = prop::sample::select(vec![
        Track::Source,
        Track::Destination,
        Track::Pair,
        Track::Rule,
        Track::Flow,
    ]);
    (how, track, 1..6_u32, 0..20_u32).prop_map(|(how, track, count, seconds)| Limit::Window {
        how,
        track,
        count: count.try_into().unwrap(),
        seconds,
    })
}

proptest! {
    /// The model cuts the matches of each key into times from their first match, and goes by the number of
    /// the match within.
    #[test]
    fn outcomes_are_those_of_the_model(
        limits in prop::collection::vec(any_limit(), 1..4),
        matches in prop::collection::vec((0..4_usize, 0..3_u8, 0..3_u8, 0..8_000_u64), 1..120),
    ) {
        let thresholds = Thresholds::new(1 << 20, 9);
        let mut budget = Budget::new(1 << 20);
        let mut flows: HashMap<(u8, u8), FlowState> = HashMap::new();
        let mut windows: HashMap<(usize, u8, u8), (u64, u32)> = HashMap::new();
        let mut now = 0;
        for (rule, source, destination, wait) in matches {
            let rule = rule % limits.len();
            now += wait * 1_000_000;
            let Limit::Window { how, track, count, seconds } = limits[rule] else { unreachable!() };
            let (low, high) = (source.min(destination), source.max(destination));
            let (a, b) = match track {
                Track::Source => (source, 0),
                Track::Destination => (destination, 0),
                Track::Pair | Track::Flow => (low, high),
                Track::Rule => (0, 0),
            };
            let window = windows.entry((rule, a, b)).or_insert((now, 0));
            if now - window.0 > u64::from(seconds) * SECOND {
                *window = (now, 0);
            }
            window.1 += 1;
            let (number, count) = (window.1, count.get());
            let alerts = match how {
                How::Limit => number <= count,
                How::Threshold => number % count == 0,
                How::Both => number == count,
                _ => number > count,
            };
            let key = RuleKey { sid: rule as u32, ..RULE };
            let state = flows.entry((low, high)).or_default();
            let facts = facts(source, destination, now);
            let flow = Some((state, &mut budget));
            let outcome = thresholds.judge(key, &only(limits[rule]), &facts, flow);
            prop_assert_eq!(outcome == Outcome::Alert, alerts, "{:?} at {}", limits[rule], number);
        }
        prop_assert_eq!(budget.used(), flows.values().map(FlowState::bytes).sum::<usize>());
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place(
        text in "(suppress|threshold|rate_filter)?[ -~\n\\\\]{0,80}",
    ) {
        let parsed = file(&text);
        for refusal in &parsed.refusals {
            prop_assert!(refusal.text.get(refusal.span.start..refusal.span.end).is_some());
        }
    }
}

/// Every value of the public rulesets and every file of the conformance suite is read.
#[test]
fn values_in_use_are_read() {
    let shared = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    let Ok(rules) = fs::read_dir(shared.join("rules")) else {
        eprintln!("skipped: {} is not there", shared.display());
        return;
    };
    let mut read = 0;
    for path in rules.map(|entry| entry.unwrap().path()) {
        let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        for (name, reader) in [
            ("threshold:", threshold as fn(Word<'_>) -> _),
            ("detection_filter:", detection_filter),
        ] {
            for (at, _) in text.match_indices(name) {
                if !text[..at].ends_with([' ', ';', '(']) {
                    continue;
                }
                let value = text[at + name.len()..].split(';').next().unwrap().trim();
                reader(word(value)).unwrap_or_else(|fault| panic!("{value}: {}", fault.reason));
                read += 1;
            }
        }
    }
    assert!(read > 5000, "only {read} values");
    let mut variables = Variables::default();
    variables.set("SUPPRESS", "145.254.160.0/24").unwrap();
    let mut folders = vec![shared.join("conformance/suite/tests")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("threshold.config") {
                let parsed = load(&path, &variables).unwrap();
                assert_eq!(parsed.refusals, [], "{}", path.display());
                assert!(!parsed.entries.is_empty());
                files += 1;
            }
        }
    }
    assert!(files > 10, "only {files} files");
}
