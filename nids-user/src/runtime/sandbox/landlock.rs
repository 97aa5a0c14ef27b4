//! Files: nothing but the named folders, by Landlock (Linux 5.13, landlock(7)).
//!
//! On top, where the kernel knows it: no TCP connections (6.7), no device controls (6.10), no signals to
//! other processes and no abstract sockets of theirs (6.12). A folder is meant by where it is when the
//! process starts: one that is moved away and made anew later is another one, and closed.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus,
    PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope,
};

use super::Report;

/// The newest kernel whose restrictions are asked for.
const NEWEST: ABI = ABI::V6;

/// What the process itself and its libraries read while it runs: the processors there are (aya, when it
/// sums counters), and facts of the process.
const ALWAYS: [&str; 2] = ["/sys/devices/system/cpu", "/proc/self"];

/// Folders and files that stay open, each found and held while that was allowed.
pub(super) struct Folders {
    open: Vec<(PathFd, BitFlags<AccessFs>)>,
    absent: Vec<PathBuf>,
}

impl Folders {
    pub(super) fn open(read: &[PathBuf], write: &[PathBuf]) -> Self {
        let mut folders = Self { open: Vec::new(), absent: Vec::new() };
        for path in ALWAYS {
            folders.add(Path::new(path), reading());
        }
        for (paths, access) in [(read, reading()), (write, writing())] {
            let mut paths = paths.to_vec();
            paths.sort();
            paths.dedup();
            for path in paths {
                if !folders.add(&path, access) {
                    folders.absent.push(path);
                }
            }
        }
        folders
    }

    fn add(&mut self, path: &Path, access: BitFlags<AccessFs>) -> bool {
        let Ok(fd) = PathFd::new(path) else { return false };
        // A right that only folders have is refused for a file.
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
        self.open.push((fd, access));
        true
    }

    /// Closes everything else to this thread and those it starts.
    pub(super) fn restrict(self, network: bool, report: &mut Report) -> Result<(), RulesetError> {
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?;
        if !network {
            ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
        }
        let mut ruleset = ruleset.create()?;
        for (fd, access) in self.open {
            ruleset = ruleset.add_rule(PathBeneath::new(fd, access))?;
        }
        let status = ruleset.restrict_self()?;
        let version = match status.landlock {
            LandlockStatus::Available { effective_abi, .. } => effective_abi as u32,
            LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => 0,
        };
        match status.ruleset {
            RulesetStatus::FullyEnforced => report.in_force.push("Landlock".into()),
            RulesetStatus::PartiallyEnforced => {
                report.in_force.push("Landlock in part".into());
                report.missing.push(format!(
                    "this kernel's Landlock is of version {version}: not all that was asked for is forbidden"
                ));
            }
            RulesetStatus::NotEnforced => report.missing.push(
                "this kernel has no Landlock: files are open to the process as to its user".into(),
            ),
        }
        for path in self.absent {
            report.missing.push(format!(
                "{} is not there now, and will stay closed if it comes",
                path.display()
            ));
        }
        Ok(())
    }
}

fn reading() -> BitFlags<AccessFs> {
    AccessFs::ReadFile | AccessFs::ReadDir
}

/// Logs are written, cut, rotated and removed; sets are written beside and renamed; sockets are bound.
fn writing() -> BitFlags<AccessFs> {
    reading()
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::MakeSock
        | AccessFs::RemoveFile
}
