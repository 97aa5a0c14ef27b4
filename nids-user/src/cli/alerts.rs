//! `nids alerts`: the alert log, one alert a line, as it grows.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::exit::{Code, Failure};
use super::interrupt;
use super::stdout::Lines;
use crate::output::colour_wanted;
use crate::output::follow::{Follower, LoggedAlert, POLL};

/// Shows the alerts of a log, one a line.
///
/// The log may be EVE JSON or Snort's fast format. With --follow it is read as it grows, through
/// rotation and truncation, until Ctrl-C; the file is looked at ten times a second.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The log to read.
    #[arg(value_name = "FILE", default_value = "/var/log/nids/eve.json")]
    file: PathBuf,
    /// Wait for more alerts, and for the file where it is missing.
    #[arg(long, short)]
    follow: bool,
    /// Print the EVE objects as they stand in the log.
    #[arg(long)]
    json: bool,
    /// Begin with the last N alerts of the log.
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
}

/// Reads the log until its end or, with `--follow`, until a signal.
pub fn run(args: Args) -> Result<(), Failure> {
    interrupt::install();
    let cannot_read = |error: io::Error| {
        Failure::new(Code::NoInput, format!("{} cannot be read: {error}.", args.file.display()))
    };
    let mut log = match Follower::open(&args.file) {
        Ok(log) => log,
        Err(error) if args.follow && error.kind() == io::ErrorKind::NotFound => {
            super::say(format_args!("waiting for {}", args.file.display()));
            Follower::wait_for(&args.file)
        }
        Err(error) => return Err(cannot_read(error)),
    };
    let mut show = Show { out: Lines::stdout(), colour: colour_wanted(), args: &args };
    let mut ended = ControlFlow::Continue(());

    if let Some(wanted) = args.lines {
        let mut last = VecDeque::new();
        while let Some(alert) = log.poll().map_err(cannot_read)? {
            if interrupt::asked() {
                break;
            }
            if last.len() == wanted {
                last.pop_front();
            }
            if wanted > 0 {
                last.push_back(alert);
            }
        }
        for alert in last {
            ended = show.alert(&alert)?;
            if ended.is_break() {
                break;
            }
        }
    }
    while ended.is_continue() && !interrupt::asked() {
        ended = match log.poll().map_err(cannot_read)? {
            Some(alert) => show.alert(&alert)?,
            None => {
                let flushed = show.out.flush()?;
                if !args.follow {
                    break;
                }
                std::thread::sleep(POLL);
                flushed
            }
        };
    }
    let _ = show.out.flush()?;
    match log.unreadable() {
        0 => {}
        1 => super::say(format_args!("1 line is no alert and no EVE event")),
        lines => super::say(format_args!("{lines} lines are no alerts and no EVE events")),
    }
    Ok(())
}

struct Show<'a> {
    out: Lines,
    colour: bool,
    args: &'a Args,
}

impl Show<'_> {
    fn alert(&mut self, alert: &LoggedAlert) -> Result<ControlFlow<()>, Failure> {
        if !self.args.json {
            alert.write_readable(&mut self.out.buffer, self.colour);
        } else if alert.is_eve() {
            self.out.buffer.extend_from_slice(alert.line.as_bytes());
            self.out.buffer.push(b'\n');
        } else {
            let file = self.args.file.display();
            let text = format!("{file} is a fast log; --json needs an EVE log.");
            return Err(Failure::new(Code::Data, text));
        }
        self.out.line()
    }
}
