//! The command line: exit codes, texts, signals.

mod alerts;
mod check;
mod errors;
mod monitor;
mod outputs;
mod read;
