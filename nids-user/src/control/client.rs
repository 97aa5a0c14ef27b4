//! The other end of the socket, for the commands that ask a running sensor.

use std::io::{self, BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::request::Request;
use crate::cli::exit::{Code, Failure};

/// How long the sensor may take for an answer. A reload takes as long as it takes.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Outcome {
    ok: bool,
    error: Option<String>,
}

/// Asks the sensor at this socket. `listed` gets the lines before the answer, without their line feeds, and
/// may break off: then there is no answer. Gives the answer's line.
///
/// # Errors
/// [`Code::Unavailable`] where no sensor answers, [`Code::NoPermission`] where this user may not ask,
/// [`Code::No`] where the sensor refuses.
pub fn ask_line(
    socket: &Path,
    request: Request,
    mut listed: impl FnMut(&[u8]) -> Result<ControlFlow<()>, Failure>,
) -> Result<Option<String>, Failure> {
    let broken = |error: io::Error| unanswered(socket, &error);
    let mut stream = UnixStream::connect(socket).map_err(|error| unreachable(socket, &error))?;
    let patience = (request != Request::Reload).then_some(PATIENCE);
    stream.set_read_timeout(patience).map_err(broken)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(broken)?;
    stream.write_all(request.to_line().as_bytes()).map_err(broken)?;
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line).map_err(broken)?;
        let Some(text) = line.strip_suffix(b"\n") else {
            return Err(broken(io::ErrorKind::UnexpectedEof.into()));
        };
        match serde_json::from_slice::<Outcome>(text) {
            Ok(Outcome { ok: true, .. }) => {
                return Ok(Some(String::from_utf8_lossy(text).into_owned()));
            }
            Ok(Outcome { error, .. }) => {
                let error = error.unwrap_or_else(|| "the sensor refuses".into());
                return Err(Failure::new(Code::No, format!("{error}.")));
            }
            // A line of the list has no `ok`.
            Err(_) => {
                if listed(text)?.is_break() {
                    return Ok(None);
                }
            }
        }
    }
}

/// Asks for something that has one line.
///
/// # Errors
/// As [`ask_line`].
pub fn ask<T: DeserializeOwned>(socket: &Path, request: Request) -> Result<T, Failure> {
    let line = ask_line(socket, request, |_| Ok(ControlFlow::Continue(())))?.unwrap_or_default();
    read(&line)
}

/// Reads the line of an answer.
///
/// # Errors
/// [`Code::Data`]: the sensor is of another version.
pub fn read<T: DeserializeOwned>(line: &str) -> Result<T, Failure> {
    serde_json::from_str(line).map_err(|error| {
        let text = format!(
            "the sensor's answer cannot be read ({error}); it may be of another version than this command."
        );
        Failure::new(Code::Data, text)
    })
}

fn unreachable(socket: &Path, error: &io::Error) -> Failure {
    let place = socket.display();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Failure::new(
            Code::Unavailable,
            format!(
                "no sensor listens on {place}: start one with `nids run`, or name the socket of another with --socket."
            ),
        ),
        io::ErrorKind::PermissionDenied => Failure::new(
            Code::NoPermission,
            format!(
                "this user may not use {place}: become its owner or a member of its group (`ls -l {place}` shows them), or root."
            ),
        ),
        _ => Failure::new(Code::Unavailable, format!("{place} cannot be used: {error}.")),
    }
}

fn unanswered(socket: &Path, error: &io::Error) -> Failure {
    let place = socket.display();
    let text = match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("the sensor at {place} does not answer for {} seconds.", PATIENCE.as_secs())
        }
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset => {
            format!("the sensor at {place} has ended before it answered.")
        }
        _ => format!("{place} cannot be read: {error}."),
    };
    Failure::new(Code::Unavailable, text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;
    use crate::control::answer::Version;

    /// Answers one client with this.
    fn once(answer: &'static str, test: impl FnOnce(&Path)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            line
        });
        test(&path);
        server.join().unwrap();
    }

    #[test]
    fn a_list_and_its_last_line() {
        once("{\"a\":1}\n{\"a\":2}\n{\"ok\":true,\"n\":2}\n", |path| {
            let mut seen = Vec::new();
            let last = ask_line(path, Request::Refused, |line| {
                seen.push(String::from_utf8_lossy(line).into_owned());
                Ok(ControlFlow::Continue(()))
            });
            assert_eq!(last.unwrap().unwrap(), "{\"ok\":true,\"n\":2}");
            assert_eq!(seen, ["{\"a\":1}", "{\"a\":2}"]);
        });
    }

    #[test]
    fn what_goes_wrong_is_told() {
        let told = |answer, code, words: &str| {
            once(answer, |path| {
                let failure = ask::<Version>(path, Request::Version).unwrap_err();
                assert_eq!(failure.code, code, "{failure}");
                assert!(failure.message.contains(words), "{failure}");
            });
        };
        told("{\"ok\":false,\"error\":\"no room\"}\n", Code::No, "no room.");
        told("{\"ok\":true}\n", Code::Data, "another version");
        told("{\"ok\":tr", Code::Unavailable, "has ended");
        told("", Code::Unavailable, "has ended");
        let gone = Path::new("/nonexistent/control.sock");
        let failure = ask::<Version>(gone, Request::Version).unwrap_err();
        assert_eq!(failure.code, Code::Unavailable);
        assert!(failure.message.contains("no sensor listens"), "{failure}");
    }
}
