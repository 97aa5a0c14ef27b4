//! What is told of rules of every kind, and of all public ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::detect::{Compiled, Environment, compile};
use crate::rule::load;
use crate::rule::parser::parse_str;

fn compiled(text: &str) -> Compiled {
    let file: Arc<Path> = Path::new("test.rules").into();
    let parsed = parse_str(&file, text);
    assert!(parsed.refusals.is_empty(), "{:?}", parsed.refusals);
    let compiled = compile(&parsed.rules, &Environment { places: true, ..Environment::default() });
    assert!(compiled.refusals.is_empty(), "{:?}", compiled.refusals);
    compiled
}

fn explained(options: &str) -> Explanation {
    let text = format!("alert tcp any any -> any 80 ({options} sid:7;)");
    Explainer::new(&compiled(&text).ruleset).explain(RuleId { gid: 1, sid: 7 }).unwrap()
}

fn steps(options: &str) -> Vec<String> {
    let explanation = explained(options);
    explanation.ways[0].steps.iter().skip(2).map(|step| step.step.clone()).collect()
}

#[test]
fn steps_stand_in_the_order_of_inspection() {
    assert_eq!(
        steps(
            r#"pcre:"/x/"; content:"abc"; content:"de"; content:"longest"; byte_test:1,>,2,0; ttl:5;
               flags:S; flow:to_server; flowbits:isset,x; base64_decode; base64_data; content:"q";"#
        ),
        [
            "protocol tcp",
            "flags:S",
            "ttl:5",
            "flowbits:isset,x",
            "byte_test:1,>,2,0",
            r#"content:"longest""#,
            r#"content:"abc""#,
            r#"content:"de""#,
            r#"pcre:"/x/""#,
            "base64_decode",
            r#"content:"q""#,
        ]
    );
}

#[test]
fn what_depends_on_one_another_is_one_run() {
    let explanation =
        explained(r#"content:"ab"; content:"cd"; content:"ef"; distance:1; pcre:"/g/R";"#);
    let steps = &explanation.ways[0].steps;
    let runs: Vec<(&str, Option<usize>)> =
        steps.iter().filter(|s| s.run.is_some()).map(|s| (s.step.as_str(), s.run)).collect();
    assert_eq!(
        runs,
        [
            (r#"content:"ab""#, Some(0)),
            (r#"content:"cd""#, Some(1)),
            (r#"content:"ef""#, Some(1)),
            (r#"pcre:"/g/R""#, Some(1)),
        ]
    );
}

#[test]
fn places_of_contents_in_words() {
    for (options, place) in [
        (r#"content:"ab";"#, "anywhere"),
        (r#"content:"ab"; nocase;"#, "anywhere, any case"),
        (r#"content:!"ab";"#, "not anywhere"),
        (r#"content:"ab"; depth:9;"#, "in the first 9 bytes"),
        (r#"content:"ab"; startswith;"#, "in the first 2 bytes"),
        (r#"content:"ab"; offset:3;"#, "from byte 3 on"),
        (r#"content:"ab"; offset:3; depth:9;"#, "in 9 bytes from byte 3 on"),
        (r#"content:"ab"; endswith;"#, "anywhere, at the end"),
        (r#"content:"q"; content:"ab"; distance:0;"#, "behind the hit before"),
        (r#"content:"q"; content:"ab"; distance:-3;"#, "-3 or more behind the hit before"),
        (r#"content:"q"; content:"ab"; within:9;"#, "in 9 bytes behind the hit before"),
        (
            r#"content:"q"; content:"ab"; distance:1; within:9;"#,
            "in 9 bytes from 1 behind the hit before on",
        ),
        (r#"byte_extract:1,0,x; content:"ab"; offset:x;"#, "from byte (variable) on"),
    ] {
        let explanation = explained(options);
        let content = explanation.ways[0].steps.iter().rev().find(|step| step.step.contains("ab"));
        assert_eq!(content.unwrap().place.as_deref(), Some(place), "{options}");
    }
}

#[test]
fn the_fast_pattern_and_why() {
    for (options, bytes, why) in [
        (r#"content:"ab";"#, "ab", Why::Only),
        (r#"content:"ab"; content:!"longer";"#, "ab", Why::Only),
        (r#"content:"ab"; content:"abc";"#, "abc", Why::Longest),
        (r#"content:"abc"; content:"|80|bc";"#, "\\x80bc", Why::Rarest),
        (r#"content:"abc"; content:"bcd";"#, "abc", Why::First),
        (r#"content:"abc"; content:"d"; fast_pattern;"#, "d", Why::Named),
        (r#"content:"abcdef"; fast_pattern:1,3;"#, "bcd", Why::Named),
    ] {
        let explanation = explained(options);
        let Prefilter::FastPattern { bytes: chosen, why: reason, .. } =
            &explanation.ways[0].prefilter
        else {
            panic!("{options}");
        };
        assert_eq!(
            (chosen.escape_ascii().to_string().as_str(), *reason),
            (bytes, Some(why)),
            "{options}"
        );
    }
}

#[test]
fn rules_without_fast_pattern() {
    let prefilter = |options| explained(options).ways[0].prefilter.clone();
    let test = |test: &str| Prefilter::Test { test: test.to_owned() };
    assert_eq!(prefilter("dsize:>5; ttl:5;"), test("dsize:>5"));
    assert_eq!(prefilter("flow:established;"), test("flow:established"));
    assert_eq!(
        prefilter(r#"content:!"abc";"#),
        test("a payload that is inspected with the packet")
    );
    assert_eq!(prefilter("flowbits:isset,x;"), Prefilter::Always);
    assert_eq!(prefilter("stream-event:pkt_invalid_ack;"), Prefilter::Events);
    for (header, once) in
        [("10.0.0.1 any -> any any", true), ("!10.0.0.0/8 any -> 1.2.3.4 any", false)]
    {
        let ruleset = compiled(&format!("alert ip {header} (sid:7;)")).ruleset;
        let explanation = Explainer::new(&ruleset).explain(RuleId { gid: 1, sid: 7 }).unwrap();
        assert_eq!(explanation.ways[0].prefilter, Prefilter::Addresses { once });
    }
}

#[test]
fn rules_on_transactions() {
    let text = r#"alert http any any -> any any (flow:to_server; content:"xyz"; http_uri;
        http.method; content:"POST"; http.user_agent; content:!"Mozilla"; bsize:>3;
        file.data; pcre:"/ab+c/"; sid:7;)"#;
    let explanation =
        Explainer::new(&compiled(text).ruleset).explain(RuleId { gid: 1, sid: 7 }).unwrap();
    let way = &explanation.ways[0];
    let steps: Vec<(&str, &str)> =
        way.steps.iter().map(|step| (step.of, step.step.as_str())).collect();
    assert_eq!(
        steps,
        [
            ("flow", "flow:to_server"),
            ("flow", "application protocol of http"),
            ("packet", "protocol http"),
            ("http.uri", r#"content:"xyz""#),
            ("http.method", r#"content:"POST""#),
            ("http.user_agent", "bsize:>3"),
            ("http.user_agent", r#"content:!"Mozilla""#),
            ("file.data", r#"pcre:"/ab+c/""#),
        ]
    );
    let [group] = way.groups.as_slice() else { panic!("{:?}", way.groups) };
    assert_eq!((group.protocol, group.direction, group.signatures), ("http", "to_server", 1));
    let Prefilter::FastPattern { scanned, bytes, why, .. } = &way.prefilter else { panic!() };
    assert_eq!(
        (scanned.join(" ").as_str(), &**bytes, *why),
        ("http.method", &b"POST"[..], Some(Why::Longest))
    );
    let text = r#"alert http any any -> any any (http.method; content:!"POST"; sid:7;)"#;
    let explanation =
        Explainer::new(&compiled(text).ruleset).explain(RuleId { gid: 1, sid: 7 }).unwrap();
    assert_eq!(explanation.ways[0].prefilter, Prefilter::EachTransaction);
}

#[test]
fn effects_in_order() {
    assert_eq!(
        explained(
            r#"content:"a"; flowbits:set,x; noalert; tag:session; bypass;
               threshold:type both, track by_dst, count 5, seconds 60;"#
        )
        .effects,
        [
            "flowbits:set,x",
            "one alert, at match 5 within 60 s, counted by destination",
            "bypass: the rest of the flow is not inspected",
            "tag:session",
            "alert, but no alert (noalert)",
        ]
    );
}

#[test]
fn both_ways_of_a_rule_show() {
    let text = "alert tcp 10.0.0.1 any <> any 80 (sid:7;)";
    let explanation =
        Explainer::new(&compiled(text).ruleset).explain(RuleId { gid: 1, sid: 7 }).unwrap();
    let first = |way: &Way| way.steps.iter().map(|s| s.step.clone()).collect::<Vec<_>>();
    let [one, other] = explanation.ways.as_slice() else { panic!() };
    assert_eq!(first(one)[..1], ["destination port 80"]);
    assert!(first(one).contains(&"source 10.0.0.1".to_owned()));
    assert_eq!(first(other)[..1], ["source port 80"]);
    assert!(first(other).contains(&"destination 10.0.0.1".to_owned()));
}

#[test]
fn without_places_there_are_words() {
    let file: Arc<Path> = Path::new("test.rules").into();
    let parsed = parse_str(&file, r#"alert tcp any any -> any 80 (ttl:5; content:"a"; sid:7;)"#);
    let ruleset = compile(&parsed.rules, &Environment::default()).ruleset;
    let explanation = Explainer::new(&ruleset).explain(RuleId { gid: 1, sid: 7 }).unwrap();
    assert!(explanation.source.is_none());
    let words: Vec<&str> = explanation.ways[0].steps.iter().map(|s| s.step.as_str()).collect();
    assert_eq!(words, ["destination port", "protocol", "check", "content"]);
}

/// Each rule of the public rulesets that is in force can be explained: its steps are words of the rule at
/// their places, and what must be there is one of them.
#[test]
fn public_rulesets_can_be_explained() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/rules"));
    for name in ["et-open.rules", "snort2-community.rules", "snort3-community.rules"] {
        let path = folder.join(name);
        if !path.exists() {
            eprintln!("skipped: {} is not there", path.display());
            continue;
        }
        let mut loaded = load::load(&[path]).unwrap();
        let environment = Environment {
            places: true,
            classifications: std::mem::take(&mut loaded.classifications),
            references: std::mem::take(&mut loaded.references),
            ..Environment::default()
        };
        let ruleset = compile(&loaded.rules, &environment).ruleset;
        let explainer = Explainer::new(&ruleset);
        let (mut explained, mut unreachable) = (0, 0);
        for signature in ruleset.signatures() {
            let id = RuleId { gid: signature.info.gid, sid: signature.info.sid };
            let places = signature.places.as_deref().unwrap();
            for step in signature.steps() {
                let Some(span) = step.span else { continue };
                assert!(step.words.ends_with(&places.words(span)), "{id}: {step:?}");
                assert!(!places.words(span).is_empty(), "{id}: {step:?}");
            }
            let explanation = explainer.explain(id).unwrap();
            for way in &explanation.ways {
                assert!(!way.kernel.is_empty(), "{id}");
                let by_address = matches!(way.prefilter, Prefilter::Addresses { .. });
                let never = way.prefilter == Prefilter::Never;
                assert_eq!(never || by_address, way.groups.is_empty(), "{id}");
                unreachable += usize::from(never);
            }
            assert!(explanation.to_string().contains("on a match"));
            assert!(serde_json::to_string(&explanation).is_ok());
            explained += 1;
        }
        assert!(explained > 100, "{name}: {explained}");
        // Such as contents in the payload of IGMP, which nobody knows the begin of.
        assert!(unreachable < 10, "{name}: {unreachable}");
        eprintln!("{name}: {explained} signatures explained");
    }
}
