//! Giving up root once it is not needed any more: after the programs are attached.
//!
//! [`Identity`] is the user and group to become; capabilities go separately ([`drop_capabilities`]),
//! since a process may have some without being root. What stays is what the open descriptors allow:
//! reading rings, updating maps, writing outputs. What is forbidden on top is left to `sandbox`.

use std::io;

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
    /// Looks the user and the group up by name, or by number where nobody has that name. Without a
    /// group it is the user's own.
    ///
    /// # Errors
    /// [`Code::Config`] where there is no such user or group.
    pub fn find(name: &str, group: Option<&str>) -> Result<Self, Failure> {
        let nobody = |kind, name| Failure::new(Code::Config, format!("there is no {kind} {name}."));
        let by_number =
            || name.parse().ok().and_then(|id| User::from_uid(Uid::from_raw(id)).ok())?;
        let found = User::from_name(name).ok().flatten().or_else(by_number);
        let Some(User { name, uid, gid, .. }) = found else { return Err(nobody("user", name)) };
        let group = match group {
            None => gid,
            Some(group) => {
                let by_number = || group.parse().ok().map(Gid::from_raw);
                let found = Group::from_name(group).ok().flatten().map(|found| found.gid);
                found.or_else(by_number).ok_or_else(|| nobody("group", group))?
            }
        };
        Ok(Self { name, user: uid, group })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user's and the group's number.
    pub fn ids(&self) -> (u32, u32) {
        (self.user.as_raw(), self.group.as_raw())
    }

    /// Becomes the user, with this one group only and no way back; every thread of the process does. A
    /// process that is this user already, as a service manager starts it, needs no right for that.
    ///
    /// # Errors
    /// [`Code::NoPermission`] where the process may not.
    pub fn assume(&self) -> Result<(), Failure> {
        if (Uid::effective(), Gid::effective()) == (self.user, self.group)
            && (Uid::current(), Gid::current()) == (self.user, self.group)
            && !self.user.is_root()
        {
            return Ok(());
        }
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
}

/// Forbids this process, and all threads it starts from now on, to gain rights by running a program.
///
/// # Errors
/// The kernel does not know the call.
pub fn no_new_privileges() -> io::Result<()> {
    control(libc::PR_SET_NO_NEW_PRIVS, 1, 0)
}

/// Empties the bounding set of the calling thread: no program it runs can have a capability. This takes
/// CAP_SETPCAP, which root has; gives false where the process does not have it.
pub fn drop_bounding_set() -> bool {
    for capability in 0..=63 {
        match control(libc::PR_CAPBSET_DROP, capability, 0) {
            Ok(()) => {}
            // The first number that no capability has.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return capability > 0,
            Err(_) => return false,
        }
    }
    true
}

/// Empties the effective, permitted, inheritable and ambient sets of the calling thread, and so of those it
/// starts.
///
/// # Errors
/// The kernel does not know the calls.
pub fn drop_capabilities() -> io::Result<()> {
    /// `_LINUX_CAPABILITY_VERSION_3`
    const VERSION: u32 = 0x2008_0522;
    // Effective, permitted, inheritable: lower and upper half.
    const NONE: [u32; 6] = [0; 6];
    control(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong, 0)?;
    let header = [VERSION, 0];
    // SAFETY: both arrays have the layout that this version asks for, and are only read.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), NONE.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn control(option: i32, first: libc::c_ulong, second: libc::c_ulong) -> io::Result<()> {
    const UNUSED: libc::c_ulong = 0;
    // SAFETY: none of the options used here takes a pointer.
    match unsafe { libc::prctl(option, first, second, UNUSED, UNUSED) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
