//! From the addresses of a packet to the rules that name them: rules with nothing rarer to look for.
//!
//! Lists of addresses come as hundreds of rules with dozens of addresses each. Such a rule is filed in a prefix
//! trie under that end of its header which names fewer addresses, for IPv4 and IPv6 by itself. What is found
//! are candidates: the other end, the ports and all else are verified as those of any rule. Negated members
//! are taken off before, when the header is resolved (`rule::variables`).
//!
//! A rule of addresses only is looked up once a flow and direction, as Suricata's "IP-only"; one that negates an
//! address or asks for more on each packet.

use std::net::IpAddr;

use super::prefix_trie::{Key, Prefix, PrefixTrie};
use super::signature::Signature;
use crate::decode::Packet;
use crate::rule::address::AddressSet;

/// A rule is filed by its addresses where these are at most one in so many of each family, as a power of
/// two: an end with more is met by packet after packet.
const FEW: u8 = 8;

/// The rules of a ruleset that are found by address.
#[derive(Debug, Default)]
pub struct ByAddress {
    /// Those of addresses only: looked up once a flow and direction.
    pub once: AddressIndex,
    /// Others: looked up for each packet.
    pub always: AddressIndex,
}

impl ByAddress {
    /// Whether a signature is filed here, and so in no group: it has nothing rarer than its addresses.
    pub fn takes(signature: &Signature) -> bool {
        signature.fast_pattern.is_none()
            && signature.payload.is_none()
            && signature.transaction.is_none()
            && signature.checks.is_empty()
            && AddressIndex::is_worth_it(signature)
    }

    /// Files these signatures, by their numbers.
    pub fn new(signatures: &[Signature], members: &[u32]) -> Self {
        let is_once =
            |at: &u32| signatures.get(*at as usize).is_some_and(|signature| signature.once);
        let (once, always): (Vec<u32>, Vec<u32>) = members.iter().copied().partition(is_once);
        Self {
            once: AddressIndex::new(signatures, &once),
            always: AddressIndex::new(signatures, &always),
        }
    }

    /// Whether nothing is filed here.
    pub fn is_empty(&self) -> bool {
        self.once.is_empty() && self.always.is_empty()
    }

    /// Appends the signatures that name an address of the packet, each once. `first`: it is the first of its
    /// flow in its direction.
    #[inline]
    pub fn find(&self, packet: &Packet<'_>, first: bool, found: &mut Vec<u32>) {
        let Some(ip) = packet.ip.as_ref() else { return };
        for (index, asked) in [(&self.once, first), (&self.always, true)] {
            if asked && !index.is_empty() {
                index.find(ip.source(), ip.destination(), found);
            }
        }
    }
}

/// Rules by address.
#[derive(Debug, Default)]
pub struct AddressIndex {
    v4: Family<u32>,
    v6: Family<u128>,
    len: usize,
}

/// Rules by one of their ends.
#[derive(Debug)]
struct Family<K> {
    by_source: PrefixTrie<K>,
    by_destination: PrefixTrie<K>,
}

impl AddressIndex {
    /// Files these signatures, by their numbers.
    pub fn new(signatures: &[Signature], members: &[u32]) -> Self {
        let filed = members.iter().filter_map(|at| Some((*at, signatures.get(*at as usize)?)));
        let v4 = filed.clone().filter_map(|(at, signature)| Some((at, narrower_v4(signature)?)));
        let v6 = filed.clone().filter_map(|(at, signature)| Some((at, narrower_v6(signature)?)));
        Self { v4: Family::new(v4), v6: Family::new(v6), len: filed.count() }
    }

    /// Whether one end of the header names few addresses of each family.
    pub fn is_worth_it(signature: &Signature) -> bool {
        narrower_v4(signature).is_none_or(|end| end.is_few())
            && narrower_v6(signature).is_none_or(|end| end.is_few())
    }

    /// Number of signatures.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends the signatures that name one of the addresses, each once.
    #[inline]
    pub fn find(&self, source: IpAddr, destination: IpAddr, found: &mut Vec<u32>) {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.v4.find(source.into(), destination.into(), found);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.v6.find(source.into(), destination.into(), found);
            }
            // No packet has one of each.
            _ => {}
        }
    }

    /// Bytes of memory it takes.
    pub fn memory(&self) -> usize {
        self.v4.memory() + self.v6.memory()
    }
}

impl<K: Key> Family<K> {
    fn new(ends: impl Iterator<Item = (u32, End<K>)>) -> Self {
        let (mut by_source, mut by_destination) = (Vec::new(), Vec::new());
        for (at, end) in ends {
            let filed = if end.is_source { &mut by_source } else { &mut by_destination };
            filed.extend(end.prefixes.into_iter().map(|prefix| (prefix, at)));
        }
        Self {
            by_source: PrefixTrie::new(by_source),
            by_destination: PrefixTrie::new(by_destination),
        }
    }

    #[inline]
    fn find(&self, source: K, destination: K, found: &mut Vec<u32>) {
        self.by_source.find(source, found);
        self.by_destination.find(destination, found);
    }

    fn memory(&self) -> usize {
        self.by_source.memory() + self.by_destination.memory()
    }
}

impl<K: Key> Default for Family<K> {
    fn default() -> Self {
        Self::new(std::iter::empty())
    }
}

/// One end of a header, as prefixes of one family.
struct End<K> {
    is_source: bool,
    prefixes: Vec<Prefix<K>>,
}

impl<K: Key> End<K> {
    fn is_few(&self) -> bool {
        self.share() <= SHARES >> FEW
    }

    /// How many addresses it names, in parts of all there are; a smaller part counts as one.
    fn share(&self) -> u64 {
        self.prefixes.iter().map(|prefix| SHARES >> prefix.length().min(32)).sum()
    }
}

/// Parts that all addresses of a family are.
const SHARES: u64 = 1 << 32;

fn narrower_v4(signature: &Signature) -> Option<End<u32>> {
    narrower(signature, |set| {
        set.v4().flat_map(|(first, last)| Prefix::of_range(first.into(), last.into())).collect()
    })
}

fn narrower_v6(signature: &Signature) -> Option<End<u128>> {
    narrower(signature, |set| {
        set.v6().flat_map(|(first, last)| Prefix::of_range(first.into(), last.into())).collect()
    })
}

/// The end that names fewer addresses of a family; `None` where one of them names none.
fn narrower<K: Key>(
    signature: &Signature,
    prefixes: impl Fn(&AddressSet) -> Vec<Prefix<K>>,
) -> Option<End<K>> {
    let end = |is_source, set: &Option<AddressSet>| {
        let prefixes = set.as_ref().map_or_else(|| vec![Prefix::everything()], &prefixes);
        (!prefixes.is_empty()).then_some(End { is_source, prefixes })
    };
    let source = end(true, &signature.source)?;
    let destination = end(false, &signature.destination)?;
    Some(if source.share() <= destination.share() { source } else { destination })
}
