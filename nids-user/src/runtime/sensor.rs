//! A running sensor: the capture, its workers, the outputs; how rules are swapped and how it ends.
//!
//! **Swapping rules** loses no frame and judges none by two rulesets. Each generation of rules has a
//! filter table in the kernel and a slot in each worker, picked by its lowest bit; a record carries the
//! bit of the table that let it through, and the worker inspects it with the slot of that bit.
//!
//! 1. The new rules go into the idle slot of every worker, and each confirms it.
//! 2. The new table goes into the idle place in the kernel.
//! 3. The generation is flipped: from then on every frame is judged by the new table.
//! 4. The runs that began before end ([`Capture::grace`]), and every worker drains past that moment.
//!
//! After 4 nothing of the old generation is under way, so its slot and its table are idle: the rules in it
//! are let go of, and step 1 and 2 of the next swap overwrite nothing that is in use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aya_log::EbpfLogger;
use nids_abi::FilterTable;

use super::heartbeat::Heartbeat;
use super::worker::{Pipeline, Workers};
use crate::capture::interface;
use crate::capture::ring::{RingCounters, Rings, monotonic_ns};
use crate::capture::xdp::Capture;
use crate::cli::exit::{Code, Failure};
use crate::output::{EveType, OutputCounters, RecordSender, Statistics, Writer};
use crate::rule::report::Report;
use crate::telemetry::balance::{AgentBooks, Balance, PortBooks};
use crate::telemetry::stats::{RuleStats, Stats};

/// A pipeline that inspects frames with rules.
pub trait Inspection: Pipeline {
    /// A compiled ruleset.
    type Rules: Send + Sync + 'static;
    /// Puts the rules into the slot of this generation, which its lowest bit names.
    fn install(&mut self, generation: u32, rules: Arc<Self::Rules>);
    /// Takes out the rules of this generation, of which no frame comes any more. They are let go of
    /// elsewhere: that takes long for many rules, and frames would wait.
    fn retire(&mut self, generation: u32) -> Option<Arc<Self::Rules>> {
        let _ = generation;
        None
    }
    /// What became of the frames so far; `received` is counted elsewhere.
    fn books(&self) -> AgentBooks;
}

/// Rules ready to be put in force.
#[derive(Debug)]
pub struct Generation<R> {
    /// For the workers.
    pub rules: Arc<R>,
    /// For the kernel.
    pub filter: Box<FilterTable>,
    /// What they are, for the messages: `1234 rules`.
    pub summary: String,
    /// Their counts, and which were refused.
    pub report: Arc<Report>,
}

/// A running sensor.
pub struct Sensor<P: Inspection> {
    capture: Capture,
    workers: Workers<P>,
    /// Ended last: as long as workers drain, they beat.
    heartbeat: Option<Heartbeat>,
    outputs: Writer,
    /// Indexes of interfaces that went away.
    gone: Vec<u32>,
    start: Instant,
    /// What came of the rules in force.
    report: Arc<Report>,
    failed_reloads: u64,
    /// Where records with statistics go.
    statistics: Option<RecordSender>,
}

impl<P: Inspection> Sensor<P> {
    /// Starts the workers and puts the rules in force. Frames are handed over from the moment this
    /// returns.
    ///
    /// # Errors
    /// The system is out of something.
    pub fn start(
        mut capture: Capture,
        rings: Vec<Rings>,
        outputs: Writer,
        generation: &Generation<P::Rules>,
        mut make: impl FnMut(usize) -> P,
    ) -> Result<Self, Failure> {
        capture.set_filter(capture.generation(), &generation.filter)?;
        let workers = Workers::start(rings, |number| {
            let mut pipeline = make(number);
            pipeline.install(capture.generation(), Arc::clone(&generation.rules));
            pipeline
        });
        let failed =
            |error| Failure::new(Code::Software, format!("cannot start the workers: {error}."));
        let workers = workers.map_err(failed)?;
        let beat = capture.take_beat().map(|beat| Heartbeat::start(beat, workers.pulses()));
        let heartbeat = beat.transpose().map_err(failed)?;
        capture.start()?;
        Ok(Self {
            capture,
            workers,
            heartbeat,
            outputs,
            gone: Vec::new(),
            start: Instant::now(),
            report: Arc::clone(&generation.report),
            failed_reloads: 0,
            statistics: None,
        })
    }

    /// Has records with statistics sent there, where an output takes them.
    pub fn log_stats(&mut self, records: &RecordSender) {
        if records.types().has(EveType::Stats) {
            self.statistics = Some(records.clone());
        }
    }

    /// Whether somebody wants records with statistics.
    pub fn logs_stats(&self) -> bool {
        self.statistics.is_some()
    }

    /// Processor of each worker; `None` where it may run on any.
    pub fn processors(&self) -> Vec<Option<usize>> {
        self.workers.processors()
    }

    /// What came of the rules in force.
    pub fn report(&self) -> &Arc<Report> {
        &self.report
    }

    /// Time since the start.
    pub fn uptime(&self) -> Duration {
        self.start.elapsed()
    }

    /// Whether the interface with this index is still there.
    pub fn is_present(&self, index: u32) -> bool {
        !self.gone.contains(&index)
    }

    /// Notes that a reload has failed.
    pub fn reload_failed(&mut self) {
        self.failed_reloads += 1;
    }

    /// Numbers of the rules in force.
    pub fn rules(&self) -> RuleStats {
        RuleStats {
            generation: self.capture.generation(),
            failed_reloads: self.failed_reloads,
            ..RuleStats::of(&self.report.summary)
        }
    }

    /// What is captured.
    pub fn capture(&self) -> &Capture {
        &self.capture
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// The log of the kernel's programs, once.
    pub fn take_logger(&mut self) -> Option<EbpfLogger<&'static dyn log::Log>> {
        self.capture.take_logger()
    }

    /// Puts other rules in force. When this returns, everything seen earlier was inspected by the old
    /// rules, and everything seen later will be by the new. Gives the old rules back.
    ///
    /// # Errors
    /// The kernel refuses an update, or a worker has died.
    pub fn replace(
        &mut self,
        generation: &Generation<P::Rules>,
    ) -> Result<Vec<Arc<P::Rules>>, Failure> {
        let before = self.capture.generation();
        let next = before.wrapping_add(1);
        let rules = Arc::clone(&generation.rules);
        self.workers.ask(move |pipeline, _| pipeline.install(next, Arc::clone(&rules)))?;
        self.capture.set_filter(next, &generation.filter)?;
        self.capture.set_generation(next)?;
        self.capture.grace()?;
        self.workers.drain(monotonic_ns())?;
        self.report = Arc::clone(&generation.report);
        let retired = self.workers.ask(move |pipeline, _| pipeline.retire(before))?;
        Ok(retired.into_iter().flatten().collect())
    }

    /// Has the outputs open their files anew.
    pub fn reopen_outputs(&self) {
        self.outputs.reopen();
    }

    /// The books as they stand now.
    ///
    /// # Errors
    /// The kernel refuses a look-up, or a worker has died.
    pub fn balance(&self) -> Result<Balance, Failure> {
        Ok(self.snapshot()?.balance)
    }

    /// All numbers as they stand now, with the books they are from.
    ///
    /// # Errors
    /// The kernel refuses a look-up, or a worker has died.
    pub fn stats(&self) -> Result<(Stats, Balance), Failure> {
        let Books { balance, workers } = self.snapshot()?;
        Ok((self.numbers(&balance, &workers), balance))
    }

    fn numbers(&self, balance: &Balance, workers: &[AgentBooks]) -> Stats {
        Stats::new(self.uptime().as_secs(), balance, workers, self.rules())
    }

    /// Sends a record with statistics, where somebody wants it.
    ///
    /// # Errors
    /// The kernel refuses a look-up, or a worker has died.
    pub fn record_stats(&self) -> Result<(), Failure> {
        if let Some(records) = &self.statistics {
            records.send(Statistics::now(self.stats()?.0));
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<Books, Failure> {
        let workers = self.workers.ask(|pipeline, rings| books(pipeline, rings.counters()))?;
        let balance = balance(&self.capture, &workers, self.outputs.counters(), true)?;
        Ok(Books { balance, workers })
    }

    /// Looks after what can go wrong behind the sensor's back.
    ///
    /// # Errors
    /// A worker has died, or the last interface is gone.
    pub fn check(&mut self) -> Result<(), Failure> {
        if self.workers.any_dead() {
            return Err(Failure::new(Code::Software, "a worker has died; this is a bug in nids."));
        }
        let present = interface::list()?;
        for port in self.capture.ports() {
            let is_there = present.iter().any(|interface| interface.index == port.index);
            if !is_there && !self.gone.contains(&port.index) {
                log::warn!("the interface {} is gone", port.interface);
                self.gone.push(port.index);
            }
        }
        if self.capture.ports().iter().all(|port| self.gone.contains(&port.index)) {
            let text = "there is no interface left to listen on.";
            return Err(Failure::new(Code::Unavailable, text));
        }
        Ok(())
    }

    /// Stops in order: programs, rings, workers, outputs. The balance is at rest.
    ///
    /// # Errors
    /// The kernel refuses an update, or a worker has died.
    pub fn finish(mut self) -> Result<Balance, Failure> {
        self.capture.stop()?;
        let (uptime, rules) = (self.uptime().as_secs(), self.rules());
        let ended = self.workers.finish()?;
        let workers: Vec<_> =
            ended.iter().map(|(pipeline, rings)| books(pipeline, *rings)).collect();
        drop((ended, self.heartbeat.take()));
        if let Some(records) = self.statistics.take() {
            let balance = balance(&self.capture, &workers, self.outputs.counters(), false)?;
            records.send(Statistics::now(Stats::new(uptime, &balance, &workers, rules)));
        }
        let outputs = self.outputs.finish();
        balance(&self.capture, &workers, outputs, false)
    }
}

/// The books of all workers together and of each.
struct Books {
    balance: Balance,
    workers: Vec<AgentBooks>,
}

/// The books of one worker: what its rings gave, and what its pipeline made of it.
fn books<P: Inspection>(pipeline: &P, rings: RingCounters) -> AgentBooks {
    let mut books = pipeline.books();
    books.received = rings.received;
    books.skipped.push(("malformed-record", rings.malformed));
    books
}

fn balance(
    capture: &Capture,
    workers: &[AgentBooks],
    outputs: OutputCounters,
    running: bool,
) -> Result<Balance, Failure> {
    let mut agent = AgentBooks::default();
    for books in workers {
        agent.add(books);
    }
    let mut ports = Vec::with_capacity(capture.ports().len());
    for (number, port) in capture.ports().iter().enumerate() {
        let now = interface::find(&port.interface).ok().filter(|now| now.index == port.index);
        ports.push(PortBooks {
            port: port.clone(),
            counters: capture.counters(number)?,
            interface: now.map(|now| now.counters.since(port.before)),
        });
    }
    Ok(Balance { ports, agent, outputs, running })
}
