//! The application layer: which protocol a flow speaks, and what it says, as transactions.
//!
//! ```text
//! in-order bytes -> detect (which protocol?) -> parser (State) -> transactions -> rules, EVE
//! ```
//!
//! One [`AppFlow`] a flow. It is given the bytes of each direction exactly once and in order ([`AppFlow::data`]),
//! or a datagram at a time, holes with their length ([`AppFlow::gap`]) and the end ([`AppFlow::end`]). Each
//! protocol has a folder with the same files: `parser` (bytes to messages), `state` (messages to
//! transactions), `log` (its EVE object). docs/app-layer.md tells how to add one.
//!
//! Memory is bounded: by the limits of each parser, by transactions a flow, and by one cap for all flows of
//! a worker ([`Limits`]). A flow that goes beyond is given up with a reason that is counted; rules on its
//! packets and its stream go on.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

pub mod detect;
pub mod dns;
pub mod event;
mod flow;
pub mod http1;
mod limits;
mod log;
pub mod protocol;
pub mod tls;
pub mod transaction;

pub use event::Event;
pub use flow::AppFlow;
pub use limits::{Context, Counters, GiveUp, Limits};
pub use protocol::{AppProtocol, AppProtocols};
pub use transaction::{
    Head, Inspected, Partial, Shown, Transaction, TransactionList, Transactions,
};

use crate::detect::protocol::TCP;
use crate::flow::FlowDirection;

/// What a parser is. Its methods are called by [`State`], without indirection.
pub trait Parser {
    /// The next bytes of a direction. Returns how many were taken: all (what is not whole yet the parser keeps, up
    /// to a bound of its own), unless it has as many transactions as it may and rules did not see the
    /// oldest yet; then the others come again when they have.
    ///
    /// # Errors
    /// The rest of the flow cannot be parsed.
    fn data(
        &mut self,
        cx: &mut Context<'_>,
        direction: FlowDirection,
        bytes: &[u8],
    ) -> Result<usize, GiveUp>;
    /// `length` bytes of the direction are missing here.
    ///
    /// # Errors
    /// The rest of the flow cannot be parsed.
    fn gap(
        &mut self,
        cx: &mut Context<'_>,
        direction: FlowDirection,
        length: u64,
    ) -> Result<(), GiveUp>;
    /// Nothing more comes from this direction.
    fn end(&mut self, cx: &mut Context<'_>, direction: FlowDirection);
    /// What was said.
    fn transactions(&mut self) -> &mut dyn TransactionList;
    /// Bytes of memory that it takes, transactions included. Asked after each call, so cheap.
    fn memory(&self) -> usize;
}

/// The parser of a flow.
#[derive(Debug)]
pub enum State {
    /// HTTP/0.9 to HTTP/1.1.
    Http1(Box<http1::Http1>),
    /// DNS and mDNS.
    Dns(Box<dns::Dns>),
    /// TLS and SSL.
    Tls(Box<tls::Tls>),
}

/// Calls a method of whichever parser it is.
macro_rules! dispatch {
    ($state:expr, $parser:ident => $call:expr) => {
        match $state {
            State::Http1($parser) => $call,
            State::Dns($parser) => $call,
            State::Tls($parser) => $call,
        }
    };
}

impl State {
    /// Of a flow that speaks `protocol` over the IP protocol `carrier`.
    pub fn new(protocol: AppProtocol, carrier: u8) -> Self {
        match protocol {
            AppProtocol::Http1 => Self::Http1(Box::default()),
            AppProtocol::Dns | AppProtocol::Mdns => {
                Self::Dns(Box::new(dns::Dns::new(protocol, carrier == TCP)))
            }
            AppProtocol::Tls => Self::Tls(Box::default()),
        }
    }
}

impl Parser for State {
    fn data(
        &mut self,
        cx: &mut Context<'_>,
        direction: FlowDirection,
        bytes: &[u8],
    ) -> Result<usize, GiveUp> {
        dispatch!(self, parser => parser.data(cx, direction, bytes))
    }
    fn gap(
        &mut self,
        cx: &mut Context<'_>,
        direction: FlowDirection,
        length: u64,
    ) -> Result<(), GiveUp> {
        dispatch!(self, parser => parser.gap(cx, direction, length))
    }
    fn end(&mut self, cx: &mut Context<'_>, direction: FlowDirection) {
        dispatch!(self, parser => parser.end(cx, direction));
    }
    fn transactions(&mut self) -> &mut dyn TransactionList {
        dispatch!(self, parser => parser.transactions())
    }
    fn memory(&self) -> usize {
        dispatch!(self, parser => parser.memory())
    }
}
