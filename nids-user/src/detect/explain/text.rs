//! Explanations for people.

use std::fmt::{self, Formatter};

use super::{At, Explanation, InGroup, Prefilter, StepText, Wanted, Way};
use crate::detect::prefilter::Why;
use crate::rule::diagnostic::printable;

/// Ranges of ports that are named one by one.
const NAMED: usize = 12;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} rev {}", self.id, self.rev)?;
        match self.msg.is_empty() {
            true => f.write_str("\n")?,
            false => writeln!(f, ": {}", printable(&self.msg))?,
        }
        if let Some(source) = &self.source {
            writeln!(f, " --> {}:{}", printable(&source.file), source.line)?;
            for line in source.text.lines() {
                writeln!(f, "  | {}", printable(line))?;
            }
        }
        for way in &self.ways {
            if self.ways.len() > 1 {
                let which = if way.swapped { "right to left" } else { "left to right" };
                writeln!(f, "\n{which}:")?;
            }
            write!(f, "\n{way}")?;
        }
        writeln!(f, "\non a match")?;
        for effect in &self.effects {
            writeln!(f, "  {}", printable(effect))?;
        }
        Ok(())
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernel filter: what this rule alone has forwarded")?;
        let mut whole = Vec::new();
        for wanted in &self.kernel {
            match wanted.numbers.is_empty() {
                true => whole.push(wanted.what),
                false => writeln!(f, "  {wanted}")?,
            }
        }
        if !whole.is_empty() {
            writeln!(f, "  {}", whole.join(", "))?;
        }
        let of_flow = match self.of_flow {
            "begin" => "its first packets, and those with SYN, FIN or RST",
            "stream" => "its stream, to its depth",
            _ => "all of it",
        };
        writeln!(f, "  of a flow that no other rule needs: {of_flow}")?;
        writeln!(f, "\ngroups: what it may be tried on")?;
        for group in &self.groups {
            writeln!(f, "  {group}")?;
        }
        if self.groups.is_empty() {
            let by_address = matches!(self.prefilter, Prefilter::Addresses { .. });
            writeln!(f, "  {}", if by_address { "all, by address" } else { "none" })?;
        }
        writeln!(f, "\nprefilter: what makes it a candidate there")?;
        write!(f, "{}", self.prefilter)?;
        if let Some(inspects) = self.inspects {
            writeln!(f, "\ncontents are looked for in {inspects}")?;
        }
        writeln!(f, "\nsteps: each must hold, asked in this order")?;
        let (of, step) =
            (width(&self.steps, |step| step.of), width(&self.steps, |step| &step.step));
        for (number, line) in self.steps.iter().enumerate() {
            let cost = line.cost.as_str();
            write!(f, "{:>4}  {:<of$}  {cost:<7}  ", number + 1, line.of)?;
            let words = printable(&line.step).to_string();
            let next = self.steps.get(number + 1);
            // A run is joined by a bar: its steps depend on one another.
            let joined = |other: Option<&StepText>| {
                other.is_some_and(|other| (other.of, other.run) == (line.of, line.run))
            };
            let before = number.checked_sub(1).and_then(|before| self.steps.get(before));
            let bar = match (line.run.is_some(), joined(before), joined(next)) {
                (true, false, true) => "┌ ",
                (true, true, true) => "│ ",
                (true, true, false) => "└ ",
                _ => "  ",
            };
            f.write_str(bar)?;
            let at =
                line.at.map_or_else(String::new, |At { line, column }| format!("{line}:{column}"));
            match &line.place {
                Some(place) => writeln!(f, "{words:<step$}  {at:<6}  {place}")?,
                None if at.is_empty() => writeln!(f, "{words}")?,
                None => writeln!(f, "{words:<step$}  {at}")?,
            }
        }
        Ok(())
    }
}

/// Columns of the widest text, within reason.
fn width<'s>(steps: &'s [StepText], of: impl Fn(&'s StepText) -> &'s str) -> usize {
    const WIDEST: usize = 60;
    let widths = steps.iter().map(|step| of(step).chars().count());
    widths.filter(|width| *width <= WIDEST).max().unwrap_or(0)
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, Ranges(&self.numbers))?;
        f.write_str(match self.level {
            Some("control") => ": control (TCP segments with SYN, FIN or RST)",
            Some("payload") => ": payload (what has data, and TCP's SYN, FIN, RST)",
            Some(_) => ": all",
            None => "",
        })
    }
}

impl fmt::Display for InGroup {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { protocol, direction, side, ports, signatures, group } = self;
        write!(f, "{protocol} {direction} ")?;
        match side.is_empty() {
            true if group.is_none() => f.write_str("transactions")?,
            true => f.write_str("any port")?,
            false => write!(f, "{side} port {}", Ranges(ports))?,
        }
        f.write_str(" (")?;
        if let Some(group) = group {
            write!(f, "group {group}, ")?;
        }
        match signatures {
            1 => f.write_str("it is the only rule)"),
            many => write!(f, "{many} rules)"),
        }
    }
}

/// `80, 8000-8080`; many are counted only.
struct Ranges<'a>(&'a [(u16, u16)]);

impl fmt::Display for Ranges<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 == [(0, u16::MAX)] {
            return f.write_str("any");
        }
        for (number, (first, last)) in self.0.iter().take(NAMED).enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        match self.0.len().checked_sub(NAMED) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, " and {more} more ranges"),
        }
    }
}

impl fmt::Display for Prefilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::FastPattern {
                scanned,
                content,
                at,
                bytes,
                nocase,
                strength,
                why,
                patterns,
                matchers,
            } => {
                let bytes_text = bytes.escape_ascii();
                let case = if *nocase { ", any case" } else { "" };
                writeln!(
                    f,
                    "  fast pattern \"{bytes_text}\"{case} in the {}: {} bytes, rarity {strength}",
                    scanned.join(" and the "),
                    bytes.len(),
                )?;
                if let (Some(At { line, column }), Some(why)) = (at, why) {
                    let why = match why {
                        Why::Named => "the rule says fast_pattern",
                        Why::Only => "no other content must be there",
                        Why::Longest => "the longest that must be there",
                        Why::Rarest => "of the longest, the one with the rarest bytes",
                        Why::First => "the first of equals",
                        Why::Pattern => "longer than any content, and in every match of it",
                    };
                    writeln!(f, "  of {} at {line}:{column}: {why}", printable(content))?;
                }
                let how: Vec<&str> = matchers
                    .iter()
                    .map(|matcher| match *matcher {
                        "substring" => "a substring search",
                        "packed" => "a packed search (SIMD)",
                        "dfa" => "Aho-Corasick as a DFA",
                        "nfa" => "Aho-Corasick as an NFA",
                        "windows" => "windows of four bytes",
                        _ => "windows of four bytes at each fourth place",
                    })
                    .collect();
                let how = how.join(" and ");
                match patterns {
                    1 => writeln!(f, "  sought alone, by {how}"),
                    many => writeln!(f, "  sought with {} others, by {how}", many - 1),
                }
            }
            Self::Addresses { once } => {
                let when = if *once { "once a flow and direction" } else { "for each packet" };
                writeln!(f, "  an address that it names, looked up {when}")
            }
            Self::Test { test } => {
                writeln!(f, "  {}; it has no content that must be there", printable(test))
            }
            Self::EachTransaction => writeln!(
                f,
                "  nothing: no content must be there, so that it is tried on each transaction"
            ),
            Self::Events => {
                writeln!(f, "  an event of the decoder or the stream; it has no content")
            }
            Self::Always => writeln!(
                f,
                "  nothing: no content must be there, so that it is tried on each packet of its groups"
            ),
            Self::Never => writeln!(f, "  nothing: it is in no group, and can match no packet"),
        }
    }
}
