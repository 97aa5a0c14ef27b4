//! Messages about the sensor itself, on standard error: `nids: warning: ...`. Alerts go elsewhere.

use std::io::Write;

use log::{Level, LevelFilter, Log, Metadata, Record};

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// What went wrong.
    Error,
    /// And what is odd.
    Warn,
    /// And what happened.
    #[default]
    Info,
    /// And each decision of the kernel half: slow, for few packets.
    Debug,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::Error,
            LogLevel::Warn => Self::Warn,
            LogLevel::Info => Self::Info,
            LogLevel::Debug => Self::Debug,
        }
    }
}

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let kind = match record.level() {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            Level::Info => "",
            Level::Debug | Level::Trace => "debug: ",
        };
        // There is nowhere to say that saying it failed.
        let _ = writeln!(std::io::stderr().lock(), "nids: {kind}{}", record.args());
    }

    fn flush(&self) {}
}

/// Sends the messages of this process to standard error from now on.
pub fn start(level: LogLevel) {
    // Fails where it was done before, and then only the level is new.
    let _ = log::set_logger(&Stderr);
    log::set_max_level(level.into());
}
