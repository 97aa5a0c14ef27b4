//! All four lists on rules: what is in force afterwards, and what is refused.

use std::fs;
use std::sync::Arc;

use super::*;
use crate::rule::parser::{Parsed, Reading, parse_with};

const RULES: &str = "\
alert tcp any any -> any any (msg:\"one\"; content:\"a\"; classtype:misc-attack; sid:1; rev:3;)
#alert tcp any any -> any any (msg:\"two\"; metadata:deployment Perimeter, x y; sid:2;)
alert tcp any any -> any any (msg:\"three\"; flowbits:set,a; flowbits:noalert; sid:3;)
# alert tcp any any -> any any (msg:\"four\"; \\
#   gid:7; sid:4;)
alert tcp any any -> any any (msg:\"broken; sid:5;)
";

#[derive(Default)]
struct Lists<'a> {
    disable: &'a str,
    enable: &'a str,
    drop: &'a str,
    modify: &'a str,
}

impl Lists<'_> {
    fn tuning(&self) -> Result<Tuning, TuningError> {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            (!text.is_empty()).then_some(path)
        };
        Tuning::read(&TuningFiles {
            disable: write("disable.conf", self.disable),
            enable: write("enable.conf", self.enable),
            drop: write("drop.conf", self.drop),
            modify: write("modify.conf", self.modify),
        })
    }

    fn parse(&self) -> Parsed {
        let tuning = self.tuning().unwrap();
        let file: Arc<Path> = Arc::from(Path::new("rules/emerging-dos.rules"));
        let reading = Reading { tuning: Some(&tuning), ..Reading::default() };
        parse_with(&file, RULES.as_bytes(), reading)
    }

    fn sids(&self) -> Vec<u32> {
        self.parse().rules.iter().filter_map(crate::rule::ast::Rule::sid).collect()
    }
}

#[test]
fn each_kind_of_matcher_disables() {
    for (line, left) in [
        ("", vec![1, 3]),
        ("1", vec![3]),
        ("1:1", vec![3]),
        ("2:1", vec![1, 3]),
        ("1:1:3", vec![3]),
        ("1:1:2", vec![1, 3]),
        ("7, 3 ,1", vec![]),
        ("2-9", vec![1]),
        ("1:1-1:2", vec![3]),
        ("re:MSG:\"ONE", vec![3]),
        ("re: classtype:\\s*misc-", vec![3]),
        ("group:emerging-dos", vec![]),
        ("group:emerging-*.rules", vec![]),
        ("emerging-dos.rules", vec![]),
        ("group:emerging-d", vec![1, 3]),
        ("filename:rules/*", vec![]),
        ("filename:*-dos.rules", vec![]),
        ("filename:emerging-dos.rules", vec![1, 3]),
        ("*", vec![]),
        ("# 1\n\n3 # why\n", vec![1]),
    ] {
        assert_eq!(Lists { disable: line, ..Lists::default() }.sids(), left, "{line}");
    }
}

#[test]
fn disabled_rules_are_enabled() {
    for (line, left) in [
        ("2", vec![1, 2, 3]),
        ("7:4", vec![1, 3, 4]),
        ("metadata: DEPLOYMENT perimeter", vec![1, 2, 3]),
        ("metadata:x y", vec![1, 2, 3]),
        ("metadata:x z", vec![1, 3]),
        ("*", vec![1, 2, 3, 4]),
    ] {
        assert_eq!(Lists { enable: line, ..Lists::default() }.sids(), left, "{line}");
    }
    // `enable` has the last word.
    let lists = Lists { disable: "*", enable: "1\n2", ..Lists::default() };
    assert_eq!(lists.sids(), [1, 2]);
    let parsed = lists.parse();
    // 3 by the list, 4 by its `#`, 5 by the list though it is no rule.
    assert_eq!((parsed.disabled, parsed.refusals.len()), (3, 0));
    assert_eq!(parsed.tuned, Tuned { disabled: 2, enabled: 1, ..Tuned::default() });
}

#[test]
fn drop_leaves_silent_rules_alone() {
    let parsed = Lists { drop: "*", enable: "2", ..Lists::default() }.parse();
    let actions: Vec<_> = parsed.rules.iter().map(|rule| &rule.text[..5]).collect();
    assert_eq!(actions, ["drop ", "drop ", "alert"]);
    assert_eq!(parsed.tuned.dropped, 3, "the broken one too");
}

#[test]
fn text_is_modified() {
    let lists = Lists {
        modify: "1 \"content:\\\"(.)\\\"\" \"content:\\\"\\\\1b\\\"\"\n\
                 modifysid 1 \"^alert\" | \"drop\"\n\
                 metadata-add re:one key \"a value\"\n\
                 3 \"nothing\" \"at all\"\n\
                 5 broken 'broken\"'\n",
        ..Lists::default()
    };
    let parsed = lists.parse();
    assert_eq!(
        &*parsed.rules[0].text,
        "drop tcp any any -> any any (msg:\"one\"; content:\"ab\"; classtype:misc-attack; sid:1; rev:3; \
         metadata:key a value;)"
    );
    assert_eq!(parsed.rules.iter().map(|rule| rule.line).collect::<Vec<_>>(), [1, 3, 6]);
    assert_eq!(parsed.tuned.modified, 2);
}

#[test]
fn a_change_that_breaks_a_rule_is_named() {
    let parsed = Lists { modify: "1 any \"\"", ..Lists::default() }.parse();
    let reason = &parsed.refusals[0].reason;
    assert!(reason.contains("(as changed by") && reason.ends_with("modify.conf:1)"), "{reason}");
}

#[test]
fn lines_that_say_nothing() {
    for (line, reason) in [
        ("heartbleed", "`heartbleed` names no rules"),
        ("re:(", "the pattern `(` cannot be used: unclosed group"),
        ("re:a(?=b)", "cannot be used: look-around"),
        ("re:", "`re:` needs a pattern"),
        ("1:2:3:4", "`1:2:3:4` is no number of a rule"),
        ("9-3", "`9-3` is no range of rules"),
        ("1:1-2:5", "the range `1:1-2:5` goes over two gids"),
        ("99999999999", "`99999999999` is no number of a rule"),
        ("metadata:key", "`metadata:` needs a key and a value"),
    ] {
        let text = format!("# first\n{line}\n");
        let error = Lists { disable: &text, ..Lists::default() }.tuning().unwrap_err().to_string();
        assert!(error.contains("disable.conf:2: ") && error.contains(reason), "{error}");
    }
    for (line, reason) in [
        ("1 a", "expected `MATCHER \"FROM\" \"TO\"`"),
        ("1 \"a", "a quote is not closed"),
        ("1 a \\\\2", "the pattern has no group `2`"),
        ("x a b", "`x` names no rules"),
        ("metadata-add 1 a \"b;\"", "metadata cannot hold"),
    ] {
        let error = Lists { modify: line, ..Lists::default() }.tuning().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let missing = TuningFiles { drop: Some("/none/drop.conf".into()), ..TuningFiles::default() };
    assert!(matches!(Tuning::read(&missing), Err(TuningError::Read(..))));
}
