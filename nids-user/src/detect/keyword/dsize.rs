//! `dsize`: bytes of payload of one packet (Suricata user guide, "Payload Keywords"). As in Suricata,
//! `dsize:!5` does not hold without any payload.

use super::number::{Comparison, comparison};
use super::value::{Fault, Use};
use super::{Draft, Keyword};
use crate::decode::Packet;
use crate::detect::check::Check;
use crate::detect::payload;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "dsize", apply }];

/// `dsize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadSize(pub Comparison<u16>);

impl PayloadSize {
    /// Whether the packet's payload is as large as asked for.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        let size = u16::try_from(payload(packet).len()).unwrap_or(u16::MAX);
        self.0.holds(size) && (size > 0 || self.allows_none())
    }
    /// Whether it holds without payload.
    pub fn allows_none(&self) -> bool {
        matches!(self.0, Comparison::Within(0, _))
    }
}

fn apply(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    if draft.check(|check| matches!(check, Check::PayloadSize(_))) {
        return Err(keyword.twice());
    }
    draft.checks.push(Check::PayloadSize(PayloadSize(comparison(keyword.value()?)?)));
    Ok(())
}

/// A content that is longer than the payload may be can never match.
pub(super) fn verify(draft: &Draft<'_>) -> Result<(), Fault> {
    let most = draft.checks.iter().find_map(|check| match check {
        Check::PayloadSize(PayloadSize(Comparison::Within(_, most))) => Some(usize::from(*most)),
        _ => None,
    });
    let Some(most) = most else { return Ok(()) };
    for content in draft.payload_contents().filter(|content| !content.negated) {
        let least = content.least_end();
        if least > most {
            return Err(Fault::new(
                content.span,
                crate::rule::diagnostic::ReasonKind::Conflict,
                format!("this content ends behind byte {least}, but `dsize` allows at most {most}"),
            ));
        }
    }
    Ok(())
}
