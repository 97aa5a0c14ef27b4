//! What can be odd about HTTP/1: those events of Suricata's rules/http-events.rules that are raised here.

crate::app_events! {
    /// A body cannot be unpacked as its headers say.
    DecompressionFailed = "gzip_decompression_failed",
    /// `Transfer-Encoding` of a request is nothing that is known.
    RequestTransferEncoding = "invalid_transfer_encoding_value_in_request",
    /// The same of a response.
    ResponseTransferEncoding = "invalid_transfer_encoding_value_in_response",
    /// `Transfer-Encoding` of a response has a coding beside `chunked`.
    ResponseAbnormalTransferEncoding = "response_abnormal_transfer_encoding",
    /// `Content-Length` of a request is no number.
    RequestContentLength = "invalid_content_length_field_in_request",
    /// The same of a response.
    ResponseContentLength = "invalid_content_length_field_in_response",
    /// `Content-Length` of a request twice, with different values.
    RequestDuplicateLength = "duplicate_content_length_field_in_request",
    /// The same of a response.
    ResponseDuplicateLength = "duplicate_content_length_field_in_response",
    /// The length of a chunk of a request cannot be read.
    RequestChunkLength = "invalid_request_chunk_len",
    /// The same of a response.
    ResponseChunkLength = "invalid_response_chunk_len",
    /// Something stands behind the length of a chunk of a request.
    RequestChunkExtension = "request_chunk_extension",
    /// Chunks, and an older protocol.
    ResponseChunkedOldProtocol = "response_chunked_old_proto",
    /// `100 Continue` a second time.
    ContinueAgain = "100_continue_already_seen",
    /// A response without request.
    UnmatchedResponse = "unable_to_match_response_to_request",
    /// HTTP/1.1 without `Host`.
    MissingHost = "missing_host_header",
    /// The URI names another host than `Host`.
    AmbiguousHost = "host_header_ambiguous",
    /// The host of the URI is none.
    UriHostInvalid = "request_uri_host_invalid",
    /// The host of `Host` is none.
    HeaderHostInvalid = "request_header_host_invalid",
    /// A header of a request has a name that is none.
    RequestHeaderInvalid = "request_header_invalid",
    /// The same of a response.
    ResponseHeaderInvalid = "response_header_invalid",
    /// A header of a request has no colon.
    RequestMissingColon = "request_field_missing_colon",
    /// The same of a response.
    ResponseMissingColon = "response_field_missing_colon",
    /// A folded line of a request follows no header.
    RequestFolding = "invalid_request_field_folding",
    /// The same of a response.
    ResponseFolding = "invalid_response_field_folding",
    /// A line of a request is longer than what is kept.
    RequestFieldTooLong = "request_field_too_long",
    /// The same of a response.
    ResponseFieldTooLong = "response_field_too_long",
    /// A header of a request came before.
    RequestRepetition = "request_header_repetition",
    /// The same of a response.
    ResponseRepetition = "response_header_repetition",
    /// More headers of a request than are kept.
    RequestTooManyHeaders = "request_too_many_headers",
    /// The same of a response.
    ResponseTooManyHeaders = "response_too_many_headers",
    /// Something else than a blank behind the method.
    MethodDelimiter = "method_delim_non_compliant",
    /// Something else than a blank behind the URI.
    UriDelimiter = "uri_delim_non_compliant",
    /// Blanks before the request line.
    LeadingWhitespace = "request_line_leading_whitespace",
    /// The request line names no protocol, and headers follow.
    MissingProtocol = "request_line_missing_protocol",
    /// The protocol of a request is none.
    RequestLineInvalid = "request_line_invalid",
    /// The request line has a method only.
    RequestLineIncomplete = "request_line_incomplete",
    /// A body, and a method that has none.
    BodyUnexpected = "request_body_unexpected",
    /// The protocol of a response is none.
    ResponseInvalidProtocol = "response_invalid_protocol",
    /// The status of a response is none.
    ResponseInvalidStatus = "response_invalid_status",
    /// More codings around a body than are undone.
    TooManyLayers = "too_many_encoding_layers",
    /// `Content-Encoding` names a coding that is not known.
    AbnormalContentEncoding = "abnormal_ce_header",
    /// A body unpacks to far more than it is.
    CompressionBomb = "compression_bomb",
    /// A response of several ranges.
    MultipartRanges = "response_multipart_byteranges",
    /// `Authorization` cannot be read.
    AuthUnrecognized = "request_auth_unrecognized",
    /// The URI is encoded twice.
    DoubleEncodedUri = "double_encoded_uri",
    /// More requests wait than a flow may have.
    TooManyTransactions = "http_too_many_transactions",
}
