//! The EVE objects of a transaction, with Suricata's keys (user guide, "EVE JSON Format", "Event type: HTTP",
//! "Event type: Fileinfo").

use super::body::Body;
use super::transaction::{File, Message, Transaction};
use super::uri;
use crate::flow::FlowDirection;
use crate::output::EveType;
use crate::output::field::{self, put};

/// A key and the text in it, where there is any.
fn text(out: &mut Vec<u8>, key: &str, value: Option<&[u8]>) {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return };
    separate(out);
    put(out, format_args!("\"{key}\":"));
    field::bytes(out, value);
}

/// A comma, unless the object begins here.
fn separate(out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
}

/// Appends `,"http":{...}`.
pub(super) fn http(transaction: &Transaction, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"http\":{");
    let (request, response) = (&transaction.request, &transaction.response);
    let mut room = Vec::new();
    text(out, "hostname", transaction.host(&mut room));
    if let Some(port) = transaction.port() {
        separate(out);
        put(out, format_args!("\"http_port\":{port}"));
    }
    text(out, "url", transaction.raw_uri().or_else(|| transaction.uri()));
    text(out, "http_user_agent", request.head.get("user-agent"));
    let content_type = response.head.get("content-type");
    let media = content_type.and_then(|value| value.split(|byte| *byte == b';').next());
    text(out, "http_content_type", media);
    content_range(out, response);
    text(out, "http_refer", request.head.get("referer"));
    text(out, "http_method", transaction.method());
    let protocol = transaction.protocol(FlowDirection::ToServer);
    text(out, "protocol", protocol);
    let status = transaction.status_number();
    match status {
        Some(status) => {
            separate(out);
            put(out, format_args!("\"status\":{status}"));
        }
        None => text(out, "status_string", transaction.status()),
    }
    if status.is_some_and(|status| (300..400).contains(&status)) {
        text(out, "redirect", response.head.get("location"));
    }
    separate(out);
    put(out, format_args!("\"length\":{}}}", response.body.length()));
}

fn number(text: &[u8]) -> Option<u32> {
    str::from_utf8(text).ok()?.parse().ok()
}

/// `Content-Range` (RFC 9110, 14.4).
fn content_range(out: &mut Vec<u8>, response: &Message) {
    let Some(raw) = response.head.get("content-range") else { return };
    separate(out);
    out.extend_from_slice(b"\"content_range\":{");
    text(out, "raw", Some(raw));
    let range = raw.strip_prefix(b"bytes").unwrap_or_default();
    let range = range.trim_ascii_start();
    if let Some((range, size)) = split(range, b'/') {
        if let Some((start, end)) =
            split(range, b'-').and_then(|(a, b)| Some((number(a)?, number(b)?)))
        {
            put(out, format_args!(",\"start\":{start},\"end\":{end}"));
        }
        if let Some(size) = number(size) {
            put(out, format_args!(",\"size\":{size}"));
        }
    }
    out.push(b'}');
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|byte| *byte == at)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// One file: `{...}`.
fn file(body: &Body, file: &File<'_>, id: u64, out: &mut Vec<u8>) {
    out.push(b'{');
    text(out, "filename", file.name);
    let state = match (body.is_over, file.is_whole) {
        (_, true) => "CLOSED",
        (true, false) => "TRUNCATED",
        (false, false) => "UNKNOWN",
    };
    let (gaps, size) = (body.is_holed, file.size);
    separate(out);
    put(
        out,
        format_args!(
            "\"gaps\":{gaps},\"state\":\"{state}\",\"stored\":false,\"size\":{size},\"tx_id\":{id}}}"
        ),
    );
}

const WAYS: [FlowDirection; 2] = [FlowDirection::ToServer, FlowDirection::ToClient];

/// The files of a transaction, each with the direction that carries it.
fn files(transaction: &Transaction) -> impl Iterator<Item = (FlowDirection, File<'_>)> {
    WAYS.into_iter().flat_map(move |way| {
        (0..).map_while(move |index| transaction.file(way, index)).map(move |file| (way, file))
    })
}

/// Appends the objects of an alert: `http`, and `files` where there are any.
pub(super) fn objects(transaction: &Transaction, id: u64, out: &mut Vec<u8>) {
    http(transaction, out);
    let mut before = b",\"files\":[".as_slice();
    for (way, one) in files(transaction) {
        out.extend_from_slice(before);
        file(&transaction.message(way).body, &one, id, out);
        before = b",";
    }
    if before == b"," {
        out.push(b']');
    }
}

/// Tells of the records of a transaction that is over: of the request, and of each file.
pub(super) fn records(
    transaction: &Transaction,
    id: u64,
    emit: &mut dyn FnMut(EveType, FlowDirection, &[u8]),
) {
    let mut out = Vec::new();
    http(transaction, &mut out);
    emit(EveType::Http, FlowDirection::ToServer, &out);
    let object = out.len();
    for (way, one) in files(transaction) {
        out.truncate(object);
        out.extend_from_slice(b",\"app_proto\":\"http\",\"fileinfo\":");
        file(&transaction.message(way).body, &one, id, &mut out);
        emit(EveType::Fileinfo, way, &out);
    }
}

impl Transaction {
    /// The port that the URI or `Host` names.
    fn port(&self) -> Option<u16> {
        let (_, port) = uri::authority(self.raw_authority()?);
        str::from_utf8(port?).ok()?.parse().ok().filter(|port| *port != 0)
    }
}
