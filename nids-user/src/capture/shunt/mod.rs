//! The flow table, seen from the agent: verdicts that spare it the rest of a flow, and the counts of what
//! it was spared.
//!
//! The kernel's table is mapped into the agent's memory, so a verdict costs some stores, no system call
//! and no rights. Each worker has a [`Shunter`] of its own for a stretch of the slots: the one that its
//! own flows fall into, so no two workers ever write one slot. How an entry is written so that no
//! program can misread it is told at
//! [`nids_abi::ShuntEntry`].
//!
//! Which flow needs no more inspection, and until when, is left to the caller, who must see to this:
//! only flows that the frames carry outermost may be shunted (what is inside a tunnel looks the same to
//! the kernel as a flow outside), and none that carries a tunnel whose inside still matters. Fragments,
//! and TCP segments with SYN, FIN or RST, come up all the same; a SYN ends the verdict.

mod flow;
mod table;
#[cfg(test)]
mod tests;

pub use flow::{FlowParts, Protocol};
pub use table::Spared;

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use table::Table;

/// Names one verdict. It stays without effect where the verdict has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    slot: u32,
    version: u16,
}

/// A verdict that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shunted {
    /// To extend or release it.
    pub ticket: Ticket,
    /// The one that had the slot, and its last counts. Its owner's flow comes up again, unless it is this
    /// same flow.
    pub displaced: Option<(u64, Spared)>,
}

/// Why no verdict was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The rules it was decided under are being replaced.
    Stale,
    /// The frames of this flow go to another worker; this one has it from inside a tunnel only.
    Elsewhere,
    /// It would be over already.
    Past,
}

/// What became of the verdicts of one worker. given = displaced + released + ended + in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShuntCounters {
    /// Verdicts given.
    pub given: u64,
    /// Verdicts that lost their slot to a newer one: of another flow in the same slot, or the same flow's.
    pub displaced: u64,
    /// Verdicts taken back by their owner.
    pub released: u64,
    /// Verdicts that a new connection, the clock, or a change of rules ended.
    pub ended: u64,
    /// Verdicts not given, for a [`Refusal`].
    pub refused: u64,
    /// Frames let by, as far as counts were taken.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A worker's part of the flow table.
pub struct Shunter {
    table: Arc<Table>,
    workers: u32,
    /// First slot of the stretch.
    first: u32,
    seed: u64,
    generation: u32,
    /// For each slot of the stretch.
    occupants: Box<[Occupant]>,
    /// Slots of the stretch that are taken, in no order.
    taken: Vec<u32>,
    counters: ShuntCounters,
}

/// What the agent remembers of a slot.
#[derive(Clone, Copy, Debug, Default)]
struct Occupant {
    owner: u64,
    until: u64,
    /// As in the slot; odd: taken.
    version: u16,
    /// Place in `taken`.
    place: u32,
}

impl Occupant {
    fn is_there(&self) -> bool {
        self.version & 1 == 1
    }
}

/// Maps the kernel's table, of `slots` slots, and cuts it into one part for each worker. `seed`: that of
/// the programs' hash.
///
/// # Errors
/// The kernel does not map it. `slots` is not a multiple of `workers`, or 0.
pub fn shunters(
    map: BorrowedFd<'_>,
    slots: u32,
    workers: u32,
    seed: u64,
) -> io::Result<Vec<Shunter>> {
    Ok(cut(Table::map(map, slots)?, workers, seed)?.collect())
}

fn cut(table: Table, workers: u32, seed: u64) -> io::Result<impl Iterator<Item = Shunter>> {
    let slots = table.slots;
    if slots == 0 || slots.checked_rem(workers) != Some(0) {
        return Err(io::Error::other(format!("{slots} slots for {workers} workers")));
    }
    let each = slots / workers;
    let table = Arc::new(table);
    Ok((0..workers).map(move |worker| Shunter {
        table: Arc::clone(&table),
        workers,
        first: worker * each,
        seed,
        generation: 0,
        occupants: vec![Occupant::default(); each as usize].into(),
        taken: Vec::with_capacity(each as usize),
        counters: ShuntCounters::default(),
    }))
}

impl Shunter {
    /// From now on verdicts are given under this generation of rules. Those given before have ended, or
    /// will when the generation comes into force.
    pub fn set_generation(&mut self, generation: u32) {
        self.generation = generation;
    }

    /// Spares the agent the flow until that time (`CLOCK_MONOTONIC`, ns), in both directions, for all
    /// processors. `owner` is given back with the counts; `generation` is the lowest bit of the
    /// one that the flow was inspected under. A verdict on another flow in the same slot ends.
    ///
    /// # Errors
    /// See [`Refusal`]; the flow goes on coming up.
    pub fn shunt(
        &mut self,
        flow: &FlowParts,
        owner: u64,
        generation: u8,
        now_ns: u64,
        until_ns: u64,
    ) -> Result<Shunted, Refusal> {
        let given = self.try_shunt(flow, owner, generation, now_ns, until_ns);
        match given {
            Ok(_) => self.counters.given += 1,
            Err(_) => self.counters.refused += 1,
        }
        given
    }

    fn try_shunt(
        &mut self,
        flow: &FlowParts,
        owner: u64,
        generation: u8,
        now_ns: u64,
        until_ns: u64,
    ) -> Result<Shunted, Refusal> {
        if until_ns <= now_ns {
            return Err(Refusal::Past);
        }
        if u32::from(generation) != self.generation & 1 {
            return Err(Refusal::Stale);
        }
        let each = self.occupants.len() as u32;
        let index = flow.slot(self.seed, self.workers, each).checked_sub(self.first);
        let index = index.filter(|index| *index < each).ok_or(Refusal::Elsewhere)?;
        let displaced = self.close(index);
        if displaced.is_some() {
            self.counters.displaced += 1;
        }
        let place = self.taken.len() as u32;
        let (Some(occupant), Some(slot)) = (
            self.occupants.get_mut(index as usize),
            self.table.slot(self.first.wrapping_add(index)),
        ) else {
            return Err(Refusal::Elsewhere);
        };
        let version = occupant.version.wrapping_add(1);
        *occupant = Occupant { owner, until: until_ns, version, place };
        self.taken.push(index);
        slot.open(&flow.key(), self.generation, until_ns, version);
        Ok(Shunted { ticket: Ticket { slot: index, version }, displaced })
    }

    /// Makes a verdict last until that time; false where it has ended.
    pub fn extend(&mut self, ticket: Ticket, until_ns: u64) -> bool {
        let slot = self.table.slot(self.first.wrapping_add(ticket.slot));
        let (Some(occupant), Some(slot)) = (self.occupants.get_mut(ticket.slot as usize), slot)
        else {
            return false;
        };
        if occupant.version != ticket.version || slot.generation() != self.generation {
            return false;
        }
        let kept = slot.extend(occupant.until, until_ns);
        if kept {
            occupant.until = until_ns;
        }
        kept
    }

    /// Takes a verdict back, and gives what was let by since counts were last taken; `None` where another
    /// flow has the slot, or [`Self::collect`] has reported the end.
    pub fn release(&mut self, ticket: Ticket) -> Option<Spared> {
        let occupant = self.occupants.get(ticket.slot as usize)?;
        if !occupant.is_there() || occupant.version != ticket.version {
            return None;
        }
        let (_, spared) = self.close(ticket.slot)?;
        self.counters.released += 1;
        Some(spared)
    }

    /// Takes the counts of all verdicts and hands each to `flow`: its owner, what was let by since counts
    /// were last taken, and whether it is still in force. Where it is not, this was the last of it.
    ///
    /// Costs a look at three cache lines for each verdict in force; once a second will do.
    pub fn collect(&mut self, now_ns: u64, mut flow: impl FnMut(u64, Spared, bool)) {
        // Closing one puts the last in its place: from the end, none is missed.
        for place in (0..self.taken.len()).rev() {
            let Some(index) = self.taken.get(place).copied() else { continue };
            let slot = self.table.slot(self.first.wrapping_add(index));
            let (Some(&occupant), Some(slot)) = (self.occupants.get(index as usize), slot) else {
                continue;
            };
            let in_force = slot.generation() == self.generation
                && slot.expires_ns() == occupant.until
                && occupant.until > now_ns;
            if in_force {
                let spared = slot.take();
                self.count(spared);
                flow(occupant.owner, spared, true);
            } else if let Some((owner, spared)) = self.close(index) {
                self.counters.ended += 1;
                flow(owner, spared, false);
            }
        }
    }

    /// Verdicts that hold a slot.
    pub fn in_force(&self) -> usize {
        self.taken.len()
    }

    /// Counters so far.
    pub fn counters(&self) -> ShuntCounters {
        self.counters
    }

    /// Takes the entry of this slot out of force.
    fn close(&mut self, index: u32) -> Option<(u64, Spared)> {
        let slot = self.table.slot(self.first.wrapping_add(index))?;
        let occupant = self.occupants.get_mut(index as usize).filter(|it| it.is_there())?;
        occupant.version = occupant.version.wrapping_add(1);
        let spared = slot.close(occupant.version);
        let Occupant { owner, place, .. } = *occupant;
        self.taken.swap_remove(place as usize);
        if let Some(moved) = self.taken.get(place as usize)
            && let Some(moved) = self.occupants.get_mut(*moved as usize)
        {
            moved.place = place;
        }
        self.count(spared);
        Some((owner, spared))
    }

    fn count(&mut self, spared: Spared) {
        self.counters.packets += spared.packets.iter().sum::<u64>();
        self.counters.bytes += spared.bytes.iter().sum::<u64>();
    }
}

impl Drop for Shunter {
    fn drop(&mut self) {
        // The programs may outlive this worker, and then all shall come up.
        while let Some(index) = self.taken.last().copied() {
            if self.close(index).is_none() {
                return;
            }
        }
    }
}
