//! What can be odd about TLS: Suricata's rules/tls-events.rules.

crate::app_events! {
    /// A record of SSL 2.0 that makes no sense.
    InvalidSslv2Header = "invalid_sslv2_header",
    /// No record begins where one must.
    InvalidTlsHeader = "invalid_tls_header",
    /// The version of a record is none.
    InvalidRecordVersion = "invalid_record_version",
    /// The type of a record is none.
    InvalidRecordType = "invalid_record_type",
    /// A record longer than any may be, or an empty one.
    InvalidRecordLength = "invalid_record_length",
    /// A handshake message of a type that is none, or one that cannot be read.
    InvalidHandshakeMessage = "invalid_handshake_message",
    /// A hello that ends too early.
    HandshakeInvalidLength = "handshake_invalid_length",
    /// A chain of certificates that cannot be read.
    InvalidCertificate = "invalid_certificate",
    /// The first certificate has a length that cannot be.
    CertificateInvalidLength = "certificate_invalid_length",
    /// A certificate that is none.
    CertificateInvalidDer = "certificate_invalid_der",
    /// A heartbeat was sent.
    HeartbeatMessage = "heartbeat_message",
    /// A heartbeat that is neither request nor response.
    InvalidHeartbeatMessage = "invalid_heartbeat_message",
    /// A heartbeat that asks for more than it brings: Heartbleed.
    OverflowHeartbeatMessage = "overflow_heartbeat_message",
    /// The answer to a heartbeat has another length than what was sent: Heartbleed.
    DataleakHeartbeatMismatch = "dataleak_heartbeat_mismatch",
    /// Two server names.
    MultipleSniExtensions = "multiple_sni_extensions",
    /// A server name of a type that is none.
    InvalidSniType = "invalid_sni_type",
    /// A server name that ends too early.
    InvalidSniLength = "invalid_sni_length",
    /// An alert that cannot be read.
    InvalidAlert = "invalid_alert",
    /// What should be a record is none, and the rest is given up.
    InvalidSslRecord = "invalid_ssl_record",
}
