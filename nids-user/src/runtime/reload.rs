//! Loading rules anew: built aside on a thread of its own, and who waits for it.
//!
//! The thread is the only one that reads rule files while the sensor runs. It is nice: where processors are
//! short, workers go first. Rules that are not in force any more end there too, since letting go of many
//! takes long. What a reload puts in force is left to `sensor`.

use std::future;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::sensor::Generation;
use crate::cli::exit::{Code, Failure};
use crate::control::Answer;

/// Added to the niceness of the thread.
const NICE: libc::c_int = 10;

/// Rules that were built, and how long that took.
pub struct Built<R> {
    /// The rules, or why there are none.
    pub result: Result<Generation<R>, Failure>,
    /// Time from the request to the end of building, waiting included.
    pub took: Duration,
}

/// Somebody who waits for an answer.
pub type Waiter = oneshot::Sender<Answer>;

enum Job {
    Build,
    Free(Box<dyn Send>),
}

/// The thread that builds, and the queue before it.
pub struct Reload<R> {
    jobs: mpsc::Sender<Job>,
    built: UnboundedReceiver<Built<R>>,
    /// Who waits for what is being built; `None`: nothing is.
    current: Option<Vec<Waiter>>,
    /// Who asked since that began. What it reads may be old by then, so it is built once more for them.
    next: Option<Vec<Waiter>>,
}

impl<R: Send + Sync + 'static> Reload<R> {
    /// Starts the thread. `build` reads and compiles the rules.
    ///
    /// # Errors
    /// The system is out of threads.
    pub fn start(
        build: impl Fn() -> Result<Generation<R>, Failure> + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel();
        let (sender, built) = unbounded_channel();
        thread::Builder::new().name("nids-rules".into()).spawn(move || {
            be_nice();
            work(&inbox, &sender, build);
        })?;
        Ok(Self { jobs, built, current: None, next: None })
    }

    /// Asks for new rules.
    pub fn ask(&mut self, waiter: Option<Waiter>) {
        match self.current {
            Some(_) => self.next.get_or_insert_default().extend(waiter),
            None => {
                self.current = Some(waiter.into_iter().collect());
                self.begin();
            }
        }
    }

    /// Whether rules are being built.
    pub fn is_under_way(&self) -> bool {
        self.current.is_some()
    }

    /// Waits until rules are built; for ever where nobody has asked for any.
    pub async fn ready(&mut self) -> Built<R> {
        if self.current.is_none() {
            return future::pending().await;
        }
        self.built.recv().await.unwrap_or_else(|| Built {
            // The thread has panicked; in a release build that ends the process.
            result: Err(Failure::new(Code::Software, "loading the rules failed unexpectedly.")),
            took: Duration::ZERO,
        })
    }

    /// Tells those who wait what came of the rules that were built, and begins the next ones where somebody
    /// asked meanwhile.
    pub fn finish(&mut self, answer: impl Fn() -> Answer) {
        for waiter in self.current.take().into_iter().flatten() {
            // Who has gone away is not told.
            let _ = waiter.send(answer());
        }
        self.current = self.next.take();
        if self.current.is_some() {
            self.begin();
        }
    }

    /// Lets go of something elsewhere.
    pub fn free(&self, garbage: impl Send + 'static) {
        let _ = self.jobs.send(Job::Free(Box::new(garbage)));
    }

    fn begin(&self) {
        // Without the thread, `ready` fails.
        let _ = self.jobs.send(Job::Build);
    }
}

fn work<R>(
    inbox: &mpsc::Receiver<Job>,
    built: &UnboundedSender<Built<R>>,
    build: impl Fn() -> Result<Generation<R>, Failure>,
) {
    while let Ok(job) = inbox.recv() {
        match job {
            Job::Build => {
                let begin = Instant::now();
                let result = build();
                if built.send(Built { result, took: begin.elapsed() }).is_err() {
                    return;
                }
            }
            Job::Free(garbage) => drop(garbage),
        }
    }
}

/// Lets others of this process go first. On Linux the priority is the thread's own.
fn be_nice() {
    // SAFETY: takes no pointers.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use nids_abi::FilterTable;

    use super::*;
    use crate::rule::report::Report;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    fn generation(number: u32) -> Generation<u32> {
        Generation {
            rules: Arc::new(number),
            filter: Box::new(FilterTable::EMPTY),
            summary: String::new(),
            report: Arc::new(Report::default()),
        }
    }

    #[test]
    fn who_asks_while_rules_are_built_gets_newer_ones() {
        run(async {
            let (go, gate) = mpsc::channel::<()>();
            let count = AtomicU32::new(0);
            let mut reload = Reload::start(move || {
                gate.recv().unwrap();
                Ok(generation(count.fetch_add(1, Ordering::Relaxed)))
            })
            .unwrap();
            let mut answers = Vec::new();
            for _ in 0..4 {
                let (waiter, answer) = oneshot::channel();
                reload.ask(Some(waiter));
                answers.push(answer);
            }
            for expected in 0..2 {
                assert!(reload.is_under_way());
                go.send(()).unwrap();
                let built = reload.ready().await;
                assert_eq!(*built.result.unwrap().rules, expected);
                reload.finish(|| Answer::Failed(expected.to_string()));
            }
            assert!(!reload.is_under_way());
            let mut told = Vec::new();
            for answer in answers {
                match answer.await.unwrap() {
                    Answer::Failed(text) => told.push(text),
                    other => panic!("{other:?}"),
                }
            }
            // The first got what its own request began, all others what was begun after theirs.
            assert_eq!(told, ["0", "1", "1", "1"]);
        });
    }

    #[test]
    fn a_builder_that_dies_is_told() {
        run(async {
            let mut reload = Reload::<u32>::start(|| panic!("a broken build")).unwrap();
            for _ in 0..2 {
                reload.ask(None);
                let built = reload.ready().await;
                assert!(built.result.unwrap_err().message.contains("unexpectedly"));
                reload.finish(|| Answer::Failed(String::new()));
            }
        });
    }
}
