//! Whole connections: what becomes of the bytes of both directions, in whatever pieces they come.

use proptest::prelude::*;

use super::*;
use crate::app::{AppProtocols, Context, Counters, Limits, Parser};
use crate::detect::app_buffer::REGISTERED;
use FlowDirection::{ToClient, ToServer};

/// What rules and logs see of all transactions in the end, as text.
fn seen(parser: &mut Http1) -> Vec<String> {
    let mut all = Vec::new();
    let list = parser.transactions();
    for index in 0..list.len() {
        let (head, transaction) = list.get(index).unwrap();
        let mut text = format!("{} {:?}", head.id, head.events.iter().collect::<Vec<_>>());
        for (known, way) in
            REGISTERED.iter().flat_map(|known| [(known, ToServer), (known, ToClient)])
        {
            for instance in 0..100 {
                let mut room = Vec::new();
                let shown = transaction.buffer(known.buffer, way, instance, &mut room);
                let Some(shown) = shown else { break };
                let bytes = shown.bytes.escape_ascii();
                text += &format!("\n{:?} {way:?} {instance}: {bytes}", known.buffer);
            }
        }
        let progress = [ToServer, ToClient].map(|way| transaction.progress(way));
        let mut objects = Vec::new();
        transaction.objects(head.id, &mut objects);
        text += &format!("\n{progress:?} {}", String::from_utf8(objects).unwrap());
        all.push(text);
    }
    all
}

struct Run {
    parser: Http1,
    limits: Limits,
    counters: Counters,
    memory: usize,
}

impl Run {
    fn new(limits: Limits) -> Self {
        Self { parser: Http1::default(), limits, counters: Counters::default(), memory: 0 }
    }
    fn with(&mut self, call: impl FnOnce(&mut Http1, &mut Context<'_>)) {
        let mut cx = Context {
            limits: &self.limits,
            counters: &mut self.counters,
            memory: &mut self.memory,
            news: [false; 2],
            flush: [false; 2],
            encrypted: false,
            wanted: AppProtocols::of(&[crate::app::AppProtocol::Http1]),
        };
        call(&mut self.parser, &mut cx);
    }
    fn feed(&mut self, way: FlowDirection, bytes: &[u8]) -> usize {
        let mut taken = 0;
        self.with(|parser, cx| taken = parser.data(cx, way, bytes).unwrap_or(bytes.len()));
        taken
    }
    fn end(&mut self) {
        self.with(|parser, cx| {
            parser.end(cx, ToServer);
            parser.end(cx, ToClient);
        });
    }
}

/// Requests, then responses, each direction in pieces of these sizes, again and again.
fn conversation(requests: &[u8], responses: &[u8], pieces: &[usize]) -> Vec<String> {
    let mut run = Run::new(Limits::default());
    for (way, bytes) in [(ToServer, requests), (ToClient, responses)] {
        let mut sizes = pieces.iter().cycle();
        let mut rest = bytes;
        while !rest.is_empty() {
            let size = (*sizes.next().unwrap()).clamp(1, rest.len());
            let (piece, behind) = rest.split_at(size);
            assert_eq!(run.feed(way, piece), piece.len());
            rest = behind;
        }
    }
    run.end();
    seen(&mut run.parser)
}

const REQUESTS: &[&str] = &[
    "GET /a%20b?x=%41#f HTTP/1.1\r\nHost: Example.com:80\r\nCookie: a=b\r\nAccept: */*\r\n\r\n",
    "POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
    "POST /c HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n3;x=y\nabc\n0\nTrailer: x\n\n",
    "POST /m HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 83\r\n\r\n--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\ntext\r\n--x--\r\n\r\n",
    "GET /old\r\n\r\n",
    "  HEAD\t/h  HTTP/1.0\r\nA: b\r\n c\r\nA: d\r\nnothing\r\n\r\n",
    "\r\nOPTIONS * HTTP/1.1\r\nHost: h\r\n \n",
];

const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nServer: s\r\n\r\nbody",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nSet-Cookie: a\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "HTTP/1.1 301 Moved\rLocation: /x\rContent-Length: 0\r\n\r\n",
    "junk\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\t\n\nx",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a chunk",
    "HTTP/1.0 200 OK\r\n\r\nuntil the end",
    "no head at all",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_segmentation_gives_the_same(
        requests in prop::collection::vec(prop::sample::select(REQUESTS), 1..5),
        responses in prop::collection::vec(prop::sample::select(RESPONSES), 0..5),
        pieces in prop::collection::vec(1_usize..60, 1..8),
    ) {
        let (requests, responses) = (requests.concat(), responses.concat());
        let whole = conversation(requests.as_bytes(), responses.as_bytes(), &[usize::MAX]);
        let bytewise = conversation(requests.as_bytes(), responses.as_bytes(), &[1]);
        prop_assert_eq!(&whole, &bytewise);
        let cut = conversation(requests.as_bytes(), responses.as_bytes(), &pieces);
        prop_assert_eq!(whole, cut);
    }

    #[test]
    fn bytes_without_sense_do_no_harm(
        requests in prop::collection::vec(any::<u8>(), 0..300),
        responses in prop::collection::vec(any::<u8>(), 0..300),
        pieces in prop::collection::vec(1_usize..60, 1..8),
    ) {
        conversation(&requests, &responses, &pieces);
    }
}

#[test]
fn a_head_without_end_is_bounded() {
    let mut run = Run::new(Limits::default());
    run.feed(ToServer, b"GET / HTTP/1.1\r\n");
    let megabyte = b"X-Header: 0123456789abcdef\r\n".repeat(1 << 15);
    for _ in 0..100 {
        run.feed(ToServer, &megabyte);
        assert!(run.parser.memory() < 1 << 20);
    }
    // One line without end.
    for _ in 0..100 {
        run.feed(ToServer, &vec![b'x'; 1 << 20]);
        assert!(run.parser.memory() < 1 << 20);
    }
    run.feed(ToServer, b"\r\n\r\nGET /next HTTP/1.1\r\n\r\n");
    run.end();
    let all = seen(&mut run.parser);
    assert_eq!(all.len(), 2);
    assert!(all[0].contains(&(Event::RequestTooManyHeaders as u8).to_string()));
    assert!(all[1].contains("/next"));
}

#[test]
fn requests_in_a_row_are_bounded() {
    let mut run = Run::new(Limits::default());
    let some = b"GET / HTTP/1.0\r\n\r\n".repeat(1000);
    let mut parsed = 0;
    for _ in 0..100 {
        let mut rest = &some[..];
        while !rest.is_empty() {
            let taken = run.feed(ToServer, rest);
            parsed += taken / 18;
            rest = &rest[taken..];
            assert!(run.parser.memory() < 4 << 20);
            // Rules have seen them; nobody answers.
            let list = run.parser.transactions();
            for index in 0..list.len() {
                list.get(index).unwrap().0.inspected(ToServer).done = true;
            }
        }
    }
    assert_eq!(parsed, 100_000);
    assert_eq!(run.counters.transactions, 100_000);
    assert!(run.counters.transactions_let_go > 99_000);
    // What was let go without being seen would have been lost.
    let mut unseen = Run::new(Limits::default());
    assert!(unseen.feed(ToServer, &some) < some.len());
}

#[test]
fn holes_in_bodies_are_skipped_and_others_lose_the_message() {
    let mut run = Run::new(Limits::default());
    run.feed(ToServer, b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n");
    run.feed(ToClient, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    run.with(|parser, cx| parser.gap(cx, ToClient, 4).unwrap());
    run.feed(ToClient, b"xyzHTTP/1.1 201 OK\r\nConte");
    run.with(|parser, cx| parser.gap(cx, ToClient, 100).unwrap());
    run.feed(ToClient, b"rest of it\r\nHTTP/1.1 202 OK\r\nContent-Length: 2\r\n\r\nhi");
    run.end();
    let all = seen(&mut run.parser);
    assert!(all[0].contains("\"length\":10") && all[0].contains("\"gaps\":true"), "{}", all[0]);
    assert!(all[1].contains("\"status\":201"));
    assert!(all[2].contains("\"status\":202") && all[2].contains("\"length\":2"));
}

#[test]
fn tunnels_are_left_alone() {
    let mut run = Run::new(Limits::default());
    run.feed(ToServer, b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n");
    run.feed(ToClient, b"HTTP/1.1 200 Connected\r\n\r\n");
    run.feed(ToServer, b"\x16\x03\x01\x02\x00");
    run.feed(ToClient, b"\x16\x03\x03");
    let mut result = Ok(0);
    run.with(|parser, cx| result = parser.data(cx, ToClient, b"more"));
    assert_eq!(result, Err(crate::app::GiveUp::Tunnel));
    // HTTP in a tunnel is HTTP.
    let mut run = Run::new(Limits::default());
    run.feed(ToServer, b"CONNECT h:80 HTTP/1.1\r\n\r\n");
    run.feed(ToClient, b"HTTP/1.1 200 Connected\r\n\r\n");
    run.feed(ToServer, b"GE");
    run.feed(ToServer, b"T /in HTTP/1.1\r\nHost: h\r\n\r\n");
    run.end();
    let all = seen(&mut run.parser);
    assert!(all.len() == 2 && all[1].contains("/in"), "{all:?}");
}
