//! `nids status`: how the running sensor is.

use std::fmt::Write;

use super::exit::{Code, Failure};
use super::socket::{SocketArgs, body, print, span};
use crate::control::{Health, Request, Status, client};
use crate::telemetry::preflight::Level;

/// Shows how the running sensor is: where it listens, its rules, what is wrong, what was lost.
///
/// Exit codes: 0, all is well; 1, it runs and something is wrong; 69, no sensor runs.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: SocketArgs,
}

/// Prints it.
pub fn run(args: Args) -> Result<(), Failure> {
    let go_on = |_: &[u8]| Ok(std::ops::ControlFlow::Continue(()));
    let line = client::ask_line(&args.socket.socket, Request::Status, go_on)?.unwrap_or_default();
    let status: Status = client::read(&line)?;
    match args.json {
        true => print(&body(&line))?,
        false => print(&text(&status))?,
    }
    match (status.health, status.problems.first()) {
        (Health::Ok, _) => Ok(()),
        (Health::Degraded, first) => {
            let first = first.map_or("something is wrong", String::as_str);
            Err(Failure::new(Code::No, format!("{first}.")))
        }
    }
}

/// In a stable order: scripts may read the words before the colons.
fn text(status: &Status) -> String {
    let mut out = String::new();
    let Status { version, pid, uptime, health, .. } = status;
    let health = match health {
        Health::Ok => "ok",
        Health::Degraded => "degraded",
    };
    let _ = writeln!(out, "health: {health}");
    for problem in &status.problems {
        let _ = writeln!(out, "problem: {problem}");
    }
    let _ = writeln!(out, "sensor: nids {version}, process {pid}, up {}", span(*uptime));
    for port in &status.ports {
        let gone = if port.present { "" } else { ", gone" };
        let (interface, direction) = (&port.interface, &port.direction);
        let _ = writeln!(out, "interface: {interface} {direction}, {} mode{gone}", port.mode);
    }
    let processors: Vec<_> =
        status.workers.iter().map(|one| one.map_or("any".into(), |one| one.to_string())).collect();
    let count = processors.len();
    let _ = writeln!(out, "workers: {count}, on processors {}", processors.join(" "));
    let rules = &status.rules;
    let _ = writeln!(
        out,
        "rules: {} loaded, {} refused, {} disabled, generation {}",
        rules.loaded, rules.refused, rules.disabled, rules.generation
    );
    if let Some(last) = &status.last_reload {
        let time = i64::try_from(last.time).ok();
        let time = time.and_then(|time| jiff::Timestamp::from_second(time).ok());
        let time = time.map_or_else(String::new, |time| format!("{time}: "));
        let came = last.error.as_deref().unwrap_or("done");
        let _ = writeln!(out, "reload: {time}{came}");
    }
    for loss in &status.losses {
        let _ = writeln!(out, "lost: {} {}: {}", loss.count, loss.what, loss.help);
    }
    for finding in &status.preflight {
        let level = if finding.level == Level::Warning { "warning" } else { "found" };
        let _ = writeln!(out, "{level}: {finding}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{LastReload, Loss, PortStatus};
    use crate::telemetry::stats::RuleStats;

    #[test]
    fn words_before_the_colons_are_stable() {
        let status = Status {
            version: "1.2.3".into(),
            pid: 7,
            uptime: 61,
            health: Health::Degraded,
            problems: vec!["the interface eth1 is gone".into()],
            ports: vec![PortStatus {
                interface: "eth1".into(),
                direction: "ingress".into(),
                mode: "driver".into(),
                present: false,
            }],
            workers: vec![Some(0), None],
            rules: RuleStats { generation: 2, loaded: 5, refused: 1, ..RuleStats::default() },
            last_reload: Some(LastReload { time: 0, error: Some("no file".into()) }),
            losses: vec![Loss { what: "frames".into(), count: 4, help: "try harder".into() }],
            preflight: Vec::new(),
        };
        assert_eq!(
            text(&status),
            "health: degraded\n\
             problem: the interface eth1 is gone\n\
             sensor: nids 1.2.3, process 7, up 00:01:01\n\
             interface: eth1 ingress, driver mode, gone\n\
             workers: 2, on processors 0 any\n\
             rules: 5 loaded, 1 refused, 0 disabled, generation 2\n\
             reload: 1970-01-01T00:00:00Z: no file\n\
             lost: 4 frames: try harder\n"
        );
    }
}
