//! Grammar, refusals and their places, bounds; and any text at all.

use super::*;
use proptest::prelude::*;

fn file() -> Arc<Path> {
    Arc::from(Path::new("test.rules"))
}

fn parsed(text: &str) -> Parsed {
    parse_str(&file(), text)
}

fn rule(text: &str) -> Rule {
    let mut parsed = parsed(text);
    assert_eq!(parsed.refusals, []);
    assert_eq!(parsed.rules.len(), 1);
    parsed.rules.remove(0)
}

/// The options as `name` or `name=value`.
fn options(rule: &Rule) -> Vec<String> {
    rule.options
        .iter()
        .map(|o| match &o.value {
            Some(value) => format!("{}={}", o.name.node, value.node.0),
            None => o.name.node.clone(),
        })
        .collect()
}

/// The refusal's reason and the text under its caret.
fn refused(text: &str) -> (String, String) {
    let parsed = parsed(text);
    assert_eq!(parsed.rules, [], "{text}");
    let [refusal] = parsed.refusals.as_slice() else { panic!("{:?}", parsed.refusals) };
    let at = &refusal.text[refusal.span.start..refusal.span.end];
    (refusal.reason.clone(), at.to_owned())
}

fn shown(group: &Spanned<GroupExpr>) -> String {
    match &group.node {
        GroupExpr::Any => "any".to_owned(),
        GroupExpr::Variable(name) => format!("${}", name.node),
        GroupExpr::Item(item) => item.node.clone(),
        GroupExpr::Not(inner) => format!("!{}", shown(inner)),
        GroupExpr::List(items) => {
            format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(","))
        }
    }
}

#[test]
fn header() {
    let rule = rule(
        "Alert TCP [$HOME_NET, ![10.0.0.1 ,!10.1.0.0/16]] !80 <> 2001:db8::/32 [1024:,!:90](sid:1;)",
    );
    assert_eq!(rule.header.action.node, Action::Alert);
    assert_eq!(rule.header.protocol.node, "tcp");
    let ends = rule.header.endpoints.as_ref().unwrap();
    assert_eq!(shown(&ends.source), "[$HOME_NET,![10.0.0.1,!10.1.0.0/16]]");
    assert_eq!(shown(&ends.source_port), "!80");
    assert!(ends.bidirectional.node);
    assert_eq!(shown(&ends.destination), "2001:db8::/32");
    assert_eq!(shown(&ends.destination_port), "[1024:,!:90]");
    let at = |span: Span| &rule.text[span.start..span.end];
    assert_eq!(at(ends.source_port.span), "!80");
    assert_eq!(at(ends.destination_port.span), "[1024:,!:90]");
}

#[test]
fn snort3_headers() {
    assert_eq!(rule("alert http (sid:1;)").header.endpoints, None);
    assert_eq!(rule("alert http(\n  sid:1;\n)").header.endpoints, None);
    let ends = rule("alert tcp any -> $HOME_NET (sid:1;)").header.endpoints.unwrap();
    assert_eq!(
        (shown(&ends.source_port), shown(&ends.destination)),
        ("any".into(), "$HOME_NET".into())
    );
}

#[test]
fn values_stay_as_written() {
    let rule = rule(
        r#"alert tcp any any -> any any ( msg : "a\;b \"c\"" ; Content: !"|3b 0A|x\\\:" ; nocase;
            content:"a,b",depth 4,nocase; pcre:"/^["']?\d"x/Ri"; content:; metadata:k v, k2 v2; )"#,
    );
    assert_eq!(
        options(&rule),
        [
            r#"msg="a\;b \"c\"""#,
            r#"content=!"|3b 0A|x\\\:""#,
            "nocase",
            r#"content="a,b",depth 4,nocase"#,
            r#"pcre="/^["']?\d"x/Ri""#,
            "content=",
            "metadata=k v, k2 v2",
        ]
    );
    let value = rule.options[1].value.as_ref().unwrap();
    let span = value.locate(2, 4);
    assert_eq!(&rule.text[span.start..span.end], "|3");
}

#[test]
fn values_over_lines() {
    let rule =
        rule("alert ip any any -> any any (msg:\"a \\\r\n b\"; metadata: x y,\n z; \\\n sid:7;)");
    assert_eq!(options(&rule), ["msg=\"a  b\"", "metadata=x y,  z", "sid=7"]);
    let value = rule.options[0].value.as_ref().unwrap();
    assert_eq!(value.locate(0, 1), value.span);
}

#[test]
fn refusals_point_at_the_place() {
    for (text, reason, at) in [
        ("alret tcp any any -> any any (sid:1;)", "no rule begins with `alret`", "alret"),
        ("alert tcp any any any any (sid:1;)", "expected `->` or `<>`", "a"),
        ("alert tcp any any <- any any (sid:1;)", "there is no `<-`", "<-"),
        ("alert tcp [any any -> any any (sid:1;)", "expected `,` or `]`, found `a`", "a"),
        ("alert tcp [1.2.3.4 -> any any (sid:1;)", "the bracket is not closed", "["),
        ("alert tcp [] any -> any any (sid:1;)", "the group is empty", "[]"),
        ("alert tcp !!1.2.3.4 any -> any any (sid:1;)", "`!` stands twice", "!"),
        ("alert tcp any any -> any any", "expected `(` and the options", ""),
        ("alert tcp any any -> any any (sid:1;", "the parenthesis is not closed", "("),
        ("alert tcp any any -> any any (msg:\"x\"; sid:1)", "no `;` behind `sid`", "sid:1"),
        ("alert tcp any any -> any any (sid:1;; rev:1;)", "an option without a name", ";"),
        ("alert tcp any any -> any any (sid 1;)", "expected `:` or `;`, found `1`", "1"),
        ("alert tcp any any -> any any (sid:1;) x", "text behind the end of the rule", "x"),
        ("alert tcp any any -> any any (msg:\"a;b\"; sid:1;)", "the quote is not closed", "\"a"),
        (
            "alert tcp any any -> any any (msg:\"a\n b\"; sid:1;)",
            "a line break inside quotes",
            "\"a",
        ),
        ("ipvar HOME_NET any", "`ipvar` is not supported yet", "ipvar"),
        ("alert (sid:1;)", "the protocol is missing", "("),
    ] {
        assert_eq!(refused(text), (reason.to_owned(), at.to_owned()), "{text}");
    }
}

#[test]
fn a_refusal_knows_its_sid_and_line() {
    let parsed = parsed("\n# x\nalert tcp any any -> any (msg:\"sid:5\"; sid: 42; rev 1;)\n");
    assert_eq!((parsed.refusals[0].sid, parsed.refusals[0].line), (Some(42), 3));
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = format!("alert tcp {} any -> any any (sid:1;)", "[".repeat(60_000));
    assert_eq!(refused(&deep).0, format!("groups nest deeper than {MAX_DEPTH}"));
    let long = format!("alert tcp any any -> any any (msg:\"{}\"; sid:1;)", "x".repeat(MAX_RULE));
    assert_eq!(refused(&long).0, format!("the rule has more than {MAX_RULE} bytes"));
}

#[test]
fn bytes_that_are_not_utf8_cost_one_rule() {
    let text = b"# caf\xe9\nalert tcp any any -> any any (msg:\"caf\xe9\"; sid:1;)\n\
                 alert tcp any any -> any any (msg:\"caf\xc3\xa9\"; sid:2;)\n";
    let parsed = parse_bytes(&file(), text);
    assert_eq!((parsed.rules.len(), parsed.refusals.len()), (1, 1));
    assert_eq!(parsed.rules[0].sid(), Some(2));
    let refusal = &parsed.refusals[0];
    assert_eq!(refusal.reason, "byte 0xe9 is not UTF-8");
    assert_eq!((refusal.line, refusal.sid), (2, Some(1)));
    assert_eq!(&refusal.text[refusal.span.start..refusal.span.end], "\u{fffd}");
}

/// Every span lies in the text, on borders of characters, and inside the one around it.
pub(crate) fn check_spans(parsed: &Parsed) {
    for refusal in &parsed.refusals {
        assert!(refusal.text.get(refusal.span.start..refusal.span.end).is_some());
    }
    for rule in &parsed.rules {
        for option in &rule.options {
            let name = rule.text.get(option.name.span.start..option.name.span.end);
            assert!(name.is_some_and(|name| name.eq_ignore_ascii_case(&option.name.node)));
            if let Some(value) = &option.value {
                assert!(rule.text.get(value.span.start..value.span.end).is_some());
            }
        }
    }
}

fn token() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "alert ",
        "tcp ",
        "any ",
        "-> ",
        "<> ",
        "(",
        ")",
        ";",
        ":",
        "msg",
        "sid",
        "content",
        "\"",
        "\\",
        "\n",
        "\r\n",
        "#",
        "#begin",
        "#end",
        "/*",
        "*/",
        "[",
        "]",
        "!",
        "$HOME_NET ",
        ",",
        " ",
        "\t",
        "|0a|",
        "1",
        "\u{feff}",
        "\u{e9}",
        "alert tcp any any -> any any (",
    ]);
    prop_oneof![9 => known.prop_map(str::to_owned), 1 => ".{0,3}"]
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(tokens in prop::collection::vec(token(), 0..80)) {
        check_spans(&parsed(&tokens.concat()));
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_spans(&parse_bytes(&file(), &bytes));
    }

    /// Whatever stands on the line before, as long as no comment is opened, the next rule is read.
    #[test]
    fn a_bad_rule_never_costs_the_next(tokens in prop::collection::vec(token(), 0..30)) {
        let before = tokens.concat();
        prop_assume!(!before.contains("/*") && !before.contains("#begin"));
        prop_assume!(!before.trim_ascii_end().ends_with('\\'));
        let text = format!("{before}\nalert tcp any any -> any any (sid:4711;)\n");
        let found = parsed(&text);
        prop_assert!(found.rules.iter().any(|rule| rule.sid() == Some(4711)), "{text}");
    }
}
