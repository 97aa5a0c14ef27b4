//! What the parsers of one worker share: bounds, memory in use, counters.

use crate::flow::FlowDirection;

/// Bounds of the parsers of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that the parsers of one flow may take.
    pub flow_memory: usize,
    /// Bytes that the parsers of all flows of the worker may take.
    pub memory: usize,
    /// Transactions of one flow that are not over; of more, the oldest are let go.
    pub transactions: usize,
    /// Settings of HTTP.
    pub http: super::http1::Settings,
    /// `app-layer.protocols.tls.encryption-handling`: what is done with a flow once it is encrypted.
    pub encrypted: Encrypted,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flow_memory: 4 << 20,
            memory: 256 << 20,
            transactions: 512,
            http: super::http1::Settings::default(),
            encrypted: Encrypted::default(),
        }
    }
}

/// What is done with a flow once it is encrypted: Suricata's `encryption-handling`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encrypted {
    /// Records are followed, rules do not see what is in them: `default`, `track-only`.
    #[default]
    Track,
    /// Nothing more of it is looked at: `bypass`.
    Bypass,
    /// Rules on streams see it too: `full`.
    Full,
}

/// Why a flow is not parsed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// What was said is not of the protocol.
    Malformed,
    /// Bytes are missing, and nothing shows where to go on.
    Gap,
    /// Its memory, or that of all flows, is used up.
    Memory,
    /// What follows is not of this protocol: a tunnel, or another one.
    Tunnel,
    /// What follows is encrypted, and of no more use.
    Encrypted,
}

/// What was parsed, and what not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Flows whose protocol was found.
    pub detected: u64,
    /// Flows that speak no protocol that is looked for.
    pub undetected: u64,
    /// Transactions that began.
    pub transactions: u64,
    /// Of these, let go before they were over, as their flow had too many.
    pub transactions_let_go: u64,
    /// Flows given up: malformed.
    pub malformed: u64,
    /// Flows given up: a hole in the stream.
    pub gaps: u64,
    /// Flows given up: memory.
    pub memory: u64,
    /// Flows that became something else.
    pub tunnels: u64,
    /// Flows that are encrypted from some point on.
    pub encrypted: u64,
    /// Bytes of bodies beyond the limit, which were not inspected.
    pub body_bytes: u64,
    /// Bodies whose decompression was given up: damaged, or too large for what they are.
    pub decompression: u64,
}

impl Counters {
    pub(super) fn give_up(&mut self, reason: GiveUp) {
        *match reason {
            GiveUp::Malformed => &mut self.malformed,
            GiveUp::Gap => &mut self.gaps,
            GiveUp::Memory => &mut self.memory,
            GiveUp::Tunnel => &mut self.tunnels,
            GiveUp::Encrypted => &mut self.encrypted,
        } += 1;
    }
}

impl Context<'_> {
    /// The transactions of a direction have news for the rules.
    pub fn news(&mut self, direction: FlowDirection) {
        *of(&mut self.news, direction) = true;
    }
    /// A message of a direction has ended.
    pub fn ended(&mut self, direction: FlowDirection) {
        *of(&mut self.flush, direction) = true;
        self.news(direction);
    }
}

/// That of a direction.
pub(super) fn of<T>([to_server, to_client]: &mut [T; 2], direction: FlowDirection) -> &mut T {
    match direction {
        FlowDirection::ToServer => to_server,
        FlowDirection::ToClient => to_client,
    }
}

/// What a parser works with beside its own state.
#[derive(Debug)]
pub struct Context<'a> {
    /// The bounds.
    pub limits: &'a Limits,
    /// What happened.
    pub counters: &'a mut Counters,
    /// Bytes that all parsers of the worker take now.
    pub memory: &'a mut usize,
    /// Directions whose transactions have news for the rules: to the server, to the client.
    pub news: [bool; 2],
    /// Directions of which a message has ended: the stream is to be shown to the rules, however little it is.
    pub flush: [bool; 2],
    /// The flow is encrypted from here on.
    pub encrypted: bool,
    /// Protocols that are looked for: those some rule or log asks for.
    pub wanted: super::AppProtocols,
}
