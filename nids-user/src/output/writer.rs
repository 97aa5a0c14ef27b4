//! The queue and the thread behind it.
//!
//! The thread takes what waits in the queue, up to [`BATCH`] records, renders it for every sink, and
//! lets each sink write it with one write(2): a record is on disk as soon as the queue runs empty.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select, unbounded};
use nix::sys::signal::{SigHandler, Signal, signal};

use super::console::colour_wanted;
use super::counters::{OutputCounters, SinkCounters, SinkTally};
use super::record::Record;
use super::sink::{Change, Sink};
use super::{EveTypes, OutputConfig, Policy, SinkKind};
use crate::cli::exit::{Code, Failure};
use crate::cli::say;

/// Records rendered before they are written.
const BATCH: usize = 256;
/// Between two reports of a full queue.
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// How long the end waits for a reader that is too slow.
const PATIENCE: Duration = Duration::from_secs(1);

/// The workers' end of the queue. Clones send into the same queue.
#[derive(Clone, Debug)]
pub struct RecordSender {
    queue: Sender<Record>,
    policy: Policy,
    types: EveTypes,
    totals: Arc<Totals>,
}

impl RecordSender {
    /// Types of records besides alerts that are worth making, as an output takes them.
    #[inline]
    pub fn types(&self) -> EveTypes {
        self.types
    }

    /// Hands one record to the writer. Under [`Policy::Count`] this never waits: a full queue loses the
    /// record, counted as overflow. After [`Writer::finish`] every record is overflow.
    pub fn send(&self, record: impl Into<Record>) {
        let record = record.into();
        let count = match &record {
            Record::Alert(_) => &self.totals.overflow,
            _ => &self.totals.other_overflow,
        };
        let lost = match self.policy {
            Policy::Block => self.queue.send(record).is_err(),
            Policy::Count => match self.queue.try_send(record) {
                Ok(()) => false,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => true,
            },
        };
        if lost {
            count.fetch_add(1, Ordering::Relaxed);
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
}

#[derive(Debug)]
struct Output {
    kind: SinkKind,
    path: Option<PathBuf>,
    tally: Arc<SinkTally>,
}

#[derive(Debug, Default)]
struct Totals {
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
    types: EveTypes,
    queue: usize,
    outputs: Vec<Output>,
    sinks: Vec<Sink>,
}

/// Opens the outputs. SIGPIPE and SIGXFSZ are ignored from here on: a reader that went and a file at its
/// limit are errors of one sink, not the end of the process.
///
/// # Errors
/// [`Code::CannotCreate`] where an output cannot be opened, or two name the same file.
pub fn open(config: OutputConfig, policy: Policy) -> Result<Opened, Failure> {
    for ignored in [Signal::SIGPIPE, Signal::SIGXFSZ] {
        // SAFETY: no handler is installed, so none can do harm.
        let _ = unsafe { signal(ignored, SigHandler::SigIgn) };
    }
    let colour = colour_wanted();
    let now = Instant::now();
    let wanted = [
        config.console.then_some(SinkKind::Console),
        config.fast.as_ref().map(|_| SinkKind::Fast),
        config.eve.as_ref().map(|_| SinkKind::Eve),
    ];
    let types = if config.eve.is_some() { config.eve_types } else { EveTypes::NONE };
    let mut outputs: Vec<Output> = Vec::new();
    let mut sinks: Vec<Sink> = Vec::new();
    for kind in wanted.into_iter().flatten() {
        let tally = Arc::new(SinkTally::default());
        let output = Output { kind, path: config.path(kind).cloned(), tally: Arc::clone(&tally) };
        let sink = Sink::open(kind, &config, colour, policy, tally, now).map_err(|error| {
            Failure::new(Code::CannotCreate, format!("{output} cannot be opened: {error}."))
        })?;
        if let Some(twin) = sinks.iter().position(|other| other.is_same_file(&sink)) {
            let twin = &outputs[twin];
            let text = format!("{twin} and {output} are the same file; each needs one of its own.");
            return Err(Failure::new(Code::CannotCreate, text));
        }
        if sink.wake_at(now).is_some() {
            say(format_args!("{output}: nobody reads it yet; what is for it waits for a reader"));
        }
        sinks.push(sink);
        outputs.push(output);
    }
    Ok(Opened { policy, types, queue: config.queue, outputs, sinks })
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

    /// The files, FIFOs and devices among the outputs.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.outputs.iter().filter_map(|output| output.path.as_deref())
    }

    /// Starts the thread that writes.
    ///
    /// # Errors
    /// The system is out of threads.
    pub fn start(self) -> Result<(RecordSender, Writer), Failure> {
        let Self { policy, types, queue, outputs, sinks } = self;
        let totals = Arc::new(Totals::default());
        let (queue, records) = bounded(queue.max(1));
        let (control, commands) = unbounded();
        let names = outputs.iter().map(Output::to_string).collect();
        let mut work = Work {
            records,
            commands,
            // The thread's own end keeps the queue connected while all workers are gone.
            _queue: queue.clone(),
            sinks,
            names,
            totals: Arc::clone(&totals),
            reported: (0, None),
        };
        let thread =
            thread::Builder::new().name("nids-output".into()).spawn(move || work.run()).map_err(
                |error| Failure::new(Code::Software, format!("cannot start a thread: {error}.")),
            )?;
        let sender = RecordSender { queue, policy, types, totals: Arc::clone(&totals) };
        Ok((sender, Writer { control, thread: Some(thread), totals, outputs }))
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
            sinks: self
                .outputs
                .iter()
                .map(|output| SinkCounters {
                    kind: output.kind,
                    path: output.path.clone(),
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
    commands: Receiver<Control>,
    _queue: Sender<Record>,
    sinks: Vec<Sink>,
    names: Vec<String>,
    totals: Arc<Totals>,
    /// Overflow that was reported, and when.
    reported: (u64, Option<Instant>),
}

impl Work {
    fn run(&mut self) {
        let (records, commands) = (self.records.clone(), self.commands.clone());
        loop {
            select! {
                recv(records) -> record => if let Ok(record) = record {
                    self.take(&record);
                    self.drain();
                },
                recv(commands) -> command => match command {
                    Ok(Control::Reopen) => {
                        self.drain();
                        self.each(|sink| sink.reopen(Instant::now()));
                    }
                    Ok(Control::Finish) | Err(_) => return self.finish(),
                },
                default(self.pause()) => {}
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
        self.each(|sink| sink.push(record));
    }

    /// What waits in the queue, but no more than one batch.
    fn drain(&mut self) {
        for _ in 0..BATCH {
            match self.records.try_recv() {
                Ok(record) => self.take(&record),
                Err(_) => return,
            }
        }
    }

    fn finish(&mut self) {
        while !self.records.is_empty() {
            self.drain();
            self.each(|sink| sink.flush(Instant::now()));
        }
        let give_up = Instant::now() + PATIENCE;
        while self.sinks.iter().any(Sink::is_stalled) && Instant::now() < give_up {
            thread::sleep(Duration::from_millis(10));
            self.each(|sink| sink.flush(Instant::now()));
        }
        self.each(|sink| sink.finish(Instant::now()));
        self.reported.1 = None;
        self.report_overflow();
    }

    /// How long to sleep when nothing comes.
    fn pause(&self) -> Duration {
        let now = Instant::now();
        let next = self.sinks.iter().filter_map(|sink| sink.wake_at(now)).min();
        next.map_or(REPORT_EVERY, |at| at.saturating_duration_since(now))
    }

    fn each(&mut self, mut step: impl FnMut(&mut Sink) -> Option<Change>) {
        for (sink, name) in self.sinks.iter_mut().zip(&self.names) {
            match step(sink) {
                None => {}
                Some(Change::Failed(error)) => say(format_args!(
                    "{name} cannot be written: {error}; trying again, lines wait as long as they fit"
                )),
                Some(Change::Closed) => {
                    say(format_args!("{name} is closed; nothing is shown there any more"));
                }
                Some(Change::TooSlow) => {
                    say(format_args!("{name} is read too slowly; lines are lost there"));
                }
                Some(Change::Recovered(lost)) => {
                    say(format_args!("{name} works again; {lost} lines were lost there"));
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
        match &self.path {
            Some(path) => write!(f, "{} output {}", self.kind, path.display()),
            None => write!(f, "{} output", self.kind),
        }
    }
}
