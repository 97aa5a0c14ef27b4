//! `flowbits`, `flowint`, `xbits`, `hostbits`, `threshold`, `detection_filter`, `tag`: what rules keep across
//! packets. Their values and meaning are those of `bits`, `threshold` and `tag`.

use super::value::{Fault, Use};
use super::{Draft, Keyword};
use crate::detect::bits::{self, FlowBits, FlowInt, Names, SharedBits};
use crate::detect::memory::{Change, Test};
use crate::detect::{tag, threshold};

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "flowbits", apply: flowbits },
    Keyword { name: "flowint", apply: flowint },
    Keyword { name: "xbits", apply: xbits },
    Keyword { name: "hostbits", apply: hostbits },
    Keyword { name: "threshold", apply: limit },
    Keyword { name: "detection_filter", apply: limit },
    Keyword { name: "tag", apply: tagged },
];

fn flowbits(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    match bits::flowbits(keyword.value()?, Names::process())? {
        FlowBits::Test(test) => {
            let both = draft
                .tests
                .iter()
                .any(|other| matches!(other, Test::Bit(other) if other.contradicts(&test)));
            if both {
                return Err(keyword.conflict("this bit would have to be set and not set at once"));
            }
            draft.tests.push(Test::Bit(test));
        }
        FlowBits::Change(change) => draft.changes.push(Change::Bit(change)),
        FlowBits::NoAlert => draft.meta.noalert = true,
    }
    Ok(())
}

fn flowint(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    match bits::flowint(keyword.value()?, Names::process())? {
        FlowInt::Test(test) => draft.tests.push(Test::Int(test)),
        FlowInt::Change(change) => draft.changes.push(Change::Int(change)),
    }
    Ok(())
}

fn xbits(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = bits::xbits(keyword.value()?, Names::process())?;
    shared(draft, value);
    Ok(())
}

fn hostbits(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = bits::hostbits(keyword.value()?, Names::process())?;
    shared(draft, value);
    Ok(())
}

fn shared(draft: &mut Draft<'_>, value: SharedBits) {
    match value {
        SharedBits::Test(test) => draft.tests.push(Test::Host(test)),
        SharedBits::Change(change) => draft.changes.push(Change::Host(change)),
        SharedBits::NoAlert => draft.meta.noalert = true,
    }
}

fn limit(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    if draft.limit.is_some() {
        return Err(keyword.conflict("the rule has a `threshold` or `detection_filter` already"));
    }
    let value = keyword.value()?;
    draft.limit = Some(match keyword.name.text {
        "threshold" => threshold::threshold(value)?,
        _ => threshold::detection_filter(value)?,
    });
    Ok(())
}

fn tagged(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    if draft.tag.is_some() {
        return Err(keyword.twice());
    }
    draft.tag = Some(tag::tag(keyword.value()?)?);
    Ok(())
}
