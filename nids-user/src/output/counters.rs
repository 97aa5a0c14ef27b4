//! What became of the records: written or lost, by output and reason.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use super::SinkKind;

/// Why an output lost a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum LossReason {
    /// No space, quota or file size limit: ENOSPC, EDQUOT, EFBIG.
    Full,
    /// Nobody reads it: EPIPE, ENXIO of a FIFO, and all that says that no receiver is there.
    BrokenPipe,
    /// The reader takes less than comes.
    TooSlow,
    /// It may not be written: EROFS, EACCES, EPERM, or its folder is missing.
    NotWritable,
    /// One record is longer than a datagram can be: EMSGSIZE.
    TooLong,
    /// Any other error, EIO before all.
    Io,
}

impl LossReason {
    /// All reasons.
    pub const ALL: [Self; 6] =
        [Self::Full, Self::BrokenPipe, Self::TooSlow, Self::NotWritable, Self::TooLong, Self::Io];

    /// The word for counters and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::BrokenPipe => "broken-pipe",
            Self::TooSlow => "too-slow",
            Self::NotWritable => "not-writable",
            Self::TooLong => "too-long",
            Self::Io => "io",
        }
    }

    pub(super) fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => Self::Full,
            Some(
                libc::EPIPE
                | libc::ENXIO
                | libc::ECONNREFUSED
                | libc::ECONNRESET
                | libc::ECONNABORTED
                | libc::ENOTCONN
                | libc::ETIMEDOUT
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::ENETDOWN,
            ) => Self::BrokenPipe,
            Some(
                libc::EROFS
                | libc::EACCES
                | libc::EPERM
                | libc::ENOENT
                | libc::ENOTDIR
                | libc::EISDIR,
            ) => Self::NotWritable,
            _ => match error.kind() {
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::NotConnected
                | io::ErrorKind::TimedOut => Self::BrokenPipe,
                _ => Self::Io,
            },
        }
    }
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The outputs' side of the balance: alerts sent = `overflow` + `taken`, other records sent =
/// `other_overflow` + `other_taken`. Once the writer has finished, written + lost = `taken` for the console
/// and the fast file; for EVE the records of all its types, for the alert pcap its packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputCounters {
    /// Alerts that found the queue full and reached no output.
    pub overflow: u64,
    /// Alerts taken from the queue.
    pub taken: u64,
    /// Other records that found the queue full.
    pub other_overflow: u64,
    /// Other records taken from the queue.
    pub other_taken: u64,
    /// Alerts that went without their payload and packet, as the queue held too many bytes of such.
    pub stripped: u64,
    /// By output, in the order of their start.
    pub sinks: Vec<SinkCounters>,
}

/// What became of the records at one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkCounters {
    /// Which kind of output.
    pub kind: SinkKind,
    /// Which one of them: `eve`, `eve.soc`.
    pub label: String,
    /// Its path, or the address of its server; `None` for standard output.
    pub path: Option<PathBuf>,
    /// Records whose whole line the kernel took.
    pub written: u64,
    /// Records lost, by reason; only reasons that occurred.
    pub lost: Vec<(LossReason, u64)>,
}

impl OutputCounters {
    /// Records that at least one output does not have.
    pub fn lost(&self) -> u64 {
        let worst = self.sinks.iter().map(|s| s.lost.iter().map(|(_, n)| n).sum()).max();
        self.overflow + self.other_overflow + worst.unwrap_or(0)
    }
}

/// Counted by the writer, read by anybody.
#[derive(Debug, Default)]
pub(super) struct SinkTally {
    written: AtomicU64,
    lost: [AtomicU64; LossReason::ALL.len()],
}

impl SinkTally {
    pub(super) fn wrote(&self, records: u64) {
        self.written.fetch_add(records, Ordering::Relaxed);
    }
    pub(super) fn lose(&self, reason: LossReason, records: u64) {
        self.lost[reason as usize].fetch_add(records, Ordering::Relaxed);
    }
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
    pub(super) fn lost_for(&self, reason: LossReason) -> u64 {
        self.lost[reason as usize].load(Ordering::Relaxed)
    }
    pub(super) fn lost(&self) -> u64 {
        LossReason::ALL.iter().map(|reason| self.lost_for(*reason)).sum()
    }
    pub(super) fn by_reason(&self) -> Vec<(LossReason, u64)> {
        let all = LossReason::ALL.iter().map(|reason| (*reason, self.lost_for(*reason)));
        all.filter(|(_, records)| *records > 0).collect()
    }
}
