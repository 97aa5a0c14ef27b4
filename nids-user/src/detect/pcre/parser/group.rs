//! What begins with a parenthesis.

use super::{Error, MAX_DEPTH, MAX_GROUPS, Parser, Result};
use crate::detect::pcre::ast::{Condition, Look, Node, Test};

/// Longest name of a group, as in PCRE2 before 10.44.
const MAX_NAME: usize = 32;

impl Parser<'_> {
    /// A group; nothing for options that hold to the end of the group around them.
    pub fn group(&mut self) -> Result<Option<Node>> {
        let start = self.at;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("groups are nested deeper than {MAX_DEPTH}")));
        }
        let flags = self.flags;
        self.at += 1;
        let node = self.opened(start)?;
        self.depth -= 1;
        if node.is_some() {
            self.flags = flags;
        }
        Ok(node)
    }

    fn opened(&mut self, start: usize) -> Result<Option<Node>> {
        if self.peek() == Some(b'*') {
            return Err(self.error_at(start, "control verbs are not supported"));
        }
        if !self.eat(b"?") {
            return Ok(Some(match self.flags.no_auto_capture {
                true => self.closed(start, false)?,
                false => self.capture(start)?,
            }));
        }
        let look = |negated, behind, node| Node::Look(Box::new(Look { negated, behind, node }));
        Ok(Some(match self.next() {
            Some(b':') => self.closed(start, false)?,
            Some(b'|') => self.closed(start, true)?,
            Some(b'>') => Node::Atomic(Box::new(self.closed(start, false)?)),
            Some(b'=') => look(false, false, self.looked(start)?),
            Some(b'!') => look(true, false, self.looked(start)?),
            Some(b'<') if self.eat(b"=") => look(false, true, self.behind(start)?),
            Some(b'<') if self.eat(b"!") => look(true, true, self.behind(start)?),
            Some(b'<') => self.named(start, b'>')?,
            Some(b'\'') => self.named(start, b'\'')?,
            Some(b'P') if self.eat(b"<") => self.named(start, b'>')?,
            Some(b'P') if self.eat(b"=") => {
                let name = self.until(b')').unwrap_or_default();
                self.reference_to(start, name)?
            }
            Some(b'(') => self.condition(start)?,
            Some(b'R' | b'&' | b'0'..=b'9' | b'+' | b'P') => return Err(self.no_recursion(start)),
            Some(b'-') if self.peek().is_some_and(|byte| byte.is_ascii_digit()) => {
                return Err(self.no_recursion(start));
            }
            Some(b'C') => return Err(self.error_at(start, "callouts are not supported")),
            Some(_) => {
                self.at -= 1;
                return self.options(start);
            }
            None => return Err(self.not_closed(start)),
        }))
    }

    fn no_recursion(&self, start: usize) -> Error {
        self.error_at(start, "recursion is not supported")
    }
    fn not_closed(&self, start: usize) -> Error {
        self.error_at(start, "this parenthesis is not closed")
    }

    /// The rest of a group.
    fn closed(&mut self, start: usize, reset: bool) -> Result<Node> {
        let node = self.alternatives(reset)?;
        match self.eat(b")") {
            true => Ok(node),
            false => Err(self.not_closed(start)),
        }
    }

    fn capture(&mut self, start: usize) -> Result<Node> {
        if self.groups == MAX_GROUPS {
            return Err(self.error_at(start, format!("more than {MAX_GROUPS} groups")));
        }
        self.groups += 1;
        let group = self.groups;
        Ok(Node::Group(group, Box::new(self.closed(start, false)?)))
    }

    /// The rest of a look.
    fn looked(&mut self, start: usize) -> Result<Node> {
        self.looks += 1;
        let node = self.closed(start, false)?;
        self.looks -= 1;
        Ok(node)
    }

    /// A look behind goes back a fixed number of bytes.
    fn behind(&mut self, start: usize) -> Result<Node> {
        let node = self.looked(start)?;
        let fixed = match &node {
            Node::Alternate(nodes) => nodes.iter().all(|node| node.fixed_len().is_some()),
            node => node.fixed_len().is_some(),
        };
        match fixed {
            true => Ok(node),
            false => Err(self.error_at(start, "this look behind has no fixed length")),
        }
    }

    fn named(&mut self, start: usize, close: u8) -> Result<Node> {
        let place = self.at;
        let name = self.until(close).ok_or_else(|| self.error("this name is not closed"))?;
        let name = self.name(place, name)?.to_owned();
        let group = self.groups + 1;
        // In a branch reset one group may be named in several branches.
        match self.names.iter().find(|(known, _)| *known == name) {
            Some((_, known)) if *known != group => {
                return Err(self.error_at(place, format!("two groups are named `{name}`")));
            }
            Some(_) => {}
            None => self.names.push((name, group)),
        }
        self.capture(start)
    }

    fn name<'n>(&self, at: usize, name: &'n [u8]) -> Result<&'n str> {
        let valid = name.len() <= MAX_NAME
            && name.first().is_some_and(|byte| !byte.is_ascii_digit())
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        match std::str::from_utf8(name) {
            Ok(name) if valid => Ok(name),
            _ => Err(self.error_at(at, "not the name of a group")),
        }
    }

    /// The group of this name; 0 where it is not known yet.
    fn group_of(&mut self, at: usize, name: &[u8]) -> Result<u16> {
        let name = self.name(at, name)?;
        let found = self.names.iter().chain(&self.known).find(|(known, _)| known == name);
        let found = found.map(|(_, group)| *group);
        if found.is_none() {
            self.unresolved = Some((at, 0));
        }
        Ok(found.unwrap_or(0))
    }

    /// A reference to a group by its name.
    pub fn reference_to(&mut self, at: usize, name: &[u8]) -> Result<Node> {
        let group = self.group_of(at, name)?;
        Ok(Node::Reference { group, fold: self.flags.caseless })
    }

    /// A reference to a group by its number.
    pub fn reference(&mut self, at: usize, group: u16) -> Node {
        self.refer(at, group);
        Node::Reference { group, fold: self.flags.caseless }
    }

    fn refer(&mut self, at: usize, group: u16) {
        if self.highest.is_none_or(|(_, highest)| highest < group) {
            self.highest = Some((at, group));
        }
    }

    /// `+1` is the next group, `-1` the last one.
    pub fn relative(&self, sign: Option<u8>, number: u16) -> Option<u16> {
        let group = match sign {
            Some(b'+') => self.groups.checked_add(number)?,
            Some(_) if number == 0 => return None,
            Some(_) => (self.groups + 1).checked_sub(number)?,
            None => number,
        };
        (group > 0).then_some(group)
    }

    fn condition(&mut self, start: usize) -> Result<Node> {
        let place = self.at;
        let bad = "not a condition";
        let test = match self.peek() {
            Some(b'?') => {
                self.at -= 1;
                match self.group()? {
                    Some(Node::Look(look)) => Test::Look(*look),
                    _ => return Err(self.error_at(place, bad)),
                }
            }
            Some(sign @ (b'0'..=b'9' | b'+' | b'-')) => {
                let sign = Some(sign).filter(|sign| !sign.is_ascii_digit());
                self.at += usize::from(sign.is_some());
                let group = self.number()?.and_then(|number| self.relative(sign, number));
                let group = group.ok_or_else(|| self.error_at(place, bad))?;
                if !self.eat(b")") {
                    return Err(self.error(bad));
                }
                self.refer(place, group);
                Test::Group(group)
            }
            _ => {
                let name = self.until(b')').unwrap_or_default();
                let name = match name {
                    [b'<', name @ .., b'>'] | [b'\'', name @ .., b'\''] => name,
                    [b'R', rest @ ..]
                        if rest.iter().all(u8::is_ascii_digit) || rest.starts_with(b"&") =>
                    {
                        return Err(self.no_recursion(start));
                    }
                    b"DEFINE" => return Err(self.no_recursion(start)),
                    name if name.starts_with(b"VERSION") => {
                        return Err(self.error_at(place, bad));
                    }
                    name => name,
                };
                Test::Group(self.group_of(place, name)?)
            }
        };
        let mut branches = self.branches(false)?.into_iter();
        if !self.eat(b")") {
            return Err(self.not_closed(start));
        }
        let yes = branches.next().unwrap_or(Node::Empty);
        let no = branches.next().unwrap_or(Node::Empty);
        if branches.next().is_some() {
            return Err(self.error_at(start, "a condition has no more than two alternatives"));
        }
        Ok(Node::Condition(Box::new(Condition { test, yes, no })))
    }

    /// `(?i)`, `(?i:...)`, `(?^...)`.
    fn options(&mut self, start: usize) -> Result<Option<Node>> {
        let mut on = true;
        let mut flags = self.flags;
        if self.eat(b"^") {
            flags.caseless = false;
            flags.multi_line = false;
            flags.dot_all = false;
            flags.extended = false;
            flags.no_auto_capture = false;
        }
        loop {
            let place = self.at;
            match self.next() {
                Some(b'-') if on => on = false,
                Some(b'i') => flags.caseless = on,
                Some(b'm') => flags.multi_line = on,
                Some(b's') => flags.dot_all = on,
                Some(b'n') => flags.no_auto_capture = on,
                Some(b'U') => flags.ungreedy = on,
                Some(b'x') if self.peek() != Some(b'x') => flags.extended = on,
                Some(b')') => {
                    self.flags = flags;
                    return Ok(None);
                }
                Some(b':') => {
                    self.flags = flags;
                    return self.closed(start, false).map(Some);
                }
                Some(_) => return Err(self.error_at(place, "not an option that is supported")),
                None => return Err(self.not_closed(start)),
            }
        }
    }
}
