//! The grammar of pcap-filter(7), by recursive descent: expressions and tests. Values are read by
//! `value`, comparisons by `compare`.
//!
//! `and` and `or` have the same precedence and associate to the left, as there; `not` binds tighter.
//! A bare value takes the qualifiers of the test before it: `port 80 or 443`.

use std::net::IpAddr;

use super::lexer::{Token, tokens};
use super::{Arith, Base, Expr, Family, FilterError, Relation, Side, Test, names};
use crate::rule::ast::{Span, Spanned};

/// Parentheses and negations inside each other.
const MAX_DEPTH: usize = 100;

/// Words that are no values.
pub(super) const KEYWORDS: [&str; 43] = [
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
pub(super) struct Qualifiers {
    pub(super) protocol: Option<Protocol>,
    pub(super) side: Side,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Host,
    Net,
    Port,
    PortRange,
    Proto,
}

/// A protocol word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Ether,
    Network(u16),
    Transport { family: Option<Family>, number: u8 },
}

pub(super) const IPV4: u16 = 0x0800;
pub(super) const IPV6: u16 = 0x86dd;
pub(super) const ARP: u16 = 0x0806;
pub(super) const RARP: u16 = 0x8035;

impl Protocol {
    pub(super) fn of(word: &str) -> Option<Self> {
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

    pub(super) fn base(self) -> Base {
        match self {
            Self::Ether => Base::Ether,
            Self::Network(ether_type) => Base::Network(ether_type),
            Self::Transport { family, number } => Base::Transport { family, number },
        }
    }
}

pub(super) struct Parser<'t> {
    text: &'t str,
    pub(super) tokens: Vec<Spanned<Token>>,
    pub(super) at: usize,
    depth: usize,
    last: Option<Qualifiers>,
}

pub(super) type Result<T, E = FilterError> = std::result::Result<T, E>;

impl FilterError {
    pub(super) fn with_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

impl Parser<'_> {
    // ------------------------------------------------------------------------------------ tokens

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|token| &token.node)
    }

    pub(super) fn word(&self) -> Option<&str> {
        match self.peek() {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// The place of the next token, or the end.
    pub(super) fn span(&self) -> Span {
        let end = self.text.len();
        self.tokens.get(self.at).map_or(Span { start: end, end }, |token| token.span)
    }

    /// From `start` to the end of the last token taken.
    pub(super) fn since(&self, start: Span) -> Span {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        Span { start: start.start, end: last.map_or(start.end, |t| t.span.end).max(start.start) }
    }

    pub(super) fn take_word(&mut self, words: &[&str]) -> bool {
        let found = self.word().is_some_and(|word| words.contains(&word));
        self.at += usize::from(found);
        found
    }

    pub(super) fn take_sign(&mut self, signs: &[&str]) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(sign)) if signs.contains(sign));
        self.at += usize::from(found);
        found
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> FilterError {
        self.error_at(self.span(), reason)
    }

    pub(super) fn error_at(&self, span: Span, reason: impl Into<String>) -> FilterError {
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

    pub(super) fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
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
}
