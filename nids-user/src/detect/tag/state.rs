//! Tags that are in force, on flows and on hosts.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Metric, Scope, Tag};
use crate::capture::Timestamp;
use crate::detect::flow_state::{Budget, FlowState, push};
use crate::detect::shared_table::{Key, SharedTable, TableCounters};
use crate::detect::threshold::RuleKey;

const SECOND: u64 = 1_000_000_000;
/// Alerts of one rule from which on a tag does not begin anew (Suricata, `DETECT_TAG_MATCH_LIMIT`).
const MATCH_LIMIT: u8 = 10;
/// Tags of one flow (Suricata, `DETECT_TAG_MAX_TAGS`).
const MAX_FLOW_TAGS: usize = 50;
/// Tags of one host. Suricata has 50 here, too; they lie in one entry of the table here.
const MAX_HOST_TAGS: usize = 8;
/// Nanoseconds without a packet after which the tags of a host are over (`TAG_MAX_LAST_TIME_SEEN`).
const HOST_SILENCE: u64 = 600 * SECOND;

/// One tag in force.
#[derive(Clone, Copy, Debug)]
struct Active {
    gid: u32,
    sid: u32,
    count: u32,
    packets: u32,
    bytes: u64,
    /// Second it began in.
    began: u64,
    metric: Metric,
    matches: u8,
    /// The packet of the alert is behind us.
    begun: bool,
}

impl Active {
    fn new(rule: RuleKey, tag: &Tag, time: Timestamp) -> Self {
        let RuleKey { gid, sid, .. } = rule;
        Self {
            gid,
            sid,
            count: tag.count,
            packets: 0,
            bytes: 0,
            began: time.0 / SECOND,
            metric: tag.metric,
            matches: 0,
            begun: false,
        }
    }

    fn is_of(&self, rule: RuleKey) -> bool {
        (self.gid, self.sid) == (rule.gid, rule.sid)
    }

    /// The rule has alerted again.
    fn again(&mut self, time: Timestamp) {
        self.matches = self.matches.saturating_add(1);
        if self.matches < MATCH_LIMIT {
            (self.packets, self.bytes, self.began) = (0, 0, time.0 / SECOND);
        }
    }

    /// Takes a packet into account: `None` when the tag is over, else whether the packet is logged.
    fn packet(&mut self, length: u32, time: Timestamp) -> Option<bool> {
        self.packets = self.packets.saturating_add(1);
        self.bytes = self.bytes.saturating_add(u64::from(length));
        if !self.begun {
            self.begun = true;
            return Some(false);
        }
        let reached = match self.metric {
            Metric::Packets => u64::from(self.packets),
            Metric::Bytes => self.bytes,
            Metric::Seconds => (time.0 / SECOND).saturating_sub(self.began),
        };
        (reached <= u64::from(self.count)).then_some(true)
    }
}

/// The tags of one flow.
#[derive(Debug, Default)]
pub struct FlowTags {
    tags: Vec<Active>,
}

impl FlowTags {
    /// A rule with a tag of scope session has alerted on the flow; false where there is no room.
    pub fn add(
        state: &mut FlowState,
        rule: RuleKey,
        tag: &Tag,
        time: Timestamp,
        budget: &mut Budget,
    ) -> bool {
        let Some((this, budget)) = state.new_tags(budget) else { return false };
        if let Some(active) = this.tags.iter_mut().find(|active| active.is_of(rule)) {
            active.again(time);
            return true;
        }
        if this.tags.len() >= MAX_FLOW_TAGS {
            budget.refuse();
            return false;
        }
        push(&mut this.tags, Active::new(rule, tag, time), budget)
    }

    /// Takes a packet of the flow into account, after its alerts; true when it is to be logged.
    #[inline]
    pub fn packet(&mut self, length: u32, time: Timestamp) -> bool {
        let mut logged = false;
        self.tags.retain_mut(|active| match active.packet(length, time) {
            Some(log) => {
                logged |= log;
                true
            }
            None => false,
        });
        logged
    }

    /// Whether no packet is to be logged any more.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.tags.capacity() * size_of::<Active>()
    }
}

/// What happened to the tags of hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TagCounters {
    /// The table of hosts with tags.
    pub table: TableCounters,
    /// Tags that found no room on their host.
    pub refused: u64,
}

/// The tags of all hosts, shared by all workers and all generations of rules.
pub struct HostTags {
    table: SharedTable<[Option<Active>; MAX_HOST_TAGS]>,
    /// Last time at which any host can have a tag: packets behind it need not look.
    last: AtomicU64,
    refused: AtomicU64,
}

impl HostTags {
    /// Bytes that are enough for some 9,000 hosts.
    pub const DEFAULT_MEMORY: usize = 4 << 20;

    /// No tags, and never more than `memory` bytes of them. `secret` seeds the hash.
    pub fn new(memory: usize, secret: u64) -> Self {
        Self {
            table: SharedTable::new(memory, secret),
            last: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// A rule with a tag of a host has alerted on a packet between these.
    pub fn add(
        &self,
        rule: RuleKey,
        tag: &Tag,
        source: IpAddr,
        destination: IpAddr,
        time: Timestamp,
    ) {
        let host = match tag.scope {
            Scope::Session => return,
            Scope::Source => source,
            Scope::Destination => destination,
        };
        let end = time.0.saturating_add(HOST_SILENCE);
        self.last.fetch_max(end, Ordering::Relaxed);
        let kept = self.table.update(key(host), time.0, |value| {
            let (tags, _) = value.get_or_insert(([None; MAX_HOST_TAGS], end));
            let known = tags.iter_mut().flatten().find(|active| active.is_of(rule));
            if let Some(active) = known {
                active.again(time);
            } else if let Some(free) = tags.iter_mut().find(|active| active.is_none()) {
                *free = Some(Active::new(rule, tag, time));
            } else {
                return false;
            }
            *value = Some((*tags, end));
            true
        });
        if !kept {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a packet into account, after its alerts; true when it is to be logged. One load where no
    /// host has had a tag lately.
    #[inline]
    pub fn packet(
        &self,
        source: IpAddr,
        destination: IpAddr,
        length: u32,
        time: Timestamp,
    ) -> bool {
        if time.0 > self.last.load(Ordering::Relaxed) {
            return false;
        }
        // Both look, even where the first logs: both count the packet.
        let logged = self.host(source, length, time);
        self.host(destination, length, time) | logged
    }

    fn host(&self, host: IpAddr, length: u32, time: Timestamp) -> bool {
        let end = time.0.saturating_add(HOST_SILENCE);
        let found = self.table.update(key(host), time.0, |value| {
            let (tags, _) = value.as_mut()?;
            let mut logged = false;
            for slot in tags.iter_mut() {
                let Some(active) = slot else { continue };
                match active.packet(length, time) {
                    Some(log) => logged |= log,
                    None => *slot = None,
                }
            }
            *value = tags.iter().any(Option::is_some).then_some((*tags, end));
            Some(logged)
        });
        if found.is_some() {
            self.last.fetch_max(end, Ordering::Relaxed);
        }
        found.unwrap_or(false)
    }

    /// What happened so far.
    pub fn counters(&self) -> TagCounters {
        TagCounters { table: self.table.counters(), refused: self.refused.load(Ordering::Relaxed) }
    }
}

fn key(host: IpAddr) -> Key {
    Key::of_host([0, 0x100], host)
}
