//! Any bytes are read as a threshold.config, or refused with a place; what is read limits rules.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use nids::capture::Timestamp;
use nids::detect::flow_state::{Budget, FlowState};
use nids::detect::threshold::{Facts, FileLimits, RuleKey, Thresholds, parse};
use nids::rule::variables::Variables;

static VARIABLES: LazyLock<Variables> = LazyLock::new(Variables::default);

/// Panics where a promise of the reader or of the counts is broken.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let file: Arc<Path> = Arc::from(Path::new("threshold.config"));
    let parsed = parse(&file, &text, &VARIABLES);
    let lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
    for refusal in &parsed.refusals {
        assert!(refusal.text.get(refusal.span.start..refusal.span.end).is_some());
        assert!(!refusal.reason.is_empty());
        assert!((1..=lines.max(1)).contains(&refusal.place().line));
        assert!(!refusal.to_string().is_empty());
    }

    // An entry behind anything is found, unless a line that goes on holds it.
    if !text.trim_ascii_end().ends_with('\\') {
        let behind = format!("{text}\nsuppress gen_id 1, sig_id 4294967295\n");
        let found = parse(&file, &behind, &VARIABLES).entries.len();
        assert_eq!(found, parsed.entries.len() + 1, "the entry behind was lost");
    }

    let limits = FileLimits::new(parsed.entries);
    let thresholds = Thresholds::new(1 << 12, 1);
    let mut budget = Budget::new(1 << 12);
    let mut state = FlowState::default();
    for sid in 0..4 {
        let of_rule = limits.of(1, sid, None, |note| assert!(!note.reason.is_empty()));
        for step in 0..8_u8 {
            let host = |last| IpAddr::from([10, 0, 0, last]);
            let ends = Some((host(step % 3), host(step % 2)));
            let facts = Facts { ends, time: Timestamp(u64::from(step) << 30) };
            let rule = RuleKey { gid: 1, sid, rev: 0 };
            thresholds.judge(rule, &of_rule, &facts, Some((&mut state, &mut budget)));
        }
    }
    assert_eq!(budget.used(), state.bytes());
}
