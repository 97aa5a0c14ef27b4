//! Settings: defaults < file < environment < flags. Names are Suricata's where Suricata has the setting.
//!
//! [`Settings::set`] takes one `key=value`. The keys stand in one table (`key`), each with what it does,
//! or with what is missing for it: a known setting without its function is refused with that reason, so
//! that nobody believes it works.

mod key;
pub mod layers;
pub mod reference;
mod rules;
mod service;
pub(crate) mod value;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::app;
use crate::cli::exit::{Code, Failure};
use crate::decode::{MAX_LAYERS, Tunnels};
use crate::defrag;
use crate::detect::MOST_ALERTS;
use crate::detect::dataset::DatasetSettings;
use crate::detect::iprep::ReputationSettings;
use crate::detect::order::ActionOrder;
use crate::flow::Limits;
use crate::output::OutputConfig;
use crate::rule::variables::Variables;
use crate::stream;

pub use rules::RuleSettings;
pub use service::{CONTROL_SOCKET, ControlSocket, ServiceSettings};

/// What a run is set to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `vars.address-groups.*` and `vars.port-groups.*`.
    pub variables: Variables,
    /// Which rules are read, and how.
    pub rules: RuleSettings,
    /// Bounds of the flow tables; `memcap` is for all workers together.
    pub flow: Limits,
    /// `decoder.vxlan.*`, `decoder.geneve.*`, `decoder.teredo.*`.
    pub tunnels: Tunnels,
    /// `decoder.max-layers`.
    pub max_layers: u8,
    /// `stream.*` and `host-os-policy.*`; the caps are for all workers together.
    pub stream: stream::Config,
    /// `stream.bypass`; by default yes for live traffic, no for capture files.
    pub stream_bypass: Option<bool>,
    /// Ours, `flow.shunt`: have the kernel let by the flows that need no more inspection.
    pub shunt: bool,
    /// `app-layer.*`; the cap is for all workers together.
    pub app: app::Limits,
    /// `stream.inline`, or `mode=ips`: a capture file is inspected as Suricata does it inline.
    pub inline: bool,
    /// `defrag.*`; `memcap` is for all workers together.
    pub defrag: defrag::Limits,
    /// `datasets.*`, `default-rule-path`, `default-data-dir`.
    pub datasets: DatasetSettings,
    /// `reputation-categories-file`, `default-reputation-path`, `reputation-files.*`.
    pub reputation: ReputationSettings,
    /// `threshold-file`.
    pub threshold_file: Option<PathBuf>,
    /// `action-order`.
    pub action_order: ActionOrder,
    /// `heartbeat.timeout`: how long the kernel's programs wait for a sensor that does not show itself;
    /// zero: for ever.
    pub silence: Duration,
    /// `security.*`.
    pub security: SecuritySettings,
    /// `packet-alert-max`.
    pub packet_alert_max: usize,
    /// `geoip-database`.
    pub geoip_database: Option<PathBuf>,
    /// `pcap-file.checksum-checks`.
    pub pcap_checksums: ChecksumChecks,
    /// `capture.checksum-validation`: checksums of live traffic.
    pub live_checksums: ChecksumChecks,
    /// `stream.checksum-validation`.
    pub stream_checksums: bool,
    /// `community-id`: EVE records have one.
    pub community_id: bool,
    /// `community-id-seed`.
    pub community_id_seed: u16,
    /// `control.*`, `metrics.*`, `stats.*`: what a running sensor serves.
    pub service: ServiceSettings,
    /// `outputs.*`. Its Community ID is that of the settings above.
    pub outputs: OutputConfig,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            variables: Variables::default(),
            rules: RuleSettings::default(),
            flow: Limits::default(),
            tunnels: Tunnels::default(),
            max_layers: MAX_LAYERS,
            stream: stream::Config::default(),
            stream_bypass: None,
            shunt: true,
            app: app::Limits::default(),
            inline: false,
            defrag: defrag::Limits::default(),
            datasets: DatasetSettings::default(),
            reputation: ReputationSettings::default(),
            silence: Duration::from_secs(2),
            security: SecuritySettings::default(),
            geoip_database: None,
            threshold_file: None,
            action_order: ActionOrder::default(),
            packet_alert_max: MOST_ALERTS,
            pcap_checksums: ChecksumChecks::Auto,
            live_checksums: ChecksumChecks::No,
            stream_checksums: true,
            community_id: false,
            community_id_seed: 0,
            service: ServiceSettings::default(),
            outputs: OutputConfig::default(),
        }
    }
}

/// What the running sensor forbids itself, see [`crate::runtime::sandbox`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecuritySettings {
    /// `security.landlock.enabled`.
    pub landlock: bool,
    /// `security.landlock.directories.read`: more that may be read.
    pub read: Vec<PathBuf>,
    /// `security.landlock.directories.write`: more that may be written to.
    pub write: Vec<PathBuf>,
    /// `security.seccomp.enabled`.
    pub seccomp: bool,
}

impl Default for SecuritySettings {
    fn default() -> Self {
        Self { landlock: true, read: Vec::new(), write: Vec::new(), seccomp: true }
    }
}

/// Whether the checksums of a source are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumChecks {
    /// Verify, unless so many of the first packets are wrong that the capturing host must have left
    /// them to its NIC.
    Auto,
    /// Verify.
    Yes,
    /// Trust all.
    No,
}

/// Why a setting was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingError {
    /// Not `key=value`.
    Syntax(String),
    /// Nobody knows this key.
    Unknown {
        /// The key.
        key: String,
        /// One that is spelled much alike.
        suggestion: Option<Box<str>>,
    },
    /// The key is known, its function is not there.
    Missing {
        /// The key.
        key: String,
        /// What is missing.
        reason: &'static str,
    },
    /// The key cannot have this value.
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What it can have.
        expected: &'static str,
    },
    /// The value of a variable is no group.
    Variable {
        /// The key.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

impl SettingError {
    /// Whether `--lenient` may go on without the setting. A bad value of a setting that has its function
    /// is an error all the same.
    pub fn is_lenient(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Missing { .. })
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(text) => write!(f, "`{text}` is no setting: write key=value"),
            Self::Unknown { key, suggestion: None } => write!(f, "no setting is called `{key}`"),
            Self::Unknown { key, suggestion: Some(near) } => {
                write!(f, "no setting is called `{key}`; did you mean `{near}`?")
            }
            Self::Missing { key, reason } => {
                write!(f, "`{key}` cannot be honoured: {reason}")
            }
            Self::Variable { key, reason } => write!(f, "`{key}` cannot be set: {reason}"),
            Self::Value { key, value, expected } => {
                write!(f, "`{key}` cannot be `{value}`: it takes {expected}")
            }
        }
    }
}

impl std::error::Error for SettingError {}

impl ChecksumChecks {
    /// As `-k` says it.
    ///
    /// Suricata has `all` and `none`.
    pub fn from_switch(text: &str) -> Option<Self> {
        match text {
            "all" => Some(Self::Yes),
            "none" => Some(Self::No),
            "auto" => Some(Self::Auto),
            _ => None,
        }
    }
}

impl Settings {
    /// Seed of the Community ID, where EVE records have one.
    pub fn community_id(&self) -> Option<u16> {
        self.community_id.then_some(self.community_id_seed)
    }

    /// Takes one `key=value`. Blanks around both are left out.
    pub fn set(&mut self, text: &str) -> Result<(), SettingError> {
        let syntax = || SettingError::Syntax(text.to_owned());
        let (key, value) = text.split_once('=').ok_or_else(syntax)?;
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() {
            return Err(syntax());
        }
        key::apply(self, key, value)
    }

    /// `host-os-policy.NAME=[net, net]`, or `host-os-policy.NAME.0=net`: how the hosts of these networks read
    /// what overlaps.
    fn host_policy(&mut self, key: &str, value: &str) -> Result<(), SettingError> {
        let name = key.split('.').nth(1).unwrap_or(key);
        let bad = |expected| SettingError::Value {
            key: key.to_owned(),
            value: value.to_owned(),
            expected,
        };
        let systems = (stream::Policy::from_name(name), defrag::Policy::of_host(name));
        let (Some(of_streams), Some(of_fragments)) = systems else {
            return Err(SettingError::Unknown { key: key.to_owned(), suggestion: None });
        };
        let nets =
            value::networks(value).ok_or(bad("networks, as in [10.0.0.0/8, 2001:db8::1]"))?;
        for (address, length) in nets {
            if !self.stream.hosts.insert(address, length, of_streams) {
                return Err(bad("networks whose length fits their address"));
            }
            self.defrag.policies.retain(|(net, _)| *net != (address, length));
            self.defrag.policies.push(((address, length), of_fragments));
        }
        // The longest prefix counts.
        self.defrag.policies.sort_by_key(|((_, length), _)| std::cmp::Reverse(*length));
        Ok(())
    }

    /// Takes over what a reload puts in force: all that is marked so in [`reference`].
    pub fn take_live(&mut self, new: Self) {
        self.variables = new.variables;
        self.rules = new.rules;
        self.reputation = new.reputation;
        self.geoip_database = new.geoip_database;
        self.threshold_file = new.threshold_file;
        self.action_order = new.action_order;
    }

    /// Takes all of them, in order. With `lenient`, what [`SettingError::is_lenient`] lets by is only
    /// a warning.
    ///
    /// # Errors
    /// With [`Code::Config`], the first that was not taken.
    pub fn set_all(&mut self, texts: &[String], lenient: bool) -> Result<(), Failure> {
        for text in texts {
            match self.set(text) {
                Ok(()) => {}
                Err(error) if lenient && error.is_lenient() => log::warn!("{error}"),
                Err(error) => return Err(Failure::new(Code::Config, format!("{error}."))),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(settings: &[&str]) -> Result<Settings, SettingError> {
        let mut out = Settings::default();
        settings.iter().try_for_each(|text| out.set(text))?;
        Ok(out)
    }

    fn message(setting: &str) -> String {
        set(&[setting]).unwrap_err().to_string()
    }

    #[test]
    fn takes_what_it_knows() {
        let settings = set(&[
            "vars.address-groups.HOME_NET=[10.0.0.0/8,!10.1.0.0/16]",
            "vars.port-groups.HTTP_PORTS = 80",
            "pcap-file.checksum-checks=no",
            "stream.checksum-validation=no",
            "flow.memcap=1.5 kb",
            "flow-timeouts.tcp.established=7",
            "flow-timeouts.default.new=8",
            "flow-timeouts.tcp.emergency-closed=9",
            "flow.emergency-recovery=50",
            "vlan.use-for-tracking=false",
            "decoder.max-layers=3",
            "packet-alert-max=200",
            "capture.checksum-validation=all",
        ])
        .unwrap();
        assert_eq!(settings.pcap_checksums, ChecksumChecks::No);
        assert!(!settings.stream_checksums && !settings.flow.use_vlan);
        assert_eq!(settings.flow.memcap, 1536);
        assert_eq!(settings.flow.timeouts.tcp.established, Duration::from_secs(7));
        assert_eq!(settings.flow.timeouts.other.new, Duration::from_secs(8));
        let emergency = settings.flow.timeouts.emergency.unwrap();
        assert_eq!(emergency.tcp.closed, Duration::from_secs(9));
        assert_eq!(settings.flow.recovery, 50);
        assert_eq!((settings.max_layers, settings.packet_alert_max), (3, 200));
        assert_eq!(settings.live_checksums, ChecksumChecks::Yes);
        for wrong in ["decoder.max-layers=0", "packet-alert-max=256", "flow.emergency-recovery=0"] {
            assert!(matches!(set(&[wrong]), Err(SettingError::Value { .. })), "{wrong}");
        }
    }

    #[test]
    fn data_sets_and_reputations() {
        let settings = set(&[
            "datasets.enabled=no",
            "datasets.defaults.memcap=10mb",
            "datasets.limits.total-hashsizes=0",
            "datasets.rules.allow-write=no",
            "datasets.rules.allow-absolute-filenames=yes",
            "datasets.ua-seen.type=string",
            "datasets.ua-seen.state=ua.lst",
            "default-rule-path=/rules",
            "default-data-dir=/data",
            "default-reputation-path=/reputation",
            "reputation-categories-file=/reputation/categories.txt",
            "reputation-files.0=one.list",
            "reputation-files.1=two.list",
            "geoip-database=/geo.mmdb",
        ])
        .unwrap();
        let sets = &settings.datasets;
        assert!(!sets.enabled && !sets.allow_write && sets.allow_absolute);
        assert_eq!((sets.memcap, sets.total_hashsizes), (10 << 20, 0));
        assert_eq!(sets.rule_path.as_deref(), Some("/rules".as_ref()));
        assert_eq!(sets.data_folder, PathBuf::from("/data"));
        let seen = sets.sets.get("ua-seen").unwrap();
        assert!(seen.state && seen.kind.is_some() && seen.save == Some("ua.lst".into()));
        assert_eq!(settings.reputation.files, [PathBuf::from("one.list"), "two.list".into()]);
        assert_eq!(settings.reputation.folder, Some("/reputation".into()));
        assert_eq!(settings.geoip_database, Some("/geo.mmdb".into()));
        for wrong in ["datasets.x.type=text", "datasets.x.colour=red", "default-data-dir="] {
            assert!(matches!(set(&[wrong]), Err(SettingError::Value { .. })), "{wrong}");
        }
        assert!(message("datasets.enabld=yes").contains("did you mean `datasets.enabled`?"));
    }

    #[test]
    fn the_value_that_is_in_force_anyway_is_taken() {
        assert!(set(&["stream.midstream=no", "stream.inline=false"]).is_ok());
    }

    #[test]
    fn host_policies_by_network() {
        let settings = set(&[
            "host-os-policy.windows=[10.0.0.0/8, 0.0.0.0/0]",
            "host-os-policy.old-linux.0=10.1.1.1",
        ])
        .unwrap();
        let of = |address: [u8; 4]| settings.stream.hosts.of(address.into());
        assert_eq!(of([10, 1, 1, 1]), stream::Policy::OldLinux);
        assert_eq!(of([10, 1, 1, 2]), stream::Policy::Windows);
        assert_eq!(settings.defrag.policies.len(), 3);
        for wrong in [
            "host-os-policy.amiga=[10.0.0.1]",
            "host-os-policy.linux=10.0.0.0/33",
            "host-os-policy.linux=x",
        ] {
            assert!(set(&[wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn refuses_in_words() {
        assert_eq!(message("flow.memcap"), "`flow.memcap` is no setting: write key=value");
        assert_eq!(
            message("flow.memcop=1"),
            "no setting is called `flow.memcop`; did you mean `flow.memcap`?"
        );
        assert_eq!(message("colour.of.the.sky=blue"), "no setting is called `colour.of.the.sky`");
        assert_eq!(
            message("vlan.use-for-tracking=perhaps"),
            "`vlan.use-for-tracking` cannot be `perhaps`: it takes yes or no"
        );
        assert_eq!(
            message("stream.drop-invalid=yes"),
            "`stream.drop-invalid` cannot be honoured: this sensor watches and does not block"
        );
        let variable = message("vars.address-groups.HOME_NET=[10.0.0.0/8");
        assert!(
            variable.starts_with("`vars.address-groups.HOME_NET` cannot be set: "),
            "{variable}"
        );
        assert!(set(&["stream.drop-invalid=yes"]).unwrap_err().is_lenient());
        assert!(!set(&["flow.memcap=lots"]).unwrap_err().is_lenient());
    }

    #[test]
    fn the_defaults_are_set_by_their_own_names() {
        let settings = set(&[
            "flow.memcap=128mb",
            "flow-timeouts.udp.new=30",
            "flow-timeouts.icmp.established=300",
            "flow-timeouts.tcp.closed=60",
            "flow-timeouts.default.emergency-new=10",
            "flow.emergency-recovery=30",
            "pcap-file.checksum-checks=auto",
            "stream.checksum-validation=yes",
            "vlan.use-for-tracking=true",
        ])
        .unwrap();
        assert_eq!(settings.flow, Limits::default());
        assert_eq!(settings.pcap_checksums, ChecksumChecks::Auto);
        assert!(settings.stream_checksums);
    }
}
