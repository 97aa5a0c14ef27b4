//! What one run of a program cost: processor time and memory.

use std::io::{Read, Seek};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::engine::wait;

/// The cost of one run.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// User and system time, in seconds.
    pub cpu: f64,
    /// Largest resident size, in MiB.
    pub memory: f64,
}

/// Runs the program to its end.
///
/// # Errors
/// When it cannot be started, or fails.
pub fn of(command: &mut Command) -> Result<Cost> {
    let mut said = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said.try_clone()?);
    let child = command.spawn().with_context(|| format!("{command:?}"))?;
    let (status, usage) = wait(child)?;
    if !status.success() {
        let mut text = String::new();
        said.rewind()?;
        said.read_to_string(&mut text)?;
        bail!("{command:?}: {status}\n{text}");
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Ok(Cost {
        cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        memory: usage.ru_maxrss as f64 / 1024.0,
    })
}
