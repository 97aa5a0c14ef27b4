//! Fuzz target `dns`: bytes as datagrams and as a stream, both ways.
//!
//! The first byte says how, the rest is what is sent; a stream is cut at its fifth byte.

use nids::app::dns::{Dns, MAX_NAMES, Message};
use nids::app::{AppProtocol, AppProtocols, Context, Counters, Limits, Parser};
use nids::detect::buffer::AppBuffer;
use nids::flow::FlowDirection;

/// Panics where something that must hold for any bytes does not.
pub fn check(data: &[u8]) {
    let Some((&how, data)) = data.split_first() else { return };
    if let Some(message) = Message::read(data) {
        assert!(message.memory() <= 2 * MAX_NAMES + 200 * (data.len() + 1));
    }
    let direction = match how & 1 {
        0 => FlowDirection::ToServer,
        _ => FlowDirection::ToClient,
    };
    let framed = how & 2 != 0;
    let mut dns = Dns::new(AppProtocol::Dns, framed);
    let (limits, mut counters, mut memory) = (Limits::default(), Counters::default(), 0);
    let mut cx = Context {
        limits: &limits,
        counters: &mut counters,
        memory: &mut memory,
        news: [false; 2],
        flush: [false; 2],
        encrypted: false,
        wanted: AppProtocols::NONE,
    };
    let (first, second) = data.split_at(if framed { data.len().min(5) } else { 0 });
    for part in [first, second] {
        assert_eq!(dns.data(&mut cx, direction, part), Ok(part.len()));
    }
    let mut room = Vec::new();
    let list = dns.transactions();
    for at in 0..list.len() {
        let Some((_, transaction)) = list.get(at) else { continue };
        for buffer in [AppBuffer::DnsQuery, AppBuffer::DnsAnswers, AppBuffer::DnsResponse] {
            for index in 0.. {
                if transaction.buffer(buffer, direction, index, &mut room).is_none() {
                    break;
                }
            }
        }
        let mut out = b"{\"a\":0".to_vec();
        transaction.objects(0, &mut out);
        out.push(b'}');
        serde_json::from_slice::<serde_json::Value>(&out).expect("it is JSON");
    }
}
