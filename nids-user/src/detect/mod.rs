//! Detection: from rules to one compiled [`Ruleset`], and from packets to matches.
//!
//! A ruleset is compiled three ways: into the kernel's filter table (`filter`), into multi-pattern
//! prefilters (`mpm`), and into inspection programs (`signature`). It is immutable and shared between
//! workers; what changes from packet to packet is in each worker's own `Inspector`.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

pub mod alert;
