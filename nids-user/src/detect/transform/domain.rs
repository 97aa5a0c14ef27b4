//! `domain` and `tld`, by Mozilla's Public Suffix List as it was when this was built.
//!
//! As in Suricata 8, a name that is nothing but a public suffix has neither, and the buffer is empty.
//! Unlike there, letters are compared without their case: resolvers mix it on purpose.

/// Longest name that is folded: DNS has none that is longer.
const LONGEST: usize = 255;

/// The registrable domain: `bbc.co.uk` of `www.bbc.co.uk`.
pub(super) fn domain(name: &[u8]) -> &[u8] {
    part(name, |domain| domain.as_bytes().len())
}

/// The public suffix of a name that has a domain: `co.uk` of `www.bbc.co.uk`.
pub(super) fn public_suffix(name: &[u8]) -> &[u8] {
    part(name, |domain| domain.suffix().as_bytes().len())
}

/// The last bytes of `name`, as many as `length` says of its domain.
fn part(name: &[u8], length: impl Fn(&psl::Domain<'_>) -> usize) -> &[u8] {
    let mut room = [0; LONGEST];
    let Some(folded) = room.get_mut(..name.len()) else { return &[] };
    folded.copy_from_slice(name);
    folded.make_ascii_lowercase();
    let length = psl::domain(folded).map_or(0, |domain| length(&domain));
    name.get(name.len().saturating_sub(length)..).unwrap_or_default()
}
