//! `cargo xtask bench flows`: what an open flow takes, and what it costs to begin one.
//!
//! Two captures of complete TCP handshakes and nothing else, of 10,000 and of a million connections, all
//! open at the end. Each figure is a slope between the two: of the largest resident size, and of CPU time,
//! so that what an engine needs at all falls out.

use std::path::Path;

use anyhow::Result;

use super::engine::{self, Engine};
use super::table::{median, print};
use super::traffic;

const FEW: u32 = 10_000;
const MANY: u32 = 1_000_000;
/// Memory caps out of the way, and room in the hash table for all flows.
const SETTINGS: [&str; 3] =
    ["flow.memcap=2gb", "stream.memcap=4gb", "stream.reassembly.memcap=4gb"];
/// Ours grows by the cap.
const OF_SURICATA: [&str; 1] = ["flow.hash-size=1048576"];

/// Measures and prints.
///
/// # Errors
/// When an engine fails.
pub fn run(nids: &Path, rounds: u32) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [few, many] = [FEW, MANY].map(|count| folder.path().join(format!("{count}.pcap")));
    traffic::write_handshakes(&few, FEW)?;
    traffic::write_handshakes(&many, MANY)?;
    let engines = engine::all(nids)?;
    let mut slopes: Vec<Vec<[f64; 2]>> = engines.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (engine, slopes) in engines.iter().zip(&mut slopes) {
            let mut settings = SETTINGS.to_vec();
            if matches!(engine, Engine::Suricata(_)) {
                settings.extend(OF_SURICATA);
            }
            let (low, high) = (engine.read(&few, &settings)?, engine.read(&many, &settings)?);
            let more = f64::from(MANY - FEW);
            slopes.push([(high.resident - low.resident) / more, more / (high.cpu - low.cpu)]);
        }
    }
    let mut rows = vec![
        ["open TCP flows", "bytes a flow", "new flows a CPU second"].map(str::to_owned).to_vec(),
    ];
    for (engine, slopes) in engines.iter().zip(&slopes) {
        let of =
            |which: fn(&[f64; 2]) -> f64| median(&slopes.iter().map(which).collect::<Vec<_>>());
        rows.push(vec![
            engine.name(),
            format!("{:.0}", of(|[bytes, _]| *bytes)),
            format!("{:.0}", of(|[_, rate]| *rate)),
        ]);
    }
    println!(
        "\nMedians of {rounds} alternating rounds; slopes from {FEW} to {MANY} complete handshakes, memory \
         caps out of the way, one worker each; Suricata with --runmode single."
    );
    print(&rows);
    Ok(())
}
