//! Sockets that an output writes to: Unix (stream and datagram), UDP, TCP.
//!
//! They are never waited for when the policy is to count: a connection is begun and looked at again, and
//! what a receiver does not take stays with the sink. Of what the kernel has taken but not delivered when
//! a connection breaks nothing is known; that is the nature of these protocols without acknowledgment.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, connect,
    getsockopt, recv, send, setsockopt, socket, sockopt,
};

use super::Policy;
use super::settings::{FileType, OutputSettings, Server};

/// For a connection to be made, and for what was sent to be acknowledged.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who listens.
#[derive(Debug)]
enum Peer {
    UnixStream(PathBuf),
    UnixDatagram(PathBuf),
    Udp(Vec<SocketAddr>),
    Tcp(Vec<SocketAddr>),
}

/// A socket, connected or not.
#[derive(Debug)]
pub(super) struct Socket {
    peer: Peer,
    policy: Policy,
    state: State,
    /// Which of several addresses is tried next.
    turn: usize,
}

#[derive(Debug)]
enum State {
    Closed,
    /// Since then.
    Connecting(OwnedFd, Instant),
    Connected(OwnedFd),
}

impl Socket {
    /// Not connected yet. Names are looked up here.
    pub(super) fn new(output: &OutputSettings, policy: Policy) -> io::Result<Self> {
        let path = || output.filename.clone().unwrap_or_default();
        let peer = match (output.file_type, &output.syslog.server) {
            (FileType::UnixStream, _) => Peer::UnixStream(path()),
            (FileType::Syslog, Server::Unix(path)) => Peer::UnixDatagram(path.clone()),
            (FileType::Syslog, Server::Udp(name)) => Peer::Udp(addresses(name)?),
            (FileType::Syslog, Server::Tcp(name)) => Peer::Tcp(addresses(name)?),
            _ => Peer::UnixDatagram(path()),
        };
        Ok(Self { peer, policy, state: State::Closed, turn: 0 })
    }

    /// Whether each record is a message of its own.
    pub(super) fn is_datagram(&self) -> bool {
        matches!(self.peer, Peer::UnixDatagram(_) | Peer::Udp(_))
    }

    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting(..))
    }

    /// Connects anew, or begins to. A connection that is being made goes on.
    pub(super) fn open(&mut self) -> io::Result<()> {
        if self.is_connecting() {
            return Ok(());
        }
        self.state = State::Closed;
        let turn = self.turn;
        self.turn = turn.wrapping_add(1);
        let kind = if self.is_datagram() { SockType::Datagram } else { SockType::Stream };
        let address: Box<dyn SockaddrLike> = match &self.peer {
            Peer::UnixStream(path) | Peer::UnixDatagram(path) => {
                Box::new(UnixAddr::new(path.as_path())?)
            }
            Peer::Udp(addresses) | Peer::Tcp(addresses) => Box::new(one_of(addresses, turn)?),
        };
        let family = address.family().unwrap_or(AddressFamily::Unix);
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(family, kind, flags, None)?;
        if matches!(self.peer, Peer::Tcp(_)) {
            // A receiver that is gone without a word shows only by what it does not acknowledge.
            let patience = u32::try_from(PATIENCE.as_millis()).unwrap_or(u32::MAX);
            setsockopt(&fd, sockopt::TcpUserTimeout, &patience)?;
        }
        let begun = match connect(fd.as_raw_fd(), &*address) {
            Ok(()) => {
                self.state = State::Connected(fd);
                return Ok(());
            }
            Err(Errno::EINPROGRESS) => Instant::now(),
            Err(error) => return Err(error.into()),
        };
        self.state = State::Connecting(fd, begun);
        match self.connected() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => other,
        }
    }

    /// Whether the connection is made by now.
    fn connected(&mut self) -> io::Result<()> {
        let (fd, begun) = match std::mem::replace(&mut self.state, State::Closed) {
            State::Closed => return Err(io::ErrorKind::NotConnected.into()),
            State::Connected(fd) => {
                self.state = State::Connected(fd);
                return Ok(());
            }
            State::Connecting(fd, begun) => (fd, begun),
        };
        let left = PATIENCE.saturating_sub(begun.elapsed());
        let wait = match self.policy {
            Policy::Block => PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX),
            Policy::Count => PollTimeout::ZERO,
        };
        if ready(fd.as_fd(), wait)?.is_empty() {
            if left.is_zero() || self.policy == Policy::Block {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.state = State::Connecting(fd, begun);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match getsockopt(&fd, sockopt::SocketError)? {
            0 => {
                self.state = State::Connected(fd);
                Ok(())
            }
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// One send(2). `WouldBlock` where it would have to wait and the policy is not to.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.connected()?;
        let State::Connected(fd) = &self.state else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let result = loop {
            // What is sent behind the end of a connection would be taken, and lost.
            if !self.is_datagram() && hung_up(fd.as_fd()) {
                break Err(io::ErrorKind::ConnectionReset.into());
            }
            match send(fd.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL) {
                Err(Errno::EAGAIN | Errno::ENOBUFS) if self.policy == Policy::Block => {
                    ready(fd.as_fd(), PollTimeout::from(100_u8))?;
                }
                Err(Errno::EAGAIN | Errno::ENOBUFS) => {
                    break Err(io::ErrorKind::WouldBlock.into());
                }
                other => break other.map_err(io::Error::from),
            }
        };
        let gone = |error: &io::Error| {
            error.kind() != io::ErrorKind::WouldBlock
                && error.raw_os_error() != Some(libc::EMSGSIZE)
        };
        if result.as_ref().is_err_and(gone) {
            self.state = State::Closed;
        }
        result
    }
}

fn addresses(name: &str) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<_> = name.to_socket_addrs()?.collect();
    match found.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::NotFound, "no address has this name")),
        false => Ok(found),
    }
}

fn one_of(addresses: &[SocketAddr], turn: usize) -> io::Result<SockaddrStorage> {
    let at = turn.checked_rem(addresses.len()).unwrap_or(0);
    let address = addresses.get(at).ok_or(io::ErrorKind::NotFound)?;
    Ok(SockaddrStorage::from(*address))
}

/// Whether the other end is closed. (nix does not know POLLRDHUP.)
fn hung_up(fd: BorrowedFd<'_>) -> bool {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    !matches!(recv(fd.as_raw_fd(), &mut [0], flags), Ok(1..) | Err(Errno::EAGAIN | Errno::EINTR))
}

/// What it is ready for, or failed with.
fn ready(fd: BorrowedFd<'_>, wait: PollTimeout) -> io::Result<PollFlags> {
    let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
    loop {
        match poll(&mut fds, wait) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(fds[0].revents().unwrap_or(PollFlags::empty())),
        }
    }
}
