//! Keywords of HTTP that are no buffers: `uricontent` and `urilen` (Suricata user guide, "HTTP Keywords").

use super::content;
use super::number::{Comparison, comparison};
use super::value::{Fault, Use, Word};
use super::{Draft, Keyword, StepDraft};
use crate::detect::buffer::AppBuffer;
use crate::rule::dialect::Dialect;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] =
    &[Keyword { name: "uricontent", apply: uricontent }, Keyword { name: "urilen", apply: urilen }];

/// A content of the URI: `content` and `http_uri` in one.
fn uricontent(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    content::content(draft, keyword)?;
    draft.move_content(keyword, AppBuffer::HttpUri)
}

/// The length of the URI: `5`, `<5`, `>5`, `5<>10`, and behind a comma whether it is the one as sent. Suricata takes
/// the normalised one and excludes both ends of a range, Snort the one as sent and includes them.
fn urilen(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let is_snort = draft.rule.dialect != Dialect::Suricata;
    let value = keyword.value()?;
    let (length, raw) = match value.split_once(",") {
        None => (value, is_snort),
        Some((length, word)) => match word.text {
            "raw" => (length, true),
            "norm" => (length, false),
            _ => return Err(word.bad("this is `raw` or `norm`")),
        },
    };
    let size = if is_snort { snort(length)? } else { comparison(length)? };
    let buffer = if raw { AppBuffer::HttpRawUri } else { AppBuffer::HttpUri };
    draft.push_into(keyword, buffer, StepDraft::Size(size))
}

fn snort(length: Word<'_>) -> Result<Comparison<u32>, Fault> {
    match length.split_once("<>") {
        None => comparison(length),
        Some((least, most)) => {
            let (from, to) = (least.number(0, u32::MAX)?, most.number(0, u32::MAX)?);
            match from <= to {
                true => Ok(Comparison::Within(from, to)),
                false => Err(length.bad("no length is in this range")),
            }
        }
    }
}
