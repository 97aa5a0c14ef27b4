//! `nids stats`: the numbers of the running sensor, the balance first.

use std::thread;
use std::time::{Duration, Instant};

use super::exit::Failure;
use super::interrupt;
use super::socket::{SocketArgs, body};
use super::stdout::Lines;
use crate::control::{Request, client};
use crate::telemetry::stats::Stats;
use crate::telemetry::summary::{Rates, Text};

/// Shows what the running sensor has counted: first what became of every frame, stage by stage.
///
/// Numbers that are 0 are left out below the balance, but not with --json. docs/operating.md names them all.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print one JSON object, the same as in EVE records of type stats.
    #[arg(long)]
    json: bool,
    /// Print frames a second, one line every SECONDS, until Ctrl-C; with --json, all numbers.
    #[arg(long, short, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    watch: Option<u64>,
    #[command(flatten)]
    socket: SocketArgs,
}

/// Prints them.
pub fn run(args: Args) -> Result<(), Failure> {
    interrupt::install();
    let mut out = Lines::stdout();
    let mut rates = Rates::default();
    let mut next = Instant::now();
    loop {
        let (line, stats) = fetch(&args)?;
        let text = match (args.json, args.watch) {
            (true, _) => body(&line),
            (false, None) => Text(&stats).to_string(),
            (false, Some(_)) => rates.next(&stats, Instant::now()),
        };
        out.buffer.extend_from_slice(text.as_bytes());
        if out.flush()?.is_break() {
            return Ok(());
        }
        let Some(seconds) = args.watch else { return Ok(()) };
        next += Duration::from_secs(seconds);
        while Instant::now() < next {
            if interrupt::asked() {
                return Ok(());
            }
            let left = next.saturating_duration_since(Instant::now());
            thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}

fn fetch(args: &Args) -> Result<(String, Stats), Failure> {
    let go_on = |_: &[u8]| Ok(std::ops::ControlFlow::Continue(()));
    let line = client::ask_line(&args.socket.socket, Request::Stats, go_on)?.unwrap_or_default();
    let stats = client::read(&line)?;
    Ok((line, stats))
}
