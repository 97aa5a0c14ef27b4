//! Reads an alert log as it grows: `nids alerts`, and programs that embed the sensor.
//!
//! The log is polled, ten times a second, and not watched with inotify: polling also works on network
//! and overlay file systems, has no queue that can overflow, and costs one read(2) and one stat(2)
//! a turn. Rotation by renaming is followed without losing a line; of a truncated file only what
//! was written after the truncation is certain to be seen.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Duration;

use super::logged::Line;
pub use super::logged::LoggedAlert;

/// Time between two looks at the file.
pub const POLL: Duration = Duration::from_millis(100);
/// Longest line; a longer one is skipped.
const MAX_LINE: usize = 1 << 20;
/// Bytes of one read(2).
const CHUNK: usize = 64 << 10;

/// The alerts of a log, from its beginning, and on as it grows.
///
/// [`Follower::poll`] gives what is there; as an [`Iterator`] it waits for more and never ends.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    file: Option<File>,
    /// Bytes read from the file.
    offset: u64,
    /// What was read and not yet handed out; begins at a line.
    buffer: Vec<u8>,
    /// Where the next line begins in it.
    start: usize,
    /// The rest of the present line is to be skipped.
    overlong: bool,
    unreadable: u64,
}

impl Follower {
    /// Follows a log that is there.
    ///
    /// # Errors
    /// What open(2) says, and `IsADirectory`.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let mut follower = Self::wait_for(path);
        follower.file = Some(open(&follower.path)?);
        Ok(follower)
    }

    /// Follows a log that may appear later.
    pub fn wait_for(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            file: None,
            offset: 0,
            buffer: Vec::new(),
            start: 0,
            overlong: false,
            unreadable: 0,
        }
    }

    /// The next alert that is there, `None` where there is no further whole line at present.
    ///
    /// # Errors
    /// What read(2) or open(2) says; a missing file is no error, it may come back.
    pub fn poll(&mut self) -> io::Result<Option<LoggedAlert>> {
        loop {
            while let Some(line) = self.next_line() {
                let line = self.buffer.get(line).unwrap_or_default();
                match Line::parse(line) {
                    Line::Alert(alert) => return Ok(Some(*alert)),
                    Line::Other => {}
                    Line::Unreadable => self.unreadable += 1,
                }
            }
            if !self.fill()? && !self.turn_over()? {
                return Ok(None);
            }
        }
    }

    /// Lines that were neither an alert nor another EVE event.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// The range of the next whole line in the buffer.
    fn next_line(&mut self) -> Option<std::ops::Range<usize>> {
        loop {
            let begin = self.start;
            let length = memchr::memchr(b'\n', self.buffer.get(begin..)?)?;
            self.start = begin + length + 1;
            if std::mem::take(&mut self.overlong) {
                continue;
            }
            return Some(begin..begin + length);
        }
    }

    /// Reads on; false at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(file) = &mut self.file else { return Ok(false) };
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.len() > MAX_LINE {
            if !self.overlong {
                self.overlong = true;
                self.unreadable += 1;
            }
            self.buffer.clear();
        }
        let read = file.take(CHUNK as u64).read_to_end(&mut self.buffer);
        match read {
            Ok(read) => {
                self.offset += read as u64;
                Ok(read > 0)
            }
            // A FIFO whose writer pauses.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// At the end of the file: whether there is a new file, or the old one began anew.
    fn turn_over(&mut self) -> io::Result<bool> {
        let there = match fs::metadata(&self.path) {
            Ok(there) => there,
            Err(error) if is_missing(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        let Some(file) = &mut self.file else {
            return self.change_to_new();
        };
        let ours = file.metadata()?;
        if id(&ours) == id(&there) {
            if ours.is_file() && ours.len() < self.offset {
                file.seek(SeekFrom::Start(0))?;
                self.forget();
                return Ok(true);
            }
            return Ok(false);
        }
        // A new file that is still empty: logrotate made it, and the writer may still be at the old
        // one. Once it has bytes, the old one is complete: read it to its end, then leave it.
        if there.is_file() && there.len() == 0 {
            return Ok(false);
        }
        if self.fill()? {
            return Ok(true);
        }
        self.change_to_new()
    }

    fn change_to_new(&mut self) -> io::Result<bool> {
        match open(&self.path) {
            Ok(file) => {
                self.forget();
                self.file = Some(file);
                Ok(true)
            }
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What is left of the old file is half a line: nobody will complete it.
    fn forget(&mut self) {
        if self.buffer.len() > self.start && !self.overlong {
            self.unreadable += 1;
        }
        self.buffer.clear();
        self.start = 0;
        self.offset = 0;
        self.overlong = false;
    }
}

impl Iterator for Follower {
    type Item = io::Result<LoggedAlert>;

    /// Waits for the next alert.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.poll() {
                Ok(Some(alert)) => return Some(Ok(alert)),
                Ok(None) => std::thread::sleep(POLL),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

fn open(path: &std::path::Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn id(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}
