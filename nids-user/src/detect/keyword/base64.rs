//! `base64_decode` and `base64_data` (Suricata user guide, "Base64 keywords"): what stands behind
//! `base64_data` is looked for in what was decoded, until another buffer is named.

use super::value::{Fault, Use};
use super::{Draft, Keyword, StepDraft};
use crate::detect::transform::base64::Base64Decode;
use crate::rule::ast::Span;
use crate::rule::diagnostic::ReasonKind;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "base64_decode", apply: base64_decode },
    Keyword { name: "base64_data", apply: base64_data },
];

/// `base64_decode` while its rule is read.
#[derive(Clone, Debug)]
pub struct Base64Draft {
    span: Span,
    /// What is decoded.
    pub decode: Base64Decode,
    /// What must hold of what is decoded.
    pub steps: Vec<StepDraft>,
}

impl Base64Draft {
    /// The step, where it is one.
    pub(super) fn of(step: &StepDraft) -> Option<&Self> {
        match step {
            StepDraft::Base64(draft) => Some(draft),
            _ => None,
        }
    }
    pub(super) fn of_mut(step: &mut StepDraft) -> Option<&mut Self> {
        match step {
            StepDraft::Base64(draft) => Some(draft),
            _ => None,
        }
    }
}

fn base64_decode(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    if draft.decoded {
        return Err(keyword.conflict("what `base64_decode` decodes is not decoded again"));
    }
    let decode = Base64Decode::read(keyword)?;
    let span = keyword.name.span();
    draft.push(keyword, StepDraft::Base64(Base64Draft { span, decode, steps: Vec::new() }))
}

fn base64_data(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    keyword.no_value()?;
    draft.decoded = false;
    if !draft.steps().iter().any(|step| Base64Draft::of(step).is_some()) {
        return Err(
            keyword.conflict("`base64_data` needs a `base64_decode` before it in the same buffer")
        );
    }
    draft.current = draft.moved.take().unwrap_or(draft.current);
    draft.decoded = true;
    Ok(())
}

/// Without anything that is looked for in it, nothing is decoded: such a rule never matches in Suricata.
pub(super) fn verify(draft: &Draft<'_>) -> Result<(), Fault> {
    let steps = draft.buffers.iter().flat_map(|buffer| &buffer.steps);
    match steps.filter_map(Base64Draft::of).find(|decode| decode.steps.is_empty()) {
        Some(decode) => Err(Fault::new(
            decode.span,
            ReasonKind::Conflict,
            "nothing is looked for in what this decodes: `base64_data` and a content are missing",
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::chain::tests::{holds, refusal};

    #[test]
    fn looks_into_what_is_decoded() {
        for (options, bytes, expected) in [
            (r#"base64_decode; base64_data; content:"Hello World";"#, "SGVsbG8gV29ybGQ=", true),
            (
                r#"base64_decode; base64_data; content:"hello"; nocase; content:"W"; distance:1; within:1;"#,
                "SGVsbG8gV29ybGQ=",
                true,
            ),
            (r#"base64_decode; base64_data; content:"World"; endswith;"#, "SGVsbG8gV29ybGQ", true),
            (
                r#"base64_decode:offset 2; base64_data; content:"Hello"; startswith;"#,
                "..SGVsbG8",
                true,
            ),
            (
                r#"base64_decode:bytes 4, offset 2; base64_data; content:"Hell";"#,
                "..SGVsbG8=",
                false,
            ),
            (
                r#"base64_decode:bytes 4, offset 2; base64_data; content:"Hel"; endswith;"#,
                "..SGVsbG8=",
                true,
            ),
            (
                r#"content:":"; base64_decode:offset 1, relative; base64_data; content:"Hello";"#,
                "a: SGVsbG8=",
                true,
            ),
            // The next hit of the content before will do.
            (
                r#"content:":"; base64_decode:relative; base64_data; content:"Hello";"#,
                "a: b:SGVsbG8=",
                true,
            ),
            // Up to the first byte that is no Base64.
            (r#"base64_decode; base64_data; content:"Hel";"#, "SGVs!bG8=", true),
            (r#"base64_decode; base64_data; content:"Hell"; endswith;"#, "SGVsbG!8=", true),
            (r#"base64_decode; base64_data; content:!"a";"#, "!!!!", false),
            // Back in the payload.
            (
                r#"base64_decode; base64_data; content:"Hel"; pkt_data; content:"SGV";"#,
                "SGVs",
                true,
            ),
            (
                r#"base64_decode; base64_data; content:"Hel"; pkt_data; content:"Hel";"#,
                "SGVs",
                false,
            ),
            (r#"base64_decode; base64_data; byte_test:1,=,0x48,0;"#, "SGVs", true),
        ] {
            assert_eq!(holds(options, bytes.as_bytes()), expected, "{options} {bytes:?}");
        }
    }

    #[test]
    fn refuses_what_never_matches() {
        for (options, place) in [
            ("base64_decode;", "base64_decode"),
            ("base64_decode; base64_data;", "base64_decode"),
            (r#"base64_data; content:"a";"#, "base64_data"),
            (r#"base64_decode:byte 4; base64_data; content:"a";"#, "byte"),
            (r#"base64_decode:relative, relative; base64_data; content:"a";"#, "relative"),
            (r#"base64_decode; base64_data; base64_decode; content:"a";"#, "base64_decode"),
            (r#"byte_extract:1,0,x; base64_decode; base64_data; content:"a"; offset:x;"#, "x"),
        ] {
            assert_eq!(refusal(options), place, "{options}");
        }
    }
}
