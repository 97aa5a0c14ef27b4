//! What the sensor says of itself: its counters and their balance, and its messages.

pub mod balance;
pub mod log;
