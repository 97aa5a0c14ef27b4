//! The control thread: signals, questions, reload, the log of the kernel's programs, and the end.
//!
//! | signal | |
//! | --- | --- |
//! | SIGINT, SIGTERM | stop in order |
//! | SIGUSR1 | print the balance |
//! | SIGUSR2 | load the rules anew (the old ones stay where that fails) |
//! | SIGHUP | open the logs anew |
//!
//! Questions come from the control socket (`control`) and over HTTP (`telemetry::http`). Everything here
//! runs on one thread; only rules are compiled beside it (`reload`).

use std::future;
use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aya_log::EbpfLogger;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};
use tokio::select;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, interval_at};

use super::reload::{Built, Reload};
use super::sensor::{Inspection, Sensor};
use super::services::Services;
use crate::cli::exit::{Code, Failure};
use crate::control::{
    Answer, Call, Caller, Health, LastReload, PortStatus, Reloaded, Request, Status, Version,
};
use crate::rule::requires;
use crate::telemetry::balance::Balance;
use crate::telemetry::losses::Losses;
use crate::telemetry::preflight::Finding;
use crate::telemetry::stats::PortStats;

/// How often the sensor looks after itself.
const CHECK: Duration = Duration::from_secs(1);
/// Questions that wait. Who asks more waits before that.
const MOST_CALLS: usize = 32;

/// Signals, caught from the moment this was made: none that comes during the start is lost.
pub struct Control {
    runtime: Runtime,
    signals: Signals,
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    balance: Signal,
    reload: Signal,
    reopen: Signal,
}

impl Control {
    /// Catches the signals.
    ///
    /// # Errors
    /// The system is out of descriptors.
    pub fn new() -> Result<Self, Failure> {
        let failed =
            |error| Failure::new(Code::Software, format!("cannot catch signals: {error}."));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let _guard = runtime.enter();
        let catch = |kind| signal(kind).map_err(failed);
        let signals = Signals {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
            balance: catch(SignalKind::user_defined1())?,
            reload: catch(SignalKind::user_defined2())?,
            reopen: catch(SignalKind::hangup())?,
        };
        drop(_guard);
        Ok(Self { runtime, signals })
    }

    /// Serves until told to stop, then stops the sensor in order and gives the balance at rest.
    ///
    /// # Errors
    /// What stopped the sensor, where that was not a signal. The balance is printed then too.
    pub fn serve<P: Inspection>(
        self,
        sensor: Sensor<P>,
        mut services: Services,
        reload: Reload<P::Rules>,
    ) -> Result<Balance, Failure> {
        let Self { runtime, mut signals } = self;
        let preflight = std::mem::take(&mut services.preflight);
        let (sender, calls) = mpsc::channel(MOST_CALLS);
        let mut desk =
            Desk { sensor, reload, last_reload: None, losses: Losses::default(), preflight, calls };
        let served = runtime.block_on(async {
            services.serve(&sender);
            desk.serve(&mut signals, services.stats_interval).await
        });
        // Clients are let go before what may take long.
        runtime.shutdown_background();
        let balance = desk.sensor.finish()?;
        match served {
            Ok(()) => Ok(balance),
            Err(failure) => {
                eprintln!("{balance}");
                Err(failure)
            }
        }
    }
}

/// What the control thread works with.
struct Desk<P: Inspection> {
    sensor: Sensor<P>,
    reload: Reload<P::Rules>,
    last_reload: Option<LastReload>,
    losses: Losses,
    preflight: Vec<Finding>,
    calls: mpsc::Receiver<Call>,
}

impl<P: Inspection> Desk<P> {
    async fn serve(
        &mut self,
        signals: &mut Signals,
        stats_interval: Duration,
    ) -> Result<(), Failure> {
        let mut log = self.sensor.take_logger().map(ProgramLog::new).transpose()?;
        let mut check = interval(CHECK);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stats = self
            .sensor
            .logs_stats()
            .then(|| interval_at(tokio::time::Instant::now() + stats_interval, stats_interval));
        loop {
            select! {
                _ = signals.interrupt.recv() => return Ok(()),
                _ = signals.terminate.recv() => return Ok(()),
                _ = signals.balance.recv() => eprintln!("{}", self.sensor.balance()?),
                _ = signals.reopen.recv() => self.sensor.reopen_outputs(),
                _ = signals.reload.recv() => self.reload.ask(None),
                built = self.reload.ready() => self.put_in_force(built)?,
                Some(call) = self.calls.recv() => self.answer(call)?,
                () = read(&mut log) => {}
                () = tick(&mut stats) => self.sensor.record_stats()?,
                _ = check.tick() => self.check()?,
            }
        }
    }

    /// Looks after what can go wrong.
    fn check(&mut self) -> Result<(), Failure> {
        self.sensor.check()?;
        let balance = self.sensor.balance()?;
        for loss in self.losses.look(&balance, Instant::now()) {
            log::warn!("lost: {} {}: {}", loss.count, loss.what, loss.help);
        }
        Ok(())
    }

    fn put_in_force(&mut self, built: Built<P::Rules>) -> Result<(), Failure> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let generation = match built.result {
            Ok(generation) => generation,
            Err(failure) => {
                let error = failure.message.trim_end_matches('.').to_owned();
                log::error!("the rules stay as they were: {failure}");
                self.sensor.reload_failed();
                self.last_reload = Some(LastReload { time, error: Some(error.clone()) });
                self.reload
                    .finish(|| Answer::Failed(format!("the rules stay as they were: {error}")));
                return Ok(());
            }
        };
        let begin = Instant::now();
        let retired = self.sensor.replace(&generation)?;
        let took = begin.elapsed();
        self.reload.free(retired);
        log::info!("reloaded: {}, in force after {took:?}", generation.summary);
        let reloaded = Reloaded {
            generation: self.sensor.rules().generation,
            summary: generation.report.summary.clone(),
            build_seconds: built.took.as_secs_f64(),
            swap_seconds: took.as_secs_f64(),
        };
        self.last_reload = Some(LastReload { time, error: None });
        self.reload.finish(|| Answer::Reloaded(reloaded.clone()));
        Ok(())
    }

    fn answer(&mut self, call: Call) -> Result<(), Failure> {
        let answer = match call.request {
            Request::Reload => {
                if let Caller::Socket { user, process } = call.caller {
                    log::info!("process {process} of user {user} asks for a reload");
                }
                self.reload.ask(Some(call.answer));
                return Ok(());
            }
            Request::Status => Answer::Status(Box::new(self.status()?)),
            Request::Stats => Answer::Stats(Box::new(self.sensor.stats()?.0)),
            Request::Refused => Answer::Refused(self.sensor.report().clone()),
            Request::Version => Answer::Version(Version {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                suricata: requires::Version::COMPATIBLE.to_string(),
            }),
        };
        // Who has gone away is not told.
        let _ = call.answer.send(answer);
        Ok(())
    }

    fn status(&self) -> Result<Status, Failure> {
        let (stats, balance) = self.sensor.stats()?;
        let ports = stats.interfaces.iter().zip(self.sensor.capture().ports());
        let ports: Vec<PortStatus> = ports
            .map(|(stats, port)| {
                let PortStats { interface, direction, mode, .. } = stats.clone();
                let present = self.sensor.is_present(port.index);
                PortStatus { interface, direction, mode, present }
            })
            .collect();
        let mut problems = Vec::new();
        for port in ports.iter().filter(|port| !port.present) {
            problems.push(format!("the interface {} is gone", port.interface));
        }
        if let Some(LastReload { error: Some(error), .. }) = &self.last_reload {
            problems.push(format!("the last reload failed: {error}"));
        }
        if self.losses.recent(Instant::now()) {
            problems.push("something was lost within the last minute".to_owned());
        }
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime: stats.uptime,
            health: if problems.is_empty() { Health::Ok } else { Health::Degraded },
            problems,
            ports,
            workers: self.sensor.processors(),
            rules: stats.rules,
            last_reload: self.last_reload.clone(),
            losses: Losses::all(&balance),
            preflight: self.preflight.clone(),
        })
    }
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        None => future::pending().await,
        Some(interval) => {
            interval.tick().await;
        }
    }
}

/// The messages of the kernel's programs, passed on to the log.
struct ProgramLog(AsyncFd<EbpfLogger<&'static dyn log::Log>>);

impl ProgramLog {
    fn new(logger: EbpfLogger<&'static dyn log::Log>) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::new(Code::Software, format!("cannot read the log: {error}."))
        };
        // SAFETY: the logger owns the descriptor of its map and gives out no other.
        let fd = unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) };
        fd.map(Self).map_err(|error| failed(error.into_parts().1))
    }
}

async fn read(log: &mut Option<ProgramLog>) {
    match log {
        None => future::pending().await,
        Some(ProgramLog(fd)) => {
            if let Ok(mut guard) = fd.readable_mut().await {
                guard.get_inner_mut().flush();
                guard.clear_ready();
            }
        }
    }
}
