//! Why the sensor cannot capture, in words that name the way out.

use std::io;

use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::ProgramError;
use thiserror::Error;

use crate::capture::interface::InterfaceError;
use crate::cli::exit::{Code, Failure};

/// What can go wrong between the object and the first frame.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The binary was built without the kernel half.
    #[error("this binary was built without its eBPF object: build it with `cargo xtask build`")]
    NoObject,
    /// The object is of another version.
    #[error(
        "the eBPF object speaks version {found:?} of the contract, this binary version {}: build both halves with `cargo xtask build`",
        nids_abi::ABI_VERSION
    )]
    Abi {
        /// What the object says, if anything.
        found: Option<u32>,
    },
    /// Rights are missing.
    #[error(
        "capturing needs root, or the capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; this process lacks {}",
        missing.join(", ")
    )]
    NotPermitted {
        /// The capabilities that are missing.
        missing: Vec<&'static str>,
    },
    /// The object cannot be loaded.
    #[error("cannot load the eBPF object: {}", chain(.0))]
    Object(#[from] EbpfError),
    /// The kernel refused a program.
    #[error("the kernel refused the program {name}: {}", chain(source))]
    Program {
        /// The program.
        name: &'static str,
        /// Why, with the verifier's log.
        source: ProgramError,
    },
    /// A map is missing or of the wrong kind, or cannot be used.
    #[error("the map {name}: {}", chain(source))]
    Map {
        /// The map.
        name: &'static str,
        /// Why.
        source: MapError,
    },
    /// Too many rings.
    #[error(
        "{workers} workers on {processors} processors need {} rings, and there are {} at most: use --workers {}",
        workers * processors, nids_abi::MAX_RINGS, (nids_abi::MAX_RINGS / processors).max(1)
    )]
    TooManyRings {
        /// Workers asked for.
        workers: usize,
        /// Processors that may bring frames.
        processors: usize,
    },
    /// Too many interfaces.
    #[error(
        "{asked} interfaces and directions are more than the {} that one sensor can hold",
        nids_abi::MAX_CAPTURE_PORTS
    )]
    TooManyPorts {
        /// Capture ports asked for.
        asked: usize,
    },
    /// The interface cannot be had.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// Another nids is there.
    #[error(
        "another nids is watching {interface} already: process {pid} ({command}); stop it first, use another --mode, or take over with --force"
    )]
    Running {
        /// Interface.
        interface: String,
        /// Its process.
        pid: u32,
        /// Its command.
        command: String,
    },
    /// A program of ours is there, and its owner cannot be seen.
    #[error(
        "the program {name} of another nids is on {interface}, and from inside a container it cannot be told whether that still runs; take over with --force"
    )]
    RunningElsewhere {
        /// Interface.
        interface: String,
        /// Program.
        name: String,
    },
    /// Somebody else's program is there.
    #[error(
        "{interface} has an XDP program already ({name}, id {id}, {hook} mode), which is not ours: use --mode tcx to run beside it, or --force to take it off"
    )]
    Occupied {
        /// Interface.
        interface: String,
        /// Program.
        name: String,
        /// Its id.
        id: u32,
        /// Where it runs.
        hook: crate::capture::interface::XdpHook,
    },
    /// It could not be taken off.
    #[error("cannot take the program {name} off {interface}: {source}")]
    TakeOver {
        /// Interface.
        interface: String,
        /// Program.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// No mode would do.
    #[error("cannot attach to {interface}: {}", attempts.join("; "))]
    Attach {
        /// Interface.
        interface: String,
        /// Each mode that was tried, why it failed and what helps.
        attempts: Vec<String>,
        /// Whether rights were missing.
        denied: bool,
    },
    /// The system is out of something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl From<CaptureError> for Failure {
    fn from(error: CaptureError) -> Self {
        let code = match &error {
            CaptureError::NotPermitted { .. } | CaptureError::Attach { denied: true, .. } => {
                Code::NoPermission
            }
            CaptureError::TooManyRings { .. } | CaptureError::TooManyPorts { .. } => Code::Config,
            CaptureError::Map { .. } | CaptureError::System { .. } => Code::Software,
            _ => Code::Unavailable,
        };
        Self::new(code, format!("{error}."))
    }
}

/// An error and its causes. aya leaves the verifier's log in the text of the error itself.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
