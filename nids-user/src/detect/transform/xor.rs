//! `xor`: a key of 1 to 255 bytes, written as hexadecimal digits, laid over the buffer again and again.

use std::sync::Arc;

use crate::detect::keyword::value::{Fault, Use};

/// The key. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(Arc<[u8]>);

impl Key {
    pub(super) fn read(keyword: &Use<'_>) -> Result<Self, Fault> {
        let word = keyword.value()?.unquote();
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let (pairs, half) = word.text.as_bytes().as_chunks::<2>();
        let bytes = pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?));
        let bytes: Option<Arc<[u8]>> = bytes.collect();
        match bytes {
            Some(bytes) if half.is_empty() && (1..=255).contains(&bytes.len()) => Ok(Self(bytes)),
            _ => Err(word.bad("the key is 1 to 255 bytes, each two hexadecimal digits")),
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn apply(&self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len());
        for chunk in input.chunks(self.0.len()) {
            out.extend(chunk.iter().zip(self.0.iter()).map(|(byte, key)| byte ^ key));
        }
    }
}
