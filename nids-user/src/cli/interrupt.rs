//! SIGINT and SIGTERM as a question: commands that run until they are stopped ask it in their loop.
//!
//! The first signal asks for an orderly end; a second one ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static STOP: AtomicBool = AtomicBool::new(false);

extern "C" fn stop(_signal: libc::c_int) {
    STOP.store(true, Ordering::Relaxed);
}

/// Installs the handlers. Without SA_RESTART, so that a write(2) that waits returns.
pub fn install() {
    let action = SigAction::new(SigHandler::Handler(stop), SaFlags::SA_RESETHAND, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        // SAFETY: the handler only stores to an atomic.
        let _ = unsafe { sigaction(signal, &action) };
    }
}

/// Whether a signal came.
pub fn asked() -> bool {
    STOP.load(Ordering::Relaxed)
}
