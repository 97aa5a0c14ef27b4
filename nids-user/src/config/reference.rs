//! What each setting is for, what it is where nothing is said, and whether a reload puts it in force: for
//! `nids config`, for the configuration file that is shipped, and for the documentation.
//!
//! What a key does is in [`super::key`]. A test holds the two together: each key that has a function is
//! here, and its default is what [`super::Settings`] begins with.

use std::fmt::Write;

use super::layers::{Entry, Value};

/// What a key is set to where nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// This.
    Is(&'static str),
    /// Nothing; this is how a value would look.
    Like(&'static str),
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Doc {
    /// The key; a last part `*` stands for any name.
    pub key: &'static str,
    /// Without a setting.
    pub unset: Unset,
    /// Whether a reload of the rules puts another value in force.
    pub live: bool,
    /// What it is for.
    pub about: &'static str,
}

use Unset::{Is, Like};

/// In force from the start.
const fn at_start(key: &'static str, unset: Unset, about: &'static str) -> Doc {
    Doc { key, unset, live: false, about }
}

/// In force from the next reload.
const fn live(key: &'static str, unset: Unset, about: &'static str) -> Doc {
    Doc { key, unset, live: true, about }
}

/// All keys, in the order of the file; those without a table first.
pub const DOCS: &[Doc] = &[
    live(
        "default-rule-path",
        Like("/etc/nids/rules"),
        "Folder of rule-files, and what $RULE_PATH stands for in rules.",
    ),
    live(
        "rule-files",
        Like("[local.rules, et/*.rules]"),
        "Rule files, where run.rules names none.",
    ),
    live(
        "rule-dialect",
        Is("auto"),
        "Dialect of files that name none: suricata, snort2, snort3 or auto.",
    ),
    live("disable-conf", Like("/etc/nids/disable.conf"), "List of rules to disable."),
    live("enable-conf", Like("/etc/nids/enable.conf"), "List of rules to enable."),
    live("drop-conf", Like("/etc/nids/drop.conf"), "List of rules to make drop rules of."),
    live("modify-conf", Like("/etc/nids/modify.conf"), "Changes of the text of rules."),
    live("threshold-file", Like("/etc/nids/threshold.config"), "Limits and suppressions of rules."),
    at_start("packet-alert-max", Is("15"), "Alerts that one packet may have."),
    live("action-order", Is("[pass, drop, reject, alert]"), "Which rules are tried first."),
    live("geoip-database", Like("/var/lib/nids/GeoLite2-Country.mmdb"), "Countries, for geoip."),
    live("default-reputation-path", Like("/etc/nids/iprep"), "Folder of reputation-files."),
    live(
        "reputation-categories-file",
        Like("/etc/nids/iprep/categories.txt"),
        "Categories, for iprep.",
    ),
    live("reputation-files", Like("[reputation.list]"), "Reputations, for iprep."),
    at_start("default-data-dir", Is("/var/lib/nids"), "Folder of data sets that are saved."),
    at_start("mode", Is("ids"), "ips: a capture file is inspected as Suricata does it inline."),
    at_start("community-id", Is("no"), "Give EVE records a Community ID."),
    at_start("community-id-seed", Is("0"), "Seed of the Community ID."),
    live(
        "vars.address-groups.*",
        Like("[10.0.0.0/8, 192.168.0.0/16]"),
        "Addresses by a name for rules: HOME_NET, EXTERNAL_NET, DNS_SERVERS and any other.",
    ),
    live(
        "vars.port-groups.*",
        Like("[80, 8080]"),
        "Ports by a name for rules: HTTP_PORTS and any other.",
    ),
    at_start(
        "capture.checksum-validation",
        Is("none"),
        "Verify checksums of live traffic: all, none or auto.",
    ),
    at_start(
        "heartbeat.timeout",
        Is("2"),
        "Seconds after which the kernel lets everything by when the sensor stands still; 0: never.",
    ),
    at_start(
        "control.socket",
        Is("yes"),
        "Where `nids status` and others ask the sensor: a path; yes: /run/nids/control.sock; or no.",
    ),
    at_start(
        "metrics.listen",
        Is("no"),
        "Port on loopback, or address with port, where numbers are served over HTTP.",
    ),
    at_start("stats.interval", Is("8"), "Seconds between two EVE records of statistics."),
    at_start(
        "security.landlock.enabled",
        Is("yes"),
        "Close all files but those of rules and logs.",
    ),
    at_start(
        "security.landlock.directories.read",
        Like("[/srv/lists]"),
        "More paths that may be read once the sensor runs.",
    ),
    at_start(
        "security.landlock.directories.write",
        Like("[/srv/logs]"),
        "More paths that may be written to once the sensor runs.",
    ),
    at_start(
        "security.seccomp.enabled",
        Is("yes"),
        "Forbid system calls that the sensor does not make.",
    ),
    at_start("flow.memcap", Is("128mb"), "Memory of the flow tables of all workers."),
    at_start(
        "flow.emergency-recovery",
        Is("30"),
        "Percent of a table that must be free again for an emergency to end.",
    ),
    at_start(
        "flow.shunt",
        Is("yes"),
        "Have the kernel let by flows that no rule can match any more.",
    ),
    at_start("flow-timeouts.tcp.new", Is("60"), "Seconds until a silent flow is over, by state."),
    at_start("flow-timeouts.tcp.established", Is("600"), ""),
    at_start("flow-timeouts.tcp.closed", Is("60"), ""),
    at_start("flow-timeouts.tcp.emergency-new", Is("10"), "Seconds while a table runs full."),
    at_start("flow-timeouts.tcp.emergency-established", Is("100"), ""),
    at_start("flow-timeouts.tcp.emergency-closed", Is("20"), ""),
    at_start("flow-timeouts.udp.new", Is("30"), ""),
    at_start("flow-timeouts.udp.established", Is("300"), ""),
    at_start("flow-timeouts.udp.emergency-new", Is("10"), ""),
    at_start("flow-timeouts.udp.emergency-established", Is("100"), ""),
    at_start("flow-timeouts.icmp.new", Is("30"), ""),
    at_start("flow-timeouts.icmp.established", Is("300"), ""),
    at_start("flow-timeouts.icmp.emergency-new", Is("10"), ""),
    at_start("flow-timeouts.icmp.emergency-established", Is("100"), ""),
    at_start("flow-timeouts.default.new", Is("30"), "Other protocols."),
    at_start("flow-timeouts.default.established", Is("300"), ""),
    at_start("flow-timeouts.default.closed", Is("0"), ""),
    at_start("flow-timeouts.default.emergency-new", Is("10"), ""),
    at_start("flow-timeouts.default.emergency-established", Is("100"), ""),
    at_start("flow-timeouts.default.emergency-closed", Is("0"), ""),
    at_start(
        "vlan.use-for-tracking",
        Is("yes"),
        "Take the same addresses in two VLANs for two flows.",
    ),
    at_start("stream.memcap", Is("64mb"), "Memory of TCP sessions, all workers together."),
    at_start("stream.midstream", Is("no"), "Follow sessions whose begin was not seen."),
    at_start(
        "stream.async-oneside",
        Is("no"),
        "Follow sessions of which one direction is not seen.",
    ),
    at_start(
        "stream.bypass",
        Like("yes"),
        "Leave packets behind the depth uninspected; not set: yes for live traffic, no for files.",
    ),
    at_start("stream.inline", Is("no"), "As mode = \"ips\", for streams."),
    at_start("stream.checksum-validation", Is("yes"), "Leave segments with a wrong checksum out."),
    at_start("stream.liberal-timestamps", Is("yes"), "Be lenient about TCP timestamps."),
    at_start("stream.max-syn-queued", Is("10"), "SYNs remembered for a session."),
    at_start("stream.max-synack-queued", Is("5"), "SYN-ACKs remembered for a session."),
    at_start(
        "stream.reassembly.memcap",
        Is("256mb"),
        "Memory of stream data, all workers together.",
    ),
    at_start(
        "stream.reassembly.depth",
        Is("1mb"),
        "Bytes of each direction that are inspected; 0: all.",
    ),
    at_start(
        "stream.reassembly.toserver-chunk-size",
        Is("2560"),
        "Bytes inspected at once, to servers.",
    ),
    at_start(
        "stream.reassembly.toclient-chunk-size",
        Is("2560"),
        "Bytes inspected at once, to clients.",
    ),
    at_start(
        "stream.reassembly.check-overlap-different-data",
        Is("yes"),
        "Tell of segments that overlap with other data.",
    ),
    at_start(
        "stream.reassembly.urgent.policy",
        Is("oob"),
        "Urgent data: oob, inline, drop or gap.",
    ),
    at_start(
        "stream.reassembly.urgent.oob-limit-policy",
        Is("drop"),
        "The same when there is too much of it: inline, drop or gap.",
    ),
    at_start(
        "host-os-policy.*",
        Like("[10.0.0.0/8]"),
        "How hosts read what overlaps: linux, windows, bsd, old-linux, solaris and so on.",
    ),
    at_start("defrag.memcap", Is("32mb"), "Memory of fragments, all workers together."),
    at_start("defrag.trackers", Is("65535"), "Datagrams that wait for fragments at a time."),
    at_start("defrag.timeout", Is("60"), "Seconds until fragments are given up."),
    at_start("decoder.teredo.enabled", Is("yes"), "Look into Teredo."),
    at_start("decoder.teredo.ports", Is("[3544]"), "Where: any, or up to four ports."),
    at_start("decoder.max-layers", Is("16"), "Headers that are taken off one packet at most."),
    at_start("decoder.vxlan.enabled", Is("yes"), "Look into VXLAN."),
    at_start("decoder.vxlan.ports", Is("[4789]"), "Where: any, or up to four ports."),
    at_start("decoder.geneve.enabled", Is("yes"), "Look into Geneve."),
    at_start("decoder.geneve.ports", Is("[6081]"), "Where: any, or up to four ports."),
    at_start("app-layer.protocols.http.enabled", Is("yes"), "Parse HTTP/1."),
    at_start(
        "app-layer.protocols.http.libhtp.default-config.request-body-limit",
        Is("100kb"),
        "Bytes of a request's body that are inspected; 0: all.",
    ),
    at_start(
        "app-layer.protocols.http.libhtp.default-config.response-body-limit",
        Is("100kb"),
        "Bytes of a response's body that are inspected; 0: all.",
    ),
    at_start(
        "app-layer.protocols.http.libhtp.default-config.request-body-minimal-inspect-size",
        Is("32kb"),
        "Bytes of a request's body inspected at first.",
    ),
    at_start(
        "app-layer.protocols.http.libhtp.default-config.response-body-minimal-inspect-size",
        Is("40kb"),
        "Bytes of a response's body inspected at first.",
    ),
    at_start(
        "app-layer.protocols.http.libhtp.default-config.response-body-decompress-layer-limit",
        Is("2"),
        "Codings of a body that are undone, one in the other.",
    ),
    at_start(
        "app-layer.protocols.http.libhtp.default-config.compression-bomb-limit",
        Is("1mb"),
        "Bytes that a body may become when its coding is undone.",
    ),
    at_start(
        "app-layer.protocols.http.libhtp.default-config.double-decode-path",
        Is("no"),
        "Decode what is encoded twice in paths.",
    ),
    at_start(
        "app-layer.protocols.http.libhtp.default-config.double-decode-query",
        Is("no"),
        "Decode what is encoded twice in queries.",
    ),
    at_start("datasets.enabled", Is("yes"), "Let rules name data sets."),
    at_start("datasets.defaults.memcap", Is("64mb"), "Memory that packets may fill a set with."),
    at_start(
        "datasets.defaults.hashsize",
        Is("4096"),
        "Counts towards the limits; tables size themselves.",
    ),
    at_start("datasets.limits.single-hashsize", Is("262144"), "Highest hashsize of a set; 0: any."),
    at_start("datasets.limits.total-hashsizes", Is("67108864"), "Highest sum of all; 0: any."),
    at_start("datasets.rules.allow-write", Is("yes"), "Let rules name files to write."),
    at_start(
        "datasets.rules.allow-absolute-filenames",
        Is("no"),
        "Also outside of default-data-dir.",
    ),
    at_start(
        "pcap-file.checksum-checks",
        Is("auto"),
        "Verify checksums of capture files: auto, yes or no.",
    ),
    at_start(
        "outputs.eve.0.enabled",
        Is("yes"),
        "Several outputs of a kind have names of their own in the place of the 0: see docs/outputs.md.",
    ),
    at_start(
        "outputs.eve.0.filename",
        Like("/var/log/nids/eve.json"),
        "EVE JSON: a file, or a Unix socket. --eve is short for this.",
    ),
    at_start(
        "outputs.eve.0.rotate-size",
        Is("no"),
        "A file is put away before it grows beyond this.",
    ),
    at_start(
        "outputs.eve.0.rotate-interval",
        Is("no"),
        "A file is put away at each multiple of this: 15m, 1h, 1d.",
    ),
    at_start("outputs.eve.0.max-files", Is("no"), "Old files that are kept."),
    at_start("outputs.eve.0.compression", Is("none"), "zstd: of old files."),
    at_start(
        "outputs.eve.0.disk-full",
        Is("keep"),
        "keep: the oldest wait. drop: all is lost until there is room.",
    ),
    at_start(
        "outputs.eve.0.backlog",
        Is("1mb"),
        "Bytes that may wait while they cannot be written.",
    ),
    at_start(
        "outputs.eve.0.filetype",
        Is("regular"),
        "regular, unix_stream, unix_dgram, stdout or syslog.",
    ),
    at_start(
        "outputs.eve.0.server",
        Is("unix:/dev/log"),
        "Syslog: unix:PATH, udp:HOST:PORT or tcp:HOST:PORT.",
    ),
    at_start("outputs.eve.0.facility", Is("local5"), ""),
    at_start("outputs.eve.0.level", Is("info"), ""),
    at_start("outputs.eve.0.identity", Is("nids"), ""),
    at_start("outputs.eve.0.framing", Is("octet-counting"), "Over TCP; or newline."),
    at_start("outputs.eve.0.types", Is("[alert, packet]"), "Types of records."),
    at_start("outputs.eve.0.metadata", Is("yes"), "Flow bits and numbers that rules have set."),
    at_start("outputs.eve.0.alert.payload", Is("no"), "The payload in base64."),
    at_start("outputs.eve.0.alert.payload-printable", Is("no"), "The payload as text."),
    at_start("outputs.eve.0.alert.payload-buffer-size", Is("4kb"), "Bytes of a stream's payload."),
    at_start("outputs.eve.0.alert.packet", Is("no"), "The packet in base64."),
    at_start("outputs.eve.0.alert.metadata.flow", Is("yes"), "The flow of the packet."),
    at_start(
        "outputs.eve.0.alert.metadata.rule.metadata",
        Is("yes"),
        "What the rule says of itself.",
    ),
    at_start("outputs.eve.0.alert.metadata.rule.reference", Is("yes"), ""),
    at_start("outputs.eve.0.anomaly.packethdr", Is("no"), "The begin of the packet."),
    at_start("outputs.fast.0.enabled", Is("yes"), ""),
    at_start(
        "outputs.fast.0.filename",
        Like("/var/log/nids/fast.log"),
        "Snort's fast lines. --fast is short for this.",
    ),
    at_start("outputs.fast.0.rotate-size", Is("no"), ""),
    at_start("outputs.fast.0.rotate-interval", Is("no"), ""),
    at_start("outputs.fast.0.max-files", Is("no"), ""),
    at_start("outputs.fast.0.compression", Is("none"), ""),
    at_start("outputs.fast.0.disk-full", Is("keep"), ""),
    at_start("outputs.fast.0.backlog", Is("1mb"), ""),
    at_start("outputs.pcap.0.enabled", Is("yes"), ""),
    at_start(
        "outputs.pcap.0.filename",
        Like("/var/log/nids/alert.pcapng"),
        "Packets of alerting flows. --alert-pcap is short for this.",
    ),
    at_start("outputs.pcap.0.rotate-size", Is("100mb"), ""),
    at_start("outputs.pcap.0.rotate-interval", Is("no"), ""),
    at_start("outputs.pcap.0.max-files", Is("10"), ""),
    at_start("outputs.pcap.0.compression", Is("none"), ""),
    at_start("outputs.pcap.0.disk-full", Is("keep"), ""),
    at_start("outputs.pcap.0.backlog", Is("16mb"), ""),
    at_start(
        "outputs.pcap.0.conditional",
        Is("alerts"),
        "Or tag: what the tag of a rule asks for.",
    ),
    at_start(
        "outputs.pcap.0.flow-limit",
        Is("10mb"),
        "Bytes of a flow that are kept from its alert on.",
    ),
    at_start(
        "outputs.pcap.0.look-back",
        Is("8mb"),
        "Bytes of recent packets that each worker remembers, for those before an alert.",
    ),
];

/// What is known of a key.
pub fn find(key: &str) -> Option<&'static Doc> {
    DOCS.iter().find(|doc| match doc.key.strip_suffix('*') {
        Some(group) => key.len() > group.len() && key.starts_with(group),
        None => doc.key == key,
    })
}

/// A key as the writer of a file shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The key.
    pub key: String,
    /// Its value; `None`: it has none.
    pub value: Option<Value>,
    /// Whether the line is in force, or stands behind a `#`.
    pub in_force: bool,
    /// Behind the value.
    pub note: String,
    /// Above it.
    pub about: String,
}

impl Shown {
    /// A key of [`DOCS`] as it stands in the file that is shipped: all behind `#`.
    pub fn unset(doc: &Doc) -> Self {
        let (Is(text) | Like(text)) = doc.unset;
        Self {
            key: doc
                .key
                .replace(".*", if doc.key.starts_with("host") { ".windows" } else { ".NAME" }),
            value: Some(typed(text)),
            in_force: false,
            note: match doc.unset {
                Is(_) => String::new(),
                Like(_) => "an example; not set".into(),
            },
            about: doc.about.to_owned(),
        }
    }

    /// An entry, or where there is none what is in force without.
    pub fn set(entry: &Entry, live: bool) -> Self {
        let note = format!("{}{}", entry.origin, if live { ", live" } else { "" });
        let value = match &entry.value {
            Value::One(text) => typed(text),
            many @ Value::Many(_) => many.clone(),
        };
        let (key, value) = (entry.key.clone(), Some(value));
        Self { key, value, in_force: true, note, about: String::new() }
    }
}

/// A list where it is written as one.
fn typed(text: &str) -> Value {
    match text.starts_with('[') {
        true => Value::Many(Value::One(text.to_owned()).parts()),
        false => Value::One(text.to_owned()),
    }
}

/// Writes keys as TOML, a table for all that have the same parts but the last; keys of one table must stand
/// together, and those without a table first.
pub fn write(out: &mut String, keys: &[Shown]) {
    let mut table = "";
    for shown in keys {
        let (of, name) = shown.key.rsplit_once('.').unwrap_or(("", &shown.key));
        if of != table {
            table = of;
            let _ = writeln!(out, "\n[{table}]");
        }
        for line in wrapped(&shown.about) {
            let _ = writeln!(out, "# {line}");
        }
        let hash = if shown.in_force { "" } else { "#" };
        let _ = match &shown.value {
            Some(value) => write!(out, "{hash}{name} = {}", quoted(value)),
            None => write!(out, "#{name} ="),
        };
        let _ = match shown.note.as_str() {
            "" => writeln!(out),
            note => writeln!(out, "  # {note}"),
        };
    }
}

/// Prose in lines of at most 98 characters.
fn wrapped(text: &str) -> Vec<String> {
    const WIDTH: usize = 98;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The value as TOML has it.
fn quoted(value: &Value) -> String {
    match value {
        Value::Many(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| one(part)).collect();
            format!("[{}]", parts.join(", "))
        }
        Value::One(text) => one(text),
    }
}

fn one(text: &str) -> String {
    match text {
        "yes" | "true" => return "true".to_owned(),
        "no" | "false" => return "false".to_owned(),
        _ => {}
    }
    if text.parse::<i64>().is_ok_and(|number| number.to_string() == text) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Settings, key, layers};

    #[test]
    fn each_key_with_a_function_is_told_of_and_no_other() {
        let outputs = crate::output::settings::keys();
        let mut keys: Vec<_> = key::patterns().collect();
        keys.extend(outputs.iter().map(String::as_str));
        let mut docs: Vec<_> = DOCS.iter().map(|doc| doc.key).collect();
        // Fields of one set, and second ways to write a list: they are in the documentation.
        keys.retain(|key| {
            !["datasets.*.*", "host-os-policy.*.*", "reputation-files.*", "outputs.**"]
                .contains(key)
        });
        keys.sort_unstable();
        docs.sort_unstable();
        assert_eq!(docs, keys);
    }

    #[test]
    fn the_defaults_are_what_settings_begin_with() {
        for doc in DOCS {
            let mut settings = Settings { variables: Default::default(), ..Settings::default() };
            if let Some(of_output) = doc.key.strip_prefix("outputs.") {
                // The output itself is no default.
                settings.outputs.set(of_output, "").unwrap_err();
            }
            let begin = format!("{settings:?}");
            match doc.unset {
                Is(text) => {
                    settings.set(&format!("{}={text}", doc.key)).unwrap();
                    let now = format!("{settings:?}");
                    // A map has no order: variables are left out.
                    let cut =
                        |text: &str| text.split_once("rules: RuleSettings").unwrap().1.to_owned();
                    assert_eq!(cut(&now), cut(&begin), "{}", doc.key);
                }
                Like(text) => {
                    let key = Shown::unset(doc).key.replace("NAME", "0");
                    settings.set(&format!("{key}={text}")).unwrap();
                }
            }
        }
    }

    #[test]
    fn keys_without_a_table_come_first_and_tables_hold_together() {
        let mut seen: Vec<&str> = Vec::new();
        for doc in DOCS {
            let table = doc.key.rsplit_once('.').map_or("", |(table, _)| table);
            if seen.last() != Some(&table) {
                assert!(!seen.contains(&table), "{} is apart from its table", doc.key);
                seen.push(table);
            }
        }
        assert_eq!(seen.first(), Some(&""));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let origin = layers::Origin::CommandLine;
        let entry = |key: &str, value| Entry { key: key.into(), value, origin: origin.clone() };
        let entries = [
            entry("a", Value::One("x \"y\" \\ \u{1}\u{e4}".into())),
            entry("b", Value::Many(vec!["1".into(), "[1, 2]".into(), "007".into()])),
            entry("t.c", Value::One("true".into())),
            entry("t.d", Value::One("-5".into())),
        ];
        let shown: Vec<_> = entries.iter().map(|entry| Shown::set(entry, true)).collect();
        let mut text = String::new();
        write(&mut text, &shown);
        let read = layers::parse(Path::new("n.toml"), &text).unwrap();
        let plain = |all: &[Entry]| -> Vec<_> {
            all.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect()
        };
        assert_eq!(plain(&read), plain(&entries), "{text}");
    }

    #[test]
    fn find_takes_names_for_stars() {
        assert_eq!(find("vars.address-groups.HOME_NET").unwrap().key, "vars.address-groups.*");
        assert!(find("vars.address-groups.").is_none() && find("flow.memcapx").is_none());
        assert!(find("rule-files").unwrap().live && !find("flow.memcap").unwrap().live);
    }
}
