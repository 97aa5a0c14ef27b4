//! `pcrexform`: an expression with one group; the buffer becomes what the group captured first.
//!
//! [`Engine`] is the seam: nothing else here knows what matches. What this one cannot do (look-around,
//! back-references) refuses the rule.

use std::hash;
use std::sync::Arc;

use regex_automata::meta;
use regex_automata::util::syntax;

use crate::detect::keyword::value::{Fault, Use, Word};

/// An expression and its group. Equal when written alike.
#[derive(Clone, Debug)]
pub struct Capture {
    text: Arc<str>,
    engine: Engine,
}

impl PartialEq for Capture {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Capture {}

impl hash::Hash for Capture {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Capture {
    pub(super) fn read(keyword: &Use<'_>) -> Result<Self, Fault> {
        let value = keyword.value()?;
        let word = value.unquote();
        if word == value {
            return Err(value.bad("the expression must stand in double quotes"));
        }
        Ok(Self { text: word.text.into(), engine: Engine::new(word)? })
    }

    /// What the group captures in the first match, where it took part in it.
    pub(super) fn first<'a>(&self, input: &'a [u8]) -> Option<&'a [u8]> {
        self.engine.first(input)
    }
}

/// Bytes a compiled expression may take.
const SIZE: usize = 1 << 20;

#[derive(Clone, Debug)]
struct Engine(meta::Regex);

impl Engine {
    fn new(word: Word<'_>) -> Result<Self, Fault> {
        let config = meta::Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(SIZE))
            .onepass_size_limit(Some(SIZE))
            .hybrid_cache_capacity(SIZE);
        let regex = meta::Builder::new()
            .configure(config)
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .build(word.text)
            .map_err(|error| {
                let reason = match error.syntax_error() {
                    Some(error) => last_line(&error.to_string()).to_owned(),
                    None => "larger than an expression may be".to_owned(),
                };
                word.bad(format!("this expression cannot be used: {reason}"))
            })?;
        match regex.captures_len() {
            2 => Ok(Self(regex)),
            groups => Err(word.bad(format!(
                "the expression needs exactly one group that captures, this has {}",
                groups.saturating_sub(1)
            ))),
        }
    }

    fn first<'a>(&self, input: &'a [u8]) -> Option<&'a [u8]> {
        let mut slots = [None; 4];
        self.0.search_slots(&regex_automata::Input::new(input), &mut slots)?;
        let [_, _, start, end] = slots;
        input.get(start?.get()..end?.get())
    }
}

/// The parser tells the reason in its last line, behind a picture of the expression.
fn last_line(text: &str) -> &str {
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line)
}
