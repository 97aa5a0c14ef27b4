//! The sensor's end of the socket: takes clients, cuts lines, hands requests to the control thread.
//!
//! A client that is slow, silent, or says too much loses its connection and nothing else.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::answer::Answer;
use super::listener::Listener;
use super::request::{MAX_LINE, Request};

/// Clients at a time.
const MOST_CLIENTS: usize = 16;
/// How long a client may take for a line, or to read what it asked for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries to take a client, where the process is out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes of a long answer that are written at a time.
const PIECE: usize = 32 << 10;

/// A question for the control thread.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Who asks.
    pub caller: Caller,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody at the control socket.
    Socket {
        /// User.
        user: u32,
        /// Process; 0 where the kernel does not say.
        process: i32,
    },
    /// Somebody over HTTP.
    Http,
}

/// Serves clients for as long as the control thread takes calls.
pub async fn serve(listener: Listener, calls: mpsc::Sender<Call>) -> io::Result<()> {
    let socket = UnixListener::from_std(listener.socket()?)?;
    let places = Arc::new(Semaphore::new(MOST_CLIENTS));
    loop {
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                sleep(PAUSE).await;
                continue;
            }
        };
        let place = Arc::clone(&places).try_acquire_owned();
        let calls = calls.clone();
        tokio::spawn(async move {
            // Whatever goes wrong with a client is the client's business.
            let _ = match place {
                Ok(_place) => client(stream, &calls).await,
                Err(_) => send(stream, &Answer::Failed("too many clients".into())).await.map(drop),
            };
        });
    }
}

async fn client(stream: UnixStream, calls: &mpsc::Sender<Call>) -> io::Result<()> {
    let peer = stream.peer_cred()?;
    let caller = Caller::Socket { user: peer.uid(), process: peer.pid().unwrap_or(0) };
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = MAX_LINE as u64;
        timeout(PATIENCE, (&mut stream).take(most).read_until(b'\n', &mut line)).await??;
        if line.is_empty() {
            return Ok(());
        }
        if !line.ends_with(b"\n") && line.len() == MAX_LINE {
            let text = format!("a line has at most {MAX_LINE} bytes");
            return send(stream.into_inner(), &Answer::Failed(text)).await.map(drop);
        }
        let answer = match Request::parse(&line) {
            Ok(request) => ask(calls, request, caller).await,
            Err(error) => Answer::Failed(error.to_string()),
        };
        write(stream.get_mut(), &answer).await?;
    }
}

/// Asks the control thread.
pub(crate) async fn ask(calls: &mpsc::Sender<Call>, request: Request, caller: Caller) -> Answer {
    let (answer, answered) = oneshot::channel();
    // Both fail where the sensor is about to end.
    let _ = calls.send(Call { request, caller, answer }).await;
    answered.await.unwrap_or_else(|_| Answer::Failed("the sensor is about to end".into()))
}

async fn send(mut stream: UnixStream, answer: &Answer) -> io::Result<UnixStream> {
    write(&mut stream, answer).await?;
    Ok(stream)
}

async fn write(stream: &mut UnixStream, answer: &Answer) -> io::Result<()> {
    if let Some(mut list) = answer.list()? {
        let mut piece = vec![0; PIECE];
        loop {
            let length = list.read(&mut piece)?;
            let Some(bytes) = piece.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
            timeout(PATIENCE, stream.write_all(bytes)).await??;
        }
    }
    timeout(PATIENCE, stream.write_all(answer.line().as_bytes())).await?
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use nix::unistd::{Gid, Uid};

    use super::*;
    use crate::control::answer::Version;
    use crate::rule::report::{Report, Summary};

    /// A socket behind which every call for the version is answered, and every other refused.
    fn with_server(test: impl FnOnce(&std::path::Path)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let listener = Listener::bind(&path, (Uid::effective(), Gid::effective())).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let (calls, mut asked) = mpsc::channel(4);
                tokio::spawn(serve(listener, calls));
                let answers = async {
                    while let Some(call) = asked.recv().await {
                        let version = Version { version: "9".into(), suricata: "8".into() };
                        let _ = call.answer.send(match call.request {
                            Request::Version => Answer::Version(version),
                            Request::Refused => {
                                Answer::Refused(Arc::new(Report::new(Summary::default(), &[])))
                            }
                            other => Answer::Failed(format!("{other} by {:?}", call.caller)),
                        });
                    }
                };
                tokio::select! { () = answers => {}, _ = stopped => {} }
            });
        });
        test(&path);
        drop(stop);
        server.join().unwrap();
        assert!(!path.exists(), "the socket went with its server");
    }

    fn talk(path: &std::path::Path, text: &[u8], answers: usize) -> Vec<String> {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.write_all(text).unwrap();
        BufReader::new(stream).lines().take(answers).map(Result::unwrap).collect()
    }

    #[test]
    fn requests_follow_one_another_and_mistakes_are_told() {
        with_server(|path| {
            let answers = talk(
                path,
                b"{\"command\":\"version\"}\nrubbish\n{\"command\":\"refused\"}\n{\"command\":\"stats\"}\n",
                4,
            );
            assert_eq!(answers[0], r#"{"ok":true,"version":"9","suricata":"8"}"#);
            assert!(answers[1].starts_with(r#"{"ok":false,"error":"not a line"#), "{answers:?}");
            assert!(answers[2].starts_with(r#"{"ok":true,"loaded":0,"#), "{answers:?}");
            let me = format!("user: {}, process: {}", Uid::effective(), std::process::id());
            assert!(answers[3].contains(&me), "{answers:?}");
        });
    }

    #[test]
    fn a_line_without_end_is_cut_off() {
        with_server(|path| {
            let answers = talk(path, &[b'x'; MAX_LINE], 2);
            assert_eq!(answers, [r#"{"ok":false,"error":"a line has at most 4096 bytes"}"#]);
            // The last line may be without its line feed.
            let mut stream = UnixStream::connect(path).unwrap();
            stream.write_all(b"{\"command\":\"version\"}").unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(BufReader::new(stream).lines().count(), 1);
        });
    }

    #[test]
    fn clients_are_bounded_and_places_come_free() {
        with_server(|path| {
            let mut held: Vec<_> = (0..MOST_CLIENTS)
                .map(|_| {
                    let mut stream = UnixStream::connect(path).unwrap();
                    stream.write_all(b"{\"command\":\"version\"}\n").unwrap();
                    let mut reader = BufReader::new(stream);
                    assert!(reader.read_line(&mut String::new()).unwrap() > 0);
                    reader
                })
                .collect();
            let refused = talk(path, b"", 1);
            assert_eq!(refused, [r#"{"ok":false,"error":"too many clients"}"#]);
            held.pop();
            // The server sees the end a moment later.
            let served = (0..100).any(|_| {
                thread::sleep(Duration::from_millis(10));
                talk(path, b"{\"command\":\"version\"}\n", 1)[0].contains("true")
            });
            assert!(served);
        });
    }
}
