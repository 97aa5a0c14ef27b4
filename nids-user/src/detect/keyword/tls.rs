//! Keywords on TLS that are no buffers: versions, messages, dates and lengths of chains (Suricata user guide,
//! "SSL/TLS Keywords"). Names, certificates and fingerprints are buffers.

use std::time::{SystemTime, UNIX_EPOCH};

use super::content;
use super::number::{Comparison, comparison};
use super::value::{Fault, Use, Word};
use super::{Draft, Keyword};
use crate::app::tls::{Certificate, Messages, Transaction};
use crate::app::{AppProtocol, AppProtocols};
use crate::detect::buffer::AppBuffer;
use crate::detect::transaction::Question;
use crate::flow::FlowDirection;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "tls.version", apply: version },
    Keyword { name: "tls.subject", apply: |draft, word| older(draft, word, AppBuffer::TlsSubject) },
    Keyword { name: "tls.issuerdn", apply: |draft, word| older(draft, word, AppBuffer::TlsIssuer) },
    Keyword {
        name: "tls.fingerprint",
        apply: |draft, word| older(draft, word, AppBuffer::TlsFingerprint),
    },
    Keyword { name: "ssl_version", apply: versions },
    Keyword { name: "ssl_state", apply: state },
    Keyword {
        name: "tls.cert_chain_len",
        apply: |draft, word| {
            let length = comparison(word.value()?)?;
            ask(draft, word, TlsTest::ChainLength(length))
        },
    },
    Keyword {
        name: "tls_cert_expired",
        apply: |draft, word| flag(draft, word, TlsTest::Valid { expired: true }),
    },
    Keyword {
        name: "tls_cert_valid",
        apply: |draft, word| flag(draft, word, TlsTest::Valid { expired: false }),
    },
    Keyword {
        name: "tls.cert_expired",
        apply: |draft, word| flag(draft, word, TlsTest::Valid { expired: true }),
    },
    Keyword {
        name: "tls.cert_valid",
        apply: |draft, word| flag(draft, word, TlsTest::Valid { expired: false }),
    },
];

/// A question about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsTest {
    /// `tls.version`: the version of this side.
    Version(u16),
    /// `ssl_version`: one of these, or a version that is none of those. By [`bit`].
    Versions {
        /// One of these.
        of: u8,
        /// None of those; 0: not asked for.
        none_of: u8,
    },
    /// `ssl_state`: one of these messages was seen, or one not.
    Messages {
        /// To be seen.
        seen: Messages,
        /// Not to be seen.
        unseen: Messages,
    },
    /// `tls.cert_chain_len`.
    ChainLength(Comparison<u32>),
    /// `tls_cert_valid`, `tls_cert_expired`: at the time of inspection.
    Valid {
        /// It is not valid any more.
        expired: bool,
    },
}

/// The place of a version among the bits of `ssl_version`.
fn bit(version: u16) -> u8 {
    match version {
        0x0002 | 0x0200 => 1,
        0x0300 => 1 << 1,
        0x0301 => 1 << 2,
        0x0302 => 1 << 3,
        0x0303 => 1 << 4,
        0x0304 | 0x7f01..=0x7fff => 1 << 5,
        _ => 0,
    }
}

impl TlsTest {
    /// Whether it is so; `None`: that is not known yet.
    pub fn holds(&self, tls: &Transaction, direction: FlowDirection) -> bool {
        let version = tls.version(direction);
        let own = || tls.certificates(direction).first();
        match self {
            Self::Version(wanted) => version == *wanted,
            Self::Versions { of, none_of } => {
                let bit = bit(version);
                bit & of != 0 || (bit != 0 && *none_of != 0 && bit & none_of == 0)
            }
            Self::Messages { seen, unseen } => {
                (tls.messages.0 & seen.0 != 0) || (unseen.0 != 0 && tls.messages.0 & unseen.0 == 0)
            }
            Self::ChainLength(length) => {
                let chain = u32::try_from(tls.certificates(direction).len()).unwrap_or(u32::MAX);
                chain > 0 && length.holds(chain)
            }
            Self::Valid { expired } => own().filter(|it| it.readable).is_some_and(|it| {
                let Certificate { not_before, not_after, .. } = it;
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
                match expired {
                    true => *not_after < now,
                    false => (not_before..=not_after).contains(&&now),
                }
            }),
        }
    }
}

/// A content of a buffer, from before there were sticky buffers.
fn older(draft: &mut Draft<'_>, keyword: &Use<'_>, buffer: AppBuffer) -> Result<(), Fault> {
    content::content(draft, keyword)?;
    draft.move_content(keyword, buffer)
}

fn flag(draft: &mut Draft<'_>, keyword: &Use<'_>, test: TlsTest) -> Result<(), Fault> {
    keyword.no_value()?;
    ask(draft, keyword, test)
}

fn ask(draft: &mut Draft<'_>, keyword: &Use<'_>, test: TlsTest) -> Result<(), Fault> {
    draft.limit_to(AppProtocols::of(&[AppProtocol::Tls]), keyword)?;
    draft.questions.push(Question::Tls(test));
    Ok(())
}

fn version(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let word = keyword.value()?.unquote().trim();
    let version = match word.text {
        "1.0" => 0x0301,
        "1.1" => 0x0302,
        "1.2" => 0x0303,
        "1.3" => 0x0304,
        text => {
            let digits = text.strip_prefix("0x").and_then(|hex| u16::from_str_radix(hex, 16).ok());
            digits
                .ok_or_else(|| word.bad("must be 1.0, 1.1, 1.2, 1.3 or a number such as 0x7f12"))?
        }
    };
    ask(draft, keyword, TlsTest::Version(version))
}

fn versions(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = keyword.value()?.unquote();
    let (mut of, mut none_of) = (0, 0);
    for word in value.split(',').map(Word::trim) {
        let (list, name) = match word.strip_prefix("!") {
            Some(name) => (&mut none_of, name.trim()),
            None => (&mut of, word),
        };
        *list |= bit(match name.text.to_ascii_lowercase().as_str() {
            "sslv2" => 0x0002,
            "sslv3" => 0x0300,
            "tls1.0" => 0x0301,
            "tls1.1" => 0x0302,
            "tls1.2" => 0x0303,
            "tls1.3" => 0x0304,
            _ => return Err(name.bad("must be sslv2, sslv3, tls1.0, tls1.1, tls1.2 or tls1.3")),
        });
    }
    ask(draft, keyword, TlsTest::Versions { of, none_of })
}

fn state(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = keyword.value()?.unquote();
    let (mut seen, mut unseen) = (Messages::default(), Messages::default());
    for word in value.split('|').flat_map(|word| word.split(',')).map(Word::trim) {
        let (list, name) = match word.strip_prefix("!") {
            Some(name) => (&mut unseen, name.trim()),
            None => (&mut seen, word),
        };
        list.add(match name.text.to_ascii_lowercase().as_str() {
            "client_hello" => Messages::CLIENT_HELLO,
            "server_hello" => Messages::SERVER_HELLO,
            "client_keyx" => Messages::CLIENT_KEY,
            "server_keyx" => Messages::SERVER_KEY,
            "unknown" => Messages::UNKNOWN,
            _ => {
                return Err(name.bad(
                    "must be client_hello, server_hello, client_keyx, server_keyx or unknown",
                ));
            }
        });
    }
    ask(draft, keyword, TlsTest::Messages { seen, unseen })
}
