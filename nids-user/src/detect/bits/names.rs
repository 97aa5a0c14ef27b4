//! Names of bits and variables, as small numbers. A name keeps its number as long as the process lives,
//! so that flows keep what they have when rules are loaded anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::detect::keyword::value::{Fault, Word};

/// Names of one kind there can be. The public rulesets use some 600 flow bits.
pub const MAX_NAMES: usize = 1 << 15;
/// Bytes of a name (Suricata has the same bound).
pub const MAX_NAME: usize = 255;

/// A kind of name: each has numbers of its own.
macro_rules! id {
    ($($(#[$doc:meta])* $name:ident = $kind:literal, $what:literal;)*) => {
        const KINDS: usize = [$($kind),*].len();
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
            pub struct $name(pub(super) u16);

            impl $name {
                /// The number of this name: its own, or the next.
                pub fn of(names: &Names, word: Word<'_>) -> Result<Self, Fault> {
                    names.number($kind, $what, word).map(Self)
                }
                /// The name.
                pub fn name(self, names: &Names) -> Option<Arc<str>> {
                    names.name($kind, self.0)
                }
                /// The number, below [`MAX_NAMES`].
                pub fn number(self) -> u16 {
                    self.0
                }
            }
        )*
    };
}

id! {
    /// `flowbits`.
    BitId = 0, "flow bits";
    /// `flowint`.
    IntId = 1, "flow numbers";
    /// Texts on a flow, such as captures of `pcre`.
    TextId = 2, "flow variables";
    /// `hostbits`, and `xbits` on one host.
    HostBitId = 3, "host bits";
    /// `xbits` on a pair of hosts.
    PairBitId = 4, "bits of pairs";
    /// `xbits` on a transaction.
    TxBitId = 5, "bits of transactions";
}

/// All names there ever were.
#[derive(Debug, Default)]
pub struct Names {
    kinds: [Mutex<Kind>; KINDS],
}

#[derive(Debug, Default)]
struct Kind {
    numbers: HashMap<Arc<str>, u16>,
    names: Vec<Arc<str>>,
}

impl Names {
    /// Those of this process.
    pub fn process() -> &'static Self {
        static NAMES: OnceLock<Names> = OnceLock::new();
        NAMES.get_or_init(Self::default)
    }

    fn number(&self, kind: usize, what: &str, word: Word<'_>) -> Result<u16, Fault> {
        if word.text.is_empty() {
            return Err(word.bad("the name is missing"));
        }
        if word.text.len() > MAX_NAME {
            return Err(word.bad(format!("a name has at most {MAX_NAME} bytes")));
        }
        if word.text.contains(|c: char| c.is_ascii_whitespace()) {
            return Err(word.bad("a blank cannot stand in a name"));
        }
        let full = || word.bad(format!("there cannot be more than {MAX_NAMES} names of {what}"));
        let Some(kind) = self.kinds.get(kind) else { return Err(full()) };
        let mut kind = kind.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = kind.numbers.get(word.text) {
            return Ok(*number);
        }
        let number = kind.names.len();
        let number = u16::try_from(number).ok().filter(|_| number < MAX_NAMES).ok_or_else(full)?;
        let name: Arc<str> = word.text.into();
        kind.names.push(name.clone());
        kind.numbers.insert(name, number);
        Ok(number)
    }

    fn name(&self, kind: usize, number: u16) -> Option<Arc<str>> {
        let kind = self.kinds.get(kind)?.lock().unwrap_or_else(PoisonError::into_inner);
        kind.names.get(usize::from(number)).cloned()
    }
}
