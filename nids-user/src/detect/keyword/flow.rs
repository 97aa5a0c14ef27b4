//! `flow`: direction and state of the packet's flow (Suricata user guide, "Flow Keywords").

use super::value::{Fault, Use};
use super::{Draft, Keyword};
use crate::decode::Origin;
use crate::detect::subject::Subject;
use crate::flow::FlowDirection;
use crate::rule::diagnostic::ReasonKind;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "flow", apply }];

/// `flow`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowTest {
    /// The way the packet must go.
    pub direction: Option<FlowDirection>,
    /// Whether the flow must be, or must not be, established.
    pub established: Option<bool>,
    /// Packets without flow do not match. They do, as if they went to the server, where the rule names
    /// no more than a direction: so Suricata has it.
    pub needs_flow: bool,
    /// `only_frag`, `no_frag`: whether the packet must be, or must not be, put together from fragments.
    pub reassembled: Option<bool>,
    /// `only_stream`, `no_stream`: whether the payload is inspected in the stream or in packets.
    pub stream: Option<bool>,
}

impl FlowTest {
    /// Whether the flow is as asked for.
    #[inline]
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        if self
            .reassembled
            .is_some_and(|wanted| wanted != (subject.packet.origin == Origin::Defrag))
        {
            return false;
        }
        match subject.flow {
            Some(flow) => {
                self.direction.is_none_or(|direction| direction == flow.direction)
                    && self.established.is_none_or(|established| established == flow.established)
            }
            None => !self.needs_flow && self.direction != Some(FlowDirection::ToClient),
        }
    }
    /// Whether it can hold for packets that go this way; those without flow count as to the server.
    pub fn allows(&self, direction: FlowDirection) -> bool {
        self.direction.is_none_or(|wanted| wanted == direction)
    }
}

fn apply(draft: &mut Draft<'_>, keyword: &Use<'_>) -> Result<(), Fault> {
    if draft.flow.is_some() {
        return Err(keyword.twice());
    }
    let value = keyword.value()?;
    let mut test = FlowTest::default();
    let mut stateless = false;
    for word in value.split(',') {
        let conflict = |reason: &str| Err(word.fault(ReasonKind::Conflict, reason));
        let name = word.text.to_ascii_lowercase();
        match name.as_str() {
            "to_server" | "from_client" | "to_client" | "from_server" => {
                if test.direction.is_some() {
                    return conflict("a direction was named already");
                }
                let to_server = matches!(name.as_str(), "to_server" | "from_client");
                test.direction = Some(match to_server {
                    true => FlowDirection::ToServer,
                    false => FlowDirection::ToClient,
                });
            }
            "established" | "not_established" | "stateless" => {
                if test.established.is_some() || stateless {
                    return conflict("a state of the flow was named already");
                }
                match name.as_str() {
                    "stateless" => stateless = true,
                    other => test.established = Some(other == "established"),
                }
            }
            "no_stream" | "only_stream" if test.stream.is_some() => {
                return conflict("streams were named already");
            }
            "no_frag" | "only_frag" if test.reassembled.is_some() => {
                return conflict("fragments were named already");
            }
            "no_stream" | "only_stream" => test.stream = Some(name == "only_stream"),
            "no_frag" | "only_frag" => test.reassembled = Some(name == "only_frag"),
            _ => return Err(word.bad(format!("`{}` is not a property of a flow", word.text))),
        }
    }
    test.needs_flow = test.established.is_some()
        || stateless
        || (test.reassembled.is_some() && test.stream.is_none())
        || (test.stream.is_some() && test.direction.is_some());
    draft.flow = Some(test);
    Ok(())
}
