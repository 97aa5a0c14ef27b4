//! The command line: exit codes, texts, signals.

mod alerts;
mod check;
mod config;
mod errors;
mod explain;
mod monitor;
mod outputs;
mod read;
mod running;
