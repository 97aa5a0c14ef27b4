//! `pcre` in a chain (Suricata user guide, "pcre"). Its value and its engine are `detect::pcre`'s.

use std::sync::Arc;

use super::value::{Fault, Use};
use super::{Draft, Keyword, StepDraft};
use crate::detect::buffer::AppBuffer;
use crate::detect::pcre::{BufferFlag, Value};

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "pcre", apply }];

fn apply(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = Value::read(keyword.value()?)?;
    if let Some(flag) = value.buffer {
        // The raw cookie of Snort is the cookie: neither is normalised.
        let flag = if flag == BufferFlag::RawCookie { BufferFlag::Cookie } else { flag };
        let Some(buffer) = AppBuffer::flag(flag) else {
            return Err(keyword.conflict("no buffer has this flag"));
        };
        draft.go_to(keyword, buffer)?;
    }
    if value.buffer.is_none() && !value.relative {
        draft.moved = None;
    }
    let is_match = |step: &StepDraft| matches!(step, StepDraft::Content(_) | StepDraft::Pcre(_));
    // In a sticky buffer it counts from the start, where nothing is before it.
    let in_packet = draft.buffer().app().is_none() && draft.moved.is_none();
    if value.relative && in_packet && !draft.steps().iter().any(is_match) {
        return Err(
            keyword.conflict("a relative pattern (`R`) needs a content or pattern before it")
        );
    }
    draft.push_here(keyword, StepDraft::Pcre(Arc::new(value)))
}

#[cfg(test)]
mod tests {
    use crate::detect::chain::tests::{chain, holds, refusal};
    use crate::detect::chain::{Captured, Input, Scratch, Verdict};

    #[test]
    fn patterns_in_a_chain() {
        for (options, bytes, expected) in [
            (r#"pcre:"/b+c/";"#, "abbbc", true),
            (r#"pcre:!"/b+c/";"#, "abbbc", false),
            (r#"pcre:!"/b+c/";"#, "abbb", true),
            (r#"content:"a"; pcre:"/^b/R";"#, "cab", true),
            (r#"content:"a"; pcre:"/^b/R";"#, "bac", false),
            // The next hit of the content before will do.
            (r#"content:"a"; pcre:"/^b/R";"#, "acab", true),
            (r#"content:"a"; pcre:!"/^b/R";"#, "abac", true),
            // And so will the next match of the pattern.
            (r#"pcre:"/a./"; content:"z"; within:1;"#, "abacz", true),
            (r#"pcre:"/a.*?b/"; content:"z"; distance:0; within:1;"#, "a..b..a.bz", true),
            (r#"pcre:"/a/"; content:"a"; distance:0;"#, "ba", false),
            (r#"content:"x"; pcre:"/\d/R"; byte_test:1,=,0x62,0,relative;"#, "1b x2a3b", true),
        ] {
            assert_eq!(holds(options, bytes.as_bytes()), expected, "{options} {bytes:?}");
        }
        assert_eq!(refusal(r#"pcre:"/a/R";"#), "pcre");
    }

    #[test]
    fn groups_that_are_asked_for_are_kept() {
        let chain = chain(r#"pcre:"/a(\d)/, flow:x"; content:"z"; distance:0; within:1;"#).unwrap();
        let (mut scratch, mut folded) = (Scratch::default(), Vec::new());
        let verdict = chain.matches(&mut Input::new(b"a1 a2z", &mut folded), &mut scratch);
        assert_eq!(verdict, Verdict::Match);
        // Of the match that fits alone.
        assert_eq!(scratch.captured(), [Captured { pattern: 0, group: 1, span: 4..5 }]);
        assert_eq!(chain.pattern(0).unwrap().captures.len(), 1);
    }
}
