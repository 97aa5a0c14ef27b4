//! Real rulesets: each rule is loaded or refused with a reason, and inspection by them finds nothing in
//! packets that have nothing. Skips, and says so, where the rulesets are not beside the checkout.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use nids::decode::Tunnels;
use nids::detect::{Environment, compile};
use nids::rule::load::load;

use super::world;

#[test]
fn every_rule_is_loaded_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/rules");
    if !folder.is_dir() {
        let _ = writeln!(std::io::stderr(), "skipped: there are no rulesets in ../shared/rules");
        return;
    }
    for (name, least) in [
        ("et-open.rules", 1500),
        ("et-open-2025-partial.rules", 300),
        ("snort2-community.rules", 10),
        ("snort2-et-2021-partial.rules", 300),
        ("snort3-community.rules", 10),
    ] {
        let loaded = load(&[folder.join(name)]).unwrap();
        let environment = Environment {
            classifications: loaded.classifications,
            references: loaded.references,
            ..Environment::default()
        };
        let start = Instant::now();
        let compiled = compile(&loaded.rules, &environment);
        let time = start.elapsed();
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for refusal in &compiled.refusals {
            assert!(!refusal.reason.is_empty() && refusal.sid.is_some(), "{refusal:?}");
            assert!(refusal.text.get(refusal.span.start..refusal.span.end).is_some());
            *reasons.entry(refusal.kind.as_str()).or_default() += 1;
        }
        let _ = writeln!(
            std::io::stderr(),
            "{name}: {} loaded in {time:?}, {} groups, refused {reasons:?}",
            compiled.ruleset.len(),
            compiled.ruleset.groups().iter().count(),
        );
        assert_eq!(compiled.ruleset.len() + compiled.refusals.len(), loaded.rules.len());
        assert!(compiled.ruleset.len() >= least, "{name}: {} loaded", compiled.ruleset.len());
        // The filter of so many rules is still a filter of them: it is not empty.
        assert_ne!(
            *compiled.ruleset.filter(&Tunnels::default().carriers()),
            nids_abi::FilterTable::EMPTY
        );
        let quiet = vec![vec![0; 60]];
        assert!(world::alerts(&compiled.ruleset, &quiet).is_empty());
    }
}
