//! The kernel programs against a plain reference of them.

use nids_abi::{FilterTable, Reason};

use super::bpf::{Globals, Hook, Kernel};

#[test]
fn every_program_loads_and_runs() {
    let Some(mut kernel) = Kernel::load(Globals::default()) else { return };
    kernel.set_table(&FilterTable::FULL);
    for hook in Hook::ALL {
        let outcome = kernel.run(hook, &[0; 60]).expect("the kernel takes this frame");
        assert_eq!(outcome.reason, Reason::Unjudged, "{hook:?}: {outcome:?}");
    }
}
