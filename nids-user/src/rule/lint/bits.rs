//! `bit-never-set`, `bit-never-tested`: flowbits, xbits and hostbits of which only one half is there.

use std::collections::HashSet;

use super::{Lint, Report, value, value_span};
use crate::rule::ast::{Rule, RuleOption};

/// The bits of all rules, by keyword and name.
#[derive(Default)]
pub(super) struct Bits<'a> {
    set: HashSet<(&'a str, &'a str)>,
    tested: HashSet<(&'a str, &'a str)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Set,
    Test,
    TestNot,
}

impl<'a> Bits<'a> {
    pub(super) fn note(&mut self, rule: &'a Rule) {
        for (does, option) in uses(rule) {
            let side = if does == Does::Set { &mut self.set } else { &mut self.tested };
            side.extend(names(option).map(|name| (option.name.node.as_str(), name)));
        }
    }

    pub(super) fn check(&self, rule: &Rule, report: &mut Report) {
        for (does, option) in uses(rule) {
            let keyword = option.name.node.as_str();
            let bit = keyword.trim_end_matches('s');
            for name in names(option) {
                let key = &(keyword, name);
                let (lint, reason) = match does {
                    Does::Set if !self.tested.contains(key) => {
                        (Lint::BitNeverTested, format!("no rule tests the {bit} `{name}`"))
                    }
                    Does::Test if !self.set.contains(key) => {
                        let reason = format!("no rule sets the {bit} `{name}`: it never matches");
                        (Lint::BitNeverSet, reason)
                    }
                    Does::TestNot if !self.set.contains(key) => {
                        let reason = format!("no rule sets the {bit} `{name}`: it always holds");
                        (Lint::BitNeverSet, reason)
                    }
                    _ => continue,
                };
                report.add(rule, lint, value_span(option), reason);
            }
        }
    }
}

/// What the rule does with bits.
fn uses(rule: &Rule) -> impl Iterator<Item = (Does, &RuleOption)> {
    rule.options.iter().filter_map(|option| {
        if !matches!(option.name.node.as_str(), "flowbits" | "xbits" | "hostbits") {
            return None;
        }
        let does = match value(option).split(',').next()?.trim_ascii() {
            "set" | "setx" | "toggle" => Does::Set,
            "isset" => Does::Test,
            "isnotset" => Does::TestNot,
            _ => return None,
        };
        Some((does, option))
    })
}

/// `isset,a|b` names two.
fn names(option: &RuleOption) -> impl Iterator<Item = &str> {
    let names = value(option).split(',').nth(1).unwrap_or_default();
    names.split(['|', '&']).map(str::trim_ascii).filter(|name| !name.is_empty())
}
