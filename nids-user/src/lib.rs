//! `nids`, a network intrusion detection sensor for Linux.
//!
//! The folders follow the way of the data:
//!
//! ```text
//! frame -> capture -> decode -> flow -> detect -> output
//!                                 ^
//!                      rule ------+   (text -> AST -> compiled ruleset)
//! ```
//!
//! `runtime` joins them into workers, `telemetry` counts what each stage did, `cli` is the command
//! line. Invariants: a frame is borrowed from its source and never copied on the way; nothing is shared
//! between workers on the packet path; every frame that is not inspected has a counter with a reason.

pub mod app;
pub mod capture;
pub mod cli;
pub mod config;
pub mod control;
pub mod decode;
pub mod defrag;
pub mod detect;
pub mod flow;
pub mod monitor;
pub mod output;
pub mod rule;
pub mod runtime;
pub mod stream;
pub mod suggest;
pub mod telemetry;
