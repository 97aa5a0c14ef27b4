//! Real rulesets: each rule is loaded or refused with a reason, and inspection by them finds nothing in
//! packets that have nothing. Skips, and says so, where the rulesets are not beside the checkout.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nids::decode::Tunnels;
use nids::detect::{Environment, compile};
use nids::rule::load::load;

use super::world;

/// A ruleset beside the checkout; says so where it is not there.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/rules").join(name);
    if !path.exists() {
        let _ = writeln!(std::io::stderr(), "skipped: there is no ../shared/rules/{name}");
        return None;
    }
    Some(path)
}

/// Beginnings of the names of keywords that need a parser of the application layer.
const APPLICATION: [&str; 12] = [
    "http",
    "file",
    "tls",
    "ssl",
    "ja3",
    "dns",
    "ssh",
    "smb",
    "dce",
    "app-layer",
    "uricontent",
    "ftpbounce",
];

/// Rules of these protocols are honoured, all of them, unless they look at an application protocol.
#[test]
fn rules_without_application_protocol_load() {
    const PROTOCOLS: [&str; 6] = ["tcp", "udp", "icmp", "ip", "tcp-pkt", "tcp-stream"];
    for (name, least) in [("et-open.rules", 3500), ("et-open-2025-partial.rules", 3300)] {
        let Some(path) = shared(name) else { continue };
        let loaded = load(&[path]).unwrap();
        assert!(loaded.refusals.is_empty(), "{:?}", loaded.refusals);
        let (mut rules, mut of_applications) = (Vec::new(), 0);
        for rule in loaded.rules {
            if !PROTOCOLS.contains(&rule.header.protocol.node.as_str()) {
                continue;
            }
            let needs = |name: &str| APPLICATION.iter().any(|start| name.starts_with(start));
            match rule.options.iter().any(|option| needs(&option.name.node)) {
                true => of_applications += 1,
                false => rules.push(rule),
            }
        }
        let environment =
            Environment { classifications: loaded.classifications, ..Environment::default() };
        let compiled = compile(&rules, &environment);
        assert!(compiled.refusals.is_empty(), "{name}: {:?}", compiled.refusals);
        let superseded = compiled.superseded.len();
        assert_eq!(compiled.ruleset.len() + superseded, rules.len(), "{name}");
        assert!(rules.len() >= least && of_applications < 30, "{} {of_applications}", rules.len());
        // None of them is tried on every packet: each has bytes to look for, addresses, or a test.
        let always = compiled.ruleset.groups().iter().flat_map(|group| group.always.iter());
        let always: Vec<u32> = always
            .filter_map(|at| compiled.ruleset.signatures().get(*at as usize))
            .map(|s| s.info.sid)
            .collect();
        assert!(always.is_empty(), "{name}: tried on every packet: {always:?}");
    }
}

#[test]
fn every_rule_is_loaded_or_refused() {
    for (name, least) in [
        ("et-open.rules", 1500),
        ("et-open-2025-partial.rules", 300),
        ("snort2-community.rules", 10),
        ("snort2-et-2021-partial.rules", 300),
        ("snort3-community.rules", 10),
    ] {
        let Some(path) = shared(name) else { continue };
        let loaded = load(&[path]).unwrap();
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
