//! What can be odd about HTTP/1: the events of Suricata's rules/http-events.rules.

crate::app_events! {
    /// A body cannot be unpacked as its headers say.
    GzipDecompressionFailed = "gzip_decompression_failed",
    /// More requests wait than a flow may have.
    TooManyTransactions = "http_too_many_transactions",
}
