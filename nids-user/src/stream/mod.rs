//! TCP streams: sessions, and their data in order.
//!
//! One [`StreamContext`] a worker holds the settings, the memory and the counters; a [`Session`] lives
//! with its flow. A packet goes through [`StreamContext::segment`], which judges it by the session's
//! [`State`], raises [`Events`], and puts its data in place; then the data is shown:
//!
//! ```text
//! segment -> Verdict -> Session::app  (parsers, as Verdict::app says)
//!                    -> Session::raw  (rules on the stream, in the packet's direction)
//!                    -> Session::settle
//! flow ends          -> Session::finish, both directions -> StreamContext::close
//! ```
//!
//! Where the choices come from: the states, events and chunk sizes are Suricata's (userguide,
//! configuration/suricata-yaml.rst "Stream-engine"; src/stream-tcp.c, stream-tcp-reassemble.c), the
//! overlap policies those of Novak and Sturges (2007); the list of attacks is that of Ptacek and Newsham,
//! "Insertion, Evasion, and Denial of Service" (1998). Where this engine differs, it is to see more: data
//! is inspected without waiting for its acknowledgment ([`Mode::Immediate`]), two copies are compared by
//! default, an out-of-window segment moves nothing, a segment far ahead does not use up the depth.
//!
//! Memory is bounded by two caps, by the depth, and by segments a direction; what is not inspected for
//! one of them is counted and has an event. Detection, parsers and flow records are left to others.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

mod buffer;
mod closing;
mod config;
mod context;
mod deliver;
mod established;
mod event;
mod half;
mod handshake;
mod option;
mod policy;
mod reassembly;
mod segment;
mod sequence;
mod session;
mod state;
#[cfg(test)]
mod tests;
mod timestamp;

pub use config::{Config, Mode, UrgentPolicy};
pub use context::{Counters, StreamContext};
pub use deliver::{Chunk, Progress};
pub use event::{Event, Events};
pub(crate) use policy::covers;
pub use policy::{HostPolicies, Policy};
pub use session::{AppNews, Session, Verdict};
pub use state::State;
