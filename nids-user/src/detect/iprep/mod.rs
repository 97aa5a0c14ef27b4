//! IP reputation: `iprep` compares what reputation files say of a packet's addresses (Suricata user guide,
//! "IP Reputation").
//!
//! [`Reputations`] is what the files say, [`IprepUse`] is what a rule asks. Among networks that hold an
//! address, the longest counts; an address of its own is the longest. A later line replaces an earlier
//! one of the same network and category.
//!
//! Where Suricata differs: a single address that is listed in one category has there a reputation of 0 in
//! all others, which hides the networks around it, and fulfils both `isset` and `isnotset`. Here each
//! category stands alone.

mod files;
mod table;

use std::net::IpAddr;
use std::sync::Arc;

pub use files::{BadReputation, ReputationError, ReputationSettings, Reputations};
pub use table::Table;

use super::keyword::value::{Fault, Word};
use crate::rule::diagnostic::ReasonKind;
use crate::suggest;

/// Whose address is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Source,
    Destination,
    Any,
    Both,
}

/// What is asked of a reputation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Less(u8),
    AtMost(u8),
    Equal(u8),
    NotEqual(u8),
    AtLeast(u8),
    More(u8),
    IsSet,
    IsNotSet,
}

/// One use of `iprep` in a rule.
#[derive(Clone, Debug)]
pub struct IprepUse {
    side: Side,
    table: Arc<Table>,
    test: Test,
}

impl IprepUse {
    /// Reads `SIDE,CATEGORY,OPERATOR,VALUE` or `SIDE,CATEGORY,isset`.
    ///
    /// # Errors
    /// The value is none, there are no reputations, or they have no such category.
    pub fn read(word: Word<'_>, reputations: Option<&Reputations>) -> Result<Self, Fault> {
        let parts: Vec<_> = word.split(',').collect();
        let (side, category, test, value) = match parts.as_slice() {
            [side, category, test] => (side, category, test, None),
            [side, category, test, value] => (side, category, test, Some(value)),
            _ => return Err(word.bad("`iprep` takes a side, a category, an operator and a value")),
        };
        let side = match side.text {
            "src" => Side::Source,
            "dst" => Side::Destination,
            "any" => Side::Any,
            "both" => Side::Both,
            _ => return Err(side.bad("the side is any, src, dst or both")),
        };
        let test = match (test.text, value) {
            ("isset", None) => Test::IsSet,
            ("isnotset", None) => Test::IsNotSet,
            (name @ ("isset" | "isnotset"), Some(value)) => {
                return Err(value.bad(format!("`{name}` takes no value")));
            }
            (_, None) => return Err(test.bad("this needs a value")),
            (operator, Some(value)) => {
                let number = value.number(0, u8::MAX)?;
                match operator {
                    "<" => Test::Less(number),
                    "<=" => Test::AtMost(number),
                    "=" | "==" => Test::Equal(number),
                    "!=" => Test::NotEqual(number),
                    ">=" => Test::AtLeast(number),
                    ">" => Test::More(number),
                    _ => return Err(test.bad("the operator is <, <=, =, !=, >=, > or isset")),
                }
            }
        };
        let Some(reputations) = reputations else {
            let reason = "there are no reputations: `reputation-categories-file` is not set";
            return Err(category.bad(reason));
        };
        let table = reputations.category(category.text).ok_or_else(|| {
            let reason = format!("no category of reputations is called `{}`", category.text);
            let fault = category.fault(ReasonKind::BadValue, reason);
            match suggest::nearest(category.text, reputations.names()) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault,
            }
        })?;
        Ok(Self { side, table: table.clone(), test })
    }

    /// Whether a packet between these addresses matches.
    #[inline]
    pub fn matches(&self, source: IpAddr, destination: IpAddr) -> bool {
        let holds = |address| self.test.holds(self.table.find(address));
        match self.side {
            Side::Source => holds(source),
            Side::Destination => holds(destination),
            Side::Any => holds(source) || holds(destination),
            Side::Both => holds(source) && holds(destination),
        }
    }
}

impl Test {
    #[inline]
    fn holds(self, reputation: Option<u8>) -> bool {
        let Some(value) = reputation else { return self == Self::IsNotSet };
        match self {
            Self::Less(bound) => value < bound,
            Self::AtMost(bound) => value <= bound,
            Self::Equal(bound) => value == bound,
            Self::NotEqual(bound) => value != bound,
            Self::AtLeast(bound) => value >= bound,
            Self::More(bound) => value > bound,
            Self::IsSet => true,
            Self::IsNotSet => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reputations() -> Reputations {
        let mut reputations = Reputations::default();
        let bad = reputations.read(
            b"# id,short name,description\n1,BadHosts,Known bad hosts\n2,GoodHosts,Known good\n",
            &[b"ip,category,score\n10.0.0.0/8,1,20\n10.1.0.0/16,1,0\n10.1.2.3,1,127\n1.1.1.1,2,5\n2001:db8::/32,1,30\n"],
        );
        assert_eq!(bad, []);
        reputations
    }

    fn read(text: &str) -> Result<IprepUse, Fault> {
        IprepUse::read(Word { text, start: 0 }, Some(&reputations()))
    }

    #[test]
    fn sides_and_tests() {
        let [ten, zero, host, none, six]: [IpAddr; 5] =
            ["10.9.9.9", "10.1.9.9", "10.1.2.3", "1.1.1.1", "2001:db8::1"]
                .map(|text| text.parse().unwrap());
        for (text, source, destination, matches) in [
            ("src,BadHosts,>,19", ten, none, true),
            ("src,BadHosts,>,20", ten, none, false),
            ("src , BadHosts , >= , 20", ten, none, true),
            ("dst,BadHosts,=,20", none, ten, true),
            ("dst,BadHosts,==,127", none, host, true),
            ("dst,BadHosts,<,1", none, zero, true),
            ("dst,BadHosts,<=,30", none, six, true),
            ("dst,BadHosts,!=,30", none, six, false),
            ("src,BadHosts,<,1", none, zero, false),
            ("any,BadHosts,>,0", none, ten, true),
            ("any,BadHosts,>,0", none, none, false),
            ("both,BadHosts,>,0", ten, host, true),
            ("both,BadHosts,>,0", ten, zero, false),
            ("both,BadHosts,>,0", ten, none, false),
            ("src,BadHosts,isset", zero, none, true),
            ("src,BadHosts,isnotset", zero, none, false),
            ("dst,BadHosts,isnotset", zero, none, true),
            ("any,BadHosts,isnotset", zero, none, true),
            ("any,BadHosts,isnotset", zero, ten, false),
            ("both,BadHosts,isnotset", zero, none, false),
            ("both,GoodHosts,isnotset", ten, zero, true),
            ("any,GoodHosts,=,5", ten, none, true),
        ] {
            assert_eq!(read(text).unwrap().matches(source, destination), matches, "{text}");
        }
    }

    #[test]
    fn refused_with_the_place() {
        for (text, place, reason) in [
            ("", "", "takes a side"),
            ("src,BadHosts", "src,BadHosts", "takes a side"),
            ("source,BadHosts,>,1", "source", "the side is"),
            ("src,BadHosts,>", ">", "needs a value"),
            ("src,BadHosts,isset,1", "1", "takes no value"),
            ("src,BadHosts,~,1", "~", "the operator is"),
            ("src,BadHosts,>,256", "256", "between 0 and 255"),
            ("src,badhosts,>,1", "badhosts", "no category"),
            ("src,,>,1", "", "no category"),
        ] {
            let fault = read(text).expect_err(text);
            assert!(fault.reason.contains(reason), "{text}: {}", fault.reason);
            assert_eq!(text.get(fault.span.start..fault.span.end), Some(place), "{text}");
        }
        let help = read("src,BadHost,>,1").unwrap_err().help;
        assert_eq!(help.as_deref(), Some("did you mean `BadHosts`?"));
        let none = IprepUse::read(Word { text: "src,BadHosts,>,1", start: 0 }, None);
        assert!(none.unwrap_err().reason.contains("`reputation-categories-file`"));
    }
}
