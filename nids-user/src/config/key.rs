//! The table of settings: each key with what it does, or with what is missing for it.

use super::{ChecksumChecks, SettingError, Settings, rules, service, value};
use crate::detect::order::ActionOrder;
use crate::output::settings::Refusal;
use crate::stream;
use crate::suggest;

/// What setting a key does.
enum Effect {
    /// Puts the value in its place; `None` where the value cannot be read.
    Apply {
        /// What the value can be.
        expected: &'static str,
        /// Gets the value.
        put: fn(&mut Settings, &str) -> Option<()>,
    },
    /// A variable of rules, called like the last part of the key.
    Variable,
    /// How the hosts of some networks read what overlaps; the policy is the second part of the key,
    /// and a number may follow, for one of several networks.
    HostPolicy,
    /// `datasets.NAME.FIELD`.
    Dataset,
    /// `outputs.KIND.NAME.KEY`.
    Output,
    /// One more file of reputations: `reputation-files.0`.
    ReputationFile,
    /// Its function is not there.
    Missing {
        /// Values that ask for what is done anyway.
        in_force: &'static [&'static str],
        /// What is missing.
        reason: &'static str,
    },
}

use Effect::{Apply, Dataset, HostPolicy, Missing, Output, ReputationFile, Variable};

const A_PATH: &str = "a path";
const PATHS: &str = "paths as in [a.rules, more/*.rules]";
const YES_OR_NO: &str = "yes or no";
const SIZE: &str = "a size such as 64mb";
const SECONDS: &str = "a number of seconds";
const ON: &[&str] = &["yes", "true", "on", "1"];
const OFF: &[&str] = &["no", "false", "off", "0"];

const NO_DEFRAG: &str = "defragmentation has no such setting";
const NO_APP_LAYER: &str = "this protocol is not parsed yet";
const NO_IPS: &str = "this sensor watches and does not block";
const SELF_SIZED: &str = "the flow table sizes itself by flow.memcap";
const NO_SUCH_STATE: &str = "flows have no such state: a flow let by keeps its timeout";

/// Sets a timeout of one protocol and state.
macro_rules! timeout {
    (emergency, $protocol:ident, $state:ident) => {
        Apply {
            expected: SECONDS,
            put: |settings, text| {
                let emergency = settings.flow.timeouts.emergency.as_mut()?;
                emergency.$protocol.$state = value::seconds(text)?;
                Some(())
            },
        }
    };
    ($protocol:ident, $state:ident) => {
        Apply {
            expected: SECONDS,
            put: |settings, text| {
                settings.flow.timeouts.$protocol.$state = value::seconds(text)?;
                Some(())
            },
        }
    };
}

/// Switches one tunnel over UDP, or says where it is looked for.
macro_rules! tunnel {
    ($tunnel:ident, enabled) => {
        Apply {
            expected: YES_OR_NO,
            put: |settings, text| {
                settings.tunnels.$tunnel.enabled = value::boolean(text)?;
                Some(())
            },
        }
    };
    ($tunnel:ident, ports) => {
        Apply {
            expected: "any, a port, or up to four as in [4789, 8472]",
            put: |settings, text| {
                settings.tunnels.$tunnel.ports = value::few_ports(text)?;
                Some(())
            },
        }
    };
}

/// Sets one thing of the stream engine.
macro_rules! stream {
    ($field:ident, $expected:expr, $read:expr) => {
        Apply {
            expected: $expected,
            put: |settings, text| {
                settings.stream.$field = $read(text)?;
                Some(())
            },
        }
    };
}

/// Sets one thing of HTTP.
macro_rules! http {
    ($field:ident, $expected:expr, $read:expr) => {
        Apply {
            expected: $expected,
            put: |settings, text| {
                settings.app.http.$field = $read(text)?;
                Some(())
            },
        }
    };
}

/// Sets one thing that the sensor forbids itself.
macro_rules! security {
    ($field:ident, $expected:expr, $read:expr) => {
        Apply {
            expected: $expected,
            put: |settings, text| {
                settings.security.$field = $read(text)?;
                Some(())
            },
        }
    };
}

/// Sets a part of the data sets' settings.
macro_rules! dataset {
    ($field:ident, $read:ident, $expected:expr) => {
        Apply {
            expected: $expected,
            put: |settings, text| {
                settings.datasets.$field = value::$read(text)?.try_into().ok()?;
                Some(())
            },
        }
    };
}

/// Sets a path that may be left out.
macro_rules! path {
    ($($field:ident).+) => {
        Apply {
            expected: A_PATH,
            put: |settings, text| {
                settings.$($field).+ = Some(value::path(text)?);
                Some(())
            },
        }
    };
}

/// Names a list that tunes the rules.
macro_rules! list {
    ($list:ident) => {
        Apply {
            expected: "the path of a file",
            put: |settings, text| {
                settings.rules.tuning.$list = Some(rules::path(text)?);
                Some(())
            },
        }
    };
}

/// A part `*` stands for any one part, `**` at the end for any parts at all. The first match counts.
const KEYS: &[(&str, Effect)] = &[
    ("vars.address-groups.*", Variable),
    ("vars.port-groups.*", Variable),
    (
        "pcap-file.checksum-checks",
        Apply {
            expected: "auto, yes or no",
            put: |settings, text| {
                settings.pcap_checksums = match text {
                    "auto" => ChecksumChecks::Auto,
                    _ if value::boolean(text)? => ChecksumChecks::Yes,
                    _ => ChecksumChecks::No,
                };
                Some(())
            },
        },
    ),
    (
        "stream.checksum-validation",
        Apply {
            expected: YES_OR_NO,
            put: |settings, text| {
                settings.stream_checksums = value::boolean(text)?;
                Some(())
            },
        },
    ),
    (
        "vlan.use-for-tracking",
        Apply {
            expected: YES_OR_NO,
            put: |settings, text| {
                settings.flow.use_vlan = value::boolean(text)?;
                Some(())
            },
        },
    ),
    (
        "flow.memcap",
        Apply {
            expected: "a size such as 64mb",
            put: |settings, text| {
                settings.flow.memcap = value::size(text)?;
                Some(())
            },
        },
    ),
    (
        "flow.shunt",
        Apply {
            expected: YES_OR_NO,
            put: |settings, text| {
                settings.shunt = value::boolean(text)?;
                Some(())
            },
        },
    ),
    ("flow.hash-size", Missing { in_force: &[], reason: SELF_SIZED }),
    ("flow.prealloc", Missing { in_force: &[], reason: SELF_SIZED }),
    ("flow.managers", Missing { in_force: &[], reason: "each worker tends its own flows" }),
    ("flow.recyclers", Missing { in_force: &[], reason: "each worker tends its own flows" }),
    (
        "flow.emergency-recovery",
        Apply {
            expected: "a number from 1 to 100",
            put: |settings, text| {
                settings.flow.recovery =
                    value::number(text).filter(|part| (1..=100).contains(part))?;
                Some(())
            },
        },
    ),
    ("flow.memcap-policy", Missing { in_force: &["ignore"], reason: NO_IPS }),
    ("flow-timeouts.tcp.new", timeout!(tcp, new)),
    ("flow-timeouts.tcp.established", timeout!(tcp, established)),
    ("flow-timeouts.tcp.closed", timeout!(tcp, closed)),
    ("flow-timeouts.udp.new", timeout!(udp, new)),
    ("flow-timeouts.udp.established", timeout!(udp, established)),
    ("flow-timeouts.icmp.new", timeout!(icmp, new)),
    ("flow-timeouts.icmp.established", timeout!(icmp, established)),
    ("flow-timeouts.default.new", timeout!(other, new)),
    ("flow-timeouts.default.established", timeout!(other, established)),
    ("flow-timeouts.default.closed", timeout!(other, closed)),
    ("flow-timeouts.tcp.emergency-new", timeout!(emergency, tcp, new)),
    ("flow-timeouts.tcp.emergency-established", timeout!(emergency, tcp, established)),
    ("flow-timeouts.tcp.emergency-closed", timeout!(emergency, tcp, closed)),
    ("flow-timeouts.udp.emergency-new", timeout!(emergency, udp, new)),
    ("flow-timeouts.udp.emergency-established", timeout!(emergency, udp, established)),
    ("flow-timeouts.icmp.emergency-new", timeout!(emergency, icmp, new)),
    ("flow-timeouts.icmp.emergency-established", timeout!(emergency, icmp, established)),
    ("flow-timeouts.default.emergency-new", timeout!(emergency, other, new)),
    ("flow-timeouts.default.emergency-established", timeout!(emergency, other, established)),
    ("flow-timeouts.default.emergency-closed", timeout!(emergency, other, closed)),
    ("flow-timeouts.*.*", Missing { in_force: &[], reason: NO_SUCH_STATE }),
    (
        "mode",
        Apply {
            expected: "ids or ips",
            put: |settings, text| {
                settings.inline = match text {
                    "ids" => false,
                    "ips" => true,
                    _ => return None,
                };
                Some(())
            },
        },
    ),
    (
        "stream.inline",
        Apply {
            expected: "auto, yes or no",
            put: |settings, text| {
                settings.inline = text != "auto" && value::boolean(text)?;
                Some(())
            },
        },
    ),
    (
        "community-id",
        Apply {
            expected: YES_OR_NO,
            put: |settings, text| {
                settings.community_id = value::boolean(text)?;
                Some(())
            },
        },
    ),
    (
        "community-id-seed",
        Apply {
            expected: "a number up to 65535",
            put: |settings, text| {
                settings.community_id_seed = value::number(text)?;
                Some(())
            },
        },
    ),
    ("outputs.**", Output),
    ("stream.midstream", stream!(midstream, YES_OR_NO, value::boolean)),
    ("stream.midstream-policy", Missing { in_force: &["ignore"], reason: NO_IPS }),
    ("stream.async-oneside", stream!(async_oneside, YES_OR_NO, value::boolean)),
    ("stream.liberal-timestamps", stream!(liberal_timestamps, YES_OR_NO, value::boolean)),
    ("stream.memcap", stream!(session_memcap, SIZE, value::memory)),
    ("stream.drop-invalid", Missing { in_force: &[], reason: NO_IPS }),
    ("stream.max-syn-queued", stream!(max_syn_queued, "a number up to 255", value::number)),
    ("stream.max-synack-queued", stream!(max_synack_queued, "a number up to 255", value::number)),
    (
        "stream.bypass",
        Apply {
            expected: YES_OR_NO,
            put: |settings, text| {
                settings.stream_bypass = Some(value::boolean(text)?);
                Some(())
            },
        },
    ),
    ("stream.reassembly.memcap", stream!(reassembly_memcap, SIZE, value::memory)),
    ("stream.reassembly.depth", stream!(depth, SIZE, value::memory)),
    ("stream.reassembly.toserver-chunk-size", stream!(to_server_chunk, SIZE, value::memory)),
    ("stream.reassembly.toclient-chunk-size", stream!(to_client_chunk, SIZE, value::memory)),
    (
        "stream.reassembly.randomize-chunk-size",
        Missing { in_force: OFF, reason: "pieces always have the same size" },
    ),
    (
        "stream.reassembly.check-overlap-different-data",
        stream!(check_overlap, YES_OR_NO, value::boolean),
    ),
    (
        "stream.reassembly.urgent.policy",
        stream!(urgent, "oob, inline, drop or gap", stream::UrgentPolicy::from_name),
    ),
    (
        "stream.reassembly.urgent.oob-limit-policy",
        stream!(urgent_limit, "inline, drop or gap", stream::UrgentPolicy::from_name),
    ),
    ("stream.reassembly.**", Missing { in_force: &[], reason: "reassembly has no such setting" }),
    ("host-os-policy.*", HostPolicy),
    ("host-os-policy.*.*", HostPolicy),
    (
        "defrag.memcap",
        Apply {
            expected: "a size such as 32mb",
            put: |settings, text| {
                settings.defrag.memory = usize::try_from(value::size(text)?).ok()?;
                Some(())
            },
        },
    ),
    (
        "defrag.trackers",
        Apply {
            expected: "a number of datagrams",
            put: |settings, text| {
                settings.defrag.datagrams = text.parse().ok().filter(|count| *count > 0)?;
                Some(())
            },
        },
    ),
    (
        "defrag.timeout",
        Apply {
            expected: SECONDS,
            put: |settings, text| {
                settings.defrag.timeout = u64::try_from(value::seconds(text)?.as_nanos()).ok()?;
                Some(())
            },
        },
    ),
    ("defrag.**", Missing { in_force: &[], reason: NO_DEFRAG }),
    ("decoder.teredo.enabled", tunnel!(teredo, enabled)),
    ("decoder.teredo.ports", tunnel!(teredo, ports)),
    ("decoder.vxlan.enabled", tunnel!(vxlan, enabled)),
    ("decoder.vxlan.ports", tunnel!(vxlan, ports)),
    ("decoder.geneve.enabled", tunnel!(geneve, enabled)),
    ("decoder.geneve.ports", tunnel!(geneve, ports)),
    (
        "decoder.ipv4.ipip.track-parent-flow",
        Missing { in_force: ON, reason: "a tunnel always has a flow of its own" },
    ),
    (
        "decoder.recursion-level.use-for-tracking",
        Missing { in_force: ON, reason: "packets in tunnels have flows of their own" },
    ),
    ("app-layer.protocols.http.enabled", http!(enabled, YES_OR_NO, value::boolean)),
    (
        "app-layer.protocols.http.libhtp.default-config.personality",
        Missing { in_force: &["IDS"], reason: "requests are read as an IDS does" },
    ),
    (
        "app-layer.protocols.http.libhtp.default-config.request-body-limit",
        http!(request_body_limit, SIZE, value::memory),
    ),
    (
        "app-layer.protocols.http.libhtp.default-config.response-body-limit",
        http!(response_body_limit, SIZE, value::memory),
    ),
    (
        "app-layer.protocols.http.libhtp.default-config.request-body-minimal-inspect-size",
        http!(request_body_inspect, SIZE, value::memory),
    ),
    (
        "app-layer.protocols.http.libhtp.default-config.response-body-minimal-inspect-size",
        http!(response_body_inspect, SIZE, value::memory),
    ),
    (
        "app-layer.protocols.http.libhtp.default-config.response-body-decompress-layer-limit",
        http!(decompress_layers, "a number up to 255", value::number),
    ),
    (
        "app-layer.protocols.http.libhtp.default-config.compression-bomb-limit",
        http!(bomb_limit, SIZE, value::memory),
    ),
    (
        "app-layer.protocols.http.libhtp.default-config.double-decode-path",
        http!(double_decode_path, YES_OR_NO, value::boolean),
    ),
    (
        "app-layer.protocols.http.libhtp.default-config.double-decode-query",
        http!(double_decode_query, YES_OR_NO, value::boolean),
    ),
    ("app-layer.protocols.http.**", Missing { in_force: &[], reason: "HTTP has no such setting" }),
    (
        "decoder.max-layers",
        Apply {
            expected: "a number from 1 to 255",
            put: |settings, text| {
                settings.max_layers = value::number(text).filter(|most| *most > 0)?;
                Some(())
            },
        },
    ),
    ("app-layer.**", Missing { in_force: OFF, reason: NO_APP_LAYER }),
    ("datasets.enabled", dataset!(enabled, boolean, YES_OR_NO)),
    ("datasets.defaults.memcap", dataset!(memcap, size, "a size such as 64mb")),
    ("datasets.defaults.hashsize", dataset!(hashsize, size, "a number")),
    ("datasets.limits.single-hashsize", dataset!(single_hashsize, size, "a number")),
    ("datasets.limits.total-hashsizes", dataset!(total_hashsizes, size, "a number")),
    ("datasets.rules.allow-write", dataset!(allow_write, boolean, YES_OR_NO)),
    ("datasets.rules.allow-absolute-filenames", dataset!(allow_absolute, boolean, YES_OR_NO)),
    ("datasets.*.*", Dataset),
    (
        "default-data-dir",
        Apply {
            expected: A_PATH,
            put: |settings, text| {
                settings.datasets.data_folder = value::path(text)?;
                Some(())
            },
        },
    ),
    (
        "rule-files",
        Apply {
            expected: PATHS,
            put: |settings, text| {
                settings.rules.files = rules::files(text)?;
                Some(())
            },
        },
    ),
    ("default-reputation-path", path!(reputation.folder)),
    ("reputation-categories-file", path!(reputation.categories)),
    (
        "reputation-files",
        Apply {
            expected: PATHS,
            put: |settings, text| {
                settings.reputation.files = rules::files(text)?;
                Some(())
            },
        },
    ),
    ("reputation-files.*", ReputationFile),
    ("geoip-database", path!(geoip_database)),
    ("threshold-file", path!(threshold_file)),
    (
        "default-rule-path",
        Apply {
            expected: "the path of a folder",
            put: |settings, text| {
                let folder = rules::path(text)?;
                settings.datasets.rule_path = Some(folder.clone());
                settings.rules.folder = Some(folder);
                Some(())
            },
        },
    ),
    (
        "rule-dialect",
        Apply {
            expected: "suricata, snort2, snort3 or auto",
            put: |settings, text| {
                settings.rules.dialect = match text {
                    "auto" => None,
                    _ => Some(text.parse().ok()?),
                };
                Some(())
            },
        },
    ),
    ("disable-conf", list!(disable)),
    ("enable-conf", list!(enable)),
    ("drop-conf", list!(drop)),
    ("modify-conf", list!(modify)),
    (
        "action-order",
        Apply {
            expected: "pass, drop, reject and alert, each once",
            put: |settings, text| {
                settings.action_order = ActionOrder::from_names(text)?;
                Some(())
            },
        },
    ),
    ("exception-policy", Missing { in_force: &["ignore"], reason: NO_IPS }),
    (
        "packet-alert-max",
        Apply {
            expected: "a number from 1 to 255",
            put: |settings, text| {
                settings.packet_alert_max =
                    value::number::<u8>(text).filter(|most| *most > 0)?.into();
                Some(())
            },
        },
    ),
    (
        "livedev.use-for-tracking",
        Missing { in_force: OFF, reason: "a flow may go through several interfaces" },
    ),
    ("detect.**", Missing { in_force: &[], reason: "detection has no such switch" }),
    (
        "capture.checksum-validation",
        Apply {
            expected: "all, none or auto",
            put: |settings, text| {
                settings.live_checksums = ChecksumChecks::from_switch(text)?;
                Some(())
            },
        },
    ),
    (
        "heartbeat.timeout",
        Apply {
            expected: "a number of seconds, 0 for none",
            put: |settings, text| {
                settings.silence = value::seconds(text)?;
                Some(())
            },
        },
    ),
    (
        "control.socket",
        Apply {
            expected: "a path, or no",
            put: |settings, text| {
                settings.service.control = service::control(text)?;
                Some(())
            },
        },
    ),
    ("run-as.user", Missing { in_force: &[], reason: "here it is called `user`" }),
    ("run-as.group", Missing { in_force: &[], reason: "here it is called `group`" }),
    ("security.landlock.enabled", security!(landlock, YES_OR_NO, value::boolean)),
    ("security.landlock.directories.read", security!(read, PATHS, rules::files)),
    ("security.landlock.directories.write", security!(write, PATHS, rules::files)),
    ("security.seccomp.enabled", security!(seccomp, YES_OR_NO, value::boolean)),
    (
        "security.limit-noproc",
        Missing { in_force: ON, reason: "the filter of system calls always forbids processes" },
    ),
    ("run.*", Missing { in_force: &[], reason: "it is a flag of `nids run`" }),
    (
        "metrics.listen",
        Apply {
            expected: "a port (on loopback), an address with a port, or no",
            put: |settings, text| {
                settings.service.metrics = service::metrics(text)?;
                Some(())
            },
        },
    ),
    (
        "stats.interval",
        Apply {
            expected: "a number of seconds, at least 1",
            put: |settings, text| {
                settings.service.stats_interval = service::interval(text)?;
                Some(())
            },
        },
    ),
    ("stats.enabled", Missing { in_force: ON, reason: "`--eve-types stats` asks for them" }),
    ("unix-command.enabled", Missing { in_force: OFF, reason: "see `control.socket`" }),
    ("unix-command.filename", Missing { in_force: &[], reason: "see `control.socket`" }),
    ("host-mode", Missing { in_force: &["sniffer-only", "auto"], reason: NO_IPS }),
    ("asn1-max-frames", Missing { in_force: &[], reason: "its bound is 256 elements" }),
    ("pcre.**", Missing { in_force: &[], reason: "searches are bounded by steps" }),
    ("vlan.**", Missing { in_force: ON, reason: "VLANs have no other setting" }),
];

/// Keys that have a function, as patterns.
#[cfg(test)]
pub(super) fn patterns() -> impl Iterator<Item = &'static str> {
    let known = KEYS.iter().filter(|(_, effect)| !matches!(effect, Missing { .. }));
    known.map(|(pattern, _)| *pattern)
}

/// Does what the key does.
pub(super) fn apply(settings: &mut Settings, key: &str, value: &str) -> Result<(), SettingError> {
    let Some((_, effect)) = KEYS.iter().find(|(pattern, _)| matches(pattern, key)) else {
        let names = KEYS.iter().map(|(pattern, _)| *pattern).filter(|name| !name.contains('*'));
        let suggestion = suggest::nearest(key, names).map(Box::from);
        return Err(SettingError::Unknown { key: key.to_owned(), suggestion });
    };
    match effect {
        Apply { expected, put } => put(settings, value).ok_or_else(|| SettingError::Value {
            key: key.to_owned(),
            value: value.to_owned(),
            expected,
        }),
        Variable => {
            let name = key.rsplit('.').next().unwrap_or(key);
            settings
                .variables
                .set(name, value)
                .map_err(|reason| SettingError::Variable { key: key.to_owned(), reason })
        }
        HostPolicy => settings.host_policy(key, value),
        Dataset => {
            let mut parts = key.split('.').skip(1);
            let (name, field) = (parts.next().unwrap_or(key), parts.next().unwrap_or(key));
            settings.datasets.set(name, field, value).ok_or_else(|| SettingError::Value {
                key: key.to_owned(),
                value: value.to_owned(),
                expected: "type, load, save, state, memcap or hashsize at its end, and what fits",
            })
        }
        Output => {
            let of_outputs = key.strip_prefix("outputs.").unwrap_or(key);
            settings.outputs.set(of_outputs, value).map_err(|refusal| {
                let key = key.to_owned();
                match refusal {
                    Refusal::Unknown(near) => {
                        // Only one part of the key is wrong.
                        let suggestion = near.map(|near| near_key(of_outputs, near));
                        SettingError::Unknown { key, suggestion }
                    }
                    Refusal::Value(expected) => {
                        SettingError::Value { key, value: value.to_owned(), expected }
                    }
                    Refusal::Missing(reason) => SettingError::Missing { key, reason },
                }
            })
        }
        ReputationFile => {
            settings.reputation.files.push(value.into());
            Ok(())
        }
        Missing { in_force, .. }
            if in_force.iter().any(|word| word.eq_ignore_ascii_case(value)) =>
        {
            Ok(())
        }
        Missing { reason, .. } => Err(SettingError::Missing { key: key.to_owned(), reason }),
    }
}

/// The key of an output with the part in the place of the one that is mistyped.
fn near_key(key: &str, part: &str) -> Box<str> {
    let mut parts = key.splitn(3, '.');
    let (kind, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let kinds = ["eve", "fast", "pcap"];
    match kinds.contains(&kind) {
        true => format!("outputs.{kind}.{name}.{part}").into(),
        false => {
            format!("outputs.{part}.{}", key.split_once('.').map_or("", |(_, rest)| rest)).into()
        }
    }
}

fn matches(pattern: &str, key: &str) -> bool {
    let mut parts = key.split('.');
    for wanted in pattern.split('.') {
        match (wanted, parts.next()) {
            ("**", rest) => return rest.is_some(),
            ("*", Some(part)) if !part.is_empty() => {}
            (wanted, Some(part)) if wanted == part => {}
            _ => return false,
        }
    }
    parts.next().is_none()
}
