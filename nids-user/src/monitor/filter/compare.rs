//! Comparisons of numbers: `len > 100`, `tcp[tcpflags] & tcp-syn != 0`.

use super::lexer::Token;
use super::parser::{Parser, Protocol, Result};
use super::value::number;
use super::{Arith, Expr, Operator, Relation, Test, names};
use crate::rule::ast::Spanned;

impl Parser<'_> {
    /// A comparison of numbers, where one begins here.
    pub(super) fn comparison(&mut self) -> Result<Option<Expr>> {
        let (begin, start) = (self.at, self.span());
        // An error here may only mean that it is no number; one inside brackets is meant.
        let left = match self.arith(0) {
            Ok(Some(left)) => left,
            Ok(None) => {
                self.at = begin;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let relation = match self.peek() {
            Some(Token::Sign("=" | "==")) => Relation::Equal,
            Some(Token::Sign("!=")) => Relation::NotEqual,
            Some(Token::Sign("<")) => Relation::Less,
            Some(Token::Sign("<=")) => Relation::LessOrEqual,
            Some(Token::Sign(">")) => Relation::Greater,
            Some(Token::Sign(">=")) => Relation::GreaterOrEqual,
            _ => {
                if matches!(left, Arith::Number(_)) {
                    self.at = begin;
                    return Ok(None);
                }
                return Err(self.error("a comparison such as \"= 0\" must follow"));
            }
        };
        self.at += 1;
        let Some(right) = self.arith(0)? else {
            return Err(self.error("a number must follow"));
        };
        let span = self.since(start);
        Ok(Some(Expr::Test(Spanned { node: Test::Compare { left, relation, right }, span })))
    }

    /// Numbers joined by operators that bind at least as tight as `least`; `None` where none begins.
    fn arith(&mut self, least: u8) -> Result<Option<Arith>> {
        let Some(mut left) = self.nested(Self::operand)? else { return Ok(None) };
        loop {
            let Some((operator, strength)) = self.operator() else { return Ok(Some(left)) };
            if strength < least {
                return Ok(Some(left));
            }
            self.at += 1;
            let Some(right) = self.nested(|parser| parser.arith(strength + 1))? else {
                return Err(self.error("a number must follow"));
            };
            left = Arith::Binary(operator, Box::new(left), Box::new(right));
        }
    }

    /// Precedence as libpcap has it: `|` and `&` alike, then shifts, then `+ -`, then `* / % ^`.
    fn operator(&self) -> Option<(Operator, u8)> {
        match self.peek() {
            Some(Token::Sign(sign)) => Some(match *sign {
                "|" => (Operator::Or, 0),
                "&" => (Operator::And, 0),
                "<<" => (Operator::ShiftLeft, 1),
                ">>" => (Operator::ShiftRight, 1),
                "+" => (Operator::Add, 2),
                "-" => (Operator::Subtract, 2),
                "*" => (Operator::Multiply, 3),
                "/" => (Operator::Divide, 3),
                "%" => (Operator::Modulo, 3),
                "^" => (Operator::Xor, 3),
                _ => return None,
            }),
            _ => None,
        }
    }

    fn operand(&mut self) -> Result<Option<Arith>> {
        if self.take_sign(&["("]) {
            return match self.arith(0)? {
                Some(inner) if self.take_sign(&[")"]) => Ok(Some(inner)),
                // A group of tests, then.
                _ => Ok(None),
            };
        }
        let Some(word) = self.word().map(str::to_owned) else { return Ok(None) };
        if let Some(value) = number(&word).or_else(|| names::constant(&word)) {
            self.at += 1;
            return Ok(Some(Arith::Number(value)));
        }
        if matches!(word.as_str(), "len" | "length") {
            self.at += 1;
            return Ok(Some(Arith::Length));
        }
        let bracket = self.tokens.get(self.at + 1).map(|token| &token.node);
        let (Some(protocol), Some(Token::Sign("["))) = (Protocol::of(&word), bracket) else {
            return Ok(None);
        };
        self.at += 2;
        let Some(offset) = self.arith(0)? else {
            return Err(self.error("an offset must stand here"));
        };
        let size = if self.take_sign(&[":"]) {
            let span = self.span();
            let size = self.number("a size")?;
            u8::try_from(size)
                .ok()
                .filter(|size| matches!(size, 1 | 2 | 4))
                .ok_or_else(|| self.error_at(span, "1, 2 or 4 bytes can be read at a time"))?
        } else {
            1
        };
        if !self.take_sign(&["]"]) {
            return Err(self.error("a closing bracket must stand here"));
        }
        Ok(Some(Arith::Load { base: protocol.base(), offset: Box::new(offset), size }))
    }
}
