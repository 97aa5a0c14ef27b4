//! Defragmentation of IPv4 (RFC 791, 3.2) and IPv6 (RFC 8200, 4.5): fragments in, whole datagrams out.
//!
//! One table a worker, bounded in bytes and in datagrams; each datagram that is given up has a counter
//! with the reason. A whole datagram comes out as bytes that begin with its IP header, to be decoded
//! like a frame of link type raw IP. Overlaps are settled by the policy of the destination host, and
//! reported: copies that differ are a way to show the host something else.
//!
//! Leaves to others: which packets are fragments (`decode`), and the events' place in rules and logs.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod datagram;
mod policy;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::net::IpAddr;

use hashbrown::HashMap;

use crate::capture::Timestamp;
use crate::decode::{Ip, Packet};
use crate::stream;

pub use policy::Policy;

use datagram::Datagram;

/// What the table may hold; names in brackets are Suricata's settings.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of all datagrams together (`defrag.memcap`).
    pub memory: usize,
    /// Datagrams at a time (`defrag.trackers`).
    pub datagrams: usize,
    /// Nanoseconds from its first fragment until a datagram is given up (`defrag.timeout`).
    pub timeout: u64,
    /// Policy by network of the destination, first match; everything else is [`Policy::default`] (`host-os-policy`).
    pub policies: Vec<((IpAddr, u8), Policy)>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 32 << 20, datagrams: 65_535, timeout: 60_000_000_000, policies: Vec::new() }
    }
}

/// What became of fragments and datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Fragments taken in.
    pub fragments: u64,
    /// Datagrams made whole.
    pub reassembled: u64,
    /// Given up: the time ran out.
    pub timed_out: u64,
    /// Given up: the oldest one, for room in memory or in the table.
    pub evicted: u64,
    /// Fragments not kept: too many of one datagram, behind its end, or a length that cannot be.
    pub refused: u64,
    /// Fragments that overlapped.
    pub overlaps: u64,
    /// Of these, with other bytes.
    pub ambiguous: u64,
    /// Fragments of a datagram that had been made whole before.
    pub again: u64,
}

/// What one fragment did.
#[derive(Debug, Default)]
pub struct Fragment {
    /// The datagram, if this was the piece that was missing: IP header and payload. Give the buffer back
    /// with [`Defrag::recycle`].
    pub whole: Option<Vec<u8>>,
    /// It covered bytes that were there already (`FRAG_OVERLAP`).
    pub overlap: bool,
    /// The bytes it covered were other ones.
    pub differs: bool,
    /// Its datagram was made whole already, maybe from other fragments than its host has: the classic way
    /// is a forged one that the host never got.
    pub again: bool,
    /// It reaches behind 65,535 bytes (`FRAG_PKT_TOO_LARGE`).
    pub too_large: bool,
    /// It was not kept.
    pub refused: bool,
}

/// Datagrams made whole that are remembered, by a hash of their key: a newer one takes the place of an
/// older one. A host that counts through its ids has forgotten one here before it comes again.
const REMEMBERED: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    protocol: u8,
    vlan: [u16; 3],
}

struct Entry {
    number: u64,
    policy: Policy,
    /// IP header of the fragment at offset 0, as the whole datagram will have it.
    header: Vec<u8>,
    datagram: Datagram,
}

/// The datagrams in work of one worker.
pub struct Defrag {
    limits: Limits,
    entries: HashMap<Key, Entry, foldhash::quality::RandomState>,
    /// By age; the time-out counts from the first fragment, so this is the order of giving up too.
    ages: VecDeque<(Timestamp, u64, Key)>,
    spare: Vec<Entry>,
    memory: usize,
    next_number: u64,
    whole: Vec<u8>,
    /// Hashes of datagrams made whole, and when; 0 is none.
    made: Box<[(u64, Timestamp)]>,
    counters: Counters,
}

impl Defrag {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: HashMap::default(),
            ages: VecDeque::new(),
            spare: Vec::new(),
            memory: 0,
            next_number: 0,
            whole: Vec::new(),
            made: vec![(0, Timestamp(0)); REMEMBERED].into(),
            counters: Counters::default(),
        }
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes that datagrams in work take.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Datagrams in work.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is in work.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes a fragment in; `None` where the packet is none.
    pub fn push(&mut self, packet: &Packet<'_>) -> Option<Fragment> {
        let ip = packet.ip.as_ref().filter(|ip| ip.is_fragment())?;
        let part = Part::of(ip)?;
        self.expire(packet.frame.time);
        self.counters.fragments += 1;

        let mut done = Fragment {
            whole: None,
            overlap: false,
            differs: false,
            again: false,
            too_large: part.offset as usize + packet.payload.len() + part.header_len > 65_535,
            refused: false,
        };
        // Every fragment but the last is a multiple of eight bytes long (RFC 791; RFC 8200: discard).
        if done.too_large || (part.more && !packet.payload.len().is_multiple_of(8) && part.v6) {
            done.refused = true;
            self.counters.refused += 1;
            return Some(done);
        }
        let mut vlan = [0; 3];
        vlan.iter_mut().zip(packet.vlan.ids()).for_each(|(slot, id)| *slot = id);
        let key = Key {
            source: ip.source(),
            destination: ip.destination(),
            id: part.id,
            protocol: part.protocol,
            vlan,
        };
        if !self.entries.contains_key(&key) {
            done.again = self.was_made(&key, packet.frame.time);
            self.counters.again += u64::from(done.again);
            self.insert(key, packet.frame.time);
        }
        let entry = self.entries.get_mut(&key)?;
        let before = entry.footprint();
        if part.offset == 0 && entry.header.is_empty() {
            part.write_header(&mut entry.header);
        }
        let outcome = entry.datagram.add(entry.policy, part.offset, packet.payload, !part.more);
        self.memory = (self.memory + entry.footprint()).saturating_sub(before);
        self.counters.refused += u64::from(outcome.refused);
        self.counters.overlaps += u64::from(outcome.overlap);
        self.counters.ambiguous += u64::from(outcome.differs);
        done.overlap = outcome.overlap;
        done.differs = outcome.differs;
        done.refused = outcome.refused;

        self.whole.clear();
        self.whole.extend_from_slice(&entry.header);
        if !entry.header.is_empty() && entry.datagram.write_whole(&mut self.whole) {
            set_length(&mut self.whole, entry.header.len());
            self.counters.reassembled += 1;
            self.remove(&key);
            self.remember(&key, packet.frame.time);
            done.whole = Some(std::mem::take(&mut self.whole));
        } else {
            self.make_room();
        }
        Some(done)
    }

    /// Takes the buffer of a whole datagram back for the next one.
    pub fn recycle(&mut self, whole: Vec<u8>) {
        self.whole = whole;
    }

    /// Gives up what is older than the time-out.
    pub fn expire(&mut self, now: Timestamp) {
        while let Some((since, number, key)) = self.ages.front().copied() {
            if now.since(since) < self.limits.timeout && self.holds(&key, number) {
                break;
            }
            self.ages.pop_front();
            if self.holds(&key, number) {
                self.counters.timed_out += 1;
                self.remove(&key);
            }
        }
    }

    /// The place where a datagram is remembered, and its hash.
    fn place(&self, key: &Key) -> (usize, u64) {
        let hash = self.entries.hasher().hash_one(key).max(1);
        (hash as usize % REMEMBERED, hash)
    }

    fn remember(&mut self, key: &Key, now: Timestamp) {
        let (place, hash) = self.place(key);
        if let Some(slot) = self.made.get_mut(place) {
            *slot = (hash, now);
        }
    }

    /// Whether the datagram was made whole so lately that its host may still have fragments of it.
    fn was_made(&self, key: &Key, now: Timestamp) -> bool {
        let (place, hash) = self.place(key);
        let made = self.made.get(place);
        made.is_some_and(|(known, at)| *known == hash && now.since(*at) < self.limits.timeout)
    }

    fn holds(&self, key: &Key, number: u64) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.number == number)
    }

    fn insert(&mut self, key: Key, now: Timestamp) {
        while self.entries.len() >= self.limits.datagrams && self.evict_oldest() {}
        self.next_number += 1;
        let mut entry = self.spare.pop().unwrap_or_else(|| Entry {
            number: 0,
            policy: Policy::default(),
            header: Vec::new(),
            datagram: Datagram::default(),
        });
        entry.number = self.next_number;
        entry.policy = self.policy(key.destination);
        self.memory += entry.footprint();
        self.ages.push_back((now, entry.number, key));
        self.entries.insert(key, entry);
    }

    fn policy(&self, destination: IpAddr) -> Policy {
        let mut policies = self.limits.policies.iter();
        let found = policies.find(|((net, length), _)| stream::covers(*net, *length, destination));
        found.map_or(Policy::default(), |(_, policy)| *policy)
    }

    fn make_room(&mut self) {
        while self.memory > self.limits.memory && self.evict_oldest() {}
    }

    fn evict_oldest(&mut self) -> bool {
        while let Some((_, number, key)) = self.ages.pop_front() {
            if self.holds(&key, number) {
                self.counters.evicted += 1;
                self.remove(&key);
                return true;
            }
        }
        false
    }

    fn remove(&mut self, key: &Key) {
        let Some(mut entry) = self.entries.remove(key) else { return };
        self.memory = self.memory.saturating_sub(entry.footprint());
        // A few small ones are kept for the next datagrams; large ones give their memory back.
        if self.spare.len() < 64 && entry.footprint() <= 16 << 10 {
            entry.header.clear();
            entry.datagram.clear();
            self.spare.push(entry);
        }
        // What is gone from the table leaves its age behind; do not let these pile up.
        if self.ages.len() > 2 * self.entries.len() + 1024 {
            let entries = &self.entries;
            self.ages.retain(|(_, number, key)| {
                entries.get(key).is_some_and(|entry| entry.number == *number)
            });
        }
    }
}

impl Entry {
    fn footprint(&self) -> usize {
        size_of::<(Key, Self)>() + self.header.capacity() + self.datagram.footprint()
    }
}

/// What a fragment says of itself.
struct Part<'a> {
    id: u32,
    offset: u32,
    more: bool,
    protocol: u8,
    v6: bool,
    header_len: usize,
    header: &'a [u8],
    extensions: &'a [u8],
}

impl<'a> Part<'a> {
    fn of(ip: &Ip<'a>) -> Option<Self> {
        Some(match ip {
            Ip::V4(ip) => Self {
                id: ip.id.into(),
                offset: ip.fragment_offset.into(),
                more: ip.more_fragments,
                protocol: ip.protocol,
                v6: false,
                header_len: ip.header.len(),
                header: ip.header,
                extensions: &[],
            },
            Ip::V6(ip) => {
                let fragment = ip.fragment?;
                Self {
                    id: fragment.id,
                    offset: fragment.offset.into(),
                    more: fragment.more,
                    // Hosts tell datagrams apart by addresses and id alone (RFC 8200, 4.5).
                    protocol: 44,
                    v6: true,
                    header_len: 0,
                    header: ip.header,
                    extensions: ip.extensions(),
                }
            }
        })
    }

    /// The header of the whole datagram: of IPv4 without offset and flags, of IPv6 without the fragment
    /// header.
    fn write_header(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.header);
        if !self.v6 {
            // Keeps "don't fragment" and the reserved bit.
            if let Some(flags) = out.get_mut(6..8) {
                flags.copy_from_slice(&[flags.first().copied().unwrap_or(0) & 0xc0, 0]);
            }
            return;
        }
        // The chain up to the fragment header; each header names the type of the next.
        let mut names_next = 6;
        let mut kind = out.get(names_next).copied().unwrap_or(44);
        let mut rest = self.extensions;
        while kind != 44 {
            let &[next, words, ..] = rest else { return };
            let length = if kind == 51 {
                (usize::from(words) + 2) * 4
            } else {
                (usize::from(words) + 1) * 8
            };
            let Some((header, behind)) = rest.split_at_checked(length) else { return };
            names_next = out.len();
            out.extend_from_slice(header);
            (kind, rest) = (next, behind);
        }
        if let (Some(slot), Some(next)) = (out.get_mut(names_next), rest.first()) {
            *slot = *next;
        }
    }
}

/// Sets the length field of the datagram, and the checksum of IPv4 (RFC 1071).
fn set_length(datagram: &mut [u8], header_len: usize) {
    let total = datagram.len();
    let v4 = datagram.first().is_some_and(|byte| byte >> 4 == 4);
    let (field, value) = if v4 { (2..4, total) } else { (4..6, total.saturating_sub(40)) };
    if let Some(slot) = datagram.get_mut(field) {
        slot.copy_from_slice(&u16::try_from(value).unwrap_or(0).to_be_bytes());
    }
    if !v4 {
        return;
    }
    let Some(header) = datagram.get_mut(..header_len) else { return };
    if let Some(slot) = header.get_mut(10..12) {
        slot.fill(0);
    }
    let words = header.chunks_exact(2).map(|pair| match pair {
        &[high, low] => u32::from(u16::from_be_bytes([high, low])),
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    if let Some(slot) = header.get_mut(10..12) {
        slot.copy_from_slice(&(!(sum as u16)).to_be_bytes());
    }
}
