//! What the process may still do once the programs are attached: almost nothing.
//!
//! From then on it decodes what anybody sends. Should somebody find a way in, he finds a process that
//! is nobody, without capabilities, that sees the folders of its rules and logs and nothing else
//! (`landlock`), and that can neither run a program, nor load one into the kernel, nor speak to the
//! network (`seccomp`). Attached programs cannot be moved: their descriptors are closed by then, and a
//! link does not give its program back.
//!
//! **Order.** The folders are opened, as long as that is allowed; the bounding set is emptied, which
//! takes a right that goes with the user; the user changes; the capabilities go; then Landlock, whose
//! calls the last step forbids; and seccomp. **Threads.** Capabilities and Landlock belong to a thread
//! and to those it starts: [`Sandbox::enter`] is called before there is a second one, and makes sure of it.
//!
//! An old kernel may lack Landlock, or parts of it. What was left out is in the [`Report`], which is for the
//! log: nobody shall believe in a wall that does not stand.

mod landlock;
mod seccomp;

use std::fs;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use super::privilege::{self, Identity};
use crate::cli::exit::{Code, Failure};

/// What shall stay allowed, and who is to be become.
#[derive(Clone, Debug, Default)]
pub struct Sandbox {
    /// The user to become; `None`: the process stays who it is.
    pub identity: Option<Identity>,
    /// Folders with all below them, and files, to read.
    pub read: Vec<PathBuf>,
    /// Folders with all below them, to read, write, create and remove files; and files to write.
    pub write: Vec<PathBuf>,
    /// An output sends over the network: TCP and UDP sockets stay allowed.
    pub network: bool,
    /// Restrict files to the paths above.
    pub landlock: bool,
    /// Restrict the system calls.
    pub seccomp: bool,
}

/// What was done, in words, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In force, for one line: `no capabilities, Landlock (version 7), seccomp`.
    pub in_force: Vec<String>,
    /// Missing, a sentence each.
    pub missing: Vec<String>,
}

impl Sandbox {
    /// Enters, for good.
    ///
    /// # Errors
    /// A step failed that every kernel can do, the process may not become the user, or it has other
    /// threads already.
    pub fn enter(&self) -> Result<Report, Failure> {
        let failed = |step: &str, error: &dyn std::fmt::Display| {
            Failure::new(Code::Software, format!("cannot give up rights: {step}: {error}."))
        };
        if threads().is_some_and(|count| count != 1) {
            return Err(failed("threads", &"others were started before; this is a bug in nids"));
        }
        let mut report = Report::default();
        let folders = match self.landlock {
            true => Some(landlock::Folders::open(&self.read, &self.write)),
            false => None,
        };
        let bounded = privilege::drop_bounding_set();
        if let Some(identity) = &self.identity {
            identity.assume()?;
            report.in_force.push(format!("user {}", identity.name()));
        }
        privilege::drop_capabilities().map_err(|error| failed("capabilities", &error))?;
        privilege::no_new_privileges().map_err(|error| failed("no_new_privs", &error))?;
        report.in_force.push(match bounded {
            true => "no capabilities".to_owned(),
            false => {
                "no capabilities (the bounding set stays as the service manager left it)".into()
            }
        });
        match folders {
            None => report.missing.push("Landlock is switched off".into()),
            Some(folders) => {
                folders.restrict(self.network, &mut report).map_err(|e| failed("Landlock", &e))?
            }
        }
        match self.seccomp {
            false => report.missing.push("the filter of system calls is switched off".into()),
            true => {
                seccomp::restrict(self.network, &mut report).map_err(|e| failed("seccomp", &e))?
            }
        }
        Ok(report)
    }
}

/// Number of threads of this process; `None` where /proc does not tell.
fn threads() -> Option<usize> {
    Some(fs::read_dir("/proc/self/task").ok()?.count())
}

/// The folder in which a file of this path would be: what has to stay open to find the file again after
/// somebody replaced it. The root folder is none: it would open everything.
pub fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
        Some(folder) if folder.parent().is_some() => folder.to_owned(),
        _ => file.to_owned(),
    }
}

/// Whether the process may open this log again: write it where it is, and make it anew where it was moved
/// away.
pub fn can_reopen(log: &Path) -> bool {
    let may = |path: &Path, what| faccessat(AT_FDCWD, path, what, AtFlags::AT_EACCESS).is_ok();
    // A FIFO or a device stays where it is.
    let replaced = fs::metadata(log).is_ok_and(|meta| meta.is_file());
    let folder = log.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    may(log, AccessFlags::W_OK) && (!replaced || may(folder, AccessFlags::W_OK | AccessFlags::X_OK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_file_never_is_the_root() {
        for (file, folder) in [
            ("/etc/nids/a.rules", "/etc/nids"),
            ("rules/a.rules", "rules"),
            ("a.rules", "."),
            ("/a.rules", "/a.rules"),
            ("/", "/"),
        ] {
            assert_eq!(folder_of(Path::new(file)), Path::new(folder), "{file}");
        }
    }
}
