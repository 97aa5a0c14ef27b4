//! The contents of a rule with their lengths, places and buffers, in every dialect's spelling. Values
//! that are no numbers (variables of `byte_extract`) are left out: lint says nothing of them.

use super::value;
use crate::rule::ast::{Rule, RuleOption, Span};
use crate::rule::dialect::Dialect;
use crate::rule::lexer::line_joint;

/// A number that stands in a rule, and its place.
pub(super) type Placed = Option<(i64, Span)>;

/// One `content`.
#[derive(Debug, Default)]
pub(super) struct Content<'a> {
    /// Place of its value.
    pub(super) span: Span,
    /// Bytes it looks for.
    pub(super) length: usize,
    pub(super) negated: bool,
    /// The buffer it looks in; the payload is "".
    pub(super) buffer: &'a str,
    /// The number of the sticky buffer's keyword in the rule: two uses of one are two buffers.
    pub(super) instance: usize,
    pub(super) offset: Placed,
    pub(super) depth: Placed,
    pub(super) distance: Placed,
    pub(super) within: Placed,
    /// `fast_pattern`, and the bytes of the content that it takes.
    pub(super) fast_pattern: Option<(Span, usize)>,
    /// Some place is a variable.
    pub(super) variable: bool,
}

impl Content<'_> {
    pub(super) fn is_relative(&self) -> bool {
        self.distance.is_some() || self.within.is_some()
    }
}

/// The contents, in order.
#[derive(Debug, Default)]
pub(super) struct Contents<'a> {
    pub(super) contents: Vec<Content<'a>>,
    /// `bsize`, and the instance of the buffer it is about.
    pub(super) sizes: Vec<(&'a RuleOption, usize)>,
}

impl Contents<'_> {
    /// Those that must be there.
    pub(super) fn positive(&self) -> impl Iterator<Item = &Content<'_>> {
        self.contents.iter().filter(|content| !content.negated)
    }
}

/// Sticky buffers whose names have no dot.
const STICKY: [&str; 15] = [
    "base64_data",
    "ber_data",
    "dce_stub_data",
    "dns_query",
    "file_data",
    "ja3_hash",
    "ja3_string",
    "js_data",
    "raw_data",
    "sip_body",
    "sip_header",
    "smb_named_pipe",
    "smb_share",
    "tls_sni",
    "vba_data",
];

pub(super) fn read(rule: &Rule) -> Contents<'_> {
    let mut found = Contents::default();
    let (mut buffer, mut instance) = ("", 0);
    for (number, option) in rule.options.iter().enumerate() {
        let name = option.name.node.as_str();
        match name {
            "content" | "uricontent" => {
                let mut content = content(option);
                content.buffer = if name == "uricontent" { "http_uri" } else { buffer };
                content.instance = instance;
                found.contents.push(content);
            }
            "bsize" => found.sizes.push((option, instance)),
            "pkt_data" => (buffer, instance) = ("", 0),
            _ if is_sticky(rule, option) => (buffer, instance) = (name, number + 1),
            _ => {
                let Some(last) = found.contents.last_mut() else { continue };
                if name.starts_with("http_") {
                    last.buffer = name;
                } else {
                    modify(last, name, value(option), super::value_span(option));
                }
            }
        }
    }
    found
}

fn is_sticky(rule: &Rule, option: &RuleOption) -> bool {
    let name = option.name.node.as_str();
    match rule.dialect {
        Dialect::Snort3 if name.starts_with("http_") => true,
        _ => (name.contains('.') && option.value.is_none()) || STICKY.contains(&name),
    }
}

/// `!"bytes"`, and Snort 3's modifiers behind it.
fn content<'a>(option: &RuleOption) -> Content<'a> {
    let text = value(option);
    let bare = text.trim_start_matches(['!', ' ', '\t']);
    let negated = text.starts_with('!');
    let inner = bare.strip_prefix('"').unwrap_or(bare);
    let (length, end) = measure(inner);
    let mut content =
        Content { span: super::value_span(option), length, negated, ..Content::default() };
    let more = inner.get(end..).unwrap_or_default().trim_start_matches(['"', ' ', '\t']);
    let Some(words) = more.strip_prefix(',') else { return content };
    let mut chop = None;
    let mut start = text.len() - words.len();
    for word in words.split(',') {
        let span = match &option.value {
            Some(value) => value.locate(start, start + word.len()),
            None => option.name.span,
        };
        start += word.len() + 1;
        let word = word.trim_ascii();
        let (name, value) = word.split_once([' ', '\t']).unwrap_or((word, ""));
        match name {
            "fast_pattern_length" => chop = value.trim_ascii().parse().ok(),
            _ => modify(&mut content, name, value.trim_ascii(), span),
        }
    }
    if let (Some((_, bytes)), Some(chop)) = (&mut content.fast_pattern, chop) {
        *bytes = chop;
    }
    content
}

fn modify(content: &mut Content<'_>, name: &str, value: &str, span: Span) {
    let slot = match name {
        "offset" => &mut content.offset,
        "depth" => &mut content.depth,
        "distance" => &mut content.distance,
        "within" => &mut content.within,
        "fast_pattern" => {
            let chop = value.split_once(',').and_then(|(_, bytes)| bytes.trim_ascii().parse().ok());
            content.fast_pattern = Some((span, chop.unwrap_or(content.length)));
            return;
        }
        _ => return,
    };
    match value.trim_ascii().parse::<i32>() {
        Ok(number) => *slot = Some((number.into(), span)),
        Err(_) => content.variable = true,
    }
}

/// Bytes of a content up to its closing quote, and where that is. `|41 42|` is two; `\x` is one.
fn measure(text: &str) -> (usize, usize) {
    let (mut bytes, mut digits, mut hex) = (0, 0, false);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (bytes + digits / 2, at),
            '|' => hex = !hex,
            c if hex => digits += usize::from(c.is_ascii_hexdigit()),
            '\\' if line_joint(text, at).is_none() => {
                bytes += chars.next().map_or(0, |(_, c)| c.len_utf8());
            }
            c => bytes += c.len_utf8(),
        }
    }
    (bytes + digits / 2, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        for (text, expected) in [
            ("abc\"", (3, 3)),
            ("a|41 42|b|0d0A|\" , nocase", (6, 15)),
            (r#"a\"b\;\\\|""#, (6, 10)),
            ("é\"", (2, 2)),
            ("", (0, 0)),
            ("abc", (3, 3)),
        ] {
            assert_eq!(measure(text), expected, "{text}");
        }
    }
}
