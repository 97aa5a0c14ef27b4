//! How people name a rule: `SID` or `GID:SID`.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A rule by its ids. Without a generator it is 1, as in rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct RuleId {
    /// `gid`.
    pub gid: u32,
    /// `sid`.
    pub sid: u32,
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.gid, self.sid)
    }
}

impl FromStr for RuleId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| part.trim().parse().ok();
        let id = match text.split_once(':') {
            Some((gid, sid)) => number(gid).zip(number(sid)),
            None => Some(1).zip(number(text)),
        };
        let (gid, sid) = id.ok_or("it takes SID or GID:SID, for example 2019401 or 1:2019401")?;
        Ok(Self { gid, sid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_generator() {
        let id = |text: &str| text.parse::<RuleId>().ok().map(|id| (id.gid, id.sid));
        assert_eq!(id("7"), Some((1, 7)));
        assert_eq!(id("3:7"), Some((3, 7)));
        for wrong in ["", "a", ":7", "3:", "1:2:3", "-1", "4294967296"] {
            assert_eq!(id(wrong), None, "{wrong}");
        }
    }
}
