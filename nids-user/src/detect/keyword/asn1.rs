//! `asn1` (Suricata user guide, "asn1").

use super::value::{Fault, Use};
use super::{Draft, Keyword, StepDraft};
use crate::detect::asn1::Asn1;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "asn1", apply }];

fn apply(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let step = Asn1::read(keyword)?;
    draft.push(keyword, StepDraft::Asn1(step))
}
