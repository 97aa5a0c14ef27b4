//! A filter table in words.

use nids_abi::{
    FilterTable, LEVEL_ALL, LEVEL_CONTROL, LEVEL_NONE, LEVEL_PAYLOAD, TCP_DST, TCP_SRC, UDP_DST,
    UDP_SRC,
};
use serde::Serialize;

/// One entry, or many that say the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// Which frames: `tcp to port`, `udp from port`, `icmp type`, `ip protocol`, `fragments`.
    pub what: &'static str,
    /// Ports, types or protocol numbers, as closed ranges; empty where the entry has none.
    pub numbers: Vec<(u16, u16)>,
    /// The level, for TCP and UDP: `control`, `payload` or `all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<&'static str>,
}

/// What a table asks for.
pub(super) fn wanted(table: &FilterTable) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    let runs = runs(&table.ports);
    for (shift, what) in [
        (TCP_DST, "tcp to port"),
        (TCP_SRC, "tcp from port"),
        (UDP_DST, "udp to port"),
        (UDP_SRC, "udp from port"),
    ] {
        for (level, name) in
            [(LEVEL_CONTROL, "control"), (LEVEL_PAYLOAD, "payload"), (LEVEL_ALL, "all")]
        {
            let numbers = ranges(&runs, |entry| entry >> shift & 3 == level);
            if !numbers.is_empty() {
                wanted.push(Wanted { what, numbers, level: Some(name) });
            }
        }
    }
    for (table, what) in [
        (&table.icmp4, "icmp type"),
        (&table.icmp6, "icmpv6 type"),
        (&table.ip_proto, "ip protocol"),
    ] {
        let numbers = ranges(&self::runs(table), |entry| entry != LEVEL_NONE);
        if !numbers.is_empty() {
            wanted.push(Wanted { what, numbers, level: None });
        }
    }
    for (flag, what) in [
        (table.fragments, "fragments"),
        (table.unjudged, "frames that the kernel cannot judge"),
        (table.non_ip, "frames without IP"),
    ] {
        if flag != 0 {
            wanted.push(Wanted { what, numbers: Vec::new(), level: None });
        }
    }
    wanted
}

/// Equal entries that follow each other: first, last, and what they are.
fn runs(entries: &[u8]) -> Vec<(u16, u16, u8)> {
    let mut next = 0;
    let run = |run: &[u8]| {
        let first = next;
        next += run.len();
        // A table has no more entries than there are ports.
        Some((u16::try_from(first).ok()?, u16::try_from(next - 1).ok()?, *run.first()?))
    };
    entries.chunk_by(u8::eq).filter_map(run).collect()
}

/// The numbers of entries that hold, as closed ranges.
fn ranges(runs: &[(u16, u16, u8)], holds: impl Fn(u8) -> bool) -> Vec<(u16, u16)> {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for &(first, last, _) in runs.iter().filter(|(.., entry)| holds(*entry)) {
        match ranges.last_mut().filter(|(_, before)| before.checked_add(1) == Some(first)) {
            Some((_, end)) => *end = last,
            None => ranges.push((first, last)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_one_level_join() {
        let mut table = FilterTable::EMPTY;
        table.ports[80] = LEVEL_PAYLOAD << TCP_DST;
        table.ports[81] = LEVEL_PAYLOAD << TCP_DST | LEVEL_ALL << UDP_SRC;
        table.ports[65_535] = LEVEL_CONTROL << TCP_DST;
        table.ip_proto[47] = 1;
        table.non_ip = 1;
        let of =
            |what, numbers: &[(u16, u16)], level| Wanted { what, numbers: numbers.to_vec(), level };
        let expected = [
            of("tcp to port", &[(65_535, 65_535)], Some("control")),
            of("tcp to port", &[(80, 81)], Some("payload")),
            of("udp from port", &[(81, 81)], Some("all")),
            of("ip protocol", &[(47, 47)], None),
            of("frames without IP", &[], None),
        ];
        assert_eq!(wanted(&table), expected);
    }
}
