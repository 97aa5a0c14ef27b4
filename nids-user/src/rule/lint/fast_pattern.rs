//! `no-fast-pattern`, `short-fast-pattern`, `pcre-without-content`: rules that no prefilter can hold back
//! from most packets.

use super::content::Contents;
use super::{Lint, Report, value_span};
use crate::rule::ast::{Rule, RuleOption};

/// Bytes below which a pattern is met in much of all traffic.
const SHORT: usize = 4;
/// Keywords that look into payload.
const PAYLOAD: [&str; 10] = [
    "asn1",
    "base64_decode",
    "byte_extract",
    "byte_jump",
    "byte_math",
    "byte_test",
    "content",
    "isdataat",
    "regex",
    "rpc",
];

pub(super) fn check(rule: &Rule, contents: &Contents<'_>, report: &mut Report) {
    let chosen = contents.positive().find_map(|content| content.fast_pattern);
    let longest = contents.positive().max_by_key(|content| content.length);
    if let Some((span, length)) = chosen.or(longest.map(|content| (content.span, content.length))) {
        if length < SHORT {
            let bytes = if length == 1 { "1 byte" } else { &format!("{length} bytes") };
            report.add(
                rule,
                Lint::ShortFastPattern,
                span,
                format!("the fast pattern has only {bytes}"),
            );
            if longest.is_some_and(|content| content.length >= SHORT) {
                report.help("a longer content of this rule would be better");
            }
        }
        return;
    }
    let find = |wanted: fn(&RuleOption) -> bool| rule.options.iter().find(|option| wanted(option));
    // A data set is a prefilter of its own.
    if find(|option| matches!(option.name.node.as_str(), "dataset" | "prefilter")).is_some() {
        return;
    }
    if let Some(option) = find(|option| option.name.node == "pcre") {
        let reason = "without a content, this pcre is tried wherever the header matches";
        report.add(rule, Lint::PcreWithoutContent, value_span(option), reason);
        report.help("add a content with bytes that each match of the pcre holds");
        return;
    }
    if let Some(option) = find(|option| PAYLOAD.contains(&option.name.node.as_str())) {
        let reason =
            "without a content that must be there, this is tried wherever the header matches";
        report.add(rule, Lint::NoFastPattern, option.name.span, reason);
    }
}
