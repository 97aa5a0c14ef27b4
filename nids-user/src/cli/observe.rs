//! Flags that watch the rules at work, and what is shown of it: traces and profiles.

use std::fmt::Write as _;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::exit::{Code, Failure};
use super::say;
use super::stdout::Lines;
use crate::detect::profile::Row;
use crate::detect::watch::Observation;
use crate::rule::diagnostic::printable;
use crate::rule::id::RuleId;

/// What is shown of the cost of rules.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Profile")]
pub(super) struct ProfileArgs {
    /// Time each rule; at the end show on standard error those that took most time.
    #[arg(long)]
    profile: bool,
    /// How many of them to show.
    #[arg(long, value_name = "N", default_value_t = 20)]
    profile_top: usize,
    /// Time each rule; at the end write all of them to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    profile_json: Option<PathBuf>,
}

impl ProfileArgs {
    /// Whether the rules are to be timed.
    pub fn is_asked(&self) -> bool {
        self.profile || self.profile_json.is_some()
    }

    /// Shows and writes the profile.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn show(&self, observation: &Observation) -> Result<(), Failure> {
        if !self.is_asked() {
            return Ok(());
        }
        let rows = observation.take_rows();
        if self.profile {
            say(format_args!("{}", table(&rows, self.profile_top)));
        }
        let Some(path) = &self.profile_json else { return Ok(()) };
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(Code::CannotCreate, format!("{}: {error}.", path.display()))
        };
        let profile = Profile {
            rules: rows.len(),
            checks: rows.iter().map(|row| row.checks).sum(),
            matches: rows.iter().map(|row| row.matches).sum(),
            total_ns: rows.iter().map(|row| row.total).sum(),
            by_rule: rows.iter().map(|row| Line { row, average_ns: row.average() }).collect(),
        };
        let text = serde_json::to_string_pretty(&profile).map_err(|error| failed(&error))?;
        fs::write(path, text + "\n").map_err(|error| failed(&error))
    }
}

/// A profile as it is written.
#[derive(Serialize)]
struct Profile<'r> {
    /// Rules that were tried.
    rules: usize,
    checks: u64,
    matches: u64,
    total_ns: u64,
    by_rule: Vec<Line<'r>>,
}

#[derive(Serialize)]
struct Line<'r> {
    #[serde(flatten)]
    row: &'r Row,
    average_ns: u64,
}

/// The rules that took most time, under a heading.
fn table(rows: &[Row], top: usize) -> String {
    let all: u64 = rows.iter().map(|row| row.total).sum();
    let checks: u64 = rows.iter().map(|row| row.checks).sum();
    let (count, shown) = (rows.len(), rows.len().min(top));
    let mut text = format!(
        "profile: {count} rules were tried, {checks} times in all, which took {}; the {shown} that took most:\n",
        Time(all)
    );
    let head = ["rule", "checks", "matches", "total", "share", "average", "max"];
    let [rule, checks, matches, total, share, average, max] = head;
    let _ = writeln!(
        text,
        "{rule:>14} {checks:>10} {matches:>9} {total:>9} {share:>6} {average:>9} {max:>9}  msg"
    );
    for row in rows.iter().take(top) {
        let share = row.total as f64 * 100.0 / all.max(1) as f64;
        let _ = writeln!(
            text,
            "{:>14} {:>10} {:>9} {:>9} {share:>5.1}% {:>9} {:>9}  {}",
            row.id.to_string(),
            row.checks,
            row.matches,
            Time(row.total).to_string(),
            Time(row.average()).to_string(),
            Time(row.max).to_string(),
            printable(&row.msg)
        );
    }
    text.truncate(text.trim_end().len());
    text
}

/// Nanoseconds with a unit that leaves three or four digits.
struct Time(u64);

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (value, unit) = match self.0 {
            0..10_000 => return write!(f, "{} ns", self.0),
            10_000..10_000_000 => (self.0 as f64 / 1e3, "us"),
            10_000_000..10_000_000_000 => (self.0 as f64 / 1e6, "ms"),
            _ => (self.0 as f64 / 1e9, "s"),
        };
        write!(f, "{value:.1} {unit}")
    }
}

/// Traces on their way to standard output.
pub(super) struct Traces<'o> {
    observation: &'o Observation,
    out: Lines,
}

impl<'o> Traces<'o> {
    pub fn new(observation: &'o Observation) -> Self {
        Self { observation, out: Lines::stdout() }
    }

    /// Prints what was traced since the last time. `Break`: nobody reads any more.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn print(&mut self) -> Result<ControlFlow<()>, Failure> {
        let lines = self.observation.take_lines();
        if lines.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        self.out.buffer.extend_from_slice(lines.as_bytes());
        self.out.line()
    }

    /// Prints the counts, once no packet is to come and the inspectors are gone.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn totals(&mut self) -> Result<(), Failure> {
        for traced in self.observation.take_traced() {
            self.out.buffer.extend_from_slice(format!("\n{traced}").as_bytes());
        }
        self.out.flush().map(|_| ())
    }
}

/// What the rules are to be watched for; `None`: nothing.
pub(super) fn observation(trace: &[RuleId], profile: &ProfileArgs) -> Option<Arc<Observation>> {
    let observation = Observation::new(trace.to_vec(), profile.is_asked());
    (!observation.is_empty()).then(|| Arc::new(observation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (ns, text) in [
            (0, "0 ns"),
            (9_999, "9999 ns"),
            (12_345, "12.3 us"),
            (12_345_678, "12.3 ms"),
            (12_345_678_901, "12.3 s"),
        ] {
            assert_eq!(Time(ns).to_string(), text);
        }
    }

    #[test]
    fn the_table_shows_the_first_rows() {
        let row = |sid, total, msg: &str| Row {
            id: RuleId { gid: 1, sid },
            rev: 1,
            msg: msg.to_owned(),
            checks: 4,
            matches: 1,
            total,
            max: 900,
        };
        let rows = [row(7, 3000, "slow\u{1b}[31m"), row(8, 1000, "fast"), row(9, 0, "none")];
        let expected = "\
profile: 3 rules were tried, 12 times in all, which took 4000 ns; the 2 that took most:
          rule     checks   matches     total  share   average       max  msg
           1:7          4         1   3000 ns  75.0%    750 ns    900 ns  slow␛[31m
           1:8          4         1   1000 ns  25.0%    250 ns    900 ns  fast";
        assert_eq!(table(&rows, 2), expected);
    }
}
