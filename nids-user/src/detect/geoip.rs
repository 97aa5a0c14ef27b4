//! `geoip`: in which country the addresses of a packet are, by a MaxMind database (Suricata user guide,
//! "IP Keywords", geoip). Both families are looked up. An address of no known country matches nothing,
//! not even a negation.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use maxminddb::{PathElement, Reader};
use thiserror::Error;

use super::dataset::MAX_FILE;
use super::keyword::value::{Fault, Word};
use crate::rule::diagnostic::ReasonKind;

/// Countries a rule may name (as in Suricata).
const MOST: usize = 64;

/// A country by its ISO 3166-1 code of two capital letters.
type Country = [u8; 2];

/// The countries of addresses, from the setting `geoip-database`.
#[derive(Debug)]
pub struct CountryDatabase {
    reader: Reader<Vec<u8>>,
}

/// Why there is no database.
#[derive(Debug, Error)]
pub enum GeoipError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It is damaged, or something else.
    #[error("not a sound MaxMind database: {0}")]
    Database(#[from] maxminddb::MaxMindDbError),
}

impl CountryDatabase {
    /// Reads a database into memory and verifies it whole, so that no packet finds a damaged part.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn open(path: &Path) -> Result<Self, GeoipError> {
        let data = std::fs::metadata(path)?;
        if !data.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file").into());
        }
        if data.len() > MAX_FILE {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge).into());
        }
        Self::new(std::fs::read(path)?)
    }

    fn new(bytes: Vec<u8>) -> Result<Self, GeoipError> {
        let reader = Reader::from_source(bytes)?;
        reader.verify()?;
        Ok(Self { reader })
    }

    #[inline]
    fn country(&self, address: IpAddr) -> Option<Country> {
        const PATH: [PathElement<'_>; 2] =
            [PathElement::Key("country"), PathElement::Key("iso_code")];
        let found = self.reader.lookup(address).ok()?;
        let code = found.decode_path::<&str>(&PATH).ok()??;
        code.as_bytes().try_into().ok()
    }
}

/// Whose address is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Source,
    Destination,
    Any,
    Both,
}

/// One use of `geoip` in a rule.
#[derive(Clone, Debug)]
pub struct GeoipUse {
    database: Arc<CountryDatabase>,
    side: Side,
    negated: bool,
    /// Sorted.
    countries: Box<[Country]>,
}

impl GeoipUse {
    /// Reads `SIDE,COUNTRY,...`, where the side may be left out (any) and a `!` before the first country
    /// negates them all.
    ///
    /// # Errors
    /// The value is none, or there is no database.
    pub fn read(word: Word<'_>, database: Option<&Arc<CountryDatabase>>) -> Result<Self, Fault> {
        let mut parts = word.split(',').peekable();
        let side = match parts.peek().map(|part| part.text) {
            Some("src") => Some(Side::Source),
            Some("dst") => Some(Side::Destination),
            Some("any") => Some(Side::Any),
            Some("both") => Some(Side::Both),
            _ => None,
        };
        if side.is_some() {
            parts.next();
        }
        let (mut negated, mut countries) = (false, Vec::new());
        for (place, part) in parts.enumerate() {
            let part = match part.strip_prefix("!") {
                // In Suricata a `!` anywhere negates all, which reads as if it negated one.
                Some(_) if place > 0 && !negated => {
                    let reason = "`!` negates all countries: it stands before the first";
                    return Err(part.fault(ReasonKind::Conflict, reason));
                }
                Some(rest) => {
                    negated = true;
                    rest
                }
                None => part,
            };
            countries.push(country(part)?);
        }
        if countries.is_empty() {
            return Err(word.bad("`geoip` needs a country"));
        }
        if countries.len() > MOST {
            return Err(word.bad(format!("`geoip` takes {MOST} countries at most")));
        }
        let Some(database) = database else {
            return Err(word.bad("there is no database of countries: `geoip-database` is not set"));
        };
        countries.sort_unstable();
        Ok(Self {
            database: database.clone(),
            side: side.unwrap_or(Side::Any),
            negated,
            countries: countries.into(),
        })
    }

    /// Whether a packet between these addresses matches.
    #[inline]
    pub fn matches(&self, source: IpAddr, destination: IpAddr) -> bool {
        let holds = |address| {
            let country = self.database.country(address);
            country.is_some_and(|c| self.countries.binary_search(&c).is_ok() != self.negated)
        };
        match self.side {
            Side::Source => holds(source),
            Side::Destination => holds(destination),
            Side::Any => holds(source) || holds(destination),
            Side::Both => holds(source) && holds(destination),
        }
    }
}

fn country(word: Word<'_>) -> Result<Country, Fault> {
    match <Country>::try_from(word.text.as_bytes()) {
        Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(code),
        Ok(code) if code.iter().all(u8::is_ascii_alphabetic) => {
            let fault = word.bad("a country is written with capital letters");
            Err(fault.help(format!("did you mean `{}`?", word.text.to_ascii_uppercase())))
        }
        _ => Err(word.bad("a country is a code of two letters, such as US")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Vec<u8> {
        [&[2 << 5 | text.len() as u8], text.as_bytes()].concat()
    }

    fn map(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let pairs = pairs.iter().flat_map(|(key, value)| [string(key), value.clone()]);
        [vec![(7 << 5) | (pairs.clone().count() as u8 / 2)], pairs.flatten().collect()].concat()
    }

    /// Writes a database (MaxMind DB file format 2.0) of these networks: address, bits, country.
    fn database(networks: &[(&str, usize, Option<&str>)]) -> Vec<u8> {
        let mut nodes = vec![[None::<usize>; 2]];
        let mut leaves = vec![[None::<usize>; 2]];
        let mut data = Vec::new();
        for (address, bits, country) in networks {
            // IPv4 lies in ::/96.
            let (address, bits) = match address.parse().unwrap() {
                IpAddr::V4(address) => (u128::from(u32::from(address)), bits + 96),
                IpAddr::V6(address) => (u128::from(address), *bits),
            };
            let mut node = 0;
            for depth in 0..bits {
                let bit = (address >> (127 - depth)) as usize & 1;
                if depth + 1 == bits {
                    leaves[node][bit] = Some(data.len());
                } else if let Some(next) = nodes[node][bit] {
                    node = next;
                } else {
                    nodes[node][bit] = Some(nodes.len());
                    node = nodes.len();
                    nodes.push([None; 2]);
                    leaves.push([None; 2]);
                }
            }
            data.extend(match country {
                Some(code) => map(&[("country", map(&[("iso_code", string(code))]))]),
                None => map(&[("country", map(&[]))]),
            });
        }
        let count = nodes.len();
        let mut bytes = Vec::new();
        for (nodes, leaves) in nodes.iter().zip(&leaves) {
            for side in 0..2 {
                let leaf = leaves[side].map(|offset| count + 16 + offset);
                let record = nodes[side].or(leaf).unwrap_or(count) as u32;
                bytes.extend(&record.to_be_bytes()[1..]);
            }
        }
        bytes.extend([0; 16]);
        bytes.extend(data);
        bytes.extend(b"\xab\xcd\xefMaxMind.com");
        let short = |number: u8| vec![5 << 5 | 1, number];
        bytes.extend(map(&[
            ("binary_format_major_version", short(2)),
            ("binary_format_minor_version", short(0)),
            ("build_epoch", vec![1, 2, 1]),
            ("database_type", string("Test-Country")),
            ("description", map(&[("en", string("Test"))])),
            ("ip_version", short(6)),
            ("languages", vec![0, 4]),
            ("node_count", [&[6 << 5 | 4][..], &(count as u32).to_be_bytes()].concat()),
            ("record_size", short(24)),
        ]));
        bytes
    }

    fn bytes() -> Vec<u8> {
        database(&[
            ("1.0.0.0", 8, Some("US")),
            ("2.0.0.0", 9, Some("DE")),
            ("3.3.3.3", 32, None),
            ("2001:db8::", 32, Some("DE")),
        ])
    }

    fn read(text: &str) -> Result<GeoipUse, Fault> {
        let database = Arc::new(CountryDatabase::new(bytes()).unwrap());
        GeoipUse::read(Word { text, start: 0 }, Some(&database))
    }

    #[test]
    fn sides_and_negation() {
        let [us, de, six, none, unnamed]: [IpAddr; 5] =
            ["1.2.3.4", "2.127.0.1", "2001:db8::7", "2.128.0.1", "3.3.3.3"]
                .map(|text| text.parse().unwrap());
        for (text, source, destination, matches) in [
            ("src,US", us, none, true),
            ("src,US", none, us, false),
            ("dst, DE , US", none, us, true),
            ("dst,DE", none, six, true),
            ("US", none, us, true),
            ("any,US", us, none, true),
            ("any,US", de, six, false),
            ("both,DE,FR", de, six, true),
            ("both,DE", de, us, false),
            ("both,DE", de, none, false),
            ("src,!US", de, none, true),
            ("src,!US,DE", de, none, false),
            ("src,!US,!DE", us, none, false),
            ("src,!US", none, none, false),
            ("src,!US", unnamed, none, false),
            ("both,!US", de, six, true),
            ("!US", us, de, true),
            ("!US", us, none, false),
        ] {
            assert_eq!(read(text).unwrap().matches(source, destination), matches, "{text}");
        }
    }

    #[test]
    fn refused_with_the_place() {
        let many = ["DE"; MOST + 1].join(",");
        for (text, place, reason) in [
            ("src", "src", "needs a country"),
            ("", "", "two letters"),
            ("src,", "", "two letters"),
            ("source,US", "source", "two letters"),
            ("src,us", "us", "capital"),
            ("src,!", "", "two letters"),
            ("src,US,!DE", "!DE", "before the first"),
            (&many, &many, "64 countries"),
        ] {
            let fault = read(text).expect_err(text);
            assert!(fault.reason.contains(reason), "{text}: {}", fault.reason);
            assert_eq!(text.get(fault.span.start..fault.span.end), Some(place), "{text}");
        }
        let none = GeoipUse::read(Word { text: "src,US", start: 0 }, None).unwrap_err();
        assert!(none.reason.contains("`geoip-database`"));
    }

    #[test]
    fn files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("country.mmdb");
        assert!(matches!(CountryDatabase::open(&path), Err(GeoipError::Read(_))));
        assert!(matches!(CountryDatabase::open(folder.path()), Err(GeoipError::Read(_))));
        std::fs::write(&path, bytes()).unwrap();
        let database = CountryDatabase::open(&path).unwrap();
        assert_eq!(database.country("1.1.1.1".parse().unwrap()), Some(*b"US"));
        std::fs::write(&path, "not a database").unwrap();
        assert!(matches!(CountryDatabase::open(&path), Err(GeoipError::Database(_))));
    }

    /// A damaged database is refused, or its look-ups end.
    #[test]
    fn damage_does_no_harm() {
        let (bytes, mut refused, mut taken) = (bytes(), 0, 0);
        for at in 0..bytes.len() {
            for damage in [0, 0xff, bytes[at] ^ 0x20] {
                let mut damaged = bytes.clone();
                damaged[at] = damage;
                match CountryDatabase::new(damaged) {
                    Ok(database) => {
                        taken += 1;
                        for address in ["1.2.3.4", "2.0.0.1", "3.3.3.3", "2001:db8::7", "ff::"] {
                            let country = database.country(address.parse().unwrap());
                            assert!(country.is_none_or(|code| code.len() == 2));
                        }
                    }
                    Err(_) => refused += 1,
                }
            }
            refused += usize::from(CountryDatabase::new(bytes[..at].to_vec()).is_err());
        }
        assert!(refused > bytes.len(), "only {refused} refused");
        assert!(taken > bytes.len() / 4, "only {taken} taken");
    }
}
