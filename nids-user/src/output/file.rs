//! An output's path: a file, which may be put away for a new one, or a FIFO or device.
//!
//! Nothing here waits when the policy is to count: a FIFO without a reader must not hold up the other sinks.
//! A file ends in a whole record, always: what is left of half of one, by a full disk or a killed process,
//! is cut off, or ended where it may be somebody else's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::Policy;
use super::archive::Sweeper;
use super::rotation;
use super::settings::Rotation;
use super::target::Resume;

/// Alerts tell of a network's inside: the owner writes, the group (of the log reader) may read.
const MODE: u32 = 0o640;
/// What half an EVE record begins with.
const EVE_BEGIN: &[u8] = b"{\"timestamp\":\"";
/// The end of a file in which the begin of its last line is looked for.
const MAX_LINE: u64 = 1 << 20;
/// After a file could not be put away.
const RETRY: Duration = Duration::from_secs(5);

/// What an existing file that does not end well may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Lines of EVE: half of one is known by its begin.
    Eve,
    /// Lines.
    Text,
    /// Blocks, which nothing can be appended to: the file is put away.
    Blocks,
}

/// A path.
#[derive(Debug)]
pub(super) struct FileTarget {
    path: PathBuf,
    policy: Policy,
    content: Content,
    rotation: Rotation,
    sweeper: Option<Sweeper>,
    open: Option<Open>,
    /// What was open before, so that it is known again.
    before: Option<(u64, u64)>,
    next_turn: Option<SystemTime>,
    /// A file could not be put away: not before then again.
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    file: File,
    id: (u64, u64),
    regular: bool,
    /// Without symbolic links: this is put away, and not a link to it.
    path: PathBuf,
    size: u64,
    /// Bytes that it begins with, before any record of ours.
    begin: u64,
}

impl FileTarget {
    /// Not opened yet.
    pub(super) fn new(
        path: PathBuf,
        policy: Policy,
        content: Content,
        rotation: Rotation,
        sweeper: Option<Sweeper>,
    ) -> Self {
        let next_turn =
            rotation.interval.map(|interval| rotation::next_turn(SystemTime::now(), interval));
        Self {
            path,
            policy,
            content,
            rotation,
            sweeper,
            open: None,
            before: None,
            next_turn,
            not_before: None,
        }
    }

    /// Opens the path, creating it where it is missing. A file of blocks from an earlier run is put away.
    pub(super) fn open(&mut self) -> io::Result<Resume> {
        if let Some(open) = self.open.take() {
            self.before = Some(open.id);
        }
        let mut open = self.open_path()?;
        if self.content == Content::Blocks
            && open.regular
            && open.size > 0
            && self.before != Some(open.id)
        {
            rotation::put_away(&open.path, open.id, SystemTime::now())?;
            self.sweep(&open.path);
            open = self.open_path()?;
        }
        let resume = match self.content {
            _ if !open.regular || open.size == 0 => Resume::Restart,
            Content::Eve | Content::Text => self.mend(&mut open)?,
            Content::Blocks => Resume::Continue,
        };
        self.before = Some(open.id);
        self.open = Some(open);
        Ok(resume)
    }

    fn open_path(&self) -> io::Result<Open> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(MODE);
        let mut flags = libc::O_NOCTTY;
        if self.policy == Policy::Count {
            flags |= libc::O_NONBLOCK;
        }
        let file = options.custom_flags(flags).open(&self.path)?;
        let meta = file.metadata()?;
        let regular = meta.is_file();
        let path = match regular {
            true => fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone()),
            false => self.path.clone(),
        };
        let id = (meta.dev(), meta.ino());
        Ok(Open { file, id, regular, path, size: meta.len(), begin: 0 })
    }

    /// Sees to it that the next record begins a line.
    fn mend(&self, open: &mut Open) -> io::Result<Resume> {
        let Some(half) = half_line(&open.path, open.id) else { return Ok(Resume::Restart) };
        if self.before == Some(open.id) {
            // It is the one at hand, and could not be cut off.
            return Ok(Resume::Continue);
        }
        let known = half.iter().zip(EVE_BEGIN).all(|(byte, wanted)| byte == wanted);
        if self.content == Content::Eve && known {
            open.size -= half.len() as u64;
            open.file.set_len(open.size)?;
        } else {
            open.file.write_all(b"\n")?;
            open.size += 1;
        }
        Ok(Resume::Restart)
    }

    /// Writes what stands before all records, where the file is new.
    pub(super) fn begin(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Err(io::ErrorKind::NotConnected.into()) };
        if bytes.is_empty() || (open.regular && open.size > 0) {
            return Ok(());
        }
        let result = open.file.write_all(bytes);
        if open.regular {
            match &result {
                Ok(()) => (open.size, open.begin) = (bytes.len() as u64, bytes.len() as u64),
                Err(_) => open.file.set_len(0)?,
            }
        }
        result
    }

    /// Looks how long the file is: somebody may have cut it (logrotate's `copytruncate`).
    pub(super) fn look(&mut self) {
        if self.rotation.is_on()
            && let Some(open) = &mut self.open
            && let Ok(meta) = open.file.metadata()
        {
            open.size = meta.len();
        }
    }

    /// Whether the file is to be put away by time.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.is_fresh()
            && self.may_rotate(now)
            && self.next_turn.is_some_and(|turn| SystemTime::now() >= turn)
    }

    /// Bytes that the file may still take before it is put away.
    pub(super) fn room(&self, now: Instant) -> u64 {
        let Some(open) = self.open.as_ref().filter(|_| self.may_rotate(now)) else {
            return u64::MAX;
        };
        self.rotation.size.map_or(u64::MAX, |size| size.saturating_sub(open.size))
    }

    fn may_rotate(&self, now: Instant) -> bool {
        self.open.as_ref().is_some_and(|open| open.regular)
            && self.not_before.is_none_or(|then| now >= then)
    }

    /// Whether no record is in the file: one that does not fit will not fit into the next one either.
    pub(super) fn is_fresh(&self) -> bool {
        self.open.as_ref().is_none_or(|open| open.size <= open.begin)
    }

    /// Puts the file away and opens a new one. Where the first does not work, the old one stays open, and
    /// the error comes in the inner result.
    pub(super) fn rotate(&mut self, now: Instant) -> io::Result<io::Result<()>> {
        let Some(open) = &self.open else { return Ok(Ok(())) };
        if let Some(interval) = self.rotation.interval {
            self.next_turn = Some(rotation::next_turn(SystemTime::now(), interval));
        }
        let path = open.path.clone();
        if let Err(error) = rotation::put_away(&path, open.id, SystemTime::now()) {
            self.not_before = Some(now + RETRY);
            return Ok(Err(error));
        }
        self.not_before = None;
        self.open()?;
        self.sweep(&path);
        Ok(Ok(()))
    }

    /// Has the old files looked after.
    fn sweep(&self, path: &Path) {
        if let Some(sweeper) = &self.sweeper {
            sweeper.sweep(path, &self.rotation);
        }
    }

    /// The same at the start, for what an earlier run left.
    pub(super) fn sweep_old(&self) {
        if let Some(open) = self.open.as_ref().filter(|open| open.regular) {
            self.sweep(&open.path);
        }
    }

    /// When the file is to be put away by time, where it has records.
    pub(super) fn turn(&self) -> Option<SystemTime> {
        self.next_turn.filter(|_| !self.is_fresh())
    }

    /// Cuts the last bytes off, the written part of a record. False: they are not to be had back.
    pub(super) fn cut_back(&mut self, bytes: usize) -> bool {
        let Some(open) = self.open.as_mut().filter(|open| open.regular) else { return false };
        let Ok(meta) = open.file.metadata() else { return false };
        let Some(size) = meta.len().checked_sub(bytes as u64) else { return false };
        let done = open.file.set_len(size).is_ok();
        if done {
            open.size = size;
        }
        done
    }

    /// Where the regular file is, without symbolic links.
    pub(super) fn real_path(&self) -> Option<&Path> {
        self.open.as_ref().filter(|open| open.regular).map(|open| open.path.as_path())
    }

    /// Gives an empty regular file of this process's user, which nobody but it can have made, to another.
    pub(super) fn give_to(&self, user: u32, group: u32) -> io::Result<()> {
        let Some(Open { file, .. }) = self.open.as_ref().filter(|open| open.regular) else {
            return Ok(());
        };
        let meta = file.metadata()?;
        if meta.len() == 0 && meta.uid() == nix::unistd::geteuid().as_raw() {
            fchown(file, Some(user), Some(group))?;
        }
        Ok(())
    }

    /// Whether the path is a FIFO: opening one that nobody reads fails until somebody does.
    pub(super) fn is_fifo(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|meta| meta.file_type().is_fifo())
    }

    /// Whether two targets are the same regular file.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        match (&self.open, &other.open) {
            (Some(a), Some(b)) => a.regular && a.id == b.id,
            _ => false,
        }
    }

    /// Whether the open file has no name any more: what is written to it is lost to everybody.
    pub(super) fn is_deleted(&self) -> bool {
        let open = self.open.as_ref().filter(|open| open.regular);
        open.is_some_and(|open| open.file.metadata().is_ok_and(|meta| meta.nlink() == 0))
    }

    /// One write(2). `WouldBlock` where it would have to wait and the policy is not to.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(open) = &mut self.open else { return Err(io::ErrorKind::NotConnected.into()) };
        let written = open.file.write(bytes)?;
        open.size += written as u64;
        Ok(written)
    }
}

/// What the file has behind its last line feed, if anything. Where it may not be read: assume that all is
/// well.
fn half_line(path: &Path, id: (u64, u64)) -> Option<Vec<u8>> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let meta = file.metadata()?;
        if (meta.dev(), meta.ino()) != id {
            return Ok(Vec::new());
        }
        // Most files end well.
        file.seek(SeekFrom::End(-1))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        if end != b"\n" {
            end.clear();
            file.seek(SeekFrom::Start(meta.len().saturating_sub(MAX_LINE)))?;
            file.read_to_end(&mut end)?;
        }
        Ok(end)
    };
    let mut end = read().ok()?;
    let line = memchr::memrchr(b'\n', &end).map_or(0, |at| at + 1);
    end.drain(..line);
    Some(end).filter(|end| !end.is_empty())
}
