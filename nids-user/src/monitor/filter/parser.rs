//! The grammar of pcap-filter(7), by recursive descent.
//!
//! `and` and `or` have the same precedence and associate to the left, as there; `not` binds tighter.
//! A bare value takes the qualifiers of the test before it: `port 80 or 443`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::lexer::{Token, tokens};
use super::{
    Arith, Base, Expr, Family, FilterError, Operator, Relation, Side, Test, Within, names,
};
use crate::rule::ast::{Span, Spanned};

/// Parentheses and negations inside each other.
const MAX_DEPTH: usize = 100;

/// Words that are no values.
const KEYWORDS: [&str; 43] = [
    "and",
    "or",
    "not",
    "src",
    "dst",
    "host",
    "net",
    "port",
    "portrange",
    "proto",
    "mask",
    "ether",
    "link",
    "ip",
    "ip6",
    "arp",
    "rarp",
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "sctp",
    "igmp",
    "pim",
    "vrrp",
    "ah",
    "esp",
    "vlan",
    "less",
    "greater",
    "len",
    "length",
    "broadcast",
    "multicast",
    "gateway",
    "inbound",
    "outbound",
    "mpls",
    "pppoes",
    "pppoed",
    "protochain",
    "ifname",
    "geneve",
];

/// Keywords of pcap-filter(7) that are not honoured.
const UNSUPPORTED: [&str; 9] = [
    "gateway",
    "inbound",
    "outbound",
    "mpls",
    "pppoes",
    "pppoed",
    "protochain",
    "ifname",
    "geneve",
];

pub(super) fn parse(text: &str) -> Result<Expr, FilterError> {
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0, last: None };
    if parser.tokens.is_empty() {
        return Ok(Expr::Any);
    }
    let expr = parser.alternation()?;
    match parser.peek() {
        None => Ok(expr),
        Some(Token::Sign(")")) => Err(parser.error("this parenthesis was never opened")),
        Some(_) => Err(parser
            .error("two tests need \"and\" or \"or\" between them")
            .with_help(parser.suggest_keyword())),
    }
}

/// What stands before a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Qualifiers {
    protocol: Option<Protocol>,
    side: Side,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Host,
    Net,
    Port,
    PortRange,
    Proto,
}

/// A protocol word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Ether,
    Network(u16),
    Transport { family: Option<Family>, number: u8 },
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const ARP: u16 = 0x0806;
const RARP: u16 = 0x8035;

impl Protocol {
    fn of(word: &str) -> Option<Self> {
        let transport = |family, number| Some(Self::Transport { family, number });
        match word {
            "ether" | "link" => Some(Self::Ether),
            "ip" => Some(Self::Network(IPV4)),
            "ip6" => Some(Self::Network(IPV6)),
            "arp" => Some(Self::Network(ARP)),
            "rarp" => Some(Self::Network(RARP)),
            "tcp" => transport(None, 6),
            "udp" => transport(None, 17),
            "sctp" => transport(None, 132),
            "icmp" => transport(Some(Family::V4), 1),
            "icmp6" => transport(Some(Family::V6), 58),
            "igmp" => transport(Some(Family::V4), 2),
            "vrrp" => transport(Some(Family::V4), 112),
            "pim" => transport(None, 103),
            "ah" => transport(None, 51),
            "esp" => transport(None, 50),
            _ => None,
        }
    }

    fn base(self) -> Base {
        match self {
            Self::Ether => Base::Ether,
            Self::Network(ether_type) => Base::Network(ether_type),
            Self::Transport { family, number } => Base::Transport { family, number },
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Spanned<Token>>,
    at: usize,
    depth: usize,
    last: Option<Qualifiers>,
}

type Result<T, E = FilterError> = std::result::Result<T, E>;

impl FilterError {
    fn with_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

impl Parser<'_> {
    // ------------------------------------------------------------------------------------ tokens

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|token| &token.node)
    }

    fn word(&self) -> Option<&str> {
        match self.peek() {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// The place of the next token, or the end.
    fn span(&self) -> Span {
        let end = self.text.len();
        self.tokens.get(self.at).map_or(Span { start: end, end }, |token| token.span)
    }

    /// From `start` to the end of the last token taken.
    fn since(&self, start: Span) -> Span {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        Span { start: start.start, end: last.map_or(start.end, |t| t.span.end).max(start.start) }
    }

    fn take_word(&mut self, words: &[&str]) -> bool {
        let found = self.word().is_some_and(|word| words.contains(&word));
        self.at += usize::from(found);
        found
    }

    fn take_sign(&mut self, signs: &[&str]) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(sign)) if signs.contains(sign));
        self.at += usize::from(found);
        found
    }

    fn error(&self, reason: impl Into<String>) -> FilterError {
        self.error_at(self.span(), reason)
    }

    fn error_at(&self, span: Span, reason: impl Into<String>) -> FilterError {
        FilterError { text: self.text.into(), span, reason: reason.into(), help: None }
    }

    fn suggest_keyword(&self) -> Option<String> {
        let known = KEYWORDS.iter().copied().filter(|word| !UNSUPPORTED.contains(word));
        let near = names::nearest(self.word()?, known)?;
        (Some(near) != self.word()).then(|| format!("did you mean \"{near}\"?"))
    }

    // -------------------------------------------------------------------------------- expressions

    fn alternation(&mut self) -> Result<Expr> {
        let mut left = self.negation()?;
        loop {
            if self.take_word(&["and"]) || self.take_sign(&["&&"]) {
                left = Expr::And(Box::new(left), Box::new(self.negation()?));
            } else if self.take_word(&["or"]) || self.take_sign(&["||"]) {
                left = Expr::Or(Box::new(left), Box::new(self.negation()?));
            } else {
                return Ok(left);
            }
        }
    }

    fn negation(&mut self) -> Result<Expr> {
        if self.take_word(&["not"]) || self.take_sign(&["!"]) {
            return self.nested(|parser| Ok(Expr::Not(Box::new(parser.negation()?))));
        }
        if let Some(test) = self.comparison()? {
            return Ok(test);
        }
        if self.take_sign(&["("]) {
            return self.group();
        }
        self.test()
    }

    /// The rest of a group, behind its parenthesis.
    fn group(&mut self) -> Result<Expr> {
        let open =
            self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map(|token| token.span);
        let open = open.unwrap_or(self.span());
        let expr = self.nested(Self::alternation)?;
        if self.take_sign(&[")"]) {
            return Ok(expr);
        }
        match self.peek() {
            None => Err(self.error_at(open, "a parenthesis is not closed")),
            Some(_) => Err(self
                .error("\"and\", \"or\" or a closing parenthesis must stand here")
                .with_help(self.suggest_keyword())),
        }
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MAX_DEPTH {
            return Err(self.error("too many parentheses or negations inside each other"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    // -------------------------------------------------------------------------------------- tests

    fn test(&mut self) -> Result<Expr> {
        let start = self.span();
        let Some(word) = self.word().map(str::to_owned) else {
            return Err(match self.peek() {
                None => self.error("the filter ends where a test must follow"),
                Some(_) => self.error("a test must stand here"),
            });
        };
        let one =
            |parser: &Self, test| Ok(Expr::Test(Spanned { node: test, span: parser.since(start) }));
        match word.as_str() {
            "less" | "greater" => {
                self.at += 1;
                let right = Arith::Number(self.number("a length")?);
                let relation =
                    if word == "less" { Relation::LessOrEqual } else { Relation::GreaterOrEqual };
                return one(self, Test::Compare { left: Arith::Length, relation, right });
            }
            "vlan" => {
                self.at += 1;
                let id = match self
                    .word()
                    .map(|word| word.starts_with(|c: char| c.is_ascii_digit()))
                {
                    Some(true) => {
                        let span = self.span();
                        let id = self.number("a VLAN id")?;
                        let small = u16::try_from(id).ok().filter(|id| *id < 4096);
                        Some(small.ok_or_else(|| self.error_at(span, "a VLAN id is below 4096"))?)
                    }
                    _ => None,
                };
                return one(self, Test::Vlan(id));
            }
            "broadcast" => {
                self.at += 1;
                return one(self, Test::EtherBroadcast);
            }
            "multicast" => {
                self.at += 1;
                return one(self, Test::EtherMulticast);
            }
            word if UNSUPPORTED.contains(&word) => {
                return Err(self.error(format!("\"{word}\" is not supported")));
            }
            _ => {}
        }
        let protocol = Protocol::of(&word);
        self.at += usize::from(protocol.is_some());
        if self.take_word(&["broadcast"]) {
            return match protocol {
                Some(Protocol::Ether) => one(self, Test::EtherBroadcast),
                _ => Err(self
                    .error_at(start, "only \"ether broadcast\" can be told without the netmask")),
            };
        }
        if self.take_word(&["multicast"]) {
            return match protocol {
                Some(Protocol::Ether) => one(self, Test::EtherMulticast),
                Some(Protocol::Network(IPV4)) => one(self, Test::IpMulticast(Family::V4)),
                Some(Protocol::Network(IPV6)) => one(self, Test::IpMulticast(Family::V6)),
                _ => Err(self.error_at(start, "only ether, ip and ip6 have multicast")),
            };
        }
        let side = self.side();
        let kind = self.kind();
        match (protocol, side, kind) {
            (Some(protocol), None, None) => match protocol {
                Protocol::Ether => {
                    Err(self.error("\"ether\" needs host, src, dst, proto, broadcast or multicast"))
                }
                Protocol::Network(ether_type) => one(self, Test::EtherType(ether_type)),
                Protocol::Transport { family, number } => {
                    one(self, Test::Protocol { family, number })
                }
            },
            (None, None, None) => self.bare_value(),
            (protocol, side, kind) => {
                let qualifiers = Qualifiers {
                    protocol,
                    side: side.unwrap_or(Side::Either),
                    kind: kind.unwrap_or(Kind::Host),
                };
                self.check(qualifiers, self.since(start))?;
                self.last = Some(qualifiers);
                self.values(qualifiers, start)
            }
        }
    }

    fn side(&mut self) -> Option<Side> {
        let pair = |parser: &mut Self, other: &str, alone: Side| {
            let before = parser.at;
            let both = parser.take_word(&["and"]) || parser.take_sign(&["&&"]);
            let either = !both && (parser.take_word(&["or"]) || parser.take_sign(&["||"]));
            if (both || either) && parser.take_word(&[other]) {
                return if both { Side::Both } else { Side::Either };
            }
            parser.at = before;
            alone
        };
        if self.take_word(&["src"]) {
            Some(pair(self, "dst", Side::Source))
        } else if self.take_word(&["dst"]) {
            Some(pair(self, "src", Side::Destination))
        } else {
            None
        }
    }

    fn kind(&mut self) -> Option<Kind> {
        let kind = match self.word()? {
            "host" => Kind::Host,
            "net" => Kind::Net,
            "port" => Kind::Port,
            "portrange" => Kind::PortRange,
            "proto" => Kind::Proto,
            _ => return None,
        };
        self.at += 1;
        Some(kind)
    }

    /// Whether the qualifiers make sense together.
    fn check(&self, qualifiers: Qualifiers, span: Span) -> Result<()> {
        let Qualifiers { protocol, side, kind } = qualifiers;
        let reason = match (kind, protocol) {
            (Kind::Port | Kind::PortRange, None) => return Ok(()),
            (
                Kind::Port | Kind::PortRange,
                Some(Protocol::Transport { number: 6 | 17 | 132, .. }),
            ) => {
                return Ok(());
            }
            (Kind::Port | Kind::PortRange, _) => "only tcp, udp and sctp have ports",
            (Kind::Proto, None | Some(Protocol::Ether | Protocol::Network(IPV4 | IPV6))) => {
                if side == Side::Either {
                    return Ok(());
                }
                "a protocol has no source and destination"
            }
            (Kind::Proto, Some(_)) => "only ether, ip and ip6 can stand before \"proto\"",
            (Kind::Host | Kind::Net, Some(Protocol::Transport { .. })) => {
                "a transport protocol has no addresses; join it with \"and\""
            }
            (Kind::Net, Some(Protocol::Ether)) => "hardware addresses have no networks",
            (Kind::Host | Kind::Net, _) => return Ok(()),
        };
        Err(self.error_at(span, reason))
    }

    /// One value, or a list in parentheses: `port (80 or 443)`.
    fn values(&mut self, qualifiers: Qualifiers, start: Span) -> Result<Expr> {
        if self.take_sign(&["("]) {
            return self.group();
        }
        let test = self.value(qualifiers)?;
        Ok(Expr::Test(Spanned { node: test, span: self.since(start) }))
    }

    /// A value without qualifiers: those of the test before, or a host.
    fn bare_value(&mut self) -> Result<Expr> {
        let span = self.span();
        let word = self.word().unwrap_or_default().to_owned();
        let is_keyword = KEYWORDS.contains(&word.as_str());
        if !is_keyword && let Some(last) = self.last {
            return self.values(last, span);
        }
        if !is_keyword && word.parse::<IpAddr>().is_ok() {
            let host = Qualifiers { protocol: None, side: Side::Either, kind: Kind::Host };
            self.last = Some(host);
            return self.values(host, span);
        }
        let error = if is_keyword {
            self.error(format!("\"{word}\" cannot stand here"))
        } else if word.bytes().all(|byte| byte.is_ascii_digit()) {
            self.error("a number needs a word before it")
                .with_help(Some(format!("did you mean \"port {word}\"?")))
        } else if names::service(&word).is_some() {
            self.error("a service needs a word before it")
                .with_help(Some(format!("did you mean \"port {word}\"?")))
        } else {
            let help = self.suggest_keyword();
            self.error(format!("{word:?} is no word of the filter language")).with_help(help)
        };
        Err(error)
    }

    // ------------------------------------------------------------------------------------- values

    fn value(&mut self, qualifiers: Qualifiers) -> Result<Test> {
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

    fn number(&mut self, what: &str) -> Result<u32> {
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

    // -------------------------------------------------------------------------------- comparisons

    /// A comparison of numbers, where one begins here.
    fn comparison(&mut self) -> Result<Option<Expr>> {
        let (begin, start) = (self.at, self.span());
        // An error here may only mean that it is no number; one inside brackets is meant.
        let left = match self.arith(0) {
            Ok(Some(left)) => left,
            Ok(None) => {
                self.at = begin;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let relation = match self.peek() {
            Some(Token::Sign("=" | "==")) => Relation::Equal,
            Some(Token::Sign("!=")) => Relation::NotEqual,
            Some(Token::Sign("<")) => Relation::Less,
            Some(Token::Sign("<=")) => Relation::LessOrEqual,
            Some(Token::Sign(">")) => Relation::Greater,
            Some(Token::Sign(">=")) => Relation::GreaterOrEqual,
            _ => {
                if matches!(left, Arith::Number(_)) {
                    self.at = begin;
                    return Ok(None);
                }
                return Err(self.error("a comparison such as \"= 0\" must follow"));
            }
        };
        self.at += 1;
        let Some(right) = self.arith(0)? else {
            return Err(self.error("a number must follow"));
        };
        let span = self.since(start);
        Ok(Some(Expr::Test(Spanned { node: Test::Compare { left, relation, right }, span })))
    }

    /// Numbers joined by operators that bind at least as tight as `least`; `None` where none begins.
    fn arith(&mut self, least: u8) -> Result<Option<Arith>> {
        let Some(mut left) = self.nested(Self::operand)? else { return Ok(None) };
        loop {
            let Some((operator, strength)) = self.operator() else { return Ok(Some(left)) };
            if strength < least {
                return Ok(Some(left));
            }
            self.at += 1;
            let Some(right) = self.nested(|parser| parser.arith(strength + 1))? else {
                return Err(self.error("a number must follow"));
            };
            left = Arith::Binary(operator, Box::new(left), Box::new(right));
        }
    }

    /// Precedence as libpcap has it: `|` and `&` alike, then shifts, then `+ -`, then `* / % ^`.
    fn operator(&self) -> Option<(Operator, u8)> {
        match self.peek() {
            Some(Token::Sign(sign)) => Some(match *sign {
                "|" => (Operator::Or, 0),
                "&" => (Operator::And, 0),
                "<<" => (Operator::ShiftLeft, 1),
                ">>" => (Operator::ShiftRight, 1),
                "+" => (Operator::Add, 2),
                "-" => (Operator::Subtract, 2),
                "*" => (Operator::Multiply, 3),
                "/" => (Operator::Divide, 3),
                "%" => (Operator::Modulo, 3),
                "^" => (Operator::Xor, 3),
                _ => return None,
            }),
            _ => None,
        }
    }

    fn operand(&mut self) -> Result<Option<Arith>> {
        if self.take_sign(&["("]) {
            return match self.arith(0)? {
                Some(inner) if self.take_sign(&[")"]) => Ok(Some(inner)),
                // A group of tests, then.
                _ => Ok(None),
            };
        }
        let Some(word) = self.word().map(str::to_owned) else { return Ok(None) };
        if let Some(value) = number(&word).or_else(|| names::constant(&word)) {
            self.at += 1;
            return Ok(Some(Arith::Number(value)));
        }
        if matches!(word.as_str(), "len" | "length") {
            self.at += 1;
            return Ok(Some(Arith::Length));
        }
        let bracket = self.tokens.get(self.at + 1).map(|token| &token.node);
        let (Some(protocol), Some(Token::Sign("["))) = (Protocol::of(&word), bracket) else {
            return Ok(None);
        };
        self.at += 2;
        let Some(offset) = self.arith(0)? else {
            return Err(self.error("an offset must stand here"));
        };
        let size = if self.take_sign(&[":"]) {
            let span = self.span();
            let size = self.number("a size")?;
            u8::try_from(size)
                .ok()
                .filter(|size| matches!(size, 1 | 2 | 4))
                .ok_or_else(|| self.error_at(span, "1, 2 or 4 bytes can be read at a time"))?
        } else {
            1
        };
        if !self.take_sign(&["]"]) {
            return Err(self.error("a closing bracket must stand here"));
        }
        Ok(Some(Arith::Load { base: protocol.base(), offset: Box::new(offset), size }))
    }
}

/// Decimal, `0x` hexadecimal, `0` octal.
fn number(word: &str) -> Option<u32> {
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
