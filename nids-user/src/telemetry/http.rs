//! `/metrics` and `/health` over HTTP/1.1 (RFC 9112): GET and HEAD, one request a connection.
//!
//! There is nothing to configure and nothing to send but these two pages, so what is needed of HTTP is small:
//! the request line, and the end of the head. Heads, clients and times are bounded.

use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use super::prometheus;
use crate::control::{Answer, Call, Caller, Health, Request, ask};

/// Clients at a time.
const MOST_CLIENTS: usize = 16;
/// Bytes a request may have up to the empty line.
const MOST_HEAD: usize = 8192;
/// How long a client may take for its request, and to read the page.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the sensor may take for its numbers.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two tries to take a client, where the process is out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves clients for as long as the control thread takes calls.
pub async fn serve(listener: StdListener, calls: mpsc::Sender<Call>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(MOST_CLIENTS));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                sleep(PAUSE).await;
                continue;
            }
        };
        // One too many is closed without a word: it will ask again.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let calls = calls.clone();
        tokio::spawn(async move {
            let _place = place;
            let _ = client(stream, &calls).await;
        });
    }
}

async fn client(mut stream: TcpStream, calls: &mpsc::Sender<Call>) -> io::Result<()> {
    let head = timeout(PATIENCE, read_head(&mut stream)).await??;
    let response = match head.as_deref().map_or(Wanted::Bad, wanted) {
        Wanted::Page { page, body } => page_of(page, calls).await.bytes(body),
        Wanted::Nothing => Response::new(404, "text/plain", "/metrics and /health\n").bytes(true),
        Wanted::Method => Response::new(405, "text/plain", "GET and HEAD only\n").bytes(true),
        Wanted::Bad => Response::new(400, "text/plain", "no request of HTTP/1\n").bytes(true),
    };
    timeout(PATIENCE, async {
        stream.write_all(&response).await?;
        stream.shutdown().await
    })
    .await?
}

/// Reads up to the empty line; `None` where it does not come.
async fn read_head(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::with_capacity(1024);
    while !ends(&head) {
        if head.len() >= MOST_HEAD || stream.read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

fn ends(head: &[u8]) -> bool {
    head.windows(4).any(|four| four == b"\r\n\r\n") || head.windows(2).any(|two| two == b"\n\n")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Metrics,
    Health,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// A page, with its body or without.
    Page { page: Page, body: bool },
    /// A page that is not there.
    Nothing,
    /// Another method.
    Method,
    /// No request.
    Bad,
}

/// Reads the request line: method, target, version. A query is left aside.
fn wanted(head: &[u8]) -> Wanted {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Ok(line) = str::from_utf8(line) else { return Wanted::Bad };
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Wanted::Bad;
    };
    if !version.starts_with("HTTP/1.") {
        return Wanted::Bad;
    }
    let body = match method {
        "GET" => true,
        "HEAD" => false,
        _ => return Wanted::Method,
    };
    match target.split('?').next() {
        Some("/metrics") => Wanted::Page { page: Page::Metrics, body },
        Some("/health") => Wanted::Page { page: Page::Health, body },
        _ => Wanted::Nothing,
    }
}

/// Asks the control thread. One that does not answer is what `/health` is there to show.
async fn page_of(page: Page, calls: &mpsc::Sender<Call>) -> Response {
    let request = match page {
        Page::Metrics => Request::Stats,
        Page::Health => Request::Status,
    };
    let answer = timeout(ANSWER, ask(calls, request, Caller::Http)).await;
    match answer {
        Ok(Answer::Stats(stats)) => {
            Response::new(200, prometheus::CONTENT_TYPE, prometheus::page(&stats))
        }
        Ok(Answer::Status(status)) => {
            let word = match status.health {
                Health::Ok => "ok",
                Health::Degraded => "degraded",
            };
            let lines = [&[word.to_owned()][..], &status.problems].concat();
            Response::new(200, "text/plain", lines.join("\n") + "\n")
        }
        Ok(Answer::Failed(error)) => Response::new(503, "text/plain", error + "\n"),
        Ok(_) | Err(_) => Response::new(503, "text/plain", "the sensor does not answer\n"),
    }
}

struct Response {
    code: u16,
    kind: &'static str,
    body: String,
}

impl Response {
    fn new(code: u16, kind: &'static str, body: impl Into<String>) -> Self {
        Self { code, kind, body: body.into() }
    }

    fn bytes(&self, body: bool) -> Vec<u8> {
        let reason = match self.code {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            _ => "Service Unavailable",
        };
        let Self { code, kind, body: text } = self;
        let allow = if *code == 405 { "Allow: GET, HEAD\r\n" } else { "" };
        let length = text.len();
        let head = format!(
            "HTTP/1.1 {code} {reason}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {length}\r\n{allow}Connection: close\r\n\r\n"
        );
        let text = if body { text.as_bytes() } else { b"" };
        [head.as_bytes(), text].concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::telemetry::stats::Stats;

    #[test]
    fn request_lines() {
        let page = |page, body| Wanted::Page { page, body };
        for (text, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", page(Page::Metrics, true)),
            ("HEAD /health HTTP/1.0\r\n\r\n", page(Page::Health, false)),
            ("GET /metrics?x=1 HTTP/1.1\n\n", page(Page::Metrics, true)),
            ("GET / HTTP/1.1\r\n\r\n", Wanted::Nothing),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", Wanted::Nothing),
            ("POST /metrics HTTP/1.1\r\n\r\n", Wanted::Method),
            ("GET /metrics HTTP/2\r\n\r\n", Wanted::Bad),
            ("GET  /metrics HTTP/1.1\r\n\r\n", Wanted::Bad),
            ("GET /metrics\r\n\r\n", Wanted::Bad),
            ("\r\n\r\n", Wanted::Bad),
        ] {
            assert_eq!(wanted(text.as_bytes()), expected, "{text:?}");
            assert!(ends(text.as_bytes()), "{text:?}");
        }
        assert_eq!(wanted(b"GET \xff HTTP/1.1\r\n\r\n"), Wanted::Bad);
        assert!(!ends(b"GET /metrics HTTP/1.1\r\nHost: x\r\n"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            wanted(&bytes);
            ends(&bytes);
        }
    }

    fn fetch(requests: &[&[u8]]) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = StdListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let place = listener.local_addr().unwrap();
            let (calls, mut asked) = mpsc::channel::<Call>(1);
            tokio::spawn(serve(listener, calls));
            tokio::spawn(async move {
                while let Some(call) = asked.recv().await {
                    assert_eq!(call.caller, Caller::Http);
                    let _ = call.answer.send(match call.request {
                        Request::Stats => Answer::Stats(Box::<Stats>::default()),
                        _ => Answer::Failed("down".into()),
                    });
                }
            });
            let mut answers = Vec::new();
            for request in requests {
                let mut stream = TcpStream::connect(place).await.unwrap();
                stream.write_all(request).await.unwrap();
                let mut answer = Vec::new();
                // A head that is cut off may end in a reset.
                let _ = stream.read_to_end(&mut answer).await;
                answers.push(String::from_utf8(answer).unwrap());
            }
            answers
        })
    }

    #[test]
    fn pages() {
        let answers = fetch(&[
            b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
            b"HEAD /metrics HTTP/1.1\r\n\r\n",
            b"GET /health HTTP/1.1\r\n\r\n",
            b"DELETE /health HTTP/1.1\r\n\r\n",
            &[b'a'; MOST_HEAD],
        ]);
        let [metrics, head, health, method, endless] = answers.as_slice() else { panic!() };
        assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
        assert!(metrics.contains("\nnids_uptime_seconds 0\n"), "{metrics}");
        let (headers, body) = metrics.split_once("\r\n\r\n").unwrap();
        assert!(headers.contains(&format!("Content-Length: {}\r\n", body.len())), "{headers}");
        assert_eq!(head, &format!("{headers}\r\n\r\n"));
        assert!(
            health.starts_with("HTTP/1.1 503 ") && health.ends_with("\r\n\r\ndown\n"),
            "{health}"
        );
        assert!(method.contains("\r\nAllow: GET, HEAD\r\n"), "{method}");
        assert!(endless.starts_with("HTTP/1.1 400 ") || endless.is_empty(), "{endless}");
    }
}
