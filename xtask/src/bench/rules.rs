//! `cargo xtask bench rules`: what many rules cost, to load and to inspect by.
//!
//! A public ruleset, which is not part of the project, is taken from beside the checkout or from `--ruleset`.
//! What is compared on traffic are the rules that this sensor loads, in both engines. Growth is measured with
//! generated rules.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::cost::{self, Cost};
use super::table::{median, print};
use super::traffic::{Random, Traffic};
use crate::bed::netns::installed;
use crate::workspace;

/// Numbers of generated rules.
const GROWTH: [usize; 3] = [1_000, 10_000, 40_000];
/// Servers of the generated traffic.
const HOME_NET: &str = "[10.77.0.0/16]";

/// Makes the command of an engine that reads a capture with these rules.
type Engine = fn(&Bench, &Path, &str) -> Command;

/// Files of one run.
struct Bench {
    nids: PathBuf,
    folder: tempfile::TempDir,
    rounds: u32,
    suricata: bool,
}

/// Measures and prints.
///
/// # Errors
/// When an engine fails.
pub fn run(nids: &Path, ruleset: &Path, traffic: &Traffic, rounds: u32) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let suricata = installed("suricata");
    if !suricata {
        println!("\nSkipped: the comparison, as Suricata is not installed.");
    }
    let bench = Bench { nids: nids.to_owned(), folder, rounds, suricata };
    traffic.write_pcap(&bench.path("traffic.pcap"))?;
    // The head of a capture file, and nothing else.
    let bytes = fs::read(bench.path("traffic.pcap"))?;
    fs::write(bench.path("empty.pcap"), bytes.get(..24).context("no head")?)?;
    fs::write(bench.path("suricata.yaml"), SURICATA)?;
    let packets = traffic.len() as f64;
    println!("\nMedians of {rounds} alternating runs; Suricata with --runmode single.");

    if ruleset.is_file() {
        let text = fs::read(ruleset)?;
        let text = String::from_utf8_lossy(&text);
        let refused = bench.refused(ruleset)?;
        let loaded: String = (1..)
            .zip(text.split_inclusive('\n'))
            .filter(|(line, _)| !refused.contains(line))
            .map(|(_, line)| line)
            .collect();
        fs::write(bench.path("loaded.rules"), loaded)?;
        let mut rows = vec![head(&["rules", "engine", "CPU s to load", "MiB", "CPU us/packet"])];
        // Of the whole set only what loading costs: the engines do not load the same of it.
        bench.measure("whole set", ruleset, None, &mut rows)?;
        bench.measure("those nids loads", &bench.path("loaded.rules"), Some(packets), &mut rows)?;
        print(&rows);
    } else {
        println!(
            "\nSkipped: there is no ruleset at {}; name one with --ruleset.",
            ruleset.display()
        );
    }

    let mut rows =
        vec![head(&["generated rules", "engine", "CPU s to load", "MiB", "CPU us/packet"])];
    for count in GROWTH {
        let path = bench.path("generated.rules");
        fs::write(&path, generated(count))?;
        bench.measure(&count.to_string(), &path, Some(packets), &mut rows)?;
    }
    print(&rows);
    Ok(())
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lines of rules that this sensor refuses.
    fn refused(&self, ruleset: &Path) -> Result<HashSet<u64>> {
        let output = Command::new(&self.nids).args(["check", "--json"]).arg(ruleset).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = HashSet::new();
        for line in text.lines() {
            let object: serde_json::Value = serde_json::from_str(line)?;
            lines.extend(object["line"].as_u64());
        }
        if !text.contains("\"loaded\"") {
            bail!("nids check: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(lines)
    }

    /// Adds a row for each engine: loading these rules, and a packet of the traffic with them.
    fn measure(
        &self,
        name: &str,
        rules: &Path,
        packets: Option<f64>,
        rows: &mut Vec<Vec<String>>,
    ) -> Result<()> {
        let engines: &[(&str, Engine)] = &[("nids", Self::nids), ("Suricata", Self::suricata)];
        let engines = engines.get(..1 + usize::from(self.suricata)).unwrap_or_default();
        let mut loading: Vec<Vec<Cost>> = vec![Vec::new(); engines.len()];
        let mut reading: Vec<Vec<Cost>> = vec![Vec::new(); engines.len()];
        for _ in 0..self.rounds {
            for (i, (_, command)) in engines.iter().enumerate() {
                loading[i].push(cost::of(&mut command(self, rules, "empty.pcap"))?);
                if packets.is_some() {
                    reading[i].push(cost::of(&mut command(self, rules, "traffic.pcap"))?);
                }
            }
        }
        let cpu = |costs: &[Cost]| median(&costs.iter().map(|cost| cost.cpu).collect::<Vec<_>>());
        for (i, (engine, _)) in engines.iter().enumerate() {
            let memory = median(&loading[i].iter().map(|cost| cost.memory).collect::<Vec<_>>());
            let a_packet = packets.map_or(String::new(), |packets| {
                format!("{:.2}", (cpu(&reading[i]) - cpu(&loading[i])) * 1e6 / packets)
            });
            rows.push(vec![
                name.to_owned(),
                (*engine).to_owned(),
                format!("{:.2}", cpu(&loading[i])),
                format!("{memory:.0}"),
                a_packet,
            ]);
        }
        Ok(())
    }

    fn nids(&self, rules: &Path, pcap: &str) -> Command {
        let mut command = Command::new(&self.nids);
        command.arg("read").arg(self.path(pcap)).arg("--rules").arg(rules);
        command.arg("--fast").arg(self.path("nids.log"));
        command.arg("--set").arg(format!("vars.address-groups.HOME_NET={HOME_NET}"));
        command
    }

    fn suricata(&self, rules: &Path, pcap: &str) -> Command {
        let mut command = Command::new("suricata");
        command.args(["--runmode", "single", "-r"]).arg(self.path(pcap));
        command.arg("-c").arg(self.path("suricata.yaml")).arg("-S").arg(rules);
        command.arg("-l").arg(self.folder.path());
        command.arg("--set").arg(format!("vars.address-groups.HOME_NET={HOME_NET}"));
        command
    }
}

fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Where the ruleset is looked for.
pub fn default_ruleset() -> PathBuf {
    workspace::root().join("../shared/rules/et-open.rules")
}

/// Rules that match nothing: a content of 4 to 19 bytes with one that no text has, for any port, for port 80, for
/// high ports and for one port.
fn generated(count: usize) -> String {
    let mut random = Random(7);
    let mut text = String::new();
    for sid in 1..=count {
        let length = 4 + random.below(16);
        let kept = random.below(length);
        let hex: String = (0..length)
            .map(|at| {
                let byte = match sid % 3 {
                    0 => random.below(256),
                    _ => 0x20 + random.below(0x5f),
                };
                format!("{:02x} ", if at == kept { byte | 0x80 } else { byte })
            })
            .collect();
        let port = match sid % 4 {
            0 => "any".to_owned(),
            1 => "80".to_owned(),
            2 => "1024:".to_owned(),
            _ => (1 + random.below(65_535)).to_string(),
        };
        let nocase = if sid % 2 == 0 { " nocase;" } else { "" };
        let _ = writeln!(
            text,
            "alert tcp any any -> any {port} (msg:\"generated {sid}\"; content:\"|{hex}|\";{nocase} sid:{sid};)"
        );
    }
    text
}

/// Suricata's defaults, with alerts as the only output, and the variables of public rulesets.
const SURICATA: &str = "\
%YAML 1.1
---
vars:
  address-groups:
    HOME_NET: '[10.0.0.0/8]'
    EXTERNAL_NET: '!$HOME_NET'
    HTTP_SERVERS: '$HOME_NET'
    SMTP_SERVERS: '$HOME_NET'
    SQL_SERVERS: '$HOME_NET'
    DNS_SERVERS: '$HOME_NET'
    TELNET_SERVERS: '$HOME_NET'
    AIM_SERVERS: '$EXTERNAL_NET'
    DC_SERVERS: '$HOME_NET'
  port-groups:
    HTTP_PORTS: '80'
    SHELLCODE_PORTS: '!80'
    ORACLE_PORTS: '1521'
    SSH_PORTS: '22'
    FILE_DATA_PORTS: '[$HTTP_PORTS,110,143]'
    FTP_PORTS: '21'
    SIP_PORTS: '[5060,5061]'
outputs:
  - fast: { enabled: yes, filename: fast.log, append: no }
logging:
  default-log-level: error
  outputs:
    - console: { enabled: yes }
app-layer:
  protocols:
    http: { enabled: yes, libhtp: { default-config: { personality: IDS } } }
    http2: { enabled: yes }
    tls: { enabled: yes, ja3-fingerprints: auto }
    dns: { tcp: { enabled: yes }, udp: { enabled: yes } }
    smtp: { enabled: yes }
    ftp: { enabled: yes }
    ssh: { enabled: yes }
    smb: { enabled: yes }
    dcerpc: { enabled: yes }
    nfs: { enabled: yes }
    sip: { enabled: yes }
    snmp: { enabled: yes }
    krb5: { enabled: yes }
    rdp: { enabled: yes }
    rfb: { enabled: yes }
    mqtt: { enabled: yes }
    ike: { enabled: yes }
    tftp: { enabled: yes }
    ntp: { enabled: yes }
    dhcp: { enabled: yes }
    modbus: { enabled: yes }
    dnp3: { enabled: yes }
    enip: { enabled: yes }
";
