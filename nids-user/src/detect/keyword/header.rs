//! The sticky buffers of headers: `tcp.hdr`, `udp.hdr`, `ipv4.hdr`, `ipv6.hdr`, `icmpv4.hdr`, `icmpv6.hdr`,
//! `ip.src`, `ip.dst` (Suricata user guide, "TCP Keywords" and the like; "IP Addresses Match").
//!
//! What bytes they hold is in [`Buffer`].

use super::value::{Fault, Use};
use super::{BufferDraft, Draft, Keyword};
use crate::detect::buffer::Buffer;
use crate::detect::protocol::{ICMP, ICMPV6, TCP, UDP};
use crate::rule::diagnostic::ReasonKind;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[
    Keyword { name: "tcp.hdr", apply: |draft, word| select(draft, word, Buffer::TcpHeader) },
    Keyword { name: "udp.hdr", apply: |draft, word| select(draft, word, Buffer::UdpHeader) },
    Keyword { name: "ipv4.hdr", apply: |draft, word| select(draft, word, Buffer::Ipv4Header) },
    Keyword { name: "ipv6.hdr", apply: |draft, word| select(draft, word, Buffer::Ipv6Header) },
    Keyword { name: "icmpv4.hdr", apply: |draft, word| select(draft, word, Buffer::Icmpv4Header) },
    Keyword { name: "icmpv6.hdr", apply: |draft, word| select(draft, word, Buffer::Icmpv6Header) },
    Keyword { name: "ip.src", apply: |draft, word| select(draft, word, Buffer::SourceAddress) },
    Keyword {
        name: "ip.dst",
        apply: |draft, word| select(draft, word, Buffer::DestinationAddress),
    },
];

fn select(draft: &mut Draft<'_>, keyword: &Use<'_>, buffer: Buffer) -> Result<(), Fault> {
    keyword.no_value()?;
    let needed = match buffer {
        Buffer::TcpHeader => Some(TCP),
        Buffer::UdpHeader => Some(UDP),
        Buffer::Icmpv4Header => Some(ICMP),
        Buffer::Icmpv6Header => Some(ICMPV6),
        _ => None,
    };
    if needed.is_some_and(|number| !draft.protocol.numbers.contains(number)) {
        return Err(keyword.conflict(format!("no packet of this rule has `{}`", keyword.name.text)));
    }
    draft.select(buffer, keyword.name.span());
    Ok(())
}

/// A buffer that is named must be looked at.
pub(super) fn verify(draft: &Draft<'_>) -> Result<(), Fault> {
    let empty = |buffer: &&BufferDraft| buffer.steps.is_empty() && buffer.sets.is_empty();
    match draft.buffers.iter().skip(1).find(empty) {
        Some(empty) => Err(Fault::new(
            empty.span,
            ReasonKind::Conflict,
            "nothing is looked for in this buffer",
        )),
        None => Ok(()),
    }
}
