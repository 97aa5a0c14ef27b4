//! What a sink writes to: standard output, or a path that may be a file, a FIFO or a device.
//!
//! Nothing here waits when the policy is to count: a FIFO without a reader, or a terminal that was
//! stopped, must not hold up the other sinks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Policy;

/// Alerts tell of a network's inside: the owner writes, the group (of the log reader) may read.
const MODE: u32 = 0o640;

/// A pipe that polls writable takes this much without waiting (PIPE_BUF, pipe(7)).
const PIPE_BUF: usize = 4096;

/// Where lines go.
#[derive(Debug)]
pub(super) struct Target {
    place: Place,
    policy: Policy,
}

#[derive(Debug)]
enum Place {
    Stdout(io::Stdout),
    Path { path: PathBuf, open: Option<Open> },
}

#[derive(Debug)]
struct Open {
    file: File,
    id: (u64, u64),
    regular: bool,
}

/// What became of the line that was half written before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resume {
    /// Its first half is there still: go on behind it.
    Continue,
    /// Write it again from its beginning.
    Restart,
}

impl Target {
    pub(super) fn stdout(policy: Policy) -> Self {
        Self { place: Place::Stdout(io::stdout()), policy }
    }

    /// A path, not opened yet.
    pub(super) fn path(path: PathBuf, policy: Policy) -> Self {
        Self { place: Place::Path { path, open: None }, policy }
    }

    /// Standard output cannot be opened again once it is closed.
    pub(super) fn can_reopen(&self) -> bool {
        matches!(self.place, Place::Path { .. })
    }

    /// Opens the path, creating it where it is missing. A half line at its end, left by a full disk
    /// or a killed process, is either ours to go on with or is ended.
    pub(super) fn open(&mut self) -> io::Result<Resume> {
        let Place::Path { path, open } = &mut self.place else { return Ok(Resume::Continue) };
        let before = open.take().map(|open| open.id);
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(MODE);
        let mut flags = libc::O_NOCTTY;
        if self.policy == Policy::Count {
            flags |= libc::O_NONBLOCK;
        }
        let mut file = options.custom_flags(flags).open(&*path)?;
        let meta = file.metadata()?;
        let id = (meta.dev(), meta.ino());
        let regular = meta.is_file();
        let half_line = regular && meta.len() > 0 && ends_in_half_line(path, id);
        let resume = if half_line && before == Some(id) {
            Resume::Continue
        } else {
            if half_line {
                file.write_all(b"\n")?;
            }
            Resume::Restart
        };
        *open = Some(Open { file, id, regular });
        Ok(resume)
    }

    /// Gives an empty regular file of this process's user, which nobody but it can have made, to another.
    pub(super) fn give_to(&self, user: u32, group: u32) -> io::Result<()> {
        let Place::Path { open: Some(Open { file, regular: true, .. }), .. } = &self.place else {
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
        match &self.place {
            Place::Stdout(_) => false,
            Place::Path { path, .. } => fs::metadata(path).is_ok_and(|m| m.file_type().is_fifo()),
        }
    }

    /// Whether two targets are the same regular file.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        match (&self.place, &other.place) {
            (Place::Path { open: Some(a), .. }, Place::Path { open: Some(b), .. }) => {
                a.regular && a.id == b.id
            }
            _ => false,
        }
    }

    /// Whether the open file has no name any more: what is written to it is lost to everybody.
    pub(super) fn is_deleted(&self) -> bool {
        match &self.place {
            Place::Path { open: Some(open), .. } if open.regular => {
                open.file.metadata().is_ok_and(|meta| meta.nlink() == 0)
            }
            _ => false,
        }
    }

    /// One write(2). `WouldBlock` where it would have to wait and the policy is not to.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.place {
            Place::Path { open: Some(open), .. } => open.file.write(bytes),
            Place::Path { open: None, .. } => Err(io::ErrorKind::NotConnected.into()),
            // The terminal or pipe is shared with other programs, so O_NONBLOCK is not ours to set.
            Place::Stdout(stdout) => {
                let fd = stdout.as_fd();
                let bytes = if self.policy == Policy::Count {
                    if !is_writable(fd)? {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                    bytes.get(..PIPE_BUF).unwrap_or(bytes)
                } else {
                    bytes
                };
                nix::unistd::write(fd, bytes).map_err(io::Error::from)
            }
        }
    }
}

fn is_writable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
    // An error condition counts as writable: write(2) then says which.
    Ok(poll(&mut fds, PollTimeout::ZERO)? > 0)
}

/// Whether the file's last byte is not a line feed. Where it may not be read: assume that all is well.
fn ends_in_half_line(path: &Path, id: (u64, u64)) -> bool {
    let last = || -> io::Result<u8> {
        let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let meta = file.metadata()?;
        if (meta.dev(), meta.ino()) != id {
            return Ok(b'\n');
        }
        file.seek(SeekFrom::End(-1))?;
        let mut byte = [b'\n'];
        file.read_exact(&mut byte)?;
        Ok(byte[0])
    };
    last().is_ok_and(|byte| byte != b'\n')
}
