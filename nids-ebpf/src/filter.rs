//! The decision: what the tables in force say of a frame.

use nids_abi::{FilterTable, Reason, TCP_DST, TCP_SRC, UDP_DST, UDP_SRC};

use crate::parse::Kind;

/// The reason to forward the frame, or the one not to.
#[inline(always)]
pub fn decide(table: &FilterTable, kind: Kind) -> Reason {
    match kind {
        Kind::Tcp { source, destination, least } => {
            let level = level(table, source, TCP_SRC).max(level(table, destination, TCP_DST));
            choose(level >= least, Reason::Wanted, Reason::TcpLevel)
        }
        Kind::Udp { source, destination, least } => {
            let level = level(table, source, UDP_SRC).max(level(table, destination, UDP_DST));
            choose(level >= least, Reason::Wanted, Reason::UdpLevel)
        }
        Kind::Icmp4(icmp_type) => {
            choose(table.icmp4[usize::from(icmp_type)] != 0, Reason::Wanted, Reason::IcmpType)
        }
        Kind::Icmp6(icmp_type) => {
            choose(table.icmp6[usize::from(icmp_type)] != 0, Reason::Wanted, Reason::IcmpType)
        }
        Kind::Other(number) => {
            choose(table.ip_proto[usize::from(number)] != 0, Reason::Wanted, Reason::IpProto)
        }
        Kind::Fragment => choose(table.fragments != 0, Reason::Fragment, Reason::FragmentUnwanted),
        Kind::Unjudged => choose(table.unjudged != 0, Reason::Unjudged, Reason::UnjudgedUnwanted),
        Kind::NonIp => choose(table.non_ip != 0, Reason::WantedNonIp, Reason::NonIp),
    }
}

#[inline(always)]
fn level(table: &FilterTable, port: u16, shift: u8) -> u8 {
    table.ports[usize::from(port)] >> shift & 3
}

#[inline(always)]
fn choose(wanted: bool, yes: Reason, no: Reason) -> Reason {
    if wanted { yes } else { no }
}
