//! What one worker's engine counted, under the names of Suricata's counters (`stats.log`) where Suricata
//! counts the same thing, and under names of our own where it does not.

use super::engine::{Engine, EngineCounters};
use crate::decode::event::Event;
use crate::defrag;
use crate::detect::InspectorCounters;
use crate::flow::FlowCounters;
use crate::stream;
use crate::telemetry::figures::Figures;

/// All of them.
pub(super) fn of(engine: &Engine) -> Figures {
    let (defrag_memory, stream_memory) = engine.memory();
    let memory = [("defrag.memuse", defrag_memory), ("tcp.memuse", stream_memory)];
    let counters = engine.counters();
    decoder(&counters)
        .into_iter()
        .chain(Event::ALL.iter().map(|event| event.counter()).zip(counters.events))
        .chain(defrag(&engine.defrag_counters()))
        .chain(flow(&engine.flow_counters()))
        .chain(tcp(&engine.stream_counters()))
        .chain(detect(&counters, &engine.inspector_counters()))
        .chain(memory.map(|(name, bytes)| (name, bytes as u64)))
        .collect()
}

fn decoder(counters: &EngineCounters) -> [(&'static str, u64); 3] {
    [
        ("decoder.pkts", counters.received),
        ("decoder.bytes", counters.bytes),
        ("decoder.tunneled", counters.tunneled),
    ]
}

fn defrag(counters: &defrag::Counters) -> [(&'static str, u64); 8] {
    [
        ("defrag.fragments", counters.fragments),
        ("defrag.reassembled", counters.reassembled),
        ("defrag.timed_out", counters.timed_out),
        ("defrag.evicted", counters.evicted),
        ("defrag.refused", counters.refused),
        ("defrag.overlaps", counters.overlaps),
        ("defrag.ambiguous", counters.ambiguous),
        ("defrag.again", counters.again),
    ]
}

/// `flow.memcap` counts packets without flow for want of memory, as in Suricata.
fn flow(counters: &FlowCounters) -> [(&'static str, u64); 13] {
    [
        ("flow.total", counters.created),
        ("flow.active", counters.active),
        ("flow.timed_out.new", counters.timed_out_new),
        ("flow.timed_out.established", counters.timed_out_established),
        ("flow.timed_out.closed", counters.timed_out_closed),
        ("flow.evicted.new", counters.evicted_new),
        ("flow.evicted.established", counters.evicted_established),
        ("flow.evicted.closed", counters.evicted_closed),
        ("flow.tcp_reuse", counters.reused),
        ("flow.shut_down", counters.shut_down),
        ("flow.emerg_mode_entered", counters.emergencies),
        ("flow.untracked", counters.untracked),
        ("flow.memcap", counters.no_room),
    ]
}

/// What was not inspected of streams is in the balance, under `given_up`.
fn tcp(counters: &stream::Counters) -> [(&'static str, u64); 13] {
    [
        ("tcp.sessions", counters.sessions),
        ("tcp.midstream_pickups", counters.midstream_pickups),
        ("tcp.ssn_memcap_drop", counters.session_memcap),
        ("tcp.invalid_checksum", counters.invalid_checksum),
        ("tcp.invalid_packets", counters.invalid),
        ("tcp.ack_unseen_data", counters.ack_unseen_data),
        ("tcp.reassembly_gap", counters.gaps),
        ("tcp.overlap", counters.overlaps),
        ("tcp.overlap_diff_data", counters.overlaps_different_data),
        ("tcp.stream_depth_reached", counters.depth_reached),
        ("tcp.urgent_oob_data", counters.urgent),
        ("tcp.segment_memcap_drop", counters.segment_memcap),
        ("tcp.segment_limit_drop", counters.segment_limit),
    ]
}

fn detect(counters: &EngineCounters, inspector: &InspectorCounters) -> [(&'static str, u64); 4] {
    [
        ("detect.alert", counters.alerts),
        ("detect.alerts_suppressed", inspector.suppressed),
        ("detect.alert_queue_overflow", inspector.too_many),
        ("detect.candidates", inspector.candidates),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::output::{self, OutputConfig, Policy};
    use crate::runtime::engine::EngineConfig;

    #[test]
    fn every_number_has_a_place_of_its_own_in_json() {
        let (records, _writer) = output::start(OutputConfig::default(), Policy::Block).unwrap();
        let engine = Engine::new(EngineConfig::offline(&Settings::default()), records);
        let figures = of(&engine);
        assert_eq!(figures.iter().count(), 3 + Event::ALL.len() + 8 + 13 + 13 + 4 + 2);
        let json = serde_json::to_string(&figures).unwrap();
        assert_eq!(serde_json::from_str::<Figures>(&json).unwrap(), figures, "{json}");
        assert_eq!(figures.get("decoder.event.ipv4.pkt_too_small"), Some(0));
    }
}
