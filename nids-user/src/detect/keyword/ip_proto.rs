//! `ip_proto`: IP protocol by number or name, with `!`, `<` and `>`; `l3_proto`: IP version (Suricata user
//! guide, "IP Keywords"). They narrow the header's protocol, so they cost nothing when packets are inspected.

use super::value::{Fault, Use, Word};
use super::{Draft, Keyword};
use crate::detect::protocol::Numbers;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] =
    &[Keyword { name: "ip_proto", apply }, Keyword { name: "l3_proto", apply: version }];

fn apply(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    if !draft.header_is_ip {
        return Err(keyword.conflict("`ip_proto` needs the protocol `ip` in the header"));
    }
    let value = keyword.value()?.trim().unquote();
    let numbers = draft.protocol.numbers.intersect(&parse(value)?);
    if numbers == Numbers::NONE {
        return Err(value.fault(
            crate::rule::diagnostic::ReasonKind::Conflict,
            "no protocol fulfils all `ip_proto` of this rule",
        ));
    }
    draft.protocol.numbers = numbers;
    Ok(())
}

fn version(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    let value = keyword.value()?.trim();
    let v6 = match value.text.to_ascii_lowercase().as_str() {
        "ip4" | "ipv4" => false,
        "ip6" | "ipv6" => true,
        _ => return Err(value.bad("the version is `ipv4` or `ipv6`")),
    };
    let protocol = &mut draft.protocol;
    (protocol.v4, protocol.v6) = (protocol.v4 && !v6, protocol.v6 && v6);
    if !protocol.v4 && !protocol.v6 {
        return Err(keyword.conflict("the rule asks for the other IP version already"));
    }
    Ok(())
}

fn parse(word: Word<'_>) -> Result<Numbers, Fault> {
    let word = word.trim();
    if let Some(word) = word.strip_prefix("!") {
        let number = number(word)?;
        Ok(Numbers::of((0..=u8::MAX).filter(|n| *n != number)))
    } else if let Some(word) = word.strip_prefix(">") {
        let number = number(word)?;
        Ok(Numbers::of((0..=u8::MAX).filter(|n| *n > number)))
    } else if let Some(word) = word.strip_prefix("<") {
        let number = number(word)?;
        Ok(Numbers::of((0..=u8::MAX).filter(|n| *n < number)))
    } else {
        Ok(Numbers::of([number(word)?]))
    }
}

fn number(word: Word<'_>) -> Result<u8, Fault> {
    if word.text.starts_with(|c: char| c.is_ascii_digit()) {
        return word.number(0, u8::MAX);
    }
    NAMES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word.text))
        .map(|(_, number)| *number)
        .ok_or_else(|| word.bad(format!("`{}` is not a known IP protocol", word.text)))
}

/// IANA's "Assigned Internet Protocol Numbers" under the names of `/etc/protocols`.
const NAMES: [(&str, u8); 61] = [
    ("ip", 0),
    ("hopopt", 0),
    ("icmp", 1),
    ("igmp", 2),
    ("ggp", 3),
    ("ipencap", 4),
    ("ipip", 4),
    ("st", 5),
    ("st2", 5),
    ("tcp", 6),
    ("cbt", 7),
    ("egp", 8),
    ("igp", 9),
    ("pup", 12),
    ("argus", 13),
    ("chaos", 16),
    ("udp", 17),
    ("hmp", 20),
    ("xns-idp", 22),
    ("rdp", 27),
    ("irtp", 28),
    ("iso-tp4", 29),
    ("dccp", 33),
    ("xtp", 36),
    ("ddp", 37),
    ("idpr-cmtp", 38),
    ("ipv6", 41),
    ("ipv6-route", 43),
    ("ipv6-frag", 44),
    ("idrp", 45),
    ("rsvp", 46),
    ("gre", 47),
    ("dsr", 48),
    ("esp", 50),
    ("ipsec-esp", 50),
    ("ah", 51),
    ("ipsec-ah", 51),
    ("skip", 57),
    ("ipv6-icmp", 58),
    ("icmpv6", 58),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("eigrp", 88),
    ("rspf", 73),
    ("cphb", 73),
    ("vmtp", 81),
    ("ospf", 89),
    ("ax.25", 93),
    ("etherip", 97),
    ("encap", 98),
    ("pim", 103),
    ("ipcomp", 108),
    ("vrrp", 112),
    ("l2tp", 115),
    ("isis", 124),
    ("sctp", 132),
    ("fc", 133),
    ("mobility-header", 135),
    ("udplite", 136),
    ("mpls-in-ip", 137),
    ("hip", 139),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_and_operators() {
        let read = |text| parse(Word { text, start: 0 });
        let count = |text| read(text).unwrap().iter().count();
        assert_eq!(read("TCP"), Ok(Numbers::of([6])));
        assert_eq!(read("IPv6-ICMP"), Ok(Numbers::of([58])));
        assert_eq!((count("! 6"), count(">100"), count("<7")), (255, 155, 7));
        assert!(!read("!6").unwrap().contains(6));
        for text in ["256", "foo", "!>5", "", "-1"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
