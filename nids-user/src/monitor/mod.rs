//! Looking at traffic packet by packet: the filter language of `nids monitor` and its summary line.
//!
//! No rules here. Frames come from `capture`, their layers from `decode`.

pub mod filter;
pub mod summary;
