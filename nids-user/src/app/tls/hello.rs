//! ClientHello and ServerHello (RFC 8446, 4.1; RFC 5246, 7.4.1), also ClientHello of SSL 2.0 (RFC 5246, E.2).
//!
//! What lies behind something unreadable is left out; what came before stays.

use super::event::Event;

/// Extensions that are read (IANA, TLS ExtensionType Values).
mod extension {
    pub const SERVER_NAME: u16 = 0;
    pub const SUPPORTED_GROUPS: u16 = 10;
    pub const EC_POINT_FORMATS: u16 = 11;
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    pub const ALPN: u16 = 16;
    pub const SESSION_TICKET: u16 = 35;
    pub const SUPPORTED_VERSIONS: u16 = 43;
}

/// What a hello says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The version in the old place.
    pub legacy_version: u16,
    /// The version that counts: the first offered, or the one chosen.
    pub version: u16,
    /// 32 bytes.
    pub random: Vec<u8>,
    /// To resume a session.
    pub session_id: Vec<u8>,
    /// A ticket was sent, to resume a session.
    pub ticket: bool,
    /// Offered, or the one that was chosen.
    pub ciphers: Vec<u16>,
    /// Types of the extensions, in order.
    pub extensions: Vec<u16>,
    /// Elliptic curves and other groups.
    pub groups: Vec<u16>,
    /// Formats of points.
    pub formats: Vec<u8>,
    /// Signature algorithms.
    pub signatures: Vec<u16>,
    /// Versions offered, newest style.
    pub versions: Vec<u16>,
    /// Protocols offered, or the one chosen.
    pub alpn: Vec<Vec<u8>>,
    /// The name of the server.
    pub server_name: Option<Vec<u8>>,
}

/// GREASE (RFC 8701): values that mean nothing.
pub fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// Takes numbers and vectors off a message.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
    pub fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }
    pub fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(*self.take(2)?.first_chunk()?))
    }
    pub fn u24(&mut self) -> Option<usize> {
        let [high, middle, low] = *self.take(3)?.first_chunk()?;
        Some(usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low))
    }
    /// A vector with a length of one byte.
    pub fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }
    /// A vector with a length of two bytes.
    pub fn long(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}

fn words(bytes: &[u8]) -> Vec<u16> {
    let (words, _) = bytes.as_chunks();
    words.iter().map(|word| u16::from_be_bytes(*word)).collect()
}

impl Hello {
    /// Of a client or a server; what is odd goes to `events`.
    pub fn read(body: &[u8], is_client: bool, events: &mut Vec<Event>) -> Self {
        let mut hello = Self::default();
        if hello.fill(Reader(body), is_client, events).is_none() {
            events.push(Event::HandshakeInvalidLength);
        }
        hello
    }

    fn fill(
        &mut self,
        mut reader: Reader<'_>,
        is_client: bool,
        events: &mut Vec<Event>,
    ) -> Option<()> {
        self.legacy_version = reader.u16()?;
        self.version = self.legacy_version;
        self.random = reader.take(32)?.to_vec();
        self.session_id = reader.short()?.to_vec();
        if is_client {
            self.ciphers = words(reader.long()?);
            reader.short()?;
        } else {
            self.ciphers = vec![reader.u16()?];
            reader.u8()?;
        }
        // Before TLS 1.2 a hello may end here.
        if reader.0.is_empty() {
            return Some(());
        }
        let mut extensions = Reader(reader.long()?);
        while !extensions.0.is_empty() {
            let (kind, data) = (extensions.u16()?, extensions.long()?);
            let again = self.extensions.contains(&kind);
            self.extensions.push(kind);
            self.extension(kind, Reader(data), is_client, again, events)?;
        }
        Some(())
    }

    fn extension(
        &mut self,
        kind: u16,
        mut data: Reader<'_>,
        is_client: bool,
        again: bool,
        events: &mut Vec<Event>,
    ) -> Option<()> {
        match kind {
            extension::SERVER_NAME if is_client => {
                if again {
                    events.push(Event::MultipleSniExtensions);
                    return Some(());
                }
                if data.0.is_empty() {
                    return Some(());
                }
                let mut list = Reader(data.long()?);
                if list.u8()? != 0 {
                    events.push(Event::InvalidSniType);
                    return Some(());
                }
                match list.long() {
                    Some(name) => self.server_name = Some(name.to_vec()),
                    None => events.push(Event::InvalidSniLength),
                }
            }
            extension::SUPPORTED_GROUPS => self.groups = words(data.long()?),
            extension::EC_POINT_FORMATS => self.formats = data.short()?.to_vec(),
            extension::SIGNATURE_ALGORITHMS => self.signatures = words(data.long()?),
            extension::SESSION_TICKET => self.ticket = !data.0.is_empty(),
            extension::ALPN => {
                let mut list = Reader(data.long()?);
                while !list.0.is_empty() {
                    self.alpn.push(list.short()?.to_vec());
                }
            }
            extension::SUPPORTED_VERSIONS if is_client => {
                self.versions = words(data.short()?);
                let first = self.versions.iter().find(|version| is_version(**version));
                self.version = first.copied().unwrap_or(self.version);
            }
            extension::SUPPORTED_VERSIONS => self.version = data.u16()?,
            _ => {}
        }
        Some(())
    }

    /// The hello of SSL 2.0 that offers something newer too (RFC 5246, E.2): version and ciphers.
    pub fn read_v2(body: &[u8]) -> Option<Self> {
        let mut reader = Reader(body);
        let version = reader.u16()?;
        let (ciphers, session, challenge) = (reader.u16()?, reader.u16()?, reader.u16()?);
        let ciphers = reader.take(usize::from(ciphers))?;
        let session_id = reader.take(usize::from(session))?.to_vec();
        let random = reader.take(usize::from(challenge))?.to_vec();
        // Those of SSL 2.0 itself have a first byte that is not 0.
        let ciphers = ciphers.as_chunks::<3>().0.iter().filter_map(|cipher| match cipher {
            [0, high, low] => Some(u16::from_be_bytes([*high, *low])),
            _ => None,
        });
        let ciphers = ciphers.collect();
        Some(Self {
            legacy_version: version,
            version,
            random,
            session_id,
            ciphers,
            ..Self::default()
        })
    }
}

/// Whether it is a version of SSL or TLS, drafts of TLS 1.3 included.
pub fn is_version(version: u16) -> bool {
    matches!(version, 0x0002 | 0x0200 | 0x0300..=0x0304 | 0x7f01..=0x7fff)
}
