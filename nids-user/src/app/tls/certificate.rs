//! Certificates (RFC 5280), taken apart by `x509-parser`: what rules and logs ask of them.

use sha1::{Digest, Sha1};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// As sent.
    pub der: Vec<u8>,
    /// Whose it is.
    pub subject: String,
    /// Who vouches for it.
    pub issuer: String,
    /// Serial number: `0A:1B`.
    pub serial: String,
    /// SHA-1 of the whole: `0a:1b`.
    pub fingerprint: String,
    /// Names it is for beside its subject.
    pub names: Vec<String>,
    /// Seconds since 1970 from which on it is valid.
    pub not_before: i64,
    /// Until when.
    pub not_after: i64,
    /// It could be read.
    pub readable: bool,
}

impl Certificate {
    /// Reads one; what cannot be read has its fingerprint all the same.
    pub fn read(der: &[u8]) -> Self {
        let fingerprint = colons(&Sha1::digest(der), false);
        let unreadable = Self { der: der.to_vec(), fingerprint, ..Self::default() };
        let Ok((_, certificate)) = X509Certificate::from_der(der) else { return unreadable };
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.map(|extension| extension.value.general_names.iter());
        let names = names.into_iter().flatten().filter_map(|name| match name {
            GeneralName::DNSName(name) | GeneralName::RFC822Name(name) => Some((*name).to_owned()),
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            GeneralName::IPAddress(octets) => address(octets),
            _ => None,
        });
        Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            serial: colons(certificate.raw_serial(), true),
            names: names.collect(),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            readable: true,
            ..unreadable
        }
    }

    /// Bytes of memory that it takes, about.
    pub fn memory(&self) -> usize {
        let names: usize = self.names.iter().map(|name| 24 + name.capacity()).sum();
        size_of::<Self>()
            + self.der.capacity()
            + self.subject.capacity()
            + self.issuer.capacity()
            + names
    }
}

fn address(octets: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(octets).map(std::net::IpAddr::from);
    let sixteen = <[u8; 16]>::try_from(octets).map(std::net::IpAddr::from);
    Some(four.or(sixteen).ok()?.to_string())
}

/// Bytes in hexadecimal with colons between them.
fn colons(bytes: &[u8], upper: bool) -> String {
    let each = bytes.iter().map(|byte| match upper {
        true => format!("{byte:02X}"),
        false => format!("{byte:02x}"),
    });
    each.collect::<Vec<_>>().join(":")
}
