//! The buffers of application protocols, all in one table: how rules name them, in which protocols and
//! directions they are, and from which progress of a transaction on they are whole.
//!
//! To add one, add a line to [`buffers`]; the protocol's `Transaction::buffer` gives the bytes. Keywords,
//! fast patterns, groups and inspection follow from the table.

use std::ops::RangeInclusive;

use super::pcre::BufferFlag;
use crate::app::dns;
use crate::app::http1::{request, response};
use crate::app::tls::{client, server};
use crate::app::{AppProtocol, AppProtocols};
use crate::flow::FlowDirection;
use AppProtocol::{Dns, Http1, Mdns, Tls};

/// Where a buffer is found.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The protocol.
    pub protocol: AppProtocol,
    /// The direction.
    pub direction: FlowDirection,
    /// From the first number on it can be asked for, from the second on it is whole. Between both it
    /// grows, as bodies do.
    pub progress: (u8, u8),
}

/// How rules know a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Registered {
    /// Which.
    pub buffer: AppBuffer,
    /// The sticky buffer, and older names for it.
    pub sticky: &'static [&'static str],
    /// The modifier behind a content.
    pub modifier: Option<&'static str>,
    /// The flag of `pcre`.
    pub flag: Option<BufferFlag>,
    /// A transaction may have several of it: each time a rule names it, another one may match.
    pub several: bool,
    /// Where it is.
    pub places: &'static [Place],
}

const fn to_server(protocol: AppProtocol, whole: u8) -> Place {
    Place { protocol, direction: FlowDirection::ToServer, progress: (whole, whole) }
}

const fn to_client(protocol: AppProtocol, whole: u8) -> Place {
    Place { protocol, direction: FlowDirection::ToClient, progress: (whole, whole) }
}

/// Grows from the first progress on, and is whole at the last one.
const fn growing(place: Place, from: RangeInclusive<u8>) -> Place {
    Place { progress: (*from.start(), *from.end()), ..place }
}

/// Declares the buffers: one line each.
macro_rules! buffers {
    ($($(#[$doc:meta])* $buffer:ident: [$($sticky:literal),+], $modifier:expr, $flag:expr, $several:expr, [$($place:expr),+];)+) => {
        /// A buffer of an application protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum AppBuffer { $($(#[$doc])* $buffer,)+ }

        /// All of them, in the order of their numbers.
        pub const REGISTERED: &[Registered] = &[$(Registered {
            buffer: AppBuffer::$buffer,
            sticky: &[$($sticky),+],
            modifier: $modifier,
            flag: $flag,
            several: $several,
            places: &[$($place),+],
        },)+];
    };
}

const LINE_TS: Place = to_server(Http1, request::LINE);
const HEADERS_TS: Place = to_server(Http1, request::HEADERS);
const BODY_TS: Place =
    growing(to_server(Http1, request::COMPLETE), request::HEADERS..=request::COMPLETE);
const LINE_TC: Place = to_client(Http1, response::LINE);
const HEADERS_TC: Place = to_client(Http1, response::HEADERS);
const BODY_TC: Place =
    growing(to_client(Http1, response::COMPLETE), response::HEADERS..=response::COMPLETE);

const DNS_TS: Place = to_server(Dns, dns::COMPLETE);
const DNS_TC: Place = to_client(Dns, dns::COMPLETE);
const MDNS_TS: Place = to_server(Mdns, dns::COMPLETE);
const MDNS_TC: Place = to_client(Mdns, dns::COMPLETE);

const HELLO_TS: Place = to_server(Tls, client::HELLO);
const HELLO_TC: Place = to_client(Tls, server::HELLO);
const CERT_TS: Place = to_server(Tls, client::CERTIFICATE);
const CERT_TC: Place = to_client(Tls, server::CERTIFICATE);

const ONE: bool = false;
const SEVERAL: bool = true;

buffers! {
    /// The method of a request.
    HttpMethod: ["http.method"], Some("http_method"), Some(BufferFlag::Method), ONE, [LINE_TS];
    /// The URI, normalised.
    HttpUri: ["http.uri"], Some("http_uri"), Some(BufferFlag::Uri), ONE, [LINE_TS];
    /// The URI as sent.
    HttpRawUri: ["http.uri.raw"], Some("http_raw_uri"), Some(BufferFlag::RawUri), ONE, [LINE_TS];
    /// The first line of a request.
    HttpRequestLine: ["http.request_line", "http_request_line"], None, None, ONE, [LINE_TS];
    /// The first line of a response.
    HttpResponseLine: ["http.response_line", "http_response_line"], None, None, ONE, [LINE_TC];
    /// The protocol of either line.
    HttpProtocol: ["http.protocol", "http_protocol"], None, None, ONE, [LINE_TS, LINE_TC];
    /// Either first line and the headers as sent.
    HttpStart: ["http.start", "http_start"], None, None, ONE, [HEADERS_TS, HEADERS_TC];
    /// The status of a response.
    HttpStatCode: ["http.stat_code"], Some("http_stat_code"), Some(BufferFlag::StatCode), ONE, [LINE_TC];
    /// The words behind the status.
    HttpStatMessage: ["http.stat_msg"], Some("http_stat_msg"), Some(BufferFlag::StatMessage), ONE, [LINE_TC];
    /// Headers, normalised, without cookies.
    HttpHeader: ["http.header"], Some("http_header"), Some(BufferFlag::Header), ONE, [HEADERS_TS, HEADERS_TC];
    /// Headers as sent.
    HttpRawHeader: ["http.header.raw"], Some("http_raw_header"), Some(BufferFlag::RawHeader), ONE,
        [HEADERS_TS, HEADERS_TC];
    /// Names of headers.
    HttpHeaderNames: ["http.header_names", "http_header_names"], None, None, ONE, [HEADERS_TS, HEADERS_TC];
    /// One header of a request a time.
    HttpRequestHeader: ["http.request_header"], None, None, SEVERAL, [HEADERS_TS];
    /// One header of a response a time.
    HttpResponseHeader: ["http.response_header"], None, None, SEVERAL, [HEADERS_TC];
    /// `Cookie` or `Set-Cookie`.
    HttpCookie: ["http.cookie"], Some("http_cookie"), Some(BufferFlag::Cookie), ONE, [HEADERS_TS, HEADERS_TC];
    /// `User-Agent`.
    HttpUserAgent: ["http.user_agent"], Some("http_user_agent"), Some(BufferFlag::UserAgent), ONE, [HEADERS_TS];
    /// The host asked for, in lower case, without port.
    HttpHost: ["http.host"], Some("http_host"), Some(BufferFlag::Host), ONE, [HEADERS_TS];
    /// The host as sent.
    HttpRawHost: ["http.host.raw"], Some("http_raw_host"), Some(BufferFlag::RawHost), ONE, [HEADERS_TS];
    /// `Referer`.
    HttpReferer: ["http.referer", "http_referer"], None, None, ONE, [HEADERS_TS];
    /// `Accept`.
    HttpAccept: ["http.accept", "http_accept"], None, None, ONE, [HEADERS_TS];
    /// `Accept-Encoding`.
    HttpAcceptEncoding: ["http.accept_enc", "http_accept_enc"], None, None, ONE, [HEADERS_TS];
    /// `Accept-Language`.
    HttpAcceptLanguage: ["http.accept_lang", "http_accept_lang"], None, None, ONE, [HEADERS_TS];
    /// `Connection`.
    HttpConnection: ["http.connection", "http_connection"], None, None, ONE, [HEADERS_TS, HEADERS_TC];
    /// `Content-Type`.
    HttpContentType: ["http.content_type", "http_content_type"], None, None, ONE, [HEADERS_TS, HEADERS_TC];
    /// `Content-Length`.
    HttpContentLength: ["http.content_len", "http_content_len"], None, None, ONE, [HEADERS_TS, HEADERS_TC];
    /// `Location`.
    HttpLocation: ["http.location"], None, None, ONE, [HEADERS_TC];
    /// `Server`.
    HttpServer: ["http.server"], None, None, ONE, [HEADERS_TC];
    /// The body of a request.
    HttpRequestBody: ["http.request_body"], Some("http_client_body"), Some(BufferFlag::RequestBody), ONE, [BODY_TS];
    /// The body of a response, unpacked.
    HttpResponseBody: ["http.response_body"], Some("http_server_body"), None, ONE, [BODY_TC];
    /// Files, unpacked.
    FileData: ["file.data", "file_data"], None, Some(BufferFlag::FileData), SEVERAL, [BODY_TS, BODY_TC];
    /// Names of files.
    FileName: ["file.name"], None, None, SEVERAL, [BODY_TS, BODY_TC];
    /// Names asked for, of requests.
    DnsQuery: ["dns.query", "dns_query"], None, None, SEVERAL, [DNS_TS];
    /// Names asked for, of responses too.
    DnsQueries: ["dns.queries.rrname", "dns.query.name"], None, None, SEVERAL, [DNS_TS, DNS_TC];
    /// Names of answers.
    DnsAnswers: ["dns.answers.rrname", "dns.answer.name"], None, None, SEVERAL, [DNS_TS, DNS_TC];
    /// Names of authority records.
    DnsAuthorities: ["dns.authorities.rrname"], None, None, SEVERAL, [DNS_TS, DNS_TC];
    /// Names of additional records.
    DnsAdditionals: ["dns.additionals.rrname"], None, None, SEVERAL, [DNS_TS, DNS_TC];
    /// All names of a response.
    DnsResponse: ["dns.response.rrname"], None, None, SEVERAL, [DNS_TC];
    /// Names asked for by mDNS.
    MdnsQueries: ["mdns.queries.rrname"], None, None, SEVERAL, [MDNS_TS, MDNS_TC];
    /// Names of answers.
    MdnsAnswers: ["mdns.answers.rrname"], None, None, SEVERAL, [MDNS_TS, MDNS_TC];
    /// Names of authority records.
    MdnsAuthorities: ["mdns.authorities.rrname"], None, None, SEVERAL, [MDNS_TS, MDNS_TC];
    /// Names of additional records.
    MdnsAdditionals: ["mdns.additionals.rrname"], None, None, SEVERAL, [MDNS_TS, MDNS_TC];
    /// All names of a response.
    MdnsResponse: ["mdns.response.rrname"], None, None, SEVERAL, [MDNS_TS, MDNS_TC];
    /// The name of the server, that the client asks for.
    TlsSni: ["tls.sni", "tls_sni"], None, None, ONE, [HELLO_TS];
    /// Protocols above TLS that a client offers, and the one a server chooses.
    TlsAlpn: ["tls.alpn"], None, None, SEVERAL, [HELLO_TS, HELLO_TC];
    /// The random number of a hello.
    TlsRandom: ["tls.random"], None, None, ONE, [HELLO_TS, HELLO_TC];
    /// Its first four bytes.
    TlsRandomTime: ["tls.random_time"], None, None, ONE, [HELLO_TS, HELLO_TC];
    /// The others.
    TlsRandomBytes: ["tls.random_bytes"], None, None, ONE, [HELLO_TS, HELLO_TC];
    /// Whose certificate it is.
    TlsSubject: ["tls.cert_subject", "tls_cert_subject"], None, None, ONE, [CERT_TC, CERT_TS];
    /// Who vouches for it.
    TlsIssuer: ["tls.cert_issuer", "tls_cert_issuer"], None, None, ONE, [CERT_TC, CERT_TS];
    /// Its serial number.
    TlsSerial: ["tls.cert_serial", "tls_cert_serial"], None, None, ONE, [CERT_TC, CERT_TS];
    /// Its SHA-1.
    TlsFingerprint: ["tls.cert_fingerprint", "tls_cert_fingerprint"], None, None, ONE, [CERT_TC, CERT_TS];
    /// Other names that it is for.
    TlsSubjectAltName: ["tls.subjectaltname"], None, None, SEVERAL, [CERT_TC, CERT_TS];
    /// The certificates of a chain.
    TlsCerts: ["tls.certs"], None, None, SEVERAL, [CERT_TC, CERT_TS];
    /// JA3 of a client.
    Ja3Hash: ["ja3.hash", "ja3_hash"], None, None, ONE, [HELLO_TS];
    /// What it is the digest of.
    Ja3String: ["ja3.string", "ja3_string"], None, None, ONE, [HELLO_TS];
    /// JA3S of a server.
    Ja3sHash: ["ja3s.hash"], None, None, ONE, [HELLO_TC];
    /// What it is the digest of.
    Ja3sString: ["ja3s.string"], None, None, ONE, [HELLO_TC];
    /// JA4 of a client.
    Ja4Hash: ["ja4.hash"], None, None, ONE, [HELLO_TS];
}

impl AppBuffer {
    /// How many there are.
    pub const COUNT: usize = REGISTERED.len();

    /// What is registered of it.
    pub fn registered(self) -> &'static Registered {
        const NOWHERE: &Registered = &Registered {
            buffer: AppBuffer::HttpMethod,
            sticky: &[],
            modifier: None,
            flag: None,
            several: false,
            places: &[],
        };
        // The table has an entry for each.
        REGISTERED.get(self as usize).unwrap_or(NOWHERE)
    }
    /// The name that rules know it by.
    pub fn name(self) -> &'static str {
        self.registered().sticky.first().copied().unwrap_or_default()
    }
    /// By the name of a sticky buffer.
    pub fn sticky(name: &str) -> Option<Self> {
        REGISTERED.iter().find(|known| known.sticky.contains(&name)).map(|known| known.buffer)
    }
    /// By the name of a modifier.
    pub fn modifier(name: &str) -> Option<Self> {
        REGISTERED.iter().find(|known| known.modifier == Some(name)).map(|known| known.buffer)
    }
    /// By a flag of `pcre`.
    pub fn flag(flag: BufferFlag) -> Option<Self> {
        REGISTERED.iter().find(|known| known.flag == Some(flag)).map(|known| known.buffer)
    }
    /// Protocols that have it in some direction, or in this one.
    pub fn protocols(self, direction: Option<FlowDirection>) -> AppProtocols {
        let places = self.registered().places.iter();
        let there = places.filter(|place| direction.is_none_or(|way| way == place.direction));
        there.fold(AppProtocols::NONE, |set, place| set.union(AppProtocols::of(&[place.protocol])))
    }
    /// From which progress on it can be asked for, and is whole.
    pub fn progress(self, protocol: AppProtocol, direction: FlowDirection) -> Option<(u8, u8)> {
        let mut places = self.registered().places.iter();
        let place = places.find(|at| at.protocol == protocol && at.direction == direction)?;
        Some(place.progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::keywords;

    #[test]
    fn names_are_unique_and_known() {
        let mut seen = std::collections::HashSet::new();
        for (number, known) in REGISTERED.iter().enumerate() {
            assert_eq!(known.buffer as usize, number);
            for name in known.sticky.iter().copied().chain(known.modifier) {
                assert!(seen.insert(name), "{name} twice");
                assert!(keywords::dialects(name).is_some(), "{name} is no keyword");
            }
            for place in known.places {
                assert!(place.progress.0 <= place.progress.1);
            }
        }
    }
}
