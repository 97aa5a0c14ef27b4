//! EVE's `flow` and `netflow` records.

use super::Eve;
use super::header::Header;
use crate::decode::Tcp;
use crate::flow::{End, FlowDirection, FlowRecord, Stage};
use crate::output::field::put;

/// TCP flags and their keys, in Suricata's order.
const TCP_FLAGS: [(u8, &str); 8] = [
    (Tcp::SYN, "syn"),
    (Tcp::FIN, "fin"),
    (Tcp::RST, "rst"),
    (Tcp::PSH, "psh"),
    (Tcp::ACK, "ack"),
    (Tcp::URG, "urg"),
    (Tcp::ECE, "ecn"),
    (Tcp::CWR, "cwr"),
];

impl Eve {
    pub(super) fn flow(&mut self, out: &mut Vec<u8>, flow: &FlowRecord) {
        let header = Header::of_flow("flow", flow, FlowDirection::ToServer).with_response(flow);
        header.write(out, &mut self.time);
        app_proto(out, flow);
        out.extend_from_slice(b",\"flow\":{");
        self.flow_object(out, flow);
        out.push(b'}');
        self.vars(out, flow.vars.as_deref());
        self.community_id(out, &header);
        if let Some(tcp) = flow.tcp {
            let [to_server, to_client] = tcp.flags;
            let all = to_server | to_client;
            put(
                out,
                format_args!(
                    ",\"tcp\":{{\"tcp_flags\":\"{all:02x}\",\"tcp_flags_ts\":\"{to_server:02x}\",\
                     \"tcp_flags_tc\":\"{to_client:02x}\""
                ),
            );
            tcp_flags(out, all);
            if let Some(state) = tcp.state {
                put(out, format_args!(",\"state\":\"{}\"", state.name()));
            }
            out.push(b'}');
        }
    }

    fn flow_object(&mut self, out: &mut Vec<u8>, flow: &FlowRecord) {
        let (mut packets, mut bytes) = (flow.packets, flow.bytes);
        if let Some(bypassed) = &flow.bypassed {
            for (count, more) in packets.iter_mut().zip(bypassed.packets) {
                *count = count.saturating_add(more);
            }
            for (count, more) in bytes.iter_mut().zip(bypassed.bytes) {
                *count = count.saturating_add(more);
            }
        }
        counts(out, packets, bytes);
        if let Some(bypassed) = &flow.bypassed {
            out.extend_from_slice(b",\"bypassed\":{");
            counts(out, bypassed.packets, bypassed.bytes);
            out.push(b'}');
        }
        self.time(out, "start", flow.start);
        self.time(out, "end", flow.last);
        put(out, format_args!(",\"age\":{}", age(flow)));
        let (state, bypass) = match (&flow.bypassed, flow.stage) {
            (Some(_), Stage::New | Stage::Established) => ("bypassed", true),
            (_, Stage::New) => ("new", false),
            (_, Stage::Established) => ("established", false),
            (_, Stage::Closed) => ("closed", false),
        };
        let reason = match flow.end {
            // Suricata 7 does not tell them apart.
            End::TimedOut | End::Reused => "timeout",
            End::Evicted => "forced",
            End::Shutdown => "shutdown",
        };
        if flow.end == End::Evicted {
            // The table was full.
            out.extend_from_slice(b",\"emergency\":true");
        }
        if bypass {
            out.extend_from_slice(b",\"bypass\":\"capture\"");
        }
        let alerted = flow.alerted;
        put(
            out,
            format_args!(",\"state\":\"{state}\",\"reason\":\"{reason}\",\"alerted\":{alerted}"),
        );
    }

    pub(super) fn netflow(
        &mut self,
        out: &mut Vec<u8>,
        flow: &FlowRecord,
        direction: FlowDirection,
    ) {
        let header = Header::of_flow("netflow", flow, direction);
        header.write(out, &mut self.time);
        app_proto(out, flow);
        let packets = of_direction(flow.packets, direction);
        let bytes = of_direction(flow.bytes, direction);
        put(out, format_args!(",\"netflow\":{{\"pkts\":{packets},\"bytes\":{bytes}"));
        self.time(out, "start", flow.start);
        self.time(out, "end", flow.last);
        let ttl = of_direction(flow.ttl, direction);
        // Without a packet there is no time to live either.
        let (min, max) = if packets == 0 { (0, 0) } else { (ttl.min, ttl.max) };
        let age = age(flow);
        put(out, format_args!(",\"age\":{age},\"min_ttl\":{min},\"max_ttl\":{max}}}"));
        if let Some(tcp) = flow.tcp {
            let flags = of_direction(tcp.flags, direction);
            put(out, format_args!(",\"tcp\":{{\"tcp_flags\":\"{flags:02x}\""));
            tcp_flags(out, flags);
            out.push(b'}');
        }
        self.vars(out, flow.vars.as_deref());
        self.community_id(out, &header);
    }
}

fn app_proto(out: &mut Vec<u8>, flow: &FlowRecord) {
    if let Some(protocol) = flow.app_proto {
        put(out, format_args!(",\"app_proto\":\"{}\"", protocol.name()));
    }
}

fn of_direction<T>([to_server, to_client]: [T; 2], direction: FlowDirection) -> T {
    match direction {
        FlowDirection::ToServer => to_server,
        FlowDirection::ToClient => to_client,
    }
}

/// Seconds between the second of the first packet and that of the last one, as Suricata counts.
fn age(flow: &FlowRecord) -> u64 {
    const NANOSECONDS: u64 = 1_000_000_000;
    (flow.last.0 / NANOSECONDS).saturating_sub(flow.start.0 / NANOSECONDS)
}

fn counts(out: &mut Vec<u8>, packets: [u64; 2], bytes: [u64; 2]) {
    let [to_server, to_client] = packets;
    put(out, format_args!("\"pkts_toserver\":{to_server},\"pkts_toclient\":{to_client}"));
    let [to_server, to_client] = bytes;
    put(out, format_args!(",\"bytes_toserver\":{to_server},\"bytes_toclient\":{to_client}"));
}

/// Those that are set.
fn tcp_flags(out: &mut Vec<u8>, flags: u8) {
    for (bit, name) in TCP_FLAGS {
        if flags & bit != 0 {
            put(out, format_args!(",\"{name}\":true"));
        }
    }
}
