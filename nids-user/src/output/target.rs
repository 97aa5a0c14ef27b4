//! What a sink writes to: standard output, a path, or a socket.
//!
//! Nothing here waits when the policy is to count: a terminal that was stopped must not hold up the other
//! sinks.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Policy;
use super::file::FileTarget;
use super::socket::Socket;

/// A pipe that polls writable takes this much without waiting (PIPE_BUF, pipe(7)).
const PIPE_BUF: usize = 4096;

/// Where records go.
#[derive(Debug)]
pub(super) enum Target {
    Stdout(io::Stdout, Policy),
    File(Box<FileTarget>),
    Socket(Socket),
}

/// What became of the record that was half written before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resume {
    /// Its first half is there still: go on behind it.
    Continue,
    /// Write it again from its beginning.
    Restart,
}

impl Target {
    /// Standard output cannot be opened again once it is closed.
    pub(super) fn can_reopen(&self) -> bool {
        !matches!(self, Self::Stdout(..))
    }

    /// Opens it, or begins to connect.
    pub(super) fn open(&mut self) -> io::Result<Resume> {
        match self {
            Self::Stdout(..) => Ok(Resume::Continue),
            Self::File(file) => file.open(),
            Self::Socket(socket) => socket.open().map(|()| Resume::Restart),
        }
    }

    /// Whether nobody is there to read yet, and somebody may be later.
    pub(super) fn may_come(&self, error: &io::Error) -> bool {
        match self {
            Self::Stdout(..) => false,
            Self::File(file) => error.raw_os_error() == Some(libc::ENXIO) && file.is_fifo(),
            Self::Socket(_) => true,
        }
    }

    /// Where the regular file is, without symbolic links.
    pub(super) fn real_path(&self) -> Option<&Path> {
        match self {
            Self::File(file) => file.real_path(),
            Self::Stdout(..) | Self::Socket(_) => None,
        }
    }

    /// Gives a file that is new to another user.
    pub(super) fn give_to(&self, user: u32, group: u32) -> io::Result<()> {
        match self {
            Self::File(file) => file.give_to(user, group),
            Self::Stdout(..) | Self::Socket(_) => Ok(()),
        }
    }

    /// Whether two targets are the same regular file.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => one.is_same_file(other),
            _ => false,
        }
    }

    /// Whether what is written is lost to everybody.
    pub(super) fn is_deleted(&self) -> bool {
        matches!(self, Self::File(file) if file.is_deleted())
    }

    /// Whether each record is a message of its own.
    pub(super) fn is_datagram(&self) -> bool {
        matches!(self, Self::Socket(socket) if socket.is_datagram())
    }

    pub(super) fn is_socket(&self) -> bool {
        matches!(self, Self::Socket(_))
    }

    /// Whether a connection is still being made.
    pub(super) fn is_connecting(&self) -> bool {
        matches!(self, Self::Socket(socket) if socket.is_connecting())
    }

    pub(super) fn file(&mut self) -> Option<&mut FileTarget> {
        match self {
            Self::File(file) => Some(file),
            Self::Stdout(..) | Self::Socket(_) => None,
        }
    }

    /// One write(2) or send(2). `WouldBlock` where it would have to wait and the policy is not to.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Socket(socket) => socket.write(bytes),
            // The terminal or pipe is shared with other programs, so O_NONBLOCK is not ours to set.
            Self::Stdout(stdout, policy) => {
                let fd = stdout.as_fd();
                let bytes = if *policy == Policy::Count {
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
