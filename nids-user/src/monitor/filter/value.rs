//! The values of tests: addresses, networks, ports, protocols.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::lexer::Token;
use super::parser::{ARP, IPV4, IPV6, KEYWORDS, Kind, Parser, Protocol, Qualifiers, RARP, Result};
use super::{Family, Test, Within, names};
use crate::rule::ast::Span;

impl Parser<'_> {
    pub(super) fn value(&mut self, qualifiers: Qualifiers) -> Result<Test> {
        let Qualifiers { protocol, side, kind } = qualifiers;
        let span = self.span();
        let (word, escaped) = match self.peek() {
            Some(Token::Word(word)) => (word.clone(), false),
            Some(Token::Escaped(word)) => (word.clone(), true),
            _ => ("".into(), false),
        };
        let names_protocol = kind == Kind::Proto && Protocol::of(&word).is_some();
        if word.is_empty() || (!escaped && !names_protocol && KEYWORDS.contains(&word.as_str())) {
            let what = match kind {
                Kind::Host => "an address",
                Kind::Net => "a network",
                Kind::Port => "a port",
                Kind::PortRange => "a range of ports",
                Kind::Proto => "a protocol",
            };
            return Err(self.error(format!("{what} must follow")));
        }
        self.at += 1;
        let transport = match protocol {
            Some(Protocol::Transport { number, .. }) => Some(number),
            _ => None,
        };
        match kind {
            Kind::Port => {
                let port = self.port(&word, span)?;
                Ok(Test::Port { transport, side, first: port, last: port })
            }
            Kind::PortRange => {
                let (first, last) = self.port_range(&word, span)?;
                Ok(Test::Port { transport, side, first, last })
            }
            Kind::Proto => self.protocol(protocol, &word, span),
            Kind::Host if protocol == Some(Protocol::Ether) => {
                let address = hardware(&word).ok_or_else(|| {
                    self.error_at(span, "this is no hardware address, such as 02:00:00:00:00:01")
                })?;
                Ok(Test::Hardware { side, address })
            }
            Kind::Host => {
                if hardware(&word).is_some() {
                    let error = self.error_at(span, "this is a hardware address");
                    return Err(
                        error.with_help(Some(format!("did you mean \"ether host {word}\"?")))
                    );
                }
                if word.contains('/') {
                    let error = self.error_at(span, "this is a network");
                    return Err(error.with_help(Some(format!("did you mean \"net {word}\"?"))));
                }
                let address = self.address(&word, span)?;
                self.addresses(qualifiers, address, address, span)
            }
            Kind::Net => {
                let (first, last) = self.network(&word, span)?;
                self.addresses(qualifiers, first, last, span)
            }
        }
    }

    pub(super) fn number(&mut self, what: &str) -> Result<u32> {
        let number = self.word().and_then(number);
        let number = number.ok_or_else(|| self.error(format!("{what} must follow")))?;
        self.at += 1;
        Ok(number)
    }

    fn port(&self, word: &str, span: Span) -> Result<u16> {
        if let Some(port) = names::service(word) {
            return Ok(port);
        }
        if word.bytes().all(|byte| byte.is_ascii_digit()) || word.starts_with("0x") {
            let port = number(word).and_then(|port| u16::try_from(port).ok());
            return port.ok_or_else(|| self.error_at(span, "a port is at most 65535"));
        }
        let error = self.error_at(span, format!("{word:?} is neither a port nor a known service"));
        let is_range = word
            .split_once('-')
            .is_some_and(|(first, last)| number(first).is_some() && number(last).is_some());
        Err(error.with_help(if is_range {
            Some(format!("did you mean \"portrange {word}\"?"))
        } else {
            names::nearest_service(word).map(|near| format!("did you mean \"{near}\"?"))
        }))
    }

    fn port_range(&self, word: &str, span: Span) -> Result<(u16, u16)> {
        // A service's own name may have a hyphen: try each.
        let hyphens = word.match_indices('-').map(|(at, _)| word.split_at(at));
        for (first, last) in hyphens {
            if let (Ok(first), Ok(last)) =
                (self.port(first, span), self.port(last.trim_start_matches('-'), span))
            {
                return Ok((first.min(last), first.max(last)));
            }
        }
        match self.port(word, span) {
            Ok(port) => Ok((port, port)),
            Err(_) => Err(self.error_at(span, "this is no range of ports, such as 6000-6008")),
        }
    }

    fn protocol(&self, protocol: Option<Protocol>, word: &str, span: Span) -> Result<Test> {
        let unknown = || self.error_at(span, format!("{word:?} is no known protocol"));
        if protocol == Some(Protocol::Ether) {
            let value = match number(word) {
                Some(value) => u16::try_from(value).ok().filter(|value| *value >= 0x600),
                None => names::ether_type(word),
            };
            return value.map(Test::EtherType).ok_or_else(unknown);
        }
        let family = match protocol {
            Some(Protocol::Network(IPV4)) => Some(Family::V4),
            Some(Protocol::Network(IPV6)) => Some(Family::V6),
            _ => None,
        };
        let value = match number(word) {
            Some(value) => u8::try_from(value).ok(),
            None => names::protocol(word),
        };
        let number = value.ok_or_else(unknown)?;
        Ok(Test::Protocol { family, number })
    }

    fn address(&self, word: &str, span: Span) -> Result<IpAddr> {
        word.parse().map_err(|_| {
            let numeric = word.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b':'));
            self.error_at(
                span,
                if numeric {
                    "this is no IP address"
                } else {
                    "this is no IP address, and names are not looked up"
                },
            )
        })
    }

    /// `10.0.0.0/8`, `10.0.0.0 mask 255.0.0.0`, `10`, `192.168`, `2001:db8::/32`.
    fn network(&mut self, word: &str, span: Span) -> Result<(IpAddr, IpAddr)> {
        let (address, prefix) = match word.split_once('/') {
            Some((address, length)) => {
                let length: Option<u32> = length.parse().ok();
                (address, Some(length.unwrap_or(u32::MAX)))
            }
            None => (word, None),
        };
        if let Ok(address) = address.parse::<Ipv6Addr>() {
            let length = prefix.unwrap_or(128);
            let mask = mask_v6(length)
                .ok_or_else(|| self.error_at(span, "an IPv6 prefix has at most 128 bits"))?;
            return self.range_v6(address, mask, span);
        }
        // One to four numbers; those left out are zero, and not part of the network.
        let parts: Option<Vec<u8>> = address.split('.').map(|part| part.parse().ok()).collect();
        let Some(parts) = parts.filter(|parts| parts.len() <= 4) else {
            self.address(address, span)?;
            return Err(self.error_at(span, "this is no network"));
        };
        let mut octets = [0; 4];
        octets.iter_mut().zip(&parts).for_each(|(octet, part)| *octet = *part);
        let address = Ipv4Addr::from(octets);
        let mask = if prefix.is_none() && self.take_word(&["mask"]) {
            let span = self.span();
            let mask = self.word().and_then(|word| word.parse::<Ipv4Addr>().ok());
            let mask = mask
                .ok_or_else(|| self.error_at(span, "a mask such as 255.255.255.0 must follow"))?;
            self.at += 1;
            let mask = u32::from(mask);
            if mask.leading_ones() + mask.trailing_zeros() < 32 {
                return Err(self.error_at(span, "a mask with holes is not supported"));
            }
            mask
        } else {
            let length = prefix.unwrap_or(parts.len() as u32 * 8);
            mask_v4(length)
                .ok_or_else(|| self.error_at(span, "an IPv4 prefix has at most 32 bits"))?
        };
        let bits = u32::from(address);
        if bits & !mask != 0 {
            let network = Ipv4Addr::from(bits & mask);
            let help = format!("did you mean \"net {network}/{}\"?", mask.leading_ones());
            let error = self.error_at(span, "the address has bits beyond its prefix");
            return Err(error.with_help(Some(help)));
        }
        Ok((Ipv4Addr::from(bits).into(), Ipv4Addr::from(bits | !mask).into()))
    }

    fn range_v6(&self, address: Ipv6Addr, mask: u128, span: Span) -> Result<(IpAddr, IpAddr)> {
        let bits = u128::from(address);
        if bits & !mask != 0 {
            let network = Ipv6Addr::from(bits & mask);
            let help = format!("did you mean \"net {network}/{}\"?", mask.leading_ones());
            let error = self.error_at(span, "the address has bits beyond its prefix");
            return Err(error.with_help(Some(help)));
        }
        Ok((Ipv6Addr::from(bits).into(), Ipv6Addr::from(bits | !mask).into()))
    }

    fn addresses(
        &self,
        qualifiers: Qualifiers,
        first: IpAddr,
        last: IpAddr,
        span: Span,
    ) -> Result<Test> {
        let (within, family) = match qualifiers.protocol {
            Some(Protocol::Network(IPV4)) => (Within::Ip, Some(true)),
            Some(Protocol::Network(IPV6)) => (Within::Ip, Some(false)),
            Some(Protocol::Network(ARP)) => (Within::Arp, Some(true)),
            Some(Protocol::Network(RARP)) => (Within::Rarp, Some(true)),
            _ => (Within::Any, None),
        };
        if family.is_some_and(|v4| v4 != first.is_ipv4()) {
            return Err(self.error_at(span, "this address is of another protocol"));
        }
        Ok(Test::Address { within, side: qualifiers.side, first, last })
    }
}

/// Decimal, `0x` hexadecimal, `0` octal.
pub(super) fn number(word: &str) -> Option<u32> {
    if let Some(hex) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        return u32::from_str_radix(hex, 16).ok();
    }
    if !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match word.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => u32::from_str_radix(octal, 8).ok(),
        _ => word.parse().ok(),
    }
}

/// Six hexadecimal numbers with `:`, `-` or `.` between.
fn hardware(word: &str) -> Option<[u8; 6]> {
    let mut address = [0; 6];
    let mut parts = word.split([':', '-', '.']);
    for byte in &mut address {
        let part = parts.next()?;
        if part.is_empty() || part.len() > 2 {
            return None;
        }
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(address)
}

fn mask_v4(length: u32) -> Option<u32> {
    match length {
        0 => Some(0),
        1..=32 => Some(u32::MAX << (32 - length)),
        _ => None,
    }
}

fn mask_v6(length: u32) -> Option<u128> {
    match length {
        0 => Some(0),
        1..=128 => Some(u128::MAX << (128 - length)),
        _ => None,
    }
}
