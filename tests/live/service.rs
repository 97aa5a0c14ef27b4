//! Services inside a namespace: nginx, and a plain TCP server; and the clients that talk to them.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::netns::{LIMIT, Namespace, Process, wait_until};

/// A running nginx.
pub struct Nginx {
    _process: Process,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts it on these ports, IPv4 and IPv6, with one page and one large file, `/large`.
    pub fn start(side: &Namespace, ports: &[u16]) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let conf = configure(folder.path(), ports)?;
        let mut command = side.command("nginx");
        command.arg("-p").arg(folder.path()).arg("-e").arg("error.log").arg("-c").arg(conf);
        let mut process = Process::spawn(&mut command)?;
        let pid = process.pid();
        let up =
            wait_until(LIMIT, || process.ended() || ports.iter().all(|port| listens(pid, *port)));
        if !up || process.ended() {
            let log = fs::read_to_string(folder.path().join("error.log")).unwrap_or_default();
            return Err(io::Error::other(format!(
                "nginx did not start\n{}\n{log}",
                process.stderr.all().join("\n")
            )));
        }
        Ok(Self { _process: process, _folder: folder })
    }
}

/// One process, all its files in `folder`.
fn configure(folder: &Path, ports: &[u16]) -> io::Result<std::path::PathBuf> {
    let www = folder.join("www");
    fs::create_dir(&www)?;
    fs::write(www.join("index.html"), "<html><body>It works.</body></html>\n")?;
    fs::write(www.join("large"), "all work and no play\n".repeat(50_000))?;
    let mut text = String::from(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {}\nhttp {\n  access_log off;\n",
    );
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = writeln!(text, "  {kind}_temp_path {kind};");
    }
    text += "  server {\n    root www;\n";
    for port in ports {
        let _ = writeln!(text, "    listen {port};\n    listen [::]:{port};");
    }
    text += "  }\n}\n";
    let conf = folder.join("nginx.conf");
    fs::write(&conf, text)?;
    Ok(conf)
}

/// Whether anything listens on a TCP port in the namespace of the process `pid`.
fn listens(pid: u32, port: u16) -> bool {
    ["tcp", "tcp6"].iter().all(|table| {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/net/{table}")) else { return false };
        text.lines().any(|line| {
            let mut fields = line.split_whitespace();
            let local = fields.nth(1).unwrap_or_default();
            // State 0A is TCP_LISTEN.
            local.ends_with(&format!(":{port:04X}")) && fields.nth(1) == Some("0A")
        })
    })
}

/// Requests a path as it stands (no clean-up of `..`) with curl; the HTTP status and the client's port.
pub fn curl(side: &Namespace, server: IpAddr, port: u16, path: &str) -> io::Result<(u16, u16)> {
    let url = format!("http://{}{path}", SocketAddr::new(server, port));
    let what = "%{http_code} %{local_port}";
    let args = ["--path-as-is", "-g", "-s", "-m", "10", "-o", "/dev/null", "-w", what, &url];
    let output = side.run("curl", &args)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace().map(str::parse);
    match (words.next(), words.next()) {
        (Some(Ok(status)), Some(Ok(local))) => Ok((status, local)),
        _ => Err(io::Error::other(format!("curl said {text:?}"))),
    }
}

/// A TCP server that reads what it is sent and answers nothing, on a thread inside the namespace.
pub struct TcpServer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TcpServer {
    /// Listens on `port`, IPv4 and IPv6.
    pub fn start(side: &Namespace, port: u16) -> io::Result<Self> {
        let listener = side.within(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)))?;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => drain(stream),
                    Err(_) => thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

fn drain(mut stream: TcpStream) {
    let _ = stream.set_nonblocking(false);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut buffer = [0; 16_384];
    while matches!(stream.read(&mut buffer), Ok(n) if n > 0) {}
}

impl Drop for TcpServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Connects from inside `side`, sends `text`, and waits until the other side has closed. Gives the
/// client's port.
pub fn send(side: &Namespace, server: IpAddr, port: u16, text: &[u8]) -> io::Result<u16> {
    side.within(|| {
        let address = SocketAddr::new(server, port);
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let local = stream.local_addr()?.port();
        stream.write_all(text)?;
        stream.shutdown(Shutdown::Write)?;
        while stream.read(&mut [0; 1024])? > 0 {}
        Ok(local)
    })
}
