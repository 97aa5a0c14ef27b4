//! All numbers of a running sensor at one moment, as clients, EVE `stats` records and Prometheus get them.
//!
//! The balance by stage comes first, as it tells whether anything was missed: what the kernel half did with
//! each frame, what lies in the rings, what the workers did. docs/operating.md names every key.

use serde::{Deserialize, Serialize};

use super::balance::{AgentBooks, Balance, PortBooks, word};
use super::figures::Figures;
use crate::capture::Direction;
use crate::rule::report::Summary;
use nids_abi::Reason;

/// Everything that is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Seconds since the start.
    pub uptime: u64,
    /// The balance.
    pub balance: Stages,
    /// By capture port, with the interface's own counters beside.
    pub interfaces: Vec<PortStats>,
    /// By worker.
    pub workers: Vec<WorkerStats>,
    /// By output.
    pub outputs: Vec<OutputStats>,
    /// The rules in force.
    pub rules: RuleStats,
    /// Everything else, under Suricata's names where they fit.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What became of every frame, stage by stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stages {
    /// seen = filtered + shunted + forwarded + lost; `None` for files, which no kernel half sees.
    pub kernel: Option<KernelStage>,
    /// forwarded = received + waiting.
    pub ring: Option<RingStage>,
    /// received = inspected + skipped.
    pub agent: AgentStage,
    /// What rules did not see of what was inspected, by reason.
    pub given_up: Figures,
    /// Verdicts that flows be let by: given = displaced + released + ended + in force. Empty where flows are
    /// not shunted.
    pub shunts: Figures,
    /// Frames that are in no sum or in two: 0, but for frames counted while this was read.
    pub difference: u64,
}

/// Frames, and what the kernel half did with them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelStage {
    /// Frames it was run for.
    pub seen: u64,
    /// Let by, as no rule could want them.
    pub filtered: u64,
    /// Let by, as a worker wants no more of their flow.
    pub shunted: u64,
    /// Handed over.
    pub forwarded: u64,
    /// Wanted and not handed over.
    pub lost: u64,
    /// Each of these by reason.
    pub reasons: Figures,
}

/// What is between the kernel half and the workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingStage {
    /// Frames put in.
    pub forwarded: u64,
    /// Frames taken out.
    pub received: u64,
    /// Frames that are in there.
    pub waiting: u64,
}

/// What the workers did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStage {
    /// Frames they took.
    pub received: u64,
    /// Frames that rules saw.
    pub inspected: u64,
    /// Frames that rules did not see.
    pub skipped: u64,
    /// These by reason.
    pub reasons: Figures,
}

/// One capture port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStats {
    /// Interface.
    pub interface: String,
    /// `ingress` or `egress`.
    pub direction: String,
    /// `driver`, `generic` or `tcx`.
    pub mode: String,
    /// What the kernel half did here.
    pub kernel: KernelStage,
    /// What the interface itself counted since the start; `None` where it is gone.
    pub nic: Option<NicStats>,
}

/// What an interface counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicStats {
    /// Frames that came in.
    pub rx_packets: u64,
    /// Dropped behind the driver: no memory, no queue, or nobody who wants them.
    pub rx_dropped: u64,
    /// Not taken, as the NIC had no room.
    pub rx_missed: u64,
    /// Bad ones.
    pub rx_errors: u64,
    /// Frames that left.
    pub tx_packets: u64,
    /// Frames dropped on their way out.
    pub tx_dropped: u64,
}

/// One worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStats {
    /// Frames it took.
    pub received: u64,
    /// Frames that rules saw.
    pub inspected: u64,
    /// Frames that they did not see.
    pub skipped: u64,
    /// Alerts.
    pub alerts: u64,
}

/// One output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputStats {
    /// `console`, `fast`, `eve`, `pcap`, or one of several such as `eve.soc`.
    pub kind: String,
    /// Its file.
    pub path: Option<String>,
    /// Records written.
    pub written: u64,
    /// Records lost.
    pub lost: u64,
}

/// The rules in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleStats {
    /// Reloads so far; the rules of the start are generation 0.
    pub generation: u32,
    /// Rules in force.
    pub loaded: u64,
    /// Rules refused.
    pub refused: u64,
    /// Rules switched off.
    pub disabled: u64,
    /// Reloads that failed and left the rules as they were.
    pub failed_reloads: u64,
}

impl KernelStage {
    fn of<'a>(ports: impl Iterator<Item = &'a PortBooks> + Clone) -> Self {
        let sum = |reasons: &[Reason]| ports.clone().map(|port| port.sum(reasons)).sum();
        let each = [&Reason::FILTERED[..], &Reason::SHUNTED, &Reason::FORWARDED, &Reason::LOST];
        let reasons = each.into_iter().flatten();
        Self {
            seen: sum(&[Reason::Seen]),
            filtered: sum(&Reason::FILTERED),
            shunted: sum(&Reason::SHUNTED),
            forwarded: sum(&Reason::FORWARDED),
            lost: sum(&Reason::LOST),
            reasons: reasons.map(|reason| (word(*reason), sum(&[*reason]))).collect(),
        }
    }

    fn difference(&self) -> u64 {
        self.seen.abs_diff(self.filtered + self.shunted + self.forwarded + self.lost)
    }
}

impl AgentStage {
    fn of(agent: &AgentBooks) -> Self {
        Self {
            received: agent.received,
            inspected: agent.inspected,
            skipped: agent.skipped(),
            reasons: agent.skipped.iter().copied().collect(),
        }
    }

    fn difference(&self) -> u64 {
        self.received.abs_diff(self.inspected + self.skipped)
    }
}

impl Stages {
    /// Of a file: there is no kernel half.
    fn of_file(agent: &AgentBooks) -> Self {
        let agent_stage = AgentStage::of(agent);
        Self {
            kernel: None,
            ring: None,
            difference: agent_stage.difference(),
            agent: agent_stage,
            given_up: agent.given_up.iter().copied().collect(),
            shunts: agent.shunts.iter().copied().collect(),
        }
    }

    fn of(balance: &Balance) -> Self {
        let kernel = KernelStage::of(balance.ports.iter());
        let mut stages = Self::of_file(&balance.agent);
        let (forwarded, received) = (kernel.forwarded, stages.agent.received);
        stages.difference += kernel.difference() + received.saturating_sub(forwarded);
        let waiting = forwarded.saturating_sub(received);
        stages.ring = Some(RingStage { forwarded, received, waiting });
        stages.kernel = Some(kernel);
        stages
    }
}

impl Stats {
    /// From the books. `workers` are those that the balance sums up.
    pub fn new(uptime: u64, balance: &Balance, workers: &[AgentBooks], rules: RuleStats) -> Self {
        let stages = Stages::of(balance);
        let mut figures = balance.agent.figures.clone();
        if let Some(kernel) = &stages.kernel {
            figures.add("capture.kernel_packets", kernel.seen);
            figures.add("capture.kernel_drops", kernel.lost);
        }
        figures.add("detect.queue_overflow", balance.outputs.overflow);
        figures.add("detect.records_overflow", balance.outputs.other_overflow);
        Self {
            uptime,
            balance: stages,
            interfaces: balance.ports.iter().map(PortStats::of).collect(),
            workers: workers.iter().map(WorkerStats::of).collect(),
            outputs: balance.outputs.sinks.iter().map(OutputStats::of).collect(),
            rules,
            figures,
        }
    }
}

impl Stats {
    /// Of a file that was read to its end by one worker.
    pub fn of_file(uptime: u64, books: &AgentBooks, rules: RuleStats) -> Self {
        Self {
            uptime,
            balance: Stages::of_file(books),
            workers: vec![WorkerStats::of(books)],
            rules,
            figures: books.figures.clone(),
            ..Self::default()
        }
    }
}

impl RuleStats {
    /// Of rules that were just loaded.
    pub fn of(summary: &Summary) -> Self {
        Self {
            loaded: summary.loaded as u64,
            refused: summary.refused as u64,
            disabled: summary.disabled as u64,
            ..Self::default()
        }
    }
}

impl PortStats {
    fn of(books: &PortBooks) -> Self {
        Self {
            interface: books.port.interface.clone(),
            direction: match books.port.direction {
                Direction::Ingress => "ingress",
                Direction::Egress => "egress",
            }
            .to_owned(),
            mode: books.port.mode.to_string(),
            kernel: KernelStage::of(std::iter::once(books)),
            nic: books.interface.map(|own| NicStats {
                rx_packets: own.rx_packets,
                rx_dropped: own.rx_dropped,
                rx_missed: own.rx_missed,
                rx_errors: own.rx_errors,
                tx_packets: own.tx_packets,
                tx_dropped: own.tx_dropped,
            }),
        }
    }
}

impl WorkerStats {
    fn of(books: &AgentBooks) -> Self {
        Self {
            received: books.received,
            inspected: books.inspected,
            skipped: books.skipped(),
            alerts: books.alerts,
        }
    }
}

impl OutputStats {
    fn of(sink: &crate::output::SinkCounters) -> Self {
        Self {
            kind: sink.label.clone(),
            path: sink.path.as_ref().map(|path| path.to_string_lossy().into_owned()),
            written: sink.written,
            lost: sink.lost.iter().map(|(_, count)| count).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::balance::tests::books;

    #[test]
    fn stages_add_up_and_frames_in_the_rings_are_no_difference() {
        let mut balance = books();
        let stages = Stages::of(&balance);
        let kernel = stages.kernel.unwrap();
        assert_eq!(
            (kernel.seen, kernel.filtered, kernel.shunted, kernel.forwarded, kernel.lost),
            (100, 65, 10, 20, 5)
        );
        assert_eq!(kernel.reasons.get("tcp-level"), Some(60));
        assert_eq!(kernel.reasons.get("icmp-type"), Some(0));
        assert_eq!(stages.ring, Some(RingStage { forwarded: 20, received: 20, waiting: 0 }));
        assert_eq!((stages.agent.inspected, stages.agent.skipped), (18, 2));
        assert_eq!(stages.given_up.get("stream-memcap-bytes"), Some(4096));
        assert_eq!(stages.difference, 0);
        balance.agent.received -= 7;
        balance.agent.inspected -= 7;
        let stages = Stages::of(&balance);
        assert_eq!(stages.ring.unwrap().waiting, 7);
        assert_eq!(stages.difference, 0);
    }

    #[test]
    fn what_is_missing_or_doubled_is_a_difference() {
        for (change, expected) in [
            ((|b: &mut Balance| b.agent.inspected -= 3) as fn(&mut Balance), 3),
            (|b| b.agent.received += 1, 1 + 1),
            (|b| b.ports[0].counters[Reason::Seen as usize] += 4, 4),
            (|b| b.ports[0].counters[Reason::Wanted as usize] -= 1, 1 + 1),
        ] {
            let mut balance = books();
            change(&mut balance);
            assert_eq!(Stages::of(&balance).difference, expected);
        }
    }

    #[test]
    fn json_begins_with_the_balance_and_comes_back() {
        let balance = books();
        let workers = [balance.agent.clone()];
        let stats = Stats::new(61, &balance, &workers, RuleStats::default());
        let json = serde_json::to_string(&stats).unwrap();
        assert!(
            json.starts_with(
                r#"{"uptime":61,"balance":{"kernel":{"seen":100,"filtered":65,"shunted":10,"forwarded":20,"lost":5,"reasons":{"#
            ),
            "{json}"
        );
        assert!(json.contains(r#""capture":{"kernel_drops":5,"kernel_packets":100}"#), "{json}");
        assert_eq!(serde_json::from_str::<Stats>(&json).unwrap(), stats);
    }
}
