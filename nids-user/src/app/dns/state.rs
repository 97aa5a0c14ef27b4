//! From bytes to transactions: one for each message.

use std::any::Any;

use super::event::Event;
use super::parser::{Message, Odd, Record};
use crate::app::{AppProtocol, Context, GiveUp, Parser, Shown, TransactionList, Transactions};
use crate::detect::buffer::AppBuffer;
use crate::flow::FlowDirection;
use crate::output::EveType;

/// The DNS of one flow.
#[derive(Debug)]
pub struct Dns {
    protocol: AppProtocol,
    /// Messages in a stream have their length before them.
    framed: bool,
    /// Begin of a message that is not whole yet: to the server, to the client.
    partial: [Vec<u8>; 2],
    /// Bytes of a message that are missing, of which the rest is still to be skipped.
    skip: [u64; 2],
    transactions: Transactions<Transaction>,
    memory: usize,
}

/// A message.
#[derive(Debug)]
pub struct Transaction {
    /// DNS or mDNS.
    pub protocol: AppProtocol,
    /// The way it went.
    pub direction: FlowDirection,
    /// What it says.
    pub message: Message,
    /// Where the names of a response are, in order.
    names: Vec<Place>,
}

/// Where a name of a message is.
#[derive(Clone, Copy, Debug)]
struct Place {
    section: u8,
    record: u16,
    /// In its data.
    in_data: bool,
}

impl Dns {
    /// Of a flow of datagrams or, `framed`, a stream.
    pub fn new(protocol: AppProtocol, framed: bool) -> Self {
        Self {
            protocol,
            framed,
            partial: [Vec::new(), Vec::new()],
            skip: [0; 2],
            transactions: Transactions::default(),
            memory: 0,
        }
    }

    fn message(&mut self, cx: &mut Context<'_>, direction: FlowDirection, bytes: &[u8]) {
        let read = Message::read(bytes);
        let message = read.unwrap_or_default();
        if self.transactions.count() >= cx.limits.transactions
            && let Some(oldest) = self.transactions.let_go()
        {
            self.memory = self.memory.saturating_sub(oldest.memory());
            cx.counters.transactions_let_go += 1;
        }
        let mut events = Vec::new();
        let short = bytes.len() < super::parser::HEADER;
        let (flags, odd) = (message.header, message.odd);
        let is_request = direction == FlowDirection::ToServer;
        for (event, happened) in [
            (Event::MalformedData, short || odd.has(Odd::MALFORMED)),
            (Event::NotARequest, is_request && flags.is_response() && self.has_sides()),
            (
                Event::NotAResponse,
                !is_request && !flags.is_response() && !short && self.has_sides(),
            ),
            (Event::ZFlagSet, flags.flags & 0x40 != 0),
            (Event::InvalidOpcode, flags.opcode() >= 7),
            (Event::NameTooLong, odd.has(Odd::NAME_TOO_LONG)),
            (Event::InfiniteLoop, odd.has(Odd::LOOP)),
            (Event::TooManyLabels, odd.has(Odd::LABELS)),
            (Event::InvalidAuthorities, odd.has(Odd::AUTHORITIES)),
            (Event::InvalidAdditionals, odd.has(Odd::ADDITIONALS)),
        ] {
            if happened {
                events.push(event as u8);
            }
        }
        let transaction = Transaction::new(self.protocol, direction, message);
        self.memory += transaction.memory();
        let id = self.transactions.begin(transaction);
        cx.counters.transactions += 1;
        if let Some((head, _)) = self.transactions.of(id) {
            events.into_iter().for_each(|event| head.events.raise(event));
            // Nothing will ever be said in the other direction of it.
            head.inspected(direction.reversed()).done = true;
        }
        cx.ended(direction);
    }

    /// Whether one side asks and the other one answers.
    fn has_sides(&self) -> bool {
        self.protocol == AppProtocol::Dns
    }

    fn stream(&mut self, cx: &mut Context<'_>, direction: FlowDirection, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skip = of(&mut self.skip, direction);
            if *skip > 0 {
                let skipped = bytes.len().min(usize::try_from(*skip).unwrap_or(usize::MAX));
                *skip -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            let partial = of(&mut self.partial, direction);
            // The length first, then what it says.
            let whole = match partial.first_chunk() {
                Some(length) => 2 + usize::from(u16::from_be_bytes(*length)),
                None => 2,
            };
            let missing = whole.saturating_sub(partial.len()).min(bytes.len());
            let (taken, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
            partial.extend_from_slice(taken);
            bytes = rest;
            let length =
                partial.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length)));
            if length.is_some_and(|length| partial.len() >= 2 + length) {
                let whole = std::mem::take(partial);
                self.message(cx, direction, whole.get(2..).unwrap_or_default());
                let partial = of(&mut self.partial, direction);
                *partial = whole;
                partial.clear();
            }
        }
    }
}

impl Parser for Dns {
    fn data(
        &mut self,
        cx: &mut Context<'_>,
        direction: FlowDirection,
        bytes: &[u8],
    ) -> Result<usize, GiveUp> {
        match self.framed {
            true => self.stream(cx, direction, bytes),
            false => self.message(cx, direction, bytes),
        }
        Ok(bytes.len())
    }

    /// A hole inside of a message costs this message; where it goes beyond, nothing shows where the next
    /// one begins.
    fn gap(
        &mut self,
        _: &mut Context<'_>,
        direction: FlowDirection,
        length: u64,
    ) -> Result<(), GiveUp> {
        let skip = of(&mut self.skip, direction);
        if *skip > 0 {
            *skip = skip.checked_sub(length).ok_or(GiveUp::Gap)?;
            return Ok(());
        }
        let partial = of(&mut self.partial, direction);
        let whole = partial.first_chunk().map(|length| 2 + u64::from(u16::from_be_bytes(*length)));
        let left = whole.and_then(|whole| whole.checked_sub(partial.len() as u64 + length));
        partial.clear();
        *skip = left.ok_or(GiveUp::Gap)?;
        Ok(())
    }

    fn end(&mut self, _: &mut Context<'_>, _: FlowDirection) {}

    fn transactions(&mut self) -> &mut dyn TransactionList {
        self
    }

    fn memory(&self) -> usize {
        let partial: usize = self.partial.iter().map(Vec::capacity).sum();
        size_of::<Self>() + partial + self.memory
    }
}

/// Keeps the books on memory.
impl TransactionList for Dns {
    fn len(&self) -> usize {
        self.transactions.len()
    }
    fn get(
        &mut self,
        index: usize,
    ) -> Option<(&mut crate::app::Head, &dyn crate::app::Transaction)> {
        self.transactions.get(index)
    }
    fn place(&self, id: u64) -> Option<usize> {
        self.transactions.place(id)
    }
    fn free(&mut self, logged: bool) -> usize {
        let freed = self.transactions.free(logged);
        if freed > 0 {
            self.memory = self.transactions.iter().map(|(_, it)| it.memory()).sum();
        }
        freed
    }
}

impl Transaction {
    fn new(protocol: AppProtocol, direction: FlowDirection, message: Message) -> Self {
        let mut names = Vec::new();
        // Of mDNS both go the same way.
        if message.header.is_response() || direction == FlowDirection::ToClient {
            let questions = (0..).take(message.questions.len());
            names.extend(questions.map(|record| Place { section: 0, record, in_data: false }));
            let sections = [&message.answers, &message.authorities, &message.additionals];
            for (section, records) in (1..).zip(sections) {
                for (record, it) in (0..).zip(records) {
                    names.push(Place { section, record, in_data: false });
                    if it.data.name().is_some() {
                        names.push(Place { section, record, in_data: true });
                    }
                }
            }
        }
        Self { protocol, direction, message, names }
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.message.memory() + self.names.len() * size_of::<Place>()
    }

    /// A name of a response: those of all sections in order, and those in the data of records.
    fn response_name(&self, index: usize) -> Option<&[u8]> {
        let Place { section, record, in_data } = *self.names.get(index)?;
        let Message { questions, answers, authorities, additionals, .. } = &self.message;
        let record = usize::from(record);
        let records = match section {
            0 => return Some(&questions.get(record)?.name),
            1 => answers,
            2 => authorities,
            _ => additionals,
        };
        let record = records.get(record)?;
        if in_data { record.data.name() } else { Some(&record.name) }
    }
}

impl crate::app::Transaction for Transaction {
    fn progress(&self, _: FlowDirection) -> u8 {
        super::COMPLETE
    }
    fn complete(&self, _: FlowDirection) -> u8 {
        super::COMPLETE
    }
    fn buffer<'a>(
        &'a self,
        buffer: AppBuffer,
        direction: FlowDirection,
        index: usize,
        _: &'a mut Vec<u8>,
    ) -> Option<Shown<'a>> {
        let name = |records: &'a [Record]| Some(records.get(index)?.name.as_slice());
        let Message { questions, answers, authorities, additionals, .. } = &self.message;
        if direction != self.direction {
            return None;
        }
        let bytes = match buffer {
            AppBuffer::DnsQuery | AppBuffer::DnsQueries | AppBuffer::MdnsQueries => {
                questions.get(index).map(|question| question.name.as_slice())
            }
            AppBuffer::DnsAnswers | AppBuffer::MdnsAnswers => name(answers),
            AppBuffer::DnsAuthorities | AppBuffer::MdnsAuthorities => name(authorities),
            AppBuffer::DnsAdditionals | AppBuffer::MdnsAdditionals => name(additionals),
            AppBuffer::DnsResponse | AppBuffer::MdnsResponse => self.response_name(index),
            _ => None,
        };
        bytes.map(Shown::from)
    }
    fn objects(&self, id: u64, out: &mut Vec<u8>) {
        super::log::write(self, id, out);
    }
    fn records(&self, id: u64, emit: &mut dyn FnMut(EveType, FlowDirection, &[u8])) {
        let mut out = Vec::new();
        super::log::write(self, id, &mut out);
        let kind = if self.protocol == AppProtocol::Mdns { EveType::Mdns } else { EveType::Dns };
        emit(kind, self.direction, &out);
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn of<T>([to_server, to_client]: &mut [T; 2], direction: FlowDirection) -> &mut T {
    match direction {
        FlowDirection::ToServer => to_server,
        FlowDirection::ToClient => to_client,
    }
}
