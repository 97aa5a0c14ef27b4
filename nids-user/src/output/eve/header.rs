//! What all EVE records begin with.

use std::net::IpAddr;

use crate::capture::Timestamp;
use crate::decode::Origin;
use crate::detect::alert::Alert;
use crate::flow::{FlowDirection, FlowRecord};
use crate::output::community_id::Tuple;
use crate::output::field::{self, Calendar, put};
use crate::output::record::{Anomaly, AppRecord, TaggedPacket};

/// The begin of a record.
#[derive(Debug)]
pub(super) struct Header<'a> {
    event_type: &'static str,
    time: Timestamp,
    pub(super) flow_id: Option<u64>,
    interface: Option<&'a str>,
    pcap_number: u64,
    vlan: Vlan<'a>,
    pub(super) tuple: Option<Tuple>,
    /// Type and code of the ICMP message that came back.
    icmp_response: Option<(u8, u8)>,
}

#[derive(Debug)]
enum Vlan<'a> {
    OfPacket(&'a [u16]),
    OfFlow([Option<u16>; 3]),
}

impl<'a> Header<'a> {
    pub(super) fn of_alert(alert: &'a Alert) -> Self {
        Self {
            event_type: "alert",
            time: alert.time,
            flow_id: alert.flow.as_ref().map(|flow| flow.id),
            interface: alert.interface.as_deref(),
            pcap_number: alert.pcap_number,
            vlan: Vlan::OfPacket(&alert.vlan),
            tuple: alert.addresses.map(|(source, destination)| Tuple {
                source,
                destination,
                ports: alert.ports,
                ip_proto: alert.ip_proto,
                icmp: alert.icmp,
            }),
            icmp_response: None,
        }
    }

    pub(super) fn of_app(record: &'a AppRecord) -> Self {
        let (source, destination) = record.addresses;
        Self {
            event_type: record.eve_type.name(),
            time: record.time,
            flow_id: Some(record.flow),
            interface: record.interface.as_deref(),
            pcap_number: record.pcap_number,
            vlan: Vlan::OfPacket(&record.vlan),
            tuple: Some(Tuple {
                source,
                destination,
                ports: Some(record.ports),
                ip_proto: record.ip_proto,
                icmp: None,
            }),
            icmp_response: None,
        }
    }

    pub(super) fn of_packet(packet: &'a TaggedPacket) -> Self {
        let (source, destination) = packet.addresses;
        Self {
            event_type: "packet",
            time: packet.time,
            flow_id: packet.flow,
            interface: packet.interface.as_deref(),
            pcap_number: packet.pcap_number,
            vlan: Vlan::OfPacket(&packet.vlan),
            tuple: Some(Tuple {
                source,
                destination,
                ports: packet.ports,
                ip_proto: packet.ip_proto,
                icmp: packet.icmp,
            }),
            icmp_response: None,
        }
    }

    pub(super) fn of_anomaly(anomaly: &'a Anomaly) -> Self {
        Self {
            event_type: "anomaly",
            time: anomaly.time,
            flow_id: anomaly.flow,
            interface: anomaly.interface.as_deref(),
            pcap_number: anomaly.pcap_number,
            vlan: Vlan::OfPacket(&anomaly.vlan),
            tuple: anomaly.addresses.map(|(source, destination)| Tuple {
                source,
                destination,
                ports: anomaly.ports,
                ip_proto: anomaly.ip_proto,
                icmp: anomaly.icmp,
            }),
            icmp_response: None,
        }
    }

    /// Of no packet: the sensor speaks of itself.
    pub(super) fn of_sensor(event_type: &'static str, time: Timestamp) -> Self {
        Self {
            event_type,
            time,
            flow_id: None,
            interface: None,
            pcap_number: 0,
            vlan: Vlan::OfPacket(&[]),
            tuple: None,
            icmp_response: None,
        }
    }

    /// From the side that sends in this direction.
    pub(super) fn of_flow(
        event_type: &'static str,
        flow: &'a FlowRecord,
        direction: FlowDirection,
    ) -> Self {
        let ends = &flow.ends;
        let client = (ends.client, ends.client_port);
        let server = (ends.server, ends.server_port);
        let [to_server, to_client] = flow.icmp_code;
        let (from, to, code) = match direction {
            FlowDirection::ToServer => (client, server, to_server),
            FlowDirection::ToClient => (server, client, to_client),
        };
        // What stands for ports in a flow of ICMP is the type of message that each side sends.
        let is_icmp = matches!(ends.ip_proto, 1 | 58);
        Self {
            event_type,
            time: flow.time,
            flow_id: Some(flow.id),
            interface: flow.interface.as_deref(),
            pcap_number: 0,
            vlan: Vlan::OfFlow(ends.vlan),
            tuple: Some(Tuple {
                source: from.0,
                destination: to.0,
                ports: has_ports(ends.ip_proto).then_some((from.1, to.1)),
                ip_proto: ends.ip_proto,
                icmp: is_icmp.then_some((from.1 as u8, code)),
            }),
            icmp_response: None,
        }
    }

    /// With the ICMP message that came back first.
    pub(super) fn with_response(mut self, flow: &FlowRecord) -> Self {
        let [_, came_back] = flow.packets;
        let [_, code] = flow.icmp_code;
        let answered = self.tuple.is_some_and(|tuple| tuple.icmp.is_some()) && came_back > 0;
        self.icmp_response = answered.then_some((flow.ends.server_port as u8, code));
        self
    }

    /// Opens the object and writes the keys up to the protocol's.
    pub(super) fn write(&self, out: &mut Vec<u8>, calendar: &mut Calendar) {
        out.extend_from_slice(b"{\"timestamp\":\"");
        calendar.write(out, self.time);
        out.extend_from_slice(b"+0000\"");
        if let Some(id) = self.flow_id {
            put(out, format_args!(",\"flow_id\":{id}"));
        }
        if let Some(interface) = self.interface {
            out.extend_from_slice(b",\"in_iface\":");
            field::string(out, interface);
        }
        if self.pcap_number != 0 {
            put(out, format_args!(",\"pcap_cnt\":{}", self.pcap_number));
        }
        put(out, format_args!(",\"event_type\":\"{}\"", self.event_type));
        match &self.vlan {
            Vlan::OfPacket(ids) => vlan(out, ids.iter().copied()),
            Vlan::OfFlow(ids) => vlan(out, ids.iter().copied().flatten()),
        }
        if let Some(tuple) = &self.tuple {
            out.push(b',');
            // Suricata: a TCP segment without readable header has the ports 0.
            let ports = tuple.ports.or(has_ports(tuple.ip_proto).then_some((0, 0)));
            endpoints(out, tuple.source, tuple.destination, ports);
            protocol(out, tuple.ip_proto);
            if let Some((kind, code)) = tuple.icmp {
                put(out, format_args!(",\"icmp_type\":{kind},\"icmp_code\":{code}"));
            }
        }
        if let Some((kind, code)) = self.icmp_response {
            let text = format_args!("{kind},\"response_icmp_code\":{code}");
            put(out, format_args!(",\"response_icmp_type\":{text}"));
        }
    }

    /// Where the packet came from.
    pub(super) fn origin(&self, out: &mut Vec<u8>, origin: Origin) {
        put(out, format_args!(",\"pkt_src\":\"{}\"", origin.as_str()));
    }
}

/// Whether packets of this protocol have ports: TCP, UDP, SCTP.
fn has_ports(ip_proto: u8) -> bool {
    matches!(ip_proto, 6 | 17 | 132)
}

/// Source and destination, without a comma before.
pub(super) fn endpoints(
    out: &mut Vec<u8>,
    source: IpAddr,
    destination: IpAddr,
    ports: Option<(u16, u16)>,
) {
    out.extend_from_slice(b"\"src_ip\":\"");
    field::address(out, source);
    out.push(b'"');
    if let Some((port, _)) = ports {
        put(out, format_args!(",\"src_port\":{port}"));
    }
    out.extend_from_slice(b",\"dest_ip\":\"");
    field::address(out, destination);
    out.push(b'"');
    if let Some((_, port)) = ports {
        put(out, format_args!(",\"dest_port\":{port}"));
    }
}

pub(super) fn protocol(out: &mut Vec<u8>, ip_proto: u8) {
    match field::protocol_name(ip_proto) {
        Some(name) => put(out, format_args!(",\"proto\":\"{name}\"")),
        None => put(out, format_args!(",\"proto\":\"{ip_proto}\"")),
    }
}

fn vlan(out: &mut Vec<u8>, ids: impl Iterator<Item = u16>) {
    let mut before = ",\"vlan\":[";
    for id in ids {
        put(out, format_args!("{before}{id}"));
        before = ",";
    }
    if before == "," {
        out.push(b']');
    }
}
