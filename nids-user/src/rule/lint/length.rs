//! `depth-too-small`, `within-too-small`, `dsize-too-small`, `bsize-too-small`: contents that have no room
//! where they are looked for.

use super::content::{Content, Contents};
use super::{Lint, Report, value, value_span};
use crate::rule::ast::{Rule, RuleOption};

pub(super) fn check(rule: &Rule, contents: &Contents<'_>, report: &mut Report) {
    for content in &contents.contents {
        let length = content.length;
        let windows = [
            (content.depth, Lint::DepthTooSmall, "depth"),
            (content.within, Lint::WithinTooSmall, "within"),
        ];
        for (window, lint, name) in windows {
            let Some((bytes, span)) = window.filter(|(bytes, _)| *bytes < number(length)) else {
                continue;
            };
            let what = if content.negated { "always holds" } else { "never matches" };
            let reason = format!("{name} {bytes} leaves no room for {length} bytes: it {what}");
            report.add(rule, lint, span, reason);
        }
    }
    for option in rule.options.iter().filter(|option| option.name.node == "dsize") {
        let payload = contents.positive().filter(|content| content.buffer.is_empty());
        room(rule, option, Lint::DsizeTooSmall, payload, report);
    }
    for (option, instance) in &contents.sizes {
        let inside = contents.positive().filter(|content| {
            content.instance == *instance && (*instance > 0 || content.buffer.is_empty())
        });
        room(rule, option, Lint::BsizeTooSmall, inside, report);
    }
}

/// Finds contents that need more bytes than a size allows.
fn room<'a>(
    rule: &Rule,
    size: &RuleOption,
    lint: Lint,
    contents: impl Iterator<Item = &'a Content<'a>>,
    report: &mut Report,
) {
    let Some(most) = most(value(size)) else { return };
    let need = need(contents);
    if need > most {
        let name = &size.name.node;
        let reason = format!("{name} allows {most} bytes, the contents need {need}");
        report.add(rule, lint, value_span(size), reason);
    }
}

/// The largest size that a value allows: `5`, `<5`, `3<>5` (`-` in `bufferlen`); `None`: any, or it is not
/// understood.
fn most(value: &str) -> Option<i64> {
    let value = value.trim_ascii();
    if value.starts_with(['!', '>']) {
        return None;
    }
    let number = |text: &str| text.trim_ascii().parse::<i32>().ok().map(i64::from);
    if let Some(below) = value.strip_prefix("<=") {
        return number(below);
    }
    match (value.strip_prefix('<'), value.split_once("<>")) {
        (Some(below), _) => number(below).map(|below| below - 1),
        (None, Some((_, below))) => number(below),
        (None, None) => number(value),
    }
}

/// The fewest bytes that hold all contents.
fn need<'a>(contents: impl Iterator<Item = &'a Content<'a>>) -> i64 {
    let (mut need, mut end) = (0, 0);
    for content in contents {
        if content.variable {
            end = 0;
            continue;
        }
        let length = number(content.length);
        let start = match content.is_relative() {
            true => end + content.distance.map_or(0, |(distance, _)| distance),
            false => content.offset.map_or(0, |(offset, _)| offset),
        };
        end = start.max(0) + length;
        need = need.max(end);
    }
    need
}

fn number(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_sizes() {
        for (value, expected) in [
            ("5", Some(5)),
            ("<5", Some(4)),
            ("<=5", Some(5)),
            ("3<>5", Some(5)),
            (" 3 <> 5 ", Some(5)),
            (">5", None),
            ("!5", None),
            ("var", None),
        ] {
            assert_eq!(most(value), expected, "{value}");
        }
    }
}
