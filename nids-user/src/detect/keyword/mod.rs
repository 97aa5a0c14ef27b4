//! The keywords: one file a family, each with the reader of its value, its check, and its tests.
//!
//! A keyword that is not in the table refuses its rule. To add a family, write its file and name its
//! `KEYWORDS` in [`FAMILIES`].

pub mod content;
pub mod dsize;
pub mod flags;
pub mod flow;
pub mod icmp;
pub mod ip_proto;
pub mod meta;
pub mod number;
pub mod sameip;
pub mod ttl;
pub mod value;

use crate::rule::ast::{Rule, RuleOption, Span};
use crate::rule::keywords;

use super::check::Check;
use super::protocol::Protocol;
use content::ContentDraft;
use flow::FlowTest;
use meta::Meta;
use value::{Fault, Use, Word};

/// One keyword.
#[derive(Debug)]
pub struct Keyword {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Reads its value into the draft.
    pub apply: fn(&mut Draft<'_>, &Use<'_>) -> Result<(), Fault>,
}

const FAMILIES: [&[Keyword]; 9] = [
    content::KEYWORDS,
    meta::KEYWORDS,
    flow::KEYWORDS,
    dsize::KEYWORDS,
    flags::KEYWORDS,
    icmp::KEYWORDS,
    ip_proto::KEYWORDS,
    sameip::KEYWORDS,
    ttl::KEYWORDS,
];

/// A signature while its rule is read.
#[derive(Debug)]
pub struct Draft<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Protocol of the header, narrowed by `ip_proto`.
    pub protocol: Protocol,
    /// The header says `ip`.
    pub header_is_ip: bool,
    /// Identity and carried values.
    pub meta: Meta,
    /// `flow`.
    pub flow: Option<FlowTest>,
    /// Header checks, in the order written.
    pub checks: Vec<Check>,
    /// Contents, in the order written.
    pub contents: Vec<ContentDraft>,
}

impl<'a> Draft<'a> {
    /// Reads all options of `rule`.
    pub fn read(rule: &'a Rule, protocol: Protocol) -> Result<Self, Fault> {
        let mut draft = Self {
            rule,
            protocol,
            header_is_ip: protocol.is_any(),
            meta: Meta::default(),
            flow: None,
            checks: Vec::new(),
            contents: Vec::new(),
        };
        for option in &rule.options {
            draft.apply(option)?;
        }
        meta::verify(&draft)?;
        dsize::verify(&draft)?;
        Ok(draft)
    }

    fn apply(&mut self, option: &RuleOption) -> Result<(), Fault> {
        let name = Word { text: &option.name.node, start: option.name.span.start };
        let Some(keyword) = find(name.text) else {
            return Err(keywords::refuse(self.rule, option).into());
        };
        let value = option
            .value
            .as_ref()
            .map(|value| Word { text: &value.node.0, start: value.span.start });
        (keyword.apply)(self, &Use { name, value })
    }

    /// Whether there is such a check already.
    pub fn check(&self, which: impl Fn(&Check) -> bool) -> bool {
        self.checks.iter().any(which)
    }

    /// The whole rule, for faults that have no better place.
    pub fn whole(&self) -> Span {
        let header = &self.rule.header;
        Span { start: header.action.span.start, end: header.protocol.span.end }
    }
}

/// The keyword with this name, in lower case.
pub fn find(name: &str) -> Option<&'static Keyword> {
    FAMILIES.iter().flat_map(|family| family.iter()).find(|keyword| keyword.name == name)
}

/// The sid, where it can be read though the rule is refused.
pub fn sid(rule: &Rule) -> Option<u32> {
    let option = rule.options.iter().find(|option| option.name.node == "sid")?;
    option.value.as_ref()?.node.0.trim().parse().ok()
}
