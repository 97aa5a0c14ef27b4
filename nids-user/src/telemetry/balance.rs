//! The balance: every frame seen has exactly one fate, and the fates add up.
//!
//! `seen = filtered + shunted + forwarded + lost` is counted in the kernel, by processor, each frame under one
//! reason; `forwarded = inspected + skipped` by the workers. At rest the difference is 0. While frames
//! come, those between two counters show as a difference.
//!
//! The text is stable: programs read it. Its last line is `balance: difference N`.

use std::fmt;

use nids_abi::{COUNTERS, Reason};

use crate::capture::Direction;
use crate::capture::interface::InterfaceCounters;
use crate::capture::xdp::CapturePort;
use crate::output::OutputCounters;
use crate::telemetry::figures::Figures;

/// The books of one capture port.
#[derive(Clone, Debug)]
pub struct PortBooks {
    /// The port.
    pub port: CapturePort,
    /// The kernel half's counters, summed over the processors.
    pub counters: [u64; COUNTERS],
    /// What the interface has counted since the start; `None` where it is gone.
    pub interface: Option<InterfaceCounters>,
}

/// What the workers did with the frames they got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentBooks {
    /// Records taken out of the rings.
    pub received: u64,
    /// Frames inspected.
    pub inspected: u64,
    /// Frames not inspected, by reason.
    pub skipped: Vec<(&'static str, u64)>,
    /// What was given up of frames that were inspected, by reason: no part of the balance, but traffic
    /// that rules did not see, or not in full.
    pub given_up: Vec<(&'static str, u64)>,
    /// Verdicts that the kernel let flows by; empty where flows are not shunted.
    /// given = displaced + released + ended + in force.
    pub shunts: Vec<(&'static str, u64)>,
    /// Alerts raised.
    pub alerts: u64,
    /// What else is counted.
    pub figures: Figures,
}

impl AgentBooks {
    /// Adds the books of another worker.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.inspected += other.inspected;
        self.alerts += other.alerts;
        self.figures.merge(&other.figures);
        for (sums, counts) in [
            (&mut self.skipped, &other.skipped),
            (&mut self.given_up, &other.given_up),
            (&mut self.shunts, &other.shunts),
        ] {
            for (reason, count) in counts {
                match sums.iter_mut().find(|(known, _)| known == reason) {
                    Some((_, sum)) => *sum += count,
                    None => sums.push((reason, *count)),
                }
            }
        }
    }

    pub(super) fn skipped(&self) -> u64 {
        self.skipped.iter().map(|(_, count)| count).sum()
    }
}

/// All books of a sensor at one moment.
#[derive(Clone, Debug)]
pub struct Balance {
    /// By capture port.
    pub ports: Vec<PortBooks>,
    /// Of all workers.
    pub agent: AgentBooks,
    /// Of the writer.
    pub outputs: OutputCounters,
    /// Whether the programs were attached while the counters were read.
    pub running: bool,
}

impl PortBooks {
    fn count(&self, reason: Reason) -> u64 {
        self.counters.get(reason as usize).copied().unwrap_or(0)
    }
    pub(super) fn sum(&self, reasons: &[Reason]) -> u64 {
        reasons.iter().map(|reason| self.count(*reason)).sum()
    }
}

impl Balance {
    fn sum(&self, reasons: &[Reason]) -> u64 {
        self.ports.iter().map(|port| port.sum(reasons)).sum()
    }

    fn fates(&self) -> Fates {
        Fates {
            seen: self.sum(&[Reason::Seen]),
            filtered: self.sum(&Reason::FILTERED),
            shunted: self.sum(&Reason::SHUNTED),
            forwarded: self.sum(&Reason::FORWARDED),
            lost: self.sum(&Reason::LOST),
        }
    }

    /// Frames whose fate is missing or doubled: 0 at rest.
    pub fn difference(&self) -> u64 {
        let Fates { seen, filtered, shunted, forwarded, lost } = self.fates();
        seen.abs_diff(filtered + shunted + forwarded + lost)
            + forwarded.abs_diff(self.agent.inspected + self.agent.skipped())
    }
}

/// Frames, and what became of them in the kernel.
struct Fates {
    seen: u64,
    filtered: u64,
    shunted: u64,
    forwarded: u64,
    lost: u64,
}

/// The word for a reason.
pub(super) fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Seen => "seen",
        Reason::TcpLevel => "tcp-level",
        Reason::UdpLevel => "udp-level",
        Reason::IcmpType => "icmp-type",
        Reason::IpProto => "ip-protocol",
        Reason::FragmentUnwanted => "fragment-unwanted",
        Reason::UnjudgedUnwanted => "unjudged-unwanted",
        Reason::NonIp => "non-ip",
        Reason::NotRunning => "not-running",
        Reason::Shunted => "shunted",
        Reason::LostRingFull => "ring-full",
        Reason::LostCopy => "copy-failed",
        Reason::LostSilent => "agent-silent",
        Reason::Wanted => "wanted",
        Reason::Fragment => "fragment",
        Reason::Unjudged => "unjudged",
        Reason::WantedNonIp => "wanted-non-ip",
        Reason::SeenBytes => "seen-bytes",
        Reason::ForwardedBytes => "forwarded-bytes",
        Reason::Truncated => "truncated",
        Reason::ShuntedBytes => "shunted-bytes",
    }
}

fn line(f: &mut fmt::Formatter<'_>, indent: usize, name: &str, count: u64) -> fmt::Result {
    writeln!(f, "{:indent$}{name:width$} {count:>14}", "", width = 24 - indent)
}

impl fmt::Display for PortBooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.port)?;
        line(f, 2, "seen", self.count(Reason::Seen))?;
        let groups: [(&str, &[Reason]); 4] = [
            ("filtered", &Reason::FILTERED),
            ("shunted", &Reason::SHUNTED),
            ("forwarded", &Reason::FORWARDED),
            ("lost", &Reason::LOST),
        ];
        for (name, reasons) in groups {
            line(f, 2, name, self.sum(reasons))?;
            let met = |reason: &&Reason| self.count(**reason) > 0 && word(**reason) != name;
            for reason in reasons.iter().filter(met) {
                line(f, 4, word(*reason), self.count(*reason))?;
            }
        }
        for note in
            [Reason::SeenBytes, Reason::ShuntedBytes, Reason::ForwardedBytes, Reason::Truncated]
        {
            line(f, 2, word(note), self.count(note))?;
        }
        match (&self.interface, self.port.direction) {
            (None, _) => writeln!(f, "  the interface is gone, and its own counters with it"),
            (Some(own), Direction::Ingress) => writeln!(
                f,
                "  interface: rx_packets {}, rx_dropped {}, rx_missed {}, rx_errors {}",
                own.rx_packets, own.rx_dropped, own.rx_missed, own.rx_errors
            ),
            (Some(own), Direction::Egress) => writeln!(
                f,
                "  interface: tx_packets {}, tx_dropped {}",
                own.tx_packets, own.tx_dropped
            ),
        }
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for port in &self.ports {
            port.fmt(f)?;
        }
        writeln!(f, "agent")?;
        line(f, 2, "received", self.agent.received)?;
        for (reason, count) in self.agent.skipped.iter().filter(|(_, count)| *count > 0) {
            line(f, 4, reason, *count)?;
        }
        let mut given_up = self.agent.given_up.iter().filter(|(_, count)| *count > 0).peekable();
        if given_up.peek().is_some() {
            writeln!(f, "  given up of what was inspected")?;
        }
        for (reason, count) in given_up {
            line(f, 4, reason, *count)?;
        }
        if self.agent.shunts.iter().any(|(_, count)| *count > 0) {
            writeln!(f, "  flows shunted")?;
            for (what, count) in self.agent.shunts.iter().filter(|(_, count)| *count > 0) {
                line(f, 4, what, *count)?;
            }
        }
        line(f, 2, "alerts", self.agent.alerts)?;
        line(f, 2, "alerts-overflow", self.outputs.overflow)?;
        if self.outputs.other_overflow > 0 {
            line(f, 2, "records-overflow", self.outputs.other_overflow)?;
        }
        if self.outputs.stripped > 0 {
            line(f, 2, "alerts-without-payload", self.outputs.stripped)?;
        }
        for sink in &self.outputs.sinks {
            line(f, 2, &format!("{}-written", sink.label), sink.written)?;
            let failed = sink.lost.iter().map(|(_, count)| count).sum();
            if failed > 0 {
                line(f, 2, &format!("{}-failed", sink.label), failed)?;
            }
        }
        let Fates { seen, filtered, shunted, forwarded, lost } = self.fates();
        writeln!(f, "total")?;
        writeln!(
            f,
            "  seen {seen} = filtered {filtered} + shunted {shunted} + forwarded {forwarded} + lost {lost}"
        )?;
        let AgentBooks { inspected, .. } = self.agent;
        let skipped = self.agent.skipped();
        writeln!(f, "  forwarded {forwarded} = inspected {inspected} + skipped {skipped}")?;
        write!(f, "balance: difference {}", self.difference())?;
        if self.running && self.difference() > 0 {
            write!(f, " (the sensor is running: frames are on their way)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::capture::xdp::Mode;

    /// Sound books of one port and one worker.
    pub(in crate::telemetry) fn books() -> Balance {
        let mut counters = [0; COUNTERS];
        for (reason, count) in [
            (Reason::Seen, 100),
            (Reason::TcpLevel, 60),
            (Reason::NonIp, 5),
            (Reason::Shunted, 10),
            (Reason::Wanted, 20),
            (Reason::LostRingFull, 5),
            (Reason::SeenBytes, 6400),
        ] {
            counters[reason as usize] = count;
        }
        let port = CapturePort {
            interface: "eth0".into(),
            index: 2,
            direction: Direction::Ingress,
            mode: Mode::Driver,
            before: InterfaceCounters::default(),
        };
        let agent = AgentBooks {
            received: 20,
            inspected: 18,
            skipped: vec![("malformed-record", 2)],
            given_up: vec![("stream-memcap-bytes", 4096), ("fragments-refused", 0)],
            shunts: vec![("given", 3), ("refused", 0)],
            alerts: 1,
            figures: Figures::from_iter([("flow.total", 7)]),
        };
        Balance {
            ports: vec![PortBooks { port, counters, interface: None }],
            agent,
            outputs: OutputCounters { taken: 1, ..OutputCounters::default() },
            running: false,
        }
    }

    #[test]
    fn every_reason_has_its_place_in_the_sum() {
        let mut places: Vec<_> =
            [&Reason::FILTERED[..], &Reason::SHUNTED, &Reason::LOST, &Reason::FORWARDED].concat();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), 16);
        assert!(places.iter().all(|reason| (*reason as usize) < Reason::FIRST_SIZE));
    }

    #[test]
    fn sound_books_have_no_difference_and_unsound_ones_do() {
        let mut balance = books();
        assert_eq!(balance.difference(), 0);
        balance.agent.inspected -= 3;
        assert_eq!(balance.difference(), 3);
        balance.ports[0].counters[Reason::Wanted as usize] -= 1;
        assert_eq!(balance.difference(), 1 + 2);
    }

    #[test]
    fn the_text_ends_with_the_difference() {
        let text = books().to_string();
        assert!(
            text.contains("  seen 100 = filtered 65 + shunted 10 + forwarded 20 + lost 5\n"),
            "{text}"
        );
        assert!(text.contains(&format!("  {:22} {:>14}\n", "shunted", 10)), "{text}");
        assert!(text.contains("  forwarded 20 = inspected 18 + skipped 2\n"), "{text}");
        assert!(text.ends_with("\nbalance: difference 0"), "{text}");
    }

    #[test]
    fn what_was_given_up_shows_where_it_is_not_zero() {
        let mut balance = books();
        let text = balance.to_string();
        assert!(
            text.contains(&format!("\n    {:20} {:>14}\n", "stream-memcap-bytes", 4096)),
            "{text}"
        );
        assert!(!text.contains("fragments-refused"), "{text}");
        balance.agent.given_up.clear();
        assert!(!balance.to_string().contains("given up"));
    }

    #[test]
    fn the_books_of_workers_add_up() {
        let mut sum = AgentBooks::default();
        sum.add(&books().agent);
        sum.add(&AgentBooks { skipped: vec![("too-short", 1)], ..books().agent });
        assert_eq!((sum.received, sum.inspected, sum.alerts), (40, 36, 2));
        assert_eq!(sum.skipped, [("malformed-record", 2), ("too-short", 1)]);
        assert_eq!(sum.given_up, [("stream-memcap-bytes", 8192), ("fragments-refused", 0)]);
    }
}
