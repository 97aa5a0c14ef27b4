//! What came of the rule files: how many rules are in force, and which were refused and why.
//!
//! A running sensor keeps this for whoever asks. Of a public ruleset thousands of rules may be refused, so
//! their list is kept packed: the JSON lines of `nids check --json`, compressed.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::diagnostic::Refusal;

/// How many rules are loaded, refused and disabled: the last line of `nids check --json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Rules in force.
    pub loaded: usize,
    /// Rules refused.
    pub refused: usize,
    /// Rules switched off in their file or by a list.
    pub disabled: usize,
    /// Rules refused, and rules left out for what they require, by kind of reason.
    pub by_reason: BTreeMap<String, usize>,
}

impl Summary {
    /// Counts. `unmet` are rules that require what is not there; they are not refused.
    pub fn new(loaded: usize, disabled: usize, refusals: &[Refusal], unmet: &[Refusal]) -> Self {
        let mut by_reason = BTreeMap::new();
        for refusal in refusals.iter().chain(unmet) {
            *by_reason.entry(refusal.kind.as_str().to_owned()).or_default() += 1;
        }
        Self { loaded, refused: refusals.len(), disabled, by_reason }
    }
}

/// What came of the rule files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The counts.
    pub summary: Summary,
    /// One JSON object a line, compressed.
    refused: Vec<u8>,
}

impl Report {
    /// Keeps the refusals, in this order.
    pub fn new(summary: Summary, refusals: &[Refusal]) -> Self {
        Self { summary, refused: pack(refusals).unwrap_or_default() }
    }

    /// The refused rules, one JSON object a line, as `nids check --json` has them.
    ///
    /// # Errors
    /// There is no memory to unpack them.
    pub fn refused(&self) -> io::Result<impl Read + Send + use<'_>> {
        let packed = (!self.refused.is_empty()).then_some(self.refused.as_slice());
        let unpacked = packed.map(zstd::Decoder::with_buffer).transpose()?;
        Ok(MaybeRead(unpacked))
    }
}

/// Nothing, where nothing was packed.
struct MaybeRead<R>(Option<R>);

impl<R: Read> Read for MaybeRead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.as_mut().map_or(Ok(0), |inner| inner.read(buffer))
    }
}

fn pack(refusals: &[Refusal]) -> io::Result<Vec<u8>> {
    if refusals.is_empty() {
        return Ok(Vec::new());
    }
    let mut packer = zstd::Encoder::new(Vec::new(), 1)?;
    for refusal in refusals {
        packer.write_all(refusal.to_json().as_bytes())?;
        packer.write_all(b"\n")?;
    }
    packer.finish()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::rule::ast::Span;
    use crate::rule::diagnostic::ReasonKind;

    fn refusal(line: u32, kind: ReasonKind) -> Refusal {
        Refusal {
            file: Arc::from(Path::new("a.rules")),
            line,
            text: Arc::from("alert nonsense"),
            span: Span { start: 6, end: 14 },
            kind,
            reason: "no \"such\" thing".into(),
            help: None,
            sid: Some(line),
        }
    }

    #[test]
    fn the_list_is_that_of_check() {
        let refusals: Vec<_> = (1..2000).map(|at| refusal(at, ReasonKind::Protocol)).collect();
        let unmet = [refusal(9, ReasonKind::Requires)];
        let summary = Summary::new(5, 6, &refusals, &unmet);
        assert_eq!((summary.loaded, summary.refused, summary.disabled), (5, 1999, 6));
        let report = Report::new(summary, &refusals);
        let mut text = String::new();
        report.refused().unwrap().read_to_string(&mut text).unwrap();
        let expected: String = refusals.iter().map(|one| one.to_json() + "\n").collect();
        assert_eq!(text, expected);
        assert!(report.refused.len() * 5 < expected.len(), "{} bytes", report.refused.len());
        assert_eq!(
            serde_json::to_string(&report.summary).unwrap(),
            r#"{"loaded":5,"refused":1999,"disabled":6,"by_reason":{"protocol":1999,"requires":1}}"#
        );
    }

    #[test]
    fn no_refusal_is_an_empty_list() {
        let mut text = String::new();
        Report::new(Summary::default(), &[]).refused().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "");
    }
}
