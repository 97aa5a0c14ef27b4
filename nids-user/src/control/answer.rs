//! What the sensor answers. docs/operating.md describes the JSON.

use std::io::{self, Read};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::rule::report::{Report, Summary};
use crate::telemetry::preflight::Finding;
use crate::telemetry::stats::{RuleStats, Stats};

/// An answer.
#[derive(Debug)]
pub enum Answer {
    /// To `reload`.
    Reloaded(Reloaded),
    /// To `status`.
    Status(Box<Status>),
    /// To `stats`.
    Stats(Box<Stats>),
    /// To `refused`.
    Refused(Arc<Report>),
    /// To `version`.
    Version(Version),
    /// It cannot be, and why.
    Failed(String),
}

/// What a reload came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Number of the rules now in force: 1 after the first reload.
    pub generation: u32,
    /// How many there are.
    #[serde(flatten)]
    pub summary: Summary,
    /// Seconds it took to read and compile them, while the old ones were in force.
    pub build_seconds: f64,
    /// Seconds from then until every frame was inspected by them.
    pub swap_seconds: f64,
}

/// How the sensor is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Process.
    pub pid: u32,
    /// Seconds since the start.
    pub uptime: u64,
    /// Whether anything is wrong.
    pub health: Health,
    /// What is wrong, one sentence each.
    pub problems: Vec<String>,
    /// Where it listens.
    pub ports: Vec<PortStatus>,
    /// Processor of each worker; `None` where it is not pinned.
    pub workers: Vec<Option<usize>>,
    /// The rules in force.
    pub rules: RuleStats,
    /// What the last reload came to; `None` before the first.
    pub last_reload: Option<LastReload>,
    /// What was lost so far.
    pub losses: Vec<Loss>,
    /// What was found at the start.
    pub preflight: Vec<Finding>,
}

/// Whether anything is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Nothing.
    Ok,
    /// It runs, and something is wrong.
    Degraded,
}

/// One side of one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStatus {
    /// Interface.
    pub interface: String,
    /// `ingress` or `egress`.
    pub direction: String,
    /// `driver`, `generic` or `tcx`.
    pub mode: String,
    /// Whether the interface is still there.
    pub present: bool,
}

/// What the last reload came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastReload {
    /// Seconds since the Unix epoch.
    pub time: u64,
    /// Why the rules stayed as they were; `None`: they did not.
    pub error: Option<String>,
}

/// Something that was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// What.
    pub what: String,
    /// How many.
    pub count: u64,
    /// What helps.
    pub help: String,
}

/// Which program this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its version.
    pub version: String,
    /// Whose rule language it speaks.
    pub suricata: String,
}

/// The last line of an answer.
#[derive(Serialize)]
struct Line<'a, T> {
    ok: bool,
    #[serde(flatten)]
    body: &'a T,
}

#[derive(Serialize)]
struct Error<'a> {
    error: &'a str,
}

impl Answer {
    /// The last line, with its line feed.
    pub(super) fn line(&self) -> String {
        let line = match self {
            Self::Reloaded(body) => line(true, body),
            Self::Status(body) => line(true, body),
            Self::Stats(body) => line(true, body),
            Self::Refused(report) => line(true, &report.summary),
            Self::Version(body) => line(true, body),
            Self::Failed(error) => line(false, &Error { error }),
        };
        line + "\n"
    }

    /// The lines before it.
    pub(super) fn list(&self) -> io::Result<Option<impl Read + Send + use<'_>>> {
        match self {
            Self::Refused(report) => report.refused().map(Some),
            _ => Ok(None),
        }
    }
}

fn line<T: Serialize>(ok: bool, body: &T) -> String {
    // All keys are strings and all numbers are finite, so there is nothing that JSON has no words for.
    serde_json::to_string(&Line { ok, body })
        .unwrap_or_else(|_| r#"{"ok":false,"error":"the answer cannot be written"}"#.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_tells_whether_it_went_well() {
        let version = Version { version: "1".into(), suricata: "8".into() };
        assert_eq!(
            Answer::Version(version).line(),
            "{\"ok\":true,\"version\":\"1\",\"suricata\":\"8\"}\n"
        );
        assert_eq!(
            Answer::Failed("no \"x\"".into()).line(),
            "{\"ok\":false,\"error\":\"no \\\"x\\\"\"}\n"
        );
        let reloaded = Reloaded {
            generation: 2,
            summary: Summary { loaded: 3, ..Summary::default() },
            build_seconds: 0.25,
            swap_seconds: 0.5,
        };
        let text = Answer::Reloaded(reloaded.clone()).line();
        assert_eq!(
            text,
            "{\"ok\":true,\"generation\":2,\"loaded\":3,\"refused\":0,\"disabled\":0,\"by_reason\":{},\"build_seconds\":0.25,\"swap_seconds\":0.5}\n"
        );
        assert_eq!(serde_json::from_str::<Reloaded>(&text).unwrap(), reloaded);
    }

    #[test]
    fn numbers_come_back() {
        let stats = Stats { uptime: 5, ..Stats::default() };
        let text = Answer::Stats(Box::new(stats.clone())).line();
        assert_eq!(serde_json::from_str::<Stats>(&text).unwrap(), stats);
    }
}
