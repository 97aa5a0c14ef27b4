//! The control thread: signals, reload, the log of the kernel's programs, and the end.
//!
//! | signal | |
//! | --- | --- |
//! | SIGINT, SIGTERM | stop in order |
//! | SIGUSR1 | print the balance |
//! | SIGUSR2 | load the rules anew (the old ones stay where that fails) |
//! | SIGHUP | open the logs anew |
//!
//! Everything here runs on one thread; only rules are compiled beside it.

use std::future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aya_log::EbpfLogger;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};
use tokio::select;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

use super::sensor::{Generation, Inspection, Sensor};
use crate::cli::exit::{Code, Failure};
use crate::telemetry::balance::Balance;

/// How often the sensor looks after itself.
const CHECK: Duration = Duration::from_secs(1);

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

    /// Serves until told to stop, then stops the sensor in order and gives the balance at rest. `build`
    /// loads the rules anew; it runs on a thread of its own.
    ///
    /// # Errors
    /// What stopped the sensor, where that was not a signal. The balance is printed then too.
    pub fn serve<P: Inspection>(
        self,
        mut sensor: Sensor<P>,
        build: impl Fn() -> Result<Generation<P::Rules>, Failure> + Send + Sync + 'static,
    ) -> Result<Balance, Failure> {
        let Self { runtime, mut signals } = self;
        let served = runtime.block_on(serve(&mut sensor, &mut signals, Arc::new(build)));
        // A reload that is under way is of no use any more.
        runtime.shutdown_background();
        let balance = sensor.finish()?;
        match served {
            Ok(()) => Ok(balance),
            Err(failure) => {
                eprintln!("{balance}");
                Err(failure)
            }
        }
    }
}

type Build<R> = dyn Fn() -> Result<Generation<R>, Failure> + Send + Sync;

async fn serve<P: Inspection>(
    sensor: &mut Sensor<P>,
    signals: &mut Signals,
    build: Arc<Build<P::Rules>>,
) -> Result<(), Failure> {
    let mut log = sensor.take_logger().map(ProgramLog::new).transpose()?;
    let mut check = interval(CHECK);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut building: Option<JoinHandle<_>> = None;
    let mut again = false;
    loop {
        select! {
            _ = signals.interrupt.recv() => return Ok(()),
            _ = signals.terminate.recv() => return Ok(()),
            _ = signals.balance.recv() => eprintln!("{}", sensor.balance()?),
            _ = signals.reopen.recv() => sensor.reopen_outputs(),
            _ = signals.reload.recv() => again = true,
            built = ready(&mut building) => {
                building = None;
                put_in_force(sensor, built)?;
            }
            () = read(&mut log) => {}
            _ = check.tick() => sensor.check()?,
        }
        // Asked for again while it is built: what it reads may be old by then, so it is built again.
        if again && building.is_none() {
            again = false;
            let build = Arc::clone(&build);
            building = Some(spawn_blocking(move || build()));
        }
    }
}

fn put_in_force<P: Inspection>(
    sensor: &mut Sensor<P>,
    built: Result<Generation<P::Rules>, Failure>,
) -> Result<(), Failure> {
    match built {
        Ok(generation) => {
            let begin = Instant::now();
            sensor.replace(&generation)?;
            log::info!("reloaded: {}, in force after {:?}", generation.summary, begin.elapsed());
        }
        Err(failure) => log::error!("the rules stay as they were: {failure}"),
    }
    Ok(())
}

/// What a build gives, once it does.
async fn ready<R>(
    building: &mut Option<JoinHandle<Result<Generation<R>, Failure>>>,
) -> Result<Generation<R>, Failure> {
    match building {
        None => future::pending().await,
        Some(task) => match task.await {
            Ok(built) => built,
            Err(_) => Err(Failure::new(Code::Software, "loading the rules failed unexpectedly.")),
        },
    }
}

/// The messages of the kernel's programs, passed on to the log.
struct ProgramLog(AsyncFd<EbpfLogger<&'static dyn log::Log>>);

impl ProgramLog {
    fn new(logger: EbpfLogger<&'static dyn log::Log>) -> Result<Self, Failure> {
        let failed = |error| Failure::new(Code::Software, format!("cannot read the log: {error}."));
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
