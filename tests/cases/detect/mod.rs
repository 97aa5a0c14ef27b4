//! The detection engine against other judges: a naive matcher, itself behind the kernel's filter, and
//! Suricata.

mod filter;
mod reference;
mod rulesets;
mod steps;
mod suricata;
pub(crate) mod world;
