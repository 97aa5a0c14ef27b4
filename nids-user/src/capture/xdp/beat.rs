//! The agent's heartbeat, where the kernel's programs see it: one word in shared memory.
//!
//! When to beat is left to `runtime::heartbeat`. The word is written without a system call, by one store, so
//! that no program can read half of it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The word, and how long it may stay as it is.
#[derive(Debug)]
pub struct Beat {
    word: NonNull<AtomicU64>,
    silence: Duration,
}

// SAFETY: shared memory that is only used through atomic operations.
unsafe impl Send for Beat {}

impl Beat {
    /// Maps the kernel's word; `silence` is what the programs were told.
    pub(super) fn map(map: BorrowedFd<'_>, silence: Duration) -> io::Result<Self> {
        let (access, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a new mapping, at an address that the kernel picks.
        let memory =
            unsafe { libc::mmap(std::ptr::null_mut(), LEN, access, shared, map.as_raw_fd(), 0) };
        match NonNull::new(memory) {
            Some(memory) if memory.as_ptr() != libc::MAP_FAILED => {
                Ok(Self { word: memory.cast(), silence })
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Tells the programs that all of the agent was seen at work at that time (`CLOCK_MONOTONIC`, ns).
    pub fn set(&self, time: u64) {
        // SAFETY: inside the mapping, which lives as long as `self`; any bits are a valid word.
        unsafe { self.word.as_ref() }.store(time, Ordering::Relaxed);
    }

    /// How long the programs wait for the next beat before they take the agent for gone.
    pub fn silence(&self) -> Duration {
        self.silence
    }
}

/// Bytes of the mapping; the kernel rounds them up to a page.
const LEN: usize = size_of::<u64>();

impl Drop for Beat {
    fn drop(&mut self) {
        // SAFETY: mapped in `map` with this length; nothing borrows from it any more.
        unsafe { libc::munmap(self.word.as_ptr().cast(), LEN) };
    }
}
