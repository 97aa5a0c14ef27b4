//! The command line: exit codes, texts, signals.

mod alerts;
mod check;
mod monitor;
mod read;
