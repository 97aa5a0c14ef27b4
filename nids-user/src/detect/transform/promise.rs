//! What is certain of transformed buffers when a rule is loaded: a content that goes against it could
//! never match, and refuses the rule.
//!
//! Suricata asks each transform alone, and so refuses `to_lowercase; to_uppercase; content:"A"`, and a
//! digest with a byte like white space behind `strip_whitespace`. Here the whole list is followed. Like
//! there, negated contents need not be asked for.

use super::whitespace::is_space;
use super::{FromBase64, Hash, Inflate, Transform};
use crate::detect::keyword::value::{Fault, Use};

/// What is certain of the bytes behind a list of transforms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promise {
    no_space: bool,
    no_spaces_in_a_row: bool,
    no_upper: bool,
    no_lower: bool,
    /// Bytes there are at most.
    most: Option<usize>,
}

impl Promise {
    /// What `list` promises.
    pub fn of(list: &[Transform]) -> Self {
        list.iter().fold(Self::default(), |promise, transform| promise.then(transform))
    }

    fn then(self, transform: &Transform) -> Self {
        let only_size = Self { most: self.most, ..Self::default() };
        match transform {
            Transform::DotPrefix => Self { most: self.most.map(|most| most + 1), ..self },
            Transform::StripWhitespace => Self { no_space: true, no_spaces_in_a_row: true, ..self },
            Transform::CompressWhitespace => Self { no_spaces_in_a_row: true, ..self },
            Transform::ToLowercase => Self { no_upper: true, no_lower: false, ..self },
            Transform::ToUppercase => Self { no_upper: false, no_lower: true, ..self },
            Transform::HeaderLowercase => Self { no_lower: false, ..self },
            // Lines that were apart come together.
            Transform::StripPseudoHeaders => Self { no_spaces_in_a_row: self.no_space, ..self },
            Transform::Capture(_) | Transform::Domain | Transform::PublicSuffix => self,
            Transform::Subslice(_) => self,
            Transform::UrlDecode | Transform::Xor(_) => only_size,
            Transform::FromBase64(FromBase64 { .. }) => {
                Self { most: self.most.map(super::base64::most), ..Self::default() }
            }
            Transform::Hash(hash) => Self { most: Some(Hash::size(*hash)), ..Self::default() },
            Transform::Inflate(inflate) => Self {
                most: Some(Inflate::most(*inflate, self.most.unwrap_or(usize::MAX))),
                ..Self::default()
            },
        }
    }

    /// Whether buffers can hold `content`.
    pub fn allows(&self, content: &[u8], nocase: bool) -> bool {
        self.objection(content, nocase).is_none()
    }

    /// A fault at `keyword`, a content that is not negated, where no buffer can hold it.
    pub fn verify(&self, content: &[u8], nocase: bool, keyword: &Use<'_>) -> Result<(), Fault> {
        match self.objection(content, nocase) {
            None => Ok(()),
            Some(reason) => {
                Err(keyword.conflict(format!("this content can never match: {reason}")))
            }
        }
    }

    fn objection(&self, content: &[u8], nocase: bool) -> Option<String> {
        let spaces = |pair: &[u8; 2]| pair.iter().all(|byte| is_space(*byte));
        Some(match self {
            Self { most: Some(most), .. } if content.len() > *most => {
                format!("the buffer is transformed to {most} bytes at most")
            }
            Self { no_space: true, .. } if content.iter().any(|byte| is_space(*byte)) => {
                "white space is stripped from the buffer".to_owned()
            }
            Self { no_spaces_in_a_row: true, .. } if content.array_windows().any(spaces) => {
                "white space in a row is compressed to one byte".to_owned()
            }
            Self { no_upper: true, .. }
                if !nocase && content.iter().any(u8::is_ascii_uppercase) =>
            {
                "the buffer is transformed to lower case".to_owned()
            }
            Self { no_lower: true, .. }
                if !nocase && content.iter().any(u8::is_ascii_lowercase) =>
            {
                "the buffer is transformed to upper case".to_owned()
            }
            _ => return None,
        })
    }
}
