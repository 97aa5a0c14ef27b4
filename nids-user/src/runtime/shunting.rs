//! Which flows a worker is spared, and what it was spared of them.
//!
//! A flow is shunted when nothing that is still to come of it could matter: a rule has let it by, or no
//! rule is left that its packets could match, since those whose addresses and ports fit look at streams
//! that were shown to their depth (`stream.bypass`). Alerts are the same with and without. Only flows that
//! frames carry outermost are, and none that may carry a tunnel. How verdicts reach the kernel is left to
//! `capture::shunt`; what rules look at, to `detect`.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use crate::capture::ring::monotonic_ns;
use crate::capture::shunt::{FlowParts, ShuntCounters, Shunter, Spared};
use crate::decode::{Packet, Tunnels, packet};
use crate::detect::{Left, Ruleset};
use crate::flow::{Flow, FlowDirection, FlowTable, Shunt};

/// Packets of a flow between two looks at whether it still matters. A power of two.
const PACKETS_PER_LOOK: u64 = 64;
/// Nanoseconds between two looks at what was let by. Flows live on by it, so it must be far below their
/// timeouts.
const COLLECT_EVERY: u64 = 1_000_000_000;
/// Verdicts last as long as their flow.
const FOR_EVER: u64 = u64::MAX;

/// One worker's verdicts.
pub(super) struct Shunting {
    shunter: Shunter,
    tunnels: Tunnels,
    collect_at: u64,
}

/// Counts of a verdict that another one put an end to. They belong to the flow of this owner.
pub(super) struct Displaced(u64, Spared);

impl Shunting {
    pub(super) fn new(shunter: Shunter, tunnels: Tunnels) -> Self {
        Self { shunter, tunnels, collect_at: 0 }
    }

    /// Rules of this generation are about to be put in force.
    pub(super) fn set_generation(&mut self, generation: u32) {
        self.shunter.set_generation(generation);
    }

    pub(super) fn counters(&self) -> (ShuntCounters, usize) {
        (self.shunter.counters(), self.shunter.in_force())
    }

    /// Whether to ask at this packet if its flow still matters.
    #[inline]
    pub(super) fn is_due(&self, flow: &Flow, packet: &Packet<'_>) -> bool {
        let [to_server, to_client] = flow.packets;
        let due = (to_server + to_client).is_multiple_of(PACKETS_PER_LOOK)
            || (flow.passed && flow.shunt.is_none());
        due && flow.shunt.as_ref().is_none_or(|shunt| shunt.ticket.is_none())
            && packet.depth == 0
            && !packet.carrier
            && !self.tunnels.may_be_in(packet)
    }

    /// Asks the kernel to let the flow by. `packet` is one of the flow that goes this way, selected under
    /// rules of the generation with this lowest bit.
    #[cold]
    pub(super) fn shunt(
        &mut self,
        (index, flow): (u32, &mut Flow),
        packet: &Packet<'_>,
        direction: FlowDirection,
        generation: u8,
    ) -> Option<Displaced> {
        let parts = FlowParts::of(packet)?;
        let parts = match direction {
            FlowDirection::ToServer => parts,
            FlowDirection::ToClient => parts.reversed(),
        };
        let owner = owner(index, flow);
        let given = self.shunter.shunt(&parts, owner, generation, monotonic_ns(), FOR_EVER).ok()?;
        let shunt = flow.shunt.get_or_insert_default();
        shunt.ticket = Some(given.ticket);
        let (displaced, spared) = given.displaced?;
        if displaced == owner {
            add(shunt, spared);
            return None;
        }
        Some(Displaced(displaced, spared))
    }

    /// The flow is over: takes the verdict back, and what it counted.
    #[inline]
    pub(super) fn release(&mut self, flow: &mut Flow) {
        let Some(shunt) = &mut flow.shunt else { return };
        if let Some(spared) = shunt.ticket.take().and_then(|ticket| self.shunter.release(ticket)) {
            add(shunt, spared);
        }
    }

    /// Books what was let by, where it is time to.
    pub(super) fn collect(&mut self, table: &mut FlowTable) {
        let now = monotonic_ns();
        if now < self.collect_at {
            return;
        }
        self.collect_at = now + COLLECT_EVERY;
        self.shunter.collect(now, |owner, spared, in_force| book(table, owner, spared, in_force));
    }
}

impl Displaced {
    /// Books the counts.
    pub(super) fn book(self, table: &mut FlowTable) {
        let Self(owner, spared) = self;
        book(table, owner, spared, false);
    }
}

/// Whether later packets of the flow could matter to a rule. `left` tells of each direction what rules may
/// still see of its stream.
#[cold]
pub(super) fn still_matters(
    ruleset: &Ruleset,
    flow: &Flow,
    left: impl Fn(FlowDirection) -> Left,
) -> bool {
    let ends = flow.ends();
    [FlowDirection::ToServer, FlowDirection::ToClient].into_iter().any(|direction| {
        let packet = packet::of_flow_end(&ends, direction, flow.last);
        ruleset.wants_more(&packet, direction, left(direction))
    })
}

/// What a flow is known by while others may take its place in the table.
fn owner(index: u32, flow: &Flow) -> u64 {
    u64::from(index) << 32 | flow.id & u64::from(u32::MAX)
}

fn book(table: &mut FlowTable, of: u64, spared: Spared, in_force: bool) {
    let now = table.now();
    let index = u32::try_from(of >> 32).unwrap_or(u32::MAX);
    let Some((flow, _)) = table.flow(index) else { return };
    if owner(index, flow) != of {
        return;
    }
    let Some(shunt) = &mut flow.shunt else { return };
    add(shunt, spared);
    if !in_force {
        shunt.ticket = None;
    }
    if spared.packets != [0; 2] {
        flow.last = flow.last.max(now);
    }
}

fn add(shunt: &mut Shunt, spared: Spared) {
    let Shunt { bypassed, .. } = shunt;
    for (sum, more) in bypassed.packets.iter_mut().zip(spared.packets) {
        *sum += more;
    }
    for (sum, more) in bypassed.bytes.iter_mut().zip(spared.bytes) {
        *sum += more;
    }
}
