//! Tests of the engine as a whole: scripts of segments, and what comes out.

mod delivery;
mod events;
mod memory;
mod overlaps;
mod properties;
mod script;
mod states;
mod unseen;
