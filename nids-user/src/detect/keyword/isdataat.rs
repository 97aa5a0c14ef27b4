//! `isdataat`: whether the buffer goes as far as a place (Suricata user guide, "isdataat").

use super::value::{Fault, Use};
use super::variable::operand;
use super::{Draft, Keyword, StepDraft};
use crate::detect::chain::number::{IsDataAt, Operand};
use crate::rule::dialect::Dialect;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "isdataat", apply }];

fn apply(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = keyword.value()?;
    let (negated, rest) = match value.strip_prefix("!") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let mut words = rest.split(',');
    let place = words.next().unwrap_or(rest);
    let at = operand(draft, place, 0, u16::MAX)?;
    let (mut relative, mut rawbytes) = (false, false);
    for word in words {
        let slot = match word.text {
            "relative" => &mut relative,
            // Without effect, as in Suricata: there is but one form of the bytes.
            "rawbytes" => &mut rawbytes,
            _ => return Err(word.bad(format!("`{}` is not an option of `isdataat`", word.text))),
        };
        if std::mem::replace(slot, true) {
            return Err(word.bad(format!("`{}` stands here twice", word.text)));
        }
    }
    // What Suricata's user guide says `endswith` is short for.
    let nothing_behind = match draft.rule.dialect {
        Dialect::Suricata => 1,
        Dialect::Snort2 | Dialect::Snort3 => 0,
    };
    if (negated, relative, at) == (true, true, Operand::Number(nothing_behind))
        && let Some(StepDraft::Content(content)) =
            draft.steps_mut().and_then(|steps| steps.last_mut())
    {
        content.endswith = true;
        return Ok(());
    }
    // In Snort's dialects a byte must be there in any case (Suricata user guide, "Differences From Snort").
    let end_will_do = relative && draft.rule.dialect == Dialect::Suricata;
    draft.push(keyword, StepDraft::IsDataAt(IsDataAt { negated, at, relative, end_will_do }))
}

#[cfg(test)]
mod tests {
    use crate::detect::chain::tests::{holds, refusal};

    #[test]
    fn asks_for_a_byte() {
        for (options, bytes, expected) in [
            ("isdataat:7;", "abcdefgh", true),
            ("isdataat:8;", "abcdefgh", false),
            ("isdataat:!8;", "abcdefgh", true),
            ("isdataat:!7;", "abcdefgh", false),
            ("isdataat:8,relative;", "abcdefgh", true),
            ("isdataat:9,relative;", "abcdefgh", false),
            (r#"content:"c"; isdataat:5,relative;"#, "abcdefgh", true),
            (r#"content:"c"; isdataat:6,relative;"#, "abcdefgh", false),
            (r#"content:"c"; isdataat: !6 , relative, rawbytes;"#, "abcdefgh", true),
            // Another hit of the content before will do.
            (r#"content:"a"; isdataat:!2,relative;"#, "abcab", true),
            (r#"content:"a"; isdataat:!1,relative;"#, "abca", true),
            (r#"content:"a"; isdataat:!1,relative;"#, "abcab", false),
            // As `endswith`, with the negated content too.
            (r#"content:"a"; content:!"c"; isdataat:!1,relative;"#, "abc", false),
            (r#"content:"a"; content:!"c"; isdataat:!1,relative;"#, "abcd", true),
            ("byte_extract:1,0,x; isdataat:x;", "\u{3}bcd", true),
            ("byte_extract:1,0,x; isdataat:x;", "\u{4}bcd", false),
            ("byte_extract:1,0,x; isdataat:!x,relative;", "\u{4}bcd", true),
            ("byte_extract:1,0,x; isdataat:!x,relative;", "\u{3}bcd", false),
        ] {
            assert_eq!(holds(options, bytes.as_bytes()), expected, "{options} {bytes:?}");
        }
    }

    #[test]
    fn a_byte_must_be_there_in_snort() {
        let snort = |options: &str| format!("metadata:policy balanced-ips drop; {options}");
        for (options, bytes, expected) in [
            ("isdataat:7;", "abcdefgh", true),
            ("isdataat:8,relative;", "abcdefgh", false),
            (r#"content:"c"; isdataat:4,relative;"#, "abcdefgh", true),
            (r#"content:"c"; isdataat:5,relative;"#, "abcdefgh", false),
            // Nothing behind is `!0` there, and `!1` leaves one byte.
            (r#"content:"a"; isdataat:!0,relative;"#, "abca", true),
            (r#"content:"a"; isdataat:!0,relative;"#, "cab", false),
            (r#"content:"a"; isdataat:!1,relative;"#, "cab", true),
            (r#"content:"a"; isdataat:!1,relative;"#, "cabb", false),
            (r#"content:!"c"; isdataat:!0,relative;"#, "abc", false),
            (r#"content:!"c"; isdataat:!0,relative;"#, "acb", true),
        ] {
            assert_eq!(holds(&snort(options), bytes.as_bytes()), expected, "{options} {bytes:?}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for (options, place) in [
            ("isdataat:65536;", "65536"),
            ("isdataat:-1,relative;", "-1"),
            ("isdataat:1,relativ;", "relativ"),
            ("isdataat:1,relative,relative;", "relative"),
            ("isdataat:x;", "x"),
            ("isdataat;", "isdataat"),
        ] {
            assert_eq!(refusal(options), place, "{options}");
        }
    }
}
