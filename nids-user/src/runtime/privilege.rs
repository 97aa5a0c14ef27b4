//! Giving up root once it is not needed any more: after the programs are attached.
//!
//! What stays is what the open descriptors allow: reading rings, updating maps, writing outputs. The
//! files that are opened again later (rules on reload, logs on reopen) must be open to the user.

use nix::unistd::{Gid, Group, Uid, User, setgid, setgroups, setuid};

use crate::cli::exit::{Code, Failure};

/// Somebody to become.
#[derive(Clone, Debug)]
pub struct Identity {
    name: String,
    user: Uid,
    group: Gid,
}

impl Identity {
    /// Looks the user up by name, or by number where no user has that name.
    ///
    /// # Errors
    /// [`Code::Config`] where there is no such user.
    pub fn find(name: &str) -> Result<Self, Failure> {
        let by_number =
            || name.parse().ok().and_then(|id| User::from_uid(Uid::from_raw(id)).ok())?;
        let found = User::from_name(name).ok().flatten().or_else(by_number);
        let Some(User { name, uid, gid, .. }) = found else {
            return Err(Failure::new(Code::Config, format!("there is no user {name}.")));
        };
        Ok(Self { name, user: uid, group: gid })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user and his group.
    pub fn ids(&self) -> (Uid, Gid) {
        (self.user, self.group)
    }

    /// Becomes the user, with his own group only and no way back; every thread of the process does.
    ///
    /// # Errors
    /// [`Code::NoPermission`] where the process may not.
    pub fn assume(&self) -> Result<(), Failure> {
        let failed = |step: &str, error: nix::Error| {
            let name = &self.name;
            let text = format!("cannot become the user {name} ({step}: {error}).");
            Failure::new(Code::NoPermission, text)
        };
        setgroups(&[self.group]).map_err(|error| failed("setgroups", error))?;
        setgid(self.group).map_err(|error| failed("setgid", error))?;
        setuid(self.user).map_err(|error| failed("setuid", error))?;
        if !self.user.is_root() && setuid(Uid::from_raw(0)).is_ok() {
            return Err(failed("setuid", nix::Error::EPERM));
        }
        Ok(())
    }

    /// The name of the user's own group, for messages.
    pub fn group_name(&self) -> Option<String> {
        Group::from_gid(self.group).ok().flatten().map(|group| group.name)
    }
}

/// Forbids this process, and all threads it starts from now on, to gain rights by running a program.
///
/// # Errors
/// The kernel does not know the call.
pub fn no_new_privileges() -> Result<(), Failure> {
    // SAFETY: takes no pointers.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    if result == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Failure::new(Code::Software, format!("cannot set no_new_privs: {error}.")))
}
