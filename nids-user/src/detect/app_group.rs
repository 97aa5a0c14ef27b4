//! The rules on transactions, by protocol and direction: their fast patterns, one matcher for each view
//! that holds any, and those without.

use super::prefilter::Prefilter;
use super::signature::Signature;
use super::transaction::{Inspection, View};
use crate::app::{AppProtocol, AppProtocols};
use crate::flow::FlowDirection;

/// The rules on transactions of one protocol and direction.
#[derive(Debug, Default)]
pub struct AppGroup {
    /// Those with a fast pattern, by the view it is sought in.
    pub prefilters: Box<[(u32, Prefilter)]>,
    /// Those without: tried on each transaction.
    pub always: Box<[u32]>,
}

impl AppGroup {
    /// Numbers of the signatures in it.
    pub fn members(&self) -> impl Iterator<Item = u32> {
        let sought = self.prefilters.iter().flat_map(|(_, prefilter)| prefilter.signatures());
        sought.chain(&self.always).copied()
    }
    /// Whether there is no rule in it.
    pub fn is_empty(&self) -> bool {
        self.prefilters.is_empty() && self.always.is_empty()
    }
}

/// All of them.
#[derive(Debug)]
pub struct AppGroups {
    groups: [[AppGroup; 2]; AppProtocol::ALL.len()],
    /// Buffers with what they go through; inspections have their number.
    pub views: Box<[View]>,
    /// Protocols that some rule asks for.
    pub wanted: AppProtocols,
}

impl AppGroups {
    /// Files signatures, given in the order of their numbers.
    pub fn new(signatures: &[Signature], views: Vec<View>) -> Self {
        let group = |protocol, direction| AppGroup::new(signatures, &views, protocol, direction);
        let groups = AppProtocol::ALL.map(|protocol| {
            [FlowDirection::ToServer, FlowDirection::ToClient].map(|way| group(protocol, way))
        });
        let wanted = signatures.iter().filter_map(|signature| signature.app);
        let wanted = wanted.fold(AppProtocols::NONE, AppProtocols::union);
        Self { groups, views: views.into(), wanted }
    }

    /// The rules for transactions of this protocol and direction.
    pub fn of(&self, protocol: AppProtocol, direction: FlowDirection) -> Option<&AppGroup> {
        let [to_server, to_client] = self.groups.get(protocol as usize)?;
        Some(match direction {
            FlowDirection::ToServer => to_server,
            FlowDirection::ToClient => to_client,
        })
    }

    /// All of them, with the protocol and direction of each.
    pub fn iter(&self) -> impl Iterator<Item = (AppProtocol, FlowDirection, &AppGroup)> {
        AppProtocol::ALL.into_iter().zip(&self.groups).flat_map(|(protocol, ways)| {
            let both = [FlowDirection::ToServer, FlowDirection::ToClient];
            both.into_iter().zip(ways).map(move |(way, group)| (protocol, way, group))
        })
    }

    /// Most patterns that any matcher has.
    pub fn most_patterns(&self) -> usize {
        let filters = self.groups.iter().flatten().flat_map(|group| &group.prefilters);
        filters.map(|(_, filter)| filter.patterns()).max().unwrap_or(0)
    }
}

impl AppGroup {
    fn new(
        signatures: &[Signature],
        views: &[View],
        protocol: AppProtocol,
        direction: FlowDirection,
    ) -> Self {
        let mut filed = vec![Vec::new(); views.len()];
        let mut always = Vec::new();
        for (index, signature) in (0..).zip(signatures) {
            let Some(rule) = &signature.transaction else { continue };
            let there =
                |inspection: &Inspection| inspection.waits_for(protocol, direction) != u8::MAX;
            if !signature.app.is_some_and(|app| app.contains(protocol))
                || !rule.runs(direction)
                || !rule.inspections.iter().all(there)
            {
                continue;
            }
            match &rule.pattern {
                Some((view, pattern)) => {
                    if let Some(members) = filed.get_mut(*view as usize) {
                        members.push((index, pattern));
                    }
                }
                None => always.push(index),
            }
        }
        let mut prefilters = Vec::new();
        for (view, members) in (0..).zip(filed).filter(|(_, members)| !members.is_empty()) {
            let numbers: Vec<u32> = members.iter().map(|(index, _)| *index).collect();
            match Prefilter::of(members) {
                Some(prefilter) => prefilters.push((view, prefilter)),
                // Too many for any matcher.
                None => always.extend(numbers),
            }
        }
        always.sort_unstable();
        Self { prefilters: prefilters.into(), always: always.into() }
    }
}
