//! The command line: exit codes, texts, signals.

mod alerts;
mod monitor;
mod read;
