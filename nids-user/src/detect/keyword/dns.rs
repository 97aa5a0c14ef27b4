//! `dns.opcode`, `dns.rcode` and `dns.rrtype` (Suricata user guide, "DNS Keywords"). The names in messages are
//! buffers.

use super::number::{Comparison, comparison, comparison_up_to};
use super::value::{Fault, Use};
use super::{Draft, Keyword};
use crate::app::dns::Transaction;
use crate::app::{AppProtocol, AppProtocols};
use crate::detect::transaction::Question;
use crate::flow::FlowDirection;

/// Keywords of this family.
pub const KEYWORDS: &[Keyword] = &[
    Keyword {
        name: "dns.opcode",
        apply: |draft, word| {
            ask(draft, word, DnsTest::Opcode(comparison_up_to(word.value()?, 15)?))
        },
    },
    Keyword {
        name: "dns.rcode",
        apply: |draft, word| {
            ask(draft, word, DnsTest::ResponseCode(comparison_up_to(word.value()?, 15)?))
        },
    },
    Keyword {
        name: "dns.rrtype",
        apply: |draft, word| ask(draft, word, DnsTest::Kind(comparison(word.value()?)?)),
    },
];

/// A question about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsTest {
    /// What is asked for.
    Opcode(Comparison<u8>),
    /// How it went.
    ResponseCode(Comparison<u8>),
    /// The type of one of its questions; of a response, of one of its answers.
    Kind(Comparison<u16>),
}

impl DnsTest {
    /// Whether it is so for this message.
    pub fn holds(&self, transaction: &Transaction) -> bool {
        let message = &transaction.message;
        match self {
            Self::Opcode(code) => code.holds(message.header.opcode()),
            Self::ResponseCode(code) => code.holds(message.header.rcode()),
            Self::Kind(kind) => match transaction.direction {
                FlowDirection::ToServer => {
                    message.questions.iter().any(|question| kind.holds(question.kind))
                }
                FlowDirection::ToClient => {
                    message.answers.iter().any(|answer| kind.holds(answer.kind))
                }
            },
        }
    }
}

fn ask(draft: &mut Draft<'_>, keyword: &Use<'_>, test: DnsTest) -> Result<(), Fault> {
    draft.limit_to(AppProtocols::of(&[AppProtocol::Dns]), keyword)?;
    draft.questions.push(Question::Dns(test));
    Ok(())
}
