//! The application layer of one flow: detection first, then the parser.

use super::detect::{self, Side, UNDECIDED};
use super::{AppProtocol, Context, GiveUp, Parser, State, TransactionList};
use crate::flow::FlowDirection;

/// The application layer of one flow.
#[derive(Debug)]
pub struct AppFlow {
    /// Number of the IP protocol that carries it.
    carrier: u8,
    server_port: u16,
    /// What each side speaks: the client, the server.
    sides: [Side; 2],
    stage: Stage,
    /// Bytes accounted for.
    memory: usize,
}

#[derive(Debug)]
enum Stage {
    Detecting,
    Parsing(State),
    /// No protocol was found, or it was given up. What was found until then stays.
    Over(Option<State>),
}

fn index(direction: FlowDirection) -> usize {
    match direction {
        FlowDirection::ToServer => 0,
        FlowDirection::ToClient => 1,
    }
}

impl AppFlow {
    /// Of a flow carried by this IP protocol, whose server has this port.
    pub fn new(carrier: u8, server_port: u16) -> Self {
        Self { carrier, server_port, sides: [Side::Pending; 2], stage: Stage::Detecting, memory: 0 }
    }

    /// The protocol of the flow, once it is known.
    pub fn protocol(&self) -> Option<AppProtocol> {
        self.sides.iter().find_map(|side| match side {
            Side::Known(protocol) => Some(*protocol),
            Side::Pending | Side::Unknown => None,
        })
    }

    /// What one side alone was found to speak.
    pub fn side(&self, direction: FlowDirection) -> Side {
        self.sides.get(index(direction)).copied().unwrap_or_default()
    }

    /// Whether nothing more is to be learned from its bytes.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_))
    }

    /// Whether it is clear that it speaks no protocol that is looked for.
    pub fn is_undetected(&self) -> bool {
        matches!(self.stage, Stage::Over(None))
    }

    /// The transactions, where there is a parser.
    pub fn transactions(&mut self) -> Option<&mut dyn TransactionList> {
        match &mut self.stage {
            Stage::Parsing(state) | Stage::Over(Some(state)) => Some(state.transactions()),
            Stage::Detecting | Stage::Over(None) => None,
        }
    }

    /// Takes bytes of a direction, in order. Returns how many were taken: the others are to come again, with
    /// what follows them.
    pub fn data(&mut self, cx: &mut Context<'_>, direction: FlowDirection, bytes: &[u8]) -> usize {
        if matches!(self.stage, Stage::Detecting) {
            self.detect(cx, direction, bytes);
        }
        match &mut self.stage {
            // The other side may tell what this one says.
            Stage::Detecting => 0,
            Stage::Over(_) => bytes.len(),
            Stage::Parsing(state) => {
                let result = state.data(cx, direction, bytes);
                self.settle(cx, result);
                bytes.len()
            }
        }
    }

    /// Takes a datagram.
    pub fn datagram(&mut self, cx: &mut Context<'_>, direction: FlowDirection, bytes: &[u8]) {
        // Each datagram begins anew, so one that is not understood says nothing of the next.
        if self.data(cx, direction, bytes) == 0
            && let Some(side) = self.sides.get_mut(index(direction))
        {
            *side = Side::Pending;
        }
    }

    /// Bytes of a direction are missing.
    pub fn gap(&mut self, cx: &mut Context<'_>, direction: FlowDirection, length: u64) {
        match &mut self.stage {
            // What comes behind is no begin.
            Stage::Detecting => {
                if let Some(side) = self.sides.get_mut(index(direction)) {
                    *side = Side::Unknown;
                }
            }
            Stage::Parsing(state) => {
                let result = state.gap(cx, direction, length);
                self.settle(cx, result);
            }
            Stage::Over(_) => {}
        }
    }

    /// Nothing more comes from a direction.
    pub fn end(&mut self, cx: &mut Context<'_>, direction: FlowDirection) {
        if let Stage::Parsing(state) = &mut self.stage {
            state.end(cx, direction);
            self.settle(cx, Ok(()));
        }
    }

    /// Lets transactions go that are over.
    pub fn free(&mut self, cx: &mut Context<'_>) {
        let freed = self.transactions().is_some_and(|list| list.free() > 0);
        if freed {
            self.account(cx);
        }
    }

    /// The flow is over: its memory is given back.
    pub fn release(&mut self, cx: &mut Context<'_>) {
        self.stage = Stage::Over(None);
        self.account(cx);
    }

    fn detect(&mut self, cx: &mut Context<'_>, direction: FlowDirection, bytes: &[u8]) {
        let (carrier, port, wanted) = (self.carrier, self.server_port, cx.wanted);
        let Some(side) = self.sides.get_mut(index(direction)) else { return };
        if *side == Side::Pending {
            *side = detect::judge(wanted, carrier, port, direction, bytes);
        }
        if let Some(protocol) = self.protocol() {
            cx.counters.detected += 1;
            self.stage = Stage::Parsing(State::new(protocol));
            self.account(cx);
        } else if self.sides == [Side::Unknown; 2]
            || (self.side(direction) == Side::Unknown && bytes.len() >= UNDECIDED)
        {
            cx.counters.undetected += 1;
            self.stage = Stage::Over(None);
        }
    }

    /// After the parser was called: accounts for its memory, and gives the flow up where it must be.
    fn settle(&mut self, cx: &mut Context<'_>, result: Result<(), GiveUp>) {
        self.account(cx);
        let over = self.memory > cx.limits.flow_memory || *cx.memory > cx.limits.memory;
        let reason = match result {
            Err(reason) => reason,
            Ok(()) if over => GiveUp::Memory,
            Ok(()) => return,
        };
        cx.counters.give_up(reason);
        let stage = std::mem::replace(&mut self.stage, Stage::Over(None));
        // What was found until then is still to be inspected, unless there is no room for it.
        if let (Stage::Parsing(mut state), false) = (stage, reason == GiveUp::Memory) {
            state.end(cx, FlowDirection::ToServer);
            state.end(cx, FlowDirection::ToClient);
            self.stage = Stage::Over(Some(state));
        }
        self.account(cx);
    }

    fn account(&mut self, cx: &mut Context<'_>) {
        let now = match &self.stage {
            Stage::Parsing(state) | Stage::Over(Some(state)) => state.memory(),
            Stage::Detecting | Stage::Over(None) => 0,
        };
        *cx.memory = cx.memory.saturating_sub(self.memory).saturating_add(now);
        self.memory = now;
    }
}
