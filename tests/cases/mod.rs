//! Stages on data made here, without the kernel.

mod corpus;
pub(crate) mod detect;
mod differential;
mod engine;
mod evasion;
mod monitor_filter;
mod output;
mod output_follow;
mod records;
mod stream;
mod tunnel;
