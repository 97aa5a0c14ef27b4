//! From text to words, numbers and signs, each with its place.

use crate::rule::ast::{Span, Spanned};

use super::FilterError;

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword, name, number or address.
    Word(String),
    /// `\word`: a name that is not the keyword.
    Escaped(String),
    /// Anything else.
    Sign(&'static str),
}

/// Longest first.
const SIGNS: [&str; 24] = [
    "&&", "||", "<<", ">>", "<=", ">=", "==", "!=", "(", ")", "[", "]", ":", "!", "=", "<", ">",
    "&", "|", "^", "+", "-", "*", "%",
];

/// Splits the text. Inside brackets `:` and `-` are signs, elsewhere they belong to words.
pub(super) fn tokens(text: &str) -> Result<Vec<Spanned<Token>>, FilterError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut brackets = 0usize;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (node, length) = if let Some(escaped) = rest.strip_prefix('\\') {
            let word = word(escaped, brackets > 0);
            (Token::Escaped(word.to_owned()), 1 + word.len())
        } else {
            match word(rest, brackets > 0) {
                "" => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                    Some(sign) => (Token::Sign(sign), sign.len()),
                    // A division, as no word goes on here.
                    None if c == '/' => (Token::Sign("/"), 1),
                    None => {
                        return Err(FilterError {
                            text: text.to_owned(),
                            span: Span { start: at, end: at + c.len_utf8() },
                            reason: format!("{c:?} has no meaning here"),
                            help: None,
                        });
                    }
                },
                word => (Token::Word(word.to_owned()), word.len()),
            }
        };
        match node {
            Token::Sign("[") => brackets += 1,
            Token::Sign("]") => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        tokens.push(Spanned { node, span: Span { start: at, end: at + length } });
        at += length;
    }
    Ok(tokens)
}

/// The word `text` begins with, perhaps none.
fn word(text: &str, in_brackets: bool) -> &str {
    let inside = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' => true,
        ':' => !in_brackets,
        _ => false,
    };
    let mut end = 0;
    for (at, c) in text.char_indices() {
        // A hyphen joins what stands on both sides (tcp-syn, 80-90), a slash an address and a number.
        let joins = matches!(c, '-' | '/') && at > 0 && {
            let next = text.get(at + 1..).and_then(|rest| rest.chars().next());
            let digits = text.get(..at).is_some_and(|w| w.bytes().all(|b| b.is_ascii_digit()));
            next.is_some_and(inside) && !(in_brackets && (c == '/' || digits))
        };
        if !inside(c) && !joins {
            break;
        }
        end = at + c.len_utf8();
    }
    text.get(..end).unwrap_or_default()
}
