//! Both engines on the same rules and capture.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cases::detect::suricata;

pub use crate::cases::detect::suricata::version as suricata_version;

/// An alert, as far as both tell it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alert {
    pub sid: usize,
    /// Source and destination, each an address and a port.
    pub ends: [String; 2],
    /// The packet of the capture; 0 where none is compared.
    pub packet: u64,
}

/// A folder with rules and capture.
pub struct Bed(tempfile::TempDir);

impl Bed {
    pub fn new(rules: &str, frames: &[Vec<u8>]) -> Self {
        let bed = Self(tempfile::tempdir().unwrap());
        fs::write(bed.path("x.rules"), rules).unwrap();
        fs::write(bed.path("x.pcap"), suricata::pcap(frames)).unwrap();
        fs::write(bed.path("suricata.yaml"), suricata::configuration()).unwrap();
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Leaves the folder where it is, for whoever looks into a failure.
    pub fn keep(self) -> PathBuf {
        self.0.keep()
    }

    pub fn nids(&self) -> Vec<Alert> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nids"));
        command.arg("read").arg(self.path("x.pcap")).args(["--strict", "-k", "none", "--eve"]);
        command.arg(self.path("ours.json")).arg("--rules").arg(self.path("x.rules"));
        run(command.args(["--set", "packet-alert-max=255"]));
        alerts(&self.path("ours.json"))
    }

    pub fn suricata(&self) -> Vec<Alert> {
        let mut command = Command::new("suricata");
        command.args(["--runmode", "single", "-k", "none", "-c"]).arg(self.path("suricata.yaml"));
        command.arg("-S").arg(self.path("x.rules")).arg("-r").arg(self.path("x.pcap"));
        run(command.arg("-l").arg(self.0.path()));
        alerts(&self.path("eve.json"))
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("Error")).collect();
    assert!(output.status.success() && errors.is_empty(), "{}: {errors:#?}", output.status);
}

fn alerts(path: &Path) -> Vec<Alert> {
    let log = fs::read_to_string(path).unwrap();
    let events = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    events
        .filter(|event| event["event_type"] == "alert")
        .map(|event| {
            let end = |address: &str, port: &str| {
                format!("{} {}", event[address].as_str().unwrap_or(""), event[port])
            };
            let on_wire = event["pkt_src"] == "wire/pcap";
            let number = |value: &serde_json::Value| value.as_u64().unwrap();
            Alert {
                sid: number(&event["alert"]["signature_id"]) as usize,
                ends: [end("src_ip", "src_port"), end("dest_ip", "dest_port")],
                packet: if on_wire { number(&event["pcap_cnt"]) } else { 0 },
            }
        })
        .collect()
}
