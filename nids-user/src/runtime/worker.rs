//! Workers: plain threads, each pinned to a processor, each draining its own rings into its own
//! pipeline until told to end. Nothing is shared between them on the way of a packet.
//!
//! The control thread speaks to a worker by [`Workers::ask`]: a closure that runs between two batches,
//! on the worker's own state. What a pipeline does with a frame is left to it.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::heartbeat::Pulse;
use crate::capture::Frame;
use crate::capture::ring::{RingCounters, Rings, Until, Waker};
use crate::cli::exit::{Code, Failure};

/// What a worker does with its frames. Made on the control thread, used on the worker's only.
pub trait Pipeline: Send + 'static {
    /// One frame, and the lowest bit of the generation of the tables that let it through.
    fn frame(&mut self, frame: &Frame<'_>, generation: u8);
    /// Called between batches, also when no frame comes: at least ten times a second.
    fn tick(&mut self) {}
    /// Called once, when no frame will come any more.
    fn end(&mut self) {}
}

/// All workers of a sensor.
pub struct Workers<P> {
    handles: Vec<Handle<P>>,
}

struct Handle<P> {
    jobs: Sender<Job<P>>,
    waker: Waker,
    pulse: Arc<Pulse>,
    processor: Option<usize>,
    thread: JoinHandle<(P, RingCounters)>,
}

type Question<P> = dyn FnOnce(&mut P, &mut Rings) + Send;

enum Job<P> {
    Run(Box<Question<P>>),
    Finish,
}

impl<P: Pipeline> Workers<P> {
    /// Starts one worker for each of `rings`, with the pipeline that `make` gives for its number.
    ///
    /// # Errors
    /// The system is out of threads or descriptors.
    pub fn start(rings: Vec<Rings>, mut make: impl FnMut(usize) -> P) -> io::Result<Self> {
        let processors = places(rings.len());
        let mut handles = Vec::with_capacity(rings.len());
        for (number, rings) in rings.into_iter().enumerate() {
            let waker = rings.waker()?;
            let (jobs, inbox) = unbounded();
            let pipeline = make(number);
            let pulse = Arc::new(Pulse::default());
            let shown = Arc::clone(&pulse);
            let processor = processors.get(number).copied().flatten();
            let thread =
                thread::Builder::new().name(format!("nids-worker-{number}")).spawn(move || {
                    pin(processor);
                    work(rings, pipeline, &inbox, &shown)
                })?;
            handles.push(Handle { jobs, waker, pulse, processor, thread });
        }
        Ok(Self { handles })
    }

    /// Number of workers.
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// Processors they are on, as [`places`] has them.
    pub fn processors(&self) -> Vec<Option<usize>> {
        self.handles.iter().map(|handle| handle.processor).collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// The pulse of each worker, which it shows between two batches.
    pub fn pulses(&self) -> Vec<Arc<Pulse>> {
        self.handles.iter().map(|handle| Arc::clone(&handle.pulse)).collect()
    }

    /// Runs `question` on every worker, between two batches, and gives the answers in order of workers.
    ///
    /// # Errors
    /// A worker has died.
    pub fn ask<R: Send + 'static>(
        &self,
        question: impl Fn(&mut P, &mut Rings) -> R + Send + Sync + 'static,
    ) -> Result<Vec<R>, Failure> {
        let question = Arc::new(question);
        let mut answers = Vec::with_capacity(self.handles.len());
        for handle in &self.handles {
            let question = Arc::clone(&question);
            let (reply, answer) = bounded(1);
            let job = Job::Run(Box::new(move |pipeline, rings| {
                // The asker is gone when another worker died: nobody waits for this answer then.
                let _ = reply.send(question(pipeline, rings));
            }));
            // A dead worker's channel is closed, and so is its answer.
            let _ = handle.jobs.send(job);
            handle.waker.wake();
            answers.push(answer);
        }
        answers.into_iter().map(|answer| answer.recv().map_err(|_| died())).collect()
    }

    /// Has every worker take all records made up to `time` (`CLOCK_MONOTONIC`, ns). Records that were
    /// made by then but do not stand in the ring yet are not seen: wait for the kernel's programs first.
    ///
    /// # Errors
    /// A worker has died.
    pub fn drain(&self, time: u64) -> Result<(), Failure> {
        let drain = move |pipeline: &mut P, rings: &mut Rings| {
            rings.drain(Until::Time(time), &mut |frame, generation| {
                pipeline.frame(frame, generation);
            });
        };
        self.ask(drain).map(drop)
    }

    /// Whether a worker has ended without being told to.
    pub fn any_dead(&self) -> bool {
        self.handles.iter().any(|handle| handle.thread.is_finished())
    }

    /// Drains the rings to their end and gives the pipelines back. The kernel's programs must have ended:
    /// as long as records come, so long this lasts.
    ///
    /// # Errors
    /// A worker has died.
    pub fn finish(self) -> Result<Vec<(P, RingCounters)>, Failure> {
        for handle in &self.handles {
            let _ = handle.jobs.send(Job::Finish);
            handle.waker.wake();
        }
        self.handles.into_iter().map(|handle| handle.thread.join().map_err(|_| died())).collect()
    }
}

fn died() -> Failure {
    Failure::new(Code::Software, "a worker has died; this is a bug in nids.")
}

fn work<P: Pipeline>(
    mut rings: Rings,
    mut pipeline: P,
    inbox: &Receiver<Job<P>>,
    pulse: &Pulse,
) -> (P, RingCounters) {
    loop {
        pulse.beat();
        let drained =
            rings.drain(Until::Batch, &mut |frame, generation| pipeline.frame(frame, generation));
        pipeline.tick();
        let mut called = false;
        while let Ok(job) = inbox.try_recv() {
            called = true;
            match job {
                Job::Run(job) => job(&mut pipeline, &mut rings),
                Job::Finish => {
                    let end = Until::Time(u64::MAX - 1);
                    rings.drain(end, &mut |frame, generation| pipeline.frame(frame, generation));
                    pipeline.end();
                    return (pipeline, rings.counters());
                }
            }
        }
        if !called {
            rings.rest(drained);
        }
    }
}

/// The processor of each of so many workers: those this process may run on, in turn. `None`: any, as it
/// cannot be found out.
pub fn places(workers: usize) -> Vec<Option<usize>> {
    let processors = allowed_processors();
    let turn = |number| processors.get(number % processors.len().max(1)).copied();
    (0..workers).map(turn).collect()
}

/// Processors this process may run on.
fn allowed_processors() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    (0..CpuSet::count()).filter(|processor| set.is_set(*processor).unwrap_or(false)).collect()
}

/// Keeps the calling thread on one processor. Without that it works too, only slower.
fn pin(processor: Option<usize>) {
    let Some(processor) = processor else { return };
    let mut set = CpuSet::new();
    let pinned = set.set(processor).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    if let Err(error) = pinned {
        log::warn!("cannot pin a worker to processor {processor}: {error}");
    }
}
