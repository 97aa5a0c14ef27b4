//! Bits, numbers and texts that one rule sets and another tests: `flowbits` and `flowint` on a flow,
//! `xbits` and `hostbits` on hosts and pairs of hosts (Suricata user guide, "Flow Keywords" and
//! "Xbits").
//!
//! ```text
//! value (flow_value, host_value) --+--> a test: does the rule match?
//!            names -> ids (names)  +--> a change: made when the whole rule has matched
//! ```
//!
//! Values of flows lie in the flow's own [`FlowState`](super::flow_state::FlowState), those of hosts in
//! [`HostBits`], which all workers share. The order of rules on one packet is left to the caller.

mod flow_value;
mod host;
mod host_value;
mod names;
mod set;
mod vars;

pub use flow_value::{
    BitChange, BitTest, FlowBits, FlowInt, IntChange, IntTest, Operand, flowbits, flowint,
};
pub use host::{HostBits, Subject};
pub use host_value::{HostBitChange, HostBitTest, SharedBits, Tracked, hostbits, xbits};
pub use names::{BitId, HostBitId, IntId, Names, PairBitId, TextId, TxBitId};
pub use set::BitSet;
pub use vars::FlowVars;

#[cfg(test)]
mod tests;
