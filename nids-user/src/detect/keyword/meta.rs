//! Keywords that say what a rule is and do not decide whether it matches: `msg`, `sid`, `gid`, `rev`,
//! `classtype`, `priority`, `reference`, `metadata`, `target`; and those that say what comes of a match:
//! `noalert`, `alert`, `bypass` (Suricata user guide, "Meta Keywords", "noalert", "Bypass Keyword").
//! `prefilter` is a hint on speed and changes nothing else.

use super::value::{Fault, Use, Word};
use super::{Draft, Keyword};
use crate::detect::alert::Target;
use crate::rule::diagnostic::ReasonKind;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "msg", apply: message },
    Keyword { name: "sid", apply: sid },
    Keyword { name: "gid", apply: gid },
    Keyword { name: "rev", apply: rev },
    Keyword { name: "classtype", apply: classtype },
    Keyword { name: "priority", apply: priority },
    Keyword { name: "reference", apply: reference },
    Keyword { name: "metadata", apply: metadata },
    Keyword { name: "target", apply: target },
    // Judged before (`rule::requires`): what comes here is met.
    Keyword { name: "requires", apply: |_, _| Ok(()) },
    Keyword { name: "noalert", apply: noalert },
    Keyword { name: "alert", apply: alert },
    Keyword { name: "bypass", apply: bypass },
    Keyword { name: "prefilter", apply: prefilter },
    Keyword { name: "replace", apply: replace },
];

/// What these keywords said.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// `msg`, escapes undone.
    pub message: Option<String>,
    /// `sid`.
    pub sid: Option<u32>,
    /// `gid`.
    pub gid: Option<u32>,
    /// `rev`.
    pub rev: Option<u32>,
    /// `classtype`.
    pub classtype: Option<String>,
    /// `priority`; the last one counts.
    pub priority: Option<u8>,
    /// `reference`: kind and value.
    pub references: Vec<(String, String)>,
    /// `metadata`: key and value.
    pub metadata: Vec<(String, String)>,
    /// `target`.
    pub target: Option<Target>,
    /// `noalert`, unless an `alert` follows.
    pub noalert: bool,
    /// `bypass`.
    pub bypass: bool,
}

fn set<T>(slot: &mut Option<T>, value: T, keyword: &Use<'_>) -> Result<(), Fault> {
    if slot.is_some() {
        return Err(keyword.twice());
    }
    *slot = Some(value);
    Ok(())
}

fn message(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let text = unescape(keyword.value()?.unquote());
    set(&mut draft.meta.message, text, keyword)
}

/// Undoes `\;`, `\"`, `\:` and `\\`. A backslash before anything else stays, as it does in Suricata.
fn unescape(word: Word<'_>) -> String {
    let mut out = String::with_capacity(word.text.len());
    let mut letters = word.text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.peek() {
            Some(next @ (';' | '"' | ':' | '\\')) if letter == '\\' => {
                out.push(*next);
                letters.next();
            }
            _ => out.push(letter),
        }
    }
    out
}

fn sid(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = keyword.value()?.number(1, u32::MAX)?;
    set(&mut draft.meta.sid, value, keyword)
}

fn gid(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = keyword.value()?.number(0, u32::MAX)?;
    set(&mut draft.meta.gid, value, keyword)
}

fn rev(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = keyword.value()?.number(1, u32::MAX)?;
    set(&mut draft.meta.rev, value, keyword)
}

fn classtype(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = keyword.value()?.unquote().text.to_owned();
    set(&mut draft.meta.classtype, value, keyword)
}

fn priority(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    draft.meta.priority = Some(keyword.value()?.number(0, u8::MAX)?);
    Ok(())
}

fn reference(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = keyword.value()?;
    match value.split_once(",") {
        Some((kind, id)) if !kind.text.is_empty() && !id.text.is_empty() => {
            draft
                .meta
                .references
                .push((kind.text.to_ascii_lowercase(), id.unquote().text.to_owned()));
            Ok(())
        }
        _ => Err(value.bad("a reference is a kind, a comma and a value: `cve,2021-44228`")),
    }
}

fn metadata(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    for pair in keyword.value()?.split(',').filter(|pair| !pair.text.is_empty()) {
        let (key, value) = pair.text.split_once(char::is_whitespace).unwrap_or((pair.text, ""));
        draft.meta.metadata.push((key.to_owned(), value.trim().to_owned()));
    }
    Ok(())
}

fn target(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = keyword.value()?.trim();
    let target = match value.text {
        "src_ip" => Target::Source,
        "dest_ip" => Target::Destination,
        _ => return Err(value.bad("the target is `src_ip` or `dest_ip`")),
    };
    set(&mut draft.meta.target, target, keyword)
}

fn noalert(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    keyword.no_value()?;
    draft.meta.noalert = true;
    Ok(())
}

fn alert(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    keyword.no_value()?;
    draft.meta.noalert = false;
    Ok(())
}

fn bypass(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    keyword.no_value()?;
    draft.meta.bypass = true;
    Ok(())
}

/// It names the keyword before it; which one is looked for first is chosen here without.
fn prefilter(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    keyword.no_value()?;
    let nothing = draft.checks.is_empty()
        && draft.flow.is_none()
        && draft.tests.is_empty()
        && draft.contents().next().is_none();
    if nothing {
        return Err(keyword.conflict("`prefilter` stands behind the keyword that it is about"));
    }
    Ok(())
}

fn replace(_: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let reason = "`replace` changes packets, and this sensor only listens";
    Err(keyword.name.fault(ReasonKind::UnsupportedKeyword, reason))
}

/// A rule without `sid` cannot be told from others.
pub(super) fn verify(draft: &Draft<'_>) -> Result<(), Fault> {
    if draft.meta.sid.is_none() {
        return Err(Fault::new(draft.whole(), ReasonKind::Identity, "the rule has no `sid`")
            .help("add `sid:NUMBER;`, from 1000000 on for rules of your own"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unescapes_what_rules_escape() {
        let text = |text| unescape(Word { text, start: 0 });
        assert_eq!(text(r#"a\;b\:c\"d\\e\f"#), r#"a;b:c"d\e\f"#);
        assert_eq!(text(r"end\"), r"end\");
    }
}
