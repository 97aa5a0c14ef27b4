//! Whose frame it is: the two addresses, and the hash of them that picks the worker.
//!
//! Only frames that are wanted need it, so it reads the addresses again instead of having `parse`
//! carry them through the decision.

use nids_abi::pair_word;

use crate::frame::{Bytes, Frame, Loaded, Wire};
use crate::maps::NIDS_SEED;
use crate::parse::Layers;

/// Offset of the addresses in the IPv4 header.
const V4_ADDRESSES: usize = 12;
/// Offset of the addresses in the IPv6 header.
const V6_ADDRESSES: usize = 8;

/// Two addresses as they lie in the header, source first.
#[derive(Clone, Copy)]
#[repr(C)]
struct Pair<const N: usize>([[u8; 4]; N], [[u8; 4]; N]);
// SAFETY: bytes only.
unsafe impl<const N: usize> Wire for Pair<N> {}

/// Hash of the hosts with these addresses.
#[inline(always)]
pub fn hash(addresses: [[u32; 4]; 2]) -> u64 {
    pair_word(NIDS_SEED.load(), addresses)
}

/// Source and destination; nothing where there is no IP header.
#[inline(always)]
pub fn addresses<F: Frame>(frame: F, layers: &Layers) -> Option<[[u32; 4]; 2]> {
    if layers.l3 == 0 {
        None
    } else if layers.v6 {
        let Pair(source, destination): Pair<4> = read(frame, layers.l3 + V6_ADDRESSES)?;
        Some([source.map(u32::from_ne_bytes), destination.map(u32::from_ne_bytes)])
    } else {
        let Pair([source], [destination]): Pair<1> = read(frame, layers.l3 + V4_ADDRESSES)?;
        let words = |address| [u32::from_ne_bytes(address), 0, 0, 0];
        Some([words(source), words(destination)])
    }
}

#[inline(always)]
fn read<F: Frame, T: Wire>(frame: F, offset: usize) -> Option<T> {
    match frame.linear().read(offset) {
        None if F::SPLIT => Loaded(frame).read(offset),
        found => found,
    }
}
