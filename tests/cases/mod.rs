//! Stages on data made here, without the kernel.

mod alert_pcap;
mod corpus;
mod destinations;
pub(crate) mod detect;
mod differential;
mod engine;
mod evasion;
mod monitor_filter;
mod output;
mod output_follow;
mod records;
mod rotation;
mod stream;
mod tunnel;
