//! The whole sensor beside Suricata 7: generated rules and captures, `nids read` and `suricata -r`, the same
//! alerts. Skips, and says so, where Suricata 7 is not installed.
//!
//! One seed is always the same; `NIDS_SEED=NUMBER` asks for another one, `NIDS_SEED=fresh` for one by the clock.
//! A failure names its seed. What differs on purpose is in docs/differences.md, and `rules` leaves it out.

mod dice;
mod engines;
mod rules;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dice::Dice;
use engines::{Alert, Bed};
use rules::Rule;

/// Rules of one batch. One packet may have 255 alerts.
const RULES: usize = 400;
const FLOWS: u16 = 400;
const BATCHES: u64 = 8;
/// After this no batch is begun: a slow machine compares fewer.
const TIME: Duration = Duration::from_secs(40);

/// An alert as it is compared, and how often it came.
type Counts = BTreeMap<Alert, usize>;

#[test]
fn the_sensor_alerts_as_suricata_does() {
    let Some(version) = engines::suricata_version() else {
        let _ = writeln!(std::io::stderr(), "skipped: Suricata 7 is not installed");
        return;
    };
    let start = Instant::now();
    let mut compared = 0;
    let mut silent = 0;
    let mut differ = Vec::new();
    for seed in seeds() {
        for batch in 0..BATCHES {
            if start.elapsed() > TIME && batch > 0 {
                break;
            }
            let mut dice = Dice::new(seed.wrapping_mul(1000).wrapping_add(batch));
            let rules: Vec<Rule> = (1..=RULES).map(|sid| rules::rule(&mut dice, sid)).collect();
            let frames = traffic::capture(&mut dice, FLOWS);
            let text: String = rules.iter().map(|rule| format!("{}\n", rule.text)).collect();
            let bed = Bed::new(&text, &frames);
            let ours = counted(&rules, bed.nids());
            let theirs = counted(&rules, bed.suricata());
            let count = differences(&rules, &ours, &theirs);
            if count > 0 {
                let folder = bed.keep();
                differ.push(format!(
                    "NIDS_SEED={seed}, batch {batch}: {count}, {}",
                    folder.display()
                ));
            }
            compared += ours.len();
            let heard: BTreeSet<usize> = ours.keys().map(|alert| alert.sid).collect();
            silent += RULES - heard.len();
        }
    }
    let _ = writeln!(
        std::io::stderr(),
        "{compared} alerts compared in {:.1} s, {silent} rules never matched",
        start.elapsed().as_secs_f32()
    );
    assert!(differ.is_empty(), "alerts that differ from those of {version}: {differ:#?}");
    assert!(compared > 20_000, "only {compared} alerts compared");
}

fn seeds() -> Vec<u64> {
    let fixed = 7;
    match std::env::var("NIDS_SEED").as_deref() {
        Err(_) => vec![fixed],
        Ok("fresh") => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            vec![fixed, now.as_secs() % 1_000_000]
        }
        Ok(number) => vec![number.parse().expect("NIDS_SEED is a number, or `fresh`")],
    }
}

fn counted(rules: &[Rule], alerts: Vec<Alert>) -> Counts {
    let mut counts = Counts::new();
    for mut alert in alerts {
        let sid = alert.sid;
        match (rules[sid - 1].of_stream, alert.packet) {
            (true, _) => alert.packet = 0,
            // On purpose: Suricata shows the end of a connection to rules of packets too.
            (false, 0) => continue,
            (false, _) => {}
        }
        let count = counts.entry(alert).or_default();
        // On purpose: Suricata may alert again where it looks at the rest of a stream.
        *count = if rules[sid - 1].of_stream { 1 } else { *count + 1 };
    }
    counts
}

/// Shows one difference of each rule; returns how many there are.
fn differences(rules: &[Rule], ours: &Counts, theirs: &Counts) -> usize {
    let of = |counts: &Counts, alert: &Alert| counts.get(alert).copied().unwrap_or(0);
    let all: BTreeSet<&Alert> = ours.keys().chain(theirs.keys()).collect();
    let mut rule = 0;
    let mut count = 0;
    for alert in all {
        let (mine, yours) = (of(ours, alert), of(theirs, alert));
        if mine == yours {
            continue;
        }
        count += 1;
        if alert.sid != std::mem::replace(&mut rule, alert.sid) {
            eprintln!(
                "ours {mine}, Suricata's {yours}: {alert:?}\n    {}",
                rules[alert.sid - 1].text
            );
        }
    }
    count
}
