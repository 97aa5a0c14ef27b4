//! A request and its response, and the buffers that rules ask for.

use std::ops::Range;

use super::body::Body;
use super::header::Head;
use super::line::{RequestLine, StatusLine};
use super::uri::{self, Uri};
use super::{log, multipart, request, response};
use crate::app::Shown;
use crate::detect::buffer::AppBuffer;
use crate::flow::FlowDirection;
use crate::output::EveType;

/// What stands for the URI of a request that was not seen, as in Suricata.
const NOT_SEEN: &[u8] = b"/libhtp::request_uri_not_seen";

/// One message.
#[derive(Debug, Default)]
pub struct Message {
    /// First line and headers.
    pub head: Head,
    /// The body.
    pub body: Body,
    /// How far it has come.
    pub progress: u8,
}

/// A file that a message carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct File<'a> {
    pub name: Option<&'a [u8]>,
    /// What rules may see of it.
    pub data: &'a [u8],
    /// Bytes before these.
    pub offset: u64,
    pub size: u64,
    pub is_whole: bool,
}

/// A request and its response.
#[derive(Debug, Default)]
pub struct Transaction {
    /// The request.
    pub request: Message,
    /// The response.
    pub response: Message,
    /// Where things are in the request line.
    pub(super) request_line: RequestLine,
    /// Where things are in the status line.
    pub(super) status_line: StatusLine,
    /// The URI, decoded and cleaned up.
    pub(super) uri: Vec<u8>,
    /// Its request was not seen.
    pub(super) is_unmatched: bool,
    /// The response is body from its first byte on.
    pub(super) has_no_status_line: bool,
}

impl Transaction {
    /// That of a direction.
    pub fn message(&self, direction: FlowDirection) -> &Message {
        match direction {
            FlowDirection::ToServer => &self.request,
            FlowDirection::ToClient => &self.response,
        }
    }
    /// That of a direction.
    pub(super) fn message_mut(&mut self, direction: FlowDirection) -> &mut Message {
        match direction {
            FlowDirection::ToServer => &mut self.request,
            FlowDirection::ToClient => &mut self.response,
        }
    }

    fn in_request_line(&self, range: &Range<usize>) -> Option<&[u8]> {
        self.request.head.line().get(range.clone()).filter(|bytes| !bytes.is_empty())
    }

    fn in_status_line(&self, range: &Range<usize>) -> Option<&[u8]> {
        self.response.head.line().get(range.clone()).filter(|bytes| !bytes.is_empty())
    }

    /// The method.
    pub fn method(&self) -> Option<&[u8]> {
        self.in_request_line(&self.request_line.method)
    }
    /// The URI as sent.
    pub fn raw_uri(&self) -> Option<&[u8]> {
        self.in_request_line(&self.request_line.uri)
    }
    /// The URI, decoded and cleaned up.
    pub fn uri(&self) -> Option<&[u8]> {
        if self.is_unmatched {
            return Some(NOT_SEEN);
        }
        Some(self.uri.as_slice()).filter(|uri| !uri.is_empty())
    }
    /// The protocol of the request, or of the response.
    pub fn protocol(&self, direction: FlowDirection) -> Option<&[u8]> {
        match direction {
            FlowDirection::ToServer => self.in_request_line(&self.request_line.protocol),
            FlowDirection::ToClient => self.in_status_line(&self.status_line.protocol),
        }
    }
    /// The status, as sent.
    pub fn status(&self) -> Option<&[u8]> {
        self.in_status_line(&self.status_line.status)
    }
    /// The status as a number: what digits it begins with.
    pub fn status_number(&self) -> Option<u16> {
        let text = self.status()?;
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        str::from_utf8(text.get(..digits)?).ok()?.parse().ok()
    }
    /// The words behind the status.
    pub fn status_message(&self) -> Option<&[u8]> {
        self.in_status_line(&self.status_line.message)
    }
    /// Whether it is a `CONNECT`.
    pub fn is_connect(&self) -> bool {
        self.method() == Some(b"CONNECT")
    }

    /// The host as sent: that of the URI, else that of the header.
    pub fn raw_host(&self) -> Option<&[u8]> {
        let in_uri = self.raw_uri().and_then(|raw| Uri::split(raw, self.is_connect()).host);
        in_uri.or_else(|| self.request.head.get("host"))
    }

    /// Host and port as sent.
    pub(super) fn raw_authority(&self) -> Option<&[u8]> {
        let in_uri = self.raw_uri().and_then(|raw| Uri::split(raw, self.is_connect()).authority);
        in_uri.or_else(|| self.request.head.get("host"))
    }

    /// The host, in lower case, without port and the dot at its end.
    pub(super) fn host<'a>(&self, room: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let (host, _) = uri::authority(self.raw_host()?);
        let host = host.strip_suffix(b".").unwrap_or(host);
        room.clear();
        room.extend_from_slice(host);
        room.make_ascii_lowercase();
        (!room.is_empty()).then_some(room)
    }

    /// The file of this number that a direction carries: the body of a response, the files of a form, the body of
    /// another request that brings one.
    pub(super) fn file(&self, direction: FlowDirection, index: usize) -> Option<File<'_>> {
        let message = self.message(direction);
        let body = &message.body;
        if body.is_empty() {
            return None;
        }
        if direction == FlowDirection::ToServer {
            if !matches!(self.method(), Some(b"PUT" | b"POST")) {
                return None;
            }
            let boundary = message.head.get("content-type").and_then(multipart::boundary);
            if let Some(boundary) = boundary {
                let (bytes, _) = body.shown()?;
                let part = multipart::files(bytes, boundary).nth(index)?;
                let (size, is_whole) = (part.data.len() as u64, part.is_whole);
                return Some(File {
                    name: Some(part.name),
                    data: part.data,
                    offset: 0,
                    size,
                    is_whole,
                });
            }
        }
        let (data, offset) = body.shown().unwrap_or_default();
        let is_whole = body.is_over && !body.is_cut() && !body.is_holed;
        let name = self.file_name(direction);
        (index == 0).then_some(File { name, data, offset, size: body.size(), is_whole })
    }

    /// Name of the file in the body: that of the response, else the path of the URI.
    pub fn file_name(&self, direction: FlowDirection) -> Option<&[u8]> {
        let named = self.message(direction).head.get("content-disposition").and_then(file_name);
        named.or_else(|| {
            let path = self.uri()?.split(|byte| matches!(byte, b'?' | b'#')).next()?;
            (!path.is_empty()).then_some(path)
        })
    }
}

/// The `filename` of a `Content-Disposition` (RFC 6266).
pub(super) fn file_name(value: &[u8]) -> Option<&[u8]> {
    let at = memchr::memmem::find(value, b"filename=")?;
    let rest = value.get(at + b"filename=".len()..)?;
    match rest.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|byte| *byte == b'"').next(),
        None => rest.split(|byte| matches!(byte, b';' | b' ')).next(),
    }
}

/// `name: value` and a line end, for all headers that `which` takes.
fn join(head: &Head, which: impl Fn(&[u8]) -> bool, room: &mut Vec<u8>) {
    for (name, value) in head.iter().filter(|(name, _)| which(name)) {
        room.extend_from_slice(name);
        room.extend_from_slice(b": ");
        room.extend_from_slice(value);
        room.extend_from_slice(b"\r\n");
    }
}

fn is_cookie(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"cookie") || name.eq_ignore_ascii_case(b"set-cookie")
}

impl crate::app::Transaction for Transaction {
    fn progress(&self, direction: FlowDirection) -> u8 {
        self.message(direction).progress
    }

    fn complete(&self, direction: FlowDirection) -> u8 {
        match direction {
            FlowDirection::ToServer => request::COMPLETE,
            FlowDirection::ToClient => response::COMPLETE,
        }
    }

    fn growth(&self, direction: FlowDirection) -> u32 {
        self.message(direction).body.growth()
    }

    fn buffer<'a>(
        &'a self,
        buffer: AppBuffer,
        direction: FlowDirection,
        index: usize,
        room: &'a mut Vec<u8>,
    ) -> Option<Shown<'a>> {
        use AppBuffer as B;
        let message = self.message(direction);
        let head = &message.head;
        if matches!(buffer, B::HttpRequestHeader | B::HttpResponseHeader) {
            let (name, value) = head.iter().nth(index)?;
            room.clear();
            room.extend_from_slice(name);
            room.extend_from_slice(b": ");
            room.extend_from_slice(value);
            return Some(room.as_slice().into());
        }
        match buffer {
            B::FileData => {
                let file = self.file(direction, index)?;
                let shown = Shown { bytes: file.data, offset: file.offset };
                return (!file.data.is_empty()).then_some(shown);
            }
            B::FileName => return self.file(direction, index)?.name.map(Shown::from),
            _ if index > 0 => return None,
            _ => {}
        }
        let bytes = match buffer {
            B::HttpMethod => self.method(),
            B::HttpUri => self.uri(),
            B::HttpRawUri => self.raw_uri(),
            B::HttpRequestLine | B::HttpResponseLine => {
                Some(head.line()).filter(|line| !line.is_empty())
            }
            B::HttpProtocol => self.protocol(direction),
            B::HttpStatCode => self.status(),
            B::HttpStatMessage => self.status_message(),
            B::HttpStart => {
                room.clear();
                room.extend_from_slice(head.line());
                room.extend_from_slice(b"\r\n");
                join(head, |_| true, room);
                room.extend_from_slice(b"\r\n");
                Some(room.as_slice()).filter(|_| !head.line().is_empty())
            }
            B::HttpHeader => {
                room.clear();
                join(head, |name| !is_cookie(name), room);
                Some(room.as_slice()).filter(|headers| !headers.is_empty())
            }
            B::HttpRawHeader => Some(head.raw_headers()).filter(|raw| !raw.is_empty()),
            B::HttpHeaderNames => {
                room.clear();
                room.extend_from_slice(b"\r\n");
                for (name, _) in head.iter() {
                    room.extend_from_slice(name);
                    room.extend_from_slice(b"\r\n");
                }
                room.extend_from_slice(b"\r\n");
                Some(room.as_slice()).filter(|_| head.iter().next().is_some())
            }
            B::HttpCookie => match direction {
                FlowDirection::ToServer => head.get("cookie"),
                FlowDirection::ToClient => head.get("set-cookie"),
            },
            B::HttpUserAgent => head.get("user-agent"),
            B::HttpHost => self.host(room),
            B::HttpRawHost => self.raw_host(),
            B::HttpReferer => head.get("referer"),
            B::HttpAccept => head.get("accept"),
            B::HttpAcceptEncoding => head.get("accept-encoding"),
            B::HttpAcceptLanguage => head.get("accept-language"),
            B::HttpConnection => head.get("connection"),
            B::HttpContentType => head.get("content-type"),
            B::HttpContentLength => head.get("content-length"),
            B::HttpLocation => head.get("location"),
            B::HttpServer => head.get("server"),
            B::HttpRequestBody | B::HttpResponseBody => {
                let (bytes, offset) = message.body.shown()?;
                return Some(Shown { bytes, offset });
            }
            // Those told one at a time, and those of other protocols.
            _ => None,
        };
        bytes.map(Shown::from)
    }

    fn objects(&self, id: u64, out: &mut Vec<u8>) {
        log::objects(self, id, out);
    }

    fn records(&self, id: u64, emit: &mut dyn FnMut(EveType, FlowDirection, &[u8])) {
        log::records(self, id, emit);
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
