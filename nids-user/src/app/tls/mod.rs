//! TLS (RFC 8446, RFC 5246) and SSL: what can be read of a session before it is encrypted.
//!
//! `record` takes records and handshake messages off the stream, `hello` and `certificate` read them, `fingerprint`
//! makes JA3 and JA4 of them, `state` puts the one transaction of a connection together, `log` writes EVE.

mod certificate;
mod event;
pub mod fingerprint;
mod hello;
mod log;
mod record;
mod state;
#[cfg(test)]
mod tests;

pub use certificate::Certificate;
pub use event::Event;
pub use hello::Hello;
pub use state::{Messages, Tls, Transaction};

use super::AppProtocol;
use super::detect::{Answer, Detector, Opening};
use crate::detect::protocol::TCP;

/// Progress of a client.
pub mod client {
    /// Its hello was read.
    pub const HELLO: u8 = 1;
    /// Its certificate was read, or there is none.
    pub const CERTIFICATE: u8 = 2;
    /// It encrypts.
    pub const COMPLETE: u8 = 3;
}

/// Progress of a server.
pub mod server {
    /// Its hello was read.
    pub const HELLO: u8 = 1;
    /// Its certificate was read, or there is none.
    pub const CERTIFICATE: u8 = 2;
    /// It encrypts.
    pub const COMPLETE: u8 = 3;
}

/// How TLS is recognised.
pub const DETECTOR: Detector =
    Detector { protocol: AppProtocol::Tls, carrier: TCP, ports: &[443, 993, 995, 465], judge };

/// A record that holds a hello, or an alert; or a hello of SSL 2.0.
fn judge(opening: &Opening<'_>) -> Answer {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    match *opening.bytes {
        // SSL 2.0: length with the highest bit set, client hello, a version that is one.
        [high, _, 1, 0, 2]
        | [high, _, 1, 0, 2, ..]
        | [high, _, 1, 3, 0..=3]
        | [high, _, 1, 3, 0..=3, ..]
            if high & 0x80 != 0 =>
        {
            Answer::Certain
        }
        [HANDSHAKE | ALERT, 3, 0..=4, _, _, 1 | 2 | 11 | 14 | 20, ..] => Answer::Certain,
        [HANDSHAKE | ALERT, 3, 0..=4, ..] | [HANDSHAKE | ALERT, 3] | [HANDSHAKE | ALERT]
            if opening.bytes.len() < 6 =>
        {
            Answer::Unsure
        }
        [high, ref rest @ ..] if high & 0x80 != 0 && rest.len() < 4 => Answer::Unsure,
        _ => Answer::NotForUs,
    }
}
