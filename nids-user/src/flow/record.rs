//! What is left of a flow when it ended: the facts that flow logs tell.

use std::sync::Arc;

use super::FlowDirection;
use super::entry::{End, Flow, Kind, Stage, TtlRange};
use super::key::Ends;
use crate::app::AppProtocol;
use crate::capture::Timestamp;
use crate::detect::alert::Vars;
use crate::stream::State;

/// A flow that ended, owned: it leaves the worker for the writer's queue. Of pairs the first is to the
/// server, the second to the client.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowRecord {
    /// When it ended.
    pub time: Timestamp,
    /// Name of the interface of its first packet, `None` for a file.
    pub interface: Option<Arc<str>>,
    /// EVE's `flow_id`.
    pub id: u64,
    /// Between whom.
    pub ends: Ends,
    /// Code of the first ICMP message each way; the types are the ports of `ends`.
    pub icmp_code: [u8; 2],
    /// Packets that were seen.
    pub packets: [u64; 2],
    /// Bytes of the frames that were seen.
    pub bytes: [u64; 2],
    /// Times to live that were seen.
    pub ttl: [TtlRange; 2],
    /// Time of the first packet.
    pub start: Timestamp,
    /// Time of the last packet.
    pub last: Timestamp,
    /// How far it had come.
    pub stage: Stage,
    /// Why it ended.
    pub end: End,
    /// Alerts were raised on it.
    pub alerted: bool,
    /// The application protocol, where it is known.
    pub app_proto: Option<AppProtocol>,
    /// What a TCP session leaves behind; `None` for other protocols.
    pub tcp: Option<TcpRecord>,
    /// What the kernel let by without showing it; `None`: nothing.
    pub bypassed: Option<Bypassed>,
    /// What rules remember of it, where there is any and an output wants it.
    pub vars: Option<Box<Vars>>,
}

/// What is left of a TCP session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpRecord {
    /// TCP flags that were used each way.
    pub flags: [u8; 2],
    /// Where the session stood; `None`: none was opened.
    pub state: Option<State>,
}

/// Packets that went by uninspected, each way. They are no part of the other counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bypassed {
    /// Packets.
    pub packets: [u64; 2],
    /// Bytes of their frames.
    pub bytes: [u64; 2],
}

impl Flow {
    /// Its record. Its session must still be there.
    pub fn record(&self, end: End, time: Timestamp, interface: Option<Arc<str>>) -> FlowRecord {
        let tcp = (self.kind == Kind::Tcp).then(|| match &self.session {
            None => TcpRecord::default(),
            Some(session) => TcpRecord {
                flags: [FlowDirection::ToServer, FlowDirection::ToClient]
                    .map(|way| session.tcp_flags(way)),
                state: Some(session.state()),
            },
        });
        FlowRecord {
            time,
            interface,
            id: self.id,
            ends: self.ends(),
            icmp_code: self.icmp_code,
            packets: self.packets,
            bytes: self.bytes,
            ttl: self.ttl,
            start: self.start,
            last: self.last,
            stage: self.stage(),
            end,
            alerted: self.alerted,
            app_proto: self.app.as_ref().and_then(|app| app.protocol()),
            tcp,
            bypassed: self.shunt.as_ref().map(|shunt| shunt.bypassed),
            vars: None,
        }
    }
}
