//! `cargo xtask demo`: a newcomer's first minute. A real web server is attacked with real requests in
//! network namespaces made for it, and the sensor tells.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::bed::netns::{Bed, CLIENT, Lines, SERVER, SERVER_IFACE, wait_until};
use crate::bed::sensor::{RULES, Sensor};
use crate::bed::service::{Nginx, TcpServer, curl, send};
use crate::{build, ebpf, packages};

/// How long an alert may take to show.
const PATIENCE: Duration = Duration::from_secs(3);

/// Arguments of `demo`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    ebpf: ebpf::Args,
}

/// Runs it.
///
/// # Errors
/// When root or a program is missing, or an alert does not come.
pub fn run(args: Args) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "the demo makes network namespaces and attaches to them, which needs root:\n\n    sudo \
             -E env \"PATH=$PATH\" cargo xtask demo\n"
        );
    }
    packages::ensure(&packages::LIVE, args.ebpf.no_install)?;
    let binary = build::nids(args.ebpf)?;
    let bed = Bed::new().context("cannot make the network namespaces")?;
    let _nginx = Nginx::start(&bed.server, &[80])?;
    let _shell = TcpServer::start(&bed.server, 22)?;
    let [client, _] = CLIENT;
    let [server, server6] = SERVER;

    println!("\nTwo network namespaces, joined by a veth pair:\n");
    println!("    {client}  ----------------  {server} ({SERVER_IFACE})");
    println!("    curl                        nginx on port 80, a TCP service on port 22");
    println!("\nThe rules:\n");
    for rule in RULES.lines().filter(|line| !line.is_empty()) {
        println!("    {rule}");
    }
    println!("\nThe sensor: nids run --iface {SERVER_IFACE}\n");
    let mut sensor = Sensor::start(&binary, &bed.server, RULES, ["--iface", SERVER_IFACE])?;
    show(&sensor.process.stderr.all());

    let mut seen = 0;
    let mut step = |what: &str, result: String, alerts: usize| -> Result<()> {
        println!("\n$ {what}\n    {result}");
        let lines = new_lines(&sensor.process.stdout, &mut seen, alerts);
        if lines.len() != alerts {
            bail!("expected {alerts} alert(s) here, and the sensor raised {}", lines.len());
        }
        show(&lines);
        Ok(())
    };
    let path = "/../../../../etc/passwd";
    let (status, _) = curl(&bed.client, server, 80, "/index.html")?;
    step(&format!("curl http://{server}/index.html"), format!("HTTP {status}, no alert"), 0)?;
    let (status, _) = curl(&bed.client, server, 80, path)?;
    step(&format!("curl --path-as-is http://{server}{path}"), format!("HTTP {status}"), 1)?;
    let (status, _) = curl(&bed.client, server6, 80, path)?;
    step(&format!("curl --path-as-is http://[{server6}]{path}"), format!("HTTP {status}"), 1)?;
    send(&bed.client, server, 22, b"USER root\r\nPASS letmein\r\n")?;
    step(&format!("printf 'USER root\\r\\n' | nc {server} 22"), "sent".into(), 1)?;

    println!("\nThe sensor stops (Ctrl-C), and its books balance:\n");
    let before = sensor.process.stderr.all().len();
    let status = sensor.stop()?;
    show(sensor.process.stderr.all().get(before..).unwrap_or_default());
    if !status.success() {
        bail!("the sensor ended with {status}");
    }
    println!("\nOn an interface of this machine: cargo xtask run -- --iface NAME");
    Ok(())
}

/// The lines behind the first `seen`; waits for `count`, and a moment longer for one too many.
fn new_lines(lines: &Lines, seen: &mut usize, count: usize) -> Vec<String> {
    wait_until(PATIENCE, || lines.all().len() >= *seen + count);
    thread::sleep(Duration::from_millis(150));
    let all = lines.all();
    let new = all.get(*seen..).unwrap_or_default().to_vec();
    *seen = all.len();
    new
}

fn show(lines: &[String]) {
    for line in lines {
        println!("    {line}");
    }
}
