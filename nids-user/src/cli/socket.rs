//! The flag that names a running sensor, the same for all commands that ask one, and how they show JSON.

use std::path::PathBuf;

use super::exit::Failure;
use super::stdout::Lines;
use crate::config::CONTROL_SOCKET;

/// Which sensor is asked.
#[derive(clap::Args, Debug)]
pub struct SocketArgs {
    /// Control socket of the sensor, as its setting control.socket names it.
    #[arg(long, value_name = "PATH", default_value = CONTROL_SOCKET)]
    pub socket: PathBuf,
}

/// Prints text that ends with a line feed.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = Lines::stdout();
    out.buffer.extend_from_slice(text.as_bytes());
    out.flush().map(drop)
}

/// The sensor's line without its `"ok":true`, which is told by the exit code.
pub(super) fn body(line: &str) -> String {
    let rest = line.strip_prefix("{\"ok\":true").unwrap_or(line);
    match rest.strip_prefix(',') {
        Some(rest) => format!("{{{rest}\n"),
        None => format!("{line}\n"),
    }
}

/// A time span for people: `3 d 04:05:06`.
pub(super) fn span(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest % 3600 / 60, rest % 60);
    if days == 0 { clock } else { format!("{days} d {clock}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_spans() {
        assert_eq!(body("{\"ok\":true,\"a\":1}"), "{\"a\":1}\n");
        assert_eq!(body("{\"ok\":true}"), "{\"ok\":true}\n");
        assert_eq!(span(59), "00:00:59");
        assert_eq!(span(3 * 86_400 + 4 * 3600 + 5 * 60 + 6), "3 d 04:05:06");
    }
}
