//! The ladder of modes: the first that the interface takes, and in words why the others would not do.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use aya::Ebpf;
use aya::programs::{ProgramError, SchedClassifier, Xdp};
use nids_abi::{PROG_TC_EGRESS, PROG_TC_INGRESS, PROG_XDP, PROG_XDP_FRAGS};

use super::bpf::{self, Tcx};
use super::error::CaptureError;
use super::occupant::{self, Place};
use crate::capture::Direction;
use crate::capture::interface::{Interface, XdpHook};

/// Which modes may be used for frames that come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ModeChoice {
    /// Driver, else generic.
    #[default]
    Auto,
    /// XDP in the driver only.
    Driver,
    /// XDP in the network stack only.
    Generic,
    /// tcx: beside other programs, and without XDP's cost for the host's own TCP.
    Tcx,
}

/// The mode that was got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// XDP in the driver.
    Driver,
    /// XDP in the network stack.
    Generic,
    /// tcx.
    Tcx,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Driver => "driver",
            Self::Generic => "generic",
            Self::Tcx => "tcx",
        })
    }
}

/// One of our programs on one side of an interface. Dropping it takes the program off.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) mode: Mode,
    link: OwnedFd,
}

impl Attachment {
    /// Takes the program off now, also where somebody else holds the link.
    pub(super) fn detach(self) {
        // Gone already, with its interface for example: closing it is then enough.
        let _ = bpf::detach(self.link.as_fd());
    }
}

/// Puts the fitting program on one side of an interface. `notes` takes a line for the user for each
/// thing he might not expect.
pub(super) fn attach(
    ebpf: &mut Ebpf,
    interface: &Interface,
    direction: Direction,
    choice: ModeChoice,
    force: bool,
    notes: &mut Vec<String>,
) -> Result<Attachment, CaptureError> {
    // Egress has no XDP.
    let side = match (direction, choice) {
        (Direction::Egress, _) => Some(Tcx::Egress),
        (Direction::Ingress, ModeChoice::Tcx) => Some(Tcx::Ingress),
        (Direction::Ingress, _) => None,
    };
    let place = side.map_or(Place::Xdp, Place::Tcx);
    notes.extend(occupant::make_room(interface, place, force)?);
    match side {
        Some(side) => tcx(ebpf, interface, side),
        None => xdp(ebpf, interface, choice, notes),
    }
}

fn xdp(
    ebpf: &mut Ebpf,
    interface: &Interface,
    choice: ModeChoice,
    notes: &mut Vec<String>,
) -> Result<Attachment, CaptureError> {
    let hooks: &[XdpHook] = match choice {
        ModeChoice::Driver => &[XdpHook::Driver],
        ModeChoice::Generic => &[XdpHook::Generic],
        ModeChoice::Auto | ModeChoice::Tcx => &[XdpHook::Driver, XdpHook::Generic],
    };
    let mut refusals = Vec::new();
    for &hook in hooks {
        // Jumbo and GRO frames need the first; drivers without multi-buffer support take the second.
        let mut last = None;
        for name in [PROG_XDP_FRAGS, PROG_XDP] {
            let program = load(ebpf, name)?;
            match bpf::attach_xdp(program.as_fd(), interface.index, hook) {
                Ok(link) => {
                    notes.extend(
                        refusals.iter().map(|refusal: &Refused| {
                            format!("{}: {}", interface.name, refusal.text)
                        }),
                    );
                    let mode = match hook {
                        XdpHook::Generic => Mode::Generic,
                        XdpHook::Driver | XdpHook::Offload => Mode::Driver,
                    };
                    return Ok(Attachment { mode, link });
                }
                Err(error) => last = Some(error),
            }
        }
        refusals.extend(last.map(|error| Refused::xdp(interface, hook, &error)));
    }
    Err(refused(interface, refusals))
}

fn tcx(ebpf: &mut Ebpf, interface: &Interface, side: Tcx) -> Result<Attachment, CaptureError> {
    let name = match side {
        Tcx::Ingress => PROG_TC_INGRESS,
        Tcx::Egress => PROG_TC_EGRESS,
    };
    let program = load(ebpf, name)?;
    match bpf::attach_tcx(program.as_fd(), interface.index, side) {
        Ok(link) => Ok(Attachment { mode: Mode::Tcx, link }),
        Err(error) => Err(refused(interface, vec![Refused::tcx(&error)])),
    }
}

/// Loads the program unless that was done; a descriptor of it.
fn load(ebpf: &mut Ebpf, name: &'static str) -> Result<OwnedFd, CaptureError> {
    let error = |source| CaptureError::Program { name, source };
    let program = ebpf.program_mut(name).ok_or_else(|| error(ProgramError::NotLoaded))?;
    let mut tries = LOAD_TRIES;
    while program.fd().is_err() {
        let loaded = match program {
            aya::programs::Program::Xdp(program) => Xdp::load(program),
            aya::programs::Program::SchedClassifier(program) => SchedClassifier::load(program),
            _ => Err(ProgramError::UnexpectedProgramType),
        };
        tries -= 1;
        match loaded {
            Err(source) if tries == 0 || !is_interrupted(&source) => return Err(error(source)),
            Ok(()) | Err(_) => {}
        }
    }
    let fd = program.fd().map_err(error)?;
    fd.as_fd().try_clone_to_owned().map_err(|source| error(ProgramError::IOError(source)))
}

/// Times a program is loaded before an interruption counts as a failure.
const LOAD_TRIES: u32 = 5;

/// Whether the verifier gave up because a signal came: the next try may get through.
fn is_interrupted(error: &ProgramError) -> bool {
    matches!(error, ProgramError::LoadError { io_error, .. }
        if io_error.kind() == io::ErrorKind::WouldBlock)
}

struct Refused {
    text: String,
    denied: bool,
}

impl Refused {
    fn xdp(interface: &Interface, hook: XdpHook, error: &io::Error) -> Self {
        let (name, mtu) = (&interface.name, interface.mtu);
        let code = error.raw_os_error();
        let (cause, way_out) = match (code, hook) {
            (Some(libc::EOPNOTSUPP | ENOTSUPP), XdpHook::Driver) => {
                ("its driver has no XDP support".to_owned(), "use --mode generic or tcx".to_owned())
            }
            (Some(libc::ERANGE | libc::EINVAL), XdpHook::Driver) => (
                format!(
                    "its driver refused (MTU {mtu} too large for XDP, or offloads such as LRO on; `dmesg` may say)"
                ),
                format!(
                    "lower the MTU (`ip link set {name} mtu 1500`), switch LRO off (`ethtool -K {name} lro off`), or use --mode generic"
                ),
            ),
            (Some(libc::ENOMEM | libc::ENOSPC), XdpHook::Driver) => (
                "its driver has too few queues or too little memory for XDP".to_owned(),
                format!(
                    "give it fewer channels (`ethtool -L {name} combined N`), or use --mode generic"
                ),
            ),
            (Some(libc::EBUSY | libc::EEXIST), _) => (
                "another XDP program is on it, or on a device above it".to_owned(),
                "use --mode tcx to run beside it".to_owned(),
            ),
            _ => return Self::other(&format!("{hook} mode"), error),
        };
        Self { text: format!("no {hook} mode: {cause} ({error}): {way_out}"), denied: false }
    }

    fn tcx(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EINVAL | libc::EOPNOTSUPP) => Self {
                text: format!(
                    "no tcx: the kernel is older than 6.6 ({error}): use --direction ingress with --mode driver or generic"
                ),
                denied: false,
            },
            _ => Self::other("tcx", error),
        }
    }

    fn other(mode: &str, error: &io::Error) -> Self {
        let denied = matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES));
        let way_out = match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => {
                ": it needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
            }
            Some(libc::ENODEV) => ": the interface is gone",
            _ => "",
        };
        Self { text: format!("no {mode}: {error}{way_out}"), denied }
    }
}

/// The kernel's own code for "not supported", which has leaked to user space.
const ENOTSUPP: i32 = 524;

fn refused(interface: &Interface, refusals: Vec<Refused>) -> CaptureError {
    CaptureError::Attach {
        interface: interface.name.clone(),
        denied: refusals.iter().any(|refusal| refusal.denied),
        attempts: refusals.into_iter().map(|refusal| refusal.text).collect(),
    }
}
