//! Whatever both sides of a connection say, and in whatever pieces: the parser of HTTP/1 does not panic, stays
//! within its memory, and finds the same transactions.

use nids::app::http1::Http1;
use nids::app::{AppProtocol, AppProtocols, Context, Counters, Limits, Parser};
use nids::detect::app_buffer::REGISTERED;
use nids::flow::FlowDirection::{self, ToClient, ToServer};

/// More than its bounds allow one connection.
const MEMORY: usize = 8 << 20;

/// The size of the pieces, how much of the rest is the client's, and what both say.
pub fn check(data: &[u8]) {
    let [size, high, low, rest @ ..] = data else { return };
    let at = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
    let (requests, responses) = rest.split_at(at);
    let whole = run(requests, responses, usize::MAX);
    assert_eq!(whole, run(requests, responses, usize::from(*size).max(1)));
}

fn run(requests: &[u8], responses: &[u8], size: usize) -> Vec<String> {
    let (limits, mut counters, mut memory) = (Limits::default(), Counters::default(), 0);
    let mut parser = Http1::default();
    let mut cx = Context {
        limits: &limits,
        counters: &mut counters,
        memory: &mut memory,
        news: [false; 2],
        flush: [false; 2],
        encrypted: false,
        wanted: AppProtocols::of(&[AppProtocol::Http1]),
    };
    for (way, bytes) in [(ToServer, requests), (ToClient, responses)] {
        for piece in bytes.chunks(size.min(bytes.len().max(1))) {
            // What a tunnel carries, or more than may wait, is not taken.
            let _ = parser.data(&mut cx, way, piece);
            assert!(parser.memory() < MEMORY);
        }
    }
    parser.end(&mut cx, ToServer);
    parser.end(&mut cx, ToClient);
    seen(&mut parser)
}

/// What rules may see of all transactions, as text.
fn seen(parser: &mut Http1) -> Vec<String> {
    let list = parser.transactions();
    let mut all = Vec::new();
    // Beyond as many as may wait, it depends on the pieces what is taken.
    for index in 0..list.len().min(100) {
        let Some((head, transaction)) = list.get(index) else { break };
        let mut text = format!("{} {:?}", head.id, head.events);
        let ways: [FlowDirection; 2] = [ToServer, ToClient];
        for (known, way) in REGISTERED.iter().flat_map(|known| ways.map(|way| (known, way))) {
            for instance in 0..20 {
                let mut room = Vec::new();
                let Some(shown) = transaction.buffer(known.buffer, way, instance, &mut room) else {
                    break;
                };
                text += &format!("\n{:?} {way:?}: {}", known.buffer, shown.bytes.escape_ascii());
            }
        }
        let mut objects = Vec::new();
        transaction.objects(head.id, &mut objects);
        text += &String::from_utf8(objects).expect("EVE is UTF-8");
        all.push(text);
    }
    all
}
