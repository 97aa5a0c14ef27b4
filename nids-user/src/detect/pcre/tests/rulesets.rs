//! All patterns of real rulesets: they compile, and match as PCRE2's.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use super::super::Value;
use super::differential::compare;
use super::*;
use crate::detect::keyword::value::Word;
use crate::rule::parser::parse_bytes;

/// Values that are refused.
const REFUSED: &[&str] = &[];

/// The distinct values of `pcre` in a file, in the rules that are switched off too.
pub fn values(path: &Path) -> BTreeSet<String> {
    let text = std::fs::read(path).unwrap();
    let lines = text.split(|byte| *byte == b'\n').map(|line| {
        let rule = line.strip_prefix(b"#").unwrap_or(line).trim_ascii_start();
        if rule.starts_with(b"alert ") { rule } else { line }
    });
    let text = lines.collect::<Vec<_>>().join(&b'\n');
    let parsed = parse_bytes(&Arc::from(path), &text);
    let options = parsed.rules.iter().flat_map(|rule| &rule.options);
    let values = options.filter(|option| option.name.node == "pcre");
    values.filter_map(|option| Some(option.value.as_ref()?.node.0.to_string())).collect()
}

#[test]
fn rulesets() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/rules");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        let _ = writeln!(std::io::stderr(), "skipped: there are no rulesets in ../shared/rules");
        return;
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "rules"));
    paths.sort();
    let mut all = BTreeSet::new();
    for path in paths {
        let values = values(&path);
        let (mut regular, mut own, mut memory) = (0, 0, 0);
        for value in &values {
            match Value::read(Word { text: value, start: 0 }) {
                Ok(value) => {
                    regular += usize::from(value.regex.is_regular());
                    own += usize::from(!value.regex.is_regular());
                    memory += value.regex.memory();
                }
                Err(fault) => assert!(REFUSED.contains(&value.as_str()), "{value}: {fault:?}"),
            }
        }
        let name = path.file_name().unwrap().to_string_lossy();
        let refused = values.len() - regular - own;
        let _ = writeln!(
            std::io::stderr(),
            "{name}: {regular} with a linear engine, {own} without, {refused} refused, {memory} bytes"
        );
        all.extend(values);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut compared = 0;
    let mut matched = 0;
    for text in &all {
        let Ok(value) = Value::read(Word { text, start: 0 }) else { continue };
        let pattern = &text[value.span.start..value.span.end];
        let letters: String =
            text[value.span.end..].chars().filter(|c| "ismxEGA".contains(*c)).collect();
        for _ in 0..6 {
            let subject = random.subject(pattern.as_bytes());
            compared += usize::from(compare(pattern.as_bytes(), &letters, &subject, 0).unwrap());
            matched += usize::from(find(&value.regex, &subject, 0).is_some());
        }
    }
    let _ = writeln!(
        std::io::stderr(),
        "{} distinct: {compared} searches compared, {matched} matches",
        all.len()
    );
    assert!(compared > all.len() && matched > all.len() / 4);
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound.max(1)
    }

    /// Text that a pattern may match: the pattern itself without most of its marks, and with changes.
    fn subject(&mut self, pattern: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at = 0;
        let mut last = 0usize;
        for _ in 0..self.below(3) {
            out.push(b"a0 \n/"[self.below(5)]);
        }
        while at < pattern.len() {
            let rest = &pattern[at..];
            let start = out.len();
            at += 1;
            match rest[0] {
                b'\\' => {
                    at += 1;
                    match rest.get(1).copied().unwrap_or(b'\\') {
                        b'x' if rest.len() >= 4 => {
                            let digits = std::str::from_utf8(&rest[2..4]).unwrap_or_default();
                            out.extend(u8::from_str_radix(digits, 16).ok());
                            at += 2;
                        }
                        b'd' => out.push(b"0123456789"[self.below(10)]),
                        b'w' => out.push(b"abcXYZ_09"[self.below(9)]),
                        b's' => out.push(b" \t\r\n"[self.below(4)]),
                        b'S' | b'D' | b'W' => out.push(b"%-.&"[self.below(4)]),
                        b'r' => out.push(b'\r'),
                        b'n' => out.push(b'\n'),
                        b't' => out.push(b'\t'),
                        b'b' | b'B' | b'A' | b'z' | b'Z' => {}
                        other => out.push(other),
                    }
                }
                b'[' => {
                    let end = rest
                        .iter()
                        .skip(2)
                        .position(|byte| *byte == b']')
                        .map_or(rest.len(), |end| end + 2);
                    let class = compile(&rest[..(end + 1).min(rest.len())], "").ok();
                    if let Some(class) = class {
                        for _ in 0..20 {
                            let byte = [self.below(256) as u8];
                            if find(&class, &byte, 0).is_some() {
                                out.extend(byte);
                                break;
                            }
                        }
                        at += end;
                    }
                }
                b'(' => {
                    for mark in [&b"?:"[..], b"?=", b"?!", b"?<=", b"?<!", b"?P<"] {
                        if rest[1..].starts_with(mark) {
                            at += mark.len();
                        }
                    }
                }
                b'|' => {
                    // Another alternative: sometimes what is there is kept, and the rest left out.
                    if self.below(2) == 0 {
                        at += rest[1..]
                            .iter()
                            .position(|byte| *byte == b')')
                            .unwrap_or(rest.len() - 1);
                    }
                }
                b')' | b'^' | b'$' => {}
                b'?' | b'*' | b'+' => {
                    let again = out[last.min(out.len())..].to_vec();
                    (0..self.below(3)).for_each(|_| out.extend(&again));
                }
                b'{' => {
                    let end = rest.iter().position(|byte| *byte == b'}').unwrap_or(0);
                    let text = std::str::from_utf8(&rest[1..end.max(1)]).unwrap_or_default();
                    let count =
                        text.split(',').next().and_then(|count| count.parse::<usize>().ok());
                    let again = out[last.min(out.len())..].to_vec();
                    (1..count.unwrap_or(1).min(300)).for_each(|_| out.extend(&again));
                    at += end;
                }
                b'.' => out.push(b"a\x00.\xff"[self.below(4)]),
                byte => out.push(byte),
            }
            last = start;
        }
        for _ in 0..self.below(3) {
            out.push(b"a0 \n/"[self.below(5)]);
        }
        if self.below(3) == 0 && !out.is_empty() {
            let at = self.below(out.len());
            out[at] = self.below(256) as u8;
        }
        out
    }
}
