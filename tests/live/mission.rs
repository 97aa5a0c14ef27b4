//! The two rules of the README fire on real traffic, in every mode, over IPv4, IPv6 and inside a VLAN,
//! and on no other port; console, fast file and EVE tell the same.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::netns::{Bed, CLIENT, CLIENT_IFACE, LIMIT, SERVER, SERVER_IFACE, wait_until};
use super::sensor::{RULES, Sensor};
use super::service::{Nginx, TcpServer, curl, send};
use super::vlan::VlanInterface;
use super::{nids, ready};

const ATTACK: &str = "/../../../../etc/passwd";
const LOGIN: &[u8] = b"USER root\r\nPASS secret\r\n";
const HTTP: (u64, &str) = (1_000_001, "Potential directory traversal attack");
const SHELL: (u64, &str) = (1_000_002, "Attempted login as root");

/// What an alert must say.
struct Expected {
    rule: (u64, &'static str),
    from: SocketAddr,
    to: SocketAddr,
}

/// Attacks the server on both ports over these addresses; what the sensor must say.
fn attack(bed: &Bed, pairs: &[(IpAddr, IpAddr)]) -> Vec<Expected> {
    let mut expected = Vec::new();
    for &(client, server) in pairs {
        let (status, port) = curl(&bed.client, server, 80, ATTACK).unwrap();
        assert_eq!(status, 400, "nginx does not go above its root");
        let [from, to] = [SocketAddr::new(client, port), SocketAddr::new(server, 80)];
        expected.push(Expected { rule: HTTP, from, to });
        let port = send(&bed.client, server, 22, LOGIN).unwrap();
        let [from, to] = [SocketAddr::new(client, port), SocketAddr::new(server, 22)];
        expected.push(Expected { rule: SHELL, from, to });
    }
    expected
}

/// The same bytes to ports no rule names, and other bytes to those that rules do name.
fn no_attack(bed: &Bed, server: IpAddr) {
    assert_eq!(curl(&bed.client, server, 8080, ATTACK).unwrap().0, 400);
    assert_eq!(curl(&bed.client, server, 80, "/index.html").unwrap().0, 200);
    send(&bed.client, server, 2222, LOGIN).unwrap();
    send(&bed.client, server, 22, b"USER alice\r\n").unwrap();
}

fn check(sensor: &Sensor, expected: &[Expected], vlan: Option<u16>, iface: &str) {
    let events = sensor.wait_eve(expected.len());
    assert_eq!(events.len(), expected.len(), "{events:#?}");
    let written = || sensor.fast().len().min(sensor.process.stdout.all().len());
    wait_until(LIMIT, || written() >= expected.len());
    let (fast, console) = (sensor.fast(), sensor.process.stdout.all());
    assert_eq!((fast.len(), console.len()), (expected.len(), expected.len()), "{console:#?}");
    for Expected { rule: (sid, message), from, to } in expected {
        let is_it = |event: &&Value| event["src_port"] == from.port();
        let event = events.iter().find(is_it).expect("an event with the client's port");
        assert_eq!(event["event_type"], "alert");
        assert_eq!(event["alert"]["signature_id"], *sid);
        assert_eq!(event["alert"]["signature"], *message);
        assert_eq!(event["src_ip"], long(from));
        assert_eq!(event["dest_ip"], long(to));
        assert_eq!(event["dest_port"], to.port());
        assert_eq!(event["proto"], "TCP");
        assert_eq!(event["in_iface"], iface);
        assert_eq!(event["vlan"][0], vlan.map_or(Value::Null, Value::from));
        let line = format!("[1:{sid}:0] {message} [**] ");
        let ends = format!("{{TCP}} {}:{} -> {}:{}", long(from), from.port(), long(to), to.port());
        let found = fast.iter().any(|l| l.contains(&line) && l.ends_with(&ends));
        assert!(found, "no {line:?} with {ends:?} in {fast:#?}");
        let found = console.iter().any(|l| l.contains(message) && l.contains(&from.to_string()));
        assert!(found, "no {message:?} from {from} in {console:#?}");
    }
}

/// An address as the files have it: like Suricata, they do not shorten IPv6.
fn long(address: &SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => v6.segments().map(|part| format!("{part:04x}")).join(":"),
    }
}

fn fires_in(mode: &str) {
    if !ready(&["nginx", "curl"]) {
        return;
    }
    let bed = Bed::new().unwrap();
    let _nginx = Nginx::start(&bed.server, &[80, 8080]).unwrap();
    let _shells = [22, 2222].map(|port| TcpServer::start(&bed.server, port).unwrap());
    let args = ["--iface", SERVER_IFACE, "--mode", mode];
    let mut sensor = Sensor::start(nids(), &bed.server, RULES, args).unwrap();
    let said = sensor.process.stderr.all().join("\n");
    assert!(said.contains(mode), "the mode that was got is shown: {said}");
    for server in SERVER {
        no_attack(&bed, server);
    }
    let pairs = [(CLIENT[0], SERVER[0]), (CLIENT[1], SERVER[1])];
    let expected = attack(&bed, &pairs);
    check(&sensor, &expected, None, SERVER_IFACE);
    assert!(sensor.stop().unwrap().success());
    let balance = sensor.balance().unwrap();
    assert_eq!((balance.difference(), balance.lost, balance.skipped), ((0, 0), 0, 0));
    assert!(balance.filtered > 0 && balance.inspected > 0, "{balance:?}");
}

#[test]
fn both_rules_fire_in_driver_mode() {
    fires_in("driver");
}

#[test]
fn both_rules_fire_in_generic_mode() {
    fires_in("generic");
}

#[test]
fn both_rules_fire_in_tcx_mode() {
    fires_in("tcx");
}

fn fires_in_vlan(mode: &str) {
    if !ready(&["nginx", "curl"]) {
        return;
    }
    let bed = Bed::bare(true).unwrap();
    let _client = VlanInterface::new(&bed.client, CLIENT_IFACE, 5, &CLIENT).unwrap();
    let _server = VlanInterface::new(&bed.server, SERVER_IFACE, 5, &SERVER).unwrap();
    let _nginx = Nginx::start(&bed.server, &[80, 8080]).unwrap();
    let _shells = [22, 2222].map(|port| TcpServer::start(&bed.server, port).unwrap());
    let args = ["--iface", SERVER_IFACE, "--mode", mode];
    let mut sensor = Sensor::start(nids(), &bed.server, RULES, args).unwrap();
    for server in SERVER {
        no_attack(&bed, server);
    }
    let pairs = [(CLIENT[0], SERVER[0]), (CLIENT[1], SERVER[1])];
    let expected = attack(&bed, &pairs);
    check(&sensor, &expected, Some(5), SERVER_IFACE);
    assert!(sensor.stop().unwrap().success());
}

#[test]
fn both_rules_fire_inside_a_vlan_with_the_tag_in_the_frame() {
    fires_in_vlan("driver");
}

#[test]
fn both_rules_fire_inside_a_vlan_with_the_tag_taken_off_before() {
    fires_in_vlan("tcx");
}

/// Starts a sensor on the client's interface and attacks: what the client sends is egress there.
fn alerts_at_the_client(direction: &str) -> usize {
    let bed = Bed::new().unwrap();
    let _shell = TcpServer::start(&bed.server, 22).unwrap();
    let args = ["--iface", CLIENT_IFACE, "--direction", direction];
    let mut sensor = Sensor::start(nids(), &bed.client, RULES, args).unwrap();
    send(&bed.client, SERVER[0], 22, LOGIN).unwrap();
    if direction != "ingress" {
        sensor.wait_eve(1);
    }
    assert!(sensor.stop().unwrap().success());
    sensor.eve().len()
}

#[test]
fn what_leaves_the_host_is_seen_on_egress_only() {
    if !ready(&[]) {
        return;
    }
    assert_eq!(alerts_at_the_client("egress"), 1);
    assert_eq!(alerts_at_the_client("both"), 1);
    assert_eq!(alerts_at_the_client("ingress"), 0);
}

#[test]
fn both_directions_meet_in_one_flow() {
    if !ready(&["nginx", "curl"]) {
        return;
    }
    let rules = r#"
alert tcp any any -> any 80 (msg:"request"; flow:established,to_server; content:"GET /index.html"; sid:1;)
alert tcp any 80 -> any any (msg:"answer"; flow:established,to_client; content:"It works."; sid:2;)
"#;
    for mode in ["driver", "generic", "tcx"] {
        let bed = Bed::new().unwrap();
        let _nginx = Nginx::start(&bed.server, &[80]).unwrap();
        let args = ["--iface", SERVER_IFACE, "--mode", mode, "--direction", "both"];
        let mut sensor = Sensor::start(nids(), &bed.server, rules, args).unwrap();
        curl(&bed.client, SERVER[0], 80, "/index.html").unwrap();
        let events = sensor.wait_eve(2);
        let of = |sid: u64| events.iter().find(|e| e["alert"]["signature_id"] == sid);
        let (Some(request), Some(answer)) = (of(1), of(2)) else {
            panic!("{mode}: request and answer in {events:#?}")
        };
        assert_eq!(events.len(), 2, "{mode}");
        assert_eq!(request["flow_id"], answer["flow_id"], "{mode}");
        assert_eq!(
            (&request["src_ip"], &request["dest_port"]),
            (&answer["dest_ip"], &answer["src_port"])
        );
        assert!(sensor.stop().unwrap().success());
    }
}

#[test]
fn alerts_are_handed_on_while_the_sensor_runs() {
    if !ready(&[]) {
        return;
    }
    let bed = Bed::new().unwrap();
    let _shell = TcpServer::start(&bed.server, 22).unwrap();
    let mut sensor = Sensor::start(nids(), &bed.server, RULES, ["--iface", SERVER_IFACE]).unwrap();
    let mut command = std::process::Command::new(nids());
    command.args(["alerts", "--follow", "--json"]).arg(sensor.file("eve.json"));
    let follower = super::netns::Process::spawn(&mut command).unwrap();
    send(&bed.client, SERVER[0], 22, LOGIN).unwrap();
    let line = follower.stdout.find("\"signature_id\":1000002", LIMIT).expect("the alert");
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["dest_port"], 22);
    assert!(sensor.process.stdout.find("root", LIMIT).is_some() && !sensor.process.ended());
}
