//! Exit codes, those of sysexits.h where it has one, and the error that carries them to `main`.

use std::fmt;
use std::process::ExitCode;

/// Shown at the end of `nids --help`.
pub const HELP: &str = "\
Exit codes:
   0  done
   1  it ran, and the answer is no: `check` refused a rule, the sensor refused to reload
   2  the command line is wrong
  65  bad data: a capture file that is none, rules that cannot be loaded with --strict
  66  a file to read is missing or may not be read
  69  the interface is missing, the kernel refused the program, or no sensor runs
  70  an error inside the sensor
  73  an output cannot be opened
  74  reading or writing failed
  77  not permitted: root or capabilities are missing
  78  a setting is unknown or has a bad value, or a line of a list says nothing";

/// How a command can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// The answer is no.
    No = 1,
    /// EX_USAGE would be 64; clap uses 2.
    Usage = 2,
    /// EX_DATAERR.
    Data = 65,
    /// EX_NOINPUT.
    NoInput = 66,
    /// EX_UNAVAILABLE.
    Unavailable = 69,
    /// EX_SOFTWARE.
    Software = 70,
    /// EX_CANTCREAT.
    CannotCreate = 73,
    /// EX_IOERR.
    Io = 74,
    /// EX_NOPERM.
    NoPermission = 77,
    /// EX_CONFIG.
    Config = 78,
}

/// A failure with its exit code. The text is whole sentences for the person at the terminal.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: Code,
    /// Text.
    pub message: String,
}

impl Failure {
    /// A failure with this code and text.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
    /// Prints the text to standard error and gives the exit code.
    pub fn report(&self) -> ExitCode {
        super::say(format_args!("{self}"));
        ExitCode::from(self.code as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
