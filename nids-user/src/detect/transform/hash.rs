//! `to_md5`, `to_sha1`, `to_sha256`: the digest as bytes, not as text. As in Suricata 7, an empty buffer
//! has one too.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Which digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// RFC 1321.
    Md5,
    /// RFC 3174.
    Sha1,
    /// RFC 6234.
    Sha256,
}

impl Hash {
    pub(super) fn apply(self, input: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Md5 => out.extend_from_slice(&Md5::digest(input)),
            Self::Sha1 => out.extend_from_slice(&Sha1::digest(input)),
            Self::Sha256 => out.extend_from_slice(&Sha256::digest(input)),
        }
    }

    /// Bytes of the digest.
    pub fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}
