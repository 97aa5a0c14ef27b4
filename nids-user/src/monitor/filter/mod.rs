//! The filter language of pcap-filter(7), as tcpdump users write it.
//!
//! [`parse`] makes an [`Expr`]; [`Expr::matches`] decides on a packet; [`Expr::kernel`] gives the
//! filter table that lets the kernel drop most of the others early.
//!
//! What differs from tcpdump, on purpose:
//! - tests look behind VLAN tags by themselves; `vlan` needs not be said first, and `vlan 10` is true
//!   where any of the tags has this id;
//! - IPv6 extension headers are followed to the transport, and `tcp[...]` and `udp[...]` reach into
//!   IPv6 too;
//! - names of hosts are not looked up;
//! - a header that ends too early makes a test false; tcpdump then refuses the packet altogether. Only
//!   bytes that are asked for by place (`tcp[20]`) refuse it here too.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod compare;
mod kernel;
mod lexer;
mod matching;
mod names;
mod parser;
mod value;

use std::fmt;
use std::net::IpAddr;

use crate::rule::ast::{Span, Spanned};

/// A filter. Empty text is [`Expr::Any`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// Every packet.
    Any,
    /// Both.
    And(Box<Expr>, Box<Expr>),
    /// Either.
    Or(Box<Expr>, Box<Expr>),
    /// The opposite.
    Not(Box<Expr>),
    /// One test, with its place in the text.
    Test(Spanned<Test>),
}

/// What can be asked of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// `ip`, `ip6`, `arp`, `rarp`, `ether proto N`: the EtherType behind the VLAN tags.
    EtherType(u16),
    /// `tcp`, `ip proto N`: an IP protocol number, extension headers of IPv6 included.
    Protocol {
        /// IPv4 or IPv6 only.
        family: Option<Family>,
        /// Number.
        number: u8,
    },
    /// `host`, `net`: addresses of IP, and those that ARP and RARP speak of.
    Address {
        /// Where the address stands.
        within: Within,
        /// Source, destination.
        side: Side,
        /// First address.
        first: IpAddr,
        /// Last address, of the same family.
        last: IpAddr,
    },
    /// `ether host`: a hardware address.
    Hardware {
        /// Source, destination.
        side: Side,
        /// Address.
        address: [u8; 6],
    },
    /// `port`, `portrange`: TCP, UDP and SCTP; of a fragmented datagram only its first part.
    Port {
        /// 6, 17 or 132 only.
        transport: Option<u8>,
        /// Source, destination.
        side: Side,
        /// First port.
        first: u16,
        /// Last port.
        last: u16,
    },
    /// `vlan`: a tag, and perhaps its id.
    Vlan(Option<u16>),
    /// `broadcast`, `ether broadcast`.
    EtherBroadcast,
    /// `multicast`, `ether multicast`: broadcast included.
    EtherMulticast,
    /// `ip multicast`, `ip6 multicast`.
    IpMulticast(Family),
    /// `less`, `greater`, `len`, `tcp[13] & 2 != 0`.
    Compare {
        /// Left.
        left: Arith,
        /// How.
        relation: Relation,
        /// Right.
        right: Arith,
    },
}

/// IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Which protocol's addresses `host` and `net` look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// IP, ARP and RARP.
    Any,
    /// IP only (`ip host`, `ip6 host`).
    Ip,
    /// ARP only.
    Arp,
    /// RARP only.
    Rarp,
}

/// Which end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `src`.
    Source,
    /// `dst`.
    Destination,
    /// `src or dst`, and where nothing is said.
    Either,
    /// `src and dst`.
    Both,
}

impl Side {
    fn test(self, source: bool, destination: bool) -> bool {
        match self {
            Self::Source => source,
            Self::Destination => destination,
            Self::Either => source || destination,
            Self::Both => source && destination,
        }
    }
}

/// A number made from a packet: 32 bits, without sign, wrapping around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arith {
    /// Written down.
    Number(u32),
    /// `len`: bytes on the wire.
    Length,
    /// `base[offset:size]`.
    Load {
        /// Header the offset counts from.
        base: Base,
        /// Offset in bytes.
        offset: Box<Arith>,
        /// 1, 2 or 4 bytes, highest first.
        size: u8,
    },
    /// `a + b`.
    Binary(Operator, Box<Arith>, Box<Arith>),
}

/// Header that bytes are asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The frame.
    Ether,
    /// What follows this EtherType: IPv4, IPv6, ARP, RARP.
    Network(u16),
    /// The header of this IP protocol; `family` where only one IP version has it.
    Transport {
        /// IP version.
        family: Option<Family>,
        /// Number.
        number: u8,
    },
}

/// Operators of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`; by 0 it refuses the packet.
    Divide,
    /// `%`; by 0 it refuses the packet.
    Modulo,
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
    /// `<<`; by 32 and more it is 0.
    ShiftLeft,
    /// `>>`; by 32 and more it is 0.
    ShiftRight,
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `=`, `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// The whole text.
    pub text: String,
    /// Place.
    pub span: Span,
    /// In words: lower case, no full stop.
    pub reason: String,
    /// A way out.
    pub help: Option<String>,
}

/// Reads a filter.
///
/// # Errors
/// The place and reason at which it stops being one.
pub fn parse(text: &str) -> Result<Expr, FilterError> {
    parser::parse(text)
}

impl fmt::Display for FilterError {
    /// The text, a caret under the place, the reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.text.get(..self.span.start).unwrap_or_default().chars().count();
        let marked = self.text.get(self.span.start..self.span.end).unwrap_or_default();
        let carets = "^".repeat(marked.chars().count().max(1));
        let text = self.text.replace(char::is_control, " ");
        write!(f, "this is no filter: {}\n  {text}\n  {:before$}{carets}", self.reason, "")?;
        match &self.help {
            Some(help) => write!(f, " {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for FilterError {}
