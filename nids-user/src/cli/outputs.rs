//! The flags of outputs, which `run` and `read` have alike: short for settings of the outputs named `0`.

use std::path::PathBuf;

use crate::config::Settings;
use crate::output::{EveType, SinkKind};

/// Where alerts and other records go.
#[derive(clap::Args, Debug)]
pub struct OutputArgs {
    /// Write alerts, or what --eve-types says, as EVE JSON to this file.
    #[arg(long, value_name = "FILE")]
    eve: Option<PathBuf>,
    /// What to write there: alerts, flows that ended (as one record, or as one for each direction), what
    /// is odd about packets, what application protocols say, and the sensor's numbers from time to time
    /// [default: alert,packet].
    #[arg(long, value_name = "TYPES", value_delimiter = ',', requires = "eve")]
    eve_types: Vec<EveType>,
    /// Write alerts in Snort's fast format to this file.
    #[arg(long, value_name = "FILE")]
    fast: Option<PathBuf>,
    /// Write the packets of alerting flows to this file (pcapng); it is put away at 100 MB, and ten old ones
    /// are kept.
    #[arg(long, value_name = "FILE")]
    alert_pcap: Option<PathBuf>,
}

impl OutputArgs {
    /// Puts the flags over the settings.
    pub fn apply(&self, settings: &mut Settings) {
        let files = [
            (SinkKind::Eve, &self.eve),
            (SinkKind::Fast, &self.fast),
            (SinkKind::Pcap, &self.alert_pcap),
        ];
        for (kind, file) in files {
            if let Some(file) = file {
                let output = settings.outputs.named(kind, "0");
                output.filename = Some(file.clone());
                if !self.eve_types.is_empty() && kind == SinkKind::Eve {
                    output.eve.types = self.eve_types.iter().copied().collect();
                }
            }
        }
        settings.outputs.community_id = settings.community_id();
    }
}
