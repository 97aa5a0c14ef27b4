//! One output: its format, the lines that wait, and what to do when writing fails.
//!
//! Whole lines wait in a bounded buffer and leave it in as few write(2) calls as possible. After an
//! error they go on waiting while the target is opened again with growing pauses; what the buffer
//! cannot hold is lost, and counted under the reason of the error. A line that was half written is
//! completed, or written again from its beginning where its first half is gone.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::console::Console;
use super::counters::{LossReason, SinkTally};
use super::eve::Eve;
use super::fast::Fast;
use super::record::Record;
use super::target::{Resume, Target};
use super::{OutputConfig, Policy, SinkKind};

/// Bytes of lines that may wait for a target that does not take them.
pub(super) const MAX_WAITING: usize = 1 << 20;
/// First pause after an error.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often to look whether the file still has a name.
const LOOK: Duration = Duration::from_secs(1);

/// One output.
#[derive(Debug)]
pub(super) struct Sink {
    format: Format,
    target: Target,
    /// Lines, the first one perhaps written in part.
    lines: Vec<u8>,
    /// Bytes of the first line that are written.
    written: usize,
    state: State,
    tally: Arc<SinkTally>,
    looked: Instant,
}

#[derive(Debug)]
enum Format {
    Console(Console),
    Fast(Fast),
    Eve(Box<Eve>),
}

/// How the target is doing.
#[derive(Clone, Copy, Debug)]
enum State {
    Working,
    /// The reader is too slow. `lost_before` is `None` until a line is lost for it.
    Stalled {
        lost_before: Option<u64>,
    },
    Failing {
        reason: LossReason,
        pause: Duration,
        retry: Instant,
        lost_before: u64,
    },
    /// Standard output whose reader has gone.
    Closed,
}

/// A change of state, for the person who runs the sensor.
#[derive(Debug)]
pub(super) enum Change {
    /// Writing failed, or opening.
    Failed(io::Error),
    /// Nobody can read it any more; all further records are lost here.
    Closed,
    /// The reader is too slow and the first record was lost for it.
    TooSlow,
    /// It works again; so many records were lost in between.
    Recovered(u64),
}

impl Sink {
    /// Opens the output. A FIFO without a reader is a sink that fails for now, not an error.
    pub(super) fn open(
        kind: SinkKind,
        config: &OutputConfig,
        colour: bool,
        policy: Policy,
        tally: Arc<SinkTally>,
        now: Instant,
    ) -> io::Result<Self> {
        let format = match kind {
            SinkKind::Console => Format::Console(Console::new(colour)),
            SinkKind::Fast => Format::Fast(Fast::new()),
            SinkKind::Eve => Format::Eve(Box::new(Eve::new(config.eve_types, config.community_id))),
        };
        let target = match config.path(kind).cloned() {
            Some(path) => Target::path(path, policy),
            None => Target::stdout(policy),
        };
        let mut sink = Self {
            format,
            target,
            lines: Vec::new(),
            written: 0,
            state: State::Working,
            tally,
            looked: now,
        };
        match sink.target.open() {
            Ok(_) => Ok(sink),
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) && sink.target.is_fifo() => {
                sink.fail(error, now);
                Ok(sink)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether both write to the same regular file.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        self.target.is_same_file(&other.target)
    }

    /// Gives the file to this user and group, where it is new.
    pub(super) fn give_to(&self, user: u32, group: u32) -> io::Result<()> {
        self.target.give_to(user, group)
    }

    /// Takes one record, where it is of a type for this output. It is written by the next
    /// [`Self::flush`].
    pub(super) fn push(&mut self, record: &Record) -> Option<Change> {
        let wanted = match &self.format {
            Format::Console(_) | Format::Fast(_) => matches!(record, Record::Alert(_)),
            Format::Eve(eve) => eve.takes(record),
        };
        if !wanted {
            return None;
        }
        let reason = match &mut self.state {
            State::Closed => Some(LossReason::BrokenPipe),
            _ if self.lines.len() < MAX_WAITING => None,
            State::Failing { reason, .. } => Some(*reason),
            State::Working | State::Stalled { .. } => Some(LossReason::TooSlow),
        };
        if let Some(reason) = reason {
            let lost = self.tally.lost();
            self.tally.lose(reason, 1);
            if let State::Stalled { lost_before: before @ None } = &mut self.state {
                *before = Some(lost);
                return Some(Change::TooSlow);
            }
            return None;
        }
        match (&mut self.format, record) {
            (Format::Console(console), Record::Alert(alert)) => {
                console.write(&mut self.lines, alert);
            }
            (Format::Fast(fast), Record::Alert(alert)) => fast.write(&mut self.lines, alert),
            (Format::Console(_) | Format::Fast(_), _) => {}
            (Format::Eve(eve), record) => eve.write(&mut self.lines, record),
        }
        None
    }

    /// Writes what waits, as far as the target takes it, and tries again where it failed before.
    pub(super) fn flush(&mut self, now: Instant) -> Option<Change> {
        match self.state {
            State::Closed => return None,
            State::Failing { retry, .. } if now < retry => return None,
            State::Failing { .. } => {
                if let Err(error) = self.open_target() {
                    return self.fail(error, now);
                }
            }
            State::Working | State::Stalled { .. } => {
                if now.duration_since(self.looked) >= LOOK && !self.lines.is_empty() {
                    self.looked = now;
                    if self.target.is_deleted()
                        && let Err(error) = self.open_target()
                    {
                        return self.fail(error, now);
                    }
                }
            }
        }
        match self.write_out() {
            Ok(()) => self.recover(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if matches!(self.state, State::Working) {
                    self.state = State::Stalled { lost_before: None };
                }
                None
            }
            Err(error) => self.fail(error, now),
        }
    }

    /// Writes what waits to the old file, then opens the path anew: after a log was moved away.
    pub(super) fn reopen(&mut self, now: Instant) -> Option<Change> {
        if !self.target.can_reopen() {
            return None;
        }
        // An error here shows again at once on the new file, or is gone with the old one.
        if !matches!(self.state, State::Failing { .. }) {
            let _ = self.write_out();
        }
        match self.open_target() {
            Ok(()) => self.flush_now(now),
            Err(error) => self.fail(error, now),
        }
    }

    /// One last try; what cannot be written now is lost.
    pub(super) fn finish(&mut self, now: Instant) -> Option<Change> {
        let change = self.flush_now(now);
        let lines = count_lines(&self.lines);
        if lines > 0 {
            let reason = match self.state {
                State::Failing { reason, .. } => reason,
                State::Closed => LossReason::BrokenPipe,
                State::Working | State::Stalled { .. } => LossReason::TooSlow,
            };
            self.tally.lose(reason, lines);
            self.lines.clear();
            self.written = 0;
        }
        change
    }

    /// When the writer should come back although no record came.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Working | State::Closed => None,
            State::Stalled { .. } => Some(now + FIRST_PAUSE),
            State::Failing { retry, .. } => Some(retry),
        }
    }

    /// Whether lines wait for a reader that is too slow.
    pub(super) fn is_stalled(&self) -> bool {
        matches!(self.state, State::Stalled { .. })
    }

    fn flush_now(&mut self, now: Instant) -> Option<Change> {
        if let State::Failing { retry, .. } = &mut self.state {
            *retry = now;
        }
        self.flush(now)
    }

    fn open_target(&mut self) -> io::Result<()> {
        if self.target.open()? == Resume::Restart {
            self.written = 0;
        }
        Ok(())
    }

    fn write_out(&mut self) -> io::Result<()> {
        let mut position = self.written;
        let result = loop {
            let Some(rest) = self.lines.get(position..).filter(|rest| !rest.is_empty()) else {
                break Ok(());
            };
            match self.target.write(rest) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => position += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let whole = self.lines.get(..position).unwrap_or_default();
        let end = memchr::memrchr(b'\n', whole).map_or(0, |at| at + 1);
        self.tally.wrote(count_lines(whole));
        self.lines.drain(..end);
        self.written = position - end;
        result
    }

    fn recover(&mut self) -> Option<Change> {
        let change = match self.state {
            State::Failing { lost_before, .. }
            | State::Stalled { lost_before: Some(lost_before) } => {
                Some(Change::Recovered(self.tally.lost() - lost_before))
            }
            _ => None,
        };
        self.state = State::Working;
        change
    }

    fn fail(&mut self, error: io::Error, now: Instant) -> Option<Change> {
        let reason = LossReason::of(&error);
        if reason == LossReason::BrokenPipe && !self.target.can_reopen() {
            self.tally.lose(reason, count_lines(&self.lines));
            self.lines = Vec::new();
            self.written = 0;
            self.state = State::Closed;
            return Some(Change::Closed);
        }
        let (pause, lost_before, first) = match self.state {
            State::Failing { pause, lost_before, .. } => {
                ((pause * 2).min(LONGEST_PAUSE), lost_before, false)
            }
            _ => (FIRST_PAUSE, self.tally.lost(), true),
        };
        self.state = State::Failing { reason, pause, retry: now + pause, lost_before };
        first.then_some(Change::Failed(error))
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
