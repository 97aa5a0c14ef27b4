//! Rule text: lexer, parser, AST, variables, files, and the words in which a rule is refused.
//!
//! This is the grammar all three dialects share. What a keyword means is left to `detect::keyword`,
//! which turns the [`ast::Rule`] into a signature or refuses it with a [`diagnostic::Refusal`].

pub mod address;
pub mod ast;
pub mod classification;
pub mod config_line;
pub mod diagnostic;
pub mod dialect;
mod glob;
mod interval;
pub mod keywords;
pub mod lexer;
pub mod lint;
pub mod load;
pub mod parser;
pub mod port;
pub mod reference;
pub mod report;
pub mod requires;
pub mod tuning;
pub mod variables;
