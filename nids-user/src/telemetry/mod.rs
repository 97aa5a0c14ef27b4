//! What the sensor says of itself: its counters and their balance, and its messages.

pub mod balance;
pub mod figures;
pub mod http;
pub mod log;
pub mod losses;
pub mod preflight;
pub mod prometheus;
pub mod stats;
pub mod summary;
