use proptest::prelude::*;

use super::parser::{Message, Odd, RecordData};
use super::*;
use crate::app::{Context, Counters, Limits, Parser};
use crate::detect::buffer::AppBuffer;
use crate::flow::FlowDirection::{self, ToClient, ToServer};

/// A header with these flags and counts.
fn header(flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34];
    bytes.extend(flags.to_be_bytes());
    counts.iter().for_each(|count| bytes.extend(count.to_be_bytes()));
    bytes
}

fn name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn question(text: &str) -> Vec<u8> {
    [name(text), vec![0, 1, 0, 1]].concat()
}

fn record(name: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1, 0, 0, 0, 60]);
    bytes.extend((data.len() as u16).to_be_bytes());
    bytes.extend(data);
    bytes
}

fn request(text: &str) -> Vec<u8> {
    [header(0x0100, [1, 0, 0, 0]), question(text)].concat()
}

/// A response with a record of each type that is read; names point back to the question.
fn response() -> Vec<u8> {
    const BACK: [u8; 2] = [0xc0, 12];
    let soa = [name("ns.example.org"), vec![0xc0, 12], vec![0; 20]].concat();
    [
        header(0x8180, [1, 5, 1, 2]),
        question("www.example.org"),
        record(&BACK, 5, &[3, b'w', b'e', b'b', 0xc0, 16]),
        record(&BACK, 1, &[192, 0, 2, 1]),
        record(&BACK, 28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        record(&BACK, 16, b"\x03one\x03two"),
        record(&BACK, 15, &[0, 10, 4, b'm', b'a', b'i', b'l', 0xc0, 16]),
        record(&BACK, 6, &soa),
        record(&[0], 41, &[0, 10, 0, 2, 0xab, 0xcd]),
        record(&BACK, 44, &[1, 2, 0xff]),
    ]
    .concat()
}

struct Flow {
    dns: Dns,
    limits: Limits,
    counters: Counters,
    memory: usize,
}

impl Flow {
    fn new(framed: bool) -> Self {
        Self {
            dns: Dns::new(AppProtocol::Dns, framed),
            limits: Limits::default(),
            counters: Counters::default(),
            memory: 0,
        }
    }
    fn call<T>(&mut self, work: impl FnOnce(&mut Dns, &mut Context<'_>) -> T) -> T {
        let mut cx = Context {
            limits: &self.limits,
            counters: &mut self.counters,
            memory: &mut self.memory,
            news: [false; 2],
            flush: [false; 2],
            encrypted: false,
            wanted: crate::app::AppProtocols::NONE,
        };
        work(&mut self.dns, &mut cx)
    }
    fn see(&mut self, direction: FlowDirection, bytes: &[u8]) {
        assert_eq!(self.call(|dns, cx| dns.data(cx, direction, bytes)), Ok(bytes.len()));
    }
    /// Each transaction: its buffers of this kind, and its events.
    fn told(&mut self, buffer: AppBuffer) -> Vec<(Vec<String>, Vec<&'static str>)> {
        let list = self.dns.transactions();
        let all = (0..list.len()).map(|at| {
            let (head, transaction) = list.get(at).unwrap();
            let dns = transaction.as_any().downcast_ref::<Transaction>().unwrap();
            let mut room = Vec::new();
            let mut names = Vec::new();
            while let Some(shown) =
                transaction.buffer(buffer, dns.direction, names.len(), &mut room)
            {
                names.push(String::from_utf8_lossy(shown.bytes).into_owned());
            }
            let events = head.events.iter().map(|number| Event::ALL[usize::from(number)].name());
            (names, events.collect())
        });
        all.collect()
    }
}

#[test]
fn a_response_tells_all_its_names() {
    let mut flow = Flow::new(false);
    flow.see(ToClient, &response());
    let expected: Vec<String> = [
        "www.example.org",
        "www.example.org",
        "web.example.org",
        "www.example.org",
        "www.example.org",
        "www.example.org",
        "www.example.org",
        "www.example.org",
        "mail.example.org",
        "www.example.org",
        "ns.example.org",
        "",
        "www.example.org",
    ]
    .map(str::to_owned)
    .into();
    assert_eq!(flow.told(AppBuffer::DnsResponse), [(expected, vec![])]);
    let [(answers, _)] = flow.told(AppBuffer::DnsAnswers).try_into().unwrap();
    assert_eq!(answers.len(), 6, "TXT with two strings is two");
    let [(authorities, _)] = flow.told(AppBuffer::DnsAuthorities).try_into().unwrap();
    assert_eq!(authorities, ["www.example.org"]);
    let [(queries, _)] = flow.told(AppBuffer::DnsQueries).try_into().unwrap();
    assert_eq!(queries, ["www.example.org"]);
}

#[test]
fn the_log_is_json_with_the_keys_of_version_3() {
    let mut flow = Flow::new(false);
    flow.see(ToClient, &response());
    let mut out = b"{\"event_type\":\"dns\"".to_vec();
    let (_, transaction) = flow.dns.transactions().get(0).unwrap();
    transaction.objects(0, &mut out);
    out.push(b'}');
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let dns = &json["dns"];
    assert_eq!((&dns["version"], &dns["type"]), (&3.into(), &"response".into()));
    assert_eq!(
        (&dns["id"], &dns["flags"], &dns["ra"]),
        (&0x1234.into(), &"8180".into(), &true.into())
    );
    assert_eq!(dns["queries"][0]["rrname"], "www.example.org");
    assert_eq!(dns["answers"][0]["rdata"], "web.example.org");
    assert_eq!(dns["grouped"]["A"][0], "192.0.2.1");
    assert_eq!(dns["grouped"]["TXT"], serde_json::json!(["one", "two"]));
    assert_eq!(dns["authorities"][0]["soa"]["mname"], "ns.example.org");
    assert_eq!(dns["additionals"][0]["opt"][0]["data"], "abcd");
    assert_eq!(dns["additionals"][1]["sshfp"]["fingerprint"], "ff");
}

/// What it is, the way it goes, the message, its names, the events.
type Case =
    (&'static str, FlowDirection, Vec<u8>, &'static [&'static str], &'static [&'static str]);

#[test]
fn what_is_wrong_is_an_event_and_what_came_before_it_stays() {
    let labels = |count: usize| "a.".repeat(count);
    let long = [vec![63; 1], vec![b'x'; 63]].concat().repeat(17);
    let cases: [Case; 11] = [
        ("a name", ToServer, request("a.b"), &["a.b"], &[]),
        ("bytes that are no text", ToServer, request("\u{1}x"), &["\u{1}x"], &[]),
        (
            "a response",
            ToServer,
            [header(0x8000, [1, 0, 0, 0]), question("a")].concat(),
            &["a"],
            &["not_a_request"],
        ),
        ("a request", ToClient, request("a"), &["a"], &["not_a_response"]),
        (
            "Z",
            ToServer,
            [header(0x0040, [1, 0, 0, 0]), question("a")].concat(),
            &["a"],
            &["z_flag_set"],
        ),
        (
            "opcode 7",
            ToServer,
            [header(7 << 11, [1, 0, 0, 0]), question("a")].concat(),
            &["a"],
            &["invalid_opcode"],
        ),
        (
            "cut off",
            ToServer,
            [header(0, [2, 0, 0, 0]), question("a"), vec![5, b'b']].concat(),
            &["a"],
            &["malformed_data"],
        ),
        ("no header", ToServer, vec![1, 2, 3], &[], &["malformed_data"]),
        (
            "points at itself",
            ToServer,
            [header(0, [2, 0, 0, 0]), question("a"), vec![0xc0, 19, 0, 1, 0, 1]].concat(),
            &["a"],
            &["malformed_data", "infinite_loop"],
        ),
        (
            "an additional record that lies",
            ToServer,
            [header(0, [1, 0, 0, 1]), question("a"), vec![0, 0, 41, 0, 0, 0, 0, 0, 0, 0, 9]]
                .concat(),
            &["a"],
            &["invalid_additionals"],
        ),
        (
            "too many labels",
            ToServer,
            [header(0, [1, 0, 0, 0]), question(&labels(300))].concat(),
            &[],
            &["malformed_data", "too_many_labels"],
        ),
    ];
    for (what, direction, bytes, names, events) in cases {
        let mut flow = Flow::new(false);
        flow.see(direction, &bytes);
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(flow.told(AppBuffer::DnsQueries), [(names, events.to_vec())], "{what}");
    }
    let mut flow = Flow::new(false);
    flow.see(ToServer, &[header(0, [1, 0, 0, 0]), long, vec![0, 0, 1, 0, 1]].concat());
    let [(names, events)] = flow.told(AppBuffer::DnsQuery).try_into().unwrap();
    assert_eq!((names[0].len(), events), (1025, vec!["name_too_long"]));
}

#[test]
fn pointers_cannot_make_much_of_little() {
    // A loop of two pointers, and names that all point at one that is long.
    let two = [header(0, [1, 0, 0, 0]), vec![1, b'a', 0xc0, 12, 0, 1, 0, 1]].concat();
    let message = Message::read(&two).unwrap();
    assert_eq!(message.questions[0].name.len(), 2 * 128 - 1);
    assert!(message.odd.has(Odd::LABELS));

    let mut many = header(0x8000, [1, 5000, 0, 0]);
    many.extend([vec![63; 1], vec![b'x'; 63]].concat().repeat(15));
    many.extend([0, 0, 1, 0, 1]);
    for _ in 0..5000 {
        many.extend(record(&[0xc0, 12], 1, &[1, 2, 3, 4]));
    }
    let message = Message::read(&many).unwrap();
    assert_eq!(message.answers.len(), 5000, "the records are all there");
    assert!(message.odd.has(Odd::NAME_TOO_LONG));
    assert!(message.memory() < 2 * MAX_NAMES + 5000 * 200, "{}", message.memory());
}

#[test]
fn a_hole_costs_the_message_it_is_in() {
    let framed = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let (first, second) = (framed(&request("first.example")), framed(&request("second.example")));
    let mut flow = Flow::new(true);
    flow.see(ToServer, &first[..8]);
    let missing = first.len() as u64 - 10;
    flow.call(|dns, cx| dns.gap(cx, ToServer, missing)).unwrap();
    flow.see(ToServer, &[&first[first.len() - 2..], &second].concat());
    let told = flow.told(AppBuffer::DnsQuery);
    assert_eq!(told, [(vec!["second.example".to_owned()], vec![])]);
    assert!(flow.call(|dns, cx| dns.gap(cx, ToServer, 5)).is_err(), "nothing shows where to go on");
}

#[test]
fn it_is_known_by_its_begin_on_any_port() {
    let judged = |detector: &Detector, port, bytes: &[u8]| {
        (detector.judge)(&Opening { direction: ToServer, server_port: port, bytes })
    };
    let ask = request("www.example.org");
    assert_eq!(judged(&DATAGRAMS, 40_000, &ask), Answer::Certain);
    assert_eq!(judged(&DATAGRAMS, 40_000, &ask[..14]), Answer::NotForUs);
    assert_eq!(judged(&DATAGRAMS, 53, &ask[..14]), Answer::Certain, "to be told of what is wrong");
    assert_eq!(judged(&DATAGRAMS, 5353, &ask), Answer::NotForUs);
    assert_eq!(judged(&MULTICAST, 5353, &ask), Answer::Certain);
    assert_eq!(judged(&MULTICAST, 53, &ask), Answer::NotForUs);
    let stream = [&(ask.len() as u16).to_be_bytes()[..], &ask].concat();
    for end in 0..stream.len() {
        assert_eq!(judged(&STREAMS, 853, &stream[..end]), Answer::Unsure, "{end}");
    }
    assert_eq!(judged(&STREAMS, 853, &stream), Answer::Certain);
    assert_eq!(judged(&STREAMS, 53, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Answer::NotForUs);
    assert_eq!(judged(&STREAMS, 53, &[0, 5, 1]), Answer::NotForUs);
}

proptest! {
    /// However a stream is cut, its messages are the same.
    #[test]
    fn any_segmentation_gives_the_same(
        names in prop::collection::vec("[a-z]{1,8}(\\.[a-z]{1,8}){0,3}", 1..5),
        cuts in prop::collection::vec(1_usize..40, 1..40),
    ) {
        let messages = names.iter().map(|name| request(name));
        let stream: Vec<u8> = messages
            .flat_map(|message| [(message.len() as u16).to_be_bytes().to_vec(), message].concat())
            .collect();
        let mut flow = Flow::new(true);
        let mut rest = &stream[..];
        for cut in cuts.iter().cycle() {
            let (taken, left) = rest.split_at((*cut).min(rest.len()));
            flow.see(ToServer, taken);
            rest = left;
            if rest.is_empty() {
                break;
            }
        }
        let told: Vec<_> =
            flow.told(AppBuffer::DnsQuery).into_iter().flat_map(|(names, _)| names).collect();
        prop_assert_eq!(told, names);
    }

    /// Any bytes are read in bounds.
    #[test]
    fn any_bytes_are_bounded(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Some(message) = Message::read(&bytes) {
            prop_assert!(message.memory() < MAX_NAMES * 2 + 600 * 200);
            for record in &message.answers {
                if let RecordData::Name(name) = &record.data {
                    prop_assert!(name.len() <= parser::MAX_NAME);
                }
            }
        }
        let mut flow = Flow::new(true);
        flow.see(ToServer, &bytes);
    }
}
