//! Lines on standard output: gathered, written when the caller has nothing more at hand.
//!
//! A reader that goes away (`| head`) is a quiet end, not an error.

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;

use super::exit::{Code, Failure};
use super::interrupt;

/// Bytes gathered before they are written although more is at hand.
const FULL: usize = 64 << 10;

/// Standard output of a command that prints lines as they come.
#[derive(Debug)]
pub struct Lines {
    /// The lines to write; append whole ones.
    pub buffer: Vec<u8>,
    terminal: bool,
}

impl Lines {
    /// Standard output.
    pub fn stdout() -> Self {
        Self { buffer: Vec::new(), terminal: io::stdout().is_terminal() }
    }

    /// To be called after each line: writes on a terminal, and where enough has gathered.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub fn line(&mut self) -> Result<ControlFlow<()>, Failure> {
        if self.terminal || self.buffer.len() >= FULL {
            return self.flush();
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Writes what was gathered. `Break` where nobody reads any more, or the command was interrupted.
    ///
    /// # Errors
    /// [`Code::Io`] for every other error of write(2).
    pub fn flush(&mut self) -> Result<ControlFlow<()>, Failure> {
        let mut rest = self.buffer.as_slice();
        while !rest.is_empty() {
            match nix::unistd::write(io::stdout(), rest) {
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(nix::Error::EINTR) if !interrupt::asked() => {}
                Err(nix::Error::EINTR | nix::Error::EPIPE) => {
                    self.buffer.clear();
                    return Ok(ControlFlow::Break(()));
                }
                Err(error) => {
                    let error = io::Error::from(error);
                    return Err(Failure::new(
                        Code::Io,
                        format!("standard output cannot be written: {error}."),
                    ));
                }
            }
        }
        self.buffer.clear();
        Ok(ControlFlow::Continue(()))
    }
}
