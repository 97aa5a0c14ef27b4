//! The detection engine against other judges: a naive matcher, itself behind the kernel's filter, and
//! Suricata.

pub(crate) mod filter;
mod header;
mod ip_only;
mod reference;
mod rulesets;
mod state;
mod steps;
pub(crate) mod suricata;
pub(crate) mod world;
