//! DNS messages (RFC 1035, 4), also those of mDNS (RFC 6762, 18).
//!
//! A message is read as far as it goes: what comes before something unreadable is kept, with a mark of what was
//! wrong. Names are followed through their compression pointers within bounds, so that no message can make
//! more of itself than [`MAX_NAMES`].

/// Length of a name that is kept, in its text form. Longer ones are cut off. dnsmasq's bound, and Suricata's.
pub const MAX_NAME: usize = 1025;
/// Labels and pointers that are followed for one name.
const MAX_LABELS: usize = 255;
/// Bytes of all names of one message: a pointer makes two bytes many.
pub const MAX_NAMES: usize = 256 << 10;
/// Strings of one TXT record that are read.
const MAX_STRINGS: usize = 1024;
/// Length of a message's header.
pub const HEADER: usize = 12;

/// Types of records (IANA, DNS Parameters) whose data is read.
pub mod kind {
    /// An IPv4 address.
    pub const A: u16 = 1;
    /// A name server.
    pub const NS: u16 = 2;
    /// The name that this one is an alias of.
    pub const CNAME: u16 = 5;
    /// Where a zone begins.
    pub const SOA: u16 = 6;
    /// Anything.
    pub const NULL: u16 = 10;
    /// Another name.
    pub const PTR: u16 = 12;
    /// A mail server.
    pub const MX: u16 = 15;
    /// Text.
    pub const TXT: u16 = 16;
    /// An IPv6 address.
    pub const AAAA: u16 = 28;
    /// A server of a service.
    pub const SRV: u16 = 33;
    /// Options of EDNS (RFC 6891).
    pub const OPT: u16 = 41;
    /// The fingerprint of an SSH key.
    pub const SSHFP: u16 = 44;
}

/// The header (RFC 1035, 4.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// What a response has in common with its request.
    pub id: u16,
    /// QR, opcode, AA, TC, RD, RA, Z, AD, CD, rcode.
    pub flags: u16,
    /// Questions, answers, authorities, additional records that are announced.
    pub counts: [u16; 4],
}

impl Header {
    /// The first twelve bytes.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { message: bytes, at: 0 };
        let (id, flags) = (reader.u16()?, reader.u16()?);
        Some(Self {
            id,
            flags,
            counts: [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?],
        })
    }
    /// QR: it answers.
    pub fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }
    /// What is asked for: 0 is a query.
    pub fn opcode(&self) -> u8 {
        (self.flags >> 11) as u8 & 0xf
    }
    /// How it went.
    pub fn rcode(&self) -> u8 {
        self.flags as u8 & 0xf
    }
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// With dots between the labels, none at the end; bytes as they came.
    pub name: Vec<u8>,
    /// What is asked.
    pub kind: u16,
    /// Usually 1, the Internet.
    pub class: u16,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose.
    pub name: Vec<u8>,
    /// Of what type.
    pub kind: u16,
    /// Usually 1; of OPT the size of datagrams.
    pub class: u16,
    /// Seconds; of OPT flags.
    pub ttl: u32,
    /// What it says.
    pub data: RecordData,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordData {
    /// Of A and AAAA: the address.
    Address(Vec<u8>),
    /// Of CNAME, NS, PTR.
    Name(Vec<u8>),
    /// Of MX: the mail server.
    Mail(Vec<u8>),
    /// Of SOA.
    Authority(Box<Authority>),
    /// One string of TXT.
    Text(Vec<u8>),
    /// Of SRV.
    Service {
        /// Lower ones first.
        priority: u16,
        /// Among equals.
        weight: u16,
        /// Its port.
        port: u16,
        /// Its host.
        target: Vec<u8>,
    },
    /// Of SSHFP.
    Fingerprint {
        /// Of the key.
        algorithm: u8,
        /// Of the hash.
        kind: u8,
        /// The hash.
        bytes: Vec<u8>,
    },
    /// Of OPT: codes and values.
    Options(Vec<(u16, Vec<u8>)>),
    /// Of any other type.
    Other(Vec<u8>),
}

/// The data of SOA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The primary name server.
    pub server: Vec<u8>,
    /// Who answers for it.
    pub mailbox: Vec<u8>,
    /// Serial number, refresh, retry, expire, minimum.
    pub numbers: [u32; 5],
}

/// What was wrong with a message, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Odd(u8);

impl Odd {
    /// Questions or answers that cannot be read.
    pub const MALFORMED: Self = Self(1);
    /// Authorities that cannot be read.
    pub const AUTHORITIES: Self = Self(1 << 1);
    /// Additional records that cannot be read.
    pub const ADDITIONALS: Self = Self(1 << 2);
    /// A name was cut off.
    pub const NAME_TOO_LONG: Self = Self(1 << 3);
    /// A pointer points at itself.
    pub const LOOP: Self = Self(1 << 4);
    /// A name of too many labels.
    pub const LABELS: Self = Self(1 << 5);

    /// Whether all of `other` is in it.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
    fn note(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// A message, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Its header.
    pub header: Header,
    /// Its questions.
    pub questions: Vec<Question>,
    /// Its answers; a TXT record of several strings is several.
    pub answers: Vec<Record>,
    /// Its authority records.
    pub authorities: Vec<Record>,
    /// Its additional records.
    pub additionals: Vec<Record>,
    /// What was wrong.
    pub odd: Odd,
}

impl Message {
    /// Reads a message; `None` where not even a header is there.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let header = Header::read(bytes)?;
        let mut message = Self { header, ..Self::default() };
        let mut parser =
            Parser { reader: Reader { message: bytes, at: HEADER }, odd: Odd::default(), names: 0 };
        message.read_sections(&mut parser);
        message.odd.note(parser.odd);
        Some(message)
    }

    fn read_sections(&mut self, parser: &mut Parser<'_>) {
        let [questions, answers, authorities, additionals] = self.header.counts;
        for _ in 0..questions {
            let Some(question) = parser.question() else { return self.odd.note(Odd::MALFORMED) };
            self.questions.push(question);
        }
        for (count, records, odd) in [
            (answers, &mut self.answers, Odd::MALFORMED),
            (authorities, &mut self.authorities, Odd::AUTHORITIES),
            (additionals, &mut self.additionals, Odd::ADDITIONALS),
        ] {
            for _ in 0..count {
                if parser.record(records).is_none() {
                    return self.odd.note(odd);
                }
            }
        }
    }

    /// Bytes of memory that it takes, about.
    pub fn memory(&self) -> usize {
        let sections = [&self.answers, &self.authorities, &self.additionals];
        let records = sections
            .into_iter()
            .flatten()
            .map(|record| size_of::<Record>() + record.name.capacity() + record.data.memory());
        let questions = self.questions.iter().map(|it| size_of::<Question>() + it.name.capacity());
        records.chain(questions).sum()
    }
}

impl RecordData {
    fn memory(&self) -> usize {
        match self {
            Self::Address(bytes) | Self::Name(bytes) | Self::Mail(bytes) | Self::Text(bytes) => {
                bytes.capacity()
            }
            Self::Fingerprint { bytes, .. } | Self::Other(bytes) => bytes.capacity(),
            Self::Service { target, .. } => target.capacity(),
            Self::Authority(soa) => {
                size_of::<Authority>() + soa.server.capacity() + soa.mailbox.capacity()
            }
            Self::Options(list) => list.iter().map(|(_, bytes)| 32 + bytes.capacity()).sum(),
        }
    }

    /// The name in it, of those types that hold one (Suricata user guide, `dns.response.rrname`).
    pub fn name(&self) -> Option<&[u8]> {
        match self {
            Self::Name(name) | Self::Mail(name) => Some(name),
            Self::Authority(soa) => Some(&soa.server),
            _ => None,
        }
    }
}

/// Takes numbers off a message.
#[derive(Clone, Copy)]
struct Reader<'m> {
    message: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    fn take(&mut self, count: usize) -> Option<&'m [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.message.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }
    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }
    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(*self.take(2)?.first_chunk()?))
    }
    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(*self.take(4)?.first_chunk()?))
    }
}

struct Parser<'m> {
    reader: Reader<'m>,
    odd: Odd,
    /// Bytes of names so far.
    names: usize,
}

impl Parser<'_> {
    fn question(&mut self) -> Option<Question> {
        let name = self.name()?;
        Some(Question { name, kind: self.reader.u16()?, class: self.reader.u16()? })
    }

    fn record(&mut self, into: &mut Vec<Record>) -> Option<()> {
        let name = self.name()?;
        let (kind, class) = (self.reader.u16()?, self.reader.u16()?);
        let (ttl, length) = (self.reader.u32()?, usize::from(self.reader.u16()?));
        let begin = self.reader.at;
        self.reader.take(length)?;
        let end = self.reader.at;
        // Names in the data may point anywhere into the message; the data itself ends where it says.
        let whole = self.reader.message;
        let mut data = Parser {
            reader: Reader { message: whole.get(..end)?, at: begin },
            odd: Odd::default(),
            names: self.names,
        };
        let result = data.records(end, (kind, class, ttl), &name, into);
        self.odd.note(data.odd);
        self.names = data.names;
        result
    }

    /// The data of one record: several records where it is TXT with several strings.
    fn records(
        &mut self,
        end: usize,
        (kind, class, ttl): (u16, u16, u32),
        name: &[u8],
        into: &mut Vec<Record>,
    ) -> Option<()> {
        for _ in 0..MAX_STRINGS {
            let data = self.data(kind, end)?;
            into.push(Record { name: name.to_vec(), kind, class, ttl, data });
            if kind != kind::TXT || self.reader.at >= end {
                return Some(());
            }
            self.names += name.len();
            if self.names > MAX_NAMES {
                self.odd.note(Odd::NAME_TOO_LONG);
                return None;
            }
        }
        None
    }

    fn data(&mut self, kind: u16, end: usize) -> Option<RecordData> {
        let rest =
            |reader: &mut Reader<'_>| Some(reader.take(end.checked_sub(reader.at)?)?.to_vec());
        Some(match kind {
            kind::A | kind::AAAA => RecordData::Address(rest(&mut self.reader)?),
            kind::CNAME | kind::NS | kind::PTR => RecordData::Name(self.name()?),
            kind::MX => {
                self.reader.u16()?;
                RecordData::Mail(self.name()?)
            }
            kind::SOA => {
                let (server, mailbox) = (self.name()?, self.name()?);
                let mut numbers = [0; 5];
                for number in &mut numbers {
                    *number = self.reader.u32()?;
                }
                RecordData::Authority(Box::new(Authority { server, mailbox, numbers }))
            }
            kind::TXT => {
                let length = usize::from(self.reader.u8()?);
                RecordData::Text(self.reader.take(length)?.to_vec())
            }
            kind::SRV => RecordData::Service {
                priority: self.reader.u16()?,
                weight: self.reader.u16()?,
                port: self.reader.u16()?,
                target: self.name()?,
            },
            kind::SSHFP => RecordData::Fingerprint {
                algorithm: self.reader.u8()?,
                kind: self.reader.u8()?,
                bytes: rest(&mut self.reader)?,
            },
            kind::OPT => {
                let mut options = Vec::new();
                while self.reader.at < end {
                    let (code, length) = (self.reader.u16()?, self.reader.u16()?);
                    options.push((code, self.reader.take(usize::from(length))?.to_vec()));
                }
                RecordData::Options(options)
            }
            _ => RecordData::Other(rest(&mut self.reader)?),
        })
    }

    /// A name (RFC 1035, 4.1.4). Where its end is known it is taken, cut off if need be; else `None`.
    fn name(&mut self) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        let mut at = self.reader;
        let mut followed = false;
        let mut cut = self.names >= MAX_NAMES;
        let mut whole = false;
        for _ in 0..=MAX_LABELS {
            // A message that ends in a name ends it.
            let Some(length) = at.u8() else {
                whole = true;
                break;
            };
            match length >> 6 {
                0 if length == 0 => {
                    whole = true;
                    break;
                }
                0 => {
                    let label = at.take(usize::from(length))?;
                    if !cut {
                        if !name.is_empty() {
                            name.push(b'.');
                        }
                        name.extend_from_slice(label);
                    }
                }
                3 => {
                    let here = at.at - 1;
                    let target = usize::from(length & 0x3f) << 8 | usize::from(at.u8()?);
                    if target == here {
                        self.odd.note(Odd::LOOP);
                        if !followed {
                            return None;
                        }
                        whole = true;
                        break;
                    }
                    if target > at.message.len() {
                        return None;
                    }
                    if !followed {
                        self.reader = at;
                        followed = true;
                    }
                    at.at = target;
                }
                _ => return None,
            }
            if name.len() > MAX_NAME {
                name.truncate(MAX_NAME);
                cut = true;
            }
            if cut && followed {
                whole = true;
                break;
            }
        }
        if !whole {
            self.odd.note(Odd::LABELS);
            if !followed {
                return None;
            }
        }
        if cut {
            self.odd.note(Odd::NAME_TOO_LONG);
        }
        if !followed {
            self.reader = at;
        }
        self.names += name.len();
        Some(name)
    }
}
