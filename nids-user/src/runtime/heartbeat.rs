//! The heartbeat: tells the kernel's programs that frames they hand over are looked at.
//!
//! A program that hears nothing for too long lets everything by and hands nothing over, until it hears
//! again: a sensor that stands still (stopped, starved, or caught in a bug) then costs the machine nothing.
//! What is let by so has its own counter (`agent-silent`).
//!
//! The beat is not "now" but the last moment at which the slowest worker was seen at work. So one worker that
//! hangs is as silent as a process that was stopped. This runs on a thread of its own and asks nothing of
//! the control thread: a reload that takes long must not look like the sensor's end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{io, mem};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::capture::ring::monotonic_ns;
use crate::capture::xdp::Beat;

/// Between two beats. A worker without frames shows itself as often ([`crate::capture::ring`]).
const EVERY: Duration = Duration::from_millis(100);

/// What a worker does now and then to show that it works. On a cache line of its own: nobody shares it but
/// the heartbeat, ten times a second.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Pulse(AtomicU64);

impl Pulse {
    /// Shows it. Only the worker itself may.
    #[inline]
    pub fn beat(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

/// The running heartbeat. Dropping it ends it, and with it the hand-over of frames.
#[derive(Debug)]
pub struct Heartbeat {
    /// Closed to end the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    /// Beats for these workers from now on; the first beat is made when this returns.
    ///
    /// # Errors
    /// The system is out of threads.
    pub fn start(beat: Beat, workers: Vec<Arc<Pulse>>) -> io::Result<Self> {
        let (stop, stopped) = bounded::<()>(0);
        let mut watch = Watch::new(workers.len(), beat.silence(), monotonic_ns());
        beat.set(watch.slowest());
        let run = move || {
            let mut pulses = vec![0; workers.len()];
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                for (pulse, worker) in pulses.iter_mut().zip(&workers) {
                    *pulse = worker.0.load(Ordering::Relaxed);
                }
                for event in watch.look(&pulses, monotonic_ns()) {
                    event.tell();
                }
                beat.set(watch.slowest());
            }
        };
        let thread = thread::Builder::new().name("nids-heartbeat".into()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What shows from the pulses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// Nothing of the process ran for that long.
    StoodStill(Duration),
    /// This worker does not show itself.
    Hangs(usize),
    /// It does again.
    Works(usize, Duration),
}

impl Event {
    fn tell(self) {
        match self {
            Self::StoodStill(time) => log::warn!(
                "this process stood still for {time:.1?}: what came after the heartbeat had run out went by uninspected (agent-silent)"
            ),
            Self::Hangs(worker) => log::error!(
                "worker {worker} makes no progress: until it does, everything goes by uninspected (agent-silent)"
            ),
            Self::Works(worker, time) => {
                log::warn!("worker {worker} works again, after {time:.1?}");
            }
        }
    }
}

/// When each worker was last seen at work.
#[derive(Debug)]
struct Watch {
    workers: Vec<Seen>,
    silence: u64,
    looked: u64,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    pulse: u64,
    at: u64,
    hangs: bool,
}

impl Watch {
    fn new(workers: usize, silence: Duration, now: u64) -> Self {
        let silence = u64::try_from(silence.as_nanos()).unwrap_or(u64::MAX);
        Self {
            workers: vec![Seen { pulse: 0, at: now, hangs: false }; workers],
            silence,
            looked: now,
        }
    }

    /// Takes the pulses as they are now.
    fn look(&mut self, pulses: &[u64], now: u64) -> Vec<Event> {
        let mut events = Vec::new();
        let paused = now.saturating_sub(self.looked);
        self.looked = now;
        if paused > self.silence {
            events.push(Event::StoodStill(Duration::from_nanos(paused)));
        }
        for (number, (seen, pulse)) in self.workers.iter_mut().zip(pulses).enumerate() {
            let quiet = now.saturating_sub(seen.at);
            if seen.pulse != *pulse {
                if mem::take(&mut seen.hangs) {
                    events.push(Event::Works(number, Duration::from_nanos(quiet)));
                }
                (seen.pulse, seen.at) = (*pulse, now);
            } else if quiet > self.silence && paused <= self.silence && !seen.hangs {
                seen.hangs = true;
                events.push(Event::Hangs(number));
            }
        }
        events
    }

    /// The moment until which all workers are known to have worked.
    fn slowest(&self) -> u64 {
        self.workers.iter().map(|seen| seen.at).min().unwrap_or(self.looked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_slowest_worker_is_what_counts() {
        let mut watch = Watch::new(2, Duration::from_secs(2), 0);
        assert_eq!(watch.look(&[1, 1], SECOND), []);
        assert_eq!(watch.slowest(), SECOND);
        // The second one hangs from here on.
        assert_eq!(watch.look(&[2, 1], 2 * SECOND), []);
        assert_eq!(watch.look(&[3, 1], 3 * SECOND), []);
        assert_eq!(watch.slowest(), SECOND);
        assert_eq!(watch.look(&[4, 1], 4 * SECOND), [Event::Hangs(1)]);
        // Told once.
        assert_eq!(watch.look(&[5, 1], 5 * SECOND), []);
        assert_eq!(watch.slowest(), SECOND);
        let works = Event::Works(1, Duration::from_secs(5));
        assert_eq!(watch.look(&[6, 2], 6 * SECOND), [works]);
        assert_eq!(watch.slowest(), 6 * SECOND);
    }

    #[test]
    fn a_process_that_stood_still_is_no_worker_that_hangs() {
        let mut watch = Watch::new(1, Duration::from_secs(2), 0);
        assert_eq!(watch.look(&[1], SECOND), []);
        let still = Event::StoodStill(Duration::from_secs(9));
        assert_eq!(watch.look(&[1], 10 * SECOND), [still]);
        assert_eq!(watch.slowest(), SECOND);
        assert_eq!(watch.look(&[2], 11 * SECOND), []);
        assert_eq!(watch.slowest(), 11 * SECOND);
    }

    #[test]
    fn without_workers_the_watch_itself_is_what_lives() {
        let mut watch = Watch::new(0, Duration::from_secs(2), 5);
        assert_eq!(watch.slowest(), 5);
        assert_eq!(watch.look(&[], 7), []);
        assert_eq!(watch.slowest(), 7);
    }
}
