//! Watches the books for what was lost: says so at the first loss of each kind, with the knob that helps.
//!
//! What the settings ask for, such as the depth of streams, is no loss. Neither is `rx_dropped`: the kernel
//! counts there what came in and nobody had a use for, which the sensor has seen.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::balance::Balance;
use crate::control::Loss;
use nids_abi::Reason;

/// How long after the last loss the sensor counts as degraded.
const RECENT: Duration = Duration::from_secs(60);

/// What was lost, by kind.
#[derive(Debug, Default)]
pub struct Losses {
    known: BTreeMap<Key, u64>,
    last: Option<Instant>,
}

/// A kind of loss: its place in the table, and the interface where it is one's own.
type Key = (usize, String);

/// What is given up of inspected traffic for want of room, and the setting that makes room.
const GIVEN_UP: [(&str, &str); 8] = [
    ("stream-memcap-bytes", "give streams more memory (--set stream.reassembly.memcap=SIZE)"),
    ("stream-session-memcap-packets", "give sessions more memory (--set stream.memcap=SIZE)"),
    ("stream-segment-limit-bytes", "one side sends many tiny segments out of order; look at who"),
    ("flow-memcap-packets", "give flows more memory (--set flow.memcap=SIZE)"),
    ("flow-evicted-established", "give flows more memory (--set flow.memcap=SIZE)"),
    ("datagrams-evicted", "give fragments more memory (--set defrag.memcap=SIZE)"),
    (
        "matches-given-up",
        "a rule takes too long on some packets; `nids read --profile` names the dearest",
    ),
    ("alerts-left-out", "many rules match one packet; disable some of those that say the same"),
];

const RING_FULL: &str = "the workers are too slow for what the rules want: give them larger rings (--ring-size KIB) for bursts, more --workers, or fewer rules on busy ports";
const COPY_FAILED: &str = "the kernel could not copy a frame; `dmesg` may say why";
const MISSED: &str = "the NIC had no room before the sensor saw them: give its queues more frames (ethtool -G IF rx N) or more queues (ethtool -L IF combined N)";
const OVERFLOW: &str = "the outputs are too slow: write to a faster disk, or log fewer types";
const SINK: &str = "its disk may be full, or its reader gone; standard error has said which";

impl Losses {
    /// Looks at the books. Gives what is lost for the first time.
    pub fn look(&mut self, balance: &Balance, now: Instant) -> Vec<Loss> {
        let mut first = Vec::new();
        for (key, loss) in kinds(balance) {
            let before = self.known.insert(key, loss.count).unwrap_or(0);
            if loss.count > before {
                self.last = Some(now);
            }
            if before == 0 && loss.count > 0 {
                first.push(loss);
            }
        }
        first
    }

    /// Everything that was lost so far.
    pub fn all(balance: &Balance) -> Vec<Loss> {
        kinds(balance).map(|(_, loss)| loss).filter(|loss| loss.count > 0).collect()
    }

    /// Whether something was lost a short while ago.
    pub fn recent(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now.duration_since(last) < RECENT)
    }
}

/// Each kind of loss with its count.
fn kinds(balance: &Balance) -> impl Iterator<Item = (Key, Loss)> {
    let sum = |reason| balance.ports.iter().map(|port| port.sum(&[reason])).sum();
    let one = |what: &str, count: u64, help: &str| Loss {
        what: what.to_owned(),
        count,
        help: help.to_owned(),
    };
    let mut all = vec![
        (
            (0, String::new()),
            one("frames, as a ring was full", sum(Reason::LostRingFull), RING_FULL),
        ),
        (
            (1, String::new()),
            one("frames that could not be copied", sum(Reason::LostCopy), COPY_FAILED),
        ),
        (
            (2, String::new()),
            one("alerts, as the queue was full", balance.outputs.overflow, OVERFLOW),
        ),
        (
            (3, String::new()),
            one("records, as the queue was full", balance.outputs.other_overflow, OVERFLOW),
        ),
    ];
    for port in &balance.ports {
        let name = &port.port.interface;
        let missed = port.interface.map_or(0, |own| own.rx_missed);
        let what = format!("frames that {name} missed");
        all.push(((4, name.clone()), one(&what, missed, &MISSED.replace("IF", name))));
    }
    for sink in &balance.outputs.sinks {
        let lost = sink.lost.iter().map(|(_, count)| count).sum();
        let label = &sink.label;
        all.push(((5, label.clone()), one(&format!("records of the {label} output"), lost, SINK)));
    }
    for (at, (name, help)) in GIVEN_UP.iter().enumerate() {
        let found = balance.agent.given_up.iter().find(|(reason, _)| reason == name);
        let count = found.map_or(0, |(_, count)| *count);
        all.push(((6 + at, String::new()), one(name, count, help)));
    }
    all.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::interface::InterfaceCounters;
    use crate::telemetry::balance::tests::books;

    #[test]
    fn each_kind_is_told_once_with_what_helps() {
        let mut balance = books();
        let mut losses = Losses::default();
        let now = Instant::now();
        let told = losses.look(&balance, now);
        let what: Vec<_> = told.iter().map(|loss| (loss.what.as_str(), loss.count)).collect();
        assert_eq!(what, [("frames, as a ring was full", 5), ("stream-memcap-bytes", 4096)]);
        assert!(told[0].help.contains("--ring-size"), "{told:?}");
        assert!(told[1].help.contains("stream.reassembly.memcap"), "{told:?}");
        // More of the same is not told again, something else is.
        balance.ports[0].counters[Reason::LostRingFull as usize] += 9;
        assert_eq!(losses.look(&balance, now), []);
        balance.ports[0].interface =
            Some(InterfaceCounters { rx_missed: 3, rx_dropped: 9, ..Default::default() });
        let told = losses.look(&balance, now);
        assert_eq!((told.len(), told[0].count), (1, 3));
        assert!(told[0].help.contains("ethtool -G eth0 rx N"), "{told:?}");
        assert_eq!(Losses::all(&balance).len(), 3);
    }

    #[test]
    fn a_loss_is_recent_for_a_while() {
        let (mut losses, start) = (Losses::default(), Instant::now());
        assert!(!losses.recent(start));
        losses.look(&books(), start);
        losses.look(&books(), start + Duration::from_secs(50));
        assert!(losses.recent(start + Duration::from_secs(59)));
        assert!(!losses.recent(start + Duration::from_secs(61)));
    }
}
