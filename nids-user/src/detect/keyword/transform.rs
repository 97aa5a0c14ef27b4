//! The keywords of transforms (Suricata user guide, "Transformations"): they stand between a sticky buffer and
//! what is looked for in it. What they do is `detect::transform`'s.

use super::value::{Fault, Use, Word};
use super::{Draft, Keyword, StepDraft};
use crate::detect::buffer::Buffer;
use crate::detect::transform::{Promise, push, read};

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "dotprefix", apply },
    Keyword { name: "strip_whitespace", apply },
    Keyword { name: "compress_whitespace", apply },
    Keyword { name: "to_lowercase", apply },
    Keyword { name: "to_uppercase", apply },
    Keyword { name: "to_md5", apply },
    Keyword { name: "to_sha1", apply },
    Keyword { name: "to_sha256", apply },
    Keyword { name: "url_decode", apply },
    Keyword { name: "header_lowercase", apply },
    Keyword { name: "strip_pseudo_headers", apply },
    Keyword { name: "domain", apply },
    Keyword { name: "tld", apply },
    Keyword { name: "xor", apply },
    Keyword { name: "pcrexform", apply },
    Keyword { name: "from_base64", apply },
    Keyword { name: "gunzip", apply },
    Keyword { name: "zlib_deflate", apply },
    Keyword { name: "subslice", apply },
];

fn apply(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let name = keyword.name.text;
    if draft.buffer() == Buffer::Payload {
        return Err(keyword.conflict(format!("`{name}` needs a sticky buffer before it")));
    }
    if !draft.steps().is_empty() {
        // What follows is looked for in the buffer once more, transformed.
        let buffer = draft.buffer();
        draft.current = draft.add(buffer, keyword.name.span());
    }
    let Some(transform) = read(keyword) else { return Ok(()) };
    let transform = transform?;
    match draft.buffers.get_mut(draft.current) {
        Some(buffer) => push(&mut buffer.transforms, transform, keyword),
        None => Ok(()),
    }
}

/// Contents that no transformed buffer can hold.
pub(super) fn verify(draft: &Draft<'_>) -> Result<(), Fault> {
    for buffer in draft.buffers.iter().filter(|buffer| !buffer.transforms.is_empty()) {
        let promise = Promise::of(&buffer.transforms);
        let contents = buffer.steps.iter().filter_map(StepDraft::content);
        for content in contents.filter(|content| !content.negated) {
            let text = draft.rule.text.get(content.span.start..content.span.end);
            let name = Word { text: text.unwrap_or_default(), start: content.span.start };
            promise.verify(&content.bytes, content.nocase, &Use { name, value: None })?;
        }
    }
    Ok(())
}
