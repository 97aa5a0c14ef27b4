//! The value of an option as a keyword reads it: text that knows its place in the rule.

use crate::rule::ast::{Rule, Span};
use crate::rule::diagnostic::{ReasonKind, Refusal};

/// Why a keyword refuses its rule, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Place in the rule's text.
    pub span: Span,
    /// Kind of reason.
    pub kind: ReasonKind,
    /// The reason in words: lower case, no full stop.
    pub reason: String,
    /// A way out.
    pub help: Option<String>,
}

impl Fault {
    /// A fault at `span`.
    pub fn new(span: Span, kind: ReasonKind, reason: impl Into<String>) -> Self {
        Self { span, kind, reason: reason.into(), help: None }
    }
    /// With a way out.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Fault {
    /// The refusal of `rule` for this.
    pub fn refuse(self, rule: &Rule) -> Refusal {
        Refusal { help: self.help, ..Refusal::new(rule, self.span, self.kind, self.reason) }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self { span: refusal.span, kind: refusal.kind, reason: refusal.reason, help: refusal.help }
    }
}

/// A piece of the rule's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// The text.
    pub text: &'a str,
    /// Where it begins in the rule.
    pub start: usize,
}

impl<'a> Word<'a> {
    /// Its place.
    pub fn span(&self) -> Span {
        Span { start: self.start, end: self.start + self.text.len() }
    }

    /// Without blanks around it.
    pub fn trim(self) -> Self {
        let text = self.text.trim_start();
        let start = self.start + (self.text.len() - text.len());
        Self { text: text.trim_end(), start }
    }

    /// The parts between `separator`, trimmed.
    pub fn split(self, separator: char) -> impl Iterator<Item = Self> {
        let mut start = self.start;
        self.text.split(separator).map(move |text| {
            let part = Self { text, start };
            start += text.len() + separator.len_utf8();
            part.trim()
        })
    }

    /// The parts around the first `separator`, trimmed.
    pub fn split_once(self, separator: &str) -> Option<(Self, Self)> {
        let (left, right) = self.text.split_once(separator)?;
        let start = self.start + left.len() + separator.len();
        Some((Self { text: left, ..self }.trim(), Self { text: right, start }.trim()))
    }

    /// What follows `prefix`, trimmed.
    pub fn strip_prefix(self, prefix: &str) -> Option<Self> {
        let text = self.text.strip_prefix(prefix)?;
        Some(Self { text, start: self.start + prefix.len() }.trim())
    }

    /// What follows the first `bytes` bytes, trimmed.
    pub fn skip(self, bytes: usize) -> Self {
        let text = self.text.get(bytes..).unwrap_or_default();
        Self { text, start: self.start + (self.text.len() - text.len()) }.trim()
    }

    /// What stands before `suffix`, trimmed.
    pub fn strip_suffix(self, suffix: &str) -> Option<Self> {
        let text = self.text.strip_suffix(suffix)?;
        Some(Self { text, ..self }.trim())
    }

    /// What stands between double quotes, if it is quoted as a whole; else itself.
    pub fn unquote(self) -> Self {
        match self.text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(text) => Self { text, start: self.start + 1 },
            None => self,
        }
    }

    /// A fault at this place.
    pub fn fault(&self, kind: ReasonKind, reason: impl Into<String>) -> Fault {
        Fault::new(self.span(), kind, reason)
    }

    /// A fault: the keyword cannot take this value.
    pub fn bad(&self, reason: impl Into<String>) -> Fault {
        self.fault(ReasonKind::BadValue, reason)
    }

    /// A number of decimal digits between `least` and `most`.
    pub fn number<T>(&self, least: T, most: T) -> Result<T, Fault>
    where
        T: TryFrom<i128> + PartialOrd + std::fmt::Display + Copy,
    {
        let digits = self.text.strip_prefix(['-', '+']).unwrap_or(self.text);
        let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !valid {
            return Err(self.bad(format!("`{}` is not a number", self.text)));
        }
        let value = self.text.parse::<i128>().ok().and_then(|value| T::try_from(value).ok());
        match value {
            Some(value) if least <= value && value <= most => Ok(value),
            _ => Err(self.bad(format!("must be between {least} and {most}"))),
        }
    }
}

/// One use of a keyword in a rule.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// The keyword as written.
    pub name: Word<'a>,
    /// What follows the colon.
    pub value: Option<Word<'a>>,
}

impl<'a> Use<'a> {
    /// The value; a fault where there is none.
    pub fn value(&self) -> Result<Word<'a>, Fault> {
        match self.value {
            Some(value) if !value.text.is_empty() => Ok(value),
            _ => Err(self
                .name
                .fault(ReasonKind::BadValue, format!("`{}` needs a value", self.name.text))),
        }
    }

    /// A fault where there is a value.
    pub fn no_value(&self) -> Result<(), Fault> {
        match self.value {
            Some(value) => Err(value.bad(format!("`{}` takes no value", self.name.text))),
            None => Ok(()),
        }
    }

    /// A fault at the keyword: it cannot stand here.
    pub fn conflict(&self, reason: impl Into<String>) -> Fault {
        self.name.fault(ReasonKind::Conflict, reason)
    }

    /// A fault: the keyword was there already.
    pub fn twice(&self) -> Fault {
        self.conflict(format!("`{}` stands here twice", self.name.text))
    }
}
