//! Alerts and other records on their way out: a bounded queue, one writer thread, and the sinks behind it.
//!
//! The console and the fast file take alerts; EVE takes the types of records that it is set to; the alert
//! pcap takes packets. A sink that fails is counted and tried again; it never stops the others or the
//! workers.
//!
//! ```text
//! workers -> queue (writer) -> format -> backlog -> target: stdout, file, socket
//!                              \_____ one sink ____________/     |
//!                                                     rotation -> archive (a thread of its own)
//! ```
//!
//! Formats: a line for people (`console`), Snort's fast line (`fast`), EVE JSON (`eve`), plain or as
//! messages of syslog (`syslog`), packets (`pcapng`). Files are opened for appending, created with mode
//! 0640, and symbolic links are followed: who may write into the log folder decides where logs go. All
//! times are UTC.

mod archive;
mod backlog;
mod community_id;
mod console;
mod counters;
mod eve;
mod fast;
pub mod field;
mod file;
pub mod follow;
mod format;
mod logged;
mod pcapng;
mod record;
mod rotation;
pub mod settings;
mod sink;
mod socket;
pub mod syslog;
mod target;
mod writer;

use std::fmt;

pub use console::colour_wanted;
pub use counters::{LossReason, OutputCounters, SinkCounters};
pub use record::{Anomaly, AppRecord, CapturedPacket, Oddity, Record, Statistics, TaggedPacket};
pub use settings::{OutputConfig, OutputSettings};
pub use writer::{Opened, RecordSender, Wants, Writer, open, start};

/// A type of EVE record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum EveType {
    /// A rule matched.
    Alert,
    /// A flow ended.
    Flow,
    /// A flow ended: one record for each direction.
    Netflow,
    /// A packet is malformed, or does not fit its TCP session.
    Anomaly,
    /// A packet that the tag of a rule asks for.
    Packet,
    /// A request of HTTP with its response.
    Http,
    /// A file that was carried.
    Fileinfo,
    /// A message of DNS.
    Dns,
    /// A message of mDNS.
    Mdns,
    /// A session of TLS.
    Tls,
    /// The numbers of the sensor, from time to time.
    Stats,
}

impl EveType {
    /// The word in EVE's `event_type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Flow => "flow",
            Self::Netflow => "netflow",
            Self::Anomaly => "anomaly",
            Self::Packet => "packet",
            Self::Http => "http",
            Self::Fileinfo => "fileinfo",
            Self::Dns => "dns",
            Self::Mdns => "mdns",
            Self::Tls => "tls",
            Self::Stats => "stats",
        }
    }
}

/// A set of types of EVE records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EveTypes(u32);

impl Default for EveTypes {
    /// Alerts, and the packets that their tags ask for.
    fn default() -> Self {
        Self::from_iter([EveType::Alert, EveType::Packet])
    }
}

impl FromIterator<EveType> for EveTypes {
    fn from_iter<I: IntoIterator<Item = EveType>>(types: I) -> Self {
        Self(types.into_iter().fold(0, |set, one| set | 1 << one as u8))
    }
}

impl EveTypes {
    /// No type.
    pub const NONE: Self = Self(0);

    /// Those of either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether this type is in the set.
    #[inline]
    pub const fn has(self, one: EveType) -> bool {
        self.0 & 1 << one as u8 != 0
    }
}

/// What to do when records come faster than they can be written.
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
    /// The packets of alerting flows.
    Pcap,
}

impl SinkKind {
    /// The word for counters and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Fast => "fast",
            Self::Eve => "eve",
            Self::Pcap => "pcap",
        }
    }
}

impl fmt::Display for SinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
