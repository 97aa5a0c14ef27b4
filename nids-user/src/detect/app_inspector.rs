//! Inspection of the transactions of a flow by a ruleset.
//!
//! At each packet at which its direction has news, a transaction that is not over is inspected: buffers
//! whose progress is reached are scanned for fast patterns, and the rules found, those found before, and those without
//! fast pattern are asked. What of a rule was found stays with the transaction; a rule matches once in
//! each transaction and direction.

use super::Ruleset;
use super::app_group::AppGroup;
use super::chain::{Input, Scratch};
use super::memory::{Kept, Shared};
use super::mpm::Hits;
use super::subject::Subject;
use super::transaction::{Answer, At, Views};
use crate::app::{AppFlow, AppProtocol, Head, Inspected, Partial, Transaction};
use crate::flow::FlowDirection;

/// A rule that has matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    /// Its number.
    pub signature: u32,
    /// The transaction it has matched in.
    pub transaction: Option<u64>,
}

/// What was done on one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Signatures asked.
    pub candidates: u64,
    /// Given up, as it would have taken too long.
    pub given_up: u64,
}

/// Scratch space for the inspection of transactions.
#[derive(Debug, Default)]
pub struct AppInspector {
    views: Views,
    hits: Hits,
    candidates: Vec<u32>,
    partial: Vec<Partial>,
}

/// What the inspection of a packet works with beside.
pub struct With<'a, 'k> {
    /// The rules.
    pub ruleset: &'a Ruleset,
    /// Rules of which the payload's contents were found at this packet.
    pub streamed: &'a [u32],
    /// What rules keep of more than one flow.
    pub shared: &'a Shared,
    /// What the flow remembers.
    pub kept: &'a mut Kept<'k>,
    /// For chains.
    pub scratch: &'a mut Scratch,
}

impl AppInspector {
    /// Makes room for a ruleset.
    pub fn fit(&mut self, ruleset: &Ruleset) {
        self.hits.reserve(ruleset.app.most_patterns());
    }

    /// Inspects the transactions of a flow in the direction of the packet, and appends what matches.
    pub fn inspect(
        &mut self,
        subject: &Subject<'_>,
        app: &mut AppFlow,
        with: &mut With<'_, '_>,
        matched: &mut Vec<Match>,
    ) -> Tally {
        let mut tally = Tally::default();
        let direction = subject.direction();
        let Some(protocol) = app.protocol() else { return tally };
        let news = app.take_news(direction);
        if !news && with.streamed.is_empty() {
            return tally;
        }
        let Some(group) = with.ruleset.app.of(protocol, direction) else { return tally };
        let Some(list) = app.transactions() else { return tally };
        for index in 0..list.len() {
            let Some((head, transaction)) = list.get(index) else { break };
            if head.inspected(direction).done {
                continue;
            }
            let inspected = std::mem::take(head.inspected(direction));
            *head.inspected(direction) = match group.is_empty() {
                true => inspected,
                false => self.transaction(
                    (protocol, direction),
                    (head, transaction),
                    inspected,
                    group,
                    subject,
                    with,
                    (matched, &mut tally),
                ),
            };
            let over = transaction.progress(direction) >= transaction.complete(direction);
            head.inspected(direction).done = over;
        }
        tally
    }

    #[expect(clippy::too_many_arguments, reason = "of one call, taken out for its length")]
    fn transaction(
        &mut self,
        (protocol, direction): (AppProtocol, FlowDirection),
        (head, transaction): (&Head, &dyn Transaction),
        mut inspected: Inspected,
        group: &AppGroup,
        subject: &Subject<'_>,
        with: &mut With<'_, '_>,
        (matched, tally): (&mut Vec<Match>, &mut Tally),
    ) -> Inspected {
        let ruleset = with.ruleset;
        if inspected.ruleset != ruleset.id {
            inspected = Inspected { ruleset: ruleset.id, ..Inspected::default() };
        }
        let progress = transaction.progress(direction);
        let at = At { protocol, head, transaction, direction, progress };
        self.views.begin(ruleset.app.views.len());
        self.prefilter(&at, &inspected, group, with);
        self.candidates.extend_from_slice(&group.always);
        self.candidates.extend(inspected.partial.iter().map(|partial| partial.signature));
        self.candidates.sort_unstable();
        self.candidates.dedup();
        tally.candidates += self.candidates.len() as u64;
        self.partial.clear();
        for &index in &self.candidates {
            if inspected.matched.binary_search(&index).is_ok() {
                continue;
            }
            let Some(signature) = ruleset.signatures.get(index as usize) else { continue };
            let Some(rule) = &signature.transaction else { continue };
            let before = inspected.partial.binary_search_by_key(&index, |known| known.signature);
            let before = before.ok().and_then(|at| inspected.partial.get(at));
            let mut found = before.map_or(0, |partial| partial.found);
            // A header that fits once is not asked again.
            if before.is_none() && !signature.fits(subject) {
                continue;
            }
            if !signature.tests.iter().all(|test| test.holds(with.shared, subject, with.kept)) {
                self.partial.extend(before);
                continue;
            }
            let in_payload = with.streamed.contains(&index);
            let mut answer = Answer::Yes;
            for (bit, inspection) in rule.inspections.iter().enumerate() {
                if found >> bit & 1 == 1 {
                    continue;
                }
                let (views, known) = (&mut self.views, &ruleset.app.views);
                match inspection.ask(&at, in_payload, views, known, with.scratch) {
                    Answer::Yes => found |= 1 << bit,
                    Answer::NotYet => answer = Answer::NotYet,
                    other => {
                        answer = other;
                        break;
                    }
                }
            }
            match answer {
                Answer::Yes => {
                    for change in &signature.changes {
                        change.apply(with.shared, subject, with.kept);
                    }
                    matched.push(Match { signature: index, transaction: Some(head.id) });
                    let place = inspected.matched.partition_point(|other| *other < index);
                    inspected.matched.insert(place, index);
                }
                Answer::NotYet => self.partial.push(Partial { signature: index, found }),
                Answer::Never => {}
                Answer::GivenUp => tally.given_up += 1,
            }
        }
        self.candidates.clear();
        inspected.partial.clear();
        // In ascending order, as the candidates were.
        inspected.partial.extend_from_slice(&self.partial);
        inspected.progress = Some(progress);
        inspected.growth = transaction.growth(direction);
        inspected
    }

    /// Scans the buffers that are there for fast patterns.
    fn prefilter(
        &mut self,
        at: &At<'_>,
        inspected: &Inspected,
        group: &AppGroup,
        with: &mut With<'_, '_>,
    ) {
        self.candidates.clear();
        let grew = inspected.growth != at.transaction.growth(at.direction);
        for (view, prefilter) in &group.prefilters {
            let Some(known) = with.ruleset.app.views.get(*view as usize) else { continue };
            let Some((from, whole)) = known.buffer.progress(at.protocol, at.direction) else {
                continue;
            };
            // Not there, or not another one than when it was scanned before.
            let same =
                |before: u8| before >= whole || (before >= from && !grew && at.progress < whole);
            if at.progress < from || inspected.progress.is_some_and(same) {
                continue;
            }
            let views = &with.ruleset.app.views;
            let Some((slot, folded)) = self.views.fill(*view, at, views, with.scratch) else {
                continue;
            };
            for (bytes, _) in slot.instances().filter(|(bytes, _)| !bytes.is_empty()) {
                prefilter.scan(
                    &mut Input::new(bytes, folded),
                    &mut self.hits,
                    &mut self.candidates,
                );
            }
        }
    }
}
