//! Each finding on a rule that has it, and rules that have none.

use proptest::prelude::*;

use super::*;
use crate::rule::parser::parse_str;

const TAIL: &str = "msg:\"m\"; classtype:misc-attack; rev:1;";

/// `name @ text` of each finding, over all rules.
fn found(text: &str) -> Vec<String> {
    let parsed = parse_str(&Arc::from(Path::new("x.rules")), text);
    assert_eq!(parsed.refusals, []);
    let (classifications, variables) = (Classifications::default(), Variables::default());
    let context = Context { classifications: &classifications, variables: &variables };
    let tell = |f: &Finding| format!("{} @ {}", f.lint, &f.text[f.span.start..f.span.end]);
    lint(&parsed.rules, context).iter().map(tell).collect()
}

/// The same of one rule by header and options, with all that rules should have.
fn on(header: &str, options: &str) -> Vec<String> {
    found(&format!("alert {header} ({TAIL} {options} sid:1;)"))
}

fn tcp(options: &str) -> Vec<String> {
    on("tcp any any -> any any", options)
}

#[test]
fn one_rule() {
    for (options, expected) in [
        ("content:\"abcd\";", ""),
        ("content:\"abc\";", "short-fast-pattern @ \"abc\""),
        ("content:\"|41 42|\"; content:\"|41 42 43 44|\";", ""),
        ("content:\"abcd\"; content:\"ab\"; fast_pattern;", "short-fast-pattern @ fast_pattern"),
        ("content:\"abcdef\"; fast_pattern:1,3;", "short-fast-pattern @ 1,3"),
        (
            "content:\"abcdef\",fast_pattern,fast_pattern_length 3;",
            "short-fast-pattern @ fast_pattern",
        ),
        ("pcre:\"/abcd/\";", "pcre-without-content @ \"/abcd/\""),
        ("pcre:\"/abcd/\"; content:!\"abcd\";", "pcre-without-content @ \"/abcd/\""),
        ("content:!\"abcd\";", "no-fast-pattern @ content"),
        ("byte_test:1,>,1,0;", "no-fast-pattern @ byte_test"),
        ("flags:S;", ""),
        ("content:\"abcd\"; depth:3;", "depth-too-small @ 3"),
        ("content:\"abcd\"; depth:4;", ""),
        ("content:\"abcd\", depth 3;", "depth-too-small @  depth 3"),
        ("content:\"abcd\"; content:\"efgh\"; within:3;", "within-too-small @ 3"),
        ("content:\"abcd\"; content:!\"efgh\"; within:3;", "within-too-small @ 3"),
        ("content:\"abcd\"; content:\"efgh\"; within:len;", ""),
        ("dsize:7; content:\"abcd\"; content:\"efgh\"; distance:0;", "dsize-too-small @ 7"),
        ("dsize:8; content:\"abcd\"; content:\"efgh\"; distance:0;", ""),
        ("dsize:<8; content:\"abcd\"; offset:4;", "dsize-too-small @ <8"),
        ("dsize:>3; content:\"abcd\"; offset:4;", ""),
        ("dsize:3; http.uri; content:\"abcd\";", ""),
        ("http.uri; content:\"abcd\"; bsize:3;", "bsize-too-small @ 3"),
        ("http.uri; content:\"abcd\"; http.host; bsize:3; content:\"abc\";", ""),
        ("content:\"abcd\"; http_uri;", "deprecated-keyword @ http_uri"),
        ("content:\"abcd\"; rawbytes;", "deprecated-keyword @ rawbytes"),
        ("content:\"abcd\"; fast_pattern:only;", "deprecated-keyword @ fast_pattern"),
        ("content:\"abcd\"; http_uri; metadata:service http;", ""),
        ("uricontent:\"abcd\"; metadata:service http;", "deprecated-keyword @ uricontent"),
        ("http_uri; content:\"abcd\",nocase;", ""),
        ("itype:8;", "protocol-never-matches @ itype"),
        (
            "flow:established,to_server,from_server;",
            "flow-never-matches @ established,to_server,from_server",
        ),
        ("flow:not_established,stateless;", "flow-never-matches @ not_established,stateless"),
        ("flow:to_server,established;", ""),
    ] {
        let expected: Vec<&str> = if expected.is_empty() { vec![] } else { vec![expected] };
        assert_eq!(tcp(options), expected, "{options}");
    }
}

#[test]
fn headers() {
    for (header, options, expected) in [
        ("icmp any 8 -> any any", "", "port-never-matches @ 8"),
        ("icmp any any -> any any", "itype:8;", ""),
        ("udp any any -> any any", "flags:S;", "protocol-never-matches @ flags"),
        ("udp any any -> any any", "tcp.mss:5;", "protocol-never-matches @ tcp.mss"),
        ("ip any any -> any any", "flags:S;", ""),
        ("ip $HOME_NET any -> $EXTERNAL_NET any", "sameip;", "sameip-never-matches @ sameip"),
        ("ip $HOME_NET any -> 10.1.0.0/16 any", "sameip;", ""),
        ("ip $NOBODY any -> any any", "sameip;", ""),
    ] {
        let expected: Vec<&str> = if expected.is_empty() { vec![] } else { vec![expected] };
        assert_eq!(on(header, options), expected, "{header} {options}");
    }
}

#[test]
fn identity() {
    let rule = |options: &str| found(&format!("alert tcp any any -> any any ({options})"));
    assert_eq!(
        rule("sid:1;"),
        ["missing-msg @ sid", "missing-rev @ sid", "missing-classtype @ sid"]
    );
    assert_eq!(rule("msg:\"m\"; priority:1; rev:1; sid:1;"), [""; 0]);
    assert_eq!(rule("msg:\"m\"; noalert; rev:1; sid:1;"), [""; 0]);
    assert_eq!(
        rule("msg:\"m\"; classtype:misc-atack; rev:1; sid:1;"),
        ["unknown-classtype @ misc-atack"]
    );
    let all = |sid: u32| format!("alert tcp any any -> any any ({TAIL} sid:{sid};)\n");
    assert_eq!(found(&(all(1) + &all(2) + &all(1))), ["duplicate-msg @ \"m\""]);
}

#[test]
fn bits_of_the_whole_set() {
    let rules = |options: &[&str]| {
        let rule = |(sid, options): (usize, &&str)| {
            format!(
                "alert tcp any any -> any any (msg:\"{sid}\"; classtype:misc-attack; rev:1; {options} sid:{sid};)\n"
            )
        };
        found(&(1..).zip(options).map(rule).collect::<String>())
    };
    assert_eq!(rules(&["flowbits:isset,a|b;", "flowbits:set,a;", "flowbits:toggle,b;"]), [""; 0]);
    assert_eq!(rules(&["flowbits:isset,a|b;", "flowbits:set,a;"]), ["bit-never-set @ isset,a|b"]);
    assert_eq!(rules(&["flowbits:set,a;"]), ["bit-never-tested @ set,a"]);
    assert_eq!(rules(&["flowbits:isnotset,a;"]), ["bit-never-set @ isnotset,a"]);
    // Bits of another kind are other bits.
    assert_eq!(
        rules(&["xbits:set,a,track ip_src;", "hostbits:isset,a;"]),
        ["bit-never-tested @ set,a,track ip_src", "bit-never-set @ isset,a"]
    );
    assert_eq!(rules(&["flowbits:noalert;", "flowbits:unset,a;"]), [""; 0]);
}

/// Each finding has an entry with its name in the documentation.
#[test]
fn all_are_documented() {
    let docs = include_str!("../../../../docs/lint.md");
    for lint in Lint::ALL {
        assert!(docs.contains(&format!("\n## {lint}\n")), "{lint}");
    }
}

#[test]
fn text_and_json() {
    let parsed = parse_str(
        &Arc::from(Path::new("x.rules")),
        "alert tcp any any -> any any (content:\"abc\"; sid:1;)",
    );
    let (classifications, variables) = (Classifications::default(), Variables::default());
    let context = Context { classifications: &classifications, variables: &variables };
    let finding = &lint(&parsed.rules, context)[0];
    assert_eq!(
        finding.to_json(),
        "{\"file\":\"x.rules\",\"line\":1,\"column\":39,\"end_column\":44,\"sid\":1,\
         \"lint\":\"short-fast-pattern\",\"reason\":\"the fast pattern has only 3 bytes\",\"help\":null}"
    );
    assert_eq!(
        finding.to_string().lines().next(),
        Some("warning[short-fast-pattern]: the fast pattern has only 3 bytes")
    );
}

proptest! {
    /// Any values of the keywords it reads: spans lie in the text, and nothing panics.
    #[test]
    fn never_panics(
        options in proptest::collection::vec(
            ("(content|depth|within|offset|distance|dsize|bsize|fast_pattern|flowbits|flow|http_uri|http\\.uri|pcre|classtype|msg|sameip)",
             "[!<>0-9a-f|,\"\\\\ é-]{0,12}"), 0..8),
    ) {
        let text: String =
            options.iter().map(|(name, value)| format!("{name}:{value};")).collect();
        let text = format!("alert icmp any [1,2] -> $X any ({text} sid:1;)");
        let parsed = parse_str(&Arc::from(Path::new("x")), &text);
        let (classifications, variables) = (Classifications::default(), Variables::default());
        let context = Context { classifications: &classifications, variables: &variables };
        for finding in lint(&parsed.rules, context) {
            prop_assert!(finding.text.get(finding.span.start..finding.span.end).is_some());
            prop_assert!(!finding.to_string().is_empty());
        }
    }
}
