//! HTTP/0.9 to HTTP/1.1 (RFC 1945, RFC 9112), as tolerant as servers and browsers are.
//!
//! `parser` takes lines and bodies apart, `uri`, `header` and `body` say what they mean, `state` pairs
//! requests with responses, `log` writes EVE. What is normalised, and how, is that of libhtp with the
//! personality IDS, since rules are written against it.

mod body;
mod coding;
mod event;
mod framing;
mod header;
mod line;
mod log;
mod multipart;
mod state;
#[cfg(test)]
mod tests;
mod transaction;
mod uri;

pub use event::Event;
pub use state::Http1;
pub use transaction::Transaction;

use super::detect::{Answer, Detector, begins_with};
use crate::detect::protocol::TCP;
use crate::flow::FlowDirection;

/// Progress of a request.
pub mod request {
    /// The request line was read.
    pub const LINE: u8 = 1;
    /// The headers were read.
    pub const HEADERS: u8 = 2;
    /// It is over.
    pub const COMPLETE: u8 = 3;
}

/// Progress of a response.
pub mod response {
    /// The status line was read.
    pub const LINE: u8 = 1;
    /// The headers were read.
    pub const HEADERS: u8 = 2;
    /// It is over.
    pub const COMPLETE: u8 = 3;
}

/// `app-layer.protocols.http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// It is looked for.
    pub enabled: bool,
    /// `request-body-limit`: bytes of a request's body that are inspected; 0: no limit.
    pub request_body_limit: u32,
    /// `response-body-limit`.
    pub response_body_limit: u32,
    /// `request-body-minimal-inspect-size`: bytes of a body that are waited for.
    pub request_body_inspect: u32,
    /// `response-body-minimal-inspect-size`.
    pub response_body_inspect: u32,
    /// `response-body-decompress-layer-limit`: codings around one body that are undone.
    pub decompress_layers: u8,
    /// `compression-bomb-limit`: bytes that a body may unpack to.
    pub bomb_limit: u32,
    /// `double-decode-path`: the path is decoded a second time.
    pub double_decode_path: bool,
    /// `double-decode-query`.
    pub double_decode_query: bool,
}

impl Default for Settings {
    /// Suricata's (suricata.yaml, `app-layer.protocols.http.libhtp.default-config`).
    fn default() -> Self {
        Self {
            enabled: true,
            request_body_limit: 100 << 10,
            response_body_limit: 100 << 10,
            request_body_inspect: 32 << 10,
            response_body_inspect: 40 << 10,
            decompress_layers: 2,
            bomb_limit: 1 << 20,
            double_decode_path: false,
            double_decode_query: false,
        }
    }
}

/// How HTTP/1 is recognised.
pub const DETECTOR: Detector = Detector {
    protocol: super::AppProtocol::Http1,
    carrier: TCP,
    ports: &[80, 8080],
    judge: |opening| judge(opening.direction, opening.bytes),
};

/// Methods, each with what may stand behind it.
macro_rules! methods {
    ($($method:literal)+) => {
        &[$(concat!($method, " ").as_bytes(), concat!($method, "\t").as_bytes(),)+]
    };
}

#[rustfmt::skip]
const METHODS: &[&[u8]] = methods!(
    "GET" "PUT" "POST" "HEAD" "TRACE" "OPTIONS" "CONNECT" "DELETE" "PATCH" "PROPFIND" "PROPPATCH" "MKCOL"
    "COPY" "MOVE" "LOCK" "UNLOCK" "CHECKOUT" "UNCHECKOUT" "CHECKIN" "UPDATE" "LABEL" "REPORT" "MKWORKSPACE"
    "MKACTIVITY" "MERGE" "INVALID" "VERSION-CONTROL" "BASELINE-CONTROL"
);

/// A request by its method, a response by the protocol; empty lines may stand before either.
fn judge(direction: FlowDirection, bytes: &[u8]) -> Answer {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let bytes = bytes.get(blank..).unwrap_or_default();
    match direction {
        _ if bytes.is_empty() => Answer::Unsure,
        FlowDirection::ToServer => begins_with(bytes, METHODS),
        FlowDirection::ToClient => begins_with(bytes, &[b"HTTP/0.9", b"HTTP/1.0", b"HTTP/1.1"]),
    }
}
