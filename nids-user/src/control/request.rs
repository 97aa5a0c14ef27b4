//! One line from a client to a [`Request`], or to the reason why it is none.

use std::fmt;

use serde::Deserialize;

use crate::suggest;

/// Bytes a line may have, its line feed included.
pub const MAX_LINE: usize = 4096;
/// Characters of a client's own words that an error repeats.
const REPEATED: usize = 40;

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Load the rules anew; the answer comes when they are in force, or were refused.
    Reload,
    /// How the sensor is.
    Status,
    /// All numbers.
    Stats,
    /// The rules that are not in force, and why.
    Refused,
    /// Which program this is.
    Version,
}

/// Why a line is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// Not a JSON object with a `command` and nothing else.
    Syntax,
    /// Nobody knows this command.
    Unknown {
        /// Its begin.
        command: String,
        /// One that is spelled much alike.
        suggestion: Option<&'static str>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    command: String,
}

impl Request {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Reload, Self::Status, Self::Stats, Self::Refused, Self::Version];

    /// The word that asks for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Status => "status",
            Self::Stats => "stats",
            Self::Refused => "refused",
            Self::Version => "version",
        }
    }

    /// Reads a line, with or without its line feed.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn parse(line: &[u8]) -> Result<Self, RequestError> {
        let Line { command } = serde_json::from_slice(line).map_err(|_| RequestError::Syntax)?;
        let known = Self::ALL.into_iter().find(|request| request.as_str() == command);
        known.ok_or_else(|| RequestError::Unknown {
            suggestion: suggest::nearest(&command, Self::ALL.iter().map(|one| one.as_str())),
            command: command.chars().filter(|c| !c.is_control()).take(REPEATED).collect(),
        })
    }

    /// The line that asks for it, with its line feed.
    pub fn to_line(self) -> String {
        format!("{{\"command\":\"{}\"}}\n", self.as_str())
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Request::ALL.map(Request::as_str).join(", ");
        match self {
            Self::Syntax => {
                write!(f, "not a line as {{\"command\":\"status\"}}; commands are {known}")
            }
            Self::Unknown { command, suggestion: Some(near) } => {
                write!(f, "no command is called `{command}`; did you mean `{near}`?")
            }
            Self::Unknown { command, suggestion: None } => {
                write!(f, "no command is called `{command}`; commands are {known}")
            }
        }
    }
}

impl std::error::Error for RequestError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines() {
        let parse = |text: &str| Request::parse(text.as_bytes());
        for request in Request::ALL {
            assert_eq!(parse(&request.to_line()), Ok(request));
        }
        assert_eq!(parse(" { \"command\" : \"stats\" } \r\n"), Ok(Request::Stats));
        for bad in [
            "",
            "\n",
            "status",
            "\"status\"",
            "[]",
            "{}",
            "null",
            "{\"command\":1}",
            "{\"command\":\"status\"",
            "{\"command\":\"status\"}{}",
            "{\"command\":\"status\",\"more\":1}",
            "{\"command\":\"status\",\"command\":\"reload\"}",
            "{\"command\":\"\u{0}",
        ] {
            assert_eq!(parse(bad), Err(RequestError::Syntax), "{bad:?}");
        }
        assert_eq!(Request::parse(b"{\"command\":\"\xff\"}"), Err(RequestError::Syntax));
    }

    #[test]
    fn a_mistyped_command_is_told_with_the_one_that_is_meant() {
        let text = |line: &str| Request::parse(line.as_bytes()).unwrap_err().to_string();
        assert_eq!(
            text("{\"command\":\"relaod\"}"),
            "no command is called `relaod`; did you mean `reload`?"
        );
        assert_eq!(
            text("{\"command\":\"\\u001b[2Jquit\"}"),
            "no command is called `[2Jquit`; commands are reload, status, stats, refused, version"
        );
        assert!(text(&format!("{{\"command\":\"{}\"}}", "x".repeat(4000))).len() < 150);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_told_in_one_line(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Err(error) = Request::parse(&bytes) {
                prop_assert!(error.to_string().chars().all(|c| !c.is_control()));
            }
        }
    }
}
