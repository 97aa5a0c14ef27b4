//! Headers, one a line, as `SOURCE DESTINATION`: the index finds the rules that a plain scan of all sets finds, at
//! every end of every range and beside it.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use nids::detect::address_index::AddressIndex;
use nids::detect::signature::Signature;
use nids::detect::{Environment, compile};
use nids::rule::address::AddressSet;
use nids::rule::parser::parse_str;

/// Headers that are looked at, and addresses that are tried of each family.
const MOST: usize = 40;

/// Panics where index and scan differ.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let rules: String = (1..)
        .zip(text.lines().take(MOST))
        .filter_map(|(sid, line)| {
            let (source, destination) = line.split_once(' ')?;
            Some(format!("alert ip {source} any -> {destination} any (sid:{sid};)\n"))
        })
        .collect();
    let file: Arc<Path> = Arc::from(Path::new("fuzz.rules"));
    let compiled = compile(&parse_str(&file, &rules).rules, &Environment::default());
    let signatures = compiled.ruleset.signatures();
    let all: Vec<u32> = (0..).zip(signatures).map(|(index, _)| index).collect();
    let index = AddressIndex::new(signatures, &all);
    assert_eq!((index.len(), index.is_empty()), (all.len(), all.is_empty()));
    let sets = || signatures.iter().flat_map(|s| [&s.source, &s.destination]).flatten();
    compare(signatures, &index, &sets().flat_map(v4).take(MOST).collect::<Vec<_>>());
    compare(signatures, &index, &sets().flat_map(v6).take(MOST).collect::<Vec<_>>());
}

fn compare(signatures: &[Signature], index: &AddressIndex, addresses: &[IpAddr]) {
    let holds =
        |set: &Option<AddressSet>, address| set.as_ref().is_none_or(|set| set.contains(address));
    let mut found = Vec::new();
    for &source in addresses {
        for &destination in addresses {
            found.clear();
            index.find(source, destination, &mut found);
            found.sort_unstable();
            let count = found.len();
            found.dedup();
            assert_eq!(found.len(), count, "one is found twice");
            let matches = |signature: &Signature| {
                holds(&signature.source, source) && holds(&signature.destination, destination)
            };
            found.retain(|index| matches(&signatures[*index as usize]));
            let scanned: Vec<u32> = (0..)
                .zip(signatures)
                .filter(|(_, signature)| matches(signature))
                .map(|(index, _)| index)
                .collect();
            assert_eq!(found, scanned, "{source} to {destination}");
        }
    }
}

fn v4(set: &AddressSet) -> impl Iterator<Item = IpAddr> {
    let near = |(first, last)| {
        let (first, last) = (u32::from(first), u32::from(last));
        [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
    };
    set.v4().flat_map(near).map(|address| IpAddr::from(address.to_be_bytes()))
}

fn v6(set: &AddressSet) -> impl Iterator<Item = IpAddr> {
    let near = |(first, last)| {
        let (first, last) = (u128::from(first), u128::from(last));
        [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
    };
    set.v6().flat_map(near).map(|address| IpAddr::from(address.to_be_bytes()))
}
