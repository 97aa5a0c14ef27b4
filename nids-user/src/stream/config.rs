//! Settings of the stream engine, with Suricata's names and defaults (userguide,
//! configuration/suricata-yaml.rst, "Stream-engine"), where it has them.

use super::policy::HostPolicies;

/// When bytes of a stream are shown to inspection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// As soon as they are in order. No wait for the acknowledgment, so nothing is inspected late.
    #[default]
    Immediate,
    /// As Suricata in IDS mode: when the receiver has acknowledged them, raw data in chunks.
    Acked,
    /// As Suricata with `stream.inline`: at once, raw data in a window that slides with the packets.
    Inline,
}

/// `stream.reassembly.urgent.policy`: what becomes of the byte the urgent pointer names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UrgentPolicy {
    /// `oob`: it is not part of the stream (what hosts do without SO_OOBINLINE; RFC 6093, 3.1).
    #[default]
    OutOfBand,
    /// `inline`: it is data like any other.
    Inline,
    /// `drop`: the segment is not part of the stream, and is to be dropped where the sensor can.
    Drop,
    /// `gap`: it is missing from the stream.
    Gap,
}

impl UrgentPolicy {
    /// The policy of a name as the setting takes it.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "oob" => Self::OutOfBand,
            "inline" => Self::Inline,
            "drop" => Self::Drop,
            "gap" => Self::Gap,
            _ => return None,
        })
    }
}

/// Settings of the stream engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// When bytes are shown. `stream.inline` is [`Mode::Inline`].
    pub mode: Mode,
    /// `stream.midstream`: pick up sessions whose handshake was not seen.
    pub midstream: bool,
    /// `stream.async-oneside`: sessions of which only one side is seen.
    pub async_oneside: bool,
    /// `stream.liberal-timestamps`: take timestamps that are off by one from every host.
    pub liberal_timestamps: bool,
    /// `stream.max-syn-queued`: differing SYNs kept of one session.
    pub max_syn_queued: u8,
    /// `stream.max-synack-queued`: differing SYN/ACKs kept of one session.
    pub max_synack_queued: u8,
    /// `stream.memcap`: bytes for sessions, of one worker. 0: no limit.
    pub session_memcap: usize,
    /// `stream.reassembly.memcap`: bytes for buffered data, of one worker. 0: no limit.
    pub reassembly_memcap: usize,
    /// `stream.reassembly.depth`: bytes of each direction that are inspected. 0: no limit.
    pub depth: u32,
    /// `stream.bypass`: the depth holds for packets too. Otherwise what lies behind it is not put in order,
    /// but rules on streams still see each packet of it by itself.
    pub bypass: bool,
    /// `stream.reassembly.toserver-chunk-size`, never at random.
    pub to_server_chunk: u32,
    /// `stream.reassembly.toclient-chunk-size`, never at random.
    pub to_client_chunk: u32,
    /// `stream.reassembly.check-overlap-different-data`: keep what was not acknowledged yet, so that a
    /// retransmission with other content is noticed. Suricata's default is no, ours is yes: inspecting
    /// without waiting for the acknowledgment is blind to a forged first copy otherwise.
    pub check_overlap: bool,
    /// `stream.reassembly.urgent.policy`
    pub urgent: UrgentPolicy,
    /// `stream.reassembly.urgent.oob-limit-policy`: what holds when too many bytes were urgent.
    pub urgent_limit: UrgentPolicy,
    /// Ours. Bytes behind a hole of a direction at which the hole is given up, acknowledged or not.
    pub gap_limit: u32,
    /// Ours. Segments that one direction may have buffered.
    pub segment_limit: usize,
    /// Ours. Bytes before the inspected ones that stay readable ([`super::Chunk::copy_before`]).
    pub look_back: u32,
    /// Ours. Segments without SYN, FIN and RST may be missing from the packets: those without data
    /// (`LEVEL_PAYLOAD` of the kernel half), and those of one side altogether (`LEVEL_CONTROL`).
    /// Acknowledgments and windows then lag behind by any amount, so no data is refused for lying beyond
    /// them, and none waits for them: a hole that never fills is given up after `gap_limit`. For
    /// [`Mode::Immediate`] only. Events about windows and acknowledgments need all segments.
    pub acks_unseen: bool,
    /// Ours. Whether there is a reader of the in-order application data; if not, none is kept for it.
    pub app_layer: bool,
    /// `host-os-policy`
    pub hosts: HostPolicies,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::Immediate,
            midstream: false,
            async_oneside: false,
            liberal_timestamps: true,
            max_syn_queued: 10,
            max_synack_queued: 5,
            session_memcap: 64 << 20,
            reassembly_memcap: 256 << 20,
            depth: 1 << 20,
            bypass: false,
            to_server_chunk: 2560,
            to_client_chunk: 2560,
            check_overlap: true,
            urgent: UrgentPolicy::OutOfBand,
            urgent_limit: UrgentPolicy::Drop,
            gap_limit: 256 << 10,
            segment_limit: 2048,
            look_back: 2560,
            acks_unseen: false,
            app_layer: true,
            hosts: HostPolicies::default(),
        }
    }
}
