//! The numbers in Prometheus' text format (version 0.0.4): one family after the other, in a stable order.

use std::fmt::{self, Display, Write};

use super::figures::{self, Figures};
use super::stats::{KernelStage, Stats};

/// What the page is sent as.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4";

/// What those verdicts are called that hold now: they come and go, where all others add up.
const IN_FORCE: &str = "in-force";

/// The page.
pub fn page(stats: &Stats) -> String {
    let mut out = Page(String::with_capacity(32 << 10));
    out.gauge("uptime_seconds", "Seconds since the start.", stats.uptime);
    out.balance(stats);
    out.interfaces(stats);
    out.rules(stats);
    out.outputs(stats);
    out.workers(stats);
    out.figures(&stats.figures);
    out.0
}

struct Page(String);

/// A value of a label, escaped.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP nids_{name} {help}\n# TYPE nids_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.0, "nids_{name}");
        let mut before = '{';
        for (label, text) in labels {
            let _ = write!(self.0, "{before}{label}=\"{}\"", Escaped(text));
            before = ',';
        }
        if before == ',' {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.sample(name, &[], value);
    }

    /// What became of every frame.
    fn balance(&mut self, stats: &Stats) {
        let balance = &stats.balance;
        let name = "kernel_frames_total";
        self.family(
            name,
            "counter",
            "Frames by what the kernel half did with them; their sum is what it has seen.",
        );
        for port in &stats.interfaces {
            let place = [("interface", port.interface.as_str()), ("direction", &port.direction)];
            for (fate, count) in fates(&port.kernel) {
                self.sample(name, &[place[0], place[1], ("fate", fate)], count);
            }
        }
        let name = "kernel_seen_frames_total";
        self.family(name, "counter", "Frames the kernel half was run for.");
        for port in &stats.interfaces {
            let labels = [("interface", port.interface.as_str()), ("direction", &port.direction)];
            self.sample(name, &labels, port.kernel.seen);
        }
        let name = "kernel_reason_frames_total";
        self.family(name, "counter", "The same frames by the reason for what was done.");
        for port in &stats.interfaces {
            let place = [("interface", port.interface.as_str()), ("direction", &port.direction)];
            for (reason, count) in port.kernel.reasons.iter() {
                self.sample(name, &[place[0], place[1], ("reason", reason)], count);
            }
        }
        if let Some(ring) = &balance.ring {
            self.gauge("ring_waiting_frames", "Frames in the rings.", ring.waiting);
        }
        self.counter(
            "agent_received_frames_total",
            "Frames the workers took; the sum of those inspected and skipped.",
            balance.agent.received,
        );
        self.counter(
            "agent_inspected_frames_total",
            "Frames that rules saw.",
            balance.agent.inspected,
        );
        let name = "agent_skipped_frames_total";
        self.reasons(name, "Frames that rules did not see.", &balance.agent.reasons);
        let name = "given_up_total";
        self.reasons(
            name,
            "What rules did not see of inspected frames; the reason ends with the unit.",
            &balance.given_up,
        );
        let name = "shunt_verdicts_total";
        self.family(name, "counter", "Verdicts that flows be let by, by what became of them.");
        for (fate, count) in balance.shunts.iter().filter(|(fate, _)| *fate != IN_FORCE) {
            self.sample(name, &[("fate", fate)], count);
        }
        let in_force = balance.shunts.get(IN_FORCE).unwrap_or(0);
        self.gauge("shunt_verdicts_in_force", "Flows that are let by now.", in_force);
        self.gauge(
            "balance_difference_frames",
            "Frames in no sum or in two: 0 but for the moment of reading.",
            balance.difference,
        );
    }

    fn reasons(&mut self, name: &str, help: &str, reasons: &Figures) {
        self.family(name, "counter", help);
        for (reason, count) in reasons.iter() {
            self.sample(name, &[("reason", reason)], count);
        }
    }

    fn interfaces(&mut self, stats: &Stats) {
        let name = "interface_up";
        self.family(name, "gauge", "Whether the interface is there.");
        for port in &stats.interfaces {
            let labels = [
                ("interface", port.interface.as_str()),
                ("direction", &port.direction),
                ("mode", &port.mode),
            ];
            self.sample(name, &labels, u8::from(port.nic.is_some()));
        }
        type Counter = (&'static str, fn(&super::stats::NicStats) -> u64, &'static str);
        const COUNTERS: [Counter; 6] = [
            ("rx_packets", |nic| nic.rx_packets, "Frames that came in, by the interface's count."),
            ("rx_dropped", |nic| nic.rx_dropped, "Frames dropped behind the driver."),
            ("rx_missed", |nic| nic.rx_missed, "Frames the NIC had no room for."),
            ("rx_errors", |nic| nic.rx_errors, "Bad frames."),
            ("tx_packets", |nic| nic.tx_packets, "Frames that left, by the interface's count."),
            ("tx_dropped", |nic| nic.tx_dropped, "Frames dropped on their way out."),
        ];
        for (counter, value, help) in COUNTERS {
            let name = format!("interface_{counter}_total");
            self.family(&name, "counter", help);
            let mut last = None;
            // Both directions of one interface have the same counters.
            for port in stats.interfaces.iter().filter(|port| port.nic.is_some()) {
                if last.replace(&port.interface) != Some(&port.interface)
                    && let Some(nic) = &port.nic
                {
                    self.sample(&name, &[("interface", &port.interface)], value(nic));
                }
            }
        }
    }

    fn rules(&mut self, stats: &Stats) {
        let rules = &stats.rules;
        let name = "rules";
        self.family(name, "gauge", "Rules by what became of them.");
        for (state, count) in
            [("loaded", rules.loaded), ("refused", rules.refused), ("disabled", rules.disabled)]
        {
            self.sample(name, &[("state", state)], count);
        }
        self.gauge("rules_generation", "Reloads so far.", rules.generation.into());
        self.counter("rules_failed_reloads_total", "Reloads that failed.", rules.failed_reloads);
    }

    fn outputs(&mut self, stats: &Stats) {
        let name = "output_records_total";
        self.family(name, "counter", "Records by output and by what became of them.");
        for output in &stats.outputs {
            for (fate, count) in [("written", output.written), ("lost", output.lost)] {
                self.sample(name, &[("output", &output.kind), ("fate", fate)], count);
            }
        }
    }

    fn workers(&mut self, stats: &Stats) {
        let name = "worker_received_frames_total";
        self.family(name, "counter", "Frames each worker took.");
        for (number, worker) in stats.workers.iter().enumerate() {
            self.sample(name, &[("worker", &number.to_string())], worker.received);
        }
    }

    fn figures(&mut self, figures: &Figures) {
        const EVENTS: &str = "decoder.event.";
        for (name, value) in figures.iter().filter(|(name, _)| !name.starts_with(EVENTS)) {
            let flat = name.replace(['.', '-'], "_");
            match figures::is_gauge(name) {
                true => self.gauge(&flat, &format!("{name} in EVE stats."), value),
                false => {
                    let flat = flat.strip_suffix("_total").unwrap_or(&flat);
                    self.counter(&format!("{flat}_total"), &format!("{name} in EVE stats."), value);
                }
            }
        }
        let name = "decoder_event_total";
        self.family(name, "counter", "Malformed packets by event.");
        for (event, value) in figures.iter() {
            if let Some(event) = event.strip_prefix(EVENTS) {
                self.sample(name, &[("event", event)], value);
            }
        }
    }
}

fn fates(kernel: &KernelStage) -> [(&'static str, u64); 4] {
    [
        ("filtered", kernel.filtered),
        ("shunted", kernel.shunted),
        ("forwarded", kernel.forwarded),
        ("lost", kernel.lost),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::telemetry::balance::tests::books;
    use crate::telemetry::stats::RuleStats;

    fn sample_page() -> String {
        let balance = books();
        let rules = RuleStats { generation: 3, loaded: 9, ..RuleStats::default() };
        let workers = [balance.agent.clone()];
        page(&Stats::new(12, &balance, &workers, rules))
    }

    #[test]
    fn numbers_with_their_labels() {
        let page = sample_page();
        for line in [
            "nids_uptime_seconds 12",
            "nids_kernel_frames_total{interface=\"eth0\",direction=\"ingress\",fate=\"filtered\"} 65",
            "nids_kernel_reason_frames_total{interface=\"eth0\",direction=\"ingress\",reason=\"tcp-level\"} 60",
            "nids_agent_skipped_frames_total{reason=\"malformed-record\"} 2",
            "nids_given_up_total{reason=\"stream-memcap-bytes\"} 4096",
            "nids_balance_difference_frames 0",
            "nids_rules{state=\"loaded\"} 9",
            "nids_rules_generation 3",
            "nids_flow_total 7",
            "nids_interface_up{interface=\"eth0\",direction=\"ingress\",mode=\"driver\"} 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn each_family_is_declared_once_before_its_samples_and_each_sample_is_there_once() {
        let page = sample_page();
        let mut kinds = BTreeMap::new();
        let mut samples = std::collections::BTreeSet::new();
        let mut family = "";
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(kinds.insert(name, kind), None, "{name} twice");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                family = name;
            } else if !line.starts_with('#') {
                let (sample, value) = line.rsplit_once(' ').unwrap();
                assert_eq!(sample.split('{').next(), Some(family), "{line}");
                assert!(value.parse::<u64>().is_ok() && samples.insert(sample), "{line}");
            }
        }
        assert!(samples.len() > 30, "{}", samples.len());
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(Escaped("a\"b\\c\nd").to_string(), "a\\\"b\\\\c\\nd");
    }
}
