//! The order in which the rules are tried on a packet, and their matches told (Suricata user guide,
//! "Rules Internals"; src/detect-engine-sigorder.c): by action; then those that set what others test
//! before these; then by priority and sid.

use std::cmp::Reverse;

use super::bits::{HostBitChange, HostBitTest, Tracked};
use super::memory::{Change, Test};
use super::signature::Signature;
use crate::rule::ast::Action;

/// `action-order`: which actions come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionOrder([Kind; 4]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pass,
    Drop,
    Reject,
    Alert,
}

impl Default for ActionOrder {
    fn default() -> Self {
        Self([Kind::Pass, Kind::Drop, Kind::Reject, Kind::Alert])
    }
}

/// What a rule does with one kind of variable: sets it, sets and tests it, tests it, or nothing.
type Use = Reverse<u8>;

impl ActionOrder {
    /// From names with commas between them, or as a list in brackets: each of `pass`, `drop`, `reject` and
    /// `alert` once.
    pub fn from_names(text: &str) -> Option<Self> {
        let list = text.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or(text);
        let kinds: Option<Vec<Kind>> = list
            .split(',')
            .map(|name| match name.trim() {
                "pass" => Some(Kind::Pass),
                "drop" => Some(Kind::Drop),
                "reject" => Some(Kind::Reject),
                "alert" => Some(Kind::Alert),
                _ => None,
            })
            .collect();
        let kinds: [Kind; 4] = kinds?.try_into().ok()?;
        let each_once =
            Self::default().0.iter().all(|kind| kinds.iter().filter(|k| *k == kind).count() == 1);
        each_once.then_some(Self(kinds))
    }

    /// Where a signature stands.
    pub fn place(&self, signature: &Signature) -> (u8, [Use; 4], u8, u32, u32) {
        let info = &signature.info;
        let kind = match info.action {
            Action::Pass => Kind::Pass,
            Action::Drop => Kind::Drop,
            Action::RejectSource | Action::RejectDestination | Action::RejectBoth => Kind::Reject,
            Action::Alert | Action::Log => Kind::Alert,
        };
        let action = (0..).zip(&self.0).find(|(_, of)| **of == kind).map_or(0, |(place, _)| place);
        let uses = [
            used(signature, |test| matches!(test, Test::Bit(_)), |c| matches!(c, Change::Bit(_))),
            used(signature, |test| matches!(test, Test::Int(_)), |c| matches!(c, Change::Int(_))),
            used(
                signature,
                |test| matches!(test, Test::Host(test) if is_of_host(test.bit)),
                |change| matches!(change, Change::Host(change) if is_of_host(changed(change))),
            ),
            used(
                signature,
                |test| matches!(test, Test::Host(HostBitTest { bit, .. }) if !is_of_host(*bit)),
                |change| matches!(change, Change::Host(change) if !is_of_host(changed(change))),
            ),
        ];
        (action, uses, info.priority, info.sid, info.gid)
    }
}

fn used(
    signature: &Signature,
    tests: impl Fn(&Test) -> bool,
    changes: impl Fn(&Change) -> bool,
) -> Use {
    let (sets, tests) = (signature.changes.iter().any(changes), signature.tests.iter().any(tests));
    Reverse(match (sets, tests) {
        (true, false) => 3,
        (true, true) => 2,
        (false, true) => 1,
        (false, false) => 0,
    })
}

fn changed(change: &HostBitChange) -> Tracked {
    let (HostBitChange::Set(bit, _) | HostBitChange::Unset(bit) | HostBitChange::Toggle(bit, _)) =
        *change;
    bit
}

fn is_of_host(bit: Tracked) -> bool {
    !matches!(bit, Tracked::Pair(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_each_action_once() {
        let order = ActionOrder::from_names("alert, pass,drop,reject").unwrap();
        assert_eq!(order.0, [Kind::Alert, Kind::Pass, Kind::Drop, Kind::Reject]);
        assert_eq!(
            ActionOrder::from_names("[pass,drop,reject,alert]"),
            Some(ActionOrder::default())
        );
        for wrong in
            ["", "pass", "pass,pass,drop,reject", "pass,drop,reject,alert,alert", "a,b,c,d"]
        {
            assert_eq!(ActionOrder::from_names(wrong), None, "{wrong}");
        }
    }
}
