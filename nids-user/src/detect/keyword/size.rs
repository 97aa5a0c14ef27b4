//! `bsize`: bytes of a sticky buffer, and `absent`: that there is no such buffer (Suricata user guide,
//! "Payload Keywords").

use super::number::{Comparison, comparison};
use super::value::{Fault, Use};
use super::{BufferDraft, Draft, Keyword, StepDraft};
use crate::detect::buffer::Buffer;
use crate::detect::chain::Absence;
use crate::rule::diagnostic::ReasonKind;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "bsize", apply: bsize },
    Keyword { name: "bufferlen", apply: bufferlen },
    Keyword { name: "absent", apply: absent },
];

/// Both are of one buffer, which the payload, packets and pieces of streams, is not.
fn in_sticky_buffer(draft: &Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    if draft.buffer() == Buffer::Payload {
        let reason = format!("`{}` needs a sticky buffer before it", keyword.name.text);
        return Err(keyword.conflict(reason).help("`dsize` is for the payload"));
    }
    Ok(())
}

fn bsize(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    in_sticky_buffer(draft, keyword)?;
    let size = comparison(keyword.value()?)?;
    draft.push(keyword, StepDraft::Size(size))
}

/// Snort 3's: a range includes its ends with `<=>` only (Snort 3 manual, "bufferlen").
fn bufferlen(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = keyword.value()?;
    if let Some((_, word)) = value.split_once(",") {
        return Err(word.bad("a length that counts from the last match is not supported"));
    }
    in_sticky_buffer(draft, keyword)?;
    let size = match value.split_once("<=>") {
        None => comparison(value)?,
        Some((least, most)) => {
            let (least, most) = (least.number(0, u32::MAX)?, most.number(0, u32::MAX)?);
            if least > most {
                return Err(value.bad("no length is in this range"));
            }
            Comparison::Within(least, most)
        }
    };
    draft.push(keyword, StepDraft::Size(size))
}

fn absent(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    in_sticky_buffer(draft, keyword)?;
    let absence = match keyword.value {
        None => Absence::Required,
        Some(value) if value.text == "or_else" => Absence::Matches,
        Some(value) => return Err(value.bad("`absent` takes no value but `or_else`")),
    };
    if !draft.steps().is_empty() {
        return Err(keyword.conflict("`absent` must stand right behind the buffer"));
    }
    draft.push(keyword, StepDraft::Absent(absence))
}

/// Contents that no buffer of this size can hold, and what cannot stand with `absent`.
pub(super) fn verify(draft: &Draft<'_>) -> Result<(), Fault> {
    draft.buffers.iter().try_for_each(|buffer| {
        verify_size(buffer)?;
        verify_absence(buffer)
    })
}

fn verify_size(buffer: &BufferDraft) -> Result<(), Fault> {
    let sizes = buffer.steps.iter().filter_map(|step| match step {
        StepDraft::Size(Comparison::Within(least, most)) => Some((*least, *most)),
        _ => None,
    });
    let all = (0, u32::MAX);
    let (least, most) = sizes.fold(all, |(a, b), (c, d)| (a.max(c), b.min(d)));
    if least > most {
        let reason = "no buffer is of all the sizes that `bsize` asks for here";
        return Err(Fault::new(buffer.span, ReasonKind::Conflict, reason));
    }
    let contents = buffer.steps.iter().filter_map(StepDraft::content);
    for content in contents.filter(|content| !content.negated) {
        let end = content.least_end();
        if end > most as usize {
            let reason =
                format!("this content ends behind byte {end}, but `bsize` allows at most {most}");
            return Err(Fault::new(content.span, ReasonKind::Conflict, reason));
        }
    }
    Ok(())
}

fn verify_absence(buffer: &BufferDraft) -> Result<(), Fault> {
    let Some(StepDraft::Absent(absence)) = buffer.steps.first() else { return Ok(()) };
    let conflict = |reason: &str| Err(Fault::new(buffer.span, ReasonKind::Conflict, reason));
    match absence {
        Absence::Required if buffer.steps.len() > 1 => {
            conflict("a buffer that must be absent can have nothing in it: `absent:or_else` could")
        }
        Absence::Matches if buffer.steps.len() == 1 => {
            conflict("`absent:or_else` needs something else behind it")
        }
        _ if buffer
            .steps
            .iter()
            .filter_map(StepDraft::content)
            .any(|c| c.fast_pattern.is_some()) =>
        {
            conflict("a buffer that may be absent cannot have the fast pattern")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::detect::chain::{Chain, Input, Scratch, Verdict};
    use crate::detect::keyword::value::Word;
    use crate::detect::keyword::{find, transform};
    use crate::detect::protocol::Protocol;
    use crate::rule::parser::parse_str;

    /// The chain for a header of these options, or the reason why there is none.
    fn header(options: &str) -> Result<(Chain, usize), String> {
        let file: Arc<Path> = Path::new("test.rules").into();
        let text = format!("alert tcp any any -> any any ({options} sid:1;)");
        let parsed = parse_str(&file, &text);
        let rule = &parsed.rules[0];
        let stores = Default::default();
        let mut draft = Draft::new(rule, Protocol::named("tcp").unwrap(), &stores);
        draft.select(Buffer::TcpHeader, rule.header.action.span);
        for option in &rule.options {
            let name = Word { text: &option.name.node, start: option.name.span.start };
            let value =
                option.value.as_ref().map(|v| Word { text: &v.node.0, start: v.span.start });
            let keyword = find(name.text).unwrap();
            (keyword.apply)(&mut draft, &Use { name, value }).map_err(|fault| fault.reason)?;
        }
        verify(&draft).and_then(|()| transform::verify(&draft)).map_err(|fault| fault.reason)?;
        let buffer = &draft.buffers[1];
        Ok((Chain::new(&buffer.steps).unwrap(), buffer.transforms.len()))
    }

    #[test]
    fn sizes_of_the_buffer() {
        for (options, bytes, expected) in [
            ("bsize:3;", "abc", true),
            ("bsize:=3;", "abcd", false),
            ("bsize:!3;", "abcd", true),
            ("bsize:<3;", "ab", true),
            ("bsize:<=3;", "abc", true),
            ("bsize:>3;", "abc", false),
            ("bsize:>=3;", "abc", true),
            // Both ends are excluded.
            ("bsize:2<>4;", "abc", true),
            ("bsize:2<>4;", "abcd", false),
            ("bsize:>1; bsize:<4;", "abc", true),
            (r#"bsize:3; content:"c"; endswith;"#, "abc", true),
            ("absent;", "abc", false),
            (r#"absent:or_else; content:"b";"#, "abc", true),
            (r#"absent:or_else; content:!"b";"#, "abc", false),
        ] {
            let (chain, _) = header(options).unwrap();
            let mut folded = Vec::new();
            let mut input = Input::new(bytes.as_bytes(), &mut folded);
            let verdict = chain.matches(&mut input, &mut Scratch::default());
            assert_eq!(verdict == Verdict::Match, expected, "{options} {bytes}");
            assert_eq!(chain.holds_in_absence(), options.starts_with("absent"), "{options}");
        }
    }

    #[test]
    fn refuses_what_never_matches() {
        for options in [
            r#"bsize:1; content:"ab";"#,
            r#"content:"ab"; offset:3; bsize:<5;"#,
            "bsize:3; bsize:4;",
            "bsize:<0;",
            "absent; bsize:3;",
            "absent:or_else;",
            r#"content:"a"; absent;"#,
            r#"absent:or_else; content:"a"; fast_pattern;"#,
            "absent:never;",
            r#"pkt_data; bsize:3;"#,
            r#"to_lowercase; content:"A";"#,
            r#"pkt_data; to_lowercase; content:"a";"#,
        ] {
            assert!(header(options).is_err(), "{options}");
        }
        assert_eq!(header(r#"to_lowercase; dotprefix; content:".a";"#).unwrap().1, 2);
    }
}
