//! `cargo xtask bench live`: the highest rate without loss on a veth pair.
//!
//! A ladder of rates for each engine in each round; a rung is passed when the engine has counted every
//! packet that was sent and lost none. The sender sits on the first processor, and so does the kernel's
//! share of the work, for every engine.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::engine::{self, Engine, Live};
use super::sender::send;
use super::table::{median, print};
use super::traffic::Traffic;
use crate::bed::netns::{Bed, CLIENT_IFACE, SERVER_IFACE};

/// First rung, packets per second.
const FIRST: f64 = 100_000.0;
/// From rung to rung.
const STEP: f64 = 1.25;

/// Measures and prints.
///
/// # Errors
/// When root is missing, or an engine fails.
pub fn run(nids: &Path, traffic: &Traffic, rounds: u32) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("the live bench makes network namespaces and attaches to them, which needs root");
    }
    let bed = Bed::quiet().context("cannot make the network namespaces")?;
    let top = send(&bed.client, CLIENT_IFACE, traffic, None)?;
    let engines = engine::all(nids)?;
    let mut climbs: Vec<Vec<Climb>> = engines.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (engine, climbs) in engines.iter().zip(&mut climbs) {
            climbs.push(climb(&bed, engine, traffic)?);
        }
    }
    let head = [
        "live",
        "kpps without loss",
        "CPU s / M packets at 100 kpps",
        "at that rate",
        "alerts there",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let per_million = 1e6 / traffic.len() as f64;
    for (engine, climbs) in engines.iter().zip(&climbs) {
        let of = |value: fn(&Climb) -> f64| median(&climbs.iter().map(value).collect::<Vec<_>>());
        let alerts: Vec<u64> = climbs.iter().map(|climb| climb.best.alerts).collect();
        let ended = climbs.iter().filter(|climb| climb.sender_ended).count();
        let mark = if ended * 2 > climbs.len() { " (the sender's end)" } else { "" };
        rows.push(vec![
            engine.name(),
            format!("{:.0}{mark}", of(|climb| climb.rate) / 1e3),
            format!("{:.2}", of(|climb| climb.first.cpu) * per_million),
            format!("{:.2}", of(|climb| climb.best.cpu) * per_million),
            counts(&alerts, traffic.attacks),
        ]);
    }
    println!(
        "\nMedians of {rounds} alternating rounds; rungs of x{STEP}; the sender alone reaches {:.0} \
         kpps. CPU is that of the engine's process.",
        top / 1e3
    );
    print(&rows);
    Ok(())
}

/// One round of one engine.
struct Climb {
    /// Highest rate without loss that was reached.
    rate: f64,
    /// The run at that rate.
    best: Live,
    /// The run on the first rung.
    first: Live,
    /// The sender could go no faster, and nothing was lost.
    sender_ended: bool,
}

fn climb(bed: &Bed, engine: &Engine, traffic: &Traffic) -> Result<Climb> {
    let mut asked = FIRST;
    let mut done: Option<Climb> = None;
    loop {
        let mut rate = 0.0;
        let live = engine.listen(&bed.server, SERVER_IFACE, || {
            rate = send(&bed.client, CLIENT_IFACE, traffic, Some(asked))?;
            Ok(())
        })?;
        let whole = live.lost == 0 && live.seen >= traffic.len() as u64;
        if !whole {
            return done.with_context(|| {
                format!("{} lost packets on the first rung already", engine.name())
            });
        }
        let sender_ended = rate < asked * 0.95;
        done = Some(match done {
            None => Climb { rate, first: live, best: live, sender_ended },
            Some(before) => {
                Climb { rate: rate.max(before.rate), best: live, sender_ended, ..before }
            }
        });
        if sender_ended {
            return done.context("set above");
        }
        asked *= STEP;
    }
}

/// `12 of 12`, or the range where the runs differ.
pub fn counts(alerts: &[u64], expected: u64) -> String {
    let (low, high) = (alerts.iter().min().unwrap_or(&0), alerts.iter().max().unwrap_or(&0));
    if low == high { format!("{low} of {expected}") } else { format!("{low}-{high} of {expected}") }
}
