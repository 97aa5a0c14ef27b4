//! The socket's place in the file system: made before rights are given up, gone with the sensor.
//!
//! The socket is made under another name, with its mode and owner, and then moved to its place: whoever
//! sees it there can use it. One that nobody listens on any more is replaced, one that somebody does is not.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid};
use thiserror::Error;

/// Owner and group may use it.
const MODE: u32 = 0o660;

/// Why there is no control socket.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another sensor answers there.
    #[error("another sensor listens on {}; name another place with --set control.socket=PATH", .0.display())]
    Busy(PathBuf),
    /// Something else is there.
    #[error("{} is there already and no socket, so it stays", .0.display())]
    NotASocket(PathBuf),
    /// The path names no file.
    #[error("{} is no path of a file", .0.display())]
    NoFile(PathBuf),
    /// The system refuses.
    #[error("the control socket {} cannot be made: {error}", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// The listening socket. Its file goes with it, unless another one is in its place by then.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    file: (u64, u64),
}

impl Listener {
    /// Makes the socket for `owner`, and its folder where that is missing.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind(path: &Path, owner: (Uid, Gid)) -> Result<Self, ListenError> {
        let failed = |error| ListenError::Io { path: path.to_owned(), error };
        let (Some(folder), Some(_)) = (path.parent(), path.file_name()) else {
            return Err(ListenError::NoFile(path.to_owned()));
        };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        make_folder(folder, owner).map_err(failed)?;
        check_free(path)?;
        let aside = folder.join(format!(".nids-{}", std::process::id()));
        let _ = fs::remove_file(&aside);
        let bound = Self::bind_aside(&aside, path, owner);
        if bound.is_err() {
            let _ = fs::remove_file(&aside);
        }
        bound.map_err(failed)
    }

    fn bind_aside(aside: &Path, path: &Path, (user, group): (Uid, Gid)) -> io::Result<Self> {
        let socket = UnixListener::bind(aside)?;
        // Nobody can connect in between: for all but the owner of the folder that needs the right to write,
        // which no usual umask leaves to others, and the socket is not at its place yet.
        fs::set_permissions(aside, Permissions::from_mode(MODE))?;
        chown(aside, Some(user.as_raw()), Some(group.as_raw()))?;
        socket.set_nonblocking(true)?;
        let file = identity(aside)?;
        fs::rename(aside, path)?;
        Ok(Self { socket, path: path.to_owned(), file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The socket itself, not blocking.
    ///
    /// # Errors
    /// The process is out of descriptors.
    pub(super) fn socket(&self) -> io::Result<UnixListener> {
        self.socket.try_clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            // Where the folder belongs to somebody else it stays, and the next sensor replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// The last folder only: a mistyped path shall not make a tree.
fn make_folder(folder: &Path, (user, group): (Uid, Gid)) -> io::Result<()> {
    match DirBuilder::new().mode(0o755).create(folder) {
        Ok(()) => chown(folder, Some(user.as_raw()), Some(group.as_raw())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether nobody is at this place whom one must not push aside.
fn check_free(path: &Path) -> Result<(), ListenError> {
    let io = |error| ListenError::Io { path: path.to_owned(), error };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ListenError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ListenError::Busy(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        // Its queue is full: somebody is there.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(ListenError::Busy(path.to_owned()))
        }
        Err(error) => Err(io(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> (Uid, Gid) {
        (Uid::effective(), Gid::effective())
    }

    #[test]
    fn it_has_its_mode_and_goes_with_the_sensor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/control.sock");
        let listener = Listener::bind(&path, me()).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, MODE);
        assert_eq!((metadata.uid(), metadata.gid()), (me().0.as_raw(), me().1.as_raw()));
        assert!(UnixStream::connect(&path).is_ok());
        drop(listener);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 0);
    }

    #[test]
    fn a_live_one_stays_and_a_dead_one_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let first = Listener::bind(&path, me()).unwrap();
        assert!(matches!(Listener::bind(&path, me()), Err(ListenError::Busy(_))));
        assert!(UnixStream::connect(&path).is_ok(), "it was pushed aside");
        drop(first);
        // Killed: the file stays, and nobody listens.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let next = Listener::bind(&path, me()).unwrap();
        assert!(UnixStream::connect(next.path()).is_ok());
    }

    #[test]
    fn what_is_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        fs::write(&path, "precious").unwrap();
        let error = Listener::bind(&path, me()).unwrap_err();
        assert!(matches!(error, ListenError::NotASocket(_)), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let deep = folder.path().join("a/b/control.sock");
        assert!(matches!(Listener::bind(&deep, me()), Err(ListenError::Io { .. })));
        assert!(!folder.path().join("a").exists());
        assert!(matches!(Listener::bind(Path::new("/"), me()), Err(ListenError::NoFile(_))));
    }

    #[test]
    fn another_one_in_its_place_is_not_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let old = Listener::bind(&path, me()).unwrap();
        fs::remove_file(&path).unwrap();
        let _new = UnixListener::bind(&path).unwrap();
        drop(old);
        assert!(path.exists());
    }
}
