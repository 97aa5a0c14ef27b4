//! The keywords: one file a family, each with the reader of its value, its check, and its tests.
//!
//! A keyword that is not in the table refuses its rule. To add a family, write its file and name its
//! `KEYWORDS` in [`FAMILIES`].

pub mod app;
pub mod asn1;
pub mod base64;
pub mod buffer;
pub mod byte;
pub mod content;
pub mod dns;
pub mod dsize;
pub mod entropy;
pub mod event;
pub mod flags;
pub mod flow;
pub mod flow_count;
pub mod fragment;
pub mod header;
pub mod http;
pub mod icmp;
pub mod ip_proto;
pub mod ipv4;
pub mod isdataat;
pub mod lookup;
pub mod memory;
pub mod meta;
pub mod number;
pub mod pcre;
pub mod sameip;
pub mod size;
pub mod stream_size;
pub mod tcp;
pub mod tls;
pub mod transform;
pub mod ttl;
pub mod value;
pub mod variable;
pub mod vlan;

use std::sync::Arc;

use crate::app::AppProtocols;
use crate::rule::ast::{Rule, RuleOption, Span};
use crate::rule::keywords;

use super::asn1::Asn1;
use super::buffer::Buffer;
use super::chain::Absence;
use super::chain::number::{ByteExtract, ByteJump, ByteMath, ByteTest, IsDataAt};
use super::check::Check;
use super::lookup::{Lookup, SetTest, Stores};
use super::memory::{Change, Test};
use super::protocol::Protocol;
use super::signature::Payload;
use super::tag::Tag;
use super::threshold::Limit;
use super::transaction::Question;
use super::transform::Transform;
use base64::Base64Draft;
use content::ContentDraft;
use entropy::Entropy;
use flow::FlowTest;
use meta::Meta;
use number::Comparison;
use value::{Fault, Use, Word};
use variable::VariableDraft;

/// One keyword.
#[derive(Debug)]
pub struct Keyword {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Reads its value into the draft.
    pub apply: fn(&mut Draft<'_>, &Use<'_>) -> Result<(), Fault>,
}

/// Steps that one rule may have: contents are inspected recursively.
const MAX_STEPS: usize = 256;

const FAMILIES: [&[Keyword]; 32] = [
    content::KEYWORDS,
    isdataat::KEYWORDS,
    byte::KEYWORDS,
    pcre::KEYWORDS,
    base64::KEYWORDS,
    asn1::KEYWORDS,
    entropy::KEYWORDS,
    transform::KEYWORDS,
    size::KEYWORDS,
    buffer::KEYWORDS,
    app::KEYWORDS,
    http::KEYWORDS,
    dns::KEYWORDS,
    tls::KEYWORDS,
    meta::KEYWORDS,
    memory::KEYWORDS,
    lookup::KEYWORDS,
    flow::KEYWORDS,
    dsize::KEYWORDS,
    flags::KEYWORDS,
    icmp::KEYWORDS,
    ip_proto::KEYWORDS,
    sameip::KEYWORDS,
    ttl::KEYWORDS,
    fragment::KEYWORDS,
    ipv4::KEYWORDS,
    tcp::KEYWORDS,
    vlan::KEYWORDS,
    header::KEYWORDS,
    event::KEYWORDS,
    stream_size::KEYWORDS,
    flow_count::KEYWORDS,
];

/// A signature while its rule is read.
#[derive(Debug)]
pub struct Draft<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Protocol of the header, narrowed by `ip_proto`.
    pub protocol: Protocol,
    /// Application protocols that the header names, or the buffers leave over; `None`: any, or none.
    pub app: Option<AppProtocols>,
    /// Questions about transactions.
    pub questions: Vec<Question>,
    /// The header says `ip`.
    pub header_is_ip: bool,
    /// Identity and carried values.
    pub meta: Meta,
    /// `flow`.
    pub flow: Option<FlowTest>,
    /// Header checks, in the order written.
    pub checks: Vec<Check>,
    /// What is inspected, in the order named; the payload first, with no step where the rule has none.
    pub buffers: Vec<BufferDraft>,
    /// The one that contents go to: an index into `buffers`.
    current: usize,
    /// The last content was moved to the buffer of this index by a modifier: what belongs to it goes there.
    moved: Option<usize>,
    /// They go to what its last `base64_decode` decodes.
    decoded: bool,
    /// Variables that are set so far.
    variables: Vec<VariableDraft>,
    /// The header is `tcp-pkt` or `tcp-stream`.
    pub payload_only: Option<Payload>,
    /// The lists it may name.
    pub stores: &'a Stores,
    /// Questions about its addresses to these.
    pub lookups: Vec<Lookup>,
    /// What earlier matches must have left.
    pub tests: Vec<Test>,
    /// What a match leaves.
    pub changes: Vec<Change>,
    /// `threshold` or `detection_filter`.
    pub limit: Option<Limit>,
    /// `tag`.
    pub tag: Option<Tag>,
}

/// One buffer and what is looked for in it.
#[derive(Clone, Debug)]
pub struct BufferDraft {
    /// Which.
    pub buffer: Buffer,
    /// Where the rule names it.
    pub span: Span,
    /// What its bytes go through first, in the order written.
    pub transforms: Vec<Transform>,
    /// What must hold, in the order written.
    pub steps: Vec<StepDraft>,
    /// Sets that the whole buffer is looked up in.
    pub sets: Vec<SetTest>,
}

/// One step of the inspection of a buffer.
#[derive(Clone, Debug)]
pub enum StepDraft {
    /// `content` with its modifiers.
    Content(ContentDraft),
    /// `isdataat`.
    IsDataAt(IsDataAt),
    /// `byte_test`.
    ByteTest(ByteTest),
    /// `byte_jump`.
    ByteJump(ByteJump),
    /// `byte_extract`.
    ByteExtract(ByteExtract),
    /// `byte_math`.
    ByteMath(ByteMath),
    /// `pcre`.
    Pcre(Arc<super::pcre::Value>),
    /// `base64_decode`, and the steps behind `base64_data`.
    Base64(Base64Draft),
    /// `asn1`.
    Asn1(Asn1),
    /// `entropy`.
    Entropy(Entropy),
    /// `bsize`: of the buffer as a whole.
    Size(Comparison<u32>),
    /// `absent`: of the buffer as a whole.
    Absent(Absence),
}

impl StepDraft {
    /// The content, where it is one.
    pub fn content(&self) -> Option<&ContentDraft> {
        match self {
            Self::Content(content) => Some(content),
            _ => None,
        }
    }
    fn content_mut(&mut self) -> Option<&mut ContentDraft> {
        match self {
            Self::Content(content) => Some(content),
            _ => None,
        }
    }
    /// Whether it counts from the end of the one before.
    pub fn is_relative(&self) -> bool {
        match self {
            Self::Content(content) => content.is_relative(),
            Self::IsDataAt(step) => step.relative,
            Self::ByteTest(step) => step.field.relative,
            Self::ByteJump(step) => step.field.relative,
            Self::ByteExtract(step) => step.field.relative,
            Self::ByteMath(step) => step.field.relative,
            Self::Pcre(value) => value.relative,
            Self::Base64(draft) => draft.decode.relative,
            Self::Asn1(step) => step.is_relative(),
            Self::Entropy(_) | Self::Size(_) | Self::Absent(_) => false,
        }
    }
    /// How many steps it is, with those inside.
    fn count(&self) -> usize {
        match self {
            Self::Base64(draft) => 1 + draft.steps.len(),
            _ => 1,
        }
    }
}

impl<'a> Draft<'a> {
    /// Of a rule of which nothing but the header is read.
    pub fn new(rule: &'a Rule, protocol: Protocol, stores: &'a Stores) -> Self {
        Self {
            rule,
            protocol,
            app: None,
            questions: Vec::new(),
            header_is_ip: protocol.is_any(),
            meta: Meta::default(),
            flow: None,
            checks: Vec::new(),
            buffers: vec![BufferDraft {
                buffer: Buffer::Payload,
                span: Span::default(),
                transforms: Vec::new(),
                steps: Vec::new(),
                sets: Vec::new(),
            }],
            current: 0,
            moved: None,
            decoded: false,
            variables: Vec::new(),
            payload_only: None,
            stores,
            lookups: Vec::new(),
            tests: Vec::new(),
            changes: Vec::new(),
            limit: None,
            tag: None,
        }
    }

    /// Reads all options of the rule.
    ///
    /// # Errors
    /// The rule cannot be honoured.
    pub fn read(&mut self) -> Result<(), Fault> {
        let rule = self.rule;
        for option in &rule.options {
            self.apply(option)?;
        }
        meta::verify(self)?;
        header::verify(self)?;
        dsize::verify(self)?;
        size::verify(self)?;
        transform::verify(self)?;
        base64::verify(self)?;
        app::verify(self)
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

    /// From here on contents are those of `buffer`, named at `span`. A packet has one of each, so that
    /// naming it again goes on where it was left.
    pub fn select(&mut self, buffer: Buffer, span: Span) {
        self.decoded = false;
        self.moved = None;
        // One that went through transforms is another one.
        let same = |known: &BufferDraft| known.buffer == buffer && known.transforms.is_empty();
        let known = self.buffers.iter().position(same).filter(|_| !buffer.is_several());
        self.current = known.unwrap_or_else(|| self.add(buffer, span));
    }

    fn add(&mut self, buffer: Buffer, span: Span) -> usize {
        let (transforms, steps, sets) = (Vec::new(), Vec::new(), Vec::new());
        self.buffers.push(BufferDraft { buffer, span, transforms, steps, sets });
        self.buffers.len() - 1
    }

    /// The index of `buffer` for contents that a modifier at `span` moves there.
    fn place(&mut self, buffer: Buffer, span: Span) -> usize {
        let same = |known: &BufferDraft| known.buffer == buffer && known.transforms.is_empty();
        let known = self.buffers.iter().position(same);
        known.unwrap_or_else(|| self.add(buffer, span))
    }

    /// The buffer at hand.
    pub fn buffer_at_hand(&mut self) -> Option<&mut BufferDraft> {
        self.buffers.get_mut(self.current)
    }

    /// The buffer at hand.
    pub fn buffer(&self) -> Buffer {
        self.buffers.get(self.current).map_or(Buffer::Payload, |buffer| buffer.buffer)
    }

    /// The steps of the buffer at hand.
    pub fn steps(&self) -> &[StepDraft] {
        let at = self.moved.unwrap_or(self.current);
        let steps = self.buffers.get(at).map_or(&[][..], |buffer| &buffer.steps);
        match steps.iter().rev().find_map(Base64Draft::of) {
            Some(draft) if self.decoded && self.moved.is_none() => &draft.steps,
            _ => steps,
        }
    }

    fn steps_mut(&mut self) -> Option<&mut Vec<StepDraft>> {
        let steps = &mut self.buffers.get_mut(self.moved.unwrap_or(self.current))?.steps;
        match self.decoded && self.moved.is_none() {
            true => {
                steps.iter_mut().rev().find_map(Base64Draft::of_mut).map(|draft| &mut draft.steps)
            }
            false => Some(steps),
        }
    }

    /// Adds a step, which `keyword` asks for, to the buffer at hand.
    ///
    /// # Errors
    /// The rule has too many.
    pub fn push(&mut self, keyword: &Use<'_>, step: StepDraft) -> Result<(), Fault> {
        // What is relative belongs to the content before it, wherever a modifier has put that.
        self.moved = self.moved.filter(|_| step.content().is_none() && step.is_relative());
        self.push_here(keyword, step)
    }

    /// Adds a step where the last modifier or flag has put what it belongs to.
    ///
    /// # Errors
    /// The rule has too many.
    fn push_here(&mut self, keyword: &Use<'_>, step: StepDraft) -> Result<(), Fault> {
        let steps = self.buffers.iter().flat_map(|buffer| &buffer.steps);
        if steps.map(StepDraft::count).sum::<usize>() == MAX_STEPS {
            return Err(keyword
                .conflict(format!("more than {MAX_STEPS} contents and the like in one rule")));
        }
        if let Some(steps) = self.steps_mut() {
            steps.push(step);
        }
        Ok(())
    }

    /// Contents of all buffers, in the order of the buffers.
    pub fn contents(&self) -> impl Iterator<Item = &ContentDraft> {
        self.buffers.iter().flat_map(|buffer| &buffer.steps).filter_map(StepDraft::content)
    }

    /// Contents of the payload.
    pub fn payload_contents(&self) -> impl Iterator<Item = &ContentDraft> {
        self.buffers.iter().take(1).flat_map(|buffer| &buffer.steps).filter_map(StepDraft::content)
    }

    /// The last content of the buffer at hand.
    fn last_content(&mut self) -> Option<&mut ContentDraft> {
        self.steps_mut()?.iter_mut().rev().find_map(StepDraft::content_mut)
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
    let mut known = FAMILIES.iter().flat_map(|family| family.iter());
    known.find(|keyword| keyword.name == name).or_else(|| app::of_buffer(name))
}

/// The sid, where it can be read though the rule is refused.
pub fn sid(rule: &Rule) -> Option<u32> {
    let option = rule.options.iter().find(|option| option.name.node == "sid")?;
    option.value.as_ref()?.node.0.trim().parse().ok()
}
