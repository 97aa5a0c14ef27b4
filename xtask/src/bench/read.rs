//! `cargo xtask bench read`: CPU seconds to read a capture file.

use std::path::Path;

use anyhow::{Result, bail};

use super::engine::{self, Engine};
use super::table::{median, print};
use super::traffic::Traffic;

/// Measures and prints. The capture is kept as `keep` where one is named.
///
/// # Errors
/// When an engine fails, or this sensor misses an alert: then the figures would mean nothing.
pub fn run(nids: &Path, traffic: &Traffic, rounds: u32, keep: Option<&Path>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pcap = keep.map_or_else(|| folder.path().join("traffic.pcap"), Path::to_owned);
    traffic.write_pcap(&pcap)?;
    let engines = engine::all(nids)?;
    let mut runs: Vec<Vec<engine::Offline>> = engines.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (engine, runs) in engines.iter().zip(&mut runs) {
            runs.push(engine.read(&pcap, &[])?);
        }
    }
    let mut rows = vec![
        ["reading a file", "CPU s", "wall s", "us/packet", "alerts", "CPU against nids"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let cpu =
        |runs: &[engine::Offline]| median(&runs.iter().map(|run| run.cpu).collect::<Vec<_>>());
    let base = runs.first().map_or(f64::NAN, |runs| cpu(runs));
    for (engine, runs) in engines.iter().zip(&runs) {
        let seconds = median(&runs.iter().map(|run| run.seconds).collect::<Vec<_>>());
        let alerts: Vec<u64> = runs.iter().map(|run| run.alerts).collect();
        rows.push(vec![
            engine.name(),
            format!("{:.3}", cpu(runs)),
            format!("{seconds:.3}"),
            format!("{:.3}", cpu(runs) * 1e6 / traffic.len() as f64),
            super::live::counts(&alerts, traffic.attacks),
            format!("{:.1}x", cpu(runs) / base),
        ]);
        if matches!(engine, Engine::Nids(_)) && alerts.iter().any(|n| *n != traffic.attacks) {
            print(&rows);
            bail!("nids raised {alerts:?} alerts instead of {} each time", traffic.attacks);
        }
    }
    println!(
        "\nMedians of {rounds} alternating runs; Suricata with --runmode single.\n{}",
        engine::CAVEAT
    );
    print(&rows);
    Ok(())
}
