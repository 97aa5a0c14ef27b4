//! One output: its format, the records that wait, and what to do when writing fails.
//!
//! Whole records wait in a bounded backlog and leave it in as few write(2) calls as possible. After an
//! error they go on waiting while the target is opened again with growing pauses; what the backlog
//! cannot hold is lost, and counted under the reason of the error. A record that was half written is cut
//! off again where that can be done, else completed, or written again from its beginning where its first
//! half is gone.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::backlog::Backlog;
use super::counters::{LossReason, SinkTally};
use super::file::FileTarget;
use super::format::Format;
use super::record::Record;
use super::settings::{DiskFull, OutputSettings};
use super::target::{Resume, Target};

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
    waiting: Backlog,
    /// Bytes that may wait.
    most_waiting: usize,
    disk_full: DiskFull,
    state: State,
    tally: Arc<SinkTally>,
    looked: Instant,
    /// An old file could not be put away, and nobody was told of it again since.
    stuck: bool,
}

/// How the target is doing.
#[derive(Clone, Copy, Debug)]
enum State {
    Working,
    /// The reader is too slow. `lost_before` is `None` until a record is lost for it.
    Stalled {
        lost_before: Option<u64>,
    },
    Failing {
        reason: LossReason,
        pause: Duration,
        retry: Instant,
        lost_before: u64,
        /// The pause is over: the next record shows whether it works again.
        probing: bool,
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
    /// The file is longer or older than it should be, but cannot be put away.
    NotRotated(io::Error),
}

impl Sink {
    /// Opens the output. Where nobody reads yet what somebody may read later (a FIFO, a socket), that is a
    /// sink that fails for now, and no error.
    pub(super) fn open(
        settings: &OutputSettings,
        format: Format,
        target: Target,
        tally: Arc<SinkTally>,
        now: Instant,
    ) -> io::Result<Self> {
        let mut sink = Self {
            format,
            target,
            waiting: Backlog::default(),
            most_waiting: settings.backlog,
            disk_full: settings.disk_full,
            state: State::Working,
            tally,
            looked: now,
            stuck: false,
        };
        match sink.open_target() {
            Ok(()) => {
                if let Some(file) = sink.target.file() {
                    file.sweep_old();
                }
                Ok(sink)
            }
            Err(error) if sink.target.may_come(&error) => {
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

    /// Where the regular file is that it writes to.
    pub(super) fn real_path(&self) -> Option<&Path> {
        self.target.real_path()
    }

    /// Gives the file to this user and group, where it is new.
    pub(super) fn give_to(&self, user: u32, group: u32) -> io::Result<()> {
        self.target.give_to(user, group)
    }

    /// Takes one record, where it is of a type for this output. It is written by the next
    /// [`Self::flush`].
    pub(super) fn push(&mut self, record: &Record) -> Option<Change> {
        if !self.format.takes(record) {
            return None;
        }
        let mut change = None;
        if self.waiting.len() >= self.most_waiting && matches!(self.state, State::Working) {
            // A batch may be larger than the backlog.
            change = self.flush(Instant::now());
        }
        let added = self.add(record);
        change.or(added)
    }

    fn add(&mut self, record: &Record) -> Option<Change> {
        let reason = match &self.state {
            State::Closed => Some(LossReason::BrokenPipe),
            State::Failing { reason, probing: false, .. } if self.drops(*reason) => Some(*reason),
            _ if self.waiting.len() < self.most_waiting => None,
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
        let format = &mut self.format;
        self.waiting.push(|out| format.write(out, record));
        None
    }

    /// Whether nothing waits while it fails for this reason.
    fn drops(&self, reason: LossReason) -> bool {
        reason == LossReason::Full && self.disk_full == DiskFull::Drop
    }

    /// Writes what waits, as far as the target takes it, and tries again where it failed before.
    pub(super) fn flush(&mut self, now: Instant) -> Option<Change> {
        match &mut self.state {
            State::Closed => return None,
            State::Failing { retry, .. } if now < *retry => return None,
            State::Failing { reason, probing, .. } => {
                let (reason, empty) = (*reason, self.waiting.is_empty());
                *probing = true;
                if empty && self.drops(reason) {
                    return None;
                }
                if let Err(error) = self.open_target() {
                    return self.fail(error, now);
                }
            }
            State::Working | State::Stalled { .. } => {
                if now.duration_since(self.looked) >= LOOK && !self.waiting.is_empty() {
                    self.looked = now;
                    if self.target.is_deleted()
                        && let Err(error) = self.open_target()
                    {
                        return self.fail(error, now);
                    }
                }
            }
        }
        self.write_and_judge(now)
    }

    fn write_and_judge(&mut self, now: Instant) -> Option<Change> {
        match self.write_out(now) {
            Ok(None) => self.recover(),
            Ok(stuck) => stuck,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match &mut self.state {
                    State::Working => self.state = State::Stalled { lost_before: None },
                    // A connection that is still being made is no recovery.
                    State::Failing { retry, .. } if self.target.is_connecting() => {
                        *retry = now + FIRST_PAUSE;
                    }
                    State::Failing { lost_before, .. } => {
                        self.state = State::Stalled { lost_before: Some(*lost_before) };
                    }
                    State::Stalled { .. } | State::Closed => {}
                }
                None
            }
            Err(error) => self.fail(error, now),
        }
    }

    /// Writes what waits to the old file, then opens the path anew: after a log was moved away.
    pub(super) fn reopen(&mut self, now: Instant) -> Option<Change> {
        if !self.target.can_reopen() || self.target.is_socket() {
            return None;
        }
        // An error here shows again at once on the new file, or is gone with the old one.
        if !matches!(self.state, State::Failing { .. }) {
            let _ = self.write_out(now);
            self.cut_back();
        }
        match self.open_target() {
            Ok(()) => self.write_and_judge(now),
            Err(error) => self.fail(error, now),
        }
    }

    /// One last try; what cannot be written now is lost.
    pub(super) fn finish(&mut self, now: Instant) -> Option<Change> {
        if let State::Failing { retry, .. } = &mut self.state {
            *retry = now;
        }
        let change = self.flush(now);
        let reason = match self.state {
            State::Failing { reason, .. } => reason,
            State::Closed => LossReason::BrokenPipe,
            State::Working | State::Stalled { .. } => LossReason::TooSlow,
        };
        self.cut_back();
        self.give_up(reason);
        change
    }

    /// When the writer should come back although no record came.
    pub(super) fn wake_at(&mut self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Closed => None,
            State::Working => {
                let turn = self.target.file().and_then(|file| file.turn())?;
                Some(now + turn.duration_since(SystemTime::now()).unwrap_or(FIRST_PAUSE))
            }
            State::Stalled { .. } => Some(now + FIRST_PAUSE),
            State::Failing { reason, .. } if self.drops(reason) => None,
            State::Failing { retry, .. } => Some(retry),
        }
    }

    /// Whether nobody reads it so far.
    pub(super) fn is_failing(&self) -> bool {
        matches!(self.state, State::Failing { .. })
    }

    /// Whether records wait for a reader that is too slow.
    pub(super) fn is_stalled(&self) -> bool {
        matches!(self.state, State::Stalled { .. })
    }

    /// Opens the target, with what its format begins with.
    fn open_target(&mut self) -> io::Result<()> {
        if self.target.open()? == Resume::Restart {
            self.waiting.restart();
        }
        if let Some(file) = self.target.file() {
            begin(&self.format, file)?;
        }
        Ok(())
    }

    /// Writes as much as the target takes, and puts files away that are full. `Some`: that could not be done.
    fn write_out(&mut self, now: Instant) -> io::Result<Option<Change>> {
        let mut stuck = None;
        if let Some(file) = self.target.file() {
            file.look();
        }
        let result = loop {
            if !self.waiting.is_split() && self.target.file().is_some_and(|file| file.is_due(now)) {
                match self.rotate(now) {
                    Ok(change) => stuck = stuck.or(change),
                    Err(error) => break Err(error),
                }
                continue;
            }
            if self.waiting.is_empty() {
                break Ok(());
            }
            let room = self.target.file().map_or(u64::MAX, |file| file.room(now));
            let mut part = match self.target.is_datagram() {
                true => self.waiting.first(),
                false => self.waiting.within(room),
            };
            if part.is_empty() {
                let alone = self.waiting.is_split()
                    || self.target.file().is_none_or(|file| file.is_fresh());
                if !alone {
                    match self.rotate(now) {
                        Ok(change) => stuck = stuck.or(change),
                        Err(error) => break Err(error),
                    }
                    continue;
                }
                part = self.waiting.first();
            }
            match self.target.write(part) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.tally.wrote(self.waiting.advance(n)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                    self.waiting.drop_first();
                    self.tally.lose(LossReason::TooLong, 1);
                }
                Err(error) => break Err(error),
            }
        };
        self.waiting.settle();
        result.map(|()| stuck)
    }

    fn rotate(&mut self, now: Instant) -> io::Result<Option<Change>> {
        let Some(file) = self.target.file() else { return Ok(None) };
        match file.rotate(now)? {
            Ok(()) => {
                self.stuck = false;
                begin(&self.format, file)?;
                Ok(None)
            }
            Err(error) => {
                let first = !std::mem::replace(&mut self.stuck, true);
                Ok(first.then_some(Change::NotRotated(error)))
            }
        }
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
        let mut reason = LossReason::of(&error);
        if self.target.is_socket() && reason == LossReason::NotWritable {
            reason = LossReason::BrokenPipe;
        }
        self.cut_back();
        if reason == LossReason::BrokenPipe && !self.target.can_reopen() {
            self.give_up(reason);
            self.state = State::Closed;
            return Some(Change::Closed);
        }
        let (pause, lost_before, first) = match self.state {
            State::Failing { pause, lost_before, .. } => {
                ((pause * 2).min(LONGEST_PAUSE), lost_before, false)
            }
            State::Stalled { lost_before: Some(lost_before) } => (FIRST_PAUSE, lost_before, true),
            _ => (FIRST_PAUSE, self.tally.lost(), true),
        };
        self.state =
            State::Failing { reason, pause, retry: now + pause, lost_before, probing: false };
        if self.drops(reason) {
            self.give_up(reason);
        }
        first.then_some(Change::Failed(error))
    }

    /// Takes half a record back out of the file.
    fn cut_back(&mut self) {
        if self.waiting.is_split()
            && let Some(file) = self.target.file()
            && file.cut_back(self.waiting.written())
        {
            self.waiting.restart();
        }
    }

    /// Loses what waits.
    fn give_up(&mut self, reason: LossReason) {
        let lost = self.waiting.clear();
        if lost > 0 {
            self.tally.lose(reason, lost);
            self.format.lost();
        }
    }
}

fn begin(format: &Format, file: &mut FileTarget) -> io::Result<()> {
    let mut bytes = Vec::new();
    format.begin(&mut bytes);
    file.begin(&bytes)
}
