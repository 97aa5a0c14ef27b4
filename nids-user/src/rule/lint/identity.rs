//! `missing-msg`, `missing-rev`, `missing-classtype`, `unknown-classtype`, `duplicate-msg`: what people need
//! to tell alerts apart and to sort them.

use std::collections::HashMap;

use super::{Context, Lint, Report, value, value_span};
use crate::rule::ast::{Action, Rule, RuleOption, Span};
use crate::suggest::nearest;

pub(super) fn check(rule: &Rule, context: Context<'_>, report: &mut Report) {
    let missing = [
        ("msg", Lint::MissingMsg, "the alert says nothing"),
        ("rev", Lint::MissingRev, "a newer version cannot take its place"),
        ("classtype", Lint::MissingClasstype, "the alert has no class and the default priority"),
    ];
    let silent = is_silent(rule);
    for (keyword, lint, why) in missing {
        // Who never alerts needs no class; a priority stands for one.
        let excused = keyword == "classtype" && (silent || rule.option("priority").is_some());
        if rule.option(keyword).is_none() && !excused {
            report.add(rule, lint, place(rule), format!("no `{keyword}`: {why}"));
        }
    }
    let Some(option) = rule.option("classtype") else { return };
    let name = value(option).trim_matches('"');
    if name.is_empty() || context.classifications.get(name).is_some() {
        return;
    }
    let reason = format!("no classification.config has the class `{name}`");
    report.add(rule, Lint::UnknownClasstype, value_span(option), reason);
    if let Some(near) = nearest(name, context.classifications.names()) {
        report.help(format!("did you mean `{near}`?"));
    }
}

fn place(rule: &Rule) -> Span {
    rule.option("sid").map_or(rule.header.action.span, |option| option.name.span)
}

fn is_silent(rule: &Rule) -> bool {
    let noalert = |option: &RuleOption| match option.name.node.as_str() {
        "noalert" => true,
        "flowbits" => value(option).trim_ascii() == "noalert",
        _ => false,
    };
    rule.header.action.node == Action::Pass || rule.options.iter().any(noalert)
}

/// The first rule with each message.
#[derive(Default)]
pub(super) struct Messages<'a> {
    first: HashMap<&'a str, &'a Rule>,
}

impl<'a> Messages<'a> {
    pub(super) fn check(&mut self, rule: &'a Rule, report: &mut Report) {
        let Some(option) = rule.option("msg") else { return };
        let first = *self.first.entry(value(option)).or_insert(rule);
        // The same rule again, in another version, is no other rule.
        if std::ptr::eq(first, rule) || (first.sid().is_some() && first.sid() == rule.sid()) {
            return;
        }
        let place = format!("{}:{}", first.file.display(), first.line);
        let reason = format!("the rule at {place} has the same msg");
        report.add(rule, Lint::DuplicateMsg, value_span(option), reason);
    }
}
