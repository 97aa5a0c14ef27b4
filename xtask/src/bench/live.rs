//! `cargo xtask bench live`: the highest rate without loss on a veth pair.
//!
//! A ladder of rates for each engine in each round; a rung is passed when the engine has counted every
//! packet that was sent and lost none, at the first or the second try. The sender sits on the first processor, and so does the kernel's
//! share of the work, for every engine.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::engine::{self, Engine, Live};
use super::replay;
use super::sender::send;
use super::table::{median, print};
use super::traffic::{self, Traffic};
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
         kpps. CPU is that of the engine's process.\n{}",
        top / 1e3,
        engine::CAVEAT
    );
    print(&rows);
    if let Some(nids) = engines.iter().find(|engine| matches!(engine, Engine::Nids(_))) {
        ceiling(&bed, nids, rounds)?;
    }
    Ok(())
}

/// How many packets this sensor takes, from a sender in the kernel that has no end in reach.
fn ceiling(bed: &Bed, nids: &Engine, rounds: u32) -> Result<()> {
    // Whole sessions, as many as fit.
    let traffic = traffic::http(2_500, 7);
    let mut rates = Vec::new();
    for _ in 0..rounds {
        rates.push(ceiling_once(bed, nids, &traffic)?);
    }
    let rows = [
        vec!["live, frames sent by the kernel".to_owned(), "kpps without loss".to_owned()],
        vec![nids.name(), format!("{:.0}", median(&rates) / 1e3)],
    ];
    println!("The same session mix, {} packets over and over:", traffic.len());
    print(&rows);
    Ok(())
}

fn ceiling_once(bed: &Bed, nids: &Engine, traffic: &Traffic) -> Result<f64> {
    let (mut asked, mut best) = (FIRST * 2.0, 0.0);
    loop {
        let mut sent = None;
        let live = nids.listen(&bed.server, SERVER_IFACE, || {
            let side = &bed.client;
            let all =
                replay::send(side, CLIENT_IFACE, traffic, Some(asked), Duration::from_secs(1));
            sent = Some(all.map_err(std::io::Error::other)?);
            Ok(())
        })?;
        let sent = sent.context("the sender did not run")?;
        if live.lost > 0 || live.seen < sent.packets {
            return Ok(best);
        }
        if sent.rate < asked * 0.9 {
            return Ok(sent.rate.max(best));
        }
        best = sent.rate;
        asked *= STEP;
    }
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
        let Some((live, rate)) = rung(bed, engine, traffic, asked)? else {
            return done.with_context(|| {
                format!("{} loses packets on the first rung already", engine.name())
            });
        };
        let sender_ended = rate < asked * 0.95;
        let climb = match done {
            None => Climb { rate, first: live, best: live, sender_ended },
            Some(before) => {
                Climb { rate: rate.max(before.rate), best: live, sender_ended, ..before }
            }
        };
        if sender_ended {
            return Ok(climb);
        }
        done = Some(climb);
        asked *= STEP;
    }
}

/// The run and the rate that the sender reached, or nothing where packets were lost. A second try is
/// for the machine's other work.
fn rung(bed: &Bed, engine: &Engine, traffic: &Traffic, asked: f64) -> Result<Option<(Live, f64)>> {
    for _ in 0..2 {
        let mut rate = 0.0;
        let live = engine.listen(&bed.server, SERVER_IFACE, || {
            rate = send(&bed.client, CLIENT_IFACE, traffic, Some(asked))?;
            Ok(())
        })?;
        if live.lost == 0 && live.seen >= traffic.len() as u64 {
            return Ok(Some((live, rate)));
        }
    }
    Ok(None)
}

/// `12 of 12`, or the range where the runs differ.
pub fn counts(alerts: &[u64], expected: u64) -> String {
    let (low, high) = (alerts.iter().min().unwrap_or(&0), alerts.iter().max().unwrap_or(&0));
    if low == high { format!("{low} of {expected}") } else { format!("{low}-{high} of {expected}") }
}
