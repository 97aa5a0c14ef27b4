//! Rules with the same `gid:sid`: the highest `rev` stays.
//!
//! Suricata does the same; where two have the same rev, the first stays and the other is refused. Rules
//! whose sid, gid or rev cannot be read are left alone: compiling refuses them with the place.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;

use super::ast::Rule;
use super::diagnostic::{ReasonKind, Refusal};

/// A rule that gave way to another of the same `gid:sid` with a higher `rev`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superseded {
    /// `gid`.
    pub gid: u32,
    /// `sid`.
    pub sid: u32,
    /// Its `rev`.
    pub rev: u32,
    /// Its file.
    pub file: Arc<Path>,
    /// Its line.
    pub line: u32,
    /// The `rev` that stays.
    pub by_rev: u32,
    /// Where that stands.
    pub by: (Arc<Path>, u32),
}

/// Takes all but one of each `gid:sid` out of `rules`, which keep their order.
pub fn resolve(rules: &mut Vec<Rule>) -> (Vec<Superseded>, Vec<Refusal>) {
    let mut kept: HashMap<(u32, u32), usize> = HashMap::with_capacity(rules.len());
    let mut lost: Vec<Option<usize>> = vec![None; rules.len()];
    for (at, rule) in rules.iter().enumerate() {
        let Some(identity) = Identity::of(rule) else { continue };
        match kept.entry((identity.gid, identity.sid)) {
            Entry::Vacant(entry) => {
                entry.insert(at);
            }
            Entry::Occupied(mut entry) => {
                let other = *entry.get();
                let newer = Identity::of(&rules[other]).is_some_and(|o| identity.rev > o.rev);
                match newer {
                    true => {
                        lost[other] = Some(at);
                        entry.insert(at);
                    }
                    false => lost[at] = Some(other),
                }
            }
        }
    }
    let (mut superseded, mut refusals) = (Vec::new(), Vec::new());
    for (at, rule) in rules.iter().enumerate() {
        let Some(by) = lost[at] else { continue };
        let (Some(mine), Some(winner)) = (Identity::of(rule), winner(rules, &lost, by)) else {
            continue;
        };
        if mine.rev == winner.identity.rev {
            refusals.push(refuse(rule, &mine, winner.rule));
            continue;
        }
        superseded.push(Superseded {
            gid: mine.gid,
            sid: mine.sid,
            rev: mine.rev,
            file: rule.file.clone(),
            line: rule.line,
            by_rev: winner.identity.rev,
            by: (winner.rule.file.clone(), winner.rule.line),
        });
    }
    let mut lost = lost.iter();
    rules.retain(|_| lost.next().is_some_and(Option::is_none));
    (superseded, refusals)
}

struct Winner<'a> {
    rule: &'a Rule,
    identity: Identity,
}

/// The rule that stays: `by` may have given way in turn. Each step goes to a higher rev.
fn winner<'a>(rules: &'a [Rule], lost: &[Option<usize>], mut by: usize) -> Option<Winner<'a>> {
    while let Some(next) = lost[by] {
        by = next;
    }
    let rule = &rules[by];
    Some(Winner { rule, identity: Identity::of(rule)? })
}

fn refuse(rule: &Rule, identity: &Identity, first: &Rule) -> Refusal {
    let span = rule.option("sid").map(|option| option.name.span).unwrap_or_default();
    let reason =
        format!("{}:{} is there already, with rev {}", identity.gid, identity.sid, identity.rev);
    let mut refusal = Refusal::new(rule, span, ReasonKind::Identity, reason);
    refusal.help = Some(format!(
        "the first is at {}:{}; give this one another sid, or a higher rev",
        first.file.display(),
        first.line
    ));
    refusal
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    gid: u32,
    sid: u32,
    rev: u32,
}

impl Identity {
    /// `gid` is 1 and `rev` 0 where they are not given.
    fn of(rule: &Rule) -> Option<Self> {
        let number = |name: &str, default: u32| match rule.option(name) {
            Some(option) => option.value.as_ref()?.node.0.parse().ok(),
            None => Some(default),
        };
        Some(Self { gid: number("gid", 1)?, sid: rule.sid()?, rev: number("rev", 0)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::parser::parse_str;

    fn resolved(options: &[&str]) -> (Vec<u32>, Vec<(u32, u32)>, Vec<u32>) {
        let text: String =
            options.iter().map(|o| format!("alert ip any any -> any any ({o})\n")).collect();
        let mut rules = parse_str(&Arc::from(Path::new("x.rules")), &text).rules;
        let (superseded, refusals) = resolve(&mut rules);
        assert_eq!(rules.len() + superseded.len() + refusals.len(), options.len());
        (
            rules.iter().map(|rule| rule.line).collect(),
            superseded.iter().map(|s| (s.line, s.by.1)).collect(),
            refusals.iter().map(|r| r.line).collect(),
        )
    }

    #[test]
    fn the_highest_rev_stays() {
        let (kept, superseded, refused) = resolved(&[
            "sid:1; rev:2;",
            "sid:1; rev:1;",
            "sid:1; rev:5;",
            "sid:1; rev:3;",
            "sid:2;",
            "gid:2; sid:1;",
        ]);
        assert_eq!(kept, [3, 5, 6]);
        assert_eq!(superseded, [(1, 3), (2, 3), (4, 3)]);
        assert_eq!(refused, Vec::<u32>::new());
    }

    #[test]
    fn the_same_rev_twice_is_refused() {
        let (kept, superseded, refused) = resolved(&[
            "sid:1; rev:1;",
            "sid:1; rev:1;",
            "gid:1; sid:1;",
            "sid:2;",
            "sid:2; rev:0;",
        ]);
        assert_eq!((kept, superseded, refused), (vec![1, 4], vec![(3, 1)], vec![2, 5]));
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        let (kept, _, _) = resolved(&["sid:x;", "sid:x;", "msg:\"\";", "sid:1; rev:y;", "sid:1;"]);
        assert_eq!(kept, [1, 2, 3, 4, 5]);
    }
}
