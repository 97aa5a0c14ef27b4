//! Keywords that name the buffer for what stands behind them.

use super::value::{Fault, Use};
use super::{Draft, Keyword};
use crate::detect::buffer::Buffer;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "pkt_data", apply: pkt_data }];

/// Back to the payload (Suricata user guide, "pkt_data").
fn pkt_data(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    keyword.no_value()?;
    draft.select(Buffer::Payload, keyword.name.span());
    Ok(())
}
