//! The application layer of one flow: detection first, then the parser.

use super::detect::{self, Side, UNDECIDED};
use super::limits::of;
use super::{AppProtocol, Context, GiveUp, Parser, State, TransactionList};
use crate::flow::FlowDirection;
use crate::output::EveType;

/// Takes the records of transactions: number of the transaction, type, the side that sent what it tells of,
/// objects.
pub type Emit<'a> = dyn FnMut(u64, EveType, FlowDirection, &[u8]) + 'a;

/// The application layer of one flow.
#[derive(Debug)]
pub struct AppFlow {
    /// Number of the IP protocol that carries it.
    carrier: u8,
    server_port: u16,
    /// What each side speaks: the client, the server.
    sides: [Side; 2],
    /// Directions that have said something which was not taken.
    held: [bool; 2],
    stage: Stage,
    /// Both sides have said all.
    ended: bool,
    /// Directions whose transactions have news for the rules: to the server, to the client.
    news: [bool; 2],
    /// Its payload is encrypted from here on.
    encrypted: bool,
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

impl AppFlow {
    /// Of a flow carried by this IP protocol, whose server has this port.
    pub fn new(carrier: u8, server_port: u16) -> Self {
        Self {
            carrier,
            server_port,
            sides: [Side::Pending; 2],
            held: [false; 2],
            stage: Stage::Detecting,
            ended: false,
            news: [false; 2],
            encrypted: false,
            memory: 0,
        }
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
        let [client, server] = self.sides;
        match direction {
            FlowDirection::ToServer => client,
            FlowDirection::ToClient => server,
        }
    }

    /// Whether nothing more is to be learned from its bytes.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_))
    }

    /// Whether a parser may have more to say of it.
    pub fn is_parsing(&self) -> bool {
        matches!(self.stage, Stage::Parsing(_))
    }

    /// Whether it is clear that it speaks no protocol that is looked for.
    pub fn is_undetected(&self) -> bool {
        matches!(self.stage, Stage::Over(None))
    }

    /// Whether its payload is encrypted, so that rules have no use for it.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// The transactions, where there is a parser.
    pub fn transactions(&mut self) -> Option<&mut dyn TransactionList> {
        match &mut self.stage {
            Stage::Parsing(state) | Stage::Over(Some(state)) => Some(state.transactions()),
            Stage::Detecting | Stage::Over(None) => None,
        }
    }

    /// Whether the transactions of a direction have news that the rules did not see.
    pub fn has_news(&self, direction: FlowDirection) -> bool {
        let [to_server, to_client] = self.news;
        match direction {
            FlowDirection::ToServer => to_server,
            FlowDirection::ToClient => to_client,
        }
    }

    /// As [`AppFlow::has_news`]; from here on there are none.
    pub fn take_news(&mut self, direction: FlowDirection) -> bool {
        std::mem::take(of(&mut self.news, direction))
    }

    /// Takes bytes of a direction, in order. Returns how many were taken: the others are to come again, with
    /// what follows them.
    pub fn data(&mut self, cx: &mut Context<'_>, direction: FlowDirection, bytes: &[u8]) -> usize {
        if matches!(self.stage, Stage::Detecting) {
            self.detect(cx, direction, bytes);
            let [request_held, _] = self.held;
            if direction == FlowDirection::ToClient && request_held && !self.is_over() {
                // What it answers to comes first.
                return 0;
            }
        }
        *of(&mut self.held, direction) = matches!(self.stage, Stage::Detecting);
        match &mut self.stage {
            // The other side may tell what this one says.
            Stage::Detecting => 0,
            Stage::Over(_) => bytes.len(),
            Stage::Parsing(state) => {
                let result = state.data(cx, direction, bytes);
                let taken = *result.as_ref().unwrap_or(&bytes.len());
                self.settle(cx, result.map(drop));
                taken
            }
        }
    }

    /// Takes a datagram.
    pub fn datagram(&mut self, cx: &mut Context<'_>, direction: FlowDirection, bytes: &[u8]) {
        // Each datagram begins anew, so one that is not understood says nothing of the next.
        if self.data(cx, direction, bytes) == 0 {
            *of(&mut self.sides, direction) = Side::Pending;
        }
    }

    /// Bytes of a direction are missing.
    pub fn gap(&mut self, cx: &mut Context<'_>, direction: FlowDirection, length: u64) {
        match &mut self.stage {
            // What comes behind is no begin.
            Stage::Detecting => *of(&mut self.sides, direction) = Side::Unknown,
            Stage::Parsing(state) => {
                let result = state.gap(cx, direction, length);
                self.settle(cx, result);
            }
            Stage::Over(_) => {}
        }
    }

    /// Nothing more comes from either direction.
    pub fn end(&mut self, cx: &mut Context<'_>) {
        if let Stage::Parsing(state) = &mut self.stage
            && !std::mem::replace(&mut self.ended, true)
        {
            state.end(cx, FlowDirection::ToServer);
            state.end(cx, FlowDirection::ToClient);
            self.settle(cx, Ok(()));
        }
    }

    /// Appends the EVE objects of the transaction with this id.
    pub fn log(&mut self, id: u64, out: &mut Vec<u8>) {
        let Some(list) = self.transactions() else { return };
        if let Some(at) = list.place(id)
            && let Some((_, transaction)) = list.get(at)
        {
            transaction.objects(id, out);
        }
    }

    /// Marks the transactions that are over as logged, and tells of the records of each: number, type, the side that
    /// sent what it tells of, objects. `all`: those too that are not over.
    pub fn records(&mut self, all: bool, emit: &mut Emit<'_>) {
        let Some(list) = self.transactions() else { return };
        for index in 0..list.len() {
            let Some((head, transaction)) = list.get(index) else { break };
            let ways = [FlowDirection::ToServer, FlowDirection::ToClient];
            let over =
                || ways.iter().all(|way| transaction.progress(*way) >= transaction.complete(*way));
            if !head.logged && (all || over()) {
                head.logged = true;
                let id = head.id;
                transaction.records(id, &mut |kind, way, objects| emit(id, kind, way, objects));
            }
        }
    }

    /// Lets transactions go that are over. `logged`: whether those that were not logged are to be kept.
    pub fn free(&mut self, cx: &mut Context<'_>, logged: bool) {
        let freed = self.transactions().is_some_and(|list| list.free(logged) > 0);
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
        let side = of(&mut self.sides, direction);
        if *side == Side::Pending {
            *side = detect::judge(wanted, carrier, port, direction, bytes);
        }
        if let Some(protocol) = self.protocol() {
            cx.counters.detected += 1;
            self.stage = Stage::Parsing(State::new(protocol, carrier));
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
        self.encrypted |= std::mem::take(&mut cx.encrypted);
        for (news, new) in self.news.iter_mut().zip(std::mem::take(&mut cx.news)) {
            *news |= new;
        }
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
            (self.news, cx.news) = ([true; 2], [false; 2]);
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
