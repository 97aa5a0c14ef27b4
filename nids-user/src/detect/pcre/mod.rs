//! The `pcre` keyword: the reading of its value, and the engine behind it.
//!
//! Patterns are PCRE2's, on bytes. [`Value`] reads what stands in a rule; [`Regex`] is the compiled pattern.
//! Which buffer it looks at, and its place in the chain of a rule's contents, is left to the caller.
//!
//! ```text
//! value -> parser (text to tree) -> analysis (where a match can begin, what must be in it)
//!                                -> program -> matcher (back-tracking, with a budget)
//!                                -> linear (automata, where the matcher takes too long)
//! ```
//!
//! A relative pattern (`R`) sees the subject from the cursor on as all there is: pass `&buffer[cursor..]`.
//! To try a pattern again after what followed it failed, search from one byte behind the start of the match
//! before.

mod analysis;
mod ast;
mod byte_set;
mod linear;
mod matcher;
mod parser;
mod program;
mod regex;
mod value;

#[cfg(test)]
mod tests;

pub use parser::{Error, Flags};
pub use regex::{Budget, Captures, Outcome, Regex};
pub use value::{BufferFlag, Capture, Scope, Target, Value};
