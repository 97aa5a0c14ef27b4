//! The one transaction of a connection.

use std::any::Any;

use super::certificate::Certificate;
use super::event::Event;
use super::fingerprint;
use super::hello::{Hello, Reader};
use super::record::{Item, Records, kind};
use super::{client, server};
use crate::app::limits::Encrypted;
use crate::app::{Context, GiveUp, Head, Parser, Shown, TransactionList, Transactions};
use crate::detect::buffer::AppBuffer;
use crate::flow::FlowDirection;
use crate::output::EveType;

/// Certificates of one side that are kept.
const MAX_CERTIFICATES: usize = 32;

/// Types of handshake messages (RFC 8446, B.3; RFC 5246, 7.4).
mod handshake {
    pub const CLIENT_HELLO: u8 = 1;
    pub const SERVER_HELLO: u8 = 2;
    pub const CERTIFICATE: u8 = 11;
    pub const SERVER_KEY: u8 = 12;
    pub const SERVER_DONE: u8 = 14;
    pub const CLIENT_KEY: u8 = 16;
}

/// Which messages were seen: `ssl_state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Messages(pub u8);

impl Messages {
    /// The client's hello.
    pub const CLIENT_HELLO: Self = Self(1);
    /// The server's.
    pub const SERVER_HELLO: Self = Self(1 << 1);
    /// The client's key exchange.
    pub const CLIENT_KEY: Self = Self(1 << 2);
    /// The server's.
    pub const SERVER_KEY: Self = Self(1 << 3);
    /// Something that is no known message.
    pub const UNKNOWN: Self = Self(1 << 4);

    /// Adds one.
    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// The TLS of one connection.
#[derive(Debug, Default)]
pub struct Tls {
    records: [Records; 2],
    transactions: Transactions<Transaction>,
    memory: usize,
    /// Length of the last heartbeat of the client, to compare with its answer.
    heartbeat: Option<usize>,
}

/// What both sides have said.
#[derive(Debug, Default)]
pub struct Transaction {
    /// The client's hello.
    pub client: Option<Hello>,
    /// The server's hello.
    pub server: Option<Hello>,
    /// The chain of the client, of the server; its own first.
    pub certificates: [Vec<Certificate>; 2],
    /// Version of each side: of its hello, else of its records.
    pub versions: [u16; 2],
    /// Messages that were seen.
    pub messages: Messages,
    /// JA3: text and digest.
    pub ja3: Option<(String, String)>,
    /// JA3S.
    pub ja3s: Option<(String, String)>,
    /// JA4.
    pub ja4: Option<String>,
    /// A session was resumed.
    pub resumed: bool,
    progress: [u8; 2],
}

impl Tls {
    /// The connection's transaction, which the first byte begins.
    fn transaction(&mut self, cx: &mut Context<'_>) -> Option<(&mut Head, &mut Transaction)> {
        if self.transactions.next_id() == 0 {
            self.transactions.begin(Transaction::default());
            cx.counters.transactions += 1;
        }
        self.transactions.of(0)
    }
}

impl Transaction {
    /// That of a direction.
    pub fn certificates(&self, direction: FlowDirection) -> &[Certificate] {
        let [client, server] = &self.certificates;
        match direction {
            FlowDirection::ToServer => client,
            FlowDirection::ToClient => server,
        }
    }

    /// The version that a side uses.
    pub fn version(&self, direction: FlowDirection) -> u16 {
        let [client, server] = self.versions;
        match direction {
            FlowDirection::ToServer => client,
            FlowDirection::ToClient => server,
        }
    }

    /// The hello of a side.
    pub fn hello(&self, direction: FlowDirection) -> Option<&Hello> {
        match direction {
            FlowDirection::ToServer => self.client.as_ref(),
            FlowDirection::ToClient => self.server.as_ref(),
        }
    }

    fn advance(&mut self, direction: FlowDirection, progress: u8) {
        let now = of(&mut self.progress, direction);
        *now = progress.max(*now);
    }

    fn item(
        &mut self,
        direction: FlowDirection,
        item: Item<'_>,
        encrypted: &mut bool,
        odd: &mut Vec<Event>,
    ) {
        match item {
            Item::Record(kind, version) => {
                if self.hello(direction).is_none() {
                    *of(&mut self.versions, direction) = version;
                }
                if matches!(kind, kind::CHANGE_CIPHER | kind::DATA) {
                    *encrypted = true;
                    self.encrypts(direction);
                }
            }
            Item::Handshake(kind, body) => self.message(direction, kind, body, odd),
            Item::TooLong(kind) => {
                if kind == handshake::CERTIFICATE {
                    odd.push(Event::InvalidCertificate);
                    self.advance(direction, client::CERTIFICATE);
                } else {
                    odd.push(Event::InvalidHandshakeMessage);
                }
            }
            Item::HelloV2(body) => {
                // Behind the type, which the record layer took for a part of its header.
                match Hello::read_v2(body) {
                    Some(hello) => {
                        *of(&mut self.versions, direction) = hello.version;
                        self.client = Some(hello);
                        self.messages.add(Messages::CLIENT_HELLO);
                        self.advance(direction, client::HELLO);
                    }
                    None => odd.push(Event::InvalidSslv2Header),
                }
            }
            Item::Odd(event) => odd.push(event),
            Item::Heartbeat(..) => {}
        }
    }

    /// A side begins to encrypt. In TLS 1.3 the certificate of the server is encrypted already.
    fn encrypts(&mut self, direction: FlowDirection) {
        self.advance(direction, client::COMPLETE);
        if direction == FlowDirection::ToClient && self.certificates(direction).is_empty() {
            let same = |hello: &Hello, other: &Hello| {
                !hello.session_id.is_empty() && hello.session_id == other.session_id
            };
            self.resumed = match (&self.client, &self.server) {
                (Some(client), Some(server)) => {
                    server.version < 0x0304 && (same(client, server) || client.ticket)
                }
                _ => false,
            };
        }
    }

    fn message(&mut self, direction: FlowDirection, kind: u8, body: &[u8], odd: &mut Vec<Event>) {
        match (kind, direction) {
            (handshake::CLIENT_HELLO, FlowDirection::ToServer) if self.client.is_none() => {
                let hello = Hello::read(body, true, odd);
                let text = fingerprint::ja3(&hello);
                let digest = fingerprint::md5(&text);
                self.ja3 = Some((text, digest));
                self.ja4 = Some(fingerprint::ja4(&hello, 't'));
                *of(&mut self.versions, direction) = hello.version;
                self.client = Some(hello);
                self.messages.add(Messages::CLIENT_HELLO);
                self.advance(direction, client::HELLO);
            }
            (handshake::SERVER_HELLO, FlowDirection::ToClient) if self.server.is_none() => {
                let hello = Hello::read(body, false, odd);
                let text = fingerprint::ja3s(&hello);
                let digest = fingerprint::md5(&text);
                self.ja3s = Some((text, digest));
                *of(&mut self.versions, direction) = hello.version;
                self.server = Some(hello);
                self.messages.add(Messages::SERVER_HELLO);
                self.advance(direction, server::HELLO);
            }
            (handshake::CERTIFICATE, _) => {
                let chain = of(&mut self.certificates, direction);
                if chain.is_empty() && !read_chain(body, chain) {
                    odd.push(Event::InvalidCertificate);
                }
                if chain.first().is_some_and(|certificate| !certificate.readable) {
                    odd.push(Event::CertificateInvalidDer);
                }
                self.advance(direction, client::CERTIFICATE);
            }
            (handshake::SERVER_KEY, _) => self.messages.add(Messages::SERVER_KEY),
            (handshake::SERVER_DONE, FlowDirection::ToClient) => {
                self.advance(direction, server::CERTIFICATE);
            }
            (handshake::CLIENT_KEY, _) => {
                self.messages.add(Messages::CLIENT_KEY);
                self.advance(direction, client::CERTIFICATE);
            }
            // The others of RFC 5246, RFC 8446 and the extensions of either.
            (0..=26 | 67 | 254, _) => {}
            _ => {
                self.messages.add(Messages::UNKNOWN);
                odd.push(Event::InvalidHandshakeMessage);
            }
        }
    }

    fn memory(&self) -> usize {
        let hellos = [&self.client, &self.server].into_iter().flatten().map(|hello| {
            2 * (hello.ciphers.len()
                + hello.extensions.len()
                + hello.groups.len()
                + hello.versions.len())
                + hello.alpn.iter().map(|name| 24 + name.len()).sum::<usize>()
                + hello.server_name.as_ref().map_or(0, Vec::len)
        });
        let certificates = self.certificates.iter().flatten().map(Certificate::memory);
        let texts = [&self.ja3, &self.ja3s].into_iter().flatten().map(|(text, _)| text.len() + 32);
        size_of::<Self>() + hellos.chain(certificates).chain(texts).sum::<usize>()
    }
}

/// The chain (RFC 5246, 7.4.2). False where it cannot be read to its end.
fn read_chain(body: &[u8], chain: &mut Vec<Certificate>) -> bool {
    let mut reader = Reader(body);
    let Some(list) = reader.u24().and_then(|length| reader.take(length)) else { return false };
    let mut list = Reader(list);
    while !list.0.is_empty() && chain.len() < MAX_CERTIFICATES {
        let Some(der) = list.u24().and_then(|length| list.take(length)) else { return false };
        if der.is_empty() {
            return false;
        }
        chain.push(Certificate::read(der));
    }
    true
}

impl Parser for Tls {
    fn data(
        &mut self,
        cx: &mut Context<'_>,
        direction: FlowDirection,
        bytes: &[u8],
    ) -> Result<usize, GiveUp> {
        if self.transactions.next_id() == 0 {
            self.transaction(cx);
        }
        let Self { records, transactions, memory, heartbeat } = self;
        let records = of(records, direction);
        let mut odd = Vec::new();
        let mut unknown = Transaction::default();
        // Once the transaction was let go, records are only followed.
        let (mut head, transaction) = match transactions.of(0) {
            Some((head, transaction)) => (Some(head), transaction),
            None => (None, &mut unknown),
        };
        let before = transaction.progress;
        let result = records.take(bytes, &mut |encrypted, item| {
            if let Item::Heartbeat(begin, length) = item {
                heartbeats(direction, (begin, length, *encrypted), heartbeat, &mut odd);
            } else {
                transaction.item(direction, item, encrypted, &mut odd);
            }
        });
        if result.is_err() {
            odd.push(Event::InvalidSslRecord);
        }
        if let Some(head) = &mut head {
            odd.iter().for_each(|event| head.events.raise(*event as u8));
        }
        let news = transaction.progress != before || !odd.is_empty();
        *memory = transaction.memory();
        let over = transaction.progress == [client::COMPLETE, server::COMPLETE];
        if news {
            cx.ended(direction);
        }
        match result {
            Err(_) => Err(GiveUp::Malformed),
            Ok(()) if over => {
                cx.encrypted = cx.limits.encrypted != Encrypted::Full;
                match cx.limits.encrypted {
                    Encrypted::Bypass => Err(GiveUp::Encrypted),
                    Encrypted::Track | Encrypted::Full => Ok(bytes.len()),
                }
            }
            Ok(()) => Ok(bytes.len()),
        }
    }

    fn gap(
        &mut self,
        _: &mut Context<'_>,
        direction: FlowDirection,
        length: u64,
    ) -> Result<(), GiveUp> {
        match of(&mut self.records, direction).gap(length) {
            true => Ok(()),
            false => Err(GiveUp::Gap),
        }
    }

    fn end(&mut self, cx: &mut Context<'_>, direction: FlowDirection) {
        if let Some((_, transaction)) = self.transactions.of(0) {
            transaction.advance(direction, client::COMPLETE);
            cx.ended(direction);
        }
    }

    fn transactions(&mut self) -> &mut dyn TransactionList {
        &mut self.transactions
    }

    fn memory(&self) -> usize {
        let records: usize = self.records.iter().map(Records::memory).sum();
        size_of::<Self>() + records + self.memory
    }
}

/// Heartbeats (RFC 6520): the request of Heartbleed says that it is longer than its record.
fn heartbeats(
    direction: FlowDirection,
    (begin, length, encrypted): (&[u8], usize, bool),
    last: &mut Option<usize>,
    odd: &mut Vec<Event>,
) {
    odd.push(Event::HeartbeatMessage);
    if encrypted {
        // What is asked shows in the lengths only.
        match (direction, *last) {
            (FlowDirection::ToServer, _) => *last = Some(length),
            (FlowDirection::ToClient, Some(asked)) if asked != length => {
                odd.push(Event::DataleakHeartbeatMismatch);
                *last = None;
            }
            _ => *last = None,
        }
        return;
    }
    let mut reader = Reader(begin);
    let (Some(kind), Some(payload)) = (reader.u8(), reader.u16()) else {
        return odd.push(Event::InvalidHeartbeatMessage);
    };
    if !matches!(kind, 1 | 2) {
        odd.push(Event::InvalidHeartbeatMessage);
    } else if usize::from(payload) + 3 + 16 > length {
        // Type and length, what is sent, and at least 16 bytes of padding.
        odd.push(Event::OverflowHeartbeatMessage);
    }
}

impl crate::app::Transaction for Transaction {
    fn progress(&self, direction: FlowDirection) -> u8 {
        let [client, server] = self.progress;
        match direction {
            FlowDirection::ToServer => client,
            FlowDirection::ToClient => server,
        }
    }
    fn complete(&self, _: FlowDirection) -> u8 {
        client::COMPLETE
    }
    fn buffer<'a>(
        &'a self,
        buffer: AppBuffer,
        direction: FlowDirection,
        index: usize,
        _: &'a mut Vec<u8>,
    ) -> Option<Shown<'a>> {
        use AppBuffer as B;
        let chain = self.certificates(direction);
        let text = |text: &'a Option<(String, String)>, digest: bool| {
            text.as_ref().map(|(text, hash)| if digest { hash.as_bytes() } else { text.as_bytes() })
        };
        let own = |part: fn(&Certificate) -> &String| {
            chain
                .first()
                .map(|certificate| part(certificate).as_bytes())
                .filter(|it| !it.is_empty())
        };
        let hello = self.hello(direction);
        let bytes = match buffer {
            B::TlsCerts => return chain.get(index).map(|it| it.der.as_slice().into()),
            B::TlsAlpn => return hello?.alpn.get(index).map(|it| it.as_slice().into()),
            B::TlsSubjectAltName => {
                return chain.first()?.names.get(index).map(|name| name.as_bytes().into());
            }
            _ if index > 0 => None,
            B::TlsSni => self.client.as_ref()?.server_name.as_deref(),
            B::TlsSubject => own(|it| &it.subject),
            B::TlsIssuer => own(|it| &it.issuer),
            B::TlsSerial => own(|it| &it.serial),
            B::TlsFingerprint => own(|it| &it.fingerprint),
            B::TlsRandom => hello.map(|hello| hello.random.as_slice()),
            B::TlsRandomTime => hello.and_then(|hello| hello.random.get(..4)),
            B::TlsRandomBytes => hello.and_then(|hello| hello.random.get(4..)),
            B::Ja3Hash => text(&self.ja3, true),
            B::Ja3String => text(&self.ja3, false),
            B::Ja3sHash => text(&self.ja3s, true),
            B::Ja3sString => text(&self.ja3s, false),
            B::Ja4Hash => self.ja4.as_deref().map(str::as_bytes),
            _ => None,
        };
        bytes.map(Shown::from)
    }
    fn objects(&self, _: u64, out: &mut Vec<u8>) {
        super::log::write(self, out);
    }
    fn records(&self, _: u64, emit: &mut dyn FnMut(EveType, FlowDirection, &[u8])) {
        let mut out = Vec::new();
        super::log::write(self, &mut out);
        emit(EveType::Tls, FlowDirection::ToServer, &out);
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
