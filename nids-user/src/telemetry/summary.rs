//! The numbers for people: the balance as sums that can be read off, then what is not 0; or rates, one line
//! at a time. The order is stable.

use std::fmt;
use std::time::Instant;

use super::figures::Figures;
use super::stats::{KernelStage, PortStats, Stats};

/// All numbers, the balance first.
#[derive(Debug)]
pub struct Text<'a>(pub &'a Stats);

fn line(f: &mut fmt::Formatter<'_>, name: &str, count: u64) -> fmt::Result {
    writeln!(f, "  {name:<38} {count:>16}")
}

/// Those that are not 0.
fn met(f: &mut fmt::Formatter<'_>, figures: &Figures) -> fmt::Result {
    figures
        .iter()
        .filter(|(_, count)| *count > 0)
        .try_for_each(|(name, count)| line(f, name, count))
}

fn sum(kernel: &KernelStage) -> String {
    let KernelStage { seen, filtered, shunted, forwarded, lost, .. } = kernel;
    format!(
        "seen {seen} = filtered {filtered} + shunted {shunted} + forwarded {forwarded} + lost {lost}"
    )
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.0;
        let balance = &stats.balance;
        writeln!(f, "balance")?;
        if let Some(kernel) = &balance.kernel {
            writeln!(f, "  kernel: {}", sum(kernel))?;
        }
        if let Some(ring) = &balance.ring {
            writeln!(
                f,
                "  ring: forwarded {} = received {} + waiting {}",
                ring.forwarded, ring.received, ring.waiting
            )?;
        }
        let agent = &balance.agent;
        writeln!(
            f,
            "  agent: received {} = inspected {} + skipped {}",
            agent.received, agent.inspected, agent.skipped
        )?;
        let given_up = balance.given_up.iter().filter(|(_, count)| *count > 0).count();
        writeln!(f, "  given up: {}", if given_up == 0 { "nothing" } else { "see below" })?;
        writeln!(f, "  difference: {}", balance.difference)?;
        for port in &stats.interfaces {
            self.port(f, port)?;
        }
        if agent.skipped > 0 {
            writeln!(f, "skipped, by reason")?;
            met(f, &agent.reasons)?;
        }
        if given_up > 0 {
            writeln!(f, "given up of what was inspected")?;
            met(f, &balance.given_up)?;
        }
        if balance.shunts.iter().any(|(_, count)| count > 0) {
            writeln!(f, "verdicts that flows be let by")?;
            met(f, &balance.shunts)?;
        }
        let rules = &stats.rules;
        writeln!(f, "rules")?;
        line(f, "loaded", rules.loaded)?;
        line(f, "refused", rules.refused)?;
        line(f, "generation", rules.generation.into())?;
        if rules.failed_reloads > 0 {
            line(f, "failed reloads", rules.failed_reloads)?;
        }
        writeln!(f, "outputs")?;
        for output in &stats.outputs {
            line(f, &format!("{}, written", output.kind), output.written)?;
            line(f, &format!("{}, lost", output.kind), output.lost)?;
        }
        if stats.workers.len() > 1 {
            writeln!(f, "received, by worker")?;
            for (number, worker) in stats.workers.iter().enumerate() {
                line(f, &format!("worker {number}"), worker.received)?;
            }
        }
        writeln!(f, "counters")?;
        met(f, &stats.figures)?;
        line(f, "uptime", stats.uptime)
    }
}

impl Text<'_> {
    fn port(&self, f: &mut fmt::Formatter<'_>, port: &PortStats) -> fmt::Result {
        writeln!(f, "{} {} ({} mode)", port.interface, port.direction, port.mode)?;
        if self.0.interfaces.len() > 1 {
            writeln!(f, "  {}", sum(&port.kernel))?;
        }
        met(f, &port.kernel.reasons)?;
        match &port.nic {
            None => writeln!(f, "  the interface is gone, and its own counters with it"),
            Some(nic) => writeln!(
                f,
                "  interface: rx_packets {}, rx_dropped {}, rx_missed {}, rx_errors {}, tx_packets {}, tx_dropped {}",
                nic.rx_packets,
                nic.rx_dropped,
                nic.rx_missed,
                nic.rx_errors,
                nic.tx_packets,
                nic.tx_dropped
            ),
        }
    }
}

/// What happened a second, from one look to the next.
#[derive(Debug, Default)]
pub struct Rates {
    before: Option<(Stats, Instant)>,
    lines: u64,
}

/// Lines between two headings.
const HEADING: u64 = 20;

impl Rates {
    /// The next line; the first one is the heading alone, and of everything since the start.
    pub fn next(&mut self, stats: &Stats, now: Instant) -> String {
        let mut out = String::new();
        if self.lines.is_multiple_of(HEADING) {
            out += &row(COLUMNS.map(|(name, _)| name.to_owned()));
        }
        self.lines += 1;
        let (before, seconds) = match &self.before {
            // A sensor that was started anew counts from 0.
            Some((before, then)) if before.uptime <= stats.uptime => {
                (before.clone(), now.duration_since(*then).as_secs_f64())
            }
            _ => (Stats::default(), stats.uptime.max(1) as f64),
        };
        out += &row(COLUMNS.map(|(_, value)| {
            let more = value(stats).saturating_sub(value(&before)) as f64;
            format!("{:.0}", more / seconds.max(0.001))
        }));
        self.before = Some((stats.clone(), now));
        out
    }
}

type Column = (&'static str, fn(&Stats) -> u64);

fn kernel(stats: &Stats, value: fn(&KernelStage) -> u64) -> u64 {
    stats.balance.kernel.as_ref().map_or(0, value)
}

const COLUMNS: [Column; 9] = [
    ("seen/s", |stats| kernel(stats, |kernel| kernel.seen)),
    ("filtered/s", |stats| kernel(stats, |kernel| kernel.filtered)),
    ("shunted/s", |stats| kernel(stats, |kernel| kernel.shunted)),
    ("forwarded/s", |stats| kernel(stats, |kernel| kernel.forwarded)),
    ("lost/s", |stats| kernel(stats, |kernel| kernel.lost)),
    ("inspected/s", |stats| stats.balance.agent.inspected),
    ("skipped/s", |stats| stats.balance.agent.skipped),
    ("flows/s", |stats| stats.figures.get("flow.total").unwrap_or(0)),
    ("alerts/s", |stats| stats.figures.get("detect.alert").unwrap_or(0)),
];

fn row(cells: [String; COLUMNS.len()]) -> String {
    cells.map(|cell| format!("{cell:>11}")).join(" ") + "\n"
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::balance::tests::books;
    use crate::telemetry::stats::RuleStats;

    fn stats(uptime: u64) -> Stats {
        let balance = books();
        let workers = std::slice::from_ref(&balance.agent);
        Stats::new(uptime, &balance, workers, RuleStats::default())
    }

    #[test]
    fn the_balance_comes_first() {
        let text = Text(&stats(5)).to_string();
        assert!(
            text.starts_with(
                "balance\n\
                 \x20 kernel: seen 100 = filtered 65 + shunted 10 + forwarded 20 + lost 5\n\
                 \x20 ring: forwarded 20 = received 20 + waiting 0\n\
                 \x20 agent: received 20 = inspected 18 + skipped 2\n\
                 \x20 given up: see below\n\
                 \x20 difference: 0\n\
                 eth0 ingress (driver mode)\n"
            ),
            "{text}"
        );
        for (name, count) in [("tcp-level", 60), ("malformed-record", 2), ("flow.total", 7)] {
            assert!(text.contains(&format!("  {name:<38} {count:>16}\n")), "{name}: {text}");
        }
        assert!(!text.contains("icmp-type") && !text.contains("fragments-refused"), "{text}");
    }

    #[test]
    fn rates_are_by_time_and_begin_anew_with_the_sensor() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        let cells = |line: &str| -> Vec<String> {
            line.lines().last().unwrap().split_whitespace().map(str::to_owned).collect()
        };
        let first = rates.next(&stats(10), start);
        assert_eq!(first.lines().count(), 2);
        assert_eq!(cells(&first)[0], "10");
        let mut more = stats(12);
        more.balance.kernel.as_mut().unwrap().seen += 50;
        let second = rates.next(&more, start + Duration::from_secs(2));
        assert_eq!(second.lines().count(), 1);
        assert_eq!(cells(&second), ["25", "0", "0", "0", "0", "0", "0", "0", "0"]);
        let restarted = rates.next(&stats(1), start + Duration::from_secs(3));
        assert_eq!(cells(&restarted)[0], "100");
    }
}
