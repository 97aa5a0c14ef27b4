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
use super::signature::Signature;
use super::subject::Subject;
use super::transaction::{Answer, At, TransactionRule, View, Views};
use super::trial::{Record, Stop, note};
use super::watch::Watch;
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
    /// Where somebody wants to know what rules do.
    pub watch: Option<&'a mut Watch>,
}

/// What came of a rule that was tried on a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// The packet is none of the rule's.
    Unfit,
    /// What earlier matches must have left is not there.
    Held,
    /// The transaction has answered: and these of the inspections were found.
    Answered(Answer, u64),
}

/// A rule, and what is tried with it.
struct Attempt<'a> {
    signature: &'a Signature,
    rule: &'a TransactionRule,
    /// What was found of it before.
    before: Option<&'a Partial>,
    /// The contents of its payload were found at this packet.
    in_payload: bool,
    at: &'a At<'a>,
    subject: &'a Subject<'a>,
    shared: &'a Shared,
    views: &'a [View],
}

impl Attempt<'_> {
    /// Tries it.
    #[inline(always)]
    fn run<R: Record>(
        &self,
        slots: &mut Views,
        kept: &Kept<'_>,
        scratch: &mut Scratch,
        record: &mut R,
    ) -> Tried {
        // A header that fits once is not asked again.
        if self.before.is_none() && !self.signature.fits(self.subject, record) {
            return Tried::Unfit;
        }
        let mut tests = self.signature.tests.iter().enumerate();
        let holds = tests.all(|(number, test)| {
            note(test.holds(self.shared, self.subject, kept), Stop::Test(number), record)
        });
        if !holds {
            return Tried::Held;
        }
        let mut found = self.before.map_or(0, |partial| partial.found);
        let mut answer = Answer::Yes;
        for (bit, inspection) in self.rule.inspections.iter().enumerate() {
            if found >> bit & 1 == 1 {
                continue;
            }
            let mut here = R::default();
            let Self { at, in_payload, views, .. } = self;
            match inspection.ask(bit, at, *in_payload, slots, views, scratch, &mut here) {
                Answer::Yes => found |= 1 << bit,
                Answer::NotYet => {
                    if answer == Answer::Yes {
                        record.take(here);
                    }
                    answer = Answer::NotYet;
                }
                other => {
                    record.take(here);
                    answer = other;
                    break;
                }
            }
        }
        Tried::Answered(answer, found)
    }

    /// The same for somebody who watches.
    #[cold]
    #[inline(never)]
    fn watched(
        &self,
        slots: &mut Views,
        kept: &Kept<'_>,
        scratch: &mut Scratch,
        record: Option<&mut Option<Stop>>,
    ) -> Tried {
        match record {
            None => self.run(slots, kept, scratch, &mut ()),
            Some(stop) => self.run(slots, kept, scratch, stop),
        }
    }
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
        if let Some(watch) = &mut with.watch {
            let matched = &inspected.matched;
            watch.scanned_transaction(subject, head.id, group, &self.candidates, matched);
        }
        self.partial.clear();
        for &index in &self.candidates {
            if inspected.matched.binary_search(&index).is_ok() {
                continue;
            }
            let Some(signature) = ruleset.signatures.get(index as usize) else { continue };
            let Some(rule) = &signature.transaction else { continue };
            let before = inspected.partial.binary_search_by_key(&index, |known| known.signature);
            let before = before.ok().and_then(|at| inspected.partial.get(at));
            let With { streamed, shared, kept, scratch, watch, .. } = with;
            let attempt = Attempt {
                signature,
                rule,
                before,
                in_payload: streamed.contains(&index),
                at: &at,
                subject,
                shared,
                views: &ruleset.app.views,
            };
            let slots = &mut self.views;
            let tried = match watch {
                None => attempt.run(slots, kept, scratch, &mut ()),
                Some(watch) => watch.transaction(index, subject, head.id, |record| {
                    attempt.watched(slots, kept, scratch, record)
                }),
            };
            let (answer, found) = match tried {
                Tried::Unfit => continue,
                Tried::Held => {
                    self.partial.extend(before);
                    continue;
                }
                Tried::Answered(answer, found) => (answer, found),
            };
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
