//! What outputs are set to: `outputs.KIND.NAME.KEY`, where KIND is `eve`, `fast` or `pcap`.
//!
//! Several of a kind may be on at once, told apart by their names. `--eve FILE`, `--fast FILE` and
//! `--alert-pcap FILE` are short for the `filename` of the ones named `0`. Keys are Suricata's where Suricata
//! has them. What does not go together is refused by [`OutputConfig::check`], so nothing is set in vain.

use std::path::PathBuf;
use std::time::Duration;

use super::syslog::{Facility, Framing, Severity};
use super::{EveType, EveTypes, SinkKind};
use crate::config::value;
use crate::suggest;

/// Where records go, and how.
#[derive(Clone, Debug)]
pub struct OutputConfig {
    /// One readable line an alert on standard output, in colour where that is a terminal (unless
    /// `NO_COLOR` is set).
    pub console: bool,
    /// All others, in the order in which they were named.
    pub outputs: Vec<OutputSettings>,
    /// Seed of the Community ID in EVE records; `None`: they have no Community ID.
    pub community_id: Option<u16>,
    /// Records that may wait for the writer, at least 1.
    pub queue: usize,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self { console: false, outputs: Vec::new(), community_id: None, queue: 16_384 }
    }
}

/// One output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSettings {
    /// EVE, fast or pcap.
    pub kind: SinkKind,
    /// `0` for the one of the flags.
    pub name: String,
    /// `enabled`.
    pub enabled: bool,
    /// `filetype`.
    pub file_type: FileType,
    /// `filename`: a file, or a Unix socket.
    pub filename: Option<PathBuf>,
    /// `server`, `facility`, `level`, `identity`, `framing`.
    pub syslog: SyslogSettings,
    /// `rotate-size`, `rotate-interval`, `max-files`, `compression`.
    pub rotation: Rotation,
    /// `disk-full`.
    pub disk_full: DiskFull,
    /// `backlog`: bytes that may wait while they cannot be written.
    pub backlog: usize,
    /// What EVE records tell.
    pub eve: EveOptions,
    /// What an alert pcap keeps.
    pub capture: CaptureOptions,
}

impl<const N: usize> From<[OutputSettings; N]> for OutputConfig {
    /// These outputs, and no console.
    fn from(outputs: [OutputSettings; N]) -> Self {
        Self { outputs: outputs.into(), ..Self::default() }
    }
}

/// What an output writes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileType {
    /// A file, a FIFO or a device.
    #[default]
    Regular,
    /// A Unix socket that somebody listens on; lines.
    UnixStream,
    /// A Unix socket; each record a datagram.
    UnixDatagram,
    /// Standard output.
    Stdout,
    /// RFC 5424 messages.
    Syslog,
}

/// Who gets messages of syslog, and what they say of their origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogSettings {
    /// `server`.
    pub server: Server,
    /// `facility`.
    pub facility: Facility,
    /// `level`.
    pub severity: Severity,
    /// `identity`: APP-NAME.
    pub identity: String,
    /// `framing`, over TCP.
    pub framing: Framing,
}

impl Default for SyslogSettings {
    fn default() -> Self {
        Self {
            server: Server::Unix("/dev/log".into()),
            facility: Facility::LOCAL5,
            severity: Severity::INFO,
            identity: "nids".into(),
            framing: Framing::OctetCounting,
        }
    }
}

/// A syslog server. Names are looked up once, at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// `unix:PATH`, datagrams.
    Unix(PathBuf),
    /// `udp:HOST:PORT` (RFC 5426).
    Udp(String),
    /// `tcp:HOST:PORT` (RFC 6587).
    Tcp(String),
}

/// When a file is put away for a new one, and what becomes of the old ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes that a file does not grow beyond, but for a single record that is larger.
    pub size: Option<u64>,
    /// At each multiple of this time since the epoch (UTC).
    pub interval: Option<Duration>,
    /// Old files that are kept; `None`: all.
    pub keep: Option<usize>,
    /// Old files are compressed with Zstandard.
    pub compress: bool,
}

impl Rotation {
    /// Whether files are ever put away.
    pub fn is_on(&self) -> bool {
        self.size.is_some() || self.interval.is_some()
    }
}

/// What becomes of records while the disk is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskFull {
    /// The oldest wait, as many as fit in the backlog; the newest are lost.
    #[default]
    Keep,
    /// They are lost at once: what comes when there is room again is new.
    Drop,
}

/// What EVE records tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EveOptions {
    /// `types`.
    pub types: EveTypes,
    /// `metadata`: flow bits and numbers, in alerts and flows.
    pub vars: bool,
    /// `alert.payload`, in base64.
    pub payload: bool,
    /// `alert.payload-printable`.
    pub printable: bool,
    /// `alert.payload-buffer-size`.
    pub payload_bytes: usize,
    /// `alert.packet`.
    pub packet: bool,
    /// `alert.metadata.flow`.
    pub flow: bool,
    /// `alert.metadata.rule.metadata`.
    pub rule_metadata: bool,
    /// `alert.metadata.rule.reference`.
    pub references: bool,
    /// `anomaly.packethdr`.
    pub packet_header: bool,
}

impl Default for EveOptions {
    fn default() -> Self {
        Self {
            types: EveTypes::default(),
            vars: true,
            payload: false,
            printable: false,
            payload_bytes: 4 << 10,
            packet: false,
            flow: true,
            rule_metadata: true,
            references: true,
            packet_header: false,
        }
    }
}

impl EveOptions {
    /// Whether alerts have bytes of the payload.
    pub(super) fn wants_payload(&self) -> bool {
        self.payload || self.printable
    }
}

/// What an alert pcap keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureOptions {
    /// `conditional`.
    pub condition: Condition,
    /// `flow-limit`: bytes of packets of one flow that are kept after its alert; `None`: no limit.
    pub flow_limit: Option<u32>,
    /// `look-back`: bytes of recent packets that each worker remembers, so that those of the flow before its
    /// alert are kept too. 0: none are.
    pub look_back: usize,
}

impl Default for CaptureOptions {
    fn default() -> Self {
        Self { condition: Condition::Alerts, flow_limit: Some(10 << 20), look_back: 8 << 20 }
    }
}

/// Which packets an alert pcap keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Those of flows with alerts, and packets without flow that have alerts.
    Alerts,
    /// Those that the `tag` of a rule asks for, with the packet that began it.
    Tag,
}

/// Why a key was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody knows it; perhaps this one is meant.
    Unknown(Option<&'static str>),
    /// It takes this.
    Value(&'static str),
    /// This is missing for it.
    Missing(&'static str),
}

impl OutputSettings {
    /// An output of this kind with the defaults, which still lacks its `filename`.
    pub fn new(kind: SinkKind, name: impl Into<String>) -> Self {
        let (size, keep) = match kind {
            // Packets are many: unlike logs, they are bounded unless they are set not to be.
            SinkKind::Pcap => (Some(100 << 20), Some(10)),
            SinkKind::Console | SinkKind::Eve | SinkKind::Fast => (None, None),
        };
        Self {
            kind,
            name: name.into(),
            enabled: true,
            file_type: FileType::default(),
            filename: None,
            syslog: SyslogSettings::default(),
            rotation: Rotation { size, keep, ..Rotation::default() },
            disk_full: DiskFull::default(),
            backlog: match kind {
                SinkKind::Pcap => 16 << 20,
                SinkKind::Console | SinkKind::Eve | SinkKind::Fast => 1 << 20,
            },
            eve: EveOptions::default(),
            capture: CaptureOptions::default(),
        }
    }

    /// EVE JSON, appended to this file.
    pub fn eve(path: impl Into<PathBuf>) -> Self {
        Self { filename: Some(path.into()), ..Self::new(SinkKind::Eve, "0") }
    }

    /// Snort's fast format, appended to this file.
    pub fn fast(path: impl Into<PathBuf>) -> Self {
        Self { filename: Some(path.into()), ..Self::new(SinkKind::Fast, "0") }
    }

    /// Packets of alerting flows, in this file.
    pub fn pcap(path: impl Into<PathBuf>) -> Self {
        Self { filename: Some(path.into()), ..Self::new(SinkKind::Pcap, "0") }
    }

    /// The same, with other types of records.
    #[must_use]
    pub fn with_types(mut self, types: impl IntoIterator<Item = EveType>) -> Self {
        self.eve.types = types.into_iter().collect();
        self
    }

    /// What it is called in counters and messages: `eve`, or `eve.soc` of the one named `soc`.
    pub fn label(&self) -> String {
        match self.name.as_str() {
            "0" => self.kind.to_string(),
            name => format!("{}.{name}", self.kind),
        }
    }

    /// What it writes to, for counters and messages; `None`: standard output.
    pub fn place(&self) -> Option<PathBuf> {
        match self.file_type {
            FileType::Stdout => None,
            FileType::Regular | FileType::UnixStream | FileType::UnixDatagram => {
                self.filename.clone()
            }
            FileType::Syslog => Some(match &self.syslog.server {
                Server::Unix(path) => path.clone(),
                Server::Udp(address) => format!("udp:{address}").into(),
                Server::Tcp(address) => format!("tcp:{address}").into(),
            }),
        }
    }

    /// What does not go together, in words.
    fn fault(&self) -> Option<String> {
        let Self { kind, file_type, .. } = self;
        let file = *file_type == FileType::Regular;
        let named =
            matches!(file_type, FileType::Regular | FileType::UnixStream | FileType::UnixDatagram);
        let text = match (named, &self.filename) {
            (true, None) => "`filename` is missing",
            (false, Some(_)) => "`filename` is for files and Unix sockets",
            _ if *kind != SinkKind::Pcap && !file && self.rotation.is_on() => {
                "only files are rotated"
            }
            _ if !self.rotation.is_on() && self.rotation.keep.is_some() => {
                "`max-files` needs `rotate-size` or `rotate-interval`"
            }
            _ if !self.rotation.is_on() && self.rotation.compress => {
                "`compression` needs `rotate-size` or `rotate-interval`"
            }
            _ if !file && self.disk_full != DiskFull::default() => "`disk-full` is for files",
            _ if *file_type != FileType::Syslog && self.syslog != SyslogSettings::default() => {
                "`server`, `facility`, `level`, `identity` and `framing` need `filetype=syslog`"
            }
            _ => return None,
        };
        Some(format!("outputs.{kind}.{}: {text}.", self.name))
    }
}

impl OutputConfig {
    /// Those that are on.
    pub fn enabled(&self) -> impl Iterator<Item = &OutputSettings> {
        self.outputs.iter().filter(|output| output.enabled)
    }

    /// Whether alerts go anywhere but to the console.
    pub fn has_alerts(&self) -> bool {
        self.enabled().any(|output| output.kind != SinkKind::Pcap)
    }

    /// Whether an output is on that writes to standard output, beside the console.
    pub fn uses_stdout(&self) -> bool {
        self.enabled().any(|output| output.file_type == FileType::Stdout)
    }

    /// The output of this kind and name, made where it is missing.
    pub fn named(&mut self, kind: SinkKind, name: &str) -> &mut OutputSettings {
        let there = |output: &OutputSettings| output.kind == kind && output.name == name;
        let at = self.outputs.iter().position(there).unwrap_or_else(|| {
            self.outputs.push(OutputSettings::new(kind, name));
            self.outputs.len() - 1
        });
        &mut self.outputs[at]
    }

    /// Takes `KIND.NAME.KEY` and its value.
    ///
    /// # Errors
    /// The key is unknown, or cannot have this value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Refusal> {
        let mut parts = key.splitn(3, '.');
        let (Some(kind), Some(name), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Refusal::Unknown(None));
        };
        let kinds = [SinkKind::Eve, SinkKind::Fast, SinkKind::Pcap];
        let Some(kind) = kinds.into_iter().find(|one| one.as_str() == kind) else {
            return Err(Refusal::Unknown(suggest::nearest(
                kind,
                kinds.iter().map(|one| one.as_str()),
            )));
        };
        if name.is_empty() {
            return Err(Refusal::Unknown(None));
        }
        let ours = |keys: Of| match keys {
            Of::All => true,
            Of::Eve => kind == SinkKind::Eve,
            Of::Pcap => kind == SinkKind::Pcap,
        };
        let Some((_, _, effect)) = KEYS.iter().find(|(of, one, _)| ours(*of) && *one == key) else {
            let known = KEYS.iter().filter(|(of, ..)| ours(*of)).map(|(_, key, _)| *key);
            return Err(Refusal::Unknown(suggest::nearest(key, known)));
        };
        match effect {
            Effect::Put(expected, put) => {
                put(self.named(kind, name), value).ok_or(Refusal::Value(expected))
            }
            Effect::Missing(reason) if value::boolean(value) != Some(false) => {
                Err(Refusal::Missing(reason))
            }
            Effect::Missing(_) => Ok(()),
        }
    }

    /// What does not go together.
    ///
    /// # Errors
    /// In words, whole sentences.
    pub fn check(&self) -> Result<(), String> {
        if let Some(fault) = self.enabled().find_map(OutputSettings::fault) {
            return Err(fault);
        }
        let pcaps = self.enabled().filter(|output| output.kind == SinkKind::Pcap);
        if pcaps.count() > 1 {
            return Err("there can be one alert pcap.".into());
        }
        let stdouts = self.enabled().filter(|output| output.file_type == FileType::Stdout).count();
        if stdouts + usize::from(self.console) > 1 {
            return Err("two outputs cannot share standard output.".into());
        }
        Ok(())
    }
}

/// Keys that have a function, of the outputs named `0`; but for `alert.metadata`, a second way to set others.
#[cfg(test)]
pub(crate) fn keys() -> Vec<String> {
    let mut all = Vec::new();
    for (of, key, effect) in KEYS {
        let kinds: &[SinkKind] = match of {
            Of::All => &[SinkKind::Eve, SinkKind::Fast, SinkKind::Pcap],
            Of::Eve => &[SinkKind::Eve],
            Of::Pcap => &[SinkKind::Pcap],
        };
        if matches!(effect, Put(..)) && *key != "alert.metadata" {
            all.extend(kinds.iter().map(|kind| format!("outputs.{kind}.0.{key}")));
        }
    }
    all
}

/// Which outputs have a key.
#[derive(Clone, Copy)]
enum Of {
    All,
    Eve,
    Pcap,
}

enum Effect {
    /// What the value can be, and what takes it.
    Put(&'static str, fn(&mut OutputSettings, &str) -> Option<()>),
    /// The function is not there.
    Missing(&'static str),
}

use Effect::{Missing, Put};

const YES_OR_NO: &str = "yes or no";
const NO_HTTP_BODY: &str =
    "bodies of HTTP are not kept for alerts; `alert.payload` has their bytes";

/// Sets one thing.
macro_rules! put {
    ($expected:expr, $read:expr, $($field:ident).+) => {
        Put($expected, |output, text| {
            output.$($field).+ = $read(text)?;
            Some(())
        })
    };
}

const KEYS: &[(Of, &str, Effect)] = &[
    (Of::All, "enabled", put!(YES_OR_NO, value::boolean, enabled)),
    (Of::All, "filename", put!("a path", some_path, filename)),
    (Of::All, "rotate-size", put!("a size such as 100mb, or no", rotate_size, rotation.size)),
    (
        Of::All,
        "rotate-interval",
        put!("a time such as 30s, 15m, 1h or 1d, or no", rotate_interval, rotation.interval),
    ),
    (Of::All, "max-files", put!("a number of files, or no", max_files, rotation.keep)),
    (Of::All, "compression", put!("zstd or none", compression, rotation.compress)),
    (Of::All, "disk-full", put!("keep or drop", disk_full, disk_full)),
    (Of::All, "backlog", put!("a size such as 1mb", backlog, backlog)),
    (
        Of::Eve,
        "filetype",
        put!("regular, unix_stream, unix_dgram, stdout or syslog", file_type, file_type),
    ),
    (
        Of::Eve,
        "server",
        put!("unix:PATH, udp:HOST:PORT or tcp:HOST:PORT", Server::from_text, syslog.server),
    ),
    (Of::Eve, "facility", put!("a facility such as local5", Facility::from_name, syslog.facility)),
    (Of::Eve, "level", put!("a level such as info", Severity::from_name, syslog.severity)),
    (
        Of::Eve,
        "identity",
        put!("a name of up to 48 visible ASCII characters", identity, syslog.identity),
    ),
    (Of::Eve, "framing", put!("octet-counting or newline", Framing::from_name, syslog.framing)),
    (Of::Eve, "types", put!("types of records, as in [alert, flow]", types, eve.types)),
    (Of::Eve, "metadata", put!(YES_OR_NO, value::boolean, eve.vars)),
    (Of::Eve, "alert.payload", put!(YES_OR_NO, value::boolean, eve.payload)),
    (Of::Eve, "alert.payload-printable", put!(YES_OR_NO, value::boolean, eve.printable)),
    (
        Of::Eve,
        "alert.payload-buffer-size",
        put!("a size up to 64kb", payload_bytes, eve.payload_bytes),
    ),
    (Of::Eve, "alert.packet", put!(YES_OR_NO, value::boolean, eve.packet)),
    (
        Of::Eve,
        "alert.metadata",
        Put(YES_OR_NO, |output, text| {
            let on = value::boolean(text)?;
            let EveOptions { flow, rule_metadata, references, .. } = &mut output.eve;
            (*flow, *rule_metadata, *references) = (on, on, on);
            Some(())
        }),
    ),
    (Of::Eve, "alert.metadata.flow", put!(YES_OR_NO, value::boolean, eve.flow)),
    (Of::Eve, "alert.metadata.rule.metadata", put!(YES_OR_NO, value::boolean, eve.rule_metadata)),
    (Of::Eve, "alert.metadata.rule.reference", put!(YES_OR_NO, value::boolean, eve.references)),
    (Of::Eve, "alert.metadata.rule.raw", Missing("the text of rules is not kept")),
    (Of::Eve, "alert.http-body", Missing(NO_HTTP_BODY)),
    (Of::Eve, "alert.http-body-printable", Missing(NO_HTTP_BODY)),
    (Of::Eve, "anomaly.packethdr", put!(YES_OR_NO, value::boolean, eve.packet_header)),
    (Of::Pcap, "conditional", put!("alerts or tag", condition, capture.condition)),
    (Of::Pcap, "flow-limit", put!("a size such as 10mb, or no", flow_limit, capture.flow_limit)),
    (Of::Pcap, "look-back", put!("a size up to 1gb, or 0", look_back, capture.look_back)),
];

impl Server {
    fn from_text(text: &str) -> Option<Self> {
        let (kind, place) = text.split_once(':')?;
        let with_port = || {
            let (host, port) = place.rsplit_once(':')?;
            (!host.is_empty() && port.parse::<u16>().is_ok()).then(|| place.to_owned())
        };
        match kind {
            "unix" => value::path(place).map(Self::Unix),
            "udp" => with_port().map(Self::Udp),
            "tcp" => with_port().map(Self::Tcp),
            _ => None,
        }
    }
}

fn some_path(text: &str) -> Option<Option<PathBuf>> {
    value::path(text).map(Some)
}

/// `no`, which a configuration file has as `false`, or what the rest is.
fn unless_no<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    match text {
        "no" | "false" => Some(None),
        _ => read(text).map(Some),
    }
}

fn rotate_size(text: &str) -> Option<Option<u64>> {
    unless_no(text, |text| value::size(text).filter(|size| *size > 0))
}

fn rotate_interval(text: &str) -> Option<Option<Duration>> {
    unless_no(text, |text| {
        let (number, unit) = match text {
            "minute" => ("1", 60),
            "hour" => ("1", 3600),
            "day" => ("1", 86_400),
            _ => {
                let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
                let unit = match unit {
                    "s" => 1,
                    "m" => 60,
                    "h" => 3600,
                    "d" => 86_400,
                    _ => return None,
                };
                (number, unit)
            }
        };
        let count: u32 = number.parse().ok().filter(|count| *count > 0)?;
        Some(Duration::from_secs(u64::from(count) * unit))
    })
}

fn max_files(text: &str) -> Option<Option<usize>> {
    unless_no(text, value::number)
}

fn compression(text: &str) -> Option<bool> {
    match text {
        "zstd" => Some(true),
        "none" | "no" | "false" => Some(false),
        _ => None,
    }
}

fn disk_full(text: &str) -> Option<DiskFull> {
    match text {
        "keep" => Some(DiskFull::Keep),
        "drop" => Some(DiskFull::Drop),
        _ => None,
    }
}

fn backlog(text: &str) -> Option<usize> {
    value::memory(text).filter(|size| (1..=1 << 30).contains(size))
}

fn file_type(text: &str) -> Option<FileType> {
    Some(match text {
        "regular" => FileType::Regular,
        "unix_stream" => FileType::UnixStream,
        "unix_dgram" => FileType::UnixDatagram,
        "stdout" => FileType::Stdout,
        "syslog" => FileType::Syslog,
        _ => return None,
    })
}

/// What RFC 5424 allows as APP-NAME.
fn identity(text: &str) -> Option<String> {
    let fits = (1..=48).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

fn types(text: &str) -> Option<EveTypes> {
    let list = text.strip_prefix('[').map_or(Some(text), |rest| rest.strip_suffix(']'))?;
    list.split(',')
        .map(|name| <EveType as clap::ValueEnum>::from_str(name.trim(), false).ok())
        .collect()
}

fn payload_bytes(text: &str) -> Option<usize> {
    value::memory(text).filter(|size| (1..=64 << 10).contains(size))
}

fn condition(text: &str) -> Option<Condition> {
    match text {
        "alerts" => Some(Condition::Alerts),
        "tag" => Some(Condition::Tag),
        _ => None,
    }
}

fn flow_limit(text: &str) -> Option<Option<u32>> {
    unless_no(text, value::memory)
}

fn look_back(text: &str) -> Option<usize> {
    value::memory(text).filter(|size| *size <= 1 << 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(settings: &[(&str, &str)]) -> Result<OutputConfig, Refusal> {
        let mut config = OutputConfig::default();
        settings.iter().try_for_each(|(key, value)| config.set(key, value))?;
        Ok(config)
    }

    #[test]
    fn several_of_a_kind() {
        let config = set(&[
            ("eve.0.filename", "/a"),
            ("eve.soc.filetype", "syslog"),
            ("eve.soc.server", "tcp:[::1]:601"),
            ("eve.soc.facility", "local0"),
            ("eve.soc.types", "[alert, flow]"),
            ("eve.0.rotate-size", "10mb"),
            ("eve.0.rotate-interval", "15m"),
            ("eve.0.max-files", "7"),
            ("eve.0.compression", "zstd"),
            ("fast.0.filename", "/f"),
            ("pcap.0.filename", "/p"),
            ("pcap.0.flow-limit", "no"),
        ])
        .unwrap();
        assert_eq!(config.check(), Ok(()));
        let labels: Vec<_> = config.enabled().map(OutputSettings::label).collect();
        assert_eq!(labels, ["eve", "eve.soc", "fast", "pcap"]);
        let [eve, soc, _, pcap] = &config.outputs[..] else { panic!("{config:?}") };
        assert_eq!(
            eve.rotation,
            Rotation {
                size: Some(10 << 20),
                interval: Some(Duration::from_secs(900)),
                keep: Some(7),
                compress: true
            }
        );
        assert_eq!(soc.place(), Some("tcp:[::1]:601".into()));
        assert!(soc.eve.types.has(EveType::Flow) && !soc.eve.types.has(EveType::Packet));
        assert_eq!((pcap.capture.flow_limit, pcap.rotation.keep), (None, Some(10)));
    }

    #[test]
    fn values_that_are_none() {
        for (key, value) in [
            ("eve.0.filename", ""),
            ("eve.0.filetype", "redis"),
            ("eve.0.types", "[alert, gopher]"),
            ("eve.0.types", "[alert"),
            ("eve.0.rotate-size", "0"),
            ("eve.0.rotate-interval", "1w"),
            ("eve.0.rotate-interval", "0h"),
            ("eve.0.rotate-interval", ""),
            ("eve.0.server", "udp:514"),
            ("eve.0.server", "tls:host:6514"),
            ("eve.0.server", "tcp:host:port"),
            ("eve.0.facility", "local8"),
            ("eve.0.identity", "two words"),
            ("eve.0.backlog", "0"),
            ("eve.0.alert.payload-buffer-size", "1mb"),
            ("eve.0.compression", "gzip"),
            ("pcap.0.conditional", "all"),
            ("eve.0.alert.packet", "perhaps"),
        ] {
            assert!(matches!(set(&[(key, value)]), Err(Refusal::Value(_))), "{key}={value}");
        }
        assert_eq!(set(&[("eve.0.filenam", "x")]).unwrap_err(), Refusal::Unknown(Some("filename")));
        assert_eq!(set(&[("evee.0.filename", "x")]).unwrap_err(), Refusal::Unknown(Some("eve")));
        assert_eq!(set(&[("fast.0.types", "alert")]).unwrap_err(), Refusal::Unknown(None));
        assert_eq!(set(&[("eve.filename", "x")]).unwrap_err(), Refusal::Unknown(None));
        let body = set(&[("eve.0.alert.http-body", "yes")]).unwrap_err();
        assert_eq!(body, Refusal::Missing(NO_HTTP_BODY));
        assert!(set(&[("eve.0.alert.http-body", "no")]).is_ok());
    }

    #[test]
    fn what_does_not_go_together() {
        for (settings, words) in [
            (&[("eve.0.types", "alert")][..], "`filename` is missing"),
            (&[("eve.0.filetype", "stdout"), ("eve.0.filename", "x")], "`filename` is for"),
            (&[("eve.0.filetype", "stdout"), ("eve.0.rotate-size", "1mb")], "only files"),
            (&[("eve.0.filename", "x"), ("eve.0.max-files", "3")], "`max-files` needs"),
            (&[("eve.0.filename", "x"), ("eve.0.compression", "zstd")], "`compression` needs"),
            (&[("eve.0.filename", "x"), ("eve.0.level", "alert")], "need `filetype=syslog`"),
            (&[("eve.0.filetype", "syslog"), ("eve.0.disk-full", "drop")], "for files"),
            (&[("eve.0.filetype", "stdout"), ("eve.1.filetype", "stdout")], "cannot share"),
            (&[("pcap.0.filename", "a"), ("pcap.1.filename", "b")], "one alert pcap"),
        ] {
            let text = set(settings).unwrap().check().unwrap_err();
            assert!(text.contains(words), "{text}");
        }
        let off = set(&[("eve.0.types", "alert"), ("eve.0.enabled", "no")]).unwrap();
        assert_eq!((off.check(), off.has_alerts()), (Ok(()), false));
    }
}
