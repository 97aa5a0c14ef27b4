//! Regular expressions, beside PCRE2 without its JIT compiler: `cargo bench -p nids --bench pcre`.
//!
//! First typical patterns on the buffers they are written for: time a search. Then all patterns of the
//! rulesets in ../shared/rules, where they are: time and memory to compile, and each on some buffers.

#[path = "../src/detect/pcre/tests/oracle.rs"]
mod oracle;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nids::detect::keyword::value::Word;
use nids::detect::pcre::{Budget, Captures, Outcome, Value};
use nids::rule::parser::parse_bytes;
use oracle::Oracle;

const URI: &str =
    "/wp-content/plugins/gallery/download.php?id=1842&name=report%202024.pdf&token=8f3a9c";
const HEADER: &str = "Host: www.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) \
    Gecko/20100101 Firefox/128.0\r\nAccept: text/html,application/xhtml+xml\r\nAccept-Encoding: gzip, \
    deflate\r\nConnection: keep-alive\r\nCookie: id=6f1c; theme=dark\r\n\r\n";

const TYPICAL: &[(&str, &str)] = &[
    (r#""/^\/[a-z\-]+\/[a-z]+\/\w+\/\w+\.php\?id=\d+/U""#, URI),
    (r#""/\.php\?[a-z]+=[0-9]{1,8}&/Ui""#, URI),
    (r#""/[?&](?:cmd|exec|shell)=/Ui""#, URI),
    (r#""/^[a-f0-9]{32}$/R""#, "d41d8cd98f00b204e9800998ecf8427e"),
    (r#""/^User-Agent\x3a[^\r\n]*(?:curl|wget|python)/Hmi""#, HEADER),
    (r#""/Accept-Encoding\x3a\x20.+?\r\nConnection/si""#, HEADER),
    (r#""/(?P<v>[a-z]+)=[^\x3b]+\x3b.+?(?P=v)/si""#, HEADER),
    (r#""/(?<!www)\.example\.(?=org|com)/""#, HEADER),
];

fn main() {
    println!("{:>10} {:>10}  pattern", "ns", "PCRE2");
    for (text, subject) in TYPICAL {
        let (value, oracle) = pair(text).expect("a typical pattern compiles");
        let (ours, theirs) = times(&value, &oracle, subject.as_bytes());
        println!("{ours:>10.0} {theirs:>10.0}  {text}");
    }
    given_up();
    rulesets();
}

/// What a search costs at most: patterns that back-track without end, and have no linear engine.
fn given_up() {
    let subject = vec![b'a'; 64 * 1024];
    for text in [r#""/(a+)+\1b/""#, r#""/(?:a|a)*(?=b)/""#, r#""/(?>(?:a|a)*b)/""#, r#""/(a*)*b/""#]
    {
        let value = Value::read(Word { text, start: 0 }).expect("the pattern compiles");
        let mut captures = Captures::default();
        let times = (0..20).map(|_| {
            let start = Instant::now();
            let outcome = value.regex.find(&subject, 0, &mut Budget::default(), &mut captures);
            assert_eq!(outcome, Outcome::GivenUp);
            start.elapsed()
        });
        println!("given up after {:?}: {text}", times.min().unwrap_or_default());
    }
}

fn pair(text: &str) -> Option<(Value, Oracle)> {
    let value = Value::read(Word { text, start: 0 }).ok()?;
    let pattern = text.get(value.span.start..value.span.end)?;
    let letters: String =
        text.get(value.span.end..)?.chars().filter(|letter| "ismxEGA".contains(*letter)).collect();
    let oracle = match value.regex.groups() {
        0 => Oracle::new(pattern.as_bytes(), &(letters + "n")),
        _ => Oracle::new(pattern.as_bytes(), &letters),
    };
    Some((value, oracle.ok()?))
}

/// Nanoseconds a search of both.
fn times(value: &Value, oracle: &Oracle, subject: &[u8]) -> (f64, f64) {
    let mut captures = Captures::default();
    let ours = median(|| {
        black_box(value.regex.find(black_box(subject), 0, &mut Budget::default(), &mut captures));
    });
    let theirs = median(|| {
        let _ = black_box(oracle.matches(black_box(subject)));
    });
    (ours, theirs)
}

fn median(mut run: impl FnMut()) -> f64 {
    const TIMES: u32 = 2000;
    let mut rounds: Vec<_> = (0..7)
        .map(|_| {
            let start = Instant::now();
            (0..TIMES).for_each(|_| run());
            start.elapsed().as_nanos() as f64 / f64::from(TIMES)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn rulesets() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/rules");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: there are no rulesets in ../shared/rules");
        return;
    };
    let mut texts = BTreeSet::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let Ok(text) = std::fs::read(&path) else { continue };
        for rule in parse_bytes(&Arc::from(path), &text).rules {
            let values = rule.options.iter().filter(|option| option.name.node == "pcre");
            texts.extend(
                values.filter_map(|option| Some(option.value.as_ref()?.node.0.to_string())),
            );
        }
    }
    let before = resident();
    let start = Instant::now();
    let values: Vec<_> =
        texts.iter().filter_map(|text| Value::read(Word { text, start: 0 }).ok()).collect();
    let took = start.elapsed();
    let counted: usize = values.iter().map(|value| value.regex.memory()).sum();
    println!(
        "{} patterns compiled in {took:?}: {} KiB, {} KiB resident",
        values.len(),
        counted / 1024,
        resident().saturating_sub(before)
    );
    drop(values);
    let start = Instant::now();
    let pairs: Vec<_> = texts.iter().filter_map(|text| pair(text)).collect();
    println!(
        "with PCRE2: {:?}, {} KiB resident",
        start.elapsed(),
        resident().saturating_sub(before)
    );
    let page = page(4 * 1024);
    let letters = vec![b'a'; 1024];
    for (name, subject) in [
        ("uri", URI.as_bytes()),
        ("header", HEADER.as_bytes()),
        ("page", &page),
        ("aaaa", &letters),
    ] {
        let mut captures = Captures::default();
        let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
        let (mut given_up, mut matches, mut most) = (0, 0, Duration::ZERO);
        let (mut their_failures, mut their_matches, mut their_most) = (0, 0, Duration::ZERO);
        // What is built on first use is built in the first round.
        for round in 0..2 {
            for (value, oracle) in &pairs {
                let start = Instant::now();
                let outcome = value.regex.find(subject, 0, &mut Budget::default(), &mut captures);
                let took = start.elapsed();
                if round == 0 {
                    continue;
                }
                ours += took;
                most = most.max(took);
                given_up += usize::from(outcome == Outcome::GivenUp);
                matches += usize::from(matches!(outcome, Outcome::Match { .. }));
                let start = Instant::now();
                let outcome = oracle.matches(subject);
                let took = start.elapsed();
                theirs += took;
                their_most = their_most.max(took);
                their_failures += usize::from(outcome.is_err());
                their_matches += usize::from(outcome == Ok(true));
            }
        }
        let each = |time: Duration| time / u32::try_from(pairs.len().max(1)).unwrap_or(1);
        println!(
            "{name}: {:?} a search, at most {most:?}, {matches} matches, {given_up} given up; PCRE2 {:?}, at \
             most {their_most:?}, {their_matches} matches, {their_failures} failures; {} KiB resident",
            each(ours),
            each(theirs),
            resident().saturating_sub(before)
        );
    }
}

/// Text with tags, words, numbers and script.
fn page(length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0usize;
    while out.len() < length {
        at += 1;
        let line = format!(
            "<div class=\"item-{at}\"><a href=\"/page/{at}?q={:x}\">some words, and others</a></div>\r\n\
             <script>var x{at} = document.getElementById('a{at}'); x{at}.value = \"{:08x}\";</script>\n",
            at * 7919,
            at * 104_729
        );
        out.extend_from_slice(line.as_bytes());
    }
    out.truncate(length);
    out
}

/// Resident memory in KiB.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4
}
