//! The seeds of the fuzz targets, and what fuzzing found, run through the same checks on stable.

use std::fs;
use std::path::Path;

#[path = "../../nids-user/fuzz/checks/address_index.rs"]
mod address_index;
#[path = "../../nids-user/fuzz/checks/chain.rs"]
mod chain;
#[path = "../../nids-user/fuzz/checks/control_line.rs"]
mod control_line;
#[path = "../../nids-user/fuzz/checks/dataset.rs"]
mod dataset;
#[path = "../../nids-user/fuzz/checks/decode.rs"]
mod decode;
#[path = "../../nids-user/fuzz/checks/dns.rs"]
mod dns;
#[path = "../../nids-user/fuzz/checks/http1.rs"]
mod http1;
#[path = "../../nids-user/fuzz/checks/pcap_file.rs"]
mod pcap_file;
#[path = "../../nids-user/fuzz/checks/pcre.rs"]
mod pcre;
#[path = "../../nids-user/fuzz/checks/rule_lists.rs"]
mod rule_lists;
#[path = "../../nids-user/fuzz/checks/rule_text.rs"]
mod rule_text;
#[path = "../../nids-user/fuzz/checks/state_values.rs"]
mod state_values;
#[path = "../../nids-user/fuzz/checks/threshold_config.rs"]
mod threshold_config;
#[path = "../../nids-user/fuzz/checks/transform.rs"]
mod transform;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let seed = fs::read(entry.unwrap().path()).unwrap();
        seeds += 1;
        check(&seed);
        // Each seed cut off at every place, and with each byte turned around.
        for at in 0..seed.len() {
            check(&seed[..at]);
            let mut changed = seed.clone();
            changed[at] = !changed[at];
            check(&changed);
        }
    }
    assert!(seeds > 5, "{} has only {seeds} seeds", folder.display());
}

#[test]
fn address_index_seeds() {
    replay("address_index", address_index::check);
}

#[test]
fn chain_seeds() {
    replay("chain", chain::check);
}

#[test]
fn control_line_seeds() {
    replay("control_line", control_line::check);
}

#[test]
fn dataset_seeds() {
    replay("dataset", dataset::check);
}

#[test]
fn decode_seeds() {
    replay("decode", decode::check);
}

#[test]
fn dns_seeds() {
    replay("dns", dns::check);
}

#[test]
fn http1_seeds() {
    replay("http1", http1::check);
}

#[test]
fn pcap_file_seeds() {
    replay("pcap_file", pcap_file::check);
}

#[test]
fn pcre_seeds() {
    replay("pcre", pcre::check);
}

#[test]
fn rule_lists_seeds() {
    replay("rule_lists", rule_lists::check);
}

#[test]
fn rule_text_seeds() {
    replay("rule_text", rule_text::check);
}

#[test]
fn state_values_seeds() {
    replay("state_values", state_values::check);
}

#[test]
fn threshold_config_seeds() {
    replay("threshold_config", threshold_config::check);
}

#[test]
fn transform_seeds() {
    replay("transform", transform::check);
}
