//! The steps of a chain in the order in which they are inspected, for people.

use std::fmt;

use serde::Serialize;

use super::content::{Content, From};
use super::number::Operand;
use super::{Chain, Kind, Step};

/// What a step costs, roughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cost {
    /// It compares a field of a header, or what is known of the flow.
    Field,
    /// It looks something up in a table.
    Table,
    /// It looks at a place: the same time whatever the buffer holds.
    Place,
    /// It searches a window for bytes.
    Search,
    /// It runs a pattern, or decodes.
    Pattern,
}

impl Cost {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Field => "field",
            Self::Table => "table",
            Self::Place => "place",
            Self::Search => "search",
            Self::Pattern => "pattern",
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepView {
    /// Number of its run, from 0: the steps of one depend on one another.
    pub run: usize,
    /// Its place in the order written.
    pub number: u16,
    /// Where it is looked for, where that is not in its own words.
    pub place: Option<String>,
    /// What it costs.
    pub cost: Cost,
    /// Of `base64_decode`: the steps in what is decoded.
    pub inside: Vec<StepView>,
}

impl Chain {
    /// The steps, run by run, in the order in which they are inspected.
    pub fn steps(&self) -> Vec<StepView> {
        let runs = self.runs.iter().enumerate();
        runs.flat_map(|(run, steps)| steps.iter().map(move |step| view(run, step))).collect()
    }
}

fn view(run: usize, step: &Step) -> StepView {
    let (cost, _) = step.kind.cost();
    let (place, inside) = match &step.kind {
        Kind::Content(content) => (Some(content.to_string()), Vec::new()),
        Kind::Base64(_, chain) => (None, chain.steps()),
        _ => (None, Vec::new()),
    };
    StepView { run, number: step.number, place, cost, inside }
}

/// Where it must lie, or must not.
impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negated {
            f.write_str("not ")?;
        }
        let within = self.within.map(|within| match within {
            Operand::Number(length) => format!("{length} bytes"),
            Operand::Variable(_) => "a variable number of bytes".to_owned(),
        });
        let distance = match self.distance {
            Operand::Number(0) => None,
            Operand::Number(distance) => Some(distance.to_string()),
            Operand::Variable(_) => Some("(variable)".to_owned()),
        };
        match (self.from, within, distance) {
            (From::Anywhere, None, None) => f.write_str("anywhere")?,
            (From::Start, None, None) => f.write_str("from the first byte on")?,
            (From::Anywhere | From::Start, None, Some(offset)) => {
                write!(f, "from byte {offset} on")?;
            }
            (From::Anywhere | From::Start, Some(within), None) => {
                write!(f, "in the first {within}")?;
            }
            (From::Anywhere | From::Start, Some(within), Some(offset)) => {
                write!(f, "in {within} from byte {offset} on")?;
            }
            (From::Cursor, None, None) => f.write_str("behind the hit before")?,
            (From::Cursor, None, Some(distance)) => {
                write!(f, "{distance} or more behind the hit before")?;
            }
            (From::Cursor, Some(within), None) => write!(f, "in {within} behind the hit before")?,
            (From::Cursor, Some(within), Some(distance)) => {
                write!(f, "in {within} from {distance} behind the hit before on")?;
            }
        }
        if self.at_end {
            f.write_str(", at the end")?;
        }
        f.write_str(if self.nocase { ", any case" } else { "" })
    }
}
