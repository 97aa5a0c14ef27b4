//! The queue and the thread behind it.
//!
//! The thread takes what waits in the queue, up to [`BATCH`] records, renders it for every sink, and
//! lets each sink write it with one write(2): a record is on disk as soon as the queue runs empty. The queue
//! is bounded by records, and by the bytes of packets that they carry.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select, unbounded};
use nix::sys::signal::{SigHandler, Signal, signal};

use super::archive::{Archive, Sweeper};
use super::console::colour_wanted;
use super::counters::{OutputCounters, SinkCounters, SinkTally};
use super::file::{Content, FileTarget};
use super::format::Format;
use super::record::Record;
use super::settings::{CaptureOptions, FileType, OutputConfig, OutputSettings, Server};
use super::sink::{Change, Sink};
use super::socket::Socket;
use super::target::Target;
use super::{EveTypes, Policy, SinkKind};
use crate::cli::exit::{Code, Failure};
use crate::cli::say;

/// Records rendered before they are written.
const BATCH: usize = 256;
/// Between two reports of a full queue.
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// How long the end waits for a reader that is too slow.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of packets and payloads that may wait in the queues.
const MAX_QUEUED: usize = 64 << 20;
/// Packets for the alert pcap that may wait, in a queue of their own: no alert is lost for them.
const PACKETS: usize = 16_384;

/// What outputs want of workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Types of records, as an output takes them.
    pub types: EveTypes,
    /// Bytes of the payload that alerts have, at most; 0: none.
    pub payload: usize,
    /// Alerts have their packet.
    pub packet: bool,
    /// Anomalies have the begin of their packet.
    pub packet_header: bool,
    /// Alerts and flows have what rules remember of the flow.
    pub vars: bool,
    /// Packets for the alert pcap.
    pub capture: Option<CaptureOptions>,
}

impl Wants {
    fn of(config: &OutputConfig) -> Self {
        let mut all = Self { types: EveTypes::NONE, ..Self::default() };
        for output in config.enabled() {
            match output.kind {
                SinkKind::Eve => {
                    let eve = &output.eve;
                    all.types = all.types.or(eve.types);
                    if eve.wants_payload() {
                        all.payload = all.payload.max(eve.payload_bytes);
                    }
                    all.packet |= eve.packet;
                    all.packet_header |= eve.packet_header;
                    all.vars |= eve.vars;
                }
                SinkKind::Pcap => all.capture = Some(output.capture),
                SinkKind::Console | SinkKind::Fast => {}
            }
        }
        all
    }
}

/// The workers' end of the queue. Clones send into the same queue.
#[derive(Clone, Debug)]
pub struct RecordSender {
    queue: Sender<Record>,
    packets: Sender<Record>,
    policy: Policy,
    wants: Wants,
    totals: Arc<Totals>,
}

impl RecordSender {
    /// Types of records besides alerts that are worth making, as an output takes them.
    #[inline]
    pub fn types(&self) -> EveTypes {
        self.wants.types
    }

    /// What outputs want.
    #[inline]
    pub fn wants(&self) -> &Wants {
        &self.wants
    }

    /// Hands one record to the writer. Under [`Policy::Count`] this never waits: a full queue loses the
    /// record, counted as overflow; where it holds too many bytes, a packet is lost, and an alert goes
    /// without its own. After [`Writer::finish`] every record is overflow.
    pub fn send(&self, record: impl Into<Record>) {
        let mut record = record.into();
        let mut bytes = record.bytes();
        if bytes > 0 && !self.has_room(bytes) {
            let Record::Alert(alert) = &mut record else {
                self.totals.other_overflow.fetch_add(1, Ordering::Relaxed);
                return;
            };
            self.totals.stripped.fetch_add(1, Ordering::Relaxed);
            (alert.evidence, bytes) = (None, 0);
        }
        let count = match &record {
            Record::Alert(_) => &self.totals.overflow,
            _ => &self.totals.other_overflow,
        };
        self.totals.queued.fetch_add(bytes, Ordering::Relaxed);
        let queue = match &record {
            Record::Captured(_) => &self.packets,
            _ => &self.queue,
        };
        let lost = match self.policy {
            Policy::Block => queue.send(record).is_err(),
            Policy::Count => match queue.try_send(record) {
                Ok(()) => false,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => true,
            },
        };
        if lost {
            self.totals.queued.fetch_sub(bytes, Ordering::Relaxed);
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether so many bytes may wait as well. What several workers add at one time is no matter.
    fn has_room(&self, bytes: usize) -> bool {
        loop {
            let queued = self.totals.queued.load(Ordering::Relaxed);
            if queued == 0 || queued + bytes <= MAX_QUEUED {
                return true;
            }
            if self.policy == Policy::Count || self.totals.ended.load(Ordering::Relaxed) {
                return false;
            }
            thread::sleep(Duration::from_micros(100));
        }
    }
}

/// The handle of the writer thread. Dropping it writes what waits, as [`Writer::finish`] does.
#[derive(Debug)]
pub struct Writer {
    control: Sender<Control>,
    thread: Option<JoinHandle<()>>,
    totals: Arc<Totals>,
    outputs: Vec<Output>,
    archive: Option<Archive>,
    policy: Policy,
}

#[derive(Debug)]
struct Output {
    settings: OutputSettings,
    tally: Arc<SinkTally>,
}

#[derive(Debug, Default)]
struct Totals {
    /// Bytes of packets and payloads in the queue.
    queued: AtomicUsize,
    /// Nobody takes records any more.
    ended: AtomicBool,
    stripped: AtomicU64,
    overflow: AtomicU64,
    taken: AtomicU64,
    other_overflow: AtomicU64,
    other_taken: AtomicU64,
}

#[derive(Debug)]
enum Control {
    Reopen,
    Finish,
}

/// Opens the outputs and starts the writer: [`open`] and [`Opened::start`] in one.
///
/// # Errors
/// Those of the two.
pub fn start(config: OutputConfig, policy: Policy) -> Result<(RecordSender, Writer), Failure> {
    open(config, policy)?.start()
}

/// Outputs that are open, and nobody writes to yet.
#[derive(Debug)]
pub struct Opened {
    policy: Policy,
    wants: Wants,
    queue: usize,
    outputs: Vec<Output>,
    sinks: Vec<Sink>,
    archive: Option<Archive>,
}

/// Opens the outputs. SIGPIPE and SIGXFSZ are ignored from here on: a reader that went and a file at its
/// limit are errors of one sink, not the end of the process.
///
/// # Errors
/// [`Code::Config`] where settings do not go together, [`Code::CannotCreate`] where an output cannot be
/// opened, or two name the same file.
pub fn open(config: OutputConfig, policy: Policy) -> Result<Opened, Failure> {
    config.check().map_err(|text| Failure::new(Code::Config, text))?;
    for ignored in [Signal::SIGPIPE, Signal::SIGXFSZ] {
        // SAFETY: no handler is installed, so none can do harm.
        let _ = unsafe { signal(ignored, SigHandler::SigIgn) };
    }
    let now = Instant::now();
    let colour = colour_wanted();
    let console = OutputSettings {
        file_type: FileType::Stdout,
        ..OutputSettings::new(SinkKind::Console, "0")
    };
    let rotates = config.enabled().any(|output| output.rotation.is_on());
    let (sweeper, archive) = rotates.then(Archive::new).unzip();
    let mut outputs: Vec<Output> = Vec::new();
    let mut sinks: Vec<Sink> = Vec::new();
    for settings in config.console.then_some(&console).into_iter().chain(config.enabled()) {
        let tally = Arc::new(SinkTally::default());
        let output = Output { settings: settings.clone(), tally: Arc::clone(&tally) };
        let format = Format::new(settings, config.community_id, colour);
        let sink = target(settings, policy, sweeper.as_ref())
            .and_then(|target| Sink::open(settings, format, target, tally, now));
        let sink = sink.map_err(|error| {
            Failure::new(Code::CannotCreate, format!("{output} cannot be opened: {error}."))
        })?;
        if let Some(twin) = sinks.iter().position(|other| other.is_same_file(&sink)) {
            let twin = &outputs[twin];
            let text = format!("{twin} and {output} are the same file; each needs one of its own.");
            return Err(Failure::new(Code::CannotCreate, text));
        }
        if sink.is_failing() {
            say(format_args!("{output}: nobody reads it yet; what is for it waits for a reader"));
        }
        sinks.push(sink);
        outputs.push(output);
    }
    let wants = Wants::of(&config);
    Ok(Opened { policy, wants, queue: config.queue, outputs, sinks, archive })
}

fn target(
    settings: &OutputSettings,
    policy: Policy,
    sweeper: Option<&Sweeper>,
) -> std::io::Result<Target> {
    Ok(match settings.file_type {
        FileType::Stdout => Target::Stdout(std::io::stdout(), policy),
        FileType::Regular => {
            let content = match settings.kind {
                SinkKind::Eve => Content::Eve,
                SinkKind::Pcap => Content::Blocks,
                SinkKind::Console | SinkKind::Fast => Content::Text,
            };
            let path = settings.filename.clone().unwrap_or_default();
            let sweeper = sweeper.cloned();
            let file = FileTarget::new(path, policy, content, settings.rotation, sweeper);
            Target::File(Box::new(file))
        }
        FileType::UnixStream | FileType::UnixDatagram | FileType::Syslog => {
            Target::Socket(Socket::new(settings, policy)?)
        }
    })
}

impl Opened {
    /// Gives the logs that were made just now to this user and group, who will open them anew.
    ///
    /// # Errors
    /// [`Code::CannotCreate`] where the process may not.
    pub fn give_to(&self, user: u32, group: u32) -> Result<(), Failure> {
        for (sink, output) in self.sinks.iter().zip(&self.outputs) {
            sink.give_to(user, group).map_err(|error| {
                let text = format!("{output} cannot be given to the user {user}: {error}.");
                Failure::new(Code::CannotCreate, text)
            })?;
        }
        Ok(())
    }

    /// The files, FIFOs and devices among the outputs, and the files that symbolic links lead to: these are
    /// put away where they are.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let files = self.outputs.iter().map(|output| &output.settings);
        let named = files.filter(|one| one.file_type == FileType::Regular);
        let named = named.filter_map(|one| one.filename.as_deref());
        named.chain(self.sinks.iter().filter_map(Sink::real_path))
    }

    /// Whether an output sends over the network.
    pub fn uses_network(&self) -> bool {
        self.outputs.iter().any(|output| {
            let OutputSettings { file_type, syslog, .. } = &output.settings;
            *file_type == FileType::Syslog && !matches!(syslog.server, Server::Unix(_))
        })
    }

    /// Starts the threads that write, and that look after old files.
    ///
    /// # Errors
    /// The system is out of threads.
    pub fn start(self) -> Result<(RecordSender, Writer), Failure> {
        let Self { policy, wants, queue, outputs, sinks, mut archive } = self;
        let no_thread =
            |error| Failure::new(Code::Software, format!("cannot start a thread: {error}."));
        if let Some(archive) = &mut archive {
            archive.start().map_err(no_thread)?;
        }
        let totals = Arc::new(Totals::default());
        let (queue, records) = bounded(queue.max(1));
        let (packet_queue, packets) = bounded(if wants.capture.is_some() { PACKETS } else { 1 });
        let (control, commands) = unbounded();
        let names = outputs.iter().map(Output::to_string).collect();
        let mut work = Work {
            records,
            packets,
            commands,
            // The thread's own ends keep the queues connected while all workers are gone.
            _queues: [queue.clone(), packet_queue.clone()],
            sinks,
            names,
            totals: Arc::clone(&totals),
            reported: (0, None),
        };
        let thread = thread::Builder::new()
            .name("nids-output".into())
            .spawn(move || work.run())
            .map_err(no_thread)?;
        let packets = packet_queue;
        let sender = RecordSender { queue, packets, policy, wants, totals: Arc::clone(&totals) };
        Ok((sender, Writer { control, thread: Some(thread), totals, outputs, archive, policy }))
    }
}

impl Writer {
    /// Opens every file anew, after the old ones were moved away. What was sent before is written to
    /// the old files as far as the writer has taken it from the queue. Does not wait.
    pub fn reopen(&self) {
        let _ = self.control.send(Control::Reopen);
    }

    /// The counters as they stand.
    pub fn counters(&self) -> OutputCounters {
        OutputCounters {
            overflow: self.totals.overflow.load(Ordering::Relaxed),
            taken: self.totals.taken.load(Ordering::Relaxed),
            other_overflow: self.totals.other_overflow.load(Ordering::Relaxed),
            other_taken: self.totals.other_taken.load(Ordering::Relaxed),
            stripped: self.totals.stripped.load(Ordering::Relaxed),
            sinks: self
                .outputs
                .iter()
                .map(|output| SinkCounters {
                    kind: output.settings.kind,
                    label: output.settings.label(),
                    path: output.settings.place(),
                    written: output.tally.written(),
                    lost: output.tally.by_reason(),
                })
                .collect(),
        }
    }

    /// Writes what is in the queue, tries each failing output once more, and ends the thread. Call it
    /// when the workers have stopped: what they send later is overflow.
    pub fn finish(mut self) -> OutputCounters {
        self.stop();
        self.counters()
    }

    fn stop(&mut self) {
        let _ = self.control.send(Control::Finish);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // The senders for sweeps went with the thread.
        if let Some(archive) = self.archive.take() {
            archive.finish(self.policy == Policy::Block);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the thread owns.
struct Work {
    records: Receiver<Record>,
    packets: Receiver<Record>,
    commands: Receiver<Control>,
    _queues: [Sender<Record>; 2],
    sinks: Vec<Sink>,
    names: Vec<String>,
    totals: Arc<Totals>,
    /// Overflow that was reported, and when.
    reported: (u64, Option<Instant>),
}

impl Work {
    fn run(&mut self) {
        let (records, packets) = (self.records.clone(), self.packets.clone());
        let commands = self.commands.clone();
        loop {
            let pause = self.pause();
            select! {
                recv(records) -> record => if let Ok(record) = record {
                    self.take(&record);
                    self.drain();
                },
                recv(packets) -> packet => if let Ok(packet) = packet {
                    self.take(&packet);
                    self.drain();
                },
                recv(commands) -> command => match command {
                    Ok(Control::Reopen) => {
                        self.drain();
                        self.each(|sink| sink.reopen(Instant::now()));
                    }
                    Ok(Control::Finish) | Err(_) => return self.finish(),
                },
                default(pause) => {}
            }
            self.each(|sink| sink.flush(Instant::now()));
            self.report_overflow();
        }
    }

    /// One record to every sink.
    fn take(&mut self, record: &Record) {
        let count = match record {
            Record::Alert(_) => &self.totals.taken,
            _ => &self.totals.other_taken,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.totals.queued.fetch_sub(record.bytes(), Ordering::Relaxed);
        self.each(|sink| sink.push(record));
    }

    /// What waits in the queues, but no more than one batch.
    fn drain(&mut self) {
        for _ in 0..BATCH {
            match self.records.try_recv().or_else(|_| self.packets.try_recv()) {
                Ok(record) => self.take(&record),
                Err(_) => return,
            }
        }
    }

    fn finish(&mut self) {
        while !(self.records.is_empty() && self.packets.is_empty()) {
            self.drain();
            self.each(|sink| sink.flush(Instant::now()));
        }
        let give_up = Instant::now() + PATIENCE;
        while self.sinks.iter().any(Sink::is_stalled) && Instant::now() < give_up {
            thread::sleep(Duration::from_millis(10));
            self.each(|sink| sink.flush(Instant::now()));
        }
        self.each(|sink| sink.finish(Instant::now()));
        self.totals.ended.store(true, Ordering::Relaxed);
        self.reported.1 = None;
        self.report_overflow();
    }

    /// How long to sleep when nothing comes.
    fn pause(&mut self) -> Duration {
        let now = Instant::now();
        let next = self.sinks.iter_mut().filter_map(|sink| sink.wake_at(now)).min();
        next.map_or(REPORT_EVERY, |at| at.saturating_duration_since(now))
    }

    fn each(&mut self, mut step: impl FnMut(&mut Sink) -> Option<Change>) {
        for (sink, name) in self.sinks.iter_mut().zip(&self.names) {
            match step(sink) {
                None => {}
                Some(Change::Failed(error)) => {
                    say(format_args!("{name} cannot be written: {error}; trying again"))
                }
                Some(Change::Closed) => {
                    say(format_args!("{name} is closed; nothing is shown there any more"));
                }
                Some(Change::TooSlow) => {
                    say(format_args!("{name} is read too slowly; records are lost there"));
                }
                Some(Change::NotRotated(error)) => {
                    say(format_args!("{name} cannot be put away and grows on: {error}"));
                }
                Some(Change::Recovered(lost)) => {
                    say(format_args!("{name} works again; {lost} records were lost there"));
                }
            }
        }
    }

    fn report_overflow(&mut self) {
        let overflow = self.totals.overflow.load(Ordering::Relaxed)
            + self.totals.other_overflow.load(Ordering::Relaxed);
        let (known, last) = self.reported;
        if overflow != known && last.is_none_or(|last| last.elapsed() >= REPORT_EVERY) {
            let more = overflow - known;
            say(format_args!("the output queue was full: {more} records lost ({overflow} in all)"));
            self.reported = (overflow, Some(Instant::now()));
        }
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let label = self.settings.label();
        match self.settings.place() {
            Some(place) => write!(f, "{label} output {}", place.display()),
            None => write!(f, "{label} output"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Direction, LinkType, Timestamp};
    use crate::output::CapturedPacket;

    fn packet(bytes: usize) -> Record {
        Record::Captured(CapturedPacket {
            time: Timestamp(0),
            interface: None,
            direction: Direction::Ingress,
            link: LinkType::Ethernet,
            wire_len: 0,
            bytes: vec![0; bytes].into(),
            alerts: Vec::new(),
        })
    }

    /// A sender without writer.
    fn sender(packets: usize) -> (RecordSender, Receiver<Record>, Receiver<Record>) {
        let ((queue, records), (packets, captured)) = (bounded(10), bounded(packets));
        let (policy, wants) = (Policy::Count, Wants::default());
        let sender = RecordSender { queue, packets, policy, wants, totals: Arc::default() };
        (sender, records, captured)
    }

    /// Packets are bounded by their bytes and by their number, and take no place from other records.
    #[test]
    fn packets_that_are_too_many() {
        let (sender, records, captured) = sender(5);
        sender.send(packet(MAX_QUEUED - 10));
        sender.send(packet(11));
        sender.send(packet(10));
        assert_eq!(captured.len(), 2);
        assert_eq!(sender.totals.queued.load(Ordering::Relaxed), MAX_QUEUED);
        (0..9).for_each(|_| sender.send(packet(0)));
        assert_eq!(captured.len(), 5);
        assert_eq!(sender.totals.other_overflow.load(Ordering::Relaxed), 1 + 6);
        assert!(records.is_empty());
    }

    /// One alone may be of any size, or it never could go.
    #[test]
    fn a_packet_that_is_larger_than_all() {
        let (sender, _records, captured) = sender(5);
        sender.send(packet(MAX_QUEUED + 1));
        assert_eq!(captured.len(), 1);
    }
}
