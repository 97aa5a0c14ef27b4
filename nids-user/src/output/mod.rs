//! Alerts on their way out: a bounded queue, one writer thread, and the sinks behind it.
//!
//! A sink that fails is counted and tried again; it never stops the others or the workers. Formats:
//! a line for people (`console`), Snort's fast line (`fast`), EVE JSON (`eve`). Files are opened for
//! appending, created with mode 0640, and symbolic links are followed: who may write into the log
//! folder decides where logs go. All times are UTC.

mod console;
mod counters;
mod eve;
mod fast;
pub mod field;
pub mod follow;
mod logged;
mod sink;
mod target;
mod writer;

use std::fmt;
use std::path::PathBuf;

pub use console::colour_wanted;
pub use counters::{LossReason, OutputCounters, SinkCounters};
pub use writer::{AlertSender, Writer, start};

/// Where alerts go. Each output may be on at once.
#[derive(Clone, Debug)]
pub struct OutputConfig {
    /// One readable line an alert on standard output, in colour where that is a terminal (unless
    /// `NO_COLOR` is set).
    pub console: bool,
    /// Snort's fast format, appended to this file.
    pub fast: Option<PathBuf>,
    /// EVE JSON, appended to this file.
    pub eve: Option<PathBuf>,
    /// Alerts that may wait for the writer, at least 1.
    pub queue: usize,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self { console: false, fast: None, eve: None, queue: 16_384 }
    }
}

/// What to do when alerts come faster than they can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The sender waits, and so does the writer for a slow reader: for a file, which can wait too.
    Block,
    /// Nobody waits; what does not fit is counted and reported: for live traffic.
    Count,
}

/// The kinds of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SinkKind {
    /// Standard output.
    Console,
    /// Snort's fast file.
    Fast,
    /// EVE JSON.
    Eve,
}

impl SinkKind {
    /// The word for counters and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Fast => "fast",
            Self::Eve => "eve",
        }
    }
}

impl fmt::Display for SinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
