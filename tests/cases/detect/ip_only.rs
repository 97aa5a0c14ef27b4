//! Rules of addresses only, beside Suricata 7: on which packets of a flow each of them alerts, whatever else it
//! says. Skips, and says so, where Suricata is not installed.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::process::Command;

use super::suricata::{self, Alerts};
use super::world::{Fields, Layer, PacketSpec};

/// Alerts that a packet may have.
const MOST_ALERTS: usize = 15;
/// Headers and options; each pair is one rule, and two where it goes both ways.
const HEADERS: [&str; 14] = [
    "ip 10.0.0.1 any -> any any",
    "ip any any -> 10.0.0.1 any",
    "ip [10.0.0.0/8,192.0.2.1-192.0.2.7] any <> any any",
    "ip any any -> any any",
    "ip !10.0.0.1 any -> any any",
    "ip [10.0.0.0/16,!10.0.0.2] any -> any any",
    "ip $EXTERNAL_NET any -> 10.0.0.1 any",
    "ip 2001:db8::1 any -> any any",
    "ip [10.0.0.1,2001:db8::2] any -> any any",
    "tcp 10.0.0.1 any -> any any",
    "tcp 10.0.0.1 any -> any 80",
    "udp 10.0.0.1 any -> any !80",
    "tcp-pkt any any -> 10.0.0.1 any",
    "icmp 10.0.0.1 any -> any any",
];
const OPTIONS: [&str; 24] = [
    "",
    "threshold:type limit, track by_src, seconds 3600, count 2;",
    "threshold:type threshold, track by_dst, seconds 3600, count 2;",
    "detection_filter:track by_src, count 1, seconds 60;",
    "flowbits:set,a;",
    "flowbits:isnotset,never;",
    "flowbits:unset,b;",
    "flowbits:toggle,c;",
    "flowint:foo,+,1;",
    "xbits:set,a,track ip_src;",
    "xbits:isset,a,track ip_src;",
    "xbits:isnotset,never,track ip_src;",
    "xbits:toggle,d,track ip_dst;",
    "hostbits:set,a,src;",
    "hostbits:isnotset,never,src;",
    "tag:session,1,packets;",
    "sameip;",
    "ip_proto:17;",
    "ip_proto:!17;",
    "l3_proto:ipv4;",
    "target:src_ip; metadata:a b; priority:2;",
    "flow:to_server;",
    "flow:stateless;",
    "ttl:64;",
];

#[test]
fn alert_where_those_of_suricata_do() {
    let Some(version) = suricata::version() else {
        let _ = writeln!(std::io::stderr(), "skipped: Suricata 7 is not installed");
        return;
    };
    let frames: Vec<Vec<u8>> = packets().iter().map(|packet| packet.bytes(true)).collect();
    let (mut differences, mut alerts) = (Vec::new(), 0);
    for header in HEADERS {
        // A packet may have no more alerts than that.
        for options in OPTIONS.chunks(MOST_ALERTS / 2) {
            // Both refuse to narrow what is no `ip`.
            let allowed =
                |options: &&&str| header.starts_with("ip ") || !options.contains("_proto:");
            let rules: Vec<String> = (1..)
                .zip(options.iter().filter(allowed))
                .map(|(sid, options)| format!("alert {header} (msg:\"x\"; {options} sid:{sid};)\n"))
                .collect();
            let text: String = rules.concat();
            let (theirs, ours) = (suricata::alerts(&text, &frames), ours(&text, &frames));
            let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
            for key in keys {
                let (mine, yours) = (ours.get(key), theirs.get(key));
                if mine != yours {
                    let rule = &rules[key.1 as usize - 1];
                    differences.push(format!("packet {}: {mine:?}, {yours:?}: {rule}", key.0));
                }
            }
            alerts += theirs.len();
        }
    }
    assert!(
        differences.is_empty(),
        "{} by {version}:\n{}",
        differences.len(),
        differences.concat()
    );
    assert!(alerts > 1000, "only {alerts} alerts compared");
}

/// Flows of several packets each way, and packets without flow.
fn packets() -> Vec<PacketSpec> {
    let [a, b]: [IpAddr; 2] = [[10, 0, 0, 1].into(), [192, 0, 2, 1].into()];
    let [c, d]: [IpAddr; 2] = ["2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap()];
    let mut packets = Vec::new();
    let mut push = |source, destination, layer, payload: &[u8]| {
        let (ttl, fields, payload) = (64, Fields::default(), payload.to_vec());
        packets.push(PacketSpec { source, destination, ttl, layer, fields, payload });
    };
    for (one, other) in [(a, b), (c, d), ([10, 0, 0, 2].into(), a)] {
        for (there, byte) in
            [(true, b"a"), (true, b"b"), (false, b"c"), (true, b"d"), (false, b"e")]
        {
            let ports = if there { (4000, 53) } else { (53, 4000) };
            let (source, destination) = if there { (one, other) } else { (other, one) };
            push(source, destination, Layer::Udp { ports }, byte);
        }
        let tcp = |there: bool, flags, seq, ack| {
            let ports = if there { (5000, 80) } else { (80, 5000) };
            Layer::Tcp { ports, flags, seq, ack }
        };
        push(one, other, tcp(true, 0x02, 100, 0), b"");
        push(other, one, tcp(false, 0x12, 500, 101), b"");
        push(one, other, tcp(true, 0x10, 101, 501), b"");
        push(one, other, tcp(true, 0x18, 101, 501), b"GET / HTTP/1.0\r\n\r\n");
        push(other, one, tcp(false, 0x18, 501, 119), b"HTTP/1.0 200 OK\r\n\r\n");
        push(one, other, tcp(true, 0x11, 119, 520), b"");
        push(other, one, tcp(false, 0x11, 520, 120), b"");
        push(one, other, tcp(true, 0x10, 120, 521), b"");
        // Nothing before: a connection that is under way.
        push(other, one, Layer::Tcp { ports: (443, 6000), flags: 0x18, seq: 9, ack: 9 }, b"x");
        push(one, other, Layer::Tcp { ports: (6000, 443), flags: 0x18, seq: 9, ack: 10 }, b"y");
        if one.is_ipv4() {
            push(one, other, Layer::Icmp { kind: 8, code: 0 }, b"ping");
            push(other, one, Layer::Icmp { kind: 0, code: 0 }, b"ping");
            push(one, other, Layer::Icmp { kind: 8, code: 0 }, b"ping");
        }
        push(one, other, Layer::Other(99), b"????????");
        push(one, other, Layer::Other(99), b"????????");
        push(one, other, Layer::Fragment(17), b"12345678");
        push(one, other, Layer::Fragment(17), b"12345678");
    }
    push(a, a, Layer::Udp { ports: (7000, 7000) }, b"same");
    push(a, a, Layer::Udp { ports: (7000, 7000) }, b"same");
    packets
}

/// What the program says.
fn ours(rules: &str, frames: &[Vec<u8>]) -> Alerts {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("test.rules"), rules).unwrap();
    fs::write(path("test.pcap"), suricata::pcap(frames)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_nids"))
        .arg("read")
        .arg(path("test.pcap"))
        .arg("--rules")
        .arg(path("test.rules"))
        .arg("--eve")
        .arg(path("eve.json"))
        .arg("--strict")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    suricata::read(&path("eve.json"))
}
