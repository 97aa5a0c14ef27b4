//! Any bytes are parsed as rules, or refused with a place; groups resolve or are refused; `requires` and lint
//! judge what was parsed, at places in the text; time is linear.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use nids::rule::ast::{GroupExpr, Rule, Span, Spanned};
use nids::rule::classification::Classifications;
use nids::rule::lint;
use nids::rule::parser::{self, MAX_DEPTH, Parsed};
use nids::rule::requires::{self, Platform, Version};
use nids::rule::variables::Variables;

static VARIABLES: LazyLock<Variables> = LazyLock::new(Variables::default);
static CLASSES: LazyLock<Classifications> = LazyLock::new(Classifications::default);
const PLATFORM: Platform =
    Platform { version: Version::COMPATIBLE, features: &["geoip"], has_keyword: |_| true };

/// Bytes that the input is repeated to, to show time that grows faster than the text.
const REPEATED: usize = 64 * 1024;

/// Panics where a promise of the parser is broken.
pub fn check(data: &[u8]) {
    let file: Arc<Path> = Arc::from(Path::new("fuzz.rules"));
    let mut parsed = parser::parse_bytes(&file, data);
    check_parsed(&parsed, &VARIABLES);
    let context = lint::Context { classifications: &CLASSES, variables: &VARIABLES };
    for finding in lint::lint(&parsed.rules, context) {
        inside(&finding.text, finding.span);
    }
    let all = parsed.rules.len();
    let (unmet, refused) = requires::sift(&mut parsed.rules, &PLATFORM);
    assert_eq!(parsed.rules.len() + unmet.len() + refused.len(), all);
    for refusal in unmet.iter().chain(&refused) {
        inside(&refusal.text, refusal.span);
    }

    // A rule behind anything is found, unless a block comment or a line that goes on holds it.
    let good = b"\nalert tcp any any -> any any (msg:\"fuzz\"; sid:4294967295;)\n";
    let lower = data.to_ascii_lowercase();
    let holds = |needle: &[u8]| lower.windows(needle.len()).any(|window| window == needle);
    let continued = data.trim_ascii_end().ends_with(b"\\");
    if !continued && !holds(b"/*") && !holds(b"#begin") {
        let behind = parser::parse_bytes(&file, &[data, good].concat());
        let found = behind.rules.last().is_some_and(|rule| rule.sid() == Some(u32::MAX));
        assert!(found, "the rule behind was lost");
    }
}

/// Panics where the input, again and again, takes more than linear time. Only one input in eight is
/// looked at so: it is slow.
#[allow(dead_code, reason = "too slow for the replay of each cut seed")]
pub fn check_time(data: &[u8]) {
    let lot = data.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) % 8;
    if lot != 0 || data.is_empty() || data.len() > REPEATED {
        return;
    }
    let repeated = data.repeat(REPEATED / data.len());
    let start = time_on_cpu();
    parser::parse_bytes(&Arc::from(Path::new("fuzz.rules")), &repeated);
    let took = time_on_cpu().saturating_sub(start);
    assert!(took < Duration::from_secs(3), "took {took:?}");
}

/// Time this thread has had a processor: waiting for one is not the parser's fault.
fn time_on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

fn check_parsed(parsed: &Parsed, variables: &Variables) {
    for refusal in &parsed.refusals {
        inside(&refusal.text, refusal.span);
        assert!(!refusal.reason.is_empty());
    }
    for include in &parsed.includes {
        inside(&include.text, include.span);
        assert!(include.rules_before <= parsed.rules.len());
    }
    let mut line = 0;
    for rule in &parsed.rules {
        assert!(rule.line >= line, "lines go up");
        line = rule.line;
        inside(&rule.text, rule.header.action.span);
        assert!(
            inside(&rule.text, rule.header.protocol.span)
                .eq_ignore_ascii_case(&rule.header.protocol.node)
        );
        let mut end = rule.header.protocol.span.end;
        if let Some(ends) = &rule.header.endpoints {
            for group in
                [&ends.source, &ends.source_port, &ends.destination, &ends.destination_port]
            {
                assert!(group.span.start >= end, "spans go up");
                end = group.span.end;
                check_group(&rule.text, group, group.span, 0);
                for refusal in
                    [variables.addresses(rule, group).err(), variables.ports(rule, group).err()]
                {
                    refusal.inspect(|refusal| _ = inside(&refusal.text, refusal.span));
                }
            }
        }
        check_options(rule, end);
    }
}

fn check_options(rule: &Rule, mut end: usize) {
    for option in &rule.options {
        assert!(option.name.span.start >= end, "spans go up");
        assert!(inside(&rule.text, option.name.span).eq_ignore_ascii_case(&option.name.node));
        end = option.name.span.end;
        if let Some(value) = &option.value {
            assert!(value.span.start >= end, "spans go up");
            let text = inside(&rule.text, value.span);
            assert!(text.contains('\n') || text == value.node.0);
            end = value.span.end;
        }
    }
}

fn check_group(text: &str, group: &Spanned<GroupExpr>, within: Span, depth: usize) {
    assert!(depth <= MAX_DEPTH);
    assert!(within.start <= group.span.start && group.span.end <= within.end);
    inside(text, group.span);
    match &group.node {
        GroupExpr::Any => {}
        GroupExpr::Variable(name) | GroupExpr::Item(name) => {
            assert_eq!(inside(text, name.span), name.node);
        }
        GroupExpr::Not(inner) => check_group(text, inner, group.span, depth + 1),
        GroupExpr::List(items) => {
            items.iter().for_each(|item| check_group(text, item, group.span, depth + 1));
        }
    }
}

/// The text at a span, which must lie inside and on borders of characters.
fn inside(text: &str, span: Span) -> &str {
    text.get(span.start..span.end).expect("the span lies in the text")
}
