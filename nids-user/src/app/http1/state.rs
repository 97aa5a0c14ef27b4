//! The HTTP/1 of one connection: lines and bodies of both directions, and which response belongs to which
//! request.
//!
//! Where a strict parser stops, this goes on: with the next line, with the rest as body, or with the next line that
//! begins a message.

use std::borrow::Cow;

use super::body::Bounds;
use super::coding::{Codings, Undone};
use super::event::Event;
use super::framing::{ChunkLine, Framing, Oddities, chunk_line, framing};
use super::header::{self, MAX_LINE, Oddity};
use super::line::{RequestLine, StatusLine, begins_response, chomp, is_space, version};
use super::transaction::Transaction;
use super::uri::Uri;
use super::{judge, request, response};
use crate::app::detect::Answer;
use crate::app::{Context, GiveUp, Head, Parser, TransactionList, Transactions};
use crate::flow::FlowDirection;
use FlowDirection::{ToClient, ToServer};

/// What a direction waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    /// The first line of a message.
    #[default]
    Line,
    /// Behind a line that begins no response: one that does, or the line is body already.
    Junk,
    /// Behind a request line without protocol: HTTP/0.9 has no headers, but they may come all the same.
    Simple,
    /// A header, or the empty line behind them.
    Headers,
    /// Bytes of a body; `None`: until the connection ends.
    Body(Option<u64>),
    /// The line before a chunk.
    ChunkLine,
    /// Bytes of a chunk.
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    /// What follows the last chunk, up to an empty line.
    Trailers,
    /// Behind `CONNECT`: HTTP, or something else.
    AfterConnect,
    /// Behind a hole: the first line of a message, wherever it is.
    Lost,
    /// Nothing: what comes is not HTTP.
    Nothing,
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    step: Step,
    /// A line of which the end is not there yet.
    line: Vec<u8>,
    /// It is longer than what is kept.
    is_too_long: bool,
    /// Headers ended with a line that was not empty: a line feed that follows belongs to it.
    swallow: bool,
    /// The message at hand: the id of its transaction.
    transaction: Option<u64>,
}

impl Half {
    /// The next line with its end, where that is there. Of one that is too long, the begin.
    fn take_line<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let end = memchr::memchr(b'\n', bytes).map(|at| at + 1);
        self.take_up_to(end, bytes)
    }

    /// As [`Half::take_line`], where a carriage return alone ends a line too, as it does to some readers of
    /// responses.
    fn take_loose_line<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<Cow<'a, [u8]>> {
        if self.line.last() == Some(&b'\r') && !bytes.is_empty() && bytes.first() != Some(&b'\n') {
            return Some(Cow::Owned(std::mem::take(&mut self.line)));
        }
        let end = memchr::memchr2(b'\n', b'\r', bytes).and_then(|at| {
            match (bytes.get(at), bytes.get(at + 1)) {
                (Some(b'\r'), Some(b'\n')) => Some(at + 2),
                // What follows decides.
                (Some(b'\r'), None) => None,
                _ => Some(at + 1),
            }
        });
        self.take_up_to(end, bytes)
    }

    fn take_up_to<'a>(
        &mut self,
        end: Option<usize>,
        bytes: &mut &'a [u8],
    ) -> Option<Cow<'a, [u8]>> {
        let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        *bytes = rest;
        if end.is_some() && self.line.is_empty() && part.len() <= MAX_LINE {
            return Some(Cow::Borrowed(part));
        }
        let room = MAX_LINE.saturating_sub(self.line.len());
        self.is_too_long |= part.len() > room;
        self.line.extend_from_slice(part.get(..room).unwrap_or(part));
        end.map(|_| Cow::Owned(std::mem::take(&mut self.line)))
    }
}

/// The HTTP/1 of one connection.
#[derive(Debug, Default)]
pub struct Http1 {
    transactions: Transactions<Transaction>,
    client: Half,
    server: Half,
    /// The id of the transaction that the next response belongs to.
    answered: u64,
    /// A transaction was begun beyond those that may be: what is let go for it was not seen.
    memory: usize,
}

impl Http1 {
    fn half(&mut self, direction: FlowDirection) -> &mut Half {
        match direction {
            ToServer => &mut self.client,
            ToClient => &mut self.server,
        }
    }

    /// The transaction at hand in this direction.
    fn at_hand(&mut self, direction: FlowDirection) -> Option<(&mut Head, &mut Transaction)> {
        let id = self.half(direction).transaction?;
        self.transactions.of(id)
    }

    fn raise(&mut self, direction: FlowDirection, event: Event) {
        if let Some((head, _)) = self.at_hand(direction) {
            head.events.raise(event as u8);
        }
    }

    /// Whether another transaction may begin: the oldest one gives way once rules have seen its request.
    fn make_room(&mut self, cx: &mut Context<'_>) -> bool {
        if self.transactions.count() < cx.limits.transactions {
            return true;
        }
        let oldest = self.transactions.iter().next();
        if oldest.is_some_and(|(head, _)| !head.inspected.iter().any(|one| one.done)) {
            return false;
        }
        cx.counters.transactions_let_go += 1;
        self.transactions.let_go();
        true
    }

    fn begin(&mut self, cx: &mut Context<'_>, transaction: Transaction) -> u64 {
        cx.counters.transactions += 1;
        let is_full = self.transactions.count() + 1 >= cx.limits.transactions;
        let id = self.transactions.begin(transaction);
        if is_full && let Some((head, _)) = self.transactions.of(id) {
            head.events.raise(Event::TooManyTransactions as u8);
        }
        id
    }

    fn feed(
        &mut self,
        cx: &mut Context<'_>,
        direction: FlowDirection,
        bytes: &[u8],
    ) -> Result<usize, GiveUp> {
        let mut rest = bytes;
        if std::mem::take(&mut self.half(direction).swallow) {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while !rest.is_empty() {
            match self.half(direction).step {
                Step::Line | Step::Lost => {
                    if !self.make_room(cx) {
                        return Ok(bytes.len() - rest.len());
                    }
                    self.line_step(cx, direction, &mut rest);
                }
                Step::Junk => match rest {
                    [b'H' | b'h', ..] => {
                        self.server.line.clear();
                        self.server.step = Step::Line;
                    }
                    _ => self.headless(cx),
                },
                Step::Simple => {
                    let Some(line) = self.half(direction).take_line(&mut rest) else { break };
                    self.simple(cx, &line);
                }
                Step::Headers => {
                    let half = self.half(direction);
                    let line = match direction {
                        ToServer => half.take_line(&mut rest),
                        ToClient => half.take_loose_line(&mut rest),
                    };
                    let Some(line) = line else { break };
                    self.header_line(cx, direction, &line);
                    if matches!(line.as_ref(), b" \n" | b"\t\n") {
                        match rest {
                            [] => self.half(direction).swallow = true,
                            _ => rest = rest.strip_prefix(b"\n").unwrap_or(rest),
                        }
                    }
                }
                Step::Body(left) => {
                    let take = left.map_or(rest.len(), |left| {
                        usize::try_from(left).unwrap_or(usize::MAX).min(rest.len())
                    });
                    let (part, behind) = rest.split_at(take);
                    rest = behind;
                    self.body(cx, direction, part);
                    if let Some(left) = left {
                        self.advance(cx, direction, left - take as u64, Step::Body);
                    }
                }
                Step::ChunkLine => {
                    let half = self.half(direction);
                    let mut begin = half.line.iter().chain(rest).filter(|byte| !is_space(**byte));
                    if begin.next().is_some_and(|byte| !byte.is_ascii_hexdigit()) {
                        // No length, so there is no line to be waited for.
                        let line = std::mem::take(&mut half.line);
                        self.no_chunk(cx, direction, &line);
                        continue;
                    }
                    let Some(line) = half.take_line(&mut rest) else { break };
                    self.chunk_line(cx, direction, &line);
                }
                Step::Chunk(left) => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let (part, behind) = rest.split_at(take);
                    rest = behind;
                    self.body(cx, direction, part);
                    let left = left - take as u64;
                    self.half(direction).step =
                        if left == 0 { Step::ChunkEnd } else { Step::Chunk(left) };
                }
                Step::ChunkEnd => {
                    let Some(line) = self.half(direction).take_line(&mut rest) else { break };
                    self.count_line(direction, &line);
                    self.half(direction).step = Step::ChunkLine;
                }
                Step::Trailers => {
                    let Some(line) = self.half(direction).take_line(&mut rest) else { break };
                    if header::is_empty(&line) {
                        self.complete(cx, direction);
                    }
                }
                Step::AfterConnect => {
                    let half = self.half(direction);
                    let begin = [half.line.as_slice(), rest].concat();
                    match judge(direction, begin.get(..64).unwrap_or(&begin)) {
                        Answer::Certain => half.step = Step::Line,
                        Answer::Unsure => {
                            half.line = begin;
                            break;
                        }
                        Answer::NotForUs => {
                            half.step = Step::Nothing;
                            half.line = Vec::new();
                        }
                    }
                }
                Step::Nothing => {
                    return match (self.client.step, self.server.step) {
                        (Step::Nothing, Step::Nothing) => Err(GiveUp::Tunnel),
                        _ => Ok(bytes.len()),
                    };
                }
            }
        }
        Ok(bytes.len())
    }

    /// The first line of a message.
    fn line_step(&mut self, cx: &mut Context<'_>, direction: FlowDirection, rest: &mut &[u8]) {
        let is_lost = self.half(direction).step == Step::Lost;
        let half = self.half(direction);
        let line = match direction {
            ToServer => half.take_line(rest),
            ToClient => half.take_loose_line(rest),
        };
        let Some(line) = line else { return };
        if line.iter().all(|byte| is_space(*byte)) {
            return;
        }
        if is_lost && judge(direction, &line) != Answer::Certain {
            return;
        }
        if direction == ToClient && !begins_response(&line) {
            // A line before the first one, or a body without head: what follows decides.
            self.server.line = line.into_owned();
            self.server.step = Step::Junk;
            return;
        }
        match direction {
            ToServer => self.request_line(cx, &line),
            ToClient => self.status_line(cx, &line),
        }
        if std::mem::take(&mut self.half(direction).is_too_long) {
            self.too_long(direction);
        }
    }

    fn too_long(&mut self, direction: FlowDirection) {
        let event = match direction {
            ToServer => Event::RequestFieldTooLong,
            ToClient => Event::ResponseFieldTooLong,
        };
        self.raise(direction, event);
    }

    fn request_line(&mut self, cx: &mut Context<'_>, line: &[u8]) {
        let mut transaction = Transaction::default();
        transaction.request.head.set_line(line);
        let text = chomp(line);
        let read = RequestLine::read(text);
        let part = |range: &std::ops::Range<usize>| text.get(range.clone()).unwrap_or_default();
        let (method, uri, protocol) = (part(&read.method), part(&read.uri), part(&read.protocol));
        let settings = &cx.limits.http;
        let (path, query) = (settings.double_decode_path, settings.double_decode_query);
        Uri::split(uri, method == b"CONNECT").normalise(path, query, &mut transaction.uri);
        let next = if protocol.is_empty() { Step::Simple } else { Step::Headers };
        let events = [
            (read.leading_space, Event::LeadingWhitespace),
            (read.method_delimiter, Event::MethodDelimiter),
            (read.uri_delimiter, Event::UriDelimiter),
            (uri.is_empty(), Event::RequestLineIncomplete),
            (!protocol.is_empty() && version(protocol).is_none(), Event::RequestLineInvalid),
        ];
        transaction.request_line = read;
        transaction.request.progress = request::LINE;
        let id = self.begin(cx, transaction);
        self.client.transaction = Some(id);
        for (_, event) in events.into_iter().filter(|(is, _)| *is) {
            self.raise(ToServer, event);
        }
        cx.news(ToServer);
        self.client.step = next;
    }

    /// The line behind a request line without protocol.
    fn simple(&mut self, cx: &mut Context<'_>, line: &[u8]) {
        if header::is_empty(line) {
            return self.complete(cx, ToServer);
        }
        if judge(ToServer, line) == Answer::Certain {
            self.complete(cx, ToServer);
            // It is there, in place of the one before.
            let _ = self.make_room(cx);
            return self.request_line(cx, line);
        }
        if line.contains(&b':') {
            self.raise(ToServer, Event::MissingProtocol);
            self.client.step = Step::Headers;
            return self.header_line(cx, ToServer, line);
        }
        self.complete(cx, ToServer);
        self.client.step = Step::Lost;
    }

    fn status_line(&mut self, cx: &mut Context<'_>, line: &[u8]) {
        let id = self.answer(cx);
        let text = chomp(line);
        let read = StatusLine::read(text);
        let part = |range: &std::ops::Range<usize>| text.get(range.clone()).unwrap_or_default();
        let version = version(part(&read.protocol));
        let (is_known, is_new) = (version.is_some(), version == Some(1));
        let status = part(&read.status);
        let is_status = matches!(status, [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9']);
        if let Some((head, transaction)) = self.transactions.of(id) {
            if !is_known {
                head.events.raise(Event::ResponseInvalidProtocol as u8);
            }
            if !is_status {
                head.events.raise(Event::ResponseInvalidStatus as u8);
            }
            transaction.response.head.set_line(line);
            transaction.response.head.folds_little = is_new;
            transaction.status_line = read;
            transaction.response.progress = response::LINE;
        }
        cx.news(ToClient);
        self.server.step = Step::Headers;
    }

    /// The transaction that the next response belongs to; it begins where no request is waiting.
    fn answer(&mut self, cx: &mut Context<'_>) -> u64 {
        let id = match self.transactions.first_from(self.answered) {
            Some(id) => id,
            None => {
                let mut unmatched = Transaction { is_unmatched: true, ..Transaction::default() };
                unmatched.request.progress = request::COMPLETE;
                let id = self.begin(cx, unmatched);
                if let Some((head, _)) = self.transactions.of(id) {
                    head.events.raise(Event::UnmatchedResponse as u8);
                }
                cx.news(ToServer);
                id
            }
        };
        self.answered = id;
        self.server.transaction = Some(id);
        id
    }

    /// A response that is body from its first byte on (HTTP/0.9).
    fn headless(&mut self, cx: &mut Context<'_>) {
        let id = self.answer(cx);
        let bounds = bounds(cx, ToClient);
        if let Some((_, transaction)) = self.transactions.of(id) {
            transaction.has_no_status_line = true;
            transaction.response.body.begin(Vec::new(), bounds);
            transaction.response.progress = response::HEADERS;
        }
        self.server.step = Step::Body(None);
        let line = std::mem::take(&mut self.server.line);
        self.body(cx, ToClient, &line);
    }

    fn header_line(&mut self, cx: &mut Context<'_>, direction: FlowDirection, line: &[u8]) {
        let too_long = std::mem::take(&mut self.half(direction).is_too_long);
        let mut odd = Vec::new();
        let mut note = |oddity| odd.push(oddity);
        let is_end = header::is_empty(line);
        if let Some((_, transaction)) = self.at_hand(direction) {
            let head = &mut transaction.message_mut(direction).head;
            if is_end { head.finish(line, &mut note) } else { head.add(line, &mut note) }
        }
        for oddity in odd {
            self.raise(direction, event_of(oddity, direction));
        }
        if too_long {
            self.too_long(direction);
        }
        if is_end {
            match direction {
                ToServer => self.request_headers(cx),
                ToClient => self.response_headers(cx),
            }
        }
    }

    fn request_headers(&mut self, cx: &mut Context<'_>) {
        let (most, bounds) = (cx.limits.http.decompress_layers, bounds(cx, ToServer));
        let Some((head, transaction)) = self.at_hand(ToServer) else { return };
        let mut odd = Oddities::default();
        let message = &transaction.request;
        let framing = framing(&message.head, &mut odd).unwrap_or(Framing::None);
        let codings = message.head.get("content-encoding");
        let codings = codings.map(|value| Codings::read(value, most)).unwrap_or_default();
        let is_new =
            transaction.protocol(ToServer).and_then(version).is_some_and(|version| version == 1);
        let in_uri = transaction.raw_uri().and_then(|raw| Uri::split(raw, false).host);
        let in_header = message.head.get("host");
        let is_method_without_body =
            transaction.method().is_some_and(|method| [&b"GET"[..], b"HEAD"].contains(&method));
        let has_body = !matches!(framing, Framing::None | Framing::Length(0));
        let events = [
            (odd.transfer_encoding, Event::RequestTransferEncoding),
            (odd.length, Event::RequestContentLength),
            (is_new && in_header.is_none() && in_uri.is_none(), Event::MissingHost),
            (differ(in_uri, in_header), Event::AmbiguousHost),
            (in_header.is_some_and(|host| !is_host(host)), Event::HeaderHostInvalid),
            (in_uri.is_some_and(|host| !is_host(host)), Event::UriHostInvalid),
            (has_body && is_method_without_body, Event::BodyUnexpected),
            (codings.too_many, Event::TooManyLayers),
            (
                message.head.get("authorization").is_some_and(|value| !is_credentials(value)),
                Event::AuthUnrecognized,
            ),
        ];
        for (_, event) in events.into_iter().filter(|(is, _)| *is) {
            head.events.raise(event as u8);
        }
        transaction.request.body.begin(codings.list, bounds);
        transaction.request.progress = request::HEADERS;
        cx.news(ToServer);
        self.frame(cx, ToServer, framing);
    }

    fn response_headers(&mut self, cx: &mut Context<'_>) {
        let (most, bounds) = (cx.limits.http.decompress_layers, bounds(cx, ToClient));
        let Some((head, transaction)) = self.at_hand(ToClient) else { return };
        let status = transaction.status_number();
        let mut odd = Oddities::default();
        let by_headers = framing(&transaction.response.head, &mut odd);
        if matches!(status, Some(100 | 102..=199)) && by_headers.is_none() {
            // Another response follows.
            transaction.response = Default::default();
            transaction.status_line = StatusLine::default();
            self.server.step = Step::Line;
            return;
        }
        let message = &transaction.response;
        let is_head = transaction.method() == Some(b"HEAD");
        // Some readers take the body that there should not be.
        let has_no_body =
            is_head || (by_headers.is_none() && matches!(status, Some(100..=199 | 204 | 304)));
        let accepted = transaction.is_connect() && matches!(status, Some(200..=299));
        let framing = match by_headers {
            _ if has_no_body || accepted => Framing::None,
            Some(framing) => framing,
            None => Framing::UntilEnd,
        };
        let codings = message.head.get("content-encoding");
        let codings = codings.map(|value| Codings::read(value, most)).unwrap_or_default();
        let is_old = transaction.protocol(ToClient).and_then(version) != Some(1);
        let ranges = message.head.get("content-type").is_some_and(|value| {
            value.get(..20).is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/byteranges"))
        });
        let events = [
            (odd.transfer_encoding, Event::ResponseTransferEncoding),
            (odd.abnormal, Event::ResponseAbnormalTransferEncoding),
            (odd.length, Event::ResponseContentLength),
            (framing == Framing::Chunked && is_old, Event::ResponseChunkedOldProtocol),
            (ranges, Event::MultipartRanges),
            (codings.too_many, Event::TooManyLayers),
            (codings.abnormal, Event::AbnormalContentEncoding),
        ];
        for (_, event) in events.into_iter().filter(|(is, _)| *is) {
            head.events.raise(event as u8);
        }
        transaction.response.body.begin(codings.list, bounds);
        transaction.response.progress = response::HEADERS;
        cx.news(ToClient);
        self.frame(cx, ToClient, framing);
        if accepted {
            (self.client.step, self.server.step) = (Step::AfterConnect, Step::AfterConnect);
        } else if status == Some(101) && by_headers.is_none() {
            (self.client.step, self.server.step) = (Step::Nothing, Step::Nothing);
        }
    }

    /// What follows the headers.
    fn frame(&mut self, cx: &mut Context<'_>, direction: FlowDirection, framing: Framing) {
        match framing {
            Framing::None | Framing::Length(0) => self.complete(cx, direction),
            Framing::Length(length) => self.half(direction).step = Step::Body(Some(length)),
            Framing::Chunked => self.half(direction).step = Step::ChunkLine,
            Framing::UntilEnd => self.half(direction).step = Step::Body(None),
        }
    }

    fn chunk_line(&mut self, cx: &mut Context<'_>, direction: FlowDirection, line: &[u8]) {
        self.half(direction).is_too_long = false;
        let read = chunk_line(line);
        if read != ChunkLine::Invalid {
            self.count_line(direction, line);
        }
        let step = match read {
            ChunkLine::Blank => Step::ChunkLine,
            ChunkLine::Length(length, extension) => {
                if extension && direction == ToServer {
                    self.raise(direction, Event::RequestChunkExtension);
                }
                if length == 0 { Step::Trailers } else { Step::Chunk(length) }
            }
            ChunkLine::Invalid => return self.no_chunk(cx, direction, line),
        };
        self.half(direction).step = step;
    }

    /// What should be the line before a chunk is none, as far as it is there.
    fn no_chunk(&mut self, cx: &mut Context<'_>, direction: FlowDirection, line: &[u8]) {
        let event = match direction {
            ToServer => Event::RequestChunkLength,
            ToClient => Event::ResponseChunkLength,
        };
        self.raise(direction, event);
        match direction {
            ToServer => {
                self.complete(cx, direction);
                self.client.step = Step::Lost;
            }
            // What is no chunk is body as it is.
            ToClient => {
                self.body(cx, direction, line);
                self.server.step = Step::Body(None);
            }
        }
    }

    fn count_line(&mut self, direction: FlowDirection, line: &[u8]) {
        if let Some((_, transaction)) = self.at_hand(direction) {
            transaction.message_mut(direction).body.count_line(line);
        }
    }

    fn body(&mut self, cx: &mut Context<'_>, direction: FlowDirection, bytes: &[u8]) {
        let Some((_, transaction)) = self.at_hand(direction) else { return };
        let body = &mut transaction.message_mut(direction).body;
        let before = body.memory();
        let (lost, shows) = body.push(bytes);
        let after = body.memory();
        self.memory = (self.memory + after).saturating_sub(before);
        cx.counters.body_bytes += lost;
        if shows {
            cx.news(direction);
        }
    }

    /// `left` bytes are still to come, or the message is over.
    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        direction: FlowDirection,
        left: u64,
        step: fn(Option<u64>) -> Step,
    ) {
        match left {
            0 => self.complete(cx, direction),
            left => self.half(direction).step = step(Some(left)),
        }
    }

    /// The message of a direction is over.
    fn complete(&mut self, cx: &mut Context<'_>, direction: FlowDirection) {
        let half = self.half(direction);
        half.step = Step::Line;
        let mut is_connect = false;
        if let Some((head, transaction)) = self.at_hand(direction) {
            let message = transaction.message_mut(direction);
            // Where it ends before its headers do.
            message.head.finish(b"", &mut |_| {});
            let undone = message.body.finish();
            let over = match direction {
                ToServer => request::COMPLETE,
                ToClient => response::COMPLETE,
            };
            message.progress = over;
            note_undone(head, undone, cx);
            is_connect = transaction.is_connect();
        }
        self.half(direction).transaction = None;
        match direction {
            ToServer if is_connect => self.client.step = Step::AfterConnect,
            ToServer => {}
            ToClient => self.answered += 1,
        }
        cx.ended(direction);
    }

    fn count_memory(&mut self) {
        let messages = |transaction: &Transaction| {
            let memory = |message: &super::transaction::Message| {
                message.head.memory() + message.body.memory()
            };
            memory(&transaction.request)
                + memory(&transaction.response)
                + transaction.uri.capacity()
        };
        let of_each = size_of::<(Head, Transaction)>();
        let all = self.transactions.iter().map(|(_, one)| of_each + messages(one)).sum::<usize>();
        self.memory =
            size_of::<Self>() + all + self.client.line.capacity() + self.server.line.capacity();
    }
}

fn note_undone(head: &mut Head, undone: Undone, cx: &mut Context<'_>) {
    if undone.damaged || undone.bomb {
        cx.counters.decompression += 1;
    }
    if undone.damaged {
        head.events.raise(Event::DecompressionFailed as u8);
    }
    if undone.bomb {
        head.events.raise(Event::CompressionBomb as u8);
    }
}

fn bounds(cx: &Context<'_>, direction: FlowDirection) -> Bounds {
    let settings = &cx.limits.http;
    let (limit, inspect) = match direction {
        ToServer => (settings.request_body_limit, settings.request_body_inspect),
        ToClient => (settings.response_body_limit, settings.response_body_inspect),
    };
    Bounds { limit, inspect, bomb: settings.bomb_limit }
}

fn event_of(oddity: Oddity, direction: FlowDirection) -> Event {
    match (oddity, direction) {
        (Oddity::Invalid, ToServer) => Event::RequestHeaderInvalid,
        (Oddity::Invalid, ToClient) => Event::ResponseHeaderInvalid,
        (Oddity::MissingColon, ToServer) => Event::RequestMissingColon,
        (Oddity::MissingColon, ToClient) => Event::ResponseMissingColon,
        (Oddity::Folding, ToServer) => Event::RequestFolding,
        (Oddity::Folding, ToClient) => Event::ResponseFolding,
        (Oddity::TooMany, ToServer) => Event::RequestTooManyHeaders,
        (Oddity::TooMany, ToClient) => Event::ResponseTooManyHeaders,
        (Oddity::OtherLength, ToServer) => Event::RequestDuplicateLength,
        (Oddity::OtherLength, ToClient) => Event::ResponseDuplicateLength,
        (Oddity::Repetition, ToServer) => Event::RequestRepetition,
        (Oddity::Repetition, ToClient) => Event::ResponseRepetition,
    }
}

/// Whether URI and header name different hosts.
fn differ(in_uri: Option<&[u8]>, in_header: Option<&[u8]>) -> bool {
    let (Some(in_uri), Some(in_header)) = (in_uri, in_header) else { return false };
    !super::uri::authority(in_header).0.eq_ignore_ascii_case(in_uri)
}

/// Whether it can be a host (RFC 3986, 3.2.2), loosely.
fn is_host(host: &[u8]) -> bool {
    let (host, port) = super::uri::authority(host);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    let is_address = host.first() == Some(&b'[') && host.last() == Some(&b']');
    let is_port = port.is_none_or(|port| port.iter().all(u8::is_ascii_digit));
    (is_address || (!host.is_empty() && host.iter().all(is_name))) && is_port
}

/// Whether `Authorization` is of a kind that is known and can be read.
fn is_credentials(value: &[u8]) -> bool {
    let kind = value.split(|byte| *byte == b' ').next().unwrap_or_default();
    [&b"basic"[..], b"digest", b"bearer", b"ntlm", b"negotiate"]
        .iter()
        .any(|known| kind.eq_ignore_ascii_case(known))
}

impl Parser for Http1 {
    fn data(
        &mut self,
        cx: &mut Context<'_>,
        direction: FlowDirection,
        bytes: &[u8],
    ) -> Result<usize, GiveUp> {
        let taken = self.feed(cx, direction, bytes);
        self.count_memory();
        taken
    }

    fn gap(
        &mut self,
        cx: &mut Context<'_>,
        direction: FlowDirection,
        length: u64,
    ) -> Result<(), GiveUp> {
        let step = self.half(direction).step;
        let in_body = match step {
            Step::Body(None) => length,
            Step::Body(Some(left)) | Step::Chunk(left) => length.min(left),
            _ => 0,
        };
        if in_body > 0
            && let Some((_, transaction)) = self.at_hand(direction)
        {
            transaction.message_mut(direction).body.skip(in_body);
        }
        match step {
            Step::Body(None) | Step::Nothing => {}
            Step::Body(Some(left)) if length <= left => {
                self.advance(cx, direction, left - length, Step::Body);
            }
            Step::Chunk(left) if length < left => {
                self.half(direction).step = Step::Chunk(left - length);
            }
            _ => {
                let half = self.half(direction);
                half.line.clear();
                if half.transaction.is_some() {
                    self.complete(cx, direction);
                }
                self.half(direction).step = Step::Lost;
            }
        }
        Ok(())
    }

    fn end(&mut self, cx: &mut Context<'_>, direction: FlowDirection) {
        // A line without its end is one all the same.
        let line = std::mem::take(&mut self.half(direction).line);
        match (self.half(direction).step, direction) {
            _ if line.is_empty() => {}
            (Step::Line, ToServer) => self.request_line(cx, &line),
            (Step::Line, ToClient) if begins_response(&line) => self.status_line(cx, &line),
            (Step::Line | Step::Junk, ToClient) => {
                self.server.line = line;
                self.headless(cx);
            }
            (Step::Headers, _) => self.header_line(cx, direction, &line),
            (Step::Simple, _) => self.simple(cx, &line),
            _ => {}
        }
        if self.half(direction).transaction.is_some() {
            self.complete(cx, direction);
        }
        if direction == ToClient {
            // Nobody will answer any more.
            let ids: Vec<u64> = self.transactions.iter().map(|(head, _)| head.id).collect();
            for id in ids {
                if let Some((_, transaction)) = self.transactions.of(id) {
                    transaction.response.progress = response::COMPLETE;
                }
            }
            cx.news(ToClient);
        }
        self.half(direction).step = Step::Nothing;
        self.count_memory();
    }

    fn transactions(&mut self) -> &mut dyn TransactionList {
        &mut self.transactions
    }

    fn memory(&self) -> usize {
        self.memory
    }
}
