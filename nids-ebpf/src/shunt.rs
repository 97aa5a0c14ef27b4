//! The flow table: whether the agent asked to be spared the rest of this frame's flow, and the count of
//! what it is spared.
//!
//! Direct-mapped: one slot a flow, one look, whatever traffic comes. Why a verdict can neither reach
//! another flow nor be read half-written is told at [`ShuntEntry`]; when verdicts are given is the
//! agent's matter.

use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use nids_abi::{
    SHUNT_IN_FORCE, SHUNT_VERSION_SHIFT, ShuntEntry, ShuntKey, VERDICT_SHUNT, shunt_slot, vlan_word,
};

use crate::atomic::{compare_exchange, fetch_add};
use crate::maps::{NIDS_SHUNT_SLOTS, NIDS_WORKERS, SHUNT};
use crate::parse::{Layers, TCP_CONTROL, TCP_SYN, protocol};

/// Times one frame tries to count itself while other processors count in the same word.
const TRIES: usize = 4;

/// Whether flows are shunted at all.
#[inline(always)]
pub fn is_on() -> bool {
    NIDS_SHUNT_SLOTS.load() != 0
}

/// Whether this is a frame that the table may know the flow of.
#[inline(always)]
pub fn knows(layers: &Layers) -> bool {
    layers.l4 != 0 && matches!(layers.ip_proto, protocol::TCP | protocol::UDP)
}

/// Counts the frame for its flow where the agent needs no more of that. A SYN ends the verdict.
#[inline(always)]
pub fn lets_by(
    layers: &Layers,
    addresses: [[u32; 4]; 2],
    vlan_offload: Option<u16>,
    pair_word: u64,
    wire_len: u32,
    generation: u32,
) -> bool {
    let (workers, slots) = (NIDS_WORKERS.load(), NIDS_SHUNT_SLOTS.load());
    let slot = shunt_slot(pair_word, layers.ports, layers.ip_proto, workers, slots);
    let Some(entry) = SHUNT.get_ptr_mut(slot) else { return false };
    let vlan = match vlan_offload {
        Some(tci) => layers.vlan << 16 | vlan_word(tci),
        None => layers.vlan,
    };
    let version = if layers.v6 { 6 } else { 4 };
    let key = ShuntKey::new(addresses, layers.ports, vlan, layers.ip_proto, version);
    // SAFETY: a word of the map.
    if unsafe { (&raw const (*entry).identity).read_volatile() } != key.identity {
        return false;
    }
    // A glance, which may see half an entry. It rules out and settles nothing.
    let back = if is_of(entry, &key) {
        false
    } else if is_of(entry, &key.reversed()) {
        true
    } else {
        return false;
    };
    if layers.tcp_flags & TCP_CONTROL != 0 {
        if layers.tcp_flags & TCP_SYN != 0 {
            // SAFETY: a word of the map. Should another flow have got the slot just now, it comes up
            // once more than it needed to.
            unsafe { (&raw mut (*entry).expires_ns).write_volatile(0) };
        }
        return false;
    }
    let key = if back { key.reversed() } else { key };
    settle(entry, &key, back, wire_len, generation)
}

/// Whether the entry is of this flow, seen from the same end.
#[inline(always)]
fn is_of(entry: *const ShuntEntry, key: &ShuntKey) -> bool {
    // SAFETY: a value of the map, which the agent may change meanwhile: each word is read when it is
    // compared and not believed again.
    let ([[a, b], [c, d]], identity, ports) = unsafe {
        (
            (&raw const (*entry).addresses).read_volatile(),
            (&raw const (*entry).identity).read_volatile(),
            (&raw const (*entry).ports).read_volatile(),
        )
    };
    let [[first, second], [third, fourth]] = key.addresses;
    // Without a branch for each word: the verifier goes every way there is.
    let addresses = (a ^ first) | (b ^ second) | (c ^ third) | (d ^ fourth);
    addresses | (identity ^ key.identity) | u64::from(ports ^ key.ports) == 0
}

/// The comparison that counts, between two looks at the version, the second of which counts the frame.
#[inline(always)]
fn settle(
    entry: *mut ShuntEntry,
    key: &ShuntKey,
    back: bool,
    wire_len: u32,
    generation: u32,
) -> bool {
    // SAFETY: words of the map, aligned, and only ever used atomically.
    let (packets, bytes) = unsafe {
        if back {
            (&raw mut (*entry).packets[1], &raw mut (*entry).bytes[1])
        } else {
            (&raw mut (*entry).packets[0], &raw mut (*entry).bytes[0])
        }
    };
    // A plain load would leave the processor free to have read the rest before.
    // SAFETY: a word of the map.
    let mut word = unsafe { fetch_add(packets, 0) };
    let version = word >> SHUNT_VERSION_SHIFT;
    if word & SHUNT_IN_FORCE == 0 || !is_of(entry, key) {
        return false;
    }
    // SAFETY: words of the map.
    let (theirs, expires, verdict) = unsafe {
        (
            (&raw const (*entry).generation).read_volatile(),
            (&raw const (*entry).expires_ns).read_volatile(),
            (&raw const (*entry).verdict).read_volatile(),
        )
    };
    // SAFETY: no conditions.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    if theirs != generation || verdict != VERDICT_SHUNT || expires <= now {
        return false;
    }
    for _ in 0..TRIES {
        // SAFETY: as above.
        let found = unsafe { compare_exchange(packets, word, word + 1) };
        if found == word {
            // SAFETY: as above.
            unsafe { fetch_add(bytes, u64::from(wire_len)) };
            return true;
        }
        if found >> SHUNT_VERSION_SHIFT != version {
            return false;
        }
        word = found;
    }
    false
}
