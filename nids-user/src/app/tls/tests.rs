use proptest::prelude::*;

use super::*;
use crate::app::limits::Encrypted;
use crate::app::{Context, Counters, GiveUp, Limits, Parser};
use crate::detect::buffer::AppBuffer::{self, *};
use crate::flow::FlowDirection::{self, ToClient, ToServer};

/// Made with OpenSSL: `/C=AT/O=Example, Inc./CN=www.example.org`, three alternative names.
const CERTIFICATE: &[u8] = include_bytes!("data/certificate.der");

fn long(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().to_vec(), long(data)].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [vec![kind, 3, 1], long(body)].concat()
}

fn sni(name: &str) -> Vec<u8> {
    extension(0, &long(&[vec![0], long(name.as_bytes())].concat()))
}

fn client_hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    let body = [
        vec![3, 3],
        (0..32).collect(),
        vec![0],
        long(&[0x13, 0x01, 0xc0, 0x2b]),
        vec![1, 0],
        long(&extensions.concat()),
    ]
    .concat();
    message(1, &body)
}

fn server_hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    let body =
        [vec![3, 3], vec![9; 32], vec![0, 0xc0, 0x2b, 0], long(&extensions.concat())].concat();
    message(2, &body)
}

fn chain(certificates: &[&[u8]]) -> Vec<u8> {
    let of_24 = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[1..], bytes].concat();
    let list: Vec<u8> = certificates.iter().flat_map(|der| of_24(der)).collect();
    message(11, &of_24(&list))
}

struct Flow {
    tls: Tls,
    limits: Limits,
    counters: Counters,
    memory: usize,
}

impl Flow {
    fn new() -> Self {
        let (limits, counters) = (Limits::default(), Counters::default());
        Self { tls: Tls::default(), limits, counters, memory: 0 }
    }
    fn call<T>(&mut self, work: impl FnOnce(&mut Tls, &mut Context<'_>) -> T) -> (T, bool) {
        let mut cx = Context {
            limits: &self.limits,
            counters: &mut self.counters,
            memory: &mut self.memory,
            news: [false; 2],
            flush: [false; 2],
            encrypted: false,
            wanted: crate::app::AppProtocols::NONE,
        };
        let result = work(&mut self.tls, &mut cx);
        (result, cx.encrypted)
    }
    fn see(&mut self, direction: FlowDirection, bytes: &[u8]) -> Result<usize, GiveUp> {
        self.call(|tls, cx| tls.data(cx, direction, bytes)).0
    }
    fn buffer(&mut self, buffer: AppBuffer, direction: FlowDirection) -> Vec<String> {
        let (_, transaction) = self.tls.transactions().get(0).unwrap();
        let mut all = Vec::new();
        let mut room = Vec::new();
        while let Some(shown) = transaction.buffer(buffer, direction, all.len(), &mut room) {
            all.push(String::from_utf8_lossy(shown.bytes).into_owned());
        }
        all
    }
    fn events(&mut self) -> Vec<&'static str> {
        let (head, _) = self.tls.transactions().get(0).unwrap();
        head.events.iter().map(|number| Event::ALL[usize::from(number)].name()).collect()
    }
    fn progress(&mut self) -> [u8; 2] {
        let (_, transaction) = self.tls.transactions().get(0).unwrap();
        [transaction.progress(ToServer), transaction.progress(ToClient)]
    }
}

/// A whole handshake of TLS 1.2: what the client sends, what the server sends.
fn handshake() -> (Vec<u8>, Vec<u8>) {
    let alpn = |names: &[&[u8]]| {
        let list = names.iter().flat_map(|name| [&[name.len() as u8][..], name].concat());
        extension(16, &long(&list.collect::<Vec<_>>()))
    };
    let hello = client_hello(&[sni("www.example.org"), alpn(&[b"h2", b"http/1.1"])]);
    let client = [
        record(22, &hello),
        record(22, &message(16, b"key")),
        record(20, &[1]),
        record(22, &[7; 40]),
    ];
    let first =
        [server_hello(&[alpn(&[b"h2"])]), chain(&[CERTIFICATE, CERTIFICATE]), message(14, b"")]
            .concat();
    let server =
        [record(22, &first), record(20, &[1]), record(22, &[7; 40]), record(23, &[1; 100])];
    (client.concat(), server.concat())
}

#[test]
fn a_handshake_tells_what_it_says() {
    let (client, server) = handshake();
    let mut flow = Flow::new();
    flow.see(ToServer, &client).unwrap();
    flow.see(ToClient, &server).unwrap();
    for (buffer, direction, expected) in [
        (TlsSni, ToServer, &["www.example.org"][..]),
        (TlsAlpn, ToServer, &["h2", "http/1.1"]),
        (TlsAlpn, ToClient, &["h2"]),
        (TlsSubject, ToClient, &["C=AT, O=Example\\, Inc., CN=www.example.org"]),
        (TlsSerial, ToClient, &["0A:1B:2C"]),
        (TlsSubjectAltName, ToClient, &["www.example.org", "*.example.net", "192.0.2.1"]),
        (TlsSubject, ToServer, &[]),
        (Ja3String, ToServer, &["771,4865-49195,0-16,,"]),
        (Ja3sString, ToClient, &["771,49195,16"]),
    ] {
        let told = flow.buffer(buffer, direction);
        let plain: Vec<_> = told.iter().map(|text| text.replace('\\', "")).collect();
        let expected: Vec<_> = expected.iter().map(|text| text.replace('\\', "")).collect();
        assert_eq!(plain, expected, "{buffer:?} {direction:?}");
    }
    assert_eq!(flow.buffer(TlsCerts, ToClient).len(), 2);
    assert_eq!(flow.buffer(TlsFingerprint, ToClient)[0].len(), 59);
    assert_eq!(flow.progress(), [client::COMPLETE, server::COMPLETE]);
    assert_eq!(flow.events(), [""; 0]);
}

#[test]
fn once_it_is_encrypted_rules_have_no_use_for_it() {
    let (client, server) = handshake();
    for (handling, given_up, hidden) in [
        (Encrypted::Track, Ok(server.len()), true),
        (Encrypted::Bypass, Err(GiveUp::Encrypted), true),
        (Encrypted::Full, Ok(server.len()), false),
    ] {
        let mut flow = Flow::new();
        flow.limits.encrypted = handling;
        let (_, early) = flow.call(|tls, cx| tls.data(cx, ToServer, &client));
        let (result, encrypted) = flow.call(|tls, cx| tls.data(cx, ToClient, &server));
        assert_eq!((result, early, encrypted), (given_up, false, hidden), "{handling:?}");
    }
}

#[test]
fn the_log_is_json() {
    let (client, server) = handshake();
    let mut flow = Flow::new();
    flow.see(ToServer, &client).unwrap();
    flow.see(ToClient, &server).unwrap();
    let mut out = b"{\"a\":0".to_vec();
    flow.tls.transactions().get(0).unwrap().1.objects(0, &mut out);
    out.push(b'}');
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let tls = &json["tls"];
    assert_eq!((&tls["sni"], &tls["version"]), (&"www.example.org".into(), &"TLS 1.2".into()));
    assert_eq!(tls["issuerdn"], tls["subject"]);
    assert_eq!(tls["subjectaltname"][1], "*.example.net");
    assert_eq!(tls["ja3s"]["string"], "771,49195,16");
    assert_eq!((&tls["client_alpns"][0], &tls["server_alpn"]), (&"h2".into(), &"h2".into()));
    let year = |key: &str| tls[key].as_str().unwrap()[..4].parse::<u32>().unwrap();
    assert_eq!(year("notafter"), year("notbefore") + 10);
}

#[test]
fn what_is_wrong_is_an_event() {
    let hello = client_hello(&[sni("a")]);
    let twice = client_hello(&[sni("a"), sni("b")]);
    let short = message(1, &[3, 3, 1]);
    let heartbeat = |payload: u16| {
        let body = [&[1][..], &payload.to_be_bytes(), &[0; 20]].concat();
        [record(22, &hello), record(24, &body)].concat()
    };
    let other = |kind: u8| client_hello(&[extension(0, &long(&[vec![kind], long(b"x")].concat()))]);
    let cases: [(&str, Vec<u8>, &[&str]); 11] = [
        ("nothing", record(22, &hello), &[]),
        ("two names", record(22, &twice), &["multiple_sni_extensions"]),
        ("a hello that ends early", record(22, &short), &["handshake_invalid_length"]),
        ("no message", record(22, &message(99, b"")), &["invalid_handshake_message"]),
        ("no record", vec![99, 3, 1, 0, 1, 0], &["invalid_record_type", "invalid_ssl_record"]),
        ("no version", vec![22, 4, 1, 0, 1, 0], &["invalid_record_version", "invalid_ssl_record"]),
        ("an empty record", vec![22, 3, 1, 0, 0], &["invalid_record_length"]),
        (
            "a chain that lies",
            record(22, &message(11, &[0, 0, 9, 0, 0, 1])),
            &["invalid_certificate"],
        ),
        (
            "a certificate that is none",
            record(22, &chain(&[b"none"])),
            &["certificate_invalid_der"],
        ),
        ("a name of no type", record(22, &other(7)), &["invalid_sni_type"]),
        ("a heartbeat", heartbeat(4), &["heartbeat_message"]),
    ];
    for (what, bytes, events) in cases {
        let mut flow = Flow::new();
        let _ = flow.see(ToServer, &bytes);
        assert_eq!(flow.events(), events, "{what}");
    }
    let mut flow = Flow::new();
    flow.see(ToServer, &heartbeat(0x4000)).unwrap();
    assert_eq!(flow.events(), ["heartbeat_message", "overflow_heartbeat_message"], "Heartbleed");
}

#[test]
fn a_message_that_never_ends_is_not_kept() {
    let mut flow = Flow::new();
    let mut begin = message(11, &[0; 16]);
    begin[1] = 0xff;
    flow.see(ToServer, &record(22, &begin)).unwrap();
    for _ in 0..2000 {
        flow.see(ToServer, &record(22, &[0; 16_000])).unwrap();
    }
    assert!(flow.tls.memory() < 300 << 10, "{}", flow.tls.memory());
    assert_eq!(flow.events(), ["invalid_certificate"]);
}

#[test]
fn a_hole_is_skipped_in_what_is_encrypted_and_nowhere_else() {
    let (client, _) = handshake();
    let mut flow = Flow::new();
    flow.see(ToServer, &client).unwrap();
    let data = record(23, &[1; 1000]);
    flow.see(ToServer, &data[..100]).unwrap();
    flow.call(|tls, cx| tls.gap(cx, ToServer, 500)).0.unwrap();
    flow.see(ToServer, &data[600..]).unwrap();
    flow.see(ToServer, &data).unwrap();
    assert_eq!(flow.call(|tls, cx| tls.gap(cx, ToServer, 5)).0, Err(GiveUp::Gap));
    let mut flow = Flow::new();
    flow.see(ToServer, &client[..20]).unwrap();
    assert_eq!(flow.call(|tls, cx| tls.gap(cx, ToServer, 5)).0, Err(GiveUp::Gap));
}

#[test]
fn it_is_known_by_its_begin() {
    let judged =
        |bytes: &[u8]| (DETECTOR.judge)(&Opening { direction: ToServer, server_port: 9999, bytes });
    let hello = record(22, &client_hello(&[]));
    for end in 1..6 {
        assert_eq!(judged(&hello[..end]), Answer::Unsure, "{end}");
    }
    assert_eq!(judged(&hello), Answer::Certain);
    assert_eq!(
        judged(&[0x80, 0x2e, 1, 3, 1, 0, 0x15]),
        Answer::Certain,
        "SSL 2.0 that offers TLS 1.0"
    );
    assert_eq!(judged(b"GET / HTTP/1.1\r\n"), Answer::NotForUs);
    assert_eq!(judged(&[22, 9, 9, 0, 1, 1]), Answer::NotForUs);
}

#[test]
fn the_hello_of_ssl_2_is_read() {
    let body =
        [vec![1, 3, 1, 0, 6, 0, 0, 0, 16], vec![0, 0, 0x2f, 7, 0, 0xc0], vec![5; 16]].concat();
    let hello = [vec![0x80, body.len() as u8], body].concat();
    for cut in 1..hello.len() {
        let mut flow = Flow::new();
        flow.see(ToServer, &hello[..cut]).unwrap();
        flow.see(ToServer, &hello[cut..]).unwrap();
        let (_, transaction) = flow.tls.transactions().get(0).unwrap();
        let tls: &Transaction = transaction.as_any().downcast_ref().unwrap();
        let client = tls.client.as_ref().expect("a hello");
        assert_eq!((client.version, &client.ciphers[..]), (0x0301, &[0x2f][..]), "{cut}");
        assert_eq!(client.random, [5; 16]);
    }
}

proptest! {
    /// However both streams are cut, and records cut messages, what is told is the same.
    #[test]
    fn any_segmentation_gives_the_same(
        cuts in prop::collection::vec(1_usize..300, 1..30),
        pieces in prop::collection::vec(1_usize..200, 1..30),
    ) {
        let (client, server) = handshake();
        let messages = [server_hello(&[]), chain(&[CERTIFICATE]), message(14, b"")].concat();
        let mut whole = Flow::new();
        whole.see(ToServer, &client).unwrap();
        whole.see(ToClient, &[record(22, &messages), record(20, &[1])].concat()).unwrap();
        let mut cut_up = Vec::new();
        let mut rest = &messages[..];
        for piece in pieces.iter().cycle() {
            let (part, left) = rest.split_at((*piece).min(rest.len()));
            cut_up.extend(record(22, part));
            rest = left;
            if rest.is_empty() { break }
        }
        cut_up.extend(record(20, &[1]));
        let mut flow = Flow::new();
        for (direction, bytes) in [(ToServer, &client), (ToClient, &cut_up)] {
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                let (part, left) = rest.split_at((*cut).min(rest.len()));
                flow.see(direction, part).unwrap();
                rest = left;
                if rest.is_empty() { break }
            }
        }
        prop_assert_eq!(flow.progress(), whole.progress());
        for (buffer, direction) in
            [(TlsSni, ToServer), (Ja3Hash, ToServer), (Ja3sHash, ToClient), (TlsFingerprint, ToClient)]
        {
            prop_assert_eq!(flow.buffer(buffer, direction), whole.buffer(buffer, direction));
        }
        prop_assert!(!server.is_empty());
    }

    /// Any bytes, also behind a hello, are taken in bounds.
    #[test]
    fn any_bytes_are_bounded(bytes in prop::collection::vec(any::<u8>(), 0..2000), behind in any::<bool>()) {
        let mut flow = Flow::new();
        if behind {
            flow.see(ToServer, &record(22, &client_hello(&[]))).unwrap();
        }
        let _ = flow.see(ToServer, &bytes);
        let _ = flow.see(ToClient, &bytes);
        prop_assert!(flow.tls.memory() < 200 << 10);
    }
}
