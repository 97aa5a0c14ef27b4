//! `nids check --explain`: what the sensor makes of single rules, or why it makes nothing of them.

use std::path::Path;

use serde_json::{Map, Value};

use super::exit::{Code, Failure};
use super::stdout::Lines;
use crate::detect::Compiled;
use crate::detect::explain::Explainer;
use crate::rule::ast::Rule;
use crate::rule::diagnostic::Refusal;
use crate::rule::id::RuleId;
use crate::rule::load::Loaded;
use crate::rule::tuning::{self, Tuning, Which};
use crate::runtime::rules::RuleSource;

/// What became of a rule that is not in force.
enum Absent<'a> {
    /// It is refused.
    Refused(&'a Refusal),
    /// Another one has taken its place.
    Replaced(&'a Refusal),
    /// Its `requires` asks for more than there is.
    Unmet(&'a Refusal),
    /// It stands behind a `#`, or a list names it.
    Disabled(&'a Rule, &'static str),
}

/// Explains these rules; `refused` is the exit code for one that is refused.
///
/// # Errors
/// One of the rules is refused, or is not there.
pub(super) fn explain(
    ids: &[RuleId],
    json: bool,
    refused: Code,
    source: &RuleSource,
    loaded: &Loaded,
    compiled: &Compiled,
) -> Result<(), Failure> {
    let explainer = Explainer::new(&compiled.ruleset);
    let mut failure = None;
    let mut out = Lines::stdout();
    for (number, id) in ids.iter().enumerate() {
        let explanation = explainer.explain(*id);
        let is_in_force = explanation.is_some();
        let mut texts: Vec<String> = Vec::new();
        texts.extend(explanation.map(|explanation| match json {
            true => serde_json::to_string(&explanation).unwrap_or_default() + "\n",
            false => explanation.to_string(),
        }));
        let is_meant =
            |refusal: &&Refusal| tuning::id_of(&refusal.file, &refusal.text) == Some(*id);
        let refusals = loaded.refusals.iter().chain(&compiled.refusals).filter(is_meant);
        let mut absent: Vec<Absent<'_>> = refusals.map(Absent::Refused).collect();
        absent.extend(compiled.superseded.iter().filter(is_meant).map(Absent::Replaced));
        absent.extend(loaded.unmet.iter().filter(is_meant).map(Absent::Unmet));
        let disabled = match is_in_force || !absent.is_empty() {
            true => Vec::new(),
            false => disabled(*id, source)?,
        };
        absent.extend(disabled.iter().map(|(rule, why)| Absent::Disabled(rule, why)));
        texts.extend(absent.iter().map(|absent| match json {
            true => absent.to_json(*id) + "\n",
            false => absent.to_text(*id),
        }));
        if absent.iter().any(|absent| matches!(absent, Absent::Refused(_))) {
            failure = Some(Failure::new(refused, format!("the rule {id} is refused.")));
        }
        if texts.is_empty() {
            failure = Some(Failure::new(Code::No, format!("there is no rule {id}.")));
        }
        for text in texts {
            if !json && (number > 0 || !out.buffer.is_empty()) {
                out.buffer.push(b'\n');
            }
            out.buffer.extend_from_slice(text.as_bytes());
        }
    }
    let _ = out.flush()?;
    failure.map_or(Ok(()), Err)
}

/// The rule as it would be read if it were enabled, and why it is not; one for each place.
fn disabled(id: RuleId, source: &RuleSource) -> Result<Vec<(Rule, &'static str)>, Failure> {
    let mut enabling = Tuning::default();
    enabling.set(Which::Enable, Path::new("--explain"), &format!("{id}\n")).map_err(|error| {
        Failure::new(Code::Software, format!("the rule cannot be looked for: {error}."))
    })?;
    let read = |tuning: &Tuning| -> Result<Vec<Rule>, Failure> {
        let rules = source.load_by(Some(tuning))?.rules;
        Ok(rules.into_iter().filter(|rule| of(rule) == Some(id)).collect())
    };
    let without_lists = read(&Tuning::default())?;
    let found = read(&enabling)?.into_iter().map(|rule| {
        let by_list =
            without_lists.iter().any(|other| (&other.file, other.line) == (&rule.file, rule.line));
        let why = match by_list {
            true => "disabled by --disable-conf",
            false => "disabled: it stands behind a #",
        };
        (rule, why)
    });
    Ok(found.collect())
}

fn of(rule: &Rule) -> Option<RuleId> {
    tuning::id_of(&rule.file, &rule.text)
}

impl Absent<'_> {
    fn to_text(&self, id: RuleId) -> String {
        match self {
            Self::Refused(refusal) => format!("{id} is refused\n\n{refusal}\n"),
            Self::Replaced(refusal) => format!("{id} is replaced\n\n{}\n", refusal.as_note()),
            Self::Unmet(refusal) => {
                format!("{id} is left out by `requires`\n\n{}\n", refusal.as_note())
            }
            Self::Disabled(rule, why) => {
                let mut text =
                    format!("{id} is {why}\n --> {}:{}\n", rule.file.display(), rule.line);
                for line in rule.text.lines() {
                    text += &format!("  | {}\n", crate::rule::diagnostic::printable(line));
                }
                text
            }
        }
    }

    fn to_json(&self, id: RuleId) -> String {
        let (state, mut object) = match self {
            Self::Refused(refusal) => ("refused", fields(refusal)),
            Self::Replaced(refusal) => ("replaced", fields(refusal)),
            Self::Unmet(refusal) => ("unmet", fields(refusal)),
            Self::Disabled(rule, why) => {
                let mut object = Map::new();
                object.insert("file".into(), rule.file.display().to_string().into());
                object.insert("line".into(), rule.line.into());
                object.insert("text".into(), (&*rule.text).into());
                object.insert("reason".into(), (*why).into());
                ("disabled", object)
            }
        };
        object.insert("gid".into(), id.gid.into());
        object.insert("sid".into(), id.sid.into());
        object.insert("state".into(), state.into());
        Value::Object(object).to_string()
    }
}

/// The object that `check --json` prints of a refusal.
fn fields(refusal: &Refusal) -> Map<String, Value> {
    serde_json::from_str(&refusal.to_json()).unwrap_or_default()
}
