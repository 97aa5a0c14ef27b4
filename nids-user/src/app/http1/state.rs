//! From messages to transactions: which response belongs to which request.

use std::any::Any;

use crate::app::{Context, GiveUp, Parser, TransactionList, Transactions};
use crate::detect::buffer::AppBuffer;
use crate::flow::FlowDirection;

/// The HTTP/1 of one connection.
#[derive(Debug, Default)]
pub struct Http1 {
    transactions: Transactions<Transaction>,
}

/// A request and its response.
#[derive(Debug, Default)]
pub struct Transaction {
    progress: [u8; 2],
}

impl Parser for Http1 {
    fn data(&mut self, _: &mut Context<'_>, _: FlowDirection, _: &[u8]) -> Result<usize, GiveUp> {
        Err(GiveUp::Malformed)
    }
    fn gap(&mut self, _: &mut Context<'_>, _: FlowDirection, _: u64) -> Result<(), GiveUp> {
        Err(GiveUp::Gap)
    }
    fn end(&mut self, _: &mut Context<'_>, _: FlowDirection) {}
    fn transactions(&mut self) -> &mut dyn TransactionList {
        &mut self.transactions
    }
    fn memory(&self) -> usize {
        size_of::<Self>()
    }
}

impl crate::app::Transaction for Transaction {
    fn progress(&self, direction: FlowDirection) -> u8 {
        let [request, response] = self.progress;
        match direction {
            FlowDirection::ToServer => request,
            FlowDirection::ToClient => response,
        }
    }
    fn complete(&self, direction: FlowDirection) -> u8 {
        match direction {
            FlowDirection::ToServer => super::request::COMPLETE,
            FlowDirection::ToClient => super::response::COMPLETE,
        }
    }
    fn buffer<'a>(
        &'a self,
        _: AppBuffer,
        _: FlowDirection,
        _: usize,
        _: &'a mut Vec<u8>,
    ) -> Option<crate::app::Shown<'a>> {
        None
    }
    fn log(&self, _: &mut Vec<u8>) {}
    fn as_any(&self) -> &dyn Any {
        self
    }
}
