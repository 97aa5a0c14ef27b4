//! Transactions: a request and its response, and what detection and logging did with them.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt::Debug;

use super::event::Events;
use crate::detect::buffer::AppBuffer;
use crate::flow::FlowDirection;
use crate::output::EveType;

/// One of a protocol's transactions, as rules and logs see it.
pub trait Transaction: Debug {
    /// How far a direction has come: a number of the protocol's own that only grows.
    fn progress(&self, direction: FlowDirection) -> u8;
    /// The progress of a direction that is over.
    fn complete(&self, direction: FlowDirection) -> u8;
    /// The bytes of a buffer; of several instances the one of this number, from 0. `room` is there for what
    /// must be put together. `None`: there is no such buffer, or not so many. A buffer is asked for once the
    /// progress that it is registered with is reached.
    fn buffer<'a>(
        &'a self,
        buffer: AppBuffer,
        direction: FlowDirection,
        index: usize,
        room: &'a mut Vec<u8>,
    ) -> Option<Shown<'a>>;
    /// A number that changes whenever a buffer that grows has more to show.
    fn growth(&self, _direction: FlowDirection) -> u32 {
        0
    }
    /// Appends the EVE objects of an alert in it, each as `,"name":{...}`. `id` is its number in the flow.
    fn objects(&self, id: u64, out: &mut Vec<u8>);
    /// Tells of each EVE record of it, once it is over: its type, the side that sent what it tells of, and its
    /// objects.
    fn records(&self, id: u64, emit: &mut dyn FnMut(EveType, FlowDirection, &[u8]));
    /// As what it is, for keywords that ask it something of its own.
    fn as_any(&self) -> &dyn Any;
}

/// The bytes of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    /// The bytes at hand.
    pub bytes: &'a [u8],
    /// Bytes of the whole that lay before them and are gone.
    pub offset: u64,
}

impl<'a> From<&'a [u8]> for Shown<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }
}

/// What is known of each transaction, whatever its protocol.
#[derive(Debug, Default)]
pub struct Head {
    /// Number in its flow, from 0: EVE's `tx_id`.
    pub id: u64,
    /// What was odd.
    pub events: Events,
    /// What the rules did with it: to the server, to the client.
    pub inspected: [Inspected; 2],
    /// It was logged.
    pub logged: bool,
}

impl Head {
    /// What the rules did with a direction.
    pub fn inspected(&mut self, direction: FlowDirection) -> &mut Inspected {
        let [to_server, to_client] = &mut self.inspected;
        match direction {
            FlowDirection::ToServer => to_server,
            FlowDirection::ToClient => to_client,
        }
    }
}

/// What the rules did with one direction of a transaction.
#[derive(Debug, Default)]
pub struct Inspected {
    /// Nothing more is to be found: it was inspected when it was over.
    pub done: bool,
    /// It was inspected before, at this progress.
    pub progress: Option<u8>,
    /// Its growth then.
    pub growth: u32,
    /// The ruleset that the numbers below are of.
    pub ruleset: u32,
    /// Rules of which some part was found, or may still be found.
    pub partial: Vec<Partial>,
    /// Rules that have matched already, in ascending order.
    pub matched: Vec<u32>,
}

/// A rule on its way through a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Its number.
    pub signature: u32,
    /// Which of its inspections have matched, one bit each.
    pub found: u64,
}

/// The transactions of a flow, whatever its protocol.
pub trait TransactionList {
    /// How many there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// One of them, oldest first.
    fn get(&mut self, index: usize) -> Option<(&mut Head, &dyn Transaction)>;
    /// The index of the one with this id.
    fn place(&self, id: u64) -> Option<usize>;
    /// Lets those go that are over, inspected and, where `logged` says so, logged. Returns how many.
    fn free(&mut self, logged: bool) -> usize;
}

/// The transactions of a flow, oldest first. Those that are over are let go once they were inspected and
/// logged, in whatever order that happens.
#[derive(Debug)]
pub struct Transactions<T> {
    list: VecDeque<(Head, T)>,
    next: u64,
}

impl<T> Default for Transactions<T> {
    fn default() -> Self {
        Self { list: VecDeque::new(), next: 0 }
    }
}

impl<T: Transaction> Transactions<T> {
    /// Begins one. Returns its id.
    pub fn begin(&mut self, transaction: T) -> u64 {
        let id = self.next;
        self.next += 1;
        self.list.push_back((Head { id, ..Head::default() }, transaction));
        id
    }
    /// The id the next one will get.
    pub fn next_id(&self) -> u64 {
        self.next
    }
    /// That of an id; `None` where it was let go.
    pub fn of(&mut self, id: u64) -> Option<(&mut Head, &mut T)> {
        let at = self.place(id)?;
        self.list.get_mut(at).map(|(head, transaction)| (head, transaction))
    }
    /// The id of the oldest one that does not come before `id`.
    pub fn first_from(&self, id: u64) -> Option<u64> {
        let at = self.list.partition_point(|(head, _)| head.id < id);
        self.list.get(at).map(|(head, _)| head.id)
    }
    /// How many are there.
    pub fn count(&self) -> usize {
        self.list.len()
    }
    /// Lets the oldest one go, whatever became of it.
    pub fn let_go(&mut self) -> Option<T> {
        self.list.pop_front().map(|(_, transaction)| transaction)
    }
    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (&Head, &T)> {
        self.list.iter().map(|(head, transaction)| (head, transaction))
    }
}

impl<T: Transaction> TransactionList for Transactions<T> {
    fn len(&self) -> usize {
        self.list.len()
    }
    fn get(&mut self, index: usize) -> Option<(&mut Head, &dyn Transaction)> {
        let (head, transaction) = self.list.get_mut(index)?;
        Some((head, transaction))
    }
    fn place(&self, id: u64) -> Option<usize> {
        // Ids ascend.
        self.list.binary_search_by_key(&id, |(head, _)| head.id).ok()
    }
    fn free(&mut self, logged: bool) -> usize {
        let before = self.list.len();
        let ways = [FlowDirection::ToServer, FlowDirection::ToClient];
        self.list.retain(|(head, transaction)| {
            let over =
                ways.iter().all(|way| transaction.progress(*way) >= transaction.complete(*way));
            !(over
                && (head.logged || !logged)
                && head.inspected.iter().all(|inspected| inspected.done))
        });
        before - self.list.len()
    }
}
