//! Cases that say what the engine does, each compared with PCRE2 too.

use super::oracle::Oracle;
use super::*;

/// Pattern, flags, subject, where the first match is.
type Case = (&'static str, &'static str, &'static str, Option<(usize, usize)>);

const CASES: &[Case] = &[
    ("", "", "abc", Some((0, 0))),
    ("b", "", "abc", Some((1, 2))),
    ("B", "i", "abc", Some((1, 2))),
    ("ab|abc", "", "xabc", Some((1, 3))),
    ("a.c", "", "a\nc", None),
    ("a.c", "s", "a\nc", Some((0, 3))),
    // `$` matches before the last newline, unless it may not.
    ("a$", "", "a\n", Some((0, 1))),
    ("a$", "", "a\n\n", None),
    ("a$", "E", "a\n", None),
    ("a$", "m", "a\nb", Some((0, 1))),
    ("a\\Z", "", "a\n", Some((0, 1))),
    ("a\\z", "", "a\n", None),
    ("a$\n", "", "a\n", Some((0, 2))),
    // A line does not begin behind the last newline.
    ("^b", "m", "a\nb", Some((2, 3))),
    ("^$", "m", "a\n", None),
    ("^", "", "a", Some((0, 0))),
    ("\\Ab", "m", "a\nb", None),
    ("b", "A", "ab", None),
    ("a b # c", "x", "ab", Some((0, 2))),
    ("a+", "G", "aaa", Some((0, 1))),
    ("a+?", "G", "aaa", Some((0, 3))),
    ("a{2}", "", "aaa", Some((0, 2))),
    ("a{2,}", "", "aaa", Some((0, 3))),
    ("a{,2}", "", "aaa", Some((0, 2))),
    ("a{,}", "", "a{,}", Some((0, 4))),
    ("a{x", "", "a{x", Some((0, 3))),
    ("(?:ab){1,3}c", "", "abababc", Some((0, 7))),
    ("(?:ab){2,3}?", "", "abababab", Some((0, 4))),
    ("a++a", "", "aaa", None),
    ("(?>a|ab)c", "", "abc", None),
    ("(?:a|ab)c", "", "abc", Some((0, 3))),
    ("(a*)*", "", "aab", Some((0, 2))),
    ("(|a)*b", "", "aab", Some((0, 3))),
    ("(?:|a)+", "", "aa", Some((0, 0))),
    ("(?:a|){0,3}c", "", "aac", Some((0, 3))),
    // Groups and references.
    ("(a|b)\\1", "", "abb", Some((1, 3))),
    ("(a)\\1", "i", "aA", Some((0, 2))),
    ("(a)(?-i)\\1", "i", "aA", None),
    ("(?P<q>['\"]).(?P=q)", "", "'a\"b'c'", Some((4, 7))),
    ("(?<q>a)\\k<q>\\k'q'\\k{q}\\g{q}", "", "aaaaa", Some((0, 5))),
    ("(a)(b)\\g{-1}\\g1\\g{2}", "", "abbab", Some((0, 5))),
    ("(?:\\1b|(a))+", "", "aab", Some((0, 3))),
    ("(?|(a)|(b))\\1", "", "abb", Some((1, 3))),
    ("\\101\\x42\\x{43}\\o{104}", "", "ABCD", Some((0, 4))),
    ("\\0101", "", "\x081", Some((0, 2))),
    ("(a)\\11", "", "a\t", Some((0, 2))),
    ("\\Qa.b\\E+", "", "a.bb", Some((0, 4))),
    ("\\cA\\e\\a\\f", "", "\x01\x1b\x07\x0c", Some((0, 4))),
    // Looks.
    ("a(?=b)", "", "acab", Some((2, 3))),
    ("a(?!b)", "", "abac", Some((2, 3))),
    ("(?<=a)b", "", "bab", Some((2, 3))),
    ("(?<=a|bc)d", "", "dbcd", Some((3, 4))),
    ("(?<!a)b", "", "abb", Some((2, 3))),
    ("(?=(a))\\1", "", "a", Some((0, 1))),
    ("(?!(a)b)a\\1?", "", "aa", Some((0, 1))),
    ("foo\\Kbar", "", "foobar", Some((3, 6))),
    ("(?(?=a)ab|cd)", "", "cdab", Some((0, 2))),
    ("(?(?!a)cd|ab)", "", "ab", Some((0, 2))),
    ("(<)?a(?(1)>)", "", "<a>", Some((0, 3))),
    ("(<)?a(?(1)>|!)", "", "<a!", Some((1, 3))),
    ("(?<x>b)?(?(<x>)c|d)", "", "bc", Some((0, 2))),
    ("(?(?=a)(?:b|a))", "", "", Some((0, 0))),
    // Classes.
    ("[]a]+", "", "a]b", Some((0, 2))),
    ("[^]a]", "", "a]b", Some((2, 3))),
    ("[a-c-]+", "", "-b", Some((0, 2))),
    ("[\\w-]+", "", "a-", Some((0, 2))),
    ("[[:alpha:]]+", "", "1ab", Some((1, 3))),
    ("[[:^alpha:]]", "", "a1", Some((1, 2))),
    ("[[:upper:]]", "i", "a", Some((0, 1))),
    ("[[:punct:]]+", "", "a!~", Some((1, 3))),
    ("[\\Q^]\\E]", "", "]", Some((0, 1))),
    ("[\\x41-\\x43\\d]+", "", "B1", Some((0, 2))),
    ("[\\b]", "", "\x08", Some((0, 1))),
    ("\\s\\S", "", "\x0ba", Some((0, 2))),
    ("\\h\\v", "", "\t\r", Some((0, 2))),
    ("\\R", "", "\r\n", Some((0, 2))),
    ("\\R\n", "", "\r\n", None),
    ("\\N+", "s", "a\n", Some((0, 1))),
    ("\\bb\\B", "", "ab bb", Some((3, 4))),
    ("a(?i)b|c", "", "C", Some((0, 1))),
    ("(?:a(?i)b)c", "", "aBC", None),
    ("(?i:a)b", "", "Ab", Some((0, 2))),
    ("(?^:a)b", "i", "aB", Some((0, 2))),
    ("a(?#comment)+", "", "aa", Some((0, 2))),
    (".*b", "s", "a\nb", Some((0, 3))),
    (".*b", "", "a\nab", Some((2, 4))),
    ("(?>.*?a)b", "s", "xaab", Some((2, 4))),
    ("(.*a)\\1", "s", "xaa", Some((1, 3))),
];

#[test]
fn cases() {
    for &(pattern, letters, subject, expected) in CASES {
        let oracle = Oracle::plain(pattern.as_bytes(), letters)
            .unwrap_or_else(|error| panic!("/{pattern}/{letters}: PCRE2 refuses it: {error}"));
        let found = oracle.find(subject.as_bytes(), 0).unwrap();
        let theirs = found.and_then(|groups| groups[0]);
        assert_eq!(theirs, expected, "PCRE2: /{pattern}/{letters} on {subject:?}");
        let regex = compile(pattern.as_bytes(), letters)
            .unwrap_or_else(|error| panic!("/{pattern}/{letters}: {error:?}"));
        let ours = find(&regex, subject.as_bytes(), 0);
        assert_eq!(ours, expected, "/{pattern}/{letters} on {subject:?}");
    }
}

#[test]
fn bytes_beyond_ascii() {
    let find = |pattern: &[u8], letters, subject: &[u8]| {
        find(&compile(pattern, letters).unwrap(), subject, 0)
    };
    assert_eq!(find(b".", "", b"\xff"), Some((0, 1)));
    assert_eq!(find(b"\\xe4", "i", b"\xc4"), None);
    assert_eq!(find(b"\xe4\\x80", "", b"\xe4\x80"), Some((0, 2)));
    assert_eq!(find(b"[^a]", "", b"a\x80"), Some((1, 2)));
    assert_eq!(find(b"\\w", "", b"\xe4"), None);
    // PCRE2 before 10.45 reads it so, later ones refuse it; a rule of ET Open has it.
    assert_eq!(find(b"\\xg", "", b"\0g"), Some((0, 2)));
    assert_eq!(find(b"\\h\\v", "", b"\xa0\x85"), Some((0, 2)));
}

#[test]
fn searches_from_a_place() {
    let from = |pattern: &str, subject: &str, from| {
        let ours = find(&compile(pattern.as_bytes(), "").unwrap(), subject.as_bytes(), from);
        let oracle = Oracle::plain(pattern.as_bytes(), "").unwrap();
        let theirs = oracle.find(subject.as_bytes(), from).unwrap().and_then(|groups| groups[0]);
        assert_eq!(ours, theirs, "/{pattern}/ on {subject:?} from {from}");
        ours
    };
    assert_eq!(from("a", "aba", 1), Some((2, 3)));
    assert_eq!(from("^a", "aa", 1), None);
    assert_eq!(from("(?<=a)b", "ab", 1), Some((1, 2)));
    assert_eq!(from("\\Gb", "ab", 1), Some((1, 2)));
    assert_eq!(from("\\Ga", "aba", 1), None);
    assert_eq!(from("\\bb", "ab", 1), None);
    assert_eq!(from("$", "ab", 2), Some((2, 2)));
    let regex = compile(b"a", "").unwrap();
    assert_eq!(find(&regex, b"a", 2), None, "from beyond the end");
}

#[test]
fn groups_are_told() {
    let regex = compile(b"(a)(?:(b)|(?<c>c))+", "").unwrap();
    let mut captures = Captures::default();
    let outcome = regex.find(b"xabc", 0, &mut Budget::default(), &mut captures);
    assert_eq!(outcome, Outcome::Match { start: 1, end: 4 });
    assert_eq!(captures.group(1), Some(1..2));
    assert_eq!(captures.group(2), Some(2..3));
    assert_eq!(captures.group(3), Some(3..4));
    assert_eq!([captures.group(0), captures.group(4)], [None, None]);
    regex.find(b"x", 0, &mut Budget::default(), &mut captures);
    assert_eq!(captures.group(1), None, "what an earlier search found is gone");
}

#[test]
fn refused() {
    for (pattern, at, reason) in [
        ("a)", 1, "not opened"),
        ("(a", 0, "not closed"),
        ("[a", 0, "not closed"),
        ("[a-z", 0, "not closed"),
        ("a**", 2, "nothing before"),
        ("*a", 0, "nothing before"),
        ("a{3,2}", 1, "out of order"),
        ("a{70000}", 1, "too big"),
        ("[z-a]", 2, "out of order"),
        ("\\", 0, "nothing follows"),
        ("\\y", 0, "no meaning"),
        ("\\777", 0, "above 255"),
        ("\\x{100}", 0, "above 255"),
        ("(a)\\2", 3, "no such group"),
        ("(?P=x)", 0, "no such group"),
        ("(?<x>a)(?<x>b)", 10, "two groups"),
        ("(?R)", 0, "recursion"),
        ("(?1)", 0, "recursion"),
        ("(?C1)", 0, "callouts"),
        ("(*FAIL)", 0, "verbs"),
        ("a(*F)", 1, "verbs"),
        ("\\pL", 0, "properties"),
        ("(?<=a+)b", 0, "no fixed length"),
        ("(?<=a|b\\Kc)b", 7, "in a look"),
        ("[[:foo:]]", 1, "POSIX"),
        ("(?(1)a|b|c)(x)", 0, "two alternatives"),
        ("(?z)", 2, "not an option"),
        ("(?#a", 0, "not closed"),
    ] {
        let error = compile(pattern.as_bytes(), "").expect_err(pattern);
        assert!(error.reason.contains(reason), "{pattern}: {error:?}");
        assert_eq!(error.at, at, "{pattern}: {error:?}");
    }
    let deep = "(".repeat(300) + &")".repeat(300);
    assert!(compile(deep.as_bytes(), "").is_err());
    assert!(compile(("(?:".repeat(249) + &")".repeat(249)).as_bytes(), "").is_ok());
}

#[test]
fn required_literals() {
    for (pattern, letters, expected) in [
        ("abc", "", Some(("abc", false))),
        ("aBc", "i", Some(("abc", true))),
        ("a+bc|x", "", None),
        ("x(?:ab){2,}c", "", Some(("xab", false))),
        ("^foo\\d+barbaz$", "", Some(("barbaz", false))),
        ("(?=never)a", "", Some(("a", false))),
        ("(?!abc)\\w", "", None),
        ("a?", "", None),
    ] {
        let regex = compile(pattern.as_bytes(), letters).unwrap();
        let expected = expected.map(|(text, nocase)| (text.as_bytes(), nocase));
        assert_eq!(regex.required_literal(), expected, "{pattern}");
    }
}

#[test]
fn what_back_tracks_without_end_is_bounded() {
    let subject = [b"a".repeat(64 * 1024), b"!".to_vec()].concat();
    // With a linear engine there is an answer all the same.
    for pattern in ["(?:a|a)*b", "(?:a+)+b|(?:a+)+$", "(?:[a-z]+)*\\d", "(?:a*a)*c"] {
        let regex = compile(pattern.as_bytes(), "").unwrap();
        let mut budget = Budget::new(2_000_000);
        let outcome = regex.find(&subject, 0, &mut budget, &mut Captures::default());
        assert_eq!(regex.is_regular(), outcome != Outcome::GivenUp, "{pattern}: {outcome:?}");
    }
    for pattern in ["(a+)+\\1b", "(?:a|a)*(?=b)", "(?>(?:a|a)*b)", "(a*)*b"] {
        let regex = compile(pattern.as_bytes(), "").unwrap();
        let mut budget = Budget::default();
        let outcome = regex.find(&subject, 0, &mut budget, &mut Captures::default());
        assert_eq!((outcome, budget.left()), (Outcome::GivenUp, 0), "{pattern}");
    }
    // Long runs cost steps too, so that looking at them from each place does not go free.
    let regex = compile(b"[a-z]+\\d(?=x)", "").unwrap();
    let mut budget = Budget::default();
    let outcome = regex.find(&subject, 0, &mut budget, &mut Captures::default());
    assert_eq!(outcome, Outcome::GivenUp);
}

#[test]
fn the_linear_engine_tells_groups_and_ends() {
    let subject = [b"a".repeat(5000), b"-12-a\n".to_vec()].concat();
    let regex = compile(b"(?:a|a)*c|-(\\d+)-[a-z]$", "").unwrap();
    assert!(regex.is_regular());
    let mut captures = Captures::default();
    let outcome = regex.find(&subject, 0, &mut Budget::new(2_000_000), &mut captures);
    assert_eq!(outcome, Outcome::Match { start: 5000, end: 5005 });
    assert_eq!(captures.group(1), Some(5001..5003));
}
