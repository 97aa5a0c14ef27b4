//! threshold.config: one entry a line, `\` at the end of a line that goes on, `#` comments (Suricata
//! user guide, "Global-Thresholds").
//!
//! ```text
//! threshold|event_filter gen_id G, sig_id S, type T, track T, count N, seconds N
//! rate_filter gen_id G, sig_id S, track T, count N, seconds N, new_action A, timeout N
//! suppress gen_id G, sig_id S[, track by_src|by_dst|by_either, ip ADDRESSES]
//! ```
//!
//! Fields may stand in any order, which Suricata does not allow. A bad entry costs only itself.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::fields::{Fields, choose};
use super::value::{event_filter, rate_filter};
use super::{Ends, Limit, Suppression};
use crate::detect::keyword::value::{Fault, Word};
use crate::rule::ast::Span;
use crate::rule::diagnostic::{ReasonKind, Refusal};
use crate::rule::variables::Variables;
use crate::suggest::nearest;

/// Bytes the file may have.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which rules it is for.
    pub scope: Scope,
    /// What it does.
    pub effect: Effect,
    /// Where it stands: file, line, text.
    file: Arc<Path>,
    line: u32,
    text: Arc<str>,
}

/// The rules an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `gen_id 0, sig_id 0`: all.
    All,
    /// `sig_id 0`: all of a gid.
    Generator(u32),
    /// One rule.
    Rule {
        /// Its gid.
        gid: u32,
        /// Its sid.
        sid: u32,
    },
}

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// `suppress` without addresses: never alert.
    Silence,
    /// `suppress`.
    Suppress(Suppression),
    /// `threshold`, `event_filter` or `rate_filter`.
    Limit(Limit),
}

/// A file that was read.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Entries, in order.
    pub entries: Vec<Entry>,
    /// What could not be understood.
    pub refusals: Vec<Refusal>,
}

impl Entry {
    /// A remark on this entry, shown with its place.
    pub(super) fn note(&self, reason: String) -> Refusal {
        Refusal {
            file: self.file.clone(),
            line: self.line,
            text: self.text.clone(),
            span: Span { start: 0, end: self.text.len() },
            kind: ReasonKind::Conflict,
            reason,
            help: None,
            sid: match self.scope {
                Scope::Rule { sid, .. } => Some(sid),
                Scope::All | Scope::Generator(_) => None,
            },
        }
    }
}

/// Reads a file. Bytes that are no UTF-8 can only stand in comments.
pub fn load(path: &Path, variables: &Variables) -> io::Result<Parsed> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        let reason = format!("a threshold file has at most {MAX_FILE} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    Ok(parse(&Arc::from(path), &String::from_utf8_lossy(&bytes), variables))
}

/// Reads the text of a file.
pub fn parse(file: &Arc<Path>, text: &str, variables: &Variables) -> Parsed {
    let mut parsed = Parsed::default();
    let mut number = 0_u32;
    let mut lines = text.strip_prefix('\u{feff}').unwrap_or(text).split_inclusive('\n');
    while let Some(line) = lines.next() {
        number = number.saturating_add(1);
        let first = number;
        if line.trim_ascii_start().starts_with('#') {
            continue;
        }
        let (mut whole, mut last) = (line.to_owned(), line);
        while last.trim_ascii_end().ends_with('\\') {
            let Some(line) = lines.next() else { break };
            number = number.saturating_add(1);
            whole.push_str(line);
            last = line;
        }
        let text = whole.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let plain = without_breaks(text);
        match entry(&plain, variables) {
            Ok((scope, effect)) => parsed.entries.push(Entry {
                scope,
                effect,
                file: file.clone(),
                line: first,
                text: text.into(),
            }),
            Err(fault) => parsed.refusals.push(Refusal {
                file: file.clone(),
                line: first,
                text: text.into(),
                span: fault.span,
                kind: fault.kind,
                reason: fault.reason,
                help: fault.help,
                sid: None,
            }),
        }
    }
    parsed
}

/// The text with a blank in place of each `\` that ends a line and of what breaks lines, so that places
/// stay what they are; and without the comment at its end.
fn without_breaks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let kept = line.trim_ascii_end();
        let kept = kept.strip_suffix('\\').unwrap_or(kept);
        out.push_str(kept);
        out.extend(std::iter::repeat_n(' ', line.len() - kept.len()));
    }
    if let Some(comment) = out.find('#') {
        out.truncate(comment);
    }
    out
}

fn entry(text: &str, variables: &Variables) -> Result<(Scope, Effect), Fault> {
    const KINDS: [&str; 4] = ["threshold", "event_filter", "rate_filter", "suppress"];
    let text = text.trim_ascii_end();
    let end = text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len());
    let (kind, rest) = text.split_at(end);
    let (kind, rest) = (Word { text: kind, start: 0 }, Word { text: rest, start: end }.trim());
    if !KINDS.contains(&kind.text) {
        let reason = format!("expected {}, found `{}`", KINDS.join(", "), kind.text);
        let fault = kind.fault(ReasonKind::Syntax, reason);
        return Err(match nearest(kind.text, KINDS.into_iter()) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault,
        });
    }
    if rest.text.is_empty() {
        return Err(kind.bad(format!("`{}` needs `gen_id G, sig_id S`", kind.text)));
    }
    let mut fields = Fields::new(rest)?;
    let scope = scope(&mut fields)?;
    let (effect, known): (_, &[&str]) = match kind.text {
        "suppress" => (suppress(&mut fields, variables)?, &["track", "ip"]),
        "rate_filter" => (
            Effect::Limit(rate_filter(&mut fields)?),
            &["track", "count", "seconds", "new_action", "timeout"],
        ),
        _ => (
            Effect::Limit(event_filter(&mut fields)?),
            &["type", "track", "count", "seconds", "multiplier"],
        ),
    };
    fields.end(known)?;
    Ok((scope, effect))
}

fn scope(fields: &mut Fields<'_>) -> Result<Scope, Fault> {
    let generator = fields.need("gen_id")?;
    let gid: u32 = generator.number(0, u32::MAX)?;
    match (gid, fields.need("sig_id")?.number(0, u32::MAX)?) {
        (0, 0) => Ok(Scope::All),
        (0, _) => Err(generator.bad("`gen_id 0` is possible with `sig_id 0` only")),
        (gid, 0) => Ok(Scope::Generator(gid)),
        (gid, sid) => Ok(Scope::Rule { gid, sid }),
    }
}

fn suppress(fields: &mut Fields<'_>, variables: &Variables) -> Result<Effect, Fault> {
    if !fields.has("track") && !fields.has("ip") {
        return Ok(Effect::Silence);
    }
    let ends =
        [("by_src", Ends::Source), ("by_dst", Ends::Destination), ("by_either", Ends::Either)];
    let ends = choose(fields.need("track")?, &ends)?;
    let group = fields.need("ip")?;
    let addresses = variables.addresses_of(group.text).map_err(|problem| {
        let span = Span {
            start: group.start + problem.span.start.min(group.text.len()),
            end: group.start + problem.span.end.min(group.text.len()),
        };
        let fault = Fault::new(span, problem.kind, problem.reason);
        match problem.help {
            Some(help) => fault.help(help),
            None => fault,
        }
    })?;
    Ok(Effect::Suppress(Suppression { ends, addresses }))
}
